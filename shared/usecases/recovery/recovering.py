"""Runs one recovery operation of whatever kind: holds its subject, lets its recipe take the next steps, wakes it again
when it is due, and tells how it ended.

Never two recoveries on one subject: an operation holds its subject from its first run until it has ended, and one that
waits for an operator until it was acknowledged.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import CredentialsRejected, DrError, Forbidden, Permanent
from shared.domain.ids import OperationId
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.state import codec
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.subjects import Subjects
from shared.usecases.operations import (
    ASIDE,
    FORBIDDEN_SINCE,
    LOOK_AT,
    Done,
    Escalated,
    Executor,
    NotOurs,
    Outcome,
    Recipe,
    Refused,
    Resume,
    overdue,
)
from shared.usecases.recovery.measured import RECOVERIES
from shared.usecases.recovery.recovery_requests import PARENT
from shared.usecases.recovery.suspicion import waits

FUNCTION: Final = "recover"
EARLY: Final = timedelta(seconds=5)
"""Delays of the queue are imprecise: a look that comes this much too early is taken as the one that was meant."""
OVERDUE: Final = timedelta(seconds=30)
LONGEST_DELAY: Final = timedelta(hours=1)
CLAIM_FOR: Final = timedelta(seconds=130)
"""A little longer than the time-out of function recover (120 s in s.yaml): what a crash costs, apart from the tick."""
AFTER_FORBIDDEN: Final = timedelta(minutes=1)
FORBIDDEN_LIMIT: Final = timedelta(minutes=15)
"""A role is mended within this, or an operator is asked."""
BUDGET: Final = timedelta(seconds=40)
"""After this a tick begins no further operation but queues an invocation for each."""
NOT_BEGUN: Final = " begins it no more"
"""What is said of an operation whose plan has ended before anything of it was done."""
UNCHANGED: Final = frozenset({"recovered"})
"""Outcomes of what is done without having changed anything."""


class Recovering:
    def __init__(
        self,
        *,
        recipes: Mapping[OperationKind, Recipe],
        executor: Executor,
        journal: Journal,
        subjects: Subjects,
        controls: Controls,
        decisions: Decisions,
        functions: Functions,
        clock: Clock,
    ) -> None:
        self._recipes = recipes
        self._executor = executor
        self._journal = journal
        self._subjects = subjects
        self._controls = controls
        self._decisions = decisions
        self._functions = functions
        self._clock = clock

    def one(self, id: OperationId, *, run: str, owner: str, now: bool = False) -> str:
        """Take the next steps of one operation, unless it was looked at already and is not due (`now` overrides), and
        say how it stands. `owner` is unique to this execution, `run` names the invocation in records.

        An unknown operation is no error: its invocation may have outlived it.
        """
        operation = self._journal.find(id)
        if operation is None or operation.kind not in self._recipes:
            return "no such recovery"
        if operation.state is not OperationState.OPEN:
            self._let_go(operation)
            return operation.state.value
        if not now and not self._due(operation):
            return "not due yet"
        return self._run(operation, run, owner)

    def overdue(self, *, run: str, owner: str) -> tuple[dict[str, str], list[DrError]]:
        """Everything whose own re-invocation got lost. Whatever befalls one operation, the others have their turn;
        what went wrong is answered, for the platform to see."""
        begun = self._clock.monotonic()
        looked: dict[str, str] = {}
        errors: list[DrError] = []
        damaged: list[OperationId] = []
        for operation in list(self._journal.open_of(*self._recipes, damaged=damaged)):
            if not overdue(operation, self._clock.now(), slack=OVERDUE):
                continue
            if self._clock.monotonic() - begun > BUDGET.total_seconds():
                self._again(operation.id, timedelta(0))
                looked[operation.id] = "queued"
                continue
            try:
                looked[operation.id] = self._run(operation, run, owner)
            except CredentialsRejected:
                raise  # no other would fare better
            except DrError as error:
                log.event("operation.stuck", level=logging.ERROR, run=run, subject=operation.id, because=[str(error)])
                errors.append(error)
        for id_ in damaged:
            unread = Permanent(f"the row of operation {id_} cannot be read: look at it in table operations")
            log.event("operation.stuck", level=logging.ERROR, run=run, subject=id_, because=[str(unread)])
            errors.append(unread)
        return looked, errors

    def sweep(self) -> None:
        """What an operator has acknowledged waits no longer, of whichever kind; and what died between its end and
        letting its subject go lets go now."""
        for operation in list(self._journal.waiting(*OperationKind)):
            if not waits(operation, self._controls):
                self._journal.answered(operation)
        for _, holder in list(self._subjects.held()):
            held = self._journal.find(holder)
            if held is not None and held.state in (OperationState.DONE, OperationState.REFUSED):
                self._let_go(held)

    def _run(self, operation: Operation, run: str, owner: str) -> str:
        kind = operation.kind.value
        orphaned = self._orphaned(operation)
        if orphaned:
            return self._refuse(operation, orphaned, run, owner)
        if not self._hold(operation):
            holder = self._subjects.holder(operation.subject)
            return self._refuse(operation, f"{holder} already deals with {operation.subject}", run, owner)
        try:
            outcome = self._executor.run(operation.id, self._recipes, owner=owner)
        except CredentialsRejected:
            raise
        except Forbidden as error:
            self._again(operation.id, AFTER_FORBIDDEN)
            if FORBIDDEN_SINCE not in operation.result:
                why = (f"our role may not do this, it is tried again for {int(FORBIDDEN_LIMIT.total_seconds())} s",)
                self._decide(operation, f"{kind}.forbidden", (*why, str(error)), run)
            raise
        match outcome:
            case Resume(after=after, because=because, aside=aside, told=told):
                self._again(operation.id, after)
                if aside and not told and operation.result.get(ASIDE) != aside:
                    self._decide(operation, f"{kind}.waits", (aside, *([because] if because != aside else [])), run)
                log.event(f"{kind}.waiting", run=run, subject=operation.subject, because=because)
                return f"again in {int(after.total_seconds())} s: {because}"
            case NotOurs(because=because):
                # Whoever holds it may be dead: look again as soon as its claim has run out, not at the next tick.
                self._again(operation.id, self._executor.claim_for)
                return because
            case _:
                return self._ended(operation, outcome, run)

    def _orphaned(self, operation: Operation) -> str:
        """A plan that was stopped begins nothing more, also not through an executor of it that froze and thawed."""
        parent = operation.inputs.get(PARENT)
        if parent is None or operation.steps or LOOK_AT in operation.result:
            return ""
        found = self._journal.find(OperationId(parent))
        if found is not None and found.state is OperationState.OPEN:
            return ""
        stands = "is not in the journal" if found is None else f"has ended ({found.state})"
        return f"{parent}{NOT_BEGUN}: that {stands}"

    def _due(self, operation: Operation) -> bool:
        planned = operation.result.get(LOOK_AT)
        return planned is None or codec.instant(planned) <= self._clock.now() + EARLY

    def _again(self, operation: str, after: timedelta, *, look: bool = False) -> None:
        """`look`: also when it does not mean to look yet."""
        payload = codec.dump({"operation": operation, **({"look": "now"} if look else {})}).encode()
        try:
            self._functions.invoke_async(FUNCTION, payload, delay=min(after, LONGEST_DELAY))
        except DrError as error:
            # The tick is the net.
            log.event("invocation.failed", function=FUNCTION, because=str(error))

    def _hold(self, operation: Operation) -> bool:
        """One recovery at a time for each subject. A holder that has ended without letting go is relieved; one that
        waits for an operator is relieved only when the operator has acknowledged it."""
        if self._subjects.take(operation.subject, operation.id):
            return True
        holder = self._subjects.holder(operation.subject)
        held = self._journal.find(holder) if holder else None
        if holder is None or held is None or held.state is OperationState.OPEN:
            return False
        if waits(held, self._controls):
            return False
        if held.state is OperationState.NEEDS_OPERATOR:
            return self._subjects.relieve(operation.subject, holder, operation.id)
        self._subjects.release(operation.subject, holder)
        return self._subjects.take(operation.subject, operation.id)

    def _let_go(self, operation: Operation) -> None:
        """Also after a crash between the operation's end and this. A waiting operator keeps the subject held."""
        match operation.state:
            case OperationState.DONE:
                self._subjects.release(operation.subject, operation.id)
            case OperationState.REFUSED:
                self._subjects.hand_back(operation.subject, operation.id)

    def _refuse(self, operation: Operation, because: str, run: str, owner: str) -> str:
        refusal = _Refusal(operation.kind, because)
        outcome = self._executor.run(operation.id, {operation.kind: refusal}, owner=owner)
        return because if isinstance(outcome, NotOurs) else self._ended(operation, outcome, run)

    def _ended(self, operation: Operation, outcome: Outcome, run: str) -> str:
        kind = operation.kind.value
        match outcome:
            case Done(result=result):
                event, because, facts = f"{kind}.{result.get('outcome', 'done')}", _story(result), dict(result)
            case Refused(because=why):
                event, because, facts = f"{kind}.refused", (why,), {}
            case Escalated(because=why, runbook=runbook, evidence=evidence):
                event, because = f"{kind}.needs_operator", (why, *evidence)
                facts = {"runbook": runbook}
            case _:
                raise AssertionError(f"{outcome} is no end")
        acted = isinstance(outcome, Done) and facts.get("outcome") not in UNCHANGED
        timed = acted and "rto_seconds" in facts and operation.kind is not OperationKind.PLAN
        self._decide(operation, event, because, run, facts=facts, acted=acted, also=RECOVERIES if timed else "")
        if isinstance(outcome, Refused):
            self._subjects.hand_back(operation.subject, operation.id)
        elif not isinstance(outcome, Escalated):
            self._subjects.release(operation.subject, operation.id)
        parent = operation.inputs.get(PARENT)
        if parent is not None:
            self._again(parent, timedelta(0), look=True)
        return f"{event}: {because[0]}"

    def _decide(
        self,
        operation: Operation,
        event: str,
        because: tuple[str, ...],
        run: str,
        *,
        facts: Mapping[str, str] = MappingProxyType({}),
        acted: bool = False,
        also: str = "",
    ) -> None:
        made = Decision(
            event=event,
            at=self._clock.now(),
            subject=operation.subject,
            because=because,
            inputs={"operation": operation.id, **operation.inputs, **facts},
            policy=operation.policy,
            acted=acted,
            run=run,
        )
        log.decision(made)
        self._decisions.record(operation.subject, made, also=also)


class _Refusal:
    def __init__(self, kind: OperationKind, because: str) -> None:
        self.kind = kind
        self._because = because

    def advance(self, _work: object) -> Outcome:
        return Refused(because=self._because)


def _story(result: Mapping[str, str]) -> tuple[str, ...]:
    """What was done, and how long it took."""
    told = result.get("because", "it is done")
    measured = [
        f"{name} {result[key]} s" for name, key in (("RTO", "rto_seconds"), ("RPO", "rpo_seconds")) if key in result
    ]
    return (told, ", ".join(measured)) if measured else (told,)
