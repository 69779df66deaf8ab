"""WORM locks on restore points: refused, lost, repeated, never shortened."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.decision import Decision
from shared.domain.errors import OutcomeUnknown
from shared.domain.ids import SnapshotId
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.policy import Lock
from shared.domain.retention import RestorePoint
from shared.state.points import Points
from shared.usecases.backup.locking import lock_point
from shared.usecases.operations import CLAIM_FOR, ClaimLost, Work
from tests.usecases.backup_world import PLACE
from tests.usecases.copy_world import CopyWorld

MONTH = Lock(days=30)


def work_of(world: CopyWorld) -> Work:
    asked = Operation(
        id="back_up/test",  # type: ignore[arg-type]
        kind=OperationKind.BACK_UP,
        subject="applications",
        state=OperationState.OPEN,
        created=world.clock.now(),
        policy=world.policies.active()[0],
        because="test",
        inputs={},
    )
    world.journal.open(asked)
    claim = world.journal.claim(asked.id, "test", CLAIM_FOR)
    assert claim is not None
    return Work(world.journal, claim)


def lock(world: CopyWorld, point: RestorePoint, how: Lock = MONTH, *, work: Work | None = None) -> Decision:
    points = Points(world.store)
    return lock_point(work or work_of(world), world.clouds.at(PLACE), points, point, how, world.clock)


def held(world: CopyWorld, point: RestorePoint) -> dict[str, timedelta | None]:
    locks = world.here.snapshots.locks([one for _, one in point.disks])
    return {one.snapshot: None if one.expires is None else one.expires - world.clock.now() for one in locks}


def sent(world: CopyWorld) -> int:
    return world.wire.labels.count("snapshots.lock")


def test_a_refusal_is_a_decision_and_the_point_stays() -> None:
    world = CopyWorld()
    point = world.point()
    world.cloud.ecs.snapshots.find(point.disks[0][1]).managed_by = "backup-service"

    told = lock(world, point)

    assert (told.event, told.acted) == ("restore_point.lock_refused", False)
    assert "ResourceManagedByCloudProduct" in told.because[0]
    known = world.known(point.id)
    assert known is not None
    assert known.locked_until is not None, "the other disk's snapshot is locked: prune must know"
    assert len(held(world, point)) == 1


def test_a_snapshot_that_is_gone_is_a_refusal_too() -> None:
    world = CopyWorld()
    point = world.point()
    gone = replace(point, disks=(*point.disks, (point.disks[0][0], SnapshotId("s-gone"))))

    told = lock(world, gone)

    assert not told.acted
    assert "s-gone" in " ".join(told.because)


def test_no_lock_is_sent_when_the_claim_would_run_out_meanwhile() -> None:
    world = CopyWorld()
    point, work = world.point(), work_of(world)
    world.advance(minutes=11)

    with pytest.raises(ClaimLost):
        lock(world, point, work=work)
    assert sent(world) == 0


def test_a_lost_answer_is_read_back_and_nothing_is_locked_twice() -> None:
    world = CopyWorld()
    point, work = world.point(), work_of(world)

    def trouble(number: int, label: str, after: bool) -> None:
        if label == "snapshots.lock" and after:
            raise OutcomeUnknown(label)

    world.wire.trouble = trouble
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            lock(world, point, work=work)
    told = lock(world, point, work=work)

    assert told.acted
    assert sent(world) == 2, "one for each snapshot"


def test_locking_again_sends_nothing_and_says_the_same() -> None:
    world = CopyWorld()
    point, work = world.point(), work_of(world)
    first = lock(world, point, work=work)
    world.advance(hours=5)
    second = lock(world, point)

    assert first.because == second.because
    assert sent(world) == 2


def test_a_lock_is_made_longer_and_never_shorter() -> None:
    world = CopyWorld()
    point = world.point()
    lock(world, point)
    lock(world, point, Lock(days=10))
    assert all(left is not None and left > timedelta(days=29) for left in held(world, point).values())
    lock(world, point, Lock(days=60, cool_off_hours=24))

    assert all(left is not None and left > timedelta(days=59) for left in held(world, point).values())
    known = world.known(point.id)
    assert known is not None
    assert known.locked_until is not None
    assert known.locked_until > world.clock.now() + timedelta(days=59)


def test_a_cool_off_is_asked_for_and_the_point_counts_as_locked_meanwhile() -> None:
    world = CopyWorld()
    point = world.point()
    told = lock(world, point, Lock(days=30, cool_off_hours=48))

    locks = list(world.here.snapshots.locks([one for _, one in point.disks]))
    assert [one.cooling_off for one in locks] == [True, True]
    assert "cool-off 48 h" in told.because[0]
    assert told.inputs["until"]
