"""The adapters for time and environment."""

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from shared.adapters import environment
from shared.adapters.clock import RemoteClock, SystemClock
from shared.config.settings import settings
from shared.domain.errors import BadInput, Permanent, Retryable

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


class Emulator:
    """The one page of the emulator that a clock asks for."""

    def __init__(self) -> None:
        self.answer: object = {"now": NOW.isoformat(), "rate": 0.0}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(outer.answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/_emulator/clock"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    one = Emulator()
    yield one
    one.close()


def test_at_rate_0_the_emulators_time_stands_still_for_a_whole_invocation(emulator: Emulator) -> None:
    clock = RemoteClock(emulator.url)
    clock.sync()

    assert clock.now() == NOW
    assert clock.now() == NOW
    emulator.answer = {"now": (NOW + timedelta(hours=1)).isoformat(), "rate": 0.0}
    assert clock.now() == NOW
    clock.sync()
    assert clock.now() == NOW + timedelta(hours=1)


def test_at_rate_1_it_goes_on_with_this_machines_clock(emulator: Emulator) -> None:
    emulator.answer = {"now": NOW.isoformat(), "rate": 1.0}
    clock = RemoteClock(emulator.url)
    clock.sync()
    first = clock.now()
    clock.sleep(timedelta(milliseconds=20))

    assert timedelta(milliseconds=20) <= clock.now() - first < timedelta(seconds=5)


@pytest.mark.parametrize("answer", [[], {"now": "today", "rate": 1}, {"now": NOW.isoformat()}, {"rate": 1}])
def test_an_answer_that_is_no_clock_is_refused_with_the_variable(emulator: Emulator, answer: object) -> None:
    emulator.answer = answer
    with pytest.raises(Permanent, match="UNDERSTUDY_CLOCK="):
        RemoteClock(emulator.url).sync()


def test_followed_it_keeps_up_with_jumps_and_outlasts_an_emulator_that_is_silent(emulator: Emulator) -> None:
    clock = RemoteClock(emulator.url)
    clock.sync()
    jumped = threading.Event()

    def noticed() -> None:
        while clock.now() == NOW:
            pass
        jumped.set()

    threading.Thread(target=noticed, daemon=True).start()
    emulator.answer = []
    clock.follow(every=timedelta(milliseconds=1))
    emulator.answer = {"now": (NOW + timedelta(days=1)).isoformat(), "rate": 0.0}

    assert jumped.wait(10)
    assert clock.now() == NOW + timedelta(days=1)


def test_no_answer_is_a_retry() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/clock"
        with pytest.raises(Retryable, match="is it running"):
            RemoteClock(url).sync()


def test_the_machines_clock_is_aware_and_its_monotonic_side_only_rises() -> None:
    clock = SystemClock()
    clock.sync()
    before = clock.monotonic()

    assert clock.now().utcoffset() == timedelta(0)
    assert clock.monotonic() >= before


@pytest.mark.parametrize("value", [None, "", "   "])
def test_a_missing_or_empty_variable_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("UNDERSTUDY_REGION", raising=False)
    if value is not None:
        monkeypatch.setenv("UNDERSTUDY_REGION", value)

    with pytest.raises(BadInput, match=r"UNDERSTUDY_REGION is missing or empty: set it in s\.yaml"):
        settings(environment.variable, environment.require)


def test_the_tablestore_endpoint_is_the_vpc_one_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UNDERSTUDY_ENDPOINT", "UNDERSTUDY_OTS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UNDERSTUDY_REGION", "cn-hangzhou")
    monkeypatch.setenv("UNDERSTUDY_OTS_INSTANCE", "dr-state")

    configured = settings(environment.variable, environment.require)
    assert configured.ots_endpoint == "https://dr-state.cn-hangzhou.vpc.tablestore.aliyuncs.com"

    monkeypatch.setenv("UNDERSTUDY_ENDPOINT", "http://127.0.0.1:8080")
    assert settings(environment.variable, environment.require).ots_endpoint == "http://127.0.0.1:8080"
