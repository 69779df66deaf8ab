"""What an operation says of itself: the parameters it reads and the errors it can answer with.

The door refuses a parameter that is not declared, loudly; the coverage page is made of these declarations; and an
error that an operation answered without declaring it is kept in `UNDECLARED`, where the tests look.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

from emulator.wire import catalogue
from emulator.wire.call import ApiError, Operation
from emulator.wire.params import POSITION

logger = logging.getLogger(__name__)

LONGEST_NAME: Final = 128

EVERYWHERE: Final = frozenset(["RegionId", "OwnerId", "OwnerAccount", "ResourceOwnerId", "ResourceOwnerAccount"])
"""Parameters that every action takes."""

GATEWAY_CODES: Final = frozenset(
    [
        "MissingParameter",
        "InvalidParameter",
        "UnsupportedParameter",
        "UnsupportedHTTPMethod",
        "InvalidAction.NotFound",
        "InvalidRegionId.NotFound",
        "IncompleteSignature",
        "SignatureDoesNotMatch",
        "SignatureNonceUsed",
        "InvalidTimeStamp.Format",
        "InvalidTimeStamp.Expired",
        "InvalidAccessKeyId.NotFound",
        "MissingSecurityToken",
        "InvalidSecurityToken.MismatchWithAccessKey",
        "InvalidSecurityToken.Expired",
        "Forbidden.AccessKeyDisabled",
        "Forbidden.RAM",
        "InvalidUser.PassRoleForbidden",  # of whatever hands a role on
        "InternalError",
        "ServiceUnavailable",
    ]
)
"""Errors of the gateway in front of every service; nobody declares them."""

UNDECLARED: Final[list[tuple[str, str]]] = []
"""(action, code) of each error that was answered without having been declared."""

ANSWER_LISTENERS: Final[list[Callable[[str, str, Mapping[str, Any]], None]]] = []
"""`(version, action, answer)` of each success: tests hold the answers against the SDKs' models here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationInfo:
    """What an operation of another protocol says of itself, in its service's `coverage.OPERATIONS`."""

    implemented: str  # one sentence
    not_modelled: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()  # besides those that all operations of the service share
    reads: tuple[str, ...] = ()  # parameters of the query, where there are any


F = TypeVar("F", bound=Callable[..., Any])


def reads(*names: str) -> Callable[[F], F]:
    """Declare the parameters an operation reads, `N` for numbers (`Tag.N.Key`). Others are refused before it runs."""

    def mark(operation: F) -> F:
        operation.reads = frozenset(names)  # type: ignore[attr-defined]
        return operation

    return mark


def raises(*codes: str) -> Callable[[F], F]:
    """Declare the error codes an operation can answer with, besides `GATEWAY_CODES`. `Prefix.*` stands for a family."""

    def mark(operation: F) -> F:
        operation.raises = frozenset(codes)  # type: ignore[attr-defined]
        return operation

    return mark


def parameters_of(operation: Operation) -> frozenset[str]:
    return getattr(operation, "reads", frozenset())


def errors_of(operation: Operation) -> frozenset[str]:
    return getattr(operation, "raises", frozenset())


@lru_cache(maxsize=4096)
def pattern(name: str) -> str:
    """`Tag.1.Key` -> `Tag.N.Key`."""
    return ".".join("N" if part.isdecimal() else part for part in name.split("."))


def check_parameters(operation: Operation, params: Mapping[str, str], action: str, service: str = "") -> None:
    """Raises ApiError: a parameter that the cloud may read must not pass as if it had been read here."""
    allowed: frozenset[str] | None = getattr(operation, "reads", None)
    if allowed is None:
        return
    for name in params:
        if name in EVERYWHERE:
            continue
        general = pattern(name) if len(name) <= LONGEST_NAME else ""
        if general not in allowed:
            raise _not_modelled(name, general, service, action)
        if general != name and not all(POSITION.fullmatch(part) for part in name.split(".") if part.isdecimal()):
            raise ApiError("InvalidParameter", f"The number in {name} is not one from 1 to 9999.")


def _not_modelled(name: str, general: str, service: str, action: str) -> ApiError:
    shown = name[:LONGEST_NAME]
    described = catalogue.known(service, action)
    if described is None or general in described["parameters"]:
        logger.warning("parameter not modelled: %s.%s", action, shown)
        return ApiError("UnsupportedParameter", f"The emulator does not model the parameter {shown} of {action}.")
    logger.warning("no such parameter: %s.%s", action, shown)
    return ApiError(
        "UnsupportedParameter",
        f"The official SDK of {service} knows no parameter {shown} of {action}: is it spelled right? "
        "(The cloud ignores it; the emulator does not.)",
    )


def check_error(operation: Operation, error: ApiError, action: str) -> None:
    """Keep the error if the operation never said that it could answer so."""
    declared: frozenset[str] | None = getattr(operation, "raises", None)
    if declared is None or error.code in declared or error.code in GATEWAY_CODES:
        return
    if any(code.endswith(".*") and error.code.startswith(code[:-1]) for code in declared):
        return
    logger.error("error not declared: %s answered %s", action, error.code)
    UNDECLARED.append((action, error.code))


def tell_answer(version: str, action: str, answer: Mapping[str, Any]) -> None:
    for listener in ANSWER_LISTENERS:
        listener(version, action, answer)
