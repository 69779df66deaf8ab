"""What was changed, as values that can be kept: every table and every row that a call created, replaced or removed.

`Tablestore.on_change` is given each change *before* it is applied, and so before the call is answered: whoever keeps
changes there has kept every acknowledged write. If it raises, nothing is applied. What happens together or not at all
(a transaction's commit, an atomic batch) arrives as one `Together`; apply and keep it as one.

`pack` and `unpack` give each change a stable form: one line of JSON, without a line break in it. A packed row is
complete: all of its versions, with their timestamps in milliseconds; None means that it is gone.

Not kept, since the service loses it too when a node fails: open transactions and their locks, running splits.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from emulator.tablestore.schema import Description, IndexMeta, Options
from emulator.tablestore.values import Key, Value

Cells = Mapping[str, tuple[tuple[Value, int], ...]]
"""Column -> its versions, newest first, as (value, milliseconds)."""

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """A table was created or described anew, or is gone with all of its rows (None)."""

    instance: str
    table: str
    description: Description | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """A row's complete new content; None: it is gone. An index's rows are not told: they follow from these."""

    instance: str
    table: str
    key: Key
    cells: Cells | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """All of these or none."""

    changes: tuple[RowChange, ...]


Change = TableChange | RowChange | Together


def pack(change: Change) -> bytes:
    return json.dumps(_plain(change), separators=(",", ":"), ensure_ascii=True).encode()


def unpack(packed: bytes) -> Change:
    """Raises ValueError on anything that `pack` did not make, such as a line that was cut off."""
    try:
        return _change(json.loads(packed))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a packed change: {packed[:80]!r}") from error


def _plain(change: Change) -> dict[str, Any]:
    match change:
        case Together():
            return {"v": FORMAT, "together": [_plain(one) for one in change.changes]}
        case TableChange():
            described = None
            if change.description is not None:
                described = asdict(change.description)
                described["partitions"] = [_bare(value) for value in change.description.partitions]
            return {"v": FORMAT, "instance": change.instance, "table": change.table, "description": described}
        case RowChange():
            cells = change.cells
            return {
                "v": FORMAT,
                "instance": change.instance,
                "table": change.table,
                "key": [_bare(value) for value in change.key],
                "cells": None
                if cells is None
                else {name: [[_bare(value), at] for value, at in versions] for name, versions in cells.items()},
            }


def _change(plain: Any) -> Change:
    if plain["v"] != FORMAT:
        raise ValueError(f"a change of format {plain['v']}, but this emulator reads format {FORMAT}")
    if "together" in plain:
        return Together(changes=tuple(_row(one) for one in plain["together"]))
    if "key" in plain:
        return _row(plain)
    described = plain["description"]
    return TableChange(
        instance=plain["instance"],
        table=plain["table"],
        description=None if described is None else _description(described),
    )


def _row(plain: Any) -> RowChange:
    cells = plain["cells"]
    return RowChange(
        instance=plain["instance"],
        table=plain["table"],
        key=tuple(_value(value) for value in plain["key"]),
        cells=None
        if cells is None
        else {name: tuple((_value(value), at) for value, at in versions) for name, versions in cells.items()},
    )


def _description(plain: Any) -> Description:
    return Description(
        **{
            **plain,
            "schema": tuple((name, kind) for name, kind in plain["schema"]),
            "options": Options(**plain["options"]),
            "reserved": (plain["reserved"][0], plain["reserved"][1]),
            "defined_columns": tuple((name, number) for name, number in plain["defined_columns"]),
            "indexes": tuple(
                IndexMeta(
                    name=index["name"],
                    primary_key=tuple(index["primary_key"]),
                    defined=tuple(index["defined"]),
                    local=index["local"],
                )
                for index in plain["indexes"]
            ),
            "partitions": tuple(_value(value) for value in plain["partitions"]),
        }
    )


def _bare(value: Value) -> Any:
    """JSON keeps int, float, bool and str apart by itself; only bytes need a dress."""
    return {"b": b64encode(value).decode()} if isinstance(value, bytes) else value


def _value(plain: Any) -> Any:
    return b64decode(plain["b"]) if isinstance(plain, dict) else plain
