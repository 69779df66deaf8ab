"""Refusals of Tablestore, each with its documented code, HTTP status and text.

Source: Tablestore developer guide, error code reference (2025), and texts that the vendor's own clients match on.
"""


class OtsError(Exception):
    """Answered as the protobuf message `Error` with this HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class Dropped(Exception):
    """Raised by a fault only: the connection closes without an answer, before or after the effect."""


def parameter_invalid(message: str) -> OtsError:
    return OtsError(400, "OTSParameterInvalid", message)


def invalid_pk(message: str) -> OtsError:
    return OtsError(400, "OTSInvalidPK", message)


def condition_check_fail() -> OtsError:
    return OtsError(403, "OTSConditionCheckFail", "Condition check failed.")


def auth_failed(message: str) -> OtsError:
    return OtsError(403, "OTSAuthFailed", message)


def table_missing() -> OtsError:
    return OtsError(404, "OTSObjectNotExist", "Requested table does not exist.")


def table_exists() -> OtsError:
    return OtsError(409, "OTSObjectAlreadyExist", "Requested table already exists.")


def table_not_ready() -> OtsError:
    return OtsError(404, "OTSTableNotReady", "The table is not ready.")


def row_conflict() -> OtsError:
    return OtsError(409, "OTSRowOperationConflict", "Data is being modified by the other request.")


def server_busy() -> OtsError:
    return OtsError(503, "OTSServerBusy", "Server is busy.")


def partition_unavailable() -> OtsError:
    return OtsError(503, "OTSPartitionUnavailable", "The partition is not available.")


def timeout() -> OtsError:
    return OtsError(503, "OTSTimeout", "Operation timeout.")


def internal() -> OtsError:
    return OtsError(500, "OTSInternalServerError", "Internal server error.")
