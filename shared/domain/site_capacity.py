"""What a site must carry once it is the only one, against what stands there: pure.

Weights of the pair's balancer and desired sizes of scaling groups are raised when the pair fails over, never lowered by
it; what they were before is kept, and put back with the failback. Somebody who changed one meanwhile is not overruled:
only what still is as we raised it is put back.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from shared.domain.ids import InstanceId
from shared.domain.pair import Surge

SCALE_OUT = "ScaleOut"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRoom:
    """A scaling group as it stands."""

    desired: int | None
    least: int
    most: int
    active: bool = True
    suspended: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What stands at all sites of a pair. Servers that are not behind the balancer, and groups that the cloud does not
    show, are missing."""

    weights: Mapping[InstanceId, int] = field(default_factory=dict)
    groups: Mapping[str, GroupRoom] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Weigh:
    server: InstanceId
    weight: int

    def __str__(self) -> str:
        return f"weight of {self.server} to {self.weight}"


@dataclass(frozen=True, slots=True)
class Resize:
    group: str
    desired: int

    def __str__(self) -> str:
        return f"size of {self.group} to {self.desired}"


Step = Weigh | Resize


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What was there before the first step."""

    weights: Mapping[InstanceId, int]
    sizes: Mapping[str, int]


def shortage(surge: Surge, room: Room) -> str:
    """What keeps the site from carrying it; empty when nothing does."""
    lacks = [
        f"server {server} is not behind the balancer" for server in sorted(surge.weights) if server not in room.weights
    ]
    for name, wanted in sorted(surge.groups.items()):
        group = room.groups.get(name)
        if group is None:
            lacks.append(f"group {name} is not shown")
        elif not group.active:
            lacks.append(f"group {name} is not active")
        elif group.desired is None:
            lacks.append(f"group {name} has no desired capacity to raise")
        elif group.most < wanted:
            lacks.append(f"group {name} may have {group.most} at most, and {wanted} are needed")
        elif group.desired < wanted and SCALE_OUT in group.suspended:
            lacks.append(f"group {name} may not grow: {SCALE_OUT} is suspended")
    return "; ".join(lacks)


def raising(surge: Surge, room: Room) -> tuple[Step, ...]:
    """Weights first: they take effect at once."""
    weights = [
        Weigh(server, wanted)
        for server, wanted in sorted(surge.weights.items())
        if server in room.weights and room.weights[server] < wanted
    ]
    sizes = []
    for name, wanted in sorted(surge.groups.items()):
        group = room.groups.get(name)
        if group is not None and group.active and group.desired is not None:
            reachable = min(wanted, group.most)
            if group.desired < reachable:
                sizes.append(Resize(name, reachable))
    return (*weights, *sizes)


def before(steps: tuple[Step, ...], room: Room) -> Before:
    """What `steps` are going to change, as it stands."""
    weights, sizes = {}, {}
    for step in steps:
        if isinstance(step, Weigh):
            weights[step.server] = room.weights[step.server]
        else:
            sizes[step.group] = room.groups[step.group].desired or 0
    return Before(weights=weights, sizes=sizes)


def restoring(was: Before, surges: Collection[Surge], room: Room) -> tuple[Step, ...]:
    """Back to what `was`, of what stands as it was raised. Sizes never go below a group's minimum."""
    raised = {server: weight for one in surges for server, weight in one.weights.items()}
    grown = {name: size for one in surges for name, size in one.groups.items()}
    weights = [
        Weigh(server, weight)
        for server, weight in sorted(was.weights.items())
        if server in room.weights and room.weights[server] == raised.get(server) != weight
    ]
    sizes = []
    for name, size in sorted(was.sizes.items()):
        group = room.groups.get(name)
        if group is None or group.desired is None or name not in grown:
            continue
        wanted = max(size, group.least)
        if group.desired == min(grown[name], group.most) != wanted:
            sizes.append(Resize(name, wanted))
    return (*weights, *sizes)
