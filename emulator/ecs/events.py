"""System events of instances and disks, as the API lists them and the bus carries them. Why they come: `failures`,
`maintenance`.

Sources: ECS API DescribeInstanceHistoryEvents, DescribeInstancesFullStatus; the event tables of CloudMonitor.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from emulator.ecs.rules import iso

if TYPE_CHECKING:
    from emulator.ecs.disks import Disk
    from emulator.ecs.model import Ecs

FINAL = ("Executed", "Avoided", "Canceled", "Failed")
STATUS_CODES = {
    "Scheduled": 24, "Avoided": 20, "Executing": 10, "Executed": 0, "Canceled": 30, "Failed": 40, "Inquiring": 26,
}  # fmt: skip
"""`EventCycleStatus.Code`: not documented (assumption); read the name."""
TYPE_CODES = {
    "SystemMaintenance.Reboot": 1, "SystemMaintenance.Redeploy": 2, "SystemMaintenance.Stop": 3,
    "SystemFailure.Reboot": 33, "SystemFailure.Redeploy": 34, "SystemFailure.Stop": 35, "SystemFailure.Delete": 36,
    "InstanceFailure.Reboot": 65,
    "SystemMaintenance.IsolateErrorDisk": 4, "SystemMaintenance.ReInitErrorDisk": 5,
    "SystemMaintenance.RebootAndIsolateErrorDisk": 6, "SystemMaintenance.RebootAndReInitErrorDisk": 7,
    "SystemMaintenance.PerformanceImpact": 8,
    "Stalled": 97, "ErrorDetected": 98,
}  # fmt: skip
"""`EventType.Code` (assumption); read the name."""
SIMULATED_TYPES = (
    "SystemMaintenance.Reboot", "SystemFailure.Reboot", "InstanceFailure.Reboot", "SystemMaintenance.Stop",
    "SystemMaintenance.Redeploy", "SystemFailure.Redeploy", "SystemFailure.Stop",
)  # fmt: skip
DISK_TYPES = ("Stalled", "ErrorDetected")
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
    first_status: str = ""
    simulated: bool = False
    real: bool = False  # a simulated one that moves the instance all the same
    disk_id: str = ""
    device: str = ""

    @property
    def tags(self) -> dict[str, str]:
        return {}


class SystemEvents:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.all: deque[SystemEvent] = deque()
        self._by_id: dict[str, SystemEvent] = {}
        self._by_instance: dict[str, list[SystemEvent]] = {}
        self.stale_names = False
        """A documented trap: the name of a later notification may go on carrying the first status."""

    def open(
        self,
        instance_id: str,
        type: str,
        status: str,
        *,
        not_before: datetime | None = None,
        simulated: bool = False,
        real: bool = False,
    ) -> SystemEvent:
        now = self._ecs.clock.now()
        event = SystemEvent(
            id=self._ecs.chance.id("e"),
            instance_id=instance_id,
            type=type,
            status="",
            published=now,
            not_before=not_before or now,
            first_status=status,
            simulated=simulated,
            real=real,
        )
        self._keep(event)
        self.move(event, status)
        return event

    def find(self, id: str) -> SystemEvent | None:
        return self._by_id.get(id)

    def _keep(self, event: SystemEvent) -> None:
        self._forget_old()
        self.all.append(event)
        self._by_id[event.id] = event
        self._by_instance.setdefault(event.instance_id, []).append(event)

    def _forget_old(self) -> None:
        """What is over and no longer listed."""
        since = self._ecs.clock.now() - KEPT
        while self.all and self.all[0].published < since and self.all[0].status in FINAL:
            old = self.all.popleft()
            del self._by_id[old.id]
            of_instance = self._by_instance[old.instance_id]
            of_instance.remove(old)
            if not of_instance:
                del self._by_instance[old.instance_id]

    def move(self, event: SystemEvent, status: str) -> None:
        """Change its status and tell the bus: one notification per change."""
        now = self._ecs.clock.now()
        event.status = status
        if status == "Executing":
            event.started = now
        if status in FINAL:
            event.finished = now
        if event.disk_id:
            self._tell_disk(event)
            return
        content = {
            "eventId": event.id,
            "publishTime": iso(event.published),
            "instanceId": event.instance_id,
            "eventType": event.type,
            "eventStatus": status,
        }
        if not event.type.startswith(UNPLANNED):
            content["notBefore"] = iso(event.not_before)
        if status in ("Executing", "Executed", "Canceled", "Avoided"):
            content["executeStartTime"] = iso(event.started or now)
            if event.finished is not None:
                content["executeFinishTime"] = iso(event.finished)
        name = f"Instance:{event.type}:{event.first_status if self.stale_names else status}"
        level = "WARN" if event.type == "SystemMaintenance.PerformanceImpact" else "CRITICAL"
        self._ecs.publish(name, level, f"instance/{event.instance_id}", content)

    def move_at(self, event: SystemEvent, at: datetime, status: str) -> None:
        """Later, unless it is over by then."""

        def move() -> None:
            if event.status not in FINAL:
                self.move(event, status)

        self._ecs.clock.call_at(at, move, f"event {status}")

    def of(self, instance_id: str | None = None) -> list[SystemEvent]:
        """Of the last 30 days, newest first."""
        since = self._ecs.clock.now() - KEPT
        events = self.all if instance_id is None else self._by_instance.get(instance_id, [])
        found = []
        for event in reversed(events):  # in the order of their publication
            if event.published < since:
                break
            found.append(event)
        return found

    # Disks ----------------------------------------------------------------------------------------------------

    def trouble(self, disk: "Disk", type: str) -> SystemEvent:
        """A disk is `Stalled` (I/O hangs) or `ErrorDetected`, from now until `over`. Only told: its blocks go on being
        readable and writable here."""
        if type not in DISK_TYPES:
            raise ValueError(f"{type!r} is not one of {', '.join(DISK_TYPES)}")
        now = self._ecs.clock.now()
        event = SystemEvent(
            id=self._ecs.chance.id("e"), instance_id=disk.instance_id or "", type=type, status="", published=now,
            not_before=now, first_status="Executing", disk_id=disk.id,
            device=disk.device.replace("/dev/vd", "/dev/xvd"),
        )  # fmt: skip
        self._keep(event)
        self.move(event, "Executing")
        return event

    def over(self, disk_id: str) -> None:
        for event in self.of():
            if event.disk_id == disk_id and event.status not in FINAL:
                self.move(event, "Executed")

    def troubles(self) -> dict[str, list[SystemEvent]]:
        """By disk, newest first: what is not over."""
        found: dict[str, list[SystemEvent]] = {}
        for event in self.of():
            if event.disk_id and event.status not in FINAL:
                found.setdefault(event.disk_id, []).append(event)
        return found

    def _tell_disk(self, event: SystemEvent) -> None:
        """No eventStatus here: it is over when executeFinishTime is there."""
        instance = self._ecs.shelf.get(event.instance_id)
        content = {
            "eventId": event.id,
            "diskId": event.disk_id,
            "device": event.device,
            "eventType": event.type,
            "executeStartTime": iso(event.started or event.published),
            "ecsInstanceId": event.instance_id,
            "ecsInstanceName": instance.name if instance is not None else "",
        }
        if event.finished is not None:
            content["executeFinishTime"] = iso(event.finished)
        status = event.first_status if self.stale_names else event.status
        self._ecs.publish(f"Disk:{event.type}:{status}", "CRITICAL", f"disk/{event.disk_id}", content)
