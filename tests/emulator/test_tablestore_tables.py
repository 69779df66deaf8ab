"""What tables can be made of: auto-increment keys, secondary indexes, split points, and how often one may ask."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import tablestore as sdk
from tablestore.plainbuffer.plain_buffer_builder import PlainBufferBuilder
from tablestore.plainbuffer.plain_buffer_coded_stream import PlainBufferCodedInputStream
from tablestore.plainbuffer.plain_buffer_stream import PlainBufferInputStream
from tablestore.protobuf import table_store_pb2 as pb2

from emulator.testing import Local
from tests.emulator.ots_client import (
    FREE,
    HIGH,
    IGNORE,
    LOW,
    NOT_EXIST,
    compare,
    make_client,
    make_table,
    pk,
    post,
    refusal,
    refused,
    when,
)


@pytest.fixture(params=[True, False], ids=["native", "python"])
def one(request: pytest.FixtureRequest, local: Local, instance: str) -> Iterator[Any]:
    client = make_client(local, instance, enable_native=request.param)
    yield client
    client.connection.pool.clear()


# -- auto-increment keys


def numbered(client: Any) -> None:
    meta = sdk.TableMeta("t", [("a", "STRING"), ("b", "INTEGER", sdk.PK_AUTO_INCR)])
    client.create_table(meta, sdk.TableOptions(), FREE)


def new(a: str, n: int = 0) -> Any:
    return sdk.Row([("a", a), ("b", sdk.PK_AUTO_INCR)], [("n", n)])


def test_auto_increment_values_are_given_out_unique_and_rising_per_partition_key(one: Any) -> None:
    numbered(one)
    given = [one.put_row("t", new("k", n), when(IGNORE), sdk.ReturnType.RT_PK)[1].primary_key[1][1] for n in range(5)]
    other = one.put_row("t", new("z"), when(IGNORE), sdk.ReturnType.RT_PK)[1].primary_key
    assert given == sorted(set(given))
    assert other[0] == ("a", "z")
    rows = one.get_range("t", "FORWARD", pk("k", sdk.INF_MIN), pk("k", sdk.INF_MAX), max_version=1)[2]
    assert [(row.primary_key[1][1], row.attribute_columns[0][1]) for row in rows] == list(
        zip(given, range(5), strict=True)
    )
    assert one.describe_table("t").table_meta.schema_of_primary_key[1][2] == sdk.PK_AUTO_INCR
    one.update_row("t", sdk.Row(pk("k", given[0]), {"put": [("n", 9)]}), None)


def test_auto_increment_rows_come_in_batches_too(one: Any) -> None:
    numbered(one)
    request = sdk.BatchWriteRowRequest()
    items = [sdk.PutRowItem(new("k", n), when(IGNORE), sdk.ReturnType.RT_PK) for n in range(3)]
    request.add(sdk.TableInBatchWriteRowItem("t", items))
    answer = one.batch_write_row(request)
    assert answer.is_all_succeed()
    given = [item.row.primary_key[1][1] for item in answer.get_put_by_table("t")]
    assert given == sorted(set(given))


def test_a_key_that_somebody_named_uses_up_no_auto_increment_values(local: Local, instance: str, one: Any) -> None:
    """Else deleting a row that never was could use up all of them, for whoever loads the table next."""
    numbered(one)
    one.delete_row("t", [("a", "k"), ("b", 2**63 - 1)], None)
    store = local.cloud.tablestore
    assert local.run(lambda: store.table(instance, "t").described().auto_floor) == 0


def test_auto_increment_takes_no_condition_and_its_own_column_only(one: Any) -> None:
    numbered(one)
    bad = (400, "OTSParameterInvalid")
    assert refusal(lambda: one.put_row("t", new("k"), when(NOT_EXIST)))[:2] == bad
    assert refusal(lambda: one.put_row("t", new("k"), when(IGNORE, compare("n", 1, missing=True))))[:2] == bad
    first = sdk.Row([("a", sdk.PK_AUTO_INCR), ("b", 1)], [("n", 1)])
    assert refusal(lambda: one.put_row("t", first))[:2] == (400, "OTSInvalidPK")
    assert refusal(lambda: one.get_row("t", new("k").primary_key, max_version=1))[:2] == (400, "OTSInvalidPK")
    assert refusal(lambda: one.delete_row("t", new("k").primary_key, None))[:2] == bad
    make_table(one, "plain")
    assert refusal(lambda: one.put_row("plain", new("k")))[:2] == (400, "OTSInvalidPK")


# -- secondary indexes

DEFINED = [("n", "INTEGER"), ("s", "STRING"), ("f", "DOUBLE")]
BY_N_LOW = [("n", sdk.INF_MIN), ("a", sdk.INF_MIN), ("b", sdk.INF_MIN)]
BY_N_HIGH = [("n", sdk.INF_MAX), ("a", sdk.INF_MAX), ("b", sdk.INF_MAX)]
LOCAL_LOW = [("a", sdk.INF_MIN), ("s", sdk.INF_MIN), ("b", sdk.INF_MIN)]
LOCAL_HIGH = [("a", sdk.INF_MAX), ("s", sdk.INF_MAX), ("b", sdk.INF_MAX)]


def indexed(client: Any, *indexes: Any, **options: Any) -> None:
    meta = sdk.TableMeta("t", [("a", "STRING"), ("b", "INTEGER")], DEFINED)
    client.create_table(meta, sdk.TableOptions(**options), FREE, list(indexes))


def by_n(name: str = "by_n") -> Any:
    return sdk.SecondaryIndexMeta(name, ["n"], ["s"])


def local_by_s() -> Any:
    return sdk.SecondaryIndexMeta("local_s", ["a", "s"], ["n"], sdk.SecondaryIndexType.LOCAL_INDEX)


def entries(client: Any, index: str = "by_n", low: Any = BY_N_LOW, high: Any = BY_N_HIGH) -> list[Any]:
    rows = client.get_range(index, "FORWARD", low, high, max_version=1)[2]
    return [(tuple(v for _, v in r.primary_key), {n: v for n, v, _ in r.attribute_columns}) for r in rows]


def test_a_global_index_follows_a_little_later(local: Local, one: Any) -> None:
    indexed(one, by_n())
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 7), ("s", "x"), ("other", 1)]))
    one.put_row("t", sdk.Row(pk("k", 2), [("s", "no n: not in the index")]))
    assert entries(one) == [], "asynchronous"
    local.advance(1)
    assert entries(one) == [((7, "k", 1), {"s": "x"})]

    one.update_row("t", sdk.Row(pk("k", 1), {"put": [("n", 8)]}), None)
    assert entries(one) == [((7, "k", 1), {"s": "x"})], "stale for a moment"
    local.advance(1)
    assert entries(one) == [((8, "k", 1), {"s": "x"})]
    one.delete_row("t", pk("k", 1), None)
    local.advance(1)
    assert entries(one) == []


def test_a_local_index_follows_within_the_write(one: Any) -> None:
    indexed(one, local_by_s())
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 7), ("s", "x")]))
    one.put_row("t", sdk.Row(pk("k", 2), [("n", 8), ("s", "a")]))
    assert entries(one, "local_s", LOCAL_LOW, LOCAL_HIGH) == [(("k", "a", 2), {"n": 8}), (("k", "x", 1), {"n": 7})]
    one.update_row("t", sdk.Row(pk("k", 1), {"delete_all": ["s"]}), None)
    assert entries(one, "local_s", LOCAL_LOW, LOCAL_HIGH) == [(("k", "a", 2), {"n": 8})]


def test_an_index_is_described_read_only_and_dropped(local: Local, one: Any) -> None:
    indexed(one, by_n(), local_by_s())
    described = one.describe_table("t")
    assert [(i.index_name, i.primary_key_names, i.defined_column_names) for i in described.secondary_indexes] == [
        ("by_n", ["n", "a", "b"], ["s"]),
        ("local_s", ["a", "s", "b"], ["n"]),
    ]
    row = sdk.Row([("n", 1), ("a", "k"), ("b", 1)], [("s", "x")])
    assert refusal(lambda: one.put_row("by_n", row))[:2] == (400, "OTSParameterInvalid")
    assert refusal(lambda: one.delete_table("by_n"))[:2] == (400, "OTSParameterInvalid")
    one.delete_secondary_index("t", "by_n")
    assert refusal(lambda: entries(one))[:2] == (404, "OTSObjectNotExist")
    assert refusal(lambda: one.delete_secondary_index("t", "by_n"))[:2] == (404, "OTSObjectNotExist")
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 1), ("s", "x")]))
    local.advance(1)
    one.delete_table("t")
    assert one.list_table() == ()


def test_an_index_made_later_takes_old_rows_in_only_if_asked_and_not_at_once(local: Local, one: Any) -> None:
    indexed(one)
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 1), ("s", "x")]))
    one.create_secondary_index("t", by_n("with_old"), True)
    one.create_secondary_index("t", by_n("without"), False)
    assert refusal(lambda: entries(one, "with_old"))[1] == "OTSTableNotReady"
    assert entries(one, "without") == []
    local.advance(10)
    assert entries(one, "with_old") == [((1, "k", 1), {"s": "x"})]
    one.put_row("t", sdk.Row(pk("k", 2), [("n", 2), ("s", "y")]))
    local.advance(1)
    assert entries(one, "without") == [((2, "k", 2), {"s": "y"})]
    assert refusal(lambda: one.create_secondary_index("t", by_n("without"), False))[1] == "OTSObjectAlreadyExist"


@pytest.mark.parametrize(
    ("indexes", "options"),
    [
        ([sdk.SecondaryIndexMeta("i", ["x"], [])], {}),
        ([sdk.SecondaryIndexMeta("i", ["n"], ["x"])], {}),
        ([sdk.SecondaryIndexMeta("i", ["f"], [])], {}),
        ([sdk.SecondaryIndexMeta("i", ["n", "n"], [])], {}),
        ([sdk.SecondaryIndexMeta("i", [], ["n"])], {}),
        ([sdk.SecondaryIndexMeta("t", ["n"], [])], {}),
        ([sdk.SecondaryIndexMeta("i", ["b"], [], sdk.SecondaryIndexType.LOCAL_INDEX)], {}),
        ([by_n(f"i{n}") for n in range(6)], {}),
        ([by_n()], {"max_version": 2}),
        ([by_n()], {"time_to_live": 90_000}),
    ],
    ids=["unknown", "unknown carried", "double", "twice", "empty", "name", "local", "six", "versions", "ttl"],
)
def test_an_index_that_cannot_be_is_refused(one: Any, indexes: Any, options: Any) -> None:
    assert refusal(lambda: indexed(one, *indexes, **options))[:2] == (400, "OTSParameterInvalid")


def test_a_table_with_an_index_and_a_time_to_live_takes_no_updates(one: Any) -> None:
    indexed(one, by_n(), time_to_live=90_000, allow_update=False)
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 1)]))
    change = sdk.Row(pk("k", 1), {"put": [("n", 2)]})
    assert refusal(lambda: one.update_row("t", change, None))[:2] == (400, "OTSParameterInvalid")


# -- split points


def by_n_alone() -> Any:
    return sdk.SecondaryIndexMeta("bare", ["n"], [])


def test_a_row_that_has_expired_is_in_no_index_either(local: Local, one: Any) -> None:
    """Whatever the index carries of it, if anything: the row's time counts, not that of what was carried."""
    indexed(one, by_n(), by_n_alone(), time_to_live=86_400, allow_update=False)
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 7), ("s", "x")]))
    one.put_row("t", sdk.Row(pk("k", 2), [("n", 8), ("other", "nothing that is carried")]))
    local.advance(86_399)
    assert [len(entries(one, name)) for name in ("by_n", "bare")] == [2, 2]
    local.advance(1)
    assert one.get_range("t", "FORWARD", LOW, HIGH, max_version=1)[2] == []
    assert [entries(one, name) for name in ("by_n", "bare")] == [[], []]


def test_an_index_lives_by_its_tables_present_options(local: Local, one: Any) -> None:
    indexed(one, by_n(), by_n_alone(), time_to_live=86_400, allow_update=False)
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 7), ("s", "x")]))
    one.update_table("t", sdk.TableOptions(time_to_live=200_000, allow_update=False))
    local.advance(90_000)
    assert len(one.get_range("t", "FORWARD", LOW, HIGH, max_version=1)[2]) == 1
    assert [len(entries(one, name)) for name in ("by_n", "bare")] == [1, 1]
    local.advance(110_000)
    assert [entries(one, name) for name in ("by_n", "bare")] == [[], []]


def test_a_table_can_be_made_in_several_partitions(local: Local, instance: str, one: Any) -> None:
    request = pb2.CreateTableRequest()
    request.table_meta.table_name = "t"
    request.table_meta.primary_key.add(name="a", type=pb2.STRING)
    request.table_meta.primary_key.add(name="b", type=pb2.INTEGER)
    request.reserved_throughput.capacity_unit.read = request.reserved_throughput.capacity_unit.write = 0
    for low, high in ((sdk.INF_MIN, "m"), ("m", sdk.INF_MAX)):
        request.partitions.add(
            begin=bytes(PlainBufferBuilder.serialize_primary_key([("a", low)])),
            end=bytes(PlainBufferBuilder.serialize_primary_key([("a", high)])),
        )
    assert post(local, "CreateTable", request.SerializeToString(), instance) == (200, b"")
    local.run(lambda: local.cloud.tablestore.split(instance, "t", "x", for_=timedelta(seconds=1)))
    assert one.get_row("t", pk("a", 1), max_version=1)[1] is None
    assert refusal(lambda: one.get_row("t", pk("n", 1), max_version=1))[1] == "OTSPartitionUnavailable"


# -- how often


def test_eleven_table_operations_in_a_second_are_too_many(local: Local, one: Any) -> None:
    clock = local.cloud.clock
    for _ in range(20):
        one.list_table()  # while time stands no second passes, and none is counted
    local.run(lambda: clock.set_rate(0.01))
    try:
        for _ in range(10):
            one.list_table()
        too_many = (403, "OTSQuotaExhausted", "Too frequent table operations.")
        assert refusal(one.list_table) == too_many
        assert refusal(lambda: make_table(one, "x")) == too_many
    finally:
        local.run(lambda: clock.set_rate(0))
    local.advance(1)
    make_table(one, "x")


def test_an_instance_holds_sixty_four_tables(one: Any) -> None:
    for n in range(64):
        make_table(one, f"t{n}")
    full = (403, "OTSQuotaExhausted", "Number of tables exceeded the quota.")
    assert refusal(lambda: make_table(one, "t64")) == full
    one.delete_table("t0")
    make_table(one, "t64")


def test_a_table_is_changed_once_in_two_minutes(local: Local, one: Any) -> None:
    make_table(one, "t")
    one.update_table("t", sdk.TableOptions(max_version=2), FREE)
    local.advance(119)
    again = refusal(lambda: one.update_table("t", sdk.TableOptions(max_version=3), FREE))
    assert again[:2] == (403, "OTSTooFrequentReservedThroughputAdjustment")
    local.advance(1)
    one.update_table("t", sdk.TableOptions(max_version=3), FREE)


# -- what a call costs


def test_capacity_units_are_four_kilobytes_of_names_and_values(local: Local, instance: str, one: Any) -> None:
    make_table(one, "t")
    key_bytes = len("a") + len("k") + len("b") + 8
    fits, spills = 4096 - key_bytes - len("s"), 4097 - key_bytes - len("s")

    def cost(call: Any) -> tuple[int, int]:
        consumed = call[0]
        return consumed.read, consumed.write

    assert cost(one.put_row("t", sdk.Row(pk("k", 1), [("s", "x" * fits)]))) == (0, 1)
    assert cost(one.get_row("t", pk("k", 1), max_version=1)) == (1, 0)
    assert cost(one.put_row("t", sdk.Row(pk("k", 1), [("s", "x" * spills)]))) == (0, 2)
    assert cost(one.get_row("t", pk("k", 1), max_version=1)) == (2, 0)
    assert cost(one.get_row("t", pk("none", 1), max_version=1)) == (1, 0)
    assert cost(one.put_row("t", sdk.Row(pk("k", 2), [("n", 1)]), when(NOT_EXIST))) == (1, 1)
    assert cost(one.delete_row("t", pk("k", 2), None)) == (0, 1)

    before = local.run(lambda: local.cloud.tablestore.table(instance, "t").meter.total)
    assert refusal(lambda: one.put_row("t", sdk.Row(pk("k", 1), [("n", 1)]), when(NOT_EXIST)))[0] == 403
    after = local.run(lambda: local.cloud.tablestore.table(instance, "t").meter.total)
    assert (after.read - before.read, after.write - before.write) == (1, 1)
    assert one.get_range("t", "FORWARD", LOW, HIGH, max_version=1)[0].read == 2


# -- what the SDK cannot say


def test_a_write_can_return_what_it_made_of_a_column(local: Local, instance: str, one: Any) -> None:
    make_table(one, "t")
    one.put_row("t", sdk.Row(pk("k", 1), [("n", 40), ("s", "x")]))
    change = PlainBufferBuilder.serialize_for_update_row(pk("k", 1), {"INCREMENT": [("n", 2)]})
    request = pb2.UpdateRowRequest(
        table_name="t", row_change=bytes(change), condition=pb2.Condition(row_existence=pb2.IGNORE)
    )
    request.return_content.return_type = pb2.RT_AFTER_MODIFY
    for names, shown in ((["n"], True), ([], False)):
        request.return_content.return_column_names[:] = names
        status, body = post(local, "UpdateRow", request.SerializeToString(), instance)
        answer = pb2.UpdateRowResponse.FromString(body)
        assert status == 200
        assert bool(answer.row) is shown, "the SDK never names columns, so no value comes back to it"
        if shown:
            (row,) = PlainBufferCodedInputStream(PlainBufferInputStream(answer.row)).read_rows()
            assert [(name, value) for name, value, _ in row.attribute_columns] == [("n", 42)]


def test_a_batch_names_each_table_once_and_existing_ones_only(local: Local, instance: str, one: Any) -> None:
    make_table(one, "t")
    change = bytes(PlainBufferBuilder.serialize_for_put_row(pk("k", 1), [("n", 1)]))
    for names, expected in ((("t", "t"), (400, "OTSParameterInvalid")), (("t", "no"), (404, "OTSObjectNotExist"))):
        request = pb2.BatchWriteRowRequest()
        for name in names:
            part = request.tables.add(table_name=name)
            part.rows.add(type=pb2.PUT, row_change=change, condition=pb2.Condition(row_existence=pb2.IGNORE))
        assert refused(post(local, "BatchWriteRow", request.SerializeToString(), instance))[:2] == expected
    assert one.get_row("t", pk("k", 1), max_version=1)[1] is None


def test_a_row_larger_than_four_megabytes_is_refused(one: Any) -> None:
    make_table(one, "t")
    big = sdk.Row(pk("k", 1), [(f"s{n}", "x" * 1_500_000) for n in range(3)])
    assert refusal(lambda: one.put_row("t", big))[:2] == (400, "OTSOutOfRowSizeLimit")


def test_the_description_says_active_for_the_sdks_that_ask(local: Local, instance: str, one: Any) -> None:
    make_table(one, "t")
    body = post(local, "DescribeTable", pb2.DescribeTableRequest(table_name="t").SerializeToString(), instance)[1]
    assert body.endswith(b"\x20\x01")
