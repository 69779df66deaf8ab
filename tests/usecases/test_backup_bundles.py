"""Snapshots in groups over several instances: what becomes of the others when one disk of a group cannot go."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import OutcomeUnknown, Permanent, Retryable
from shared.domain.inventory import DiskKind
from shared.domain.policy import DiskSelection, Overlap, Protection, Then, Where
from shared.domain.retention import Level
from shared.state.slots import SlotState
from tests.usecases.backup_world import APPLICATIONS, World, a_fleet, a_policy
from tests.usecases.test_backup_interruptions import TROUBLES, Trouble, calls_of
from understudy.simulation.compute import InProcessSnapshots

EIGHT = [f"i-000{one}" for one in range(1, 9)]
CREATE = "snapshots.create_group"


def eight(protection: Protection = APPLICATIONS, *, category: str = "cloud_essd") -> World:
    """Eight instances of two disks: one full bundle. The slot of 01:00 is due."""
    world = World(a_policy(protection), stands=a_fleet(8, category=category))
    world.advance(hours=1)
    return world


def take(world: World, minutes: float = 10) -> None:
    world.schedule()
    world.run_for(minutes=minutes, prune=False)


def states(world: World) -> dict[str, str]:
    return {slot.subject: slot.state.value for slot in world.slots() if slot.due.hour == 1}


def because(world: World, instance: str) -> str:
    (slot,) = [slot for slot in world.slots() if slot.subject == instance and slot.due.hour == 1]
    return slot.because


def all_taken_but(instance: str) -> dict[str, str]:
    return {one: "skipped" if one == instance else "taken" for one in EIGHT}


def fill(world: World, disk: str, snapshots: int) -> None:
    """Somebody else's snapshots of it, which stay under way."""
    for number in range(snapshots):
        made = world.cloud.ecs.snapshots.create(disk, name=f"by-hand-{number}")
        assert made.due is not None
        made.due.cancel()


def groups_asked_for(world: World) -> list[Sequence[str]]:
    """The disks of each group, told before the call goes out."""
    asked: list[Sequence[str]] = []
    wired = world.here.snapshots

    class Telling:
        def __getattr__(self, method: str) -> Any:
            real = getattr(wired, method)
            if method != "create_group":
                return real

            def create_group(disks: Sequence[str], **kwargs: Any) -> Any:
                asked.append(disks)
                return real(disks, **kwargs)

            return create_group

    world.here.snapshots = Telling()
    return asked


def before_the_first_group(world: World, do: Callable[[], None]) -> None:
    done: list[int] = []

    def trouble(number: int, label: str, after: bool) -> None:
        if label == CREATE and not after and not done:
            done.append(number)
            do()

    world.wire.trouble = trouble


# -- one that cannot go ----------------------------------------------------------------------------------------------


def test_a_disk_that_is_gone_since_it_was_listed_costs_only_its_own_instance_the_slot() -> None:
    world = eight()
    before_the_first_group(world, lambda: world.cloud.ecs.disks.drop(world.cloud.ecs.disks.find("d-0003-1")))

    take(world)

    assert states(world) == all_taken_but("i-0003")
    assert "a disk is gone since it was listed, the next slot goes without it" in because(world, "i-0003")
    assert len(world.in_cloud()) == 14
    assert world.open_operations() == 0
    asked = world.wire.labels.count(CREATE)
    assert asked == 1 + 2 * 3  # eight, then halves of eight, four and two


def test_a_full_quota_of_one_disk_is_told_with_what_would_help() -> None:
    world = eight()
    for number in range(256):
        world.cloud.ecs.snapshots.create("d-0008-sys", name=f"by-hand-{number}")
        world.advance(seconds=1)

    take(world)

    assert states(world) == all_taken_but("i-0008")
    words = because(world, "i-0008")
    assert words.startswith("quota reached: ")
    assert "d-0008-sys has 256 manual snapshots" in words
    assert "What helps: a shorter keep or fewer schedules in protection applications" in words


def test_disks_that_no_group_takes_after_all_are_taken_one_by_one_and_say_so() -> None:
    """The listing calls them groupable, the cloud does not (a disk that several instances share, for example)."""
    world = eight()
    asked = groups_asked_for(world)

    def never_the_fifth(number: int, label: str, after: bool) -> None:
        if label == CREATE and not after and "d-0005-1" in asked[-1]:
            raise Permanent("InvalidOperation.MultiAttachDisk")

    world.wire.trouble = never_the_fifth
    take(world)

    assert states(world) == dict.fromkeys(EIGHT, "taken")
    levels = {point.subject: point.level for point in world.points()}
    assert levels == {one: Level.DISK if one == "i-0005" else Level.CRASH for one in EIGHT}
    assert world.wire.labels.count("snapshots.create") == 2


def test_a_single_disk_by_itself_is_crash_consistent_and_several_are_not() -> None:
    world = World(a_policy(APPLICATIONS), stands=a_fleet(1, category="cloud_efficiency", data_disks=0))
    world.run_for(hours=1, minutes=10, prune=False)
    assert [point.level for point in world.points()] == [Level.CRASH]

    world = World(a_policy(APPLICATIONS), stands=a_fleet(1, category="cloud_efficiency"))
    world.run_for(hours=1, minutes=10, prune=False)
    assert [point.level for point in world.points()] == [Level.DISK]


def test_instances_of_two_zones_share_no_group() -> None:
    world = World(a_policy(APPLICATIONS), stands=a_fleet(8, zones=2))

    world.run_for(hours=1, minutes=10, prune=False)

    assert states(world) == dict.fromkeys(EIGHT, "taken")
    assert world.wire.labels.count(CREATE) == 2
    groups = {point.subject: point.group for point in world.points()}
    assert len(set(groups.values())) == 2
    assert groups["i-0001"] == groups["i-0003"] != groups["i-0002"]


# -- one that is busy --------------------------------------------------------------------------------------------------


def test_a_busy_disk_waits_alone_and_goes_when_it_is_free() -> None:
    world = eight()
    fill(world, "d-0002-1", 10)
    world.schedule()
    world.run_for(minutes=5, prune=False)
    assert states(world) == {one: "taken" for one in EIGHT if one != "i-0002"}

    for one in list(InProcessSnapshots(world.cloud).list(disk="d-0002-1")):  # type: ignore[arg-type]
        world.fail_snapshot(one.id)
    world.run_for(minutes=5, prune=False)

    assert states(world) == dict.fromkeys(EIGHT, "taken")


def test_a_busy_disk_is_skipped_where_the_policy_says_so() -> None:
    world = eight(replace(APPLICATIONS, overlap=Overlap(then=Then.SKIP)))
    fill(world, "d-0002-1", 10)

    take(world)

    assert states(world) == all_taken_but("i-0002")
    assert because(world, "i-0002").startswith("overlap: its disks are still busy with earlier snapshots: ")
    ended = world.journal.load("back_up/applications/hourly/2026-03-02T01:00:00Z")  # type: ignore[arg-type]
    assert ended.result["skipped: overlap"] == "1"


@pytest.mark.parametrize(("then", "end"), [(Then.SKIP, "skipped"), (Then.QUEUE, "")])
def test_a_bound_of_our_own_is_looked_up_in_one_listing(then: Then, end: str) -> None:
    world = eight(replace(APPLICATIONS, overlap=Overlap(at_most=2, then=then)))
    fill(world, "d-0002-1", 2)
    fill(world, "d-0004-1", 1)

    world.schedule()
    world.advance(seconds=5)

    assert world.wire.labels.count(CREATE) == 1  # the busy one is not even asked for
    world.advance(minutes=5)
    expected = {one: "taken" for one in EIGHT if one != "i-0002"} | ({"i-0002": end} if end else {})
    assert states(world) == expected


def test_what_waits_is_overtaken_by_the_next_slot_of_its_schedule() -> None:
    schedule = replace(APPLICATIONS.schedules[0], every=timedelta(minutes=15))
    world = eight(replace(APPLICATIONS, schedules=(schedule,)))
    world.schedule()  # what fell due before
    world.run_for(minutes=14, prune=False)
    fill(world, "d-0002-1", 10)

    world.run_for(minutes=25, prune=False)

    (slot,) = [one for one in world.slots() if one.subject == "i-0002" and (one.due.hour, one.due.minute) == (1, 15)]
    assert slot.state is SlotState.SKIPPED
    assert slot.because.startswith("overtaken by the slot of 2026-03-02T01:30:00Z: overlap: its disks are still busy")


# -- which disks -------------------------------------------------------------------------------------------------------


def test_a_disk_that_is_attached_later_joins_the_next_slot_and_one_that_is_left_out_never_does() -> None:
    no_scratch = DiskSelection(where=Where(none=(Where(tags={"scratch": ("*",)}),)))
    world = eight(replace(APPLICATIONS, select=replace(APPLICATIONS.select, disks=no_scratch)))
    take(world)
    ecs = world.cloud.ecs
    for name, tags in (("joins", {}), ("scratch", {"scratch": "yes"})):
        disk = ecs.disks.create(zone="cn-hangzhou-h", size_gib=20, category="cloud_essd", name=name, tags=tags)
        world.advance(minutes=1)
        ecs.attachments.attach(disk.id, "i-0001")
    world.advance(hours=1)
    take(world)

    disks = {point.slot.hour: len(point.disks) for point in world.points() if point.subject == "i-0001"}
    assert disks == {1: 2, 2: 3}


def test_a_selection_that_fits_no_disk_says_that_it_is_the_selection() -> None:
    only_data = DiskSelection(kinds=(DiskKind.DATA,))
    world = World(
        a_policy(replace(APPLICATIONS, select=replace(APPLICATIONS.select, disks=only_data))),
        stands=a_fleet(1, data_disks=0),
    )
    world.run_for(hours=1, minutes=10, prune=False)

    assert "none of its 1 disks fits `disks` in the selection of protection applications" in because(world, "i-0001")


# -- interruptions ---------------------------------------------------------------------------------------------------


def five_with_one_refused() -> World:
    """One bundle of five instances, of which the fourth is refused whenever it is asked for in a group."""
    world = World(a_policy(APPLICATIONS), stands=a_fleet(5))
    world.advance(hours=1)
    return world


@TROUBLES
def test_a_bundle_that_falls_apart_survives_every_interruption(trouble: Trouble) -> None:
    def run(world: World) -> None:
        disturbing = world.wire.trouble
        asked = groups_asked_for(world)

        def refused(number: int, label: str, after: bool) -> None:
            disturbing(number, label, after)
            if label == CREATE and not after and "d-0004-1" in asked[-1]:
                raise Permanent("InvalidOperation.MultiAttachDisk")

        world.wire.trouble = refused
        world.invoke(world.schedule)
        world.advance(minutes=2)

    numbers = calls_of(run, five_with_one_refused)
    for at in numbers:
        world = five_with_one_refused()
        world.wire.trouble = trouble(world, at)
        run(world)
        what = f"{trouble.__name__} call {at} {world.wire.labels[at]}"
        world.run_for(minutes=50, prune=False)

        assert Counter(one.disk for one in world.in_cloud()) == {
            f"d-000{one}-{disk}": 1 for one in range(1, 6) for disk in ("sys", "1")
        }, what
        assert len(world.slots()) == 5, what
        assert {slot.state for slot in world.slots()} <= {SlotState.TAKEN, SlotState.LATE}, what
        known = sorted(snapshot for point in world.points() for _, snapshot in point.disks)
        assert known == sorted(one.id for one in world.in_cloud()), what
        assert world.open_operations() == 0, what
    print(f"{trouble.__name__}: {len(numbers)} interruptions of a bundle that falls apart")


def test_a_group_without_an_answer_is_not_asked_for_twice() -> None:
    world = eight()
    lost: list[int] = []

    def no_answer(number: int, label: str, after: bool) -> None:
        if label == CREATE and after and not lost:
            lost.append(number)
            raise OutcomeUnknown("CreateSnapshotGroup: no answer")

    world.wire.trouble = no_answer
    take(world)

    assert states(world) == dict.fromkeys(EIGHT, "taken")
    assert world.wire.labels.count(CREATE) == 1
    assert len(world.in_cloud()) == 16


def test_a_throttled_cloud_is_left_alone_for_the_rest_of_the_run() -> None:
    world = World(a_policy(APPLICATIONS), stands=a_fleet(24))
    world.advance(hours=1)

    def throttled(number: int, label: str, after: bool) -> None:
        if label == CREATE and not after and world.clock.now().minute < 2:
            raise Retryable("no budget", retry_after=timedelta(minutes=1))

    world.wire.trouble = throttled
    take(world)

    assert world.wire.labels.count(CREATE) == 2 + 3  # one try a minute, then all three bundles
    assert {slot.state for slot in world.slots()} == {SlotState.TAKEN}
