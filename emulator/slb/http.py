"""What an operator of the emulator sees of the load balancers, and can do to them.

GET  /_emulator/load_balancers             where each listener really answers, its members, their weights and health
POST /_emulator/load_balancers/settings    {"configuring_for": seconds}: for so long after a change the next one is
                                           refused (449 SystemBusy, 409 BackendServer.configuring, 400 ServiceIs...)

`account` and `region` choose the realm of the settings; without them it is the home realm.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from aiohttp import web

from emulator.admin import read_object, refuse
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.cloud import Cloud


def configure(cloud: "Cloud", *, account: str, region: str, configuring_for: float) -> None:
    """A deed."""
    cloud.realm(account, region).slb.configuring_for = timedelta(seconds=configuring_for)


def admin_routes(cloud: "Cloud") -> list[web.RouteDef]:
    async def describe(_: web.Request) -> web.Response:
        return web.json_response(cloud.slb.describe())

    async def settings(request: web.Request) -> web.Response:
        body = await read_object(request)
        seconds = body.pop("configuring_for", None)
        account, region = body.pop("account", cloud.account), body.pop("region", cloud.region)
        if body or isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            return refuse('load_balancers/settings: give {"configuring_for": seconds >= 0} and nothing else')
        try:
            cloud.do(configure, account=str(account), region=str(region), configuring_for=float(seconds))
        except ApiError as error:
            return refuse(str(error), error.status)
        return web.json_response({"configuring_for": seconds})

    return [
        web.get("/_emulator/load_balancers", describe),
        web.post("/_emulator/load_balancers/settings", settings),
    ]
