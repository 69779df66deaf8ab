"""The watch of one site: a loop inside its timer minute, because detection is on the way to recovery.

A tick runs the rounds of `shared.usecases.failover.pair_watch` a little longer than its minute, so that two ticks
overlap; overlaps and the watches of both sites are safe, since everything that matters is a compare-and-set. A tick
that is a minute old returns at once: after an outage hundreds of them arrive together.
"""

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.ids import PolicyVersion, SiteName
from shared.domain.policy import Pair
from shared.observability import log
from shared.usecases.failover.pair_watch import CALM_EVERY as CALM_EVERY
from shared.usecases.failover.pair_watch import FINISH as FINISH
from shared.usecases.failover.pair_watch import PairWatch as PairWatch
from shared.usecases.failover.watch_parts import Ports as Ports

SPAN: Final = timedelta(seconds=62)  # from the trigger's time: two seconds into the next tick's minute
STALE: Final = timedelta(seconds=60)
UNWATCHED: Final = "is not in the active policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What one tick did, for the log and the caller."""

    site: str
    pairs: tuple[str, ...] = ()
    rounds: int = 0
    states: tuple[str, ...] = ()  # of the pairs, at the end
    stale: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Watch:
    """All pairs of one site, each in a thread of its own when there are several."""

    def __init__(self, *, site: SiteName, ports: Ports, begin: Callable[[], None] = lambda: None) -> None:
        """`begin` is called at the start of each tick (a clock that must be synchronised)."""
        self._site, self._ports, self._begin = site, ports, begin
        self._pairs: dict[tuple[str, PolicyVersion], PairWatch] = {}

    def run(self, trigger_time: datetime | None, *, run: str) -> Watched:
        """`trigger_time` None: somebody pressed the button; it counts as now. Raises Retryable when the policy cannot
        be read (nothing was watched), BadInput when no policy is active."""
        self._begin()
        clock = self._ports.clock
        now = clock.now()
        at = trigger_time or now
        if now - at > STALE:
            late = f"{(now - at).total_seconds():.0f} s late"
            log.event("watch.stale", subject=self._site, run=run, because=[f"the tick of {at.isoformat()} came {late}"])
            return Watched(site=self._site, stale=True)
        until = clock.monotonic() + (SPAN - max(now - at, timedelta(0))).total_seconds()
        version, policy = self._ports.policies.active()
        mine = [pair for pair in policy.pairs if any(member.site == self._site for member in pair.members)]
        if not mine:
            log.event(
                "watch.idle", level=logging.WARNING, subject=self._site, run=run, because=[f"{self._site} {UNWATCHED}"]
            )
            return Watched(site=self._site)
        watches = [self._of(pair, version) for pair in mine]
        before = sum(watch.rounds for watch in watches)
        self._run_all(watches, run=run, until=until)
        return Watched(
            site=self._site,
            pairs=tuple(watch.pair.name for watch in watches),
            rounds=sum(watch.rounds for watch in watches) - before,
            states=tuple(watch.state.value for watch in watches),
        )

    def _of(self, pair: Pair, version: PolicyVersion) -> PairWatch:
        key = (pair.name, version)
        if key not in self._pairs:
            self._pairs[key] = PairWatch(pair, site=self._site, policy=version, ports=self._ports)
        return self._pairs[key]

    @staticmethod
    def _run_all(watches: list[PairWatch], *, run: str, until: float) -> None:
        if len(watches) == 1:
            watches[0].run(run=run, until=until)
            return
        with ThreadPoolExecutor(max_workers=len(watches)) as pool:
            for future in [pool.submit(watch.run, run=run, until=until) for watch in watches]:
                future.result()
