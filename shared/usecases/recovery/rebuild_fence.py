"""The old machine of a rebuild: taken out of traffic, stopped for certain, and its address taken off it.

Only a machine that reads Stopped cannot serve beside its successor. Unknown is never yes.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import Forbidden, NotFound, Permanent, QuotaReached
from shared.domain.inventory import Instance, InstanceState
from shared.domain.operation import Step, StepState
from shared.state import codec
from shared.usecases.operations import Outcome, Resume, done, failed, intended
from shared.usecases.recovery.rebuild_run import DRAIN, FENCE, FREE, POLL, Run

FIRST_LOOK: Final = timedelta(seconds=10)
"""A forced stop takes 10-40 s on a healthy host (assumption)."""
STOP_AGAIN: Final = timedelta(seconds=60)
"""Longer than a stop takes: one of a failed host begins anew when it is asked for again (assumption)."""
GRACE: Final = timedelta(minutes=2)
"""One that was asked to be replaced may end its work; then it is stopped by force."""
FENCE_LIMIT: Final = timedelta(minutes=5)
"""Beyond this the host does not obey."""
FENCE_ATTEMPTS: Final = 3
MOVE_LIMIT: Final = timedelta(minutes=1)
"""After this the old one keeps its address, and the new one gets another."""


def fence(run: Run) -> Outcome | None:
    step, now = run.step(FENCE), run.now()
    fresh = step is None or step.state is StepState.FAILED
    if step is None or step.state is StepState.FAILED:
        attempt = 1 if step is None else step.attempt + 1
        step = intended(FENCE, "", now, attempt=attempt)
        run.work.intend(step)
    (old,) = (run.seen(run.old),) if fresh else run.instances(run.old)
    if old is None:
        return run.escalate(f"{run.old} vanished from the inventory while it was being fenced")
    if old.state is InstanceState.STOPPED:
        run.work.learn(done(step, now))
        return None
    # Counted from when a stop was really asked for: a run may die between its intention and the call.
    since = codec.instant(step.data.get("since", codec.moment(now)))
    graceful = run.request is not None and now - since <= GRACE
    if now - since > FENCE_LIMIT:
        return run.escalate(
            f"{run.old} was told to stop {int(FENCE_LIMIT.total_seconds())} s ago and still reads {old.state}: "
            "whether it serves is unknown, so no second one may take its part"
        )
    asked = False
    if _is_due(step, now, graceful=graceful) and _stop(run, force=not graceful):
        asked = True
        step = replace(step, data={**step.data, "sent": codec.moment(now), "force": "" if graceful else "yes"})
    run.work.learn(replace(step, data={**step.data, "since": codec.moment(since)}))
    how = "asked to stop" if graceful else "being stopped by force"
    return run.again(FIRST_LOOK if asked else run.next_look, f"{run.old} is {how}")


def _is_due(step: Step, now: datetime, *, graceful: bool) -> bool:
    sent = step.data.get("sent")
    if sent is None or (not graceful and not step.data.get("force")):
        return True
    return not graceful and now - codec.instant(sent) >= STOP_AGAIN


def _stop(run: Run, *, force: bool) -> bool:
    """Ask, also one that reads Stopping: the platform's own restart of a failed host looks like that. False when the
    cloud says that now is not the moment (it is starting, or a stop is under way): ask again soon."""
    run.work.may_act()
    try:
        run.own.compute.instances.stop(run.old, force=force)
    except (Forbidden, NotFound, QuotaReached):
        raise
    except Permanent:
        return False
    return True


def fence_again(run: Run, old: Instance) -> Outcome:
    """It runs again, just before its successor would have got traffic."""
    step = run.step(FENCE)
    assert step is not None
    if step.attempt >= FENCE_ATTEMPTS:
        return run.escalate(f"{old.id} was stopped {step.attempt} times and reads {old.state} again")
    run.work.learn(failed(step, run.now(), f"it reads {old.state} again"))
    return Resume(after=timedelta(seconds=1), because=f"{old.id} reads {old.state} again, it is fenced once more")


def drain(run: Run) -> Outcome | None:
    """Its weights are in the plan: after a crash only that remembers them."""
    for backend in run.plan.backends:
        if any(one.server == run.old and one.weight for one in run.pool(backend.balancer)):
            run.work.may_act()
            run.pools.pop(backend.balancer)
            run.own.balancer.set_weight(backend.balancer, run.old, weight=0)
    run.finish(DRAIN)
    return None


def free(run: Run) -> Outcome | None:
    """Its private address is moved off it. A cloud that refuses that is no reason to serve nobody."""
    plan, step = run.plan, run.step(FREE)
    if not plan.keeps_address:
        run.finish(FREE)
        return None
    if step is None:
        # A move has no token: what decides after a lost answer is the address that it reads.
        step = intended(FREE, "", run.now())
        run.work.intend(step)
        old = run.seen(run.old)
    else:
        (old,) = run.instances(run.old)
    if old is None or old.state is not InstanceState.STOPPED:
        return run.again(POLL, f"{run.old} does not read Stopped") if old else run.escalate(f"{run.old} vanished")
    if old.private_address == plan.address:
        # Counted from when it was really asked for: a run may die between its intention and the call.
        sent = codec.instant(step.data.get("sent", codec.moment(run.now())))
        if run.now() - sent > MOVE_LIMIT:
            run.work.learn(done(step, run.now(), kept="the move did not show in time"))
            return None
        run.work.may_act()
        refused = ""
        try:
            run.own.compute.instances.move_address(run.old, vswitch=plan.vswitch)
        except (Forbidden, NotFound):
            raise
        except Permanent as error:
            refused = str(error)
        # Not read back when the cloud took it: that the new one is given the address proves that it is free.
        said = {"kept": refused} if refused else {"moved": "asked for"}
        run.work.learn(done(step, run.now(), **said))
        return None
    run.work.learn(done(step, run.now(), moved=old.private_address))
    return None
