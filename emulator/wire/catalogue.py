"""What the official SDKs say of each modelled action, as data (`catalogue.json`): so that the emulator can tell what it
does not model, and can hold its own answers against the shape that an SDK would read, without needing an SDK.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("catalogue.json")

Schema = Any
"""A scalar's name, `any`, `[item]` or `{field: schema}`."""


@cache
def catalogue() -> Mapping[str, Any]:
    """By service: `version`, `sdk`, `actions` (`parameters`, `answer`, and `region` where RegionId is mandatory),
    `others` (actions that are not modelled)."""
    read: Mapping[str, Any] = json.loads(FILE.read_text())
    return read


def known(service: str, action: str) -> Mapping[str, Any] | None:
    """What the SDK says of an action; None when the catalogue does not describe it."""
    entry: Mapping[str, Any] | None = catalogue().get(service, {}).get("actions", {}).get(action)
    return entry


def exists(service: str, action: str) -> bool:
    """Whether the cloud has such an action at all, modelled or not."""
    return known(service, action) is not None or action in catalogue().get(service, {}).get("others", ())


def strangers(answer: Any, schema: Schema, where: str = "") -> Iterator[str]:
    """Fields that the SDK's model does not have, and values whose type is not the documented one: the SDK would drop
    the first and hand the second on unchecked (a list where an object belongs makes the whole body None)."""
    if schema == "any" or answer is None:
        return
    if isinstance(schema, dict):
        if not isinstance(answer, dict):
            yield f"{where}: {type(answer).__name__} instead of an object"
            return
        for name, value in answer.items():
            if name not in schema:
                yield f"{where}.{name}: no such field"
            else:
                yield from strangers(value, schema[name], f"{where}.{name}")
    elif isinstance(schema, list):
        if not isinstance(answer, list):
            yield f"{where}: {type(answer).__name__} instead of a list"
            return
        for item in answer:
            yield from strangers(item, schema[0], f"{where}[]")
    elif not _fits(answer, schema):
        yield f"{where}: {type(answer).__name__} instead of {schema}"


def _fits(value: Any, kind: str) -> bool:
    match kind:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)
