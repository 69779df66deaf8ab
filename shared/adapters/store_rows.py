"""What may stand in a row of the state store, and the column that keeps a row without columns alive.

Whether Tablestore takes a row of its key alone is not documented, so such a row carries one marker column that readers
never see.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from shared.domain.errors import BadInput
from shared.ports.store import Key, Value, Write

MARKER: Final = "_row"
MAX_BATCH_ROWS: Final = 200
MAX_BATCH_BYTES: Final = 3_500_000  # of 4 MB: the service counts names and values, we estimate
MAX_CONDITIONS: Final = 10  # Tablestore developer guide, limits


def checked(table: str, columns: Mapping[str, Any]) -> dict[str, Value]:
    """The columns to write, never empty. Raises BadInput on a value that the store cannot hold."""
    for name, value in columns.items():
        if name == MARKER:
            raise BadInput(f"table {table}: column name {MARKER} is reserved; choose another")
        _check(f"table {table}, column {name}", value)
    return dict(columns) or {MARKER: True}


def shown(columns: Iterable[tuple[str, Any]]) -> dict[str, Value]:
    return {name: value for name, value in columns if name != MARKER}


def check_conditions(table: str, columns: Mapping[str, Any]) -> None:
    if len(columns) > MAX_CONDITIONS:
        raise BadInput(f"table {table}: a write compares {len(columns)} columns, at most {MAX_CONDITIONS} are possible")
    for name, value in columns.items():
        _check(f"table {table}, column {name}", value)


def key_names(schema: Mapping[str, tuple[str, ...]], table: str, key: Key, *, prefix: bool = False) -> tuple[str, ...]:
    """The table's key columns. Raises BadInput when the table is unknown or `key` does not fit it."""
    names = schema.get(table)
    if names is None:
        raise BadInput(f"table {table} is not in the schema of the state store (shared/state/schema.py)")
    if len(key) > len(names) or (len(key) < len(names) and not prefix):
        raise BadInput(f"table {table}: key {key!r} does not fit the key columns {names}")
    for name, value in zip(names, key, strict=False):
        if not isinstance(value, str):
            raise BadInput(f"table {table}, key column {name}: {value!r} is no text")
        _check(f"table {table}, key column {name}", value)
    return names


def scan_start(prefix: Key, *, after: Key | None, backward: bool) -> Key | None:
    """Where a range over `prefix` begins: at `after` (itself to be skipped) when it lies inside, else at the edge of
    the prefix. None: no row can come after `after`."""
    if after is None:
        return prefix
    head = after[: len(prefix)]
    if head == prefix:
        return after
    beyond = head < prefix if backward else head > prefix
    return None if beyond else prefix


def scan_end(prefix: Key, *, after: Key | None, until: Key | None, backward: bool) -> Key | None:
    """Where a range over `prefix` ends: at `until` (itself left out) when it lies inside, else at the edge of the
    prefix. None: nothing lies before it."""
    if until is None:
        return prefix
    if until == prefix or (after is not None and (after <= until if backward else after >= until)):
        return None
    head = until[: len(prefix)]
    if head == prefix:
        return until
    inside = head < prefix if backward else head > prefix
    return prefix if inside else None


def chunks(writes: Iterable[Write]) -> Iterator[list[Write]]:
    """What fits into one BatchWriteRow each."""
    chunk: list[Write] = []
    chunk_bytes = 0
    for write in writes:
        row_bytes = _size(write)
        if chunk and (len(chunk) == MAX_BATCH_ROWS or chunk_bytes + row_bytes > MAX_BATCH_BYTES):
            yield chunk
            chunk, chunk_bytes = [], 0
        chunk.append(write)
        chunk_bytes += row_bytes
    if chunk:
        yield chunk


def _size(write: Write) -> int:
    size = sum(len(part.encode()) for part in write.row.key)
    for name, value in write.row.columns.items():
        size += len(name) + (len(value.encode()) if isinstance(value, str) else 8)
    return size


def _check(where: str, value: Any) -> None:
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise BadInput(f"{where}: the text cannot be stored ({error.reason})") from error
        case int():  # bool included
            if not -(1 << 63) <= value < 1 << 63:
                raise BadInput(f"{where}: {value} exceeds 64 bits")
        case float():
            if not math.isfinite(value):
                raise BadInput(f"{where}: {value} is not a finite number")
        case _:
            raise BadInput(f"{where}: a value is text, a number or a bool, not {type(value).__name__}")
