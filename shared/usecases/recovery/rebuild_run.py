"""What every step of a rebuild stands on: its ports, its journal, its rule, and how it waits, fails and escalates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import BadInput, Forbidden
from shared.domain.ids import InstanceId, LoadBalancerId
from shared.domain.inventory import Instance
from shared.domain.operation import Step, StepState
from shared.domain.place import Place
from shared.domain.policy import Policy, RebuildRule
from shared.domain.replacement import Candidate, Replacement
from shared.domain.selection import selects
from shared.observability import log
from shared.ports.addresses import PublicAddresses
from shared.ports.balancer import Backend, Balancer
from shared.ports.clock import Clock
from shared.ports.compute import Compute
from shared.ports.probes import Services
from shared.ports.scaling import Scaling
from shared.state import codec
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.zone_looks import ZoneLooks
from shared.usecases.images.image_of_point import ImageOfPoint
from shared.usecases.operations import FORBIDDEN_SINCE, Escalated, Outcome, Resume, Work
from shared.usecases.recovery.look import Look, rule_named
from shared.usecases.recovery.recovering import FORBIDDEN_LIMIT
from shared.usecases.recovery.recovery_requests import RebuildRequest

RUNBOOK: Final = "rebuild-needs-operator"
POLL: Final = timedelta(seconds=5)
"""Between looks at something of the cloud; on the whole: see `Run.next_look`."""
CLOSEST: Final = timedelta(seconds=2)
"""Between two looks when there were few before them."""
PROMPT: Final = timedelta(seconds=1)
"""Between probes of our own, which cost the cloud nothing."""
LOOKS: Final = "looks"
"""Key in `Operation.result`: how often the cloud was looked at since the verdict."""

SET_ASIDE: Final = "rebuild.aside"
"""Told before it is put on standby in its group, while it is still being judged."""

LOOK, CHOOSE, STANDBY, FENCE, DRAIN, FREE, CREATE = "look", "choose", "standby", "fence", "drain", "free", "create"
RELEASE, BOOT, DISKS, ANSWER, JOIN = "release", "boot", "disks", "answer", "join"
ATTACH, SERVE, LEAVE, ISOLATE = "attach", "serve", "leave", "isolate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    look: Look
    compute: Compute
    balancer: Balancer
    scaling: Scaling
    image_of: ImageOfPoint
    place: Place  # whose images those are
    addresses: PublicAddresses
    services: Services
    points: Points
    policies: Policies
    journal: Journal
    zones: ZoneLooks
    decisions: Decisions
    clock: Clock


class Run:
    """One run over one operation's journal."""

    def __init__(self, own: Ports, work: Work) -> None:
        self.own = own
        self.work = work
        self.inputs = work.operation.inputs
        self.old = InstanceId(self.inputs["instance"])
        self.request = RebuildRequest.of(work.operation)
        self.policy: Policy = own.policies.at(work.operation.policy)
        self._read: dict[InstanceId, Instance | None] = {}
        self._plan: Replacement | None = None
        self.pools: dict[LoadBalancerId, tuple[Backend, ...]] = {}
        """As they were read in this run, and not changed by it since."""
        self.has_chosen = False
        """In this run: what the plan says was read moments ago."""
        self.rule = self._find_rule()

    # the journal

    def is_done(self, name: str) -> bool:
        step = self.step(name)
        return step is not None and step.state is StepState.DONE

    def step(self, name: str) -> Step | None:
        return next((step for step in self.work.operation.steps if step.name == name), None)

    def at(self, name: str) -> datetime:
        step = self.step(name)
        assert step is not None, name
        return step.at

    def data(self, name: str, key: str) -> str:
        step = self.step(name)
        assert step is not None, name
        return step.data[key]

    def finish(self, name: str, **data: str) -> None:
        """A step that was not intended beforehand: whatever it asks for may be asked for twice."""
        stands = self.step(name)
        known = stands.data if stands is not None else {}
        self.work.learn(Step(name=name, state=StepState.DONE, at=self.now(), data={**known, **data}))

    def forget(self, name: str) -> None:
        """What was learnt of something that is no longer there."""
        operation = self.work.operation
        self.work.operation = replace(operation, steps=tuple(one for one in operation.steps if one.name != name))

    @property
    def plan(self) -> Replacement:
        if self._plan is None:
            self._plan = codec.load(Replacement, self.data(CHOOSE, "plan"))
        return self._plan

    @property
    def candidate(self) -> Candidate:
        """The one by which the new one was made."""
        return self.plan.candidates[int(self.data(CREATE, "candidate"))]

    @property
    def replacement(self) -> InstanceId:
        return InstanceId(self.data(CREATE, "instance"))

    @property
    def moves_disks(self) -> bool:
        return self.candidate.moves_disks

    # the world

    def now(self) -> datetime:
        return self.own.clock.now()

    def instances(self, *ids: InstanceId) -> tuple[Instance | None, ...]:
        """Read in one call; None for one that the cloud does not list."""
        self.looked()
        found = {one.id: one for one in self.own.compute.inventory.instances(ids=list(ids))}
        self._read.update({one: found.get(one) for one in ids})
        return tuple(found.get(one) for one in ids)

    def seen(self, id: InstanceId) -> Instance | None:
        """As it was read in this run, which is moments ago."""
        return self._read[id] if id in self._read else self.instances(id)[0]

    def remember(self, instance: Instance | None) -> None:
        self._read[self.old] = instance

    def pool(self, balancer: LoadBalancerId) -> tuple[Backend, ...]:
        """Read once in a run."""
        if balancer not in self.pools:
            self.looked()
            self.pools[balancer] = tuple(self.own.balancer.backends(balancer))
        return self.pools[balancer]

    def looked(self, times: int = 1) -> None:
        """Each call that reads from the cloud after the verdict counts."""
        if self.is_done(CHOOSE):
            self.work.note(LOOKS, str(self._looks + times))

    @property
    def next_look(self) -> timedelta:
        """Until the cloud may be looked at again: no more than one look per five seconds since the verdict, so that
        those saved by waiting until something can be ready are there when it should be."""
        since = self.now() - self.at(CHOOSE)
        kept_back = bool(self.plan.public) + bool(self.plan.group)  # what these need at the end
        return max(POLL * (self._looks + 1 + kept_back) - since, CLOSEST)

    @property
    def _looks(self) -> int:
        return int(self.work.operation.result.get(LOOKS, "0"))

    # outcomes

    def again(self, after: timedelta, because: str) -> Resume:
        return Resume(after=after, because=because)

    def within(self, since: datetime, limit: timedelta, after: timedelta, seen: str, *, what: str) -> Outcome:
        if self.now() - since > limit:
            return self.escalate(f"{seen}, {int(limit.total_seconds())} s after {what}")
        return Resume(after=after, because=seen)

    def escalate(self, because: str, *more: str) -> Escalated:
        step = self.step(CREATE)
        built = step.data.get("instance", "none") if step else "none"
        evidence = (
            f"operation={self.work.operation.id}",
            f"old={self.old}",
            f"replacement={built}",
            *more,
            *(f"{one.name}={one.state.value}" for one in self.work.operation.steps),
        )
        return Escalated(because=because, runbook=RUNBOOK, evidence=evidence)

    def forbidden(self, error: Forbidden) -> Escalated | None:
        """An end, when our calls have been forbidden for long."""
        now = self.now()
        since = codec.instant(self.work.operation.result.get(FORBIDDEN_SINCE, codec.moment(now)))
        if now - since > FORBIDDEN_LIMIT:
            return self.escalate(
                f"our role has been forbidden this for {int((now - since).total_seconds())} s: {error}"
            )
        self.work.note(FORBIDDEN_SINCE, codec.moment(since))
        return None

    def tell(self, event: str, because: Sequence[str], *, subject: str = "", acted: bool = False) -> None:
        made = Decision(
            event=event,
            at=self.now(),
            subject=subject or self.old,
            because=tuple(because),
            inputs={"operation": self.work.operation.id, "instance": self.old, "rule": self.rule.name},
            policy=self.work.operation.policy,
            acted=acted,
        )
        log.decision(made)
        self.own.decisions.record(made.subject, made)

    def _find_rule(self) -> RebuildRule:
        named = self.inputs["rule"]
        found = rule_named(self.policy, named) if named else self._rule_that_selects()
        if found is None:
            version = self.work.operation.policy
            says = f"rebuild rule {named} is not in" if named else f"no rebuild rule selects {self.old} in"
            raise BadInput(f"{says} policy version {version}")
        return found

    def _rule_that_selects(self) -> RebuildRule | None:
        """Of one that was asked for without naming a rule."""
        old = self.seen(self.old)
        return next((one for one in self.policy.rebuilds if old is not None and selects(one.select, old)), None)


Take = Callable[[Run], Outcome | None]
"""One step: None when the next one may follow. May be run any number of times."""
