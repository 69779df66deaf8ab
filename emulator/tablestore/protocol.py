"""Tablestore's operations on the wire: protobuf request -> model -> protobuf answer.

An operation that is missing answers `Unsupported operation` loudly, and so does every part of a request that the model
does not know; nothing is accepted and then ignored, except table split points and stream settings that are off.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

# The SDK warns at import on every CPython but 3.12 that its compiled coder is missing; the messages need none of it.
for _name in ("tablestore.encoder", "tablestore.decoder"):
    logging.getLogger(_name).setLevel(logging.ERROR)

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # noqa: E402
from tablestore.protobuf import search_pb2  # noqa: E402
from tablestore.protobuf import table_store_filter_pb2 as filter_pb2  # noqa: E402
from tablestore.protobuf import table_store_pb2 as pb2  # noqa: E402

from emulator.tablestore.conditions import Comparison, Composite, Filter  # noqa: E402
from emulator.tablestore.errors import OtsError, parameter_invalid  # noqa: E402
from emulator.tablestore.model import Read, Tablestore  # noqa: E402
from emulator.tablestore.plainbuffer import read_row, read_value, write_key, write_rows  # noqa: E402
from emulator.tablestore.rows import Op, Selection, size  # noqa: E402
from emulator.tablestore.table import Existence, Found, Kind, Options, Table, Write  # noqa: E402
from emulator.tablestore.values import size_of  # noqa: E402

log: Final = logging.getLogger(__name__)

Handler = Callable[[Tablestore, str, bytes], bytes]

_KEY_TYPES: Final = {pb2.INTEGER: "INTEGER", pb2.STRING: "STRING", pb2.BINARY: "BINARY", pb2.PK_BOOLEAN: "BOOLEAN"}
_KEY_TYPE_NUMBERS: Final = {name: number for number, name in _KEY_TYPES.items()}
_KINDS: Final = {pb2.PUT: Kind.PUT, pb2.UPDATE: Kind.UPDATE, pb2.DELETE: Kind.DELETE}
_EXISTENCE: Final = {
    pb2.IGNORE: Existence.IGNORE,
    pb2.EXPECT_EXIST: Existence.EXPECT_EXIST,
    pb2.EXPECT_NOT_EXIST: Existence.EXPECT_NOT_EXIST,
}
_COMPARATORS: Final = {
    filter_pb2.CT_EQUAL: "==",
    filter_pb2.CT_NOT_EQUAL: "!=",
    filter_pb2.CT_GREATER_THAN: ">",
    filter_pb2.CT_GREATER_EQUAL: ">=",
    filter_pb2.CT_LESS_THAN: "<",
    filter_pb2.CT_LESS_EQUAL: "<=",
    filter_pb2.CT_EXIST: "exists",
    filter_pb2.CT_NOT_EXIST: "missing",
}
_COMBINATORS: Final = {filter_pb2.LO_NOT: "NOT", filter_pb2.LO_AND: "AND", filter_pb2.LO_OR: "OR"}
_UNIT: Final = 4096  # bytes of one capacity unit


def dispatch(store: Tablestore, instance: str, operation: str, body: bytes) -> bytes:
    """The answer's body; raises OtsError."""
    handler = OPERATIONS.get(operation)
    if handler is None:
        log.warning("tablestore operation is not modelled", extra={"operation": operation})
        raise parameter_invalid(f"Unsupported operation: {operation}.")
    try:
        return handler(store, instance, body)
    except DecodeError as error:
        raise parameter_invalid("The request body is not a valid protobuf message.") from error


def error_body(error: OtsError) -> bytes:
    return bytes(pb2.Error(code=error.code, message=error.message).SerializeToString())


# -- tables


def _create_table(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = pb2.CreateTableRequest.FromString(body)
    _refuse(bool(request.index_metas), "secondary index")
    _refuse(request.stream_spec.enable_stream, "stream")
    _refuse(request.sse_spec.enable, "server side encryption")
    meta = request.table_meta
    for column in meta.primary_key:
        _refuse(column.HasField("option"), f"auto-increment primary key '{column.name}'")
    store.create_table(
        instance,
        meta.table_name,
        [(column.name, _KEY_TYPES[column.type]) for column in meta.primary_key],
        options=_options(request.table_options, Options()),
        reserved=_units(request.reserved_throughput),
        defined_columns=tuple((column.name, column.type) for column in meta.defined_column),
    )
    return _message(pb2.CreateTableResponse())


def _update_table(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = pb2.UpdateTableRequest.FromString(body)
    _refuse(request.stream_spec.enable_stream, "stream")
    options = None
    if request.HasField("table_options"):
        options = _options(request.table_options, store.table(instance, request.table_name).options)
    reserved = _units(request.reserved_throughput) if request.HasField("reserved_throughput") else None
    table = store.update_table(instance, request.table_name, options=options, reserved=reserved)
    answer = pb2.UpdateTableResponse()
    _describe(answer, table)
    return _message(answer)


def _describe_table(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = pb2.DescribeTableRequest.FromString(body)
    table = store.describe_table(instance, request.table_name)
    answer = pb2.DescribeTableResponse()
    answer.table_meta.table_name = table.name
    for name, kind in table.schema:
        answer.table_meta.primary_key.add(name=name, type=_KEY_TYPE_NUMBERS[kind])
    for name, number in table.defined_columns:
        answer.table_meta.defined_column.add(name=name, type=number)
    _describe(answer, table)
    return _message(answer) + b"\x20\x01"  # field 4: ACTIVE; required by other languages' SDKs, absent from this one's


def _delete_table(store: Tablestore, instance: str, body: bytes) -> bytes:
    store.delete_table(instance, pb2.DeleteTableRequest.FromString(body).table_name)
    return _message(pb2.DeleteTableResponse())


def _list_table(store: Tablestore, instance: str, body: bytes) -> bytes:
    pb2.ListTableRequest.FromString(body)
    return _message(pb2.ListTableResponse(table_names=store.list_tables(instance)))


def _list_search_index(store: Tablestore, instance: str, body: bytes) -> bytes:
    """There are none; tools ask before they delete a table."""
    request = search_pb2.ListSearchIndexRequest.FromString(body)
    if request.table_name:
        store.table(instance, request.table_name)
    return _message(search_pb2.ListSearchIndexResponse())


def _options(wire: Any, old: Options) -> Options:
    return Options(
        ttl_seconds=wire.time_to_live if wire.HasField("time_to_live") else old.ttl_seconds,
        max_versions=wire.max_versions if wire.HasField("max_versions") else old.max_versions,
        max_deviation_seconds=(
            wire.deviation_cell_version_in_sec
            if wire.HasField("deviation_cell_version_in_sec")
            else old.max_deviation_seconds
        ),
        allow_update=wire.allow_update if wire.HasField("allow_update") else old.allow_update,
    )


def _units(wire: Any) -> tuple[int, int]:
    return wire.capacity_unit.read, wire.capacity_unit.write


def _describe(answer: Any, table: Table) -> None:
    details = answer.reserved_throughput_details
    details.capacity_unit.read, details.capacity_unit.write = table.reserved
    details.last_increase_time = (table.updated_ms or table.created_ms) // 1000
    options = answer.table_options
    options.time_to_live = table.options.ttl_seconds
    options.max_versions = table.options.max_versions
    options.deviation_cell_version_in_sec = table.options.max_deviation_seconds
    options.allow_update = table.options.allow_update


# -- single rows


def _put_row(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = pb2.PutRowRequest.FromString(body)
    return _write_row(store, instance, request, Kind.PUT, request.row, pb2.PutRowResponse())


def _update_row(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = pb2.UpdateRowRequest.FromString(body)
    return _write_row(store, instance, request, Kind.UPDATE, request.row_change, pb2.UpdateRowResponse())


def _delete_row(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = pb2.DeleteRowRequest.FromString(body)
    return _write_row(store, instance, request, Kind.DELETE, request.primary_key, pb2.DeleteRowResponse())


def _write_row(store: Tablestore, instance: str, request: Any, kind: Kind, change: bytes, answer: Any) -> bytes:
    _refuse_transaction(request)
    write = _write(kind, change, request.condition)
    store.write(instance, request.table_name, write)
    _consumed(answer.consumed, write)
    _return_key(answer, request, store, instance, request.table_name, write)
    return _message(answer)


def _write(kind: Kind, change: bytes, condition: Any) -> Write:
    row = read_row(change)
    if row.delete != (kind is Kind.DELETE):
        raise parameter_invalid("The delete marker does not fit the operation.")
    return Write(
        kind=kind,
        key=row.key,
        changes=row.changes,
        existence=_EXISTENCE[condition.row_existence],
        condition=_filter(condition.column_condition) if condition.column_condition else None,
    )


def _return_key(answer: Any, request: Any, store: Tablestore, instance: str, name: str, write: Write) -> None:
    wanted = request.return_content.return_type
    _refuse(wanted == pb2.RT_AFTER_MODIFY, "return_type RT_AFTER_MODIFY")
    if wanted == pb2.RT_PK:
        table = store.table(instance, name)
        answer.row = write_key(table.schema, table.key(write.key))


def _consumed(wire: Any, write: Write) -> None:
    key_bytes = sum(size_of(v) for _, v in write.key if isinstance(v, int | str | bytes))
    wire.capacity_unit.read = 1 if write.conditional else 0
    wire.capacity_unit.write = _capacity(key_bytes + size(c for c in write.changes if c.op in (Op.PUT, Op.INCREMENT)))


def _capacity(size: int) -> int:
    return max(1, -(-size // _UNIT))


def _get_row(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = pb2.GetRowRequest.FromString(body)
    _refuse_transaction(request)
    _refuse(bool(request.token), "wide row token")
    found = store.get_row(
        instance,
        request.table_name,
        read_row(request.primary_key).key,
        selection=_selection(request),
        filter=_filter(request.filter) if request.filter else None,
    )
    answer = pb2.GetRowResponse(row=_rows(store.table(instance, request.table_name), (found,)))
    answer.consumed.capacity_unit.read = _capacity(found.size if found else 0)
    answer.consumed.capacity_unit.write = 0
    return _message(answer)


def _get_range(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = pb2.GetRangeRequest.FromString(body)
    _refuse_transaction(request)
    _refuse(bool(request.token), "wide row token")
    page = store.get_range(
        instance,
        request.table_name,
        read_row(request.inclusive_start_primary_key).key,
        read_row(request.exclusive_end_primary_key).key,
        backward=request.direction == pb2.BACKWARD,
        limit=request.limit if request.HasField("limit") else None,
        selection=_selection(request),
        filter=_filter(request.filter) if request.filter else None,
    )
    table = store.table(instance, request.table_name)
    answer = pb2.GetRangeResponse(rows=_rows(table, page.rows))
    if page.next_key is not None:
        answer.next_start_primary_key = write_key(table.schema, page.next_key)
    answer.consumed.capacity_unit.read = _capacity(page.scanned_bytes)
    answer.consumed.capacity_unit.write = 0
    return _message(answer)


def _rows(table: Table, found: Iterable[Found | None]) -> bytes:
    return write_rows(table.schema, ((f.row, f.columns) for f in found if f is not None))


def _selection(request: Any) -> Selection:
    between = None
    if request.HasField("time_range"):
        span = request.time_range
        between = (
            (span.specific_time, span.specific_time + 1)
            if span.HasField("specific_time")
            else (span.start_time, span.end_time)
        )
    return Selection(
        columns=frozenset(request.columns_to_get) or None,
        max_versions=request.max_versions if request.HasField("max_versions") else None,
        between=between,
        start_column=request.start_column if request.HasField("start_column") else None,
        end_column=request.end_column if request.HasField("end_column") else None,
    )


# -- batches


def _batch_get_row(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = pb2.BatchGetRowRequest.FromString(body)
    reads = []
    for part in request.tables:
        _refuse(any(part.token), "wide row token")
        reads.append(
            Read(
                table=part.table_name,
                keys=[read_row(key).key for key in part.primary_key],
                selection=_selection(part),
                filter=_filter(part.filter) if part.filter else None,
            )
        )
    answer = pb2.BatchGetRowResponse()
    for read, found in zip(reads, store.batch_get(instance, reads), strict=True):
        table = store.table(instance, read.table)
        part = answer.tables.add(table_name=read.table)
        for one in found:
            row = part.rows.add(is_ok=not isinstance(one, OtsError))
            if isinstance(one, OtsError):
                row.error.code, row.error.message = one.code, one.message
                continue
            row.row = _rows(table, (one,))
            row.consumed.capacity_unit.read = _capacity(one.size if one else 0)
            row.consumed.capacity_unit.write = 0
    return _message(answer)


def _batch_write_row(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = pb2.BatchWriteRowRequest.FromString(body)
    _refuse_transaction(request)
    batch = [
        (part.table_name, [_write(_KINDS[row.type], row.row_change, row.condition) for row in part.rows])
        for part in request.tables
    ]
    outcomes = store.batch_write(instance, batch)
    answer = pb2.BatchWriteRowResponse()
    for asked, (name, writes), results in zip(request.tables, batch, outcomes, strict=True):
        part = answer.tables.add(table_name=name)
        for ask, write, result in zip(asked.rows, writes, results, strict=True):
            row = part.rows.add(is_ok=not isinstance(result, OtsError))
            if isinstance(result, OtsError):
                row.error.code, row.error.message = result.code, result.message
                continue
            _consumed(row.consumed, write)
            _return_key(row, ask, store, instance, name, write)
    return _message(answer)


# -- transactions: tables here are never made for them, and the service says so


def _no_transaction(_store: Tablestore, _instance: str, _body: bytes) -> bytes:
    raise parameter_invalid("Try to call method using explicit transaction on explicit-transaction-disabled table.")


def _refuse_transaction(request: Any) -> None:
    if request.HasField("transaction_id"):
        raise parameter_invalid("TransactionID is invalid.")


# -- filters


def _filter(data: bytes) -> Filter:
    return _parse_filter(filter_pb2.Filter.FromString(data))


def _parse_filter(wire: Any) -> Filter:
    if wire.type == filter_pb2.FT_SINGLE_COLUMN_VALUE:
        one = filter_pb2.SingleColumnValueFilter.FromString(wire.filter)
        _refuse(one.HasField("value_trans_rule"), "regular expression in a column condition")
        return Comparison(
            column=one.column_name,
            comparator=_COMPARATORS[one.comparator],
            value=read_value(one.column_value),
            pass_if_missing=not one.filter_if_missing,
            latest_only=one.latest_version_only,
        )
    _refuse(wire.type != filter_pb2.FT_COMPOSITE_COLUMN_VALUE, "column pagination filter")
    composite = filter_pb2.CompositeColumnValueFilter.FromString(wire.filter)
    return Composite(
        combinator=_COMBINATORS[composite.combinator],
        parts=tuple(_parse_filter(part) for part in composite.sub_filters),
    )


def _refuse(asked: bool, what: str) -> None:
    if asked:
        log.warning("tablestore feature is not modelled", extra={"feature": what})
        raise parameter_invalid(f"Unsupported operation: {what}.")


def _message(message: Any) -> bytes:
    return bytes(message.SerializeToString())


OPERATIONS: Final[dict[str, Handler]] = {
    "CreateTable": _create_table,
    "UpdateTable": _update_table,
    "DescribeTable": _describe_table,
    "DeleteTable": _delete_table,
    "ListTable": _list_table,
    "ListSearchIndex": _list_search_index,
    "PutRow": _put_row,
    "UpdateRow": _update_row,
    "DeleteRow": _delete_row,
    "GetRow": _get_row,
    "GetRange": _get_range,
    "BatchGetRow": _batch_get_row,
    "BatchWriteRow": _batch_write_row,
    "StartLocalTransaction": _no_transaction,
    "CommitTransaction": _no_transaction,
    "AbortTransaction": _no_transaction,
}
