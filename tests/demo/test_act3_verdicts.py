"""Act 3's words and verdicts, from results that are made up: what is broken is called broken, and nothing else is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from shared.domain.decision import Decision
from shared.domain.failover_fsm import State
from shared.domain.ids import Epoch, PairName
from shared.state.failovers import Failover
from understudy.demo import act3
from understudy.demo.clients import Gap
from understudy.demo.crowd import RESOLVES
from understudy.demo.losses import Loss
from understudy.demo.promises import Promises
from understudy.demo.stage import Stage
from understudy.demo.verdicts import Result, judge, phases_of

LOSS = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NEW = "127.32.2.21"


def gap(again: float | None) -> Gap:
    return Gap(kind=RESOLVES, cached=0.1, last_served=-0.1, first_served_again=again, requests=10, lost=9)


def good(loss: Loss = Loss.ZONE_SILENT) -> Result:
    return Result(
        loss=loss,
        gaps=[gap(5.1)],
        epoch_before=1,
        epoch_after=2,
        accepted=600,
        reigns=["epoch 1: hz-h", "epoch 2: hz-i"],
        silence_between=2.0,
        names=[(NEW, "epoch=2")],
        inside_refused=200,
    )


def broken(result: Result) -> list[str]:
    promises = Promises()
    stage = SimpleNamespace(promises=promises, address=lambda _: NEW)
    judge(cast(Stage, stage), result)
    return [promise.text for promise in promises.broken]


def test_a_good_failover_breaks_nothing() -> None:
    assert broken(good()) == []


def test_two_active_at_once_are_called_by_their_name() -> None:
    result = good()
    result.violations = ["hz-h accepted c-7 under epoch 1 at 9.1 s, though hz-i had accepted c-9 under epoch 2"]

    assert broken(result) == ["never two active, proved from accept logs, decisions and the name's trail"]


def test_no_command_at_all_proves_nothing() -> None:
    result = good()
    result.accepted = 0

    assert "never two active, proved from accept logs, decisions and the name's trail" in broken(result)


def test_what_decisions_and_trail_could_not_show_is_not_proved() -> None:
    result = good()
    result.unproved = ["the trail begins after the first command"]

    assert broken(result) == ["never two active, proved from accept logs, decisions and the name's trail"]


def test_a_failover_that_never_came_is_late_and_not_an_overlap() -> None:
    result = good()
    result.gaps, result.reigns, result.silence_between = [gap(None)], ["epoch 1: hz-h"], None
    result.epoch_after, result.names = 1, [("127.32.1.21", "")]

    assert broken(result) == [
        "the client that resolves each time is served within 10 s of the loss",
        "every client came back",
        "one record, bound to the standby, under the new epoch",
    ]


@pytest.mark.parametrize(
    ("seconds", "late"), [pytest.param(10.0, False, id="at the limit"), pytest.param(10.1, True, id="beyond it")]
)
def test_ten_seconds_are_the_limit(seconds: float, late: bool) -> None:
    result = good()
    result.gaps = [gap(seconds)]

    assert bool(broken(result)) is late


def test_a_second_record_beside_the_first_is_not_a_rebind() -> None:
    result = good()
    result.names = [(NEW, "epoch=2"), ("127.32.1.21", "")]

    assert broken(result) == ["one record, bound to the standby, under the new epoch"]


@pytest.mark.parametrize(
    ("refused", "accepted"), [pytest.param(0, 0, id="never asked"), pytest.param(50, 1, id="accepted one")]
)
def test_what_was_continued_must_have_been_asked_and_must_have_refused(refused: int, accepted: int) -> None:
    result = good(Loss.BOTH_STOPPED)
    result.continued_refused, result.continued_accepted = refused, accepted

    assert broken(result) == ["what was stopped and continued found by itself that its time was over"]


def test_a_killed_master_is_not_asked_to_have_refused() -> None:
    result = good(Loss.MASTER_KILLED)
    result.inside_refused, result.inside_unanswered = 0, 100

    assert broken(result) == []


def test_who_answers_in_a_dead_masters_place_is_a_broken_promise() -> None:
    result = good(Loss.HOST_KILLED)
    result.inside_refused, result.inside_unanswered, result.inside_accepted = 0, 100, 1

    assert broken(result) == ["nobody answered in the dead master's place"]


@pytest.mark.parametrize(
    ("last", "again", "late"),
    [
        pytest.param(1.5, 3.5, False, id="at the limit"),
        pytest.param(1.5, 3.6, True, id="beyond it"),
        pytest.param(1.5, None, True, id="never served again"),
    ],
)
def test_a_switchover_refuses_for_no_longer_than_two_seconds(last: float, again: float | None, late: bool) -> None:
    result = good(Loss.SWITCHOVER)
    result.gaps = [replace(gap(again), last_served=last)]

    assert ("the client that resolves each time is refused for no longer than 2 s" in broken(result)) is late


def decision(event: str, *because: str, acted: bool = True, **inputs: str) -> Decision:
    return Decision(event=event, at=LOSS, subject="control", because=because, inputs=inputs, acted=acted)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (decision("failover.suspecting", "look closer", "it missed a renewal"), "suspected: it missed a renewal"),
        (decision("failover.promoting", "only one site", "hz-i has epoch 2"), "fenced: hz-i has epoch 2"),
        (
            decision("failover.watching", "it answers", "hz-i is active", on="confirmed"),
            "confirmed: hz-i is active",
        ),
        (decision("failover.watching", "it was not a loss", on="healthy"), "all is well again: it was not a loss"),
        (decision("failover.withheld", "too early", "seen once", acted=False), "held back: too early"),
        (decision("failover.needs_operator", "nothing good", "no standby"), "failover.needs_operator: no standby"),
        (decision("failover.completed", "hz-i serves"), ""),
        (decision("name.reasserted", "already so"), ""),
    ],
    ids=lambda value: value if isinstance(value, str) else value.event,
)
def test_each_decision_is_told_as_one_sentence(made: Decision, sentence: str) -> None:
    assert act3.sentence_of(made) == sentence


FAILOVER = Failover(
    pair=PairName("control"),
    state=State.WATCHING,
    since=LOSS,
    because="",
    epoch=Epoch(2),
    ended={"detect": LOSS + timedelta(seconds=4.9)},
    seconds={"detect": 2.0, "decide": 0.1, "fence": 0.2, "promote": 0.1, "rebind": 0.1, "serve": 0.05},
)


def test_phases_add_up_to_what_the_client_felt_whoever_drove_the_failover() -> None:
    phases = phases_of(FAILOVER, loss=LOSS, first_good=6.0)

    assert list(phases) == ["detect", "decide", "fence", "promote", "rebind", "serve"]
    assert phases["detect"] == pytest.approx(4.9)
    assert sum(phases.values()) == pytest.approx(6.0)


def test_a_client_served_before_the_record_was_read_back_leaves_nothing_for_what_comes_after() -> None:
    phases = phases_of(FAILOVER, loss=LOSS, first_good=5.35)

    assert phases["rebind"] == pytest.approx(0.05)
    assert phases["serve"] == 0.0
    assert sum(phases.values()) == pytest.approx(5.35)


def test_a_client_that_is_never_served_has_no_phases() -> None:
    assert phases_of(FAILOVER, loss=LOSS, first_good=None) == {}


def test_a_failover_of_before_the_loss_has_no_phases_in_it() -> None:
    earlier = replace(FAILOVER, ended={"detect": LOSS - timedelta(seconds=1)})

    assert phases_of(earlier, loss=LOSS, first_good=6.0) == {}
