"""Times as operators say them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from understudy.cli.asked_time import asked_time

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)  # 18:00 in Shanghai


@pytest.mark.parametrize(
    ("said", "since", "until"),
    [
        ("17:12", "2026-03-02T09:12:00", "2026-03-02T09:12:59.999999"),
        ("17:12:05", "2026-03-02T09:12:05", "2026-03-02T09:12:05.999999"),
        ("03:12", "2026-03-01T19:12:00", "2026-03-01T19:12:59.999999"),
        ("3:12", "2026-03-01T19:12:00", "2026-03-01T19:12:59.999999"),
        ("19:12", "2026-03-01T11:12:00", "2026-03-01T11:12:59.999999"),
        ("today 19:12", "2026-03-02T11:12:00", "2026-03-02T11:12:59.999999"),
        ("yesterday 17:12", "2026-03-01T09:12:00", "2026-03-01T09:12:59.999999"),
        ("09:12Z", "2026-03-02T09:12:00", "2026-03-02T09:12:59.999999"),
        ("11:12Z", "2026-03-01T11:12:00", "2026-03-01T11:12:59.999999"),
        ("2026-03-02 03:12", "2026-03-01T19:12:00", "2026-03-01T19:12:59.999999"),
        ("2026-03-02T03:12Z", "2026-03-02T03:12:00", "2026-03-02T03:12:59.999999"),
        ("2026-03-02t03:12:07z", "2026-03-02T03:12:07", "2026-03-02T03:12:07.999999"),
        ("2026-03-02T03:12:07+01:00", "2026-03-02T02:12:07", "2026-03-02T02:12:07.999999"),
        ("2026-03-02T03:12:07.250000Z", "2026-03-02T03:12:07.250000", "2026-03-02T03:12:07.250000"),
    ],
)
def test_a_time_is_read_in_the_policys_zone_and_as_the_last_that_was(said: str, since: str, until: str) -> None:
    asked = asked_time(said, now=NOW, zone=SHANGHAI)

    assert asked is not None
    assert asked.since == datetime.fromisoformat(since).replace(tzinfo=UTC)
    assert asked.until == datetime.fromisoformat(until).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "control",
        "25:00",
        "12:60",
        "yesterday",
        "2026-02-30T10:00Z",
        "12",
        "noon",
        "2026-03-02",
        "launch/shop/2026-03-02T10:00:00Z",
        "switchover/control/2026-03-02T10:00:00Z",
    ],
)
def test_what_is_no_time_is_a_scope(said: str) -> None:
    assert asked_time(said, now=NOW, zone=SHANGHAI) is None


def test_in_the_night_on_which_an_hour_is_repeated_the_first_is_meant() -> None:
    asked = asked_time("2026-10-25 02:30", now=NOW, zone=BERLIN)

    assert asked is not None
    assert asked.since == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_yesterday_is_a_day_of_the_zone_and_not_24_hours() -> None:
    after_the_clocks_went_on = datetime(2026, 3, 29, 10, 0, tzinfo=UTC)

    asked = asked_time("yesterday 12:00", now=after_the_clocks_went_on, zone=BERLIN)

    assert asked is not None
    assert asked.since == datetime(2026, 3, 28, 11, 0, tzinfo=UTC)
