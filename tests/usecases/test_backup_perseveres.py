"""What must not end a back-up half-way: one bad snapshot, a listing that is refused, an older journal, another run."""

import json
from dataclasses import replace

import pytest

from shared.domain import provenance
from shared.domain.bundles import Member
from shared.domain.errors import OutcomeUnknown, Permanent
from shared.domain.ids import DiskId, InstanceId, OperationId, PolicyVersion
from shared.domain.operation import OperationState, Step, StepState
from shared.domain.policy import ApiLimits
from shared.ports.compute import Snapshots
from shared.state.slots import SlotState
from shared.usecases.operations import intended
from shared.usecases.requests import BackUpRequest
from tests.usecases.backup_world import APPLICATIONS, SEED, A, B, Died, World, a_fleet, a_policy
from tests.usecases.test_backup_ends import Blind
from tests.usecases.test_backup_levels import STRICT, a_world

SLOT = OperationId("back_up/applications/hourly/2026-03-02T01:00:00Z")
DISKS = [DiskId("d-a-sys"), DiskId("d-a-data")]


def due(world: World) -> World:
    world.advance(hours=1)
    return world


def ends(world: World) -> dict[str, tuple[SlotState, str]]:
    return {
        slot.subject: (slot.state, slot.because) for slot in world.slots() if (slot.due.day, slot.due.hour) == (2, 1)
    }


# -- one bad answer ----------------------------------------------------------------------------------------------------


def test_a_snapshot_that_cannot_be_marked_keeps_no_other_point_from_counting() -> None:
    world = due(World(a_policy(APPLICATIONS)))
    real = world.here.instances.tag
    bad: list[str] = []

    def tag(ids: list[str], **how: object) -> None:
        bad[:] = bad or [ids[0]]
        if bad[0] in ids:
            raise Permanent("TagResources: the snapshot has twenty tags")
        real(ids, **how)

    world.here.instances = type("Instances", (), {"tag": staticmethod(tag)})()
    world.schedule()
    world.run_for(minutes=30, prune=False)

    assert len([point for point in world.points() if point.complete]) == 1
    assert world.journal.load(SLOT).state is OperationState.OPEN
    world.here.instances = type("Instances", (), {"tag": staticmethod(real)})()
    world.run_for(minutes=30, prune=False)
    assert {state for state, _ in ends(world).values()} == {SlotState.TAKEN}
    assert world.journal.load(SLOT).state is OperationState.DONE


def a_listing_that_is_refused(world: World) -> None:
    def strikes(number: int, label: str, after: bool) -> None:
        if label == "snapshots.groups" and not after:
            raise Permanent("DescribeSnapshotGroups: InvalidParameter")

    world.wire.trouble = strikes


def test_a_look_that_is_refused_for_good_does_not_end_what_was_taken() -> None:
    world = due(World(a_policy(APPLICATIONS)))
    a_listing_that_is_refused(world)
    world.schedule()
    world.run_for(minutes=30, prune=False)
    assert len(world.in_cloud()) == 4
    assert world.journal.load(SLOT).state is OperationState.OPEN

    world.wire.trouble = lambda number, label, after: None
    world.run_for(minutes=30, prune=False)

    assert {state for state, _ in ends(world).values()} == {SlotState.TAKEN}


def test_a_look_that_stays_refused_ends_the_slots_with_the_reason_and_asks_a_human() -> None:
    world = due(World(a_policy(APPLICATIONS)))
    a_listing_that_is_refused(world)
    world.schedule()
    for _ in range(50):
        world.advance(hours=1)
        world.invoke(world.backup)

    assert world.journal.load(SLOT).state is OperationState.NEEDS_OPERATOR
    assert set(ends(world)) == {A, B}
    state, because = ends(world)[A]
    assert state is SlotState.SKIPPED
    assert "InvalidParameter" in because
    world.wire.trouble = lambda number, label, after: None
    world.run_for(hours=12, prune=False)
    assert [point.complete for point in world.points() if point.slot.hour == 1] == [True, True]
    assert {state for state, _ in ends(world).values()} == {SlotState.TAKEN}


# -- pauses ------------------------------------------------------------------------------------------------------------


def test_a_pause_that_came_and_went_while_it_waited_leaves_the_slot_out() -> None:
    world = due(World(a_policy(APPLICATIONS)))

    def the_queue_is_down(number: int, label: str, after: bool) -> None:
        if label == "functions.invoke_async":
            raise Permanent("no queue")

    world.wire.trouble = the_queue_is_down
    world.schedule()
    world.command(command="pause", scope="backups", because="maintenance", by="li")
    world.advance(minutes=5)
    world.command(command="resume", scope="backups", by="li")
    world.advance(minutes=5)
    world.backup()

    assert world.in_cloud() == []
    assert {because.partition(":")[0] for _, because in ends(world).values()} == {"paused from 2026-03-02T01"}


@pytest.mark.parametrize("category", ["cloud_essd", "cloud_ssd"], ids=["a group", "single disks"])
def test_what_an_unanswered_call_may_have_made_is_not_given_up_before_it_would_be_shown(category: str) -> None:
    """Its slot would be skipped, and its snapshots would belong to no point."""
    world = due(World(a_policy(APPLICATIONS), stands=SEED.replace("cloud_essd", category)))
    seeing = world.here.snapshots

    def unanswered(number: int, label: str, after: bool) -> None:
        if label in ("snapshots.create_group", "snapshots.create") and after:
            raise OutcomeUnknown("no answer")

    world.wire.trouble = unanswered
    world.here.snapshots = Blind(seeing, "list", "groups")
    world.schedule()
    world.advance(seconds=5)
    made = len(world.in_cloud())
    assert made > 0
    world.wire.trouble = lambda number, label, after: None
    world.command(command="pause", scope="backups", because="quota", by="li")
    world.advance(minutes=2)
    world.here.snapshots = seeing
    world.run_for(minutes=30, prune=False)

    known = sorted(snapshot for point in world.points() for _, snapshot in point.disks)
    assert known == sorted(one.id for one in world.in_cloud())
    assert len(world.in_cloud()) == made, "nothing was begun under the pause"
    assert set(ends(world)) == {A, B}
    assert world.open_operations() == 0


# -- freezes -----------------------------------------------------------------------------------------------------------


def test_single_disks_whose_freezing_run_died_are_no_point_where_a_freeze_is_required() -> None:
    world = a_world(STRICT, stands=SEED.replace("cloud_essd", "cloud_ssd"))

    def dies_at_the_first_thaw(number: int, label: str, after: bool) -> None:
        if label == "guests.run" and not after and len(world.in_cloud()) == 2:
            raise Died

    world.wire.trouble = dies_at_the_first_thaw
    world.invoke(world.schedule)
    world.advance(minutes=1)
    world.wire.trouble = lambda number, label, after: None
    world.run_for(minutes=40, prune=False)

    taken = {subject: state for subject, (state, _) in ends(world).items()}
    assert sorted(taken.values()) == [SlotState.SKIPPED, SlotState.TAKEN]
    (why,) = [because for state, because in ends(world).values() if state is SlotState.SKIPPED]
    assert "not application-consistent: the run that froze it died" in why


def test_no_guest_is_frozen_late_in_an_invocation_that_spent_its_time_on_a_listing() -> None:
    """The platform would end it before the thaw."""
    world = a_world(STRICT)
    world.began = lambda: world.clock.monotonic() - 200
    world.invoke(world.schedule)
    world.advance(minutes=1)
    assert world.wire.labels.count("guests.run") == 0
    assert world.in_cloud() == []

    world.began = None  # a fresh invocation
    world.run_for(minutes=20, prune=False)

    assert {state for state, _ in ends(world).values()} == {SlotState.TAKEN}


# -- shards ------------------------------------------------------------------------------------------------------------


def test_a_shard_that_another_run_cut_otherwise_forgets_nobody() -> None:
    policy = replace(a_policy(APPLICATIONS), limits=ApiLimits())
    world = due(World(policy, stands=a_fleet(5), shard_disks=4))
    slot = BackUpRequest(protection="applications", schedule="hourly", due=world.clock.now())
    disks = (DiskId("d-0005-sys"), DiskId("d-0005-1"))
    theirs = Member(instance=InstanceId("i-0005"), zone="cn-hangzhou-h", disks=disks, groupable=True)
    slipped_in: list[str] = []

    def just_before_the_second(number: int, label: str, after: bool) -> None:
        if label == "store.put" and after and world.recorded_operations() == 2 and not slipped_in:
            slipped_in.append("yes")
            child = slot.child(2, (theirs,))
            world.journal.open(child.operation(policy=PolicyVersion(1), now=world.clock.now(), because="another run"))

    world.wire.trouble = just_before_the_second
    world.schedule()
    world.run_for(minutes=57, prune=False)

    assert slipped_in
    assert sorted(ends(world)) == [f"i-000{one}" for one in range(1, 6)]
    assert {state for state, _ in ends(world).values()} == {SlotState.TAKEN}
    assert len(world.in_cloud()) == 10


# -- an older journal --------------------------------------------------------------------------------------------------


def older(world: World, *steps: Step) -> None:
    request = BackUpRequest(protection="applications", schedule="hourly", due=world.clock.now())
    operation = request.operation(policy=PolicyVersion(1), now=world.clock.now(), because="due", steps=steps)
    before = {**json.loads(operation.inputs["request"]), "skipped": {}}
    for key in ("shard", "members", "after"):
        del before[key]
    world.journal.open(replace(operation, inputs={"request": json.dumps(before)}))


def step_of(world: World, instance: str) -> Step:
    return intended(f"snapshot:{instance}", f"token-{instance}", world.clock.now(), data={"instance": instance})


def sent(world: World) -> str:
    snapshots: Snapshots = world.here.snapshots
    tags = {**provenance.tags(SLOT, PolicyVersion(1), instance=A), provenance.OPERATION: provenance.operation_tag(SLOT)}
    return snapshots.create_group(DISKS, name="before", tags=tags, token="token-i-a")


def test_a_group_that_the_older_version_had_not_sent_is_not_sent_and_says_so() -> None:
    world = due(World(a_policy(APPLICATIONS)))
    older(world, step_of(world, A))

    world.run_for(minutes=40, prune=False)

    assert world.journal.load(SLOT).state is OperationState.DONE
    assert "begun by the version before this one" in ends(world)[A][1]
    assert world.in_cloud() == []


@pytest.mark.parametrize("known", [False, True], ids=["sent and not journalled", "journalled"])
def test_a_group_that_the_older_version_had_sent_is_taken_further(known: bool) -> None:
    world = due(World(a_policy(APPLICATIONS)))
    group, step = sent(world), step_of(world, A)
    if known:
        step = replace(step, state=StepState.DONE, data={**step.data, "group": group})
    older(world, step)

    world.run_for(minutes=40, prune=False)

    assert ends(world)[A][0] is SlotState.TAKEN
    (point,) = world.points()
    assert dict(point.disks).keys() == set(DISKS)
    assert point.complete
    assert len(world.in_cloud()) == 2


def test_a_pause_of_long_ago_keeps_nothing_back() -> None:
    world = World(a_policy(APPLICATIONS))
    world.command(command="pause", scope="backups", because="maintenance", by="li")
    world.advance(minutes=5)
    world.command(command="resume", scope="backups", by="li")
    due(world)
    world.schedule()
    world.run_for(minutes=20, prune=False)

    assert {state for state, _ in ends(world).values()} == {SlotState.TAKEN}
