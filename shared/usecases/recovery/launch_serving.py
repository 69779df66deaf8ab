"""New instances into service: each answers on its port, joins its scaling group, and is put behind its balancer.

Every step asks the world first, so that it may run any number of times; `launch` has the table of what decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.errors import Forbidden, Permanent
from shared.domain.ids import InstanceId, LoadBalancerId
from shared.domain.launching import POLL, LaunchPlan
from shared.domain.operation import Step, StepState
from shared.ports.balancer import Balancer, Health
from shared.ports.clock import Clock
from shared.ports.probes import Services, Sight
from shared.ports.scaling import ActivityState, Membership, Scaling
from shared.state import codec
from shared.usecases.operations import Resume, Work, done, failed, intended
from shared.usecases.recovery.look import PROBE_TIMEOUT

ANSWER, JOIN, BEHIND, SERVE = "answer", "join", "behind", "serve"
PROMPT: Final = timedelta(seconds=2)
"""Between looks on the path to service."""
PROBES_FOR: Final = timedelta(seconds=30)
"""Of one invocation: silent ones cost a time-out each, and the rest have their turn in the next."""
ANSWER_LIMIT: Final = timedelta(minutes=5)
SERVE_LIMIT: Final = timedelta(minutes=5)
NO_DATA_LIMIT: Final = timedelta(minutes=1)
"""How long a balancer may say nothing about a server before our own probe has to be enough."""
JOINED_AT_ONCE: Final = 20
"""Source: ESS API, AttachInstances, InstanceIds.N."""
IN_SERVICE: Final = frozenset({"inservice", "protected"})

Seen = tuple[str, ...]
"""Id, name, private address, zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Those that can be used, and what stands in the way of the others."""

    instances: tuple[Seen, ...]
    trouble: tuple[str, ...] = ()


class Serving:
    def __init__(self, *, services: Services, balancer: Balancer, scaling: Scaling, clock: Clock) -> None:
        self._services = services
        self._balancer = balancer
        self._scaling = scaling
        self._clock = clock

    def advance(self, work: Work, plan: LaunchPlan, running: Sequence[Seen]) -> Served | Resume:
        """The next steps. Fewer than the plan's least: no traffic is given to any. Raises as the calls do."""
        served = Served(instances=tuple(running))
        if plan.port:
            answered = self._answer(work, plan, running)
            if isinstance(answered, Resume):
                return answered
            served = answered
        if len(served.instances) < plan.least or not (plan.group or plan.balancer):
            return served
        if plan.group:
            joined = self._join(work, plan, served)
            if isinstance(joined, Resume):
                return joined
            served = joined
        if plan.balancer and served.instances:
            return self._behind(work, plan, plan.balancer, served)
        self._finish(work, SERVE)
        return served

    # its own port

    def _answer(self, work: Work, plan: LaunchPlan, running: Sequence[Seen]) -> Served | Resume:
        step = _step(work, ANSWER) or Step(name=ANSWER, state=StepState.INTENDED, at=self._clock.now())
        since = step.data.get("since", codec.moment(self._clock.now()))
        answered = {*filter(None, step.data.get("answered", "").split(","))}
        begun = self._clock.monotonic()
        for id_, _, address, _ in running if step.state is not StepState.DONE else ():
            if id_ in answered or self._clock.monotonic() - begun > PROBES_FOR.total_seconds():
                continue
            if self._services.answers(address, plan.port, timeout=PROBE_TIMEOUT) is Sight.ANSWERED:
                answered.add(id_)
        silent = [one for one in running if one[0] not in answered]
        data = {"since": since, "answered": ",".join(sorted(answered))}
        step = replace(step, data=data)
        work.learn(step)
        waited = self._clock.now() - codec.instant(since)
        if silent and step.state is not StepState.DONE and waited < ANSWER_LIMIT:
            return Resume(after=PROMPT, because=f"{len(answered)} of {len(running)} answer on port {plan.port}")
        if step.state is not StepState.DONE:
            work.learn(done(step, self._clock.now()))
        return Served(
            instances=tuple(one for one in running if one[0] in answered),
            trouble=tuple(f"{id_} ({address}) does not answer on port {plan.port}" for id_, _, address, _ in silent),
        )

    # its scaling group

    def _join(self, work: Work, plan: LaunchPlan, served: Served) -> Served | Resume:
        """Chunk by chunk: a group takes one activity at a time."""
        ids = [InstanceId(one[0]) for one in served.instances]
        apart: dict[InstanceId, str] = {}
        for number, at in enumerate(range(0, len(ids), JOINED_AT_ONCE), start=1):
            chunk = ids[at : at + JOINED_AT_ONCE]
            step = self._join_chunk(work, plan.group, f"{JOIN}:{number:03d}", chunk)
            if isinstance(step, Resume):
                return step
            if step.state is StepState.FAILED:
                apart |= dict.fromkeys(chunk, step.data["because"])
        self._finish(work, JOIN)
        return Served(
            instances=tuple(one for one in served.instances if one[0] not in apart),
            trouble=(*served.trouble, *(f"{one} is not in {plan.group}: {why}" for one, why in apart.items())),
        )

    def _join_chunk(self, work: Work, group: str, name: str, chunk: Sequence[InstanceId]) -> Step | Resume:
        """Its step, once that is over: done, or failed and why."""
        step = _step(work, name)
        if step is not None and (step.state is StepState.FAILED or "joined" in step.data):
            return step
        if step is None:
            token = provenance.token(work.operation.id, name, 1, group, *chunk)
            step = intended(name, token, self._clock.now())
            work.intend(step)
        members = self._members(group, chunk)
        if step.state is StepState.INTENDED:
            if not members:
                step = self._ask_to_join(work, group, step, chunk)
            else:
                step = done(step, self._clock.now(), activity="")
            work.learn(step)
            if step.state is StepState.FAILED:
                return step
            members = self._members(group, chunk)
        if all(one in members and members[one].state in IN_SERVICE for one in chunk):
            step = done(step, self._clock.now(), joined="yes")
            work.learn(step)
            return step
        why = self._refused(group, step, members)
        if why:
            step = failed(step, self._clock.now(), why)
            work.learn(step)
            return step
        return Resume(after=POLL, because=f"{len(chunk)} instances are joining {group}")

    def _ask_to_join(self, work: Work, group: str, step: Step, chunk: Sequence[InstanceId]) -> Step:
        work.may_act()
        try:
            activity = self._scaling.attach(group, chunk, entrusted=False, token=step.token)
        except Forbidden:
            raise
        except Permanent as error:
            return failed(step, self._clock.now(), str(error))
        return done(step, self._clock.now(), activity=activity)

    def _members(self, group: str, chunk: Sequence[InstanceId]) -> dict[InstanceId, Membership]:
        return {id_: one for id_, one in self._scaling.memberships(chunk).items() if one.group == group}

    def _refused(self, group: str, step: Step, members: Mapping[InstanceId, Membership]) -> str:
        """Why nobody joins any more; empty: it goes on."""
        if self._clock.now() - step.at > SERVE_LIMIT:
            states = ", ".join(sorted({one.state for one in members.values()})) or "no members"
            return f"{int(SERVE_LIMIT.total_seconds())} s after they were sent there they are {states}"
        activity = self._scaling.activity(group, step.data["activity"]) if step.data["activity"] else None
        if activity is not None and activity.state in (ActivityState.FAILED, ActivityState.REJECTED):
            return activity.message or f"activity {activity.id} {activity.state}"
        return ""

    # its balancer

    def _behind(self, work: Work, plan: LaunchPlan, balancer: LoadBalancerId, served: Served) -> Served | Resume:
        """The group's balancer gave them a weight of its own: the plan's is set after that."""
        ids = [InstanceId(one[0]) for one in served.instances]
        step = _step(work, BEHIND)
        if step is None:
            step = intended(BEHIND, "", self._clock.now())
            work.intend(step)
        if step.state is StepState.INTENDED:
            weights = {one.server: one.weight for one in self._balancer.backends(balancer)}
            for id_ in ids:
                if weights.get(id_) != plan.weight:
                    work.may_act()
                    self._balancer.attach(balancer, id_, weight=plan.weight)
            step = done(step, self._clock.now())
            work.learn(step)
        if (serve := _step(work, SERVE)) is not None:
            return _without(served, serve.data.get("apart", ""), f"is not healthy behind {balancer}")
        waited = self._clock.now() - step.at
        health = self._balancer.health(balancer)
        good = {Health.NORMAL, Health.UNAVAILABLE} if waited > NO_DATA_LIMIT else {Health.NORMAL}
        waits = [one for one in ids if health.get(one, Health.UNAVAILABLE) not in good]
        if waits and waited <= SERVE_LIMIT:
            return Resume(after=PROMPT, because=f"{len(ids) - len(waits)} of {len(ids)} are healthy behind {balancer}")
        self._finish(work, SERVE, apart=",".join(waits))
        return _without(served, ",".join(waits), f"is not healthy behind {balancer}")

    def _finish(self, work: Work, name: str, **data: str) -> None:
        if not _is_done(work, name):
            work.learn(Step(name=name, state=StepState.DONE, at=self._clock.now(), data=data))


def _without(served: Served, apart: str, why: str) -> Served:
    gone = {*filter(None, apart.split(","))}
    return Served(
        instances=tuple(one for one in served.instances if one[0] not in gone),
        trouble=(*served.trouble, *(f"{one} {why}" for one in sorted(gone))),
    )


def _step(work: Work, name: str) -> Step | None:
    return next((step for step in work.operation.steps if step.name == name), None)


def _is_done(work: Work, name: str) -> bool:
    step = _step(work, name)
    return step is not None and step.state is StepState.DONE
