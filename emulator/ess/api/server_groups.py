"""vServer groups as Auto Scaling is asked for them and shows them: by balancer, then by group and port."""

from collections.abc import Iterable
from typing import Any, Final

from emulator.ess.group import DEFAULT_WEIGHT, ServerGroup
from emulator.wire import params
from emulator.wire.call import Call

PORTS: Final = (
    "VServerGroups.N.LoadBalancerId", "VServerGroups.N.VServerGroupAttributes.N.VServerGroupId",
    "VServerGroups.N.VServerGroupAttributes.N.Port",
)  # fmt: skip
PARAMETERS: Final = (*PORTS, "VServerGroups.N.VServerGroupAttributes.N.Weight")


def named(call: Call) -> list[ServerGroup]:
    return [
        ServerGroup(
            id=params.required(one, "VServerGroupId"),
            balancer=params.required(balancer, "LoadBalancerId"),
            port=params.required_integer(one, "Port", low=1, high=65535),
            weight=params.integer(one, "Weight", low=0, high=100),
        )
        for balancer in params.objects(call.params, "VServerGroups")
        for one in params.objects(balancer, "VServerGroupAttributes")
    ]


def shown(groups: Iterable[ServerGroup]) -> list[dict[str, Any]]:
    by_balancer: dict[str, list[dict[str, Any]]] = {}
    for one in groups:
        weight = DEFAULT_WEIGHT if one.weight is None else one.weight
        row = {"VServerGroupId": one.id, "Port": one.port, "Weight": weight}
        by_balancer.setdefault(one.balancer, []).append(row)
    return [{"LoadBalancerId": one, "VServerGroupAttributes": rows} for one, rows in by_balancer.items()]
