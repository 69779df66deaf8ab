"""Right before it writes a record in calm, a watch reads the lease once more: who was overtaken in between writes
nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from emulator.cloud import Cloud
from shared.domain.errors import Forbidden
from shared.domain.failover_fsm import On
from shared.domain.ids import Epoch, SiteName
from shared.domain.lease import Lease, LeaseState, Sighting
from shared.ports.names import Names
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
    stands_still: float = 0.0  # for so long, while it reads the lease: what was answered before is read after it
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
        return Sighting(lease=self.lease_now(), since=0.0)

    def lease_now(self) -> Lease:
        self.seconds += self.stands_still
        return self.lease(self.newest)

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

    def round(self, *, paused: str | None = None, epoch: int = 1) -> None:
        self.stage.seconds += 6.0
        seen = cast(Seen, _Seen(self.stage.lease(epoch), self.stage))
        self.keeping.assert_name(seen, paused=paused)

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


# --- what a round waits for ---


@dataclass
class Slow:
    """A name service whose calls are counted. What is done aside is kept until somebody lets it run."""

    names: InProcessNames
    refuses: list[str] = field(default_factory=list)  # calls that this role may not make
    calls: list[str] = field(default_factory=list)
    aside: list[Callable[[], None]] = field(default_factory=list)

    def __getattr__(self, call: str) -> Any:
        def made(*args: Any, **more: Any) -> Any:
            self.calls.append(call)
            if call in self.refuses:
                raise Forbidden(f"{call} is not allowed")
            return getattr(self.names, call)(*args, **more)

        return made

    def let(self) -> None:
        while self.aside:
            self.aside.pop(0)()


@pytest.fixture
def slow(kept: Kept) -> Slow:
    """Of the same cloud: `kept.keeping` asks it, in rounds that do not wait for what is aside."""
    made = Slow(InProcessNames(kept.cloud))
    anything, witness = cast(Any, kept.stage), cast(Witness, kept.stage)
    naming = Naming(
        pair=pair_policy(), witness=witness, names=cast(Names, made), clients=anything, run=made.aside.append
    )
    kept.keeping = NameKeeping(
        pair_policy(),
        site=H,
        naming=naming,
        witness=witness,
        over=anything,
        orders=kept.orders,
        clock=kept.stage,
        run=made.aside.append,
    )
    return made


def remark_of_record(kept: Kept) -> str:
    [record] = InProcessNames(kept.cloud).records(zone="corp.example", host="master")
    return record.remark


def test_a_failover_waits_for_no_remark(kept: Kept, slow: Slow) -> None:
    stage = cast(Any, kept.stage)
    naming = Naming(pair=pair_policy(), witness=stage, names=cast(Names, slow), clients=stage, run=slow.aside.append)
    kept.stage.newest = 2

    assert naming.rebind(I, Epoch(2), {})[0] is On.REBOUND
    assert (kept.stands()[0], remark_of_record(kept)) == (ADDRESS[I], "epoch=1")
    slow.let()
    assert remark_of_record(kept) == "epoch=2"


def test_a_remark_that_is_refused_refuses_no_name(kept: Kept, slow: Slow) -> None:
    stage = cast(Any, kept.stage)
    naming = Naming(pair=pair_policy(), witness=stage, names=cast(Names, slow), clients=stage)
    slow.refuses.append("remark")
    kept.stage.newest = 2

    assert naming.rebind(I, Epoch(2), {})[0] is On.REBOUND
    assert kept.stands()[0] == ADDRESS[I]


def test_in_calm_a_remark_that_does_not_stay_is_written_once_a_minute_and_no_round_waits_for_it(
    kept: Kept, slow: Slow
) -> None:
    for _ in range(30):  # of 6 s
        [record] = InProcessNames(kept.cloud).records(zone="corp.example", host="master")
        kept.cloud.pvtz.set_remark(int(record.record_id), "somebody else's")
        before = list(slow.calls)
        kept.round()
        assert slow.calls == before
        slow.let()

    assert slow.calls.count("remark") == 3
    assert "rebind" not in slow.calls
    assert kept.keeping.trouble == ""


def test_a_name_that_must_not_be_touched_is_told_from_the_listing_aside(kept: Kept, slow: Slow) -> None:
    kept.cloud.pvtz.add_record("z-corp", rr="master", type="A", value=ADDRESS[I], ttl=60)
    for _ in range(5):
        before = list(slow.calls)
        kept.round()
        assert slow.calls == before
        slow.let()

    assert "has 2 records" in kept.keeping.trouble
    assert kept.keeping.trouble.endswith("; runbook: name-cannot-be-rebound")
    assert slow.calls == ["records"] * 5


def test_somebody_who_keeps_writing_the_name_is_fought_five_times_in_ten_minutes_and_told(kept: Kept) -> None:
    for _ in range(40):  # of 6 s
        write(kept, ADDRESS[I])
        kept.round()

    assert kept.stage.events.count("name.reasserted") == 5
    assert "somebody else writes it too; runbook: name-cannot-be-rebound" in kept.keeping.trouble


def test_updates_that_are_refused_again_and_again_are_not_told_as_somebody_elses_writing(
    kept: Kept, slow: Slow
) -> None:
    write(kept, ADDRESS[I])
    slow.refuses.append("rebind")
    for _ in range(20):
        kept.round()
        slow.let()

    assert slow.calls.count("rebind") == 5
    assert "somebody else" not in kept.keeping.trouble
    assert f"0 of the last 5 updates of master.corp.example stood, and it reads {ADDRESS[I]}" in kept.keeping.trouble
    assert "rebind is not allowed" in kept.keeping.trouble
    assert kept.keeping.trouble.endswith("runbook: name-cannot-be-rebound")


def test_updates_that_never_read_back_are_not_told_as_somebody_elses_writing(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(kept, ADDRESS[I])
    monkeypatch.setattr(kept.cloud.pvtz, "update_record", lambda *_, **__: None)
    for _ in range(20):
        kept.round()

    assert "somebody else" not in kept.keeping.trouble
    assert "0 of the last 5 updates" in kept.keeping.trouble
    assert "reads back as: master.corp.example points to" in kept.keeping.trouble


def test_a_listing_that_a_move_has_overtaken_is_neither_told_nor_counted(kept: Kept, slow: Slow) -> None:
    """It was begun while the name still gave the old side, and read when the move was over."""
    for _ in range(7):
        write(kept, ADDRESS[I])
        kept.round()
        slow.let()
        write(kept, ADDRESS[H])
        for _ in range(2):
            kept.round()
            slow.let()
    kept.round()
    assert kept.keeping.settled

    assert "rebind" not in slow.calls
    assert "name.reasserted" not in kept.stage.events
    assert kept.keeping.trouble == ""


def test_a_name_that_cannot_be_read_once_more_is_neither_told_nor_counted_as_written(kept: Kept, slow: Slow) -> None:
    write(kept, ADDRESS[I])
    kept.round()
    slow.let()
    slow.refuses.append("records")
    kept.round()
    slow.let()
    assert (slow.calls, kept.keeping.settled) == (["records"] * 3, False)
    assert "name.not_asserted" not in kept.stage.events

    slow.refuses.clear()
    for _ in range(2):
        kept.round()
        slow.let()
    assert kept.stands()[0] == ADDRESS[H]
    assert kept.stage.events[-1] == "name.reasserted"


def astray(kept: Kept, slow: Slow, value: str = ADDRESS[I]) -> None:
    """The name gives `value`, a listing has shown it, and a round has asked for the name to be bound anew."""
    write(kept, value)
    kept.round()
    slow.let()
    kept.round()


def test_no_round_waits_for_a_name_that_is_bound_anew(kept: Kept, slow: Slow) -> None:
    write(kept, ADDRESS[I])
    for _ in range(4):
        before = list(slow.calls)
        kept.round()
        assert slow.calls == before
        slow.let()
    kept.round()

    assert kept.stands() == (ADDRESS[H], 60)
    assert slow.calls.count("rebind") == 1
    assert kept.stage.events.count("name.reasserted") == 1
    assert kept.keeping.settled


def test_no_round_waits_for_an_order_about_times_to_live(kept: Kept, slow: Slow) -> None:
    order(kept)
    for _ in range(4):
        before = list(slow.calls)
        kept.round()
        assert slow.calls == before
        slow.let()

    assert kept.stands() == (ADDRESS[H], 5)
    assert slow.calls.count("retime") == 1
    assert kept.stage.events == ["name.ttl_differs", "names.prepared", "name.ttl_agrees"]


def test_who_stood_still_while_he_read_the_lease_sets_no_time_to_live_by_what_he_read(kept: Kept, slow: Slow) -> None:
    """An update writes the whole record, its value too."""
    order(kept)
    kept.stage.stands_still = 10.0
    for _ in range(3):
        kept.round()
        slow.let()

    assert "retime" not in slow.calls
    assert kept.stands() == (ADDRESS[H], 60)


def test_while_one_update_hangs_no_second_one_is_sent(kept: Kept, slow: Slow) -> None:
    astray(kept, slow)
    hanging, slow.aside[:] = list(slow.aside), []
    for _ in range(5):
        kept.round()
        slow.let()
    assert "rebind" not in slow.calls
    assert not kept.keeping.settled

    slow.aside[:] = hanging
    slow.let()
    assert slow.calls.count("rebind") == 1


def test_who_is_overtaken_while_his_update_waits_for_its_turn_sends_none(kept: Kept, slow: Slow) -> None:
    astray(kept, slow)
    kept.stage.newest = 2
    slow.let()

    assert kept.stands()[0] == ADDRESS[I]
    assert "rebind" not in slow.calls


def test_who_stood_still_while_he_read_the_lease_binds_nothing_by_what_he_read(kept: Kept, slow: Slow) -> None:
    """The answer came before he stood still, and was read after it: in between, another one may have taken over."""
    astray(kept, slow)
    kept.stage.stands_still = 10.0
    slow.let()
    assert (kept.stands()[0], slow.calls.count("rebind")) == (ADDRESS[I], 0)

    kept.stage.stands_still = 0.0
    for _ in range(2):
        kept.round()
        slow.let()
    assert kept.stands()[0] == ADDRESS[H]


def test_who_was_frozen_before_his_turn_came_waits_for_a_round_to_ask_again(kept: Kept, slow: Slow) -> None:
    """A pause, or a failover, may have begun meanwhile, and he has not looked yet."""
    astray(kept, slow)
    kept.stage.seconds += 3600.0
    slow.let()
    assert (kept.stands()[0], slow.calls.count("rebind")) == (ADDRESS[I], 0)

    for _ in range(2):
        kept.round()
        slow.let()
    assert kept.stands()[0] == ADDRESS[H]


@pytest.mark.parametrize(("value", "bound"), [(ADDRESS[I], True), ("198.51.100.7", False)])
def test_a_pause_that_comes_before_the_turn_leaves_what_an_operator_may_want(
    value: str, bound: bool, kept: Kept, slow: Slow
) -> None:
    astray(kept, slow, value)
    before, slow.aside[:] = list(slow.aside), []
    kept.round(paused="the pair is paused")
    slow.aside[:] = before
    slow.let()

    assert kept.stands()[0] == (ADDRESS[H] if bound else value)


def test_what_came_of_a_binding_from_before_a_failover_says_nothing_after_it(kept: Kept, slow: Slow) -> None:
    astray(kept, slow)
    slow.refuses.append("rebind")
    slow.let()
    kept.stage.newest = 2
    kept.round(epoch=2)

    assert kept.keeping.trouble == ""


def test_a_refused_update_calls_an_operator_with_what_was_answered(kept: Kept, slow: Slow) -> None:
    slow.refuses.append("rebind")
    astray(kept, slow)
    slow.let()
    kept.round()

    assert "rebind is not allowed" in kept.keeping.trouble
    assert kept.keeping.trouble.endswith("runbook: name-cannot-be-rebound")
    assert kept.stage.events[-1] == "name.reasserted"


def test_a_failover_that_somebody_else_keeps_undoing_ends_at_the_runbook(kept: Kept, slow: Slow) -> None:
    stage = cast(Any, kept.stage)
    naming = Naming(pair=pair_policy(), witness=stage, names=cast(Names, slow), clients=stage)
    said = []
    for _ in range(7):
        assert naming.rebind(H, Epoch(1), {})[0] is On.REBOUND
        write(kept, ADDRESS[I])
        said.append(naming.confirm(H, Epoch(1)))

    assert [on for on, _, _ in said] == [On.ASTRAY] * 5 + [On.CONFIRM_WAITS] * 2
    assert said[-1][1][-1] == "runbook: name-cannot-be-rebound"
