"""The emulated Tablestore as the official SDK meets it: what it answers."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
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


@pytest.fixture(
    params=[(None, True), (None, False), ("cn-hangzhou", True), ("cn-hangzhou", False)],
    ids=["V2 native", "V2 python", "V4 native", "V4 python"],
)
def client(request: pytest.FixtureRequest, local: Local, instance: str) -> Iterator[Any]:
    region, native = request.param
    client = make_client(local, instance, region=region, enable_native=native)
    make_table(client, "t")
    yield client
    client.connection.pool.clear()


@pytest.fixture
def one(local: Local, instance: str) -> Iterator[Any]:
    """One kind of client, where the kind does not matter."""
    client = make_client(local, instance)
    make_table(client, "t")
    yield client
    client.connection.pool.clear()


# -- rows through every coder and signature


def test_every_type_of_value_survives_the_round_trip(client: Any) -> None:
    values = {
        "text": "zürich 杭州",
        "empty": "",
        "long": "x" * 70_001,
        "int": -(1 << 63),
        "double": 1.5,
        "yes": True,
        "no": False,
        "bin": bytearray(b"\0\xff"),
    }
    client.put_row("t", sdk.Row(pk("ü", -1), list(values.items())), when(NOT_EXIST))

    row = client.get_row("t", pk("ü", -1), max_version=1)[1]

    assert row.primary_key == [("a", "ü"), ("b", -1)]
    assert {name: value for name, value, _ in row.attribute_columns} == values
    assert [name for name, _, _ in row.attribute_columns] == sorted(values)


def test_conditions_fail_with_the_documented_error_and_write_nothing(client: Any) -> None:
    client.put_row("t", sdk.Row(pk("k", 1), [("n", 5)]))
    failed = (403, "OTSConditionCheckFail", "Condition check failed.")

    assert refusal(lambda: client.put_row("t", sdk.Row(pk("k", 1), [("n", 6)]), when(NOT_EXIST))) == failed
    assert refusal(lambda: client.put_row("t", sdk.Row(pk("k", 2), [("n", 6)]), when(EXIST))) == failed
    wrong = when(EXIST, compare("n", 4))
    assert refusal(lambda: client.update_row("t", sdk.Row(pk("k", 1), {"put": [("n", 6)]}), wrong)) == failed
    assert refusal(lambda: client.delete_row("t", pk("k", 1), wrong)) == failed
    assert columns(client, "k", 1) == {"n": 5}
    assert columns(client, "k", 2) is None


def test_an_update_puts_deletes_and_increments_in_one_step(client: Any) -> None:
    client.put_row("t", sdk.Row(pk("k", 1), [("n", 5), ("gone", "x"), ("kept", 1)]))

    change = {"put": [("n", 6)], "delete_all": ["gone"], "increment": [("fresh", 3), ("kept", 2)]}
    client.update_row("t", sdk.Row(pk("k", 1), change), when(EXIST, compare("n", 5)))

    assert columns(client, "k", 1) == {"n": 6, "fresh": 3, "kept": 3}
    client.delete_row("t", pk("k", 1), when(IGNORE))
    client.delete_row("t", pk("k", 1), when(IGNORE))
    assert columns(client, "k", 1) is None


def test_ranges_page_in_both_directions(client: Any) -> None:
    for b in range(7):
        client.put_row("t", sdk.Row(pk("k", b), [("n", b)]))

    def walk(direction: str, start: Any, end: Any) -> tuple[list[int], list[int]]:
        seen, sizes = [], []
        while start:
            _, start, rows, _ = client.get_range("t", direction, start, end, limit=3, max_version=1)
            seen += [row.primary_key[1][1] for row in rows]
            sizes.append(len(rows))
        return seen, sizes

    assert walk("FORWARD", LOW, HIGH) == (list(range(7)), [3, 3, 1])
    assert walk("BACKWARD", HIGH, LOW) == (list(range(7))[::-1], [3, 3, 1])
    assert walk("FORWARD", pk("k", 2), pk("k", 4)) == ([2, 3], [2])
    assert walk("BACKWARD", pk("k", 4), pk("k", 2)) == ([4, 3], [2])
    assert client.get_range("t", "FORWARD", pk("z", 0), HIGH, max_version=1)[1:3] == (None, [])


def test_batches_work_row_by_row(client: Any) -> None:
    client.put_row("t", sdk.Row(pk("k", 1), [("n", 1)]))
    request = sdk.BatchWriteRowRequest()
    items = [
        sdk.PutRowItem(sdk.Row(pk("k", 1), [("n", 9)]), when(NOT_EXIST)),
        sdk.PutRowItem(sdk.Row(pk("k", 2), [("n", 2)]), when(NOT_EXIST)),
        sdk.UpdateRowItem(sdk.Row(pk("k", 3), {"put": [("n", 3)]}), when(IGNORE)),
        sdk.DeleteRowItem(sdk.Row(pk("k", 4)), when(IGNORE)),
        sdk.PutRowItem(sdk.Row([("b", 1), ("a", "x")], [("n", 1)]), when(IGNORE)),
    ]
    request.add(sdk.TableInBatchWriteRowItem("t", items))

    answer = client.batch_write_row(request)

    assert not answer.is_all_succeed()
    assert [r.is_ok for r in answer.get_put_by_table("t")] == [False, True, False]
    assert [r.error_code for r in answer.get_put_by_table("t")] == ["OTSConditionCheckFail", None, "OTSInvalidPK"]
    assert [r.is_ok for r in answer.get_update_by_table("t")] == [True]

    reads = sdk.BatchGetRowRequest()
    reads.add(sdk.TableInBatchGetRowItem("t", [pk("k", b) for b in (1, 2, 4, 2)], max_version=1))
    found = client.batch_get_row(reads).get_result_by_table("t")
    assert [r.is_ok for r in found] == [True] * 4
    assert [r.row and r.row.attribute_columns[0][1] for r in found] == [1, 2, None, 2]


def test_the_async_client_speaks_to_it_too(local: Local, instance: str) -> None:
    make_table(make_client(local, instance), "t")

    async def story() -> Any:
        async with sdk.AsyncOTSClient(local.url, *local.access_key, instance, region="cn-hangzhou") as client:
            await client.put_row("t", sdk.Row(pk("k", 1), [("n", 1)]), when(NOT_EXIST))
            with pytest.raises(sdk.OTSServiceError):
                await client.put_row("t", sdk.Row(pk("k", 1), [("n", 2)]), when(NOT_EXIST))
            return [
                row.attribute_columns[0][1]
                async for row in client.xget_range("t", "FORWARD", LOW, HIGH, sdk.CapacityUnit(0, 0), max_version=1)
            ]

    assert asyncio.run(story()) == [1]


# -- conditions


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (compare("n", 5), True),
        (compare("n", 5, sdk.ComparatorType.NOT_EQUAL), False),
        (compare("n", 4, sdk.ComparatorType.GREATER_THAN), True),
        (compare("n", 5, sdk.ComparatorType.GREATER_EQUAL), True),
        (compare("n", 5, sdk.ComparatorType.LESS_THAN), False),
        (compare("n", 5, sdk.ComparatorType.LESS_EQUAL), True),
        (compare("s", "x"), True),
        (compare("n", "5"), False),
        (compare("n", 5.0), False),
        (compare("missing", 1), False),
        (compare("missing", 1, missing=True), True),
        (compare("b", 1), True),
        (compare("a", "other"), False),
    ],
)
def test_a_comparison_holds_or_not(one: Any, condition: Any, holds: bool) -> None:
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 5), ("s", "x")]))

    def write() -> None:
        one.update_row("t", sdk.Row(pk("k", 1), {"put": [("done", True)]}), when(IGNORE, condition))

    if holds:
        write()
    else:
        assert refusal(write)[1] == "OTSConditionCheckFail"


def test_conditions_are_joined_by_and_or_and_not(one: Any) -> None:
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 5), ("s", "x")]))
    yes, no = compare("n", 5), compare("s", "y")

    def joined(operator: Any, *parts: Any) -> Any:
        whole = sdk.CompositeColumnCondition(operator)
        for part in parts:
            whole.add_sub_condition(part)
        return whole

    def holds(condition: Any) -> bool:
        try:
            one.update_row("t", sdk.Row(pk("k", 1), {"put": [("done", True)]}), when(IGNORE, condition))
        except sdk.OTSServiceError as error:
            if error.code != "OTSConditionCheckFail":
                raise
            return False
        return True

    op = sdk.LogicalOperator
    assert not holds(joined(op.AND, yes, no))
    assert holds(joined(op.OR, yes, no))
    assert holds(joined(op.NOT, no))
    assert holds(joined(op.AND, yes, joined(op.NOT, joined(op.AND, yes, no))))
    too_many = joined(op.OR, *[compare("n", n) for n in range(11)])
    assert refusal(lambda: one.update_row("t", sdk.Row(pk("k", 1), {"put": [("d", 1)]}), when(IGNORE, too_many)))[
        :2
    ] == (400, "OTSParameterInvalid")


def test_an_update_of_deletes_only_does_not_create_a_row(one: Any) -> None:
    one.update_row("t", sdk.Row(pk("k", 1), {"delete_all": ["n"]}), None)
    assert columns(one, "k", 1) is None


def test_a_row_whose_columns_were_all_deleted_still_exists(one: Any) -> None:
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 1)]))
    one.update_row("t", sdk.Row(pk("k", 1), {"delete_all": ["n"]}), None)
    assert columns(one, "k", 1) == {}
    assert refusal(lambda: one.put_row("t", sdk.Row(pk("k", 1), [("n", 2)]), when(NOT_EXIST)))[0] == 403


# -- reads


def test_columns_to_get_and_filters_shape_what_is_read(one: Any) -> None:
    for b in range(6):
        one.put_row("t", sdk.Row(pk("k", b), [("n", b), ("s", "x")] if b % 2 else [("n", b)]))

    assert columns(one, "k", 1, columns_to_get=["s"]) == {"s": "x"}
    assert columns(one, "k", 0, columns_to_get=["s"]) is None
    assert columns(one, "k", 0, columns_to_get=["s", "a"]) == {}
    big = compare("n", 3, sdk.ComparatorType.GREATER_EQUAL)
    assert columns(one, "k", 1, column_filter=big) is None
    assert columns(one, "k", 3, column_filter=big) == {"n": 3, "s": "x"}
    # A filter's column that is not fetched counts as missing.
    assert columns(one, "k", 3, columns_to_get=["s"], column_filter=big) is None

    _, start, rows, _ = one.get_range("t", "FORWARD", LOW, HIGH, limit=2, max_version=1, column_filter=big)
    assert rows == []
    assert start == pk("k", 2)
    found = [
        r.primary_key[1][1]
        for r in one.xget_range("t", "FORWARD", LOW, HIGH, sdk.CapacityUnit(0, 0), max_version=1, column_filter=big)
    ]
    assert found == [3, 4, 5]


def test_versions_are_kept_up_to_the_tables_limit_and_read_by_time(local: Local, one: Any) -> None:
    meta = sdk.TableMeta("v", [("a", "STRING"), ("b", "INTEGER")])
    one.create_table(meta, sdk.TableOptions(max_version=3), FREE)
    now = local.run(local.cloud.tablestore.now_ms)
    for step in range(5):
        one.update_row("v", sdk.Row(pk("k", 1), {"put": [("n", step, now + step)]}), None)

    def versions(**asked: Any) -> list[int]:
        row = one.get_row("v", pk("k", 1), **asked)[1]
        return [] if row is None else [value for _, value, _ in row.attribute_columns]

    assert versions(max_version=10) == [4, 3, 2]
    assert versions(max_version=1) == [4]
    assert versions(max_version=None, time_range=(now + 2, now + 4)) == [3, 2]
    assert versions(max_version=None, time_range=now + 3) == [3]
    one.update_row("v", sdk.Row(pk("k", 1), {"delete": [("n", None, now + 4)]}), None)
    assert versions(max_version=10) == [3, 2]


def test_a_cell_is_stamped_with_the_emulated_clock(local: Local, one: Any) -> None:
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 1)]))
    before = one.get_row("t", pk("k", 1), max_version=1)[1].attribute_columns[0][2]
    local.advance(90)
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 1)]))
    assert one.get_row("t", pk("k", 1), max_version=1)[1].attribute_columns[0][2] == before + 90_000


def test_time_to_live_ends_on_the_emulated_clock(local: Local, one: Any) -> None:
    make_table(one, "ttl", time_to_live=86_400)
    one.put_row("ttl", sdk.Row(pk("k", 1), [("old", 1)]))
    local.advance(86_399)
    one.update_row("ttl", sdk.Row(pk("k", 1), {"put": [("new", 1)]}), when(EXIST))
    local.advance(1)
    row = one.get_row("ttl", pk("k", 1), max_version=1)[1]
    assert [name for name, _, _ in row.attribute_columns] == ["new"]
    local.advance(86_399)
    assert one.get_row("ttl", pk("k", 1), max_version=1)[1] is None
    assert one.get_range("ttl", "FORWARD", LOW, HIGH, max_version=1)[2] == []
    one.put_row("ttl", sdk.Row(pk("k", 1), [("n", 1)]), when(NOT_EXIST))


# -- tables


def test_tables_are_listed_described_changed_and_deleted(local: Local, one: Any) -> None:
    assert one.list_table() == ("t",)
    assert refusal(lambda: make_table(one, "t")) == (
        409,
        "OTSObjectAlreadyExist",
        "Requested table already exists.",
    )
    one.update_table("t", sdk.TableOptions(time_to_live=86_400, max_version=2), FREE)
    described = one.describe_table("t")
    assert described.table_meta.schema_of_primary_key == [("a", "STRING"), ("b", "INTEGER")]
    assert (described.table_options.time_to_live, described.table_options.max_version) == (86_400, 2)
    too_soon = refusal(lambda: one.update_table("t", sdk.TableOptions(max_version=3), FREE))
    assert too_soon[:2] == (403, "OTSTooFrequentReservedThroughputAdjustment")
    assert one.list_search_index("t") == []
    one.delete_table("t")
    assert refusal(lambda: one.describe_table("t")) == (404, "OTSObjectNotExist", "Requested table does not exist.")


@pytest.mark.parametrize(
    ("name", "schema", "options"),
    [
        ("1t", [("a", "STRING")], {}),
        ("t" * 256, [("a", "STRING")], {}),
        ("x", [("a", "STRING")] * 2, {}),
        ("x", [("a b", "STRING")], {}),
        ("x", [(f"k{n}", "STRING") for n in range(5)], {}),
        ("x", [("a", "BOOLEAN")], {}),
        ("x", [("a", "STRING")], {"time_to_live": 3600}),
        ("x", [("a", "STRING")], {"max_version": 0}),
        ("x", [("a", "INTEGER", sdk.PK_AUTO_INCR), ("b", "STRING")], {}),
        ("x", [("a", "STRING"), ("b", "STRING", sdk.PK_AUTO_INCR)], {}),
    ],
    ids=[
        "name",
        "long name",
        "duplicate",
        "column name",
        "five keys",
        "boolean",
        "ttl",
        "versions",
        "first auto",
        "auto text",
    ],
)
def test_a_table_that_cannot_be_is_refused(one: Any, name: str, schema: Any, options: Any) -> None:
    call = lambda: one.create_table(sdk.TableMeta(name, schema), sdk.TableOptions(**options), FREE)  # noqa: E731
    assert refusal(call)[:2] == (400, "OTSParameterInvalid")


def test_a_new_table_can_be_made_to_warm_up(local: Local, one: Any) -> None:
    store = local.cloud.tablestore
    local.run(lambda: setattr(store, "warm_up", timedelta(seconds=20)))
    try:
        make_table(one, "w")
        assert refusal(lambda: one.get_row("w", pk("k", 1), max_version=1))[:2] == (404, "OTSTableNotReady")
        local.advance(20)
        assert one.get_row("w", pk("k", 1), max_version=1)[1] is None
    finally:
        local.run(lambda: setattr(store, "warm_up", timedelta(0)))


def test_a_range_page_ends_at_four_megabytes(one: Any) -> None:
    for b in range(5):
        one.put_row("t", sdk.Row(pk("k", b), [("s", "x" * 1_500_000)]))
    _, start, rows, _ = one.get_range("t", "FORWARD", LOW, HIGH, max_version=1)
    assert len(rows) == 3
    assert start == pk("k", 3)
