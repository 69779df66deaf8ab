"""A load balancer and scaling groups in a `FailoverWorld`, by their own links, as far as a watch uses them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shared.domain.errors import Permanent
from shared.domain.ids import InstanceId, LoadBalancerId
from shared.domain.pair import Pair, Short, Surge
from shared.ports.balancer import Backend, Health
from shared.ports.scaling import ScalingGroup
from tests.simulation.pair_world import H, I
from tests.simulation.sites import CloudWay
from tests.simulation.world import Process

if TYPE_CHECKING:
    from tests.simulation.failover_world import FailoverWorld

SLB, ESS = "slb", "ess"
BALANCER = LoadBalancerId("lb-app")
APP_H, APP_I = InstanceId("i-app-h"), InstanceId("i-app-i")
BEFORE = ({APP_H: 50, APP_I: 50}, {"asg-h": 2, "asg-i": 2})
LOW = 3  # a bound that keeps a group from growing as far as it should
RAISED = ({APP_H: 50, APP_I: 100}, {"asg-h": 2, "asg-i": 4})


def surging(pair: Pair, short: Short = Short.WARN) -> Pair:
    return replace(
        pair,
        balancer=BALANCER,
        surge={
            H: Surge(weights={APP_H: 100}, groups={"asg-h": 4}, short=short),
            I: Surge(weights={APP_I: 100}, groups={"asg-i": 4}, short=short),
        },
    )


@dataclass
class Standing:
    """What stands at both sites."""

    weights: dict[InstanceId, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    most: int = 10
    calls: list[tuple[float, str]] = field(default_factory=list)  # changes that arrived


class SimBalancer:
    def __init__(self, pair: "FailoverWorld", process: Process, place: str) -> None:
        self._pair, self._way = pair, CloudWay(pair, process, place, SLB)

    def of(self, server: InstanceId) -> tuple[LoadBalancerId, ...]:
        raise AssertionError("a watch knows its balancer")

    def backends(self, balancer: LoadBalancerId) -> tuple[Backend, ...]:
        assert balancer == BALANCER
        self._way.way(writes=False)
        return tuple(Backend(server=one, weight=weight) for one, weight in self._pair.standing.weights.items())

    def health(self, balancer: LoadBalancerId) -> dict[InstanceId, Health]:
        assert balancer == BALANCER
        self._way.way(writes=False)
        return {}

    def attach(self, balancer: LoadBalancerId, server: InstanceId, *, weight: int) -> None:
        raise AssertionError("a watch adds no server")

    def set_weight(self, balancer: LoadBalancerId, server: InstanceId, *, weight: int) -> None:
        assert balancer == BALANCER
        answered = self._way.way(writes=True)
        self._pair.standing.weights[server] = weight
        self._pair.standing.calls.append((self._pair.world.now, f"{server}={weight}"))
        if not answered:
            self._way.silence(1.0, writes=True)

    def detach(self, balancer: LoadBalancerId, server: InstanceId) -> None:
        raise AssertionError("a watch removes no server")


class SimScaling:
    """`groups` and `resize` of the scaling port; a watch uses no more of it."""

    def __init__(self, pair: "FailoverWorld", process: Process, place: str) -> None:
        self._pair, self.process, self._way = pair, process, CloudWay(pair, process, place, ESS)

    def groups(self, ids: Sequence[str]) -> Mapping[str, ScalingGroup]:
        self._way.way(writes=False)
        standing = self._pair.standing
        return {
            one: ScalingGroup(
                id=one,
                name=one,
                active=True,
                least=0,
                most=standing.most,
                desired=standing.sizes[one],
                total=standing.sizes[one],
                standby=0,
                checks_health=True,
                suspended=frozenset(),
                configuration="asc",
                balancers=(BALANCER,),
            )
            for one in ids
            if one in standing.sizes
        }

    def resize(self, group: str, *, desired: int) -> None:
        answered = self._way.way(writes=True)
        if desired > self._pair.standing.most:
            raise Permanent(f"{group} may have {self._pair.standing.most} at most")
        self._pair.standing.sizes[group] = desired
        self._pair.standing.calls.append((self._pair.world.now, f"{group}={desired}"))
        if not answered:
            self._way.silence(1.0, writes=True)
