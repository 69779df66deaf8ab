"""The whole emulated cloud of one process: one clock, one chance, one bus, and the services that share them.

Two doors lead here: `emulator.server` (HTTP, for SDKs) and plain Python (for simulation).
"""

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from emulator.bus import Bus, CloudEvent
from emulator.chance import Chance
from emulator.clock import Clock
from emulator.keys import Keys
from emulator.ram import Ram
from emulator.wire.callers import Callers
from emulator.wire.log import RequestLog

if TYPE_CHECKING:
    from aiohttp import web

    from emulator.ecs.model import Ecs
    from emulator.fc.service import FunctionCompute
    from emulator.network.hypervisor import Hypervisor
    from emulator.network.zones import Zones
    from emulator.pvtz.model import PrivateZone
    from emulator.slb.model import LoadBalancers
    from emulator.tablestore.model import Tablestore

ACCOUNT = "1000000000000001"
EVENTS_KEPT = 20_000


class Cloud:
    """Services are built on first use, so that a test of one pays for one."""

    def __init__(
        self,
        *,
        seed: int = 1,
        start: datetime = datetime(2026, 3, 2, tzinfo=UTC),
        account: str = ACCOUNT,
        region: str = "cn-hangzhou",
    ) -> None:
        self.account = account
        self.region = region
        self.clock = Clock(start)
        self.chance = Chance(seed)
        self.bus = Bus()
        self.keys = Keys(self)
        self.callers = Callers(self)
        self.ram = Ram()
        self.requests = RequestLog()
        self.events: deque[CloudEvent] = deque(maxlen=EVENTS_KEPT)
        self.bus.subscribe(self.events.append)
        self.ots_instances: set[str] = set()
        self.url = ""  # of the HTTP door, once it is open
        self.host = ""
        self.port = 0
        self.fc: FunctionCompute | None = None  # None: no s.yaml was given
        self.hypervisor: Hypervisor | None = None
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

    def zone_behind(self, request: "web.Request") -> str | None:
        """The zone whose gateway a request came in by, if it came in by one."""
        transport = request.transport
        if transport is None or "ecs" not in self._services:
            return None
        remote = transport.get_extra_info("peername")  # a gateway dials on from its own address
        return self.ecs.zone_of_gateway(remote[0]) if remote else None
