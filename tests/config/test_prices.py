"""The dated file of prices: the shipped one is sound, and a wrong one says where and what to write."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from shared.config import prices
from shared.domain.assumptions import Assumptions
from shared.domain.cost import NAMES
from shared.domain.errors import BadInput

SHIPPED = Path(__file__).parents[2] / "prices.yaml"


def edited(old: str, new: str) -> str:
    text = SHIPPED.read_text()
    assert old in text
    return text.replace(old, new, 1)


def test_the_shipped_file_names_a_source_or_says_that_it_is_a_guess() -> None:
    found, assumptions = prices.load(SHIPPED)

    assert set(found.everywhere) == set(NAMES)
    assert all(bool(one.source) != bool(one.assumption) for one in found.everywhere.values())
    assert found.dated >= date(2026, 11, 20)
    assert found.of("snapshot_gib_month") == 0.0173
    assert assumptions == Assumptions(), "what it assumes is what a check without it assumes"


def test_a_region_differs_where_it_says_so() -> None:
    text = edited("regions: {}", "regions: {cn-hongkong: {copy_gib: {value: 0.17, assumption: guess}}}")

    found, _ = prices.parse(text, "prices.yaml")

    assert (found.of("copy_gib", "cn-hongkong"), found.of("copy_gib", "cn-beijing")) == (0.17, 0.07)
    assert found.of("snapshot_gib_month", "cn-hongkong") == 0.0173


def test_assumptions_can_be_changed() -> None:
    _, assumed = prices.parse(edited("ticks_lost: 1", "ticks_lost: 3").replace("tick_every: 5m", "tick_every: 1m"), "x")

    assert (assumed.ticks_lost, assumed.tick_every) == (3, timedelta(minutes=1))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("value: 0.0173", "value: cheap", "prices.snapshot_gib_month.value: 'cheap' is not a number. Write a price"),
        ("value: 0.0173", "value: -1", "prices.snapshot_gib_month.value: -1 is not a price"),
        ("dated: 2026-11-20", "dated: last week", "dated: 'last week' is not a date. Write the day of the prices"),
        ("version: 1", "version: 2", "version: 2 is not a version of this file. Write version: 1"),
        ("  copy_gib:", "  copy_gb:", "prices: copy_gib is missing. Add copy_gib: {value: 0.01, source:"),
        (
            "  copy_gib:",
            "  copy_gb:",
            "prices.copy_gb: is no price that is reckoned with. Known here: snapshot_gib_month",
        ),
        ('    source: "ECS', '    sauce: "ECS', "prices.snapshot_gib_month.sauce: unknown key."),
        ("  tick_every: 5m", "  tick_every: 5", "assumptions.tick_every: 5 has no unit"),
        ("  used_share: 0.6", "  used_share: 60", "assumptions.used_share: 60 is not a share (1e-06-1)"),
        (
            "changed_per_hour: 0.005",
            "changed_per_hour: 0.5",
            "assumptions.changed_per_hour: 0.5 is more than changed_per_day",
        ),
    ],
)
def test_what_is_wrong_is_said_with_key_and_remedy(old: str, new: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        prices.parse(edited(old, new), "prices.yaml")

    assert f"prices.yaml: {says}" in str(refused.value)
    assert "(line " in str(refused.value)


def test_a_price_without_its_origin_is_refused() -> None:
    lines = SHIPPED.read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if "source:" in line)
    text = "\n".join([*lines[:at], *lines[at + 1 :]])

    with pytest.raises(BadInput, match="needs a source, or an assumption that says what it was guessed from"):
        prices.parse(text, "prices.yaml")


def test_a_list_is_not_a_file_of_prices() -> None:
    with pytest.raises(BadInput, match="the top level is a list"):
        prices.parse("[1, 2]", "prices.yaml")
