"""When the schedules of one protection ask for a point, counted and measured: in an ordinary week, and over a year."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final

from shared.domain.blackout import outside
from shared.domain.policy import Protection, Schedule
from shared.domain.schedule import due_slots

WEEK: Final = timedelta(weeks=1)
ORDINARY: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday. What holds in the weeks after it holds in every week without a night of daylight saving."""
YEAR: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """Between two due times that follow each other."""

    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        return self.until - self.since


def due_times(protection: Protection, *, after: datetime, until: datetime) -> list[datetime]:
    """Ascending, each once, in (`after`, `until`], of all its schedules. Slots in a blackout are left out."""
    due = {slot for one in protection.schedules for slot in due_slots(one, after=after, until=until)}
    return list(outside(sorted(due), protection.blackouts))


def ordinary(schedules: Sequence[Schedule], *, weeks: int) -> Sequence[datetime]:
    """Ascending, each once."""
    return _ordinary(tuple(schedules), weeks)


@lru_cache(maxsize=256)
def _ordinary(schedules: tuple[Schedule, ...], weeks: int) -> tuple[datetime, ...]:
    until = ORDINARY + weeks * WEEK
    return tuple(sorted({slot for one in schedules for slot in due_slots(one, after=ORDINARY, until=until)}))


def longest(slots: Sequence[datetime]) -> Distance | None:
    """None: there are fewer than two."""
    return max(
        (Distance(since=one, until=other) for one, other in pairwise(slots)), key=lambda pair: pair.length, default=None
    )


def shortest(slots: Sequence[datetime]) -> timedelta | None:
    return min((other - one for one, other in pairwise(slots)), default=None)


def most_within(schedules: Sequence[Schedule], length: timedelta) -> int:
    """How many due times at most lie in a stretch of `length`, both its ends included, of ordinary weeks."""
    weeks, rest = divmod(length, WEEK)
    slots = ordinary(schedules, weeks=2)
    per_week = sum(1 for slot in slots if slot <= ORDINARY + WEEK)
    most = max((bisect_right(slots, slot + rest) - at for at, slot in enumerate(slots[:per_week])), default=0)
    return weeks * per_week + most
