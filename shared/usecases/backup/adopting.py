"""Whether a foreign snapshot may be taken over: what an adoption was asked, and the verdict on each one it names.

From then on an adopted snapshot is a restore point like any other: retention judges it, and prune deletes it. So it
must be whole, of a disk that the protection stands for, and nobody else's.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from shared.domain import provenance
from shared.domain.ids import DiskId, InstanceId, OperationId, PolicyVersion, SnapshotId
from shared.domain.inventory import Disk, Instance, Snapshot, SnapshotState
from shared.domain.operation import Operation, OperationKind, opened
from shared.domain.place import Place
from shared.domain.policy import Protection
from shared.domain.retention import Level, RestorePoint
from shared.domain.selection import selects, takes
from shared.state import codec

ADOPTED: Final = "adopted"
"""Schedule name of points that were taken over."""
MOST: Final = 500
"""Snapshots of one request: its operation is one row, and its run a few minutes."""
_OTHERS: Final = "acs:"
"""Begins the keys of tags that only the cloud's own products set. *Assumption*: a snapshot with one belongs to the
product that set it. Source for the reserved prefix: ECS API, TagResources, read 2026-03."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptRequest:
    protection: str
    snapshots: tuple[SnapshotId, ...]
    asked: datetime
    by: str = ""
    instance: InstanceId | None = None  # whose history it belongs to, where the disk does not tell any more
    automatic: bool = False  # also those of native policies, which may delete them under our hands

    @property
    def id(self) -> OperationId:
        named = hashlib.sha256("\x1f".join(sorted(self.snapshots)).encode()).hexdigest()[:8]
        return OperationId(f"adopt/{self.protection}/{codec.second(self.asked)}/{named}")

    def operation(self, *, policy: PolicyVersion, now: datetime, because: str) -> Operation:
        return opened(
            self.id,
            OperationKind.ADOPT,
            self.protection,
            policy=policy,
            now=now,
            because=because,
            request=codec.dump(self),
        )

    @classmethod
    def of(cls, operation: Operation) -> "AdoptRequest":
        return codec.load(cls, operation.inputs["request"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was read for one request."""

    snapshots: Mapping[SnapshotId, Snapshot]
    disks: Mapping[DiskId, Disk]
    instances: Mapping[InstanceId, Instance]
    stand_ins: frozenset[InstanceId] = frozenset()  # that stand for what the protection names by id
    attached: Mapping[InstanceId, int] = field(default_factory=dict)  # disks that the protection takes
    points: Mapping[SnapshotId, RestorePoint] = field(default_factory=dict)  # in our records already


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """May be taken over."""

    snapshot: Snapshot
    subject: InstanceId
    level: Level

    def point(self, request: AdoptRequest, place: Place, policy: PolicyVersion, seen: datetime) -> RestorePoint:
        """Its clock is the cloud's; what its name or its tags say of times is nobody's evidence."""
        taken = self.snapshot.created
        return RestorePoint(
            id=f"{request.protection}/{ADOPTED}/{codec.second(taken)}/{self.snapshot.id}",
            subject=self.subject,
            slot=taken,
            schedule=ADOPTED,
            taken=taken,
            usable=True,
            complete=True,
            disks=((self.snapshot.disk, self.snapshot.id),),
            protection=request.protection,
            policy=policy,
            place=place,
            level=self.level,
            complete_since=seen,
            adopted=True,
        )

    def tags(self, request: AdoptRequest, policy: PolicyVersion) -> dict[str, str]:
        return provenance.tags(
            request.id,
            policy,
            instance=self.subject,
            protection=request.protection,
            schedule=ADOPTED,
            slot=self.snapshot.created,
        )


def judge(id_: SnapshotId, request: AdoptRequest, protection: Protection, known: Known) -> Taken | str:
    """Or why not, with the remedy. One that this very request has marked already goes on, whatever befell since, as
    long as it is whole: it was accepted, and marked without a point it would be nobody's."""
    snapshot = known.snapshots.get(id_)
    if snapshot is None:
        return (
            "the cloud does not show it. Check the id and the region (a role without ecs:DescribeSnapshots sees none)"
        )
    whole = _whole(snapshot)
    if whole:
        return whole
    subject = _subject(snapshot, request, protection, known)
    if isinstance(subject, str):
        return subject
    taken = Taken(snapshot=snapshot, subject=subject[0], level=_level(snapshot, subject[0], known))
    marked = snapshot.tags.get(provenance.OPERATION)
    if marked == provenance.operation_tag(request.id):
        return taken
    point = known.points.get(id_)
    if point is not None:
        return f"it is restore point {point.id} already"
    if marked is not None and snapshot.tags.get(provenance.SCHEDULE) != ADOPTED:
        return "Understudy made it itself, and keeps or forgets it by its own records"
    return _others(snapshot, request) or taken


def _whole(snapshot: Snapshot) -> str:
    if snapshot.state is SnapshotState.FAILED:
        return "it failed: nothing can be restored from it"
    if snapshot.state is not SnapshotState.ACCOMPLISHED or not snapshot.usable:
        return f"it is not complete ({snapshot.progress_percent} percent). Adopt it when it is"
    return ""


def _others(snapshot: Snapshot, request: AdoptRequest) -> str:
    """Whether somebody else counts on it."""
    if snapshot.automatic and not request.automatic:
        return "a native policy made it and may delete it by its own retention. If that is meant, say --automatic"
    if snapshot.usage != "none":
        return f"it is in use ({snapshot.usage}): an image or a disk was made of it and refers to it"
    reserved = sorted(key for key in snapshot.tags if key.startswith(_OTHERS))
    if reserved:
        return f"it belongs to another product (tag {reserved[0]})"
    return ""


def _subject(
    snapshot: Snapshot, request: AdoptRequest, protection: Protection, known: Known
) -> tuple[InstanceId] | str:
    """The instance in whose history it belongs, or why there is none."""
    disk = known.disks.get(snapshot.disk)
    if disk is None or disk.instance is None:
        gone = f"its disk {snapshot.disk} is {'gone' if disk is None else 'attached to no instance'}"
        if request.instance is None:
            return f"{gone}. Say whose history it belongs to with --instance"
        return _selected(request.instance, protection, known, gone_too=True)
    if request.instance not in (None, disk.instance):
        return f"its disk {disk.id} is attached to {disk.instance}, not to {request.instance}. Leave --instance out"
    if not takes(protection.select.disks, disk):
        return f"protection {protection.name} leaves its disk {disk.id} out"
    return _selected(disk.instance, protection, known, gone_too=False)


def _selected(instance: InstanceId, protection: Protection, known: Known, *, gone_too: bool) -> tuple[InstanceId] | str:
    found = known.instances.get(instance)
    if found is None and gone_too:
        return (instance,)
    if found is None:
        return f"its instance {instance} is not shown. A role without ecs:DescribeInstances sees none"
    if instance in known.stand_ins or selects(protection.select, found):
        return (instance,)
    return f"protection {protection.name} does not select {instance}"


def _level(snapshot: Snapshot, subject: InstanceId, known: Known) -> Level:
    """Of an instance with one disk, a snapshot is all there is of one instant."""
    disk = known.disks.get(snapshot.disk)
    alone = known.attached.get(subject) == 1 and disk is not None and disk.instance == subject
    return Level.CRASH if alone else Level.DISK
