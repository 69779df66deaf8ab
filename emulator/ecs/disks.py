"""Disks: their states, attachment and rollback.

Sources: ECS API CreateDisk, AttachDisk, DetachDisk, DeleteDisk, ResetDisk, DescribeDisks.
Not modelled: subscription billing, multi-attach, local disks, ReInitDisk, ReplaceSystemDisk, resizing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from emulator.ecs.blocks import GIB, Volume
from emulator.ecs.rules import check_description, check_name, check_tags
from emulator.ecs.shelf import Shelf
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.instances import Instance
    from emulator.ecs.model import Ecs
    from emulator.ecs.snapshots import Snapshot

INSTANT_CATEGORIES = ("cloud_essd", "cloud_auto", "cloud_essd_entry", "cloud_regional_disk_auto")
"""The ESSD family: its snapshots are usable at once."""

CATEGORIES = (*INSTANT_CATEGORIES, "cloud", "cloud_efficiency", "cloud_ssd")
DATA_DISKS_AT_MOST = 16
SMALLEST_GIB = 20
LARGEST_GIB = 65_536

ATTACHING = timedelta(seconds=5)  # assumption
DETACHING = timedelta(seconds=60)  # documented: about one minute
CREATING = timedelta(seconds=5)  # assumption


@dataclass(slots=True, kw_only=True, eq=False)
class Disk:
    id: str
    name: str
    kind: str  # system | data
    category: str
    size_gib: int
    zone: str
    created: datetime
    volume: Volume = field(repr=False)
    state: str = "Available"
    instance_id: str | None = None
    device: str = ""
    delete_with_instance: bool = True
    description: str = ""
    image_id: str = ""
    source_snapshot: str | None = None
    attached: datetime | None = None
    detached: datetime | None = None
    first_instance: str | None = None  # a system disk goes back only to this one
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def instant(self) -> bool:
        return self.category in INSTANT_CATEGORIES


class Disks:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.shelf: Shelf[Disk] = Shelf()

    def find(self, id: str) -> Disk:
        disk = self.shelf.get(id)
        if disk is None:
            raise ApiError("InvalidDiskId.NotFound", f"The specified disk {id} does not exist.", 404)
        return disk

    def of_instance(self, instance: str) -> list[Disk]:
        """In the order of their devices, system disk first."""
        found = self._ecs.instances.get(instance)
        ids = found.disk_ids if found else []
        return sorted((self.find(disk_id) for disk_id in ids), key=lambda disk: (disk.kind != "system", disk.device))

    def add(
        self,
        *,
        kind: str,
        category: str,
        size_gib: int,
        zone: str,
        volume: Volume | None = None,
        id: str | None = None,
        name: str = "",
        tags: Mapping[str, str] | None = None,
        snapshot: "Snapshot | None" = None,
        delete_with_instance: bool = True,
        image_id: str = "",
    ) -> Disk:
        """Put a disk there, without checks and at once: for seeds and new instances."""
        if snapshot is not None:
            volume = Volume.of(snapshot.layer, size_gib * GIB)
        disk = Disk(
            id=id or self._ecs.chance.id("d"),
            name=name,
            kind=kind,
            category=category,
            size_gib=size_gib,
            zone=zone,
            created=self._ecs.clock.now(),
            volume=volume or Volume(size_gib * GIB),
            tags=dict(tags or {}),
            source_snapshot=snapshot.id if snapshot else None,
            delete_with_instance=delete_with_instance,
            image_id=image_id,
        )
        if self.shelf.get(disk.id) is not None:
            raise ValueError(f"there is a disk {disk.id} already")
        self.shelf.add(disk)
        if snapshot is not None:
            snapshot.disks.add(disk.id)
        return disk

    def create(
        self,
        *,
        zone: str,
        category: str,
        size_gib: int | None = None,
        snapshot_id: str | None = None,
        name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Disk:
        tags = dict(tags or {})
        fingerprint = (zone, category, size_gib, snapshot_id, name, description, tuple(sorted(tags.items())))

        def make() -> Disk:
            check_name(name, ApiError("InvalidDiskName.Malformed", f"The disk name {name!r} is not valid.", 400))
            check_description(description, ApiError("InvalidDescription.Malformed", "The description is not valid."))
            check_tags(tags)
            if zone not in self._ecs.zones:
                raise ApiError("InvalidZoneId.NotFound", f"The zone {zone} does not exist.", 404)
            if category not in CATEGORIES:
                raise ApiError("InvalidDiskCategory.NotSupported", f"The category {category} is not supported.", 403)
            snapshot = None if snapshot_id is None else self._ecs.snapshots.usable(snapshot_id)
            size = max(size_gib or 0, snapshot.size_gib if snapshot else 0)
            if size == 0:
                raise ApiError("MissingParameter", "Size or SnapshotId is mandatory.")
            if size < (1 if snapshot else SMALLEST_GIB) or size > LARGEST_GIB:
                raise ApiError("InvalidDiskSize.TooSmall", f"{size} GiB is not a valid size.", 403)
            disk = self.add(
                kind="data", category=category, size_gib=size, zone=zone, name=name or "", tags=tags, snapshot=snapshot,
                delete_with_instance=False,
            )  # fmt: skip
            disk.description = description or ""
            self._settle(disk, "Creating", "Available", CREATING)
            return disk

        disk: Disk = self._ecs.tokens.once("CreateDisk", token, fingerprint, make)
        return disk

    def hang(self, disk: Disk, instance: "Instance", device: str | None = None) -> None:
        """Attached at once: for seeds and new instances."""
        disk.instance_id = instance.id
        disk.first_instance = disk.first_instance or instance.id
        disk.device = device or self._free_device(instance)
        disk.attached = self._ecs.clock.now()
        disk.state = "In_use"
        instance.disk_ids.append(disk.id)

    def _free_device(self, instance: "Instance") -> str:
        taken = {disk.device for disk in self.of_instance(instance.id)}
        return next(device for letter in "abcdefghijklmnopqrstuvwxyz" if (device := f"/dev/vd{letter}") not in taken)

    def attach(self, disk_id: str, instance_id: str, *, delete_with_instance: bool = False) -> None:
        disk, instance = self.find(disk_id), self._ecs.find_instance(instance_id)
        if instance.state not in ("Running", "Stopped"):
            raise ApiError("IncorrectInstanceStatus", f"{instance_id} is {instance.state}.", 400)
        if disk.state == "In_use":
            raise ApiError("InvalidDisk.InUse", f"{disk_id} is in use.", 404)
        if disk.state != "Available":
            raise ApiError("IncorrectDiskStatus", f"{disk_id} is {disk.state}.", 403)
        if disk.zone != instance.zone:
            raise ApiError(
                "ResourcesNotInSameZone", f"{disk_id} is in {disk.zone}, {instance_id} in {instance.zone}.", 403
            )
        if disk.kind == "system":
            if instance.state != "Stopped":
                raise ApiError("IncorrectInstanceStatus", "A system disk is attached to a stopped instance.", 400)
            if disk.first_instance != instance_id:
                raise ApiError("InvalidInstance.NotOriginInstance", f"{disk_id} belongs to {disk.first_instance}.", 400)
        elif sum(1 for d in self.of_instance(instance_id) if d.kind == "data") >= DATA_DISKS_AT_MOST:
            raise ApiError("InstanceDiskLimitExceeded", f"{instance_id} has {DATA_DISKS_AT_MOST} data disks.", 403)
        self.hang(disk, instance, "/dev/vda" if disk.kind == "system" else None)
        disk.delete_with_instance = delete_with_instance
        self._settle(disk, "Attaching", "In_use", ATTACHING, "AttachDisk")

    def detach(self, disk_id: str, instance_id: str) -> None:
        disk, instance = self.find(disk_id), self._ecs.find_instance(instance_id)
        if disk.instance_id is None:
            raise ApiError("InvalidDisk.AlreadyDetached", f"{disk_id} is detached already.", 404)
        if disk.instance_id != instance_id:
            raise ApiError("DependencyViolation", f"{disk_id} is not attached to {instance_id}.", 403)
        if disk.state != "In_use":
            raise ApiError("IncorrectDiskStatus", f"{disk_id} is {disk.state}.", 403)
        allowed = ("Stopped",) if disk.kind == "system" else ("Running", "Stopped")
        if instance.state not in allowed:
            raise ApiError("IncorrectInstanceStatus", f"{instance_id} is {instance.state}.", 403)

        def unhang() -> None:
            instance.disk_ids.remove(disk.id)
            disk.instance_id, disk.device, disk.attached = None, "", None
            disk.detached = self._ecs.clock.now()

        self._settle(disk, "Detaching", "Available", DETACHING, "DetachDisk", unhang)

    def _settle(
        self, disk: Disk, now: str, then: str, after: timedelta, operation: str | None = None, effect: object = None
    ) -> None:
        disk.state = now

        def done() -> None:
            if disk.state != now or self.shelf.get(disk.id) is not disk:
                return
            if callable(effect):
                effect()
            disk.state = then
            if operation is not None:
                content = {"diskId": disk.id, "operation": operation, "result": "accomplished"}
                self._ecs.publish("Disk:DiskOperationCompleted", "INFO", f"disk/{disk.id}", content)

        self._ecs.clock.call_later(after, done, f"disk {disk.id} {then}")

    def delete(self, disk_id: str) -> None:
        """Manual snapshots stay."""
        disk = self.find(disk_id)
        if disk.state != "Available":
            raise ApiError("IncorrectDiskStatus", f"{disk_id} is {disk.state}.", 403)
        self.drop(disk)

    def drop(self, disk: Disk) -> None:
        self.shelf.remove(disk)
        if disk.source_snapshot is not None:
            source = self._ecs.snapshots.shelf.get(disk.source_snapshot)
            if source is not None:
                source.disks.discard(disk.id)

    def reset(self, disk_id: str, snapshot_id: str) -> None:
        """Roll back to a snapshot of this very disk: contents and size. What came after is lost. The state that is
        shown meanwhile is unverified; here the rollback is done at once (assumption)."""
        disk = self.find(disk_id)
        snapshot = self._ecs.snapshots.find(snapshot_id)
        if disk.state not in ("In_use", "Available"):
            raise ApiError("IncorrectDiskStatus", f"{disk_id} is {disk.state}.", 403)
        if disk.instance_id is not None:
            instance = self._ecs.find_instance(disk.instance_id)
            if instance.state != "Stopped":
                raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}, not Stopped.", 403)
        if snapshot.disk_id != disk.id:
            raise ApiError("InvalidParameter.Mismatch", f"{snapshot_id} was taken of {snapshot.disk_id}.", 403)
        if not snapshot.available:
            raise ApiError("InvalidSnapshotId.NotReady", f"{snapshot_id} is not ready.", 403)
        if self._ecs.snapshots.unfinished(disk.id):
            raise ApiError("IncorrectDiskStatus.HasUnfinishedSnapshot", f"{disk_id} is being snapshotted.", 403)
        disk.volume.roll_back(snapshot.layer)
        disk.size_gib = snapshot.size_gib
