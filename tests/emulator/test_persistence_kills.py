"""`kill -9` in the middle of storms of writes: whatever was acknowledged is there afterwards, and nothing else.

The storms come from the official SDK. What each writer was told, and what it had under way when the server died, is
what the world is held against after the restart.
"""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import tablestore as sdk
import urllib3

from tests.emulator.claims import GONE, Claims, life
from tests.emulator.killable import Nursery, Server, nursery
from tests.emulator.ots_client import FREE, IGNORE, NoRetry, when

KILLS: Final = 100
WRITERS: Final = 4
KEYS: Final = 12
LONGEST_STORM_SECONDS: Final = 0.25


@pytest.fixture(scope="module")
def nurse() -> Iterator[Nursery]:
    with nursery() as found:
        yield found


def ots(server: Server) -> Any:
    client = sdk.OTSClient(server.url, "testid", "testsecret", "understudy", retry_policy=NoRetry(), socket_timeout=5)
    client.logger.setLevel("CRITICAL")
    return client


def rows(client: Any) -> dict[tuple[str, int], int]:
    found: dict[tuple[str, int], int] = {}
    start: Any = [("a", sdk.INF_MIN), ("b", sdk.INF_MIN)]
    while start:
        _, start, page, _ = client.get_range(
            "t", "FORWARD", start, [("a", sdk.INF_MAX), ("b", sdk.INF_MAX)], max_version=1
        )
        for row in page:
            key = {name: value for name, value, *_ in row.primary_key}
            found[key["a"], key["b"]] = row.attribute_columns[0][1]
    return found


class RowWriter:
    """One thread's rows: nobody else writes them, so it knows what they may hold."""

    def __init__(self, name: str, claims: Claims, chance: random.Random) -> None:
        self._name = name
        self._claims = claims
        self._chance = chance
        self._numbers: dict[tuple[str, int], int] = {}

    def storm(self, client: Any) -> None:
        """Until the server is gone."""
        act = (self._put, self._update, self._delete, self._batch)
        try:
            while True:
                self._chance.choices(act, weights=(4, 4, 1, 2))[0](client)
        except (sdk.OTSClientError, urllib3.exceptions.HTTPError):
            return

    def _next(self) -> tuple[tuple[str, int], int]:
        key = (self._name, self._chance.randrange(KEYS))
        self._numbers[key] = self._numbers.get(key, 0) + 1
        return key, self._numbers[key]

    def _put(self, client: Any) -> None:
        key, value = self._next()
        self._claims.sending(key, value)
        client.put_row("t", sdk.Row(pairs(key), [("n", value)]), when(IGNORE))
        self._claims.acknowledged(key, value)

    def _update(self, client: Any) -> None:
        """A condition on the value that is known; unknown after a death, so it may be refused."""
        key, value = self._next()
        known = next(iter(self._claims.may_be.get(key, {GONE})))
        condition = when(IGNORE, sdk.SingleColumnCondition("n", known or 0, sdk.ComparatorType.EQUAL, known is GONE))
        self._claims.sending(key, value)
        try:
            client.update_row("t", sdk.Row(pairs(key), {"PUT": [("n", value)]}), condition)
        except sdk.OTSServiceError as error:
            if error.code != "OTSConditionCheckFail":
                raise
            self._claims.refused(key, value)
        else:
            self._claims.acknowledged(key, value)

    def _delete(self, client: Any) -> None:
        key, _ = self._next()
        self._claims.sending(key, GONE)
        client.delete_row("t", pairs(key), when(IGNORE))
        self._claims.acknowledged(key, GONE)

    def _batch(self, client: Any) -> None:
        batch = dict(self._next() for _ in range(3))
        for key, value in batch.items():
            self._claims.sending(key, value)
        request = sdk.BatchWriteRowRequest()
        items = [sdk.PutRowItem(sdk.Row(pairs(key), [("n", value)]), when(IGNORE)) for key, value in batch.items()]
        request.add(sdk.TableInBatchWriteRowItem("t", items))
        response = client.batch_write_row(request)
        assert response.is_all_succeed()
        for key, value in batch.items():
            self._claims.acknowledged(key, value)


def pairs(key: tuple[str, int]) -> list[tuple[str, Any]]:
    return [("a", key[0]), ("b", key[1])]


@pytest.mark.timeout(180)
def test_no_acknowledged_row_is_lost_by_kills_in_a_write_storm(nurse: Nursery, tmp_path: Path) -> None:
    chance = random.Random(7)
    claims = Claims()
    writers = [RowWriter(f"w{number}", claims, random.Random(number)) for number in range(WRITERS)]
    acknowledged = 0
    for number in range(KILLS + 1):
        server = nurse.start("--data", str(tmp_path / "world"))
        client = ots(server)
        if number == 0:
            client.create_table(sdk.TableMeta("t", [("a", "STRING"), ("b", "INTEGER")]), sdk.TableOptions(), FREE)
        found = rows(client)
        claims.hold(found, number)
        acknowledged += len(found)
        storms = [partial(writer.storm, ots(server)) for writer in writers]
        life(server, storms, chance.uniform(0.02, LONGEST_STORM_SECONDS))
    assert acknowledged > KILLS, "the storms were no storms"
