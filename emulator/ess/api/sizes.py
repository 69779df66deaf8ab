"""Rules, adjustments, load balancers and activities on the wire. Pages: api.aliyun.com, Ess 2022-02-22."""

from typing import TYPE_CHECKING, Any, Final

from emulator.ecs.rules import iso_minutes
from emulator.ess.activity import Activity
from emulator.ess.api import server_groups
from emulator.ess.api.answers import PAGING, TOKEN_ERRORS, cause, once, page, trigger
from emulator.ess.rule import PERCENT, SIMPLE, STEP, ScalingRule, Step, check, wanted
from emulator.wire import params
from emulator.wire.call import ApiError, Call
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ess.model import AutoScaling

GROUP: Final = ("InvalidScalingGroupId.NotFound", "IncorrectScalingGroupStatus")
BUSY: Final = "ScalingActivityInProgress"
BALANCER: Final = (
    "InvalidLoadBalancerId.NotFound", "IncorrectLoadBalancerStatus", "IncorrectLoadBalancerHealthCheck",
    "InvalidLoadBalancerId.VPCMismatch",
)  # fmt: skip


class Sizes:
    def __init__(self, ess: "AutoScaling") -> None:
        self._ess = ess
        self._realm = ess.realm

    # Rules ----------------------------------------------------------------------------------------------------

    @reads(
        "ScalingGroupId", "ScalingRuleName", "ScalingRuleType", "AdjustmentType", "AdjustmentValue",
        "MinAdjustmentMagnitude", "Cooldown", "StepAdjustments.N.MetricIntervalLowerBound",
        "StepAdjustments.N.MetricIntervalUpperBound", "StepAdjustments.N.ScalingAdjustment",
    )  # fmt: skip
    @raises("InvalidScalingGroupId.NotFound")
    def CreateScalingRule(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Simple and step rules.

        Not modelled: target tracking, predictive rules.
        """
        group = self._ess.group(params.required(call.params, "ScalingGroupId"))
        kind = params.text(call.params, "ScalingRuleType", SIMPLE)
        if kind not in (SIMPLE, STEP):
            raise ApiError("UnsupportedParameter", f"The emulator does not model rules of type {kind}.")
        rule_id = self._realm.chance.id("asr")
        rule = ScalingRule(
            id=rule_id,
            name=params.text(call.params, "ScalingRuleName") or rule_id,
            group_id=group.id,
            ari=f"ari:acs:ess:{self._realm.region}:{self._realm.account}:scalingrule/{rule_id}",
            kind=kind,
            adjustment_type=params.required(call.params, "AdjustmentType"),
            min_magnitude=params.integer(call.params, "MinAdjustmentMagnitude", low=1),
            cooldown=params.integer(call.params, "Cooldown", low=0, high=86_400),
            steps=tuple(
                Step(
                    lower=_number(step, "MetricIntervalLowerBound"),
                    upper=_number(step, "MetricIntervalUpperBound"),
                    adjustment=params.required_integer(step, "ScalingAdjustment"),
                )
                for step in params.objects(call.params, "StepAdjustments")
            ),
        )
        if kind == SIMPLE:
            rule.adjustment_value = params.required_integer(call.params, "AdjustmentValue")
        check(rule.adjustment_type, rule.adjustment_value)
        self._ess.rules[rule.ari] = rule
        return {"ScalingRuleId": rule.id, "ScalingRuleAri": rule.ari}

    @reads("ScalingRuleId")
    @raises("InvalidScalingRuleId.NotFound")
    def DeleteScalingRule(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """The code for an unknown id is an assumption."""
        wanted_id = params.required(call.params, "ScalingRuleId")
        rule = next((rule for rule in self._ess.rules.values() if rule.id == wanted_id), None)
        if rule is None:
            raise ApiError("InvalidScalingRuleId.NotFound", f"The scaling rule {wanted_id} does not exist.", 404)
        del self._ess.rules[rule.ari]
        return {}

    @reads("ScalingGroupId", "ScalingRuleIds.N", "ScalingRuleAris.N", "ScalingRuleNames.N", "ScalingRuleType", *PAGING)
    @raises()
    def DescribeScalingRules(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Not modelled: the alarms of a rule (`ShowAlarmRules`)."""
        group, kind = params.text(call.params, "ScalingGroupId"), params.text(call.params, "ScalingRuleType")
        ids, aris, names = (
            params.list_of(call.params, name) for name in ("ScalingRuleIds", "ScalingRuleAris", "ScalingRuleNames")
        )
        found = [
            rule
            for rule in self._ess.rules.values()
            if (not group or rule.group_id == group)
            and (not kind or rule.kind == kind)
            and (not ids or rule.id in ids)
            and (not aris or rule.ari in aris)
            and (not names or rule.name in names)
        ]
        return page(call, found, self._show_rule, "ScalingRules", most=50)

    def _show_rule(self, rule: ScalingRule) -> dict[str, Any]:
        optional = {"MinAdjustmentMagnitude": rule.min_magnitude, "Cooldown": rule.cooldown}
        bounds = (
            (step, {"MetricIntervalLowerBound": step.lower, "MetricIntervalUpperBound": step.upper})
            for step in rule.steps
        )
        return {
            "ScalingRuleId": rule.id,
            "ScalingRuleAri": rule.ari,
            "ScalingRuleName": rule.name,
            "ScalingGroupId": rule.group_id,
            "ScalingRuleType": rule.kind,
            "AdjustmentType": rule.adjustment_type,
            "AdjustmentValue": rule.adjustment_value,
            **{name: value for name, value in optional.items() if value is not None},
            "StepAdjustments": [
                {**{name: b for name, b in ends.items() if b is not None}, "ScalingAdjustment": step.adjustment}
                for step, ends in bounds
            ],
        }

    @reads("ScalingRuleAri", "BreachThreshold", "MetricValue", "ClientToken")
    @raises(*GROUP, BUSY, "InvalidScalingRuleAri.NotFound", "IncorrectCapacity.NoChange", *TOKEN_ERRORS)
    def ExecuteScalingRule(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """At once, whatever the cooldown: that holds for alarms only."""

        def execute() -> dict[str, Any]:
            rule = self._ess.rule(params.required(call.params, "ScalingRuleAri"))
            activity = self._ess.execute(
                rule,
                trigger(call),
                metric=_number(call.params, "MetricValue"),
                threshold=_number(call.params, "BreachThreshold"),
            )
            return {"ScalingActivityId": activity.id}

        return once(self._ess, call, execute)

    @reads(
        "ScalingGroupId", "AdjustmentType", "AdjustmentValue", "MinAdjustmentMagnitude", "SyncActivity",
        "ParallelTask", "ExecutionMode", "ActivityMetadata", "ClientToken",
    )  # fmt: skip
    @raises(*GROUP, BUSY, "IncorrectCapacity.NoChange", *TOKEN_ERRORS)
    def ScaleWithAdjustment(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Clipped to MinSize and MaxSize. In a group with a desired capacity and without SyncActivity only that
        number changes; the activity follows by itself, so no id is answered.

        Not modelled: PlanOnly, Overrides (of containers), lifecycle hooks.
        """
        return once(self._ess, call, lambda: self._scale(call))

    def _scale(self, call: Call) -> dict[str, Any]:
        group = self._ess.active_group(params.required(call.params, "ScalingGroupId"))
        if params.text(call.params, "ExecutionMode", "None") != "None":
            raise ApiError("UnsupportedParameter", "The emulator does not model ExecutionMode PlanOnly.")
        kind = params.required(call.params, "AdjustmentType")
        value = params.required_integer(call.params, "AdjustmentValue")
        check(kind, value)
        least = params.integer(call.params, "MinAdjustmentMagnitude", low=1) if kind == PERCENT else None
        base = group.total if group.desired is None else group.desired
        size = group.clipped(wanted(kind, value, base, least=least))
        if group.desired is not None and not params.boolean(call.params, "SyncActivity", False):
            group.desired = size
            self._ess.will.awaken(group)
            return {"ActivityType": "CapacityChange"}
        parallel = params.boolean(call.params, "ParallelTask", False)
        activity = self._ess.resize(group, size, cause=cause(call), trigger=trigger(call), parallel=parallel)
        activity.metadata = params.text(call.params, "ActivityMetadata", "")
        # assumption: the words of the other activity types; only CapacityChange is documented
        return {"ActivityType": activity.kind, "ScalingActivityId": activity.id}

    # Load balancers -------------------------------------------------------------------------------------------

    @reads(
        "ScalingGroupId", "LoadBalancers.N", "LoadBalancerConfigs.N.LoadBalancerId", "LoadBalancerConfigs.N.Weight",
        "ForceAttach", "Async", "ClientToken",
    )  # fmt: skip
    @raises(*GROUP, BUSY, *BALANCER, *TOKEN_ERRORS)
    def AttachLoadBalancers(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """With ForceAttach present members join at once, else only future ones. Done when it answers, also with Async
        (assumption)."""

        def attach() -> dict[str, Any]:
            group = self._ess.active_group(params.required(call.params, "ScalingGroupId"))
            new: dict[str, int | None] = dict.fromkeys(params.list_of(call.params, "LoadBalancers"))
            for one in params.objects(call.params, "LoadBalancerConfigs"):
                new[params.required(one, "LoadBalancerId")] = params.integer(one, "Weight", low=0, high=100)
            if not new:
                raise params.missing("LoadBalancers")
            self._ess.scaling.membership.check(group.vpc_id, new)
            self._ess.scaling.activities.check_idle(group)
            group.balancers.update(new)
            if not params.boolean(call.params, "ForceAttach", False):
                return {}
            activity = self._ess.scaling.join_balancers(group, list(new), cause=cause(call), trigger=trigger(call))
            return {"ScalingActivityId": activity.id}

        return once(self._ess, call, attach)

    @reads("ScalingGroupId", "LoadBalancers.N", "ForceDetach", "Async", "ClientToken")
    @raises(*GROUP, BUSY, *TOKEN_ERRORS)
    def DetachLoadBalancers(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """With ForceDetach present members leave the pool at once, else they stay in it."""

        def detach() -> dict[str, Any]:
            group = self._ess.active_group(params.required(call.params, "ScalingGroupId"))
            gone = params.list_of(call.params, "LoadBalancers")
            if not gone:
                raise params.missing("LoadBalancers")
            self._ess.scaling.activities.check_idle(group)
            for one in gone:
                group.balancers.pop(one, None)
            if not params.boolean(call.params, "ForceDetach", False):
                return {}
            activity = self._ess.scaling.leave_balancers(group, gone, cause=cause(call), trigger=trigger(call))
            return {"ScalingActivityId": activity.id}

        return once(self._ess, call, detach)

    @reads("ScalingGroupId", *server_groups.PARAMETERS, "ForceAttach", "ClientToken")
    @raises(*GROUP, BUSY, *BALANCER, *TOKEN_ERRORS)
    def AttachVServerGroups(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Members join each vServer group at the port that is named: future ones, and with ForceAttach present ones at
        once. Done when it answers, though real activities take their time (assumption)."""

        def attach() -> dict[str, Any]:
            group = self._ess.active_group(params.required(call.params, "ScalingGroupId"))
            new = server_groups.named(call)
            if not new:
                raise params.missing("VServerGroups")
            self._ess.scaling.membership.check_server_groups(group.vpc_id, new)
            self._ess.scaling.activities.check_idle(group)
            group.server_groups.update({(one.id, one.port): one for one in new})
            if params.boolean(call.params, "ForceAttach", False):
                self._ess.scaling.join_balancers(
                    group, [one.id for one in new], cause=cause(call), trigger=trigger(call)
                )
            return {}

        return once(self._ess, call, attach)

    @reads("ScalingGroupId", *server_groups.PORTS, "ForceDetach", "ClientToken")
    @raises(*GROUP, BUSY, *TOKEN_ERRORS)
    def DetachVServerGroups(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """With ForceDetach present members leave the vServer groups at once, else they stay in them."""

        def detach() -> dict[str, Any]:
            group = self._ess.active_group(params.required(call.params, "ScalingGroupId"))
            gone = server_groups.named(call)
            if not gone:
                raise params.missing("VServerGroups")
            self._ess.scaling.activities.check_idle(group)
            for one in gone:
                group.server_groups.pop((one.id, one.port), None)
            if params.boolean(call.params, "ForceDetach", False):
                self._ess.scaling.leave_server_groups(group, gone, cause=cause(call), trigger=trigger(call))
            return {}

        return once(self._ess, call, detach)

    # Activities -----------------------------------------------------------------------------------------------

    @reads("ScalingGroupId", "ScalingActivityIds.N", "StatusCode", "InstanceRefreshTaskId", *PAGING)
    @raises()
    def DescribeScalingActivities(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Of one group, or by ids: exactly one of the two. The newest first, 30 days back."""
        params.required(call.params, "RegionId")
        group_id = params.text(call.params, "ScalingGroupId")
        ids = params.list_of(call.params, "ScalingActivityIds")
        if not group_id and not ids:
            raise params.missing("ScalingGroupId")
        if group_id and ids:
            raise ApiError("InvalidParameter", "Give ScalingGroupId or ScalingActivityIds, not both.")
        status = params.text(call.params, "StatusCode")
        refresh = params.text(call.params, "InstanceRefreshTaskId")
        activities = self._ess.scaling.activities
        found = activities.of_group(group_id) if group_id else activities.named(ids)
        found = [
            one for one in found if (not status or one.status == status) and (not refresh or one.refresh_id == refresh)
        ]
        return page(call, found, _show_activity, "ScalingActivities", most=50)


def _show_activity(activity: Activity) -> dict[str, Any]:
    troubles = activity.troubles
    ended = {} if activity.ended is None else {"EndTime": iso_minutes(activity.ended)}
    failed = {"ErrorCode": troubles[0].code, "ErrorMessage": troubles[0].message} if troubles else {}
    return {
        "ScalingActivityId": activity.id,
        "ScalingGroupId": activity.group_id,
        "StatusCode": activity.status,
        "StatusMessage": activity.message,
        "Progress": activity.progress,
        "Cause": activity.cause,
        "Description": activity.description,
        "StartTime": iso_minutes(activity.started),
        **ended,
        "TotalCapacity": str(activity.total),
        "AttachedCapacity": str(activity.attached),
        "AutoCreatedCapacity": str(activity.auto_created),
        "ScalingInstanceNumber": len(activity.created) + len(activity.destroyed),
        "CreatedInstances": list(activity.created),
        "CreatedCapacity": len(activity.created),
        "DestroyedInstances": list(activity.destroyed),
        "DestroyedCapacity": len(activity.destroyed),
        "StartedInstances": [],
        "StartedCapacity": 0,
        "StoppedInstances": [],
        "StoppedCapacity": 0,
        **failed,
        "ErrorMessages": [
            {"Code": one.code, "Message": one.message, "FailedInstanceIds": list(one.instances)} for one in troubles
        ],
        "TriggerSourceType": activity.trigger.kind,
        "TriggerSourceId": activity.trigger.id,
        "ActivityMetadata": activity.metadata,
        "InstanceRefreshTaskId": activity.refresh_id,
    }


def _number(sent: "params.Params", name: str) -> float | None:
    value = sent.get(name)
    if not value:
        return None
    try:
        return float(value)
    except ValueError:
        raise params.invalid(name, f"{value!r} is not a number") from None
