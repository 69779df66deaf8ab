"""Operations on one row or a range, on the wire."""

from collections.abc import Iterable
from typing import Any, Final

from emulator.tablestore.api.filters import read_filter
from emulator.tablestore.api.messages import opened, pb2, refuse, sent
from emulator.tablestore.capacity import Units, units
from emulator.tablestore.errors import parameter_invalid
from emulator.tablestore.model import Tablestore, Written
from emulator.tablestore.plainbuffer import read_row, write_key, write_rows
from emulator.tablestore.rows import Row, Selection
from emulator.tablestore.table import Existence, Found, Kind, Table, Write

_EXISTENCE: Final = {
    pb2.IGNORE: Existence.IGNORE,
    pb2.EXPECT_EXIST: Existence.EXPECT_EXIST,
    pb2.EXPECT_NOT_EXIST: Existence.EXPECT_NOT_EXIST,
}


# -- writes


def put_row(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = opened(pb2.PutRowRequest, body)
    return _write_row(store, instance, request, Kind.PUT, request.row, pb2.PutRowResponse())


def update_row(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = opened(pb2.UpdateRowRequest, body)
    return _write_row(store, instance, request, Kind.UPDATE, request.row_change, pb2.UpdateRowResponse())


def delete_row(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = opened(pb2.DeleteRowRequest, body)
    return _write_row(store, instance, request, Kind.DELETE, request.primary_key, pb2.DeleteRowResponse())


def _write_row(store: Tablestore, instance: str, request: Any, kind: Kind, change: bytes, answer: Any) -> bytes:
    write = read_write(kind, change, request.condition)
    written = store.write(instance, request.table_name, write, transaction=transaction_of(request))
    fill_written(answer, store.table(instance, request.table_name), written, request.return_content)
    return sent(answer)


def read_write(kind: Kind, change: bytes, condition: Any) -> Write:
    row = read_row(change)
    if row.delete != (kind is Kind.DELETE):
        raise parameter_invalid("The delete marker does not fit the operation.")
    if row.changes and kind is Kind.DELETE:
        raise parameter_invalid("DeleteRow carries attribute columns.")
    return Write(
        kind=kind,
        key=row.key,
        changes=row.changes,
        existence=_EXISTENCE[condition.row_existence],
        condition=read_filter(condition.column_condition),
    )


def fill_written(answer: Any, table: Table, written: Written, wanted: Any) -> None:
    """Capacity, and of the row what `return_content` asks for: its key, or columns as they are now."""
    fill_units(answer, written.units)
    if wanted.return_type == pb2.RT_PK:
        answer.row = write_key(table.schema, written.key)
    elif wanted.return_type == pb2.RT_AFTER_MODIFY and wanted.return_column_names and written.columns is not None:
        names = sorted(set(wanted.return_column_names) & written.columns.keys())
        shown = [(name, written.columns[name][:1]) for name in names]
        answer.row = write_rows(table.schema, [(Row(written.key, written.columns), shown)])


def fill_units(answer: Any, used: Units) -> None:
    answer.consumed.capacity_unit.read = used.read
    answer.consumed.capacity_unit.write = used.write


def transaction_of(request: Any) -> str | None:
    return request.transaction_id if request.HasField("transaction_id") else None


# -- reads


def get_row(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = opened(pb2.GetRowRequest, body)
    refuse(bool(request.token), "wide row token")
    found = store.get_row(
        instance,
        request.table_name,
        read_key(request.primary_key),
        selection=read_selection(request),
        filter=read_filter(request.filter),
        transaction=transaction_of(request),
    )
    answer = pb2.GetRowResponse(row=shown(store.table(instance, request.table_name), (found,)))
    fill_units(answer, Units(read=units(found.size if found else 0)))
    return sent(answer)


def get_range(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = opened(pb2.GetRangeRequest, body)
    refuse(bool(request.token), "wide row token")
    page = store.get_range(
        instance,
        request.table_name,
        read_key(request.inclusive_start_primary_key),
        read_key(request.exclusive_end_primary_key),
        backward=request.direction == pb2.BACKWARD,
        limit=request.limit if request.HasField("limit") else None,
        selection=read_selection(request),
        filter=read_filter(request.filter),
        transaction=transaction_of(request),
    )
    table = store.table(instance, request.table_name)
    answer = pb2.GetRangeResponse(rows=shown(table, page.rows))
    if page.next_key is not None:
        answer.next_start_primary_key = write_key(table.schema, page.next_key)
    fill_units(answer, Units(read=units(page.scanned_bytes)))
    return sent(answer)


def read_key(data: bytes) -> Any:
    row = read_row(data)
    if row.changes or row.delete:
        raise parameter_invalid("A primary key carries more than its columns.")
    return row.key


def shown(table: Table, found: Iterable[Found | None]) -> bytes:
    return write_rows(table.schema, ((f.row, f.columns) for f in found if f is not None))


def read_selection(request: Any) -> Selection:
    between = None
    if request.HasField("time_range"):
        span = request.time_range
        if span.HasField("specific_time"):
            between = (span.specific_time, span.specific_time + 1)
        else:
            between = (span.start_time, span.end_time)
        if between[0] < 0 or between[0] >= between[1]:
            raise parameter_invalid("The time range is empty or before 1970.")
    return Selection(
        columns=frozenset(request.columns_to_get) or None,
        max_versions=request.max_versions if request.HasField("max_versions") else None,
        between=between,
        start_column=request.start_column if request.HasField("start_column") else None,
        end_column=request.end_column if request.HasField("end_column") else None,
    )
