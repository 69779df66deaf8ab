"""Tablestore: instances that hold tables, and the calls on them.

Both doors end here. Times are milliseconds of the emulated clock. A fault is any callable of `faults`; it is asked
before and after the effect of every call and may raise an `OtsError` or `Dropped`: after the effect that is a write
which was applied and yet failed.

Not modelled: the rate of table operations (10 a second), capacity limits, RAM policies, global tables.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from emulator.tablestore import conditions
from emulator.tablestore.conditions import Filter
from emulator.tablestore.errors import OtsError, parameter_invalid, table_exists, table_missing, table_not_ready
from emulator.tablestore.rows import LATEST, Row, Selection, size
from emulator.tablestore.table import MAX_WRITE_BYTES, Found, Options, Page, Table, Write
from emulator.tablestore.values import KEY_TYPES, MAX_COLUMNS_TO_GET, Bound, check_name, size_of

if TYPE_CHECKING:
    from emulator.cloud import Cloud

MAX_TABLES: Final = 64
MAX_BATCH_WRITE: Final = 200
MAX_BATCH_GET: Final = 100
MAX_RESERVED_UNITS: Final = 100_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UPDATE_EVERY: Final = timedelta(minutes=2)

Moment = Literal["before", "after"]
Fault = Callable[[str, str, Moment], None]
"""Called with the operation (`PutRow`), the table's name ("" when there is none or several) and the moment."""

KeyPairs = Sequence[tuple[str, Bound]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One table's part of BatchGetRow."""

    table: str
    keys: Sequence[KeyPairs]
    selection: Selection = LATEST
    filter: Filter | None = None


class Tablestore:
    def __init__(self, cloud: "Cloud") -> None:
        self._clock = cloud.clock
        self._instances: dict[str, dict[str, Table]] = {}
        self.faults: list[Fault] = []
        self.warm_up = timedelta(0)
        """How long a new table answers OTSTableNotReady (the service: several seconds to a minute)."""

    def now_ms(self) -> int:
        return (self._clock.now() - _EPOCH) // timedelta(milliseconds=1)

    @contextmanager
    def _call(self, operation: str, table: str = "") -> Iterator[None]:
        for fault in tuple(self.faults):
            fault(operation, table, "before")
        yield
        for fault in tuple(self.faults):
            fault(operation, table, "after")

    def tables(self, instance: str) -> dict[str, Table]:
        """The tables of an instance; which names exist is the door's business (`cloud.ots_instances`)."""
        return self._instances.setdefault(instance, {})

    def table(self, instance: str, name: str) -> Table:
        table = self.tables(instance).get(name)
        if table is None:
            raise table_missing()
        return table

    def ready(self, instance: str, name: str) -> Table:
        table = self.table(instance, name)
        if self.warm_up and self.now_ms() < table.created_ms + self.warm_up / timedelta(milliseconds=1):
            raise table_not_ready()
        return table

    # -- tables

    def create_table(
        self,
        instance: str,
        name: str,
        schema: Sequence[tuple[str, str]],
        *,
        options: Options | None = None,
        reserved: tuple[int, int] = (0, 0),
        defined_columns: tuple[tuple[str, int], ...] = (),
    ) -> Table:
        options = options or Options()
        _check_schema(name, schema)
        options.check()
        _check_reserved(reserved)
        with self._call("CreateTable", name):
            tables = self.tables(instance)
            if name in tables:
                raise table_exists()
            if len(tables) >= MAX_TABLES:
                raise OtsError(403, "OTSQuotaExhausted", "Number of tables exceeded the quota.")
            table = tables[name] = Table(
                name=name,
                schema=tuple(schema),
                options=options,
                reserved=reserved,
                defined_columns=defined_columns,
                created_ms=self.now_ms(),
            )
        return table

    def update_table(
        self, instance: str, name: str, *, options: Options | None, reserved: tuple[int, int] | None
    ) -> Table:
        if options is not None:
            options.check()
        if reserved is not None:
            _check_reserved(reserved)
        with self._call("UpdateTable", name):
            table = self.table(instance, name)
            now = self.now_ms()
            if table.updated_ms is not None and now - table.updated_ms < UPDATE_EVERY / timedelta(milliseconds=1):
                raise OtsError(
                    403,
                    "OTSTooFrequentReservedThroughputAdjustment",
                    "Capacity unit adjustment is too frequent.",
                )
            table.options = options or table.options
            table.reserved = reserved or table.reserved
            table.updated_ms = now
        return table

    def delete_table(self, instance: str, name: str) -> None:
        with self._call("DeleteTable", name):
            self.table(instance, name)
            del self.tables(instance)[name]

    def list_tables(self, instance: str) -> list[str]:
        with self._call("ListTable"):
            return sorted(self.tables(instance))

    def describe_table(self, instance: str, name: str) -> Table:
        with self._call("DescribeTable", name):
            return self.table(instance, name)

    # -- single rows

    def write(self, instance: str, name: str, write: Write) -> Row | None:
        """PutRow, UpdateRow or DeleteRow; the row as it stands afterwards."""
        with self._call(f"{write.kind.capitalize()}Row", name):
            table = self.ready(instance, name)
            conditions.check(write.condition)
            return table.write(write, now=self.now_ms())

    def get_row(
        self,
        instance: str,
        name: str,
        key: KeyPairs,
        *,
        selection: Selection = LATEST,
        filter: Filter | None = None,
    ) -> Found | None:
        with self._call("GetRow", name):
            table = self.ready(instance, name)
            _check_read(selection, filter)
            return table.get(table.key(key), now=self.now_ms(), selection=selection, filter=filter)

    def get_range(
        self,
        instance: str,
        name: str,
        start: KeyPairs,
        end: KeyPairs,
        *,
        backward: bool = False,
        limit: int | None = None,
        selection: Selection = LATEST,
        filter: Filter | None = None,
    ) -> Page:
        with self._call("GetRange", name):
            table = self.ready(instance, name)
            _check_read(selection, filter)
            return table.range(
                table.bound(start),
                table.bound(end),
                now=self.now_ms(),
                backward=backward,
                limit=limit,
                selection=selection,
                filter=filter,
            )

    # -- batches

    def batch_get(self, instance: str, reads: Sequence[Read]) -> list[list[Found | OtsError | None]]:
        """Per table and row: what was found, None, or that row's own error."""
        with self._call("BatchGetRow"):
            _check_batch("BatchGetRow", [(r.table, len(r.keys)) for r in reads], most=MAX_BATCH_GET)
            now = self.now_ms()
            answer: list[list[Found | OtsError | None]] = []
            for read in reads:
                table = self.ready(instance, read.table)
                _check_read(read.selection, read.filter)
                found: list[Found | OtsError | None] = []
                for key in read.keys:
                    try:
                        found.append(table.get(table.key(key), now=now, selection=read.selection, filter=read.filter))
                    except OtsError as error:
                        found.append(error)
                answer.append(found)
            return answer

    def batch_write(
        self, instance: str, batch: Sequence[tuple[str, Sequence[Write]]]
    ) -> list[list[Row | OtsError | None]]:
        """Each row by itself, in the order given: one row's failure stops no other."""
        with self._call("BatchWriteRow"):
            _check_batch("BatchWriteRow", [(name, len(writes)) for name, writes in batch], most=MAX_BATCH_WRITE)
            total = 0
            for name, writes in batch:
                self.ready(instance, name)
                seen: dict[tuple[Bound, ...], bool] = {}
                for write in writes:
                    conditions.check(write.condition)
                    total += size(write.changes) + sum(size_of(v) for _, v in write.key if isinstance(v, str | bytes))
                    key = tuple(value for _, value in write.key)
                    if key in seen and (seen[key] or write.conditional):
                        raise parameter_invalid(
                            "Repeated rows do not support row exist expectation check in BatchModify."
                        )
                    seen[key] = seen.get(key, False) or write.conditional
            if total > MAX_WRITE_BYTES:
                raise parameter_invalid(f"The total data size of BatchWriteRow exceeds the limit: {MAX_WRITE_BYTES}.")
            now = self.now_ms()
            return [[self._attempt(self.table(instance, name), w, now) for w in writes] for name, writes in batch]

    @staticmethod
    def _attempt(table: Table, write: Write, now: int) -> Row | OtsError | None:
        try:
            return table.write(write, now=now)
        except OtsError as error:
            return error


def _check_schema(name: str, schema: Sequence[tuple[str, str]]) -> None:
    check_name("table", name)
    if not 1 <= len(schema) <= 4:
        raise parameter_invalid(f"The number of primary key columns must be in range: [1, 4], but is {len(schema)}.")
    seen: set[str] = set()
    for column, kind in schema:
        check_name("primary key", column)
        if kind not in KEY_TYPES:
            raise parameter_invalid(f"Unsupported operation: primary key type {kind} of column '{column}'.")
        if column in seen:
            raise parameter_invalid(f"Duplicated primary key name: '{column}'.")
        seen.add(column)


def _check_reserved(reserved: tuple[int, int]) -> None:
    if not all(0 <= units <= MAX_RESERVED_UNITS for units in reserved):
        raise parameter_invalid(f"Reserved capacity units must be in range: [0, {MAX_RESERVED_UNITS}].")


def _check_read(selection: Selection, filter: Filter | None) -> None:
    if selection.max_versions is None and selection.between is None:
        raise parameter_invalid("No version condition is specified while querying row.")
    if selection.max_versions is not None and selection.max_versions < 1:
        raise parameter_invalid("The max_versions must be at least 1.")
    if selection.columns is not None and len(selection.columns) > MAX_COLUMNS_TO_GET:
        raise parameter_invalid(f"The number of columns_to_get exceeds the limit: {MAX_COLUMNS_TO_GET}.")
    conditions.check(filter)


def _check_batch(operation: str, parts: Sequence[tuple[str, int]], *, most: int) -> None:
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
