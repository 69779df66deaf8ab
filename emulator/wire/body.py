"""Reading a request's body within bounds: no client can make the server hold more, or wait longer, than one call needs.

Bodies are waited for on their own connection only; what was not read to its end cannot carry another request, so the
refusals here close the connection.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiohttp import web

SMALL: Final = 1024 * 1024
"""Bytes: what a call of an RPC service, or of the admin door, may send (assumption: no limit of the gateway is
documented, and nothing that a call carries is as large)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a client may take, in real time."""

    head: timedelta = timedelta(seconds=60)
    """For the first request's line and headers, counted from when the connection was opened."""
    idle: timedelta = timedelta(minutes=10)
    """For the next one's, counted from the last answer: pools of clients keep connections."""
    body: timedelta = timedelta(seconds=30)
    """For a whole body: a byte now and then does not renew it."""


PATIENCE: Final = web.AppKey("patience", Patience)
BODY: Final = web.RequestKey("body", bytes)


class BodyRefused(Exception):
    """`status` 413: too large; 408: too slow; 400: cannot be read."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


async def read_body(request: web.Request, *, at_most: int = SMALL) -> bytes:
    """The whole body, read once and kept. Raises BodyRefused as soon as it is known that there will be none."""
    if BODY in request:
        return request[BODY]
    too_large = BodyRefused(413, f"The request's body exceeds {at_most} bytes.")
    if (request.content_length or 0) > at_most:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(request.app[PATIENCE].body.total_seconds()):
            async for part in request.content.iter_any():
                parts.append(part)
                size += len(part)
                if size > at_most:
                    raise too_large
    except TimeoutError:
        raise BodyRefused(408, "The request's body did not arrive in time.") from None
    except web.RequestPayloadError as error:
        raise BodyRefused(400, f"The request's body cannot be read: {error}.") from error
    request[BODY] = b"".join(parts)
    return request[BODY]
