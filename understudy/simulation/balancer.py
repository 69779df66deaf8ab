"""Balancer port straight onto the emulator's load balancers, without HTTP."""

from emulator.cloud import Cloud
from emulator.slb.model import Backend as Member
from shared.domain.ids import InstanceId, LoadBalancerId
from shared.ports.balancer import Backend, Health
from understudy.simulation.refusals import in_our_words

WORST_FIRST = (Health.ABNORMAL, Health.UNAVAILABLE, Health.NORMAL)


class InProcessBalancer:
    """Health is what the checks found; without a running server nobody checks, and every answer is UNAVAILABLE."""

    def __init__(self, cloud: Cloud) -> None:
        self._slb = cloud.slb

    def backends(self, balancer: LoadBalancerId) -> tuple[Backend, ...]:
        with in_our_words(f"backends of {balancer}", changes=False):
            members = self._slb.get(balancer).backends.values()
        return tuple(Backend(server=InstanceId(m.server), weight=m.weight) for m in members)

    def health(self, balancer: LoadBalancerId) -> dict[InstanceId, Health]:
        with in_our_words(f"health of {balancer}", changes=False):
            found = self._slb.get(balancer)
        seen: dict[InstanceId, Health] = {}
        for listener in found.listeners.values():
            for server in map(InstanceId, found.backends):
                now = Health(self._slb.health(found, listener, server))
                seen[server] = min(seen.get(server, now), now, key=WORST_FIRST.index)
        return seen

    def attach(self, balancer: LoadBalancerId, server: InstanceId, *, weight: int) -> None:
        with in_our_words(f"attach {server} to {balancer}", changes=True):
            member = Member(server=server, weight=weight)
            if server in self._slb.get(balancer).backends:
                self._slb.set_weights(balancer, [member])
            else:
                self._slb.attach(balancer, [member])

    def set_weight(self, balancer: LoadBalancerId, server: InstanceId, *, weight: int) -> None:
        with in_our_words(f"set the weight of {server} in {balancer}", changes=True):
            self._slb.set_weights(balancer, [Member(server=server, weight=weight)])

    def detach(self, balancer: LoadBalancerId, server: InstanceId) -> None:
        with in_our_words(f"detach {server} from {balancer}", changes=True):
            self._slb.detach(balancer, [server])
