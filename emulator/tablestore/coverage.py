"""What of Tablestore is here: for every operation what it does, what it does not, and which errors it answers.

The coverage page is made of this. An error that is answered without standing here is kept among those of all services
(`emulator.wire.declare.UNDECLARED`), where the tests look. Operations not named here answer `Unsupported operation`.
Source of the list: API reference, 2015-12-31.
"""

import logging
from collections.abc import Mapping
from typing import Final

from emulator.wire.declare import UNDECLARED, OperationInfo

log: Final = logging.getLogger(__name__)


COMMON_ERRORS: Final[tuple[str, ...]] = (
    "OTSAuthFailed",
    "OTSNoPermissionAccess",
    "OTSParameterInvalid",
    "OTSMethodNotAllowed",
    "OTSRequestBodyTooLarge",
    "OTSRequestTimeout",
)
"""Of the gateway, and of every operation."""

FAULT_ERRORS: Final[tuple[str, ...]] = (
    "OTSServerBusy",
    "OTSTimeout",
    "OTSServerUnavailable",
    "OTSInternalServerError",
    "OTSOperationThrottled",
    "OTSOperationConflict",
    "OTSSessionBusy",
    "",  # an answer without a body, as a proxy in between makes it
)
"""Never answered of its own accord, only where a fault asks for it."""

_TABLE: Final = ("OTSObjectNotExist", "OTSQuotaExhausted")
_BUSY: Final = ("OTSPartitionUnavailable", "OTSNotEnoughCapacityUnit", "OTSCapacityUnitExhausted")
_ROW: Final = ("OTSObjectNotExist", "OTSTableNotReady", "OTSInvalidPK", *_BUSY)
_IN_TRANSACTION: Final = ("OTSSessionNotExist", "OTSDataOutOfRange")
_WRITE: Final = (
    *_ROW,
    *_IN_TRANSACTION,
    "OTSConditionCheckFail",
    "OTSRowOperationConflict",
    "OTSOutOfRowSizeLimit",
    "OTSOutOfColumnCountLimit",
    "OTSOutOfTransactionDataSizeLimit",
)
_READS: Final = ("token (reading a very wide row in parts)", "column pagination filter", "regular expressions")
_WRITES: Final = ("regular expressions in conditions",)

OPERATIONS: Final[Mapping[str, OperationInfo]] = {
    "CreateTable": OperationInfo(
        implemented="Makes a table with options, predefined columns, an auto-increment key, local transactions, "
        "secondary indexes and split points.",
        not_modelled=("stream_spec", "sse_spec", "key columns of type BOOLEAN", "global tables"),
        errors=("OTSObjectAlreadyExist", "OTSQuotaExhausted"),
    ),
    "UpdateTable": OperationInfo(
        implemented="Changes options and reserved units, once in two minutes.",
        not_modelled=("stream_spec",),
        errors=(*_TABLE, "OTSTooFrequentReservedThroughputAdjustment"),
    ),
    "DescribeTable": OperationInfo(
        implemented="Key, options, units, predefined columns, secondary indexes, split points.",
        not_modelled=("stream_details", "sse_details"),
        errors=_TABLE,
    ),
    "DeleteTable": OperationInfo(implemented="Drops a table with its secondary indexes.", errors=_TABLE),
    "ListTable": OperationInfo(implemented="Names of tables and index tables, sorted.", errors=("OTSQuotaExhausted",)),
    "CreateIndex": OperationInfo(
        implemented="A secondary index, global (follows by the emulated clock) or local (within the write).",
        not_modelled=("a predefined column that holds another type than declared",),
        errors=(*_TABLE, "OTSObjectAlreadyExist"),
    ),
    "DropIndex": OperationInfo(implemented="Drops a secondary index.", errors=_TABLE),
    "ListSearchIndex": OperationInfo(
        implemented="An empty list: there are no search indexes here.", errors=("OTSObjectNotExist",)
    ),
    "PutRow": OperationInfo(
        implemented="Writes a whole row under conditions; RT_PK and RT_AFTER_MODIFY.",
        not_modelled=_WRITES,
        errors=_WRITE,
    ),
    "UpdateRow": OperationInfo(
        implemented="Puts, deletes and increments columns under conditions; RT_PK and RT_AFTER_MODIFY.",
        not_modelled=_WRITES,
        errors=_WRITE,
    ),
    "DeleteRow": OperationInfo(implemented="Deletes a row under conditions.", not_modelled=_WRITES, errors=_WRITE),
    "GetRow": OperationInfo(
        implemented="A row by columns, versions or time, with a filter, inside or outside a transaction.",
        not_modelled=_READS,
        errors=(*_ROW, *_IN_TRANSACTION),
    ),
    "GetRange": OperationInfo(
        implemented="Pages of at most 5,000 rows or 4 MB, both ways, with a filter.",
        not_modelled=_READS,
        errors=(*_ROW, *_IN_TRANSACTION),
    ),
    "BatchGetRow": OperationInfo(
        implemented="Up to 100 rows of several tables, each with its own error.",
        not_modelled=_READS,
        errors=_ROW,
    ),
    "BatchWriteRow": OperationInfo(
        implemented="Up to 200 writes to several tables, each by itself, or is_atomic, or in a transaction.",
        not_modelled=_WRITES,
        errors=_WRITE,
    ),
    "StartLocalTransaction": OperationInfo(
        implemented="Locks one partition key of a table made with enable_local_txn for 60 s.",
        not_modelled=("OTSSessionBusy: two requests of one transaction never overlap here",),
        errors=(*_ROW, "OTSRowOperationConflict"),
    ),
    "CommitTransaction": OperationInfo(
        implemented="Makes the transaction's writes visible together and frees its key.",
        errors=(*_BUSY, "OTSSessionNotExist"),
    ),
    "AbortTransaction": OperationInfo(
        implemented="Forgets the transaction's writes and frees its key.", errors=(*_BUSY, "OTSSessionNotExist")
    ),
}

OTHERS: Final = frozenset([
    "AddDefinedColumn", "BulkExport", "BulkImport", "ComputeSplitPointsBySize", "ComputeSplits", "CreateSearchIndex",
    "CreateTimeseriesTable", "DeleteDefinedColumn", "DeleteSearchIndex", "DeleteTimeseriesTable", "DescribeSearchIndex",
    "DeleteTimeseriesMeta", "DescribeStream", "DescribeTimeseriesTable", "GetShardIterator", "GetStreamRecord",
    "GetTimeseriesData", "ListStream", "ListTimeseriesTable", "LoadTable", "ParallelScan", "PutTimeseriesData",
    "QueryTimeseriesMeta", "SQLQuery", "Search", "UnloadTable", "UpdateSearchIndex", "UpdateTimeseriesMeta",
    "UpdateTimeseriesTable",
])  # fmt: skip
"""Operations that Tablestore has and this emulator has not."""


def check_error(operation: str, code: str) -> None:
    info = OPERATIONS.get(operation)
    if info is None or code in info.errors or code in COMMON_ERRORS or code in FAULT_ERRORS:
        return
    log.error("error not declared: %s answered %s", operation, code)
    UNDECLARED.append((operation, code))
