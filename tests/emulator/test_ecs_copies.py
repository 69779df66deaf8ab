"""Copies between regions: where they are asked for, what they hold, and what one of them blocks."""

import pytest

from emulator.ecs.blocks import GIB, MIB
from emulator.ecs.disks import Disk
from tests.emulator.two_regions import HERE, THERE, TwoRegions


@pytest.fixture
def stage() -> TwoRegions:
    return TwoRegions()


def accomplished(stage: TwoRegions, disk: str = "d-data") -> str:
    made = stage.snapshot(disk)
    stage.advance(60)
    return made


# Snapshots ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        pytest.param({"DestinationRegionId": HERE}, (403, "InvalidOperation.NotSupportCopyInSameRegion"), id="here"),
        pytest.param({"DestinationRegionId": "cn-atlantis"}, (403, "InvalidRegionId.NotExists"), id="nowhere"),
        pytest.param({"SnapshotId": "s-nobody"}, (403, "InvalidSnapshotId.NotFound"), id="missing is 403 here"),
        pytest.param({"DestinationSnapshotName": "1"}, (403, "InvalidSnapshotName.Malformed"), id="name"),
        pytest.param({"DestinationSnapshotDescription": "x"}, (403, "InvalidDescription.Malformed"), id="description"),
        pytest.param({"DestinationSnapshotName": ""}, (400, "MissingParameter"), id="the name is mandatory"),
        pytest.param({"RetentionDays": 0}, (403, "InvalidRetentionDays.Malformed"), id="retention"),
        pytest.param({"KMSKeyId": "k"}, (403, "InvalidEncrypted.NotMatchKmsKeyId"), id="a key for nothing"),
        pytest.param({"Tag.1.Key": "acs:x"}, (400, "InvalidTagKey.Malformed"), id="tag"),
    ],
)
def test_copies_that_are_refused(stage: TwoRegions, given: dict[str, object], answer: tuple[int, str]) -> None:
    source = accomplished(stage)
    full = {
        "SnapshotId": source, "DestinationRegionId": THERE, "DestinationSnapshotName": "copy",
        "DestinationSnapshotDescription": "a copy",
    }  # fmt: skip

    assert stage.refusal("CopySnapshot", {**full, **given}) == answer


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        pytest.param("gone", (400, "InvalidParameter.KMSKeyId.NotFound"), id="missing"),
        pytest.param("off", (403, "InvalidParameter.KMSKeyId.CMKNotEnabled"), id="disabled"),
        pytest.param("theirs", (403, "InvalidParameter.KMSKeyId.KMSUnauthorized"), id="not to be used"),
    ],
)
def test_a_region_that_was_told_its_keys_refuses_others(stage: TwoRegions, key: str, answer: tuple[int, str]) -> None:
    there = stage.cloud.realm(stage.cloud.account, THERE).ecs
    there.snapshots.standing.kms_keys = {"on": "Enabled", "off": "Disabled", "theirs": "Unauthorized"}
    source = accomplished(stage)
    asked = {
        "SnapshotId": source, "DestinationRegionId": THERE, "DestinationSnapshotName": "copy",
        "DestinationSnapshotDescription": "a copy", "Encrypted": "true",
    }  # fmt: skip

    assert stage.refusal("CopySnapshot", {**asked, "KMSKeyId": key}) == answer
    encrypted = stage.copy(source, Encrypted="true", KMSKeyId="on")
    shown = stage.show_there(encrypted)
    assert shown is not None
    assert shown["KMSKeyId"] == "on"


def test_what_is_encrypted_arrives_only_where_there_is_a_key_for_it(stage: TwoRegions) -> None:
    there = stage.cloud.realm(stage.cloud.account, THERE).ecs
    there.snapshots.standing.kms_keys = {}
    source = accomplished(stage)
    stage.ecs.snapshots.find(source).encrypted = True
    asked = {
        "SnapshotId": source, "DestinationRegionId": THERE, "DestinationSnapshotName": "copy",
        "DestinationSnapshotDescription": "a copy",
    }  # fmt: skip

    assert stage.refusal("CopySnapshot", asked) == (403, "InvalidEncrypted.NotMatchKmsKeyId")


def test_an_encrypted_copy_stays_encrypted_wherever_it_goes(stage: TwoRegions) -> None:
    copy = stage.copy(accomplished(stage), Encrypted="true", KMSKeyId="key-there")
    stage.advance(60)

    shown = stage.show_there(copy)
    assert shown is not None
    assert (shown["Encrypted"], shown["KMSKeyId"]) == (True, "key-there")
    back = {
        "SnapshotId": copy, "DestinationRegionId": HERE, "DestinationSnapshotName": "back",
        "DestinationSnapshotDescription": "and back", "Encrypted": "false",
    }  # fmt: skip
    assert stage.refusal_there("CopySnapshot", back) == (403, "InvalidEncrypted.NotSupportDecrypt")


def test_the_first_copy_is_full_and_the_next_holds_what_changed(stage: TwoRegions) -> None:
    stage.write("d-data", 8)
    first = stage.copy(accomplished(stage))
    stage.advance(60)
    stage.write("d-data", 1, fill=b"y")
    second = stage.copy(accomplished(stage))
    stage.advance(60)

    chains = stage.cloud.realm(stage.cloud.account, THERE).ecs.snapshots
    assert [chains.find(one).layer.bytes_owned for one in (first, second)] == [8 * MIB, MIB]
    stage.there("DeleteSnapshot", SnapshotId=first)
    assert chains.find(second).layer.bytes_owned == 8 * MIB
    assert chains.find(second).layer.whole()[0][:1] == b"y"


def test_a_copy_takes_time_by_its_volume(stage: TwoRegions) -> None:
    stage.ecs.disks.find("d-data").volume.write(0, b"x" * 400 * MIB)  # 20 s between regions, and 10 s on top
    copy = stage.copy(accomplished(stage))

    stage.advance(28)
    young = stage.show_there(copy)
    stage.advance(5)
    old = stage.show_there(copy)

    assert young is not None
    assert old is not None
    assert (young["Status"], young["Available"], old["Status"]) == ("progressing", False, "accomplished")


def test_the_source_cannot_go_while_it_is_copied(stage: TwoRegions) -> None:
    source = accomplished(stage)
    copy = stage.copy(source)

    assert stage.refusal("DeleteSnapshot", SnapshotId=source) == (403, "InvalidOperation.RelatedSnapshotNotFinished")
    stage.there("DeleteSnapshot", SnapshotId=copy)
    assert stage.ask("DeleteSnapshot", SnapshotId=source) == {}


def test_the_providers_retention_waits_for_a_copy(stage: TwoRegions) -> None:
    source = stage.snapshot(RetentionDays=1)
    stage.advance(86_395)
    stage.copy(source)

    stage.advance(10)
    assert stage.show(source) is not None
    stage.advance(86_400)
    assert stage.show(source) is None


def test_a_copy_that_fails_says_so_only_when_asked(stage: TwoRegions) -> None:
    stage.cloud.realm(stage.cloud.account, THERE).ecs.snapshots.fail_next("d-data")
    source = accomplished(stage)
    copy = stage.copy(source)
    stage.advance(60)

    shown = stage.show_there(copy)
    assert shown is not None
    assert (shown["Status"], shown["Available"]) == ("failed", False)
    assert (stage.events[-1].content["result"], stage.events[-1].content["snapshotType"]) == ("failed", "copied")
    assert stage.there("DescribeSnapshotsUsage")["SnapshotSize"] == 0
    assert stage.copy(source)


def test_the_same_token_makes_one_copy(stage: TwoRegions) -> None:
    source = accomplished(stage)

    assert stage.copy(source, ClientToken="t") == stage.copy(source, ClientToken="t")
    assert stage.refusal(
        "CopySnapshot",
        {
            "SnapshotId": source, "DestinationRegionId": THERE, "DestinationSnapshotName": "other",
            "DestinationSnapshotDescription": "a copy", "ClientToken": "t",
        },
    ) == (400, "IdempotentParameterMismatch")  # fmt: skip


def test_256_copies_of_a_disk_fit_into_a_region(stage: TwoRegions) -> None:
    source = accomplished(stage)
    there = stage.cloud.realm(stage.cloud.account, THERE).ecs
    for _ in range(256):
        stage.ecs.snapshots.copies.start(stage.ecs.snapshots.find(source), there)
    stage.advance(60)

    with pytest.raises(Exception, match=r"403 QuotaExceed\.SnapshotQuota"):
        stage.copy(source)


def test_a_copy_that_came_back_still_cannot_roll_back_its_disk(stage: TwoRegions) -> None:
    copy = stage.copy(accomplished(stage))
    stage.advance(60)
    back = stage.there(
        "CopySnapshot",
        {
            "SnapshotId": copy, "DestinationRegionId": HERE, "DestinationSnapshotName": "back",
            "DestinationSnapshotDescription": "and back",
        },
    )["SnapshotId"]  # fmt: skip
    stage.ask("StopInstance", InstanceId="i-app")
    stage.advance(90)

    assert stage.refusal("ResetDisk", DiskId="d-data", SnapshotId=back) == (403, "InvalidParameter.Mismatch")


# Images -------------------------------------------------------------------------------------------------------------


def image(stage: TwoRegions, name: str = "golden") -> str:
    made: str = stage.ask("CreateImage", InstanceId="i-app", ImageName=name)["ImageId"]
    stage.advance(60)
    return made


def status_there(stage: TwoRegions, image_id: str) -> str:
    [found] = stage.there("DescribeImages", ImageId=image_id, Status="ALL")["Images"]["Image"]
    return str(found["Status"])


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        pytest.param({"ImageId": "m-nobody"}, (404, "InvalidImageId.NotFound"), id="missing"),
        pytest.param({"DestinationRegionId": "cn-atlantis"}, (400, "DestinationRegion.NotFound"), id="nowhere"),
        pytest.param({"DestinationRegionId": HERE}, (403, "IncorrectDestinationRegion"), id="here"),
        pytest.param({"DestinationImageName": "acs:x"}, (400, "InvalidImageName.Malformed"), id="name"),
        pytest.param({"DestinationDescription": "x"}, (400, "InvalidDescription.Malformed"), id="description"),
        pytest.param({"DryRun": "true"}, (400, "DryRunOperation"), id="a dry run that would do"),
    ],
)
def test_image_copies_that_are_refused(stage: TwoRegions, given: dict[str, object], answer: tuple[int, str]) -> None:
    assert stage.refusal("CopyImage", {"ImageId": image(stage), "DestinationRegionId": THERE, **given}) == answer


def test_an_image_is_copied_once_at_a_time(stage: TwoRegions) -> None:
    source = image(stage)
    copy = stage.ask("CopyImage", ImageId=source, DestinationRegionId=THERE, DestinationImageName="copy")["ImageId"]

    assert stage.refusal("CopyImage", ImageId=source, DestinationRegionId="cn-beijing") == (
        400,
        "OperationDenied.ImageCopyConflict",
    )
    assert stage.refusal("DeleteImage", ImageId=source) == (403, "OperationDenied.ImageCopying")
    assert stage.refusal_there("CopyImage", ImageId=copy, DestinationRegionId=HERE) == (
        403,
        "OperationDenied.ImageCopying",
    )
    stage.advance(120)
    assert stage.refusal("CopyImage", ImageId=source, DestinationRegionId=THERE, DestinationImageName="copy") == (
        400,
        "InvalidImageName.Duplicated",
    )


def test_a_copied_base_image_starts_machines_there(stage: TwoRegions) -> None:
    copy = stage.ask("CopyImage", ImageId="m-base", DestinationRegionId=THERE)["ImageId"]
    stage.advance(60)

    there = stage.cloud.realm(stage.cloud.account, THERE).ecs
    assert there.images.startable(copy).system_volume(20).size == 20 * GIB
    assert len(there.snapshots.shelf) == 1


def test_a_cancelled_copy_takes_along_what_it_had_brought(stage: TwoRegions) -> None:
    source = image(stage)
    copy = stage.ask("CopyImage", ImageId=source, DestinationRegionId=THERE)["ImageId"]

    assert stage.refusal("CancelCopyImage", ImageId=copy) == (404, "InvalidImageId.NotFound")
    stage.there("CancelCopyImage", ImageId=copy)

    assert stage.there("DescribeImages", Status="ALL", ImageOwnerAlias="self")["Images"]["Image"] == []
    assert stage.there("DescribeSnapshotsUsage") == {"SnapshotCount": 0, "SnapshotSize": 0}
    assert stage.ask("DeleteImage", ImageId=source) == {}


def test_only_a_copy_under_way_can_be_cancelled(stage: TwoRegions) -> None:
    source = image(stage)
    assert stage.refusal("CancelCopyImage", ImageId=source) == (400, "ImageCreatedNotFromCopy")
    copy = stage.ask("CopyImage", ImageId=source, DestinationRegionId=THERE)["ImageId"]
    stage.advance(120)
    assert stage.refusal_there("CancelCopyImage", ImageId=copy) == (400, "IncorrectImageStatus")


def test_a_copy_whose_snapshot_fails_is_a_failed_image(stage: TwoRegions) -> None:
    source = image(stage)
    stage.cloud.realm(stage.cloud.account, THERE).ecs.snapshots.fail_next("d-data")
    copy = stage.ask("CopyImage", ImageId=source, DestinationRegionId=THERE)["ImageId"]
    stage.advance(120)

    assert status_there(stage, copy) == "CreateFailed"
    assert stage.ask("CopyImage", ImageId=source, DestinationRegionId=THERE)["ImageId"]


def test_the_manual_quota_stands_in_the_way_of_an_image_too(stage: TwoRegions) -> None:
    source = image(stage)
    there = stage.cloud.realm(stage.cloud.account, THERE).ecs
    snapshot = next(s for s in stage.ecs.images.find(source).snapshots if s.disk_id == "d-data")
    for _ in range(256):
        stage.ecs.snapshots.copies.start(snapshot, there)

    assert stage.refusal("CopyImage", ImageId=source, DestinationRegionId=THERE) == (403, "QuotaExceed.Snapshot")


def test_images_above_two_tib_are_not_copied(stage: TwoRegions) -> None:
    disk: Disk = stage.ecs.disks.find("d-data")
    disk.size_gib = 3_000

    assert stage.refusal("CopyImage", ImageId=image(stage), DestinationRegionId=THERE) == (403, "SizeExceed.Image")


def test_a_copy_of_an_image_is_listed_as_a_task_until_it_has_ended(stage: TwoRegions) -> None:
    source = image(stage)

    def copy(name: str) -> str:
        asked = {"ImageId": source, "DestinationRegionId": THERE, "DestinationImageName": name}
        made: str = stage.ask("CopyImage", asked)["ImageId"]
        return made

    def tasks() -> dict[str, str]:
        shown = stage.there("DescribeTasks", TaskAction="CopyImage")["TaskSet"]["Task"]
        return {task["ResourceId"]: task["TaskStatus"] for task in shown}

    first = copy("first")
    assert tasks() == {first: "Processing"}
    stage.advance(600)
    second = copy("second")
    stage.there("CancelCopyImage", ImageId=second)
    stage.ecs.realm.sibling(THERE).ecs.snapshots.fail_next("d-sys")
    third = copy("third")
    stage.advance(600)
    assert tasks() == {first: "Finished", second: "Cancelled", third: "Failed"}
    assert stage.ask("DescribeTasks")["TaskSet"]["Task"] == []
