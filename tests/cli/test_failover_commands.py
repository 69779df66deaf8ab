"""Moving a pair from a terminal: shown, refused, ordered, switched off, paused alone; and its lost lease row."""

import json
from datetime import timedelta

import pytest

from emulator.testing import Local
from shared.adapters import chance
from shared.domain.ids import Epoch, HolderId, PairName, SiteName
from shared.ports.store import Anything
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.failovers import SwitchOrder, SwitchOrders
from shared.state.heartbeats import Heartbeat, Heartbeats
from shared.state.leases import Leases
from shared.wiring import command as wired
from shared.wiring import foundation
from tests.cli.conftest import Ended, Run
from tests.cli.test_commands import EXAMPLE
from understudy.simulation.functions import InProcessFunctions

PAIR, H, I = PairName("control"), SiteName("hz-h"), SiteName("hz-i")  # noqa: E741


@pytest.fixture
def pair(connected: Local, run: Run, monkeypatch: pytest.MonkeyPatch) -> Local:
    """Both agents were heard just now, hz-h is active; the deployed wiring takes the commands."""
    assert run("apply", "--file", str(EXAMPLE)).code == 0

    def dispatch(name: str, payload: bytes) -> bytes:
        assert name == "command"
        return json.dumps(wired.command().run(json.loads(payload), run="test")).encode()

    functions = InProcessFunctions(dispatch)
    monkeypatch.setattr(foundation, "functions", lambda: functions)
    monkeypatch.setattr(wired, "functions", lambda: functions)
    wired.command.cache_clear()
    leases = Leases(foundation.store(), tokens=chance.token)
    leases.create(PAIR, H, length=timedelta(seconds=5), holder=HolderId("master-h"))
    beat(connected, H, active=True)
    beat(connected, I, active=False)
    return connected


def beat(local: Local, site: SiteName, *, active: bool, ready: bool = True, epoch: int = 1) -> None:
    now = local.run(local.cloud.clock.now)
    Heartbeats(foundation.store()).beat(
        PAIR,
        Heartbeat(
            site=site, sequence=1, run="r", at=now, active=active, epoch=Epoch(epoch), address="10.0.0.1", ready=ready
        ),
    )


def order() -> SwitchOrder | None:
    return SwitchOrders(foundation.store()).pending(PAIR)


def said(ended: Ended) -> str:
    return " ".join((ended.out + ended.err).split())


def test_a_switchover_is_shown_first_and_ordered_when_confirmed(pair: Local, run: Run) -> None:
    shown = run("switchover", "control")
    assert shown.code == 0, shown.err
    assert "nothing is done yet" in shown.out
    assert "hz-h gives its lease back" in said(shown)
    assert "hz-i answers, is passive and ready" in said(shown)
    assert order() is None

    token = json.loads(run("switchover", "control", "--json").out)["token"]
    ordered = run("switchover", "control", "--confirm", token, "--because", "new kernel")
    assert (ordered.code, "is ordered" in ordered.out) == (0, True), ordered.err
    given = order()
    assert given is not None
    assert (given.to_site, given.epoch, given.because) == (I, 1, "new kernel")


def test_a_standby_that_is_not_well_is_said_before_anything_is_ordered(pair: Local, run: Run) -> None:
    beat(pair, I, active=False, ready=False)

    assert run("switchover", "control").code == 1
    refused = run("switchover", "control", "--confirm", "control")
    assert refused.code != 0
    assert "start the master and agent of hz-i" in refused.err
    assert order() is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["failback", "control", "--confirm", "control"], "there is nothing to move"),
        (["failover", "control", "--force", "lease", "-b", "now"], "The lease is never overridden"),
        (["failover", "control", "--force", "block"], "--because is missing"),
        (["switchover", "other"], "it has: control"),
        (["pause", "failover/other", "-b", "x"], "the pairs of the policy are: control"),
        (["pause", "lunch", "-b", "x"], "or failover/PAIR"),
        (["lease", "restore", "control", "--owner", "hz-i", "--epoch", "9", "-b", "x"], "is sound"),
        (["lease", "restore", "control", "--owner", "bj-a", "--epoch", "9", "-b", "x"], "hz-h and hz-i"),
    ],
)
def test_a_wrong_request_is_refused_with_what_would_be_right(
    pair: Local, run: Run, words: list[str], says: str
) -> None:
    ended = run(*words)

    assert ended.code != 0
    assert says in said(ended)
    assert order() is None


def test_one_pair_is_paused_alone_and_goes_on(pair: Local, run: Run) -> None:
    assert run("pause", "failover/control", "--because", "cabling").code == 0
    assert "failover/control" in said(run("status"))
    assert "cabling" in run("switchover", "control", "--confirm", "control").err

    assert run("resume", "failover/control").code == 0
    assert run("switchover", "control").code == 0


def test_a_pair_that_is_switched_off_stays_so_whatever_is_resumed(pair: Local, run: Run) -> None:
    assert "nothing moves it" in said(run("switch", "off", "control", "--because", "audit"))
    assert run("resume", "failover").code == 0
    assert "switched off" in run("failover", "control", "--confirm", "control").err
    assert "already" in run("switch", "off", "control", "--because", "audit").out

    assert "is switched on" in run("switch", "on", "control").out
    assert Controls(foundation.store()).read().pauses == {}
    assert {"switch.off", "switch.on"} <= {one.event for one in Decisions(foundation.store()).of(PAIR)}


def test_a_lost_lease_row_is_ordered_to_be_written_anew(pair: Local, run: Run) -> None:
    beat(pair, H, active=False, epoch=4)
    foundation.store().delete("leases", (PAIR,), condition=Anything())

    low = run("lease", "restore", "control", "--owner", "hz-i", "--epoch", "4", "--because", "deleted by mistake")
    assert "names epoch 4: give 5 or more" in low.err
    ended = run("lease", "restore", "control", "--owner", "hz-i", "--epoch", "5", "--because", "deleted by mistake")
    assert ended.code == 0, ended.err
    given = order()
    assert given is not None
    assert (given.kind, given.to_site, given.epoch) == ("restore", I, 5)
