"""The old one comes back at some moment of its rebuild: by the platform, or because somebody starts it. It never serves
beside its successor, and the successor has all that was taken off it."""

import pytest

from shared.domain.operation import OperationState
from tests.usecases.rebuild_world import ALONE, RebuildWorld
from tests.usecases.recovery_world import WEB_1, WEB_2


@pytest.mark.parametrize(
    "moment",
    [
        "instances.stop",
        "instances.move_address",
        "instances.run",
        "disks.detach",
        "addresses.unassociate",
        "disks.attach",
        "balancer.attach",
        "addresses.associate",
    ],
)
def test_an_old_one_that_is_started_after_any_step_ends_stopped_and_replaced(moment: str) -> None:
    world = RebuildWorld(stands=ALONE)
    world.write("d-web-1-data", b"newest bytes")
    world.give_public_address(WEB_1)

    def strike(_number: int, label: str, after: bool) -> None:
        if label == moment and after:
            world.wire.trouble = lambda number, label, after: None
            world.cloud.ecs.lifecycle.move(old, "Stopped")
            world.cloud.ecs.lifecycle.arrive_running(old)

    old = world.cloud.ecs.instances[WEB_1]
    world.wire.trouble = strike
    world.lose(WEB_1)
    done = world.ended(WEB_1)

    assert done.state is OperationState.DONE, done.result
    new = done.result["replacement"]
    assert world.cloud.ecs.instances[WEB_1].state == "Stopped"
    assert world.made() == [new]
    assert world.disk_of(new, "/dev/vdb") == "d-web-1-data"
    assert world.pool() == {new: 80, WEB_2: 80}
    assert [eip.instance_id for eip in world.cloud.vpc.eips] == [new]
