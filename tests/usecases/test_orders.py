"""Orders to move a pair: given at a desk that knows what agents have written, carried out by watches that look."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.domain.errors import BadInput, Declined
from shared.domain.failover_fsm import State
from shared.domain.failover_safety import Kind
from shared.domain.ids import Epoch, Place, SiteName
from shared.ports.probes import AgentReport
from shared.ports.store import Anything, Row
from shared.state.controls import Controls, Pause
from shared.state.decisions import Decisions
from shared.state.failovers import ORDER, ORDERS, Failovers, SwitchOrder, SwitchOrders
from shared.state.heartbeats import Heartbeat, Heartbeats
from shared.state.leases import TABLE, Leases
from shared.state.policies import Policies
from shared.usecases.failover import held_back
from shared.usecases.failover.ask_failover import AskFailover
from tests.simulation.failover_world import ADDRESS, FailoverWorld, TruthStore, pair_policy
from tests.simulation.links import How, watch_at
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.sites import SimAgents
from tests.simulation.test_failover_stories import Open, opened
from tests.simulation.world import EPOCH

__all__ = ["opened"]


@dataclass(frozen=True, slots=True)
class Now:
    pair: FailoverWorld

    def now(self) -> datetime:
        return self.pair.now()

    def monotonic(self) -> float:
        return self.pair.world.now

    def sleep(self, duration: timedelta) -> None:
        raise AssertionError("whoever takes orders does not sleep")


class Desk:
    """Function `command`, as far as it concerns pairs."""

    def __init__(self, pair: FailoverWorld) -> None:
        self.pair, store = pair, TruthStore(pair.rows)
        ask = self.desk = AskFailover(
            policies=Policies(store),
            controls=Controls(store),
            leases=Leases(store, tokens=pair.world.token),
            heartbeats=Heartbeats(store),
            failovers=Failovers(store),
            orders=SwitchOrders(store),
            decisions=Decisions(store),
            clock=Now(pair),
        )
        self.commands = ask.commands(lambda arguments: arguments.get("asked") or pair.now().replace(microsecond=0))  # type: ignore[arg-type,return-value]
        self.beat(H, active=True)
        self.beat(I)

    def beat(self, site: SiteName, **said: Any) -> None:
        beat = Heartbeat(
            site=site, sequence=1, run="r", at=self.pair.now(), active=False, epoch=Epoch(1), address=ADDRESS[site],
            ready=True,
        )  # fmt: skip
        Heartbeats(TruthStore(self.pair.rows)).beat(PAIR, replace(beat, **said))

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        return self.commands[command]({"pair": PAIR, "by": "li", **arguments}, "r-ask")

    def order(self, command: str, **arguments: Any) -> dict[str, Any]:
        return self.ask(command, confirm=PAIR, **arguments)

    def refusal(self, command: str, **arguments: Any) -> str:
        with pytest.raises((BadInput, Declined)) as refused:
            self.order(command, **arguments)
        return str(refused.value)


def after(opened: Open, seconds: float = 10.0, **built: Any) -> tuple[FailoverWorld, Desk]:
    pair = opened(**built)
    pair.world.run(seconds)
    return pair, Desk(pair)


def decision(pair: FailoverWorld, event: str) -> Any:
    return next(one for one in reversed(pair.decisions()) if one.event == event)


def moved_to(pair: FailoverWorld, site: SiteName, epoch: int) -> None:
    assert pair.active() == {site}
    assert (pair.record().value, pair.record().remark) == (ADDRESS[site], f"epoch={epoch}")
    assert pair.failover().state is State.WATCHING
    assert pair.orders().pending(PAIR) is None
    assert pair.overlap() == ""


# --- refused at the desk ---


def test_without_a_confirmation_it_is_only_shown(opened: Open) -> None:
    pair, desk = after(opened)
    shown = desk.ask("switchover")["preview"]

    assert all(one["ok"] for one in shown["checks"]), shown["checks"]
    assert "hz-i takes over as epoch 2, and its agent is told" in [one["does"] for one in shown["actions"]]
    pair.world.run(20)
    assert pair.active() == {H}
    assert pair.rebinds == []


def test_what_was_shown_and_is_overtaken_is_not_done(opened: Open) -> None:
    pair, desk = after(opened)
    token = desk.ask("switchover")["preview"]["token"]
    pair.rows.table(TABLE)[(PAIR,)]["epoch"] = 7

    with pytest.raises(BadInput, match="look at it again"):
        desk.ask("switchover", confirm=token)


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "not heard": ({"at": -60.0}, "last heard 60 s ago"),
    "its clock is ahead, perhaps dead": ({"at": 3600.0}, "the clock of hz-i is 3600 s ahead"),
    "its master is ill": ({"ready": False}, "its master is not well"),
    "already active": ({"active": True}, "says that it is active"),
}


@pytest.mark.parametrize(("said", "says"), UNFIT.values(), ids=UNFIT.keys())
def test_an_order_for_a_site_that_is_not_fit_is_refused_on_record(
    opened: Open, said: dict[str, Any], says: str
) -> None:
    pair, desk = after(opened)
    desk.beat(
        I, **{key: pair.now() + timedelta(seconds=value) if key == "at" else value for key, value in said.items()}
    )

    assert says in desk.refusal("switchover")
    assert says in " ".join(decision(pair, "switchover.refused").because)
    assert pair.orders().pending(PAIR) is None


@pytest.mark.parametrize(
    ("said", "says"),
    [({"lag_s": 11.0, "lag_age_s": 1.0}, "11 s behind"), ({}, "its lag is not known, though the other side measures")],
    ids=["too far", "unknown"],
)
def test_data_that_is_behind_is_refused_unless_that_is_overridden_by_name(
    opened: Open, said: dict[str, Any], says: str
) -> None:
    _, desk = after(opened)
    desk.beat(H, active=True, lag_s=0.0, lag_age_s=0.5)
    desk.beat(I, **said)

    assert says in desk.refusal("switchover")
    assert "failover" in desk.refusal("switchover", force=["lag"], because="now")
    shown = desk.ask("failover", force=["lag"], because="hz-h burns")["preview"]
    assert all(one["ok"] for one in shown["checks"])
    assert says in shown["warnings"][1]


@pytest.mark.parametrize("rule", ["lease", "pause", "fit"])
def test_neither_the_lease_nor_a_pause_is_overridden(opened: Open, rule: str) -> None:
    _, desk = after(opened)

    assert "The lease is never overridden" in desk.refusal("failover", force=[rule], because="now")


def test_who_overrides_says_why(opened: Open) -> None:
    assert "because" in after(opened)[1].refusal("failover", force=["block"])


@pytest.mark.parametrize("scope", ["failover", "failover/control", "all"])
def test_a_paused_pair_takes_no_order(opened: Open, scope: str) -> None:
    pair, desk = after(opened)
    pair.controls().pause(Pause(scope=scope, since=pair.now(), because="migration"))

    assert "migration" in desk.refusal("switchover")


def test_a_site_outside_the_pair_or_the_holder_itself_is_refused(opened: Open) -> None:
    _, desk = after(opened)

    assert "no site of pair control" in desk.refusal("switchover", to="bj-a")
    assert "there is nothing to move" in desk.refusal("switchover", to=H)
    assert "there is nothing to move" in desk.refusal("failback")
    assert "no pair of policy" in desk.refusal("switchover", pair="other")


def test_an_order_while_a_failover_runs_is_refused(opened: Open) -> None:
    pair, desk = after(opened)
    now = Failovers(TruthStore(pair.rows))
    now.save(replace(pair.failover(), state=State.REBINDING, to_site=I, epoch=Epoch(1)))

    assert "its failover is rebinding" in desk.refusal("switchover")


# --- given ---


def test_an_order_is_carried_out_and_said_to_be_by_whom(opened: Open) -> None:
    pair, desk = after(opened)
    order = desk.order("switchover", because="new kernel on hz-h")["order"]
    pair.world.run(20)

    moved_to(pair, I, 2)
    decided = decision(pair, "failover.decided")
    assert (decided.inputs["order"], decided.inputs["by"], decided.inputs["overrode"]) == (order, "li", "")
    assert "switchover to hz-i ordered by li: new kernel on hz-h" in decided.because
    assert pair.failover().order == order
    assert pair.failover().automatic_at is None


def test_the_same_order_given_again_moves_it_once(opened: Open) -> None:
    pair, desk = after(opened)
    asked = pair.now().replace(microsecond=0)
    first = desk.order("switchover", asked=asked)
    assert desk.order("switchover", asked=asked) == first
    pair.world.run(20)
    assert desk.order("switchover", asked=asked) == first, "its answer was lost, and it is carried out by now"
    pair.world.run(20)

    moved_to(pair, I, 2)


def test_another_order_beside_the_one_that_stands_is_refused(opened: Open) -> None:
    pair, desk = after(opened)
    desk.order("switchover", asked=pair.now().replace(microsecond=0))

    assert "stands already" in desk.refusal("failover", asked=pair.now().replace(microsecond=0) + timedelta(seconds=1))


def test_of_two_desks_at_once_one_order_stands(opened: Open) -> None:
    pair, _ = after(opened)
    one = SwitchOrder(pair=PAIR, to_site=I, at=pair.now(), because="one", id="one")

    assert pair.orders().offer(one) == one
    assert pair.orders().offer(replace(one, id="two")) == one
    later = replace(one, id="three", at=pair.now() + timedelta(minutes=11))
    assert pair.orders().offer(later) == later, "one too old to be carried out stands in nobody's way"


def test_an_order_that_the_pair_has_overtaken_is_refused_on_record(opened: Open) -> None:
    pair, _ = failed_over(opened)
    late = SwitchOrder(pair=PAIR, to_site=H, at=pair.now(), because="hz-i is slow", epoch=Epoch(1), id="late", by="li")
    pair.orders().give(late)
    pair.world.run(20)

    moved_to(pair, I, 2)
    refused = decision(pair, "switchover.refused")
    assert "given under epoch 1, and hz-i has epoch 2" in refused.because[0]
    assert (refused.acted, refused.inputs["by"]) == (False, "li")


def test_a_pause_ends_what_was_ordered_before_it(opened: Open) -> None:
    pair, desk = after(opened)
    desk.order("switchover")
    pair.controls().pause(Pause(scope="failover/control", since=pair.now(), because="stop!"))
    pair.world.run(15)
    assert pair.orders().pending(PAIR) is None
    assert "stop!" in " ".join(decision(pair, "switchover.refused").because)

    pair.controls().resume("failover/control", pair.now())
    pair.world.run(20)

    assert pair.active() == {H}
    assert pair.rebinds == []


def test_a_site_that_falls_ill_after_the_order_is_waited_for_and_nobody_stopped(opened: Open) -> None:
    pair, desk = after(opened)
    pair.unready.add(I)
    desk.order("switchover")
    pair.world.run(20)
    assert pair.active() == {H}
    assert "not ready" in decision(pair, "switchover.waits").because[0]
    assert pair.events().count("switchover.waits") <= 2, "once by each watch, not in every round"

    pair.unready.discard(I)
    pair.world.run(20)
    moved_to(pair, I, 2)


def test_a_lag_that_only_the_watch_sees_keeps_the_order_waiting(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = SimAgents.look

    def look(self: SimAgents, address: str, port: int, *, timeout: timedelta) -> AgentReport:
        report = looked(self, address, port, timeout=timeout)
        return replace(report, lag=timedelta(minutes=2 if address == ADDRESS[I] else 0), lag_age=timedelta(seconds=1))

    monkeypatch.setattr(SimAgents, "look", look)
    pair, desk = after(opened)
    desk.order("switchover", asked=pair.now().replace(microsecond=0))
    pair.world.run(20)
    assert pair.active() == {H}
    assert "it is 120 s behind" in decision(pair, "switchover.waits").because[0]

    pair.orders().close(pair.orders().pending(PAIR))  # type: ignore[arg-type]  # a plain text is enough here
    desk.beat(I)
    desk.order("failover", force=["lag"], because="hz-h burns")
    pair.world.run(20)

    moved_to(pair, I, 2)
    assert decision(pair, "failover.decided").inputs["overrode"] == "lag"


# --- back, and by force ---


def failed_over(opened: Open) -> tuple[FailoverWorld, Desk]:
    """To hz-i, by a loss of hz-h, which is heard again."""
    pair, desk = after(opened)
    pair.go_dark(H)
    pair.world.run(30)
    pair.lighten(H)
    pair.world.run(5)
    assert pair.active() == {I}
    desk.beat(H)
    desk.beat(I, active=True)
    return pair, desk


def test_a_failback_goes_to_the_preferred_site_once_it_is_fit(opened: Open) -> None:
    pair, desk = failed_over(opened)
    desk.beat(H, ready=False)
    assert "its master is not well" in desk.refusal("failback")
    assert "which the policy prefers" in desk.refusal("failback", to=I)

    desk.beat(H)
    desk.order("failback")
    pair.world.run(20)

    moved_to(pair, H, 3)


def test_the_block_is_lifted_for_one_failover_by_an_order_that_names_it(opened: Open) -> None:
    pair, desk = failed_over(opened)
    pair.go_dark(I)
    pair.world.run(20)
    assert pair.failover().state is State.BLOCKED
    desk.beat(H)

    assert "no second failover before" in desk.refusal("failover")
    desk.order("failover", force=["block"], because="hz-i is on fire")
    pair.world.run(20)

    assert pair.record().value == ADDRESS[H]
    assert pair.overlap() == ""
    decided = decision(pair, "failover.decided")
    assert decided.inputs["overrode"] == "block"
    assert (decided.inputs["by"], decided.inputs["because"]) == ("li", "hz-i is on fire")
    assert decision(pair, "failover.ordered").inputs["overrode"] == "block"
    moved = pair.failover().automatic_at
    assert moved is not None
    assert moved < decided.at, "an ordered move begins no block of its own"


@pytest.mark.parametrize("kind", [Kind.FAILOVER, Kind.SWITCHOVER])
def test_an_order_that_does_not_name_the_block_does_not_lift_it_for_a_lost_site(opened: Open, kind: Kind) -> None:
    pair, _ = failed_over(opened)
    pair.go_dark(I)
    pair.world.run(20)
    given = SwitchOrder(pair=PAIR, to_site=H, at=pair.now(), because="x", kind=kind, epoch=Epoch(2), id="o", by="li")
    pair.orders().give(given)
    pair.world.run(20)

    assert pair.record().value == ADDRESS[I]
    assert pair.failover().state is State.BLOCKED
    assert ("failover.refused" in pair.events()) is (kind is Kind.FAILOVER)


def test_no_order_takes_a_lease_that_is_renewed_by_a_holder_nobody_can_reach(opened: Open) -> None:
    pair, desk = after(opened, watches=(I,))
    pair.links.cut([(watch_at(I), H)], How.SILENT)
    order = desk.order("failover", force=["block", "lag"], because="now!")
    pair.world.run(80)

    assert order
    assert {one.epoch for one in pair.accepted} == {1}
    assert pair.active() == {H}
    assert pair.rebinds == []


# --- the switch ---


def test_switched_off_neither_a_loss_nor_an_order_moves_it_and_a_resume_does_not_end_it(opened: Open) -> None:
    pair, desk = after(opened, watches=(I,))
    assert desk.ask("switch", to="off", because="cabling") == {"switched": "off", "was": "on"}
    assert "cabling (li)" in desk.refusal("switchover")
    pair.controls().resume("failover", pair.now())
    pair.go_dark(H)
    pair.world.run(30)
    assert pair.rebinds == []
    assert "switched off" in " ".join(decision(pair, "failover.paused").because)

    assert desk.ask("switch", to="on") == {"switched": "on", "was": "off"}
    pair.world.run(20)
    assert pair.record().value == ADDRESS[I]


def test_to_switch_off_needs_a_reason_and_one_of_two_words(opened: Open) -> None:
    _, desk = after(opened)

    assert "because" in desk.refusal("switch", to="off")
    assert "on or off" in desk.refusal("switch", to="maybe")


# --- crashes ---


@pytest.mark.parametrize("call", range(1, 60, 2))
def test_wherever_the_watch_dies_an_order_moves_the_pair_once(opened: Open, call: int) -> None:
    pair, desk = after(opened, watches=(I,))
    desk.order("switchover")
    pair.crash["watch-i"] = pair.calls["watch-i"] + call
    pair.world.run(60)

    moved_to(pair, I, 2)
    assert "switchover.refused" not in pair.events()


# --- the lease row ---


def lost_row(pair: FailoverWorld) -> None:
    pair.rows.table(TABLE).clear()


def damaged_row(pair: FailoverWorld) -> None:
    pair.rows.table(TABLE)[(PAIR,)].update({"epoch": "three", "voices": str(Place("10.0.1.21:7001"))})


def restore(desk: Desk, epoch: int = 9, owner: SiteName = I, **more: Any) -> dict[str, Any]:
    return desk.ask("restore_lease", owner=owner, epoch=epoch, **{"because": "a slip of the hand", **more})


def test_a_move_that_stands_keeps_no_lost_row_from_being_restored(opened: Open) -> None:
    """Nobody carries it out without a row, nor closes it: the desk would refuse to restore for as long as it stands."""
    pair, desk = after(opened)
    desk.order("switchover")
    pair.rows.table(TABLE).clear()
    pair.world.run(8)
    pending = pair.orders().pending(PAIR)
    assert pending is not None
    assert pending.kind is Kind.SWITCHOVER

    restore(desk)
    pair.world.run(30)

    moved_to(pair, I, 9)


@pytest.mark.parametrize("ruin", [lost_row, damaged_row])
@pytest.mark.parametrize("owner", [H, I])
def test_a_lost_row_is_written_anew_once_nobody_can_be_active(
    opened: Open, ruin: Callable[[FailoverWorld], None], owner: SiteName
) -> None:
    pair, desk = after(opened)
    ruin(pair)
    restore(desk, owner=owner)
    pair.world.run(40)

    assert pair.active() == {owner}
    assert pair.record().value == ADDRESS[owner]
    assert pair.failover().state is State.WATCHING
    assert pair.orders().pending(PAIR) is None
    assert pair.overlap() == ""
    row = pair.rows.table(TABLE)[(PAIR,)]
    assert (row["owner"], row["epoch"], row["voices"]) == (owner, 9, "")
    assert {one.epoch for one in pair.accepted} == {1, 9}
    assert min(one.since for one in pair.accepted if one.epoch == 9) > max(pair.accepted_by(H) if owner is I else [0])


EPOCHS: dict[str, tuple[Callable[[FailoverWorld, Desk], object], str]] = {
    "a heartbeat": (lambda _, desk: desk.beat(I, epoch=Epoch(9)), "the heartbeat of hz-i names epoch 9"),
    "the failover": (
        lambda pair, _: Failovers(TruthStore(pair.rows)).save(replace(pair.failover(), epoch=Epoch(9))),
        "the failover's row names epoch 9",
    ),
}


@pytest.mark.parametrize(("write", "says"), EPOCHS.values(), ids=EPOCHS.keys())
def test_an_epoch_that_is_not_above_all_that_is_written_is_refused(
    opened: Open, write: Callable[[FailoverWorld, Desk], object], says: str
) -> None:
    pair, desk = after(opened)
    lost_row(pair)
    write(pair, desk)

    with pytest.raises(BadInput, match=says):
        restore(desk, epoch=9)


def test_an_epoch_of_the_decisions_counts_too(opened: Open) -> None:
    pair, desk = failed_over(opened)
    lost_row(pair)

    with pytest.raises(BadInput, match=r"names epoch 2: give 3 or more"):
        restore(desk, epoch=2)


def test_an_epoch_that_only_the_record_remembers_is_refused_by_the_watch(opened: Open) -> None:
    pair, desk = after(opened)
    lost_row(pair)
    pair.cloud.pvtz.set_remark(int(pair.record().record_id), "epoch=12")
    restore(desk)
    pair.world.run(40)

    assert pair.rows.table(TABLE) == {}
    assert "the record's remark names epoch 12" in " ".join(decision(pair, "restore.refused").because)


def test_a_sound_row_is_left_alone(opened: Open) -> None:
    _, desk = after(opened)

    with pytest.raises(Declined, match="is sound: hz-h has epoch 1"):
        restore(desk)


def test_a_site_that_is_not_seen_holds_the_restoration_up_until_it_is_named(opened: Open) -> None:
    pair, desk = after(opened, watches=(I,))
    lost_row(pair)
    pair.go_dark(H)
    restore(desk, asked=pair.now().replace(microsecond=0))
    pair.world.run(40)
    assert pair.rows.table(TABLE) == {}
    assert "the agent of hz-h is silent" in decision(pair, "restore.waits").because[0]

    restore(desk, force=["unseen"], because="hz-h has no power, I am standing there")
    pair.world.run(40)

    assert pair.active() == {I}
    assert pair.overlap() == ""
    assert decision(pair, "lease.restored").inputs["overrode"] == "unseen"


def test_even_for_a_site_that_is_named_as_off_a_whole_lease_is_waited(opened: Open) -> None:
    pair, desk = after(opened, watches=(I,))
    pair.go_dark(H)
    lost_row(pair)
    lost = pair.world.now
    restore(desk, force=["unseen"], because="I believe that it is off")  # it is not: its master has no word of this yet
    pair.world.run(40)

    assert pair.active() == {I}
    assert pair.overlap() == ""
    assert decision(pair, "lease.restored").at >= EPOCH + timedelta(seconds=lost + 5)


def test_a_row_that_came_back_by_itself_ends_the_order_and_a_new_one_waits_anew(opened: Open) -> None:
    pair, desk = after(opened, watches=(I,))
    rows = pair.rows.table(TABLE)
    kept = dict(rows[(PAIR,)])
    lost_row(pair)
    restore(desk)
    pair.at(13.0, lambda: rows.update({(PAIR,): dict(kept)}))
    pair.world.run(8)
    assert "the row is sound again" in decision(pair, "restore.refused").because[0]
    assert "lease.restored" not in pair.events()

    lost_row(pair)
    lost = pair.world.now
    restore(desk)
    pair.world.run(40)

    moved_to(pair, I, 9)
    assert decision(pair, "lease.restored").at >= EPOCH + timedelta(seconds=lost + 5)


def test_a_row_that_is_damaged_anew_is_waited_for_anew(opened: Open) -> None:
    pair, desk = after(opened, watches=(I,))
    damaged_row(pair)
    restore(desk)
    pair.at(14.0, lambda: pair.rows.table(TABLE)[(PAIR,)].update({"version": "four"}))
    pair.world.run(40)

    assert pair.active() == {I}
    assert decision(pair, "lease.restored").at >= EPOCH + timedelta(seconds=14 + 5)


def test_an_agent_that_says_that_it_is_active_is_not_overridden(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = SimAgents.look

    def look(self: SimAgents, address: str, port: int, *, timeout: timedelta) -> AgentReport:
        return replace(looked(self, address, port, timeout=timeout), active=address == ADDRESS[H])

    pair, desk = after(opened)
    monkeypatch.setattr(SimAgents, "look", look)  # it lives on its peer's pledges
    lost_row(pair)
    restore(desk, force=["unseen"])
    pair.world.run(40)

    assert pair.rows.table(TABLE) == {}
    assert "the agent of hz-h says that it is active" in decision(pair, "restore.waits").because[0]


def test_a_restoration_is_held_up_by_a_pause_and_ends_in_it(opened: Open) -> None:
    pair, desk = after(opened)
    lost_row(pair)
    restore(desk)
    pair.controls().pause(Pause(scope="failover", since=pair.now(), because="stop!"))
    pair.world.run(30)

    assert pair.rows.table(TABLE) == {}
    assert pair.orders().pending(PAIR) is None
    with pytest.raises(Declined, match="Resume it first"):
        restore(desk)


def test_an_old_restoration_is_refused(opened: Open) -> None:
    pair, _ = after(opened)
    lost_row(pair)
    given = pair.now() - timedelta(minutes=11)
    pair.orders().give(
        SwitchOrder(pair=PAIR, to_site=I, at=given, because="x", kind=Kind.RESTORE, epoch=Epoch(9), id="o")
    )
    pair.world.run(20)

    assert pair.rows.table(TABLE) == {}
    assert "give it again" in decision(pair, "restore.refused").because[0]


@pytest.mark.parametrize("call", range(1, 50, 3))
def test_wherever_the_watch_dies_a_restoration_comes_to_its_end(opened: Open, call: int) -> None:
    pair, desk = after(opened, watches=(I,))
    lost_row(pair)
    restore(desk)
    pair.at(pair.world.now + 5.5, lambda: pair.crash.update({"watch-i": pair.calls["watch-i"] + call}))
    pair.world.run(80)

    moved_to(pair, I, 9)


# --- acknowledged ---


@pytest.mark.parametrize("state", [State.NEEDS_OPERATOR, State.BLOCKED])
def test_what_a_watch_whose_clock_is_ahead_has_dated_is_acknowledged_all_the_same(opened: Open, state: State) -> None:
    pair, desk = after(opened)
    store = TruthStore(pair.rows)
    ahead = pair.now() + timedelta(minutes=40)
    stands = replace(pair.failover(), state=state, since=ahead, automatic_at=ahead + timedelta(seconds=1))
    Failovers(store).save(stands)

    at = desk.desk.acknowledged_at(PAIR)

    assert at > ahead + timedelta(seconds=1)
    Controls(store).acknowledge(PAIR, at)
    pair.world.run(10)
    assert pair.failover().state is State.WATCHING
    assert held_back.blocked_until(pair_policy(), pair.failover(), Controls(store).read(), pair.now()) is None


def test_an_acknowledgement_of_a_pair_at_rest_is_dated_now(opened: Open) -> None:
    pair, desk = after(opened)

    assert desk.desk.acknowledged_at(PAIR) == pair.now()


def test_an_order_row_that_nobody_can_read_is_replaced_by_the_next_order(opened: Open) -> None:
    pair, desk = after(opened)
    store = TruthStore(pair.rows)
    store.put(ORDERS, Row(key=(f"{ORDER}{PAIR}",), columns={"body": "{}"}), condition=Anything())

    desk.order("switchover")
    pair.world.run(20)

    moved_to(pair, I, epoch=2)
