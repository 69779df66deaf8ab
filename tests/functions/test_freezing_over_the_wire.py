"""Guests of an emulated cloud run the freezing scripts in real shells, asked by the official SDK's adapter."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from emulator.cloud import Cloud
from emulator.testing import Local, mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.ecs_guests import EcsGuests
from shared.adapters.sdk import Endpoint
from shared.domain.ids import InstanceId
from shared.domain.policy import Freeze
from shared.state.journal import Journal
from shared.usecases.freezing import Freezer, Thawed, left_over
from shared.usecases.operations import CLAIM_FOR, Work
from tests.contract.conftest import PROXIES
from tests.emulator.networks import free_network
from tests.guest_shell import GuestShell
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
