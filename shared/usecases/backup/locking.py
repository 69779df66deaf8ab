"""WORM locks on a restore point: for some days the cloud lets nobody delete its snapshots, us included.

A lock is never shortened (the cloud would refuse it), and never taken back. Locking needs no intent in the journal: the
token is the same in every run, and what is locked already is read first and left alone.
Source: ECS API, LockSnapshot, DescribeLockedSnapshots, read 2026.
"""

from datetime import datetime, timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.decision import Decision
from shared.domain.errors import Conflict, Forbidden, Permanent
from shared.domain.ids import SnapshotId
from shared.domain.inventory import SnapshotLock
from shared.domain.policy import Lock
from shared.domain.retention import RestorePoint
from shared.ports.clock import Clock
from shared.ports.compute import Compute
from shared.state import codec
from shared.state.points import Points
from shared.usecases.operations import Work

ROUNDING: Final = timedelta(minutes=1)
"""The cloud tells when a lock ends to the second, and some clocks of it to the minute."""


def lock_point(work: Work, cloud: Compute, points: Points, point: RestorePoint, lock: Lock, clock: Clock) -> Decision:
    """Lock every snapshot of a complete `point` in the place of `cloud`, read the locks back and record them.

    Safe to repeat. The decision says `restore_point.locked`, or `restore_point.lock_refused` (not acted on) with the
    cloud's reason: then the point stays as it is, as much of it locked as was allowed. The caller keeps it.
    Raises Retryable, OutcomeUnknown and Forbidden when it is worth asking again, and ClaimLost.
    """
    snapshots = [snapshot for _, snapshot in point.disks]
    wanted = point.taken + timedelta(days=lock.days) - ROUNDING
    held = _held(cloud, snapshots)
    refusals: list[str] = []
    for snapshot in snapshots:
        stands = held.get(snapshot)
        if stands is not None and (stands.expires is None or stands.expires >= wanted):
            continue
        cool_off = lock.cool_off_hours if stands is None or stands.cooling_off else 0  # extended: at once
        token = provenance.token(work.operation.id, f"lock:{snapshot}", 1, str(lock.days), str(cool_off))
        work.may_act()
        try:
            cloud.snapshots.lock(snapshot, days=lock.days, cool_off_hours=cool_off, token=token)
        except Forbidden:
            raise
        except (Permanent, Conflict) as refusal:
            refusals.append(str(refusal))
    held = _held(cloud, snapshots)
    unlocked = [snapshot for snapshot in snapshots if snapshot not in held]
    refusals += [f"{one} is not among the locked snapshots" for one in unlocked] if not refusals else []
    until = _until(point, lock, held)
    if until is not None:
        points.locked(point, until)
    return _decision(work, point, lock, until, refusals, clock.now())


def _held(cloud: Compute, snapshots: list[SnapshotId]) -> dict[SnapshotId, SnapshotLock]:
    return {one.snapshot: one for one in cloud.snapshots.locks(snapshots)}


def _until(point: RestorePoint, lock: Lock, held: dict[SnapshotId, SnapshotLock]) -> datetime | None:
    """When the last of its locks ends: a point goes as a whole. One whose time has not begun ends later than this."""
    return max((one.expires or point.taken + timedelta(days=lock.days) for one in held.values()), default=None)


def _decision(
    work: Work, point: RestorePoint, lock: Lock, until: datetime | None, refusals: list[str], now: datetime
) -> Decision:
    asked = f"locked for {lock.days} days" + (f", cool-off {lock.cool_off_hours} h" if lock.cool_off_hours else "")
    because = [*dict.fromkeys(refusals)] or [f"policy {work.operation.policy} wants its points {asked}"]
    return Decision(
        event="restore_point.lock_refused" if refusals else "restore_point.locked",
        at=now,
        subject=point.subject,
        because=tuple(because),
        inputs={
            "operation": work.operation.id,
            "point": point.id,
            "days": str(lock.days),
            "until": "" if until is None else codec.second(until),
        },
        policy=work.operation.policy,
        acted=not refusals,
    )
