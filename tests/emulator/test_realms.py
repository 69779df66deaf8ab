"""Accounts and regions: what one owns the other does not see, and the endpoint decides where RegionId is silent."""

from collections.abc import Iterator

import pytest
from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config

from emulator.testing import Local, mock_aliyun

HERE, THERE = "cn-hangzhou", "cn-shanghai"
STRANGER = ("otherid", "othersecret", "2000000000000002")


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    keys = (("testid", "testsecret"), STRANGER)
    with mock_aliyun(access_keys=keys, regions=(HERE, THERE), random_seed=3) as cloud:
        yield cloud


def client(local: Local, region: str, key: tuple[str, ...] = ("testid", "testsecret")) -> Client:
    return Client(
        Config(
            endpoint=local.endpoints[region], protocol="http", region_id=region,
            access_key_id=key[0], access_key_secret=key[1],
        )
    )  # fmt: skip


def new_disk(local: Local, region: str) -> str:
    request = ecs.CreateDiskRequest(region_id=region, zone_id=f"{region}-h", size=20, disk_category="cloud_essd")
    return str(client(local, region).create_disk(request).body.disk_id)


def disks(local: Local, region: str, endpoint: str, key: tuple[str, ...] = ("testid", "testsecret")) -> set[str]:
    body = client(local, endpoint, key).describe_disks(ecs.DescribeDisksRequest(region_id=region)).body
    return {disk.disk_id for disk in body.disks.disk}


def test_an_action_without_region_id_goes_where_its_endpoint_is(local: Local) -> None:
    disk = new_disk(local, THERE)
    local.advance(60)

    with pytest.raises(ClientException) as refused:
        client(local, HERE).delete_disk(ecs.DeleteDiskRequest(disk_id=disk))
    assert (refused.value.status_code, refused.value.code) == (404, "InvalidDiskId.NotFound")

    client(local, THERE).delete_disk(ecs.DeleteDiskRequest(disk_id=disk))
    assert disk not in disks(local, THERE, THERE)


def test_a_region_id_that_is_sent_decides_whatever_the_endpoint(local: Local) -> None:
    disk = new_disk(local, THERE)

    assert disk in disks(local, THERE, HERE)
    assert disk not in disks(local, HERE, THERE)


def test_one_account_sees_nothing_of_another(local: Local) -> None:
    disk = new_disk(local, HERE)

    assert disk in disks(local, HERE, HERE)
    assert disk not in disks(local, HERE, HERE, STRANGER)


def test_a_host_name_that_holds_a_region_is_an_endpoint_of_it(local: Local) -> None:
    def region_of(host: str) -> str:
        class Request:
            transport = None

        Request.host = host  # type: ignore[attr-defined]
        return local.cloud.region_behind(Request())  # type: ignore[arg-type]

    assert region_of(f"ecs.{THERE}.aliyuncs.com") == THERE
    assert region_of(f"ecs-{THERE}.aliyuncs.com:80") == THERE
    assert region_of(f"{THERE}.localhost:8080") == THERE
    assert region_of("127.0.0.1:8080") == HERE


def test_a_seed_can_put_things_elsewhere() -> None:
    from emulator.cloud import Cloud
    from emulator.seed import SeedError, load_text

    cloud = Cloud(regions=(HERE, THERE))
    text = """
zones: [cn-hangzhou-h]
elsewhere:
  - {region: cn-shanghai, zones: [cn-shanghai-b], vpc: {id: vpc-sh, cidr: 10.1.0.0/16},
     vswitches: [{id: vsw-sh, zone: cn-shanghai-b, cidr: 10.1.1.0/24}]}
"""
    load_text(text, cloud, where="two regions", settings={})
    assert set(cloud.realm(cloud.account, THERE).ecs.vswitches) == {"vsw-sh"}
    assert not cloud.ecs.vswitches

    with pytest.raises(SeedError, match=r"elsewhere\[0\].*unknown key 'colour'"):
        load_text("elsewhere: [{region: cn-shanghai, colour: red}]", cloud, where="bad", settings={})
    with pytest.raises(SeedError, match="cn-atlantis"):
        load_text("elsewhere: [{region: cn-atlantis}]", cloud, where="bad", settings={})
