"""The state store over HTTP when the wire misbehaves: what was certainly not sent, what may have been applied."""

import logging
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from emulator.faults.fault import Fault
from emulator.keys import Key
from emulator.tablestore.errors import OtsError, row_conflict
from emulator.testing import Local, mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.ots import OtsStore, OtsTables
from shared.domain.errors import BadInput, Conflict, Forbidden, OutcomeUnknown, Permanent, QuotaReached, Retryable
from shared.ports.store import Absent, Anything, Matches, Row, Write

SCHEMA = {"leases": ("pair",), "slots": ("subject", "due")}
ROW = Row(key=("a",), columns={"n": 1})
SOON = timedelta(seconds=0.3)


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun() as running:
        OtsTables(**where(running)).create_tables(SCHEMA)
        yield running


@pytest.fixture
def clean(local: Local) -> Iterator[Local]:
    store = OtsStore(**where(local), schema=SCHEMA)
    store.delete("leases", ("a",), condition=Anything())
    store.close()
    yield local
    local.run(local.cloud.tablestore.faults.clear)


def where(local: Local, key: Credentials | None = None, **changed: Any) -> dict[str, Any]:
    chosen = key or Credentials(*local.access_key)
    return {"endpoint": local.url, "instance": local.ots_instance, "credentials": lambda: chosen, **changed}


def elsewhere(endpoint: str) -> OtsStore:
    key = Credentials("testid", "testsecret")
    return OtsStore(endpoint=endpoint, instance="understudy", credentials=lambda: key, timeout=SOON, schema=SCHEMA)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def answering(status: int, body: bytes, headers: dict[str, str]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_refused_connection_means_that_nothing_was_sent() -> None:
    store = elsewhere(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Retryable, match=r"cannot be reached, nothing was sent"):
        store.get("leases", ("a",))
    with pytest.raises(Retryable, match=r"PutRow leases .*nothing was sent"):
        store.put("leases", ROW, condition=Anything())
    with pytest.raises(Retryable):
        store.put_many([Write(table="leases", row=ROW)])


def test_a_name_that_does_not_resolve_means_that_nothing_was_sent() -> None:
    store = elsewhere("http://no-such-host.invalid")
    with pytest.raises(Retryable, match="nothing was sent"):
        store.put("leases", ROW, condition=Anything())


def test_a_silent_store_leaves_a_write_unknown_and_a_read_retryable() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:  # the kernel accepts, nobody answers
        store = elsewhere(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(OutcomeUnknown, match="may have been applied"):
            store.put("leases", ROW, condition=Anything())
        with pytest.raises(Retryable, match="no answer"):
            store.get("leases", ("a",))
        with pytest.raises(Retryable, match="no answer"):
            list(store.scan("slots", ("i",)))
        store.close()


def test_a_store_that_does_not_even_accept_is_given_up_soon_and_nothing_was_sent() -> None:
    with closing(socket.socket()) as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        with closing(socket.create_connection(address)), closing(socket.socket()) as second:
            second.setblocking(False)
            second.connect_ex(address)  # the backlog is full now: further connects hang, as in a dark zone
            store = elsewhere(f"http://127.0.0.1:{address[1]}")
            with pytest.raises((Retryable, OutcomeUnknown)) as caught:
                store.put("leases", ROW, condition=Anything())
            store.close()
    assert isinstance(caught.value, Retryable), caught.value


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        pytest.param(502, b"<html>Bad Gateway</html>", {}, id="a proxy's page"),
        pytest.param(500, b"", {}, id="an empty 500"),
        pytest.param(200, b"", {}, id="a 200 without its headers"),
        pytest.param(200, b"", {"Authorization": "OTS nonsense"}, id="a 200 with a broken signature"),
        pytest.param(
            200,
            b"",
            {
                "x-ots-contentmd5": "wrong",
                "x-ots-requestid": "r",
                "x-ots-date": "2026-03-02T00:00:00.000Z",
                "x-ots-contenttype": "protocol buffer",
            },
            id="a 200 with a wrong checksum",
        ),
    ],
)
def test_an_answer_that_cannot_be_trusted_leaves_a_write_unknown(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    with answering(status, body, headers) as url:
        store = elsewhere(url)
        with pytest.raises(OutcomeUnknown):
            store.put("leases", ROW, condition=Anything())
        with pytest.raises(Retryable):
            store.get("leases", ("a",))
        store.close()


def test_wrong_or_unknown_keys_are_forbidden_with_a_remedy(clean: Local) -> None:
    for key in (Credentials("testid", "wrong"), Credentials("nobody", "testsecret")):
        store = OtsStore(**where(clean, key), schema=SCHEMA)
        with pytest.raises(Forbidden, match=r"OTSAuthFailed .*credentials"):
            store.put("leases", ROW, condition=Anything())
        store.close()
    store = OtsStore(**where(clean, instance="another"), schema=SCHEMA)
    with pytest.raises(Forbidden, match="instance is not found"):
        store.get("leases", ("a",))
    store.close()


@pytest.mark.parametrize("region", [None, "cn-hangzhou"], ids=["V2", "V4"])
def test_credentials_are_read_at_every_call_and_expire_on_the_emulated_clock(clean: Local, region: str | None) -> None:
    issued: list[Key] = [clean.run(lambda: clean.cloud.keys.issue("watch", lifetime=timedelta(hours=1)))]

    def now() -> Credentials:
        return Credentials(issued[-1].id, issued[-1].secret, issued[-1].token)

    store = OtsStore(**where(clean, credentials=now, region=region), schema=SCHEMA)
    store.put("leases", ROW, condition=Absent())

    clean.advance(3601)
    with pytest.raises(Forbidden, match="expired"):
        store.get("leases", ("a",))

    issued.append(clean.run(lambda: clean.cloud.keys.issue("watch")))
    assert store.get("leases", ("a",)) == ROW
    store.close()


def test_a_lock_that_goes_away_is_waited_out_and_nobody_hears_of_it(clean: Local) -> None:
    store = OtsStore(**where(clean), schema=SCHEMA)
    left = 2

    def locked_twice(operation: str, _table: str, moment: str) -> None:
        nonlocal left
        if operation in ("PutRow", "BatchWriteRow") and moment == "before" and left:
            left -= 1
            raise row_conflict()

    clean.run(lambda: clean.cloud.tablestore.faults.append(locked_twice))
    store.put("leases", ROW, condition=Absent())
    left = 1
    store.put_many([Write(table="leases", row=ROW)])
    assert store.get("leases", ("a",)) == ROW
    store.close()


def test_one_rows_failure_in_a_batch_is_reported_and_the_other_rows_stand(clean: Local) -> None:
    store = OtsStore(**where(clean), schema=SCHEMA)
    with pytest.raises(Permanent, match=r"row \('k"):
        store.put_many([Write(table="leases", row=Row(key=("k" * 1025,))), Write(table="leases", row=ROW)])
    assert store.get("leases", ("a",)) == ROW
    store.close()


def test_a_lost_compare_and_set_is_not_logged_as_an_error(clean: Local, caplog: pytest.LogCaptureFixture) -> None:
    store = OtsStore(**where(clean), schema=SCHEMA)
    with caplog.at_level(logging.DEBUG), pytest.raises(Conflict):
        store.update("leases", ROW, condition=Matches({"n": 2}))
    assert not [r for r in caplog.records if r.name.startswith("tablestore")]
    store.close()


def test_an_endpoint_without_a_scheme_or_an_empty_instance_is_bad_input() -> None:
    key = Credentials("testid", "testsecret")
    with pytest.raises(BadInput, match="http://"):
        OtsStore(endpoint="127.0.0.1:1", instance="understudy", credentials=lambda: key)
    with pytest.raises(BadInput, match="UNDERSTUDY_OTS_INSTANCE"):
        OtsStore(endpoint="http://127.0.0.1:1", instance="", credentials=lambda: key)


def test_tables_are_made_once_and_a_foreign_one_is_refused(local: Local) -> None:
    local.run(lambda: local.cloud.ots_instances.add("fresh"))
    tables = OtsTables(**where(local, instance="fresh"))

    assert tables.create_tables({"leases": ("pair",)}) == ("leases",)
    assert tables.create_tables(SCHEMA) == ("slots",)
    assert tables.create_tables(SCHEMA) == ()
    with pytest.raises(BadInput, match=r"leases .*exists with key columns"):
        tables.create_tables({"leases": ("pair", "epoch")})
    tables.close()


def test_history_is_forgotten_and_what_decides_is_kept(local: Local) -> None:
    local.run(lambda: local.cloud.ots_instances.add("forgets"))
    tables = OtsTables(**where(local, instance="forgets"))
    tables.create_tables({"slots": SCHEMA["slots"]}, kept_for={})  # as an older version made it
    tables.create_tables(SCHEMA)
    store = OtsStore(**where(local, instance="forgets"), schema=SCHEMA)
    store.put("slots", Row(key=("i-a", "2026"), columns={"body": "taken"}), condition=Anything())
    store.put("leases", Row(key=("region",), columns={"epoch": 1}), condition=Anything())

    local.advance(timedelta(days=399).total_seconds())
    assert store.get("slots", ("i-a", "2026")) is not None
    local.advance(timedelta(days=2).total_seconds())

    assert store.get("slots", ("i-a", "2026")) is None
    assert store.get("leases", ("region",)) is not None
    tables.close()
    store.close()


def test_set_up_says_when_the_instance_can_hold_no_more_tables(local: Local) -> None:
    local.run(lambda: local.cloud.ots_instances.add("full"))
    tables = OtsTables(**where(local, instance="full"))
    with pytest.raises(QuotaReached, match="exceeded the quota"):
        tables.create_tables({f"t{n}": ("k",) for n in range(65)})
    tables.close()


def test_set_up_makes_more_tables_than_a_second_takes(local: Local) -> None:
    local.run(lambda: local.cloud.ots_instances.add("many"))
    tables = OtsTables(**where(local, instance="many"))
    local.run(lambda: local.cloud.clock.set_rate(10))
    try:
        assert len(tables.create_tables({f"t{n}": ("k",) for n in range(30)})) == 30
    finally:
        local.run(lambda: local.cloud.clock.set_rate(0))
    tables.close()


def test_set_up_is_patient_with_the_rate_of_table_operations(local: Local) -> None:
    local.run(lambda: local.cloud.ots_instances.add("slow"))
    tables = OtsTables(**where(local, instance="slow"))
    times = 2

    def hurried(operation: str, _table: str, moment: str) -> None:
        nonlocal times
        if operation == "CreateTable" and moment == "before" and times:
            times -= 1
            raise OtsError(403, "OTSQuotaExhausted", "Too frequent table operations.")

    local.run(lambda: local.cloud.tablestore.faults.append(hurried))
    assert tables.create_tables({"leases": ("pair",)}) == ("leases",)
    local.run(local.cloud.tablestore.faults.clear)
    tables.close()


@pytest.mark.parametrize("action", ["ListTable", "CreateTable", "DescribeTable"])
@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("error", {"status": 503, "code": "OTSServerBusy"}),
        ("error", {"status": 503, "code": "OTSServerUnavailable"}),
        ("error_after", {"status": 503, "code": "OTSTimeout"}),
        ("timeout_before", {}),
        ("timeout_after", {}),
        ("reset_before", {}),
        ("reset_after", {}),
        ("html", {}),
        ("html_after", {}),
        ("empty_body_after", {}),
        ("bad_signature", {}),
    ],
)
def test_set_up_that_met_a_fault_is_completed_by_doing_it_again(
    local: Local, request: pytest.FixtureRequest, kind: str, how: dict[str, Any], action: str
) -> None:
    """It may fail in words of ours, never half-way for good: what is there is found, what is missing is made."""
    name = f"f{zlib.crc32(request.node.nodeid.encode()):x}"
    local.run(lambda: local.cloud.ots_instances.add(name))
    tables = OtsTables(**where(local, instance=name, timeout=SOON))
    tables.create_tables({"leases": SCHEMA["leases"]})
    struck = local.run(lambda: len(local.cloud.faults.log))
    local.run(lambda: local.cloud.faults.add(Fault(kind=kind, service="ots", action=action, **how)))
    try:
        with suppress(Retryable, OutcomeUnknown):
            tables.create_tables(SCHEMA)
        assert local.run(lambda: len(local.cloud.faults.log)) == struck + 1, "the fault did not strike"
    finally:
        local.run(local.cloud.faults.clear)

    tables.create_tables(SCHEMA)
    assert tables.create_tables(SCHEMA) == ()
    tables.close()
