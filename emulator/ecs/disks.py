"""Disks: their states and sizes. Where they hang: `attachments`; what rewrites them whole: `contents`.

Sources: ECS API CreateDisk, AttachDisk, DetachDisk, DeleteDisk, ResizeDisk, ModifyDiskAttribute, DescribeDisks.
Not modelled: subscription billing, encryption, multi-attach, local disks, changing a disk's category.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from emulator.ecs.blocks import GIB, Volume
from emulator.ecs.rules import check_description, check_name, check_tags
from emulator.ecs.shelf import Shelf
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.instances import Instance
    from emulator.ecs.model import Ecs
    from emulator.ecs.snapshot import Snapshot

INSTANT_CATEGORIES = ("cloud_essd", "cloud_auto", "cloud_essd_entry", "cloud_regional_disk_auto")
"""The ESSD family: its snapshots are usable at once."""

CATEGORIES = (*INSTANT_CATEGORIES, "cloud", "cloud_efficiency", "cloud_ssd")
DATA_DISKS_AT_MOST = 16
LEVELS = {"PL0": 1, "PL1": 20, "PL2": 461, "PL3": 1_261}
"""Performance levels of cloud_essd and their smallest size in GiB."""
SIZES = {
    "cloud": (5, 2_000), "cloud_efficiency": (20, 32_768), "cloud_ssd": (20, 32_768), "cloud_auto": (1, 65_536),
    "cloud_essd_entry": (10, 32_768), "cloud_regional_disk_auto": (10, 65_536),
}  # fmt: skip
LARGEST_ESSD_GIB = 65_536
LARGEST_SYSTEM_GIB = 2_048

DEFAULT_LEVEL = "PL1"
OLD_SNAPSHOTS = datetime(2013, 7, 16, tzinfo=UTC)

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
    image_owner: str = ""  # account; another one's image may be gone or no longer shared
    source_snapshot: str | None = None
    attached: datetime | None = None
    detached: datetime | None = None
    first_instance: str | None = None  # a system disk goes back only to this one
    bootable: bool = False  # made as a system disk; attached without Bootable it is a data disk all the same
    performance_level: str = ""
    delete_auto_snapshot: bool = True
    enable_auto_snapshot: bool = True
    pending_gib: int | None = None  # an offline resize that the running machine has not seen yet
    needs_restart: bool = False  # attached while its instance was stopped, which has not run since
    rewriting: str = ""  # ResetDisk | ReInitDisk | ReplaceSystemDisk, while it is under way
    resource_group: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    turn: int = 0  # rises with each change of state, so that outdated calendar entries can be told

    @property
    def instant(self) -> bool:
        return self.category in INSTANT_CATEGORIES

    @property
    def busy(self) -> bool:
        """Being rewritten: nothing else may touch it, and its machine may not start."""
        return bool(self.rewriting)


def size_range(category: str, level: str, *, kind: str) -> tuple[int, int]:
    """Smallest and largest size in GiB. Source: ECS API ResizeDisk, SDK 7.11.8."""
    if category == "cloud_essd":
        low, high = LEVELS[level or DEFAULT_LEVEL], LARGEST_ESSD_GIB
    else:
        low, high = SIZES[category]
    return (low, min(high, LARGEST_SYSTEM_GIB)) if kind == "system" else (low, high)


class Disks:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.shelf: Shelf[Disk] = Shelf()
        self.quota: int | None = None
        """Pay-as-you-go disks of the account in this region: adjustable, so tests choose."""

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
            bootable=kind == "system",
            performance_level=DEFAULT_LEVEL if category == "cloud_essd" else "",
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
        level: str = "",
        resource_group: str = "",
        token: str | None = None,
    ) -> Disk:
        tags = dict(tags or {})
        fingerprint = (
            zone, category, level, size_gib, snapshot_id, name, description, resource_group,
            tuple(sorted(tags.items())),
        )  # fmt: skip

        def make() -> Disk:
            self._check_words(name, description)
            check_tags(tags)
            if zone not in self._ecs.zones:
                raise ApiError("InvalidZoneId.NotFound", f"The zone {zone} does not exist.", 404)
            if category not in CATEGORIES:
                raise ApiError("InvalidDiskCategory.NotSupported", f"The category {category} is not supported.", 403)
            if level and (level not in LEVELS or category != "cloud_essd"):
                raise ApiError("InvalidPerformanceLevel.Malformed", f"{category} has no performance level {level}.")
            if self._ecs.buying.in_arrears:
                raise ApiError("InvalidAccountStatus.NotEnoughBalance", "The account has not enough balance.", 403)
            if self.quota is not None and len(self.shelf) >= self.quota:
                raise ApiError("QuotaExceed.PostPaidDisk", f"There are {len(self.shelf)} disks already.", 403)
            snapshot = None if snapshot_id is None else self._source(snapshot_id)
            size = max(size_gib or 0, snapshot.size_gib if snapshot else 0)
            if size == 0:
                raise ApiError("MissingParameter", "Size or SnapshotId is mandatory.")
            low, high = size_range(category, level, kind="data")
            if size < low and snapshot is None:
                raise ApiError("InvalidDiskSize.TooSmall", f"{category} has at least {low} GiB, not {size}.", 403)
            if size > high:
                raise ApiError("InvalidSize.ValueNotSupported", f"{category} has at most {high} GiB, not {size}.")
            disk = self.add(
                kind="data", category=category, size_gib=size, zone=zone, name=name or "", tags=tags, snapshot=snapshot,
                delete_with_instance=False,
            )  # fmt: skip
            disk.description = description or ""
            disk.performance_level = level or disk.performance_level
            disk.resource_group = resource_group
            self.settle(disk, "Creating", "Available", CREATING)
            return disk

        processing = ApiError("LastTokenProcessing", f"The first call with {token} still runs.", 403)
        disk: Disk = self._ecs.tokens.once("CreateDisk", token, fingerprint, make, processing=processing)
        return disk

    def _source(self, snapshot_id: str) -> "Snapshot":
        snapshot = self._ecs.snapshots.usable(snapshot_id)
        if snapshot.disk_kind != "data":
            raise ApiError(
                "InvalidSnapshotId.NotDataDiskSnapshot", f"{snapshot_id} was taken of a {snapshot.disk_kind} disk.", 403
            )
        check_age(snapshot)
        return snapshot

    def _check_words(self, name: str | None, description: str | None) -> None:
        check_name(name, ApiError("InvalidDiskName.Malformed", f"The disk name {name!r} is not valid.", 400))
        check_description(description, ApiError("InvalidDescription.Malformed", "The description is not valid."))

    # Attaching ------------------------------------------------------------------------------------------------

    def hang(self, disk: Disk, instance: "Instance", device: str | None = None) -> None:
        """Attached at once: for seeds and new instances. The first device is kept for a system disk."""
        disk.instance_id = instance.id
        disk.first_instance = disk.first_instance or instance.id
        disk.device = device or ("/dev/vda" if disk.kind == "system" else self._free_device(instance))
        disk.attached = self._ecs.clock.now()
        disk.state = "In_use"
        disk.turn += 1
        instance.disk_ids.append(disk.id)

    def _free_device(self, instance: "Instance") -> str:
        taken = {disk.device for disk in self.of_instance(instance.id)}
        return next(device for letter in "bcdefghijklmnopqrstuvwxyz" if (device := f"/dev/vd{letter}") not in taken)

    def settle(
        self,
        disk: Disk,
        now: str,
        then: str,
        after: timedelta,
        operation: str | None = None,
        effect: Callable[[], None] | None = None,
    ) -> None:
        """`now` until `after` has passed, then `effect` and `then`; unless something else happened to it before."""
        disk.state = now
        disk.turn += 1
        turn = disk.turn

        def done() -> None:
            if disk.turn != turn or self.shelf.get(disk.id) is not disk:
                return
            if effect is not None:
                effect()
            disk.state = then
            if operation is not None:
                content = {"diskId": disk.id, "operation": operation, "result": "accomplished"}
                self._ecs.publish("Disk:DiskOperationCompleted", "INFO", f"disk/{disk.id}", content)

        self._ecs.clock.call_later(after, done, f"disk {disk.id} {then}")

    # Changing -------------------------------------------------------------------------------------------------

    def modify(
        self,
        disk_ids: list[str],
        *,
        name: str | None = None,
        description: str | None = None,
        delete_with_instance: bool | None = None,
        delete_auto_snapshot: bool | None = None,
        enable_auto_snapshot: bool | None = None,
    ) -> None:
        disks = [self.find(disk_id) for disk_id in disk_ids]
        self._check_words(name, description)
        if delete_with_instance is False and any(disk.category == "cloud" and disk.bootable for disk in disks):
            raise ApiError("DiskCategory.OperationNotSupported", "A basic system disk goes with its instance.", 403)
        for disk in disks:
            disk.name = disk.name if name is None else name
            disk.description = disk.description if description is None else description
            if delete_with_instance is not None:
                disk.delete_with_instance = delete_with_instance
            if delete_auto_snapshot is not None:
                disk.delete_auto_snapshot = delete_auto_snapshot
            if enable_auto_snapshot is not None:
                disk.enable_auto_snapshot = enable_auto_snapshot

    # Leaving --------------------------------------------------------------------------------------------------

    def delete(self, disk_id: str) -> None:
        """Manual snapshots stay; automatic ones follow DeleteAutoSnapshot."""
        disk = self.find(disk_id)
        if disk.state != "Available" or disk.busy:
            raise ApiError("IncorrectDiskStatus", f"{disk_id} is {disk.state}.", 403)
        self.drop(disk)

    def drop(self, disk: Disk) -> None:
        self.shelf.remove(disk)
        if disk.source_snapshot is not None:
            source = self._ecs.snapshots.shelf.get(disk.source_snapshot)
            if source is not None:
                source.disks.discard(disk.id)
        self._ecs.snapshots.disk_gone(disk, with_automatic=disk.delete_auto_snapshot)


def check_age(snapshot: "Snapshot") -> None:
    """Snapshots of the old kind can no longer be used for anything new."""
    if snapshot.created < OLD_SNAPSHOTS:
        raise ApiError("InvalidSnapshot.TooOld", f"{snapshot.id} was taken before {OLD_SNAPSHOTS:%Y-%m-%d}.", 403)
