"""The data plane of one listener: real TCP connections, carried to a member chosen by weight.

Members are reached at their private addresses, so that the darkness of a zone is felt here as clients would feel it: a
connect that hangs is given up and another member is tried.
"""

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Final

from emulator.network.port import Port, dial, is_here
from emulator.slb.model import Backend, Balancer, Listener

if TYPE_CHECKING:
    from emulator.cloud import Cloud

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 0.5  # real time per member tried (assumption; loopback answers within a millisecond)
UNPRIVILEGED_SHIFT: Final = 8000  # port 80 is served at 8080 where ports below 1024 need privileges


class Forwarder:
    def __init__(self, cloud: "Cloud", balancer: Balancer, listener: Listener) -> None:
        self._cloud = cloud
        self._balancer = balancer
        self._number = listener.port
        self._credit: dict[str, int] = {}
        self._port = Port((balancer.address, listener.port), self._reach)

    @property
    def address(self) -> tuple[str, int]:
        """Where it really listens: the listener's port, or that + 8000 where low ports are not ours to bind."""
        return self._port.listen

    def open(self) -> None:
        try:
            self._port.open()
        except PermissionError:
            if self._number >= 1024:
                raise
            shifted = self._number + UNPRIVILEGED_SHIFT
            log.warning(
                "slb.port_shifted: ports below 1024 need privileges here, so listener %d of %s is served at %s:%d",
                self._number,
                self._balancer.id,
                self._balancer.address,
                shifted,
            )
            self._port = Port((self._balancer.address, shifted), self._reach)
            self._port.open()

    def silence(self, silent: bool) -> None:
        if silent:
            self._port.silence()
        else:
            self._port.sound()

    def shut(self) -> None:
        """Refuse from now on; the address may be bound again at once."""
        self._port.shut()

    async def close(self) -> None:
        await self._port.close()

    async def _reach(self) -> socket.socket:
        listener = self._balancer.listeners.get(self._number)  # as it is now: it may serve another group than before
        candidates = [] if listener is None else self._in_turn(listener)
        for backend in candidates:
            assert listener is not None
            address = self._cloud.slb.address_of(backend.server)
            if address is None or not is_here(address):
                continue
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await dial((address, backend.port or listener.backend_port))()
            except OSError as error:  # TimeoutError is one
                log.debug("slb.member_unreachable", extra={"server": backend.server, "error": repr(error)})
        raise ConnectionRefusedError(f"{self._balancer.id}: none of {len(candidates)} healthy members answers")

    def _in_turn(self, listener: Listener) -> list[Backend]:
        """The member whose turn it is, then the others by credit: smooth weighted round robin, as nginx does it."""
        serving = self._cloud.slb.serving(self._balancer, listener)
        if not serving:
            return []
        weights = {b.key: 1 if listener.scheduler == "rr" else b.weight for b in serving}
        self._credit = {key: self._credit.get(key, 0) + weight for key, weight in weights.items()}
        order = sorted(serving, key=lambda b: -self._credit[b.key])
        self._credit[order[0].key] -= sum(weights.values())
        return order
