"""Every field that the emulator answers exists in the official SDK's own response model."""

from typing import Any

import pytest
from alibabacloud_ecs20140526 import models

from tests.emulator.ecs_stage import Stage

RUN = {
    "ImageId": "m-base",
    "InstanceType": "ecs.g7.large",
    "SecurityGroupId": "sg-a",
    "VSwitchId": "vsw-h",
    "Tag.1.Key": "k",
}


def leaves(tree: Any, path: str = "") -> set[str]:
    """Paths of all values, lists flattened; empty lists and objects are values."""
    if isinstance(tree, dict) and tree:
        return {leaf for key, value in tree.items() for leaf in leaves(value, f"{path}.{key}")}
    if isinstance(tree, list) and tree:
        return {leaf for item in tree for leaf in leaves(item, path + "[]")}
    return {path}


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """One full answer of each operation."""
    stage = Stage()
    snapshot = stage.snapshot(SnapshotName="one", RetentionDays=9, **{"Tag.1.Key": "k", "Tag.1.Value": "v"})
    group = stage.ask("CreateSnapshotGroup", {"InstanceId": "i-app", "Name": "grp", "Tag.1.Key": "k"})
    image = stage.ask(
        "CreateImage", {"InstanceId": "i-app", "ImageName": "img", "ImageFamily": "fam", "Tag.1.Key": "k"}
    )
    disk = stage.ask("CreateDisk", ZoneId="cn-hangzhou-h", Size=20, DiskCategory="cloud_essd")
    run = stage.ask("RunInstances", RUN)
    tag = {"ResourceType": "disk", "ResourceId.1": "d-sys", "Tag.1.Key": "k"}
    found: dict[str, dict[str, Any]] = {
        "CreateSnapshot": {"SnapshotId": snapshot},
        "CreateSnapshotGroup": group,
        "CreateImage": image,
        "CreateDisk": disk,
        "RunInstances": run,
        "TagResources": stage.ask("TagResources", tag),
        "ListTagResources": stage.ask("ListTagResources", tag),
    }
    stage.advance(120)
    stage.ecs.fail("i-app", recovers=True)
    found["DescribeInstancesFullStatus"] = stage.ask("DescribeInstancesFullStatus")
    stage.advance(400)
    simulated = {"InstanceId.1": "i-app", "EventType": "SystemMaintenance.Stop", "NotBefore": "2026-03-09T00:00:00Z"}
    found["CreateSimulatedSystemEvents"] = stage.ask("CreateSimulatedSystemEvents", simulated)
    found["DescribeInstanceHistoryEvents"] = stage.ask("DescribeInstanceHistoryEvents", InstanceId="i-app")
    for action in (
        "DescribeSnapshots", "DescribeSnapshotGroups", "DescribeDisks", "DescribeImages", "DescribeInstances",
        "DescribeInstanceStatus", "DescribeRegions", "DescribeZones",
    ):  # fmt: skip
        found[action] = stage.ask(action)
    found["DescribeImageFromFamily"] = stage.ask("DescribeImageFromFamily", ImageFamily="fam")
    found["StopInstance"] = stage.ask("StopInstance", InstanceId="i-app")
    found["DeleteSnapshotGroup"] = stage.ask("DeleteSnapshotGroup", SnapshotGroupId=group["SnapshotGroupId"])
    found["DeleteSnapshot"] = stage.ask("DeleteSnapshot", SnapshotId=snapshot)
    found["DeleteImage"] = stage.ask("DeleteImage", ImageId=image["ImageId"])
    return found


@pytest.mark.parametrize(
    "action",
    [
        "CreateSnapshot", "CreateSnapshotGroup", "CreateImage", "CreateDisk", "RunInstances", "TagResources",
        "ListTagResources", "DescribeInstancesFullStatus", "CreateSimulatedSystemEvents",
        "DescribeInstanceHistoryEvents", "DescribeSnapshots", "DescribeSnapshotGroups", "DescribeDisks",
        "DescribeImages", "DescribeInstances", "DescribeInstanceStatus", "DescribeRegions", "DescribeZones",
        "DescribeImageFromFamily", "StopInstance", "DeleteSnapshotGroup", "DeleteSnapshot", "DeleteImage",
    ],
)  # fmt: skip
def test_the_sdk_knows_every_field(answers: dict[str, dict[str, Any]], action: str) -> None:
    answer = {**answers[action], "RequestId": "r"}

    known = getattr(models, f"{action}ResponseBody")().from_map(answer).to_map()

    assert leaves(answer) <= leaves(known)
