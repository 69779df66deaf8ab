"""The cloud's codes, and what becomes of answers that are none."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from shared.adapters.cloud_errors import translate
from shared.adapters.credentials import Credentials, from_environment
from shared.adapters.ecs import EcsInventory
from shared.adapters.ecs_snapshots import EcsSnapshots
from shared.adapters.sdk import Endpoint
from shared.domain.errors import (
    AddressTaken,
    BadInput,
    Busy,
    Conflict,
    CredentialsRejected,
    DrError,
    Forbidden,
    NoStock,
    NotAttached,
    NotFound,
    OutcomeUnknown,
    Permanent,
    QuotaReached,
    Retryable,
    Throttled,
)
from shared.domain.ids import DiskId


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("Throttling.User", 400, Throttled),
        ("Rejected.Throttling", 400, Throttled),
        ("ServiceUnavailable", 503, Retryable),
        ("IncorrectDiskStatus.CreatingSnapshot", 400, Busy),
        ("QuotaExceed.ConcurrentSnapshotQuota", 403, Busy),
        ("IdempotentProcessing", 403, Retryable),
        ("OperationDenied.NoStock", 403, NoStock),
        ("InvalidDiskCategory.NotSupported", 403, NoStock),
        ("InvalidPrivateIpAddress.Duplicated", 400, AddressTaken),
        ("IncorrectVSwitchStatus", 400, Retryable),
        ("InvalidUser.PassRoleForbidden", 403, Forbidden),
        ("InvalidKeyPairName.NotFound", 404, NotFound),
        ("InvalidSecurityGroupId", 404, NotFound),
        ("InvalidImageName.Duplicated", 400, Permanent),
        ("IncorrectInstanceStatus", 403, Permanent),
        ("IncorrectInstanceStatus.NeedRestart", 403, Permanent),
        ("IncorrectDiskStatus", 403, Permanent),
        ("InvalidParameter.Mismatch", 403, Permanent),
        ("IncorrectDiskStatus.HasUnfinishedSnapshot", 403, Busy),
        ("InvalidOperation.DiskResetInProgress", 403, Busy),
        ("DiskCreatingSnapshot", 403, Busy),
        ("InvalidSnapshotId.NotReady", 403, Busy),
        ("InvalidSnapshot.NotReady", 403, Busy),
        ("SnapshotNotReady", 403, Busy),
        ("TooManySnapshot.Unfinished", 403, Busy),
        ("OperationConflict.DisksAttachingParallellyExceed", 400, Busy),
        ("DisksDetachingOnEcsExceeded", 400, Busy),
        ("InvalidDisk.AlreadyDetached", 404, NotAttached),
        ("InvalidOperation.DiskDetachingFromThisEcs", 403, NotAttached),
        ("InvalidSourceSnapshot", 403, NotFound),
        ("SharedImageDeleted", 403, NotFound),
        ("QuotaExceed.Snapshot", 403, QuotaReached),
        ("QuotaExceeded.PrivateIpAddress", 403, QuotaReached),
        ("InvalidAccountStatus.NotEnoughBalance", 403, QuotaReached),
        ("InvalidAccessKeyId.NotFound", 404, CredentialsRejected),
        ("InvalidSecurityToken.Expired", 400, CredentialsRejected),
        ("Forbidden.RAM", 403, Forbidden),
        ("SignatureDoesNotMatch", 400, Forbidden),
        ("InvalidDiskId.NotFound", 404, NotFound),
        ("InvalidAction.NotFound", 404, Permanent),
        ("IdempotentParameterMismatch", 403, Conflict),
        ("IdempotenceParamNotMatch", 400, Conflict),
        ("SnapshotCreatedImage", 403, Permanent),
        ("SomethingNew", 400, Permanent),
    ],
)
@pytest.mark.parametrize("changes", [True, False])
def test_what_a_code_means(code: str, status: int, error: type[DrError], changes: bool) -> None:
    found = translate("ecs Act", code=code, status=status, message="m", changes=changes)

    assert type(found) is error
    assert code in str(found)


def test_a_server_fault_may_have_had_its_effect() -> None:
    def fault(changes: bool) -> DrError:
        return translate("ecs Act", code="InternalError", status=500, message="m", changes=changes)

    assert type(fault(True)) is OutcomeUnknown
    assert type(fault(False)) is Retryable


def test_an_error_within_a_success_is_not_trusted_either() -> None:
    args = {"code": "SomethingNew", "status": 200, "message": "m"}
    assert type(translate("ecs Act", changes=True, **args)) is OutcomeUnknown  # type: ignore[arg-type]
    assert type(translate("ecs Act", changes=False, **args)) is Retryable  # type: ignore[arg-type]
    known = translate("ecs Act", code="InvalidDiskId.NotFound", status=200, message="m", changes=True)
    assert type(known) is NotFound


def test_how_long_to_wait_is_passed_on() -> None:
    wait = timedelta(seconds=2)

    error = translate("x", code="Throttling", status=429, message="m", changes=True, retry_after=wait)

    assert isinstance(error, Retryable)
    assert error.retry_after == wait


# No answer, or none that can be read ----------------------------------------------------------------------------------


@contextmanager
def answering(status: int, body: bytes, headers: dict[str, str] | None = None) -> Iterator[str]:
    """A server that gives everybody the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def keys() -> Credentials:
    return Credentials("testid", "testsecret")


def ask_and_change(url: str) -> tuple[DrError, DrError]:
    """What a read and what a change end in."""
    where = Endpoint("cn-hangzhou", url)
    with pytest.raises(DrError) as read:
        list(EcsInventory(endpoint=where, credentials=keys).instances())
    with pytest.raises(DrError) as change:
        EcsSnapshots(endpoint=where, credentials=keys).create(DiskId("d-1"), name="one", tags={}, token="t")
    return read.value, change.value


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(502, b"<html>Bad Gateway</html>", id="a gateway's page"),
        pytest.param(200, b"", id="nothing"),
        pytest.param(200, b"[]", id="a list"),
        pytest.param(200, b'{"RequestId": "r"}', id="nothing but a request id"),
        pytest.param(500, b'{"Code": "InternalError", "Message": "m", "RequestId": "r"}', id="an internal error"),
        pytest.param(200, b'{"RequestId": "r", "Instances": [1], "SnapshotId": ""}', id="wrong shapes"),
    ],
)
def test_an_answer_that_is_none_is_never_a_result(status: int, body: bytes) -> None:
    with answering(status, body) as url:
        read, change = ask_and_change(url)

    assert type(read) is Retryable
    assert type(change) is OutcomeUnknown


def test_a_port_where_nobody_listens() -> None:
    with answering(200, b"") as url:
        pass

    read, change = ask_and_change(url)

    assert type(read) is Retryable
    assert type(change) is OutcomeUnknown


def test_throttling_tells_when_to_come_back() -> None:
    body = b'{"Code": "Throttling.User", "Message": "slow down", "RequestId": "r"}'
    with answering(400, body, {"x-acs-retry-after": "1500"}) as url:
        read, change = ask_and_change(url)

    for error in (read, change):
        assert isinstance(error, Retryable)
        assert error.retry_after == timedelta(milliseconds=1500)


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://127.0.0.1", "http://127.0.0.1/path"])
def test_an_endpoint_of_another_form_is_refused_with_a_remedy(url: str) -> None:
    with pytest.raises(BadInput, match="UNDERSTUDY_ENDPOINT"):
        Endpoint("cn-hangzhou", url).config(keys())


def test_credentials_are_read_anew_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "one")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s")
    monkeypatch.delenv("ALIBABA_CLOUD_SECURITY_TOKEN", raising=False)
    first = from_environment()
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "two")

    assert (first.access_key_id, from_environment().access_key_id) == ("one", "two")
    assert "'s'" not in repr(first)  # secrets stay out of logs


def test_missing_credentials_are_named_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "one")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "")

    with pytest.raises(BadInput, match=r"ALIBABA_CLOUD_ACCESS_KEY_SECRET.*role"):
        from_environment()
