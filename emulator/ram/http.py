"""What permissions were used: `GET /_emulator/ram` lists each (principal, action, resource) that policies were asked
about, and how often it was allowed and denied: a run proves a policy wide enough, and shows what nobody needed."""

from typing import TYPE_CHECKING

from aiohttp import web

from emulator import deeds
from emulator.admin import read_object, refuse

if TYPE_CHECKING:
    from emulator.cloud import Cloud


def admin_routes(cloud: "Cloud") -> list[web.RouteDef]:
    async def exercised(_: web.Request) -> web.Response:
        listed = [
            {
                "principal": principal,
                "action": action,
                "resource": resource,
                "allowed": asked.allowed,
                "denied": asked.denied,
            }
            for (principal, action, resource), asked in cloud.ram.exercised.items()
        ]
        return web.json_response({"exercised": listed})

    async def enable_key(request: web.Request) -> web.Response:
        """`{"enabled": false}` switches an access key off."""
        body = await read_object(request)
        key = request.match_info["key"]
        if cloud.keys.find(key) is None or not isinstance(body.get("enabled"), bool):
            return refuse(f'keys/{key}: name an existing key, and give {{"enabled": true}} or {{"enabled": false}}')
        cloud.do(deeds.enable_key, key=key, enabled=body["enabled"])
        return web.json_response({"key": key, "enabled": body["enabled"]})

    return [web.get("/_emulator/ram", exercised), web.post("/_emulator/keys/{key}", enable_key)]
