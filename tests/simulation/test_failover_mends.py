"""What goes wrong beside the main road of a failover, and how the watches bring it back. Virtual seconds."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.decision import Decision
from shared.domain.errors import Permanent
from shared.domain.failover_fsm import AT_REST, State
from shared.domain.ids import SiteName
from shared.state.controls import Pause
from shared.state.decisions import Decisions
from shared.state.failovers import Failovers, SwitchOrder
from shared.state.leases import TABLE
from tests.simulation.failover_world import ADDRESS, FailoverWorld, TruthStore
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.test_failover_stories import LOSS, Open, opened, served_again
from tests.simulation.world import Process

__all__ = ["opened"]


def write_name(pair: FailoverWorld, address: str) -> None:
    """As a watch does that was frozen between its last look and its write."""
    record = int(pair.record().record_id)
    pair.cloud.pvtz.update_record(record, rr="master", type="A", value=address, ttl=5, priority=None)


def once_in(pair: FailoverWorld, state: State, do: Callable[[], object], patch: pytest.MonkeyPatch) -> list[float]:
    """`do` at a watch's first call to the outside in `state`. Returns when that was, once it has been."""
    before, done = pair.outside, list[float]()

    def outside(process: Process) -> None:
        if not done and pair.failover().state is state:
            done.append(pair.world.now)
            do()
        before(process)

    patch.setattr(pair, "outside", outside)
    return done


def lose(pair: FailoverWorld, site: SiteName = H) -> None:
    pair.at(LOSS, lambda: pair.go_dark(site))


def test_a_late_write_of_the_old_address_while_confirming_is_bound_again_at_once(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = opened(watches=(I,))
    astray = once_in(pair, State.CONFIRMING, lambda: write_name(pair, ADDRESS[H]), monkeypatch)
    lose(pair)
    pair.world.run(20)

    assert pair.record().value == ADDRESS[I]
    assert pair.failover().state in AT_REST
    assert max(at for at, _ in pair.rebinds) - astray[0] < 2
    assert pair.events().count("failover.rebinding") == 2
    assert pair.failover().seconds.keys() == {"detect", "decide", "fence", "promote", "rebind", "serve"}


def test_somebody_who_keeps_writing_the_name_back_ends_at_an_operator(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = opened(watches=(I,))
    before = pair.outside

    def outside(process: Process) -> None:
        if pair.failover().state is State.CONFIRMING:
            write_name(pair, ADDRESS[H])
        before(process)

    monkeypatch.setattr(pair, "outside", outside)
    lose(pair)
    pair.world.run(70)

    assert "failover.needs_operator" in pair.events()
    assert len(pair.rebinds) < 12
    assert pair.record().value == ADDRESS[I], "and then each round writes it again"


@pytest.mark.parametrize("moment", [20.0, 21.0, 22.0, 23.0, 24.0])
def test_a_late_write_in_calm_stands_for_no_more_than_two_rounds(opened: Open, moment: float) -> None:
    pair = opened(watches=(H,))
    pair.world.run(moment)
    write_name(pair, ADDRESS[I])
    pair.world.run(2.5)

    assert pair.record().value == ADDRESS[H]


@pytest.mark.parametrize(("written", "stands"), [(ADDRESS[I], ADDRESS[H]), ("10.9.9.9", "10.9.9.9")])
def test_in_a_pause_the_name_leaves_a_standby_but_not_where_an_operator_put_it(
    opened: Open, written: str, stands: str
) -> None:
    pair = opened()
    pair.controls().pause(Pause(scope="failover", since=pair.now(), because="maintenance"))
    pair.world.run(20)
    assert pair.failover().state is State.PAUSED
    write_name(pair, written)
    pair.world.run(10)

    assert pair.record().value == stands


def test_a_take_over_that_ends_at_an_operator_counts_against_the_next(opened: Open) -> None:
    pair = opened(watches=(I,))
    pair.names_down = True
    lose(pair)
    pair.world.run(70)

    assert pair.failover().state is State.NEEDS_OPERATOR
    assert pair.failover().automatic_at is not None


def test_a_take_over_under_which_nobody_ever_served_keeps_the_old_site_out_no_longer_than_its_lease(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = opened(watches=(I,))
    pair.refuse_promotions = True
    # The standby falls ill between the take-over and its promotion: it will never claim what was taken for it.
    once_in(pair, State.PROMOTING, lambda: pair.unready.add(I), monkeypatch)
    lose(pair)
    pair.at(LOSS + 12, lambda: pair.lighten(H))
    pair.at(LOSS + 12, lambda: setattr(pair, "refuse_promotions", False))
    pair.world.run(90)

    assert pair.failover().automatic_at is not None
    assert pair.active() == {H}


def test_a_watch_that_hears_nobody_does_not_take_the_decision_from_the_others(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = opened(watches=(I,))
    once_in(pair, State.FENCING, lambda: pair.blind.add(I), monkeypatch)
    lose(pair)
    pair.world.run(25)
    assert pair.failover().state is State.FENCING

    pair.blind.clear()
    pair.world.run(5)
    assert pair.failover().state in AT_REST
    assert pair.record().value == ADDRESS[I]


@pytest.mark.parametrize("state", [None, State.PAUSED])
def test_a_lost_lease_row_calls_an_operator_until_it_is_sound_again(opened: Open, state: State | None) -> None:
    pair = opened()
    if state is State.PAUSED:
        pair.controls().pause(Pause(scope="failover", since=pair.now(), because="maintenance"))
    pair.world.run(20)
    columns = dict(pair.rows.table(TABLE)[(PAIR,)])
    pair.rows.table(TABLE).clear()
    pair.world.run(20)

    called = pair.decisions()[-1]
    assert pair.failover().state is state or State.NEEDS_OPERATOR
    assert "the lease row is gone" in called.because
    assert "runbook: lease-row-missing" in called.because
    pair.controls().resume("failover", pair.now())
    pair.rows.table(TABLE)[(PAIR,)] = columns | {"epoch": 2, "version": 1, "token": "by hand"}
    pair.world.run(30)

    assert pair.failover().state in AT_REST
    assert len(pair.active()) == 1


def test_a_pair_that_never_ran_has_lost_no_lease_row(opened: Open) -> None:
    pair = opened()
    pair.dead |= {H, I}
    pair.world.run(20)

    assert "failover.needs_operator" not in pair.events()


def test_a_pause_given_after_the_decision_still_stops_the_take_over(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = opened(watches=(I,))

    def pause_and_die() -> None:
        pair.controls().pause(Pause(scope="failover", since=pair.now(), because="it is only the network"))
        pair.crash["watch-i"] = pair.calls["watch-i"] + 1

    once_in(pair, State.FENCING, pause_and_die, monkeypatch)
    lose(pair)
    pair.world.run(40)

    assert pair.failover().state is State.PAUSED
    assert pair.rebinds == []
    assert pair.rows.table(TABLE)[(PAIR,)]["epoch"] == 1


def test_a_wrong_wall_clock_of_the_watch_before_calls_no_operator(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = opened(watches=(I,))

    def backdate() -> None:
        Failovers(TruthStore(pair.rows)).save(
            replace(pair.failover(), since=pair.now() - timedelta(hours=1), because="written elsewhere")
        )
        pair.blind.add(I)
        pair.at(pair.world.now + 9, pair.blind.clear)
        pair.crash["watch-i"] = pair.calls["watch-i"] + 1  # another function instance reads that row

    once_in(pair, State.FENCING, backdate, monkeypatch)
    lose(pair)
    pair.world.run(30)

    assert "failover.needs_operator" not in pair.events()
    assert pair.record().value == ADDRESS[I]


def test_a_failover_does_not_stop_for_a_record_that_is_refused(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_self: Decisions, _scope: str, *_decisions: Decision) -> None:
        raise Permanent("the table is full")

    monkeypatch.setattr(Decisions, "record", refused)
    pair = opened(watches=(I,))
    lose(pair)
    pair.world.run(30)

    assert served_again(pair, I) < 7.5
    assert pair.record().value == ADDRESS[I]
    assert pair.failover().state in AT_REST


def test_an_old_order_is_refused_on_record_and_moves_nothing(opened: Open) -> None:
    pair = opened()
    pair.world.run(10)
    given = pair.now() - timedelta(minutes=11)
    pair.orders().give(SwitchOrder(pair=PAIR, to_site=I, at=given, because="maintenance of hz-h"))
    pair.world.run(20)

    assert pair.active() == {H}
    assert pair.orders().pending(PAIR) is None
    (refused,) = [one for one in pair.decisions() if one.event == "switchover.refused"]
    assert "give it again" in refused.because[0]


def test_an_order_that_replaced_the_one_carried_out_stays(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = opened(watches=(H,))
    pair.world.run(10)
    back = SwitchOrder(pair=PAIR, to_site=H, at=pair.now(), because="changed my mind")
    kept: list[SwitchOrder | None] = []

    def replace_order() -> None:
        pair.orders().give(back)
        pair.at(pair.world.now + 0.5, lambda: kept.append(pair.orders().pending(PAIR)))

    once_in(pair, State.FENCING, replace_order, monkeypatch)
    pair.orders().give(SwitchOrder(pair=PAIR, to_site=I, at=pair.now(), because="maintenance of hz-h"))
    pair.world.run(10)

    assert kept == [back]


def test_a_name_that_nobody_can_read_calls_an_operator_though_all_is_well(opened: Open) -> None:
    pair = opened()
    pair.at(20.0, lambda: setattr(pair, "names_down", True))
    pair.at(80.0, lambda: setattr(pair, "names_down", False))
    pair.world.run(79)
    assert pair.failover().state is State.NEEDS_OPERATOR
    assert "master.corp.example cannot be read" in pair.failover().because

    pair.world.run(20)
    assert pair.failover().state in AT_REST
    assert pair.rebinds == []


def test_a_watch_that_does_not_run_is_told_by_the_other_once(opened: Open) -> None:
    alone, both = opened(watches=(I,)), opened()
    alone.world.run(310)
    both.world.run(310)

    assert alone.events().count("watch.missing") == 1
    assert "watch of hz-h was last heard at never" in " ".join(
        next(one for one in alone.decisions() if one.event == "watch.missing").because
    )
    assert "watch.missing" not in both.events()


def test_a_new_holder_that_gives_its_lease_back_at_once_is_not_waited_for(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = opened(watches=(I,), block=0.0)

    def fall_ill() -> None:
        pair.unready.add(I)
        pair.lighten(H)

    done = once_in(pair, State.REBINDING, fall_ill, monkeypatch)
    lose(pair)
    pair.world.run(40)

    assert done
    assert "failover.needs_operator" not in pair.events()
    assert pair.active() == {H}
    assert min(pair.accepted_by(H, after=done[0])) < done[0] + 8


def test_within_a_block_a_holder_that_was_ill_for_a_moment_gets_its_own_lease_back(opened: Open) -> None:
    pair = opened(watches=(I,))
    lose(pair)
    pair.at(LOSS + 10, lambda: pair.lighten(H))
    pair.at(40.0, lambda: pair.unready.add(I))
    pair.at(44.0, lambda: pair.unready.discard(I))
    pair.world.run(39)
    assert pair.active() == {I}
    pair.world.run(31)

    assert pair.active() == {I}
    assert pair.record().value == ADDRESS[I]
    assert len(pair.rebinds) == 1
    assert pair.failover().state in AT_REST
