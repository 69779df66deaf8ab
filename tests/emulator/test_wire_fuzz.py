"""Anything can come over the wire: it is refused as documented or served, in bounded time, and nobody else notices."""

import http.client
import json
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event, Thread
from time import monotonic
from typing import Any, Final
from urllib.parse import quote

import dns.message
import dns.query
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.pvtz.dns import DnsServer
from emulator.testing import Local, mock_aliyun
from emulator.wire import acs3, v1
from emulator.wire.body import Patience
from emulator.wire.declare import GATEWAY_CODES, errors_of

FEW = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PATIENCE: Final = Patience(head=timedelta(seconds=1), idle=timedelta(minutes=10), body=timedelta(seconds=0.6))
NONCES = count()
SEED: Final = """
vpc: {id: vpc-a, cidr: 10.0.0.0/16}
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.0.0/20}]
security_groups: [{id: sg-a}]
images: [{id: m-a, name: a}]
instances: [{id: i-a, image: m-a, vswitch: vsw-h, address: 10.0.0.9, data_disks: [{id: d-a, size_gib: 40}]}]
private_zones: [{id: z-a, name: corp.example, records: [{rr: www, type: A, value: 10.0.0.9, ttl: 60}]}]
"""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    seed = tmp_path_factory.mktemp("fuzz") / "world.yaml"
    seed.write_text(SEED)
    with mock_aliyun(seed=seed, patience=PATIENCE) as running:
        yield running


@pytest.fixture(autouse=True)
def healthy(local: Local) -> Iterator[None]:
    """After each test the server still serves, at once."""
    yield
    begun = monotonic()
    assert call(local, "DescribeRegions")[0] == 200
    assert monotonic() - begun < 2


# -- asking


def headers_of(local: Local, action: str, **changed: str) -> dict[str, str]:
    return {
        "host": local.host,
        "x-acs-action": action,
        "x-acs-version": "2014-05-26",
        "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": f"fuzz-{next(NONCES)}",
        **changed,
    }


def signed(headers: dict[str, str], query: str, *, method: str = "POST", body: bytes = b"") -> dict[str, str]:
    """A sound ACS3 signature, whatever the query is (as the wire has it)."""
    canonical = acs3.canonical_request(method, "/", acs3.parse_query(query), headers, headers, body)
    names = ";".join(sorted(headers))
    text = f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={names},Signature={acs3.sign('testsecret', canonical)}"
    return {**headers, "authorization": text}


def wire(headers: dict[str, str], query: str, *, method: str = "POST", body: bytes = b"") -> bytes:
    lines = [f"{method} /?{query} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body or method == "POST":
        lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode(errors="surrogateescape") + body


@contextmanager
def connected(local: Local) -> Iterator[socket.socket]:
    host, port = local.host.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        yield raw


def answer(raw: socket.socket, method: str = "POST") -> tuple[int, bytes]:
    """Status and body of the answer, (0, b"") for none."""
    response = http.client.HTTPResponse(raw, method=method)
    try:
        response.begin()
        return response.status, response.read()
    except (http.client.HTTPException, ConnectionError):
        return 0, b""
    finally:
        response.close()


def exchange(local: Local, data: bytes, method: str = "POST") -> tuple[int, bytes]:
    with connected(local) as raw:
        raw.sendall(data)
        return answer(raw, method)


def call(
    local: Local,
    action: str,
    query: str = "",
    *,
    method: str = "POST",
    body: bytes = b"",
    more: dict[str, str] | None = None,
) -> Any:
    """(status, body) of a soundly signed call."""
    headers = signed(headers_of(local, action, **(more or {})), query, method=method, body=body)
    status, text = exchange(local, wire(headers, query, method=method, body=body))
    return status, json.loads(text)


def documented(local: Local, status: int, body: bytes, action: str = "") -> str:
    """The code of an answer of the RPC door: "" for a success; asserts that it is one that a client may expect."""
    told = json.loads(body)
    assert told["RequestId"]
    if status == 200:
        return ""
    assert set(told) >= {"RequestId", "HostId", "Code", "Message", "Recommend"}
    operation = local.cloud.home.operations.get(("2014-05-26", action))
    declared = GATEWAY_CODES | (errors_of(operation) if operation is not None else frozenset())
    assert told["Code"] in declared - {"InternalError", "ServiceUnavailable"}, told
    assert status in range(400, 500)
    return str(told["Code"])


# -- parameters

NAMES: Final = (
    *("RegionId", "InstanceIds", "Tag.1.Key", "Tag.1.Value", "Tag.99999999.Key", "Tag.0.Key", "Tag.-1.Key"),
    *("Tag.².Key", "Tag.٣.Key", "Tag.01.Key", "Tag..Key", "Tag.1", "Tag", "Tag.1.Key.1.Key.2", "A.1.B.2.C.3.D.4.E.5"),
    *("tag.1.key", "Filter.1.Key", "PageSize", "PageNumber", "MaxResults", "NextToken", "Format", "Version", "Action"),
    *(
        "Signature",
        "AccessKeyId",
        "SignatureType",
        "InstanceId.1",
        "",
        " ",
        "%",
        "é",
        "\0",
        ".",
        "..",
        "N",
        "Tag.N.Key",
    ),
)
VALUES: Final = (
    *(
        "",
        "0",
        "-1",
        "1",
        "9" * 400,
        "1e9",
        "NaN",
        "true",
        "i-a",
        "d-a",
        "cn-hangzhou",
        "nowhere",
        "x" * 9_000,
        "é杭州\0",
    ),
    *(
        "[]",
        "{}",
        '["i-a"]',
        "[" * 5_000,
        '{"a":' * 2_000,
        "[NaN]",
        '["\\ud800"]',
        "[1, null, {}]",
        "JSON",
        "BEARERTOKEN",
    ),
)
ACTIONS: Final = (
    *("DescribeInstances", "DescribeDisks", "CreateSnapshot", "TagResources", "DescribeRegions", "RunInstances"),
    *("DescribeSnapshots", "StopInstances", "CreateDisk", "DescribeZones", "MakeCoffee", ""),
)
PAIRS = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(NAMES), st.text(max_size=30)),
        st.one_of(st.sampled_from(VALUES), st.text(max_size=30)),
    ),
    max_size=8,
)


@FEW
@given(action=st.sampled_from(ACTIONS), pairs=PAIRS, method=st.sampled_from(["GET", "POST"]), form=st.booleans())
def test_any_parameters_are_answered_as_documented(
    local: Local, action: str, pairs: list[tuple[str, str]], method: str, form: bool
) -> None:
    text = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
    query, body = ("", text.encode()) if form else (text, b"")
    more = {"content-type": "application/x-www-form-urlencoded"} if form else {}
    headers = signed(headers_of(local, action, **more), query, method=method, body=body)

    status, told = exchange(local, wire(headers, query, method=method, body=body))

    if "Signature" not in dict(pairs):  # the older signature's callers may get XML
        documented(local, status, told, action)
    assert status in range(200, 500)


@FEW
@given(raw=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=80), noise=st.binary(max_size=12))
def test_any_bytes_of_a_query_are_answered_as_documented(local: Local, raw: str, noise: bytes) -> None:
    sent = raw.replace("#", "") + noise.translate(None, b" \r\n\t\0#\x0b\x0c").decode(errors="surrogateescape")
    status, told = exchange(local, wire(signed(headers_of(local, "DescribeInstances"), sent), sent))
    if told.startswith(b"{"):
        documented(local, status, told, "DescribeInstances")
    else:
        assert status == 400, "what is no HTTP at all"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("InstanceName=a&InstanceName=b", "InvalidParameter"),
        ("InstanceName=%ff%fe", "InvalidParameter"),
        ("InstanceName=%c3%28", "InvalidParameter"),
        ("Tag.0.Key=a", "InvalidParameter"),
        ("Tag.99999999.Key=a", "InvalidParameter"),
        ("Tag.01.Key=a", "InvalidParameter"),
        ("Tag.%C2%B2.Key=a", "UnsupportedParameter"),
        ("A.1.B.2.C.3.D.4=a", "UnsupportedParameter"),
        ("a" * 9_000 + "=1", "UnsupportedParameter"),
        ("PageSize=" + "9" * 9_000, "InvalidParameter"),
        ("PageSize=1_0", "InvalidParameter"),
        ("&".join(f"Tag.{n}.Key=k" for n in range(1, 2_500)), "InvalidParameter"),
        ("InstanceIds=" + "[" * 60_000, "InvalidInstanceIds.Malformed"),
        ("InstanceIds=[NaN]", "InvalidInstanceIds.Malformed"),
        ("RegionId=" + "x" * 9_000, "InvalidRegionId.NotFound"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_absurd_parameters_are_refused_by_name(local: Local, query: str, code: str) -> None:
    here = "" if query.startswith("RegionId") else "&RegionId=cn-hangzhou"
    status, body = call(local, "DescribeInstances", query + here)
    assert (body["Code"], status // 100) == (code, 4)
    assert len(body["Message"]) < 1_000 or code == "InvalidRegionId.NotFound"


def test_all_that_the_sdk_puts_into_a_query_fits(local: Local) -> None:
    """A command of 18 KB travels in the request line, as everything else."""
    content = quote("ZWNobyBoaQ==" * 1_536)
    status, body = call(
        local, "RunCommand", f"RegionId=cn-hangzhou&Type=RunShellScript&InstanceId.1=i-a&CommandContent={content}"
    )
    assert status == 200 or body["Code"] in errors_of(local.cloud.home.operations["2014-05-26", "RunCommand"])


def test_a_request_line_without_end_is_refused(local: Local) -> None:
    assert exchange(local, b"POST /?A=" + b"x" * 200_000 + b" HTTP/1.1\r\n\r\n")[0] in (0, 400, 414)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/octet-stream", "multipart/form-data"])
def test_a_body_that_nobody_reads_is_refused_loudly(local: Local, kind: str) -> None:
    status, body = call(local, "DescribeInstances", body=b'{"InstanceName": "a"}', more={"content-type": kind})
    assert (status, body["Code"]) == (400, "UnsupportedParameter")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_refused_as_documented(local: Local, method: str) -> None:
    status, body = exchange(local, wire(headers_of(local, "DescribeRegions"), "", method=method), method)
    if method == "BREW":
        assert status == 400, "a word that is no method of HTTP at all"
        return
    assert status == 403
    assert method == "HEAD" or json.loads(body)["Code"] == "UnsupportedHTTPMethod"


def test_a_path_where_nothing_is_says_so_in_the_envelope(local: Local) -> None:
    status, body = exchange(local, f"POST /v1/ecs HTTP/1.1\r\nhost: {local.host}\r\ncontent-length: 0\r\n\r\n".encode())
    assert (status, documented(local, status, body)) == (404, "InvalidAction.NotFound")


# -- signatures

ODD_TEXT = st.one_of(
    st.sampled_from(
        ["", " ", "0", "x" * 500, ";", ",", "=", "ACS3-HMAC-SHA256", "ACS3-RSA-SHA256 a=b", "FC a:b", "é", "\xff"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40),
)
ACS3_HEADERS: Final = (
    *("authorization", "x-acs-date", "x-acs-signature-nonce", "x-acs-version", "x-acs-action", "x-acs-security-token"),
    *("x-acs-content-sha256", "x-acs-bearer-token", "x-acs-accesskey-id", "host", "content-type", "user-agent"),
)
SIGNATURE_CODES: Final = {
    *("IncompleteSignature", "SignatureDoesNotMatch", "SignatureNonceUsed", "InvalidTimeStamp.Format"),
    *("InvalidTimeStamp.Expired", "InvalidAccessKeyId.NotFound", "MissingSecurityToken", "UnsupportedParameter"),
    *("InvalidParameter", "InvalidAction.NotFound", "InvalidRegionId.NotFound"),
}


@FEW
@given(name=st.sampled_from(ACS3_HEADERS), value=ODD_TEXT, before=st.booleans())
def test_any_header_is_answered_as_documented(local: Local, name: str, value: str, before: bool) -> None:
    """Changed before signing it is what the client meant, afterwards it is damage."""
    changed = {name: value.strip()}
    headers = headers_of(local, "DescribeRegions", **(changed if before and name != "authorization" else {}))
    headers = signed(headers, "") | ({} if before and name != "authorization" else changed)
    data = wire(headers, "").decode(errors="surrogateescape").encode("latin-1", errors="replace")
    status, body = exchange(local, data)
    if not body.startswith(b"{"):
        assert status == 400, "what is no HTTP at all"
        return
    assert documented(local, status, body) in {*SIGNATURE_CODES, ""}


@FEW
@given(cut=st.integers(0, 200), what=st.sampled_from(["truncate", "double", "case", "swap"]))
def test_a_damaged_authorization_is_refused(local: Local, cut: int, what: str) -> None:
    headers = signed(headers_of(local, "DescribeRegions"), "")
    whole = headers["authorization"]
    at = cut % len(whole)
    headers["authorization"] = {
        "truncate": whole[:at],
        "double": whole + whole[at:] + "x",
        "case": whole[:at] + whole[at:].swapcase(),
        "swap": whole[at:] + whole[:at],
    }[what]
    status, body = exchange(local, wire(headers, ""))
    assert documented(local, status, body) in {*SIGNATURE_CODES, ""}
    assert status != 200 or headers["authorization"] == whole or what in ("case", "swap")


def v1_query(**changed: str | None) -> str:
    params: dict[str, str | None] = {
        "Action": "DescribeRegions",
        "Version": "2014-05-26",
        "Format": "JSON",
        "AccessKeyId": "testid",
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": f"fuzz-{next(NONCES)}",
        **changed,
    }
    kept = {name: value for name, value in params.items() if value is not None}
    if "Signature" not in params:
        kept["Signature"] = v1.sign("testsecret", "GET", kept)
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in kept.items())


def ask_v1(local: Local, **changed: str | None) -> tuple[int, bytes]:
    return exchange(local, wire({"host": local.host}, v1_query(**changed), method="GET"))


V1_NAMES: Final = (
    *("Action", "Version", "AccessKeyId", "Timestamp", "SignatureMethod", "SignatureVersion", "SignatureNonce"),
    *("Signature", "SignatureType", "SecurityToken"),
)


@FEW
@given(name=st.sampled_from(V1_NAMES), value=st.one_of(st.none(), st.text(max_size=30), st.sampled_from(VALUES)))
def test_any_parameter_of_the_older_signature_is_answered_as_documented(
    local: Local, name: str, value: str | None
) -> None:
    status, body = ask_v1(local, **{name: value})
    assert documented(local, status, body) in {*SIGNATURE_CODES, ""}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"SignatureMethod": "HMAC-SHA256"}, "InvalidParameter"),
        ({"SignatureVersion": "2.0"}, "InvalidParameter"),
        ({"SignatureType": "BEARERTOKEN"}, "UnsupportedParameter"),
        ({"SignatureNonce": ""}, "IncompleteSignature"),
        ({"SignatureNonce": "n" * 10_000}, "InvalidParameter"),
        ({"Signature": ""}, "IncompleteSignature"),
        ({"Signature": "AAAA"}, "SignatureDoesNotMatch"),
        ({"AccessKeyId": "nobody"}, "InvalidAccessKeyId.NotFound"),
        ({"Timestamp": "yesterday"}, "InvalidTimeStamp.Format"),
        ({"Timestamp": "2016-02-23T12:46:24Z"}, "InvalidTimeStamp.Expired"),
        ({"Timestamp": "9999-12-31T23:59:59Z"}, "InvalidTimeStamp.Expired"),
        ({"Timestamp": "0001-01-01T00:00:00Z"}, "InvalidTimeStamp.Expired"),
        ({"Format": "YAML"}, "InvalidParameter"),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_older_signature_is_said(local: Local, changed: dict[str, str], code: str) -> None:
    status, body = ask_v1(local, **changed)
    assert (status, json.loads(body)["Code"]) == (400, code)


def test_a_bearer_token_is_refused_loudly(local: Local) -> None:
    status, body = call(local, "DescribeRegions", more={"x-acs-bearer-token": "t"})
    assert (status, body["Code"]) == (400, "UnsupportedParameter")
    assert "bearer" in body["Message"]


def test_a_signature_is_good_for_one_request(local: Local) -> None:
    data = wire(signed(headers_of(local, "DescribeRegions"), ""), "")
    assert exchange(local, data)[0] == 200
    status, body = exchange(local, data)
    assert (status, json.loads(body)["Code"]) == (400, "SignatureNonceUsed")


# -- bodies, large and slow


def test_a_body_that_is_announced_too_large_is_refused_unread(local: Local) -> None:
    headers = {**signed(headers_of(local, "DescribeRegions"), ""), "content-length": str(1 << 40)}
    with connected(local) as raw:
        lines = [f"{name}: {value}" for name, value in headers.items()]
        raw.sendall(("POST / HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode())
        status, body = answer(raw)
        assert (status, documented(local, status, body)) == (413, "InvalidParameter")
        assert raw.recv(1) == b"", "the connection is closed: what follows would be taken for a request"


@pytest.mark.parametrize("path", ["/", "/_emulator/clock", "/2023-03-30/functions/f/invocations"])
def test_a_body_that_grows_without_end_in_chunks_is_refused(local: Local, path: str) -> None:
    with connected(local) as raw:
        raw.sendall(f"POST {path} HTTP/1.1\r\nhost: {local.host}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        begun = monotonic()
        with suppress(ConnectionError):
            while monotonic() - begun < 10:
                raw.sendall(chunk)
    assert monotonic() - begun < 5, "it read on"


@pytest.mark.parametrize("path", ["/", "/_emulator/clock", "/_emulator/faults", "/2023-03-30/functions/f/invocations"])
def test_a_body_that_never_comes_is_waited_for_in_vain_but_not_for_ever(local: Local, path: str) -> None:
    with connected(local) as raw:
        raw.sendall(f"POST {path} HTTP/1.1\r\nhost: {local.host}\r\ncontent-length: 5\r\n\r\nab".encode())
        assert call(local, "DescribeRegions")[0] == 200, "meanwhile others are served"
        assert answer(raw)[0] in (400, 408)


def drips(raw: socket.socket, data: bytes) -> float:
    """Seconds until the server has had enough of one byte now and then."""
    begun, gone = monotonic(), Event()

    def drip() -> None:
        try:
            for at in range(len(data)):
                raw.sendall(data[at : at + 1])
                if gone.wait(0.05):
                    return
        except OSError:
            return

    dripping = Thread(target=drip)
    dripping.start()
    try:
        answer(raw)
    finally:
        gone.set()
        dripping.join()
    return monotonic() - begun


def test_a_body_that_drips_is_not_waited_for(local: Local) -> None:
    with connected(local) as raw:
        raw.sendall(f"POST / HTTP/1.1\r\nhost: {local.host}\r\ncontent-length: 1000\r\n\r\n".encode())
        assert drips(raw, b"x" * 1_000) < 5


def test_headers_that_drip_or_stall_are_not_waited_for(local: Local) -> None:
    head = f"POST / HTTP/1.1\r\nhost: {local.host}\r\nx: ".encode()
    with ExitStack() as stalled:
        still = [stalled.enter_context(connected(local)) for _ in range(20)]
        for number, raw in enumerate(still):
            raw.sendall(head[: number * 3])  # one of them sends nothing at all
        with connected(local) as raw:
            assert drips(raw, head + b"x" * 1_000) < 5
        begun = monotonic()
        for raw in still:
            assert answer(raw)[0] in (0, 400)
        assert monotonic() - begun < 5


def test_a_connection_between_two_calls_is_kept(local: Local) -> None:
    with connected(local) as raw:
        for _ in range(2):
            raw.sendall(wire(signed(headers_of(local, "DescribeRegions"), ""), ""))
            assert answer(raw)[0] == 200
            Event().wait(1.6)  # longer than the patience with heads


def test_clients_that_leave_in_the_middle_are_forgotten(local: Local) -> None:
    whole = wire(signed(headers_of(local, "DescribeRegions"), ""), "", body=b"x" * 20)
    for cut in range(1, len(whole), 23):
        with connected(local) as raw:
            raw.sendall(whole[:cut])
            if cut % 2:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leave with a reset


def test_a_client_that_closes_its_half_gets_its_answer(local: Local) -> None:
    with connected(local) as raw:
        raw.sendall(wire(signed(headers_of(local, "DescribeRegions"), ""), ""))
        raw.shutdown(socket.SHUT_WR)
        assert answer(raw)[0] in (0, 200)


@FEW
@given(noise=st.binary(max_size=300), pipelined=st.booleans())
def test_what_is_no_http_is_refused(local: Local, noise: bytes, pipelined: bool) -> None:
    good = wire(signed(headers_of(local, "DescribeRegions"), ""), "")
    with connected(local) as raw:
        raw.sendall(good + noise + b"\r\n\r\n" if pipelined else noise + b"\r\n\r\n")
        raw.shutdown(socket.SHUT_WR)
        status = answer(raw)[0]
    assert status in ((0, 200, 400) if pipelined else (0, *range(400, 500)))


@pytest.mark.parametrize(
    "data",
    [
        b"GET /\r\n\r\n",
        b"GET / HTTP/0.9\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET http://other/ HTTP/1.1\r\nhost: a\r\n\r\n",
        b"CONNECT other:443 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET //../.. HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /%00%ff HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 200-ok\r\ncontent-length: 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 50_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
    ],
    ids=lambda data: repr(data[:28]),
)
def test_strange_http_is_answered_or_refused(local: Local, data: bytes) -> None:
    with connected(local) as raw:
        with suppress(OSError):  # it may be refused, and closed, before all of it is sent
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
        assert answer(raw)[0] in (0, *range(200, 500))


def test_many_calls_in_one_write_are_all_answered(local: Local) -> None:
    with connected(local) as raw:
        raw.sendall(b"".join(wire(signed(headers_of(local, "DescribeRegions"), ""), "") for _ in range(30)))
        raw.shutdown(socket.SHUT_WR)
        told = b""
        while part := raw.recv(65_536):
            told += part
    assert told.count(b"HTTP/1.1 200") in range(1, 31)


# -- the admin door, the guests' door

WRONG = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "x", "i-a", "d-a", "cn-hangzhou-h", "2026-03-02", "PutRow", "throttle", "acs"])
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ADMIN_FIELDS: Final = (
    *("rate", "to", "dark", "recovers", "zone", "type", "count", "shows", "enable", "random", "function"),
    *(
        "kind",
        "action",
        "calls",
        "seconds",
        "probability",
        "for",
        "until",
        "rows",
        "limit",
        "status",
        "code",
        "service",
    ),
    *("name", "content", "resource", "level", "product", "account", "region", "on", "url", "shape", "method", "filter"),
    *("key", "pid", "refuse", "enabled", "reason", "locked", "in_seconds", "inquires", "moment", "instance", "how"),
)


SKIPPED: Final = frozenset(["/_emulator/clock"])
"""Moving the clock by centuries is a wish, not damage; its own test follows."""


@pytest.fixture(scope="module")
def doors(local: Local) -> list[tuple[str, str]]:
    """(method, path) of every route of the admin door, with names that exist."""
    listed = requests.get(f"{local.url}/_emulator/", timeout=5).json()
    return [(row["method"], row["path"]) for row in listed["routes"]]


@settings(parent=FEW, max_examples=400)
@given(data=st.data())
def test_the_admin_door_refuses_nonsense_in_one_sentence(local: Local, doors: Any, data: st.DataObject) -> None:
    method, path = data.draw(st.sampled_from([door for door in doors if door[1] not in SKIPPED]))
    for name in ("id", "instance", "zone", "key", "table", "name", "trigger"):
        path = path.replace(
            f"{{{name}}}", data.draw(st.sampled_from(["i-a", "d-a", "cn-hangzhou-h", "testidx", "é%2f"]))
        )
    body = data.draw(st.one_of(st.dictionaries(st.sampled_from(ADMIN_FIELDS), WRONG, max_size=5), WRONG))
    query = data.draw(st.sampled_from(["", "?limit=x", "?limit=-1", "?tail=x", "?as=x", "?function=%ff"]))
    answered = requests.request(method, local.url + path + query, json=body, timeout=10)
    assert answered.status_code in range(200, 500), (method, path, body, answered.text)
    if answered.status_code >= 400:
        assert 0 < len(answered.text) < 4_000


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 50_000, b"\xff", b"[]", b"null", b'{"advance": "x"}', b'{"advance": NaN}', b'{"to": 5}',
             b'{"rate": -1}', b'{"advance": true}', b'{"to": "9999-12-31T23:59:59+14:00"}', b'{"advance": 1e300}',
             b'{"rate": 1e300}', b'{"to": "yesterday"}', b'{"advance": 1e999}'],
)  # fmt: skip
def test_the_clock_is_not_moved_by_nonsense(local: Local, body: bytes) -> None:
    before = local.run(local.cloud.clock.now)
    answered = requests.post(f"{local.url}/_emulator/clock", data=body, timeout=10)
    assert answered.status_code == 400
    assert local.run(local.cloud.clock.now) == before


@pytest.mark.parametrize("path", ["/_guest/x/disks", "/_guest/x/disks/vdb?offset=-1", "/_guest/%00/disks/%ff?length=x",
                                  "/_guest/x/latest/meta-data/ram/security-credentials/", "/_guest/"])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_the_guests_door_knows_its_guests(local: Local, method: str, path: str) -> None:
    answered = requests.request(method, local.url + path, data=b"x" * 100, timeout=10)
    assert answered.status_code in range(400, 500)


# -- Function Compute


@FEW
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    root=st.sampled_from(["/2023-03-30/", "/2016-08-15/", "/_fc/http/"]),
    rest=st.lists(st.sampled_from(["functions", "f", "invocations", "triggers", "é", "..", "%00"]), max_size=5),
    body=st.binary(max_size=30),
    value=ODD_TEXT,
)  # fmt: skip
def test_paths_of_functions_are_answered_in_their_envelope(
    local: Local, method: str, root: str, rest: list[str], body: bytes, value: str
) -> None:
    path = root + "/".join(quote(part, safe="%.") for part in rest)
    lines = f"{method} {path} HTTP/1.1\r\nhost: {local.host}\r\nauthorization: {value}\r\ndate: {value}\r\n"
    head = f"x-fc-invocation-type: {value}\r\ncontent-length: {len(body)}\r\n\r\n"
    status, told = exchange(local, (lines + head).encode("latin-1", errors="replace") + body)
    assert status in (0, *range(400, 500))
    if told.startswith(b"{"):
        assert json.loads(told).get("Code") or json.loads(told).get("ErrorCode")


# -- DNS


def dns_address(local: Local) -> tuple[str, int]:
    assert local.dns is not None
    host, _, port = local.dns.partition(":")
    return host, int(port)


@pytest.fixture
def resolves(local: Local) -> Iterator[None]:
    yield
    host, port = dns_address(local)
    query = dns.message.make_query("www.corp.example", "A")
    assert "10.0.0.9" in dns.query.udp(query, host, timeout=5, port=port).to_text()
    assert "10.0.0.9" in dns.query.tcp(query, host, timeout=5, port=port).to_text()


QUESTION: Final = dns.message.make_query("www.corp.example", "A").to_wire()
LOOPS: Final = (
    QUESTION[:12] + b"\xc0\x0c\x00\x01\x00\x01",
    QUESTION[:12] + b"\xc0\x0e\xc0\x0c\x00\x01\x00\x01",
    QUESTION[:12] + b"\x3f" + b"a" * 10,
    QUESTION[:12] + b"\xff\xff",
    QUESTION[:4] + b"\xff\xff\xff\xff\xff\xff\xff\xff" + QUESTION[12:],
    QUESTION[:2] + b"\x80\x00" + QUESTION[4:],
    QUESTION[:2] + b"\x28\x00" + QUESTION[4:],
    b"",
    b"\0" * 12,
    b"\xff" * 512,
)


@st.composite
def datagrams(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        return draw(st.one_of(st.binary(max_size=100), st.sampled_from(LOOPS)))
    data = bytearray(QUESTION)
    for _ in range(draw(st.integers(1, 5))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data) + draw(st.binary(max_size=20))


@settings(parent=FEW, max_examples=600)
@given(data=datagrams())
def test_any_datagram_is_answered_or_ignored(local: Local, data: bytes) -> None:
    server = DnsServer(local.cloud)
    told = server.answer(data, limit=512)
    assert told is None or len(told) >= 12


def test_datagrams_that_are_none_leave_the_server_alone(local: Local, resolves: None) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
        for data in (*LOOPS, *(QUESTION[:cut] for cut in range(len(QUESTION)))):
            raw.sendto(data, dns_address(local))


def test_lengths_that_lie_and_clients_that_stall_on_tcp_leave_the_server_alone(local: Local, resolves: None) -> None:
    with ExitStack() as stalled:
        for data in (b"", b"\0", b"\0\0", b"\xff\xffab", b"\0\x01a", *(len(d).to_bytes(2, "big") + d for d in LOOPS)):
            raw = stalled.enter_context(socket.create_connection(dns_address(local), timeout=5))
            raw.sendall(data)
        query = dns.message.make_query("www.corp.example", "A")
        host, port = dns_address(local)
        assert dns.query.tcp(query, host, timeout=5, port=port).answer
