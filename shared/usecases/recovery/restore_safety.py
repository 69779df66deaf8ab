"""The safety point of a restore: a snapshot of every disk that will be changed, taken while its instance stands still.

Nothing is changed before each can be used: rolled back to if the cloud rewrites the disk itself, which it refuses while
any snapshot of that disk is unfinished; cloned from if a clone takes the disk's place.

| step in the journal | what decides after a lost answer |
|---|---|
| `safety:<disk>` (CreateSnapshot) | a snapshot of the disk tagged with the operation; then the same token again |

Source: ECS API, CreateSnapshot; ResetDisk: IncorrectDiskStatus.HasUnfinishedSnapshot (read 2025).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.errors import Busy
from shared.domain.ids import DiskId, SnapshotId
from shared.domain.inventory import Snapshot, SnapshotState
from shared.domain.operation import Operation, Step, StepState
from shared.domain.restoring import DiskPlan, Way
from shared.domain.retention import SAFETY, Level, RestorePoint
from shared.ports.clock import Clock
from shared.ports.compute import Compute
from shared.state import codec
from shared.state.points import Points
from shared.usecases.operations import Refused, Resume, Work, done, intended
from shared.usecases.recovery.recovery_requests import RestoreRequest

PREFIX: Final = "safety:"
SNAPSHOT: Final = "snapshot"
POLL: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(minutes=1)
LIMIT: Final = timedelta(hours=6)
"""The instance is stopped meanwhile: whoever waits longer for an upload is asked to decide."""
UNLISTED_FOR: Final = timedelta(minutes=2)


@dataclass(slots=True, kw_only=True)
class SafetyPoint:
    cloud: Compute
    points: Points
    clock: Clock

    def take(self, work: Work, request: RestoreRequest, disks: Sequence[DiskPlan]) -> Resume | Refused | None:
        """None: every disk's can be used for what it is for."""
        fresh = [one for one in disks if _step(work, one.disk) is None]
        if fresh:
            work.intend(*(intended(PREFIX + one.disk, _token(work.operation, one.disk), self._now()) for one in fresh))
        for one in disks:
            if work.step(PREFIX + one.disk).state is StepState.INTENDED:
                try:
                    made = self._make(work, request, one)
                except Busy as busy:
                    return self._within(work, one, POLL * 3, str(busy))
                work.intend(done(work.step(PREFIX + one.disk), self._now(), **{SNAPSHOT: made}))
        found = self.write_down(work, request)
        for one in disks:
            waits = self._ready(work, one, found.get(snapshot_of(work.operation, one.disk)))
            if waits is not None:
                return waits
        return None

    def write_down(self, work: Work, request: RestoreRequest) -> dict[SnapshotId, Snapshot]:
        """The point as it looks now: first when its snapshots are asked for, so that none is an orphan."""
        taken = snapshots(work.operation)
        if not taken:
            return {}
        found = {one.id: one for one in self.cloud.snapshots.list(ids=sorted(taken.values()))}
        work.may_act()  # an executor that thaws must not write an older look over a newer one
        self.points.put([point(work.operation, request, taken, found, self._now())])
        return found

    def complete(self, work: Work, request: RestoreRequest) -> bool:
        """Whether nothing more becomes of it."""
        found = self.write_down(work, request)
        return all(one.state is not SnapshotState.PROGRESSING for one in found.values())

    def _make(self, work: Work, request: RestoreRequest, one: DiskPlan) -> SnapshotId:
        step = work.step(PREFIX + one.disk)
        if step.name in work.inherited:
            tag = {provenance.OPERATION: provenance.operation_tag(work.operation.id)}
            sent = next(iter(self.cloud.snapshots.list(disk=one.disk, tags=tag)), None)
            if sent is not None:
                return sent.id
        work.may_act()
        return self.cloud.snapshots.create(
            one.disk,
            name=provenance.name(SAFETY, request.instance, f"{request.asked:%Y%m%dT%H%M%SZ}"),
            tags=provenance.tags(
                work.operation.id,
                work.operation.policy,
                instance=request.instance,
                protection=SAFETY,
                schedule=SAFETY,
                slot=request.asked,
            ),
            token=step.token,
        )

    def _ready(self, work: Work, one: DiskPlan, found: Snapshot | None) -> Resume | Refused | None:
        made = snapshot_of(work.operation, one.disk)
        if found is None:
            if self._now() - work.step(PREFIX + one.disk).at > UNLISTED_FOR:
                return Refused(because=f"safety snapshot {made} of {one.disk} is not listed: somebody deleted it")
            return Resume(after=POLL, because=f"safety snapshot {made} is not listed yet")
        if found.state is SnapshotState.FAILED:
            return Refused(
                because=f"safety snapshot {made} of {one.disk} failed, so nothing was changed. Ask again; if it fails "
                "again, look at the disk"
            )
        if found.state is SnapshotState.ACCOMPLISHED or (one.way is Way.CLONE and found.usable):
            return None
        age = self._now() - found.created
        percent = max(1, found.progress_percent)
        left = age * ((100 - percent) / percent)
        seen = f"safety snapshot {made} of {one.disk} is at {found.progress_percent} %"
        return self._within(work, one, min(max(left, POLL), LONGEST_PAUSE), seen)

    def _within(self, work: Work, one: DiskPlan, after: timedelta, seen: str) -> Resume | Refused:
        if self._now() - work.step(PREFIX + one.disk).at > LIMIT:
            return Refused(because=f"{seen}, {int(LIMIT.total_seconds() // 3600)} hours after it was asked for")
        return Resume(after=after, because=seen)

    def _now(self) -> datetime:
        return self.clock.now()


def point_id(request: RestoreRequest) -> str:
    return f"{SAFETY}/{codec.second(request.asked)}"


def point(
    operation: Operation,
    request: RestoreRequest,
    taken: Mapping[DiskId, SnapshotId],
    found: Mapping[SnapshotId, Snapshot],
    now: datetime,
) -> RestorePoint:
    shown = [found[one] for one in taken.values() if one in found]
    failed = any(one.state is SnapshotState.FAILED for one in shown)
    whole = len(shown) == len(taken) and not failed
    usable = whole and all(one.usable for one in shown)
    complete = whole and all(one.state is SnapshotState.ACCOMPLISHED for one in shown)
    return RestorePoint(
        id=point_id(request),
        subject=request.instance,
        slot=request.asked,
        schedule=SAFETY,
        taken=min((one.created for one in shown), default=now),
        usable=usable,
        complete=complete,
        failed=failed,
        disks=tuple(sorted(taken.items())),
        protection=SAFETY,
        policy=operation.policy,
        place=request.place,
        level=Level.CRASH,
        usable_since=now if usable else None,
        complete_since=now if complete else None,
    )


def snapshots(operation: Operation) -> dict[DiskId, SnapshotId]:
    """Of each disk, its safety snapshot, as far as they were made."""
    return {
        DiskId(step.name.removeprefix(PREFIX)): SnapshotId(step.data[SNAPSHOT])
        for step in operation.steps
        if step.name.startswith(PREFIX) and SNAPSHOT in step.data
    }


def snapshot_of(operation: Operation, disk: DiskId) -> SnapshotId:
    return snapshots(operation)[disk]


def _token(operation: Operation, disk: DiskId) -> str:
    return provenance.token(operation.id, PREFIX + disk, 1, disk)


def _step(work: Work, disk: DiskId) -> Step | None:
    return next((step for step in work.operation.steps if step.name == PREFIX + disk), None)
