"""One measured recovery: what it took beside the cloud's own critical path, and what it asked for."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shared.domain.operation import Operation

EACH: Final = timedelta(seconds=5)
"""Of cloud time, for one describe."""


def at(operation: Operation, name: str) -> datetime:
    """When its step was done."""
    return next(one.at for one in operation.steps if one.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    name: str
    seed: int
    took: timedelta = timedelta(0)  # from the verdict (or the request) to service
    critical: timedelta = timedelta(0)
    changes: Mapping[str, int] = field(default_factory=dict)
    required: Mapping[str, int] = field(default_factory=dict)
    planning: Mapping[str, int] = field(default_factory=dict)  # reads up to the verdict and the plan
    looks: Mapping[str, int] = field(default_factory=dict)  # reads from then until service
    phases: Mapping[str, timedelta] = field(default_factory=dict)
    failed: str = ""

    @property
    def ratio(self) -> float:
        return self.took / self.critical

    @property
    def allowed(self) -> int:
        """One look for each five seconds that began."""
        return math.ceil(self.took / EACH)

    @property
    def too_many(self) -> Mapping[str, int]:
        return +(Counter(self.changes) - Counter(self.required))

    @property
    def too_few(self) -> Mapping[str, int]:
        return +(Counter(self.required) - Counter(self.changes))
