"""Take unfinished back-up and image operations further: one that was named, or all that seem forgotten.

Woken by its own delayed invocation when the next look is due, by a timer as the net, by events as the accelerator.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain.errors import DrError
from shared.domain.ids import OperationId
from shared.domain.operation import OperationKind
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.state.journal import Journal
from shared.usecases.operations import Done, Escalated, Executor, NotOurs, Outcome, Recipe, Refused, Resume, overdue

BUDGET: Final = timedelta(minutes=7)
"""After this no further operation is begun in one invocation: the function's time-out is 600 s."""
SLACK: Final = timedelta(minutes=2)
"""A planned look that is this late counts as lost. Delays of the queue are imprecise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedOn:
    outcomes: tuple[tuple[OperationId, str], ...] = ()
    left: int = 0  # not begun for lack of time

    def as_result(self) -> Mapping[str, object]:
        return {"operations": dict(self.outcomes), "left": self.left}


class CarryOn:
    def __init__(
        self, *, journal: Journal, recipes: Sequence[Recipe], functions: Functions, function: str, clock: Clock
    ) -> None:
        self._journal = journal
        self._recipes: Mapping[OperationKind, Recipe] = {recipe.kind: recipe for recipe in recipes}
        self._executor = Executor(journal, clock)
        self._functions = functions
        self._function = function
        self._clock = clock

    def one(self, operation: OperationId, *, owner: str) -> CarriedOn:
        return CarriedOn(outcomes=((operation, self._run(operation, owner)),))

    def forgotten(self, *, owner: str) -> CarriedOn:
        """Those whose planned look is overdue or that nobody has begun. Streams; stops in time."""
        begun = self._clock.monotonic()
        outcomes: list[tuple[OperationId, str]] = []
        left = 0
        for operation in self._journal.open_of(*self._recipes):
            if not overdue(operation, self._clock.now(), slack=SLACK):
                continue
            if self._clock.monotonic() - begun > BUDGET.total_seconds():
                left += 1
                continue
            outcomes.append((operation.id, self._run(operation.id, owner)))
        return CarriedOn(outcomes=tuple(outcomes), left=left)

    def _run(self, operation: OperationId, owner: str) -> str:
        outcome = self._executor.run(operation, self._recipes, owner=owner)
        if isinstance(outcome, Resume):
            self._again(operation, outcome.after)
        _tell(operation, outcome, owner)
        return type(outcome).__name__.lower()

    def _again(self, operation: OperationId, after: timedelta) -> None:
        payload = json.dumps({"operation": operation}).encode()
        try:
            self._functions.invoke_async(self._function, payload, delay=min(after, timedelta(hours=1)))
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
