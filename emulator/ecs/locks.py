"""Locks on snapshots: for their time nobody can delete the snapshot, not even the account itself.

A lock is in its cool-off first (it can still be undone and changed), then in force (it can only be extended), then
expired. Nothing moves it but time, so its status is read off the clock.

Sources: ECS API LockSnapshot, UnlockSnapshot, DescribeLockedSnapshots, read 2026-01 with the SDK 7.11.8.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from emulator.ecs.shelf import Shelf
from emulator.wire import params
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs
    from emulator.ecs.snapshot import Snapshot

STATES = ("compliance-cooloff", "compliance", "expired")
DAYS = (1, 36_500)
COOL_OFF_HOURS = (0, 72)


@dataclass(slots=True, kw_only=True, eq=False)
class Lock:
    id: str  # of the snapshot
    days: int
    cool_off_hours: int
    created: datetime
    started: datetime | None  # None: the snapshot is not accomplished yet
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def cools_until(self) -> datetime | None:
        return None if self.started is None else self.started + timedelta(hours=self.cool_off_hours)

    @property
    def ends(self) -> datetime | None:
        return None if self.started is None else self.started + timedelta(days=self.days)

    def status(self, now: datetime) -> str:
        cools, ends = self.cools_until, self.ends
        if cools is None or ends is None:
            return "compliance-cooloff" if self.cool_off_hours else "compliance"
        if now >= ends:
            return "expired"
        return "compliance-cooloff" if now < cools else "compliance"


class SnapshotLocks:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.shelf: Shelf[Lock] = Shelf()

    def holds(self, snapshot_id: str) -> bool:
        """Whether it is undeletable now."""
        lock = self.shelf.get(snapshot_id)
        return lock is not None and lock.status(self._ecs.clock.now()) != "expired"

    def lock(
        self,
        snapshot_id: str,
        *,
        mode: str,
        days: int,
        cool_off_hours: int,
        token: str | None = None,
        dry_run: bool = False,
    ) -> Lock:
        """Locking again during the cool-off replaces everything; afterwards it can only make the lock longer."""

        def make() -> Lock:
            self._check(snapshot_id, mode, days, cool_off_hours)
            if dry_run:
                raise ApiError("DryRunOperation", "Request validation has been passed with DryRun flag set.")
            return self._locked(snapshot_id, days, cool_off_hours)

        fingerprint = (snapshot_id, mode, days, cool_off_hours)
        mismatch = ApiError("IdempotentParameterMismatch", f"The token {token} was used with other parameters.")
        lock: Lock = self._ecs.tokens.once("LockSnapshot", token, fingerprint, make, mismatch=mismatch)
        return lock

    def _check(self, snapshot_id: str, mode: str, days: int, cool_off_hours: int) -> None:
        if mode != "compliance":
            raise ApiError("InvalidLockMode.Malformed", f"LockMode {mode!r} is not compliance.")
        if not DAYS[0] <= days <= DAYS[1]:
            raise params.invalid("LockDuration", f"{days} is outside {DAYS[0]}..{DAYS[1]}")
        if not COOL_OFF_HOURS[0] <= cool_off_hours <= COOL_OFF_HOURS[1]:
            raise params.invalid("CoolOffPeriod", f"{cool_off_hours} is outside {COOL_OFF_HOURS[0]}..72")
        snapshot = self._ecs.snapshots.find(snapshot_id)
        if snapshot.managed_by:
            raise ApiError(
                "InvalidOperation.ResourceManagedByCloudProduct",
                f"{snapshot_id} belongs to {snapshot.managed_by}.",
                403,
            )
        if snapshot.is_shared:
            raise ApiError("InvalidOperation.LockSharedSnapshotUnsupported", f"{snapshot_id} is shared.", 403)
        if snapshot.status == "failed":
            raise ApiError("InvalidOperation.SnapshotNotAvailable", f"{snapshot_id} is failed.", 403)
        if snapshot.retention_days is not None and days >= snapshot.retention_days:
            raise ApiError(
                "InvalidLockDuration.ExceedRetentionDays",
                f"{snapshot_id} is kept for {snapshot.retention_days} days; the lock must be shorter.",
            )
        if cool_off_hours > 24 * days:
            raise ApiError("InvalidCoolOffPeriod.ExceedLockDuration", "The cool-off is longer than the lock.")
        old = self.shelf.get(snapshot_id)
        in_force = old is not None and old.status(self._ecs.clock.now()) == "compliance"
        if old is not None and in_force and (cool_off_hours or days < old.days):
            # Assumption: shortening answers with the same code as a new cool-off.
            raise ApiError(
                "InvalidOperation.CoolOffPeriodExpired", f"The lock of {snapshot_id} can only be extended.", 403
            )

    def _locked(self, snapshot_id: str, days: int, cool_off_hours: int) -> Lock:
        now = self._ecs.clock.now()
        old = self.shelf.get(snapshot_id)
        if old is not None and old.status(now) == "compliance":
            old.days = days
            return old
        if old is not None:
            self.shelf.remove(old)
        snapshot = self._ecs.snapshots.find(snapshot_id)
        started = now if snapshot.status == "accomplished" else None
        lock = Lock(id=snapshot_id, days=days, cool_off_hours=cool_off_hours, created=now, started=started)
        self.shelf.add(lock)
        return lock

    def unlock(self, snapshot_id: str, *, token: str | None = None, dry_run: bool = False) -> None:
        """Only during the cool-off."""

        def make() -> None:
            snapshot = self._ecs.snapshots.find(snapshot_id)
            lock = self.shelf.get(snapshot_id)
            if lock is None:  # assumption: the code for one that is not locked is not documented
                raise ApiError("InvalidOperation.SnapshotNotAvailable", f"{snapshot.id} is not locked.", 403)
            if lock.status(self._ecs.clock.now()) != "compliance-cooloff":
                raise ApiError("InvalidOperation.CoolOffPeriodExpired", f"The cool-off of {snapshot.id} is over.", 403)
            if dry_run:
                raise ApiError("DryRunOperation", "Request validation has been passed with DryRun flag set.")
            self.shelf.remove(lock)

        mismatch = ApiError("IdempotentParameterMismatch", f"The token {token} was used with other parameters.")
        self._ecs.tokens.once("UnlockSnapshot", token, snapshot_id, make, mismatch=mismatch)

    def snapshot_finished(self, snapshot: "Snapshot") -> None:
        """The clock of a lock starts when its snapshot is accomplished."""
        lock = self.shelf.get(snapshot.id)
        if lock is not None and snapshot.status == "accomplished":
            lock.started = self._ecs.clock.now()
        elif lock is not None:
            self.shelf.remove(lock)

    def snapshot_gone(self, snapshot: "Snapshot") -> None:
        lock = self.shelf.get(snapshot.id)
        if lock is not None:
            self.shelf.remove(lock)
