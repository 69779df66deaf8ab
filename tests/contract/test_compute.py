"""What every adapter of the compute ports promises, over HTTP and in process."""

import pytest

from shared.domain.errors import Conflict, NotFound, Permanent, QuotaReached, Retryable
from shared.domain.ids import DiskId, ImageId, InstanceId, SnapshotId
from shared.domain.inventory import DiskKind, ImageState, InstanceState, SnapshotState
from shared.ports.compute import DataDiskRequest, InstanceRequest
from tests.contract.conftest import Door

APP, OLD = InstanceId("i-app"), InstanceId("i-old")
SYSTEM, DATA, SLOW = DiskId("d-app-sys"), DiskId("d-app-data"), DiskId("d-old-sys")


def order(door: Door, **changes: object) -> InstanceRequest:
    values: dict[str, object] = {
        "image": ImageId("m-base"),
        "instance_type": "ecs.g7.large",
        "zone": "cn-hangzhou-h",
        "vswitch": "vsw-h",
        "security_groups": ("sg-a",),
        "name": "replacement",
        "system_disk_category": "cloud_essd",
        "tags": {"understudy:operation": "op-1"},
    }
    return InstanceRequest(**{**values, **changes})  # type: ignore[arg-type]


# Reading ------------------------------------------------------------------------------------------------------------


def test_an_instance_reads_the_same_through_every_door(door: Door) -> None:
    [app] = door.inventory.instances(ids=[APP])

    assert (app.name, app.state, app.zone) == ("app", InstanceState.RUNNING, "cn-hangzhou-h")
    assert (app.private_address, app.vswitch, app.vpc) == ("10.0.1.11", "vsw-h", "vpc-a")
    assert (app.image, app.security_groups, app.tags) == ("m-base", ("sg-a",), {"role": "app"})
    assert app.created.isoformat() == "2026-03-02T00:00:00+00:00"


def test_unknown_ids_are_left_out(door: Door) -> None:
    assert [i.id for i in door.inventory.instances(ids=[APP, InstanceId("i-nobody")])] == [APP]


def test_asking_for_no_ids_finds_nothing(door: Door) -> None:
    assert list(door.inventory.instances(ids=[])) == []
    assert list(door.inventory.disks(ids=[])) == []
    assert list(door.snapshots.list(ids=[])) == []
    assert list(door.snapshots.groups(ids=[])) == []
    assert list(door.images.list(ids=[])) == []


def test_tags_select_instances(door: Door) -> None:
    assert [i.id for i in door.inventory.instances(tags={"role": "legacy"})] == [OLD]
    assert list(door.inventory.instances(tags={"role": "legacy", "more": "wanted"})) == []


def test_the_disks_of_an_instance(door: Door) -> None:
    disks = {disk.id: disk for disk in door.inventory.disks(instance=APP)}

    assert set(disks) == {SYSTEM, DATA}
    assert disks[SYSTEM].kind is DiskKind.SYSTEM
    assert (disks[DATA].kind, disks[DATA].size_gib, disks[DATA].category) == (DiskKind.DATA, 40, "cloud_essd")
    assert (disks[DATA].state, disks[DATA].instance, disks[DATA].device) == ("in_use", APP, "/dev/xvdb")
    assert not disks[DATA].delete_with_instance


def test_listings_go_on_over_many_pages(door: Door) -> None:
    disks = 623  # more than one page of 500, and a remainder

    def fill() -> None:
        for _ in range(disks):
            door.cloud.ecs.disks.add(kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h")

    door.run(fill)

    found = [disk.id for disk in door.inventory.disks()]

    assert len(found) == len(set(found)) == disks + 3


def test_a_tag_shared_by_more_than_a_thousand_is_still_seen_whole(door: Door) -> None:
    def fill() -> None:
        for _ in range(1_204):
            door.cloud.ecs.disks.add(
                kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h", tags={"fleet": "big"}
            )

    door.run(fill)

    found = [disk.id for disk in door.inventory.disks(tags={"fleet": "big"})]

    assert len(found) == len(set(found)) == 1_204


# Snapshots ----------------------------------------------------------------------------------------------------------


def test_a_snapshot_is_progressing_then_accomplished(door: Door) -> None:
    new = door.snapshots.create(DATA, name="one", tags={"understudy:slot": "2026-03-02T00:00:00Z"}, token="t1")

    [young] = door.snapshots.list(ids=[new])
    door.advance(60)
    [old] = door.snapshots.list(ids=[new])

    assert (young.state, young.usable) == (SnapshotState.PROGRESSING, True)
    assert (old.state, old.usable, old.progress_percent) == (SnapshotState.ACCOMPLISHED, True, 100)
    assert (old.disk, old.disk_kind, old.size_gib, old.usage, old.name) == (DATA, DiskKind.DATA, 40, "none", "one")
    assert old.tags == {"understudy:slot": "2026-03-02T00:00:00Z"}
    assert old.created.isoformat() == "2026-03-02T00:00:00+00:00"


def test_a_snapshot_of_an_older_kind_of_disk_is_usable_only_when_complete(door: Door) -> None:
    new = door.snapshots.create(SLOW, name="slow", tags={}, token="t1")

    assert [s.usable for s in door.snapshots.list(ids=[new])] == [False]
    with pytest.raises(Retryable):
        door.snapshots.create(SLOW, name="second", tags={}, token="t2")
    door.advance(120)
    assert [s.usable for s in door.snapshots.list(ids=[new])] == [True]


def test_the_same_token_makes_one_snapshot(door: Door) -> None:
    first = door.snapshots.create(DATA, name="one", tags={"a": "b"}, token="t1")
    again = door.snapshots.create(DATA, name="one", tags={"a": "b"}, token="t1")

    assert first == again
    assert [s.id for s in door.snapshots.list(disk=DATA)] == [first]


def test_the_same_token_with_other_arguments_is_a_conflict(door: Door) -> None:
    door.snapshots.create(DATA, name="one", tags={}, token="t1")

    with pytest.raises(Conflict):
        door.snapshots.create(DATA, name="two", tags={}, token="t1")


def test_a_snapshot_of_a_disk_that_is_not_there(door: Door) -> None:
    with pytest.raises(NotFound, match="d-nobody"):
        door.snapshots.create(DiskId("d-nobody"), name="one", tags={}, token="t1")


def test_snapshots_are_found_by_disk_and_by_tags(door: Door) -> None:
    mine = door.snapshots.create(DATA, name="mine", tags={"understudy:operation": "op-1"}, token="t1")
    other = door.snapshots.create(SYSTEM, name="other", tags={"understudy:operation": "op-2"}, token="t2")

    assert [s.id for s in door.snapshots.list(disk=SYSTEM)] == [other]
    assert [s.id for s in door.snapshots.list(tags={"understudy:operation": "op-1"})] == [mine]
    assert {s.id for s in door.snapshots.list()} == {mine, other}


def test_a_group_holds_one_member_per_disk_of_one_instant(door: Door) -> None:
    new = door.snapshots.create_group([SYSTEM, DATA], name="group", tags={"understudy:operation": "op-1"}, token="t1")

    [group] = door.snapshots.groups(ids=[new])
    members = list(door.snapshots.list(ids=group.members))
    assert group.instance == APP
    assert group.state == "progressing"
    assert group.tags == {"understudy:operation": "op-1"}
    assert {member.disk for member in members} == {SYSTEM, DATA}
    assert len({member.created for member in members}) == 1
    door.advance(120)
    assert [g.state for g in door.snapshots.groups(tags={"understudy:operation": "op-1"})] == ["accomplished"]


def test_the_same_token_makes_one_group(door: Door) -> None:
    first = door.snapshots.create_group([SYSTEM, DATA], name="group", tags={}, token="t1")

    assert door.snapshots.create_group([SYSTEM, DATA], name="group", tags={}, token="t1") == first
    assert len(list(door.snapshots.groups())) == 1


def test_a_group_over_older_kinds_of_disks_is_refused(door: Door) -> None:
    with pytest.raises(Permanent, match="ESSD"):
        door.snapshots.create_group([SLOW], name="group", tags={}, token="t1")


def test_deleting_twice_succeeds(door: Door) -> None:
    new = door.snapshots.create(DATA, name="one", tags={}, token="t1")

    door.snapshots.delete(new)
    door.snapshots.delete(new)

    assert list(door.snapshots.list(ids=[new])) == []


def test_a_missing_snapshot_may_also_be_answered_by_404(door: Door) -> None:
    door.cloud.ecs.snapshots.missing_deletes_answer_404 = True

    door.snapshots.delete(SnapshotId("s-nobody"))


def test_a_snapshot_that_an_image_needs_cannot_be_deleted(door: Door) -> None:
    image = door.images.create_from_instance(APP, name="golden", family="app", tags={}, token="t1")
    door.advance(120)
    [made] = door.images.list(ids=[image])

    with pytest.raises(Permanent, match="SnapshotCreatedImage"):
        door.snapshots.delete(made.snapshots[0])


def test_a_full_quota_says_so(door: Door) -> None:
    def fill() -> None:
        disk = door.cloud.ecs.disks.find(DATA)
        for _ in range(256):
            door.cloud.ecs.snapshots.take(disk)

    door.run(fill)
    door.advance(120)

    with pytest.raises(QuotaReached, match="256"):
        door.snapshots.create(DATA, name="one-too-many", tags={}, token="t1")


# Images -------------------------------------------------------------------------------------------------------------


def test_an_image_is_listed_while_it_is_still_being_made(door: Door) -> None:
    new = door.images.create_from_instance(APP, name="golden", family="app", tags={"a": "b"}, token="t1")

    [young] = door.images.list(ids=[new])
    door.advance(120)
    [old] = door.images.list(ids=[new])

    assert young.state is ImageState.CREATING
    assert (old.state, old.name, old.family, old.tags) == (ImageState.AVAILABLE, "golden", "app", {"a": "b"})
    disks = {s.disk for s in door.snapshots.list(ids=old.snapshots)}
    assert disks == {SYSTEM, DATA}


def test_images_are_found_by_family_and_tags(door: Door) -> None:
    assert [i.id for i in door.images.list(family="app")] == ["m-base"]
    assert [i.id for i in door.images.list(tags={"made": "by-hand"})] == ["m-base"]
    assert list(door.images.list(family="nobody")) == []


def test_a_name_that_is_taken_is_refused(door: Door) -> None:
    with pytest.raises(Permanent, match="Duplicated"):
        door.images.create_from_instance(APP, name="base", family="app", tags={}, token="t1")


# Instances ----------------------------------------------------------------------------------------------------------


def test_a_new_instance_takes_its_time(door: Door) -> None:
    new = door.instances.run(order(door), token="t1")

    states = []
    for seconds in (0, 6, 30):
        door.advance(seconds)
        states += [i.state for i in door.inventory.instances(ids=[new])]

    assert states == [InstanceState.PENDING, InstanceState.STARTING, InstanceState.RUNNING]


def test_a_new_instance_gets_data_disks_made_of_snapshots(door: Door) -> None:
    snapshot = door.snapshots.create(DATA, name="one", tags={}, token="t1")
    data = DataDiskRequest(snapshot=snapshot, category="cloud_essd", device="/dev/xvdc", delete_with_instance=True)

    new = door.instances.run(order(door, data_disks=(data,), private_address="10.0.1.77"), token="t2")

    [made] = door.inventory.instances(ids=[new])
    [disk] = [d for d in door.inventory.disks(instance=new) if d.kind is DiskKind.DATA]
    assert made.private_address == "10.0.1.77"
    assert made.tags == {"understudy:operation": "op-1"}
    assert (disk.size_gib, disk.device, disk.delete_with_instance) == (40, "/dev/xvdc", True)
    assert [s.usage for s in door.snapshots.list(ids=[snapshot])] == ["disk"]


def test_the_same_token_buys_one_instance(door: Door) -> None:
    first = door.instances.run(order(door), token="t1")

    assert door.instances.run(order(door), token="t1") == first
    assert len(list(door.inventory.instances())) == 3


def test_an_address_in_use_is_refused(door: Door) -> None:
    with pytest.raises(Permanent, match="Duplicated"):
        door.instances.run(order(door, private_address="10.0.1.11"), token="t1")
    assert len(list(door.inventory.instances())) == 2


def test_after_a_shortage_of_stock_only_a_new_token_helps(door: Door) -> None:
    door.cloud.ecs.set_stock("cn-hangzhou-h", "ecs.g7.large", 0)
    with pytest.raises(QuotaReached, match="NoStock"):
        door.instances.run(order(door), token="t1")

    door.cloud.ecs.set_stock("cn-hangzhou-h", "ecs.g7.large", 1)

    with pytest.raises(QuotaReached, match="NoStock"):
        door.instances.run(order(door), token="t1")
    assert door.instances.run(order(door), token="t2")


def test_stop_and_start(door: Door) -> None:
    door.instances.stop(APP, force=True)
    assert [i.state for i in door.inventory.instances(ids=[APP])] == [InstanceState.STOPPING]
    door.advance(60)
    assert [i.state for i in door.inventory.instances(ids=[APP])] == [InstanceState.STOPPED]
    door.instances.start(APP)
    door.advance(60)
    assert [i.state for i in door.inventory.instances(ids=[APP])] == [InstanceState.RUNNING]


def test_stopping_what_is_not_running_is_refused(door: Door) -> None:
    with pytest.raises(Permanent, match="IncorrectInstanceStatus"):
        door.instances.stop(OLD, force=True)
    with pytest.raises(NotFound):
        door.instances.stop(InstanceId("i-nobody"), force=True)


def test_tags_are_added_and_overwritten(door: Door) -> None:
    door.instances.tag([APP, OLD], resource_type="instance", tags={"role": "changed", "more": ""})

    assert [i.tags for i in door.inventory.instances(ids=[APP])] == [{"role": "changed", "more": ""}]


def test_unfinished_events_are_seen(door: Door) -> None:
    door.run(lambda: door.cloud.ecs.fail(APP, recovers=True))
    [event] = door.inventory.system_events(APP)
    assert (event.type, event.status, event.finished) == ("SystemFailure.Reboot", "executing", None)

    door.advance(301)

    [event] = door.inventory.system_events(APP)
    assert event.status == "executed"
    assert event.finished is not None
    assert list(door.inventory.system_events(OLD)) == []
