"""Copies of images: refusals first, then one at a time, with what outlives them written down."""

from datetime import timedelta
from typing import Any

import pytest

from emulator.faults.fault import Fault
from shared.domain import provenance
from shared.domain.errors import BadInput
from shared.domain.operation import OperationKind, OperationState
from tests.usecases.backup_world import PLACE, A, B
from tests.usecases.copy_world import SHANGHAI, THERE, CopyWorld


def image(world: CopyWorld, instance: str = A, **how: Any) -> None:
    world.command(command="image", instance=instance, family="app", by="li", **how)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        pytest.param({"copy_to": "cn-shanghai"}, "a list of regions", id="no list"),
        pytest.param({"copy_to": ["cn-hangzhou"]}, "where the image is made", id="home"),
        pytest.param({"copy_to": [SHANGHAI, "cn-beijing"], "kms_key": "k"}, "one region", id="a key for two regions"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_made(how: dict[str, Any], says: str) -> None:
    world = CopyWorld()
    with pytest.raises(BadInput, match=says):
        image(world, **how)
    assert world.recorded_operations() == 0


def test_a_key_that_is_not_there_is_told_and_mended_by_making_it() -> None:
    world = CopyWorld()
    world.shanghai.snapshots.standing.kms_keys = {}
    image(world, copy_to=[SHANGHAI], kms_key="key-1")
    world.run_for(minutes=40)

    (told,) = world.told("copy_image.blocked")
    assert "KMSKeyId.NotFound" in told[0]
    world.shanghai.snapshots.standing.kms_keys = {"key-1": "Enabled"}
    world.run_for(hours=3)
    assert len(world.copied_images()) == 1
    assert all(one.encrypted for one in world.copies())


def test_a_quota_of_images_says_what_helps() -> None:
    world = CopyWorld()
    world.shanghai.images.quota = 0
    image(world, copy_to=[SHANGHAI])
    world.run_for(minutes=40)

    (told,) = world.told("copy_image.blocked")
    assert "ask for a higher quota" in told[0]


def test_an_image_that_was_deleted_is_not_copied() -> None:
    world = CopyWorld()
    world.cloud.faults.add(Fault(kind="error", action="CopyImage", status=503, lasts=timedelta(minutes=20)))
    image(world, copy_to=[SHANGHAI, "cn-beijing"])
    world.run_for(minutes=15)
    (made,) = (one for one in world.here.images.list() if one.tags)
    world.here.images.delete(made.id)
    world.run_for(hours=1)

    ends = {one.state for one in world.operations(OperationKind.COPY_IMAGE)}
    assert ends == {OperationState.REFUSED}
    assert all("deleted before" in one.result["because"] for one in world.operations(OperationKind.COPY_IMAGE))
    assert world.waits_in_line() == 0


def test_one_image_at_a_time_is_on_its_way_into_a_region() -> None:
    world = CopyWorld()
    most = 0

    def watch() -> None:
        nonlocal most
        most = max(most, sum(1 for one in world.shanghai.images.shelf if one.status in ("Waiting", "Creating")))

    world._every(timedelta(seconds=5), world.clock.now() + timedelta(hours=3), watch)
    for instance in (A, B, "i-master"):
        image(world, instance, copy_to=[SHANGHAI])
    world.run_for(hours=3)

    assert most == 1
    assert len(world.copied_images()) == 3
    assert world.waits_in_line() == 0


def test_what_outlives_an_image_is_written_down_and_marked_in_both_regions() -> None:
    world = CopyWorld()
    image(world, copy_to=[SHANGHAI])
    world.run_for(hours=1)

    here, there = sorted(world.image_records(), key=lambda one: str(one.place))
    assert (here.place, there.place) == (PLACE, THERE)
    assert there.copy_of == here.image
    assert (here.family, there.family, here.instance) == ("app", "app", A)
    assert len(here.snapshots) == len(there.snapshots) == 2
    assert {one.id for one in world.copies()} == set(there.snapshots)
    assert all(provenance.ours(one.tags) for one in world.copies())
    marked = {one.id for one in world.here.snapshots.list() if provenance.ours(one.tags)}
    assert set(here.snapshots) <= marked
