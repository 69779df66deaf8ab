"""Local transactions and atomic batches: all or nothing inside one partition key, on tables made for it."""

from collections.abc import Iterator
from typing import Any

import pytest
import tablestore as sdk
from tablestore.plainbuffer.plain_buffer_builder import PlainBufferBuilder
from tablestore.protobuf import table_store_pb2 as pb2

from emulator.tablestore.errors import timeout
from emulator.testing import Local
from tests.emulator.ots_client import (
    EXIST,
    IGNORE,
    IS_ATOMIC,
    NOT_EXIST,
    columns,
    compare,
    make_client,
    make_table,
    make_transactional_table,
    pk,
    post,
    refusal,
    refused,
    when,
)

CONFLICT = (409, "OTSRowOperationConflict", "Data is being modified by the other request.")
NO_SESSION = (404, "OTSSessionNotExist", "Session not exist or may be timeout.")


@pytest.fixture(params=[True, False], ids=["native", "python"])
def one(request: pytest.FixtureRequest, local: Local, instance: str) -> Iterator[Any]:
    client = make_client(local, instance, enable_native=request.param)
    assert make_transactional_table(local, instance, "t") == (200, b"")
    yield client
    client.connection.pool.clear()


def row(b: int, n: int, a: str = "k") -> Any:
    return sdk.Row(pk(a, b), [("n", n)])


def start(client: Any, a: str = "k") -> str:
    return str(client.start_local_transaction("t", [("a", a)]))


# -- refusals


def test_a_table_that_was_not_made_for_them_knows_no_transactions(one: Any) -> None:
    make_table(one, "plain")
    assert refusal(lambda: one.start_local_transaction("plain", [("a", "k")])) == (
        400,
        "OTSParameterInvalid",
        "Try to call method using explicit transaction on explicit-transaction-disabled table.",
    )


def test_a_transaction_starts_on_the_partition_key_alone(one: Any) -> None:
    whole = refusal(lambda: one.start_local_transaction("t", pk("k", 1)))
    assert whole == (400, "OTSParameterInvalid", "StartLocalTransaction support only one primary key.")
    assert refusal(lambda: one.start_local_transaction("no", [("a", "k")]))[1] == "OTSObjectNotExist"
    assert refusal(lambda: one.start_local_transaction("t", [("b", "k")]))[1] == "OTSInvalidPK"
    assert refusal(lambda: one.start_local_transaction("t", [("a", 1)]))[1] == "OTSInvalidPK"


def test_an_id_that_cannot_be_one_is_invalid_and_one_that_is_not_open_does_not_exist(one: Any) -> None:
    invalid = (400, "OTSParameterInvalid", "TransactionID is invalid.")
    assert refusal(lambda: one.commit_transaction("")) == invalid
    assert refusal(lambda: one.abort_transaction("fake")) == invalid
    assert refusal(lambda: one.put_row("t", row(1, 1), None, transaction_id="fake")) == invalid
    unknown = "0" * 8 + "-0000-0000-0000-" + "0" * 12
    assert refusal(lambda: one.commit_transaction(unknown)) == NO_SESSION
    assert refusal(lambda: one.get_row("t", pk("k", 1), max_version=1, transaction_id=unknown)) == NO_SESSION


def test_a_second_transaction_on_a_key_waits_for_nobody_and_is_refused(one: Any) -> None:
    first = start(one)
    assert refusal(lambda: start(one)) == CONFLICT
    other = start(one, "other")
    one.commit_transaction(first)
    one.abort_transaction(other)
    one.abort_transaction(start(one))


def test_a_transaction_sees_and_writes_its_own_partition_key_only(one: Any) -> None:
    txn = start(one)
    out = (400, "OTSDataOutOfRange", "Data out of scope of transaction. Transaction PartKey:k. Data PartKey:z")
    assert refusal(lambda: one.put_row("t", row(1, 1, "z"), None, transaction_id=txn)) == out
    assert refusal(lambda: one.delete_row("t", pk("z", 1), None, transaction_id=txn)) == out
    assert refusal(lambda: one.get_row("t", pk("z", 1), max_version=1, transaction_id=txn)) == out
    ranged = refusal(lambda: one.get_range("t", "FORWARD", pk("k", 0), pk("z", 0), max_version=1, transaction_id=txn))
    assert ranged == out
    one.abort_transaction(txn)


# -- what it does


def test_others_see_what_is_committed_while_the_transaction_sees_itself(one: Any) -> None:
    one.put_row("t", row(1, 1))
    txn = start(one)
    one.put_row("t", row(2, 2), when(NOT_EXIST), transaction_id=txn)
    one.update_row("t", sdk.Row(pk("k", 1), {"increment": [("n", 10)]}), when(EXIST), transaction_id=txn)
    one.update_row("t", sdk.Row(pk("k", 2), {"put": [("m", 3)]}), when(EXIST, compare("n", 2)), transaction_id=txn)

    assert columns(one, "k", 1) == {"n": 1}
    assert columns(one, "k", 2) is None
    assert columns(one, "k", 2, transaction_id=txn) == {"n": 2, "m": 3}
    page = one.get_range("t", "BACKWARD", pk("k", 9), pk("k", 0), max_version=1, transaction_id=txn)[2]
    assert [(r.primary_key[1][1], {n: v for n, v, _ in r.attribute_columns}) for r in page] == [
        (2, {"n": 2, "m": 3}),
        (1, {"n": 11}),
    ]

    one.commit_transaction(txn)
    assert columns(one, "k", 1) == {"n": 11}
    assert columns(one, "k", 2) == {"n": 2, "m": 3}


def test_an_aborted_transaction_leaves_nothing(one: Any) -> None:
    one.put_row("t", row(1, 1))
    txn = start(one)
    one.delete_row("t", pk("k", 1), None, transaction_id=txn)
    one.put_row("t", row(2, 2), None, transaction_id=txn)
    assert columns(one, "k", 1, transaction_id=txn) is None
    one.abort_transaction(txn)
    assert columns(one, "k", 1) == {"n": 1}
    assert columns(one, "k", 2) is None
    assert refusal(lambda: one.abort_transaction(txn)) == NO_SESSION
    assert refusal(lambda: one.put_row("t", row(1, 1), None, transaction_id=txn)) == NO_SESSION


def test_writes_by_others_to_the_locked_key_fail_and_to_other_keys_do_not(one: Any) -> None:
    txn = start(one)
    assert refusal(lambda: one.put_row("t", row(1, 1))) == CONFLICT
    assert refusal(lambda: one.update_row("t", sdk.Row(pk("k", 1), {"put": [("n", 1)]}), None)) == CONFLICT
    assert refusal(lambda: one.delete_row("t", pk("k", 1), None)) == CONFLICT
    batch = sdk.BatchWriteRowRequest()
    items = [sdk.PutRowItem(row(1, 1), when(IGNORE)), sdk.PutRowItem(row(1, 1, "free"), when(IGNORE))]
    batch.add(sdk.TableInBatchWriteRowItem("t", items))
    answer = one.batch_write_row(batch).get_put_by_table("t")
    assert [item.error_code for item in answer] == ["OTSRowOperationConflict", None]
    one.commit_transaction(txn)
    one.put_row("t", row(1, 1))


def test_a_batch_in_a_transaction_belongs_to_it(one: Any) -> None:
    txn = start(one)
    batch = sdk.BatchWriteRowRequest()
    items = [
        sdk.PutRowItem(row(1, 1), when(IGNORE)),
        sdk.PutRowItem(row(2, 2), when(EXIST)),
        sdk.PutRowItem(row(3, 3, "z"), when(IGNORE)),
    ]
    batch.add(sdk.TableInBatchWriteRowItem("t", items))
    batch.set_transaction_id(txn)
    answer = one.batch_write_row(batch).get_put_by_table("t")
    assert [item.error_code for item in answer] == [None, "OTSConditionCheckFail", "OTSDataOutOfRange"]
    assert columns(one, "k", 1) is None
    one.commit_transaction(txn)
    assert columns(one, "k", 1) == {"n": 1}


# -- how it ends by itself


def test_after_sixty_seconds_the_transaction_is_gone_and_its_key_free(local: Local, one: Any) -> None:
    txn = start(one)
    one.put_row("t", row(1, 1), None, transaction_id=txn)
    local.advance(59)
    one.put_row("t", row(2, 2), None, transaction_id=txn)  # a life of 60 s in all, however busy
    assert refusal(lambda: one.put_row("t", row(1, 1))) == CONFLICT
    local.advance(1)
    assert refusal(lambda: one.commit_transaction(txn)) == NO_SESSION
    assert columns(one, "k", 1) is None
    one.put_row("t", row(1, 5))
    one.abort_transaction(start(one))


def test_a_start_that_timed_out_holds_the_lock_until_it_expires(local: Local, one: Any) -> None:
    def late(operation: str, _: str, moment: str) -> None:
        if (operation, moment) == ("StartLocalTransaction", "after"):
            raise timeout()

    local.run(lambda: local.cloud.tablestore.faults.append(late))
    try:
        assert refusal(lambda: start(one))[:2] == (503, "OTSTimeout")
    finally:
        local.run(local.cloud.tablestore.faults.clear)
    assert refusal(lambda: start(one)) == CONFLICT
    local.advance(60)
    one.abort_transaction(start(one))


def test_a_transaction_takes_four_megabytes(one: Any) -> None:
    txn = start(one)
    big = sdk.Row(pk("k", 1), [("s", "x" * 2_000_000)])
    one.put_row("t", big, None, transaction_id=txn)
    one.put_row("t", sdk.Row(pk("k", 2), [("s", "x" * 2_000_000)]), None, transaction_id=txn)
    too_much = refusal(lambda: one.put_row("t", sdk.Row(pk("k", 3), [("s", "x" * 400_000)]), None, transaction_id=txn))
    assert too_much[:2] == (400, "OTSOutOfTransactionDataSizeLimit")
    one.commit_transaction(txn)
    assert columns(one, "k", 3) is None
    assert len(columns(one, "k", 2)["s"]) == 2_000_000  # type: ignore[index]


def test_a_dropped_table_takes_its_transactions_along(local: Local, instance: str, one: Any) -> None:
    txn = start(one)
    one.delete_table("t")
    assert refusal(lambda: one.commit_transaction(txn)) == NO_SESSION
    make_transactional_table(local, instance, "t")
    one.put_row("t", row(1, 1))


def test_auto_increment_and_transactions_exclude_each_other(local: Local, instance: str, one: Any) -> None:
    assert refused(make_transactional_table(local, instance, "u", auto=True))[:2] == (400, "OTSParameterInvalid")


# -- atomic batches


def atomic(local: Local, instance: str, *rows: tuple[Any, str], table: str = "t") -> list[str]:
    """The error code of each row, "" for success."""
    request = pb2.BatchWriteRowRequest()
    part = request.tables.add(table_name=table)
    for one, existence in rows:
        change = bytes(PlainBufferBuilder.serialize_for_put_row(one.primary_key, one.attribute_columns))
        added = part.rows.add(type=pb2.PUT, row_change=change)
        added.condition.row_existence = getattr(pb2, existence)
    status, body = post(local, "BatchWriteRow", request.SerializeToString() + IS_ATOMIC, instance)
    assert status == 200
    answer = pb2.BatchWriteRowResponse.FromString(body)
    return [r.error.code for r in answer.tables[0].rows]


def test_an_atomic_batch_is_written_whole_or_not_at_all(local: Local, instance: str, one: Any) -> None:
    assert atomic(local, instance, (row(1, 1), "IGNORE"), (row(2, 2), "EXPECT_NOT_EXIST")) == ["", ""]
    assert columns(one, "k", 2) == {"n": 2}
    failed = atomic(local, instance, (row(3, 3), "IGNORE"), (row(2, 9), "EXPECT_NOT_EXIST"))
    assert failed == ["OTSConditionCheckFail"] * 2
    assert columns(one, "k", 3) is None
    assert columns(one, "k", 2) == {"n": 2}


def test_an_atomic_batch_over_two_partition_keys_fails_in_every_row(local: Local, instance: str, one: Any) -> None:
    failed = atomic(local, instance, (row(1, 1), "IGNORE"), (row(1, 1, "z"), "IGNORE"))
    assert failed == ["OTSDataOutOfRange"] * 2
    assert columns(one, "k", 1) is None


def test_an_atomic_batch_needs_a_table_made_for_it(local: Local, instance: str, one: Any) -> None:
    make_table(one, "plain")
    assert atomic(local, instance, (row(1, 1), "IGNORE"), table="plain") == ["OTSParameterInvalid"]
