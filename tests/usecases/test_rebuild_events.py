"""Events that come at a bad moment: long after their failure, or while another operation holds their instance."""

from datetime import timedelta

from shared.domain.ids import OperationId
from shared.domain.operation import OperationKind, OperationState
from shared.state.decisions import Decisions
from tests.usecases.rebuild_world import ALONE, AT_ONCE, RebuildWorld
from tests.usecases.recovery_world import WEB_1, WEB_RULE
from tests.usecases.restore_stage import RestoreWorld, at_the_point
from understudy.simulation.store import InProcessStore

DATA = "d-web-1-data"


class Both(RebuildWorld, RestoreWorld):
    """One instance may be rolled back and be found failing."""

    def rolled_back(self) -> OperationId:
        return self.ask("rollback", instance=WEB_1, disks=[DATA], confirm=WEB_1)

    def rebuilds(self) -> list[OperationState]:
        return [one.state for one in self.operations(OperationKind.REBUILD)]


def failed_and_back(world: RebuildWorld) -> str:
    """Its host died and the platform restarted it, and nobody told us. Answers the event's id."""
    event = world.fail_host(WEB_1, recovers=True)
    world.advance(minutes=20)
    assert world.cloud.ecs.instances[WEB_1].state == "Running"
    return event


def heard(world: RebuildWorld) -> tuple[str, ...]:
    """What was decided about the one event of it that came."""
    every = Decisions(InProcessStore(world.cloud, "understudy")).of(WEB_1)
    (decision,) = (one for one in every if one.event.startswith("alarm."))
    return tuple(decision.because)


def test_an_event_of_hours_ago_about_an_instance_that_is_back_replaces_nothing_and_says_how_old_it_is() -> None:
    world = RebuildWorld(WEB_RULE, stands=ALONE)
    event = failed_and_back(world)
    world.run_recovery(hours=7)
    before = world.picture()

    world.notice(WEB_1, event)
    world.run_recovery(minutes=30)

    (age,) = (words for words in heard(world) if words.startswith("the notice is "))
    assert int(age.split()[3]) > timedelta(hours=7).total_seconds()
    (looked,) = world.operations(OperationKind.REBUILD)
    assert (looked.state, looked.result["because"]) == (OperationState.DONE, "it runs and its service answers")
    assert world.made() == []
    assert world.picture() == before


def test_an_old_event_does_not_disturb_a_rollback_that_has_stopped_its_instance() -> None:
    world = Both(WEB_RULE, stands=ALONE)
    event = failed_and_back(world)
    world.pointed(WEB_1, DATA)
    asked = world.rolled_back()
    world.advance(seconds=45)
    assert world.cloud.ecs.instances[WEB_1].state == "Stopped"

    world.notice(WEB_1, event)

    assert f"{asked} already deals with it" in heard(world)
    world.restored(asked)
    assert at_the_point(world, DATA)
    assert world.rebuilds() == []
    assert world.made() == []


def test_a_host_that_fails_under_a_rollback_is_an_operators_question_and_then_a_rebuild_of_the_restored_disk() -> None:
    world = Both(AT_ONCE, stands=ALONE)
    world.pointed(WEB_1, DATA)
    asked = world.rolled_back()
    while world.cloud.ecs.instances[WEB_1].state != "Stopped":
        world.advance(seconds=1)
    while world.cloud.ecs.instances[WEB_1].state != "Running":
        world.advance(seconds=1)
    world.advance(seconds=4)  # a host that fails earlier is one more start
    assert world.operation(asked).state is OperationState.OPEN

    world.lose(WEB_1)
    assert f"{asked} already deals with it" in heard(world)
    world.run_recovery(minutes=30)

    ended = world.operation(asked)
    assert ended.state is OperationState.NEEDS_OPERATOR
    assert f"`understudy acknowledge {asked}`" in ended.result["because"]
    assert world.rebuilds() == [], "never two recoveries of one instance"

    world.command(command="acknowledge", subject=asked, by="li")
    world.run_recovery(minutes=30)

    assert world.rebuilds() == [OperationState.DONE]
    (new,) = world.made()
    assert world.disk_of(new, "/dev/vdb") == DATA
    assert at_the_point(world, DATA)
    assert world.pool() == {new: 80, "i-web-2": 80}


def test_a_disk_that_moved_to_a_replacement_goes_back_to_a_point_of_the_old_instance() -> None:
    world = Both(AT_ONCE, stands=ALONE)
    world.pointed(WEB_1, DATA)
    world.lose(WEB_1)
    new = world.rebuilt(WEB_1).result["replacement"]
    assert world.disk_of(new, "/dev/vdb") == DATA
    assert not at_the_point(world, DATA)

    asked = world.ask("rollback", instance=new, of=WEB_1, point="by-hand", disks=[DATA], confirm=new)
    world.restored(asked)

    assert at_the_point(world, DATA)
    assert world.disk_of(new, "/dev/vdb") == DATA
    assert world.pool() == {new: 80, "i-web-2": 80}


def test_a_point_of_an_instance_that_has_nothing_to_do_with_it_is_refused() -> None:
    world = Both(AT_ONCE, stands=ALONE)
    world.pointed(WEB_1, DATA)

    shown = world.preview("rollback", instance="i-web-2", of=WEB_1, point="by-hand")

    (refused,) = [check for check in shown["checks"] if not check["ok"]]
    assert refused["says"].startswith(f"{DATA} is not attached to i-web-2: it is in_use, attached to {WEB_1}")
