"""The attempt before this one, when it stopped and asked an operator: what it took off the old one is not seen there
any more (disks, addresses, weights, its place in a group), and what it made stands. The next attempt goes on from
there; by the world alone it would build a second one, without the data.

Found by the decision that is written before a rebuild first touches anything. What is in the world counts more than
what was written down: a disk that somebody attached elsewhere, or a weight that somebody set, is not taken back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from shared.domain.ids import InstanceId, LoadBalancerId, OperationId
from shared.domain.inventory import Disk, Instance, InstanceState
from shared.domain.operation import Operation, OperationState, Step, StepState
from shared.domain.provenance import OPERATION, operation_tag, token
from shared.domain.rebuild import ISOLATED, REPLACES
from shared.domain.replacement import Replacement, Seen
from shared.state import codec
from shared.usecases.operations import LOOK_AT, done, intended
from shared.usecases.recovery.look import BEGUN
from shared.usecases.recovery.rebuild_run import CHOOSE, CREATE, DISKS, FREE, RELEASE, SET_ASIDE, STANDBY, Ports, Run

COUNTS_FOR: Final = timedelta(days=7)
"""Older ones say nothing about how the old one ought to look today."""
NEWEST: Final = 100
OVER: Final = frozenset({"rebuild.replaced", "rebuild.filled", "rebuild.recovered"})
"""After these nothing of an earlier attempt is left to go on with."""
ADOPTED: Final = "adopted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    operation: Operation
    plan: Replacement

    def step(self, name: str) -> Step | None:
        return _step(self.operation, name)

    @property
    def weights(self) -> dict[LoadBalancerId, int]:
        return {one.balancer: one.weight for one in self.plan.backends}


def earlier(own: Ports, old: InstanceId, *, but: OperationId | None = None) -> Earlier | None:
    """The attempt before `but` that began and ended with a question."""
    found = _before(own, old, but, BEGUN)
    chosen = _step(found, CHOOSE)
    if found is None or chosen is None or "plan" not in chosen.data:
        return None
    return Earlier(operation=found, plan=codec.load(Replacement, chosen.data["plan"]))


def _before(own: Ports, old: InstanceId, but: OperationId | None, *events: str) -> Operation | None:
    for decision in own.decisions.of(old, newest=NEWEST):
        if decision.event in OVER or own.clock.now() - decision.at > COUNTS_FOR:
            return None
        id_ = decision.inputs.get("operation", "")
        if decision.event in events and id_ != but:
            found = own.journal.find(OperationId(id_))
            return found if found is not None and found.state is OperationState.NEEDS_OPERATOR else None
    return None


def _step(operation: Operation | None, name: str) -> Step | None:
    steps = () if operation is None else operation.steps
    return next((one for one in steps if one.name == name), None)


def left_behind(own: Ports, old: InstanceId, *, but: OperationId | None = None) -> list[Instance]:
    """Replacements of other attempts that still stand."""
    mine = operation_tag(but) if but is not None else ""
    found = own.compute.inventory.instances(tags={REPLACES: old})
    return [one for one in found if one.tags.get(OPERATION) != mine and ISOLATED not in one.tags]


def as_it_was(old: Instance, was: Earlier | None) -> Instance:
    """The old one with the address that the earlier attempt moved off it."""
    if was is None or was.step(FREE) is None or not was.plan.keeps_address or old.state is not InstanceState.STOPPED:
        return old
    return replace(old, private_address=was.plan.address)


def disks_of(own: Ports, old: InstanceId, was: Earlier | None, left: Sequence[Instance] = ()) -> tuple[Disk, ...]:
    """Those on the old one, and those that were taken off it and are nobody's now (or the replacement's), at the
    devices that they had."""
    there = tuple(own.compute.inventory.disks(instance=old))
    known = {one.id for one in there}
    gone = {one.disk: one for one in was.plan.moved if one.disk not in known} if was is not None else {}
    if not gone:
        return there
    near = {None, "", *(one.id for one in left)}
    floating = tuple(
        replace(one, instance=None, device=gone[one.id].device, delete_with_instance=gone[one.id].delete_with_instance)
        for one in own.compute.inventory.disks(ids=list(gone))
        if one.instance in near
    )
    return (*there, *floating)


def public_of(own: Ports, old: InstanceId, was: Earlier | None, left: Sequence[Instance] = ()) -> tuple[str, ...]:
    """Likewise of public addresses: allocations."""
    there = tuple(one.allocation for one in own.addresses.of(old))
    gone = [one for one in was.plan.public if one not in there] if was is not None else []
    if not gone:
        return there
    near = {None, "", *(one.id for one in left)}
    return (*there, *(one.allocation for one in own.addresses.find(gone) if one.instance in near))


def taken(run: Run) -> str:
    """What the earlier attempt took off the old one and nobody has; "" when it has everything."""
    was = earlier(run.own, run.old, but=run.work.operation.id)
    if was is None:
        return ""
    found: list[str] = [*(one.id for one in disks_of(run.own, run.old, was) if one.instance is None)]
    found += public_of(run.own, run.old, was)[len(tuple(run.own.addresses.of(run.old))) :]
    return ", ".join(found)


def adopts(was: Earlier | None, left: Sequence[Instance]) -> bool:
    """Whether what stands is the one replacement of the earlier attempt."""
    if was is None or len(left) != 1 or was.step(CREATE) is None:
        return False
    return left[0].tags.get(OPERATION) in (operation_tag(was.operation.id), was.plan.tags.get(OPERATION))


def adopted(was: Earlier, left: Instance, seen: Seen) -> Replacement:
    """The earlier plan, by which what stands was made, with what is found around it now."""
    note = f"{left.id} of {was.operation.id} stands and is given the part"
    return replace(
        was.plan, backends=seen.backends, public=seen.public, group=seen.group, adopts=left.id, notes=(note,)
    )


def take_over(run: Run, was: Earlier, left: Instance) -> None:
    """What the earlier attempt had got to; everything else is looked at anew."""
    made = was.step(CREATE)
    assert made is not None
    run.work.learn(
        Step(name=FREE, state=StepState.DONE, at=run.now(), data={ADOPTED: was.operation.id}),
        done(replace(made, token=""), run.now(), instance=left.id, **{ADOPTED: was.operation.id}),
        intended(RELEASE, "", run.now()),
        intended(DISKS, "", run.now()),
    )


def inherit_standby(run: Run) -> None:
    """It is on standby in its group since the earlier attempt put it there: whoever finds it well takes it back."""
    if run.step(STANDBY) is not None or LOOK_AT in run.work.operation.result:
        return
    held = _step(_before(run.own, run.old, run.work.operation.id, BEGUN, SET_ASIDE), STANDBY)
    if held is None or "group" not in held.data:
        return
    member = run.own.scaling.memberships([run.old]).get(run.old)
    if member is None or not member.on_standby or member.group != held.data["group"]:
        return
    signed = token(run.work.operation.id, STANDBY, 1, member.group)
    run.work.learn(intended(STANDBY, signed, run.now(), data=held.data))
