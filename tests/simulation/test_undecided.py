"""What the witnesses cannot settle: nothing moves, and after a while an operator is told. Virtual seconds."""

from dataclasses import replace

import pytest

from shared.domain.failover_fsm import State
from shared.domain.ids import SiteName
from shared.domain.pair import Pair
from tests.simulation.failover_world import FailoverWorld
from tests.simulation.pair_world import H, I
from tests.simulation.test_failover_stories import Open, opened

__all__ = ["opened"]

LOSS = 10.0


def of_four(pair: Pair) -> Pair:
    """More voices than a dead agent has."""
    return replace(pair, quorum=4)


def called(pair: FailoverWorld) -> list[str]:
    return [" ".join(one.because) for one in pair.decisions() if one.event == "failover.needs_operator"]


@pytest.mark.parametrize("watches", [(I,), (H, I)])
def test_when_too_few_agree_an_operator_is_told_once_and_nothing_moves(
    opened: Open, watches: tuple[SiteName, ...]
) -> None:
    pair = opened(watches=watches, agreed=of_four)
    pair.at(LOSS, lambda: pair.dead.add(H))
    pair.world.run(LOSS + 25)
    assert called(pair) == [], "what passes by itself is nobody's trouble"

    pair.world.run(200)

    [why] = called(pair)
    assert "too few witnesses agree (3 of 4 needed" in why
    assert "runbook: loss-is-not-certain" in why
    assert pair.failover().state is State.NEEDS_OPERATOR
    assert pair.rebinds == []

    pair.dead.discard(H)
    pair.world.run(60)
    assert pair.failover().state is State.WATCHING
    assert pair.rebinds == []


def test_when_both_hosts_are_silent_an_operator_is_told(opened: Open) -> None:
    """The watch that is left hears neither side, as if it were cut off itself."""
    pair = opened(watches=(I,))

    def both_dark() -> None:
        pair.dark.update({H, I})

    pair.at(LOSS, both_dark)
    pair.world.run(LOSS + 120)

    assert pair.rebinds == []
    assert pair.failover().state is State.NEEDS_OPERATOR, pair.events()
