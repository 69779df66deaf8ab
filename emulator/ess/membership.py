"""Members in load balancers: who joins with which weight, who is drained, who leaves.

A group speaks to the balancer as any caller does, so what the balancer refuses ends in the activity.
A vServer group is joined at the port that the scaling group names. The balancer's configuring time is waited out.
Not modelled: ALB and NLB server groups.
Source: ESS API EnterStandby (weight 0), ExitStandby (weight back to 50, or to what the group says; never to what it
was), AttachLoadBalancers (SDK 1.13.3).
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from emulator.ess.activity import Trouble
from emulator.ess.group import DEFAULT_WEIGHT, Member, ScalingGroup, ServerGroup
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

    def check_server_groups(self, group_vpc: str, wanted: Iterable[ServerGroup]) -> None:
        """What `check` raises, and InvalidParameter for a vServer group that its balancer does not have."""
        wanted = list(wanted)
        self.check(group_vpc, dict.fromkeys(one.balancer for one in wanted))
        for one in wanted:
            if self._realm.slb.groups.get(one.id).balancer != one.balancer:
                raise ApiError("InvalidParameter", f"The vServer group {one.id} is none of {one.balancer}.")

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
        return self._each(group, member, lambda place, weight: place.put(weight))

    def drain(self, group: ScalingGroup, member: Member) -> list[Trouble]:
        """Weight 0 everywhere; connections that stand go on."""
        return self._each(group, member, lambda place, _: place.weigh(0))

    def restore(self, group: ScalingGroup, member: Member) -> list[Trouble]:
        """Back to the group's weight: what it was before the drain is not remembered."""
        member.weight = None
        return self._each(group, member, lambda place, weight: place.put(weight))

    def leave(self, group: ScalingGroup, instances: Iterable[str], *, balancers: Iterable[str] | None = None) -> None:
        """Unknown servers are silently fine; a balancer that is gone has nobody to let go."""
        gone = list(instances)
        for balancer in list(group.balancers) if balancers is None else balancers:
            if balancer in self._realm.slb.balancers:
                for start in range(0, len(gone), PER_CALL):
                    self._realm.slb.detach(balancer, gone[start : start + PER_CALL], patient=True)
        if balancers is None:
            self.leave_server_groups(gone, group.server_groups.values())

    def leave_server_groups(self, instances: Iterable[str], server_groups: Iterable[ServerGroup]) -> None:
        gone = list(instances)
        for one in list(server_groups):
            if one.balancer in self._realm.slb.balancers and one.id in self._realm.slb.groups.ids(one.balancer):
                for start in range(0, len(gone), PER_CALL):
                    some = [Backend(server=server, port=one.port) for server in gone[start : start + PER_CALL]]
                    self._realm.slb.groups.remove(one.id, some, patient=True)

    def _each(self, group: ScalingGroup, member: Member, act: "Act") -> list[Trouble]:
        """`act(place, weight)` on the member in each pool and group."""
        places: list[tuple[Place, int]] = [
            (Pool(self._realm, balancer, member.instance_id), self.weight(group, member, balancer))
            for balancer in group.balancers
        ]
        for one in group.server_groups.values():
            weight = member.weight if member.weight is not None else one.weight
            chosen = self.default_weight(group, member, one.balancer) if weight is None else weight
            places.append((Seat(self._realm, one, member.instance_id), chosen))
        troubles = []
        for place, weight in places:
            try:
                act(place, weight)
            except ApiError as error:
                troubles.append(Trouble(code=error.code, message=error.message, instances=(member.instance_id,)))
        return troubles


class Pool:
    """One server's place in a balancer's default pool."""

    def __init__(self, realm: "Realm", balancer: str, server: str) -> None:
        self._slb = realm.slb
        self._balancer = balancer
        self._server = server

    def put(self, weight: int) -> None:
        if self._server in self._slb.get(self._balancer).backends:
            self.weigh(weight)
        else:
            self._slb.attach(self._balancer, [Backend(server=self._server, weight=weight)], patient=True)

    def weigh(self, weight: int) -> None:
        if self._server in self._slb.get(self._balancer).backends:
            self._slb.set_weights(self._balancer, [Backend(server=self._server, weight=weight)], patient=True)


class Seat:
    """One server's place in a vServer group."""

    def __init__(self, realm: "Realm", group: ServerGroup, server: str) -> None:
        self._groups = realm.slb.groups
        self._group = group
        self._server = server

    def put(self, weight: int) -> None:
        backend = self._backend(weight)
        if backend.key in self._groups.get(self._group.id).members:
            self.weigh(weight)
        else:
            self._groups.add(self._group.id, [backend], patient=True)

    def weigh(self, weight: int) -> None:
        backend = self._backend(weight)
        if backend.key in self._groups.get(self._group.id).members:
            self._groups.set(self._group.id, servers=[backend], patient=True)

    def _backend(self, weight: int) -> Backend:
        return Backend(server=self._server, port=self._group.port, weight=weight)


Place = Pool | Seat
Act = Callable[[Place, int], None]
