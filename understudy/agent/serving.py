"""The HTTP server under agent, master and application: standard library, and calm about peers that hang up.

A client that stopped waiting, a health check that only knocks and a zone that falls silent all end connections in the
middle. That is weather, not an error of this process: it is logged at DEBUG, while everything else is told in full.
"""

import logging
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

log = logging.getLogger("understudy.serving")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if isinstance(error, ConnectionError | TimeoutError):
            log.debug("%s hung up: %s", client_address, error)
        else:
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5  # seconds that a silent peer may keep a thread
    wbufsize = 1 << 16  # headers and body in one segment: two small ones cost 40 ms on a kept-alive connection

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)
