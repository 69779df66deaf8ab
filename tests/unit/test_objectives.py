"""RPO and RTO as measured: what counts, and where the window's edges lie."""

from datetime import timedelta

import pytest

from shared.domain.ids import DiskId
from shared.domain.objectives import FAILOVER_PHASES, Phases, recovery_point_age, worst_gap
from tests.unit.points import point, utc

DISK = DiskId("d-1")
HOUR = timedelta(hours=1)


def test_a_disk_without_usable_point_has_no_recovery_point() -> None:
    points = [point("2026-03-01", usable=False), point("2026-03-01", failed=True), point("2026-03-01", disks=("d-2",))]

    assert recovery_point_age(points, disk=DISK, now=utc("2026-03-02")) is None


def test_the_age_is_that_of_the_newest_usable_point() -> None:
    points = [point("2026-03-01 02:00"), point("2026-03-01 01:00"), point("2026-03-01 03:00", usable=False)]

    assert recovery_point_age(points, disk=DISK, now=utc("2026-03-01 03:30")) == 1.5 * HOUR


def test_a_point_from_the_future_does_not_help() -> None:
    points = [point("2026-03-01 01:00"), point("2027-01-01")]

    assert recovery_point_age(points, disk=DISK, now=utc("2026-03-01 02:00")) == HOUR


def test_the_worst_gap_lies_between_consecutive_points() -> None:
    points = [point(f"2026-03-01 {hour:02}:00") for hour in (0, 1, 2, 5, 6)]

    gap = worst_gap(points, disk=DISK, start=utc("2026-03-01 00:30"), end=utc("2026-03-01 06:30"))

    assert (gap.since, gap.until, gap.length) == (utc("2026-03-01 02:00"), utc("2026-03-01 05:00"), 3 * HOUR)
    assert gap.covered


def test_the_gap_from_the_last_point_to_the_windows_end_counts() -> None:
    gap = worst_gap([point("2026-03-01 01:00")], disk=DISK, start=utc("2026-03-01 01:00"), end=utc("2026-03-01 09:00"))

    assert gap.length == 8 * HOUR


def test_the_gap_before_the_first_point_counts_and_says_that_nothing_covered_it() -> None:
    gap = worst_gap([point("2026-03-01 05:00")], disk=DISK, start=utc("2026-03-01"), end=utc("2026-03-01 06:00"))

    assert gap.length == 5 * HOUR
    assert not gap.covered


def test_a_point_before_the_window_opens_its_first_gap() -> None:
    points = [point("2026-02-28 20:00"), point("2026-03-01 05:00")]

    assert worst_gap(points, disk=DISK, start=utc("2026-03-01"), end=utc("2026-03-01 06:00")).length == 9 * HOUR


def test_without_any_point_the_whole_window_is_uncovered() -> None:
    gap = worst_gap([], disk=DISK, start=utc("2026-03-01"), end=utc("2026-03-02"))

    assert (gap.length, gap.covered) == (24 * HOUR, False)


def test_a_gap_ends_when_the_point_became_usable_not_when_it_was_taken() -> None:
    points = [
        point("2026-03-01 01:00"),
        point("2026-03-01 02:00", usable_since=utc("2026-03-01 02:40")),
        point("2026-03-01 03:00"),
    ]

    gap = worst_gap(points, disk=DISK, start=utc("2026-03-01 01:00"), end=utc("2026-03-01 03:30"))

    assert gap.length == timedelta(minutes=100)


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="ends"):
        worst_gap([], disk=DISK, start=utc("2026-03-02"), end=utc("2026-03-01"))


def test_phases_follow_each_other_and_their_sum_is_the_total() -> None:
    lost = utc("2026-03-01 10:00:00")
    ended = {
        "detect": utc("2026-03-01 10:00:03"),
        "decide": utc("2026-03-01 10:00:03.5"),
        "fence": utc("2026-03-01 10:00:08"),
        "promote": utc("2026-03-01 10:00:08.2"),
        "rebind": utc("2026-03-01 10:00:09"),
        "serve": utc("2026-03-01 10:00:11"),
    }

    phases = Phases.between(FAILOVER_PHASES, lost=lost, ended=ended)

    assert phases.total == timedelta(seconds=11)
    assert phases["fence"] == timedelta(seconds=4.5)
    assert phases.longest == "fence"
    assert str(phases).startswith("11.0 s (detect 3.0 s, decide 0.5 s, fence 4.5 s")


def test_a_phase_that_was_not_needed_takes_no_time_and_leaves_no_hole() -> None:
    lost = utc("2026-03-01 10:00:00")

    phases = Phases.between(FAILOVER_PHASES, lost=lost, ended={"detect": lost + HOUR, "serve": lost + 3 * HOUR})

    assert phases["fence"] == timedelta()
    assert phases.total == 3 * HOUR


def test_a_moment_before_that_of_an_earlier_phase_does_not_make_time_run_backwards() -> None:
    lost = utc("2026-03-01 10:00:00")

    phases = Phases.between(FAILOVER_PHASES, lost=lost, ended={"detect": lost + 2 * HOUR, "decide": lost + HOUR})

    assert phases["decide"] == timedelta()
    assert phases.total == 2 * HOUR


def test_an_unknown_phase_is_refused() -> None:
    with pytest.raises(ValueError, match="no such phase: boot"):
        Phases.between(FAILOVER_PHASES, lost=utc("2026-03-01"), ended={"boot": utc("2026-03-02")})
