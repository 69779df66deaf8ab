"""What happens to a disk or an instance while something else is still under way there."""

import pytest

from tests.emulator.ecs_stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def _release_but_keep_the_data(stage: Stage) -> None:
    stage.ask("ModifyDiskAttribute", DiskId="d-data", DeleteWithInstance="false")
    stage.ask("DeleteInstance", InstanceId="i-app", Force="true")


def test_a_disk_that_outlived_its_instance_while_being_detached_is_detached_from_the_next_one_in_its_own_time(
    stage: Stage,
) -> None:
    stage.ask("DetachDisk", InstanceId="i-app", DiskId="d-data")
    stage.advance(10)
    _release_but_keep_the_data(stage)
    stage.ask("AttachDisk", InstanceId="i-old", DiskId="d-data")
    stage.advance(6)
    stage.ask("DetachDisk", InstanceId="i-old", DiskId="d-data")

    stage.advance(50)  # the first detachment would be over by now
    assert stage.ecs.disks.find("d-data").state == "Detaching"
    stage.advance(10)
    assert stage.ecs.disks.find("d-data").state == "Available"
    assert stage.ecs.disks.of_instance("i-old") == [stage.ecs.disks.find("d-old")]


def test_an_attachment_that_came_to_nothing_does_not_finish_the_next_one(stage: Stage) -> None:
    _release_but_keep_the_data(stage)
    stage.ask("AttachDisk", InstanceId="i-old", DiskId="d-data")
    stage.advance(4)
    stage.ask("DeleteInstance", InstanceId="i-old")
    stage.ask("RunInstances", {
        "ImageId": "m-base", "InstanceType": "ecs.g7.large", "VSwitchId": "vsw-h", "SecurityGroupId": "sg-a",
    })  # fmt: skip
    stage.advance(60)
    [fresh] = stage.ecs.instances
    stage.ask("AttachDisk", InstanceId=fresh, DiskId="d-data")
    stage.events.clear()
    stage.advance(4)
    assert stage.ecs.disks.find("d-data").state == "Attaching"
    assert stage.told() == []


def test_a_disk_that_is_rolled_back_cannot_be_attached_even_when_its_state_does_not_tell(stage: Stage) -> None:
    stage.ecs.contents.shown_while_resetting = None
    snapshot = stage.snapshot()
    stage.advance(60)
    stage.ask("DetachDisk", InstanceId="i-app", DiskId="d-data")
    stage.advance(61)
    stage.ask("ResetDisk", DiskId="d-data", SnapshotId=snapshot)
    attach = {"InstanceId": "i-old", "DiskId": "d-data"}
    assert stage.refusal("AttachDisk", attach) == (403, "IncorrectDiskStatus")
    stage.advance(60)
    assert not stage.ecs.disks.find("d-data").busy
    stage.ask("AttachDisk", attach)


def test_an_instance_whose_system_disk_is_being_taken_off_does_not_start(stage: Stage) -> None:
    stage.ask("DetachDisk", InstanceId="i-old", DiskId="d-old")
    stage.advance(5)
    assert stage.refusal("StartInstance", InstanceId="i-old") == (403, "DiskError")
    stage.advance(60)
    assert stage.refusal("StartInstance", InstanceId="i-old") == (400, "InvalidInstance.NotFoundSystemDisk")


def test_a_data_disk_does_not_take_the_place_of_a_system_disk_that_is_away(stage: Stage) -> None:
    stage.ask("DetachDisk", InstanceId="i-old", DiskId="d-old")
    stage.ask("DetachDisk", InstanceId="i-app", DiskId="d-data")
    stage.advance(61)
    stage.ask("AttachDisk", InstanceId="i-old", DiskId="d-data")
    stage.ask("AttachDisk", InstanceId="i-old", DiskId="d-old", Bootable="true", KeyPairName="k")
    shown = stage.ask("DescribeDisks", InstanceId="i-old")["Disks"]["Disk"]
    assert {disk["DiskId"]: disk["Device"] for disk in shown} == {"d-old": "/dev/xvda", "d-data": "/dev/xvdb"}


@pytest.mark.parametrize("recovers", [True, False])
def test_an_event_of_an_instance_that_is_released_meanwhile_comes_to_an_end(stage: Stage, recovers: bool) -> None:
    stage.ecs.fail("i-app", recovers=recovers)
    stage.advance(5)
    stage.ask("DeleteInstance", InstanceId="i-app", Force="true")
    stage.advance(3600)
    [shown] = stage.ask("DescribeInstanceHistoryEvents")["InstanceSystemEventSet"]["InstanceSystemEventType"]
    assert shown["EventCycleStatus"]["Name"] == "Canceled"
    assert "EventFinishTime" in shown


def test_maintenance_under_way_ends_with_the_instance(stage: Stage) -> None:
    instance = stage.ecs.find_instance("i-app")
    stage.ecs.maintenance.plan(instance, "SystemMaintenance.Stop", stage.cloud.clock.now())
    stage.advance(1)
    assert [event.status for event in stage.ecs.events.all] == ["Executing"]
    stage.ask("DeleteInstance", InstanceId="i-app", Force="true")
    assert [event.status for event in stage.ecs.events.all] == ["Canceled"]
