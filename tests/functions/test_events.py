"""Every file of events/ through alarm, recover and deadletter: each has its expectation, none an accident."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

import functions.alarm as alarm
import functions.deadletter as deadletter
import functions.recover as recover
from shared.domain.errors import Retryable
from shared.state.decisions import Decisions
from shared.triggers.parse import parse, parse_request
from shared.triggers.trigger import CloudEvents, HttpRequest
from shared.usecases.give_up import GiveUp
from shared.wiring import foundation
from tests.usecases.rebuild_stage import H1, H2, Stage
from understudy.simulation.store import InProcessStore

EVENTS = Path(__file__).resolve().parents[2] / "events"
FILES = sorted(path.name for path in EVENTS.glob("*.json"))
CONTEXT = SimpleNamespace(request_id="1-66000000-0000000000aa")

REBUILD_H1 = "rebuild/i-app-h1/e-h1-failure-1"
WATCHES = ["watch-hz-h", "watch-hz-i"]
SLOT = "look-20260302T0100Z"

FOLLOWED = {
    # file -> what alarm called because of it
    "eventbridge-system-failure-reboot.json": [REBUILD_H1],
    "eventbridge-system-failure-reboot-executed.json": [REBUILD_H1],
    "eventbridge-system-failure-redeploy.json": ["rebuild/i-app-h2/e-h2-redeploy-1"],
    "eventbridge-instance-failure-reboot.json": ["rebuild/i-app-i1/e-i1-guest-1"],
    "eventbridge-preemptible-interruption.json": [f"rebuild/i-app-h2/{SLOT}"],
    "eventbridge-disk-stalled.json": [f"rebuild/i-app-h1/{SLOT}"],
    "eventbridge-snapshot-completed.json": ["backup"],
    "eventbridge-snapshot-failed.json": ["backup"],
    "eventbridge-oddities.json": [REBUILD_H1],
    "eventbridge-batch.json": [REBUILD_H1],
    "eventbridge-batch-with-a-bad-item.json": [REBUILD_H1],
    "bare-data.json": [REBUILD_H1],
    "bare-snapshot-completed.json": ["backup"],
    "cms-raw-system-failure-reboot.json": [REBUILD_H1],
    "cms-raw-content-as-string.json": [REBUILD_H1],
    "cms-raw-dry-run.json": ["rebuild/i-app-h2/e-h2-failure-1"],
    "cms-raw-disk-stalled-ended.json": [f"rebuild/i-app-h1/{SLOT}"],
    "cms-raw-snapshot-completed.json": ["backup"],
    "cms-raw-agent-stopped.json": [f"rebuild/i-app-h1/{SLOT}"],
    "cms-raw-null-texts.json": [REBUILD_H1],
    "cms-subscription-failure-reboot.json": [REBUILD_H1],
    "cms-subscription-raw-content-only.json": [REBUILD_H1],
    "cms-subscription-resolved.json": [REBUILD_H1],
    "http-cms-subscription.json": [REBUILD_H1],
    "http-cms-subscription-form.json": [REBUILD_H1],
    "http-cms-subscription-get.json": [REBUILD_H1],
    "threshold-alert.json": [f"rebuild/i-app-h1/{SLOT}"],
    "threshold-oddities.json": [f"rebuild/i-app-h1/{SLOT}"],
    "mns-system-failure-reboot.json": [REBUILD_H1],
    "mns-base64.json": [REBUILD_H1],
    "eventbridge-master-failure.json": WATCHES,
    "threshold-balancer.json": WATCHES,
    "threshold-rule-of-a-pair.json": WATCHES,
}
NOTED = {
    # file -> why alarm did nothing about it
    "eventbridge-system-maintenance-reboot.json": "nothing to do",
    "eventbridge-state-change-stopped.json": "the API knows of no failure",
    "eventbridge-unknown-instance.json": "the inventory does not list this instance",
    "cms-raw-stale-suffix.json": "nothing to do",
    "threshold-recovered.json": "not an alert",
}
REFUSED = {
    # file -> how alarm refuses what is not for it
    "http-wrong-secret.json": 403,
    "http-status.json": 403,
    "http-status-json.json": 403,
    "timer-schedule.json": "TimerTick",
    "timer-backup.json": "TimerTick",
    "timer-prune.json": "TimerTick",
    "timer-recover.json": "TimerTick",
    "timer-watch.json": "TimerTick",
    "timer-without-payload.json": "TimerTick",
    "destination-failure.json": "DestinationRecord",
    "destination-payload-embedded.json": "DestinationRecord",
    "invoke-backup.json": "Invocation",
    "invoke-recover.json": "Invocation",
    "invoke-prune.json": "Invocation",
    "invoke-command-pause.json": "Invocation",
    "empty.json": "Nothing",
    "empty-object.json": "Nothing",
}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage()
    made.cloud.clock.advance(timedelta(minutes=6))  # the events of the files lie just behind
    store = InProcessStore(made.cloud, "understudy")
    give_up = GiveUp(decisions=Decisions(store), clock=made.clock, prefix="understudy-")
    monkeypatch.setattr(alarm, "alarm", lambda: made.alarm)
    monkeypatch.setattr(recover, "recover", lambda: made.recover)
    monkeypatch.setattr(deadletter, "give_up", lambda: give_up)
    monkeypatch.setattr(foundation, "clock", lambda: SimpleNamespace(sync=lambda: None))
    return made


def call(handler: Callable[..., str], name: str) -> dict[str, object]:
    answer = json.loads(handler((EVENTS / name).read_bytes(), CONTEXT))
    if "statusCode" in answer:
        return {**json.loads(answer["body"]), "status": answer["statusCode"]}
    assert isinstance(answer, dict)
    return answer


def test_every_file_has_exactly_one_expectation() -> None:
    assert sorted([*FOLLOWED, *NOTED, *REFUSED]) == FILES


def test_every_file_stands_in_the_table_of_the_readme() -> None:
    lines = (EVENTS / "README.md").read_text().splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("| ") and ".json |" in line]

    assert sorted(rows) == FILES


@pytest.mark.parametrize("name", FILES)
def test_alarm_does_with_each_file_what_is_expected(stage: Stage, name: str) -> None:
    answer = call(alarm.handler, name)

    if name in FOLLOWED:
        assert answer["acted"] == FOLLOWED[name]
    elif name in NOTED:
        assert answer["acted"] == []
        assert NOTED[name] in str(answer["noted"])
    else:
        assert REFUSED[name] in (
            answer.get("status"),
            str(answer.get("because")).split(" ")[2] if answer.get("because") else "",
        )


@pytest.mark.parametrize("name", sorted(FOLLOWED))
def test_the_same_file_again_does_nothing_again(stage: Stage, name: str) -> None:
    call(alarm.handler, name)
    before = len(stage.operations())

    assert call(alarm.handler, name)["acted"] == []
    assert len(stage.operations()) == before


def test_all_files_at_once_about_healthy_instances_rebuild_nothing(stage: Stage) -> None:
    for name in (*sorted(FOLLOWED), *sorted(FOLLOWED, reverse=True)):
        call(alarm.handler, name)
    stage.pass_time(timedelta(minutes=40))

    assert stage.open() == []
    assert stage.fleet.stops == []


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "in reverse"])
def test_all_files_at_once_about_lost_instances_rebuild_each_once(stage: Stage, *, backwards: bool) -> None:
    stage.fleet.fail(H1, event="e-h1-failure-1")
    stage.fleet.fail(H2, event="e-h2-failure-1")
    for name in sorted([*FOLLOWED, *NOTED], reverse=backwards):
        call(alarm.handler, name)
    stage.pass_time(timedelta(minutes=60))

    assert stage.open() == []
    assert sorted(stage.fleet.stops) == [H1, H2]
    assert len(stage.fleet.replacements_of(H1)) == len(stage.fleet.replacements_of(H2)) == 1


def test_all_routes_of_one_event_have_one_logical_key() -> None:
    keys = set()
    for name in (name for name, called in FOLLOWED.items() if called == [REBUILD_H1]):
        trigger = parse((EVENTS / name).read_bytes())
        found = parse_request(trigger) if isinstance(trigger, HttpRequest) else trigger
        assert isinstance(found, CloudEvents)
        keys |= {notice.logical_key for notice in found.notices}

    assert keys == {f"ECS|i-app-h1|e-h1-failure-1|{status}" for status in ("executing", "executed", "resolved")}


@pytest.mark.parametrize("name", FILES)
def test_recover_takes_anything_as_a_tick_or_one_operation(stage: Stage, name: str) -> None:
    answer = call(recover.handler, name)

    if name in ("invoke-recover.json", "invoke-backup.json"):
        operation = json.loads((EVENTS / name).read_text())["operation"]
        assert answer["looked"] == {operation: "no such recovery"}
    else:
        assert answer["looked"] == {}
        assert answer["failed"] == []


@pytest.mark.parametrize("name", FILES)
def test_deadletter_records_what_was_given_up_and_refuses_the_rest(stage: Stage, name: str) -> None:
    answer = call(deadletter.handler, name)

    if name.startswith("destination"):
        assert answer["kept"] is True
        (decision,) = stage.decisions.of("deadletter")
        assert decision.event == "invocation.given_up"
        assert "did not answer within 10 s" in decision.because[1]
    else:
        assert answer["refused"] == "BadInput"


def test_deadletter_never_raises_even_when_the_store_is_silent(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> None:
        raise Retryable("the state store did not answer")

    monkeypatch.setattr(Decisions, "record", silent)

    assert call(deadletter.handler, "destination-failure.json")["kept"] is False


@pytest.mark.parametrize("raw", [b"\x00", b"[" * 5000, b"{}}", b"42"])
def test_deadletter_never_raises_whatever_it_is_given(stage: Stage, raw: bytes) -> None:
    assert json.loads(deadletter.handler(raw, CONTEXT))["refused"] == "BadInput"


@pytest.mark.parametrize(
    ("token", "status"),
    [(None, 403), ("", 403), ("guess", 403), ("the-webhook-secret\u00e9", 403), ("the-webhook-secret", 200)],
)
def test_the_webhook_does_nothing_for_a_stranger(stage: Stage, token: str | None, status: int) -> None:
    event = json.loads((EVENTS / "http-cms-subscription.json").read_text())
    event["queryParameters"] = {} if token is None else {"token": token}
    calls = len(stage.wire.calls)

    answer = json.loads(alarm.handler(json.dumps(event).encode(), CONTEXT))

    assert answer["statusCode"] == status
    if status == 403:
        assert answer["body"] == "{}"
        assert len(stage.wire.calls) == calls  # nothing was read, nothing was done


def test_a_webhook_without_a_configured_secret_refuses_everybody(stage: Stage) -> None:
    stage.alarm._secret = lambda: None

    assert call(alarm.handler, "http-cms-subscription.json")["status"] == 403


def test_a_malformed_body_is_answered_with_what_is_wrong(stage: Stage) -> None:
    event = json.loads((EVENTS / "http-cms-subscription.json").read_text())
    event["body"] = "{cut off"

    answer = json.loads(alarm.handler(json.dumps(event).encode(), CONTEXT))

    assert answer["statusCode"] == 400
    assert "not JSON" in answer["body"]


def test_a_webhook_cannot_smuggle_in_our_own_calls(stage: Stage) -> None:
    event = json.loads((EVENTS / "http-cms-subscription.json").read_text())
    for smuggled in ("invoke-recover.json", "timer-recover.json", "http-status.json", "destination-failure.json"):
        event["body"] = (EVENTS / smuggled).read_text()
        answer = json.loads(alarm.handler(json.dumps(event).encode(), CONTEXT))

        assert answer["statusCode"] == 400, smuggled
        assert "is no alarm" in answer["body"]


def test_a_store_that_does_not_answer_is_a_503_to_a_webhook_and_a_retry_to_the_queue(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> bool:
        raise Retryable("the state store did not answer")

    monkeypatch.setattr(stage.alarm._deliveries, "seen", silent, raising=False)

    assert call(alarm.handler, "http-cms-subscription.json")["status"] == 503
    with pytest.raises(Retryable):
        call(alarm.handler, "eventbridge-system-failure-reboot.json")
