"""Backups as stories: what every due slot of every instance comes to, whatever the triggers and the cloud do."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import BadInput, OutcomeUnknown, QuotaReached, Retryable
from shared.domain.ids import InstanceId
from shared.domain.policy import Protection, Retention, Selection
from shared.ports.store import Anything
from shared.state.journal import Journal
from shared.state.slots import SlotState
from shared.state.subjects import Subjects
from tests.usecases.backup_world import APPLICATIONS, EVERY_HOUR, SEED, A, B, Died, M, World, a_policy
from understudy.simulation.compute import InProcessSnapshots

OWNERS = {A: "applications", B: "applications", M: "masters"}


def ends(world: World, subject: str) -> list[str]:
    """State of each slot of one instance, in time order; what nobody took is told of its whole protection."""
    rows = [slot for slot in world.slots() if slot.subject in (subject, OWNERS.get(InstanceId(subject)))]
    return [slot.state.value for slot in sorted(rows, key=lambda slot: slot.due) for _ in range(slot.count)]


def snapshots_per_slot(world: World) -> Counter[tuple[str, str]]:
    """How many snapshots each disk has of each slot."""
    return Counter((one.disk, one.tags["understudy:slot"]) for one in world.in_cloud())


def at_most_one_snapshot_per_disk_and_slot(world: World) -> None:
    assert set(snapshots_per_slot(world).values()) <= {1}


def test_each_due_slot_gives_one_restore_point_per_instance() -> None:
    world = World()

    world.run_for(hours=3, minutes=10, prune=False)

    assert {subject: ends(world, subject) for subject in (A, B, M)} == {
        A: ["taken"] * 3,
        B: ["taken"] * 3,
        M: ["taken"] * 3,
    }
    assert len(world.in_cloud()) == 3 * 5
    assert world.open_operations() == 0
    at_most_one_snapshot_per_disk_and_slot(world)


def test_an_instance_that_was_replaced_and_is_kept_in_isolation_is_not_backed_up_any_more() -> None:
    world = World()
    world.here.instances.tag([A], resource_type="instance", tags={"understudy:isolated": "rebuild/x"})

    world.run_for(hours=2, minutes=10, prune=False)

    assert ends(world, A) == []
    assert ends(world, B) == ["taken"] * 2


def test_a_selection_by_id_goes_on_with_the_replacement_and_with_its_replacement() -> None:
    world = World(a_policy(replace(APPLICATIONS, select=Selection(ids=(A,)))))
    world.here.instances.tag([A, B], resource_type="instance", tags={"understudy:isolated": "rebuild/x"})
    world.here.instances.tag([B], resource_type="instance", tags={"understudy:replaces": A})
    world.here.instances.tag([M], resource_type="instance", tags={"understudy:replaces": B})

    world.run_for(hours=1, minutes=20, prune=False)

    assert {slot.subject: slot.state.value for slot in world.slots()} == {M: "taken"}


def test_an_isolated_instance_that_nothing_replaces_is_a_skipped_slot_that_says_so() -> None:
    world = World(a_policy(replace(APPLICATIONS, select=Selection(ids=(A, B)))))
    world.here.instances.tag([A], resource_type="instance", tags={"understudy:isolated": "rebuild/x"})

    world.run_for(hours=1, minutes=10, prune=False)

    (slot,) = [slot for slot in world.slots() if slot.subject == A]
    assert slot.state is SlotState.SKIPPED
    assert "is isolated, and no instance carries its tag understudy:replaces" in slot.because
    assert ends(world, B) == ["taken"]


@pytest.mark.parametrize("pause", [timedelta(hours=25), timedelta(days=5)])
def test_a_tick_that_died_behind_its_cursor_is_carried_out_by_the_next(
    pause: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.advance(minutes=61)
    with monkeypatch.context() as dying:
        dying.setattr(Journal, "open", dies)
        world.invoke(world.schedule)
    assert world.recorded_operations() == 0
    world.advance(minutes=5)
    world.schedule()
    world.advance(minutes=5)
    assert ends(world, A) == ["taken"]

    world.command(command="pause", scope="backups", because="migration")
    world.advance(seconds=pause.total_seconds())
    world.command(command="resume", scope="backups")
    world.run_for(minutes=40, prune=False)

    assert ends(world, A)[0] == "taken"
    assert set(ends(world, A)[1:]) == {"skipped"}
    assert len(ends(world, A)) == 1 + pause // timedelta(hours=1)


def dies(*_: object, **__: object) -> None:
    raise Died


def test_a_point_that_prune_let_go_leaves_its_slot_taken() -> None:
    world = World(a_policy(APPLICATIONS))
    world.advance(hours=1)
    world.schedule()
    world.advance(seconds=2)
    never_complete(world)
    world.advance(minutes=1)
    assert ends(world, A) == ["taken"]

    for one in world.in_cloud():
        InProcessSnapshots(world.cloud).delete(one.id)
    world.run_for(minutes=40, prune=False)

    assert ends(world, A) == ["taken"]
    assert world.open_operations() == 0


def test_a_snapshot_that_was_usable_and_then_fails_saved_nothing_and_its_slot_says_so() -> None:
    world = World(a_policy(APPLICATIONS))
    world.advance(hours=1)
    world.schedule()
    world.advance(seconds=2)
    never_complete(world)
    world.advance(minutes=1)
    assert ends(world, A) == ["taken"]

    snapshot = next(one for one in world.in_cloud() if one.disk == "d-a-data")
    world.cloud.ecs.snapshots.find(snapshot.id).status = "failed"
    world.run_for(minutes=40, prune=False)

    assert ends(world, A) == ["skipped"]


def never_complete(world: World) -> None:
    for snapshot in world.cloud.ecs.snapshots.shelf:
        if snapshot.due is not None:
            snapshot.due.cancel()


def test_a_pause_also_stops_the_snapshots_of_an_operation_that_is_open_already() -> None:
    world = World()
    world.advance(hours=1)

    def queue_is_down(number: int, label: str, after: bool) -> None:
        if label == "functions.invoke_async":
            raise Retryable("InvokeFunction: 503")

    world.wire.trouble = queue_is_down
    world.schedule()
    world.command(command="pause", scope="backups", because="quota", by="li")
    world.backup()

    assert world.in_cloud() == []
    assert {slot.subject: slot.because for slot in world.slots()} == dict.fromkeys(
        (A, B, M), "paused from 2026-03-02T01:00:00Z: quota (li)"
    )
    assert world.open_operations() == 0
    with pytest.raises(BadInput, match=r"backups are paused since .*: quota .*understudy resume backups"):
        world.command(command="back_up", protection="applications")


def test_a_second_pause_keeps_the_older_since() -> None:
    world = World()
    world.command(command="pause", scope="backups", because="first")
    world.advance(hours=3)
    world.command(command="pause", scope="backups", because="second")
    world.advance(hours=1)
    world.command(command="resume", scope="backups")
    world.run_for(minutes=20, prune=False)

    skipped = [slot for slot in world.slots() if slot.state is SlotState.SKIPPED]
    assert ends(world, A) == ["skipped"] * 4
    assert all(slot.because.startswith("paused from 2026-03-02T00:00:00Z: second") for slot in skipped)


def test_disks_of_one_instance_share_one_instant_where_the_cloud_allows() -> None:
    world = World()

    world.run_for(hours=1, minutes=10, prune=False)

    assert world.wire.labels.count("snapshots.create_group") == 1  # for the two ESSD instances together
    assert world.wire.labels.count("snapshots.create") == 1  # the master's older disk
    for point in world.points():
        assert point.usable
        assert point.complete


def test_a_doubled_and_a_parallel_tick_make_one_snapshot_per_disk() -> None:
    world = World()
    world.advance(hours=1)

    for _ in range(3):
        world.schedule()
    world.advance(minutes=10)

    assert len(world.in_cloud()) == 5
    assert ends(world, A) == ["taken"]
    at_most_one_snapshot_per_disk_and_slot(world)


def test_a_tick_with_nothing_due_is_one_range_read() -> None:
    world = World()
    world.schedule()  # reads the policy once per instance of the function
    before = len(world.wire.labels)

    world.schedule()

    assert world.wire.labels[before:] == ["store.scan", "store.get"]  # the second: this fresh executor's policy


def test_a_lost_hour_is_caught_up_once_and_its_slots_say_why() -> None:
    world = World()
    world.advance(hours=3, minutes=40)  # no tick came for 01:00, 02:00, 03:00

    world.run_for(minutes=15, prune=False)

    assert ends(world, A) == ["skipped", "skipped", "late"]
    assert len(world.in_cloud()) == 5
    assert all("stands in" in slot.because for slot in world.slots() if slot.state is SlotState.SKIPPED)


def test_a_two_day_outage_is_caught_up_by_one_point_and_every_slot_is_accounted_for() -> None:
    world = World()
    world.run_for(hours=2, minutes=10, prune=False)
    world.advance(days=2)

    world.run_for(minutes=30, prune=False)

    counts = Counter(ends(world, A))
    assert counts == {"taken": 3, "skipped": 47}  # 01:00 and 02:00; then the newest, punctual, for 48 hours
    assert sum(counts.values()) == 50
    at_most_one_snapshot_per_disk_and_slot(world)


def test_what_fell_due_in_a_pause_is_skipped_because_of_the_pause() -> None:
    world = World()
    world.run_for(hours=1, minutes=10, prune=False)
    world.command(command="pause", scope="backups", because="storage migration", by="li")
    world.run_for(hours=3, minutes=10, prune=False)
    assert ends(world, A) == ["taken"]

    world.command(command="resume", scope="backups", by="li")
    world.run_for(hours=1, prune=False)

    assert ends(world, A) == ["taken", "skipped", "skipped", "skipped", "taken"]
    skipped = [slot for slot in world.slots() if slot.state is SlotState.SKIPPED]
    assert all("storage migration (li)" in slot.because for slot in skipped)


def test_one_instance_whose_snapshot_is_refused_does_not_stop_the_others() -> None:
    world = World()

    def full(number: int, label: str, after: bool) -> None:
        if label == "snapshots.create" and not after:
            raise QuotaReached("CreateSnapshot d-m-sys: QuotaExceed.Snapshot: 256 manual snapshots")

    world.wire.trouble = full
    world.run_for(hours=1, minutes=10, prune=False)

    assert (ends(world, A), ends(world, B), ends(world, M)) == (["taken"], ["taken"], ["skipped"])
    (skipped,) = [slot for slot in world.slots() if slot.subject == M]
    assert "256 manual snapshots" in skipped.because
    assert world.open_operations() == 0


def test_a_throttled_cloud_delays_a_slot_and_does_not_lose_it() -> None:
    world = World()
    patience = [6]

    def throttled(number: int, label: str, after: bool) -> None:
        if label.startswith("snapshots.create") and not after and patience[0]:
            patience[0] -= 1
            raise Retryable("CreateSnapshotGroup: Throttling.User", retry_after=timedelta(seconds=20))

    world.wire.trouble = throttled
    world.run_for(hours=1, minutes=20, prune=False)

    assert (ends(world, A), ends(world, B), ends(world, M)) == (["taken"], ["taken"], ["taken"])
    at_most_one_snapshot_per_disk_and_slot(world)


def test_a_cloud_that_throttles_for_hours_ends_as_a_skipped_slot_with_its_reason() -> None:
    world = World(a_policy(APPLICATIONS))

    def throttled(number: int, label: str, after: bool) -> None:
        if label == "snapshots.create_group" and not after:
            raise Retryable("CreateSnapshotGroup: Throttling.User")

    world.wire.trouble = throttled
    world.run_for(hours=2, minutes=50, prune=False)

    slots = [slot for slot in world.slots() if slot.subject == A]
    assert slots[0].state is SlotState.SKIPPED
    assert "Throttling.User" in slots[0].because
    assert world.in_cloud() == []


@pytest.mark.parametrize("label", ["snapshots.create_group", "snapshots.create"])
def test_a_create_without_an_answer_is_looked_for_before_it_is_sent_again(label: str) -> None:
    world = World()
    lost: list[int] = []

    def no_answer(number: int, seen: str, after: bool) -> None:
        if seen == label and after and not lost:
            lost.append(number)
            raise OutcomeUnknown(f"{label}: no answer")

    world.wire.trouble = no_answer
    world.run_for(hours=1, minutes=10, prune=False)

    assert lost
    assert len(world.in_cloud()) == 5
    assert {slot.state for slot in world.slots()} == {SlotState.TAKEN}
    at_most_one_snapshot_per_disk_and_slot(world)


def test_a_lost_invocation_is_found_by_the_timer() -> None:
    world = World()

    def queue_is_down(number: int, label: str, after: bool) -> None:
        if label == "functions.invoke_async" and not after:
            raise Retryable("InvokeFunction: 503")

    world.wire.trouble = queue_is_down
    world.run_for(hours=1, minutes=40, prune=False)

    assert ends(world, A) == ["taken"]
    assert world.open_operations() == 0


def test_a_frozen_executor_that_thaws_after_another_finished_does_no_harm() -> None:
    """The first executor freezes in the middle of its creates, past its claim. A second one finishes the operation.
    Thawed, the first sends nothing more and its journal is refused."""
    world = World()
    world.advance(hours=1)
    frozen: list[int] = []
    others: list[int] = []

    def freeze(number: int, label: str, after: bool) -> None:
        if label == "snapshots.create_group" and after and not frozen:
            frozen.append(number)
            world.run_for(minutes=25, prune=False)  # the world goes on while this executor stands still
            others.append(world.wire.labels.count("snapshots.create_group"))

    world.wire.trouble = freeze
    world.schedule()
    world.advance(minutes=1)

    assert frozen
    assert others == [world.wire.labels.count("snapshots.create_group")]  # nothing was sent after the thaw
    assert len(world.in_cloud()) == 5
    assert {slot.state for slot in world.slots()} <= {SlotState.TAKEN, SlotState.LATE}
    at_most_one_snapshot_per_disk_and_slot(world)
    assert world.open_operations() == 0


def test_a_selection_that_matches_nothing_is_refused_with_its_remedy() -> None:
    nothing = Protection(
        name="ghosts",
        select=Selection(tags={"role": "ghost"}),
        schedules=(EVERY_HOUR,),
        keep=Retention(last=1),
        rpo_target=timedelta(hours=2),
    )
    world = World(a_policy(nothing))

    world.run_for(hours=1, minutes=10, prune=False)

    (slot,) = world.slots()
    assert slot.subject == "ghosts"
    assert "ecs:DescribeInstances" in slot.because
    assert world.open_operations() == 0


def test_no_policy_is_refused_with_the_command_that_mends_it() -> None:
    world = World()
    world.store.delete("controls", ("policy",), condition=Anything())

    with pytest.raises(BadInput, match="understudy apply"):
        world.schedule()


def test_a_snapshot_that_fails_in_the_cloud_is_a_skipped_slot_and_prune_takes_the_remains_away() -> None:
    world = World(a_policy(replace(APPLICATIONS, keep=Retention(last=2))))
    world.advance(hours=1)
    world.schedule()
    world.advance(seconds=2)
    broken = next(one for one in world.in_cloud() if one.disk == "d-a-data")
    world.fail_snapshot(broken.id)
    world.run_for(hours=1, minutes=40)

    assert ends(world, A) == ["skipped", "taken"]
    assert ends(world, B) == ["taken", "taken"]
    assert broken.id not in {one.id for one in world.in_cloud()}
    assert world.open_operations() == 0


def test_half_an_instance_is_no_restore_point_and_its_remains_are_taken_away() -> None:
    """Disks of an older kind are snapshotted one by one: the second one is refused for good."""
    world = World(
        a_policy(replace(APPLICATIONS, keep=Retention(last=2))), stands=SEED.replace("cloud_essd", "cloud_ssd")
    )
    creates: list[int] = []

    def second_is_refused(number: int, label: str, after: bool) -> None:
        if label == "snapshots.create" and not after:
            creates.append(number)
            if len(creates) == 2:
                raise QuotaReached("CreateSnapshot: QuotaExceed.Snapshot")

    world.wire.trouble = second_is_refused
    world.run_for(hours=2, minutes=40)

    assert ends(world, A) == ["skipped", "taken"]
    assert ends(world, B) == ["taken", "taken"]
    assert len(world.in_cloud()) == 3 * 2
    assert all(point.complete for point in world.points())


def test_a_backup_asked_for_by_hand_is_taken_once_however_often_it_is_asked_for() -> None:
    world = World()
    world.advance(minutes=7)
    at = "2026-03-02T00:07:00Z"

    first = world.command(command="back_up", protection="applications", at=at, by="li")
    again = world.command(command="back_up", protection="applications", at=at, by="li")
    world.advance(minutes=5)

    assert first == again
    assert len(world.in_cloud()) == 4
    assert {slot.schedule for slot in world.slots()} == {"on-demand"}


def test_an_image_asked_for_is_made_and_its_operation_ends() -> None:
    world = World()

    asked = world.command(command="image", instance=A, family="app", by="li")
    world.advance(minutes=30)

    done = world.journal.load(str(asked["operation"]))  # type: ignore[arg-type]
    assert done.state.value == "done"
    assert done.result["image"].startswith("m-")


def test_images_of_two_families_asked_for_at_once_are_two() -> None:
    world = World()
    asked = [world.command(command="image", instance=A, family=one)["operation"] for one in ("app", "canary")]

    assert len(set(asked)) == 2


def test_an_image_that_stays_unfinished_for_a_day_is_handed_to_an_operator() -> None:
    world = World()
    asked = world.command(command="image", instance=A, family="app")
    world.advance(seconds=2)
    never_complete(world)
    for _ in range(26):
        world.advance(hours=1)
        world.invoke(world.backup)

    ended = world.journal.load(str(asked["operation"]))  # type: ignore[arg-type]
    assert ended.state.value == "needs_operator"
    assert "is not available after" in ended.result["because"]


def test_what_exists_can_be_acknowledged() -> None:
    world = World()
    operation = str(world.command(command="image", instance=A, family="app")["operation"])
    Subjects(world.store).take(B, "rebuild/b/e-1")  # type: ignore[arg-type]

    for subject in (operation, B, "rebuild/b/e-1"):
        assert world.command(command="acknowledge", subject=subject)["acknowledged"] == subject
    with pytest.raises(
        BadInput, match=r"'i-typo'.*These can be acknowledged: i-app-b, rebuild/b/e-1; and any operation"
    ):
        world.command(command="acknowledge", subject="i-typo")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"command": "image", "instance": A, "family": "app", "at": "2026-02-27T00:00:00Z"},
            "over an hour before",
        ),
        ({"command": "image", "instance": A, "family": "app", "at": "2026-03-02T00:02:00Z"}, "later than now"),
        ({"command": "acknowledge", "subject": "i-typo"}, "These can be acknowledged: nothing; and any operation"),
        ({"command": "fly"}, "not one of: acknowledge"),
        ({"command": "back_up", "protection": "web"}, "it has: applications, masters"),
        ({"command": "back_up"}, "argument protection is None"),
        ({"command": "pause", "scope": "everything", "because": "x"}, "one of: backups, prune"),
        ({"command": "image", "instance": "i-1"}, "argument family is None"),
        ({"command": "pin", "instance": A, "point": "nope"}, "no restore point 'nope'"),
        ({"command": "back_up", "protection": "masters", "at": "yesterday"}, "write it as 2026-"),
    ],
)
def test_a_wrong_command_is_refused_by_name_and_remedy(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        World().command(**arguments)
