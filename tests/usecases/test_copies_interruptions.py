"""Every interruption of a copy: the process dies before or after each call in either region, or a call's answer is
lost. In the end each snapshot has one copy, the copy is a point, its source waits no longer, and nobody is in line."""

from collections.abc import Callable

import pytest

from tests.usecases.copy_world import LOCKED, SHANGHAI, CopyWorld, copied, rule
from tests.usecases.test_backup_interruptions import TROUBLES, Trouble, answer_lost, died_after, died_before
from understudy.simulation.compute import InProcessImages


def calls_of(run: Callable[[CopyWorld], None], build: Callable[[], CopyWorld]) -> range:
    """Numbers of the calls that an undisturbed run makes: it goes to its end."""
    world = build()
    before = len(world.wire.labels)
    run(world)
    assert world.open_operations() == 0
    assert any(label in ("snapshots.copy", "images.copy") for label in world.wire.labels)
    return range(before, len(world.wire.labels))


def with_a_point() -> CopyWorld:
    world = CopyWorld(copied(rule(lock=LOCKED)))
    world.point()
    return world


def one_copy(world: CopyWorld) -> None:
    (point,) = (one for one in world.points() if not one.copy_of)
    world.invoke(lambda: world.open(point))
    world.advance(minutes=9)


@TROUBLES
def test_a_copy_survives_every_interruption(trouble: Trouble) -> None:
    numbers = calls_of(one_copy, with_a_point)
    for at in numbers:
        world = with_a_point()
        world.wire.trouble = trouble(world, at)
        one_copy(world)
        what = f"{trouble.__name__} call {at} {world.wire.labels[at]}"
        world.run_for(hours=1)

        (source,) = (one for one in world.points() if not one.copy_of)
        copy = world.known(f"{source.id}@{SHANGHAI}")
        assert copy is not None, what
        assert copy.locked_until is not None, what
        assert sorted(snapshot for _, snapshot in copy.disks) == sorted(one.id for one in world.copies()), what
        assert source.uncopied == (), what
        assert world.open_operations() == 0, what
        assert world.waits_in_line() == 0, what
    assert len(numbers) > 20
    print(f"{trouble.__name__}: {len(numbers)} interruptions of a copy")


@pytest.mark.parametrize("trouble", [died_before, died_after, answer_lost])
def test_a_source_never_counts_as_copied_before_its_copy_is_recorded(trouble: Trouble) -> None:
    for at in calls_of(one_copy, with_a_point):
        world = with_a_point()
        world.wire.trouble = trouble(world, at)
        one_copy(world)
        (source,) = (one for one in world.points() if not one.copy_of)
        recorded = world.known(f"{source.id}@{SHANGHAI}") is not None
        assert recorded or source.uncopied == (SHANGHAI,), f"{trouble.__name__} call {at}"


def two_images(world: CopyWorld) -> None:
    world.invoke(
        lambda: world.command(
            command="image", instance="i-app-a", family="app", at="2026-03-02T00:00:00Z", by="li", copy_to=[SHANGHAI]
        )
    )
    world.advance(minutes=30)


@TROUBLES
def test_a_copied_image_survives_every_interruption(trouble: Trouble) -> None:
    numbers = calls_of(two_images, CopyWorld)
    for at in numbers:
        world = CopyWorld()
        world.wire.trouble = trouble(world, at)
        two_images(world)
        what = f"{trouble.__name__} call {at} {world.wire.labels[at]}"
        world.run_for(hours=2)

        made = [one for one in InProcessImages(world.cloud).list() if "understudy:operation" in one.tags]
        there = world.copied_images()
        assert len(made) == len(there) <= 1, what
        assert len(world.image_records()) == len(made) + len(there), what
        assert world.waits_in_line() == 0, what
    print(f"{trouble.__name__}: {len(numbers)} interruptions of an image and its copy")
