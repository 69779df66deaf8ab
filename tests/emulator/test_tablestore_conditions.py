"""Conditions and filters on the finer points: missing columns, old versions, expired cells, times given by hand."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import tablestore as sdk

from emulator.testing import Local
from tests.emulator.ots_client import (
    EXIST,
    FREE,
    HIGH,
    IGNORE,
    LOW,
    NOT_EXIST,
    columns,
    compare,
    make_client,
    make_table,
    pk,
    refusal,
    when,
)

_numbers = count()
FAILED = (403, "OTSConditionCheckFail", "Condition check failed.")
BAD = (400, "OTSParameterInvalid")


@pytest.fixture(params=[True, False], ids=["native", "python"])
def one(request: pytest.FixtureRequest, local: Local) -> Iterator[Any]:
    name = f"i{next(_numbers)}"
    local.run(lambda: local.cloud.ots_instances.add(name))
    client = make_client(local, name, enable_native=request.param)
    make_table(client, "t")
    yield client
    client.connection.pool.clear()


def versioned(local: Local, client: Any, *values: Any, name: str = "v") -> int:
    """A row whose column `n` has these values, oldest first, a millisecond apart; the last one's timestamp."""
    meta = sdk.TableMeta(name, [("a", "STRING"), ("b", "INTEGER")])
    client.create_table(meta, sdk.TableOptions(max_version=len(values)), FREE)
    now = local.run(local.cloud.tablestore.now_ms)
    for step, value in enumerate(values):
        client.update_row(name, sdk.Row(pk("k", 1), {"put": [("n", value, now + step)]}), None)
    return int(now) + len(values) - 1


# -- missing columns


def test_the_sdks_default_lets_a_missing_column_pass(one: Any) -> None:
    """The trap: a fencing check on a row without that column passes unless `pass_if_missing=False` is said."""
    one.put_row("t", sdk.Row(pk("k", 1), [("other", 1)]))
    change = sdk.Row(pk("k", 1), {"put": [("done", True)]})
    trap = sdk.SingleColumnCondition("epoch", 7, sdk.ComparatorType.EQUAL)
    one.update_row("t", change, when(EXIST, trap))
    assert refusal(lambda: one.update_row("t", change, when(EXIST, compare("epoch", 7)))) == FAILED


@pytest.mark.parametrize("missing", [True, False])
def test_a_missing_row_counts_as_missing_its_columns(one: Any, missing: bool) -> None:
    condition = when(IGNORE, compare("epoch", 7, missing=missing))
    change = sdk.Row(pk("none", 1), {"put": [("epoch", 8)]})
    if missing:
        one.update_row("t", change, condition)
    else:
        assert refusal(lambda: one.update_row("t", change, condition)) == FAILED
    assert columns(one, "none", 1) == ({"epoch": 8} if missing else None)


@pytest.mark.parametrize("missing", [True, False])
def test_a_filter_takes_missing_columns_both_ways(one: Any, missing: bool) -> None:
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 5)]))
    one.put_row("t", sdk.Row(pk("k", 2), [("m", 5)]))
    one.put_row("t", sdk.Row(pk("k", 3), [("n", 6)]))
    wanted = compare("n", 5, missing=missing)
    rows = one.get_range("t", "FORWARD", LOW, HIGH, max_version=1, column_filter=wanted)[2]
    assert [row.primary_key[1][1] for row in rows] == ([1, 2] if missing else [1])
    assert (columns(one, "k", 2, column_filter=wanted) is not None) == missing
    reads = sdk.BatchGetRowRequest()
    keys = [pk("k", b) for b in (1, 2, 3)]
    reads.add(sdk.TableInBatchGetRowItem("t", keys, max_version=1, column_filter=wanted))
    found = one.batch_get_row(reads).get_result_by_table("t")
    assert [item.row is not None for item in found] == [True, missing, False]


def test_exists_can_be_said_by_a_condition_on_a_key_column(one: Any) -> None:
    present = when(IGNORE, compare("a", "k"))
    put = sdk.Row(pk("k", 1), [("n", 1)])
    assert refusal(lambda: one.put_row("t", put, present)) == FAILED
    one.put_row("t", put)
    one.put_row("t", put, present)


# -- versions


def test_a_condition_looks_at_the_latest_version_unless_told_otherwise(local: Local, one: Any) -> None:
    versioned(local, one, 1, 2, 3)
    change = sdk.Row(pk("k", 1), {"put": [("done", True)]})

    def condition(value: int, *, latest: bool) -> Any:
        chosen = sdk.SingleColumnCondition(
            "n", value, sdk.ComparatorType.EQUAL, pass_if_missing=False, latest_version_only=latest
        )
        return when(EXIST, chosen)

    one.update_row("v", change, condition(3, latest=True))
    assert refusal(lambda: one.update_row("v", change, condition(1, latest=True))) == FAILED
    one.update_row("v", change, condition(1, latest=False))
    assert refusal(lambda: one.update_row("v", change, condition(9, latest=False))) == FAILED


def test_a_write_replaces_every_version_of_a_row_and_an_update_adds_one(local: Local, one: Any) -> None:
    versioned(local, one, 1, 2, 3)
    one.put_row("v", sdk.Row(pk("k", 1), [("n", 9)]))
    row = one.get_row("v", pk("k", 1), max_version=10)[1]
    assert [value for _, value, _ in row.attribute_columns] == [9]
    local.advance(1)
    one.update_row("v", sdk.Row(pk("k", 1), {"put": [("n", 10)]}), None)
    row = one.get_row("v", pk("k", 1), max_version=10)[1]
    assert [value for _, value, _ in row.attribute_columns] == [10, 9]


def test_a_given_timestamp_lies_within_the_tables_deviation(local: Local, one: Any) -> None:
    meta = sdk.TableMeta("d", [("a", "STRING"), ("b", "INTEGER")])
    one.create_table(meta, sdk.TableOptions(max_time_deviation=60), FREE)
    now = local.run(local.cloud.tablestore.now_ms)
    for off, fine in ((0, True), (60_000, True), (-60_000, True), (60_001, False), (-60_001, False)):
        put = sdk.Row(pk("k", 1), [("n", 1, now + off)])
        change = sdk.Row(pk("k", 1), {"put": [("n", 1, now + off)]})
        writes: list[Callable[[], Any]] = [lambda: one.put_row("d", put), lambda: one.update_row("d", change, None)]  # noqa: B023
        for write in writes:
            if fine:
                write()
            else:
                assert refusal(write)[:2] == BAD
    assert one.describe_table("d").table_options.max_time_deviation == 60


def test_an_older_timestamp_does_not_hide_a_newer_value(local: Local, one: Any) -> None:
    now = local.run(local.cloud.tablestore.now_ms)
    one.update_row("t", sdk.Row(pk("k", 1), {"put": [("n", "new", now)]}), None)
    one.update_row("t", sdk.Row(pk("k", 1), {"put": [("n", "late", now - 1000)]}), None)
    assert columns(one, "k", 1) == {"n": "new"}


@pytest.mark.parametrize("span", [(5, 5), (9, 3), (-5, 5)], ids=["empty", "backward", "negative"])
def test_a_time_range_must_hold_a_moment(one: Any, span: tuple[int, int]) -> None:
    assert refusal(lambda: one.get_row("t", pk("k", 1), max_version=None, time_range=span))[:2] == BAD


# -- time to live


def test_a_row_of_expired_cells_only_is_absent_for_conditions_and_filters(local: Local, one: Any) -> None:
    make_table(one, "ttl", time_to_live=86_400)
    one.put_row("ttl", sdk.Row(pk("k", 1), [("n", 1)]))
    assert refusal(lambda: one.put_row("ttl", sdk.Row(pk("k", 1), [("n", 2)]), when(NOT_EXIST))) == FAILED
    local.advance(86_400)
    assert refusal(lambda: one.delete_row("ttl", pk("k", 1), when(EXIST))) == FAILED
    change = sdk.Row(pk("k", 1), {"put": [("m", 1)]})
    assert refusal(lambda: one.update_row("ttl", change, when(IGNORE, compare("n", 1)))) == FAILED
    one.update_row("ttl", change, when(IGNORE, compare("n", 9, missing=True)))
    row = one.get_row("ttl", pk("k", 1), max_version=1)[1]
    assert [name for name, _, _ in row.attribute_columns] == ["m"]


def test_an_increment_of_an_expired_column_counts_from_nought(local: Local, one: Any) -> None:
    make_table(one, "ttl", time_to_live=86_400)
    one.put_row("ttl", sdk.Row(pk("k", 1), [("n", 100)]))
    local.advance(86_400)
    one.update_row("ttl", sdk.Row(pk("k", 1), {"increment": [("n", 1)]}), None)
    row = one.get_row("ttl", pk("k", 1), max_version=1)[1]
    assert [value for _, value, _ in row.attribute_columns] == [1]


# -- increments


def test_an_increment_needs_integers_and_may_not_overflow(one: Any) -> None:
    one.put_row("t", sdk.Row(pk("k", 1), [("s", "x"), ("n", (1 << 63) - 1), ("f", 1.5)]))
    for name, by in (("s", 1), ("n", 1), ("f", 1)):
        change = sdk.Row(pk("k", 1), {"increment": [(name, by)], "put": [("other", 1)]})
        assert refusal(lambda: one.update_row("t", change, None))[:2] == BAD  # noqa: B023
    assert columns(one, "k", 1) == {"s": "x", "n": (1 << 63) - 1, "f": 1.5}
    one.update_row("t", sdk.Row(pk("k", 1), {"increment": [("n", -1), ("fresh", -3)]}), None)
    assert columns(one, "k", 1) == {"s": "x", "n": (1 << 63) - 2, "f": 1.5, "fresh": -3}


def test_a_row_that_is_incremented_comes_once_in_a_batch(one: Any) -> None:
    request = sdk.BatchWriteRowRequest()
    item = sdk.UpdateRowItem(sdk.Row(pk("k", 1), {"increment": [("n", 1)]}), when(IGNORE))
    request.add(sdk.TableInBatchWriteRowItem("t", [item, item]))
    assert refusal(lambda: one.batch_write_row(request))[:2] == BAD
    twice = sdk.BatchWriteRowRequest()
    plain = sdk.PutRowItem(sdk.Row(pk("k", 1), [("n", 1)]), when(IGNORE))
    last = sdk.PutRowItem(sdk.Row(pk("k", 1), [("n", 2)]), when(IGNORE))
    twice.add(sdk.TableInBatchWriteRowItem("t", [plain, last]))
    assert one.batch_write_row(twice).is_all_succeed()
    assert columns(one, "k", 1) == {"n": 2}
