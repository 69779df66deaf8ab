"""Takes one instance out of service before it is stopped on purpose, and puts it back as it was.

Out: on standby in its scaling group first (or the group would release it as unhealthy), then its weight in every
balancer to 0. Back: in service in its group, then the recorded weights, since ExitStandby gives a weight of its own.
What was is journalled before anything is changed. Every step asks the world first.

| call | token | what decides after a lost answer |
|---|---|---|
| EnterStandby, ExitStandby | operation, step, attempt | the member reads standby, or does not |
| set weight, attach | none | the pool's weights; both are idempotent |

Whether its group must be told, and when, is `shared.domain.group_plan`'s word. One that is not shown is waited for a
while, then it is refused: nobody can say whether that group would release what is stopped.
A weight cannot be refused by the cloud because the world moved on: only the claim (`Work.may_act`) keeps an executor
that froze from setting one. A request signed over 15 minutes ago is refused by the gateway.
Source: ESS API EnterStandby, ExitStandby; SLB API SetBackendServers (network.md sections 3 and 4).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.errors import NotFound, Permanent
from shared.domain.group_plan import Do, Move, step_aside, step_back
from shared.domain.ids import InstanceId, LoadBalancerId
from shared.domain.operation import Step, StepState
from shared.domain.restoring import LeftOut
from shared.ports.balancer import Balancer
from shared.ports.clock import Clock
from shared.ports.scaling import ActivityState, Membership, Scaling, ScalingGroup
from shared.state import codec
from shared.usecases.operations import Refused, Resume, Work, done, intended

OUT: Final = "out"
DRAINED: Final = "drained"
BACK: Final = "back"
ASIDE: Final = "aside"
STANDBY: Final = "standby"
IN_SERVICE: Final = "in-service"
LET_GO: Final = "let_go"
POLL: Final = timedelta(seconds=5)
PROMPT: Final = timedelta(seconds=2)
"""Between looks at what the cloud does within seconds."""
LIMIT: Final = timedelta(minutes=5)
"""Also for another activity of the group that comes first."""
ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Was:
    """How an instance stood in service."""

    group: str = ""  # that it was put on standby in by us; "": in none, or nothing had to be done there
    weights: Mapping[LoadBalancerId, int]


@dataclass(slots=True, kw_only=True)
class OutOfService:
    """Both methods answer None when it is done, and are called again until then."""

    scaling: Scaling
    balancer: Balancer
    clock: Clock

    def leave(self, work: Work, instance: InstanceId, left: LeftOut | None = None) -> Resume | Refused | None:
        """`left`: what an earlier operation left out of service counts as being in service."""
        if _is_done(work, DRAINED):
            return None
        if not _has(work, OUT):
            waits = self._record(work, instance, left)
            if waits is not None:
                return waits
        was = self._recorded(work)
        if was.group:
            waits = self._move(work, was.group, instance, STANDBY, self.scaling.enter_standby, step_aside)
            if waits is not None:
                return waits
        for balancer, weight in was.weights.items():
            if weight and self._weight(balancer, instance):
                work.may_act()
                self.balancer.set_weight(balancer, instance, weight=0)
        still = [one for one, weight in was.weights.items() if weight and self._weight(one, instance)]
        if still:
            return self._within(work, OUT, f"{instance} still has weight in {', '.join(still)}")
        work.learn(Step(name=DRAINED, state=StepState.DONE, at=self._now()))
        return None

    def come_back(self, work: Work, instance: InstanceId) -> Resume | Refused | None:
        """The instance must be running."""
        if not _has(work, OUT) or _is_done(work, BACK):
            return None
        if not _has(work, BACK):
            work.intend(intended(BACK, "", self._now()))
        was = self._recorded(work)
        if was.group:
            waits = self._move(work, was.group, instance, IN_SERVICE, self.scaling.exit_standby, _back)
            if waits is not None:
                return waits
        missing: list[str] = []
        for balancer, weight in was.weights.items():
            try:
                waits = self._give(work, balancer, instance, weight)
            except NotFound:
                missing.append(balancer)
                continue
            if waits is not None:
                return waits
        work.learn(done(work.step(BACK), self._now(), missing=",".join(missing)))
        return None

    def missing(self, work: Work) -> tuple[str, ...]:
        """Balancers that were deleted meanwhile, so that nothing could be given back there."""
        told = work.step(BACK).data.get("missing", "") if _has(work, BACK) else ""
        return tuple(one for one in told.split(",") if one)

    def was(self, work: Work) -> Was | None:
        """None: it was never taken out."""
        return codec.load(Was, work.step(OUT).data["was"]) if _has(work, OUT) else None

    def weights_of(self, instance: InstanceId) -> tuple[dict[LoadBalancerId, int], tuple[LoadBalancerId, ...]]:
        """Its weights now, by balancer, and the balancers in which no other server takes traffic."""
        weights: dict[LoadBalancerId, int] = {}
        alone: list[LoadBalancerId] = []
        for balancer in self.balancer.of(instance):
            backends = self.balancer.backends(balancer)
            weights[balancer] = next((one.weight for one in backends if one.server == instance), 0)
            if weights[balancer] and not any(one.weight for one in backends if one.server != instance):
                alone.append(balancer)
        return weights, tuple(alone)

    def let_go(self, work: Work) -> str:
        """The scaling group that lost it meanwhile, so that there was nothing to go back to; "" when none did."""
        told = work.step(IN_SERVICE).data.get(LET_GO, "") if _has(work, IN_SERVICE) else ""
        return str(told)

    def read(self, instance: InstanceId) -> tuple[Membership | None, ScalingGroup | None]:
        """Where it is a member, and that group as far as the cloud shows it."""
        found = self.scaling.memberships([instance]).get(instance)
        if found is None:
            return None, None
        return found, self.scaling.groups([found.group]).get(found.group)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _record(self, work: Work, instance: InstanceId, left: LeftOut | None) -> Resume | Refused | None:
        """Written down before it is changed: after a crash only this remembers it."""
        member, group = self.read(instance)
        move = step_aside(group, member)
        if move.do not in (Do.NOTHING, Do.ENTER_STANDBY):
            if not _has(work, ASIDE):
                work.learn(intended(ASIDE, "", self._now()))
            return self._within(work, ASIDE, f"{instance}: {move.because}")
        weights, _ = self.weights_of(instance)
        held = member.group if member is not None and move.do is Do.ENTER_STANDBY else ""
        if left is not None:
            weights = {one: weight or left.weights.get(one, 0) for one, weight in weights.items()}
            if member is not None and member.on_standby and member.group == left.group:
                held = member.group
        was = Was(group=held, weights=weights)
        work.intend(intended(OUT, "", self._now(), data={"was": codec.dump(was)}))
        return None

    def _recorded(self, work: Work) -> Was:
        return codec.load(Was, work.step(OUT).data["was"])

    def _move(
        self,
        work: Work,
        group: str,
        instance: InstanceId,
        name: str,
        call: Callable[..., str],
        plan: Callable[[ScalingGroup | None, Membership | None], Move],
    ) -> Resume | Refused | None:
        step = next((one for one in work.operation.steps if one.name == name), None)
        if step is not None and step.state is StepState.DONE:
            return None
        member, shown = self.read(instance)
        if member is None or member.group != group:
            if name == STANDBY:
                return Refused(
                    because=f"{instance} is no member of {group} any more. Look at the group, then ask again"
                )
            # Somebody took it out of the group: there is nothing to go back to.
            work.learn(done(step or intended(name, "", self._now()), self._now(), **{LET_GO: group}))
            return None
        move = plan(shown, member)
        if move.do is Do.NOTHING:
            work.learn(done(step or intended(name, "", self._now()), self._now()))
            return None
        if move.do is Do.OPERATOR and shown is not None:
            return Refused(because=f"{instance} in {group}: {move.because}")
        if step is None or self._failed(group, step):
            attempt = 1 if step is None else step.attempt + 1
            if attempt > ATTEMPTS:
                return Refused(because=f"{group} did not let {instance} {name} after {ATTEMPTS} attempts")
            token = provenance.token(work.operation.id, name, attempt, group, instance)
            step = intended(name, token, self._now(), attempt=attempt)
            work.intend(step)
        if "activity" not in step.data and move.do not in (Do.WAIT, Do.OPERATOR):
            work.may_act()
            try:
                activity = call(group, [instance], token=step.token)
            except NotFound:
                raise
            except Permanent as error:
                # Perhaps it is where it should be since we looked; and a group refuses what its state does not allow.
                if not self._stands(instance, plan):
                    return self._within(work, name, str(error))
                work.learn(done(step, self._now()))
                return None
            step = intended(name, step.token, step.at, attempt=step.attempt, data={"activity": activity})
            work.learn(step)
            if self._stands(instance, plan):
                work.learn(done(step, self._now()))
                return None
        return self._within(work, name, f"{instance} is {member.state} in {group}: {move.because}")

    def _stands(self, instance: InstanceId, plan: Callable[[ScalingGroup | None, Membership | None], Move]) -> bool:
        member, shown = self.read(instance)
        return member is not None and plan(shown, member).do is Do.NOTHING

    def _failed(self, group: str, step: Step) -> bool:
        id_ = step.data.get("activity")
        activity = None if id_ is None else self.scaling.activity(group, id_)
        return activity is not None and activity.state in (ActivityState.FAILED, ActivityState.REJECTED)

    def _give(self, work: Work, balancer: LoadBalancerId, instance: InstanceId, weight: int) -> Resume | Refused | None:
        found = next((one.weight for one in self.balancer.backends(balancer) if one.server == instance), None)
        if found == weight:
            return None
        work.may_act()
        if found is None:
            self.balancer.attach(balancer, instance, weight=weight)
        else:
            self.balancer.set_weight(balancer, instance, weight=weight)
        again = next((one.weight for one in self.balancer.backends(balancer) if one.server == instance), None)
        if again == weight:
            return None
        return self._within(work, BACK, f"weight of {instance} in {balancer} is {again}, not {weight} yet")

    def _weight(self, balancer: LoadBalancerId, instance: InstanceId) -> int:
        return next((one.weight for one in self.balancer.backends(balancer) if one.server == instance), 0)

    def _within(self, work: Work, since: str, seen: str) -> Resume | Refused:
        if self._now() - work.step(since).at > LIMIT:
            return Refused(because=f"{seen}, {int(LIMIT.total_seconds())} s after it was asked for")
        return Resume(after=POLL, because=seen)

    def _now(self) -> datetime:
        return self.clock.now()


def _back(group: ScalingGroup | None, member: Membership | None) -> Move:
    """Only of an instance that runs."""
    return step_back(group, member, runs=True)


def _has(work: Work, name: str) -> bool:
    return any(step.name == name for step in work.operation.steps)


def _is_done(work: Work, name: str) -> bool:
    return any(step.name == name and step.state is StepState.DONE for step in work.operation.steps)
