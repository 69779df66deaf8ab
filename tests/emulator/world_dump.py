"""The whole world as text, whatever services there are: every model, every key, every event, what is on the calendar.

`python -m tests.emulator.world_dump DIR` opens a data directory and prints its world, in a process of its own: sets of
texts are in another order there, which no replay may depend on.
"""

import hashlib
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from emulator.bus import Bus
from emulator.chance import Chance
from emulator.clock import Clock
from emulator.cloud import Cloud
from emulator.persistence.journal import Journal
from emulator.persistence.world import Origin, open_world
from emulator.realm import Account, Realm
from emulator.tablestore.changes import pack
from emulator.tablestore.model import Tablestore
from emulator.wire.log import RequestLog

NOT_STATE = (Clock, Chance, Bus, RequestLog, Tablestore, FunctionType, MethodType, BuiltinFunctionType, type)


def dump(cloud: Cloud) -> list[str]:
    seen: dict[int, int] = {}
    kept: list[Any] = []  # so that no id is used twice
    lines: list[str] = []
    roots: dict[str, Any] = {}
    for realm in sorted(cloud.realms, key=lambda realm: (realm.account, realm.region)):
        where = f"{realm.account}/{realm.region}"
        roots |= {f"{where}/{name}": part for name, part in sorted(vars(realm).items()) if name != "operations"}
    for realm in sorted(cloud.realms, key=lambda realm: realm.account):
        roots |= {f"{realm.account}/{name}": part for name, part in sorted(vars(realm.owner).items())}
    roots["dark"] = cloud.zones.dark
    roots["keys"] = cloud.keys.dump()
    roots["events"] = cloud.events
    for name, root in roots.items():
        lines += _lines(name, root, seen, kept)
    lines += [f"row {pack(change).decode()}" for change in cloud.tablestore.dump()]
    calendar = sorted(due for due in cloud.clock._calendar if due.inside and due.callback is not None)
    lines += [f"calendar {due.at.isoformat()} {due.label}" for due in calendar]
    lines.append(f"now {cloud.clock.now().isoformat()}")
    return lines


def _lines(path: str, value: Any, seen: dict[int, int], kept: list[Any]) -> Iterator[str]:
    if isinstance(value, (*NOT_STATE, Cloud, Realm, Account)):
        return
    if value is None or isinstance(value, str | int | float | date | datetime | timedelta | Enum):
        yield f"{path} = {value!r}"
        return
    if isinstance(value, bytes | bytearray):
        yield f"{path} = {len(value)} bytes {hashlib.sha256(value).hexdigest()[:16]}"
        return
    if id(value) in seen:
        yield f"{path} is #{seen[id(value)]}"
        return
    seen[id(value)] = len(seen)
    kept.append(value)
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _lines(f"{path}[{_name(key)}]", part, seen, kept)
    elif isinstance(value, list | tuple | deque):
        for index, part in enumerate(value):
            yield from _lines(f"{path}[{index}]", part, seen, kept)
    elif isinstance(value, set | frozenset):
        yield f"{path} = {sorted(_name(part) for part in value)}"
    else:
        yield f"{path}: {type(value).__name__}"
        for name, part in _fields(value):
            yield from _lines(f"{path}.{name}", part, seen, kept)


def _name(key: Any) -> str:
    return repr(key) if isinstance(key, str | int | tuple | Enum | datetime | None) else type(key).__name__


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(value, "__dict__", {}).items()
    for kind in type(value).__mro__:
        for name in kind.__dict__.get("__slots__", ()):
            if hasattr(value, name):
                yield name, getattr(value, name)


def opened(directory: Path, seed: str | None = None) -> Cloud:
    """The world of that directory; a new one grows from the text `seed`."""
    origin = Origin(
        seed=seed,
        seed_name="seed",
        settings={},
        start="2026-03-02T00:00:00+00:00",
        random_seed=1,
        regions=("cn-hangzhou", "cn-shanghai", "cn-beijing"),
    )
    return open_world(directory, origin, furnish=lambda cloud: None)


def closed(cloud: Cloud) -> None:
    journal_of(cloud).keep_time()
    journal_of(cloud).file.close()


def journal_of(cloud: Cloud) -> Journal:
    assert cloud.journal is not None
    return cloud.journal


if __name__ == "__main__":
    sys.stdout.write("\n".join(dump(opened(Path(sys.argv[1])))))
