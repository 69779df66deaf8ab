"""The compute ports while calls are lost, refused, slow, stale or answered in small pages."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from emulator.faults.fault import Fault
from shared.domain.ids import DiskId, ImageId, InstanceId, SnapshotId
from shared.domain.inventory import InstanceState
from shared.ports.compute import InstanceRequest
from tests.contract.conftest import Door
from tests.contract.faults import RPC, Mishap, Read, Write, hold_read, hold_write, with_faults

APP, OLD = InstanceId("i-app"), InstanceId("i-old")
SYSTEM = DiskId("d-app-sys")
DATA = DiskId("d-app-data")


def order(name: str) -> InstanceRequest:
    return InstanceRequest(
        image=ImageId("m-base"),
        instance_type="ecs.g7.large",
        zone="cn-hangzhou-h",
        vswitch="vsw-h",
        security_groups=("sg-a",),
        name=name,
        system_disk_category="cloud_essd",
        tags={"understudy:operation": name},
    )


def writes(door: Door, doomed: SnapshotId) -> Iterator[Write]:
    """Each change of the ports; what carries a token is found again by the tags that were given with it."""
    mark = {"understudy:operation": "op-1"}
    snapshots, images, instances = door.snapshots, door.images, door.instances
    yield Write(
        action="CreateSnapshot",
        send=lambda: snapshots.create(DATA, name="safety", tags=mark, token="t1"),
        done=lambda: len(list(snapshots.list(tags=mark))) == 1,
    )
    yield Write(
        action="DeleteSnapshot",
        send=lambda: snapshots.delete(doomed),
        done=lambda: not list(snapshots.list(ids=[doomed])),
    )
    yield Write(
        action="CreateSnapshotGroup",
        send=lambda: snapshots.create_group([SYSTEM, DATA], name="group", tags=mark, token="t2"),
        done=lambda: len(list(snapshots.groups(tags=mark))) == 1,
    )
    yield Write(
        action="CreateImage",
        send=lambda: images.create_from_instance(APP, name="golden", family="golden", tags=mark, token="t3"),
        done=lambda: len(list(images.list(tags=mark))) == 1,
    )
    yield Write(
        action="RunInstances",
        send=lambda: instances.run(order("op-1"), token="t4"),
        done=lambda: len(list(door.inventory.instances(tags=mark))) == 1,
    )
    yield Write(
        action="TagResources",
        send=lambda: instances.tag([APP], resource_type="instance", tags={"seen": "yes"}),
        done=lambda: [i.id for i in door.inventory.instances(tags={"seen": "yes"})] == [APP],
    )


def state(door: Door, instance: InstanceId) -> InstanceState:
    [found] = door.inventory.instances(ids=[instance])
    return found.state


@pytest.mark.parametrize("mishap", RPC, ids=str)
def test_a_change_that_goes_wrong_says_what_is_known_of_it(door: Door, mishap: Mishap) -> None:
    doomed = door.snapshots.create(DATA, name="doomed", tags={}, token="t0")
    door.advance(3600)
    for write in writes(door, doomed):
        hold_write(door.cloud, door.run, "ecs", write, mishap)
        door.advance(3600)


@pytest.mark.parametrize("mishap", RPC, ids=str)
def test_starting_and_stopping_that_goes_wrong_shows_in_the_state(door: Door, mishap: Mishap) -> None:
    """A repetition after the effect may be refused, as the state has moved on: that is why one looks first."""
    calls: tuple[tuple[str, InstanceId, InstanceState, Callable[[], None]], ...] = (
        ("StopInstance", APP, InstanceState.RUNNING, lambda: door.instances.stop(APP, force=True)),
        ("StartInstance", OLD, InstanceState.STOPPED, lambda: door.instances.start(OLD)),
    )
    for action, instance, before, send in calls:
        assert state(door, instance) is before
        fault = mishap.fault("ecs", action)
        with with_faults(door.cloud, door.run, fault), pytest.raises(mishap.write):
            send()
        assert (state(door, instance) is not before) == mishap.applied


@pytest.mark.parametrize("mishap", [m for m in RPC if not m.applied], ids=str)
def test_a_read_that_goes_wrong_is_not_an_empty_answer(door: Door, mishap: Mishap) -> None:
    door.snapshots.create_group([SYSTEM, DATA], name="group", tags={"a": "b"}, token="t")
    for read in (
        Read(action="DescribeInstances", ask=lambda: list(door.inventory.instances())),
        Read(action="DescribeInstances", ask=lambda: list(door.inventory.instances(ids=[APP]))),
        Read(action="DescribeDisks", ask=lambda: list(door.inventory.disks(instance=APP))),
        Read(action="DescribeInstanceHistoryEvents", ask=lambda: list(door.inventory.system_events(APP))),
        Read(action="DescribeSnapshots", ask=lambda: list(door.snapshots.list(disk=DATA))),
        Read(action="DescribeSnapshotGroups", ask=lambda: list(door.snapshots.groups())),
        Read(action="DescribeImages", ask=lambda: list(door.images.list(family="app"))),
    ):
        hold_read(door.cloud, door.run, "ecs", read, mishap)


def test_a_listing_is_whole_over_short_and_empty_pages(door: Door) -> None:
    def fill() -> None:
        for n in range(23):
            tags = {"n": str(n % 2)}
            door.cloud.ecs.disks.add(kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h", tags=tags)

    door.run(fill)
    calm = [[d.id for d in door.inventory.disks(tags=tags)] for tags in (None, {"n": "1"})]
    instances = list(door.inventory.instances(ids=[APP, OLD]))
    short = Fault(kind="short_page", rows=4, calls=None)
    with with_faults(door.cloud, door.run, short, Fault(kind="empty_page", probability=0.4)):
        assert [[d.id for d in door.inventory.disks(tags=tags)] for tags in (None, {"n": "1"})] == calm
        assert list(door.inventory.instances(ids=[APP, OLD])) == instances


def test_throttling_ends_with_the_minute(door: Door) -> None:
    with with_faults(door.cloud, door.run, Fault(kind="throttle", action="CreateSnapshot")):
        hold = Mishap(kind="throttle").read
        for _ in range(2):
            with pytest.raises(hold):
                door.snapshots.create(DATA, name="safety", tags={}, token="t1")
        door.advance(60)
        door.snapshots.create(DATA, name="safety", tags={}, token="t1")


def test_a_wait_that_the_cloud_asks_for_is_passed_on(door: Door) -> None:
    fault = Fault(kind="throttle", calls=1, retry_after_ms=1500)
    with with_faults(door.cloud, door.run, fault), pytest.raises(Mishap(kind="throttle").read) as told:
        door.snapshots.create(DATA, name="safety", tags={}, token="t1")
    assert getattr(told.value, "retry_after", None) == timedelta(seconds=1.5)


def test_a_slow_call_is_answered_late_but_rightly(door: Door) -> None:
    before = door.run(door.cloud.clock.now)
    with with_faults(door.cloud, door.run, Fault(kind="slow", seconds=900)):
        assert [i.id for i in door.inventory.instances(ids=[APP])] == [APP]
    assert door.run(door.cloud.clock.now) - before == timedelta(seconds=900)


def test_a_lagging_replica_does_not_show_what_was_just_made(door: Door) -> None:
    """Why a lost answer of a call with a token is cleared up by sending it again, not only by a list."""
    mark = {"understudy:operation": "op-1"}
    with with_faults(door.cloud, door.run, Fault(kind="stale_read", action="DescribeSnapshots")):
        assert list(door.snapshots.list(tags=mark)) == []
        new = door.snapshots.create(DATA, name="safety", tags=mark, token="t1")
        assert list(door.snapshots.list(tags=mark)) == []
        assert door.snapshots.create(DATA, name="safety", tags=mark, token="t1") == new
        assert [s.id for s in door.snapshots.list(tags=mark)] == [new]


def test_a_region_that_is_out_is_unknown_to_change_and_retryable_to_read(door: Door) -> None:
    lost = Mishap(kind="timeout_before")
    with with_faults(door.cloud, door.run, Fault(kind="region_outage", region="cn-hangzhou")):
        with pytest.raises(lost.write):
            door.snapshots.create(DATA, name="safety", tags={}, token="t1")
        with pytest.raises(lost.read):
            list(door.inventory.instances())
    assert list(door.snapshots.list()) == []
