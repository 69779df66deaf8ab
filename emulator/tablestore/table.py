"""One table: rows in key order, single-row writes under conditions, reads of a row or a range.

Every method is synchronous and belongs to the loop's thread, so a condition and its write are one atomic step. Keys
are kept in a sorted list beside a dict; inserting is linear in memory moves only, fine to some 100,000 rows.

Not modelled: auto-increment keys, local transactions, secondary and search indexes, streams, partitions and splits.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from emulator.tablestore.conditions import Filter
from emulator.tablestore.errors import OtsError, condition_check_fail, invalid_pk, parameter_invalid
from emulator.tablestore.rows import (
    LATEST,
    Change,
    Horizon,
    Op,
    Row,
    Selection,
    Version,
    check_changes,
    replaced,
    select,
    size,
    updated,
)
from emulator.tablestore.values import (
    INF_MAX,
    INF_MIN,
    INT64,
    KEY_TYPES,
    MAX_KEY_BYTES,
    Bound,
    Key,
    KeyValue,
    Value,
    size_of,
)

MAX_PAGE_ROWS: Final = 5000
MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
MAX_WRITE_BYTES: Final = 4 * 1024 * 1024


class Kind(StrEnum):
    PUT = "put"
    UPDATE = "update"
    DELETE = "delete"


class Existence(StrEnum):
    IGNORE = "ignore"
    EXPECT_EXIST = "expect_exist"
    EXPECT_NOT_EXIST = "expect_not_exist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A change of one row, with what must hold for it to happen."""

    kind: Kind
    key: Sequence[tuple[str, Bound]]  # (column, value) in schema order
    changes: tuple[Change, ...] = ()
    existence: Existence = Existence.IGNORE
    condition: Filter | None = None

    @property
    def conditional(self) -> bool:
        return self.existence is not Existence.IGNORE or self.condition is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A row as a read shows it."""

    row: Row
    columns: list[tuple[str, list[Version]]]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    rows: list[Found]
    next_key: Key | None  # where the next page starts; None: the range is read to its end
    scanned_bytes: int


@dataclass(slots=True, kw_only=True)
class Options:
    ttl_seconds: int = -1
    max_versions: int = 1
    max_deviation_seconds: int = 86_400
    allow_update: bool = True

    def check(self) -> None:
        if self.ttl_seconds != -1 and self.ttl_seconds < 86_400:
            raise parameter_invalid("The TimeToLive must be -1 or at least 86400 seconds.")
        if self.max_versions < 1:
            raise parameter_invalid("The MaxVersions must be at least 1.")
        if self.max_deviation_seconds < 1:
            raise parameter_invalid("The MaxTimeDeviation must be at least 1 second.")


@dataclass(slots=True, kw_only=True)
class Table:
    name: str
    schema: tuple[tuple[str, str], ...]  # (key column, INTEGER | STRING | BINARY)
    options: Options = field(default_factory=Options)
    reserved: tuple[int, int] = (0, 0)  # read and write capacity units
    defined_columns: tuple[tuple[str, int], ...] = ()  # name and the wire's type number
    created_ms: int = 0
    updated_ms: int | None = None
    _rows: dict[Key, Row] = field(default_factory=dict)
    _keys: list[Key] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._keys)

    # -- keys

    def key(self, pairs: Sequence[tuple[str, Bound]]) -> Key:
        """The full key of one row, checked against the schema."""
        values = self.bound(pairs)
        for value in values:
            if value is INF_MIN or value is INF_MAX:
                raise invalid_pk("INF_MIN and INF_MAX are bounds of a range, not values of a row.")
        return values  # type: ignore[return-value]

    def bound(self, pairs: Sequence[tuple[str, Bound]]) -> tuple[Bound, ...]:
        if len(pairs) != len(self.schema):
            raise invalid_pk(f"Validate PK size fail. Input: {len(pairs)}, Meta: {len(self.schema)}.")
        for (name, value), (expected, kind) in zip(pairs, self.schema, strict=True):
            if name != expected:
                raise invalid_pk(f"Validate PK name fail. Input: {name}, Meta: {expected}.")
            if value is INF_MIN or value is INF_MAX:
                continue
            if type(value) is not KEY_TYPES[kind]:
                raise invalid_pk(f"Validate PK type fail. Column: {name}, Meta: {kind}.")
            _check_key_value(name, value)
        return tuple(value for _, value in pairs)

    # -- writes

    def write(self, write: Write, *, now: int) -> Row | None:
        """Check, then change. Returns the row as it is now; raises with nothing written."""
        key = self.key(write.key)
        horizon = self.horizon(now)
        self._check_write(write, now)
        row = self._rows.get(key)
        present = horizon.exists(row)
        self._check_condition(write, row if present else None, horizon)
        if write.kind is Kind.DELETE:
            if row is not None:
                self._drop(key)
            return None
        if write.kind is Kind.PUT:
            columns = replaced(write.changes, horizon=horizon)
        else:
            creates = any(c.op in (Op.PUT, Op.INCREMENT) for c in write.changes)
            if not present and not creates:
                return None
            columns = updated(row.columns if row is not None else {}, write.changes, horizon=horizon)
        if row is None:
            row = self._rows[key] = Row(key, columns)
            insort(self._keys, key)
        else:
            row.columns = columns
        return row

    def _check_write(self, write: Write, now: int) -> None:
        if write.kind is Kind.DELETE:
            return
        if not write.changes:
            # Whether the service takes rows of a key alone is not documented; the listed refusal is (assumption).
            raise parameter_invalid("Attribute column is missing.")
        if write.kind is Kind.UPDATE and not self.options.allow_update:
            raise parameter_invalid("UpdateRow is not allowed on a table with allow_update false.")
        if write.kind is Kind.PUT and any(c.op is not Op.PUT for c in write.changes):
            raise parameter_invalid("PutRow carries a cell with an operation.")
        key_names = {name for name, _ in self.schema}
        for change in write.changes:
            if change.name in key_names:
                raise parameter_invalid(f"Column '{change.name}' is a primary key column.")
        check_changes(write.changes, now=now, deviation_seconds=self.options.max_deviation_seconds)
        if size(write.changes) > MAX_WRITE_BYTES:
            raise OtsError(400, "OTSOutOfRowSizeLimit", f"The row exceeds the limit: {MAX_WRITE_BYTES} bytes.")

    def _check_condition(self, write: Write, row: Row | None, horizon: Horizon) -> None:
        if (write.existence is Existence.EXPECT_EXIST and row is None) or (
            write.existence is Existence.EXPECT_NOT_EXIST and row is not None
        ):
            raise condition_check_fail()
        if write.condition is not None and not write.condition.holds(self._stored(row, horizon)):
            raise condition_check_fail()

    def _stored(self, row: Row | None, horizon: Horizon) -> Callable[[str], Sequence[Value]]:
        def values(name: str) -> Sequence[Value]:
            if row is None:
                return ()
            if name in row.columns:
                return [v.value for v in horizon.visible(row.columns[name])]
            return self._key_value(row, name)

        return values

    def _key_value(self, row: Row, name: str) -> Sequence[Value]:
        return [value for (column, _), value in zip(self.schema, row.key, strict=True) if column == name]

    def _drop(self, key: Key) -> None:
        del self._rows[key]
        del self._keys[bisect_left(self._keys, key)]

    # -- reads

    def get(self, key: Key, *, now: int, selection: Selection = LATEST, filter: Filter | None = None) -> Found | None:
        row = self._rows.get(key)
        horizon = self.horizon(now)
        if row is None or not horizon.exists(row):
            return None
        return self._show(row, selection, filter, horizon)[0]

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
    ) -> Page:
        """One page from `start` (inclusive) towards `end` (exclusive): at most `limit`, 5,000 rows or 4 MB.

        `limit` counts rows scanned, before the filter (assumption: not documented), so a page may be empty and yet
        name a next key, which is documented.
        """
        if limit is not None and limit <= 0:
            raise parameter_invalid("The limit must be greater than 0.")
        if not backward and not start < end:
            raise parameter_invalid("Begin key must less than end key in FORWARD")
        if backward and not end < start:
            raise parameter_invalid("Begin key must more than end key in BACKWARD")
        most = min(limit or MAX_PAGE_ROWS, MAX_PAGE_ROWS)
        horizon = self.horizon(now)
        keys = self._keys
        if backward:
            low, high = bisect_right(keys, end), bisect_right(keys, start)
            places = range(high - 1, low - 1, -1)
        else:
            low, high = bisect_left(keys, start), bisect_left(keys, end)
            places = range(low, high)
        rows: list[Found] = []
        scanned = scanned_bytes = 0
        for place in places:
            row = self._rows[keys[place]]
            if not horizon.exists(row):
                continue
            if scanned >= most or scanned_bytes >= MAX_PAGE_BYTES:
                return Page(rows=rows, next_key=row.key, scanned_bytes=scanned_bytes)
            found, row_bytes = self._show(row, selection, filter, horizon)
            scanned += 1
            scanned_bytes += row_bytes
            if found is not None:
                rows.append(found)
        return Page(rows=rows, next_key=None, scanned_bytes=scanned_bytes)

    def _show(
        self, row: Row, selection: Selection, filter: Filter | None, horizon: Horizon
    ) -> tuple[Found | None, int]:
        """The row as selected (None: filtered out, or none of the asked columns), and the bytes it cost to look."""
        columns = select(row, selection, horizon)
        row_bytes = sum(size_of(v) for v in row.key)
        for name, versions in columns:
            for version in versions:
                row_bytes += len(name) + size_of(version.value)
        wanted = selection.columns
        # Naming a key column asks for every row, as each has it.
        if not columns and wanted is not None and not any(name in wanted for name, _ in self.schema):
            return None, row_bytes
        if filter is not None:
            fetched = dict(columns)

            def values(name: str) -> Sequence[Value]:
                if name in fetched:
                    return [v.value for v in fetched[name]]
                return self._key_value(row, name)

            if not filter.holds(values):
                return None, row_bytes
        return Found(row=row, columns=columns, size=row_bytes), row_bytes

    def horizon(self, now: int) -> Horizon:
        return Horizon(now=now, ttl_seconds=self.options.ttl_seconds, max_versions=self.options.max_versions)


def _check_key_value(name: str, value: KeyValue | object) -> None:
    if isinstance(value, int):
        if value not in INT64:
            raise invalid_pk(f"The INTEGER value of primary key '{name}' exceeds 64 bits.")
    elif isinstance(value, str | bytes) and size_of(value) > MAX_KEY_BYTES:
        raise parameter_invalid(
            f"The length of primary key column: '{name}' exceeded the MaxLength:{MAX_KEY_BYTES}"
            f" with CurrentLength:{size_of(value)}."
        )
