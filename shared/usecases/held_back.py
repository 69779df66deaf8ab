"""Why a pair does not move now: a pause, its switch, the block after an automatic failover."""

from datetime import datetime

from shared.domain.ids import PairName
from shared.domain.policy import Pair
from shared.state.controls import Standing
from shared.state.failovers import Failover

PAUSE = "failover"
"""Scope of pauses of all pairs; `failover/PAIR` is that of one."""
SWITCH = "switch/"
"""Switched off is kept as a pause of this scope and the pair, which `resume` does not end."""


def stopped(standing: Standing, pair: PairName) -> str | None:
    """Why no failover of `pair` begins, by itself or by order; None: it may."""
    pause = standing.paused(PAUSE) or standing.pauses.get(f"{PAUSE}/{pair}")
    if pause is not None:
        return f"paused since {pause.since.isoformat()}: {pause.because}"
    off = standing.pauses.get(f"{SWITCH}{pair}")
    return None if off is None else f"switched off since {off.since.isoformat()}: {off.because}"


def blocked_until(pair: Pair, failover: Failover, standing: Standing, now: datetime) -> datetime | None:
    """Until when no second automatic failover may follow; None: one may."""
    last, acknowledged = failover.automatic_at, standing.acknowledged.get(pair.name)
    if last is None or (acknowledged is not None and acknowledged > last) or now >= last + pair.block:
        return None
    return last + pair.block
