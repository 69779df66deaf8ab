"""Images: made of snapshots that outlive them, and invisible until they are available."""

from datetime import timedelta

import pytest

from tests.emulator.ecs_stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def names(stage: Stage, **given: str) -> list[str]:
    return [image["ImageName"] for image in stage.ask("DescribeImages", given)["Images"]["Image"]]


def test_only_available_images_are_listed_unless_asked(stage: Stage) -> None:
    stage.ask("CreateImage", InstanceId="i-app", ImageName="golden")

    assert names(stage) == ["base"]
    assert names(stage, Status="ALL") == ["golden", "base"]
    assert names(stage, Status="Creating,Available") == ["golden", "base"]
    stage.advance(60)
    assert names(stage) == ["golden", "base"]


def test_status_is_mandatory_with_usable(stage: Stage) -> None:
    assert stage.refusal("DescribeImages", Usable="true") == (400, "MissingParameter")


def test_an_image_of_an_instance_snapshots_every_disk_and_they_stay(stage: Stage) -> None:
    made = stage.ask("CreateImage", InstanceId="i-app", ImageName="golden")["ImageId"]
    stage.advance(60)

    [image] = stage.ask("DescribeImages", ImageId=made)["Images"]["Image"]
    mappings = image["DiskDeviceMappings"]["DiskDeviceMapping"]
    assert [(m["Type"], m["Device"], m["Size"]) for m in mappings] == [
        ("system", "/dev/xvda", "20"),
        ("data", "/dev/xvdb", "40"),
    ]
    assert stage.refusal("DeleteSnapshot", SnapshotId=mappings[0]["SnapshotId"])[1] == "SnapshotCreatedImage"
    stage.ask("DeleteImage", ImageId=made)
    shown = stage.show(mappings[0]["SnapshotId"])
    assert shown is not None
    assert shown["Usage"] == "none"
    assert stage.ask("DeleteSnapshot", SnapshotId=mappings[0]["SnapshotId"]) == {}


def test_an_image_counts_in_the_snapshot_quota(stage: Stage) -> None:
    disk = stage.ecs.disks.find("d-data")
    for _ in range(256):
        stage.ecs.snapshots.take(disk)
    stage.advance(60)

    assert stage.refusal("CreateImage", InstanceId="i-app", ImageName="golden") == (403, "QuotaExceed.Snapshot")


def test_an_image_of_snapshots_wants_them_complete(stage: Stage) -> None:
    system, data = stage.snapshot("d-sys"), stage.snapshot("d-data")
    given = {"DiskDeviceMapping.1.SnapshotId": system, "DiskDeviceMapping.2.SnapshotId": data, "ImageName": "made"}

    # ESSD snapshots are usable for disks already, but not for images.
    assert stage.refusal("CreateImage", given) == (403, "InvalidSnapshotId.NotReady")
    stage.advance(30)
    assert stage.ask("CreateImage", given)["ImageId"]
    assert stage.refusal("CreateImage", SnapshotId=data, ImageName="no-system") == (403, "OperationDenied")


def test_names_are_unique_and_tokens_have_their_own_code_here(stage: Stage) -> None:
    stage.ask("CreateImage", InstanceId="i-app", ImageName="golden", ClientToken="t")

    assert stage.refusal("CreateImage", InstanceId="i-app", ImageName="golden") == (400, "InvalidImageName.Duplicated")
    assert stage.refusal("CreateImage", InstanceId="i-app", ImageName="other", ClientToken="t") == (
        400,
        "IdempotenceParamNotMatch",
    )


def test_a_used_image_is_deleted_only_with_force(stage: Stage) -> None:
    assert stage.refusal("DeleteImage", ImageId="m-base") == (403, "ImageUsingByInstance")
    assert stage.ask("DeleteImage", ImageId="m-base", Force="true") == {}
    assert stage.ask("DeleteImage", ImageId="m-base") == {}


def test_a_family_names_its_newest_available_image(stage: Stage) -> None:
    made = stage.ask("CreateImage", InstanceId="i-app", ImageName="golden", ImageFamily="app")["ImageId"]
    assert stage.ask("DescribeImageFromFamily", ImageFamily="app")["Image"]["ImageId"] == "m-base"
    stage.cloud.clock.advance(timedelta(minutes=1))
    assert stage.ask("DescribeImageFromFamily", ImageFamily="app")["Image"]["ImageId"] == made
    stage.ask("ModifyImageAttribute", ImageId=made, Status="Deprecated")
    assert stage.ask("DescribeImageFromFamily", ImageFamily="app")["Image"]["ImageId"] == "m-base"
    assert stage.ask("DescribeImageFromFamily", ImageFamily="nobody") == {"Image": {}}
