"""Traps of the two name services and of the load balancer, each sprung (facts on the network; design, DNS rows)."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import dns.message
import dns.rcode
import pytest

from emulator.alidns.editions import EDITIONS
from emulator.alidns.rpc import VERSION as ALIDNS
from emulator.pvtz.dns import DnsServer
from emulator.pvtz.rpc import VERSION as PVTZ
from emulator.seed import load_text
from emulator.slb.rpc import VERSION as SLB
from emulator.testing import Local, mock_aliyun
from emulator.wire.call import ApiError
from tests.emulator.ecs_stage import Stage

BALANCED = """
load_balancers:
  - {id: lb-a, name: web, address: 10.0.0.80, master_zone: cn-hangzhou-h, slave_zone: cn-hangzhou-i,
     listeners: [{port: 80}], backends: [{server: i-app, weight: 100}]}
"""


class NamesStage(Stage):
    def __init__(self) -> None:
        super().__init__()
        load_text(BALANCED, self.cloud, where="balancer", settings={})
        self.door = DnsServer(self.cloud)

    def pvtz(self, action: str, **given: object) -> dict[str, Any]:
        return self.ask_in(self.cloud.home, PVTZ, action, _flat(given))

    def alidns(self, action: str, **given: object) -> dict[str, Any]:
        return self.ask_in(self.cloud.home, ALIDNS, action, _flat(given))

    def slb(self, action: str, **given: object) -> dict[str, Any]:
        return self.ask_in(self.cloud.home, SLB, action, _flat(given))

    def asked(self, name: str, kind: str = "A") -> dns.message.Message:
        wire = self.door.answer(dns.message.make_query(name, kind).to_wire())
        assert wire is not None
        return dns.message.from_wire(wire)

    def answers(self, name: str, kind: str = "A") -> list[str]:
        return [rdata.to_text() for rrset in self.asked(name, kind).answer for rdata in rrset]

    def private(self, name: str = "corp.example", **more: object) -> str:
        return str(self.pvtz("AddZone", ZoneName=name, **more)["ZoneId"])

    def public(self, name: str = "shop.example", edition: str = "version_enterprise_advanced") -> str:
        self.cloud.alidns.add_domain(name, edition=EDITIONS[edition])
        return name


def _flat(given: dict[str, object]) -> dict[str, str]:
    return {name.replace("__", "."): str(value) for name, value in given.items()}


def refusal(ask: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(ApiError) as refused:
        ask()
    return refused.value.status, refused.value.code


@pytest.fixture
def stage() -> NamesStage:
    return NamesStage()


# Fact 1: two spellings, two kinds of id -----------------------------------------------------------------------------


def test_each_service_has_its_own_spelling_and_the_others_is_refused(stage: NamesStage) -> None:
    zone, domain = stage.private(), stage.public()
    private = stage.pvtz("AddZoneRecord", ZoneId=zone, Rr="db", Type="A", Value="10.0.1.11", Ttl=5)["RecordId"]
    public = stage.alidns("AddDomainRecord", DomainName=domain, RR="db", Type="A", Value="192.0.2.1", TTL=5)["RecordId"]
    assert (type(private), type(public)) == (int, str)
    with pytest.raises(ApiError, match="RR"):
        stage.pvtz("AddZoneRecord", ZoneId=zone, RR="db", Type="A", Value="10.0.1.12", TTL=5)
    with pytest.raises(ApiError, match="Rr"):
        stage.alidns("AddDomainRecord", DomainName=domain, Rr="db", Type="A", Value="192.0.2.2", Ttl=5)


# Facts 2 and 3: TTLs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ttl", [1, 10, 600])
def test_a_private_ttl_is_one_of_six(stage: NamesStage, ttl: int) -> None:
    zone = stage.private()
    made = {"ZoneId": zone, "Rr": "db", "Type": "A", "Value": "10.0.1.11"}
    assert refusal(lambda: stage.pvtz("AddZoneRecord", **made, Ttl=ttl)) == (400, "Record.Invalid.Ttl")


@pytest.mark.parametrize(
    ("edition", "floor"),
    [
        ("mianfei", 600),
        ("version_personal", 600),
        ("version_enterprise_basic", 60),
        ("version_enterprise_advanced", 1),
    ],
)
def test_a_public_ttl_is_600_by_default_and_has_a_floor_by_edition(stage: NamesStage, edition: str, floor: int) -> None:
    domain = stage.public(edition=edition)
    made = {"DomainName": domain, "RR": "www", "Type": "A"}
    record = stage.alidns("AddDomainRecord", **made, Value="192.0.2.1")["RecordId"]
    assert stage.alidns("DescribeDomainRecordInfo", RecordId=record)["TTL"] == 600
    assert stage.alidns("DescribeDomainInfo", DomainName=domain)["MinTtl"] == floor
    stage.alidns("AddDomainRecord", **made, Value="192.0.2.2", TTL=floor)
    if floor > 1:
        low = refusal(lambda: stage.alidns("AddDomainRecord", **made, Value="192.0.2.3", TTL=floor - 1))
        assert low == (400, "QuotaExceeded.TTL")


# Facts 4, 5 and 6: updates ------------------------------------------------------------------------------------------


def test_an_update_that_changes_nothing_is_an_error_in_public_and_fine_in_private(stage: NamesStage) -> None:
    zone, domain = stage.private(), stage.public()
    same = {"Type": "A", "Value": "10.0.1.11"}
    private = stage.pvtz("AddZoneRecord", ZoneId=zone, Rr="db", **same)["RecordId"]
    assert stage.pvtz("UpdateZoneRecord", RecordId=private, Rr="db", **same)["RecordId"] == private
    public = stage.alidns("AddDomainRecord", DomainName=domain, RR="db", **same)["RecordId"]
    again = refusal(lambda: stage.alidns("UpdateDomainRecord", RecordId=public, RR="db", **same))
    assert again == (400, "DomainRecordDuplicate")
    stage.alidns("UpdateDomainRecord", RecordId=public, RR="db", **same, TTL=60)  # another TTL is a change


def test_the_last_writer_wins_without_a_word(stage: NamesStage) -> None:
    domain = stage.public()
    record = stage.alidns("AddDomainRecord", DomainName=domain, RR="db", Type="A", Value="192.0.2.1")["RecordId"]
    for value in ("192.0.2.2", "192.0.2.3"):  # two that both read 192.0.2.1
        stage.alidns("UpdateDomainRecord", RecordId=record, RR="db", Type="A", Value=value)
    assert stage.answers("db.shop.example") == ["192.0.2.3"]


def test_an_update_sets_what_it_omits_to_its_default(stage: NamesStage) -> None:
    zone, domain = stage.private(), stage.public()
    same = {"Type": "A", "Value": "10.0.1.11"}
    private = stage.pvtz("AddZoneRecord", ZoneId=zone, Rr="db", **same, Ttl=5, Weight=9)["RecordId"]
    stage.pvtz("UpdateZoneRecord", RecordId=private, Rr="db", Type="A", Value="10.0.1.12")
    shown = stage.pvtz("DescribeZoneRecord", RecordId=private)
    assert (shown["Ttl"], shown["Weight"]) == (60, 1)
    public = stage.alidns("AddDomainRecord", DomainName=domain, RR="db", **same, TTL=5)["RecordId"]
    stage.alidns("UpdateDomainRecord", RecordId=public, RR="db", Type="A", Value="10.0.1.12")
    assert stage.alidns("DescribeDomainRecordInfo", RecordId=public)["TTL"] == 600


def test_a_token_that_is_sent_again_does_not_write_over_what_others_wrote(stage: NamesStage) -> None:
    zone = stage.private()
    record = stage.pvtz("AddZoneRecord", ZoneId=zone, Rr="db", Type="A", Value="10.0.1.11")["RecordId"]
    first = {"RecordId": record, "Rr": "db", "Type": "A", "Value": "10.0.1.12", "ClientToken": "t-1"}
    stage.pvtz("UpdateZoneRecord", **first)
    stage.pvtz("UpdateZoneRecord", RecordId=record, Rr="db", Type="A", Value="10.0.1.13")
    assert stage.pvtz("UpdateZoneRecord", **first) == {"RecordId": record}  # success, and nothing written
    assert stage.answers("db.corp.example") == ["10.0.1.13"]
    other = refusal(lambda: stage.pvtz("UpdateZoneRecord", **{**first, "Value": "10.0.1.14"}))
    assert other == (400, "IdempotentParameterMismatch")


# Facts 7 and 8: status, binding -------------------------------------------------------------------------------------


def test_public_statuses_are_asked_for_in_one_spelling_and_answered_in_another(stage: NamesStage) -> None:
    domain = stage.public()
    record = stage.alidns("AddDomainRecord", DomainName=domain, RR="db", Type="A", Value="192.0.2.1")["RecordId"]
    assert stage.alidns("SetDomainRecordStatus", RecordId=record, Status="Disable")["Status"] == "DISABLE"
    assert stage.asked("db.shop.example").rcode() == dns.rcode.NXDOMAIN
    stage.alidns("UpdateDomainRecord", RecordId=record, RR="db", Type="A", Value="192.0.2.2")
    assert stage.alidns("DescribeDomainRecordInfo", RecordId=record)["Status"] == "DISABLE"  # an update enables nothing
    assert stage.alidns("SetDomainRecordStatus", RecordId=record, Status="Enable")["Status"] == "ENABLE"
    assert stage.answers("db.shop.example") == ["192.0.2.2"]


def test_binding_one_more_vpc_unbinds_the_others(stage: NamesStage) -> None:
    shanghai = stage.cloud.home.sibling("cn-shanghai")
    shanghai.ecs.network.vpcs["vpc-b"] = "10.1.0.0/16"
    zone, twin = stage.private(), stage.private()
    a = {"Vpcs__1__RegionId": "cn-hangzhou", "Vpcs__1__VpcId": "vpc-a"}
    b = {"Vpcs__2__RegionId": "cn-shanghai", "Vpcs__2__VpcId": "vpc-b"}

    def bound() -> list[str]:
        shown = stage.ask_in(shanghai, PVTZ, "DescribeZoneInfo", {"ZoneId": zone})  # global: any region's endpoint
        return [row["VpcId"] for row in shown["BindVpcs"]["Vpc"]]

    stage.pvtz("BindZoneVpc", ZoneId=zone, **a, **b)
    assert bound() == ["vpc-a", "vpc-b"]
    assert refusal(lambda: stage.pvtz("BindZoneVpc", ZoneId=twin, **a)) == (400, "Zone.VpcExists")
    unknown = {"Vpcs__1__RegionId": "cn-hangzhou", "Vpcs__1__VpcId": "vpc-b"}
    assert refusal(lambda: stage.pvtz("BindZoneVpc", ZoneId=zone, **unknown)) == (400, "ZoneVpc.NotExists.VpcId")
    assert refusal(lambda: stage.pvtz("DeleteZone", ZoneId=zone)) == (400, "Zone.VpcExists")
    stage.pvtz("BindZoneVpc", ZoneId=zone, **b)
    assert bound() == ["vpc-b"]
    stage.pvtz("BindZoneVpc", ZoneId=zone)
    assert bound() == []
    stage.pvtz("DeleteZone", ZoneId=zone)
    assert refusal(lambda: stage.pvtz("DescribeZoneInfo", ZoneId=zone)) == (400, "Zone.NotExists")


def test_another_accounts_zone_is_not_ours(stage: NamesStage) -> None:
    stranger = stage.cloud.realm("2000000000000002", "cn-hangzhou")
    theirs = stranger.pvtz.add_zone("corp.example").id
    assert refusal(lambda: stage.pvtz("DescribeZoneRecords", ZoneId=theirs)) == (400, "Zone.Invalid.UserId")
    assert refusal(lambda: stage.pvtz("DescribeZoneRecords", ZoneId="?")) == (400, "Zone.Invalid.Id")


# Facts 9, 10 and 11: the load balancer ------------------------------------------------------------------------------


def test_a_weight_is_a_text_here_and_a_number_there(stage: NamesStage) -> None:
    servers = '[{"ServerId": "i-app", "Weight": "30"}]'
    for action, servers_now, kind in (
        ("SetBackendServers", servers, str),
        ("RemoveBackendServers", '["i-nobody"]', int),
        ("DescribeLoadBalancerAttribute", None, int),
    ):
        more = {} if servers_now is None else {"BackendServers": servers_now}
        [row] = stage.slb(action, LoadBalancerId="lb-a", **more)["BackendServers"]["BackendServer"]
        assert type(row["Weight"]) is kind
        assert int(row["Weight"]) == 30


def test_a_second_change_within_the_configuring_time_is_refused_with_odd_statuses(stage: NamesStage) -> None:
    group = stage.slb("CreateVServerGroup", LoadBalancerId="lb-a")["VServerGroupId"]
    stage.cloud.slb.configuring_for = timedelta(seconds=5)
    servers = '[{"ServerId": "i-app", "Weight": 0}]'

    def weigh() -> object:
        return stage.slb("SetBackendServers", LoadBalancerId="lb-a", BackendServers=servers)

    weigh()
    listener = {"LoadBalancerId": "lb-a", "ListenerPort": 80}
    assert refusal(weigh) == (409, "BackendServer.configuring")
    assert refusal(lambda: stage.slb("StopLoadBalancerListener", **listener)) == (400, "ServiceIsConfiguring")
    assert refusal(lambda: stage.slb("DeleteVServerGroup", VServerGroupId=group)) == (400, "VServerGroupProcessing")
    status = {"LoadBalancerId": "lb-a", "LoadBalancerStatus": "inactive"}
    assert refusal(lambda: stage.slb("SetLoadBalancerStatus", **status)) == (449, "SystemBusy")
    stage.slb("DescribeHealthStatus", LoadBalancerId="lb-a")  # reading is fine
    stage.advance(6)
    stage.slb("StopLoadBalancerListener", **listener)
    assert refusal(weigh) == (409, "ServiceIsStopping")


def test_no_call_moves_a_balancer_to_its_other_zone(stage: NamesStage) -> None:
    actions = [action for version, action in stage.cloud.home.operations if version == SLB]
    assert not [action for action in actions if "Zone" in action and action != "DescribeZones"]
    assert stage.slb("DescribeZones")["Zones"]["Zone"][0]["SlaveZones"]["SlaveZone"]


# Fact 17: searching -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param({"RRKeyWord": "WWW"}, {"www", "www2"}, id="no mode: hosts in part"),
        pytest.param({"RRKeyWord": "www", "SearchMode": "ADVANCED"}, {"www", "www2"}, id="ADVANCED is no better"),
        pytest.param({"RRKeyWord": "www", "SearchMode": "EXACT"}, {"www", "www2", "db"}, id="EXACT ignores RRKeyWord"),
        pytest.param({"Type": "CNAME", "SearchMode": "EXACT"}, {"www", "www2", "db"}, id="and Type"),
        pytest.param({"KeyWord": "www", "SearchMode": "EXACT"}, {"www"}, id="EXACT minds KeyWord"),
        pytest.param({"KeyWord": "ww", "Type": "CNAME"}, {"www", "www2"}, id="a KeyWord alone is LIKE"),
        pytest.param({"RRKeyWord": "www", "SearchMode": "COMBINATION"}, {"www"}, id="COMBINATION is exact"),
        pytest.param({"RRKeyWord": "ww", "SearchMode": "COMBINATION"}, set(), id="and takes nothing in part"),
        pytest.param({"Type": "cname"}, {"db"}, id="types by any letters"),
        pytest.param({"Status": "Disable"}, {"www2"}, id="statuses as they are asked for"),
        pytest.param({"RRKeyWord": "www", "GroupId": "0"}, set(), id="group 0 is nothing"),
    ],
)
def test_search_modes_do_not_mean_what_they_say(stage: NamesStage, asked: dict[str, str], found: set[str]) -> None:
    domain = stage.public()
    for rr, kind, value in (("www", "A", "192.0.2.1"), ("www2", "A", "192.0.2.2"), ("db", "CNAME", "a.example")):
        stage.alidns("AddDomainRecord", DomainName=domain, RR=rr, Type=kind, Value=value)
    [paused] = [r for r in stage.cloud.alidns.domain(domain).records.values() if r.rr == "www2"]
    stage.alidns("SetDomainRecordStatus", RecordId=paused.id, Status="Disable")
    rows = stage.alidns("DescribeDomainRecords", DomainName=domain, **asked)["DomainRecords"]["Record"]
    assert {row["RR"] for row in rows} == found


# What clients see ---------------------------------------------------------------------------------------------------


def test_private_names_hide_public_ones_unless_the_zone_is_a_proxy(stage: NamesStage) -> None:
    zone, domain = stage.private("shop.example"), stage.public("shop.example")
    stage.alidns("AddDomainRecord", DomainName=domain, RR="www", Type="A", Value="192.0.2.1")
    stage.alidns("AddDomainRecord", DomainName=domain, RR="db", Type="A", Value="192.0.2.2")
    stage.pvtz("AddZoneRecord", ZoneId=zone, Rr="db", Type="A", Value="10.0.1.11")
    assert stage.answers("db.shop.example") == ["10.0.1.11"]
    assert stage.asked("www.shop.example").rcode() == dns.rcode.NXDOMAIN
    stage.pvtz("SetProxyPattern", ZoneId=zone, ProxyPattern="RECORD")
    assert stage.answers("www.shop.example") == ["192.0.2.1"]
    assert stage.answers("db.shop.example") == ["10.0.1.11"]
    assert stage.asked("nobody.shop.example").rcode() == dns.rcode.NXDOMAIN
    assert stage.asked("example.org").rcode() == dns.rcode.REFUSED


def test_a_chain_leads_from_private_names_into_public_ones(stage: NamesStage) -> None:
    zone, domain = stage.private(), stage.public()
    stage.pvtz("AddZoneRecord", ZoneId=zone, Rr="db", Type="CNAME", Value="db.shop.example")
    stage.alidns("AddDomainRecord", DomainName=domain, RR="db", Type="CNAME", Value="site-b.shop.example")
    stage.alidns("AddDomainRecord", DomainName=domain, RR="site-b", Type="A", Value="192.0.2.2")
    assert stage.answers("db.corp.example") == ["db.shop.example.", "site-b.shop.example.", "192.0.2.2"]


def test_weights_count_only_once_they_are_open(stage: NamesStage) -> None:
    zone, domain = stage.private(), stage.public()
    ids = []
    for value, weight in (("10.0.1.11", 3), ("10.0.1.12", 1)):
        made = {"ZoneId": zone, "Rr": "db", "Type": "A", "Value": value, "Weight": weight}
        ids.append(stage.pvtz("AddZoneRecord", **made)["RecordId"])
        stage.alidns("AddDomainRecord", DomainName=domain, RR="db", Type="A", Value=value)
    assert sorted(stage.answers("db.corp.example")) == ["10.0.1.11", "10.0.1.12"]  # all, in turn
    stage.pvtz("SetZoneLbaStatus", ZoneId=zone, Rr="db", Type="A", Line="default", Open="true")
    shares = Counter(tuple(stage.answers("db.corp.example")) for _ in range(8))
    assert shares == {("10.0.1.11",): 6, ("10.0.1.12",): 2}
    stage.pvtz("UpdateZoneRecordWeight", RecordId=ids[0], Weight=0)
    assert {tuple(stage.answers("db.corp.example")) for _ in range(4)} == {("10.0.1.12",)}

    [public] = stage.cloud.alidns.domain(domain).named("db")[:1]
    early = refusal(lambda: stage.alidns("UpdateDNSSLBWeight", RecordId=public.id, Weight=3))
    assert early == (400, "DisableDNSSLB")
    assert stage.alidns("SetDNSSLBStatus", SubDomain="db.shop.example") == {"Open": True, "RecordCount": 2}
    stage.alidns("UpdateDNSSLBWeight", RecordId=public.id, Weight=3)
    shares = Counter(tuple(stage.answers("db.shop.example")) for _ in range(8))
    assert shares == {("10.0.1.11",): 6, ("10.0.1.12",): 2}
    [row] = stage.alidns("DescribeDNSSLBSubDomains", DomainName=domain)["SlbSubDomains"]["SlbSubDomain"]
    assert (row["SubDomain"], row["Open"], row["RecordCount"]) == ("db.shop.example", True, 2)


def test_a_zone_without_acceleration_answers_the_old_value_for_its_ttl_and_has_no_weights(stage: NamesStage) -> None:
    zone = stage.private(DnsGroup="NORMAL_ZONE")
    made = {"Rr": "db", "Type": "A", "Value": "10.0.1.11", "Ttl": 30}
    record = stage.pvtz("AddZoneRecord", ZoneId=zone, **made)["RecordId"]
    assert stage.answers("db.corp.example") == ["10.0.1.11"]
    stage.advance(10)
    stage.pvtz("UpdateZoneRecord", RecordId=record, Rr="db", Type="A", Value="10.0.1.12", Ttl=5)
    assert stage.answers("db.corp.example") == ["10.0.1.11"]
    assert stage.asked("db.corp.example").answer[0].ttl == 20
    stage.advance(20)
    assert stage.answers("db.corp.example") == ["10.0.1.12"]
    weighted = {"ZoneId": zone, "Rr": "db", "Type": "A", "Line": "default", "Open": "true"}
    assert refusal(lambda: stage.pvtz("SetZoneLbaStatus", **weighted)) == (400, "Zone.Invalid.DnsGroup")


@pytest.mark.parametrize("service", ["private", "public"])
def test_a_change_is_acknowledged_before_name_servers_know_of_it(stage: NamesStage, service: str) -> None:
    zone, domain = stage.private(), stage.public()
    stage.pvtz("AddZoneRecord", ZoneId=zone, Rr="db", Type="A", Value="10.0.1.1")
    stage.alidns("AddDomainRecord", DomainName=domain, RR="db", Type="A", Value="10.0.1.1")
    stage.cloud.pvtz.propagation = stage.cloud.alidns.propagation = timedelta(seconds=10)
    name = "db.corp.example" if service == "private" else "db.shop.example"

    def point_at(value: str) -> None:
        if service == "private":
            [record] = stage.cloud.pvtz.find_records(zone)
            stage.cloud.pvtz.update_record(record.id, rr="db", type="A", value=value)
        else:
            [public] = stage.cloud.alidns.domain(domain).records.values()
            stage.cloud.alidns.update_record(public.id, rr="db", type="A", value=value)

    point_at("10.0.1.2")
    stage.advance(5)
    point_at("10.0.1.3")
    assert stage.answers(name) == ["10.0.1.1"]
    stage.advance(5)
    assert stage.answers(name) == ["10.0.1.2"]
    stage.advance(5)
    assert stage.answers(name) == ["10.0.1.3"]


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun() as local:
        zone = local.run(lambda: local.cloud.pvtz.add_zone("cached.example", id="z-cached"))
        local.run(lambda: local.cloud.pvtz.add_record(zone.id, rr="db", type="A", value="10.0.1.1", ttl=3600))
        yield local


def test_clients_hold_the_old_ttl_and_some_hold_on_for_ever(local: Local) -> None:
    honest, stubborn = local.resolver(), local.resolver(forever=True)
    assert honest.resolve("db.cached.example") == stubborn.resolve("db.cached.example") == ("10.0.1.1",)
    [record] = local.cloud.pvtz.find_records("z-cached")
    lowered: dict[str, Any] = {
        "rr": "db",
        "type": "A",
        "value": "10.0.1.2",
        "ttl": 5,
    }  # too late: the old TTL is what was remembered
    local.run(lambda: local.cloud.pvtz.update_record(record.id, **lowered))
    assert local.resolver().resolve("db.cached.example") == ("10.0.1.2",)
    local.advance(3599)
    assert honest.resolve("db.cached.example") == ("10.0.1.1",)
    local.advance(1)
    assert honest.resolve("db.cached.example") == ("10.0.1.2",)
    assert stubborn.resolve("db.cached.example") == ("10.0.1.1",)
