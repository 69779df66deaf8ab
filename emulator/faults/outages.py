"""Faults that stand: a silent zone, a region that is out.

Several may cover one zone; it is heard again when the last of them ends. A region's zones, functions and regional
endpoints go with it. Global services answer on (PrivateZone, Alidns, STS).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from emulator.faults.fault import Asked, Fault, FaultError
from emulator.wire.services import GLOBAL

if TYPE_CHECKING:
    from emulator.cloud import Cloud

SILENT: Final = Fault(kind="timeout_before")


class Outages:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._regions: dict[str, Fault] = {}
        self._zones: dict[str, tuple[str, ...]] = {}
        self._listeners: list[Callable[[], None]] = []

    def on_region(self, listener: Callable[[], None]) -> None:
        """`listener()` whenever a region goes out or comes back."""
        self._listeners.append(listener)

    def check(self, fault: Fault) -> None:
        """Raises FaultError for a zone or a region that does not exist."""
        if fault.kind == "region_outage" and fault.region not in self._cloud.regions:
            raise FaultError(
                f"fault region_outage: region {fault.region!r} is none of {', '.join(self._cloud.regions)}"
            )
        if fault.kind == "zone_silence":
            known = [zone for region in self._cloud.regions for zone in self._zones_of(region)]
            if fault.zone not in known:
                raise FaultError(f"fault zone_silence: zone {fault.zone!r} is none of {', '.join(known) or 'none'}")

    def begin(self, id: str, fault: Fault) -> None:
        zones: tuple[str, ...] = ()
        if fault.kind == "zone_silence":
            zones = (fault.zone,)
        elif fault.kind == "region_outage":
            self._regions[id] = fault
            zones = self._zones_of(fault.region)
        ours = {zone for others in self._zones.values() for zone in others}
        # What somebody else has darkened is his to light again.
        self._zones[id] = tuple(z for z in zones if z in ours or not self._cloud.zones.is_dark(z))
        for zone in zones:
            self._cloud.zones.set_dark(zone, True)
        if id in self._regions:
            self._tell()

    def end(self, id: str) -> None:
        zones = self._zones.pop(id, ())
        fault = self._regions.pop(id, None)
        still = {zone for others in self._zones.values() for zone in others}
        for zone in zones:
            if zone not in still:
                self._cloud.zones.set_dark(zone, False)
        if fault is not None:
            self._tell()

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()

    def is_out(self, region: str) -> bool:
        return any(fault.region == region for fault in self._regions.values())

    def ending(self, asked: Asked) -> tuple[str, Fault] | None:
        """What a call to a region that is out meets, and the id of the outage."""
        if not self._regions or asked.service in GLOBAL:
            return None
        for outage, fault in self._regions.items():
            if fault.region == asked.region:
                return outage, SILENT if fault.how == "silent" else Fault(kind="error", status=503)
        return None

    def _zones_of(self, region: str) -> tuple[str, ...]:
        """Buildings are shared by all accounts; the home account's model knows them."""
        return tuple(self._cloud.realm(self._cloud.account, region).ecs.zones)
