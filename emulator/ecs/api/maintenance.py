"""Simulated events, AcceptInquiredSystemEvent, and what the platform does to an instance when its host fails."""

from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.api.instances import named_ids
from emulator.ecs.instances import Instance
from emulator.ecs.maintenance import ACTIONS
from emulator.ecs.rules import moment
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

EVENTS_AT_MOST = 100
WINDOW_HOURS = (1, 23)


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = MaintenanceApi(ecs)
    return {
        "CreateSimulatedSystemEvents": api.simulate,
        "CancelSimulatedSystemEvents": api.cancel,
        "AcceptInquiredSystemEvent": api.accept,
        "ModifyInstanceMaintenanceAttributes": api.modify,
        "DescribeInstanceMaintenanceAttributes": api.describe,
    }


class MaintenanceApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads("InstanceId.N", "EventType", "NotBefore", "TriggerRealOps")
    @raises("InvalidInstanceId.NotFound", "InvalidParameter.EventType")
    def simulate(self, call: Call) -> dict[str, Any]:
        """Rehearses events: notifications only, or with TriggerRealOps what they announce as well."""
        p = call.params
        ids = named_ids(call)
        if ids is None:
            raise params.missing("InstanceId.1")
        params.required(p, "NotBefore")
        at = moment(p["NotBefore"])
        assert at is not None
        real = params.boolean(p, "TriggerRealOps", False)
        events = self._ecs.maintenance.simulate(ids, params.required(p, "EventType"), at, real=real)
        return {"EventIdSet": {"EventId": [event.id for event in events]}}

    @reads("EventId.N")
    @raises("EventIdLimitExceeded", "InvalidEventId.NotFound", "CannotCancelSystemEvent.NotSimulated")
    def cancel(self, call: Call) -> dict[str, Any]:
        """Calls rehearsals off; events of the platform cannot be."""
        ids = params.list_of(call.params, "EventId")
        if not ids:  # documented with this status, unlike elsewhere
            raise ApiError("MissingParameter", "The input parameter EventId.1 is mandatory.", 404)
        if len(ids) > EVENTS_AT_MOST:
            raise ApiError("EventIdLimitExceeded", f"At most {EVENTS_AT_MOST} events, got {len(ids)}.")
        self._ecs.maintenance.cancel_simulated(ids)
        return {}

    @reads("EventId")
    @raises("InvalidEventId.NoInquiringEventFound")
    def accept(self, call: Call) -> dict[str, Any]:
        """Lets an Inquiring event happen now."""
        self._ecs.maintenance.accept(params.required(call.params, "EventId"))
        return {}

    @reads(
        "InstanceId.N", "ActionOnMaintenance", "NotifyOnMaintenance", "MaintenanceWindow.N.StartTime",
        "MaintenanceWindow.N.EndTime",
    )  # fmt: skip
    @raises("InvalidInstanceId.NotFound")
    def modify(self, call: Call) -> dict[str, Any]:
        """What the platform does when the host fails: with Stop it does not restart the instance by itself.

        AutoRedeploy is taken for any type; really it needs local disks. Windows are kept, not obeyed."""
        p, ids = call.params, named_ids(call)
        if ids is None:
            raise params.missing("InstanceId.1")
        instances = [self._ecs.find_instance(one) for one in ids]
        action, notify = p.get("ActionOnMaintenance"), params.boolean(p, "NotifyOnMaintenance")
        if action and action not in ACTIONS:
            raise params.invalid("ActionOnMaintenance", f"{action!r} is not one of {', '.join(ACTIONS)}")
        window = _window(call)
        for instance in instances:
            instance.on_maintenance = action or instance.on_maintenance
            instance.notify_on_maintenance = instance.notify_on_maintenance if notify is None else notify
            instance.maintenance_window = window or instance.maintenance_window
        return {}

    @reads("InstanceId.N", "PageNumber", "PageSize")
    @raises()
    def describe(self, call: Call) -> dict[str, Any]:
        """The attributes of all or some instances."""
        items, fields = paging.numbered(
            call, self._ecs.shelf, lambda _: True, self._attributes, cap=100, ids=named_ids(call)
        )
        return {
            "MaintenanceAttributes": {"MaintenanceAttribute": items},
            **paging.only(fields, "PageNumber", "PageSize", "TotalCount"),
        }

    def _attributes(self, instance: Instance) -> dict[str, Any]:
        window = instance.maintenance_window
        return {
            "InstanceId": instance.id,
            "ActionOnMaintenance": {
                "Value": instance.on_maintenance,
                "DefaultValue": "AutoRecover",
                "SupportedValues": {"SupportedValue": list(ACTIONS)},
            },
            "NotifyOnMaintenance": instance.notify_on_maintenance,
            "MaintenanceWindows": {
                "MaintenanceWindow": [] if window is None else [{"StartTime": window[0], "EndTime": window[1]}]
            },
        }


def _window(call: Call) -> tuple[str, str] | None:
    """One window of whole hours, UTC+8, `HH:00:00`, 1 to 23 hours long."""
    windows = params.objects(call.params, "MaintenanceWindow")
    if not windows:
        return None
    if len(windows) > 1:
        raise params.invalid("MaintenanceWindow", "there can be only one")
    texts = [windows[0].get(name, "") for name in ("StartTime", "EndTime")]
    hours = []
    for text in texts:
        hour, _, rest = text.partition(":")
        at = params.digits(hour)
        if at is None or at > 23 or rest not in ("00:00", "00:00Z"):
            raise params.invalid("MaintenanceWindow", f"{text!r} is not a full hour HH:00:00")
        hours.append(at)
    if not WINDOW_HOURS[0] <= (hours[1] - hours[0]) % 24 <= WINDOW_HOURS[1]:
        raise params.invalid("MaintenanceWindow", "it is 1 to 23 hours long")
    return texts[0], texts[1]
