"""The launch of 1-1,000 instances from one image, as steps of a durable operation.

Order, and why: *plan* (all that can be missing is missed before anything is made, and what was confirmed is what is
done), *image* (only of a restore point), *create* and *boot* (in turns: what vanishes while it boots is asked for in
the next offer), *answer* (our own eyes before traffic), *join* and *serve*. Nothing that stands is ever deleted: what
is too few is handed to an operator as it is.

| call | token of | what decides after a lost answer |
|---|---|---|
| CreateImage | operation, step, snapshots | see `image_of_point` |
| RunInstances | operation, call, plan, amount | instances tagged with operation and call; none: the same again |
| AttachInstances (scaling) | operation, chunk, ids | the group's memberships; none: the same again |
| AddBackendServers, SetBackendServers | none | the pool's members and weights; both are idempotent |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import CredentialsRejected, Forbidden, Permanent
from shared.domain.ids import ImageId, InstanceId
from shared.domain.inventory import Instance, InstanceState
from shared.domain.launching import FIRST_LOOK, POLL, LaunchPlan, next_look, shortfalls
from shared.domain.objectives import LAUNCH_PHASES, Phases
from shared.domain.operation import Operation, OperationKind, Step, StepState
from shared.ports.clock import Clock
from shared.ports.compute import Clouds
from shared.state import codec
from shared.usecases.images.image_of_point import ImageOfPoint, Wanted
from shared.usecases.operations import FORBIDDEN_SINCE, Done, Escalated, Outcome, Refused, Resume, Work
from shared.usecases.recovery.launch_calls import CREATE, Calls
from shared.usecases.recovery.launch_planning import LaunchPlanning
from shared.usecases.recovery.launch_serving import ANSWER, SERVE, Seen, Served, Serving
from shared.usecases.recovery.recovering import FORBIDDEN_LIMIT
from shared.usecases.recovery.recovery_requests import LaunchRequest

RUNBOOK: Final = "launch-needs-operator"
PLAN, IMAGE, BOOT = "plan", "image-of-point", "boot"
BOOT_LIMIT: Final = timedelta(minutes=10)


@dataclass(slots=True, kw_only=True)
class LaunchRecipe:
    """`advance` takes every step that can be taken now and says when to look again."""

    clouds: Clouds
    planning: LaunchPlanning
    images: ImageOfPoint
    serving: Serving
    clock: Clock
    kind: OperationKind = OperationKind.LAUNCH

    def advance(self, work: Work) -> Outcome:
        run = _Run(self, work)
        try:
            outcome = run.advance()
        except CredentialsRejected:
            raise  # about this process, not about our permissions
        except Forbidden as error:
            lasting = run.forbidden(error)
            if lasting is None:
                raise
            return lasting
        except Permanent as error:
            if not run.calls.maybe:
                raise
            # A bare refusal would leave instances standing and nobody told.
            return run.escalate(f"{type(error).__name__}: {error}")
        work.note(FORBIDDEN_SINCE, None)
        return outcome


class _Run:
    """One run over one operation's journal."""

    def __init__(self, recipe: LaunchRecipe, work: Work) -> None:
        self._own = recipe
        self._work = work
        self._request = LaunchRequest.of(work.operation)
        self._cloud = recipe.clouds.at(self._request.place)
        self.calls = Calls(work, self._cloud, recipe.clock.now)

    def advance(self) -> Outcome:
        plan = self._plan()
        if isinstance(plan, Refused):
            return plan
        image = self._image(plan)
        if not isinstance(image, str):
            return image
        if self._step(BOOT) is None:
            waits = self.calls.send(plan, ImageId(image)) or self._boot(plan, ImageId(image))
            if waits is not None:
                return waits
        running = self._running()
        served: Served | Resume = Served(instances=running)
        if len(running) >= plan.least:
            served = self._own.serving.advance(self._work, plan, running)
        if isinstance(served, Resume):
            return served
        return self._end(plan, image, served)

    # before anything is made

    def _plan(self) -> LaunchPlan | Refused:
        """Fixed once, and what was confirmed."""
        step = self._step(PLAN)
        if step is not None:
            return codec.load(LaunchPlan, step.data["plan"])
        found = self._own.planning.consider(self._request)
        if found.refusals or found.plan is None:
            return Refused(because="; ".join(found.refusals))
        plan, confirm = found.plan, self._request.confirm
        if confirm not in (plan.name, plan.token):
            made_of = plan.image or f"an image of {len(plan.of_snapshots)} snapshots"
            places = ", then ".join(str(one) for one in plan.offers)
            return Refused(
                because=f"{confirm!r} was confirmed, and what it would do now is {plan.token}: {plan.amount} of "
                f"{made_of}, {places}. Look at it again without --confirm, then confirm that"
            )
        self._learn(PLAN, plan=codec.dump(plan))
        return plan

    def _image(self, plan: LaunchPlan) -> str | Outcome:
        if plan.image is not None:
            return plan.image
        wanted = Wanted(instance=plan.subject or InstanceId(""), snapshots=plan.of_snapshots, step=IMAGE)
        return self._own.images.advance(self._work, self._cloud, self._request.place, wanted)

    # until they run

    def _boot(self, plan: LaunchPlan, image: ImageId) -> Resume | None:
        """None: everything that stands runs, or has had its time."""
        now = self._now()
        if not self.calls.standing:
            self._learn(BOOT, running="[]", waits="")
            return None
        answered = self.calls.answered
        if now < answered + FIRST_LOOK - timedelta(seconds=1):
            return Resume(
                after=next_look(answered, now), because=f"{len(self.calls.standing)} instances are being created"
            )
        shown = self.calls.look()
        before = len(self.calls.steps)
        waits_for_answer = self.calls.send(plan, image)
        if waits_for_answer is not None:
            return waits_for_answer
        if len(self.calls.steps) > before and self.calls.standing:
            return Resume(after=next_look(self._now(), now), because="what vanished is asked for elsewhere")
        standing = self.calls.standing
        waits = [one for one in standing if not _runs(shown.get(one))]
        if waits and now - answered < BOOT_LIMIT:
            because = f"{len(standing) - len(waits)} of {len(standing)} run"
            return Resume(after=next_look(answered, now), because=because)
        strays = self.calls.adopt()
        if strays:
            return Resume(after=POLL, because=f"{', '.join(strays)} came of a call whose answer was lost")
        running = [_seen(shown[one]) for one in standing if _runs(shown.get(one))]
        self._learn(BOOT, running=codec.dump(running), waits=",".join(waits))
        return None

    def _running(self) -> tuple[Seen, ...]:
        return codec.load(tuple[tuple[str, ...], ...], self._data(BOOT, "running"))

    # how it ends

    def _end(self, plan: LaunchPlan, image: str, served: Served) -> Outcome:
        usable = served.instances
        waits = [one for one in self._data(BOOT, "waits").split(",") if one]
        why = [*shortfalls(plan, self.calls.asked), *(f"{one} does not run" for one in waits), *served.trouble]
        if not self.calls.standing:
            return Refused(because=f"no instance was made: {'; '.join(why)}. Nothing is left over")
        if len(usable) < plan.least:
            return self.escalate(
                f"{len(usable)} of {plan.amount} can be used, at least {plan.least} were asked for: {'; '.join(why)}. "
                "What was made stands, nothing is deleted"
            )
        return self._done(plan, image, usable, why)

    def _done(self, plan: LaunchPlan, image: str, usable: Sequence[Seen], why: Sequence[str]) -> Done:
        phases = rto(self._work.operation)
        because = f"{len(usable)} of {plan.amount} instances {plan.name} were made of {image}"
        known = {one[0] for one in usable}
        full = len(usable) >= plan.amount
        return Done(
            result={
                "outcome": "launched" if full else "launched in part",
                "because": because if full else "; ".join([because, *why]),
                "image": image,
                "amount": str(len(usable)),
                "instances": codec.dump(usable),  # id, name, private address, zone
                "not_got": codec.dump(why),
                "others": ",".join(one for one in self.calls.standing if one not in known),  # stand and are not used
                "rto_seconds": f"{phases.total.total_seconds():.1f}",
                "phases": codec.dump({name: took.total_seconds() for name, took in phases.steps}),
            }
        )

    def forbidden(self, error: Forbidden) -> Escalated | None:
        """An end, when our calls have been forbidden for long."""
        now = self._now()
        since = codec.instant(self._work.operation.result.get(FORBIDDEN_SINCE, codec.moment(now)))
        if now - since > FORBIDDEN_LIMIT:
            seconds = int((now - since).total_seconds())
            return self.escalate(f"our role has been forbidden this for {seconds} s: {error}")
        self._work.note(FORBIDDEN_SINCE, codec.moment(since))
        return None

    def escalate(self, because: str) -> Escalated:
        evidence = (
            f"operation={self._work.operation.id}",
            f"stands={','.join(self.calls.standing) or 'none'}",
            *(f"{one.name}={one.state.value}" for one in self._work.operation.steps),
        )
        return Escalated(because=because, runbook=RUNBOOK, evidence=evidence)

    # the journal

    def _step(self, name: str) -> Step | None:
        return next((step for step in self._work.operation.steps if step.name == name), None)

    def _data(self, name: str, key: str) -> str:
        step = self._step(name)
        assert step is not None, name
        return step.data[key]

    def _learn(self, name: str, **data: str) -> None:
        self._work.learn(Step(name=name, state=StepState.DONE, at=self._now(), data=data))

    def _now(self) -> datetime:
        return self._own.clock.now()


def rto(operation: Operation) -> Phases:
    """From the request to service, by the journal."""
    at = {step.name: step.at for step in operation.steps if step.state is StepState.DONE}
    phases = (("ask", PLAN), ("image", f"{IMAGE}-stands"), ("boot", BOOT), ("answer", ANSWER), ("serve", SERVE))
    ends = {phase: at[step] for phase, step in phases if step in at}
    calls = [moment for name, moment in at.items() if name.startswith(f"{CREATE}:")]
    if calls:
        ends["create"] = max(calls)
    return Phases.between(LAUNCH_PHASES, lost=LaunchRequest.of(operation).asked, ended=ends)


def _runs(found: Instance | None) -> bool:
    return found is not None and found.state is InstanceState.RUNNING and bool(found.private_address)


def _seen(one: Instance) -> Seen:
    return (one.id, one.name, one.private_address, one.zone)
