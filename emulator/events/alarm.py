"""A metric crossed its line, or came back: what CloudMonitor's threshold rules tell their webhook."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

OK: Final = "OK"
ALERT: Final = "ALERT"
INSUFFICIENT_DATA: Final = "INSUFFICIENT_DATA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One callback. `dimensions` name the resource (`instanceId`)."""

    rule_id: str
    rule_name: str
    state: str  # OK | ALERT | INSUFFICIENT_DATA
    level: str  # CRITICAL | WARN | INFO | OK on recovery
    previous_level: str
    value: float | None
    expression: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    instance_name: str
    at: datetime
    since: datetime  # when the present state began
    account: str
    region: str
    id: str
