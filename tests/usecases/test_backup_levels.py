"""Application-consistent restore points: what was frozen, what was proved, and what becomes of those who were not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from emulator.ecs.assistant import Answer, Behaviour, Errand
from shared.domain.freeze_script import Exit
from shared.domain.policy import Freeze, Protection, Retention
from shared.domain.retention import Level
from shared.state.slots import SlotState
from tests.usecases.backup_world import APPLICATIONS, SEED, A, B, World, a_policy
from tests.usecases.test_backup_interruptions import TROUBLES, Trouble, calls_of

FREEZE = Freeze(before="echo before-marker", after="echo after-marker", within=timedelta(seconds=30))
FROZEN = replace(APPLICATIONS, freeze=FREEZE)
STRICT = replace(APPLICATIONS, freeze=replace(FREEZE, required=True), keep=Retention(last=2))


def a_world(protection: Protection = FROZEN, *, stands: str = SEED) -> World:
    world = World(a_policy(protection), stands=stands)
    world.clock.may_sleep = True
    world.advance(hours=1)
    return world


def take(world: World, minutes: float = 10) -> None:
    world.invoke(world.schedule)
    world.run_for(minutes=minutes, prune=False)


def levels(world: World) -> dict[str, Level]:
    return {point.subject: point.level for point in world.points() if not point.failed}


def slot(world: World, subject: str) -> tuple[SlotState, str]:
    (found,) = [one for one in world.slots() if one.subject == subject and one.due.hour == 1]
    return found.state, found.because


def freeze_fails(world: World, subject: str) -> None:
    answer = Answer(exit_code=Exit.REFUSED, output="mysql is not there")
    world.cloud.ecs.assistant.behave(
        lambda errand: errand.instance_id == subject and "before-marker" in errand.text, answer
    )


def timer_fires(world: World, subject: str) -> None:
    world.cloud.ecs.assistant.behave(
        lambda errand: errand.instance_id == subject and "before-marker" not in errand.text,
        Answer(exit_code=Exit.TIMER_FIRED),
    )


def test_a_guest_that_cannot_be_frozen_gives_a_point_that_is_only_crash_consistent_and_says_so() -> None:
    world = a_world()
    freeze_fails(world, A)

    take(world)

    assert levels(world) == {A: Level.CRASH, B: Level.APPLICATION}
    state, because = slot(world, A)
    assert state is SlotState.TAKEN
    assert because.startswith("not application-consistent: freeze: failed with exit code 75")
    assert "mysql is not there" in because


def test_a_guest_that_cannot_be_frozen_gives_no_point_where_a_freeze_is_required() -> None:
    world = a_world(STRICT)
    freeze_fails(world, A)

    take(world)

    assert levels(world) == {B: Level.APPLICATION}
    state, because = slot(world, A)
    assert state is SlotState.SKIPPED
    assert because.startswith("could not be frozen: freeze: ")
    assert len(world.in_cloud()) == 2  # its disks were not even asked for


def test_a_timer_that_fired_before_the_thaw_leaves_a_point_that_is_only_crash_consistent() -> None:
    world = a_world()
    timer_fires(world, A)

    take(world)

    assert levels(world) == {A: Level.CRASH, B: Level.APPLICATION}
    assert "the guest's own timer had thawed it before" in slot(world, A)[1]


def test_a_timer_that_fired_leaves_no_point_where_a_freeze_is_required_and_prune_takes_the_remains() -> None:
    world = a_world(STRICT)
    timer_fires(world, A)
    take(world)
    assert levels(world) == {B: Level.APPLICATION}
    assert slot(world, A)[0] is SlotState.SKIPPED
    assert len(world.in_cloud()) == 4

    world.cloud.ecs.assistant.behave(lambda errand: errand.instance_id == A, Answer())
    world.run_for(hours=2)

    known = sorted(snapshot for point in world.points() for _, snapshot in point.disks)
    assert known == sorted(one.id for one in world.in_cloud())
    assert not any(point.failed for point in world.points())


def test_all_guests_of_a_bundle_stand_still_for_one_call() -> None:
    world = a_world()

    take(world)

    assert levels(world) == {A: Level.APPLICATION, B: Level.APPLICATION}
    assert world.wire.labels.count("guests.run") == 2  # one freeze, one thaw
    assert world.wire.labels.count("snapshots.create_group") == 1


def test_disks_that_no_group_takes_are_of_one_state_when_their_guest_stood_still() -> None:
    world = a_world(stands=SEED.replace("cloud_essd", "cloud_ssd"))

    take(world)

    assert levels(world) == {A: Level.APPLICATION, B: Level.APPLICATION}
    assert world.wire.labels.count("snapshots.create") == 4


def test_a_busy_disk_does_not_make_its_guest_stand_still_every_few_seconds() -> None:
    world = a_world(stands=SEED.replace("cloud_essd", "cloud_ssd"))
    busy = world.cloud.ecs.snapshots.create("d-a-sys", name="by-hand")
    assert busy.due is not None
    busy.due.cancel()

    take(world, minutes=30)

    freezes_of_a = (world.wire.labels.count("guests.run") - 2) / 2
    assert 3 <= freezes_of_a <= 8


def noting(whom: list[str]) -> Behaviour:
    def behaviour(errand: Errand) -> Answer:
        whom.append(errand.instance_id)
        return Answer()

    return behaviour


@TROUBLES
@pytest.mark.parametrize("protection", [FROZEN, STRICT], ids=["wished", "required"])
def test_a_frozen_backup_survives_every_interruption(trouble: Trouble, protection: Protection) -> None:
    """In the end each slot has its end, nothing is doubled, and every freeze that began was followed by a thaw."""

    def one_slot(world: World) -> None:
        world.invoke(world.schedule)
        world.advance(minutes=3)

    numbers = calls_of(one_slot, lambda: a_world(protection))
    for at in numbers:
        world = a_world(protection)
        thawed: list[str] = []
        frozen: list[str] = []
        assistant = world.cloud.ecs.assistant
        assistant.behave("before-marker", noting(frozen))
        assistant.behave(lambda errand: "before-marker" not in errand.text, noting(thawed))
        world.wire.trouble = trouble(world, at)
        one_slot(world)
        what = f"{trouble.__name__} call {at} {world.wire.labels[at]}"
        world.run_for(minutes=50, prune=False)

        assert {one.subject for one in world.slots()} == {A, B}, what
        in_cloud = sorted(one.disk for one in world.in_cloud())
        assert in_cloud == ["d-a-data", "d-a-sys", "d-b-data", "d-b-sys"], what
        known = sorted(snapshot for point in world.points() for _, snapshot in point.disks)
        assert known == sorted(one.id for one in world.in_cloud()), what
        assert set(frozen) <= set(thawed), what
        assert world.open_operations() == 0, what
        taken = [one.state is not SlotState.SKIPPED for one in world.slots()]
        assert all(taken) or protection is STRICT, what
    print(f"{trouble.__name__}: {len(numbers)} interruptions of a frozen backup")
