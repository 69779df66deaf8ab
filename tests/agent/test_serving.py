"""Peers that hang up are weather; everything else is told in full."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from threading import Thread

import pytest

from tests.agent.conftest import wait_for
from understudy.agent.serving import Handler, Server


class Knocked(Server):
    def __init__(self) -> None:
        self.ended = 0
        super().__init__(("127.0.0.1", 0), Answering)

    def shutdown_request(self, request: object) -> None:
        super().shutdown_request(request)  # type: ignore[arg-type]
        self.ended += 1


class Answering(Handler):
    def do_GET(self) -> None:
        if self.path == "/broken":
            raise RuntimeError("a bug of ours")
        body = b"x" * 100
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving() -> Iterator[Knocked]:
    server = Knocked()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def reset(server: Knocked, data: bytes = b"") -> None:
    """Connect, perhaps send, and hang up with a reset."""
    with socket.create_connection(("127.0.0.1", server.server_port)) as peer:
        peer.sendall(data)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for("the connection's end", lambda: server.ended == 1)


@pytest.mark.parametrize(
    "data", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["knock", "half", "whole"]
)
def test_a_peer_that_hangs_up_is_not_told_about(capfd: pytest.CaptureFixture[str], data: bytes) -> None:
    with serving() as server:
        reset(server, data)

    assert capfd.readouterr().err == ""


def test_a_bug_in_a_handler_is_told_in_full(capfd: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        reset(server, b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")

    assert "a bug of ours" in capfd.readouterr().err


def test_head_and_body_leave_in_one_segment() -> None:
    with serving() as server, socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

        assert peer.recv(4096).endswith(b"x" * 100)
