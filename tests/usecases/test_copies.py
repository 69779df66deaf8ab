"""Copies of restore points in another region: what can go wrong first, then that they arrive, in turn and once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from emulator.faults.fault import Fault
from shared.domain.errors import Forbidden, QuotaReached
from shared.domain.ids import InstanceId
from shared.domain.operation import OperationState
from shared.domain.policy import Retention
from shared.domain.retention import Level
from shared.state.points import Points
from shared.usecases.copies import copying
from shared.usecases.copies.copy_point import COPIES_AT_ONCE, MOST_ATTEMPTS
from tests.usecases.backup_world import MASTERS, PLACE, A, B, M, a_policy
from tests.usecases.copy_world import LOCKED, SHANGHAI, THERE, CopyWorld, copied, rule


def the(world: CopyWorld) -> OperationState:
    (only,) = world.operations()
    return only.state


# -- what the cloud refuses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        pytest.param({}, "KMSKeyId.NotFound", id="missing"),
        pytest.param({"key-1": "Disabled"}, "CMKNotEnabled", id="disabled"),
        pytest.param({"key-1": "Unauthorized"}, "KMSUnauthorized", id="not ours to use"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_once_and_goes_to_an_operator(keys: dict[str, str], says: str) -> None:
    world = CopyWorld(copied(rule(kms_key="key-1")))
    world.shanghai.snapshots.standing.kms_keys = keys
    point = world.point()
    world.open(point)
    world.run_for(hours=1)

    (told,) = world.told("copy.blocked")
    assert says in told[0]
    assert "kms_key of the copy rule" in told[0]
    assert the(world) is OperationState.OPEN
    world.run_for(hours=14)

    (operation,) = world.operations()
    assert operation.state is OperationState.NEEDS_OPERATOR
    assert f"{MOST_ATTEMPTS} attempts" in operation.result["because"]
    assert operation.result["runbook"] == "copy-does-not-complete"
    assert world.copies() == []
    waits = world.known(point.id)
    assert waits is not None
    assert waits.uncopied == (SHANGHAI,), "its source is kept"
    assert world.waits_in_line() == 0


def test_a_key_that_is_enabled_in_time_needs_nobody() -> None:
    world = CopyWorld(copied(rule(kms_key="key-1")))
    world.shanghai.snapshots.standing.kms_keys = {}
    world.open(world.point())
    world.run_for(minutes=30)
    world.shanghai.snapshots.standing.kms_keys = {"key-1": "Enabled"}
    world.run_for(hours=2)

    assert the(world) is OperationState.DONE
    assert [copy.encrypted for copy in world.copies()] == [True, True]


def test_an_encrypted_source_without_a_key_is_told_what_to_name() -> None:
    world = CopyWorld()
    world.shanghai.snapshots.standing.kms_keys = {"key-1": "Enabled"}
    point = world.point()
    for _, snapshot in point.disks:
        world.cloud.ecs.snapshots.find(snapshot).encrypted = True
    world.open(point)
    world.run_for(minutes=30)

    (told,) = world.told("copy.blocked")
    assert "NotMatchKmsKeyId" in told[0]
    assert "kms_key" in told[0]


def test_a_mended_policy_begins_again_by_itself() -> None:
    world = CopyWorld(copied(rule(kms_key="gone")))
    world.shanghai.snapshots.standing.kms_keys = {"key-1": "Enabled"}
    point = world.point()
    world.open(point)
    world.run_for(hours=14)
    assert the(world) is OperationState.NEEDS_OPERATOR
    world.policies.append(copied(rule(kms_key="key-1")))
    world.run_for(hours=8)

    first, again = sorted(world.operations(), key=lambda one: one.created)
    assert (first.state, again.state) == (OperationState.NEEDS_OPERATOR, OperationState.DONE)
    assert len(world.copies()) == 2
    assert list(world.journal.waiting(first.kind)) == [], "nobody is asked any more"
    assert world.known(f"{point.id}@{SHANGHAI}") is not None


def test_what_an_operator_mended_begins_again_when_acknowledged_and_uses_what_was_made() -> None:
    world = CopyWorld()
    world.shanghai.snapshots.fail_next("d-a-data", MOST_ATTEMPTS)
    point = world.point()
    world.open(point)
    world.run_for(hours=14)
    (ended,) = world.operations()
    assert ended.state is OperationState.NEEDS_OPERATOR
    world.run_for(hours=8)
    assert len(world.operations()) == 1, "nobody said that it is worth another attempt"

    world.command(command="acknowledge", subject=ended.id, by="li")
    world.run_for(hours=8)

    copy = world.known(f"{point.id}@{SHANGHAI}")
    assert copy is not None
    whole = [one.id for one in world.copies() if one.state == "accomplished"]
    assert sorted(whole) == sorted(snapshot for _, snapshot in copy.disks), "the system disk was not copied again"
    assert list(world.journal.waiting(ended.kind)) == []


@pytest.mark.parametrize("region", ["cn-hangzhou", "cn-nowhere"])
def test_a_region_that_cannot_be_copied_to_is_refused_or_told(region: str) -> None:
    world = CopyWorld(copied(rule(region=region)))
    point = world.point()
    world.open(point)
    world.run_for(hours=1)

    (operation,) = world.operations()
    if region == "cn-hangzhou":
        assert operation.state is OperationState.REFUSED
        assert "stands in cn-hangzhou itself" in operation.result["because"]
        known = world.known(point.id)
        assert known is not None
        assert known.uncopied == (), "nothing waits for what can never be"
    else:
        assert operation.state is OperationState.NEEDS_OPERATOR
        assert "cn-nowhere" in operation.result["because"]


def test_a_full_disk_in_the_target_region_says_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    world = CopyWorld()
    monkeypatch.setattr("emulator.ecs.copies.MANUAL_QUOTA", 0)
    world.open(world.point())
    world.run_for(minutes=30)

    (told,) = world.told("copy.blocked")
    assert "QuotaExceed" in told[0]
    assert "keep of the copy rule" in told[0]


@pytest.mark.parametrize("action", ["ecs:CopySnapshot", "ecs:DescribeSnapshots"])
def test_a_missing_permission_is_told_and_waits_until_it_is_given(action: str) -> None:
    world = CopyWorld()
    point = world.point()
    ports = world.clouds.at(THERE if action == "ecs:DescribeSnapshots" else PLACE)
    real, method = ports.snapshots, action.partition(":")[2]
    ports.snapshots = Refusing(real, "list" if method == "DescribeSnapshots" else "copy", action)
    world.open(point)
    world.run_for(hours=2)

    (told,) = world.told("copy.blocked")
    assert action in told[0]
    assert "role" in told[0]
    assert the(world) is OperationState.OPEN
    ports.snapshots = real
    world.run_for(hours=1)
    assert the(world) is OperationState.DONE
    assert len(world.copies()) == 2


class Refusing:
    def __init__(self, real: object, method: str, action: str) -> None:
        self._real, self._method, self._action = real, method, action

    def __getattr__(self, name: str) -> object:
        if name != self._method:
            return getattr(self._real, name)

        def refuse(*_: object, **__: object) -> object:
            raise Forbidden(f"Forbidden.RAM: {self._action}")

        return refuse


# -- what the world does -------------------------------------------------------------------------------------------


def test_a_source_that_was_deleted_is_waited_for_no_longer() -> None:
    world = CopyWorld()
    point = world.point()
    world.cloud.ecs.snapshots.delete(point.disks[1][1])
    world.open(point)
    world.run_for(minutes=30)

    (operation,) = world.operations()
    assert operation.state is OperationState.REFUSED
    assert "was deleted before it was copied" in operation.result["because"]
    known = world.known(point.id)
    assert known is not None
    assert known.uncopied == ()
    left = [one for one in world.points() if one.place == THERE]
    assert {snapshot for one in left for _, snapshot in one.disks} == {copy.id for copy in world.copies()}
    assert all(one.failed for one in left), "prune takes away what was begun"


def test_copies_that_fail_are_made_again_and_their_remains_are_for_prune() -> None:
    world = CopyWorld()
    point = world.point()
    world.shanghai.snapshots.fail_next("d-a-data", 2)
    world.open(point)
    world.run_for(hours=2)

    assert the(world) is OperationState.DONE
    copy = world.known(f"{point.id}@{SHANGHAI}")
    assert copy is not None
    assert copy.complete
    assert len(copy.disks) == 2
    remains = [one for one in world.points() if one.failed]
    assert len(remains) == 2
    assert all(one.place == THERE for one in remains)
    assert len(world.copies()) == 4


def test_copies_that_fail_for_ever_go_to_an_operator() -> None:
    world = CopyWorld()
    world.shanghai.snapshots.fail_next("d-a-data", 100)
    world.open(world.point())
    world.run_for(hours=20)

    assert the(world) is OperationState.NEEDS_OPERATOR
    assert sum(1 for copy in world.copies() if copy.disk == "d-a-data") == MOST_ATTEMPTS


def test_a_copy_that_somebody_deleted_goes_to_an_operator_and_is_not_made_twice() -> None:
    world = CopyWorld()
    world.open(world.point())
    world.advance(seconds=2)
    world.shanghai.snapshots.delete(world.copies()[0].id)
    world.run_for(hours=1)

    (operation,) = world.operations()
    assert operation.state is OperationState.NEEDS_OPERATOR
    assert "ecs:DescribeSnapshots" in operation.result["because"]
    assert len(world.copies()) == 1


def test_a_missed_deadline_is_told_once_and_the_copy_goes_on() -> None:
    world = CopyWorld(copied(rule(within=timedelta(minutes=11))))
    point = world.point()
    world.cloud.faults.add(Fault(kind="error", action="CopySnapshot", status=503, lasts=timedelta(hours=2)))
    world.open(point)
    world.run_for(hours=4)

    (told,) = world.told("copy.late")
    assert SHANGHAI in told[0]
    (operation,) = world.operations()
    assert operation.state is OperationState.DONE
    assert int(operation.result["late_seconds"]) > 3600


def test_a_rule_that_is_taken_back_stops_what_has_not_begun() -> None:
    world = CopyWorld()
    point = world.point()
    world.policies.append(a_policy())
    world.open(point)
    world.run_for(minutes=30)

    (operation,) = world.operations()
    assert operation.state is OperationState.REFUSED
    assert "asks for no copy" in operation.result["because"]
    known = world.known(point.id)
    assert known is not None
    assert known.uncopied == ()
    assert world.copies() == []


def test_a_rule_that_comes_later_does_not_copy_what_stands() -> None:
    world = CopyWorld(a_policy())
    world.point()
    world.policies.append(copied())
    world.run_for(hours=13)

    assert world.operations() == []


def test_a_region_that_is_dark_for_a_day_catches_up_and_copies_nothing_twice() -> None:
    world = CopyWorld()
    began = world.cloud.clock.now()
    world.cloud.faults.add(Fault(kind="region_outage", region=SHANGHAI, lasts=timedelta(days=1)))
    points = []
    for _hour in range(6):
        points.append(world.point())
        world.open(points[-1])
        world.run_for(minutes=50)
    late = world.told("copy.late")
    assert not any(one.copy_of for one in world.points()), f"dark since {began}"
    assert all(one.uncopied == (SHANGHAI,) for one in world.points()), "every source waits"
    world.run_for(hours=30)

    assert len(world.copies()) == 12, late
    done = {one.copy_of for one in world.points() if one.copy_of and one.complete}
    assert done == {point.id for point in points}
    assert all(one.uncopied == () for one in world.points() if not one.copy_of)
    assert world.open_operations() == 0
    assert world.waits_in_line() == 0


def test_a_day_of_schedules_with_a_dark_region_copies_every_point_once_and_prunes_none_before() -> None:
    """All timers, prune too, which keeps four hourly points at home: what waits for its copy stays beyond that."""
    world = CopyWorld(copied(rule(keep=Retention(forever=True))))
    world.scheduled = True
    world.run_for(hours=4)
    world.cloud.faults.add(Fault(kind="region_outage", region=SHANGHAI, lasts=timedelta(hours=10)))
    world.run_for(hours=10)
    waiting = [one for one in world.points() if one.uncopied]
    world.run_for(hours=12)

    assert len(waiting) > 2 * 8, "prune left them alone"
    operations = world.operations()
    assert len(operations) > 2 * 20
    assert {one.state for one in operations} <= {OperationState.DONE, OperationState.OPEN}, "no source was gone"
    done = [one for one in operations if one.state is OperationState.DONE]
    assert len(done) >= len(operations) - 2, "all but the newest slot's"
    sources = [one.source_id for one in world.shanghai.snapshots.shelf]
    assert len(sources) == len(set(sources)) >= 2 * len(done), "none was copied twice"
    assert not world.told("copy.blocked")
    assert sum(1 for one in world.points() if one.place != THERE and one.protection == "applications") < 2 * 8


# -- the way it should be ------------------------------------------------------------------------------------------


def test_a_copy_is_a_point_of_its_own_and_its_source_waits_for_it() -> None:
    world = CopyWorld()
    point = replace(world.point(), level=Level.APPLICATION)
    world.open(point)
    world.advance(seconds=5)
    before = world.known(point.id)
    assert before is not None
    assert before.uncopied == (SHANGHAI,)
    assert len(world.copies()) == 2
    world.run_for(minutes=30)

    copy = world.known(f"{point.id}@{SHANGHAI}")
    assert copy is not None
    assert (copy.place, copy.copy_of, copy.level, copy.taken) == (THERE, point.id, Level.APPLICATION, point.taken)
    assert copy.complete
    assert copy.usable
    assert copy.copy_to == ()
    assert dict(copy.disks) == {one.disk: one.id for one in world.copies()}
    tags = world.copies()[0].tags
    assert tags["understudy:instance"] == A
    assert tags["understudy:operation"].startswith("copy/")
    after = world.known(point.id)
    assert after is not None
    assert after.uncopied == ()
    assert world.open_operations() == 0
    assert world.waits_in_line() == 0


def test_a_doubled_trigger_copies_once() -> None:
    world = CopyWorld()
    point = world.point()
    for _ in range(3):
        world.open(point)
    world.run_for(hours=1)

    assert len(world.operations()) == 1
    assert len(world.copies()) == 2


def test_the_first_copy_of_a_disk_is_full_and_the_next_one_holds_what_changed() -> None:
    world = CopyWorld()
    for _ in range(2):
        world.open(world.point())
        world.run_for(hours=1)

    sizes = [one.changed_bytes for one in world.shanghai.snapshots.shelf if one.disk_id == "d-a-sys"]
    assert len(sizes) == 2
    assert sizes[1] < sizes[0]


def test_one_disk_has_one_copy_under_way_and_the_second_point_waits_for_the_first() -> None:
    world = CopyWorld()
    first, second = world.point(), world.point()
    world.open(first)
    world.open(second)
    world.advance(seconds=5)
    assert len(world.copies()) == 2
    world.run_for(hours=1)

    assert len(world.copies()) == 4
    assert {one.state for one in world.operations()} == {OperationState.DONE}
    assert world.told("copy.blocked") == [], "waiting is nothing to tell of"


def test_a_copy_of_which_one_disk_is_refused_holds_no_place_while_nothing_of_it_is_on_its_way() -> None:
    """Its attempts go on for most of a day; a few of them must not close a region to all others."""
    world = CopyWorld()
    point = world.point()
    real, refused = world.here.snapshots, point.disks[-1][1]

    class OneIsRefused:
        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

        def copy(self, snapshot: object, **how: object) -> object:
            if snapshot == refused:
                raise QuotaReached("CopySnapshot: QuotaExceed.Snapshot")
            return real.copy(snapshot, **how)

    world.here.snapshots = OneIsRefused()
    world.open(point)
    world.run_for(hours=1, minutes=30)

    assert len(world.copies()) == 1
    rows = [row.key[1].partition("/")[0] for row in world.store.scan("lines", ())]
    assert rows == ["waiting"]
    world.here.snapshots = real
    world.run_for(hours=8)
    assert the(world) is OperationState.DONE
    assert len(world.copies()) == 2


def test_no_more_are_on_their_way_than_allowed_and_priority_decides_who_goes_next() -> None:
    urgent = rule(priority=1)
    world = CopyWorld(copied(rule()))
    points = [world.point(one) for one in (A, B, M)]
    world.policies.append(copied(urgent))
    points.append(world.point(InstanceId("i-master")))
    most = 0

    def watch() -> None:
        nonlocal most
        most = max(most, sum(1 for copy in world.copies() if copy.state == "progressing"))

    world._every(timedelta(seconds=5), world.clock.now() + timedelta(hours=1), watch)
    for point in points:
        world.open(point)
    world.run_for(hours=2)

    assert 0 < most <= COPIES_AT_ONCE
    assert {one.state for one in world.operations()} == {OperationState.DONE}
    assert len(world.copies()) == 6


def test_a_point_that_became_complete_while_nobody_looked_is_copied_by_the_sweep() -> None:
    world = CopyWorld()
    point = world.point()
    store_row = replace(point, complete=False, complete_since=None)
    Points(world.store).put([store_row])
    world.run_for(days=3)

    known = world.known(point.id)
    assert known is not None
    assert known.complete
    assert known.uncopied == ()
    assert world.known(f"{point.id}@{SHANGHAI}") is not None


def test_a_complete_point_whose_operation_was_never_opened_is_copied_by_the_sweep() -> None:
    world = CopyWorld()
    point = world.point()
    world.run_for(hours=7)

    assert world.known(f"{point.id}@{SHANGHAI}") is not None


def test_the_rule_s_lock_is_on_the_copy_before_its_source_may_go() -> None:
    world = CopyWorld(copied(rule(lock=LOCKED)))
    point = world.point()
    world.open(point)
    world.run_for(hours=1)

    copy = world.known(f"{point.id}@{SHANGHAI}")
    assert copy is not None
    assert copy.locked_until is not None
    assert copy.locked_until > point.taken + timedelta(days=29)
    assert len(list(world.clouds.at(THERE).snapshots.locks([one for _, one in copy.disks]))) == 2
    labels = world.wire.labels
    assert "snapshots.lock" in labels


def test_only_the_schedules_that_a_rule_names_are_copied() -> None:
    policy = a_policy(replace(MASTERS, copies=(rule(schedules=("daily",)), rule(region="cn-beijing"))))
    assert copying.regions(policy, "masters", "hourly") == ("cn-beijing",)
    assert copying.regions(policy, "masters", "daily") == (SHANGHAI, "cn-beijing")
