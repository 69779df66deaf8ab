"""How far this site's data is behind the active site's: asked of the operator's own command or URL, in a thread of its
own. Its output is seconds as a number, or JSON with the key `lag`. Anything else, an exit code other than 0, or silence
means that the lag is not known, never that there is none.
"""

import http.client
import json
import shlex
import subprocess
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain.errors import BadInput
from shared.ports.clock import Clock

EVERY: Final = timedelta(seconds=2)
PATIENCE: Final = timedelta(seconds=5)  # for one answer
LONGEST: Final = timedelta(days=3650)  # nobody's data is further behind: what says so counts otherwise, or not at all
LARGEST: Final = 4096

Measure = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Lag:
    behind: timedelta
    at: float  # boottime, when the asking began


class LagWatch:
    """`newest` is None until something was measured, and again once a measurement has failed."""

    def __init__(self, measure: Measure, *, clock: Clock) -> None:
        self._measure, self._clock = measure, clock
        self._ended = threading.Event()
        self.newest: Lag | None = None
        self.trouble = ""

    def run(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._ended.wait(EVERY.total_seconds())

    def stop(self) -> None:
        self._ended.set()

    def look(self) -> None:
        began = self._clock.monotonic()
        try:
            self.newest, self.trouble = Lag(behind(self._measure()), began), ""
        except (OSError, ValueError, subprocess.SubprocessError, http.client.HTTPException) as error:
            self.newest, self.trouble = None, f"the lag is not known: {error}"


def behind(said: str) -> timedelta:
    """Raises ValueError when this is no lag."""
    try:
        value = json.loads(said)
    except RecursionError as error:
        raise ValueError("expected seconds or JSON, not brackets without end") from error
    if isinstance(value, dict):
        value = value.get("lag")
    # The range before all else: a whole number of any size would fail in every sum, and end this agent with it.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LONGEST.total_seconds():
        raise ValueError(f'expected seconds, or JSON such as {{"lag": 1.5}}, not {said[:80]!r}')
    return timedelta(seconds=value)


def by_command(command: str) -> Measure:
    """Run without a shell. Raises BadInput."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise BadInput(f"--lag-command: {error}") from error
    if not words:
        raise BadInput("--lag-command is empty: leave it out, and the lag counts as not known")

    def measure() -> str:
        done = subprocess.run(words, capture_output=True, timeout=PATIENCE.total_seconds(), check=True)
        return done.stdout.decode("utf-8", "replace")

    return measure


def by_url(url: str) -> Measure:
    """Raises BadInput."""
    if not url.startswith(("http://", "https://")):
        raise BadInput(f"--lag-url must begin with http:// or https://, not {url!r}")

    def measure() -> str:
        with urllib.request.urlopen(url, timeout=PATIENCE.total_seconds()) as answer:  # noqa: S310 - http only
            return str(answer.read(LARGEST).decode("utf-8", "replace"))

    return measure
