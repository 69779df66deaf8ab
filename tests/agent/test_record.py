"""What an agent makes of the lease by itself is on record, and nothing waits for that."""

from datetime import UTC, datetime

from shared.domain.errors import Retryable
from shared.domain.ids import Epoch, HolderId, SiteName
from shared.ports.store import Condition, Row
from shared.state.decisions import Decisions
from shared.state.leases import Leases
from tests.agent.test_holder import PAIR, STANDBY, TERMS, Board, H, Hands, Table
from tests.simulation.failover_world import TruthStore
from understudy.agent.holder import Holder
from understudy.agent.record import Record


class Stubborn(TruthStore):
    """A store that takes no decision while it is `away`."""

    away = False

    def put(self, table: str, row: Row, *, condition: Condition) -> None:
        if self.away and table == "decisions":
            raise Retryable("no answer")
        super().put(table, row, condition=condition)


def recorded(table: Table, name: str, store: Stubborn, *, site: SiteName = H) -> tuple[Holder, Record]:
    record = Record(Decisions(store), pair=PAIR, site=site, holder=HolderId(name), run="agent-1", clock=table.clock)
    holder = Holder(
        pair=PAIR,
        site=site,
        holder_id=HolderId(name),
        preferred=site == H,
        terms=TERMS,
        leases=Leases(store, tokens=table._token),
        clock=table.clock,
        board=Board(),
        ready=lambda: True,
        told=record.tell,
    )
    return holder, record


def told(table: Table) -> list[tuple[str, int | None, str]]:
    """Oldest first."""
    found = list(Decisions(TruthStore(table.rows)).of(PAIR))[::-1]
    return [(one.event, one.epoch, one.inputs.get("granted_to") or one.inputs["held_by"]) for one in found]


def test_the_first_lease_of_all_is_told_with_its_epoch_and_its_site() -> None:
    table = Table()
    agent, record = recorded(table, "a", Stubborn(table.rows))
    agent.step()
    assert told(table) == [], "the renewing thread writes nothing but the lease"

    record.write()

    assert told(table) == [("lease.created", 1, H)]
    (decision,) = Decisions(TruthStore(table.rows)).of(PAIR)
    assert (decision.inputs["holder"], decision.run) == ("a", "agent-1")
    assert datetime.fromisoformat(decision.inputs["began"]) <= decision.at


def test_what_a_watch_took_is_told_once_it_is_claimed_and_renewals_are_not() -> None:
    table = Table()
    first, _ = recorded(table, "a", Stubborn(table.rows))
    first.step()
    taken = table.given_to(STANDBY)
    agent, record = recorded(table, "b", Stubborn(table.rows), site=STANDBY)
    agent.promote(taken.epoch)
    for _ in range(5):
        agent.step()
        record.write()
        table.clock.at += 1

    assert told(table) == [("lease.claimed", 2, STANDBY)]


def test_what_another_agent_of_the_site_let_run_out_is_told_as_taken() -> None:
    table = Table()
    first, _ = recorded(table, "a", Stubborn(table.rows))
    first.step()
    agent, record = recorded(table, "b", Stubborn(table.rows))
    agent.step()
    table.clock.at += TERMS.lease.total_seconds() + 1
    agent.step()
    record.write()

    assert told(table) == [("lease.taken", 2, H)]


def test_what_the_store_does_not_take_is_told_later_and_only_once() -> None:
    table = Table()
    store = Stubborn(table.rows)
    agent, record = recorded(table, "a", store)
    agent.step()
    store.away = True
    record.write()
    assert told(table) == []
    assert agent.active(), "nothing waits for the record"

    store.away = False
    record.write()
    record.write()

    assert told(table) == [("lease.created", 1, H)]


def test_what_was_held_before_this_process_is_told_once_without_saying_since_when() -> None:
    table = Table()
    before, _ = recorded(table, "a", Stubborn(table.rows))
    before.step()
    agent, record = recorded(table, "a", Stubborn(table.rows))
    for _ in range(3):
        agent.step()
        record.write()
        table.clock.at += 1

    assert told(table) == [("lease.held", 1, H)]
    (decision,) = Decisions(TruthStore(table.rows)).of(PAIR)
    assert "began" not in decision.inputs


def test_a_lease_that_somebody_else_took_first_is_not_told() -> None:
    table = Table()
    agent, record = recorded(table, "a", Stubborn(table.rows))
    table.leases().create(PAIR, STANDBY, length=TERMS.lease, holder=HolderId("b"))
    agent.step()
    record.write()

    assert told(table) == []


def test_the_moment_is_the_clocks_and_the_epoch_the_leases() -> None:
    table = Table()
    record = Record(
        Decisions(TruthStore(table.rows)), pair=PAIR, site=H, holder=HolderId("a"), run="agent-1", clock=Hands()
    )
    record.tell("lease.taken", Epoch(7), "because", datetime(2026, 3, 1, tzinfo=UTC))
    record.write()

    (decision,) = Decisions(TruthStore(table.rows)).of(PAIR)
    assert (decision.epoch, decision.at) == (7, datetime(2026, 3, 2, tzinfo=UTC))
    assert decision.inputs["began"] == "2026-03-01T00:00:00.000000Z"
