"""The coverage page tells the truth about Tablestore: each operation, its errors, and what answers loudly."""

import logging

import pytest

from emulator.cloud import Cloud
from emulator.tablestore import coverage
from emulator.tablestore.errors import OtsError
from emulator.tablestore.protocol import OPERATIONS, dispatch
from emulator.wire import declare

DOCUMENTED = {
    "CreateTable",
    "DeleteTable",
    "ListTable",
    "DescribeTable",
    "UpdateTable",
    "CreateIndex",
    "DropIndex",
    "GetRow",
    "PutRow",
    "UpdateRow",
    "DeleteRow",
    "GetRange",
    "BatchGetRow",
    "BatchWriteRow",
    "StartLocalTransaction",
    "CommitTransaction",
    "AbortTransaction",
    "ListSearchIndex",
}
ELSEWHERE = [
    "Search",
    "CreateSearchIndex",
    "DescribeSearchIndex",
    "DeleteSearchIndex",
    "ComputeSplitPointsBySize",
    "ListStream",
    "DescribeStream",
    "GetShardIterator",
    "GetStreamRecord",
    "SQLQuery",
    "PutTimeseriesData",
    "BulkImport",
    "",
    "getrow",
    "../GetRow",
]


def test_every_documented_operation_is_there_and_described() -> None:
    assert set(OPERATIONS) == set(coverage.OPERATIONS) == DOCUMENTED
    for name, info in coverage.OPERATIONS.items():
        assert info.implemented.endswith("."), name
        assert info.errors, name
        assert len(set(info.errors)) == len(info.errors), name
        assert not set(info.errors) & {*coverage.COMMON_ERRORS, *coverage.FAULT_ERRORS}, name


@pytest.mark.parametrize("operation", ELSEWHERE)
def test_an_operation_that_is_not_modelled_answers_loudly(operation: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(OtsError) as caught:
        dispatch(Cloud().tablestore, "i", operation, b"")
    assert (caught.value.status, caught.value.code) == (400, "OTSParameterInvalid")
    assert caught.value.message.startswith(f"Unsupported operation: {operation}. Tablestore has ")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_an_error_that_an_operation_did_not_declare_is_noticed() -> None:
    cloud = Cloud()

    def strange(*_: str) -> None:
        raise OtsError(409, "OTSRowOperationConflict", "Data is being modified by the other request.")

    cloud.tablestore.faults.append(strange)
    before = len(declare.UNDECLARED)
    with pytest.raises(OtsError):
        dispatch(cloud.tablestore, "i", "ListTable", b"")
    assert declare.UNDECLARED[before:] == [("ListTable", "OTSRowOperationConflict")]
    del declare.UNDECLARED[before:]
