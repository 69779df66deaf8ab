"""Scaling port straight onto the emulator's Auto Scaling, without HTTP."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emulator.cloud import Cloud
from emulator.ess import activity as activities
from emulator.ess import configuration as configurations
from emulator.ess import group as groups
from emulator.ess.activity import BY_API, Trigger
from emulator.ess.model import AutoScaling
from shared.domain.ids import ImageId, InstanceId, LoadBalancerId
from shared.ports.scaling import Activity, ActivityState, Membership, ScalingConfiguration, ScalingGroup
from understudy.simulation.call import called, read

STATES = {
    activities.IN_PROGRESS: ActivityState.IN_PROGRESS,
    activities.SUCCESSFUL: ActivityState.SUCCESSFUL,
    activities.WARNING: ActivityState.WARNING,
    activities.FAILED: ActivityState.FAILED,
    activities.REJECTED: ActivityState.REJECTED,
}
Act = Callable[[groups.ScalingGroup, str, Trigger], activities.Activity]


class InProcessScaling:
    """Of the home realm."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    @property
    def _ess(self) -> AutoScaling:
        return self._cloud.ess

    # Reading --------------------------------------------------------------------------------------------------

    def memberships(self, instances: Sequence[InstanceId]) -> Mapping[InstanceId, Membership]:
        def now() -> dict[InstanceId, Membership]:
            held = ((group, group.members[one]) for one in instances if (group := self._ess.group_of.get(one)))
            return {InstanceId(member.instance_id): self._membership(group, member) for group, member in held}

        return read(self._cloud, "ess", "DescribeScalingInstances", tuple(instances), now)

    def members(self, group: str) -> tuple[Membership, ...]:
        def now() -> tuple[Membership, ...]:
            found = self._ess.groups.get(group)
            return () if found is None else tuple(self._membership(found, one) for one in found.members.values())

        return read(self._cloud, "ess", "DescribeScalingInstances", group, now)

    def _membership(self, group: groups.ScalingGroup, member: groups.Member) -> Membership:
        weights = [self._ess.scaling.membership.weight(group, member, one) for one in group.balancers]
        return Membership(
            instance=InstanceId(member.instance_id),
            group=group.id,
            state=member.state.lower(),
            created_by_group=member.creation == groups.AUTO_CREATED,
            entrusted=member.entrusted,
            weight=weights[0] if weights else groups.DEFAULT_WEIGHT,
        )

    def groups(self, ids: Sequence[str]) -> Mapping[str, ScalingGroup]:
        def now() -> dict[str, ScalingGroup]:
            return {one.id: _group(one) for one in map(self._ess.groups.get, ids) if one is not None}

        return read(self._cloud, "ess", "DescribeScalingGroups", tuple(ids), now)

    def activity(self, group: str, id: str) -> Activity | None:
        def now() -> Activity | None:
            found = (one for one in self._ess.scaling.activities.named([id]) if one.group_id == group)
            return next((Activity(id=one.id, state=STATES[one.status], message=one.message) for one in found), None)

        return read(self._cloud, "ess", "DescribeScalingActivities", id, now)

    def configurations(self, ids: Sequence[str]) -> Mapping[str, ScalingConfiguration]:
        def now() -> dict[str, ScalingConfiguration]:
            found = (self._ess.configurations.get(one) for one in ids)
            return {one.id: _configuration(one) for one in found if one is not None}

        return read(self._cloud, "ess", "DescribeScalingConfigurations", tuple(ids), now)

    # Changing -------------------------------------------------------------------------------------------------

    def enter_standby(self, group: str, instances: Sequence[InstanceId], *, token: str) -> str:
        def act(found: groups.ScalingGroup, cause: str, trigger: Trigger) -> activities.Activity:
            return self._ess.enter_standby(found, instances, later=False, cause=cause, trigger=trigger)

        return self._begun("EnterStandby", group, instances, token, act)

    def exit_standby(self, group: str, instances: Sequence[InstanceId], *, token: str) -> str:
        def act(found: groups.ScalingGroup, cause: str, trigger: Trigger) -> activities.Activity:
            return self._ess.exit_standby(found, instances, later=False, cause=cause, trigger=trigger)

        return self._begun("ExitStandby", group, instances, token, act)

    def attach(self, group: str, instances: Sequence[InstanceId], *, entrusted: bool, token: str) -> str:
        def act(found: groups.ScalingGroup, cause: str, trigger: Trigger) -> activities.Activity:
            return self._ess.attach(
                found,
                instances,
                [None] * len(instances),
                entrusted=entrusted,
                ignore_invalid=False,
                cause=cause,
                trigger=trigger,
            )

        return self._begun("AttachInstances", group, instances, token, act, entrusted)

    def detach(self, group: str, instances: Sequence[InstanceId], *, decrease: bool, token: str) -> str:
        def act(found: groups.ScalingGroup, cause: str, trigger: Trigger) -> activities.Activity:
            members = self._ess.members(found, instances)
            return self._ess.let_go(found, members, release=False, shrink=decrease, cause=cause, trigger=trigger)

        return self._begun("DetachInstances", group, instances, token, act, decrease)

    def _begun(
        self, action: str, group: str, instances: Sequence[InstanceId], token: str, act: Act, *more: object
    ) -> str:
        def once() -> str:
            trigger = Trigger(kind=BY_API, id=self._cloud.home.account)
            return act(self._ess.active_group(group), f"{action} was called", trigger).id

        with called(self._cloud, "ess", action, changes=True, about=group):
            begun: Any = self._ess.tokens.once(action, token, (group, *instances, *more), once)
            return str(begun)

    def set_maximum(self, group: str, size: int) -> None:
        with called(self._cloud, "ess", "ModifyScalingGroup", changes=True, about=group):
            self._ess.change_maximum(self._ess.group(group), size)

    def resize(self, group: str, *, desired: int) -> None:
        with called(self._cloud, "ess", "ModifyScalingGroup", changes=True, about=group):
            self._ess.change_desired(self._ess.group(group), desired)

    def suspend(self, group: str, processes: Sequence[str]) -> None:
        with called(self._cloud, "ess", "SuspendProcesses", changes=True, about=group):
            self._ess.suspend(self._ess.group(group), processes)

    def resume(self, group: str, processes: Sequence[str]) -> None:
        with called(self._cloud, "ess", "ResumeProcesses", changes=True, about=group):
            self._ess.resume(self._ess.group(group), processes)

    def publish(self, configuration: str, image: ImageId) -> None:
        with called(self._cloud, "ess", "ModifyScalingConfiguration", changes=True, about=configuration):
            self._ess.boot(self._ess.configuration(configuration), image)


def _group(found: groups.ScalingGroup) -> ScalingGroup:
    return ScalingGroup(
        id=found.id,
        name=found.name,
        active=found.active,
        least=found.min_size,
        most=found.max_size,
        desired=found.desired,
        total=found.total,
        standby=found.count(groups.STANDBY),
        checks_health="ECS" in found.health_checks and groups.HEALTH_CHECK not in found.suspended,
        suspended=frozenset(found.suspended),
        configuration=found.configuration_id,
        balancers=tuple(LoadBalancerId(one) for one in found.balancers),
    )


def _configuration(found: configurations.ScalingConfiguration) -> ScalingConfiguration:
    return ScalingConfiguration(
        id=found.id,
        group=found.group_id,
        image=ImageId(found.image_id) if found.image_id else None,
        family=found.image_family,
    )
