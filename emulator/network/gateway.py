"""A vSwitch's way out to the cloud's APIs: the emulator's own port on the gateway's address.

The port is that of the region's endpoint, since many calls say by it alone which region they mean. Silent while the
zone is dark, so that a guest in there can no longer renew, report or ask. The gateway dials on from
its own address, so that the HTTP door knows which zone a call comes from (`Cloud.zone_behind`).
"""

from typing import TYPE_CHECKING

from emulator.network.port import Port, dial

if TYPE_CHECKING:
    from emulator.cloud import Cloud


def door_of(cloud: "Cloud", region: str) -> int:
    """The port of a region's endpoint."""
    return next((port for port, served in cloud.region_ports.items() if served == region), cloud.port)


class Gateways:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._ports: dict[str, list[Port]] = {}

    def open(self) -> None:
        """One per vSwitch that has a gateway, in every realm. Raises AddressMissing when an address cannot be bound."""
        for realm in self._cloud.realms:
            if not realm.built("ecs"):
                continue
            door = door_of(self._cloud, realm.region)
            for vswitch in realm.ecs.vswitches.values():
                if not vswitch.gateway:
                    continue
                port = Port((vswitch.gateway, door), dial((self._cloud.host, door), source=vswitch.gateway))
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
