"""The admin door of events: `POST /_emulator/events` publishes one, `/_emulator/webhooks` says where they go,
`/_emulator/events/oddities` how they misbehave, `GET /_emulator/deliveries` what became of them."""

from typing import TYPE_CHECKING

from aiohttp import web

from emulator.admin import read_object, refuse
from emulator.events import deeds
from emulator.events.deeds import EventError
from emulator.events.oddities import ODDITIES, OddityError
from emulator.events.target import TargetError

if TYPE_CHECKING:
    from emulator.cloud import Cloud


def admin_routes(cloud: "Cloud") -> list[web.RouteDef]:
    door = _Door(cloud)
    return [
        web.post("/_emulator/events", door.publish),
        web.get("/_emulator/events/oddities", door.oddities),
        web.post("/_emulator/events/oddities", door.set_oddities),
        web.get("/_emulator/webhooks", door.webhooks),
        web.post("/_emulator/webhooks", door.register),
        web.delete("/_emulator/webhooks/{id}", door.remove),
        web.get("/_emulator/deliveries", door.deliveries),
    ]


class _Door:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud

    async def publish(self, request: web.Request) -> web.Response:
        """`{"name", "content", "resource", "level", "product", "account", "region"}`; only the name is needed."""
        body = await read_object(request)
        content = body.get("content") or {}
        if not isinstance(content, dict):
            return refuse("events: content must be an object")
        words = {key: str(body[key]) for key in ("resource", "level", "product", "account", "region") if body.get(key)}
        try:
            event_id = self._cloud.do(deeds.publish, name=str(body.get("name") or ""), content=content, **words)
        except EventError as error:
            return refuse(f"events: {error}")
        return web.json_response({"id": event_id})

    async def oddities(self, _: web.Request) -> web.Response:
        return web.json_response({"on": sorted(self._cloud.events_oddities), "known": ODDITIES})

    async def set_oddities(self, request: web.Request) -> web.Response:
        """`{"on": [names]}`: exactly these from now on."""
        names = (await read_object(request)).get("on")
        if not isinstance(names, list):
            return refuse('events/oddities: give {"on": [names]}; an empty list switches all off')
        try:
            self._cloud.do(deeds.set_oddities, names=[str(name) for name in names])
        except OddityError as error:
            return refuse(f"events/oddities: {error}")
        return web.json_response({"on": sorted(self._cloud.events_oddities)})

    async def webhooks(self, _: web.Request) -> web.Response:
        return web.json_response(
            [
                {"id": name, "url": hook.url, "shape": hook.shape, "method": hook.method, "filter": dict(hook.filter)}
                for name, hook in self._cloud.deliveries.webhooks.items()
            ]
        )

    async def register(self, request: web.Request) -> web.Response:
        """`{"url", "shape": "cms-json|cms-form|raw|threshold", "method": "POST|GET", "filter": {...}}`."""
        hook = await read_object(request)
        try:
            hook_id = self._cloud.do(deeds.register_webhook, hook=hook)
        except TargetError as error:
            return refuse(f"webhooks: {error}")
        return web.json_response({"id": hook_id})

    async def remove(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if not self._cloud.do(deeds.remove_webhook, id=name):
            return refuse(f"webhooks: there is no {name}", 404)
        return web.json_response({})

    async def deliveries(self, _: web.Request) -> web.Response:
        """Every attempt at a target, oldest first."""
        return web.json_response(
            [
                {"time": one.at.isoformat(), "to": one.to, "shape": one.shape, "what": one.what, "outcome": one.outcome}
                for one in self._cloud.deliveries.log
            ]
        )
