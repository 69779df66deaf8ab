"""Take unfinished back-up and image operations further: one that was named, or all that seem forgotten.

Woken by its own delayed invocation when the next look is due, by a timer as the net, by events as the accelerator.
What befalls one operation is told, and keeps no other from its turn.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import CredentialsRejected, DrError, Permanent
from shared.domain.ids import OperationId
from shared.domain.operation import Operation, OperationKind
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.usecases.operations import Done, Escalated, Executor, NotOurs, Outcome, Recipe, Refused, Resume, overdue

BUDGET: Final = timedelta(minutes=7)
"""After this no further operation is begun in one invocation: the function's time-out is 600 s."""
SLACK: Final = timedelta(minutes=2)
"""A planned look that is this late counts as lost. Delays of the queue are imprecise."""
LONGEST_DELAY: Final = timedelta(hours=1)
"""Source: Function Compute, x-fc-async-delay, 0-3,600 s, read 2026-03."""
MOST_AT_ONCE: Final = 50
"""Operations that one "look now" looks at; the others have their own planned looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedOn:
    outcomes: tuple[tuple[OperationId, str], ...] = ()
    left: int = 0  # not begun for lack of time

    def as_result(self) -> Mapping[str, object]:
        return {"operations": dict(self.outcomes), "left": self.left}


class CarryOn:
    def __init__(
        self,
        *,
        journal: Journal,
        recipes: Sequence[Recipe],
        decisions: Decisions,
        functions: Functions,
        function: str,
        clock: Clock,
        sweep: Callable[[], object] = lambda: None,
    ) -> None:
        """`sweep` opens what nobody has opened; it is run by `forgotten`, so by the timer."""
        self._sweep = sweep
        self._journal = journal
        self._recipes: Mapping[OperationKind, Recipe] = {recipe.kind: recipe for recipe in recipes}
        self._executor = Executor(journal, clock, ending=self._ending)
        self._decisions = decisions
        self._functions = functions
        self._function = function
        self._clock = clock

    def one(self, operation: OperationId, *, owner: str) -> CarriedOn:
        return CarriedOn(outcomes=((operation, self._run(operation, owner)),))

    def forgotten(self, *, owner: str) -> CarriedOn:
        """Those whose planned look is overdue or that nobody has begun. Streams; stops in time.

        Each has its turn, whatever befalls the others; then the first error is raised, for the platform to see."""
        try:
            self._sweep()
        except CredentialsRejected:
            raise
        except DrError as error:
            self._stuck(OperationId("sweep"), error, owner)  # what is open has its turn all the same
        return self._all(owner, now=False)

    def look_now(self, *, owner: str) -> CarriedOn:
        """All that are open, planned or not: something happened to a snapshot. Raises as `forgotten` does."""
        return self._all(owner, now=True)

    def _all(self, owner: str, *, now: bool) -> CarriedOn:
        begun = self._clock.monotonic()
        outcomes: list[tuple[OperationId, str]] = []
        errors: list[DrError] = []
        damaged: list[OperationId] = []
        left = 0
        for operation in self._journal.open_of(*self._recipes, damaged=damaged):
            lost = overdue(operation, self._clock.now(), slack=SLACK)
            if not lost and not (now and operation.steps):
                continue  # one that was never begun has its turn to come: events are about what was begun
            spent = self._clock.monotonic() - begun > BUDGET.total_seconds()
            if spent or (now and len(outcomes) + len(errors) >= MOST_AT_ONCE):
                left += 1
                continue
            try:
                # One that is not lost has its own next look waiting in the queue: a second one would live on beside it.
                outcomes.append((operation.id, self._run(operation.id, owner, again=lost)))
            except CredentialsRejected:
                raise  # no other would fare better
            except DrError as error:
                self._stuck(operation.id, error, owner)
                errors.append(error)
        for id_ in damaged:
            unread = Permanent(f"the row of operation {id_} cannot be read: look at it in table operations")
            self._stuck(id_, unread, owner)
            errors.append(unread)
        if errors:
            raise errors[0]
        return CarriedOn(outcomes=tuple(outcomes), left=left)

    def _run(self, operation: OperationId, owner: str, *, again: bool = True) -> str:
        outcome = self._executor.run(operation, self._recipes, owner=owner)
        if isinstance(outcome, Resume) and again:
            self._again(operation, outcome.after)
        _tell(operation, outcome, owner)
        return type(outcome).__name__.lower()

    def _ending(self, operation: Operation, outcome: Refused | Escalated) -> None:
        """Every end that is not plain done is a decision that can be asked for later. What is done tells of its own
        skips; the journal has the rest."""
        asked: tuple[str, ...] = ()
        facts: dict[str, str] = {}
        if isinstance(outcome, Escalated):
            asked, facts = outcome.evidence, {"runbook": outcome.runbook}
        end = "needs_operator" if isinstance(outcome, Escalated) else "refused"
        made = Decision(
            event=f"{operation.kind.value}.{end}",
            at=self._clock.now(),
            subject=operation.subject,
            because=(outcome.because, *asked),
            inputs={"operation": operation.id, **operation.inputs, **facts},
            policy=operation.policy,
            acted=False,
        )
        log.decision(made)
        self._decisions.record(operation.subject, made)

    def _stuck(self, operation: OperationId, error: DrError, run: str) -> None:
        kind = type(error).__name__
        log.event("operation.stuck", level=logging.ERROR, run=run, subject=operation, because=[str(error)], kind=kind)

    def _again(self, operation: OperationId, after: timedelta) -> None:
        if after > LONGEST_DELAY:
            return  # the timer finds it when it is due
        payload = json.dumps({"operation": operation}).encode()
        try:
            self._functions.invoke_async(self._function, payload, delay=after)
        except DrError as error:
            log.event("invocation.failed", subject=operation, because=[str(error)])  # the timer finds it


def _tell(operation: OperationId, outcome: Outcome, run: str) -> None:
    match outcome:
        case Done():
            log.event("operation.done", run=run, subject=operation)
        case Resume(because=because):
            log.event("operation.resumes", run=run, subject=operation, because=[because])
        case Refused(because=because):
            log.event("operation.refused", run=run, subject=operation, because=[because])
        case Escalated(because=because, evidence=evidence):
            log.event("operation.needs_operator", run=run, subject=operation, because=[because, *evidence])
        case NotOurs(because=because):
            log.event("operation.left", run=run, subject=operation, because=[because])
