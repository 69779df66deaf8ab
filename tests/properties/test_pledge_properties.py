"""One holder, one peer that may take over, one watch: whatever the timing, never two active."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import event, given, settings
from hypothesis import strategies as st

from shared.domain.errors import Conflict
from shared.domain.ids import Place
from shared.domain.lease import LeaseState, Sighting
from tests.agent.pledge_table import PledgeTable
from tests.agent.test_holder import STANDBY, TERMS, H, Hands
from understudy.agent.holder import Holder

A, B = "a", "b"


@dataclass
class Own(Hands):
    """A machine's clock: it began at another time, and runs faster or slower than the true one."""

    true: Hands = field(default_factory=Hands)
    offset: float = 0.0
    speed: float = 1.0

    def monotonic(self) -> float:
        return self.offset + self.true.at * self.speed


clocks = st.tuples(st.floats(0, 1e6), st.floats(0.97, 1.03))
waits = st.one_of(st.floats(0, 0.5), st.floats(1.2, 2.5), st.floats(0, 6))
late = st.floats(1.4, 4.0)  # after the last renewal, when the peers are asked
deeds = st.sampled_from(
    ["a steps", "a asks", "a asks", "a asks", "b steps", "b steps", "b asks", "watch", "watch", "order",
     "order", "cut a", "cut b", "cut peers", "mend", "a starts",
     "b starts", "b forgets", "a gives up"]
)  # fmt: skip


class Life:
    """Two agents, each on its own clock, and what happens to them."""

    def __init__(self, clock_a: tuple[float, float], clock_b: tuple[float, float]) -> None:
        self.table = PledgeTable()
        self.true = self.table.clock
        self.clocks = {
            name: Own(true=self.true, offset=offset, speed=speed)
            for name, (offset, speed) in ((A, clock_a), (B, clock_b))
        }
        self.sighting: Sighting | None = None
        self.holders: dict[str, Holder] = {}
        self.both = ""
        self.extended = 0
        self.start(A)
        self.start(B)
        self.holders[A].step()

    def start(self, name: str, *, known: bool = True) -> None:
        table = self.table
        table.clock = self.clocks[name]  # what `member` gives its agent
        site, peer = (H, B) if name == A else (STANDBY, A)
        self.holders[name], _ = table.member(name, site, peers=[peer], known=known)
        table.clock = self.true

    def do(self, deed: str) -> None:
        a, b, table = self.holders[A], self.holders[B], self.table
        match deed:
            case "a steps":
                a.step()
            case "b steps":
                b.step()
            case "a asks":
                self.extended += a.extend()
            case "b asks":
                self.extended += b.extend()
            case "watch":
                self.watch()
            case "order":
                b.promote(table.row().epoch)
                a.promote(table.row().epoch)
            case "cut a":
                table.store_away.add(A)
            case "cut b":
                table.store_away.add(B)
            case "cut peers":
                table.network.silent |= {Place(A), Place(B)}
            case "mend":
                table.store_away.clear()
                table.network.silent.clear()
            case "a starts":
                self.start(A)
            case "b starts":
                self.start(B)
            case "b forgets":
                self.start(B, known=False)
            case "a gives up":
                a.give_up("told to")
        active = [name for name, holder in self.holders.items() if holder.active()]
        if len(active) > 1:
            self.both = f"both are active after {deed!r}"

    def watch(self) -> None:
        """Reads the row; takes it for the other site as soon as its own clock, here the true one, allows."""
        lease = self.table.row()
        now = self.true.at
        self.sighting = (
            self.sighting.then(lease, returned=now) if self.sighting else Sighting.first(lease, returned=now)
        )
        if self.sighting.takeable(now, TERMS):
            target = STANDBY if lease.owner == H else H
            try:
                self.table.leases().take(lease, target, length=TERMS.lease)
            except Conflict:
                return

    def on_the_way(self, plan: list[tuple[float, str]]) -> Callable[[], None]:
        def happen() -> None:
            if plan:
                wait, deed = plan.pop()
                self.true.at += wait
                if not deed.endswith(("asks", "starts", "forgets")):
                    self.do(deed)

        return happen


@settings(max_examples=400, deadline=None)
@given(
    clocks,
    clocks,
    late,
    st.lists(st.tuples(waits, deeds), min_size=10, max_size=60),
    st.lists(st.tuples(waits, deeds), max_size=20),
)
def test_a_holder_on_pledges_and_its_peer_are_never_both_active(
    clock_a: tuple[float, float],
    clock_b: tuple[float, float],
    first: float,
    plan: list[tuple[float, str]],
    meanwhile: list[tuple[float, str]],
) -> None:
    life = Life(clock_a, clock_b)
    life.table.store_away.add(A)
    life.true.at += first
    life.do("a asks")
    life.table.network.on_the_way = life.table.network.on_the_way_back = life.on_the_way(meanwhile)
    for wait, deed in plan:
        life.true.at += wait
        life.do(deed)
        assert not life.both
    event(f"extended: {min(life.extended, 3)}")
    event(f"epochs: {min(life.table.row().epoch, 3)}")


@settings(max_examples=200, deadline=None)
@given(clocks, clocks, late, waits, waits, st.floats(0, 12))
def test_a_peer_that_is_ordered_at_any_time_around_a_pledge_waits_for_its_end(
    clock_a: tuple[float, float],
    clock_b: tuple[float, float],
    cut_after: float,
    there: float,
    back: float,
    ordered_after: float,
) -> None:
    life = Life(clock_a, clock_b)
    a, b, table = life.holders[A], life.holders[B], life.table
    a.step()
    table.store_away.add(A)
    life.true.at += cut_after
    table.network.on_the_way = lambda: setattr(life.true, "at", life.true.at + there)
    table.network.on_the_way_back = lambda: setattr(life.true, "at", life.true.at + back)
    extended = a.extend()
    table.network.on_the_way = table.network.on_the_way_back = lambda: None
    life.true.at += ordered_after
    row = table.row()
    assert (row.holder, row.state) == (A, LeaseState.HELD)
    table.leases().take(row, STANDBY, length=TERMS.lease)
    waited = 0
    b.promote(table.row().epoch)
    b.step()
    # The row was taken here without any wait: what keeps the peer off is its pledge alone.
    while not b.active():
        waited += 1
        assert waited < 100
        life.true.at += 0.1
        b.step()
        if extended:
            assert not (a.active() and b.active())
    event("extended" if extended else "not extended")
    event("had to wait" if waited else "at once")
