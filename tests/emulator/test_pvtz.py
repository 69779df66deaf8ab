"""PrivateZone on the wire, through the official SDK: what the documentation promises, and how it refuses."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_pvtz20180101 import models
from alibabacloud_pvtz20180101.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import Config

from emulator import seed
from emulator.testing import Local, mock_aliyun
from tests.emulator.networks import free_network


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun() as local:
        local.run(lambda: local.cloud.ecs.network.vpcs.update({f"vpc-{n}": "10.0.0.0/8" for n in (1, 2, 3)}))
        yield local


def client_at(host: str, local: Local) -> Any:
    key, secret = local.access_key
    return Client(Config(endpoint=host, protocol="http", region_id="x", access_key_id=key, access_key_secret=secret))


@pytest.fixture
def client(local: Local) -> Any:
    return client_at(local.host, local)


@pytest.fixture
def zone(client: Any, request: pytest.FixtureRequest) -> str:
    name = f"z{abs(hash(request.node.nodeid)) % 10**9}.example"
    zone_id: str = client.add_zone(models.AddZoneRequest(zone_name=name)).body.zone_id
    return zone_id


def record(zone: str, **fields: Any) -> Any:
    given = {"rr": "master", "type": "A", "value": "127.77.1.21", "ttl": 5, **fields}
    return models.AddZoneRecordRequest(zone_id=zone, **given)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"ttl": 10}, "Record.Invalid.Ttl", id="a TTL outside the enumeration"),
        pytest.param({"ttl": 600}, "Record.Invalid.Ttl", id="the other service's default"),
        pytest.param({"value": "master"}, "Record.Invalid.Value", id="no address"),
        pytest.param({"value": "::1"}, "Record.Invalid.Value", id="an address of the other family"),
        pytest.param({"rr": "-bad-"}, "Record.Invalid.Rr", id="no host name"),
        pytest.param({"rr": ""}, "MissingParameter", id="the apex is @, never empty"),
        pytest.param({"type": "NS"}, "Record.Invalid.Type", id="a type that is not offered"),
        pytest.param({"weight": 0}, "Record.Invalid.Weight", id="no weight"),
        pytest.param({"type": "MX", "value": "mail.example.org"}, "Record.Invalid.Priority", id="MX without priority"),
    ],
)
def test_a_record_that_cannot_be_is_refused(client: Any, zone: str, fields: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientException) as refused:
        client.add_zone_record(record(zone, **fields))
    assert refused.value.code == code


def test_unknown_zones_and_records_are_told_apart(client: Any) -> None:
    with pytest.raises(ClientException) as refused:
        client.describe_zone_records(models.DescribeZoneRecordsRequest(zone_id="nobody"))
    assert refused.value.code == "Zone.NotExists"
    with pytest.raises(ClientException) as refused:
        client.delete_zone_record(models.DeleteZoneRecordRequest(record_id=7))
    assert refused.value.code == "Record.NotExists"


def test_an_exact_duplicate_and_a_cname_beside_an_address_conflict(client: Any, zone: str) -> None:
    client.add_zone_record(record(zone))
    for clash in ({}, {"type": "CNAME", "value": "other.example"}):
        with pytest.raises(ClientException) as refused:
            client.add_zone_record(record(zone, **clash))
        assert refused.value.code == "Record.Invalid.Conflict"
    client.add_zone_record(record(zone, value="127.77.2.21"))  # several addresses are fine


def test_a_token_makes_one_record_however_often_it_is_sent(client: Any, zone: str) -> None:
    first = client.add_zone_record(record(zone, client_token="t-1")).body.record_id
    assert client.add_zone_record(record(zone, client_token="t-1")).body.record_id == first
    with pytest.raises(ClientException) as refused:
        client.add_zone_record(record(zone, value="127.77.9.9", client_token="t-1"))
    assert refused.value.code == "IdempotentParameterMismatch"


def test_record_ids_are_integers_and_a_record_reads_back_flat(client: Any, zone: str) -> None:
    made = client.add_zone_record(record(zone, remark="epoch=1")).body
    assert isinstance(made.record_id, int)
    assert made.success is True
    read = client.describe_zone_record(models.DescribeZoneRecordRequest(record_id=made.record_id)).body
    assert (read.rr, read.value, read.ttl, read.status, read.remark, read.weight) == (
        "master",
        "127.77.1.21",
        5,
        "ENABLE",
        "epoch=1",
        1,
    )


def test_an_update_overwrites_everything_but_status_and_remark(client: Any, zone: str) -> None:
    made = client.add_zone_record(record(zone, weight=9, remark="kept")).body.record_id
    client.set_zone_record_status(models.SetZoneRecordStatusRequest(record_id=made, status="DISABLE"))
    client.update_zone_record(
        models.UpdateZoneRecordRequest(record_id=made, rr="master", type="A", value="127.77.2.21")
    )
    read = client.describe_zone_record(models.DescribeZoneRecordRequest(record_id=made)).body
    assert (read.value, read.ttl, read.weight) == ("127.77.2.21", 60, 1)  # omitted fields fall back to defaults
    assert (read.status, read.remark) == ("DISABLE", "kept")


def test_remarks_have_a_call_of_their_own(client: Any, zone: str) -> None:
    made = client.add_zone_record(record(zone)).body.record_id
    client.update_record_remark(models.UpdateRecordRemarkRequest(record_id=made, remark="epoch=3"))
    assert client.describe_zone_record(models.DescribeZoneRecordRequest(record_id=made)).body.remark == "epoch=3"


def test_keywords_match_exactly_unless_asked_otherwise(client: Any, zone: str) -> None:
    for rr in ("master", "Master", "master2"):
        client.add_zone_record(record(zone, rr=rr, value=f"127.77.3.{len(rr) + rr.count('M')}"))

    def found(mode: str | None) -> set[str]:
        request = models.DescribeZoneRecordsRequest(zone_id=zone, keyword="MASTER", search_mode=mode)
        return {row.rr for row in client.describe_zone_records(request).body.records.record}

    assert found(None) == {"master", "Master"}
    assert found("LIKE") == {"master", "Master", "master2"}


def test_listings_come_in_pages(client: Any, zone: str) -> None:
    for n in range(45):
        client.add_zone_record(record(zone, rr=f"h{n}"))
    pages = [
        client.describe_zone_records(models.DescribeZoneRecordsRequest(zone_id=zone, page_number=n)).body
        for n in (1, 2, 3, 4)
    ]
    assert [len(page.records.record) for page in pages] == [20, 20, 5, 0]
    assert (pages[0].total_items, pages[0].total_pages, pages[0].page_size) == (45, 3, 20)
    with pytest.raises(ClientException) as refused:
        client.describe_zone_records(models.DescribeZoneRecordsRequest(zone_id=zone, page_size=101))
    assert refused.value.code == "InvalidParameter"


def test_binding_replaces_the_whole_list_of_vpcs(client: Any, zone: str) -> None:
    def bind(*vpcs: str) -> None:
        rows = [models.BindZoneVpcRequestVpcs(region_id="cn-hangzhou", vpc_id=vpc) for vpc in vpcs]
        client.bind_zone_vpc(models.BindZoneVpcRequest(zone_id=zone, vpcs=rows))

    def bound() -> list[str]:
        body = client.describe_zone_info(models.DescribeZoneInfoRequest(zone_id=zone)).body
        return [vpc.vpc_id for vpc in body.bind_vpcs.vpc]

    bind("vpc-1", "vpc-2")
    bind("vpc-3")
    assert bound() == ["vpc-3"]
    bind()
    assert bound() == []


def test_the_change_log_tells_who_was_first(client: Any, local: Local, zone: str) -> None:
    made = client.add_zone_record(record(zone)).body.record_id
    local.advance(60)
    client.update_zone_record(
        models.UpdateZoneRecordRequest(record_id=made, rr="master", type="A", value="127.77.2.21", ttl=5)
    )
    request = models.DescribeChangeLogsRequest(zone_id=zone, entity_type="PV_RECORD")
    newest, oldest = client.describe_change_logs(request).body.change_logs.change_log
    assert (newest.oper_action, oldest.oper_action) == ("update", "add")
    assert "127.77.1.21 -> master 5 A 127.77.2.21" in newest.content
    assert newest.oper_timestamp - oldest.oper_timestamp == 60_000


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(
            lambda client, zone: client.set_zone_lba_status(
                models.SetZoneLbaStatusRequest(zone_id=zone, rr="master", type="A", line="telecom", open=True)
            ),
            id="a line",
        ),
        pytest.param(lambda client, zone: client.add_zone_record(record(zone, line="telecom")), id="a record's line"),
        pytest.param(
            lambda client, _: client.add_zone(models.AddZoneRequest(zone_name="0.0.10.in-addr.arpa")), id="reverse zone"
        ),
        pytest.param(
            lambda client, zone: client.describe_zone_records(models.DescribeZoneRecordsRequest(zone_id=zone, tag="x")),
            id="a parameter",
        ),
    ],
)
def test_what_is_not_modelled_is_refused_loudly(client: Any, zone: str, ask: Any) -> None:
    with pytest.raises(ClientException) as refused:
        ask(client, zone)
    assert refused.value.code == "UnsupportedParameter"


def test_the_cloud_knows_from_which_zone_a_call_came(
    local: Local, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Through a vSwitch's gateway, and no longer once that zone is dark."""
    net = free_network()
    file = tmp_path / "seed.yaml"
    file.write_text(
        "zones: [cn-hangzhou-h]\nvswitches:\n"
        f'  - {{id: vsw-h, zone: cn-hangzhou-h, cidr: "127.{net}.1.0/24", gateway: "127.{net}.1.1"}}\n'
    )
    with mock_aliyun(seed=file) as gated:
        seen: list[str | None] = []
        judge = gated.cloud.callers.from_acs3

        def spy(**request: Any) -> Any:
            seen.append(request["zone"])
            return judge(**request)

        monkeypatch.setattr(gated.cloud.callers, "from_acs3", spy)
        ask = models.DescribeZonesRequest()
        client_at(gated.host, gated).describe_zones(ask)
        client_at(f"127.{net}.1.1:{gated.cloud.port}", gated).describe_zones(ask)
        assert seen == [None, "cn-hangzhou-h"]

        gated.run(lambda: gated.cloud.zones.set_dark("cn-hangzhou-h", True))
        connection = http.client.HTTPConnection(f"127.{net}.1.1", gated.cloud.port, timeout=0.3)
        with pytest.raises(TimeoutError):
            connection.request("GET", "/_emulator/clock")
        gated.run(lambda: gated.cloud.zones.set_dark("cn-hangzhou-h", False))
        connection = http.client.HTTPConnection(f"127.{net}.1.1", gated.cloud.port, timeout=2)
        connection.request("GET", "/_emulator/clock")
        assert json.loads(connection.getresponse().read())["rate"] == 0
        connection.close()


def test_a_seed_names_zones_and_records(local: Local) -> None:
    text = """
private_zones:
  - id: z-seeded
    name: seeded.example
    records:
      - {rr: master, type: A, value: 127.77.1.21, ttl: 5, remark: epoch=1}
      - {rr: spare, type: A, value: 127.77.2.21, ttl: 5, status: DISABLE}
"""
    local.run(lambda: seed.load_text(text, local.cloud, where="test", settings={}))
    found = local.cloud.pvtz.find_records("z-seeded")
    assert [(r.rr, r.ttl, r.status) for r in found] == [("master", 5, "ENABLE"), ("spare", 5, "DISABLE")]
