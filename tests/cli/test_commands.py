"""The commands against the local cloud, over the wire, as an operator runs them."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from emulator.testing import Local
from shared.adapters.ecs_snapshots import EcsSnapshots
from shared.adapters.sdk import Endpoint
from shared.domain import provenance
from shared.domain.ids import DiskId, InstanceId, OperationId, PolicyVersion, SnapshotId
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.retention import RestorePoint
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.families import Families
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.subjects import Subjects
from shared.usecases.command import Command
from shared.wiring import foundation
from tests.cli.conftest import Run
from understudy.simulation.functions import InProcessFunctions

EXAMPLE = Path(__file__).parents[2] / "understudy.yaml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    copy = tmp_path / "understudy.yaml"
    copy.write_text(EXAMPLE.read_text())
    return copy


def edit(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


@pytest.fixture
def deployed(connected: Local, monkeypatch: pytest.MonkeyPatch) -> InProcessFunctions:
    """A `command` function, in process, on the local cloud's state store."""

    def dispatch(name: str, payload: bytes) -> bytes:
        store, clock = foundation.store(), foundation.clock()
        command = {
            "command": Command(
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
        }[name]
        return json.dumps(command.run(json.loads(payload), run="test")).encode()

    functions = InProcessFunctions(dispatch)
    monkeypatch.setattr(foundation, "functions", lambda: functions)
    return functions


@pytest.fixture
def applied(connected: Local, run: Run) -> Local:
    assert run("apply", "--file", str(EXAMPLE)).code == 0
    return connected


def points_of(connected: Local, ages: list[timedelta]) -> list[RestorePoint]:
    """Points of i-app-h1 of these ages, with snapshots that really stand in the cloud."""
    snapshots = EcsSnapshots(endpoint=Endpoint("cn-hangzhou", connected.url), credentials=foundation.credentials)
    now = connected.run(connected.cloud.clock.now)
    made = []
    for at, age in enumerate(ages):
        if at % 10 == 9:
            connected.advance(60)  # a disk has room for ten at a time
        operation = OperationId(f"back_up/{at}")
        tags = provenance.tags(operation, PolicyVersion(1), protection="applications")
        snapshot = snapshots.create(DiskId("d-app-h1"), name=f"point-{at}", tags=tags, token=f"{now:%s}-{at}")
        made.append(
            RestorePoint(
                id=f"applications/hourly/{at}",
                subject=InstanceId("i-app-h1"),
                slot=now - age,
                schedule="hourly",
                taken=now - age,
                usable=True,
                complete=True,
                disks=((DiskId("d-app-h1"), SnapshotId(snapshot)),),
                protection="applications",
                policy=PolicyVersion(1),
            )
        )
    connected.advance(120)
    Points(foundation.store()).put(made)
    return made


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            "select: {tags: {role: app}}",
            "select: {tags: {role: ap}}",
            "understudy.yaml: protections[0].select: role=ap matches no instance of cn-hangzhou. Check the spelling",
            id="selection that matches nothing",
        ),
        pytest.param(
            "select: {tags: {role: master}}",
            "select: {ids: [i-master-h, i-gone]}",
            "understudy.yaml: protections[1].select.ids: there is no instance i-gone in cn-hangzhou",
            id="id that does not exist",
        ),
        pytest.param(
            "instance: i-master-i",
            "instance: i-nobody",
            "understudy.yaml: pairs[0].members.hz-i.instance: there is no instance i-nobody",
            id="master that does not exist",
        ),
        pytest.param(
            "instance: i-master-i",
            "instance: i-app-h1",
            "i-app-h1 stands in zone cn-hangzhou-h, but site hz-i is cn-hangzhou-i",
            id="master in the wrong zone",
        ),
        pytest.param(
            "\npairs:",
            "\n  - {name: again, select: {ids: [i-app-h1]}, image_family: app, port: 80}\n\npairs:",
            "understudy.yaml: rebuilds[1].select: i-app-h1 is already rebuilt by rule applications",
            id="two rebuild rules for one instance",
        ),
    ],
)
@pytest.mark.parametrize("command", [("check", "--cloud"), ("apply",)], ids=["check", "apply"])
def test_what_the_region_does_not_have_is_refused_before_anything_is_written(
    run: Run, connected: Local, file: Path, command: tuple[str, ...], old: str, new: str, says: str
) -> None:
    edit(file, old, new)
    ended = run(*command, "--file", str(file))

    assert ended.code == 2
    assert says in ended.err
    assert connected.run(lambda: connected.cloud.tablestore.tables("understudy")) in ([], (), {}, set())


def test_a_policy_that_cannot_be_kept_is_refused_unless_that_is_accepted(run: Run, file: Path) -> None:
    edit(file, "keep: {hourly: 24, daily: 7}", "keep: {days: 30}")

    refused, accepted = run("check", "--file", str(file)), run("check", "--accept-doubts", "--file", str(file))

    assert (refused.code, accepted.code) == (1, 0)
    assert "understudy.yaml: protection applications: keep holds up to 721 points" in refused.err
    assert "add --accept-doubts" in refused.err
    assert "is sound" not in refused.out
    assert "though doubtful: protection applications: keep holds up to 721 points" in accepted.out


def test_apply_makes_no_version_of_a_policy_that_cannot_be_kept(run: Run, connected: Local, file: Path) -> None:
    edit(file, "patience: 6m", "patience: 2m")

    refused = run("apply", "--file", str(file))

    assert refused.code == 1
    assert "rebuild applications: patience 120 s is shorter than the platform's own restart" in refused.err
    assert connected.run(lambda: connected.cloud.tablestore.tables("understudy")) in ([], (), {}, set())
    assert run("apply", "--accept-doubts", "--file", str(file)).code == 0


def test_before_the_first_apply_the_operator_is_told_to_apply(run: Run, connected: Local) -> None:
    ended = run("status")

    assert ended.code == 1
    assert "Create the tables first: `understudy apply` does." in ended.err


def test_apply_makes_tables_and_a_version_and_is_safe_to_repeat(run: Run, connected: Local, file: Path) -> None:
    first, again = run("apply", "--file", str(file)), run("apply", "--file", str(file))
    edit(file, "max_percent: 50", "max_percent: 49")
    changed = run("apply", "--file", str(file))

    assert (first.code, again.code, changed.code) == (0, 0, 0)
    assert "nothing changed: policy version" in again.out
    assert "is active" in changed.out
    assert Policies(foundation.store()).active()[1].prune.max_percent == 49
    assert "policy.applied" in run("explain", "policy").out


def test_status_shows_rpo_by_disk_and_open_work_in_words_and_as_json(run: Run, applied: Local) -> None:
    points_of(applied, [timedelta(minutes=20), timedelta(hours=5)])
    now = applied.run(applied.cloud.clock.now)
    Journal(foundation.store(), foundation.clock()).open(
        Operation(
            id=OperationId("image/i-app-h1/now"),
            kind=OperationKind.IMAGE,
            subject="i-app-h1",
            state=OperationState.OPEN,
            created=now,
            policy=PolicyVersion(1),
            because="asked for by a test",
            inputs={},
        )
    )

    shown, machine = run("status"), run("status", "--json")

    assert shown.code == 0
    assert any("d-app-h1" in line and "22 min" in line and "1 h 15 min" in line for line in shown.out.splitlines())
    assert "image/i-app-h1/now" in shown.out
    assert "pair control (master.corp.example): nobody holds the lease" in shown.out
    (disk,) = json.loads(machine.out)["disks"]
    assert disk["disk"] == "d-app-h1"


def test_prune_can_also_show_what_stays_and_why(run: Run, applied: Local) -> None:
    points_of(applied, [timedelta(minutes=20)])

    ended = run("prune", "--all")

    assert ended.code == 0
    assert "stays" in ended.out
    assert "last usable point of disk d-app-h1" in ended.out
    assert "nothing to prune under policy 1: 1 points stay" in ended.out


def test_prune_lists_expired_points_and_apply_asks_the_function(
    run: Run, applied: Local, deployed: InProcessFunctions
) -> None:
    # Forty hours of points: 24 hourly and 7 daily leave some over.
    made = points_of(applied, [timedelta(hours=hours) for hours in range(40)])

    dry = run("prune")
    asked = run("prune", "--apply")

    assert dry.code == 0
    assert "goes" in dry.out
    assert "not among 24 hourly, 7 daily" in dry.out
    assert "Nothing was deleted" in dry.out
    assert asked.code == 0
    assert [queued.function for queued in deployed.queued] == ["prune"]
    assert json.loads(deployed.queued[0].payload) == {"prune": "apply", "drift": False}
    assert {point.id for point in made} <= {point.id for point in Points(foundation.store()).all()}


def test_a_prune_that_the_guardrails_refuse_ends_with_1_and_the_rule(run: Run, connected: Local, file: Path) -> None:
    edit(file, "max_items: 200", "max_items: 1")
    run("apply", "--file", str(file))
    points_of(connected, [timedelta(hours=hours) for hours in range(40)])

    ended = run("prune", "--apply")

    assert ended.code == 1
    assert "more than max_items 1" in ended.err
    assert "raise prune.max_items" in ended.err


def test_requests_go_through_the_command_function_with_the_operators_name(
    run: Run, applied: Local, deployed: InProcessFunctions
) -> None:
    asked = run("backup", "now", "applications")
    unknown = run("backup", "now", "nothing")

    assert asked.code == 0
    assert "`understudy explain back_up/applications/on-demand/" in asked.out
    assert deployed.queued[0].function == "backup"
    assert unknown.code == 1
    assert "protection 'nothing' is not in policy" in unknown.err


def test_what_was_asked_for_can_be_asked_about_by_its_operation(
    run: Run, applied: Local, deployed: InProcessFunctions
) -> None:
    asked = run("backup", "now", "applications").out.split("`")[1].split()
    told = run(*asked[1:])
    unknown = run("explain", "back_up/applications/on-demand/yesterday")

    assert told.code == 0
    assert f"operation {asked[2]}: open, begun " in told.out
    assert "asked for by " in told.out
    assert unknown.code == 2
    assert "it is no operation, order or time" in unknown.err


def test_pause_shows_in_status_until_resumed(run: Run, applied: Local, deployed: InProcessFunctions) -> None:
    paused = run("pause", "prune", "--because", "audit")
    seen, pruned = run("status"), run("prune")
    resumed, again = run("resume", "prune"), run("resume", "prune")

    assert paused.code == 0
    assert "prune paused since" in seen.out
    assert "audit" in seen.out
    assert pruned.code == 0
    assert "goes on" in resumed.out
    assert "was not paused" in again.out
    assert "prune paused" not in run("status").out


def test_pin_and_acknowledge_are_recorded(run: Run, applied: Local, deployed: InProcessFunctions) -> None:
    (point,) = points_of(applied, [timedelta(minutes=1)])

    assert run("pin", "i-app-h1", point.id, "--because", "audit").code == 0
    assert any(one.pinned for one in Points(foundation.store()).of(InstanceId("i-app-h1")) if one.id == point.id)
    assert run("unpin", "i-app-h1", point.id).code == 0
    assert run("acknowledge", "control").code == 0
    assert "block.acknowledged" in run("explain", "control").out


def test_a_function_that_is_not_deployed_is_named(run: Run, applied: Local) -> None:
    ended = run("acknowledge", "control")

    assert ended.code == 1
    assert "command" in ended.err


def test_what_the_function_refuses_keeps_its_kind_and_its_words(
    run: Run, applied: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        "a": {"refused": "BadInput", "because": "a is wrong"},
        "b": {"refused": "NeedsOperator", "because": "choose", "runbook": "docs/runbooks/split.md"},
        "c": {"refused": "QuotaReached", "because": "full"},
    }
    functions = InProcessFunctions(lambda name, payload: json.dumps(answers[json.loads(payload)["subject"]]).encode())
    monkeypatch.setattr(foundation, "functions", lambda: functions)

    ended = {subject: run("acknowledge", subject) for subject in answers}

    assert {subject: one.code for subject, one in ended.items()} == {"a": 2, "b": 3, "c": 1}
    assert ended["a"].err == "a is wrong\n"
    assert "runbook: docs/runbooks/split.md" in ended["b"].err


def test_asking_about_something_unknown_names_what_is_known(run: Run, applied: Local) -> None:
    ended = run("explain", "nothing-of-that-name")

    assert ended.code == 2
    assert "Scopes of the active policy: applications, masters, control, policy, prune" in ended.err
