"""Events about an instance whose rebuild was asked for, by a plan or by hand: they make no second one."""

import json

import pytest

from shared.domain.operation import OperationKind, OperationState
from shared.state.decisions import Decisions
from shared.triggers.parse import parse
from tests.usecases.rebuild_world import ALONE, RebuildWorld, ask
from tests.usecases.recovery_world import SECRET, WEB_1, WEB_2


def threshold(world: RebuildWorld) -> None:
    """A threshold alarm of CloudMonitor about it, as the webhook gets one."""
    body = {
        "alertName": "cpu",
        "alertState": "ALERT",
        "curValue": "0",
        "metricName": "CPUUtilization",
        "ruleId": "r-1",
        "timestamp": str(int(world.clock.now().timestamp() * 1000)),
        "dimensions": json.dumps({"instanceId": WEB_1}),
    }
    request = {
        "version": "v1",
        "requestContext": {"http": {"method": "POST", "path": "/"}},
        "queryParameters": {"token": SECRET},
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
    world.alarm().run(parse(json.dumps(request).encode()), run="alarm")


@pytest.mark.parametrize("after_seconds", [1, 30, 70, 100, 400])
def test_events_of_every_shape_while_it_is_held_make_no_second_replacement(after_seconds: int) -> None:
    world = RebuildWorld(stands=ALONE)
    asked = str(ask(world, WEB_1, confirm=WEB_1)["operation"])
    world.run_recovery(seconds=after_seconds)
    old = world.cloud.ecs.instances[WEB_1]
    if old.state == "Running":
        world.lose(WEB_1)
    else:
        event = world.cloud.ecs.events.open(WEB_1, "SystemFailure.Reboot", "Executing")
        for status in ("Executing", "Executed", "Failed"):
            world.notice(WEB_1, event.id, status=status)
    threshold(world)
    world.run_recovery(minutes=30)

    told = [text for one in Decisions(world.store).of(WEB_1) for text in one.because]
    assert any("threshold alarm cpu" in text for text in told)
    assert world.operation(asked).state is OperationState.DONE, world.operation(asked).result
    assert len(world.made()) == 1
    assert world.pool() == {world.made()[0]: 80, WEB_2: 80}
    assert world.open_operations() == 0
    assert OperationState.NEEDS_OPERATOR not in [one.state for one in world.operations(OperationKind.REBUILD)]
