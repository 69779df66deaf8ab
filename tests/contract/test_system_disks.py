"""A new system disk of an image, through both doors."""

import pytest

from shared.domain.errors import Busy, NotFound, OutcomeUnknown, Permanent
from shared.domain.ids import ImageId
from shared.ports.compute import InstanceRequest
from tests.contract.conftest import Door
from tests.contract.disks import APP, DATA, LONG, OLD, SYSTEM, read, shown, stop, write
from tests.contract.faults import RPC, Mishap, with_faults


def golden(door: Door, *, wait: float = LONG) -> ImageId:
    made = door.images.create_from_instance(APP, name="golden", family="app", tags={}, token="image")
    door.advance(wait)
    return made


def test_a_running_instance_keeps_its_system_disk(door: Door) -> None:
    image = golden(door)

    with pytest.raises(Permanent, match="IncorrectInstanceStatus"):
        door.instances.replace_system_disk(APP, image, token="t")
    assert shown(door, SYSTEM).instance == APP


def test_no_system_disk_is_made_of_an_image_that_is_not_there_or_not_ready(door: Door) -> None:
    stop(door)
    young = golden(door, wait=0)

    with pytest.raises(Permanent, match="ImageNotValid"):
        door.instances.replace_system_disk(OLD, young, token="t1")
    with pytest.raises(NotFound, match="m-nobody"):
        door.instances.replace_system_disk(OLD, ImageId("m-nobody"), token="t2")
    with pytest.raises(Busy, match="DiskCreatingSnapshot"):
        door.instances.replace_system_disk(APP, ImageId("m-base"), token="t3")


def test_a_new_system_disk_holds_the_image_and_the_data_stays(door: Door) -> None:
    write(door, SYSTEM, b"old!")
    write(door, DATA, b"data")
    image = golden(door)
    write(door, SYSTEM, b"new!")
    stop(door)

    made = door.instances.replace_system_disk(APP, image, token="t")
    assert door.instances.replace_system_disk(APP, image, token="t") == made
    door.advance(LONG)

    assert list(door.inventory.disks(ids=[SYSTEM])) == []
    assert (shown(door, made).instance, shown(door, made).state) == (APP, "in_use")
    assert (read(door, made), read(door, DATA)) == (b"old!", b"data")
    [app] = door.inventory.instances(ids=[APP])
    assert (app.image, app.private_address) == (image, "10.0.1.11")
    assert {one.disk for one in door.snapshots.list(disk=SYSTEM)} == {SYSTEM}


@pytest.mark.parametrize(("asked", "becomes"), [(0, 40), (30, 30), (60, 60)])
def test_a_new_system_disk_has_the_size_asked_for_else_the_clouds_own(door: Door, asked: int, becomes: int) -> None:
    image = golden(door)
    stop(door)
    made = door.instances.replace_system_disk(APP, image, token="t", size_gib=asked)
    door.advance(LONG)

    assert shown(door, made).size_gib == becomes


@pytest.mark.parametrize("mishap", [one for one in RPC if one.applied], ids=str)
def test_a_replacement_whose_answer_was_lost_is_told_by_its_token(door: Door, mishap: Mishap) -> None:
    stop(door)
    with with_faults(door.cloud, door.run, mishap.fault("ecs", "ReplaceSystemDisk")), pytest.raises(OutcomeUnknown):
        door.instances.replace_system_disk(APP, ImageId("m-base"), token="t")
    [system] = [disk.id for disk in door.inventory.disks(instance=APP) if disk.device == "/dev/xvda"]

    assert system != SYSTEM
    assert door.instances.replace_system_disk(APP, ImageId("m-base"), token="t") == system


def test_a_new_instance_has_a_system_disk_as_large_as_asked_for(door: Door) -> None:
    asked = InstanceRequest(
        image=ImageId("m-base"), instance_type="ecs.g7.large", zone="cn-hangzhou-h", vswitch="vsw-h",
        security_groups=("sg-a",), name="large", system_disk_category="cloud_essd", system_disk_gib=120,
    )  # fmt: skip

    new = door.instances.run(asked, token="t")

    assert [disk.size_gib for disk in door.inventory.disks(instance=new)] == [120]
