"""Attaching disks to instances, taking them off, and what a machine sees of them when it boots.

Sources: ECS API AttachDisk, DetachDisk, ResizeDisk.
Not modelled: how many attachments may be under way at once; Force of regional disks.
"""

from typing import TYPE_CHECKING

from emulator.ecs import operation_locks
from emulator.ecs.blocks import GIB
from emulator.ecs.disks import ATTACHING, DATA_DISKS_AT_MOST, DETACHING, Disk, size_range
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.instances import Instance
    from emulator.ecs.model import Ecs


class Attachments:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    def attach(
        self,
        disk_id: str,
        instance_id: str,
        *,
        delete_with_instance: bool = False,
        boots: bool = False,
        has_credentials: bool = False,
        device: str | None = None,
    ) -> None:
        """With `boots` as the system disk: only onto the instance it was made for, stopped and without one, and with
        new credentials."""
        disk, instance = self._ecs.disks.find(disk_id), self._ecs.find_instance(instance_id)
        operation_locks.check(instance, "attach")
        if instance.state not in ("Running", "Stopped"):
            raise ApiError("IncorrectInstanceStatus", f"{instance_id} is {instance.state}.", 400)
        if disk.state == "In_use":
            raise ApiError("InvalidDisk.InUse", f"{disk_id} is in use.", 404)
        if disk.state != "Available" or disk.busy:
            raise ApiError("IncorrectDiskStatus", f"{disk_id} is {disk.state}.", 403)
        if disk.zone != instance.zone:
            raise ApiError(
                "ResourcesNotInSameZone", f"{disk_id} is in {disk.zone}, {instance_id} in {instance.zone}.", 403
            )
        if boots:
            self._check_boots(disk, instance, has_credentials=has_credentials)
        elif sum(1 for d in self._ecs.disks.of_instance(instance_id) if d.kind == "data") >= DATA_DISKS_AT_MOST:
            raise ApiError("InstanceDiskLimitExceeded", f"{instance_id} has {DATA_DISKS_AT_MOST} data disks.", 403)
        if device is not None and any(other.device == device for other in self._ecs.disks.of_instance(instance_id)):
            raise ApiError("InvalidDevice.InUse", f"{device} of {instance_id} is in use.", 403)
        disk.kind = "system" if boots else "data"
        self._ecs.disks.hang(disk, instance, "/dev/vda" if boots else device)
        disk.delete_with_instance = delete_with_instance
        disk.needs_restart = instance.state == "Stopped"
        self._ecs.disks.settle(disk, "Attaching", "In_use", ATTACHING, "AttachDisk")

    def _check_boots(self, disk: Disk, instance: "Instance", *, has_credentials: bool) -> None:
        if not disk.bootable:
            raise ApiError("InvalidDisk.DiskNotBootable", f"{disk.id} was never a system disk.", 400)
        if instance.state != "Stopped":
            raise ApiError("IncorrectInstanceStatus", "A system disk is attached to a stopped instance.", 400)
        if disk.first_instance != instance.id:
            raise ApiError("InvalidInstance.NotOriginInstance", f"{disk.id} belongs to {disk.first_instance}.", 400)
        if any(other.kind == "system" for other in self._ecs.disks.of_instance(instance.id)):
            raise ApiError("InvalidDevice.InUse", f"{instance.id} has a system disk.", 403)
        if not has_credentials:
            raise ApiError("MissingParameter", "Password or KeyPairName is mandatory with Bootable.")

    def detach(self, disk_id: str, instance_id: str, *, delete_with_instance: bool | None = None) -> None:
        disk, instance = self._ecs.disks.find(disk_id), self._ecs.find_instance(instance_id)
        operation_locks.check(instance, "detach")
        if disk.instance_id is None:
            raise ApiError("InvalidDisk.AlreadyDetached", f"{disk_id} is detached already.", 404)
        if disk.instance_id != instance_id:
            raise ApiError("DependencyViolation", f"{disk_id} is not attached to {instance_id}.", 403)
        if disk.state == "Detaching":
            raise ApiError("InvalidOperation.DiskDetachingFromThisEcs", f"{disk_id} is being detached.", 403)
        if disk.state != "In_use" or disk.busy:
            raise ApiError("IncorrectDiskStatus", f"{disk_id} is {disk.state}.", 403)
        allowed = ("Stopped",) if disk.kind == "system" else ("Running", "Stopped")
        if instance.state not in allowed:
            raise ApiError("IncorrectInstanceStatus", f"{instance_id} is {instance.state}.", 403)
        if delete_with_instance is not None:
            disk.delete_with_instance = delete_with_instance
        self._ecs.disks.settle(
            disk, "Detaching", "Available", DETACHING, "DetachDisk", lambda: self.take_off(disk, instance)
        )  # fmt: skip

    def take_off(self, disk: Disk, instance: "Instance") -> None:
        """At once: the end of a detachment, and what a release does."""
        instance.disk_ids.remove(disk.id)
        disk.instance_id, disk.device, disk.attached, disk.state = None, "", None, "Available"
        disk.turn += 1
        disk.detached = self._ecs.clock.now()
        disk.needs_restart, disk.rewriting = False, ""
        self._apply_resize(disk)

    def machine_on(self, instance: "Instance") -> None:
        """It has booted: now it sees what was attached or enlarged meanwhile."""
        for disk in self._ecs.disks.of_instance(instance.id):
            disk.needs_restart = False
            self._apply_resize(disk)

    # Growing --------------------------------------------------------------------------------------------------

    def resize(self, disk_id: str, size_gib: int, *, online: bool = False, token: str | None = None) -> None:
        """Larger only. Offline, a running machine sees the new size after its next start through the API; online at
        once. Partitions and file systems stay as they are."""
        self._ecs.tokens.once(
            "ResizeDisk", token, (disk_id, size_gib, online), lambda: self._resize(disk_id, size_gib, online)
        )

    def _resize(self, disk_id: str, size_gib: int, online: bool) -> None:
        disk = self._ecs.disks.find(disk_id)
        if disk.state not in ("In_use", "Available") or disk.busy:
            raise ApiError("IncorrectDiskStatus", f"{disk_id} is {disk.state}.", 403)
        instance = None if disk.instance_id is None else self._ecs.find_instance(disk.instance_id)
        if instance is not None:
            operation_locks.check(instance, "resize")
            if instance.state not in ("Running", "Stopped"):
                raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}.", 403)
        if self._ecs.snapshots.unfinished(disk_id):
            raise ApiError("DiskCreatingSnapshot", f"{disk_id} is being snapshotted.", 403)
        if online and disk.category == "cloud":
            raise ApiError("InvalidDiskCategory.NotSupported", "A basic disk is resized offline only.", 403)
        if size_gib <= disk.size_gib:
            raise ApiError("InvalidDiskSize.TooSmall", f"{disk_id} has {disk.size_gib} GiB already.", 403)
        low, high = size_range(disk.category, disk.performance_level, kind=disk.kind)
        if not low <= size_gib <= high:
            raise ApiError("InvalidDiskSize.NotSupported", f"{disk.category} has {low}-{high} GiB.", 403)
        disk.size_gib = size_gib
        disk.pending_gib = size_gib
        if online or instance is None or instance.state == "Stopped":
            self._apply_resize(disk)

    def _apply_resize(self, disk: Disk) -> None:
        if disk.pending_gib is not None:
            disk.volume.grow(disk.pending_gib * GIB)
            disk.pending_gib = None
