"""Recovery plans where something does not answer, answers too little, or two operators act at once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import Retryable
from shared.domain.ids import OperationId
from shared.domain.operation import Operation, OperationKind
from shared.domain.policy import PlanAction, PlanStep, Policy, Selection
from shared.state.journal import Journal
from tests.usecases.plan_world import APPS, DATA, DB, WEB_1, WEB_2, PlanWorld, plan_policy, subject_of

GATED = replace(APPS, gate=DATA.gate)
WEBS = replace(GATED, steps=APPS.steps[:1])
LAUNCH = replace(GATED, steps=APPS.steps[1:])


class Mute:
    """A balancer, or whatever is asked, that gives no answer."""

    def __init__(self, real: Any, *names: str) -> None:
        self._real = real
        self._names = names

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            return getattr(self._real, name)

        def mute(*_: object, **__: object) -> Any:
            raise Retryable("no answer")

        return mute


# -- the gate ----------------------------------------------------------------------------------------------------------


def test_a_balancer_that_cannot_be_read_is_no_yes_and_ends_with_the_gates_time() -> None:
    world = PlanWorld(plan_policy(WEBS))
    speaks, world.balancer = world.balancer, Mute(world.balancer, "health")
    run = world.run_plan()
    world.run_recovery(minutes=3)
    assert world.state(run) == "open"

    world.run_recovery(minutes=10)
    assert world.state(run) == "needs_operator"
    assert "cannot be asked: no answer" in world.why("plan site")

    world.balancer = speaks
    world.ask().resume(run, without_failed=False, by="bob", run="run")
    world.run_recovery(minutes=5)
    assert world.state(run) == "done"


def test_new_instances_that_the_cloud_does_not_show_are_waited_for_and_not_taken_as_passed() -> None:
    world = PlanWorld(plan_policy(LAUNCH))
    run = world.run_plan()  # of the small launch, nothing is ever shown
    world.run_recovery(minutes=10)
    assert world.state(run) == "open"

    world.run_recovery(minutes=40)
    assert world.state(run) == "needs_operator"
    assert "2 new instances of 2 are not shown by the cloud" in world.why("plan site")


def test_what_a_rebuild_found_alive_is_asked_at_the_gate_like_the_others() -> None:
    world = PlanWorld(plan_policy(WEBS))
    world.ends |= {WEB_1: "alive", WEB_2: "alive"}
    world.sick.add(WEB_2)
    run = world.run_plan()
    world.run_recovery(minutes=12)

    assert world.state(run) == "needs_operator"
    assert set(world.wave(run, "apps").targets) == {WEB_1, WEB_2}


# -- what was confirmed ------------------------------------------------------------------------------------------------


def with_rule(policy: Policy, **changed: Any) -> Policy:
    (rule,) = policy.rebuilds
    return replace(policy, rebuilds=(replace(rule, **changed),))


@pytest.mark.parametrize("changed", [{"image_family": "other"}, {"instance_types": ("ecs.g7.large",)}])
def test_another_rebuild_rule_than_the_one_shown_is_refused(changed: dict[str, Any]) -> None:
    world = PlanWorld(plan_policy(DATA, WEBS))
    token = world.shown().token
    world.apply(with_rule(plan_policy(DATA, WEBS), **changed))
    run = world.run_plan(confirm=token)
    world.run_recovery(minutes=1)

    assert world.state(run) == "refused"
    assert "has changed since it was shown, in wave apps. Nothing was begun" in world.said()


def test_a_limit_of_rebuilds_that_nobody_asked_for_is_no_other_plan() -> None:
    world = PlanWorld(plan_policy(DATA, WEBS))
    token = world.shown().token
    world.apply(with_rule(plan_policy(DATA, WEBS), max_at_once=7, max_per_hour=7))
    run = world.run_plan(confirm=token)
    world.run_recovery(minutes=10)

    assert world.state(run) == "done"


def test_one_instance_in_two_steps_of_one_wave_is_refused_as_they_would_meet() -> None:
    both = replace(
        WEBS, steps=(*WEBS.steps, PlanStep(name="x", action=PlanAction.RESTORE, select=Selection(ids=(WEB_1,))))
    )
    refusals = PlanWorld(plan_policy(both)).shown().refusals

    assert any("i-web-1" in one and "side by side" in one for one in refusals), refusals
    apart = replace(both, name="later", steps=both.steps[1:])
    assert PlanWorld(plan_policy(WEBS, apart)).shown().may_start, "one after the other is well"


def test_what_is_shown_is_what_is_done() -> None:
    world = PlanWorld()
    shown = world.shown()
    run = world.run_plan(confirm=shown.token)
    world.run_recovery(minutes=10)

    assert world.state(run) == "done"
    done = [*world.operations(OperationKind.RESTORE), *world.operations(OperationKind.REBUILD)]
    done += world.operations(OperationKind.LAUNCH)
    done.sort(key=lambda one: one.created)
    subjects = [subject_of(one.kind, one.inputs["request"]) for one in done]
    named = [one.subject for one in shown.actions if not one.subject.startswith("every instance")]
    assert len(named) == len(subjects)
    assert all(any(subject in name for name in named) for subject in subjects)
    (restored,) = world.operations(OperationKind.RESTORE)
    (action,) = [one for one in shown.actions if DB in one.subject]
    assert restored.inputs["request"].count("servers/hourly/") >= 1
    point = action.does.split("(")[-1].rstrip(")")
    assert point in restored.inputs["request"]
    order = [next(one.wave for one in shown.actions if subject in one.subject) for subject in subjects]
    assert order == sorted(order), "in the order of the waves"


# -- two operators -----------------------------------------------------------------------------------------------------


def stopped() -> tuple[PlanWorld, Any]:
    world = PlanWorld()
    world.ends[DB] = "refused"
    run = world.run_plan()
    world.run_recovery(minutes=10)
    assert world.state(run) == "needs_operator"
    world.ends.clear()
    return world, run


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """`act` happens right before the next run is opened again."""
    real = Journal.reopen

    def reopen(self: Journal, operation: Operation) -> Operation:
        monkeypatch.setattr(Journal, "reopen", real)
        act()
        return real(self, operation)

    monkeypatch.setattr(Journal, "reopen", reopen)


def test_an_abort_counts_though_somebody_else_resumed_the_run_in_the_same_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, run = stopped()
    meanwhile(monkeypatch, lambda: world.ask().resume(run, without_failed=False, by="ada", run="run"))
    answer = world.ask().abort(run, because="no", by="bob", run="run")
    world.run_recovery(minutes=5)

    assert answer["by"] == "bob"
    assert world.operation(run).result["outcome"] == "aborted"
    assert world.operations(OperationKind.REBUILD) == []


def test_two_who_resume_it_in_the_same_moment_resume_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world, run = stopped()
    meanwhile(monkeypatch, lambda: world.ask().resume(run, without_failed=False, by="ada", run="run"))
    with pytest.raises(Exception, match=r"has changed meanwhile\. Look at it"):
        world.ask().resume(run, without_failed=True, by="bob", run="run")
    world.run_recovery(minutes=10)

    assert world.state(run) == "done"
    assert len(world.operations(OperationKind.RESTORE)) == 2, "ada's word: tried again, once"


def test_two_runs_asked_for_in_the_same_moment_are_one() -> None:
    world = PlanWorld()
    token, asked = world.shown().token, world.clock.now().replace(microsecond=0)
    first = world.ask().run("site", confirm=token, by="ada", at=None, asked=asked, run="run")
    later = world.ask()
    later._subjects = type("Nobody", (), {"holder": lambda self, subject: None})()
    second = later.run("site", confirm=token, by="bob", at=None, asked=asked + timedelta(seconds=1), run="run")
    world.run_recovery(minutes=10)

    ends = {world.state(OperationId(str(one["operation"]))) for one in (first, second)}
    assert ends == {"done", "refused"}
    assert len(world.operations(OperationKind.RESTORE)) == 1


def test_an_operation_that_an_operator_acknowledged_is_tried_anew_when_the_run_goes_on() -> None:
    world = PlanWorld()
    world.ends[DB] = "needs operator"
    run = world.run_plan()
    world.run_recovery(minutes=5)
    (child,) = world.operations(OperationKind.RESTORE)
    world.ends.clear()

    world.ask().resume(run, without_failed=False, by="bob", run="run")
    world.run_recovery(minutes=5)
    assert world.state(run) == "needs_operator", "the first one still holds the instance"

    world.command(command="acknowledge", subject=child.id, by="bob")
    world.ask().resume(run, without_failed=False, by="bob", run="run")
    world.run_recovery(minutes=10)
    assert world.state(run) == "done"
