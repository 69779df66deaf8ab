"""Classic load balancers on the wire: version 2014-05-15.

Source: SDK alibabacloud_slb20140515 3.3.31. Weight is a text in the answers of Add and Set and a number elsewhere.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emulator.slb.model import Backend, Balancer
from emulator.wire import params as wire
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import reads

if TYPE_CHECKING:
    from emulator.realm import Realm

VERSION = "2014-05-15"


def operations(realm: "Realm") -> dict[tuple[str, str], Operation]:
    api = Api(realm)
    return {
        (VERSION, name): getattr(api, name)
        for name in (
            "AddBackendServers",
            "SetBackendServers",
            "RemoveBackendServers",
            "DescribeLoadBalancerAttribute",
            "DescribeHealthStatus",
            "DescribeLoadBalancers",
            "SetLoadBalancerStatus",
        )
    }


class Api:
    """One method per action, under the action's own name. Each page: api.aliyun.com, Slb 2014-05-15."""

    def __init__(self, realm: "Realm") -> None:
        self._realm = realm
        self._slb = realm.slb

    @reads("LoadBalancerId", "BackendServers")
    def AddBackendServers(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        balancer = self._slb.attach(wire.required(call.params, "LoadBalancerId"), _backends(call.params))
        return _texts(balancer)

    @reads("LoadBalancerId", "BackendServers")
    def SetBackendServers(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Servers that are not listed keep their weight (assumption: undocumented)."""
        balancer = self._slb.set_weights(wire.required(call.params, "LoadBalancerId"), _backends(call.params))
        return _texts(balancer)

    @reads("LoadBalancerId", "BackendServers")
    def RemoveBackendServers(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        servers = [b.server for b in _backends(call.params)]
        balancer = self._slb.detach(wire.required(call.params, "LoadBalancerId"), servers)
        rows = [{"ServerId": b.server, "Weight": b.weight, "Type": "ecs"} for b in balancer.backends.values()]
        return {"LoadBalancerId": balancer.id, "BackendServers": {"BackendServer": rows}}

    @reads("LoadBalancerId")
    def DescribeLoadBalancerAttribute(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        balancer = self._slb.get(wire.required(call.params, "LoadBalancerId"))
        rows = [
            {
                "ServerId": b.server,
                "ServerIp": self._slb.address_of(b.server) or "",
                "Weight": b.weight,
                "Type": "ecs",
                "Description": b.description,
            }
            for b in balancer.backends.values()
        ]
        spoken = [
            {"ListenerPort": listener.port, "ListenerProtocol": listener.protocol}
            for listener in balancer.listeners.values()
        ]
        return {
            **self._summary(balancer),
            "BackendServers": {"BackendServer": rows},
            "ListenerPorts": {"ListenerPort": list(balancer.listeners)},
            "ListenerPortsAndProtocol": {"ListenerPortAndProtocol": spoken},
        }

    @reads("LoadBalancerId", "ListenerPort", "ListenerProtocol")
    def DescribeHealthStatus(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        balancer = self._slb.get(wire.required(call.params, "LoadBalancerId"))
        port = wire.integer(call.params, "ListenerPort")
        protocol = wire.text(call.params, "ListenerProtocol")
        rows = [
            {
                "ServerId": server,
                "ServerIp": self._slb.address_of(server) or "",
                "ServerHealthStatus": self._slb.health(balancer, listener, server),
                "ListenerPort": listener.port,
                "Port": listener.backend_port,
                "Protocol": listener.protocol,
            }
            for listener in balancer.listeners.values()
            if (port is None or listener.port == port) and (protocol is None or listener.protocol == protocol)
            for server in balancer.backends
        ]
        return {"BackendServers": {"BackendServer": rows}}

    @reads(
        "LoadBalancerId",
        "LoadBalancerName",
        "LoadBalancerStatus",
        "ServerId",
        "Address",
        "VpcId",
        "PageNumber",
        "PageSize",
    )
    def DescribeLoadBalancers(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        wire.required(call.params, "RegionId")
        asked = {
            name: value
            for name in ("LoadBalancerId", "LoadBalancerName", "LoadBalancerStatus", "Address", "VpcId")
            if (value := wire.text(call.params, name)) is not None
        }
        server = wire.text(call.params, "ServerId")
        members = [b for b in self._slb.balancers.values() if server is None or server in b.backends]
        found = [
            summary
            for summary in map(self._summary, members)
            if all(summary[name] == value for name, value in asked.items())
        ]
        number = wire.integer(call.params, "PageNumber", 1, low=1)
        size = wire.integer(call.params, "PageSize", 50, low=1, high=100)
        page = found[(number - 1) * size : number * size]
        return {
            "LoadBalancers": {"LoadBalancer": page},
            "TotalCount": len(found),
            "PageNumber": number,
            "PageSize": size,
        }

    @reads("LoadBalancerId", "LoadBalancerStatus")
    def SetLoadBalancerStatus(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        self._slb.set_status(
            wire.required(call.params, "LoadBalancerId"), wire.required(call.params, "LoadBalancerStatus")
        )
        return {}

    def _summary(self, balancer: Balancer) -> dict[str, Any]:
        return {
            "LoadBalancerId": balancer.id,
            "LoadBalancerName": balancer.name,
            "LoadBalancerStatus": balancer.status,
            "Address": balancer.address,
            "AddressType": "intranet",
            "NetworkType": "vpc",
            "RegionId": self._realm.region,
            "MasterZoneId": balancer.master_zone,
            "SlaveZoneId": balancer.slave_zone,
            "VpcId": balancer.vpc,
            "VSwitchId": balancer.vswitch,
            "CreateTime": balancer.created.strftime("%Y-%m-%dT%H:%MZ"),
            "DeleteProtection": "off",
        }


def _texts(balancer: Balancer) -> dict[str, Any]:
    rows = [
        {"ServerId": b.server, "Weight": str(b.weight), "Type": "ecs", "Description": b.description}
        for b in balancer.backends.values()
    ]
    return {"LoadBalancerId": balancer.id, "BackendServers": {"BackendServer": rows}}


def _backends(params: Mapping[str, str]) -> list[Backend]:
    """A JSON text: objects, or (for Remove) plain ids."""
    try:
        read = json.loads(wire.required(params, "BackendServers"))
    except ValueError:
        read = None
    if not isinstance(read, list):
        raise ApiError("BackendServersMalformed", "BackendServers must be a JSON array.")
    return [_backend(item) for item in read]


def _backend(item: object) -> Backend:
    if isinstance(item, str):
        return Backend(server=item)
    if not isinstance(item, dict) or not isinstance(item.get("ServerId"), str):
        raise ApiError("BackendServersMalformed", f"Each backend server needs a ServerId, got {item!r}.")
    if str(item.get("Type", "ecs")) != "ecs":
        raise ApiError("UnsupportedParameter", f"The emulator does not model backends of type {item['Type']!r}.")
    try:
        weight = int(item.get("Weight", 100))
    except (TypeError, ValueError):
        raise ApiError("InvalidWeight.Malformed", f"The weight {item['Weight']!r} is not a number.") from None
    return Backend(server=item["ServerId"], weight=weight, description=str(item.get("Description", "")))
