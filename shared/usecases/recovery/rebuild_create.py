"""The new machine of a rebuild: bought in the first place that has one, booted, and given the disks of the old one.

A place without stock shows in two forms: the order is refused, or it is accepted and the instance is gone a moment
later. Each means the next candidate, under a new token.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain.errors import AddressTaken, NoStock, QuotaReached
from shared.domain.ids import DiskId
from shared.domain.inventory import DiskKind, InstanceState
from shared.domain.operation import Step, StepState
from shared.domain.provenance import OPERATION, operation_tag, token
from shared.ports.probes import Sight
from shared.state import codec
from shared.usecases.operations import Outcome, Resume, done, failed, intended
from shared.usecases.recovery.look import PROBE_TIMEOUT
from shared.usecases.recovery.rebuild_choose import request_of
from shared.usecases.recovery.rebuild_run import BOOT, CREATE, DISKS, FREE, POLL, PROMPT, RELEASE, Run

ROUNDS: Final = 3
"""All candidates are tried so often, with a pause in between, before an operator is asked."""
STOCK_PAUSE: Final = timedelta(seconds=30)
ADDRESS_PATIENCE: Final = timedelta(minutes=1)
"""How long a released address may be held back (unverified). After it the new one gets another."""
ADDRESS_AGAIN: Final = timedelta(seconds=10)
FIRST_LOOK: Final = timedelta(seconds=20)
"""Pending, then Starting: about 25 s in all (assumption)."""
SILENT_LOOK: Final = timedelta(seconds=18)
"""Between looks at one that does not answer yet."""
BOOT_LIMIT: Final = timedelta(minutes=10)
LISTED_WITHIN: Final = timedelta(minutes=1)
"""A new instance may be missing from listings at first; after this it is gone for good."""
DELETED: Final = "SystemFailure.Delete"
"""Event of an order that came to nothing. Source: ECS system events, read 2021."""
DETACHED: Final = timedelta(seconds=60)
"""A detachment takes "about 1 minute". Source: ECS API, DetachDisk, read 2024."""
ATTACHED: Final = timedelta(seconds=5)
"""An attachment takes seconds (assumption)."""
DISKS_LIMIT: Final = timedelta(minutes=10)
"""Counted from when the new one runs. Longer than a tick: a run may die before it has asked for anything."""


def create(run: Run) -> Outcome | None:
    step = run.step(CREATE)
    if step is not None:
        # An earlier run sent, or meant to: look for what came of it before sending again.
        mine = operation_tag(run.work.operation.id)
        made = tuple(run.own.compute.inventory.instances(tags={OPERATION: mine}))
        if len(made) > 1:
            return run.escalate(f"{len(made)} instances carry this operation's tag: {', '.join(x.id for x in made)}")
        if made:
            run.work.learn(done(step, run.now(), instance=made[0].id))
            return None
    return _order(run, step)


def _order(run: Run, step: Step | None) -> Outcome | None:
    plan = run.plan
    if step is None or step.state is StepState.FAILED:
        step = _next_attempt(run, step)
        run.work.intend(step)
    one = plan.candidates[int(step.data["candidate"])]
    address = plan.address if step.data["address"] else ""
    user_data = run.own.compute.instances.setup(run.old).user_data if plan.user_data else ""
    run.work.may_act()
    try:
        made_id = run.own.compute.instances.run(
            request_of(plan, one, address=address, user_data=user_data), token=step.token
        )
    except AddressTaken as error:
        return _address_taken(run, step, error)
    except QuotaReached as error:
        return _no_stock(run, step, error)
    run.work.learn(done(step, run.now(), instance=made_id))
    return None


def _next_attempt(run: Run, last: Step | None) -> Step:
    """The next candidate, from the first one on. Each attempt has a token of its own: one that was refused stays so."""
    attempt = 1 if last is None else last.attempt + 1
    candidate = 0 if last is None else int(last.data["next"])
    one = run.plan.candidates[candidate]
    freed = run.step(FREE)
    keeps = one.keeps_address and freed is not None and "moved" in freed.data
    keeps = keeps and not (last is not None and "address_lost" in last.data)
    kept = {} if last is None else {key: value for key, value in last.data.items() if key in CARRIED}
    data = {**kept, "candidate": str(candidate), "address": "keep" if keeps else ""}
    signed = token(run.work.operation.id, CREATE, attempt, codec.dump(run.plan), str(candidate), data["address"])
    return intended(CREATE, signed, run.now(), attempt=attempt, data=data)


CARRIED: Final = ("address_lost", "taken_since", "round")
"""What one attempt leaves to the next."""


def _address_taken(run: Run, step: Step, error: AddressTaken) -> Outcome:
    since = codec.instant(step.data.get("taken_since", codec.moment(run.now())))
    more = {"taken_since": codec.moment(since), "next": step.data["candidate"]}
    if run.now() - since >= ADDRESS_PATIENCE:
        more["address_lost"] = str(error)
    run.work.learn(failed(replace(step, data={**step.data, **more}), run.now(), str(error)))
    after = timedelta(seconds=1) if "address_lost" in more else ADDRESS_AGAIN
    return Resume(after=after, because=f"{run.plan.address} is not free yet: {error}")


def _no_stock(run: Run, step: Step, error: QuotaReached) -> Outcome | None:
    """The next candidate at once; a pause when all were tried. A quota is the same everywhere, so it counts as all."""
    following = int(step.data["candidate"]) + 1
    tried = int(step.data.get("round", "1"))
    last = following >= len(run.plan.candidates) or not isinstance(error, NoStock)
    if last and tried >= ROUNDS:
        return run.escalate(f"no stock or quota after {step.attempt} attempts: {error}")
    more = {"next": "0" if last else str(following), "round": str(tried + last)}
    run.work.learn(failed(replace(step, data={**step.data, **more}), run.now(), str(error)))
    if last:
        return Resume(after=STOCK_PAUSE, because=f"no stock or quota (attempt {step.attempt}): {error}")
    return _order(run, run.step(CREATE))


def release(run: Run) -> Outcome | None:
    """What the old one gives away starts moving while the new one boots: disks take the longest of all."""
    begun = run.step(RELEASE) is not None
    if not begun:
        run.work.intend(intended(RELEASE, "", run.now()))
    if run.moves_disks:
        ids = [one.disk for one in run.plan.moved]
        # Twice does no harm, but a call is a call: after a crash look first.
        on_old = _on(run, ids) if begun else set(ids)
        for disk in ids:
            if disk in on_old:
                run.work.may_act()
                run.own.compute.disks.detach(run.old, disk)
    held = run.own.addresses.find(run.plan.public) if begun else ()
    still = {one.allocation for one in held if one.instance == run.old and one.state == "inuse"}
    for allocation in run.plan.public:
        if not begun or allocation in still:
            run.work.may_act()
            run.own.addresses.unassociate(
                allocation, run.old, token=token(run.work.operation.id, RELEASE, 1, allocation)
            )
    run.finish(RELEASE)
    return run.again(FIRST_LOOK, f"{run.replacement} is being created")


def _on(run: Run, disks: list[DiskId]) -> set[DiskId]:
    found = run.own.compute.inventory.disks(ids=disks)
    return {one.id for one in found if one.instance == run.old and one.state == "in_use"}


def boot(run: Run) -> Outcome | None:
    """Once its address is known its port is tried, which costs the cloud nothing: an answer means that a look will
    show it running. Without one it is looked at all the same, since it may wait for its disks."""
    step = run.step(BOOT)
    if step is None and run.data(CREATE, "address"):
        known = {"address": run.plan.address, "next": codec.moment(run.now() + SILENT_LOOK)}
        step = Step(name=BOOT, state=StepState.INTENDED, at=run.now(), data=known)
        run.work.learn(step)
    if step is not None and step.data["address"] and run.now() < codec.instant(step.data["next"]):
        sight = run.own.services.answers(step.data["address"], run.rule.port, timeout=PROBE_TIMEOUT)
        if sight is not Sight.ANSWERED:
            return run.again(PROMPT, f"{run.replacement} boots")
    new, _ = run.instances(run.replacement, run.old)
    if new is None:
        return _not_listed(run)
    if new.state is InstanceState.RUNNING and new.private_address:
        run.finish(BOOT, address=new.private_address)
        return None
    address = new.private_address or ""
    again, after = (SILENT_LOOK, PROMPT) if address else (run.next_look, run.next_look)
    known = {"listed": "yes", "address": address, "next": codec.moment(run.now() + again)}
    run.work.learn(Step(name=BOOT, state=StepState.INTENDED, at=run.now(), data=known))
    return run.within(run.at(CREATE), BOOT_LIMIT, after, f"{new.id} is {new.state}", what=CREATE)


def _not_listed(run: Run) -> Outcome:
    """Not listed yet, or gone: the second form of no stock."""
    created, boot_step = run.step(CREATE), run.step(BOOT)
    assert created is not None
    was_listed = boot_step is not None and "listed" in boot_step.data
    deleted = any(event.type == DELETED for event in run.own.compute.inventory.system_events(run.replacement))
    if not deleted and not was_listed and run.now() - created.at <= LISTED_WITHIN:
        return run.again(POLL, f"{run.replacement} is not listed yet")
    gone = NoStock(f"{run.replacement} was accepted and is gone again")
    vanished = replace(created, data={**created.data, "vanished": run.replacement})
    # Its successor must wait for everything again: what was learnt of the vanished one is nothing.
    run.forget(BOOT)
    outcome = _no_stock(run, vanished, gone)
    return outcome if outcome is not None else run.again(POLL, str(gone))


def disks(run: Run) -> Outcome | None:
    """Data disks that move are attached as soon as they are free; then what it has is counted."""
    if run.moves_disks:
        waits = _give_disks(run)
        if waits is not None:
            return waits
    wanted = len(run.plan.moved) if run.moves_disks else len(run.plan.restored)
    if not wanted:
        run.finish(DISKS)  # its image was chosen for bringing none either
        return None
    run.looked()
    found = [one for one in run.own.compute.inventory.disks(instance=run.replacement) if one.kind is DiskKind.DATA]
    if len(found) != wanted:
        return run.escalate(f"{run.replacement} has {len(found)} data disks, {wanted} were asked for")
    run.finish(DISKS)
    return None


def _give_disks(run: Run) -> Outcome | None:
    left = DETACHED - (run.now() - run.at(RELEASE))
    if left > timedelta(0) and run.step(DISKS) is None:
        run.work.learn(Step(name=DISKS, state=StepState.INTENDED, at=run.now()))
        return run.again(left, "the old one's data disks are being detached")
    run.looked()
    found = {one.id: one for one in run.own.compute.inventory.disks(ids=[one.disk for one in run.plan.moved])}
    waits = []
    asked = False
    for moved in run.plan.moved:
        disk = found.get(moved.disk)
        if disk is None:
            return run.escalate(f"data disk {moved.disk} is no longer in the inventory")
        if disk.instance == run.replacement and disk.state == "in_use":
            continue
        if disk.instance == run.old and disk.state == "in_use":
            run.work.may_act()
            run.own.compute.disks.detach(run.old, disk.id)
        elif disk.state == "available":
            run.work.may_act()
            run.own.compute.disks.attach(
                run.replacement, disk.id, device=moved.device, delete_with_instance=moved.delete_with_instance
            )
            asked = True
        elif disk.instance not in (None, run.old, run.replacement):
            return run.escalate(f"data disk {disk.id} was attached to {disk.instance} meanwhile")
        waits.append(f"{disk.id} is {disk.state}")
    if not waits:
        return None
    after = ATTACHED if asked else run.next_look
    return run.within(run.at(BOOT), DISKS_LIMIT, after, ", ".join(waits), what=BOOT)
