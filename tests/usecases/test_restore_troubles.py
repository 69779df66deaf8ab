"""What befalls a restore from outside: its group, other people, the platform, the schedule, our own role."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from shared.domain.operation import OperationState
from shared.ports.scaling import ScalingGroup
from tests.usecases.recovery_world import GROUP, LB, WEB_2
from tests.usecases.restore_stage import RestoreWorld, at_the_point
from understudy.simulation.scaling import InProcessScaling

DATA, SYSTEM = "d-web-1-data", "d-web-1-sys"
DATA_2, SYSTEM_2 = "d-web-2-data", "d-web-2-sys"
STANDING = ("instances", "disks", "pools", "groups", "open")


def standing(world: RestoreWorld) -> dict[str, Any]:
    found = world.picture()
    return {key: found[key] for key in STANDING}


def refused(world: RestoreWorld, id: str) -> str:
    found = world.operation(id)
    assert found.state is OperationState.REFUSED, (found.state, found.result)
    return found.result["because"]


def when(world: RestoreWorld, call: str, then: Callable[[], None], *, after: bool = True) -> None:
    """`then` happens once: right after (before) the first call of this port."""
    todo = [then]

    def trouble(_: int, label: str, is_after: bool) -> None:
        if todo and label == call and is_after is after:
            todo.pop()()

    world.wire.trouble = trouble


# -- its scaling group ---------------------------------------------------------------------------------------------


def hide_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_self: InProcessScaling, _ids: Sequence[str]) -> Mapping[str, ScalingGroup]:
        return {}

    monkeypatch.setattr(InProcessScaling, "groups", none)


def test_a_member_of_a_group_that_is_not_shown_is_not_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RestoreWorld()
    world.marked(DATA_2)
    before = standing(world)
    hide_groups(monkeypatch)

    shown = world.preview("rollback", instance=WEB_2, disks=[DATA_2])
    asked = world.ask("rollback", instance=WEB_2, disks=[DATA_2], confirm=WEB_2)
    world.run_recovery(minutes=10)

    (check,) = [one for one in shown["checks"] if not one["ok"]]
    assert "its scaling group is not shown" in check["says"]
    assert f"aliyun ess EnableScalingGroup --ScalingGroupId {GROUP}" in check["remedy"]
    assert "its scaling group is not shown" in refused(world, asked)
    assert standing(world) == before


def test_one_stale_look_at_the_group_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RestoreWorld()
    world.marked(DATA_2)
    asked = world.ask("rollback", instance=WEB_2, disks=[DATA_2], confirm=WEB_2)
    looks: list[int] = []
    real = InProcessScaling.groups

    def stale(self: InProcessScaling, ids: Sequence[str]) -> Mapping[str, ScalingGroup]:
        looks.append(1)
        return {} if len(looks) in (2, 3) else real(self, ids)

    monkeypatch.setattr(InProcessScaling, "groups", stale)
    world.restored(asked)

    assert world.picture()["groups"][GROUP] == [("web-2", "InService")]
    assert len(world.cloud.ecs.instances) == 3


def test_a_protected_member_stays_protected() -> None:
    world = RestoreWorld()
    world.marked(DATA_2)
    group = world.cloud.ess.group(GROUP)
    world.cloud.ess.scaling.protect([group.members[WEB_2]], True)

    before = standing(world)
    world.restored(world.ask("rollback", instance=WEB_2, disks=[DATA_2], confirm=WEB_2))

    assert at_the_point(world, DATA_2)
    assert before["groups"][GROUP] == [("web-2", "Protected")]
    assert standing(world) == before


def test_a_member_that_its_group_let_go_meanwhile_is_told_of() -> None:
    world = RestoreWorld()
    world.marked(DATA_2)
    ess = world.cloud.ess
    when(world, "instances.start", lambda: ess.scaling.dismiss(ess.group(GROUP), WEB_2, release=False))

    ended = world.restored(world.ask("rollback", instance=WEB_2, disks=[DATA_2], confirm=WEB_2))

    assert f"no member of scaling group {GROUP} any more" in ended.result["because"]
    assert dict(world.picture()["pools"][LB])["web-2"] == 50
