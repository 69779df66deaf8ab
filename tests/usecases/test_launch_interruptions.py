"""Every interruption of a launch: the process dies before or after each single call, a call's answer is lost, or it is
frozen at each call while another executor finishes the work. In the end the world is as if nothing had happened: no
instance is doubled or left over, none is without its balancer, no image is made twice, nothing is open."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from shared.domain.errors import OutcomeUnknown
from shared.domain.ids import InstanceId
from shared.domain.operation import OperationState
from tests.usecases.launch_stage import IN_H, IN_I, OTHER_TYPE, TYPE, begin, launched
from tests.usecases.recovery_world import GROUP, LB, WEB_1, H, I, RecoveryWorld
from tests.usecases.test_backup_interruptions import TROUBLES, Trouble

LATE: Final = timedelta(seconds=7)
Ask = Callable[[RecoveryWorld], str]


def one_call(world: RecoveryWorld) -> str:
    """Two of an image, answered for and put behind the balancer."""
    return begin(world, amount=2, least=2, port=8080, balancer=LB, weight=70)


def several_offers(world: RecoveryWorld) -> str:
    """The first vanishes, the second has one, the third refuses, the fourth has the rest."""
    return begin(world, amount=3, least=3, instance_types=(TYPE, OTHER_TYPE), where=(IN_H, IN_I))


def several_calls(world: RecoveryWorld) -> str:
    """More than one call takes, within one offer."""
    return begin(world, amount=103, least=103)


def of_a_point(world: RecoveryWorld) -> str:
    """An image first, of whole disks."""
    point = next(one for one in world.points() if one.subject == WEB_1)
    return begin(world, amount=2, least=2, point=point.id, subject=WEB_1)


def into_a_group(world: RecoveryWorld) -> str:
    return begin(world, amount=2, least=2, group=GROUP, balancer=LB, weight=60)


def plain() -> RecoveryWorld:
    return RecoveryWorld()


def short_of_stock() -> RecoveryWorld:
    world = RecoveryWorld()
    stock = world.cloud.ecs.buying.stock
    stock.vanish(H, TYPE)
    stock.set(H, OTHER_TYPE, 1)
    stock.set(I, TYPE, 0)
    return world


def with_points() -> RecoveryWorld:
    world = RecoveryWorld()
    world.write("d-web-1-data", b"written before")
    world.take_points()
    return world


def with_room_in_the_group() -> RecoveryWorld:
    world = RecoveryWorld()
    world.cloud.ess.group(GROUP).max_size = 10
    return world


PATHS = [
    pytest.param(one_call, plain, id="one call"),
    pytest.param(several_offers, short_of_stock, id="several offers"),
    pytest.param(several_calls, plain, id="several calls"),
    pytest.param(of_a_point, with_points, id="of a point"),
    pytest.param(into_a_group, with_room_in_the_group, id="into a group"),
]


def the_end(world: RecoveryWorld, id_: str) -> dict[str, Any]:
    """What stands, without what is chance: addresses, and which id an image got."""
    end = world.picture()
    names = {one[0] for one in ((made.name, made) for made in launched(world))}
    end["instances"] = sorted(
        (name, state, zone) if name in names else (name, state, zone, address, image)
        for name, state, zone, address, image in end["instances"]
    )
    end["types"] = sorted((one.name, one.instance_type) for one in launched(world))
    end["data"] = [[disk.volume.read(0, 14) for disk in one.disks()] for one in launched(world)]
    end["state"] = world.operation(id_).state
    return end


def undisturbed(ask: Ask, build: Callable[[], RecoveryWorld]) -> tuple[range, dict[str, Any]]:
    """Numbers of the calls until it is done, and the world then."""
    world = build()
    before = len(world.wire.labels)
    id_ = ask(world)
    while world.operation(id_).state is OperationState.OPEN:
        world.advance(seconds=1)
    calls = range(before, len(world.wire.labels))
    assert world.operation(id_).state is OperationState.DONE, world.operation(id_).result
    world.run_recovery(minutes=20)
    return calls, the_end(world, id_)


@pytest.mark.parametrize(("ask", "build"), PATHS)
@TROUBLES
def test_a_launch_survives_every_interruption(trouble: Trouble, ask: Ask, build: Callable[[], RecoveryWorld]) -> None:
    numbers, expected = undisturbed(ask, build)
    for at in numbers:
        world = build()
        world.wire.trouble = trouble(world, at)
        id_ = asked_again(world, ask)
        world.run_recovery(minutes=20)

        what = f"{trouble.__name__} call {at} {world.wire.labels[at]}"
        assert world.operation(id_).state is OperationState.DONE, f"{what}: {world.operation(id_).result}"
        assert the_end(world, id_) == expected, what
    assert len(numbers) > 20
    print(f"{trouble.__name__}: {len(numbers)} interruptions of a launch, {ask.__name__}")


@pytest.mark.parametrize(("ask", "build"), PATHS)
def test_an_executor_that_freezes_at_any_call_and_thaws_does_no_harm(
    ask: Ask, build: Callable[[], RecoveryWorld]
) -> None:
    numbers, expected = undisturbed(ask, build)
    overtaken = 0
    for at in numbers:
        world = build()
        world.wire.trouble = frozen(world, at)
        id_ = asked_again(world, ask)
        world.run_recovery(minutes=20)

        what = f"frozen before call {at} {world.wire.labels[at]}"
        assert world.operation(id_).state is OperationState.DONE, f"{what}: {world.operation(id_).result}"
        assert the_end(world, id_) == expected, what
        overtaken += 1
    print(f"{overtaken} freezes of a launch, {ask.__name__}")


def frozen(world: RecoveryWorld, at: int) -> Callable[[int, str, bool], None]:
    """Others go on for a quarter of an hour before this call is sent after all."""

    def trouble(number: int, label: str, after: bool) -> None:
        if number == at and not after:
            world.run_recovery(minutes=15)

    return trouble


def asked_again(world: RecoveryWorld, ask: Ask) -> str:
    """An operator whose request was disturbed repeats it: it is the same one."""
    moment = world.clock.now()
    id_ = world.invoke(lambda: ask(world))
    if isinstance(id_, str):
        return id_
    assert world.clock.now() == moment
    world.wire.trouble = lambda number, label, after: None
    return ask(world)


def test_a_lost_answer_of_which_not_all_is_listed_yet_is_looked_at_twice() -> None:
    world = plain()
    hidden: list[Any] = []

    def trouble(number: int, label: str, after: bool) -> None:
        if label == "instances.run_many" and after and not hidden:
            hidden.append(launched(world)[0])
            world.cloud.ecs.shelf.by_id.pop(hidden[0].id)
            world.cloud.clock.call_later(LATE, lambda: world.cloud.ecs.shelf.by_id.update({hidden[0].id: hidden[0]}))
            raise OutcomeUnknown(label)

    world.wire.trouble = trouble
    id_ = begin(world, amount=3, least=3)
    world.run_recovery(minutes=10)

    assert world.operation(id_).state is OperationState.DONE
    assert len(launched(world)) == 3
    assert InstanceId(hidden[0].id) in world.operation(id_).result["instances"]
