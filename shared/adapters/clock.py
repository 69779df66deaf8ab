"""The two clocks a handler may run on: the machine's, or that of a local emulator.

The monotonic clock counts suspended time (CLOCK_BOOTTIME): a function instance that was frozen for an hour must not
believe that its claim is a minute old.
"""

import contextlib
import http.client
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from shared.domain.errors import Permanent, Retryable

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


def _monotonic() -> float:
    # Only Linux has CLOCK_BOOTTIME; elsewhere (development) a suspended laptop stops the clock: harmless.
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


class SystemClock:
    rate: Final = 1.0

    def __init__(self) -> None:
        self.began = _monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return _monotonic()

    def sleep(self, duration: timedelta) -> None:
        time.sleep(max(0.0, duration.total_seconds()))

    def sync(self) -> None:
        """An invocation begins. Nothing to fetch."""
        self.began = _monotonic()


class RemoteClock:
    """The emulator's wall clock, fetched once per invocation by `sync()` and carried on from there at its rate.

    `monotonic` and `sleep` are this machine's: leases and waiting are only meaningful while the emulator's clock runs
    at rate 1. At rate 0 `now` stands still for the whole invocation, as the emulator's does.
    """

    def __init__(self, url: str, *, timeout: timedelta = timedelta(seconds=5)) -> None:
        self._url = url
        self._timeout = timeout.total_seconds()
        self._known: tuple[datetime, float, float] | None = None  # the answer, its rate, when on our own clock
        self.began = _monotonic()

    def sync(self) -> None:
        """An invocation begins. Raises Retryable when the emulator does not answer, Permanent when it answers something
        else."""
        self.began = _monotonic()
        parts = urlsplit(self._url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=self._timeout)
        try:
            connection.request("GET", parts.path or "/")
            body = connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            raise Retryable(f"the emulator's clock at {self._url} does not answer ({error}); is it running?") from error
        finally:
            connection.close()
        fetched = _monotonic()
        try:
            answer = json.loads(body)
            base, rate = datetime.fromisoformat(answer["now"]), float(answer["rate"])
        except (ValueError, KeyError, TypeError) as error:
            raise Permanent(f"UNDERSTUDY_CLOCK={self._url} answered no clock: {body[:80]!r}") from error
        self._known = base.astimezone(UTC), rate, fetched

    @property
    def rate(self) -> float:
        return 1.0 if self._known is None else self._known[1]

    def follow(self, *, every: timedelta) -> None:
        """For a process that lives on while the emulator's clock jumps: fetched again and again, aside. While it does
        not answer (its zone is dark, say), what was fetched last goes on."""
        threading.Thread(target=self._follow, args=(every.total_seconds(),), name="clock", daemon=True).start()

    def _follow(self, every: float) -> None:
        while True:
            time.sleep(every)
            with contextlib.suppress(Retryable, Permanent):
                self.sync()

    def now(self) -> datetime:
        if self._known is None:
            self.sync()
        assert self._known is not None
        base, rate, fetched = self._known
        return base + timedelta(seconds=(_monotonic() - fetched) * rate)

    def monotonic(self) -> float:
        return _monotonic()

    def sleep(self, duration: timedelta) -> None:
        time.sleep(max(0.0, duration.total_seconds()))
