"""The middleware name's contract, on both doors: the official SDK over HTTP, and straight onto the model."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from emulator.cloud import Cloud
from emulator.faults.fault import Fault
from emulator.testing import mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.pvtz import PvtzNames
from shared.adapters.sdk import Endpoint
from shared.domain.errors import DrError, Forbidden, NotFound, OutcomeUnknown, Permanent, Retryable
from shared.ports.names import NameRecord, Names
from tests.contract.faults import RPC, Mishap, Read, Write, hold_read, hold_write, with_faults
from understudy.simulation.names import InProcessNames

ZONE, HOST = "corp.example", "master"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    names: Names
    cloud: Cloud
    run: Callable[[Callable[[], Any]], Any]

    def record(self) -> NameRecord:
        [record] = self.names.records(zone=ZONE, host=HOST, type="A")
        return record


@pytest.fixture(params=["sdk", "in process"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    if request.param == "in process":
        cloud = Cloud()
        names: Names = InProcessNames(cloud)
        furnish(cloud)
        yield Door(names=names, cloud=cloud, run=lambda fn: fn())
        return
    with mock_aliyun() as local:
        local.run(lambda: furnish(local.cloud))
        key = Credentials(*local.access_key)
        names = PvtzNames(endpoint=Endpoint("cn-hangzhou", local.url), credentials=lambda: key)
        yield Door(names=names, cloud=local.cloud, run=local.run)


def furnish(cloud: Cloud) -> None:
    zone = cloud.pvtz.add_zone(ZONE, id="z-corp")
    cloud.pvtz.add_record(zone.id, rr=HOST, type="A", value="127.77.1.21", ttl=5, weight=7, remark="epoch=1")


def test_a_zone_that_does_not_exist_is_not_found(door: Door) -> None:
    with pytest.raises(NotFound):
        door.names.records(zone="nowhere.example", host=HOST, type="A")


def test_two_zones_of_one_name_are_for_an_operator_to_sort_out(door: Door) -> None:
    door.run(lambda: door.cloud.pvtz.add_zone(ZONE, id="z-other"))
    with pytest.raises(Permanent, match="2 private zones"):
        door.names.records(zone=ZONE, host=HOST, type="A")


def test_rebinding_a_record_that_is_gone_is_not_found(door: Door) -> None:
    record = door.record()
    door.run(lambda: door.cloud.pvtz.delete_record(int(record.record_id)))
    with pytest.raises(NotFound):
        door.names.rebind(record, value="127.77.2.21")
    with pytest.raises(NotFound):
        door.names.remark(record, text="epoch=2")


def test_a_value_that_is_no_address_is_refused_and_nothing_changes(door: Door) -> None:
    record = door.record()
    with pytest.raises(Permanent):
        door.names.rebind(record, value="not an address")
    assert door.record() == record


def test_a_record_reads_as_it_stands(door: Door) -> None:
    record = door.record()
    assert record == NameRecord(
        record_id=record.record_id,
        zone=ZONE,
        host=HOST,
        type="A",
        value="127.77.1.21",
        ttl_seconds=5,
        enabled=True,
        remark="epoch=1",
    )


def test_no_record_and_two_records_are_answers(door: Door) -> None:
    assert door.names.records(zone=ZONE, host="nobody", type="A") == ()
    assert door.names.records(zone=ZONE, host=HOST, type="CNAME") == ()
    second = door.run(lambda: door.cloud.pvtz.add_record("z-corp", rr="MASTER", type="A", value="127.77.2.21", ttl=60))
    door.run(lambda: door.cloud.pvtz.set_status(second.id, "DISABLE"))
    found = door.names.records(zone=ZONE, host=HOST, type="A")
    assert [(r.value, r.ttl_seconds, r.enabled) for r in found] == [
        ("127.77.1.21", 5, True),
        ("127.77.2.21", 60, False),
    ]


def test_names_that_merely_contain_the_host_are_others(door: Door) -> None:
    door.run(lambda: door.cloud.pvtz.add_record("z-corp", rr="master2", type="A", value="127.77.2.21"))
    assert len(door.names.records(zone=ZONE, host=HOST, type="A")) == 1


def test_a_listing_of_many_pages_is_whole(door: Door) -> None:
    def many() -> None:
        for n in range(230):
            door.cloud.pvtz.add_record("z-corp", rr="pool", type="A", value=f"127.77.{n // 200 + 3}.{n % 200 + 1}")

    door.run(many)
    assert len({r.record_id for r in door.names.records(zone=ZONE, host="pool", type="A")}) == 230


def test_a_rebind_changes_the_value_and_keeps_everything_else(door: Door) -> None:
    record = door.record()
    door.names.rebind(record, value="127.77.2.21")
    assert door.record() == replace(record, value="127.77.2.21")
    standing = door.run(lambda: door.cloud.pvtz.record(int(record.record_id)))
    assert (standing.weight, standing.line) == (7, "default")


def test_a_rebind_keeps_what_changed_unseen_since_a_fresh_start(door: Door) -> None:
    """A rebind of a record that this adapter has not listed itself reads the fields it does not carry."""
    record = door.record()
    door.names.rebind(record, value="127.77.2.21")
    door.names.rebind(record, value="127.77.2.22")
    assert door.run(lambda: door.cloud.pvtz.record(int(record.record_id))).weight == 7


def test_rebinding_to_the_same_value_succeeds(door: Door) -> None:
    record = door.record()
    door.names.rebind(record, value=record.value)
    door.names.rebind(record, value=record.value)
    assert door.record() == record


def test_a_remark_is_set_beside_the_value_and_survives_a_rebind(door: Door) -> None:
    door.names.remark(door.record(), text="epoch=2")
    door.names.rebind(door.record(), value="127.77.2.21")
    assert (door.record().remark, door.record().value) == ("epoch=2", "127.77.2.21")


def test_the_last_writer_wins(door: Door) -> None:
    mine, theirs = door.record(), door.record()
    door.names.rebind(mine, value="127.77.2.21")
    door.names.rebind(theirs, value="127.77.1.21")
    assert door.record().value == "127.77.1.21"


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [("System.Busy", 400, Retryable), ("Throttling.User", 400, Retryable), ("Forbidden.RAM", 403, Forbidden)],
)
def test_a_refusal_comes_out_in_our_words(door: Door, code: str, status: int, error: type[DrError]) -> None:
    record = door.record()
    refuse = Fault(kind="error", action="UpdateZoneRecord", code=code, status=status)
    with with_faults(door.cloud, door.run, refuse), pytest.raises(error):
        door.names.rebind(record, value="127.77.2.21")


def test_a_lost_reply_to_a_change_is_an_unknown_outcome_and_the_name_may_have_moved(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(door.names, InProcessNames):
        pytest.skip("no reply is lost between two Python objects")
    record, update = door.record(), door.cloud.pvtz.update_record

    def lost(*arguments: Any, **fields: Any) -> None:
        update(*arguments, **fields)
        raise RuntimeError("the answer is lost on its way")

    monkeypatch.setattr(door.cloud.pvtz, "update_record", lost)
    with pytest.raises(OutcomeUnknown):
        door.names.rebind(record, value="127.77.2.21")
    assert door.record().value == "127.77.2.21"


def test_a_dead_endpoint_is_retryable_to_read_and_unknown_to_change() -> None:
    names = PvtzNames(endpoint=Endpoint("cn-hangzhou", "http://127.0.0.1:9"), credentials=lambda: Credentials("a", "b"))
    with pytest.raises(Retryable):
        names.records(zone=ZONE, host=HOST, type="A")
    record = NameRecord(
        record_id="1", zone=ZONE, host=HOST, type="A", value="127.0.0.1", ttl_seconds=5, enabled=True, remark=""
    )
    with pytest.raises(OutcomeUnknown):
        names.remark(record, text="epoch=2")


# With faults on -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mishap", RPC, ids=str)
def test_a_change_that_goes_wrong_is_cleared_up_by_reading_the_record(door: Door, mishap: Mishap) -> None:
    record = door.record()
    for write in (
        Write(
            action="UpdateZoneRecord",
            send=lambda: door.names.rebind(record, value="127.77.2.21"),
            done=lambda: door.record().value == "127.77.2.21",
        ),
        Write(
            action="UpdateRecordRemark",
            send=lambda: door.names.remark(record, text="epoch=2"),
            done=lambda: door.record().remark == "epoch=2",
        ),
    ):
        hold_write(door.cloud, door.run, "pvtz", write, mishap)
    standing = door.run(lambda: door.cloud.pvtz.record(int(record.record_id)))
    assert (standing.ttl, standing.weight) == (5, 7)


@pytest.mark.parametrize("mishap", [m for m in RPC if not m.applied], ids=str)
def test_a_name_that_cannot_be_read_is_not_a_name_without_records(door: Door, mishap: Mishap) -> None:
    ask = Read(action="DescribeZone*", ask=lambda: door.names.records(zone=ZONE, host=HOST, type="A"))
    hold_read(door.cloud, door.run, "pvtz", ask, mishap)


def test_what_was_just_rebound_may_still_read_as_before(door: Door) -> None:
    record = door.record()
    with with_faults(door.cloud, door.run, Fault(kind="stale_read", action="DescribeZoneRecords")):
        assert door.record() == record
        door.names.rebind(record, value="127.77.2.21")
        assert door.record() == record
        assert door.record().value == "127.77.2.21"


def test_the_loss_of_a_region_does_not_touch_names(door: Door) -> None:
    with with_faults(door.cloud, door.run, Fault(kind="region_outage", region="cn-hangzhou")):
        door.names.rebind(door.record(), value="127.77.2.21")
        assert door.record().value == "127.77.2.21"
