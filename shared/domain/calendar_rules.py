"""When something is due, and when nothing may begin, as the policy says it: wall times of a place."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Due at every hour of `hours` on every ISO weekday of `weekdays` at `minute`, wall time of IANA `zone`; with
    `every`, at each multiple of it after midnight plus `minute` that falls into those hours."""

    name: str
    hours: tuple[int, ...]  # 0-23, ascending
    weekdays: tuple[int, ...]  # 1 (Monday) - 7, ascending
    zone: str
    minute: int = 0  # 0-59
    every: timedelta | None = None  # 5 minutes to a day, a divisor of the day; None: once in each of `hours`


@dataclass(frozen=True, slots=True, kw_only=True)
class Blackout:
    """A time in which no restore point is begun. Either it recurs (`weekdays`, `begins`, `ends`), or it is once
    (`since`, `until`)."""

    name: str
    zone: str
    weekdays: tuple[int, ...] = ()  # on which it begins
    begins: int = 0  # minutes after midnight, wall time
    ends: int = 0  # the same; not later than `begins`: on the next day
    since: datetime | None = None
    until: datetime | None = None  # not included
