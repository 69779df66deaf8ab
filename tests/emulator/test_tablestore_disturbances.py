"""What the service does to a call besides refusing it, and what it refuses for a while: in process and over HTTP."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

import pytest
import tablestore as sdk

from emulator.tablestore.capacity import Throughput
from emulator.tablestore.disturbances import Disturbance, Disturber
from emulator.tablestore.errors import timeout
from emulator.testing import Local
from tests.emulator.ots_client import (
    HIGH,
    IGNORE,
    LOW,
    columns,
    compare,
    make_client,
    make_table,
    pk,
    refusal,
    when,
)

AWAY = (503, "OTSPartitionUnavailable", "The partition is not available.")
CONFLICT = (409, "OTSRowOperationConflict", "Data is being modified by the other request.")


@pytest.fixture
def one(local: Local, instance: str) -> Iterator[Any]:
    client = make_client(local, instance)
    make_table(client, "t")
    yield client
    client.connection.pool.clear()
    local.run(local.cloud.tablestore.disturbances.clear)
    local.run(local.cloud.tablestore.faults.clear)


@pytest.fixture
def disturb(local: Local) -> Callable[..., None]:
    def add(operation: str, how: Disturbance, *, calls: int | None = None) -> None:
        left = [calls]

        def disturber(called: str, table: str) -> Disturbance | None:
            if called != operation or left[0] == 0:
                return None
            if left[0] is not None:
                left[0] -= 1
            return how

        chosen: Disturber = disturber
        local.run(lambda: local.cloud.tablestore.disturbances.append(chosen))

    return add


def fill(client: Any, keys: str = "abc", rows: int = 3) -> None:
    for a in keys:
        for b in range(rows):
            client.put_row("t", sdk.Row(pk(a, b), [("n", b)]))


def pages(client: Any, **asked: Any) -> list[list[tuple[str, int]]]:
    found: list[list[tuple[str, int]]] = []
    start: Any = LOW
    while start is not None:
        _, start, rows, _ = client.get_range("t", "FORWARD", start, HIGH, max_version=1, **asked)
        found.append([(row.primary_key[0][1], row.primary_key[1][1]) for row in rows])
    return found


# -- pages


def test_pages_may_be_shorter_than_asked_and_lose_nothing(one: Any, disturb: Any) -> None:
    fill(one)
    disturb("GetRange", Disturbance(page_rows=2))
    found = pages(one, limit=5)
    assert [len(page) for page in found] == [2, 2, 2, 2, 1]
    assert [key for page in found for key in page] == [(a, b) for a in "abc" for b in range(3)]


def test_a_scan_may_begin_with_an_empty_page_that_names_where_to_go_on(one: Any, disturb: Any) -> None:
    fill(one)
    disturb("GetRange", Disturbance(empty_page_first=True))
    found = pages(one)
    assert [len(page) for page in found] == [0, 9]
    assert one.get_range("t", "FORWARD", pk("z", 0), HIGH, max_version=1)[1:3] == (None, [])


# -- stale reads


def test_a_stale_read_shows_what_was_and_the_next_one_what_is(local: Local, one: Any, disturb: Any) -> None:
    fill(one, "a", 2)
    local.advance(10)
    one.update_row("t", sdk.Row(pk("a", 0), {"put": [("n", 7)]}), None)
    one.put_row("t", sdk.Row(pk("new", 0), [("n", 0)]))
    one.delete_row("t", pk("a", 1), None)
    disturb("GetRow", Disturbance(stale=timedelta(seconds=5)), calls=1)
    assert columns(one, "a", 0) == {"n": 0}
    assert columns(one, "a", 0) == {"n": 7}
    disturb("GetRange", Disturbance(stale=timedelta(seconds=5)), calls=1)
    assert pages(one) == [[("a", 0), ("a", 1)]]
    assert pages(one) == [[("a", 0), ("new", 0)]]
    local.advance(10)
    disturb("GetRange", Disturbance(stale=timedelta(seconds=5)), calls=1)
    assert pages(one) == [[("a", 0), ("new", 0)]], "a replica catches up"


def test_a_condition_is_never_stale(one: Any, disturb: Any) -> None:
    one.put_row("t", sdk.Row(pk("a", 0), [("n", 1)]))
    one.put_row("t", sdk.Row(pk("a", 0), [("n", 2)]))
    disturb("UpdateRow", Disturbance(stale=timedelta(days=1)))
    old = when(IGNORE, compare("n", 1))
    assert refusal(lambda: one.update_row("t", sdk.Row(pk("a", 0), {"put": [("n", 3)]}), old))[0] == 403


# -- locks


def test_a_lock_left_behind_is_held_until_it_expires(local: Local, one: Any, disturb: Any) -> None:
    disturb("PutRow", Disturbance(lock_for=timedelta(seconds=30)), calls=1)
    one.put_row("t", sdk.Row(pk("a", 0), [("n", 1)]))
    assert refusal(lambda: one.put_row("t", sdk.Row(pk("a", 1), [("n", 1)]))) == CONFLICT
    one.put_row("t", sdk.Row(pk("b", 0), [("n", 1)]))
    assert columns(one, "a", 0) == {"n": 1}, "reads are not kept out"
    local.advance(30)
    one.put_row("t", sdk.Row(pk("a", 1), [("n", 1)]))


def test_a_call_that_timed_out_may_leave_both_its_write_and_a_lock(
    local: Local, instance: str, one: Any, disturb: Any
) -> None:
    def late(operation: str, _: str, moment: str) -> None:
        if (operation, moment) == ("PutRow", "after"):
            raise timeout()

    disturb("PutRow", Disturbance(lock_for=timedelta(seconds=30)))
    local.run(lambda: local.cloud.tablestore.faults.append(late))
    assert refusal(lambda: one.put_row("t", sdk.Row(pk("a", 0), [("n", 1)])))[:2] == (503, "OTSTimeout")
    local.run(local.cloud.tablestore.faults.clear)
    assert columns(one, "a", 0) == {"n": 1}
    change = sdk.Row(pk("a", 0), {"put": [("n", 2)]})
    assert refusal(lambda: one.update_row("t", change, None)) == CONFLICT


def test_an_increment_that_is_retried_after_a_timeout_counts_twice(local: Local, one: Any) -> None:
    def late(operation: str, _: str, moment: str) -> None:
        if (operation, moment) == ("UpdateRow", "after"):
            local.cloud.tablestore.faults.clear()
            raise timeout()

    local.run(lambda: local.cloud.tablestore.faults.append(late))
    add = sdk.Row(pk("a", 0), {"increment": [("n", 5)]})
    assert refusal(lambda: one.update_row("t", add, None))[1] == "OTSTimeout"
    one.update_row("t", add, None)
    assert columns(one, "a", 0) == {"n": 10}


# -- splits


def test_the_first_split_takes_the_whole_table_away_and_the_next_one_only_its_part(
    local: Local, instance: str, one: Any
) -> None:
    fill(one)
    store = local.cloud.tablestore
    local.run(lambda: store.split(instance, "t", "b", for_=timedelta(milliseconds=100)))
    for a in "abc":
        assert refusal(lambda: columns(one, a, 0)) == AWAY  # noqa: B023
    local.advance(0.1)
    assert [columns(one, a, 0) for a in "abc"] == [{"n": 0}] * 3

    local.run(lambda: store.split(instance, "t", "c", for_=timedelta(seconds=2)))
    assert columns(one, "a", 0) == {"n": 0}
    one.put_row("t", sdk.Row(pk("a", 9), [("n", 9)]))
    for a in "bc":
        assert refusal(lambda: one.put_row("t", sdk.Row(pk(a, 0), [("n", 1)]))) == AWAY  # noqa: B023
        assert refusal(lambda: one.delete_row("t", pk(a, 0), None)) == AWAY  # noqa: B023
    local.advance(2)
    assert columns(one, "c", 0) == {"n": 0}


def test_batches_fail_only_in_the_rows_whose_partition_is_away(local: Local, instance: str, one: Any) -> None:
    fill(one)
    store = local.cloud.tablestore
    local.run(lambda: store.split(instance, "t", "b", for_=timedelta(0)))
    local.run(lambda: store.split(instance, "t", "c", for_=timedelta(seconds=1)))
    writes = sdk.BatchWriteRowRequest()
    items = [sdk.PutRowItem(sdk.Row(pk(a, 0), [("n", 5)]), when(IGNORE)) for a in "abc"]
    writes.add(sdk.TableInBatchWriteRowItem("t", items))
    codes = [item.error_code for item in one.batch_write_row(writes).get_put_by_table("t")]
    assert codes == [None, "OTSPartitionUnavailable", "OTSPartitionUnavailable"]
    reads = sdk.BatchGetRowRequest()
    reads.add(sdk.TableInBatchGetRowItem("t", [pk(a, 0) for a in "abc"], max_version=1))
    found = one.batch_get_row(reads).get_result_by_table("t")
    assert [(item.is_ok, item.error_code) for item in found] == [
        (True, None),
        (False, "OTSPartitionUnavailable"),
        (False, "OTSPartitionUnavailable"),
    ]


def test_a_range_ends_where_a_partition_is_away_and_cannot_begin_in_it(local: Local, instance: str, one: Any) -> None:
    fill(one)
    store = local.cloud.tablestore
    local.run(lambda: store.split(instance, "t", "c", for_=timedelta(0)))
    local.run(lambda: store.split(instance, "t", "d", for_=timedelta(seconds=1)))
    _, start, rows, _ = one.get_range("t", "FORWARD", LOW, HIGH, max_version=1)
    assert (len(rows), start) == (6, pk("c", 0))
    assert refusal(lambda: one.get_range("t", "FORWARD", start, HIGH, max_version=1)) == AWAY
    assert refusal(lambda: one.get_range("t", "BACKWARD", HIGH, LOW, max_version=1)) == AWAY
    local.advance(1)
    assert len(one.get_range("t", "FORWARD", start, HIGH, max_version=1)[2]) == 3


def admin(local: Local, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = HTTPConnection(local.host, timeout=5)
    try:
        connection.request(method, f"/_emulator/tablestore/{path}", None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_the_admin_door_splits_locks_and_tells(local: Local, instance: str, one: Any) -> None:
    fill(one)
    assert admin(local, "POST", f"{instance}/t/split", {"key": "b", "seconds": 3})[0] == 200
    assert refusal(lambda: columns(one, "a", 0)) == AWAY
    local.advance(3)
    assert admin(local, "POST", f"{instance}/t/lock", {"key": "b"})[0] == 200
    assert refusal(lambda: one.delete_row("t", pk("b", 0), None)) == CONFLICT
    told = admin(local, "GET", instance)[1]
    assert (told["t"]["rows"], told["t"]["splits"]) == (9, ["b"])
    for body in ({}, {"key": 1.5}, {"key": "b", "seconds": -1}, {"key": 7}):
        assert admin(local, "POST", f"{instance}/t/split", body)[0] == 400
    assert "does not exist" in admin(local, "POST", f"{instance}/no/split", {"key": "b"})[1]["error"]


# -- throughput


def test_a_hot_partition_key_exhausts_its_units_and_others_do_not(local: Local, one: Any) -> None:
    store = local.cloud.tablestore
    local.run(lambda: setattr(store, "throughput", Throughput(per_partition_key=3)))
    try:
        fill(one, "a", 3)
        exhausted = (403, "OTSCapacityUnitExhausted", "Capacity unit is not enough.")
        assert refusal(lambda: one.put_row("t", sdk.Row(pk("a", 9), [("n", 1)]))) == exhausted
        assert refusal(lambda: columns(one, "a", 0)) == exhausted
        one.put_row("t", sdk.Row(pk("b", 9), [("n", 1)]))
        local.advance(1)
        assert columns(one, "a", 0) == {"n": 0}
    finally:
        local.run(lambda: setattr(store, "throughput", Throughput()))


def test_a_tables_limit_concerns_every_key_of_it(local: Local, one: Any) -> None:
    store = local.cloud.tablestore
    make_table(one, "other")
    local.run(lambda: setattr(store, "throughput", Throughput(per_table=2)))
    try:
        fill(one, "ab", 1)
        assert refusal(lambda: columns(one, "c", 0))[:2] == (403, "OTSNotEnoughCapacityUnit")
        one.put_row("other", sdk.Row(pk("a", 0), [("n", 1)]))
        local.advance(1)
        assert columns(one, "c", 0) is None
    finally:
        local.run(lambda: setattr(store, "throughput", Throughput()))
