"""Masters' own ports, tried with this machine's own eyes: by a connection, or by HTTP."""

import http.client
import socket
from contextlib import suppress
from datetime import timedelta
from typing import Final

from shared.adapters.agents import exchange
from shared.adapters.clock import SystemClock
from shared.adapters.services import TcpServices
from shared.ports.clock import Clock
from shared.ports.probes import Sight, Tried

CHUNK: Final = 64 * 1024


class MasterProbes:
    """Probes port. Safe to share between threads: it keeps nothing between calls; a line is one thread's."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._tcp = TcpServices()

    def tries(self, address: str, port: int, *, path: str, timeout: timedelta) -> Tried:
        if not path:
            sight = self._tcp.answers(address, port, timeout=timeout)
            return Tried(sight=sight, well=sight is Sight.ANSWERED)
        request = f"GET {path} HTTP/1.1\r\nHost: {address}:{port}\r\nConnection: close\r\n\r\n"
        try:
            status, _ = exchange(self._clock, request.encode(), address, port, timeout)
        except TimeoutError:
            return Tried(sight=Sight.SILENT, detail=f"no answer within {timeout.total_seconds():g} s")
        except ConnectionError as error:
            return Tried(sight=Sight.REFUSED, detail=str(error) or type(error).__name__)
        except OSError as error:
            return Tried(sight=Sight.SILENT, detail=str(error) or type(error).__name__)
        except http.client.HTTPException as error:
            return Tried(sight=Sight.ANSWERED, detail=f"not HTTP: {error!r}")
        well = http.client.OK <= status < http.client.BAD_REQUEST
        return Tried(sight=Sight.ANSWERED, well=well, detail="" if well else f"HTTP {status}")

    def line(self, address: str, port: int, *, path: str, timeout: timedelta) -> "HeldLine | None":
        try:
            held = HeldLine(socket.create_connection((address, port), timeout=_soon(timeout)), address, port, path)
        except OSError:
            return None
        if held.asks(timeout=timeout) is Sight.ANSWERED and not held.broken:
            return held
        held.close()
        return None


class HeldLine:
    """One HTTP/1.1 connection. A question that was not answered is not asked again: TCP itself repeats its bytes, so
    the next call only listens, and an answer that comes at last shows that the line is alive."""

    def __init__(self, connection: socket.socket, address: str, port: int, path: str) -> None:
        self._connection = connection
        self._request = f"GET {path} HTTP/1.1\r\nHost: {address}:{port}\r\n\r\n".encode()
        self._asked = False  # and not answered yet
        self._broken = False

    @property
    def broken(self) -> bool:
        return self._broken

    def asks(self, *, timeout: timedelta) -> Sight:
        if self._broken:
            return Sight.REFUSED
        try:
            self._connection.settimeout(_soon(timeout))
            if not self._asked:
                self._connection.sendall(self._request)
                self._asked = True
            heard = self._connection.recv(CHUNK)
        except TimeoutError:
            return Sight.SILENT
        except OSError:
            heard = b""
        if not heard:
            self.close()
            return Sight.REFUSED
        # Any byte shows that traffic passes. What is left of the answer is read before the next question.
        self._rest()
        self._asked = False
        return Sight.ANSWERED

    def _rest(self) -> None:
        with suppress(OSError):
            self._connection.settimeout(_BRIEFLY)
            while self._connection.recv(CHUNK):
                pass
            self.close()

    def close(self) -> None:
        self._broken = True
        self._connection.close()


_BRIEFLY: Final = 0.02


def _soon(timeout: timedelta) -> float:
    return max(timeout.total_seconds(), 0.001)
