"""Public images: there from the first day, started by id or family, and nobody's to change."""

import pytest

from tests.emulator.two_regions import THERE, TwoRegions

ORDER = {"InstanceType": "ecs.g7.large", "VSwitchId": "vsw-h", "SecurityGroupId": "sg-a"}


@pytest.fixture
def stage() -> TwoRegions:
    return TwoRegions()


def listed(stage: TwoRegions, **given: str) -> list[str]:
    return [image["ImageId"] for image in stage.ask("DescribeImages", given)["Images"]["Image"]]


def test_a_listing_that_names_no_owner_shows_public_images_too(stage: TwoRegions) -> None:
    """Trap: whoever lists images to clean up must ask for its own."""
    public = listed(stage, ImageOwnerAlias="system")
    assert len(public) >= 3
    assert listed(stage) == ["m-base", *public]
    assert listed(stage, ImageOwnerAlias="self") == ["m-base"]
    assert listed(stage, ImageOwnerAlias="others") == listed(stage, ImageOwnerAlias="marketplace") == []
    assert listed(stage, OSType="windows") == [one for one in public if one.startswith("win")]
    [linux] = stage.ask("DescribeImages", ImageId=public[0])["Images"]["Image"]
    assert (linux["ImageOwnerAlias"], linux["IsPublic"], linux["Usage"]) == ("system", False, "none")
    assert [one["ImageId"] for one in stage.there("DescribeImages")["Images"]["Image"]] == public


def test_an_instance_starts_from_a_public_image_by_its_id_or_its_family(stage: TwoRegions) -> None:
    [public] = listed(stage, ImageFamily="acs:ubuntu_24_04_x64")
    [first] = stage.ask("RunInstances", {**ORDER, "ImageId": public})["InstanceIdSets"]["InstanceIdSet"]
    family = {"ImageFamily": "acs:ubuntu_24_04_x64"}
    stage.ask("RunInstances", {**ORDER, **family})
    assert stage.ask("DescribeImageFromFamily", family)["Image"]["ImageOwnerAlias"] == "system"
    stage.advance(60)
    [disk] = stage.ask("DescribeDisks", InstanceId=first)["Disks"]["Disk"]
    assert (disk["ImageId"], disk["Size"]) == (public, 40)
    assert listed(stage, ImageOwnerAlias="system", Usage="instance") == [public]
    stage.ask("CreateImage", InstanceId=first, ImageName="golden")
    stage.ask("StopInstance", InstanceId=first)
    stage.advance(120)
    stage.ask("ReInitDisk", DiskId=disk["DiskId"])
    stage.advance(120)
    assert stage.ask("ReplaceSystemDisk", InstanceId=first, ImageId=public)["DiskId"]


def test_a_public_image_is_nobodys_to_change(stage: TwoRegions) -> None:
    [public] = listed(stage, ImageFamily="acs:ubuntu_24_04_x64")
    for action, more in (
        ("ModifyImageAttribute", {"Status": "Deprecated"}),
        ("ModifyImageSharePermission", {"AddAccount.1": "2000000000000002"}),
        ("CopyImage", {"DestinationRegionId": THERE}),
    ):
        assert stage.refusal(action, {"ImageId": public, **more}) == (404, "InvalidImageId.NotFound")
    stage.ask("DeleteImage", ImageId=public, Force="true")
    assert listed(stage, ImageFamily="acs:ubuntu_24_04_x64") == [public]
