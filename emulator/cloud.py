"""The whole emulated cloud of one process: one clock, one chance, one bus, and the services that share them.

Two doors lead here: `emulator.server` (HTTP, for SDKs) and plain Python (for simulation).
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from emulator.bus import Bus
from emulator.chance import Chance
from emulator.clock import Clock
from emulator.keys import Keys

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs
    from emulator.network.zones import Zones
    from emulator.pvtz.model import PrivateZone
    from emulator.slb.model import LoadBalancers
    from emulator.tablestore.model import Tablestore

ACCOUNT = "1000000000000001"


class Cloud:
    """Services are built on first use, so that a test of one pays for one."""

    def __init__(
        self, *, seed: int = 1, start: datetime = datetime(2026, 3, 2, tzinfo=UTC), account: str = ACCOUNT
    ) -> None:
        self.account = account
        self.clock = Clock(start)
        self.chance = Chance(seed)
        self.bus = Bus()
        self.keys = Keys(self)
        self._services: dict[str, object] = {}

    def _service(self, name: str, build: object) -> object:
        if name not in self._services:
            self._services[name] = build(self)  # type: ignore[operator]
        return self._services[name]

    @property
    def zones(self) -> "Zones":
        from emulator.network.zones import Zones

        return self._service("zones", Zones)  # type: ignore[return-value]

    @property
    def ecs(self) -> "Ecs":
        from emulator.ecs.model import Ecs

        return self._service("ecs", Ecs)  # type: ignore[return-value]

    @property
    def pvtz(self) -> "PrivateZone":
        from emulator.pvtz.model import PrivateZone

        return self._service("pvtz", PrivateZone)  # type: ignore[return-value]

    @property
    def slb(self) -> "LoadBalancers":
        from emulator.slb.model import LoadBalancers

        return self._service("slb", LoadBalancers)  # type: ignore[return-value]

    @property
    def tablestore(self) -> "Tablestore":
        from emulator.tablestore.model import Tablestore

        return self._service("tablestore", Tablestore)  # type: ignore[return-value]
