"""Suspicions become rebuild operations here: by an event, an alarm, or a tick that looked over the fleet.

The operation's id follows from the instance and the failure event, so all of these arrive at the same operation. When
one ended without a replacement and the trouble goes on, the next look is a new operation, a bounded number of times.

Crash order: operation, then invocation. The recipe takes the subject itself, first thing in every run.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.domain.errors import DrError
from shared.domain.ids import InstanceId, OperationId, PolicyVersion
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.policy import RebuildRule
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.state import codec
from shared.state.controls import Controls
from shared.state.journal import Journal
from shared.state.subjects import Subjects

MOST_LOOKS: Final = 5
"""Looks at one failure that found it recovered or refused; after these an operator decides: one more operation says so,
and an acknowledgement of that lets it be looked at as often again."""
MOST_OPERATIONS: Final = 60
"""About one failure in all, however often it is acknowledged."""
USED_UP: Final = "looks_used_up"
"""Key in the inputs of an operation that only asks the operator."""
SLOT: Final = timedelta(minutes=10)
"""Troubles without an event id are one trouble when they fall into the same ten minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """`event` names the trouble: a system event's id, or a slot of time where there is none."""

    instance: InstanceId
    event: str
    because: str
    failed_at: datetime  # when the loss began, as well as we know: RTO counts from here
    rank: int = 0  # of the event's status; a later look at an ended one needs a higher one, or `still_lost`
    still_lost: bool = False  # the caller has seen that it is out of service now


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    operation: OperationId | None  # None: nothing to do
    because: str
    new: bool = False


class Suspicions:
    def __init__(
        self, *, journal: Journal, subjects: Subjects, controls: Controls, functions: Functions, clock: Clock
    ) -> None:
        self._journal = journal
        self._controls = controls
        self._subjects = subjects
        self._functions = functions
        self._clock = clock

    def follow(self, suspicion: Suspicion, rule: RebuildRule, policy: PolicyVersion) -> Opened:
        """Open (or find) the rebuild operation and have it looked at now. Safe to call any number of times."""
        opened = self._open(suspicion, rule, policy)
        if opened.operation is not None:
            hand_over(self._functions, "recover", {"operation": opened.operation, "look": "now"})
        return opened

    def dealt_with(self, instance: InstanceId) -> bool:
        """Whether an open recovery holds it, which looks again by itself."""
        holder = self._subjects.holder(instance)
        held = self._journal.find(holder) if holder else None
        return held is not None and held.state is OperationState.OPEN

    def _open(self, suspicion: Suspicion, rule: RebuildRule, policy: PolicyVersion) -> Opened:
        holder = self._subjects.holder(suspicion.instance)
        held = self._journal.find(holder) if holder else None
        if held is not None and held.state is OperationState.OPEN:
            return Opened(operation=held.id, because=f"{held.id} already deals with it")
        if held is not None and waits(held, self._controls):
            return Opened(operation=None, because=f"{held.id} waits for an operator")
        fruitless = 0
        for look in range(1, MOST_OPERATIONS + 1):
            name = operation_id(suspicion.instance, suspicion.event, look)
            found = self._journal.find(name)
            if found is None:
                operation = self._operation(name, suspicion, rule, policy)
                if fruitless >= MOST_LOOKS:
                    operation = replace(operation, inputs={**operation.inputs, USED_UP: str(fruitless)})
                return Opened(operation=self._journal.open(operation).id, because=suspicion.because, new=True)
            if found.state is OperationState.OPEN:
                return Opened(operation=name, because=f"{name} already deals with it")
            if "replacement" in found.result:
                return Opened(operation=None, because=f"{name} already replaced it by {found.result['replacement']}")
            if found.state is OperationState.NEEDS_OPERATOR:
                if waits(found, self._controls):
                    return Opened(operation=None, because=f"{name} waits for an operator")
                fruitless = 0
                continue  # acknowledged: the operator wants it tried again
            fruitless += 1
            if not suspicion.still_lost and suspicion.rank <= int(found.inputs.get("rank", "0")):
                return Opened(operation=None, because=f"{name} already looked: {found.result.get('because', 'ended')}")
        return Opened(operation=None, because=f"{MOST_OPERATIONS} operations about {suspicion.event} did not end it")

    def _operation(self, id: OperationId, suspicion: Suspicion, rule: RebuildRule, policy: PolicyVersion) -> Operation:
        now = self._clock.now()
        return Operation(
            id=id,
            kind=OperationKind.REBUILD,
            subject=suspicion.instance,
            state=OperationState.OPEN,
            created=now,
            policy=policy,
            because=suspicion.because,
            inputs={
                "instance": suspicion.instance,
                "rule": rule.name,
                "event": suspicion.event,
                "rank": str(suspicion.rank),
                "first_seen": codec.moment(now),
                # A sender's clock that runs ahead must not make a loss lie in the future.
                "failed_at": codec.moment(min(suspicion.failed_at, now)),
            },
        )


def waits(operation: Operation, controls: Controls) -> bool:
    """Whether it ended with a question to an operator who has not acknowledged it (or its subject) since."""
    return unanswered(operation, controls.acknowledged)


def unanswered(operation: Operation, acknowledged: Callable[[str], datetime | None]) -> bool:
    if operation.state is not OperationState.NEEDS_OPERATOR:
        return False
    answers = (acknowledged(operation.id), acknowledged(operation.subject))
    return not any(at is not None and at >= operation.created for at in answers)


def slot_of(at: datetime) -> str:
    """Names a trouble that has no event of its own, so that an alarm and the tick arrive at the same operation."""
    seconds = int(at.timestamp()) // int(SLOT.total_seconds()) * int(SLOT.total_seconds())
    return f"look-{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%MZ}"


def operation_id(instance: InstanceId, event: str, look: int = 1) -> OperationId:
    return OperationId(f"rebuild/{instance}/{event}" + (f"/{look}" if look > 1 else ""))


def hand_over(functions: Functions, function: str, payload: Mapping[str, str]) -> None:
    """Queue a call; a queue that fails is only slow, since the function's own timer finds the work."""
    try:
        functions.invoke_async(function, json.dumps(payload, sort_keys=True).encode())
    except DrError as error:
        log.event("invocation.failed", function=function, because=str(error))
