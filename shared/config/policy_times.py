"""Times of `understudy.yaml` beyond a plain duration: intervals of schedules, and when a blackout begins and ends."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, WithJsonSchema

from shared.config.policy_values import DURATION, duration, in_words, text
from shared.config.problems import quoted

DAY: Final = timedelta(days=1)
MINUTE: Final = timedelta(minutes=1)
SHORTEST: Final = timedelta(minutes=5)
INTERVALS: Final = tuple(one * MINUTE for one in range(5, 1_441) if 1_440 % one == 0)
"""What `every` may be: from 5 minutes to a day, a divisor of the day, so that each day has the same times."""

Between = tuple[int, int]
"""Minutes after midnight at which it begins and ends; an end that is not later is on the next day."""

_CLOCK = re.compile(r"(\d{1,2}):(\d\d)")
_RANGE = re.compile(r"\s*(\S+?)\s*(?:-|–|\bto\b)\s*(\S+?)\s*")


def every(value: object) -> timedelta:
    length = duration(SHORTEST, DAY)(value)
    if length not in INTERVALS:
        below = max(one for one in INTERVALS if one < length)
        above = min(one for one in INTERVALS if one > length)
        raise ValueError(
            f"{quoted(value)} does not divide a day, so each day would have other times. Use {in_words(below)} or "
            f"{in_words(above)}"
        )
    return length


def between(value: object) -> Between:
    found = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f"{quoted(value)} is not a time of day to another. Write '22:00-02:00'")
    begins, ends = _minutes(found[1]), _minutes(found[2])
    if begins == 1_440:
        raise ValueError("24:00 is an end, not a beginning. Write 00:00")
    if begins == ends:
        raise ValueError(f"{quoted(value)} begins when it ends. Write '00:00-24:00' for a whole day")
    return begins, ends % 1_440


def _minutes(word: str) -> int:
    found = _CLOCK.fullmatch(word)
    minutes = int(found[1]) * 60 + int(found[2]) if found and int(found[2]) < 60 else 1_441
    if minutes > 1_440:
        raise ValueError(f"{quoted(word)} is not a time of day (00:00-24:00). Write hours and minutes, e.g. 22:00")
    return minutes


def moment(value: object) -> datetime:
    """Without a zone when the file gives none."""
    word = text(value)
    try:
        at = datetime.fromisoformat(word)
    except ValueError:
        raise ValueError(
            f"{quoted(word)} is not a day and time. Write 2026-12-24 18:00, wall time of time_zone"
        ) from None
    if not 2000 <= at.year <= 2200:
        raise ValueError(f"{quoted(word)} lies in the year {at.year}. Correct the year")
    return at


def instant(at: datetime, zone: str) -> datetime:
    """Wall time of `zone` unless it says otherwise, as UTC. Of a time that comes twice the first, of one that does not
    exist the same length of time after the gap began."""
    aware = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))
    return aware.astimezone(UTC)


Every = Annotated[timedelta, BeforeValidator(every), DURATION]
TimeOfDay = Annotated[
    Between, BeforeValidator(between), WithJsonSchema({"type": "string", "pattern": r"\d:\d\d.*\d:\d\d"})
]
Moment = Annotated[
    datetime, BeforeValidator(moment), WithJsonSchema({"type": "string", "pattern": r"^\d{4}-?\d\d-?\d\d"})
]
