"""The state store straight onto the emulator's Tablestore model: no HTTP, no threads, the same promises.

Nothing is tried again here: a simulation wants to see each refusal.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from emulator.cloud import Cloud
from emulator.faults.blow import Silence
from emulator.faults.tablestore import disturbed
from emulator.tablestore.conditions import Comparison, Composite, Filter
from emulator.tablestore.errors import Dropped, OtsError
from emulator.tablestore.model import KeyPairs
from emulator.tablestore.rows import Change
from emulator.tablestore.schema import Options
from emulator.tablestore.table import Existence, Found, Kind
from emulator.tablestore.table import Write as ModelWrite
from emulator.tablestore.values import INF_MAX, INF_MIN, Bound
from shared.adapters.ots_codes import service_error
from shared.adapters.store_rows import (
    MAX_BATCH_ROWS,
    check_conditions,
    checked,
    chunks,
    key_names,
    scan_end,
    scan_start,
    shown,
)
from shared.domain.errors import OutcomeUnknown, Retryable
from shared.ports.store import Absent, Anything, Condition, Key, Row, Write
from shared.state.schema import KEPT_FOR, TABLES
from understudy.simulation.call import asked

Schema = Mapping[str, tuple[str, ...]]


def create_tables(cloud: Cloud, instance: str, schema: Schema = TABLES) -> None:
    """The tables of the state store, as `OtsTables.create_tables` makes them. Existing ones are left as they are."""
    for name, key in schema.items():
        if name not in cloud.tablestore.tables(instance):
            options = Options(ttl_seconds=int(KEPT_FOR[name].total_seconds())) if name in KEPT_FOR else None
            cloud.tablestore.create_table(instance, name, [(column, "STRING") for column in key], options=options)


class InProcessStore:
    """Implements `shared.ports.store.Store`. Belongs to the thread that owns `cloud`."""

    def __init__(self, cloud: Cloud, instance: str, *, schema: Schema = TABLES) -> None:
        self._cloud = cloud
        self._instance = instance
        self._schema = schema

    def get(self, table: str, key: Key) -> Row | None:
        pairs = self._key(table, key)
        with self._call("GetRow", table, writes=False):
            found = self._cloud.tablestore.get_row(self._instance, table, pairs)
        return None if found is None else _row(found)

    def put(self, table: str, row: Row, *, condition: Condition) -> None:
        self._write("PutRow", table, self._put(table, row, condition))

    def update(self, table: str, row: Row, *, condition: Condition) -> None:
        self._write("UpdateRow", table, self._put(table, row, condition, kind=Kind.UPDATE))

    def delete(self, table: str, key: Key, *, condition: Condition) -> None:
        existence, expected = _expected(table, condition)
        write = ModelWrite(kind=Kind.DELETE, key=self._key(table, key), existence=existence, condition=expected)
        self._write("DeleteRow", table, write)

    def put_many(self, writes: Sequence[Write]) -> None:
        rows = {id(w): self._put(w.table, w.row, Anything()) for w in writes}  # all of them checked before any is put
        for chunk in chunks(writes):
            by_table: dict[str, list[ModelWrite]] = {}
            for write in chunk:
                by_table.setdefault(write.table, []).append(rows[id(write)])
            with self._call("BatchWriteRow", ",".join(by_table), writes=True):
                outcomes = self._cloud.tablestore.batch_write(self._instance, list(by_table.items()))
                for outcome in outcomes:
                    for one in outcome:
                        if isinstance(one, OtsError):
                            raise one

    def delete_many(self, table: str, keys: Sequence[Key]) -> None:
        gone = [ModelWrite(kind=Kind.DELETE, key=self._key(table, key)) for key in dict.fromkeys(keys)]
        for start in range(0, len(gone), MAX_BATCH_ROWS):
            with self._call("BatchWriteRow", table, writes=True):
                outcomes = self._cloud.tablestore.batch_write(
                    self._instance, [(table, gone[start : start + MAX_BATCH_ROWS])]
                )
                for one in outcomes[0]:
                    if isinstance(one, OtsError):
                        raise one

    def scan(
        self,
        table: str,
        prefix: Key,
        *,
        after: Key | None = None,
        until: Key | None = None,
        backward: bool = False,
        limit: int | None = None,
    ) -> Iterator[Row]:
        names = key_names(self._schema, table, prefix, prefix=True)
        for bound in (after, until):
            if bound is not None:
                key_names(self._schema, table, bound)
        return self._scan(table, names, prefix, after, until, backward, limit)

    def _scan(
        self,
        table: str,
        names: tuple[str, ...],
        prefix: Key,
        after: Key | None,
        until: Key | None,
        backward: bool,
        limit: int | None,
    ) -> Iterator[Row]:
        begin = scan_start(prefix, after=after, backward=backward)
        finish = scan_end(prefix, after=after, until=until, backward=backward)
        if begin is None or finish is None or (limit is not None and limit <= 0):
            return
        left = limit
        for row in self._rows(table, names, begin, prefix, finish, backward):
            if row.key == after:
                continue
            yield row
            if left is not None:
                left -= 1
                if left == 0:
                    return

    def _rows(
        self, table: str, names: tuple[str, ...], begin: Key, prefix: Key, finish: Key, backward: bool
    ) -> Iterator[Row]:
        if len(prefix) == len(names):
            row = self.get(table, prefix)
            if row is not None:
                yield row
            return
        first, last = (INF_MAX, INF_MIN) if backward else (INF_MIN, INF_MAX)
        start, end = _filled(names, begin, first), _filled(names, finish, last)
        while True:
            with self._call("GetRange", table, writes=False):
                page = self._cloud.tablestore.get_range(self._instance, table, start, end, backward=backward)
            yield from map(_row, page.rows)
            if page.next_key is None:
                return
            start = list(zip(names, page.next_key, strict=True))

    def _key(self, table: str, key: Key) -> KeyPairs:
        return list(zip(key_names(self._schema, table, key), key, strict=True))

    def _put(self, table: str, row: Row, condition: Condition, *, kind: Kind = Kind.PUT) -> ModelWrite:
        existence, expected = _expected(table, condition)
        changes = tuple(Change(name, value=value) for name, value in checked(table, row.columns).items())
        return ModelWrite(
            kind=kind, key=self._key(table, row.key), changes=changes, existence=existence, condition=expected
        )

    def _write(self, operation: str, table: str, write: ModelWrite) -> None:
        with self._call(operation, table, writes=True):
            self._cloud.tablestore.write(self._instance, table, write)

    @contextmanager
    def _call(self, operation: str, table: str, *, writes: bool) -> Iterator[None]:
        what = f"Tablestore {operation} {table} ({self._instance}, in process)"
        try:
            if not self._cloud.faults.on_calls:
                yield
                return
            call = replace(asked(self._cloud, "ots", operation), tables=tuple(table.split(",")))
            with self._cloud.faults.gate(call) as blow:
                if blow is None:
                    yield
                else:
                    with disturbed(self._cloud.tablestore, self._instance, blow):
                        yield
        except OtsError as error:
            raise service_error(what, error.status, error.code, error.message, writes=writes) from error
        except (Dropped, Silence) as error:
            if writes:
                raise OutcomeUnknown(f"{what}: no answer; the write may have been applied, read back first") from error
            raise Retryable(f"{what}: no answer") from error


def _row(found: Found) -> Row:
    key = found.row.key
    return Row(
        key=tuple(part for part in key if isinstance(part, str)),
        columns=shown((name, versions[0].value) for name, versions in found.columns),
    )


def _filled(names: tuple[str, ...], prefix: Key, bound: Bound) -> KeyPairs:
    return [(name, prefix[i] if i < len(prefix) else bound) for i, name in enumerate(names)]


def _expected(table: str, condition: Condition) -> tuple[Existence, Filter | None]:
    if isinstance(condition, Anything):
        return Existence.IGNORE, None
    if isinstance(condition, Absent):
        return Existence.EXPECT_NOT_EXIST, None
    check_conditions(table, condition.columns)
    parts = tuple(Comparison(column=name, comparator="==", value=value) for name, value in condition.columns.items())
    if len(parts) < 2:
        return Existence.EXPECT_EXIST, parts[0] if parts else None
    return Existence.EXPECT_EXIST, Composite(combinator="AND", parts=parts)
