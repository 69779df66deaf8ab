"""Where instances run: starts and ends guests as the control plane says, and lets zones fall dark around them.

A guest lives from Running to the moment its machine is off. A polite stop sends SIGTERM at Stopping; a forced one sends
nothing; both cut the power only when the instance reads Stopped, the latest moment that the API allows, so that nobody
may take Stopping for stopped. A failure of the host kills at once. Darkness touches addresses, gateways, and what the
zone's guests say to other guests, if they call from their own address (GUEST_BIND; on loopback nothing else tells who
calls). The guests in a dark zone go on running, reading and writing their disks, and believing what they last heard; a
stop that is asked for meanwhile does not reach them.

Guests of all accounts and regions run here; their ids and addresses must differ. A guest answers at every private
address that its instance has now: those of secondary addresses and further interfaces come and go with them (the image
is taken to configure them by itself, which in the cloud it must). An instance that was moved to another address answers
there when it is started. What its security groups do not let in is dropped.
"""

import asyncio
import contextlib
import logging
import signal
import tempfile
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emulator import deeds
from emulator.ecs.assistant import Errand
from emulator.ecs.interfaces import Interface, primary_id
from emulator.network.errands import Errands
from emulator.network.gateway import Gateways
from emulator.network.guest import Guest
from emulator.network.nic import Filter
from emulator.network.port import AddressMissing, is_here
from emulator.network.processes import Warden
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.ecs.instances import Instance
    from emulator.ecs.model import Ecs

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
        self._errands = Errands(cloud, self._warden, work_dir)
        self._known: list[Ecs] = []
        self._settling = asyncio.Lock()
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
        self._cloud.on_ecs(self._adopt)

    def _adopt(self, ecs: "Ecs") -> None:
        """Every realm's machines run here, also those of a realm that is first used later."""
        if not self._running or ecs in self._known:
            return
        self._known.append(ecs)
        outside = self._cloud.outside
        ecs.on_instance(outside(partial(self._instance_changed, ecs)))
        ecs.interfaces.on_change(outside(partial(self._addresses_changed, ecs)))
        ecs.security_groups.on_change(outside(self._rules_changed))
        ecs.assistant.on_errand(outside(self._errand_begins), outside(self._errands.end))
        for instance in list(ecs.instances.values()):
            if instance.state == RUNNING:
                if instance.guest is not None and ecs.assistant.was_silenced(instance.id):
                    self._silence_agent(
                        ecs, instance, silent=False
                    )  # it boots anew: what was frozen ended with its process
                self._instance_changed(ecs, instance, "", RUNNING)

    async def stop(self) -> None:
        self._running = False
        for guest in self.guests.values():
            guest.cut()
        self._errands.kill_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(guest.vanish() for guest in self.guests.values()))
        self.guests.clear()
        await self._gateways.close()
        await self._warden.stop()
        if self._scratch is not None:
            self._scratch.cleanup()

    def by_token(self, token: str) -> Guest:
        """Whose disk door that is. A token dies with its boot: a guest left over from an earlier one writes nowhere."""
        for guest in self.guests.values():
            if guest.token == token and not guest.off:
                return guest
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
        if pid is None and number in (signal.SIGSTOP, signal.SIGCONT):
            self._silence_agent(guest.ecs, guest.instance, silent=number == signal.SIGSTOP)
        if number == signal.SIGKILL:
            self._while_held(f"{instance} loses processes", guest.bury(dying))
        self._changed()

    def _silence_agent(self, ecs: "Ecs", instance: "Instance", *, silent: bool) -> None:
        where = {"account": ecs.account, "region": ecs.region, "instance": instance.id}
        self._cloud.do(deeds.silence_agent, **where, silent=silent)

    def _instance_changed(self, ecs: "Ecs", instance: "Instance", old: str, new: str) -> None:
        if not self._running or instance.guest is None or old == new:
            return
        if new == RUNNING:
            self._in_turn(instance, partial(self._boot, ecs), hold=f"guest of {instance.id} boots", boots=True)
        elif new == STOPPING and instance.failure is None:
            guest = self.guests.get(instance.id)
            if guest is not None and not instance.stop_is_forced and not self._cloud.zones.is_dark(instance.zone):
                guest.shut_down()
        elif instance.id in self.guests:
            released = instance.id not in ecs.instances
            self._in_turn(instance, self._vanish if released else self._power_off, hold=f"{instance.id} goes off")

    def _in_turn(
        self,
        instance: "Instance",
        act: Callable[["Instance"], Coroutine[Any, Any, None]],
        *,
        hold: str,
        boots: bool = False,
    ) -> None:
        """One change at a time per instance, in order."""
        if (guest := self.guests.get(instance.id)) is not None and not boots:
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

    async def _boot(self, ecs: "Ecs", instance: "Instance") -> None:
        if not self._running or instance.state != RUNNING:
            return
        address = instance.private_ip
        if not is_here(address):
            log.warning(
                "guest.not_run: %s has the address %s: only 127.0.0.0/8 carries traffic here", instance.id, address
            )
            return
        for holder in [g for g in self.guests.values() if g.instance is instance or g.nic.address == address]:
            await holder.vanish()  # this instance's last boot, or the silent address of one that is gone or moved
            del self.guests[holder.instance.id]
        self._warden.start()
        guest = Guest(
            ecs,
            instance,
            log_path=self._work_dir / f"{instance.id}.log",
            warden=self._warden,
            changed=self._changed,
            filter_at=partial(self._filter, ecs),
            heard=self._hears,
        )
        self.guests[instance.id] = guest
        await self._answer_at(ecs, guest)
        await guest.boot()

    async def _power_off(self, instance: "Instance") -> None:
        if (guest := self.guests.get(instance.id)) is not None:
            await guest.power_off()

    async def _vanish(self, instance: "Instance") -> None:
        if (guest := self.guests.pop(instance.id, None)) is not None:
            await guest.vanish()

    def _errand_begins(self, errand: Errand) -> None:
        guest = self.guests.get(errand.instance_id)
        if guest is not None and not guest.off:
            self._while_held(f"command at {errand.instance_id}", self._errands.run(guest, errand))

    # Addresses and who may reach them -------------------------------------------------------------------------

    def _addresses_changed(self, ecs: "Ecs", interface: Interface) -> None:
        """An interface came or went, or its addresses did: whoever lost them lets go before another answers."""
        mine = [guest for guest in self.guests.values() if guest.ecs is ecs]
        if not self._running or not mine:
            return

        async def settle() -> None:
            async with self._settling:
                for guest in sorted(mine, key=lambda guest: guest.instance.id == interface.instance_id):
                    await self._answer_at(ecs, guest)

        self._while_held(f"addresses of {interface.id}", settle())

    async def _answer_at(self, ecs: "Ecs", guest: Guest) -> None:
        try:
            await guest.answer_at(ecs.interfaces.addresses_of(guest.instance.id)[1:])
        except AddressMissing as error:
            log.error("guest.address_missing %s: %s", guest.instance.id, error)

    def _filter(self, ecs: "Ecs", address: str) -> Filter:
        """What the security groups of whoever has the address say. An instance in no group lets everything in."""

        def admits(port: int, source: str | None) -> bool:
            holder = ecs.network.holder(address) or ""
            interface = ecs.interfaces.shelf.get(holder) or ecs.interfaces.shelf.get(primary_id(holder))
            if interface is None or not interface.security_group_ids:
                return True
            return ecs.security_groups.admits(interface.security_group_ids, port, self._machine(ecs, source))

        return admits

    def _hears(self, source: str) -> bool:
        """Whether the network carries anything from that address: not from a dark zone. A caller in there that did not
        bind its guest's address cannot be told from one elsewhere, and is heard."""
        return not any(
            self._cloud.zones.is_dark(guest.instance.zone)
            for guest in self.guests.values()
            if source in (guest.nic.guest_address, guest.nic.address)
        )

    def _machine(self, ecs: "Ecs", source: str | None) -> str | None:
        """The private address of the machine that dials; None: it did not bind one, so it cannot be told."""
        if source is None:
            return None
        for guest in self.guests.values():
            if source == guest.nic.guest_address:
                return guest.nic.address
        return source if ecs.network.holder(source) is not None else None

    def _rules_changed(self) -> None:
        for guest in self.guests.values():
            for nic in guest.nics:
                nic.settle()

    def _zone_changed(self, zone: str, dark: bool) -> None:
        self._gateways.set_dark(zone, dark)
        for guest in self.guests.values():
            if guest.instance.zone == zone:
                for nic in guest.nics:
                    nic.set_dark(dark)
        for guest in self.guests.values():
            for nic in guest.nics:
                nic.listen_again()

    def _changed(self) -> None:
        for listener in list(self._listeners):
            listener()
