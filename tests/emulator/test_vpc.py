"""EIPs: bound and unbound in their own time, and refused in the documented words."""

from collections.abc import Iterator

import pytest
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config
from alibabacloud_vpc20160428 import models as vpc
from alibabacloud_vpc20160428.client import Client

from emulator.slb.model import Balancer
from emulator.testing import Local, mock_aliyun
from tests.emulator.ecs_stage import WORLD
from tests.emulator.network_stage import NetworkStage

HERE = "cn-hangzhou"


@pytest.fixture
def stage() -> NetworkStage:
    return NetworkStage()


# Refused --------------------------------------------------------------------------------------------------------------

BINDINGS: list[tuple[dict[str, object], tuple[int, str]]] = [
    ({"AllocationId": "eip-none"}, (404, "InvalidAllocationId.NotFound")),
    ({"InstanceId": "i-none"}, (404, "InvalidInstanId.NotFound")),
    ({"InstanceId": "eni-none", "InstanceType": "NetworkInterface"}, (404, "InvalidInstanId.NotFound")),
    ({"InstanceId": "lb-none", "InstanceType": "SlbInstance"}, (404, "InvalidInstanId.NotFound")),
    ({"InstanceId": "eni-app", "InstanceType": "NetworkInterface"}, (400, "OperationDenied")),
    ({"InstanceType": "Pigeon"}, (400, "InvalidInstanceType.ValueNotSupported")),
    ({"InstanceType": "Nat"}, (400, "UnsupportedParameter")),
    ({"Mode": "TUNNEL"}, (400, "InvalidParameter")),
    ({"InstanceRegionId": "cn-beijing"}, (400, "InvalidParameter.Mismatch")),
    ({"InstanceId": ""}, (400, "MissingParameter")),
]


@pytest.mark.parametrize(("given", "expected"), BINDINGS, ids=[c for _, (_, c) in BINDINGS])
def test_a_binding_that_cannot_be_is_refused(
    stage: NetworkStage, given: dict[str, object], expected: tuple[int, str]
) -> None:
    eip = stage.new_eip()
    base = {"AllocationId": eip, "InstanceId": "i-app"}
    assert stage.vpc_refusal("AssociateEipAddress", {**base, **given}) == expected
    assert stage.eip(eip)["Status"] == "Available"


def test_an_instance_on_its_way_takes_no_eip(stage: NetworkStage) -> None:
    eip = stage.new_eip()
    stage.ask("StopInstance", InstanceId="i-app")
    assert stage.vpc_refusal("AssociateEipAddress", AllocationId=eip, InstanceId="i-app") == (
        400,
        "IncorrectInstanceStatus",
    )


def test_an_instance_takes_one_eip(stage: NetworkStage) -> None:
    first, second = stage.new_eip(), stage.new_eip()
    stage.vpc("AssociateEipAddress", AllocationId=first, InstanceId="i-app")

    def refused() -> tuple[int, str]:
        return stage.vpc_refusal("AssociateEipAddress", AllocationId=second, InstanceId="i-app")

    assert refused() == (400, "TaskConflict")
    stage.advance(10)
    assert refused() == (400, "InvalidAssociation.Duplicated")


def test_only_queries_are_allowed_while_it_is_on_its_way(stage: NetworkStage) -> None:
    eip = stage.new_eip()
    stage.vpc("AssociateEipAddress", AllocationId=eip, InstanceId="i-app")
    for action, given in (
        ("AssociateEipAddress", {"InstanceId": "i-old"}),
        ("UnassociateEipAddress", {}),
        ("ReleaseEipAddress", {}),
    ):
        assert stage.vpc_refusal(action, {"AllocationId": eip, **given}) == (400, "IncorrectEipStatus")
    assert stage.instance("i-app")["EipAddress"]["IpAddress"] == ""
    stage.advance(10)
    assert stage.instance("i-app")["EipAddress"]["AllocationId"] == eip
    assert stage.vpc_refusal("ReleaseEipAddress", AllocationId=eip) == (400, "IncorrectEipStatus")
    assert stage.vpc_refusal("UnassociateEipAddress", AllocationId=eip, InstanceId="i-old") == (
        400,
        "InvalidBindingStatus",
    )


def test_an_eip_that_is_not_bound_cannot_be_unbound(stage: NetworkStage) -> None:
    assert stage.vpc_refusal("UnassociateEipAddress", AllocationId=stage.new_eip()) == (400, "IncorrectEipStatus")
    for action in ("UnassociateEipAddress", "ReleaseEipAddress", "ModifyEipAddressAttribute"):
        assert stage.vpc_refusal(action, AllocationId="eip-none") == (404, "InvalidAllocationId.NotFound")


def test_bandwidth_and_quota_have_their_limits(stage: NetworkStage) -> None:
    assert stage.vpc_refusal("AllocateEipAddress", Bandwidth=501) == (400, "InvalidParameter")
    assert stage.vpc_refusal("AllocateEipAddress", Bandwidth=201, InternetChargeType="PayByTraffic") == (
        400,
        "InvalidParameter",
    )
    assert stage.vpc_refusal("AllocateEipAddress", InternetChargeType="Free") == (400, "InvalidParameter")
    assert stage.vpc_refusal("AllocateEipAddress", InstanceChargeType="PrePaid") == (400, "UnsupportedParameter")
    eips = [stage.new_eip() for _ in range(20)]
    assert stage.vpc_refusal("AllocateEipAddress") == (400, "QuotaExceeded.Eip")
    assert len({stage.eip(eip)["IpAddress"] for eip in eips}) == 20
    assert stage.vpc_refusal("ModifyEipAddressAttribute", AllocationId=eips[0], Bandwidth=0) == (
        400,
        "InvalidParameter",
    )


def test_an_account_in_arrears_finds_its_eips_locked(stage: NetworkStage) -> None:
    eip = stage.new_eip()
    stage.cloud.vpc.find(eip).financial_lock = True
    assert stage.vpc_refusal("AssociateEipAddress", AllocationId=eip, InstanceId="i-app") == (
        400,
        "Forbidden.FinancialLocked",
    )
    assert stage.eip(eip)["OperationLocks"]["LockReason"] == [{"LockReason": "financial"}]


def test_an_interface_on_its_way_takes_no_eip(stage: NetworkStage) -> None:
    eni, eip = stage.new_interface(), stage.new_eip()
    stage.ask("AttachNetworkInterface", InstanceId="i-app", NetworkInterfaceId=eni)
    target = {"AllocationId": eip, "InstanceId": eni, "InstanceType": "NetworkInterface"}
    assert stage.vpc_refusal("AssociateEipAddress", target) == (400, "InvalidStatus.EniStatusNotSupport")
    stage.advance(10)
    assert stage.vpc_refusal("AssociateEipAddress", {**target, "PrivateIpAddress": "10.0.1.99"}) == (
        400,
        "InvalidParameter",
    )


# What goes well -------------------------------------------------------------------------------------------------------


def test_every_address_of_an_interface_may_have_an_eip_and_carries_it_along(stage: NetworkStage) -> None:
    eni = stage.new_interface(**{"PrimaryIpAddress": "10.0.1.40", "PrivateIpAddress.1": "10.0.1.41"})
    eips = [stage.new_eip(), stage.new_eip()]
    for eip, address in zip(eips, ("10.0.1.40", "10.0.1.41"), strict=True):
        stage.vpc(
            "AssociateEipAddress", AllocationId=eip, InstanceId=eni, InstanceType="NetworkInterface",
            PrivateIpAddress=address,
        )  # fmt: skip
    stage.advance(10)
    for instance in ("i-app", "i-old"):
        stage.ask("AttachNetworkInterface", InstanceId=instance, NetworkInterfaceId=eni)
        stage.advance(10)
        assert [stage.eip(eip)["Status"] for eip in eips] == ["InUse", "InUse"]
        stage.ask("DetachNetworkInterface", InstanceId=instance, NetworkInterfaceId=eni)
        stage.advance(10)
    public = [
        one["AssociatedPublicIp"]["AllocationId"] for one in stage.interface(eni)["PrivateIpSets"]["PrivateIpSet"]
    ]
    assert public == eips
    stage.ask("UnassignPrivateIpAddresses", {"NetworkInterfaceId": eni, "PrivateIpAddress.1": "10.0.1.41"})
    assert stage.eip(eips[1])["Status"] == "Available"
    stage.ask("DeleteNetworkInterface", NetworkInterfaceId=eni)
    assert stage.eip(eips[0])["Status"] == "Available"


def test_a_load_balancer_takes_one_too(stage: NetworkStage) -> None:
    stage.cloud.slb.add(Balancer(id="lb-1", name="lb", address="10.0.0.80", created=stage.cloud.clock.now()))
    eip = stage.new_eip()
    stage.vpc("AssociateEipAddress", AllocationId=eip, InstanceId="lb-1", InstanceType="SlbInstance")
    stage.advance(10)
    shown = stage.eip(eip)
    assert (shown["Status"], shown["InstanceType"], shown["PrivateIpAddress"]) == ("InUse", "SlbInstance", "10.0.0.80")


def test_an_eip_goes_with_a_machine_to_its_new_private_address(stage: NetworkStage) -> None:
    eip = stage.new_eip()
    stage.vpc("AssociateEipAddress", AllocationId=eip, InstanceId="i-old")
    stage.advance(10)
    stage.ask("ModifyInstanceVpcAttribute", InstanceId="i-old", VSwitchId="vsw-h", PrivateIpAddress="10.0.1.90")
    assert (stage.eip(eip)["Status"], stage.eip(eip)["PrivateIpAddress"]) == ("InUse", "10.0.1.90")


def test_the_same_token_binds_once(stage: NetworkStage) -> None:
    first = stage.vpc("AllocateEipAddress", ClientToken="a")["AllocationId"]
    assert stage.vpc("AllocateEipAddress", ClientToken="a")["AllocationId"] == first
    assert stage.vpc_refusal("AllocateEipAddress", ClientToken="a", Bandwidth=9) == (403, "IdempotentParameterMismatch")
    for _ in range(2):
        stage.vpc("AssociateEipAddress", AllocationId=first, InstanceId="i-app", ClientToken="b")


# Over HTTP ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    seed = tmp_path_factory.mktemp("vpc") / "seed.yaml"
    seed.write_text(WORLD.replace("guest: {command: [run], ports: [80]}", "used_gib: 0"))
    with mock_aliyun(seed=seed, regions=(HERE, "cn-shanghai")) as cloud:
        yield cloud


def client(local: Local, region: str = HERE) -> Client:
    key, secret = local.access_key[:2]
    endpoint = local.endpoints[region]
    return Client(
        Config(endpoint=endpoint, protocol="http", region_id=region, access_key_id=key, access_key_secret=secret)
    )


def test_the_sdk_takes_binds_moves_and_gives_back_an_eip(local: Local) -> None:
    sdk = client(local)
    made = sdk.allocate_eip_address(
        vpc.AllocateEipAddressRequest(region_id=HERE, bandwidth="10", internet_charge_type="PayByTraffic", name="front")
    ).body
    eip = made.allocation_id

    def shown() -> vpc.DescribeEipAddressesResponseBodyEipAddressesEipAddress:
        request = vpc.DescribeEipAddressesRequest(region_id=HERE, allocation_id=eip)
        [one] = sdk.describe_eip_addresses(request).body.eip_addresses.eip_address
        return one

    assert (shown().status, shown().bandwidth, shown().ip_address) == ("Available", "10", made.eip_address)
    for instance in ("i-app", "i-old"):
        sdk.associate_eip_address(
            vpc.AssociateEipAddressRequest(region_id=HERE, allocation_id=eip, instance_id=instance)
        )
        assert shown().status == "Associating"
        local.advance(10)
        assert (shown().status, shown().instance_id, shown().instance_type) == ("InUse", instance, "EcsInstance")
        request = vpc.DescribeEipAddressesRequest(
            region_id=HERE, associated_instance_type="EcsInstance", associated_instance_id=instance
        )
        assert sdk.describe_eip_addresses(request).body.total_count == 1
        sdk.unassociate_eip_address(
            vpc.UnassociateEipAddressRequest(region_id=HERE, allocation_id=eip, instance_id=instance)
        )
        assert shown().status == "Unassociating"
        local.advance(10)
    sdk.modify_eip_address_attribute(
        vpc.ModifyEipAddressAttributeRequest(region_id=HERE, allocation_id=eip, bandwidth="20", name="back")
    )
    assert (shown().status, shown().bandwidth, shown().name) == ("Available", "20", "back")
    sdk.release_eip_address(vpc.ReleaseEipAddressRequest(region_id=HERE, allocation_id=eip))
    with pytest.raises(ClientException) as refused:
        sdk.release_eip_address(vpc.ReleaseEipAddressRequest(region_id=HERE, allocation_id=eip))
    assert (refused.value.status_code, refused.value.code) == (404, "InvalidAllocationId.NotFound")


def test_the_sdk_lists_vpcs_and_vswitches(local: Local) -> None:
    sdk = client(local)
    [one] = sdk.describe_vpcs(vpc.DescribeVpcsRequest(region_id=HERE)).body.vpcs.vpc
    assert (one.vpc_id, one.cidr_block, one.status) == ("vpc-a", "10.0.0.0/16", "Available")
    attribute = sdk.describe_vpc_attribute(vpc.DescribeVpcAttributeRequest(region_id=HERE, vpc_id="vpc-a")).body
    assert sorted(attribute.v_switch_ids.v_switch_id) == ["vsw-h", "vsw-i"]
    request = vpc.DescribeVSwitchesRequest(region_id=HERE, vpc_id="vpc-a", page_size=1, page_number=2)
    listed = sdk.describe_vswitches(request).body
    assert ([v.v_switch_id for v in listed.v_switches.v_switch], listed.total_count) == (["vsw-i"], 2)
    shown = sdk.describe_vswitch_attributes(vpc.DescribeVSwitchAttributesRequest(region_id=HERE, v_switch_id="vsw-h"))
    assert shown.body.available_ip_address_count == 256 - 4 - 2
    with pytest.raises(ClientException) as refused:
        sdk.describe_vswitch_attributes(vpc.DescribeVSwitchAttributesRequest(region_id=HERE, v_switch_id="vsw-none"))
    assert (refused.value.status_code, refused.value.code) == (404, "InvalidVSwitchId.NotFound")
    there = client(local, "cn-shanghai").describe_vpcs(vpc.DescribeVpcsRequest(region_id="cn-shanghai")).body
    assert there.vpcs.vpc == []
