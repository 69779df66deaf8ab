"""Load balancing as it runs beside the server: one forwarder per listener, and the health checks."""

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from emulator.network.port import AddressMissing, is_here
from emulator.slb.forwarder import Forwarder
from emulator.slb.health import HealthChecks
from emulator.slb.model import ACTIVE, Balancer

if TYPE_CHECKING:
    from emulator.cloud import Cloud

log = logging.getLogger(__name__)

ZONE_SWITCH: Final = timedelta(seconds=20)
"""How long a balancer stays silent when its serving zone does (documented: within 30 s; 20 s is an assumption)."""


class LoadBalancing:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._forwarders: dict[tuple[str, int], Forwarder] = {}
        self._health = HealthChecks(cloud)
        self._elsewhere: set[str] = set()  # told of already
        self._closing: set[asyncio.Task[None]] = set()
        self._running = False

    async def start(self) -> None:
        """Raises AddressMissing when a balancer's address cannot be bound."""
        self._running = True
        self._match()
        self._health.start()
        outside = self._cloud.outside
        self._cloud.slb.on_change(outside(self._changed))
        self._cloud.zones.subscribe(outside(self._zone_changed))
        self._cloud.clock.on_rate(self._health.refresh)
        self._cloud.ecs.on_instance(outside(lambda *_: self._health.refresh()))
        if self._cloud.hypervisor is not None:
            self._cloud.hypervisor.on_guest(self._health.refresh)
        for zone in self._cloud.zones.dark:
            self._zone_changed(zone, True)

    async def stop(self) -> None:
        self._running = False
        await self._health.stop()
        for forwarder in self._forwarders.values():
            await forwarder.close()
        self._forwarders.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _changed(self) -> None:
        if not self._running:
            return
        try:
            self._match()
        except AddressMissing as error:
            # A loopback address that is taken or missing: the API has the balancer, its traffic has nowhere to go.
            log.warning("slb.not_served", extra={"error": str(error)})
        self._health.refresh()

    def _match(self) -> None:
        """Open what is missing, close what is too much. What is stopped refuses (assumption)."""
        wanted = {
            (balancer.id, port): (balancer, listener)
            for balancer in self._cloud.slb.balancers.values()
            if balancer.status == ACTIVE and self._is_served(balancer)
            for port, listener in balancer.listeners.items()
            if listener.running
        }
        for key in self._forwarders.keys() - wanted.keys():
            self._cloud.slb.endpoints.pop(key, None)
            forwarder = self._forwarders.pop(key)
            forwarder.shut()  # at once: the next change may open it again
            task = asyncio.get_running_loop().create_task(forwarder.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        missing: AddressMissing | None = None
        for key, (balancer, listener) in wanted.items():
            if key not in self._forwarders:
                forwarder = Forwarder(self._cloud, balancer, listener)
                forwarder.silence(self._cloud.zones.is_dark(balancer.master_zone))
                try:
                    forwarder.open()
                except AddressMissing as error:
                    missing = missing or error
                    continue  # it keeps no other from its traffic
                self._forwarders[key] = forwarder
                self._cloud.slb.endpoints[key] = forwarder.address
        if missing is not None:
            raise missing

    def _is_served(self, balancer: Balancer) -> bool:
        """One whose address is not on this machine is the API's alone: its traffic has nowhere to go."""
        if is_here(balancer.address):
            return True
        if balancer.id not in self._elsewhere:
            self._elsewhere.add(balancer.id)
            log.warning("slb.not_served: %s has the address %s: only 127.0.0.0/8 carries traffic here", balancer.id,
                        balancer.address)  # fmt: skip
        return False

    def _zone_changed(self, zone: str, dark: bool) -> None:
        """The primary zone's darkness is the balancer's, until the secondary zone takes over by itself."""
        self._health.refresh()
        for balancer in self._cloud.slb.balancers.values():
            if balancer.master_zone != zone:
                continue
            self._silence(balancer, dark)
            if dark and balancer.slave_zone:
                self._cloud.clock.call_later(ZONE_SWITCH, lambda b=balancer: self._switch(b), "slb zone switch")  # type: ignore[misc]

    def _switch(self, balancer: Balancer) -> None:
        if self._running and not self._cloud.zones.is_dark(balancer.slave_zone):
            self._silence(balancer, False)

    def _silence(self, balancer: Balancer, silent: bool) -> None:
        for (owner, _), forwarder in self._forwarders.items():
            if owner == balancer.id:
                forwarder.silence(silent)
