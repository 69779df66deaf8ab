"""A new version reaches its role's scaling groups; the newest wins; what hinders one group is told, others go on."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from shared.domain.errors import Forbidden, Retryable
from shared.domain.ids import ImageId, OperationId
from shared.domain.operation import OperationState
from shared.state.families import Published
from tests.usecases.image_world import WEB, ImageWorld, image_policy
from tests.usecases.recovery_world import GROUP

BY_HAND = replace(WEB, schedules=())


def versions(count: int, **rule: object) -> tuple[ImageWorld, list[ImageId]]:
    world = ImageWorld(image_policy(replace(BY_HAND, **rule)))  # type: ignore[arg-type]  # fields by name
    for _ in range(count):
        world.image_now()
    return world, [one.id for one in world.images("role-web")]


def result(world: ImageWorld, operation: str) -> str:
    (found,) = world.operations(operation)
    return found.result["because"]


def test_each_new_version_is_what_the_group_starts_from() -> None:
    world, (first,) = versions(1)
    assert world.starts_from() == first

    world.image_now()
    assert world.starts_from() == world.images("role-web")[-1].id
    assert world.starts_from() != first


def test_by_hand_a_family_means_its_newest_usable_version() -> None:
    world, (_, second) = versions(2, publish_to=())
    assert world.starts_from() == "m-web"
    operation = world.publish_newest()
    world.run_for(minutes=10, prune=False)

    assert world.starts_from() == second
    assert result(world, operation) == f"image {second}, version 2 of role-web, is what asg-web start from now"


def test_an_older_version_never_takes_the_place_of_a_newer_one() -> None:
    world, (first, second) = versions(2)
    operation = world.publish_newest(image=first)
    world.run_for(minutes=10, prune=False)

    assert world.starts_from() == second
    assert f"changes nothing; asg-web: version 2 ({second}) is newer" in result(world, operation)


def back(world: ImageWorld, what: str) -> str:
    """An operator's wish."""
    answer = world.command(command="publish_image", what=what, by="li")
    world.run_for(minutes=10, prune=False)
    return str(answer["operation"])


def test_an_operator_goes_back_to_an_older_version_until_a_newer_one_is_made() -> None:
    world, (first, second) = versions(2)
    assert world.starts_from() == second
    operation = back(world, first)
    assert world.starts_from() == first
    assert f"image {first}, version 1 of role-web, is what asg-web start from now" in result(world, operation)

    world.run_for(hours=2, prune=False)
    assert world.starts_from() == first, "nothing puts the bad one back"

    world.image_now()
    assert world.starts_from() == world.images("role-web")[-1].id


def test_a_family_goes_back_to_its_newest_usable_version_when_the_published_one_is_taken_out() -> None:
    world, (first, second) = versions(2)
    world.cloud.ecs.images.modify(second, status="Deprecated")
    back(world, "role-web")

    assert world.starts_from() == first


def test_of_two_wishes_the_later_one_stays_whichever_is_carried_out_last() -> None:
    world, (first, second, third) = versions(3)
    now = world.clock.now()
    families = world.families()

    def wish(image: ImageId, version: int, seconds: int) -> Published:
        asked = now + timedelta(seconds=seconds)
        named = OperationId(f"publish/{image}/{seconds}")
        return Published(group=GROUP, image=image, version=version, operation=named, at=now, over=3, asked=asked)

    early, late = wish(first, 1, 1), wish(second, 2, 2)
    assert families.publish("role-web", late) == late
    assert families.publish("role-web", early) == late
    forward = Published(group=GROUP, image=third, version=3, operation=OperationId("publish/x"), at=now)
    assert families.publish("role-web", forward) == late, "what froze before the wish does not undo it"


def test_a_configuration_that_reads_the_bad_version_again_gets_the_wanted_one() -> None:
    world, (first, second) = versions(2)
    back(world, first)
    world.cloud.ess.boot(world.cloud.ess.configuration("asc-web"), second)
    world.run_for(hours=1, prune=False)

    assert world.starts_from() == first


class Closed:
    """Scaling that may not be called."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        def closed(*_: object, **__: object) -> object:
            raise Forbidden(f"ess:{name}: the role lacks it")

        return closed


def test_what_the_role_may_not_do_for_long_is_handed_to_an_operator_with_a_runbook() -> None:
    world, _ = versions(1, publish_to=())
    operation = world.publish_newest(wake=False)
    world.scaling = Closed()
    world.run_for(minutes=40, prune=False)

    (found,) = world.operations(operation)
    assert found.state is OperationState.NEEDS_OPERATOR
    assert found.result["runbook"] == "publish-needs-operator"
    assert "our role has been forbidden this for" in found.result["because"]


def test_two_at_once_end_with_the_newer_one_whichever_was_asked_first() -> None:
    for order in ((0, 1), (1, 0)):
        world, made = versions(2, publish_to=())
        for one in order:
            world.publish_newest(image=made[one])
            world.advance(seconds=0)
        world.run_for(minutes=10, prune=False)

        assert world.starts_from() == made[1], order
        assert {one.state for one in world.operations("publish/")} == {OperationState.DONE}


def test_groups_that_are_gone_inactive_or_bare_are_told_and_the_others_go_on() -> None:
    world, (first,) = versions(1, publish_to=())
    ess = world.cloud.ess
    group = ess.groups.get(GROUP)
    assert group is not None
    operation = world.publish_newest(groups=("asg-gone", GROUP))
    world.run_for(minutes=10, prune=False)

    assert world.starts_from() == first
    assert "asg-gone: it is not shown: deleted, or inactive. Take it out of publish_to" in result(world, operation)


def test_a_group_without_a_configuration_refuses_the_publishing_when_it_is_the_only_one() -> None:
    world, _ = versions(1, publish_to=())
    group = world.cloud.ess.groups.get(GROUP)
    assert group is not None
    group.configuration_id = ""
    operation = world.publish_newest()
    world.run_for(minutes=10, prune=False)

    (found,) = world.operations(operation)
    assert found.state is OperationState.REFUSED
    assert "asg-web: it has no active configuration. Give it one" in found.result["because"]


def test_an_image_that_left_its_family_or_is_gone_is_not_published() -> None:
    world, (first, second) = versions(2, publish_to=())
    world.cloud.ecs.images.modify(second, status="Deprecated")
    retired = world.publish_newest(image=second)
    unknown = world.publish_newest(image="m-unknown")
    world.run_for(minutes=10, prune=False)

    assert result(world, retired) == f"image {second} cannot be published: it is deprecated"
    assert "image m-unknown of family role-web is not there to publish" in result(world, unknown)
    newest = world.publish_newest()
    world.run_for(minutes=10, prune=False)
    assert world.starts_from() == first
    assert "version 1" in result(world, newest)


def test_what_reads_otherwise_than_it_was_set_is_tried_again_and_then_told() -> None:
    world, (first,) = versions(1, publish_to=())
    operation = world.publish_newest(wake=False)
    stale = world.scaling
    world.scaling = Unheeding(stale)
    world.run_for(minutes=30, prune=False)
    assert world.operations(operation)[0].state is OperationState.OPEN

    world.scaling = stale
    world.run_for(minutes=30, prune=False)
    assert world.starts_from() == first
    assert world.operations(operation)[0].state is OperationState.DONE


def test_a_group_that_was_away_gets_the_version_when_it_is_back() -> None:
    world, (first,) = versions(1)
    world.cloud.ess.boot(world.cloud.ess.configuration("asc-web"), first)
    group = world.cloud.ess.groups.get(GROUP)
    assert group is not None
    world.cloud.ess.disable(group)
    world.image_now()
    assert world.starts_from() == first

    world.cloud.ess.enable(group, None)
    world.run_for(hours=1, prune=False)
    assert world.starts_from() == world.images("role-web")[-1].id


def test_what_somebody_else_put_into_the_group_stays_and_is_told() -> None:
    world, _ = versions(1)
    world.cloud.ess.boot(world.cloud.ess.configuration("asc-web"), "m-web")
    world.run_for(hours=1, prune=False)
    judged = world.families().readiness("role-web")

    assert judged is not None
    assert any("scaling group asg-web starts instances from m-web" in one for one in judged.lacks)


class Unheeding:
    """A configuration that reads as it was before, whatever is written."""

    def __init__(self, real: object) -> None:
        self._real = real

    def publish(self, configuration: str, image: ImageId) -> None:
        if not configuration:
            raise Retryable(f"{image}: nothing to publish to")

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)
