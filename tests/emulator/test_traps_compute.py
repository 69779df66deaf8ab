"""The traps of instances and disks: each one of the cloud's habits that a careful program must survive, sprung."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from emulator.ecs import operation_locks
from emulator.testing import Local, mock_aliyun
from tests.emulator.ecs_stage import Stage

ORDER = {
    "ImageId": "m-base",
    "InstanceType": "ecs.g7.large",
    "SecurityGroupId": "sg-a",
    "VSwitchId": "vsw-h",
    "SystemDisk.Category": "cloud_essd",
}
POOL = ("cn-hangzhou-h", "ecs.g7.large")


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun() as served:
        yield served


def run(stage: Stage, **more: object) -> list[str]:
    made: list[str] = stage.ask("RunInstances", {**ORDER, **more})["InstanceIdSets"]["InstanceIdSet"]
    return made


def shown(stage: Stage, instance: str) -> dict[str, Any]:
    [found] = stage.ask("DescribeInstances", InstanceIds=f'["{instance}"]')["Instances"]["Instance"]
    return dict(found)


def disk(stage: Stage, id: str) -> dict[str, Any]:
    [found] = stage.ask("DescribeDisks", DiskIds=f'["{id}"]')["Disks"]["Disk"]
    return dict(found)


def history(stage: Stage, instance: str, *states: str) -> list[tuple[str, str]]:
    given = {f"InstanceEventCycleStatus.{n}": state for n, state in enumerate(states, 1)}
    found = stage.ask("DescribeInstanceHistoryEvents", {"InstanceId": instance, **given})
    return [
        (event["EventType"]["Name"], event["EventCycleStatus"]["Name"])
        for event in found["InstanceSystemEventSet"]["InstanceSystemEventType"]
    ]


def stop(stage: Stage, instance: str = "i-app", **more: object) -> None:
    stage.ask("StopInstance", {"InstanceId": instance, **more})
    stage.advance(60)
    assert stage.state(instance) == "Stopped"


# Stock ------------------------------------------------------------------------------------------------------------


def test_a_shortage_may_be_a_success_whose_instance_disappears(stage: Stage) -> None:
    stage.ecs.buying.stock.vanish(*POOL)

    [made] = run(stage, ClientToken="t1")
    assert stage.state(made) == "Pending"
    stage.advance(60)

    assert stage.state(made) == "gone"
    assert history(stage, made) == [("SystemFailure.Delete", "Executed")]
    assert "Instance:SystemFailure.Delete:Executing" in stage.told()
    assert run(stage, ClientToken="t1") == [made]  # the token goes on naming what is gone
    assert not [d for d in stage.ecs.disks.shelf if d.instance_id == made]


def test_nothing_announces_that_an_instance_will_disappear(stage: Stage) -> None:
    stage.ecs.buying.stock.vanish(*POOL)
    stage.ecs.set_stock("cn-hangzhou-i", "ecs.g7.large", 0)

    asked = stage.ask("DescribeAvailableResource", DestinationResource="InstanceType", InstanceType="ecs.g7.large")

    states = {
        zone["ZoneId"]: zone["AvailableResources"]["AvailableResource"][0]["SupportedResources"]["SupportedResource"]
        for zone in asked["AvailableZones"]["AvailableZone"]
    }
    assert states["cn-hangzhou-h"][0]["StatusCategory"] == "WithStock"
    assert states["cn-hangzhou-i"][0]["StatusCategory"] == "WithoutStock"


def test_a_refusal_for_lack_of_stock_uses_nothing_up(stage: Stage) -> None:
    stage.ecs.set_stock(*POOL, 2)

    assert stage.refusal("RunInstances", {**ORDER, "Amount": 3, "MinAmount": 3}) == (403, "OperationDenied.NoStock")
    assert stage.ecs.lifecycle.stock[POOL] == 2
    assert len(run(stage, Amount=5, MinAmount=1)) == 2


def test_an_economical_stop_gives_the_machine_away_once(stage: Stage) -> None:
    stage.ecs.set_stock(*POOL, 0)
    stop(stage, StoppedMode="StopCharging")
    assert stage.ecs.lifecycle.stock[POOL] == 1

    stage.ask("DeleteInstance", InstanceId="i-app")

    assert stage.ecs.lifecycle.stock[POOL] == 1


# Stop modes -------------------------------------------------------------------------------------------------------


def test_the_accounts_default_stop_is_the_economical_one_unless_the_call_says_otherwise(stage: Stage) -> None:
    stage.ecs.default_stop_mode = "StopCharging"
    stop(stage)
    assert shown(stage, "i-app")["StoppedMode"] == "StopCharging"
    stage.ask("StartInstance", InstanceId="i-app")
    stage.advance(60)

    stop(stage, StoppedMode="KeepCharging")

    assert shown(stage, "i-app")["StoppedMode"] == "KeepCharging"


def test_a_static_public_address_changes_over_an_economical_stop_and_the_private_one_does_not(stage: Stage) -> None:
    [made] = run(stage, InternetMaxBandwidthOut=5)
    stage.advance(60)
    before = shown(stage, made)

    stop(stage, made, StoppedMode="StopCharging")
    assert shown(stage, made)["PublicIpAddress"]["IpAddress"] == []
    stage.ask("StartInstance", InstanceId=made)
    stage.advance(60)
    after = shown(stage, made)

    assert after["PublicIpAddress"]["IpAddress"] not in ([], before["PublicIpAddress"]["IpAddress"])
    assert after["VpcAttributes"] == before["VpcAttributes"]


# Batches ----------------------------------------------------------------------------------------------------------


def test_all_together_means_none_when_one_cannot(stage: Stage) -> None:
    both = {"InstanceId.1": "i-app", "InstanceId.2": "i-old"}  # the second is stopped already

    assert stage.refusal("StopInstances", both) == (403, "IncorrectInstanceStatus")
    assert stage.state("i-app") == "Running"


def test_a_shortage_in_the_middle_of_a_batch_undoes_what_was_started(stage: Stage) -> None:
    [second] = run(stage)
    stage.advance(60)
    for one in ("i-app", second):
        stop(stage, one, StoppedMode="StopCharging")
    stage.ecs.set_stock(*POOL, 1)

    both = {"InstanceId.1": "i-app", "InstanceId.2": second}
    assert stage.refusal("StartInstances", both) == (403, "OperationDenied.NoStock")

    assert (stage.state("i-app"), stage.state(second)) == ("Stopped", "Stopped")
    assert stage.ecs.lifecycle.stock[POOL] == 1
    stage.advance(60)
    assert stage.state("i-app") == "Stopped"  # nor does it start later


def test_success_first_is_a_success_that_tells_who_failed(stage: Stage) -> None:
    given = {"InstanceId.1": "i-app", "InstanceId.2": "i-old", "InstanceId.3": "i-nobody"}
    answer = stage.ask("StopInstances", given, BatchOptimization="SuccessFirst")

    lines = {one["InstanceId"]: one for one in answer["InstanceResponses"]["InstanceResponse"]}
    assert {one: line["Code"] for one, line in lines.items()} == {
        "i-app": "200",
        "i-old": "IncorrectInstanceStatus",
        "i-nobody": "InvalidInstanceId.NotFound",
    }
    assert (lines["i-app"]["PreviousStatus"], lines["i-app"]["CurrentStatus"]) == ("Running", "Stopping")


def test_deleting_many_deletes_all_or_none(stage: Stage) -> None:
    both = {"InstanceId.1": "i-old", "InstanceId.2": "i-app"}
    assert stage.refusal("DeleteInstances", both) == (403, "IncorrectInstanceStatus")
    assert stage.state("i-old") == "Stopped"

    stage.ask("DeleteInstances", both, Force="true", ClientToken="t1")
    stage.ask("DeleteInstances", both, Force="true", ClientToken="t1")  # the same token: nothing left to refuse

    assert (stage.state("i-old"), stage.state("i-app")) == ("gone", "gone")


# Dry runs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "given", "code"),
    [
        ("RunInstances", ORDER, "DryRunOperation"),
        ("StopInstance", {"InstanceId": "i-app"}, "DryRunOperation"),
        ("StartInstance", {"InstanceId": "i-old"}, "DryRunOperation"),
        ("RebootInstance", {"InstanceId": "i-app"}, "DryRunOperation"),
        ("DeleteInstance", {"InstanceId": "i-old"}, "DryRunOperation"),
        ("DescribeInstances", {}, "DryRunOperation"),
        ("DescribeDisks", {}, "DryRunOperation"),
        ("StopInstances", {"InstanceId.1": "i-app"}, "DRYRUN.SUCCESS"),
        ("StartInstances", {"InstanceId.1": "i-old"}, "DRYRUN.SUCCESS"),
        ("DeleteInstances", {"InstanceId.1": "i-app"}, "DRYRUN.SUCCESS"),  # it does not look at states
    ],
)
def test_the_success_of_a_dry_run_is_an_error(stage: Stage, action: str, given: dict[str, str], code: str) -> None:
    assert stage.refusal(action, given, DryRun="true") == (400, code)
    assert (stage.state("i-app"), stage.state("i-old"), len(stage.ecs.shelf)) == ("Running", "Stopped", 2)


@pytest.mark.parametrize(
    ("action", "given", "code"),
    [
        ("RunInstances", {**ORDER, "PrivateIpAddress": "10.0.1.11"}, "InvalidPrivateIpAddress.Duplicated"),
        ("StopInstance", {"InstanceId": "i-old"}, "IncorrectInstanceStatus"),
        ("StartInstances", {"InstanceId.1": "i-app"}, "IncorrectInstanceStatus"),
        ("ResetDisk", {"DiskId": "d-data", "SnapshotId": "s-nobody"}, "InvalidSnapshotId.NotFound"),
    ],
)
def test_a_dry_run_that_fails_says_why(stage: Stage, action: str, given: dict[str, str], code: str) -> None:
    assert stage.refusal(action, given, DryRun="true")[1] == code


# The platform's own will ------------------------------------------------------------------------------------------


def test_finished_events_only_unless_asked(stage: Stage) -> None:
    stage.ecs.fail("i-app", recovers=True)

    assert history(stage, "i-app") == []
    assert history(stage, "i-app", "Executing") == [("SystemFailure.Reboot", "Executing")]


def test_the_platforms_own_restart_can_be_disarmed(stage: Stage) -> None:
    stage.ask("ModifyInstanceMaintenanceAttributes", {"InstanceId.1": "i-app", "ActionOnMaintenance": "Stop"})

    stage.ecs.fail("i-app", recovers=True)
    stage.advance(3_600)

    assert stage.state("i-app") == "Stopped"
    assert history(stage, "i-app") == [("SystemFailure.Stop", "Executed")]
    [attributes] = stage.ask("DescribeInstanceMaintenanceAttributes", {"InstanceId.1": "i-app"})[
        "MaintenanceAttributes"
    ]["MaintenanceAttribute"]
    assert attributes["ActionOnMaintenance"]["Value"] == "Stop"


def test_the_platform_restarts_what_a_hasty_rebuild_would_double(stage: Stage) -> None:
    stage.ecs.fail("i-app", recovers=True)
    stage.advance(90)
    [replacement] = run(stage)
    stage.advance(300)

    assert (stage.state("i-app"), stage.state(replacement)) == ("Running", "Running")
    assert shown(stage, "i-app")["VpcAttributes"]["PrivateIpAddress"]["IpAddress"] == ["10.0.1.11"]


def test_a_crashed_guest_is_restarted_where_it_is(stage: Stage) -> None:
    stage.ecs.failures.guest(stage.ecs.find_instance("i-app"))
    stage.advance(100)

    assert stage.state("i-app") == "Running"
    assert history(stage, "i-app") == [("InstanceFailure.Reboot", "Executed")]


def test_planned_maintenance_happens_unless_the_owner_restarts_first(stage: Stage) -> None:
    at = stage.cloud.clock.now() + timedelta(hours=24)
    for instance in ("i-app", "i-app"):
        stage.ecs.maintenance.plan(stage.ecs.find_instance(instance), "SystemMaintenance.Reboot", at)

    stage.ask("RebootInstance", InstanceId="i-app")
    stage.advance(25 * 3_600)

    assert history(stage, "i-app") == [("SystemMaintenance.Reboot", "Avoided")] * 2


def test_planned_maintenance_that_nobody_avoids_restarts_the_instance(stage: Stage) -> None:
    at = stage.cloud.clock.now() + timedelta(hours=24)
    stage.ecs.maintenance.plan(stage.ecs.find_instance("i-app"), "SystemMaintenance.Reboot", at)

    stage.advance(24 * 3_600 + 1)
    assert stage.state("i-app") == "Starting"
    assert history(stage, "i-app", "Executing") == [("SystemMaintenance.Reboot", "Executing")]
    stage.advance(60)

    assert history(stage, "i-app") == [("SystemMaintenance.Reboot", "Executed")]
    assert [name for name in stage.told() if "Maintenance" in name] == [
        f"Instance:SystemMaintenance.Reboot:{state}" for state in ("Scheduled", "Executing", "Executed")
    ]


def test_an_inquiring_event_waits_for_consent(stage: Stage) -> None:
    plan = stage.ecs.maintenance.plan
    event = plan(stage.ecs.find_instance("i-app"), "SystemMaintenance.Stop", stage.cloud.clock.now(), inquires=True)
    stage.advance(48 * 3_600)
    assert stage.state("i-app") == "Running"

    stage.ask("AcceptInquiredSystemEvent", EventId=event.id)
    stage.advance(60)

    assert stage.state("i-app") == "Stopped"
    assert stage.refusal("AcceptInquiredSystemEvent", EventId=event.id) == (
        404,
        "InvalidEventId.NoInquiringEventFound",
    )


def test_a_rehearsal_can_be_called_off_and_a_real_event_cannot(stage: Stage) -> None:
    given = {"InstanceId.1": "i-app", "EventType": "SystemMaintenance.Reboot", "NotBefore": "2026-03-03T00:00:00Z"}
    [rehearsal] = stage.ask("CreateSimulatedSystemEvents", given)["EventIdSet"]["EventId"]
    real = stage.ecs.fail("i-app", recovers=True)

    stage.ask("CancelSimulatedSystemEvents", {"EventId.1": rehearsal})
    stage.advance(2 * 86_400)

    assert ("SystemMaintenance.Reboot", "Canceled") in history(stage, "i-app")
    assert stage.refusal("CancelSimulatedSystemEvents", {"EventId.1": real}) == (
        403,
        "CannotCancelSystemEvent.NotSimulated",
    )


def test_a_rehearsal_with_real_operations_moves_the_instance(stage: Stage) -> None:
    given = {"InstanceId.1": "i-app", "EventType": "SystemMaintenance.Stop", "NotBefore": "2026-03-02T00:10:00Z"}
    stage.ask("CreateSimulatedSystemEvents", given, TriggerRealOps="true")
    stage.advance(700)

    assert stage.state("i-app") == "Stopped"


def test_the_name_of_a_later_notification_may_keep_the_first_status(stage: Stage) -> None:
    stage.ecs.events.stale_names = True
    event = stage.ecs.maintenance.plan(
        stage.ecs.find_instance("i-app"), "SystemMaintenance.Reboot", stage.cloud.clock.now() + timedelta(days=1)
    )
    stage.ecs.maintenance.cancel(event)

    last = stage.events[-1]
    assert last.name.endswith(":Scheduled")
    assert last.content["eventStatus"] == "Canceled"


# Locks ------------------------------------------------------------------------------------------------------------


def test_a_lock_for_security_refuses_everything_and_release_takes_all_disks(stage: Stage) -> None:
    operation_locks.lock(stage.ecs.find_instance("i-app"), "security")
    stage.ask("CreateDisk", ZoneId="cn-hangzhou-h", Size=20, DiskCategory="cloud_essd")
    [spare] = [d["DiskId"] for d in stage.ask("DescribeDisks", Status="Creating")["Disks"]["Disk"]]
    stage.advance(10)

    for action in ("StopInstance", "StartInstance", "RebootInstance"):
        assert stage.refusal(action, InstanceId="i-app") == (403, "InstanceLockedForSecurity")
    assert stage.refusal("AttachDisk", InstanceId="i-app", DiskId=spare) == (403, "InstanceLockedForSecurity")
    assert stage.refusal("CreateSnapshot", DiskId="d-data") == (403, "InstanceLockedForSecurity")
    assert shown(stage, "i-app")["OperationLocks"]["LockReason"][0]["LockReason"] == "security"

    stage.ask("DeleteInstance", InstanceId="i-app", Force="true")
    assert "d-data" not in stage.ecs.disks.shelf  # although DeleteWithInstance is false


def test_arrears_have_other_names_in_other_calls(stage: Stage) -> None:
    for instance in ("i-app", "i-old"):
        operation_locks.lock(stage.ecs.find_instance(instance), "financial")

    assert stage.refusal("StopInstance", InstanceId="i-app") == (403, "InstanceExpiredOrInArrears")
    assert stage.refusal("StartInstance", InstanceId="i-old") == (403, "InstanceExpired")
    stage.ecs.buying.in_arrears = True
    assert stage.refusal("RunInstances", ORDER) == (403, "InvalidAccountStatus.NotEnoughBalance")


# Releasing --------------------------------------------------------------------------------------------------------


def test_what_is_being_created_cannot_be_deleted_even_by_force(stage: Stage) -> None:
    [made] = run(stage)
    refusal = (403, "IncorrectInstanceStatus.Initializing")
    assert stage.refusal("DeleteInstance", InstanceId=made, Force="true") == refusal  # Pending
    stage.advance(6)
    assert stage.refusal("DeleteInstance", InstanceId=made, Force="true") == refusal  # Starting
    stage.advance(30)
    stage.ask("DeleteInstance", InstanceId=made, Force="true")


def test_force_without_a_power_cut_takes_its_time(stage: Stage) -> None:
    stage.ask("DeleteInstance", InstanceId="i-app", Force="true", ForceStop="false")
    assert stage.state("i-app") == "Stopping"
    stage.advance(60)
    assert stage.state("i-app") == "gone"


def test_an_automatic_release_really_comes_protected_or_not(stage: Stage) -> None:
    [made] = run(stage, AutoReleaseTime="2026-03-02T01:00:59Z", DeletionProtection="true")
    assert shown(stage, made)["AutoReleaseTime"] == "2026-03-02T01:00Z"  # seconds do not count
    stage.advance(3_599)
    assert stage.state(made) == "Running"
    stage.advance(2)

    assert stage.state(made) == "gone"


@pytest.mark.parametrize("at", ["2026-03-02T00:20:00Z", "2030-01-01T00:00:00Z"])
def test_an_automatic_release_is_half_an_hour_to_three_years_ahead(stage: Stage, at: str) -> None:
    assert stage.refusal("RunInstances", {**ORDER, "AutoReleaseTime": at}) == (400, "InvalidAutoReleaseTime.Malformed")


def test_an_automatic_release_can_be_taken_back(stage: Stage) -> None:
    stage.ask("ModifyInstanceAutoReleaseTime", InstanceId="i-app", AutoReleaseTime="2026-03-02T01:00:00Z")
    stage.ask("ModifyInstanceAutoReleaseTime", InstanceId="i-app")
    stage.advance(7_200)

    assert stage.state("i-app") == "Running"


# Rolling back -----------------------------------------------------------------------------------------------------


def rolled_back(stage: Stage) -> str:
    stage.write("d-data", 1, fill=b"o")
    snapshot = stage.snapshot("d-data")
    stage.advance(30)
    stage.write("d-data", 1, fill=b"n")
    stop(stage)
    return snapshot


def test_a_rollback_takes_time_and_the_machine_cannot_start_meanwhile(stage: Stage) -> None:
    snapshot = rolled_back(stage)
    stage.ask("ResetDisk", DiskId="d-data", SnapshotId=snapshot)

    assert disk(stage, "d-data")["Status"] == "ReIniting"
    assert stage.ecs.disks.find("d-data").volume.read(0, 1) == b"n"  # nothing has happened yet
    again = {"DiskId": "d-data", "SnapshotId": snapshot}
    assert stage.refusal("ResetDisk", again) == (403, "InvalidOperation.DiskResetInProgress")
    assert stage.refusal("StartInstance", InstanceId="i-app") == (403, "DiskError")

    stage.advance(60)
    assert disk(stage, "d-data")["Status"] == "In_use"
    assert stage.ecs.disks.find("d-data").volume.read(0, 1) == b"o"


def test_the_state_shown_during_a_rollback_may_be_no_other_than_before(stage: Stage) -> None:
    stage.ecs.contents.shown_while_resetting = None
    snapshot = rolled_back(stage)
    stage.ask("ResetDisk", DiskId="d-data", SnapshotId=snapshot)

    assert disk(stage, "d-data")["Status"] == "In_use"
    assert stage.ecs.disks.find("d-data").volume.read(0, 1) == b"n"
    assert stage.refusal("StartInstance", InstanceId="i-app") == (403, "DiskError")


def test_a_rollback_restores_the_size_too(stage: Stage) -> None:
    snapshot = stage.snapshot("d-data")
    stage.advance(30)
    stage.ask("ResizeDisk", DiskId="d-data", NewSize=100, Type="online")
    stop(stage)
    assert disk(stage, "d-data")["Size"] == 100

    stage.ask("ResetDisk", DiskId="d-data", SnapshotId=snapshot)
    stage.advance(60)

    assert disk(stage, "d-data")["Size"] == 40


def test_a_rollback_survives_that_its_snapshot_is_deleted_under_it(stage: Stage) -> None:
    snapshot = rolled_back(stage)
    stage.ask("ResetDisk", DiskId="d-data", SnapshotId=snapshot)
    stage.ask("DeleteSnapshot", SnapshotId=snapshot)
    stage.advance(60)

    assert stage.ecs.disks.find("d-data").volume.read(0, 1) == b"o"


def test_a_group_is_rolled_back_line_by_line_in_one_successful_answer(stage: Stage) -> None:
    group = stage.ask("CreateSnapshotGroup", {"InstanceId": "i-app"})["SnapshotGroupId"]
    stage.advance(60)
    listed = stage.ask("DescribeSnapshotGroups", {"SnapshotGroupId.1": group})["SnapshotGroups"]["SnapshotGroup"]
    members = {m["SourceDiskId"]: m["SnapshotId"] for m in listed[0]["Snapshots"]["Snapshot"]}
    both = {
        "Disk.1.DiskId": "d-data", "Disk.1.SnapshotId": members["d-data"],
        "Disk.2.DiskId": "d-sys", "Disk.2.SnapshotId": members["d-data"],
    }  # fmt: skip
    stop(stage)

    lines = stage.ask("ResetDisks", both)["OperationProgressSet"]["OperationProgress"]

    assert [(line["OperationStatus"], line["ErrorCode"]) for line in lines] == [
        ("Success", ""),
        ("Failed", "InvalidParameter.Mismatch"),
    ]


# Replacing --------------------------------------------------------------------------------------------------------


def test_a_replaced_system_disk_has_another_id_and_its_old_snapshots_roll_back_nothing(stage: Stage) -> None:
    old = stage.snapshot("d-sys")
    stage.advance(30)
    stop(stage)

    fresh = stage.ask("ReplaceSystemDisk", InstanceId="i-app", ImageId="m-base")["DiskId"]

    assert fresh != "d-sys"
    assert stage.refusal("StartInstance", InstanceId="i-app") == (403, "DiskError")
    stage.advance(60)
    assert stage.show(old) is not None
    assert stage.refusal("ResetDisk", DiskId="d-sys", SnapshotId=old) == (404, "InvalidDiskId.NotFound")
    assert stage.refusal("ResetDisk", DiskId=fresh, SnapshotId=old) == (403, "InvalidParameter.Mismatch")
    assert shown(stage, "i-app")["VpcAttributes"]["PrivateIpAddress"]["IpAddress"] == ["10.0.1.11"]


def test_a_new_system_disk_really_holds_what_the_image_holds(stage: Stage) -> None:
    stage.write("d-sys", 1, fill=b"g")
    image = stage.ask("CreateImage", InstanceId="i-app", ImageName="golden")["ImageId"]
    stage.advance(120)
    stage.write("d-sys", 1, fill=b"b")
    stop(stage)

    fresh = stage.ask("ReplaceSystemDisk", InstanceId="i-app", ImageId=image)["DiskId"]
    stage.advance(60)

    assert stage.ecs.disks.find(fresh).volume.read(0, 1) == b"g"
    assert shown(stage, "i-app")["ImageId"] == image


def test_reinitialising_brings_back_what_the_disk_was_made_of(stage: Stage) -> None:
    stage.write("d-data", 1, fill=b"k")
    snapshot = stage.snapshot("d-data")
    [made] = run(stage, **{"DataDisk.1.SnapshotId": snapshot, "DataDisk.1.Category": "cloud_essd"})
    stage.advance(60)
    data = stage.ecs.find_instance(made).disks()[1]
    data.volume.write(0, b"w")
    assert stage.refusal("ReInitDisk", DiskId=data.id) == (403, "IncorrectInstanceStatus")
    stop(stage, made)

    stage.ask("ReInitDisk", DiskId=data.id, AutoStartInstance="true")
    stage.advance(120)

    assert data.volume.read(0, 1) == b"k"
    assert stage.state(made) == "Running"
    stage.ask("DeleteSnapshot", SnapshotId=snapshot, Force="true")
    stop(stage, made)
    assert stage.refusal("ReInitDisk", DiskId=data.id) == (403, "InvalidSourceSnapshot")


def test_an_instance_that_never_ran_cannot_be_reinitialised(stage: Stage) -> None:
    made = stage.ask("CreateInstance", ORDER)["InstanceId"]
    stage.advance(30)
    assert stage.state(made) == "Stopped"
    [system] = stage.ecs.find_instance(made).disks()

    assert stage.refusal("ReInitDisk", DiskId=system.id) == (403, "IncorrectInstanceStatus")


# Lists ------------------------------------------------------------------------------------------------------------


def test_an_offline_resize_is_seen_only_after_a_restart(stage: Stage) -> None:
    stage.ask("ResizeDisk", DiskId="d-data", NewSize=80)

    assert disk(stage, "d-data")["Size"] == 80
    assert stage.ecs.disks.find("d-data").volume.size == 40 * 1024**3
    stage.ask("RebootInstance", InstanceId="i-app")
    stage.advance(60)
    assert stage.ecs.disks.find("d-data").volume.size == 80 * 1024**3


def test_no_resize_while_a_snapshot_is_under_way_nor_downwards(stage: Stage) -> None:
    assert stage.refusal("ResizeDisk", DiskId="d-data", NewSize=40) == (403, "InvalidDiskSize.TooSmall")
    stage.snapshot("d-data")

    assert stage.refusal("ResizeDisk", DiskId="d-data", NewSize=80) == (403, "DiskCreatingSnapshot")


@pytest.mark.parametrize("action", ["DescribeInstances", "DescribeDisks"])
def test_fewer_than_ten_results_a_page_are_silently_ten(stage: Stage, action: str) -> None:
    run(stage, Amount=15)
    kind = action.removeprefix("Describe")

    answer = stage.ask(action, MaxResults=3)

    assert len(answer[kind][kind[:-1]]) == 10
    assert (answer["TotalCount"], answer["PageNumber"], bool(answer["NextToken"])) == (0, 0, True)


def test_the_first_call_with_a_token_may_still_run(stage: Stage) -> None:
    stage.ecs.tokens.processing = timedelta(seconds=30)
    made = run(stage, ClientToken="t1")
    given = {"ZoneId": "cn-hangzhou-h", "Size": 20, "DiskCategory": "cloud_essd", "ClientToken": "t1"}
    stage.ask("CreateDisk", given)

    assert stage.refusal("RunInstances", {**ORDER, "ClientToken": "t1"}) == (403, "IdempotentProcessing")
    assert stage.refusal("CreateDisk", given) == (403, "LastTokenProcessing")
    stage.advance(31)
    assert run(stage, ClientToken="t1") == made


def test_five_thousand_creations_a_minute_are_the_end(stage: Stage) -> None:
    stage.ecs.buying.recent.append((stage.cloud.clock.now(), 4_999))

    assert stage.refusal("RunInstances", {**ORDER, "Amount": 2}) == (429, "Throttling.Resource")
    stage.advance(61)
    assert len(run(stage, Amount=2)) == 2


def test_an_endpoint_knows_only_the_disks_of_its_region(stage: Stage) -> None:
    shanghai = stage.cloud.home.sibling("cn-shanghai")

    with pytest.raises(Exception, match=r"InvalidDiskId\.NotFound"):
        stage.ask_in(shanghai, "2014-05-26", "DeleteDisk", {"DiskId": "d-data"})


def test_without_permission_there_seem_to_be_no_instances(stage: Stage) -> None:
    stage.cloud.ram.deny(None, "ecs:DescribeInstances")

    assert stage.ask("DescribeInstances")["Instances"]["Instance"] == []


def test_one_mistake_has_another_status_in_each_call(stage: Stage) -> None:
    run_it = {**ORDER, "DataDisk.1.SnapshotId": "s-nobody", "DataDisk.1.Category": "cloud_essd"}
    create = {"ZoneId": "cn-hangzhou-h", "SnapshotId": "s-nobody", "DiskCategory": "cloud_essd"}

    assert stage.refusal("RunInstances", run_it) == (400, "InvalidSnapshotId.NotFound")
    assert stage.refusal("CreateDisk", create) == (404, "InvalidSnapshotId.NotFound")


# Names ------------------------------------------------------------------------------------------------------------


def test_instances_bought_together_can_be_told_by_their_names(stage: Stage) -> None:
    made = run(stage, Amount=2, InstanceName="web-[8,3]", HostName="h-${instance_id}")
    more = run(stage, Amount=2, InstanceName="db", HostName="db", UniqueSuffix="true")

    assert [shown(stage, one)["InstanceName"] for one in made] == ["web-008", "web-009"]
    assert [shown(stage, one)["HostName"] for one in made] == [f"h-{one}" for one in made]
    assert [shown(stage, one)["HostName"] for one in more] == ["db001", "db002"]


def test_a_password_is_checked_and_never_kept(stage: Stage) -> None:
    assert stage.refusal("RunInstances", {**ORDER, "Password": "weak"}) == (400, "InvalidPassword.Malformed")
    [made] = run(stage, Password="Str0ng&Secret")

    assert "Str0ng&Secret" not in repr(stage.ecs.find_instance(made))


# Disks that move --------------------------------------------------------------------------------------------------


def test_a_system_disk_boots_only_its_original_instance(stage: Stage) -> None:
    stop(stage)
    stage.ask("DetachDisk", InstanceId="i-app", DiskId="d-sys")
    stage.advance(70)
    boots = {"DiskId": "d-sys", "Bootable": "true", "KeyPairName": "kp"}

    assert stage.refusal("StartInstance", InstanceId="i-app") == (400, "InvalidInstance.NotFoundSystemDisk")
    assert stage.refusal("AttachDisk", boots, InstanceId="i-old") == (400, "InvalidInstance.NotOriginInstance")
    assert stage.refusal("AttachDisk", {"DiskId": "d-sys", "Bootable": "true"}, InstanceId="i-app")[0] == 400
    stage.ask("AttachDisk", boots, InstanceId="i-app")
    stage.advance(10)
    stage.ask("StartInstance", InstanceId="i-app")


def test_a_detachment_takes_a_minute_and_twice_is_an_error_to_treat_as_done(stage: Stage) -> None:
    pair = {"InstanceId": "i-app", "DiskId": "d-data"}
    stage.ask("DetachDisk", pair)
    assert stage.refusal("DetachDisk", pair) == (403, "InvalidOperation.DiskDetachingFromThisEcs")
    assert disk(stage, "d-data")["Attachments"]["Attachment"][0]["InstanceId"] == "i-app"
    stage.advance(61)

    assert stage.refusal("DetachDisk", pair) == (404, "InvalidDisk.AlreadyDetached")


def test_a_data_disk_cannot_be_made_of_a_system_disks_snapshot(stage: Stage) -> None:
    given = {"ZoneId": "cn-hangzhou-h", "SnapshotId": stage.snapshot("d-sys"), "DiskCategory": "cloud_essd"}

    assert stage.refusal("CreateDisk", given) == (403, "InvalidSnapshotId.NotDataDiskSnapshot")


def test_a_disk_in_trouble_tells_its_end_only_by_a_finish_time(stage: Stage) -> None:
    stage.ecs.events.trouble(stage.ecs.disks.find("d-data"), "Stalled")
    [full] = stage.ask("DescribeDisksFullStatus", {"DiskId.1": "d-data"})["DiskFullStatusSet"]["DiskFullStatusType"]
    stage.ecs.events.over("d-data")

    first, last = stage.events[-2:]
    assert full["HealthStatus"]["Name"] == "Impaired"
    assert "executeFinishTime" not in first.content
    assert "executeFinishTime" in last.content
    assert "eventStatus" not in last.content


# What the operator of the emulator may do ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("shortage", {"zone": "cn-hangzhou-h", "type": "ecs.g7.large", "shows": "vanishing"}, 200),
        ("shortage", {"zone": "cn-hangzhou-h"}, 400),
        ("settings", {"default_stop_mode": "StopCharging", "in_arrears": False, "region": "cn-shanghai"}, 200),
        ("settings", {"default_stop_mode": "Sometimes"}, 400),
        ("instances/i-nobody/crash", {}, 404),
        ("instances/i-nobody/lock", {"region": "cn-atlantis"}, 404),
        ("events/e-nobody/cancel", {}, 400),
        ("disks/d-nobody/trouble", {"type": "Stalled"}, 404),
    ],
)
def test_the_admin_door_sets_the_traps(local: Local, path: str, body: dict[str, object], status: int) -> None:
    request = Request(f"{local.url}/_emulator/ecs/{path}", data=json.dumps(body).encode(), method="POST")
    try:
        with urlopen(request, timeout=10) as answer:
            got = answer.status
    except HTTPError as error:
        got = error.code
    assert got == status
