"""What holds a rebuild up does not end it, what befalls one stops no other, and nothing ends without being told."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import CredentialsRejected, Forbidden
from shared.domain.ids import DiskId, InstanceId
from shared.domain.operation import OperationKind, OperationState
from shared.ports.store import Anything
from shared.state.controls import Pause
from shared.usecases.recovery.suspicion import MOST_LOOKS
from tests.usecases.fleet import ZONE_H, FleetInstances, FleetInventory, Tripwire
from tests.usecases.rebuild_stage import H1, H2, I1, TICK, Stage, policy
from understudy.simulation.store import InProcessStore

MINUTE = timedelta(minutes=1)
LATER = timedelta(minutes=20)


def denied(*_: object, **__: object) -> InstanceId:
    raise Forbidden("Forbidden.RAM: ecs:RunInstances")


# -- permissions ---------------------------------------------------------------------------------------------------


def test_a_forbidden_call_stops_neither_the_other_rebuilds_nor_the_look_over(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    monkeypatch.setattr(FleetInstances, "run", denied)
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(timedelta(minutes=8))
    assert stage.told(H1).count("rebuild.forbidden") == 1
    monkeypatch.setattr(stage.queue, "invoke_async", lambda *_, **__: None)  # from here the tick is all there is
    stage.pass_time(timedelta(minutes=2), ticks=False)
    stage.errors.clear()

    stage.fleet.fail(I1, event="e-i1")
    stage.tick()
    assert isinstance(stage.errors.pop(), Forbidden)  # the platform sees it
    looked_over = [one.id for one in stage.open()]
    stage.pass_time(timedelta(minutes=2), ticks=False)
    stage.tick()
    assert isinstance(stage.errors.pop(), Forbidden)
    (other,) = [one for one in stage.open() if one.subject == I1]

    assert looked_over == ["rebuild/i-app-h1/e-1", "rebuild/i-app-i1/e-i1"]
    assert "look_at" in other.result  # its steps were taken, though another one's were forbidden before


def test_what_stays_forbidden_after_the_fence_needs_an_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    monkeypatch.setattr(FleetInstances, "run", denied)
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(timedelta(minutes=30))

    (operation,) = stage.operations()
    assert operation.state is OperationState.NEEDS_OPERATOR
    assert "ecs:RunInstances" in operation.result["because"]
    assert "fence=done" in operation.result["evidence"]
    assert stage.told(H1)[-2:] == ["rebuild.forbidden", "rebuild.needs_operator"]


def test_a_role_that_is_mended_in_time_ends_in_a_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    with monkeypatch.context() as while_denied:
        while_denied.setattr(FleetInstances, "run", denied)
        stage.fleet.fail(H1)
        stage.notice()
        stage.pass_time(timedelta(minutes=12))
        assert "forbidden_since" in stage.operations()[0].result
    while not stage.fleet.replacements_of(H1):
        stage.pass_time(timedelta(seconds=1), ticks=False)
    (operation,) = stage.open()
    assert "forbidden_since" not in operation.result  # counted anew, should it come again
    stage.pass_time(timedelta(minutes=5))

    assert len(stage.fleet.replacements_of(H1)) == 1


def test_rejected_credentials_end_the_tick_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()

    def rejected(*_: object, **__: object) -> None:
        raise CredentialsRejected("InvalidSecurityToken.Expired")

    monkeypatch.setattr(FleetInventory, "system_events", rejected)
    stage.fleet.fail(H1)
    with pytest.raises(CredentialsRejected):
        stage.recover.tick(run="tick", owner="one")


def test_a_damaged_row_hides_no_other_operation() -> None:
    stage = Stage()
    stage.fleet.fail(H1)
    stage.notice()
    stage.fleet.fail(I1, event="e-i1")
    stage.notice(I1, event="e-i1")
    store = InProcessStore(stage.cloud, "understudy")
    row = store.get("operations", ("rebuild/i-app-h1/e-1",))
    assert row is not None
    damaged = replace(row, columns={**row.columns, "body": "{"})
    store.put("operations", damaged, condition=Anything())
    stage.pass_time(LATER)

    assert len(stage.fleet.replacements_of(I1)) == 1
    assert any("rebuild/i-app-h1/e-1" in str(error) for error in stage.errors)


# -- pauses and lost zones -----------------------------------------------------------------------------------------


def test_a_pause_of_hours_is_waited_out_and_told_once() -> None:
    stage = Stage()
    stage.controls.pause(Pause(scope="rebuilds", since=stage.clock.now(), because="maintenance window"))
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(timedelta(hours=3))

    assert stage.fleet.stops == []
    assert [operation.state for operation in stage.operations()] == [OperationState.OPEN]
    assert stage.told(H1).count("rebuild.waits") == 1

    stage.controls.resume("rebuilds", stage.clock.now())
    stage.pass_time(timedelta(minutes=5))
    assert len(stage.fleet.replacements_of(H1)) == 1


def test_what_stays_lost_after_its_zone_came_back_is_rebuilt() -> None:
    stage = Stage()
    stage.fleet.go_dark(ZONE_H)
    for name in (H1, H2):
        stage.fleet.fail(name, event=f"e-{name}")
        stage.notice(name, event=f"e-{name}")
    stage.pass_time(timedelta(hours=2))
    assert stage.fleet.stops == []

    for name, machine in stage.fleet.machines.items():
        if machine.shown.zone == ZONE_H:
            machine.obeys = True
            if name != H1:
                machine.serves, machine.dark, machine.serving_since = True, False, stage.clock.now()
    stage.pass_time(LATER)

    assert len(stage.fleet.replacements_of(H1)) == 1
    assert stage.fleet.replacements_of(H2) == []
    assert stage.told(H2)[-1] == "rebuild.recovered"
    assert stage.open() == []


def test_a_lost_zone_holds_up_no_rebuild_elsewhere() -> None:
    stage = Stage(rule=policy(max_at_once=1))
    stage.fleet.go_dark(ZONE_H)
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)
    stage.fleet.fail(I1, event="e-i1")
    stage.notice(I1, event="e-i1")
    stage.pass_time(LATER)

    assert len(stage.fleet.replacements_of(I1)) == 1


# -- looks that are used up ----------------------------------------------------------------------------------------


def test_looks_that_are_used_up_end_with_a_question_to_an_operator() -> None:
    stage = Stage()
    machine = stage.fleet.machines[H1]
    stage.fleet.fail(H1)
    # Its balancer has it out of rotation, yet our own probe is answered: every look finds it recovered.
    machine.serves, machine.dark, machine.serving_since = True, False, stage.clock.now() + timedelta(days=1)
    stage.pass_time(timedelta(hours=3))

    states = [operation.state for operation in stage.operations()]
    assert states.count(OperationState.NEEDS_OPERATOR) == 1
    assert len(states) == MOST_LOOKS + 1
    assert stage.told(H1)[-1] == "rebuild.needs_operator"
    assert f"{MOST_LOOKS} looks at e-1 ended without a rebuild" in stage.why(H1)

    stage.controls.acknowledge(H1, stage.clock.now())
    stage.pass_time(timedelta(minutes=10))
    assert len(stage.operations()) > MOST_LOOKS + 1


def test_what_waits_for_an_operator_is_listed_until_it_is_acknowledged() -> None:
    stage = Stage()
    stage.fleet.stock = 0
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)
    (waiting,) = stage.journal.waiting(OperationKind.REBUILD)
    assert waiting.subject == H1
    assert stage.open() == []

    stage.fleet.machines[H1].events.clear()
    stage.controls.acknowledge(waiting.id, stage.clock.now())
    stage.tick()
    assert list(stage.journal.waiting(OperationKind.REBUILD)) == []


# -- hangs without an event ----------------------------------------------------------------------------------------


def hang(stage: Stage, name: InstanceId = H1) -> None:
    stage.fleet.fail(name)
    stage.fleet.machines[name].events.clear()


def started_long_ago(stage: Stage) -> None:
    stage.pass_time(timedelta(minutes=30), ticks=False)


def test_the_tick_alone_finds_an_instance_that_hangs_without_any_event() -> None:
    stage = Stage()
    started_long_ago(stage)
    hang(stage)
    stage.pass_time(timedelta(minutes=5, seconds=30))
    assert stage.fleet.stops == []  # seen, and given its patience
    stage.pass_time(LATER)

    assert len(stage.fleet.replacements_of(H1)) == 1
    assert not stage.fleet.served_together


def test_an_alarm_and_the_tick_arrive_at_one_operation_about_a_hanging_instance() -> None:
    stage = Stage()
    started_long_ago(stage)
    hang(stage)
    stage.tick()
    stage.tick()

    assert len(stage.operations()) == 1
    assert stage.operations()[0].id.startswith("rebuild/i-app-h1/look-2026")


@pytest.mark.parametrize("why", ["just created", "no weight", "unknown health", "the whole pool is out"])
def test_the_tick_suspects_nobody_without_cause(why: str) -> None:
    stage = Stage()
    if why != "just created":
        started_long_ago(stage)
    hang(stage)
    match why:
        case "no weight":
            stage.fleet.pool[H1] = 0
        case "unknown health":
            del stage.fleet.pool[H1]
        case "the whole pool is out":
            hang(stage, H2)
            hang(stage, I1)
    stage.tick()

    assert stage.operations() == []


# -- old points ----------------------------------------------------------------------------------------------------


def test_a_usable_point_behind_many_unusable_ones_is_found() -> None:
    stage = Stage()
    old = next(iter(stage.points.of(H1)))
    for number in range(45):
        stage.point("app-h1", age=timedelta(seconds=29 * 60 - number), usable=False)
    stage.fleet.fail(H1)
    stage.notice()
    stage.pass_time(LATER)

    (new,) = stage.fleet.replacements_of(H1)
    assert [disk.name for disk in stage.fleet.machines[new].disks if disk.device == "/dev/vdb"] == [old.disks[0][1]]
    assert old.disks[0][0] == DiskId("d-app-h1-data")


# -- what a death costs --------------------------------------------------------------------------------------------


def rto_after(wire: Tripwire) -> tuple[float, Stage]:
    stage = Stage(wire=wire)
    stage.fleet.fail(H1)
    if stage.notice() is None:
        stage.notice()
    stage.pass_time(timedelta(minutes=30))
    (done,) = [one for one in stage.operations() if one.state is OperationState.DONE]
    return float(done.result["rto_seconds"]), stage


WORST_COST = TICK + timedelta(seconds=60)
"""The next tick, and one retry of a step at most."""


@pytest.mark.timeout(150)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_costs_a_rebuild_no_more_than_one_tick(capsys: pytest.CaptureFixture[str], *, after: bool) -> None:
    calm, stage = rto_after(Tripwire())
    worst, where = calm, ""
    for at in range(len(stage.wire.calls)):
        took, struck = rto_after(Tripwire(at=at, after=after))
        if took > worst:
            worst, where = took, str(struck.deaths)
    with capsys.disabled():
        print(f"\nworst RTO after one death: {worst:.0f} s ({where}), undisturbed {calm:.0f} s")

    assert worst - calm <= WORST_COST.total_seconds()
