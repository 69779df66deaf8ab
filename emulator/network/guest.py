"""One boot of one instance: its process, its address, its disk door's token. The next boot is another guest."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emulator.network.nic import Nic
from emulator.network.processes import Group, Warden

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.ecs.instances import Instance

log = logging.getLogger(__name__)

BOOT_SECONDS: Final = 20.0
"""Real time within which the first port must accept; afterwards emulated time no longer waits for the guest."""
BURIAL_STEPS: Final = 100
PATH: Final = "/usr/local/bin:/usr/bin:/bin"


class Guest:
    """`instance.guest` is `{"command": [...], "ports": [...], "env": {...}}`; "{python}" stands for this Python."""

    def __init__(
        self, cloud: "Cloud", instance: "Instance", *, log_path: Path, warden: Warden, changed: Callable[[], None]
    ) -> None:
        assert instance.guest is not None
        self._cloud = cloud
        self._warden = warden
        self._changed = changed
        self.instance = instance
        self.token = cloud.chance.id("guest")
        self.log_path = log_path
        self.command = [part.replace("{python}", sys.executable) for part in instance.guest["command"]]
        self.ports = [int(port) for port in instance.guest.get("ports", ())]
        self.nic = Nic(instance.private_ip, self.ports, dark=cloud.zones.is_dark(instance.zone), changed=self._changed)
        self.group: Group | None = None
        self.off = False
        self._end: asyncio.Task[None] | None = None

    def environment(self) -> dict[str, str]:
        """Only this: a machine in the cloud inherits nothing from whoever runs the emulator."""
        assert self.instance.guest is not None
        gateway = self._cloud.ecs.vswitches[self.instance.vswitch_id].gateway
        given: Mapping[str, str] = self.instance.guest.get("env", {})
        return {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "GUEST_INSTANCE": self.instance.id,
            "GUEST_ZONE": self.instance.zone,
            "GUEST_ADDRESS": self.nic.address,
            "GUEST_BIND": self.nic.guest_address,
            "GUEST_PORTS": ",".join(map(str, self.ports)),
            "GUEST_DISK_URL": f"{self._cloud.url}/_guest/{self.token}/disks",
            "GUEST_GATEWAY": f"http://{gateway}:{self._cloud.port}" if gateway else self._cloud.url,
            **{name: str(value) for name, value in given.items()},
        }

    async def boot(self) -> None:
        """Returns when the first port accepts, when the process has ended, or when waiting is in vain."""
        try:
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

    def shut_down(self) -> None:
        """Ask politely; the address goes on answering until the machine is off."""
        if self.group is not None:
            self.group.signal(signal.SIGTERM)

    def cut(self) -> None:
        """The machine stops dead, and a boot under way with it. The address is silent first: nobody hears it die."""
        self.off = True
        self.nic.power_off()
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
        await self.nic.notice()

    async def vanish(self) -> None:
        """Off, and nothing holds the address any more."""
        await self.power_off()
        await self.nic.close()

    def describe(self) -> dict[str, Any]:
        members = self.group.members() if self.group is not None else []
        return {
            "instance": self.instance.id,
            "zone": self.instance.zone,
            "address": self.nic.address,
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
            self.nic.look()
        self._changed()
