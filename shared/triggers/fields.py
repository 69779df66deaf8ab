"""Reading fields the way the cloud really sends them.

Numbers may be strings, a missing value may be the text "null", a nested object may be a JSON text, and a moment comes
in four forms. Everything but identity is optional; what is there but absurd is refused with its name.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, cast

from shared.domain.errors import BadInput
from shared.triggers.trigger import JsonObject

MAX_BYTES: Final = 1 << 20
"""No real event is larger: Function Compute takes 128 KB asynchronously, and a webhook of ours needs a few KB."""
MAX_DEPTH: Final = 16
MAX_TEXT: Final = 4096
"""Longer texts are cut: they only end in log lines and the decisions table."""

_MILLISECONDS_FROM: Final = 10**11
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}\Z")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_EPOCH: Final = re.compile(r"\d{9,14}(\.\d+)?\Z")


def load_json(text: str | bytes, where: str) -> object:
    """Decode JSON; BadInput when it is too large, too deep, or not JSON."""
    if len(text) > MAX_BYTES:
        raise BadInput(f"{where}: {len(text)} bytes; at most {MAX_BYTES} are read. Send the event itself, not a dump.")
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise _too_deep(where) from None
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, an integer of thousands of digits
        raise BadInput(
            f"{where}: not JSON ({error}). Send one of the payloads described in events/README.md."
        ) from None
    _check_depth(value, where)
    return cast(object, value)


def load_object(text: str | bytes, where: str) -> JsonObject:
    value = load_json(text, where)
    if not isinstance(value, dict):
        raise BadInput(f"{where}: a JSON object is needed, this is a {type(value).__name__}. See events/README.md.")
    return value


def as_object(value: object) -> JsonObject | None:
    """`value` as an object, also when it is one written as a JSON text; None when it is neither."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = load_json(value, "nested object")
        except BadInput:
            return None
    return value if isinstance(value, Mapping) else None


def nested(source: JsonObject, key: str) -> JsonObject:
    """The object under `key`; empty when it is missing or "null"."""
    return as_object(source.get(key)) or {}


def text(source: JsonObject, *keys: str) -> str:
    """The first of `keys` that has a value, as one printable line; "" when none has."""
    for key in keys:
        value = source.get(key)
        if value is None or isinstance(value, Mapping | list):
            continue
        line = _UNPRINTABLE.sub(" ", str(value).lower() if isinstance(value, bool) else str(value)).strip()
        if line and line != "null":
            return line[:MAX_TEXT]
    return ""


def identifier(source: JsonObject, *keys: str) -> str:
    """Like `text`, for an id of the cloud: "" when missing, BadInput when it cannot be one."""
    value = text(source, *keys)
    if value and not _ID.match(value):
        raise BadInput(
            f"event: {'/'.join(keys)} is {value[:80]!r}, which is not a resource id. Send the id, e.g. i-bp1example."
        )
    return value


def after_slash(arn: str, kind: str) -> str:
    """The id in `acs:ecs:region:account:instance/i-1` when it is of this kind (`instance`), else ""."""
    head, slash, tail = arn.rpartition("/")
    if not slash or head.rpartition(":")[2] != kind or not _ID.match(tail):
        return ""
    return tail


def moment(value: object) -> datetime | None:
    """Any of the four forms as aware UTC; None when it is missing or cannot be read (one old sample ends in `PRC`).

    `2019-04-09T04:18:26Z`, `20190409T121826.922+0800`, epoch seconds, epoch milliseconds (from 10^11).
    A moment without an offset is taken as UTC (assumption: the documents write all such times in UTC).
    """
    if isinstance(value, bool) or value is None:
        return None
    written = str(value).strip()
    try:
        if _EPOCH.match(written):
            number = float(written)
            found = datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, UTC)
        else:
            found = datetime.fromisoformat(written)
            found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found if _EARLIEST <= found < _LATEST else None


def whole(source: JsonObject, key: str) -> int | None:
    value = text(source, key)
    return int(value) if re.fullmatch(r"-?\d{1,18}", value) else None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _check_depth(value: object, where: str) -> None:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise _too_deep(where)


def _too_deep(where: str) -> BadInput:
    return BadInput(f"{where}: nested deeper than {MAX_DEPTH} levels; no event of the cloud is. Send the event itself.")
