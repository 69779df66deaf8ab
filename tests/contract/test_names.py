"""The names' contract, of private and of public ones, on both doors: the official SDKs over HTTP, and straight onto the
models."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from emulator.alidns.editions import EDITIONS
from emulator.cloud import Cloud
from emulator.faults.fault import Fault
from emulator.testing import mock_aliyun
from shared.adapters.alidns import AlidnsNames
from shared.adapters.credentials import Credentials
from shared.adapters.pvtz import PvtzNames
from shared.adapters.sdk import Endpoint
from shared.domain.errors import DrError, Forbidden, NotFound, OutcomeUnknown, Permanent, QuotaReached, Retryable
from shared.ports.names import NameRecord, Names
from tests.contract.faults import RPC, Mishap, Read, Write, hold_read, hold_write, with_faults
from understudy.simulation.names import InProcessNames
from understudy.simulation.public_names import InProcessPublicNames

ZONE, HOST = "corp.example", "master"


class Private:
    """PrivateZone, as somebody with its console sees it."""

    service = "pvtz"
    update, set_remark, listing = "UpdateZoneRecord", "UpdateRecordRemark", "DescribeZoneRecords"
    reads = "DescribeZone*"
    busy = "System.Busy"
    ttls = (60, 5)

    def furnish(self, cloud: Cloud) -> None:
        zone = cloud.pvtz.add_zone(ZONE, id="z-corp")
        cloud.pvtz.add_record(zone.id, rr=HOST, type="A", value="127.77.1.21", ttl=5, weight=7, remark="epoch=1")

    def add(self, cloud: Cloud, **record: Any) -> str:
        return str(cloud.pvtz.add_record("z-corp", **record).id)

    def delete(self, cloud: Cloud, id: str) -> None:
        cloud.pvtz.delete_record(int(id))

    def disable(self, cloud: Cloud, id: str) -> None:
        cloud.pvtz.set_status(int(id), "DISABLE")

    def standing(self, cloud: Cloud, id: str) -> tuple[int, int, str]:
        record = cloud.pvtz.record(int(id))
        return record.ttl, record.weight, record.line


class Public:
    """Alibaba Cloud DNS, the same. The domain's edition is one that allows short times to live."""

    service = "alidns"
    update, set_remark, listing = "UpdateDomainRecord", "UpdateDomainRecordRemark", "DescribeDomainRecords"
    reads = "DescribeDomainRecords"
    busy = "LastOperationNotFinished"
    ttls = (120, 1)

    def furnish(self, cloud: Cloud) -> None:
        domain = cloud.alidns.add_domain(ZONE, edition=EDITIONS["version_enterprise_advanced"])
        made = self.add(cloud, rr=HOST, type="A", value="127.77.1.21", ttl=5)
        cloud.alidns.open_weights(domain, HOST, "A", True)
        cloud.alidns.set_weight(made, 7)
        cloud.alidns.set_remark(made, "epoch=1")

    def add(self, cloud: Cloud, **record: Any) -> str:
        return cloud.alidns.add_record(ZONE, **record).id

    def delete(self, cloud: Cloud, id: str) -> None:
        cloud.alidns.delete_record(id)

    def disable(self, cloud: Cloud, id: str) -> None:
        cloud.alidns.set_status(id, "Disable")

    def standing(self, cloud: Cloud, id: str) -> tuple[int, int, str]:
        record = cloud.alidns.record(id)
        return record.ttl, record.weight, record.line


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    names: Names
    cloud: Cloud
    run: Callable[[Callable[[], Any]], Any]
    console: Private | Public

    def record(self) -> NameRecord:
        [record] = self.names.records(zone=ZONE, host=HOST, type="A")
        return record

    def add(self, **record: Any) -> str:
        return str(self.run(lambda: self.console.add(self.cloud, **record)))

    def standing(self, record: NameRecord) -> Any:
        """TTL, weight and line."""
        return self.run(lambda: self.console.standing(self.cloud, record.record_id))


@pytest.fixture(
    params=[(kind, way) for kind in (Private, Public) for way in ("sdk", "in process")],
    ids=lambda p: f"{p[0].__name__.lower()}-{p[1]}",
)
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    kind, way = request.param
    console: Private | Public = kind()
    if way == "in process":
        cloud = Cloud()
        console.furnish(cloud)
        yield Door(names=straight(console, cloud), cloud=cloud, run=lambda fn: fn(), console=console)
        return
    with mock_aliyun() as local:
        local.run(lambda: console.furnish(local.cloud))
        key = Credentials(*local.access_key)
        yield Door(names=sdk(console, local.url, key), cloud=local.cloud, run=local.run, console=console)


def straight(console: Private | Public, cloud: Cloud) -> Names:
    return InProcessNames(cloud) if isinstance(console, Private) else InProcessPublicNames(cloud)


def sdk(console: Private | Public, url: str, key: Credentials) -> Names:
    make = PvtzNames if isinstance(console, Private) else AlidnsNames
    return make(endpoint=Endpoint("cn-hangzhou", url), credentials=lambda: key)


def test_a_zone_that_does_not_exist_is_not_found(door: Door) -> None:
    with pytest.raises(NotFound):
        door.names.records(zone="nowhere.example", host=HOST, type="A")


def test_two_zones_of_one_name_are_for_an_operator_to_sort_out(door: Door) -> None:
    if isinstance(door.console, Public):
        pytest.skip("a public domain is there once in the world")
    door.run(lambda: door.cloud.pvtz.add_zone(ZONE, id="z-other"))
    with pytest.raises(Permanent, match="2 private zones"):
        door.names.records(zone=ZONE, host=HOST, type="A")


def test_rebinding_a_record_that_is_gone_is_not_found(door: Door) -> None:
    record = door.record()
    door.run(lambda: door.console.delete(door.cloud, record.record_id))
    with pytest.raises(NotFound):
        door.names.rebind(record, value="127.77.2.21")
    with pytest.raises(NotFound):
        door.names.remark(record, text="epoch=2")
    with pytest.raises(NotFound):
        door.names.retime(record, ttl_seconds=60)


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
    second = door.add(rr="MASTER", type="A", value="127.77.2.21", ttl=60)
    door.run(lambda: door.console.disable(door.cloud, second))
    found = door.names.records(zone=ZONE, host=HOST, type="A")
    assert sorted((r.value, r.ttl_seconds, r.enabled) for r in found) == [
        ("127.77.1.21", 5, True),
        ("127.77.2.21", 60, False),
    ]


def test_names_that_merely_contain_the_host_are_others(door: Door) -> None:
    door.add(rr="master2", type="A", value="127.77.2.21")
    door.add(rr="other", type="CNAME", value="master")  # a value is no host
    assert len(door.names.records(zone=ZONE, host=HOST, type="A")) == 1


def test_a_listing_of_many_pages_is_whole(door: Door) -> None:
    def many() -> None:
        for n in range(530):
            address = {"type": "A", "value": f"127.77.{n // 200 + 3}.{n % 200 + 1}"}
            alias = {"type": "CNAME", "value": f"m{n}.corp.example"}  # of which a public name may have many
            door.console.add(door.cloud, rr="pool", **(alias if isinstance(door.console, Public) else address))

    door.run(many)
    assert len({r.record_id for r in door.names.records(zone=ZONE, host="pool")}) == 530


def test_a_listing_of_any_type_leaves_out_what_leads_nobody_anywhere(door: Door) -> None:
    door.add(rr=HOST, type="TXT", value="owner=control")
    door.add(rr=HOST, type="AAAA", value="fd00::1")
    assert sorted(r.type for r in door.names.records(zone=ZONE, host=HOST)) == ["A", "AAAA"]


def test_a_name_may_hold_another_name(door: Door) -> None:
    door.add(rr="alias", type="CNAME", value="hz-h.corp.example", ttl=5)
    [record] = door.names.records(zone=ZONE, host="alias")
    door.names.rebind(record, value="hz-i.corp.example")
    [now] = door.names.records(zone=ZONE, host="alias", type="CNAME")
    assert now == replace(record, value="hz-i.corp.example")
    door.names.rebind(now, value="hz-i.corp.example")


def test_a_rebind_changes_the_value_and_keeps_everything_else(door: Door) -> None:
    record = door.record()
    door.names.rebind(record, value="127.77.2.21")
    assert door.record() == replace(record, value="127.77.2.21")
    assert door.standing(record) == (5, 7, "default")


def test_a_rebind_keeps_what_changed_unseen_since_a_fresh_start(door: Door) -> None:
    """A rebind of a record that this adapter has not listed itself reads the fields it does not carry."""
    record = door.record()
    door.names.rebind(record, value="127.77.2.21")
    door.names.rebind(record, value="127.77.2.22")
    assert door.standing(record) == (5, 7, "default")


def test_rebinding_to_the_same_value_succeeds(door: Door) -> None:
    record = door.record()
    door.names.rebind(record, value=record.value)
    door.names.rebind(record, value=record.value)
    assert door.record() == record


def test_a_time_to_live_changes_alone(door: Door) -> None:
    record = door.record()
    for ttl in door.console.ttls:
        door.names.retime(door.record(), ttl_seconds=ttl)
        assert door.record() == replace(record, ttl_seconds=ttl)
        assert door.standing(record) == (ttl, 7, "default")
    door.names.retime(door.record(), ttl_seconds=ttl)
    assert door.record() == replace(record, ttl_seconds=ttl)


def test_a_time_to_live_that_the_service_does_not_take_is_refused(door: Door) -> None:
    record = door.record()
    with pytest.raises((Permanent, QuotaReached)):
        door.names.retime(record, ttl_seconds=1 if isinstance(door.console, Private) else 0)
    assert door.record() == record


def test_the_shortest_time_to_live_is_known(door: Door) -> None:
    assert door.names.least_ttl(zone=ZONE) == (5 if isinstance(door.console, Private) else 1)
    with pytest.raises(NotFound):
        door.names.least_ttl(zone="nowhere.example")
    if isinstance(door.console, Public):
        door.run(lambda: door.cloud.alidns.add_domain("poor.example"))
        assert door.names.least_ttl(zone="poor.example") == 600


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
    [("busy", 400, Retryable), ("Throttling.User", 400, Retryable), ("Forbidden.RAM", 403, Forbidden)],
)
def test_a_refusal_comes_out_in_our_words(door: Door, code: str, status: int, error: type[DrError]) -> None:
    record = door.record()
    code = door.console.busy if code == "busy" else code
    refuse = Fault(kind="error", action=door.console.update, code=code, status=status)
    with with_faults(door.cloud, door.run, refuse), pytest.raises(error):
        door.names.rebind(record, value="127.77.2.21")


def test_a_lost_reply_to_a_change_is_an_unknown_outcome_and_the_name_may_have_moved(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(door.names, InProcessNames | InProcessPublicNames):
        pytest.skip("no reply is lost between two Python objects")
    model: Any = door.cloud.pvtz if isinstance(door.console, Private) else door.cloud.alidns
    record, update = door.record(), model.update_record

    def lost(*arguments: Any, **fields: Any) -> None:
        update(*arguments, **fields)
        raise RuntimeError("the answer is lost on its way")

    monkeypatch.setattr(model, "update_record", lost)
    with pytest.raises(OutcomeUnknown):
        door.names.rebind(record, value="127.77.2.21")
    assert door.record().value == "127.77.2.21"


@pytest.mark.parametrize("console", [Private(), Public()], ids=["private", "public"])
def test_a_dead_endpoint_is_retryable_to_read_and_unknown_to_change(console: Private | Public) -> None:
    names = sdk(console, "http://127.0.0.1:9", Credentials("a", "b"))
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
            action=door.console.update,
            send=lambda: door.names.rebind(record, value="127.77.2.21"),
            done=lambda: door.record().value == "127.77.2.21",
        ),
        Write(
            action=door.console.set_remark,
            send=lambda: door.names.remark(record, text="epoch=2"),
            done=lambda: door.record().remark == "epoch=2",
        ),
    ):
        hold_write(door.cloud, door.run, door.console.service, write, mishap)
    assert door.standing(record) == (5, 7, "default")


@pytest.mark.parametrize("code", ["InternalError", "UnKnownError"])
def test_a_failure_inside_a_service_whose_errors_are_all_400_leaves_the_outcome_open(door: Door, code: str) -> None:
    if isinstance(door.console, Private):
        pytest.skip("PrivateZone says so by its status")
    record = door.record()
    broken = Fault(kind="error", service="alidns", action="*", code=code, status=400, calls=None)
    with with_faults(door.cloud, door.run, broken):
        with pytest.raises(OutcomeUnknown):
            door.names.rebind(record, value="127.77.2.21")
        with pytest.raises(Retryable):
            door.record()


def test_what_another_record_says_already_is_not_done_by_ours(door: Door) -> None:
    """Both services refuse a duplicate; only of one's own record does that mean that it says so already."""
    record = door.record()
    door.add(rr=HOST, type="A", value="127.77.2.21")
    with pytest.raises(Permanent):
        door.names.rebind(record, value="127.77.2.21")
    assert record in door.names.records(zone=ZONE, host=HOST, type="A")


@pytest.mark.parametrize("mishap", [m for m in RPC if not m.applied], ids=str)
def test_a_name_that_cannot_be_read_is_not_a_name_without_records(door: Door, mishap: Mishap) -> None:
    ask = Read(action=door.console.reads, ask=lambda: door.names.records(zone=ZONE, host=HOST, type="A"))
    hold_read(door.cloud, door.run, door.console.service, ask, mishap)


def test_what_was_just_rebound_may_still_read_as_before(door: Door) -> None:
    record = door.record()
    with with_faults(door.cloud, door.run, Fault(kind="stale_read", action=door.console.listing)):
        assert door.record() == record
        door.names.rebind(record, value="127.77.2.21")
        assert door.record() == record
        assert door.record().value == "127.77.2.21"


def test_the_loss_of_a_region_does_not_touch_names(door: Door) -> None:
    with with_faults(door.cloud, door.run, Fault(kind="region_outage", region="cn-hangzhou")):
        door.names.rebind(door.record(), value="127.77.2.21")
        assert door.record().value == "127.77.2.21"
