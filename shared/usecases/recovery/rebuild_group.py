"""The scaling group of a rebuild's old machine: that steps aside before its group replaces it by itself, and its
successor takes the place. What to do next is `shared.domain.group_plan`'s word; here it is asked, done and read back.

| call | token | what decides after a lost answer |
|---|---|---|
| EnterStandby, ExitStandby, AttachInstances | operation, step, try | the member's state in the group |
| DetachInstances | none; the intention is journalled | whether it is still a member |
| ModifyScalingGroup (MaxSize) | none | the group's maximum |
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain.errors import Conflict
from shared.domain.group_plan import SERVING, Before, Do, Move, before, step_aside, step_back, swap
from shared.domain.ids import InstanceId, LoadBalancerId
from shared.domain.inventory import InstanceState
from shared.domain.operation import Step
from shared.domain.provenance import token
from shared.ports.scaling import Membership, ScalingGroup
from shared.state import codec
from shared.usecases.operations import Outcome, done, intended
from shared.usecases.recovery.rebuild_fence import fence_again
from shared.usecases.recovery.rebuild_run import JOIN, LEAVE, LOOK, POLL, SET_ASIDE, STANDBY, Run

GROUP_LIMIT: Final = timedelta(minutes=10)
"""A group takes one activity at a time, and a launch of its own may come first."""
ATTACHING: Final = timedelta(seconds=15)
"""An attachment takes 5-15 s (assumption); before that nothing is concluded from its not showing."""
JOINING_LOOK: Final = timedelta(seconds=4)
EVER: Final = "2000-01-01T00:00:00Z"
BACK: Final = "back"


def aside(run: Run) -> Outcome | None:
    """On standby the group looks after its health no more. Its weights are written down first: standby takes them."""
    if run.is_done(STANDBY):
        return None
    step = run.step(STANDBY)
    if step is None and run.has_chosen and not run.plan.group:
        run.finish(STANDBY)  # it was read moments ago, and is in no group
        return None
    member, group = _read(run, run.old)
    if step is None:
        if member is None:
            run.finish(STANDBY)
            return None
        data = {"group": member.group, "weights": codec.dump(weights_of(run))}
        if group is not None:
            data["was"] = codec.dump(before(group, member))
        if not run.is_done(LOOK):
            # Nothing else tells the next attempt of it, should this one stop before it begins.
            run.tell(SET_ASIDE, (f"it fails: it is put on standby in scaling group {member.group}",), acted=True)
        step = intended(STANDBY, token(run.work.operation.id, STANDBY, 1, member.group), run.now(), data=data)
        run.work.intend(step)
    if member is None:
        # It was too late: the group let it go. While it is judged, whether its place was filled decides.
        run.forget(STANDBY)
        if not run.is_done(LOOK):
            return run.again(POLL, f"scaling group {step.data['group']} let it go")
        run.finish(STANDBY)
        return None
    move = step_aside(group, member)
    match move.do:
        case Do.NOTHING:
            run.work.learn(done(step, run.now()))
            return None
        case Do.ENTER_STANDBY:
            run.work.may_act()
            run.own.scaling.enter_standby(step.data["group"], [run.old], token=step.token)
            if (now := _read(run, run.old)[0]) is not None and now.on_standby:
                run.work.learn(done(step, run.now()))
                return None
        case Do.OPERATOR:
            return run.escalate(f"{run.old}: {move.because}")
        case _:
            pass
    return run.within(step.at, GROUP_LIMIT, POLL, f"scaling group {step.data['group']}: {move.because}", what=STANDBY)


def back(run: Run) -> Outcome | None:
    """It was held aside and is not lost after all: in service again, with the weights that it had."""
    held = run.step(STANDBY)
    if held is None or "group" not in held.data or run.is_done(BACK):
        return None
    step = run.step(BACK)
    if step is None:
        step = intended(BACK, token(run.work.operation.id, BACK, 1, held.data["group"]), run.now())
        run.work.intend(step)
    member, group = _read(run, run.old)
    old = run.seen(run.old)
    runs = old is not None and old.state is InstanceState.RUNNING
    move = step_back(group, member, runs=runs)
    match move.do:
        case Do.NOTHING:
            for balancer, weight in weights_then(run).items():
                run.work.may_act()
                run.own.balancer.attach(balancer, run.old, weight=weight)
            run.work.learn(done(step, run.now()))
            return None
        case Do.EXIT_STANDBY:
            run.work.may_act()
            run.own.scaling.exit_standby(held.data["group"], [run.old], token=step.token)
        case Do.OPERATOR:
            return run.escalate(f"{run.old} runs again, but {move.because}")
        case _:
            pass
    return run.within(step.at, GROUP_LIMIT, POLL, f"scaling group {held.data['group']}: {move.because}", what=BACK)


def join(run: Run) -> Outcome | None:
    """The successor becomes a member beside the old one, or in place of it where there is no room. The old one must
    still read Stopped: the group gives its successor traffic."""
    if not _is_in_group(run):
        run.finish(JOIN)
        return None
    step = run.step(JOIN)
    if step is None or "attached" not in step.data:
        old = run.seen(run.old)
        if old is not None and old.state is not InstanceState.STOPPED:
            return fence_again(run, old)
    return _swap(run, JOIN)


def leave(run: Run) -> Outcome | None:
    """The old one is let go, and every bound is as it was. Nobody waits for this: the new one serves."""
    if not _is_in_group(run):
        run.finish(LEAVE)
        return None
    return _swap(run, LEAVE)


def _is_in_group(run: Run) -> bool:
    held = run.step(STANDBY)
    return held is not None and "group" in held.data


Members = Mapping[InstanceId, Membership]


def _swap(run: Run, name: str, seen: tuple[Members, ScalingGroup] | None = None) -> Outcome | None:
    """`seen`: who is a member now, and the group as it is, where that is known."""
    held, step = run.step(STANDBY), run.step(name)
    assert held is not None
    if step is None:
        step = intended(name, "", run.now(), data={"tries": "0"})
        run.work.intend(step)
    group_id = held.data["group"]
    if "was" not in held.data:
        return run.escalate(
            f"scaling group {group_id} was not shown when its member failed: attach the new one by hand"
        )
    if seen is None:
        run.looked()
    members = seen[0] if seen else run.own.scaling.memberships([run.old, run.replacement])
    new = _of(members.get(run.replacement), group_id)
    if name == JOIN and new is not None and new.state in SERVING:
        run.work.learn(done(step, run.now()))
        return None
    if name == JOIN and run.now() - codec.instant(step.data.get("attached", EVER)) < ATTACHING:
        return run.again(max(run.next_look, JOINING_LOOK), f"scaling group {group_id} is attaching {run.replacement}")
    joined = run.step(JOIN)
    if seen is None:
        run.looked()
    group = seen[1] if seen else run.own.scaling.groups([group_id]).get(group_id)
    move = swap(
        codec.load(Before, held.data["was"]),
        group,
        old=_of(members.get(run.old), group_id),
        new=new,
        we_let_go="let_go" in step.data or (joined is not None and "let_go" in joined.data),
    )
    if move.do is Do.NOTHING:
        run.work.learn(done(step, run.now()))
        return None
    if move.do in (Do.OPERATOR, Do.STAY_OUT):
        return run.escalate(f"scaling group {group_id}: {move.because}; the new one is {run.replacement}")
    if move.do is not Do.WAIT:
        step = _take(run, step, group_id, move)
        run.work.learn(step)
        if move.do is Do.WIDEN and group is not None:
            return _swap(run, name, (members, replace(group, most=move.size)))  # if it is not so, it refuses the next
        if move.do is Do.NARROW:
            return _swap(run, name)
    return run.within(step.at, GROUP_LIMIT, POLL, f"scaling group {group_id}: {move.because}", what=name)


def _take(run: Run, step: Step, group: str, move: Move) -> Step:
    tries = int(step.data["tries"]) + 1
    more = {"tries": str(tries), **({"let_go": "yes"} if move.do is Do.DETACH else {})}
    if move.do is Do.ATTACH:
        more["attached"] = codec.moment(run.now())
    step = replace(step, data={**step.data, **more})
    run.work.intend(step)
    signed = token(run.work.operation.id, step.name, tries, move.do.value)
    run.work.may_act()
    match move.do:
        case Do.WIDEN | Do.NARROW:
            run.own.scaling.set_maximum(group, move.size)
            _still_ours(run, step, group, move)
        case Do.ATTACH:
            run.own.scaling.attach(group, [run.replacement], entrusted=move.entrusted, token=signed)
        case Do.DETACH:
            run.own.scaling.detach(group, [run.old], decrease=move.decrease, token=signed)
        case _:
            raise AssertionError(f"{move.do} is no move of a swap")
    return step


def _still_ours(run: Run, step: Step, group: str, move: Move) -> None:
    """The cloud takes a maximum from whoever sends it, also from one that froze while another one finished the swap.
    Who finds that out by its journal takes back what it raised."""
    try:
        run.work.intend(step)
    except Conflict:
        found = run.own.scaling.groups([group]).get(group)
        if move.do is Do.WIDEN and found is not None and found.most == move.size and found.total < move.size:
            run.own.scaling.set_maximum(group, move.size - 1)
        raise


def weights_of(run: Run) -> dict[LoadBalancerId, int]:
    """Of the old one, wherever it has one."""
    found: dict[LoadBalancerId, int] = {}
    for balancer in run.own.balancer.of(run.old):
        pool = run.own.balancer.backends(balancer)
        found[balancer] = next((one.weight for one in pool if one.server == run.old), 0)
    return found


def weights_then(run: Run) -> dict[LoadBalancerId, int]:
    """As they were before it was put on standby; nothing when it was not."""
    held = run.step(STANDBY)
    return (
        {}
        if held is None or "weights" not in held.data
        else codec.load(dict[LoadBalancerId, int], held.data["weights"])
    )


def _read(run: Run, instance: InstanceId) -> tuple[Membership | None, ScalingGroup | None]:
    member = run.own.scaling.memberships([instance]).get(instance)
    if member is None:
        return None, None
    found: Mapping[str, ScalingGroup] = run.own.scaling.groups([member.group])
    return member, found.get(member.group)


def _of(member: Membership | None, group: str) -> Membership | None:
    return member if member is not None and member.group == group else None
