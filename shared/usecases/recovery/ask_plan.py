"""What an operator asks of recovery plans: to see one, to run it, to let a wave begin, to stop or continue a run.

Function `command` records it and wakes `recover`; what needs to read the cloud is asked of `recover`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import BadInput, Conflict
from shared.domain.ids import OperationId, PolicyVersion
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.plan import some
from shared.domain.policy import RecoveryPlan
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.state import codec
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.plan_answers import PlanAnswer, PlanAnswers
from shared.state.policies import Policies
from shared.state.subjects import Subjects
from shared.usecases.arguments import Arguments, asked_by, needed, optional
from shared.usecases.recovery.confirming import check_token
from shared.usecases.recovery.plan_record import RESUMED, Resumed, confirmed, waiting_wave, waves_of
from shared.usecases.recovery.recovery_requests import PlanRequest
from shared.usecases.recovery.suspicion import hand_over

FUNCTION: Final = "recover"
Result = dict[str, object]
A_RUN: Final = "a run of a plan, as `understudy plan list` shows it"
_STALE: Final = ("because", "runbook", "evidence")
"""Of the result: what a run that goes on does not say any more."""


class AskPlan:
    def __init__(
        self,
        *,
        policies: Policies,
        journal: Journal,
        subjects: Subjects,
        answers: PlanAnswers,
        decisions: Decisions,
        functions: Functions,
        clock: Clock,
    ) -> None:
        self._policies = policies
        self._journal = journal
        self._subjects = subjects
        self._answers = answers
        self._decisions = decisions
        self._functions = functions
        self._clock = clock

    def commands(self, moment: Callable[[Arguments], datetime]) -> Mapping[str, Callable[[Arguments, str], Result]]:
        """`moment`: when it was asked for, which is part of a run's id."""
        return {
            "plan_show": lambda given, _: self.show(
                needed(given, "plan", "a plan of the policy"),
                by=asked_by(given),
                at=_point_in_time(given),
                asked=moment(given),
            ),
            "plan_run": lambda given, run: self.run(
                needed(given, "plan", "a plan of the policy"),
                confirm=optional(given, "confirm"),
                by=asked_by(given),
                at=_point_in_time(given),
                asked=moment(given),
                run=run,
            ),
            "plan_approve": lambda given, run: self.approve(
                needed(given, "run", A_RUN), optional(given, "wave"), by=asked_by(given), run=run
            ),
            "plan_abort": lambda given, run: self.abort(
                needed(given, "run", A_RUN), because=optional(given, "because"), by=asked_by(given), run=run
            ),
            "plan_resume": lambda given, run: self.resume(
                needed(given, "run", A_RUN),
                without_failed=given.get("without_failed") is True,
                by=asked_by(given),
                run=run,
            ),
        }

    def show(self, plan: str, *, by: str, at: datetime | None, asked: datetime) -> Result:
        """The preview. Raises BadInput for a plan that the policy does not have."""
        self._known(plan)
        request = PlanRequest(plan=plan, asked=asked, by=by, confirm="", at=at)
        question = {"preview": {"kind": OperationKind.PLAN.value, "request": codec.dump(request)}}
        answer = json.loads(self._functions.invoke(FUNCTION, json.dumps(question).encode()))
        if "refused" in answer:
            raise BadInput(str(answer.get("because", answer)))
        return {"preview": answer}

    def run(self, plan: str, *, confirm: str, by: str, at: datetime | None, asked: datetime, run: str) -> Result:
        """Opens a run. Raises BadInput when there is no such plan, or one of it is under way."""
        version, _ = self._known(plan)
        if not confirm:
            raise BadInput(f"argument confirm is missing: `understudy plan show {plan}` tells the token")
        request = PlanRequest(plan=plan, asked=asked, by=by, confirm=confirm, at=at)
        holder = self._subjects.holder(f"plan {plan}")
        held = self._journal.find(holder) if holder is not None and holder != request.id else None
        if held is not None and held.state is OperationState.OPEN:
            raise BadInput(
                f"{held.id} is under way: one run of a plan at a time. `understudy plan status {held.id}` tells how it "
                f"stands, `understudy plan abort {held.id}` ends it"
            )
        check_token(
            self._functions,
            self._journal,
            OperationKind.PLAN,
            request.id,
            request=codec.dump(replace(request, confirm="")),
            confirm=request.confirm,
        )
        because = f"asked for by {by}"
        opened = self._journal.open(request.operation(policy=version, now=self._clock.now(), because=because))
        self._tell(opened, "plan.requested", (because,), run)
        hand_over(self._functions, FUNCTION, {"operation": opened.id, "look": "now"})
        return {"operation": opened.id}

    def approve(self, id: str, wave: str, *, by: str, run: str) -> Result:
        """Let a wave begin: the named one, or that which waits now. The first approval of a wave stays."""
        operation, plan = self._run(id)
        if operation.state is not OperationState.OPEN:
            raise BadInput(f"{id} is not under way, it has ended ({operation.state}). Nothing waits in it")
        wanted = [one.name for one in plan.waves if one.approval]
        waits = waiting_wave(plan, waves_of(operation))
        chosen = wave or waits
        if not chosen:
            later = f" Name one to approve it ahead of time: {some(wanted)}" if wanted else ""
            raise BadInput(f"no wave of {id} waits for an approval now.{later}")
        if chosen not in wanted:
            raise BadInput(f"argument wave is {chosen!r}; these need an approval: {some(wanted) or 'none'}")
        stands = self._answers.approve(operation.id, chosen, PlanAnswer(by=by, at=self._clock.now()))
        self._tell(operation, "plan.approved", (f"wave {chosen} approved by {stands.by}",), run, wave=chosen)
        hand_over(self._functions, FUNCTION, {"operation": operation.id, "look": "now"})
        return {"operation": operation.id, "approved": chosen, "by": stands.by, "at": codec.second(stands.at)}

    def abort(self, id: str, *, because: str, by: str, run: str) -> Result:
        """Nothing more is begun; how it stands then is the run's end."""
        operation, _ = self._run(id)
        if operation.state not in (OperationState.OPEN, OperationState.NEEDS_OPERATOR):
            raise BadInput(f"{id} has ended already ({operation.state}): {operation.result.get('because', '')}")
        answer = PlanAnswer(by=by, at=self._clock.now(), because=because)
        stands = self._answers.abort(operation.id, answer)
        if operation.state is OperationState.NEEDS_OPERATOR:
            try:
                self._reopen(operation, operation.result)
            except BadInput:
                # Whoever opened it again meanwhile: the abort stands, and the run finds it.
                found = self._journal.find(operation.id)
                if found is None or found.state is not OperationState.OPEN:
                    raise
        self._tell(operation, "plan.abort_requested", tuple(filter(None, (f"by {stands.by}", because))), run)
        hand_over(self._functions, FUNCTION, {"operation": operation.id, "look": "now"})
        return {"operation": operation.id, "aborted": True, "by": stands.by, "at": codec.second(stands.at)}

    def resume(self, id: str, *, without_failed: bool, by: str, run: str) -> Result:
        """A run that stopped goes on: what failed gets a new operation, or with `without_failed` is left out."""
        operation, _ = self._run(id)
        if operation.state is OperationState.OPEN:
            return {"operation": operation.id, "resumed": False}
        if operation.state is not OperationState.NEEDS_OPERATOR or not confirmed(operation):
            raise BadInput(
                f"{id} has ended ({operation.state}), and only a run that needs an operator can be resumed. "
                "Run the plan anew"
            )
        holder = self._subjects.holder(operation.subject)
        if holder not in (None, operation.id):
            raise BadInput(f"{holder} deals with {operation.subject} now. Resume {id} when that has ended, or abort it")
        resumed = Resumed(by=by, at=self._clock.now(), without_failed=without_failed)
        self._reopen(operation, {**operation.result, RESUMED: codec.dump(resumed)})
        how = "without what failed" if without_failed else "with a new operation for each that failed"
        self._tell(operation, "plan.resumed", (f"resumed by {by}, {how}",), run)
        hand_over(self._functions, FUNCTION, {"operation": operation.id, "look": "now"})
        return {"operation": operation.id, "resumed": True}

    def _reopen(self, operation: Operation, result: Mapping[str, str]) -> None:
        kept = {key: value for key, value in result.items() if key not in _STALE}
        try:
            self._journal.reopen(replace(operation, state=OperationState.OPEN, result=kept))
        except Conflict as lost:
            raise BadInput(f"{operation.id} has changed meanwhile. Look at it, and ask again") from lost

    def _known(self, name: str) -> tuple[PolicyVersion, RecoveryPlan]:
        version, policy = self._policies.active()
        plan = policy.plan(name)
        if plan is None:
            known = ", ".join(one.name for one in policy.plans) or "none"
            raise BadInput(f"plan {name!r} is not in policy {version}; it has: {known}")
        return version, plan

    def _run(self, id: str) -> tuple[Operation, RecoveryPlan]:
        operation = self._journal.find(OperationId(id))
        if operation is None or operation.kind is not OperationKind.PLAN:
            raise BadInput(
                f"argument run is {id!r}, which is no run of a plan. `understudy plan list` shows what is under way"
            )
        plan = self._policies.at(operation.policy).plan(PlanRequest.of(operation).plan)
        assert plan is not None, "a run is opened for a plan of its policy"
        return operation, plan

    def _tell(self, operation: Operation, event: str, because: tuple[str, ...], run: str, **inputs: str) -> None:
        made = Decision(
            event=event,
            at=self._clock.now(),
            subject=operation.subject,
            because=because,
            inputs={"operation": operation.id, **inputs},
            policy=operation.policy,
            run=run,
        )
        log.decision(made)
        self._decisions.record(operation.subject, made)


def _point_in_time(given: Arguments) -> datetime | None:
    value = optional(given, "as_of")
    if not value:
        return None
    try:
        at = codec.instant(value)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"argument as_of is {value!r}; write it as 2026-03-02T10:00:00Z") from error
    return at
