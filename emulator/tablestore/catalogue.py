"""The instances and their tables: making, describing, changing and dropping them, and what surrounds every call.

Limits and refusals: developer guide, table operations and limits (2025).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from emulator.tablestore.changes import Change, RowChange, TableChange, Together
from emulator.tablestore.disturbances import CALM, Disturbance, Disturber, merged
from emulator.tablestore.errors import (
    OtsError,
    parameter_invalid,
    table_exists,
    table_missing,
    table_not_ready,
)
from emulator.tablestore.indexes import Index
from emulator.tablestore.indexes import check as check_indexes
from emulator.tablestore.schema import Description, IndexMeta, Options, check_reserved
from emulator.tablestore.table import Table, cells, columns_of
from emulator.tablestore.transactions import Transactions
from emulator.tablestore.values import KEY_TYPES, KeyValue, check_name

if TYPE_CHECKING:
    from emulator.cloud import Cloud

MAX_TABLES: Final = 64
TABLE_OPERATIONS_PER_SECOND: Final = 10
BODY_PATIENCE: Final = timedelta(seconds=30)  # assumption: the service's own patience is not documented
UPDATE_EVERY: Final = timedelta(minutes=2)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)

Moment = Literal["before", "after"]
Fault = Callable[[str, str, Moment], None]
"""Called with the operation (`PutRow`), the table's name ("" when there is none or several) and the moment."""


class Catalogue:
    """The part of Tablestore that knows tables. All of it belongs to the thread that owns the cloud."""

    def __init__(self, cloud: "Cloud") -> None:
        self._clock = cloud.clock
        self._instances: dict[str, dict[str, Table]] = {}
        self._table_calls: dict[str, deque[int]] = {}
        self.transactions = Transactions(cloud.chance.request_id)
        self.faults: list[Fault] = []
        self.disturbances: list[Disturber] = []
        self.on_change: Callable[[Change], None] | None = None
        """Told each change before it is applied, so before its call is answered; see `changes`."""
        self.warm_up = timedelta(0)
        """How long a new table answers OTSTableNotReady (the service: several seconds to a minute)."""
        self.index_lag = timedelta(milliseconds=50)
        """How far a global index follows behind its table (documented: normally milliseconds)."""
        self.backfill = timedelta(seconds=10)
        """How long an index that takes in a table's old rows cannot be read."""
        self.body_patience = BODY_PATIENCE
        """Real time for which the HTTP door waits for a request's body."""
        self.table_rate: int | None = TABLE_OPERATIONS_PER_SECOND
        """Table operations an instance takes per second of flowing time; while time stands, none are counted."""

    def now_ms(self) -> int:
        return (self._clock.now() - _EPOCH) // _MS

    @contextmanager
    def _call(self, operation: str, table: str = "") -> Iterator[Disturbance]:
        for fault in tuple(self.faults):
            fault(operation, table, "before")
        how = CALM
        for disturber in tuple(self.disturbances):
            how = merged(how, disturber(operation, table) or CALM)
        yield how
        for fault in tuple(self.faults):
            fault(operation, table, "after")

    def _pace(self, instance: str) -> None:
        if self.table_rate is None or self._clock.rate == 0:
            return
        now = self.now_ms()
        calls = self._table_calls.setdefault(instance, deque())
        while calls and calls[0] <= now - 1000:
            calls.popleft()
        if len(calls) >= self.table_rate:
            raise OtsError(403, "OTSQuotaExhausted", "Too frequent table operations.")
        calls.append(now)

    def _tell(self, change: Change) -> None:
        if self.on_change is not None:
            self.on_change(change)

    def _tell_table(self, instance: str, name: str, description: Description | None) -> None:
        self._tell(TableChange(instance=instance, table=name, description=description))

    # -- finding

    def tables(self, instance: str) -> dict[str, Table]:
        """The tables of an instance; which names exist is the door's business (`cloud.ots_instances`)."""
        return self._instances.setdefault(instance, {})

    def table(self, instance: str, name: str) -> Table:
        table = self.tables(instance).get(name)
        if table is None:
            check_name("table", name)
            raise table_missing()
        return table

    def ready(self, instance: str, name: str) -> Table:
        table = self.table(instance, name)
        if self.now_ms() < table.ready_at:
            raise table_not_ready()
        return table

    # -- table operations

    def create_table(
        self,
        instance: str,
        name: str,
        schema: Sequence[tuple[str, str]],
        *,
        options: Options | None = None,
        reserved: tuple[int, int] = (0, 0),
        defined_columns: tuple[tuple[str, int], ...] = (),
        auto_column: str | None = None,
        local_txn: bool = False,
        indexes: tuple[IndexMeta, ...] = (),
        partitions: tuple[KeyValue, ...] = (),
    ) -> Table:
        description = Description(
            schema=tuple(schema),
            options=options or Options(),
            auto_column=auto_column,
            reserved=reserved,
            defined_columns=defined_columns,
            local_txn=local_txn,
            indexes=indexes,
            partitions=partitions,
            created_ms=self.now_ms(),
        )
        description.check(name)
        check_indexes(description, name)
        with self._call("CreateTable", name):
            self._pace(instance)
            tables = self.tables(instance)
            if name in tables or any(meta.name in tables for meta in indexes):
                raise table_exists()
            if len(tables) + len(indexes) >= MAX_TABLES:
                raise OtsError(403, "OTSQuotaExhausted", "Number of tables exceeded the quota.")
            self._tell_table(instance, name, description)
            table = self._put_table(instance, name, description)
            table.ready_at = self.now_ms() + self.warm_up // _MS
        return table

    def _put_table(self, instance: str, name: str, description: Description) -> Table:
        table = self.tables(instance)[name] = Table(name, description)
        for meta in description.indexes:
            self._put_index(instance, table, meta)
        return table

    def _put_index(self, instance: str, main: Table, meta: IndexMeta) -> Index:
        index = Index(meta, main, self._clock, self.now_ms, self.index_lag)
        main.applied[meta.name] = index.follow
        self.tables(instance)[meta.name] = index.table
        return index

    def update_table(
        self, instance: str, name: str, *, options: Options | None, reserved: tuple[int, int] | None
    ) -> Table:
        if options is not None:
            options.check()
        if reserved is not None:
            check_reserved(reserved)
        with self._call("UpdateTable", name):
            self._pace(instance)
            table = self._main(instance, name)
            old, now = table.described(), self.now_ms()
            if old.updated_ms is not None and now - old.updated_ms < UPDATE_EVERY // _MS:
                raise OtsError(
                    403,
                    "OTSTooFrequentReservedThroughputAdjustment",
                    "Capacity unit adjustment is too frequent.",
                )
            new = replace(old, options=options or old.options, reserved=reserved or old.reserved, updated_ms=now)
            check_indexes(new, name)
            self._tell_table(instance, name, new)
            table.description = new
            for meta in new.indexes:
                index = self.tables(instance)[meta.name]
                index.description = replace(index.described(), options=new.options)
        return table

    def delete_table(self, instance: str, name: str) -> None:
        """Its secondary indexes go with it (assumption: not documented; a search index would have kept it)."""
        with self._call("DeleteTable", name):
            self._pace(instance)
            table = self._main(instance, name)
            self._tell_table(instance, name, None)
            self._drop(instance, table)

    def _main(self, instance: str, name: str) -> Table:
        table = self.table(instance, name)
        if table.description.index_of is not None:
            raise parameter_invalid(f"'{name}' is an index of table '{table.description.index_of}'.")
        return table

    def _drop(self, instance: str, table: Table) -> None:
        tables = self.tables(instance)
        for name in (table.name, *(meta.name for meta in table.description.indexes)):
            del tables[name]
        self.transactions.forget(table)

    def list_tables(self, instance: str) -> list[str]:
        """Index tables too (assumption: they count as tables)."""
        with self._call("ListTable"):
            self._pace(instance)
            return sorted(self.tables(instance))

    def describe_table(self, instance: str, name: str) -> Table:
        with self._call("DescribeTable", name):
            self._pace(instance)
            return self.table(instance, name)

    # -- secondary indexes

    def create_index(self, instance: str, name: str, meta: IndexMeta, *, with_old_rows: bool) -> None:
        with self._call("CreateIndex", name):
            self._pace(instance)
            table = self._main(instance, name)
            if meta.name in self.tables(instance):
                raise table_exists()
            new = replace(table.described(), indexes=(*table.description.indexes, meta))
            check_indexes(new, name)
            if len(self.tables(instance)) >= MAX_TABLES:
                raise OtsError(403, "OTSQuotaExhausted", "Number of tables exceeded the quota.")
            self._tell_table(instance, name, new)
            table.description = new
            index = self._put_index(instance, table, meta)
            if with_old_rows:
                index.fill()
                index.table.ready_at = self.now_ms() + self.backfill // _MS

    def drop_index(self, instance: str, name: str, index: str) -> None:
        with self._call("DropIndex", name):
            self._pace(instance)
            table = self._main(instance, name)
            kept = tuple(meta for meta in table.description.indexes if meta.name != index)
            if len(kept) == len(table.description.indexes):
                raise table_missing()
            new = replace(table.described(), indexes=kept)
            self._tell_table(instance, name, new)
            table.description = new
            del self.tables(instance)[index], table.applied[index]

    # -- happenings

    def split(self, instance: str, name: str, key: KeyValue, *, for_: timedelta = timedelta(milliseconds=100)) -> None:
        """Split the partition of `key` there; all of its keys answer OTSPartitionUnavailable for so long.

        A new table is one partition, so its first split concerns every key; later ones only theirs.
        """
        table = self._of_kind(instance, name, key)
        table.partitions.split(key, until=self.now_ms() + for_ // _MS)
        table.description = table.described()
        if table.description.index_of is None:
            self._tell_table(instance, name, table.description)

    def lock(self, instance: str, name: str, key: KeyValue, *, for_: timedelta = timedelta(seconds=60)) -> None:
        """Lock a partition key as by a transaction whose start timed out: nobody can write it or free it till then."""
        now = self.now_ms()
        self._of_kind(instance, name, key).locks.take(key, "", now=now, until=now + for_ // _MS)

    def _of_kind(self, instance: str, name: str, key: KeyValue) -> Table:
        table = self.table(instance, name)
        kind = table.schema[0][1]
        if type(key) is not KEY_TYPES[kind]:
            raise ValueError(f"{instance}/{name}: the partition key is {kind}, {key!r} is not")
        return table

    # -- keeping

    def dump(self) -> Iterator[TableChange | RowChange]:
        """All that `restore` needs, each table before its rows."""
        for instance, tables in self._instances.items():
            for name, table in tables.items():
                if table.description.index_of is not None:
                    continue
                yield TableChange(instance=instance, table=name, description=table.described())
                for row in table.rows():
                    yield RowChange(instance=instance, table=name, key=row.key, cells=cells(row.columns))

    def restore(self, changes: Iterable[Change]) -> None:
        """Make these changes again, in their order, with nobody told and nothing checked."""
        for change in changes:
            match change:
                case TableChange():
                    self._restore_table(change)
                case RowChange():
                    self._restore_row(change)
                case Together():
                    for row in change.changes:
                        self._restore_row(row)
        for instance, tables in self._instances.items():
            for table in [t for t in tables.values() if t.description.indexes]:
                for meta in table.description.indexes:
                    self._put_index(instance, table, meta).fill()

    def _restore_table(self, change: TableChange) -> None:
        tables = self.tables(change.instance)
        table, new = tables.get(change.table), change.description
        if table is not None:
            for meta in table.description.indexes:
                tables.pop(meta.name, None)
        if new is None:
            tables.pop(change.table, None)
        elif table is None:
            tables[change.table] = Table(change.table, new)
        else:
            table.describe(new)

    def _restore_row(self, change: RowChange) -> None:
        table = self.tables(change.instance).get(change.table)
        if table is None:
            raise ValueError(f"a row of table {change.instance}/{change.table}, which no change has made")
        table.load(change.key, columns_of(change.cells))
        table.remember(change.key)
