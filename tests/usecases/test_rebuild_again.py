"""A rebuild that stopped and asked is tried again once it is acknowledged: what the first attempt took off the old one
is not forgotten, and what it had made is used, never doubled."""

from dataclasses import replace
from typing import Any

from shared.domain.operation import Operation, OperationKind, OperationState
from tests.usecases.rebuild_world import ALONE, AT_ONCE, RebuildWorld, ask
from tests.usecases.recovery_world import LB, WEB_1, WEB_2, H

TYPE = "ecs.g7.large"


def last(world: RebuildWorld) -> Operation:
    return max(world.operations(OperationKind.REBUILD), key=lambda one: one.created)


def try_again(world: RebuildWorld) -> Operation:
    """As the runbook says: acknowledged, and left to the tick."""
    stopped = last(world)
    assert stopped.state is OperationState.NEEDS_OPERATOR, stopped.result
    world.advance(seconds=1)
    world.controls().acknowledge(stopped.id, world.clock.now())
    world.run_recovery(minutes=25)
    return last(world)


def robbed() -> RebuildWorld:
    """The first order vanished when disks and public address were off the old one already, and then nothing is had."""
    world = RebuildWorld(stands=ALONE)
    world.write("d-web-1-data", b"newest bytes")
    world.give_public_address(WEB_1)
    world.cloud.ecs.buying.stock.vanish(H, TYPE)
    world.lose(WEB_1)
    world.run_recovery(minutes=20)
    world.cloud.ecs.buying.stock.vanish(H, TYPE, on=False)
    assert world.cloud.ecs.disks.find("d-web-1-data").instance_id is None
    return world


def test_disks_and_addresses_that_the_first_attempt_took_off_the_old_one_are_the_next_ones() -> None:
    world = robbed()
    done = try_again(world)

    assert done.state is OperationState.DONE, done.result
    new = world.cloud.ecs.instances[done.result["replacement"]]
    assert world.disk_of(new.id, "/dev/vdb") == "d-web-1-data"
    assert world.read("d-web-1-data", 12) == b"newest bytes"
    assert new.private_ip == "10.0.1.11"
    assert world.pool() == {new.id: 80, WEB_2: 80}
    assert [eip.instance_id for eip in world.cloud.vpc.eips] == [new.id]


def test_one_that_runs_again_without_its_disk_is_not_called_well() -> None:
    world = robbed()
    world.cloud.ecs.lifecycle.arrive_running(world.cloud.ecs.instances[WEB_1])
    world.advance(seconds=60)
    world.controls().acknowledge(WEB_1, world.clock.now())
    world.invoke(lambda: world.notice(WEB_1, last(world).inputs["event"], status="Executed"))
    world.run_recovery(minutes=10)

    assert last(world).state is OperationState.NEEDS_OPERATOR
    assert "it runs again, but an earlier attempt took d-web-1-data, eip-" in last(world).result["because"]
    assert len(world.operations(OperationKind.REBUILD)) == 2


def test_the_weight_that_the_first_attempt_took_is_given_back_in_balancers_that_the_rule_does_not_name() -> None:
    world = RebuildWorld(replace(AT_ONCE, balancer=None), stands=ALONE)
    world.balancer.set_weight(LB, WEB_1, weight=30)
    world.cloud.ecs.set_stock(H, TYPE, 0)
    world.lose(WEB_1)
    world.run_recovery(minutes=15)
    world.cloud.ecs.set_stock(H, TYPE, 10)
    done = try_again(world)

    assert world.pool()[done.result["replacement"]] == 30


def test_a_replacement_that_stands_is_given_the_part_and_no_second_one_is_made() -> None:
    world = RebuildWorld(stands=ALONE)
    world.give_public_address(WEB_1)
    world.lose(WEB_1)
    world.run_recovery(minutes=1)
    (made,) = world.made()
    world.sick.add(made)  # its service never answers
    world.run_recovery(minutes=20)
    world.sick.clear()
    done = try_again(world)

    assert done.state is OperationState.DONE, done.result
    assert done.result["replacement"] == made
    assert world.made() == [made]
    assert world.pool() == {made: 80, WEB_2: 80}
    assert [eip.instance_id for eip in world.cloud.vpc.eips] == [made]
    assert world.cloud.ecs.instances[WEB_1].tags["understudy:isolated"] == done.id


def test_what_the_preview_shows_of_a_second_attempt_is_what_its_token_confirms() -> None:
    world = robbed()
    world.controls().acknowledge(last(world).id, world.clock.now())
    preview: Any = ask(world, WEB_1)["preview"]
    assert "d-web-1-data is attached to the new one" in [one["does"] for one in preview["actions"]]
    operation = ask(world, WEB_1, confirm=preview["token"])["operation"]
    world.run_recovery(minutes=20)

    done = world.operation(str(operation))
    assert done.state is OperationState.DONE, done.result
    assert world.disk_of(done.result["replacement"], "/dev/vdb") == "d-web-1-data"


def test_one_that_was_deleted_by_hand_is_made_anew_with_the_same_disks() -> None:
    world = RebuildWorld(stands=ALONE)
    world.write("d-web-1-data", b"newest bytes")
    world.lose(WEB_1)
    world.run_recovery(minutes=1)
    (made,) = world.made()
    world.sick.add(made)
    world.run_recovery(minutes=20)
    assert world.disk_of(made, "/dev/vdb") == "d-web-1-data"
    world.cloud.ecs.lifecycle.release(world.cloud.ecs.instances[made])
    done = try_again(world)

    assert done.state is OperationState.DONE, done.result
    assert world.made() == [done.result["replacement"]]
    assert world.read(world.disk_of(done.result["replacement"], "/dev/vdb"), 12) == b"newest bytes"


def test_a_member_that_was_put_on_standby_and_comes_back_is_in_service_again_after_the_next_look() -> None:
    world = RebuildWorld(replace(AT_ONCE, image_family="nothing"))
    event = world.lose(WEB_2)
    world.run_recovery(minutes=6)
    assert last(world).state is OperationState.NEEDS_OPERATOR
    assert set(world.members("asg-web").values()) == {"Standby"}
    world.cloud.ecs.lifecycle.arrive_running(world.cloud.ecs.instances[WEB_2])
    world.advance(seconds=60)
    world.controls().acknowledge(WEB_2, world.clock.now())
    world.invoke(lambda: world.notice(WEB_2, event, status="Executed"))
    world.run_recovery(minutes=10)

    assert world.members("asg-web") == {WEB_2: "InService"}
    assert world.pool()[WEB_2] == 50
