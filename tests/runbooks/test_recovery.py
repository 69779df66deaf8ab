"""Runbooks of backups and recoveries, followed to the letter in the worlds of their use cases: the real command line on
a world's own store, calendar and functions."""

import json
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.domain.operation import OperationKind, OperationState
from shared.state.decisions import Decisions
from shared.usecases.copies.copy_point import MOST_ATTEMPTS
from shared.wiring import foundation
from tests.runbooks.book import filled, procedures
from tests.usecases.backup_world import APPLICATIONS, World, a_policy
from tests.usecases.copy_world import SHANGHAI, CopyWorld
from tests.usecases.launch_stage import TYPE, launch, launched
from tests.usecases.plan_world import DB, PlanWorld
from tests.usecases.recovery_world import WEB_1, WEB_2, RecoveryWorld
from tests.usecases.recovery_world import H as ZONE_H
from tests.usecases.restore_stage import RestoreWorld
from tests.usecases.test_backup_net import never_complete
from tests.usecases.test_images_published import Closed, versions
from tests.usecases.test_rebuild_again import last, robbed
from tests.usecases.test_restore_troubles import half_way, standing
from tests.usecases.test_status import view_of
from tests.wirings import forget
from understudy.cli.main import main
from understudy.simulation.functions import InProcessFunctions


class Calendar:
    """A world's calendar, as the command line takes a clock."""

    def __init__(self, world: Any) -> None:
        self._world = world

    def now(self) -> datetime:
        return self._world.clock.now()  # type: ignore[no-any-return]  # worlds are typed loosely

    def monotonic(self) -> float:
        return self._world.clock.monotonic()  # type: ignore[no-any-return]

    def sleep(self, duration: timedelta) -> None:
        raise AssertionError("nothing here takes time")

    def sync(self) -> None: ...


class Terminal:
    def __init__(self, world: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.world, self._monkeypatch, self._capsys = world, monkeypatch, capsys
        self.said = ""
        forget()
        functions = InProcessFunctions(self._answer)
        for name, value in {
            "UNDERSTUDY_REGION": "cn-hangzhou",
            "UNDERSTUDY_OTS_INSTANCE": "understudy",
            "UNDERSTUDY_ENDPOINT": "http://127.0.0.1:1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(foundation, "store", lambda: world.store)
        monkeypatch.setattr(foundation, "clock", lambda: Calendar(world))
        monkeypatch.setattr(foundation, "functions", lambda: functions)

    def _answer(self, name: str, payload: bytes) -> bytes:
        assert name == "command"
        return json.dumps(self.world.command(**json.loads(payload))).encode()

    def follow(self, runbook: str, procedure: str, **words: str) -> None:
        for line in procedures(runbook)[procedure].lines:
            command = filled(line, words)
            if command[0] == "aliyun":  # what is looked for there is looked at by the test
                continue
            self._monkeypatch.setattr(sys, "argv", command)
            self._capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
            shown = self._capsys.readouterr()
            self.said += f"$ {' '.join(command)}\n{shown.out}{shown.err}"
            assert int(ended.value.code or 0) in (0, 3), self.said


Open = Callable[[Any], Terminal]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Open:
    return lambda world: Terminal(world, monkeypatch, capsys)


def test_a_backup_that_does_not_complete_is_replaced_and_let_go(terminal: Open) -> None:
    world = World(a_policy(APPLICATIONS))
    world.advance(hours=1)
    world.schedule()
    world.advance(seconds=2)
    never_complete(world)
    world.advance(hours=49)
    world.invoke(world.backup)
    told = next(one for one in Decisions(world.store).of("applications") if one.event == "back_up.needs_operator")
    before = len(world.points())

    terminal(world).follow(
        "backup-does-not-complete", "take-another", PROTECTION="applications", OPERATION=told.inputs["operation"]
    )
    world.run_for(hours=2)

    assert len(world.points()) > before
    assert [one.id for one in view_of(world).operations if one.because.startswith("needs operator")] == []


def test_a_copy_that_gave_up_begins_again(terminal: Open) -> None:
    world = CopyWorld()
    world.shanghai.snapshots.fail_next("d-a-data", MOST_ATTEMPTS)
    point = world.point()
    world.open(point)
    world.run_for(hours=14)
    (ended,) = world.operations()

    terminal(world).follow("copy-does-not-complete", "begin-again", OPERATION=ended.id, INSTANCE=ended.subject)
    world.run_for(hours=8)

    assert world.known(f"{point.id}@{SHANGHAI}") is not None
    assert list(world.journal.waiting(ended.kind)) == []


def test_a_rebuild_that_asked_is_tried_again(terminal: Open) -> None:
    world = robbed()
    stopped = last(world)
    world.advance(seconds=1)

    terminal(world).follow(
        "rebuild-needs-operator", "try-again", OPERATION=stopped.id, INSTANCE=WEB_1, OLD=WEB_1, REGION="cn-hangzhou"
    )
    world.run_recovery(minutes=25)

    assert last(world).state is OperationState.DONE


@pytest.mark.parametrize(("procedure", "restored"), [("go-on", 1), ("go-on-without", 0), ("end-it", 0)])
def test_a_plan_that_stopped_goes_on_or_is_ended(terminal: Open, procedure: str, restored: int) -> None:
    world = PlanWorld()
    world.ends[DB] = "needs operator"
    run = world.run_plan()
    world.run_recovery(minutes=5)
    (child,) = world.operations(OperationKind.RESTORE)
    world.ends.clear()
    assert world.state(run) == "needs_operator"

    terminal(world).follow("plan-stopped", procedure, RUN=run, OPERATION=child.id)
    world.run_recovery(minutes=10)

    assert world.state(run) == "done"
    ends = [one.state for one in world.operations(OperationKind.RESTORE)]
    assert ends.count(OperationState.DONE) == restored


@pytest.mark.parametrize("procedure", ["go-on", "go-back"])
def test_a_restore_that_stopped_half_way_goes_on_or_back(terminal: Open, procedure: str) -> None:
    world = RestoreWorld()
    before = standing(world)
    asked = half_way(world)
    world.advance(seconds=1)
    point = next(one.id for one in world.points() if not one.safety and one.subject == WEB_2)

    terminal(world).follow("restore-needs-operator", procedure, OPERATION=asked, INSTANCE=WEB_2, POINT=point)
    world.run_recovery(minutes=30)

    assert standing(world) == before, "it serves again, with the weights that it had"


def test_a_launch_that_gave_too_few_is_closed_and_what_it_made_stands(terminal: Open) -> None:
    world = RecoveryWorld()
    world.cloud.ecs.buying.stock.set(ZONE_H, TYPE, 4)
    end = launch(world, amount=10, least=5)
    assert end.state is OperationState.NEEDS_OPERATOR

    world.advance(seconds=1)
    terminal(world).follow("launch-needs-operator", "close-it", OPERATION=end.id)
    world.run_recovery(minutes=10)

    assert [one.state for one in launched(world)] == ["Running"] * 4
    assert list(world.journal.waiting(OperationKind.LAUNCH)) == []


def test_an_image_that_could_not_be_published_is_published(terminal: Open) -> None:
    world, (old, made) = versions(2)
    world.cloud.ess.boot(world.cloud.ess.configuration("asc-web"), old)
    scaling, world.scaling = world.scaling, Closed()
    operation = world.publish_newest(wake=False)
    world.run_for(minutes=40, prune=False)
    (found,) = world.operations(operation)
    assert found.state is OperationState.NEEDS_OPERATOR
    world.scaling = scaling

    terminal(world).follow("publish-needs-operator", "publish-again", OPERATION=found.id, FAMILY="role-web")
    world.run_for(minutes=20, prune=False)

    assert world.starts_from() == made
