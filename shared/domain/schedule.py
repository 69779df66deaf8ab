"""When a schedule is due, and what to do about due times that nobody acted on.

Due times are wall times of an IANA zone; everything that leaves this module is a UTC instant. The rule for the two
nights of daylight saving: a wall time that does not exist runs at the first instant after the gap; one that occurs
twice runs once, at the first. So an hourly schedule makes 23 points on the short day and 24 on the long one, whose
repeated hour passes without a point of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.domain.policy import Schedule

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """What to do with the due times of one schedule that have not been accounted for yet."""

    run: datetime | None  # the slot to take now; None when nothing was due
    late: bool  # `run` is older than what still counts as on time
    skipped: tuple[tuple[datetime, str], ...]  # ascending, each with its reason


def due_slots(schedule: Schedule, *, after: datetime, until: datetime) -> tuple[datetime, ...]:
    """Every due time in (`after`, `until`], ascending, as UTC instants, each once.

    Splitting the interval anywhere gives the same instants in all. `until` before `after` gives nothing.
    """
    _aware(after, until)
    if until <= after:
        return ()
    zone = ZoneInfo(schedule.zone)
    after, until = after.astimezone(UTC), until.astimezone(UTC)
    # One day earlier: a wall time of the day before can have been moved by a gap to behind `after`.
    day = after.astimezone(zone).date() - _DAY
    last = until.astimezone(zone).date()
    slots: list[datetime] = []
    while day <= last:
        if day.isoweekday() in schedule.weekdays:
            for hour in schedule.hours:
                slot = _instant(day, hour, schedule.minute, zone)
                # A gap moves several wall times to the same instant: they are one slot.
                if after < slot <= until and (not slots or slot > slots[-1]):
                    slots.append(slot)
        day += _DAY
    return tuple(slots)


def next_due(schedule: Schedule, *, after: datetime) -> datetime:
    """The first due time after `after`. Every schedule has at least one hour and weekday, so nine days suffice."""
    return due_slots(schedule, after=after, until=after + 9 * _DAY)[0]


def catch_up(due: Iterable[datetime], *, now: datetime, punctual: timedelta) -> CatchUp:
    """After any absence, take one point now instead of many: the newest due slot runs, the earlier ones are skipped.

    A snapshot shows the disk as it is now, so one made for each missed slot would be the same point several times.
    `punctual` is how far behind its due time a slot may start and still not be called late. Slots after `now` are
    not due yet and left out.
    """
    _aware(now)
    missed = sorted(slot for slot in due if slot <= now)
    if not missed:
        return CatchUp(run=None, late=False, skipped=())
    newest = missed[-1]
    reason = f"missed: nothing ran when it was due; the slot of {newest:%Y-%m-%d %H:%M}Z stands in for it"
    return CatchUp(
        run=newest,
        late=now - newest > punctual,
        skipped=tuple((slot, reason) for slot in dict.fromkeys(missed) if slot != newest),
    )


def _instant(day: date, hour: int, minute: int, zone: ZoneInfo) -> datetime:
    wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
    before, behind = wall.utcoffset(), wall.replace(fold=1).utcoffset()
    if before is None or behind is None or before >= behind:
        # Exactly once, or twice: fold 0 is the first of the two.
        return wall.astimezone(UTC)
    return _end_of_gap(zone, wall.replace(tzinfo=UTC) - behind, wall.replace(tzinfo=UTC) - before)


@lru_cache(maxsize=256)
def _end_of_gap(zone: ZoneInfo, earlier: datetime, later: datetime) -> datetime:
    """The instant in (`earlier`, `later`] at which the clocks were put forward (offsets change on whole seconds)."""
    old = earlier.astimezone(zone).utcoffset()
    while later - earlier > _SECOND:
        middle = earlier + timedelta(seconds=(later - earlier) // (2 * _SECOND))
        if middle.astimezone(zone).utcoffset() == old:
            earlier = middle
        else:
            later = middle
    return later


def _aware(*moments: datetime) -> None:
    for moment in moments:
        if moment.tzinfo is None:
            raise ValueError(f"{moment.isoformat()} has no time zone; pass aware datetimes (UTC)")
