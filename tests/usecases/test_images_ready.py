"""Readiness of each role, judged every ten minutes; and copies that gave up, opened anew without a human."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.operation import OperationState
from shared.domain.readiness import Readiness
from tests.usecases.image_world import DB, SHANGHAI, WEB, ImageWorld, image_policy

FAMILY = "image family role-web"
BY_HAND = replace(WEB, schedules=(), publish_to=())


def judged(world: ImageWorld, family: str = "role-web") -> Readiness:
    found = world.families().readiness(family)
    assert found is not None
    return found


def test_a_role_without_an_image_is_not_ready_and_says_how_to_mend_it() -> None:
    world = ImageWorld(image_policy(BY_HAND))
    world.run_for(minutes=11, prune=False)

    assert not judged(world).ready
    assert judged(world).lacks[0] == (
        "no usable image stands in cn-hangzhou: make one with `understudy image make INSTANCE role-web`"
    )
    assert world.events(FAMILY) == ["image.not_ready"]


def test_a_change_is_told_once() -> None:
    world = ImageWorld(image_policy(replace(DB, schedules=())))
    world.run_for(hours=1, prune=False)
    world.image_now("i-db", "role-db")
    world.run_for(hours=3, prune=False)

    told = [one for one in world.events("image family role-db") if one.endswith("ready")]
    assert told == ["image.not_ready", "image.ready"]
    assert (judged(world, "role-db").ready, judged(world, "role-db").version) == (True, 1)


def test_an_image_whose_snapshot_is_gone_is_not_ready() -> None:
    world = ImageWorld(image_policy(replace(DB, schedules=())))
    world.image_now("i-db", "role-db")
    world.run_for(minutes=20, prune=False)
    assert judged(world, "role-db").ready

    (image,) = world.images()
    world.cloud.ecs.snapshots.find(image.snapshots[0]).status = "failed"
    world.run_for(minutes=20, prune=False)
    assert not judged(world, "role-db").ready


def test_an_image_that_somebody_deletes_is_noticed() -> None:
    world = ImageWorld(image_policy(replace(DB, schedules=())))
    world.image_now("i-db", "role-db")
    world.run_for(minutes=20, prune=False)
    (image,) = world.images()
    world.cloud.ecs.images.delete(image.id)
    world.run_for(minutes=20, prune=False)

    assert not judged(world, "role-db").ready
    assert world.events("image family role-db")[-1] == "image.not_ready"


def test_an_old_image_is_told() -> None:
    world = ImageWorld(image_policy(replace(DB, schedules=(), max_age=timedelta(days=2))))
    world.image_now("i-db", "role-db")
    world.run_for(days=3, prune=False)

    assert judged(world, "role-db").ready
    assert "older than 48 h" in judged(world, "role-db").lacks[0]


def test_data_disks_without_a_point_are_told_until_one_stands() -> None:
    world = ImageWorld(image_policy(BY_HAND))
    world.image_now()
    world.run_for(minutes=20, prune=False)
    assert judged(world).lacks == ("no usable restore point of the data disks of i-web-1, i-web-2",)

    world.command(command="back_up", protection="servers", by="li")
    world.run_for(hours=1, prune=False)
    assert judged(world).lacks == ()


def test_each_region_asked_for_is_looked_at() -> None:
    world = ImageWorld(image_policy(replace(DB, schedules=(), copy_to=(SHANGHAI,))))
    world.cloud.home.sibling(SHANGHAI).ecs.images.quota = 0
    world.image_now("i-db", "role-db")
    world.run_for(minutes=20, prune=False)
    assert judged(world, "role-db").regions == ("cn-hangzhou",)
    assert judged(world, "role-db").lacks[0].endswith("(version 1) does not stand in cn-shanghai yet")

    world.cloud.home.sibling(SHANGHAI).ecs.images.quota = 10
    world.run_for(days=1, prune=False)
    assert judged(world, "role-db").regions == ("cn-hangzhou", SHANGHAI)
    assert judged(world, "role-db").lacks == ()


def test_judging_ten_minutes_costs_few_calls() -> None:
    world = ImageWorld(image_policy(replace(DB, schedules=())))
    world.image_now("i-db", "role-db")
    world.run_for(minutes=20, prune=False)
    before = len(world.wire.labels)
    world.backup()

    looked = [one for one in world.wire.labels[before:] if one.split(".")[0] not in ("store", "functions")]
    assert len(looked) <= 8, looked


# -- copies that gave up --


def gave_up(**rule: object) -> ImageWorld:
    """After its attempts, with an operator asked."""
    world = ImageWorld(image_policy(replace(DB, schedules=(), copy_to=(SHANGHAI,), **rule)))  # type: ignore[arg-type]
    world.cloud.home.sibling(SHANGHAI).ecs.images.quota = 0
    world.image_now("i-db", "role-db")
    for _ in range(60):
        if any(one.state is OperationState.NEEDS_OPERATOR for one in world.operations("copy_image/")):
            break
        world.run_for(hours=6, prune=False)
    (copy,) = world.operations("copy_image/")
    assert copy.state is OperationState.NEEDS_OPERATOR
    assert copy.id.endswith("@cn-shanghai")
    world.cloud.home.sibling(SHANGHAI).ecs.images.quota = 10
    return world


@pytest.mark.parametrize("acknowledged", [False, True])
def test_a_copy_that_gave_up_is_opened_anew_without_being_asked(acknowledged: bool) -> None:
    world = gave_up()
    if acknowledged:
        (copy,) = world.operations("copy_image/")
        world.command(command="acknowledge", subject=copy.id, by="li")
    world.run_for(hours=1 if acknowledged else 31, prune=False)

    first, second = world.operations("copy_image/")
    assert second.id == f"{first.id}/again-1"
    assert second.state is OperationState.DONE
    assert "acknowledged" in second.because or second.because.startswith("the last attempt ended on")
    assert [one.version for one in world.records()] == [1, 1]


def test_a_copy_whose_image_is_gone_is_not_opened_anew() -> None:
    world = gave_up()
    (image,) = world.images("role-db")
    world.cloud.ecs.images.delete(image.id)
    world.run_for(hours=40, prune=False)

    assert len(world.operations("copy_image/")) == 1
    assert world.open_operations() == 0


def test_a_region_that_is_added_later_gets_the_newest_version() -> None:
    world = ImageWorld(image_policy(replace(DB, schedules=())))
    world.image_now("i-db", "role-db")
    world.image_now("i-db", "role-db")
    policy = world.policies.active()[1]
    world.policies.append(replace(policy, images=(replace(policy.images[0], copy_to=(SHANGHAI,)),)))
    world.run_for(hours=1, prune=False)

    (copy,) = world.operations("copy_image/")
    assert copy.state is OperationState.DONE
    assert sorted((one.place.region, one.version) for one in world.records()) == [
        ("cn-hangzhou", 1),
        ("cn-hangzhou", 2),
        (SHANGHAI, 2),
    ]
