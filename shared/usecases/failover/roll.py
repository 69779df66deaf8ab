"""The roll call of a pair's watches: each writes at its tick that it runs, and looks whether the others did.

A watch that is not running is noticed by nothing else: everything it watches may be well. When none of them ran, nobody
says so; therefore each says of itself, when it is back, for how long it was away.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from shared.domain.ids import SiteName
from shared.domain.policy import Pair
from shared.ports.clock import Clock
from shared.state.heartbeats import OVERDUE, Heartbeats, WatchBeat
from shared.usecases.failover.aside import Aside, Run
from shared.usecases.failover.fail_over import FailOver

MISSING: Final = "watch.missing"
BACK: Final = "watch.returned"
WAS_AWAY: Final = "watch.was_away"


class Roll:
    def __init__(
        self,
        pair: Pair,
        *,
        site: SiteName,
        heartbeats: Heartbeats,
        over: FailOver,
        clock: Clock,
        run: Run,
        names: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        """`over` records what is found, beside the decisions about the pair. `names`: what was found of its names."""
        self._names = names
        self._pair, self._site, self._heartbeats, self._over, self._clock = pair, site, heartbeats, over, clock
        self._run = ""
        self._since: datetime | None = None  # our own first call: whoever never answered is counted from here
        self._missing: set[SiteName] = set()
        self._beats = Aside(self._exchange, what=f"watches of {pair.name}", run=run, clock=clock)

    def call(self, run: str) -> None:
        """Once per tick; the writing and reading is done aside."""
        self._run = run
        self._since = self._since or self._clock.now()
        self._beats.start()

    def read(self) -> None:
        """Record who is missing and who is back, once per change; and of this watch that it was away, once."""
        answer = self._beats.newest()
        if answer is None or self._since is None:
            return
        self._beats.forget()
        beats, written = answer[1]
        if written is not None:
            self._own_absence(written)
        now = self._clock.now()
        for site in (member.site for member in self._pair.members if member.site != self._site):
            beat = beats.get(site)
            missing = now - (self._since if beat is None else beat.at) > OVERDUE
            if missing is (site in self._missing):
                continue
            (self._missing.add if missing else self._missing.discard)(site)
            last = "never" if beat is None else beat.at.isoformat()
            self._over.record(
                MISSING if missing else BACK,
                (
                    f"the watch of {site} was last heard at {last}: look at the log of its function"
                    if missing
                    else f"the watch of {site} was heard at {last}",
                ),
                epoch=None,
                acted=False,
                inputs={"site": site, "heard": last, "witness": self._site},
            )

    def _own_absence(self, beat: WatchBeat) -> None:
        if beat.away_from is None or beat.away_to != beat.at:
            return  # told by the tick that ended it
        seconds = (beat.at - beat.away_from).total_seconds()
        self._over.record(
            WAS_AWAY,
            (
                f"the watch of {self._site} began a tick at {beat.away_from.isoformat()}, and the next one "
                f"{seconds:.0f} s later: for most of that time nobody looked from here",
            ),
            epoch=None,
            acted=False,
            inputs={"from": beat.away_from.isoformat(), "to": beat.at.isoformat(), "witness": self._site},
        )

    def _exchange(self) -> tuple[dict[SiteName, WatchBeat], WatchBeat | None]:
        """All watches' ticks, and our own as it was written; None for that when another tick of ours wrote it."""
        name = self._pair.name
        beat = WatchBeat(site=self._site, run=self._run, at=self._clock.now(), names=self._names())
        written = self._heartbeats.tick(name, beat)
        return self._heartbeats.watches(name), written
