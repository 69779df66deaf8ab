"""How backend servers are asked for (a JSON text) and answered."""

from collections.abc import Iterable, Mapping
from typing import Any

from emulator.slb.pool import DEFAULT_WEIGHT, Backend
from emulator.wire import params as wire
from emulator.wire import strict_json
from emulator.wire.call import ApiError

MALFORMED = ("BackendServersMalformed", "InvalidWeight.Malformed", "TooManyBackendServers")
ADDING = ("InvalidServerId.NotFound", "BackendServer.Duplicate", "BackendServer.IncorrectStatus", "ObtainIpFail",
          "OverQuota")  # fmt: skip
BALANCER = "InvalidLoadBalancerId.NotFound"
TRANSIENT = ("ServiceIsConfiguring", "ServiceIsStopping", "BackendServer.configuring", "VServerGroupProcessing",
             "SystemBusy", "OperationBusy", "Throttling.User")  # fmt: skip
"""Of every call that changes something: the first five by `configuring_for`, all of them by the menu of faults."""


def backends(params: Mapping[str, str], name: str = "BackendServers", *, ports: bool = False) -> list[Backend]:
    """A JSON text: objects, or (for Remove) plain ids. `ports`: each needs a port of its own."""
    try:
        read = strict_json.parse(wire.required(params, name))
    except ValueError:
        read = None
    if not isinstance(read, list):
        raise ApiError("BackendServersMalformed", f"{name} must be a JSON array.")
    return [_backend(item, ports=ports) for item in read]


def rows(members: Iterable[Backend]) -> dict[str, Any]:
    """Weights as numbers, and ports where members have them."""
    shown = [
        {
            "ServerId": b.server,
            **({} if b.port is None else {"Port": b.port}),
            "Weight": b.weight,
            "Type": "ecs",
            "Description": b.description,
        }
        for b in members
    ]
    return {"BackendServer": shown}


def _backend(item: object, *, ports: bool) -> Backend:
    if isinstance(item, str) and not ports:
        return Backend(server=item)
    if not isinstance(item, dict) or not isinstance(item.get("ServerId"), str):
        raise ApiError("BackendServersMalformed", f"Each backend server needs a ServerId, got {item!r}.")
    if str(item.get("Type") or "ecs") != "ecs":
        raise ApiError("UnsupportedParameter", f"The emulator does not model backends of type {item['Type']!r}.")
    return Backend(
        server=item["ServerId"],
        port=_port(item.get("Port")) if ports else None,
        weight=_weight(item.get("Weight", DEFAULT_WEIGHT)),
        description=str(item.get("Description", "")),
    )


def _weight(given: object) -> int:
    """A number or its text."""
    try:
        return int(str(given))
    except ValueError:
        raise ApiError("InvalidWeight.Malformed", f"The weight {given!r} is not a number.") from None


def _port(given: object) -> int:
    text = str(given)
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ApiError("BackendServersMalformed", f"A vServer group's member needs a Port of 1-65535, got {given!r}.")
    return int(text)
