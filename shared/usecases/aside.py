"""Slow looks beside the round: a load balancer or name service that takes ten seconds must not delay a detection."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from shared.domain.errors import DrError
from shared.ports.clock import Clock

T = TypeVar("T")

Run = Callable[[Callable[[], None]], None]
"""Has a function run some time soon: a thread in production, at once in tests."""


class Aside(Generic[T]):
    """One kind of look, at most one of it under way; the newest answer is kept with its age."""

    def __init__(self, look: Callable[[], T], *, run: Run, clock: Clock) -> None:
        self._look, self._run, self._clock = look, run, clock
        self._lock = Lock()
        self._busy = False
        self._answer: tuple[float, T] | None = None
        self.trouble = ""

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
        self._answer = None

    def _once(self) -> None:
        began = self._clock.monotonic()
        try:
            self._answer = (began, self._look())
            self.trouble = ""
        except DrError as error:
            self.trouble = str(error)
        finally:
            with self._lock:
                self._busy = False
