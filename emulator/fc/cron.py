"""The three forms in which Function Compute's timer trigger says when.

`sec min hour day-of-month month day-of-week` in UTC, the same after `CRON_TZ=<IANA zone> `, or `@every <n>m`.
Source: FC documentation, timer trigger. Five-field crontab lines are refused, as in the cloud they mean something else.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of week", 0, 6, DAYS),
)
HORIZON = timedelta(days=366 * 5)


class CronError(ValueError):
    """The expression is not one that FC accepts; the message names the expression and the part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    expression: str
    zone: tzinfo
    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None  # None: any
    months: frozenset[int]
    weekdays: frozenset[int] | None  # 0 is Sunday; None: any

    def next_after(self, instant: datetime, *, since: datetime) -> datetime:  # noqa: ARG002 (the interval form needs it)
        """First firing strictly after `instant`, in UTC.

        A wall time that a change of the clocks leaves out does not fire; one that it repeats fires twice
        (FC documentation: "a firing can repeat or be skipped").
        """
        at = instant.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        end = at + HORIZON
        while at < end:
            wall = at.astimezone(self.zone)
            if wall.month not in self.months or not self._day_matches(wall) or wall.hour not in self.hours:
                at += timedelta(hours=1) - timedelta(minutes=wall.minute, seconds=wall.second)
            elif wall.minute not in self.minutes:
                at += timedelta(minutes=1) - timedelta(seconds=wall.second)
            elif wall.second not in self.seconds:
                at += timedelta(seconds=1)
            else:
                return at
        raise CronError(f"{self.expression!r} names no moment in the next five years")

    def _day_matches(self, wall: datetime) -> bool:
        day = self.days is None or wall.day in self.days
        weekday = self.weekdays is None or wall.isoweekday() % 7 in self.weekdays
        if self.days is not None and self.weekdays is not None:
            return day or weekday  # assumption: either suffices when both are given, as in every cron
        return day and weekday


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    expression: str
    period: timedelta

    def next_after(self, instant: datetime, *, since: datetime) -> datetime:
        """Whole periods counted from `since`, the trigger's creation (assumption)."""
        periods = math.floor((instant - since) / self.period) + 1
        return since + max(1, periods) * self.period


def parse(expression: str) -> Cron | Every:
    text = expression.strip()
    if text.startswith("@"):
        return _every(text)
    zone: tzinfo = UTC
    if text.startswith("CRON_TZ="):
        name, _, text = text.removeprefix("CRON_TZ=").partition(" ")
        try:
            zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise CronError(f"{expression!r}: {name!r} is not an IANA time zone") from None
    fields = text.split()
    if len(fields) != len(FIELDS):
        raise CronError(
            f"{expression!r} has {len(fields)} fields; FC wants six: second minute hour day-of-month month day-of-week"
            " (or CRON_TZ=<zone> before them, or @every <n>m)"
        )
    sets = [_field(expression, text, *spec) for text, spec in zip(fields, FIELDS, strict=True)]
    seconds, minutes, hours, days, months, weekdays = sets
    return Cron(
        expression=expression,
        zone=zone,
        seconds=seconds,
        minutes=minutes,
        hours=hours,
        days=None if len(days) == 31 else days,
        months=months,
        weekdays=None if len(weekdays) == 7 else weekdays,
    )


def _every(expression: str) -> Every:
    number = expression.removeprefix("@every ").strip().removesuffix("m")
    if not (expression.startswith("@every ") and expression.endswith("m") and number.isdecimal() and int(number) > 0):
        raise CronError(
            f"{expression!r}: only '@every <n>m' with a whole, positive number of minutes is documented for FC"
        )
    return Every(expression=expression, period=timedelta(minutes=int(number)))


def _field(expression: str, text: str, what: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    def number(word: str) -> int:
        if word.upper() in names:
            return names.index(word.upper()) + low
        if not word.isdecimal() or not low <= int(word) <= high:
            raise CronError(f"{expression!r}: {word!r} is not a {what} ({low}-{high})")
        return int(word)

    chosen: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and (not step.isdecimal() or int(step) == 0):
            raise CronError(f"{expression!r}: {part!r} has no positive step")
        if span in ("*", "?"):
            first, last = low, high
        elif "-" in span:
            first, last = (number(word) for word in span.split("-", 1))
            if first > last:
                raise CronError(f"{expression!r}: {part!r} runs backwards")
        else:
            first = number(span)
            last = high if slash else first
        chosen.update(range(first, last + 1, int(step) if slash else 1))
    return frozenset(chosen)
