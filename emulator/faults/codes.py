"""What a fault answers when it does not say: the documented code, status and text of each service."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from emulator.faults.fault import Asked, Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    status: int
    code: str
    message: str
    retry_after_ms: int | None = None


_TABLESTORE: Final[Mapping[str, tuple[int, str]]] = {
    "OTSServerBusy": (503, "Server is busy."),
    "OTSPartitionUnavailable": (503, "The partition is not available."),
    "OTSTimeout": (503, "Operation timeout."),
    "OTSServerUnavailable": (503, "Server is not available."),
    "OTSInternalServerError": (500, "Internal server error."),
    "OTSRowOperationConflict": (409, "Data is being modified by the other request."),
    "OTSConditionCheckFail": (403, "Condition check failed."),
    "OTSNotEnoughCapacityUnit": (403, "Capacity unit is not enough."),
    "OTSCapacityUnitExhausted": (403, "Capacity unit is not enough."),
    "OTSQuotaExhausted": (403, "Too frequent table operations."),
    "OTSTableNotReady": (404, "The table is not ready."),
    "OTSAuthFailed": (403, "Signature mismatch."),
    "OTSNoPermissionAccess": (403, "You have no permission to access the requested resource."),
}
"""Source: Tablestore developer guide, error codes (2025)."""

_GATEWAY: Final[Mapping[str, tuple[int, str]]] = {
    "Throttling": (400, "Request was denied due to request throttling."),
    "Throttling.User": (400, "Request was denied due to user flow control."),
    "Throttling.Api": (400, "Request was denied due to api flow control."),
    "Throttling.Resource": (429, "Request was denied due to resource flow control."),
    "InternalError": (500, "The request processing has failed due to some unknown error."),
    "ServiceUnavailable": (503, "The request has failed due to a temporary failure of the server."),
    "OperationConflict": (409, "The operation conflicts with another one that is under way."),
    "SystemBusy": (449, "The system is busy."),
    "System.Busy": (503, "The system is busy."),
    "UnknownError": (400, "The request processing has failed due to some unknown error."),
}
"""Source: the common error codes of the RPC gateway (2019), ECS API (2025). System.Busy's status: assumption."""

_FUNCTIONS: Final[Mapping[str, tuple[int, str]]] = {
    "ResourceExhausted": (429, "the concurrency limit is exceeded"),
    "ResourceThrottled": (503, "the limit of machines in use is exceeded"),
    "InternalServerError": (500, "an internal error has occurred, please retry"),
}
"""Source: Function Compute, error codes."""

_KNOWN: Final = {**_GATEWAY, **_TABLESTORE, **_FUNCTIONS}


def status_of(code: str) -> int | None:
    return _KNOWN[code][0] if code in _KNOWN else None


def refusal(fault: "Fault", asked: "Asked") -> Refusal:
    """What `fault` answers to this call."""
    code = fault.code or _code(fault, asked)
    status, message = _KNOWN.get(code, (400, f"The fault {fault.kind} answers so."))
    if fault.kind == "throttle" and asked.action == "CreateSnapshot" and fault.code is None:
        status = 403  # its own table; the common one says 400
    if fault.kind == "ok_with_code":
        status = 200
    return Refusal(
        status=fault.status or status,
        code=code,
        message=fault.message or message,
        retry_after_ms=fault.retry_after_ms,
    )


def _code(fault: "Fault", asked: "Asked") -> str:
    if fault.kind == "throttle":
        if asked.service == "ots":
            return "OTSServerBusy"
        if asked.service == "fc":
            return "ResourceExhausted"
        # The spelling varies by action (ECS API, 2025).
        return {"CreateSnapshot": "Throttling", "RunInstances": "Throttling.Resource"}.get(
            asked.action, "Throttling.User"
        )
    # After the effect only a code that does not promise that nothing was done.
    after = fault.kind == "error_after"
    if asked.service == "ots":
        return "OTSTimeout" if after else "OTSServerUnavailable"
    if asked.service == "fc":
        return "InternalServerError"
    return "InternalError" if after or fault.kind == "ok_with_code" else "ServiceUnavailable"
