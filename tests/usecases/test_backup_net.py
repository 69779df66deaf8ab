"""The net under back-up and image operations: each gets its turn, an event wakes it, and no end is silent."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shared.domain.errors import CredentialsRejected, Forbidden, Permanent
from shared.domain.operation import OperationKind
from shared.ports.store import Anything
from shared.state.called import Called
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.deliveries import Deliveries
from shared.state.journal import Journal
from shared.state.slots import SlotState
from shared.state.subjects import Subjects
from shared.triggers.parse import parse
from shared.usecases.alarm import Alarm
from shared.usecases.failover.wake_watches import WakeWatches
from shared.usecases.recovery.suspicion import Suspicions
from tests.usecases.backup_world import APPLICATIONS, A, World, a_policy
from tests.usecases.test_status import view_of

SNAPSHOT_FAILED = Path(__file__).resolve().parents[2] / "events" / "eventbridge-snapshot-failed.json"


def with_two_open_operations() -> World:
    """Both protections are due, and whatever was queued for them is lost."""
    world = World()
    world.advance(hours=1)
    world.wire.trouble = lambda number, label, after: _lost(label)
    world.schedule()
    world.wire.trouble = lambda number, label, after: None
    world.advance(minutes=5)
    assert world.open_operations() == 2
    return world


def _lost(label: str) -> None:
    if label == "functions.invoke_async":
        raise Permanent("the queue is not there")


def taken(world: World) -> set[str]:
    return {slot.protection for slot in world.slots() if slot.state in (SlotState.TAKEN, SlotState.LATE)}


# -- each gets its turn --------------------------------------------------------------------------------------------


def test_a_damaged_row_keeps_no_other_operation_from_its_turn_and_is_told() -> None:
    world = with_two_open_operations()
    first = next(iter(world.store.scan("operations", ())))
    world.store.put("operations", replace(first, columns={**first.columns, "body": "{"}), condition=Anything())

    with pytest.raises(Permanent, match="cannot be read"):
        world.backup()
    world.advance(minutes=10)

    assert taken(world) == {"masters"}
    assert any(first.key[0] == shown.id for shown in view_of(world).operations)  # and status still answers


def test_a_forbidden_call_of_one_operation_keeps_no_other_from_its_turn() -> None:
    world = with_two_open_operations()
    struck: list[str] = []

    def forbidden(number: int, label: str, after: bool) -> None:
        if label == "inventory.instances" and not struck:
            struck.append(label)
            raise Forbidden("Forbidden.RAM: ecs:DescribeInstances")

    world.wire.trouble = forbidden
    with pytest.raises(Forbidden):
        world.backup()
    world.advance(minutes=2)

    assert taken(world) == {"masters"}


def test_rejected_credentials_end_the_invocation_at_once() -> None:
    world = with_two_open_operations()
    asked: list[str] = []

    def rejected(number: int, label: str, after: bool) -> None:
        if label == "inventory.instances" and not after:
            asked.append(label)
            raise CredentialsRejected("InvalidSecurityToken.Expired")

    world.wire.trouble = rejected
    with pytest.raises(CredentialsRejected):
        world.backup()
    assert len(asked) == 1


# -- events --------------------------------------------------------------------------------------------------------


def test_an_event_about_a_failed_snapshot_is_looked_into_at_once() -> None:
    world = World(a_policy(APPLICATIONS))
    world.advance(hours=1)
    world.schedule()
    world.advance(seconds=2)
    mine = next(snapshot for snapshot in world.in_cloud() if snapshot.disk.startswith("d-a-"))
    world.fail_snapshot(mine.id)
    (operation,) = world.journal.open_of(OperationKind.BACK_UP)
    planned = operation.result["look_at"]
    assert planned > world.clock.now().isoformat()

    an_alarm(world).run(parse(SNAPSHOT_FAILED.read_bytes()), run="event")
    world.advance(seconds=0.5)

    skipped = [slot for slot in world.slots() if slot.state is SlotState.SKIPPED]
    assert [slot.subject for slot in skipped] == [A]
    assert world.clock.now().isoformat() < planned


def test_looking_now_does_not_multiply_the_planned_looks() -> None:
    world = World(a_policy(APPLICATIONS))
    world.advance(hours=1)
    world.schedule()
    world.advance(seconds=2)
    before = world.wire.labels.count("functions.invoke_async")
    for _ in range(5):
        world.call_backup(json.dumps({"look": "now"}).encode())

    assert world.wire.labels.count("functions.invoke_async") == before


def an_alarm(world: World) -> Alarm:
    controls = Controls(world.store)
    return Alarm(
        inventory=world.here.inventory,
        policies=world.policies,
        suspicions=Suspicions(
            journal=Journal(world.store, world.clock),
            subjects=Subjects(world.store),
            controls=controls,
            functions=world.functions,
            clock=world.clock,
        ),
        deliveries=Deliveries(world.store, world.clock),
        decisions=Decisions(world.store),
        functions=world.functions,
        watches=WakeWatches(functions=world.functions, called=Called(world.store, world.clock)),
        clock=world.clock,
        secret=lambda: None,
    )


# -- no end is silent ----------------------------------------------------------------------------------------------


def never_complete(world: World) -> None:
    for snapshot in world.cloud.ecs.snapshots.shelf:
        if snapshot.due is not None:
            snapshot.due.cancel()


def test_a_backup_that_does_not_complete_is_a_decision_and_stays_on_status_until_acknowledged() -> None:
    world = World(a_policy(APPLICATIONS))
    world.advance(hours=1)
    world.schedule()
    world.advance(seconds=2)
    never_complete(world)
    world.advance(hours=49)
    world.invoke(world.backup)

    told = [decision for decision in Decisions(world.store).of("applications") if "needs_operator" in decision.event]
    assert [decision.event for decision in told] == ["back_up.needs_operator"]
    assert told[0].inputs["runbook"] == "backup-does-not-complete"
    (shown,) = [one for one in view_of(world).operations if one.because.startswith("needs operator")]
    assert "not complete after" in shown.because

    Controls(world.store).acknowledge(shown.id, world.clock.now())
    assert [one.id for one in view_of(world).operations] == [f"{shown.id}/after"]  # goes on looking


def test_an_image_that_the_cloud_refuses_is_a_decision_about_its_instance() -> None:
    world = World()

    def refused(number: int, label: str, after: bool) -> None:
        if label == "images.create_from_instance":
            raise Permanent("OperationDenied: the image cannot be made")

    world.wire.trouble = refused
    world.command(command="image", instance=A, family="app", by="li")
    world.advance(minutes=5)

    refusals = [made for made in Decisions(world.store).of(A) if made.event == "image.refused"]
    assert len(refusals) == 1
    assert "the image cannot be made" in refusals[0].because[0]


def test_a_plain_backup_leaves_no_decision_beside_its_points() -> None:
    world = World()
    world.run_for(hours=1, minutes=20, prune=False)

    assert [one.event for one in Decisions(world.store).of("applications") if one.event.startswith("back_up.")] == []
