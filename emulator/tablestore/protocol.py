"""Tablestore's operations on the wire: protobuf request -> model -> protobuf answer.

An operation that is missing answers `Unsupported operation` loudly, and so does every part of a request that the model
does not know; nothing is accepted and then ignored, except stream settings that are off.
"""

import logging
from collections.abc import Callable
from typing import Final

from emulator.tablestore.api import batches, rows, tables, transactions
from emulator.tablestore.api.messages import DecodeError, pb2, sent
from emulator.tablestore.coverage import OTHERS, check_error
from emulator.tablestore.errors import OtsError, parameter_invalid
from emulator.tablestore.model import Tablestore

log: Final = logging.getLogger(__name__)

Handler = Callable[[Tablestore, str, bytes], bytes]


def dispatch(store: Tablestore, instance: str, operation: str, body: bytes) -> bytes:
    """The answer's body; raises OtsError."""
    handler = OPERATIONS.get(operation)
    if handler is None:
        shown = operation[:80]
        if operation in OTHERS:
            log.warning("operation not modelled: ots %s", shown)
            raise parameter_invalid(f"Unsupported operation: {shown}. Tablestore has it, the emulator models it not.")
        log.warning("no such operation: ots %s", shown)
        raise parameter_invalid(f"Unsupported operation: {shown}. Tablestore has none of this name.")
    try:
        return handler(store, instance, body)
    except DecodeError as error:
        raise parameter_invalid("The request body is not a valid protobuf message.") from error
    except UnicodeDecodeError as error:
        raise parameter_invalid("A text of the request is not UTF-8.") from error
    except OtsError as error:
        check_error(operation, error.code)
        raise


def error_body(error: OtsError) -> bytes:
    return sent(pb2.Error(code=error.code, message=error.message))


OPERATIONS: Final[dict[str, Handler]] = {
    "CreateTable": tables.create_table,
    "UpdateTable": tables.update_table,
    "DescribeTable": tables.describe_table,
    "DeleteTable": tables.delete_table,
    "ListTable": tables.list_table,
    "CreateIndex": tables.create_index,
    "DropIndex": tables.drop_index,
    "ListSearchIndex": tables.list_search_index,
    "PutRow": rows.put_row,
    "UpdateRow": rows.update_row,
    "DeleteRow": rows.delete_row,
    "GetRow": rows.get_row,
    "GetRange": rows.get_range,
    "BatchGetRow": batches.batch_get_row,
    "BatchWriteRow": batches.batch_write_row,
    "StartLocalTransaction": transactions.start,
    "CommitTransaction": transactions.commit,
    "AbortTransaction": transactions.abort,
}
