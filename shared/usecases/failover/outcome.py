"""What one attempt at a step of a failover came to."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from shared.domain.failover_fsm import On

PROMOTE_TIMEOUT: Final = timedelta(seconds=3)
ATTEMPT: Final = "attempt"
"""Under which a decision holds what the attempt saw: `shared.domain.failover_attempt`."""

Outcome = tuple[On, tuple[str, ...], Mapping[str, object]]
"""What it means for the state table, why, and what changes in the failover's row with it."""
