"""Members of a load balancer, in its default pool or in a vServer group, and the rules that both share.

Source: SLB API 2014-05-15 (SDK 3.3.31; documentation 2021, 2025). Assumptions: adding a server that is there is 400
BackendServer.Duplicate; one that is not Running is 400 BackendServer.IncorrectStatus; one of another VPC is 400
ObtainIpFail (the documentation states the rules without the codes). Backends of type eni and eci are not modelled.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.realm import Realm

T = TypeVar("T")

PER_CALL: Final = 20  # backend servers in one call
DEFAULT_WEIGHT: Final = 100  # of the balancer; Auto Scaling has its own, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    server: str
    port: int | None = None  # of a vServer group's member; None: the listener's backend port
    weight: int = DEFAULT_WEIGHT  # 0-100; 0 takes no new connections, existing ones run on
    description: str = ""

    @property
    def key(self) -> str:
        """Who it is among the members of one pool or group: a server may be in a group once for each of its ports."""
        return self.server if self.port is None else f"{self.server}:{self.port}"


def bounded(servers: Sequence[T]) -> Sequence[T]:
    if len(servers) > PER_CALL:
        raise ApiError("TooManyBackendServers", f"At most {PER_CALL} backend servers in one call.")
    return servers


def check_weight(backend: Backend) -> None:
    if not 0 <= backend.weight <= 100:
        raise ApiError("InvalidWeight.Malformed", f"The weight {backend.weight} is not within 0-100.")


def addable(realm: "Realm", vpc: str, servers: Sequence[Backend], present: Iterable[str]) -> dict[str, Backend]:
    """By key, what may come in: all of them or none. Duplicates inside one request are ignored."""
    wanted = {backend.key: backend for backend in bounded(servers)}
    there = set(present)
    for key, backend in wanted.items():
        check_weight(backend)
        if key in there:
            raise ApiError("BackendServer.Duplicate", f"The server {key} is a member already.")
        _check_server(realm, vpc, backend.server)
    return wanted


def _check_server(realm: "Realm", vpc: str, server: str) -> None:
    instance = realm.ecs.instances.get(server)
    if instance is None:
        raise ApiError("InvalidServerId.NotFound", f"The server {server} does not exist.", 404)
    if instance.state != "Running":
        raise ApiError("BackendServer.IncorrectStatus", f"The server {server} is {instance.state}, not Running.")
    if vpc and instance.vpc_id and instance.vpc_id != vpc:
        raise ApiError("ObtainIpFail", f"The server {server} is in {instance.vpc_id}, the load balancer in {vpc}.")
