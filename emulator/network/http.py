"""The guests' disk door, and what an operator of the emulator can do to guests.

GET  /_guest/TOKEN/disks                          the disks of the token's instance, as JSON
GET  /_guest/TOKEN/disks/vdb?offset=&length=      bytes of one disk (8 MiB at most)
PUT  /_guest/TOKEN/disks/vdb?offset=              write the body there

GET  /_emulator/guests                            all guests with their processes
POST /_emulator/guests/INSTANCE/kill|freeze|thaw  {"pid": N}: one process; {}: all of them
POST /_emulator/guests/INSTANCE/refuse            {"refuse": bool}: its ports refuse, or serve again
GET  /_emulator/guests/INSTANCE/log?tail=N        the last bytes of its output
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from emulator import deeds
from emulator.network import metadata
from emulator.wire import strict_json
from emulator.wire.body import read_body
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.ecs.disks import Disk
    from emulator.network.guest import Guest
    from emulator.network.hypervisor import Hypervisor

LARGEST_IO: Final = 8 * 1024 * 1024
LONGEST_TAIL: Final = 256 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(cloud: "Cloud") -> list[web.RouteDef]:
    door = _DiskDoor(cloud)
    return [
        web.get("/_guest/{token}/disks", _refusals(door.listing)),
        web.get("/_guest/{token}/disks/{device}", _refusals(door.read), allow_head=False),
        web.put("/_guest/{token}/disks/{device}", _refusals(door.write)),
        *metadata.routes(cloud),
    ]


def admin_routes(cloud: "Cloud") -> list[web.RouteDef]:
    door = _GuestAdmin(cloud)
    return [
        web.get("/_emulator/guests", _refusals(door.listing)),
        web.post("/_emulator/guests/{instance}/kill", _refusals(door.signal(signal.SIGKILL))),
        web.post("/_emulator/guests/{instance}/freeze", _refusals(door.signal(signal.SIGSTOP))),
        web.post("/_emulator/guests/{instance}/thaw", _refusals(door.signal(signal.SIGCONT))),
        web.post("/_emulator/guests/{instance}/refuse", _refusals(door.refuse)),
        web.get("/_emulator/guests/{instance}/log", _refusals(door.log)),
    ]


def _refusals(handler: Handler) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return web.json_response({"error": error.message, "code": error.code}, status=error.status)

    return answer


def _hypervisor(cloud: "Cloud") -> "Hypervisor":
    if cloud.hypervisor is None:
        raise ApiError("ServiceUnavailable", "This emulator runs no guests.", 503)
    return cloud.hypervisor


class _DiskDoor:
    """The token is the only credential: guests know their own and no other."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud

    async def listing(self, request: web.Request) -> web.Response:
        return web.json_response(
            [{"device": _short(d), "kind": d.kind, "size": d.volume.size} for d in self._disks(request)]
        )

    async def read(self, request: web.Request) -> web.Response:
        volume = self._disk(request).volume
        offset = _number(request, "offset", 0)
        length = _number(request, "length", min(LARGEST_IO, max(0, volume.size - offset)))
        self._check(offset, length, volume.size)
        return web.Response(body=volume.read(offset, length), content_type="application/octet-stream")

    async def write(self, request: web.Request) -> web.Response:
        volume = self._disk(request).volume
        offset = _number(request, "offset", 0)
        if request.content_length is None:
            raise ApiError("MissingContentLength", "A write needs a Content-Length.", 411)
        self._check(offset, request.content_length, volume.size)
        body = await read_body(request, at_most=LARGEST_IO)
        # While the body came in the disk may have been detached or the machine stopped: look again, then write at once.
        ecs, disk = self._guest(request).ecs, self._disk(request)
        self._check(offset, len(body), disk.volume.size)
        self._cloud.do(deeds.write_disk, account=ecs.account, region=ecs.region, disk=disk.id, offset=offset, body=body)
        return web.json_response({"written": len(body), "size": disk.volume.size})

    def _check(self, offset: int, length: int, size: int) -> None:
        if length > LARGEST_IO:
            raise ApiError("InvalidLength", f"At most {LARGEST_IO} bytes at once, not {length}.", 413)
        if offset + length > size:
            raise ApiError("InvalidOffset", f"{offset} + {length} is beyond the disk's {size} bytes.", 416)

    def _guest(self, request: web.Request) -> "Guest":
        return _hypervisor(self._cloud).by_token(request.match_info["token"])

    def _disks(self, request: web.Request) -> "list[Disk]":
        return list(self._guest(request).instance.disks())

    def _disk(self, request: web.Request) -> "Disk":
        device = request.match_info["device"]
        for disk in self._disks(request):
            if _short(disk) == device:
                return disk
        raise ApiError("InvalidDevice.NotFound", f"No disk is attached as {device}.", 404)


class _GuestAdmin:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud

    async def listing(self, _: web.Request) -> web.Response:
        return web.json_response([guest.describe() for guest in _hypervisor(self._cloud).guests.values()])

    def signal(self, number: signal.Signals) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            body = await _body(request)
            pid = body.get("pid")
            if pid is not None and (not isinstance(pid, int) or isinstance(pid, bool)):
                raise ApiError("InvalidParameter", f"pid must be a number, not {pid!r}.")
            instance = request.match_info["instance"]
            _hypervisor(self._cloud).signal(instance, number, pid=pid)
            return web.json_response({"instance": instance, "signal": number.name, "pid": pid})

        return handler

    async def refuse(self, request: web.Request) -> web.Response:
        refusing = (await _body(request)).get("refuse")
        if not isinstance(refusing, bool):
            raise ApiError("InvalidParameter", 'give {"refuse": true} or {"refuse": false}')
        guest = _hypervisor(self._cloud).guest(request.match_info["instance"])
        for nic in guest.nics:
            nic.refuse(refusing)
        return web.json_response({"instance": guest.instance.id, "refuse": refusing})

    async def log(self, request: web.Request) -> web.Response:
        guest = _hypervisor(self._cloud).guest(request.match_info["instance"])
        tail = min(_number(request, "tail", 16 * 1024), LONGEST_TAIL)
        text = await asyncio.to_thread(_tail, guest.log_path, tail)
        return web.Response(body=text, content_type="text/plain", charset="utf-8")


def _short(disk: "Disk") -> str:
    return disk.device.removeprefix("/dev/")


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise ApiError("InvalidParameter", f"{name} must be a whole number from 0, not {text!r}.")
    return int(text)


def _tail(path: Path, length: int) -> bytes:
    with path.open("rb") as log:
        log.seek(max(0, log.seek(0, 2) - length))
        return log.read()


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = strict_json.parse(await read_body(request) or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ApiError("InvalidParameter", "The body must be a JSON object.")
    return body
