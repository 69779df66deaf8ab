"""A rebuild that an operator asks for: shown first, done only as confirmed, graceful, and never beside another one."""

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.errors import BadInput
from shared.domain.operation import OperationKind, OperationState
from shared.state.controls import Pause
from tests.usecases.rebuild_world import ALONE, AT_ONCE, RebuildWorld, ask
from tests.usecases.recovery_world import DB, LB, WEB_1, WEB_2


def shown(world: RebuildWorld, instance: str = WEB_1) -> Any:
    preview = ask(world, instance)["preview"]
    assert isinstance(preview, dict)
    return preview


def failed_checks(preview: Any) -> list[str]:
    return [f"{one['says']} {one['remedy']}" for one in preview["checks"] if not one["ok"]]


def asked(world: RebuildWorld, confirm: str) -> Any:
    operation = ask(world, WEB_1, confirm=confirm)["operation"]
    world.run_recovery(minutes=20)
    return world.operation(str(operation))


def test_a_preview_says_what_would_be_done_and_does_nothing() -> None:
    world = RebuildWorld(stands=ALONE)
    before = world.picture()
    preview = shown(world)

    assert failed_checks(preview) == []
    does = [one["does"] for one in preview["actions"]]
    assert f"{WEB_1} is stopped" in does
    assert "d-web-1-data is detached from i-web-1" in does
    assert any("weight 80 in lb-web" in one for one in does)
    assert world.picture() == before
    assert world.operations(OperationKind.REBUILD) == []


@pytest.mark.parametrize("confirm", ["token", WEB_1, "web-1"])
def test_what_was_confirmed_is_done_gracefully_and_drained_first(confirm: str) -> None:
    world = RebuildWorld(stands=ALONE)
    world.write("d-web-1-data", b"newest bytes")
    token = shown(world)["token"]
    done = asked(world, token if confirm == "token" else confirm)

    assert done.state is OperationState.DONE, done.result
    new = world.cloud.ecs.instances[done.result["replacement"]]
    assert new.private_ip == "10.0.1.11"
    assert world.read(world.disk_of(new.id, "/dev/vdb"), 12) == b"newest bytes"
    labels = world.wire.labels
    assert labels.index("balancer.set_weight") < labels.index("instances.stop")
    assert done.result["rpo_seconds"] == "0.0"


def test_what_has_changed_since_it_was_shown_is_refused_with_what_it_would_do_now() -> None:
    world = RebuildWorld(stands=ALONE)
    operation = ask(world, WEB_1, confirm=shown(world)["token"])["operation"]
    world.balancer.set_weight(LB, WEB_1, weight=30)
    world.run_recovery(minutes=20)
    ended = world.operation(str(operation))

    assert ended.state is OperationState.REFUSED
    assert "weight 30 in lb-web" in ended.result["because"]
    assert world.cloud.ecs.instances[WEB_1].state == "Running"


def test_a_token_of_something_else_is_refused_before_anything_is_opened() -> None:
    world = RebuildWorld(stands=ALONE)
    token = shown(world)["token"]
    world.balancer.set_weight(LB, WEB_1, weight=30)

    with pytest.raises(BadInput, match="look at it again without confirm, nothing was begun"):
        ask(world, WEB_1, confirm=token)

    assert world.operations(OperationKind.REBUILD) == []


def test_an_instance_that_no_rule_selects_is_refused_by_name() -> None:
    world = RebuildWorld(stands=ALONE)
    question = ask_recover(world, DB)

    with pytest.raises(BadInput, match="no rebuild rule selects i-db; it has: web"):
        question()


def test_an_unknown_instance_cannot_be_replaced() -> None:
    world = RebuildWorld(stands=ALONE)
    with pytest.raises(
        BadInput, match="the inventory does not list i-nobody, so no rebuild rule selects it: it was released"
    ):
        ask_recover(world, "i-nobody")()


def test_a_rule_that_the_policy_does_not_have_is_refused_at_once() -> None:
    world = RebuildWorld(stands=ALONE)
    with pytest.raises(BadInput, match="rebuild rule 'shop' is not in policy 1; it has: web"):
        ask(world, WEB_1, rule="shop")


def test_the_preview_says_who_holds_it_and_what_is_paused() -> None:
    world = RebuildWorld(stands=ALONE)
    world.cloud.ecs.set_stock("cn-hangzhou-h", "ecs.g7.large", 0)
    world.lose(WEB_1)
    assert world.ended(WEB_1).state is OperationState.NEEDS_OPERATOR
    controls = world.controls()
    controls.pause(Pause(scope="rebuilds", since=world.clock.now(), because="window"))
    told = " | ".join(failed_checks(shown(world)))

    assert "rebuilds are paused: window" in told
    assert "understudy acknowledge rebuild/i-web-1/" in told


def test_missing_material_stands_in_the_preview() -> None:
    world = RebuildWorld(replace(AT_ONCE, image_family="nothing"), stands=ALONE)

    assert any("image family nothing has no available image" in one for one in failed_checks(shown(world)))


def test_two_that_are_asked_for_at_once_are_one_after_the_other_and_one_replacement_each() -> None:
    world = RebuildWorld(stands=ALONE)
    first = ask(world, WEB_1, confirm=WEB_1)["operation"]
    world.advance(seconds=5)
    second = ask(world, WEB_1, confirm=WEB_1)["operation"]
    world.run_recovery(minutes=20)

    assert world.operation(str(first)).state is OperationState.DONE
    assert world.operation(str(second)).state is OperationState.REFUSED
    assert len(world.made()) == 1
    assert world.cloud.ecs.instances[WEB_2].state == "Running"


def ask_recover(world: RebuildWorld, instance: str) -> Any:
    """The preview's own words, as recover raises them (its handler answers them as a refusal)."""
    from shared.state import codec
    from shared.usecases.recovery.recovery_requests import RebuildRequest

    request = RebuildRequest(instance=instance, rule="", asked=world.clock.now(), by="li", confirm="")  # type: ignore[arg-type]
    return lambda: world.previews[OperationKind.REBUILD]()(codec.dump(request))
