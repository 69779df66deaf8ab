"""Instances: bought, stopped, failed and in the dark. Every change takes its time and is told."""

from datetime import timedelta

import pytest

from tests.emulator.ecs_stage import Stage

ORDER = {
    "ImageId": "m-base",
    "InstanceType": "ecs.g7.large",
    "SecurityGroupId": "sg-a",
    "VSwitchId": "vsw-h",
    "SystemDisk.Category": "cloud_essd",
}


@pytest.fixture
def stage() -> Stage:
    return Stage()


def run(stage: Stage, **more: object) -> list[str]:
    made: list[str] = stage.ask("RunInstances", {**ORDER, **more})["InstanceIdSets"]["InstanceIdSet"]
    return made


# Buying -------------------------------------------------------------------------------------------------------------


def test_a_new_instance_is_pending_then_starting_then_running(stage: Stage) -> None:
    [made] = run(stage)

    states = [stage.state(made)]
    stage.advance(5)
    states.append(stage.state(made))
    stage.advance(25)
    states.append(stage.state(made))
    assert states == ["Pending", "Starting", "Running"]
    assert stage.told() == [f"Instance:StateChange={state}" for state in states]


def test_a_new_instance_boots_what_its_image_says_with_disks_of_its_own(stage: Stage) -> None:
    image = stage.ask("CreateImage", InstanceId="i-app", ImageName="golden")["ImageId"]
    stage.advance(60)

    [made] = run(stage, ImageId=image)

    instance = stage.ecs.find_instance(made)
    assert instance.guest == {"command": ["run"], "ports": [80], "env": {}}
    assert [(d.kind, d.device, d.size_gib) for d in instance.disks()] == [
        ("system", "/dev/vda", 40),  # max(40, the image's size)
        ("data", "/dev/vdb", 40),
    ]


def test_a_data_disk_of_a_snapshot_has_the_snapshots_size_and_contents(stage: Stage) -> None:
    stage.write("d-data", 1, fill=b"k")
    snapshot = stage.snapshot("d-data")

    [made] = run(
        stage, **{"DataDisk.1.SnapshotId": snapshot, "DataDisk.1.Size": 500, "DataDisk.1.Category": "cloud_essd"}
    )

    disk = stage.ecs.find_instance(made).disks()[1]
    assert (disk.size_gib, disk.volume.read(0, 3)) == (40, b"kkk")


def test_several_instances_take_consecutive_addresses(stage: Stage) -> None:
    made = run(stage, Amount=3, PrivateIpAddress="10.0.1.50")

    assert [stage.ecs.find_instance(one).private_ip for one in made] == ["10.0.1.50", "10.0.1.51", "10.0.1.52"]


def test_nothing_is_bought_when_one_of_the_addresses_is_taken(stage: Stage) -> None:
    given = {**ORDER, "Amount": 3, "PrivateIpAddress": "10.0.1.10"}

    assert stage.refusal("RunInstances", given) == (400, "InvalidPrivateIpAddress.Duplicated")
    assert len(stage.ecs.instances) == 2


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"PrivateIpAddress": "10.0.2.5"}, (400, "InvalidPrivateIpAddress")),
        ({"PrivateIpAddress": "10.0.1.0"}, (400, "InvalidPrivateIpAddress")),
        ({"PrivateIpAddress": "10.0.1.253"}, (400, "InvalidPrivateIpAddress")),
        ({"PrivateIpAddress": "here"}, (400, "InvalidPrivateIpAddress.Malformed")),
        ({"ImageId": "m-nobody"}, (404, "InvalidImageId.NotFound")),
        ({"ImageFamily": "app"}, (400, "UnexpectedImageFamily.ImageIdSupplied")),
        ({"VSwitchId": "vsw-x"}, (404, "InvalidVSwitchId.NotFound")),
        ({"ZoneId": "cn-hangzhou-i"}, (400, "InvalidParameter.Mismatch")),
        ({"SecurityGroupId": "sg-x"}, (400, "InvalidSecurityGroupId.NotFound")),
        ({"InstanceType": ""}, (400, "MissingParameter")),
        ({"SystemDisk.Size": 10}, (404, "InvalidSystemDiskSize.LessThanImageSize")),
        ({"DataDisk.1.SnapshotId": "s-nobody"}, (400, "InvalidSnapshotId.NotFound")),
        ({"UserData": "not base64!"}, (400, "InvalidUserData.Base64FormatInvalid")),
        ({"UserData": "QUFB" * 11_000}, (400, "InvalidUserData.SizeExceeded")),
        ({"ClientToken": "x" * 65}, (400, "InvalidClientToken.ValueNotSupported")),
        ({"SpotStrategy": "SpotAsPriceGo"}, (400, "UnsupportedParameter")),
        ({"DryRun": "True"}, (400, "DryRunOperation")),
    ],
)
def test_orders_that_are_refused(stage: Stage, change: dict[str, object], answer: tuple[int, str]) -> None:
    assert stage.refusal("RunInstances", {**ORDER, **change}) == answer
    assert len(stage.ecs.instances) == 2


def test_fewer_than_asked_but_never_fewer_than_the_minimum(stage: Stage) -> None:
    stage.ecs.set_stock("cn-hangzhou-h", "ecs.g7.large", 2)

    assert stage.refusal("RunInstances", {**ORDER, "Amount": 3}) == (403, "OperationDenied.NoStock")
    assert len(run(stage, Amount=3, MinAmount=2)) == 2
    assert stage.refusal("RunInstances", ORDER) == (403, "OperationDenied.NoStock")


def test_after_no_stock_the_old_token_stays_refused(stage: Stage) -> None:
    stage.ecs.set_stock("cn-hangzhou-h", "ecs.g7.large", 0)
    assert stage.refusal("RunInstances", {**ORDER, "ClientToken": "t1"})[1] == "OperationDenied.NoStock"
    stage.ecs.set_stock("cn-hangzhou-h", "ecs.g7.large", None)

    assert stage.refusal("RunInstances", {**ORDER, "ClientToken": "t1"})[1] == "OperationDenied.NoStock"
    assert run(stage, ClientToken="t2") == run(stage, ClientToken="t2")


def test_a_vswitch_runs_out_of_addresses(stage: Stage) -> None:
    given = {**ORDER, "VSwitchId": "vsw-i"}
    stage.ask("RunInstances", given, Amount=12)

    assert stage.refusal("RunInstances", given) == (403, "QuotaExceeded.PrivateIpAddress")


def test_a_released_address_may_stay_taken_for_a_while(stage: Stage) -> None:
    stage.ecs.network.release_delay = timedelta(minutes=2)
    stage.ask("DeleteInstance", InstanceId="i-app", Force="true")

    assert stage.refusal("RunInstances", {**ORDER, "PrivateIpAddress": "10.0.1.11"})[1].endswith("Duplicated")
    stage.advance(121)
    assert run(stage, PrivateIpAddress="10.0.1.11")


# Stopping and starting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", ["true", "false"])
def test_a_stop_takes_ten_to_forty_seconds(stage: Stage, force: str) -> None:
    stage.ask("StopInstance", InstanceId="i-app", ForceStop=force)

    stage.advance(9)
    assert stage.state("i-app") == "Stopping"
    stage.advance(32)
    assert stage.state("i-app") == "Stopped"
    assert stage.ecs.find_instance("i-app").stop_is_forced is (force == "true")


def test_a_machine_given_back_may_not_come_back(stage: Stage) -> None:
    stage.ecs.default_stop_mode = "StopCharging"
    stage.ask("StopInstance", InstanceId="i-app")
    stage.advance(60)
    stage.ecs.set_stock("cn-hangzhou-h", "ecs.g7.large", 0)

    assert stage.refusal("StartInstance", InstanceId="i-app") == (403, "OperationDenied.NoStock")


def test_a_restart_shows_starting_at_once(stage: Stage) -> None:
    stage.ask("RebootInstance", InstanceId="i-app")
    assert stage.state("i-app") == "Starting"
    stage.advance(30)
    assert stage.state("i-app") == "Running"


@pytest.mark.parametrize(
    ("action", "instance", "answer"),
    [
        ("StartInstance", "i-app", (403, "IncorrectInstanceStatus")),
        ("StopInstance", "i-old", (403, "IncorrectInstanceStatus")),
        ("RebootInstance", "i-old", (403, "IncorrectInstanceStatus")),
        ("DeleteInstance", "i-app", (403, "IncorrectInstanceStatus")),
        ("StopInstance", "i-nobody", (404, "InvalidInstanceId.NotFound")),
    ],
)
def test_what_does_not_fit_the_state_is_refused(
    stage: Stage, action: str, instance: str, answer: tuple[int, str]
) -> None:
    assert stage.refusal(action, InstanceId=instance) == answer


def test_deleting_frees_the_address_and_keeps_disks_that_are_to_be_kept(stage: Stage) -> None:
    stage.ask("DeleteInstance", InstanceId="i-app", Force="true")

    assert stage.state("i-app") == "gone"
    assert [d["DiskId"] for d in stage.ask("DescribeDisks", Status="Available")["Disks"]["Disk"]] == ["d-data"]
    assert stage.told()[-1] == "Instance:StateChange=Deleted"
    assert run(stage, PrivateIpAddress="10.0.1.11")


def test_a_protected_instance_is_not_deleted(stage: Stage) -> None:
    stage.ask("ModifyInstanceAttribute", InstanceId="i-app", DeletionProtection="True")

    assert stage.refusal("DeleteInstance", InstanceId="i-app", Force="true")[1] == "InvalidOperation.DeletionProtection"


# Failing ------------------------------------------------------------------------------------------------------------


def test_the_platform_restarts_a_failed_hosts_instance_within_five_minutes(stage: Stage) -> None:
    stage.ecs.fail("i-app", recovers=True)
    assert stage.told()[0] == "Instance:SystemFailure.Reboot:Executing"
    assert stage.state("i-app") != "Running"

    stage.advance(119)
    assert stage.state("i-app") != "Running"
    stage.advance(182)

    assert stage.state("i-app") == "Running"
    assert stage.told()[-1] == "Instance:SystemFailure.Reboot:Executed"
    assert stage.events[0].content["eventId"] == stage.events[-1].content["eventId"]


def test_or_gives_up_and_leaves_it_stopped(stage: Stage) -> None:
    stage.ecs.fail("i-app", recovers=False)
    stage.advance(299)
    assert stage.state("i-app") == "Stopping"
    stage.advance(2)

    assert stage.state("i-app") == "Stopped"
    assert "Instance:SystemFailure.Reboot:Failed" in stage.told()


def test_a_failed_instance_can_be_stopped_for_good(stage: Stage) -> None:
    stage.ecs.fail("i-app", recovers=True)
    stage.ask("StopInstance", InstanceId="i-app", ForceStop="true")
    stage.advance(600)

    assert stage.state("i-app") == "Stopped"  # and the platform's restart no longer comes


def test_only_finished_events_are_listed_unless_asked(stage: Stage) -> None:
    stage.ecs.fail("i-app", recovers=True)

    def listed(**more: str) -> list[str]:
        answer = stage.ask("DescribeInstanceHistoryEvents", {"InstanceId": "i-app", **more})
        return [e["EventCycleStatus"]["Name"] for e in answer["InstanceSystemEventSet"]["InstanceSystemEventType"]]

    assert listed() == []
    assert listed(**{"InstanceEventCycleStatus.1": "Executing"}) == ["Executing"]
    [full] = stage.ask("DescribeInstancesFullStatus", {"InstanceId.1": "i-app"})["InstanceFullStatusSet"][
        "InstanceFullStatusType"
    ]
    assert full["HealthStatus"]["Name"] == "Impaired"
    stage.advance(301)
    assert listed() == ["Executed"]


def test_simulated_events_change_nothing_but_are_told(stage: Stage) -> None:
    stage.ask(
        "CreateSimulatedSystemEvents",
        {"InstanceId.1": "i-app", "EventType": "SystemFailure.Reboot", "NotBefore": "2026-03-02T00:10:00Z"},
    )
    assert stage.told() == ["Instance:SystemFailure.Reboot:Executing"]
    stage.advance(600)
    assert stage.told()[-1] == "Instance:SystemFailure.Reboot:Executed"
    assert stage.state("i-app") == "Running"


# In the dark --------------------------------------------------------------------------------------------------------


def test_an_instance_in_a_dark_zone_goes_on_saying_running(stage: Stage) -> None:
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)
    stage.advance(86_400)

    assert stage.state("i-app") == "Running"


def test_a_stop_sent_into_the_dark_stays_stopping_until_the_zone_is_heard(stage: Stage) -> None:
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)
    stage.ask("StopInstance", InstanceId="i-app", ForceStop="true")
    stage.advance(86_400)
    assert stage.state("i-app") == "Stopping"

    stage.cloud.zones.set_dark("cn-hangzhou-h", False)
    assert stage.state("i-app") == "Stopped"


# Shapes -------------------------------------------------------------------------------------------------------------


def test_instance_times_have_no_seconds(stage: Stage) -> None:
    [shown] = stage.ask("DescribeInstances", InstanceIds='["i-app"]')["Instances"]["Instance"]

    assert shown["CreationTime"] == "2026-03-02T00:00Z"


def test_tags_of_many_resources_are_listed_line_by_line(stage: Stage) -> None:
    stage.ask("TagResources", {"ResourceType": "disk", "ResourceId.1": "d-sys", "Tag.1.Key": "a", "Tag.1.Value": "b"})
    stage.ask("TagResources", {"ResourceType": "disk", "ResourceId.1": "d-sys", "Tag.1.Key": "a", "Tag.1.Value": "c"})

    lines = stage.ask("ListTagResources", {"ResourceType": "disk", "ResourceId.1": "d-sys"})["TagResources"][
        "TagResource"
    ]
    assert [line for line in lines if line["TagKey"] == "a"] == [
        {"ResourceId": "d-sys", "ResourceType": "disk", "TagKey": "a", "TagValue": "c"}
    ]
    stage.ask("UntagResources", {"ResourceType": "disk", "ResourceId.1": "d-sys", "TagKey.1": "a"})
    assert stage.ask("ListTagResources", {"ResourceType": "disk", "Tag.1.Key": "a"})["TagResources"] == {
        "TagResource": []
    }
