"""Why a pair does not move now: a pause, its switch, the block after an automatic failover."""

from datetime import datetime
from typing import Final

from shared.domain.failover_situation import block_ends
from shared.domain.ids import PairName
from shared.domain.policy import Pair
from shared.ports.clock import Clock
from shared.state.controls import Controls, Pause, Standing
from shared.state.failovers import Failover

PAUSE = "failover"
"""Scope of pauses of all pairs; `failover/PAIR` is that of one."""
SWITCH = "switch/"
"""Switched off is kept as a pause of this scope and the pair, which `resume` does not end."""
PAUSE_GOOD_FOR: Final = 1.0  # seconds: before a take-over, an older reading of the pauses is read again


def goes_on(standing: Standing, pair: PairName) -> str:
    """The command that ends what `stopped` tells; empty when nothing is."""
    pause = _pause(standing, pair)
    if pause is not None:
        return f"understudy resume {pause.scope}"
    return f"understudy switch on {pair}" if f"{SWITCH}{pair}" in standing.pauses else ""


def _pause(standing: Standing, pair: PairName) -> Pause | None:
    return standing.paused(PAUSE) or standing.pauses.get(f"{PAUSE}/{pair}")


def stopped(standing: Standing, pair: PairName) -> str | None:
    """Why no failover of `pair` begins, by itself or by order; None: it may."""
    pause = _pause(standing, pair)
    if pause is not None:
        return f"paused since {pause.since.isoformat()}: {pause.because}"
    off = standing.pauses.get(f"{SWITCH}{pair}")
    return None if off is None else f"switched off since {off.since.isoformat()}: {off.because}"


def blocked_until(pair: Pair, failover: Failover, standing: Standing, now: datetime) -> datetime | None:
    """Until when no second automatic failover may follow; None: one may."""
    return block_ends(failover.automatic_at, standing.acknowledged.get(pair.name), pair.block, now)


class HeldBack:
    """What operators have said of one pair, as last read."""

    def __init__(self, pair: PairName, *, controls: Controls, clock: Clock) -> None:
        self._pair, self._controls, self._clock = pair, controls, clock
        self._standing, self._read_at = Standing(), float("-inf")

    def read(self) -> None:
        """Raises what the store raises."""
        began = self._clock.monotonic()
        self._standing, self._read_at = self._controls.watched(), began

    @property
    def why(self) -> str | None:
        return stopped(self._standing, self._pair)

    @property
    def acknowledged(self) -> datetime | None:
        return self._standing.acknowledged.get(self._pair)

    def why_now(self) -> str | None:
        """From a reading no older than a second."""
        if self._clock.monotonic() - self._read_at > PAUSE_GOOD_FOR:
            self.read()
        return self.why
