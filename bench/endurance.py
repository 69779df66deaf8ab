"""A day of a pair whose store is split off every hour and whose calls are slow: what is demoted or moved for nothing.

    python -m bench.endurance [--hours 24] [--seeds 3] [--lease 5 --margin 1 --renew 1] [--without-pledges]

Emulated hours on virtual time (tests/simulation): the real watches as ticks in executors, the real agents. Each hour
the store is away for 5 s, for all or for some, now by refusing, now by silence; one call in a hundred takes up to 6 s
(and is given up by its client earlier). Nothing is lost, so each demotion and each failover is a needless one. Exits 1
when there was any.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from shared.domain.lease import Terms
from tests.simulation.executors import Timers
from tests.simulation.failover_world import FailoverWorld
from tests.simulation.links import STORE, How, watch_at
from tests.simulation.pair_world import Defects, H, I
from tests.simulation.world import Faults, World

HOUR = 3600.0
SPLIT = 5.0  # seconds
SLOW = 0.005  # of the ways there or back: one call in a hundred
SLOWEST = 6.0
SETTLED = 20.0  # seconds: before that the pair starts
SHORTEST_GAP = 1.5  # seconds without an accepted command, where several come each second
SPLITS = (  # who is split off, and how, hour by hour
    ((H, I, watch_at(H), watch_at(I)), How.REFUSED),
    ((H, I, watch_at(H), watch_at(I)), How.SILENT),
    ((H,), How.REFUSED),
    ((H,), How.SILENT),
    ((H, watch_at(H)), How.SILENT),
    ((H, I), How.SILENT),
)


@dataclass(frozen=True, kw_only=True)
class Day:
    seed: int
    hours: float
    terms: str
    pledges: bool
    accepted: int
    demotions: int  # times at which the master stopped although nothing was lost
    longest: float  # seconds without an accepted command
    failovers: int  # decided
    extended: int  # grants, by pledges
    overlap: str

    @property
    def needless(self) -> int:
        return self.demotions + self.failovers


def day(seed: int, *, hours: float, terms: Terms, pledges: bool = True, splits: bool = True, slow: float = SLOW) -> Day:
    logging.getLogger("understudy").setLevel(logging.CRITICAL)
    world = World(seed, replace(Faults.none(), slow=slow, slow_seconds=SLOWEST, drift=0.001))
    pair = FailoverWorld(
        world,
        restarts=0.0,
        block=timedelta(0),
        pledges=pledges,
        master_threads=False,
        keeps_denials=True,
        defects=Defects(terms=terms),
    )
    timers = Timers(pair)
    pair.open(watches=())
    for site in (H, I):
        timers.begin(site, first=world.chance.uniform(0, 60))
    if splits:
        for hour in range(int(hours) or 1):
            at = min(hours, 1.0) * HOUR * (hour + world.chance.uniform(0.1, 0.9))
            _split(pair, at, *SPLITS[(seed + hour) % len(SPLITS)])
    try:
        world.run(hours * HOUR)
    finally:
        world.end()
    times = sorted(one.until for one in pair.accepted if one.until > SETTLED)
    gaps = [later - before for before, later in pairwise(times)]
    active = pair.accepted[0].site if pair.accepted else ""
    refused = [at for at, site in pair.denied if site == active and at > SETTLED]
    demotions = sum(1 for before, at in pairwise([-HOUR, *refused]) if at - before > SHORTEST_GAP)
    return Day(
        seed=seed,
        hours=hours,
        terms="/".join(f"{one.total_seconds():g}" for one in (terms.lease, terms.margin, terms.renew_every)),
        pledges=pledges,
        accepted=len(times),
        demotions=max(demotions, sum(1 for gap in gaps if gap > SHORTEST_GAP)),
        longest=round(max(gaps, default=hours * HOUR), 2),
        failovers=pair.events().count("failover.decided"),
        extended=pair.lived_on,
        overlap=pair.overlap(),
    )


def _split(pair: FailoverWorld, at: float, places: Sequence[str], how: How) -> None:
    def begin() -> None:
        cut = pair.links.cut([(place, STORE) for place in places], how)
        pair.at(pair.world.now + SPLIT, lambda: pair.links.heal(cut))

    pair.at(at, begin)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.endurance", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=1)
    for name, default in (("lease", 5.0), ("margin", 1.0), ("renew", 1.0)):
        parser.add_argument(f"--{name}", type=float, default=default, help="seconds")
    parser.add_argument("--without-pledges", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    terms = Terms(
        lease=timedelta(seconds=given.lease),
        margin=timedelta(seconds=given.margin),
        renew_every=timedelta(seconds=given.renew),
    )
    days = []
    with ProcessPoolExecutor(max_workers=given.jobs) as pool:
        pledges = not given.without_pledges
        seeds = range(given.first, given.first + given.seeds)
        for one in [pool.submit(day, seed, hours=given.hours, terms=terms, pledges=pledges) for seed in seeds]:
            days.append(one.result())
            sys.stdout.write(json.dumps(asdict(days[-1])) + "\n")
            sys.stdout.flush()
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(one) for one in days], indent=2) + "\n")
    return 1 if any(one.needless or one.overlap for one in days) else 0


if __name__ == "__main__":
    raise SystemExit(main())
