"""What each agent writes about itself every few seconds: one row per pair and site, last writer wins.

A reader judges freshness by the sequence changing on its own monotonic clock; `at` is for people.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.ids import Epoch, PairName, SiteName
from shared.ports.store import Anything, Row, Store
from shared.state import codec

TABLE: Final = "heartbeats"


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


class Heartbeats:
    def __init__(self, store: Store) -> None:
        self._store = store

    def beat(self, pair: PairName, beat: Heartbeat) -> None:
        row = Row(key=(pair, beat.site), columns={"body": codec.dump(beat)})
        self._store.put(TABLE, row, condition=Anything())

    def of(self, pair: PairName) -> dict[SiteName, Heartbeat]:
        beats = (codec.load(Heartbeat, str(row.columns["body"])) for row in self._store.scan(TABLE, (pair,)))
        return {beat.site: beat for beat in beats}
