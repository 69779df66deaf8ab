"""A durable, resumable piece of work and its journal.

An operation's whole journal is one row, so every write is one compare-and-set on `version`. A step is written as
INTENDED, with the token its call will carry, before the call; and as DONE with the result after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.ids import OperationId, PolicyVersion


class OperationKind(StrEnum):
    BACK_UP = "back_up"
    IMAGE = "image"
    COPY = "copy"  # one restore point into one other region
    COPY_IMAGE = "copy_image"
    ADOPT = "adopt"
    REBUILD = "rebuild"
    RESTORE = "restore"  # disks of one instance: rolled back, swapped for clones, made anew
    LAUNCH = "launch"  # instances from an image
    PUBLISH = "publish"  # an image into scaling configurations
    PLAN = "plan"  # waves of the others
    FAIL_OVER = "fail_over"


class OperationState(StrEnum):
    OPEN = "open"
    DONE = "done"
    REFUSED = "refused"
    NEEDS_OPERATOR = "needs_operator"


class StepState(StrEnum):
    INTENDED = "intended"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    name: str  # unique in its operation, e.g. snapshot:i-app-h1
    state: StepState
    at: datetime
    token: str = ""
    attempt: int = 1
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    id: OperationId
    kind: OperationKind
    subject: str  # what no second recovery may touch at the same time
    state: OperationState
    created: datetime
    policy: PolicyVersion
    because: str
    inputs: Mapping[str, str]  # JSON texts; enough to re-plan from
    steps: tuple[Step, ...] = ()
    result: Mapping[str, str] = field(default_factory=dict)
    version: int = 0


def opened(
    id: OperationId,
    kind: OperationKind,
    subject: str,
    *,
    policy: PolicyVersion,
    now: datetime,
    because: str,
    request: str,
) -> Operation:
    """One that nobody has begun. `request`: what was asked for, as text; its kind's recipe reads it."""
    return Operation(
        id=id,
        kind=kind,
        subject=subject,
        state=OperationState.OPEN,
        created=now,
        policy=policy,
        because=because,
        inputs={"request": request},
    )
