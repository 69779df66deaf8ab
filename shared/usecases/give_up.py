"""Writes down what Function Compute has given up on. The last place where lost work is seen, so it never fails.

Nothing is tried again from here: every operation is durable and its own function's timer goes on with it.
"""

from dataclasses import dataclass
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import DrError
from shared.observability import log
from shared.ports.clock import Clock
from shared.state.decisions import Decisions
from shared.triggers.trigger import DestinationRecord

SCOPE: Final = "deadletter"
MOST_OF_A_PAYLOAD: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    function: str
    because: str
    kept: bool  # False: only the log has it


class GiveUp:
    def __init__(self, *, decisions: Decisions, clock: Clock, prefix: str) -> None:
        self._decisions = decisions
        self._clock = clock
        self._prefix = prefix

    def record(self, record: DestinationRecord, *, run: str) -> GivenUp:
        """Log it, then keep it; a store that cannot be reached leaves the log line."""
        function = record.function.removeprefix(self._prefix) or "an unnamed function"
        because = f"gave up on {function} after {record.attempts} attempts: {record.condition or 'no reason given'}"
        made = Decision(
            event="invocation.given_up",
            at=self._clock.now(),
            subject=function,
            because=(because, f"{record.error_type}: {record.error_message}".strip(": ") or "no error was told"),
            inputs={
                "payload": record.payload[:MOST_OF_A_PAYLOAD],
                "request": record.request_id,
                "last_attempt": record.at.isoformat() if record.at else "",
            },
            acted=False,
            run=run,
        )
        log.decision(made)
        try:
            self._decisions.record(SCOPE, made)
        except DrError as error:
            log.event("decision.unkept", run=run, subject=function, because=str(error))
            return GivenUp(function=function, because=because, kept=False)
        return GivenUp(function=function, because=because, kept=True)
