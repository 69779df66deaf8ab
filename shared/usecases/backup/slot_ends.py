"""What became of one slot, as the rows we keep of it. Pure: journal and snapshots in, values out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.domain import provenance
from shared.domain.decision import Decision
from shared.domain.ids import DiskId, InstanceId, OperationId, PolicyVersion, SnapshotGroupId, SnapshotId
from shared.domain.inventory import Snapshot, SnapshotState
from shared.domain.operation import Step
from shared.domain.place import Place
from shared.domain.retention import Level, RestorePoint
from shared.state import codec
from shared.state.slots import Slot, SlotState
from shared.usecases.backup import take_steps as steps
from shared.usecases.backup.schedule_backups import PUNCTUAL
from shared.usecases.operations import done
from shared.usecases.requests import BackUpRequest

CREATE_WITHIN: Final = timedelta(hours=1)
"""After this, a snapshot that could not be started is given up: the next slot is a better point than a late one."""
USABLE: Final = "usable"
COMPLETE: Final = "complete"
FAILED: Final = "failed"
ENDS: Final = (COMPLETE, FAILED)
FAILED_IN_CLOUD: Final = "its snapshot failed in the cloud"


class Reason(StrEnum):
    """Why a slot was not taken, as it is counted."""

    OVERLAP = "overlap"
    OVERTAKEN = "overtaken"
    QUOTA = "quota reached"
    GONE = "disk gone"
    REFUSED = "refused"
    NOT_FROZEN = "not frozen"
    NO_DISK = "no disk"
    PAUSED = "paused"
    BLACKOUT = "blackout"
    NOT_STARTED = "not started in time"
    FAILED = "failed in the cloud"
    VANISHED = "not shown by the cloud"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What all restore points of one operation share."""

    operation: OperationId
    policy: PolicyVersion
    subject: str
    request: BackUpRequest
    place: Place
    copy_to: tuple[str, ...]  # regions


def tags(origin: Origin, instance: InstanceId | None) -> dict[str, str]:
    """Of what is made for one instance, or None: for several."""
    request = origin.request
    return provenance.tags(
        origin.operation,
        origin.policy,
        instance=instance,
        protection=request.protection,
        schedule=request.schedule,
        slot=request.due,
    )


def restore_point(
    origin: Origin, step: Step, found: Sequence[Snapshot], now: datetime, *, lost: str = ""
) -> RestorePoint:
    """The point as it looks now. One failed or vanished snapshot fails the point: half an instance restores nothing.

    `lost`: why it is one no more, or never was, whatever its snapshots look like."""
    broken = bool(lost) or failed_in_cloud(found)
    usable = not broken and all(snapshot.usable for snapshot in found)
    complete = not broken and all(snapshot.state is SnapshotState.ACCOMPLISHED for snapshot in found)
    first_seen = codec.instant(step.data[USABLE]) if step.data.get(USABLE) else now
    group = step.data.get(steps.GROUP)
    return RestorePoint(
        id=origin.request.point(steps.instance(step)),
        subject=steps.instance(step),
        slot=origin.request.due,
        schedule=origin.request.schedule,
        taken=min((snapshot.created for snapshot in found), default=step.at),
        usable=usable,
        complete=complete,
        failed=broken,
        disks=tuple(sorted((snapshot.disk, snapshot.id) for snapshot in found)),
        protection=origin.request.protection,
        policy=origin.policy,
        usable_since=first_seen if usable else None,
        place=origin.place,
        level=Level(step.data.get(steps.LEVEL, Level.CRASH)),
        complete_since=now if complete and usable else None,
        group=SnapshotGroupId(group) if group else None,
        copy_to=() if broken else origin.copy_to,
    )


def abandoned(origin: Origin, step: Step) -> RestorePoint:
    """What there is of a point that will never be whole, so that prune takes it away."""
    return RestorePoint(
        id=origin.request.point(steps.instance(step)),
        subject=steps.instance(step),
        slot=origin.request.due,
        schedule=origin.request.schedule,
        taken=step.at,
        usable=False,
        complete=False,
        failed=True,
        disks=tuple(sorted((DiskId(disk), SnapshotId(made)) for disk, made in steps.snapshots(step).items())),
        protection=origin.request.protection,
        policy=origin.policy,
        place=origin.place,
        level=Level.DISK,
    )


def told(step: Step, point: RestorePoint, reason: str) -> Step:
    """`reason`: of a point that failed, for counting."""
    usable = codec.moment(point.usable_since) if point.usable_since else ""
    said = {steps.TOLD: state(point), USABLE: usable, steps.SNAPSHOTS: json.dumps(dict(point.disks))}
    return done(step, step.at, **said, **({steps.REASON: reason} if reason else {}))


def told_failed(step: Step) -> Step:
    return replace(step, data={**step.data, steps.TOLD: FAILED})


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


def end(origin: Origin, step: Step, point: RestorePoint, now: datetime, because: str) -> Slot:
    """`because`: of a point that failed."""
    request = origin.request
    if point.failed:
        return skipped(request, point.subject, now, because)
    late = point.taken - request.due > PUNCTUAL
    said = [f"taken {point.taken - request.due} after it was due"] if late else []
    return Slot(
        subject=point.subject,
        due=request.due,
        protection=request.protection,
        schedule=request.schedule,
        state=SlotState.LATE if late else SlotState.TAKEN,
        at=now,
        because="; ".join([*said, *filter(None, [step.data.get(steps.NOTE)])]),
        point=point.id,
        taken=point.taken,
        usable=point.usable_since,
        disks=tuple(disk for disk, _ in point.disks),
    )


def skipped(request: BackUpRequest, subject: str, now: datetime, because: str) -> Slot:
    return Slot(
        subject=subject,
        due=request.due,
        protection=request.protection,
        schedule=request.schedule,
        state=SlotState.SKIPPED,
        at=now,
        because=because,
    )


def decision(origin: Origin, end: Slot, run: str) -> Decision:
    because = f"slot {codec.second(end.due)} of {end.protection}/{end.schedule}"
    return Decision(
        event=f"slot.{end.state.value}",
        at=end.at,
        subject=end.subject,
        because=(because, end.because) if end.because else (because,),
        inputs={"operation": origin.operation, "point": end.point},
        policy=origin.policy,
        acted=end.state is not SlotState.SKIPPED,
        run=run,
    )
