"""A world with a second region: restore points that stand there, and the recipes that copy them elsewhere."""

from dataclasses import replace
from datetime import datetime, timedelta

from emulator.ecs.model import Ecs
from shared.domain import provenance
from shared.domain.ids import DiskId, InstanceId, OperationId
from shared.domain.inventory import Snapshot
from shared.domain.operation import Operation, OperationKind
from shared.domain.place import Place
from shared.domain.policy import CopyRule, Lock, Policy, Protection, Retention
from shared.domain.retention import RestorePoint
from shared.state.decisions import Decisions
from shared.state.images import ImageRecord, Images
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.usecases.backup.back_up import BackUp
from shared.usecases.carry_on import CarryOn
from shared.usecases.copies.copy_image import CopyImage
from shared.usecases.copies.copy_point import CopyPoint
from shared.usecases.copies.copy_sweep import CopySweep
from shared.usecases.copies.copying import open_copies
from shared.usecases.images.image import TakeImage
from tests.usecases.backup_world import APPLICATIONS, MASTERS, PLACE, A, World, a_policy
from understudy.simulation.compute import InProcessImages, InProcessSnapshots
from understudy.simulation.store import InProcessStore

SHANGHAI = "cn-shanghai"
THERE = Place(SHANGHAI)
DISKS = {
    A: ("d-a-data", "d-a-sys"),
    InstanceId("i-app-b"): ("d-b-data", "d-b-sys"),
    InstanceId("i-master"): ("d-m-sys",),
}


def rule(**how: object) -> CopyRule:
    return CopyRule(**({"region": SHANGHAI, "keep": Retention(daily=7), "within": timedelta(hours=6)} | how))  # type: ignore[arg-type]


def copied(*rules: CopyRule, protection: Protection = APPLICATIONS) -> Policy:
    return a_policy(replace(protection, copies=rules or (rule(),)), MASTERS)


LOCKED = Lock(days=30)


class CopyWorld(World):
    def __init__(self, policy: Policy | None = None) -> None:
        super().__init__(policy or copied())
        self.scheduled = False

    def carry_on(self) -> CarryOn:
        policies = Policies(self.store)
        return CarryOn(
            journal=Journal(self.store, self.clock),
            recipes=(
                BackUp(
                    clouds=self.clouds,
                    store=self.store,
                    policies=policies,
                    functions=self.functions,
                    clock=self.clock,
                ),
                TakeImage(
                    clouds=self.clouds,
                    place=PLACE,
                    store=self.store,
                    functions=self.functions,
                    function="backup",
                    clock=self.clock,
                ),
                CopyPoint(
                    clouds=self.clouds,
                    store=self.store,
                    policies=policies,
                    functions=self.functions,
                    function="backup",
                    clock=self.clock,
                ),
                CopyImage(
                    clouds=self.clouds, store=self.store, functions=self.functions, function="backup", clock=self.clock
                ),
            ),
            decisions=Decisions(self.store),
            functions=self.functions,
            function="backup",
            clock=self.clock,
            sweep=CopySweep(clouds=self.clouds, store=self.store, policies=policies, clock=self.clock).run,
        )

    def timers(self, *, until: datetime, prune: bool = True) -> None:
        """No schedule, unless asked for: the points of these worlds are made by hand."""
        if self.scheduled:
            super().timers(until=until, prune=prune)
        else:
            self._every(timedelta(minutes=10), until, self.backup)

    # restore points

    def point(self, subject: InstanceId = A, *, slot: datetime | None = None, wait: bool = True) -> RestorePoint:
        """A complete one of `subject`, as the back-up operation leaves it."""
        now = self.clock.now()
        slot = slot or now
        here = InProcessSnapshots(self.cloud)
        id_ = f"applications/hourly/{slot:%Y-%m-%dT%H:%M:%SZ}/{subject}"
        tags = {provenance.OPERATION: f"back_up/{id_}"}
        made = {
            DiskId(disk): here.create(DiskId(disk), name="understudy-test", tags=tags, token=f"{id_}/{disk}")
            for disk in DISKS[subject]
        }
        if wait:
            self.advance(minutes=10)
        active = self.policies.active_version()
        assert active is not None
        point = RestorePoint(
            id=id_,
            subject=subject,
            slot=slot,
            schedule="hourly",
            taken=now,
            usable=True,
            complete=True,
            disks=tuple(sorted(made.items())),
            protection="applications",
            policy=active,
            place=PLACE,
            copy_to=tuple(one.region for one in self.policies.at(active).protections[0].copies),
            usable_since=now,
            complete_since=now,
        )
        Points(InProcessStore(self.cloud, "understudy")).put([point])
        return point

    def open(self, point: RestorePoint) -> tuple[OperationId, ...]:
        opened = open_copies(self.journal, self.policies.at(point.policy), point, self.clock.now())
        for operation in opened:
            self.functions.invoke_async("backup", f'{{"operation": "{operation}"}}'.encode())
        return opened

    # what came out

    @property
    def shanghai(self) -> Ecs:
        return self.cloud.realm(self.cloud.account, SHANGHAI).ecs

    def copies(self) -> list[Snapshot]:
        return list(InProcessSnapshots(self.cloud, self.cloud.realm(self.cloud.account, SHANGHAI)).list())

    def copied_images(self) -> list[object]:
        return list(InProcessImages(self.cloud, self.cloud.realm(self.cloud.account, SHANGHAI)).list())

    def image_records(self) -> list[ImageRecord]:
        return list(Images(InProcessStore(self.cloud, "understudy")).all())

    def known(self, point: str) -> RestorePoint | None:
        return next((one for one in self.points() if one.id == point), None)

    def operations(self, kind: OperationKind = OperationKind.COPY) -> list[Operation]:
        store = InProcessStore(self.cloud, "understudy")
        found = (Journal(store, self.clock).load(OperationId(row.key[0])) for row in store.scan("operations", ()))
        return [one for one in found if one.kind is kind]

    def told(self, event: str, *, of: str = A) -> list[tuple[str, ...]]:
        return [one.because for one in Decisions(InProcessStore(self.cloud, "understudy")).of(of) if one.event == event]

    def waits_in_line(self) -> int:
        return sum(1 for _ in InProcessStore(self.cloud, "understudy").scan("lines", ()))
