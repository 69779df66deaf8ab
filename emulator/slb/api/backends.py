"""The default server pool on the wire. Weight is a text in the answers of Add and Set and a number elsewhere.
Pages: api.aliyun.com, Slb 2014-05-15.
"""

from typing import Any

from emulator.slb.api.servers import ADDING, BALANCER, MALFORMED, TRANSIENT, backends, rows
from emulator.slb.model import Balancer, LoadBalancers
from emulator.wire import params as wire
from emulator.wire.call import Call
from emulator.wire.declare import raises, reads


class Backends:
    def __init__(self, slb: LoadBalancers) -> None:
        self._slb = slb

    @reads("LoadBalancerId", "BackendServers")
    @raises(BALANCER, *MALFORMED, *ADDING, *TRANSIENT)
    def AddBackendServers(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Up to 20 running servers, all of them or none; one that is in the pool already is an error.

        Not modelled: network interfaces and container instances as servers.
        """
        return _texts(self._slb.attach(wire.required(call.params, "LoadBalancerId"), backends(call.params)))

    @reads("LoadBalancerId", "BackendServers")
    @raises(BALANCER, *MALFORMED, "InvalidServerId.NotFound", *TRANSIENT)
    def SetBackendServers(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Weights and descriptions of up to 20 members. Servers that are not listed keep their weight (assumption:
        undocumented). Weight 0 takes no new connections and ends none.

        Not modelled: network interfaces and container instances as servers.
        """
        return _texts(self._slb.set_weights(wire.required(call.params, "LoadBalancerId"), backends(call.params)))

    @reads("LoadBalancerId", "BackendServers")
    @raises(BALANCER, *MALFORMED, *TRANSIENT)
    def RemoveBackendServers(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Up to 20, as objects or plain ids; who is not in the pool is silently fine. The answer tells who is left."""
        servers = [b.server for b in backends(call.params)]
        balancer = self._slb.detach(wire.required(call.params, "LoadBalancerId"), servers)
        return {"LoadBalancerId": balancer.id, "BackendServers": rows(balancer.backends.values())}

    @reads("LoadBalancerId", "ListenerPort", "ListenerProtocol")
    @raises(BALANCER)
    def DescribeHealthStatus(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """By listener, for whom it serves from: `normal`, `abnormal`, or `unavailable` where nothing is known (check
        off, no data yet, stopped)."""
        balancer = self._slb.get(wire.required(call.params, "LoadBalancerId"))
        port = wire.integer(call.params, "ListenerPort")
        protocol = wire.text(call.params, "ListenerProtocol") or None
        found = [
            {
                "ServerId": member.server,
                "ServerIp": self._slb.address_of(member.server) or "",
                "ServerHealthStatus": self._slb.health(balancer, listener, member.key),
                "ListenerPort": listener.port,
                "Port": member.port or listener.backend_port,
                "Protocol": listener.protocol,
            }
            for listener in balancer.listeners.values()
            if port in (None, listener.port) and protocol in (None, listener.protocol)
            for member in self._slb.members(balancer, listener)
        ]
        return {"BackendServers": {"BackendServer": found}}


def _texts(balancer: Balancer) -> dict[str, Any]:
    shown = [
        {"ServerId": b.server, "Weight": str(b.weight), "Type": "ecs", "Description": b.description}
        for b in balancer.backends.values()
    ]
    return {"LoadBalancerId": balancer.id, "BackendServers": {"BackendServer": shown}}
