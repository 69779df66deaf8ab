"""Runbooks of what an operator alone may accept: data that is behind, room that is short, a veto, a side that is not
protected, a pair that is moved by hand. Each followed to the letter, in the trouble that it is about."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.failover_fsm import State
from shared.domain.pair import DataRule, Hook, Mode, Short, Surge, UnknownLag
from shared.ports.hooks import HookAnswer, Said
from shared.state.failovers import Failovers
from tests.runbooks.book import procedures
from tests.runbooks.conftest import Open
from tests.runbooks.stage import Stage
from tests.simulation.failover_world import TruthStore
from tests.simulation.pair_world import H, I

LOSS = 10.0
CLOSE = {"data": DataRule(max_lag=timedelta(seconds=10), unknown=UnknownLag.REFUSE)}


def called(stage: Stage, runbook: str) -> None:
    """An operator is, with that runbook, and nothing has moved."""
    stage.run_until(lambda: stage.pair.failover().state is State.NEEDS_OPERATOR)
    assert stage.pair.failover().state is State.NEEDS_OPERATOR, stage.pair.events()
    said = [one for one in stage.pair.decisions() if one.event == "failover.needs_operator"]
    assert runbook in " ".join(said[-1].because)


def over(stage: Stage, runbook: str, situation: str, *, serves: Any, **words: str) -> None:
    last = stage.follow(procedures(runbook)[situation], **words)

    stage.run_until(lambda: stage.serves(serves))
    assert stage.serves(serves), stage.told()
    assert last.code == 0, stage.told()
    assert stage.pair.overlap() == ""


@pytest.mark.parametrize(("situation", "serves"), [("bring-back", H), ("accept-the-loss", I)])
def test_data_that_is_behind(open_stage: Open, situation: str, serves: Any) -> None:
    stage = open_stage(rules=CLOSE)
    stage.pair.lags.update({H: timedelta(0), I: timedelta(seconds=40)})
    stage.run(LOSS)
    stage.pair.dead.add(H)
    called(stage, "data-is-behind")
    assert stage.pair.rebinds == []

    over(stage, "data-is-behind", situation, serves=serves, SITE="hz-i", MASTER="i-master-h")


def test_data_of_which_nobody_knows_how_far_it_is_behind(open_stage: Open) -> None:
    stage = open_stage(rules=CLOSE)
    stage.run(LOSS)
    stage.pair.go_dark(H)
    called(stage, "data-is-behind")

    over(stage, "data-is-behind", "accept-the-loss", serves=I, SITE="hz-i")


def test_room_that_is_short(open_stage: Open) -> None:
    stage = open_stage(rules={"surge": {I: Surge(short=Short.REFUSE)}})
    stage.run(LOSS)
    stands = replace(stage.pair.failover(), short={I: "group asg-i may have 4 at most, and 8 are wanted"})
    Failovers(TruthStore(stage.pair.rows)).save(stands)
    stage.pair.go_dark(H)
    called(stage, "capacity-is-short")
    assert stage.pair.rebinds == []

    over(stage, "capacity-is-short", "move-all-the-same", serves=I, SITE="hz-i")


def test_a_hook_that_says_no(open_stage: Open) -> None:
    stage = open_stage(rules={"hooks": (Hook(name="batch", function="may-move"),)})
    stage.pair.hooks_say = HookAnswer(said=Said.VETO, why="the nightly batch runs")
    stage.run(LOSS)
    stage.pair.go_dark(H)
    called(stage, "hook-vetoed")
    assert stage.pair.rebinds == []

    over(stage, "hook-vetoed", "move-all-the-same", serves=I, SITE="hz-i")


def test_a_side_that_is_brought_back_protects_the_pair_again(open_stage: Open) -> None:
    stage = open_stage()
    stage.run(LOSS)
    stage.pair.dead.add(H)
    stage.run_until(lambda: stage.serves(I))
    assert stage.pair.failover().state is State.REPROTECTING

    stage.follow(procedures("pair-is-unprotected")["agent-is-gone"], MASTER="i-master-h")

    stage.run_until(lambda: stage.pair.failover().state is State.WATCHING)
    assert stage.pair.failover().state is State.WATCHING, stage.told()
    assert stage.serves(I)


def test_a_side_that_is_not_protected_is_moved_to_on_record(open_stage: Open) -> None:
    stage = open_stage(watches=(H, I))
    stage.run(LOSS)
    stage.pair.go_dark(H)
    stage.run_until(lambda: stage.serves(I))
    stage.pair.lighten(H)
    stage.pair.lags.update({H: timedelta(seconds=900)})
    stage.run(10)
    stage.pair.go_dark(I)
    called(stage, "pair-is-unprotected")

    over(stage, "pair-is-unprotected", "move-all-the-same", serves=H, SITE="hz-h")


def test_a_pair_that_is_moved_by_hand(open_stage: Open) -> None:
    stage = open_stage(rules={"mode": Mode.MANUAL})
    stage.run(LOSS)
    stage.pair.go_dark(H)
    called(stage, "failover-is-yours-to-order")
    assert stage.pair.rebinds == []

    over(stage, "failover-is-yours-to-order", "order-it", serves=I, SITE="hz-i")


def test_a_loss_that_too_few_witnesses_see(open_stage: Open) -> None:
    stage = open_stage(rules={"quorum": 4})
    stage.run(LOSS)
    stage.pair.go_dark(H)
    called(stage, "loss-is-not-certain")
    assert stage.pair.rebinds == []

    over(stage, "loss-is-not-certain", "order-it", serves=I, SITE="hz-i")
