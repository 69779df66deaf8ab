"""Masters tried on their own port: by a connection, by HTTP, and along a line that was opened before."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shared.adapters.master_probes import MasterProbes
from shared.ports.probes import Sight

SOON, LONG = timedelta(milliseconds=150), timedelta(seconds=5)
HERE = "127.0.0.1"


class Master(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.status = 200
        self.talks = threading.Event()
        self.talks.set()
        super().__init__((HERE, 0), Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Master

    def do_GET(self) -> None:
        self.server.talks.wait(10)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def master() -> Iterator[Master]:
    server = Master()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.talks.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def probes() -> MasterProbes:
    return MasterProbes()


@pytest.mark.parametrize("path", ["", "/health"])
def test_a_port_where_nobody_listens_refuses(probes: MasterProbes, path: str) -> None:
    with closing(socket.socket()) as free:
        free.bind((HERE, 0))
        tried = probes.tries(HERE, free.getsockname()[1], path=path, timeout=LONG)

    assert (tried.sight, tried.well) == (Sight.REFUSED, False)


def test_a_master_that_takes_the_connection_and_says_nothing_is_silent(probes: MasterProbes, master: Master) -> None:
    master.talks.clear()

    assert probes.tries(HERE, master.port, path="/health", timeout=SOON).sight is Sight.SILENT
    assert probes.tries(HERE, master.port, path="", timeout=LONG).well, "the bare connection does not see it"


def test_an_answer_that_is_no_success_is_heard_and_not_well(probes: MasterProbes, master: Master) -> None:
    master.status = 503

    tried = probes.tries(HERE, master.port, path="/health", timeout=LONG)

    assert (tried.sight, tried.well, tried.detail) == (Sight.ANSWERED, False, "HTTP 503")


def test_what_is_no_http_is_heard_and_not_well(probes: MasterProbes) -> None:
    with closing(socket.create_server((HERE, 0))) as door:

        def babble() -> None:
            end, _ = door.accept()
            end.sendall(b"SSH-2.0-nobody\r\n")
            end.close()

        threading.Thread(target=babble, daemon=True).start()
        tried = probes.tries(HERE, door.getsockname()[1], path="/health", timeout=LONG)

    assert (tried.sight, tried.well) == (Sight.ANSWERED, False)


def test_success_is_well(probes: MasterProbes, master: Master) -> None:
    assert probes.tries(HERE, master.port, path="/health", timeout=LONG).well


def test_a_line_is_asked_again_and_again(probes: MasterProbes, master: Master) -> None:
    line = probes.line(HERE, master.port, path="/health", timeout=LONG)

    assert line is not None
    assert [line.asks(timeout=LONG) for _ in range(3)] == [Sight.ANSWERED] * 3
    line.close()
    assert line.asks(timeout=LONG) is Sight.REFUSED


def test_a_late_answer_shows_that_the_line_was_alive(probes: MasterProbes, master: Master) -> None:
    line = probes.line(HERE, master.port, path="/health", timeout=LONG)
    assert line is not None
    master.talks.clear()
    assert line.asks(timeout=SOON) is Sight.SILENT
    assert not line.broken

    master.talks.set()

    assert line.asks(timeout=LONG) is Sight.ANSWERED
    line.close()


def test_a_line_that_the_other_side_closed_is_broken_for_good(probes: MasterProbes) -> None:
    with closing(socket.create_server((HERE, 0))) as door:

        def once() -> None:
            end, _ = door.accept()
            end.recv(1024)
            end.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            end.recv(1024)
            end.close()

        threading.Thread(target=once, daemon=True).start()
        line = probes.line(HERE, door.getsockname()[1], path="/", timeout=LONG)
        assert line is not None
        assert line.asks(timeout=LONG) is Sight.REFUSED
        assert line.broken


def test_without_an_answer_there_is_no_line(probes: MasterProbes, master: Master) -> None:
    master.talks.clear()

    assert probes.line(HERE, master.port, path="/health", timeout=SOON) is None
