"""A year of hourly ticks, cut anywhere, in zones with every kind of daylight saving."""

import zoneinfo
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.catch_up import catch_up
from shared.domain.policy import Schedule
from shared.domain.schedule import due_slots, is_ever_due

ZONES = (
    "UTC",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "America/Havana",
    "Asia/Beirut",
    "America/Scoresbysund",
    "Pacific/Chatham",
    "America/St_Johns",
    "Antarctica/Troll",
)
"""Midnight does not exist once a year in Santiago, Havana and Beirut, and comes twice in Scoresbysund and Beirut; Lord
Howe moves by half an hour, Troll by two; Chatham and Kathmandu lie at three quarters of an hour."""
YEAR = datetime(2026, 1, 1, tzinfo=UTC)
MINUTES = st.integers(0, 366 * 24 * 60)
SCHEDULES = st.builds(
    Schedule,
    name=st.just("s"),
    hours=st.sets(st.integers(0, 23), min_size=1).map(lambda hours: tuple(sorted(hours))),
    weekdays=st.sets(st.integers(1, 7), min_size=1).map(lambda days: tuple(sorted(days))),
    zone=st.sampled_from(ZONES),
    minute=st.sampled_from([0, 0, 15, 30, 59]),
    every=st.sampled_from([None, *(timedelta(minutes=n) for n in (5, 12, 15, 45, 60, 90, 120, 240, 360, 720, 1440))]),
).filter(is_ever_due)


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


def _every(minutes: int, zone: str, **how: object) -> Schedule:
    always: dict[str, object] = {"hours": tuple(range(24)), "weekdays": tuple(range(1, 8))}
    return Schedule(name="s", zone=zone, every=timedelta(minutes=minutes), **{**always, **how})  # type: ignore[arg-type]


@pytest.mark.parametrize("minutes", [5, 45, 60, 90, 120, 360, 720, 1440])
@pytest.mark.parametrize("zone", ZONES)
def test_slots_of_an_interval_are_never_further_apart_than_it(zone: str, minutes: int) -> None:
    for minute in (0, 29, 59):
        slots = due_slots(_every(minutes, zone, minute=minute), after=YEAR, until=YEAR + timedelta(days=366))

        assert max(later - earlier for earlier, later in pairwise(slots)) == timedelta(minutes=minutes)


def test_no_zone_of_the_world_leaves_a_longer_hole_or_a_day_without_its_slots() -> None:
    for zone in sorted(zoneinfo.available_timezones()):
        slots = due_slots(_every(360, zone), after=YEAR, until=YEAR + timedelta(days=366))

        assert max(later - earlier for earlier, later in pairwise(slots)) == timedelta(hours=6), zone
        days = {slot.astimezone(ZoneInfo(zone)).date() for slot in slots}
        assert len(days) >= 365, zone


@settings(max_examples=150, deadline=None)
@given(SCHEDULES, st.integers(0, 365), st.integers(1, 40))
def test_due_times_agree_with_a_watcher_that_looks_at_the_clock_every_minute(
    schedule: Schedule, day: int, hours: int
) -> None:
    after = YEAR + timedelta(days=day)
    until = after + timedelta(hours=hours)

    assert set(due_slots(schedule, after=after, until=until)) == set(_watched(schedule, after, until))


@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=8, deadline=None)
@given(SCHEDULES)
def test_the_watcher_agrees_on_the_very_nights(zone: str, schedule: Schedule) -> None:
    schedule = replace(schedule, zone=zone)
    for night in _changes(zone):
        after, until = night - timedelta(hours=26), night + timedelta(hours=26)

        assert set(due_slots(schedule, after=after, until=until)) == set(_watched(schedule, after, until))


def _changes(zone: str) -> list[datetime]:
    hours = [YEAR + timedelta(hours=hour) for hour in range(366 * 24)]
    offsets = [hour.astimezone(ZoneInfo(zone)).utcoffset() for hour in hours]
    return [hours[at] for at in range(1, len(hours)) if offsets[at] != offsets[at - 1]]


def _watched(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    """What somebody would call due who knows only the rule and reads a wall clock once a minute."""
    zone, minute = ZoneInfo(schedule.zone), timedelta(minutes=1)
    seen: set[datetime] = set()  # wall times of an hours schedule run once
    before = (after - 2 * timedelta(days=1)).astimezone(zone).replace(tzinfo=None)
    at = after - 2 * timedelta(days=1) + minute
    while at <= until:
        wall = at.astimezone(zone).replace(tzinfo=None)
        due = _fits(schedule, wall) and (schedule.every is not None or wall not in seen)
        seen.add(wall)
        left_out = before + minute
        while left_out < wall:  # the clocks were put forward
            due = due or _fits(schedule, left_out)
            left_out += minute
        if wall <= before and schedule.every is not None and schedule.hours.count(wall.hour):  # put back
            behind, ahead = before, wall
            while not _on_grid(schedule, behind):
                behind -= minute
            while not _on_grid(schedule, ahead):
                ahead += minute
            hole = (before + minute - behind) + (ahead - wall)
            due = due or (hole > schedule.every and wall.isoweekday() in schedule.weekdays)
        if due and at > after:
            yield at
        before = wall
        at += minute


def _on_grid(schedule: Schedule, wall: datetime) -> bool:
    assert schedule.every is not None
    return (wall.hour * 60 + wall.minute - schedule.minute) % (schedule.every // timedelta(minutes=1)) == 0


def _fits(schedule: Schedule, wall: datetime) -> bool:
    on_time = wall.minute == schedule.minute if schedule.every is None else _on_grid(schedule, wall)
    return on_time and wall.hour in schedule.hours and wall.isoweekday() in schedule.weekdays
