"""Members of scaling groups on the wire. Pages: api.aliyun.com, Ess 2022-02-22, one per action."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from emulator.ecs.rules import iso, iso_minutes
from emulator.ess.activity import Activity
from emulator.ess.api.answers import PAGING, TOKEN_ERRORS, cause, once, page, trigger, weights
from emulator.ess.group import (
    AUTO_CREATED,
    DEFAULT_WEIGHT,
    IN_SERVICE,
    PROTECTED,
    STANDBY,
    Member,
    ScalingGroup,
)
from emulator.ess.model import INSTANCES_PER_CALL, check_states
from emulator.wire import params
from emulator.wire.call import ApiError, Call
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ess.model import AutoScaling

GROUP: Final = ("InvalidScalingGroupId.NotFound", "IncorrectScalingGroupStatus")
BUSY: Final = "ScalingActivityInProgress"


class Instances:
    def __init__(self, ess: "AutoScaling") -> None:
        self._ess = ess
        self._realm = ess.realm

    @reads(
        "ScalingGroupId", "InstanceIds.N", "LoadBalancerWeights.N", "Entrusted", "LifecycleHook",
        "IgnoreInvalidInstance", "ClientToken",
    )  # fmt: skip
    @raises(
        *GROUP, BUSY, "InvalidInstanceId.NotFound", "InvalidInstanceId.InUse", "InvalidInstanceId.VPCMismatch",
        "IncorrectInstanceStatus", "IncorrectCapacity.MaxSize", *TOKEN_ERRORS,
    )  # fmt: skip
    def AttachInstances(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Running instances join; unless Entrusted, the group never releases them.

        Not modelled: lifecycle hooks (none exist), a check of instance types.
        """

        def attach() -> dict[str, Any]:
            group = self._group(call)
            ids = _ids(call)
            activity = self._ess.attach(
                group,
                ids,
                weights(call, len(ids)),
                entrusted=params.boolean(call.params, "Entrusted", False),
                ignore_invalid=params.boolean(call.params, "IgnoreInvalidInstance", False),
                cause=cause(call),
                trigger=trigger(call),
            )
            return {"ScalingActivityId": activity.id}

        return once(self._ess, call, attach)

    @reads(
        "ScalingGroupId", "InstanceIds.N", "DecreaseDesiredCapacity", "LifecycleHook", "DetachOption",
        "IgnoreInvalidInstance", "ClientToken",
    )  # fmt: skip
    @raises(
        *GROUP, BUSY, "InvalidInstanceId.NotFound", "IncorrectInstanceStatus", "IncorrectCapacity.MinSize",
        *TOKEN_ERRORS,
    )  # fmt: skip
    def DetachInstances(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """They leave the group and its balancers, and live on."""

        def detach() -> dict[str, Any]:
            group = self._group(call)
            members, _ = self._chosen(group, call)
            activity = self._ess.let_go(
                group,
                members,
                release=False,
                shrink=params.boolean(call.params, "DecreaseDesiredCapacity", True),
                cause=cause(call),
                trigger=trigger(call),
            )
            return {"ScalingActivityId": activity.id}

        return once(self._ess, call, detach)

    @reads(
        "ScalingGroupId", "InstanceIds.N", "RemovePolicy", "DecreaseDesiredCapacity", "IgnoreInvalidInstance",
        "StopInstanceTimeout", "ClientToken",
    )  # fmt: skip
    @raises(
        *GROUP, BUSY, "InvalidInstanceId.NotFound", "IncorrectInstanceStatus", "IncorrectCapacity.MinSize",
        *TOKEN_ERRORS,
    )  # fmt: skip
    def RemoveInstances(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Auto-created and entrusted ones are released, attached ones only let go.

        Not modelled: the economical mode (`recycle` releases, as in a group whose policy is release).
        """

        def remove() -> dict[str, Any]:
            group = self._group(call)
            if params.text(call.params, "RemovePolicy", "release") not in ("release", "recycle"):
                raise params.invalid("RemovePolicy", "it is release or recycle")
            members, ignored = self._chosen(group, call)
            activity = self._ess.let_go(
                group,
                members,
                release=True,
                shrink=params.boolean(call.params, "DecreaseDesiredCapacity", True),
                cause=cause(call),
                trigger=trigger(call),
            )
            return {"ScalingActivityId": activity.id, "IgnoredInstances": ignored}

        return once(self._ess, call, remove)

    def _chosen(self, group: ScalingGroup, call: Call) -> tuple[list[Member], list[dict[str, Any]]]:
        """The members that were named; with IgnoreInvalidInstance also those that were not found, as answers."""
        ids = _ids(call)
        if not params.boolean(call.params, "IgnoreInvalidInstance", False):
            return self._ess.members(group, ids), []
        known = [one for one in ids if one in group.members]
        ignored = [
            {"InstanceId": one, "Code": "InvalidInstanceId.NotFound", "Message": f"{one} is not in {group.id}."}
            for one in ids
            if one not in group.members
        ]
        return self._ess.members(group, known), ignored

    @reads("ScalingGroupId", "InstanceIds.N", "Async", "ClientToken")
    @raises(*GROUP, BUSY, "InvalidInstanceId.NotFound", "IncorrectInstanceStatus", *TOKEN_ERRORS)
    def EnterStandby(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Weight 0 in the balancers, health frozen, never taken by a scale-in; still counted."""
        return self._standby(call, self._ess.enter_standby)

    @reads("ScalingGroupId", "InstanceIds.N", "Async", "ClientToken")
    @raises(*GROUP, BUSY, "InvalidInstanceId.NotFound", "IncorrectInstanceStatus", *TOKEN_ERRORS)
    def ExitStandby(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """In service again with weight 50 (or the group's), whatever it was before; health counts again."""
        return self._standby(call, self._ess.exit_standby)

    def _standby(self, call: Call, act: Callable[..., Activity]) -> dict[str, Any]:
        def move() -> dict[str, Any]:
            group = self._group(call)
            ids = _ids(call)
            if len(ids) > INSTANCES_PER_CALL:
                raise params.invalid("InstanceIds", f"at most {INSTANCES_PER_CALL} in one call")
            later = params.boolean(call.params, "Async", False)
            activity = act(group, ids, later=later, cause=cause(call), trigger=trigger(call))
            return {"ScalingActivityId": activity.id}

        return once(self._ess, call, move)

    @reads("ScalingGroupId", "InstanceIds.N", "ProtectedFromScaleIn")
    @raises(*GROUP, "InvalidInstanceId.NotFound", "IncorrectInstanceStatus")
    def SetInstancesProtection(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A protected member serves, but its life is its owner's business: no scale-in, no health look."""
        group = self._group(call)
        members = self._ess.members(group, _ids(call))
        check_states(members, (IN_SERVICE, PROTECTED))
        params.required(call.params, "ProtectedFromScaleIn")
        on = params.boolean(call.params, "ProtectedFromScaleIn", False)
        self._ess.scaling.protect(members, on)
        self._ess.will.awaken(group)
        return {}

    @reads("InstanceId", "HealthStatus")
    @raises("InvalidInstanceId.NotFound", "IncorrectInstanceStatus")
    def SetInstanceHealth(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Unhealthy has it replaced at the next look. Refused for one on standby, whose health is frozen
        (assumption)."""
        instance = params.required(call.params, "InstanceId")
        status = params.required(call.params, "HealthStatus")
        if status not in ("Healthy", "Unhealthy"):
            raise params.invalid("HealthStatus", "it is Healthy or Unhealthy")
        group = self._ess.group_of.get(instance)
        if group is None:
            raise ApiError("InvalidInstanceId.NotFound", f"{instance} is in no scaling group.", 404)
        member = group.members[instance]
        if member.state == STANDBY:
            raise ApiError("IncorrectInstanceStatus", f"{instance} is on standby.")
        member.healthy = status == "Healthy"
        self._ess.will.awaken(group)
        return {}

    @reads(
        "ScalingGroupId", "InstanceIds.N", "LifecycleState", "LifecycleStates.N", "HealthStatus", "CreationType",
        "CreationTypes.N", "ScalingActivityId", "ScalingConfigurationId", *PAGING,
    )  # fmt: skip
    @raises()
    def DescribeScalingInstances(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Members of one group or of all. Health is what the last look found."""
        params.required(call.params, "RegionId")
        group_id = params.text(call.params, "ScalingGroupId")
        ids = params.list_of(call.params, "InstanceIds")
        states = params.list_of(call.params, "LifecycleStates") or _single(call, "LifecycleState")
        kinds = params.list_of(call.params, "CreationTypes") or _single(call, "CreationType")
        health = params.text(call.params, "HealthStatus")
        activity = params.text(call.params, "ScalingActivityId")
        configuration = params.text(call.params, "ScalingConfigurationId")
        found = [
            (group, member)
            for group in self._ess.groups
            if not group_id or group.id == group_id
            for member in group.members.values()
            if (not ids or member.instance_id in ids)
            and (not states or member.state in states)
            and (not kinds or member.creation in kinds)
            and (not health or _health(member) == health)
            and (not activity or member.activity_id == activity)
            and (not configuration or member.configuration_id == configuration)
        ]
        answer = page(call, found, self._show, "ScalingInstances", most=100)
        return {**answer, "TotalSpotCount": 0}

    def _show(self, found: tuple[ScalingGroup, Member]) -> dict[str, Any]:
        group, member = found
        weighed = [self._ess.scaling.membership.weight(group, member, one) for one in group.balancers]
        return {
            "InstanceId": member.instance_id,
            "ScalingInstanceId": member.instance_id,
            "ScalingGroupId": group.id,
            "ScalingConfigurationId": member.configuration_id,
            "ScalingActivityId": member.activity_id,
            "LifecycleState": member.state,
            "HealthStatus": _health(member),
            "CreationType": member.creation,
            "Entrusted": member.entrusted or member.creation == AUTO_CREATED,
            "LoadBalancerWeight": weighed[0] if weighed else DEFAULT_WEIGHT,
            "PrivateIpAddress": member.address,
            "ZoneId": member.zone,
            "WarmupState": "NoNeedWarmup",
            "SpotStrategy": "NoSpot",
            "CreationTime": iso_minutes(member.joined),
            "CreatedTime": iso(member.joined),
        }

    def _group(self, call: Call) -> ScalingGroup:
        return self._ess.active_group(params.required(call.params, "ScalingGroupId"))


def _health(member: Member) -> str:
    return "Healthy" if member.healthy else "Unhealthy"


def _ids(call: Call) -> list[str]:
    found = params.list_of(call.params, "InstanceIds")
    if not found:
        raise params.missing("InstanceIds")
    return found


def _single(call: Call, name: str) -> list[str]:
    value = params.text(call.params, name)
    return [value] if value else []
