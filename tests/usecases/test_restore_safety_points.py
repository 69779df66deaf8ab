"""What becomes of the safety points of restores: kept for a while, then let go; nobody's restore points meanwhile."""

from dataclasses import replace
from datetime import timedelta

from shared.domain.ids import DiskId
from shared.domain.objectives import recovery_point_age
from shared.domain.policy import Retention
from tests.usecases.recovery_world import WEB_1
from tests.usecases.restore_stage import RestoreWorld

DATA = DiskId("d-web-1-data")


def restored_twice() -> RestoreWorld:
    world = RestoreWorld()
    world.marked(DATA)
    for _ in range(2):
        world.restored(world.ask("rollback", instance=WEB_1, disks=[DATA], confirm=WEB_1))
        world.advance(hours=1)
    assert len(safety_points(world)) == 2
    return world


def safety_points(world: RestoreWorld) -> list[str]:
    return [one.id for one in world.points() if one.safety]


def test_a_safety_point_stays_for_its_days_and_goes_after_them() -> None:
    world = restored_twice()

    world.advance(days=6)
    world.prune()
    assert len(safety_points(world)) == 2
    world.advance(days=2)
    world.prune()

    # The newest point of a disk stays under every protection, also under this one.
    assert len(safety_points(world)) == 1
    (kept,) = [one for one in world.points() if one.safety]
    in_cloud = {snapshot.id for snapshot in world.in_cloud()}
    assert {snapshot for _, snapshot in kept.disks} <= in_cloud


def test_what_is_being_restored_stays_until_that_has_ended() -> None:
    """The operation is under way for an hour, and the policy has let its point go in the meantime."""
    world = RestoreWorld()
    world.marked(DATA)
    (point,) = [one for one in world.points() if one.subject == WEB_1]
    for _ in range(2):
        world.take_points()
    wanted = dict(point.disks)[DATA]
    asked = world.ask("rollback", instance=WEB_1, disks=[DATA], point=point.id, confirm=WEB_1)
    world.advance(seconds=3)  # it is being stopped
    keep_one(world)

    world.prune()
    assert wanted in {one.id for one in world.in_cloud()}
    world.restored(asked)
    world.prune()
    assert wanted not in {one.id for one in world.in_cloud()}


def keep_one(world: RestoreWorld) -> None:
    policy = world.policies.active()[1]
    protections = tuple(replace(one, keep=Retention(last=1)) for one in policy.protections)
    world.policies.append(replace(policy, protections=protections))


def test_a_safety_point_makes_no_disk_look_younger() -> None:
    world = restored_twice()
    world.advance(hours=3)

    age = recovery_point_age(world.points(), disk=DATA, now=world.clock.now())

    assert age is not None
    assert age > timedelta(hours=5)


def test_newest_means_the_newest_of_the_protections() -> None:
    world = restored_twice()

    answer = world.command(command="rollback", instance=WEB_1, by="li")

    assert not str(answer["point"]).startswith("safety/")
