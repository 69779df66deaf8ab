"""What a table is, apart from its rows: key columns, options, predefined columns, indexes, where it is split.

Descriptions are values; changing a table means giving it another one. Limits: developer guide (2025).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from emulator.tablestore.errors import parameter_invalid
from emulator.tablestore.values import KEY_TYPES, KeyValue, check_name

MAX_RESERVED_UNITS: Final = 100_000
MAX_DEFINED_COLUMNS: Final = 32
MAX_INDEXES: Final = 5
KEY_COLUMNS: Final = range(1, 5)
LEAST_TTL_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    ttl_seconds: int = -1
    max_versions: int = 1
    max_deviation_seconds: int = 86_400
    allow_update: bool = True

    def check(self) -> None:
        if self.ttl_seconds != -1 and self.ttl_seconds < LEAST_TTL_SECONDS:
            raise parameter_invalid("The TimeToLive must be -1 or at least 86400 seconds.")
        if self.max_versions < 1:
            raise parameter_invalid("The MaxVersions must be at least 1.")
        if self.max_deviation_seconds < 1:
            raise parameter_invalid("The MaxTimeDeviation must be at least 1 second.")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexMeta:
    """A secondary index. `primary_key` as given; the table's own key columns that it lacks follow it."""

    name: str
    primary_key: tuple[str, ...]
    defined: tuple[str, ...] = ()  # predefined columns that the index carries along
    local: bool = False  # local: synchronous, same partition key; global: asynchronous


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """All that must be kept of a table to build it again without its rows."""

    schema: tuple[tuple[str, str], ...]  # (key column, INTEGER | STRING | BINARY)
    options: Options = Options()
    auto_column: str | None = None  # the auto-increment key column
    reserved: tuple[int, int] = (0, 0)  # read and write capacity units
    defined_columns: tuple[tuple[str, int], ...] = ()  # name and the wire's type number
    local_txn: bool = False
    indexes: tuple[IndexMeta, ...] = ()
    index_of: str | None = None  # the table that this one is an index of
    partitions: tuple[KeyValue, ...] = ()  # partition keys at which it is split, ascending
    created_ms: int = 0
    updated_ms: int | None = None
    auto_floor: int = 0  # whoever loads this gives out auto-increment values above it only

    def check(self, name: str) -> None:
        """Raise on what CreateTable refuses, indexes apart (they are checked by `indexes.check`)."""
        check_name("table", name)
        _check_key(self.schema)
        self.options.check()
        check_reserved(self.reserved)
        self._check_auto_column()
        self._check_defined_columns()

    def _check_auto_column(self) -> None:
        column = self.auto_column
        if column is None:
            return
        if self.schema[0][0] == column:
            raise parameter_invalid(f"The partition key '{column}' cannot be auto-increment.")
        if dict(self.schema)[column] != "INTEGER":
            raise parameter_invalid(f"The auto-increment primary key '{column}' must be INTEGER.")
        if self.local_txn:
            raise parameter_invalid("A table with an auto-increment primary key cannot enable local transactions.")

    def _check_defined_columns(self) -> None:
        if len(self.defined_columns) > MAX_DEFINED_COLUMNS:
            raise parameter_invalid(f"The number of defined columns exceeds the limit: {MAX_DEFINED_COLUMNS}.")
        taken = {column for column, _ in self.schema}
        for column, _ in self.defined_columns:
            check_name("column", column)
            if column in taken:
                raise parameter_invalid(f"Duplicated column name: '{column}'.")
            taken.add(column)


def _check_key(schema: Sequence[tuple[str, str]]) -> None:
    if len(schema) not in KEY_COLUMNS:
        raise parameter_invalid(f"The number of primary key columns must be in range: [1, 4], but is {len(schema)}.")
    seen: set[str] = set()
    for column, kind in schema:
        check_name("primary key", column)
        if kind not in KEY_TYPES:
            raise parameter_invalid(f"Unsupported operation: primary key type {kind} of column '{column}'.")
        if column in seen:
            raise parameter_invalid(f"Duplicated primary key name: '{column}'.")
        seen.add(column)


def check_reserved(reserved: tuple[int, int]) -> None:
    if not all(0 <= units <= MAX_RESERVED_UNITS for units in reserved):
        raise parameter_invalid(f"Reserved capacity units must be in range: [0, {MAX_RESERVED_UNITS}].")
