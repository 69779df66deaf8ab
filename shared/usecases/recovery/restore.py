"""Other content for the disks of one instance, as steps of a durable operation: rollback, clone and swap, fresh start,
another system disk, and the way back from each.

Order, and why: *check* (plans anew and compares with what was confirmed), *prepare* (copies, clones and images are made
while it still serves), *out* of service (or its group would kill it), *stop*, *safety* (nothing is changed before each
disk's content can be brought back), *change*, *start*, *verify* (our own eyes before traffic), *back* into service,
*serve* (the balancers' eyes), *settle* (the safety point is complete).

What fails before the first change is undone: started again, in service again with the recorded weights; the operation
ends refused. From the first change on it goes on, or an operator is asked; it is never left half done in silence.

| call | token | what decides after a lost answer |
|---|---|---|
| stop, start | none | see `shared.usecases.recovery.power` |
| standby, weights | | see `shared.usecases.recovery.out_of_service` |
| CreateSnapshot | yes | see `shared.usecases.recovery.restore_safety` |
| changes of disks | | see `shared.usecases.recovery.restore_changes` |
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import CredentialsRejected, Forbidden, Permanent
from shared.domain.ids import LoadBalancerId
from shared.domain.inventory import InstanceState
from shared.domain.objectives import RESTORE_PHASES, Phases
from shared.domain.operation import Operation, OperationKind, Step, StepState
from shared.domain.policy import Policy
from shared.domain.restoring import IN_USE, DiskPlan, LeftOut
from shared.domain.restoring_checks import systems_first
from shared.domain.selection import selects
from shared.ports.balancer import Health
from shared.ports.compute import Compute
from shared.ports.probes import Services, Sight
from shared.state import codec
from shared.state.images import Images
from shared.state.points import Points
from shared.state.policies import Policies
from shared.usecases.images.image_of_point import ImageOfPoint
from shared.usecases.operations import (
    FORBIDDEN_SINCE,
    Done,
    Escalated,
    Outcome,
    Refused,
    Resume,
    Work,
    done,
    intended,
)
from shared.usecases.recovery import restore_report as report
from shared.usecases.recovery.look import PROBE_TIMEOUT
from shared.usecases.recovery.out_of_service import PROMPT
from shared.usecases.recovery.power import Power
from shared.usecases.recovery.recovering import FORBIDDEN_LIMIT
from shared.usecases.recovery.recovery_requests import RestoreRequest
from shared.usecases.recovery.restore_changes import Change, Preparation, begun, stands_now
from shared.usecases.recovery.restore_look import RestoreLook
from shared.usecases.recovery.restore_safety import SafetyPoint

POLL: Final = timedelta(seconds=5)
VERIFY_LIMIT: Final = timedelta(minutes=5)
SERVE_LIMIT: Final = timedelta(minutes=5)
NO_DATA_LIMIT: Final = timedelta(minutes=1)
"""How long a balancer may say nothing about a server before our own probe has to be enough."""
PREPARE_LIMIT: Final = timedelta(hours=24)
SETTLE_EVERY: Final = timedelta(minutes=1)
SETTLE_LIMIT: Final = timedelta(hours=12)

CHECK, PREPARE, LEAVE, STOP, SAFETY = "check", "prepare", "leave", "stop", "safety"
CHANGED, START, VERIFY, RETURN, SERVE, SETTLE = "changed", "start", "verify", "return", "serve", "settle"
START_AGAIN: Final = "start-again"
GIVEN_UP: Final = "given-up"
"""Only of an operation that goes back before anything was changed."""
WAS_STOPPED: Final = "stopped"
LEFT: Final = "left"
"""Key in the data of `check`: what an earlier operation left out of service."""


@dataclass(slots=True, kw_only=True)
class RestoreRecipe:
    """`advance` takes every step that can be taken now and says when to look again."""

    look: RestoreLook
    services: Services
    policies: Policies
    kind: OperationKind = OperationKind.RESTORE

    def advance(self, work: Work) -> Outcome:
        run = _Run(self, work)
        try:
            outcome = run.go()
        except CredentialsRejected:
            raise  # about this process, not about our permissions
        except Forbidden as error:
            lasting = run.forbidden(error)
            if lasting is None:
                raise
            return lasting
        except Permanent as error:
            return run.stopped_by(f"{type(error).__name__}: {error}")
        work.note(FORBIDDEN_SINCE, None)
        return outcome


Take = Callable[[], Outcome | None]


class _Run:
    """One run over one operation's journal. A step's method returns None when the next one may follow."""

    def __init__(self, recipe: RestoreRecipe, work: Work) -> None:
        self._own = recipe
        self._work = work
        self._clock = recipe.look.clock
        self._request = RestoreRequest.of(work.operation)
        self._policy: Policy = recipe.policies.at(work.operation.policy)
        self._cloud: Compute = recipe.look.clouds.at(self._request.place)
        self._power = Power(cloud=self._cloud, clock=self._clock)
        self._service = recipe.look.service
        points = Points(recipe.look.store)
        self._safety = SafetyPoint(cloud=self._cloud, points=points, clock=self._clock)
        self._forward: tuple[tuple[str, Take], ...] = (
            (CHECK, self._check),
            (PREPARE, self._prepare),
            (LEAVE, self._leave),
            (STOP, self._stop),
            (SAFETY, self._secure),
            (CHANGED, self._change),
            (START, self._start),
            (VERIFY, self._verify),
            (RETURN, self._return),
            (SERVE, self._serve),
            (SETTLE, self._settle),
        )
        self._backward: tuple[tuple[str, Take], ...] = ((START_AGAIN, self._start), (RETURN, self._return))

    def go(self) -> Outcome:
        given_up = self._step(GIVEN_UP)
        for name, take in self._forward if given_up is None else self._backward:
            if self._is_done(name):
                continue
            outcome = take()
            if isinstance(outcome, Refused):
                return self.stopped_by(outcome.because)
            if outcome is not None:
                return outcome
            self._work.learn(self._ended(name))
        if given_up is not None:
            self._safety.write_down(self._work, self._request)
            return Refused(because=report.refusal(self._work.operation, given_up.data["because"]))
        return self._result()

    # -- ends ------------------------------------------------------------------------------------------------------

    def stopped_by(self, because: str) -> Outcome:
        """It cannot go on. What was not changed yet is put back as it was; else an operator must choose."""
        if self._step(GIVEN_UP) is not None:
            return self._escalate(f"it was given up, and could not be put back into service: {because}")
        if begun(self._work.operation):
            return self._escalate(because)
        if self._service.was(self._work) is None:
            return Refused(because=report.refusal(self._work.operation, because))
        # Written before anything is put back: from here on no run goes forward any more.
        self._work.intend(Step(name=GIVEN_UP, state=StepState.DONE, at=self._now(), data={"because": because}))
        return Resume(after=PROMPT, because=f"{because}; nothing was changed, it is put back into service")

    def forbidden(self, error: Forbidden) -> Outcome | None:
        """An end, when our calls have been forbidden for long."""
        now = self._now()
        since = codec.instant(self._work.operation.result.get(FORBIDDEN_SINCE, codec.moment(now)))
        if now - since > FORBIDDEN_LIMIT:
            return self.stopped_by(
                f"our role has been forbidden this for {int((now - since).total_seconds())} s: {error}"
            )
        self._work.note(FORBIDDEN_SINCE, codec.moment(since))
        return None

    def _escalate(self, because: str) -> Escalated:
        return report.escalation(self._work.operation, self._plans(), because)

    def _result(self) -> Outcome:
        operation = self._work.operation
        return Done(
            result={
                **report.result(
                    operation,
                    self._request,
                    self._plans(),
                    self._service.missing(self._work),
                    self._service.let_go(self._work),
                ),
                **_measured(operation),
            }
        )

    # -- steps -----------------------------------------------------------------------------------------------------

    def _check(self) -> Outcome | None:
        view = self._own.look.at(self._request, self._policy, self._work.operation.id)
        plan = self._own.look.plan(self._request, view, self._policy)
        if not plan.may_start:
            refusals = "; ".join(f"{one.name}: {one.says}. {one.remedy}" for one in plan.checks if not one.ok)
            return Refused(because=refusals)
        assert view.instance is not None
        if self._request.confirm not in (plan.token, view.instance.id, view.instance.name or view.instance.id):
            now = "; ".join(one.does for one in plan.disks)
            return Refused(
                because=f"{self._request.confirm!r} confirms something else than what would be done now "
                f"({plan.token}): {now}. Look at the preview again and confirm that"
            )
        left = view.left
        ran = view.instance.state is not InstanceState.STOPPED or (left is not None and left.ran)
        # At once, here and below: a run that is cut short among slow calls must not leave all of it to the next one.
        self._work.intend(
            Step(
                name=CHECK,
                state=StepState.DONE,
                at=self._now(),
                data={
                    "disks": codec.dump(systems_first(plan.disks)),
                    WAS_STOPPED: "" if ran else "yes",
                    "name": view.instance.name,
                    **({} if left is None else {LEFT: codec.dump(left)}),
                },
            )
        )
        return None

    def _prepare(self) -> Outcome | None:
        preparation = Preparation(
            clouds=self._own.look.clouds,
            cloud=self._cloud,
            images=ImageOfPoint(records=Images(self._own.look.store), clock=self._clock),
            clock=self._clock,
        )
        source = self._own.look.place_of(self._request)
        outcome = preparation.advance(self._work, self._request, self._plans(), source)
        if isinstance(outcome, Resume) and self._now() - self._work.operation.created > PREPARE_LIMIT:
            return Refused(because=f"{outcome.because}, {PREPARE_LIMIT} after it was asked for")
        return outcome

    def _leave(self) -> Outcome | None:
        if self._request.place != self._own.look.home:
            return None  # groups and balancers are at home
        left = self._work.step(CHECK).data.get(LEFT)
        earlier = None if left is None else codec.load(LeftOut, left)
        return self._service.leave(self._work, self._request.instance, earlier)

    def _stop(self) -> Outcome | None:
        return self._power.stop(self._work, self._request.instance, STOP)

    def _secure(self) -> Outcome | None:
        return self._safety.take(self._work, self._request, self._plans())

    def _change(self) -> Outcome | None:
        change = Change(cloud=self._cloud, clock=self._clock, work=self._work, request=self._request)
        return change.advance(self._power.instance(self._request.instance), self._plans())

    def _start(self) -> Outcome | None:
        """As it was: one that was stopped before is left stopped."""
        if self._was_stopped():
            return None
        name = START if self._step(GIVEN_UP) is None else START_AGAIN
        return self._power.start(self._work, self._request.instance, name, stop=STOP)

    def _verify(self) -> Outcome | None:
        shown = {one.id: one for one in self._cloud.inventory.disks(instance=self._request.instance)}
        for one in self._plans():
            now = shown.get(stands_now(self._work.operation, one))
            if now is None or now.state != IN_USE:
                seen = "not attached" if now is None else now.state
                return self._within(START, VERIFY_LIMIT, POLL, f"{stands_now(self._work.operation, one)} is {seen}")
            if one.becomes_gib is not None and now.size_gib != one.becomes_gib:
                return Refused(because=f"{now.id} has {now.size_gib} GiB, {one.becomes_gib} were to be expected")
        if self._was_stopped():
            return None
        instance = self._power.instance(self._request.instance)
        for rule in self._policy.rebuilds:
            if instance.private_address and selects(rule.select, instance):
                sight = self._own.services.answers(instance.private_address, rule.port, timeout=PROBE_TIMEOUT)
                if sight is not Sight.ANSWERED:
                    told = f"{instance.private_address}:{rule.port} is {sight}"
                    return self._within(START, VERIFY_LIMIT, PROMPT, told)
                break
        return None

    def _return(self) -> Outcome | None:
        if self._was_stopped() and self._service.was(self._work) is None:
            return None
        return self._service.come_back(self._work, self._request.instance)

    def _serve(self) -> Outcome | None:
        was = self._service.was(self._work)
        if was is None or self._was_stopped():
            return None
        waited = self._now() - self._at(RETURN)
        gone = self._service.missing(self._work)
        for balancer, weight in was.weights.items():
            if not weight or balancer in gone:
                continue
            health = self._health(balancer)
            if health is Health.NORMAL or (health is Health.UNAVAILABLE and waited > NO_DATA_LIMIT):
                continue
            return self._within(RETURN, SERVE_LIMIT, PROMPT, f"{balancer} says {health} of {self._request.instance}")
        return None

    def _settle(self) -> Outcome | None:
        """It serves. A safety snapshot that still uploads is looked after, so that prune can count it."""
        if self._safety.complete(self._work, self._request) or self._now() - self._at(SERVE) > SETTLE_LIMIT:
            return None
        return Resume(after=SETTLE_EVERY, because="restored and in service; its safety snapshots still upload")

    # -- parts -----------------------------------------------------------------------------------------------------

    def _health(self, balancer: LoadBalancerId) -> Health:
        found = self._service.balancer.health(balancer)
        return found.get(self._request.instance, Health.UNAVAILABLE)

    def _within(self, since: str, limit: timedelta, after: timedelta, seen: str) -> Outcome:
        if self._now() - self._at(since) > limit:
            return Refused(because=f"{seen}, {int(limit.total_seconds())} s after {since}")
        return Resume(after=after, because=seen)

    def _plans(self) -> tuple[DiskPlan, ...]:
        step = self._step(CHECK)
        return () if step is None else codec.load(tuple[DiskPlan, ...], step.data["disks"])

    def _was_stopped(self) -> bool:
        step = self._step(CHECK)
        return step is not None and bool(step.data[WAS_STOPPED])

    def _now(self) -> datetime:
        return self._clock.now()

    def _step(self, name: str) -> Step | None:
        return next((step for step in self._work.operation.steps if step.name == name), None)

    def _is_done(self, name: str) -> bool:
        step = self._step(name)
        return step is not None and step.state is StepState.DONE

    def _ended(self, name: str) -> Step:
        step = self._step(name)
        if step is not None and step.state is StepState.DONE:
            return step
        return done(step or intended(name, "", self._now()), self._now())

    def _at(self, name: str) -> datetime:
        step = self._step(name)
        return self._work.operation.created if step is None else step.at


def _measured(operation: Operation) -> dict[str, str]:
    phases = rto(operation)
    return {
        "rto_seconds": f"{phases.total.total_seconds():.1f}",
        "phases": codec.dump({name: took.total_seconds() for name, took in phases.steps}),
    }


def rto(operation: Operation) -> Phases:
    """From the request to service, by the journal."""
    at = {step.name: step.at for step in operation.steps if step.state is StepState.DONE}
    ends = {
        phase: at[step]
        for phase, step in zip(
            RESTORE_PHASES, (CHECK, PREPARE, LEAVE, STOP, SAFETY, CHANGED, START, SERVE), strict=True
        )
        if step in at
    }
    return Phases.between(RESTORE_PHASES, lost=operation.created, ended=ends)
