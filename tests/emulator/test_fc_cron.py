"""The timer's three forms, over the nights on which clocks change."""

from datetime import UTC, datetime, timedelta

import pytest

from emulator.fc.cron import CronError, parse

START = datetime(2026, 3, 2, tzinfo=UTC)


def firings(expression: str, after: str, count: int) -> list[str]:
    cron = parse(expression)
    at = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found = []
    for _ in range(count):
        at = cron.next_after(at, since=START)
        found.append(at.strftime("%m-%d %H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        pytest.param("*/5 * * * *", "5 fields", id="a crontab line of five fields"),
        pytest.param("0 0 4 * * * 2026", "7 fields", id="a year"),
        pytest.param("0 60 * * * *", "minute", id="minute 60"),
        pytest.param("0 0 24 * * *", "hour", id="hour 24"),
        pytest.param("0 0 0 0 * *", "day of month", id="day 0"),
        pytest.param("0 0 0 * 13 *", "month", id="month 13"),
        pytest.param("0 0 0 * * 7", "day of week", id="weekday 7"),
        pytest.param("0 */0 * * * *", "step", id="step 0"),
        pytest.param("0 5-1 * * * *", "backwards", id="a range that runs backwards"),
        pytest.param("@every 30s", "minutes", id="seconds are undocumented"),
        pytest.param("@every 0m", "positive", id="every 0 minutes"),
        pytest.param("@every 1.5m", "whole", id="half a minute"),
        pytest.param("@hourly", "@every", id="a nickname"),
        pytest.param("CRON_TZ=Asia/Hangzhou 0 0 4 * * *", "IANA", id="a zone that IANA does not know"),
        pytest.param("", "0 fields", id="nothing"),
    ],
)
def test_what_fc_would_not_take_is_refused_with_its_reason(expression: str, complaint: str) -> None:
    with pytest.raises(CronError, match=complaint):
        parse(expression)


def test_a_date_that_never_comes_is_refused_instead_of_searched_for_ever() -> None:
    with pytest.raises(CronError, match="no moment"):
        parse("0 0 0 30 2 *").next_after(START, since=START)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 */5 * * * *", "2026-03-02T00:00:00", ["03-02 00:05:00", "03-02 00:10:00"]),
        ("0 30 * * * *", "2026-03-02T00:30:00", ["03-02 01:30:00", "03-02 02:30:00"]),
        ("15,45 0 0 1 * ?", "2026-03-02T00:00:00", ["04-01 00:00:15", "04-01 00:00:45"]),
        ("0 0 4 * * MON", "2026-03-02T04:00:00", ["03-09 04:00:00"]),
        ("0 0 0 1 * SUN", "2026-03-02T00:00:00", ["03-08 00:00:00", "03-15 00:00:00", "03-22 00:00:00"]),
        ("0 0 0 29 FEB *", "2026-03-02T00:00:00", ["02-29 00:00:00"]),
        ("0 10-20/5 3 * * *", "2026-03-02T00:00:00", ["03-02 03:10:00", "03-02 03:15:00", "03-02 03:20:00"]),
        ("CRON_TZ=Asia/Shanghai 0 0 4 * * *", "2026-03-02T00:00:00", ["03-02 20:00:00", "03-03 20:00:00"]),
        ("CRON_TZ=Asia/Kolkata 0 0 4 * * *", "2026-03-02T00:00:00", ["03-02 22:30:00"]),
    ],
)
def test_a_cron_fires_when_its_fields_say(expression: str, after: str, expected: list[str]) -> None:
    assert firings(expression, after, len(expected)) == expected


def test_a_wall_time_that_spring_leaves_out_does_not_fire() -> None:
    berlin = firings("CRON_TZ=Europe/Berlin 0 30 2 * * *", "2026-03-28T00:00:00", 2)
    assert berlin == ["03-28 01:30:00", "03-30 00:30:00"]


def test_a_wall_time_that_autumn_repeats_fires_twice() -> None:
    berlin = firings("CRON_TZ=Europe/Berlin 0 30 2 * * *", "2026-10-24T12:00:00", 3)
    assert berlin == ["10-25 00:30:00", "10-25 01:30:00", "10-26 01:30:00"]


def test_an_hourly_timer_fires_every_hour_of_both_nights() -> None:
    for start in ("2026-03-28T12:00:00", "2026-10-24T12:00:00"):
        at = datetime.fromisoformat(start).replace(tzinfo=UTC)
        cron = parse("CRON_TZ=Europe/Berlin 0 0 * * * *")
        for _ in range(24):
            following = cron.next_after(at, since=START)
            assert following - at <= timedelta(hours=1)
            at = following


def test_a_zone_that_moves_by_half_an_hour_keeps_its_wall_time() -> None:
    lord_howe = firings("CRON_TZ=Australia/Lord_Howe 0 0 4 * * *", "2026-04-03T12:00:00", 3)
    assert lord_howe == ["04-03 17:00:00", "04-04 17:30:00", "04-05 17:30:00"]


def test_an_interval_counts_from_the_triggers_creation_and_ignores_the_wall() -> None:
    every = parse("@every 7m")
    since = START + timedelta(seconds=13)
    first = every.next_after(since, since=since)
    assert first == since + timedelta(minutes=7)
    assert every.next_after(first, since=since) == since + timedelta(minutes=14)
    assert every.next_after(first - timedelta(seconds=1), since=since) == first
    assert every.next_after(since - timedelta(days=1), since=since) == first


def test_a_year_of_a_daily_timer_takes_milliseconds_not_minutes() -> None:
    assert len(set(firings("CRON_TZ=Europe/Berlin 0 0 4 * * *", "2026-01-01T00:00:00", 365))) == 365
