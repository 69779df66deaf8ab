"""A slot of many disks: cut into shards, every one of them durable, so many at work at once, nothing taken twice."""

from collections import Counter
from dataclasses import replace

import pytest

from shared.domain.errors import Permanent
from shared.domain.ids import InstanceId, OperationId
from shared.domain.operation import OperationState
from shared.domain.policy import ApiLimits, Selection
from shared.ports.store import Anything
from shared.state.slots import SlotState
from shared.usecases.requests import BackUpRequest
from tests.usecases.backup_world import APPLICATIONS, Died, World, a_fleet, a_policy
from tests.usecases.test_backup_interruptions import TROUBLES, Trouble, calls_of

SLOT = "back_up/applications/hourly/2026-03-02T01:00:00Z"
FLEET = a_fleet(5)


def small_shards(*, fan_out: int = 10) -> World:
    """Five instances of two disks, in shards of two instances at most; the slot of 01:00 is due."""
    policy = replace(a_policy(APPLICATIONS), limits=ApiLimits(fan_out=fan_out))
    world = World(policy, stands=FLEET, shard_disks=4)
    world.advance(hours=1)
    return world


def shards(world: World) -> list[BackUpRequest]:
    stored = (world.journal.load(OperationId(row.key[0])) for row in world.store.scan("operations", ()))
    return [request for one in stored if (request := BackUpRequest.of(one)).shard]


def whole(world: World, what: str = "") -> None:
    """Each instance has its one point and its one slot, nothing is doubled, forgotten or open."""
    in_cloud = Counter(one.disk for one in world.in_cloud())
    assert len(in_cloud) == 10, what
    assert set(in_cloud.values()) == {1}, f"{what}: doubled"
    known = sorted(snapshot for point in world.points() for _, snapshot in point.disks)
    assert known == sorted(one.id for one in world.in_cloud()), f"{what}: orphaned"
    assert Counter(slot.subject for slot in world.slots()) == {f"i-000{one}": 1 for one in range(1, 6)}, what
    assert {slot.state for slot in world.slots()} <= {SlotState.TAKEN, SlotState.LATE}, what
    assert all(point.complete for point in world.points()), what
    assert world.open_operations() == 0, what


def test_each_instance_is_in_one_shard_and_each_slot_has_its_end() -> None:
    world = small_shards()

    world.schedule()
    world.run_for(minutes=30, prune=False)

    whole(world)
    assert [len(one.members) for one in shards(world)] == [2, 2, 1]
    ended = world.journal.load(OperationId(SLOT))
    assert ended.state is OperationState.DONE
    assert {"shards": "3", "complete": "5", "failed": "0"}.items() <= ended.result.items()


def one_slot(world: World) -> None:
    world.invoke(world.schedule)
    world.advance(minutes=2)


@TROUBLES
def test_a_coordinator_and_its_shards_survive_every_interruption(trouble: Trouble) -> None:
    numbers = calls_of(one_slot, small_shards)
    for at in numbers:
        world = small_shards()
        world.wire.trouble = trouble(world, at)
        one_slot(world)
        struck = world.wire.labels[at] if at < len(world.wire.labels) else "?"
        world.run_for(minutes=57, prune=False)
        whole(world, f"{trouble.__name__} call {at} {struck}")
    print(f"{trouble.__name__}: {len(numbers)} interruptions of a sharded backup")


def the_queue_is_down(number: int, label: str, after: bool) -> None:
    if label == "functions.invoke_async":
        raise Permanent("the queue is not there")


def test_shards_whose_coordinator_is_gone_are_taken_by_the_timer() -> None:
    world = small_shards(fan_out=1)
    world.wire.trouble = the_queue_is_down
    world.schedule()
    world.invoke(lambda: world.backup(SLOT))
    assert len(shards(world)) == 3
    assert world.in_cloud() == []

    world.store.delete("operations", (SLOT,), condition=Anything())
    world.store.delete("open_operations", ("back_up", SLOT), condition=Anything())
    world.run_for(minutes=50, prune=False)

    whole(world)


def test_a_coordinator_that_died_while_opening_cuts_the_rest_as_the_selection_is_then() -> None:
    """Two shards stand. Of the instances that are in none, one leaves the selection and another joins it."""
    world = small_shards()
    tag(world, "i-0004", "spare")

    def dies_at_the_second_shard(number: int, label: str, after: bool) -> None:
        if label == "store.put" and after and world.recorded_operations() == 3:
            raise Died

    world.wire.trouble = dies_at_the_second_shard
    world.invoke(world.schedule)
    world.advance(seconds=1)
    assert [tuple(m.instance for m in one.members) for one in shards(world)] == [
        ("i-0001", "i-0002"),
        ("i-0003", "i-0005"),
    ]
    world.wire.trouble = lambda number, label, after: None
    tag(world, "i-0004", "app")
    tag(world, "i-0005", "retired")
    world.run_for(minutes=57, prune=False)

    whole(world)
    assert [len(one.members) for one in shards(world)] == [2, 2, 1]


def tag(world: World, instance: str, role: str) -> None:
    world.here.instances.tag([instance], resource_type="instance", tags={"role": role})


def test_no_more_shards_are_at_work_than_the_policy_allows() -> None:
    world = small_shards(fan_out=1)
    at_work: list[int] = []

    def count(number: int, label: str, after: bool) -> None:
        if label == "snapshots.create_group" and not after:
            steps = world.journal.load(OperationId(SLOT)).steps
            at_work.append(next(step.data["states"].count("t") for step in steps if step.name == "shards"))

    world.wire.trouble = count
    world.schedule()
    world.run_for(minutes=30, prune=False)

    assert at_work == [1, 1, 1]
    whole(world)


def test_a_shard_that_nobody_could_start_in_time_tells_so_of_each_instance() -> None:
    world = small_shards()
    world.wire.trouble = the_queue_is_down
    world.schedule()
    world.invoke(lambda: world.backup(SLOT))
    world.advance(hours=2)
    world.wire.trouble = lambda number, label, after: None
    world.run_for(minutes=30, prune=False)

    of_one = [slot for slot in world.slots() if slot.due.hour == 1]
    assert len(of_one) == 5
    assert all("could not be started within 1:00:00: nobody tried" in slot.because for slot in of_one)


def test_an_instance_named_in_the_policy_and_absent_is_told_once_beside_the_shards() -> None:
    ids = tuple(InstanceId(f"i-000{one}") for one in range(1, 7))
    policy = a_policy(replace(APPLICATIONS, select=Selection(ids=ids)))
    world = World(policy, stands=FLEET, shard_disks=4)
    world.run_for(hours=1, minutes=30, prune=False)

    ends = {slot.subject: slot.state for slot in world.slots()}
    assert ends["i-0006"] is SlotState.SKIPPED
    assert Counter(ends.values()) == {SlotState.TAKEN: 5, SlotState.SKIPPED: 1}


def test_a_backup_by_hand_is_cut_into_shards_as_well() -> None:
    world = small_shards()

    world.command(command="back_up", protection="applications", at="2026-03-02T01:00:00Z", by="li")
    world.advance(minutes=10)

    assert {slot.schedule for slot in world.slots()} == {"on-demand"}
    whole(world)


@pytest.mark.parametrize("instances", [250, 1000])
def test_a_large_fleet_needs_far_fewer_calls_than_it_has_disks(instances: int) -> None:
    world = World(a_policy(APPLICATIONS), stands=a_fleet(instances, zones=2))
    world.advance(hours=1)
    before = len(world.wire.labels)

    world.schedule()
    world.advance(minutes=10)

    made = Counter(label for label in world.wire.labels[before:] if not label.startswith(("store.", "functions.")))
    disks = 2 * instances
    assert Counter(slot.state for slot in world.slots()) == {SlotState.TAKEN: instances}
    assert made["inventory.instances"] == made["inventory.disks"] == 1
    assert made["snapshots.create_group"] <= disks / 16 * 1.1
    assert made["snapshots.create"] == 0
    assert sum(made.values()) < disks / 6
    largest = max(len(one.members) for one in shards(world))
    assert largest <= 100  # what one invocation holds does not grow with the fleet
