"""The scalar values of `understudy.yaml`: each reader takes what YAML gave and either returns the typed value or raises
ValueError with what is wrong and what to write instead."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import BeforeValidator, WithJsonSchema

from shared.config.problems import nearest, quoted
from shared.domain.name_ttl import PUBLIC_TTLS

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?", re.IGNORECASE)
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
_UNITS = "5s, 75m, 25h, 1d or 1h30m"
_ZONE_OF_REGION = re.compile(r"(.+-\d)[a-z]|(.+)-[a-z]")
_ROLE = re.compile(r"acs:ram::(\d{5,20}):role/([A-Za-z0-9._-]{1,64})")
_KINDS_OF_ID = {"d-": "a disk", "s-": "a snapshot", "m-": "an image", "lb-": "a load balancer"}


def text(value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, bool | int | float):
        raise ValueError(f"{quoted(value)} is not text. Put it in quotes: '{quoted(value)}'")
    raise ValueError(f"{_what(value)} is not text. Write a word")


def name(value: object) -> str:
    word = text(value)
    if not _NAME.fullmatch(word):
        raise ValueError(
            f"{quoted(word)} is not a name. Use 1-63 lower-case letters, digits and dashes, e.g. "
            f"{_suggested(word) or 'applications'}"
        )
    return word


def identifier(value: object) -> str:
    word = text(value)
    if not re.fullmatch(r"[A-Za-z0-9._-]+", word):
        raise ValueError(f"{quoted(word)} is not an id of the cloud. Copy it from the console, e.g. i-bp67acfmxazb4ph")
    return word


def whole(low: int, high: int, *, what: str) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"0\d+", value):
            raise ValueError(f"{quoted(value)} is ambiguous (octal or decimal). Write {int(value)}")
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{_what(value)} is not a whole number. Write {what}, {low}-{high:,}")
        if not low <= value <= high:
            raise ValueError(f"{value} is not {what} ({low}-{high:,}). {_toward(value, low, high)}")
        return value

    return read


def duration(low: timedelta, high: timedelta) -> Callable[[object], timedelta]:
    def read(value: object) -> timedelta:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise ValueError(f"{value} has no unit. Write a duration like {_UNITS}")
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if not found or not any(found.groups()):
            raise ValueError(f"{_what(value)} is not a duration. Write {_UNITS}")
        days, hours, minutes, seconds = found.groups()
        try:
            length = timedelta(
                days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0), seconds=float(seconds or 0)
            )
        except OverflowError:
            length = timedelta.max
        if not low <= length <= high:
            raise ValueError(f"{quoted(value)} is out of range. Use {in_words(low)} to {in_words(high)}")
        return length

    return read


def in_words(length: timedelta) -> str:
    """The shortest of our own notations: 90 minutes are `90m`, a day and a half `36h`."""
    seconds = length.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


def ttl(value: object) -> int:
    """Which of them a name's service takes is another question: see `shared.domain.name_ttl`."""
    seconds = duration(timedelta(), timedelta(days=36_500))(value).total_seconds()
    if seconds not in PUBLIC_TTLS:
        raise ValueError(f"{quoted(value)} is not a time to live. Use whole seconds from 1s to 1d")
    return int(seconds)


def hours(value: object) -> tuple[int, ...]:
    if value == "all":
        return tuple(range(24))
    if not isinstance(value, list):
        remedy = (
            f"[{value}]" if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 23 else "[2, 14]"
        )
        raise ValueError(f"{_what(value)} is not a list of hours. Write {remedy}, or all")
    for hour in value:
        if not isinstance(hour, int) or isinstance(hour, bool) or not 0 <= hour <= 23:
            raise ValueError(f"{quoted(hour)} is not an hour of day (0-23). {_hour_remedy(hour)}")
    return _ordered(value, "hour", "all, or a list like [2, 14]")


def weekdays(value: object) -> tuple[int, ...]:
    if value == "all":
        return tuple(range(1, 8))
    if not isinstance(value, list):
        raise ValueError(f"{_what(value)} is not a list of weekdays. Write [mon, thu] or [1, 4], or all")
    numbers = []
    for day in value:
        if isinstance(day, int) and not isinstance(day, bool) and 1 <= day <= 7:
            numbers.append(day)
        elif isinstance(day, str) and day in WEEKDAYS:
            numbers.append(WEEKDAYS.index(day) + 1)
        else:
            hint = " Sunday is 7." if day == 0 else ""
            if isinstance(day, str) and day[:3].lower() in WEEKDAYS:
                hint = f" Did you mean {day[:3].lower()}?"
            raise ValueError(
                f"{quoted(day)} is not a weekday.{hint} Use {', '.join(WEEKDAYS)}, or 1 (Monday) to 7 (Sunday)"
            )
    return _ordered(numbers, "weekday", "all, or a list like [mon, thu]")


def time_zone(value: object) -> str:
    word = text(value)
    known = _zones()
    if word not in known:
        hint = " Did you mean 'Asia/Shanghai'?" if word.lower() in _CHINA else nearest(word, known)
        raise ValueError(f"{quoted(word)} is not a time zone known to IANA.{hint} Use a name like Asia/Shanghai or UTC")
    return word


_CHINA = {"asia/beijing", "beijing", "china", "cst", "utc+8", "gmt+8", "+08:00", "asia/hangzhou", "asia/shenzhen"}


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - {"localtime", "Factory"}


def _ordered(values: list[int], what: str, remedy: str) -> tuple[int, ...]:
    if not values:
        raise ValueError(f"the list is empty, so it would never be due. Write {remedy}")
    twice = sorted(value for value, times in Counter(values).items() if times > 1)
    if twice:
        raise ValueError(f"{what} {twice[0]} is listed twice. Remove one")
    return tuple(sorted(values))


def _hour_remedy(hour: object) -> str:
    if hour == 24:
        return "Use 0 for midnight"
    if isinstance(hour, str) and (found := re.fullmatch(r"0?(\d{1,2})(?::(\d\d))?", hour)) and int(found[1]) <= 23:
        minute = f", and minute: {int(found[2])} beside hours" if found[2] and int(found[2]) else ""
        return f"Use {int(found[1])}{minute}"
    return "Use whole hours like [2, 14], or all"


def _toward(value: int, low: int, high: int) -> str:
    return f"Use {low} or more" if value < low else f"Use {high:,} or less"


def _what(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "an empty text" if value == "" else quoted(value)


def _suggested(word: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")[:63]


def host(value: object) -> str:
    word = text(value)
    if word != "@" and not all(_HOST.fullmatch(label) for label in word.split(".")):
        raise ValueError(f"{quoted(word)} is not a host of a record. Write the part before the zone, e.g. master")
    return word


def domain(value: object) -> str:
    word = text(value)
    if "." not in word or not all(_HOST.fullmatch(label) for label in word.split(".")):
        raise ValueError(f"{quoted(word)} is not a private zone. Write its name without a final dot, e.g. corp.example")
    return word.lower()


def region(value: object) -> str:
    word = identifier(value)
    if found := _ZONE_OF_REGION.fullmatch(word):
        raise ValueError(f"{quoted(word)} is a zone. Write its region, {found[1] or found[2]}")
    return word


def instance_id(value: object) -> str:
    word = identifier(value)
    other = next((kind for start, kind in _KINDS_OF_ID.items() if word.startswith(start)), None)
    if other:
        hint = "Name its instance, and choose disks under disks" if other == "a disk" else "Write an id like i-bp67acf"
        raise ValueError(f"{quoted(word)} is the id of {other}, not of an instance. {hint}")
    return word


def disk_id(value: object) -> str:
    word = identifier(value)
    if word.startswith("i-"):
        raise ValueError(f"{quoted(word)} is the id of an instance, not of a disk. Write an id like d-bp67acfmxazb4ph")
    return word


def role(value: object) -> str:
    word = text(value)
    if not _ROLE.fullmatch(word):
        raise ValueError(
            f"{quoted(word)} is not a role. Write acs:ram::UID:role/NAME as the RAM console shows it, e.g. "
            "acs:ram::1234567890123456:role/understudy"
        )
    return word


def switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{_what(value)} is neither true nor false. Write one of the two")
    return value


def distinct(values: list[str]) -> list[str]:
    twice = next((one for at, one in enumerate(values) if one in values[:at]), None)
    if twice is not None:
        raise ValueError(f"{quoted(twice)} is listed twice. Remove one")
    return values


def integers(low: int, high: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "integer", "minimum": low, "maximum": high})


def choice(word: str, *others: str, items: Mapping[str, Any]) -> WithJsonSchema:
    """Words that stand for a list, or the list."""
    return WithJsonSchema(
        {
            "anyOf": [
                {"enum": [word, *others]},
                {"type": "array", "items": items, "minItems": 1, "uniqueItems": True},
            ]
        }
    )


_YEAR = timedelta(days=365)
_ID = {"type": "string", "pattern": "^[A-Za-z0-9._-]+$"}
_NAMES = {"type": "string", "pattern": f"^{_NAME.pattern}$"}
DURATION = WithJsonSchema({"type": "string", "pattern": r"^(?=.)(\d+d)?(\d+h)?(\d+m)?(\d+(\.\d+)?s)?$"})

Text = Annotated[str, BeforeValidator(text)]
Name = Annotated[str, BeforeValidator(name), WithJsonSchema(_NAMES)]
Id = Annotated[str, BeforeValidator(identifier), WithJsonSchema(_ID)]
InstanceIdText = Annotated[str, BeforeValidator(instance_id), WithJsonSchema(_ID)]
DiskIdText = Annotated[str, BeforeValidator(disk_id), WithJsonSchema(_ID)]
Region = Annotated[str, BeforeValidator(region), WithJsonSchema(_ID)]
Role = Annotated[str, BeforeValidator(role), WithJsonSchema({"type": "string", "pattern": f"^{_ROLE.pattern}$"})]
Switch = Annotated[bool, BeforeValidator(switch), WithJsonSchema({"type": "boolean"})]
Hours = Annotated[
    tuple[int, ...],
    BeforeValidator(hours),
    choice("all", items={"type": "integer", "minimum": 0, "maximum": 23}),
]
Weekdays = Annotated[
    tuple[int, ...],
    BeforeValidator(weekdays),
    choice("all", items={"anyOf": [{"enum": list(WEEKDAYS)}, {"type": "integer", "minimum": 1, "maximum": 7}]}),
]
Zone = Annotated[str, BeforeValidator(time_zone)]
Host = Annotated[str, BeforeValidator(host)]
Domain = Annotated[str, BeforeValidator(domain)]
Ttl = Annotated[int, BeforeValidator(ttl), DURATION]
Port = Annotated[int, BeforeValidator(whole(1, 65_535, what="a port")), integers(1, 65_535)]
Minute = Annotated[int, BeforeValidator(whole(0, 59, what="a minute of the hour")), integers(0, 59)]
Minutes = Annotated[timedelta, BeforeValidator(duration(timedelta(minutes=1), _YEAR)), DURATION]
Heartbeat = Annotated[
    timedelta, BeforeValidator(duration(timedelta(milliseconds=100), timedelta(minutes=10))), DURATION
]
Wait = Annotated[timedelta, BeforeValidator(duration(timedelta(), timedelta(days=7))), DURATION]
