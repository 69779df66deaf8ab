"""How a run of a plan stands, and what may begin next: values in, values out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import InstanceId, PolicyVersion
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.plan import (
    MOST_TASKS,
    Fate,
    Task,
    WaveState,
    batches,
    differs,
    judge_again,
    next_ones,
    pack,
    phases_of,
    token_of_plan,
    unpack,
)
from shared.domain.policy import PlanAction, PlanStep, RecoveryPlan, Selection, Wave
from shared.state import codec
from shared.usecases.recovery.plan_record import step_of, waves_of

NOW = datetime(2026, 3, 2, tzinfo=UTC)
STEP = PlanStep(name="db", action=PlanAction.RESTORE, select=Selection(tags={"role": "db"}), at_once=2)
LAUNCH = PlanStep(name="more", action=PlanAction.LAUNCH, family="app", amount=25, at_once=10)
WAVE = Wave(name="data", steps=(STEP,), timeout=timedelta(hours=1))
FATES = st.sampled_from(list(Fate))


def tasks(*fates: Fate) -> tuple[Task, ...]:
    return tuple(Task(key=f"i-{at}", fate=fate) for at, fate in enumerate(fates))


@pytest.mark.parametrize(
    ("fates", "expected"),
    [
        pytest.param("wwww", ["i-0", "i-1"], id="as many as allowed"),
        pytest.param("bwww", ["i-1"], id="beside one under way"),
        pytest.param("bbww", [], id="no room"),
        pytest.param("dfww", ["i-2", "i-3"], id="what has ended leaves room"),
        pytest.param("dfll", [], id="nothing left"),
    ],
)
def test_no_more_than_the_step_allows_at_once(fates: str, expected: list[str]) -> None:
    assert [one.key for one in next_ones(STEP, tasks(*map(Fate, fates)))] == expected


def test_a_launch_is_cut_into_what_may_be_under_way_at_once() -> None:
    assert batches(LAUNCH) == (10, 10, 5)
    own = tuple(Task(key=f"n-{at}", amount=amount) for at, amount in enumerate(batches(LAUNCH)))
    assert [one.key for one in next_ones(LAUNCH, own)] == ["n-0"]


def test_a_batch_that_is_larger_than_what_is_allowed_goes_alone() -> None:
    assert [one.key for one in next_ones(STEP, (Task(key="n", amount=7),))] == ["n"]


@given(st.lists(FATES, max_size=30), st.integers(1, 5))
def test_what_begins_was_waiting_and_fits(fates: list[Fate], at_once: int) -> None:
    own = tasks(*fates)
    chosen = next_ones(replace(STEP, at_once=at_once), own)
    assert all(one.fate is Fate.WAITS for one in chosen)
    under_way = sum(one.fate is Fate.BEGUN for one in own)
    assert len(chosen) == max(0, min(at_once - under_way, sum(one.fate is Fate.WAITS for one in own)))


@given(st.dictionaries(st.text(max_size=5), st.lists(st.builds(Task, key=st.text(), why=st.text(), fate=FATES))))
def test_tasks_survive_being_packed(found: dict[str, list[Task]]) -> None:
    packed = {name: tuple(own) for name, own in found.items()}
    assert unpack(pack(packed)) == packed


def test_what_vanished_is_left_out_and_what_is_new_is_not_touched() -> None:
    judged = judge_again(STEP, tasks(Fate.WAITS, Fate.WAITS), [InstanceId("i-1"), InstanceId("i-9")])
    assert [one.fate for one in judged.tasks] == [Fate.LEFT, Fate.WAITS]
    assert judged.changes == (
        "step db: no longer selected, left out: i-0",
        "step db: selected since the confirmation, not touched: i-9",
    )


def test_a_launch_has_no_selection_to_judge() -> None:
    own = (Task(key="n-1"),)
    assert judge_again(LAUNCH, own, []).tasks == own


PLAN = RecoveryPlan(name="site", waves=(WAVE, replace(WAVE, name="apps", approval=True)))


def test_a_token_says_which_wave_has_changed() -> None:
    before = token_of_plan({"data": ["a"], "apps": ["b"]})
    after = token_of_plan({"data": ["a"], "apps": ["c"]})
    assert differs(PLAN, before, before) == ""
    assert differs(PLAN, before, after) == "what it would do has changed since it was shown, in wave apps"
    assert "does not belong to this plan" in differs(PLAN, "abc", after)


def test_an_approvals_wait_is_a_phase_of_its_own() -> None:
    through = WaveState(tasks={}, first_began=NOW, ended=NOW + timedelta(minutes=1))
    names, ends = phases_of(PLAN, {"data": through, "apps": through})
    assert names == ["confirm", "data", "approve apps", "apps"]
    assert ends["approve apps"] == NOW


def test_the_row_of_the_largest_plan_stays_far_below_what_a_column_holds() -> None:
    worst = tuple(
        Task(
            key=f"i-bp{at:020d}",
            chosen=f"a-protection-with-a-long-name/hourly/2026-03-02T00:00:00Z/i-bp{at:020d}",
            fate=Fate.FAILED,
        ).failed("x" * 1_000)
        for at in range(MOST_TASKS)
    )
    state = WaveState(tasks={"db": worst}, began=NOW, targets=tuple(InstanceId(one.key) for one in worst))
    operation = Operation(
        id="plan/site/x",  # type: ignore[arg-type]  # a plain text is enough here
        kind=OperationKind.PLAN,
        subject="plan site",
        state=OperationState.OPEN,
        created=NOW,
        policy=PolicyVersion(1),
        because="",
        inputs={},
        steps=(step_of("data", state, NOW),),
    )
    assert len(codec.dump(operation).encode()) < 1_500_000 < 2 * 1024 * 1024
    assert waves_of(operation)["data"] == state
