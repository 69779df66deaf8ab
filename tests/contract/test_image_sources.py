"""Images made of snapshots, what an image says of itself, and how it leaves its family, through both doors."""

import pytest

from shared.domain.errors import Busy, Conflict, NotFound, OutcomeUnknown, Permanent
from shared.domain.ids import DiskId, ImageId, SnapshotId
from shared.domain.inventory import DiskKind, Image, ImageDisk, ImageState
from shared.ports.compute import InstanceRequest
from tests.contract.conftest import Door
from tests.contract.disks import APP, DATA, LONG, MARK, SYSTEM, read, snapshot, write
from tests.contract.faults import RPC, Mishap, Write, hold_write, with_faults


def system(of: SnapshotId, device: str = "") -> ImageDisk:
    return ImageDisk(snapshot=of, kind=DiskKind.SYSTEM, device=device)


def data(of: SnapshotId, device: str = "") -> ImageDisk:
    return ImageDisk(snapshot=of, kind=DiskKind.DATA, device=device)


def points(door: Door) -> tuple[SnapshotId, SnapshotId]:
    """Of the system disk and of the data disk of one instance, both complete."""
    return snapshot(door, SYSTEM, token="p1", wait=0), snapshot(door, DATA, token="p2")


def make(door: Door, *disks: ImageDisk, name: str = "golden", token: str = "t", version: str = "") -> ImageId:
    return door.images.create_from_snapshots(
        disks, name=name, family="web", tags=MARK, token=token, version=version
    )  # fmt: skip


def shown(door: Door, image: ImageId) -> Image:
    [found] = door.images.list(ids=[image])
    return found


def run(door: Door, image: ImageId) -> list[DiskId]:
    """The disks of an instance made of it, by device."""
    asked = InstanceRequest(
        image=image, instance_type="ecs.g7.large", zone="cn-hangzhou-h", vswitch="vsw-h", security_groups=("sg-a",),
        name="web", system_disk_category="cloud_essd",
    )  # fmt: skip
    new = door.instances.run(asked, token=f"run-{image}")
    return [disk.id for disk in sorted(door.inventory.disks(instance=new), key=lambda disk: disk.device)]


# Refused --------------------------------------------------------------------------------------------------------------


def test_an_image_needs_exactly_one_system_disk(door: Door) -> None:
    first, second = points(door)
    other = snapshot(door, DiskId("d-old-sys"), token="p3")

    with pytest.raises(Permanent, match=r"InvalidSystemSnapshot\.Missing"):
        make(door, data(second))
    with pytest.raises(Permanent, match="OperationDenied"):
        make(door, system(first), system(other))


def test_an_image_of_a_snapshot_that_is_not_complete_waits(door: Door) -> None:
    """An ESSD snapshot can be used for disks before that; for images it cannot."""
    young = snapshot(door, SYSTEM, wait=0)
    assert [one.usable for one in door.snapshots.list(ids=[young])] == [True]

    with pytest.raises(Busy, match="NotReady"):
        make(door, system(young))

    door.advance(LONG)
    assert make(door, system(young))


def test_an_image_of_a_snapshot_that_is_gone_is_not_found(door: Door) -> None:
    with pytest.raises(NotFound, match="s-nobody"):
        make(door, system(SnapshotId("s-nobody")))


def test_devices_are_those_of_the_cloud_and_each_has_one_disk(door: Door) -> None:
    first, second = points(door)

    with pytest.raises(Permanent, match=r"InvalidDevice\.InUse"):
        make(door, system(first), data(second, "/dev/xvdb"), data(second, "/dev/xvdb"))
    with pytest.raises(Permanent, match=r"InvalidDevice\.Malformed"):
        make(door, system(first, "/dev/xvdb"))
    with pytest.raises(Permanent, match=r"InvalidDevice\.Malformed"):
        make(door, system(first), data(second, "/dev/sda1"))


def test_an_image_has_room_for_sixteen_data_disks(door: Door) -> None:
    first, second = points(door)

    with pytest.raises(Permanent, match="OperationDenied"):
        make(door, system(first), *[data(second)] * 17)
    assert make(door, system(first), *[data(second)] * 16)


def test_a_name_that_is_taken_is_refused(door: Door) -> None:
    first, _ = points(door)

    with pytest.raises(Permanent, match="Duplicated"):
        make(door, system(first), name="base")
    assert list(door.images.list(tags=MARK)) == []


# Made -----------------------------------------------------------------------------------------------------------------


def test_an_image_of_snapshots_takes_none_of_its_own_and_holds_their_bytes(door: Door) -> None:
    write(door, SYSTEM, b"old!")
    write(door, DATA, b"data")
    first, second = points(door)
    write(door, SYSTEM, b"new!")
    write(door, DATA, b"late")
    before = {one.id for one in door.snapshots.list()}

    made = make(door, system(first), data(second, "/dev/xvdc"), version="7")

    assert shown(door, made).state is ImageState.CREATING
    door.advance(60)
    image = shown(door, made)
    assert (image.state, image.name, image.family, image.version) == (ImageState.AVAILABLE, "golden", "web", "7")
    assert image.snapshots == (first, second)
    assert image.disks == (
        ImageDisk(snapshot=first, kind=DiskKind.SYSTEM, device="/dev/xvda", size_gib=20),
        ImageDisk(snapshot=second, kind=DiskKind.DATA, device="/dev/xvdc", size_gib=40),
    )
    assert image.tags == MARK
    assert {one.id for one in door.snapshots.list()} == before
    assert {one.usage for one in door.snapshots.list()} == {"image"}
    assert [read(door, disk) for disk in run(door, made)] == [b"old!", b"data"]


def test_a_disk_of_an_image_can_be_larger_than_its_snapshot(door: Door) -> None:
    first, _ = points(door)

    made = make(door, ImageDisk(snapshot=first, kind=DiskKind.SYSTEM, size_gib=60))

    assert [disk.size_gib for disk in shown(door, made).disks] == [60]
    with pytest.raises(Permanent, match="InvalidSize"):
        make(door, ImageDisk(snapshot=first, kind=DiskKind.SYSTEM, size_gib=10), name="small", token="t2")


def test_an_image_of_an_instance_has_a_version_and_maps_its_disks(door: Door) -> None:
    made = door.images.create_from_instance(APP, name="golden", family="web", tags={}, token="t", version="3")

    image = shown(door, made)

    assert image.version == "3"
    assert [(disk.kind, disk.device, disk.size_gib) for disk in image.disks] == [
        (DiskKind.SYSTEM, "/dev/xvda", 20),
        (DiskKind.DATA, "/dev/xvdb", 40),
    ]
    assert tuple(disk.snapshot for disk in image.disks) == image.snapshots


def test_a_disk_whose_contents_only_the_cloud_knows_has_no_snapshot(door: Door) -> None:
    [disk] = shown(door, ImageId("m-base")).disks

    assert (disk.snapshot, disk.kind, disk.size_gib) == ("", DiskKind.SYSTEM, 20)
    assert shown(door, ImageId("m-base")).snapshots == ()


def test_an_image_says_whether_instances_were_made_of_it(door: Door) -> None:
    first, _ = points(door)
    made = make(door, system(first))
    door.advance(60)

    assert shown(door, ImageId("m-base")).used
    assert not shown(door, made).used
    run(door, made)
    assert shown(door, made).used


def test_many_images_are_listed_whole(door: Door) -> None:
    first, _ = points(door)

    def room() -> None:
        door.cloud.ecs.images.quota = 1000

    door.run(room)
    for number in range(130):
        make(door, system(first), name=f"image-{number}", token=f"t{number}")

    found = [image.id for image in door.images.list(tags=MARK)]

    assert len(found) == len(set(found)) == 130


# Told twice -----------------------------------------------------------------------------------------------------------


def test_the_same_token_makes_one_image(door: Door) -> None:
    first, second = points(door)

    assert make(door, system(first)) == make(door, system(first))
    with pytest.raises(Conflict):
        make(door, system(first), data(second))


@pytest.mark.parametrize("mishap", [one for one in RPC if one.applied], ids=str)
def test_an_image_whose_answer_was_lost_is_told_by_its_token(door: Door, mishap: Mishap) -> None:
    first, _ = points(door)
    with with_faults(door.cloud, door.run, mishap.fault("ecs", "CreateImage")), pytest.raises(OutcomeUnknown):
        make(door, system(first))
    [there] = door.images.list(tags=MARK)

    assert make(door, system(first)) == there.id


# Out of its family ----------------------------------------------------------------------------------------------------


def test_a_deprecated_image_can_still_be_started_by_its_id(door: Door) -> None:
    first, _ = points(door)
    made = make(door, system(first))
    door.advance(60)

    door.images.deprecate(made)
    door.images.deprecate(made)

    assert shown(door, made).state is ImageState.DEPRECATED
    assert run(door, made)


def test_what_is_not_made_yet_cannot_be_deprecated(door: Door) -> None:
    first, _ = points(door)
    made = make(door, system(first))

    with pytest.raises(Permanent, match="IncorrectImageStatus"):
        door.images.deprecate(made)
    with pytest.raises(NotFound):
        door.images.deprecate(ImageId("m-nobody"))


@pytest.mark.parametrize("mishap", RPC, ids=str)
def test_a_deprecation_that_goes_wrong_shows_in_the_state(door: Door, mishap: Mishap) -> None:
    leaving = Write(
        action="ModifyImageAttribute",
        send=lambda: door.images.deprecate(ImageId("m-base")),
        done=lambda: shown(door, ImageId("m-base")).state is ImageState.DEPRECATED,
    )
    hold_write(door.cloud, door.run, "ecs", leaving, mishap)
