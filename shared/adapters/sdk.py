"""How every RPC and ROA client of the official SDKs is built and called. Knows no product.

The SDK's own retries stay off: one place decides on retries, and only with a token or a read-back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.utils_models import Config
from Tea.exceptions import TeaException

from shared.adapters.cloud_errors import translate
from shared.adapters.credentials import Credentials
from shared.domain.errors import BadInput

CONNECT_TIMEOUT_MS: Final = 3_000
READ_TIMEOUT_MS: Final = 10_000
"""With the connect timeout the longest one call can take; claims must outlive it."""

SUCCESS: Final = frozenset(["200", "OK", "Success", "success"])
"""Values of `Code` that refuse nothing (as the vendor's own Node client reads it)."""

C = TypeVar("C")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a region's services answer. `url` replaces every host name (a local emulator)."""

    region: str
    url: str | None = None

    def config(self, credentials: Credentials) -> Config:
        config = Config(
            region_id=self.region,
            access_key_id=credentials.access_key_id,
            access_key_secret=credentials.access_key_secret,
            security_token=credentials.security_token,
            connect_timeout=CONNECT_TIMEOUT_MS,
            read_timeout=READ_TIMEOUT_MS,
        )
        if self.url is not None:
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
                raise BadInput(f"endpoint {self.url!r} is not of the form http://HOST:PORT; set UNDERSTUDY_ENDPOINT so")
            config.endpoint = parts.netloc
            config.protocol = parts.scheme
        return config


class Clients(Generic[C]):
    """One client per credentials; a new one when they change (temporary ones do)."""

    def __init__(
        self, build: Callable[[Config], C], *, endpoint: Endpoint, credentials: Callable[[], Credentials]
    ) -> None:
        self._build = build
        self._endpoint = endpoint
        self._credentials = credentials
        self._cached: tuple[Credentials, C] | None = None

    @property
    def region(self) -> str:
        return self._endpoint.region

    def current(self) -> C:
        now = self._credentials()
        if self._cached is None or self._cached[0] != now:
            client = self._build(self._endpoint.config(now))
            _look_for_codes(client)
            self._cached = (now, client)
        return self._cached[1]


class RefusedWithin(Exception):
    """HTTP 200 around the body of an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def _look_for_codes(client: Any) -> None:
    """The SDK's models drop a `Code` that comes with HTTP 200, so a refused change would look done. Look before they
    do. No success of the calls made here carries one."""
    send = getattr(client, "call_api", None)
    if send is None:
        return

    def call_api(*request: Any) -> Any:
        answer = send(*request)
        body = answer.get("body") if isinstance(answer, dict) else None
        told: dict[str, Any] = body if isinstance(body, dict) else {}
        code = told.get("Code")
        if isinstance(code, str) and code and code not in SUCCESS:
            raise RefusedWithin(code, str(told.get("Message") or ""))
        return answer

    client.call_api = call_api


def call(what: str, fn: Callable[[], T], *, changes: bool) -> T:
    """Run one SDK call; errors come out in our words. `changes`: an unanswered call may have had its effect."""
    try:
        return fn()
    except AlibabaCloudException as error:
        data: dict[str, Any] = error.data if isinstance(error.data, dict) else {}
        wait = getattr(error, "retry_after", None)
        raise translate(
            what,
            code=error.code,
            status=error.status_code,
            message=str(data.get("Message") or data.get("message") or error.message),
            changes=changes,
            retry_after=timedelta(milliseconds=wait) if wait else None,
        ) from error
    except RefusedWithin as error:
        raise translate(what, code=error.code, status=200, message=error.message, changes=changes) from error
    except TeaException as error:
        inner = getattr(error, "inner_exception", None) or error
        raise translate(what, code=None, status=None, message=_brief(inner), changes=changes) from error


def body_of(response: Any, what: str) -> Any:
    """The typed body. An answer of a shape the SDK does not know makes it None instead of raising: say so."""
    if response.body is None:
        raise translate(what, code=None, status=None, message="the answer had an unexpected shape", changes=True)
    return response.body


def _brief(error: BaseException) -> str:
    text = str(getattr(error, "message", "") or error)
    return text if len(text) <= 300 else text[:300] + "..."
