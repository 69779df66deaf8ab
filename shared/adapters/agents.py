"""The masters' agents over HTTP. What could not be seen is a sight of its own, never an exception.

The whole exchange has one deadline: an agent that trickles bytes must not hold up a failover.
"""

import http.client
import io
import json
import socket
from datetime import timedelta
from typing import Any, Final

from shared.adapters.clock import SystemClock
from shared.domain.errors import BadInput
from shared.domain.ids import Epoch
from shared.ports.clock import Clock
from shared.ports.probes import AgentReport, PeerView, Sight

LARGEST_ANSWER: Final = 64 * 1024
LONGEST: Final = timedelta(days=3650)  # no lag, age or pledge is longer


class HttpAgents:
    """Agents port. Safe to share between threads: it keeps nothing between calls."""

    def __init__(self, *, clock: Clock | None = None, secret: str | None = None, source: str | None = None) -> None:
        """`secret`: what the agents' UNDERSTUDY_AGENT_SECRET says, sent with orders only. `source`: the local address
        to call from; None: as the system chooses. Raises BadInput."""
        if secret is not None and not (secret.isascii() and secret.isprintable()):
            raise BadInput("UNDERSTUDY_AGENT_SECRET goes into an HTTP header: use printable ASCII characters only")
        self._clock: Clock = clock or SystemClock()
        self._secret, self._source = secret, source

    def look(self, address: str, port: int, *, timeout: timedelta) -> AgentReport:
        return self._ask("GET", "/status", None, address, port, timeout)

    def promote(self, address: str, port: int, *, epoch: Epoch, timeout: timedelta) -> AgentReport:
        return self._ask("POST", "/promote", {"epoch": epoch}, address, port, timeout)

    def demote(self, address: str, port: int, *, timeout: timedelta) -> AgentReport:
        return self._ask("POST", "/demote", {}, address, port, timeout)

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None, address: str, port: int, timeout: timedelta
    ) -> AgentReport:
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {address}:{port}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        )
        if method == "POST" and self._secret is not None:
            head += f"x-understudy-secret: {self._secret}\r\n"
        head += "\r\n"
        try:
            status, answer = exchange(self._clock, head.encode() + content, address, port, timeout, source=self._source)
        except TimeoutError:
            return AgentReport(sight=Sight.SILENT, detail=f"no answer within {timeout.total_seconds():g} s")
        except ConnectionError as error:
            # Refused, reset or hung up: the host is there, the process is not, or not any more.
            return AgentReport(sight=Sight.REFUSED, detail=str(error) or type(error).__name__)
        except OSError as error:
            # No route, no such host: nobody said no.
            return AgentReport(sight=Sight.SILENT, detail=str(error) or type(error).__name__)
        except http.client.HTTPException as error:
            return AgentReport(sight=Sight.ANSWERED, detail=f"not an agent: {error!r}")
        return _report(status, answer)


def exchange(
    clock: Clock, request: bytes, address: str, port: int, timeout: timedelta, *, source: str | None = None
) -> tuple[int, bytes]:
    """Status and body of one HTTP exchange, all of it within `timeout`. `source`: the local address to call from.
    Raises OSError (TimeoutError when the time is over) and HTTPException."""
    deadline = clock.monotonic() + timeout.total_seconds()
    soon = max(timeout.total_seconds(), 0.001)
    whence = None if source is None else (source, 0)
    with socket.create_connection((address, port), timeout=soon, source_address=whence) as connection:
        timed = _Timed(connection, deadline, clock)
        timed.send(request)
        response = http.client.HTTPResponse(timed)  # type: ignore[arg-type]  # it only ever calls makefile
        try:
            response.begin()
            return response.status, response.read(LARGEST_ANSWER)
        finally:
            response.close()


class _Timed(io.RawIOBase):
    """A connection whose every wait ends at one deadline."""

    def __init__(self, connection: socket.socket, deadline: float, clock: Clock) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline
        self._clock = clock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._await()
        return self._connection.recv_into(buffer)

    def send(self, request: bytes) -> None:
        self._await()
        self._connection.sendall(request)

    def _await(self) -> None:
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)


def _report(status: int, answer: bytes) -> AgentReport:
    try:
        body = json.loads(answer)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return AgentReport(sight=Sight.ANSWERED, detail=f"HTTP {status}, not an agent's JSON: {answer[:80]!r}")
    active, epoch, site, ready = body.get("active"), body.get("epoch"), body.get("site"), body.get("ready")
    detail = str(body.get("detail") or body.get("error") or "")
    if status >= http.client.BAD_REQUEST:
        detail = f"HTTP {status}: {detail}".rstrip(": ")
    return AgentReport(
        sight=Sight.ANSWERED,
        active=active if isinstance(active, bool) else None,
        epoch=Epoch(epoch) if isinstance(epoch, int) and not isinstance(epoch, bool) else None,
        site=site if isinstance(site, str) else None,
        ready=ready if isinstance(ready, bool) else None,
        detail=detail,
        holder=_text(body.get("holder")),
        lag=_seconds(body.get("lag_s")),
        lag_age=_seconds(body.get("lag_age_s")),
        pledged_for=_seconds(body.get("pledged_for_s")),
        place=_text(body.get("place")),
        peers=_peers(body.get("peers")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: object) -> timedelta | None:
    """None for whatever is no duration, so that a lag of "nan" is unknown and not none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LONGEST.total_seconds():
        return None
    return timedelta(seconds=value)


def _peers(value: object) -> dict[str, PeerView]:
    views: dict[str, PeerView] = {}
    for site, view in value.items() if isinstance(value, dict) else ():
        age = _seconds(view.get("age_s")) if isinstance(view, dict) else None
        if age is None or view.get("sight") not in list(Sight):  # a list, for what cannot be hashed is no sight either
            continue  # a view of unknown age says nothing
        active, epoch = view.get("active"), view.get("epoch")
        views[str(site)] = PeerView(
            sight=Sight(view["sight"]),
            active=active if isinstance(active, bool) else None,
            epoch=Epoch(epoch) if isinstance(epoch, int) and not isinstance(epoch, bool) else None,
            age=age,
        )
    return views
