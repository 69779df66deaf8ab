"""The state store while calls are lost, refused, split, locked or answered in small pages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from emulator.cloud import Cloud
from emulator.faults.fault import Fault
from emulator.testing import Local, mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.ots import OtsStore
from shared.domain.errors import Conflict, OutcomeUnknown, Retryable
from shared.ports.store import Absent, Anything, Matches, Row, Store
from shared.ports.store import Write as Put
from tests.contract.faults import TABLESTORE, Mishap, Read, Write, hold_read, hold_write, with_faults
from understudy.simulation.store import InProcessStore, create_tables

SCHEMA = {"leases": ("pair",), "slots": ("subject", "due")}
_numbers = count()


@dataclass(slots=True, kw_only=True)
class Door:
    store: Store
    hasty: Store | None  # the same, for answers that do not come
    cloud: Cloud
    run: Callable[[Callable[[], Any]], Any]
    advance: Callable[[float], None] = field(default=lambda _: None)

    @contextmanager
    def briefly(self) -> Iterator[None]:
        patient = self.store
        self.store = self.hasty or patient
        try:
            yield
        finally:
            self.store = patient


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun(ots_instance="t0") as running:
        yield running


@pytest.fixture(params=["http", "in process"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    instance = f"f{next(_numbers)}"
    if request.param == "in process":
        cloud = Cloud()
        cloud.ots_instances.add(instance)
        create_tables(cloud, instance, SCHEMA)
        yield Door(
            store=InProcessStore(cloud, instance, schema=SCHEMA),
            hasty=None,
            cloud=cloud,
            run=lambda fn: fn(),
            advance=lambda seconds: cloud.clock.advance(timedelta(seconds=seconds)),
        )
        return
    local: Local = request.getfixturevalue("local")
    local.run(lambda: local.cloud.ots_instances.add(instance))
    local.run(lambda: create_tables(local.cloud, instance, SCHEMA))
    key = Credentials(*local.access_key)

    def store(**options: Any) -> OtsStore:
        return OtsStore(endpoint=local.url, instance=instance, credentials=lambda: key, schema=SCHEMA, **options)

    patient, hasty = store(), store(timeout=timedelta(seconds=0.3))
    yield Door(store=patient, hasty=hasty, cloud=local.cloud, run=local.run, advance=local.advance)
    patient.close()
    hasty.close()
    local.run(local.cloud.faults.clear)


def row(*key: str, **columns: Any) -> Row:
    return Row(key=key, columns=columns)


def found(door: Door, key: str) -> Row | None:
    return door.store.get("leases", (key,))


@pytest.mark.parametrize("mishap", TABLESTORE, ids=str)
def test_a_write_that_goes_wrong_is_cleared_up_by_the_token_in_its_row(door: Door, mishap: Mishap) -> None:
    door.store.put("leases", row("b", n=1, owner="h"), condition=Absent())
    door.store.put("leases", row("c", n=1), condition=Absent())
    for write in (
        Write(
            action="PutRow",
            send=lambda: door.store.put("leases", row("a", token="t"), condition=Anything()),
            done=lambda: found(door, "a") == row("a", token="t"),
        ),
        Write(
            action="UpdateRow",
            send=lambda: door.store.update("leases", row("b", n=2), condition=Anything()),
            done=lambda: found(door, "b") == row("b", n=2, owner="h"),
        ),
        Write(
            action="DeleteRow",
            send=lambda: door.store.delete("leases", ("c",), condition=Anything()),
            done=lambda: found(door, "c") is None,
        ),
        Write(
            action="BatchWriteRow",
            send=lambda: door.store.put_many([Put(table="slots", row=row("i", str(n))) for n in range(3)]),
            done=lambda: len(list(door.store.scan("slots", ("i",)))) == 3,
        ),
    ):
        hold_write(door.cloud, door.run, "ots", write, mishap, briefly=door.briefly)


@pytest.mark.parametrize("mishap", [m for m in TABLESTORE if m.applied], ids=str)
def test_a_conditional_write_whose_answer_was_lost_meets_itself(door: Door, mishap: Mishap) -> None:
    """Sent again its condition fails: without looking at the row, one would take oneself for somebody else."""
    fault = mishap.fault("ots", "PutRow")
    with with_faults(door.cloud, door.run, fault, briefly=door.briefly), pytest.raises(OutcomeUnknown):
        door.store.put("leases", row("a", owner="me", token="t"), condition=Absent())
    with pytest.raises(Conflict):
        door.store.put("leases", row("a", owner="me", token="t"), condition=Absent())
    assert found(door, "a") == row("a", owner="me", token="t")


def test_the_answer_that_a_condition_failed_can_be_lost_as_well(door: Door) -> None:
    door.store.put("leases", row("a", owner="other"), condition=Absent())
    lost = Fault(kind="timeout_after", action="PutRow")
    with with_faults(door.cloud, door.run, lost, briefly=door.briefly), pytest.raises(OutcomeUnknown):
        door.store.put("leases", row("a", owner="me"), condition=Absent())
    assert found(door, "a") == row("a", owner="other")


@pytest.mark.parametrize("mishap", TABLESTORE, ids=str)
def test_a_read_that_goes_wrong_is_not_an_absent_row(door: Door, mishap: Mishap) -> None:
    door.store.put("slots", row("i", "1", n=1), condition=Absent())
    for read in (
        Read(action="GetRow", ask=lambda: door.store.get("slots", ("i", "1"))),
        Read(action="GetRow", ask=lambda: door.store.get("slots", ("i", "2"))),
        Read(action="GetRange", ask=lambda: list(door.store.scan("slots", ("i",)))),
        Read(action="GetRange", ask=lambda: list(door.store.scan("slots", (), backward=True, limit=1))),
    ):
        hold_read(door.cloud, door.run, "ots", read, mishap, briefly=door.briefly)


def test_a_scan_that_breaks_off_half_way_says_so(door: Door) -> None:
    door.store.put_many([Put(table="slots", row=row("i", f"{n}")) for n in range(6)])
    short, broken = Fault(kind="short_page", rows=2), Fault(kind="reset_before", action="GetRange", skip=1)
    with with_faults(door.cloud, door.run, short, broken):
        scan = door.store.scan("slots", ("i",))
        assert [next(scan).key[1] for _ in range(2)] == ["0", "1"]
        with pytest.raises(Retryable):
            next(scan)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("limit", [None, 1, 5])
def test_a_scan_is_whole_over_short_and_empty_pages(door: Door, backward: bool, limit: int | None) -> None:
    wanted = [("i", f"{n:02}") for n in range(11)]
    door.store.put_many([Put(table="slots", row=Row(key=key)) for key in wanted])
    faults = (Fault(kind="short_page", rows=2), Fault(kind="empty_page", probability=0.5))
    with with_faults(door.cloud, door.run, *faults):
        met = [r.key for r in door.store.scan("slots", ("i",), backward=backward, limit=limit)]
        rest = [r.key for r in door.store.scan("slots", (), after=wanted[5], backward=backward, limit=limit)]
    order = wanted[::-1] if backward else wanted
    assert met == order[:limit]
    assert rest == order[order.index(wanted[5]) + 1 :][:limit]


def test_rows_of_a_batch_that_failed_are_known_to_have_failed(door: Door) -> None:
    puts = [Put(table="slots", row=row("i", str(n))) for n in range(5)]
    failing = Fault(kind="row_errors", rows=2, code="OTSRowOperationConflict", calls=None)
    with with_faults(door.cloud, door.run, failing), pytest.raises(Retryable):
        door.store.put_many(puts)
    door.store.put_many(puts)
    assert len(list(door.store.scan("slots", ("i",)))) == 5


def test_a_splitting_partition_is_worth_trying_later(door: Door) -> None:
    door.store.put("leases", row("a", n=1), condition=Absent())
    with with_faults(door.cloud, door.run, Fault(kind="split", table="leases", seconds=2)):
        with pytest.raises(Retryable):
            door.store.update("leases", row("a", n=2), condition=Matches({"n": 1}))
        with pytest.raises(Retryable):
            found(door, "a")
        door.advance(2)
        assert found(door, "a") == row("a", n=1)


def test_a_lock_that_was_left_behind_wrote_nothing_and_goes_away(door: Door) -> None:
    with with_faults(door.cloud, door.run, Fault(kind="lock", action="PutRow", seconds=60)):
        door.store.put("leases", row("a", n=1), condition=Absent())
    with pytest.raises(Retryable):
        door.store.update("leases", row("a", n=2), condition=Matches({"n": 1}))
    assert found(door, "a") == row("a", n=1)
    door.advance(60)
    door.store.update("leases", row("a", n=2), condition=Matches({"n": 1}))


def test_a_slow_store_answers_rightly(door: Door) -> None:
    with with_faults(door.cloud, door.run, Fault(kind="slow", action="PutRow", seconds=40)):
        door.store.put("leases", row("a", n=1), condition=Absent())
    assert found(door, "a") == row("a", n=1)


def test_the_store_goes_with_its_region(door: Door) -> None:
    outage = Fault(kind="region_outage", region="cn-hangzhou")
    with with_faults(door.cloud, door.run, outage, briefly=door.briefly):
        with pytest.raises(Retryable):
            found(door, "a")
        with pytest.raises(OutcomeUnknown):
            door.store.put("leases", row("a", n=1), condition=Absent())
    assert found(door, "a") is None
