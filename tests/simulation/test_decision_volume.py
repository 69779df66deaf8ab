"""A decision is written when it changes, not every round: what is stored does not grow with time."""

from shared.state.controls import Pause
from tests.simulation.failover_world import FailoverWorld
from tests.simulation.pair_world import H, I
from tests.simulation.test_failover_stories import Open, opened

__all__ = ["opened"]

MINUTES = 10
ROUNDS = MINUTES * 60 * 2  # of both watches


def test_a_calm_pair_writes_nothing(opened: Open) -> None:
    pair = opened()
    pair.world.run(60.0)
    at_first = len(pair.decisions())

    pair.world.run(MINUTES * 60.0)

    assert len(pair.decisions()) == at_first <= 4


def test_a_loss_that_is_withheld_for_long_is_written_once_by_each_watch(opened: Open) -> None:
    def lost_while_paused(pair: FailoverWorld) -> None:
        pair.controls().pause(Pause(scope="failover", since=pair.now(), because="new switches"))
        pair.at(15.0, lambda: pair.go_dark(H))

    pair = opened()
    lost_while_paused(pair)
    pair.world.run(30.0)
    at_first = len(pair.decisions())

    pair.world.run(MINUTES * 60.0)

    told = pair.decisions()
    assert len(told) == at_first < ROUNDS / 100
    assert {one.inputs["witness"] for one in told if '"verdict":"lost"' in one.inputs["resolution"]} == {H, I}


def test_a_pair_that_waits_for_an_operator_does_not_repeat_itself(opened: Open) -> None:
    pair = opened()
    pair.at(8.0, lambda: pair.dead.add(I))
    pair.at(10.0, lambda: pair.go_dark(H))
    pair.world.run(40.0)
    at_first = len(pair.decisions())

    pair.world.run(MINUTES * 60.0)

    assert len(pair.decisions()) == at_first
