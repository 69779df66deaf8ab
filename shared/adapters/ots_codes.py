"""Tablestore's refusals, sorted into our errors: one table, and beyond here nobody looks at a code. Knows no SDK.

Sources: Tablestore developer guide, error codes (2025); the retry lists of the official Python SDK 6.4 (`retry.py`):
what it repeats for writes is what certainly was not applied.
"""

from datetime import timedelta
from typing import Final

from shared.domain.errors import (
    Conflict,
    CredentialsRejected,
    DrError,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    Permanent,
    QuotaReached,
    Retryable,
)

NOTHING_WRITTEN: Final = frozenset(
    {
        "OTSRowOperationConflict",  # the row is locked by somebody else's write
        "OTSServerBusy",
        "OTSPartitionUnavailable",  # the partition moves or splits
        "OTSTableNotReady",  # just created
        "OTSNotEnoughCapacityUnit",
        "OTSOperationThrottled",
        "OTSOperationConflict",
    }
)
_FORBIDDEN: Final = frozenset({"OTSAuthFailed", "OTSNoPermissionAccess"})
_EXHAUSTED: Final = frozenset({"OTSCapacityUnitExhausted", "OTSQuotaExhausted"})
_TOO_FREQUENT: Final = "Too frequent table operations."


class Busy(Retryable):
    """Answered, nothing written: worth trying again at once, a few times."""


def service_error(what: str, status: int | None, code: str, message: str, *, writes: bool) -> DrError:
    """The error that a refusal means; `status` is None for one row of a batch."""
    text = f"{what}: {code or status} {message}".rstrip()
    if code == "OTSConditionCheckFail":
        return Conflict(text)
    if code in NOTHING_WRITTEN or (code == "OTSQuotaExhausted" and message == _TOO_FREQUENT):
        return Busy(text)
    if code == "OTSObjectNotExist":
        return NotFound(f"{text} Create the tables first: `understudy apply` does.")
    if code in _FORBIDDEN:
        kind = CredentialsRejected if code == "OTSAuthFailed" else Forbidden
        return kind(f"{text} Check the role's permissions, its credentials' age, and this machine's clock.")
    if code in _EXHAUSTED:
        return QuotaReached(text)
    # Time-outs, internal errors and whatever is not documented: on a write never guessed to be harmless.
    certain = status is not None and 400 <= status < 500 and status != 408 and code != ""
    if certain or code in ("OTSParameterInvalid", "OTSInvalidPK"):
        return Permanent(text)
    if writes:
        return OutcomeUnknown(f"{text} (outcome unknown: read back before writing again)")
    return Retryable(text, retry_after=timedelta(seconds=1))
