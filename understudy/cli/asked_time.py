"""A time as an operator says it: `03:12`, `yesterday 03:12`, `2026-03-02T03:12Z`.

What has no zone of its own is the wall time of the policy's zone; a time of day alone is the last one that was. Where
the clocks were put back, the first of two is meant. What was said to the minute covers the whole minute: whoever asks
what happened at 03:12 means also 03:12:40.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_OF_DAY: Final = re.compile(r"(?:(today|yesterday)[ T]+)?(\d{1,2}):(\d{2})(?::(\d{2}))?(Z)?", re.IGNORECASE)
_DATED: Final = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?", re.IGNORECASE)
_TICK: Final = timedelta(microseconds=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Asked:
    since: datetime  # UTC
    until: datetime  # UTC, the last instant that is meant


def asked_time(text: str, *, now: datetime, zone: ZoneInfo) -> Asked | None:
    """None: it is no time. A time of a day that has no such hour, or a date that does not exist, is none either."""
    text = text.strip()
    of_day = _OF_DAY.fullmatch(text)
    try:
        if of_day is not None:
            return _of_day(of_day, now, zone)
        if _DATED.fullmatch(text):
            return _dated(text, zone)
    except ValueError:
        return None
    return None


def _of_day(said: re.Match[str], now: datetime, zone: ZoneInfo) -> Asked:
    day, hour, minute, second, utc = said.groups()
    place = UTC if utc else zone
    here = now.astimezone(place)
    on = here - _DAY if (day or "").lower() == "yesterday" else here
    at = datetime(on.year, on.month, on.day, int(hour), int(minute), int(second or 0), tzinfo=place)
    if not day and at.astimezone(UTC) > now:
        before = on - _DAY
        at = at.replace(year=before.year, month=before.month, day=before.day)
    return _whole(at, to_the_second=second is not None)


def _dated(text: str, zone: ZoneInfo) -> Asked:
    at = datetime.fromisoformat(text.upper())
    at = at if at.tzinfo is not None else at.replace(tzinfo=zone)
    if at.microsecond:
        return Asked(at.astimezone(UTC), at.astimezone(UTC))
    return _whole(at, to_the_second=text.count(":", 0, 19) == 2)


def _whole(at: datetime, *, to_the_second: bool) -> Asked:
    since = at.astimezone(UTC)
    return Asked(since, since + timedelta(seconds=1 if to_the_second else 60) - _TICK)
