"""One cold start of our functions that backs a fleet up, or prunes it: the client that `bench.backup` measures.

A process of its own, run from the package that is deployed where there is one. It calls the deployed handlers; what
they ask our own functions to do later, it does itself at once, moving the emulated clock on in between. Writes nothing
but one line of JSON.
"""

import http.client
import json
import os
import sys
from collections import deque
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from shared.wiring import foundation

STEP_SECONDS = 60
ROUNDS_AT_MOST = 400


class Context:
    request_id = "1-bench"


class Queue:
    """Our own asynchronous invocations, kept to be delivered by this process."""

    def __init__(self) -> None:
        self.now: deque[tuple[str, bytes]] = deque()
        self.later: deque[tuple[str, bytes]] = deque()

    def invoke_async(
        self, function: str, payload: bytes, *, delay: timedelta = timedelta(0), task: str | None = None
    ) -> None:
        (self.later if delay else self.now).append((function, payload))

    def invoke(self, function: str, payload: bytes) -> bytes:
        raise AssertionError("nothing here waits for another function")


QUEUE = Queue()
foundation.functions = lambda: QUEUE  # type: ignore[assignment]  # before any wiring takes it


def emulator(path: str, body: dict[str, Any]) -> None:
    connection = http.client.HTTPConnection(urlsplit(os.environ["UNDERSTUDY_ENDPOINT"]).netloc, timeout=600)
    connection.request("POST", f"/_emulator/{path}", json.dumps(body))
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    connection.close()


def deliver() -> int:
    """Everything that is queued, and what follows from it, until nothing is left."""
    import functions.backup as backup

    rounds = 0
    while QUEUE.now or QUEUE.later:
        rounds += 1
        assert rounds < ROUNDS_AT_MOST, "the operations do not end"
        if not QUEUE.now:
            emulator("clock", {"advance": STEP_SECONDS})
            QUEUE.now, QUEUE.later = QUEUE.later, deque()
        while QUEUE.now:
            function, payload = QUEUE.now.popleft()
            assert function == "backup", function
            backup.handler(payload, Context())
    return rounds


def back_up() -> dict[str, Any]:
    import functions.schedule as schedule

    told = json.loads(schedule.handler(b'{"schedule": "now"}', Context()))
    assert told.get("opened"), told
    return {"schedule": told, "rounds": deliver()}


def prune() -> dict[str, Any]:
    import functions.prune as prune

    told = json.loads(prune.handler(b'{"prune": "apply"}', Context()))
    return {one: told.get(one) for one in ("gone", "refused", "stopped")}


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"backup": back_up, "prune": prune}[sys.argv[1]]()) + "\n")
