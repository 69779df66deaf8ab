"""An image made of a restore point's snapshots: refusals first, then what it holds, then every interruption."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.ids import ImageId, InstanceId, OperationId, PolicyVersion, SnapshotId
from shared.domain.inventory import DiskKind
from shared.domain.operation import Operation, OperationKind, OperationState, opened
from shared.state.images import Images
from shared.usecases.images.image_of_point import ImageOfPoint, Wanted
from shared.usecases.operations import Done, Outcome, Work
from tests.usecases.backup_world import PLACE
from tests.usecases.recovery_world import DB, WEB_1, RecoveryWorld
from tests.usecases.test_backup_interruptions import TROUBLES, Trouble

ID = "launch/images/1"


@dataclass(slots=True)
class OnlyAnImage:
    """A recipe of nothing else."""

    world: RecoveryWorld
    wanted: Wanted
    kind: OperationKind = OperationKind.LAUNCH

    def advance(self, work: Work) -> Outcome:
        made = ImageOfPoint(records=Images(self.world.store), clock=self.world.clock)
        image = made.advance(work, self.world.here, PLACE, self.wanted)
        return Done(result={"image": image}) if isinstance(image, str) else image


def snapshots_of(world: RecoveryWorld, instance: InstanceId) -> tuple[SnapshotId, ...]:
    point = next(one for one in world.take_points() if one.subject == instance)
    return tuple(snapshot for _, snapshot in point.disks)


def ask(world: RecoveryWorld, snapshots: tuple[SnapshotId, ...], instance: InstanceId = WEB_1) -> None:
    wanted = Wanted(instance=instance, snapshots=snapshots, family="web", version="7")
    world.recipes[OperationKind.LAUNCH] = lambda: OnlyAnImage(world, wanted)
    asked = opened(
        OperationId(ID),
        OperationKind.LAUNCH,
        ID,
        policy=PolicyVersion(1),
        now=world.clock.now(),
        because="",
        request="",
    )
    world.start(asked)


def the_end(world: RecoveryWorld, **within: float) -> Operation:
    world.run_recovery(**(within or {"minutes": 10}))
    return world.operation(ID)


# -- what it refuses, with what to do ------------------------------------------------------------------------------


def test_snapshots_that_are_gone_are_named_and_no_image_is_made() -> None:
    world = RecoveryWorld()
    taken = snapshots_of(world, WEB_1)
    ask(world, (*taken, SnapshotId("s-gone")))

    end = the_end(world)

    assert end.state is OperationState.REFUSED
    assert end.result["because"] == "snapshots are gone: s-gone. Choose another restore point"
    assert made(world) == []


def test_a_point_without_its_system_disk_makes_no_image() -> None:
    world = RecoveryWorld()
    taken = snapshots_of(world, WEB_1)
    data = tuple(one.id for one in world.in_cloud() if one.id in taken and one.disk_kind is DiskKind.DATA)
    ask(world, data)

    end = the_end(world)

    assert end.state is OperationState.REFUSED
    assert "exactly one snapshot of a system disk, these have 0" in end.result["because"]


def test_a_failed_snapshot_makes_no_image() -> None:
    world = RecoveryWorld()
    taken = snapshots_of(world, WEB_1)
    world.cloud.ecs.snapshots.find(taken[0]).status = "failed"
    ask(world, taken)

    end = the_end(world)

    assert end.state is OperationState.REFUSED
    assert end.result["because"] == f"snapshots have failed: {taken[0]}. Choose another restore point"


def test_encrypted_snapshots_make_no_image() -> None:
    world = RecoveryWorld()
    taken = snapshots_of(world, WEB_1)
    world.cloud.ecs.snapshots.find(taken[0]).encrypted = True
    ask(world, taken)

    end = the_end(world)

    assert end.state is OperationState.REFUSED
    assert "no image of encrypted snapshots" in end.result["because"]


def test_an_image_that_is_deleted_while_it_is_made_ends_the_wait() -> None:
    world = RecoveryWorld()
    taken = snapshots_of(world, WEB_1)
    ask(world, taken)
    world.advance(seconds=5)
    (image,) = made(world)
    world.cloud.ecs.images.delete(image)

    end = the_end(world)

    assert end.state is OperationState.REFUSED
    assert f"image {image} was deleted while it was being made" in end.result["because"]


# -- what it does --------------------------------------------------------------------------------------------------


def test_it_waits_for_snapshots_that_are_still_uploading() -> None:
    world = RecoveryWorld()
    taken = snapshots_of(world, DB)
    late = world.cloud.ecs.snapshots.create("d-db-data", name="late", tags={}, token="late")
    system = next(one.id for one in world.in_cloud() if one.id in taken and one.disk_kind is DiskKind.SYSTEM)
    assert late.status == "progressing"
    ask(world, (system, SnapshotId(late.id)), DB)

    end = the_end(world, minutes=30)

    assert end.state is OperationState.DONE, end.result
    assert late.status == "accomplished"


def test_it_holds_the_disks_at_their_devices_and_leaves_the_snapshots_to_their_point() -> None:
    world = RecoveryWorld()
    taken = snapshots_of(world, WEB_1)
    before = len(world.in_cloud())
    ask(world, taken)

    end = the_end(world)

    assert end.state is OperationState.DONE, end.result
    image = world.cloud.ecs.images.find(end.result["image"])
    assert [(one.device, one.size_gib) for one in image.mappings] == [("/dev/xvda", 20), ("/dev/xvdb", 40)]
    assert (image.family, image.version, image.status) == ("web", "7", "Available")
    assert len(world.in_cloud()) == before
    record = Images(world.store).find(PLACE, ImageId(image.id))
    assert record is not None
    assert record.snapshots == ()


def test_it_looks_no_more_often_than_every_five_seconds() -> None:
    world = RecoveryWorld()
    taken = snapshots_of(world, WEB_1)
    begun = world.clock.now()
    ask(world, taken)
    the_end(world)

    image = world.cloud.ecs.images.find(world.operation(ID).result["image"])
    stood = next(step.at for step in world.operation(ID).steps if step.name.endswith("-stands"))
    assert image.status == "Available"
    assert stood - begun <= timedelta(seconds=20)
    looks = sum(label == "images.list" for label in world.wire.labels)
    assert looks <= 1 + (stood - begun).total_seconds() / 5


# -- every interruption --------------------------------------------------------------------------------------------


def with_a_point() -> tuple[RecoveryWorld, tuple[SnapshotId, ...]]:
    world = RecoveryWorld()
    return world, snapshots_of(world, WEB_1)


def calls_of(run: Callable[[RecoveryWorld], None]) -> range:
    world, taken = with_a_point()
    ask(world, taken)
    before = len(world.wire.labels)
    run(world)
    return range(before, len(world.wire.labels))


@TROUBLES
def test_an_image_of_a_point_survives_every_interruption(trouble: Trouble) -> None:
    numbers = calls_of(lambda world: world.advance(minutes=1))
    for at in numbers:
        world, taken = with_a_point()
        ask(world, taken)
        world.wire.trouble = trouble(world, at)
        world.run_recovery(minutes=20)

        what = f"{trouble.__name__} call {at} {world.wire.labels[at]}"
        end = world.operation(ID)
        assert end.state is OperationState.DONE, f"{what}: {end.result}"
        assert made(world) == [end.result["image"]], f"{what}: doubled or orphaned"
        assert world.open_operations() == 0, what
    assert len(numbers) > 10
    print(f"{trouble.__name__}: {len(numbers)} interruptions of an image of a point")


def made(world: RecoveryWorld) -> list[str]:
    """Images that the world did not begin with."""
    return [one.id for one in world.cloud.ecs.images.shelf if one.id not in ("m-web", "m-db")]
