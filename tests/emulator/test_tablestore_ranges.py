"""Ranges as the SDK pages them: every limit, both ways, over 5,000 rows and at four megabytes."""

from collections.abc import Iterator
from typing import Any

import pytest
import tablestore as sdk

from emulator.tablestore.rows import Change
from emulator.tablestore.table import Kind, Write
from emulator.testing import Local
from tests.emulator.ots_client import HIGH, LOW, make_client, make_table, pk

ROWS = 120
MANY = 5_003
COLUMN_BYTES = len("s")
KEY_BYTES = len("a") + len("k") + len("b") + 8


@pytest.fixture(scope="module")
def client(local: Local) -> Iterator[Any]:
    client = make_client(local, local.ots_instance)
    for table, rows, partitions in (("few", ROWS, 3), ("many", MANY, 1)):
        make_table(client, table)
        local.run(lambda: fill(local, table, rows, partitions))  # noqa: B023  # run at once
    yield client
    client.connection.pool.clear()


def fill(local: Local, table: str, rows: int, partitions: int) -> None:
    for n in range(rows):
        write = Write(kind=Kind.PUT, key=pk(f"k{n % partitions}", n), changes=(Change("n", value=n),))
        local.cloud.tablestore.write(local.ots_instance, table, write)


def walk(client: Any, table: str, *, backward: bool, limit: int | None = None) -> list[list[tuple[str, int]]]:
    """The keys of each page, from one end of the table to the other."""
    start: Any = HIGH if backward else LOW
    end = LOW if backward else HIGH
    pages = []
    while start is not None:
        direction = "BACKWARD" if backward else "FORWARD"
        _, start, rows, _ = client.get_range(table, direction, start, end, limit=limit, max_version=1)
        pages.append([(row.primary_key[0][1], row.primary_key[1][1]) for row in rows])
    return pages


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_a_range_is_whole_at_every_limit(client: Any, backward: bool) -> None:
    ordered = sorted(((f"k{n % 3}", n) for n in range(ROWS)), reverse=backward)
    for limit in range(1, ROWS + 2):
        pages = walk(client, "few", backward=backward, limit=limit)
        assert [key for page in pages for key in page] == ordered, limit
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1), limit
        assert len(pages[-1]) in range(1, limit + 1), "no empty page is needed at the end"


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("limit", [None, 5_000, 5_001, 100_000])
def test_a_page_holds_five_thousand_rows_whatever_is_asked(client: Any, backward: bool, limit: int | None) -> None:
    pages = walk(client, "many", backward=backward, limit=limit)
    ordered = sorted((("k0", n) for n in range(MANY)), reverse=backward)
    assert [key for page in pages for key in page] == ordered
    assert [len(page) for page in pages] == [5_000, 3]


def test_the_sdks_own_iterator_reads_beyond_five_thousand(client: Any) -> None:
    rows = client.xget_range("many", "BACKWARD", HIGH, LOW, sdk.CapacityUnit(0, 0), max_version=1)
    assert [row.primary_key[1][1] for row in rows] == list(range(MANY))[::-1]
    some = client.xget_range("many", "FORWARD", LOW, HIGH, sdk.CapacityUnit(0, 0), count=5_002, max_version=1)
    assert [row.primary_key[1][1] for row in some] == list(range(5_002))


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_a_page_ends_with_the_row_that_fills_four_megabytes(local: Local, client: Any, backward: bool) -> None:
    """Four rows make 4 MB to the byte; one byte less in one of them leaves room for a fifth."""
    exact = 1024 * 1024 - KEY_BYTES - COLUMN_BYTES
    for name, sizes, expected in (("exact", [exact] * 5, [4, 1]), ("less", [exact - 1] * 5, [5])):
        table = f"{name}{int(backward)}"
        make_table(client, table)
        for b, size in enumerate(sizes):
            client.put_row(table, sdk.Row(pk("k", b), [("s", "x" * size)]))
        pages = walk(client, table, backward=backward)
        assert [len(page) for page in pages] == expected, name
        assert sorted(key for page in pages for key in page) == [("k", b) for b in range(5)]


def test_columns_count_only_when_they_are_fetched(local: Local, client: Any) -> None:
    make_table(client, "wide")
    for b in range(5):
        client.put_row("wide", sdk.Row(pk("k", b), [("n", b), ("s", "x" * 1_500_000)]))
    whole = client.get_range("wide", "FORWARD", LOW, HIGH, max_version=1)
    slim = client.get_range("wide", "FORWARD", LOW, HIGH, columns_to_get=["n"], max_version=1)
    assert (len(whole[2]), whole[1]) == (3, pk("k", 3))
    assert (len(slim[2]), slim[1]) == (5, None)
    assert (whole[0].read, slim[0].read) == (-(-3 * (1_500_000 + 9 + COLUMN_BYTES + KEY_BYTES) // 4096), 1)
