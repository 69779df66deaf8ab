"""Members in load balancers: who joins with which weight, who is drained, who leaves.

A group speaks to the balancer as any caller does, so what the balancer refuses ends in the activity.
Not modelled: vServer groups, ALB and NLB server groups.
Source: ESS API EnterStandby (weight 0), ExitStandby (weight back to 50, or to what the group says; never to what it
was), AttachLoadBalancers (SDK 1.13.3).
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from emulator.ess.activity import Trouble
from emulator.ess.group import DEFAULT_WEIGHT, Member, ScalingGroup
from emulator.slb.model import ACTIVE, PER_CALL, Backend
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ess.configuration import ScalingConfiguration
    from emulator.realm import Realm


class Membership:
    def __init__(self, realm: "Realm", configurations: "dict[str, ScalingConfiguration]") -> None:
        self._realm = realm
        self._configurations = configurations

    def weight(self, group: ScalingGroup, member: Member, balancer: str) -> int:
        """What the group says of that balancer, else what the member's configuration says, else 50."""
        if member.weight is not None:
            return member.weight
        return self.default_weight(group, member, balancer)

    def default_weight(self, group: ScalingGroup, member: Member, balancer: str) -> int:
        said = group.balancers.get(balancer)
        if said is not None:
            return said
        configuration = self._configurations.get(member.configuration_id)
        if configuration is not None and configuration.weight is not None:
            return configuration.weight
        return DEFAULT_WEIGHT

    def check(self, group_vpc: str, balancers: Iterable[str]) -> None:
        """Raises ApiError InvalidLoadBalancerId.NotFound, IncorrectLoadBalancerStatus,
        IncorrectLoadBalancerHealthCheck, InvalidLoadBalancerId.VPCMismatch."""
        for balancer_id in balancers:
            balancer = self._realm.slb.get(balancer_id)
            if balancer.status != ACTIVE:
                raise ApiError("IncorrectLoadBalancerStatus", f"The load balancer {balancer_id} is {balancer.status}.")
            if balancer.vpc and group_vpc and balancer.vpc != group_vpc:
                raise ApiError(
                    "InvalidLoadBalancerId.VPCMismatch",
                    f"The load balancer {balancer_id} and the group are in different VPCs.",
                )
            if not balancer.listeners or not all(one.check.enabled for one in balancer.listeners.values()):
                raise ApiError(
                    "IncorrectLoadBalancerHealthCheck",
                    f"Every listener of {balancer_id} must have its health check on.",
                )

    def join(self, group: ScalingGroup, member: Member) -> list[Trouble]:
        """Into every balancer of the group. One that is in the pool already only gets the weight (assumption)."""
        return self._each(group, member, self._put)

    def drain(self, group: ScalingGroup, member: Member) -> list[Trouble]:
        """Weight 0 everywhere; connections that stand go on."""
        return self._each(group, member, lambda balancer, server, _: self._weigh(balancer, server, 0))

    def restore(self, group: ScalingGroup, member: Member) -> list[Trouble]:
        """Back to the group's weight: what it was before the drain is not remembered."""
        member.weight = None
        return self._each(group, member, self._put)

    def leave(self, group: ScalingGroup, instances: Iterable[str], *, balancers: Iterable[str] | None = None) -> None:
        """Unknown servers are silently fine; a balancer that is gone has nobody to let go."""
        gone = list(instances)
        for balancer in list(group.balancers) if balancers is None else balancers:
            if balancer in self._realm.slb.balancers:
                for start in range(0, len(gone), PER_CALL):
                    self._realm.slb.detach(balancer, gone[start : start + PER_CALL])

    def _each(self, group: ScalingGroup, member: Member, act: Callable[[str, str, int], None]) -> list[Trouble]:
        troubles = []
        for balancer in group.balancers:
            try:
                act(balancer, member.instance_id, self.weight(group, member, balancer))
            except ApiError as error:
                troubles.append(Trouble(code=error.code, message=error.message, instances=(member.instance_id,)))
        return troubles

    def _put(self, id: str, server: str, weight: int) -> None:
        if server in self._realm.slb.get(id).backends:
            self._weigh(id, server, weight)
        else:
            self._realm.slb.attach(id, [Backend(server=server, weight=weight)])

    def _weigh(self, id: str, server: str, weight: int) -> None:
        if server in self._realm.slb.get(id).backends:
            self._realm.slb.set_weights(id, [Backend(server=server, weight=weight)])
