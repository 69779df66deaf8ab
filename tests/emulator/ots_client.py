"""The official SDK pointed at the emulator, and the short forms that its tests speak in."""

from collections.abc import Callable
from typing import Any

import pytest
import tablestore as sdk

from emulator.testing import Local

IGNORE, EXIST, NOT_EXIST = (
    sdk.RowExistenceExpectation.IGNORE,
    sdk.RowExistenceExpectation.EXPECT_EXIST,
    sdk.RowExistenceExpectation.EXPECT_NOT_EXIST,
)
LOW, HIGH = [("a", sdk.INF_MIN), ("b", sdk.INF_MIN)], [("a", sdk.INF_MAX), ("b", sdk.INF_MAX)]
FREE = sdk.ReservedThroughput(sdk.CapacityUnit(0, 0))


def make_client(local: Local, instance: str, **options: Any) -> Any:
    client = sdk.OTSClient(local.url, *local.access_key, instance, retry_policy=NoRetry(), **options)
    client.logger.setLevel("CRITICAL")
    return client


class NoRetry:
    def should_retry(self, *_: Any) -> bool:
        return False


def make_table(client: Any, name: str, **options: Any) -> None:
    meta = sdk.TableMeta(name, [("a", "STRING"), ("b", "INTEGER")])
    client.create_table(meta, sdk.TableOptions(**options), FREE)


def pk(a: str, b: int) -> list[tuple[str, Any]]:
    return [("a", a), ("b", b)]


def when(existence: str, condition: Any = None) -> Any:
    return sdk.Condition(existence, condition)


def compare(name: str, value: Any, comparator: Any = sdk.ComparatorType.EQUAL, *, missing: bool = False) -> Any:
    return sdk.SingleColumnCondition(name, value, comparator, pass_if_missing=missing)


def columns(client: Any, a: str, b: int, **options: Any) -> dict[str, Any] | None:
    row = client.get_row("t", pk(a, b), **{"max_version": 1, **options})[1]
    return None if row is None else {name: value for name, value, _ in row.attribute_columns}


def refusal(call: Callable[[], Any]) -> tuple[int, str, str]:
    with pytest.raises(sdk.OTSServiceError) as caught:
        call()
    return caught.value.http_status, caught.value.code, caught.value.message
