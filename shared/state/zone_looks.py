"""When a zone was last looked at for a rebuild rule, and what was found: of hundreds of instances that wait for it one
looks, and the others take its word. Kept as decisions under a scope of its own, since that is what they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.decision import Decision
from shared.state.decisions import Decisions

EVENT: Final = "zone.looked"
LOST: Final = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneLook:
    at: datetime
    lost: bool
    because: str


class ZoneLooks:
    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions

    def last(self, rule: str, zone: str) -> ZoneLook | None:
        for one in self._decisions.of(_scope(rule, zone), newest=1):
            return ZoneLook(at=one.at, lost=one.inputs[LOST] == "yes", because=one.because[0])
        return None

    def put(self, rule: str, zone: str, look: ZoneLook, *, by: Mapping[str, str]) -> None:
        """Whoever looked last is right; two who look at once see the same."""
        inputs = {**by, LOST: "yes" if look.lost else "no"}
        scope = _scope(rule, zone)
        self._decisions.record(
            scope, Decision(event=EVENT, at=look.at, subject=scope, because=(look.because,), inputs=inputs)
        )


def _scope(rule: str, zone: str) -> str:
    return f"looks at zone {zone} for rebuild rule {rule}"
