"""DescribeInstanceHistoryEvents, DescribeInstancesFullStatus, CreateSimulatedSystemEvents."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.events import FINAL, STATUS_CODES, TYPE_CODES, SystemEvent
from emulator.ecs.instances import Instance
from emulator.ecs.rules import iso
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

INSTANCE_STATUS_CODES = {"Pending": 0, "Starting": 37, "Running": 1, "Stopping": 38, "Stopped": 2}
"""Assumption; read the name."""


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = EventsApi(ecs)
    return {
        "DescribeInstanceHistoryEvents": api.history,
        "DescribeInstancesFullStatus": api.full_status,
        "CreateSimulatedSystemEvents": api.simulate,
    }


class EventsApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "InstanceId", "ResourceType", "ResourceId.N", "EventId.N", "InstanceEventType.N", "EventType",
        "InstanceEventCycleStatus.N", "EventCycleStatus", "EventPublishTime.Start", "EventPublishTime.End",
        "NotBefore.Start", "NotBefore.End", "NextToken", "MaxResults",
    )  # fmt: skip
    def history(self, call: Call) -> dict[str, Any]:
        """Without InstanceEventCycleStatus only finished events. The last 30 days."""
        p = call.params
        states = params.list_of(p, "InstanceEventCycleStatus") or [s for s in [p.get("EventCycleStatus")] if s]
        types = params.list_of(p, "InstanceEventType") or [t for t in [p.get("EventType")] if t]
        ids = params.list_of(p, "EventId")
        instances = [i for i in [p.get("InstanceId")] if i] or params.list_of(p, "ResourceId")
        since, until = _moment(p.get("EventPublishTime.Start")), _moment(p.get("EventPublishTime.End"))
        found = [
            event
            for event in self._ecs.events.of()
            if event.status in (states or FINAL)
            and (not types or event.type in types)
            and (not ids or event.id in ids)
            and (not instances or event.instance_id in instances)
            and (since is None or event.published >= since)
            and (until is None or event.published <= until)
        ]
        size = max(10, min(params.integer(p, "MaxResults", 10), 100))
        start = _start(p.get("NextToken"))
        more = len(found) > start + size
        return {
            "InstanceSystemEventSet": {"InstanceSystemEventType": [_event(e) for e in found[start : start + size]]},
            "NextToken": urlsafe_b64encode(f"e{start + size}".encode()).decode() if more else "",
            "TotalCount": 0,
            "PageNumber": 0,
            "PageSize": 0,
        }

    @reads("InstanceId.N", "HealthStatus", "Status", "EventType", "PageNumber", "PageSize")
    def full_status(self, call: Call) -> dict[str, Any]:
        p = call.params
        ids = params.list_of(p, "InstanceId") or None
        health, status = p.get("HealthStatus"), p.get("Status")

        def matches(instance: Instance) -> bool:
            return (not health or self._health(instance) == health) and (not status or instance.state == status)

        items, fields = paging.numbered(call, self._ecs.shelf, matches, self._status, cap=100, ids=ids)
        return {
            "InstanceFullStatusSet": {"InstanceFullStatusType": items},
            **paging.only(fields, "PageNumber", "PageSize", "TotalCount"),
        }

    def _health(self, instance: Instance) -> str:
        if instance.failure is not None:
            return "Impaired"
        return {"Running": "Ok", "Pending": "Initializing", "Starting": "Initializing"}.get(
            instance.state, "NotApplicable"
        )

    def _status(self, instance: Instance) -> dict[str, Any]:
        health = self._health(instance)
        unfinished = [e for e in self._ecs.events.of(instance.id) if e.status not in FINAL]
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
                    }
                    for event in unfinished
                ]
            },
        }

    @reads("InstanceId.N", "EventType", "NotBefore", "TriggerRealOps")
    def simulate(self, call: Call) -> dict[str, Any]:
        """Notifications only; TriggerRealOps is not modelled (fail an instance through the admin door)."""
        p = call.params
        if params.boolean(p, "TriggerRealOps", False):
            raise ApiError("UnsupportedParameter", "The emulator does not model TriggerRealOps=true.")
        ids = params.list_of(p, "InstanceId")
        if not ids:
            raise params.missing("InstanceId.1")
        at = _moment(params.required(p, "NotBefore"))
        assert at is not None
        events = self._ecs.events.simulate(ids, params.required(p, "EventType"), at)
        return {"EventIdSet": {"EventId": [event.id for event in events]}}


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
        "Reason": "System failure" if event.type.startswith("SystemFailure") else "",
        "ReasonCode": "",
        "ImpactLevel": "100",
        "ExtendedAttribute": {},
    }
    if event.finished is not None:
        answer["EventFinishTime"] = iso(event.finished)
    return answer


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise ApiError("InvalidParameter", f"The time {text!r} is not yyyy-MM-ddTHH:mm:ssZ.") from None


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(urlsafe_b64decode(token).decode().removeprefix("e"))
    except ValueError:
        raise ApiError(
            "InvalidParameter.NextToken", f"The NextToken {token!r} is not one that was given out."
        ) from None
