"""The admin door of metrics: `POST /_emulator/metrics {"namespace", "metric", "resource", "value"}` lets a metric of an
instance or a balancer read so from now on."""

from typing import TYPE_CHECKING

from aiohttp import web

from emulator.admin import read_object, refuse
from emulator.cms.metrics import ECS

if TYPE_CHECKING:
    from emulator.cloud import Cloud


def set_gauge(cloud: "Cloud", *, namespace: str, metric: str, resource: str, value: float, region: str) -> None:
    cloud.realm(cloud.account, region).cms.metrics.set_gauge(namespace, metric, resource, value)


def admin_routes(cloud: "Cloud") -> list[web.RouteDef]:
    async def gauge(request: web.Request) -> web.Response:
        match await read_object(request):
            case {"metric": str(metric), "resource": str(resource), "value": int() | float() as value} as body:
                cloud.do(
                    set_gauge,
                    namespace=str(body.get("namespace", ECS)),
                    metric=metric,
                    resource=resource,
                    value=float(value),
                    region=str(body.get("region", cloud.region)),
                )
                return web.json_response({})
            case body:
                return refuse(f'metrics: give {{"metric": text, "resource": id, "value": number}}, not {body}')

    return [web.post("/_emulator/metrics", gauge)]
