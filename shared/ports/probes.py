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
