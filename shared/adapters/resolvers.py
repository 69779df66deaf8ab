"""DNS servers over UDP, by the standard library alone: read back what clients are told.

Every question has a socket, a port and an id of its own, and its socket takes datagrams from the asked server alone, so
a late or a foreign answer is not taken for ours. A question is sent twice if need be: datagrams get lost.
"""

import ipaddress
import selectors
import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from shared.adapters import chance
from shared.adapters.clock import SystemClock
from shared.adapters.dns_message import NotToUs, Unusable, answer, question
from shared.domain.errors import BadInput
from shared.ports.clock import Clock
from shared.ports.resolvers import Resolved

OF_THE_VPC: Final = ("100.100.2.136", "100.100.2.138")
"""The resolvers inside every VPC: PrivateZone's names, then public ones. Source: PrivateZone documentation, 2026.
Assumption: a function that is attached to the VPC reaches them as an instance does."""

PORT: Final = 53
LARGEST: Final = 4096  # octets of a datagram; answers to plain questions have 512 at most


class UdpResolvers:
    """Resolvers port. Safe to share between threads: it keeps nothing between calls."""

    def __init__(self, *, clock: Clock | None = None, instead: Sequence[str] = ()) -> None:
        """`instead`: asked whatever servers are named (a local cloud's). Raises BadInput for one that is no address."""
        self._clock: Clock = clock or SystemClock()
        self._instead = tuple(instead)
        for server in self._instead:
            place(server)

    def ask(self, names: Sequence[str], *, servers: Sequence[str], timeout: timedelta) -> tuple[Resolved, ...]:
        asked = [(name, server) for name in names for server in (self._instead or servers or OF_THE_VPC)]
        queries = [_Query(name, server) for name, server in asked]
        try:
            self._wait(queries, timeout.total_seconds())
            return tuple(query.result(timeout) for query in queries)
        finally:
            for query in queries:
                query.socket.close()

    def _wait(self, queries: Sequence["_Query"], length: float) -> None:
        began = self._clock.monotonic()
        again, end = began + length / 2, began + length
        for query in queries:
            query.send()
        with selectors.DefaultSelector() as selector:
            for query in queries:
                selector.register(query.socket, selectors.EVENT_READ, query)
            while any(query.waits for query in queries) and (now := self._clock.monotonic()) < end:
                if now >= again:
                    again = end
                    for query in queries:
                        query.send()
                for key, _ in selector.select(max(0.0, min(again, end) - now)):
                    key.data.receive()


class _Query:
    def __init__(self, name: str, server: str) -> None:
        self.name, self.server = name, server
        self._id = int(chance.token(2), 16)
        self._wire = b""
        self._done: Resolved | None = None
        self._odd = ""  # the last datagram that was no answer to us
        where = place(server)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        try:
            self._wire = question(self._id, name)
            self.socket.connect(where)  # from now on only its datagrams come in
        except ValueError as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(f"cannot be reached: {error.strerror or error}")

    @property
    def waits(self) -> bool:
        return self._done is None

    def send(self) -> None:
        if not self.waits:
            return
        try:
            self.socket.send(self._wire)
        except OSError as error:
            self._fail(f"cannot be reached: {error.strerror or error}")

    def receive(self) -> None:
        try:
            wire = self.socket.recv(LARGEST)
            if not self.waits:
                return  # the answer to the question's second copy
            told = answer(wire, id=self._id, name=self.name)
        except BlockingIOError:
            return  # a datagram that was dropped for its checksum
        except OSError as error:
            if self.waits:
                self._fail(f"cannot be reached: {error.strerror or error}")
        except NotToUs as odd:
            self._odd = str(odd)
        except Unusable as reason:
            self._fail(str(reason))
        else:
            self._done = Resolved(
                server=self.server,
                name=self.name,
                addresses=told.addresses,
                aliases=told.aliases,
                ttl_seconds=told.ttl_seconds,
            )

    def result(self, timeout: timedelta) -> Resolved:
        if self._done is None:
            odd = f" ({self._odd})" if self._odd else ""
            self._fail(f"no answer within {timeout.total_seconds():g} s{odd}")
        assert self._done is not None, "a query that failed has a result"
        return self._done

    def _fail(self, why: str) -> None:
        self._done = Resolved(server=self.server, name=self.name, why=why)


def place(server: str) -> tuple[str, int]:
    """`ADDRESS` or `ADDRESS:PORT`. Raises BadInput."""
    address, colon, port = server.partition(":")
    try:
        ipaddress.IPv4Address(address)
        number = int(port) if colon else PORT
    except ValueError:
        number = -1
    if not 0 < number < 65536:
        raise BadInput(f"{server!r} is no DNS server: write an IPv4 address, or ADDRESS:PORT")
    return address, number
