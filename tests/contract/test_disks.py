"""Disks rolled back and made as new, through both doors: refusals first, then the bytes."""

import pytest

from emulator.faults.fault import Fault
from shared.domain.errors import Busy, NotFound, OutcomeUnknown, Permanent
from shared.domain.ids import SnapshotId
from shared.domain.inventory import InstanceState
from tests.contract.conftest import Door
from tests.contract.disks import (
    APP,
    DATA,
    LONG,
    NOBODY,
    OLD,
    SLOW,
    SYSTEM,
    clone,
    create,
    read,
    shown,
    snapshot,
    stop,
    write,
)
from tests.contract.faults import with_faults

# Rolling back: refused ------------------------------------------------------------------------------------------------


def test_a_running_instance_keeps_its_disk(door: Door) -> None:
    """What stops an executor that froze between its check and its call."""
    point = snapshot(door)
    write(door, DATA, b"new!")

    with pytest.raises(Permanent, match="IncorrectInstanceStatus"):
        door.disks.reset(DATA, point)

    door.advance(LONG)
    assert read(door, DATA) == b"new!"


def test_a_snapshot_of_another_disk_rolls_nothing_back(door: Door) -> None:
    point = snapshot(door, SYSTEM)
    stop(door)

    with pytest.raises(Permanent, match=r"InvalidParameter\.Mismatch"):
        door.disks.reset(DATA, point)


def test_a_rollback_of_nothing_or_to_nothing_is_not_found(door: Door) -> None:
    point = snapshot(door)
    stop(door)

    with pytest.raises(NotFound, match="s-nobody"):
        door.disks.reset(DATA, SnapshotId("s-nobody"))
    with pytest.raises(NotFound, match="d-nobody"):
        door.disks.reset(NOBODY, point)


def test_a_rollback_waits_for_every_snapshot_of_the_disk(door: Door) -> None:
    """Also for one that can be used already: the safety snapshot of a moment ago."""
    write(door, DATA, b"old!")
    point = snapshot(door)
    stop(door)
    safety = snapshot(door, token="s2", wait=0)
    assert [one.usable for one in door.snapshots.list(ids=[safety])] == [True]

    with pytest.raises(Busy, match="HasUnfinishedSnapshot"):
        door.disks.reset(DATA, point)

    door.advance(LONG)
    door.disks.reset(DATA, point)


def test_a_snapshot_that_is_not_ready_is_asked_for_again_later(door: Door) -> None:
    young = snapshot(door, SLOW, wait=0)

    with pytest.raises(Busy, match="NotReady"):
        door.disks.reset(SLOW, young)
    with pytest.raises(Busy, match="NotReady"):
        create(door, young)

    door.advance(LONG)
    door.disks.reset(SLOW, young)


def test_a_rollback_that_is_under_way_is_not_begun_twice(door: Door) -> None:
    point = snapshot(door)
    stop(door)
    door.disks.reset(DATA, point)

    with pytest.raises(Busy, match="DiskResetInProgress"):
        door.disks.reset(DATA, point)
    assert shown(door, DATA).state == "reiniting"
    with pytest.raises(Permanent, match="DiskError"):
        door.instances.start(APP)


def test_a_refusal_from_inside_is_asked_for_again_later(door: Door) -> None:
    """Documented for this call as a 400; the same code as a 500 says nothing about the effect."""
    point = snapshot(door)
    stop(door)

    for status, told in ((400, Busy), (500, OutcomeUnknown)):
        inside = Fault(kind="error", action="ResetDisk", code="InternalError", status=status)
        with with_faults(door.cloud, door.run, inside), pytest.raises(told):
            door.disks.reset(DATA, point)
    door.disks.reset(DATA, point)


# Rolling back: done ---------------------------------------------------------------------------------------------------


def test_a_rollback_brings_back_bytes_and_size(door: Door) -> None:
    write(door, DATA, b"old!")
    point = snapshot(door)
    write(door, DATA, b"new!")
    stop(door)
    door.run(lambda: door.cloud.ecs.attachments.resize(DATA, 60))
    assert shown(door, DATA).size_gib == 60

    door.disks.reset(DATA, point)
    door.advance(LONG)

    assert read(door, DATA) == b"old!"
    assert (shown(door, DATA).state, shown(door, DATA).size_gib) == ("in_use", 40)


def test_a_state_that_does_not_show_the_rollback_is_no_end_of_it(door: Door) -> None:
    """What a disk reads meanwhile is not documented: Busy is the only word on it then."""
    door.cloud.ecs.contents.shown_while_resetting = None
    point = snapshot(door)
    stop(door)

    door.disks.reset(DATA, point)

    assert shown(door, DATA).state == "in_use"
    with pytest.raises(Busy):
        door.disks.reset(DATA, point)


def test_a_disk_that_is_attached_nowhere_can_be_rolled_back(door: Door) -> None:
    write(door, DATA, b"old!")
    point = snapshot(door)
    write(door, DATA, b"new!")
    door.disks.detach(APP, DATA)
    door.advance(120)

    door.disks.reset(DATA, point)
    door.advance(LONG)

    assert (read(door, DATA), shown(door, DATA).state) == (b"old!", "available")


# Made as new ----------------------------------------------------------------------------------------------------------


def test_a_running_instance_keeps_what_would_be_made_as_new(door: Door) -> None:
    with pytest.raises(Permanent, match="IncorrectInstanceStatus"):
        door.disks.reinitialise(DATA)
    with pytest.raises(NotFound, match="d-nobody"):
        door.disks.reinitialise(NOBODY)


def test_an_instance_that_never_ran_has_nothing_to_make_as_new(door: Door) -> None:
    def never() -> None:
        door.cloud.ecs.find_instance(OLD).started = None

    door.run(never)

    with pytest.raises(Permanent, match="IncorrectInstanceStatus"):
        door.disks.reinitialise(SLOW)


def test_making_as_new_waits_for_snapshots(door: Door) -> None:
    stop(door)
    snapshot(door, wait=0)

    with pytest.raises(Busy, match="DiskCreatingSnapshot"):
        door.disks.reinitialise(DATA)


def test_a_disk_whose_snapshot_is_gone_cannot_be_made_as_new(door: Door) -> None:
    point = snapshot(door)
    made = clone(door, point)
    door.disks.attach(APP, made)
    door.advance(60)
    stop(door)
    door.run(lambda: door.cloud.ecs.snapshots.delete(point, force=True))

    with pytest.raises(NotFound, match="InvalidSourceSnapshot"):
        door.disks.reinitialise(made)


def test_a_disk_made_as_new_reads_its_source_again(door: Door) -> None:
    write(door, DATA, b"old!")
    made = clone(door, snapshot(door))
    door.disks.attach(APP, made)
    door.advance(60)
    stop(door)
    write(door, made, b"new!")
    write(door, DATA, b"new!")

    door.disks.reinitialise(made)
    door.disks.reinitialise(DATA)
    door.advance(LONG)

    assert (read(door, made), read(door, DATA)) == (b"old!", b"\0\0\0\0")
    assert shown(door, made).state == "in_use"
    [app] = door.inventory.instances(ids=[APP])
    assert app.state is InstanceState.STOPPED
