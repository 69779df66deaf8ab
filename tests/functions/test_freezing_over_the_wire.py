"""Guests of an emulated cloud run the freezing scripts in real shells, asked by the official SDK's adapter."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import functions.backup as backup
import functions.command as command
from emulator.cloud import Cloud
from emulator.testing import Local, mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.ecs_guests import EcsGuests
from shared.adapters.ots import OtsTables
from shared.adapters.sdk import Endpoint
from shared.domain.ids import InstanceId
from shared.domain.policy import Freeze, Selection
from shared.domain.retention import Level, RestorePoint
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.slots import Slots
from shared.usecases.apply_policy import ApplyPolicy
from shared.usecases.backup.freezing import Freezer, Thawed, left_over
from shared.usecases.operations import CLAIM_FOR, Work
from shared.wiring import foundation
from tests.contract.conftest import PROXIES
from tests.emulator.networks import free_network
from tests.functions.wired import CONTEXT, environment_of, forget, use
from tests.guest_shell import GuestShell
from tests.usecases.backup_world import APPLICATIONS, a_policy
from tests.usecases.test_freezing import OPERATION, START, an_operation
from understudy.simulation.store import InProcessStore, create_tables

A, B = InstanceId("i-a"), InstanceId("i-b")
SEED = """
region: cn-hangzhou
zones: [cn-hangzhou-h]
vpc: {id: vpc-1, cidr: "127.${net}.0.0/16"}
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: "127.${net}.1.0/24", gateway: "127.${net}.1.1"}]
security_groups: [{id: sg-1}]
images:
  - {id: m-a, guest: {command: [sh, -c, "exec sleep 600"], assistant: true, env: {PATH: "${path_a}", HOME: "${home_a}",
     GUEST_INSTANCE: "${name_a}"}}}
  - {id: m-b, guest: {command: [sh, -c, "exec sleep 600"], assistant: true, env: {PATH: "${path_b}", HOME: "${home_b}",
     GUEST_INSTANCE: "${name_b}"}}}
instances:
  - {id: i-a, image: m-a, vswitch: vsw-h, address: "127.${net}.1.11", security_groups: [sg-1]}
  - {id: i-b, image: m-b, vswitch: vsw-h, address: "127.${net}.1.12", security_groups: [sg-1]}
"""
HOW = Freeze(
    before="""printf '%s\\n' 'it'\\''s "frozen" 冻结' >> "$HOME/log" """,
    after="""
      # in two lines
      echo thawed >> "$HOME/log"
    """,
    within=timedelta(seconds=60),
)
ONCE = ['it\'s "frozen" 冻结', "thawed"]


class EmulatedWaiting:
    """Waiting lets the emulator's time go on; what really runs meanwhile is waited for."""

    def __init__(self, local: Local) -> None:
        self._local = local

    def now(self) -> datetime:
        return self._local.run(self._local.cloud.clock.now)

    def monotonic(self) -> float:
        return (self.now() - START).total_seconds()

    def sleep(self, duration: timedelta) -> None:
        self._local.advance(duration.total_seconds())


class Stage:
    def __init__(self, local: Local, shells: Mapping[InstanceId, GuestShell]) -> None:
        self.local, self.shells = local, shells
        clock = EmulatedWaiting(local)
        self.guests = EcsGuests(
            endpoint=Endpoint("cn-hangzhou", local.url), credentials=lambda: Credentials(*local.access_key)
        )
        self.freezer = Freezer(clock=clock)
        ours = Cloud()
        create_tables(ours, "understudy")
        journal = Journal(InProcessStore(ours, "understudy"), clock)
        journal.open(an_operation())
        claim = journal.claim(OPERATION, "run", CLAIM_FOR)
        assert claim is not None
        self.work = Work(journal, claim)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    shells = {A: GuestShell(tmp_path / "a"), B: GuestShell(tmp_path / "b")}
    settings = {"net": str(free_network())}
    for letter, shell in zip("ab", shells.values(), strict=True):
        settings |= {
            f"path_{letter}": shell.environment["PATH"],
            f"home_{letter}": str(shell.home),
            f"name_{letter}": shell.name,
        }
    seed = tmp_path / "seed.yaml"
    seed.write_text(SEED)
    with mock_aliyun(seed=seed, settings=settings) as local:
        yield Stage(local, shells)
    forget()
    for shell in shells.values():
        shell.close()


def test_guests_freeze_and_thaw_and_one_that_thawed_itself_says_so(stage: Stage) -> None:
    frozen = stage.freezer.freeze(stage.work, stage.guests, [A, B], HOW)
    assert frozen.held == (A, B), frozen.refused
    assert stage.shells[A].log == stage.shells[B].log == ONCE[:1]
    assert stage.shells[A].timer_lives(), "Cloud Assistant ended the timer with its command"
    stage.shells[B].fire_timer()

    thawed = stage.freezer.thaw(stage.work, stage.guests, frozen, HOW)

    assert thawed[A] == Thawed(held=True, because="")
    assert thawed[B] == Thawed(held=False, because="the guest's own timer had thawed it before")
    assert stage.shells[A].log == stage.shells[B].log == ONCE
    assert stage.shells[A].timer_ends()


def test_a_thaw_after_a_crash_finds_what_the_journal_says(stage: Stage) -> None:
    stage.freezer.freeze(stage.work, stage.guests, [A], HOW)
    [left] = left_over(stage.work)

    assert stage.freezer.thaw(stage.work, stage.guests, left, HOW)[A].held
    assert stage.shells[A].log == ONCE
    assert left_over(stage.work) == ()


# The deployed function ----------------------------------------------------------------------------------------------


def deployed(monkeypatch: pytest.MonkeyPatch, local: Local, freeze: Freeze) -> str:
    """The wired function on this cloud, with time flowing, and an operation that is due."""
    use(monkeypatch, environment_of(local))
    configured = foundation.configuration()
    OtsTables(
        endpoint=configured.ots_endpoint, instance=configured.ots_instance, credentials=foundation.credentials
    ).create_tables()
    local.advance(3600)
    local.run(lambda: local.cloud.clock.set_rate(1))
    store = foundation.store()
    foundation.clock().sync()
    frozen = replace(APPLICATIONS, select=Selection(ids=(A, B)), freeze=freeze)
    ApplyPolicy(
        policies=Policies(store),
        controls=Controls(store),
        slots=Slots(store),
        decisions=Decisions(store),
        clock=foundation.clock(),
    ).run(a_policy(frozen), by="test")
    order = json.dumps({"command": "back_up", "protection": "applications"})
    asked = json.loads(command.handler(order.encode(), CONTEXT))
    assert isinstance(asked, dict)
    return str(asked["operation"])


def points_after(local: Local, operation: str) -> dict[str, RestorePoint]:
    for _ in range(2):
        backup.handler(json.dumps({"operation": operation}).encode(), CONTEXT)
        local.run(lambda: local.cloud.clock.set_rate(0))
        local.advance(300)
    return {point.subject: point for point in Points(foundation.store()).all()}


def test_the_deployed_function_takes_application_consistent_points(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = deployed(monkeypatch, stage.local, HOW)

    points = points_after(stage.local, operation)

    assert {point.level for point in points.values()} == {Level.APPLICATION}
    assert stage.shells[A].log == stage.shells[B].log == ONCE


def test_a_guest_that_refuses_gets_a_point_that_says_what_it_is(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    how = replace(HOW, before='[ -e "$HOME/refuse" ] && exit 1; ' + HOW.before)
    (stage.shells[B].home / "refuse").touch()
    operation = deployed(monkeypatch, stage.local, how)

    points = points_after(stage.local, operation)

    assert points[A].level is Level.APPLICATION
    assert points[B].level is Level.CRASH
