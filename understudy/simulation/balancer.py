"""Balancer port straight onto the emulator's load balancers, without HTTP."""

from emulator.cloud import Cloud
from emulator.slb.model import Backend as Member
from shared.domain.errors import Permanent
from shared.domain.ids import InstanceId, LoadBalancerId
from shared.ports.balancer import Backend, Health
from understudy.simulation.call import called, read

WORST_FIRST = (Health.ABNORMAL, Health.UNAVAILABLE, Health.NORMAL)


class InProcessBalancer:
    """Health is what the checks found; without a running server nobody checks, and every answer is UNAVAILABLE."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._slb = cloud.slb

    def of(self, server: InstanceId) -> tuple[LoadBalancerId, ...]:
        def now() -> tuple[LoadBalancerId, ...]:
            return tuple(LoadBalancerId(one.id) for one in self._slb.balancers.values() if server in one.backends)

        return read(self._cloud, "slb", "DescribeLoadBalancers", server, now)

    def backends(self, balancer: LoadBalancerId) -> tuple[Backend, ...]:
        def now() -> tuple[Backend, ...]:
            members = self._slb.get(balancer).backends.values()
            return tuple(Backend(server=InstanceId(m.server), weight=m.weight) for m in members)

        return read(self._cloud, "slb", "DescribeLoadBalancerAttribute", balancer, now)

    def health(self, balancer: LoadBalancerId) -> dict[InstanceId, Health]:
        return read(self._cloud, "slb", "DescribeHealthStatus", balancer, lambda: self._health(balancer))

    def _health(self, balancer: LoadBalancerId) -> dict[InstanceId, Health]:
        found = self._slb.get(balancer)
        seen: dict[InstanceId, Health] = {}
        for listener in found.listeners.values():
            for server in map(InstanceId, found.backends):
                now = Health(self._slb.health(found, listener, server))
                seen[server] = min(seen.get(server, now), now, key=WORST_FIRST.index)
        return seen

    def attach(self, balancer: LoadBalancerId, server: InstanceId, *, weight: int) -> None:
        standing = self._weight(balancer, server)
        if standing is None:
            try:
                with called(self._cloud, "slb", "AddBackendServers", changes=True, about=balancer):
                    self._slb.attach(balancer, [Member(server=server, weight=weight)])
                return
            except Permanent as refusal:
                # What was read may have been stale: look again before believing that it cannot be added.
                standing = self._weight(balancer, server) if type(refusal) is Permanent else None
                if standing is None:
                    raise
        if standing != weight:
            self.set_weight(balancer, server, weight=weight)

    def _weight(self, balancer: LoadBalancerId, server: InstanceId) -> int | None:
        return next((b.weight for b in self.backends(balancer) if b.server == server), None)

    def set_weight(self, balancer: LoadBalancerId, server: InstanceId, *, weight: int) -> None:
        with called(self._cloud, "slb", "SetBackendServers", changes=True, about=balancer):
            self._slb.set_weights(balancer, [Member(server=server, weight=weight)])

    def detach(self, balancer: LoadBalancerId, server: InstanceId) -> None:
        with called(self._cloud, "slb", "RemoveBackendServers", changes=True, about=balancer):
            self._slb.detach(balancer, [server])
