"""Function Compute's part of the admin door (`/_emulator/fc/`): unsigned, for tests and operators of the emulator."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from emulator.admin import read_object
from emulator.cloud import Cloud
from emulator.faults.fault import Fault, FaultError
from emulator.fc.answers import answer, describe, service
from emulator.fc.queue import Refused
from emulator.wire.params import digits

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
DELIVERY_FAULTS: Final = {"twice": "deliver_twice", "drop": "deliver_lost", "delay": "deliver_late"}


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
            for function in fc.functions
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
        limit = digits(request.query.get("limit", "1000"))
        if limit is None:
            raise Refused(400, "InvalidArgument", "limit must be a whole number from 0")
        return answer({"invocations": wanted[-limit:] if limit else []})

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
        name = body.get("function")
        if not isinstance(name, str | None):
            raise Refused(400, "InvalidArgument", "function must be a name, or null for all")
        if body.get("random"):
            return answer({"killed": fc.kill_one()})
        return answer({"killed": fc.kill(name)})

    async def add_fault(self, request: web.Request) -> web.StreamResponse:
        """{"kind": "twice|drop|delay", "function": name or null, "count": n, "seconds": s}: a short way to the menu."""
        body = await read_object(request)
        kind = DELIVERY_FAULTS.get(str(body.get("kind")))
        if kind is None:
            return answer({"Code": "InvalidArgument", "Message": "kind: want twice, drop or delay"}, status=400)
        try:
            late = float(body.get("seconds", 0)) if kind == "deliver_late" else None
            calls = int(body.get("count", 1))
            fault = Fault(kind=kind, function=str(body.get("function") or "*"), calls=calls, seconds=late)
            return answer({"id": self._cloud.faults.add(fault)})
        except (FaultError, TypeError, ValueError, OverflowError) as error:
            return answer({"Code": "InvalidArgument", "Message": str(error)}, status=400)

    async def clear_faults(self, request: web.Request) -> web.StreamResponse:  # noqa: ARG002 (the handler signature)
        for standing in self._cloud.faults.all():
            if standing.fault.kind in DELIVERY_FAULTS.values():
                self._cloud.faults.remove(standing.id)
        return answer({})
