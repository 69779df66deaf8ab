"""The HTTP door: every emulated service on one port, told apart as the real gateways do.

RPC services share `/` (version and action name the operation), Tablestore is known by its header, Function Compute,
guests and the admin door have paths of their own. One event loop owns all models, so a model method is atomic.
"""

import asyncio
import importlib
import importlib.util
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from emulator import admin, seed
from emulator.cloud import ACCOUNT, REGIONS, Cloud
from emulator.ram import seed as ram_seed
from emulator.wire.body import PATIENCE, SMALL, BodyRefused, Patience
from emulator.wire.log import Entry
from emulator.wire.rpc import RpcDoor

logger = logging.getLogger(__name__)

HTTP_MODULES = (
    "emulator.coverage",
    *(
        f"emulator.{part}.http"
        for part in ("ecs", "fc", "network", "slb", "pvtz", "alidns", "vpc", "ess", "cms", "sts")
    ),
    *(f"emulator.{part}.http" for part in ("ram", "faults", "events", "persistence")),
    "emulator.tablestore.admin",
)
"""Modules that may have `routes(cloud)` (paths of the cloud's own) or `admin_routes(cloud)` (below /_emulator/)."""

OTS_HEADER = "x-ots-instancename"
OWN_PATHS = ("/_emulator/", "/_guest/")
LONGEST_LINE = 128 * 1024
"""Bytes of a request line: the SDKs put all parameters in it, user data and commands included (assumption: the limit of
the cloud's gateway is not documented)."""
LONGEST_HEADER = 16 * 1024
LOOK_AT_IDLE_SECONDS = 1.0
LINGER_SECONDS = 0.5
"""How long a refused body is still read, and forgotten, so that its sender gets to see the refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to emulate. `fc` names an s.yaml; `settings` fill `${...}` in the seed file."""

    host: str = "127.0.0.1"
    port: int = 0
    access_keys: tuple[tuple[str, ...], ...] = (("testid", "testsecret"),)
    """(id, secret) of the home account, or (id, secret, account)."""
    ots_instance: str = "understudy"
    ram_roles: tuple[tuple[str, tuple[Path, ...]], ...] = ()
    """(name, policy files) of roles of the home account; with one of them declared, permissions are enforced."""
    ram_vars: Mapping[str, str] = field(default_factory=dict)  # answers @name@ in those files
    seed: Path | str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    start: datetime = datetime(2026, 3, 2, tzinfo=UTC)
    rate: float = 0.0
    random_seed: int = 1
    patience: Patience = field(default_factory=Patience)
    """With slow clients, in real time."""
    data: Path | None = None
    """Where the world is kept between runs; None: it ends with the process. A world that is kept already goes on from
    its own seed and its own time."""
    data_fsync: bool = False  # survive a power cut as well, not only the end of this process
    regions: tuple[str, ...] = REGIONS
    """Those that exist. The first is home and has the main port, each other one a port of its own."""
    fc: Path | None = None
    fc_code: tuple[Path, ...] = ()
    fc_env: Mapping[str, str] = field(default_factory=dict)  # overrides every function's environment
    fc_vars: Mapping[str, str] = field(default_factory=dict)  # answers ${env(...)} in s.yaml
    fc_workdir: Path | None = None
    fc_key_lifetime: timedelta = timedelta(hours=36)  # of the temporary keys that functions get, emulated


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Part(Protocol):
    """A service with real sockets or processes of its own."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def build_cloud(options: Options) -> Cloud:
    """The models, seeded, without any door."""
    if options.data is None:
        cloud = Cloud(seed=options.random_seed, start=options.start, regions=options.regions)
        _furnish(cloud, options)
        if options.seed is not None:
            seed.load(options.seed, cloud, settings=options.settings)
    else:
        cloud = _kept(options, options.data)
    cloud.clock.set_rate(options.rate)
    return cloud


def _furnish(cloud: Cloud, options: Options) -> None:
    for key_id, secret, *account in options.access_keys:
        cloud.keys.add(key_id, secret, account=account[0] if account else ACCOUNT)
    cloud.ots_instances.add(options.ots_instance)
    ram_seed.declare(cloud, options.ram_roles, {"ots": options.ots_instance.lower(), **options.ram_vars})


def _kept(options: Options, directory: Path) -> Cloud:
    from emulator.persistence import world

    text, where = (None, "") if options.seed is None else seed.read(options.seed)
    origin = world.Origin(
        seed=text,
        seed_name=where,
        settings=dict(options.settings),
        start=options.start.isoformat(),
        random_seed=options.random_seed,
        regions=options.regions,
    )
    return world.open_world(directory, origin, furnish=lambda cloud: _furnish(cloud, options), fsync=options.data_fsync)


def plug_in(name: str) -> ModuleType | None:
    """The module, or None where that service has no such part."""
    parent = importlib.util.find_spec(name.rpartition(".")[0])
    package = parent is not None and parent.submodule_search_locations is not None
    return importlib.import_module(name) if package and importlib.util.find_spec(name) is not None else None


class Server:
    """`start()` opens the doors, `stop()` closes them and ends every child process."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.cloud = build_cloud(options)
        self.dns: str | None = None
        self.endpoints: dict[str, str] = {}  # HOST:PORT by region
        self._parts: list[Part] = []
        self._runner: web.AppRunner | None = None
        self._flow: asyncio.Task[None] | None = None
        self._idlers: asyncio.Task[None] | None = None
        self._quiet_since: dict[RequestHandler, tuple[float, timedelta]] = {}
        """Connections without a request under way, and how long that is borne."""
        self._at_work: set[RequestHandler] = set()

    @property
    def url(self) -> str:
        return self.cloud.url

    async def start(self) -> None:
        if self.cloud.journal is not None:
            await self.cloud.journal.start()  # first to come and last to go: it keeps what the others do
        self._build_functions()
        app = self._application()
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=1.0,
            lingering_time=LINGER_SECONDS,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_HEADER,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.options.host, self.options.port, backlog=512)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.cloud.host, self.cloud.port, self.cloud.url = host, port, f"http://{host}:{port}"
        await self._open_regions(host)
        self._flow = asyncio.create_task(self.cloud.clock.flow(), name="emulated time")
        self._idlers = asyncio.create_task(self._let_idlers_go(), name="idle connections")
        await self._start_parts()

    async def _open_regions(self, host: str) -> None:
        """The endpoint decides on the region of many actions, so every region has one."""
        assert self._runner is not None
        self.endpoints = {self.cloud.region: f"{host}:{self.cloud.port}"}
        for region in self.cloud.regions[1:]:
            await web.TCPSite(self._runner, host, 0, backlog=512).start()
            port = self._runner.addresses[-1][1]
            self.cloud.region_ports[port] = region
            self.endpoints[region] = f"{host}:{port}"

    def _build_functions(self) -> None:
        options = self.options
        if options.fc is None:
            return
        module = plug_in("emulator.fc.service")
        if module is None:
            raise RuntimeError("--fc was given, but this emulator has no Function Compute (emulator/fc/service.py)")
        self.cloud.fc = module.FunctionCompute(
            self.cloud,
            project=options.fc,
            code=options.fc_code,
            environment=dict(options.fc_env),
            variables=dict(options.fc_vars),
            workdir=options.fc_workdir,
            credential_lifetime=options.fc_key_lifetime,
        )
        if self.cloud.journal is not None:
            from emulator.persistence.functions import keep_functions

            keep_functions(self.cloud.fc, self.cloud.journal)

    async def _start_parts(self) -> None:
        if module := plug_in("emulator.pvtz.dns"):
            dns = module.DnsServer(self.cloud)
            await dns.start(self.options.host, 0)
            self._parts.append(dns)
            self.dns = self.cloud.dns = f"{dns.address[0]}:{dns.address[1]}"
        if module := plug_in("emulator.network.hypervisor"):
            work_dir = None if self.options.fc_workdir is None else self.options.fc_workdir / "guests"
            self.cloud.hypervisor = module.Hypervisor(self.cloud, work_dir=work_dir)
            await self._start_part(cast(Part, self.cloud.hypervisor))
        if module := plug_in("emulator.slb.service"):
            await self._start_part(module.LoadBalancing(self.cloud))
        if self.cloud.fc is not None:
            await self._start_part(cast(Part, self.cloud.fc))

    async def _start_part(self, part: Part) -> None:
        self._parts.append(part)  # before it starts: a part that failed half-way is stopped as well
        await part.start()

    async def stop(self) -> None:
        try:
            for part in reversed(self._parts):
                await part.stop()
            self._parts.clear()
            for task in (self._flow, self._idlers):
                if task is not None:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
            if self._runner is not None:
                await self._runner.cleanup()
                self._runner = None
        finally:
            if self.cloud.journal is not None:
                await self.cloud.journal.stop()

    def _application(self) -> web.Application:
        cloud = self.cloud
        app = web.Application(client_max_size=SMALL)
        app[PATIENCE] = self.options.patience
        rpc = RpcDoor(cloud)
        routes: list[web.RouteDef] = [
            web.route("*", "/", rpc.handle),
            *admin.routes(cloud),
        ]
        for name in HTTP_MODULES:
            if module := plug_in(name):
                for part in ("routes", "admin_routes"):
                    if hasattr(module, part):
                        routes.extend(getattr(module, part)(cloud))
        app.add_routes([*routes, admin.index(routes)])
        app.on_shutdown.append(self._answer_what_is_held)
        tablestore, functions = plug_in("emulator.tablestore.http"), plug_in("emulator.fc.http")
        app.middlewares.append(self._watched)
        app.middlewares.append(_dispatch(cloud, tablestore, functions, rpc))
        return app

    @web.middleware
    async def _watched(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Which connections are at work, for `_let_idlers_go`."""
        self._quiet_since.pop(request.protocol, None)
        self._at_work.add(request.protocol)
        try:
            return await handler(request)
        finally:
            self._at_work.discard(request.protocol)
            now = asyncio.get_running_loop().time()
            self._quiet_since[request.protocol] = (now, self.options.patience.idle)

    async def _let_idlers_go(self) -> None:
        """Close connections on which no whole request comes: aiohttp waits for ever for one that has begun."""
        assert self._runner is not None
        patience = self.options.patience
        loop, pause = asyncio.get_running_loop(), min(LOOK_AT_IDLE_SECONDS, patience.head.total_seconds() / 4)
        seen: set[RequestHandler] = set()
        while self._runner.server is not None:
            now, there = loop.time(), set(self._runner.server.connections)
            for fresh in there - seen - self._at_work - self._quiet_since.keys():
                self._quiet_since[fresh] = (now, patience.head)
            seen = there
            self._quiet_since = {one: state for one, state in self._quiet_since.items() if one in there}
            for one, (since, borne) in self._quiet_since.items():
                if now - since > borne.total_seconds():
                    one.force_close()
            await asyncio.sleep(pause)

    async def _answer_what_is_held(self, _: web.Application) -> None:
        self.cloud.faults.closing.set()


def _dispatch(cloud: Cloud, tablestore: ModuleType | None, functions: ModuleType | None, rpc: RpcDoor) -> Any:
    """Tablestore by its header, a domain of one's own by its name, whatever the path; the rest by route. Calls that are
    not RPC are logged here."""

    @web.middleware
    async def dispatch(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await serve(request, handler)
        finally:
            if cloud.journal is not None:
                cloud.journal.commit()  # before the answer leaves, whatever it is

    async def serve(request: web.Request, handler: Handler) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if OTS_HEADER in request.headers and tablestore is not None:
            response: web.StreamResponse = await tablestore.handle(request, cloud)
            _log(cloud, "ots", path.strip("/"), request, response.status)
            return response
        try:
            own = functions.at_domain(cloud, request) if functions is not None else None
            if own is not None:
                response = await own
                _log(cloud, "fc", f"{request.method} {path}", request, response.status)
                return response
            response = await handler(request)
        except BodyRefused as refusal:
            response = admin.refuse(refusal.message, refusal.status)
            response.force_close()
        except OverflowError:
            if not path.startswith(OWN_PATHS):
                raise
            return admin.refuse("a number is too large")
        except web.HTTPNotFound:
            if path.startswith(OWN_PATHS):
                raise
            logger.warning("path not modelled: %s %s", request.method, path[:200])
            return rpc.not_found(request)
        if path == "/" or path.startswith(OWN_PATHS):
            return response
        if "X-Fc-Request-Id" not in response.headers:  # Function Compute keeps its own entry
            _log(cloud, "fc", f"{request.method} {path}", request, response.status)
        return response

    return dispatch


def _log(cloud: Cloud, service: str, action: str, request: web.Request, status: int) -> None:
    key = request.headers.get("x-ots-accesskeyid") or request.headers.get("x-acs-accesskey-id") or ""
    known = cloud.keys.find(key) if key else None
    who = (known.role or known.id) if known is not None else key
    cloud.requests.add(Entry(cloud.clock.now(), service, action, who, status))
