"""The stored form of a policy version: plain JSON, without pydantic or YAML, so that functions start fast."""

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any

from shared.domain.errors import BadInput
from shared.domain.policy import Policy

FORMAT = 1
"""Rises when the stored form changes so that older code must not read it."""


def dump(policy: Policy) -> str:
    """Canonical: equal policies give equal texts. Durations are whole or fractional seconds."""
    return json.dumps({"format": FORMAT, "policy": _plain(policy)}, sort_keys=True, separators=(",", ":"))


def load(text: str) -> Policy:
    """Read what `dump` wrote; BadInput when the text is something else or of a newer format.

    A field that was added later takes its default; one that this code does not know is refused, since ignoring what
    an operator asked for would be worse than stopping.
    """
    try:
        stored = json.loads(text)
    except ValueError as error:
        raise BadInput(f"the stored policy is not JSON ({error}). Run `understudy apply` again") from None
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        found = stored.get("format") if isinstance(stored, dict) else type(stored).__name__
        raise BadInput(
            f"the stored policy has format {found}, this code reads {FORMAT}. Deploy the functions and run "
            "`understudy apply` from the same version of Understudy"
        )
    policy = _typed(Policy, stored.get("policy"), "policy")
    assert isinstance(policy, Policy)
    return policy


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _typed(kind: Any, value: object, path: str) -> object:
    """`value` as `kind`, which is a type as the policy's dataclasses use them."""
    kind = getattr(kind, "__supertype__", kind)  # NewType
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _typed(next(one for one in arguments if one is not type(None)), value, path)
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
        return _record(kind, value, path)
    if origin is tuple and isinstance(value, list):
        if arguments[-1] is not Ellipsis and len(arguments) != len(value):
            raise _unreadable(path, f"has {len(value)} items, not {len(arguments)}")
        return tuple(_typed(arguments[0], item, f"{path}[{at}]") for at, item in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        return {key: _typed(arguments[1], item, f"{path}.{key}") for key, item in value.items()}
    if kind is timedelta and isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    if kind in (str, int, bool) and type(value) is kind:
        return value
    raise _unreadable(path, f"is {type(value).__name__}, not {getattr(kind, '__name__', kind)}")


def _record(kind: type, value: dict[str, object], path: str) -> object:
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(value) - set(hints))
    if unknown:
        raise _unreadable(path, f"has fields that this version does not know: {', '.join(unknown)}")
    try:
        return kind(**{name: _typed(hints[name], item, f"{path}.{name}") for name, item in value.items()})
    except TypeError as error:
        raise _unreadable(path, str(error)) from None


def _unreadable(path: str, what: str) -> BadInput:
    return BadInput(f"the stored {path} {what}. Run `understudy apply` again with this version of Understudy")
