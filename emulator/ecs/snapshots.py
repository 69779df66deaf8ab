"""Snapshots of single disks: incremental, slow by their changed blocks, counted against the manual quota.

Sources: ECS API CreateSnapshot, DescribeSnapshots, DeleteSnapshot, ModifySnapshotAttribute.
Not modelled: encryption, sharing, locking, categories, copies to other regions, automatic policies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from emulator.clock import Due
from emulator.ecs.blocks import MIB, Layer
from emulator.ecs.rules import check_description, check_name, check_tags, iso
from emulator.ecs.shelf import Shelf
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.disks import Disk
    from emulator.ecs.model import Ecs

MANUAL_QUOTA = 256
CONCURRENT_INSTANT = 10  # per disk of the ESSD family; others one (newer documents: a per-disk quota)
RETENTION_DAYS = (1, 65_536)

OVERHEAD_SECONDS = 5.0  # assumption, as is the speed
MIB_PER_SECOND = 50.0
JITTER_SECONDS = 1.0


@dataclass(slots=True, kw_only=True, eq=False)
class Snapshot:
    id: str
    name: str
    description: str
    disk_id: str
    disk_kind: str
    disk_category: str
    size_gib: int  # of the source disk
    zone: str
    created: datetime
    done_at: datetime  # when the upload will be over, if nothing hinders it
    layer: Layer = field(repr=False)
    changed_bytes: int
    available: bool  # usable for new disks and rollbacks, for the ESSD family before it is accomplished
    retention_days: int | None = None
    status: str = "progressing"  # progressing | accomplished | failed
    finished: datetime | None = None
    instance_id: str | None = None
    group_id: str | None = None
    type: str = "user"
    tags: dict[str, str] = field(default_factory=dict)
    disks: set[str] = field(default_factory=set)  # made of it and still there
    images: set[str] = field(default_factory=set)

    @property
    def usage(self) -> str:
        return {(False, False): "none", (True, False): "image", (False, True): "disk", (True, True): "image_disk"}[
            bool(self.images), bool(self.disks)
        ]

    def progress(self, now: datetime) -> int:
        if self.status == "accomplished":
            return 100
        whole = (self.done_at - self.created).total_seconds()
        return max(0, min(99, int(100 * (now - self.created).total_seconds() / whole)))


class Snapshots:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.shelf: Shelf[Snapshot] = Shelf()
        self.by_disk: dict[str, dict[str, Snapshot]] = {}
        self._dues: dict[str, Due] = {}
        self.missing_deletes_answer_404 = False
        """The text says a missing id is ignored, the table has 404: both are seen as documented."""

    def find(self, id: str) -> Snapshot:
        snapshot = self.shelf.get(id)
        if snapshot is None:
            raise ApiError("InvalidSnapshotId.NotFound", f"The specified snapshot {id} does not exist.", 404)
        return snapshot

    def usable(self, id: str) -> Snapshot:
        """For a new disk."""
        snapshot = self.find(id)
        if not snapshot.available:
            raise ApiError("InvalidSnapshotId.NotReady", f"The snapshot {id} is not ready.", 403)
        return snapshot

    def unfinished(self, disk_id: str) -> int:
        return sum(1 for s in self.by_disk.get(disk_id, {}).values() if s.status == "progressing")

    def create(
        self,
        disk_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        retention_days: int | None = None,
        tags: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Snapshot:
        tags = dict(tags or {})

        def make() -> Snapshot:
            check_name(
                name, ApiError("InvalidSnapshotName.Malformed", f"The name {name!r} is not valid."), banned=("auto",)
            )
            check_description(
                description, ApiError("InvalidDescription.Malformed", "The description is not valid.", 404)
            )
            check_retention(retention_days)
            check_tags(tags)
            disk = self._ecs.disks.find(disk_id)
            self.check_disk(disk)
            return self.take(disk, name=name, description=description, retention_days=retention_days, tags=tags)

        fingerprint = (disk_id, name, description, retention_days, tuple(sorted(tags.items())))
        snapshot: Snapshot = self._ecs.tokens.once("CreateSnapshot", token, fingerprint, make)
        return snapshot

    def check_disk(self, disk: "Disk") -> None:
        """Whether a manual snapshot of this disk may begin now."""
        if disk.state == "Available":
            if disk.first_instance is None:
                raise ApiError("IncorrectDiskStatus.NeverAttached", f"{disk.id} was never attached.", 403)
        elif disk.state == "In_use":
            instance = self._ecs.instances.get(disk.instance_id or "")
            if instance is None or instance.state not in ("Running", "Stopped"):
                raise ApiError(
                    "IncorrectInstanceStatus", f"{disk.instance_id} is {instance.state if instance else 'gone'}."
                )
        else:
            raise ApiError("IncorrectDiskStatus", f"{disk.id} is {disk.state}.", 403)
        if len(self.by_disk.get(disk.id, ())) >= MANUAL_QUOTA:
            raise ApiError("QuotaExceed.Snapshot", f"{disk.id} has {MANUAL_QUOTA} manual snapshots.", 403)
        busy = self.unfinished(disk.id) if self._dues else 0
        if busy and not disk.instant:
            raise ApiError("IncorrectDiskStatus.CreatingSnapshot", f"{disk.id} is being snapshotted.", 403)
        if busy >= CONCURRENT_INSTANT:
            raise ApiError("QuotaExceed.ConcurrentSnapshotQuota", f"{disk.id}: {busy} snapshots are under way.", 403)

    def take(
        self,
        disk: "Disk",
        *,
        name: str | None = None,
        description: str | None = None,
        retention_days: int | None = None,
        tags: Mapping[str, str] | None = None,
        group_id: str | None = None,
    ) -> Snapshot:
        """Capture the blocks now; the upload takes its time."""
        now = self._ecs.clock.now()
        changed = disk.volume.changed_bytes
        seconds = OVERHEAD_SECONDS + changed / MIB / MIB_PER_SECOND + self._ecs.chance.uniform(0, JITTER_SECONDS)
        dark = self._ecs.is_dark(disk.zone)
        snapshot = Snapshot(
            id=self._ecs.chance.id("s"),
            name=name or "",
            description=description or "",
            disk_id=disk.id,
            disk_kind=disk.kind,
            disk_category=disk.category,
            size_gib=disk.size_gib,
            zone=disk.zone,
            created=now,
            done_at=now + timedelta(seconds=seconds),
            layer=disk.volume.snapshot(),
            changed_bytes=changed,
            # Assumption: what is taken of a dark zone can be used only when the zone is heard again.
            available=disk.instant and not dark,
            retention_days=retention_days,
            instance_id=disk.instance_id,
            group_id=group_id,
            tags=dict(tags or {}),
        )
        self.shelf.add(snapshot)
        self.by_disk.setdefault(disk.id, {})[snapshot.id] = snapshot
        self._dues[snapshot.id] = self._ecs.clock.call_at(
            snapshot.done_at, lambda: self._complete(snapshot), "snapshot completes"
        )
        self._plan_release(snapshot)
        return snapshot

    def _plan_release(self, snapshot: Snapshot) -> None:
        if snapshot.retention_days is not None:
            at = snapshot.created + timedelta(days=snapshot.retention_days)
            self._ecs.clock.call_at(at, lambda: self._release(snapshot), "snapshot retention ends")

    def _release(self, snapshot: Snapshot) -> None:
        """The provider's retention deletes even the last point. One that is referred to stays (assumption)."""
        assert snapshot.retention_days is not None
        extended = snapshot.created + timedelta(days=snapshot.retention_days) > self._ecs.clock.now()
        if extended or snapshot.id not in self.shelf or snapshot.images or snapshot.disks:
            return
        self._drop(snapshot)

    def _complete(self, snapshot: Snapshot) -> None:
        if self._ecs.is_dark(snapshot.zone):
            # The blocks cannot leave a dark zone: look again when it is heard.
            self._ecs.when_lit(snapshot.zone, lambda: self._complete(snapshot))
            return
        if self._dues.pop(snapshot.id, None) is None:
            return
        now = self._ecs.clock.now()
        snapshot.status, snapshot.available, snapshot.finished = "accomplished", True, now
        content = {
            "result": "accomplished",
            "snapshotId": snapshot.id,
            "snapshotName": snapshot.name,
            "snapshotType": "user",
            "diskId": snapshot.disk_id,
            "startTime": iso(snapshot.created),
            "endTime": iso(now),
        }
        self._ecs.publish("Snapshot:CreateSnapshotCompleted", "INFO", f"snapshot/{snapshot.id}", content)
        self._ecs.snapshot_completed(snapshot)

    def delete(self, id: str, *, force: bool = False) -> None:
        """Deleting one that is progressing cancels it. Force overrides only disks made of it, never images."""
        snapshot = self.shelf.get(id)
        if snapshot is None:
            if self.missing_deletes_answer_404:
                raise ApiError("InvalidSnapshotId.NotFound", f"The specified snapshot {id} does not exist.", 404)
            return
        if snapshot.images:
            raise ApiError("SnapshotCreatedImage", f"The image {min(snapshot.images)} was made of {id}.", 403)
        if snapshot.disks and not force:
            raise ApiError("SnapshotCreatedDisk", f"The disk {min(snapshot.disks)} was made of {id}.", 403)
        self._drop(snapshot)

    def _drop(self, snapshot: Snapshot) -> None:
        due = self._dues.pop(snapshot.id, None)
        if due is not None:
            due.cancel()
        self.shelf.remove(snapshot)
        siblings = self.by_disk[snapshot.disk_id]
        del siblings[snapshot.id]
        if not siblings:
            del self.by_disk[snapshot.disk_id]
        disk = self._ecs.disks.shelf.get(snapshot.disk_id)
        if disk is not None:
            disk.volume.forget(snapshot.layer)
        snapshot.layer.delete()
        self._ecs.snapshot_gone(snapshot)

    def modify(
        self, id: str, *, name: str | None = None, description: str | None = None, retention_days: int | None = None
    ) -> None:
        """RetentionDays can only be extended, and counts from creation."""
        snapshot = self.find(id)
        if name is None and description is None and retention_days is None:
            raise ApiError("NoAttributeToModify", "No attribute is given.")
        check_name(name, ApiError("InvalidSnapshotName.Malformed", f"{name!r} is not valid."), banned=("auto",))
        if description:
            check_description(description, ApiError("InvalidDescription.Malformed", "The text is not valid.", 404))
        check_retention(retention_days)
        if retention_days is not None:
            if snapshot.retention_days is None or retention_days < snapshot.retention_days:
                raise ApiError(
                    "InvalidOperation.DecreaseRetentionDaysUnsupported",
                    f"{id} is kept for {snapshot.retention_days or 'ever'}; this can only be extended.",
                )
            snapshot.retention_days = retention_days
            self._plan_release(snapshot)
        snapshot.name = snapshot.name if name is None else name
        snapshot.description = snapshot.description if description is None else description


def check_retention(days: int | None) -> None:
    low, high = RETENTION_DAYS
    if days is not None and not low <= days <= high:
        raise ApiError("InvalidRetentionDays.Malformed", f"RetentionDays is {low}-{high}, got {days}.")
