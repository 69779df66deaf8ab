"""Where each pair's failover stands: one row, moved only by compare-and-set, so that the watches of both sites may
drive it at the same time. The row remembers progress; safety does not rest on it but on the lease row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from shared.domain.failover_fsm import State
from shared.domain.ids import Epoch, PairName, SiteName
from shared.ports.store import Absent, Condition, Matches, Row, Store
from shared.state import codec, settle

TABLE: Final = "failovers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    pair: PairName
    state: State
    since: datetime  # when this state was entered, for people
    because: str
    from_site: SiteName | None = None
    to_site: SiteName | None = None
    epoch: Epoch | None = None  # the one under which `to_site` takes over, once it is known
    planned: bool = False  # a switchover: the old holder gives up, nothing is waited for
    lost_at: datetime | None = None  # when the old holder was last known to be well
    ended: Mapping[str, datetime] = field(default_factory=dict)  # phase -> when it ended
    seconds: Mapping[str, float] = field(default_factory=dict)  # phase -> duration on the driver's monotonic clock
    automatic_at: datetime | None = None  # last automatic failover: the anti-flapping block counts from here
    driver: str = ""  # the invocation that wrote this row
    version: int = 0


class Failovers:
    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, pair: PairName, *, now: datetime) -> Failover:
        """The row, or a fresh WATCHING (version 0) when there never was one."""
        row = self._store.get(TABLE, (pair,))
        if row is None:
            return Failover(pair=pair, state=State.WATCHING, since=now, because="never failed over")
        body = codec.load(Failover, str(row.columns["body"]))
        return replace(body, version=int(row.columns["version"]))

    def save(self, failover: Failover) -> Failover:
        """Write the successor of the version it carries. Raises Conflict when another watch moved it first."""
        saved = replace(failover, version=failover.version + 1)
        row = Row(key=(saved.pair,), columns={"version": saved.version, "body": codec.dump(saved)})
        condition: Condition = Absent() if failover.version == 0 else Matches({"version": failover.version})
        settle.put(self._store, TABLE, row, condition=condition)
        return saved
