"""One boot of one instance: its process, its address, its disk door's token. The next boot is another guest."""

import asyncio
import logging
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emulator.network.gateway import door_of
from emulator.network.nic import Filter, Nic
from emulator.network.processes import Group, Warden

if TYPE_CHECKING:
    from emulator.ecs.instances import Instance
    from emulator.ecs.model import Ecs

log = logging.getLogger(__name__)

BOOT_SECONDS: Final = 20.0
"""Real time within which the first port must accept; afterwards emulated time no longer waits for the guest."""
BURIAL_STEPS: Final = 100
LOOK_SECONDS: Final = 0.5
"""Real time within which a new address must have found the guest's ports; later it finds them all the same."""
PATH: Final = "/usr/local/bin:/usr/bin:/bin"


class Guest:
    """`instance.guest` is `{"command": [...], "ports": [...], "env": {...}}`; "{python}" stands for this Python."""

    def __init__(
        self,
        ecs: "Ecs",
        instance: "Instance",
        *,
        log_path: Path,
        warden: Warden,
        changed: Callable[[], None],
        filter_at: Callable[[str], Filter] = lambda _: lambda _port, _source: True,
        heard: Callable[[str], bool] = lambda _source: True,
    ) -> None:
        """`filter_at(address)` is what the security groups say at one of its addresses; `heard(address)` whether the
        network carries anything from there now."""
        assert instance.guest is not None
        cloud = ecs.cloud
        self.ecs = ecs
        self._cloud = cloud
        self._filter_at, self._heard = filter_at, heard
        self._warden = warden
        self._changed = changed
        self.instance = instance
        self.token = cloud.chance.id("guest")
        self.log_path = log_path
        self.scratch = log_path.with_suffix(".tmp")
        """The machine's directory for temporary files, empty at each boot: what a killed process left is not lost in
        the host's."""
        self.command = [part.replace("{python}", sys.executable) for part in instance.guest["command"]]
        self.ports = [int(port) for port in instance.guest.get("ports", ())]
        self.nic = Nic(
            instance.private_ip, self.ports, dark=self._is_dark, changed=self._changed,
            admits=filter_at(instance.private_ip), heard=heard, survive=self._flows_survive,
        )  # fmt: skip
        self.more: dict[str, Nic] = {}
        """Secondary addresses and those of further interfaces: they lead to the same ports."""
        self.group: Group | None = None
        self.off = False
        self._end: asyncio.Task[None] | None = None

    def _flows_survive(self) -> bool:
        return self.ecs.security_groups.established_survive

    def environment(self) -> dict[str, str]:
        """Only this: a machine in the cloud inherits nothing from whoever runs the emulator."""
        assert self.instance.guest is not None
        gateway = self.ecs.vswitches[self.instance.vswitch_id].gateway
        port = door_of(self._cloud, self.ecs.region)
        given: Mapping[str, str] = self.instance.guest.get("env", {})
        return {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.scratch),
            "PYTHONUNBUFFERED": "1",
            "GUEST_INSTANCE": self.instance.id,
            "GUEST_ZONE": self.instance.zone,
            "GUEST_ADDRESS": self.nic.address,
            "GUEST_BIND": self.nic.guest_address,
            "GUEST_PORTS": ",".join(map(str, self.ports)),
            "GUEST_DISK_URL": f"{self._cloud.url}/_guest/{self.token}/disks",
            "GUEST_GATEWAY": f"http://{gateway or self._cloud.host}:{port}",
            "GUEST_METADATA": f"http://{gateway or self._cloud.host}:{port}/_guest/{self.token}/",
            **{name: str(value) for name, value in given.items()},
        }

    async def boot(self) -> None:
        """Returns when the first port accepts, when the process has ended, or when waiting is in vain."""
        try:
            await asyncio.to_thread(self._empty_scratch)
            self.group = await Group.start(
                self.command, environment=self.environment(), log=self.log_path, warden=self._warden
            )
        except OSError as error:
            log.error("guest.not_started %s: %s", self.instance.id, error)
            return
        if self.off:  # stopped while it was being started
            await self.group.kill()
            return
        self._end = asyncio.create_task(self._watch_leader(self.group))
        if not self.ports:
            return
        ready = asyncio.create_task(self.nic.served(self.ports[0]))
        try:
            await asyncio.wait({ready, self._end}, timeout=BOOT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done() and not self.off:
                log.warning(
                    "guest.not_ready %s: port %d does not accept; its output is in %s",
                    self.instance.id,
                    self.ports[0],
                    self.log_path,
                )
        finally:
            ready.cancel()

    def _empty_scratch(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()

    @property
    def _is_dark(self) -> bool:
        return self._cloud.zones.is_dark(self.instance.zone)

    @property
    def nics(self) -> list[Nic]:
        return [self.nic, *self.more.values()]

    async def answer_at(self, addresses: Sequence[str]) -> None:
        """Exactly these addresses besides the first one; returns when they serve what that serves. Raises
        AddressMissing."""
        for address in [one for one in self.more if one not in addresses]:
            await self.more.pop(address).close()
        for address in addresses:
            if address not in self.more and address != self.nic.address:
                nic = Nic(
                    address, self.ports, dark=self._is_dark, changed=self._changed,
                    admits=self._filter_at(address), guest_address=self.nic.guest_address,
                    heard=self._heard, survive=self._flows_survive,
                )  # fmt: skip
                self.more[address] = nic
                if self.off:
                    nic.power_off()
                elif served := [asyncio.ensure_future(nic.served(port)) for port in self.nic.open_ports]:
                    _, late = await asyncio.wait(served, timeout=LOOK_SECONDS)
                    for one in late:
                        one.cancel()

    def shut_down(self) -> None:
        """Ask politely; the address goes on answering until the machine is off."""
        if self.group is not None:
            self.group.signal(signal.SIGTERM)

    def cut(self) -> None:
        """The machine stops dead, and a boot under way with it. The address is silent first: nobody hears it die."""
        self.off = True
        for nic in self.nics:
            nic.power_off()
        if self.group is not None:
            self.group.signal(signal.SIGKILL)

    async def power_off(self) -> None:
        """`cut`, and wait until no process is left."""
        self.cut()
        if self.group is not None:
            await self.group.kill()
        if self._end is not None:
            await asyncio.gather(self._end, return_exceptions=True)

    async def bury(self, pids: Sequence[int]) -> None:
        """Wait until these killed processes are gone, and let their ports refuse."""
        for _ in range(BURIAL_STEPS):
            if self.group is None or not set(pids) & {seen.pid for seen in self.group.members()}:
                break
            await asyncio.sleep(0.01)
        for nic in self.nics:
            await nic.notice()

    async def vanish(self) -> None:
        """Off, and nothing holds the address any more."""
        await self.power_off()
        for nic in self.nics:
            await nic.close()

    def describe(self) -> dict[str, Any]:
        members = self.group.members() if self.group is not None else []
        return {
            "instance": self.instance.id,
            "zone": self.instance.zone,
            "address": self.nic.address,
            "more_addresses": list(self.more),
            "bind": self.nic.guest_address,
            "ports": self.ports,
            "open_ports": self.nic.open_ports,
            "silent": self.nic.is_silent,
            "running": not self.off and self.group is not None and self.group.exit_code is None,
            "pid": self.group.pid if self.group is not None else None,
            "processes": [
                {"pid": seen.pid, "state": seen.state, "frozen": seen.state in "Tt", "command": seen.command}
                for seen in members
            ],
            "log": str(self.log_path),
        }

    async def _watch_leader(self, group: Group) -> None:
        code = await group.leader_ended()
        if not self.off:
            log.warning("guest.ended %s: exit code %d; its output is in %s", self.instance.id, code, self.log_path)
            for nic in self.nics:
                nic.look()
        self._changed()
