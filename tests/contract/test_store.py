"""The state store's contract, on both doors: the official SDK over HTTP, and straight onto the model."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.cloud import Cloud
from emulator.faults.fault import Fault
from emulator.tablestore.errors import Dropped, OtsError, internal, row_conflict, server_busy, timeout
from emulator.testing import Local, mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.ots import OtsStore
from shared.domain.errors import (
    BadInput,
    Conflict,
    NotFound,
    OutcomeUnknown,
    Permanent,
    Retryable,
)
from shared.ports.store import Absent, Anything, Matches, Row, Store, Value, Write
from understudy.simulation.store import InProcessStore, create_tables

SCHEMA = {"leases": ("pair",), "slots": ("subject", "due")}
IN_SCHEMA_ONLY = {**SCHEMA, "forgotten": ("name",)}
_numbers = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    store: Store
    cloud: Cloud
    on_owner: Callable[[Callable[[], Any]], Any]  # run on the thread that owns the model
    at_once: Callable[[list[Callable[[], Any]]], list[Any]]

    @contextmanager
    def failing(self, operation: str, moment: str, error: Exception, *, times: int = 1) -> Iterator[None]:
        left = times

        def fault(seen: str, _table: str, at: str) -> None:
            nonlocal left
            if seen == operation and at == moment and left > 0:
                left -= 1
                raise error

        faults = self.cloud.tablestore.faults
        self.on_owner(lambda: faults.append(fault))
        try:
            yield
        finally:
            self.on_owner(faults.clear)


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun(ots_instance="t0") as running:
        yield running


def over_http(local: Local, instance: str, **options: Any) -> OtsStore:
    key = Credentials(*local.access_key)
    defaults = {"endpoint": local.url, "instance": instance, "credentials": lambda: key, "schema": IN_SCHEMA_ONLY}
    return OtsStore(**{**defaults, **options})


SMALL_PAGES = (Fault(kind="short_page", rows=50), Fault(kind="empty_page", probability=0.3))
"""What no adapter may notice: every scan is as whole as ever."""


@pytest.fixture(params=["http", "http with small pages", "in process", "in process with small pages"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    instance = f"t{next(_numbers) + 1}"
    if request.param.startswith("http"):
        local: Local = request.getfixturevalue("local")
        local.run(lambda: local.cloud.ots_instances.add(instance))
        local.run(lambda: create_tables(local.cloud, instance, SCHEMA))
        store = over_http(local, instance)
        if "small pages" in request.param:
            local.run(lambda: local.cloud.faults.add_all(SMALL_PAGES))
        yield Door(store=store, cloud=local.cloud, on_owner=local.run, at_once=in_threads)
        local.run(local.cloud.faults.clear)
        store.close()
    else:
        cloud = Cloud()
        cloud.ots_instances.add(instance)
        create_tables(cloud, instance, SCHEMA)
        if "small pages" in request.param:
            cloud.faults.add_all(SMALL_PAGES)
        yield Door(
            store=InProcessStore(cloud, instance, schema=IN_SCHEMA_ONLY),
            cloud=cloud,
            on_owner=lambda fn: fn(),
            at_once=lambda calls: [call() for call in calls],
        )


def in_threads(calls: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def row(*key: str, **columns: Value) -> Row:
    return Row(key=key, columns=columns)


def keys(rows: Iterator[Row]) -> list[tuple[str, ...]]:
    return [r.key for r in rows]


# -- conditions


def test_a_row_that_must_be_absent_is_written_once(door: Door) -> None:
    door.store.put("leases", row("a", owner="first"), condition=Absent())

    with pytest.raises(Conflict, match=r"PutRow leases .*Condition check failed"):
        door.store.put("leases", row("a", owner="second"), condition=Absent())

    assert door.store.get("leases", ("a",)) == row("a", owner="first")


def test_a_write_whose_columns_do_not_match_changes_nothing(door: Door) -> None:
    door.store.put("leases", row("a", version=1, owner="h"), condition=Anything())

    mismatches: tuple[dict[str, Value], ...] = (
        {"version": 2},
        {"version": 1, "owner": "i"},
        {"missing": 1},
        {"version": "1"},
        {"owner": 1},
    )
    for wrong in mismatches:
        with pytest.raises(Conflict):
            door.store.update("leases", row("a", version=9), condition=Matches(wrong))
        with pytest.raises(Conflict):
            door.store.put("leases", row("a", version=9), condition=Matches(wrong))
        with pytest.raises(Conflict):
            door.store.delete("leases", ("a",), condition=Matches(wrong))

    assert door.store.get("leases", ("a",)) == row("a", version=1, owner="h")


def test_nothing_matches_a_row_that_is_not_there(door: Door) -> None:
    for condition in (Matches({}), Matches({"version": 1})):
        with pytest.raises(Conflict):
            door.store.update("leases", row("a", version=2), condition=condition)
        with pytest.raises(Conflict):
            door.store.delete("leases", ("a",), condition=condition)
    assert door.store.get("leases", ("a",)) is None


def test_put_replaces_the_whole_row_and_update_keeps_the_rest(door: Door) -> None:
    door.store.put("leases", row("a", version=1, owner="h"), condition=Absent())

    door.store.update("leases", row("a", version=2), condition=Matches({"version": 1, "owner": "h"}))
    assert door.store.get("leases", ("a",)) == row("a", version=2, owner="h")

    door.store.put("leases", row("a", version=3), condition=Matches({}))
    assert door.store.get("leases", ("a",)) == row("a", version=3)


def test_update_under_anything_creates_the_row_and_under_absent_only_then(door: Door) -> None:
    door.store.update("leases", row("a", version=1), condition=Anything())
    with pytest.raises(Conflict):
        door.store.update("leases", row("a", version=2), condition=Absent())
    assert door.store.get("leases", ("a",)) == row("a", version=1)


def test_deleting_a_row_that_is_gone_succeeds_without_a_condition(door: Door) -> None:
    door.store.put("leases", row("a", version=1), condition=Absent())
    door.store.delete("leases", ("a",), condition=Matches({"version": 1}))
    door.store.delete("leases", ("a",), condition=Anything())
    assert door.store.get("leases", ("a",)) is None


def test_a_row_of_its_key_alone_can_be_written_read_and_scanned(door: Door) -> None:
    door.store.put("slots", row("i", "1"), condition=Absent())
    door.store.update("slots", row("i", "2"), condition=Anything())
    door.store.put_many([Write(table="slots", row=row("i", "3"))])

    assert door.store.get("slots", ("i", "1")) == row("i", "1")
    assert list(door.store.scan("slots", ("i",))) == [row("i", "1"), row("i", "2"), row("i", "3")]


def test_of_many_racing_for_each_version_exactly_one_wins(door: Door) -> None:
    door.store.put("leases", row("a", version=0, owner=""), condition=Absent())
    wins: list[tuple[int, str]] = []

    def contender(name: str) -> Callable[[], None]:
        def race() -> None:
            for _ in range(12):
                seen = door.store.get("leases", ("a",))
                assert seen is not None
                version = seen.columns["version"]
                assert isinstance(version, int)
                try:
                    taken = row("a", version=version + 1, owner=name)
                    door.store.update("leases", taken, condition=Matches({"version": version}))
                except Conflict:
                    continue
                wins.append((version + 1, name))

        return race

    door.at_once([contender(f"c{i}") for i in range(8)])

    versions = [version for version, _ in wins]
    assert sorted(versions) == list(range(1, len(versions) + 1))
    last = door.store.get("leases", ("a",))
    assert last == row("a", version=max(versions), owner=dict(wins)[max(versions)])


# -- values


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text",
        "zürich 杭州 \U0001f680",
        "a\0b",
        0,
        -(1 << 63),
        (1 << 63) - 1,
        True,
        False,
        0.0,
        -1.5,
        1e308,
        "x" * 100_000,
    ],
    ids=lambda v: repr(v)[:20],
)
def test_each_value_comes_back_as_it_was_with_its_type(door: Door, value: Value) -> None:
    door.store.put("leases", row("a", value=value), condition=Absent())

    found = door.store.get("leases", ("a",))

    assert found is not None
    assert found.columns == {"value": value}
    assert type(found.columns["value"]) is type(value)
    door.store.update("leases", row("a", more=1), condition=Matches({"value": value}))


@pytest.mark.parametrize("key", ["", "ü", "a/b c", "\U0001f680", "k" * 1024], ids=lambda k: repr(k)[:20])
def test_any_text_up_to_a_kilobyte_can_be_a_key(door: Door, key: str) -> None:
    door.store.put("slots", row(key, key, n=1), condition=Absent())
    assert door.store.get("slots", (key, key)) == row(key, key, n=1)
    assert list(door.store.scan("slots", (key,))) == [row(key, key, n=1)]


@pytest.mark.parametrize("value", [None, b"bytes", [1], 1 << 63, float("nan"), float("inf"), "\ud800"], ids=repr)
def test_a_value_that_cannot_be_stored_is_bad_input_and_nothing_is_sent(door: Door, value: Any) -> None:
    with pytest.raises(BadInput, match="table leases, column value"):
        door.store.put("leases", row("a", value=value), condition=Anything())
    with pytest.raises(BadInput, match="table leases, column value"):
        door.store.put_many([Write(table="leases", row=row("b")), Write(table="leases", row=row("a", value=value))])
    with pytest.raises(BadInput):
        door.store.update("leases", row("a", n=1), condition=Matches({"value": value}))
    assert list(door.store.scan("leases", ())) == []


def test_keys_that_do_not_fit_the_table_are_bad_input(door: Door) -> None:
    number: Any = 5
    for key in ((), ("a", "b"), (number,)):
        with pytest.raises(BadInput, match="table leases"):
            door.store.get("leases", key)
    with pytest.raises(BadInput):
        door.store.scan("slots", ("a", "b", "c"))
    with pytest.raises(BadInput):
        door.store.scan("slots", ("a",), after=("a",))
    with pytest.raises(BadInput):
        door.store.scan("slots", ("a",), until=("a",))
    with pytest.raises(BadInput, match="not in the schema"):
        door.store.get("nowhere", ("a",))


def test_what_is_too_big_is_refused_for_good(door: Door) -> None:
    with pytest.raises(Permanent, match="MaxLength"):
        door.store.put("leases", row("a", value="x" * (2 * 1024 * 1024 + 1)), condition=Anything())
    with pytest.raises(Permanent, match="MaxLength"):
        door.store.put("leases", row("k" * 1025, n=1), condition=Anything())
    with pytest.raises(BadInput, match="at most 10"):
        door.store.update("leases", row("a", n=1), condition=Matches({f"c{i}": i for i in range(11)}))


def test_the_reserved_column_is_refused(door: Door) -> None:
    with pytest.raises(BadInput, match="reserved"):
        door.store.put("leases", row("a", _row=1), condition=Anything())


# -- many


def test_many_rows_are_put_in_chunks_over_several_tables(door: Door) -> None:
    writes = [Write(table="slots", row=row("i", f"{n:04}", n=n)) for n in range(450)]
    writes += [Write(table="leases", row=row(f"{n:04}", n=n)) for n in range(30)]

    door.store.put_many(writes)

    assert [r.columns["n"] for r in door.store.scan("slots", ("i",))] == list(range(450))
    assert [r.columns["n"] for r in door.store.scan("leases", ())] == list(range(30))
    door.store.put_many([])


def test_large_rows_are_split_over_calls_before_the_service_refuses_them(door: Door) -> None:
    text = "y" * 900_000
    door.store.put_many([Write(table="leases", row=row(f"{n}", text=text)) for n in range(9)])
    assert len(list(door.store.scan("leases", ()))) == 9


def test_the_last_of_two_puts_of_one_row_stands(door: Door) -> None:
    door.store.put_many([Write(table="leases", row=row("a", n=n)) for n in range(3)])
    assert door.store.get("leases", ("a",)) == row("a", n=2)


def test_many_rows_are_deleted_at_once_and_those_that_are_not_there_are_passed_over(door: Door) -> None:
    door.store.put_many([Write(table="slots", row=row("i", f"{n:04}", n=n)) for n in range(450)])

    door.store.delete_many("slots", [("i", f"{n:04}") for n in (*range(3, 450), 3, 9_999)])
    door.store.delete_many("slots", [])

    assert keys(door.store.scan("slots", ())) == [("i", f"{n:04}") for n in range(3)]
    with pytest.raises(BadInput):
        door.store.delete_many("slots", [("i", "0000"), ("i",)])
    assert len(keys(door.store.scan("slots", ()))) == 3


# -- scans

ALPHABET = st.text(alphabet="ab\0ü\U0001f680", max_size=3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stored=st.sets(st.tuples(ALPHABET, ALPHABET), max_size=12),
    prefix=st.one_of(st.just(()), st.tuples(ALPHABET), st.tuples(ALPHABET, ALPHABET)),
    after=st.one_of(st.none(), st.tuples(ALPHABET, ALPHABET)),
    until=st.one_of(st.none(), st.tuples(ALPHABET, ALPHABET)),
    backward=st.booleans(),
    limit=st.one_of(st.none(), st.integers(min_value=1, max_value=4)),
)
def test_a_scan_is_a_slice_of_the_sorted_keys(
    door: Door,
    stored: set[tuple[str, str]],
    prefix: tuple[str, ...],
    after: tuple[str, str] | None,
    until: tuple[str, str] | None,
    backward: bool,
    limit: int | None,
) -> None:
    for old in list(door.store.scan("slots", ())):
        door.store.delete("slots", old.key, condition=Anything())
    door.store.put_many([Write(table="slots", row=row(*key, n=1)) for key in stored])

    found = keys(door.store.scan("slots", prefix, after=after, until=until, backward=backward, limit=limit))

    def utf8(key: tuple[str, ...]) -> tuple[bytes, ...]:
        return tuple(part.encode() for part in key)

    wanted: list[tuple[str, ...]] = sorted(stored, key=utf8, reverse=backward)
    wanted = [k for k in wanted if k[: len(prefix)] == prefix]
    if after is not None:
        edge = utf8(after)
        wanted = [k for k in wanted if (utf8(k) < edge if backward else utf8(k) > edge)]
    if until is not None:
        end = utf8(until)
        wanted = [k for k in wanted if (utf8(k) > end if backward else utf8(k) < end)]
    assert found == wanted[:limit]


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("backward", [False, True])
def test_paging_with_after_meets_every_row_once(door: Door, size: int, backward: bool) -> None:
    wanted: list[tuple[str, ...]] = [("i", f"{n:02}") for n in range(20)]
    door.store.put_many([Write(table="slots", row=Row(key=key)) for key in (*wanted, ("h", "99"), ("j", "00"))])

    met: list[tuple[str, ...]] = []
    while page := keys(door.store.scan("slots", ("i",), after=met[-1] if met else None, backward=backward, limit=size)):
        assert len(page) <= size
        met += page

    assert met == (wanted[::-1] if backward else wanted)


@pytest.mark.parametrize("backward", [False, True])
def test_a_scan_streams_over_the_services_page_limit(door: Door, backward: bool) -> None:
    wanted: list[tuple[str, ...]] = [("i", f"{n:05}") for n in range(5203)]
    door.store.put_many([Write(table="slots", row=Row(key=key)) for key in wanted])

    assert keys(door.store.scan("slots", ("i",), backward=backward)) == (wanted[::-1] if backward else wanted)
    assert len(keys(door.store.scan("slots", (), backward=backward, limit=5100))) == 5100


# -- what goes wrong


def test_a_table_that_was_never_made_is_named_with_the_remedy(door: Door) -> None:
    store = door.store
    calls: list[Callable[[], object]] = [
        lambda: store.get("forgotten", ("a",)),
        lambda: list(store.scan("forgotten", ())),
        lambda: store.put("forgotten", row("a", n=1), condition=Absent()),
        lambda: store.update("forgotten", row("a", n=1), condition=Anything()),
        lambda: store.delete("forgotten", ("a",), condition=Anything()),
        lambda: store.put_many([Write(table="forgotten", row=row("a", n=1))]),
    ]
    for call in calls:
        with pytest.raises(NotFound, match=r"forgotten .*understudy apply"):
            call()


@pytest.mark.parametrize("error", [Dropped(), timeout(), internal(), OtsError(502, "", "")], ids=repr)
def test_a_write_without_a_trustworthy_answer_has_an_unknown_outcome(door: Door, error: Exception) -> None:
    writes: dict[str, Callable[[], None]] = {
        "PutRow": lambda: door.store.put("leases", row("a", n=1), condition=Anything()),
        "UpdateRow": lambda: door.store.update("leases", row("a", n=1), condition=Anything()),
        "BatchWriteRow": lambda: door.store.put_many([Write(table="leases", row=row("a", n=1))]),
    }
    for operation, write in writes.items():
        with door.failing(operation, "before", error), pytest.raises(OutcomeUnknown):
            write()
        assert door.store.get("leases", ("a",)) is None

        with door.failing(operation, "after", error), pytest.raises(OutcomeUnknown):
            write()
        assert door.store.get("leases", ("a",)) == row("a", n=1)
        with door.failing("DeleteRow", "after", error), pytest.raises(OutcomeUnknown):
            door.store.delete("leases", ("a",), condition=Anything())
        assert door.store.get("leases", ("a",)) is None


@pytest.mark.parametrize("error", [Dropped(), timeout(), internal()], ids=repr)
def test_a_read_without_an_answer_can_be_tried_again(door: Door, error: Exception) -> None:
    door.store.put("slots", row("i", "1", n=1), condition=Absent())
    with door.failing("GetRow", "before", error), pytest.raises(Retryable):
        door.store.get("slots", ("i", "1"))
    with door.failing("GetRange", "after", error), pytest.raises(Retryable):
        list(door.store.scan("slots", ("i",)))


def test_a_service_that_stays_busy_is_worth_trying_later_and_wrote_nothing(door: Door) -> None:
    for error in (server_busy(), row_conflict()):
        with door.failing("PutRow", "before", error, times=100), pytest.raises(Retryable):
            door.store.put("leases", row("a", n=1), condition=Absent())
        with door.failing("BatchWriteRow", "before", error, times=100), pytest.raises(Retryable):
            door.store.put_many([Write(table="leases", row=row("a", n=1))])
        assert door.store.get("leases", ("a",)) is None
