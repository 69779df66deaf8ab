"""`understudy adopt`: the request goes through function `command`, the work through `backup`, over the wire."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from emulator.testing import Local
from shared.adapters.ecs_snapshots import EcsSnapshots
from shared.adapters.sdk import Endpoint
from shared.domain.ids import DiskId, OperationId
from shared.domain.operation import OperationKind
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.families import Families
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.subjects import Subjects
from shared.usecases.backup.adopt import Adopt
from shared.usecases.carry_on import CarryOn
from shared.usecases.command import Command
from shared.wiring import foundation
from tests.cli.conftest import Run
from understudy.simulation.functions import InProcessFunctions

EXAMPLE = Path(__file__).parents[2] / "understudy.yaml"


@pytest.fixture
def deployed(connected: Local, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Local:
    """Functions `command` and `backup`, in process, on the local cloud's ECS and state store."""
    file = tmp_path / "understudy.yaml"
    file.write_text(EXAMPLE.read_text())
    assert run("apply", "--file", str(file), "--accept-doubts").code == 0

    def dispatch(name: str, payload: bytes) -> bytes:
        store, clock = foundation.store(), foundation.clock()
        if name == "command":
            command = Command(
                policies=Policies(store),
                controls=Controls(store),
                journal=Journal(store, clock),
                points=Points(store),
                subjects=Subjects(store),
                families=Families(store),
                decisions=Decisions(store),
                functions=functions,
                clock=clock,
            )
            return json.dumps(command.run(json.loads(payload), run="test")).encode()
        raise AssertionError(name)  # invoked asynchronously: the test carries it out

    functions = InProcessFunctions(dispatch, clock=connected.cloud.clock)
    monkeypatch.setattr(foundation, "functions", lambda: functions)
    return connected


def carry_on(operation: str) -> None:
    store, clock = foundation.store(), foundation.clock()
    journal, policies, decisions = Journal(store, clock), Policies(store), Decisions(store)
    CarryOn(
        journal=journal,
        recipes=(Adopt(clouds=foundation.clouds(), store=store, policies=policies, clock=clock),),
        decisions=decisions,
        functions=foundation.functions(),
        function="backup",
        clock=clock,
    ).one(OperationId(operation), owner="test")


def test_no_snapshot_and_no_protection_are_bad_input(deployed: Local, run: Run) -> None:
    assert run("adopt", "--protection", "applications").code == 2
    assert run("adopt", "s-1").code == 2

    unknown = run("adopt", "s-1", "--protection", "nobody")

    assert unknown.code != 0
    assert "protection 'nobody' is not in policy 1" in unknown.err


def test_named_snapshots_become_restore_points_and_explain_tells_of_the_others(deployed: Local, run: Run) -> None:
    snapshots = EcsSnapshots(endpoint=Endpoint("cn-hangzhou", deployed.url), credentials=foundation.credentials)
    made = snapshots.create(DiskId("d-app-h1"), name="by-hand", tags={}, token="by-hand")
    deployed.advance(timedelta(hours=4).total_seconds())

    ended = run("adopt", "--protection", "applications", made, "s-nobody")

    assert ended.code == 0, ended.err
    [operation] = Journal(foundation.store(), foundation.clock()).open_of(OperationKind.ADOPT)
    carry_on(operation.id)
    assert "take 2 snapshots over" in ended.out
    [point] = [one for one in Points(foundation.store()).all() if one.adopted]
    assert point.disks == ((DiskId("d-app-h1"), made),)
    told = run("explain", "applications").out
    assert f"{made} is now {point.id}" in told
    assert "s-nobody refused: the cloud does not show it" in told.replace("\n", " ")
