"""Servers as processes of their own. Imports nothing heavy: a child's peak memory begins at its parent's."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def server(*command: str) -> Iterator[str]:
    """A child process whose first line of output is JSON with its `url`."""
    child = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        first = child.stdout.readline()
        if not first:
            raise SystemExit(f"bench: {' '.join(command)[:60]} ended before it served; its own message stands above")
        yield str(json.loads(first)["url"])
    finally:
        child.terminate()
        child.wait(300)  # a world of 100,000 disks takes its time to go
        if child.stdout is not None:
            child.stdout.close()
