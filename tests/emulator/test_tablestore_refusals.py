"""What the emulated Tablestore refuses, with the documented code, status and text."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tablestore as sdk

from emulator.testing import Local
from tests.emulator.ots_client import (
    HIGH,
    IGNORE,
    LOW,
    NOT_EXIST,
    columns,
    make_client,
    make_table,
    pk,
    refusal,
    when,
)


@pytest.fixture
def one(local: Local, instance: str) -> Iterator[Any]:
    """One kind of client, where the kind does not matter."""
    client = make_client(local, instance)
    make_table(client, "t")
    yield client
    client.connection.pool.clear()


def big_batch(rows: int, *, size: int = 1) -> Any:
    request = sdk.BatchWriteRowRequest()
    items = [sdk.PutRowItem(sdk.Row(pk("k", b), [("s", "x" * size)]), when(IGNORE)) for b in range(rows)]
    request.add(sdk.TableInBatchWriteRowItem("t", items))
    return request


def repeated_row() -> Any:
    request = sdk.BatchWriteRowRequest()
    item = sdk.PutRowItem(sdk.Row(pk("k", 1), [("n", 1)]), when(NOT_EXIST))
    request.add(sdk.TableInBatchWriteRowItem("t", [item, item]))
    return request


def batch_read(rows: int, max_version: int | None = 1) -> Any:
    request = sdk.BatchGetRowRequest()
    request.add(sdk.TableInBatchGetRowItem("t", [pk("k", b) for b in range(rows)], max_version=max_version))
    return request


LACKS = "Tablestore has it, the emulator models it not."
BAD = (400, "OTSParameterInvalid")
REFUSED: dict[str, tuple[Callable[[Any], Any], int, str, str]] = {
    "missing table": (lambda c: c.get_row("no", pk("k", 1), max_version=1), 404, "OTSObjectNotExist", "does not exist"),
    "short key": (
        lambda c: c.get_row("t", [("a", "k")], max_version=1),
        400,
        "OTSInvalidPK",
        "PK size fail. Input: 1, Meta: 2.",
    ),
    "swapped key": (
        lambda c: c.get_row("t", [("b", 1), ("a", "k")], max_version=1),
        400,
        "OTSInvalidPK",
        "Input: b, Meta: a.",
    ),
    "key type": (lambda c: c.get_row("t", [("a", 1), ("b", 1)], max_version=1), 400, "OTSInvalidPK", "type"),
    "no version": (lambda c: c.get_row("t", pk("k", 1), max_version=None), *BAD, "No version condition is specified"),
    "no columns": (lambda c: c.put_row("t", sdk.Row(pk("k", 1), [])), *BAD, "Attribute column is missing."),
    "limit 0": (
        lambda c: c.get_range("t", "FORWARD", LOW, HIGH, limit=0, max_version=1),
        *BAD,
        "The limit must be greater than 0.",
    ),
    "forward order": (
        lambda c: c.get_range("t", "FORWARD", HIGH, LOW, max_version=1),
        *BAD,
        "Begin key must less than end key in FORWARD",
    ),
    "backward order": (
        lambda c: c.get_range("t", "BACKWARD", LOW, HIGH, max_version=1),
        *BAD,
        "Begin key must more than end key in BACKWARD",
    ),
    "no range": (lambda c: c.get_range("t", "FORWARD", pk("k", 1), pk("k", 1), max_version=1), *BAD, "Begin key"),
    "long key": (lambda c: c.put_row("t", sdk.Row(pk("k" * 1025, 1), [("n", 1)])), *BAD, "MaxLength"),
    "long value": (lambda c: c.put_row("t", sdk.Row(pk("k", 1), [("s", "x" * 2_097_153)])), *BAD, "MaxLength"),
    "wide row": (
        lambda c: c.put_row("t", sdk.Row(pk("k", 1), [(f"c{n}", 1) for n in range(1025)])),
        400,
        "OTSOutOfColumnCountLimit",
        "1024",
    ),
    "key as column": (lambda c: c.put_row("t", sdk.Row(pk("k", 1), [("a", 1)])), *BAD, "primary key"),
    "infinity": (lambda c: c.put_row("t", sdk.Row(pk("k", 1), [("f", float("inf"))])), *BAD, "finite"),
    "old version": (lambda c: c.put_row("t", sdk.Row(pk("k", 1), [("n", 1, 1000)])), *BAD, "version"),
    "increment text": (
        lambda c: c.update_row("t", sdk.Row(pk("k", 0), {"increment": [("s", 1)]}), None),
        *BAD,
        "INTEGER",
    ),
    "increment overflow": (
        lambda c: c.update_row("t", sdk.Row(pk("k", 0), {"increment": [("n", (1 << 63) - 1)]}), None),
        *BAD,
        "overflow",
    ),
    "increment and put": (
        lambda c: c.update_row("t", sdk.Row(pk("k", 0), {"increment": [("n", 1)], "put": [("n", 1)]}), None),
        *BAD,
        "incremented and written",
    ),
    "201 writes": (lambda c: c.batch_write_row(big_batch(201)), *BAD, "200"),
    "over 4 MB": (lambda c: c.batch_write_row(big_batch(5, size=900_000)), *BAD, "4194304"),
    "over 5 MB": (lambda c: c.batch_write_row(big_batch(6, size=1_000_000)), 413, "OTSRequestBodyTooLarge", ""),
    "no writes": (
        lambda c: c.batch_write_row(sdk.BatchWriteRowRequest()),
        *BAD,
        "No row is specified in BatchWriteRow.",
    ),
    "repeated row": (lambda c: c.batch_write_row(repeated_row()), *BAD, "Repeated rows do not support"),
    "101 reads": (lambda c: c.batch_get_row(batch_read(101)), *BAD, "100"),
    "batch without version": (lambda c: c.batch_get_row(batch_read(1, None)), *BAD, "No version condition"),
    "129 columns": (
        lambda c: c.get_row("t", pk("k", 1), columns_to_get=[f"c{n}" for n in range(129)], max_version=1),
        *BAD,
        "128",
    ),
    "transaction": (lambda c: c.start_local_transaction("t", [("a", "k")]), *BAD, "explicit-transaction-disabled"),
    "index over a column not predefined": (
        lambda c: c.create_secondary_index("t", sdk.SecondaryIndexMeta("i", ["x"], []), True),
        *BAD,
        "neither a primary key nor a predefined column",
    ),
    "sql": (lambda c: c.exe_sql_query("select 1"), *BAD, "Unsupported operation: SQLQuery. " + LACKS),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_carry_the_documented_code_and_status(one: Any, case: str) -> None:
    one.put_row("t", sdk.Row(pk("k", 0), [("s", "x"), ("n", 1)]))
    call, status, code, text = REFUSED[case]

    refused = refusal(lambda: call(one))

    assert refused[:2] == (status, code), refused
    assert text in refused[2]
    assert columns(one, "k", 0) == {"s": "x", "n": 1}
