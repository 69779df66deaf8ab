"""One authenticated API call, as every service sees it, and the one way to refuse it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


class ApiError(Exception):
    """Answered as the cloud's error envelope. `code` and `status` are the documented ones of that action."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        *,
        retry_after_ms: int | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_ms = retry_after_ms
        self.more = more or {}  # fields of the envelope besides the usual ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    account: str
    access_key: str
    role: str | None  # name of the assumed role, None for the account's own key
    zone: str | None = None  # where the call came from, when it came through a zone's gateway
    source: str = ""  # the address it came from, where the door knows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Parameters keep the wire's flat spelling (`Tag.1.Key`); `emulator.wire.params` reads lists and objects."""

    version: str
    action: str
    region: str
    params: Mapping[str, str] = field(default_factory=dict)
    caller: Caller
    page_rows: int | None = None  # by a fault: the most that a page of a listing may hold
    empty_page: bool = False  # by a fault: a page without items, but with a token


Operation = Callable[[Call], dict[str, Any]]
"""Returns the answer's body without RequestId (the router adds it); raises ApiError. Synchronous: models never wait."""
