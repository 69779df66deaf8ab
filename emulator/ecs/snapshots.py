"""Snapshots: incremental, slow by their changed blocks, counted against the quota of their disk.

Three clocks run for each: taken (the contents are those of that instant), available (usable for new disks and
rollbacks: at once for the ESSD family), accomplished (in the object storage: what images and copies want). One that
fails shows it only when it is asked for, and by its event.

Sources: ECS API CreateSnapshot, DescribeSnapshots, DeleteSnapshot, ModifySnapshotAttribute, ModifySnapshotCategory.
Not modelled: encryption of disks and its keys, local (Flash) snapshots, storage sets.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from emulator.ecs.blocks import MIB
from emulator.ecs.chains import Chains
from emulator.ecs.copies import SnapshotCopies
from emulator.ecs.locks import SnapshotLocks
from emulator.ecs.policies import AutoSnapshotPolicies
from emulator.ecs.preconditions import Standing, check_deletable, check_disk, check_retention
from emulator.ecs.rules import check_description, check_name, check_tags, iso
from emulator.ecs.shelf import Shelf
from emulator.ecs.snapshot import Snapshot
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.disks import Disk
    from emulator.ecs.model import Ecs

OVERHEAD_SECONDS = 5.0  # assumption, as is the speed
MIB_PER_SECOND = 50.0
JITTER_SECONDS = 1.0
LOOK_AGAIN = timedelta(days=1)  # whether what kept an expired snapshot is gone (assumption)


class Snapshots:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.shelf: Shelf[Snapshot] = Shelf()
        self.standing = Standing()
        self.chains = Chains(ecs.clock)
        self.locks = SnapshotLocks(ecs)
        self.copies = SnapshotCopies(ecs)
        self.policies = AutoSnapshotPolicies(ecs)
        self.missing_deletes_answer_404 = False
        """The text says a missing id is ignored, the table has 404: both are documented. The text wins by default,
        since "ignored" is the answer that a careless program takes for "deleted"."""
        self._failing: dict[str, int] = {}

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

    @property
    def by_disk(self) -> Mapping[str, Mapping[str, Snapshot]]:
        """Disks that have any, each with its snapshots by id, oldest first."""
        return self.chains.by_disk

    def unfinished(self, disk_id: str) -> int:
        return self.chains.unfinished(disk_id)

    def fail_next(self, disk_id: str, times: int = 1) -> None:
        """The next snapshots (or copies) of this disk fail at their end, as silently as the cloud's."""
        self._failing[disk_id] = self._failing.get(disk_id, 0) + times

    # Coming -----------------------------------------------------------------------------------------------------

    def create(
        self,
        disk_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        retention_days: int | None = None,
        tags: Mapping[str, str] | None = None,
        resource_group: str = "",
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
            return self.take(
                disk, name=name, description=description, retention_days=retention_days, tags=tags,
                resource_group=resource_group,
            )  # fmt: skip

        fingerprint = (disk_id, name, description, retention_days, resource_group, tuple(sorted(tags.items())))
        snapshot: Snapshot = self._ecs.tokens.once("CreateSnapshot", token, fingerprint, make)
        return snapshot

    def check_disk(self, disk: "Disk", *, instance_locked_status: int = 403) -> None:
        """Whether a manual snapshot of this disk may begin now."""
        self.standing.check()
        check_disk(self._ecs, disk, instance_locked_status=instance_locked_status)

    def take(
        self,
        disk: "Disk",
        *,
        name: str | None = None,
        description: str | None = None,
        retention_days: int | None = None,
        tags: Mapping[str, str] | None = None,
        group_id: str | None = None,
        type: str = "user",
        resource_group: str = "",
    ) -> Snapshot:
        """Capture the blocks now; the upload takes its time."""
        now = self._ecs.clock.now()
        changed = disk.volume.changed_bytes
        full = disk.volume.used_bytes
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
            full_bytes=full,
            # Assumption: what is taken of a dark zone can be used only when the zone is heard again.
            available=disk.instant and not dark,
            retention_days=retention_days,
            instance_id=disk.instance_id,
            group_id=group_id,
            type=type,
            resource_group=resource_group,
            guest=self._guest_on(disk),
            tags=dict(tags or {}),
        )
        self.admit(snapshot)
        return snapshot

    def _guest_on(self, disk: "Disk") -> dict[str, Any] | None:
        machine = self._ecs.instances.get(disk.instance_id) if disk.instance_id and disk.kind == "system" else None
        return machine.guest if machine else None

    def admit(self, snapshot: Snapshot) -> None:
        """Put one that is under way on the shelf; it completes when its time has come."""
        self.shelf.add(snapshot)
        self.chains.add(snapshot)
        snapshot.due = self._ecs.clock.call_at(snapshot.done_at, lambda: self._complete(snapshot), "snapshot completes")
        self._plan_release(snapshot)
        self._tell("CreateSnapshotInitiated", snapshot, {"startTime": iso(snapshot.created)})

    def _tell(self, name: str, snapshot: Snapshot, more: Mapping[str, str]) -> None:
        """Always INFO, also of a failure. What Initiated and SnapshotDeleted hold is not documented (assumption: what
        names the snapshot)."""
        content = {
            "snapshotId": snapshot.id,
            "snapshotName": snapshot.name,
            "snapshotType": snapshot.origin,
            "diskId": snapshot.disk_id,
            **more,
        }
        self._ecs.publish(f"Snapshot:{name}", "INFO", f"snapshot/{snapshot.id}", content)

    def _complete(self, snapshot: Snapshot) -> None:
        if snapshot.due is None:
            return
        if snapshot.zone and self._ecs.is_dark(snapshot.zone):
            # The blocks cannot leave a dark zone: look again when it is heard.
            self._ecs.when_lit(snapshot.zone, lambda: self._complete(snapshot))
            return
        snapshot.due = None
        now = self._ecs.clock.now()
        failed = self._failing.pop(snapshot.disk_id, 0)
        if failed > 1:
            self._failing[snapshot.disk_id] = failed - 1
        snapshot.status = "failed" if failed else "accomplished"
        snapshot.available, snapshot.finished = not failed, now
        self.chains.finished(snapshot)
        if failed:  # it holds nothing; what it should have held is due again with the next one
            snapshot.layer.delete()
            self.chains.weigh(snapshot.disk_id)
        times = {"startTime": iso(snapshot.created), "endTime": iso(now)}
        self._tell("CreateSnapshotCompleted", snapshot, {"result": snapshot.status, **times})
        self.locks.snapshot_finished(snapshot)
        self.copies.ended(snapshot)
        self.policies.snapshot_finished(snapshot)
        self._ecs.snapshot_completed(snapshot)

    # Going ------------------------------------------------------------------------------------------------------

    def delete(self, id: str, *, force: bool = False) -> None:
        """Deleting one that is progressing cancels it. Force overrides only disks made of it, never images."""
        snapshot = self.shelf.get(id)
        if snapshot is None:
            if self.missing_deletes_answer_404:
                raise ApiError("InvalidSnapshotId.NotFound", f"The specified snapshot {id} does not exist.", 404)
            return
        if self.locks.holds(id):
            raise ApiError("InvalidOperation.SnapshotIsLocked", f"{id} is locked in compliance mode.", 403)
        check_deletable(snapshot, force=force)
        self.drop(snapshot)

    def drop(self, snapshot: Snapshot) -> None:
        """Without any question."""
        for due in (snapshot.due, snapshot.release):
            if due is not None:
                due.cancel()
        snapshot.due = snapshot.release = None
        self.shelf.remove(snapshot)
        snapshot.layer.delete()
        self.chains.remove(snapshot)
        self.locks.snapshot_gone(snapshot)
        self.copies.ended(snapshot)
        self._ecs.snapshot_gone(snapshot)
        self._tell("SnapshotDeleted", snapshot, {})

    def disk_gone(self, disk: "Disk", *, with_automatic: bool) -> None:
        """Manual snapshots outlive their disk; automatic ones go with it when it says so (DeleteAutoSnapshot)."""
        self.policies.cancel_all(disk.id)
        disk.volume.leave()
        if with_automatic:
            for snapshot in list(self.chains.of(disk.id)):
                if snapshot.type == "auto" and not self.is_held(snapshot):
                    self.drop(snapshot)
        self.chains.weigh(disk.id)

    def _plan_release(self, snapshot: Snapshot) -> None:
        if snapshot.release is not None:
            snapshot.release.cancel()
            snapshot.release = None
        if snapshot.retention_days is not None:
            at = snapshot.created + timedelta(days=snapshot.retention_days)
            snapshot.release = self._ecs.clock.call_at(at, lambda: self._release(snapshot), "snapshot retention ends")

    def _release(self, snapshot: Snapshot) -> None:
        """The provider's retention deletes even the last point. One that is referred to stays until it is not
        (assumption)."""
        if self.is_held(snapshot):
            snapshot.release = self._ecs.clock.call_later(
                LOOK_AGAIN, lambda: self._release(snapshot), "snapshot retention ended"
            )
            return
        snapshot.release = None
        self.drop(snapshot)

    def is_held(self, snapshot: Snapshot) -> bool:
        return bool(
            snapshot.images or snapshot.disks or snapshot.copying or snapshot.is_shared or self.locks.holds(snapshot.id)
        )

    # Changing ---------------------------------------------------------------------------------------------------

    def modify(
        self, id: str, *, name: str | None = None, description: str | None = None, retention_days: int | None = None
    ) -> None:
        """RetentionDays counts from creation. One that is set can only be extended; one that is kept for ever can be
        given one, as the members of a group have to be (which may well end at once)."""
        snapshot = self.find(id)
        if name is None and description is None and retention_days is None:
            raise ApiError("NoAttributeToModify", "No attribute is given.")
        check_name(name, ApiError("InvalidSnapshotName.Malformed", f"{name!r} is not valid."), banned=("auto",))
        if description:
            check_description(description, ApiError("InvalidDescription.Malformed", "The text is not valid.", 404))
        check_retention(retention_days)
        if snapshot.managed_by:
            raise ApiError(
                "InvalidOperation.ResourceManagedByCloudProduct", f"{id} belongs to {snapshot.managed_by}.", 403
            )
        if snapshot.status == "failed":  # assumption: which of the two codes is whose
            raise ApiError("InvalidSnapshotId.NotReady", f"{id} is failed.")
        if not snapshot.available:
            raise ApiError("IncorrectDiskStatus.CreatingSnapshot", f"{id} is still being created.")
        if retention_days is not None:
            if snapshot.retention_days is not None and retention_days < snapshot.retention_days:
                raise ApiError(
                    "InvalidOperation.DecreaseRetentionDaysUnsupported",
                    f"{id} is kept for {snapshot.retention_days} days; this can only be extended.",
                )
            snapshot.retention_days = retention_days
            self._plan_release(snapshot)
        snapshot.name = snapshot.name if name is None else name
        snapshot.description = snapshot.description if description is None else description
        snapshot.modified = self._ecs.clock.now()

    def archive(self, id: str, retention_days: int | None) -> None:
        """Irreversible. Without a retention it is kept for ever."""
        snapshot = self.find(id)
        self.standing.check_archive(snapshot, retention_days, self._ecs.clock.now())
        snapshot.category = "archive"
        snapshot.retention_days = retention_days
        snapshot.modified = self._ecs.clock.now()
        self._plan_release(snapshot)
