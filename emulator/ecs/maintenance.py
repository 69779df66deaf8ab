"""Planned maintenance: announced, accepted or awaited, carried out, avoided or called off. And its rehearsals.

`Inquiring` (waits for AcceptInquiredSystemEvent) or `Scheduled` -> `Executing` -> `Executed`; `Avoided` when the owner
restarts the instance through the API first (a restart inside the guest does not count), `Canceled` when called off.
A simulated event only tells, unless TriggerRealOps was asked for.

Sources: ECS system events; API CreateSimulatedSystemEvents, CancelSimulatedSystemEvents, AcceptInquiredSystemEvent,
RedeployInstance (read 2021-2026).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from emulator.ecs.events import FINAL, SIMULATED_TYPES, UNPLANNED, SystemEvent
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.instances import Instance
    from emulator.ecs.model import Ecs

REHEARSAL = timedelta(minutes=1)  # how long a simulated planned event is Executing (assumption)
ACTIONS: Final = ("Stop", "AutoRecover", "AutoRedeploy")


class Maintenance:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self._under_way: dict[str, tuple[SystemEvent, str]] = {}
        """Instance -> the event that moves it now, and the state in which it is over."""
        ecs.on_instance(self._instance_changed)

    def plan(
        self, instance: "Instance", type: str, not_before: datetime, *, inquires: bool = False, simulated: bool = False
    ) -> SystemEvent:
        """Real maintenance: it happens at `not_before`, or when it is accepted."""
        event = self._ecs.events.open(
            instance.id, type, "Inquiring" if inquires else "Scheduled", not_before=not_before, simulated=simulated,
            real=True,
        )  # fmt: skip
        if not inquires:
            self._ecs.clock.call_at(not_before, lambda: self._execute(event), f"maintenance of {instance.id}")
        return event

    def accept(self, event_id: str) -> None:
        event = self._ecs.events.find(event_id)
        if event is None or event.status != "Inquiring":
            raise ApiError("InvalidEventId.NoInquiringEventFound", f"No event {event_id} is Inquiring.", 404)
        self._execute(event)

    def cancel(self, event: SystemEvent) -> None:
        """Called off by the platform, or a rehearsal by its owner."""
        if event.status not in FINAL:
            self._ecs.events.move(event, "Canceled")

    def restarted(self, instance: "Instance") -> None:
        """Its owner restarts it: what was planned for it need not happen."""
        self._avoid(instance, ("SystemMaintenance.Reboot",))

    def redeploy(self, instance: "Instance") -> None:
        """RedeployInstance answers every planned event by moving at once."""
        found = [e for e in self._ecs.events.of(instance.id) if e.status in ("Inquiring", "Scheduled")]
        if not found:
            raise ApiError("InvalidParameter", f"No maintenance is planned for {instance.id}.", 403)
        self._avoid(instance, tuple({event.type for event in found}))
        if instance.state == "Running":
            self._ecs.lifecycle.restart(instance, force=True)

    def released(self, instance: "Instance") -> None:
        """What is gone needs no maintenance: what was planned is Avoided, and what moved it now Canceled (assumption).
        A rehearsal that only tells ends in its own time, as does the event of a creation that failed."""
        under_way, _ = self._under_way.pop(instance.id, (instance.failure, ""))
        for event in self._ecs.events.of(instance.id):
            if event.status in ("Inquiring", "Scheduled"):
                self._ecs.events.move(event, "Avoided")
        if under_way is not None and under_way.status not in FINAL:
            self._ecs.events.move(under_way, "Canceled")

    def _avoid(self, instance: "Instance", types: tuple[str, ...]) -> None:
        for event in self._ecs.events.of(instance.id):
            if event.status in ("Inquiring", "Scheduled") and event.type in types:
                self._ecs.events.move(event, "Avoided")

    def _execute(self, event: SystemEvent) -> None:
        instance = self._ecs.shelf.get(event.instance_id)
        if event.status not in ("Inquiring", "Scheduled"):
            return
        self._ecs.events.move(event, "Executing")
        if (
            instance is None
            or instance.state != "Running"
            or not event.type.endswith((".Reboot", ".Redeploy", ".Stop"))
        ):
            self._ecs.events.move(event, "Executed")  # nothing to move
            return
        if event.type.endswith(".Stop"):
            self._under_way[instance.id] = (event, "Stopped")
            instance.stopped_mode = "KeepCharging"
            self._ecs.lifecycle.power_off(instance, force=False)
        else:
            self._under_way[instance.id] = (event, "Running")
            self._ecs.lifecycle.restart(instance, force=False)

    def _instance_changed(self, instance: "Instance", _: str, new: str) -> None:
        event, goal = self._under_way.get(instance.id, (None, ""))
        if event is not None and new == goal:
            del self._under_way[instance.id]
            self._ecs.events.move(event, "Executed")

    # Rehearsals -----------------------------------------------------------------------------------------------

    def simulate(
        self, instance_ids: Sequence[str], type: str, not_before: datetime, *, real: bool = False
    ) -> list[SystemEvent]:
        """Unplanned ones are Executing at once and end at `not_before`; planned ones wait until then. Without `real`
        the instances notice nothing."""
        if type not in SIMULATED_TYPES:
            raise ApiError("InvalidParameter.EventType", f"{type} is not one of {', '.join(SIMULATED_TYPES)}.")
        if not_before < self._ecs.clock.now():
            raise ApiError("InvalidParameter", "NotBefore has passed.")
        instances = [self._ecs.find_instance(one) for one in instance_ids]
        return [self._simulate(instance, type, not_before, real=real) for instance in instances]

    def _simulate(self, instance: "Instance", type: str, not_before: datetime, *, real: bool) -> SystemEvent:
        events = self._ecs.events
        if type.startswith(UNPLANNED):
            event = events.open(instance.id, type, "Executing", not_before=not_before, simulated=True, real=real)
            events.move_at(event, not_before, "Executed")
            if real and instance.state == "Running":
                if type.endswith(".Stop"):
                    self._ecs.lifecycle.power_off(instance, force=True)
                else:
                    self._ecs.lifecycle.restart(instance, force=True)
            return event
        if real:
            return self.plan(instance, type, not_before, simulated=True)
        event = events.open(instance.id, type, "Scheduled", not_before=not_before, simulated=True)
        events.move_at(event, not_before, "Executing")
        events.move_at(event, not_before + REHEARSAL, "Executed")
        return event

    def cancel_simulated(self, event_ids: Sequence[str]) -> None:
        found = []
        for event_id in event_ids:
            event = self._ecs.events.find(event_id)
            if event is None:
                raise ApiError("InvalidEventId.NotFound", f"There is no event {event_id}.", 403)
            if not event.simulated or event.status in FINAL:
                raise ApiError("CannotCancelSystemEvent.NotSimulated", f"{event_id} cannot be called off.", 403)
            found.append(event)
        for event in found:
            self.cancel(event)
