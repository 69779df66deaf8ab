"""Images: made of snapshots that outlive them, and invisible until they are available."""

from datetime import timedelta

import pytest

from tests.emulator.ecs_stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def names(stage: Stage, **given: str) -> list[str]:
    """Of our own, unless the owner is named: public images are listed beside them."""
    found = stage.ask("DescribeImages", {"ImageOwnerAlias": "self", **given})
    return [image["ImageName"] for image in found["Images"]["Image"]]


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


@pytest.mark.parametrize("form", ["SnapshotId", "DiskDeviceMapping.1.SnapshotId"])
def test_an_image_of_a_system_disks_snapshot_boots_what_stood_on_it(stage: Stage, form: str) -> None:
    then = stage.ecs.instances["i-app"].guest = {"command": ["then"]}
    system = stage.snapshot("d-sys")
    stage.ecs.instances["i-app"].guest = {"command": ["later"]}
    stage.advance(30)
    made = stage.ask("CreateImage", {form: system, "ImageName": "made"})["ImageId"]

    image = stage.ecs.images.shelf.get(made)
    assert image is not None
    assert image.guest == then


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


# What an image is made of ---------------------------------------------------------------------------------------------


@pytest.fixture
def parts(stage: Stage) -> dict[str, str]:
    """Accomplished snapshots of a system and a data disk."""
    made = {"system": stage.snapshot("d-sys"), "data": stage.snapshot("d-data")}
    stage.advance(60)
    return made


def mapped(parts: dict[str, str], *entries: dict[str, object]) -> dict[str, object]:
    """`DiskDeviceMapping.N`, snapshots by their kind."""
    return {
        f"DiskDeviceMapping.{n}.{key}": parts.get(str(value), value) if key == "SnapshotId" else value
        for n, entry in enumerate(entries, 1)
        for key, value in entry.items()
    }


@pytest.mark.parametrize(
    ("entries", "answer"),
    [
        pytest.param([{"SnapshotId": "data"}], (403, "InvalidSystemSnapshot.Missing"), id="no system"),
        pytest.param(
            [{"SnapshotId": "system"}, {"SnapshotId": "data", "DiskType": "system"}],
            (400, "OperationDenied"),
            id="two systems",
        ),
        pytest.param(
            [{"SnapshotId": "system", "Device": "/dev/xvdb"}], (400, "InvalidDevice.Malformed"), id="system on b"
        ),
        pytest.param(
            [{"SnapshotId": "system"}, {"SnapshotId": "data", "Device": "/dev/vdb"}],
            (400, "InvalidDevice.Malformed"),
            id="not an xvd",
        ),
        pytest.param(
            [{"SnapshotId": "system"}, *[{"SnapshotId": "data", "Device": "/dev/xvdb"}] * 2],
            (400, "InvalidDevice.InUse"),
            id="twice",
        ),
        pytest.param(
            [{"SnapshotId": "system", "Size": 19}], (400, "InvalidSize.ValueNotSupported"), id="smaller than it was"
        ),
        pytest.param([{"SnapshotId": "system"}, {"Size": 5}], (400, "InvalidSize.ValueNotSupported"), id="small blank"),
        pytest.param([{"SnapshotId": "s-nobody"}], (404, "InvalidSnapshotId.NotFound"), id="missing"),
        pytest.param(
            [{"SnapshotId": "system"}, *[{"SnapshotId": "data"}] * 17], (400, "OperationDenied"), id="17 data disks"
        ),
    ],
)  # fmt: skip
def test_mappings_that_are_refused(
    stage: Stage, parts: dict[str, str], entries: list[dict[str, object]], answer: tuple[int, str]
) -> None:
    assert stage.refusal("CreateImage", {"ImageName": "made", **mapped(parts, *entries)}) == answer


def test_devices_are_given_where_none_were_chosen(stage: Stage, parts: dict[str, str]) -> None:
    entries: list[dict[str, object]] = [
        {"SnapshotId": "data"}, {"SnapshotId": "data", "Device": "/dev/xvdb"}, {"SnapshotId": "system"}, {"Size": 30},
    ]  # fmt: skip
    stage.ask("CreateImage", {"ImageName": "made", **mapped(parts, *entries)})

    [image] = stage.ask("DescribeImages", ImageName="made", Status="ALL")["Images"]["Image"]
    shown = image["DiskDeviceMappings"]["DiskDeviceMapping"]
    assert [(m["Device"], m["Type"], m["Size"], bool(m["SnapshotId"])) for m in shown] == [
        ("/dev/xvda", "system", "20", True),
        ("/dev/xvdc", "data", "40", True),
        ("/dev/xvdb", "data", "40", True),
        ("/dev/xvdd", "data", "30", False),
    ]


def test_a_data_snapshot_can_be_declared_the_system_disk(stage: Stage, parts: dict[str, str]) -> None:
    given = mapped(parts, {"SnapshotId": "data", "DiskType": "system"})

    assert stage.ask("CreateImage", {"ImageName": "made", "Platform": "Ubuntu", "Architecture": "arm64", **given})
    assert names(stage, Status="ALL", Architecture="arm64", OSType="linux") == ["made"]


def test_the_instance_goes_before_the_mapping_and_that_before_the_snapshot(stage: Stage, parts: dict[str, str]) -> None:
    both = {"InstanceId": "i-app", "SnapshotId": parts["data"], **mapped(parts, {"SnapshotId": "system"})}

    assert stage.ask("CreateImage", {"ImageName": "all", **both})
    del both["InstanceId"]
    assert stage.ask("CreateImage", {"ImageName": "mapped", **both})
    assert stage.refusal("CreateImage", ImageName="none") == (400, "MissingParameter")


def test_a_disk_attached_while_stopped_wants_a_start_first(stage: Stage) -> None:
    disk = stage.ask("CreateDisk", ZoneId="cn-hangzhou-h", Size=20, DiskCategory="cloud_essd")["DiskId"]
    stage.advance(10)
    stage.ask("AttachDisk", InstanceId="i-old", DiskId=disk)
    stage.advance(10)

    assert stage.refusal("CreateImage", InstanceId="i-old") == (403, "IncorrectInstanceStatus.NeedRestart")
    stage.ask("StartInstance", InstanceId="i-old")
    stage.advance(60)
    assert stage.ask("CreateImage", InstanceId="i-old")["ImageId"]


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        pytest.param({"ImageFamily": "1"}, (400, "InvalidImageFamily.Malformed"), id="family"),
        pytest.param({"ImageName": "aliyun-1"}, (400, "InvalidImageName.Malformed"), id="the provider's name"),
        pytest.param({"ImageName": "base"}, (400, "InvalidImageName.Duplicated"), id="taken"),
        pytest.param({"Architecture": "sparc"}, (400, "InvalidParameter"), id="architecture"),
        pytest.param({"BootMode": "tape"}, (400, "InvalidParameter"), id="boot mode"),
        pytest.param({"InstanceId": "i-nobody"}, (404, "InvalidInstanceId.NotFound"), id="no instance"),
        pytest.param({"DryRun": "true"}, (400, "DryRunOperation"), id="a dry run that would do"),
    ],
)
def test_images_that_are_refused(stage: Stage, given: dict[str, str], answer: tuple[int, str]) -> None:
    assert stage.refusal("CreateImage", {"InstanceId": "i-app", "ImageName": "golden", **given}) == answer
    assert len(stage.ecs.snapshots.shelf) == 0  # a refused image leaves nothing behind


def test_the_quota_of_images(stage: Stage) -> None:
    stage.ecs.images.quota = 1

    assert stage.refusal("CreateImage", InstanceId="i-app", ImageName="golden") == (403, "QuotaExceed.Image")


def test_a_name_is_searched_by_its_part_and_times_bound_the_list(stage: Stage) -> None:
    stage.advance(3600)
    stage.ask("CreateImage", InstanceId="i-app", ImageName="golden-base")
    after = {
        "ImageOwnerAlias": "self",
        "Filter.1.Key": "CreationStartTime",
        "Filter.1.Value": "2026-03-02T00:30Z",
        "Status": "ALL",
    }

    assert names(stage, ImageName="base", Status="ALL") == ["golden-base", "base"]
    assert [i["ImageName"] for i in stage.ask("DescribeImages", after)["Images"]["Image"]] == ["golden-base"]
    before = {
        "ImageOwnerAlias": "self",
        "Filter.1.Key": "CreationEndTime",
        "Filter.1.Value": "2026-03-02T00:30Z",
        "Status": "ALL",
    }
    assert [i["ImageName"] for i in stage.ask("DescribeImages", before)["Images"]["Image"]] == ["base"]
    assert names(stage, Usage="instance") == ["base"]
    assert names(stage, Usage="none", Status="ALL") == ["golden-base"]
    assert names(stage, ImageOwnerAlias="marketplace") == []
    assert stage.refusal("DescribeImages", {"Filter.1.Key": "NetworkType", "Filter.1.Value": "vpc"}) == (
        404,
        "InvalidFilterKey.NotFound",
    )


def test_an_image_can_be_renamed_but_not_to_a_name_that_is_taken(stage: Stage) -> None:
    made = stage.ask("CreateImage", InstanceId="i-app", ImageName="golden")["ImageId"]

    assert stage.refusal("ModifyImageAttribute", ImageId=made, ImageName="base") == (400, "InvalidImageName.Duplicated")
    assert stage.refusal("ModifyImageAttribute", ImageId=made, Status="Deprecated") == (400, "IncorrectImageStatus")
    stage.ask("ModifyImageAttribute", ImageId=made, ImageName="silver", BootMode="UEFI")
    [image] = stage.ask("DescribeImages", ImageId=made, Status="ALL")["Images"]["Image"]
    assert (image["ImageName"], image["BootMode"]) == ("silver", "UEFI")
