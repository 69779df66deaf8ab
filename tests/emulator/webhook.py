"""A receiver of webhooks: keeps what it was sent, and answers as it is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    method: str
    content_type: str
    body: bytes
    query: dict[str, str]


class Receiver:
    def __init__(self, url: str) -> None:
        self.url = url
        self.got: list[Got] = []
        self.statuses: list[int] = []  # answered in turn; 200 when it is empty

    @property
    def bodies(self) -> list[bytes]:
        return [one.body for one in self.got]


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            body = self.rfile.read(length)
            query = {name: values[0] for name, values in parse_qs(urlparse(self.path).query).items()}
            kind = self.headers.get("Content-Type", "")
            box.got.append(Got(method=self.command, content_type=kind, body=body, query=query))
            self.send_response(box.statuses.pop(0) if box.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = _answer
        do_GET = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Silent: pytest shows what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    box = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield box
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
