"""Unplanned and planned events of instances, as the API lists them and the bus carries them.

Sources: ECS API DescribeInstanceHistoryEvents, DescribeInstancesFullStatus, CreateSimulatedSystemEvents.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from emulator.ecs.rules import iso
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

FINAL = ("Executed", "Avoided", "Canceled", "Failed")
STATUS_CODES = {
    "Scheduled": 24, "Avoided": 20, "Executing": 10, "Executed": 0, "Canceled": 30, "Failed": 40, "Inquiring": 26,
}  # fmt: skip
"""`EventCycleStatus.Code`: not documented (assumption); read the name."""
TYPE_CODES = {
    "SystemMaintenance.Reboot": 1, "SystemMaintenance.Redeploy": 2, "SystemMaintenance.Stop": 3,
    "SystemFailure.Reboot": 33, "SystemFailure.Redeploy": 34, "SystemFailure.Stop": 35, "InstanceFailure.Reboot": 65,
}  # fmt: skip
"""Types that can be simulated. Their codes are an assumption."""
UNPLANNED = ("SystemFailure.", "InstanceFailure.")
KEPT = timedelta(days=30)


@dataclass(slots=True, kw_only=True, eq=False)
class SystemEvent:
    id: str
    instance_id: str
    type: str
    status: str
    published: datetime
    not_before: datetime
    started: datetime | None = None
    finished: datetime | None = None

    @property
    def tags(self) -> dict[str, str]:
        return {}


class SystemEvents:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.all: list[SystemEvent] = []

    def open(self, instance_id: str, type: str, status: str, *, not_before: datetime | None = None) -> SystemEvent:
        now = self._ecs.clock.now()
        event = SystemEvent(
            id=self._ecs.chance.id("e"),
            instance_id=instance_id,
            type=type,
            status="",
            published=now,
            not_before=not_before or now,
        )
        self.all.append(event)
        self.move(event, status)
        return event

    def move(self, event: SystemEvent, status: str) -> None:
        """Change its status and tell the bus: one notification per change."""
        now = self._ecs.clock.now()
        event.status = status
        content = {
            "eventId": event.id,
            "publishTime": iso(event.published),
            "instanceId": event.instance_id,
            "eventType": event.type,
            "eventStatus": status,
        }
        if not event.type.startswith(UNPLANNED):
            content["notBefore"] = iso(event.not_before)
        if status == "Executing":
            event.started = now
        if status in FINAL:
            event.finished = now
        if status in ("Executing", "Executed", "Canceled", "Avoided"):
            content["executeStartTime"] = iso(event.started or now)
            if event.finished is not None:
                content["executeFinishTime"] = iso(event.finished)
        name = f"Instance:{event.type}:{status}"
        self._ecs.publish(name, "CRITICAL", f"instance/{event.instance_id}", content)

    def of(self, instance_id: str | None = None) -> list[SystemEvent]:
        """Of the last 30 days, newest first."""
        since = self._ecs.clock.now() - KEPT
        return [
            event
            for event in reversed(self.all)
            if event.published >= since and (instance_id is None or event.instance_id == instance_id)
        ]

    def simulate(self, instance_ids: list[str], type: str, not_before: datetime) -> list[SystemEvent]:
        """Notifications without any effect on the instance. Unplanned ones are Executing at once and end at
        `not_before`; planned ones wait until then, and are over a minute later (assumption)."""
        if type not in TYPE_CODES:
            raise ApiError("InvalidParameter.EventType", f"{type} is not one of {', '.join(TYPE_CODES)}.")
        for instance_id in instance_ids:
            self._ecs.find_instance(instance_id)
        unplanned = type.startswith(UNPLANNED)
        events = []
        for instance_id in instance_ids:
            event = self.open(instance_id, type, "Executing" if unplanned else "Scheduled", not_before=not_before)
            if unplanned:
                self._later(event, not_before, "Executed")
            else:
                self._later(event, not_before, "Executing")
                self._later(event, not_before + timedelta(minutes=1), "Executed")
            events.append(event)
        return events

    def _later(self, event: SystemEvent, at: datetime, status: str) -> None:
        def move() -> None:
            if event.status not in FINAL:
                self.move(event, status)

        self._ecs.clock.call_at(at, move, f"event {status}")
