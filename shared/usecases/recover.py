"""Runs rebuild operations: one that was asked for, or all that are due, after a look over the fleet.

The look over the fleet makes events a convenience: whatever an event would have started, the tick starts as well.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import CredentialsRejected, DrError, Forbidden, Permanent
from shared.domain.ids import InstanceId, OperationId, PolicyVersion
from shared.domain.inventory import Instance, InstanceState
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.policy import RebuildRule
from shared.domain.rebuild import ISOLATED, RECENT, unplanned
from shared.observability import log
from shared.ports.balancer import Balancer, Health
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
from shared.usecases.rebuild import FORBIDDEN_LIMIT
from shared.usecases.suspicion import Suspicion, Suspicions, slot_of, waits

EARLY: Final = timedelta(seconds=5)
"""Delays of the queue are imprecise: a look that comes this much too early is taken as the one that was meant."""
OVERDUE: Final = timedelta(seconds=30)
LONGEST_DELAY: Final = timedelta(hours=1)
CLAIM_FOR: Final = timedelta(seconds=130)
"""A little longer than the time-out of function recover (120 s in s.yaml): what a crash costs, apart from the tick."""
AFTER_FORBIDDEN: Final = timedelta(minutes=1)
BUDGET: Final = timedelta(seconds=40)
"""After this a tick begins no further operation but queues an invocation for each, and still looks over the fleet."""


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
        """Everything whose own re-invocation got lost, then the fleet: whatever befalls one operation, the others and
        the fleet have their turn. Then the first error is raised, for the platform to see."""
        begun = self._clock.monotonic()
        looked: dict[str, str] = {}
        errors: list[DrError] = []
        damaged: list[OperationId] = []
        for operation in list(self._journal.open_of(OperationKind.REBUILD, damaged=damaged)):
            if not overdue(operation, self._clock.now(), slack=OVERDUE):
                continue
            if self._clock.monotonic() - begun > BUDGET.total_seconds():
                self._again(operation, timedelta(0))
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
        opened, failed = self._look_over(run)
        self._sweep()
        if errors:
            raise errors[0]
        return Recovered(looked=looked, opened=opened, failed=failed)

    def _run(self, operation: Operation, run: str, owner: str) -> str:
        if not self._hold(operation):
            holder = self._subjects.holder(operation.subject)
            return self._refuse(operation, f"{holder} already deals with {operation.subject}", run, owner)
        try:
            outcome = self._executor.run(operation.id, {OperationKind.REBUILD: self._recipe}, owner=owner)
        except CredentialsRejected:
            raise
        except Forbidden as error:
            self._again(operation, AFTER_FORBIDDEN)
            if FORBIDDEN_SINCE not in operation.result:
                why = (f"our role may not do this, it is tried again for {int(FORBIDDEN_LIMIT.total_seconds())} s",)
                self._decide(operation, "rebuild.forbidden", (*why, str(error)), run)
            raise
        match outcome:
            case Resume(after=after, because=because, aside=aside):
                self._again(operation, after)
                if aside and operation.result.get(ASIDE) != aside:
                    self._decide(operation, "rebuild.waits", (aside, *([because] if because != aside else [])), run)
                log.event("rebuild.waiting", run=run, subject=operation.subject, because=because)
                return f"again in {int(after.total_seconds())} s: {because}"
            case NotOurs(because=because):
                # Whoever holds it may be dead: look again as soon as its claim has run out, not at the next tick.
                self._again(operation, self._executor.claim_for)
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
        acted = isinstance(outcome, Done) and facts["outcome"] == "replaced"
        self._decide(operation, event, because, run, facts=facts, acted=acted)
        if not isinstance(outcome, Escalated):
            self._subjects.release(operation.subject, operation.id)
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
        self._decisions.record(operation.subject, made)

    def _sweep(self) -> None:
        """What an operator has acknowledged waits no longer, of whichever kind."""
        for operation in list(self._journal.waiting(*OperationKind)):
            if not waits(operation, self._controls):
                self._journal.answered(operation)

    # the fleet

    def _look_over(self, run: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        version, policy = self._policies.active()
        opened: list[str] = []
        failed: list[str] = []
        for rule in policy.rebuilds:
            try:
                opened.extend(self._suspects(rule, version))
            except CredentialsRejected:
                raise
            except DrError as error:
                # One rule's balancer that is gone must not hide the other rules' losses.
                failed.append(f"{rule.name}: {error}")
                log.event("fleet.unseen", run=run, subject=rule.name, because=str(error))
        return tuple(opened), tuple(failed)

    def _suspects(self, rule: RebuildRule, version: PolicyVersion) -> Iterator[str]:
        health = self._balancer.health(rule.balancer) if rule.balancer else {}
        hung: list[Instance] = []
        for instance in selecting.select(self._inventory, rule.select).instances:
            if ISOLATED in instance.tags or (_running(instance) and in_rotation(health.get(instance.id)) is not False):
                continue
            failure = unplanned(
                tuple(self._inventory.system_events(instance.id)), since=self._clock.now() - rule.patience - RECENT
            )
            if failure is None:
                if _running(instance) and self._clock.now() - instance.created > rule.patience:
                    hung.append(instance)
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
        if hung:
            yield from self._without_event(rule, version, hung, health)

    def _without_event(
        self, rule: RebuildRule, version: PolicyVersion, hung: Sequence[Instance], health: Mapping[InstanceId, Health]
    ) -> Iterator[str]:
        """Out of rotation, though nothing is known to have failed: it may hang. The operation looks for itself and
        waits out the patience of the rule before it believes that.

        Not when the whole pool is out (no machine's own failure), and not when an operator took its weight away."""
        assert rule.balancer is not None
        if len(health) > 1 and Health.NORMAL not in health.values():
            log.event("fleet.unseen", subject=rule.name, because=f"none of {len(health)} in {rule.balancer} is normal")
            return
        served = {backend.server for backend in self._balancer.backends(rule.balancer) if backend.weight}
        for instance in hung:
            if instance.id not in served:
                continue
            now = self._clock.now()
            suspicion = Suspicion(
                instance=instance.id,
                event=slot_of(now),
                because=f"seen by the tick: {rule.balancer} has taken it out of rotation, without any failure event",
                failed_at=now,
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
