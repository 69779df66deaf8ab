"""Restore points of a small fleet, straight in the cloud and in our records: what months of back-ups leave, at once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.domain import provenance
from shared.domain.ids import DiskId, InstanceId, OperationId, PolicyVersion, SnapshotId
from shared.domain.place import Place
from shared.domain.policy import Policy, Protection, Retention
from shared.domain.retention import RestorePoint
from shared.state.decisions import Decisions
from shared.state.points import Points
from tests.usecases.backup_world import APPLICATIONS, PLACE, World, a_policy
from understudy.simulation.compute import InProcessClouds
from understudy.simulation.store import InProcessStore

SHANGHAI = Place("cn-shanghai")
OPERATION = OperationId("back_up/applications/hourly")

HEAD = """
zones: [cn-hangzhou-h]
vpc: {id: vpc-test, cidr: 10.0.0.0/16}
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24}]
security_groups: [{id: sg-test, vpc: vpc-test}]
images: [{id: m-base, name: base, family: app, system_disk_gib: 20}]
instances:
"""
INSTANCE = """  - {{id: i-{n:03}, name: app-{n}, image: m-base, vswitch: vsw-h, address: 10.0.1.{address},
     type: ecs.g7.large, tags: {{role: app}}, system_disk: {{id: d-{n:03}-sys, size_gib: 20, category: cloud_essd}},
     data_disks: [{{id: d-{n:03}-data, size_gib: 40, category: cloud_essd}}], state: Running}}
"""


def keeping(**keep: Any) -> Protection:
    return replace(APPLICATIONS, keep=Retention(**keep))


class Stage(World):
    """`instances` servers i-000, i-001... of two ESSD disks each."""

    def __init__(self, instances: int = 3, policy: Policy | None = None) -> None:
        self.count = instances
        stands = HEAD + "".join(INSTANCE.format(n=n, address=10 + n) for n in range(instances))
        super().__init__(policy or a_policy(keeping(last=1)), stands=stands)

    @property
    def subjects(self) -> tuple[InstanceId, ...]:
        return tuple(InstanceId(f"i-{n:03}") for n in range(self.count))

    # taking

    def take(self, *, each: int = 0, place: Place = PLACE, **said: Any) -> list[RestorePoint]:
        """A point of every instance, now, complete after ten minutes. `each`: so many disks in one snapshot group, over
        several instances; 0: no groups."""
        at = self.clock.now()
        disks = [(subject, disk) for subject in self.subjects for disk in _disks(subject)]
        made: dict[InstanceId, list[tuple[DiskId, SnapshotId]]] = {one: [] for one in self.subjects}
        groups: dict[InstanceId, Any] = {}
        tags = provenance.tags(OPERATION, PolicyVersion(1), protection="applications", slot=at)
        real = InProcessClouds(self.cloud).at(PLACE)
        for start in range(0, len(disks), each or 1):
            some = disks[start : start + (each or 1)]
            if not each:
                ((subject, disk),) = some
                made[subject].append(
                    (disk, real.snapshots.create(disk, name="understudy-x", tags=tags, token=f"{at:%s}{disk}"))
                )
                continue
            group = real.snapshots.create_group(
                [d for _, d in some], name="understudy-x", tags=tags, token=f"{at:%s}{start}"
            )
            (shown,) = real.snapshots.groups(ids=[group])
            of = dict(zip(shown.disks, shown.members, strict=True))
            real.instances.tag(list(of.values()), resource_type="snapshot", tags=tags)
            for subject, disk in some:
                made[subject].append((disk, of[disk]))
                groups[subject] = group
        self.advance(minutes=10)
        return [self.record(subject, at, made[subject], group=groups.get(subject), **said) for subject in made]

    def record(
        self, subject: InstanceId, at: datetime, disks: Sequence[tuple[DiskId, SnapshotId]], **said: Any
    ) -> RestorePoint:
        fields: dict[str, Any] = {
            "id": f"applications/hourly/{at:%Y-%m-%dT%H:%M:%SZ}/{subject}",
            "subject": subject,
            "slot": at,
            "schedule": "hourly",
            "taken": at,
            "usable": True,
            "complete": True,
            "disks": tuple(disks),
            "protection": "applications",
            "policy": PolicyVersion(1),
            "place": PLACE,
        }
        point = RestorePoint(**(fields | said))
        self.known.put([point])
        return point

    def hours(self, count: int, **how: Any) -> list[list[RestorePoint]]:
        """Of each of the last `count` hours."""
        taken = []
        for _ in range(count):
            taken.append(self.take(**how))
            self.advance(minutes=50)
        return taken

    def copy(self, points: Sequence[RestorePoint], *, complete: bool = True) -> list[RestorePoint]:
        """Into Shanghai, with records of their own; their sources wait for them until they are `complete`."""
        copies = []
        for point in points:
            tags = provenance.tags(OperationId(f"copy/{point.id}"), PolicyVersion(1), protection=point.protection)
            made = []
            for disk, snapshot in point.disks:
                snapshots = InProcessClouds(self.cloud).at(PLACE).snapshots
                token = f"{snapshot}"
                made.append(
                    (disk, snapshots.copy(snapshot, to=SHANGHAI.region, name="understudy-c", tags=tags, token=token))
                )
                self.advance(minutes=10)  # one unfinished copy per disk and region
            self.known.put([replace(point, copy_to=(SHANGHAI.region,))])
            if complete:
                self.known.copied(point, SHANGHAI.region, because="complete")
                copies.append(
                    self.record(
                        point.subject, point.taken, made, id=f"{point.id}@{SHANGHAI.region}", place=SHANGHAI,
                        copy_of=point.id,
                    )
                )  # fmt: skip
        return copies

    # what came out

    @property
    def known(self) -> Points:
        return Points(InProcessStore(self.cloud, "understudy"))

    def calls(self, since: int) -> list[str]:
        """Of the cloud, one label each."""
        return [label for label in self.wire.labels[since:] if not label.startswith("store.")]

    def in_place(self, place: Place = PLACE) -> set[str]:
        return {one.id for one in InProcessClouds(self.cloud).at(place).snapshots.list()}

    def recorded(self, place: Place = PLACE) -> set[str]:
        return {s for point in self.points() if (point.place or PLACE) == place for _, s in point.disks}

    def told(self) -> list[str]:
        return [one.event for one in Decisions(InProcessStore(self.cloud, "understudy")).of("prune")]

    def dark(self, place: Place, raises: Exception) -> None:
        """No listing of snapshots there is answered."""
        whole = self.clouds.at(place).snapshots

        class Dark:
            def __getattr__(self, name: str) -> object:
                return getattr(whole, name)

            def list(self, **asked: object) -> object:
                raise raises

        self.clouds.at(place).snapshots = Dark()


def ids(points: Sequence[RestorePoint]) -> set[str]:
    return {point.id for point in points}


def snapshots(points: Sequence[RestorePoint]) -> set[str]:
    return {snapshot for point in points for _, snapshot in point.disks}


def _disks(subject: InstanceId) -> tuple[DiskId, DiskId]:
    number = subject.removeprefix("i-")
    return DiskId(f"d-{number}-sys"), DiskId(f"d-{number}-data")
