"""Secondary indexes: tables that follow another one by themselves.

A local index shares its table's partition key and follows within the same step; a global one follows a little later,
by the emulated clock. A row is in an index when it has every column of the index's key. Source: developer guide,
secondary index (2025): at most 5 per table, columns must be predefined, one version, read-only.

Not modelled: predefined columns whose stored type differs from the declared one are left out of the index, while the
service's answer to such a write is not documented.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from emulator.tablestore.errors import parameter_invalid
from emulator.tablestore.rows import LIFE, Columns, Version
from emulator.tablestore.schema import MAX_INDEXES, Description, IndexMeta, Options
from emulator.tablestore.table import Table
from emulator.tablestore.values import KEY_TYPES, Key, KeyValue, Value, check_name

if TYPE_CHECKING:
    from emulator.clock import Clock

TYPE_NAMES: Final[Mapping[int, str]] = {1: "INTEGER", 2: "DOUBLE", 3: "BOOLEAN", 4: "STRING", 7: "BINARY"}
"""Types of predefined columns, by their number on the wire."""

Entry = tuple[Key, Columns]


def check(description: Description, name: str) -> None:
    """Raise on indexes that the table called `name` cannot have."""
    metas = description.indexes
    if not metas:
        return
    if len(metas) > MAX_INDEXES:
        raise parameter_invalid(f"The number of secondary indexes exceeds the limit: {MAX_INDEXES}.")
    _check_options(description.options)
    names = [name, *(meta.name for meta in metas)]
    if len(set(names)) < len(names):
        raise parameter_invalid("Duplicated index name.")
    for meta in metas:
        _check_one(meta, description)


def _check_options(options: Options) -> None:
    if options.max_versions != 1:
        raise parameter_invalid("A table with secondary indexes must have max_versions 1.")
    if options.ttl_seconds != -1 and options.allow_update:
        raise parameter_invalid("A table with secondary indexes can have a TimeToLive only with allow_update false.")


def _check_one(meta: IndexMeta, description: Description) -> None:
    check_name("index", meta.name)
    keys = dict(description.schema)
    defined = {column: TYPE_NAMES.get(number, "") for column, number in description.defined_columns}
    if not meta.primary_key:
        raise parameter_invalid(f"Index '{meta.name}' has no primary key.")
    for column in meta.primary_key:
        if column not in keys and column not in defined:
            raise parameter_invalid(f"Index column '{column}' is neither a primary key nor a predefined column.")
        if column in defined and defined[column] not in KEY_TYPES:
            raise parameter_invalid(f"Index column '{column}' of type {defined[column]} cannot be a primary key.")
    for column in meta.defined:
        if column not in defined:
            raise parameter_invalid(f"Index column '{column}' is not a predefined column.")
    if len(set(meta.primary_key)) < len(meta.primary_key) or set(meta.primary_key) & set(meta.defined):
        raise parameter_invalid(f"Duplicated column in index '{meta.name}'.")
    if meta.local and meta.primary_key[0] != description.schema[0][0]:
        raise parameter_invalid(f"The local index '{meta.name}' must start with the table's partition key.")


class Index:
    """Keeps `table` (the index) as `main` is. `follow` belongs among `main.applied`."""

    def __init__(self, meta: IndexMeta, main: Table, clock: "Clock", now: Callable[[], int], lag: timedelta) -> None:
        self.meta = meta
        self._main = main
        self._clock = clock
        self._now = now
        self._lag = lag
        kinds = dict(main.schema) | {c: TYPE_NAMES.get(n, "") for c, n in main.description.defined_columns}
        rest = tuple(column for column, _ in main.schema if column not in meta.primary_key)
        self._key = tuple((column, kinds[column]) for column in (*meta.primary_key, *rest))
        numbers = dict(main.description.defined_columns)
        self.table = Table(
            meta.name,
            Description(
                schema=self._key,
                options=main.options,
                defined_columns=tuple((column, numbers[column]) for column in meta.defined),
                index_of=main.name,
                created_ms=now(),
            ),
        )

    def fill(self) -> None:
        """Take in every row of the table as it is."""
        for row in self._main.rows():
            entry = self._entry(row.key, row.columns)
            if entry is not None:
                self.table.load(*entry)

    def follow(self, key: Key, before: Columns | None, after: Columns | None) -> None:
        old, new = self._entry(key, before), self._entry(key, after)
        if old is None and new is None:
            return
        if self.meta.local:
            self._turn(old, new)
        else:
            self._clock.call_later(self._lag, lambda: self._turn(old, new), f"index {self.meta.name} follows")

    def _turn(self, old: Entry | None, new: Entry | None) -> None:
        now = self._now()
        if old is not None and (new is None or new[0] != old[0]):
            self.table.apply(old[0], None, now=now)
        if new is not None:
            self.table.apply(*new, now=now)

    def _entry(self, key: Key, columns: Columns | None) -> Entry | None:
        if columns is None:
            return None
        own = {column: value for (column, _), value in zip(self._main.schema, key, strict=True)}
        parts: list[KeyValue] = []
        ages: list[int] = []
        for column, kind in self._key:
            value: Value | None = own.get(column)
            if value is None and column in columns:
                value = columns[column][0].value
                ages.append(columns[column][0].timestamp)
            if value is None or type(value) is not KEY_TYPES[kind]:
                return None
            parts.append(value)  # type: ignore[arg-type]
        carried = {
            column: [Version(v.value, v.timestamp) for v in columns[column][:1]]
            for column in self.meta.defined
            if column in columns
        }
        if columns:  # it ends with the first column that its key is made of, or else with the row
            age = min(ages) if ages else max(versions[0].timestamp for versions in columns.values())
            carried[LIFE] = [Version(True, age)]
        return tuple(parts), carried
