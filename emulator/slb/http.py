"""What an operator of the emulator sees of the load balancers: `GET /_emulator/load_balancers`."""

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from emulator.cloud import Cloud


def admin_routes(cloud: "Cloud") -> list[web.RouteDef]:
    async def describe(_: web.Request) -> web.Response:
        """Per listener where it really answers, its members, their weights and health."""
        return web.json_response(cloud.slb.describe())

    return [web.get("/_emulator/load_balancers", describe)]
