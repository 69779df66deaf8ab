"""What each agent writes about itself every few seconds: one row per pair and site, last writer wins. A watch writes
one at each tick, under `watch/<site>`: nothing else shows that a watch does not run.

A reader judges freshness by the sequence changing on its own monotonic clock; `at` is for people.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import Conflict, Permanent
from shared.domain.ids import Epoch, PairName, SiteName
from shared.ports.store import Absent, Anything, Condition, Matches, Row, Store
from shared.state import codec, settle

TABLE: Final = "heartbeats"
WATCH: Final = "watch/"
OVERDUE: Final = timedelta(minutes=2)
"""A watch that was not heard for this long is taken for not running: it ticks once a minute."""
AHEAD: Final = timedelta(seconds=5)
"""A writer's clock that is further ahead of the reader's tells no age: what it wrote last would look fresh for as long
as it is ahead, also when the writer is dead. Clocks kept by NTP are milliseconds apart."""
AWAY: Final = timedelta(seconds=90)
"""Ticks of one watch that are further apart left time in which it did not look: each looks for about a minute."""


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
    away_from: datetime | None = None  # its last absence: the tick before, and the one after
    away_to: datetime | None = None
    names: tuple[str, ...] = ()  # what it found of the pair's names that will cost time when the pair moves

    def after(self, before: "WatchBeat | None") -> "WatchBeat":
        """This one, with the last absence, as far as the one `before` tells."""
        if before is None:
            return self
        if self.at - before.at > AWAY:
            return replace(self, away_from=before.at, away_to=self.at)
        return replace(self, away_from=before.away_from, away_to=before.away_to)


def age_of(at: datetime, *, now: datetime) -> timedelta | None:
    """How long ago a beat of `at` was written, by `now` of another machine. None: its writer's clock is ahead, so that
    nobody knows."""
    age = now - at
    return None if age < -AHEAD else max(timedelta(0), age)


class Heartbeats:
    def __init__(self, store: Store) -> None:
        self._store = store

    def beat(self, pair: PairName, beat: Heartbeat) -> None:
        row = Row(key=(pair, beat.site), columns={"body": codec.dump(beat)})
        self._store.put(TABLE, row, condition=Anything())

    def of(self, pair: PairName) -> dict[SiteName, Heartbeat]:
        beats = (codec.load(Heartbeat, str(row.columns["body"])) for row in self._rows(pair, watches=False))
        return {beat.site: beat for beat in beats}

    def tick(self, pair: PairName, beat: WatchBeat) -> WatchBeat | None:
        """Write that a tick began; the absence that it ends is kept with it. None: another tick of the same site wrote
        at the same time, and what it found is its to tell."""
        key = (pair, f"{WATCH}{beat.site}")
        stands = self._store.get(TABLE, key)
        text = "" if stands is None else str(stands.columns["body"])
        before = None
        with contextlib.suppress(Permanent):  # a damaged row says nothing, and is replaced
            before = codec.load(WatchBeat, text) if text else None
        written = beat.after(before)
        condition: Condition = Matches({"body": text}) if text else Absent()
        try:
            settle.put(self._store, TABLE, Row(key=key, columns={"body": codec.dump(written)}), condition=condition)
        except Conflict:
            return None
        return written

    def watches(self, pair: PairName) -> dict[SiteName, WatchBeat]:
        beats = (codec.load(WatchBeat, str(row.columns["body"])) for row in self._rows(pair, watches=True))
        return {beat.site: beat for beat in beats}

    def _rows(self, pair: PairName, *, watches: bool) -> Iterator[Row]:
        return (row for row in self._store.scan(TABLE, (pair,)) if row.key[1].startswith(WATCH) is watches)
