"""Disks made of snapshots, put on and taken off, through both doors; and what a lost answer leaves behind."""

from collections.abc import Callable

import pytest

from shared.domain.errors import Conflict, NoStock, NotFound, OutcomeUnknown, Permanent
from shared.domain.ids import DiskId, InstanceId, SnapshotId
from tests.contract.conftest import Door
from tests.contract.disks import (
    APP,
    DATA,
    LONG,
    MARK,
    NOBODY,
    OLD,
    SYSTEM,
    clone,
    create,
    read,
    shown,
    snapshot,
    stop,
    write,
)
from tests.contract.faults import LOST, RPC, Mishap, Write, hold_write, with_faults

# New disks ------------------------------------------------------------------------------------------------------------


def test_a_disk_of_nothing_is_not_made(door: Door) -> None:
    with pytest.raises(NotFound, match="s-nobody"):
        create(door, SnapshotId("s-nobody"))
    with pytest.raises(NotFound, match="Zone"):
        create(door, snapshot(door), zone="cn-hangzhou-x")


def test_a_snapshot_of_a_system_disk_makes_no_data_disk(door: Door) -> None:
    """Why a system disk comes back by reset or by an image only."""
    with pytest.raises(Permanent, match="NotDataDiskSnapshot"):
        create(door, snapshot(door, SYSTEM))


def test_a_category_that_is_not_sold_is_a_question_of_stock(door: Door) -> None:
    point = snapshot(door)
    with pytest.raises(NoStock):
        door.disks.create(point, zone="cn-hangzhou-h", category="cloud_none", name="clone", tags={}, token="t")


def test_the_same_token_makes_one_disk(door: Door) -> None:
    point = snapshot(door)

    assert create(door, point) == create(door, point)
    assert len(list(door.inventory.disks(tags=MARK))) == 1
    with pytest.raises(Conflict):
        create(door, point, size_gib=80)


@pytest.mark.parametrize("mishap", [one for one in RPC if one.applied], ids=str)
def test_a_disk_whose_answer_was_lost_is_not_made_twice(door: Door, mishap: Mishap) -> None:
    point = snapshot(door)
    with (
        with_faults(door.cloud, door.run, mishap.fault("ecs", "CreateDisk")),
        pytest.raises(OutcomeUnknown),
    ):
        create(door, point)
    [made] = door.inventory.disks(tags=MARK)

    assert create(door, point) == made.id
    assert len(list(door.inventory.disks())) == 4


def test_a_clone_holds_the_points_bytes_where_it_was_asked_for(door: Door) -> None:
    write(door, DATA, b"old!")
    point = snapshot(door)
    write(door, DATA, b"new!")

    made = create(door, point, zone="cn-hangzhou-i", size_gib=80)

    assert shown(door, made).state == "creating"
    door.advance(60)
    disk = shown(door, made)
    assert (disk.state, disk.instance, disk.zone, disk.size_gib) == ("available", None, "cn-hangzhou-i", 80)
    assert (disk.name, disk.category, disk.tags) == ("clone", "cloud_essd", MARK)
    assert read(door, made) == b"old!"


def test_a_size_below_the_snapshots_is_raised_to_it(door: Door) -> None:
    made = create(door, snapshot(door), size_gib=20)

    assert shown(door, made).size_gib == 40


def test_an_essd_clone_needs_no_complete_snapshot(door: Door) -> None:
    young = snapshot(door, wait=0)

    assert shown(door, clone(door, young)).state == "available"


# On and off -----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_attached(door: Door) -> None:
    point = snapshot(door)
    elsewhere = clone(door, point, zone="cn-hangzhou-i")
    here = clone(door, point, token="t2")

    with pytest.raises(Permanent, match=r"InvalidDisk\.InUse"):
        door.disks.attach(OLD, DATA)
    with pytest.raises(Permanent, match="ResourcesNotInSameZone"):
        door.disks.attach(APP, elsewhere)
    with pytest.raises(Permanent, match=r"InvalidDevice\.InUse"):
        door.disks.attach(APP, here, device="/dev/xvdb")
    with pytest.raises(NotFound, match="d-nobody"):
        door.disks.attach(APP, NOBODY)
    with pytest.raises(NotFound, match="i-nobody"):
        door.disks.attach(InstanceId("i-nobody"), here)


def test_an_instance_has_room_for_so_many_disks(door: Door) -> None:
    made = clone(door, snapshot(door))

    def fill() -> None:
        instance = door.cloud.ecs.find_instance(APP)
        for _ in range(15):
            disks = door.cloud.ecs.disks
            disks.hang(
                disks.add(kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h"), instance
            )  # fmt: skip

    door.run(fill)

    with pytest.raises(Permanent, match="InstanceDiskLimitExceeded"):
        door.disks.attach(APP, made)


def test_a_disk_goes_on_where_it_is_told_to(door: Door) -> None:
    made = clone(door, snapshot(door))

    door.disks.attach(APP, made, device="/dev/xvdf", delete_with_instance=True)

    assert shown(door, made).state == "attaching"
    door.advance(60)
    disk = shown(door, made)
    assert (disk.state, disk.instance, disk.device, disk.delete_with_instance) == ("in_use", APP, "/dev/xvdf", True)


def test_a_disk_takes_the_next_device_and_stays_when_the_instance_goes_unless_told_otherwise(door: Door) -> None:
    made = clone(door, snapshot(door))

    door.disks.attach(APP, made)

    assert (shown(door, made).device, shown(door, made).delete_with_instance) == ("/dev/xvdc", False)


def test_a_disk_detached_twice_is_detached(door: Door) -> None:
    door.disks.detach(APP, DATA)
    assert shown(door, DATA).state == "detaching"
    door.disks.detach(APP, DATA)  # on its way
    door.advance(120)
    door.disks.detach(APP, DATA)  # off

    assert (shown(door, DATA).state, shown(door, DATA).instance) == ("available", None)


def test_a_disk_of_somebody_else_is_not_taken_off(door: Door) -> None:
    with pytest.raises(Permanent, match="DependencyViolation"):
        door.disks.detach(OLD, DATA)
    with pytest.raises(NotFound, match="d-nobody"):
        door.disks.detach(APP, NOBODY)
    with pytest.raises(NotFound, match="i-nobody"):
        door.disks.detach(InstanceId("i-nobody"), DATA)
    assert shown(door, DATA).state == "in_use"


def test_a_system_disk_does_not_leave_a_running_instance(door: Door) -> None:
    with pytest.raises(Permanent, match="IncorrectInstanceStatus"):
        door.disks.detach(APP, SYSTEM)


def test_an_old_disk_is_swapped_for_a_clone_under_its_own_device(door: Door) -> None:
    write(door, DATA, b"old!")
    made = clone(door, snapshot(door))
    write(door, DATA, b"new!")
    stop(door)

    door.disks.detach(APP, DATA)
    door.advance(120)
    door.disks.attach(APP, made, device="/dev/xvdb")
    door.advance(60)

    devices = {disk.device: disk.id for disk in door.inventory.disks(instance=APP)}
    assert devices == {"/dev/xvda": SYSTEM, "/dev/xvdb": made}
    assert (read(door, made), read(door, DATA)) == (b"old!", b"new!")


# Lost answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mishap", RPC, ids=str)
def test_a_disk_whose_making_goes_wrong_is_known_by_its_tags(door: Door, mishap: Mishap) -> None:
    point = snapshot(door)
    making = Write(
        action="CreateDisk",
        send=lambda: create(door, point),
        done=lambda: len(list(door.inventory.disks(tags=MARK))) == 1,
    )
    hold_write(door.cloud, door.run, "ecs", making, mishap)


@pytest.mark.parametrize("mishap", RPC, ids=str)
def test_what_takes_no_token_shows_in_the_disks_state(door: Door, mishap: Mishap) -> None:
    """Sent again after its effect it may be refused: that is why one looks first."""
    point = snapshot(door)
    spare = clone(door, point)
    stop(door)
    calls: tuple[tuple[str, DiskId, str, Callable[[], None]], ...] = (
        ("ResetDisk", DATA, "in_use", lambda: door.disks.reset(DATA, point)),
        ("ReInitDisk", DATA, "in_use", lambda: door.disks.reinitialise(DATA)),
        ("AttachDisk", spare, "available", lambda: door.disks.attach(APP, spare)),
        ("DetachDisk", DATA, "in_use", lambda: door.disks.detach(APP, DATA)),
    )
    for action, disk, before, send in calls:
        assert shown(door, disk).state == before
        # ResetDisk's own way of saying "later" is a 400; this one is a 500, and says nothing.
        with with_faults(door.cloud, door.run, mishap.fault("ecs", action)), pytest.raises(mishap.write):
            send()
        assert (shown(door, disk).state != before) == mishap.applied, action
        door.advance(LONG)


def test_a_detachment_can_be_sent_again_whatever_became_of_it(door: Door) -> None:
    lost = next(one for one in LOST if one.applied)
    with with_faults(door.cloud, door.run, lost.fault("ecs", "DetachDisk")), pytest.raises(OutcomeUnknown):
        door.disks.detach(APP, DATA)

    door.disks.detach(APP, DATA)
    door.advance(120)

    assert shown(door, DATA).state == "available"
