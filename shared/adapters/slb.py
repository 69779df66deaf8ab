"""The default server pool of a classic load balancer (`alibabacloud_slb20140515`).

No call here takes an idempotency token: a lost answer is settled by reading the pool back.
Source: SLB API 2014-05-15, SDK 3.3.31. Servers of vServer groups are not in this pool and are not handled here.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from alibabacloud_slb20140515 import models
from alibabacloud_slb20140515.client import Client

from shared.adapters.credentials import Credentials
from shared.adapters.ecs_answers import Fields, unreadable
from shared.adapters.numbered_pages import all_pages
from shared.adapters.sdk import Clients, Endpoint, body_of, call
from shared.domain.errors import NotFound, Permanent
from shared.domain.ids import InstanceId, LoadBalancerId
from shared.ports.balancer import Backend, Health

RAM_ACTIONS: Final = (
    "slb:DescribeLoadBalancers",
    "slb:DescribeLoadBalancerAttribute",
    "slb:DescribeHealthStatus",
    "slb:AddBackendServers",
    "slb:SetBackendServers",
    "slb:RemoveBackendServers",
)
"""The RAM actions that this adapter needs."""

PAGE: Final = 100

WORST_FIRST: Final = (Health.ABNORMAL, Health.UNAVAILABLE, Health.NORMAL)


class SlbBalancer:
    """Balancer port."""

    def __init__(self, *, endpoint: Endpoint, credentials: Callable[[], Credentials]) -> None:
        self._clients = Clients(Client, endpoint=endpoint, credentials=credentials)
        self._region = endpoint.region

    def of(self, server: InstanceId) -> tuple[LoadBalancerId, ...]:
        what = f"DescribeLoadBalancers({server})"

        def page(number: int) -> tuple[list[Any], int]:
            request = models.DescribeLoadBalancersRequest(
                region_id=self._region, server_id=server, page_number=number, page_size=PAGE
            )
            answer = call(what, lambda: self._clients.current().describe_load_balancers(request), changes=False)
            body = body_of(answer, what)
            if body.load_balancers is None:
                raise unreadable(what, "load_balancers is missing")
            return body.load_balancers.load_balancer or [], Fields(body, what).whole("total_count")

        return tuple(LoadBalancerId(Fields(row, what).text("load_balancer_id")) for row in all_pages(page, what))

    def backends(self, balancer: LoadBalancerId) -> tuple[Backend, ...]:
        what = f"DescribeLoadBalancerAttribute({balancer})"
        request = models.DescribeLoadBalancerAttributeRequest(region_id=self._region, load_balancer_id=balancer)
        body = body_of(
            call(what, lambda: self._clients.current().describe_load_balancer_attribute(request), changes=False), what
        )
        return tuple(_backend(row, what) for row in _rows(body, what))

    def health(self, balancer: LoadBalancerId) -> dict[InstanceId, Health]:
        """Over all listener ports, a server is as well as on its worst."""
        what = f"DescribeHealthStatus({balancer})"
        request = models.DescribeHealthStatusRequest(region_id=self._region, load_balancer_id=balancer)
        body = body_of(call(what, lambda: self._clients.current().describe_health_status(request), changes=False), what)
        seen: dict[InstanceId, Health] = {}
        for row in _rows(body, what):
            server, now = InstanceId(str(row.server_id)), _health(row.server_health_status)
            seen[server] = min(seen.get(server, now), now, key=WORST_FIRST.index)
        return seen

    def attach(self, balancer: LoadBalancerId, server: InstanceId, *, weight: int) -> None:
        standing = self._weight(balancer, server)
        if standing is not None:
            if standing != weight:
                self.set_weight(balancer, server, weight=weight)
            return
        what = f"AddBackendServers({balancer}, {server})"
        request = models.AddBackendServersRequest(
            region_id=self._region, load_balancer_id=balancer, backend_servers=_json(server, weight)
        )
        try:
            call(what, lambda: self._clients.current().add_backend_servers(request), changes=True)
        except Permanent as refusal:
            # Adding a member again is an error whose code is not documented: somebody may have been faster.
            standing = self._weight(balancer, server) if type(refusal) is Permanent else None
            if standing is None:
                raise
            if standing != weight:
                self.set_weight(balancer, server, weight=weight)

    def set_weight(self, balancer: LoadBalancerId, server: InstanceId, *, weight: int) -> None:
        what = f"SetBackendServers({balancer}, {server})"
        request = models.SetBackendServersRequest(
            region_id=self._region, load_balancer_id=balancer, backend_servers=_json(server, weight)
        )
        body = body_of(call(what, lambda: self._clients.current().set_backend_servers(request), changes=True), what)
        if server not in {str(row.server_id) for row in _rows(body, what)}:
            raise NotFound(f"{what}: the server is not in the pool")

    def detach(self, balancer: LoadBalancerId, server: InstanceId) -> None:
        what = f"RemoveBackendServers({balancer}, {server})"
        request = models.RemoveBackendServersRequest(
            region_id=self._region, load_balancer_id=balancer, backend_servers=json.dumps([server])
        )
        call(what, lambda: self._clients.current().remove_backend_servers(request), changes=True)

    def _weight(self, balancer: LoadBalancerId, server: InstanceId) -> int | None:
        return next((b.weight for b in self.backends(balancer) if b.server == server), None)


def _json(server: str, weight: int) -> str:
    return json.dumps([{"ServerId": server, "Weight": str(weight), "Type": "ecs"}])


def _rows(body: Any, what: str) -> list[Any]:
    if body.backend_servers is None:
        raise Permanent(f"{what}: the answer has no BackendServers")
    return body.backend_servers.backend_server or []


def _backend(row: Any, what: str) -> Backend:
    try:
        return Backend(server=InstanceId(str(row.server_id)), weight=int(row.weight))
    except (TypeError, ValueError) as error:
        raise Permanent(f"{what}: a backend without a weight: {row.to_map()}") from error


def _health(text: object) -> Health:
    try:
        return Health(str(text))
    except ValueError:
        return Health.UNAVAILABLE  # a word we do not know is no proof of health
