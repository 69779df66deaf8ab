"""What a replacement is made of: an image of the family, and data disks from the instance's own restore points."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from shared.domain.ids import DiskId, ImageId, InstanceId, OperationId, SnapshotId
from shared.domain.inventory import Disk, DiskKind, Image, ImageState, Instance, Snapshot, SnapshotState
from shared.domain.provenance import OPERATION, operation_tag
from shared.domain.rebuild import REPLACES
from shared.domain.retention import RestorePoint

OWN_TAGS: Final = "understudy:"
RESERVED_TAGS: Final = ("aliyun", "acs:")
"""Source: ECS API, TagResources: keys must not start with these."""
MAX_TAGS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredDisk:
    disk: DiskId  # whose bytes
    snapshot: SnapshotId
    taken: datetime
    category: str
    device: str
    delete_with_instance: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """Everything that the create call needs, fixed once chosen, so that every attempt asks for the same."""

    replaces: InstanceId
    image: ImageId
    instance_type: str
    zone: str
    vswitch: str
    security_groups: tuple[str, ...]
    name: str
    host_name: str
    key_pair: str
    system_disk_category: str
    data_disks: tuple[RestoredDisk, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """No replacement can be made of what there is; an operator must provide it."""

    because: tuple[str, ...]


def choose(
    *,
    instance: Instance,
    disks: Iterable[Disk],
    images: Iterable[Image],
    family: str,
    points: Iterable[RestorePoint],
    snapshots: Iterable[Snapshot],
    operation: OperationId,
    now: datetime,
) -> Replacement | Missing:
    """The newest usable image of `family`, and every data disk from the newest restore point that can be restored.

    `points` are the instance's own, `snapshots` what the cloud says *now* about the snapshots in them: our record says
    what a point is, the cloud says whether it still stands. All data disks come from one point if any point has them
    all (they then share one instant); only otherwise each from its own newest. A data disk without a usable point is
    missing: data is never dropped silently.
    """
    own = tuple(disks)
    system = next((disk for disk in own if disk.kind is DiskKind.SYSTEM), None)
    data = sorted((disk for disk in own if disk.kind is DiskKind.DATA), key=lambda disk: (disk.device, disk.id))
    image = newest_image(images, family=family, data_disks=len(data))
    restored = _restore(data, points, {snapshot.id: snapshot for snapshot in snapshots}, now)
    problems = []
    if image is None:
        problems.append(f"image family {family} has no available image that fits: make one of a healthy instance")
    if system is None:
        problems.append("its system disk is not in the inventory, so the new one's category is unknown")
    problems += [f"data disk {disk.id} has no usable restore point" for disk in data if disk.id not in restored]
    if image is None or system is None or problems:
        return Missing(because=tuple(problems))
    return Replacement(
        replaces=instance.id,
        image=image.id,
        instance_type=instance.instance_type,
        zone=instance.zone,
        vswitch=instance.vswitch,
        security_groups=instance.security_groups,
        name=instance.name,
        host_name=instance.host_name,
        key_pair=instance.key_pair,
        system_disk_category=system.category,
        data_disks=tuple(
            RestoredDisk(
                disk=disk.id,
                snapshot=restored[disk.id][0],
                taken=restored[disk.id][1],
                category=disk.category,
                device=disk.device,
                delete_with_instance=disk.delete_with_instance,
            )
            for disk in data
        ),
        tags=successor_tags(instance, operation=operation),
    )


def newest_image(images: Iterable[Image], *, family: str, data_disks: int) -> Image | None:
    """Available, of the family, newest first; without more data disks than the instance had.

    An image's own data disks are created too, unless the request has one for the same device, which then takes its
    place (assumption; so the disks of what was created are counted before it is given traffic).
    """
    usable = [
        image
        for image in images
        if image.family == family and image.state is ImageState.AVAILABLE and len(image.snapshots) <= 1 + data_disks
    ]
    return max(usable, key=lambda image: (image.created, image.id), default=None)


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
    newest_first = sorted((p for p in points if p.taken <= now and not p.failed), key=lambda p: p.taken, reverse=True)
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
