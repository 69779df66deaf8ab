"""Accidents of an operator's day that could make two masters active: what moved, came back, was restored or is of two
versions. The rules themselves are held by test_pledges.py."""

from dataclasses import replace

import pytest

from shared.domain.ids import Epoch, HolderId, Place
from shared.domain.lease import LeaseState
from shared.ports.store import Anything, Row
from shared.state.leases import TABLE, _columns
from tests.agent.pledge_table import PledgeTable
from tests.agent.test_holder import PAIR, STANDBY
from tests.agent.test_pledges import A, B, C, ask, cut, pair, pledged
from tests.simulation.failover_world import TruthStore


def write(table: PledgeTable, **changed: object) -> None:
    """As a backup, an operator or another version writes the row: without asking anybody."""
    row = replace(table.row(), token=table._token(), **changed)  # type: ignore[arg-type]  # fields by name
    TruthStore(table.rows).put(TABLE, Row(key=(PAIR,), columns=_columns(row)), condition=Anything())


# --- the row ---


def test_when_the_store_is_back_with_a_later_epoch_the_holder_that_lived_on_stops() -> None:
    table = PledgeTable()
    a, b = pledged(table)
    assert a.active()
    table.store_away.clear()
    table.step(a, seconds=0.1)
    assert "changed under us" in a.trouble
    table.step(a)

    assert not a.active()
    assert a.extend() is False
    b.promote(Epoch(2))
    table.step(b, seconds=4.8)
    assert not b.active(), "its pledge runs all the same: it cannot know that nobody needs it"
    table.step(b, seconds=0.11)
    assert b.active()


def test_a_row_of_an_earlier_epoch_makes_nobody_active_and_is_not_given_back_either() -> None:
    # Restored from a backup: its old holder would renew it, or free it, while the newer one still serves.
    table = PledgeTable()
    a, _, b, _ = pair(table)
    old = table.row()
    cut(table, A)
    table.clock.at += 10
    b.promote(table.given_to(STANDBY).epoch)
    b.step()
    table.store_away.clear()
    table.step(a, a)
    assert (a.active(), b.active()) == (False, True)

    write(table, owner=old.owner, epoch=old.epoch, version=old.version, holder=old.holder)
    table.step(a, seconds=0.5)
    assert not a.active()
    assert table.row().state is LeaseState.HELD, "freed, it could be taken before the newer holder has stopped"
    assert "epoch 1, but this agent has seen epoch 2" in a.trouble
    table.step(b, b, seconds=0.5)
    assert not b.active()
    assert "epoch 1, but this agent has seen epoch 2" in b.trouble


def test_a_row_restored_with_a_later_epoch_serves_again() -> None:
    table = PledgeTable()
    a, _, b, _ = pair(table)
    write(table, epoch=Epoch(9), version=40, holder=HolderId(""))
    table.step(a, a, b, seconds=0.5)
    assert not a.active()
    a.promote(Epoch(9))
    table.step(a)

    assert a.active()


def test_a_row_that_lost_its_voices_is_still_kept_from_the_agent_that_has_pledged() -> None:
    # A watch of an older version drops them when it takes a lease. (A twin of B is not kept from it.)
    table = PledgeTable()
    a, b = pledged(table)
    write(table, voices=())
    b.promote(Epoch(2))
    for _ in range(20):
        table.step(b, seconds=0.5)
        a.extend()
        assert not (a.active() and b.active())
    assert b.active()


# --- places ---


def test_an_agent_pledges_only_at_its_own_place() -> None:
    # An address that moved to another agent's machine (a floating one, or a name): what the one before it has pledged
    # is unknown there, and what is pledged there does not bind whoever has the address next.
    table = PledgeTable()
    a, board, _, _ = pair(table)
    moved, _ = table.member(C, STANDBY, peers=[A])
    table.network.at[Place(B)] = moved
    cut(table, A)
    table.clock.at += 2
    before = board.said

    assert a.extend() is False
    assert board.said == before
    assert "asked at b, but is at c" in moved.pledge(ask(table, A, 1, to=B)).detail


def test_an_agent_at_which_another_agents_address_arrived_is_not_freed_by_itself() -> None:
    table = PledgeTable()
    a, _ = pledged(table)
    moved, _ = table.member(C, STANDBY, peers=[A])
    table.network.at[Place(B)] = moved
    table.network.silent.add(Place(A))
    moved.promote(Epoch(2))
    table.step(moved, seconds=0.5)

    assert (a.active(), moved.active()) == (True, False)


# --- versions and settings ---


def test_a_peer_without_pledges_extends_nothing() -> None:
    # An older agent answers 404, one whose pledges are off says no.
    table = PledgeTable()
    a, _ = table.member(A, peers=[B])
    b, _ = table.member(B, STANDBY, on=False)
    table.step(a, b)
    cut(table, A)
    table.clock.at += 2
    assert a.extend() is False
    del table.network.at[Place(B)]

    assert a.extend() is False


def test_an_agent_whose_pledges_were_turned_off_still_keeps_what_it_promised() -> None:
    table = PledgeTable()
    a, _ = pledged(table)
    again, _ = table.member(B, STANDBY, on=False)
    again.promote(Epoch(2))
    table.step(again, seconds=3.9)

    assert (a.active(), again.active()) == (True, False)
    table.step(again, seconds=1.1)
    assert again.active()


def test_an_agent_whose_pledges_were_turned_off_and_forgotten_waits_where_somebody_may_live_on_them() -> None:
    table = PledgeTable()
    a, _ = pledged(table)
    again, _ = table.member(B, STANDBY, on=False, known=False)
    again.promote(Epoch(2))
    table.step(again, seconds=3.9)

    assert (a.active(), again.active()) == (True, False)
    table.step(again, seconds=1.1)
    assert again.active()


def test_an_agent_without_pledges_does_not_wait_where_nobody_lives_on_any() -> None:
    table = PledgeTable()
    a, _ = table.member(A, on=False, known=False)
    a.step()
    assert a.active()
    table.clock.at += 10
    b, _ = table.member(B, STANDBY, on=False, known=False)
    b.promote(table.given_to(STANDBY).epoch)
    b.step()

    assert b.active()


# --- time ---


@pytest.mark.parametrize("asleep", [5.0, 3600.0])
def test_a_holder_that_slept_while_it_asked_counts_from_before_its_sleep(asleep: float) -> None:
    table = PledgeTable()
    a, _, b, _ = pair(table)
    cut(table, A)
    table.clock.at += 2
    table.network.on_the_way_back = lambda: setattr(table.clock, "at", table.clock.at + asleep)
    a.extend()
    assert not a.active()
    table.network.on_the_way_back = lambda: None

    assert a.extend() is False, "its time was over: others may have been active since"
    assert not a.active()
    b.promote(table.given_to(STANDBY).epoch)
    table.step(b)
    assert b.active()


def test_an_ask_that_arrives_late_binds_the_peer_and_extends_nothing() -> None:
    # Replayed or held up on the way: a standby is off for at most one lease by it, and never after an order.
    table = PledgeTable()
    _, _, b, _ = pair(table)
    old = ask(table, A, 1)
    table.clock.at += 20
    assert b.pledge(old).pledged
    b.promote(table.given_to(STANDBY).epoch)
    table.step(b, seconds=1)
    assert not b.active()
    assert not b.pledge(old).pledged
    table.step(b, seconds=4)

    assert b.active()


def test_a_promote_hook_longer_than_the_lease_does_not_make_two_active() -> None:
    # While it runs, the agent holds a lease that it does not publish, and may be asked to free another.
    table = PledgeTable()
    a, _, b, _ = pair(table)
    cut(table, A)
    table.clock.at += 10
    done: list[Epoch] = []
    b._prepared = lambda epoch: epoch in done
    b.promote(table.given_to(STANDBY).epoch)
    b.step()
    twin, _ = table.member(C, STANDBY, peers=[A])
    twin.step()
    cut(table, B)
    for _ in range(12):
        table.step(b, twin, seconds=0.5)
        b.extend()
        assert not b.active()
    assert twin.active(), "the row stood still for a whole lease, and B freed it"
    done.append(Epoch(2))
    table.store_away.clear()
    for _ in range(12):
        table.step(a, b, twin, seconds=0.5)
        b.extend()
        assert (a.active(), b.active(), twin.active()) == (False, False, True)


def test_an_order_to_give_up_while_it_is_pledged_changes_nothing_about_its_pledge() -> None:
    table = PledgeTable()
    a, b = pledged(table)
    b.give_up("told to")
    b.promote(Epoch(2))
    table.step(b, seconds=1)

    assert (a.active(), b.active()) == (True, False)


# --- asymmetric cuts ---


@pytest.mark.parametrize("twins", [False, True])
def test_whoever_is_heard_by_whom_two_are_never_active(twins: bool) -> None:
    # A's asks arrive and the answers do not, then the other way round; a watch that sees all gives the lease away.
    table = PledgeTable()
    a, _, b, _ = pair(table)
    agents = [a, b]
    if twins:
        agents += [table.member("a2", peers=[B])[0], table.member("b2", STANDBY, peers=[A])[0]]
        table.step(*agents)
    cut(table, A)
    table.network.unproven = {Place(B)}  # what B says is not heard
    active: set[str] = set()
    for round_ in range(60):
        if round_ == 8:
            table.network.unproven = {Place(A)}
        if round_ == 10:
            taken = table.given_to(STANDBY)
            for one in agents[1:]:
                one.promote(taken.epoch)
        table.step(*agents, seconds=0.5)
        a.extend()
        now = {str(one.holder_id) for one in agents if one.active()}
        assert len(now) <= 1
        active |= now
    assert len(active) == 2, "somebody took over in the end"
