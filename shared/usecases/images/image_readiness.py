"""Judges, again and again, whether each role could be rebuilt now, and writes down how it stands.

Reads each family's images in each region asked for, the scaling groups it is published to, and the points of the data
disks of what would be rebuilt. A change is a decision. A group that reads an older version than was published to it
gets the newer one again: whoever published it may have died in between, or the group was not there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import CredentialsRejected, DrError
from shared.domain.ids import DiskId, ImageId, InstanceId, PolicyVersion
from shared.domain.image_versions import Version
from shared.domain.inventory import DiskKind
from shared.domain.operation import OperationKind
from shared.domain.place import Place
from shared.domain.policy import Policy, Selection
from shared.domain.readiness import Named, Readiness, Role, judge, roles
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Clouds
from shared.ports.functions import Functions
from shared.ports.scaling import Scaling
from shared.ports.store import Store
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.families import Families
from shared.state.images import ImageRecord, Images
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.usecases.backup.selecting import disks_of, select
from shared.usecases.images.family_versions import look
from shared.usecases.in_line import wake
from shared.usecases.recovery.recovery_requests import PublishRequest

EVERY: Final = timedelta(minutes=9)
"""A little less than the timer of function `backup`."""
INSTANCES_AT_MOST: Final = 200
"""Of one role, whose points are looked up: one read of the store each."""


class ImageReadiness:
    def __init__(
        self,
        *,
        clouds: Clouds,
        scaling: Callable[[], Scaling],
        store: Store,
        functions: Functions,
        clock: Clock,
        run: str = "",
    ) -> None:
        """`scaling`: built only when some rule publishes."""
        self._clouds = clouds
        self._scaling = scaling
        self._functions = functions
        self._clock = clock
        self._run = run
        self._controls = Controls(store)
        self._policies = Policies(store)
        self._images = Images(store)
        self._families = Families(store)
        self._points = Points(store)
        self._journal = Journal(store, clock)
        self._decisions = Decisions(store)

    def run(self) -> tuple[Readiness, ...]:
        """What was judged now; nothing when all was lately. Raises as the store does, and CredentialsRejected."""
        standing = self._controls.read()
        if standing.policy is None:
            return ()
        policy, now = self._policies.at(standing.policy), self._clock.now()
        due = []
        for role in roles(policy):
            before = self._families.readiness(role.family)
            if before is None or before.at is None or not timedelta(0) <= now - before.at < EVERY:
                due.append((role, before))
        if not due:
            return ()
        records = list(self._images.all())
        return tuple(self._role(policy, standing.policy, role, before, records, now) for role, before in due)

    def _role(
        self,
        policy: Policy,
        version: PolicyVersion,
        role: Role,
        before: Readiness | None,
        records: Sequence[ImageRecord],
        now: datetime,
    ) -> Readiness:
        unread: list[str] = []
        mine = [one for one in records if one.family == role.family]
        standing = self._standing(policy, role, mine, unread)
        named = self._named(role, unread)
        found = judge(
            role,
            standing,
            named,
            without_points=self._without_points(policy, role, unread),
            unread=unread,
            now=now,
        )
        self._again(version, role, standing.get(policy.region, ()), named, now)
        if before is None or before.told != found.told:
            self._tell(found, version, now)
        self._families.note(found)
        return found

    # Looking --------------------------------------------------------------------------------------------------------

    def _standing(
        self, policy: Policy, role: Role, records: Sequence[ImageRecord], unread: list[str]
    ) -> dict[str, tuple[Version, ...]]:
        standing: dict[str, tuple[Version, ...]] = {}
        for region in role.regions:
            place = Place(region)
            here = [one for one in records if one.place == place]
            family = role.family if region == policy.region else ""
            try:
                standing[region] = look(self._clouds.at(place), here, family=family).versions
            except CredentialsRejected:
                raise
            except DrError as error:
                unread.append(f"images in {region} could not be looked at: {error}")
        return standing

    def _named(self, role: Role, unread: list[str]) -> Mapping[str, Named]:
        if not role.groups:
            return {}
        try:
            scaling = self._scaling()
            shown = scaling.groups(role.groups)
            ids = sorted({one.configuration for one in shown.values() if one.configuration})
            configured = scaling.configurations(ids) if ids else {}
        except CredentialsRejected:
            raise
        except DrError as error:
            unread.append(f"scaling groups could not be looked at: {error}")
            return {}
        named: dict[str, Named] = {}
        for group in role.groups:
            one = shown.get(group)
            stands = None if one is None else configured.get(one.configuration)
            named[group] = (
                Named(shown=False)
                if one is None
                else Named(
                    active=one.active,
                    image=None if stands is None else stands.image,
                    family="" if stands is None else stands.family,
                )
            )
        return named

    def _without_points(self, policy: Policy, role: Role, unread: list[str]) -> list[InstanceId]:
        lacking: list[InstanceId] = []
        for selection in role.restores:
            try:
                data = self._data_disks(policy, selection)
            except CredentialsRejected:
                raise
            except DrError as error:
                unread.append(f"instances could not be looked at: {error}")
                continue
            if len(data) > INSTANCES_AT_MOST:
                log.event("readiness.sampled", subject=role.family, because=[f"{len(data)} instances have data disks"])
            asked = sorted(data)[:INSTANCES_AT_MOST]
            lacking += [instance for instance in asked if not self._covered(instance, data[instance])]
        return list(dict.fromkeys(lacking))

    def _data_disks(self, policy: Policy, selection: Selection) -> dict[InstanceId, set[DiskId]]:
        inventory = self._clouds.at(Place(policy.region)).inventory
        owned = disks_of(inventory, select(inventory, selection).instances)
        found = {
            instance: {disk.id for disk in disks if disk.kind is DiskKind.DATA} for instance, disks in owned.items()
        }
        return {instance: disks for instance, disks in found.items() if disks}

    def _covered(self, instance: InstanceId, disks: set[DiskId]) -> bool:
        left = set(disks)
        for point in self._points.of(instance):
            if point.usable and not point.failed:
                left -= {disk for disk, _ in point.disks}
            if not left:
                return True
        return False

    # Acting ---------------------------------------------------------------------------------------------------------

    def _again(
        self,
        version: PolicyVersion,
        role: Role,
        standing: Iterable[Version],
        named: Mapping[str, Named],
        now: datetime,
    ) -> None:
        """Publish what was published and does not stand. What somebody put there by hand stays: it is told."""
        versions = {one.image: one for one in standing}
        for group, stands in named.items():
            reads = versions.get(stands.image or ImageId(""))
            wanted = self._families.published(role.family, group)
            if wanted is None or reads is None or not stands.active:
                continue
            # Older than was published; or newer, and an operator wanted an older one in its place.
            if not (reads.number < wanted.version or wanted.version < reads.number <= wanted.over):
                continue
            target = versions.get(wanted.image)
            if target is None or not target.startable or self._under_way(role.family):
                continue
            request = PublishRequest(
                image=wanted.image, family=role.family, groups=(group,), asked=now, by="the look at readiness"
            )
            because = f"{group} reads version {reads.number}, and {wanted.version} was published to it"
            self._journal.open(request.operation(policy=version, now=now, because=because))
            wake(self._functions, "recover", request.id)

    def _under_way(self, family: str) -> bool:
        """Or waiting for an operator, who has to mend something first."""
        kind = OperationKind.PUBLISH
        every = (*self._journal.open_of(kind, damaged=[]), *self._journal.waiting(kind))
        return any(PublishRequest.of(one).family in (family, "") for one in every)

    def _tell(self, found: Readiness, version: PolicyVersion, now: datetime) -> None:
        subject = f"image family {found.family}"
        stands = (
            f"{found.image}, version {found.version} of {found.family}, can be started" if found.ready else "not ready"
        )
        made = Decision(
            event="image.ready" if found.ready and not found.lacks else "image.not_ready",
            at=now,
            subject=subject,
            because=(stands, *found.lacks),
            inputs={"family": found.family, "rules": ", ".join(found.rules)},
            policy=version,
            acted=False,
            run=self._run,
        )
        log.decision(made)
        self._decisions.record(subject, made)
