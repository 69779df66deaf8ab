"""Network interfaces and private addresses: what is refused, and what an SDK sees."""

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config

from emulator.ecs.network import VSwitch
from emulator.testing import Local, mock_aliyun
from tests.emulator.ecs_stage import WORLD
from tests.emulator.network_stage import NetworkStage

HERE = "cn-hangzhou"


@pytest.fixture
def stage() -> NetworkStage:
    return NetworkStage()


# Refused --------------------------------------------------------------------------------------------------------------

CREATIONS: list[tuple[dict[str, object], tuple[int, str]]] = [
    ({"VSwitchId": "vsw-none"}, (404, "InvalidVSwitchId.NotFound")),
    ({"SecurityGroupId": "sg-none"}, (404, "InvalidSecurityGroupId.NotFound")),
    ({"SecurityGroupId": "sg-b"}, (403, "InvalidOperation.VpcMismatch")),
    ({"SecurityGroupIds.1": "sg-a"}, (400, "InvalidParameter")),
    ({"PrimaryIpAddress": "10.0.1"}, (403, "InvalidIp.Address")),
    ({"PrimaryIpAddress": "10.0.9.9"}, (403, "InvalidVSwitchId.IpInvalid")),
    ({"PrimaryIpAddress": "10.0.1.11"}, (403, "InvalidIp.IpAssigned")),
    ({"PrivateIpAddress.1": "10.0.1.50", "PrivateIpAddress.2": "10.0.1.50"}, (403, "InvalidIp.IpRepeated")),
    ({"PrivateIpAddress.1": "10.0.1.50", "SecondaryPrivateIpAddressCount": 1}, (400, "InvalidParameter")),
    ({"SecondaryPrivateIpAddressCount": 33}, (403, "InvalidOperation.Ipv4CountExceeded")),
    ({"NetworkInterfaceName": "1"}, (400, "InvalidParameter")),
    ({"InstanceType": "Trunk"}, (400, "UnsupportedParameter")),
    ({"Tag.1.Key": "aliyun"}, (400, "InvalidTagKey.Malformed")),
    ({"Tag.1.Key": "a", "Tag.2.Key": "a"}, (400, "Duplicate.TagKey")),
    ({"Ipv6AddressCount": 1}, (400, "UnsupportedParameter")),
]


@pytest.mark.parametrize(("given", "expected"), CREATIONS, ids=[f"{next(iter(g))}-{c}" for g, (_, c) in CREATIONS])
def test_an_interface_that_cannot_be_is_refused(
    stage: NetworkStage, given: dict[str, object], expected: tuple[int, str]
) -> None:
    stage.ecs.network.vpcs["vpc-b"] = "10.9.0.0/16"
    made = stage.ask("CreateSecurityGroup", VpcId="vpc-b")["SecurityGroupId"]
    given = {name: made if value == "sg-b" else value for name, value in given.items()}
    base = {"VSwitchId": "vsw-h", "SecurityGroupId": "sg-a"}
    before = stage.ecs.network.free_addresses(stage.ecs.vswitches["vsw-h"])

    assert stage.refusal("CreateNetworkInterface", {**base, **given}) == expected
    assert stage.ecs.network.free_addresses(stage.ecs.vswitches["vsw-h"]) == before


def test_the_quota_of_interfaces_is_the_accounts(stage: NetworkStage) -> None:
    stage.ecs.interfaces.at_most = 2
    assert stage.refusal("CreateNetworkInterface", VSwitchId="vsw-h", SecurityGroupId="sg-a") == (
        403,
        "MaxEniCountExceeded",
    )


def test_what_cannot_be_attached_or_detached_is_refused(stage: NetworkStage) -> None:
    eni = stage.new_interface()

    def attach(instance: str = "i-app", interface: str = eni) -> tuple[int, str]:
        return stage.refusal("AttachNetworkInterface", InstanceId=instance, NetworkInterfaceId=interface)

    def detach(instance: str = "i-app", interface: str = eni) -> tuple[int, str]:
        return stage.refusal("DetachNetworkInterface", InstanceId=instance, NetworkInterfaceId=interface)

    assert attach(interface="eni-none") == (404, "InvalidEniId.NotFound")
    assert attach("i-none") == (404, "InvalidEcsId.NotFound")
    assert attach(interface="eni-old") == (403, "InvalidOperation.InvalidEniType")
    assert detach(interface="eni-app") == (400, "InvalidOperation.DetachPrimaryEniNotAllowed")
    assert detach() == (400, "InvalidOperation.InvalidEniState")
    stage.ask("StopInstance", InstanceId="i-app")
    assert attach() == (400, "InvalidOperation.InvalidEcsState")
    stage.advance(60)
    stage.ask("AttachNetworkInterface", InstanceId="i-app", NetworkInterfaceId=eni)
    stage.advance(10)
    assert detach("i-old") == (400, "InvalidParameter")
    assert stage.refusal("DeleteNetworkInterface", NetworkInterfaceId=eni) == (400, "InvalidOperation.InvalidEniState")
    assert stage.refusal("DeleteNetworkInterface", NetworkInterfaceId="eni-app") == (
        403,
        "InvalidOperation.InvalidEniType",
    )
    stage.ask("DetachNetworkInterface", InstanceId="i-app", NetworkInterfaceId=eni)
    stage.ask("DetachNetworkInterface", InstanceId="i-app", NetworkInterfaceId=eni)  # asking again is fine


def test_an_instance_takes_as_many_interfaces_and_addresses_as_its_type_does(stage: NetworkStage) -> None:
    for _ in range(2):
        stage.ask("AttachNetworkInterface", InstanceId="i-app", NetworkInterfaceId=stage.new_interface())
    one_more = stage.new_interface()
    assert stage.refusal("AttachNetworkInterface", InstanceId="i-app", NetworkInterfaceId=one_more) == (
        403,
        "EniPerInstanceLimitExceeded",
    )
    assigned = stage.ask("AssignPrivateIpAddresses", NetworkInterfaceId="eni-app", SecondaryPrivateIpAddressCount=5)
    assert len(assigned["AssignedPrivateIpAddressesSet"]["PrivateIpSet"]["PrivateIpAddress"]) == 5
    assert stage.refusal(
        "AssignPrivateIpAddresses", NetworkInterfaceId="eni-app", SecondaryPrivateIpAddressCount=1
    ) == (
        403,
        "InvalidOperation.Ipv4CountExceeded",
    )


def test_an_address_that_is_not_there_cannot_be_taken_away(stage: NetworkStage) -> None:
    def take(*addresses: str) -> tuple[int, str]:
        given = {f"PrivateIpAddress.{number + 1}": one for number, one in enumerate(addresses)}
        return stage.refusal("UnassignPrivateIpAddresses", {"NetworkInterfaceId": "eni-app", **given})

    stage.ask("AssignPrivateIpAddresses", {"NetworkInterfaceId": "eni-app", "PrivateIpAddress.1": "10.0.1.50"})
    assert take("10.0.1.51") == (403, "InvalidIp.IpUnassigned")
    assert take("10.0.1.11") == (403, "InvalidIp.IpUnassigned")  # its first address
    assert take("10.0.1.50", "10.0.1.50") == (403, "InvalidIp.IpRepeated")
    assert take() == (400, "MissingParameter")
    assert stage.refusal("AssignPrivateIpAddresses", NetworkInterfaceId="eni-app") == (403, "MissingParameter")
    stage.ask("UnassignPrivateIpAddresses", {"NetworkInterfaceId": "eni-app", "PrivateIpAddress.1": "10.0.1.50"})
    assert stage.interface("eni-app")["PrivateIpSets"]["PrivateIpSet"] == [
        {"PrivateIpAddress": "10.0.1.11", "Primary": True, "AssociatedPublicIp": {}}
    ]


MOVES: list[tuple[dict[str, object], tuple[int, str]]] = [
    ({"InstanceId": "i-none"}, (404, "InvalidInstanceId.NotFound")),
    ({"InstanceId": "i-app"}, (400, "IncorrectInstanceStatus")),
    ({"VSwitchId": "vsw-none"}, (404, "InvalidVSwitchId.NotFound")),
    ({"VSwitchId": "vsw-i"}, (400, "InvalidVSwitchId.Mismatch")),
    ({"VSwitchId": "vsw-b"}, (404, "InvalidVSwitchId.NotFound")),
    ({"VpcId": "vpc-b"}, (404, "InvalidVSwitch.NotBelongToVpc")),
    ({"VpcId": "vpc-a"}, (404, "InvalidParameter.AlreadyInTargetVpc")),
    ({"VpcId": "vpc-b", "VSwitchId": "vsw-b"}, (404, "InvalidParameter.SecurityGroupId")),
    (
        {"VpcId": "vpc-b", "VSwitchId": "vsw-b", "SecurityGroupId.1": "sg-a"},
        (404, "InvalidSecurityGroupVpc.NotBelongToOneVpc"),
    ),
    (
        {"VpcId": "vpc-b", "VSwitchId": "vsw-b", "SecurityGroupId.1": "sg-a", "SecurityGroupId.2": "sg-a"},
        (404, "InvalidParameter.SecurityGroupIdRepeated"),
    ),
    ({"SecurityGroupId.1": "sg-a"}, (404, "InvalidParameter.MustBeEmpty")),
    ({"PrivateIpAddress": "nonsense"}, (400, "InvalidPrivateIpAddress.Malformed")),
    ({"PrivateIpAddress": "10.0.2.5"}, (400, "InvalidPrivateIpAddress.Mismatch")),
    ({"PrivateIpAddress": "10.0.1.255"}, (400, "InvalidPrivateIpAddress.Mismatch")),
    ({"PrivateIpAddress": "10.0.1.11"}, (400, "InvalidPrivateIpAddress.Duplicated")),
    ({"PrivateIpAddress": "10.0.1.12"}, (400, "InvalidPrivateIpAddress.Duplicated")),  # its own
]


def two_vpcs(stage: NetworkStage) -> None:
    stage.ecs.network.vpcs["vpc-b"] = "10.9.0.0/16"
    stage.ecs.vswitches["vsw-b"] = VSwitch(
        id="vsw-b", vpc="vpc-b", zone="cn-hangzhou-h", cidr=IPv4Network("10.9.1.0/24")
    )


@pytest.mark.parametrize(("given", "expected"), MOVES, ids=[f"{list(g)[-1]}-{c}" for g, (_, c) in MOVES])
def test_a_move_that_cannot_be_is_refused(
    stage: NetworkStage, given: dict[str, object], expected: tuple[int, str]
) -> None:
    two_vpcs(stage)
    base = {"InstanceId": "i-old", "VSwitchId": "vsw-h"}
    assert stage.refusal("ModifyInstanceVpcAttribute", {**base, **given}) == expected
    assert stage.address("i-old") == "10.0.1.12"


def test_secondary_addresses_and_interfaces_hold_a_machine_where_it_is(stage: NetworkStage) -> None:
    two_vpcs(stage)
    there = stage.ask("CreateSecurityGroup", VpcId="vpc-b")["SecurityGroupId"]
    move = {"InstanceId": "i-old", "VSwitchId": "vsw-b", "VpcId": "vpc-b", "SecurityGroupId.1": there}
    eni = stage.new_interface()
    stage.ask("AttachNetworkInterface", InstanceId="i-old", NetworkInterfaceId=eni)
    assert stage.refusal("ModifyInstanceVpcAttribute", move) == (404, "InvalidInstance.AttachedEni")
    stage.advance(10)
    stage.ask("DetachNetworkInterface", InstanceId="i-old", NetworkInterfaceId=eni)
    stage.advance(10)
    stage.ask("AssignPrivateIpAddresses", NetworkInterfaceId="eni-old", SecondaryPrivateIpAddressCount=1)
    assert stage.refusal("ModifyInstanceVpcAttribute", move) == (400, "PrimaryEniHasSubIp")
    extra = stage.ecs.interfaces.find("eni-old").secondary[0]
    stage.ask("UnassignPrivateIpAddresses", {"NetworkInterfaceId": "eni-old", "PrivateIpAddress.1": extra})

    stage.ask("ModifyInstanceVpcAttribute", move)
    shown = stage.instance("i-old")
    assert shown["VpcAttributes"]["VpcId"] == "vpc-b"
    assert shown["SecurityGroupIds"]["SecurityGroupId"] == [there]


def test_a_public_address_needs_bandwidth_and_keeps_eips_away(stage: NetworkStage) -> None:
    assert stage.refusal("AllocatePublicIpAddress", InstanceId="i-app") == (400, "AllocateIpInvalidInstanceBandwidth")
    assert stage.refusal("AllocatePublicIpAddress", InstanceId="i-none") == (404, "InvalidInstanceId.NotFound")
    eip = stage.new_eip()
    rich = stage.run(InternetMaxBandwidthOut=10)
    assert stage.refusal("AllocatePublicIpAddress", InstanceId=rich) == (403, "IncorrectInstanceStatus")
    stage.advance(60)
    assert stage.refusal("AllocatePublicIpAddress", InstanceId=rich) == (403, "AllocatedAlready")
    assert stage.vpc_refusal("AssociateEipAddress", AllocationId=eip, InstanceId=rich) == (
        400,
        "EIP_CAN_NOT_ASSOCIATE_WITH_PUBLIC_IP",
    )
    later = stage.ecs.find_instance("i-app")
    later.bandwidth_out = 5
    assert stage.vpc_refusal("AssociateEipAddress", AllocationId=eip, InstanceId="i-app") == (
        400,
        "InvalidStatus.InstanceHasBandWidth",
    )
    given = stage.ask("AllocatePublicIpAddress", InstanceId="i-app")["IpAddress"]
    assert stage.instance("i-app")["PublicIpAddress"]["IpAddress"] == [given]


# What goes well -------------------------------------------------------------------------------------------------------


def test_an_interface_goes_with_its_machine_unless_it_is_to_stay(stage: NetworkStage) -> None:
    goes, stays = stage.new_interface(), stage.new_interface(DeleteOnRelease="false")
    arriving = stage.run()
    stage.advance(60)
    for eni in (goes, stays):
        stage.ask("AttachNetworkInterface", InstanceId=arriving, NetworkInterfaceId=eni)
    stage.advance(10)
    own = stage.ecs.interfaces.of(arriving)[0].id
    free = stage.ecs.network.free_addresses(stage.ecs.vswitches["vsw-h"])

    stage.ask("DeleteInstance", InstanceId=arriving, Force="true")

    assert (stage.interface(goes), stage.interface(own)) == ({}, {})
    assert stage.interface(stays)["Status"] == "Available"
    assert stage.ecs.network.free_addresses(stage.ecs.vswitches["vsw-h"]) == free + 2


def test_an_attachment_whose_machine_vanishes_fails_back_to_available(stage: NetworkStage) -> None:
    eni = stage.new_interface()
    stage.ask("AttachNetworkInterface", InstanceId="i-app", NetworkInterfaceId=eni)
    assert stage.interface(eni)["Status"] == "Attaching"
    stage.ask("DeleteInstance", InstanceId="i-app", Force="true")
    stage.advance(10)
    assert stage.interface(eni)["Status"] == "Available"


def test_a_deleted_interface_holds_its_address_and_group_for_a_moment(stage: NetworkStage) -> None:
    group = stage.ask("CreateSecurityGroup", VpcId="vpc-a")["SecurityGroupId"]
    eni = stage.new_interface(SecurityGroupId=group, PrimaryIpAddress="10.0.1.40")
    stage.ask("DeleteNetworkInterface", NetworkInterfaceId=eni)
    assert stage.interface(eni)["Status"] == "Deleting"
    assert stage.refusal("DeleteSecurityGroup", SecurityGroupId=group) == (403, "DependencyViolation")
    stage.advance(3)
    assert stage.interface(eni) == {}
    stage.ask("DeleteSecurityGroup", SecurityGroupId=group)


def test_the_same_token_makes_one_interface_and_one_assignment(stage: NetworkStage) -> None:
    first = stage.new_interface(ClientToken="a")
    assert stage.new_interface(ClientToken="a") == first
    assert stage.refusal("CreateNetworkInterface", VSwitchId="vsw-i", SecurityGroupId="sg-a", ClientToken="a") == (
        403,
        "IdempotentParameterMismatch",
    )
    for _ in range(2):
        stage.ask(
            "AssignPrivateIpAddresses", NetworkInterfaceId=first, SecondaryPrivateIpAddressCount=1, ClientToken="b"
        )
    assert len(stage.interface(first)["PrivateIpSets"]["PrivateIpSet"]) == 2


def test_interfaces_are_found_by_what_they_are(stage: NetworkStage) -> None:
    eni = stage.new_interface(**{"NetworkInterfaceName": "floating", "Tag.1.Key": "role", "Tag.1.Value": "vip"})

    def found(**given: object) -> list[str]:
        flat = {name.replace("__", "."): value for name, value in given.items()}
        shown = stage.ask("DescribeNetworkInterfaces", flat)["NetworkInterfaceSets"]["NetworkInterfaceSet"]
        return sorted(one["NetworkInterfaceId"] for one in shown)

    everyone = sorted([eni, "eni-app", "eni-old"])
    assert found() == everyone
    assert found(Type="Secondary") == found(Status="Available") == found(NetworkInterfaceName="floating") == [eni]
    assert found(Tag__1__Key="role", Tag__1__Value="vip") == [eni]
    assert found(InstanceId="i-app") == found(PrimaryIpAddress="10.0.1.11") == ["eni-app"]
    assert found(SecurityGroupId="sg-a") == [eni]  # primary ones are not found by their group
    assert found(VSwitchId="vsw-i") == []
    assert found(VpcId="vpc-a") == everyone


# Over HTTP ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    seed = tmp_path_factory.mktemp("interfaces") / "seed.yaml"
    seed.write_text(WORLD.replace("guest: {command: [run], ports: [80]}", "used_gib: 0"))
    with mock_aliyun(seed=seed, regions=(HERE,)) as cloud:
        yield cloud


def client(local: Local) -> Client:
    key, secret = local.access_key[:2]
    return Client(
        Config(endpoint=local.host, protocol="http", region_id=HERE, access_key_id=key, access_key_secret=secret)
    )


def test_the_sdk_moves_an_interface(local: Local) -> None:
    sdk = client(local)

    def shown(eni: str) -> Any:
        request = ecs.DescribeNetworkInterfacesRequest(region_id=HERE, network_interface_id=[eni])
        [one] = sdk.describe_network_interfaces(request).body.network_interface_sets.network_interface_set
        return one

    made = sdk.create_network_interface(
        ecs.CreateNetworkInterfaceRequest(
            region_id=HERE,
            v_switch_id="vsw-h",
            security_group_ids=["sg-a"],
            primary_ip_address="10.0.1.40",
            private_ip_address=["10.0.1.41"],
            tag=[ecs.CreateNetworkInterfaceRequestTag(key="role", value="vip")],
        )
    ).body
    eni = made.network_interface_id
    assert [one.private_ip_address for one in made.private_ip_sets.private_ip_set] == ["10.0.1.40", "10.0.1.41"]
    assert made.tags.tag[0].tag_key == "role"
    assert made.security_group_ids.security_group_id == ["sg-a"]

    sdk.attach_network_interface(
        ecs.AttachNetworkInterfaceRequest(region_id=HERE, network_interface_id=eni, instance_id="i-app")
    )
    assert shown(eni).status == "Attaching"
    local.advance(10)
    attached = shown(eni)
    assert (attached.status, attached.attachment.instance_id, attached.attachment.device_index) == ("InUse", "i-app", 1)
    request = ecs.DescribeInstancesRequest(region_id=HERE, instance_ids='["i-app"]')
    [instance] = sdk.describe_instances(request).body.instances.instance
    assert [one.primary_ip_address for one in instance.network_interfaces.network_interface] == [
        "10.0.1.11",
        "10.0.1.40",
    ]

    sdk.unassign_private_ip_addresses(
        ecs.UnassignPrivateIpAddressesRequest(
            region_id=HERE, network_interface_id=eni, private_ip_address=["10.0.1.41"]
        )
    )
    sdk.modify_network_interface_attribute(
        ecs.ModifyNetworkInterfaceAttributeRequest(
            region_id=HERE, network_interface_id=eni, network_interface_name="floating", delete_on_release=False
        )
    )
    sdk.detach_network_interface(
        ecs.DetachNetworkInterfaceRequest(region_id=HERE, network_interface_id=eni, instance_id="i-app")
    )
    local.advance(10)
    assert (shown(eni).network_interface_name, shown(eni).delete_on_release) == ("floating", False)
    sdk.delete_network_interface(ecs.DeleteNetworkInterfaceRequest(region_id=HERE, network_interface_id=eni))
    local.advance(3)
    with pytest.raises(ClientException) as refused:
        sdk.delete_network_interface(ecs.DeleteNetworkInterfaceRequest(region_id=HERE, network_interface_id=eni))
    assert (refused.value.status_code, refused.value.code) == (404, "InvalidEniId.NotFound")


def test_the_sdk_moves_an_instance_to_another_address(local: Local) -> None:
    sdk = client(local)
    sdk.modify_instance_vpc_attribute(
        ecs.ModifyInstanceVpcAttributeRequest(instance_id="i-old", v_switch_id="vsw-h", private_ip_address="10.0.1.77")
    )
    request = ecs.DescribeInstancesRequest(region_id=HERE, private_ip_addresses='["10.0.1.77"]')
    assert [one.instance_id for one in sdk.describe_instances(request).body.instances.instance] == ["i-old"]
    [vpc] = sdk.describe_vpcs(ecs.DescribeVpcsRequest(region_id=HERE)).body.vpcs.vpc
    assert (vpc.vpc_id, sorted(vpc.v_switch_ids.v_switch_id)) == ("vpc-a", ["vsw-h", "vsw-i"])
    found = sdk.describe_vswitches(ecs.DescribeVSwitchesRequest(zone_id=f"{HERE}-h")).body.v_switches.v_switch
    assert [one.v_switch_id for one in found] == ["vsw-h"]


def test_the_legacy_eip_calls_of_ecs_are_refused_by_name(local: Local) -> None:
    with pytest.raises(ClientException, match="VPC API") as refused:
        client(local).associate_eip_address(
            ecs.AssociateEipAddressRequest(region_id=HERE, allocation_id="eip-1", instance_id="i-app")
        )
    assert refused.value.code == "UnsupportedParameter"
