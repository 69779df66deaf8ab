"""Runs rebuild operations: one that was asked for, or all that are due, after a look over the fleet.

The look over the fleet makes events a convenience: whatever an event would have started, the tick starts as well.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import DrError
from shared.domain.ids import OperationId, PolicyVersion
from shared.domain.inventory import Instance, InstanceState
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.policy import RebuildRule
from shared.domain.rebuild import ISOLATED, RECENT, unplanned
from shared.observability import log
from shared.ports.balancer import Balancer
from shared.ports.clock import Clock
from shared.ports.compute import Inventory
from shared.ports.functions import Functions
from shared.state import codec
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.state.subjects import Subjects
from shared.usecases import selecting
from shared.usecases.look import in_rotation
from shared.usecases.operations import (
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
from shared.usecases.suspicion import Suspicion, Suspicions, waits

EARLY: Final = timedelta(seconds=5)
"""Delays of the queue are imprecise: a look that comes this much too early is taken as the one that was meant."""
OVERDUE: Final = timedelta(seconds=30)
LONGEST_DELAY: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What one run did: operation -> how it stands."""

    looked: dict[str, str]
    opened: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()  # parts of the fleet that could not be looked over, and why


class Recover:
    def __init__(
        self,
        *,
        recipe: Recipe,
        executor: Executor,
        journal: Journal,
        subjects: Subjects,
        suspicions: Suspicions,
        inventory: Inventory,
        balancer: Balancer,
        policies: Policies,
        controls: Controls,
        decisions: Decisions,
        functions: Functions,
        clock: Clock,
    ) -> None:
        self._recipe = recipe
        self._executor = executor
        self._journal = journal
        self._subjects = subjects
        self._suspicions = suspicions
        self._inventory = inventory
        self._balancer = balancer
        self._policies = policies
        self._controls = controls
        self._decisions = decisions
        self._functions = functions
        self._clock = clock

    def one(self, id: OperationId, *, run: str, owner: str, now: bool = False) -> Recovered:
        """Take the next steps of one operation, unless it was looked at already and is not due (`now` overrides).
        `owner` is unique to this execution, `run` names the invocation in records.

        An unknown operation is no error: its invocation may have outlived it.
        """
        operation = self._journal.find(id)
        if operation is None or operation.kind is not OperationKind.REBUILD:
            return Recovered(looked={id: "no such rebuild"})
        if operation.state is not OperationState.OPEN:
            self._let_go(operation)
            return Recovered(looked={id: operation.state.value})
        if not now and not self._due(operation):
            return Recovered(looked={id: "not due yet"})
        return Recovered(looked={id: self._run(operation, run, owner)})

    def tick(self, *, run: str, owner: str) -> Recovered:
        """Everything whose own re-invocation got lost, then the fleet."""
        looked: dict[str, str] = {
            operation.id: self._run(operation, run, owner)
            for operation in list(self._journal.open_of(OperationKind.REBUILD))
            if overdue(operation, self._clock.now(), slack=OVERDUE)
        }
        opened, failed = self._look_over(run)
        return Recovered(looked=looked, opened=opened, failed=failed)

    def _run(self, operation: Operation, run: str, owner: str) -> str:
        if not self._hold(operation):
            holder = self._subjects.holder(operation.subject)
            return self._refuse(operation, f"{holder} already deals with {operation.subject}", run, owner)
        outcome = self._executor.run(operation.id, {OperationKind.REBUILD: self._recipe}, owner=owner)
        match outcome:
            case Resume(after=after, because=because):
                self._again(operation, after)
                log.event("rebuild.waiting", run=run, subject=operation.subject, because=because)
                return f"again in {int(after.total_seconds())} s: {because}"
            case NotOurs(because=because):
                return because
            case _:
                return self._ended(operation, outcome, run)

    def _due(self, operation: Operation) -> bool:
        planned = operation.result.get(LOOK_AT)
        return planned is None or codec.instant(planned) <= self._clock.now() + EARLY

    def _again(self, operation: Operation, after: timedelta) -> None:
        payload = codec.dump({"operation": operation.id}).encode()
        try:
            self._functions.invoke_async("recover", payload, delay=min(after, LONGEST_DELAY))
        except DrError as error:
            # The tick is the net.
            log.event("invocation.failed", function="recover", because=str(error))

    def _hold(self, operation: Operation) -> bool:
        """One recovery at a time for each instance. A holder that has ended without letting go is relieved; one that
        waits for an operator is relieved only when the operator has acknowledged it."""
        if self._subjects.take(operation.subject, operation.id):
            return True
        holder = self._subjects.holder(operation.subject)
        held = self._journal.find(holder) if holder else None
        if holder is None or held is None or held.state is OperationState.OPEN:
            return False
        if waits(held, self._controls):
            return False
        self._subjects.release(operation.subject, holder)
        return self._subjects.take(operation.subject, operation.id)

    def _let_go(self, operation: Operation) -> None:
        """After a crash between the operation's end and this. A waiting operator keeps the subject held."""
        if operation.state is not OperationState.NEEDS_OPERATOR:
            self._subjects.release(operation.subject, operation.id)

    def _refuse(self, operation: Operation, because: str, run: str, owner: str) -> str:
        outcome = self._executor.run(operation.id, {OperationKind.REBUILD: _Refusal(because)}, owner=owner)
        return because if isinstance(outcome, NotOurs) else self._ended(operation, outcome, run)

    def _ended(self, operation: Operation, outcome: Outcome, run: str) -> str:
        match outcome:
            case Done(result=result):
                event, because, facts = f"rebuild.{result['outcome']}", _story(result), dict(result)
            case Refused(because=why):
                event, because, facts = "rebuild.refused", (why,), {}
            case Escalated(because=why, runbook=runbook, evidence=evidence):
                event, because = "rebuild.needs_operator", (why, *evidence)
                facts = {"runbook": runbook}
            case _:
                raise AssertionError(f"{outcome} is no end")
        made = Decision(
            event=event,
            at=self._clock.now(),
            subject=operation.subject,
            because=because,
            inputs={"operation": operation.id, **operation.inputs, **facts},
            policy=operation.policy,
            acted=isinstance(outcome, Done) and facts["outcome"] == "replaced",
            run=run,
        )
        log.decision(made)
        self._decisions.record(operation.subject, made)
        if not isinstance(outcome, Escalated):
            self._subjects.release(operation.subject, operation.id)
        return f"{event}: {because[0]}"

    # the fleet

    def _look_over(self, run: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        version, policy = self._policies.active()
        opened: list[str] = []
        failed: list[str] = []
        for rule in policy.rebuilds:
            try:
                opened.extend(self._suspects(rule, version))
            except DrError as error:
                # One rule's balancer that is gone must not hide the other rules' losses.
                failed.append(f"{rule.name}: {error}")
                log.event("fleet.unseen", run=run, subject=rule.name, because=str(error))
        return tuple(opened), tuple(failed)

    def _suspects(self, rule: RebuildRule, version: PolicyVersion) -> Iterator[str]:
        health = self._balancer.health(rule.balancer) if rule.balancer else {}
        for instance in selecting.select(self._inventory, rule.select).instances:
            if ISOLATED in instance.tags or (_running(instance) and in_rotation(health.get(instance.id)) is not False):
                continue
            failure = unplanned(
                tuple(self._inventory.system_events(instance.id)), since=self._clock.now() - rule.patience - RECENT
            )
            if failure is None:
                continue
            suspicion = Suspicion(
                instance=instance.id,
                event=failure.id,
                because=f"seen by the tick: {failure.type} {failure.status}, the instance is {instance.state}",
                failed_at=failure.published,
                still_lost=True,
            )
            opened = self._suspicions.follow(suspicion, rule, version)
            if opened.new and opened.operation is not None:
                yield opened.operation


class _Refusal:
    kind = OperationKind.REBUILD

    def __init__(self, because: str) -> None:
        self._because = because

    def advance(self, _work: object) -> Outcome:
        return Refused(because=self._because)


def _running(instance: Instance) -> bool:
    return instance.state is InstanceState.RUNNING


def _story(result: Mapping[str, str]) -> tuple[str, ...]:
    if "because" in result:
        return (result["because"],)
    return (
        f"{result['replaces']} was replaced by {result['replacement']}",
        f"RTO {result['rto_seconds']} s, RPO {result['rpo_seconds']} s",
    )
