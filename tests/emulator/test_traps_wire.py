"""What the RPC door does to whoever trusts it: odd shapes, one budget for all callers, names in common."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import Config
from alibabacloud_vpc20160428 import models as vpc
from alibabacloud_vpc20160428.client import Client as VpcClient

from emulator.testing import Local, mock_aliyun
from tests.emulator.networks import free_network

DISKS = models.DescribeDisksRequest(region_id="cn-hangzhou")


@pytest.fixture(scope="module")
def opened() -> Iterator[Local]:
    with mock_aliyun(seed="two-zones", settings={"net": str(free_network())}) as running:
        running.run(lambda: running.cloud.keys.add("console", "secret"))
        yield running


@pytest.fixture
def local(opened: Local) -> Iterator[Local]:
    opened.advance(60)
    yield opened
    opened.run(opened.cloud.faults.clear)


def config(local: Local, key: str = "testid", secret: str = "testsecret") -> Config:
    return Config(
        endpoint=local.host, protocol="http", region_id="cn-hangzhou", access_key_id=key, access_key_secret=secret
    )


def menu(local: Local, *faults: dict[str, Any]) -> None:
    answer = requests.post(f"{local.url}/_emulator/faults", json=list(faults), timeout=5)
    assert answer.status_code == 200, answer.text


def test_a_list_that_came_as_one_object_is_no_exception_but_an_empty_body(local: Local) -> None:
    menu(local, {"kind": "odd_shape", "action": "DescribeDisks"})
    answer = Client(config(local)).describe_disks(DISKS)
    assert (answer.status_code, answer.body) == (200, None)
    told = answer._map["body"]
    assert isinstance(told["Disks"]["Disk"], dict)  # the first of several
    assert Client(config(local)).describe_disks(DISKS).body.disks.disk


def test_all_callers_of_an_account_share_one_budget_per_action(local: Local) -> None:
    console = Client(config(local, "console", "secret"))
    menu(local, {"kind": "throttle", "probability": 0.5})

    def throttled(client: Client) -> bool:
        try:
            client.describe_disks(DISKS)
        except ClientException as error:
            return str(error.code).startswith("Throttling")
        return False

    while not throttled(console):  # somebody clicks until the minute is used up
        pass
    assert all(throttled(Client(config(local))) for _ in range(10))
    local.advance(60)
    local.run(local.cloud.faults.clear)
    assert not throttled(Client(config(local)))


def test_one_action_name_means_another_product_by_its_version(local: Local) -> None:
    before = local.run(lambda: len(local.cloud.requests.entries))
    Client(config(local)).describe_regions(models.DescribeRegionsRequest())
    VpcClient(config(local)).describe_regions(vpc.DescribeRegionsRequest())
    entries = local.run(lambda: list(local.cloud.requests.entries)[before:])
    assert [(entry.service, entry.action) for entry in entries] == [
        ("ecs", "DescribeRegions"),
        ("vpc", "DescribeRegions"),
    ]
