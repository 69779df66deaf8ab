"""What a witness sees of an agent: answered, refused or silent are told apart, and nothing raises."""

import asyncio
import contextlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar

import pytest

from emulator.network.port import Port, dial
from shared.adapters.agents import HttpAgents
from shared.domain.ids import Epoch
from shared.ports.probes import AgentReport, Sight
from tests.emulator.networks import free_network

SOON = timedelta(seconds=0.3)
AMPLE = timedelta(seconds=3)


class Agent(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str, bytes]]] = []
    status = 200
    answer = b"{}"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.command, self.path, body))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    do_GET = do_POST = _serve

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def agent() -> Iterator[tuple[type[Agent], str, int]]:
    class Mine(Agent):
        asked: ClassVar[list[tuple[str, str, bytes]]] = []
        protocol_version = "HTTP/1.1"

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    server.daemon_threads = True
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    yield Mine, "127.0.0.1", server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@contextlib.contextmanager
def peer(*sends: bytes, every: float = 0.0, hang: bool = False) -> Iterator[int]:
    """Anything but an agent: sends these bytes at that pace, then hangs up (or not)."""
    ended = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            with client:
                client.settimeout(2)
                client.recv(4096)
                for part in sends:
                    client.sendall(part)
                    if ended.wait(every):
                        return
                if hang:
                    ended.wait(5)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_nobody_on_the_port_is_a_refusal() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        seen = HttpAgents().look("127.0.0.1", free.getsockname()[1], timeout=AMPLE)
    assert seen.sight is Sight.REFUSED


def test_a_process_that_hangs_up_is_a_refusal() -> None:
    with peer() as port:
        assert HttpAgents().look("127.0.0.1", port, timeout=AMPLE).sight is Sight.REFUSED


def test_a_frozen_process_that_accepts_and_says_nothing_is_silent() -> None:
    with peer(hang=True) as port:
        assert HttpAgents().look("127.0.0.1", port, timeout=SOON).sight is Sight.SILENT


def test_a_trickle_does_not_outlast_the_deadline() -> None:
    trickle = [b"HTTP/1.1 200 OK\r\n", *(f"X-{n}: y\r\n".encode() for n in range(100))]
    with peer(*trickle, every=0.05) as port:
        began = time.monotonic()
        assert HttpAgents().look("127.0.0.1", port, timeout=SOON).sight is Sight.SILENT
        assert time.monotonic() - began < 1


def test_a_dark_address_is_silent_within_the_time_given() -> None:
    net = free_network()

    async def story() -> None:
        dark = Port((f"127.{net}.1.21", 0), dial(("127.0.0.1", 9)))
        dark.silence()
        dark.open()
        began = time.monotonic()
        seen = await asyncio.to_thread(HttpAgents().look, *dark.listen, timeout=SOON)
        assert seen.sight is Sight.SILENT
        assert 0.25 < time.monotonic() - began < 1
        await dark.close()

    asyncio.run(story())


def test_an_address_without_a_route_is_silent_not_refusing() -> None:
    assert HttpAgents().look("host.invalid", 7001, timeout=SOON).sight is Sight.SILENT


@pytest.mark.parametrize(
    "answer",
    [b"not http at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.1 200 OK\r\n\r\n[1]"],
    ids=["no HTTP", "no JSON", "no object"],
)
def test_a_stranger_on_the_port_has_answered_but_claims_nothing(answer: bytes) -> None:
    with peer(answer) as port:
        seen = HttpAgents().look("127.0.0.1", port, timeout=AMPLE)
    assert (seen.sight, seen.active, seen.epoch) == (Sight.ANSWERED, None, None)
    assert "not an agent" in seen.detail


def test_a_look_reports_what_the_agent_says(agent: tuple[type[Agent], str, int]) -> None:
    mine, host, port = agent
    mine.answer = json.dumps({"site": "hz-h", "active": True, "epoch": 7, "deadline_in_seconds": 3.2}).encode()
    assert HttpAgents().look(host, port, timeout=AMPLE) == AgentReport(
        sight=Sight.ANSWERED, active=True, epoch=Epoch(7), site="hz-h"
    )
    assert mine.asked == [("GET", "/status", b"")]


def test_words_of_the_wrong_type_are_not_believed(agent: tuple[type[Agent], str, int]) -> None:
    mine, host, port = agent
    mine.answer = b'{"site": 5, "active": "false", "epoch": true}'
    seen = HttpAgents().look(host, port, timeout=AMPLE)
    assert (seen.sight, seen.active, seen.epoch, seen.site) == (Sight.ANSWERED, None, None, None)


def test_a_promotion_carries_the_epoch_and_a_refused_one_says_why(agent: tuple[type[Agent], str, int]) -> None:
    mine, host, port = agent
    mine.status, mine.answer = 409, b'{"site": "hz-i", "active": false, "epoch": 6, "detail": "the lease names hz-h"}'
    seen = HttpAgents().promote(host, port, epoch=Epoch(7), timeout=AMPLE)
    assert (seen.sight, seen.active, seen.epoch) == (Sight.ANSWERED, False, 6)
    assert seen.detail == "HTTP 409: the lease names hz-h"
    assert mine.asked == [("POST", "/promote", b'{"epoch": 7}')]


def test_a_demotion_is_asked_for_by_post(agent: tuple[type[Agent], str, int]) -> None:
    mine, host, port = agent
    mine.answer = b'{"site": "hz-h", "active": false, "epoch": 7}'
    assert HttpAgents().demote(host, port, timeout=AMPLE).active is False
    assert mine.asked == [("POST", "/demote", b"{}")]
