"""Snapshots and groups: the traps of the real cloud, sprung."""

import json
from datetime import timedelta

import pytest

from emulator.ecs.blocks import GIB, MIB, Volume
from tests.emulator.ecs_stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


# Slow, and by what changed ------------------------------------------------------------------------------------------


def test_a_snapshot_takes_time_by_its_changed_blocks(stage: Stage) -> None:
    stage.ecs.disks.find("d-data").volume = Volume(40 * GIB, filled=500 * MIB)  # 10 s at 50 MiB/s, and 5 s on top
    made = stage.snapshot()

    stage.advance(14)
    young = stage.show(made)
    stage.advance(3)
    old = stage.show(made)

    assert young is not None
    assert old is not None
    assert (young["Status"], old["Status"]) == ("progressing", "accomplished")
    assert 80 <= int(young["Progress"].removesuffix("%")) <= 99
    assert young["RemainTime"] >= 1
    assert (old["Progress"], old["RemainTime"]) == ("100%", 0)


def test_the_next_one_is_quick_since_little_changed(stage: Stage) -> None:
    stage.ecs.disks.find("d-data").volume = Volume(40 * GIB, filled=500 * MIB)
    stage.snapshot()
    stage.advance(30)
    stage.write("d-data", 1)

    second = stage.ecs.snapshots.find(stage.snapshot())

    assert second.changed_bytes == 1024**2
    stage.advance(7)
    assert second.status == "accomplished"


def test_essd_snapshots_are_usable_at_once_others_when_complete(stage: Stage) -> None:
    fast, slow = stage.snapshot("d-data"), stage.snapshot("d-old")

    assert [(s["Available"], s["Status"]) for one in (fast, slow) if (s := stage.show(one))] == [
        (True, "progressing"),
        (False, "progressing"),
    ]
    assert stage.refusal("CreateDisk", ZoneId="cn-hangzhou-h", SnapshotId=slow) == (403, "InvalidSnapshotId.NotReady")
    assert stage.ask("CreateDisk", ZoneId="cn-hangzhou-h", SnapshotId=fast, DiskCategory="cloud_essd")["DiskId"]


def test_completion_is_also_an_event(stage: Stage) -> None:
    made = stage.snapshot(SnapshotName="nightly")
    stage.advance(20)

    event = stage.events[-1]
    assert (event.name, event.resource, event.level) == ("Snapshot:CreateSnapshotCompleted", f"snapshot/{made}", "INFO")
    assert event.content["result"] == "accomplished"
    assert event.content["snapshotName"] == "nightly"
    assert event.content["snapshotType"] == "user"
    assert event.content["startTime"] == "2026-03-02T00:00:00Z"


def test_one_at_a_time_on_older_disks_ten_on_essd(stage: Stage) -> None:
    stage.snapshot("d-old")
    assert stage.refusal("CreateSnapshot", DiskId="d-old") == (403, "IncorrectDiskStatus.CreatingSnapshot")

    for _ in range(10):
        stage.snapshot("d-data")
    assert stage.refusal("CreateSnapshot", DiskId="d-data") == (403, "QuotaExceed.ConcurrentSnapshotQuota")


def test_blocks_cannot_leave_a_dark_zone(stage: Stage) -> None:
    made = stage.snapshot()
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)
    stage.advance(3600)
    dark = stage.show(made)
    stage.cloud.zones.set_dark("cn-hangzhou-h", False)
    lit = stage.show(made)

    assert dark is not None
    assert lit is not None
    assert (dark["Status"], lit["Status"]) == ("progressing", "accomplished")


# Limits -------------------------------------------------------------------------------------------------------------


def test_the_manual_quota_counts_per_disk(stage: Stage) -> None:
    for _ in range(26):
        for _ in range(10):
            if stage.ecs.snapshots.chains.count("d-data") < 256:
                stage.snapshot()
        stage.advance(20)

    assert stage.refusal("CreateSnapshot", DiskId="d-data") == (403, "QuotaExceed.Snapshot")
    assert stage.refusal("CreateSnapshotGroup", InstanceId="i-app") == (403, "QuotaExceed.Snapshot")
    assert stage.snapshot("d-sys")


@pytest.mark.parametrize("days", ["0", "-1", "65537", "soon"])
def test_retention_is_1_to_65536_days(stage: Stage, days: str) -> None:
    assert stage.refusal("CreateSnapshot", DiskId="d-data", RetentionDays=days) == (
        400,
        "InvalidRetentionDays.Malformed",
    )


@pytest.mark.parametrize("days", ["1", "65536"])
def test_both_bounds_of_retention_are_taken(stage: Stage, days: str) -> None:
    shown = stage.show(stage.snapshot(RetentionDays=days))

    assert shown is not None
    assert shown["RetentionDays"] == int(days)


def test_retention_deletes_even_the_last_point(stage: Stage) -> None:
    made = stage.snapshot(RetentionDays=1)

    stage.advance(86_399)
    assert stage.show(made) is not None
    stage.advance(1)
    assert stage.show(made) is None


def test_retention_can_only_be_extended(stage: Stage) -> None:
    made = stage.snapshot(RetentionDays=5)

    assert stage.refusal("ModifySnapshotAttribute", SnapshotId=made, RetentionDays=4) == (
        400,
        "InvalidOperation.DecreaseRetentionDaysUnsupported",
    )
    stage.ask("ModifySnapshotAttribute", SnapshotId=made, RetentionDays=6)
    stage.advance(5 * 86_400 + 1)
    assert stage.show(made) is not None
    stage.advance(86_400)
    assert stage.show(made) is None


def test_groups_take_no_retention(stage: Stage) -> None:
    assert stage.refusal("CreateSnapshotGroup", InstanceId="i-app", RetentionDays=3) == (400, "UnsupportedParameter")


@pytest.mark.parametrize("name", ["a", "1st", "auto-x", "http://x", "white space", "x" * 129])
def test_names_that_are_refused(stage: Stage, name: str) -> None:
    assert stage.refusal("CreateSnapshot", DiskId="d-data", SnapshotName=name) == (400, "InvalidSnapshotName.Malformed")


def test_the_same_mistake_has_another_status_elsewhere(stage: Stage) -> None:
    assert stage.refusal("CreateSnapshot", DiskId="d-data", Description="x") == (404, "InvalidDescription.Malformed")
    assert stage.refusal("CreateImage", InstanceId="i-app", Description="x") == (400, "InvalidDescription.Malformed")


@pytest.mark.parametrize(
    ("tags", "answer"),
    [
        pytest.param({"Tag.1.Key": "acs:x"}, (400, "InvalidTagKey.Malformed"), id="reserved"),
        pytest.param({"Tag.1.Key": "aliyun"}, (400, "InvalidTagKey.Malformed"), id="the provider's name"),
        pytest.param({"Tag.1.Key": "k", "Tag.2.Key": "k"}, (400, "Duplicate.TagKey"), id="doubled"),
        pytest.param({"Tag.1.Key": "k", "Tag.1.Value": "v" * 129}, (400, "InvalidTagValue.Malformed"), id="long"),
        pytest.param({f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}, (403, "QuotaExceed.Tags"), id="too many"),
    ],
)
def test_tags_that_are_refused(stage: Stage, tags: dict[str, str], answer: tuple[int, str]) -> None:
    assert stage.refusal("CreateSnapshot", {"DiskId": "d-data", **tags}) == answer


# Idempotency --------------------------------------------------------------------------------------------------------


def test_the_same_token_with_the_same_parameters_makes_nothing_new(stage: Stage) -> None:
    assert stage.snapshot(ClientToken="t") == stage.snapshot(ClientToken="t")
    assert stage.refusal("CreateSnapshot", DiskId="d-sys", ClientToken="t") == (403, "IdempotentParameterMismatch")


def test_a_refused_creation_does_not_use_its_token_up(stage: Stage) -> None:
    assert stage.refusal("CreateSnapshot", DiskId="d-data", SnapshotName="?", ClientToken="t")[0] == 400

    assert stage.snapshot(ClientToken="t")


def test_a_token_has_at_most_64_characters(stage: Stage) -> None:
    assert stage.refusal("CreateSnapshot", DiskId="d-data", ClientToken="t" * 65) == (
        403,
        "InvalidClientToken.Malformed",
    )
    assert stage.snapshot(ClientToken="t" * 64)


# Deleting -----------------------------------------------------------------------------------------------------------


def test_deleting_a_progressing_snapshot_cancels_it(stage: Stage) -> None:
    made = stage.snapshot()
    stage.ask("DeleteSnapshot", SnapshotId=made)
    stage.advance(60)

    assert stage.show(made) is None
    assert "Snapshot:CreateSnapshotCompleted" not in stage.told()


def test_an_unknown_id_is_silently_ignored(stage: Stage) -> None:
    assert stage.ask("DeleteSnapshot", SnapshotId="s-nobody") == {}
    assert stage.refusal("DeleteSnapshot") == (400, "MissingParameter")


def test_force_overrides_a_disk_but_never_an_image(stage: Stage) -> None:
    used = stage.snapshot()
    stage.ask("CreateDisk", ZoneId="cn-hangzhou-h", SnapshotId=used, DiskCategory="cloud_essd")
    shown = stage.show(used)
    assert shown is not None
    assert shown["Usage"] == "disk"
    assert stage.refusal("DeleteSnapshot", SnapshotId=used) == (403, "SnapshotCreatedDisk")
    assert stage.ask("DeleteSnapshot", SnapshotId=used, Force="True") == {}

    image = stage.ask("CreateImage", InstanceId="i-app", ImageName="golden")["ImageId"]
    stage.advance(60)
    held = stage.ecs.images.find(image).mappings[0].snapshot
    assert held is not None
    assert stage.refusal("DeleteSnapshot", SnapshotId=held.id, Force="True") == (403, "SnapshotCreatedImage")


def test_a_snapshot_outlives_its_disk(stage: Stage) -> None:
    disk = stage.ask("CreateDisk", ZoneId="cn-hangzhou-h", Size=20, DiskCategory="cloud_essd")["DiskId"]
    assert stage.refusal("CreateSnapshot", DiskId=disk) == (403, "IncorrectDiskStatus")
    stage.advance(10)
    assert stage.refusal("CreateSnapshot", DiskId=disk) == (403, "IncorrectDiskStatus.NeverAttached")
    stage.ask("AttachDisk", InstanceId="i-app", DiskId=disk)
    stage.advance(10)
    made = stage.snapshot(disk)
    stage.ask("DetachDisk", InstanceId="i-app", DiskId=disk)
    stage.advance(90)
    stage.ask("DeleteDisk", DiskId=disk)

    shown = stage.show(made)
    assert shown is not None
    assert shown["SourceDiskId"] == disk


# Groups -------------------------------------------------------------------------------------------------------------


def test_a_group_is_one_instant_over_all_disks(stage: Stage) -> None:
    made = stage.ask("CreateSnapshotGroup", {"InstanceId": "i-app", "Tag.1.Key": "a", "Tag.1.Value": "b"})[
        "SnapshotGroupId"
    ]

    [group] = stage.ask("DescribeSnapshotGroups", {"SnapshotGroupId.1": made})["SnapshotGroups"]["SnapshotGroup"]
    assert group["InstanceId"] == "i-app"
    assert group["Tags"] == {"Tag": [{"Key": "a", "Value": "b"}]}
    members = [member["SnapshotId"] for member in group["Snapshots"]["Snapshot"]]
    shown = [stage.show(member) for member in members]
    assert {s["SourceDiskId"] for s in shown if s} == {"d-sys", "d-data"}
    assert len({s["CreationTime"] for s in shown if s}) == 1
    # The group's tags are not the members': who looks for its own snapshots must know the group, or tag them.
    assert all(s["Tags"] == {"Tag": []} for s in shown if s)


def test_deleting_a_group_tells_the_fate_of_each_member(stage: Stage) -> None:
    made = stage.ask("CreateSnapshotGroup", InstanceId="i-app")["SnapshotGroupId"]
    group = stage.ecs.groups.shelf.get(made)
    assert group is not None
    held = next(member for member in group.members if member.disk_id == "d-data")
    stage.ask("CreateDisk", ZoneId="cn-hangzhou-h", SnapshotId=held.id, DiskCategory="cloud_essd")

    results = stage.ask("DeleteSnapshotGroup", SnapshotGroupId=made)["OperationProgressSet"]["OperationProgress"]

    fates = {r["RelatedItemSet"]["RelatedItem"][0]["Value"]: (r["OperationStatus"], r["ErrorCode"]) for r in results}
    assert fates[held.id] == ("Failed", "SnapshotCreatedDisk")
    assert sorted(fates.values()) == [("Failed", "SnapshotCreatedDisk"), ("Success", "")]
    assert stage.show(held.id) is not None


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        pytest.param({}, (400, "MissingParamter.InstanceId"), id="nothing named"),
        pytest.param(
            {"InstanceId": "i-app", "DiskId.1": "d-sys", "ExcludeDiskId.1": "d-data"},
            (400, "InvalidParam.ExcludeDiskIdsAndDiskIds.Conflict"),
            id="both ways",
        ),
        pytest.param(
            {"InstanceId": "i-app", "ExcludeDiskId.1": "d-sys", "ExcludeDiskId.2": "d-data"},
            (403, "InvalidInstance.NoDisk"),
            id="nothing left",
        ),
        pytest.param({"InstanceId": "i-old"}, (403, "InvalidDisk.DiskCategoryInconsistent"), id="not ESSD"),
        pytest.param(
            {"InstanceId": "i-app", "DiskId.1": "d-old"}, (404, "InvalidDiskId.NotFound"), id="a foreign disk"
        ),
        pytest.param({"InstanceId": "i-nobody"}, (404, "InvalidInstanceId.NotFound"), id="no such instance"),
        pytest.param({"InstanceId": "i-app", "Name": "1"}, (400, "InvalidParameter.Name"), id="bad name"),
    ],
)
def test_groups_that_are_refused(stage: Stage, given: dict[str, str], answer: tuple[int, str]) -> None:
    assert stage.refusal("CreateSnapshotGroup", given) == answer


# Paging and filters -------------------------------------------------------------------------------------------------


def test_pages_resume_where_they_ended_even_when_what_was_shown_is_deleted(stage: Stage) -> None:
    stage.ecs.snapshots.missing_deletes_answer_404 = True
    disk = stage.ecs.disks.find("d-data")
    made = [stage.ecs.snapshots.take(disk).id for _ in range(25)]

    seen: list[str] = []
    token = ""
    while True:
        page = stage.ask("DescribeSnapshots", MaxResults=10, NextToken=token)
        ids = [s["SnapshotId"] for s in page["Snapshots"]["Snapshot"]]
        seen += ids
        for one in ids:
            stage.ask("DeleteSnapshot", SnapshotId=one)
        token = page["NextToken"]
        if not token:
            break

    assert seen == list(reversed(made))


def test_the_end_of_an_exact_page_is_an_empty_token(stage: Stage) -> None:
    disk = stage.ecs.disks.find("d-data")
    for _ in range(10):
        stage.ecs.snapshots.take(disk)

    assert stage.ask("DescribeSnapshots", MaxResults=10)["NextToken"] == ""


def test_max_results_below_ten_is_ten_for_disks(stage: Stage) -> None:
    for _ in range(12):
        stage.ecs.disks.add(kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h")

    page = stage.ask("DescribeDisks", MaxResults=3)

    assert len(page["Disks"]["Disk"]) == 10
    assert page["TotalCount"] == 0  # means nothing with NextToken paging
    assert len(stage.ask("DescribeDisks", MaxResults=9999)["Disks"]["Disk"]) == 15


def test_old_page_numbers_still_count(stage: Stage) -> None:
    disk = stage.ecs.disks.find("d-data")
    for _ in range(12):
        stage.ecs.snapshots.take(disk)

    page = stage.ask("DescribeSnapshots", PageNumber=2, PageSize=10)

    assert (len(page["Snapshots"]["Snapshot"]), page["TotalCount"]) == (2, 12)


def test_a_tag_filter_shows_a_thousand_and_no_more(stage: Stage) -> None:
    for _ in range(1_004):
        stage.ecs.disks.add(
            kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h", tags={"fleet": "big"}
        )
    seen, token = 0, ""
    while True:
        page = stage.ask(
            "DescribeDisks", {"Tag.1.Key": "fleet", "Tag.1.Value": "big", "MaxResults": 300, "NextToken": token}
        )
        seen += len(page["Disks"]["Disk"])
        token = page["NextToken"]
        if not token:
            break

    assert seen == 1_000


def test_an_empty_list_of_ids_is_a_filter_that_matches_nothing(stage: Stage) -> None:
    stage.snapshot()

    assert stage.ask("DescribeSnapshots", SnapshotIds="[]")["Snapshots"]["Snapshot"] == []
    assert len(stage.ask("DescribeSnapshots")["Snapshots"]["Snapshot"]) == 1


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"SnapshotIds": "s-1"}, (403, "InvalidSnapshotIds.Malformed")),
        ({"SnapshotIds": json.dumps(["s"] * 101)}, (400, "InvalidParameter")),
        ({"Status": "ready"}, (404, "InvalidStatus.NotFound")),
        ({"Usage": "much"}, (404, "InvalidUsage")),
        ({"Filter.1.Key": "Age", "Filter.1.Value": "1"}, (404, "InvalidFilterKey.NotFound")),
        ({"NextToken": "%%%"}, (400, "InvalidParameter.NextToken")),
        ({"DryRun": "true"}, (400, "DryRunOperation")),
    ],
)
def test_filters_that_are_refused(stage: Stage, given: dict[str, str], answer: tuple[int, str]) -> None:
    assert stage.refusal("DescribeSnapshots", given) == answer


def test_sizes_of_snapshots_are_texts_and_of_disks_numbers(stage: Stage) -> None:
    shown = stage.show(stage.snapshot())

    assert shown is not None
    assert shown["SourceDiskSize"] == "40"
    [disk] = stage.ask("DescribeDisks", DiskIds='["d-data"]')["Disks"]["Disk"]
    assert disk["Size"] == 40
    assert "SnapshotName" not in shown  # absent if none was given


# Rollback -----------------------------------------------------------------------------------------------------------


def test_a_rollback_needs_a_stopped_instance_and_a_snapshot_of_that_very_disk(stage: Stage) -> None:
    stage.write("d-data", 1, fill=b"o")
    mine, other = stage.snapshot("d-data"), stage.snapshot("d-sys")
    stage.advance(30)
    stage.write("d-data", 1, fill=b"n")

    assert stage.refusal("ResetDisk", DiskId="d-data", SnapshotId=mine) == (403, "IncorrectInstanceStatus")
    stage.ask("StopInstance", InstanceId="i-app")
    stage.advance(60)
    assert stage.refusal("ResetDisk", DiskId="d-data", SnapshotId=other) == (403, "InvalidParameter.Mismatch")
    stage.ask("ResetDisk", DiskId="d-data", SnapshotId=mine)
    stage.advance(60)

    assert stage.ecs.disks.find("d-data").volume.read(0, 4) == b"oooo"


def test_no_rollback_while_a_snapshot_is_under_way(stage: Stage) -> None:
    done = stage.snapshot()
    stage.advance(30)
    stage.ask("StopInstance", InstanceId="i-app")
    stage.advance(60)
    stage.snapshot()

    assert stage.refusal("ResetDisk", DiskId="d-data", SnapshotId=done) == (
        403,
        "IncorrectDiskStatus.HasUnfinishedSnapshot",
    )


# The account, archives, and what else there is to change ------------------------------------------------------------


def test_an_account_that_cannot_pay_takes_no_snapshots(stage: Stage) -> None:
    standing = stage.ecs.snapshots.standing
    standing.has_balance = False
    assert stage.refusal("CreateSnapshot", DiskId="d-data") == (403, "InvalidAccountStatus.NotEnoughBalance")
    standing.has_balance, standing.snapshot_service = True, False
    for action, given in (
        ("CreateSnapshot", {"DiskId": "d-data"}),
        ("CreateSnapshotGroup", {"InstanceId": "i-app"}),
        ("CreateImage", {"InstanceId": "i-app"}),
    ):
        assert stage.refusal(action, given) == (403, "InvalidAccountStatus.SnapshotServiceUnavailable")


def test_the_archive_takes_old_standard_snapshots_for_good(stage: Stage) -> None:
    made = stage.snapshot()
    stage.advance(13 * 86_400)
    assert stage.refusal("ModifySnapshotCategory", SnapshotId=made) == (403, "InvalidSnapshotCategory.Malformed")
    stage.advance(86_400)
    assert stage.refusal("ModifySnapshotCategory", SnapshotId=made, RetentionDays=73) == (
        400,
        "InvalidRetentionDays.Malformed",
    )
    assert stage.refusal("ModifySnapshotCategory", SnapshotId=made, Category="Standard")[0] == 403
    stage.ask("ModifySnapshotCategory", SnapshotId=made, Category="Archive", RetentionDays=74)

    [shown] = stage.ask("DescribeSnapshots", Category="archive")["Snapshots"]["Snapshot"]
    assert (shown["SnapshotId"], shown["Category"]) == (made, "archive")
    stage.advance(60 * 86_400)
    assert stage.show(made) is None


def test_a_failed_member_fails_its_group(stage: Stage) -> None:
    stage.ecs.snapshots.fail_next("d-sys")
    stage.ask("CreateSnapshotGroup", InstanceId="i-app")
    stage.advance(60)

    [group] = stage.ask("DescribeSnapshotGroups", {"Status.1": "failed"})["SnapshotGroups"]["SnapshotGroup"]
    assert group["Status"] == "failed"


def test_what_a_failed_snapshot_should_have_held_is_due_again(stage: Stage) -> None:
    stage.write("d-data", 3)
    stage.ecs.snapshots.fail_next("d-data")
    stage.snapshot()
    stage.advance(60)

    assert stage.ecs.snapshots.find(stage.snapshot()).changed_bytes == 3 * MIB


def test_a_group_gets_another_name(stage: Stage) -> None:
    made = stage.ask("CreateSnapshotGroup", InstanceId="i-app", Name="one")["SnapshotGroupId"]

    stage.ask("ModifySnapshotGroup", SnapshotGroupId=made, Name="two", Description="the second")
    [group] = stage.ask("DescribeSnapshotGroups", Name="two")["SnapshotGroups"]["SnapshotGroup"]
    assert group["Description"] == "the second"
    assert stage.refusal("ModifySnapshotGroup", SnapshotGroupId=made, Name="2") == (400, "InvalidParameter.Name")
    assert stage.refusal("ModifySnapshotGroup", SnapshotGroupId="ssg-nobody") == (
        404,
        "InvalidSnapshotGroupId.NotFound",
    )


def test_a_group_of_too_many_disks(stage: Stage) -> None:
    given = {f"DiskId.{n}": f"d-{n}" for n in range(1, 130)}

    assert stage.refusal("CreateSnapshotGroup", given) == (403, "NumberExceed.TooManyDisks")


def test_disks_of_two_zones_make_no_group(stage: Stage) -> None:
    for zone in ("cn-hangzhou-h", "cn-hangzhou-i"):
        disk = stage.ecs.disks.add(kind="data", category="cloud_essd", size_gib=20, zone=zone, id=f"d{zone[-2:]}")
        disk.first_instance = "i-app"

    assert stage.refusal("CreateSnapshotGroup", {"DiskId.1": "d-h", "DiskId.2": "d-i"}) == (
        400,
        "InvalidDiskIds.NotInSameZone",
    )
    stage.ecs.disks.find("d-h").size_gib = 256 * 1024 + 1
    assert stage.refusal("CreateSnapshotGroup", {"DiskId.1": "d-h"}) == (403, "CapacityExceed.TooManyDisks")


def test_every_filter_narrows(stage: Stage) -> None:
    stage.snapshot("d-data", SnapshotName="one", **{"Tag.1.Key": "k", "Tag.1.Value": "v"})
    stage.snapshot("d-old", ResourceGroupId="rg-1")
    stage.advance(60)

    def found(**given: str) -> list[str]:
        listed = stage.ask("DescribeSnapshots", {k.replace("_", "."): v for k, v in given.items()})
        return [snapshot["SourceDiskId"] for snapshot in listed["Snapshots"]["Snapshot"]]

    assert found(SnapshotName="one") == found(InstanceId="i-app") == found(SnapshotLinkId="d-data") == ["d-data"]
    assert found(SourceDiskType="SYSTEM") == found(ResourceGroupId="rg-1") == ["d-old"]
    assert found(SnapshotType="auto") == found(Encrypted="true") == found(KMSKeyId="k") == []
    assert found(Encrypted="false", Category="Standard", Status="accomplished", Usage="none") == ["d-old", "d-data"]
    assert found(Tag_1_Key="k", Tag_1_Value="v") == ["d-data"]
    assert found(Filter_1_Key="CreationStartTime", Filter_1_Value="2026-03-02T00:01Z") == []
    assert stage.refusal("DescribeSnapshots", {"Tag.1.Value": "v"}) == (400, "InvalidTag.Mismatch")
    assert stage.refusal("DescribeSnapshots", {f"Tag.{n}.Key": "k" for n in range(1, 22)}) == (400, "InvalidTagCount")


def test_the_first_call_with_a_token_may_still_run(stage: Stage) -> None:
    stage.ecs.tokens.processing = timedelta(seconds=5)
    stage.snapshot(ClientToken="t")

    assert stage.refusal("CreateSnapshot", DiskId="d-data", ClientToken="t") == (403, "IdempotentProcessing")
    stage.advance(5)
    assert stage.snapshot(ClientToken="t")
