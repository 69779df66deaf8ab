"""Locked snapshots: cool-off, force, expiry, all read off the emulated clock."""

import pytest

from tests.emulator.ecs_stage import Stage

HOUR, DAY = 3_600, 86_400


@pytest.fixture
def stage() -> Stage:
    return Stage()


def locked(stage: Stage, snapshot: str, *, days: int = 2, cool_off: int = 1) -> dict[str, object]:
    given = {"SnapshotId": snapshot, "LockMode": "compliance", "LockDuration": days, "CoolOffPeriod": cool_off}
    info: dict[str, object] = stage.ask("LockSnapshot", given)["LockedSnapshotInfo"]
    return info


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        pytest.param({"LockMode": "governance"}, (400, "InvalidLockMode.Malformed"), id="mode"),
        pytest.param({"LockDuration": 0}, (400, "InvalidParameter"), id="too short"),
        pytest.param({"LockDuration": 36_501}, (400, "InvalidParameter"), id="too long"),
        pytest.param({"CoolOffPeriod": 73}, (400, "InvalidParameter"), id="long cool-off"),
        pytest.param({"LockDuration": 9}, (400, "InvalidLockDuration.ExceedRetentionDays"), id="beyond retention"),
        pytest.param(
            {"LockDuration": 1, "CoolOffPeriod": 25}, (400, "InvalidCoolOffPeriod.ExceedLockDuration"), id="cool-off"
        ),
        pytest.param({"SnapshotId": "s-nobody"}, (404, "InvalidSnapshotId.NotFound"), id="missing"),
        pytest.param({"DryRun": "true"}, (400, "DryRunOperation"), id="a dry run that would do"),
    ],
)
def test_locks_that_are_refused(stage: Stage, given: dict[str, object], answer: tuple[int, str]) -> None:
    full = {
        "SnapshotId": stage.snapshot(RetentionDays=9), "LockMode": "compliance", "LockDuration": 2, "CoolOffPeriod": 0,
    }  # fmt: skip

    assert stage.refusal("LockSnapshot", {**full, **given}) == answer


def test_a_lock_cools_off_then_holds_then_expires(stage: Stage) -> None:
    made = stage.snapshot()
    stage.advance(60)

    assert locked(stage, made)["LockStatus"] == "compliance-cooloff"
    assert stage.refusal("DeleteSnapshot", SnapshotId=made) == (403, "InvalidOperation.SnapshotIsLocked")
    stage.advance(HOUR)
    assert stage.refusal("UnlockSnapshot", SnapshotId=made) == (403, "InvalidOperation.CoolOffPeriodExpired")
    assert stage.refusal("DeleteSnapshot", SnapshotId=made, Force="true") == (403, "InvalidOperation.SnapshotIsLocked")
    stage.advance(2 * DAY)
    [lock] = stage.ask("DescribeLockedSnapshots")["LockedSnapshotsInfo"]
    assert lock["LockStatus"] == "expired"
    assert stage.ask("DeleteSnapshot", SnapshotId=made) == {}
    assert stage.ask("DescribeLockedSnapshots")["LockedSnapshotsInfo"] == []


def test_in_the_cool_off_everything_can_be_changed_and_undone(stage: Stage) -> None:
    made = stage.snapshot()
    stage.advance(60)
    locked(stage, made, days=10, cool_off=2)

    assert locked(stage, made, days=1, cool_off=1)["LockDuration"] == 1
    stage.ask("UnlockSnapshot", SnapshotId=made)
    assert stage.ask("DeleteSnapshot", SnapshotId=made) == {}


def test_in_force_it_can_only_be_extended(stage: Stage) -> None:
    made = stage.snapshot()
    stage.advance(60)
    first = locked(stage, made, days=3, cool_off=0)

    for days, cool_off in ((2, 0), (5, 1)):
        given = {"SnapshotId": made, "LockMode": "compliance", "LockDuration": days, "CoolOffPeriod": cool_off}
        assert stage.refusal("LockSnapshot", given) == (403, "InvalidOperation.CoolOffPeriodExpired")
    longer = locked(stage, made, days=5, cool_off=0)
    assert longer["LockDurationStartTime"] == first["LockDurationStartTime"]
    stage.advance(4 * DAY)
    assert stage.refusal("DeleteSnapshot", SnapshotId=made)[1] == "InvalidOperation.SnapshotIsLocked"


def test_the_clock_of_a_lock_starts_when_the_snapshot_is_accomplished(stage: Stage) -> None:
    made = stage.snapshot()
    assert "LockExpiredTime" not in locked(stage, made, days=1, cool_off=0)

    stage.advance(60)

    [lock] = stage.ask("DescribeLockedSnapshots", {"SnapshotIds.1": made})["LockedSnapshotsInfo"]
    assert lock["LockDurationStartTime"] > lock["LockCreationTime"]


def test_a_lock_keeps_the_snapshot_from_the_providers_own_retention(stage: Stage) -> None:
    made = stage.snapshot(RetentionDays=3)
    stage.advance(2 * DAY)
    locked(stage, made, days=2, cool_off=0)

    stage.advance(DAY + HOUR)
    assert stage.show(made) is not None
    stage.advance(2 * DAY)
    assert stage.show(made) is None


def test_who_does_not_own_it_alone_cannot_lock_or_delete_it(stage: Stage) -> None:
    shared, managed, failed = (stage.ecs.snapshots.find(stage.snapshot(d)) for d in ("d-data", "d-sys", "d-old"))
    shared.is_shared, managed.managed_by = True, "hbr"
    stage.ecs.snapshots.fail_next("d-old")
    stage.advance(60)
    given = {"LockMode": "compliance", "LockDuration": 1, "CoolOffPeriod": 0}

    answers = [stage.refusal("LockSnapshot", {"SnapshotId": s.id, **given}) for s in (shared, managed, failed)]

    assert answers == [
        (403, "InvalidOperation.LockSharedSnapshotUnsupported"),
        (403, "InvalidOperation.ResourceManagedByCloudProduct"),
        (403, "InvalidOperation.SnapshotNotAvailable"),
    ]
    assert (
        stage.refusal("DeleteSnapshot", SnapshotId=shared.id)[1] == "InvalidOperation.DeleteSharedSnapshotUnsupported"
    )
    assert stage.refusal("DeleteSnapshot", SnapshotId=managed.id)[1] == "InvalidOperation.ResourceManagedByCloudProduct"
    assert stage.ask("DeleteSnapshot", SnapshotId=failed.id) == {}


def test_locks_are_found_by_status(stage: Stage) -> None:
    cooling, held = stage.snapshot("d-data"), stage.snapshot("d-sys")
    stage.advance(60)
    locked(stage, cooling, cool_off=5)
    locked(stage, held, cool_off=0)

    found = stage.ask("DescribeLockedSnapshots", LockStatus="compliance")["LockedSnapshotsInfo"]

    assert [lock["SnapshotId"] for lock in found] == [held]
    assert stage.refusal("DescribeLockedSnapshots", LockStatus="open") == (400, "InvalidParameter")
