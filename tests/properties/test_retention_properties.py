"""Retention against an independent oracle, and what must hold for every history and policy."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.policy import Retention
from shared.domain.retention import RestorePoint, plan_prune
from tests.unit.points import point

NOW = datetime(2026, 3, 29, 3, 30, tzinfo=UTC)
ZONES = st.sampled_from(["UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
COUNTS = st.integers(0, 4)
KEEPS = st.builds(
    Retention,
    days=st.none() | st.integers(1, 40),
    hourly=COUNTS,
    daily=COUNTS,
    weekly=COUNTS,
    monthly=COUNTS,
    yearly=COUNTS,
    last=COUNTS,
    forever=st.sampled_from([False] * 9 + [True]),
)
AGES = st.one_of(
    st.integers(-3 * 24 * 60, 5 * 24 * 60),  # around now, and the night of daylight saving in Berlin
    st.integers(0, 800 * 24 * 60),
    st.sampled_from([0, 60, 24 * 60, 40 * 24 * 60]),
)
DISKS = st.sampled_from([("d-1",), ("d-2",), ("d-1", "d-2")])


@st.composite
def histories(draw: st.DrawFn) -> list[RestorePoint]:
    rows = draw(st.lists(st.tuples(AGES, DISKS, st.integers(0, 9)), max_size=30))
    return [
        point(
            NOW - timedelta(minutes=age),
            id=f"rp-{at}",
            disks=disks,
            usable=kind not in (0, 1),
            failed=kind == 1,
            complete=kind > 3,
            pinned=kind == 2,
        )
        for at, (age, disks, kind) in enumerate(rows)
    ]


def oracle(points: Sequence[RestorePoint], keep: Retention, zone: str, now: datetime = NOW) -> set[str]:
    """The ids that stay: one plain pass for each rule, straight from the rules' words."""
    order = sorted(points, key=lambda one: (one.taken, one.id), reverse=True)
    stay = {one.id for one in order if one.pinned or one.taken > now or not (one.usable or one.failed)}
    good = [one for one in order if one.usable and not one.failed and one.taken <= now]
    nothing_asked = keep.days is None and not (
        keep.hourly or keep.daily or keep.weekly or keep.monthly or keep.yearly or keep.last
    )
    if keep.forever or nothing_asked:
        return {one.id for one in order}
    stay |= {one.id for one in good[: keep.last]}
    if keep.days is not None:
        stay |= {one.id for one in good if (now - one.taken).total_seconds() <= keep.days * 86_400}
    for count, cut in (
        (keep.hourly, "%Y-%m-%d %H %z"),
        (keep.daily, "%Y-%m-%d"),
        (keep.weekly, "%G-%V"),
        (keep.monthly, "%Y-%m"),
        (keep.yearly, "%Y"),
    ):
        newest: dict[str, str] = {}
        for one in good:
            newest.setdefault(one.taken.astimezone(ZoneInfo(zone)).strftime(cut), one.id)
        stay |= set(list(newest.values())[:count])
    for disk in ("d-1", "d-2"):
        stay |= {one.id for one in [one for one in good if disk in dict(one.disks)][:1]}
        stay |= {one.id for one in [one for one in good if one.complete and disk in dict(one.disks)][:1]}
    stay |= {one.id for one in good if not one.complete}
    covered = {disk for one in good for disk, _ in one.disks}
    stay |= {one.id for one in order if one.failed and not {disk for disk, _ in one.disks} <= covered}
    return stay


def kept_ids(points: Sequence[RestorePoint], keep: Retention, zone: str) -> set[str]:
    return {kept.point.id for kept in plan_prune(points, keep, zone=zone, now=NOW).keep}


@settings(max_examples=400, deadline=None)
@given(histories(), KEEPS, ZONES)
def test_the_plan_agrees_with_the_oracle(points: list[RestorePoint], keep: Retention, zone: str) -> None:
    assert kept_ids(points, keep, zone) == oracle(points, keep, zone)


@settings(max_examples=150, deadline=None)
@given(histories(), KEEPS, ZONES)
def test_every_point_is_either_kept_with_reasons_or_expired(
    points: list[RestorePoint], keep: Retention, zone: str
) -> None:
    decided = plan_prune(points, keep, zone=zone, now=NOW)

    kept = [one.point.id for one in decided.keep]
    expired = [one.id for one in decided.expire]
    assert sorted(kept + expired) == sorted(one.id for one in points)
    assert all(one.because for one in decided.keep)
    assert [(one.taken, one.id) for one in decided.expire] == sorted((one.taken, one.id) for one in decided.expire)


@settings(max_examples=100, deadline=None)
@given(histories(), KEEPS, ZONES)
def test_a_plan_applied_twice_changes_nothing(points: list[RestorePoint], keep: Retention, zone: str) -> None:
    once = [kept.point for kept in plan_prune(points, keep, zone=zone, now=NOW).keep]

    assert plan_prune(once, keep, zone=zone, now=NOW).expire == ()


@settings(max_examples=80, deadline=None)
@given(histories(), KEEPS, ZONES)
def test_stopping_after_any_deletion_and_planning_again_arrives_at_the_same_end(
    points: list[RestorePoint], keep: Retention, zone: str
) -> None:
    whole = plan_prune(points, keep, zone=zone, now=NOW)

    for done in range(len(whole.expire) + 1):
        gone = {one.id for one in whole.expire[:done]}
        again = plan_prune([one for one in points if one.id not in gone], keep, zone=zone, now=NOW)
        assert again.expire == whole.expire[done:]
        assert [kept.point for kept in again.keep] == [kept.point for kept in whole.keep]


@settings(max_examples=150, deadline=None)
@given(histories(), KEEPS, ZONES, st.integers(0, 2000))
def test_no_disk_ever_loses_its_newest_usable_point(
    points: list[RestorePoint], keep: Retention, zone: str, later: int
) -> None:
    now = NOW + timedelta(days=later)

    kept = {one.point.id for one in plan_prune(points, keep, zone=zone, now=now).keep}

    for disk in ("d-1", "d-2"):
        usable = [one for one in points if one.counts and one.taken <= now and disk in dict(one.disks)]
        if usable:
            assert max(usable, key=lambda one: (one.taken, one.id)).id in kept


@settings(max_examples=150, deadline=None)
@given(histories(), KEEPS, ZONES, st.integers(0, 2000))
def test_if_every_upload_that_still_runs_fails_each_disk_has_its_newest_complete_point(
    points: list[RestorePoint], keep: Retention, zone: str, later: int
) -> None:
    now = NOW + timedelta(days=later)

    kept = {one.point.id for one in plan_prune(points, keep, zone=zone, now=now).keep}

    assert {one.id for one in points if not one.complete and not one.failed} <= kept
    for disk in ("d-1", "d-2"):
        complete = [
            one for one in points if one.counts and one.complete and one.taken <= now and disk in dict(one.disks)
        ]
        if complete:
            assert max(complete, key=lambda one: (one.taken, one.id)).id in kept


@settings(max_examples=100, deadline=None)
@given(histories(), KEEPS, ZONES, st.randoms(use_true_random=False))
def test_the_order_in_which_points_are_listed_does_not_matter(
    points: list[RestorePoint], keep: Retention, zone: str, chance: random.Random
) -> None:
    shuffled = list(points)
    chance.shuffle(shuffled)

    assert plan_prune(shuffled, keep, zone=zone, now=NOW) == plan_prune(points, keep, zone=zone, now=NOW)


@settings(max_examples=100, deadline=None)
@given(histories(), KEEPS, ZONES, st.integers(1, 10_000))
def test_forged_future_points_never_displace_a_real_one(
    points: list[RestorePoint], keep: Retention, zone: str, ahead: int
) -> None:
    forged = [
        point(NOW + timedelta(minutes=ahead * (at + 1)), id=f"forged-{at}", disks=("d-1", "d-2")) for at in range(5)
    ]

    assert kept_ids(points, keep, zone) <= kept_ids(points + forged, keep, zone)


NIGHTS = [
    pytest.param("America/Santiago", datetime(2026, 4, 5, 6, tzinfo=UTC), id="Santiago repeats its last hour of a day"),
    pytest.param("America/Santiago", datetime(2026, 9, 6, 9, tzinfo=UTC), id="Santiago skips a midnight"),
    pytest.param("America/Havana", datetime(2026, 11, 1, 9, tzinfo=UTC), id="Havana has a midnight twice"),
    pytest.param("America/Havana", datetime(2026, 3, 8, 9, tzinfo=UTC), id="Havana skips a midnight"),
    pytest.param("Europe/Berlin", datetime(2026, 10, 25, 4, tzinfo=UTC), id="Berlin repeats an hour"),
    pytest.param("Pacific/Apia", datetime(2012, 1, 2, tzinfo=UTC), id="Samoa skips a day"),
]


@pytest.mark.parametrize(("zone", "now"), NIGHTS)
@pytest.mark.parametrize("step", [20, 60, 97])
def test_buckets_agree_with_the_oracle_over_nights_that_are_not_24_hours_long(
    zone: str, now: datetime, step: int
) -> None:
    points = [point(now - timedelta(minutes=step * at), id=f"rp-{at:03}") for at in range(200)]

    for keep in (Retention(hourly=5), Retention(hourly=30), *(Retention(daily=days) for days in range(1, 6))):
        kept = {one.point.id for one in plan_prune(points, keep, zone=zone, now=now).keep}
        assert kept == oracle(points, keep, zone, now)
