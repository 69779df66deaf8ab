"""The emulated wall clock and the calendar of what happens next.

Models read `now()` and put future changes on the calendar with `call_at`; they never wait. Time either stands (rate 0,
and is jumped from due time to due time) or flows with real time (rate 1). Signatures and protocol dates do not use
this clock but the real one: otherwise moving time would break every client.
"""

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

logger = logging.getLogger(__name__)

Callback = Callable[[], None]
TIDY_FROM = 1024
"""Entries from which on the calendar looks for cancelled ones."""


def real_now() -> datetime:
    """This machine's own wall clock: only for signatures and protocol dates."""
    return datetime.now(UTC)


@dataclass(order=True)
class Due:
    """One entry of the calendar; `cancel()` makes it a no-op."""

    at: datetime
    order: int
    callback: Callback | None = field(compare=False)
    label: str = field(compare=False, default="")
    inside: bool = field(compare=False, default=False)
    """Put there by a step of the world, and so part of it: see `Course`."""

    def cancel(self) -> None:
        self.callback = None


class Course(Protocol):
    """Who keeps a record of the world tells its own steps from what goes on around it, such as health probes."""

    inside: bool

    def run(self, due: Due) -> None:
        """Run the callback, with `now()` standing where it belongs."""
        ...


class Clock:
    """All methods belong to one thread: the server's loop, or the simulation's."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, tzinfo=UTC)) -> None:
        self._base = start
        self._real = time.monotonic()
        self._rate = 0.0
        self._calendar: list[Due] = []
        self._full = TIDY_FROM
        self._order = itertools.count()
        self._holds: dict[int, str] = {}
        self._hold_ids = itertools.count()
        self._changed = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._rate_listeners: list[Callback] = []
        self._pinned: datetime | None = None
        self.course: Course | None = None

    @property
    def rate(self) -> float:
        return self._rate

    def now(self) -> datetime:
        if self._pinned is not None:
            return self._pinned
        if self._rate == 0:
            return self._base
        return self._base + timedelta(seconds=(time.monotonic() - self._real) * self._rate)

    @contextmanager
    def standing(self, at: datetime) -> Iterator[None]:
        """Within the block it is `at`, whatever the rate: what happens at one moment sees one time."""
        outer, self._pinned = self._pinned, at
        try:
            yield
        finally:
            self._pinned = outer

    def put(self, at: datetime) -> None:
        """It is `at`, without running anything: for a world that goes on where it was left."""
        self._base, self._real = at, time.monotonic()

    def set_rate(self, rate: float) -> None:
        """0 stops time where it is; 1 lets it flow with real time (anything between or above scales)."""
        self._base, self._real, self._rate = self.now(), time.monotonic(), rate
        self._changed.set()
        for listener in list(self._rate_listeners):
            listener()

    def on_rate(self, listener: Callback) -> None:
        """`listener()` is called after each change of the rate: what was worth skipping in jumps may matter now."""
        self._rate_listeners.append(listener)

    def call_at(self, at: datetime, callback: Callback, label: str = "") -> Due:
        due = Due(at, next(self._order), callback, label, inside=self.course is not None and self.course.inside)
        heapq.heappush(self._calendar, due)
        if len(self._calendar) >= self._full:
            self._tidy()
        self._changed.set()
        return due

    def _tidy(self) -> None:
        """Let go of what was cancelled long before its time: each time the calendar has doubled."""
        self._calendar = [due for due in self._calendar if due.callback is not None]
        heapq.heapify(self._calendar)
        self._full = max(TIDY_FROM, 2 * len(self._calendar))

    def call_later(self, delay: timedelta, callback: Callback, label: str = "") -> Due:
        return self.call_at(self.now() + delay, callback, label)

    def next_due(self) -> datetime | None:
        while self._calendar and self._calendar[0].callback is None:
            heapq.heappop(self._calendar)
        return self._calendar[0].at if self._calendar else None

    def forget(self, entry: Callable[[Due], bool]) -> None:
        """Cancel those of which `entry` says so."""
        for due in self._calendar:
            if entry(due):
                due.cancel()

    @contextmanager
    def hold(self, label: str) -> Iterator[None]:
        """While held, time does not jump: real work (a running function, a booting guest) is still under way."""
        key = next(self._hold_ids)
        self._holds[key] = label
        self._quiet.clear()
        try:
            yield
        finally:
            del self._holds[key]
            if not self._holds:
                self._quiet.set()

    @property
    def held_by(self) -> tuple[str, ...]:
        return tuple(self._holds.values())

    def run_due(self, until: datetime) -> bool:
        """Run the next entry due at or before `until`, with `now()` at its time. False: nothing is due."""
        at = self.next_due()
        if at is None or at > until:
            return False
        due = heapq.heappop(self._calendar)
        assert due.callback is not None
        if self._rate == 0:
            self._base = max(self._base, due.at)
        if self.course is not None:
            self.course.run(due)
        elif self._rate == 0:
            due.callback()
        else:
            with self.standing(min(due.at, self.now())):  # a busy loop runs it late; that is not the world's business
                due.callback()
        return True

    def advance(self, by: timedelta) -> None:
        """In-process door: jump, running everything that falls due, without waiting for anything real."""
        target = self.now() + by
        while self.run_due(target):
            pass
        if self._rate == 0:
            self._base = max(self._base, target)  # an entry may have jumped further by itself

    async def jump(self, to: datetime) -> None:
        """Server door: like `advance`, but after each entry wait until nothing holds time any more."""
        await self._quiet.wait()
        while self.run_due(to):
            await asyncio.sleep(0)
            await self._quiet.wait()
        if self._rate == 0:
            self._base = max(self._base, to)

    def _run_one(self) -> bool:
        """An entry that fails must not stop time for all others."""
        try:
            return self.run_due(self.now())
        except Exception:  # whatever it was: nobody waits for this task, so a raise would end time without a word
            logger.exception("an entry of the calendar failed at %s", self.now().isoformat())
            return True

    async def flow(self) -> None:
        """Run for ever beside the server: fire entries as real time reaches them, while the rate is not 0."""
        while True:
            self._changed.clear()
            if self._rate == 0:
                await self._changed.wait()
                continue
            while self._run_one():
                await asyncio.sleep(0)
            at = self.next_due()
            wait = None if at is None else max(0.0, (at - self.now()).total_seconds() / self._rate)
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue
