"""The agent's HTTP door.

    GET  /status    what this agent knows, as JSON
    POST /promote   {"epoch": N}: take up the lease that names this site under N. 200 once active, 409 when not (why in
                    `detail`). Asking again does no harm.
    POST /pledge    another agent asks this one not to become active (see `shared.adapters.peers`). 200 when it has
                    pledged, 409 when not
    POST /demote    give up now. 200 when the master of this site is not active any more; `released` says whether the
                    lease has been given back as well, which only reading the lease row proves.

Every answer but that carries: site, pair, active, epoch, ready, detail.

With a secret set (UNDERSTUDY_AGENT_SECRET), orders need it in the header `x-understudy-secret`, else 403. Without
one, whoever reaches the port may stop the site: then only the security group keeps others out.
"""

import hmac
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from shared.domain.errors import BadInput
from understudy.agent.serving import Handler, Server

HEADER: Final = "x-understudy-secret"
WHAT: Final = "there are GET /status, POST /promote, POST /demote, POST /pledge"

LARGEST: Final = 64 * 1024  # bytes of a body: whoever reaches the port may send one, and it is read before it is judged

Answer = tuple[HTTPStatus, Mapping[str, object]]


class Door(Server):
    def __init__(
        self,
        bind: tuple[str, int],
        *,
        status: Callable[[], Answer],
        promote: Callable[[int], Answer],
        demote: Callable[[], Answer],
        pledge: Callable[[bytes], Answer],
        secret: str | None = None,
    ) -> None:
        self.status, self.promote, self.demote, self.pledge = status, promote, demote, pledge
        self._secret = secret
        super().__init__(bind, _Handler)

    def admits(self, given: str) -> bool:
        # Headers arrive as Latin-1; compared in constant time, so that the answer's delay tells nothing.
        return self._secret is None or hmac.compare_digest(given.encode("latin-1"), self._secret.encode())


class _Handler(Handler):
    server: Door

    def do_GET(self) -> None:
        if self.path in ("/status", "/health"):
            self._answer(*self.server.status())
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"detail": WHAT})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not (length.isascii() and length.isdigit() and int(length[:9]) <= LARGEST and len(length) <= 9):
            self.close_connection = True
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"detail": f"a body has {LARGEST} bytes at most"})
            return
        body = self.rfile.read(int(length))
        if self.path == "/pledge":  # proves itself by its own seal
            try:
                self._answer(*self.server.pledge(body))
            except BadInput as error:
                self._answer(HTTPStatus.BAD_REQUEST, {"detail": str(error)})
            return
        if not self.server.admits(self.headers.get(HEADER) or ""):
            detail = f"header {HEADER} is missing or wrong: set UNDERSTUDY_AGENT_SECRET alike here and for the watches"
            self._answer(HTTPStatus.FORBIDDEN, {"detail": detail})
        elif self.path == "/promote":
            try:
                epoch = _epoch(body)
            except BadInput as error:
                self._answer(HTTPStatus.BAD_REQUEST, {"detail": str(error)})
                return
            self._answer(*self.server.promote(epoch))
        elif self.path == "/demote":
            self._answer(*self.server.demote())
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"detail": WHAT})

    def _answer(self, status: HTTPStatus, body: Mapping[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _epoch(body: bytes) -> int:
    try:
        epoch = json.loads(body)["epoch"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f'promote needs a JSON body such as {{"epoch": 4}}, not {body[:80]!r}') from error
    if type(epoch) is not int or epoch < 1:
        raise BadInput(f"promote: epoch must be a whole number from 1, not {epoch!r}")
    return epoch
