"""Column conditions of writes and filters of reads: comparisons joined by AND, OR and NOT."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from emulator.tablestore.errors import parameter_invalid
from emulator.tablestore.values import Value

MAX_COMPARISONS: Final = 10

Lookup = Callable[[str], Sequence[Value]]
"""A column's values, newest first; empty when the column is missing."""

COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`comparator` is one of COMPARE, or `exists` / `missing` (then `value` is not looked at)."""

    column: str
    comparator: str
    value: Value
    pass_if_missing: bool = False
    latest_only: bool = True

    def holds(self, lookup: Lookup) -> bool:
        values = lookup(self.column)
        if self.comparator == "exists":
            return bool(values)
        if self.comparator == "missing":
            return not values
        if not values:
            return self.pass_if_missing
        compare = COMPARE[self.comparator]
        # Values of another type never match, not even by != (assumption: the service's answer is not documented).
        candidates = values[:1] if self.latest_only else values
        return any(type(v) is type(self.value) and compare(v, self.value) for v in candidates)

    def count(self) -> int:
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    combinator: str  # AND | OR | NOT
    parts: tuple["Filter", ...]

    def holds(self, lookup: Lookup) -> bool:
        if self.combinator == "NOT":
            return not self.parts[0].holds(lookup)
        join = all if self.combinator == "AND" else any
        return join(part.holds(lookup) for part in self.parts)

    def count(self) -> int:
        return sum(part.count() for part in self.parts)


Filter = Comparison | Composite


def check(filter: Filter | None) -> None:
    """Raise on more comparisons than a request may carry, or on an ill-formed composite."""
    if filter is None:
        return
    if filter.count() > MAX_COMPARISONS:
        raise parameter_invalid(f"The number of column conditions exceeds the limit: {MAX_COMPARISONS}.")
    _check_shape(filter)


def _check_shape(filter: Filter) -> None:
    if isinstance(filter, Composite):
        fits = len(filter.parts) == 1 if filter.combinator == "NOT" else len(filter.parts) >= 2
        if not fits:
            raise parameter_invalid(f"Invalid number of sub conditions for {filter.combinator}: {len(filter.parts)}.")
        for part in filter.parts:
            _check_shape(part)
