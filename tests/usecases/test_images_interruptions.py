"""Every interruption of what is done about images: the process dies before or after each call of a port, or the call's
answer is lost, applied or not. In the end the world is as an undisturbed run leaves it: one image, no other snapshot,
one version, the scaling group reads it, nothing is open. Each sweep is complete and prints how many it struck. What
would play the same world twice is left out: dying after a call is dying before the next one, and a read without an
answer changes nothing, whether it was sent or not."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from shared.domain.inventory import ImageState
from shared.state.slots import SlotState
from tests.usecases.certified import all_accepted, unfinished
from tests.usecases.image_world import DB, SHANGHAI, WEB, ImageWorld, image_policy
from tests.usecases.recovery_world import GROUP
from tests.usecases.test_backup_interruptions import READS, TROUBLES, Trouble, answer_lost, died_after

IMAGES_BY_HAND = replace(WEB, schedules=()), replace(DB, schedules=())


@dataclass(frozen=True)
class End:
    """What stands when all is over, without the ids that chance draws."""

    images: tuple[tuple[str, str, str], ...]  # family, version, state
    snapshots: int
    records: int
    published: bool
    open: int


def end(world: ImageWorld) -> End:
    images = world.images()
    family = {one.image: one.family for one in world.records()}
    newest = max(
        (one for one in world.records() if one.family == "role-web"), key=lambda one: one.version, default=None
    )
    return End(
        images=tuple(sorted((family.get(one.id, "?"), one.version, one.state.value) for one in images)),
        snapshots=len(world.snapshots_of_images()),
        records=len(world.records()),
        published=newest is not None and world.starts_from() == newest.image,
        open=world.open_operations(),
    )


def distinct(trouble: Trouble, first: int, labels: list[str]) -> list[int]:
    """The calls at which this trouble makes a world that no other makes."""
    every = range(first, len(labels))
    if trouble is died_after:
        return [every[-1]]
    if trouble is answer_lost:
        return [at for at in every if labels[at].split(".")[1] not in READS]
    return list(every)


def sweep(
    trouble: Trouble, build: Callable[[], ImageWorld], act: Callable[[ImageWorld], None], effect: str, what: str
) -> list[tuple[str, ImageWorld]]:
    """Every world that was struck once and left to its timers, with where it was struck."""
    undisturbed = build()
    first = len(undisturbed.wire.labels)
    act(undisturbed)
    numbers = distinct(trouble, first, undisturbed.wire.labels)
    assert effect in undisturbed.wire.labels[first:], "the run goes to its end"
    undisturbed.run_for(hours=1, prune=False)
    wanted = end(undisturbed)
    struck: list[tuple[str, ImageWorld]] = [("undisturbed", undisturbed)]
    for at in numbers:
        world = build()
        world.wire.trouble = trouble(world, at)
        act(world)
        where = f"{trouble.__name__} call {at} {world.wire.labels[at] if at < len(world.wire.labels) else '?'}"
        world.run_for(hours=1, prune=False)
        assert end(world) == wanted, where
        struck.append((where, world))
    print(f"{trouble.__name__}: {len(numbers)} interruptions of {what}")
    return struck


# -- an image by schedule, and its publishing ------------------------------------------------------------------------


def due() -> ImageWorld:
    world = ImageWorld(image_policy(WEB))
    world.advance(hours=1)
    return world


def one_slot(world: ImageWorld) -> None:
    world.invoke(world.schedule)
    world.advance(minutes=5)


@TROUBLES
def test_a_scheduled_image_and_its_publishing_survive_every_interruption(trouble: Trouble) -> None:
    for where, world in sweep(trouble, due, one_slot, "scaling.publish", "a scheduled image, published"):
        (slot,) = world.slots()
        assert slot.state in (SlotState.TAKEN, SlotState.LATE), where
        assert end(world).images == (("role-web", "1", "available"),), where
        assert end(world).published, where


# -- the system disk only ----------------------------------------------------------------------------------------------


def database_due() -> ImageWorld:
    world = ImageWorld(image_policy(DB))
    world.advance(hours=1)
    return world


@TROUBLES
def test_an_image_of_the_system_disk_survives_every_interruption(trouble: Trouble) -> None:
    for where, world in sweep(
        trouble, database_due, one_slot, "images.create_from_snapshots", "an image of a system disk"
    ):
        (image,) = world.images()
        assert {image.snapshots[0]} == world.snapshots_of_images(), where
        (record,) = world.records()
        assert record.snapshots == image.snapshots, where
        assert [one.state for one in world.slots()] in ([SlotState.TAKEN], [SlotState.LATE]), where


# -- publishing beside another version ---------------------------------------------------------------------------------


def two_versions() -> ImageWorld:
    """The group still starts from the first."""
    world = ImageWorld(image_policy(replace(WEB, schedules=(), publish_to=())))
    world.image_now()
    first = world.images("role-web")[0].id
    world.cloud.ess.boot(world.cloud.ess.configuration("asc-web"), first)
    world.image_now()
    return world


def asked_for() -> ImageWorld:
    world = two_versions()
    world.publish_newest(wake=False)
    return world


def publish(world: ImageWorld) -> None:
    world.invoke(world.recover_tick)
    world.advance(minutes=5)


@TROUBLES
def test_a_publishing_survives_every_interruption(trouble: Trouble) -> None:
    for where, world in sweep(trouble, asked_for, publish, "scaling.publish", "a publishing by hand"):
        assert world.starts_from() == world.images("role-web")[-1].id, where
        assert [one.state.value for one in world.operations("publish/")] == ["done"], where


# -- letting go --------------------------------------------------------------------------------------------------------


def five_versions() -> ImageWorld:
    world = ImageWorld(image_policy(*(replace(one, keep=2, publish_to=()) for one in IMAGES_BY_HAND)))
    for _ in range(4):
        world.image_now()
    return world


def let_go(world: ImageWorld) -> None:
    world.invoke(lambda: world.prune())


def settled(world: ImageWorld, where: str) -> None:
    """A later run tells what became of what a dead one intended, and every certificate is accepted."""
    world.advance(minutes=20)
    let_go(world)
    assert unfinished(world) == [], where
    all_accepted(world)


@TROUBLES
def test_letting_go_survives_every_interruption(trouble: Trouble) -> None:
    undisturbed = five_versions()
    first = len(undisturbed.wire.labels)
    let_go(undisturbed)
    numbers = distinct(trouble, first, undisturbed.wire.labels)
    for at in numbers:
        world = five_versions()
        world.wire.trouble = trouble(world, at)
        let_go(world)
        where = f"{trouble.__name__} call {at} {world.wire.labels[at] if at < len(world.wire.labels) else '?'}"
        let_go(world)  # the next hour's
        states = [one.state for one in world.images("role-web")]
        assert states == [ImageState.DEPRECATED] * 2 + [ImageState.AVAILABLE] * 2, where
        settled(world, where)
    print(f"{trouble.__name__}: {len(numbers)} interruptions of taking versions out of their family")


@TROUBLES
def test_a_deletion_survives_every_interruption(trouble: Trouble) -> None:
    def a_week_later() -> ImageWorld:
        world = five_versions()
        let_go(world)
        world.advance(days=7, minutes=1)
        return world

    undisturbed = a_week_later()
    first = len(undisturbed.wire.labels)
    let_go(undisturbed)
    numbers = distinct(trouble, first, undisturbed.wire.labels)
    for at in numbers:
        world = a_week_later()
        world.wire.trouble = trouble(world, at)
        let_go(world)
        where = f"{trouble.__name__} call {at} {world.wire.labels[at] if at < len(world.wire.labels) else '?'}"
        let_go(world)
        assert [one.state for one in world.images("role-web")] == [ImageState.AVAILABLE] * 2, where
        settled(world, where)
    print(f"{trouble.__name__}: {len(numbers)} interruptions of a deletion")


# -- frozen between check and effect -----------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["scaling.publish", "store.put", "scaling.configurations", "scaling.groups"])
def test_an_older_publishing_that_froze_and_thaws_leaves_the_newer_version_in_place(label: str) -> None:
    world = two_versions()
    first, second = (one.id for one in world.images("role-web"))
    world.cloud.ess.boot(world.cloud.ess.configuration("asc-web"), "m-web")
    frozen = False

    def freeze(number: int, here: str, after: bool) -> None:
        nonlocal frozen
        if here == label and not after and not frozen and world.recovering:
            frozen = True
            world.publish_newest(image=second)
            world.advance(minutes=10)  # longer than the claim; the newer one goes its whole way
            assert world.starts_from() == second

    world.publish_newest(image=first, wake=False)
    world.wire.trouble = freeze
    world.recovering = True
    world.invoke(world.recover_tick)
    world.recovering = False
    world.wire.trouble = lambda number, here, after: None
    world.run_for(hours=1, prune=False)

    assert frozen
    assert world.starts_from() == second
    assert world.starts_from(GROUP) == world.images("role-web", "cn-hangzhou")[-1].id
    assert SHANGHAI not in {one.place.region for one in world.records()}
