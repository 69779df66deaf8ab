"""Tablestore's HTTP door: one POST per call, recognised by its `x-ots-instancename` header.

A body is waited for on its own connection only, and not for ever; what is damaged, oversized or late is answered as
documented, and others notice nothing.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from aiohttp import web
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from emulator.clock import real_now
from emulator.faults.blow import Blow
from emulator.faults.codes import Refusal
from emulator.faults.door import reset, through
from emulator.faults.fault import Asked
from emulator.faults.tablestore import disturbed
from emulator.ram.tables import allowed, tables
from emulator.tablestore.errors import Dropped, OtsError
from emulator.tablestore.protocol import dispatch, error_body
from emulator.tablestore.sign import Signer, content_md5, verify

if TYPE_CHECKING:
    from emulator.cloud import Cloud

log: Final = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 5 * 1024 * 1024


async def handle(request: web.Request, cloud: "Cloud") -> web.StreamResponse:
    """Read the body, then decide and answer in one go: nothing can come between a condition and its write."""
    operation = request.path.rsplit("/", 1)[-1]  # a path in the endpoint is sent, but not signed
    if request.method != "POST":
        return _refusal(OtsError(405, "OTSMethodNotAllowed", "Only POST method is allowed."), operation, None, cloud)
    try:
        body = await _body(request, cloud.tablestore.body_patience)
    except OtsError as error:
        answer = _refusal(error, operation, None, cloud)
        answer.force_close()  # not read to its end, so this connection cannot carry another request
        return answer
    headers = {name.lower(): value for name, value in request.headers.items()}
    signer: Signer | None = None
    try:
        signer = verify(f"/{operation}", headers, body, cloud)
        if not allowed(cloud, signer.key, headers["x-ots-instancename"], operation, body):
            raise OtsError(403, "OTSNoPermissionAccess", "You have no permission to access the requested resource.")
    except OtsError as error:
        return _refusal(error, operation, signer, cloud)
    instance = headers["x-ots-instancename"]
    if cloud.faults.on_calls:
        asked = _asked(cloud, signer, request, operation, body)
        blow = cloud.faults.blow(asked)
        if blow is not None:
            return await _struck(blow, request, instance, operation, body, signer, cloud)
    return _decided(request, instance, operation, body, signer, cloud)


def _decided(
    request: web.Request, instance: str, operation: str, body: bytes, signer: Signer, cloud: "Cloud"
) -> web.StreamResponse:
    try:
        answer_body = dispatch(cloud.tablestore, instance, operation, body)
    except OtsError as error:
        return _refusal(error, operation, signer, cloud)
    except Dropped:
        return reset(request)
    return web.Response(body=answer_body, headers=_headers(answer_body, operation, signer, cloud))


def _asked(cloud: "Cloud", signer: Signer, request: web.Request, operation: str, body: bytes) -> Asked:
    """The call as the menu of faults sees it. Instances lie in the home region (assumption: names tell no region)."""
    try:
        named = tuple(dict.fromkeys(tables(operation, body)))
    except DecodeError:
        named = ()
    zone = cloud.zone_behind(request)
    return Asked(
        service="ots",
        action=operation,
        access_key=signer.key.id,
        role=signer.key.role,
        account=signer.key.account,
        region=cloud.region,
        zones=(zone,) if zone else (),
        tables=named,
    )


async def _struck(
    blow: Blow, request: web.Request, instance: str, operation: str, body: bytes, signer: Signer, cloud: "Cloud"
) -> web.StreamResponse:
    async def run() -> web.StreamResponse:
        with disturbed(cloud.tablestore, instance, blow):
            return _decided(request, instance, operation, body, signer, cloud)

    def refuse(told: Refusal) -> web.StreamResponse:
        return _refusal(OtsError(told.status, told.code, told.message), operation, signer, cloud)

    return await through(cloud, blow, request, run=run, refuse=refuse)


async def _body(request: web.Request, patience: timedelta) -> bytes:
    """The whole body, or OtsError: too large (as soon as that is known) or too slow."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(patience.total_seconds()):
            async for part in request.content.iter_any():
                parts.append(part)
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise _too_large()
    except TimeoutError:
        raise OtsError(408, "OTSRequestTimeout", "The request body did not arrive in time.") from None
    except web.RequestPayloadError as error:
        raise OtsError(400, "OTSParameterInvalid", f"The request body cannot be read: {error}.") from error
    return b"".join(parts)


def _too_large() -> OtsError:
    return OtsError(413, "OTSRequestBodyTooLarge", f"The request body exceeds {MAX_BODY_BYTES} bytes.")


def _refusal(error: OtsError, operation: str, signer: Signer | None, cloud: "Cloud") -> web.Response:
    body = error_body(error)
    return web.Response(status=error.status, body=body, headers=_headers(body, operation, signer, cloud))


def _headers(body: bytes, operation: str, signer: Signer | None, cloud: "Cloud") -> Mapping[str, str]:
    headers = {
        "x-ots-contentmd5": content_md5(body),
        "x-ots-requestid": cloud.chance.request_id().lower(),
        "x-ots-date": real_now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "x-ots-contenttype": "protocol buffer",
    }
    if signer is not None:
        headers["Authorization"] = signer.authorization(f"/{operation}", headers)
    return headers
