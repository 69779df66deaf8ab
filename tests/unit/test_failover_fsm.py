"""The failover's table, whole: every state can be reached, none is a trap, no row is dead."""

from collections import Counter
from pathlib import Path

import pytest

from shared.domain.failover_fsm import FAILOVER, IN_HAND, TAKEN, Do, On, State, diagram, page, step


def reachable(start: State) -> set[State]:
    seen, todo = {start}, [start]
    while todo:
        state = todo.pop()
        for row in FAILOVER:
            if row.state is state and row.next not in seen:
                seen.add(row.next)
                todo.append(row.next)
    return seen


def test_every_state_is_reached_from_watching() -> None:
    assert reachable(State.WATCHING) == set(State)


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_way_on_and_a_way_to_an_operator(state: State) -> None:
    assert any(row.next is not state for row in FAILOVER if row.state is state)
    assert State.NEEDS_OPERATOR in reachable(state)
    assert State.WATCHING in reachable(state)


def test_no_row_is_shadowed_by_another() -> None:
    twice = [key for key, count in Counter((row.state, row.on) for row in FAILOVER).items() if count > 1]

    assert twice == []


def test_each_state_of_a_failover_in_hand_can_wait_and_can_take_too_long() -> None:
    for state in IN_HAND:
        mine = [row for row in FAILOVER if row.state is state]
        assert any(row.next is state for row in mine), f"{state} has no row for waiting"
        ends = State.WATCHING if state is State.PREPARING else State.NEEDS_OPERATOR  # nothing has moved yet
        assert any(row.on is On.OVERDUE and row.next is ends for row in mine)


def test_a_planned_move_asks_before_anything_stops_and_a_loss_is_not_kept_waiting_by_it() -> None:
    for row in FAILOVER:
        if row.on in (On.SWITCH, On.FAILBACK):
            assert (row.next, row.do) == (State.PREPARING, Do.PREPARE)
        if row.on in (On.LOST, On.FORCED):
            assert (row.next, row.do) == (State.FENCING, Do.FENCE)


def test_what_calls_a_planned_move_off_leaves_the_old_side_at_work() -> None:
    ends = {row.next for row in FAILOVER if row.state is State.PREPARING}

    assert ends == {State.PREPARING, State.FENCING, State.WATCHING, State.PAUSED}


def test_after_the_take_over_there_is_no_way_back_to_the_old_holder() -> None:
    """Only forward, to an operator, or because a newer epoch exists."""
    for row in FAILOVER:
        if row.state in TAKEN and row.next not in TAKEN:
            assert row.next is State.NEEDS_OPERATOR or row.on in (On.SUPERSEDED, On.CONFIRMED)


def test_nothing_is_promoted_before_the_fence_and_nothing_rebound_before_the_promotion() -> None:
    assert {row.on for row in FAILOVER if row.do is Do.PROMOTE} == {On.FENCED, On.PROMOTE_WAITS}
    assert {row.on for row in FAILOVER if row.do is Do.REBIND} == {
        On.PROMOTED,
        On.ONE_REBOUND,
        On.REBIND_WAITS,
        On.ASTRAY,
    }
    assert {row.state for row in FAILOVER if row.next is State.PROMOTING} == {State.FENCING, State.PROMOTING}
    assert {row.state for row in FAILOVER if row.next is State.REBINDING} == {
        State.PROMOTING,
        State.REBINDING,
        State.CONFIRMING,
    }


@pytest.mark.parametrize("on", [On.BLIND, On.UNKNOWN, On.SUSPECT])
def test_no_evidence_never_starts_a_failover(on: On) -> None:
    assert all(row.do is not Do.FENCE for row in FAILOVER if row.on is on)


def test_a_combination_outside_the_table_stops_the_run() -> None:
    with pytest.raises(AssertionError, match="no row for paused on fenced"):
        step(State.PAUSED, On.FENCED)


def test_each_verdict_and_obstacle_has_a_row_wherever_a_watch_may_meet_it() -> None:
    met = (On.SUSPECT, On.LOST, On.BLIND, On.UNKNOWN, On.PAUSE, On.BLOCK, On.STANDBY_UNFIT, On.SWITCH, On.FAILBACK,
           On.LEASE_DAMAGED, On.NOT_READY, On.VETOED, On.FORBIDDEN, On.FORCED, On.REBIND_REFUSED)  # fmt: skip
    for state in (State.WATCHING, State.REPROTECTING, State.SUSPECTING, State.BLOCKED, State.NEEDS_OPERATOR):
        for on in (*met, On.UNPROTECTED if state is State.REPROTECTING else On.HEALTHY):
            assert step(state, on).state is state


def test_the_page_in_the_docs_is_the_generated_one() -> None:
    written = Path(__file__).parents[2] / "docs" / "failover-states.md"

    assert written.read_text(encoding="utf-8") == page(), "run: python -m understudy.states_page"


def test_the_diagram_shows_the_main_road() -> None:
    drawn = diagram()

    for line in ("watching --> fencing: lost / fence", "fencing --> promoting: fenced / promote",
                 "promoting --> rebinding: promoted / rebind", "rebinding --> confirming: rebound / confirm",
                 "confirming --> watching: confirmed"):  # fmt: skip
        assert line in drawn
