"""What policies the drawn days have, and that the days would notice if one were not kept."""

from collections import Counter

import pytest

from shared.domain import failover_obstacles
from shared.usecases.failover.surge import SurgeKeeping
from tests.simulation.seeds import lived
from tests.simulation.variety import variety


def having(kinds: set[str], seeds: range) -> list[int]:
    return [seed for seed in seeds if not kinds.isdisjoint(variety(seed).kinds)]


def test_a_share_of_the_days_has_each_kind_of_policy_and_most_have_the_plain_one() -> None:
    drawn = [variety(seed).kinds for seed in range(500)]
    counted = Counter(kind for kinds in drawn for kind in kinds)

    assert min(counted[kind] for kind in ("data", "hooks", "surge", "names")) > 50
    assert min(counted[kind] for kind in ("manual", "maintenance")) > 10
    assert 250 < sum(not kinds for kinds in drawn) < 400


def test_a_day_on_which_a_pair_moves_by_itself_though_it_may_not_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    without = tuple(one for one in failover_obstacles.ALL if one[0] != "forbidden")
    monkeypatch.setattr(failover_obstacles, "ALL", without)

    seeds = having({"manual", "maintenance"}, range(1000))

    assert any("by itself" in told for seed in seeds for told in lived(seed).failures)


def test_a_day_after_which_something_stays_raised_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SurgeKeeping, "_came_home", lambda _self, failover: failover)

    seeds = having({"surge"}, range(1000))

    assert any("is raised" in told for seed in seeds for told in lived(seed).failures)


def test_a_side_that_serves_is_not_called_unprotected() -> None:
    """On this day the pair moves to the side that was lost before, and is to be called protected when it serves."""
    assert lived(1028).failures == []


def test_a_side_that_took_a_newer_epoch_while_it_was_promoted_is_the_one_that_serves() -> None:
    """On this day no watch saw it promoted, and what was raised for it is to be put back once the other one is well."""
    assert lived(7103).failures == []


def test_each_raise_is_remembered_for_a_minute_of_its_own() -> None:
    """On this day a late call raises a site for the second time, a minute after the first was put back."""
    assert lived(9947).failures == []
