"""Races on conditional writes: threads in several processes, a real server, the official SDK, one winner each time."""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest
import tablestore as sdk

from emulator.testing import Local
from tests.emulator.ots_client import EXIST, NOT_EXIST, NoRetry, compare, make_client, make_table, pk, when

PROCESSES, THREADS = 3, 4
VERSIONS = 120
KEYS = 80

Address = tuple[str, Sequence[str], str]
Won = list[tuple[str, int]]
"""(who, what was won)"""


def connect(address: Address, *, native: bool) -> Any:
    url, key, instance = address
    client = sdk.OTSClient(url, *key, instance, retry_policy=NoRetry(), enable_native=native)
    client.logger.setLevel("CRITICAL")
    return client


def unless_condition_failed(write: Callable[[], Any]) -> bool:
    try:
        write()
    except sdk.OTSServiceError as error:
        if (error.http_status, error.code) != (403, "OTSConditionCheckFail"):
            raise
        return False
    return True


def raise_the_version(client: Any, who: str) -> Won:
    """Read, then write version+1 where the version is still the one seen, until the last version is reached."""
    won: Won = []
    while True:
        row = client.get_row("t", pk("cas", 0), max_version=1)[1]
        seen = {name: value for name, value, _ in row.attribute_columns}["version"]
        if seen >= VERSIONS:
            return won
        change = sdk.Row(pk("cas", 0), {"put": [("version", seen + 1), ("owner", who)]})
        condition = when(EXIST, compare("version", seen))
        if unless_condition_failed(lambda: client.update_row("t", change, condition)):  # noqa: B023  # called at once
            won.append((who, seen + 1))


def be_first(client: Any, who: str) -> Won:
    """Put each row unless somebody has."""
    won: Won = []
    for b in range(KEYS):
        mine = sdk.Row(pk("new", b), [("owner", who)])
        if unless_condition_failed(lambda: client.put_row("t", mine, when(NOT_EXIST))):  # noqa: B023  # called at once
            won.append((who, b))
    return won


RUNS = {"cas": raise_the_version, "first": be_first}


def race(address: Address, run: str, process: int) -> Won:
    """One process: its threads share one client, as the SDK allows. Every other process uses the Python encoder."""
    client = connect(address, native=process % 2 == 0)
    with ThreadPoolExecutor(THREADS) as pool:
        runs = [pool.submit(RUNS[run], client, f"p{process}t{thread}") for thread in range(THREADS)]
        return [won for one in runs for won in one.result()]


@pytest.fixture(scope="module")
def client(local: Local) -> Iterator[Any]:
    client = make_client(local, local.ots_instance)
    make_table(client, "t")
    client.put_row("t", sdk.Row(pk("cas", 0), [("version", 0), ("owner", "")]), when(NOT_EXIST))
    yield client
    client.connection.pool.clear()


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def everybody(local: Local, run: str, processes: ProcessPoolExecutor) -> Won:
    address = (local.url, local.access_key, local.ots_instance)
    runs = [processes.submit(race, address, run, number) for number in range(PROCESSES)]
    return [won for one in runs for won in one.result(50)]


def test_each_version_has_exactly_one_winner(local: Local, client: Any, processes: ProcessPoolExecutor) -> None:
    won = everybody(local, "cas", processes)

    assert Counter(version for _, version in won) == Counter(range(1, VERSIONS + 1))
    last = {version: who for who, version in won}[VERSIONS]
    row = client.get_row("t", pk("cas", 0), max_version=1)[1]
    assert {name: value for name, value, _ in row.attribute_columns} == {"version": VERSIONS, "owner": last}


def test_each_new_row_has_exactly_one_maker(local: Local, client: Any, processes: ProcessPoolExecutor) -> None:
    won = everybody(local, "first", processes)

    assert Counter(b for _, b in won) == Counter(range(KEYS))
    rows = client.get_range("t", "FORWARD", pk("new", 0), pk("new", KEYS), max_version=1)[2]
    owners = {(row.attribute_columns[0][1], row.primary_key[1][1]) for row in rows}
    assert owners == set(won)
