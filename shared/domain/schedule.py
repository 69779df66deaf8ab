"""When a schedule is due.

Due times are wall times of an IANA zone; everything that leaves this module is a UTC instant. On the two nights of
daylight saving, a wall time that does not exist runs at the first instant after the gap. One that comes twice:

- `hours` alone: it runs once, at the first. An hourly schedule makes 23 points on the short day and 24 on the long one,
  whose repeated hour passes without a point of its own.
- `every`: it runs both times; and when the clocks going back would leave two slots further apart than `every`, there is
  one more at that very instant. So where every hour and weekday is on, no two slots are ever further apart than that.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from shared.domain.policy import Schedule

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_WEEK_AND_A_BIT: Final = 9 * _DAY
"""Every weekday comes up in it, even where a zone has left out a whole day."""


def due_slots(schedule: Schedule, *, after: datetime, until: datetime) -> tuple[datetime, ...]:
    """Every due time in (`after`, `until`], ascending, as UTC instants, each once.

    Splitting the interval anywhere gives the same instants in all. `until` before `after` gives nothing.
    """
    return tuple(slots(schedule, after=after, until=until))


def next_due(schedule: Schedule, *, after: datetime) -> datetime:
    """The first due time after `after`. Raises ValueError for a schedule that is never due: one whose multiples of
    `every` fall into none of its hours, as every: 24h in hours: [2]."""
    found = next(slots(schedule, after=after, until=after + _WEEK_AND_A_BIT), None)
    if found is None:
        raise ValueError(f"schedule {schedule.name} is never due: no multiple of its interval falls into its hours")
    return found


def is_ever_due(schedule: Schedule) -> bool:
    return bool(schedule.weekdays and _grid(schedule))


def slots(schedule: Schedule, *, after: datetime, until: datetime) -> Iterator[datetime]:
    """As `due_slots`, one by one: a year at five minutes is 105,120 of them."""
    aware(after, until)
    zone = ZoneInfo(schedule.zone)
    after, until = after.astimezone(UTC), until.astimezone(UTC)
    grid = _grid(schedule)
    if until <= after or not grid:
        return
    # One day earlier: a wall time of the day before can have been moved by a gap to behind `after`.
    day = after.astimezone(zone).date() - _DAY
    last = until.astimezone(zone).date()
    newest = after
    while day <= last:
        if day.isoweekday() in schedule.weekdays:
            for slot in _of_day(schedule, grid, day, zone):
                if slot > until:
                    break
                # A gap moves several wall times, even of two days, to the same instant: they are one slot.
                if slot > newest:
                    newest = slot
                    yield slot
        day += _DAY


@lru_cache(maxsize=256)
def _grid(schedule: Schedule) -> tuple[timedelta, ...]:
    """The due wall times of a day, since its midnight."""
    if schedule.every is None:
        return tuple(timedelta(hours=hour, minutes=schedule.minute) for hour in schedule.hours)
    hours = frozenset(schedule.hours)
    first = timedelta(minutes=schedule.minute) % schedule.every
    walls = (first + number * schedule.every for number in range(_DAY // schedule.every))
    return tuple(wall for wall in walls if wall // timedelta(hours=1) in hours)


def _of_day(schedule: Schedule, grid: tuple[timedelta, ...], day: date, zone: ZoneInfo) -> Iterable[datetime]:
    """The slots of one wall day, ascending."""
    midnight = datetime.combine(day, time(), tzinfo=zone)
    following = datetime.combine(day + _DAY, time(), tzinfo=zone)
    offsets = [_offset(wall.replace(fold=fold)) for wall in (midnight, following) for fold in (0, 1)]
    start = datetime.combine(day, time(), tzinfo=UTC)
    if min(offsets) == max(offsets):
        start -= offsets[0]
        return (start + wall for wall in grid)
    # The clocks change on this day, or at one of its ends.
    change = _change(zone, start - max(offsets), start + _DAY - min(offsets))
    before, behind = _offset((change - _SECOND).astimezone(zone)), _offset(change.astimezone(zone))
    found: set[datetime] = set()
    for wall in grid:
        first, second = start + wall - before, start + wall - behind
        if first < change:
            found.add(first)
        if second >= change and (schedule.every is not None or first >= change):
            found.add(second)
        if first >= change and second < change:
            found.add(change)
    if schedule.every is not None and behind < before and _leaves_a_hole(schedule, start, change, before, behind):
        found.add(change)
    return sorted(found)


def _leaves_a_hole(schedule: Schedule, start: datetime, change: datetime, before: timedelta, behind: timedelta) -> bool:
    """Whether the slots around the instant at which the clocks were put back are further apart than `every`. Then that
    instant is due, if the hour that begins there (of the wall day that began at `start`) is."""
    assert schedule.every is not None
    wall = change + behind - start
    if not timedelta(0) <= wall < _DAY or wall // timedelta(hours=1) not in schedule.hours:
        return False
    first = timedelta(minutes=schedule.minute)
    back = (change + before - start - first) % schedule.every or schedule.every
    ahead = (first - wall) % schedule.every
    return back + ahead > schedule.every


@lru_cache(maxsize=256)
def _change(zone: ZoneInfo, earlier: datetime, later: datetime) -> datetime:
    """The instant in (`earlier`, `later`] at which the clocks were changed (offsets change on whole seconds)."""
    old = _offset(earlier.astimezone(zone))
    while later - earlier > _SECOND:
        middle = earlier + timedelta(seconds=(later - earlier) // (2 * _SECOND))
        if _offset(middle.astimezone(zone)) == old:
            earlier = middle
        else:
            later = middle
    return later


def instants(day: date, wall: timedelta, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first and the last instant at which the clocks of `zone` show `wall` (since midnight) on `day`. The same
    twice, except for a time that is repeated; one that does not exist is the first instant after the gap."""
    local = datetime.combine(day + wall // _DAY * _DAY, time(), tzinfo=zone) + wall % _DAY
    before, behind = _offset(local), _offset(local.replace(fold=1))
    if before >= behind:
        return local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
    change = _change(zone, local.replace(tzinfo=UTC) - behind, local.replace(tzinfo=UTC) - before)
    return change, change


def _offset(moment: datetime) -> timedelta:
    offset = moment.utcoffset()
    assert offset is not None
    return offset


def aware(*moments: datetime) -> None:
    """Raises ValueError for a wall time without its zone."""
    for moment in moments:
        if moment.tzinfo is None:
            raise ValueError(f"{moment.isoformat()} has no time zone; pass aware datetimes (UTC)")
