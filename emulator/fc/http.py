"""Function Compute on the wire: the invocation paths of APIs 2023-03-30 and 2016-08-15, HTTP triggers, admin door."""

import base64
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from emulator.admin import read_object
from emulator.cloud import Cloud
from emulator.faults.codes import Refusal
from emulator.faults.door import through
from emulator.faults.fault import Asked, Fault, FaultError
from emulator.fc import signature
from emulator.fc.project import EventRule, Function, Http, Timer, Trigger
from emulator.fc.queue import Outcome, Refused
from emulator.fc.service import FunctionCompute
from emulator.ram.functions import authorize
from emulator.wire.acs3 import parse_query
from emulator.wire.call import ApiError, Caller
from emulator.wire.log import Entry

V3 = "/2023-03-30"
V2 = "/2016-08-15"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REQUEST_ID = web.RequestKey("request_id", str)
LARGEST_SYNC = 32 * 1024 * 1024
DELIVERY_FAULTS = {"twice": "deliver_twice", "drop": "deliver_lost", "delay": "deliver_late"}


def routes(cloud: Cloud) -> list[web.RouteDef]:
    """Everything that a client of the real service, or a webhook's sender, can reach."""
    door = _Door(cloud)
    return [
        web.post(V3 + "/functions/{name}/invocations", door.v3(door.invoke, "InvokeFunction")),
        web.get(V3 + "/functions", door.v3(door.list_functions, "ListFunctions")),
        web.get(V3 + "/functions/{name}", door.v3(door.get_function, "GetFunction")),
        web.get(V3 + "/functions/{name}/triggers", door.v3(door.list_triggers, "ListTriggers")),
        web.get(V3 + "/functions/{name}/triggers/{trigger}", door.v3(door.get_trigger, "GetTrigger")),
        web.put(V3 + "/functions/{name}/triggers/{trigger}", door.v3(door.update_trigger, "UpdateTrigger")),
        web.get(V3 + "/functions/{name}/async-tasks", door.v3(door.list_tasks, "ListAsyncTasks")),
        web.get(V3 + "/functions/{name}/async-tasks/{task}", door.v3(door.get_task, "GetAsyncTask")),
        web.route("*", V3 + "/{rest:.*}", door.v3(door.missing, "Unknown")),
        web.post(V2 + "/services/{service}/functions/{name}/invocations", door.v2(door.invoke_v2, "InvokeFunction")),
        web.route("*", V2 + "/{rest:.*}", door.v2(door.missing, "Unknown")),
        web.route("*", "/_fc/http/{name}/{trigger}", door.http_trigger),
        web.route("*", "/_fc/http/{name}/{trigger}/{rest:.*}", door.http_trigger),
    ]


def admin_routes(cloud: Cloud) -> list[web.RouteDef]:
    """Below /_emulator: unsigned, for tests and operators of the emulator."""
    admin = _Admin(cloud)
    routes = [
        web.get("/_emulator/fc/functions", admin.functions),
        web.get("/_emulator/fc/invocations", admin.invocations),
        web.post("/_emulator/fc/{name}/triggers/{trigger}", admin.enable),
        web.post("/_emulator/fc/kill", admin.kill),
        web.post("/_emulator/fc/faults", admin.add_fault),
        web.delete("/_emulator/fc/faults", admin.clear_faults),
    ]
    return [web.route(r.method, r.path, _told(r.handler)) for r in routes]


def _told(handler: Any) -> Handler:
    """What the service refuses, as an answer of the admin door."""

    async def told(request: web.Request) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
        except Refused as error:
            return answer({"Code": error.code, "Message": error.message}, status=error.status)
        return response

    return told


def service(cloud: Cloud) -> FunctionCompute:
    fc: FunctionCompute | None = cloud.fc
    if fc is None:
        raise Refused(404, "FunctionNotFound", "this emulator was started without an s.yaml (--fc)")
    return fc


def answer(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    packed = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(body=packed, status=status, headers=headers, content_type="application/json")


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
            caller = authenticate(await request.read())
            who = caller.role or caller.access_key
            authorize(self._cloud, caller, action, request.match_info)
            response = await self._through_faults(request, handler, action, caller, keys)
            status = response.status
        except (ApiError, Refused) as error:
            status, code = error.status, error.code
            response = _refusal(error.status, error.code, error.message, request_id, keys)
        response.headers["X-Fc-Request-Id"] = request_id
        self._cloud.requests.add(Entry(self._cloud.clock.now(), "fc", action, who, status, code))
        return response

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
        raise Refused(404, "PathNotSupported", f"the emulator does not model {request.method} {request.path}")

    # --- invocation -------------------------------------------------------------------------------------------

    async def invoke(self, request: web.Request) -> web.StreamResponse:
        """InvokeFunction. Not modelled: x-fc-log-type Tail, qualifiers other than LATEST."""
        if request.query.get("qualifier", "LATEST") != "LATEST":
            raise Refused(404, "VersionNotFound", "the emulator has only LATEST")
        return await self._call(request, request.match_info["name"], request.headers.get("x-fc-async-task-id"))

    async def invoke_v2(self, request: web.Request) -> web.StreamResponse:
        """A function of service S is the function of that name here, or `S-name` (the emulator's own convention)."""
        named, short = request.match_info["service"].partition(".")[0], request.match_info["name"]
        fc = service(self._cloud)
        full = next((name for name in (short, f"{named}-{short}") if fc.project.function(name)), short)
        return await self._call(request, full, request.headers.get("x-fc-stateful-async-invocation-id"))

    async def _call(self, request: web.Request, name: str, task: str | None) -> web.StreamResponse:
        fc = service(self._cloud)
        payload = await request.read()
        kind = request.headers.get("x-fc-invocation-type", "Sync").lower()
        request_id = request[REQUEST_ID]
        if kind == "async":
            delay = self._delay(request)
            fc.invoke_async(name, payload, delay=delay, task=task, request_id=request_id)
            return web.Response(status=202)
        if kind != "sync":
            raise Refused(400, "InvalidArgument", "x-fc-invocation-type must be Sync or Async")
        if len(payload) > LARGEST_SYNC:
            raise Refused(413, "RequestTooLarge", "synchronous payloads are limited to 32 MB")
        return _plain(await fc.invoke(name, payload, request_id=request_id))

    @staticmethod
    def _delay(request: web.Request) -> timedelta:
        text = request.headers.get("x-fc-async-delay", "0")
        if not text.isdecimal():
            raise Refused(400, "InvalidArgument", "x-fc-async-delay must be a whole number of seconds")
        return timedelta(seconds=int(text))

    # --- reading and switching --------------------------------------------------------------------------------

    async def list_functions(self, request: web.Request) -> web.StreamResponse:
        """ListFunctions, prefix only; one page."""
        prefix = request.query.get("prefix", "")
        found = [f for f in service(self._cloud).project.functions if f.name.startswith(prefix)]
        return answer({"functions": [self._function(f) for f in found]})

    async def get_function(self, request: web.Request) -> web.StreamResponse:
        return answer(self._function(service(self._cloud).function(request.match_info["name"])))

    def _function(self, function: Function) -> dict[str, Any]:
        arn = f"acs:fc:{service(self._cloud).project.region}:{self._cloud.account}:functions/{function.name}"
        return {
            "functionName": function.name,
            "functionArn": arn,
            "handler": function.handler,
            "runtime": function.runtime,
            "timeout": int(function.timeout.total_seconds()),
            "memorySize": function.memory_mb,
            "environmentVariables": dict(function.environment),
            "role": f"acs:ram::{self._cloud.account}:role/{function.role}" if function.role else "",
        }

    async def list_triggers(self, request: web.Request) -> web.StreamResponse:
        function = service(self._cloud).function(request.match_info["name"])
        return answer({"triggers": [self._trigger(function, trigger) for trigger in function.triggers]})

    async def get_trigger(self, request: web.Request) -> web.StreamResponse:
        return answer(self._trigger(*self._named(request)))

    async def update_trigger(self, request: web.Request) -> web.StreamResponse:
        """UpdateTrigger: only switching on and off (`enable`, `triggerEnable`) is modelled."""
        function, trigger = self._named(request)
        try:
            config = json.loads(json.loads(await request.read())["triggerConfig"])
            wanted = config["triggerEnable" if isinstance(trigger, EventRule) else "enable"]
        except (ValueError, KeyError, TypeError):
            raise Refused(400, "InvalidArgument", "triggerConfig must be a JSON string that says enable") from None
        service(self._cloud).enable(function.name, trigger.name, bool(wanted))
        return answer(self._trigger(function, trigger))

    def _named(self, request: web.Request) -> tuple[Function, Trigger]:
        function = service(self._cloud).function(request.match_info["name"])
        name = request.match_info["trigger"]
        for trigger in function.triggers:
            if trigger.name == name:
                return function, trigger
        raise Refused(404, "TriggerNotFound", f"function '{function.name}' has no trigger '{name}'")

    def _trigger(self, function: Function, trigger: Trigger) -> dict[str, Any]:
        on = service(self._cloud).enabled(function.name, trigger.name)
        kind, config = describe(trigger, on)
        return {"triggerName": trigger.name, "triggerType": kind, "triggerConfig": json.dumps(config)}

    async def list_tasks(self, request: web.Request) -> web.StreamResponse:
        """ListAsyncTasks, without filters; one page."""
        name = service(self._cloud).function(request.match_info["name"]).name
        found = [key for key in service(self._cloud).queue.tasks if key[0] == name]
        return answer({"tasks": [self._task(*key) for key in found]})

    async def get_task(self, request: web.Request) -> web.StreamResponse:
        name, task = request.match_info["name"], request.match_info["task"]
        if (name, task) not in service(self._cloud).queue.tasks:
            raise Refused(404, "AsyncTaskNotFound", f"no task {task!r} of function {name!r}")
        return answer(self._task(name, task))

    def _task(self, name: str, task: str) -> dict[str, Any]:
        record = service(self._cloud).queue.tasks[name, task]
        return {
            "taskId": record.task,
            "requestId": record.request_id,
            "status": record.state,
            "startedTime": int(record.queued.timestamp() * 1000),
            "taskPayload": record.payload.decode(errors="replace"),
            "events": [{"status": s, "timestamp": int(at.timestamp() * 1000)} for s, at in record.history],
        }

    # --- HTTP triggers ----------------------------------------------------------------------------------------

    async def http_trigger(self, request: web.Request) -> web.StreamResponse:
        """The trigger's public address. Error statuses of refused calls are assumptions."""
        request[REQUEST_ID] = self._cloud.chance.request_id()
        anybody = Caller(account=self._cloud.account, access_key="", role=None, zone=self._cloud.zone_behind(request))
        return await self._through_faults(
            request, self._called_from_the_web, "InvokeFunction", anybody, ("Code", "Message")
        )

    async def _called_from_the_web(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            fc = service(self._cloud)
            function, trigger = self._named(request)
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


def describe(trigger: Trigger, on: bool) -> tuple[str, dict[str, Any]]:
    match trigger:
        case Timer():
            return "timer", {"cronExpression": trigger.cron.expression, "enable": on, "payload": trigger.payload}
        case EventRule():
            return "eventbridge", {"triggerEnable": on, "eventRuleFilterPattern": trigger.pattern_text}
        case Http():
            return "http", {"authType": trigger.auth, "methods": list(trigger.methods)}


class _Admin:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def functions(self, request: web.Request) -> web.StreamResponse:  # noqa: ARG002 (the handler signature)
        fc = service(self._cloud)
        listed = [
            {
                "name": function.name,
                "triggers": [
                    {"name": t.name, "type": describe(t, True)[0], "enabled": fc.enabled(function.name, t.name)}
                    for t in function.triggers
                ],
                "instances": [{"id": i.id, "pid": i.pid} for i in fc.instances(function.name)],
                "running": sum(run.function.name == function.name for run in fc.running()),
            }
            for function in fc.project.functions
        ]
        return answer({"functions": listed, "waiting": fc.queue.depth})

    async def invocations(self, request: web.Request) -> web.StreamResponse:
        """Query: function, trigger, limit (the newest)."""
        fc = service(self._cloud)
        wanted = [
            {
                "function": r.function,
                "trigger": r.trigger,
                "request_id": r.request_id,
                "at": r.at.isoformat(),
                "outcome": r.outcome,
                "seconds": r.seconds,
                "attempt": r.attempt,
                "detail": r.detail,
            }
            for r in fc.records
            if request.query.get("function", r.function) == r.function
            and request.query.get("trigger", r.trigger) == r.trigger
        ]
        return answer({"invocations": wanted[-int(request.query.get("limit", "1000")) :]})

    async def enable(self, request: web.Request) -> web.StreamResponse:
        on = (await read_object(request)).get("enable")
        if not isinstance(on, bool):
            raise Refused(400, "InvalidArgument", 'give {"enable": true} or {"enable": false}')
        service(self._cloud).enable(request.match_info["name"], request.match_info["trigger"], on)
        return answer({})

    async def kill(self, request: web.Request) -> web.StreamResponse:
        """{"random": true} ends one working instance; {"function": name} all of it; {} all."""
        body = await read_object(request)
        fc = service(self._cloud)
        if body.get("random"):
            return answer({"killed": fc.kill_one()})
        return answer({"killed": fc.kill(body.get("function"))})

    async def add_fault(self, request: web.Request) -> web.StreamResponse:
        """{"kind": "twice|drop|delay", "function": name or null, "count": n, "seconds": s}: a short way to the menu."""
        body = await read_object(request)
        kind = DELIVERY_FAULTS.get(str(body.get("kind")))
        if kind is None:
            return answer({"Code": "InvalidArgument", "Message": "kind: want twice, drop or delay"}, status=400)
        try:
            late = float(body.get("seconds", 0)) if kind == "deliver_late" else None
            calls = int(body.get("count", 1))
            fault = Fault(kind=kind, function=body.get("function") or "*", calls=calls, seconds=late)
            return answer({"id": self._cloud.faults.add(fault)})
        except (FaultError, TypeError, ValueError) as error:
            return answer({"Code": "InvalidArgument", "Message": str(error)}, status=400)

    async def clear_faults(self, request: web.Request) -> web.StreamResponse:  # noqa: ARG002 (the handler signature)
        for standing in self._cloud.faults.all():
            if standing.fault.kind in DELIVERY_FAULTS.values():
                self._cloud.faults.remove(standing.id)
        return answer({})
