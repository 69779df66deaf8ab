"""RPC style: one path, one action per call, flat parameters, one error envelope.

A call passes these stations, in this order: who is calling, which realm it is for, what operation it names, whether
its parameters are modelled, whether the caller may do it, the operation itself, the journal. What is not modelled is
refused loudly: an unknown action by 404, an unread parameter by 400, each with a log line.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from aiohttp import web

from emulator.faults.blow import Blow
from emulator.faults.codes import Refusal
from emulator.faults.door import through
from emulator.faults.fault import Asked
from emulator.faults.shapes import misshapen
from emulator.wire import catalogue, v1, xml_answer
from emulator.wire.acs3 import parse_query
from emulator.wire.body import BodyRefused, read_body
from emulator.wire.call import ApiError, Call, Caller, Operation
from emulator.wire.declare import check_error, check_parameters, tell_answer
from emulator.wire.log import Entry
from emulator.wire.params import missing
from emulator.wire.services import GLOBAL, VERSIONS

if TYPE_CHECKING:
    from emulator.cloud import Cloud

logger = logging.getLogger(__name__)

MOST_PARAMETERS: Final = 2_000
"""Of one call (assumption: no list that a call takes is as long)."""
FORM: Final = "application/x-www-form-urlencoded"
XML_TYPE: Final = "text/xml;charset=utf-8"
"""In this spelling exactly: the SDK reads errors in XML by it."""


def envelope(error: ApiError, request_id: str, host: str, *, xml: bool = False) -> web.Response:
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
    if xml:
        return web.Response(
            body=xml_answer.error(body), status=error.status, headers={**headers, "Content-Type": XML_TYPE}
        )
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
    xml: bool = False  # how the answer is wanted

    @property
    def service(self) -> str:
        return VERSIONS.get(self.version, self.version)


class RpcDoor:
    """`handle` serves `/`: POST and GET; other methods are refused as documented."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await read_body(request)
        except BodyRefused as refusal:
            return self._unread(request, refusal)
        request_id = self._cloud.chance.request_id()
        sent = Sent()
        params: dict[str, str] = {}

        def authenticate() -> None:
            params.update(self._authenticated(request, body, sent))
            sent.region = self._region(params, sent, self._cloud.region_behind(request))

        refused = self._answered(request, request_id, sent, authenticate)
        if refused is not None:
            return refused
        blow, asked = None, None
        if self._cloud.faults.on_calls:
            asked = self._asked(params, sent)
            blow = self._cloud.faults.blow(asked)
        if blow is None or asked is None:
            return self._run_and_answer(request, request_id, params, sent, asked)
        return await self._struck(blow, asked, request, request_id, params, sent)

    def _unread(self, request: web.Request, refusal: BodyRefused) -> web.StreamResponse:
        """Nothing is known of a call whose body did not come (assumption: the code; the status is HTTP's own)."""
        self._log(Sent(), refusal.status, "InvalidParameter")
        error = ApiError("InvalidParameter", refusal.message, refusal.status)
        response = envelope(error, self._cloud.chance.request_id(), request.host)
        response.force_close()
        return response

    def not_found(self, request: web.Request) -> web.Response:
        """Any other path: no service is there. RPC calls all go to `/`, whatever path an endpoint has."""
        error = ApiError(
            "InvalidAction.NotFound",
            f"The emulator has nothing at {request.rel_url.raw_path[:200]!r}: RPC calls go to `/`.",
            404,
        )
        return envelope(error, self._cloud.chance.request_id(), request.host)

    async def _struck(
        self, blow: Blow, asked: Asked, request: web.Request, request_id: str, params: dict[str, str], sent: Sent
    ) -> web.StreamResponse:
        """A call that a fault of the menu has chosen."""

        async def run() -> web.StreamResponse:
            return self._run_and_answer(request, request_id, params, sent, asked, blow)

        def refuse(told: Refusal) -> web.StreamResponse:
            self._log(sent, told.status, told.code)
            error = ApiError(told.code, told.message, told.status, retry_after_ms=told.retry_after_ms)
            return envelope(error, request_id, request.host, xml=sent.xml)

        if blow.ending is not None and blow.refusal() is None:
            self._log(sent, 0, blow.ending.kind)
        return await through(self._cloud, blow, request, run=run, refuse=refuse)

    def _run_and_answer(
        self,
        request: web.Request,
        request_id: str,
        params: dict[str, str],
        sent: Sent,
        asked: Asked | None,
        blow: Blow | None = None,
    ) -> web.Response:
        result: dict[str, Any] = {}

        def run() -> None:
            if asked is None or not asked.reads:
                result.update(self._run(params, sent, blow))
            else:
                result.update(self._cloud.faults.read(blow, asked, lambda: self._run(params, sent, blow)))

        refused = self._answered(request, request_id, sent, run)
        if refused is not None:
            return refused
        self._log(sent, 200, "")
        if blow is not None and blow.all("odd_shape"):
            result = misshapen(result)
        body = {**result, "RequestId": request_id}
        if sent.xml:
            return web.Response(body=xml_answer.answer(sent.action, body), headers={"Content-Type": XML_TYPE})
        return answer(body)

    def _answered(
        self, request: web.Request, request_id: str, sent: Sent, work: Callable[[], None]
    ) -> web.Response | None:
        """The answer to a call that `work` refuses; None when it does not."""
        try:
            work()
        except ApiError as error:
            self._log(sent, error.status, error.code)
            return envelope(error, request_id, request.host, xml=sent.xml)
        except Exception:
            # The door's last line: a fault of the emulator is the cloud's InternalError, with its traceback logged.
            logger.exception("%s %s failed inside the emulator", sent.version, sent.action)
            self._log(sent, 500, "InternalError")
            fault = ApiError("InternalError", "The emulator failed; its log has the traceback.", 500)
            return envelope(fault, request_id, request.host, xml=sent.xml)
        return None

    def _asked(self, params: Mapping[str, str], sent: Sent) -> Asked:
        """The call as the menu of faults sees it."""
        assert sent.caller is not None
        caller = sent.caller
        return Asked(
            service=sent.service,
            action=sent.action,
            access_key=caller.access_key,
            role=caller.role,
            account=caller.account,
            region=sent.region,
            zones=tuple(zone for zone in (caller.zone, params.get("ZoneId")) if zone),
            question=(caller.account, sent.region, sent.version, sent.action, json.dumps(sorted(params.items()))),
        )

    def _authenticated(self, request: web.Request, body: bytes, sent: Sent) -> dict[str, str]:
        """The business parameters; fills in what the request says it is, and who is calling."""
        if request.method not in ("GET", "POST"):
            raise ApiError("UnsupportedHTTPMethod", f"The method {request.method[:20]} is not supported.", 403)
        query = _pairs(request.rel_url.raw_query_string.encode(errors="surrogateescape"))
        sent_twice = [*query]
        if body and request.content_type == FORM:
            sent_twice += _pairs(body)
        elif body:
            raise ApiError("UnsupportedParameter", f"The emulator reads parameters of the query and of {FORM} only.")
        params = _unique(sent_twice)
        sent.version = request.headers.get("x-acs-version") or params.get("Version", "")
        sent.action = request.headers.get("x-acs-action") or params.get("Action", "")
        zone = self._cloud.zone_behind(request)
        if "Signature" in params:
            # The parameters win: pop-core's header keeps the caller's own spelling of the action.
            sent.version, sent.action = params.get("Version", sent.version), params.get("Action", sent.action)
            sent.xml = _wants_xml(params)
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

    def _run(self, params: dict[str, str], sent: Sent, blow: Blow | None) -> dict[str, Any]:
        operation, call = self._prepared(params, sent)
        if blow is not None:
            call = replace(call, page_rows=blow.page_rows, empty_page=blow.empty_page)
        try:
            self._authorize(call, sent.service)
            journal = self._cloud.journal
            result = operation(call) if journal is None else journal.call(call, operation)
        except ApiError as error:
            check_error(operation, error, sent.action)
            raise
        tell_answer(sent.version, sent.action, result)
        return result

    def _region(self, params: Mapping[str, str], sent: Sent, endpoint_region: str) -> str:
        """The RegionId that was sent decides, else the endpoint does: many ECS actions carry none. A global service has
        none either."""
        if sent.service in GLOBAL:
            return endpoint_region
        return params.get("RegionId") or endpoint_region

    def _prepared(self, params: dict[str, str], sent: Sent) -> tuple[Operation, Call]:
        assert sent.caller is not None
        realm = self._cloud.realm(sent.caller.account, sent.region)
        operation = realm.operations.get((sent.version, sent.action))
        if operation is None:
            raise _not_modelled(sent)
        check_parameters(operation, params, sent.action, sent.service)
        self._check_region(params, sent)
        return operation, Call(
            version=sent.version, action=sent.action, region=sent.region, params=params, caller=sent.caller
        )

    def _check_region(self, params: Mapping[str, str], sent: Sent) -> None:
        """The endpoint decides only for actions that take no RegionId, or do not insist on it."""
        described = catalogue.known(sent.service, sent.action)
        if described is not None and described.get("region") and not (params.get("RegionId") or params.get("regionId")):
            raise missing("RegionId")

    def _authorize(self, call: Call, service: str) -> None:
        self._cloud.ram.authorize(call, service)

    def _log(self, sent: Sent, status: int, code: str) -> None:
        who = "" if sent.caller is None else sent.caller.role or sent.caller.access_key
        entry = Entry(self._cloud.clock.now(), _shown(sent.service), _shown(sent.action), who, status, code)
        self._cloud.requests.add(entry)


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    """A query's or form's parameters. Raises ApiError when they are no UTF-8, or too many."""
    try:
        text = raw.decode()
        unquote_to_bytes(raw).decode()
    except UnicodeError:
        raise ApiError("InvalidParameter", "The parameters are not UTF-8.") from None
    if raw.count(b"&") >= MOST_PARAMETERS:
        raise ApiError("InvalidParameter", f"A call has at most {MOST_PARAMETERS} parameters.")
    return parse_query(text)


def _unique(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Assumption: which of two values counts is nowhere said, so neither does."""
    params: dict[str, str] = {}
    for name, value in pairs:
        if name in params:
            raise ApiError("InvalidParameter", f"The parameter {name[:128]} is given more than once.")
        params[name] = value
    return params


def _wants_xml(params: Mapping[str, str]) -> bool:
    """Callers of the older signature get XML unless they ask for JSON. Source: RPC API documentation, 2018."""
    match params.get("Format", "XML").upper():
        case "XML":
            return True
        case "JSON":
            return False
        case other:
            raise ApiError("InvalidParameter", f"Format must be JSON or XML, not {other[:40]!r}.")


def _not_modelled(sent: Sent) -> ApiError:
    """Says whether the cloud has such an action: what lacks then is the emulator, otherwise the call is wrong."""
    action, version = _shown(sent.action), _shown(sent.version)
    if sent.version not in VERSIONS:
        logger.warning("version not modelled: %s (action %s)", version, action)
        why = f"No service that the emulator models has the version {version!r}; there are {', '.join(VERSIONS)}."
    elif catalogue.exists(sent.service, sent.action):
        logger.warning("action not modelled: %s %s", version, action)
        why = f"The cloud has it, but the emulator does not model the action {action!r} of {sent.service} {version}."
    else:
        logger.warning("no such action: %s %s", version, action)
        why = f"The official SDK of {sent.service} {version} knows no action {action!r}: is it spelled right?"
    return ApiError("InvalidAction.NotFound", why, 404)


def _shown(text: str) -> str:
    """What a client calls itself or its wish, kept short enough to be kept."""
    return re.sub(r"[^\x20-\x7e]", "?", text[:80])
