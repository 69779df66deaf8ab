"""When no restore point may begin: blackouts as UTC intervals, and what they leave of a schedule.

A blackout lasts from the first moment at which the clocks of its zone show `begins` to the last at which they show
`ends`: on the night on which an hour is repeated it holds through both, and a time that does not exist counts as the
first instant after the gap.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from shared.domain.policy import Blackout, Schedule
from shared.domain.schedule import due_slots, instants

_DAY: Final = timedelta(days=1)
YEAR: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One occurrence of a blackout."""

    since: datetime
    until: datetime  # not included
    name: str

    @property
    def because(self) -> str:
        return f"blackout {self.name}, from {self.since:%Y-%m-%d %H:%M}Z to {self.until:%Y-%m-%d %H:%M}Z"


def windows(blackouts: Iterable[Blackout], *, after: datetime, until: datetime) -> tuple[Window, ...]:
    """Those that touch [`after`, `until`], ascending. Where two overlap, the one that began first has the time that
    they share, so that no instant belongs to two."""
    found = sorted(
        (window for one in blackouts for window in _occurrences(one, after, until)),
        key=lambda window: (window.since, window.name),
    )
    apart: list[Window] = []
    for window in found:
        if apart and window.since < apart[-1].until:
            window = replace(window, since=apart[-1].until)
        if window.since < window.until:
            apart.append(window)
    return tuple(apart)


def covering(ordered: Sequence[Window], at: datetime) -> Window | None:
    """The one of `windows(...)` in which `at` lies."""
    place = bisect_right(ordered, at, key=lambda window: window.since) - 1
    return ordered[place] if place >= 0 and at < ordered[place].until else None


def outside(slots: Iterable[datetime], blackouts: Sequence[Blackout]) -> tuple[datetime, ...]:
    """The slots that no blackout covers, in their order."""
    every = tuple(slots)
    if not blackouts or not every:
        return every
    closed = windows(blackouts, after=min(every), until=max(every))
    return tuple(slot for slot in every if covering(closed, slot) is None)


def longest_distance(
    schedules: Iterable[Schedule],
    blackouts: Sequence[Blackout] = (),
    *,
    since: datetime,
    length: timedelta = YEAR,
) -> tuple[datetime, datetime] | None:
    """The two slots furthest apart, of all these schedules together, from `since` on: over a real year, with both of
    its nights of daylight saving and without what falls into a blackout. None when fewer than two slots are left."""
    until = since + length
    due = sorted({slot for one in schedules for slot in due_slots(one, after=since, until=until)})
    return max(pairwise(outside(due, blackouts)), key=lambda pair: pair[1] - pair[0], default=None)


def _occurrences(blackout: Blackout, after: datetime, until: datetime) -> Iterator[Window]:
    if blackout.since is not None and blackout.until is not None:
        if blackout.since <= until and blackout.until > after:
            yield Window(since=blackout.since.astimezone(UTC), until=blackout.until.astimezone(UTC), name=blackout.name)
        return
    zone = ZoneInfo(blackout.zone)
    # Two days earlier: one lasts up to a day, and the clocks may have moved its end.
    day = after.astimezone(zone).date() - 2 * _DAY
    last = until.astimezone(zone).date()
    while day <= last:
        if day.isoweekday() in blackout.weekdays:
            window = _on(blackout, day.toordinal())
            if window.since < window.until and window.since <= until and window.until > after:
                yield window
        day += _DAY


@lru_cache(maxsize=1024)
def _on(blackout: Blackout, ordinal: int) -> Window:
    day = datetime.fromordinal(ordinal).date()
    zone = ZoneInfo(blackout.zone)
    lasts_over_midnight = _DAY if blackout.ends <= blackout.begins else timedelta()
    first, _ = instants(day, timedelta(minutes=blackout.begins), zone)
    _, last = instants(day, timedelta(minutes=blackout.ends) + lasts_over_midnight, zone)
    return Window(since=first, until=last, name=blackout.name)
