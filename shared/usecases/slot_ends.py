"""What became of one slot, as the rows we keep of it. Pure: journal and snapshots in, values out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from shared.domain.decision import Decision
from shared.domain.ids import DiskId, InstanceId, SnapshotId
from shared.domain.inventory import Snapshot, SnapshotState
from shared.domain.operation import Operation, Step
from shared.domain.retention import RestorePoint
from shared.state import codec
from shared.state.slots import Slot, SlotState
from shared.usecases.requests import BackUpRequest
from shared.usecases.schedule_backups import PUNCTUAL

USABLE: Final = "usable"
COMPLETE: Final = "complete"
FAILED: Final = "failed"
ENDS: Final = (COMPLETE, FAILED)
FAILED_IN_CLOUD: Final = "its snapshot failed in the cloud"


def restore_point(
    operation: Operation, request: BackUpRequest, step: Step, found: Sequence[Snapshot], gone: bool, now: datetime
) -> RestorePoint:
    """The point as it looks now. One failed or vanished snapshot fails the point: half an instance restores nothing."""
    broken = gone or failed_in_cloud(found)
    usable = not broken and all(snapshot.usable for snapshot in found)
    first_seen = codec.instant(step.data[USABLE]) if step.data.get(USABLE) else now
    return RestorePoint(
        id=request.point(step.data["instance"]),
        subject=InstanceId(step.data["instance"]),
        slot=request.due,
        schedule=request.schedule,
        taken=min((snapshot.created for snapshot in found), default=step.at),
        usable=usable,
        complete=not broken and all(snapshot.state is SnapshotState.ACCOMPLISHED for snapshot in found),
        failed=broken,
        disks=tuple(sorted((snapshot.disk, snapshot.id) for snapshot in found)),
        protection=request.protection,
        policy=operation.policy,
        usable_since=first_seen if usable else None,
    )


def abandoned(operation: Operation, request: BackUpRequest, step: Step, made: Mapping[str, str]) -> RestorePoint:
    """What there is of a point that will never be whole, so that prune takes it away."""
    return RestorePoint(
        id=request.point(step.data["instance"]),
        subject=InstanceId(step.data["instance"]),
        slot=request.due,
        schedule=request.schedule,
        taken=step.at,
        usable=False,
        complete=False,
        failed=True,
        disks=tuple(sorted((DiskId(disk), SnapshotId(snapshot)) for disk, snapshot in made.items())),
        protection=request.protection,
        policy=operation.policy,
    )


def state(point: RestorePoint) -> str:
    if point.failed:
        return FAILED
    if point.complete and point.usable:
        return COMPLETE
    return USABLE if point.usable else ""


def failed_in_cloud(found: Sequence[Snapshot]) -> bool:
    """Whether the cloud says so. A snapshot that is no longer listed says nothing about whether it was taken: prune, or
    a human, may have let it go since."""
    return any(snapshot.state is SnapshotState.FAILED for snapshot in found)


def end(request: BackUpRequest, point: RestorePoint, now: datetime, found: Sequence[Snapshot]) -> Slot:
    if point.failed:
        because = FAILED_IN_CLOUD if failed_in_cloud(found) else "its snapshot vanished from the cloud"
        return skipped(request, point.subject, now, because)
    late = point.taken - request.due > PUNCTUAL
    return Slot(
        subject=point.subject,
        due=request.due,
        protection=request.protection,
        schedule=request.schedule,
        state=SlotState.LATE if late else SlotState.TAKEN,
        at=now,
        because=f"taken {point.taken - request.due} after it was due" if late else "",
        point=point.id,
        taken=point.taken,
        usable=point.usable_since,
        disks=tuple(disk for disk, _ in point.disks),
    )


def skipped(request: BackUpRequest, subject: str, now: datetime, because: str, *, due: datetime | None = None) -> Slot:
    return Slot(
        subject=subject,
        due=due or request.due,
        protection=request.protection,
        schedule=request.schedule,
        state=SlotState.SKIPPED,
        at=now,
        because=because,
    )


def decision(operation: Operation, end: Slot, run: str) -> Decision:
    because = f"slot {codec.second(end.due)} of {end.protection}/{end.schedule}"
    return Decision(
        event=f"slot.{end.state.value}",
        at=end.at,
        subject=end.subject,
        because=(because, end.because) if end.because else (because,),
        inputs={"operation": operation.id, "point": end.point},
        policy=operation.policy,
        acted=end.state is not SlotState.SKIPPED,
        run=run,
    )
