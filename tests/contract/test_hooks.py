"""Hooks over real HTTP, and by a function: what answers as agreed counts, and everything else is silence."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from shared.adapters.hooks import CloudHooks
from shared.domain.errors import Permanent, Retryable
from shared.domain.pair import Hook
from shared.ports.functions import Functions
from shared.ports.hooks import HookAnswer, Said

QUESTION = b'{"pair": "control"}'
Serve = Callable[[int, bytes, float], Hook]


class Asked:
    """A function of the account."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer, self.calls = answer, list[tuple[str, bytes]]()

    def invoke_async(
        self, function: str, payload: bytes, *, delay: timedelta = timedelta(0), task: str | None = None
    ) -> None:
        raise AssertionError("a hook is waited for")

    def invoke(self, function: str, payload: bytes) -> bytes:
        self.calls.append((function, payload))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def unused(_within: timedelta) -> Functions:
    raise AssertionError("a hook with a URL needs no function")


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[HTTPServer] = []
    ended = threading.Event()

    def build(status: int, body: bytes, after: float = 0.0) -> Hook:
        class Answers(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the standard library's name
                assert self.rfile.read(int(self.headers["Content-Length"])) == QUESTION
                ended.wait(after)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Answers)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return Hook(name="test", url=f"http://127.0.0.1:{server.server_port}/may-we", within=timedelta(seconds=0.5))

    yield build
    ended.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_hook_that_says_no_says_why(serve: Serve) -> None:
    hook = serve(200, b'{"veto": true, "because": "the books are open"}', 0.0)

    assert CloudHooks(functions=unused).ask(hook, QUESTION) == HookAnswer(said=Said.VETO, why="the books are open")


def test_a_hook_that_has_nothing_against_it_proceeds(serve: Serve) -> None:
    assert CloudHooks(functions=unused).ask(serve(200, b'{"veto": false}', 0.0), QUESTION).said is Said.PROCEED


@pytest.mark.parametrize(
    ("status", "body", "after"),
    [
        pytest.param(500, b'{"veto": true}', 0.0, id="failed"),
        pytest.param(404, b'{"veto": false}', 0.0, id="not there"),
        pytest.param(200, b"<html>", 0.0, id="no JSON"),
        pytest.param(200, b'"veto"', 0.0, id="no object"),
        pytest.param(200, b'{"veto": "yes"}', 0.0, id="no yes or no"),
        pytest.param(200, b"", 0.0, id="empty"),
        pytest.param(200, b'{"veto": true}', 5.0, id="too late"),
    ],
)
def test_what_is_no_answer_in_time_is_silence_with_a_reason(
    serve: Serve, status: int, body: bytes, after: float
) -> None:
    answer = CloudHooks(functions=unused).ask(serve(status, body, after), QUESTION)

    assert answer.said is Said.SILENT
    assert answer.why


def test_a_hook_that_nobody_serves_is_silent() -> None:
    hook = Hook(name="test", url="http://127.0.0.1:9/may-we", within=timedelta(seconds=0.5))

    assert CloudHooks(functions=unused).ask(hook, QUESTION).said is Said.SILENT


def test_a_function_is_asked_by_its_full_name_and_has_as_long_as_the_hook() -> None:
    asked, within = Asked(json.dumps({"veto": True, "because": "no"}).encode()), list[timedelta]()

    def functions(given: timedelta) -> Functions:
        within.append(given)
        return asked

    hook = Hook(name="test", function="understudy-hook-may-we", within=timedelta(seconds=3))

    assert CloudHooks(functions=functions).ask(hook, QUESTION) == HookAnswer(said=Said.VETO, why="no")
    assert asked.calls == [("understudy-hook-may-we", QUESTION)]
    assert within == [hook.within]


@pytest.mark.parametrize("error", [Permanent("it failed"), Retryable("not reached")], ids=["failed", "not reached"])
def test_a_function_that_fails_is_silent(error: Exception) -> None:
    hooks = CloudHooks(functions=lambda _within: Asked(error))

    assert hooks.ask(Hook(name="test", function="understudy-hook-x"), QUESTION).said is Said.SILENT
