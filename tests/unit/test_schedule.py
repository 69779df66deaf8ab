"""The calendar over a year and both nights of daylight saving, and what becomes of slots that nobody acted on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from shared.domain import schedule as schedule_module
from shared.domain.catch_up import catch_up
from shared.domain.policy import Schedule
from shared.domain.schedule import due_slots, is_ever_due, next_due

EVERY_HOUR = tuple(range(24))
EVERY_DAY = tuple(range(1, 8))
HOUR = timedelta(hours=1)


def schedule(
    zone: str, *, hours: tuple[int, ...] = EVERY_HOUR, weekdays: tuple[int, ...] = EVERY_DAY, minute: int = 0
) -> Schedule:
    return Schedule(name="s", hours=hours, weekdays=weekdays, zone=zone, minute=minute)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        due_slots(schedule("UTC"), after=datetime(2026, 1, 1), until=utc("2026-01-02"))  # noqa: DTZ001
    with pytest.raises(ValueError, match="no time zone"):
        catch_up([], now=datetime(2026, 1, 1), punctual=HOUR)  # noqa: DTZ001


def test_an_interval_that_ends_before_it_begins_has_no_slots() -> None:
    assert due_slots(schedule("UTC"), after=utc("2026-01-02"), until=utc("2026-01-01")) == ()
    assert due_slots(schedule("UTC"), after=utc("2026-01-02"), until=utc("2026-01-02")) == ()


def test_the_beginning_is_exclusive_and_the_end_inclusive() -> None:
    slots = due_slots(schedule("UTC"), after=utc("2026-01-01 01:00"), until=utc("2026-01-01 03:00"))

    assert slots == (utc("2026-01-01 02:00"), utc("2026-01-01 03:00"))


def test_hours_are_wall_time_of_the_zone() -> None:
    slots = due_slots(schedule("Asia/Shanghai", hours=(2,)), after=utc("2026-03-01"), until=utc("2026-03-02"))

    assert slots == (utc("2026-03-01 18:00"),)


def test_weekdays_are_days_of_the_zone_not_of_utc() -> None:
    monday = schedule("Asia/Shanghai", hours=(2,), weekdays=(1,))

    # 02:00 on Monday in Shanghai is still Sunday in UTC.
    assert next_due(monday, after=utc("2026-03-01")) == utc("2026-03-01 18:00")
    assert next_due(monday, after=utc("2026-03-01")).isoweekday() == 7


@pytest.mark.parametrize(
    ("zone", "hours_in_year", "longest"),
    [
        pytest.param("UTC", 8760, HOUR, id="no daylight saving"),
        pytest.param("Asia/Shanghai", 8760, HOUR, id="the demo's zone"),
        pytest.param("Asia/Kolkata", 8760, HOUR, id="half-hour offset"),
        pytest.param("Europe/Berlin", 8759, 2 * HOUR, id="the repeated hour has no slot of its own"),
        pytest.param("America/New_York", 8759, 2 * HOUR, id="western"),
        pytest.param("America/Santiago", 8759, 2 * HOUR, id="southern, changes at midnight"),
    ],
)
def test_a_year_of_hourly_slots(zone: str, hours_in_year: int, longest: timedelta) -> None:
    # The first year's first slot may lie at the edge, so the year is cut in UTC, where every zone has its days whole.
    slots = due_slots(schedule(zone), after=utc("2026-01-01"), until=utc("2027-01-01"))

    assert len(slots) == hours_in_year
    assert {later - earlier for earlier, later in pairwise(slots)} <= {HOUR, longest}


def test_half_hour_daylight_saving_of_lord_howe_keeps_every_wall_hour_once() -> None:
    slots = due_slots(schedule("Australia/Lord_Howe"), after=utc("2026-01-01"), until=utc("2027-01-01"))

    assert len(slots) == 8760
    assert {later - earlier for earlier, later in pairwise(slots)} == {HOUR, HOUR / 2, HOUR * 1.5}


@pytest.mark.parametrize(
    ("zone", "hour", "minute", "night", "runs_at"),
    [
        pytest.param(
            "Europe/Berlin", 2, 0, "2026-03-28 12:00", "2026-03-29 01:00", id="Berlin, gap from its first minute"
        ),
        pytest.param("Europe/Berlin", 2, 30, "2026-03-28 12:00", "2026-03-29 01:00", id="Berlin, middle of the gap"),
        pytest.param("Europe/Berlin", 3, 0, "2026-03-28 12:00", "2026-03-29 01:00", id="Berlin, first minute after it"),
        pytest.param("America/New_York", 2, 59, "2026-03-08 00:00", "2026-03-08 07:00", id="New York"),
        pytest.param("America/Santiago", 0, 0, "2026-09-05 12:00", "2026-09-06 04:00", id="Santiago skips midnight"),
        pytest.param(
            "Australia/Lord_Howe", 2, 15, "2026-10-03 00:00", "2026-10-03 15:30", id="Lord Howe, half an hour"
        ),
    ],
)
def test_a_wall_time_that_does_not_exist_runs_at_the_first_instant_after_the_gap(
    zone: str, hour: int, minute: int, night: str, runs_at: str
) -> None:
    assert next_due(schedule(zone, hours=(hour,), minute=minute), after=utc(night)) == utc(runs_at)


def test_a_gap_that_swallows_several_slots_leaves_one() -> None:
    slots = due_slots(
        schedule("Europe/Berlin", hours=(2, 3)), after=utc("2026-03-28 12:00"), until=utc("2026-03-29 12:00")
    )

    assert slots == (utc("2026-03-29 01:00"),)


def test_samoas_missing_friday_gives_no_slots_of_its_own() -> None:
    # Samoa went from Thursday 29 to Saturday 31 December 2011.
    slots = due_slots(
        schedule("Pacific/Apia", hours=(0, 12)), after=utc("2011-12-30 00:00"), until=utc("2011-12-31 00:00")
    )

    assert slots == (utc("2011-12-30 10:00"), utc("2011-12-30 22:00"))


@pytest.mark.parametrize(
    ("zone", "hour", "minute", "night", "runs_at"),
    [
        pytest.param("Europe/Berlin", 2, 30, "2026-10-24 12:00", "2026-10-25 00:30", id="Berlin"),
        pytest.param("America/New_York", 1, 0, "2026-10-31 12:00", "2026-11-01 05:00", id="New York"),
        pytest.param("Australia/Lord_Howe", 1, 45, "2026-04-03 20:00", "2026-04-04 14:45", id="Lord Howe"),
    ],
)
def test_a_wall_time_that_occurs_twice_runs_once_at_the_first(
    zone: str, hour: int, minute: int, night: str, runs_at: str
) -> None:
    slots = due_slots(
        schedule(zone, hours=(hour,), minute=minute), after=utc(night), until=utc(night) + timedelta(hours=24)
    )

    assert slots == (utc(runs_at),)


def every(minutes: int, zone: str = "UTC", *, hours: tuple[int, ...] = EVERY_HOUR, minute: int = 0) -> Schedule:
    return replace(schedule(zone, hours=hours, minute=minute), every=timedelta(minutes=minutes))


def test_an_interval_counts_from_midnight_and_keeps_to_its_hours() -> None:
    slots = due_slots(every(45, hours=(9, 10, 11)), after=utc("2026-03-01"), until=utc("2026-03-02"))

    assert [f"{slot:%H:%M}" for slot in slots] == ["09:00", "09:45", "10:30", "11:15"]


def test_a_minute_moves_the_whole_day_of_an_interval() -> None:
    slots = due_slots(every(360, minute=10), after=utc("2026-03-01"), until=utc("2026-03-02"))
    wrapped = due_slots(every(5, minute=32, hours=(0,)), after=utc("2026-03-01"), until=utc("2026-03-02"))

    assert [f"{slot:%H:%M}" for slot in slots] == ["00:10", "06:10", "12:10", "18:10"]
    assert [slot.minute for slot in wrapped] == list(range(2, 60, 5))


def test_an_interval_runs_at_both_occurrences_of_a_repeated_time() -> None:
    slots = due_slots(every(30, "Europe/Berlin"), after=utc("2026-10-25 00:00"), until=utc("2026-10-25 02:00"))

    assert [f"{slot:%H:%M}" for slot in slots] == ["00:30", "01:00", "01:30", "02:00"]


def test_where_the_clocks_go_back_an_interval_of_hours_leaves_no_longer_hole() -> None:
    # New York repeats 01:00 to 02:00, which lies between the slots of 00:00 and 02:00: three hours without one.
    slots = due_slots(every(120, "America/New_York"), after=utc("2026-11-01 03:59"), until=utc("2026-11-01 08:00"))

    assert [f"{slot:%H:%M}" for slot in slots] == ["04:00", "06:00", "07:00"]


def test_an_interval_runs_at_the_end_of_a_gap_and_not_twice() -> None:
    slots = due_slots(every(30, "Europe/Berlin"), after=utc("2026-03-29 00:00"), until=utc("2026-03-29 02:00"))

    assert [f"{slot:%H:%M}" for slot in slots] == ["00:30", "01:00", "01:30", "02:00"]


def test_a_schedule_whose_interval_never_falls_into_its_hours_says_so() -> None:
    never = every(1440, hours=(2,))

    assert not is_ever_due(never)
    assert is_ever_due(every(1440, hours=(0,)))
    with pytest.raises(ValueError, match="schedule s is never due"):
        next_due(never, after=utc("2026-03-01"))


def test_a_year_of_five_minutes_looks_at_the_zone_a_few_times_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is counted, not timed: an offset is asked for per day, not per slot."""
    asked: list[datetime] = []
    real = schedule_module._offset

    def counted(moment: datetime) -> timedelta:
        asked.append(moment)
        return real(moment)

    monkeypatch.setattr(schedule_module, "_offset", counted)

    slots = due_slots(every(5, "Europe/Berlin"), after=utc("2026-01-01"), until=utc("2027-01-01"))

    assert len(slots) == 365 * 288
    assert len(asked) < 366 * 4 + 200


def test_nothing_due_means_nothing_to_do() -> None:
    decided = catch_up([], now=utc("2026-03-01 12:00"), punctual=HOUR)

    assert (decided.run, decided.late, decided.skipped) == (None, False, ())


def test_a_slot_in_the_future_is_not_due() -> None:
    assert catch_up([utc("2026-03-01 13:00")], now=utc("2026-03-01 12:00"), punctual=HOUR).run is None


@pytest.mark.parametrize(
    ("now", "late"),
    [
        pytest.param("2026-03-01 12:00", False, id="at once"),
        pytest.param("2026-03-01 12:10", False, id="just within"),
        pytest.param("2026-03-01 12:10:01", True, id="a second beyond"),
    ],
)
def test_a_slot_is_late_when_it_starts_later_than_punctual(now: str, late: bool) -> None:
    decided = catch_up([utc("2026-03-01 12:00")], now=utc(now), punctual=timedelta(minutes=10))

    assert decided.run == utc("2026-03-01 12:00")
    assert decided.late is late


def test_a_long_outage_is_caught_up_once_and_every_missed_slot_says_why() -> None:
    missed = due_slots(schedule("UTC"), after=utc("2026-03-01"), until=utc("2026-03-08"))

    decided = catch_up(reversed(missed), now=utc("2026-03-08 00:30"), punctual=timedelta(minutes=10))

    assert decided.run == missed[-1]
    assert decided.late
    (stretch,) = decided.skipped
    assert (stretch.since, stretch.until, stretch.count) == (missed[0], missed[-2], len(missed) - 1)
    assert "2026-03-08 00:00Z stands in" in stretch.because
