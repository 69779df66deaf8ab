"""One table: rows in key order, and what a write or a read does to them.

Every method is synchronous and belongs to the loop's thread, so a condition and its write are one atomic step. Keys
are kept in a sorted list beside a dict; inserting is linear in memory moves only, fine to some 100,000 rows.

A read may be given an overlay, which stands for the rows it names: what a transaction has written and not committed,
or how rows looked a while ago.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from emulator.tablestore import writes
from emulator.tablestore.capacity import Meter
from emulator.tablestore.changes import Cells
from emulator.tablestore.conditions import Filter
from emulator.tablestore.errors import invalid_pk, parameter_invalid, partition_unavailable
from emulator.tablestore.locks import Locks
from emulator.tablestore.partitions import Partitions
from emulator.tablestore.reads import Found, Page, show
from emulator.tablestore.rows import LATEST, Columns, Horizon, Row, Selection, Version
from emulator.tablestore.schema import Description, Options
from emulator.tablestore.values import (
    AUTO,
    INF_MAX,
    INF_MIN,
    INT64,
    KEY_TYPES,
    MAX_KEY_BYTES,
    Bound,
    Key,
    KeyPairs,
    KeyValue,
    size_of,
)
from emulator.tablestore.writes import Effect, Existence, Kind, Write

__all__ = ["Effect", "Existence", "Found", "Kind", "Options", "Page", "Table", "Write"]

MAX_PAGE_ROWS: Final = 5000
MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
AUTO_AHEAD: Final = 1_000_000
"""Auto-increment values are kept as given out this far ahead, so that not each one must be."""
PAST_KEPT: Final = 4096
"""Changes of a table that a stale read can undo."""

Overlay = Mapping[Key, Columns | None]


class Table:
    def __init__(self, name: str, description: Description) -> None:
        self.name = name
        self.description = description
        self.partitions = Partitions(description.partitions)
        self.locks = Locks()
        self.meter = Meter()
        self.applied: dict[str, Callable[[Key, Columns | None, Columns | None], None]] = {}
        """By index: called with key, old and new columns after each change, so that the index can follow."""
        self.ready_at = 0  # ms; before, the table is not ready
        self._rows: dict[Key, Row] = {}
        self._keys: list[Key] = []
        self._past: deque[tuple[int, Key, Columns | None]] = deque(maxlen=PAST_KEPT)
        self._last_auto: dict[KeyValue, int] = {}
        self._auto_base = description.auto_floor  # given out before this table was loaded

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def schema(self) -> tuple[tuple[str, str], ...]:
        return self.description.schema

    @property
    def options(self) -> Options:
        return self.description.options

    def horizon(self, now: int) -> Horizon:
        return Horizon(now=now, ttl_seconds=self.options.ttl_seconds, max_versions=self.options.max_versions)

    # -- keys

    def key(self, pairs: KeyPairs) -> Key:
        """The full key of one row, checked against the schema."""
        values = self.bound(pairs)
        for value in values:
            if value is INF_MIN or value is INF_MAX:
                raise invalid_pk("INF_MIN and INF_MAX are bounds of a range, not values of a row.")
        return values  # type: ignore[return-value]

    def bound(self, pairs: KeyPairs) -> tuple[Bound, ...]:
        """One end of a range."""
        self._check_names(pairs)
        for (name, value), (_, kind) in zip(pairs, self.schema, strict=True):
            if value is INF_MIN or value is INF_MAX:
                continue
            if type(value) is not KEY_TYPES[kind]:
                raise invalid_pk(f"Validate PK type fail. Column: {name}, Meta: {kind}.")
            _check_key_value(name, value)
        return tuple(value for _, value in pairs)

    def new_key(self, write: Write, now: int) -> Key:
        """The key that a write means, with a fresh value where it asks the service for one."""
        if not write.asks_for_key:
            return self.key(write.key)
        self._check_names(write.key)
        auto = self.description.auto_column
        for name, value in write.key:
            if value is AUTO and name != auto:
                raise invalid_pk(f"Column '{name}' is not an auto-increment primary key.")
        if write.kind is Kind.DELETE:
            raise parameter_invalid("DeleteRow needs the value of the auto-increment primary key.")
        if write.conditional:
            raise parameter_invalid("A row with a new auto-increment primary key takes no condition but IGNORE.")
        first = write.key[0][1]
        number = self._next_auto(first, now)  # type: ignore[arg-type]  # never the first column
        key = self.key([(name, number if value is AUTO else value) for name, value in write.key])
        self._last_auto[key[0]] = number
        return key

    def _next_auto(self, partition: KeyValue, now: int) -> int:
        """Unique and rising per partition key, with gaps: microseconds of the clock, as the service's look."""
        return max(self._last_auto.get(partition, 0) + 1, self._auto_base + 1, now * 1000)

    def partition_key(self, pair: tuple[str, Bound]) -> KeyValue:
        """The value of the first key column, given by itself."""
        (name, value), (expected, kind) = pair, self.schema[0]
        if name != expected:
            raise invalid_pk(f"Validate PK name fail. Input: {name}, Meta: {expected}.")
        if type(value) is not KEY_TYPES[kind]:
            raise invalid_pk(f"Validate PK type fail. Column: {name}, Meta: {kind}.")
        _check_key_value(name, value)
        return value  # type: ignore[return-value]

    def reserve(self, key: Key) -> Description | None:
        """The description to keep before a row with this new key is: what it has given out must outlive it."""
        for (name, _), value in zip(self.schema, key, strict=True):
            if name == self.description.auto_column and isinstance(value, int) and value > self.description.auto_floor:
                return replace(self.described(), auto_floor=value + AUTO_AHEAD)
        return None

    def remember(self, key: Key) -> None:
        """A row with this key was once stored: its auto-increment value must not be given out again."""
        for (name, _), value in zip(self.schema, key, strict=True):
            if name == self.description.auto_column and isinstance(value, int):
                self._last_auto[key[0]] = max(value, self._last_auto.get(key[0], 0))

    def _check_names(self, pairs: KeyPairs) -> None:
        if len(pairs) != len(self.schema):
            raise invalid_pk(f"Validate PK size fail. Input: {len(pairs)}, Meta: {len(self.schema)}.")
        for (name, _), (expected, _) in zip(pairs, self.schema, strict=True):
            if name != expected:
                raise invalid_pk(f"Validate PK name fail. Input: {name}, Meta: {expected}.")

    # -- writes

    def check(self, write: Write, now: int) -> None:
        writes.check(write, self.description, now=now)

    def decide(self, write: Write, key: Key, *, now: int, overlay: Overlay | None = None) -> Effect:
        return writes.decide(write, key, self.row(key, overlay), self.description, self.horizon(now))

    def row(self, key: Key, overlay: Overlay | None = None) -> Row | None:
        if overlay and key in overlay:
            columns = overlay[key]
            return None if columns is None else Row(key, columns)
        return self._rows.get(key)

    def apply(self, key: Key, columns: Columns | None, *, now: int) -> None:
        row = self._rows.get(key)
        before = None if row is None else row.columns
        self._past.append((now, key, before))
        self.load(key, columns)
        for follow in tuple(self.applied.values()):
            follow(key, before, columns)

    def load(self, key: Key, columns: Columns | None) -> None:
        """Put a row in its place, or take it away, with nobody told."""
        row = self._rows.get(key)
        if columns is None:
            if row is not None:
                del self._rows[key]
                del self._keys[bisect_left(self._keys, key)]
        elif row is None:
            self._rows[key] = Row(key, columns)
            insort(self._keys, key)
        else:
            row.columns = columns

    # -- reads

    def rows(self) -> Iterator[Row]:
        """All rows in key order, expired ones too."""
        return (self._rows[key] for key in self._keys)

    def as_of(self, moment: int) -> dict[Key, Columns | None]:
        """An overlay that hides every change made after `moment` (of the last 4,096)."""
        overlay: dict[Key, Columns | None] = {}
        for at, key, before in reversed(self._past):
            if at <= moment:
                break
            overlay[key] = before
        return overlay

    def get(
        self,
        key: Key,
        *,
        now: int,
        selection: Selection = LATEST,
        filter: Filter | None = None,
        overlay: Overlay | None = None,
    ) -> Found | None:
        row = self.row(key, overlay)
        horizon = self.horizon(now)
        if row is None or not horizon.exists(row):
            return None
        return show(row, selection, filter, self.description, horizon)[0]

    def range(
        self,
        start: tuple[Bound, ...],
        end: tuple[Bound, ...],
        *,
        now: int,
        backward: bool = False,
        limit: int | None = None,
        selection: Selection = LATEST,
        filter: Filter | None = None,
        overlay: Overlay | None = None,
        most: int = MAX_PAGE_ROWS,
    ) -> Page:
        """One page from `start` (inclusive) towards `end` (exclusive): at most `limit`, `most` rows or 4 MB.

        `limit` counts rows scanned, before the filter (assumption: not documented), so a page may be empty and yet
        name a next key, which is documented. A page also ends where a partition does not answer; only if it would
        start there is the call refused (assumption).
        """
        if limit is not None and limit <= 0:
            raise parameter_invalid("The limit must be greater than 0.")
        if not backward and not start < end:
            raise parameter_invalid("Begin key must less than end key in FORWARD")
        if backward and not end < start:
            raise parameter_invalid("Begin key must more than end key in BACKWARD")
        most = min(limit or MAX_PAGE_ROWS, most, MAX_PAGE_ROWS)
        horizon = self.horizon(now)
        away = self.partitions.moving
        if away and not self.partitions.answers(start[0], now):
            raise partition_unavailable()
        rows: list[Found] = []
        scanned = scanned_bytes = 0
        for key in self._keys_between(start, end, backward, overlay):
            row = self.row(key, overlay)
            if row is None or not horizon.exists(row):
                continue
            if away and not self.partitions.answers(key[0], now):
                if not scanned:
                    raise partition_unavailable()
                return Page(rows=rows, next_key=key, scanned_bytes=scanned_bytes)
            if scanned >= most or scanned_bytes >= MAX_PAGE_BYTES:
                return Page(rows=rows, next_key=key, scanned_bytes=scanned_bytes)
            found, row_bytes = show(row, selection, filter, self.description, horizon)
            scanned += 1
            scanned_bytes += row_bytes
            if found is not None:
                rows.append(found)
        return Page(rows=rows, next_key=None, scanned_bytes=scanned_bytes)

    def first_between(
        self, start: tuple[Bound, ...], end: tuple[Bound, ...], *, now: int, backward: bool
    ) -> Key | None:
        horizon = self.horizon(now)
        keys = self._keys_between(start, end, backward, None)
        return next((key for key in keys if horizon.exists(self._rows[key])), None)

    def _keys_between(
        self, start: tuple[Bound, ...], end: tuple[Bound, ...], backward: bool, overlay: Overlay | None
    ) -> Iterator[Key]:
        keys: Sequence[Key] = self._keys
        if overlay:
            keys = sorted({*keys, *(key for key, columns in overlay.items() if columns is not None)})
        if backward:
            low, high = bisect_right(keys, end), bisect_right(keys, start)
            return (keys[place] for place in range(high - 1, low - 1, -1))
        low, high = bisect_left(keys, start), bisect_left(keys, end)
        return (keys[place] for place in range(low, high))

    # -- being described

    def described(self) -> Description:
        """The description with what has grown since: where the table was split, and what was given out."""
        return replace(self.description, partitions=tuple(self.partitions.at))

    def describe(self, description: Description) -> None:
        """Take a description over whole, as it was kept."""
        self.description = description
        self._auto_base = description.auto_floor
        self.partitions = Partitions(description.partitions)


def cells(columns: Columns | None) -> Cells | None:
    """Columns in the form that changes are told in."""
    if columns is None:
        return None
    return {name: tuple((v.value, v.timestamp) for v in versions) for name, versions in columns.items()}


def columns_of(told: Cells | None) -> Columns | None:
    if told is None:
        return None
    return {name: [Version(value, at) for value, at in versions] for name, versions in told.items()}


def _check_key_value(name: str, value: KeyValue | object) -> None:
    if isinstance(value, int):
        if value not in INT64:
            raise invalid_pk(f"The INTEGER value of primary key '{name}' exceeds 64 bits.")
    elif isinstance(value, str | bytes) and size_of(value) > MAX_KEY_BYTES:
        raise parameter_invalid(
            f"The length of primary key column: '{name}' exceeded the MaxLength:{MAX_KEY_BYTES}"
            f" with CurrentLength:{size_of(value)}."
        )
