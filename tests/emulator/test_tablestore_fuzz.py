"""Anything can come over the wire: it is answered by a documented error or served, and nobody else notices."""

import http.client
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
import tablestore as sdk
from hypothesis import given, settings
from hypothesis import strategies as st
from tablestore.encoder import OTSProtoBufferEncoder
from tablestore.plainbuffer.plain_buffer_builder import PlainBufferBuilder
from tablestore.protobuf import table_store_filter_pb2 as filter_pb2
from tablestore.protobuf import table_store_pb2 as pb2

from emulator.cloud import Cloud
from emulator.tablestore.coverage import COMMON_ERRORS, OPERATIONS
from emulator.tablestore.crc8 import TABLE, crc8
from emulator.tablestore.errors import OtsError
from emulator.tablestore.plainbuffer import read_row, read_value
from emulator.tablestore.protocol import dispatch, error_body
from emulator.testing import Local, mock_aliyun
from tests.emulator.ots_client import (
    ENABLE_LOCAL_TXN,
    HIGH,
    IS_ATOMIC,
    LOW,
    make_client,
    make_table,
    pk,
    post,
    refused,
    signed,
)

FAST = settings(max_examples=300, deadline=None, derandomize=True)
FEW = settings(max_examples=60, deadline=None, derandomize=True)
SIX_MEGABYTES = 6 * 1024 * 1024


def row(b: int = 1) -> bytes:
    return bytes(PlainBufferBuilder.serialize_for_put_row(pk("k", b), [("n", 5), ("s", "text", 1_772_409_600_000)]))


def change() -> bytes:
    changes = {"PUT": [("p", 1)], "DELETE_ALL": ["d"], "DELETE": [("v", None, 77)], "INCREMENT": [("i", 2)]}
    return bytes(PlainBufferBuilder.serialize_for_update_row(pk("k", 1), changes))


def key(pairs: Any) -> bytes:
    return bytes(PlainBufferBuilder.serialize_primary_key(pairs))


def condition() -> bytes:
    one = sdk.SingleColumnCondition("n", 5, sdk.ComparatorType.EQUAL)
    both = sdk.CompositeColumnCondition(sdk.LogicalOperator.AND)
    both.add_sub_condition(one)
    both.add_sub_condition(one)
    return serialized(both)


def serialized(wanted: Any) -> bytes:
    made = filter_pb2.Filter()
    OTSProtoBufferEncoder("utf8")._make_column_condition(made, wanted)
    return bytes(made.SerializeToString())


def requests() -> dict[str, bytes]:
    """One good request of each operation."""
    create = pb2.CreateTableRequest()
    create.table_meta.table_name = "new"
    create.table_meta.primary_key.add(name="a", type=pb2.STRING)
    create.reserved_throughput.capacity_unit.read = create.reserved_throughput.capacity_unit.write = 0
    create.index_metas.add(name="i", primary_key=["a"], index_update_mode=0, index_type=0)
    create.partitions.add(begin=key([("a", sdk.INF_MIN)]), end=key([("a", "m")]))
    update = pb2.UpdateTableRequest(table_name="t")
    update.table_options.max_versions = 2
    index = pb2.CreateIndexRequest(main_table_name="t")
    index.index_meta.name = "i"
    index.index_meta.primary_key.append("b")
    index.index_meta.index_update_mode = index.index_meta.index_type = 0
    when = pb2.Condition(row_existence=pb2.IGNORE, column_condition=condition())
    put = pb2.PutRowRequest(table_name="t", row=row(), condition=when)
    put.return_content.return_type = pb2.RT_PK
    read = pb2.GetRowRequest(table_name="t", primary_key=key(pk("k", 1)), max_versions=1, filter=condition())
    ranged = pb2.GetRangeRequest(
        table_name="t",
        direction=pb2.FORWARD,
        max_versions=1,
        limit=10,
        inclusive_start_primary_key=key(LOW),
        exclusive_end_primary_key=key(HIGH),
        filter=condition(),
    )
    reads = pb2.BatchGetRowRequest()
    reads.tables.add(table_name="t", primary_key=[key(pk("k", 1)), key(pk("k", 2))], max_versions=1)
    writes = pb2.BatchWriteRowRequest()
    part = writes.tables.add(table_name="t")
    for b in range(3):
        part.rows.add(type=pb2.PUT, row_change=row(b), condition=pb2.Condition(row_existence=pb2.IGNORE))
    session = "0" * 8 + "-0000-0000-0000-" + "0" * 12
    made = {
        "CreateTable": create,
        "UpdateTable": update,
        "DescribeTable": pb2.DescribeTableRequest(table_name="t"),
        "DeleteTable": pb2.DeleteTableRequest(table_name="t"),
        "ListTable": pb2.ListTableRequest(),
        "CreateIndex": index,
        "DropIndex": pb2.DropIndexRequest(main_table_name="t", index_name="i"),
        "ListSearchIndex": pb2.DescribeTableRequest(table_name="t"),
        "PutRow": put,
        "UpdateRow": pb2.UpdateRowRequest(table_name="t", row_change=change(), condition=when),
        "DeleteRow": pb2.DeleteRowRequest(
            table_name="t",
            primary_key=bytes(PlainBufferBuilder.serialize_for_delete_row(pk("k", 1))),
            condition=when,
        ),
        "GetRow": read,
        "GetRange": ranged,
        "BatchGetRow": reads,
        "BatchWriteRow": writes,
        "StartLocalTransaction": pb2.StartLocalTransactionRequest(table_name="t", key=key([("a", "k")])),
        "CommitTransaction": pb2.CommitTransactionRequest(transaction_id=session),
        "AbortTransaction": pb2.AbortTransactionRequest(transaction_id=session),
    }
    return {name: bytes(message.SerializeToString()) for name, message in made.items()}


GOOD = requests()


def fresh() -> Cloud:
    cloud = Cloud()
    cloud.tablestore.create_table("i", "t", [("a", "STRING"), ("b", "INTEGER")], local_txn=True)
    return cloud


def attempt(operation: str, body: bytes) -> None:
    """Served, or refused with an error that the operation declares; anything else is a bug."""
    refusal: OtsError | None = None
    try:
        dispatch(fresh().tablestore, "i", operation, body)
    except OtsError as error:
        refusal = error
    if refusal is not None:
        assert refusal.code in (*OPERATIONS[operation].errors, *COMMON_ERRORS)
        assert refusal.status in range(400, 500)
        assert error_body(refusal)


def test_there_is_a_good_request_of_every_operation() -> None:
    assert set(GOOD) == set(OPERATIONS)
    for operation in set(GOOD) - {"DropIndex", "CommitTransaction", "AbortTransaction", "DeleteRow", "CreateTable"}:
        dispatch(fresh().tablestore, "i", operation, GOOD[operation])


# -- protobuf


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bits flipped, bytes cut out, put in or doubled, the end cut off."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["flip", "cut", "insert", "end", "repeat", "text"])):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at : at + draw(st.integers(1, 8))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "end":
                del data[at:]
            case "text" if data:
                data[at] = draw(st.sampled_from([0xFF, 0x80, 0xC3]))
            case _:
                data += data[at : at + 40]
    return bytes(data)


@pytest.mark.parametrize("operation", sorted(GOOD))
def test_a_damaged_request_is_served_or_refused_as_documented(operation: str) -> None:
    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(body=damaged(GOOD[operation]))
    def check(body: bytes) -> None:
        attempt(operation, body)

    check()


@FAST
@given(operation=st.sampled_from(sorted(GOOD)), noise=st.binary(max_size=200))
def test_noise_is_refused_as_documented(operation: str, noise: bytes) -> None:
    attempt(operation, noise)


@pytest.mark.parametrize("operation", sorted(set(GOOD) - {"ListTable", "ListSearchIndex"}))
def test_an_empty_body_lacks_its_required_fields(operation: str) -> None:
    with pytest.raises(OtsError) as caught:
        dispatch(fresh().tablestore, "i", operation, b"")
    assert caught.value.code == "OTSParameterInvalid"


@pytest.mark.parametrize(
    ("operation", "extra"),
    [("PutRow", b"\xf8\x07\x01"), ("CreateTable", b"\x58\x01"), ("PutRow", IS_ATOMIC[:1] + b"\x01")],
    ids=["row field", "table field", "known elsewhere"],
)
def test_a_field_that_nobody_reads_is_refused_loudly(operation: str, extra: bytes) -> None:
    with pytest.raises(OtsError) as caught:
        dispatch(fresh().tablestore, "i", operation, GOOD[operation] + extra)
    assert caught.value.code == "OTSParameterInvalid"


def test_the_documented_fields_that_the_sdk_lacks_are_read() -> None:
    cloud = fresh()
    assert ENABLE_LOCAL_TXN in (GOOD["CreateTable"] + ENABLE_LOCAL_TXN)
    plain = pb2.CreateTableRequest.FromString(GOOD["CreateTable"])
    del plain.index_metas[:]
    dispatch(cloud.tablestore, "i", "CreateTable", plain.SerializeToString() + ENABLE_LOCAL_TXN)
    assert cloud.tablestore.table("i", "new").description.local_txn


@pytest.mark.parametrize(
    ("operation", "text"),
    [("DeleteTable", b"t"), ("CommitTransaction", b"0"), ("CreateTable", b"a"), ("BatchGetRow", b"t")],
)
def test_a_text_that_is_no_utf8_is_refused(operation: str, text: bytes) -> None:
    body = GOOD[operation]
    at = body.index(text, 2)
    with pytest.raises(OtsError) as caught:
        dispatch(fresh().tablestore, "i", operation, body[:at] + b"\xff" + body[at + 1 :])
    assert caught.value.code == "OTSParameterInvalid"


# -- conditions


def nested(depth: int, combinator: int = filter_pb2.LO_NOT) -> bytes:
    inner = filter_pb2.SingleColumnValueFilter(
        comparator=filter_pb2.CT_EQUAL,
        column_name="n",
        column_value=b"\0" + struct.pack("<q", 5),
        filter_if_missing=True,
        latest_version_only=True,
    )
    made = filter_pb2.Filter(type=filter_pb2.FT_SINGLE_COLUMN_VALUE, filter=inner.SerializeToString())
    for _ in range(depth):
        whole = filter_pb2.CompositeColumnValueFilter(combinator=combinator, sub_filters=[made])
        made = filter_pb2.Filter(type=filter_pb2.FT_COMPOSITE_COLUMN_VALUE, filter=whole.SerializeToString())
    return bytes(made.SerializeToString())


@pytest.mark.parametrize("depth", [11, 100, 3_000])
def test_conditions_nested_too_deep_are_refused(depth: int) -> None:
    request = pb2.GetRowRequest(
        table_name="t", primary_key=key(pk("k", 1)), max_versions=1, filter=nested(depth)
    ).SerializeToString()
    with pytest.raises(OtsError, match="nested deeper"):
        dispatch(fresh().tablestore, "i", "GetRow", request)


@FAST
@given(filter=st.one_of(damaged(condition()), damaged(nested(3)), st.binary(max_size=40)))
def test_a_damaged_condition_is_refused_as_documented(filter: bytes) -> None:
    request = pb2.GetRowRequest(table_name="t", primary_key=key(pk("k", 1)), max_versions=1, filter=filter)
    attempt("GetRow", request.SerializeToString())


def test_a_condition_over_more_columns_than_ten_is_refused_however_it_is_joined() -> None:
    wide = filter_pb2.CompositeColumnValueFilter(combinator=filter_pb2.LO_OR)
    for _ in range(5_000):
        wide.sub_filters.add().MergeFromString(nested(0))
    made = filter_pb2.Filter(type=filter_pb2.FT_COMPOSITE_COLUMN_VALUE, filter=wide.SerializeToString())
    request = pb2.GetRowRequest(
        table_name="t", primary_key=key(pk("k", 1)), max_versions=1, filter=made.SerializeToString()
    )
    with pytest.raises(OtsError, match="exceeds the limit"):
        dispatch(fresh().tablestore, "i", "GetRow", request.SerializeToString())


# -- PlainBuffer with sound checksums and unsound content


@st.composite
def cells(draw: st.DrawFn) -> tuple[bytes, int]:
    name = draw(st.one_of(st.sampled_from([b"a", b"b", b"n", b"", b"1", b"\xff"]), st.binary(max_size=300)))
    kind = draw(st.sampled_from([0, 1, 2, 3, 7, 9, 10, 11, 12, 255]))
    body = draw(
        st.one_of(
            st.binary(max_size=12),
            st.binary(min_size=8, max_size=8),
            st.binary(max_size=9).map(lambda data: struct.pack("<I", len(data)) + data),
            st.just(struct.pack("<I", 0xFFFF_FFFF)),
        )
    )
    raw = draw(st.one_of(st.just(bytes((kind,)) + body), st.just(b"")))
    op = draw(st.one_of(st.just(b""), st.sampled_from([b"\1", b"\3", b"\4", b"\2", b"\xff"])))
    stamp = draw(st.one_of(st.just(b""), st.binary(min_size=8, max_size=8)))
    has_value = draw(st.booleans())
    covered = name + (raw if has_value else b"") + stamp + op
    crc = crc8(covered)
    wire = b"\x03\x04" + struct.pack("<I", len(name)) + name
    if has_value:
        wire += b"\x05" + struct.pack("<I", len(raw)) + raw
    if op:
        wire += b"\x06" + op
    if stamp:
        wire += b"\x07" + stamp
    return wire + b"\x0a" + bytes((crc,)), crc


@st.composite
def plainbuffers(draw: st.DrawFn) -> bytes:
    made, checksum = b"\x75\0\0\0\x01", 0
    if draw(st.booleans()):
        for name, raw in ((b"a", b"\3\1\0\0\0k"), (b"b", b"\0" + struct.pack("<q", 1))):
            crc = crc8(name + raw)
            made += b"\x03\x04" + struct.pack("<I", 1) + name + b"\x05" + struct.pack("<I", len(raw)) + raw
            made += b"\x0a" + bytes((crc,))
            checksum = TABLE[checksum ^ crc]
    for wire, crc in draw(st.lists(cells(), max_size=3)):
        made += wire
        checksum = TABLE[checksum ^ crc]
    if draw(st.booleans()):
        made += b"\x02"
        for wire, crc in draw(st.lists(cells(), max_size=4)):
            made += wire
            checksum = TABLE[checksum ^ crc]
    delete = draw(st.booleans())
    if delete:
        made += b"\x08"
    return made + b"\x09" + bytes((TABLE[checksum ^ delete],))


@FAST
@given(data=plainbuffers(), operation=st.sampled_from(["PutRow", "UpdateRow", "DeleteRow", "GetRow", "GetRange"]))
def test_a_row_with_sound_checksums_and_any_content_is_served_or_refused(data: bytes, operation: str) -> None:
    field = {
        "PutRow": "row",
        "UpdateRow": "row_change",
        "DeleteRow": "primary_key",
        "GetRow": "primary_key",
        "GetRange": "inclusive_start_primary_key",
    }[operation]
    request = getattr(pb2, f"{operation}Request").FromString(GOOD[operation])
    setattr(request, field, data)
    if operation not in ("GetRow", "GetRange"):
        request.condition.column_condition = b""
    attempt(operation, request.SerializeToString())


@pytest.mark.parametrize("size", [0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 20])
def test_absurd_lengths_cost_nothing(size: int) -> None:
    for data in (
        b"\x75\0\0\0\x01\x03\x04" + struct.pack("<I", size) + b"a",
        b"\x75\0\0\0\x01\x03\x04\x01\0\0\0a\x05" + struct.pack("<I", size) + b"\3",
    ):
        with pytest.raises(OtsError):
            read_row(data)
    with pytest.raises(OtsError):
        read_value(b"\3" + struct.pack("<I", size) + b"x")


# -- HTTP


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun() as running:
        make_table(make_client(running, running.ots_instance), "t")
        yield running


@pytest.fixture
def healthy(local: Local) -> Iterator[None]:
    """After the test the server still serves."""
    yield
    assert post(local, "PutRow", GOOD_PUT)[0] == 200


GOOD_PUT = pb2.PutRowRequest(
    table_name="t", row=row(), condition=pb2.Condition(row_existence=pb2.IGNORE)
).SerializeToString()  # fmt: skip


@contextmanager
def connected(local: Local) -> Iterator[socket.socket]:
    host, port = local.host.split(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        yield raw


def head(local: Local, body: bytes, **changed: str | None) -> bytes:
    """A signed request up to its body."""
    made = signed("PutRow", body, local.ots_instance, local.access_key)
    headers = {"host": local.host, "content-length": str(len(body)), **made}
    for name, value in changed.items():
        headers[name.replace("_", "-")] = value  # type: ignore[assignment]
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return ("POST /PutRow HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer(raw: socket.socket) -> tuple[int, bytes]:
    """Status and body of the answer, (0, b"") for none."""
    response = http.client.HTTPResponse(raw)
    try:
        response.begin()
        return response.status, response.read()
    except (http.client.BadStatusLine, ConnectionResetError):
        return 0, b""
    finally:
        response.close()


@FEW
@given(operation=st.sampled_from(sorted(GOOD)), data=st.data())
def test_over_http_too_damage_is_answered_as_documented(local: Local, operation: str, data: st.DataObject) -> None:
    body = data.draw(damaged(GOOD[operation]))
    status, answered = post(local, operation, body, "understudy")
    if status != 200:
        status, code, _ = refused((status, answered))
        assert code in (*OPERATIONS[operation].errors, *COMMON_ERRORS)
    if operation == "DeleteTable" and status == 200:
        make_table(make_client(local, local.ots_instance), "t")


HEADERS = ["x-ots-date", "x-ots-apiversion", "x-ots-accesskeyid", "x-ots-instancename", "x-ots-contentmd5"]
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)


@FEW
@given(name=st.sampled_from([*HEADERS, "x-ots-signature", "x-ots-extra", "x-ots-ststoken"]), value=TEXT)
def test_any_header_is_answered_as_documented(local: Local, name: str, value: str) -> None:
    with connected(local) as raw:
        raw.sendall(head(local, GOOD_PUT, **{name.replace("-", "_"): value, "connection": "close"}) + GOOD_PUT)
        status, body = answer(raw)
    assert status in (400, 403, 404), "the instance's header empty or gone: some other service of this port answers"
    if status != 404:
        assert refused((status, body))[1] in ("OTSParameterInvalid", "OTSAuthFailed")


@pytest.mark.parametrize("value", ["é", "\udcff", "杭州"])
def test_a_signature_of_any_bytes_is_a_mismatch_or_a_bad_header(local: Local, healthy: None, value: str) -> None:
    made = head(local, GOOD_PUT, x_ots_signature="@", connection="close")
    with connected(local) as raw:
        raw.sendall(made.replace(b"@", value.encode("utf-8", "surrogateescape")) + GOOD_PUT)
        assert refused(answer(raw))[:2] in ((403, "OTSAuthFailed"), (400, "OTSParameterInvalid"))


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"POST /PutRow HTTP/9.9\r\n\r\n",
        b"POST /PutRow HTTP/1.1\r\nx-ots-instancename: understudy\r\ncontent-length: -1\r\n\r\n",
        b"POST /PutRow HTTP/1.1\r\nx-ots-instancename: understudy\r\ncontent-length: 1e9\r\n\r\n",
        b"POST /PutRow HTTP/1.1\r\nx-ots-instancename: understudy\r\nx: " + b"x" * 100_000 + b"\r\n\r\n",
        b"POST /" + b"x" * 100_000 + b" HTTP/1.1\r\nx-ots-instancename: understudy\r\n\r\n",
        b"POST /PutRow HTTP/1.1\r\nx-ots-instancename: understudy\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /PutRow HTTP/1.1\r\nx-ots-instancename: understudy\r\ncontent-encoding: gzip\r\n"
        b"content-length: 3\r\n\r\nabc",
        b"\0" * 1000,
    ],
    ids=["garbage", "version", "negative", "float", "header", "path", "chunk", "gzip", "zeros"],
)
def test_http_that_is_none_is_refused_and_the_server_lives(local: Local, healthy: None, request_bytes: bytes) -> None:
    with connected(local) as raw:
        raw.sendall(request_bytes)
        raw.shutdown(socket.SHUT_WR)
        assert answer(raw)[0] in (0, *range(400, 500))


def test_a_body_that_is_announced_too_large_is_refused_unread(local: Local, healthy: None) -> None:
    with connected(local) as raw:
        raw.sendall(head(local, b"", content_length=str(SIX_MEGABYTES)))
        assert refused(answer(raw))[:2] == (413, "OTSRequestBodyTooLarge")


def test_a_body_that_grows_too_large_in_chunks_is_refused(local: Local, healthy: None) -> None:
    made = head(local, b"", content_length=None, transfer_encoding="chunked")
    with connected(local) as raw:
        raw.sendall(made)
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        try:
            for _ in range(8):
                raw.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it stopped reading, as it should
        status, body = answer(raw)
    assert status == 0 or refused((status, body))[:2] == (413, "OTSRequestBodyTooLarge")


def test_a_client_that_stalls_keeps_nobody_waiting_and_is_told_so(local: Local, healthy: None) -> None:
    store = local.cloud.tablestore
    usual = store.body_patience
    local.run(lambda: setattr(store, "body_patience", timedelta(seconds=0.5)))
    try:
        with connected(local) as slow, connected(local) as slower:
            slow.sendall(head(local, GOOD_PUT) + GOOD_PUT[:1])
            slower.sendall(head(local, GOOD_PUT, content_length=None, transfer_encoding="chunked") + b"5\r\nab")
            for _ in range(5):
                assert post(local, "PutRow", GOOD_PUT)[0] == 200
            for stalled in (slow, slower):
                assert refused(answer(stalled))[:2] == (408, "OTSRequestTimeout")
    finally:
        local.run(lambda: setattr(store, "body_patience", usual))


def test_a_client_that_drips_is_not_waited_for_either(local: Local, healthy: None) -> None:
    """Patience is for the whole body: a byte now and then does not renew it."""
    store = local.cloud.tablestore
    usual = store.body_patience
    local.run(lambda: setattr(store, "body_patience", timedelta(seconds=0.4)))
    try:
        with connected(local) as raw:
            raw.sendall(head(local, GOOD_PUT))
            gone = Event()

            def drip() -> None:
                try:
                    for at in range(len(GOOD_PUT)):
                        raw.sendall(GOOD_PUT[at : at + 1])
                        if gone.wait(0.02):
                            return
                except OSError:
                    return

            dripping = Thread(target=drip)
            dripping.start()
            try:
                refusal = refused(answer(raw))
            finally:
                gone.set()
                dripping.join()
        assert refusal[:2] == (408, "OTSRequestTimeout")
    finally:
        local.run(lambda: setattr(store, "body_patience", usual))


def test_clients_that_leave_in_the_middle_are_forgotten(local: Local, healthy: None) -> None:
    whole = head(local, GOOD_PUT) + GOOD_PUT
    for cut in range(1, len(whole), 37):
        with connected(local) as raw:
            raw.sendall(whole[:cut])


def test_clients_that_stall_within_their_headers_keep_nobody_waiting(local: Local, healthy: None) -> None:
    whole = head(local, GOOD_PUT)
    with ExitStack() as stalled:
        for cut in range(1, len(whole), 29):
            stalled.enter_context(connected(local)).sendall(whole[:cut])
        for _ in range(5):
            assert post(local, "PutRow", GOOD_PUT)[0] == 200
