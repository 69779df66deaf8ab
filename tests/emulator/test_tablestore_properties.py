"""Laws of the row model against a dictionary that is sorted anew for every question."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from emulator.cloud import Cloud
from emulator.tablestore.conditions import Comparison
from emulator.tablestore.errors import OtsError
from emulator.tablestore.rows import Change
from emulator.tablestore.table import Existence, Kind, Write
from emulator.tablestore.values import INF_MAX, INF_MIN, Bound

SCHEMA = [("a", "STRING"), ("b", "INTEGER")]
A = st.sampled_from(["", "a", "ab", "b", "ü", "\U0001f680", "\uffff"])
B = st.integers(min_value=-2, max_value=2)
KEY = st.tuples(A, B)
BOUND = st.tuples(st.one_of(A, st.sampled_from([INF_MIN, INF_MAX])), st.one_of(B, st.sampled_from([INF_MIN, INF_MAX])))


def pairs(key: tuple[Bound, ...]) -> list[tuple[str, Bound]]:
    return [(name, value) for (name, _), value in zip(SCHEMA, key, strict=True)]


def rank(key: tuple[Any, ...]) -> list[tuple[int, Any]]:
    """Order as documented: bounds outside, strings by their UTF-8 bytes, integers as numbers."""

    def one(value: Any) -> tuple[int, Any]:
        if value is INF_MIN:
            return (0, 0)
        if value is INF_MAX:
            return (2, 0)
        return (1, value.encode() if isinstance(value, str) else value)

    return [one(value) for value in key]


def filled(keys: set[tuple[str, int]]) -> Cloud:
    cloud = Cloud()
    cloud.tablestore.create_table("i", "t", SCHEMA)
    for number, key in enumerate(keys):
        cloud.tablestore.write("i", "t", Write(kind=Kind.PUT, key=pairs(key), changes=(Change("n", value=number),)))
    return cloud


@settings(max_examples=300, deadline=None)
@given(
    keys=st.sets(KEY, max_size=15),
    start=BOUND,
    end=BOUND,
    backward=st.booleans(),
    limit=st.one_of(st.none(), st.integers(1, 5)),
)
def test_pages_put_together_are_the_sorted_slice(
    keys: set[tuple[str, int]], start: tuple[Bound, ...], end: tuple[Bound, ...], backward: bool, limit: int | None
) -> None:
    cloud = filled(keys)
    in_order = rank(start) > rank(end) if backward else rank(start) < rank(end)
    if not in_order:
        with pytest.raises(OtsError, match="Begin key"):
            cloud.tablestore.get_range("i", "t", pairs(start), pairs(end), backward=backward, limit=limit)
        return

    met: list[tuple[Any, ...]] = []
    at: tuple[Bound, ...] | None = start
    while at is not None:
        page = cloud.tablestore.get_range("i", "t", pairs(at), pairs(end), backward=backward, limit=limit)
        assert limit is None or len(page.rows) <= limit
        met += [found.row.key for found in page.rows]
        at = page.next_key

    ordered = sorted(keys, key=rank, reverse=backward)
    if backward:
        assert met == [k for k in ordered if rank(end) < rank(k) <= rank(start)]
    else:
        assert met == [k for k in ordered if rank(start) <= rank(k) < rank(end)]


@settings(max_examples=100, deadline=None)
@given(keys=st.sets(KEY, max_size=15), limit=st.integers(1, 4), least=st.integers(0, 15))
def test_a_filtered_range_loses_no_match_however_empty_its_pages_are(
    keys: set[tuple[str, int]], limit: int, least: int
) -> None:
    cloud = filled(keys)
    wanted = Comparison(column="n", comparator=">=", value=least)
    found = 0
    at: tuple[Bound, ...] | None = (INF_MIN, INF_MIN)
    while at is not None:
        page = cloud.tablestore.get_range("i", "t", pairs(at), pairs((INF_MAX, INF_MAX)), limit=limit, filter=wanted)
        found += len(page.rows)
        at = page.next_key
    assert found == max(0, len(keys) - least)


COLUMN = st.sampled_from(["n", "m"])
VALUE = st.one_of(st.integers(0, 2), st.sampled_from(["x", True, 1.0]))
CONDITION = st.one_of(
    st.none(),
    st.builds(
        Comparison, column=COLUMN, comparator=st.just("=="), value=VALUE, pass_if_missing=st.booleans()
    ),
)  # fmt: skip


class RowsBesideADictionary(RuleBasedStateMachine):
    """Random single-row writes: each is either refused with nothing changed, or does what a dictionary would."""

    def __init__(self) -> None:
        super().__init__()
        self.cloud = filled(set())
        self.oracle: dict[tuple[str, int], dict[str, Any]] = {}

    @rule(
        kind=st.sampled_from(list(Kind)),
        key=KEY,
        columns=st.dictionaries(COLUMN, VALUE, min_size=1),
        existence=st.sampled_from(list(Existence)),
        condition=CONDITION,
    )
    def write(
        self,
        kind: Kind,
        key: tuple[str, int],
        columns: dict[str, Any],
        existence: Existence,
        condition: Comparison | None,
    ) -> None:
        changes = () if kind is Kind.DELETE else tuple(Change(name, value=value) for name, value in columns.items())
        write = Write(kind=kind, key=pairs(key), changes=changes, existence=existence, condition=condition)
        if not self.allowed(key, existence, condition):
            with pytest.raises(OtsError, match="Condition check failed"):
                self.cloud.tablestore.write("i", "t", write)
            return
        self.cloud.tablestore.write("i", "t", write)
        match kind:
            case Kind.PUT:
                self.oracle[key] = dict(columns)
            case Kind.UPDATE:
                self.oracle[key] = {**self.oracle.get(key, {}), **columns}
            case Kind.DELETE:
                self.oracle.pop(key, None)

    def allowed(self, key: tuple[str, int], existence: Existence, condition: Comparison | None) -> bool:
        row = self.oracle.get(key)
        if existence is Existence.EXPECT_EXIST and row is None:
            return False
        if existence is Existence.EXPECT_NOT_EXIST and row is not None:
            return False
        if condition is None:
            return True
        if row is None or condition.column not in row:
            return condition.pass_if_missing
        value = row[condition.column]
        return type(value) is type(condition.value) and value == condition.value

    @invariant()
    def holds_the_same_rows_in_order(self) -> None:
        page = self.cloud.tablestore.get_range("i", "t", pairs((INF_MIN, INF_MIN)), pairs((INF_MAX, INF_MAX)))
        shown = [(f.row.key, {name: versions[0].value for name, versions in f.columns}) for f in page.rows]
        assert shown == sorted(self.oracle.items(), key=lambda item: rank(item[0]))


def test_rows_behave_like_a_dictionary_under_conditions() -> None:
    run_state_machine_as_test(RowsBesideADictionary, settings=settings(max_examples=50, deadline=None))
