"""Scaling groups and their members, as values that change: sizes, states and who may be touched.

Source: ESS API 2022-02-22 (SDK 1.13.3). Nothing here acts: `scaling` does, and `will` decides when.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

AUTO_CREATED: Final = "AutoCreated"
ATTACHED: Final = "Attached"

PENDING: Final = "Pending"
IN_SERVICE: Final = "InService"
PROTECTED: Final = "Protected"
STANDBY: Final = "Standby"
REMOVING: Final = "Removing"

ACTIVE: Final = "Active"
INACTIVE: Final = "Inactive"
DELETING: Final = "Deleting"

SCALE_IN: Final = "ScaleIn"
SCALE_OUT: Final = "ScaleOut"
HEALTH_CHECK: Final = "HealthCheck"
ALARM_NOTIFICATION: Final = "AlarmNotification"
PROCESSES: Final = (SCALE_IN, SCALE_OUT, HEALTH_CHECK, ALARM_NOTIFICATION, "ScheduledAction")

DEFAULT_WEIGHT: Final = 50
"""Of a member in a load balancer, unless the group says otherwise; the balancer's own default is 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerGroup:
    """A vServer group that members join at one port."""

    id: str
    balancer: str
    port: int
    weight: int | None = None  # None: the default


@dataclass(slots=True, kw_only=True, eq=False)
class Member:
    instance_id: str
    creation: str  # AutoCreated | Attached
    entrusted: bool
    joined: datetime
    state: str = PENDING
    healthy: bool = True  # as the last health look found it; frozen while in Standby
    configuration_id: str = ""
    activity_id: str = ""
    zone: str = ""
    address: str = ""
    weight: int | None = None  # asked for at AttachInstances; None: the group's

    @property
    def owned(self) -> bool:
        """Released when the group removes it; others are only let go."""
        return self.creation == AUTO_CREATED or self.entrusted


@dataclass(slots=True, kw_only=True, eq=False)
class ScalingGroup:
    id: str
    name: str
    created: datetime
    modified: datetime
    min_size: int
    max_size: int
    desired: int | None = None  # None: no desired capacity is kept, only Min and Max
    cooldown: int = 300  # seconds, for what alarms trigger
    vpc_id: str = ""
    vswitch_ids: tuple[str, ...] = ()
    multi_az: str = "PRIORITY"
    balancers: dict[str, int | None] = field(default_factory=dict)  # weight None: the default
    server_groups: dict[tuple[str, int], ServerGroup] = field(default_factory=dict)  # by (vServer group, port)
    removal_policies: tuple[str, ...] = ("OldestScalingConfiguration", "OldestInstance")
    health_checks: tuple[str, ...] = ("ECS",)
    configuration_id: str = ""
    protected_from_deletion: bool = False
    state: str = INACTIVE
    suspended: set[str] = field(default_factory=set)
    system_suspended: bool = False
    failing_since: datetime | None = None  # nothing could be launched since then
    cooling_until: datetime | None = None
    members: dict[str, Member] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    propagated: frozenset[str] = frozenset()  # keys of tags that new instances get as well

    @property
    def total(self) -> int:
        """Standby and protected members count."""
        return len(self.members)

    def count(self, *states: str) -> int:
        return sum(member.state in states for member in self.members.values())

    @property
    def active(self) -> bool:
        return self.state == ACTIVE

    @property
    def checks_health(self) -> bool:
        return self.active and "ECS" in self.health_checks and HEALTH_CHECK not in self.suspended

    @property
    def target(self) -> int:
        """How many members there should be now."""
        return self.clipped(self.total) if self.desired is None else self.desired

    def clipped(self, size: int) -> int:
        return max(self.min_size, min(self.max_size, size))

    def removable(self) -> list[Member]:
        """Whom a scale-in may take: in service, neither protected nor standing by."""
        return [member for member in self.members.values() if member.state == IN_SERVICE]


def chosen_for_removal(group: ScalingGroup, count: int, age: dict[str, datetime]) -> list[Member]:
    """`count` members by the group's removal policies in turn. `age`: when each configuration was made."""
    found = group.removable()
    for policy in reversed(group.removal_policies):
        found = _ordered(found, policy, age)
    return found[:count]


def _ordered(members: Iterable[Member], policy: str, age: dict[str, datetime]) -> list[Member]:
    """Stable, so that the last policy applied is the first in rank. Attached members have no configuration: they
    come last among configurations (assumption)."""
    match policy:
        case "OldestInstance":
            return sorted(members, key=lambda member: member.joined)
        case "NewestInstance":
            return sorted(members, key=lambda member: member.joined, reverse=True)
        case "OldestScalingConfiguration":
            return sorted(
                members,
                key=lambda member: (
                    member.configuration_id not in age,
                    age.get(member.configuration_id, member.joined),
                ),
            )
    return list(members)
