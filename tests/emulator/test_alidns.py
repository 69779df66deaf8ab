"""Alidns on the wire, through the official SDK: how it refuses, and where it differs from PrivateZone."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alibabacloud_alidns20150109 import models
from alibabacloud_alidns20150109.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import Config

from emulator.alidns.editions import EDITIONS
from emulator.testing import Local, mock_aliyun
from emulator.wire.services import VERSIONS

OTHERS = ("otherid", "othersecret", "2000000000000002")
ULTIMATE = EDITIONS["version_enterprise_advanced"]


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun(access_keys=(("testid", "testsecret"), OTHERS)) as local:
        yield local


def client_at(host: str, key: str = "testid", secret: str = "testsecret") -> Any:
    return Client(Config(endpoint=host, protocol="http", region_id="x", access_key_id=key, access_key_secret=secret))


@pytest.fixture(scope="module")
def client(local: Local) -> Any:
    return client_at(local.host)


@pytest.fixture
def domain(local: Local, request: pytest.FixtureRequest) -> str:
    """Of the ultimate edition: buying one is not the API's business."""
    name = f"d{abs(hash(request.node.nodeid)) % 10**9}.example"
    local.run(lambda: local.cloud.alidns.add_domain(name, edition=ULTIMATE))
    return name


def add(client: Any, domain: str, **fields: Any) -> str:
    given = {"rr": "www", "type": "A", "value": "192.0.2.1", "ttl": 60, **fields}
    made: str = client.add_domain_record(models.AddDomainRecordRequest(domain_name=domain, **given)).body.record_id
    return made


def update(client: Any, record: str, **fields: Any) -> None:
    given = {"rr": "www", "type": "A", "value": "192.0.2.1", "ttl": 60, **fields}
    client.update_domain_record(models.UpdateDomainRecordRequest(record_id=record, **given))


def read(client: Any, record: str) -> Any:
    return client.describe_domain_record_info(models.DescribeDomainRecordInfoRequest(record_id=record)).body


def found(client: Any, domain: str, **fields: Any) -> list[Any]:
    request = models.DescribeDomainRecordsRequest(domain_name=domain, **fields)
    return list(client.describe_domain_records(request).body.domain_records.record)


def refusal(ask: Callable[[], object]) -> str:
    with pytest.raises(ClientException) as refused:
        ask()
    assert refused.value.status_code == 400
    return str(refused.value.code)


# How it refuses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({}, "DomainRecordDuplicate", id="what is there"),
        pytest.param({"rr": "WWW"}, "DomainRecordDuplicate", id="what is there in other letters"),
        pytest.param({"type": "CNAME", "value": "a.example"}, "DomainRecordConflict", id="a CNAME beside an address"),
        pytest.param({"rr": "-x"}, "InvalidRR.Format", id="no host name"),
        pytest.param({"type": "LOC"}, "InvalidRecordType", id="no such type"),
        pytest.param({"value": "www"}, "DNSRecordInvalid", id="no address"),
        pytest.param({"type": "MX", "rr": "m", "value": "a.example"}, "InvalidPriority", id="MX without priority"),
        pytest.param({"type": "MX", "rr": "m", "value": "a.b", "priority": 51}, "InvalidPriority", id="beyond 50"),
        pytest.param({"ttl": 86401}, "InvalidParameter", id="more than a day"),
        pytest.param({"rr": "x", "line": "telecom"}, "UnsupportedParameter", id="a line"),
        pytest.param({"rr": "x", "type": "REDIRECT_URL"}, "UnsupportedParameter", id="URL forwarding"),
    ],
)
def test_a_record_that_cannot_be_is_refused(client: Any, domain: str, fields: dict[str, Any], code: str) -> None:
    add(client, domain)
    assert refusal(lambda: add(client, domain, **fields)) == code


def test_domains_that_are_unknown_or_somebody_elses_are_told_apart(client: Any, local: Local, domain: str) -> None:
    others = client_at(local.host, *OTHERS[:2])
    record = add(client, domain)
    assert refusal(lambda: add(client, "nobody.example")) == "InvalidDomainName.NoExist"
    assert refusal(lambda: add(others, domain)) == "IncorrectDomainUser"
    assert refusal(lambda: update(others, record, value="192.0.2.2")) == "DomainRecordNotBelongToUser"
    assert refusal(lambda: others.add_domain(models.AddDomainRequest(domain_name=domain))) == "DomainAddedByOthers"


def test_a_locked_record_and_a_banned_domain_refuse_every_change(client: Any, local: Local, domain: str) -> None:
    record = add(client, domain)
    changes: tuple[Callable[[], object], ...] = (
        lambda: update(client, record, value="192.0.2.2"),
        lambda: client.delete_domain_record(models.DeleteDomainRecordRequest(record_id=record)),
        lambda: client.set_domain_record_status(
            models.SetDomainRecordStatusRequest(record_id=record, status="Disable")
        ),
        lambda: client.delete_sub_domain_records(models.DeleteSubDomainRecordsRequest(domain_name=domain, rr="www")),
    )
    local.run(lambda: local.cloud.alidns.lock(record, True))
    assert {refusal(change) for change in changes} == {"DomainRecordLocked"}
    local.run(lambda: local.cloud.alidns.lock(record, False))
    for switch, code in (("forbidden", "DomainForbidden"), ("black_hole", "RecordForbidden.BlackHole")):
        local.run(lambda switch=switch: setattr(local.cloud.alidns.domain(domain), switch, True))  # type: ignore[misc]
        assert {refusal(change) for change in changes} == {code}
        local.run(lambda switch=switch: setattr(local.cloud.alidns.domain(domain), switch, False))  # type: ignore[misc]
    assert read(client, record).locked is False


def test_a_domain_and_a_name_hold_so_many_records(client: Any, local: Local, domain: str) -> None:
    local.run(lambda: setattr(local.cloud.alidns.domain(domain), "records_at_most", 1))
    add(client, domain)
    assert refusal(lambda: add(client, domain, rr="b")) == "QuotaExceeded.Record"
    free = f"free-{domain}"
    client.add_domain(models.AddDomainRequest(domain_name=free))
    for number in range(10):
        add(client, free, value=f"192.0.2.{number}", ttl=600)
    assert refusal(lambda: add(client, free, value="192.0.2.99", ttl=600)) == "QuotaExceeded.ARecord"


# What it keeps ------------------------------------------------------------------------------------------------------


def test_a_new_domain_is_of_the_free_edition_and_says_so(client: Any, domain: str) -> None:
    free = f"new-{domain}"
    client.add_domain(models.AddDomainRequest(domain_name=free))
    info = client.describe_domain_info(models.DescribeDomainInfoRequest(domain_name=free)).body
    assert (info.version_code, info.min_ttl, info.available_ttls.available_ttl[0]) == ("mianfei", 600, "600")
    assert client.describe_domain_info(models.DescribeDomainInfoRequest(domain_name=domain)).body.min_ttl == 1
    listed = client.describe_domains(models.DescribeDomainsRequest(key_word=free, search_mode="EXACT")).body
    assert [row.domain_name for row in listed.domains.domain] == [free]
    client.delete_domain(models.DeleteDomainRequest(domain_name=free))
    assert refusal(lambda: found(client, free)) == "InvalidDomainName.NoExist"


def test_a_record_reads_back_flat_and_its_remark_has_a_call_of_its_own(client: Any, domain: str) -> None:
    record = add(client, domain, rr="@")
    client.update_domain_record_remark(models.UpdateDomainRecordRemarkRequest(record_id=record, remark="epoch=1"))
    update(client, record, rr="@", value="192.0.2.2")
    shown = read(client, record)
    assert (shown.rr, shown.value, shown.ttl, shown.remark) == ("@", "192.0.2.2", 60, "epoch=1")
    assert isinstance(shown.record_id, str)
    log = client.describe_record_logs(models.DescribeRecordLogsRequest(domain_name=domain)).body
    assert [row.action for row in log.record_logs.record_log] == ["UPDATE", "UPDATE_REMARK", "ADD"]


def test_the_records_of_a_name_are_found_and_deleted_together(client: Any, domain: str) -> None:
    for number in (1, 2):
        add(client, domain, rr="a.www", value=f"192.0.2.{number}")
    add(client, domain, rr="www")
    request = models.DescribeSubDomainRecordsRequest(sub_domain=f"a.www.{domain}", type="A")
    assert client.describe_sub_domain_records(request).body.total_count == 2
    gone = client.delete_sub_domain_records(models.DeleteSubDomainRecordsRequest(domain_name=domain, rr="a.www")).body
    assert gone.total_count == "2"  # a text
    gone = client.delete_sub_domain_records(models.DeleteSubDomainRecordsRequest(domain_name=domain, rr="a.www")).body
    assert gone.total_count == "0"
    assert len(found(client, domain)) == 1


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        pytest.param({}, 20, id="20 unless asked otherwise"),
        pytest.param({"page_size": 500}, 25, id="500 at most"),
        pytest.param({"page_number": 2}, 5, id="the second page"),
        pytest.param({"group_id": 0}, 0, id="group 0 is none"),
        pytest.param({"group_id": -1}, 20, id="the default group"),
        pytest.param({"group_id": -2}, 20, id="all groups"),
    ],
)
def test_listings_come_in_pages(
    client: Any, local: Local, fields: dict[str, Any], count: int, domain: str
) -> None:  # fmt: skip
    def fill() -> None:
        for number in range(25):
            local.cloud.alidns.add_record(domain, rr=f"h{number}", type="A", value="192.0.2.1")

    local.run(fill)
    assert len(found(client, domain, **fields)) == count
    assert refusal(lambda: found(client, domain, page_size=501)) == "InvalidParameter"
    newest, oldest = found(client, domain)[0], found(client, domain, direction="ASC")[0]
    assert (newest.rr, oldest.rr) == ("h24", "h0")


def test_every_regions_endpoint_leads_to_the_same_domains(local: Local, client: Any, domain: str) -> None:
    record = add(client, domain)
    assert {read(client_at(host), record).value for host in local.endpoints.values()} == {"192.0.2.1"}


def test_no_call_on_records_takes_a_client_token(local: Local) -> None:
    version = next(number for number, service in VERSIONS.items() if service == "alidns")
    operations = {name: op for (number, name), op in local.cloud.home.operations.items() if number == version}
    assert len(operations) == 17
    assert not [name for name, operation in operations.items() if "ClientToken" in operation.reads]  # type: ignore[attr-defined]
