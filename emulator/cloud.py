"""The whole emulated cloud of one process: one clock, one chance, one bus, and all accounts and regions on them.

Two doors lead here: `emulator.server` (HTTP, for SDKs) and plain Python (for simulation).
"""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from emulator.bus import Bus, CloudEvent
from emulator.chance import Chance
from emulator.clock import Clock
from emulator.faults.menu import Faults
from emulator.keys import Keys
from emulator.ram import Ram
from emulator.realm import Account, Realm
from emulator.wire.call import ApiError
from emulator.wire.callers import Callers
from emulator.wire.log import RequestLog

if TYPE_CHECKING:
    from aiohttp import web

    from emulator.alidns.model import Alidns
    from emulator.cms.model import CloudMonitor
    from emulator.ecs.model import Ecs
    from emulator.ess.model import AutoScaling
    from emulator.events.delivery import Deliveries
    from emulator.fc.service import FunctionCompute
    from emulator.network.hypervisor import Hypervisor
    from emulator.network.zones import Zones
    from emulator.persistence.journal import Journal
    from emulator.pvtz.model import PrivateZone
    from emulator.slb.model import LoadBalancers
    from emulator.tablestore.model import Tablestore
    from emulator.vpc.model import Vpc

ACCOUNT = "1000000000000001"
REGIONS = ("cn-hangzhou", "cn-shanghai", "cn-beijing")
EVENTS_KEPT = 20_000

P = ParamSpec("P")
T = TypeVar("T")


class Cloud:
    """`regions` are those that exist; the first one is home, where the short names (`cloud.ecs`) lead."""

    def __init__(
        self,
        *,
        seed: int = 1,
        start: datetime = datetime(2026, 3, 2, tzinfo=UTC),
        account: str = ACCOUNT,
        regions: Sequence[str] = REGIONS,
    ) -> None:
        self.account = account
        self.regions = tuple(regions)
        self.clock = Clock(start)
        self.chance = Chance(seed)
        self.bus = Bus()
        self.keys = Keys(self)
        self.callers = Callers(self)
        self.ram = Ram(self)
        self.faults = Faults(self, seed)
        self.requests = RequestLog()
        self.events: deque[CloudEvent] = deque(maxlen=EVENTS_KEPT)
        self.bus.subscribe(self.events.append)
        self.ots_instances: set[str] = set()
        self.url = ""  # of the HTTP door, once it is open
        self.dns = ""  # of the DNS door, HOST:PORT, the same
        self.host = ""
        self.port = 0
        self.region_ports: dict[int, str] = {}  # other regions' doors, by their port
        self.journal: Journal | None = None  # None: this world ends with its process
        self.fc: FunctionCompute | None = None  # None: no s.yaml was given
        self.hypervisor: Hypervisor | None = None
        self._accounts: dict[str, Account] = {}
        self._realms: dict[tuple[str, str], Realm] = {}
        self._ecs_listeners: list[Callable[[Ecs], None]] = []

    # Reaching into the world past its API ---------------------------------------------------------------------

    def do(self, deed: "Callable[Concatenate[Cloud, P], T]", *args: P.args, **arguments: P.kwargs) -> T:
        """`deed(cloud, ...)`, kept where the world is kept: whatever an operator, a guest or a probe changes in models
        goes through here. `deed` is a function of a module, its arguments have names and are JSON (one, named `body`,
        may be bytes)."""
        if self.journal is None:
            return deed(self, *args, **arguments)
        assert not args, "a deed's arguments have names"
        done: T = self.journal.deed(deed, **arguments)
        return done

    def outside(self, listener: Callable[P, None]) -> Callable[P, None]:
        """For a listener that is told of the world but is no part of it (functions, forwarders, guests): what it draws
        or puts on the calendar must not change the course of a world that is kept."""
        return listener if self.journal is None else self.journal.course.outside(listener)

    # Accounts and regions -------------------------------------------------------------------------------------

    @property
    def region(self) -> str:
        """Home: where a call goes whose endpoint names no region."""
        return self.regions[0]

    def account_named(self, id: str) -> Account:
        """Accounts come to be when they are first named (by a key, a seed, a share)."""
        if id not in self._accounts:
            self._accounts[id] = Account(self, id)
            if self.journal is not None:
                self.journal.account_founded(id)
        return self._accounts[id]

    def realm(self, account: str, region: str) -> Realm:
        """Raises ApiError InvalidRegionId.NotFound."""
        if region not in self.regions:
            raise ApiError("InvalidRegionId.NotFound", f"The region {region} is not one of {list(self.regions)}.", 404)
        owner = self.account_named(account)  # a new one may build its realms at once
        if (account, region) not in self._realms:
            self._realms[account, region] = Realm(owner, region)
        return self._realms[account, region]

    @property
    def realms(self) -> tuple[Realm, ...]:
        """Those that something has asked for so far."""
        return tuple(self._realms.values())

    @cached_property
    def home(self) -> Realm:
        return self.realm(self.account, self.region)

    def on_ecs(self, listener: "Callable[[Ecs], None]") -> None:
        """`listener(ecs)` for the ECS of every realm: those that stand already, and those yet to come."""
        self._ecs_listeners.append(listener)
        for realm in self.realms:
            if realm.built("ecs"):
                listener(realm.ecs)

    def ecs_built(self, ecs: "Ecs") -> None:
        for listener in self._ecs_listeners:
            listener(ecs)

    # The home realm's services, by short names ----------------------------------------------------------------

    @property
    def ecs(self) -> "Ecs":
        return self.home.ecs

    @property
    def slb(self) -> "LoadBalancers":
        return self.home.slb

    @property
    def vpc(self) -> "Vpc":
        return self.home.vpc

    @property
    def ess(self) -> "AutoScaling":
        return self.home.ess

    @property
    def cms(self) -> "CloudMonitor":
        return self.home.cms

    @property
    def pvtz(self) -> "PrivateZone":
        return self.home.pvtz

    @property
    def alidns(self) -> "Alidns":
        return self.home.alidns

    # One for all ----------------------------------------------------------------------------------------------

    @cached_property
    def zones(self) -> "Zones":
        from emulator.network.zones import Zones

        return Zones(self)

    @cached_property
    def deliveries(self) -> "Deliveries":
        from emulator.events.delivery import Deliveries

        return Deliveries(self)

    @property
    def events_oddities(self) -> frozenset[str]:
        """How notifications break their own rules: see `emulator.events.oddities`."""
        return self.deliveries.odd

    @events_oddities.setter
    def events_oddities(self, names: frozenset[str] | set[str]) -> None:
        self.deliveries.odd = names

    @cached_property
    def tablestore(self) -> "Tablestore":
        from emulator.tablestore.model import Tablestore

        return Tablestore(self)

    # Where a request came from and went to --------------------------------------------------------------------

    def zone_behind(self, request: "web.Request") -> str | None:
        """The zone whose gateway a request came in by, if it came in by one."""
        transport = request.transport
        remote = transport.get_extra_info("peername") if transport is not None else None
        if not remote:
            return None
        for realm in self.realms:  # a gateway dials on from its own address
            if realm.built("ecs") and (zone := realm.ecs.zone_of_gateway(remote[0])) is not None:
                return zone
        return None

    def region_behind(self, request: "web.Request") -> str:
        """The region that the endpoint stands for: by its own port, or by a host name that holds the region's name
        (`ecs.cn-shanghai.aliyuncs.com`, `cn-shanghai.localhost`); else home."""
        transport = request.transport
        local = transport.get_extra_info("sockname") if transport is not None else None
        if local and (region := self.region_ports.get(local[1])) is not None:
            return region
        name = request.host.partition(":")[0]
        labels = set(name.replace("ecs-", "").split("."))
        return next((region for region in self.regions if region in labels), self.region)
