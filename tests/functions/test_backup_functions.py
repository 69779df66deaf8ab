"""The deployed handlers over the wire: official SDKs, a local cloud, real payloads, and all that can be wrong."""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import functions.backup as backup
import functions.command as command
import functions.prune as prune
import functions.schedule as schedule
import functions.status as status
from emulator.testing import Local, mock_aliyun
from shared.adapters import process
from shared.adapters.ots import OtsTables
from shared.domain.errors import Retryable
from shared.observability.log import LOGGER
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.slots import Slots
from shared.usecases.apply_policy import ApplyPolicy
from shared.wiring import foundation
from tests.functions.wired import CONTEXT, environment_of, forget, use
from tests.usecases.backup_world import SEED, A, B, M, a_policy

EVENTS = Path(__file__).resolve().parents[2] / "events"
TICK = (EVENTS / "timer-schedule.json").read_bytes()
HANDLERS = pytest.mark.parametrize("function", [schedule, backup, prune, command, status], ids=lambda f: f.__name__)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    seed = tmp_path_factory.mktemp("seed") / "small.yaml"
    seed.write_text(SEED)
    with mock_aliyun(seed=seed) as cloud:
        yield cloud


@pytest.fixture
def wired(local: Local, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    """Functions on a local cloud with the tables made; the policy is the test's own business."""
    use(monkeypatch, environment_of(local))
    configured = foundation.configuration()
    OtsTables(
        endpoint=configured.ots_endpoint, instance=configured.ots_instance, credentials=foundation.credentials
    ).create_tables()
    yield local
    forget()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> "Lines":
    caplog.set_level(logging.INFO, logger=LOGGER.name)
    return Lines(caplog)


class Lines:
    """The JSON lines of this test."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def of(self, event: str) -> list[dict[str, Any]]:
        return [
            vars(record)["understudy_fields"]
            for record in self._caplog.records
            if record.name == LOGGER.name and record.getMessage() == event
        ]


def apply() -> None:
    store = foundation.store()
    foundation.clock().sync()
    ApplyPolicy(
        policies=Policies(store),
        controls=Controls(store),
        slots=Slots(store),
        decisions=Decisions(store),
        clock=foundation.clock(),
    ).run(a_policy(), by="test")


def call(function: Any, event: object) -> Any:
    payload = event if isinstance(event, bytes) else json.dumps(event).encode()
    return json.loads(function.handler(payload, CONTEXT))


def test_an_hour_through_the_deployed_handlers(wired: Local, lines: Lines) -> None:
    """No Function Compute here: each invocation is made by hand, and queueing refused invocations is only logged."""
    apply()
    for hour in range(2):
        wired.advance(3600)
        opened = call(schedule, TICK)["opened"]
        assert len(opened) == 2
        for operation in opened:
            assert call(backup, {"operation": operation})["operations"][operation] == "resume"
        wired.advance(300)
        for operation in opened:
            assert call(backup, {"operation": operation})["operations"][operation] == "done"
        assert hour in (0, 1)

    assert Counter(point.subject for point in Points(foundation.store()).all()) == {A: 2, B: 2, M: 2}
    assert {slot.state.value for slot in Slots(foundation.store()).all()} == {"taken"}
    assert call(backup, (EVENTS / "timer-backup.json").read_bytes()) == {"operations": {}, "left": 0}
    assert len(lines.of("slot.taken")) == 6
    assert lines.of("invocation.failed")  # the queue was not there

    pruned = call(prune, (EVENTS / "timer-prune.json").read_bytes())
    assert (pruned["deleted"], pruned["remaining"]) == ([], 6)
    assert call(prune, {"prune": "dry"})["planned"] == []

    page = call(status, (EVENTS / "http-status.json").read_bytes())
    assert page["statusCode"] == 200
    assert page["headers"]["Content-Type"].startswith("text/html")
    assert "d-a-data" in page["body"]
    answer = call(status, (EVENTS / "http-status-json.json").read_bytes())
    assert answer["headers"]["Content-Type"].startswith("application/json")
    assert {disk["disk"] for disk in json.loads(answer["body"])["disks"]} >= {"d-a-sys", "d-m-sys"}


@HANDLERS
def test_a_missing_variable_is_a_logged_refusal_that_names_it(
    function: Any, wired: Local, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    environment = environment_of(wired)
    del environment["UNDERSTUDY_OTS_INSTANCE"]
    use(monkeypatch, environment)

    function.initialize(CONTEXT)
    refused = call(function, TICK)

    assert refused["refused"] == "BadInput"
    assert "UNDERSTUDY_OTS_INSTANCE is missing or empty: set it in s.yaml" in refused["because"]
    assert lines.of("instance.unprepared")
    assert lines.of("invocation.refused")[0]["run"] == CONTEXT.request_id


@HANDLERS
def test_a_malformed_event_is_a_logged_refusal(function: Any, wired: Local, lines: Lines) -> None:
    refused = call(function, b'{"triggerTime": ')

    assert refused["refused"] == "BadInput"
    assert "JSON" in refused["because"]
    assert len(lines.of("invocation.refused")) == 1


@pytest.mark.parametrize(
    ("function", "event", "words"),
    [
        (prune, {"prune": "everything"}, 'send a timer event, {"prune": "dry"}'),
        (prune, (EVENTS / "eventbridge-system-failure-reboot.json").read_bytes(), "send a timer event"),
        (command, TICK, 'such as {"command": "back_up"'),
        (command, {"command": "fly"}, "is not one of: acknowledge, adopt, back_up"),
    ],
)
def test_an_event_that_is_not_for_it_is_refused(function: Any, event: object, words: str, wired: Local) -> None:
    refused = call(function, event)

    assert refused["refused"] == "BadInput"
    assert words in refused["because"]


@pytest.mark.parametrize("function", [schedule, backup, prune], ids=lambda f: f.__name__)
def test_an_unreachable_store_is_logged_and_left_to_the_platforms_retry(
    function: Any, wired: Local, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    use(monkeypatch, {**environment_of(wired), "UNDERSTUDY_OTS_ENDPOINT": "http://127.0.0.1:9"})

    with pytest.raises(Retryable):
        call(function, TICK)

    (line,) = lines.of("invocation.postponed")
    assert "127.0.0.1:9" in line["because"][0]


def test_the_status_page_answers_503_while_the_store_is_silent(wired: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, {**environment_of(wired), "UNDERSTUDY_OTS_ENDPOINT": "http://127.0.0.1:9"})

    assert call(status, (EVENTS / "http-status.json").read_bytes())["statusCode"] == 503


@HANDLERS
def test_rejected_credentials_are_recorded_and_end_the_process(
    function: Any, wired: Local, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    ended: list[int] = []

    class Ended(BaseException):
        pass

    def end(status: int) -> None:
        ended.append(status)
        raise Ended

    monkeypatch.setattr(process, "end", end)
    use(monkeypatch, {**environment_of(wired), "ALIBABA_CLOUD_ACCESS_KEY_ID": "STS.gone"})
    event: object = {command: {"command": "back_up", "protection": "masters"}, status: {"show": "all"}}.get(
        function, TICK
    )

    with pytest.raises(Ended):
        call(function, event)

    assert ended == [64]
    (line,) = lines.of("credentials.rejected")
    assert "testsecret" not in json.dumps(line)


def test_a_silent_emulator_clock_is_a_retry_and_a_wrong_one_a_refusal(
    wired: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, {**environment_of(wired), "UNDERSTUDY_CLOCK": "http://127.0.0.1:9/clock"})
    with pytest.raises(Retryable, match="is it running"):
        call(schedule, TICK)

    use(monkeypatch, {**environment_of(wired), "UNDERSTUDY_CLOCK": f"{wired.url}/_emulator/events"})
    assert "answered no clock" in call(schedule, TICK)["because"]


def test_the_examples_of_invocations_are_understood(wired: Local) -> None:
    apply()

    assert call(command, (EVENTS / "invoke-command-pause.json").read_bytes())["paused"] == "backups"
    assert "maintenance window" in call(schedule, TICK)["paused"]
    assert call(command, {"command": "resume", "scope": "backups"})["was_paused"] is True
    assert call(prune, (EVENTS / "invoke-prune.json").read_bytes())["planned"] == []
    named = json.loads((EVENTS / "invoke-backup.json").read_bytes())["operation"]
    assert call(backup, (EVENTS / "invoke-backup.json").read_bytes())["operations"] == {named: "notours"}
