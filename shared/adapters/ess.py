"""Auto Scaling groups through the official SDK (`alibabacloud_ess20220222`).

Effects carry a token where the cloud takes one; a lost answer is settled by the member's state (`memberships`), by
`groups` for suspended processes and the maximum, and by `configurations` for a published image. Suspending, resuming,
publishing and setting the maximum twice is harmless. Source: ESS API 2022-02-22, SDK 1.13.3.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from alibabacloud_ess20220222 import models
from alibabacloud_ess20220222.client import Client

from shared.adapters.credentials import Credentials
from shared.adapters.ecs_answers import Fields, unreadable
from shared.adapters.numbered_pages import all_pages
from shared.adapters.sdk import Clients, Endpoint, body_of, call
from shared.domain.errors import OutcomeUnknown
from shared.domain.ids import ImageId, InstanceId, LoadBalancerId
from shared.ports.scaling import Activity, ActivityState, Membership, ScalingConfiguration, ScalingGroup

RAM_ACTIONS: Final = (
    "ess:DescribeScalingInstances",
    "ess:DescribeScalingGroups",
    "ess:DescribeScalingActivities",
    "ess:DescribeScalingConfigurations",
    "ess:EnterStandby",
    "ess:ExitStandby",
    "ess:AttachInstances",
    "ess:DetachInstances",
    "ess:SuspendProcesses",
    "ess:ResumeProcesses",
    "ess:ModifyScalingConfiguration",
    "ess:ModifyScalingGroup",
)
"""The RAM actions that this adapter needs."""

INSTANCES_PER_PAGE: Final = 100
GROUPS_PER_PAGE: Final = 50
"""Also of configurations and activities."""

STATES: Final = {
    "InProgress": ActivityState.IN_PROGRESS,
    "Successful": ActivityState.SUCCESSFUL,
    "Warning": ActivityState.WARNING,
    "Failed": ActivityState.FAILED,
    "Rejected": ActivityState.REJECTED,
}


class EssScaling:
    """Implements `shared.ports.scaling.Scaling`."""

    def __init__(self, *, endpoint: Endpoint, credentials: Callable[[], Credentials]) -> None:
        self._clients = Clients[Any](Client, endpoint=endpoint, credentials=credentials)
        self._region = endpoint.region

    # Reading --------------------------------------------------------------------------------------------------

    def memberships(self, instances: Sequence[InstanceId]) -> Mapping[InstanceId, Membership]:
        found: dict[InstanceId, Membership] = {}
        for some in _chunks(instances, INSTANCES_PER_PAGE):
            for row in self._listed(
                "DescribeScalingInstances", "scaling_instances", INSTANCES_PER_PAGE, instance_ids=some
            ):
                member = _membership(row)
                found[member.instance] = member
        return found

    def members(self, group: str) -> tuple[Membership, ...]:
        rows = self._listed("DescribeScalingInstances", "scaling_instances", INSTANCES_PER_PAGE, scaling_group_id=group)
        return tuple(_membership(row) for row in rows)

    def groups(self, ids: Sequence[str]) -> Mapping[str, ScalingGroup]:
        found: dict[str, ScalingGroup] = {}
        for some in _chunks(ids, GROUPS_PER_PAGE):
            rows = self._listed("DescribeScalingGroups", "scaling_groups", GROUPS_PER_PAGE, scaling_group_ids=some)
            for row in rows:
                one = _group(row)
                found[one.id] = one
        return found

    def activity(self, group: str, id: str) -> Activity | None:
        rows = self._listed(
            "DescribeScalingActivities", "scaling_activities", GROUPS_PER_PAGE, scaling_activity_ids=[id]
        )
        own = (_activity(row) for row in rows if row.scaling_group_id == group)
        return next((one for one in own if one.id == id), None)

    def configurations(self, ids: Sequence[str]) -> Mapping[str, ScalingConfiguration]:
        found: dict[str, ScalingConfiguration] = {}
        for some in _chunks(ids, GROUPS_PER_PAGE):
            for row in self._listed(
                "DescribeScalingConfigurations",
                "scaling_configurations",
                GROUPS_PER_PAGE,
                scaling_configuration_ids=some,
            ):
                one = _configuration(row)
                found[one.id] = one
        return found

    def _listed(self, action: str, envelope: str, size: int, **filters: Any) -> Iterator[Any]:
        """Every row, page by page."""
        what = f"ess {action}"
        kind = getattr(models, f"{action}Request")

        def page(number: int) -> tuple[list[Any], int]:
            request = kind(region_id=self._region, page_number=number, page_size=size, **filters)
            body = body_of(self._sent(action, request, changes=False), what)
            return getattr(body, envelope) or [], Fields(body, what).whole("total_count")

        yield from all_pages(page, what)

    # Changing -------------------------------------------------------------------------------------------------

    def enter_standby(self, group: str, instances: Sequence[InstanceId], *, token: str) -> str:
        request = models.EnterStandbyRequest(scaling_group_id=group, instance_ids=list(instances), client_token=token)
        return self._begun("EnterStandby", request)

    def exit_standby(self, group: str, instances: Sequence[InstanceId], *, token: str) -> str:
        request = models.ExitStandbyRequest(
            region_id=self._region, scaling_group_id=group, instance_ids=list(instances), client_token=token
        )
        return self._begun("ExitStandby", request)

    def attach(self, group: str, instances: Sequence[InstanceId], *, entrusted: bool, token: str) -> str:
        request = models.AttachInstancesRequest(
            region_id=self._region,
            scaling_group_id=group,
            instance_ids=list(instances),
            entrusted=entrusted,
            client_token=token,
        )
        return self._begun("AttachInstances", request)

    def detach(self, group: str, instances: Sequence[InstanceId], *, decrease: bool, token: str) -> str:
        request = models.DetachInstancesRequest(
            scaling_group_id=group,
            instance_ids=list(instances),
            decrease_desired_capacity=decrease,
            client_token=token,
        )
        return self._begun("DetachInstances", request)

    def set_maximum(self, group: str, size: int) -> None:
        request = models.ModifyScalingGroupRequest(scaling_group_id=group, max_size=size)
        self._sent("ModifyScalingGroup", request, changes=True)

    def resize(self, group: str, *, desired: int) -> None:
        request = models.ModifyScalingGroupRequest(scaling_group_id=group, desired_capacity=desired)
        self._sent("ModifyScalingGroup", request, changes=True)

    def suspend(self, group: str, processes: Sequence[str]) -> None:
        request = models.SuspendProcessesRequest(
            region_id=self._region, scaling_group_id=group, processes=list(processes)
        )
        self._sent("SuspendProcesses", request, changes=True)

    def resume(self, group: str, processes: Sequence[str]) -> None:
        request = models.ResumeProcessesRequest(
            region_id=self._region, scaling_group_id=group, processes=list(processes)
        )
        self._sent("ResumeProcesses", request, changes=True)

    def publish(self, configuration: str, image: ImageId) -> None:
        request = models.ModifyScalingConfigurationRequest(scaling_configuration_id=configuration, image_id=image)
        self._sent("ModifyScalingConfiguration", request, changes=True)

    def _begun(self, action: str, request: Any) -> str:
        """The activity's id."""
        response = self._sent(action, request, changes=True)
        begun = getattr(response.body, "scaling_activity_id", None)
        if not isinstance(begun, str) or not begun:
            raise OutcomeUnknown(f"ess {action}: answered without an activity ({begun!r})")
        return begun

    def _sent(self, action: str, request: Any, *, changes: bool) -> Any:
        method = _METHODS[action]
        return call(f"ess {action}", lambda: getattr(self._clients.current(), method)(request), changes=changes)


_METHODS: Final = {
    "DescribeScalingInstances": "describe_scaling_instances",
    "DescribeScalingGroups": "describe_scaling_groups",
    "DescribeScalingActivities": "describe_scaling_activities",
    "DescribeScalingConfigurations": "describe_scaling_configurations",
    "EnterStandby": "enter_standby",
    "ExitStandby": "exit_standby",
    "AttachInstances": "attach_instances",
    "DetachInstances": "detach_instances",
    "SuspendProcesses": "suspend_processes",
    "ResumeProcesses": "resume_processes",
    "ModifyScalingConfiguration": "modify_scaling_configuration",
    "ModifyScalingGroup": "modify_scaling_group",
}


def _chunks(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    wanted = list(dict.fromkeys(ids))
    for start in range(0, len(wanted), size):
        yield wanted[start : start + size]


def _texts(item: Any, name: str, what: str) -> tuple[str, ...]:
    found = getattr(item, name, None) or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise unreadable(what, f"{name} is {found!r}, not a list of texts")
    return tuple(found)


def _membership(item: Any) -> Membership:
    row = Fields(item, "ess DescribeScalingInstances")
    created = row.text("creation_type") == "AutoCreated"
    return Membership(
        instance=InstanceId(row.text("instance_id")),
        group=row.text("scaling_group_id"),
        state=row.text("lifecycle_state").lower(),
        created_by_group=created,
        entrusted=not created and row.optional_flag("entrusted"),  # the cloud says it of its own ones as well
        weight=row.optional_whole("load_balancer_weight"),
    )


def _group(item: Any) -> ScalingGroup:
    what = "ess DescribeScalingGroups"
    row = Fields(item, what)
    suspended = frozenset(_texts(item, "suspended_processes", what))
    checks = _texts(item, "health_check_types", what) or (row.optional("health_check_type"),)
    has_desired = getattr(item, "enable_desired_capacity", None) is not False
    return ScalingGroup(
        id=row.text("scaling_group_id"),
        name=row.optional("scaling_group_name"),
        active=row.text("lifecycle_state") == "Active",
        least=row.whole("min_size"),
        most=row.whole("max_size"),
        desired=row.optional_whole("desired_capacity") if has_desired else None,
        total=row.whole("total_capacity"),
        standby=row.optional_whole("standby_capacity") or 0,
        checks_health="ECS" in checks and "HealthCheck" not in suspended,
        suspended=suspended,
        configuration=row.optional("active_scaling_configuration_id"),
        balancers=tuple(LoadBalancerId(one) for one in _texts(item, "load_balancer_ids", what)),
    )


def _activity(item: Any) -> Activity:
    row = Fields(item, "ess DescribeScalingActivities")
    return Activity(
        id=row.text("scaling_activity_id"),
        state=row.choice("status_code", STATES),
        message=row.optional("status_message"),
    )


def _configuration(item: Any) -> ScalingConfiguration:
    row = Fields(item, "ess DescribeScalingConfigurations")
    image = row.optional("image_id")
    return ScalingConfiguration(
        id=row.text("scaling_configuration_id"),
        group=row.text("scaling_group_id"),
        image=ImageId(image) if image else None,
        family=row.optional("image_family"),
    )
