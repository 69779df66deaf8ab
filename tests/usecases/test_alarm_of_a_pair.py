"""An event about a region master or its pair: both watches are called, nothing is rebuilt, nothing is believed."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from shared.domain.errors import DrError, Forbidden, NotFound, OutcomeUnknown, Retryable, Throttled
from shared.ports.store import Store
from shared.state.called import AGAIN, CALLED, SENDING, Called
from shared.state.deliveries import TABLE
from shared.usecases.alarm import Answer
from shared.usecases.failover.wake_watches import LONGEST_REASON, WatchNotCalled
from tests.usecases.fleet import Tripwire
from tests.usecases.rebuild_stage import H1, MASTER_H, MASTER_I, Stage
from understudy.simulation.store import InProcessStore

EVENTS = Path(__file__).resolve().parents[2] / "events"
WATCH_H, WATCH_I = "watch-hz-h", "watch-hz-i"


class Line:
    """The way to the functions: goes wrong as often as it is told to, and remembers what was sent."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        self._put: Callable[..., None] = stage.queue.invoke_async
        self.errors: dict[str, list[DrError]] = {}
        self.sent: list[tuple[str, dict[str, Any]]] = []
        monkeypatch.setattr(stage.queue, "invoke_async", self.invoke_async)

    def invoke_async(self, function: str, payload: bytes, **more: Any) -> None:
        if waiting := self.errors.get(function):
            raise waiting.pop(0)
        self.sent.append((function, json.loads(payload)))
        self._put(function, payload, **more)

    @property
    def called(self) -> list[str]:
        return [function for function, _ in self.sent]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def line(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(stage, monkeypatch)


def threshold(stage: Stage, dimensions: Mapping[str, str], **said: str) -> Answer | None:
    shown = ", ".join(f"{key}={value}" for key, value in dimensions.items())
    body = {
        "alertName": "some-alarm",
        "ruleId": "some-rule",
        "alertState": "ALERT",
        "metricName": "x",
        "curValue": "1",
        "dimensions": f"{{{shown}}}",
        "timestamp": int(stage.clock.now().timestamp() * 1000),
    }
    return stage.send(json.dumps(body | said).encode())


# What goes wrong on the way -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [WATCH_H, WATCH_I])
def test_a_watch_that_cannot_be_called_keeps_the_other_from_nothing_and_is_called_when_the_notice_comes_again(
    stage: Stage, line: Line, broken: str
) -> None:
    line.errors[broken] = [Throttled("busy"), Retryable("still busy")]
    with pytest.raises(WatchNotCalled, match=f"not called yet: {broken}"):
        stage.notice(MASTER_H)
    assert line.called == [one for one in (WATCH_H, WATCH_I) if one != broken]

    answer = stage.notice(MASTER_H)

    assert answer is not None
    assert answer.acted == (broken,)
    assert sorted(line.called) == [WATCH_H, WATCH_I]


def test_a_call_that_had_no_effect_is_made_a_second_time_at_once(stage: Stage, line: Line) -> None:
    line.errors[WATCH_H] = [Throttled("busy")]
    answer = stage.notice(MASTER_H)

    assert answer is not None
    assert sorted(answer.acted) == [WATCH_H, WATCH_I]


def test_a_call_whose_answer_was_lost_is_made_again_only_when_it_is_certain_that_nobody_else_makes_it(
    stage: Stage, line: Line
) -> None:
    line.errors[WATCH_H] = [OutcomeUnknown("no answer")]
    with pytest.raises(WatchNotCalled):
        stage.notice(MASTER_H)
    other = stage.notice(MASTER_I, event="e-2")
    assert other is not None
    assert other.acted == ()
    assert line.called == [WATCH_I]

    stage.pass_time(SENDING, ticks=False)
    answer = stage.notice(MASTER_H)

    assert answer is not None
    assert answer.acted == (WATCH_H,)


@pytest.mark.parametrize("error", [NotFound("no such function"), Forbidden("not allowed")])
def test_what_trying_again_would_not_mend_is_told_and_not_tried_again(stage: Stage, line: Line, error: DrError) -> None:
    line.errors[WATCH_I] = [error] * 9
    answer = stage.notice(MASTER_H)

    assert answer is not None
    assert answer.acted == (WATCH_H,)
    assert f"cannot be called: {WATCH_I} ({error})" in stage.why(MASTER_H)


def test_in_a_batch_an_instance_is_rebuilt_though_the_watches_cannot_be_called(stage: Stage, line: Line) -> None:
    line.errors[WATCH_H] = [Retryable("busy")] * 2
    master = json.loads((EVENTS / "eventbridge-master-failure.json").read_text())
    batch = [master, *json.loads((EVENTS / "eventbridge-batch.json").read_text())]
    with pytest.raises(WatchNotCalled):
        stage.send(json.dumps(batch).encode())

    assert [one.subject for one in stage.operations()] == [H1]


def test_wherever_alarm_dies_both_watches_are_called_once_the_notice_comes_again() -> None:
    calls = Stage(wire=Tripwire())
    before = len(calls.wire.calls)
    calls.notice(MASTER_H)
    made = len(calls.wire.calls)
    assert made - before >= 9
    for at in range(before, made):
        for after in (False, True):
            stage = Stage(wire=Tripwire(at=at, after=after))
            stage.notice(MASTER_H)
            assert len(stage.deaths) == 1
            stage.pass_time(
                SENDING + timedelta(seconds=1), ticks=False
            )  # the notice comes again, well within the minute
            stage.notice(MASTER_H)
            stage.pass_time(timedelta(seconds=1), ticks=False)

            assert {*stage.watched} == {WATCH_H, WATCH_I}, (at, after)
            assert len(stage.watched) <= 4
            assert stage.operations() == []


# What concerns a pair ------------------------------------------------------------------------------------------------


def test_an_event_about_a_master_calls_the_watches_of_both_sites_and_rebuilds_nothing(stage: Stage, line: Line) -> None:
    answer = stage.notice(MASTER_H)

    assert answer is not None
    assert answer.acted == (WATCH_H, WATCH_I)
    [(_, payload), _] = line.sent
    assert payload["look"] == "now"
    assert "SystemFailure.Reboot" in payload["because"]
    assert stage.operations() == []
    for subject in (MASTER_H, "control"):
        assert "it is a region master (pair control): failover's business" in stage.why(subject)


def test_it_is_heard_while_the_inventory_of_the_region_is_out_of_reach(
    stage: Stage, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise Retryable("ecs: no answer")

    monkeypatch.setattr("tests.usecases.fleet.FleetInventory.instances", down)
    stage.notice(MASTER_H)

    assert line.called == [WATCH_H, WATCH_I]


@pytest.mark.parametrize(
    ("said", "dimensions"),
    [
        pytest.param({}, {"instanceId": MASTER_I}, id="a metric of a master"),
        pytest.param({}, {"instanceId": "lb-control", "port": "7000"}, id="the health of the pair's balancer"),
        pytest.param({"alertName": "control-answers"}, {}, id="a rule of the pair, by name"),
        pytest.param({"ruleId": "control-answers"}, {"taskId": "42"}, id="a rule of the pair, by id"),
        pytest.param(
            {"ruleId": "control-answers", "alertState": "INSUFFICIENT_DATA"}, {}, id="a metric that stopped coming"
        ),
    ],
)
def test_a_threshold_alarm_about_a_pair_calls_both_watches(
    stage: Stage, line: Line, said: dict[str, str], dimensions: dict[str, str]
) -> None:
    threshold(stage, dimensions, **said)

    assert line.called == [WATCH_H, WATCH_I]
    assert stage.operations() == []


@pytest.mark.parametrize(
    ("said", "dimensions"),
    [
        pytest.param({}, {}, id="a rule that nobody listed"),
        pytest.param({}, {"instanceId": "lb-other"}, id="another balancer"),
        pytest.param({"ruleId": "control-answers", "alertState": "OK"}, {}, id="an alarm that is over"),
        pytest.param({"alertName": ""}, {"instanceId": ""}, id="one that names nothing"),
    ],
)
def test_what_concerns_no_pair_calls_no_watch(
    stage: Stage, line: Line, said: dict[str, str], dimensions: dict[str, str]
) -> None:
    threshold(stage, dimensions, **said)

    assert line.called == []


def test_an_event_of_another_product_that_names_the_balancer_only_in_its_envelope_calls_both_watches(
    stage: Stage, line: Line
) -> None:
    event = {
        "product": "SLB",
        "resourceId": "acs:slb:cn-hangzhou:1000000000000001:loadbalancer/lb-control",
        "name": "CertKeyExpired_1",
        "content": {"note": "x"},
    }
    stage.send(json.dumps(event).encode())

    assert line.called == [WATCH_H, WATCH_I]


@pytest.mark.parametrize(
    ("status", "called"),
    [("Scheduled", []), ("Inquiring", []), ("Avoided", []), ("Canceled", []), ("Executing", [WATCH_H, WATCH_I])],
)
def test_planned_maintenance_of_a_master_is_looked_at_when_it_begins(
    stage: Stage, line: Line, status: str, called: list[str]
) -> None:
    event = json.loads((EVENTS / "eventbridge-system-maintenance-reboot.json").read_text())
    event["subject"] = f"acs:ecs:cn-hangzhou:1000000000000001:instance/{MASTER_H}"
    event["data"] |= {"instanceId": MASTER_H, "eventStatus": status}
    stage.send(json.dumps(event).encode())

    assert line.called == called


# Storms --------------------------------------------------------------------------------------------------------------


def test_a_storm_of_alarms_calls_each_watch_once_a_minute(stage: Stage, line: Line) -> None:
    for _ in range(150):
        threshold(stage, {"instanceId": MASTER_H})
        stage.pass_time(timedelta(seconds=1), ticks=False)

    assert line.called == [WATCH_H, WATCH_I] * 3
    assert "called within the last minute: watch-hz-h, watch-hz-i" in stage.why("control")


def test_the_same_notice_again_calls_nobody_again_even_much_later(stage: Stage, line: Line) -> None:
    stage.notice(MASTER_H)
    stage.pass_time(timedelta(minutes=10), ticks=False)
    answer = stage.notice(MASTER_H)

    assert answer is not None
    assert answer.acted == ()
    assert line.called == [WATCH_H, WATCH_I]


def test_of_two_alarms_at_once_one_calls(stage: Stage) -> None:
    store = InProcessStore(stage.cloud, "understudy")
    first, second = Called(store, stage.clock), Called(store, stage.clock)
    mine = first.claim(WATCH_H)

    assert mine is not None
    assert second.claim(WATCH_H) is None
    first.mark(mine)
    stage.pass_time(AGAIN - timedelta(seconds=1), ticks=False)
    assert second.claim(WATCH_H) is None
    stage.pass_time(timedelta(seconds=1), ticks=False)
    assert second.claim(WATCH_H) is not None


@pytest.mark.parametrize("before", [False, True], ids=["never called", "called before"])
def test_of_two_alarms_that_read_at_the_same_moment_one_calls(stage: Stage, before: bool) -> None:
    store = InProcessStore(stage.cloud, "understudy")
    claims: list[object] = []
    quick = Called(store, stage.clock)
    slow = Called(cast("Store", _After(store, lambda: claims.append(quick.claim(WATCH_H)))), stage.clock)
    if before:
        assert quick.claim(WATCH_H) is not None
        stage.pass_time(SENDING, ticks=False)

    assert slow.claim(WATCH_H) is None
    assert claims[0] is not None


def test_a_caller_that_wakes_up_after_its_claim_was_taken_over_undoes_nothing(stage: Stage) -> None:
    store = InProcessStore(stage.cloud, "understudy")
    slow, quick = Called(store, stage.clock), Called(store, stage.clock)
    old = slow.claim(WATCH_H)
    assert old is not None
    stage.pass_time(SENDING, ticks=False)
    new = quick.claim(WATCH_H)
    assert new is not None
    before = store.get(TABLE, (CALLED + WATCH_H,))

    slow.release(old)
    slow.mark(old)

    assert store.get(TABLE, (CALLED + WATCH_H,)) == before


def test_a_mark_from_the_future_keeps_nobody_from_calling(stage: Stage) -> None:
    store = InProcessStore(stage.cloud, "understudy")
    ahead = Called(store, _Ahead(stage))
    claim = ahead.claim(WATCH_H)
    assert claim is not None
    ahead.mark(claim)

    assert Called(store, stage.clock).claim(WATCH_H) is not None


def test_what_a_stranger_writes_into_an_alarm_is_cut(stage: Stage, line: Line) -> None:
    threshold(stage, {"instanceId": MASTER_H}, alertName="x" * 5_000)

    assert {len(payload["because"]) for _, payload in line.sent} == {LONGEST_REASON}


class _After:
    """A store that somebody else writes to between a read and the write that follows."""

    def __init__(self, store: InProcessStore, meanwhile: Callable[[], object]) -> None:
        self._store, self._meanwhile = store, meanwhile

    def get(self, table: str, key: Any) -> Any:
        found = self._store.get(table, key)
        self._meanwhile()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _Ahead:
    """A machine whose clock is an hour ahead."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def now(self) -> Any:
        return self._stage.clock.now() + timedelta(hours=1)

    def monotonic(self) -> float:
        return self._stage.clock.monotonic()

    def sleep(self, duration: timedelta) -> None:
        raise AssertionError("nothing here sleeps")
