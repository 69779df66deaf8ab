"""Drawn faults of every kind over the whole failover; then they stop, and the pair must come to rest where it should.

Safety is checked over the whole time: commands of two epochs never interleave, and the name is never given to a site
before every command of the epochs below its own had been accepted.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.failover_fsm import AT_REST, State
from tests.simulation.failover_world import ADDRESS, FailoverWorld
from tests.simulation.pair_world import H, I
from tests.simulation.world import Faults, World

TROUBLE, REST = 90.0, 150.0
MENDED = 10.0  # how long a late write may stand once all can be reached: a lease that runs out, and three rounds
SEEDS = range(60)


def trouble(pair: FailoverWorld) -> None:
    """Sites fall silent, agents die, watches crash and go blind, and the name service fails; all of it ends."""
    world, chance = pair.world, pair.world.chance
    for site in (H, I):
        if chance.random() < 0.5:
            start = chance.uniform(5, 60)
            pair.at(start, lambda site=site: pair.go_dark(site))  # type: ignore[misc]
            pair.at(start + chance.uniform(2, 30), lambda site=site: pair.lighten(site))  # type: ignore[misc]
        if chance.random() < 0.3:
            start = chance.uniform(5, 60)
            pair.at(start, lambda site=site: pair.dead.add(site))  # type: ignore[misc]
            pair.at(start + chance.uniform(2, 30), lambda site=site: pair.dead.discard(site))  # type: ignore[misc]
        if chance.random() < 0.3:
            start = chance.uniform(5, 60)
            pair.at(start, lambda site=site: pair.unready.add(site))  # type: ignore[misc]
            pair.at(start + chance.uniform(2, 30), lambda site=site: pair.unready.discard(site))  # type: ignore[misc]
        if chance.random() < 0.3:
            start = chance.uniform(5, 60)
            pair.at(start, lambda site=site: pair.blind.add(site))  # type: ignore[misc]
            pair.at(start + chance.uniform(2, 30), lambda site=site: pair.blind.discard(site))  # type: ignore[misc]
        pair.crash[f"watch-{site[-1]}"] = chance.randrange(20, 400)
    if chance.random() < 0.3:
        start = chance.uniform(5, 60)
        pair.at(start, lambda: setattr(pair, "names_down", True))
        pair.at(start + chance.uniform(2, 20), lambda: setattr(pair, "names_down", False))

    def calm() -> None:
        world.say("world", "faults stop")
        world.faults = Faults.none()
        pair.restarts = 0.0
        for process in world._processes:
            process.unreachable_until = 0.0
        for kind in (pair.dark, pair.dead, pair.unready, pair.blind):
            kind.clear()

    pair.at(TROUBLE, calm)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bad_day_ends_with_one_active_site_and_the_name_on_it(seed: int) -> None:
    world = World(seed)
    world.faults = replace(world.faults, drift=min(world.faults.drift, 0.01))
    pair = FailoverWorld(world, block=timedelta(0)).open()
    trouble(pair)
    try:
        world.run(TROUBLE + REST)
    finally:
        world.end()

    story = "\n".join([f"seed {seed}", *world.trace])
    assert not pair.overlap(), f"{pair.overlap()}\n{story}"
    active = pair.active()
    assert len(active) == 1, f"active: {active}, {pair.failover()}\n{story}"
    (holder,) = active
    assert pair.record().value == ADDRESS[holder], f"{pair.record()}, {pair.failover()}\n{story}"
    assert pair.failover().state in (*AT_REST, State.SUSPECTING), f"{pair.failover()}\n{story}"
    assert pair.accepted_by(holder, after=TROUBLE + REST - 5), story
    for number, one in enumerate(pair.bindings):
        at, value, epoch, owner = one.at, one.value, one.epoch, one.owner
        if value != ADDRESS[owner]:
            # A watch that was frozen wrote for an older epoch. In calm the next rounds mend that.
            mended = next((then.at for then in pair.bindings[number + 1 :] if then.value != value), None)
            assert mended is not None, f"bound to {value} at {at:.3f} under epoch {epoch}, for good\n{story}"
            assert mended <= max(at, TROUBLE) + MENDED, f"{value} stood from {at:.3f} to {mended:.3f}\n{story}"
        else:
            late = [one for one in pair.accepted if one.epoch < epoch and one.until >= at]
            assert not late, f"bound to {value} at {at:.3f} under epoch {epoch}, but {late[0]}\n{story}"
