"""Each decision on which other tools disagree, one test each."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.domain.policy import Retention
from shared.domain.pruning import Rules, judge
from shared.domain.retention import MAX_DAYS, PrunePlan, RestorePoint, describe, merge, plan_prune
from tests.unit import feasible
from tests.unit.points import point, utc

NOW = utc("2026-03-15 12:00")


def plan(points: Sequence[RestorePoint], keep: Retention, *, zone: str = "UTC", now: datetime = NOW) -> PrunePlan:
    return plan_prune(points, keep, zone=zone, now=now)


def taken(points: Sequence[RestorePoint]) -> list[str]:
    return [f"{one.taken:%m-%d %H:%M}" for one in points]


def survivors(plan: PrunePlan) -> list[str]:
    return taken([kept.point for kept in plan.keep])


def reasons(plan: PrunePlan, of: RestorePoint) -> tuple[str, ...]:
    return next(kept.because for kept in plan.keep if kept.point == of)


def hourly_points(first: str, count: int) -> list[RestorePoint]:
    return [point(utc(first) + timedelta(hours=hour)) for hour in range(count)]


def test_no_points_give_an_empty_plan() -> None:
    assert plan([], Retention(last=1)) == PrunePlan(keep=(), expire=())


def test_a_now_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        plan([], Retention(last=1), now=datetime(2026, 3, 15))  # noqa: DTZ001


@pytest.mark.parametrize("keep", [Retention(), Retention(forever=True), Retention(forever=True, days=1)])
def test_for_ever_keeps_everything(keep: Retention) -> None:
    decided = plan([point("2001-01-01"), point("2026-03-14")], keep)

    assert decided.expire == ()
    assert all("for ever" in kept.because for kept in decided.keep)


@pytest.mark.parametrize("days", [1, 30, 65_535, MAX_DAYS])
def test_days_are_exact_to_the_moment(days: int) -> None:
    now = utc("2200-01-01 00:00")
    age = timedelta(days=days)
    younger, exact, older = (
        point(now - age + timedelta(seconds=1)),
        point(now - age),
        point(now - age - timedelta(microseconds=1), id="older"),
    )

    decided = plan([older, point(now), exact, younger], Retention(days=days), now=now)

    assert decided.expire == (older,)
    assert f"within {days} days" in reasons(decided, exact)


def test_the_newest_of_a_bucket_stays() -> None:
    decided = plan(
        [point("2026-03-14 01:00"), point("2026-03-14 23:00"), point("2026-03-14 12:00")], Retention(daily=3)
    )

    assert survivors(decided) == ["03-14 23:00"]
    assert taken(decided.expire) == ["03-14 01:00", "03-14 12:00"]


def test_keeps_are_a_union_and_each_survivor_names_all_its_rules() -> None:
    points = hourly_points("2026-03-13 00:00", 48)

    decided = plan(points, Retention(hourly=3, daily=2, last=1))

    assert survivors(decided) == ["03-13 23:00", "03-14 21:00", "03-14 22:00", "03-14 23:00"]
    assert reasons(decided, points[-1]) == (
        "last usable point of disk d-1",
        "last 1 of 1",
        "hourly 2026-03-14 23:00+0000",
        "daily 2026-03-14",
    )


def test_a_job_that_stopped_a_month_ago_keeps_what_it_had() -> None:
    points = hourly_points("2026-01-10 00:00", 72)

    assert len(plan(points, Retention(daily=3)).keep) == 3


def test_gaps_between_buckets_are_not_counted() -> None:
    points = [point("2025-01-05"), point("2025-06-05"), point("2026-03-01")]

    assert survivors(plan(points, Retention(monthly=3))) == ["01-05 00:00", "06-05 00:00", "03-01 00:00"]


def test_buckets_are_cut_in_the_calendar_of_the_zone() -> None:
    # 15:30Z is the evening, 16:30Z the next day in Shanghai; both are one day in UTC.
    points = [point("2026-03-10 15:30"), point("2026-03-10 16:30")]

    assert len(plan(points, Retention(daily=7)).keep) == 1
    assert len(plan(points, Retention(daily=7), zone="Asia/Shanghai").keep) == 2


def test_the_hour_that_occurs_twice_is_two_buckets() -> None:
    points = [point("2025-10-26 00:30"), point("2025-10-26 01:30")]  # both 02:30 in Berlin

    assert len(plan(points, Retention(hourly=5), zone="Europe/Berlin").keep) == 2


@pytest.mark.parametrize(
    ("first", "second", "buckets"),
    [
        pytest.param("2026-12-31", "2027-01-01", 1, id="week 53 of 2026 goes on into January"),
        pytest.param("2027-01-03", "2027-01-04", 2, id="and ends on the first Sunday"),
        pytest.param("2024-12-29", "2024-12-30", 2, id="the last days of December can be week 1"),
    ],
)
def test_weeks_are_iso_weeks(first: str, second: str, buckets: int) -> None:
    decided = plan([point(first), point(second)], Retention(weekly=10), now=utc("2028-01-01"))

    assert len(decided.keep) == buckets


def test_a_point_dated_in_the_future_is_kept_and_displaces_nothing() -> None:
    real, future = point("2026-03-15 11:00"), point("2026-03-16 11:00")

    decided = plan([point("2026-03-14 11:00"), real, future], Retention(last=1))

    assert survivors(decided) == ["03-15 11:00", "03-16 11:00"]
    assert reasons(decided, future) == ("dated in the future",)
    assert "last usable point of disk d-1" in reasons(decided, real)


def test_equal_stamps_are_decided_by_id_in_whatever_order_they_come() -> None:
    one, two = point("2026-03-14 10:00", id="rp-a"), point("2026-03-14 10:00", id="rp-b")

    assert plan([one, two], Retention(last=1)) == plan([two, one], Retention(last=1))
    assert plan([one, two], Retention(last=1)).expire == (one,)


def test_the_newest_usable_point_of_every_disk_survives_the_policy() -> None:
    old = point("2020-01-01", disks=("d-1", "d-2"))
    new = point("2026-03-14", disks=("d-1",))

    decided = plan([old, new, point("2019-01-01", disks=("d-1", "d-2"))], Retention(days=1, last=1))

    assert reasons(decided, old) == ("last usable point of disk d-2", "last 1 of 1")
    assert len(decided.expire) == 1


def test_a_pinned_point_survives() -> None:
    pinned = point("2020-01-01", pinned=True)

    decided = plan([pinned, point("2026-03-14")], Retention(last=1))

    assert reasons(decided, pinned) == ("pinned",)


def test_a_point_in_progress_is_kept_and_does_not_count() -> None:
    running = point("2026-03-15 11:59", usable=False, complete=False)

    decided = plan([point("2026-03-13"), point("2026-03-14"), running], Retention(last=1))

    assert survivors(decided) == ["03-14 00:00", "03-15 11:59"]
    assert reasons(decided, running) == ("in progress",)


def test_a_usable_point_counts_before_it_is_complete() -> None:
    old, whole, uploading = point("2026-03-13"), point("2026-03-14"), point("2026-03-15", complete=False)

    decided = plan([old, whole, uploading], Retention(last=1))

    assert decided.expire == (old,)
    assert reasons(decided, uploading) == ("not complete yet", "last usable point of disk d-1", "last 1 of 1")


def test_the_newest_complete_point_of_every_disk_stays_until_a_newer_one_is_complete() -> None:
    one, both = point("2026-03-14", disks=("d-1",)), point("2026-03-13", disks=("d-1", "d-2"))
    uploading = point("2026-03-15", disks=("d-1", "d-2"), complete=False)

    decided = plan([both, one, uploading], Retention(last=1))
    later = plan([both, one, point("2026-03-15", disks=("d-1", "d-2"))], Retention(last=1))

    assert reasons(decided, one) == ("last complete point of disk d-1",)
    assert reasons(decided, both) == ("last complete point of disk d-2",)
    assert later.expire == (both, one)


def test_the_newest_complete_point_stays_behind_any_number_of_uploads() -> None:
    whole = point("2026-03-12")
    uploads = [point(f"2026-03-1{day}", complete=False) for day in (3, 4, 5)]

    decided = plan([point("2026-03-11"), whole, *uploads], Retention(last=1))

    assert reasons(decided, whole) == ("last complete point of disk d-1",)
    assert len(decided.expire) == 1


def test_a_point_just_where_a_bucket_begins_belongs_to_it_once() -> None:
    midnight = point("2026-03-14 00:00")
    points = [point("2026-03-13 12:00"), midnight, point("2026-03-14 01:30")]

    decided = plan(points, Retention(hourly=9, daily=2))

    assert reasons(decided, midnight) == ("hourly 2026-03-14 00:00+0000",)
    assert reasons(decided, points[0]) == ("hourly 2026-03-13 12:00+0000", "daily 2026-03-13")


def test_a_point_that_is_not_complete_does_not_go_unless_it_failed() -> None:
    uploading = [point(f"2026-03-1{day}", complete=False) for day in range(3)]
    failed = point("2026-03-12 12:00", complete=False, usable=False, failed=True)

    decided = plan([*uploading, failed, point("2026-03-14")], Retention(last=1))

    assert decided.expire == (failed,)
    assert reasons(decided, uploading[0]) == ("not complete yet",)


def test_failed_points_never_displace_good_ones_and_go() -> None:
    failed = [point(f"2026-03-15 0{hour}:00", failed=True, usable=False) for hour in range(5)]

    decided = plan([point("2026-03-13"), point("2026-03-14"), *failed], Retention(last=2))

    assert survivors(decided) == ["03-13 00:00", "03-14 00:00"]
    assert decided.expire == tuple(failed)


def test_a_failed_point_stays_while_one_of_its_disks_has_nothing_else() -> None:
    failed = point("2026-03-15", disks=("d-1", "d-9"), failed=True, usable=False)

    decided = plan([point("2026-03-14"), failed], Retention(last=1))

    assert decided.expire == ()
    assert reasons(decided, failed) == ("disk d-9 has no usable point yet",)


def test_a_point_without_snapshots_is_worth_nothing() -> None:
    empty = point("2026-03-15", disks=())

    decided = plan([point("2026-03-14"), empty], Retention(last=1))

    assert decided.expire == (empty,)


def test_a_point_of_one_disk_does_not_displace_one_of_them_all() -> None:
    whole = point("2026-03-14 01:00", disks=("d-1", "d-2"))
    adopted = point("2026-03-14 09:00", disks=("d-1",), adopted=True)

    decided = plan([whole, adopted, point("2026-03-14 00:30", disks=("d-1", "d-2"))], Retention(daily=1, last=1))

    assert survivors(decided) == ["03-14 01:00", "03-14 09:00"]
    assert reasons(decided, whole) == ("last usable point of disk d-2", "last 1 of 1", "daily 2026-03-14")


def test_a_detached_disk_keeps_the_history_that_it_had() -> None:
    before = [point(f"2026-03-0{day}", disks=("d-1", "d-2")) for day in range(1, 6)]
    after = [point(f"2026-03-1{day}", disks=("d-1",)) for day in range(5)]

    assert survivors(plan([*before, *after], Retention(daily=2))) == [
        "03-04 00:00",
        "03-05 00:00",
        "03-13 00:00",
        "03-14 00:00",
    ]


def test_a_point_that_waits_for_a_copy_stays_until_there_is_one() -> None:
    waits = point("2020-01-01", copy_to=("cn-shanghai",), uncopied=("cn-shanghai",))
    newer = point("2026-03-14")

    decided = plan([waits, newer], Retention(last=1))

    assert reasons(decided, waits) == ("waits for its copy in cn-shanghai",)
    assert plan([point("2020-01-01", copy_to=("cn-shanghai",)), newer], Retention(last=1)).keep != decided.keep


def test_a_locked_point_does_not_count_as_let_go_until_its_lock_ends() -> None:
    locked = point("2020-01-01", locked_until=NOW + timedelta(minutes=1))

    decided = plan([locked, point("2026-03-14")], Retention(last=1))

    assert decided.expire == ()
    assert reasons(decided, locked) == ("locked until 2026-03-15 12:01Z",)
    assert plan([locked, point("2026-03-14")], Retention(last=1), now=NOW + timedelta(minutes=1)).expire == (locked,)


def test_a_day_of_daylight_saving_by_half_an_hour_has_its_hours_apart() -> None:
    # Lord Howe puts its clocks back from 02:00 to 01:30: 14:50Z is 01:50 (+11:00), 15:10Z is 01:40 (+10:30).
    points = [point("2026-04-04 14:50"), point("2026-04-04 15:10"), point("2026-04-04 15:25")]

    decided = plan(points, Retention(hourly=9), zone="Australia/Lord_Howe", now=utc("2026-04-05"))

    assert survivors(decided) == ["04-04 14:50", "04-04 15:25"]


def test_what_another_protection_keeps_of_a_disk_is_no_last_point_of_this_one() -> None:
    # The other one, and all that it keeps, can be gone tomorrow.
    nightly = [point("2026-03-10", protection="nightly"), point("2026-03-11", protection="nightly")]
    hourly = [point("2026-03-14", protection="hourly"), point("2026-03-15", protection="hourly")]
    one = feasible.protection(feasible.every(60), name="nightly")
    policy = feasible.policy(*(replace(one, name=name, keep=Retention(days=1)) for name in ("nightly", "hourly")))

    [decided] = judge([*nightly, *hourly], Rules(policy), now=utc("2027-01-01"))

    assert taken(decided.expire) == ["03-10 00:00", "03-14 00:00"]
    assert [kept.because for kept in decided.keep] == [("last usable point of disk d-1",)] * 2


def test_each_instance_is_judged_by_itself() -> None:
    points = [point("2026-03-14", subject="i-1", disks=("d-1",)), point("2026-03-10", subject="i-2", disks=("d-2",))]

    assert plan(points, Retention(last=1)).expire == ()


def test_both_lists_are_oldest_first_over_all_instances() -> None:
    points = [
        point(f"2026-03-{day:02} 0{hour}:00", subject=f"i-{hour}", disks=(f"d-{hour}",))
        for hour in range(3)
        for day in range(1, 10)
    ]

    decided = merge([plan(points[:9], Retention(last=3)), plan(points[9:], Retention(last=3))])

    for found in ([one.taken for one in decided.expire], [one.point.taken for one in decided.keep]):
        assert found == sorted(found)
    assert (len(decided.keep), len(decided.expire)) == (9, 18)


@pytest.mark.parametrize(
    ("keep", "says"),
    [
        (Retention(), "for ever"),
        (Retention(days=1), "1 day"),
        (Retention(hourly=24, daily=7), "24 hourly, 7 daily"),
        (Retention(days=30, last=3, weekly=4, monthly=12, yearly=2), "30 days, 3 last, 4 weekly, 12 monthly, 2 yearly"),
    ],
)
def test_rules_are_described_in_words(keep: Retention, says: str) -> None:
    assert describe(keep) == says
