"""Every interruption of a plan of two waves: the process dies before or after each single call, its answer is lost,
it is never sent. In the end each child was opened once, the waves came in their order, and nothing is left open.

Also: triggers that come twice or never, and an executor that freezes before an effect and thaws when all is over.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.errors import OutcomeUnknown, Retryable
from shared.domain.ids import OperationId
from shared.domain.operation import OperationKind, OperationState
from shared.domain.policy import Selection
from tests.usecases.backup_world import Died
from tests.usecases.plan_world import APPS, DATA, WEB_1, PlanWorld, plan_policy
from tests.usecases.test_backup_interruptions import TROUBLES, Trouble, died_after, died_before

SMALL = plan_policy(DATA, replace(APPS, steps=(replace(APPS.steps[0], select=Selection(ids=(WEB_1,))),)))
READS_OF_THE_FLEET = frozenset({"balancer.health", "balancer.backends", "inventory.system_events"})
KINDS = (OperationKind.RESTORE, OperationKind.REBUILD)


def begun() -> tuple[PlanWorld, OperationId]:
    world = PlanWorld(SMALL)
    return world, world.run_plan()


def calls_of_an_undisturbed_run() -> range:
    world, run = begun()
    before = len(world.wire.labels)
    world.advance(minutes=4)  # without a tick: it goes on by its own invocations
    assert world.state(run) == "done"
    return range(before, len(world.wire.labels))


def stands(world: PlanWorld, run: OperationId, what: str) -> None:
    """Each child once, in order, all ended, and the plan through."""
    plan = world.operation(run)
    assert plan.state is OperationState.DONE, f"{what}: {plan.state} {plan.result}"
    restores, rebuilds = (world.operations(kind) for kind in KINDS)
    assert [one.subject for one in restores] == ["i-db"], what
    assert [one.subject for one in rebuilds] == [WEB_1], what
    assert {one.state for one in (*restores, *rebuilds)} == {OperationState.DONE}, what
    assert rebuilds[0].created >= restores[0].steps[0].at, f"{what}: applications before databases"
    assert world.open_operations() == 0, f"{what}: left open"
    assert world.cloud.ecs.instances["i-db"].tags["done-restore"] == restores[0].id, what


@pytest.mark.parametrize("half", [0, 1])
@TROUBLES
def test_a_plan_survives_every_interruption(trouble: Trouble, half: int, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = calls_of_an_undisturbed_run()[half::2]
    for at in numbers:
        world, run = begun()
        world.wire.trouble = trouble(world, at)
        world.run_recovery(minutes=16)
        struck = world.wire.labels[at]
        stands(world, run, f"{trouble.__name__} call {at} {struck}")
    with capsys.disabled():
        print(f"\n{trouble.__name__}: {len(numbers)} calls, each struck once")


# -- an operator in between --------------------------------------------------------------------------------------

ASKED = plan_policy(
    replace(DATA, approval=True), replace(APPS, steps=(replace(APPS.steps[0], select=Selection(ids=(WEB_1,))),))
)


def stopped_and_resumed(world: PlanWorld, token: str) -> OperationId:
    """Approved by one, stopped because its database's restore is refused, resumed by another."""
    world.ends["i-db"] = "refused"
    _until_it_goes(lambda: world.run_plan(confirm=token))
    (run,) = (one.id for one in world.operations(OperationKind.PLAN))
    world.advance(seconds=5)
    _until_it_goes(lambda: world.ask().approve(run, "data", by="bob", run="run"))
    world.run_recovery(minutes=11)
    world.ends.clear()
    _until_it_goes(lambda: world.ask().resume(run, without_failed=False, by="eve", run="run"))
    world.run_recovery(minutes=16)
    return run


def _until_it_goes(ask: Callable[[], Any]) -> None:
    """An operator whose command fails sends it again."""
    for _ in range(3):
        try:
            ask()
        except (Died, Retryable, OutcomeUnknown):
            continue
        return
    raise AssertionError("three times in vain")


@pytest.mark.timeout(300)  # a whole sweep
@pytest.mark.parametrize("trouble", [died_before, died_after])
def test_approval_stop_and_resumption_survive_interruptions(
    trouble: Trouble, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the calls one in four here; `python -m tests.simulation.plan_sweep` strikes all of them by every trouble."""
    struck = sweep_with_an_operator(trouble, every=4, first=TROUBLED.index(trouble))
    with capsys.disabled():
        print(f"\nwith an operator, {trouble.__name__}: {struck} calls, each struck once")


TROUBLED = (died_before, died_after)


def sweep_with_an_operator(trouble: Trouble, *, every: int = 1, first: int = 0) -> int:
    """How many calls were struck, each in a world of its own."""
    calm = PlanWorld(ASKED)
    token = calm.shown().token
    before = len(calm.wire.labels)
    stopped_and_resumed(calm, token)
    # Ticks look over the fleet all the while; what they do when nothing is open is not the plan's.
    numbers = [at for at in range(before, len(calm.wire.labels)) if calm.wire.labels[at] not in READS_OF_THE_FLEET]
    for at in numbers[first::every]:
        world = PlanWorld(ASKED)
        world.shown()
        world.wire.trouble = trouble(world, at)
        run = stopped_and_resumed(world, token)
        what = f"{trouble.__name__} call {at} {calm.wire.labels[at]}"

        plan = world.operation(run)
        assert plan.state is OperationState.DONE, f"{what}: {plan.state} {plan.result}"
        tried = world.operations(OperationKind.RESTORE)
        assert sorted(one.state.value for one in tried) == ["done", "refused"], what
        assert [one.state.value for one in world.operations(OperationKind.REBUILD)] == ["done"], what
        assert world.open_operations() == 0, what
        assert world.wave(run, "data").approved_by == "bob", what
    return len(numbers[first::every])


# -- triggers, and executors that freeze -------------------------------------------------------------------------


def test_a_plan_goes_on_by_the_tick_alone() -> None:
    world, run = begun()
    real = world.functions
    world.functions = NoQueue()  # every invocation is lost from now on
    try:
        world.run_recovery(hours=2)
    finally:
        world.functions = real
    stands(world, run, "without any invocation of its own")


class NoQueue:
    def invoke_async(self, *_: object, **__: object) -> None:
        raise Retryable("the queue is out")


def test_doubled_triggers_open_nothing_twice() -> None:
    world, run = begun()
    for _ in range(40):
        for one in (run, *world.children()):
            world.functions.invoke_async("recover", f'{{"operation": "{one}", "look": "now"}}'.encode())
        world.advance(seconds=7)
    world.run_recovery(minutes=10)
    stands(world, run, "every trigger many times")


EFFECTS = frozenset({"store.put", "store.update", "store.delete", "functions.invoke_async", "instances.tag"})


def test_an_executor_that_freezes_before_any_effect_and_thaws_when_all_is_over_does_no_harm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    calm, _ = begun()
    before = len(calm.wire.labels)
    calm.advance(minutes=4)
    numbers = [at for at in range(before, len(calm.wire.labels)) if calm.wire.labels[at] in EFFECTS]
    for at in numbers:
        world, run = begun()
        world.wire.trouble = frozen(world, at)
        world.run_recovery(minutes=30)
        stands(world, run, f"frozen before call {at} {calm.wire.labels[at]}")
    with capsys.disabled():
        print(f"\nfrozen before each of {len(numbers)} effects")


def frozen(world: PlanWorld, at: int) -> Callable[[int, str, bool], None]:
    def trouble(number: int, label: str, after: bool) -> None:
        if number == at and not after:
            world.wire.trouble = lambda number, label, after: None
            world.run_recovery(minutes=30)

    return trouble


def test_a_run_that_freezes_before_it_opens_a_child_begins_none_after_an_abort() -> None:
    """Between its last question and the journal's write an operator aborts: the row may still come, and is refused."""
    world = PlanWorld(SMALL)
    run = world.run_plan()
    world.advance(seconds=0.5)

    def thaw(number: int, label: str, after: bool) -> None:
        opens = label == "store.put" and not after
        if opens and world.operations(OperationKind.RESTORE) and not world.operations(OperationKind.REBUILD):
            if world.wave(run, "apps").began is None:
                return
            world.wire.trouble = lambda number, label, after: None
            world.ask().abort(run, because="stop", by="bob", run="run")
            world.run_recovery(minutes=30)
            assert world.operation(run).result["outcome"] == "aborted"

    world.wire.trouble = thaw
    world.run_recovery(minutes=40)

    assert world.operation(run).result["outcome"] == "aborted"
    rebuilds = world.operations(OperationKind.REBUILD)
    assert [one.state.value for one in rebuilds] in ([], ["refused"])
    assert "done-rebuild" not in world.cloud.ecs.instances[WEB_1].tags
