"""Other content for the disks of one instance: may it be, and by which way for each disk? Pure.

A rollback in place needs a snapshot of that very disk, made where the disk stands. Everything else (a copy, a snapshot
of a disk that is gone or was replaced) comes by another disk: a clone takes a data disk's place, and a system disk is
replaced by one made of an image. Source: ECS API, ResetDisk, ReInitDisk, ReplaceSystemDisk, CreateDisk (read 2025).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.domain.group_plan import Move
from shared.domain.ids import DiskId, ImageId, InstanceId, LoadBalancerId, OperationId, SnapshotId
from shared.domain.inventory import Disk, DiskKind, Image, ImageState, Instance, Snapshot, SnapshotState, SystemEvent
from shared.domain.preview import token_of

STANDS_FOR: Final = "understudy:stands-for"
"""Tag of a clone: the disk in whose place the first of its line came. Points of that disk are points of its line."""
REPLACED_BY: Final = "understudy:replaced-by"
"""Tag of a disk that a clone replaced: kept, detached. Its value is the operation."""

SYSTEM_DISK: Final = DiskId("system")
"""In a wish: whichever system disk the instance has."""

IN_USE, AVAILABLE = "in_use", "available"
SETTLED: Final = frozenset({IN_USE, AVAILABLE})


class Way(StrEnum):
    """How a disk gets other content."""

    RESET = "reset"  # rolled back in place to a snapshot of itself
    CLONE = "clone"  # a data disk made of any snapshot takes its place; the old one is kept, detached
    REINITIALISE = "reinitialise"  # as it was when it was new
    REPLACE = "replace"  # a system disk made of an image takes its place; the old one is released by the cloud


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskChange:
    """What is wished for one disk. A `reset` is a wish for the snapshot's content: in place where the cloud allows it,
    else by a clone, or for a system disk by an image."""

    disk: DiskId
    way: Way
    snapshot: SnapshotId | None = None  # reset, clone; replace: an image is first made of it
    image: ImageId | None = None  # replace


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRole:
    """The instance is a region master."""

    pair: str
    site: str
    active: bool  # by the lease; also when nobody knows


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRole:
    """The instance is a member of a scaling group."""

    group: str
    state: str  # the cloud's word, lower case
    aside: Move  # what is to be done before it may be stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """An earlier restore, acknowledged since, took the instance out of service and did not bring it back. Whoever comes
    next does."""

    operation: OperationId
    ran: bool
    group: str  # in which it was put on standby; "" in none
    weights: Mapping[LoadBalancerId, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """One look at an instance and what belongs to it. Only of the disks and snapshots that are asked about."""

    now: datetime
    name: InstanceId
    instance: Instance | None
    disks: tuple[Disk, ...] = ()  # attached to it
    others: tuple[Disk, ...] = ()  # asked about, and there, but not attached to it
    snapshots: Mapping[SnapshotId, Snapshot] = field(default_factory=dict)  # where the point stands
    taken: Mapping[DiskId, tuple[Snapshot, ...]] = field(default_factory=dict)  # of each attached disk, all there are
    images: Mapping[ImageId, Image] = field(default_factory=dict)
    events: tuple[SystemEvent, ...] = ()
    held_by: OperationId | None = None  # another recovery
    pair: PairRole | None = None
    scaling: ScalingRole | None = None
    weights: Mapping[LoadBalancerId, int] = field(default_factory=dict)
    left: LeftOut | None = None
    alone_in: tuple[LoadBalancerId, ...] = ()  # balancers in which no other server takes traffic
    point: str = ""
    last_safety: str = ""  # id of the newest safety point: of the restore that changed it last
    copied: bool = False  # the point stands in another region: its snapshots come back first


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskPlan:
    """One disk's change, fixed once chosen, so that every attempt asks for the same."""

    disk: DiskId  # attached to the instance
    kind: DiskKind
    way: Way
    snapshot: SnapshotId | None = None
    image: ImageId | None = None
    of: DiskId | None = None  # whose snapshot it is, when not its own
    copied: bool = False
    size_gib: int
    becomes_gib: int | None = None  # None: as its image or its making says
    taken: datetime | None = None
    category: str
    zone: str
    device: str
    delete_with_instance: bool
    tags: Mapping[str, str] = field(default_factory=dict)
    because: str  # why this way

    @property
    def irreversible(self) -> bool:
        """Whether the disk's own content is lost, but for the safety snapshot."""
        return self.way is not Way.CLONE

    @property
    def does(self) -> str:
        match self.way:
            case Way.RESET:
                return f"roll {self.disk} back in place to {self.snapshot}"
            case Way.CLONE:
                return f"put a clone made of {self.snapshot} in the place of {self.disk}, which is kept"
            case Way.REINITIALISE:
                return f"make {self.disk} as it was when it was new"
            case Way.REPLACE:
                made = self.image if self.snapshot is None else f"an image made of {self.snapshot}"
                return f"replace system disk {self.disk} by one made of {made}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """Why a disk cannot be changed as wished, and how to mend it."""

    disk: DiskId
    name: str
    says: str
    remedy: str


def token_for(view: Surroundings, disks: Sequence[DiskPlan]) -> str:
    """Of what would be done: the same as long as the same would be. It is used up by the restore that it confirms: a
    command that is repeated must not take away what was written since."""
    return token_of(view.name, view.last_safety, *sorted(_digest(one) for one in disks))


def _digest(one: DiskPlan) -> str:
    return f"{one.disk} {one.way} {one.snapshot} {one.image} {one.size_gib} {one.becomes_gib} {one.copied}"


def choose(wish: DiskChange, view: Surroundings) -> DiskPlan | Unfit:
    """The way for one disk. Says nothing yet of size, state, quota: see `restoring_checks`."""
    snapshot = None if wish.snapshot is None else view.snapshots.get(wish.snapshot)
    if wish.snapshot is not None and snapshot is None:
        return Unfit(
            disk=wish.disk,
            name="snapshot exists",
            says=f"the cloud does not show {wish.snapshot}",
            remedy=f"Choose another point: `understudy points {view.name}`",
        )
    disk = _attached(wish.disk, snapshot, view)
    if isinstance(disk, Unfit):
        return disk
    if snapshot is not None:
        unfit = _unfit_snapshot(wish, snapshot, disk, view)
        if unfit is not None:
            return unfit
    return _planned(wish, disk, snapshot, view)


def _attached(wanted: DiskId, snapshot: Snapshot | None, view: Surroundings) -> Disk | Unfit:
    """The attached disk that is meant: itself, the clone that stands for it, or the system disk that came after it."""
    for disk in view.disks:
        if disk.id == wanted:
            return disk
    line = next((one.tags.get(STANDS_FOR, one.id) for one in view.others if one.id == wanted), wanted)
    for disk in view.disks:
        if disk.tags.get(STANDS_FOR, disk.id) == line:
            return disk
    if wanted == SYSTEM_DISK or (snapshot is not None and snapshot.disk_kind is DiskKind.SYSTEM):
        for disk in view.disks:
            if disk.kind is DiskKind.SYSTEM:
                return disk
    there = next((one for one in view.others if one.id == wanted), None)
    where = f"is {there.state}{f', attached to {there.instance}' if there.instance else ''}" if there else "is gone"
    return Unfit(
        disk=wanted,
        name="disk attached to this instance",
        says=f"{wanted} is not attached to {view.name}: it {where}",
        remedy=f"Attach it, or name the disks to restore: {', '.join(one.id for one in view.disks) or 'none'}",
    )


def _unfit_snapshot(wish: DiskChange, snapshot: Snapshot, disk: Disk, view: Surroundings) -> Unfit | None:
    another = f"Choose another point: `understudy points {view.name}`"
    if snapshot.state is SnapshotState.FAILED:
        return Unfit(disk=disk.id, name="snapshot usable", says=f"{snapshot.id} has failed", remedy=another)
    if not snapshot.usable:
        says = f"{snapshot.id} is {snapshot.progress_percent} % complete and cannot be used before it is complete"
        return Unfit(disk=disk.id, name="snapshot usable", says=says, remedy=f"Wait for it. {another}")
    if snapshot.archived:
        says = f"{snapshot.id} is archived, and an archive can neither be rolled back to nor cloned"
        return Unfit(disk=disk.id, name="snapshot not archived", says=says, remedy=another)
    if snapshot.disk_kind is not disk.kind:
        says = f"{snapshot.id} was taken of a {snapshot.disk_kind} disk, {disk.id} is a {disk.kind} disk"
        return Unfit(disk=disk.id, name="snapshot of this disk", says=says, remedy=another)
    own = snapshot.disk == disk.id and not view.copied
    if own and snapshot.encrypted != disk.encrypted and wish.way is Way.RESET:
        says = f"{snapshot.id} is {_crypt(snapshot.encrypted)}, {disk.id} is {_crypt(disk.encrypted)}"
        return Unfit(disk=disk.id, name="encrypted alike", says=says, remedy=f"The cloud refuses that. {another}")
    if disk.kind is DiskKind.SYSTEM and snapshot.encrypted and not own:
        says = f"{snapshot.id} is encrypted and not of {disk.id}: the cloud makes no image of it"
        return Unfit(disk=disk.id, name="an image can be made of it", says=says, remedy=another)
    return None


def _crypt(encrypted: bool) -> str:
    return "encrypted" if encrypted else "not encrypted"


def _planned(wish: DiskChange, disk: Disk, snapshot: Snapshot | None, view: Surroundings) -> DiskPlan | Unfit:
    way, because = _way(wish, disk, snapshot, view)
    if way is Way.REPLACE and disk.kind is not DiskKind.SYSTEM:
        says = f"{disk.id} is a data disk, and only a system disk is made of an image"
        return Unfit(disk=disk.id, name="a system disk", says=says, remedy="Name a snapshot for it instead")
    if way is Way.REPLACE and snapshot is None:
        unfit = _unfit_image(wish.image, disk, view)
        if unfit is not None:
            return unfit
    becomes: int | None = None
    if way is Way.REPLACE:
        becomes = max(disk.size_gib, _system_gib(wish.image, view) if snapshot is None else snapshot.size_gib)
    elif snapshot is not None:
        becomes = snapshot.size_gib if way is Way.RESET else max(disk.size_gib, snapshot.size_gib)
    return DiskPlan(
        disk=disk.id,
        kind=disk.kind,
        way=way,
        snapshot=None if snapshot is None else snapshot.id,
        image=None if way is not Way.REPLACE or snapshot is not None else wish.image,
        of=None if snapshot is None or snapshot.disk == disk.id else snapshot.disk,
        copied=view.copied and snapshot is not None,
        size_gib=disk.size_gib,
        becomes_gib=becomes,
        taken=None if snapshot is None else snapshot.created,
        category=disk.category,
        zone=disk.zone,
        device=disk.device,
        delete_with_instance=disk.delete_with_instance,
        tags=disk.tags,
        because=because,
    )


def _system_gib(image: ImageId | None, view: Surroundings) -> int:
    """0: not known."""
    found = None if image is None else view.images.get(image)
    return max((one.size_gib for one in found.disks if one.kind is DiskKind.SYSTEM), default=0) if found else 0


def _way(wish: DiskChange, disk: Disk, snapshot: Snapshot | None, view: Surroundings) -> tuple[Way, str]:
    if snapshot is None:
        return wish.way, "asked for"
    other = Way.CLONE if disk.kind is DiskKind.DATA else Way.REPLACE
    if view.copied:
        return other, "a copied snapshot cannot roll its source back"
    if snapshot.disk != disk.id:
        return other, f"the snapshot is of {snapshot.disk}, not of this disk"
    if wish.way is not Way.RESET:
        return other, "asked for"
    return Way.RESET, "a snapshot of this very disk"


def _unfit_image(image: ImageId | None, disk: Disk, view: Surroundings) -> Unfit | None:
    found = None if image is None else view.images.get(image)
    if found is not None and found.state in (ImageState.AVAILABLE, ImageState.DEPRECATED):
        return None
    says = f"image {image} is {'not shown by the cloud' if found is None else found.state.value}"
    remedy = "Name an available image of this region"
    if found is not None and found.state is ImageState.CREATING:
        remedy = "Wait until it is available"
    return Unfit(disk=disk.id, name="image usable", says=says, remedy=remedy)
