"""The journal of a copy and what becomes of it, as values. Pure: request and steps in, steps and points out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.domain import provenance
from shared.domain.errors import DrError, QuotaReached
from shared.domain.ids import DiskId, OperationId, SnapshotId
from shared.domain.operation import Operation, Step, StepState
from shared.domain.retention import RestorePoint
from shared.state import codec
from shared.state.lines import Place
from shared.usecases.copies.copying import CopyRequest
from shared.usecases.operations import intended

DISK: Final = "disk"
SNAPSHOT: Final = "snapshot"  # the source
COPY: Final = "copy"
KEY: Final = "kms_key"
FAILED: Final = "failed"  # copies of earlier attempts, which are not to be found again
NOT_BEFORE: Final = "not_before"
TROUBLE: Final = "trouble"
BLOCKED: Final = "blocked"  # its trouble is a refusal: somebody has to mend something
COMPLETE: Final = "complete"


def place(operation: Operation, request: CopyRequest) -> Place:
    return Place(
        line=str(request.target),
        priority=request.priority,
        deadline=request.deadline,
        since=operation.created,
        operation=operation.id,
        weight=len(request.disks),
    )


def first(operation: OperationId, request: CopyRequest, kms_key: str, now: datetime) -> list[Step]:
    return [
        _attempt(operation, request, f"copy:{disk}", 1, {DISK: disk, SNAPSHOT: snapshot, KEY: kms_key}, now)
        for disk, snapshot in request.disks
    ]


def following(
    operation: OperationId,
    request: CopyRequest,
    step: Step,
    kms_key: str,
    now: datetime,
    not_before: datetime,
    because: str,
) -> Step:
    """The attempt after `step`, which was refused or failed."""
    data = {key: value for key, value in step.data.items() if key not in (COPY, NOT_BEFORE)} | {KEY: kms_key}
    if step.data.get(COPY):
        data[FAILED] = json.dumps([*json.loads(step.data.get(FAILED, "[]")), step.data[COPY]])
    return blocked(_attempt(operation, request, step.name, step.attempt + 1, data, now), not_before, because)


def _attempt(
    operation: OperationId, request: CopyRequest, name: str, number: int, data: Mapping[str, str], now: datetime
) -> Step:
    token = provenance.token(operation, name, number, data[SNAPSHOT], request.region, data[KEY])
    return intended(name, token, now, attempt=number, data=data)


def put_off(step: Step, until: datetime, because: str) -> Step:
    kept = {key: value for key, value in step.data.items() if key != BLOCKED}
    return replace(step, data={**kept, NOT_BEFORE: codec.moment(until), TROUBLE: because})


def blocked(step: Step, until: datetime, because: str) -> Step:
    later = put_off(step, until, because)
    return replace(later, data={**later.data, BLOCKED: "yes"})


def refusals(operation: Operation) -> tuple[str, ...]:
    """What keeps it from going on, in an order that stays."""
    return tuple(sorted({step.data[TROUBLE] for step in operation.steps if BLOCKED in step.data}))


def not_before(step: Step) -> datetime:
    return codec.instant(step.data[NOT_BEFORE]) if NOT_BEFORE in step.data else step.at


def under_way(operation: Operation) -> list[Step]:
    return [step for step in operation.steps if step.state is StepState.DONE and COMPLETE not in step.data]


def tags(request: CopyRequest) -> dict[str, str]:
    """Passed to every copy: tags are not inherited. Source: ECS API, CopySnapshot, read 2025."""
    return provenance.tags(
        request.first,
        request.policy,
        instance=request.subject,
        protection=request.protection,
        schedule=request.schedule,
        slot=request.slot,
    )


def point(operation: Operation, request: CopyRequest, now: datetime) -> RestorePoint:
    copies = {DiskId(step.data[DISK]): SnapshotId(step.data[COPY]) for step in operation.steps}
    return replace(
        _elsewhere(request),
        disks=tuple(sorted(copies.items())),
        usable_since=now,
        complete_since=now,
    )


def leftovers(request: CopyRequest, found: Sequence[Step]) -> list[RestorePoint]:
    """What there is of copies that will never be whole: points that failed, each with its own id."""
    return [
        replace(
            _elsewhere(request),
            id=f"{request.copy}/{step.data[COPY]}",
            disks=((DiskId(step.data[DISK]), SnapshotId(step.data[COPY])),),
            usable=False,
            complete=False,
            failed=True,
        )
        for step in found
        if step.data.get(COPY)
    ]


def _elsewhere(request: CopyRequest) -> RestorePoint:
    return replace(
        request.original(), id=request.copy, place=request.target, copy_of=request.point, copy_to=(), disks=()
    )


def inputs(request: CopyRequest) -> dict[str, str]:
    """Of a decision about it."""
    return {"point": request.point, "region": request.region, "deadline": codec.second(request.deadline)}


def evidence(step: Step) -> str:
    stands = step.data.get(COPY) or step.data.get(TROUBLE) or step.state.value
    return f"{step.name}, attempt {step.attempt}: {stands}"


def remedy(refusal: DrError, request: CopyRequest) -> str:
    """What helps, where the cloud's words do not say it."""
    if isinstance(refusal, QuotaReached):
        return (
            f". In {request.region} a disk has as many snapshots as it may: keep fewer there (keep of the copy rule), "
            "let prune run, or ask for a higher quota"
        )
    return ""
