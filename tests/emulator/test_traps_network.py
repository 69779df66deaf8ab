"""Traps of the real cloud that lie in addresses: each test is named after one."""

from datetime import timedelta

import pytest

from emulator.wire.call import ApiError
from tests.emulator.network_stage import NetworkStage


@pytest.fixture
def stage() -> NetworkStage:
    return NetworkStage()


def test_a_machine_kept_for_inspection_keeps_its_address_from_its_replacement(stage: NetworkStage) -> None:
    """Running in the dark, Stopping, Stopped: as long as it exists the address is its own."""
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)
    wanted = {"PrivateIpAddress": "10.0.1.11", "ImageId": "m-base", "InstanceType": "ecs.g7.large"}
    order = {**wanted, "SecurityGroupId": "sg-a", "VSwitchId": "vsw-h", "SystemDisk.Category": "cloud_essd"}
    assert stage.refusal("RunInstances", order) == (400, "InvalidPrivateIpAddress.Duplicated")

    stage.cloud.zones.set_dark("cn-hangzhou-h", False)
    stage.stop("i-app")
    assert stage.refusal("RunInstances", order) == (400, "InvalidPrivateIpAddress.Duplicated")


def test_its_address_can_be_moved_off_once_it_reads_stopped(stage: NetworkStage) -> None:
    stage.stop("i-app")
    stage.ask("ModifyInstanceVpcAttribute", InstanceId="i-app", VSwitchId="vsw-h", PrivateIpAddress="10.0.1.99")

    heir = stage.run(PrivateIpAddress="10.0.1.11")

    assert stage.address(heir) == "10.0.1.11"
    assert stage.address("i-app") == "10.0.1.99"


def test_it_cannot_be_moved_off_a_machine_in_a_dark_zone(stage: NetworkStage) -> None:
    """It goes on saying Running, a stop never arrives, and only Stopped machines can be moved."""
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)
    move = {"InstanceId": "i-app", "VSwitchId": "vsw-h", "PrivateIpAddress": "10.0.1.99"}
    assert stage.refusal("ModifyInstanceVpcAttribute", move) == (400, "IncorrectInstanceStatus")

    stage.ask("StopInstance", InstanceId="i-app", ForceStop="true")
    stage.advance(3600)

    assert stage.state("i-app") == "Stopping"
    assert stage.refusal("ModifyInstanceVpcAttribute", move) == (400, "IncorrectInstanceStatus")


def test_a_moved_machine_must_be_started_before_it_can_be_moved_again(stage: NetworkStage) -> None:
    stage.stop("i-app")
    move = {"InstanceId": "i-app", "VSwitchId": "vsw-h"}
    stage.ask("ModifyInstanceVpcAttribute", {**move, "PrivateIpAddress": "10.0.1.99"})
    assert stage.refusal("ModifyInstanceVpcAttribute", move) == (400, "InvalidPrivateIp.Changing")

    stage.start("i-app")
    stage.stop("i-app")
    stage.ask("ModifyInstanceVpcAttribute", {**move, "PrivateIpAddress": "10.0.1.98"})
    assert stage.address("i-app") == "10.0.1.98"


def test_an_address_never_crosses_a_zone(stage: NetworkStage) -> None:
    stage.stop("i-app")
    assert stage.refusal("ModifyInstanceVpcAttribute", InstanceId="i-app", VSwitchId="vsw-i") == (
        400,
        "InvalidVSwitchId.Mismatch",
    )
    there = stage.ask("CreateNetworkInterface", VSwitchId="vsw-i", SecurityGroupId="sg-a")["NetworkInterfaceId"]
    assert stage.refusal("AttachNetworkInterface", InstanceId="i-app", NetworkInterfaceId=there) == (
        403,
        "InvalidOperation.AvailabilityZoneMismatch",
    )


def test_a_deleted_machines_address_may_stay_taken_for_a_while(stage: NetworkStage) -> None:
    """How long is not documented: a program must go on asking, then fall back to another address."""
    stage.ecs.network.release_delay = timedelta(minutes=3)
    stage.ask("DeleteInstance", InstanceId="i-app", Force="true")
    given = {"ImageId": "m-base", "InstanceType": "ecs.g7.large", "SecurityGroupId": "sg-a", "VSwitchId": "vsw-h"}
    wanted = {**given, "SystemDisk.Category": "cloud_essd", "PrivateIpAddress": "10.0.1.11"}

    assert stage.refusal("RunInstances", wanted) == (400, "InvalidPrivateIpAddress.Duplicated")
    assert stage.refusal("CreateNetworkInterface", VSwitchId="vsw-h", SecurityGroupId="sg-a",
                         PrimaryIpAddress="10.0.1.11") == (400, "InvalidPrivateIpAddress.Duplicated")  # fmt: skip
    stage.advance(181)
    assert stage.address(stage.run(PrivateIpAddress="10.0.1.11")) == "10.0.1.11"


def test_the_first_and_the_last_three_addresses_of_a_vswitch_belong_to_nobody(stage: NetworkStage) -> None:
    def refusal(address: str) -> tuple[int, str]:
        return stage.refusal(
            "CreateNetworkInterface", VSwitchId="vsw-i", SecurityGroupId="sg-a", PrimaryIpAddress=address
        )

    for last in (0, 13, 14, 15):  # of 10.0.2.0/28
        assert refusal(f"10.0.2.{last}") == (403, "InvalidVSwitchId.IpInvalid")
    [shown] = stage.ask("DescribeVSwitches", VSwitchId="vsw-i")["VSwitches"]["VSwitch"]
    assert shown["AvailableIpAddressCount"] == 12
    for _ in range(12):
        stage.new_interface(VSwitchId="vsw-i")
    assert stage.refusal("CreateNetworkInterface", VSwitchId="vsw-i", SecurityGroupId="sg-a") == (
        403,
        "InvalidVSwitchId.IpNotEnough",
    )


def test_an_interface_carries_its_address_from_machine_to_machine_but_not_at_once(stage: NetworkStage) -> None:
    floating = stage.new_interface(PrimaryIpAddress="10.0.1.40")
    stage.ask("AttachNetworkInterface", InstanceId="i-app", NetworkInterfaceId=floating)
    assert stage.refusal("DetachNetworkInterface", InstanceId="i-app", NetworkInterfaceId=floating) == (
        400,
        "InvalidOperation.InvalidEniState",
    )
    stage.advance(10)
    stage.ask("DetachNetworkInterface", InstanceId="i-app", NetworkInterfaceId=floating)
    assert stage.refusal("AttachNetworkInterface", InstanceId="i-old", NetworkInterfaceId=floating) == (
        400,
        "InvalidOperation.InvalidEniState",
    )
    stage.advance(10)
    stage.ask("AttachNetworkInterface", InstanceId="i-old", NetworkInterfaceId=floating)
    stage.advance(10)

    assert stage.ecs.interfaces.addresses_of("i-old") == ["10.0.1.12", "10.0.1.40"]
    assert stage.ecs.interfaces.addresses_of("i-app") == ["10.0.1.11"]


def test_an_interface_of_a_machine_in_the_dark_is_stuck_there(stage: NetworkStage) -> None:
    floating = stage.new_interface()
    stage.ask("AttachNetworkInterface", InstanceId="i-app", NetworkInterfaceId=floating)
    stage.advance(10)
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)
    stage.ask("DetachNetworkInterface", InstanceId="i-app", NetworkInterfaceId=floating)
    stage.advance(3600)

    assert stage.interface(floating)["Status"] == "Detaching"
    stage.cloud.zones.set_dark("cn-hangzhou-h", False)
    assert stage.interface(floating)["Status"] == "Available"


def test_an_eip_survives_its_machine_and_moving_it_leaves_a_gap(stage: NetworkStage) -> None:
    eip = stage.new_eip()
    stage.vpc("AssociateEipAddress", AllocationId=eip, InstanceId="i-app")
    stage.advance(10)
    seen = []
    stage.vpc("UnassociateEipAddress", AllocationId=eip, InstanceId="i-app")
    seen.append(stage.eip(eip)["Status"])
    assert stage.vpc_refusal("AssociateEipAddress", AllocationId=eip, InstanceId="i-old") == (400, "IncorrectEipStatus")
    stage.advance(10)
    seen.append(stage.eip(eip)["Status"])
    stage.vpc("AssociateEipAddress", AllocationId=eip, InstanceId="i-old")
    seen.append(stage.eip(eip)["Status"])
    stage.advance(10)
    seen.append(stage.eip(eip)["Status"])
    assert seen == ["Unassociating", "Available", "Associating", "InUse"]

    stage.ask("DeleteInstance", InstanceId="i-old")
    assert stage.eip(eip)["Status"] == "Available"
    assert stage.eip(eip)["InstanceId"] == ""


def test_an_eip_never_crosses_a_region(stage: NetworkStage) -> None:
    there = stage.cloud.home.sibling("cn-shanghai")
    foreign = stage.ask_in(there, "2016-04-28", "AllocateEipAddress", {})["AllocationId"]
    assert stage.vpc_refusal("AssociateEipAddress", AllocationId=foreign, InstanceId="i-app") == (
        404,
        "InvalidAllocationId.NotFound",
    )
    with pytest.raises(ApiError, match=r"InvalidParameter\.Mismatch"):
        stage.ask_in(there, "2016-04-28", "AssociateEipAddress", {"AllocationId": foreign, "InstanceId": "i-app"})
