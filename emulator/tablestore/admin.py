"""Tablestore's part of the admin door (`/_emulator/tablestore/`): splits, locks, and what there is."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aiohttp import web

from emulator.admin import read_object, refuse
from emulator.tablestore.errors import OtsError

if TYPE_CHECKING:
    from emulator.cloud import Cloud


def admin_routes(cloud: "Cloud") -> list[web.RouteDef]:
    door = _Admin(cloud)
    return [
        web.post("/_emulator/tablestore/{instance}/{table}/split", door.split),
        web.post("/_emulator/tablestore/{instance}/{table}/lock", door.lock),
        web.get("/_emulator/tablestore/{instance}", door.tables),
    ]


class _Admin:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud

    async def split(self, request: web.Request) -> web.Response:
        """`{"key": partition key, "seconds": 0.1}`: its partition splits there and is away so long."""
        return await self._happen(request, "split", 0.1)

    async def lock(self, request: web.Request) -> web.Response:
        """`{"key": partition key, "seconds": 60}`: nobody can write the key so long."""
        return await self._happen(request, "lock", 60.0)

    async def _happen(self, request: web.Request, what: str, usual: float) -> web.Response:
        instance, table = request.match_info["instance"], request.match_info["table"]
        body: dict[str, Any] = {"seconds": usual, **await read_object(request)}
        match body:
            case {"key": str() | int() as key, "seconds": int() | float() as seconds} if seconds >= 0:
                store = self._cloud.tablestore
                happen = store.split if what == "split" else store.lock
                try:
                    happen(instance, table, key, for_=timedelta(seconds=seconds))
                except (OtsError, ValueError) as error:
                    return refuse(f"tablestore/{instance}/{table}/{what}: {error}")
                return web.json_response({"instance": instance, "table": table, "key": key, "seconds": seconds})
            case _:
                return refuse(f'tablestore {what}: give {{"key": text or number, "seconds": >= 0}}, not {body}')

    async def tables(self, request: web.Request) -> web.Response:
        """Each table: rows, units used, where it is split."""
        tables = self._cloud.tablestore.tables(request.match_info["instance"])
        return web.json_response(
            {
                name: {
                    "rows": len(table),
                    "read_units": table.meter.total.read,
                    "write_units": table.meter.total.write,
                    "splits": [key.hex() if isinstance(key, bytes) else key for key in table.partitions.at],
                }
                for name, table in sorted(tables.items())
            }
        )
