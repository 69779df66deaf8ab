"""CloudMonitor of one account in one region: metrics, threshold rules, event rules, and the events themselves.

Source: CloudMonitor API 2019-01-01 (SDK 4.0.10).
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from emulator.bus import CloudEvent
from emulator.cms.alarms import Alarms
from emulator.cms.event_rules import EventRules
from emulator.cms.metrics import Metrics
from emulator.events.deeds import resource_of

if TYPE_CHECKING:
    from emulator.realm import Realm


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomEvent:
    id: str
    name: str
    group_id: str
    content: str
    at: datetime


class CloudMonitor:
    def __init__(self, realm: "Realm") -> None:
        self.realm = realm
        self.metrics = Metrics(realm)
        self.alarms = Alarms(realm, self.metrics)
        self.event_rules = EventRules(realm)
        self.custom_events: deque[CustomEvent] = deque(maxlen=10_000)

    @property
    def custom_namespace(self) -> str:
        """Where PutCustomMetric's data are found again."""
        return f"acs_customMetric_{self.realm.account}"

    def events(self) -> list[CloudEvent]:
        """System events of this account and region, newest first, as long as the emulator keeps them."""
        return [
            event
            for event in reversed(self.realm.cloud.events)
            if event.account == self.realm.account and event.region == self.realm.region and not event.dry_run
        ]

    def dry_run(self, product: str, name: str, content: Mapping[str, Any]) -> None:
        """Try the rules' targets with an event that never happened."""
        self.realm.bus.publish(
            CloudEvent(
                id="",
                product=product,
                name=name,
                level="CRITICAL" if "System" in name or "Failure" in name else "INFO",
                region=self.realm.region,
                account=self.realm.account,
                resource=resource_of(content),
                at=self.realm.clock.now(),
                content=dict(content),
                dry_run=True,
            )
        )
