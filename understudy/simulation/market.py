"""What could be had, straight from the emulator's models."""

from collections.abc import Iterator, Sequence

from emulator.ecs import types
from emulator.wire.call import ApiError
from shared.domain.inventory import VSwitch
from understudy.simulation.in_process import InProcess


class InProcessMarket(InProcess):
    """Implements `shared.ports.compute.Market`."""

    def sells(self, zone: str, instance_type: str) -> bool:
        def found() -> bool:
            if zone not in self._ecs.zones:
                raise ApiError("InvalidZoneId.NotFound", f"The zone {zone} does not exist.", 404)
            _, category = self._ecs.buying.stock.category(zone, instance_type)
            return types.named(instance_type) is not None and category in ("WithStock", "ClosedWithStock")

        return self._told("DescribeAvailableResource", (zone, instance_type), found)

    def vswitches(self, ids: Sequence[str]) -> Iterator[VSwitch]:
        wanted = frozenset(ids)

        def found() -> Iterator[VSwitch]:
            network = self._ecs.network
            for one in network.vswitches.values():
                if one.id in wanted:
                    free = network.free_addresses(one)
                    yield VSwitch(id=one.id, zone=one.zone, vpc=one.vpc, free_addresses=free)

        return self._listed("DescribeVSwitches", sorted(wanted), found) if wanted else iter(())

    def regions(self) -> frozenset[str]:
        return self._told("DescribeRegions", (), lambda: frozenset(self._ecs.cloud.regions))
