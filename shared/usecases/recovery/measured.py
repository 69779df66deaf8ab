"""How long recoveries took, for the estimates of those to come.

Each that ended well is told once more under one scope, whatever its subject is, and the latest are read again when
something is previewed.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.estimate import Estimate, learn
from shared.domain.operation import OperationKind
from shared.state.decisions import Decisions

RECOVERIES: Final = "recoveries"
"""Scope of decisions."""
LATEST: Final = 200
"""One page of a few hundred kilobytes at most."""
BEFORE: Final = ("detect", "decide")
"""Phases of a rebuild that one which is asked for does not have: how long it was waited, and for whom."""

Estimating = Callable[[], Estimate]


@dataclass(frozen=True, slots=True)
class Measured:
    """Call it for an estimate by what stands now. Raises as the store does."""

    decisions: Decisions

    def __call__(self) -> Estimate:
        latest = list(self.decisions.of(RECOVERIES, newest=LATEST))
        return Estimate(measured=learn(_took(reversed(latest))))


def _took(ended: Iterator[Decision]) -> Iterator[tuple[str, str, timedelta]]:
    for one in ended:
        kind, seconds = one.event.partition(".")[0], float(one.inputs["rto_seconds"])
        if kind == OperationKind.REBUILD:
            phases: dict[str, float] = json.loads(one.inputs.get("phases", "{}"))
            seconds -= sum(phases.get(name, 0.0) for name in BEFORE)
        yield kind, one.subject, timedelta(seconds=round(seconds, 1))
