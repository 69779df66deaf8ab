"""Classic load balancers: listeners, the default server pool, and what health checks found.

Source: SLB API 2014-05-15 (SDK 3.3.31). The data plane (`forwarder`) and the checks (`health`) read these live objects.
Not modelled: vServer groups, master/slave groups, UDP, TLS, session persistence, bandwidth, arrears (`locked`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.realm import Realm

_T = TypeVar("_T")

ACTIVE: Final = "active"
INACTIVE: Final = "inactive"
NORMAL: Final = "normal"
ABNORMAL: Final = "abnormal"
UNAVAILABLE: Final = "unavailable"  # check off, or no data yet

PER_CALL: Final = 20  # backend servers in one call
POOL: Final = 200  # backend servers of one balancer


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Defaults: 2 s, 5 s, 3 and 3 (assumption: the console's defaults of a TCP listener)."""

    enabled: bool = True
    path: str = ""  # HTTP GET of this path, 2xx and 3xx are healthy; "" is a TCP connect
    interval: timedelta = timedelta(seconds=2)
    timeout: timedelta = timedelta(seconds=5)
    healthy: int = 3  # answers in a row until normal
    unhealthy: int = 3  # failures in a row until abnormal


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    port: int
    backend_port: int
    protocol: str = "tcp"
    check: Check = Check()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    server: str
    weight: int = 100  # 0-100; 0 takes no new connections, existing ones run on
    description: str = ""


@dataclass(slots=True, kw_only=True)
class Balancer:
    id: str
    name: str
    address: str
    created: datetime
    status: str = ACTIVE
    vpc: str = ""
    vswitch: str = ""
    master_zone: str = ""  # "": the address belongs to no zone and never falls silent
    slave_zone: str = ""
    listeners: dict[int, Listener] = field(default_factory=dict)
    backends: dict[str, Backend] = field(default_factory=dict)  # in order of addition
    health: dict[tuple[int, str], str] = field(default_factory=dict)  # (listener's port, server)


class LoadBalancers:
    """Synchronous, so that one call is atomic on the server's loop.

    Assumptions: SetBackendServers leaves unlisted servers alone and refuses unknown ones as InvalidServerId.NotFound;
    adding a server that is there is 400 BackendServer.Duplicate; one that is not Running is 400
    BackendServer.IncorrectStatus (the documentation states the rules without the codes).
    """

    def __init__(self, realm: "Realm") -> None:
        self._realm = realm
        self.balancers: dict[str, Balancer] = {}
        self.endpoints: dict[tuple[str, int], tuple[str, int]] = {}
        """Where each (balancer, listener's port) really answers: see `Forwarder.address`."""
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """`listener()` is called after every change of balancers, listeners, members or weights (not of health)."""
        self._listeners.append(listener)

    def add(self, balancer: Balancer) -> None:
        self.balancers[balancer.id] = balancer
        self._changed()

    def get(self, id: str) -> Balancer:
        balancer = self.balancers.get(id)
        if balancer is None:
            raise ApiError("InvalidLoadBalancerId.NotFound", f"The load balancer {id} does not exist.", 404)
        return balancer

    def attach(self, id: str, servers: Sequence[Backend]) -> Balancer:
        """All of them or none. Duplicates inside one request are ignored."""
        balancer = self.get(id)
        wanted = {backend.server: backend for backend in _bounded(servers)}
        for backend in wanted.values():
            _check_weight(backend)
            if backend.server in balancer.backends:
                raise ApiError("BackendServer.Duplicate", f"The server {backend.server} is in the pool already.")
            instance = self._realm.ecs.instances.get(backend.server)
            if instance is None:
                raise ApiError("InvalidServerId.NotFound", f"The server {backend.server} does not exist.", 404)
            if instance.state != "Running":
                raise ApiError(
                    "BackendServer.IncorrectStatus", f"The server {backend.server} is {instance.state}, not Running."
                )
        if len(balancer.backends) + len(wanted) > POOL:
            raise ApiError("OverQuota", f"A load balancer holds at most {POOL} backend servers.")
        balancer.backends.update(wanted)
        self._changed()
        return balancer

    def set_weights(self, id: str, servers: Sequence[Backend]) -> Balancer:
        balancer = self.get(id)
        for backend in _bounded(servers):
            _check_weight(backend)
            if backend.server not in balancer.backends:
                raise ApiError("InvalidServerId.NotFound", f"The server {backend.server} is not in the pool.", 404)
        for backend in servers:
            old = balancer.backends[backend.server]
            balancer.backends[backend.server] = replace(
                old, weight=backend.weight, description=backend.description or old.description
            )
        self._changed()
        return balancer

    def detach(self, id: str, servers: Iterable[str]) -> Balancer:
        """Removing a server that is not there is silently fine."""
        balancer = self.get(id)
        for server in _bounded(list(servers)):
            balancer.backends.pop(server, None)
            for port in balancer.listeners:
                balancer.health.pop((port, server), None)
        self._changed()
        return balancer

    def set_status(self, id: str, status: str) -> None:
        if status not in (ACTIVE, INACTIVE):
            raise ApiError("InvalidParameter", f"LoadBalancerStatus {status!r} is not active or inactive.")
        self.get(id).status = status
        self._changed()

    def health(self, balancer: Balancer, listener: Listener, server: str) -> str:
        if not listener.check.enabled or balancer.status != ACTIVE:
            return UNAVAILABLE
        return balancer.health.get((listener.port, server), UNAVAILABLE)

    def serving(self, balancer: Balancer, listener: Listener) -> list[Backend]:
        """Who may get a new connection: weight above 0, healthy as far as it is checked.

        With checks on, a server without data gets nothing yet; when none is healthy nobody does (assumption).
        """
        return [
            backend
            for backend in balancer.backends.values()
            if backend.weight > 0
            and (not listener.check.enabled or self.health(balancer, listener, backend.server) == NORMAL)
        ]

    def address_of(self, server: str) -> str | None:
        """The private address of a member; None once the instance is released."""
        instance = self._realm.ecs.instances.get(server)
        return instance.private_ip if instance is not None else None

    def describe(self) -> list[dict[str, object]]:
        """Per listener: where it really answers, its members, their weights and health."""
        return [
            {
                "id": balancer.id,
                "listener": listener.port,
                "endpoint": "{}:{}".format(*where)
                if (where := self.endpoints.get((balancer.id, listener.port)))
                else None,
                "backends": {
                    backend.server: {
                        "weight": backend.weight,
                        "health": self.health(balancer, listener, backend.server),
                    }
                    for backend in balancer.backends.values()
                },
            }
            for balancer in self.balancers.values()
            for listener in balancer.listeners.values()
        ]

    def _changed(self) -> None:
        for listener in list(self._listeners):
            listener()


def _bounded(servers: Sequence[_T]) -> Sequence[_T]:
    if len(servers) > PER_CALL:
        raise ApiError("TooManyBackendServers", f"At most {PER_CALL} backend servers in one call.")
    return servers


def _check_weight(backend: Backend) -> None:
    if not 0 <= backend.weight <= 100:
        raise ApiError("InvalidWeight.Malformed", f"The weight {backend.weight} is not within 0-100.")
