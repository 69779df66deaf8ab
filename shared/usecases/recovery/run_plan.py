"""A run of a recovery plan: waves one after the other, in each wave operations of other kinds side by side.

Order, and why: *confirm* (all is worked out anew and compared with what the operator saw: nothing else is begun), then
for each wave *approve* (an operator, where the plan asks for it), *judge* (its selections once more: what has vanished
is left out, what is new is not touched, both are told), *work* (its operations, as many at a time as each step allows),
*gate* (every instance answers), and only then the next wave.

The run itself touches nothing of the cloud: its only effects are operations that it opens. Their ids follow from the
run, the subject and the attempt, and opening twice is opening once, so this table is short:

| effect | token | read-back |
|---|---|---|
| open an operation | its id | its row in the journal |
| wake function recover | none | the operation has begun, else it is woken again; the tick is the net |

An operation that was refused or waits for an operator lets the others of its wave go on, and stops the run before the
next one: *needs operator*. `understudy plan resume` continues it, with a new operation for each that failed.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import CredentialsRejected, DrError, Forbidden, NeedsOperator, Permanent
from shared.domain.ids import InstanceId, LoadBalancerId
from shared.domain.inventory import InstanceState
from shared.domain.objectives import Phases
from shared.domain.operation import Operation, OperationKind, OperationState, Step, StepState
from shared.domain.plan import (
    Fate,
    Stands,
    Task,
    WaveState,
    differs,
    gate_is_over,
    judge_again,
    next_ones,
    out_of_time,
    phases_of,
    some,
)
from shared.domain.policy import PlanAction, PlanStep, Policy, RecoveryPlan, Wave
from shared.domain.provenance import OPERATION, operation_tag
from shared.domain.selection import selects
from shared.observability import log
from shared.ports.balancer import Balancer, Health
from shared.ports.clock import Clock
from shared.ports.compute import Inventory
from shared.ports.functions import Functions
from shared.ports.probes import Services, Sight
from shared.state import codec
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.plan_answers import PlanAnswers
from shared.state.policies import Policies
from shared.usecases.backup import selecting
from shared.usecases.operations import FORBIDDEN_SINCE, LOOK_AT, Done, Escalated, Outcome, Refused, Resume, Work
from shared.usecases.recovery.look import PROBE_TIMEOUT
from shared.usecases.recovery.plan_children import Children, PointGone
from shared.usecases.recovery.plan_preview import PlanPreview
from shared.usecases.recovery.plan_record import CONFIRM, RESUMED, Resumed, confirmed, step_of, waves_of
from shared.usecases.recovery.recovering import FORBIDDEN_LIMIT, NOT_BEGUN
from shared.usecases.recovery.recovery_requests import PARENT, PlanRequest
from shared.usecases.recovery.suspicion import hand_over

RUNBOOK: Final = "plan-stopped"
SCOPE: Final = "plans"
"""Of pauses: `understudy pause all` holds a run up before it begins anything further."""
POLL: Final = timedelta(seconds=10)
"""Between looks at operations under way. Each wakes the run when it ends; this is for a wake that got lost."""
GATE_POLL: Final = timedelta(seconds=5)
APPROVAL_LOOK: Final = timedelta(minutes=5)
"""Likewise: an approval wakes the run."""
PAUSED_LOOK: Final = timedelta(minutes=1)
TAKEN_UP: Final = timedelta(seconds=30)
"""An operation that nobody has begun after this is woken again."""
WORK_FOR: Final = timedelta(seconds=45)
"""One look opens and probes no longer than this, well within the time-out of function recover (120 s)."""


@dataclass(slots=True, kw_only=True)
class PlanRecipe:
    """`advance` takes every step that can be taken now and says when to look again."""

    preview: PlanPreview
    children: Children
    inventory: Inventory
    balancer: Balancer
    services: Services
    journal: Journal
    answers: PlanAnswers
    controls: Controls
    decisions: Decisions
    policies: Policies
    functions: Functions
    clock: Clock
    kind: OperationKind = OperationKind.PLAN

    def advance(self, work: Work) -> Outcome:
        return _Run(self, work).advance()


class _Run:
    def __init__(self, recipe: PlanRecipe, work: Work) -> None:
        self._own = recipe
        self._work = work
        self._request = PlanRequest.of(work.operation)
        self._began = recipe.clock.monotonic()
        self._waves: dict[str, WaveState] = {}

    def advance(self) -> Outcome:
        operation = self._work.operation
        policy = self._own.policies.at(operation.policy)
        plan = policy.plan(self._request.plan)
        if plan is None:
            return Refused(because=f"plan {self._request.plan} is not in policy {operation.policy}")
        if not confirmed(operation):
            aborted = self._own.answers.aborted(operation.id)
            if aborted is not None:
                return Done(result={"outcome": "aborted", "because": f"aborted by {aborted.by} before anything began"})
            refused = self._confirm(policy, plan)
            if refused is not None:
                return refused
        self._waves = waves_of(self._work.operation)
        self._take_up_again()
        try:
            for wave in plan.waves:
                if self._waves[wave.name].ended is not None:
                    continue
                outcome = self._take(policy, wave)
                self._work.note(FORBIDDEN_SINCE, None)
                if outcome is not None:
                    return outcome
        except CredentialsRejected:
            raise  # about this process, not about our permissions
        except Forbidden as error:
            self._forbidden_for_long(error)
            raise
        except Permanent as error:
            # A bare refusal would leave a half-done plan and nobody told.
            return self._escalate(f"{type(error).__name__}: {error}")
        return self._through(plan)

    # before the first wave

    def _confirm(self, policy: Policy, plan: RecoveryPlan) -> Refused | None:
        planned = self._own.preview.work_out(self._work.operation.policy, policy, self._request)
        again = f"Look again: `understudy plan show {plan.name}`"
        other = differs(plan, self._request.confirm, planned.token)
        if other:
            return Refused(because=f"{other}. Nothing was begun. {again}")
        refusals = planned.preview().refusals
        if refusals:
            return Refused(because=f"nothing was begun, {len(refusals)} checks fail: {some(refusals)}. {again}")
        now = self._now()
        states = [step_of(name, WaveState(tasks=tasks), now) for name, tasks in planned.tasks.items()]
        confirm = Step(name=CONFIRM, state=StepState.DONE, at=now, data={"takes": str(planned.takes.total_seconds())})
        self._work.intend(confirm, *states)
        self._tell("plan.confirmed", (f"confirmed by {self._request.by}, it does what was shown",))
        return None

    def _take_up_again(self) -> None:
        """An operator let a stopped run go on."""
        said = self._work.operation.result.get(RESUMED)
        if said is None:
            return
        resumed = codec.load(Resumed, said)
        for name, state in self._waves.items():
            if state.ended is not None or state.began is None:
                continue
            tasks = {
                step: tuple(_again(one, resumed) if one.fate is Fate.FAILED else one for one in own)
                for step, own in state.tasks.items()
            }
            self._waves[name] = replace(state, tasks=tasks, began=self._now(), worked=None)
        self._work.note(RESUMED, None)
        self._work.intend(*(step_of(name, state, self._now()) for name, state in self._waves.items()))

    # a wave

    def _take(self, policy: Policy, wave: Wave) -> Outcome | None:
        """None: it is through."""
        aborted = self._own.answers.aborted(self._work.operation.id)
        if aborted is not None:
            return self._abort(wave, f"aborted by {aborted.by}" + (f": {aborted.because}" if aborted.because else ""))
        if self._waves[wave.name].began is None:
            outcome = self._begin(wave)
            if outcome is not None:
                return outcome
        if self._waves[wave.name].worked is None:
            outcome = self._work_on(wave)
            if outcome is not None:
                return outcome
        outcome = self._gate(policy, wave)
        if outcome is not None:
            return outcome
        self._keep(wave, replace(self._waves[wave.name], ended=self._now()))
        self._work.intend(self._step(wave))
        self._tell("plan.wave_through", (f"wave {wave.name} is {self._waves[wave.name].in_words()}",), wave=wave.name)
        return None

    def _begin(self, wave: Wave) -> Outcome | None:
        state = self._waves[wave.name]
        if wave.approval:
            operation = self._work.operation.id
            approval = self._own.answers.approval(operation, wave.name)
            if approval is None:
                says = f"wave {wave.name} waits for an approval: `understudy plan approve {operation} {wave.name}`"
                return Resume(after=APPROVAL_LOOK, because=says, aside=says)
            state = replace(state, approved=approval.at, approved_by=approval.by)
        held = self._paused()
        if held is not None:
            return held
        for step in wave.steps:
            there: tuple[InstanceId, ...] = ()
            if step.select is not None:
                there = tuple(one.id for one in selecting.select(self._own.inventory, step.select).instances)
            judged = judge_again(step, state.tasks[step.name], there)
            if state.tasks[step.name] and all(one.fate is Fate.LEFT for one in judged.tasks):
                return self._escalate(
                    f"wave {wave.name}, step {step.name}: nothing of what was confirmed is selected any more. An empty "
                    "answer can also mean that function recover may not see it",
                )
            state = replace(
                state, tasks={**state.tasks, step.name: judged.tasks}, changes=(*state.changes, *judged.changes)
            )
        now = self._now()
        self._keep(wave, replace(state, began=now, first_began=state.first_began or now))
        self._work.intend(self._step(wave))
        by = (f"approved by {state.approved_by}",) if state.approved_by else ()
        self._tell("plan.wave_begun", (f"wave {wave.name} begins", *by, *state.changes), wave=wave.name)
        return None

    def _work_on(self, wave: Wave) -> Outcome | None:
        """None: all of its operations have ended well."""
        late = out_of_time(wave, self._waves[wave.name], self._now())
        self._look_at_children(wave, opening=not late)
        state = self._waves[wave.name]
        waiting = state.counts()[Fate.WAITS]
        if not state.under_way and not waiting:
            if state.failed:
                return self._escalate(f"wave {wave.name} is not through: {state.in_words()}")
            targets, hidden = self._targets(wave, state) if wave.gate is not None else ((), "")
            if hidden and late:
                return self._escalate(f"wave {wave.name} is not through after {_seconds(wave.timeout)}: {hidden}")
            if hidden:
                return Resume(after=GATE_POLL, because=f"wave {wave.name}: {hidden}")
            self._keep(wave, replace(state, worked=self._now(), targets=targets, answered=()))
            self._work.intend(self._step(wave))
            return None
        if late:
            return self._escalate(
                f"wave {wave.name} is not through after {_seconds(wave.timeout)}: {state.in_words()}. What is under "
                "way goes on by itself"
            )
        if waiting:
            held = self._paused()
            if held is not None:
                return held
            self._begin_children(wave)
        return Resume(after=POLL, because=f"wave {wave.name}: {self._waves[wave.name].in_words()}")

    def _look_at_children(self, wave: Wave, *, opening: bool) -> None:
        """`opening`: what was intended and not opened is opened now; else it is taken back."""
        for step in wave.steps:
            changed: dict[str, Task] = {}
            for task in self._waves[wave.name].tasks[step.name]:
                if task.fate is not Fate.BEGUN or self._out_of_breath():
                    continue
                child = self._own.journal.find(self._own.children.id(step, task, self._request))
                if child is not None:
                    fate = self._judge(task, child)
                else:
                    fate = self._open(step, task) if opening else replace(task, fate=Fate.WAITS)
                if fate is not task:
                    changed[task.key] = fate
            if changed:
                self._keep(wave, self._waves[wave.name].with_tasks(step.name, changed))

    def _judge(self, task: Task, child: Operation) -> Task:
        if child.inputs.get(PARENT) != self._work.operation.id:
            return task.failed(f"{child.id} was opened by somebody else")
        match child.state:
            case OperationState.DONE:
                return task.done()
            case OperationState.OPEN:
                if LOOK_AT not in child.result and not child.steps and self._now() - child.created > TAKEN_UP:
                    hand_over(self._own.functions, "recover", {"operation": child.id})
                return task
            case OperationState.REFUSED if NOT_BEGUN in child.result.get("because", ""):
                return task.again()  # the run had stopped before anything of it was done, and goes on now
            case _:
                word = "refused" if child.state is OperationState.REFUSED else "needs an operator"
                return task.failed(f"{child.id} {word}: {child.result.get('because', 'no reason is kept')}")

    def _begin_children(self, wave: Wave) -> None:
        """Intended in one write, then opened one by one. What a crash leaves unopened, the next look opens."""
        begun: list[tuple[PlanStep, Task]] = []
        for step in wave.steps:
            state = self._waves[wave.name]
            chosen = {one.key: one.begun() for one in next_ones(step, state.tasks[step.name])}
            self._keep(wave, state.with_tasks(step.name, chosen))
            begun += [(step, one) for one in chosen.values()]
        if not begun:
            return
        self._work.intend(self._step(wave))
        for step, task in begun:
            if self._out_of_breath():
                return
            opened = self._open(step, task)
            if opened is not task:
                self._keep(wave, self._waves[wave.name].with_task(step.name, opened))

    def _open(self, step: PlanStep, task: Task) -> Task:
        try:
            request = self._own.children.request(step, task, self._request)
        except PointGone as error:
            return task.failed(str(error))
        operation = self._work.operation
        self._work.may_act()
        because = f"{operation.id}, asked for by {self._request.by}"
        child = self._own.journal.open(request.operation(policy=operation.policy, now=self._now(), because=because))
        hand_over(self._own.functions, "recover", {"operation": child.id})
        return task

    def _abort(self, wave: Wave, why: str) -> Outcome:
        """Nothing more is begun. What is under way ends by itself, which is waited for, so that the end can say it."""
        state = self._waves[wave.name]
        if state.began is not None and state.worked is None:
            self._look_at_children(wave, opening=False)
            state = self._waves[wave.name]
            if state.under_way and not out_of_time(wave, state, self._now()):
                says = f"{why}; nothing more is begun, and what is under way is waited for"
                return Resume(after=POLL, because=f"wave {wave.name}: {state.in_words()}", aside=says)
        stands = Stands(waves=self._waves)
        return Done(
            result={
                "outcome": "aborted",
                "because": f"{why}. {'. '.join(stands.in_words())}",
                "failed": "; ".join(stands.failures()[:20]),
            }
        )

    # the gate

    def _targets(self, wave: Wave, state: WaveState) -> tuple[tuple[InstanceId, ...], str]:
        """Whom the wave touched, as they are called now; and how many new ones the cloud does not show, if so: an empty
        answer must not pass for one that everybody serves."""
        found: list[InstanceId] = []
        hidden = wanted = 0
        for step in wave.steps:
            for task in state.tasks[step.name]:
                if task.fate is not Fate.DONE:
                    continue
                if step.action is PlanAction.RESTORE:
                    found.append(InstanceId(task.key))
                    continue
                child = self._own.children.id(step, task, self._request)
                if step.action is PlanAction.REBUILD:
                    ended = self._own.journal.find(child)
                    # One that was found alive has no replacement, and is asked itself.
                    found.append(InstanceId((ended and ended.result.get("replacement")) or task.key))
                    continue
                new = [one.id for one in self._own.inventory.instances(tags={OPERATION: operation_tag(child)})]
                found += new
                wanted += task.amount
                hidden += max(0, task.amount - len(new))
        says = f"{hidden} new instances of {wanted} are not shown by the cloud" if hidden else ""
        return tuple(dict.fromkeys(found)), says

    def _gate(self, policy: Policy, wave: Wave) -> Outcome | None:
        state = self._waves[wave.name]
        gate = wave.gate
        if gate is None:
            return None
        left = [one for one in state.targets if one not in state.answered]
        silent: list[str] = []
        answered = list(state.answered)
        found = {one.id: one for one in self._own.inventory.instances(ids=left)} if left else {}
        health: dict[LoadBalancerId, Mapping[InstanceId, Health] | str] = {}
        for id_ in left:
            one = found.get(id_)
            if one is None or one.state is not InstanceState.RUNNING or not one.private_address:
                silent.append(f"{id_} is {one.state if one else 'not shown by the cloud'}")
                continue
            if self._out_of_breath():
                silent.append(f"{id_} is not tried yet")
                continue
            sight = self._own.services.answers(one.private_address, gate.port, timeout=PROBE_TIMEOUT)
            if sight is not Sight.ANSWERED:
                silent.append(f"{id_} on {one.private_address}:{gate.port} is {sight}")
                continue
            behind = {rule.balancer for rule in policy.rebuilds if rule.balancer and selects(rule.select, one)}
            against = [says for balancer in sorted(behind) if (says := self._against(balancer, id_, health))]
            if against:
                silent.append(f"{id_} answers, but {some(against)}")
                continue
            answered.append(id_)
        self._keep(wave, replace(state, answered=tuple(answered)))
        if not silent:
            return None
        if gate_is_over(wave, state, self._now()):
            return self._escalate(
                f"wave {wave.name}: its gate is not through after {_seconds(gate.within)}, {len(silent)} of "
                f"{len(state.targets)} instances do not answer: {some(silent)}"
            )
        if out_of_time(wave, state, self._now()):
            return self._escalate(f"wave {wave.name} is not through after {_seconds(wave.timeout)}: {some(silent)}")
        return Resume(after=GATE_POLL, because=f"wave {wave.name}: {len(silent)} do not answer yet")

    def _against(
        self,
        balancer: LoadBalancerId,
        instance: InstanceId,
        health: dict[LoadBalancerId, Mapping[InstanceId, Health] | str],
    ) -> str:
        """What a balancer says against an instance. One that cannot be asked has not said yes."""
        if balancer not in health:
            try:
                health[balancer] = self._own.balancer.health(balancer)
            except (CredentialsRejected, Forbidden):
                raise
            except DrError as error:
                health[balancer] = f"{balancer} cannot be asked: {error}"
        says = health[balancer]
        if isinstance(says, str):
            return says
        return f"{balancer} says that it does not serve" if says.get(instance) is Health.ABNORMAL else ""

    # the ends

    def _through(self, plan: RecoveryPlan) -> Done:
        names, ends = phases_of(plan, self._waves)
        ends[CONFIRM] = self._work.step(CONFIRM).at
        phases = Phases.between(names, lost=self._work.operation.created, ended=ends)
        told = [change for state in self._waves.values() for change in state.changes]
        words = ". ".join(Stands(waves=self._waves).in_words())
        return Done(
            result={
                "because": f"every wave is through. {words}" + (f". {'. '.join(told)}" if told else ""),
                "rto_seconds": f"{phases.total.total_seconds():.1f}",
                # In the order of the waves, which `codec` would sort away.
                "phases": json.dumps({name: took.total_seconds() for name, took in phases.steps}),
            }
        )

    def _escalate(self, because: str) -> Escalated:
        operation = self._work.operation
        stands = Stands(waves=self._waves)
        return Escalated(
            because=because,
            runbook=RUNBOOK,
            evidence=(
                f"operation={operation.id}",
                *stands.in_words(),
                *stands.failures()[:20],
                f"go on: `understudy plan resume {operation.id}`",
                f"end it: `understudy plan abort {operation.id}`",
            ),
        )

    # smaller parts

    def _forbidden_for_long(self, error: Forbidden) -> None:
        now = self._now()
        since = codec.instant(self._work.operation.result.get(FORBIDDEN_SINCE, codec.moment(now)))
        if now - since > FORBIDDEN_LIMIT:
            ended = self._escalate(f"our role has been forbidden this for {_seconds(now - since)}: {error}")
            raise NeedsOperator(ended.because, runbook=ended.runbook, evidence=ended.evidence) from error
        self._work.note(FORBIDDEN_SINCE, codec.moment(since))

    def _paused(self) -> Resume | None:
        pause = self._own.controls.read().paused(SCOPE)
        if pause is None:
            return None
        says = f"{pause.scope} is paused: {pause.because}"
        return Resume(after=PAUSED_LOOK, because=says, aside=says)

    def _out_of_breath(self) -> bool:
        return self._own.clock.monotonic() - self._began > WORK_FOR.total_seconds()

    def _keep(self, wave: Wave, state: WaveState) -> None:
        """Written with the end of this run, or by the next `intend`."""
        self._waves[wave.name] = state
        self._work.learn(self._step(wave))

    def _step(self, wave: Wave) -> Step:
        return step_of(wave.name, self._waves[wave.name], self._now())

    def _tell(self, event: str, because: tuple[str, ...], **inputs: str) -> None:
        """Not worth failing for: what was decided stands in the journal."""
        operation = self._work.operation
        made = Decision(
            event=event,
            at=self._now(),
            subject=operation.subject,
            because=because,
            inputs={"operation": operation.id, **inputs},
            policy=operation.policy,
        )
        log.decision(made)
        try:
            self._own.decisions.record(operation.subject, made)
        except DrError as error:
            log.event("decision.unrecorded", level=logging.WARNING, subject=operation.id, because=str(error))

    def _now(self) -> datetime:
        return self._own.clock.now()


def _again(task: Task, resumed: Resumed) -> Task:
    return task.left(f"left out by {resumed.by}") if resumed.without_failed else task.again()


def _seconds(length: timedelta) -> str:
    return f"{int(length.total_seconds())} s"
