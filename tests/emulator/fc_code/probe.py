"""Functions for tests of the emulator's Function Compute; each name says what it does."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STARTED = {"requests": 0, "initialized": 0}


def initialize(context: Any) -> None:
    STARTED["initialized"] += 1


def broken_initialize(context: Any) -> None:
    raise RuntimeError("no connection")


def note(event: bytes, context: Any) -> None:
    path = Path(os.environ["NOTES"])
    with path.open("a") as notes:
        notes.write(json.dumps({"fn": context.function.name, "id": context.request_id, "event": event.decode()}) + "\n")


def handler(event: bytes, context: Any) -> Any:
    """Does what the event says."""
    STARTED["requests"] += 1
    note(event, context)
    asked = json.loads(event) if event[:1] == b"{" else {}
    if "sleep" in asked:
        time.sleep(asked["sleep"])
    if "raise" in asked:
        raise ValueError(asked["raise"])
    if "exit" in asked:
        os._exit(asked["exit"])
    if "answer" in asked:
        return asked["answer"]
    if asked.get("fail_first"):
        marker = Path(os.environ["NOTES"] + ".failed")
        if not marker.exists():
            marker.touch()
            raise ConnectionError("the first time fails")
    return {
        "event": event.decode(),
        "requests": STARTED["requests"],
        "initialized": STARTED["initialized"],
        "pid": os.getpid(),
        "credentials": hasattr(context, "credentials"),
        "handler": context.function.handler,
        "env": dict(os.environ),
        "stdlib_queue": "Queue" in dir(__import__("queue")),
        "python": list(sys.version_info[:2]),
    }


def page(event: bytes, context: Any) -> Any:
    asked = json.loads(event)
    http, at = asked["requestContext"]["http"], asked["requestContext"]["domainName"].partition(":")[0]
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "text/html", "Content-Disposition": "inline"},
        "body": f"<p>{http['method']} {http['path']} at {at}</p>",
    }


def streaming(event: bytes, context: Any) -> Iterator[str]:
    note(event, context)
    yield "the first line, "
    yield "and the second"
