"""Images by schedule and by hand: one for each slot, of the right instance and disks, each with its own version."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import BadInput
from shared.domain.ids import InstanceId, PolicyVersion
from shared.domain.inventory import ImageState
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.policy import Blackout, ImageDisks
from shared.domain.rebuild import ISOLATED
from shared.state.journal import Journal
from shared.state.slots import SlotState
from shared.usecases.recovery.recovery_requests import RebuildRequest
from tests.usecases.image_world import DB, SHANGHAI, WEB, ImageWorld, image_policy


def test_a_slot_makes_one_image_of_one_instance_however_often_its_tick_comes() -> None:
    world = ImageWorld(image_policy(WEB))
    world.advance(hours=1)
    for _ in range(3):
        world.invoke(world.schedule)
    world.run_for(minutes=30, prune=False)

    (image,) = world.images()
    (slot,) = world.slots()
    assert (image.version, image.state) == ("1", ImageState.AVAILABLE)
    assert len(image.snapshots) == 2
    assert (slot.subject, slot.state, slot.point) == ("images:web", SlotState.TAKEN, image.id)
    assert "the one that has stood longest" in slot.because
    assert world.open_operations() == 0


def test_after_an_outage_of_days_one_image_is_caught_up_and_the_others_are_told() -> None:
    world = ImageWorld(image_policy(WEB))
    world.advance(days=3, hours=2)
    world.run_for(minutes=40, prune=False)

    assert len(world.images()) == 1
    ends = [(slot.due.day, slot.state) for slot in world.slots()]
    assert ends == [(2, SlotState.SKIPPED), (3, SlotState.SKIPPED), (4, SlotState.SKIPPED), (5, SlotState.LATE)]
    assert world.slots()[0].because.startswith("missed: nothing ran when it was due; the slot of 2026-03-05")


def test_a_pause_of_backups_holds_images_back_and_is_the_reason() -> None:
    world = ImageWorld(image_policy(WEB))
    world.command(command="pause", scope="backups", because="audit", by="li")
    world.run_for(hours=2, prune=False)
    world.command(command="resume", scope="backups", by="li")
    world.run_for(hours=2, prune=False)

    assert world.images() == []
    (slot,) = world.slots()
    assert slot.state is SlotState.SKIPPED
    assert "audit" in slot.because


def test_a_blackout_holds_images_back() -> None:
    nights = Blackout(name="nights", zone="UTC", weekdays=(1, 2, 3, 4, 5, 6, 7), begins=0, ends=180)
    world = ImageWorld(image_policy(replace(WEB, blackouts=(nights,))))
    world.run_for(hours=2, prune=False)

    assert world.images() == []


def test_only_the_system_disk_is_snapshotted_for_an_image_of_it() -> None:
    world = ImageWorld(image_policy(DB))
    world.run_for(hours=2, prune=False)

    (image,) = world.images()
    (record,) = world.records()
    assert [disk.kind.value for disk in image.disks] == ["system"]
    assert world.snapshots_of_images() == set(image.snapshots) == set(record.snapshots)
    assert (record.version, image.version, "-v1-" in image.name) == (1, "1", True)


def test_an_image_of_a_restore_point_takes_no_snapshot() -> None:
    world = ImageWorld(image_policy(replace(WEB, schedules=())))
    world.command(command="back_up", protection="servers", by="li")
    world.run_for(minutes=50, prune=False)
    point = next(one for one in world.points() if one.subject == "i-web-1")
    before = {one.id for one in world.in_cloud()}
    world.image_now(point=point.id)

    (image,) = world.images()
    (record,) = world.records()
    assert set(image.snapshots) == {snapshot for _, snapshot in point.disks}
    assert {one.id for one in world.in_cloud()} == before
    assert record.snapshots == ()  # they are the point's: nothing clears them away with the image
    assert record.version == 1


def test_a_point_that_is_not_there_is_refused() -> None:
    world = ImageWorld()
    operation = world.image_now(point="servers/hourly/2026-03-02T00:00:00Z/i-web-1")

    (found,) = world.operations(operation)
    assert found.state is OperationState.REFUSED
    assert found.result["because"].startswith("instance i-web-1 has no restore point servers/hourly")


def test_versions_of_a_family_are_counted_and_two_at_once_have_two() -> None:
    world = ImageWorld()
    for instance in ("i-web-1", "i-web-2"):
        world.command(command="image", instance=instance, family="role-web", by="li")
    world.run_for(minutes=30, prune=False)
    world.image_now()

    assert [one.version for one in world.images("role-web")] in (["1", "2", "3"], ["2", "1", "3"])
    assert {one.version for one in world.records()} == {1, 2, 3}


def test_by_hand_an_image_of_a_rule_is_as_the_rule_says() -> None:
    world = ImageWorld(image_policy(replace(DB, schedules=(), copy_to=(SHANGHAI,)), WEB))
    answer = world.command(command="image", rule="db", by="li")
    world.run_for(hours=1, prune=False)

    (image,) = world.images("role-db")
    assert len(image.snapshots) == 1
    assert answer["copy_to"] == [SHANGHAI]
    assert [one.version for one in world.records()] == [1, 1]  # and its copy


# -- whose image --


def test_neither_what_is_isolated_nor_stopped_nor_in_recovery_is_imaged() -> None:
    world = ImageWorld(image_policy(replace(WEB, publish_to=())))
    world.cloud.ecs.instances["i-web-1"].tags[ISOLATED] = "rebuild/x"
    world.run_for(hours=2, prune=False)

    (record,) = world.records()
    assert record.instance == "i-web-2"
    assert "the only one" in world.slots()[0].because


def test_a_young_replacement_is_imaged_only_when_nothing_older_stands() -> None:
    world = ImageWorld(image_policy(replace(WEB, publish_to=())))
    world.cloud.ecs.instances["i-web-1"].created = world.clock.now() + timedelta(minutes=50)
    world.run_for(hours=2, prune=False)

    (record,) = world.records()
    assert record.instance == "i-web-2"


def test_when_none_is_running_the_slot_waits_an_hour_and_is_then_skipped_with_the_reason() -> None:
    world = ImageWorld(image_policy(DB))
    world.cloud.ecs.instances["i-db"].state = "Stopped"
    world.run_for(hours=4, prune=False)

    (slot,) = world.slots()
    assert (slot.state, slot.because) == (SlotState.SKIPPED, "none of the 1 instances of images db is running")
    assert world.images() == []
    assert world.events("images db") == ["image.blocked", "image.refused"]


# -- what goes wrong --


def test_a_full_quota_of_images_is_told_and_waited_for() -> None:
    world = ImageWorld(image_policy(WEB))
    world.cloud.ecs.images.quota = 2  # the two of the seed
    world.run_for(hours=2, prune=False)

    assert world.images() == []
    assert world.events("images web") == ["image.blocked"]
    assert "`understudy images` says which older ones go" in world.reason("images web", "image.blocked")

    world.cloud.ecs.images.quota = 10
    world.run_for(hours=1, prune=False)
    assert [one.version for one in world.images()] == ["1"]
    assert world.slots()[0].state is SlotState.TAKEN or world.slots()[0].state is SlotState.LATE


def test_a_quota_that_stays_full_ends_the_slot_after_a_day_and_leaves_nothing() -> None:
    world = ImageWorld(image_policy(WEB))
    world.cloud.ecs.images.quota = 2
    world.run_for(hours=26, prune=False)

    first = next(slot for slot in world.slots() if slot.due.day == 2)
    assert first.state is SlotState.SKIPPED
    assert "let some go by hand, or ask for a higher quota" in first.because
    assert world.snapshots_of_images() == set()


def test_an_image_that_somebody_deletes_while_it_is_made_is_refused_and_the_next_has_the_next_version() -> None:
    world = ImageWorld(image_policy(WEB))
    world.advance(hours=1)
    world.invoke(world.schedule)
    world.advance(seconds=5)
    for one in list(world.images()):
        world.cloud.ecs.images.shelf.remove(world.cloud.ecs.images.find(one.id))
    world.run_for(hours=49, prune=False)

    ends = {(slot.due.day, slot.state) for slot in world.slots()}
    assert (2, SlotState.SKIPPED) in ends
    assert "2" in [one.version for one in world.images()]
    assert "1" not in [one.version for one in world.images()]


def test_a_failed_image_of_the_system_disk_leaves_its_snapshot_to_prune() -> None:
    world = ImageWorld(image_policy(DB))
    world.advance(hours=1)
    world.invoke(world.schedule)
    world.advance(seconds=50)
    (made,) = world.images()
    found = world.cloud.ecs.images.find(made.id)
    found.status = "CreateFailed"
    world.run_for(hours=1, prune=False)

    (record,) = world.records()
    assert set(record.snapshots) == world.snapshots_of_images()
    assert [one.state for one in world.slots()] == [SlotState.SKIPPED]


# -- bad requests --


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"command": "image", "rule": "wbe"}, "images 'wbe' is not in the policy; it has: web, db"),
        ({"command": "image", "rule": "web", "instance": "i-web-1"}, "the rule says instance and family"),
        ({"command": "image", "instance": "i-web-1"}, "argument family is None"),
        ({"command": "image", "instance": "i-1", "family": "a", "disks": "data"}, "it must be all or system"),
        ({"command": "publish_image", "what": "role-wbe"}, "neither an image id nor a family with a rule"),
        ({"command": "publish_image", "what": "role-db"}, "nothing is named to publish role-db to. Add publish_to"),
        ({"command": "pin_image", "family": "x", "image": "m-1", "because": "b"}, "'x' has no rule, so its images"),
        ({"command": "pin_image", "family": "role-db", "image": "m-1"}, "argument because is None"),
    ],
)
def test_a_request_that_cannot_be_meant_names_what_it_may_be(asked: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput) as refused:
        ImageWorld().command(**asked)

    assert says in str(refused.value)


def test_the_disks_of_a_request_win_over_those_of_the_rule() -> None:
    world = ImageWorld()
    world.image_now("i-web-1", disks="system")

    (image,) = world.images()
    assert [one.kind.value for one in image.disks] == [ImageDisks.SYSTEM.value]


def recovery_of(world: ImageWorld, instance: str) -> Operation:
    """One under way, that nobody takes further."""
    request = RebuildRequest(instance=InstanceId(instance), rule="web", asked=world.clock.now(), by="li", confirm="-")
    now = world.clock.now()
    return Journal(world.store, world.clock).open(
        replace(request.operation(policy=PolicyVersion(1), now=now, because="-"), kind=OperationKind.RESTORE)
    )


def asked_while_in_recovery(**more: object) -> tuple[ImageWorld, Operation]:
    world = ImageWorld(image_policy(*(replace(one, schedules=(), publish_to=()) for one in (WEB, DB))))
    operation = recovery_of(world, "i-web-1")
    world.recover_tick = lambda: None  # type: ignore[method-assign]  # stands in for it
    world.command(command="image", instance="i-web-1", family="role-web", by="li", **more)
    world.run_for(minutes=20, prune=False)
    return world, operation


@pytest.mark.parametrize("disks", ["all", "system"])
def test_an_instance_in_a_recoverys_hands_is_not_imaged_half_done(disks: str) -> None:
    world, operation = asked_while_in_recovery(disks=disks)
    assert world.images() == []
    assert world.snapshots_of_images() == set()
    assert "is under way on i-web-1" in world.reason("i-web-1", "image.blocked")

    Journal(world.store, world.clock).close(replace(operation, state=OperationState.DONE))
    world.run_for(minutes=25, prune=False)
    assert len(world.images("role-web")) == 1


def test_an_image_that_a_recovery_keeps_waiting_for_an_hour_is_refused() -> None:
    world, operation = asked_while_in_recovery()
    world.run_for(hours=1, prune=False)
    (image,) = world.operations("image/")

    assert image.state is OperationState.REFUSED
    assert f"{operation.id} is under way on i-web-1" in image.result["because"]


def test_a_system_disk_does_not_lose_its_quota_to_images_that_never_come() -> None:
    world = ImageWorld(image_policy(DB))
    world.cloud.ecs.images.quota = 0
    world.run_for(days=5, prune=False)
    assert len(world.snapshots_of_images()) == 1, "not one each night"
    skipped = [one.because for one in world.slots() if one.state is SlotState.SKIPPED]
    assert any("its snapshot" in one and "is left" in one for one in skipped)
    assert any("understudy acknowledge" in one for one in skipped)

    world.cloud.ecs.images.quota = 100
    (waits,) = [one for one in world.operations("image/") if one.state is OperationState.NEEDS_OPERATOR]
    world.command(command="acknowledge", subject=waits.id, by="li")
    world.run_for(days=1, hours=2, prune=False)
    assert world.images("role-db") != []
