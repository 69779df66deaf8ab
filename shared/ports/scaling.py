"""Auto Scaling groups: who is a member, and how to stop or replace one without the group doing the same at once.

Source: ESS API 2022-02-22, SDK 1.13.3. A call that is answered is only accepted: its activity may still fail. A group
takes one activity at a time (Retryable meanwhile). Inactive groups may be left out of listings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from shared.domain.ids import ImageId, InstanceId, LoadBalancerId


class ActivityState(StrEnum):
    IN_PROGRESS = "in progress"
    SUCCESSFUL = "successful"
    WARNING = "warning"  # done in part
    FAILED = "failed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    id: str
    state: ActivityState
    message: str = ""

    @property
    def over(self) -> bool:
        return self.state is not ActivityState.IN_PROGRESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """`state`: the cloud's word, lower case: pending, pending:wait, inservice, protected, standby, stopped,
    removing, removing:wait."""

    instance: InstanceId
    group: str
    state: str
    created_by_group: bool  # AutoCreated: the group releases it when it lets go of it
    entrusted: bool = False  # attached, and to be released all the same
    weight: int | None = None  # in the group's balancers, where the cloud says it

    @property
    def on_standby(self) -> bool:
        return self.state == "standby"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingGroup:
    id: str
    name: str
    active: bool
    least: int
    most: int
    desired: int | None  # None: the group has no desired capacity
    total: int
    standby: int
    checks_health: bool  # ECS health check on and not suspended
    suspended: frozenset[str]  # processes: ScaleIn, ScaleOut, HealthCheck, ...
    configuration: str  # the active one's id; "" when there is none
    balancers: tuple[LoadBalancerId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingConfiguration:
    id: str
    group: str
    image: ImageId | None
    family: str = ""


class Scaling(Protocol):
    def memberships(self, instances: Sequence[InstanceId]) -> Mapping[InstanceId, Membership]:
        """Of these, the members of any group."""
        ...

    def groups(self, ids: Sequence[str]) -> Mapping[str, ScalingGroup]:
        """Those that the cloud shows: an absent one is no proof that it was deleted."""
        ...

    def members(self, group: str) -> tuple[Membership, ...]: ...

    def enter_standby(self, group: str, instances: Sequence[InstanceId], *, token: str) -> str:
        """Weight 0 in the group's balancers, health frozen, never replaced; still counted. Answers the activity, also
        when it is over already. One that is on standby: Permanent, so read first."""
        ...

    def exit_standby(self, group: str, instances: Sequence[InstanceId], *, token: str) -> str:
        """In service again, with weight 50 whatever it was before. Running instances only."""
        ...

    def attach(self, group: str, instances: Sequence[InstanceId], *, entrusted: bool, token: str) -> str:
        """Running instances join, within the group's maximum (else QuotaReached). Permanent while ScaleOut is
        suspended."""
        ...

    def detach(self, group: str, instances: Sequence[InstanceId], *, decrease: bool, token: str) -> str:
        """They leave the group and its balancers, and live on. `decrease`: the desired capacity goes down with them, so
        that none is launched instead. Permanent when fewer than the minimum would stay, either way, and while ScaleIn
        is suspended."""
        ...

    def set_maximum(self, group: str, size: int) -> None:
        """Idempotent. Below what is there now the group removes members of its own choice: never do that."""
        ...

    def resize(self, group: str, *, desired: int) -> None:
        """Idempotent, and only asked for: the group launches or removes members by itself, in minutes. Permanent
        outside its minimum and maximum. Of a group without a desired capacity this gives it one."""
        ...

    def suspend(self, group: str, processes: Sequence[str]) -> None: ...

    def resume(self, group: str, processes: Sequence[str]) -> None: ...

    def activity(self, group: str, id: str) -> Activity | None:
        """None: not shown (yet)."""
        ...

    def configurations(self, ids: Sequence[str]) -> Mapping[str, ScalingConfiguration]: ...

    def publish(self, configuration: str, image: ImageId) -> None:
        """Instances launched from now on are made of `image`; running ones keep theirs."""
        ...
