"""Where instances run: starts and ends guests as the control plane says, and lets zones fall dark around them.

A guest lives from Running to the moment its machine is off. A polite stop sends SIGTERM at Stopping; a forced one sends
nothing; both cut the power only when the instance reads Stopped, the latest moment that the API allows, so that nobody
may take Stopping for stopped. A failure of the host kills at once. Darkness touches addresses and gateways only: the
guests in a dark zone go on running, reading and writing their disks, and believing what they last heard; a stop that
is asked for meanwhile does not reach them.
"""

import asyncio
import contextlib
import logging
import signal
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emulator.network.gateway import Gateways
from emulator.network.guest import Guest
from emulator.network.processes import Warden
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.ecs.instances import Instance

log = logging.getLogger(__name__)

RUNNING: Final = "Running"
STOPPING: Final = "Stopping"


class Hypervisor:
    def __init__(self, cloud: "Cloud", *, work_dir: Path | None = None) -> None:
        """`work_dir` receives one log per instance; without one a temporary directory, removed at the end."""
        self._cloud = cloud
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        if work_dir is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="emulator-guests-")
            work_dir = Path(self._scratch.name)
        self._work_dir = work_dir
        self._gateways = Gateways(cloud)
        self._warden = Warden()
        self._turns: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[Callable[[], None]] = []
        self._running = False
        self.guests: dict[str, Guest] = {}

    def on_guest(self, listener: Callable[[], None]) -> None:
        """`listener()` whenever a guest's ports or processes may have changed, by themselves or by a fault."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Raises AddressMissing when this machine has no loopback network to offer. Does not wait for guests to boot:
        while they do, emulated time is held."""
        self._running = True
        await asyncio.to_thread(self._work_dir.mkdir, parents=True, exist_ok=True)
        self._gateways.open()
        self._cloud.zones.subscribe(self._cloud.outside(self._zone_changed))
        self._cloud.ecs.on_instance(self._cloud.outside(self._instance_changed))
        for instance in list(self._cloud.ecs.instances.values()):
            if instance.state == RUNNING:
                self._instance_changed(instance, "", RUNNING)

    async def stop(self) -> None:
        self._running = False
        for guest in self.guests.values():
            guest.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(guest.vanish() for guest in self.guests.values()))
        self.guests.clear()
        await self._gateways.close()
        await self._warden.stop()
        if self._scratch is not None:
            self._scratch.cleanup()

    def by_token(self, token: str) -> "Instance":
        """Whose disk door that is. A token dies with its boot: a guest left over from an earlier one writes nowhere."""
        for guest in self.guests.values():
            if guest.token == token and not guest.off:
                return guest.instance
        raise ApiError("Forbidden.Guest", "This token belongs to no running guest.", 403)

    def guest(self, instance: str) -> Guest:
        guest = self.guests.get(instance)
        if guest is None:
            raise ApiError("InvalidInstanceId.NotFound", f"The instance {instance} has no guest.", 404)
        return guest

    def signal(self, instance: str, number: signal.Signals, *, pid: int | None = None) -> None:
        """A fault: to all processes of a guest, or to one. The machine and its kernel stay up. Emulated time waits
        until the killed are gone and their ports refuse."""
        guest = self.guest(instance)
        dying = [] if guest.group is None else [m.pid for m in guest.group.members() if pid in (None, m.pid)]
        if guest.group is None or not guest.group.signal(number, pid=pid):
            what = "process" if pid is None else f"process {pid}"
            raise ApiError("InvalidParameter", f"The guest of {instance} has no {what} to signal.", 404)
        if number == signal.SIGKILL:
            self._while_held(f"{instance} loses processes", guest.bury(dying))
        self._changed()

    def _instance_changed(self, instance: "Instance", old: str, new: str) -> None:
        if not self._running or instance.guest is None or old == new:
            return
        if new == RUNNING:
            self._in_turn(instance, self._boot, hold=f"guest of {instance.id} boots")
        elif new == STOPPING and instance.failure is None:
            guest = self.guests.get(instance.id)
            if guest is not None and not instance.stop_is_forced and not self._cloud.zones.is_dark(instance.zone):
                guest.shut_down()
        elif instance.id in self.guests:
            released = instance.id not in self._cloud.ecs.instances
            self._in_turn(instance, self._vanish if released else self._power_off, hold=f"{instance.id} goes off")

    def _in_turn(
        self, instance: "Instance", act: Callable[["Instance"], Coroutine[Any, Any, None]], *, hold: str
    ) -> None:
        """One change at a time per instance, in order."""
        if (guest := self.guests.get(instance.id)) is not None and act != self._boot:
            guest.cut()
        turn = self._turns.setdefault(instance.id, asyncio.Lock())

        async def run() -> None:
            async with turn:
                await act(instance)

        self._while_held(hold, run())

    def _while_held(self, label: str, work: Coroutine[Any, Any, None]) -> None:
        """Emulated time waits from this moment, not from the first instant at which the loop gets round to it."""
        held = contextlib.ExitStack()
        held.enter_context(self._cloud.clock.hold(label))

        async def run() -> None:
            with held:
                await work
                self._changed()

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("hypervisor.failed: %s", error, exc_info=error)

    async def _boot(self, instance: "Instance") -> None:
        if not self._running or instance.state != RUNNING:
            return
        for holder in [g for g in self.guests.values() if g.nic.address == instance.private_ip]:
            await holder.vanish()  # this instance's last boot, or a released one's silent address
            del self.guests[holder.instance.id]
        self._warden.start()
        guest = Guest(
            self._cloud,
            instance,
            log_path=self._work_dir / f"{instance.id}.log",
            warden=self._warden,
            changed=self._changed,
        )
        self.guests[instance.id] = guest
        await guest.boot()

    async def _power_off(self, instance: "Instance") -> None:
        if (guest := self.guests.get(instance.id)) is not None:
            await guest.power_off()

    async def _vanish(self, instance: "Instance") -> None:
        if (guest := self.guests.pop(instance.id, None)) is not None:
            await guest.vanish()

    def _zone_changed(self, zone: str, dark: bool) -> None:
        self._gateways.set_dark(zone, dark)
        for guest in self.guests.values():
            if guest.instance.zone == zone:
                guest.nic.set_dark(dark)

    def _changed(self) -> None:
        for listener in list(self._listeners):
            listener()
