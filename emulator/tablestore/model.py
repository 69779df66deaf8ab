"""Tablestore: rows written and read, one by one, in batches, in ranges and in local transactions.

Both doors end here. Times are milliseconds of the emulated clock. A fault is any callable of `faults`; it is asked
before and after the effect of every call and may raise an `OtsError` or `Dropped`: after the effect that is a write
which was applied and yet failed. What is not refused but goes otherwise is in `disturbances`.

Not modelled: RAM policies (the HTTP door asks for them), global tables, streams, search indexes, SQL, time series.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from emulator.tablestore import batches, conditions
from emulator.tablestore.batches import Read
from emulator.tablestore.capacity import Throughput, Units, units
from emulator.tablestore.catalogue import Catalogue, Fault, Moment
from emulator.tablestore.changes import RowChange, Together
from emulator.tablestore.conditions import Filter
from emulator.tablestore.disturbances import Disturbance
from emulator.tablestore.errors import OtsError, condition_check_fail, parameter_invalid
from emulator.tablestore.reads import key_size
from emulator.tablestore.rows import LATEST, Columns, Selection
from emulator.tablestore.schema import Options
from emulator.tablestore.table import MAX_PAGE_ROWS, Effect, Found, Overlay, Page, Table, Write, cells
from emulator.tablestore.transactions import Transaction, data_out_of_range, transactions_disabled
from emulator.tablestore.values import INF_MAX, INF_MIN, MAX_COLUMNS_TO_GET, Bound, Key, KeyPairs

if TYPE_CHECKING:
    from emulator.cloud import Cloud

__all__ = ["Fault", "KeyPairs", "Moment", "Options", "Read", "Tablestore", "Written"]

Batch = Sequence[tuple[str, Sequence[Write]]]
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write came to: the row's key (with the value that an auto-increment column got) and its columns."""

    key: Key
    columns: Columns | None  # None: no such row afterwards
    units: Units


class Tablestore(Catalogue):
    def __init__(self, cloud: "Cloud") -> None:
        super().__init__(cloud)
        self.throughput = Throughput()

    # -- single rows

    def write(self, instance: str, name: str, write: Write, *, transaction: str | None = None) -> Written:
        """PutRow, UpdateRow or DeleteRow."""
        with self._call(f"{write.kind.capitalize()}Row", name) as how:
            table = self.ready(instance, name)
            conditions.check(write.condition)
            session = self._session(transaction, instance)
            effect, used = self._decide(instance, table, write, session)
            self._keep(instance, [(table, effect)], session)
            self._leave_locks([(table, effect.key)], how)
            return Written(key=effect.key, columns=effect.columns, units=used)

    def _session(self, id: str | None, instance: str) -> Transaction | None:
        return None if id is None else self.transactions.use(id, instance, self.now_ms())

    def _decide(
        self,
        instance: str,
        table: Table,
        write: Write,
        session: Transaction | None,
        overlay: Overlay | None = None,
    ) -> tuple[Effect, Units]:
        """What the write comes to, with its units charged, and in a transaction kept for the commit."""
        now = self.now_ms()
        key = table.new_key(write, now)
        table.check(write, now)
        if session is not None:
            session.check_scope(table, key[0])
            overlay = session.pending
        self._admit(table, key[0], now)
        table.locks.check(key[0], session.id if session else "", now=now)
        size = key_size(key, table.description)
        used = Units(read=units(size) if write.conditional else 0, write=units(size + write.bytes))
        try:
            effect = table.decide(write, key, now=now, overlay=overlay)
        except OtsError as error:
            if error.code == condition_check_fail().code:
                table.meter.charge(key[0], Units(read=1, write=1), self.throughput, now=now)
            raise
        if write.asks_for_key and (reserved := table.reserve(key)) is not None:
            self._tell_table(instance, table.name, reserved)
            table.description = reserved
        if session is not None and effect.changes:
            session.add(key, effect.columns, size + write.bytes)
        table.meter.charge(key[0], used, self.throughput, now=now)
        return effect, used

    def _admit(self, table: Table, partition: Bound, now: int) -> None:
        if partition is INF_MIN or partition is INF_MAX:
            return
        table.partitions.check(partition, now)  # type: ignore[arg-type]
        table.meter.admit(partition, self.throughput, now=now)  # type: ignore[arg-type]

    def _keep(self, instance: str, effects: Sequence[tuple[Table, Effect]], session: Transaction | None) -> None:
        """Tell, then apply: all of it or, when telling fails, nothing."""
        if session is not None:
            return  # at the commit
        self._store(instance, [(table, e.key, e.columns) for table, e in effects if e.changes])

    def _store(self, instance: str, rows: Sequence[tuple[Table, Key, Columns | None]]) -> None:
        if not rows:
            return
        if self.on_change is not None:
            told = tuple(
                RowChange(instance=instance, table=table.name, key=key, cells=cells(columns))
                for table, key, columns in rows
            )
            self._tell(told[0] if len(told) == 1 else Together(changes=told))
        now = self.now_ms()
        for table, key, columns in rows:
            table.apply(key, columns, now=now)

    def _leave_locks(self, written: Sequence[tuple[Table, Key]], how: Disturbance) -> None:
        if not how.lock_for:
            return
        now = self.now_ms()
        for table, partition in {(id(table), key[0]): (table, key[0]) for table, key in written}.values():
            table.locks.leave(partition, until=now + how.lock_for // _MS)

    def get_row(
        self,
        instance: str,
        name: str,
        key: KeyPairs,
        *,
        selection: Selection = LATEST,
        filter: Filter | None = None,
        transaction: str | None = None,
    ) -> Found | None:
        with self._call("GetRow", name) as how:
            table = self.ready(instance, name)
            _check_read(selection, filter)
            session = self._session(transaction, instance)
            full = table.key(key)
            if session is not None:
                session.check_scope(table, full[0])
            overlay = self._seen(table, session, how)
            return self._get(table, full, selection, filter, overlay)

    def _get(
        self, table: Table, key: Key, selection: Selection, filter: Filter | None, overlay: Overlay | None
    ) -> Found | None:
        now = self.now_ms()
        self._admit(table, key[0], now)
        found = table.get(key, now=now, selection=selection, filter=filter, overlay=overlay)
        table.meter.charge(key[0], Units(read=units(found.size if found else 0)), self.throughput, now=now)
        return found

    def _seen(self, table: Table, session: Transaction | None, how: Disturbance) -> Overlay | None:
        """What a read is to see instead of the rows as they stand."""
        if session is not None:
            return session.pending
        return table.as_of(self.now_ms() - how.stale // _MS) if how.stale else None

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
        transaction: str | None = None,
    ) -> Page:
        with self._call("GetRange", name) as how:
            table = self.ready(instance, name)
            _check_read(selection, filter)
            session = self._session(transaction, instance)
            first, last = table.bound(start), table.bound(end)
            if session is not None:
                session.check_scope(table, first[0])
                session.check_scope(table, last[0])
            now = self.now_ms()
            self._admit(table, first[0], now)
            page = table.range(
                first,
                last,
                now=now,
                backward=backward,
                limit=limit,
                selection=selection,
                filter=filter,
                overlay=self._seen(table, session, how),
                most=max(1, how.page_rows or MAX_PAGE_ROWS),
            )
            if how.empty_page_first and any(value is INF_MIN or value is INF_MAX for value in first):
                begin = table.first_between(first, last, now=now, backward=backward)
                page = Page(rows=[], next_key=begin, scanned_bytes=0)
            used = Units(read=units(page.scanned_bytes))
            table.meter.charge(first[0], used, self.throughput, now=now)  # type: ignore[arg-type]
            return page

    # -- batches

    def batch_get(self, instance: str, reads: Sequence[Read]) -> list[list[Found | OtsError | None]]:
        """Per table and row: what was found, None, or that row's own error."""
        with self._call("BatchGetRow") as how:
            batches.check_reads(reads)
            failing = iter(how.failing_rows)
            answer: list[list[Found | OtsError | None]] = []
            for read in reads:
                table = self.ready(instance, read.table)
                _check_read(read.selection, read.filter)
                overlay = self._seen(table, None, how)
                found: list[Found | OtsError | None] = []
                for key in read.keys:
                    if (failed := next(failing, None)) is not None:
                        found.append(failed)
                        continue
                    try:
                        found.append(self._get(table, table.key(key), read.selection, read.filter, overlay))
                    except OtsError as error:
                        found.append(error)
                answer.append(found)
            return answer

    def batch_write(
        self, instance: str, batch: Batch, *, transaction: str | None = None, atomic: bool = False
    ) -> list[list[Written | OtsError]]:
        """Each row by itself, in the order given: one row's failure stops no other, unless `atomic`."""
        with self._call("BatchWriteRow") as how:
            batches.check_writes(batch)
            session = self._session(transaction, instance)
            parts = [(self.ready(instance, name), list(writes)) for name, writes in batch]
            if atomic and session is None:
                outcomes = self._write_atomically(instance, parts)
            else:
                outcomes = self._write_each(instance, parts, session, how)
            written = [
                (table, outcome.key)
                for (table, _), part in zip(parts, outcomes, strict=True)
                for outcome in part
                if isinstance(outcome, Written)
            ]
            self._leave_locks(written, how)
            return outcomes

    def _write_each(
        self,
        instance: str,
        parts: Sequence[tuple[Table, list[Write]]],
        session: Transaction | None,
        how: Disturbance,
    ) -> list[list[Written | OtsError]]:
        failing = iter(how.failing_rows)

        def attempt(table: Table, write: Write) -> Written | OtsError:
            for error in failing:
                return error
            try:
                effect, used = self._decide(instance, table, write, session)
            except OtsError as error:
                return error
            self._keep(instance, [(table, effect)], session)
            return Written(key=effect.key, columns=effect.columns, units=used)

        return [[attempt(table, write) for write in writes] for table, writes in parts]

    def _write_atomically(
        self, instance: str, parts: Sequence[tuple[Table, list[Write]]]
    ) -> list[list[Written | OtsError]]:
        """All rows or none: every row carries the error of the first that failed (assumption)."""
        outcomes: list[list[Written | OtsError]] = []
        effects: list[tuple[Table, Effect]] = []
        try:
            for table, writes in parts:
                if not table.description.local_txn:
                    raise transactions_disabled()  # assumption: an atomic batch is a transaction of one call
                _check_one_partition(writes)
                overlay: dict[Key, Columns | None] = {}
                part: list[Written | OtsError] = []
                for write in writes:
                    effect, used = self._decide(instance, table, write, None, overlay)
                    if effect.changes:
                        overlay[effect.key] = effect.columns
                    effects.append((table, effect))
                    part.append(Written(key=effect.key, columns=effect.columns, units=used))
                outcomes.append(part)
        except OtsError as error:
            return [[error for _ in writes] for _, writes in parts]
        self._keep(instance, effects, None)
        return outcomes

    # -- local transactions

    def start_transaction(self, instance: str, name: str, key: KeyPairs) -> str:
        with self._call("StartLocalTransaction", name):
            table = self.ready(instance, name)
            now = self.now_ms()
            transaction = self.transactions.start(instance, table, key, now)
            table.meter.charge(transaction.partition, Units(write=1), self.throughput, now=now)
            return transaction.id

    def commit_transaction(self, instance: str, id: str) -> None:
        with self._call("CommitTransaction"):
            transaction = self._end(instance, id)
            self._store(instance, [(transaction.table, key, new) for key, new in transaction.pending.items()])
            self.transactions.end(transaction)

    def abort_transaction(self, instance: str, id: str) -> None:
        with self._call("AbortTransaction"):
            self.transactions.end(self._end(instance, id))

    def _end(self, instance: str, id: str) -> Transaction:
        now = self.now_ms()
        transaction = self.transactions.use(id, instance, now)
        transaction.table.partitions.check(transaction.partition, now)
        transaction.table.meter.charge(transaction.partition, Units(write=1), self.throughput, now=now)
        return transaction


def _check_one_partition(writes: Sequence[Write]) -> None:
    partitions = [write.key[0][1] for write in writes if write.key]
    for partition in partitions[1:]:
        if partition != partitions[0]:
            raise data_out_of_range(partitions[0], partition)


def _check_read(selection: Selection, filter: Filter | None) -> None:
    if selection.max_versions is None and selection.between is None:
        raise parameter_invalid("No version condition is specified while querying row.")
    if selection.max_versions is not None and selection.max_versions < 1:
        raise parameter_invalid("The max_versions must be at least 1.")
    if selection.columns is not None and len(selection.columns) > MAX_COLUMNS_TO_GET:
        raise parameter_invalid(f"The number of columns_to_get exceeds the limit: {MAX_COLUMNS_TO_GET}.")
    conditions.check(filter)
