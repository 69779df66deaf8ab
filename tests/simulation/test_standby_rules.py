"""What of a loss is an operator's to decide, with the real watches: data, vetoes, maintenance, the manual mode, and a
side that was lost and is unprotected. Virtual seconds."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from emulator.faults.fault import Fault
from shared.domain.calendar_rules import Blackout
from shared.domain.errors import Retryable
from shared.domain.failover_fsm import AT_REST, State
from shared.domain.failover_safety import Kind, Rule
from shared.domain.ids import Epoch, SiteName
from shared.domain.lease import Lease
from shared.domain.pair import DataRule, Hook, Mode, Pair, Silence, UnknownLag
from shared.ports.hooks import HookAnswer, Said
from shared.state.failovers import SwitchOrder
from shared.state.leases import Leases
from tests.simulation.failover_world import ADDRESS, FailoverWorld, TruthStore
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.test_failover_mends import once_in
from tests.simulation.test_failover_stories import LOSS, Open, opened, served_again
from tests.simulation.world import EPOCH, tokens

__all__ = ["opened"]

HOOK = Hook(name="ledger", url="http://10.0.0.9/")
VETO = HookAnswer(said=Said.VETO, why="the books are open")
SILENT = HookAnswer(said=Said.SILENT)


def agreed(**changes: Any) -> Callable[[Pair], Pair]:
    return lambda pair: replace(pair, **changes)


def loses(pair: FailoverWorld, site: SiteName = H) -> None:
    pair.at(max(LOSS, pair.world.now), lambda: pair.go_dark(site))


def order(pair: FailoverWorld, *force: Rule, to: SiteName = I, kind: Kind = Kind.FAILOVER) -> None:
    pair.orders().give(
        SwitchOrder(pair=PAIR, to_site=to, at=pair.now(), because="test", kind=kind, by="li", force=force)
    )


def waits_for_an_operator(pair: FailoverWorld, *said: str) -> None:
    assert pair.failover().state is State.NEEDS_OPERATOR
    told = " ".join(next(one for one in pair.decisions() if one.event == "failover.needs_operator").because)
    assert [one for one in said if one not in told] == [], told
    assert pair.rebinds == []
    assert {one.epoch for one in pair.accepted} == {1}


def moved(pair: FailoverWorld, to: SiteName = I) -> None:
    assert pair.active() == {to}
    assert pair.record().value == ADDRESS[to]
    assert pair.failover().state in AT_REST
    assert pair.overlap() == ""


# --- data ---


def test_data_that_is_too_far_behind_calls_an_operator_and_one_order_moves_it_all_the_same(opened: Open) -> None:
    pair = opened(watches=(I,))
    pair.lags[I] = timedelta(seconds=90)
    loses(pair)
    pair.world.run(30)
    waits_for_an_operator(pair, "of data would be lost by a move to hz-i", "runbook: data-is-behind")

    order(pair, Rule.LAG)
    pair.world.run(30)
    moved(pair)
    done = next(one for one in pair.decisions() if one.event == "failover.completed")
    assert float(done.inputs["loss_s"]) >= 90
    assert pair.failover().loss_s == float(done.inputs["loss_s"])
    assert next(one for one in pair.decisions() if one.event == "failover.decided").inputs["overrode"] == "lag"


def test_data_that_is_close_enough_moves_in_time_and_the_loss_is_on_record(opened: Open) -> None:
    pair = opened(watches=(I,))
    pair.lags[I] = timedelta(seconds=2)
    loses(pair)
    pair.world.run(30)

    moved(pair)
    assert served_again(pair, I) < 7.5
    assert 2 <= (pair.failover().loss_s or 0) <= 8


def test_the_age_of_what_was_measured_counts(opened: Open) -> None:
    """A lag of 9.5 s that was measured a second before it was told: more than 10 s may be lost."""
    pair = opened(watches=(I,))
    pair.lags[I] = timedelta(seconds=9.9)
    loses(pair)
    pair.at(LOSS + 0.1, lambda: pair.lags.update({I: timedelta(seconds=600)}))
    pair.world.run(30)

    waits_for_an_operator(pair, "runbook: data-is-behind")


@pytest.mark.parametrize("unknown", UnknownLag)
def test_a_lag_that_nobody_knows_is_refused_or_accepted_by_the_policy(opened: Open, unknown: UnknownLag) -> None:
    pair = opened(watches=(I,), agreed=agreed(data=DataRule(unknown=unknown)))
    loses(pair)
    pair.world.run(30)

    if unknown is UnknownLag.REFUSE:
        waits_for_an_operator(pair, "nobody knows how far the data of hz-i is behind", "runbook: data-is-behind")
    else:
        moved(pair)


def test_what_grows_after_the_loss_does_not_count(opened: Open) -> None:
    pair = opened(watches=(I,))
    pair.lags[I] = timedelta(seconds=1)
    loses(pair)

    def grows() -> None:
        pair.lags[I] += timedelta(seconds=4)
        pair.world.later(1.0, grows)

    pair.at(LOSS + 1, grows)
    pair.world.run(30)

    moved(pair)
    assert (pair.failover().loss_s or 0) < 8


# --- hooks ---


def test_hooks_that_agree_cost_nothing(opened: Open) -> None:
    pair = opened(watches=(I,), agreed=agreed(hooks=(HOOK,)))
    loses(pair)
    pair.world.run(30)

    moved(pair)
    assert served_again(pair, I) < 7.5
    assert pair.hooks_asked
    assert all(at >= LOSS for at, _ in pair.hooks_asked), "in calm nobody is asked"


def test_a_veto_calls_an_operator_and_once_it_is_withdrawn_the_pair_moves(opened: Open) -> None:
    pair = opened(watches=(I,), agreed=agreed(hooks=(HOOK,)))
    pair.hooks_say = VETO
    loses(pair)
    pair.world.run(30)
    waits_for_an_operator(pair, "hook ledger says no: the books are open", "runbook: hook-vetoed")

    pair.hooks_say = HookAnswer(said=Said.PROCEED)
    pair.world.run(30)
    moved(pair)


def test_a_veto_can_be_overridden_by_name(opened: Open) -> None:
    pair = opened(watches=(I,), agreed=agreed(hooks=(HOOK,)))
    pair.hooks_say = VETO
    loses(pair)
    pair.world.run(30)
    order(pair, Rule.HOOK)
    pair.world.run(30)

    moved(pair)
    assert next(one for one in pair.decisions() if one.event == "failover.decided").inputs["overrode"] == "hook"


@pytest.mark.parametrize("silence", Silence)
def test_a_silent_hook_counts_as_the_policy_says(opened: Open, silence: Silence) -> None:
    pair = opened(watches=(I,), agreed=agreed(hooks=(replace(HOOK, silence=silence),)))
    pair.hooks_say = SILENT
    loses(pair)
    pair.world.run(30)

    if silence is Silence.VETO:
        waits_for_an_operator(pair, "hook ledger said nothing within 1 s, which counts as a no")
    else:
        moved(pair)


# --- planned moves ---


SPOILT: dict[str, Callable[[FailoverWorld], object]] = {
    "two records": lambda pair: pair.cloud.pvtz.add_record("z-t", rr="master", type="A", value="10.9.9.9", ttl=5),
    "no record": lambda pair: pair.cloud.pvtz.delete_record(int(pair.record().record_id)),
    "service down": lambda pair: pair.cloud.faults.add_all(
        [Fault(kind="throttle", service="pvtz", action="DescribeZoneRecords", calls=None)]
    ),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_planned_move_whose_name_could_not_follow_is_called_off_while_the_old_side_serves(
    opened: Open, spoilt: str
) -> None:
    """It moved, and clients were left with an address that refuses them."""
    pair = opened()
    pair.at(LOSS, lambda: SPOILT[spoilt](pair))
    pair.at(LOSS + 1, lambda: order(pair, kind=Kind.SWITCHOVER))
    pair.world.run(LOSS + 30)

    off = next(one for one in pair.decisions() if one.event == "switchover.called_off")
    assert "master.corp.example" in " ".join(off.because)
    assert pair.active() == {H}
    assert {one.epoch for one in pair.accepted} == {1}


@pytest.mark.parametrize(
    ("spoils", "why"),
    [
        (lambda pair: setattr(pair, "hooks_say", VETO), "the books are open"),
        (lambda pair: pair.lags.update({I: timedelta(minutes=5)}), "it is 300 s behind"),
    ],
    ids=["veto", "lag"],
)
def test_a_planned_move_that_is_called_off_costs_no_refused_command(
    opened: Open, spoils: Callable[[FailoverWorld], None], why: str
) -> None:
    """What stands in the way shows only after the order was taken up."""
    pair = opened(agreed=agreed(hooks=(HOOK,)))
    pair.world.run(LOSS)
    order(pair, kind=Kind.SWITCHOVER)
    taken_up = False

    def watched() -> None:
        nonlocal taken_up
        if pair.failover().state is State.PREPARING and not taken_up:
            taken_up = True
            spoils(pair)
        pair.world.later(0.005, watched)

    pair.world.later(0.0, watched)
    pair.world.run(20)

    assert taken_up
    off = next(one for one in pair.decisions() if one.event == "switchover.called_off")
    assert why in " ".join(off.because)
    assert {one.epoch for one in pair.accepted} == {1}
    commands = pair.accepted_by(H, after=LOSS)
    assert max(b - a for a, b in pairwise(commands)) < 1.5, "it served all the time"


def test_a_planned_move_with_hooks_refuses_no_longer_than_one_without(opened: Open) -> None:
    gaps = []
    for hooks in ((), (HOOK,)):
        pair = opened(watches=(H,), agreed=agreed(hooks=hooks))
        pair.world.run(LOSS)
        order(pair, kind=Kind.SWITCHOVER)
        pair.world.run(20)
        moved(pair)
        gaps.append(min(pair.accepted_by(I)) - max(pair.accepted_by(H)))

    assert gaps[1] - gaps[0] < 0.7, "masters look at their role every 0.1 to 0.6 s"


# --- maintenance, and by hand only ---


def test_inside_a_maintenance_window_nothing_moves_by_itself_and_after_it_does(opened: Open) -> None:
    window = Blackout(name="patch night", zone="UTC", since=EPOCH, until=EPOCH + timedelta(seconds=60))
    pair = opened(watches=(I,), agreed=agreed(maintenance=(window,)))
    loses(pair)
    pair.world.run(45)
    waits_for_an_operator(pair, "maintenance patch night", "`understudy failover control`")

    pair.world.run(45)
    moved(pair)


@pytest.mark.parametrize("how", ["maintenance", "manual"])
def test_an_order_moves_what_may_not_move_by_itself(opened: Open, how: str) -> None:
    window = Blackout(name="patch night", zone="UTC", since=EPOCH, until=EPOCH + timedelta(hours=5))
    pair = opened(
        watches=(I,), agreed=agreed(maintenance=(window,)) if how == "maintenance" else agreed(mode=Mode.MANUAL)
    )
    loses(pair)
    pair.world.run(30)
    waits_for_an_operator(pair, "runbook: failover-is-yours-to-order")

    order(pair)
    pair.world.run(30)
    moved(pair)


def test_a_holder_that_gave_its_lease_back_and_is_well_again_goes_on_also_in_manual_mode(opened: Open) -> None:
    pair = opened(agreed=agreed(mode=Mode.MANUAL))
    pair.at(LOSS, lambda: pair.unready.add(H))
    pair.at(LOSS + 8, lambda: pair.unready.discard(H))
    pair.world.run(60)

    assert pair.active() == {H}
    assert pair.record().value == ADDRESS[H]


# --- protection ---


def lost_once(opened: Open, **built: Any) -> FailoverWorld:
    pair = opened(block=0.0, **built)
    loses(pair)
    pair.world.run(30)
    moved(pair)
    return pair


def test_after_a_loss_the_pair_says_at_once_that_it_is_unprotected_and_again_each_hour(opened: Open) -> None:
    pair = lost_once(opened)
    assert pair.failover().state is State.REPROTECTING
    assert pair.failover().unprotected == H
    assert pair.events().count("pair.unprotected") == 1

    pair.world.run(3600)
    assert pair.events().count("pair.unprotected") == 2, "one of the watches, once an hour"


def test_why_it_is_unprotected_is_told_as_it_is_now_and_not_as_it_was_in_the_first_round(opened: Open) -> None:
    pair = lost_once(opened)
    pair.world.run(30)
    assert "the agent of hz-h is silent" in pair.failover().because
    assert "yet. hz-h may not take over" in pair.failover().because
    version = pair.failover().version
    pair.world.run(600)
    assert pair.failover().version == version, "the same reason is written once"

    pair.lags[H] = timedelta(hours=2)
    pair.lighten(H)
    pair.world.run(60)
    assert "7200 s behind" in pair.failover().because
    written = pair.failover().version
    pair.world.run(600)
    assert pair.failover().version == written, "an age that grows is no other reason"
    assert pair.events().count("pair.unprotected") == 1


def test_a_side_that_is_back_and_fit_is_protected_again(opened: Open) -> None:
    pair = lost_once(opened)
    pair.lighten(H)
    pair.world.run(20)

    assert pair.failover().state is State.WATCHING
    assert pair.failover().unprotected == ""
    assert pair.events().count("pair.protected") == 1


def test_a_side_that_is_back_with_old_data_is_not_failed_over_to(opened: Open) -> None:
    pair = lost_once(opened)
    pair.lags[H] = timedelta(hours=2)
    pair.lighten(H)
    pair.world.run(20)
    assert pair.failover().state is State.REPROTECTING

    pair.go_dark(I)
    pair.world.run(60)
    assert pair.failover().state is State.NEEDS_OPERATOR
    told = " ".join(pair.failover().because.split())
    assert "hz-h was lost and is unprotected" in told
    assert pair.record().value == ADDRESS[I]
    assert {one.epoch for one in pair.accepted} == {1, 2}

    order(pair, Rule.UNPROTECTED, Rule.LAG, to=H)
    pair.world.run(30)
    moved(pair, H)


def test_a_failback_waits_for_protection_and_then_is_carried_out(opened: Open) -> None:
    pair = lost_once(opened)
    pair.lags[H] = timedelta(hours=2)
    pair.lighten(H)
    pair.world.run(20)
    order(pair, to=H, kind=Kind.FAILBACK)
    pair.world.run(20)
    assert pair.active() == {I}

    pair.lags[H] = timedelta(seconds=1)
    pair.world.run(30)
    moved(pair, H)
    assert pair.failover().state is State.WATCHING


def test_a_side_that_is_lost_in_the_midst_of_a_planned_move_is_unprotected(opened: Open) -> None:
    pair = opened()
    pair.world.run(LOSS)
    order(pair, kind=Kind.SWITCHOVER)

    def watched() -> None:
        if pair.failover().state is State.PREPARING:
            pair.go_dark(H)
        else:
            pair.world.later(0.005, watched)

    pair.world.later(0.0, watched)
    pair.world.run(40)

    moved(pair)
    assert pair.failover().planned
    assert pair.failover().unprotected == H


def test_a_new_side_that_took_another_epoch_before_it_was_seen_leaves_the_lost_one_unprotected(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its agent was restarted while it was promoted: it may have served, though no watch ever saw that."""
    pair = opened(watches=(I,))
    leases = Leases(TruthStore(pair.rows), tokens=tokens(pair.world))

    def takes_it_again() -> None:
        lease = leases.read(PAIR)
        assert lease is not None
        leases.take(lease, I, length=timedelta(seconds=5))

    again = once_in(pair, State.PROMOTING, takes_it_again, monkeypatch)
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(30)

    assert again
    assert any("hz-i holds epoch 3, newer than 2" in one.because for one in pair.decisions())
    assert pair.failover().unprotected == H
    assert "pair.unprotected" in pair.events()


def test_a_side_lost_in_a_planned_move_is_unprotected_whoever_finds_its_lease_taken(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever took it died, or was slower than the other watch: the row that is taken does not tell how it was left."""
    pair = opened()
    pair.world.run(LOSS)
    take, unheard = Leases.take, list[Epoch]()

    def takes(leases: Leases, seen: Lease, owner: SiteName, **more: Any) -> Lease:
        taken = take(leases, seen, owner, **more)
        if owner == I and not unheard:
            unheard.append(taken.epoch)
            raise Retryable("neither its answer nor what was read back arrived")
        return taken

    monkeypatch.setattr(Leases, "take", takes)
    once_in(pair, State.PREPARING, lambda: pair.go_dark(H), monkeypatch)
    order(pair, kind=Kind.SWITCHOVER)
    pair.world.run(40)

    assert unheard == [2]
    moved(pair)
    assert pair.failover().planned
    assert pair.failover().unprotected == H


def test_a_new_side_that_gets_up_only_after_an_operator_was_called_leaves_the_lost_one_unprotected(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = opened(watches=(I,))
    pair.refuse_promotions = True
    once_in(pair, State.PROMOTING, lambda: pair.unready.add(I), monkeypatch)
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.at(LOSS + 50, lambda: pair.unready.discard(I))
    pair.world.run(110)

    assert "failover.needs_operator" in pair.events()
    assert pair.active() == {I}
    assert pair.failover().state is State.REPROTECTING
    assert pair.failover().unprotected == H


def test_a_planned_move_leaves_the_old_side_protected(opened: Open) -> None:
    pair = opened()
    pair.world.run(LOSS)
    order(pair, kind=Kind.SWITCHOVER)
    pair.world.run(30)

    moved(pair)
    assert pair.failover().state is State.WATCHING
    assert "pair.unprotected" not in pair.events()
