"""BatchGetRow and BatchWriteRow on the wire: 200 for the whole, an error or an answer for each row."""

from typing import Any, Final

from emulator.tablestore.api.filters import read_filter
from emulator.tablestore.api.messages import opened, pb2, refuse, sent, unknown
from emulator.tablestore.api.rows import (
    fill_units,
    fill_written,
    read_key,
    read_selection,
    read_write,
    shown,
    transaction_of,
)
from emulator.tablestore.capacity import Units, units
from emulator.tablestore.coverage import check_error
from emulator.tablestore.errors import OtsError
from emulator.tablestore.model import Read, Tablestore
from emulator.tablestore.table import Kind

_KINDS: Final = {pb2.PUT: Kind.PUT, pb2.UPDATE: Kind.UPDATE, pb2.DELETE: Kind.DELETE}
_IS_ATOMIC: Final = 3  # field of BatchWriteRowRequest


def batch_get_row(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = opened(pb2.BatchGetRowRequest, body)
    reads = []
    for part in request.tables:
        refuse(any(part.token), "wide row token")
        reads.append(
            Read(
                table=part.table_name,
                keys=[read_key(key) for key in part.primary_key],
                selection=read_selection(part),
                filter=read_filter(part.filter),
            )
        )
    answer = pb2.BatchGetRowResponse()
    for read, found in zip(reads, store.batch_get(instance, reads), strict=True):
        table = store.table(instance, read.table)
        part = answer.tables.add(table_name=read.table)
        for one in found:
            row = part.rows.add(is_ok=not isinstance(one, OtsError))
            if isinstance(one, OtsError):
                _fill_error(row, one, "BatchGetRow")
                continue
            row.row = shown(table, (one,))
            fill_units(row, Units(read=units(one.size if one else 0)))
    return sent(answer)


def batch_write_row(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = opened(pb2.BatchWriteRowRequest, body, known=(_IS_ATOMIC,))
    batch = [
        (part.table_name, [read_write(_KINDS[row.type], row.row_change, row.condition) for row in part.rows])
        for part in request.tables
    ]
    outcomes = store.batch_write(
        instance,
        batch,
        transaction=transaction_of(request),
        atomic=bool(unknown(request).get(_IS_ATOMIC)),
    )
    answer = pb2.BatchWriteRowResponse()
    for asked, (name, _), results in zip(request.tables, batch, outcomes, strict=True):
        part = answer.tables.add(table_name=name)
        table = store.table(instance, name)
        for ask, result in zip(asked.rows, results, strict=True):
            row = part.rows.add(is_ok=not isinstance(result, OtsError))
            if isinstance(result, OtsError):
                _fill_error(row, result, "BatchWriteRow")
            else:
                fill_written(row, table, result, ask.return_content)
    return sent(answer)


def _fill_error(row: Any, error: OtsError, operation: str) -> None:
    check_error(operation, error.code)
    row.error.code, row.error.message = error.code, error.message
