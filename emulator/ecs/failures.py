"""What breaks by itself: hosts, guests, creations. And what the platform does about it.

Sources: ECS instance recovery (a failure is noticed within about a minute, the restart elsewhere comes within about
five; id and addresses stay), events SystemFailure.*, InstanceFailure.Reboot; ModifyInstanceMaintenanceAttributes.
Not modelled: local disks, which a restart elsewhere would lose.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from emulator.ecs.events import SystemEvent
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.instances import Instance
    from emulator.ecs.model import Ecs

RECOVERY_SECONDS = (120.0, 300.0)
GIVING_UP = timedelta(minutes=5)
CRASH_SECONDS = (30.0, 90.0)  # assumption


class Failures:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    # Hosts ----------------------------------------------------------------------------------------------------

    def host(self, instance: "Instance", *, recovers: bool) -> SystemEvent:
        """The host is lost: no warning, the guest has no chance to end well. With `recovers` the platform restarts it
        elsewhere, unless its maintenance attributes say Stop; else it gives up and the instance reads Stopped."""
        if instance.state != "Running":
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}, not Running.", 403)
        disarmed = instance.on_maintenance == "Stop"
        kind = {"Stop": "SystemFailure.Stop", "AutoRedeploy": "SystemFailure.Redeploy"}.get(
            instance.on_maintenance, "SystemFailure.Reboot"
        )
        event = self._ecs.events.open(instance.id, kind, "Executing")
        instance.failure = event
        instance.stop_is_forced = True
        lifecycle = self._ecs.lifecycle
        lifecycle.move(instance, "Stopping")
        if recovers and not disarmed:
            lifecycle.after(instance, lifecycle.seconds(RECOVERY_SECONDS), self._recovered)
        else:
            lifecycle.after(instance, GIVING_UP, self._given_up)
        return event

    def _recovered(self, instance: "Instance") -> None:
        event, instance.failure = instance.failure, None
        self._ecs.lifecycle.move(instance, "Starting")
        self._ecs.lifecycle.arrive_running(instance)
        if event is not None:
            self._ecs.events.move(event, "Executed")

    def _given_up(self, instance: "Instance") -> None:
        """A stop that was asked for is done; a restart that never came has failed."""
        if instance.failure is not None:
            done = instance.failure.type == "SystemFailure.Stop"
            self._ecs.events.move(instance.failure, "Executed" if done else "Failed")
        self._ecs.lifecycle.arrive_stopped(instance)

    # Guests ---------------------------------------------------------------------------------------------------

    def guest(self, instance: "Instance") -> SystemEvent:
        """The guest's operating system crashes; the platform restarts the instance where it is."""
        if instance.state != "Running":
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}, not Running.", 403)
        event = self._ecs.events.open(instance.id, "InstanceFailure.Reboot", "Executing")
        instance.failure = event
        instance.stop_is_forced = True
        lifecycle = self._ecs.lifecycle
        lifecycle.move(instance, "Starting")
        lifecycle.after(instance, lifecycle.seconds(CRASH_SECONDS), self._recovered_here)
        return event

    def _recovered_here(self, instance: "Instance") -> None:
        event, instance.failure = instance.failure, None
        self._ecs.lifecycle.arrive_running(instance)
        if event is not None:
            self._ecs.events.move(event, "Executed")

    # Creations ------------------------------------------------------------------------------------------------

    def creation(self, instance: "Instance") -> None:
        """The order was accepted, and there was no machine after all: the instance disappears."""
        event = self._ecs.events.open(instance.id, "SystemFailure.Delete", "Executing")
        instance.holds_stock = False
        self._ecs.lifecycle.release(instance)
        self._ecs.events.move(event, "Executed")
