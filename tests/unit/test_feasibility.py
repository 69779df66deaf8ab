"""Arithmetic that an operator would otherwise do after the quota is full."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.feasibility import doubts, longest_pause, most_points, points_per_week
from shared.domain.policy import Policy, Protection, PruneLimits, RebuildRule, Retention, Schedule, Selection

EVERY_HOUR = Schedule(name="hourly", hours=tuple(range(24)), weekdays=tuple(range(1, 8)), zone="Asia/Shanghai")
NIGHTLY = Schedule(name="nightly", hours=(2,), weekdays=tuple(range(1, 8)), zone="Asia/Shanghai")
WORKDAYS = Schedule(name="workdays", hours=(8, 20), weekdays=(1, 2, 3, 4, 5), zone="Europe/Berlin")


def protection(*schedules: Schedule, keep: Retention, rpo: timedelta = timedelta(days=30)) -> Protection:
    return Protection(name="p", select=Selection(tags={"a": "b"}), schedules=schedules, keep=keep, rpo_target=rpo)


def policy(*protections: Protection) -> Policy:
    limits = PruneLimits(max_items=1, max_percent=1)
    return Policy(region="cn-hangzhou", protections=protections, rebuilds=(), pairs=(), prune=limits)


@pytest.mark.parametrize(
    ("schedules", "points", "pause"),
    [
        pytest.param((EVERY_HOUR,), 168, timedelta(hours=1), id="hourly"),
        pytest.param((NIGHTLY,), 7, timedelta(days=1), id="nightly"),
        pytest.param((WORKDAYS,), 10, timedelta(hours=60), id="a weekend from Friday evening to Monday morning"),
        pytest.param((EVERY_HOUR, NIGHTLY), 168, timedelta(hours=1), id="one within the other"),
        pytest.param((WORKDAYS, NIGHTLY), 17, timedelta(hours=24), id="two together"),
    ],
)
def test_a_week_of_schedules(schedules: tuple[Schedule, ...], points: int, pause: timedelta) -> None:
    assert points_per_week(schedules) == points
    assert longest_pause(schedules) == pause


@pytest.mark.parametrize(
    ("keep", "most"),
    [
        pytest.param(Retention(), None, id="no rule"),
        pytest.param(Retention(forever=True), None, id="for ever"),
        pytest.param(Retention(days=30), 721, id="30 days of hours, both ends included"),
        pytest.param(Retention(hourly=24, daily=7), 31, id="counts add up"),
        pytest.param(Retention(days=1, last=3), 25, id="union: the last three are among the youngest"),
    ],
)
def test_how_many_points_keep_holds(keep: Retention, most: int | None) -> None:
    assert most_points(protection(EVERY_HOUR, keep=keep)) == most


def test_a_sound_policy_raises_no_doubts() -> None:
    assert doubts(policy(protection(EVERY_HOUR, keep=Retention(hourly=24, daily=30), rpo=timedelta(hours=2)))) == ()


def test_hourly_for_thirty_days_fills_a_disk_in_ten_and_says_so() -> None:
    (doubt,) = doubts(policy(protection(EVERY_HOUR, keep=Retention(days=30))))

    assert "keep holds up to 721 points, but a disk takes 256 snapshots" in doubt
    assert "full after 10.5 days, and then no new point can be made" in doubt
    assert "What fits: days: 10 or keep: {hourly: 24, daily: 30}" in doubt


def test_for_ever_is_bounded_by_the_quota() -> None:
    (doubt,) = doubts(policy(protection(NIGHTLY, keep=Retention(forever=True))))

    assert "grows without end" in doubt
    assert "full after 253.0 days" in doubt


@pytest.mark.parametrize(("minutes", "doubted"), [(4, True), (5, False)])
def test_a_patience_shorter_than_the_platforms_own_restart_doubles_a_server(minutes: int, doubted: bool) -> None:
    rule = RebuildRule(
        name="apps",
        select=Selection(tags={"a": "b"}),
        image_family="app",
        balancer=None,
        weight=100,
        port=80,
        patience=timedelta(minutes=minutes),
        max_at_once=1,
    )

    found = doubts(replace(policy(), rebuilds=(rule,)))

    assert bool(found) is doubted
    assert all("rebuild apps: patience" in one for one in found)


def test_an_rpo_target_below_the_schedule_cannot_be_met() -> None:
    (doubt,) = doubts(policy(protection(WORKDAYS, keep=Retention(last=3), rpo=timedelta(minutes=90))))

    assert "leave 61 h between two points (once: from 2026-10-23 18:00Z to 10-26 07:00Z)" in doubt
    assert "more than rpo_target 1 h 30 min. What fits: rpo_target: 61h12m, or every: 72m" in doubt
