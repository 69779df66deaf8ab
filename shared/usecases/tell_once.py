"""What an unfinished operation has to say, told once and not at every look."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import OutcomeUnknown, Retryable
from shared.observability import log
from shared.ports.clock import Clock
from shared.state import codec
from shared.state.decisions import Decisions
from shared.usecases.operations import Resume, Work

COMPARED: Final = 80
"""Characters of a reason: an answer's end may hold the number of its request."""
SOONEST: Final = timedelta(seconds=30)
LATEST: Final = timedelta(minutes=10)
UNHEARD: Final = "unheard_since"


class TellOnce:
    def __init__(self, decisions: Decisions, clock: Clock, run: str) -> None:
        self._decisions = decisions
        self._clock = clock
        self._run = run

    def tell(
        self, work: Work, event: str, because: tuple[str, ...], inputs: Mapping[str, str], *, once: str | None = None
    ) -> None:
        """A decision not to act, unless the last one of this `event` said the same (`once`: what to compare)."""
        said = (because[0] if once is None else once)[:COMPARED]
        if work.operation.result.get(event) == said:
            return
        self.keep(
            Decision(
                event=event,
                at=self._clock.now(),
                subject=work.operation.subject,
                because=because,
                inputs={"operation": work.operation.id, **inputs},
                policy=work.operation.policy,
                acted=False,
                run=self._run,
            )
        )
        work.note(event, said)

    def keep(self, decision: Decision) -> None:
        log.decision(decision)
        self._decisions.record(decision.subject, decision)

    def unheard(self, work: Work, trouble: Retryable | OutcomeUnknown) -> Resume:
        """A region that is out may stay out: ask less and less often. `work.note(UNHEARD, None)` once it answers."""
        now = self._clock.now()
        since = codec.instant(work.operation.result.get(UNHEARD, codec.moment(now)))
        work.note(UNHEARD, codec.moment(since))
        patience = trouble.retry_after if isinstance(trouble, Retryable) else None
        return Resume(after=patience or min(max((now - since) / 2, SOONEST), LATEST), because=str(trouble))
