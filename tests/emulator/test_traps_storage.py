"""The traps of the real cloud about snapshots, images and copies, each sprung. The numbers are the rows of the facts
that are most often got wrong."""

from datetime import timedelta

import pytest

from tests.emulator.two_regions import HERE, STRANGER, THERE, TwoRegions

DAY = 86_400


@pytest.fixture
def stage() -> TwoRegions:
    return TwoRegions()


def images(stage: TwoRegions, **given: str) -> list[str]:
    found = stage.ask("DescribeImages", {"ImageOwnerAlias": "self", **given})
    return [image["ImageName"] for image in found["Images"]["Image"]]


def done(stage: TwoRegions, disk: str = "d-data") -> str:
    made = stage.snapshot(disk)
    stage.advance(60)
    return made


# Facts most often got wrong -----------------------------------------------------------------------------------------


def test_trap_1_an_image_that_is_not_available_is_simply_absent(stage: TwoRegions) -> None:
    stage.ecs.snapshots.fail_next("d-sys")
    made = stage.ask("CreateImage", InstanceId="i-app", ImageName="golden")["ImageId"]

    assert images(stage) == ["base"]
    assert images(stage, Status="Creating") == ["golden"]
    stage.advance(60)
    assert images(stage) == ["base"]
    assert images(stage, ImageId=made) == []
    assert images(stage, Status="ALL", ImageId=made) == ["golden"]
    assert images(stage, Status="CreateFailed,UnAvailable") == ["golden"]
    assert stage.refusal("DescribeImages", Status="ALL,Creating") == (400, "InvalidStatus")


def test_trap_3_retention_can_only_be_extended_and_counts_from_creation(stage: TwoRegions) -> None:
    made = stage.snapshot(RetentionDays=5)
    stage.advance(4 * DAY)

    assert stage.refusal("ModifySnapshotAttribute", SnapshotId=made, RetentionDays=4) == (
        400,
        "InvalidOperation.DecreaseRetentionDaysUnsupported",
    )
    stage.ask("ModifySnapshotAttribute", SnapshotId=made, RetentionDays=6)
    stage.advance(2 * DAY - 60)
    assert stage.show(made) is not None
    stage.advance(60)
    assert stage.show(made) is None


def test_trap_4_a_group_takes_no_retention_so_its_members_live_for_ever_unless_each_is_given_one(
    stage: TwoRegions,
) -> None:
    assert stage.refusal("CreateSnapshotGroup", InstanceId="i-app", RetentionDays=1) == (400, "UnsupportedParameter")
    stage.ask("CreateSnapshotGroup", InstanceId="i-app")
    stage.advance(400 * DAY)
    members = [one["SnapshotId"] for one in stage.ask("DescribeSnapshots")["Snapshots"]["Snapshot"]]
    assert len(members) == 2

    stage.ask("ModifySnapshotAttribute", SnapshotId=members[0], RetentionDays=401)
    stage.ask("ModifySnapshotAttribute", SnapshotId=members[1], RetentionDays=30)  # which is over
    stage.advance(60)
    assert [one["SnapshotId"] for one in stage.ask("DescribeSnapshots")["Snapshots"]["Snapshot"]] == members[:1]
    stage.advance(DAY)
    assert stage.ask("DescribeSnapshots")["Snapshots"]["Snapshot"] == []


def test_trap_5_force_overrides_a_disk_but_never_an_image(stage: TwoRegions) -> None:
    by_disk = stage.snapshot()
    stage.ask("CreateDisk", ZoneId="cn-hangzhou-h", SnapshotId=by_disk, DiskCategory="cloud_essd")
    by_image = done(stage, "d-sys")
    image = stage.ask("CreateImage", SnapshotId=by_image, ImageName="golden")["ImageId"]

    assert stage.refusal("DeleteSnapshot", SnapshotId=by_disk) == (403, "SnapshotCreatedDisk")
    assert stage.ask("DeleteSnapshot", SnapshotId=by_disk, Force="true") == {}
    assert stage.refusal("DeleteSnapshot", SnapshotId=by_image, Force="true") == (403, "SnapshotCreatedImage")
    stage.ask("DeleteImage", ImageId=image)
    assert stage.ask("DeleteSnapshot", SnapshotId=by_image) == {}


def test_trap_6_deleting_an_image_leaves_its_snapshots(stage: TwoRegions) -> None:
    made = stage.ask("CreateImage", InstanceId="i-app", ImageName="golden")["ImageId"]
    stage.advance(60)
    stage.ask("DeleteImage", ImageId=made)

    assert stage.ask("DescribeSnapshotsUsage")["SnapshotCount"] == 2


def test_trap_7_policy_hours_are_utc_plus_8_and_all_else_is_utc(stage: TwoRegions) -> None:
    given = {"regionId": HERE, "timePoints": '["0"]', "repeatWeekdays": '["2"]', "retentionDays": 1}
    made = stage.ask("CreateAutoSnapshotPolicy", given)["AutoSnapshotPolicyId"]
    stage.ask("ApplyAutoSnapshotPolicy", regionId=HERE, autoSnapshotPolicyId=made, diskIds='["d-data"]')
    stage.advance(16 * 3600)

    [taken] = stage.ask("DescribeSnapshots")["Snapshots"]["Snapshot"]
    assert taken["CreationTime"] == "2026-03-02T16:00:00Z"  # Tuesday 00:00 in UTC+8 is Monday here


def test_trap_8_policies_spell_their_parameters_with_small_letters(stage: TwoRegions) -> None:
    given = {"RegionId": HERE, "TimePoints": '["1"]', "RepeatWeekdays": '["1"]', "RetentionDays": 1}

    assert stage.refusal("CreateAutoSnapshotPolicy", given) == (400, "UnsupportedParameter")
    assert stage.refusal("DescribeAutoSnapshotPolicyEx", regionId=HERE) == (400, "UnsupportedParameter")
    assert stage.ask("DescribeAutoSnapshotPolicyEx", RegionId=HERE)["TotalCount"] == 0


def test_trap_9_deleting_a_progressing_snapshot_cancels_it(stage: TwoRegions) -> None:
    made = stage.snapshot()
    stage.ask("DeleteSnapshot", SnapshotId=made)
    stage.advance(60)

    assert stage.show(made) is None
    assert "Snapshot:CreateSnapshotCompleted" not in stage.told()


def test_trap_10_a_rollback_takes_only_snapshots_of_that_very_disk(stage: TwoRegions) -> None:
    mine, foreign = done(stage), done(stage, "d-sys")
    stage.ask("StopInstance", InstanceId="i-app")
    stage.advance(60)
    stage.ecs.disks.find("d-data").size_gib = 50
    assert stage.refusal("ResetDisk", DiskId="d-data", SnapshotId=foreign) == (403, "InvalidParameter.Mismatch")

    stage.ask("ResetDisk", DiskId="d-data", SnapshotId=mine)
    stage.advance(60)

    assert stage.ecs.disks.find("d-data").size_gib == 40  # size goes back, too


def test_traps_14_and_15_small_pages_are_ten_and_an_empty_token_is_the_end(stage: TwoRegions) -> None:
    disks = [
        stage.ecs.disks.add(kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h") for _ in range(11)
    ]
    for disk in disks:
        disk.first_instance = "i-app"
        made = stage.snapshot(disk.id)
        stage.ask("LockSnapshot", SnapshotId=made, LockMode="compliance", LockDuration=1, CoolOffPeriod=0)

    locks = stage.ask("DescribeLockedSnapshots", MaxResults=1)
    links = stage.ask("DescribeSnapshotLinks", MaxResults=1)
    assert len(locks["LockedSnapshotsInfo"]) == 10
    assert len(links["SnapshotLinks"]["SnapshotLink"]) == 10
    assert links["TotalCount"] == 0  # means nothing with NextToken
    rest = stage.ask("DescribeSnapshotLinks", NextToken=links["NextToken"])
    assert (len(rest["SnapshotLinks"]["SnapshotLink"]), rest["NextToken"]) == (1, "")
    assert len(stage.ask("DescribeSnapshots", MaxResults=1)["Snapshots"]["Snapshot"]) == 1  # this one obeys


def test_trap_16_tags_of_groups_have_another_shape(stage: TwoRegions) -> None:
    stage.ask("CreateSnapshotGroup", {"InstanceId": "i-app", "Tag.1.Key": "k", "Tag.1.Value": "v"})
    stage.snapshot(**{"Tag.1.Key": "k", "Tag.1.Value": "v"})

    [group] = stage.ask("DescribeSnapshotGroups")["SnapshotGroups"]["SnapshotGroup"]
    [snapshot] = stage.ask("DescribeSnapshots", {"Tag.1.Key": "k"})["Snapshots"]["Snapshot"]
    assert group["Tags"] == {"Tag": [{"Key": "k", "Value": "v"}]}
    assert snapshot["Tags"] == {"Tag": [{"TagKey": "k", "TagValue": "v"}]}


def test_trap_17_sizes_are_texts_in_snapshots_and_mappings_and_numbers_in_images(stage: TwoRegions) -> None:
    shown = stage.show(done(stage, "d-sys"))
    assert shown is not None
    stage.ask("CreateImage", SnapshotId=shown["SnapshotId"], ImageName="golden")

    [image] = stage.ask("DescribeImages", ImageName="golden", Status="ALL")["Images"]["Image"]
    assert (shown["SourceDiskSize"], image["Size"]) == ("20", 20)
    assert image["DiskDeviceMappings"]["DiskDeviceMapping"][0]["Size"] == "20"


def test_trap_18_failure_shows_only_in_polling(stage: TwoRegions) -> None:
    stage.ecs.snapshots.fail_next("d-data")
    made = stage.snapshot()
    stage.advance(60)

    shown = stage.show(made)
    assert shown is not None
    assert (shown["Status"], shown["Available"], shown["Progress"]) == ("failed", False, "0%")
    assert stage.events[-1].content["result"] == "failed"
    assert stage.refusal("CopySnapshot", copy_of(made)) == (403, "InvalidSnapshotId.NotReady")
    assert stage.refusal("ModifySnapshotAttribute", SnapshotId=made, SnapshotName="new") == (
        400,
        "InvalidSnapshotId.NotReady",
    )


def copy_of(snapshot: str, **more: str) -> dict[str, str]:
    return {
        "SnapshotId": snapshot, "DestinationRegionId": THERE, "DestinationSnapshotName": "copy",
        "DestinationSnapshotDescription": "a copy", **more,
    }  # fmt: skip


def test_trap_19_one_mistake_has_several_statuses(stage: TwoRegions) -> None:
    made = done(stage)

    assert [
        stage.refusal("CreateSnapshot", DiskId="d-data", Description="x"),
        stage.refusal("ModifySnapshotAttribute", SnapshotId=made, Description="x"),
        stage.refusal("CopySnapshot", copy_of(made, DestinationSnapshotDescription="x")),
        stage.refusal("CreateImage", InstanceId="i-app", Description="x"),
    ] == [(status, "InvalidDescription.Malformed") for status in (404, 404, 403, 400)]
    assert [
        stage.refusal("CopySnapshot", copy_of("s-nobody")),
        stage.refusal("CreateImage", SnapshotId="s-nobody"),
        stage.refusal("ModifySnapshotAttribute", SnapshotId="s-nobody", SnapshotName="new"),
        stage.refusal("CreateDisk", ZoneId="cn-hangzhou-h", SnapshotId="s-nobody"),
    ] == [(status, "InvalidSnapshotId.NotFound") for status in (403, 404, 404, 404)]


# Traps of the design ------------------------------------------------------------------------------------------------


def test_manual_points_fill_their_own_quota_and_automatic_ones_another(stage: TwoRegions) -> None:
    disk = stage.ecs.disks.find("d-data")
    for _ in range(256):
        stage.ecs.snapshots.take(disk)
    stage.advance(60)
    assert stage.refusal("CreateSnapshot", DiskId="d-data") == (403, "QuotaExceed.Snapshot")

    given = {"regionId": HERE, "timePoints": '["9"]', "repeatWeekdays": '["1"]', "retentionDays": 1}
    made = stage.ask("CreateAutoSnapshotPolicy", given)["AutoSnapshotPolicyId"]
    stage.ask("ApplyAutoSnapshotPolicy", regionId=HERE, autoSnapshotPolicyId=made, diskIds='["d-data"]')
    stage.advance(3600)
    assert stage.ecs.snapshots.chains.count("d-data") == 257


def test_for_ever_is_absent_here_and_minus_one_there_and_the_bounds_differ_by_a_day(stage: TwoRegions) -> None:
    shown = stage.show(stage.snapshot())
    assert shown is not None
    assert "RetentionDays" not in shown
    assert stage.refusal("CreateSnapshot", DiskId="d-data", RetentionDays=-1) == (400, "InvalidRetentionDays.Malformed")
    assert stage.snapshot(RetentionDays=65_536)
    policy = {"regionId": HERE, "timePoints": '["9"]', "repeatWeekdays": '["1"]'}
    assert stage.ask("CreateAutoSnapshotPolicy", {**policy, "retentionDays": -1})
    assert stage.ask("CreateAutoSnapshotPolicy", {**policy, "retentionDays": 65_535})
    assert stage.refusal("CreateAutoSnapshotPolicy", {**policy, "retentionDays": 65_536}) == (403, "ParameterInvalid")


def test_essd_is_usable_while_uploading_by_disks_only(stage: TwoRegions) -> None:
    fast, slow = stage.snapshot("d-sys"), stage.snapshot("d-old")
    disk = {"ZoneId": "cn-hangzhou-h", "DiskCategory": "cloud_essd"}

    assert stage.ask("CreateDisk", {**disk, "SnapshotId": stage.snapshot()})["DiskId"]
    assert stage.refusal("CreateDisk", {**disk, "SnapshotId": slow}) == (403, "InvalidSnapshotId.NotReady")
    assert stage.refusal("CreateImage", SnapshotId=fast) == (403, "InvalidSnapshotId.NotReady")
    assert stage.refusal("CopySnapshot", copy_of(fast)) == (403, "InvalidSnapshotId.NotReady")


def test_ten_at_once_on_essd_one_elsewhere(stage: TwoRegions) -> None:
    stage.snapshot("d-old")
    assert stage.refusal("CreateSnapshot", DiskId="d-old") == (403, "IncorrectDiskStatus.CreatingSnapshot")
    for _ in range(10):
        stage.snapshot()
    assert stage.refusal("CreateSnapshot", DiskId="d-data") == (403, "QuotaExceed.ConcurrentSnapshotQuota")
    stage.advance(60)
    assert stage.snapshot()


def test_the_providers_retention_deletes_even_the_last_point(stage: TwoRegions) -> None:
    stage.snapshot(RetentionDays=1)
    stage.advance(DAY)

    assert stage.ask("DescribeSnapshots")["Snapshots"]["Snapshot"] == []


def test_an_unknown_id_is_ignored_on_delete_or_404_by_a_switch(stage: TwoRegions) -> None:
    assert stage.ask("DeleteSnapshot", SnapshotId="s-nobody") == {}
    assert stage.ask("DeleteImage", ImageId="m-nobody") == {}
    stage.ecs.snapshots.missing_deletes_answer_404 = True
    stage.ecs.images.missing_deletes_answer_404 = True
    assert stage.refusal("DeleteSnapshot", SnapshotId="s-nobody") == (404, "InvalidSnapshotId.NotFound")
    assert stage.refusal("DeleteImage", ImageId="m-nobody") == (404, "InvalidImageId.NotFound")


def test_a_copy_has_no_tags_and_cannot_roll_back_its_source(stage: TwoRegions) -> None:
    made = stage.snapshot(**{"Tag.1.Key": "k", "Tag.1.Value": "v"})
    stage.advance(60)
    copy = stage.copy(made)

    shown = stage.show_there(copy)
    assert shown is not None
    assert shown["Tags"] == {"Tag": []}
    assert (shown["SourceSnapshotId"], shown["SourceRegionId"], shown["SourceDiskId"]) == (made, HERE, "d-data")
    assert stage.refusal_there("ResetDisk", DiskId="d-data", SnapshotId=copy) == (404, "InvalidDiskId.NotFound")
    assert stage.refusal("ResetDisk", DiskId="d-data", SnapshotId=copy) == (404, "InvalidSnapshotId.NotFound")


def test_one_unfinished_copy_per_disk_and_target_region(stage: TwoRegions) -> None:
    first, second, other = done(stage), done(stage), done(stage, "d-sys")
    running = stage.copy(first)

    assert stage.refusal("CopySnapshot", copy_of(second)) == (403, "InvalidOperation.UnfinishedCrossRegionCopy")
    assert stage.copy(other)
    assert stage.copy(second, DestinationRegionId="cn-beijing")
    stage.there("DeleteSnapshot", SnapshotId=running)  # cancels it
    assert stage.copy(second)


def test_a_region_copies_five_images_at_once_and_the_rest_wait(stage: TwoRegions) -> None:
    snapshot = done(stage, "d-sys")
    made = [stage.ask("CreateImage", SnapshotId=snapshot, ImageName=f"golden-{n}")["ImageId"] for n in range(7)]
    stage.advance(30)
    for image in made:
        stage.ask("CopyImage", ImageId=image, DestinationRegionId=THERE)

    def states() -> list[str]:
        found = stage.there("DescribeImages", Status="ALL", ImageOwnerAlias="self")
        return sorted(i["Status"] for i in found["Images"]["Image"])

    assert states() == ["Creating"] * 5 + ["Waiting"] * 2
    stage.advance(40)
    assert states() == ["Available"] * 5 + ["Creating"] * 2
    stage.advance(40)
    assert states() == ["Available"] * 7


def test_a_copied_image_leaves_snapshots_for_ever(stage: TwoRegions) -> None:
    copy = stage.ask("CopyImage", ImageId="m-base", DestinationRegionId=THERE)["ImageId"]
    stage.advance(60)
    stage.there("DeleteImage", ImageId=copy)
    stage.advance(1_000 * DAY)

    [left] = stage.there("DescribeSnapshots")["Snapshots"]["Snapshot"]
    assert left["Usage"] == "none"
    assert "RetentionDays" not in left


def test_at_a_full_quota_no_image_and_no_safety_snapshot_is_possible(stage: TwoRegions) -> None:
    disk = stage.ecs.disks.find("d-data")
    for _ in range(256):
        stage.ecs.snapshots.take(disk)
    stage.advance(60)

    assert stage.refusal("CreateSnapshot", DiskId="d-data") == (403, "QuotaExceed.Snapshot")
    assert stage.refusal("CreateImage", InstanceId="i-app", ImageName="x1") == (403, "QuotaExceed.Snapshot")
    assert stage.refusal("CreateSnapshotGroup", InstanceId="i-app") == (403, "QuotaExceed.Snapshot")
    assert stage.ecs.snapshots.chains.count("d-sys") == 0  # nothing was begun that could not be ended


def test_from_the_eleventh_on_accounts_are_ignored_without_a_word(stage: TwoRegions) -> None:
    accounts = {f"AddAccount.{n}": f"{3_000_000_000_000_000 + n}" for n in range(1, 13)}
    stage.ask("ModifyImageSharePermission", {"ImageId": "m-base", **accounts})

    assert stage.ask("DescribeImageSharePermission", ImageId="m-base")["TotalCount"] == 10


def test_a_shared_image_is_used_by_the_other_account_in_this_region_only(stage: TwoRegions) -> None:
    stage.ask("ModifyImageSharePermission", {"ImageId": "m-base", "AddAccount.1": STRANGER})

    [seen] = stage.stranger("DescribeImages", ImageOwnerAlias="others")["Images"]["Image"]
    assert (seen["ImageId"], seen["ImageOwnerAlias"], seen["ImageOwnerId"]) == ("m-base", "others", 1000000000000001)
    elsewhere = stage._elsewhere(STRANGER, THERE, "DescribeImages", {"ImageOwnerAlias": "others"})
    assert elsewhere["Images"]["Image"] == []
    assert stage.refusal("DeleteImage", ImageId="m-base", Force="true") == (403, "ImageUseShared")


def test_a_native_policy_runs_on_while_nobody_looks_and_costs_one_entry(stage: TwoRegions) -> None:
    given = {"regionId": HERE, "timePoints": '["9"]', "repeatWeekdays": '["1"]', "retentionDays": 1}
    made = stage.ask("CreateAutoSnapshotPolicy", given)["AutoSnapshotPolicyId"]
    idle = stage.cloud.clock.next_due()
    stage.ask("ApplyAutoSnapshotPolicy", regionId=HERE, autoSnapshotPolicyId=made, diskIds='["d-data"]')

    assert idle is None
    assert stage.cloud.clock.next_due() == stage.cloud.clock.now() + timedelta(hours=1)
