"""The first two steps of a rebuild: is it really lost, and what would its replacement be made of? Reads only.

All that can be missing is missed here, before the old one is touched: image, points, vSwitches, balancers by reading;
key pair, security groups, role and quota by rehearsing the order.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from types import MappingProxyType
from typing import Final

from shared.domain.errors import NoStock
from shared.domain.ids import ImageId, InstanceId, LoadBalancerId, OperationId
from shared.domain.inventory import Instance, InstanceState, Snapshot
from shared.domain.operation import Step, StepState
from shared.domain.policy import Policy, RebuildRule
from shared.domain.preview import token_of
from shared.domain.provenance import operation_tag
from shared.domain.rebuild import (
    ISOLATED,
    PAUSED_LOOK,
    Filled,
    HandOver,
    NotOurs,
    Rebuild,
    RebuildVerdict,
    Recovered,
    Refuse,
    Wait,
    failovers_business,
    judge,
    master_of,
)
from shared.domain.replacement import SICK_DISK, Backend, Candidate, Missing, Replacement, Seen, choose, with_image
from shared.domain.retention import RestorePoint
from shared.domain.selection import selects
from shared.ports.balancer import Backend as Member
from shared.ports.compute import DataDiskRequest, InstanceRequest
from shared.state import codec
from shared.state.zone_looks import ZoneLook
from shared.usecases.operations import ASIDE, Done, Outcome, Refused, Resume
from shared.usecases.recovery import rebuild_again, rebuild_group, rebuild_image
from shared.usecases.recovery.look import BEGUN, rule_subject
from shared.usecases.recovery.rebuild_run import CHOOSE, LOOK, Ports, Run
from shared.usecases.recovery.suspicion import USED_UP

POINTS_AT_ONCE: Final = 20
"""Restore points asked about in one go, newest first, until every data disk has a source."""
GROUP_LOOK: Final = timedelta(seconds=30)
ZONE_LOOK: Final = timedelta(minutes=2)
"""Between looks at a lost zone, however many of its instances wait for it."""
ZONE: Final = "zone"
"""Key in `Operation.result`: the lost zone that it waits for."""
HANDED_OVER: Final = "handed to failover"
TOLD: Final = "told"
"""Key in `Operation.result`: what was told last of why it waits."""


def take_look(run: Run) -> Outcome | None:
    rebuild_again.inherit_standby(run)
    if run.request is not None:
        return _look_at_the_asked(run)
    if USED_UP in run.inputs:
        return run.escalate(
            f"{run.inputs[USED_UP]} looks at {run.inputs['event']} ended without a rebuild, and it is still "
            f"lost: {run.work.operation.because}"
        )
    others = _word_of_another(run)
    if others is not None:
        return others
    view = run.own.look.at(run.old, run.rule, run.policy, run.work.operation, codec.instant(run.inputs["first_seen"]))
    if view.attached and view.instance is not None and view.instance.state is not InstanceState.RUNNING:
        # Before its group fills its place, and while it is not known yet whether it comes back by itself.
        run.remember(view.instance)
        waits = rebuild_group.aside(run)
        if waits is not None:
            return waits
    verdict = judge(run.rule, view)
    stood_aside = run.work.operation.result.get(ASIDE, "").startswith(HANDED_OVER)
    if stood_aside and not isinstance(verdict, HandOver) and view.instance is not None:
        _tell_of_zone(run, view.instance.zone, "zone.back", f"of {view.instance.zone} something answers again")
        _looked_at_zone(run, view.instance.zone, lost=False, because="something answers again")
    if not isinstance(verdict, Rebuild):
        lacks = rebuild_again.taken(run) if isinstance(verdict, Recovered) else ""
        if lacks:
            return run.escalate(f"it runs again, but an earlier attempt took {lacks} off it")
        if isinstance(verdict, Recovered | NotOurs):
            run.remember(view.instance)
            waits = rebuild_group.back(run)
            if waits is not None:
                return waits
        return _outcome(run, verdict)
    assert view.instance is not None
    run.remember(view.instance)
    sick = any(event.type.endswith(SICK_DISK) and event.finished is None for event in view.events)
    run.work.note(TOLD, None)
    run.finish(LOOK, because=verdict.because, state=view.instance.state.value, **({"sick": "yes"} if sick else {}))
    return None


def _look_at_the_asked(run: Run) -> Outcome | None:
    """Nobody doubts that it shall be replaced; only whether it is what the rule means, and whether now."""
    (instance,) = run.instances(run.old)
    because = unfit(instance, run.old, run.rule, run.policy)
    if because:
        return Refused(because=because)
    paused = run.own.look.paused()
    if paused:
        told = f"rebuilds are paused: {paused}"
        return Resume(after=PAUSED_LOOK, because=told, aside=told)
    assert instance is not None
    run.finish(LOOK, because=run.work.operation.because, state=instance.state.value)
    return None


def unfit(instance: Instance | None, id: InstanceId, rule: RebuildRule, policy: Policy) -> str:
    """Why it cannot be rebuilt by this rule when it is asked for; "" when it can."""
    if instance is None:
        return f"the inventory does not list {id}: it was released, or we may not see it"
    if ISOLATED in instance.tags:
        return f"it was already replaced (by {instance.tags[ISOLATED]}) and is kept in isolation"
    pair = master_of(policy, id)
    if pair:
        return failovers_business(pair)
    if not selects(rule.select, instance):
        return f"rebuild rule {rule.name} does not select {id}. Choose another rule, or mend its select"
    return ""


def take_choice(run: Run) -> Outcome | None:
    """Fixes image, snapshots and everything else once, so that every attempt asks for the same."""
    begun = run.step(CHOOSE)
    if begun is not None:
        return _with_system_image(run, codec.load(Replacement, begun.data["plan"]))
    plan = _choice(run)
    if not isinstance(plan, Replacement):
        return plan
    if plan.system_of:
        # Kept as it was confirmed: what is made for it does not make it another plan.
        run.work.learn(Step(name=CHOOSE, state=StepState.INTENDED, at=run.now(), data={"plan": codec.dump(plan)}))
        return _with_system_image(run, plan)
    _fix(run, plan)
    return None


def _with_system_image(run: Run, plan: Replacement) -> Outcome | None:
    """Or without it, by what is left: an older one of the family, or the points."""
    made = rebuild_image.make(run, plan)
    if isinstance(made, str):
        _fix(run, with_image(plan, made))
        return None
    if not isinstance(made, Refused):
        return made
    other = _choice(run, no_system=made.because)
    if not isinstance(other, Replacement):
        return other
    _fix(run, other)
    return None


def _choice(run: Run, *, no_system: str = "") -> Replacement | Outcome:
    """Of what is there now. `no_system`: why no image of a system disk alone can be made."""
    old = run.seen(run.old)
    if old is None:
        return run.escalate(f"{run.old} is no longer in the inventory")
    left = rebuild_again.left_behind(run.own, run.old, but=run.work.operation.id)
    was = rebuild_again.earlier(run.own, run.old, but=run.work.operation.id)
    goes_on = was is not None and rebuild_again.adopts(was, left)
    if left and not goes_on:
        return run.escalate(
            f"{', '.join(one.id for one in left)} of an earlier attempt is still there, a second would be too many"
        )
    step = run.step(LOOK)
    sick = step is not None and "sick" in step.data
    then = rebuild_group.weights_then(run)
    seen = gather(run.own, old, run.rule, sick=sick, then=then, pools=run.pools, was=was, left=left)
    if isinstance(seen, str):
        return Resume(after=GROUP_LOOK, because=seen)
    seen = replace(seen, no_system=no_system)
    plan = rebuild_again.adopted(was, left[0], seen) if was and goes_on else decide(run.own, seen, run.rule, run)
    if isinstance(plan, Missing):
        return run.escalate("; ".join(plan.because))
    changed = _changed(run, plan, old)
    if changed:
        return Refused(because=changed)
    if plan.adopts:
        assert was is not None
        rebuild_again.take_over(run, was, left[0])
    else:
        with suppress(NoStock):  # the other places may have some
            run.own.compute.instances.rehearse(request_of(plan, plan.candidates[0], user_data=seen.setup.user_data))
    return plan


def _fix(run: Run, plan: Replacement) -> None:
    # These stand before the first touch: by this one a later attempt finds what this one took off the old one ...
    run.tell(BEGUN, (run.data(LOOK, "because"),), acted=True)
    if run.request is None:  # ... and this one is counted by every later loss of the rule.
        run.tell(BEGUN, (run.data(LOOK, "because"),), subject=rule_subject(run.rule), acted=True)
    run.has_chosen = run.step(CHOOSE) is None
    run.finish(CHOOSE, plan=codec.dump(plan))


def gather(
    own: Ports,
    old: Instance,
    rule: RebuildRule,
    *,
    sick: bool = False,
    then: Mapping[LoadBalancerId, int] = MappingProxyType({}),
    pools: dict[LoadBalancerId, tuple[Member, ...]] | None = None,
    was: rebuild_again.Earlier | None = None,
    left: Sequence[Instance] = (),
) -> Seen | str:
    """Everything about the old one, each read once; a text: why to look again later. `then`: weights from before its
    scaling group took them. `pools`: where to keep what balancers were read. `was`: an earlier attempt, which had
    taken some of it off, and `left` what that left behind."""
    compute = own.compute
    member = own.scaling.memberships([old.id]).get(old.id)
    if member is not None and member.state.startswith("removing"):
        return f"scaling group {member.group} is removing it"
    before = {**(was.weights if was is not None else {}), **then}
    balancers = dict.fromkeys([*([rule.balancer] if rule.balancer else []), *own.balancer.of(old.id), *then])
    backends = []
    for balancer in balancers:
        pool = tuple(own.balancer.backends(balancer))
        if pools is not None:
            pools[balancer] = pool
        weight = then.get(balancer) or next((one.weight for one in pool if one.server == old.id), 0)
        weight = weight or before.get(balancer) or (rule.weight if balancer == rule.balancer else 0)
        backends.append(Backend(balancer=balancer, weight=weight))
    images = tuple(compute.images.list(family=rule.image_family))
    return Seen(
        instance=rebuild_again.as_it_was(old, was),
        disks=rebuild_again.disks_of(own, old.id, was, left),
        images=images,
        systems=rebuild_image.known(own, images, rule),
        points=(),
        snapshots=(),
        vswitches=tuple(compute.market.vswitches([old.vswitch, *(one.vswitch for one in rule.elsewhere)])),
        setup=compute.instances.setup(old.id),
        backends=tuple(backends),
        public=rebuild_again.public_of(own, old.id, was, left),
        group=member.group if member else "",
        sick_disks=sick,
    )


def decide(own: Ports, seen: Seen, rule: RebuildRule, run: Run | None = None) -> Replacement | Missing:
    """Reads restore points page by page until every data disk has a source, or there are no more."""
    points: list[RestorePoint] = []
    snapshots: list[Snapshot] = []
    rest = own.points.of(seen.instance.id)
    operation = run.work.operation.id if run is not None else OperationId(f"rebuild/{seen.instance.id}/asked")
    plan = choose(seen, rule, operation=operation, now=own.clock.now())
    if isinstance(plan, Replacement) and (not rule.elsewhere or not plan.moved):
        return plan  # no restore point is needed
    while True:
        page = tuple(islice(rest, POINTS_AT_ONCE))
        points += page
        wanted = sorted({snapshot for point in page for _, snapshot in point.disks})
        snapshots += own.compute.snapshots.list(ids=wanted) if wanted else ()
        known = replace(seen, points=tuple(points), snapshots=tuple(snapshots))
        plan = choose(known, rule, operation=operation, now=own.clock.now())
        if len(page) < POINTS_AT_ONCE or (isinstance(plan, Replacement) and plan.restored):
            return plan


def request_of(
    plan: Replacement, one: Candidate, *, address: str = "", user_data: str = "", image: ImageId | None = None
) -> InstanceRequest:
    return InstanceRequest(
        image=image or one.image,
        instance_type=one.instance_type,
        zone=one.zone,
        vswitch=one.vswitch,
        private_address=address or None,
        security_groups=plan.security_groups,
        name=plan.name,
        system_disk_category=plan.system_disk_category,
        system_disk_gib=plan.system_disk_gib,
        host_name=plan.host_name,
        key_pair=plan.key_pair,
        role=plan.role,
        user_data=user_data,
        data_disks=()
        if one.moves_disks
        else tuple(
            DataDiskRequest(
                snapshot=disk.snapshot,
                category=disk.category,
                device=disk.device,
                delete_with_instance=disk.delete_with_instance,
            )
            for disk in plan.restored
        ),
        tags=plan.tags,
    )


def words_of(plan: Replacement) -> tuple[str, ...]:
    """What an operator confirms, in the order of doing it."""
    first = plan.candidates[0]
    disks = (
        [f"data disk {one.disk} moves over" for one in plan.moved]
        if first.moves_disks
        else [f"data disk {one.disk} from {one.snapshot} of {codec.second(one.taken)}" for one in plan.restored]
    )
    image = f"image of the system disk alone, made of {plan.system_of}" if plan.system_of else f"image {first.image}"
    return (
        image,
        *(f"place {one.zone} {one.vswitch} {one.instance_type}" for one in plan.candidates),
        *disks,
        f"address {plan.address} is kept" if first.keeps_address else "new private address",
        *(f"public address {one} moves over" for one in plan.public),
        *(f"weight {one.weight} in {one.balancer}" for one in plan.backends),
        *([f"scaling group {plan.group}"] if plan.group else []),
        *([f"{plan.adopts} of an earlier attempt is used"] if plan.adopts else []),
    )


def plan_token(plan: Replacement) -> str:
    return token_of(plan.replaces, *words_of(plan))


def _changed(run: Run, plan: Replacement, old: Instance) -> str:
    if run.request is None or run.request.confirm in (old.id, old.name, plan_token(plan)):
        return ""
    return (
        f"what it would do is not what {run.request.confirm!r} confirmed. Now it is: {'; '.join(words_of(plan))}. "
        f"Look at `understudy rebuild {old.id}` again and confirm that, or type the instance's name"
    )


def _outcome(run: Run, verdict: RebuildVerdict) -> Outcome:
    match verdict:
        case Wait(until=until, because=because, paused=paused, told=worth_telling):
            after = max(until - run.now(), timedelta(seconds=1))
            if worth_telling:
                _tell_once(run, because)
            return Resume(after=after, because=because, aside=because if paused else "")
        case Filled(because=because):
            # Marked, or every tick would find it lost again.
            run.work.may_act()
            tags = {ISOLATED: operation_tag(run.work.operation.id)}
            run.own.compute.instances.tag([run.old], resource_type="instance", tags=tags)
            return Done(result={"outcome": "filled", "because": because})
        case Recovered(because=because):
            return Done(result={"outcome": "recovered", "because": because})
        case HandOver(zone=zone, because=because):
            # Not an end: what stays lost when the zone is back is a rebuild's business again.
            told = f"{HANDED_OVER}: zone {zone} is lost"
            _tell_of_zone(run, zone, "zone.lost", f"{told}: {because}")
            _looked_at_zone(run, zone, lost=True, because=because)
            run.work.note(ZONE, zone)
            return Resume(after=ZONE_LOOK, because=f"{told}: {because}", aside=told, told=True)
        case NotOurs(because=because) | Refuse(because=because):
            return Refused(because=because)
        case Rebuild():
            raise AssertionError("a rebuild goes on, it has no outcome yet")


def _word_of_another(run: Run) -> Outcome | None:
    """Of hundreds that wait for one zone, one looks; the others ask the store."""
    zone = run.work.operation.result.get(ZONE)
    last = run.own.zones.last(run.rule.name, zone) if zone is not None else None
    if zone is None or last is None or not last.lost or run.now() - last.at >= ZONE_LOOK:
        return None
    told = f"{HANDED_OVER}: zone {zone} is lost"
    after = max(last.at + ZONE_LOOK - run.now(), timedelta(seconds=1))
    return Resume(after=after, because=f"{told}: {last.because}", aside=told, told=True)


def _looked_at_zone(run: Run, zone: str, *, lost: bool, because: str) -> None:
    look = ZoneLook(at=run.now(), lost=lost, because=because)
    run.own.zones.put(run.rule.name, zone, look, by={"operation": run.work.operation.id, "instance": run.old})


def zone_subject(zone: str) -> str:
    """Under which its loss is told: once, however many of its instances are lost."""
    return f"zone {zone}"


def _tell_of_zone(run: Run, zone: str, event: str, because: str) -> None:
    """A change only: lost after back, back after lost."""
    subject = zone_subject(zone)
    last = next((one.event for one in run.own.decisions.of(subject, newest=1)), "zone.back")
    if last != event:
        run.tell(event, (because,), subject=subject)


def _tell_once(run: Run, because: str) -> None:
    """Numbers in it may change from look to look; the kind of wait is what counts."""
    kind = "".join(character for character in because if not character.isdigit())
    if run.work.operation.result.get(TOLD) != kind:
        run.tell("rebuild.waits", (because,))
        run.work.note(TOLD, kind)
