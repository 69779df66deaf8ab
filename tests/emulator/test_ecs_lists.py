"""What lists of instances, disks, types, places and tasks show, and which filters they take."""

from base64 import b64encode
from typing import Any

import pytest

from tests.emulator.ecs_stage import Stage
from tests.emulator.test_traps_compute import ORDER, run


@pytest.fixture(scope="module")
def stage() -> Stage:
    """One world that nobody changes after this."""
    world = Stage()
    made = run(
        world, InstanceType="ecs.c7.xlarge", InstanceName="extra", InternetMaxBandwidthOut=5, RamRoleName="agent",
        UserData=b64encode(b"#!/bin/sh").decode(), ResourceGroupId="rg-1", VSwitchId="vsw-i",
        **{"DataDisk.1.Size": 500, "DataDisk.1.Category": "cloud_essd", "DataDisk.1.PerformanceLevel": "PL2"},
    )  # fmt: skip
    world.advance(60)
    world.ask("ModifyDiskAttribute", {"DiskIds.1": "d-data", "DiskName": "data", "DeleteAutoSnapshot": "false"})
    world.extra = made[0]  # type: ignore[attr-defined]
    return world


def instances(stage: Stage, **given: str) -> list[str]:
    return [i["InstanceName"] for i in stage.ask("DescribeInstances", given)["Instances"]["Instance"]]


def disks(stage: Stage, **given: str) -> set[str]:
    found = stage.ask("DescribeDisks", given)["Disks"]["Disk"]
    return {d["DiskId"] if len(d["DiskId"]) < 10 else "new" for d in found}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ["extra", "old", "app"]),  # newest first
        ({"InstanceName": "ext*"}, ["extra"]),
        ({"InstanceName": "*p*"}, ["app"]),
        ({"Status": "Stopped"}, ["old"]),
        ({"InstanceTypeFamily": "ecs.c7"}, ["extra"]),
        ({"ZoneId": "cn-hangzhou-i"}, ["extra"]),
        ({"ResourceGroupId": "rg-1"}, ["extra"]),
        ({"PrivateIpAddresses": '["10.0.1.11", "10.0.1.12"]'}, ["old", "app"]),
        ({"InstanceIds": "[]"}, []),
        ({"InstanceChargeType": "PrePaid"}, []),
        ({"LockReason": "security"}, []),
        ({"Tag.1.Key": "role"}, ["app"]),
        ({"Tag.1.Key": "role", "Tag.1.Value": "db"}, []),
        ({"Filter.1.Key": "CreationEndTime", "Filter.1.Value": "2026-03-01T00:00Z"}, []),
    ],
)
def test_instances_are_found_by(stage: Stage, given: dict[str, str], names: list[str]) -> None:
    assert instances(stage, **given) == names


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"DiskType": "system"}, {"d-sys", "d-old", "new"}),
        ({"Category": "cloud_efficiency"}, {"d-old"}),
        ({"PerformanceLevel": "PL2"}, {"new"}),
        ({"InstanceId": "i-app"}, {"d-sys", "d-data"}),
        ({"DiskName": "data"}, {"d-data"}),
        ({"DeleteAutoSnapshot": "false"}, {"d-data"}),
        ({"DeleteWithInstance": "false"}, {"d-data"}),
        ({"Portable": "true"}, {"d-data", "new"}),
        ({"Encrypted": "true"}, set()),
        ({"Status": "Available"}, set()),
        ({"EnableAutomatedSnapshotPolicy": "true"}, set()),
        ({"DiskIds": "[]"}, set()),
    ],
)
def test_disks_are_found_by(stage: Stage, given: dict[str, str], found: set[str]) -> None:
    assert disks(stage, **given) == found


@pytest.mark.parametrize(
    ("action", "given", "answer"),
    [
        ("DescribeInstances", {"InstanceIds": "i-app"}, (403, "InvalidInstanceIds.Malformed")),
        ("DescribeInstances", {"Filter.1.Key": "Colour"}, (404, "InvalidFilterKey.NotFound")),
        ("DescribeInstances", {"NextToken": "of-my-own"}, (400, "InvalidParameter.NextToken")),
        ("DescribeInstanceStatus", {"PageSize": "51"}, (400, "InvalidParameter")),
        ("DescribeInstanceStatus", {f"InstanceId.{n}": "i" for n in range(1, 102)}, (400, "InvalidParameter")),
        ("DescribeInstancesFullStatus", {"HealthStatus": "impaired"}, (400, "InvalidHealthStatus")),
        ("DescribeAvailableResource", {"DestinationResource": "Moon"}, (400, "InvalidParameter")),
        ("DescribeAvailableResource", {"DestinationResource": "SystemDisk"}, (400, "MissingParameter")),
        ("ModifyDiskAttribute", {"DiskId": "d-sys", "DiskIds.1": "d-sys"}, (400, "InvalidParameter")),
        ("RunInstances", {**ORDER, "InstanceChargeType": "PrePaid"}, (400, "UnsupportedParameter")),
        ("RunInstances", {**ORDER, "InstanceType": "t2.micro"}, (400, "InvalidInstanceType.ValueNotSupported")),
        ("RunInstances", {**ORDER, "HostName": "a_b"}, (400, "InvalidHostName.Malformed")),
    ],
)
def test_questions_that_are_refused(stage: Stage, action: str, given: dict[str, Any], answer: tuple[int, str]) -> None:
    assert stage.refusal(action, given) == answer


def test_one_instance_in_the_older_shape(stage: Stage) -> None:
    extra = stage.extra  # type: ignore[attr-defined]
    answer = stage.ask("DescribeInstanceAttribute", InstanceId=extra)

    assert (answer["IoOptimized"], answer["Cpu"], answer["Memory"]) == ("optimized", 4, 8_192)
    assert len(answer["PublicIpAddress"]["IpAddress"]) == 1
    assert stage.ask("DescribeUserData", InstanceId=extra)["UserData"] == b64encode(b"#!/bin/sh").decode()
    roles = stage.ask("DescribeInstanceRamRole", RamRoleName="agent")["InstanceRamRoleSets"]["InstanceRamRoleSet"]
    assert roles == [{"InstanceId": extra, "RamRoleName": "agent"}]


def test_every_endpoint_knows_every_region(stage: Stage) -> None:
    for region in stage.cloud.regions:
        answer = stage.ask_in(stage.cloud.home.sibling(region), "2014-05-26", "DescribeRegions", {})
        assert [one["RegionId"] for one in answer["Regions"]["Region"]] == list(stage.cloud.regions)


def test_zones_write_some_keys_in_lower_case(stage: Stage) -> None:
    zones = stage.ask("DescribeZones")["Zones"]["Zone"]

    assert [zone["ZoneId"] for zone in zones] == ["cn-hangzhou-h", "cn-hangzhou-i"]
    assert (
        "ecs.g7.large" in zones[0]["AvailableResources"]["ResourcesInfo"][0]["InstanceTypes"]["supportedInstanceType"]
    )


def test_types_are_told_by_name_with_their_size(stage: Stage) -> None:
    asked = {"InstanceTypes.1": "ecs.r7.2xlarge", "InstanceTypes.2": "ecs.u1-c1m2.large", "InstanceTypes.3": "t2"}
    found = stage.ask("DescribeInstanceTypes", asked)["InstanceTypes"]["InstanceType"]

    assert [(one["CpuCoreCount"], one["MemorySize"]) for one in found] == [(8, 64.0), (2, 4.0)]


def test_low_stock_reads_differently_from_none(stage: Stage) -> None:
    stage.ecs.set_stock("cn-hangzhou-i", "ecs.c7.large", 3)
    asked = {"DestinationResource": "InstanceType", "InstanceType": "ecs.c7.large", "ZoneId": "cn-hangzhou-i"}
    [zone] = stage.ask("DescribeAvailableResource", asked)["AvailableZones"]["AvailableZone"]

    [resource] = zone["AvailableResources"]["AvailableResource"]
    assert resource["SupportedResources"]["SupportedResource"] == [
        {"Value": "ecs.c7.large", "Status": "Available", "StatusCategory": "ClosedWithStock"}
    ]


def test_a_redeployment_is_a_task_and_avoids_the_maintenance() -> None:
    stage = Stage()
    assert stage.refusal("RedeployInstance", InstanceId="i-app", ForceStop="true") == (403, "InvalidParameter")
    given = {"InstanceId.1": "i-app", "EventType": "SystemMaintenance.Redeploy", "NotBefore": "2026-03-04T00:00:00Z"}
    stage.ask("CreateSimulatedSystemEvents", given)

    task = stage.ask("RedeployInstance", InstanceId="i-app", ForceStop="true")["TaskId"]

    [listed] = stage.ask("DescribeTasks", TaskIds=task)["TaskSet"]["Task"]
    assert (listed["TaskAction"], listed["TaskStatus"], listed["SupportCancel"]) == (
        "RedeployInstance",
        "Finished",
        "false",
    )
    assert stage.told()[-1] == "Instance:StateChange=Starting"
    assert "Instance:SystemMaintenance.Redeploy:Avoided" in stage.told()


@pytest.mark.parametrize(
    ("kind", "id"),
    [
        ("instance", "i-app"), ("disk", "d-sys"), ("image", "m-base"), ("securitygroup", "sg-a"), ("eni", "eni-app"),
    ],
)  # fmt: skip
def test_every_type_of_resource_can_be_tagged(kind: str, id: str) -> None:
    stage = Stage()
    one = {"ResourceType": kind, "ResourceId.1": id}
    stage.ask("TagResources", {**one, "Tag.1.Key": "a", "Tag.1.Value": "b"})

    lines = stage.ask("ListTagResources", {**one, "Tag.1.Key": "a"})["TagResources"]["TagResource"]
    assert {line["ResourceId"] for line in lines} == {id}
    stage.ask("UntagResources", {**one, "All": "true"})
    assert stage.ask("ListTagResources", one)["TagResources"]["TagResource"] == []


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"ResourceType": "moon", "ResourceId.1": "m"}, (404, "InvalidResourceType.NotFound")),
        ({"ResourceType": "disk", "ResourceId.1": "d-nobody"}, (404, "InvalidResourceId.NotFound")),
        ({"ResourceType": "disk", **{f"ResourceId.{n}": "d-sys" for n in range(1, 52)}}, (400, "InvalidParameter")),
        (
            {
                "ResourceType": "disk", "ResourceId.1": "d-sys",
                **{f"Tag.{n}.Key": f"k{n}" for n in range(2, 23)},
            },
            (403, "QuotaExceed.Tags"),
        ),
    ],
)  # fmt: skip
def test_tags_that_are_refused(stage: Stage, given: dict[str, str], answer: tuple[int, str]) -> None:
    assert stage.refusal("TagResources", {**given, "Tag.1.Key": "a", "Tag.1.Value": "b"}) == answer
