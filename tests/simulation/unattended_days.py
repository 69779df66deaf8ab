"""A bad time for a pair without agents, drawn from its seed; and the watches' interruptions in a quiet one."""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.domain.failover_fsm import AT_REST, State
from tests.simulation.executors import Timers
from tests.simulation.pair_world import H, I
from tests.simulation.trouble import MOST_DRIFT, Menu, Trouble
from tests.simulation.unattended import ISOLATE, STOP, UnattendedWorld
from tests.simulation.world import World

ENDS_WITHIN = 400.0  # seconds after the last fault: stops take their time, and so does an operator
REPAIRED_EVERY = 20.0


class Days(Trouble):
    """What may befall such a pair, beside what any may meet."""

    pair: UnattendedWorld

    def zone_dark(self) -> None:
        site = self.chance.choice((H, I))
        self._during("zone dark", site, lambda: self.pair.go_dark(site), lambda: self.pair.lighten(site), longest=120.0)

    def host_lost(self) -> None:
        site = self.chance.choice((H, I))
        start = self.chance.uniform(3, self.draw.trouble - 3)
        self._tell("host lost", start, start, site)
        self.pair.at(start, lambda: self.pair.host_fails(site))

    def stop(self) -> None:
        super().stop()
        for site in (H, I):
            self.pair.lighten(site)
        self._repair()

    def _acknowledge(self) -> None:
        """What an operator says to be settled, he has looked after before."""
        for site in (H, I):
            self.pair.repair(site)
        super()._acknowledge()

    def _repair(self) -> None:
        for site in (H, I):
            self.pair.repair(site)
        self.pair.at(self.world.now + REPAIRED_EVERY, self._repair)


MENU: Menu = (  # type: ignore[assignment]  # kinds of these days among them
    (Days.one_link, 0.5, 3),
    (Days.watches_blind, 0.3, 1),
    (Days.store_only, 0.3, 2),
    (Days.zone_dark, 0.4, 1),
    (Days.host_lost, 0.3, 1),
    (Days.api, 0.5, 2),
    (Days.agent_dead, 0.5, 2),  # here: the master's process
    (Days.master_ill, 0.4, 1),
    (Days.executor_frozen, 0.4, 2),
    (Days.clock_set, 0.3, 1),
    (Days.order, 0.3, 1),
    (Days.pause, 0.1, 1),
)


@dataclass(kw_only=True)
class Day:
    seed: int
    failures: list[str]
    moves: int
    stops: int
    isolations: int
    needless: list[str]
    story: str


def lived(seed: int, *, kind: type[Days] = Days, menu: Menu = MENU) -> Day:
    logging.getLogger("understudy").setLevel(logging.CRITICAL)
    world = World(seed)
    world.faults = replace(world.faults, drift=min(world.faults.drift, MOST_DRIFT))
    chance = world.chance
    pair = UnattendedWorld(
        world,
        fence=chance.choice((STOP, STOP, ISOLATE)),
        survive=chance.random() < 0.5,
        heard_each=chance.choice((1, 3)),
        block=timedelta(hours=chance.choice((0, 0, 1))),
        master_threads=False,
    )
    timers = Timers(pair)
    pair.open(watches=())
    first = chance.uniform(0, 60)
    for site in (H, I):
        timers.begin(site, first=first)
    trouble = kind(pair, timers, menu)
    rested = False

    def look() -> None:
        nonlocal rested
        rested = _at_rest(pair)
        if rested:
            world.stop()
        else:
            world.later(2.0, look)

    pair.at(trouble.draw.trouble + 10, look)
    died = ""
    try:
        world.run(trouble.draw.trouble + ENDS_WITHIN)
    except AssertionError as error:
        died = f"{error}: {error.__cause__!r}"
    finally:
        world.end()
    failures = [died] if died else list(pair.wrong)
    if not died and not rested:
        failures.append(f"no rest: active {sorted(pair.active())}, {pair.failover()}")
    return Day(
        seed=seed,
        failures=failures,
        moves=len({value for _, value in pair.rebinds}),
        stops=len(pair.stops),
        isolations=len(pair.changes),
        needless=pair.needless,
        story="\n".join([f"seed {seed}: {'; '.join(failures) or 'well'}", str(trouble.draw), *world.trace]),
    )


def _at_rest(pair: UnattendedWorld) -> bool:
    """One site is reached by the name and at work, it is the one in charge, and nothing is under way."""
    state = pair.failover().state
    return len(pair.active()) == 1 and pair.in_charge() in pair.active() and state in (*AT_REST, State.SUSPECTING)
