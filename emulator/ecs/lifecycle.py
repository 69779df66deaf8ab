"""Starting, stopping, restarting and releasing instances. Every change takes its time and is told to listeners.

Sources: ECS API StartInstance, StopInstance, RebootInstance, DeleteInstance, RedeployInstance.
Each `check_...` raises what the call would be refused with, and changes nothing: dry runs and batches use it.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from emulator.ecs import operation_locks, types
from emulator.ecs.buying import PENDING
from emulator.ecs.events import SystemEvent
from emulator.ecs.instances import Instance, Order
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

STARTING_SECONDS = (15.0, 25.0)
STOPPING_SECONDS = (10.0, 40.0)
MODES = ("KeepCharging", "StopCharging")
ECONOMICAL = "StopCharging"


class Lifecycle:
    """State changes of instances; `Ecs` holds the instances themselves."""

    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    # Short names ----------------------------------------------------------------------------------------------

    @property
    def stock(self) -> dict[tuple[str, str], int]:
        """What is left, where it is scarce."""
        return self._ecs.buying.stock.left

    def run(self, order: Order, *, token: str | None = None) -> list[Instance]:
        """See `Buying.run`."""
        return self._ecs.buying.run(order, token=token)

    def fail(self, instance: Instance, *, recovers: bool) -> SystemEvent:
        """See `Failures.host`."""
        return self._ecs.failures.host(instance, recovers=recovers)

    # Beginning ------------------------------------------------------------------------------------------------

    def begin(self, instance: Instance, *, starts: bool, vanishes: bool) -> None:
        """A new instance is Pending; what follows is Starting (RunInstances), Stopped (CreateInstance) or nothing."""
        self._announce(instance, "", "Pending")
        if vanishes:
            self.after(instance, PENDING, self._ecs.failures.creation)
        elif starts:
            self.after(instance, PENDING, self.power_on)
        else:
            self.after(instance, PENDING, self.arrive_stopped)

    # Starting -------------------------------------------------------------------------------------------------

    def check_start(self, instance: Instance) -> None:
        operation_locks.check(instance, "start")
        if instance.state != "Stopped":
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}, not Stopped.", 403)
        if not any(disk.kind == "system" for disk in instance.disks()):
            raise ApiError("InvalidInstance.NotFoundSystemDisk", f"{instance.id} has no system disk.", 400)
        for disk in instance.disks():  # the code is documented, that these are its cases is an assumption
            if disk.busy:
                raise ApiError("DiskError", f"{disk.id} of {instance.id} is being rewritten.", 403)
            if disk.kind == "system" and disk.state == "Detaching":
                raise ApiError("DiskError", f"{disk.id} of {instance.id} is being detached.", 403)
        if not instance.holds_stock and (found := types.named(instance.instance_type)) is not None:
            self._ecs.buying.check_cores(found.cores)

    def start(self, instance: Instance) -> None:
        """Asynchronous. After an economical stop there may be no machine left, and a static public address may have
        changed."""
        self.check_start(instance)
        if not instance.holds_stock:
            self._ecs.buying.stock.reserve(instance.zone, instance.instance_type, least=1, most=1)
            instance.holds_stock = True
        if instance.loses_public_ip:
            instance.public_ip, instance.loses_public_ip = self._ecs.public_addresses.take(), False
        instance.failure = None
        self._ecs.maintenance.restarted(instance)
        self.power_on(instance)

    # Stopping -------------------------------------------------------------------------------------------------

    def check_stop(self, instance: Instance, *, mode: str | None = None) -> None:
        if mode not in (None, "", *MODES):
            raise ApiError("InvalidParameter", f"StoppedMode {mode!r} is neither KeepCharging nor StopCharging.")
        operation_locks.check(instance, "stop")
        if instance.state != "Running" and not (instance.failure and instance.state == "Stopping"):
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}, not Running.", 403)

    def stop(self, instance: Instance, *, force: bool = False, mode: str | None = None) -> None:
        """Asynchronous. Without a mode the account's default counts, which may be the economical one. Stopping one
        whose host failed succeeds; in a dark zone it stays Stopping (assumption)."""
        self.check_stop(instance, mode=mode)
        if instance.failure is not None and not instance.failure.finished:
            self._ecs.events.move(instance.failure, "Failed")  # a stop ends the platform's own recovery (assumption)
        instance.stopped_mode = mode or self._ecs.default_stop_mode
        self.power_off(instance, force=force or instance.failure is not None)

    # Restarting -----------------------------------------------------------------------------------------------

    def check_reboot(self, instance: Instance) -> None:
        operation_locks.check(instance, "reboot")
        if instance.state != "Running":
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}, not Running.", 403)

    def reboot(self, instance: Instance, *, force: bool = False) -> None:
        self.check_reboot(instance)
        self._ecs.maintenance.restarted(instance)
        self.restart(instance, force=force)

    # Releasing ------------------------------------------------------------------------------------------------

    def check_delete(self, instance: Instance, *, force: bool = False) -> None:
        """A running one is released with Force only; one that is starting or stopping is neither (assumption)."""
        if instance.deletion_protection:
            raise ApiError("InvalidOperation.DeletionProtection", f"{instance.id} is protected.", 403)
        if instance.state in ("Pending", "Starting") and instance.started is None:
            raise ApiError("IncorrectInstanceStatus.Initializing", f"{instance.id} is being created.", 403)
        if instance.state != "Stopped" and not force:
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}; Force overrides.", 403)
        if any(disk.busy for disk in instance.disks()):
            raise ApiError("IncorrectInstanceStatus", f"A disk of {instance.id} is being rewritten.", 403)

    def delete(self, instance: Instance, *, force: bool = False, cut: bool = True) -> None:
        """With `force` and without `cut` (ForceStop=false) the guest may end well first, which takes its time."""
        self.check_delete(instance, force=force)
        if instance.state == "Running" and not cut:
            instance.release_when_stopped = True
            instance.stopped_mode = "KeepCharging"
            self.power_off(instance, force=False)
            return
        self.release(instance)

    def release(self, instance: Instance) -> None:
        """At once and without checks. Disks go or stay by DeleteWithInstance, unless the instance is locked for
        security: then all go. Manual snapshots and EIPs survive."""
        instance.stop_is_forced = True
        if instance.release is not None:
            instance.release.cancel()
            instance.release = None
        self._ecs.maintenance.released(instance)
        everything = operation_locks.is_secured(instance)
        for disk in instance.disks():
            self._ecs.attachments.take_off(disk, instance)
            if disk.delete_with_instance or everything:
                self._ecs.disks.drop(disk)
        self._ecs.remove(instance)
        self._ecs.network.release(instance.vswitch_id, instance.private_ip)
        if instance.public_ip is not None:
            self._ecs.public_addresses.release(instance.public_ip)
        if instance.holds_stock:
            self._ecs.buying.stock.give_back(instance.zone, instance.instance_type)
        self.move(instance, "Deleted")

    # Steps, also of the platform ------------------------------------------------------------------------------

    def power_on(self, instance: Instance) -> None:
        self.move(instance, "Starting")
        self.after(instance, self.seconds(STARTING_SECONDS), self.arrive_running)

    def power_off(self, instance: Instance, *, force: bool) -> None:
        instance.stop_is_forced = force
        self.move(instance, "Stopping")
        self.after(instance, self.seconds(STOPPING_SECONDS), self.arrive_stopped)

    def restart(self, instance: Instance, *, force: bool) -> None:
        instance.stop_is_forced = force
        self.power_on(instance)

    def arrive_running(self, instance: Instance) -> None:
        instance.started = self._ecs.clock.now()
        instance.stopped_mode = "Not-applicable"
        instance.stop_is_forced = False
        self._ecs.attachments.machine_on(instance)
        self.move(instance, "Running")

    def arrive_stopped(self, instance: Instance) -> None:
        if instance.release_when_stopped:
            self.release(instance)
            return
        if instance.stopped_mode == ECONOMICAL:
            if instance.holds_stock:
                self._ecs.buying.stock.give_back(instance.zone, instance.instance_type)
                instance.holds_stock = False
            if instance.public_ip is not None:
                self._ecs.public_addresses.release(instance.public_ip)
                instance.public_ip, instance.loses_public_ip = None, True
        self.move(instance, "Stopped")

    def seconds(self, bounds: tuple[float, float]) -> timedelta:
        return timedelta(seconds=self._ecs.chance.uniform(*bounds))

    def after(self, instance: Instance, delay: timedelta, step: Any) -> None:
        """`step(instance)` when the time has come, unless something else happened to the instance before; in a dark
        zone when it is heard again."""
        turn = instance.turn

        def due() -> None:
            if instance.turn != turn:
                return
            if self._ecs.is_dark(instance.zone):
                self._ecs.when_lit(instance.zone, due)
                return
            step(instance)

        self._ecs.clock.call_later(delay, due, f"instance {instance.id}")

    def move(self, instance: Instance, state: str) -> None:
        old, instance.state = instance.state, state
        instance.turn += 1
        self._announce(instance, old, state)

    def _announce(self, instance: Instance, old: str, new: str) -> None:
        content = {"resourceId": instance.id, "resourceType": "ALIYUN::ECS::Instance", "state": new}
        self._ecs.publish("Instance:StateChange", "INFO", f"instance/{instance.id}", content)
        self._ecs.tell_listeners(instance, old, new)
