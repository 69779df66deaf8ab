"""Classic load balancers: listeners, the default server pool, vServer groups, and what health checks found.

Source: SLB API 2014-05-15 (SDK 3.3.31). The data plane (`forwarder`) and the checks (`health`) read these live objects.
Not modelled: master/slave groups, UDP, HTTP(S) listeners, forwarding rules, session persistence, bandwidth, internet
addresses, arrears (`locked`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from emulator.ecs.rules import Tokens
from emulator.slb.configuring import LISTENING, POOLING, SERVING, STOPPING, Busy
from emulator.slb.groups import ServerGroups
from emulator.slb.pool import PER_CALL, Backend, addable, bounded, check_weight
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.realm import Realm

__all__ = ["PER_CALL", "Backend", "Balancer", "Check", "Listener", "LoadBalancers"]

ACTIVE: Final = "active"
INACTIVE: Final = "inactive"
NORMAL: Final = "normal"
ABNORMAL: Final = "abnormal"
UNAVAILABLE: Final = "unavailable"  # check off, listener or balancer stopped, or no data yet

POOL: Final = 200  # backend servers of one balancer, its groups included (assumption: each member counts)
LISTENERS: Final = 50  # of one balancer
BALANCERS: Final = 30  # of one account, here in one region (assumption)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Defaults: 2 s, 5 s, 3 and 3 (assumption: the console's defaults of a TCP listener)."""

    enabled: bool = True
    path: str = ""  # HTTP GET of this path, 2xx and 3xx are healthy; "" is a TCP connect
    port: int | None = None  # None: where the traffic goes
    interval: timedelta = timedelta(seconds=2)
    timeout: timedelta = timedelta(seconds=5)
    healthy: int = 3  # answers in a row until normal
    unhealthy: int = 3  # failures in a row until abnormal


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    port: int
    backend_port: int  # of the default pool's members
    protocol: str = "tcp"
    check: Check = Check()
    group: str = ""  # the vServer group that it serves instead of the default pool
    running: bool = True
    scheduler: str = "wrr"  # wrr: by weight; rr: in turn
    bandwidth: int = -1  # -1: no limit; never enforced
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
    spec: str = ""
    protected: bool = False  # from deletion
    listeners: dict[int, Listener] = field(default_factory=dict)
    backends: dict[str, Backend] = field(default_factory=dict)  # the default pool, in order of addition
    health: dict[tuple[int, str], str] = field(default_factory=dict)  # (listener's port, member's key)
    configuring_until: datetime | None = None
    stopping: bool = False  # what is being configured is a stop


class LoadBalancers:
    """One account's balancers in one region. Synchronous, so that one call is atomic on the server's loop.

    Assumptions: SetBackendServers leaves unlisted servers alone and refuses unknown ones as InvalidServerId.NotFound;
    listeners that do not exist are InvalidParameter.
    """

    def __init__(self, realm: "Realm") -> None:
        self._realm = realm
        self.balancers: dict[str, Balancer] = {}
        self.groups = ServerGroups(self, realm)
        self.tokens = Tokens(realm.clock)
        self.endpoints: dict[tuple[str, int], tuple[str, int]] = {}
        """Where each (balancer, listener's port) really answers: see `Forwarder.address`."""
        self.configuring_for = timedelta(0)
        """For so long after a change the balancer refuses the next one: 449, 409 or 400 by what is to be changed. The
        time is not documented; 0 unless a test or an operator chooses one. Auto Scaling waits its turn by itself."""
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """`listener()` is called after every change of balancers, listeners, members or weights (not of health)."""
        self._listeners.append(listener)

    # -- balancers

    def add(self, balancer: Balancer) -> None:
        self.balancers[balancer.id] = balancer
        self._tell()

    def create(self, balancer: Balancer) -> None:
        if len(self.balancers) >= BALANCERS:
            raise ApiError("OverQuota", f"An account has at most {BALANCERS} load balancers.")
        self.add(balancer)

    def delete(self, id: str) -> Balancer:
        """With its listeners and groups; deleting one that is protected is refused."""
        balancer = self.idle(id, SERVING)
        if balancer.protected:
            raise ApiError("OperationDenied.DeleteProtectionIsOn", f"{id} is protected from deletion.")
        self.groups.forget(id)
        del self.balancers[id]
        self._tell()
        return balancer

    def get(self, id: str) -> Balancer:
        balancer = self.balancers.get(id)
        if balancer is None:
            raise ApiError("InvalidLoadBalancerId.NotFound", f"The load balancer {id} does not exist.", 404)
        return balancer

    def set_status(self, id: str, status: str) -> None:
        if status not in (ACTIVE, INACTIVE):
            raise ApiError("InvalidParameter", f"LoadBalancerStatus {status!r} is not active or inactive.")
        balancer = self.idle(id, SERVING)
        balancer.status = status
        self.changed(balancer, stopping=status == INACTIVE)

    # -- one change at a time

    def idle(self, id: str, busy: Busy, *, patient: bool = False) -> Balancer:
        """The balancer, if it can take a change now. `busy`: how it refuses otherwise; `patient`: it need not."""
        balancer = self.get(id)
        until = balancer.configuring_until
        if until is not None and self._realm.clock.now() < until and not patient:
            code, status = STOPPING if balancer.stopping else busy
            raise ApiError(code, f"The load balancer {id} is being configured: try again later.", status)
        return balancer

    def changed(self, balancer: Balancer, *, stopping: bool = False) -> None:
        if self.configuring_for:
            balancer.configuring_until = self._realm.clock.now() + self.configuring_for
            balancer.stopping = stopping
        self._tell()

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()

    # -- listeners

    def listener(self, id: str, port: int) -> Listener:
        found = self.get(id).listeners.get(port)
        if found is None:
            raise ApiError("InvalidParameter", f"The specified resource does not exist: listener {port} of {id}.")
        return found

    def add_listener(self, id: str, listener: Listener) -> None:
        balancer = self.idle(id, LISTENING)
        if listener.port in balancer.listeners:
            raise ApiError("ListenerAlreadyExists", f"The load balancer {id} listens on {listener.port} already.")
        if len(balancer.listeners) >= LISTENERS:
            raise ApiError("OverQuota", f"A load balancer has at most {LISTENERS} listeners.")
        self._check_group(balancer, listener)
        balancer.listeners[listener.port] = listener
        self.changed(balancer)

    def change_listener(self, id: str, listener: Listener) -> None:
        balancer = self.idle(id, LISTENING)
        old = self.listener(id, listener.port)
        self._check_group(balancer, listener)
        if listener.group != old.group:
            _forget_health(balancer, listener.port)
        balancer.listeners[listener.port] = listener
        self.changed(balancer, stopping=old.running and not listener.running)

    def run_listener(self, id: str, port: int, running: bool) -> None:
        """Starting what runs and stopping what is stopped is fine (assumption)."""
        self.change_listener(id, replace(self.listener(id, port), running=running))

    def delete_listener(self, id: str, port: int) -> None:
        balancer = self.idle(id, LISTENING)
        self.listener(id, port)
        del balancer.listeners[port]
        _forget_health(balancer, port)
        self.changed(balancer)

    def _check_group(self, balancer: Balancer, listener: Listener) -> None:
        if listener.group and self.groups.get(listener.group).balancer != balancer.id:
            raise ApiError("InvalidParameter", f"The group {listener.group} belongs to another load balancer.")

    # -- the default pool

    def attach(self, id: str, servers: Sequence[Backend], *, patient: bool = False) -> Balancer:
        """All of them or none. Duplicates inside one request are ignored."""
        balancer = self.idle(id, POOLING, patient=patient)
        wanted = addable(self._realm, balancer.vpc, servers, balancer.backends)
        self.check_room(balancer, len(wanted))
        balancer.backends.update(wanted)
        self.changed(balancer)
        return balancer

    def set_weights(self, id: str, servers: Sequence[Backend], *, patient: bool = False) -> Balancer:
        balancer = self.idle(id, POOLING, patient=patient)
        for backend in bounded(servers):
            check_weight(backend)
            if backend.server not in balancer.backends:
                raise ApiError("InvalidServerId.NotFound", f"The server {backend.server} is not in the pool.", 404)
        for backend in servers:
            old = balancer.backends[backend.server]
            balancer.backends[backend.server] = replace(
                old, weight=backend.weight, description=backend.description or old.description
            )
        self.changed(balancer)
        return balancer

    def detach(self, id: str, servers: Iterable[str], *, patient: bool = False) -> Balancer:
        """Removing a server that is not there is silently fine."""
        balancer = self.idle(id, POOLING, patient=patient)
        for server in bounded(list(servers)):
            balancer.backends.pop(server, None)
            for port, listener in balancer.listeners.items():
                if not listener.group:
                    balancer.health.pop((port, server), None)
        self.changed(balancer)
        return balancer

    def check_room(self, balancer: Balancer, more: int) -> None:
        if len(balancer.backends) + self.groups.members_of(balancer.id) + more > POOL:
            raise ApiError("OverQuota", f"A load balancer holds at most {POOL} backend servers.")

    # -- who serves

    def members(self, balancer: Balancer, listener: Listener) -> list[Backend]:
        """Whom the listener serves from: its vServer group, and then nobody else, or the default pool."""
        if listener.group:
            return list(self.groups.get(listener.group).members.values())
        return list(balancer.backends.values())

    def health(self, balancer: Balancer, listener: Listener, key: str) -> str:
        """`key`: the member's; in the default pool that is the server's id."""
        if not listener.check.enabled or not listener.running or balancer.status != ACTIVE:
            return UNAVAILABLE
        return balancer.health.get((listener.port, key), UNAVAILABLE)

    def serving(self, balancer: Balancer, listener: Listener) -> list[Backend]:
        """Who may get a new connection: weight above 0, healthy as far as it is checked.

        With checks on, a server without data gets nothing yet; when none is healthy nobody does (assumption).
        """
        return [
            backend
            for backend in self.members(balancer, listener)
            if backend.weight > 0
            and (not listener.check.enabled or self.health(balancer, listener, backend.key) == NORMAL)
        ]

    def address_of(self, server: str) -> str | None:
        """The private address of a member; None once the instance is released."""
        instance = self._realm.ecs.instances.get(server)
        return instance.private_ip if instance is not None else None

    def is_member(self, server: str) -> bool:
        """Of any pool or group."""
        return any(server in one.backends for one in self.balancers.values()) or self.groups.has(server)

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
                    backend.key: {
                        "weight": backend.weight,
                        "health": self.health(balancer, listener, backend.key),
                    }
                    for backend in self.members(balancer, listener)
                },
            }
            for balancer in self.balancers.values()
            for listener in balancer.listeners.values()
        ]


def _forget_health(balancer: Balancer, port: int) -> None:
    for key in [key for key in balancer.health if key[0] == port]:
        del balancer.health[key]
