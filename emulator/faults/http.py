"""The menu through the admin door.

GET    /_emulator/faults          what is set: {"faults": [{"id": "f-1", "kind": ..., "struck": 2, "left": 1, ...}]}
POST   /_emulator/faults          {"kind": "throttle", "action": "CreateSnapshot", "calls": 3} -> {"id": "f-1"};
                                  a list of such objects -> {"ids": [...]}, all of them or none
DELETE /_emulator/faults          ends all of them
DELETE /_emulator/faults/f-1      ends one
GET    /_emulator/faults/kinds    the menu: what each kind does and which details it takes
GET    /_emulator/faults/log      what has struck (oldest first; `?kind=`, `?action=`, `?fault=`), and how often by kind

Where (patterns as of a shell; absent: anywhere)
  service    ecs, pvtz, slb, alidns, vpc, ess, cms, sts, ots, fc     action    CreateSnapshot, Describe*, PutRow, ...
  caller     a role's name, or an access key's id                   account   region   table   function
  zone       where the call comes from, through its gateway, or the ZoneId that it names
  trigger    of a delivery: the trigger's name, or timer, event, async
When
  calls      strikes so often (once, unless something else says how long; null: no limit)
  skip       lets so many pass first                                probability   of each call, by the emulator's seed
  for        so many emulated seconds from now                      until         an emulated time, ISO 8601
How: seconds, real, status, code, message, retry_after_ms, rows, limit, moment, instance, how - by kind.
"""

from typing import TYPE_CHECKING

from aiohttp import web

from emulator.faults.fault import FaultError, from_json
from emulator.faults.kinds import KINDS
from emulator.wire import strict_json
from emulator.wire.body import read_body

if TYPE_CHECKING:
    from emulator.cloud import Cloud


def admin_routes(cloud: "Cloud") -> list[web.RouteDef]:
    door = _Admin(cloud)
    return [
        web.get("/_emulator/faults", door.listing),
        web.post("/_emulator/faults", door.add),
        web.delete("/_emulator/faults", door.clear),
        web.get("/_emulator/faults/kinds", door.kinds),
        web.get("/_emulator/faults/log", door.log),
        web.delete("/_emulator/faults/{id}", door.remove),
    ]


def _refuse(message: str, status: int = 400) -> web.Response:
    return web.json_response({"error": message}, status=status)


class _Admin:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud

    async def listing(self, _: web.Request) -> web.Response:
        return web.json_response({"faults": [standing.to_json() for standing in self._cloud.faults.all()]})

    async def add(self, request: web.Request) -> web.Response:
        try:
            told = strict_json.parse(await read_body(request) or b"null")
        except ValueError as error:
            return _refuse(f"fault: the body is not JSON: {error}")
        try:
            if isinstance(told, list):
                return web.json_response({"ids": self._cloud.faults.add_all([from_json(one) for one in told])})
            return web.json_response({"id": self._cloud.faults.add(from_json(told))})
        except FaultError as error:
            return _refuse(str(error))

    async def clear(self, _: web.Request) -> web.Response:
        self._cloud.faults.clear()
        return web.json_response({})

    async def remove(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        if not self._cloud.faults.remove(wanted):
            return _refuse(f"fault {wanted}: it is not set (any more)", 404)
        return web.json_response({})

    async def kinds(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                name: {"scope": kind.scope, "says": kind.says, "details": list(kind.details)}
                for name, kind in KINDS.items()
            }
        )

    async def log(self, request: web.Request) -> web.Response:
        wanted = {name: request.query.get(name) for name in ("kind", "action", "fault")}
        struck = [
            {
                "time": strike.at.isoformat(),
                "fault": strike.fault,
                "kind": strike.kind,
                "service": strike.service,
                "action": strike.action,
                "caller": strike.caller,
                "subject": strike.subject,
            }
            for strike in self._cloud.faults.log
            if all(value in (None, getattr(strike, name)) for name, value in wanted.items())
        ]
        return web.json_response({"struck": struck, "counts": dict(self._cloud.faults.counts)})
