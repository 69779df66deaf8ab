"""How many points stand on a disk at once, and what of them has room."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.assumptions import Assumptions, Known
from shared.domain.capacity import QUOTA, RESERVE, largest, most_kept
from shared.domain.feasibility import doubts, study
from shared.domain.image_versions import versions_held
from shared.domain.policy import CopyRule, ImageRule, Lock, Retention, Selection
from shared.domain.retention import MAX_DAYS, plan_prune
from shared.domain.timetable import ORDINARY, due_times, most_within
from tests.unit.feasible import EVERY_HOUR, NIGHTLY, disk, every, policy, protection
from tests.unit.points import point


def test_two_protections_that_share_a_disk_share_its_quota() -> None:
    daily, hourly = (
        protection(NIGHTLY, name="daily", keep=Retention(days=150)),
        protection(EVERY_HOUR, name="hourly", keep=Retention(days=5)),
    )
    shared = {"daily": [disk()], "hourly": [disk()]}
    apart = {"daily": [disk("d-1")], "hourly": [disk("d-2")]}

    (doubt,) = study(policy(daily, hourly), coverage=shared).refused

    assert doubt.startswith("protections daily and hourly together: keep holds up to 272 points, but disk d-1 takes")
    assert "What fits: " in doubt
    assert study(policy(daily, hourly), coverage=apart).refused == ()


def test_snapshots_that_are_not_ours_take_room_and_native_ones_do_not() -> None:
    one = policy(protection(keep=Retention(days=9)))

    assert study(one, coverage={"p": [disk()]}).refused == ()
    (doubt,) = study(one, coverage={"p": [disk(foreign=40)]}).refused
    assert "40 are taken by snapshots that are not ours" in doubt
    native = study(one, coverage={"p": [disk(automatic=900)]})
    assert native.refused == ()
    assert "900 of d-1: they count against a quota of their own (1000 a disk)" in native.notes[0]


def test_many_disks_in_the_same_position_are_one_doubt_about_the_fullest() -> None:
    disks = [disk(f"d-{number}", foreign=number) for number in range(100)]

    (doubt,) = study(policy(protection(keep=Retention(days=30))), coverage={"p": disks}).refused

    assert "disk d-99 (and 99 other disks alike) takes 256" in doubt


def test_what_is_proposed_fits() -> None:
    (doubt,) = doubts(policy(protection(keep=Retention(days=30))))

    assert "What fits: days: 10 or keep: {hourly: 24, daily: 30}" in doubt
    assert doubts(policy(protection(keep=Retention(days=10)))) == ()
    assert doubts(policy(protection(keep=Retention(days=11)))) != ()
    assert doubts(policy(protection(keep=Retention(hourly=24, daily=30)))) == ()


@pytest.mark.parametrize("days", [1, MAX_DAYS])
def test_both_bounds_of_days_are_reckoned_with(days: int) -> None:
    found = doubts(policy(protection(NIGHTLY, keep=Retention(days=days))))

    assert bool(found) is (days == MAX_DAYS)
    assert all("keep holds up to 65537 points" in one for one in found)


def test_points_pile_up_while_they_are_not_complete() -> None:
    """A disk of 8 TiB takes its first snapshot for days: what was made meanwhile goes nowhere."""
    one = policy(protection(keep=Retention(last=220)))

    assert study(one, coverage={"p": [disk()]}).refused == ()
    (doubt,) = study(one, coverage={"p": [disk(size_gib=8192)]}).refused
    assert "43 points at once are not complete or not pruned yet" in doubt


def test_the_source_waits_for_its_copy_so_a_long_deadline_holds_points() -> None:
    rule = CopyRule(region="cn-beijing", keep=Retention(daily=7), within=timedelta(days=20))

    (doubt,) = [
        one for one in doubts(policy(protection(copies=(rule,)))) if "snapshots" in one and "cn-beijing" not in one
    ]

    assert "keep holds up to 512 points, but a disk takes 256" in doubt


def test_copies_have_a_quota_in_their_own_region() -> None:
    rule = CopyRule(region="cn-beijing", keep=Retention(days=30), within=timedelta(hours=6))

    (doubt,) = doubts(policy(protection(copies=(rule,))))

    assert "p, copies to cn-beijing: keep holds up to 721 points, but a disk in cn-beijing takes 256" in doubt


def test_a_lock_longer_than_the_retention_is_refused_with_a_lock_that_fits() -> None:
    (doubt,) = doubts(policy(protection(NIGHTLY, keep=Retention(days=7), lock=Lock(days=30))))

    assert "lock holds 31 points for 30 days, keep wants 8: prune could not let the others go in time" in doubt
    assert "What fits: lock: {days: 7}, or keep: {days: 30}" in doubt
    assert doubts(policy(protection(NIGHTLY, keep=Retention(days=30), lock=Lock(days=7)))) == ()


def test_locked_points_that_fill_the_quota_are_refused_because_nobody_could_make_room() -> None:
    found = doubts(policy(protection(keep=Retention(days=30), lock=Lock(days=30))))

    (saturated,) = [one for one in found if "lock keeps" in one]
    assert "lock keeps 721 points at once from being deleted, and a disk has room for 253" in saturated
    assert "What fits: lock: {days: 10}" in saturated


def test_where_not_even_a_day_can_be_locked_a_slower_interval_is_offered() -> None:
    found = doubts(policy(protection(every(5), keep=Retention(days=1), lock=Lock(days=1))))

    assert [one for one in found if "What fits: every: 8m with lock: {days: 1}" in one]


def test_slots_that_come_in_one_go_are_counted_as_they_come() -> None:
    """24 points on Monday and none until the next: a day of retention holds all of Monday's, not a seventh."""
    mondays = replace(EVERY_HOUR, weekdays=(1,))

    assert most_within((mondays,), timedelta(days=1)) == 24
    assert most_within((EVERY_HOUR,), timedelta(days=1)) == 25
    assert most_within((mondays, EVERY_HOUR), timedelta(weeks=5)) == 5 * 168 + 1


@pytest.mark.parametrize(
    "keep",
    [
        Retention(days=3),
        Retention(hourly=24, daily=7),
        Retention(last=5, daily=3, weekly=4),
        Retention(days=2, last=60, monthly=2),
    ],
    ids=str,
)
@pytest.mark.parametrize("minutes", [30, 60, 360])
def test_retention_never_keeps_more_than_was_reckoned(keep: Retention, minutes: int) -> None:
    schedule = every(minutes, zone="UTC")
    slots = due_times(protection(schedule), after=ORDINARY, until=ORDINARY + timedelta(days=70))
    points = [point(f"{slot:%Y-%m-%d %H:%M}") for slot in slots]

    most = most_kept(keep, (schedule,))

    assert most is not None
    for last in range(len(points) - 30, len(points)):
        plan = plan_prune(points[:last], keep, zone="UTC", now=slots[last - 1])
        assert len(plan.keep) <= most


def test_the_reserve_for_images_can_be_said() -> None:
    roomy = Known(assumptions=Assumptions(images=0))
    tight = Known(assumptions=Assumptions(images=40))
    one = policy(protection(keep=Retention(last=QUOTA - RESERVE - 10)))

    assert study(one, known=roomy).refused == ()
    assert "42 of them are left for safety snapshots and an image" in study(one, known=tight).refused[0]


def test_the_largest_that_fits() -> None:
    assert largest(lambda count: count <= 17, 100) == 17
    assert largest(lambda count: True, 100) == 100
    assert largest(lambda count: False, 100) is None


def test_versions_of_images_take_room_beside_the_points_of_what_they_are_made_of() -> None:
    nightly_images = ImageRule(name="app", family="app", of=Selection(tags={"a": "b"}), schedules=(NIGHTLY,), keep=10)
    held = versions_held(nightly_images)
    kept = QUOTA - RESERVE - held
    fits = policy(protection(keep=Retention(last=kept - 2)), images=(nightly_images,))
    full = policy(protection(keep=Retention(last=kept)), images=(nightly_images,))

    assert [one for one in doubts(fits) if "keep holds" in one] == []
    (doubt,) = [one for one in doubts(full) if "keep holds" in one]
    assert f"{RESERVE + held} of them are left for safety snapshots and {held} versions of images" in doubt
    assert [one for one in doubts(replace(full, images=())) if "keep holds" in one] == []


def test_images_of_other_disks_take_no_room_of_these() -> None:
    rule = ImageRule(name="x", family="x", of=Selection(tags={"a": "other"}), schedules=(NIGHTLY,), keep=200)
    one = policy(protection(keep=Retention(last=240)), images=(rule,))

    assert [found for found in doubts(one) if "keep holds" in found] == []
    known = {"p": [disk("d-1"), disk("d-2", images=("x",))]}
    assert any("disk d-2 takes" in found for found in study(one, coverage=known).refused)


def test_copies_of_images_take_room_where_they_are_copied_to() -> None:
    rule = ImageRule(
        name="x", family="x", of=Selection(tags={"a": "b"}), schedules=(NIGHTLY,), keep=100, copy_to=("cn-beijing",)
    )
    copies = CopyRule(region="cn-beijing", keep=Retention(last=200), within=timedelta(hours=6))
    found = doubts(policy(protection(keep=Retention(last=5), copies=(copies,)), images=(rule,)))

    assert any("copies to cn-beijing: keep holds up to 200 points" in one for one in found)
