"""Retention against an independent oracle, and what must hold for every history and policy."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.place import Place
from shared.domain.policy import CopyRule, Retention
from shared.domain.pruning import Rules, judge
from shared.domain.retention import PrunePlan, RestorePoint, keeps_all, plan_prune
from tests.properties.retention_oracle import stays
from tests.unit import feasible
from tests.unit.points import point

NOW = datetime(2026, 3, 29, 3, 30, tzinfo=UTC)  # the night of daylight saving in Berlin
MOMENTS = st.sampled_from(
    [
        NOW,
        datetime(2025, 10, 26, 2, 10, tzinfo=UTC),  # Berlin has just had an hour twice
        datetime(2026, 11, 1, 6, 30, tzinfo=UTC),  # New York is about to, Havana has its midnight twice
        datetime(2021, 1, 4, 0, 30, tzinfo=UTC),  # after ISO week 53 of 2020
        datetime(2027, 1, 1, 0, 15, tzinfo=UTC),  # in ISO week 53 of 2026, a quarter of an hour into a year
        datetime(2024, 12, 31, 23, 59, tzinfo=UTC),  # in ISO week 1 of 2025
        datetime(2012, 1, 1, 12, tzinfo=UTC),  # Samoa has skipped a day
    ]
)
ZONES = st.sampled_from(
    [
        "UTC",
        "Asia/Shanghai",
        "Europe/Berlin",
        "America/New_York",
        "America/Havana",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Australia/Lord_Howe",  # half an hour of daylight saving
    ]
)
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
MINUTES = st.one_of(
    st.integers(-3 * 24 * 60, 5 * 24 * 60),
    st.integers(0, 800 * 24 * 60),
    st.sampled_from([0, 60, 24 * 60, 40 * 24 * 60, -1]),  # exact ages, and stamps that are equal
)
DISKS = st.sampled_from([("d-1", "d-2")] * 4 + [("d-1",), ("d-2",), ("d-2", "d-1"), ("d-3",), ()])
IDS = st.text("rp-/019~\u00e9 ", max_size=4)
"""What an id looks like must not matter, beyond that it tells points apart."""
KINDS = ("whole",) * 6 + ("uploading",) * 3 + ("running", "failed", "pinned", "uncopied", "locked", "unlocked")
ROUNDED = st.sampled_from([1, 1, 1, 60 * 60, 24 * 60 * 60])
"""Seconds: many a point stands just where an hour or a day begins."""


Story = tuple[list[RestorePoint], datetime]


def made(kind: str, now: datetime) -> dict[str, Any]:
    changes: dict[str, dict[str, Any]] = {
        "whole": {},
        "running": {"usable": False, "complete": False},
        "failed": {"usable": False, "complete": False, "failed": True},
        "uploading": {"complete": False},
        "pinned": {"pinned": True},
        "uncopied": {"copy_to": ("cn-shanghai",), "uncopied": ("cn-shanghai",)},
        "locked": {"locked_until": now + timedelta(seconds=1)},
        "unlocked": {"locked_until": now},
    }
    return changes[kind]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Random points of one instance, with holes, doubles, moments to come and names that somebody made up; some of
    them from a schedule that ran regularly, and for the last month perhaps no more."""
    now = draw(MOMENTS)
    points = []
    rows = draw(st.lists(st.tuples(MINUTES, DISKS, st.sampled_from(KINDS), IDS, ROUNDED), max_size=24))
    for at, (age, disks, kind, name, seconds) in enumerate(rows):
        taken = now - timedelta(minutes=age)
        taken -= timedelta(seconds=taken.timestamp() % seconds)
        points.append(point(taken, id=f"{name}#{at}", disks=disks, **made(kind, now)))
    step = draw(st.sampled_from([20, 60, 97, 360, 1440, 10080]))
    stopped = draw(st.sampled_from([0, 0, 31 * 1440]))
    points += [
        point(now - timedelta(minutes=stopped + step * at), id=f"regular-{at}", disks=("d-1", "d-2"))
        for at in range(draw(st.sampled_from([0, 5, 30])))
    ]
    return points, now


STORIES = stories()


def kept(plan: PrunePlan) -> set[str]:
    return {one.point.id for one in plan.keep}


@settings(max_examples=300, deadline=None)
@given(STORIES, KEEPS, ZONES)
def test_the_plan_agrees_with_the_oracle(story: Story, keep: Retention, zone: str) -> None:
    points, now = story

    assert kept(plan_prune(points, keep, zone=zone, now=now)) == stays(points, keep, zone, now)


@settings(max_examples=150, deadline=None)
@given(STORIES, KEEPS, ZONES)
def test_every_point_is_either_kept_with_reasons_or_expired_without(story: Story, keep: Retention, zone: str) -> None:
    points, now = story

    decided = plan_prune(points, keep, zone=zone, now=now)

    assert sorted([*kept(decided), *(one.id for one in decided.expire)]) == sorted(one.id for one in points)
    assert len(decided.keep) + len(decided.expire) == len(points)
    assert all(one.because and all(one.because) for one in decided.keep)
    assert all(len(set(one.because)) == len(one.because) for one in decided.keep), "each reason once"
    order = [(one.taken, one.id) for one in decided.expire]
    assert order == sorted(order)


@settings(max_examples=80, deadline=None)
@given(STORIES, KEEPS, ZONES, st.randoms(use_true_random=False))
def test_stopping_after_any_deletion_and_planning_again_arrives_at_the_same_end(
    story: Story, keep: Retention, zone: str, chance: random.Random
) -> None:
    points, now = story
    whole = plan_prune(points, keep, zone=zone, now=now)

    left = {one.id: one for one in points}
    for victim in chance.sample(whole.expire, len(whole.expire)):  # the guard may spare any of them
        del left[victim.id]
        again = plan_prune(list(left.values()), keep, zone=zone, now=now)
        assert again.keep == whole.keep
        assert {one.id for one in again.expire} == left.keys() - kept(whole)

    assert plan_prune(list(left.values()), keep, zone=zone, now=now).expire == (), "prune after prune changes nothing"


@settings(max_examples=200, deadline=None)
@given(STORIES, KEEPS, ZONES, st.integers(0, 2000))
def test_no_disk_ever_loses_its_newest_usable_or_its_newest_complete_point(
    story: Story, keep: Retention, zone: str, later: int
) -> None:
    points, now = story[0], story[1] + timedelta(days=later)

    survivors = kept(plan_prune(points, keep, zone=zone, now=now))

    for disk in ("d-1", "d-2", "d-3"):
        usable = [one for one in points if one.counts and one.taken <= now and disk in dict(one.disks)]
        complete = [one for one in usable if one.complete]
        for some in (usable, complete):
            assert not some or max(some, key=lambda one: (one.taken, one.id)).id in survivors


@settings(max_examples=150, deadline=None)
@given(STORIES, KEEPS, ZONES)
def test_what_is_under_way_pinned_waited_for_or_locked_does_not_go(story: Story, keep: Retention, zone: str) -> None:
    points, now = story

    gone = plan_prune(points, keep, zone=zone, now=now).expire

    for one in gone:
        assert not one.pinned
        assert not one.uncopied
        assert one.locked_until is None or one.locked_until <= now
        assert one.failed or not one.disks or (one.usable and one.complete)


@settings(max_examples=200, deadline=None)
@given(STORIES, KEEPS, ZONES, st.sampled_from(["days", "hourly", "daily", "weekly", "monthly", "yearly", "last"]))
def test_raising_a_keep_never_lets_more_go(story: Story, keep: Retention, zone: str, which: str) -> None:
    points, now = story
    before = getattr(keep, which)
    if before is None or keeps_all(keep):
        return  # a first rule ends "for ever": that is no raise
    more = replace(keep, **{which: before + 1})

    assert kept(plan_prune(points, keep, zone=zone, now=now)) <= kept(plan_prune(points, more, zone=zone, now=now))


@settings(max_examples=200, deadline=None)
@given(STORIES, KEEPS, ZONES, st.integers(0, 900 * 24 * 60), st.sampled_from([("d-1", "d-2"), ("d-1",)]))
def test_adding_an_older_point_never_makes_a_newer_one_go(
    story: Story, keep: Retention, zone: str, age: int, disks: tuple[str, ...]
) -> None:
    points, now = story
    added = point(now - timedelta(minutes=age), id="added", disks=disks)
    # But for a failed one, whose disk now has something better.
    newer = {one.id for one in points if (one.taken, one.id) > (added.taken, added.id) and not one.failed}

    before = kept(plan_prune(points, keep, zone=zone, now=now)) & newer

    assert before <= kept(plan_prune([*points, added], keep, zone=zone, now=now))


@settings(max_examples=100, deadline=None)
@given(STORIES, KEEPS, ZONES, st.randoms(use_true_random=False))
def test_the_order_in_which_points_are_listed_does_not_matter(
    story: Story, keep: Retention, zone: str, chance: random.Random
) -> None:
    points, now = story

    shuffled = chance.sample(points, len(points))

    assert plan_prune(shuffled, keep, zone=zone, now=now) == plan_prune(points, keep, zone=zone, now=now)


@settings(max_examples=100, deadline=None)
@given(STORIES, KEEPS, ZONES, st.integers(1, 10_000))
def test_points_that_are_dated_ahead_failed_or_empty_never_displace_a_real_one(
    story: Story, keep: Retention, zone: str, ahead: int
) -> None:
    points, now = story
    both = ("d-1", "d-2")
    forged = [
        *(point(now + timedelta(minutes=ahead * at), id=f"~ahead-{at}", disks=both) for at in (1, 2, 3)),
        *(point(now - timedelta(hours=at), id=f"~failed-{at}", disks=both, **made("failed", now)) for at in (0, 1)),
        *(point(now - timedelta(hours=at), id=f"~running-{at}", disks=both, **made("running", now)) for at in (0, 1)),
        point(now, id="~empty", disks=()),
    ]

    assert kept(plan_prune(points, keep, zone=zone, now=now)) <= kept(
        plan_prune(points + forged, keep, zone=zone, now=now)
    )


@settings(max_examples=100, deadline=None)
@given(STORIES, KEEPS, ZONES, st.integers(0, 60 * 24 * 60))
def test_a_point_of_some_disks_never_displaces_one_that_has_others_too(
    story: Story, keep: Retention, zone: str, age: int
) -> None:
    points, now = story
    partial = point(now - timedelta(minutes=age), id="~partial", disks=("d-9",))

    assert kept(plan_prune(points, keep, zone=zone, now=now)) <= kept(
        plan_prune([*points, partial], keep, zone=zone, now=now)
    )


HOME, ELSEWHERE = Place("cn-hangzhou"), Place("cn-shanghai")
PLACES = st.sampled_from([HOME, HOME, ELSEWHERE, None])
NAMES = st.sampled_from(["first", "second", "forgotten"])


@settings(max_examples=150, deadline=None)
@given(STORIES, st.lists(st.tuples(NAMES, PLACES), min_size=60, max_size=60), KEEPS, KEEPS, KEEPS)
def test_each_protection_and_each_region_is_judged_by_itself_even_on_one_disk(
    story: Story, where: list[tuple[str, Place | None]], first: Retention, second: Retention, copies: Retention
) -> None:
    points, now = story
    zones = {"first": "Asia/Shanghai", "second": "Europe/Berlin"}
    rule = CopyRule(region=ELSEWHERE.region, keep=copies, within=timedelta(hours=4))
    policy = feasible.policy(
        replace(feasible.protection(feasible.every(60, zones["first"]), name="first"), keep=first, copies=(rule,)),
        replace(feasible.protection(feasible.every(60, zones["second"]), name="second"), keep=second),
        region=HOME.region,
    )
    points = [replace(one, protection=name, place=at) for one, (name, at) in zip(points, where, strict=False)]

    decided = list(judge(points, Rules(policy), now=now))

    rules = {("first", HOME): first, ("second", HOME): second, ("first", ELSEWHERE): copies}
    for name in ("first", "second", "forgotten"):
        for place in (HOME, ELSEWHERE):
            own = [one for one in points if one.protection == name and (one.place or HOME) == place]
            gone = {p.id for one in decided if one.place == place for p in one.expire if p.protection == name}
            if (name, place) not in rules:
                assert not gone, "no rule holds for it"
                continue
            stay = stays(own, rules[name, place], zones[name], now)
            assert gone == {one.id for one in own} - stay


NIGHTS = [
    pytest.param("America/Santiago", datetime(2026, 4, 5, 6, tzinfo=UTC), id="Santiago repeats its last hour of a day"),
    pytest.param("America/Santiago", datetime(2026, 9, 6, 9, tzinfo=UTC), id="Santiago skips a midnight"),
    pytest.param("America/Havana", datetime(2026, 11, 1, 9, tzinfo=UTC), id="Havana has a midnight twice"),
    pytest.param("America/Havana", datetime(2026, 3, 8, 9, tzinfo=UTC), id="Havana skips a midnight"),
    pytest.param("Europe/Berlin", datetime(2026, 10, 25, 4, tzinfo=UTC), id="Berlin repeats an hour"),
    pytest.param("Australia/Lord_Howe", datetime(2026, 4, 4, 18, tzinfo=UTC), id="Lord Howe repeats half an hour"),
    pytest.param("Pacific/Apia", datetime(2012, 1, 2, tzinfo=UTC), id="Samoa skips a day"),
    pytest.param("Asia/Shanghai", datetime(2021, 1, 5, tzinfo=UTC), id="a week 53, and a year's end"),
]


@pytest.mark.parametrize(("zone", "now"), NIGHTS)
@pytest.mark.parametrize("step", [20, 60, 97])
def test_buckets_agree_with_the_oracle_over_nights_that_are_not_24_hours_long(
    zone: str, now: datetime, step: int
) -> None:
    points: Sequence[RestorePoint] = [point(now - timedelta(minutes=step * at), id=f"rp-{at:03}") for at in range(100)]

    for keep in (
        Retention(hourly=5),
        Retention(hourly=30),
        *(Retention(daily=days) for days in range(1, 6)),
        Retention(weekly=1),
        Retention(weekly=2),
        Retention(monthly=2, yearly=2),
    ):
        assert kept(plan_prune(points, keep, zone=zone, now=now)) == stays(points, keep, zone, now)
