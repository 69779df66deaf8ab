"""A vSwitch's way out to the cloud's APIs: the emulator's own port on the gateway's address.

Silent while the zone is dark, so that a guest in there can no longer renew, report or ask. The gateway dials on from
its own address, so that the HTTP door knows which zone a call comes from (`Cloud.zone_behind`).
"""

from typing import TYPE_CHECKING

from emulator.network.port import Port, dial

if TYPE_CHECKING:
    from emulator.cloud import Cloud


class Gateways:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._ports: dict[str, list[Port]] = {}

    def open(self) -> None:
        """One per vSwitch that has a gateway. Raises AddressMissing when an address cannot be bound."""
        for vswitch in self._cloud.ecs.vswitches.values():
            if not vswitch.gateway:
                continue
            target = (self._cloud.host, self._cloud.port)
            port = Port((vswitch.gateway, self._cloud.port), dial(target, source=vswitch.gateway))
            self._ports.setdefault(vswitch.zone, []).append(port)
            self.set_dark(vswitch.zone, self._cloud.zones.is_dark(vswitch.zone))
            port.open()

    def set_dark(self, zone: str, dark: bool) -> None:
        for port in self._ports.get(zone, ()):
            (port.silence if dark else port.sound)()

    async def close(self) -> None:
        for ports in self._ports.values():
            for port in ports:
                await port.close()
        self._ports.clear()
