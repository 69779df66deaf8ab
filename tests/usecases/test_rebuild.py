"""One lost instance gives one replacement, or none; whatever is repeated, reordered, lost or missing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import Permanent
from shared.domain.ids import InstanceId
from shared.domain.inventory import ImageState, InstanceState
from shared.domain.operation import OperationState
from shared.state import codec
from shared.state.controls import Pause
from tests.usecases.fleet import ZONE_H, Tripwire
from tests.usecases.rebuild_stage import H1, H2, I1, MASTER_H, Stage, policy

MINUTE = timedelta(minutes=1)
LATER = timedelta(minutes=20)


def replaced(stage: Stage, instance: InstanceId = H1) -> InstanceId:
    (new,) = stage.fleet.replacements_of(instance)
    return new


def test_a_failed_instance_is_replaced_by_one_with_the_newest_points_bytes() -> None:
    stage = Stage()
    newest = stage.point("app-h1", age=timedelta(minutes=5))
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)

    new = stage.fleet.machines[replaced(stage)]
    old = stage.fleet.machines[H1].shown
    (operation,) = stage.operations()
    assert operation.state is OperationState.DONE
    assert [disk.name for disk in new.disks if disk.device == "/dev/vdb"] == [newest.disks[0][1]]
    assert new.shown.tags["role"] == "app"
    assert new.shown.zone == old.zone
    assert new.shown.private_address != old.private_address
    assert old.state is InstanceState.STOPPED
    assert old.tags["understudy:isolated"] == operation.id
    assert stage.fleet.pool == {H2: 100, I1: 100, new.shown.id: 100}
    assert not stage.fleet.served_together
    assert stage.told(H1) == ["alarm.followed", "rebuild.begun", "rebuild.replaced"]


def test_its_recovery_time_is_measured_by_phase() -> None:
    stage = Stage()
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)

    (operation,) = stage.operations()
    phases = codec.load(dict[str, float], operation.result["phases"])
    assert set(phases) == {"detect", "decide", "create", "boot", "attach", "serve"}
    assert sum(phases.values()) == pytest.approx(float(operation.result["rto_seconds"]), abs=0.1)
    assert phases["decide"] == pytest.approx(360, abs=2)  # patience: the platform's own restart is waited for
    assert sum(phases.values()) - phases["decide"] < 90
    assert float(operation.result["rpo_seconds"]) == pytest.approx(1800, abs=1)


def test_an_instance_that_the_platform_restarts_within_patience_is_left_alone() -> None:
    stage = Stage()
    stage.fleet.fail(H1, recovers=True)
    stage.notice()
    stage.pass_time(LATER)

    assert stage.fleet.replacements_of(H1) == []
    assert stage.fleet.stops == []
    assert stage.told(H1)[-1] == "rebuild.recovered"


@pytest.mark.parametrize(
    "statuses",
    [
        pytest.param(["Executing", "Executing", "Executing"], id="tripled"),
        pytest.param(["Executed", "Executing"], id="the end before the beginning"),
        pytest.param(["Executing", "Executed", "Executing", "Executed"], id="doubled pairs"),
    ],
)
def test_repeated_and_reordered_notices_change_nothing(statuses: list[str]) -> None:
    stage = Stage()
    stage.fleet.fail(H1)
    for status in statuses:
        stage.notice(status=status)
    stage.pass_time(LATER)
    for status in statuses:
        stage.notice(status=status)
    stage.pass_time(LATER)

    assert len(stage.fleet.replacements_of(H1)) == 1
    assert [operation.state for operation in stage.operations()] == [OperationState.DONE]


def test_the_tick_alone_arrives_at_the_same_decision() -> None:
    stage = Stage()
    stage.fleet.fail(H1)
    stage.pass_time(timedelta(minutes=30))

    assert len(stage.fleet.replacements_of(H1)) == 1


def test_a_second_failure_event_does_not_start_a_second_rebuild() -> None:
    stage = Stage()
    stage.fleet.fail(H1)
    stage.notice(event="e-1")
    stage.notice(event="e-2")
    stage.pass_time(MINUTE)
    stage.notice(event="e-3")
    stage.pass_time(LATER)
    stage.notice(event="e-4")
    stage.pass_time(LATER)

    assert len(stage.fleet.replacements_of(H1)) == 1
    assert stage.told(H1)[-1] == "alarm.not_ours"
    assert "isolation" in stage.why(H1)


def test_a_replacement_that_fails_in_turn_is_rebuilt_once_it_has_a_point() -> None:
    stage = Stage()
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)
    first = replaced(stage)
    stage.fleet.fail(first, event="e-9")
    stage.notice(first, event="e-9")
    stage.pass_time(LATER)

    assert stage.fleet.replacements_of(first) == []
    assert "has no usable restore point" in stage.why(first)


def test_an_event_for_an_unknown_instance_is_a_recorded_decision_not_to_act() -> None:
    stage = Stage()
    answer = stage.notice(InstanceId("i-of-somebody-else"))

    assert answer is not None
    assert answer.acted == ()
    assert stage.told("i-of-somebody-else") == ["alarm.not_ours"]
    assert stage.operations() == []


def test_a_region_master_is_failovers_business() -> None:
    stage = Stage()
    stage.fleet.fail(MASTER_H)
    stage.notice(MASTER_H)

    assert "region master" in stage.why(MASTER_H)
    assert stage.operations() == []


def test_a_whole_zone_is_handed_to_failover_and_not_rebuilt_one_by_one() -> None:
    stage = Stage()
    stage.fleet.go_dark(ZONE_H)
    for name in (H1, H2):
        stage.fleet.fail(name, event=f"e-{name}")
        stage.notice(name, event=f"e-{name}")
    stage.pass_time(timedelta(minutes=30))

    assert stage.fleet.stops == []
    assert stage.fleet.replacements_of(H1) == stage.fleet.replacements_of(H2) == []
    assert stage.told("zone cn-hangzhou-h") == ["zone.lost"]
    assert "handed to failover: zone cn-hangzhou-h" in stage.why("zone cn-hangzhou-h")
    assert {"rebuild.waits"}.isdisjoint(stage.told(H1) + stage.told(H2))
    assert len(stage.open()) == 2  # until the zone is back


def test_two_failures_in_a_zone_that_still_lives_are_two_rebuilds() -> None:
    stage = Stage()
    for name in (H1, H2):
        stage.fleet.fail(name, event=f"e-{name}")
        stage.notice(name, event=f"e-{name}")
    stage.pass_time(timedelta(minutes=30))

    assert len(stage.fleet.replacements_of(H1)) == len(stage.fleet.replacements_of(H2)) == 1


def test_no_more_than_the_policy_allows_are_rebuilt_at_once() -> None:
    stage = Stage(rule=policy(max_at_once=1))
    for name in (H1, H2):
        stage.fleet.fail(name, event=f"e-{name}")
        stage.notice(name, event=f"e-{name}")
    stage.pass_time(timedelta(minutes=6, seconds=10))

    assert len(stage.fleet.stops) == 1
    stage.pass_time(timedelta(minutes=20))
    assert len(stage.fleet.stops) == 2
    assert stage.open() == []


def test_no_image_needs_an_operator_before_anything_is_touched() -> None:
    stage = Stage()
    stage.fleet.images = [replace(stage.fleet.images[0], state=ImageState.DEPRECATED)]
    stage.fleet.image("m-creating", state=ImageState.CREATING)
    stage.fleet.image("m-of-a-larger-one", disks=3)
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)

    (operation,) = stage.operations()
    assert operation.state is OperationState.NEEDS_OPERATOR
    assert operation.result["runbook"] == "rebuild-needs-operator"
    assert "image family app" in operation.result["because"]
    assert stage.fleet.stops == []


def test_no_usable_point_of_a_data_disk_needs_an_operator_and_drops_no_data() -> None:
    stage = Stage()
    stage.fleet.snapshots.clear()
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)

    (operation,) = stage.operations()
    assert operation.state is OperationState.NEEDS_OPERATOR
    assert "d-app-h1-data has no usable restore point" in operation.result["because"]


def test_no_stock_is_tried_again_with_new_tokens_and_then_needs_an_operator() -> None:
    stage = Stage()
    stage.fleet.stock = 0
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)

    (operation,) = stage.operations()
    assert operation.state is OperationState.NEEDS_OPERATOR
    assert "no stock or quota after 3 attempts" in operation.result["because"]
    assert "replacement=none" in operation.result["evidence"]


def test_stock_that_comes_back_in_time_is_used() -> None:
    stage = Stage()
    stage.fleet.stock = 0
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(timedelta(minutes=6, seconds=40))
    stage.fleet.stock = 1
    stage.pass_time(LATER)

    assert len(stage.fleet.replacements_of(H1)) == 1


def test_a_create_call_that_is_refused_after_the_fence_needs_an_operator_and_is_not_just_refused() -> None:
    stage = Stage()
    stage.fleet.refuse_run = Permanent("InvalidKeyPairName.NotFound: ops")
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)

    (operation,) = stage.operations()
    assert operation.state is OperationState.NEEDS_OPERATOR
    assert "InvalidKeyPairName" in operation.result["because"]


def test_an_old_one_that_cannot_be_read_as_stopped_keeps_its_part() -> None:
    stage = Stage()
    stage.fleet.machines[H1].obeys = False
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)

    (operation,) = stage.operations()
    assert operation.state is OperationState.NEEDS_OPERATOR
    assert "still reads stopping" in operation.result["because"]
    assert stage.fleet.replacements_of(H1) == []


def test_a_rebuild_that_waits_for_an_operator_lets_no_other_begin() -> None:
    stage = Stage()
    stage.fleet.stock = 0
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)
    stage.fleet.stock = 10
    stage.notice(event="e-2")
    stage.pass_time(LATER)

    assert stage.fleet.replacements_of(H1) == []
    assert "waits for an operator" in stage.why(H1)


def test_a_replacement_left_behind_by_an_earlier_attempt_is_not_doubled() -> None:
    stage = Stage()
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(timedelta(minutes=6, seconds=35))
    (left,) = stage.fleet.replacements_of(H1)
    stage.fleet.machines[left].dark = True  # its service never answers
    stage.pass_time(LATER)
    stage.controls.acknowledge(H1, stage.clock.now())
    stage.pass_time(LATER)

    assert stage.fleet.replacements_of(H1) == [left]
    assert "is silent" in stage.why(H1)  # it is given another try, and still does not answer
    assert f"replacement={left}" in stage.why(H1)


@pytest.mark.parametrize("subject", ["rebuild/i-app-h1/e-1", "i-app-h1"])
def test_once_acknowledged_it_is_tried_again(subject: str) -> None:
    stage = Stage()
    stage.fleet.stock = 0
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)
    stage.fleet.stock = 10
    stage.pass_time(LATER)
    assert stage.fleet.replacements_of(H1) == []

    stage.controls.acknowledge(subject, stage.clock.now())
    stage.pass_time(LATER)

    assert len(stage.fleet.replacements_of(H1)) == 1
    assert [operation.state for operation in stage.operations()] == [OperationState.NEEDS_OPERATOR, OperationState.DONE]


def test_an_old_one_that_comes_back_during_the_rebuild_is_fenced_again_before_traffic_moves() -> None:
    stage = Stage()
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(timedelta(minutes=6, seconds=40))
    assert len(stage.fleet.stops) == 1
    assert H1 in stage.fleet.pool
    stage.fleet.set_state(H1, InstanceState.RUNNING)
    stage.pass_time(LATER)

    assert stage.fleet.stops == [H1, H1]
    assert not stage.fleet.served_together
    assert len(stage.fleet.replacements_of(H1)) == 1


def test_a_load_balancer_that_is_gone_needs_an_operator() -> None:
    stage = Stage()
    stage.fleet.balancer_exists = False
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)

    (operation,) = stage.operations()
    assert operation.state is OperationState.NEEDS_OPERATOR
    assert "InvalidLoadBalancerId" in operation.result["because"]
    assert stage.fleet.stops == []


def test_a_rule_without_a_balancer_rebuilds_as_well() -> None:
    stage = Stage(rule=policy(balancer=None))
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)

    assert len(stage.fleet.replacements_of(H1)) == 1
    assert stage.operations()[0].state is OperationState.DONE


def test_paused_rebuilds_wait_and_say_so() -> None:
    stage = Stage()
    stage.controls.pause(Pause(scope="rebuilds", since=stage.clock.now(), because="maintenance window"))
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(timedelta(minutes=7))

    assert stage.fleet.stops == []
    assert "paused: maintenance window" in stage.why(H1)


def test_an_instance_stopped_on_purpose_is_nobodys_failure() -> None:
    stage = Stage()
    stage.fleet.set_state(H1, InstanceState.STOPPED)
    stage.pass_time(LATER)

    assert stage.operations() == []


def complete() -> int:
    stage = Stage()
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)
    assert stage.operations()[0].state is OperationState.DONE
    return len(stage.wire.calls)


@pytest.mark.timeout(150)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_dying_around_any_one_call_ends_in_the_same_world(capsys: pytest.CaptureFixture[str], *, after: bool) -> None:
    calls = complete()
    for at in range(calls):
        stage = Stage(wire=Tripwire(at=at, after=after))
        stage.fleet.fail(H1)
        if stage.notice() is None:
            stage.notice()
        stage.pass_time(timedelta(minutes=30))
        where = f"call {at} ({stage.deaths})"
        assert stage.deaths, where
        new = stage.fleet.replacements_of(H1)
        assert len(new) == 1, where
        assert stage.fleet.pool == {H2: 100, I1: 100, new[0]: 100}, where
        assert stage.fleet.machines[H1].shown.state is InstanceState.STOPPED, where
        assert "understudy:isolated" in stage.fleet.machines[H1].shown.tags, where
        assert not stage.fleet.served_together, where
        assert stage.open() == [], where
        assert stage.holder(H1) is None, where
    with capsys.disabled():
        print(
            f"\nrebuild crash sweep: died {'after' if after else 'before'} each of {calls} calls, one replacement each"
        )
