"""What becomes of due times that nobody acted on: excuses, waiting in a blackout, and stretches."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.catch_up import CatchUp, Stretch, catch_up

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hours_ago(*numbers: int) -> list[datetime]:
    return [NOON - number * HOUR for number in numbers]


def test_an_excused_slot_does_not_run_though_it_is_the_newest() -> None:
    (old, new) = hours_ago(2, 0)

    decided = catch_up([old, new], now=NOON, punctual=HOUR, excuse=lambda slot: "paused" if slot == new else None)

    assert decided.run == old
    assert decided.late
    assert decided.skipped == (Stretch(since=new, until=new, count=1, because="paused"),)
    assert decided.seen == new


def test_when_every_slot_is_excused_nothing_runs_and_all_is_accounted_for() -> None:
    due = hours_ago(2, 1, 0)

    decided = catch_up(due, now=NOON, punctual=HOUR, excuse=lambda _: "paused")

    assert decided == CatchUp(skipped=(Stretch(since=due[0], until=due[2], count=3, because="paused"),), seen=NOON)


def test_while_nothing_may_begin_a_slot_that_ought_to_run_waits_and_nothing_is_decided() -> None:
    decided = catch_up(hours_ago(2, 0), now=NOON, punctual=HOUR, excuse=_only_noon, closed=True)

    assert decided == CatchUp()


def test_while_nothing_may_begin_slots_that_need_not_run_are_accounted_for() -> None:
    decided = catch_up(hours_ago(0), now=NOON, punctual=HOUR, excuse=_only_noon, closed=True)

    assert decided.run is None
    assert decided.seen == NOON


def test_a_stretch_ends_where_its_reason_does_and_where_a_slot_ran() -> None:
    due = hours_ago(5, 4, 3, 2, 1)
    dark = due[3:]

    decided = catch_up(due, now=NOON, punctual=HOUR, excuse=lambda slot: "dark" if slot in dark else None)

    assert decided.run == due[2]
    assert [(one.since, one.until, one.count) for one in decided.skipped] == [
        (due[0], due[1], 2),
        (due[3], due[4], 2),
    ]


def test_one_reason_on_both_sides_of_the_slot_that_runs_makes_two_stretches() -> None:
    due = hours_ago(3, 2, 1)
    missed = catch_up(due, now=NOON, punctual=HOUR).skipped[0].because

    decided = catch_up(due, now=NOON, punctual=HOUR, excuse=lambda slot: None if slot == due[1] else missed)

    assert [(one.since, one.count) for one in decided.skipped] == [(due[0], 1), (due[2], 1)]


def test_recent_slots_are_told_one_by_one() -> None:
    due = hours_ago(9, 8, 7, 3, 2, 1, 0)

    decided = catch_up(due, now=NOON, punctual=HOUR, each_within=4 * HOUR)

    assert [one.count for one in decided.skipped] == [3, 1, 1, 1]


@given(
    st.lists(st.integers(0, 200), max_size=60),
    st.sets(st.integers(0, 200)),
    st.integers(0, 200),
    st.booleans(),
)
def test_stretches_hold_every_slot_once_and_nothing_else(
    ago: list[int], excused: set[int], each_within: int, closed: bool
) -> None:
    due = sorted({NOON - number * HOUR for number in ago})
    dark = {NOON - number * HOUR for number in excused}

    decided = catch_up(
        due,
        now=NOON,
        punctual=HOUR,
        excuse=lambda slot: "dark" if slot in dark else None,
        closed=closed,
        each_within=each_within * HOUR,
    )

    if decided.seen is None:
        assert not due or (closed and set(due) - dark)
        return
    told = [slot for one in decided.skipped for slot in due if one.since <= slot <= one.until]
    assert sorted([*told, *([decided.run] if decided.run else [])]) == due
    assert sum(one.count for one in decided.skipped) == len(told)
    assert decided.run not in dark
    assert decided.run == max(set(due) - dark, default=None)


def _only_noon(slot: datetime) -> str | None:
    return "dark" if slot == NOON else None
