"""Disks that survive move over also where the family has full images only: one of the system disk alone is made first,
and the next rebuild finds it."""

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.ids import ImageId
from shared.domain.operation import OperationKind, OperationState
from shared.domain.replacement import SYSTEM_OF
from tests.usecases.rebuild_world import ALONE, AT_ONCE, RebuildWorld, ask
from tests.usecases.recovery_world import WEB_1, WEB_2
from tests.usecases.test_rebuild_asked_for import asked


def with_full_image(*rules: Any) -> tuple[RebuildWorld, ImageId]:
    """As `understudy image` makes them; what was written later is in no point."""
    world = RebuildWorld(*(rules or (replace(AT_ONCE, image_family="full"),)), stands=ALONE)
    world.write("d-web-1-data", b"in the point")
    made = world.here.images.create_from_instance(WEB_1, name="full", family="full", tags={}, token="t-full")
    world.take_points()
    world.advance(minutes=60)
    world.write("d-web-1-data", b"newest bytes")
    return world, made


def alone(world: RebuildWorld) -> list[Any]:
    return [one for one in world.cloud.ecs.images.shelf.by_id.values() if SYSTEM_OF in one.tags]


def test_nothing_that_was_written_since_the_point_is_lost() -> None:
    world, full = with_full_image()
    world.lose(WEB_1)
    done = world.rebuilt(WEB_1)

    new = done.result["replacement"]
    assert world.disk_of(new, "/dev/vdb") == "d-web-1-data"
    assert world.read("d-web-1-data", 12) == b"newest bytes"
    assert done.result["rpo_seconds"] == "0.0"
    (image,) = alone(world)
    assert done.result["image"] == image.id
    assert image.tags[SYSTEM_OF] == full
    assert image.family == ""
    data = [one for one in world.cloud.ecs.disks.shelf.by_id.values() if one.instance_id == new and one.kind == "data"]
    assert len(data) == 1
    labels = world.wire.labels
    assert labels.index("images.create_from_snapshots") < labels.index("instances.stop")


def test_the_next_rebuild_finds_the_image() -> None:
    world, _ = with_full_image()
    for instance in (WEB_1, WEB_2):
        world.lose(instance)
        world.rebuilt(instance)

    assert len(alone(world)) == 1
    assert {one.result["image"] for one in world.operations(OperationKind.REBUILD)} == {alone(world)[0].id}


def test_two_at_once_make_one_image() -> None:
    world, _ = with_full_image()
    world.lose(WEB_1)
    ask(world, WEB_2, confirm=WEB_2)
    world.rebuilt(WEB_1)

    assert len(alone(world)) == 1
    assert [one.state for one in world.operations(OperationKind.REBUILD)] == [OperationState.DONE] * 2


@pytest.mark.parametrize("why", ["quota", "encrypted"])
def test_where_none_can_be_made_the_points_are_used_and_that_is_told(why: str) -> None:
    world, full = with_full_image()
    if why == "quota":
        world.cloud.ecs.images.quota = len(world.cloud.ecs.images.shelf.by_id)
    else:
        system = world.cloud.ecs.images.find(full).system.snapshot
        assert system is not None
        system.encrypted = True
    world.lose(WEB_1)
    done = world.rebuilt(WEB_1)

    assert world.read(world.disk_of(done.result["replacement"], "/dev/vdb"), 12) == b"in the point"
    assert "none can be made" in world.why(WEB_1)
    assert float(done.result["rpo_seconds"]) > 3000


def test_the_preview_says_which_and_confirming_it_does_that() -> None:
    world, full = with_full_image()
    preview: Any = ask(world, WEB_1)["preview"]

    does = [one["does"] for one in preview["actions"]]
    assert f"an image of the system disk alone is made of {full}" in does
    assert "d-web-1-data is detached from i-web-1" in does
    done = asked(world, preview["token"])
    assert done.state is OperationState.DONE, done.result
    assert world.read(world.disk_of(done.result["replacement"], "/dev/vdb"), 12) == b"newest bytes"


def test_an_older_image_of_the_system_disk_alone_is_not_preferred_to_the_newest_system() -> None:
    world = RebuildWorld(stands=ALONE)  # the family begins with one that brings no data disk
    world.advance(minutes=60)
    full = world.here.images.create_from_instance(WEB_1, name="full", family="web", tags={}, token="t-full")
    world.advance(minutes=60)
    world.lose(WEB_1)
    done = world.rebuilt(WEB_1)

    assert [one.tags[SYSTEM_OF] for one in alone(world)] == [full]
    assert done.result["image"] == alone(world)[0].id
