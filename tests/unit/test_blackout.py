"""Blackouts as intervals: over midnight, on both nights of daylight saving, once, and overlapping ones."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.blackout import Window, covering, longest_distance, outside, windows
from shared.domain.policy import Blackout, Schedule
from shared.domain.schedule import due_slots

EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
HOURLY = Schedule(name="s", hours=tuple(range(24)), weekdays=EVERY_DAY, zone="UTC")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def at_night(zone: str = "UTC", *, begins: int = 22 * 60, ends: int = 2 * 60, **how: object) -> Blackout:
    return replace(Blackout(name="night", zone=zone, weekdays=EVERY_DAY, begins=begins, ends=ends), **how)  # type: ignore[arg-type]


def holds(blackout: Blackout, moment: str) -> bool:
    at = utc(moment)
    return covering(windows([blackout], after=at, until=at), at) is not None


def test_no_blackout_leaves_every_slot() -> None:
    slots = due_slots(HOURLY, after=utc("2026-03-01"), until=utc("2026-03-02"))

    assert outside(slots, ()) == slots
    assert outside((), [at_night()]) == ()


@pytest.mark.parametrize(
    ("moment", "held"),
    [
        pytest.param("2026-03-02 21:59:59", False, id="just before"),
        pytest.param("2026-03-02 22:00", True, id="its first instant"),
        pytest.param("2026-03-03 00:00", True, id="midnight"),
        pytest.param("2026-03-03 01:59:59", True, id="its last second"),
        pytest.param("2026-03-03 02:00", False, id="its end is not in it"),
    ],
)
def test_one_that_ends_before_it_begins_ends_on_the_next_day(moment: str, held: bool) -> None:
    assert holds(at_night(), moment) is held


def test_its_weekdays_are_those_on_which_it_begins() -> None:
    on_friday = at_night(weekdays=(5,))

    assert holds(on_friday, "2026-03-06 23:00")
    assert holds(on_friday, "2026-03-07 01:00")  # Saturday morning
    assert not holds(on_friday, "2026-03-06 01:00")


def test_the_same_time_twice_is_a_whole_day() -> None:
    sunday = at_night(weekdays=(7,), begins=600, ends=600)

    assert holds(sunday, "2026-03-01 10:00")
    assert holds(sunday, "2026-03-02 09:59")
    assert not holds(sunday, "2026-03-02 10:00")


def test_it_is_told_in_the_zone_of_its_clock() -> None:
    assert holds(at_night("Asia/Shanghai"), "2026-03-02 15:00")
    assert not holds(at_night("Asia/Shanghai"), "2026-03-02 23:00")


def test_once_is_between_two_moments_and_never_again() -> None:
    once = Blackout(name="move", zone="UTC", since=utc("2026-03-02 10:00"), until=utc("2026-03-02 12:00"))

    assert not holds(once, "2026-03-02 09:59")
    assert holds(once, "2026-03-02 10:00")
    assert not holds(once, "2026-03-02 12:00")
    assert not holds(once, "2026-03-09 11:00")


@pytest.mark.parametrize(
    ("begins", "ends", "first", "last"),
    [
        pytest.param(60, 150, "2026-10-24 23:00", "2026-10-25 01:30", id="through both occurrences of the hour"),
        pytest.param(150, 240, "2026-10-25 00:30", "2026-10-25 03:00", id="from the first occurrence of its begin"),
        pytest.param(130, 140, "2026-10-25 00:10", "2026-10-25 01:20", id="both ends within the repeated hour"),
    ],
)
def test_on_the_long_night_it_holds_from_the_first_begin_to_the_last_end(
    begins: int, ends: int, first: str, last: str
) -> None:
    # Berlin puts its clocks back from 03:00 to 02:00 on 25 October 2026, at 01:00 UTC.
    (window,) = windows(
        [at_night("Europe/Berlin", begins=begins, ends=ends)],
        after=utc("2026-10-25 00:00"),
        until=utc("2026-10-25 04:00"),
    )

    assert (window.since, window.until) == (utc(first), utc(last))


@pytest.mark.parametrize(
    ("begins", "ends", "first", "last"),
    [
        pytest.param(90, 150, "00:30", "01:00", id="it ends in the gap"),
        pytest.param(150, 240, "01:00", "02:00", id="it begins in the gap"),
        pytest.param(120, 180, "", "", id="one that is the gap does not happen"),
    ],
)
def test_on_the_short_night_a_time_that_does_not_exist_is_the_end_of_the_gap(
    begins: int, ends: int, first: str, last: str
) -> None:
    # Berlin puts its clocks forward from 02:00 to 03:00 on 29 March 2026, at 01:00 UTC.
    found = windows(
        [at_night("Europe/Berlin", begins=begins, ends=ends)],
        after=utc("2026-03-29 00:00"),
        until=utc("2026-03-29 03:00"),
    )

    expected = [(utc(f"2026-03-29 {first}"), utc(f"2026-03-29 {last}"))] if first else []
    assert [(window.since, window.until) for window in found] == expected


def test_of_two_that_overlap_the_first_has_the_time_they_share() -> None:
    long = at_night(begins=60, ends=300)
    late = replace(long, name="late", begins=240, ends=360)
    within = replace(long, name="within", begins=120, ends=180)

    found = windows([late, within, long], after=utc("2026-03-02 01:00"), until=utc("2026-03-02 08:00"))

    assert found == (
        Window(since=utc("2026-03-02 01:00"), until=utc("2026-03-02 05:00"), name="night"),
        Window(since=utc("2026-03-02 05:00"), until=utc("2026-03-02 06:00"), name="late"),
    )


def test_the_longest_distance_is_that_of_the_worst_night_of_the_year() -> None:
    in_berlin = replace(HOURLY, zone="Europe/Berlin")
    blackout = at_night("Europe/Berlin", begins=60, ends=240)

    assert longest_distance([in_berlin], since=utc("2026-01-01")) == (
        utc("2026-10-25 00:00"),
        utc("2026-10-25 02:00"),
    )
    since, until = longest_distance([in_berlin], [blackout], since=utc("2026-01-01")) or (utc("2026-01-01"),) * 2
    assert (since, until - since) == (utc("2026-10-24 22:00"), timedelta(hours=5))


def test_a_blackout_that_leaves_no_two_slots_has_no_distance() -> None:
    always = at_night(begins=0, ends=0)

    assert longest_distance([HOURLY], [always], since=utc("2026-01-01")) is None


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "America/Havana"]),
    st.integers(0, 1439),
    st.integers(0, 1439),
    st.sets(st.integers(1, 7)),
    st.integers(0, 365 * 24 * 60),
    st.integers(0, 3 * 24 * 60),
)
def test_windows_of_any_stretch_are_those_of_the_year_that_touch_it(
    zone: str, begins: int, ends: int, weekdays: set[int], start: int, length: int
) -> None:
    blackout = at_night(zone, begins=begins, ends=ends, weekdays=tuple(sorted(weekdays)))
    after = utc("2026-01-01") + timedelta(minutes=start)
    until = after + timedelta(minutes=length)
    year = windows([blackout], after=utc("2025-12-30"), until=utc("2027-01-10"))

    found = windows([blackout], after=after, until=until)

    assert {one.until for one in found} == {one.until for one in year if one.since <= until and one.until > after}
    assert all(earlier.until <= later.since for earlier, later in pairwise(found))
