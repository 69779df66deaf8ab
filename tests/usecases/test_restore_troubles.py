"""What befalls a restore from outside: its group, other people, the platform, the schedule, our own role."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import BadInput, Busy, DrError, Forbidden, Permanent
from shared.domain.ids import DiskId, OperationId
from shared.domain.operation import OperationState
from shared.ports.scaling import ScalingGroup
from tests.usecases.recovery_world import DB, GROUP, LB, WEB_1, WEB_2
from tests.usecases.restore_stage import AFTER, RestoreWorld, at_the_point
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


# -- other people and the platform, between stop and change --------------------------------------------------------


def put_back(
    world: RestoreWorld, trouble: Callable[[], None], *, before: str = "", after: str = "", minutes: int = 60
) -> str:
    """A rollback that must change nothing; why it ended."""
    world.marked(DATA)
    stood = standing(world)
    when(world, before or after, trouble, after=bool(after))
    asked = world.ask("rollback", instance=WEB_1, disks=[DATA], confirm=WEB_1)
    world.run_recovery(minutes=minutes)

    why = refused(world, asked)
    assert "Nothing was changed" in why
    assert {key: text for key, text in standing(world).items() if key != "disks"} == {
        key: text for key, text in stood.items() if key != "disks"
    }
    assert world.read(DATA, len(AFTER)) == AFTER
    return why


def test_an_instance_that_somebody_starts_before_the_change_goes_on_serving() -> None:
    world = RestoreWorld()

    why = put_back(world, lambda: world.here.instances.start(WEB_1), after="snapshots.create")

    assert "somebody started it" in why


def test_an_instance_that_is_started_between_our_look_and_the_change_goes_on_serving() -> None:
    world = RestoreWorld()

    def started() -> None:
        world.here.instances.start(WEB_1)
        world.cloud.clock.advance(timedelta(seconds=25))

    why = put_back(world, started, before="disks.reset")

    assert "IncorrectInstanceStatus" in why


def test_a_disk_that_is_detached_before_the_change_lets_the_rest_serve_again() -> None:
    world = RestoreWorld()

    why = put_back(world, lambda: world.here.disks.detach(WEB_1, DiskId(DATA)), after="snapshots.create")

    assert f"{DATA} is not attached to {WEB_1} any more" in why


def test_a_snapshot_that_is_deleted_before_the_change_lets_it_serve_again() -> None:
    world = RestoreWorld()

    def deleted() -> None:
        (point,) = [one for one in world.points() if one.subject == WEB_1 and not one.safety]
        world.cloud.ecs.snapshots.delete(dict(point.disks)[DiskId(DATA)], force=True)

    why = put_back(world, deleted, before="disks.reset")

    assert "NotFound" in why


def always(world: RestoreWorld, call: str, error: DrError) -> None:
    """The cloud refuses this call as often as it is asked."""

    def trouble(_: int, label: str, after: bool) -> None:
        if label == call and not after:
            raise error

    world.wire.trouble = trouble


def test_a_role_that_may_not_reset_lets_it_serve_again() -> None:
    world = RestoreWorld()

    why = put_back(world, lambda: always(world, "disks.reset", Forbidden("ecs:ResetDisk")), before="snapshots.create")

    assert "our role has been forbidden this" in why


def test_snapshots_without_end_let_it_serve_again() -> None:
    """Somebody else's tool begins one after the other."""
    world = RestoreWorld()

    why = put_back(
        world, lambda: always(world, "disks.reset", Busy("unfinished")), before="snapshots.create", minutes=240
    )

    assert "unfinished, 120 minutes after it was to be changed" in why


def test_an_instance_that_is_released_meanwhile_is_told_of_and_offers_no_way_back() -> None:
    """An empty answer is no proof that it is gone, so that an operator is asked."""
    world = RestoreWorld()
    world.marked(DATA)
    ecs = world.cloud.ecs
    when(world, "snapshots.create", lambda: ecs.lifecycle.release(ecs.instances[WEB_1]))

    asked = world.ask("rollback", instance=WEB_1, disks=[DATA], confirm=WEB_1)
    world.run_recovery(minutes=30)

    ended = world.operation(asked)
    assert ended.state is OperationState.NEEDS_OPERATOR
    assert "is not in the inventory any more" in ended.result["because"]
    assert "undo-rollback" not in ended.result["because"]


# -- half-way ------------------------------------------------------------------------------------------------------


def half_way(world: RestoreWorld) -> OperationId:
    """Of two disks the second is refused for good; an operator is asked."""
    world.marked(SYSTEM_2, DATA_2)
    resets: list[int] = []

    def trouble(_: int, label: str, after: bool) -> None:
        if label == "disks.reset" and not after:
            resets.append(1)
            if len(resets) == 2:
                raise Permanent("InvalidSnapshot.TooOld")

    world.wire.trouble = trouble
    asked = world.ask("rollback", instance=WEB_2, confirm=WEB_2)
    world.run_recovery(minutes=20)
    ended = world.operation(asked)
    assert ended.state is OperationState.NEEDS_OPERATOR, ended.result
    assert world.picture()["groups"][GROUP] == [("web-2", "Standby")]
    assert world.cloud.ecs.instances[WEB_2].state == "Stopped"
    return asked


def test_what_stopped_half_way_says_how_far_each_disk_came() -> None:
    world = RestoreWorld()
    ended = world.operation(half_way(world))

    evidence = json.loads(ended.result["evidence"])
    assert [line for line in evidence if line.startswith("d-web-2")] == [
        f"{SYSTEM_2}: reset asked for, not known to be done, safety snapshot {safety_of(world, SYSTEM_2)}",
        f"{DATA_2}: reset not done, safety snapshot {safety_of(world, DATA_2)}",
    ]
    assert f"understudy acknowledge {ended.id}" in ended.result["because"]


def safety_of(world: RestoreWorld, disk: str) -> str:
    (point,) = [one for one in world.points() if one.safety]
    return str(dict(point.disks)[DiskId(disk)])


@pytest.mark.parametrize("way_on", ["undo_rollback", "rollback"])
def test_what_stopped_half_way_serves_again_after_the_way_back_or_on(way_on: str) -> None:
    world = RestoreWorld()
    before = standing(world)
    asked = half_way(world)
    world.command(command="acknowledge", subject=asked, by="li")
    world.run_recovery(minutes=5)

    what = {"operation": asked} if way_on == "undo_rollback" else {"instance": WEB_2}
    shown = world.preview(way_on, **what)
    assert [one for one in shown["checks"] if not one["ok"]] == []
    assert f"{asked} left {WEB_2} out of service: it comes back as it was before that one" in shown["warnings"]
    assert shown["actions"][-1]["does"] == f"back into service: in service in {GROUP}, {LB} 50"
    ended = world.restored(world.ask(way_on, confirm=WEB_2, **what))

    assert standing(world) == before
    assert ended.result["outcome"] == "restored"
    for disk in (SYSTEM_2, DATA_2):
        assert at_the_point(world, disk) is (way_on == "rollback")


def test_a_refused_attempt_does_not_forget_what_was_left_out_of_service() -> None:
    world = RestoreWorld()
    before = standing(world)
    asked = half_way(world)
    world.command(command="acknowledge", subject=asked, by="li")
    wrong = world.ask("undo_rollback", operation=asked, confirm="wrong")
    world.run_recovery(minutes=5)
    assert "confirms something else" in refused(world, wrong)

    world.restored(world.ask("undo_rollback", operation=asked, confirm=WEB_2))

    assert standing(world) == before


# -- the schedule --------------------------------------------------------------------------------------------------


def test_a_backup_that_falls_due_waits_until_the_instance_serves_again() -> None:
    world = RestoreWorld()
    world.marked("d-db-data")
    due = world.clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    world.advance(seconds=(due - world.clock.now()).total_seconds() - 20)

    asked = world.ask("rollback", instance=DB, disks=["d-db-data"], confirm=DB)
    world.advance(seconds=21)
    world.invoke(world.schedule)
    ended = world.restored(asked, minutes=50)

    taken = {one.subject: one.taken for one in world.points() if one.slot == due and not one.safety}
    back = next(step.at for step in ended.steps if step.name == "serve")
    assert taken[DB] >= back
    assert taken[WEB_1] < back


# -- confirmations -------------------------------------------------------------------------------------------------


def test_a_command_that_is_repeated_from_the_history_takes_nothing_away() -> None:
    world = RestoreWorld()
    world.marked(DATA)
    what = {"instance": WEB_1, "disks": [DATA], "point": world.command(command="rollback", instance=WEB_1)["point"]}
    token = world.preview("rollback", **what)["token"]
    world.restored(world.ask("rollback", confirm=token, **what))
    world.write(DATA, AFTER)

    with pytest.raises(BadInput, match="look at it again without confirm, nothing was begun"):
        world.ask("rollback", confirm=token, **what)
    world.run_recovery(minutes=5)

    assert world.read(DATA, len(AFTER)) == AFTER


def test_of_two_rollbacks_asked_for_at_once_one_is_refused() -> None:
    world = RestoreWorld()
    world.marked(DATA)
    token = world.preview("rollback", instance=WEB_1, disks=[DATA])["token"]

    first = world.ask("rollback", instance=WEB_1, disks=[DATA], confirm=token)
    before = f"{world.clock.now() - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
    second = world.ask("rollback", instance=WEB_1, disks=[DATA], confirm=token, at=before)
    world.run_recovery(minutes=30)

    ends = [world.operation(one) for one in (first, second)]
    assert sorted(one.state.value for one in ends) == ["done", "refused"]


def test_the_token_of_another_instance_confirms_nothing() -> None:
    world = RestoreWorld()
    world.marked(DATA, DATA_2)
    token = world.preview("rollback", instance=WEB_2, disks=[DATA_2])["token"]

    with pytest.raises(BadInput, match="the token of something else than would be done now"):
        world.ask("rollback", instance=WEB_1, disks=[DATA], confirm=token)


# -- a slow cloud --------------------------------------------------------------------------------------------------


def test_calls_so_slow_that_each_run_is_cut_short_only_delay_it() -> None:
    """A run has 100 s before it may begin no further effect; each call here takes 20 s."""
    world = RestoreWorld()
    world.marked(SYSTEM_2, DATA_2)
    asked = world.ask("rollback", instance=WEB_2, confirm=WEB_2)

    def slow(_: int, label: str, after: bool) -> None:
        if not after and not label.startswith(("store.", "functions.")):
            world.cloud.clock.advance(timedelta(seconds=20))

    world.wire.trouble = slow
    world.restored(asked, hours=6)

    assert at_the_point(world, SYSTEM_2)
    assert at_the_point(world, DATA_2)
