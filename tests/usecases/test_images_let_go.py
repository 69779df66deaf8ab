"""Older versions leave their family, then go for good, then their snapshots: never what something needs."""

from collections.abc import Iterator
from dataclasses import replace

from shared.domain.errors import Retryable
from shared.domain.ids import InstanceId, PolicyVersion
from shared.domain.image_versions import Fate
from shared.domain.inventory import Image, ImageState
from shared.domain.operation import OperationState, Step, StepState
from shared.domain.policy import PruneLimits
from shared.state.journal import Journal
from shared.usecases.recovery.recovery_requests import RebuildRequest
from tests.usecases.image_world import DB, SHANGHAI, THERE, WEB, ImageWorld, image_policy
from understudy.simulation.store import InProcessStore

BY_HAND = replace(WEB, schedules=(), keep=2, publish_to=())
FAMILY = "image family role-web"


class Silent:
    """Images of a region that does not answer."""

    def list(self, **_: object) -> Iterator[Image]:
        raise Retryable("no answer")


def a_world(versions: int = 4, **rule: object) -> ImageWorld:
    world = ImageWorld(image_policy(replace(BY_HAND, **rule), replace(DB, schedules=())))  # type: ignore[arg-type]
    for _ in range(versions):
        world.image_now()
    return world


def standing(world: ImageWorld, region: str = "cn-hangzhou") -> list[tuple[str, str]]:
    numbers = {one.image: one.version for one in world.records()}
    return [(str(numbers[one.id]), one.state.value) for one in world.images("role-web", region)]


def test_the_way_of_a_version_family_then_image_then_snapshots() -> None:
    world = a_world()
    before = world.snapshots_of_images()
    world.prune()
    assert standing(world) == [("1", "deprecated"), ("2", "deprecated"), ("3", "available"), ("4", "available")]

    world.advance(days=6, hours=23)
    world.prune()
    assert len(world.images()) == 4, "its grace is not over"

    world.advance(hours=2)
    world.prune()
    assert standing(world) == [("3", "available"), ("4", "available")]
    assert world.snapshots_of_images() == before, "the cloud keeps them"

    for _ in range(3):
        world.advance(hours=21)
        world.prune(drift=True)
    left = {snapshot for one in world.images() for snapshot in one.snapshots}
    assert world.snapshots_of_images() == left
    assert [one.version for one in world.records()].count(1) == 0
    assert [event for event in world.events(FAMILY) if not event.endswith("ready")] == [
        "image.deprecated",
        "image.deprecated",
        "image.deleted",
        "image.deleted",
    ]


def test_a_dry_run_says_what_would_go_and_changes_nothing() -> None:
    world = a_world(3)
    pruned = world.prune(dry=True)

    assert len(pruned.images) == 1
    assert pruned.images[0].startswith("leaves its family: m-")
    assert pruned.images[0].endswith("(version 1 of role-web) in cn-hangzhou: 2 newer usable versions stand")
    assert standing(world)[0] == ("1", "available")


def test_what_instances_were_made_of_stays() -> None:
    world = a_world()
    first = world.images("role-web")[0].id
    world.cloud.ecs.instances["i-web-2"].image_id = first
    world.prune()

    assert standing(world)[:2] == [("1", "available"), ("2", "deprecated")]


def test_what_a_scaling_group_names_stays_also_after_it_left_the_family() -> None:
    world = a_world(publish_to=("asg-web",))
    first = world.images("role-web")[0].id
    world.cloud.ess.boot(world.cloud.ess.configuration("asc-web"), first)
    world.prune()
    assert standing(world)[:2] == [("1", "available"), ("2", "deprecated")]

    second = world.images("role-web")[1].id
    world.cloud.ess.boot(world.cloud.ess.configuration("asc-web"), second)
    world.advance(days=8)
    world.prune()
    assert ("2", "deprecated") in standing(world), "a group came back to it by hand"


def test_where_a_group_is_not_shown_nothing_of_the_family_goes_and_it_is_told() -> None:
    world = a_world(publish_to=("asg-web", "asg-gone"))
    pruned = world.prune()

    assert [state for _, state in standing(world)] == ["available"] * 4
    assert "scaling group asg-gone is not shown (deleted, or inactive)" in pruned.refused[0]
    assert "Take it out of publish_to, or enable it" in pruned.refused[0]


def test_what_is_pinned_stays_until_it_is_unpinned() -> None:
    world = a_world(3)
    first = world.images("role-web")[0].id
    world.command(command="pin_image", family="role-web", image=first, because="audit", by="li")
    world.prune()
    assert standing(world)[0] == ("1", "available")

    world.command(command="unpin_image", family="role-web", image=first, by="li")
    world.prune()
    assert standing(world)[0] == ("1", "deprecated")


def test_what_is_pinned_after_it_left_the_family_is_not_deleted() -> None:
    world = a_world(3)
    world.prune()
    first = world.images("role-web")[0].id
    world.command(command="pin_image", family="role-web", image=first, because="audit", by="li")
    world.advance(days=30)
    world.prune()

    assert standing(world)[0] == ("1", "deprecated")


def test_what_is_being_copied_stays() -> None:
    world = a_world(1)
    world.cloud.home.sibling(SHANGHAI).ecs.images.quota = 0  # so the copy does not come to its end
    world.image_now(copy_to=[SHANGHAI])
    world.image_now()
    world.image_now()
    verdicts = {one.version.number: one for group in world.plan().groups for one in group.verdicts}

    assert verdicts[2].fate is Fate.KEEP
    assert verdicts[2].because.startswith("copy_image/m-")
    assert verdicts[2].because.endswith("@cn-shanghai is under way with it")
    assert verdicts[1].fate is Fate.DEPRECATE


def test_what_somebody_took_back_into_the_family_begins_anew() -> None:
    world = a_world(3)
    world.prune()
    first = world.images("role-web")[0].id
    world.cloud.ecs.images.modify(first, status="Available")
    world.advance(days=30)
    world.prune()
    assert standing(world)[0] == ("1", "deprecated"), "out of the family again"

    world.advance(days=1)
    world.prune()
    assert standing(world)[0] == ("1", "deprecated"), "counted from then"


def test_what_somebody_else_deprecated_is_theirs_to_delete() -> None:
    world = a_world(3)
    first = world.images("role-web")[0].id
    world.cloud.ecs.images.modify(first, status="Deprecated")
    world.prune()
    world.advance(days=30)
    world.prune()

    assert standing(world)[0] == ("1", "deprecated")


def test_an_unusable_newest_version_does_not_cost_the_last_usable_one() -> None:
    world = a_world(2, keep=1)
    newest = world.images("role-web")[1]
    images = world.cloud.ecs.images
    images.find(newest.id).status = "UnAvailable"
    world.prune()

    assert standing(world)[0] == ("1", "available")


def test_when_none_is_usable_nothing_goes() -> None:
    world = a_world(3, keep=1)
    for one in world.images("role-web"):
        world.cloud.ecs.images.find(one.id).status = "UnAvailable"
    world.advance(days=30)
    world.prune()

    assert len(world.images("role-web")) == 3


def test_a_family_that_the_cloud_never_makes_does_not_fill_the_quota() -> None:
    world = a_world(3, keep=1)
    for one in world.images("role-web"):
        world.cloud.ecs.images.find(one.id).status = "CreateFailed"
    world.prune()
    assert len(world.images("role-web")) == 3, "a week is left to look into it"

    world.advance(days=8)
    world.prune()
    assert world.images("role-web") == []


def test_what_the_cloud_calls_unavailable_for_a_while_is_not_deleted_though_it_is_old() -> None:
    world = a_world(3)
    world.advance(days=30)
    first = world.images("role-web")[0].id
    world.cloud.ecs.images.find(first).status = "UnAvailable"
    world.prune()
    verdicts = {one.version.number: one.because for group in world.plan().groups for one in group.verdicts}

    assert first in [one.id for one in world.images("role-web")]
    assert verdicts[1].startswith("the cloud calls it unavailable, and may take that back")


def test_what_a_group_starts_from_stays_when_the_group_was_taken_out_of_the_rule() -> None:
    world = a_world(1, publish_to=("asg-web",))
    world.run_for(minutes=30, prune=False)
    first = world.images("role-web")[0].id
    assert world.starts_from() == first
    world.policies.append(image_policy(BY_HAND, replace(DB, schedules=())))
    for _ in range(3):
        world.image_now()
    world.prune()
    assert standing(world)[:2] == [("1", "available"), ("2", "deprecated")]

    group = world.cloud.ess.groups.get("asg-web")
    assert group is not None
    group.state = "Inactive"
    world.prune()
    verdicts = {one.version.number: one.because for group in world.plan().groups for one in group.verdicts}
    assert "asg-web" in verdicts[1]


def test_copies_in_a_region_that_the_rule_names_no_more_stay() -> None:
    world = a_world(3, copy_to=(SHANGHAI,))
    world.run_for(hours=2, prune=False)
    world.policies.append(image_policy(replace(BY_HAND, keep=1), replace(DB, schedules=())))
    world.prune()

    assert [state for _, state in standing(world, SHANGHAI)] == ["available"] * 3
    assert [state for _, state in standing(world)] == ["deprecated", "deprecated", "available"]


def test_what_a_recovery_needs_stays_while_it_waits_for_an_operator() -> None:
    world = a_world(3)
    first = world.images("role-web")[0].id
    request = RebuildRequest(instance=InstanceId("i-web-1"), rule="web", asked=world.clock.now(), by="li", confirm="-")
    journal = Journal(InProcessStore(world.cloud, "understudy"), world.clock)
    operation = journal.open(request.operation(policy=PolicyVersion(1), now=world.clock.now(), because="asked for"))
    chosen = Step(name="chosen", state=StepState.DONE, at=world.clock.now(), data={"image": first})
    journal.close(replace(operation, steps=(chosen,), state=OperationState.NEEDS_OPERATOR))
    world.prune()

    assert standing(world)[0] == ("1", "available")


def test_a_family_without_a_rule_keeps_everything() -> None:
    world = ImageWorld(image_policy(replace(DB, schedules=())))
    for _ in range(5):
        world.image_now()
    world.prune()

    assert {one.state for one in world.images("role-web")} == {ImageState.AVAILABLE}


def test_two_families_are_judged_apart() -> None:
    world = a_world(3)
    world.image_now("i-db", "role-db")
    world.prune()

    assert [one.state.value for one in world.images("role-db")] == ["available"]
    assert [state for _, state in standing(world)] == ["deprecated", "available", "available"]


def test_copies_go_by_the_same_rule_in_their_own_region() -> None:
    world = a_world(4, copy_to=(SHANGHAI,))
    world.run_for(hours=2, prune=False)
    assert [number for number, _ in standing(world, SHANGHAI)] == ["1", "2", "3", "4"]
    world.prune()
    assert [state for _, state in standing(world, SHANGHAI)] == ["deprecated"] * 2 + ["available"] * 2

    world.advance(days=8)
    world.prune()
    for _ in range(3):
        world.advance(hours=21)
        world.prune(drift=True)
    assert [number for number, _ in standing(world, SHANGHAI)] == ["3", "4"]
    held = list(world.clouds.at(THERE).snapshots.list())
    assert len(held) == 4, "what the deleted copies left behind is gone, too"


def test_a_run_changes_no_more_than_its_cap() -> None:
    world = a_world(6)
    policy = world.policies.active()[1]
    world.policies.append(replace(policy, prune=PruneLimits(max_items=1, max_percent=100)))
    for done in range(1, 4):
        world.prune()
        assert [state for _, state in standing(world)].count("deprecated") == done


def test_a_pause_of_prune_holds_it() -> None:
    world = a_world(3)
    world.command(command="pause", scope="prune", because="audit", by="li")
    pruned = world.prune()

    assert "audit" in pruned.stopped
    assert standing(world)[0] == ("1", "available")


def test_a_region_that_does_not_answer_keeps_its_own_and_holds_no_other_up() -> None:
    world = a_world(3, copy_to=(SHANGHAI,))
    world.run_for(hours=2, prune=False)
    world.clouds.at(THERE).images = Silent()
    pruned = world.prune()
    del world.clouds._made[THERE]

    assert standing(world)[0] == ("1", "deprecated")
    assert any("nothing goes, as not all could be looked at" in one for one in pruned.refused)


def test_the_reason_of_each_that_stays_is_told() -> None:
    world = a_world(3)
    verdicts = {one.version.number: one.because for group in world.plan().groups for one in group.verdicts}

    assert verdicts == {
        1: "2 newer usable versions stand",
        2: "one of the 2 newest usable versions",
        3: "one of the 2 newest usable versions",
    }
