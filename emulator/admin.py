"""The admin door (`/_emulator/`): time, darkness, failures and what has happened. Not part of any cloud."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from emulator import deeds
from emulator.wire import strict_json
from emulator.wire.body import read_body
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.cloud import Cloud


LONGEST_JUMP: Final = timedelta(days=3660)
"""Of the clock, at once: farther is a slip, and every timer on the way has to run."""
FASTEST: Final = 1_000_000


def _within(number: float, most: float) -> bool:
    return not isinstance(number, bool) and 0 <= number <= most


def refuse(message: str, status: int = 400) -> web.Response:
    return web.json_response({"error": message}, status=status)


async def read_object(request: web.Request) -> dict[str, Any]:
    """The JSON object in the body; web.HTTPBadRequest with one sentence otherwise."""
    raw = await read_body(request)
    try:
        body = strict_json.parse(raw or b"{}")
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text=f"the body must be a JSON object, got {type(body).__name__}")
    return body


def routes(cloud: "Cloud") -> list[web.RouteDef]:
    door = _Admin(cloud)
    return [
        web.get("/_emulator/clock", door.clock),
        web.post("/_emulator/clock", door.move_clock),
        web.post("/_emulator/zones/{zone}", door.zone),
        web.post("/_emulator/instances/{id}/fail", door.fail),
        web.get("/_emulator/instances", door.instances),
        web.get("/_emulator/snapshots", door.snapshots),
        web.post("/_emulator/stock", door.stock),
        web.get("/_emulator/requests", door.requests),
        web.get("/_emulator/requests/totals", door.totals),
        web.get("/_emulator/events", door.events),
    ]


def index(known: Sequence[web.RouteDef]) -> web.RouteDef:
    """`GET /_emulator/`: all routes of this door."""
    listed = [{"method": r.method, "path": r.path} for r in known if r.path.startswith("/_emulator/")]

    async def tell(_: web.Request) -> web.Response:
        return web.json_response({"routes": sorted(listed, key=lambda r: (r["path"], r["method"]))})

    return web.get("/_emulator/", tell)


class _Admin:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud

    async def clock(self, _: web.Request) -> web.Response:
        clock = self._cloud.clock
        return web.json_response({"now": clock.now().isoformat(), "rate": clock.rate})

    async def move_clock(self, request: web.Request) -> web.Response:
        """`{"advance": seconds}`, `{"to": ISO}` or `{"rate": r}`; a jump answers when all is quiet again."""
        clock = self._cloud.clock
        match await read_object(request):
            case {"rate": int() | float() as rate} if _within(rate, FASTEST):
                clock.set_rate(float(rate))
            case {"advance": int() | float() as seconds} if _within(seconds, LONGEST_JUMP.total_seconds()):
                await clock.jump(clock.now() + timedelta(seconds=seconds))
            case {"to": str(moment)}:
                try:
                    to = datetime.fromisoformat(moment)
                except ValueError:
                    return refuse(f"clock.to: {moment!r} is not an ISO 8601 time")
                to = to if to.tzinfo else to.replace(tzinfo=UTC)
                if to - clock.now() > LONGEST_JUMP:
                    return refuse(f"clock.to: {moment} is more than {LONGEST_JUMP.days} days ahead")
                await clock.jump(to)
            case _:
                return refuse(
                    f'clock: give {{"advance": 0 to {LONGEST_JUMP.total_seconds():.0f} seconds}}, {{"to": ISO time}} '
                    f'or {{"rate": 0 to {FASTEST}}}'
                )
        return await self.clock(request)

    async def zone(self, request: web.Request) -> web.Response:
        zone = request.match_info["zone"]
        body = await read_object(request)
        dark = body.get("dark")
        if not isinstance(dark, bool):
            return refuse(f'zones/{zone}: give {{"dark": true}} or {{"dark": false}}')
        known = self._cloud.ecs.zones
        if zone not in known:
            return refuse(f"zones/{zone}: no such zone; there are {', '.join(known)}", 404)
        self._cloud.do(deeds.set_dark, zone=zone, dark=dark)
        return web.json_response({"zone": zone, "dark": dark})

    async def fail(self, request: web.Request) -> web.Response:
        """The instance's host fails. `{"recovers": true}`: the platform restarts it elsewhere within minutes."""
        body = await read_object(request)
        try:
            event = self._cloud.do(
                deeds.fail, instance=request.match_info["id"], recovers=bool(body.get("recovers", True))
            )
        except ApiError as error:
            return refuse(str(error), error.status)
        return web.json_response({"event": event})

    async def instances(self, _: web.Request) -> web.Response:
        return web.json_response(
            [
                {"id": i.id, "name": i.name, "state": i.state, "zone": i.zone, "address": i.private_ip}
                for i in self._cloud.ecs.instances.values()
            ]
        )

    async def snapshots(self, request: web.Request) -> web.Response:
        """Of one disk (`?disk=`) or of all, oldest first, with what the cloud's API does not tell: bytes held."""
        wanted = request.query.get("disk")
        kept = [s for s in self._cloud.ecs.snapshots.shelf if wanted in (None, s.disk_id)]
        return web.json_response(
            [
                {
                    "id": s.id,
                    "disk": s.disk_id,
                    "created": s.created.isoformat(),
                    "changed_bytes": s.changed_bytes,  # when it was taken
                    "held_bytes": s.layer.bytes_owned,  # now: grows when an older snapshot of the chain goes
                }
                for s in sorted(kept, key=lambda s: s.created)
            ]
        )

    async def stock(self, request: web.Request) -> web.Response:
        """`{"zone": z, "type": t, "count": n}`: so many more instances can be bought; count null lifts the limit."""
        match await read_object(request):
            case {"zone": str(zone), "type": str(kind), "count": int() | None as count}:
                self._cloud.do(deeds.set_stock, zone=zone, instance_type=kind, count=count)
                return web.json_response({"zone": zone, "type": kind, "count": count})
            case body:
                return refuse(f'stock: give {{"zone": text, "type": text, "count": number or null}}, not {body}')

    async def totals(self, _: web.Request) -> web.Response:
        """Calls since the start, by service and action."""
        return web.json_response(dict(self._cloud.requests.totals.most_common()))

    async def requests(self, request: web.Request) -> web.Response:
        """The log, oldest first; `?action=` and `?service=` filter."""
        action, service = request.query.get("action"), request.query.get("service")
        return web.json_response(
            [
                {
                    "time": entry.at.isoformat(),
                    "service": entry.service,
                    "action": entry.action,
                    "caller": entry.caller,
                    "status": entry.status,
                    "code": entry.code,
                }
                for entry in self._cloud.requests.entries
                if (action is None or entry.action == action) and (service is None or entry.service == service)
            ]
        )

    async def events(self, _: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "id": event.id,
                    "time": event.at.isoformat(),
                    "name": event.name,
                    "level": event.level,
                    "resource": event.resource,
                    "content": dict(event.content),
                }
                for event in self._cloud.events
            ]
        )
