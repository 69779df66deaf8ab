"""One fault as a value: what happens, where, and when. The same in JSON and in Python."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from math import isfinite
from typing import Any, Final

from emulator.faults.codes import status_of
from emulator.faults.kinds import KINDS, Kind, Scope

BACKLOG: Final = timedelta(hours=2)
LONGEST_SECONDS: Final = 100 * 366 * 86400.0
"""Whatever is later than that, no calendar of ours reaches."""
ONCE: Final = -1
"""`calls` was not given: as often as the kind, or the other conditions, make sensible."""

PLACES: Final = ("service", "action", "caller", "account", "zone", "region", "table", "function", "trigger")
"""Patterns as of a shell (`Describe*`); absent means anywhere."""


class FaultError(ValueError):
    """The fault makes no sense; the message is one sentence for whoever wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call, or one delivery, as far as a fault can tell it from others."""

    service: str
    action: str = ""
    access_key: str = ""
    role: str | None = None
    account: str = ""
    region: str = ""
    zones: tuple[str, ...] = ()  # the one it comes from, and the one it names
    tables: tuple[str, ...] = ()
    function: str = ""
    triggers: tuple[str, ...] = ()  # the trigger's name and its kind: timer, event, async
    question: tuple[str, ...] = ()  # of a read: the same question is the same tuple

    @property
    def reads(self) -> bool:
        return self.action.startswith(("Describe", "List", "Get", "BatchGet", "Query"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Raises FaultError when it makes no sense."""

    kind: str
    # where
    service: str = "*"
    action: str = "*"
    caller: str = "*"  # a role's name or an access key's id
    account: str = "*"
    zone: str = "*"  # where the call comes from (through its gateway), or the ZoneId that it names
    region: str = "*"
    table: str = "*"
    function: str = "*"
    trigger: str = "*"  # a trigger's name, or timer, event, async
    # when
    calls: int | None = ONCE  # strikes so often; None: no limit
    skip: int = 0  # lets so many pass first
    probability: float = 1.0  # of each call, drawn from the emulator's seed
    until: datetime | None = None  # emulated
    lasts: timedelta | None = None  # from when it is set; `for` in JSON, in seconds
    # how, by kind
    seconds: float | None = None
    real: bool | None = None
    status: int | None = None
    code: str | None = None
    message: str | None = None
    retry_after_ms: int | None = None
    rows: int | None = None
    limit: int | None = None
    moment: str | None = None
    instance: str | None = None
    instance_type: str | None = None
    how: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FaultError(f"fault: kind {self.kind!r} is none of {', '.join(KINDS)}")
        self._check_values()
        for name in DETAILS:
            if getattr(self, name) is not None and name not in self.about.details:
                takes = ", ".join(self.about.details) or "no details"
                raise FaultError(f"fault {self.kind}: it has no {name!r}; it takes {takes}")
        for name, value in (self.about.defaults or {}).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if self.calls == ONCE:
            repeats = self.about.always or self.probability < 1 or self.until is not None or self.lasts is not None
            object.__setattr__(self, "calls", None if repeats or self.about.scope is Scope.WORLD else 1)
        if self.kind == "backlog" and self.lasts is None and self.until is None:
            object.__setattr__(self, "lasts", BACKLOG)
        self._check_meaning()

    @property
    def about(self) -> Kind:
        return KINDS[self.kind]

    @property
    def until_next_minute(self) -> bool:
        """Source: ECS documentation: throttled in minute T lasts until minute T+1."""
        ends = self.lasts is not None or self.until is not None
        return self.kind == "throttle" and self.calls is None and (not ends or self.probability < 1)

    def fits(self, asked: Asked) -> bool:
        if self.about.services and asked.service not in self.about.services:
            return False
        return (
            _like(asked.service, self.service)
            and _like(asked.action, self.action)
            and (_like(asked.role or "", self.caller) or _like(asked.access_key, self.caller))
            and _like(asked.account, self.account)
            and _like(asked.region, self.region)
            and _any(asked.zones, self.zone)
            and _any(asked.tables, self.table)
            and _like(asked.function, self.function)
            and _any(asked.triggers, self.trigger)
            and (self.kind != "stale_read" or asked.reads)
        )

    def _check_values(self) -> None:
        for name in PLACES:
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise self._wrong(name, "a pattern such as 'Describe*'")
        if self.calls is not None and (not _whole(self.calls) or self.calls < ONCE or self.calls == 0):
            raise self._wrong("calls", "a whole number from 1, or null for no limit")
        if not _whole(self.skip) or self.skip < 0:
            raise self._wrong("skip", "a whole number from 0")
        if not _number(self.probability) or not 0 < self.probability <= 1:
            raise self._wrong("probability", "a number above 0, up to 1")
        if self.lasts is not None and self.until is not None:
            raise FaultError(f"fault {self.kind}: give 'for' or 'until', not both")
        if self.until is not None and self.until.tzinfo is None:
            raise self._wrong("until", "a time with its zone, such as 2026-03-02T01:00:00Z")
        if self.seconds is not None and (not _number(self.seconds) or not 0 <= self.seconds <= LONGEST_SECONDS):
            raise self._wrong("seconds", "a number from 0 to a hundred years")
        if self.real is not None and not isinstance(self.real, bool):
            raise self._wrong("real", "true or false")
        if self.status is not None and not (_whole(self.status) and 200 <= self.status <= 599):
            raise self._wrong("status", "an HTTP status, 200 to 599")
        for name in ("code", "message", "instance", "instance_type"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value):
                raise self._wrong(name, "a text")
        for name, low in (("retry_after_ms", 1), ("rows", 1), ("limit", 0)):
            value = getattr(self, name)
            if value is not None and (not _whole(value) or value < low):
                raise self._wrong(name, f"a whole number from {low}")
        if self.moment not in (None, "before", "after"):
            raise self._wrong("moment", "'before' or 'after'")
        if self.how not in (None, "silent", "error"):
            raise self._wrong("how", "'silent' or 'error'")

    def _check_meaning(self) -> None:
        if self.code is not None and self.status is None and self.kind in ("error", "error_after", "throttle"):
            known = status_of(self.code)
            if known is None:
                raise FaultError(f"fault {self.kind}: the HTTP status of {self.code} is not known here; give 'status'")
        exactly = {"zone_silence": "zone", "no_stock": "zone", "region_outage": "region", "deny": "caller"}
        needed = exactly.get(self.kind)
        if needed and any(c in getattr(self, needed) for c in "*?["):
            raise FaultError(f"fault {self.kind}: name the {needed}, without a pattern")
        if self.kind == "no_stock" and self.instance_type is None:
            raise self._wrong("instance_type", "a type such as 'ecs.g7.large'")
        if self.kind == "deny" and ":" not in self.action:
            raise self._wrong("action", "an action as in a RAM policy, such as 'ecs:DeleteSnapshot'")
        if self.kind == "instance_limit" and self.limit is None:
            raise self._wrong("limit", "a whole number from 0")
        if self.kind == "split" and "*" in self.table:
            raise FaultError("fault split: name the table")

    def _wrong(self, name: str, wanted: str) -> FaultError:
        return FaultError(f"fault {self.kind}: {name} is {getattr(self, name)!r}, not {wanted}")

    def to_json(self) -> dict[str, Any]:
        """Only what says something; `from_json` of it gives the same fault."""
        told: dict[str, Any] = {"kind": self.kind}
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if name == "kind" or (name != "calls" and value == field.default):
                continue
            if name == "lasts":
                told["for"] = value.total_seconds()
            elif name == "until":
                told["until"] = value.isoformat()
            else:
                told[name] = value
        return told


DETAILS: Final = tuple(
    f.name for f in fields(Fault) if f.name not in ("kind", *PLACES, "calls", "skip", "probability", "until", "lasts")
)


def from_json(told: object) -> Fault:
    """Raises FaultError."""
    if not isinstance(told, Mapping):
        raise FaultError(f'fault: give an object such as {{"kind": "throttle", "calls": 3}}, not {told!r}')
    given = dict(told)
    if not isinstance(given.get("kind"), str):
        raise FaultError(f"fault: 'kind' is missing; there are {', '.join(KINDS)}")
    if "for" in given:
        seconds = given.pop("for")
        if not _number(seconds) or not 0 < seconds <= LONGEST_SECONDS:
            raise FaultError(
                f"fault {given['kind']}: for is {seconds!r}, not a number of seconds above 0, up to a century"
            )
        given["lasts"] = timedelta(seconds=seconds)
    elif "lasts" in given:
        raise FaultError(f"fault {given['kind']}: unknown field 'lasts'; say 'for', in seconds")
    if given.get("until") is not None:
        given["until"] = _moment(given["kind"], given["until"])
    known = {f.name for f in fields(Fault)}
    strange = sorted(str(name) for name in given if name not in known)
    if strange:
        names = sorted(known - {"lasts"} | {"for"})
        raise FaultError(f"fault {given['kind']}: unknown field {strange[0]!r}; there are {', '.join(names)}")
    return Fault(**given)


def _moment(kind: str, text: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise FaultError(f"fault {kind}: until is {text!r}, not an ISO 8601 time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _like(text: str, pattern: str) -> bool:
    return pattern == "*" or fnmatchcase(text, pattern)


def _any(texts: tuple[str, ...], pattern: str) -> bool:
    return pattern == "*" or any(fnmatchcase(text, pattern) for text in texts)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
