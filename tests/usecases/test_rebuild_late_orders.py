"""An order that a frozen executor sends when another one has gone on without it: the cloud takes it, and it must not
become a second machine in one role."""

from collections.abc import Callable
from datetime import timedelta

from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.rebuild import ISOLATED
from tests.usecases.rebuild_world import ALONE, RebuildWorld
from tests.usecases.recovery_world import WEB_1, WEB_2, H

TYPE = "ecs.g7.large"


def frozen_before(world: RebuildWorld, label: str, meanwhile: Callable[[], None]) -> None:
    """Before the first such call; it is sent after `meanwhile`."""

    def strike(_number: int, called: str, after: bool) -> None:
        if called == label and not after:
            world.wire.trouble = lambda number, label, after: None
            meanwhile()

    world.wire.trouble = strike


def address_given_up() -> tuple[RebuildWorld, list[str]]:
    """The kept address is not free for long, so the other executor gives it up; then it is free."""
    world = RebuildWorld(stands=ALONE)
    world.cloud.ecs.network.release_delay = timedelta(minutes=14)
    made: list[str] = []

    def another_one_goes_on() -> None:
        world.run_recovery(minutes=25)
        made.extend(world.made())

    frozen_before(world, "instances.run", another_one_goes_on)
    return world, made


def operations_about(world: RebuildWorld, instance: str) -> list[Operation]:
    return [one for one in world.operations(OperationKind.REBUILD) if one.subject == instance]


def running(world: RebuildWorld) -> list[str]:
    return [one.id for one in world.cloud.ecs.instances.values() if one.state in ("Pending", "Starting", "Running")]


def test_what_an_order_makes_that_nobody_waits_for_is_stopped_marked_and_told() -> None:
    world, made = address_given_up()
    world.lose(WEB_1)
    world.run_recovery(minutes=15)
    world.run_recovery(minutes=11)  # the tick sees it

    (new,) = made
    (extra,) = (one for one in world.made() if one != new)
    assert sorted(running(world)) == sorted(["i-db", WEB_2, new])
    assert ISOLATED in world.cloud.ecs.instances[extra].tags
    assert world.pool() == {new: 80, WEB_2: 80}
    assert "rebuild.extra" in world.told(WEB_1)
    assert extra in world.why(WEB_1)
    assert [one.state for one in operations_about(world, WEB_1)] == [OperationState.DONE]


def test_an_attempt_after_a_pause_looks_for_what_the_one_before_it_made() -> None:
    world = RebuildWorld(stands=ALONE)
    world.cloud.ecs.set_stock(H, TYPE, 0)

    def the_other_one_is_refused_and_pauses() -> None:
        world.run_recovery(minutes=4)
        while create_of(world) != "failed":
            world.advance(seconds=2)
        world.cloud.ecs.set_stock(H, TYPE, None)

    frozen_before(world, "instances.run", the_other_one_is_refused_and_pauses)
    world.lose(WEB_1)
    world.run_recovery(minutes=15)

    (made,) = world.made()
    (done,) = operations_about(world, WEB_1)
    assert (done.state, done.result["replacement"]) == (OperationState.DONE, made)


def create_of(world: RebuildWorld) -> str:
    (operation,) = operations_about(world, WEB_1)
    return next((one.state.value for one in operation.steps if one.name == "create"), "")
