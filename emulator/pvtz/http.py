"""What an operator of the emulator can do to names, private and public.

POST /_emulator/names/settings        {"private_propagation": seconds, "public_propagation": seconds,
                                       "default_group": "FAST_ZONE" | "NORMAL_ZONE"}: how long resolvers go on seeing
                                       what was, and what a private zone is that says nothing
POST /_emulator/names/records/ID/lock {"locked": bool}: a public record refuses every change
POST /_emulator/names/domains/NAME    {"forbidden": bool, "black_hole": bool, "edition": code, "records_at_most": n}

Each takes `account` too; without it it is the home account.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from emulator.admin import read_object, refuse
from emulator.alidns.editions import EDITIONS
from emulator.pvtz.model import FAST, NORMAL
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.realm import Account

Act = Callable[["Account", str, dict[str, Any]], dict[str, Any]]


def admin_routes(cloud: "Cloud") -> list[web.RouteDef]:
    return [web.post(f"/_emulator/names/{path}", _handler(cloud, path)) for path in ACTS]


def perform(cloud: "Cloud", *, path: str, account: str, id: str, given: dict[str, Any]) -> dict[str, Any]:
    """One of ACTS, as a deed."""
    return ACTS[path](cloud.realm(account, cloud.region).owner, id, given)


def _handler(cloud: "Cloud", path: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        body = await read_object(request)
        try:
            account = str(body.pop("account", None) or cloud.account)
            named = request.match_info.get("id", "")
            return web.json_response(cloud.do(perform, path=path, account=account, id=named, given=body))
        except ApiError as error:
            return refuse(str(error), error.status)
        except ValueError as error:
            return refuse(f"{request.path.removeprefix('/_emulator/')}: {error}")

    return handle


def _settings(owner: "Account", _: str, given: dict[str, Any]) -> dict[str, Any]:
    for name, value in given.items():
        match name, value:
            case "private_propagation", int() | float() if not isinstance(value, bool) and value >= 0:
                owner.pvtz.propagation = timedelta(seconds=value)
            case "public_propagation", int() | float() if not isinstance(value, bool) and value >= 0:
                owner.alidns.propagation = timedelta(seconds=value)
            case "default_group", "FAST_ZONE" | "NORMAL_ZONE":
                owner.pvtz.default_group = FAST if value == FAST else NORMAL
            case _:
                raise ValueError(f"{name} cannot be {value!r}; the module's first lines say what can")
    return {
        "private_propagation": owner.pvtz.propagation.total_seconds(),
        "public_propagation": owner.alidns.propagation.total_seconds(),
        "default_group": owner.pvtz.default_group,
    }


def _lock(owner: "Account", id: str, given: dict[str, Any]) -> dict[str, Any]:
    match given:
        case {"locked": bool(locked)}:
            owner.alidns.lock(id, locked)
            return {"record": id, "locked": locked}
    raise ValueError('give {"locked": true or false}')


def _domain(owner: "Account", id: str, given: dict[str, Any]) -> dict[str, Any]:
    domain = owner.alidns.domain(id)
    for name, value in given.items():
        match name, value:
            case "forbidden", bool():
                domain.forbidden = value
            case "black_hole", bool():
                domain.black_hole = value
            case "edition", str() if value in EDITIONS:
                domain.edition = EDITIONS[value]
            case "records_at_most", int() if not isinstance(value, bool) and value >= 0:
                domain.records_at_most = value
            case _:
                raise ValueError(f"{name} cannot be {value!r}; editions are {', '.join(EDITIONS)}")
    return {"domain": domain.name, "forbidden": domain.forbidden, "black_hole": domain.black_hole,
            "edition": domain.edition.code, "records_at_most": domain.records_at_most}  # fmt: skip


ACTS: Final[dict[str, Act]] = {"settings": _settings, "records/{id}/lock": _lock, "domains/{id}": _domain}
