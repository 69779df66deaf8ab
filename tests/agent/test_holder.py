"""One agent's side of the lease, step by step: who may renew, who must wait, what may be released when."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.errors import Conflict
from shared.domain.ids import Epoch, HolderId, PairName, SiteName
from shared.domain.lease import UNCLAIMED, Grant, Lease, LeaseState, Terms
from shared.ports.store import Anything, Row
from shared.state.leases import TABLE, Leases
from tests.simulation.failover_world import TruthStore
from tests.simulation.world import Rows
from understudy.agent.holder import Holder

PAIR, H, STANDBY = PairName("control"), SiteName("hz-h"), SiteName("hz-i")
TERMS = Terms(lease=timedelta(seconds=5), margin=timedelta(seconds=1), renew_every=timedelta(seconds=1))


@dataclass
class Hands:
    """A clock that a test moves."""

    at: float = 100.0

    def now(self) -> datetime:
        return datetime(2026, 3, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, duration: timedelta) -> None:
        self.at += duration.total_seconds()

    def sync(self) -> None: ...


@dataclass
class Board:
    broken: bool = False
    said: Grant = field(default_factory=lambda: Grant(Epoch(0), 0.0))

    def publish(self, grant: Grant) -> None:
        if self.broken:
            raise OSError("no space left on device")
        self.said = grant


@dataclass
class Table:
    rows: Rows = field(default_factory=Rows)
    clock: Hands = field(default_factory=Hands)
    drawn: int = 0

    def leases(self) -> Leases:
        return Leases(TruthStore(self.rows), tokens=self._token)

    def _token(self) -> str:
        self.drawn += 1
        return f"t{self.drawn}"

    def row(self) -> Lease:
        lease = self.leases().read(PAIR)
        assert lease is not None
        return lease

    def agent(self, name: str, site: SiteName = H, *, ready: Callable[[], bool] = lambda: True) -> tuple[Holder, Board]:
        board = Board()
        return Holder(
            pair=PAIR,
            site=site,
            holder_id=HolderId(name),
            preferred=site == H,
            terms=TERMS,
            leases=self.leases(),
            clock=self.clock,
            board=board,
            ready=ready,
        ), board

    def given_to(self, site: SiteName) -> Lease:
        return self.leases().take(self.row(), site, length=TERMS.lease)


def test_a_lease_is_not_released_while_the_master_may_still_read_its_deadline() -> None:
    table = Table()
    agent, board = table.agent("a")
    agent.step()
    board.broken = True
    with pytest.raises(OSError, match="no space"):
        agent.give_up("told to")

    assert agent.step() is False
    assert "the role file cannot be written" in agent.trouble
    assert agent.active(), "what cannot be taken back stands"
    assert table.row().state is LeaseState.HELD
    table.clock.at = board.said.until
    assert agent.step() is True
    assert table.row().state is LeaseState.FREE


def test_a_revocation_is_published_as_soon_as_it_can_be_and_then_released() -> None:
    table = Table()
    agent, board = table.agent("a")
    agent.step()
    board.broken = True
    with pytest.raises(OSError, match="no space"):
        agent.give_up("told to")
    board.broken = False

    assert agent.step() is True
    assert board.said.until == 0
    assert table.row().state is LeaseState.FREE


def test_a_master_that_falls_ill_keeps_its_lease_until_the_revocation_is_published() -> None:
    table, well = Table(), [True]
    agent, board = table.agent("a", ready=lambda: well[0])
    agent.step()
    board.broken, well[0] = True, False

    assert agent.step() is False
    assert table.row().state is LeaseState.HELD
    board.broken = False
    assert agent.step() is True
    assert table.row().state is LeaseState.FREE


def test_a_deadline_that_cannot_be_published_ends_the_renewing() -> None:
    table = Table()
    agent, board = table.agent("a")
    agent.step()
    board.broken = True

    with pytest.raises(OSError, match="no space"):
        agent.step()


def test_of_two_agents_of_the_preferred_site_one_creates_the_lease_and_the_other_stands_by() -> None:
    table = Table()
    (a, _), (b, said) = table.agent("a"), table.agent("b")
    a.step()
    b.step()
    b.step()

    assert (a.active(), b.active()) == (True, False)
    assert said.said.until == 0
    assert table.row().holder == "a"


def test_a_lease_taken_for_a_site_is_claimed_only_by_the_agent_that_is_asked() -> None:
    table = Table()
    table.agent("h")[0].step()
    (a, _), (b, _) = table.agent("a", STANDBY), table.agent("b", STANDBY)
    taken = table.given_to(STANDBY)
    assert taken.holder == UNCLAIMED
    a.step()
    b.step()
    assert not a.active()
    assert not b.active()

    b.promote(taken.epoch)
    a.step()
    b.step()
    assert (a.active(), b.active()) == (False, True)
    assert (table.row().holder, table.row().epoch) == ("b", taken.epoch)


def test_of_two_agents_that_are_both_asked_one_wins() -> None:
    table = Table()
    table.agent("h")[0].step()
    (a, _), (b, _) = table.agent("a", STANDBY), table.agent("b", STANDBY)
    taken = table.given_to(STANDBY)
    late = table.leases()
    for agent in (a, b):
        agent.promote(taken.epoch)
        agent.step()
    b.step()

    assert (a.active(), b.active()) == (True, False)
    with pytest.raises(Conflict):
        late.claim(taken, HolderId("b"), length=TERMS.lease)


def test_another_agent_of_the_site_waits_for_a_whole_lease_and_takes_a_new_epoch() -> None:
    table = Table()
    a, _ = table.agent("a")
    a.step()
    rebooted, _ = table.agent("b")
    rebooted.step()
    table.clock.at += 4.9
    rebooted.step()
    assert not rebooted.active()
    table.clock.at += 0.1
    rebooted.step()

    assert rebooted.active()
    assert (table.row().holder, table.row().epoch) == ("b", 2)
    a.step()
    assert not a.active()


def test_a_rebooted_master_that_was_told_to_give_up_frees_what_its_dead_predecessor_held() -> None:
    table = Table()
    table.agent("a")[0].step()
    rebooted, _ = table.agent("b")
    rebooted.step()
    rebooted.give_up("a switchover that came to nothing")
    table.clock.at += 4.9
    rebooted.step()
    assert table.row().state is LeaseState.HELD
    table.clock.at += 0.2
    rebooted.step()

    assert table.row().state is LeaseState.FREE
    assert not rebooted.active()


def test_the_same_agent_goes_on_under_its_epoch_after_a_restart() -> None:
    table = Table()
    table.agent("a")[0].step()
    again, _ = table.agent("a")
    assert not again.active()
    again.step()

    assert again.active()
    assert table.row().epoch == 1


def test_a_site_that_is_told_to_give_up_gives_back_what_nobody_has_claimed() -> None:
    table = Table()
    table.agent("h")[0].step()
    a, _ = table.agent("a", STANDBY)
    taken = table.given_to(STANDBY)
    a.step()
    a.give_up("told to")
    a.promote(taken.epoch)
    a.step()

    assert table.row().state is LeaseState.FREE
    assert not a.active()


def test_a_row_written_before_holders_were_is_claimed_by_nobody_and_waited_for() -> None:
    table = Table()
    table.agent("h")[0].step()
    table.given_to(STANDBY)
    columns = dict(table.rows.table(TABLE)[(PAIR,)])
    del columns["holder"]
    table.rows.write(TABLE, Row(key=(PAIR,), columns=columns), Anything(), keep=False)
    a, _ = table.agent("a", STANDBY)
    a.promote(Epoch(2))
    a.step()
    assert not a.active()

    table.clock.at += 5
    a.step()
    assert a.active()
    assert table.row().epoch == 3
