"""System events of the cloud: what CloudMonitor and EventBridge carry. One canonical form, many shapes on delivery."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """`name` is CloudMonitor's, with the status suffix if it has one (`Instance:SystemFailure.Reboot:Executing`)."""

    id: str
    product: str  # ECS
    name: str
    level: str  # CRITICAL | WARN | INFO
    region: str
    account: str
    resource: str  # instance/i-... | disk/d-... | snapshot/s-...
    at: datetime
    content: Mapping[str, Any]
    dry_run: bool = False  # sent to try a rule's targets: carries no id, ver, userId or eventTime

    @property
    def status(self) -> str:
        """The suffix of the name, of those events that have one; else "Normal" (as CloudMonitor shows it)."""
        return str(self.content.get("eventStatus") or "Normal")


Listener = Callable[[CloudEvent], None]


class Bus:
    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def publish(self, event: CloudEvent) -> None:
        for listener in list(self._listeners):
            listener(event)
