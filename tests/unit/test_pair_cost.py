"""What watching a pair costs, by arithmetic that one can do by hand, with the figures of the code that it speaks of."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from shared.domain.cost import NAMES, Price, Prices
from shared.domain.feasibility import study
from shared.domain.ids import LoadBalancerId, PairName, SiteName
from shared.domain.pair import NameRule, Pair
from shared.domain.pair_cost import BEAT_EVERY, CALM_EVERY, DAY, LOOKS_FOR, TICK, pair_costs, usage, watch_cost
from shared.usecases.failover import watch
from tests.simulation.failover_world import pair_policy
from tests.unit.feasible import policy
from understudy.agent import heartbeat

PAIR = replace(pair_policy(), name_every=timedelta(seconds=5))
FREE = Prices(dated=date(2026, 11, 20), currency="USD", everywhere={name: Price(value=0.0) for name in NAMES})


def only(**values: float) -> Prices:
    return replace(FREE, everywhere={**FREE.everywhere, **{name: Price(value=one) for name, one in values.items()}})


def named(name: str, **more: object) -> Pair:
    return replace(PAIR, name=PairName(name), **more)  # type: ignore[arg-type]  # fields by name


def test_the_figures_are_those_of_the_code() -> None:
    assert (LOOKS_FOR, CALM_EVERY, BEAT_EVERY) == (watch.SPAN, watch.CALM_EVERY, heartbeat.BEAT_EVERY)


def test_a_watch_is_paid_for_all_month_and_for_the_seconds_in_which_two_ticks_overlap() -> None:
    """30 days of 43,200 ticks that look for 62 s each, with half a vCPU and half a GB."""
    prices = only(function_unit=1.0, function_units_per_cpu_second=1.0, function_units_per_gb_second=0.2)

    assert watch_cost(prices) == pytest.approx(43_200 * 62 * (0.5 + 0.1))
    assert timedelta(minutes=1) == TICK


def test_a_further_pair_of_the_same_sites_costs_its_store_only() -> None:
    first, second = pair_costs((named("a"), named("b")), only(function_unit=1.0, function_units_per_cpu_second=1.0))

    assert first.watches == ("hz-h", "hz-i")
    assert first.functions > 0
    assert (second.watches, second.functions) == ((), 0.0)
    assert second.store == first.store


def test_a_pair_of_other_sites_pays_for_the_watch_that_is_not_there_yet() -> None:
    elsewhere = replace(PAIR.members[1], site=SiteName("hz-j"))
    prices = only(function_unit=1.0, function_units_per_cpu_second=1.0)
    first, second = pair_costs((named("a"), named("b", members=(PAIR.members[0], elsewhere))), prices)

    assert second.watches == ("hz-j",)
    assert second.functions == pytest.approx(first.functions / 2)


def test_the_store_is_paid_by_reads_and_writes() -> None:
    used = usage(PAIR)
    (reads,) = pair_costs((PAIR,), only(store_10000_read_units=1.0))
    (writes,) = pair_costs((PAIR,), only(store_10000_write_units=1.0))

    assert reads.store == pytest.approx(used.read_units * 259.2)
    assert writes.store == pytest.approx(used.write_units * 259.2)


def test_slower_rounds_and_renewals_cost_less_in_proportion() -> None:
    fast = usage(PAIR)
    slow = usage(replace(PAIR, watch_every=timedelta(seconds=2), renew_every=timedelta(seconds=3)))

    assert slow.rounds == pytest.approx(fast.rounds / 2)
    assert slow.write_units == pytest.approx(fast.write_units - 2 / 3)


def test_masters_without_agents_write_nothing_but_the_roll_call() -> None:
    used = usage(replace(PAIR, agents=False))

    assert used.write_units == pytest.approx(2 / 60)


def test_every_name_is_listed_from_every_site() -> None:
    one = usage(PAIR)
    three = usage(replace(PAIR, more_names=(NameRule(zone="a", host="b"), NameRule(zone="a", host="c"))))

    assert one.name_calls * DAY == pytest.approx(2 * 62 / 60 / 5 * 86_400)
    assert three.name_calls == pytest.approx(3 * one.name_calls)


def test_only_a_pair_with_a_balancer_asks_one() -> None:
    with_one = usage(replace(PAIR, balancer=LoadBalancerId("lb-1")))

    assert usage(PAIR).balancer_calls == 0
    assert with_one.balancer_calls == pytest.approx(2 * 62 / 60 / 5)
    assert with_one.ecs_calls == usage(PAIR).ecs_calls == pytest.approx(2 / 60)


def test_the_total_of_a_check_has_the_pairs() -> None:
    prices = only(function_unit=1.0, function_units_per_cpu_second=1.0)
    without = study(policy(), prices=prices)
    with_pairs = study(replace(policy(), pairs=(named("a"), named("b"))), prices=prices)

    assert [one.pair for one in with_pairs.pairs] == ["a", "b"]
    assert with_pairs.total == pytest.approx(without.total + sum(one.total for one in with_pairs.pairs))
    assert study(replace(policy(), pairs=(named("a"),))).pairs == (), "without prices nothing is reckoned"
