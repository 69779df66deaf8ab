"""Frozen dataclasses to JSON text and back, by their type hints: the one form in which rows hold our values.

Unknown keys are ignored and missing ones take their defaults, so that two code versions can share rows during a
deployment. A value that does not fit its type raises Permanent naming the field: a damaged row must stop the reader.
"""

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from shared.domain.errors import Permanent

T = TypeVar("T")
Decode = Callable[[Any], Any]


def moment(at: datetime) -> str:
    """UTC with microseconds and a fixed width, so that text order is time order."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def second(at: datetime) -> str:
    """UTC to the second, the form used in keys, tags and names."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def dump(value: object) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def load(kind: type[T], text: str) -> T:
    try:
        value: T = _decoder(cast("Any", kind))(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Permanent(f"stored {kind.__name__} cannot be read: {error}; text begins {text[:60]!r}") from error
    return value


def _plain(value: object) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} has no stored form")


@cache
def _decoder(kind: Any) -> Decode:
    """How to read `kind` back. Built once per type: rows are decoded by the thousand."""
    kind = getattr(kind, "__supertype__", kind)  # NewType
    origin = get_origin(kind)
    if is_dataclass(kind):
        return _dataclass_decoder(kind)
    if kind is datetime:
        return instant
    if kind is timedelta:
        return lambda value: timedelta(seconds=value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if origin in (Union, types.UnionType):
        (inner,) = (part for part in get_args(kind) if part is not type(None))
        decode = _decoder(inner)
        return lambda value: None if value is None else decode(value)
    if origin is tuple:
        return _tuple_decoder(get_args(kind))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        decode = _decoder(get_args(kind)[1])
        return lambda value: {key: decode(item) for key, item in value.items()}
    if kind in (str, int, bool):
        return _exact(kind)
    if kind is float:
        return float
    raise TypeError(f"no stored form for {kind!r}")


def _exact(kind: type) -> Decode:
    def decode(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}, found {value!r}")
        return value

    return decode


def _tuple_decoder(parts: tuple[Any, ...]) -> Decode:
    if len(parts) == 2 and parts[1] is Ellipsis:
        each = _decoder(parts[0])
        return lambda value: tuple(each(item) for item in value)
    decoders = tuple(_decoder(part) for part in parts)
    return lambda value: tuple(decode(item) for decode, item in zip(decoders, value, strict=True))


def _dataclass_decoder(kind: Any) -> Decode:
    plan: tuple[tuple[str, Decode], ...] = ()  # made on first use: a type may hold values of itself
    required = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}

    def decode(value: Any) -> Any:
        nonlocal plan
        if not plan:
            hints = get_type_hints(kind)
            plan = tuple((field.name, _decoder(hints[field.name])) for field in fields(kind) if field.init)
        missing = required - value.keys()
        if missing:
            raise KeyError(f"{kind.__name__} lacks {', '.join(sorted(missing))}")
        return kind(**{name: decode_field(value[name]) for name, decode_field in plan if name in value})

    return decode
