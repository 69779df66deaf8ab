"""What runs inside a function instance: a child process that loads one handler and serves one request at a time.

Started as a script with `-P`, so that its folder (which holds a `queue.py`) never shadows the standard library. Speaks
frames over an inherited socket: two 4-byte big-endian lengths, a JSON head, a raw body. Must import nothing but the
standard library: what the function may import is what its code directories and PYTHONPATH offer.
"""

import ctypes
import importlib
import json
import logging
import os
import signal
import socket
import struct
import sys
import traceback
from types import SimpleNamespace
from typing import Any

LENGTHS = struct.Struct(">II")


def die_with(parent: int) -> None:
    """No instance survives the emulator, however that ends (Linux; elsewhere the closed socket ends it)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)


class Channel:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def receive(self) -> tuple[dict[str, Any], bytes]:
        head, body = LENGTHS.unpack(self._exactly(LENGTHS.size))
        return json.loads(self._exactly(head)), self._exactly(body)

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        packed = json.dumps(head).encode()
        self._connection.sendall(LENGTHS.pack(len(packed), len(body)) + packed + body)

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._connection.recv(size - len(parts))
            if not part:
                os._exit(0)  # the emulator is gone
            parts += part
        return bytes(parts)


def context(request_id: str, about: dict[str, Any]) -> Any:
    """As python3.12's: no `credentials`, no `service`; `logger` is None until getLogger() is called. Those of the older
    runtimes have the credentials, and no logs (FC documentation, context)."""
    if about["runtime"] != "python3.12":
        return SimpleNamespace(
            request_id=request_id,
            region=about["region"],
            account_id=about["account"],
            function=SimpleNamespace(
                **{key: about["function"][key] for key in ("name", "handler", "memory", "timeout")}
            ),
            credentials=SimpleNamespace(**about["credentials"]),
            # assumption: empty in 3.0, which has no services
            service=SimpleNamespace(name="", log_project="", log_store="", qualifier="LATEST", version_id="LATEST"),
        )
    made = SimpleNamespace(
        request_id=request_id,
        region=about["region"],
        account_id=about["account"],
        function=SimpleNamespace(**about["function"]),
        log_project="",
        log_store="",
        logger=None,
    )

    def get_logger() -> logging.Logger:
        made.logger = logging.getLogger()
        return logging.getLogger()

    made.getLogger = get_logger
    return made


def failure(error: BaseException) -> bytes:
    stack = [
        [frame.filename, frame.lineno, frame.name, frame.line]
        for frame in traceback.extract_tb(error.__traceback__)[1:]
    ]
    told = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": stack}
    traceback.print_exception(error)
    return json.dumps(told).encode()


def load(name: str) -> Any:
    """`watch.handler` is the function `handler` of `watch.py` at the code root."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def encode(answer: Any) -> bytes:
    if isinstance(answer, bytes | bytearray):
        return bytes(answer)
    if isinstance(answer, str):
        return answer.encode()
    return json.dumps(answer).encode()


def say(line: str) -> None:
    """Into the function's log, as FC does around each request."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parent, descriptor = int(sys.argv[1]), int(sys.argv[2])
    die_with(parent)
    channel = Channel(socket.socket(fileno=descriptor))
    about, _ = channel.receive()
    sys.path[:0] = about["code"]
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s [%(levelname)s] %(message)s")
    handler: Any = None
    while True:
        request, event = channel.receive()
        where, made = request["op"], context(request["request_id"], about)
        say(f"FC {where} start RequestId: {made.request_id}")
        try:
            if where == "initialize":
                load(about["initializer"])(made)
                answer = b""
            else:
                handler = handler or load(about["handler"])
                answer = encode(handler(event, made))
        except Exception as error:  # noqa: BLE001 (whatever a handler raises is the answer)
            ok, answer = False, failure(error)
        else:
            ok = True
        say(f"FC {where} end RequestId: {made.request_id}")
        sys.stderr.flush()
        channel.send({"ok": ok}, answer)  # after all of its log is written, which a caller may ask for


if __name__ == "__main__":
    main()
