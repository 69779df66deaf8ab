"""What rewrites a whole disk: rolling back, re-initialising, replacing. All of it takes time, and none can be undone.

While it lasts the disk reads `ReIniting`, its old contents are still there, and its instance cannot start. For
ResetDisk the shown state is not documented: `shown_while_resetting` None leaves it as it was (both are assumptions to
test with). How long it takes is an assumption as well.

Sources: ECS API ResetDisk, ResetDisks, ReInitDisk, ReplaceSystemDisk.
Not modelled: encryption, replacing the system disk by another disk (DiskId).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from emulator.ecs import operation_locks
from emulator.ecs.blocks import GIB, MIB, Volume
from emulator.ecs.buying import default_system_gib
from emulator.ecs.disks import Disk, check_age
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.images import Image
    from emulator.ecs.instances import Instance
    from emulator.ecs.model import Ecs
    from emulator.ecs.snapshot import Snapshot

OVERHEAD_SECONDS = 10.0
MIB_PER_SECOND = 200.0
RESETS_AT_MOST = 10
SYSTEM_GIB = (20, 2_048)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """What became of one disk of ResetDisks."""

    disk_id: str
    snapshot_id: str
    error: ApiError | None


class Contents:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.shown_while_resetting: str | None = "ReIniting"

    # Rolling back ---------------------------------------------------------------------------------------------

    def check_reset(self, disk_id: str, snapshot_id: str) -> tuple[Disk, "Snapshot"]:
        disk = self._ecs.disks.find(disk_id)
        snapshot = self._ecs.snapshots.find(snapshot_id)
        if disk.rewriting == "ResetDisk":
            raise ApiError("InvalidOperation.DiskResetInProgress", f"{disk_id} is being rolled back.", 403)
        if disk.state not in ("In_use", "Available") or disk.busy:
            raise ApiError("IncorrectDiskStatus", f"{disk_id} is {disk.state}.", 403)
        if disk.instance_id is not None:
            self._check_stopped(self._ecs.find_instance(disk.instance_id), "reset")
        if snapshot.disk_id != disk.id or snapshot.is_copy:  # not even a copy that came back to where the disk is
            raise ApiError("InvalidParameter.Mismatch", f"{snapshot_id} was taken of {snapshot.disk_id}.", 403)
        if not snapshot.available:
            raise ApiError("InvalidSnapshotId.NotReady", f"{snapshot_id} is not ready.", 403)
        check_age(snapshot)
        if self._ecs.snapshots.unfinished(disk.id):
            raise ApiError("IncorrectDiskStatus.HasUnfinishedSnapshot", f"{disk_id} is being snapshotted.", 403)
        return disk, snapshot

    def reset(self, disk_id: str, snapshot_id: str) -> None:
        """Roll back to a snapshot of this very disk: contents and size. What came after is lost, when it is done."""
        disk, snapshot = self.check_reset(disk_id, snapshot_id)
        taken = Volume.of(snapshot.layer, snapshot.size_gib * GIB)  # whatever happens to the snapshot meanwhile

        def done() -> None:
            if snapshot.id in self._ecs.snapshots.shelf:
                disk.volume.roll_back(snapshot.layer)
            else:
                self._put(disk, taken)
            disk.size_gib, disk.pending_gib = snapshot.size_gib, None

        self._rewrite(disk, "ResetDisk", taken.used_bytes, done, shown=self.shown_while_resetting)

    def check_resets(self, wanted: Sequence[tuple[str, str]]) -> None:
        if not wanted:
            raise ApiError("MissingParameter", "Disk.1.DiskId and Disk.1.SnapshotId are mandatory.")
        if len(wanted) > RESETS_AT_MOST:
            raise ApiError("InvalidParameter", f"At most {RESETS_AT_MOST} disks, got {len(wanted)}.")
        groups = {self._ecs.snapshots.find(snapshot_id).group_id for _, snapshot_id in wanted}
        if len(groups) > 1 or None in groups:
            raise ApiError("InvalidParameter", "The snapshots must be members of one snapshot group.")

    def resets(self, wanted: Sequence[tuple[str, str]]) -> list[Reset]:
        """Each for itself: the answer is a success even if none could be rolled back."""
        self.check_resets(wanted)
        return [Reset(disk_id=one, snapshot_id=to, error=self._try_reset(one, to)) for one, to in wanted]

    def _try_reset(self, disk_id: str, snapshot_id: str) -> ApiError | None:
        try:
            self.reset(disk_id, snapshot_id)
        except ApiError as error:
            return error
        return None

    # Re-initialising ------------------------------------------------------------------------------------------

    def reinit(self, disk_id: str, *, starts: bool = False) -> None:
        """As it was when it was made: of its image, of its snapshot, or empty. The id stays."""
        disk = self._ecs.disks.find(disk_id)
        if disk.state != "In_use" or disk.busy or disk.instance_id is None:
            raise ApiError("IncorrectDiskStatus", f"{disk_id} is {disk.state}.", 403)
        instance = self._ecs.find_instance(disk.instance_id)
        self._check_stopped(instance, "reinit")
        if instance.started is None:
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} was never started.", 403)
        if self._ecs.snapshots.unfinished(disk.id):
            raise ApiError("DiskCreatingSnapshot", f"{disk_id} is being snapshotted.", 403)
        fresh = self._as_made(disk)

        def done() -> None:
            self._put(disk, fresh)
            if starts and instance.state == "Stopped":
                self._ecs.clock.call_later(timedelta(0), lambda: self._start(instance), f"{instance.id} starts")

        self._rewrite(disk, "ReInitDisk", fresh.used_bytes, done)

    def _start(self, instance: "Instance") -> None:
        """AutoStartInstance asks nobody: what cannot start stays stopped."""
        try:
            self._ecs.lifecycle.start(instance)
        except ApiError:
            return

    def _as_made(self, disk: Disk) -> Volume:
        if disk.source_snapshot is not None:
            snapshot = self._ecs.snapshots.shelf.get(disk.source_snapshot)
            if snapshot is None:
                raise ApiError("InvalidSourceSnapshot", f"{disk.source_snapshot}, of which it was made, is gone.", 403)
            return Volume.of(snapshot.layer, disk.size_gib * GIB)
        if disk.bootable:
            image = self._ecs.images.visible(disk.image_id)
            if image is None and disk.image_owner not in ("", self._ecs.account):
                raise ApiError("SharedImageDeleted", f"The image {disk.image_id} is no longer shared.", 403)
            if image is None:
                raise ApiError("InvalidImageId.NotFound", f"The image {disk.image_id} does not exist.", 404)
            return image.system_volume(disk.size_gib)
        return Volume(disk.size_gib * GIB)

    # Replacing ------------------------------------------------------------------------------------------------

    def replace(
        self, instance_id: str, image_id: str, *, size_gib: int | None = None, token: str | None = None
    ) -> Disk:
        """A new system disk of an image: another id. The old one is gone; its snapshots stay but roll back nothing."""
        fresh: Disk = self._ecs.tokens.once(
            "ReplaceSystemDisk",
            token,
            (instance_id, image_id, size_gib),
            lambda: self._replace(instance_id, image_id, size_gib),
        )
        return fresh

    def _replace(self, instance_id: str, image_id: str, size_gib: int | None) -> Disk:
        instance = self._ecs.find_instance(instance_id)
        if instance.state == "Pending":
            raise ApiError("OperationDenied.InstanceCreating", f"{instance_id} is being created.", 403)
        self._check_stopped(instance, "replace")
        image = self._image(image_id)
        old = next((disk for disk in instance.disks() if disk.kind == "system"), None)
        if old is None or old.state != "In_use" or old.busy:
            shown = "missing" if old is None else old.state
            raise ApiError("IncorrectDiskStatus", f"The system disk of {instance_id} is {shown}.", 403)
        if self._ecs.snapshots.unfinished(old.id):
            raise ApiError("DiskCreatingSnapshot", f"{old.id} is being snapshotted.", 403)
        size = default_system_gib(image) if size_gib is None else size_gib
        if size < image.system.size_gib:
            raise ApiError(
                "InvalidSystemDiskSize.LessThanImageSize", f"{image.id} needs {image.system.size_gib} GiB.", 404
            )
        if not SYSTEM_GIB[0] <= size <= SYSTEM_GIB[1]:
            raise ApiError("InvalidSystemDiskSize.ValueNotSupported", f"A system disk has 20-2048 GiB, not {size}.")
        return self._exchange(instance, old, image, size)

    def _image(self, image_id: str) -> "Image":
        image = self._ecs.images.visible(image_id)
        if image is None:
            raise ApiError("InvalidImageId.NotFound", f"The image {image_id} does not exist.", 404)
        if image.status not in ("Available", "Deprecated"):
            raise ApiError("OperationDenied.ImageNotValid", f"{image_id} is {image.status}.", 403)
        return image

    def _exchange(self, instance: "Instance", old: Disk, image: "Image", size: int) -> Disk:
        """Category and DeleteWithInstance stay; tags do not come along (assumption)."""
        disks = self._ecs.disks
        fresh = disks.add(
            kind="system", category=old.category, size_gib=size, zone=old.zone, volume=image.system_volume(size),
            delete_with_instance=old.delete_with_instance, image_id=image.id,
        )  # fmt: skip
        fresh.performance_level = old.performance_level
        fresh.image_owner = self._ecs.images.shares.owner_of(image)
        self._ecs.attachments.take_off(old, instance)
        disks.drop(old)
        disks.hang(fresh, instance, "/dev/vda")
        instance.image_id, instance.guest = image.id, image.guest
        self._rewrite(fresh, "ReplaceSystemDisk", fresh.volume.used_bytes, lambda: None)
        return fresh

    # All of them -----------------------------------------------------------------------------------------------------

    def _check_stopped(self, instance: "Instance", action: str) -> None:
        operation_locks.check(instance, action)
        if instance.state != "Stopped":
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}, not Stopped.", 403)

    def _put(self, disk: Disk, volume: Volume) -> None:
        """Contents that no snapshot of this disk knows: the next one is full."""
        disk.volume.leave()
        self._ecs.snapshots.chains.weigh(disk.id)
        disk.volume = volume

    def _rewrite(
        self, disk: Disk, operation: str, size: int, effect: Callable[[], None], *, shown: str | None = "ReIniting"
    ) -> None:
        before = disk.state
        disk.rewriting = operation

        def done() -> None:
            disk.rewriting = ""
            effect()

        after = timedelta(seconds=OVERHEAD_SECONDS + size / MIB / MIB_PER_SECOND)
        self._ecs.disks.settle(disk, shown or before, before, after, effect=done)
