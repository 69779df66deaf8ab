"""Instance refreshes on the wire. Pages: api.aliyun.com, Ess 2022-02-22, one per action."""

from typing import TYPE_CHECKING, Any

from emulator.ecs.rules import iso_minutes
from emulator.ess.api.answers import TOKEN_ERRORS, once
from emulator.ess.refresh import LEAST_HEALTHY, RUNNING, Refresh
from emulator.wire import params
from emulator.wire.call import ApiError, Call
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ess.model import AutoScaling

UNKNOWN = "InvalidInstanceRefreshTaskId.NotFound"


class RefreshesApi:
    def __init__(self, ess: "AutoScaling") -> None:
        self._ess = ess
        self._refreshes = ess.refreshes

    @reads(
        "ScalingGroupId", "DesiredConfiguration.ImageId", "DesiredConfiguration.ScalingConfigurationId",
        "MinHealthyPercentage", "SkipMatching", "ClientToken",
    )  # fmt: skip
    @raises(
        "InvalidScalingGroupId.NotFound", "IncorrectScalingGroupStatus", "ScalingActivityInProgress",
        "InvalidScalingConfigurationId.NotFound", "InvalidImageId.NotFound", *TOKEN_ERRORS,
    )  # fmt: skip
    def StartInstanceRefresh(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Replaces members batch by batch.

        Not modelled: checkpoints, MaxHealthyPercentage, launch templates, containers.
        """

        def start() -> dict[str, Any]:
            task = self._refreshes.start(
                self._ess.active_group(params.required(call.params, "ScalingGroupId")),
                image_id=params.text(call.params, "DesiredConfiguration.ImageId", ""),
                configuration_id=params.text(call.params, "DesiredConfiguration.ScalingConfigurationId", ""),
                min_healthy=params.integer(call.params, "MinHealthyPercentage", LEAST_HEALTHY, low=0, high=100),
                skip_matching=params.boolean(call.params, "SkipMatching", True),
            )
            return {"InstanceRefreshTaskId": task.id}

        return once(self._ess, call, start)

    @reads("ScalingGroupId", "InstanceRefreshTaskId")
    @raises("InvalidScalingGroupId.NotFound", UNKNOWN)
    def CancelInstanceRefresh(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """One that is not running cannot be cancelled (code: assumption)."""
        group = self._ess.group(params.required(call.params, "ScalingGroupId"))
        task = self._refreshes.tasks.get(params.required(call.params, "InstanceRefreshTaskId"))
        if task is None or task.group_id != group.id or task.status != RUNNING:
            raise ApiError(UNKNOWN, f"{group.id} has no such refresh under way.", 404)
        self._refreshes.cancel(task)
        return {}

    @reads("ScalingGroupId", "InstanceRefreshTaskIds.N", "MaxResults", "NextToken")
    @raises()
    def DescribeInstanceRefreshes(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Of one group, newest first, paged by NextToken."""
        params.required(call.params, "RegionId")
        group = params.required(call.params, "ScalingGroupId")
        ids = params.list_of(call.params, "InstanceRefreshTaskIds")
        size = params.integer(call.params, "MaxResults", 10, low=1, high=50)
        start = params.integer(call.params, "NextToken", 0, low=0)
        tasks = reversed(self._refreshes.tasks.values())
        found = [task for task in tasks if task.group_id == group and (not ids or task.id in ids)]
        return {
            "InstanceRefreshTasks": [self._show(task) for task in found[start : start + size]],
            "TotalCount": len(found),
            "MaxResults": size,
            "NextToken": str(start + size) if len(found) > start + size else "",
        }

    def _show(self, task: Refresh) -> dict[str, Any]:
        desired = {"ImageId": task.image_id, "ScalingConfigurationId": task.configuration_id}
        return {
            "InstanceRefreshTaskId": task.id,
            "ScalingGroupId": task.group_id,
            "RegionId": self._ess.realm.region,
            "Status": task.status,
            "Detail": task.detail,
            "StartTime": iso_minutes(task.started),
            **({} if task.ended is None else {"EndTime": iso_minutes(task.ended)}),
            "MinHealthyPercentage": task.min_healthy,
            "SkipMatching": task.skip_matching,
            "TotalNeedUpdateCapacity": task.needed,
            "FinishedUpdateCapacity": task.finished,
            "DesiredConfiguration": {name: value for name, value in desired.items() if value},
        }
