"""One execution of a function and the time that it may take.

While it works it holds the emulated clock: a jump waits for it. Its time-out is real seconds, because its work is real;
while its zone is dark it does not work, holds nothing, and its time-out runs on the emulated calendar.
"""

import asyncio
from contextlib import ExitStack
from datetime import timedelta

from emulator.clock import Clock, Due
from emulator.fc.instances import Instance
from emulator.fc.project import Function


class Run:
    def __init__(self, clock: Clock, function: Function, request_id: str) -> None:
        self.function = function
        self.request_id = request_id
        self.expired = asyncio.Event()
        self.thawed = asyncio.Event()
        self.thawed.set()
        self._clock = clock
        self._hold = ExitStack()
        self._instance: Instance | None = None
        self._budget = function.timeout
        self._started: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due: Due | None = None
        self._take_hold()

    @property
    def frozen(self) -> bool:
        return not self.thawed.is_set()

    @property
    def instance(self) -> Instance | None:
        return self._instance

    def on(self, instance: Instance) -> None:
        self._instance = instance
        if self.frozen:
            instance.suspend()

    def allow(self, budget: timedelta) -> None:
        """Start the clock of this phase: it expires after `budget`."""
        self._stop_timers()
        self._budget = budget
        self._start_timer()

    def freeze(self) -> None:
        if self.frozen or self.expired.is_set():
            return
        self._pause()
        self.thawed.clear()
        self._hold.close()
        if self._instance:
            self._instance.suspend()
        self._start_timer()

    def thaw(self) -> None:
        if not self.frozen or self.expired.is_set():
            return
        self._pause()
        self.thawed.set()
        self._take_hold()
        if self._instance:
            self._instance.resume()
        self._start_timer()

    def close(self) -> None:
        self._stop_timers()
        self._hold.close()

    def _expire(self) -> None:
        if self.frozen:
            self._take_hold()  # ending it is work again
        self.expired.set()

    def _take_hold(self) -> None:
        self._hold.enter_context(self._clock.hold(f"fc {self.function.name} {self.request_id}"))

    def _start_timer(self) -> None:
        if self.frozen:
            self._started = self._clock.now().timestamp()
            self._due = self._clock.call_later(self._budget, self._expire, f"time-out of {self.function.name}")
        else:
            loop = asyncio.get_running_loop()
            self._started = loop.time()
            self._timer = loop.call_later(self._budget.total_seconds(), self._expire)

    def _pause(self) -> None:
        """Count what has passed on the clock that ran until now."""
        if self._started is not None:
            now = self._clock.now().timestamp() if self.frozen else asyncio.get_running_loop().time()
            self._budget = max(timedelta(0), self._budget - timedelta(seconds=now - self._started))
        self._stop_timers()

    def _stop_timers(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._due:
            self._due.cancel()
        self._timer = self._due = self._started = None
