"""What a client is told when it asks for a name: DNS servers, asked as clients ask them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """One server's answer for one name. `why` is empty when it answered; else what came instead of an answer."""

    server: str  # ADDRESS or ADDRESS:PORT, as it was asked
    name: str
    addresses: tuple[str, ...] = ()  # where a client would go, at the end of a chain of aliases
    aliases: tuple[str, ...] = ()  # the names that it is led through, in order
    ttl_seconds: int | None = None  # for so long may the answer be kept; None: the answer holds no record
    why: str = ""

    @property
    def answered(self) -> bool:
        """Also when it says that the name leads nowhere: that is an answer."""
        return not self.why

    def values(self, type: str) -> tuple[str, ...]:
        """What the name's own record holds, so far as an answer shows it."""
        return self.aliases[:1] if type == "CNAME" else () if self.aliases else self.addresses


class Resolvers(Protocol):
    def ask(self, names: Sequence[str], *, servers: Sequence[str], timeout: timedelta) -> tuple[Resolved, ...]:
        """Ask every server for the addresses of every name, all at once: in the order of names, then of servers.

        Takes `timeout` at most. Raises nothing for a server that is silent, refuses or cannot be understood. Raises
        BadInput for a server that is no IP address.
        """
        ...
