"""Whether a pair could fail over by itself now, asked at the desk; and what orders say of data, room and protection."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.calendar_rules import Blackout
from shared.domain.failover_fsm import State
from shared.domain.ids import InstanceId
from shared.domain.pair import DataRule, Hook, Mode, Pair, Short, Surge, UnknownLag
from shared.state.controls import Pause
from shared.state.failovers import Failovers
from shared.state.heartbeats import Heartbeats, WatchBeat
from shared.usecases.failover.old_side import OVERDUE
from tests.simulation.failover_world import FailoverWorld, TruthStore
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.test_failover_stories import Open, opened
from tests.simulation.world import EPOCH
from tests.usecases.test_orders import Desk

__all__ = ["opened"]


def desk(opened: Open, agreed: Callable[[Pair], Pair] = lambda pair: pair) -> Desk:
    pair = opened(agreed=agreed)
    pair.world.run(10)
    return Desk(pair)


def standing(pair: FailoverWorld, **changes: Any) -> None:
    failovers = Failovers(TruthStore(pair.rows))
    failovers.save(replace(pair.failover(), **changes))


def missing(answer: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["says"] for one in answer["checks"] if not one["ok"]}


def test_a_pair_that_is_well_is_ready_and_says_what_was_looked_at(opened: Open) -> None:
    answer = desk(opened, lambda pair: replace(pair, hooks=(Hook(name="ledger", url="http://x/"),))).ask("readiness")

    assert (answer["ready"], answer["active"], answer["standby"]) == (True, H, I)
    names = [one["name"] for one in answer["checks"]]
    assert names == ["switch", "nothing under way", "fit", "data", "automatic", "watches", "names", "hooks"]


TROUBLE: dict[str, tuple[Callable[[Desk], object], Callable[[Pair], Pair], str, str]] = {
    "agent unheard": (
        lambda desk: desk.beat(I, at=desk.pair.now() - timedelta(minutes=2)), lambda pair: pair, "fit", "was last heard"
    ),
    "agent's clock ahead": (
        lambda desk: desk.beat(I, at=desk.pair.now() + timedelta(seconds=6)), lambda pair: pair, "fit", "6 s ahead"
    ),
    "data behind": (
        lambda desk: desk.beat(I, lag_s=7.0, lag_age_s=0.0),
        lambda pair: replace(pair, data=DataRule(max_lag=timedelta(seconds=5))), "data", "more than 5 s",
    ),
    "lag unknown": (
        lambda desk: None, lambda pair: replace(pair, data=DataRule(unknown=UnknownLag.REFUSE)), "data", "not known"
    ),
    "paused": (
        lambda desk: desk.pair.controls().pause(Pause(scope="failover", since=EPOCH, because="x")),
        lambda pair: pair, "switch", "paused since",
    ),
    "unprotected": (
        lambda desk: standing(desk.pair, unprotected=I, unprotected_since=EPOCH),
        lambda pair: pair, "protection", "hz-i was lost at 2026-03-02T00:00:00Z",
    ),
    "short of room": (
        lambda desk: standing(desk.pair, short={I: "group asg-i may have 3 at most"}),
        lambda pair: replace(pair, surge={I: Surge(weights={InstanceId("i-a"): 1}, short=Short.REFUSE)}),
        "capacity", "may have 3 at most",
    ),
    "flapping": (
        lambda desk: standing(desk.pair, automatic_at=desk.pair.now()), lambda pair: pair, "block", "no second failover"
    ),
    "manual": (lambda desk: None, lambda pair: replace(pair, mode=Mode.MANUAL), "automatic", "the mode is manual"),
    "maintenance": (
        lambda desk: None,
        lambda pair: replace(
            pair, maintenance=(Blackout(name="patch", zone="UTC", since=EPOCH, until=EPOCH + timedelta(hours=1)),)
        ),
        "automatic", "maintenance patch",
    ),
    "unfenced": (
        lambda desk: standing(
            desk.pair,
            state=State.NEEDS_OPERATOR,
            from_site=H,
            fence={"site": str(H), OVERDUE: "2026-03-02T00:00:00Z"},
        ),
        lambda pair: pair, "fence", "hz-h could not be shown to be off",
    ),
    "operator called": (
        lambda desk: standing(
            desk.pair,
            state=State.NEEDS_OPERATOR,
            because="the name was changed by somebody else. it has 2 records; runbook: name-cannot-be-rebound",
        ),
        lambda pair: pair, "operator", "it has 2 records",
    ),
}  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLE)
def test_what_stands_in_the_way_is_named(opened: Open, trouble: str) -> None:
    spoils, agreed, name, says = TROUBLE[trouble]
    asked = desk(opened, agreed)
    spoils(asked)

    answer = asked.ask("readiness")

    assert not answer["ready"]
    assert list(missing(answer)) == [name]
    assert says in missing(answer)[name]


def test_a_name_that_only_costs_time_is_a_note_and_keeps_nothing_back(opened: Open) -> None:
    asked = desk(opened)
    found = WatchBeat(site=H, run="r", at=asked.pair.now(), names=("master.corp.example keeps 600 s",))
    Heartbeats(TruthStore(asked.pair.rows)).tick(PAIR, found)

    answer = asked.ask("readiness")

    assert answer["ready"]
    (told,) = (one for one in answer["checks"] if one["name"] == "names")
    assert (told["ok"], told["says"]) == (True, "master.corp.example keeps 600 s")
    assert told["remedy"] == f"`understudy name prepare {PAIR}`"


def test_watches_that_are_not_heard_are_named(opened: Open) -> None:
    pair = opened(watches=(I,))
    pair.world.run(10)

    assert "the watch of hz-h is not heard" in missing(Desk(pair).ask("readiness"))["watches"]


def test_room_that_the_policy_only_warns_of_keeps_nothing_back(opened: Open) -> None:
    asked = desk(opened, lambda pair: replace(pair, surge={I: Surge(weights={InstanceId("i-a"): 1})}))
    standing(asked.pair, short={I: "server i-a is not behind the balancer"})

    assert asked.ask("readiness")["ready"]


@pytest.mark.parametrize("kind", ["switchover", "failover", "failback"])
def test_no_order_moves_a_pair_to_a_side_that_is_unprotected_unless_it_says_so(opened: Open, kind: str) -> None:
    asked = desk(opened, lambda pair: replace(pair, preferred=I))
    standing(asked.pair, unprotected=I, unprotected_since=EPOCH)

    assert "is not known to be fit again" in asked.refusal(kind)
    if kind == "failover":
        assert asked.order(kind, force=["unprotected"], because="li compared the data")["order"]
    else:
        assert "it overrides nothing" in asked.refusal(kind, force=["unprotected"], because="x")


def test_a_planned_move_costs_the_release_and_the_take_over_and_not_the_reading_of_the_order(opened: Open) -> None:
    shown = desk(opened).ask("switchover")["preview"]

    assert shown["warnings"][0].startswith("nobody is active for about 1.0 s; clients that keep the old address")


@pytest.mark.parametrize("kind", ["switchover", "failover"])
def test_of_a_holder_that_is_not_heard_nothing_is_promised_that_only_a_living_one_does(opened: Open, kind: str) -> None:
    asked = desk(opened)
    asked.beat(H, active=True, at=asked.pair.now() - timedelta(seconds=20))

    shown = asked.ask(kind)["preview"]

    does = " ".join(one["does"] for one in shown["actions"])
    assert "hz-h is not heard: its lease runs out, if it is not renewed" in does
    assert "gives its lease back" not in does
    assert "hz-h is not heard: if it is lost, nobody is active until hz-i has taken over" in shown["warnings"][0]


def test_what_a_dead_host_said_last_is_told_as_that_and_not_waited_for(opened: Open) -> None:
    asked = desk(opened)
    asked.beat(I, active=True, at=asked.pair.now() - timedelta(seconds=20))

    refused = asked.refusal("switchover")

    assert "was last heard 20 s ago, and said then that it is active. start the master and agent of hz-i." in refused
    assert ".  " not in refused
    assert "next heartbeat" not in refused


def test_a_watch_whose_clock_is_ahead_is_not_taken_for_running(opened: Open) -> None:
    asked = desk(opened)
    heartbeats = Heartbeats(TruthStore(asked.pair.rows))
    heartbeats.tick(PAIR, WatchBeat(site=H, run="ahead", at=asked.pair.now() + timedelta(hours=1)))

    assert "the watch of hz-h is not heard" in missing(asked.ask("readiness"))["watches"]


def test_a_failback_shows_what_it_puts_back(opened: Open) -> None:
    asked = desk(opened, lambda pair: replace(pair, preferred=I))
    standing(asked.pair, surged=H, weights={"i-app-h": 50}, sizes={"asg-h": 2})

    shown = asked.ask("failback")["preview"]

    assert "i-app-h to weight 50, asg-h to 2 members" in shown["actions"][-1]["does"]


def test_a_failover_shows_what_is_raised_beside_it(opened: Open) -> None:
    surge = {I: Surge(weights={InstanceId("i-app-i"): 100}, groups={"asg-i": 4})}

    shown = desk(opened, lambda pair: replace(pair, surge=surge)).ask("failover")["preview"]

    assert "hz-i is raised: i-app-i to weight 100, asg-i to 4 members" in shown["actions"][-1]["does"]
