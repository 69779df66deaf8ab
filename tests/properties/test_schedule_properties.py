"""A year of hourly ticks, cut anywhere, in zones with every kind of daylight saving."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.catch_up import catch_up
from shared.domain.policy import Schedule
from shared.domain.schedule import due_slots

ZONES = (
    "UTC",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
    "Africa/Casablanca",
)
YEAR = datetime(2026, 1, 1, tzinfo=UTC)
MINUTES = st.integers(0, 366 * 24 * 60)
SCHEDULES = st.builds(
    Schedule,
    name=st.just("s"),
    hours=st.sets(st.integers(0, 23), min_size=1).map(lambda hours: tuple(sorted(hours))),
    weekdays=st.sets(st.integers(1, 7), min_size=1).map(lambda days: tuple(sorted(days))),
    zone=st.sampled_from(ZONES),
    minute=st.sampled_from([0, 0, 15, 30, 59]),
)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/Santiago"])
def test_hourly_ticks_over_a_year_find_every_slot_exactly_once(zone: str) -> None:
    hourly = Schedule(name="s", hours=tuple(range(24)), weekdays=tuple(range(1, 8)), zone=zone)
    ticks = [YEAR + timedelta(hours=hour, minutes=7) for hour in range(365 * 24 + 1)]

    found = [slot for earlier, later in pairwise(ticks) for slot in due_slots(hourly, after=earlier, until=later)]

    assert tuple(found) == due_slots(hourly, after=ticks[0], until=ticks[-1])
    assert len(set(found)) == len(found)


@settings(max_examples=60, deadline=None)
@given(SCHEDULES, st.lists(MINUTES, min_size=2, max_size=8))
def test_cutting_an_interval_anywhere_gives_the_same_slots(schedule: Schedule, minutes: list[int]) -> None:
    cuts = [YEAR + timedelta(minutes=minute) for minute in sorted(minutes)]

    parts = [slot for earlier, later in pairwise(cuts) for slot in due_slots(schedule, after=earlier, until=later)]

    assert tuple(parts) == due_slots(schedule, after=cuts[0], until=cuts[-1])


@settings(max_examples=60, deadline=None)
@given(SCHEDULES, MINUTES, st.integers(1, 60 * 24 * 60))
def test_slots_ascend_and_lie_in_their_interval(schedule: Schedule, start: int, length: int) -> None:
    after = YEAR + timedelta(minutes=start)
    until = after + timedelta(minutes=length)

    slots = due_slots(schedule, after=after, until=until)

    assert list(slots) == sorted(set(slots))
    assert all(after < slot <= until for slot in slots)


@settings(max_examples=100, deadline=None)
@given(st.lists(MINUTES, max_size=20), MINUTES, st.integers(0, 600))
def test_every_due_slot_ends_in_exactly_one_way(minutes: list[int], now: int, punctual: int) -> None:
    due = [YEAR + timedelta(minutes=minute) for minute in minutes]
    moment = YEAR + timedelta(minutes=now)

    decided = catch_up(due, now=moment, punctual=timedelta(minutes=punctual), each_within=timedelta.max)

    ends = [one.since for one in decided.skipped] + ([decided.run] if decided.run else [])
    assert sorted(ends) == sorted({slot for slot in due if slot <= moment})
