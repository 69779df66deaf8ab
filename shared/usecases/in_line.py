"""How an operation waits for its turn: asks, is woken by whoever leaves, and wakes whoever may not know."""

import json
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import DrError
from shared.domain.ids import OperationId
from shared.domain.operation import OperationState
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.ports.store import Store
from shared.state.journal import Journal
from shared.state.lines import Lines, Place
from shared.usecases.operations import Resume

SOON: Final = timedelta(minutes=1)
LONGEST_WAIT: Final = timedelta(hours=1)
"""Between two questions for a turn. Whoever leaves the line wakes the next, so this is for a waker that died."""


class InLine:
    def __init__(self, *, store: Store, functions: Functions, function: str, clock: Clock) -> None:
        """`function`: the one that takes these operations further."""
        self._lines = Lines(store, ended=self._has_ended)
        self._journal = Journal(store, clock)
        self._functions = functions
        self._function = function
        self._clock = clock

    def wait(self, place: Place, *, at_most: int) -> Resume | None:
        """None: it may run, and holds its turn until it steps back or leaves."""
        turn = self._lines.take_turn(place, at_most=at_most, now=self._clock.now())
        if turn.mine:
            return None
        for other in turn.next:
            wake(self._functions, self._function, other)
        after = SOON if turn.next else min(LONGEST_WAIT, 10 * SOON * (turn.before + 1))
        because = f"{turn.before} wait before it, and {turn.running} on the way to {place.line} are as many as may be"
        return Resume(after=after, because=f"waits for its turn: {because}")

    def step_back(self, place: Place, *, until: datetime) -> None:
        """Its turn is for those who can use it; before `until` it cannot."""
        self._lines.step_back(place, until=until)
        self._wake_next(place)

    def leave(self, place: Place) -> None:
        self._lines.leave(place)
        self._wake_next(place)

    def _has_ended(self, operation: OperationId) -> bool:
        found = self._journal.find(operation)
        return found is not None and found.state is not OperationState.OPEN

    def _wake_next(self, place: Place) -> None:
        following = self._lines.next(place.line, now=self._clock.now())
        if following is not None:
            wake(self._functions, self._function, following)


def wake(functions: Functions, function: str, operation: OperationId) -> None:
    """Have somebody look at it now. When that gets lost, the timer finds it."""
    try:
        functions.invoke_async(function, json.dumps({"operation": operation}).encode())
    except DrError as error:
        log.event("invocation.failed", subject=operation, because=[str(error)])
