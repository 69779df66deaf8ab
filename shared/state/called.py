"""Which function was called out of turn, and when: a storm of alarms makes one call a minute, not one each.

Claimed, called, marked, in this order: a caller that dies in between costs the next one `SENDING`, and loses no call.
Told by wall clocks, since callers are many machines: a wrong one makes a call too many, or a minute too late, which the
timers make good.
"""

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import Conflict, OutcomeUnknown, Retryable
from shared.ports.clock import Clock
from shared.ports.store import Absent, Condition, Matches, Row, Store
from shared.state import codec
from shared.state.deliveries import TABLE

CALLED: Final = "called/"
AGAIN: Final = timedelta(seconds=60)
"""No second call within this time of one that was made: it still runs."""
SENDING: Final = timedelta(seconds=15)
"""A claim that is older and was not marked belongs to a caller that died: longer than one call takes to time out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to call `function` now."""

    function: str
    at: datetime


class Called:
    """Rows of the table of deliveries, one per function, told apart from those by their prefix."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def claim(self, function: str) -> Claim | None:
        """None: it was called, or is being called, by another alarm. Raises Retryable when the store cannot be read."""
        key, now = (CALLED + function,), self._clock.now()
        row = self._store.get(TABLE, key)
        condition: Condition = Absent()
        if row is not None:
            age = now - codec.instant(str(row.columns["at"]))
            # One from the future was written by a wrong clock, and keeps nobody.
            if timedelta(0) <= age < (AGAIN if row.columns["sent"] else SENDING):
                return None
            condition = Matches({"at": row.columns["at"]})
        try:
            self._store.put(TABLE, Row(key=key, columns={"at": codec.moment(now), "sent": False}), condition=condition)
        except Conflict:
            return None
        except OutcomeUnknown:  # perhaps claimed, perhaps not: one call too many is better than none
            pass
        return Claim(function=function, at=now)

    def mark(self, claim: Claim) -> None:
        """The call was sent. When this is lost, another alarm may call once more, which is harmless."""
        self._over(claim, claim.at, sent=True)

    def release(self, claim: Claim) -> None:
        """Nothing was sent: the next alarm may claim it at once. When this is lost, it waits for `SENDING`."""
        self._over(claim, claim.at - AGAIN, sent=False)

    def _over(self, claim: Claim, at: datetime, *, sent: bool) -> None:
        """Another's claim that replaced this one stays."""
        row = Row(key=(CALLED + claim.function,), columns={"at": codec.moment(at), "sent": sent})
        with contextlib.suppress(Conflict, OutcomeUnknown, Retryable):
            self._store.put(TABLE, row, condition=Matches({"at": codec.moment(claim.at)}))
