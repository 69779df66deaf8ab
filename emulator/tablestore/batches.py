"""What a batch may be as a whole; each row's own failure is not among it.

Source: developer guide, BatchWriteRow and BatchGetRow (2025): 200 rows to write or 100 to read, 4 MB, each
table named once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from emulator.tablestore import conditions
from emulator.tablestore.conditions import Filter
from emulator.tablestore.errors import parameter_invalid
from emulator.tablestore.rows import LATEST, Selection
from emulator.tablestore.values import AUTO, Bound, KeyPairs, size_of
from emulator.tablestore.writes import MAX_WRITE_BYTES, Write

MAX_WRITES: Final = 200
MAX_READS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One table's part of BatchGetRow."""

    table: str
    keys: Sequence[KeyPairs]
    selection: Selection = LATEST
    filter: Filter | None = None


def check_reads(reads: Sequence[Read]) -> None:
    _check("BatchGetRow", [(read.table, len(read.keys)) for read in reads], most=MAX_READS)


def check_writes(batch: Sequence[tuple[str, Sequence[Write]]]) -> None:
    _check("BatchWriteRow", [(name, len(writes)) for name, writes in batch], most=MAX_WRITES)
    total = 0
    for _, writes in batch:
        for write in writes:
            conditions.check(write.condition)
            total += write.bytes + sum(size_of(v) for _, v in write.key if isinstance(v, str | bytes))
        _check_repeats(writes)
    if total > MAX_WRITE_BYTES:
        raise parameter_invalid(f"The total data size of BatchWriteRow exceeds the limit: {MAX_WRITE_BYTES}.")


def _check(operation: str, parts: Sequence[tuple[str, int]], *, most: int) -> None:
    if not parts:
        raise parameter_invalid(f"No row is specified in {operation}.")
    names = [name for name, _ in parts]
    if len(set(names)) < len(names):
        raise parameter_invalid(f"Duplicated table name in {operation}.")
    for name, rows in parts:
        if rows == 0:
            raise parameter_invalid(f"No row is specified in table: '{name}'.")
    total = sum(rows for _, rows in parts)
    if total > most:
        raise parameter_invalid(f"Rows count exceeds the upper limit: {most}. ({total} in {operation})")


def _check_repeats(writes: Sequence[Write]) -> None:
    """The same row twice: only without any condition, and never when it is incremented."""
    seen: dict[tuple[Bound, ...], Write] = {}
    for write in writes:
        key = tuple(value for _, value in write.key)
        if any(value is AUTO for value in key):
            continue
        before = seen.get(key)
        if before is not None:
            if before.conditional or write.conditional:
                raise parameter_invalid("Repeated rows do not support row exist expectation check in BatchModify.")
            if before.increments or write.increments:
                raise parameter_invalid("A row that is incremented may occur only once in BatchWriteRow.")
        if before is None or not before.increments:
            seen[key] = write
