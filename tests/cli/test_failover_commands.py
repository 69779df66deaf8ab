"""Moving a pair from a terminal: shown, refused, ordered, switched off, paused alone; and its lost lease row."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from emulator.testing import Local
from shared.adapters import chance
from shared.domain.errors import BadInput, Declined, DrError, Permanent
from shared.domain.ids import Epoch, HolderId, PairName, SiteName
from shared.ports.store import Anything
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.failovers import Failovers, SwitchOrder, SwitchOrders
from shared.state.heartbeats import Heartbeat, Heartbeats, WatchBeat
from shared.state.leases import Leases
from shared.wiring import command as wired
from shared.wiring import foundation
from shared.wiring.guard import refusal
from tests.cli.conftest import Ended, Run
from tests.cli.test_commands import EXAMPLE
from understudy.cli.connection import Connection
from understudy.cli.outcome import BAD_INPUT, REFUSED, exit_code
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
    assert refused.code == 1, "understood and not done; 2 is for what was asked wrongly"
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


@pytest.mark.parametrize(("kind", "code"), [(Declined, REFUSED), (BadInput, BAD_INPUT)])
def test_what_is_declined_as_things_stand_ends_otherwise_than_what_was_asked_wrongly(
    kind: type[DrError], code: int
) -> None:
    class Functions:
        def invoke(self, _function: str, _payload: bytes) -> bytes:
            return json.dumps(refusal(kind("the row is sound"), "r-1")).encode()

    connection = Connection()
    connection.__dict__["functions"] = Functions()
    with pytest.raises(Permanent, match="the row is sound") as refused:
        connection.command("restore_lease")

    assert exit_code(refused.value) == code


def test_what_a_pause_refuses_ends_with_1_as_its_preview_does(pair: Local, run: Run) -> None:
    assert run("pause", "failover/control", "-b", "drill").code == 0

    assert run("switchover", "control").code == 1
    assert run("switchover", "control", "--confirm", "control").code == 1
    assert order() is None


def ticks(local: Local, *, names: tuple[str, ...] = ()) -> None:
    now = local.run(local.cloud.clock.now)
    for site in (H, I):
        Heartbeats(foundation.store()).tick(PAIR, WatchBeat(site=site, run="r", at=now, names=names))


def test_readiness_names_what_stands_in_the_way_and_ends_with_1(pair: Local, run: Run) -> None:
    ended = run("readiness", "control")
    assert ended.code == 1
    assert "the watch of hz-h and hz-i is not heard" in said(ended)
    assert "hz-h is active; to hz-i it would not fail over by itself" in said(ended)

    ticks(pair)
    beat(pair, I, active=False, ready=False)
    ended = run("readiness", "control")
    assert ended.code == 1
    assert "start the master and agent of hz-i" in said(ended)


def test_a_pair_that_is_well_is_ready_and_another_time_to_live_is_a_note(pair: Local, run: Run) -> None:
    ticks(pair, names=("master.corp.example has a time to live of 600 s",))

    ended = run("readiness", "control")

    assert (ended.code, ended.err) == (0, "")
    assert "to hz-i it could fail over now" in said(ended)
    assert "note" in said(ended)
    assert "understudy name prepare control" in said(ended)
    answer = json.loads(run("readiness", "control", "--json").out)
    assert (answer["ready"], answer["active"], answer["standby"]) == (True, H, I)


def test_readiness_of_an_unknown_pair_names_those_there_are(pair: Local, run: Run) -> None:
    ended = run("readiness", "other")

    assert ended.code != 0
    assert "it has: control" in said(ended)


def away(**changes: object) -> None:
    """hz-i serves since a loss of hz-h."""
    leases, failovers = Leases(foundation.store(), tokens=chance.token), Failovers(foundation.store())
    lease = leases.read(PAIR)
    assert lease is not None
    leases.take(lease, I, length=timedelta(seconds=5))
    stands = failovers.of(PAIR, now=foundation.clock().now())
    raised: dict[str, object] = {"from_site": H, "to_site": I, "epoch": Epoch(2), "surged": I}
    raised |= {"weights": {"i-app": 50}, "sizes": {"asg-i": 2}}
    failovers.save(replace(stands, **raised, **changes))  # type: ignore[arg-type]  # fields by name


def test_a_failback_is_refused_while_the_old_side_is_unprotected(pair: Local, run: Run) -> None:
    away(unprotected=H)
    beat(pair, H, active=False, epoch=2)
    beat(pair, I, active=True, epoch=2)

    shown = run("failback", "control")

    assert shown.code == 1
    assert "runbook pair-is-unprotected" in said(shown)
    assert run("failback", "control", "--confirm", "control").code != 0
    assert order() is None


def test_a_failback_shows_its_steps_and_what_is_put_back_before_it_is_ordered(pair: Local, run: Run) -> None:
    away()
    beat(pair, H, active=False, epoch=2)
    beat(pair, I, active=True, epoch=2)

    shown = run("failback", "control")

    assert shown.code == 0, shown.err
    assert "hz-i gives its lease back" in said(shown)
    assert "hz-h takes over as epoch 3" in said(shown)
    assert "what was raised is put back: i-app to weight 50, asg-i to 2 members" in said(shown)
    assert order() is None
    token = json.loads(run("failback", "control", "--json").out)["token"]
    assert run("failback", "control", "--confirm", token).code == 0
    given = order()
    assert given is not None
    assert (given.kind, given.to_site, given.epoch) == ("failback", H, 2)


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
