"""The engine under every durable operation: claim, let the recipe take what steps it can, journal, let go.

A recipe never sleeps for the cloud. It looks at the journal and at the world, takes the next steps, and says how to go
on: resume after a while, done, refused, or a human must choose. A crash between any two calls leaves a journal from
which the next run goes on; a lost reply leaves a step that reads INTENDED, and the recipe looks for its result by
operation tag before it sends again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from shared.domain.errors import (
    Conflict,
    Forbidden,
    NeedsOperator,
    OutcomeUnknown,
    Permanent,
    Retryable,
)
from shared.domain.ids import OperationId
from shared.domain.operation import Operation, OperationKind, OperationState, Step, StepState
from shared.ports.clock import Clock
from shared.state import codec
from shared.state.journal import Claim, Journal

CLAIM_FOR: Final = timedelta(minutes=11)
"""Longer than the time-out of every function that executes operations (600 s in s.yaml). A function with a shorter one
passes its own to `Executor`: after a crash, nobody goes on before the claim has run out."""
CALL_TIMEOUT: Final = timedelta(seconds=30)
"""No adapter waits longer for one call. An effect starts only if the claim outlives it."""
DEFAULT_PATIENCE: Final = timedelta(seconds=30)
CUT_SHORT: Final = timedelta(seconds=5)
"""Until the next run goes on where one had no time left."""
LOOK_AT: Final = "look_at"
"""Key in `Operation.result`: when the executor meant to look again."""
ASIDE: Final = "aside"
"""Key in `Operation.result`: why it stands aside, as long as it does."""
FORBIDDEN_SINCE: Final = "forbidden_since"
"""Key in `Operation.result`: when its calls began to be forbidden, until one is permitted again."""
OF_A_RUN: Final = frozenset({LOOK_AT, ASIDE, FORBIDDEN_SINCE})
"""Keys that say nothing any more once the operation has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Not finished: look again after this while."""

    after: timedelta
    because: str
    aside: str = ""  # what it stands aside for; the same words as long as it is the same, since a change is told
    told: bool = False  # already, once for all that stand aside for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    result: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalated:
    """A human must choose."""

    because: str
    runbook: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOurs:
    """Somebody else executes it, or has finished it, or took it from us meanwhile. Nothing to do here."""

    because: str


Outcome = Resume | Done | Refused | Escalated | NotOurs


class ClaimLost(Conflict):
    """Ours ran out, or somebody else holds it now: stop at once, a later run goes on."""


class Work:
    """One run's hold on one operation: the journal as it stands, and the only way to write into it."""

    def __init__(self, journal: Journal, claim: Claim) -> None:
        self._journal = journal
        self._claim = claim
        self.operation = claim.operation  # with what this run has learnt but not yet written
        self.inherited = frozenset(step.name for step in claim.operation.steps if step.state is StepState.INTENDED)
        """Steps that an earlier run intended: whether their call was ever sent is unknown."""

    def intend(self, *steps: Step) -> None:
        """Write down what will be done, before it is done. Raises Conflict when the claim was lost."""
        self.learn(*steps)
        self.operation = self._journal.record(self._claim, self.operation)

    def learn(self, *steps: Step) -> None:
        """Remember what came out; written with the end of this run. A crash before that leaves the step INTENDED."""
        known = {step.name: step for step in self.operation.steps}
        known.update((step.name, step) for step in steps)
        self.operation = replace(self.operation, steps=tuple(known.values()))

    def note(self, key: str, value: str | None) -> None:
        """Remember (None: forget) something about this operation as a whole; written with the end of this run."""
        kept = {name: text for name, text in self.operation.result.items() if name != key}
        self.operation = replace(self.operation, result=kept if value is None else {**kept, key: value})

    def may_act(self) -> None:
        """Ask before every effect. Raises Conflict when the claim would run out during the call."""
        if not self._claim.allows(CALL_TIMEOUT):
            raise ClaimLost(
                f"the claim on {self.operation.id} runs out before another call could end; a later run goes on"
            )

    def step(self, name: str) -> Step:
        return next(step for step in self.operation.steps if step.name == name)

    def steps(self, state: StepState) -> tuple[Step, ...]:
        return tuple(step for step in self.operation.steps if step.state is state)


class Recipe(Protocol):
    """What an operation of one kind does next. `advance` may be run any number of times, by any instance."""

    kind: OperationKind

    def advance(self, work: Work) -> Outcome: ...


class Executor:
    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        *,
        claim_for: timedelta = CLAIM_FOR,
        ending: Callable[[Operation, Refused | Escalated], None] = lambda _operation, _outcome: None,
    ) -> None:
        """`claim_for`: a little longer than the time-out of the function that runs this. `ending` is told of every end
        that is not plain done, before it is written: a crash in between tells it twice rather than never."""
        self._journal = journal
        self._clock = clock
        self.claim_for = claim_for
        self._ending = ending

    def run(self, operation: OperationId, recipes: Mapping[OperationKind, Recipe], *, owner: str) -> Outcome:
        """Take the operation's next steps. `owner` is unique per invocation. Raises Retryable or OutcomeUnknown only
        when the state store itself fails, Forbidden when our credentials do (the operation stays open)."""
        claim = self._journal.claim(operation, owner, self.claim_for)
        if claim is None:
            return NotOurs(because=f"{operation} is claimed by another run, finished, or unknown")
        work = Work(self._journal, claim)
        try:
            outcome = _advance(work, recipes[claim.operation.kind])
            self._write(claim, work, outcome)
        except Forbidden as error:
            # About us, not about the operation: let go, so that it goes on as soon as the role is mended.
            self._write(claim, work, Resume(after=DEFAULT_PATIENCE, because=str(error)))
            raise
        except ClaimLost as short:
            return self._cut_short(claim, work, str(short))
        except Conflict as lost:
            return NotOurs(because=str(lost))
        return outcome

    def _cut_short(self, claim: Claim, work: Work, because: str) -> Outcome:
        """No time is left for another effect. While the claim holds, what was learnt is handed on: where each call
        takes long, every run would begin again where this one did. One that froze has nothing to say any more."""
        if not claim.allows(timedelta(0)):
            return NotOurs(because=because)
        outcome = Resume(after=CUT_SHORT, because=because)
        try:
            self._write(claim, work, outcome)
        except Conflict as lost:
            return NotOurs(because=str(lost))
        return outcome

    def _write(self, claim: Claim, work: Work, outcome: Outcome) -> None:
        operation = work.operation
        match outcome:
            case Resume(after=after, aside=aside):
                at = codec.moment(self._clock.now() + after)
                kept = {key: value for key, value in operation.result.items() if key != ASIDE}
                result = {**kept, LOOK_AT: at} | ({ASIDE: aside} if aside else {})
                self._journal.record(claim, replace(operation, result=result), release=True)
            case Done(result=result):
                self._end(claim, operation, OperationState.DONE, result)
            case Refused(because=because):
                self._ending(operation, outcome)
                self._end(claim, operation, OperationState.REFUSED, {"because": because})
            case Escalated(because=because, runbook=runbook, evidence=evidence):
                self._ending(operation, outcome)
                result = {"because": because, "runbook": runbook, "evidence": codec.dump(evidence)}
                self._end(claim, operation, OperationState.NEEDS_OPERATOR, result)
            case NotOurs():
                pass

    def _end(self, claim: Claim, operation: Operation, state: OperationState, result: Mapping[str, str]) -> None:
        kept = {key: value for key, value in operation.result.items() if key not in OF_A_RUN}
        ended = replace(operation, state=state, result={**kept, **result})
        self._journal.close(ended, expected_version=claim.operation.version)


def _advance(work: Work, recipe: Recipe) -> Outcome:
    try:
        return recipe.advance(work)
    except Retryable as error:
        return Resume(after=error.retry_after or DEFAULT_PATIENCE, because=str(error))
    except OutcomeUnknown as error:
        return Resume(after=DEFAULT_PATIENCE, because=f"no trustworthy answer, will read back: {error}")
    except NeedsOperator as error:
        return Escalated(because=str(error), runbook=error.runbook, evidence=error.evidence)
    except Forbidden:
        raise
    except Permanent as error:
        return Refused(because=str(error))


def overdue(operation: Operation, now: datetime, *, slack: timedelta) -> bool:
    """Whether the run that meant to look again seems to be lost (or there never was one)."""
    planned = operation.result.get(LOOK_AT)
    return planned is None or codec.instant(planned) + slack < now


def intended(name: str, token: str, at: datetime, *, attempt: int = 1, data: Mapping[str, str] | None = None) -> Step:
    return Step(name=name, state=StepState.INTENDED, at=at, token=token, attempt=attempt, data=data or {})


def done(step: Step, at: datetime, **data: str) -> Step:
    return replace(step, state=StepState.DONE, at=at, data={**step.data, **data})


def failed(step: Step, at: datetime, because: str) -> Step:
    return replace(step, state=StepState.FAILED, at=at, data={**step.data, "because": because})
