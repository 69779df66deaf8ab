"""A private address: what the world reaches of one instance, and how it falls silent.

Each port the guest serves is listened to on the private address and carried to the guest's own bind address. The
address is silent while the instance's zone is dark or its machine is down (off, failed, stopped): nobody is there to
refuse. It refuses where the machine is up and the process is not: a guest port that nobody listens on is closed here
too, and looked at again until somebody does. What the instance's security groups do not let in meets silence as well.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Address
from typing import Final

from emulator.network.port import Dial, Port, dial

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS: Final = 0.05  # real time, for ports that are closed
ACCEPT_SECONDS: Final = 0.5


Filter = Callable[[int, str | None], bool]
"""`(port, address of the client or None)` -> whether it gets in. None: anybody who cannot be told."""


def bind_address(private: str) -> str:
    """Where the guest of 127.A.z.h binds its ports: 127.(A+1).z.h. Networks are therefore given out in pairs."""
    first, second, third, fourth = private.split(".")
    return str(IPv4Address(f"{first}.{int(second) + 1}.{third}.{fourth}"))


class Nic:
    def __init__(
        self,
        address: str,
        ports: Sequence[int],
        *,
        dark: bool,
        changed: Callable[[], None] = lambda: None,
        admits: Filter = lambda _port, _source: True,
        guest_address: str | None = None,
        heard: Callable[[str], bool] = lambda _source: True,
        survive: Callable[[], bool] = lambda: False,
    ) -> None:
        """`guest_address` is where the guest listens, if that does not follow from this address: a secondary one.
        `heard`: see `Port`. `survive`: whether connections outlive rules that no longer let them in."""
        self._survive = survive
        self.address = address
        self.guest_address = guest_address or bind_address(address)
        self._admits = admits
        self._changed = changed
        self._dark = dark
        self._powered = True
        self._refusing = False
        self._closed = False
        self._ports = {
            number: Port((address, number), self._reach(number), admits=partial(admits, number), heard=heard)
            for number in ports
        }
        self._served = {number: asyncio.Event() for number in ports}
        self._looks: dict[int, asyncio.Task[None]] = {}
        self._settle()

    @property
    def is_silent(self) -> bool:
        return self._dark or not self._powered

    @property
    def open_ports(self) -> list[int]:
        return [number for number, port in self._ports.items() if port.is_open]

    def is_shut_off(self, number: int) -> bool:
        """Whether the security groups let nobody in who is not known by address."""
        return not self._admits(number, None)

    def settle(self) -> None:
        """The security groups may have changed."""
        self._settle()

    def listen_again(self) -> None:
        """A zone fell dark, or came back: its guests' connections to here stall, or go on."""
        for port in self._ports.values():
            port.listen_again()

    def set_dark(self, dark: bool) -> None:
        self._dark = dark
        self._settle()

    def power_off(self) -> None:
        """The machine is gone; its address falls silent."""
        self._powered = False
        self._stop_looking()
        self._settle()

    def refuse(self, refusing: bool) -> None:
        """A fault of its own: every port refuses although the guest is well (and heals when switched off)."""
        self._refusing = refusing
        self._settle()

    async def served(self, number: int) -> None:
        """Wait until the guest has been seen listening on that port."""
        await self._served[number].wait()

    def look(self) -> None:
        """Open the ports that the guest serves, close those that it does not, and keep looking at the closed."""
        for number in self._ports:
            if number not in self._looks and self._powered and not self._refusing and not self._closed:
                task = asyncio.get_running_loop().create_task(self._follow(number))
                self._looks[number] = task
                task.add_done_callback(lambda done, n=number: self._looked(n, done))  # type: ignore[misc]

    async def notice(self) -> None:
        """Close at once what the guest no longer serves: a process has just died."""
        for number, port in self._ports.items():
            if port.is_open and not self._is_mute(number) and not await self.serves(number):
                port.shut()
        self.look()

    async def close(self) -> None:
        """Nobody holds the address any more; it is not to be opened again."""
        self._closed = True
        self._stop_looking()
        for port in self._ports.values():
            await port.close()

    def _stop_looking(self) -> None:
        for task in self._looks.values():
            task.cancel()
        self._looks.clear()

    def _looked(self, number: int, task: asyncio.Task[None]) -> None:
        if self._looks.get(number) is task:
            del self._looks[number]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("network.port_failed %s:%d", self.address, number, exc_info=error)

    async def _follow(self, number: int) -> None:
        port = self._ports[number]
        while not self._refusing:
            if await self.serves(number):
                self._served[number].set()
                if not port.is_open:
                    port.open()
                    self._changed()
                return
            if port.is_open and not self._is_mute(number):
                port.shut()
                self._changed()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def serves(self, number: int) -> bool:
        """Whether somebody listens on the guest's port (a stopped process still does: its kernel accepts)."""
        try:
            async with asyncio.timeout(ACCEPT_SECONDS):
                end = await dial((self.guest_address, number))()
        except TimeoutError:
            return True  # a full queue is somebody's
        except OSError:
            return False
        end.close()
        return True

    def _reach(self, number: int) -> Dial:
        carried = dial((self.guest_address, number))

        async def reach() -> socket.socket:
            try:
                return await carried()
            except ConnectionRefusedError:
                self.look()  # the process died: refuse from now on, until it listens again
                raise

        return reach

    def _is_mute(self, number: int) -> bool:
        return self.is_silent or self.is_shut_off(number)

    def _settle(self) -> None:
        if self._closed:
            return
        for number, port in self._ports.items():
            if self._is_mute(number):
                port.silence(established=self.is_silent or not self._survive())
                port.open()  # silence needs a listener: without one the kernel would refuse
            else:
                if self._refusing:
                    port.shut()
                port.sound()
        self.look()
