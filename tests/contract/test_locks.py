"""WORM locks through both doors: what is refused first."""

import pytest

from shared.domain.errors import NotFound, Permanent
from shared.domain.ids import DiskId, SnapshotId
from tests.contract.conftest import Door


def a_snapshot(door: Door, *, wait: bool = True) -> SnapshotId:
    made = door.snapshots.create(DiskId("d-app-data"), name="understudy-x", tags={}, token="one")
    if wait:
        door.advance(120)
    return made


def test_nothing_cannot_be_locked(door: Door) -> None:
    with pytest.raises(NotFound):
        door.snapshots.lock(SnapshotId("s-none"), days=1, cool_off_hours=0, token="t")


@pytest.mark.parametrize(("days", "cool_off"), [(0, 0), (36_501, 0), (30, 73), (1, 72)])
def test_bounds_are_the_cloud_s(door: Door, days: int, cool_off: int) -> None:
    with pytest.raises(Permanent):
        door.snapshots.lock(a_snapshot(door), days=days, cool_off_hours=cool_off, token="t")


def test_a_lock_in_force_is_made_longer_and_never_shorter(door: Door) -> None:
    snapshot = a_snapshot(door)
    first = door.snapshots.lock(snapshot, days=10, cool_off_hours=0, token="a")
    with pytest.raises(Permanent):
        door.snapshots.lock(snapshot, days=9, cool_off_hours=0, token="b")
    with pytest.raises(Permanent):
        door.snapshots.lock(snapshot, days=20, cool_off_hours=1, token="c")
    longer = door.snapshots.lock(snapshot, days=20, cool_off_hours=0, token="d")
    assert first.expires is not None
    assert longer.expires is not None
    assert (longer.expires - first.expires).days == 10


def test_nobody_deletes_a_locked_snapshot_before_its_time(door: Door) -> None:
    snapshot = a_snapshot(door)
    door.snapshots.lock(snapshot, days=1, cool_off_hours=0, token="t")
    with pytest.raises(Permanent):
        door.snapshots.delete(snapshot)
    door.advance(86_400 + 60)
    assert list(door.snapshots.locks([snapshot])) == [], "an expired lock is no lock"
    door.snapshots.delete(snapshot)


def test_a_lock_that_cools_off_says_so(door: Door) -> None:
    snapshot = a_snapshot(door)
    told = door.snapshots.lock(snapshot, days=30, cool_off_hours=2, token="t")
    assert told.cooling_off
    (read,) = door.snapshots.locks([snapshot])
    assert read == told
    door.advance(2 * 3600 + 1)
    (later,) = door.snapshots.locks([snapshot])
    assert not later.cooling_off


def test_the_same_token_locks_once(door: Door) -> None:
    snapshot = a_snapshot(door)
    first = door.snapshots.lock(snapshot, days=30, cool_off_hours=0, token="t")
    door.advance(3600)
    assert door.snapshots.lock(snapshot, days=30, cool_off_hours=0, token="t") == first


def test_the_time_of_a_snapshot_under_way_has_not_begun(door: Door) -> None:
    snapshot = a_snapshot(door, wait=False)
    told = door.snapshots.lock(snapshot, days=30, cool_off_hours=0, token="t")
    assert told.expires is None
    door.advance(300)
    (later,) = door.snapshots.locks([snapshot])
    assert later.expires is not None


def test_asking_for_no_locks_answers_none(door: Door) -> None:
    assert list(door.snapshots.locks([])) == []


def test_locks_of_more_snapshots_than_one_page_holds_are_all_told(door: Door) -> None:
    made = [
        door.snapshots.create(DiskId("d-app-sys"), name="understudy-x", tags={}, token=f"t{number}")
        for number in range(3)
    ]
    for snapshot in made:
        door.snapshots.lock(snapshot, days=5, cool_off_hours=0, token=snapshot)
    asked = [*made, *(SnapshotId(f"s-unknown-{number}") for number in range(120))]
    assert {one.snapshot for one in door.snapshots.locks(asked)} == set(made)
