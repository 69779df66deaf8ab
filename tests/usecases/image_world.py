"""A world with image rules: the recovery world, with all that function backup does, and prune letting images go."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.domain.ids import ImageId
from shared.domain.inventory import Image
from shared.domain.operation import Operation
from shared.domain.place import Place
from shared.domain.policy import ImageDisks, ImageRule, Policy, Schedule, Selection
from shared.state.absences import Absences
from shared.state.certificates import Certificates
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.families import Families
from shared.state.images import ImageRecord, Images
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.usecases.backup.back_up import BackUp
from shared.usecases.carry_on import CarryOn
from shared.usecases.copies.copy_image import CopyImage
from shared.usecases.images.image import TakeImage
from shared.usecases.images.image_readiness import ImageReadiness
from shared.usecases.images.image_sweep import ImageSweep
from shared.usecases.images.retire_images import RetireImages, Retirement
from shared.usecases.in_turn import in_turn
from shared.usecases.prune.prune import Prune, Pruned
from shared.usecases.recovery.recovery_requests import PublishRequest
from tests.usecases.backup_world import PLACE
from tests.usecases.certified import all_accepted
from tests.usecases.recovery_world import GROUP, WEB_RULE, RecoveryWorld, recovery_policy
from understudy.simulation.compute import InProcessImages, InProcessSnapshots
from understudy.simulation.store import InProcessStore

SHANGHAI = "cn-shanghai"
NIGHTLY = Schedule(name="nightly", hours=(1,), weekdays=(1, 2, 3, 4, 5, 6, 7), zone="UTC")
WEB = ImageRule(
    name="web",
    family="role-web",
    of=Selection(tags={"role": "web"}),
    schedules=(NIGHTLY,),
    keep=2,
    publish_to=(GROUP,),
)
DB = ImageRule(
    name="db",
    family="role-db",
    of=Selection(tags={"role": "db"}),
    disks=ImageDisks.SYSTEM,
    schedules=(NIGHTLY,),
    keep=2,
)


def image_policy(*rules: ImageRule, **more: Any) -> Policy:
    """Nothing but images is scheduled: the points of these worlds are made by hand, if at all."""
    policy = recovery_policy(replace(WEB_RULE, image_family="role-web"), images=rules or (WEB, DB), **more)
    never = replace(NIGHTLY, hours=(23,), weekdays=(7,))
    return replace(policy, protections=tuple(replace(one, schedules=(never,)) for one in policy.protections))


class ImageWorld(RecoveryWorld):
    def __init__(self, policy: Policy | None = None) -> None:
        super().__init__(policy or image_policy())
        self.recovering = False  # a test's own executor is at work

    def carry_on(self) -> CarryOn:
        common: dict[str, Any] = {"clouds": self.clouds, "store": self.store, "functions": self.functions}
        return CarryOn(
            journal=Journal(self.store, self.clock),
            recipes=(
                BackUp(policies=Policies(self.store), clock=self.clock, **common),
                TakeImage(place=PLACE, function="backup", clock=self.clock, **common),
                CopyImage(function="backup", clock=self.clock, **common),
            ),
            decisions=Decisions(self.store),
            functions=self.functions,
            function="backup",
            clock=self.clock,
            sweep=in_turn(
                ImageSweep(function="backup", clock=self.clock, **common).run,
                ImageReadiness(scaling=lambda: self.scaling, clock=self.clock, **common).run,
            ),
        )

    def retire(self) -> RetireImages:
        return RetireImages(clouds=self.clouds, scaling=lambda: self.scaling, store=self.store, clock=self.clock)

    def plan(self) -> Retirement:
        return self.retire().plan(self.policies.active()[1])

    def prune(self, **how: Any) -> Pruned:
        pruned = Prune(
            clouds=self.clouds,
            policies=Policies(self.store),
            controls=Controls(self.store),
            points=Points(self.store),
            certificates=Certificates(self.store),
            decisions=Decisions(self.store),
            journal=Journal(self.store, self.clock),
            images=Images(self.store),
            absences=Absences(self.store),
            clock=self.clock,
            retire=self.retire(),
        ).run(run=self._run(), **how)
        self.pruned.append(pruned)
        all_accepted(self)
        return pruned

    def timers(self, *, until: datetime, prune: bool = True) -> None:
        super().timers(until=until, prune=False)
        if prune:
            self._every(timedelta(hours=1), until, lambda: self.prune(drift=None), first=timedelta(minutes=30))
        self._every(timedelta(minutes=5), until, self.recover_tick)

    # what came out

    def images(self, family: str = "", region: str = "cn-hangzhou") -> list[Image]:
        """Ours, oldest first."""
        realm = self.cloud.home if region == "cn-hangzhou" else self.cloud.home.sibling(region)
        ours = [one for one in InProcessImages(self.cloud, realm).list() if "understudy:operation" in one.tags]
        known = {one.image for one in self.records() if not family or one.family == family}
        return sorted((one for one in ours if not family or one.id in known), key=lambda one: (one.created, one.id))

    def records(self) -> list[ImageRecord]:
        return list(Images(InProcessStore(self.cloud, "understudy")).all())

    def families(self) -> Families:
        return Families(InProcessStore(self.cloud, "understudy"))

    def operations(self, prefix: str) -> list[Operation]:
        journal = Journal(InProcessStore(self.cloud, "understudy"), self.clock)
        keys = [row.key[0] for row in InProcessStore(self.cloud, "understudy").scan("operations", ())]
        return [found for key in keys if key.startswith(prefix) and (found := journal.find(key)) is not None]  # type: ignore[arg-type]

    def events(self, scope: str) -> list[str]:
        """Events, oldest first."""
        found = Decisions(InProcessStore(self.cloud, "understudy")).of(scope, newest=200)
        return [one.event for one in reversed(list(found))]

    def reason(self, scope: str, event: str) -> str:
        found = Decisions(InProcessStore(self.cloud, "understudy")).of(scope, newest=200)
        return next("; ".join(one.because) for one in found if one.event == event)

    def snapshots_of_images(self) -> set[str]:
        return {
            one.id
            for one in InProcessSnapshots(self.cloud).list()
            if one.tags.get("understudy:operation", "").startswith("image/")
        }

    def starts_from(self, group: str = GROUP) -> ImageId | None:
        ess = self.cloud.ess
        stands = ess.groups.get(group)
        assert stands is not None
        found = ess.configurations[stands.configuration_id].image_id
        return ImageId(found) if found else None

    def image_now(self, instance: str = "i-web-1", family: str = "role-web", **more: object) -> str:
        """By hand, to its end."""
        answer = self.command(command="image", instance=instance, family=family, by="li", **more)
        self.run_for(minutes=25, prune=False)
        return str(answer["operation"])

    def publish_newest(self, *, image: str = "", groups: tuple[str, ...] = (GROUP,), wake: bool = True) -> str:
        """By hand."""
        version = self.policies.active_version()
        assert version is not None
        now = self.clock.now()
        request = PublishRequest(image=ImageId(image), family="role-web", groups=groups, asked=now, by="li")
        operation = request.operation(policy=version, now=now, because="asked for by li")
        if wake:
            return str(self.start(operation))
        return str(Journal(self.store, self.clock).open(operation).id)


HOME = Place("cn-hangzhou")
THERE = Place(SHANGHAI)
