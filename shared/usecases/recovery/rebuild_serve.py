"""The new machine of a rebuild takes the part over: our own eyes first, then traffic, then the balancers' eyes; and the
old one is isolated, never deleted.
"""

from datetime import timedelta
from typing import Final

from shared.domain.errors import Busy, Forbidden, NotFound, Permanent
from shared.domain.inventory import InstanceState
from shared.domain.operation import Step, StepState
from shared.domain.provenance import operation_tag, token
from shared.domain.rebuild import ISOLATED
from shared.ports.balancer import Health
from shared.ports.probes import Sight
from shared.usecases.operations import Outcome
from shared.usecases.recovery.look import PROBE_TIMEOUT
from shared.usecases.recovery.rebuild_fence import fence_again
from shared.usecases.recovery.rebuild_run import ANSWER, ATTACH, BOOT, DISKS, ISOLATE, LEAVE, POLL, PROMPT, SERVE, Run

PUBLIC_TAKES: Final = timedelta(seconds=6)
"""A public address is associated within seconds (assumption)."""
AFTER_JOIN: Final = timedelta(seconds=3)
"""Its scaling group has given it to the balancers some seconds before that was seen."""
SERVE_LIMIT: Final = timedelta(minutes=5)
TRAFFIC_LIMIT: Final = timedelta(minutes=10)
"""Longer than a tick: a run may die before it has asked for what it waits for."""
STOPPED_LIMIT: Final = timedelta(minutes=10)
STOPS: Final = timedelta(seconds=10)
NO_DATA_LIMIT: Final = timedelta(minutes=1)
"""How long a balancer may say nothing about a server before our own probe has to be enough."""


def answer(run: Run) -> Outcome | None:
    address = run.data(BOOT, "address")
    sight = run.own.services.answers(address, run.rule.port, timeout=PROBE_TIMEOUT)
    if sight is Sight.ANSWERED:
        run.finish(ANSWER)
        return None
    return run.within(run.at(DISKS), SERVE_LIMIT, PROMPT, f"{address}:{run.rule.port} is {sight}", what="boot")


def attach(run: Run) -> Outcome | None:
    """The last moment before two could serve: the old one must still read Stopped."""
    old = run.seen(run.old)
    if old is not None and old.state is not InstanceState.STOPPED:
        return fence_again(run, old)
    for backend in run.plan.backends:
        run.work.may_act()
        run.looked()
        run.own.balancer.attach(backend.balancer, run.replacement, weight=backend.weight)
    for allocation in run.plan.public:
        try:
            _associate(run, allocation)
        except (Forbidden, NotFound):
            raise
        except (Busy, Permanent):
            continue  # it is not free yet, or somebody gave it to another one: the next step looks
    run.finish(ATTACH)
    if run.plan.backends or run.plan.public:
        after = PUBLIC_TAKES if run.plan.public else AFTER_JOIN if run.plan.group else POLL
        return run.again(after, f"{run.replacement} is given its traffic")
    return None


def serve(run: Run) -> Outcome | None:
    """Read back: the balancers find it healthy, its weights are the recorded ones, its public addresses are its own."""
    waits = []
    waited = run.now() - run.at(ATTACH)
    step = run.step(SERVE)
    well = set(step.data["well"].split()) if step is not None else set()
    for backend in run.plan.backends:
        if backend.balancer in well:
            continue
        run.looked()
        health = run.own.balancer.health(backend.balancer).get(run.replacement, Health.UNAVAILABLE)
        if not (health is Health.NORMAL or (health is Health.UNAVAILABLE and waited > NO_DATA_LIMIT)):
            waits.append(f"{backend.balancer} says {health} of {run.replacement}")
            continue
        pool = {one.server: one.weight for one in run.pool(backend.balancer)}
        if pool.get(run.replacement) != backend.weight:
            run.work.may_act()
            run.own.balancer.attach(backend.balancer, run.replacement, weight=backend.weight)
            waits.append(f"weight {pool.get(run.replacement)} in {backend.balancer} is set to {backend.weight}")
            continue
        well.add(backend.balancer)
    waits += _move_public(run)
    if waits:
        run.work.learn(Step(name=SERVE, state=StepState.INTENDED, at=run.now(), data={"well": " ".join(sorted(well))}))
        return run.within(run.at(ATTACH), TRAFFIC_LIMIT, run.next_look, ", ".join(waits), what=ATTACH)
    run.finish(SERVE)
    return None


def _move_public(run: Run) -> list[str]:
    """One step of each public address towards the new one; what is not there yet. A gap cannot be avoided."""
    waits: list[str] = []
    if not run.plan.public:
        return waits
    run.looked()
    for one in run.own.addresses.find(run.plan.public):
        if one.instance == run.replacement and one.state == "inuse":
            continue
        waits.append(f"public address {one.address} is {one.state}")
        if one.state == "inuse" and one.instance == run.old:
            run.work.may_act()
            signed = token(run.work.operation.id, "unassociate", 1, one.allocation)
            run.own.addresses.unassociate(one.allocation, run.old, token=signed)
        elif one.state == "available":
            _associate(run, one.allocation)
        elif one.state == "inuse":
            waits[-1] = ""  # somebody gave it to another one meanwhile: theirs now
    return [one for one in waits if one]


def _associate(run: Run, allocation: str) -> None:
    run.work.may_act()
    signed = token(run.work.operation.id, "associate", 1, allocation, run.replacement)
    run.own.addresses.associate(allocation, run.replacement, token=signed)


def isolate(run: Run) -> Outcome | None:
    """Stopped for certain, once more: the platform, or somebody, may have started it since traffic was given."""
    (old,) = run.instances(run.old)
    if old is not None and old.state is not InstanceState.STOPPED:
        if old.state is InstanceState.RUNNING:
            run.work.may_act()
            run.own.compute.instances.stop(run.old, force=True)
        return run.within(run.at(LEAVE), STOPPED_LIMIT, STOPS, f"{run.old} reads {old.state} again", what=LEAVE)
    run.work.may_act()
    run.own.compute.instances.tag(
        [run.old], resource_type="instance", tags={ISOLATED: operation_tag(run.work.operation.id)}
    )
    for backend in run.plan.backends:
        if any(one.server == run.old for one in run.pool(backend.balancer)):
            run.work.may_act()
            run.own.balancer.detach(backend.balancer, run.old)
    run.finish(ISOLATE)
    return None
