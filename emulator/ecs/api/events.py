"""DescribeInstanceHistoryEvents, DescribeInstancesFullStatus, DescribeDisksFullStatus."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.api.instances import named_ids
from emulator.ecs.disks import Disk
from emulator.ecs.events import FINAL, STATUS_CODES, TYPE_CODES, SystemEvent
from emulator.ecs.instances import Instance
from emulator.ecs.rules import iso, moment
from emulator.ecs.shelf import carries
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

INSTANCE_STATUS_CODES = {"Pending": 0, "Starting": 37, "Running": 1, "Stopping": 38, "Stopped": 2}
"""Assumption; read the name."""


DISK_STATUS_CODES = {"Available": 129, "In_use": 128, "Attaching": 130, "Detaching": 131, "Creating": 132}
"""Assumption; read the name."""
HEALTH = ("Impaired", "Warning", "Maintaining", "Initializing", "InsufficientData", "NotApplicable", "Ok")
NO_COUNTS = {"TotalCount": 0, "PageNumber": 0, "PageSize": 0}
"""With NextToken paging they mean nothing; see paging.py."""
TYPES_AT_MOST, STATES_AT_MOST, EVENTS_AT_MOST = 30, 7, 100


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = EventsApi(ecs)
    return {
        "DescribeInstanceHistoryEvents": api.history,
        "DescribeInstancesFullStatus": api.full_status,
        "DescribeDisksFullStatus": api.disks_full_status,
    }


class EventsApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "InstanceId", "ResourceType", "ResourceId.N", "EventId.N", "InstanceEventType.N", "EventType",
        "InstanceEventCycleStatus.N", "EventCycleStatus", "EventPublishTime.Start", "EventPublishTime.End",
        "NotBefore.Start", "NotBefore.End", "NextToken", "MaxResults", *paging.TAGS,
    )  # fmt: skip
    @raises("InvalidParameter.NextToken", "EventIdLimitExceeded")
    def history(self, call: Call) -> dict[str, Any]:
        """Lists events of the last 30 days, also of what is gone; without InstanceEventCycleStatus finished ones only.

        Not modelled: old page numbers; dedicated hosts (none are listed)."""
        p = call.params
        found = self._history(call) if p.get("ResourceType", "instance") in ("", "instance") else []
        size = max(10, min(params.integer(p, "MaxResults", 10), 100))
        if call.page_rows is not None:
            size = min(size, call.page_rows)
        start = _start(p.get("NextToken"))
        if call.empty_page:
            size = 0
        more = len(found) > start + size
        unpaged = "MaxResults" not in p and "NextToken" not in p
        counts = {"TotalCount": len(found), "PageNumber": 1, "PageSize": 10} if unpaged else NO_COUNTS
        return {
            "InstanceSystemEventSet": {"InstanceSystemEventType": [_event(e) for e in found[start : start + size]]},
            "NextToken": urlsafe_b64encode(f"e{start + size}".encode()).decode() if more else "",
            **counts,
        }

    def _history(self, call: Call) -> list[SystemEvent]:
        p = call.params
        states = _several(p, "InstanceEventCycleStatus", STATES_AT_MOST) or _given(p, "EventCycleStatus")
        types = _several(p, "InstanceEventType", TYPES_AT_MOST) or _given(p, "EventType")
        ids = params.list_of(p, "EventId")
        if len(ids) > EVENTS_AT_MOST:
            raise ApiError("EventIdLimitExceeded", f"At most {EVENTS_AT_MOST} events, got {len(ids)}.")
        resources = _several(p, "ResourceId", EVENTS_AT_MOST) or _given(p, "InstanceId")
        tags = paging.tag_filter(call)
        return [
            event
            for event in self._ecs.events.of()
            if event.status in (states or FINAL)
            and (not types or event.type in types)
            and (not ids or event.id in ids)
            and (not resources or event.instance_id in resources)
            and (not tags or carries(self._tags(event), tags))
            and _within(call, event)
        ]

    def _tags(self, event: SystemEvent) -> dict[str, str]:
        instance = self._ecs.shelf.get(event.instance_id)
        return instance.tags if instance is not None else {}

    @reads(
        "InstanceId.N", "HealthStatus", "Status", "EventType", "InstanceEventType.N", "EventId.N",
        "EventPublishTime.Start", "EventPublishTime.End", "NotBefore.Start", "NotBefore.End", "PageNumber", "PageSize",
    )  # fmt: skip
    @raises("InvalidHealthStatus", "EventIdLimitExceeded")
    def full_status(self, call: Call) -> dict[str, Any]:
        """State, health and unfinished events of instances. With a filter on events, only instances that have one."""
        p = call.params
        ids = named_ids(call)
        health, status = p.get("HealthStatus"), p.get("Status")
        if health and health not in HEALTH:  # case matters
            raise ApiError("InvalidHealthStatus", f"{health!r} is not one of {', '.join(HEALTH)}.")
        filtered = any(
            name.startswith(("EventType", "InstanceEventType", "EventId", "EventPub", "NotBef")) for name in p
        )

        def matches(instance: Instance) -> bool:
            return (
                (not health or self._health(instance) == health)
                and (not status or instance.state == status)
                and (not filtered or bool(self._unfinished(call, instance)))
            )

        items, fields = paging.numbered(
            call, self._ecs.shelf, matches, lambda instance: self._status(call, instance), cap=100, ids=ids
        )
        return {
            "InstanceFullStatusSet": {"InstanceFullStatusType": items},
            **paging.only(fields, "PageNumber", "PageSize", "TotalCount"),
        }

    def _unfinished(self, call: Call, instance: Instance) -> list[SystemEvent]:
        p = call.params
        types = _several(p, "InstanceEventType", TYPES_AT_MOST) or _given(p, "EventType")
        ids = params.list_of(p, "EventId")
        return [
            event
            for event in self._ecs.events.of(instance.id)
            if event.status not in FINAL
            and not event.disk_id
            and (not types or event.type in types)
            and (not ids or event.id in ids)
            and _within(call, event)
        ]

    def _health(self, instance: Instance) -> str:
        """`Warning` while a disk is in trouble, `Maintaining` while maintenance is carried out (assumption)."""
        if instance.failure is not None:
            return "Impaired"
        under_way = [e for e in self._ecs.events.of(instance.id) if e.status == "Executing" and not e.simulated]
        if any(event.disk_id for event in under_way):
            return "Warning"
        if under_way:
            return "Maintaining"
        return {"Running": "Ok", "Pending": "Initializing", "Starting": "Initializing"}.get(
            instance.state, "NotApplicable"
        )

    def _status(self, call: Call, instance: Instance) -> dict[str, Any]:
        health = self._health(instance)
        return {
            "InstanceId": instance.id,
            "Status": {"Code": INSTANCE_STATUS_CODES[instance.state], "Name": instance.state},
            "HealthStatus": {"Code": 0 if health == "Ok" else 128, "Name": health},
            "ScheduledSystemEventSet": {
                "ScheduledSystemEventType": [
                    {
                        "EventId": event.id,
                        "EventType": _named(TYPE_CODES, event.type),
                        "EventCycleStatus": _named(STATUS_CODES, event.status),
                        "EventPublishTime": iso(event.published),
                        "NotBefore": iso(event.not_before),
                        "ImpactLevel": "100",
                        "Reason": _reason(event),
                        "ExtendedAttribute": {},
                    }
                    for event in self._unfinished(call, instance)
                ]
            },
        }

    @reads(
        "DiskId.N", "Status", "HealthStatus", "EventType", "EventId.N", "ResourceGroupId", "PageNumber", "PageSize",
        *paging.TAGS,
    )  # fmt: skip
    @raises()
    def disks_full_status(self, call: Call) -> dict[str, Any]:
        """State, health and unfinished events of disks."""
        p = call.params
        ids = params.list_of(p, "DiskId") or None
        status, health, kind = p.get("Status"), p.get("HealthStatus"), p.get("EventType")
        events, tags = params.list_of(p, "EventId"), paging.tag_filter(call)

        all_troubles = self._ecs.events.troubles()

        def matches(disk: Disk) -> bool:
            troubles = all_troubles.get(disk.id, [])
            return (
                (not status or disk.state == status)
                and (not health or ("Impaired" if troubles else "Ok") == health)
                and (not kind or any(event.type == kind for event in troubles))
                and (not events or any(event.id in events for event in troubles))
                and (not tags or carries(disk.tags, tags))
            )

        def render(disk: Disk) -> dict[str, Any]:
            return self._disk(disk, all_troubles.get(disk.id, []))

        items, fields = paging.numbered(call, self._ecs.disks.shelf, matches, render, cap=100, ids=ids)
        return {
            "DiskFullStatusSet": {"DiskFullStatusType": items},
            **paging.only(fields, "PageNumber", "PageSize", "TotalCount"),
        }

    def _disk(self, disk: Disk, troubles: list[SystemEvent]) -> dict[str, Any]:
        return {
            "DiskId": disk.id,
            "InstanceId": disk.instance_id or "",
            "Device": disk.device.replace("/dev/vd", "/dev/xvd"),
            "Status": _named(DISK_STATUS_CODES, disk.state),
            "HealthStatus": {"Code": 128 if troubles else 0, "Name": "Impaired" if troubles else "Ok"},
            "DiskEventSet": {
                "DiskEventType": [
                    {
                        "EventId": event.id,
                        "EventTime": iso(event.published),
                        "EventEndTime": "",
                        "EventType": _named(TYPE_CODES, event.type),
                        "ImpactLevel": "100",
                    }
                    for event in troubles
                ]
            },
        }


def _named(codes: dict[str, int], name: str) -> dict[str, Any]:
    return {"Code": codes.get(name, 0), "Name": name}


def _event(event: SystemEvent) -> dict[str, Any]:
    answer = {
        "EventId": event.id,
        "InstanceId": event.instance_id,
        "ResourceType": "instance",
        "EventType": _named(TYPE_CODES, event.type),
        "EventCycleStatus": _named(STATUS_CODES, event.status),
        "EventPublishTime": iso(event.published),
        "NotBefore": iso(event.not_before),
        "Reason": _reason(event),
        "ReasonCode": "",
        "ImpactLevel": "100",
        "ExtendedAttribute": {"DiskId": event.disk_id, "Device": event.device} if event.disk_id else {},
    }
    if event.finished is not None:
        answer["EventFinishTime"] = iso(event.finished)
    return answer


def _reason(event: SystemEvent) -> str:
    return "System failure" if event.type.startswith("SystemFailure") else ""


def _within(call: Call, event: SystemEvent) -> bool:
    """The bounds on when it was published and when it is due."""
    p = call.params
    for name, at in (("EventPublishTime", event.published), ("NotBefore", event.not_before)):
        since, until = moment(p.get(f"{name}.Start")), moment(p.get(f"{name}.End"))
        if (since is not None and at < since) or (until is not None and at > until):
            return False
    return True


def _given(p: params.Params, name: str) -> list[str]:
    return [p[name]] if p.get(name) else []


def _several(p: params.Params, name: str, at_most: int) -> list[str]:
    found = params.list_of(p, name)
    if len(found) > at_most:
        raise params.invalid(name, f"it holds {len(found)} values, at most {at_most} are allowed")
    return found


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(urlsafe_b64decode(token).decode().removeprefix("e"))
    except ValueError:
        raise ApiError(
            "InvalidParameter.NextToken", f"The NextToken {token!r} is not one that was given out."
        ) from None
