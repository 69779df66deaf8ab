"""Failures of the SDK and its transport, sorted by whether the request can have been applied."""

from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLCertVerificationError
from typing import Final, NoReturn

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tablestore.error import OTSClientError, OTSServiceError
from urllib3 import exceptions as http

from shared.adapters.ots_codes import service_error
from shared.domain.errors import OutcomeUnknown, Retryable

_NOT_SENT: Final = (
    http.NewConnectionError,  # refused, no route; a failed name look-up is a kind of it
    http.ConnectTimeoutError,
    http.EmptyPoolError,
)


@contextmanager
def translated(what: str, *, writes: bool) -> Iterator[None]:
    """Errors of one call. `what` names operation, table and place for the human who reads the message."""
    try:
        yield
    except OTSServiceError as error:
        raise service_error(what, error.http_status, error.code, error.message, writes=writes) from error
    except (OTSClientError, DecodeError, ValueError) as error:
        # The answer cannot be trusted or read: a write may well have been applied, and after a 2xx it has been.
        _unanswered(what, f"the answer cannot be trusted ({error})", writes=writes, cause=error)
    except http.HTTPError as error:
        if _was_not_sent(error):
            raise Retryable(f"{what}: the state store cannot be reached, nothing was sent ({error})") from error
        _unanswered(what, f"no answer ({type(error).__name__}: {error})", writes=writes, cause=error)


def _unanswered(what: str, why: str, *, writes: bool, cause: Exception) -> NoReturn:
    if writes:
        raise OutcomeUnknown(f"{what}: {why}; the write may have been applied, read back first") from cause
    raise Retryable(f"{what}: {why}") from cause


def _was_not_sent(error: http.HTTPError) -> bool:
    reason = error.reason if isinstance(error, http.MaxRetryError) else error
    # Other TLS errors can also come while the answer is read.
    untrusted = isinstance(reason, http.SSLError) and any(isinstance(a, SSLCertVerificationError) for a in reason.args)
    return untrusted or isinstance(reason, _NOT_SENT)
