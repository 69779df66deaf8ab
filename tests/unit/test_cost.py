"""What a month costs, by arithmetic that one can do by hand."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from shared.domain.assumptions import Assumptions, Known
from shared.domain.cost import NAMES, Price, Prices, chain_gib, halved
from shared.domain.feasibility import study
from shared.domain.policy import CopyRule, Retention
from tests.unit.feasible import EVERY_HOUR, NIGHTLY, disk, every, policy, protection

FREE = Prices(dated=date(2026, 11, 20), currency="USD", everywhere={name: Price(value=0.0) for name in NAMES})
KNOWN = Known(assumptions=Assumptions(used_share=0.5, changed_per_hour=0.01, changed_per_day=0.1))


def only(**values: float) -> Prices:
    return replace(FREE, everywhere={**FREE.everywhere, **{name: Price(value=one) for name, one in values.items()}})


def test_a_chain_is_the_data_once_and_the_changes_between_the_points() -> None:
    """50 GiB of data; seven nights that each change a tenth of it."""
    held = chain_gib(Retention(daily=7), (NIGHTLY,), disk(), KNOWN.assumptions)

    assert held == pytest.approx(50 + 7 * 5)


def test_an_hour_changes_less_than_a_day_and_more_than_a_24th() -> None:
    assumed = KNOWN.assumptions

    assert assumed.changed_gib(100, timedelta(hours=1)) == pytest.approx(0.5)
    assert assumed.changed_gib(100, timedelta(days=1)) == pytest.approx(5)
    assert 5 < assumed.changed_gib(100, timedelta(days=7)) < 7 * 5
    assert assumed.changed_gib(100, timedelta(days=9999)) == 50, "no more than there is"


def test_storage_is_the_chain_at_the_price_of_its_region() -> None:
    there = replace(only(snapshot_gib_month=0.01), regions={"cn-hangzhou": {"snapshot_gib_month": Price(value=0.02)}})

    (cost,) = study(policy(protection(NIGHTLY, keep=Retention(daily=7))), known=KNOWN, prices=there).costs

    assert cost.storage_gib == pytest.approx(85)
    assert cost.total == cost.storage == pytest.approx(1.7)


def test_copies_cost_storage_there_and_the_traffic_of_every_copied_slot() -> None:
    rule = CopyRule(region="cn-beijing", keep=Retention(daily=2), within=timedelta(hours=6), schedules=("nightly",))
    one = protection(EVERY_HOUR, NIGHTLY, copies=(rule,))
    prices = only(snapshot_gib_month=1.0, copy_gib=10.0)

    (cost,) = study(policy(one), known=KNOWN, prices=prices).costs

    assert cost.copy_storage == pytest.approx(60)
    assert cost.traffic == pytest.approx(30 * 5 * 10.0)


def test_every_disk_counts_and_the_total_has_the_timers_too() -> None:
    disks = {"p": [disk(f"d-{number}") for number in range(10)]}

    one = study(policy(protection(NIGHTLY)), coverage={"p": [disk()]}, known=KNOWN, prices=only(snapshot_gib_month=1.0))
    ten = study(policy(protection(NIGHTLY)), coverage=disks, known=KNOWN, prices=only(snapshot_gib_month=1.0))
    timers = study(policy(protection(NIGHTLY)), prices=only(function_unit=1.0, function_units_per_cpu_second=1.0))

    assert ten.costs[0].storage == pytest.approx(10 * one.costs[0].storage)
    assert timers.base == pytest.approx((8640 + 4320 + 720) * 2 * 0.5)
    assert timers.total > timers.base


def test_half_the_interval_has_its_price() -> None:
    (cost,) = study(
        policy(protection(EVERY_HOUR, keep=Retention(days=3))), known=KNOWN, prices=only(snapshot_gib_month=1.0)
    ).costs

    assert cost.halved_every == timedelta(minutes=30)
    assert cost.halved is not None
    assert cost.total < cost.halved < 2 * cost.total, "hot blocks are saved more often, the others are not"


def test_the_finest_interval_has_no_half() -> None:
    assert halved(protection(every(5))) is None
    assert halved(protection(every(8))) is None
    (cost,) = study(policy(protection(every(5))), prices=FREE).costs
    assert cost.halved is None
