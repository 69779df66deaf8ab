"""Every interruption: the process dies before or after each single call, or a call's answer is lost. In the end every
due slot has its one point, no snapshot is doubled, none is left over, and no operation hangs."""

from collections import Counter
from collections.abc import Callable

import pytest

from shared.domain.errors import OutcomeUnknown, Retryable
from shared.domain.policy import Retention
from shared.state.slots import SlotState
from tests.usecases.backup_world import APPLICATIONS, MASTERS, A, B, Died, M, World, a_policy
from tests.usecases.certified import all_accepted, unfinished
from understudy.simulation.compute import InProcessImages

READS = {"get", "scan", "list", "groups", "instances", "disks"}
Trouble = Callable[[World, int], Callable[[int, str, bool], None]]


def died_before(world: World, at: int) -> Callable[[int, str, bool], None]:
    def trouble(number: int, label: str, after: bool) -> None:
        if number == at and not after:
            raise Died(label)

    return trouble


def died_after(world: World, at: int) -> Callable[[int, str, bool], None]:
    def trouble(number: int, label: str, after: bool) -> None:
        if number == at and after:
            raise Died(label)

    return trouble


def answer_lost(world: World, at: int) -> Callable[[int, str, bool], None]:
    """Applied, but nobody heard of it; a read is simply not answered."""

    def trouble(number: int, label: str, after: bool) -> None:
        if number == at and after:
            raise Retryable(label) if label.split(".")[1] in READS else OutcomeUnknown(label)

    return trouble


def never_sent(world: World, at: int) -> Callable[[int, str, bool], None]:
    """Not applied, and nobody knows."""

    def trouble(number: int, label: str, after: bool) -> None:
        if number == at and not after:
            raise Retryable(label) if label.split(".")[1] in READS else OutcomeUnknown(label)

    return trouble


TROUBLES = pytest.mark.parametrize("trouble", [died_before, died_after, answer_lost, never_sent])


def calls_of(run: Callable[[World], None], build: Callable[[], World]) -> range:
    """Numbers of the calls that an undisturbed run makes."""
    world = build()
    before = len(world.wire.labels)
    run(world)
    return range(before, len(world.wire.labels))


# -- a backup ------------------------------------------------------------------------------------------------------


def an_hour_later() -> World:
    world = World()
    world.advance(hours=1)
    return world


def one_slot(world: World) -> None:
    """The tick of the hour, and what it sets off."""
    world.invoke(world.schedule)
    world.advance(minutes=2)


@TROUBLES
def test_a_backup_survives_every_interruption(trouble: Trouble) -> None:
    numbers = calls_of(one_slot, an_hour_later)
    for at in numbers:
        world = an_hour_later()
        world.wire.trouble = trouble(world, at)
        one_slot(world)
        struck = world.wire.labels[at] if at < len(world.wire.labels) else "?"
        world.run_for(minutes=50, prune=False)

        what = f"{trouble.__name__} call {at} {struck}"
        ends = [(slot.subject, slot.state) for slot in world.slots()]
        assert sorted(subject for subject, _ in ends) == [A, B, M], what
        assert {state for _, state in ends} <= {SlotState.TAKEN, SlotState.LATE}, what
        in_cloud = [snapshot.id for snapshot in world.in_cloud()]
        known = [snapshot for point in world.points() for _, snapshot in point.disks]
        assert sorted(in_cloud) == sorted(known), f"{what}: doubled or orphaned"
        assert len(in_cloud) == 5, what
        assert all(point.complete for point in world.points()), what
        assert world.open_operations() == 0, what
    print(f"{trouble.__name__}: {len(numbers)} interruptions of a backup")


# -- an image ------------------------------------------------------------------------------------------------------


def one_image(world: World) -> None:
    world.invoke(lambda: world.command(command="image", instance=A, family="app", at="2026-03-02T00:00:00Z", by="li"))
    world.advance(minutes=10)


@TROUBLES
def test_an_image_survives_every_interruption(trouble: Trouble) -> None:
    numbers = calls_of(one_image, World)
    for at in numbers:
        world = World()
        world.wire.trouble = trouble(world, at)
        one_image(world)
        what = f"{trouble.__name__} call {at} {world.wire.labels[at]}"
        world.run_for(minutes=40, prune=False)

        recorded = world.recorded_operations()
        images = [
            image for image in InProcessImages(world.cloud).list(family="app") if "understudy:operation" in image.tags
        ]
        assert len(images) == recorded <= 1, what
        assert world.open_operations() <= 1 - recorded, what  # at most a pointer whose operation never came
    print(f"{trouble.__name__}: {len(numbers)} interruptions of an image")


# -- a prune -------------------------------------------------------------------------------------------------------


def with_three_hours() -> World:
    from dataclasses import replace

    world = World(a_policy(replace(APPLICATIONS, keep=Retention(last=1)), replace(MASTERS, keep=Retention(last=1))))
    for _ in range(3):
        world.advance(hours=1)
        world.schedule()
    world.advance(minutes=10)
    assert len(world.in_cloud()) == 15
    return world


def one_prune(world: World) -> None:
    world.invoke(world.prune)


@TROUBLES
def test_a_prune_survives_every_interruption(trouble: Trouble) -> None:
    numbers = calls_of(one_prune, with_three_hours)
    for at in numbers:
        world = with_three_hours()
        world.wire.trouble = trouble(world, at)
        one_prune(world)
        what = f"{trouble.__name__} call {at} {world.wire.labels[at]}"
        assert nothing_but_expired_points_went(world), what
        for _ in range(2):
            world.advance(hours=1)
            one_prune(world)

        assert Counter(point.subject for point in world.points()) == {A: 1, B: 1, M: 1}, what
        known = [snapshot for point in world.points() for _, snapshot in point.disks]
        assert sorted(snapshot.id for snapshot in world.in_cloud()) == sorted(known), what
        assert all(point.slot == newest(world) for point in world.points()), what
        assert all_accepted(world) > 0, what
        assert not unfinished(world), what
    print(f"{trouble.__name__}: {len(numbers)} interruptions of a prune")


def newest(world: World) -> object:
    return max(point.slot for point in world.points())


def nothing_but_expired_points_went(world: World) -> bool:
    """At any moment: the newest point of each instance stands whole in the cloud."""
    in_cloud = {snapshot.id for snapshot in world.in_cloud()}
    last = [point for point in world.points() if point.slot == newest(world)]
    return len(last) == 3 and all(snapshot in in_cloud for point in last for _, snapshot in point.disks)
