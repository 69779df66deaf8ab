"""Calling our own functions: Function Compute 3.0, and services of 2.0 that are still deployed.

A function's own error comes back with HTTP 200; only the header `x-fc-error-type` (3.0), or an exception with status
200 (2.0), tells. Each SDK is imported by the one class that uses it, when it is first used (cold start).
"""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from io import BytesIO
from typing import Any, Final
from urllib.parse import urlsplit

from shared.adapters.cloud_errors import translate
from shared.adapters.credentials import Credentials
from shared.adapters.sdk import CONNECT_TIMEOUT_MS, READ_TIMEOUT_MS, Clients, Endpoint, call
from shared.domain.errors import BadInput, Forbidden, Permanent

RAM_ACTIONS: Final = ("fc:InvokeFunction",)
LONGEST_DELAY: Final = timedelta(seconds=3600)  # FC documentation: x-fc-async-delay
ANSWER_WITHIN: Final = timedelta(seconds=60)
"""Default wait for a synchronous answer; the SDK's own 10 s would cut off a slow function whose effect goes on."""


class FcFunctions:
    """Functions port on `alibabacloud_fc20230330`."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        credentials: Callable[[], Credentials],
        account: str | None = None,
        prefix: str = "understudy-",
        answer_within: timedelta = ANSWER_WITHIN,
    ) -> None:
        """`account` names the official host and is not needed with an endpoint URL."""
        self._prefix = prefix
        self._answer_within = answer_within

        def build(config: Any) -> Any:
            from alibabacloud_fc20230330.client import Client

            if config.endpoint is None:
                config.endpoint = _host(endpoint.region, account)
            return Client(config)

        self._clients: Clients[Any] = Clients(build, endpoint=endpoint, credentials=credentials)

    def invoke_async(
        self, function: str, payload: bytes, *, delay: timedelta = timedelta(0), task: str | None = None
    ) -> None:
        """A task id that is in use means that this invocation is queued already: that is success."""
        from alibabacloud_fc20230330.models import InvokeFunctionHeaders
        from alibabacloud_tea_openapi.exceptions import ClientException

        headers = InvokeFunctionHeaders(
            x_fc_invocation_type="Async", x_fc_async_task_id=task, common_headers=_delayed(delay)
        )

        def send() -> None:
            try:
                self._send(function, payload, headers, timedelta(milliseconds=READ_TIMEOUT_MS))
            except ClientException as error:
                if task is None or error.status_code != 409:
                    raise

        call(f"InvokeFunction {function} (async)", send, changes=True)

    def invoke(self, function: str, payload: bytes) -> bytes:
        from alibabacloud_fc20230330.models import InvokeFunctionHeaders

        headers = InvokeFunctionHeaders(x_fc_invocation_type="Sync", common_headers={})
        what = f"InvokeFunction {function}"
        answer = call(what, lambda: self._send(function, payload, headers, self._answer_within), changes=True)
        body: bytes = answer.body.read() if answer.body is not None else b""
        failed = answer.headers.get("x-fc-error-type")
        if failed:
            raise Permanent(f"{function} failed: {failed}: {_told(body)}")
        return body

    def _send(self, function: str, payload: bytes, headers: Any, within: timedelta) -> Any:
        from alibabacloud_fc20230330.models import InvokeFunctionRequest
        from darabonba.runtime import RuntimeOptions

        milliseconds = int(within.total_seconds() * 1000)
        runtime = RuntimeOptions(read_timeout=milliseconds, connect_timeout=CONNECT_TIMEOUT_MS)
        return self._clients.current().invoke_function_with_options(
            self._prefix + function, InvokeFunctionRequest(body=BytesIO(payload)), headers, runtime
        )


class Fc2Functions:
    """Functions port on `aliyun-fc2`, for functions that live in one FC 2.0 service."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        credentials: Callable[[], Credentials],
        service: str,
        account: str | None = None,
        prefix: str = "understudy-",
        answer_within: timedelta = ANSWER_WITHIN,
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._service = service
        self._account = account
        self._prefix = prefix
        self._answer_within = answer_within

    def invoke_async(
        self, function: str, payload: bytes, *, delay: timedelta = timedelta(0), task: str | None = None
    ) -> None:
        headers = {"x-fc-invocation-type": "Async", **_delayed(delay)}
        if task is not None:
            headers["x-fc-stateful-async-invocation-id"] = task
        # 409 in the newer documentation, 400 in an older page: only the former is taken for "queued already".
        self._send(function, payload, headers, timedelta(milliseconds=READ_TIMEOUT_MS), fine=(409,) if task else ())

    def invoke(self, function: str, payload: bytes) -> bytes:
        return self._send(function, payload, {"x-fc-invocation-type": "Sync"}, self._answer_within)

    def _send(
        self, function: str, payload: bytes, headers: dict[str, str], within: timedelta, fine: tuple[int, ...] = ()
    ) -> bytes:
        import requests
        from fc2 import FcError  # type: ignore[attr-defined, unused-ignore]

        what = f"InvokeFunction {self._service}/{function}"
        try:
            answer = self._client(within).invoke_function(
                self._service, self._prefix + function, payload=payload, headers=headers
            )
        except FcError as error:
            if error.status_code in fine:
                return b""
            if error.status_code == 200:
                raise Permanent(f"{function} failed: {_told(error.message)}") from error
            told = translate(
                what,
                code=error.err_code or f"HTTP {error.status_code}",
                status=error.status_code,
                message=_told(error.message),
                changes=True,
            )
            if type(told) is Permanent and error.status_code in (401, 403):
                told = Forbidden(str(told))  # codes of 2.0 are not all in the table; 403 means no permission (FC docs)
            raise told from error
        except (requests.exceptions.RequestException, ValueError) as error:
            # ValueError: an error page that is not JSON escapes from the SDK as a decoding error.
            raise translate(what, code=None, status=None, message=str(error)[:300], changes=True) from error
        body: bytes = answer.data
        return body

    def _client(self, within: timedelta) -> Any:
        """A new one for each call: it holds no connection, and credentials change."""
        import fc2

        keep_secrets_out_of_logs()
        now = self._credentials()
        url = self._endpoint.url or "https://" + _host(self._endpoint.region, self._account)
        if urlsplit(url).scheme not in ("http", "https"):
            raise BadInput(f"endpoint {url!r} is not of the form http://HOST:PORT; set UNDERSTUDY_ENDPOINT so")
        return fc2.Client(
            endpoint=url,
            accessKeyID=now.access_key_id,
            accessKeySecret=now.access_key_secret,
            securityToken=now.security_token or "",
            Timeout=(CONNECT_TIMEOUT_MS / 1000, within.total_seconds()),
        )


@cache
def keep_secrets_out_of_logs() -> None:
    """aliyun-fc2 writes whole request headers, security token included, through the root logger. It must not."""

    def not_from_fc2(record: logging.LogRecord) -> bool:
        return "/fc2/" not in record.pathname.replace("\\", "/")

    logging.getLogger().addFilter(not_from_fc2)


def _host(region: str, account: str | None) -> str:
    """Source: the fc3 component of Serverless Devs, which invokes by this host."""
    if not account:
        raise BadInput(
            "environment variable FC_ACCOUNT_ID is missing or empty: Function Compute sets it; elsewhere export the "
            "account's numeric id, or UNDERSTUDY_ENDPOINT for a local cloud"
        )
    return f"{account}.{region}.fc.aliyuncs.com"


def _delayed(delay: timedelta) -> dict[str, str]:
    if not timedelta(0) <= delay <= LONGEST_DELAY:
        raise BadInput(f"delay {delay}: Function Compute takes 0 to 3,600 seconds")
    seconds = round(delay.total_seconds())
    return {"x-fc-async-delay": str(seconds)} if seconds else {}


def _told(body: bytes | str) -> str:
    """The text of an error document; the document itself when it has none."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        document = json.loads(text)
    except ValueError:
        return text[:300]
    if not isinstance(document, dict):
        return text[:300]
    message = document.get("errorMessage") or document.get("ErrorMessage") or text[:300]
    kind = document.get("errorType")
    return f"{kind}: {message}" if kind else str(message)
