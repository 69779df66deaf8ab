"""What an image is made of: every disk of an instance, or chosen snapshots with their devices.

Both are checked first and taken afterwards, so that a refused image leaves no snapshots behind.
Source: ECS API CreateImage, read 2026.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.instances import Instance
    from emulator.ecs.model import Ecs
    from emulator.ecs.snapshot import Snapshot

DATA_AT_MOST = 16
SYSTEM_DEVICE = "/dev/xvda"
DATA_DEVICES = tuple(f"/dev/xvd{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")
BLANK_GIB = (20, 32_768)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """One disk of an image. `snapshot` None: an empty data disk, or a base image of the seed, whose contents nobody
    can see."""

    kind: str  # system | data
    device: str
    size_gib: int
    snapshot: "Snapshot | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One `DiskDeviceMapping.N`."""

    snapshot_id: str = ""
    size_gib: int | None = None
    device: str = ""
    kind: str = ""  # system | data; empty: as the snapshot's disk was


Take = Callable[[], tuple[Mapped, ...]]
"""Begins the snapshots that are needed; all checks are behind it."""


def of_instance(ecs: "Ecs", instance_id: str) -> tuple[Take, dict[str, Any] | None]:
    """Snapshots every disk; these count in the quota and outlive the image."""
    instance = ecs.find_instance(instance_id)
    if instance.state not in ("Running", "Stopped"):
        raise ApiError("IncorrectInstanceStatus", f"{instance_id} is {instance.state}.")
    disks = ecs.disks.of_instance(instance_id)
    if not any(disk.kind == "system" for disk in disks):
        raise ApiError("InvalidInstance.NotFoundSystemDisk", f"{instance_id} has no system disk.")
    for disk in disks:
        ecs.snapshots.check_disk(disk, instance_locked_status=400)
    _check_started_since(instance)

    def take() -> tuple[Mapped, ...]:
        return tuple(
            Mapped(
                kind=disk.kind,
                device=disk.device.replace("/dev/vd", "/dev/xvd"),
                size_gib=disk.size_gib,
                snapshot=ecs.snapshots.take(disk),
            )
            for disk in disks
        )

    return take, instance.guest


def _check_started_since(instance: "Instance") -> None:
    """A disk that was attached while the instance was stopped has to be seen by a start first."""
    for disk in instance.disks():
        if disk.needs_restart:
            raise ApiError(
                "IncorrectInstanceStatus.NeedRestart",
                f"{disk.id} was attached while {instance.id} was stopped.",
                403,
            )


def of_snapshots(ecs: "Ecs", disks: Sequence[Wanted], snapshot_id: str | None) -> tuple[Take, dict[str, Any] | None]:
    """What boots is what stood on the system disk when its snapshot was taken."""
    if not disks:
        snapshot = _accomplished(ecs, snapshot_id or "")
        if snapshot.disk_kind != "system":
            raise ApiError("OperationDenied", f"{snapshot.id} is not a snapshot of a system disk.", 403)
        single = Mapped(kind="system", device=SYSTEM_DEVICE, size_gib=snapshot.size_gib, snapshot=snapshot)
        return lambda: (single,), snapshot.guest
    mapped = _with_devices([_mapped(ecs, wanted) for wanted in disks])
    system = mapped[0].snapshot
    return lambda: mapped, None if system is None else system.guest


def _accomplished(ecs: "Ecs", snapshot_id: str) -> "Snapshot":
    snapshot = ecs.snapshots.find(snapshot_id)
    if snapshot.status != "accomplished":
        raise ApiError("InvalidSnapshotId.NotReady", f"{snapshot.id} is {snapshot.status}.", 403)
    if snapshot.encrypted or snapshot.is_shared:
        raise ApiError("OperationDenied", f"{snapshot.id} is encrypted or shared.")
    return snapshot


def _mapped(ecs: "Ecs", wanted: Wanted) -> Mapped:
    if wanted.kind not in ("", "system", "data"):
        raise ApiError("InvalidParameter", f"DiskType {wanted.kind!r} is neither system nor data.")
    if wanted.device and wanted.device not in (SYSTEM_DEVICE, *DATA_DEVICES):
        raise ApiError("InvalidDevice.Malformed", f"{wanted.device!r} is not /dev/xvda to /dev/xvdz.")
    if not wanted.snapshot_id:
        size = BLANK_GIB[0] if wanted.size_gib is None else wanted.size_gib
        if not BLANK_GIB[0] <= size <= BLANK_GIB[1]:
            raise ApiError("InvalidSize.ValueNotSupported", f"{size} GiB is outside {BLANK_GIB[0]}..{BLANK_GIB[1]}.")
        return Mapped(kind=wanted.kind or "data", device=wanted.device, size_gib=size, snapshot=None)
    snapshot = _accomplished(ecs, wanted.snapshot_id)
    size = snapshot.size_gib if wanted.size_gib is None else wanted.size_gib
    if size < snapshot.size_gib or size > BLANK_GIB[1]:
        raise ApiError("InvalidSize.ValueNotSupported", f"{snapshot.id} needs {snapshot.size_gib} GiB, got {size}.")
    return Mapped(kind=wanted.kind or snapshot.disk_kind, device=wanted.device, size_gib=size, snapshot=snapshot)


def _with_devices(disks: Sequence[Mapped]) -> tuple[Mapped, ...]:
    """System disk first, each with a device of its own."""
    systems = [m for m in disks if m.kind == "system" and m.snapshot is not None]
    data = [m for m in disks if m.kind == "data"]
    if not systems:
        raise ApiError("InvalidSystemSnapshot.Missing", "A snapshot of a system disk is needed.", 403)
    if len(systems) > 1:
        raise ApiError("OperationDenied", f"Exactly one snapshot of a system disk is needed, got {len(systems)}.")
    if len(data) > DATA_AT_MOST:
        raise ApiError("OperationDenied", f"At most {DATA_AT_MOST} data disks, got {len(data)}.")  # assumption
    if systems[0].device not in ("", SYSTEM_DEVICE):
        raise ApiError("InvalidDevice.Malformed", f"The system disk is {SYSTEM_DEVICE}, not {systems[0].device}.")
    taken = [m.device for m in data if m.device]
    if len(set(taken)) < len(taken) or SYSTEM_DEVICE in taken:
        raise ApiError("InvalidDevice.InUse", f"A device is given twice: {', '.join(taken)}.")
    free = iter([device for device in DATA_DEVICES if device not in taken])
    return (
        Mapped(kind="system", device=SYSTEM_DEVICE, size_gib=systems[0].size_gib, snapshot=systems[0].snapshot),
        *(Mapped(kind="data", device=m.device or next(free), size_gib=m.size_gib, snapshot=m.snapshot) for m in data),
    )
