"""The menu over HTTP as the official Tablestore SDK meets it, its own retries off."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import requests
import tablestore as sdk
import urllib3

from emulator.testing import Local, mock_aliyun
from tests.emulator.ots_client import make_client, make_table, pk

ANYWAY = sdk.Condition(sdk.RowExistenceExpectation.IGNORE)
_numbers = count()


@pytest.fixture(scope="module")
def opened() -> Iterator[Local]:
    with mock_aliyun(ots_instance="t0") as running:
        yield running


@pytest.fixture
def local(opened: Local) -> Iterator[Local]:
    yield opened
    opened.run(opened.cloud.faults.clear)


@pytest.fixture
def client(local: Local) -> Any:
    instance = f"f{next(_numbers)}"
    local.run(lambda: local.cloud.ots_instances.add(instance))
    made = make_client(local, instance, socket_timeout=0.3)
    make_table(made, "t")
    return made


def menu(local: Local, *faults: dict[str, Any]) -> None:
    answer = requests.post(f"{local.url}/_emulator/faults", json=list(faults), timeout=5)
    assert answer.status_code == 200, answer.text


def put(client: Any, a: str = "a", b: int = 1, value: int = 1) -> None:
    client.put_row("t", sdk.Row(pk(a, b), [("n", value)]), ANYWAY)


def value(client: Any, a: str = "a", b: int = 1) -> int | None:
    row = client.get_row("t", pk(a, b), max_version=1)[1]
    return None if row is None else row.attribute_columns[0][1]


def rows(client: Any, limit: int | None = None) -> list[int]:
    """How many rows each page of the whole table holds."""
    start: Any = [("a", sdk.INF_MIN), ("b", sdk.INF_MIN)]
    end = [("a", sdk.INF_MAX), ("b", sdk.INF_MAX)]
    sizes = []
    while start is not None:
        _, start, page, _ = client.get_range("t", sdk.Direction.FORWARD, start, end, limit=limit, max_version=1)
        sizes.append(len(page))
    return sizes


def refused(call: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(sdk.OTSServiceError) as error:
        call()
    return error.value.http_status, error.value.code


@pytest.mark.parametrize(
    ("fault", "error", "applied"),
    [
        ({"kind": "timeout_before"}, urllib3.exceptions.ReadTimeoutError, False),
        ({"kind": "timeout_after"}, urllib3.exceptions.ReadTimeoutError, True),
        ({"kind": "reset_before"}, urllib3.exceptions.ProtocolError, False),
        ({"kind": "reset_after"}, urllib3.exceptions.ProtocolError, True),
        ({"kind": "html"}, sdk.OTSClientError, False),
        ({"kind": "html_after"}, sdk.OTSClientError, True),
        ({"kind": "empty_body"}, sdk.OTSClientError, False),
        ({"kind": "empty_body_after"}, sdk.OTSClientError, True),
        ({"kind": "bad_signature"}, sdk.OTSClientError, True),
    ],
    ids=str,
)
def test_without_a_trustworthy_answer_only_the_row_tells(
    local: Local, client: Any, fault: dict[str, Any], error: type[Exception], applied: bool
) -> None:
    menu(local, {**fault, "action": "PutRow"})
    with pytest.raises(error) as lost:
        put(client)
    assert not isinstance(lost.value, sdk.OTSServiceError)
    assert value(client) == (1 if applied else None)
    put(client, value=2)
    assert value(client) == 2


@pytest.mark.parametrize(
    ("fault", "told", "applied"),
    [
        ({"kind": "throttle", "calls": 1}, (503, "OTSServerBusy"), False),
        ({"kind": "error"}, (503, "OTSServerUnavailable"), False),
        ({"kind": "error", "code": "OTSTimeout"}, (503, "OTSTimeout"), False),
        ({"kind": "error_after", "code": "OTSTimeout"}, (503, "OTSTimeout"), True),
        ({"kind": "error_after", "code": "OTSInternalServerError"}, (500, "OTSInternalServerError"), True),
        ({"kind": "error", "code": "OTSRowOperationConflict"}, (409, "OTSRowOperationConflict"), False),
        ({"kind": "empty_body", "status": 503}, (503, ""), False),
    ],
    ids=str,
)
def test_a_refusal_carries_the_documented_code(
    local: Local, client: Any, fault: dict[str, Any], told: tuple[int, str], applied: bool
) -> None:
    menu(local, {**fault, "action": "PutRow", "table": "t"})
    assert refused(lambda: put(client)) == told
    assert value(client) == (1 if applied else None)


def test_a_fault_of_one_table_leaves_the_others_alone(local: Local, client: Any) -> None:
    make_table(client, "other")
    menu(local, {"kind": "error", "table": "other", "calls": None})
    put(client)
    assert set(client.list_table()) == {"t", "other"}
    assert refused(lambda: client.get_row("other", pk("a", 1), max_version=1))[0] == 503
    assert refused(lambda: client.describe_table("other"))[0] == 503


def test_a_region_that_is_out_takes_its_tables_with_it(local: Local, client: Any) -> None:
    put(client)
    menu(local, {"kind": "region_outage", "region": "cn-hangzhou"})
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        value(client)
    local.run(local.cloud.faults.clear)
    assert value(client) == 1


def test_pages_are_short_or_empty_and_still_lead_to_the_end(local: Local, client: Any) -> None:
    for b in range(5):
        put(client, b=b)
    assert rows(client) == [5]
    menu(local, {"kind": "short_page", "rows": 2, "calls": None})
    assert rows(client) == [2, 2, 1]
    menu(local, {"kind": "empty_page"})
    assert rows(client) == [0, 2, 2, 1]


def test_a_read_lacks_the_latest_changes(local: Local, client: Any) -> None:
    put(client, value=1)
    local.advance(10)
    put(client, value=2)
    menu(local, {"kind": "stale_read", "calls": 2, "seconds": 5})
    assert value(client) == 1
    assert rows(client) == [1]
    assert value(client) == 2


def test_a_partition_that_splits_is_away_until_it_is_done(local: Local, client: Any) -> None:
    for a in "abcd":
        put(client, a=a)
    menu(local, {"kind": "split", "table": "t", "seconds": 2})
    assert refused(lambda: put(client)) == (503, "OTSPartitionUnavailable")
    assert refused(lambda: rows(client)) == (503, "OTSPartitionUnavailable")
    local.advance(2)
    put(client)
    assert rows(client) == [4]


def test_some_rows_of_a_batch_fail_and_the_others_are_written(local: Local, client: Any) -> None:
    menu(local, {"kind": "row_errors", "rows": 2, "code": "OTSRowOperationConflict"})
    request = sdk.BatchWriteRowRequest()
    items = [sdk.PutRowItem(sdk.Row(pk("a", b), [("n", b)]), ANYWAY) for b in range(4)]
    request.add(sdk.TableInBatchWriteRowItem("t", items))
    results = client.batch_write_row(request).get_put_by_table("t")
    assert [(r.is_ok, r.error_code) for r in results[:3]] == [
        (False, "OTSRowOperationConflict"),
        (False, "OTSRowOperationConflict"),
        (True, None),
    ]
    assert [value(client, b=b) for b in range(4)] == [None, None, 2, 3]


def test_some_rows_of_a_batch_cannot_be_read(local: Local, client: Any) -> None:
    put(client)
    menu(local, {"kind": "row_errors", "code": "OTSServerBusy"})
    request = sdk.BatchGetRowRequest()
    request.add(sdk.TableInBatchGetRowItem("t", [pk("a", 1), pk("a", 1)], max_version=1))
    results = client.batch_get_row(request).get_result_by_table("t")
    assert [r.is_ok for r in results] == [False, True]


def test_a_write_may_leave_its_lock_behind(local: Local, client: Any) -> None:
    menu(local, {"kind": "lock", "action": "PutRow", "seconds": 30})
    put(client)
    assert refused(lambda: put(client, value=2)) == (409, "OTSRowOperationConflict")
    assert value(client) == 1
    local.advance(30)
    put(client, value=2)
    assert value(client) == 2
