"""No slot without an end, no point that stays unfinished for ever, and what follows from a point being complete."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.errors import Forbidden, Retryable
from shared.domain.ids import AccountName
from shared.domain.operation import OperationKind, OperationState
from shared.domain.place import Place
from shared.domain.policy import Lock, Retention
from shared.state.decisions import Decisions
from shared.state.points import Points
from shared.state.slots import SlotState
from tests.usecases.backup_world import APPLICATIONS, MASTERS, PLACE, A, B, Died, M, World, a_policy
from tests.usecases.copy_world import SHANGHAI, CopyWorld, copied
from understudy.simulation.compute import InProcessSnapshots

SLOT = "back_up/applications/hourly/2026-03-02T01:00:00Z"


def due(world: World) -> World:
    world.advance(hours=1)
    return world


def never_complete(world: World) -> None:
    for snapshot in world.cloud.ecs.snapshots.shelf:
        if snapshot.due is not None:
            snapshot.due.cancel()


def of_one_o_clock(world: World) -> dict[str, tuple[SlotState, str]]:
    return {slot.subject: (slot.state, slot.because) for slot in world.slots() if slot.due.hour == 1}


class Blind:
    """A caller without permission to list: the cloud answers with nothing instead of refusing."""

    def __init__(self, real: Any, *hidden: str) -> None:
        self._real, self._hidden = real, hidden

    def __getattr__(self, method: str) -> Any:
        if method in self._hidden:
            return self._nothing
        return getattr(self._real, method)

    def _nothing(self, *_args: Any, **_kwargs: Any) -> Iterator[Any]:
        return iter(())


# -- permission missing ------------------------------------------------------------------------------------------------


def test_snapshots_that_are_never_shown_are_not_taken_for_gone_while_a_permission_may_be_missing() -> None:
    world = due(World(a_policy(APPLICATIONS)))
    seeing = world.here.snapshots
    world.here.snapshots = Blind(seeing, "list", "groups")
    world.schedule()
    world.run_for(hours=1, prune=False)
    assert world.points() == []
    assert of_one_o_clock(world) == {}

    world.here.snapshots = seeing  # the role is mended
    world.run_for(minutes=30, prune=False)

    assert {state for state, _ in of_one_o_clock(world).values()} == {SlotState.TAKEN}


def test_snapshots_that_stay_unseen_end_the_slot_with_the_permission_to_look_at() -> None:
    world = due(World(a_policy(APPLICATIONS)))
    world.here.snapshots = Blind(world.here.snapshots, "list", "groups")
    world.schedule()
    for _ in range(50):
        world.advance(hours=1)
        world.invoke(world.backup)

    assert {state for state, _ in of_one_o_clock(world).values()} == {SlotState.SKIPPED}
    assert "ecs:DescribeSnapshots" in of_one_o_clock(world)[A][1]


def test_instances_none_of_whose_disks_is_shown_point_to_the_permission() -> None:
    world = due(World(a_policy(APPLICATIONS)))
    world.here.inventory = Blind(world.here.inventory, "disks")
    world.schedule()
    world.advance(minutes=5)

    assert "ecs:DescribeDisks (without it the cloud answers an empty list)" in of_one_o_clock(world)[A][1]


@pytest.mark.parametrize(
    "trouble", [Forbidden("DescribeInstances: Forbidden.RAM"), Retryable("DescribeInstances: Throttling")]
)
def test_a_slot_whose_instances_cannot_be_listed_for_an_hour_has_an_end_that_says_why(trouble: Exception) -> None:
    world = due(World(a_policy(APPLICATIONS)))

    def strikes(number: int, label: str, after: bool) -> None:
        if label == "inventory.instances":
            raise trouble

    world.wire.trouble = strikes
    world.schedule()
    world.run_for(hours=1, minutes=20, prune=False)

    state, because = of_one_o_clock(world)["applications"]
    assert state is SlotState.SKIPPED
    assert because == f"could not be begun within 1:00:00: {trouble}"


def test_an_account_that_nobody_can_enter_ends_the_slot_with_the_reason() -> None:
    world = due(World(a_policy(replace(APPLICATIONS, account=AccountName("finance")))))
    world.schedule()
    world.advance(minutes=5)

    state, because = of_one_o_clock(world)["applications"]
    assert state is SlotState.SKIPPED
    assert "finance" in because
    assert world.open_operations() == 0


# -- what does not complete --------------------------------------------------------------------------------------------


def asked_a_human(world: World) -> None:
    """Usable at once, and not complete after two days."""
    due(world)
    world.schedule()
    world.advance(seconds=2)
    never_complete(world)
    world.command(command="pause", scope="backups", because="test")
    world.advance(hours=49)
    world.invoke(world.backup)
    assert world.journal.load(SLOT).state is OperationState.NEEDS_OPERATOR  # type: ignore[arg-type]
    assert {(point.usable, point.complete) for point in world.points()} == {(True, False)}


def ticks(world: World, days: int) -> None:
    for _ in range(days * 3):
        world.advance(hours=8)
        world.invoke(world.backup)


def test_a_point_that_completes_after_a_human_was_asked_is_told_complete() -> None:
    world = World(a_policy(APPLICATIONS))
    asked_a_human(world)
    ticks(world, 1)
    for snapshot in world.cloud.ecs.snapshots.shelf:
        world.cloud.ecs.snapshots._complete(snapshot)

    ticks(world, 1)

    assert all(point.complete and point.complete_since for point in world.points())
    assert list(world.journal.open_of(OperationKind.BACK_UP)) == []


def test_a_point_that_fails_after_a_human_was_asked_takes_its_slot_back() -> None:
    world = World(a_policy(APPLICATIONS))
    asked_a_human(world)
    broken = next(one for one in world.in_cloud() if one.disk == "d-a-data")
    found = world.cloud.ecs.snapshots.find(broken.id)
    found.status, found.available = "failed", False

    ticks(world, 1)

    assert {slot.subject: slot.state for slot in world.slots() if slot.due.hour == 1} == {
        A: SlotState.SKIPPED,
        B: SlotState.TAKEN,
    }
    assert {point.subject: point.failed for point in world.points()} == {A: True, B: False}


def test_a_point_that_never_completes_counts_as_failed_in_the_end_and_prune_may_take_it() -> None:
    world = World(a_policy(replace(APPLICATIONS, keep=Retention(last=1))))
    asked_a_human(world)
    looks = len(world.wire.labels)
    ticks(world, 29)
    assert not any(point.failed for point in world.points())
    assert world.wire.labels[looks:].count("snapshots.list") <= 29 * 4  # a few looks a day
    stuck = {snapshot for point in world.points() for _, snapshot in point.disks}

    ticks(world, 2)
    assert all(point.failed for point in world.points())
    world.command(command="resume", scope="backups")
    world.run_for(hours=3)

    assert stuck.isdisjoint(one.id for one in world.in_cloud())


def test_dying_while_a_human_is_asked_loses_nothing() -> None:
    for at in range(12):
        world = World(a_policy(APPLICATIONS))
        due(world)
        world.schedule()
        world.advance(seconds=2)
        never_complete(world)
        world.command(command="pause", scope="backups", because="test")
        world.advance(hours=49)
        before = len(world.wire.labels)

        def dies(number: int, label: str, after: bool, last: int = before + at) -> None:
            if number == last:
                raise Died(label)

        world.wire.trouble = dies
        world.invoke(world.backup)
        world.wire.trouble = lambda number, label, after: None
        for snapshot in world.cloud.ecs.snapshots.shelf:
            world.cloud.ecs.snapshots._complete(snapshot)
        ticks(world, 1)

        assert all(point.complete for point in world.points()), at
        assert list(world.journal.open_of(OperationKind.BACK_UP)) == [], at


# -- what follows from being complete ----------------------------------------------------------------------------------


def test_a_point_is_locked_once_it_is_complete_and_a_refusal_is_a_decision() -> None:
    world = due(World(a_policy(replace(APPLICATIONS, lock=Lock(days=30)), replace(MASTERS, lock=Lock(days=30)))))

    def refused(number: int, label: str, after: bool) -> None:
        if label == "snapshots.lock" and not after:
            raise Forbidden("LockSnapshot: Forbidden.RAM")

    world.wire.trouble = refused
    world.schedule()
    world.advance(minutes=10)
    assert all(point.locked_until is None for point in world.points())
    assert {state for state, _ in of_one_o_clock(world).values()} == {SlotState.TAKEN}  # it is usable all the same

    world.wire.trouble = lambda number, label, after: None
    world.run_for(minutes=20, prune=False)

    assert {point.subject for point in world.points() if point.locked_until is not None} == {A, B, M}
    assert {one.event for one in Decisions(world.store).of(A)} == {"restore_point.locked"}
    assert world.open_operations() == 0


def test_a_complete_point_begins_its_copies_by_itself() -> None:
    world = CopyWorld(copied())
    world.scheduled = True
    due(world)

    world.schedule()
    world.run_for(minutes=50, prune=False)

    points = {point.id: point for point in world.points()}
    mine = [point for point in points.values() if point.protection == "applications" and not point.copy_of]
    assert len(mine) == 2
    assert all(point.copy_to == (SHANGHAI,) and point.uncopied == () for point in mine)
    assert {point.place for point in mine} == {PLACE}
    copies = [point for point in points.values() if point.copy_of]
    assert {point.place for point in copies} == {Place(SHANGHAI)}
    assert len(world.copies()) == 4
    assert world.open_operations() == 0


def test_a_store_that_fails_while_copies_are_opened_opens_them_at_the_next_look() -> None:
    world = CopyWorld(copied())
    world.scheduled = True
    due(world)
    failed: list[int] = []

    def fails(number: int, label: str, after: bool) -> None:
        newest = world.wire.labels[-1]
        complete = [point for point in Points(world.store._port).all() if point.complete]
        if newest == "store.put" and complete and not failed and not after:
            failed.append(number)
            raise Retryable("PutRow: OTSServerBusy")

    world.wire.trouble = fails
    world.schedule()
    world.run_for(minutes=50, prune=False)

    assert failed
    assert len(world.copies()) == 4
    assert len(list(InProcessSnapshots(world.cloud).list())) == 5
