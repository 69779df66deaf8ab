"""The menu and Function Compute: calls that fail, events on their way, callers that freeze, regions that are out."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
import requests
from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException, ServerException
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.exceptions import UnretryableException
from darabonba.runtime import RuntimeOptions

from emulator.testing import Local, mock_aliyun
from tests.emulator.fc_projects import CODE, props, timer, web_trigger, write

TICK = 600


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    tmp_path = tmp_path_factory.mktemp("fc")
    project = write(
        tmp_path / "s.yaml",
        props("probe", asyncInvokeConfig={"maxAsyncRetryAttempts": 0}, triggers=[web_trigger("open")]),
        props("ticker", triggers=[timer("tick", "@every 10m")]),
        props(
            "fresh",
            asyncInvokeConfig={"maxAsyncRetryAttempts": 0, "maxAsyncEventAgeInSeconds": 60},
            triggers=[timer("often", "@every 10m")],
        ),
        props("asking", handler="asking.handler", timeout=600),
    )
    environment = {"NOTES": str(tmp_path / "notes.jsonl"), "URL": "{url}"}
    with mock_aliyun(fc=project, fc_code=(CODE,), fc_env=environment, fc_workdir=tmp_path / "work") as running:
        yield running


@pytest.fixture
def local(opened: Local) -> Iterator[Local]:
    """One second after a tick of the timers."""
    seconds = opened.run(opened.cloud.clock.now).timestamp()
    opened.advance(TICK - seconds % TICK + 1)
    opened.run(lambda: opened.cloud.fc.records.clear() if opened.cloud.fc else None)
    yield opened
    opened.run(opened.cloud.faults.clear)


def menu(local: Local, *faults: dict[str, Any]) -> None:
    answer = requests.post(f"{local.url}/_emulator/faults", json=list(faults), timeout=5)
    assert answer.status_code == 200, answer.text


def invoke(local: Local, name: str = "probe", event: bytes = b"x", *, kind: str = "Sync", patience: int = 5000) -> Any:
    config = Config(
        access_key_id=local.access_key[0],
        access_key_secret=local.access_key[1],
        endpoint=local.host,
        protocol="http",
    )
    headers = models.InvokeFunctionHeaders(x_fc_invocation_type=kind, common_headers={})
    return Client(config).invoke_function_with_options(
        name, models.InvokeFunctionRequest(body=BytesIO(event)), headers, RuntimeOptions(read_timeout=patience)
    )


def ran(local: Local, name: str = "probe") -> list[str]:
    """The outcomes of what has run or was dropped."""
    fc = local.cloud.fc
    assert fc is not None
    return local.run(lambda: [record.outcome for record in fc.records if record.function == name])


@pytest.mark.parametrize(
    ("fault", "error", "told", "runs"),
    [
        ({"kind": "throttle", "calls": 1}, ClientException, (429, "ResourceExhausted"), 0),
        ({"kind": "error"}, ServerException, (500, "InternalServerError"), 0),
        ({"kind": "error", "code": "ResourceThrottled"}, ServerException, (503, "ResourceThrottled"), 0),
        ({"kind": "error_after"}, ServerException, (500, "InternalServerError"), 1),
    ],
    ids=str,
)
def test_a_call_is_refused_with_its_code(
    local: Local, fault: dict[str, Any], error: Any, told: tuple[int, str], runs: int
) -> None:
    menu(local, {**fault, "function": "probe"})
    with pytest.raises(error) as refused:
        invoke(local)
    assert (refused.value.status_code, refused.value.code) == told
    assert len(ran(local)) == runs


@pytest.mark.parametrize(
    ("kind", "runs"),
    [
        ("timeout_before", 0),
        ("timeout_after", 1),
        ("reset_before", 0),
        ("reset_after", 1),
        ("html", 0),
        ("html_after", 1),
    ],
)
def test_a_lost_answer_tells_nothing(local: Local, kind: str, runs: int) -> None:
    invoke(local)  # so that an instance is warm
    before = len(ran(local))
    menu(local, {"kind": kind, "service": "fc"})
    with pytest.raises(UnretryableException):
        invoke(local, patience=400)
    assert len(ran(local)) - before == runs


def test_the_older_sdks_door_answers_in_its_own_words(local: Local) -> None:
    import fc2

    menu(local, {"kind": "throttle", "calls": 1})
    old = fc2.Client(endpoint=local.url, accessKeyID=local.access_key[0], accessKeySecret=local.access_key[1])
    with pytest.raises(fc2.FcError) as refused:  # type: ignore[attr-defined, unused-ignore]
        old.invoke_function("any", "probe", payload=b"x")
    assert (refused.value.status_code, refused.value.err_code) == (429, "ResourceExhausted")


def test_a_web_trigger_meets_the_menu_too(local: Local) -> None:
    menu(local, {"kind": "error", "function": "probe", "code": "ResourceThrottled"})
    assert requests.post(f"{local.url}/_fc/http/probe/open", timeout=5).status_code == 503
    assert requests.post(f"{local.url}/_fc/http/probe/open", timeout=5).status_code == 200


def test_an_account_at_its_limit_refuses_the_next_call_and_queues_events(local: Local) -> None:
    menu(local, {"kind": "instance_limit", "limit": 0, "for": 300})
    with pytest.raises(ClientException) as refused:
        invoke(local)
    assert (refused.value.status_code, refused.value.code) == (429, "ResourceExhausted")
    invoke(local, kind="Async")
    local.advance(200)
    assert ran(local) == []
    local.advance(200)
    assert ran(local) == ["ok"]
    assert invoke(local).status_code == 200


def test_ticks_are_doubled_lost_late_and_out_of_order(local: Local) -> None:
    menu(local, {"kind": "deliver_lost", "trigger": "timer", "function": "ticker"})
    local.advance(600)
    assert ran(local, "ticker") == []
    menu(local, {"kind": "deliver_twice", "trigger": "tick"})
    local.advance(600)
    assert ran(local, "ticker") == ["ok", "ok"]
    menu(local, {"kind": "deliver_late", "function": "ticker", "seconds": 300})
    local.advance(600)
    assert ran(local, "ticker") == ["ok"] * 2
    local.advance(300)
    assert ran(local, "ticker") == ["ok"] * 3
    menu(local, {"kind": "deliver_reordered", "function": "probe", "seconds": 5, "calls": 3})
    for n in range(3):
        invoke(local, event=str(n).encode(), kind="Async")
    assert ran(local) == []
    local.advance(5)
    assert ran(local) == ["ok"] * 3


def test_two_hours_of_ticks_arrive_at_once_and_only_the_young_ones_run(local: Local) -> None:
    menu(local, {"kind": "backlog", "trigger": "timer"})
    local.advance(7199)
    assert ran(local, "ticker") == ran(local, "fresh") == []
    local.advance(1)
    assert ran(local, "ticker") == ["ok"] * 12
    assert sorted(ran(local, "fresh")) == ["dropped: expired"] * 11 + ["ok"]


def test_a_region_that_is_out_stops_its_functions_and_its_queue(local: Local) -> None:
    menu(local, {"kind": "region_outage", "region": "cn-hangzhou", "for": 3600})
    with pytest.raises(UnretryableException):
        invoke(local, patience=300)
    local.advance(3599)
    assert ran(local, "ticker") == []
    local.advance(1)
    assert ran(local, "ticker") == ["ok"] * 6


def struck(local: Local) -> None:
    """Return when the fault that is set has struck."""
    deadline = time.monotonic() + 10
    while local.run(lambda: any(standing.struck == 0 for standing in local.cloud.faults.all())):
        assert time.monotonic() < deadline, "the fault did not strike"
        time.sleep(0.01)


def asked(local: Local) -> int:
    return local.run(lambda: sum(entry.action == "GetFunction" for entry in local.cloud.requests.entries))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_function_behind_a_call_freezes_in_the_middle_of_it(local: Local, moment: str) -> None:
    menu(local, {"kind": "freeze_caller", "caller": "probe-role", "seconds": 120, "moment": moment})
    before = asked(local)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(invoke, local, "asking", b"", patience=20_000)
        struck(local)
        local.advance(119)
        assert not waiting.done()
        assert asked(local) - before == (moment == "after")
        local.advance(1)
        answer = json.loads(waiting.result(10).body.read())
    assert (answer, asked(local) - before) == ({"status": 200}, 1)


def test_a_frozen_function_times_out_by_the_emulated_clock(local: Local) -> None:
    menu(local, {"kind": "freeze_caller", "caller": "probe-role", "seconds": 3600})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(invoke, local, "asking", b"", patience=20_000)
        struck(local)
        local.advance(timedelta(minutes=10).total_seconds())
        assert b"timed out" in waiting.result(10).body.read()
