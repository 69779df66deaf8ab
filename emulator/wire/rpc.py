"""RPC style: one path, one action per call, flat parameters, one error envelope.

A call passes these stations, in this order: who is calling, which realm it is for, what operation it names, whether
its parameters are modelled, whether the caller may do it, the operation itself, the journal. What is not modelled is
refused loudly: an unknown action by 404, an unread parameter by 400, each with a log line.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from emulator.wire import v1
from emulator.wire.acs3 import parse_query
from emulator.wire.call import ApiError, Call, Caller, Operation
from emulator.wire.declare import check_error, check_parameters, tell_answer
from emulator.wire.log import Entry
from emulator.wire.services import GLOBAL, VERSIONS

if TYPE_CHECKING:
    from emulator.cloud import Cloud

logger = logging.getLogger(__name__)


def envelope(error: ApiError, request_id: str, host: str) -> web.Response:
    """The error body of all RPC services."""
    body = {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": error.message,
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={error.code}&requestId={request_id}",
        **error.more,
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


@dataclass(slots=True, kw_only=True)
class Sent:
    """What is known of a request so far, so that its log line is complete however early it fails."""

    version: str = ""
    action: str = ""
    region: str = ""
    caller: Caller | None = None

    @property
    def service(self) -> str:
        return VERSIONS.get(self.version, self.version)


class RpcDoor:
    """`handle` serves `POST /` and `GET /`."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        request_id = self._cloud.chance.request_id()
        sent = Sent()
        try:
            params = self._authenticated(request, body, sent)
            result = self._run(params, sent, self._cloud.region_behind(request))
        except ApiError as error:
            self._log(sent, error.status, error.code)
            return envelope(error, request_id, request.host)
        except Exception:
            # The door's last line: a fault of the emulator is the cloud's InternalError, with its traceback logged.
            logger.exception("%s %s failed inside the emulator", sent.version, sent.action)
            self._log(sent, 500, "InternalError")
            fault = ApiError("InternalError", "The emulator failed; its log has the traceback.", 500)
            return envelope(fault, request_id, request.host)
        self._log(sent, 200, "")
        return answer({**result, "RequestId": request_id})

    def _authenticated(self, request: web.Request, body: bytes, sent: Sent) -> dict[str, str]:
        """The business parameters; fills in what the request says it is, and who is calling."""
        query = parse_query(request.rel_url.raw_query_string)
        params = dict(query)
        if body and request.content_type == "application/x-www-form-urlencoded":
            params.update(parse_query(body.decode()))
        sent.version = request.headers.get("x-acs-version") or params.get("Version", "")
        sent.action = request.headers.get("x-acs-action") or params.get("Action", "")
        zone = self._cloud.zone_behind(request)
        if "Signature" in params:
            # The parameters win: pop-core's header keeps the caller's own spelling of the action.
            sent.version, sent.action = params.get("Version", sent.version), params.get("Action", sent.action)
            sent.caller = self._cloud.callers.from_v1(
                method=request.method, params=params, zone=zone, source=request.remote or ""
            )
            return {name: value for name, value in params.items() if name not in v1.PROTOCOL_PARAMETERS}
        sent.caller = self._cloud.callers.from_acs3(
            method=request.method,
            path=request.rel_url.raw_path,
            query=query,
            headers=request.headers,
            body=body,
            zone=zone,
            source=request.remote or "",
        )
        return params

    def _run(self, params: dict[str, str], sent: Sent, endpoint_region: str) -> dict[str, Any]:
        assert sent.caller is not None
        operation, call = self._prepared(params, sent, endpoint_region)
        try:
            self._authorize(call, sent.service)
            result = operation(call)
        except ApiError as error:
            check_error(operation, error, sent.action)
            raise
        tell_answer(sent.version, sent.action, result)
        return result

    def _prepared(self, params: dict[str, str], sent: Sent, endpoint_region: str) -> tuple[Operation, Call]:
        """The operation and its call. The RegionId that was sent decides on the region, else the endpoint does: many
        ECS actions carry none. A global service has none either."""
        assert sent.caller is not None
        sent.region = endpoint_region
        if sent.service not in GLOBAL:
            sent.region = params.get("RegionId") or endpoint_region
        realm = self._cloud.realm(sent.caller.account, sent.region)
        operation = realm.operations.get((sent.version, sent.action))
        if operation is None:
            logger.warning("action not modelled: %s %s", sent.version, sent.action)
            raise ApiError(
                "InvalidAction.NotFound",
                f"The emulator does not model the action {sent.action!r} of {sent.version!r}.",
                404,
            )
        check_parameters(operation, params, sent.action)
        return operation, Call(
            version=sent.version, action=sent.action, region=sent.region, params=params, caller=sent.caller
        )

    def _authorize(self, call: Call, service: str) -> None:
        self._cloud.ram.authorize(call, service)

    def _log(self, sent: Sent, status: int, code: str) -> None:
        who = "" if sent.caller is None else sent.caller.role or sent.caller.access_key
        self._cloud.requests.add(Entry(self._cloud.clock.now(), sent.service, sent.action, who, status, code))
