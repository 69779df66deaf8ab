"""What a replacement is made of, and where it may stand: an image of the family, the old one's data disks or its
restore points, its address, its places behind balancers and in a scaling group. Pure: what was read goes in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from shared.domain.ids import DiskId, ImageId, InstanceId, LoadBalancerId, OperationId, SnapshotId
from shared.domain.inventory import (
    Disk,
    DiskKind,
    Image,
    ImageState,
    Instance,
    Setup,
    Snapshot,
    SnapshotState,
    VSwitch,
)
from shared.domain.policy import Address, DataFrom, RebuildRule
from shared.domain.provenance import OPERATION, operation_tag
from shared.domain.rebuild import REPLACES
from shared.domain.retention import RestorePoint

SYSTEM_OF: Final = "understudy:system-of"
"""Tag of an image of a system disk alone: the full image whose system disk that is. It is in no family: who asks for
the newest of the family means the full one."""
OWN_TAGS: Final = "understudy:"
RESERVED_TAGS: Final = ("aliyun", "acs:")
"""Source: ECS API, TagResources: keys must not start with these."""
MAX_TAGS: Final = 20


CLOUD_DISKS: Final = "cloud"
"""Categories whose disks can be detached and attached elsewhere begin with it; local disks stay with their host."""
MOVABLE: Final = ("in_use", "available")
"""Available: an earlier attempt took it off the old one."""
SICK_DISK: Final = ("ErrorDetected", "Stalled")
"""Types of events about a disk. Source: ECS system events, read 2021."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredDisk:
    """A data disk made of a snapshot."""

    disk: DiskId  # whose bytes
    snapshot: SnapshotId
    taken: datetime
    category: str
    device: str
    delete_with_instance: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedDisk:
    """A data disk that survived: taken off the old one and given to the new one as it is."""

    disk: DiskId
    device: str
    delete_with_instance: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to ask for the new one. They are tried in order, each under a token of its own."""

    zone: str
    vswitch: str
    instance_type: str
    image: ImageId
    keeps_address: bool  # the old one's, once it was moved off it
    moves_disks: bool  # else its data disks are made of snapshots


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One pool's member, as it was when the old one was found lost."""

    balancer: LoadBalancerId
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """Everything that the create call needs, fixed once chosen, so that every attempt asks for the same."""

    replaces: InstanceId
    candidates: tuple[Candidate, ...]  # at least one
    security_groups: tuple[str, ...]
    name: str
    host_name: str
    key_pair: str
    system_disk_category: str
    system_disk_gib: int
    restored: tuple[RestoredDisk, ...] = ()  # for candidates that move no disks
    moved: tuple[MovedDisk, ...] = ()  # for those that do
    address: str = ""  # the old one's
    vswitch: str = ""  # in which it had that
    role: str = ""
    user_data: bool = False  # whether it has some: read again for the call, since it may hold secrets
    backends: tuple[Backend, ...] = ()
    public: tuple[str, ...] = ()  # allocations of its public addresses
    group: str = ""  # the scaling group that it is taken off and the new one joins
    notes: tuple[str, ...] = ()  # what an operator should know of the choice
    system_of: ImageId | None = None  # full image: one of its system disk alone is made first, for disks that move
    system_snapshot: SnapshotId | None = None  # of what
    adopts: str = ""  # the replacement that an earlier attempt made and that stands
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def keeps_address(self) -> bool:
        return any(one.keeps_address for one in self.candidates)

    @property
    def moves_disks(self) -> bool:
        return any(one.moves_disks for one in self.candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """No replacement can be made of what there is; an operator must provide it."""

    because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read about the old one and around it, in one look."""

    instance: Instance
    disks: tuple[Disk, ...]
    images: tuple[Image, ...]  # of the rule's family
    systems: tuple[Image, ...] = ()  # of the system disk alone of the newest of those
    no_system: str = ""  # why none such can be made
    points: tuple[RestorePoint, ...]  # its own
    snapshots: tuple[Snapshot, ...]  # what the cloud says *now* of those in the points
    vswitches: tuple[VSwitch, ...] = ()
    setup: Setup = field(default_factory=Setup)
    backends: tuple[Backend, ...] = ()
    public: tuple[str, ...] = ()
    group: str = ""
    sick_disks: bool = False  # the cloud says that a disk of it fails


def choose(seen: Seen, rule: RebuildRule, *, operation: OperationId, now: datetime) -> Replacement | Missing:
    """The newest usable image, and every data disk: moved over where it can be, else from the newest restore point.

    All restored disks come from one point if any point has them all (they then share one instant); only otherwise each
    from its own newest. A data disk without a source is missing: data is never dropped silently.

    Places in order: its own zone by its own type, then by the other types, then the same elsewhere. Only its own
    vSwitch can keep the address, only its own zone can take the disks.
    """
    old = seen.instance
    system = next((disk for disk in seen.disks if disk.kind is DiskKind.SYSTEM), None)
    data = sorted((disk for disk in seen.disks if disk.kind is DiskKind.DATA), key=lambda disk: (disk.device, disk.id))
    sources = _restore(data, seen.points, {snapshot.id: snapshot for snapshot in seen.snapshots}, now)
    pointless = [disk.id for disk in data if disk.id not in sources]
    whole = newest_image(seen.images, family=rule.image_family, data_disks=len(data))
    bare, system_of = _system_image(seen, rule)
    moves, notes = _moves(data, rule, seen, bare)
    problems: list[str] = []
    if whole is None and not moves:
        problems.append(
            f"image family {rule.image_family} has no available image that fits: make one of a healthy instance"
        )
    if system is None:
        problems.append("its system disk is not in the inventory, so the new one's category is unknown")
    if not moves:
        problems += [f"data disk {one} has no usable restore point" for one in pointless]
    if system is None or problems:
        return Missing(because=(*problems, *notes))
    candidates = []
    for zone, vswitch in _places(old, rule, seen.vswitches):
        here = moves and zone == old.zone
        image = bare if here else whole
        if not here and pointless:
            notes.append(f"{zone} is out of the question: {', '.join(pointless)} has no usable restore point")
            continue
        if image is None:
            notes.append(
                f"{zone} is out of the question: every image of {rule.image_family} has more data disks than it"
            )
            continue
        candidates += [
            Candidate(
                zone=zone,
                vswitch=vswitch,
                instance_type=type_,
                image=image.id,
                keeps_address=rule.address is Address.KEEP and vswitch == old.vswitch,
                moves_disks=here,
            )
            for type_ in dict.fromkeys((old.instance_type, *rule.instance_types))
        ]
    if not candidates:
        return Missing(because=(f"vSwitch {old.vswitch} is gone, and the rule names no other that stands", *notes))
    to_make = any(one.moves_disks for one in candidates)
    return Replacement(
        replaces=old.id,
        candidates=tuple(candidates),
        security_groups=old.security_groups,
        name=old.name,
        host_name=old.host_name,
        key_pair=old.key_pair,
        role=seen.setup.role,
        user_data=bool(seen.setup.user_data),
        system_disk_category=system.category,
        system_disk_gib=max(system.size_gib, *(_system_gib(one) for one in (whole, bare))),
        restored=tuple(
            RestoredDisk(
                disk=disk.id,
                snapshot=sources[disk.id][0],
                taken=sources[disk.id][1],
                category=disk.category,
                device=disk.device,
                delete_with_instance=disk.delete_with_instance,
            )
            for disk in data
            if disk.id in sources and not pointless
        ),
        moved=tuple(
            MovedDisk(disk=disk.id, device=disk.device, delete_with_instance=disk.delete_with_instance)
            for disk in data
            if moves
        ),
        address=old.private_address,
        vswitch=old.vswitch,
        backends=seen.backends,
        public=seen.public,
        group=seen.group,
        system_of=system_of.id if to_make and system_of else None,
        system_snapshot=_system_snapshot(system_of) if to_make and system_of else None,
        notes=tuple(notes),
        tags=successor_tags(old, operation=operation),
    )


def _moves(data: Sequence[Disk], rule: RebuildRule, seen: Seen, bare: Image | None) -> tuple[bool, list[str]]:
    """Whether its data disks can be given to the new one, and why not."""
    if not data or rule.data_from is DataFrom.POINTS:
        return False, []
    ids = ", ".join(disk.id for disk in data)
    if seen.sick_disks:
        return False, [f"the cloud reports a failing disk, so {ids} stay with the old one and points are used"]
    unfit = [disk.id for disk in data if disk.state not in MOVABLE or not disk.category.startswith(CLOUD_DISKS)]
    if unfit:
        return False, [f"{', '.join(unfit)} cannot be moved to another instance, so points are used"]
    if bare is None:
        why = f" (none can be made: {seen.no_system})" if seen.no_system else ""
        return False, [
            f"every usable image of family {rule.image_family} brings data disks of its own, so points are used and "
            f"{ids} stay with the old one: they may hold newer data. An image of the system disk alone lets them "
            f"move{why}"
        ]
    newest = newest_image(seen.images, family=rule.image_family)
    if newest is not None and bare.family == rule.image_family and bare.id != newest.id and seen.no_system:
        return True, [f"{bare.id} is older than {newest.id}, and of that none of the system disk alone can be made"]
    return True, []


def _system_image(seen: Seen, rule: RebuildRule) -> tuple[Image | None, Image | None]:
    """By which an instance gets a system disk and no data disks: the newest of the family, or one made of its system
    disk alone; the other is the full one that such an image has yet to be made of. Only where that cannot be, an older
    one of the family will do: newer data count more than a newer system."""
    newest = newest_image(seen.images, family=rule.image_family)
    if newest is None or not data_disks_of(newest):
        return newest, None
    made = [one for one in seen.systems if one.state is ImageState.AVAILABLE and one.tags.get(SYSTEM_OF) == newest.id]
    if made:
        return max(made, key=lambda image: (image.created, image.id)), None
    if not seen.no_system and _system_snapshot(newest):
        return newest, newest
    return newest_image(seen.images, family=rule.image_family, data_disks=0), None


def _system_snapshot(image: Image) -> SnapshotId | None:
    """None where the cloud has not said which of its snapshots that is."""
    return next((disk.snapshot for disk in image.disks if disk.kind is DiskKind.SYSTEM and disk.snapshot), None)


def with_image(plan: Replacement, image: ImageId) -> Replacement:
    """The image of the system disk alone stands."""
    candidates = tuple(replace(one, image=image) if one.moves_disks else one for one in plan.candidates)
    return replace(plan, candidates=candidates, system_of=None, system_snapshot=None)


def _places(old: Instance, rule: RebuildRule, vswitches: Iterable[VSwitch]) -> list[tuple[str, str]]:
    """Those whose vSwitch stands, in the zone and VPC that it should be in."""
    stand = {one.id: one for one in vswitches}
    wanted = dict.fromkeys([(old.zone, old.vswitch), *((one.zone, one.vswitch) for one in rule.elsewhere)])
    return [
        (zone, vswitch)
        for zone, vswitch in wanted
        if vswitch in stand and stand[vswitch].zone == zone and stand[vswitch].vpc == old.vpc
    ]


def _system_gib(image: Image | None) -> int:
    """0 where the cloud has not said."""
    return max((disk.size_gib for disk in image.disks if disk.kind is DiskKind.SYSTEM), default=0) if image else 0


def newest_image(images: Iterable[Image], *, family: str, data_disks: int | None = None) -> Image | None:
    """Available, of the family, newest first; without more data disks than `data_disks` (None: however many).

    An image's own data disks are created too, unless the request has one for the same device, which then takes its
    place (assumption; so the disks of what was created are counted before it is given traffic).
    """
    usable = [
        image
        for image in images
        if image.family == family
        and image.state is ImageState.AVAILABLE
        and (data_disks is None or data_disks_of(image) <= data_disks)
    ]
    return max(usable, key=lambda image: (image.created, image.id), default=None)


def data_disks_of(image: Image) -> int:
    if image.disks:
        return sum(disk.kind is DiskKind.DATA for disk in image.disks)
    return max(len(image.snapshots) - 1, 0)


def successor_tags(instance: Instance, *, operation: OperationId) -> dict[str, str]:
    """The old one's tags, so that protections and rules pick the new one up; ours say where it comes from."""
    own = {OPERATION: operation_tag(operation), REPLACES: str(instance.id)}
    kept = {
        key: value for key, value in sorted(instance.tags.items()) if not key.startswith((OWN_TAGS, *RESERVED_TAGS))
    }
    return dict(list(kept.items())[: MAX_TAGS - len(own)]) | own


_Source = tuple[SnapshotId, datetime]


def _restore(
    data: list[Disk], points: Iterable[RestorePoint], snapshots: Mapping[SnapshotId, Snapshot], now: datetime
) -> dict[DiskId, _Source]:
    wanted = {disk.id for disk in data}
    # A safety point holds what a restore was to take away: never the newest state by itself.
    own = (point for point in points if point.taken <= now and not point.failed and not point.safety)
    newest_first = sorted(own, key=lambda point: point.taken, reverse=True)
    each: dict[DiskId, _Source] = {}
    for point in newest_first:
        good = {
            disk: (snapshot, point.taken)
            for disk, snapshot in point.disks
            if disk in wanted and _restorable(snapshots.get(snapshot), disk)
        }
        if good.keys() == wanted:
            return good
        for disk, source in good.items():
            each.setdefault(disk, source)
    return each


def _restorable(snapshot: Snapshot | None, disk: DiskId) -> bool:
    return (
        snapshot is not None
        and snapshot.usable
        and snapshot.state is not SnapshotState.FAILED
        and snapshot.disk == disk
    )
