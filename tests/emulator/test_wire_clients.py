"""The ways in which clients of different ages sign, send and read: each is answered as it expects."""

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from urllib.parse import quote

import pytest
import requests
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import Config

from emulator.testing import Local, mock_aliyun
from emulator.wire import v1, xml_answer
from tests.emulator.networks import free_network

NONCES = count()


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun(seed="two-zones", settings={"net": str(free_network())}) as running:
        yield running


def sdk(local: Local, **config: str) -> Client:
    return Client(
        Config(
            endpoint=local.host,
            protocol="http",
            region_id="cn-hangzhou",
            **{"access_key_id": "testid", "access_key_secret": "testsecret", **config},
        )
    )


ZONES = models.DescribeZonesRequest(region_id="cn-hangzhou")


@pytest.mark.parametrize("config", [{}, {"signature_algorithm": "v2"}], ids=["ACS3", "V1"])
def test_the_sdk_is_answered_with_either_signature_in_either_way(local: Local, config: dict[str, str]) -> None:
    client = sdk(local, **config)
    named = models.DescribeInstancesRequest(region_id="cn-hangzhou", instance_name="web h+%~*é", page_size=1)

    assert client.describe_zones(ZONES).body.zones.zone
    assert asyncio.run(client.describe_zones_async(ZONES)).body.zones.zone
    assert client.describe_instances(named).body.instances.instance == []
    with pytest.raises(ClientException) as error:
        client.start_instance(models.StartInstanceRequest(instance_id="i-none"))
    assert (error.value.status_code, error.value.code) == (404, "InvalidInstanceId.NotFound")


def test_a_wrong_secret_shows_with_either_signature(local: Local) -> None:
    for config in ({}, {"signature_algorithm": "v2"}):
        with pytest.raises(ClientException) as error:
            sdk(local, access_key_secret="wrong", **config).describe_zones(ZONES)
        assert error.value.code == "SignatureDoesNotMatch"


def parameters(action: str, method: str, *, format: str | None = "JSON", **business: str) -> dict[str, str]:
    made = {
        "Action": action,
        "Version": "2014-05-26",
        "AccessKeyId": "testid",
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureType": "",  # the older SDK sends it empty, and signs it
        "SignatureNonce": f"clients-{next(NONCES)}",
        **({} if format is None else {"Format": format}),
        **business,
    }
    return {**made, "Signature": v1.sign("testsecret", method, made)}


def encoded(params: dict[str, str]) -> str:
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in params.items())


def names(answer: requests.Response) -> list[str]:
    return sorted(one["InstanceName"] for one in answer.json()["Instances"]["Instance"])


def test_everything_in_the_query_of_a_post_is_read(local: Local) -> None:
    """Typed requests of aliyun-python-sdk-core."""
    sent = parameters("DescribeInstances", "POST", RegionId="cn-hangzhou", InstanceName="web-*")
    assert names(requests.post(f"{local.url}/?{encoded(sent)}", timeout=5)) == ["web-h", "web-i"]


def test_a_form_beside_the_query_is_read_and_signed(local: Local) -> None:
    """A CommonRequest of aliyun-python-sdk-core: business parameters in the form, the rest in the query."""
    sent = parameters("DescribeInstances", "POST", RegionId="cn-hangzhou", InstanceName="web-h")
    form = {name: sent.pop(name) for name in ("RegionId", "InstanceName")}
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "content-md5": "none",
        "x-sdk-invoke-type": "common",
    }
    url = f"{local.url}/?{encoded(sent)}"
    told = requests.post(url, data=encoded(form), headers=headers, timeout=5)
    assert names(told) == ["web-h"]
    damaged = requests.post(url, data=encoded({**form, "InstanceName": "web-i"}), headers=headers, timeout=5)
    assert damaged.json()["Code"] == "SignatureDoesNotMatch"


def test_everything_in_a_form_is_read(local: Local) -> None:
    """@alicloud/pop-core with `{method: 'POST'}`; its header keeps the caller's own spelling of the action."""
    sent = parameters("DescribeInstances", "POST", RegionId="cn-hangzhou")
    headers = {"content-type": "application/x-www-form-urlencoded", "x-acs-action": "describeInstances"}
    assert names(requests.post(local.url, data=encoded(sent), headers=headers, timeout=5)) == ["web-h", "web-i"]


@pytest.mark.parametrize("format", [None, "XML", "xml"])
def test_callers_of_the_older_signature_get_xml_unless_they_ask_for_json(local: Local, format: str | None) -> None:
    sent = parameters("DescribeZones", "GET", format=format, RegionId="cn-hangzhou")
    told = requests.get(f"{local.url}/?{encoded(sent)}", timeout=5)
    root = ET.fromstring(told.text)
    assert (told.status_code, root.tag) == (200, "DescribeZonesResponse")
    assert told.headers["content-type"] == "text/xml;charset=utf-8", "the SDK knows no other spelling"
    assert root.findtext("RequestId")
    assert [zone.findtext("ZoneId") for zone in root.findall("Zones/Zone")] == ["cn-hangzhou-h", "cn-hangzhou-i"]


def test_their_errors_are_xml_too(local: Local) -> None:
    told = requests.get(f"{local.url}/?{encoded(parameters('MakeCoffee', 'GET', format='XML'))}", timeout=5)
    root = ET.fromstring(told.text)
    assert (told.status_code, root.tag, root.findtext("Code")) == (404, "Error", "InvalidAction.NotFound")
    assert root.findtext("HostId") == local.host


def test_xml_carries_any_text() -> None:
    body = {"Name": "a<b>&\x00\x1f\ud800", "Yes": True, "Ids": {"Id": ["1", "2"]}, "Empty": {"E": []}, "None": None}
    root = ET.fromstring(xml_answer.answer("A", body))
    assert root.findtext("Name") == "a<b>&\ufffd\ufffd\ufffd"
    assert root.findtext("Yes") == "true"
    assert [one.text for one in root.findall("Ids/Id")] == ["1", "2"]
    assert root.find("None") is None
