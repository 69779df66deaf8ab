"""What a witness can see of a master, with its own eyes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from shared.domain.detection import Sight as Sight
from shared.domain.ids import Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerView:
    """What an agent saw of another site's agent, `age` before its report: a witness that stands beside its master."""

    sight: Sight
    age: timedelta
    active: bool | None = None
    epoch: Epoch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    sight: Sight
    active: bool | None = None
    epoch: Epoch | None = None
    site: str | None = None
    ready: bool | None = None  # whether its master is well enough to be active; None: it did not say
    detail: str = ""
    holder: str = ""  # its id, a new one after each boot; "": it did not say
    lag: timedelta | None = None  # how far its data was behind the active site's, `lag_age` before the report
    lag_age: timedelta | None = None
    pledged_for: timedelta | None = None  # how long it will still refuse to become active
    place: str = ""  # address:port at which it believes to be reached; "": it did not say
    peers: Mapping[str, PeerView] = field(default_factory=dict)  # by site


class Agents(Protocol):
    """The masters' agents, over HTTP. No method raises for an agent that does not answer: that is a sight."""

    def look(self, address: str, port: int, *, timeout: timedelta) -> AgentReport: ...

    def promote(self, address: str, port: int, *, epoch: Epoch, timeout: timedelta) -> AgentReport:
        """Ask the agent to take up the lease that already names its site under `epoch`. Idempotent."""
        ...

    def demote(self, address: str, port: int, *, timeout: timedelta) -> AgentReport: ...


class Services(Protocol):
    """The protected services themselves. What answers here takes traffic, so this is asked before any is given."""

    def answers(self, address: str, port: int, *, timeout: timedelta) -> Sight:
        """Try the port once. Never raises for a service that does not answer; that is a sight.

        ANSWERED means that the connection was accepted: the balancer's own check judges what is said on it.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One try at a master's own port."""

    sight: Sight
    well: bool = False  # it took the connection and, where a path was asked, answered it with success
    detail: str = ""


class Line(Protocol):
    """One connection to a master, opened earlier. It is never opened again: what it tells is whether traffic of a
    connection that stood before still passes."""

    @property
    def broken(self) -> bool:
        """Whether it has ended: reset, or closed by the other side. Silence does not break it."""
        ...

    def asks(self, *, timeout: timedelta) -> Sight:
        """GET its path once more. ANSWERED: whatever the status; REFUSED: it is broken; SILENT: nothing in time, which
        an answer that comes later is not taken for."""
        ...

    def close(self) -> None: ...


class Probes(Protocol):
    """The masters themselves, on their own ports. No method raises for one that does not answer: that is a sight."""

    def tries(self, address: str, port: int, *, path: str, timeout: timedelta) -> Tried:
        """Connect and, with a `path`, GET it, all within `timeout`. An empty `path`: the connection is enough."""
        ...

    def line(self, address: str, port: int, *, path: str, timeout: timedelta) -> Line | None:
        """A connection that has answered a GET of `path`, kept open. None: it could not be had."""
        ...
