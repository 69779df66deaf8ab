"""`prices.yaml`: what things cost and what a check assumes, as the operator keeps it."""

from datetime import date, timedelta
from pathlib import Path as FilePath
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from shared.config import policy_file
from shared.config.policy_errors import in_our_words, kind_of
from shared.config.policy_section import Section
from shared.config.policy_values import Text, duration, whole
from shared.config.problems import Problem, quoted
from shared.domain.assumptions import Assumptions
from shared.domain.cost import NAMES, Price, Prices

VERSION = 1
NAME = "prices.yaml"


def load(path: str | FilePath) -> tuple[Prices, Assumptions]:
    """Read and check the file; BadInput names every problem in it."""
    return parse(policy_file.read_text(path), FilePath(path).name)


def parse(text: str, where: str) -> tuple[Prices, Assumptions]:
    tree, lines = policy_file.read_tree(text, where)
    if not isinstance(tree, dict):
        says = f"the top level is {kind_of(tree)}, not keys with values. Start with version: {VERSION}"
        raise policy_file.refused(where, [Problem(path=(), says=says)], lines)
    try:
        document = _Document.model_validate(tree)
    except ValidationError as error:
        problems = []
        for one in error.errors(include_url=False):
            path = tuple(key for key in one["loc"] if key != "[key]")
            problems.append(Problem(path=path, says=in_our_words(_Document, path, one)))
        raise policy_file.refused(where, problems, lines) from None
    found = _between(document)
    if found:
        raise policy_file.refused(where, found, lines)
    return document.value()


def _between(document: "_Document") -> list[Problem]:
    problems = [
        Problem(path=("prices",), says=f"{name} is missing. Add {name}: {{value: 0.01, source: where it is published}}")
        for name in NAMES
        if name not in document.prices
    ]
    sections = [(("prices",), document.prices), *((("regions", one), own) for one, own in document.regions.items())]
    for path, section in sections:
        for name, price in section.items():
            if name not in NAMES:
                says = f"is no price that is reckoned with. Known here: {', '.join(NAMES)}"
                problems.append(Problem(path=(*path, name), says=says))
            if bool(price.source) == bool(price.assumption):
                says = "needs a source, or an assumption that says what it was guessed from: one of the two"
                problems.append(Problem(path=(*path, name), says=says))
    assumed = document.assumptions
    if assumed.changed_per_hour > assumed.changed_per_day:
        says = (
            f"{assumed.changed_per_hour:g} is more than changed_per_day {assumed.changed_per_day:g}. "
            "A day holds the hour: use less"
        )
        problems.append(Problem(path=("assumptions", "changed_per_hour"), says=says))
    return problems


def _number(low: float, high: float, *, what: str) -> BeforeValidator:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{quoted(value)} is not a number. Write {what}, {low:g}-{high:g}")
        if not low <= value <= high:
            raise ValueError(f"{value} is not {what} ({low:g}-{high:g})")
        return float(value)

    return BeforeValidator(read)


def _date(value: object) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{quoted(value)} is not a date. Write the day of the prices, e.g. 2026-11-20") from None


def _version(value: object) -> int:
    if value != VERSION:
        raise ValueError(f"{quoted(value)} is not a version of this file. Write version: {VERSION}")
    return VERSION


_Money = Annotated[float, _number(0, 1e9, what="a price")]
_Share = Annotated[float, _number(0.000001, 1, what="a share")]
_Speed = Annotated[float, _number(0.001, 1e6, what="a speed in MiB/s")]
_Short = Annotated[timedelta, BeforeValidator(duration(timedelta(), timedelta(days=7)))]
_Timer = Annotated[timedelta, BeforeValidator(duration(timedelta(minutes=1), timedelta(days=1)))]


def _count(low: int, high: int, what: str) -> BeforeValidator:
    return BeforeValidator(whole(low, high, what=what))


class _Price(Section):
    value: _Money = Field(description="0.0173")
    source: Text | None = Field(None, description="where it is published")
    assumption: Text | None = Field(None, description="what it was guessed from")

    def price(self) -> Price:
        return Price(value=self.value, source=self.source or "", assumption=self.assumption or "")


class _Assumptions(Section):
    size_gib: Annotated[int, _count(1, 65_536, "a size in GiB")] = 100
    disks: Annotated[int, _count(1, 10_000_000, "a number of disks")] = 1
    used_share: _Share = 0.6
    changed_per_hour: _Share = 0.005
    changed_per_day: _Share = 0.05
    snapshot_mib_per_second: _Speed = 34.0
    copy_mib_per_second: _Speed = 20.0
    copies_at_once: Annotated[int, _count(1, 1_000, "a number of copies")] = 5
    overhead: _Short = timedelta(minutes=1)
    usable_after: _Short = timedelta(minutes=2)
    images: Annotated[int, _count(0, 100, "a number of images")] = 1
    function_seconds: Annotated[float, _number(0.001, 86_400, what="seconds")] = 2.0
    store_units: Annotated[int, _count(0, 10_000, "a number of units")] = 12
    tick_every: _Timer = timedelta(minutes=5)
    ticks_lost: Annotated[int, _count(0, 100, "a number of ticks")] = 1
    prune_every: _Timer = timedelta(hours=1)


class _Document(Section):
    version: Annotated[int, BeforeValidator(_version)] = Field(description="1")
    dated: Annotated[date, BeforeValidator(_date)] = Field(description="2026-11-20")
    currency: Text = Field(description="USD")
    prices: dict[Text, _Price] = Field(description="{snapshot_gib_month: {value: 0.0173, source: ...}}")
    regions: dict[Text, dict[Text, _Price]] = Field({}, description="{cn-hongkong: {...}}")
    assumptions: _Assumptions = Field(_Assumptions(), description="{used_share: 0.6}")

    def value(self) -> tuple[Prices, Assumptions]:
        values: dict[str, Any] = {name: getattr(self.assumptions, name) for name in _Assumptions.model_fields}
        prices = Prices(
            dated=self.dated,
            currency=self.currency,
            everywhere={name: one.price() for name, one in self.prices.items()},
            regions={region: {name: one.price() for name, one in own.items()} for region, own in self.regions.items()},
        )
        return prices, Assumptions(**values)
