"""What a quorum costs: nothing, up to the voices that speak in every usual loss. Virtual seconds."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.domain.ids import SiteName
from shared.domain.pair import Pair
from tests.simulation.failover_world import ADDRESS, FailoverWorld
from tests.simulation.pair_world import H, I
from tests.simulation.world import Faults, World

LOSS = 10.0
LOSSES: dict[str, Callable[[FailoverWorld], object]] = {
    "the zone is dark": lambda pair: pair.go_dark(H),
    "the agent is killed": lambda pair: pair.dead.add(H),
}


def decided_after(
    loss: Callable[[FailoverWorld], object], quorum: int, seed: int, *, watches: tuple[SiteName, ...] = (H, I)
) -> float:
    """Seconds from the loss to the name's move; 0 when it did not move."""

    def agreed(pair: Pair) -> Pair:
        return replace(pair, quorum=quorum)

    world = World(seed, Faults.none())
    pair = FailoverWorld(world, restarts=0.0, agreed=agreed).open(watches=watches)
    try:
        pair.at(LOSS + seed / 7, lambda: loss(pair))
        world.run(40)
    finally:
        world.end()
    return next((at - LOSS - seed / 7 for at, value in pair.rebinds if value == ADDRESS[I]), 0.0)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("seed", range(7))
def test_up_to_three_voices_cost_no_time(loss: Callable[[FailoverWorld], object], seed: int) -> None:
    alone = decided_after(loss, 1, seed)

    assert 3 < alone < 8
    assert decided_after(loss, 2, seed) == pytest.approx(alone, abs=0.01)
    assert decided_after(loss, 3, seed) == pytest.approx(alone, abs=0.01)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_fourth_voice_that_such_a_loss_does_not_have_holds_it_back(
    loss: Callable[[FailoverWorld], object],
) -> None:
    assert decided_after(loss, 4, 1) == 0.0


@pytest.mark.parametrize("quorum", [2, 3])
def test_the_lost_sites_watch_alone_decides_by_the_eyes_of_the_standbys_agent(quorum: int) -> None:
    """The standby's watch is dead. Its agent stands beside the standby's master, and is asked what it sees."""
    alone = decided_after(LOSSES["the agent is killed"], quorum, 1, watches=(H,))

    assert 3 < alone < 8


def test_the_lost_sites_watch_alone_decides_nothing_by_its_own_eyes_alone() -> None:
    """An older agent tells of no peers: nobody looked from the standby's side, and an operator is told."""
    world = World(1, Faults.none())
    pair = FailoverWorld(world, restarts=0.0).open(watches=(H,))
    try:
        world.run(LOSS)
        pair.dead.add(H)
        pair.holders.pop(H)  # of which the standby's agent would tell
        world.run(60)
    finally:
        world.end()

    assert pair.rebinds == []
    told = [" ".join(one.because) for one in pair.decisions() if one.event == "failover.needs_operator"]
    assert len(told) == 1
    assert "none of them looked from hz-i" in told[0]
