"""Each guardrail by itself; every answer names its rule."""

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.guardrails import PERCENT_CAP_FROM, Allowed, Evidence, Refused, guard, held_back, over_the_caps
from shared.domain.ids import DiskId, SnapshotId
from shared.domain.policy import PruneLimits
from shared.domain.retention import RestorePoint
from tests.unit.points import point, utc

NOW = utc("2026-06-01")


def seen(*points: RestorePoint) -> Evidence:
    """A cloud in which everything of `points` is usable and ours."""
    usable: dict[DiskId, set[SnapshotId]] = {}
    for one in points:
        for disk, snapshot in one.disks:
            usable.setdefault(disk, set()).add(snapshot)
    ours = frozenset(snapshot for snapshots in usable.values() for snapshot in snapshots)
    return Evidence(inventory_complete=True, usable_by_disk=usable, complete_by_disk=usable, ours=ours, shown=ours)


def days(count: int) -> tuple[RestorePoint, ...]:
    return tuple(point(f"2026-03-{day:02}") for day in range(1, count + 1))


OLD, NEW = point("2026-03-01"), point("2026-03-02")
SNAPSHOT = OLD.disks[0][1]


def test_an_incomplete_inventory_deletes_nothing_and_says_what_was_missing() -> None:
    evidence = replace(seen(OLD, NEW), inventory_complete=False, gap="page 3 of snapshots: throttled")

    answer = guard((OLD,), evidence=evidence, now=NOW)

    assert isinstance(answer, Refused)
    assert answer.refusals[0].rule == "complete inventory"
    assert "page 3 of snapshots: throttled" in answer.because[0]


def test_more_deletions_than_the_cap_refuse_the_whole_run_with_numbers_and_remedies() -> None:
    (refusal,) = over_the_caps(4, 10, PruneLimits(max_items=3, max_percent=100), permit="4-x")

    assert str(refusal) == (
        "cap per run: 4 restore points would go, more than max_items 3. "
        "Look at `understudy prune`; if it is right, raise prune.max_items and apply the policy, "
        "or let this very plan through once: `understudy prune --apply --allow 4-x`"
    )


@pytest.mark.parametrize(
    ("deletions", "points", "refused"),
    [
        pytest.param(10, 20, False, id="exactly half"),
        pytest.param(11, 20, True, id="more than half"),
        pytest.param(18, PERCENT_CAP_FROM - 1, False, id="too few points for percents"),
        pytest.param(0, 20, False, id="nothing to do"),
    ],
)
def test_the_percent_cap_holds_from_twenty_points_on(deletions: int, points: int, refused: bool) -> None:
    answer = over_the_caps(deletions, points, PruneLimits(max_items=1_000, max_percent=50))

    assert bool(answer) is refused
    if answer:
        assert answer[0].rule == "percent cap per run"
        assert "11 of 20" in answer[0].because


def test_both_caps_are_reported_together() -> None:
    refusals = over_the_caps(19, 20, PruneLimits(max_items=1, max_percent=1))

    assert [one.rule for one in refusals] == ["cap per run", "percent cap per run"]


OLDER = point("2026-02-01")
SEEN = seen(OLDER, OLD, NEW)


@pytest.mark.parametrize(
    ("evidence", "rule"),
    [
        pytest.param(replace(SEEN, ours=SEEN.ours - {SNAPSHOT}), "only what we made", id="foreign"),
        pytest.param(replace(SEEN, locked=frozenset([SNAPSHOT])), "never locked", id="locked"),
        pytest.param(replace(SEEN, in_use={SNAPSHOT: "image"}), "never in use", id="in use"),
    ],
)
def test_an_untouchable_point_is_spared_and_the_others_go(evidence: Evidence, rule: str) -> None:
    answer = guard((OLDER, OLD), evidence=evidence, now=NOW)

    assert isinstance(answer, Allowed)
    assert answer.expire == (OLDER,)
    assert [(one.point, one.rule) for one in answer.spared] == [(OLD, rule)]
    assert SNAPSHOT in answer.spared[0].because


def test_a_pinned_point_is_spared_even_if_a_plan_lets_it_go() -> None:
    pinned = replace(OLD, pinned=True)

    answer = guard((pinned,), evidence=seen(OLD, NEW), now=NOW)

    assert isinstance(answer, Allowed)
    assert answer.spared[0].rule == "never pinned"


def test_the_last_snapshot_that_the_cloud_calls_usable_is_spared_whatever_our_records_say() -> None:
    # Our records believe in NEW; in the cloud it is gone.
    evidence = replace(seen(OLD), ours=seen(OLD, NEW).ours)

    answer = guard((OLD,), evidence=evidence, now=NOW)

    assert isinstance(answer, Allowed)
    assert answer.expire == ()
    assert answer.spared[0].rule == "one usable point per disk"
    assert answer.spared[0].because == "disk d-1 would keep 0 of the 1 snapshots that the cloud calls usable"


def test_the_last_complete_snapshot_is_spared_while_what_would_remain_still_uploads() -> None:
    evidence = replace(seen(OLDER, OLD, NEW), complete_by_disk=seen(OLD).complete_by_disk)

    answer = guard((OLDER, OLD), evidence=evidence, now=NOW)

    assert isinstance(answer, Allowed)
    assert answer.expire == (OLDER,)
    assert [(one.point, one.rule) for one in answer.spared] == [(OLD, "one complete point per disk")]
    assert answer.spared[0].because == "disk d-1 would keep 0 of the 1 snapshots that the cloud calls complete"


def test_a_lost_point_that_is_shown_again_is_spared_and_one_that_is_half_gone_is_not() -> None:
    lost = replace(
        point("2026-03-01", disks=("d-1", "d-2")), usable=False, failed=True, missing_since=point("2026-03-01").taken
    )
    rest = point("2026-03-02", disks=("d-1", "d-2"))
    again = seen(lost, rest)

    spared = guard((lost,), evidence=again, now=NOW)
    goes = guard((lost,), evidence=replace(again, shown=again.shown - {lost.disks[0][1]}), now=NOW)

    assert isinstance(spared, Allowed)
    assert [one.rule for one in spared.spared] == ["never found again"]
    assert isinstance(goes, Allowed)
    assert goes.expire == (lost,)


def test_all_points_of_a_bare_disk_are_spared_and_other_disks_go_on() -> None:
    other_old, other_new = (
        point("2026-03-01", disks=("d-2",), subject="i-2"),
        point("2026-03-02", disks=("d-2",), subject="i-2"),
    )

    answer = guard((OLD, other_old, NEW), evidence=seen(OLD, NEW, other_old, other_new), now=NOW)

    assert isinstance(answer, Allowed)
    assert answer.expire == (other_old,)
    assert [one.point for one in answer.spared] == [OLD, NEW]


def test_points_of_two_instances_may_bear_the_same_id() -> None:
    one, other = (point("2026-03-01", id="hourly", subject=f"i-{at}", disks=(f"d-{at}",)) for at in (1, 2))
    rest = tuple(point("2026-03-02", subject=f"i-{at}", disks=(f"d-{at}",)) for at in (1, 2))
    evidence = seen(one, other, *rest)
    evidence = replace(evidence, in_use={one.disks[0][1]: "image"})

    answer = guard((one, other), evidence=evidence, now=NOW)

    assert isinstance(answer, Allowed)
    assert answer.expire == (other,)


@pytest.mark.parametrize(
    ("back", "rule", "says"),
    [
        pytest.param({"uncopied": ("cn-shanghai",)}, "never uncopied", "cn-shanghai", id="uncopied"),
        pytest.param({"locked_until": utc("2026-06-02")}, "never locked", "2026-06-02T00:00Z", id="locked"),
        pytest.param({"pinned": True}, "never pinned", "unpin", id="pinned"),
    ],
)
def test_what_our_records_hold_back_is_spared_before_and_after_the_look(
    back: dict[str, Any], rule: str, says: str
) -> None:
    held = point("2026-03-01", **back)

    early = held_back(held, NOW)
    late = guard((held,), evidence=seen(held, NEW), now=NOW)

    assert early is not None
    assert early.rule == rule
    assert says in early.because
    assert isinstance(late, Allowed)
    assert late.spared == (early,)


def test_a_lock_that_has_run_out_and_a_copy_that_is_there_hold_nothing_back() -> None:
    assert held_back(point("2026-03-01", locked_until=NOW, copy_to=("cn-shanghai",)), NOW) is None
