"""RPC style: one path, one action per call, flat parameters, one error envelope.

Routed by (version, action), since several products share action names. What is not modelled is refused loudly: an
unknown action by 404, an unread parameter by 400, each with a log line.
"""

import json
import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web

from emulator.wire import v1
from emulator.wire.acs3 import parse_query
from emulator.wire.call import ApiError, Call, Caller, Operation
from emulator.wire.log import Entry

if TYPE_CHECKING:
    from emulator.cloud import Cloud

logger = logging.getLogger(__name__)

Operations = Mapping[tuple[str, str], Operation]

EVERYWHERE = frozenset(
    ["RegionId", "OwnerId", "OwnerAccount", "ResourceOwnerId", "ResourceOwnerAccount", "SourceRegionId"]
)
"""Parameters that every action takes; the emulator has one region and one account."""

SERVICES = {
    "2014-05-26": "ecs",
    "2018-01-01": "pvtz",
    "2014-05-15": "slb",
    "2015-01-09": "alidns",
    "2016-04-28": "vpc",
    "2022-02-22": "ess",
    "2019-01-01": "cms",
}

F = TypeVar("F", bound=Callable[..., Any])


def reads(*names: str) -> Callable[[F], F]:
    """Declare the parameters an operation reads, `N` for numbers (`Tag.N.Key`). Others are refused before it runs.
    `EVERYWHERE` is always allowed. An operation without this declaration takes anything."""

    def mark(operation: F) -> F:
        operation.reads = frozenset(names)  # type: ignore[attr-defined]
        return operation

    return mark


@lru_cache(maxsize=4096)
def pattern(name: str) -> str:
    """`Tag.1.Key` -> `Tag.N.Key`."""
    return ".".join("N" if part.isdigit() else part for part in name.split("."))


def check_parameters(operation: Operation, params: Mapping[str, str], action: str) -> None:
    allowed: frozenset[str] | None = getattr(operation, "reads", None)
    if allowed is None:
        return
    for name in params:
        if pattern(name) not in allowed and name not in EVERYWHERE:
            logger.warning("parameter not modelled: %s.%s", action, name)
            raise ApiError("UnsupportedParameter", f"The emulator does not model the parameter {name} of {action}.")


def envelope(error: ApiError, request_id: str, host: str) -> web.Response:
    """The error body of all RPC services."""
    body = {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": error.message,
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={error.code}&requestId={request_id}",
    }
    headers = {} if error.retry_after_ms is None else {"x-acs-retry-after": str(error.retry_after_ms)}
    return answer(body, status=error.status, headers=headers)


def answer(body: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=json.dumps(body, separators=(",", ":")).encode(),
        status=status,
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )


class RpcDoor:
    """`handle` serves `POST /` and `GET /`."""

    def __init__(self, cloud: "Cloud", operations: Operations) -> None:
        self._cloud = cloud
        self._operations = operations

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        request_id = self._cloud.chance.request_id()
        version = action = ""
        caller: Caller | None = None
        try:
            version, action, params, caller = self._authenticated(request, body)
            result = self._run(version, action, params, caller)
        except ApiError as error:
            self._log(version, action, caller, error.status, error.code)
            return envelope(error, request_id, request.host)
        except Exception:
            # The door's last line: a fault of the emulator is the cloud's InternalError, with its traceback logged.
            logger.exception("%s %s failed inside the emulator", version, action)
            self._log(version, action, caller, 500, "InternalError")
            fault = ApiError("InternalError", "The emulator failed; its log has the traceback.", 500)
            return envelope(fault, request_id, request.host)
        self._log(version, action, caller, 200, "")
        result["RequestId"] = request_id
        return answer(result)

    def _authenticated(self, request: web.Request, body: bytes) -> tuple[str, str, dict[str, str], Caller]:
        query = parse_query(request.rel_url.raw_query_string)
        params = dict(query)
        if body and request.content_type == "application/x-www-form-urlencoded":
            params.update(parse_query(body.decode()))
        version = request.headers.get("x-acs-version") or params.get("Version", "")
        action = request.headers.get("x-acs-action") or params.get("Action", "")
        zone = self._cloud.zone_behind(request)
        if "Signature" in params:
            # The parameters win: pop-core's header keeps the caller's own spelling of the action.
            version, action = params.get("Version", version), params.get("Action", action)
            caller = self._cloud.callers.from_v1(method=request.method, params=params, zone=zone)
            params = {name: value for name, value in params.items() if name not in v1.PROTOCOL_PARAMETERS}
        else:
            caller = self._cloud.callers.from_acs3(
                method=request.method,
                path=request.rel_url.raw_path,
                query=query,
                headers=request.headers,
                body=body,
                zone=zone,
            )
        return version, action, params, caller

    def _run(self, version: str, action: str, params: dict[str, str], caller: Caller) -> dict[str, Any]:
        operation = self._operations.get((version, action))
        if operation is None:
            logger.warning("action not modelled: %s %s", version, action)
            raise ApiError(
                "InvalidAction.NotFound", f"The emulator does not model the action {action!r} of {version!r}.", 404
            )
        check_parameters(operation, params, action)
        region = params.get("RegionId") or self._cloud.region
        if region != self._cloud.region:
            raise ApiError("InvalidRegionId.NotFound", f"This emulator is the region {self._cloud.region}.", 404)
        self._cloud.ram.check(caller.role, f"{SERVICES.get(version, version)}:{action}")
        return operation(Call(version=version, action=action, region=region, params=params, caller=caller))

    def _log(self, version: str, action: str, caller: Caller | None, status: int, code: str) -> None:
        who = "" if caller is None else caller.role or caller.access_key
        service = SERVICES.get(version, version)
        self._cloud.requests.add(Entry(self._cloud.clock.now(), service, action, who, status, code))
