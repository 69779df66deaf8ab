"""What an operator of the emulator can do to instances, disks and stock. Not part of any cloud.

POST /_emulator/ecs/shortage              {"zone": z, "type": t, "shows": "refused" | "vanishing" | null}
POST /_emulator/ecs/settings              {"default_stop_mode": m, "in_arrears": bool, "address_release_seconds": n,
                                           "stale_event_names": bool, "shown_while_resetting": state or null}
POST /_emulator/ecs/instances/ID/crash    the guest's operating system crashes: {}
POST /_emulator/ecs/instances/ID/lock     {"reason": "security", "locked": bool}
POST /_emulator/ecs/instances/ID/plan     maintenance: {"type": t, "in_seconds": n, "inquires": bool}
POST /_emulator/ecs/events/ID/cancel      the platform calls its maintenance off: {}
POST /_emulator/ecs/disks/ID/trouble      {"type": "Stalled" | "ErrorDetected" | null}: null ends it

What concerns snapshots and images is listed in `storage_switches`, what concerns addresses and commands in
`network_switches`.
Each takes `region` and `account` too; without them it is the home realm. How many are left is `/_emulator/stock`.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from emulator.admin import read_object, refuse
from emulator.ecs import network_switches, operation_locks, storage_switches
from emulator.ecs.events import DISK_TYPES, TYPE_CODES
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.ecs.model import Ecs

Act = Callable[["Ecs", str, dict[str, Any]], dict[str, Any]]
MAINTENANCE: Final = tuple(kind for kind in TYPE_CODES if kind.startswith("SystemMaintenance."))


def admin_routes(cloud: "Cloud") -> list[web.RouteDef]:
    return [web.post(f"/_emulator/ecs/{path}", _handler(cloud, path)) for path in ACTS]


def perform(cloud: "Cloud", *, path: str, account: str, region: str, id: str, given: dict[str, Any]) -> dict[str, Any]:
    """One of ACTS, as a deed: a world that is kept keeps what its operator did."""
    return ACTS[path](cloud.realm(account, region).ecs, id, given)


def _handler(cloud: "Cloud", path: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        body = await read_object(request)
        try:
            account, region = (str(body.pop(name, None) or getattr(cloud, name)) for name in ("account", "region"))
            named = request.match_info.get("id", "")
            done = cloud.do(perform, path=path, account=account, region=region, id=named, given=body)
            return web.json_response(done)
        except ApiError as error:
            return refuse(str(error), error.status)
        except ValueError as error:
            return refuse(f"{request.path.removeprefix('/_emulator/')}: {error}")

    return handle


def shortage(ecs: "Ecs", _: str, body: dict[str, Any]) -> dict[str, Any]:
    """How a lack of stock shows: as a refusal, or as instances that disappear. null ends both."""
    match body:
        case {"zone": str(zone), "type": str(kind), "shows": "refused" | "vanishing" | None as shows}:
            ecs.buying.stock.vanish(zone, kind, shows == "vanishing")
            ecs.buying.stock.set(zone, kind, 0 if shows == "refused" else None)
            return {"zone": zone, "type": kind, "shows": shows}
    raise ValueError('give {"zone": text, "type": text, "shows": "refused", "vanishing" or null}')


def settings(ecs: "Ecs", _: str, body: dict[str, Any]) -> dict[str, Any]:
    for name, value in body.items():
        match name, value:
            case "default_stop_mode", "KeepCharging" | "StopCharging":
                ecs.default_stop_mode = value
            case "in_arrears", bool():
                ecs.buying.in_arrears = value
            case "address_release_seconds", int() | float() if not isinstance(value, bool) and value >= 0:
                ecs.network.release_delay = timedelta(seconds=value)
            case "stale_event_names", bool():
                ecs.events.stale_names = value
            case "shown_while_resetting", "ReIniting" | None:
                ecs.contents.shown_while_resetting = value
            case _:
                raise ValueError(f"{name} cannot be {value!r}; the module's first lines say what can")
    return {
        "default_stop_mode": ecs.default_stop_mode,
        "in_arrears": ecs.buying.in_arrears,
        "address_release_seconds": ecs.network.release_delay.total_seconds(),
        "stale_event_names": ecs.events.stale_names,
        "shown_while_resetting": ecs.contents.shown_while_resetting,
    }


def crash(ecs: "Ecs", id: str, _: dict[str, Any]) -> dict[str, Any]:
    return {"event": ecs.failures.guest(ecs.find_instance(id)).id}


def lock(ecs: "Ecs", id: str, body: dict[str, Any]) -> dict[str, Any]:
    instance = ecs.find_instance(id)
    match body:
        case {"reason": str(reason), "locked": bool(locked)}:
            (operation_locks.lock if locked else operation_locks.unlock)(instance, reason)
            return {"instance": id, "locks": instance.locks}
    raise ValueError(f'give {{"reason": one of {", ".join(operation_locks.REASONS)}, "locked": true or false}}')


def plan(ecs: "Ecs", id: str, body: dict[str, Any]) -> dict[str, Any]:
    instance = ecs.find_instance(id)
    match body:
        case {"type": str(kind), "in_seconds": int() | float() as seconds} if kind in MAINTENANCE and seconds >= 0:
            at = ecs.clock.now() + timedelta(seconds=seconds)
            event = ecs.maintenance.plan(instance, kind, at, inquires=bool(body.get("inquires")))
            return {"event": event.id}
    raise ValueError(f'give {{"type": one of {", ".join(MAINTENANCE)}, "in_seconds": number >= 0}}')


def cancel(ecs: "Ecs", id: str, _: dict[str, Any]) -> dict[str, Any]:
    event = ecs.events.find(id)
    if event is None:
        raise ValueError(f"there is no event {id}")
    ecs.maintenance.cancel(event)
    return {"event": id, "status": event.status}


def trouble(ecs: "Ecs", id: str, body: dict[str, Any]) -> dict[str, Any]:
    disk = ecs.disks.find(id)
    match body:
        case {"type": None}:
            ecs.events.over(id)
            return {"disk": id, "trouble": None}
        case {"type": str(kind)} if kind in DISK_TYPES:
            return {"disk": id, "trouble": kind, "event": ecs.events.trouble(disk, kind).id}
    raise ValueError(f'give {{"type": {" or ".join(DISK_TYPES)} or null}}')


ACTS: Final[dict[str, Act]] = {
    "shortage": shortage,
    "settings": settings,
    "instances/{id}/crash": crash,
    "instances/{id}/lock": lock,
    "instances/{id}/plan": plan,
    "events/{id}/cancel": cancel,
    "disks/{id}/trouble": trouble,
    "disks/{id}/failing": storage_switches.failing,
    "snapshots/{id}/owner": storage_switches.owner,
    "storage": storage_switches.storage,
    "network": network_switches.network,
    "eips/{id}/lock": network_switches.lock_eip,
    "instances/{id}/agent": network_switches.agent,
    "commands": network_switches.commands,
}
