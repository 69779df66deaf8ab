"""`explain` of a time: what stood, what was decided, and what followed, from decisions that real watches recorded."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.testing import Local
from shared.domain.decision import Decision
from shared.domain.failover_safety import Kind
from shared.state.controls import Pause
from shared.state.decisions import Decisions
from shared.state.failovers import SwitchOrder
from shared.usecases.failover.replay import SITUATION
from shared.wiring import foundation
from tests.cli.conftest import Ended, Run
from tests.cli.test_commands import EXAMPLE
from tests.simulation.failover_world import FailoverWorld
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.world import EPOCH, Faults, World

Happens = Callable[[FailoverWorld], object]
Live = Callable[..., list[Decision]]
NOON = 12 * 3600.0


@pytest.fixture
def lived(connected: Local, run: Run) -> Iterator[Live]:
    """The first minute of a pair's day, and then it is past noon in the operator's cloud."""
    assert run("apply", "--file", str(EXAMPLE)).code == 0
    worlds: list[World] = []

    def live(happens: Happens) -> list[Decision]:
        world = World(1, Faults.none())
        worlds.append(world)
        pair = FailoverWorld(world, restarts=0.0).open()
        happens(pair)
        world.run(50.0)
        found = pair.decisions()
        Decisions(foundation.store()).record(PAIR, *found)
        connected.advance(NOON)
        return found

    yield live
    for world in worlds:
        world.end()


def said(ended: Ended) -> str:
    assert ended.code == 0, ended.err
    return " ".join(ended.out.split())


def dark(pair: FailoverWorld) -> None:
    pair.at(10.0, lambda: pair.go_dark(H))


def paused_and_dark(pair: FailoverWorld) -> None:
    pause = Pause(scope="failover", since=pair.now(), because="new switches")
    pair.at(5.0, lambda: pair.controls().pause(pause))
    pair.at(15.0, lambda: pair.go_dark(H))


def dark_without_a_standby(pair: FailoverWorld) -> None:
    pair.at(8.0, lambda: pair.dead.add(I))
    dark(pair)


def switched_over(pair: FailoverWorld) -> None:
    order = SwitchOrder(pair=PAIR, to_site=I, at=EPOCH, because="new kernel", kind=Kind.SWITCHOVER, by="li",
                        id="switchover/control/2026-03-02T00:00:05Z")  # fmt: skip
    pair.at(10.0, lambda: pair.orders().give(order))


def test_a_failover_is_told_from_the_loss_to_its_cost(lived: Live, run: Run) -> None:
    lived(dark)

    told = said(run("explain", "control", "2026-03-02T00:00Z"))

    assert "2026-03-02 00:00:00Z, which is 2026-03-02 08:00:00 in Asia/Shanghai" in told
    assert "hz-h held epoch 1. From hz-h its row had been seen unchanged for 5.0 s" in told
    assert "longer than the lease of 5.0 s: it had certainly run out." in told
    assert "The watch of hz-h asked the agent of hz-h: no answer." in told
    assert "The watch of hz-h asked the agent of hz-i: passive and ready." in told
    assert "The agent of hz-i did not hear that of hz-h, " in told
    assert "Judged from hz-h: lost" in told
    assert "Nothing spoke against a move: no pause stood and its switch was on; hz-i answered and was ready" in told
    assert "So a move to hz-i was begun: the old holder must be off before anything else moves." in told
    assert "The lease of epoch 1 ran out; hz-i has epoch 2." in told
    assert "From the last good sight of the old side to service it took 7." in told


def test_before_it_failed_over_the_same_is_told_as_what_followed(lived: Live, run: Run) -> None:
    lived(dark)

    told = said(run("explain", "control", "2026-03-02T00:00:13.5Z"))

    assert "failover.suspecting by the watch of hz-h" in told
    assert "until the next one the newest of each watch still held" in told
    assert "it might run for up to 1.8 s more" in told
    assert told.index("What followed:") < told.index("failover.decided") < told.index("it took 7.")


def test_why_it_did_not_fail_over_while_it_was_paused(lived: Live, run: Run) -> None:
    lived(paused_and_dark)

    told = said(run("explain", "control", "00:00:45Z"))

    assert "Judged from hz-i: lost" in told or "Judged from hz-h: lost" in told
    assert "Against a move spoke: paused since 2026-03-02T00:00:00+00:00: new switches." in told
    assert "Nothing else did: hz-i answered and was ready" in told
    assert "So nothing was done, and the pair stayed paused" in told


def test_the_page_shows_what_is_told(lived: Live, run: Run) -> None:
    found = lived(paused_and_dark)
    page = (Path(__file__).parents[2] / "docs/failover.md").read_text()
    section = page.partition("## Why it moved, or did not")[2].partition("\n## ")[0]
    shown, made = (block.strip() for block in section.split("```")[1::2])

    told = said(run("explain", "control", "08:00:45"))
    assert len(found) == 6
    for line in shown.replace("\n  ", "\n").replace("\n", " ").split(". "):
        assert " ".join(line.split()).rstrip(".") in told
    assert " ".join(made.split()) == said(run("explain", "control", "--replay"))


def test_why_it_did_not_fail_over_without_a_standby(lived: Live, run: Run) -> None:
    lived(dark_without_a_standby)

    told = said(run("explain", "control", "00:00:45Z"))

    assert "asked the agent of hz-i: refused, so the host was there and the process was not" in told
    assert "Against a move spoke: the agent of hz-i: refused" in told
    assert "runbook: standby-is-not-ready" in told
    assert "to needs operator, and an operator was called: there is nothing good to move to." in told


def test_an_order_is_told_by_its_id_with_the_move_that_it_began(lived: Live, run: Run) -> None:
    lived(switched_over)

    told = said(run("explain", "switchover/control/2026-03-02T00:00:05Z"))

    assert "A switchover to hz-i had been ordered by li" in told
    assert "it was carried out." in told
    assert "So a move to hz-i was begun" in told
    assert "switchover.completed" in told
    assert "failover.withheld" not in told


def test_what_was_decided_about_an_earlier_epoch_is_not_told_as_standing(lived: Live, run: Run) -> None:
    lived(dark)

    told = said(run("explain", "control", "00:00:45Z"))

    assert "the newest of each watch still held" in told
    assert "held epoch 2" in told
    assert "held epoch 1" not in told, "the other watch had decided last about the loss"


def test_of_a_time_alone_each_scope_is_told(lived: Live, run: Run) -> None:
    lived(dark)

    told = said(run("explain", "08:00"))

    assert told.index("control") < told.index("applications: nothing had been decided by then.")
    assert "policy: 2026-03-02 00:00:0" in told
    assert "policy.applied" in told


def test_before_anything_was_decided_that_is_what_is_said(lived: Live, run: Run) -> None:
    lived(dark)

    told = said(run("explain", "control", "2026-03-01", "00:00Z"))

    assert "Nothing had been decided about it by then." in told
    assert "What followed:" in told


def test_a_time_that_is_to_come_is_refused(lived: Live, run: Run) -> None:
    lived(dark)

    ended = run("explain", "control", "2026-03-09T00:00Z")

    assert ended.code == 2
    assert "2026-03-09 00:00:00Z is to come" in ended.err


def test_what_is_stored_is_made_again(lived: Live, run: Run) -> None:
    found = lived(dark)

    ended = run("explain", "control", "--replay")

    assert f"control: {len(found)} decisions" in said(ended)
    assert " 0 otherwise, 0 were judged by other rules" in said(ended)


def test_a_decision_that_comes_out_otherwise_is_named_and_ends_with_1(lived: Live, run: Run) -> None:
    (decided,) = [one for one in lived(dark) if one.event == "failover.decided"]
    tampered = decided.inputs[SITUATION].replace('"sight":"answered"', '"sight":"silent"')
    Decisions(foundation.store()).record(PAIR, replace(decided, inputs={**decided.inputs, SITUATION: tampered}))

    ended = run("explain", "--replay")

    assert ended.code == 1
    assert "failover.decided: differs: decided then: " in ended.out
    assert "1 otherwise" in ended.out
    told = said(run("explain", "control", "2026-03-02T00:00Z"))
    assert "Made again from its inputs, this decision comes out otherwise" in told


def test_decisions_of_other_rules_are_told_by_their_reasons_and_counted(lived: Live, run: Run) -> None:
    (decided,) = [one for one in lived(dark) if one.event == "failover.decided"]
    older = decided.inputs[SITUATION].replace('"code":"', '"code":"0.')
    later = replace(decided, at=decided.at.replace(minute=5), inputs={**decided.inputs, SITUATION: older})
    Decisions(foundation.store()).record(PAIR, later)

    told = said(run("explain", "control", "00:05Z"))
    assert "The old holder must be off before anything else moves." in told
    assert "(Judged by rules 0." in told
    made = run("explain", "control", "--replay")
    assert made.code == 0
    assert "1 were judged by other rules and not made again" in said(made)


def test_only_pairs_are_made_again(lived: Live, run: Run) -> None:
    lived(dark)

    ended = run("explain", "applications", "--replay")

    assert ended.code == 2
    assert "'applications' is none of control" in ended.err
