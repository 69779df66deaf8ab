"""PlainBuffer, checksums and signatures: what is read is what the SDK wrote, and damage never passes."""

import base64
import hashlib
import http.client
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import tablestore as sdk
from hypothesis import given
from hypothesis import strategies as st
from tablestore.auth import RequestContext, SignV2, SignV4
from tablestore.credentials import Credentials
from tablestore.plainbuffer.plain_buffer_builder import PlainBufferBuilder
from tablestore.plainbuffer.plain_buffer_coded_stream import PlainBufferCodedInputStream
from tablestore.plainbuffer.plain_buffer_crc8 import PlainBufferCrc8
from tablestore.plainbuffer.plain_buffer_stream import PlainBufferInputStream
from tablestore.protobuf import table_store_pb2 as pb2

from emulator.tablestore.crc8 import crc8
from emulator.tablestore.errors import OtsError, timeout
from emulator.tablestore.plainbuffer import read_row, write_rows
from emulator.tablestore.rows import Op, Row, Version
from emulator.tablestore.values import INF_MAX, INF_MIN
from emulator.testing import Local, mock_aliyun
from tests.emulator.ots_client import make_client, make_table, pk

INTEGERS = st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.one_of(
    INTEGERS, TEXTS, st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.binary(max_size=20)
)
NAMES = st.text(alphabet="abc_", min_size=1, max_size=8)


def as_sdk(value: Any) -> Any:
    return bytearray(value) if isinstance(value, bytes) else value


# -- PlainBuffer


@given(message=st.binary(max_size=3000), start=st.integers(min_value=0, max_value=255))
def test_the_fast_checksum_is_the_sdks(message: bytes, start: int) -> None:
    assert crc8(message, start) == PlainBufferCrc8.crc_bytes(start, message)


@given(
    a=TEXTS,
    b=INTEGERS,
    c=st.binary(max_size=9),
    columns=st.lists(st.tuples(NAMES, VALUES, st.one_of(st.none(), INTEGERS)), max_size=5),
)
def test_a_row_that_the_sdk_wrote_is_read_back(
    a: str, b: int, c: bytes, columns: list[tuple[str, Any, int | None]]
) -> None:
    key = [("a", a), ("b", b), ("c", bytearray(c))]
    cells = [(name, as_sdk(value)) if at is None else (name, as_sdk(value), at) for name, value, at in columns]

    row = read_row(bytes(PlainBufferBuilder.serialize_for_put_row(key, cells)))

    assert row.key == (("a", a), ("b", b), ("c", c))
    assert [(ch.name, ch.value, ch.timestamp) for ch in row.changes] == columns
    assert [type(ch.value) for ch in row.changes] == [type(value) for _, value, _ in columns]
    assert not row.delete


def test_operations_bounds_and_the_delete_marker_are_read() -> None:
    change = {"PUT": [("p", 1)], "DELETE_ALL": ["d"], "DELETE": [("v", None, 77)], "INCREMENT": [("i", 2)]}
    row = read_row(bytes(PlainBufferBuilder.serialize_for_update_row([("a", "k")], change)))
    assert [(c.name, c.op, c.value, c.timestamp) for c in row.changes] == [
        ("p", Op.PUT, 1, None),
        ("d", Op.DELETE_ALL, None, None),
        ("v", Op.DELETE, None, 77),
        ("i", Op.INCREMENT, 2, None),
    ]
    assert read_row(bytes(PlainBufferBuilder.serialize_for_delete_row([("a", "k")]))).delete
    bounds = [("a", sdk.INF_MIN), ("b", sdk.INF_MAX)]
    assert read_row(bytes(PlainBufferBuilder.serialize_primary_key(bounds))).key == (("a", INF_MIN), ("b", INF_MAX))


@given(a=TEXTS, b=INTEGERS, columns=st.lists(st.tuples(NAMES, VALUES, INTEGERS), max_size=5))
def test_the_sdk_reads_what_is_written(a: str, b: int, columns: list[tuple[str, Any, int]]) -> None:
    row = Row((a, b), {})
    shown = [(name, [Version(value, at)]) for name, value, at in columns]
    schema = (("a", "STRING"), ("b", "INTEGER"))

    for _ in range(2):  # encoded, then from the cache
        data = write_rows(schema, [(row, shown), (row, [])])
        first, second = PlainBufferCodedInputStream(PlainBufferInputStream(data)).read_rows()
        assert first.primary_key == [("a", a), ("b", b)]
        assert first.attribute_columns == [(name, as_sdk(value), at) for name, value, at in columns]
        assert second.attribute_columns == []
    assert write_rows(schema, []) == b""


@given(st.data())
def test_one_flipped_bit_or_a_cut_never_passes(data: st.DataObject) -> None:
    whole = bytes(PlainBufferBuilder.serialize_for_put_row([("a", "key"), ("b", 7)], [("n", 5), ("s", "text", 99)]))
    at = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    bit = data.draw(st.integers(min_value=0, max_value=7))
    flipped = bytearray(whole)
    flipped[at] ^= 1 << bit

    for damaged in (bytes(flipped), whole[:at], whole + b"\0"):
        with pytest.raises(OtsError) as caught:
            read_row(damaged)
        assert (caught.value.status, caught.value.code) == (400, "OTSParameterInvalid")


@given(st.binary(max_size=60))
def test_noise_is_refused_and_nothing_else_happens(noise: bytes) -> None:
    with pytest.raises(OtsError):
        read_row(b"\x75\0\0\0" + noise)


# -- over HTTP, by hand


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun() as running:
        make_table(make_client(running, running.ots_instance), "t")
        yield running


def put_body(n: int = 1) -> bytes:
    request = pb2.PutRowRequest(table_name="t")
    request.condition.row_existence = pb2.IGNORE
    request.row = bytes(PlainBufferBuilder.serialize_for_put_row(pk("k", 1), [("n", n)]))
    return bytes(request.SerializeToString())


def headers(body: bytes, **changed: str | None) -> dict[str, str]:
    made = {
        "x-ots-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "x-ots-apiversion": "2015-12-31",
        "x-ots-accesskeyid": "testid",
        "x-ots-instancename": "understudy",
        "x-ots-contentmd5": base64.b64encode(hashlib.md5(body).digest()).decode(),
        **{f"x-ots-{name}": value for name, value in changed.items()},
    }
    return {name: value for name, value in made.items() if value is not None}


def sign(made: dict[str, str], *, region: str | None = None, operation: str = "PutRow") -> dict[str, str]:
    signer = SignV2("utf8") if region is None else SignV4("utf8", region=region)
    signer.make_request_signature_and_add_headers(
        f"/{operation}", made, RequestContext(Credentials("testid", "testsecret"))
    )
    return made


def send(
    local: Local, body: bytes, made: dict[str, str], *, path: str = "/PutRow", method: str = "POST"
) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(local.host, timeout=5)
    try:
        connection.request(method, path, body, made)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status == 200:
        return 200, "", ""
    error = pb2.Error.FromString(content)
    return answer.status, error.code, error.message


@pytest.mark.parametrize("region", [None, "cn-hangzhou"], ids=["V2", "V4"])
def test_a_signed_request_is_served_and_a_tampered_one_is_not(local: Local, region: str | None) -> None:
    body = put_body()
    assert send(local, body, sign(headers(body), region=region))[0] == 200

    mismatch = (403, "OTSAuthFailed", "Signature mismatch.")
    tampered = {**sign(headers(body), region=region), "x-ots-date": "2026-01-01T00:00:00.000Z"}
    if abs(datetime(2026, 1, 1, tzinfo=UTC) - datetime.now(UTC)) > timedelta(minutes=15):
        assert send(local, body, tampered)[1] == "OTSAuthFailed"
    assert send(local, body, {**sign(headers(body), region=region), "x-ots-extra": "1"}) == mismatch
    assert send(local, body, sign(headers(body), region=region), path="/DeleteRow") == mismatch
    assert send(local, put_body(2), sign(headers(body), region=region))[:2] == (400, "OTSParameterInvalid")


@pytest.mark.parametrize(
    ("changed", "status", "code", "text"),
    [
        ({"date": None}, 400, "OTSParameterInvalid", "Missing header: x-ots-date."),
        ({"date": "Mon, 02 Mar 2026 00:00:00 GMT"}, 400, "OTSParameterInvalid", "date"),
        ({"date": "2020-01-01T00:00:00.000Z"}, 403, "OTSAuthFailed", "Mismatch between system time and x-ots-date"),
        ({"apiversion": "2014-08-08"}, 400, "OTSParameterInvalid", "version"),
        ({"accesskeyid": "nobody"}, 403, "OTSAuthFailed", "The AccessKeyID does not exist."),
        ({"instancename": "elsewhere"}, 403, "OTSAuthFailed", "The instance is not found."),
        ({"contentmd5": "AAAA"}, 400, "OTSParameterInvalid", "MD5"),
        ({"ststoken": "made-up"}, 403, "OTSAuthFailed", "token"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_header_is_checked(
    local: Local, changed: dict[str, str | None], status: int, code: str, text: str
) -> None:
    body = put_body()
    refused = send(local, body, sign(headers(body, **changed)))
    assert refused[:2] == (status, code)
    assert text in refused[2]


def test_a_request_without_a_signature_is_refused(local: Local) -> None:
    body = put_body()
    assert send(local, body, headers(body)) == (400, "OTSParameterInvalid", "Missing header: x-ots-signature.")


def test_a_body_that_is_no_protobuf_or_holds_a_damaged_row_is_refused(local: Local) -> None:
    noise = b"\xff\xff\xff"
    assert send(local, noise, sign(headers(noise)))[:2] == (400, "OTSParameterInvalid")
    request = pb2.PutRowRequest.FromString(put_body())
    request.row = request.row[:-1] + bytes([request.row[-1] ^ 1])
    damaged = request.SerializeToString()
    assert send(local, damaged, sign(headers(damaged))) == (
        400,
        "OTSParameterInvalid",
        "Invalid PlainBuffer: the checksum of the row does not match.",
    )


def test_other_methods_and_unknown_operations_are_refused(local: Local) -> None:
    body = put_body()
    assert send(local, body, sign(headers(body)), method="PUT")[:2] == (405, "OTSMethodNotAllowed")
    made = sign(headers(body), operation="Search")
    assert send(local, body, made, path="/Search") == (
        400,
        "OTSParameterInvalid",
        "Unsupported operation: Search. Tablestore has it, the emulator models it not.",
    )


def test_a_path_in_the_endpoint_is_sent_but_not_signed(local: Local) -> None:
    body = put_body()
    assert send(local, body, sign(headers(body)), path="/some/prefix/PutRow")[0] == 200


def test_a_role_that_is_denied_an_action_cannot_call_it(local: Local) -> None:
    key = local.run(lambda: local.cloud.keys.issue("reader"))
    local.run(lambda: local.cloud.ram.deny("reader", "ots:Put*"))
    client = sdk.OTSClient(local.url, key.id, key.secret, local.ots_instance, sts_token=key.token)
    with pytest.raises(sdk.OTSServiceError) as caught:
        client.put_row("t", sdk.Row(pk("k", 1), [("n", 1)]))
    assert (caught.value.http_status, caught.value.code) == (403, "OTSNoPermissionAccess")
    client.get_row("t", pk("k", 1), max_version=1)
    client.connection.pool.clear()


def test_a_fault_after_the_effect_leaves_the_write_applied(local: Local) -> None:
    client = make_client(local, local.ots_instance)

    def late(operation: str, table: str, moment: str) -> None:
        if (operation, table, moment) == ("PutRow", "t", "after"):
            raise timeout()

    local.run(lambda: local.cloud.tablestore.faults.append(late))
    try:
        with pytest.raises(sdk.OTSServiceError) as caught:
            client.put_row("t", sdk.Row(pk("late", 1), [("n", 1)]))
    finally:
        local.run(local.cloud.tablestore.faults.clear)
    assert (caught.value.http_status, caught.value.code) == (503, "OTSTimeout")
    assert client.get_row("t", pk("late", 1), max_version=1)[1] is not None
    client.connection.pool.clear()
