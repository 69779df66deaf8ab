"""What must hold before a snapshot is taken, kept cheaply or let go, and what the account must be able to pay.

Sources: the error tables of ECS API CreateSnapshot, DeleteSnapshot, ModifySnapshotCategory.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from emulator.ecs import operation_locks
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.disks import Disk
    from emulator.ecs.model import Ecs
    from emulator.ecs.snapshot import Snapshot

MANUAL_QUOTA = 256
AUTOMATIC_QUOTA = 1_000
CONCURRENT_INSTANT = 10  # per disk of the ESSD family; others one (newer documents: a per-disk quota; assumption)
RETENTION_DAYS = (1, 65_536)
ARCHIVE_DAYS = (74, 65_536)
BEFORE_ARCHIVE = timedelta(days=14)


@dataclass(slots=True, kw_only=True)
class Standing:
    """What the provider thinks of the account in this region. Tests set it."""

    has_balance: bool = True
    snapshot_service: bool = True  # False: nobody ever activated it
    archives: bool = True  # few regions have the archive; by default these do (assumption)
    kms_keys: dict[str, str] | None = None  # the keys there are here and their state; None: whatever is named exists

    def check(self) -> None:
        if not self.has_balance:
            raise ApiError("InvalidAccountStatus.NotEnoughBalance", "The account does not have enough balance.", 403)
        if not self.snapshot_service:
            raise ApiError(
                "InvalidAccountStatus.SnapshotServiceUnavailable", "The snapshot service was never activated.", 403
            )

    def check_key(self, key: str, *, needed: bool = False) -> None:
        """Whether a key of this region may encrypt; `needed`: something encrypted arrives. Source: ECS API,
        CreateSnapshot, read 2025. Assumption: CopySnapshot and CopyImage answer alike, and a region whose keys are
        known has no key of the service's own."""
        if self.kms_keys is None or not (key or needed):
            return
        if not key:
            raise ApiError("InvalidEncrypted.NotMatchKmsKeyId", "An encrypted copy needs a key of this region.", 403)
        match self.kms_keys.get(key):
            case None:
                raise ApiError("InvalidParameter.KMSKeyId.NotFound", f"The key {key} does not exist here.")
            case "Enabled":
                return
            case "Unauthorized":
                raise ApiError("InvalidParameter.KMSKeyId.KMSUnauthorized", f"ECS may not use the key {key}.", 403)
            case state:
                raise ApiError("InvalidParameter.KMSKeyId.CMKNotEnabled", f"The key {key} is {state}.", 403)

    def check_archive(self, snapshot: "Snapshot", retention_days: int | None, now: datetime) -> None:
        """The action's own codes are not documented; these are the nearest of its neighbours' (assumption)."""
        low, high = ARCHIVE_DAYS
        if retention_days is not None and not low <= retention_days <= high:
            raise ApiError("InvalidRetentionDays.Malformed", f"An archive is kept {low}-{high} days.")
        if not self.archives:
            raise ApiError("InvalidRegion.NotSupport", "This region has no archive of snapshots.", 403)
        if snapshot.managed_by:
            raise ApiError(
                "InvalidOperation.ResourceManagedByCloudProduct",
                f"{snapshot.id} belongs to {snapshot.managed_by}.",
                403,
            )
        if snapshot.status != "accomplished":
            raise ApiError("InvalidSnapshotId.NotReady", f"{snapshot.id} is {snapshot.status}.", 403)
        if snapshot.encrypted or snapshot.category != "standard" or now < snapshot.created + BEFORE_ARCHIVE:
            raise ApiError(
                "InvalidSnapshotCategory.Malformed",
                f"{snapshot.id} is not a plain standard snapshot of at least 14 days.",
                403,
            )


def check_retention(days: int | None, *, status: int = 400) -> None:
    low, high = RETENTION_DAYS
    if days is not None and not low <= days <= high:
        raise ApiError("InvalidRetentionDays.Malformed", f"RetentionDays is {low}-{high}, got {days}.", status)


def check_state(ecs: "Ecs", disk: "Disk", *, instance_locked_status: int = 403) -> None:
    """In use by an instance that runs or is stopped, or free and attached at least once in its life."""
    if disk.busy:
        raise ApiError("IncorrectDiskStatus", f"{disk.id} is being rewritten ({disk.rewriting}).", 403)
    if disk.state == "Available":
        if disk.first_instance is None:
            raise ApiError("IncorrectDiskStatus.NeverAttached", f"{disk.id} was never attached.", 403)
    elif disk.state == "In_use":
        instance = ecs.instances.get(disk.instance_id or "")
        if instance is None or instance.state not in ("Running", "Stopped"):
            state = instance.state if instance else "gone"
            raise ApiError("IncorrectInstanceStatus", f"{disk.instance_id} is {state}.")
        operation_locks.check(instance, "snapshot", status=instance_locked_status)
    else:
        raise ApiError("IncorrectDiskStatus", f"{disk.id} is {disk.state}.", 403)


def check_disk(ecs: "Ecs", disk: "Disk", *, instance_locked_status: int = 403) -> None:
    """Whether a manual snapshot may begin."""
    check_state(ecs, disk, instance_locked_status=instance_locked_status)
    chains = ecs.snapshots.chains
    if chains.count(disk.id, "user") >= MANUAL_QUOTA:
        raise ApiError("QuotaExceed.Snapshot", f"{disk.id} has {MANUAL_QUOTA} manual snapshots.", 403)
    busy = chains.unfinished(disk.id)
    if busy and not disk.instant:
        raise ApiError("IncorrectDiskStatus.CreatingSnapshot", f"{disk.id} is being snapshotted.", 403)
    if busy >= CONCURRENT_INSTANT:
        raise ApiError("QuotaExceed.ConcurrentSnapshotQuota", f"{disk.id}: {busy} snapshots are under way.", 403)


def check_deletable(snapshot: "Snapshot", *, force: bool) -> None:
    one = snapshot.id
    if snapshot.managed_by:
        raise ApiError(
            "InvalidOperation.ResourceManagedByCloudProduct", f"{one} belongs to {snapshot.managed_by}.", 403
        )
    if snapshot.is_shared:
        raise ApiError("InvalidOperation.DeleteSharedSnapshotUnsupported", f"{one} is shared.", 403)
    if snapshot.copying:
        raise ApiError("InvalidOperation.RelatedSnapshotNotFinished", f"{one} is being copied.", 403)
    if snapshot.images:
        raise ApiError("SnapshotCreatedImage", f"The image {min(snapshot.images)} was made of {one}.", 403)
    if snapshot.disks and not force:
        raise ApiError("SnapshotCreatedDisk", f"The disk {min(snapshot.disks)} was made of {one}.", 403)
