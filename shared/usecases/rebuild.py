"""The rebuild of one lost instance, as steps of a durable operation.

Order, and why: *look* (is it really lost?), *choose* (all that can be missing is missed before anything is touched),
*fence* (only a machine that reads Stopped cannot serve beside its successor), *drain*, *create*, *boot*, *answer*
(our own eyes before traffic), *attach*, *serve* (the balancer's eyes), *isolate* (the old one is kept, never deleted).

Every step asks the world first, so that it may run any number of times. What decides after a lost answer:

| call | token | read-back |
|---|---|---|
| StopInstance | none | the instance reads Stopped |
| RunInstances | operation, step, attempt, digest | an instance tagged with the operation |
| set weight, attach, detach | none | the pool's members and weights; all three are idempotent |
| TagResources | none | idempotent |
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from shared.domain.errors import BadInput, CredentialsRejected, Forbidden, NotFound, Permanent, QuotaReached
from shared.domain.ids import ImageId, InstanceId, LoadBalancerId
from shared.domain.inventory import DiskKind, Instance, InstanceState, Snapshot
from shared.domain.objectives import REBUILD_PHASES, Phases
from shared.domain.operation import Operation, OperationKind, Step, StepState
from shared.domain.policy import Policy, RebuildRule
from shared.domain.provenance import OPERATION, operation_tag, token
from shared.domain.rebuild import (
    ISOLATED,
    PAUSED_LOOK,
    REPLACES,
    HandOver,
    NotOurs,
    Rebuild,
    RebuildVerdict,
    Recovered,
    Refuse,
    Wait,
    judge,
)
from shared.domain.replacement import Missing, Replacement, choose
from shared.domain.retention import RestorePoint
from shared.ports.balancer import Balancer, Health
from shared.ports.clock import Clock
from shared.ports.compute import DataDiskRequest, Images, InstanceRequest, Instances, Inventory, Snapshots
from shared.ports.probes import Services, Sight
from shared.state import codec
from shared.state.points import Points
from shared.state.policies import Policies
from shared.usecases.look import PROBE_TIMEOUT, Look, instance_of, rule_named
from shared.usecases.operations import (
    FORBIDDEN_SINCE,
    Done,
    Escalated,
    Outcome,
    Refused,
    Resume,
    Work,
    done,
    failed,
    intended,
)
from shared.usecases.recovering import FORBIDDEN_LIMIT
from shared.usecases.suspicion import USED_UP

RUNBOOK: Final = "rebuild-needs-operator"
POINTS_AT_ONCE: Final = 20
"""Restore points asked about in one go, newest first, until every data disk has a source."""

POLL: Final = timedelta(seconds=5)
"""Between looks at something that takes the cloud tens of seconds."""
PROMPT: Final = timedelta(seconds=2)
"""Between looks on the path to service."""
STOP_AGAIN: Final = timedelta(seconds=30)
FENCE_LIMIT: Final = timedelta(minutes=5)
"""A forced stop takes 10-40 s on a healthy host (assumption); beyond this the host does not obey."""
BOOT_LIMIT: Final = timedelta(minutes=10)
SERVE_LIMIT: Final = timedelta(minutes=5)
NO_DATA_LIMIT: Final = timedelta(minutes=1)
"""How long a balancer may say nothing about a server before our own probe has to be enough."""
CREATE_ATTEMPTS: Final = 3
STOCK_PAUSE: Final = timedelta(seconds=30)
FENCE_ATTEMPTS: Final = 3

LOOK, CHOOSE, FENCE, DRAIN, CREATE = "look", "choose", "fence", "drain", "create"
BOOT, ANSWER, ATTACH, SERVE, ISOLATE = "boot", "answer", "attach", "serve", "isolate"


@dataclass(slots=True, kw_only=True)
class RebuildRecipe:
    """`advance` takes every step that can be taken now and says when to look again."""

    look: Look
    inventory: Inventory
    instances: Instances
    images: Images
    snapshots: Snapshots
    balancer: Balancer
    services: Services
    points: Points
    policies: Policies
    clock: Clock
    kind: OperationKind = OperationKind.REBUILD

    def advance(self, work: Work) -> Outcome:
        run = _Run(self, work)
        try:
            for name, take in run.steps:
                if run.is_done(name):
                    continue
                outcome = take()
                work.note(FORBIDDEN_SINCE, None)
                if outcome is not None:
                    return outcome
        except CredentialsRejected:
            raise  # about this process, not about our permissions
        except Forbidden as error:
            lasting = run.forbidden(error)
            if lasting is None:
                raise
            return lasting
        except Permanent as error:
            # A bare refusal would leave a lost instance's part unplayed and nobody told.
            return run.escalate(f"{type(error).__name__}: {error}")
        return run.result()


class _Run:
    """One run over one operation's journal. A step's method returns None when the next one may follow."""

    def __init__(self, recipe: RebuildRecipe, work: Work) -> None:
        self._own = recipe
        self._work = work
        self._inputs = work.operation.inputs
        self._old = InstanceId(self._inputs["instance"])
        self._policy: Policy = recipe.policies.at(work.operation.policy)
        self._rule = self._find_rule(self._policy)
        self.steps: tuple[tuple[str, Callable[[], Outcome | None]], ...] = (
            (LOOK, self._take_look),
            (CHOOSE, self._choose),
            (FENCE, self._fence),
            (DRAIN, self._drain),
            (CREATE, self._create),
            (BOOT, self._boot),
            (ANSWER, self._answer),
            (ATTACH, self._attach),
            (SERVE, self._serve),
            (ISOLATE, self._isolate),
        )

    # what stands in the journal

    def is_done(self, name: str) -> bool:
        step = self._step(name)
        return step is not None and step.state is StepState.DONE

    def result(self) -> Outcome:
        replacement, plan = self._replacement(), self._plan()
        phases = rto(self._work.operation)
        lost = codec.instant(self._inputs["failed_at"])
        data_loss = max((lost - disk.taken for disk in plan.data_disks), default=timedelta())
        return Done(
            result={
                "outcome": "replaced",
                "because": f"{self._old} was replaced by {replacement}",
                "replaces": self._old,
                "replacement": replacement,
                "image": plan.image,
                "snapshots": ",".join(disk.snapshot for disk in plan.data_disks),
                "rpo_seconds": f"{max(data_loss, timedelta()).total_seconds():.1f}",
                "rto_seconds": f"{phases.total.total_seconds():.1f}",
                "phases": codec.dump({name: took.total_seconds() for name, took in phases.steps}),
            }
        )

    def forbidden(self, error: Forbidden) -> Escalated | None:
        """An end, when our calls have been forbidden for long."""
        now = self._now()
        since = codec.instant(self._work.operation.result.get(FORBIDDEN_SINCE, codec.moment(now)))
        if now - since > FORBIDDEN_LIMIT:
            return self.escalate(
                f"our role has been forbidden this for {int((now - since).total_seconds())} s: {error}"
            )
        self._work.note(FORBIDDEN_SINCE, codec.moment(since))
        return None

    def escalate(self, because: str) -> Escalated:
        step = self._step(CREATE)
        built = step.data.get("instance", "none") if step else "none"
        evidence = (
            f"operation={self._work.operation.id}",
            f"old={self._old}",
            f"replacement={built}",
            *(f"{one.name}={one.state.value}" for one in self._work.operation.steps),
        )
        return Escalated(because=because, runbook=RUNBOOK, evidence=evidence)

    # the steps

    def _take_look(self) -> Outcome | None:
        operation = self._work.operation
        if USED_UP in self._inputs:
            return self.escalate(
                f"{self._inputs[USED_UP]} looks at {self._inputs['event']} ended without a rebuild, and it is still "
                f"lost: {operation.because}"
            )
        seen = codec.instant(self._inputs["first_seen"])
        view = self._own.look.at(self._old, self._rule, self._policy, operation, seen)
        verdict = judge(self._rule, view)
        if not isinstance(verdict, Rebuild):
            return _outcome(verdict, self._now())
        assert view.instance is not None
        self._work.learn(self._new(LOOK, because=verdict.because, state=view.instance.state.value))
        return None

    def _choose(self) -> Outcome | None:
        """Fixes image, snapshots and everything else once, so that every attempt asks for the same."""
        old = self._instance(self._old)
        left = [one.id for one in self._own.inventory.instances(tags={REPLACES: self._old}) if not self._made(one)]
        if left:
            return self.escalate(f"{', '.join(left)} of an earlier attempt is still there, a second would be too many")
        disks = tuple(self._own.inventory.disks(instance=self._old))
        images = tuple(self._own.images.list(family=self._rule.image_family))
        points: list[RestorePoint] = []
        snapshots: list[Snapshot] = []
        rest = self._own.points.of(self._old)
        while True:
            page = tuple(islice(rest, POINTS_AT_ONCE))
            points += page
            wanted = sorted({snapshot for point in page for _, snapshot in point.disks})
            snapshots += self._own.snapshots.list(ids=wanted) if wanted else ()
            plan = choose(
                instance=old,
                disks=disks,
                images=images,
                family=self._rule.image_family,
                points=points,
                snapshots=snapshots,
                operation=self._work.operation.id,
                now=self._now(),
            )
            if isinstance(plan, Replacement) or len(page) < POINTS_AT_ONCE:
                break
        if isinstance(plan, Missing):
            return self.escalate("; ".join(plan.because))
        self._work.learn(self._new(CHOOSE, plan=codec.dump(plan)))
        return None

    def _fence(self) -> Outcome | None:
        """Stop it by force until it reads Stopped. Unknown is never yes."""
        step, now = self._step(FENCE), self._now()
        if step is None or step.state is StepState.FAILED:
            attempt = 1 if step is None else step.attempt + 1
            step = intended(FENCE, "", now, attempt=attempt)
            self._work.intend(step)
        old = instance_of(self._own.inventory, self._old)
        if old is None:
            return self.escalate(f"{self._old} vanished from the inventory while it was being fenced")
        if old.state is InstanceState.STOPPED:
            self._work.learn(done(step, now))
            return None
        # Counted from when a stop was really asked for: a run may die between its intention and the call.
        since = codec.instant(step.data.get("since", codec.moment(now)))
        if now - since > FENCE_LIMIT:
            return self.escalate(
                f"{self._old} was told to stop {int(FENCE_LIMIT.total_seconds())} s ago and still reads {old.state}: "
                "whether it serves is unknown, so no second one may take its part"
            )
        if self._stop_is_due(step, now) and self._stop():
            step = replace(step, data={**step.data, "sent": codec.moment(now)})
        self._work.learn(replace(step, data={**step.data, "since": codec.moment(since)}))
        return Resume(after=POLL, because=f"{self._old} is being stopped by force")

    def _drain(self) -> Outcome | None:
        balancer = self._rule.balancer
        if balancer is None:
            return None
        step = self._step(DRAIN)
        if step is None:
            # The weight is written down before it is taken away: after a crash only this remembers it.
            weight = next((one.weight for one in self._own.balancer.backends(balancer) if one.server == self._old), 0)
            step = intended(DRAIN, "", self._now(), data={"weight": str(weight or self._rule.weight)})
            self._work.intend(step)
        if any(one.server == self._old and one.weight for one in self._own.balancer.backends(balancer)):
            self._work.may_act()
            self._own.balancer.set_weight(balancer, self._old, weight=0)
        self._work.learn(done(step, self._now()))
        return None

    def _create(self) -> Outcome | None:
        plan, step = self._plan(), self._step(CREATE)
        if step is not None:
            # An earlier run meant to send: look for what came of it before sending again.
            made = tuple(self._own.inventory.instances(tags={OPERATION: operation_tag(self._work.operation.id)}))
            if len(made) > 1:
                return self.escalate(
                    f"{len(made)} instances carry this operation's tag: {', '.join(x.id for x in made)}"
                )
            if made:
                self._work.learn(done(step, self._now(), instance=made[0].id))
                return None
        if step is None or step.state is StepState.FAILED:
            attempt = 1 if step is None else step.attempt + 1
            step = intended(
                CREATE, token(self._work.operation.id, CREATE, attempt, codec.dump(plan)), self._now(), attempt=attempt
            )
            self._work.intend(step)
        self._work.may_act()
        try:
            made_id = self._own.instances.run(_request(plan), token=step.token)
        except QuotaReached as error:
            if step.attempt >= CREATE_ATTEMPTS:
                return self.escalate(f"no stock or quota after {step.attempt} attempts: {error}")
            self._work.learn(failed(step, self._now(), str(error)))
            return Resume(after=STOCK_PAUSE, because=f"no stock or quota (attempt {step.attempt}): {error}")
        self._work.learn(done(step, self._now(), instance=made_id))
        return Resume(after=POLL, because=f"{made_id} is being created")

    def _boot(self) -> Outcome | None:
        new = instance_of(self._own.inventory, self._replacement())
        if new is not None and new.state is InstanceState.RUNNING and new.private_address:
            data = sum(disk.kind is DiskKind.DATA for disk in self._own.inventory.disks(instance=new.id))
            if data != len(self._plan().data_disks):
                return self.escalate(f"{new.id} has {data} data disks, {len(self._plan().data_disks)} were asked for")
            self._work.learn(self._new(BOOT, address=new.private_address))
            return None
        state = new.state.value if new else "not listed yet"
        return self._within(CREATE, BOOT_LIMIT, POLL, f"{self._replacement()} is {state}")

    def _answer(self) -> Outcome | None:
        address = self._data(BOOT, "address")
        sight = self._own.services.answers(address, self._rule.port, timeout=PROBE_TIMEOUT)
        if sight is Sight.ANSWERED:
            self._work.learn(self._new(ANSWER))
            return None
        return self._within(BOOT, SERVE_LIMIT, PROMPT, f"{address}:{self._rule.port} is {sight}")

    def _attach(self) -> Outcome | None:
        """The last moment before two could serve: the old one must still read Stopped."""
        old = instance_of(self._own.inventory, self._old)
        if old is not None and old.state is not InstanceState.STOPPED:
            return self._fence_again(old)
        balancer = self._rule.balancer
        if balancer is not None:
            weight = int(self._data(DRAIN, "weight"))
            self._work.may_act()
            self._own.balancer.attach(balancer, self._replacement(), weight=weight)
        self._work.learn(self._new(ATTACH))
        return None

    def _serve(self) -> Outcome | None:
        balancer = self._rule.balancer
        health = Health.NORMAL if balancer is None else self._health(balancer)
        waited = self._now() - self._at(ATTACH)
        if health is Health.NORMAL or (health is Health.UNAVAILABLE and waited > NO_DATA_LIMIT):
            self._work.learn(self._new(SERVE, health=health.value))
            return None
        return self._within(ATTACH, SERVE_LIMIT, PROMPT, f"the balancer says {health} of {self._replacement()}")

    def _isolate(self) -> Outcome | None:
        self._work.may_act()
        self._own.instances.tag(
            [self._old], resource_type="instance", tags={ISOLATED: operation_tag(self._work.operation.id)}
        )
        if self._rule.balancer is not None:
            self._own.balancer.detach(self._rule.balancer, self._old)
        self._work.learn(self._new(ISOLATE))
        return None

    # smaller parts

    def _stop(self) -> bool:
        """Ask, also one that reads Stopping: the platform's own restart of a failed host looks like that. False when
        the cloud says that now is not the moment (it is starting, or a stop is under way): ask again soon."""
        self._work.may_act()
        try:
            self._own.instances.stop(self._old, force=True)
        except (Forbidden, NotFound, QuotaReached):
            raise
        except Permanent:
            return False
        return True

    def _made(self, instance: Instance) -> bool:
        return instance.tags.get(OPERATION) == operation_tag(self._work.operation.id)

    def _fence_again(self, old: Instance) -> Outcome:
        step = self._step(FENCE)
        assert step is not None
        if step.attempt >= FENCE_ATTEMPTS:
            return self.escalate(f"{old.id} was stopped {step.attempt} times and reads {old.state} again")
        self._work.learn(failed(step, self._now(), f"it reads {old.state} again"))
        return Resume(after=timedelta(seconds=1), because=f"{old.id} reads {old.state} again, it is fenced once more")

    def _within(self, since: str, limit: timedelta, after: timedelta, seen: str) -> Outcome:
        if self._now() - self._at(since) > limit:
            return self.escalate(f"{seen}, {int(limit.total_seconds())} s after {since}")
        return Resume(after=after, because=seen)

    def _stop_is_due(self, step: Step, now: datetime) -> bool:
        sent = step.data.get("sent")
        return sent is None or now - codec.instant(sent) >= STOP_AGAIN

    def _health(self, balancer: LoadBalancerId) -> Health:
        return self._own.balancer.health(balancer).get(self._replacement(), Health.UNAVAILABLE)

    def _find_rule(self, policy: Policy) -> RebuildRule:
        found = rule_named(policy, self._inputs["rule"])
        if found is None:
            raise BadInput(
                f"rebuild rule {self._inputs['rule']} is not in policy version {self._work.operation.policy}"
            )
        return found

    def _instance(self, id: InstanceId) -> Instance:
        found = instance_of(self._own.inventory, id)
        if found is None:
            raise Permanent(f"{id} is no longer in the inventory")
        return found

    def _now(self) -> datetime:
        return self._own.clock.now()

    def _new(self, name: str, **data: str) -> Step:
        return Step(name=name, state=StepState.DONE, at=self._now(), data=data)

    def _step(self, name: str) -> Step | None:
        return next((step for step in self._work.operation.steps if step.name == name), None)

    def _at(self, name: str) -> datetime:
        step = self._step(name)
        assert step is not None, name
        return step.at

    def _data(self, name: str, key: str) -> str:
        step = self._step(name)
        assert step is not None, name
        return step.data[key]

    def _plan(self) -> Replacement:
        return codec.load(Replacement, self._data(CHOOSE, "plan"))

    def _replacement(self) -> InstanceId:
        return InstanceId(self._data(CREATE, "instance"))


def rto(operation: Operation) -> Phases:
    """From the loss to service, by the journal. Fencing and draining belong to *create*: nothing else waits on them."""
    at = {step.name: step.at for step in operation.steps if step.state is StepState.DONE}
    ends = {"detect": operation.created}
    ends |= {
        phase: at[step]
        for phase, step in (
            ("decide", LOOK),
            ("create", CREATE),
            ("boot", ANSWER),
            ("attach", ATTACH),
            ("serve", SERVE),
        )
        if step in at
    }
    return Phases.between(REBUILD_PHASES, lost=codec.instant(operation.inputs["failed_at"]), ended=ends)


def _outcome(verdict: RebuildVerdict, now: datetime) -> Outcome:
    match verdict:
        case Wait(until=until, because=because, paused=paused):
            after = max(until - now, timedelta(seconds=1))
            return Resume(after=after, because=because, aside=because if paused else "")
        case Recovered(because=because):
            return Done(result={"outcome": "recovered", "because": because})
        case HandOver(zone=zone, because=because):
            # Not an end: what stays lost when the zone is back is a rebuild's business again.
            told = f"handed to failover: zone {zone} is lost"
            return Resume(after=PAUSED_LOOK, because=f"{told}: {because}", aside=told)
        case NotOurs(because=because) | Refuse(because=because):
            return Refused(because=because)
        case Rebuild():
            raise AssertionError("a rebuild goes on, it has no outcome yet")


def _request(plan: Replacement) -> InstanceRequest:
    """No private address: the old one is kept and still holds it."""
    return InstanceRequest(
        image=ImageId(plan.image),
        instance_type=plan.instance_type,
        zone=plan.zone,
        vswitch=plan.vswitch,
        security_groups=plan.security_groups,
        name=plan.name,
        system_disk_category=plan.system_disk_category,
        host_name=plan.host_name,
        key_pair=plan.key_pair,
        data_disks=tuple(
            DataDiskRequest(
                snapshot=disk.snapshot,
                category=disk.category,
                device=disk.device,
                delete_with_instance=disk.delete_with_instance,
            )
            for disk in plan.data_disks
        ),
        tags=plan.tags,
    )
