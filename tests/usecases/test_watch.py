"""What a tick of watch does with its trigger; what happens inside a round is told in tests/simulation."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import BadInput, OutcomeUnknown
from shared.domain.failover_fsm import State
from shared.domain.ids import Epoch, PairName, PolicyVersion, SiteName
from shared.domain.lease import Lease
from shared.ports.store import Condition, Row
from shared.state.heartbeats import Heartbeat, Heartbeats
from shared.state.leases import TABLE, Leases
from shared.usecases.failover.watch import PairWatch, Watch, Watched
from tests.simulation.failover_world import ADDRESS, FailoverWorld, TruthStore, pair_policy
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.world import Faults, Process, ProcessStore, Rows, World

LENGTH = timedelta(seconds=5)


@pytest.fixture
def pair() -> Iterator[FailoverWorld]:
    world = World(1, Faults.none())
    yield FailoverWorld(world, restarts=0.0).open(watches=())
    world.end()


def ticked(pair: FailoverWorld, *, site: str = "hz-i", age: float = 0.0) -> tuple[Watched | Exception, float]:
    """One tick of that age: what it returned, and for how many seconds it ran."""
    ended: list[tuple[Watched | Exception, float]] = []

    def live(process: Process) -> None:
        watch = Watch(site=SiteName(site), ports=pair.ports(process, SiteName(site)))
        began = pair.world.now
        answer: Watched | Exception
        try:
            answer = watch.run(pair.now() - timedelta(seconds=age), run="r-1")
        except BadInput as error:
            answer = error
        ended.append((answer, pair.world.now - began))

    pair.world.spawn("watch-tick", pair.world.machine("fc"), live)
    pair.world.run(80)
    return ended[0]


def test_a_tick_older_than_a_minute_returns_at_once(pair: FailoverWorld) -> None:
    answer, took = ticked(pair, age=61)

    assert answer == Watched(site="hz-i", stale=True)
    assert took == 0


def test_a_tick_runs_into_the_next_one_and_no_further(pair: FailoverWorld) -> None:
    answer, took = ticked(pair)

    assert isinstance(answer, Watched)
    assert (answer.pairs, answer.states) == (("control",), ("watching",))
    assert 61.5 < took < 63.5
    assert 55 < answer.rounds < 64


def test_a_late_tick_ends_when_a_punctual_one_would_have(pair: FailoverWorld) -> None:
    _, took = ticked(pair, age=50)

    assert 11 < took < 13.5


def test_a_site_in_no_pair_says_so_and_ends(pair: FailoverWorld) -> None:
    answer, took = ticked(pair, site="bj-a")

    assert answer == Watched(site="bj-a")
    assert took < 1


def test_without_a_policy_the_remedy_is_named(pair: FailoverWorld) -> None:
    pair.rows.tables.clear()

    answer, _ = ticked(pair)

    assert isinstance(answer, BadInput)
    assert "understudy apply" in str(answer)


def test_a_damaged_lease_row_promotes_nobody(pair: FailoverWorld) -> None:
    pair.at(20.0, lambda: pair.rows.table(TABLE)[(PAIR,)].update({"epoch": "three"}))

    ticked(pair)

    assert pair.rebinds == []
    called = pair.decisions()[-1]
    assert (called.event, pair.failover().state) == ("failover.needs_operator", State.NEEDS_OPERATOR)
    assert "lease row of pair control is damaged" in called.because[1]
    assert "runbook: lease-row-missing" in called.because


def test_a_deleted_lease_row_is_not_created_again_beside_its_holder(pair: FailoverWorld) -> None:
    pair.at(20.0, lambda: pair.rows.table(TABLE).clear())

    pair.world.run(40)

    assert pair.rows.table(TABLE) == {}
    assert not pair.accepted_by(H, after=27)
    assert "is gone" in pair.holders[H].trouble
    assert pair.active() == set()
    assert I not in {one.site for one in pair.accepted}


class LosesReplies(ProcessStore):
    """Applies the write, or not, and says that nobody knows."""

    def __init__(self, rows: Rows, *, applies: bool) -> None:
        self._rows, self._applies = rows, applies

    def get(self, table: str, key: tuple[str, ...]) -> Row | None:
        columns = self._rows.table(table).get(key)
        return None if columns is None else Row(key=key, columns=dict(columns))

    def put(self, table: str, row: Row, *, condition: Condition) -> None:
        if self._applies:
            self._rows.write(table, row, condition, keep=False)
        raise OutcomeUnknown("timed out")


@pytest.mark.parametrize("applies", [True, False], ids=["applied", "not applied"])
def test_a_lost_reply_is_settled_by_the_token_that_stands_in_the_row(applies: bool) -> None:
    rows = Rows()
    leases = Leases(LosesReplies(rows, applies=applies), tokens=lambda: "mine")

    if applies:
        assert leases.create(PairName("p"), H, length=LENGTH).token == "mine"
    else:
        with pytest.raises(OutcomeUnknown):
            leases.create(PairName("p"), H, length=LENGTH)


def test_a_row_that_another_attempt_wrote_does_not_count_as_ours() -> None:
    rows = Rows()
    Leases(LosesReplies(rows, applies=True), tokens=lambda: "theirs").create(PairName("p"), I, length=LENGTH)
    seen = Lease.first(PairName("p"), I, token="theirs", length=LENGTH)

    with pytest.raises(OutcomeUnknown):
        Leases(LosesReplies(rows, applies=False), tokens=lambda: "ours").take(seen, H, length=LENGTH)


def test_a_slow_inventory_keeps_no_round_waiting_while_the_agents_say_where_they_are(pair: FailoverWorld) -> None:
    looks: list[Callable[[], None]] = []
    known: list[str | None] = []
    Heartbeats(TruthStore(pair.rows)).beat(
        PAIR,
        Heartbeat(
            site=I, sequence=1, run="a", at=pair.now(), active=False, epoch=Epoch(1), address="10.0.2.99", ready=True
        ),
    )

    def live(process: Process) -> None:
        ports = replace(pair.ports(process, I), aside=looks.append)
        witness = PairWatch(pair_policy(), site=I, policy=PolicyVersion(1), ports=ports).witness
        for _ in range(2):
            witness.learn_addresses()
            known.append(witness.address(I))
            looks[0]()
            known.append(witness.address(I))

    pair.world.spawn("watch-tick", pair.world.machine("fc"), live)
    pair.world.run(10)

    assert known == ["10.0.2.99", ADDRESS[I], ADDRESS[I], ADDRESS[I]]
