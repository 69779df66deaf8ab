"""Recovery plans: databases before applications, and an operator wherever one is needed."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import BadInput
from shared.domain.ids import DiskId, InstanceId
from shared.domain.operation import OperationKind
from shared.domain.plan import Fate
from shared.domain.policy import PlanAction, PlanStep, Selection, Wave
from shared.domain.preview import Check
from shared.state import codec
from shared.state.controls import Controls, Pause
from shared.state.points import Points
from shared.usecases.recovery.recovery_requests import PlanRequest, RestoreRequest
from shared.usecases.status import _operation as operation_view
from tests.usecases.plan_world import APPS, DATA, DB, TAKES, WEB_1, WEB_2, PlanWorld, plan_policy
from tests.usecases.recovery_world import LB

# -- the whole way ---------------------------------------------------------------------------------------------------


def test_databases_come_before_applications() -> None:
    world = PlanWorld()
    run = world.run_plan()
    world.run_recovery(minutes=10)

    assert world.state(run) == "done"
    restore = world.operations(OperationKind.RESTORE)
    rebuilds, launches = world.operations(OperationKind.REBUILD), world.operations(OperationKind.LAUNCH)
    assert [one.subject for one in restore] == [DB]
    assert sorted(one.subject for one in rebuilds) == [WEB_1, WEB_2]
    assert len(launches) == 1
    assert all(one.created >= restore[0].created + TAKES for one in (*rebuilds, *launches))
    assert sorted(world.told("plan site")) == sorted(
        ["plan.requested", "plan.confirmed", *2 * ["plan.wave_begun", "plan.wave_through"], "plan.done"]
    )


def test_its_phases_are_its_waves_and_sum_to_the_total() -> None:
    world = PlanWorld()
    run = world.run_plan()
    world.run_recovery(minutes=10)

    result = world.operation(run).result
    phases = json.loads(result["phases"])
    assert list(phases) == ["confirm", "data", "apps"]
    assert sum(phases.values()) == pytest.approx(float(result["rto_seconds"]), abs=0.2)
    assert phases["data"] >= TAKES.total_seconds()


# -- confirmation ----------------------------------------------------------------------------------------------------


def test_what_has_changed_since_it_was_shown_is_refused_and_said_by_wave() -> None:
    world = PlanWorld()
    token = world.shown().token
    world.point(DB, DiskId("d-db-data"), age=timedelta(minutes=1))
    run = world.run_plan(confirm=token)
    world.run_recovery(minutes=1)

    assert world.state(run) == "refused"
    assert "has changed since it was shown, in wave data. Nothing was begun" in world.said()
    assert world.children() == []


def test_a_token_of_nothing_is_refused() -> None:
    world = PlanWorld()
    run = world.run_plan(confirm="yes")
    world.run_recovery(minutes=1)

    assert "the token does not belong to this plan" in world.said()
    assert world.state(run) == "refused"


def test_the_token_is_the_same_whoever_asks_and_whenever() -> None:
    world = PlanWorld()
    first = world.shown().token
    world.advance(seconds=90)

    assert world.shown().token == first


def test_without_a_token_nothing_is_opened() -> None:
    world = PlanWorld()
    with pytest.raises(BadInput, match="plan show site"):
        world.run_plan(confirm="")
    assert world.operations(OperationKind.PLAN) == []


def test_a_plan_that_the_policy_does_not_have_is_named_with_those_it_has() -> None:
    world = PlanWorld()
    with pytest.raises(BadInput, match=r"plan 'sites' is not in policy 1; it has: site"):
        world.shown(plan="sites")


def test_one_run_of_a_plan_at_a_time() -> None:
    world = PlanWorld()
    first = world.run_plan()
    world.advance(seconds=5)
    with pytest.raises(BadInput, match="is under way: one run of a plan at a time"):
        world.run_plan()
    world.run_recovery(minutes=10)
    assert world.state(first) == "done"


def test_a_check_that_a_child_would_fail_stops_the_plan_before_it_begins() -> None:
    world = PlanWorld()
    world.checks[WEB_2] = Check(name="image usable", ok=False, says="the newest of web is creating", remedy="Wait")
    shown = world.shown()
    assert not shown.may_start
    assert shown.refusals == ("rebuild i-web-2: image usable: the newest of web is creating. Wait.",)

    run = world.run_plan()
    world.run_recovery(minutes=1)
    assert world.state(run) == "refused"
    assert world.children() == []


# -- points of one moment ---------------------------------------------------------------------------------------------

AT = replace(DATA, steps=(replace(DATA.steps[0], point="at"),))


def test_a_wave_goes_back_to_one_moment() -> None:
    world = PlanWorld(plan_policy(AT))
    moment = world.clock.now() - timedelta(minutes=90)
    older = world.point(DB, DiskId("d-db-data"), age=timedelta(hours=2))
    world.point(DB, DiskId("d-db-data"), age=timedelta(minutes=95), usable=False)
    run = world.run_plan(at=moment)
    world.run_recovery(minutes=10)

    assert world.state(run) == "done"
    assert world.wave(run, "data").tasks["db"][0].chosen == older


def test_an_instance_without_a_point_of_that_time_fails_a_check() -> None:
    world = PlanWorld(plan_policy(AT))
    shown = world.shown(at=world.clock.now() - timedelta(days=1))

    assert shown.refusals == (
        "wave data, step db: restore points: 1 have no usable restore point taken at 2026-03-01T00:00:00Z or before: "
        "i-db. Name a later moment with --at.",
    )


def test_a_plan_that_needs_a_moment_asks_for_it() -> None:
    world = PlanWorld(plan_policy(AT))
    assert any("Add --at" in one for one in world.shown().refusals)


def test_a_moment_to_come_is_refused() -> None:
    world = PlanWorld(plan_policy(AT))
    shown = world.shown(at=world.clock.now() + timedelta(hours=1))
    assert any("has not come yet" in one for one in shown.refusals)


def test_a_safety_point_or_a_copy_is_not_what_a_plan_goes_back_to() -> None:
    world = PlanWorld()
    before = world.shown().token
    world.point(DB, DiskId("d-db-data"), age=timedelta(minutes=2), protection="safety")
    world.point(DB, DiskId("d-db-data"), age=timedelta(minutes=3), copy_of="x")

    assert world.shown().token == before


def test_a_point_that_is_pruned_before_its_wave_begins_fails_its_child() -> None:
    world = PlanWorld(plan_policy(replace(DATA, approval=True)))
    run = world.run_plan()
    world.run_recovery(minutes=1)
    Points(world.store).forget([one for one in world.points() if one.subject == DB])
    world.ask().approve(run, "", by="bob", run="run")
    world.run_recovery(minutes=5)

    assert world.state(run) == "needs_operator"
    assert "is gone" in world.said()


# -- approval ---------------------------------------------------------------------------------------------------------

APPROVED = plan_policy(DATA, replace(APPS, approval=True))


def test_a_wave_waits_for_an_operator_who_is_named() -> None:
    world = PlanWorld(APPROVED)
    run = world.run_plan()
    world.run_recovery(hours=2)
    assert world.state(run) == "open"
    assert f"understudy plan approve {run} apps" in world.said()
    assert world.told("plan site").count("plan.waits") == 1

    answer = world.ask().approve(run, "", by="bob", run="run")
    assert answer["approved"] == "apps"
    world.run_recovery(minutes=10)

    assert world.state(run) == "done"
    state = world.wave(run, "apps")
    assert (state.approved_by, state.approved) == ("bob", codec.instant(str(answer["at"])))
    assert "approve apps" in world.operation(run).result["phases"]


def test_a_wave_may_be_approved_ahead_of_time_and_once() -> None:
    world = PlanWorld(APPROVED)
    run = world.run_plan()
    world.ask().approve(run, "apps", by="bob", run="run")
    again = world.ask().approve(run, "apps", by="eve", run="run")
    assert again["by"] == "bob"
    world.run_recovery(minutes=10)

    assert world.state(run) == "done"


def test_what_needs_no_approval_cannot_be_approved() -> None:
    world = PlanWorld(APPROVED)
    run = world.run_plan()
    with pytest.raises(BadInput, match="these need an approval: apps"):
        world.ask().approve(run, "data", by="bob", run="run")
    with pytest.raises(BadInput, match="no run of a plan"):
        world.ask().approve("plan/site/yesterday", "", by="bob", run="run")


# -- the gate ---------------------------------------------------------------------------------------------------------


def test_applications_wait_until_the_databases_answer() -> None:
    world = PlanWorld()
    world.sick.add(DB)
    run = world.run_plan()
    world.run_recovery(minutes=3)
    assert world.operations(OperationKind.REBUILD) == []

    world.sick.clear()
    world.run_recovery(minutes=10)
    assert world.state(run) == "done"


def test_a_gate_that_nobody_passes_asks_an_operator_who_lets_it_go_on() -> None:
    world = PlanWorld()
    world.sick.add(DB)
    run = world.run_plan()
    world.run_recovery(minutes=15)
    assert world.state(run) == "needs_operator"
    assert "its gate is not through after 300 s, 1 of 1 instances do not answer: i-db on 10.0.1.21" in world.why(
        "plan site"
    )
    assert world.operations(OperationKind.REBUILD) == []

    world.sick.clear()
    world.ask().resume(run, without_failed=False, by="bob", run="run")
    world.run_recovery(minutes=10)
    assert world.state(run) == "done"
    assert len(world.operations(OperationKind.RESTORE)) == 1, "what was done is not done again"


def test_the_balancers_word_counts_where_it_is_known() -> None:
    world = PlanWorld(plan_policy(replace(APPS, steps=APPS.steps[:1], gate=DATA.gate)))
    world.cloud.slb.get(LB).backends.pop(WEB_1)
    run = world.run_plan()
    world.run_recovery(minutes=5)
    assert world.state(run) == "done", "one that is not behind it needs no word of it"


# -- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["refused", "needs operator"])
def test_a_child_that_fails_lets_its_wave_end_and_stops_the_next_one(end: str) -> None:
    both = replace(DATA, steps=(replace(DATA.steps[0], select=Selection(ids=(DB, WEB_1)), at_once=1),), gate=None)
    world = PlanWorld(plan_policy(both, APPS))
    world.ends[DB] = end
    run = world.run_plan()
    world.run_recovery(minutes=10)

    assert world.state(run) == "needs_operator"
    fates = {one.key: one.fate for one in world.wave(run, "data").all()}
    assert fates == {DB: Fate.FAILED, WEB_1: Fate.DONE}
    assert world.operations(OperationKind.REBUILD) == []
    assert "wave data is not through: 1 done, 1 failed" in world.said()


def test_a_resumed_run_tries_only_what_failed_with_a_new_operation() -> None:
    world = PlanWorld()
    world.ends[WEB_2] = "refused"
    run = world.run_plan()
    world.run_recovery(minutes=10)
    assert world.state(run) == "needs_operator"

    world.ends.clear()
    assert world.ask().resume(run, without_failed=False, by="bob", run="run")["resumed"] is True
    assert world.ask().resume(run, without_failed=False, by="bob", run="run")["resumed"] is False
    world.run_recovery(minutes=10)

    assert world.state(run) == "done"
    tried = sorted(one.subject for one in world.operations(OperationKind.REBUILD))
    assert tried == [WEB_1, WEB_2, WEB_2]


def test_a_resumed_run_may_leave_out_what_failed() -> None:
    world = PlanWorld()
    world.ends[WEB_2] = "refused"
    run = world.run_plan()
    world.run_recovery(minutes=10)
    world.ask().resume(run, without_failed=True, by="bob", run="run")
    world.run_recovery(minutes=10)

    assert world.state(run) == "done"
    assert "1 left out" in world.operation(run).result["because"]


def test_a_wave_that_takes_too_long_asks_an_operator_and_begins_nothing_more() -> None:
    slow = replace(DATA, steps=(replace(DATA.steps[0], select=Selection(ids=(DB, WEB_1)), at_once=1),))
    world = PlanWorld(plan_policy(slow, APPS))
    world.ends[DB] = "hangs"
    run = world.run_plan()
    world.run_recovery(minutes=45)

    assert world.state(run) == "needs_operator"
    assert "not through after 1800 s: 1 under way, 1 not begun. What is under way goes on by itself" in world.why(
        "plan site"
    )
    assert [one.subject for one in world.operations(OperationKind.RESTORE)] == [DB]

    world.ends.clear()
    world.ask().resume(run, without_failed=False, by="bob", run="run")
    world.run_recovery(minutes=10)
    assert world.state(run) == "done"


def test_a_pause_of_everything_holds_it_up_until_it_is_over() -> None:
    world = PlanWorld()
    Controls(world.store).pause(Pause(scope="all", since=world.clock.now(), because="freeze week"))
    run = world.run_plan()
    world.run_recovery(minutes=10)
    assert world.children() == []
    assert "all is paused: freeze week" in world.said()

    Controls(world.store).resume("all", world.clock.now())
    world.run_recovery(minutes=10)
    assert world.state(run) == "done"


# -- abort ------------------------------------------------------------------------------------------------------------


def test_an_aborted_run_begins_nothing_more_and_says_what_stands() -> None:
    world = PlanWorld()
    run = world.run_plan()
    world.advance(seconds=20)
    world.ask().abort(run, because="wrong moment", by="bob", run="run")
    world.run_recovery(minutes=10)

    result = world.operation(run).result
    assert (world.state(run), result["outcome"]) == ("done", "aborted")
    assert result["because"] == "aborted by bob: wrong moment. wave data: 1 done. wave apps: not begun (4 instances)"
    assert world.operations(OperationKind.REBUILD) == []


def test_a_stopped_run_can_be_aborted() -> None:
    world = PlanWorld()
    world.ends[DB] = "refused"
    run = world.run_plan()
    world.run_recovery(minutes=10)
    world.ask().abort(run, because="", by="bob", run="run")
    world.run_recovery(minutes=1)

    assert world.operation(run).result["outcome"] == "aborted"
    assert world.run_plan() != run, "the plan can be run anew"


def test_what_has_ended_can_be_neither_aborted_nor_resumed() -> None:
    world = PlanWorld()
    run = world.run_plan()
    world.run_recovery(minutes=10)
    with pytest.raises(BadInput, match="has ended already"):
        world.ask().abort(run, because="", by="bob", run="run")
    with pytest.raises(BadInput, match="only a run that needs an operator"):
        world.ask().resume(run, without_failed=False, by="bob", run="run")


# -- the world changes meanwhile --------------------------------------------------------------------------------------


def test_what_vanished_is_left_out_and_what_is_new_is_not_touched_and_both_are_told() -> None:
    everybody = PlanStep(name="web", action=PlanAction.RESTORE, select=Selection(tags={"role": "web"}))
    world = PlanWorld(plan_policy(DATA, Wave(name="apps", steps=(everybody,), timeout=timedelta(hours=1))))
    run = world.run_plan()
    world.advance(seconds=20)
    world.cloud.ecs.instances[WEB_2].tags.clear()
    world.cloud.ecs.instances[DB].tags["role"] = "web"
    world.run_recovery(minutes=10)

    assert world.state(run) == "done"
    fates = {one.key: one.fate for one in world.wave(run, "apps").all()}
    assert fates == {WEB_1: Fate.DONE, WEB_2: Fate.LEFT}
    told = world.operation(run).result["because"]
    assert "no longer selected, left out: i-web-2" in told
    assert "selected since the confirmation, not touched: i-db" in told


def test_a_selection_that_became_empty_is_no_reason_to_go_on() -> None:
    world = PlanWorld()
    run = world.run_plan()
    world.advance(seconds=20)
    for one in (WEB_1, WEB_2):
        world.cloud.ecs.instances[one].tags.clear()
    world.run_recovery(minutes=10)

    assert world.state(run) == "needs_operator"
    assert "nothing of what was confirmed is selected any more" in world.said()


def test_it_runs_on_the_policy_that_it_was_confirmed_with() -> None:
    world = PlanWorld()
    run = world.run_plan()
    world.advance(seconds=20)
    world.apply(plan_policy(DATA))
    world.run_recovery(minutes=10)

    assert world.state(run) == "done"
    assert {one.policy for one in world.operations(OperationKind.REBUILD)} == {1}


def test_a_policy_that_changed_between_look_and_run_is_refused() -> None:
    world = PlanWorld()
    token = world.shown().token
    world.apply(plan_policy(DATA, replace(APPS, timeout=timedelta(hours=3))))
    run = world.run_plan(confirm=token)
    world.run_recovery(minutes=1)

    assert world.operation(run).policy == 2
    assert "in wave apps" in world.said()


def test_an_instance_in_two_steps_of_one_kind_is_refused() -> None:
    twice = replace(DATA, name="again", steps=(replace(DATA.steps[0], select=Selection(ids=(DB,))),))
    world = PlanWorld(plan_policy(DATA, twice))
    assert "restore i-db once: 2 steps would restore i-db. Take it out of all steps but one." in world.shown().refusals


def test_nobody_elses_operation_is_taken_for_ours() -> None:
    world = PlanWorld()
    run = world.run_plan()
    # Somebody restores the database in the very second for which the plan would.
    before = world.operation(run)
    asked = PlanRequest.of(before).asked
    place = world.plan_preview().children.place
    other = RestoreRequest(place=place, instance=InstanceId(DB), disks=(), asked=asked, by="eve", confirm=DB)
    world.start(other.operation(policy=before.policy, now=world.clock.now(), because="by hand"))
    world.run_recovery(minutes=5)

    assert world.state(run) == "needs_operator"
    assert "was opened by somebody else" in world.operation(run).result["evidence"]


def test_a_page_shows_how_far_a_running_plan_is() -> None:
    world = PlanWorld()
    run = world.run_plan()
    world.advance(seconds=20)

    (shown,) = [operation_view(one, "") for one in world.operations(OperationKind.PLAN)]
    assert shown.id == run
    assert shown.steps == ("wave data: 1 under way", "wave apps: not begun (4 instances)")


def test_what_a_stopped_run_had_opened_and_nobody_begun_is_begun_when_it_goes_on() -> None:
    world = PlanWorld(plan_policy(DATA))
    small = world.recipes.pop(OperationKind.RESTORE)  # as if every invocation of a child were lost
    run = world.run_plan()
    world.run_recovery(minutes=40)
    assert world.state(run) == "needs_operator"

    world.recipes[OperationKind.RESTORE] = small
    world.run_recovery(minutes=6)
    (child,) = world.operations(OperationKind.RESTORE)
    assert child.state.value == "refused"
    assert "begins it no more: that has ended (needs_operator)" in child.result["because"]
    assert world.ask().resume(run, without_failed=False, by="bob", run="run")["resumed"]
    world.run_recovery(minutes=15)

    assert world.state(run) == "done"
    assert world.wave(run, "data").tasks["db"][0].attempt == 2
