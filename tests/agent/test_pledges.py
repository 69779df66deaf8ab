"""Living on while the store is away: who may extend its deadline on whose word, and who must wait for it.

One test per rule of the proof in `shared.domain.pledge`; each names in a line what would go wrong without it.
"""

import pytest

from shared.domain.errors import OutcomeUnknown
from shared.domain.ids import Epoch, HolderId, Place
from shared.domain.lease import LeaseState
from shared.domain.pledge import Ask, Pledge, Promises
from shared.ports.store import Condition, Row
from shared.state.leases import Leases
from tests.agent.pledge_table import PledgeTable
from tests.agent.test_holder import PAIR, STANDBY, TERMS, Board
from tests.simulation.failover_world import TruthStore
from understudy.agent.holder import Holder

A, B, C = "a", "b", "c"  # agents, each reached at the place of its name


def pair(table: PledgeTable) -> tuple[Holder, Board, Holder, Board]:
    """A is active on the preferred site, B stands by, and each knows the other."""
    a, board_a = table.member(A, peers=[B])
    b, board_b = table.member(B, STANDBY, peers=[A])
    table.step(a, b)
    assert table.row().voices == (A, B)
    return a, board_a, b, board_b


def ask(table: PledgeTable, holder: str, epoch: int, *, to: str = "") -> Ask:
    return Ask(
        pair=PAIR, epoch=Epoch(epoch), holder=HolderId(holder), length=TERMS.lease, nonce=table._token(), to=Place(to)
    )


def cut(table: PledgeTable, *names: str) -> None:
    table.store_away |= set(names)


# --- the holder ---


def test_with_the_store_away_and_the_peer_answering_the_master_stays_active_as_long_as_that_lasts() -> None:
    table = PledgeTable()
    a, board, b, _ = pair(table)
    cut(table, A, B)
    for _ in range(120):
        table.step(a, b, seconds=0.5)
        a.extend()
        assert board.said.active_at(table.clock.at)
        assert not b.active()

    table.network.silent.add(Place(B))
    a.extend()
    left = board.said.until - table.clock.at
    table.step(a, seconds=left)
    a.extend()
    assert not a.active(), "neither store nor all peers: it stops at its deadline"


def test_while_renewals_come_off_nobody_is_asked() -> None:
    table = PledgeTable()
    a, _, _, _ = pair(table)
    for _ in range(10):
        table.step(a, seconds=1)
        a.extend()

    assert table.network.asked == []


def test_a_single_slow_renewal_is_enough_to_ask_and_after_that_once_per_renewal() -> None:
    table = PledgeTable()
    a, _, _, _ = pair(table)
    cut(table, A)
    table.clock.at += 1.5
    a.extend()
    assert len(table.network.asked) == 0
    for _ in range(10):
        table.clock.at += 0.2
        a.extend()

    assert len(table.network.asked) == 2


def test_an_extension_counts_from_the_start_of_asking() -> None:
    # From the answer on it would outlast the pledge, which the peer counts from its receipt.
    table = PledgeTable()
    a, board, _, _ = pair(table)
    cut(table, A)
    table.clock.at += 2
    began = table.clock.at
    table.network.on_the_way = table.network.on_the_way_back = lambda: setattr(table.clock, "at", table.clock.at + 0.4)
    a.extend()

    assert board.said.until == began + 4.0


def test_every_voice_has_to_pledge() -> None:
    # The one that was not asked, or did not answer, is free to take over.
    table = PledgeTable()
    a, board = table.member(A, peers=[B, C])
    table.member(B, STANDBY)
    table.member(C, STANDBY)
    a.step()
    cut(table, A)
    table.network.silent.add(Place(C))
    table.clock.at += 2
    before = board.said

    assert a.extend() is False
    assert board.said == before
    table.network.silent.clear()
    assert a.extend() is True


def test_a_peer_that_is_not_yet_a_voice_in_the_row_extends_nothing() -> None:
    # A taker reads the row: who is not named there is not asked by it.
    table = PledgeTable()
    a, board = table.member(A)
    table.member(B, STANDBY)
    a.step()
    a.learn([Place(B)])
    cut(table, A)
    table.clock.at += 2

    assert a.extend() is False
    assert table.network.asked == []
    table.store_away.clear()
    a.step()
    cut(table, A)
    table.clock.at += 2
    assert a.extend() is True
    assert board.said.until == table.clock.at + 4


class Loses(Leases):
    """Its next write is done, and nobody hears of it."""

    lose = False

    def _write(self, lease, condition: Condition):  # type: ignore[no-untyped-def]  # as the method it stands in for
        if self.lose:
            from shared.state.leases import TABLE, _columns

            row = Row(key=(PAIR,), columns=_columns(lease))
            self._store.put(TABLE, row, condition=condition)
            raise OutcomeUnknown("no answer")
        return super()._write(lease, condition)


def test_the_voices_of_a_write_that_may_have_been_done_have_to_pledge_as_well() -> None:
    # If it was done, a taker asks those: here C, which nobody would have asked to pledge.
    table = PledgeTable()
    leases = Loses(TruthStore(table.rows), tokens=table._token)
    a, _ = table.member(A, peers=[B], leases=leases)
    table.member(B, STANDBY)
    table.member(C, STANDBY)
    a.step()
    a.learn([Place(C)])
    leases.lose = True
    table.step(a, seconds=1)
    assert table.row().voices == (A, C)
    table.network.silent.add(Place(C))
    table.clock.at += 1

    assert a.extend() is False
    assert {place for place, _ in table.network.asked} == {B, C}


def test_a_slow_renewal_does_not_shorten_what_the_peers_have_extended() -> None:
    # A master that is told an earlier deadline stops, needlessly.
    table = PledgeTable()

    class Slow(Leases):
        slow = False

        def renew(self, seen, *, length, voices=None):  # type: ignore[no-untyped-def]  # as the method it stands in for
            done = super().renew(seen, length=length, voices=voices)
            if self.slow:
                table.clock.at += 3
                a.extend()
            return done

    leases = Slow(TruthStore(table.rows), tokens=table._token)
    a, board = table.member(A, peers=[B], leases=leases)
    table.member(B, STANDBY)
    a.step()
    leases.slow = True
    table.step(a, seconds=0.5)

    assert board.said.until == table.clock.at + 4
    assert a.grant.until == board.said.until


def test_an_order_to_give_up_that_comes_while_peers_are_asked_stands() -> None:
    table = PledgeTable()
    a, board, _, _ = pair(table)
    cut(table, A)
    table.clock.at += 2
    table.network.on_the_way_back = lambda: a.give_up("told to")

    assert a.extend() is False
    assert board.said.until == 0
    table.network.on_the_way_back = lambda: None
    table.clock.at += 1
    assert a.extend() is False
    assert board.said.until == 0


def test_what_was_given_up_is_not_extended_even_if_that_could_not_be_published() -> None:
    # The deadline still stands on the board, and has to run out there.
    table = PledgeTable()
    a, board, _, _ = pair(table)
    cut(table, A)
    table.clock.at += 2
    deadline = board.said.until

    def meanwhile() -> None:
        board.broken = True
        with pytest.raises(OSError, match="no space"):
            a.give_up("told to")
        board.broken = False

    table.network.on_the_way_back = meanwhile

    assert a.extend() is False
    assert board.said.until == deadline


def test_voices_that_a_write_may_have_added_while_others_were_asked_have_to_pledge_too() -> None:
    table = PledgeTable()
    leases = Loses(TruthStore(table.rows), tokens=table._token)
    a, board = table.member(A, peers=[B], leases=leases)
    table.member(B, STANDBY)
    a.step()
    table.clock.at += 2
    before = board.said

    def meanwhile() -> None:
        a.learn([Place(C)])
        leases.lose = True
        a.step()

    table.network.on_the_way_back = meanwhile

    assert a.extend() is False
    assert table.row().voices == (A, C)
    assert board.said == before


def test_a_deadline_that_has_passed_is_not_extended() -> None:
    # The peers may have been free in between, and somebody active.
    table = PledgeTable()
    a, board, _, _ = pair(table)
    cut(table, A)
    table.clock.at = board.said.until

    assert a.extend() is False
    assert not a.active()


def test_who_has_freed_a_taker_while_it_asked_does_not_go_on() -> None:
    # Its own word was that it is over.
    table = PledgeTable()
    a, board, _, _ = pair(table)
    cut(table, A)
    table.clock.at += 2
    deadline = board.said.until

    def meanwhile() -> None:
        table.clock.at = deadline
        assert a.pledge(ask(table, C, 2)).pledged

    table.network.on_the_way_back = meanwhile

    assert a.extend() is False
    assert not a.active()


# --- the pledger ---


def pledged(table: PledgeTable) -> tuple[Holder, Holder]:
    """B has just pledged to A, which is cut off from the store; a watch has given the lease to B's site meanwhile."""
    a, _, b, _ = pair(table)
    cut(table, A)
    table.clock.at += 3
    assert a.extend()
    table.given_to(STANDBY)
    return a, b


def test_a_pledged_agent_refuses_promotion_until_its_pledge_is_over_and_says_for_how_long() -> None:
    table = PledgeTable()
    a, b = pledged(table)
    b.promote(Epoch(2))
    table.step(b, seconds=1)
    assert not b.active()
    assert b.waits == "pledged to a (epoch 1) for 4.0 s more"
    assert b.pledged_for().total_seconds() == 4.0
    table.step(b, seconds=3.9)
    assert not b.active()
    assert not a.active()
    table.step(b, seconds=0.1)

    assert b.active()
    assert table.row().holder == B


def test_once_asked_to_promote_it_pledges_for_no_older_epoch() -> None:
    # Or a holder that goes on asking would keep the promoted standby off for ever.
    table = PledgeTable()
    a, b = pledged(table)
    b.promote(Epoch(2))
    table.clock.at += 1.2

    assert a.extend() is False
    assert b.pledge(ask(table, A, 1)).detail == "epoch 1 is over: this agent has promised for 2"


def test_an_agent_that_set_out_to_claim_pledges_for_no_older_epoch_even_after_a_restart() -> None:
    # Its claim may still be under way, and be applied after the pledge.
    table = PledgeTable()
    pair(table)
    table.clock.at += 10
    taken = table.given_to(STANDBY)
    lost = Loses(TruthStore(table.rows), tokens=table._token)
    b, _ = table.member(B, STANDBY, leases=lost, peers=[A])
    lost.lose = True
    b.promote(taken.epoch)
    b.step()
    again, _ = table.member(B, STANDBY, peers=[A])

    assert not again.pledge(ask(table, A, 1)).pledged


def test_what_cannot_be_kept_on_file_is_not_pledged() -> None:
    # A restart would forget it, and promote within the lease.
    table = PledgeTable()
    a, _, b, _ = pair(table)
    table.books[B].broken = True
    cut(table, A)
    table.clock.at += 2

    assert a.extend() is False
    assert "cannot be kept on file" in b.pledge(ask(table, A, 1)).detail


def test_a_pledge_outlives_the_process_that_gave_it() -> None:
    table = PledgeTable()
    pledged(table)
    again, _ = table.member(B, STANDBY, peers=[A])
    again.promote(Epoch(2))
    table.step(again, seconds=4.9)
    assert not again.active()
    table.step(again, seconds=0.1)

    assert again.active()


def test_an_agent_that_finds_no_record_of_its_promises_counts_as_pledged_for_one_lease() -> None:
    table = PledgeTable()
    pledged(table)
    again, _ = table.member(B, STANDBY, known=False, peers=[A])
    again.promote(Epoch(2))
    assert not again.pledge(ask(table, C, 2)).pledged, "it may have pledged to another"
    table.step(again, seconds=4.9)
    assert not again.active()
    assert "is not known" in again.waits
    table.step(again, seconds=0.1)

    assert again.active()


def test_an_agent_that_is_active_pledges_nothing() -> None:
    table = PledgeTable()
    a, _, _, _ = pair(table)

    assert a.pledge(ask(table, B, 2)).detail == "this agent is active itself"
    table.clock.at = a.grant.until
    assert a.pledge(ask(table, B, 2)).pledged


def test_a_write_that_comes_off_after_a_pledge_makes_nobody_active_before_it_is_over() -> None:
    # Renewing its own old row needs no order and no claim: here the pledge was given after the deadline had passed.
    table = PledgeTable()
    a, board, _, _ = pair(table)
    cut(table, A)
    table.step(a, seconds=5)
    assert not a.active()
    assert a.pledge(ask(table, B, 2)).pledged
    table.store_away.clear()
    table.step(a, seconds=1)
    assert board.said.until <= table.clock.at
    assert a.waits == "pledged to b (epoch 2) for 4.0 s more"
    table.step(a, seconds=4)

    assert a.active(), "nobody took over after all"


# --- takers, and the second agent of a site ---


def test_a_second_agent_of_the_site_takes_nothing_while_the_first_lives_on_a_pledge() -> None:
    # Before its own eyes the row stands still for a whole lease.
    table = PledgeTable()
    a, _, b, _ = pair(table)
    twin, _ = table.member(C, peers=[B])
    twin.step()
    cut(table, A)
    for _ in range(60):
        table.step(a, b, twin, seconds=0.5)
        a.extend()
        assert a.active()
        assert not twin.active()
    assert "no voice of it frees it" in twin.waits
    assert "b pledged to a" in twin.waits


def test_it_takes_over_when_a_voice_frees_it() -> None:
    table = PledgeTable()
    a, _, _, _ = pair(table)
    twin, _ = table.member(C, peers=[B])
    twin.step()
    cut(table, A)
    table.clock.at += 3
    assert a.extend()
    table.network.silent.add(Place(A))  # dead
    for at in (2, 2.9):
        table.step(twin, seconds=at)
        assert not twin.active()
    table.step(twin, seconds=0.1)

    assert twin.active()
    assert table.row().epoch == 2


def test_without_any_voice_in_reach_it_takes_nothing() -> None:
    table = PledgeTable()
    pair(table)
    twin, _ = table.member(C, peers=[B])
    twin.step()
    table.network.silent |= {Place(A), Place(B)}
    table.step(twin, seconds=60)

    assert not twin.active()
    assert twin.trouble == "", "it could be promoted"


def test_a_rebooted_master_takes_its_own_row_back_at_its_own_place_though_the_peer_is_dark() -> None:
    # Whoever answers at the place of the dead holder is proof that this holder is over.
    table = PledgeTable()
    pair(table)
    table.clock.at += 1
    rebooted, _ = table.member(C, place=A, known=False, peers=[B])
    table.network.silent.add(Place(B))
    rebooted.step()
    table.step(rebooted, seconds=4.9)
    assert not rebooted.active()
    table.step(rebooted, seconds=0.1)

    assert rebooted.active()
    assert (table.row().holder, table.row().epoch) == (C, 2)


def test_a_clone_that_believes_to_be_at_another_agents_place_is_not_freed_by_itself() -> None:
    table = PledgeTable()
    a, _, b, _ = pair(table)
    clone, _ = table.member(C, place=A, peers=[B])
    table.network.at[Place(A)] = a  # where the network really leads
    clone.step()
    cut(table, A)
    for _ in range(20):
        table.step(a, b, clone, seconds=0.5)
        a.extend()
        assert (a.active(), clone.active()) == (True, False)


def test_an_order_to_an_agent_that_is_no_voice_needs_the_word_of_one() -> None:
    # A second agent of the standby site has pledged nothing, and would become active beside a holder that B keeps.
    table = PledgeTable()
    a, b = pledged(table)
    other, _ = table.member(C, STANDBY, peers=[A])
    other.promote(Epoch(2))
    table.step(other, seconds=1)
    assert not other.active()
    assert "no voice of it frees it" in other.waits
    assert a.active()
    table.step(other, seconds=4)

    assert other.active()
    assert not a.active()
    assert not b.active()


def test_an_agents_own_yes_needs_no_proof_but_that_the_ask_arrived() -> None:
    # Without a secret nothing proves an answer, and a failover must not depend on one.
    table = PledgeTable()
    pair(table)
    b, _ = table.member(B, STANDBY)
    table.clock.at += 10
    table.network.silent.add(Place(A))
    table.network.unproven.add(Place(B))
    b.promote(table.given_to(STANDBY).epoch)
    b.step()

    assert b.active()


def test_a_claim_that_another_voice_has_freed_is_on_file_before_it_is_sent() -> None:
    table = PledgeTable()
    _, _, b, _ = pair(table)
    table.step(seconds=5)
    table.network.silent.add(Place(B))
    b.promote(table.given_to(STANDBY).epoch)
    b.step()
    assert b.active()

    kept = table.books[B].kept
    assert kept is not None
    assert kept.floor == 2


def test_a_watch_that_takes_the_lease_leaves_the_voices_to_whoever_claims_it() -> None:
    table = PledgeTable()
    pair(table)

    assert table.given_to(STANDBY).voices == (A, B)


def test_the_holder_frees_everybody_by_giving_back_and_nobody_else_can() -> None:
    table = PledgeTable()
    a, _, _, _ = pair(table)
    twin, _ = table.member(C, peers=[B])
    twin.step()
    twin.give_up("told to")
    table.step(twin, seconds=5)
    freed = table.row()
    assert (freed.state, freed.voices) == (LeaseState.FREE, (A, B))

    other = PledgeTable()
    a, _, _, _ = pair(other)
    a.give_up("told to")
    a.step()
    assert (other.row().state, other.row().voices) == (LeaseState.FREE, ())


def test_an_agent_without_any_means_leaves_a_lease_that_may_live_on_pledges_alone() -> None:
    table = PledgeTable()
    pair(table)
    taken = table.given_to(STANDBY)
    plain, _ = table.agent("plain", STANDBY)
    plain.promote(taken.epoch)

    assert plain.step() is False
    assert not plain.active()
    assert "no way to ask" in plain.waits


def test_what_is_not_known_does_not_delay_the_very_first_lease() -> None:
    # Nobody was ever active, so nobody lives on what an earlier process may have said.
    table = PledgeTable()
    first, _ = table.member(A, known=False)
    first.step()

    assert first.active()


def test_what_is_known_to_be_pledged_does() -> None:
    table = PledgeTable()
    promises = Promises(pledge=Pledge(holder=HolderId(B), epoch=Epoch(1), until=table.clock.at + 2))
    first, _ = table.member(A, promises=promises)
    first.step()
    assert not first.active()
    table.step(first, seconds=2)

    assert first.active()
