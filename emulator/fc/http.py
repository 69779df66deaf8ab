"""Function Compute on the wire: the invocation paths of APIs 2023-03-30 and 2016-08-15, HTTP triggers, admin door."""

import base64
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from emulator.cloud import Cloud
from emulator.faults.codes import Refusal
from emulator.faults.door import through
from emulator.faults.fault import Asked
from emulator.fc import signature
from emulator.fc.admin import admin_routes
from emulator.fc.answers import answer, service
from emulator.fc.coverage import OPERATIONS, OTHERS, check_error
from emulator.fc.domains import Domain
from emulator.fc.management import Management, named, only_latest
from emulator.fc.project import Http
from emulator.fc.queue import Outcome, Refused
from emulator.ram.functions import authorize
from emulator.wire.acs3 import parse_query
from emulator.wire.body import BodyRefused, read_body
from emulator.wire.call import ApiError, Caller
from emulator.wire.log import Entry
from emulator.wire.params import digits

log = logging.getLogger(__name__)

__all__ = ["admin_routes", "at_domain", "routes"]

V3 = "/2023-03-30"
V2 = "/2016-08-15"
FUNCTION = "/functions/{name}"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REQUEST_ID = web.RequestKey("request_id", str)
LARGEST_SYNC = 32 * 1024 * 1024
LOG_TAIL = 4 * 1024


def routes(cloud: Cloud) -> list[web.RouteDef]:
    """Everything that a client of the real service, or a webhook's sender, can reach."""
    door, manage = _Door(cloud), Management(cloud)
    table: tuple[tuple[str, str, str, Handler], ...] = (
        ("InvokeFunction", "POST", FUNCTION + "/invocations", door.invoke),
        ("ListFunctions", "GET", "/functions", manage.list_functions),
        ("GetFunction", "GET", FUNCTION, manage.get_function),
        ("ListTriggers", "GET", FUNCTION + "/triggers", manage.list_triggers),
        ("CreateTrigger", "POST", FUNCTION + "/triggers", manage.create_trigger),
        ("GetTrigger", "GET", FUNCTION + "/triggers/{trigger}", manage.get_trigger),
        ("UpdateTrigger", "PUT", FUNCTION + "/triggers/{trigger}", manage.update_trigger),
        ("DeleteTrigger", "DELETE", FUNCTION + "/triggers/{trigger}", manage.delete_trigger),
        ("GetAsyncInvokeConfig", "GET", FUNCTION + "/async-invoke-config", manage.get_async_config),
        ("PutAsyncInvokeConfig", "PUT", FUNCTION + "/async-invoke-config", manage.put_async_config),
        ("DeleteAsyncInvokeConfig", "DELETE", FUNCTION + "/async-invoke-config", manage.delete_async_config),
        ("ListAsyncInvokeConfigs", "GET", "/async-invoke-configs", manage.list_async_configs),
        ("ListAsyncTasks", "GET", FUNCTION + "/async-tasks", manage.list_tasks),
        ("GetAsyncTask", "GET", FUNCTION + "/async-tasks/{task}", manage.get_task),
        ("StopAsyncTask", "PUT", FUNCTION + "/async-tasks/{task}/stop", manage.stop_task),
        ("GetConcurrencyConfig", "GET", FUNCTION + "/concurrency", manage.get_concurrency),
        ("PutConcurrencyConfig", "PUT", FUNCTION + "/concurrency", manage.put_concurrency),
        ("DeleteConcurrencyConfig", "DELETE", FUNCTION + "/concurrency", manage.delete_concurrency),
        ("ListConcurrencyConfigs", "GET", "/concurrency-configs", manage.list_concurrency),
        ("DisableFunctionInvocation", "POST", FUNCTION + "/invoke/disable", manage.disable),
        ("EnableFunctionInvocation", "POST", FUNCTION + "/invoke/enable", manage.enable),
    )
    return [
        *(web.route(method, V3 + path, door.v3(handler, action)) for action, method, path, handler in table),
        web.route("*", V3 + "/{rest:.*}", door.v3(door.missing, "Unknown")),
        web.post(V2 + "/services/{service}/functions/{name}/invocations", door.v2(door.invoke_v2, "InvokeFunction")),
        web.route("*", V2 + "/{rest:.*}", door.v2(door.missing, "Unknown")),
        web.route("*", "/_fc/http/{name}/{trigger}", door.http_trigger),
        web.route("*", "/_fc/http/{name}/{trigger}/{rest:.*}", door.http_trigger),
    ]


def at_domain(cloud: Cloud, request: web.Request) -> Awaitable[web.StreamResponse] | None:
    """The answer to a request for a domain of the project; None when it is for none."""
    if cloud.fc is None:
        return None
    host = request.host.partition(":")[0]
    found = next((domain for domain in cloud.fc.project.domains if domain.name == host), None)
    return None if found is None else _Door(cloud).at_domain(request, found)


class _Door:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    # --- authentication and errors ----------------------------------------------------------------------------

    def v3(self, handler: Handler, action: str) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            def authenticate(body: bytes) -> Caller:
                return self._cloud.callers.from_acs3(
                    method=request.method,
                    path=request.rel_url.raw_path,
                    query=parse_query(request.rel_url.raw_query_string),
                    headers=request.headers,
                    body=body,
                    zone=self._cloud.zone_behind(request),
                    source=request.remote or "",
                )

            return await self._guard(request, handler, action, authenticate, ("Code", "Message"))

        return guarded

    def v2(self, handler: Handler, action: str) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            def authenticate(body: bytes) -> Caller:  # noqa: ARG001 (this signature does not cover the body)
                path = unquote(request.rel_url.raw_path)
                return signature.caller(
                    self._cloud,
                    method=request.method,
                    path=path,
                    headers=request.headers,
                    source=request.remote or "",
                )

            return await self._guard(request, handler, action, authenticate, ("ErrorCode", "ErrorMessage"))

        return guarded

    async def _guard(
        self,
        request: web.Request,
        handler: Handler,
        action: str,
        authenticate: Callable[[bytes], Caller],
        keys: tuple[str, str],
    ) -> web.StreamResponse:
        request_id = service(self._cloud).request_id() if self._cloud.fc else self._cloud.chance.request_id()
        request[REQUEST_ID] = request_id
        who, status, code = "", 200, ""
        try:
            caller = authenticate(await self._body(request))
            who = caller.role or caller.access_key
            authorize(self._cloud, caller, action, request.match_info)
            self._check_query(request, action)
            response = await self._through_faults(request, handler, action, caller, keys)
            status = response.status
        except BodyRefused as refusal:
            status, code = refusal.status, "InvalidArgument"
            response = _refusal(status, code, refusal.message, request_id, keys)
            response.force_close()
        except (ApiError, Refused) as error:
            status, code = error.status, error.code
            check_error(action, code)
            response = _refusal(error.status, error.code, error.message, request_id, keys)
        response.headers["X-Fc-Request-Id"] = request_id
        self._cloud.requests.add(Entry(self._cloud.clock.now(), "fc", action, who, status, code))
        return response

    async def _body(self, request: web.Request) -> bytes:
        """Whatever call it is, a little more than the largest payload is too much."""
        try:
            return await read_body(request, at_most=LARGEST_SYNC)
        except BodyRefused as refusal:
            if refusal.status != 413:
                raise
            raise BodyRefused(400, f"payload size exceeds maximum allowed size ({LARGEST_SYNC} bytes)") from None

    @staticmethod
    def _check_query(request: web.Request, action: str) -> None:
        known = OPERATIONS[action].reads if action in OPERATIONS else tuple(request.query)
        for name in request.query:
            if name not in known:
                log.warning("parameter not modelled: fc %s.%s", action, name[:80])
                raise Refused(400, "InvalidArgument", f"the emulator does not model the parameter {name[:80]!r} here")

    async def _through_faults(
        self, request: web.Request, handler: Handler, action: str, caller: Caller, keys: tuple[str, str]
    ) -> web.StreamResponse:
        """The call, as the menu of faults lets it be. Refusals of the service raise only when no fault strikes."""
        if not self._cloud.faults.on_calls:
            return await handler(request)
        fc = self._cloud.fc
        asked = Asked(
            service="fc",
            action=action,
            access_key=caller.access_key,
            role=caller.role,
            account=caller.account,
            region=self._cloud.region if fc is None else fc.project.region,
            zones=(caller.zone,) if caller.zone else (),
            function=request.match_info.get("name", ""),
        )
        blow = self._cloud.faults.blow(asked)
        if blow is None:
            return await handler(request)

        async def run() -> web.StreamResponse:
            try:
                return await handler(request)
            except (ApiError, Refused) as error:
                return _refusal(error.status, error.code, error.message, request[REQUEST_ID], keys)

        def refuse(told: Refusal) -> web.StreamResponse:
            response = _refusal(told.status, told.code, told.message, request[REQUEST_ID], keys)
            if told.retry_after_ms is not None:
                response.headers["x-acs-retry-after"] = str(told.retry_after_ms)
            return response

        return await through(self._cloud, blow, request, run=run, refuse=refuse)

    async def missing(self, request: web.Request) -> web.StreamResponse:
        """Says whether the cloud has such a call: what lacks then is the emulator, otherwise the path is wrong."""
        named, where = (
            request.headers.get("x-acs-action", "")[:80],
            f"'{request.method}' against '{request.path[:200]}'",
        )
        if named in OTHERS or request.path.startswith(V2):
            log.warning("call not modelled: fc %s %s", named, where)
            why = f"the cloud has {named or 'more of this API'}, but the emulator does not model {where}"
        else:
            log.warning("no such call: fc %s", where)
            why = f"{where} is not supported"
        raise Refused(400, "PathNotSupported", why)

    # --- invocation -------------------------------------------------------------------------------------------

    async def invoke(self, request: web.Request) -> web.StreamResponse:
        only_latest(request.query.get("qualifier"))
        return await self._call(request, request.match_info["name"], request.headers.get("x-fc-async-task-id"))

    async def invoke_v2(self, request: web.Request) -> web.StreamResponse:
        """A function of service S is the function of that name here, or `S-name` (the emulator's own convention)."""
        asked, short = request.match_info["service"].partition(".")[0], request.match_info["name"]
        fc = service(self._cloud)
        full = next((name for name in (short, f"{asked}-{short}") if fc.project.function(name)), short)
        return await self._call(request, full, request.headers.get("x-fc-stateful-async-invocation-id"))

    async def _call(self, request: web.Request, name: str, task: str | None) -> web.StreamResponse:
        fc = service(self._cloud)
        payload = await self._body(request)
        kind = request.headers.get("x-fc-invocation-type", "Sync").lower()
        request_id = request[REQUEST_ID]
        if kind == "async":
            delay = self._delay(request)
            fc.invoke_async(name, payload, delay=delay, task=task, request_id=request_id)
            return web.Response(status=202)
        if kind != "sync":
            raise Refused(400, "InvalidArgument", "x-fc-invocation-type must be Sync or Async")
        wanted = request.headers.get("x-fc-log-type", "None")
        if wanted not in ("None", "Tail"):
            raise Refused(400, "InvalidArgument", "x-fc-log-type must be None or Tail")
        log_path = fc.log_path(fc.function(name).name)
        begun = log_path.stat().st_size if log_path.exists() else 0
        response = _plain(await fc.invoke(name, payload, request_id=request_id))
        if wanted == "Tail":
            response.headers["X-Fc-Log-Result"] = base64.b64encode(_tail(log_path, begun)).decode()
        return response

    @staticmethod
    def _delay(request: web.Request) -> timedelta:
        text = request.headers.get("x-fc-async-delay", "0")
        seconds = digits(text)
        if seconds is None or seconds > 3600:
            raise Refused(400, "InvalidArgument", "x-fc-async-delay must be 0 to 3600 seconds")
        return timedelta(seconds=seconds)

    # --- HTTP triggers ----------------------------------------------------------------------------------------

    async def http_trigger(self, request: web.Request) -> web.StreamResponse:
        """The trigger's default address. Browsers store what comes from there instead of showing it, whatever the
        function says (FC documentation, custom domain names)."""
        response = await self._for_anybody(request)
        response.headers["Content-Disposition"] = "attachment"
        return response

    async def at_domain(self, request: web.Request, domain: Domain) -> web.StreamResponse:
        """Assumptions: the code of a path without a route, and that the trigger's own authentication counts."""
        path = request.path
        route = domain.route(path)
        if route is None:
            why = f"no route of {domain.name} leads to {path[:80]}"
            return answer({"Code": "RouteNotFound", "Message": why}, status=404)
        if route.methods and request.method not in route.methods:
            why = f"{request.method} is not among {', '.join(route.methods)}"
            return answer({"Code": "MethodNotAllowed", "Message": why}, status=405)
        triggers = service(self._cloud).function(route.function).triggers
        trigger = next((t.name for t in triggers if isinstance(t, Http)), "")  # "": taken away since
        request.match_info.update(name=route.function, trigger=trigger, rest=path.removeprefix("/"))
        return await self._for_anybody(request)

    async def _for_anybody(self, request: web.Request) -> web.StreamResponse:
        """Error statuses of refused calls are assumptions."""
        request[REQUEST_ID] = self._cloud.chance.request_id()
        anybody = Caller(account=self._cloud.account, access_key="", role=None, zone=self._cloud.zone_behind(request))
        return await self._through_faults(
            request, self._called_from_the_web, "InvokeFunction", anybody, ("Code", "Message")
        )

    async def _called_from_the_web(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await self._body(request)
            fc = service(self._cloud)
            function, trigger = named(fc, request)
            if not isinstance(trigger, Http):
                raise Refused(404, "TriggerNotFound", f"{trigger.name} is not an HTTP trigger")
            if request.method not in trigger.methods:
                raise Refused(405, "MethodNotAllowed", f"{request.method} is not among {', '.join(trigger.methods)}")
            if trigger.auth != "anonymous":
                authorize(self._cloud, self._signed(request, body), "InvokeFunction", {"name": function.name})
            request_id = fc.request_id()
            event = self._http_event(request, body, trigger, request_id)
            outcome = await fc.invoke(
                function.name, json.dumps(event).encode(), trigger=trigger.name, request_id=request_id
            )
        except BodyRefused as refusal:
            response = answer({"Code": "InvalidArgument", "Message": refusal.message}, status=refusal.status)
            response.force_close()
            return response
        except (ApiError, Refused) as error:
            return answer({"Code": error.code, "Message": error.message}, status=error.status)
        response = http_reply(outcome)
        response.headers["X-Fc-Request-Id"] = request_id
        return response

    def _signed(self, request: web.Request, body: bytes) -> Caller:
        return self._cloud.callers.from_acs3(
            method=request.method,
            path=request.rel_url.raw_path,
            query=parse_query(request.rel_url.raw_query_string),
            headers=request.headers,
            body=body,
            source=request.remote or "",
        )

    def _http_event(self, request: web.Request, body: bytes, trigger: Http, request_id: str) -> dict[str, Any]:
        now = self._cloud.clock.now()
        path = "/" + request.match_info.get("rest", "")
        # A public sample shows form bodies arriving as base64; JSON and text as they are (assumption).
        texty = request.content_type.startswith("text/") or request.content_type == "application/json" or not body
        encoded = body.decode(errors="replace") if texty else base64.b64encode(body).decode()
        return {
            "version": "v1",
            "rawPath": path,
            "headers": {"-".join(p.capitalize() for p in name.split("-")): v for name, v in request.headers.items()},
            "queryParameters": dict(request.query),
            "body": encoded,
            "isBase64Encoded": not texty,
            "requestContext": {
                "accountId": self._cloud.account,
                "domainName": request.host,
                "domainPrefix": request.host.partition(".")[0],
                "requestId": request_id,
                "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "timeEpoch": str(int(now.timestamp() * 1000)),
                "triggerId": trigger.name,
                "http": {
                    "method": request.method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": request.remote or "",
                    "userAgent": request.headers.get("User-Agent", ""),
                },
            },
        }


def _refusal(status: int, code: str, message: str, request_id: str, keys: tuple[str, str]) -> web.Response:
    return answer({keys[0]: code, keys[1]: message, "RequestId": request_id}, status=status)


def _tail(path: Path, begun: int) -> bytes:
    """The last of what was written since."""
    with path.open("rb") as text:
        size = text.seek(0, 2)
        text.seek(max(begun, size - LOG_TAIL))
        return text.read()


def _plain(outcome: Outcome) -> web.Response:
    headers = {"X-Fc-Error-Type": outcome.error} if outcome.error else {}
    return web.Response(body=outcome.body, headers=headers, content_type="application/octet-stream")


def http_reply(outcome: Outcome) -> web.Response:
    """`{"statusCode": ...}` is mapped; all else is the body of a 200. A function error answers 500 (assumption)."""
    if outcome.error:
        headers = {"X-Fc-Error-Type": outcome.error}
        return web.Response(status=500, body=outcome.body, headers=headers, content_type="application/json")
    try:
        told = json.loads(outcome.body)
    except ValueError:
        told = None
    if not isinstance(told, dict) or "statusCode" not in told:
        return web.Response(body=outcome.body)
    body = told.get("body", "")
    text = body if isinstance(body, str) else json.dumps(body)
    raw = base64.b64decode(text) if told.get("isBase64Encoded") else text.encode()
    headers = {str(name): str(value) for name, value in (told.get("headers") or {}).items()}
    return web.Response(status=int(told["statusCode"]), body=raw, headers=headers)
