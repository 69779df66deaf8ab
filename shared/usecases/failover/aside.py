"""Slow looks beside the round: a load balancer or name service that takes ten seconds must not delay a detection."""

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Lock
from typing import Generic, TypeVar

from shared.domain.errors import DrError, NotFound, Permanent
from shared.observability import log
from shared.ports.clock import Clock

T = TypeVar("T")

Run = Callable[[Callable[[], None]], None]
"""Has a function run some time soon: a thread in production, at once in tests."""


class Aside(Generic[T]):
    """One kind of look, at most one of it under way; the newest answer is kept with its age."""

    def __init__(self, look: Callable[[], T], *, what: str, run: Run, clock: Clock) -> None:
        """`what` is looked at, for the log: the first failure in a row is told there."""
        self._look, self._what, self._run, self._clock = look, what, run, clock
        self._lock = Lock()
        self._busy = False
        self._turn = 0  # a look begun before the last `forget` answers for nothing
        self._answer: tuple[float, T] | None = None
        self._failing: tuple[float, str] | None = None  # since when (monotonic), and why
        self._refusal = ""

    @property
    def trouble(self) -> str:
        """Why the last look failed; empty when it did not."""
        failing = self._failing  # read once: a look under way in another thread may end at any moment
        return failing[1] if failing else ""

    @property
    def refusal(self) -> str:
        """What the last look was answered, when that was a no for good: there is nothing to look at, or two of it.
        Empty when it succeeded, or could not be asked, or was not allowed to ask, all of which may pass."""
        return self._refusal

    def failing_for(self) -> timedelta:
        """How long no look has succeeded; zero when the last one did."""
        now, failing = self._clock.monotonic(), self._failing
        return timedelta(seconds=max(0.0, now - failing[0])) if failing else timedelta(0)

    def start(self) -> None:
        with self._lock:
            if self._busy:
                return
            self._busy = True
        self._run(self._once)

    def newest(self) -> tuple[float, T] | None:
        """(monotonic seconds at which the look began, answer)"""
        return self._answer

    def forget(self) -> None:
        """What was looked at has been changed by us: neither the answer kept nor one under way counts."""
        with self._lock:
            self._turn += 1
            self._answer = None

    def _once(self) -> None:
        began, turn = self._clock.monotonic(), self._turn
        try:
            answer = self._look()
        except DrError as error:
            if self._failing is None:
                log.event("look.failed", level=logging.WARNING, subject=self._what, because=[str(error)])
            self._failing = (self._failing[0] if self._failing else began, str(error))
            self._refusal = str(error) if isinstance(error, NotFound) or type(error) is Permanent else ""
        else:
            self._failing, self._refusal = None, ""
            with self._lock:
                if turn == self._turn:
                    self._answer = (began, answer)
        finally:
            with self._lock:
                self._busy = False
