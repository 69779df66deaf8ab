"""What a witness can see of a master, with its own eyes."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from shared.domain.ids import Epoch


class Sight(StrEnum):
    ANSWERED = "answered"
    REFUSED = "refused"  # the host is there, the process is not
    SILENT = "silent"  # nothing came back in time: dark, frozen or cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    sight: Sight
    active: bool | None = None
    epoch: Epoch | None = None
    site: str | None = None
    detail: str = ""


class Agents(Protocol):
    """The masters' agents, over HTTP. No method raises for an agent that does not answer: that is a sight."""

    def look(self, address: str, port: int, *, timeout: timedelta) -> AgentReport: ...

    def promote(self, address: str, port: int, *, epoch: Epoch, timeout: timedelta) -> AgentReport:
        """Ask the agent to take up the lease that already names its site under `epoch`. Idempotent."""
        ...

    def demote(self, address: str, port: int, *, timeout: timedelta) -> AgentReport: ...
