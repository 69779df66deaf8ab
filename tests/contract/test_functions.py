"""One contract for calling functions: both SDKs against the local cloud, and in process."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator.cloud import Cloud
from emulator.faults.fault import Fault
from emulator.testing import mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.functions import Fc2Functions, FcFunctions
from shared.adapters.sdk import Endpoint
from shared.domain.errors import BadInput, DrError, Forbidden, NotFound, OutcomeUnknown, Permanent, Retryable
from shared.ports.functions import Functions
from tests.contract.faults import FUNCTIONS, Mishap, Write, hold_write, with_faults
from tests.emulator.fc_projects import CODE, props, write
from understudy.simulation.functions import InProcessFunctions


@dataclass(frozen=True, kw_only=True)
class Door:
    functions: Functions
    cloud: Cloud
    run: Callable[[Callable[[], Any]], Any]
    advance: Callable[[float], None]
    events: Callable[[], list[str]]  # what the function `echo` was given, in order


@contextmanager
def over_http(which: str, tmp_path: Path, *, secret: str = "testsecret") -> Iterator[Door]:
    notes = tmp_path / "notes.jsonl"
    tasks = {"asyncTask": True, "maxAsyncRetryAttempts": 1}
    narrow = {"reservedConcurrency": 0}
    project = write(
        tmp_path / "s.yaml",
        props("understudy-echo", asyncInvokeConfig=tasks),
        props("understudy-full", concurrencyConfig=narrow),
    )
    with mock_aliyun(fc=project, fc_code=(CODE,), fc_env={"NOTES": str(notes)}, fc_workdir=tmp_path / "fc") as local:
        endpoint = Endpoint("cn-hangzhou", local.url)
        credentials = Credentials(local.access_key[0], secret)
        functions: Functions
        if which == "fc3":
            functions = FcFunctions(endpoint=endpoint, credentials=lambda: credentials)
        else:
            functions = Fc2Functions(endpoint=endpoint, credentials=lambda: credentials, service="understudy")

        def events() -> list[str]:
            if not notes.exists():
                return []
            return [json.loads(line)["event"] for line in notes.read_text().splitlines()]

        yield Door(functions=functions, cloud=local.cloud, run=local.run, advance=local.advance, events=events)


@contextmanager
def in_process() -> Iterator[Door]:
    heard: list[str] = []
    cloud = Cloud()

    def dispatch(function: str, payload: bytes) -> bytes:
        if function != "echo":
            raise KeyError(function)
        heard.append(payload.decode())
        asked = json.loads(payload) if payload[:1] == b"{" else {}
        if "raise" in asked:
            raise ValueError(asked["raise"])
        return str(asked.get("answer", "")).encode()

    functions = InProcessFunctions(dispatch, clock=cloud.clock, retries=1, cloud=cloud)
    yield Door(
        functions=functions,
        cloud=cloud,
        run=lambda fn: fn(),
        advance=lambda seconds: cloud.clock.advance(timedelta(seconds=seconds)),
        events=lambda: list(heard),
    )


@pytest.fixture(params=["fc3", "fc2", "in process"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    with in_process() if request.param == "in process" else over_http(request.param, tmp_path) as opened:
        yield opened


def test_a_functions_own_error_is_permanent_and_told_in_its_words(door: Door) -> None:
    with pytest.raises(Permanent, match="ValueError: no such disk"):
        door.functions.invoke("echo", b'{"raise": "no such disk"}')


def test_a_function_that_does_not_exist_is_not_found(door: Door) -> None:
    with pytest.raises(NotFound):
        door.functions.invoke("nobody", b"")


@pytest.mark.parametrize("seconds", [-1, 3601])
def test_a_delay_that_the_queue_cannot_keep_is_refused_before_anything_is_sent(door: Door, seconds: int) -> None:
    with pytest.raises(BadInput, match="3,600"):
        door.functions.invoke_async("echo", b"x", delay=timedelta(seconds=seconds))
    assert door.events() == []


def test_an_answer_comes_back_as_it_was_given(door: Door) -> None:
    assert door.functions.invoke("echo", b'{"answer": "plain text"}') == b"plain text"


def test_an_asynchronous_call_runs_later_without_an_answer(door: Door) -> None:
    door.functions.invoke_async("echo", b"one")
    door.advance(1)
    assert door.events() == ["one"]


def test_a_delayed_call_waits(door: Door) -> None:
    door.functions.invoke_async("echo", b"later", delay=timedelta(seconds=300))
    door.advance(299)
    assert door.events() == []
    door.advance(2)
    assert door.events() == ["later"]


def test_a_task_that_is_queued_already_is_not_queued_again(door: Door) -> None:
    for _ in range(2):
        door.functions.invoke_async("echo", b"once", task="op-1_step-2")
    door.functions.invoke_async("echo", b"another", task="op-2")
    door.advance(5)
    assert sorted(door.events()) == ["another", "once"]


def test_a_failing_asynchronous_call_is_repeated(door: Door) -> None:
    door.functions.invoke_async("echo", b'{"raise": "again"}')
    door.advance(60)
    assert len(door.events()) == 2


# --- with faults on ----------------------------------------------------------------------------------------------


@contextmanager
def briefly(door: Door) -> Iterator[None]:
    """Nobody waits for long for an answer that does not come."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.adapters.functions.READ_TIMEOUT_MS", 300)
        if not isinstance(door.functions, InProcessFunctions):
            patch.setattr(door.functions, "_answer_within", timedelta(seconds=0.3))
        yield


@pytest.mark.parametrize("mishap", FUNCTIONS, ids=str)
def test_a_call_that_goes_wrong_says_what_is_known_of_it(door: Door, mishap: Mishap) -> None:
    door.functions.invoke("echo", b"warm")

    def heard(event: bytes) -> bool:
        door.advance(1)
        return event.decode() in door.events()

    for change in (
        Write(
            action="InvokeFunction",
            send=lambda: door.functions.invoke("echo", b"now"),
            done=lambda: heard(b"now"),
        ),
        Write(
            action="InvokeFunction",
            send=lambda: door.functions.invoke_async("echo", b"later"),
            done=lambda: heard(b"later"),
        ),
    ):
        hold_write(door.cloud, door.run, "fc", change, mishap, briefly=lambda: briefly(door))


@pytest.mark.parametrize("mishap", [m for m in FUNCTIONS if m.applied], ids=str)
def test_a_task_whose_answer_was_lost_can_be_queued_again(door: Door, mishap: Mishap) -> None:
    fault = mishap.fault("fc", "InvokeFunction")
    with with_faults(door.cloud, door.run, fault, briefly=lambda: briefly(door)), pytest.raises(OutcomeUnknown):
        door.functions.invoke_async("echo", b"once", task="op-1")
    door.functions.invoke_async("echo", b"once", task="op-1")
    door.advance(5)
    assert door.events() == ["once"]


def test_what_is_queued_may_come_twice_never_late_or_in_another_order(door: Door) -> None:
    faults = [Fault(kind="deliver_twice", skip=1), Fault(kind="deliver_lost", skip=2)]
    with with_faults(door.cloud, door.run, *faults, Fault(kind="deliver_late", seconds=60)):
        for event in (b"late", b"twice", b"never"):
            door.functions.invoke_async("echo", event)
        door.advance(1)
        assert door.events() == ["twice", "twice"]
        door.advance(60)
    assert door.events() == ["twice", "twice", "late"]
    with with_faults(door.cloud, door.run, Fault(kind="deliver_reordered", seconds=5)):
        for n in range(4):
            door.functions.invoke_async("echo", str(n).encode())
        door.advance(5)
        door.advance(1)
    assert sorted(door.events()[3:]) == list("0123")


def test_an_hour_of_events_comes_at_once(door: Door) -> None:
    with with_faults(door.cloud, door.run, Fault(kind="backlog", lasts=timedelta(hours=1))):
        door.functions.invoke_async("echo", b"first")
        door.advance(3599)
        door.functions.invoke_async("echo", b"second")
        assert door.events() == []
        door.advance(1)
    door.advance(1)
    assert sorted(door.events()) == ["first", "second"]


# --- what only the cloud can do ----------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["fc3", "fc2"])
def test_a_wrong_secret_is_forbidden(which: str, tmp_path: Path) -> None:
    with over_http(which, tmp_path, secret="wrong") as door:
        with pytest.raises(Forbidden):
            door.functions.invoke_async("echo", b"x")
        door.advance(5)
        assert door.events() == []


@pytest.mark.parametrize("which", ["fc3", "fc2"])
def test_no_concurrency_left_is_retryable(which: str, tmp_path: Path) -> None:
    with over_http(which, tmp_path) as door, pytest.raises(Retryable):
        door.functions.invoke("full", b"x")


def test_nobody_there_leaves_the_outcome_unknown() -> None:
    # aliyun-fc2 itself tries to connect for half a minute, so only the newer SDK is asked here.
    nobody = Endpoint("cn-hangzhou", "http://127.0.0.1:9")
    functions = FcFunctions(endpoint=nobody, credentials=lambda: Credentials("id", "secret"))
    with pytest.raises(OutcomeUnknown):
        functions.invoke("echo", b"")


def test_without_an_account_or_an_endpoint_the_host_is_unknown() -> None:
    where, who = Endpoint("cn-hangzhou"), Credentials("id", "secret")
    newer = FcFunctions(endpoint=where, credentials=lambda: who)
    older = Fc2Functions(endpoint=where, credentials=lambda: who, service="understudy")
    for functions in (newer, older):
        with pytest.raises(BadInput, match="FC_ACCOUNT_ID"):
            functions.invoke("echo", b"")


def test_secrets_do_not_reach_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with over_http("fc2", tmp_path) as door, pytest.raises(DrError):
        door.functions.invoke("nobody", b"")
    assert "authorization" not in caplog.text.lower()
