"""Faults that stand: a silent zone, a region that is out, no stock, a permission that is missing.

Several may cover one zone; it is heard again when the last of them ends. A region's zones, functions and regional
endpoints go with it. Global services answer on (PrivateZone, Alidns, STS).

Darkness and stock are part of the world: where it is kept, so are they, also when the process ends before the fault.
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
        self._all: dict[str, Fault] = {}
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
        if fault.kind in ("zone_silence", "no_stock"):
            known = [zone for region in self._cloud.regions for zone in self._zones_of(region)]
            if fault.zone not in known:
                raise FaultError(f"fault {fault.kind}: zone {fault.zone!r} is none of {', '.join(known) or 'none'}")

    def begin(self, id: str, fault: Fault) -> None:
        self._all[id] = fault
        match fault.kind:
            case "zone_silence":
                self._darken(id, (fault.zone,))
            case "region_outage":
                self._regions[id] = fault
                self._darken(id, self._zones_of(fault.region))
                self._tell()
            case "no_stock":
                self._stock(fault, fault.limit)
            case "deny":
                self._cloud.ram.deny(fault.caller, fault.action)

    def end(self, id: str) -> None:
        fault = self._all.pop(id, None)
        if fault is None:
            return
        self._lighten(id)
        if self._regions.pop(id, None) is not None:
            self._tell()
        if fault.kind == "no_stock":
            self._stock(fault, None)
        if fault.kind == "deny" and not any(
            (f.kind, f.caller, f.action) == ("deny", fault.caller, fault.action) for f in self._all.values()
        ):
            self._cloud.ram.allow(fault.caller, fault.action)

    def _darken(self, id: str, zones: tuple[str, ...]) -> None:
        ours = {zone for others in self._zones.values() for zone in others}
        # What somebody else has darkened is his to light again.
        self._zones[id] = tuple(z for z in zones if z in ours or not self._cloud.zones.is_dark(z))
        for zone in self._zones[id]:
            self._set_dark(zone, True)

    def _lighten(self, id: str) -> None:
        zones = self._zones.pop(id, ())
        still = {zone for others in self._zones.values() for zone in others}
        for zone in zones:
            if zone not in still:
                self._set_dark(zone, False)

    def _set_dark(self, zone: str, dark: bool) -> None:
        from emulator import deeds

        self._cloud.do(deeds.set_dark, zone=zone, dark=dark)

    def _stock(self, fault: Fault, count: int | None) -> None:
        from emulator import deeds

        assert fault.instance_type is not None
        self._cloud.do(deeds.set_stock, zone=fault.zone, instance_type=fault.instance_type, count=count)

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
