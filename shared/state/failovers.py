"""Where each pair's failover stands: one row, moved only by compare-and-set, so that the watches of both sites may
drive it at the same time. The row remembers progress; safety does not rest on it but on the lease row.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import Conflict, Permanent
from shared.domain.failover_fsm import IN_HAND, State
from shared.domain.failover_safety import Kind, Rule
from shared.domain.ids import Epoch, PairName, SiteName
from shared.ports.store import Absent, Anything, Condition, Matches, Row, Store
from shared.state import codec, settle

TABLE: Final = "failovers"
ORDERS: Final = "controls"
ORDER: Final = "switchover/"
GOOD_FOR: Final = timedelta(minutes=10)
"""How long an order to switch over stands: later, whoever gave it no longer expects it to move anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    pair: PairName
    state: State
    since: datetime  # when this state was entered, for people
    because: str
    from_site: SiteName | None = None
    to_site: SiteName | None = None
    epoch: Epoch | None = None  # the one under which `to_site` takes over, once it is known
    seen_version: int = 0  # of the lease when it was judged lost: any other version means that its holder lives
    planned: bool = False  # a switchover: the old holder gives up, nothing is waited for
    lost_at: datetime | None = None  # when the old holder was last known to be well
    ended: Mapping[str, datetime] = field(default_factory=dict)  # phase -> when it ended
    seconds: Mapping[str, float] = field(default_factory=dict)  # phase -> duration on the driver's monotonic clock
    automatic_at: datetime | None = None  # last automatic take-over: the anti-flapping block counts from here
    order: str = ""  # id of the order that began it; empty: it began by itself
    names: Mapping[str, str] = field(default_factory=dict)  # bound under `epoch` and read back: name -> value
    fence: Mapping[str, str] = field(default_factory=dict)  # how the old `site` is fenced, and what stood before
    ran_out: bool = False  # a planned move found its old holder silent, and waited for the end of its lease
    failback: bool = False  # a planned return: what was raised for the time away is put back at its end
    force: tuple[Rule, ...] = ()  # rules that the order overrides
    loss_s: float | None = None  # seconds of data that the take-over lost at most; None: not known
    unprotected: str = ""  # the site that was lost, until it may take over again
    unprotected_since: datetime | None = None
    unprotected_told: datetime | None = None  # the last warning
    surged: str = ""  # the site that carries more than its share
    weights: Mapping[str, int] = field(default_factory=dict)  # instance -> its weight before that
    sizes: Mapping[str, int] = field(default_factory=dict)  # scaling group -> its desired capacity before that
    short: Mapping[str, str] = field(default_factory=dict)  # site -> what it lacks of what it must carry alone
    driver: str = ""  # the invocation that wrote this row
    version: int = 0
    unread: str = ""  # what a newer version of this code keeps in the row, as JSON; not a column of its own


_KNOWN: Final = frozenset(one.name for one in fields(Failover))


def _load(text: str) -> Failover:
    """With what this version does not know: during a deployment two versions write the row in turn, and the older one
    must not lose what the newer one needs, such as what stood before and is to be put back."""
    body = codec.load(Failover, text)
    others = {key: value for key, value in json.loads(text).items() if key not in _KNOWN}
    return replace(body, unread=json.dumps({"keys": others, "in_hand": body.state in IN_HAND}) if others else "")


def _text(failover: Failover) -> str:
    """A failover that begins anew forgets what was unknown: it told of the one before."""
    plain = json.loads(codec.dump(failover))
    del plain["unread"]
    if failover.unread:
        unread = json.loads(failover.unread)
        if unread["in_hand"] or failover.state not in IN_HAND:
            plain = {**unread["keys"], **plain}
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class Failovers:
    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, pair: PairName, *, now: datetime) -> Failover:
        """The row, or a fresh WATCHING (version 0) when there never was one."""
        row = self._store.get(TABLE, (pair,))
        if row is None:
            return Failover(pair=pair, state=State.WATCHING, since=now, because="never failed over")
        return replace(_load(str(row.columns["body"])), version=int(row.columns["version"]))

    def save(self, failover: Failover) -> Failover:
        """Write the successor of the version it carries. Raises Conflict when another watch moved it first."""
        saved = replace(failover, version=failover.version + 1)
        text = _text(saved)
        row = Row(key=(saved.pair,), columns={"version": saved.version, "body": text})
        condition: Condition = Absent() if failover.version == 0 else Matches({"version": failover.version})
        settle.put(self._store, TABLE, row, condition=condition)
        return replace(saved, unread=_load(text).unread)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchOrder:
    """An operator's order to move a pair on purpose."""

    pair: PairName
    to_site: SiteName
    at: datetime
    because: str
    kind: Kind = Kind.SWITCHOVER
    by: str = ""
    force: tuple[Rule, ...] = ()  # what it overrides
    epoch: Epoch | None = None  # of the lease when it was given; of a restore, the one that the site is to get
    id: str = ""


class SwitchOrders:
    """At most one order per pair: a new one replaces an old one that was not carried out yet."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def give(self, order: SwitchOrder) -> None:
        row = Row(key=(f"{ORDER}{order.pair}",), columns={"body": codec.dump(order)})
        self._store.put(ORDERS, row, condition=Anything())

    def offer(self, order: SwitchOrder) -> SwitchOrder:
        """What stands then: `order`, or one that stood before and is not too old to be carried out."""
        before = self.pending(order.pair)
        if before is not None and order.at - before.at <= GOOD_FOR:
            return before
        if before is not None:
            self.close(before)
        row = Row(key=(f"{ORDER}{order.pair}",), columns={"body": codec.dump(order)})
        damaged = self._store.get(ORDERS, row.key) if before is None else None
        try:
            settle.put(self._store, ORDERS, row, condition=Matches(damaged.columns) if damaged else Absent())
        except Conflict:
            return self.pending(order.pair) or order
        return order

    def pending(self, pair: PairName) -> SwitchOrder | None:
        """A row that nobody can read is no order: it must not keep the pair from moving when it has to."""
        row = self._store.get(ORDERS, (f"{ORDER}{pair}",))
        try:
            return None if row is None else codec.load(SwitchOrder, str(row.columns["body"]))
        except Permanent:
            return None

    def close(self, order: SwitchOrder) -> None:
        """Carried out, or refused. One that replaced it meanwhile stays."""
        key = (f"{ORDER}{order.pair}",)
        with contextlib.suppress(Conflict):
            self._store.delete(ORDERS, key, condition=Matches({"body": codec.dump(order)}))
