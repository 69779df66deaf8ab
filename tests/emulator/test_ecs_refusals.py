"""A call that is refused has had no effect: not on the half that was fine either."""

import pytest

from tests.emulator.ecs_stage import Stage

ORDER = {"ImageId": "m-base", "InstanceType": "ecs.g7.large", "VSwitchId": "vsw-i", "SecurityGroupId": "sg-a"}


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_an_order_for_more_machines_than_the_vswitch_has_addresses_buys_none(stage: Stage) -> None:
    stage.ecs.set_stock("cn-hangzhou-i", "ecs.g7.large", 50)
    vswitch = stage.ecs.network.vswitch("vsw-i")
    free = stage.ecs.network.free_addresses(vswitch)
    before = (set(stage.ecs.instances), set(stage.ecs.disks.shelf.by_id))

    assert stage.refusal("RunInstances", ORDER, Amount=free + 1) == (403, "QuotaExceeded.PrivateIpAddress")
    assert (set(stage.ecs.instances), set(stage.ecs.disks.shelf.by_id)) == before
    assert stage.ecs.buying.stock.left == {("cn-hangzhou-i", "ecs.g7.large"): 50}
    assert not vswitch.used

    assert stage.refusal("RunInstances", ORDER, Amount=free + 1, DryRun="true")[1] == "QuotaExceeded.PrivateIpAddress"
    made = stage.ask("RunInstances", ORDER, Amount=free)["InstanceIdSets"]["InstanceIdSet"]
    assert len(made) == free


def test_an_order_whose_disks_and_the_images_are_too_many_together_buys_nothing(stage: Stage) -> None:
    system, data = stage.snapshot("d-sys"), stage.snapshot("d-data")
    stage.advance(600)
    mappings = {f"DiskDeviceMapping.{number}.SnapshotId": data for number in range(2, 12)}
    image = stage.ask("CreateImage", {"DiskDeviceMapping.1.SnapshotId": system, **mappings})["ImageId"]
    stage.advance(60)
    order = {**ORDER, "ImageId": image, **{f"DataDisk.{number}.Size": 20 for number in range(1, 8)}}
    before = set(stage.ecs.instances)
    assert stage.refusal("RunInstances", order) == (403, "InstanceDiskNumLimitExceed")
    assert set(stage.ecs.instances) == before

    del order["DataDisk.7.Size"]
    [made] = stage.ask("RunInstances", order)["InstanceIdSets"]["InstanceIdSet"]
    devices = [disk.device for disk in stage.ecs.disks.of_instance(made)]
    assert len(set(devices)) == len(devices) == 17


def test_an_absurd_amount_is_refused_for_what_it_is(stage: Stage) -> None:
    refused = stage.refusal("RunInstances", ORDER, InstanceName="web-[1,3]", Amount=10**17)
    assert refused == (403, "InvalidAmount")


def test_one_wrong_attribute_of_an_instance_changes_none(stage: Stage) -> None:
    change = {"InstanceId": "i-app", "InstanceName": "other", "HostName": "other", "DeletionProtection": "perhaps"}
    assert stage.refusal("ModifyInstanceAttribute", change) == (400, "InvalidParameter")
    [shown] = stage.ask("DescribeInstances", InstanceIds='["i-app"]')["Instances"]["Instance"]
    assert (shown["InstanceName"], shown["HostName"] == "other") == ("app", False)


def test_a_token_used_for_another_resource_group_moves_no_disk(stage: Stage) -> None:
    order = {"ZoneId": "cn-hangzhou-h", "Size": 20, "DiskCategory": "cloud_essd", "ClientToken": "t"}
    disk = stage.ask("CreateDisk", order, ResourceGroupId="rg-1")["DiskId"]
    assert stage.ask("CreateDisk", order, ResourceGroupId="rg-1")["DiskId"] == disk
    assert stage.refusal("CreateDisk", order, ResourceGroupId="rg-2") == (403, "IdempotentParameterMismatch")
    assert stage.ecs.disks.find(disk).resource_group == "rg-1"


def test_disks_without_a_device_keep_off_those_that_are_named(stage: Stage) -> None:
    disks = {"DataDisk.1.Size": 20, "DataDisk.2.Size": 30, "DataDisk.2.Device": "/dev/xvdb"}
    [made] = stage.ask("RunInstances", ORDER, **disks)["InstanceIdSets"]["InstanceIdSet"]
    devices = {disk.size_gib: disk.device for disk in stage.ecs.disks.of_instance(made) if disk.kind == "data"}
    assert devices == {20: "/dev/vdc", 30: "/dev/vdb"}

    twice = {**disks, "DataDisk.1.Device": "/dev/xvdb"}
    assert stage.refusal("RunInstances", ORDER, **twice) == (400, "InvalidDevice.InUse")
