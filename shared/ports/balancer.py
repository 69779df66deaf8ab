"""The classic load balancer's default server pool."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from shared.domain.ids import InstanceId, LoadBalancerId


class Health(StrEnum):
    NORMAL = "normal"
    ABNORMAL = "abnormal"
    UNAVAILABLE = "unavailable"  # check off, or no data yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    server: InstanceId
    weight: int  # 0-100; 0 takes no new connections


class Balancer(Protocol):
    def of(self, server: InstanceId) -> tuple[LoadBalancerId, ...]:
        """Balancers whose default pool has it. Source: SLB API, DescribeLoadBalancers with ServerId."""
        ...

    def backends(self, balancer: LoadBalancerId) -> tuple[Backend, ...]: ...

    def health(self, balancer: LoadBalancerId) -> dict[InstanceId, Health]: ...

    def attach(self, balancer: LoadBalancerId, server: InstanceId, *, weight: int) -> None:
        """Add a running server; attaching one that is already there sets its weight instead."""
        ...

    def set_weight(self, balancer: LoadBalancerId, server: InstanceId, *, weight: int) -> None: ...

    def detach(self, balancer: LoadBalancerId, server: InstanceId) -> None:
        """Removing a server that is not there succeeds."""
        ...
