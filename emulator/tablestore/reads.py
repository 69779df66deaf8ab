"""How a row looks to a read: columns and versions as selected, the filter applied to what was fetched, its size."""

from collections.abc import Sequence
from dataclasses import dataclass

from emulator.tablestore.conditions import Filter
from emulator.tablestore.rows import Horizon, Row, Selection, Version, select
from emulator.tablestore.schema import Description
from emulator.tablestore.values import Key, Value, size_of
from emulator.tablestore.writes import key_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A row as a read shows it. `size`: bytes of names and values, key included."""

    row: Row
    columns: list[tuple[str, list[Version]]]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    rows: list[Found]
    next_key: Key | None  # where the next page starts; None: the range is read to its end
    scanned_bytes: int


def key_size(key: Sequence[object], description: Description) -> int:
    """Names and values of a key, as capacity units count them."""
    return sum(
        len(name) + (size_of(value) if isinstance(value, int | str | bytes) else 8)
        for (name, _), value in zip(description.schema, key, strict=True)
    )


def show(
    row: Row, selection: Selection, filter: Filter | None, description: Description, horizon: Horizon
) -> tuple[Found | None, int]:
    """The row as selected (None: filtered out, or none of the asked columns), and the bytes it cost to look."""
    columns = select(row, selection, horizon)
    row_bytes = key_size(row.key, description)
    for name, versions in columns:
        for version in versions:
            row_bytes += len(name) + size_of(version.value)
    wanted = selection.columns
    # Naming a key column asks for every row, as each has it.
    if not columns and wanted is not None and not any(name in wanted for name, _ in description.schema):
        return None, row_bytes
    if filter is not None:
        fetched = dict(columns)

        def values(name: str) -> Sequence[Value]:
            if name in fetched:
                return [v.value for v in fetched[name]]
            return key_value(row.key, name, description)

        if not filter.holds(values):
            return None, row_bytes
    return Found(row=row, columns=columns, size=row_bytes), row_bytes
