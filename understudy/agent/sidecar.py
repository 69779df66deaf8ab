"""For masters in any language: GET /active, on this machine only unless told otherwise.

    GET /active            200 while this site is active, else 503
    GET /active?epoch=4    200 only while it is active under epoch 4

    {"active": true, "epoch": 4, "remaining_ms": 3120, "site": "hz-h", "pair": "control"}

The contract is that of `understudy.agent.client`, in two requests. Read your own monotonic clock, then ask: the answer
holds for `remaining_ms` from that reading, since the agent read its clock later. Do the work and write its accept
record, then ask again with `?epoch=`: only what gets 200 then, and arrives before its own time is over, is accepted.
No answer, an answer that came after its time, or any status but 200 mean: not active.
"""

import json
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from shared.domain.lease import Grant
from shared.ports.clock import Clock
from understudy.agent.serving import Handler, Server


class Sidecar(Server):
    def __init__(
        self, bind: tuple[str, int], *, grant: Callable[[], Grant], clock: Clock, names: dict[str, str]
    ) -> None:
        """`names`: pair and site, for the answers."""
        self._grant, self._clock, self._names = grant, clock, names
        super().__init__(bind, _Handler)

    def answer(self, epoch: int | None) -> tuple[HTTPStatus, dict[str, object]]:
        grant = self._grant()
        left = int((grant.until - self._clock.monotonic()) * 1000)  # read after the grant, rounded down
        active = left > 0 and epoch in (None, int(grant.epoch))
        status = HTTPStatus.OK if active else HTTPStatus.SERVICE_UNAVAILABLE
        remaining = left if active else 0
        return status, {"active": active, "epoch": int(grant.epoch), "remaining_ms": remaining, **self._names}


class _Handler(Handler):
    server: Sidecar

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        epoch = parse_qs(url.query, keep_blank_values=True).get("epoch", [None])[-1]
        if url.path != "/active":
            self._answer(HTTPStatus.NOT_FOUND, {"detail": "there is GET /active"})
        elif epoch is not None and not (epoch.isascii() and epoch.isdigit()):
            self._answer(HTTPStatus.BAD_REQUEST, {"detail": f"epoch must be a whole number, not {epoch!r}"})
        else:
            self._answer(*self.server.answer(None if epoch is None else int(epoch)))

    def _answer(self, status: HTTPStatus, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
