"""Time as an argument of everything else."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall clock, aware, UTC. For schedules, retention and records; never compared between machines for safety."""
        ...

    def monotonic(self) -> float:
        """Seconds on this machine's clock that also counts suspended time (CLOCK_BOOTTIME). For leases and claims."""
        ...

    def sleep(self, duration: timedelta) -> None:
        """Wait. Only `watch` and the agent may: handlers journal and return instead."""
        ...
