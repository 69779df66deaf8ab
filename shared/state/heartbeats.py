"""What each agent writes about itself every few seconds: one row per pair and site, last writer wins. A watch writes
one at each tick, under `watch/<site>`: nothing else shows that a watch does not run.

A reader judges freshness by the sequence changing on its own monotonic clock; `at` is for people.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.ids import Epoch, PairName, SiteName
from shared.ports.store import Anything, Row, Store
from shared.state import codec

TABLE: Final = "heartbeats"
WATCH: Final = "watch/"
OVERDUE: Final = timedelta(minutes=2)
"""A watch that was not heard for this long is taken for not running: it ticks once a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    site: SiteName
    sequence: int  # rises by one per beat of one agent process
    run: str  # that process
    at: datetime  # the writer's wall clock
    active: bool
    epoch: Epoch
    address: str  # where its master is reached
    ready: bool  # its master answers it
    agent_port: int = 0  # of the agent at that address; 0: it did not say
    pledges: bool = False  # whether it gives pledges, so that others may live on them
    lag_s: float | None = None  # how far its data was behind the active site's, `lag_age_s` before `at`; None: unknown
    lag_age_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchBeat:
    """A tick of a watch began."""

    site: SiteName
    run: str  # its invocation
    at: datetime  # the writer's wall clock: minutes are judged by it, nothing finer


class Heartbeats:
    def __init__(self, store: Store) -> None:
        self._store = store

    def beat(self, pair: PairName, beat: Heartbeat) -> None:
        row = Row(key=(pair, beat.site), columns={"body": codec.dump(beat)})
        self._store.put(TABLE, row, condition=Anything())

    def of(self, pair: PairName) -> dict[SiteName, Heartbeat]:
        beats = (codec.load(Heartbeat, str(row.columns["body"])) for row in self._rows(pair, watches=False))
        return {beat.site: beat for beat in beats}

    def tick(self, pair: PairName, beat: WatchBeat) -> None:
        row = Row(key=(pair, f"{WATCH}{beat.site}"), columns={"body": codec.dump(beat)})
        self._store.put(TABLE, row, condition=Anything())

    def watches(self, pair: PairName) -> dict[SiteName, WatchBeat]:
        beats = (codec.load(WatchBeat, str(row.columns["body"])) for row in self._rows(pair, watches=True))
        return {beat.site: beat for beat in beats}

    def _rows(self, pair: PairName, *, watches: bool) -> Iterator[Row]:
        return (row for row in self._store.scan(TABLE, (pair,)) if row.key[1].startswith(WATCH) is watches)
