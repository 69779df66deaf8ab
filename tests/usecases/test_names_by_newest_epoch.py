"""Right before it writes a record in calm, a watch reads the lease once more: who was overtaken in between writes
nothing."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from emulator.cloud import Cloud
from shared.domain.ids import Epoch, SiteName
from shared.domain.lease import Lease, LeaseState, Sighting
from shared.ports.store import Condition, Key, Row, Store
from shared.state.name_orders import NameOrder, NameOrders
from shared.usecases.failover.name_keeping import NameKeeping
from shared.usecases.failover.naming import Naming
from shared.usecases.failover.witness import Seen, Witness
from tests.simulation.failover_world import ADDRESS, pair_policy
from tests.simulation.pair_world import PAIR, H, I
from understudy.simulation.names import InProcessNames

NOW = datetime(2026, 3, 2, tzinfo=UTC)


class Rows:
    """As much of a store as an order needs."""

    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}

    def get(self, table: str, key: Key) -> Row | None:
        return self.rows.get(key)

    def put(self, table: str, row: Row, *, condition: Condition) -> None:
        self.rows[row.key] = row

    def delete(self, table: str, key: Key, *, condition: Condition) -> None:
        self.rows.pop(key)


@dataclass
class Stage:
    """Witness, clock and record of decisions in one. `newest`: the epoch that a fresh read of the lease shows."""

    newest: int = 1
    seconds: float = 0.0
    events: list[str] = field(default_factory=list)

    def lease(self, epoch: int) -> Lease:
        return Lease(
            pair=PAIR,
            owner=H,
            epoch=Epoch(epoch),
            version=1,
            length=timedelta(seconds=5),
            state=LeaseState.HELD,
            token="t",
        )

    def read_lease(self) -> Sighting:
        return Sighting(lease=self.lease(self.newest), since=0.0)

    def newer(self, epoch: Epoch) -> str | None:
        return None if self.newest == epoch else "a newer one"

    def address(self, site: SiteName) -> str:
        return ADDRESS[site]

    def other(self, site: SiteName) -> SiteName:
        return I if site == H else H

    def at_work(self, site: SiteName) -> bool:
        return site == H

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def sleep(self, duration: timedelta) -> None:
        raise AssertionError("whoever keeps names does not sleep")

    def record(self, event: str, because: object, **more: object) -> None:
        self.events.append(event)


@dataclass
class Kept:
    stage: Stage
    cloud: Cloud
    orders: NameOrders
    keeping: NameKeeping

    def round(self) -> None:
        self.stage.seconds += 6.0
        seen = cast(Seen, _Seen(self.stage.lease(1), self.stage))
        self.keeping.assert_name(seen, paused=None)

    def stands(self) -> tuple[str, int]:
        [record] = InProcessNames(self.cloud).records(zone="corp.example", host="master")
        return record.value, record.ttl_seconds


@dataclass
class _Seen:
    lease: Lease
    stage: Stage

    def at_work(self, site: SiteName) -> bool:
        return self.stage.at_work(site)


@pytest.fixture
def kept() -> Kept:
    cloud, stage = Cloud(), Stage()
    cloud.pvtz.add_zone("corp.example", id="z-corp")
    cloud.pvtz.add_record("z-corp", rr="master", type="A", value=ADDRESS[H], ttl=60, remark="epoch=1")
    pair, anything = pair_policy(), cast(Any, stage)
    witness = cast(Witness, stage)
    naming = Naming(pair=pair, witness=witness, names=InProcessNames(cloud), clients=anything)
    orders = NameOrders(cast(Store, Rows()))
    keeping = NameKeeping(
        pair, site=H, naming=naming, witness=witness, over=anything, orders=orders, clock=stage, run=lambda do: do()
    )
    return Kept(stage, cloud, orders, keeping)


def write(kept: Kept, value: str) -> None:
    [record] = InProcessNames(kept.cloud).records(zone="corp.example", host="master")
    InProcessNames(kept.cloud).rebind(record, value=value)


def order(kept: Kept) -> None:
    kept.orders.give(NameOrder(pair=PAIR, at=kept.stage.now()))


def test_who_was_overtaken_binds_nothing(kept: Kept) -> None:
    kept.stage.newest = 2
    write(kept, ADDRESS[I])
    kept.round()
    assert kept.stands()[0] == ADDRESS[I]

    kept.stage.newest = 1
    kept.round()
    assert kept.stands()[0] == ADDRESS[H]


def test_who_was_overtaken_sets_no_time_to_live_and_leaves_the_order(kept: Kept) -> None:
    kept.stage.newest = 2
    order(kept)
    kept.round()
    kept.round()
    assert kept.stands() == (ADDRESS[H], 60)
    assert kept.orders.pending(PAIR) is not None

    kept.stage.newest = 1
    kept.round()
    assert kept.stands() == (ADDRESS[H], 5)
    assert kept.orders.pending(PAIR) is None
    assert kept.stage.events == ["name.ttl_differs", "names.prepared"]


def test_a_value_that_is_not_right_is_not_written_again_with_another_time_to_live(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record moves between the look that found it right and the order's own."""
    order(kept)
    pending = kept.orders.pending

    def meanwhile(pair: Any) -> NameOrder | None:
        write(kept, ADDRESS[I])
        return pending(pair)

    monkeypatch.setattr(kept.orders, "pending", meanwhile)
    kept.round()
    assert kept.stands() == (ADDRESS[I], 60)
    assert kept.stage.events[-1] == "names.not_prepared"


def test_a_time_to_live_is_believed_when_it_reads_back(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    order(kept)
    monkeypatch.setattr(kept.cloud.pvtz, "update_record", lambda *_, **__: None)
    kept.round()
    assert kept.stage.events[-1] == "names.not_prepared"
