"""The roll call of a pair's watches: each writes at its tick that it runs, and looks whether the others did.

A watch that is not running is noticed by nothing else: everything it watches may be well.
"""

from datetime import datetime
from typing import Final

from shared.domain.ids import SiteName
from shared.domain.policy import Pair
from shared.ports.clock import Clock
from shared.state.heartbeats import OVERDUE, Heartbeats, WatchBeat
from shared.usecases.aside import Aside, Run
from shared.usecases.fail_over import FailOver

MISSING: Final = "watch.missing"
BACK: Final = "watch.returned"


class Roll:
    def __init__(
        self, pair: Pair, *, site: SiteName, heartbeats: Heartbeats, over: FailOver, clock: Clock, run: Run
    ) -> None:
        """`over` records what is found, beside the decisions about the pair."""
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
        """Record who is missing and who is back, once per change."""
        answer = self._beats.newest()
        if answer is None or self._since is None:
            return
        self._beats.forget()
        now = self._clock.now()
        for site in (member.site for member in self._pair.members if member.site != self._site):
            beat = answer[1].get(site)
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

    def _exchange(self) -> dict[SiteName, WatchBeat]:
        name = self._pair.name
        self._heartbeats.tick(name, WatchBeat(site=self._site, run=self._run, at=self._clock.now()))
        return self._heartbeats.watches(name)
