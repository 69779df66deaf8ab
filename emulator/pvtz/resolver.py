"""A client that remembers names, as real ones do: a resolver with a cache on the emulated clock.

No name service can take back what a client holds. Lowering the TTL in the update that changes the value does not help:
what was remembered under the old TTL stays for the old TTL. Some clients (JVMs with their default of old) never ask
again.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import dns.message
import dns.query
import dns.rdatatype


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    values: tuple[str, ...]
    until: datetime | None  # None: for ever


class CachingResolver:
    """`server` is the emulator's DNS door (`HOST:PORT`), `now` its clock. `forever`: TTLs are not honoured.

    What does not exist is remembered for as long as the answer's SOA says (its TTL).
    """

    def __init__(self, server: str, *, now: Callable[[], datetime], forever: bool = False) -> None:
        self._host, _, port = server.rpartition(":")
        self._port = int(port)
        self._now = now
        self._forever = forever
        self._remembered: dict[tuple[str, str], Remembered] = {}

    def resolve(self, name: str, type: str = "A") -> tuple[str, ...]:
        """The values, in the order of the answer; () when there are none."""
        key = (name.lower(), type)
        known = self._remembered.get(key)
        if known is not None and (known.until is None or self._now() < known.until):
            return known.values
        query = dns.message.make_query(name, type)
        answer = dns.query.udp(query, self._host, port=self._port, timeout=5)
        wanted = dns.rdatatype.from_text(type)
        values = tuple(rdata.to_text() for rrset in answer.answer if rrset.rdtype == wanted for rdata in rrset)
        ttl = min((rrset.ttl for rrset in (*answer.answer, *answer.authority)), default=0)
        until = None if self._forever else self._now() + timedelta(seconds=ttl)
        if self._forever and not values:
            until = self._now() + timedelta(seconds=math.ceil(ttl))
        self._remembered[key] = Remembered(values=values, until=until)
        return values
