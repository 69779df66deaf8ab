"""The official SDK pointed at the emulator, the short forms that its tests speak in, and calls made by hand."""

import base64
import hashlib
import http.client
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import tablestore as sdk
from tablestore.auth import RequestContext, SignV2, SignV4
from tablestore.credentials import Credentials
from tablestore.protobuf import table_store_pb2 as pb2

from emulator.testing import Local

IGNORE, EXIST, NOT_EXIST = (
    sdk.RowExistenceExpectation.IGNORE,
    sdk.RowExistenceExpectation.EXPECT_EXIST,
    sdk.RowExistenceExpectation.EXPECT_NOT_EXIST,
)
LOW, HIGH = [("a", sdk.INF_MIN), ("b", sdk.INF_MIN)], [("a", sdk.INF_MAX), ("b", sdk.INF_MAX)]
FREE = sdk.ReservedThroughput(sdk.CapacityUnit(0, 0))


def make_client(local: Local, instance: str, **options: Any) -> Any:
    client = sdk.OTSClient(local.url, *local.access_key, instance, retry_policy=NoRetry(), **options)
    client.logger.setLevel("CRITICAL")
    return client


class NoRetry:
    def should_retry(self, *_: Any) -> bool:
        return False


def make_table(client: Any, name: str, **options: Any) -> None:
    meta = sdk.TableMeta(name, [("a", "STRING"), ("b", "INTEGER")])
    client.create_table(meta, sdk.TableOptions(**options), FREE)


def pk(a: str, b: int) -> list[tuple[str, Any]]:
    return [("a", a), ("b", b)]


def when(existence: str, condition: Any = None) -> Any:
    return sdk.Condition(existence, condition)


def compare(name: str, value: Any, comparator: Any = sdk.ComparatorType.EQUAL, *, missing: bool = False) -> Any:
    return sdk.SingleColumnCondition(name, value, comparator, pass_if_missing=missing)


def columns(client: Any, a: str, b: int, **options: Any) -> dict[str, Any] | None:
    row = client.get_row("t", pk(a, b), **{"max_version": 1, **options})[1]
    return None if row is None else {name: value for name, value, _ in row.attribute_columns}


def refusal(call: Callable[[], Any]) -> tuple[int, str, str]:
    with pytest.raises(sdk.OTSServiceError) as caught:
        call()
    return caught.value.http_status, caught.value.code, caught.value.message


# -- by hand: what the SDK cannot say


def signed(
    operation: str, body: bytes, instance: str, key: Sequence[str], *, region: str | None = None
) -> dict[str, str]:
    """The headers of a proper request."""
    headers = {
        "x-ots-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "x-ots-apiversion": "2015-12-31",
        "x-ots-accesskeyid": key[0],
        "x-ots-instancename": instance,
        "x-ots-contentmd5": base64.b64encode(hashlib.md5(body).digest()).decode(),
    }
    signer = SignV2("utf8") if region is None else SignV4("utf8", region=region)
    signer.make_request_signature_and_add_headers(f"/{operation}", headers, RequestContext(Credentials(*key[:2])))
    return headers


def post(local: Local, operation: str, body: bytes, instance: str | None = None) -> tuple[int, bytes]:
    """Status and body of one signed call."""
    headers = signed(operation, body, instance or local.ots_instance, local.access_key)
    connection = http.client.HTTPConnection(local.host, timeout=10)
    try:
        connection.request("POST", f"/{operation}", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def refused(answer: tuple[int, bytes]) -> tuple[int, str, str]:
    error = pb2.Error.FromString(answer[1])
    return answer[0], error.code, error.message


ENABLE_LOCAL_TXN = b"\x40\x01"  # field 8 of CreateTableRequest, which this SDK lacks
IS_ATOMIC = b"\x18\x01"  # field 3 of BatchWriteRowRequest


def make_transactional_table(local: Local, instance: str, name: str, *, auto: bool = False) -> tuple[int, bytes]:
    request = pb2.CreateTableRequest()
    request.table_meta.table_name = name
    request.table_meta.primary_key.add(name="a", type=pb2.STRING)
    column = request.table_meta.primary_key.add(name="b", type=pb2.INTEGER)
    if auto:
        column.option = pb2.AUTO_INCREMENT
    request.reserved_throughput.capacity_unit.read = request.reserved_throughput.capacity_unit.write = 0
    return post(local, "CreateTable", request.SerializeToString() + ENABLE_LOCAL_TXN, instance)
