"""Scaling groups on the wire. Pages: api.aliyun.com, Ess 2022-02-22, one per action."""

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

from emulator.ecs.rules import iso_minutes
from emulator.ess.api import server_groups
from emulator.ess.api.answers import PAGING, TOKEN_ERRORS, cause, once, page, trigger, weights
from emulator.ess.group import (
    ACTIVE,
    INACTIVE,
    PENDING,
    PROTECTED,
    REMOVING,
    STANDBY,
    ScalingGroup,
)
from emulator.wire import params
from emulator.wire.call import ApiError, Call
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ess.model import AutoScaling

NOT_FOUND: Final = "InvalidScalingGroupId.NotFound"
MULTI_AZ: Final = ("PRIORITY", "BALANCE")
POLICIES: Final = ("OldestInstance", "NewestInstance", "OldestScalingConfiguration")
CHECKS: Final = ("ECS", "NONE")


class Groups:
    def __init__(self, ess: "AutoScaling") -> None:
        self._ess = ess
        self._realm = ess.realm

    @reads(
        "ScalingGroupName", "MinSize", "MaxSize", "DesiredCapacity", "DefaultCooldown", "VSwitchId", "VSwitchIds.N",
        "MultiAZPolicy", "LoadBalancerIds", "LoadBalancerConfigs.N.LoadBalancerId", "LoadBalancerConfigs.N.Weight",
        "RemovalPolicies.N", "HealthCheckType", "HealthCheckTypes.N", "GroupDeletionProtection", "GroupType",
        "Tags.N.Key", "Tags.N.Value", "Tags.N.Propagate", "ClientToken",
    )  # fmt: skip
    @raises(
        "InvalidScalingGroupName.Duplicate", "InvalidVSwitchId.NotFound", "InvalidLoadBalancerId.NotFound",
        "InvalidLoadBalancerIds.Malformed",
        "IncorrectLoadBalancerStatus", "IncorrectLoadBalancerHealthCheck", "InvalidLoadBalancerId.VPCMismatch",
        *TOKEN_ERRORS,
    )  # fmt: skip
    def CreateScalingGroup(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A new group is Inactive until it is enabled with a configuration.

        Not modelled: launch templates, ECI, RDS, spot, vServer groups and lifecycle hooks at creation.
        """
        return once(self._ess, call, lambda: self._create(call))

    def _create(self, call: Call) -> dict[str, Any]:
        kind = params.text(call.params, "GroupType", "ECS")
        if kind != "ECS":
            raise ApiError("UnsupportedParameter", f"The emulator does not model groups of type {kind}.")
        now = self._realm.clock.now()
        group = ScalingGroup(
            id=self._realm.chance.id("asg"),
            name="",
            created=now,
            modified=now,
            min_size=params.required_integer(call.params, "MinSize", low=0, high=2000),
            max_size=params.required_integer(call.params, "MaxSize", low=0, high=2000),
            desired=params.integer(call.params, "DesiredCapacity", low=0, high=2000),
        )
        group.name = params.text(call.params, "ScalingGroupName") or group.id
        vswitches = params.list_of(call.params, "VSwitchIds")
        if not vswitches and (one := params.text(call.params, "VSwitchId")):
            vswitches = [one]
        if not vswitches:
            raise params.missing("VSwitchIds")
        self._place(group, vswitches)
        group.balancers = self._balancers(call)
        self._settle(group, call)
        for tag in params.objects(call.params, "Tags"):
            group.tags[tag.get("Key", "")] = tag.get("Value", "")
            if tag.get("Propagate", "").lower() == "true":
                group.propagated |= {tag.get("Key", "")}
        _check_sizes(group)
        self._ess.add_group(group)
        return {"ScalingGroupId": group.id}

    def _balancers(self, call: Call) -> dict[str, int | None]:
        found: dict[str, int | None] = dict.fromkeys(params.json_texts(call.params, "LoadBalancerIds") or ())
        for one in params.objects(call.params, "LoadBalancerConfigs"):
            found[params.required(one, "LoadBalancerId")] = params.integer(one, "Weight", low=0, high=100)
        return found

    def _place(self, group: ScalingGroup, vswitches: list[str]) -> None:
        found = [self._realm.ecs.network.vswitch(one) for one in vswitches]
        if len({one.vpc for one in found}) > 1:
            raise ApiError("InvalidParameter", "The vSwitches are in different VPCs.")
        group.vswitch_ids, group.vpc_id = tuple(vswitches), found[0].vpc

    def _settle(self, group: ScalingGroup, call: Call) -> None:
        """What both creation and modification may say."""
        group.cooldown = params.integer(call.params, "DefaultCooldown", group.cooldown, low=0, high=86_400)
        group.multi_az = _among(params.text(call.params, "MultiAZPolicy", group.multi_az), MULTI_AZ, "MultiAZPolicy")
        policies = params.list_of(call.params, "RemovalPolicies")
        if policies:
            group.removal_policies = tuple(_among(one, POLICIES, "RemovalPolicies") for one in policies)
        checks = params.list_of(call.params, "HealthCheckTypes")
        if one := params.text(call.params, "HealthCheckType"):
            checks = [one]
        if checks:
            group.health_checks = tuple(_among(one, CHECKS, "HealthCheckType") for one in checks)
        group.protected_from_deletion = params.boolean(
            call.params, "GroupDeletionProtection", group.protected_from_deletion
        )

    @reads(
        "ScalingGroupId", "ScalingGroupName", "MinSize", "MaxSize", "DesiredCapacity", "DisableDesiredCapacity",
        "ActiveScalingConfigurationId", "HealthCheckType", "HealthCheckTypes.N", "VSwitchIds.N", "RemovalPolicies.N",
        "DefaultCooldown", "MultiAZPolicy", "GroupDeletionProtection",
    )  # fmt: skip
    @raises(
        NOT_FOUND, "IncorrectScalingGroupStatus", "InvalidScalingConfigurationId.NotFound",
        "InvalidScalingGroupName.Duplicate", "InvalidVSwitchId.NotFound",
    )  # fmt: skip
    def ModifyScalingGroup(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Sizes that no longer fit are put right by activities of the group's own; another configuration concerns
        future instances only.

        Not modelled: launch templates, spot, instance lifetimes.
        """
        group = self._named(call)
        if group.state not in (ACTIVE, INACTIVE):
            raise ApiError("IncorrectScalingGroupStatus", f"The scaling group {group.id} is {group.state}.")
        name = params.text(call.params, "ScalingGroupName") or group.name
        self._ess.check_name(name, group.id)
        new = replace(group, name=name, modified=self._realm.clock.now())  # all of it, or nothing when some is wrong
        new.min_size = params.integer(call.params, "MinSize", group.min_size, low=0, high=2000)
        new.max_size = params.integer(call.params, "MaxSize", group.max_size, low=0, high=2000)
        if params.boolean(call.params, "DisableDesiredCapacity", False):
            new.desired = None
        else:
            asked = params.integer(call.params, "DesiredCapacity", low=0, high=2000)
            new.desired = group.desired if asked is None else asked
        _check_sizes(new)
        if configuration := params.text(call.params, "ActiveScalingConfigurationId"):
            self._ess.choose(new, configuration)
        if vswitches := params.list_of(call.params, "VSwitchIds"):
            self._place(new, vswitches)
        self._settle(new, call)
        for field in fields(group):
            setattr(group, field.name, getattr(new, field.name))
        self._ess.will.awaken(group)
        return {}

    @reads("ScalingGroupId", "ForceDelete")
    @raises(NOT_FOUND, "IncorrectScalingGroupStatus", "ScalingActivityInProgress")
    def DeleteScalingGroup(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """With ForceDelete its own instances are released with it. Gone at once (assumption)."""
        self._ess.delete_group(self._named(call), force=params.boolean(call.params, "ForceDelete", False))
        return {}

    @reads(
        "ScalingGroupIds.N", "ScalingGroupName", "ScalingGroupNames.N", "Tags.N.Key", "Tags.N.Value", "GroupType",
        *PAGING,
    )  # fmt: skip
    @raises()
    def DescribeScalingGroups(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Inactive groups as well, and nothing about a group that is gone.

        The SDK's "IDs of inactive scaling groups are not included" can only mean ids that no longer exist: Terraform's
        provider waits by this very call until a new group reads Inactive.
        """
        params.required(call.params, "RegionId")
        ids = params.list_of(call.params, "ScalingGroupIds")
        names = params.list_of(call.params, "ScalingGroupNames")
        name = params.text(call.params, "ScalingGroupName")
        tags = {tag.get("Key", ""): tag.get("Value") for tag in params.objects(call.params, "Tags")}
        found = [
            group
            for group in self._ess.groups
            if (not ids or group.id in ids)
            and (not names or group.name in names)
            and (not name or group.name == name)
            and all(key in group.tags and value in (None, group.tags[key]) for key, value in tags.items())
        ]
        return page(call, found, self._show, "ScalingGroups", most=50)

    def _show(self, group: ScalingGroup) -> dict[str, Any]:
        weighed = {balancer: 50 if weight is None else weight for balancer, weight in group.balancers.items()}
        return {
            "ScalingGroupId": group.id,
            "ScalingGroupName": group.name,
            "GroupType": "ECS",
            "RegionId": self._realm.region,
            "LifecycleState": group.state,
            "MinSize": group.min_size,
            "MaxSize": group.max_size,
            **({} if group.desired is None else {"DesiredCapacity": group.desired}),
            "EnableDesiredCapacity": group.desired is not None,
            "TotalCapacity": group.total,
            "TotalInstanceCount": group.total,
            "ActiveCapacity": group.count("InService"),
            "PendingCapacity": group.count(PENDING),
            "PendingWaitCapacity": 0,
            "RemovingCapacity": group.count(REMOVING),
            "RemovingWaitCapacity": 0,
            "StandbyCapacity": group.count(STANDBY),
            "ProtectedCapacity": group.count(PROTECTED),
            "StoppedCapacity": 0,
            "ActiveScalingConfigurationId": group.configuration_id,
            "HealthCheckType": group.health_checks[0],
            "HealthCheckTypes": list(group.health_checks),
            "SuspendedProcesses": sorted(group.suspended),
            "SystemSuspended": group.system_suspended,
            "VpcId": group.vpc_id,
            "VSwitchId": group.vswitch_ids[0] if group.vswitch_ids else "",
            "VSwitchIds": list(group.vswitch_ids),
            "LoadBalancerIds": list(group.balancers),
            "LoadBalancerConfigs": [{"LoadBalancerId": one, "Weight": weight} for one, weight in weighed.items()],
            "VServerGroups": server_groups.shown(group.server_groups.values()),
            "RemovalPolicies": list(group.removal_policies),
            "MultiAZPolicy": group.multi_az,
            "ScalingPolicy": "release",
            "DefaultCooldown": group.cooldown,
            "GroupDeletionProtection": group.protected_from_deletion,
            "CreationTime": iso_minutes(group.created),
            "ModificationTime": iso_minutes(group.modified),
            "Tags": [
                {"TagKey": key, "TagValue": value, "Propagate": key in group.propagated}
                for key, value in group.tags.items()
            ],
        }

    @reads("ScalingGroupId", "ActiveScalingConfigurationId", "InstanceIds.N", "LoadBalancerWeights.N")
    @raises(
        NOT_FOUND, "IncorrectScalingGroupStatus", "InvalidScalingConfigurationId.NotFound",
        "InvalidInstanceId.NotFound", "InvalidInstanceId.InUse", "InvalidInstanceId.VPCMismatch",
        "IncorrectInstanceStatus", "IncorrectCapacity.MaxSize", "ScalingActivityInProgress",
    )  # fmt: skip
    def EnableScalingGroup(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """From then on the group minds its size and its members' health."""
        group = self._named(call)
        instances = params.list_of(call.params, "InstanceIds")
        joining = weights(call, len(instances))
        configuration = params.text(call.params, "ActiveScalingConfigurationId") or None
        self._ess.check_enable(group, configuration)
        self._ess.check_attach(group, instances, joining)
        self._ess.enable(group, configuration)
        if instances:
            self._ess.attach(
                group,
                instances,
                joining,
                entrusted=False,
                ignore_invalid=False,
                cause=cause(call),
                trigger=trigger(call),
            )
        return {}

    @reads("ScalingGroupId")
    @raises(NOT_FOUND, "IncorrectScalingGroupStatus")
    def DisableScalingGroup(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Members stay; what is under way runs to its end."""
        self._ess.disable(self._named(call))
        return {}

    @reads("ScalingGroupId", "Processes.N", "ClientToken")
    @raises(NOT_FOUND)
    def SuspendProcesses(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """ScaleIn, ScaleOut, HealthCheck, AlarmNotification, ScheduledAction; suspending twice is fine."""
        self._ess.suspend(self._named(call), _processes(call))
        return {}

    @reads("ScalingGroupId", "Processes.N", "ClientToken")
    @raises(NOT_FOUND)
    def ResumeProcesses(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """What went wrong meanwhile is mended soon."""
        self._ess.resume(self._named(call), _processes(call))
        return {}

    def _named(self, call: Call) -> ScalingGroup:
        return self._ess.group(params.required(call.params, "ScalingGroupId"))


def _processes(call: Call) -> list[str]:
    found = params.list_of(call.params, "Processes")
    if not found:
        raise params.missing("Processes")
    return found


def _check_sizes(group: ScalingGroup) -> None:
    if group.min_size > group.max_size:
        raise ApiError("InvalidParameter", f"MinSize {group.min_size} is above MaxSize {group.max_size}.")
    if group.desired is not None and not group.min_size <= group.desired <= group.max_size:
        raise ApiError(
            "InvalidParameter",
            f"DesiredCapacity {group.desired} is not within MinSize {group.min_size} and MaxSize {group.max_size}.",
        )


def _among(value: str, known: tuple[str, ...], name: str) -> str:
    if value not in known:
        raise ApiError("UnsupportedParameter", f"The emulator models {name} {', '.join(known)}, not {value!r}.")
    return value
