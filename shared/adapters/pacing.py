"""Keep to the budget of API calls that all our functions share.

Calls are taken from the store in batches, and spent from memory. Listings wait for the next minute within what an
invocation may wait; changes come back as Retryable, and their operation resumes then. ADR 0013 says why listings are an
exception from never waiting.

Recovery is paced too, so that all together keep to the limit, and its reserve is never given to anybody else. But it
depends on nothing for that: when the store does not answer, it goes on unpaced.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from shared.domain import budget
from shared.domain.budget import Caller
from shared.domain.errors import CredentialsRejected, DrError, OutcomeUnknown, Retryable, Throttled
from shared.domain.place import Place
from shared.domain.policy import ApiLimits
from shared.ports.clock import Clock
from shared.state.budgets import Budgets

WAIT_UNTIL: Final = timedelta(minutes=4)
"""After its beginning an invocation waits no more: prune has ten minutes, and deletes after it has listed."""
RECOVERY_WAITS_UNTIL: Final = timedelta(seconds=75)
"""`recover` has two minutes in all, and one that the platform ends holds its claim for no good."""
SPREAD: Final = timedelta(seconds=5)
"""Those who wait for a minute do not come back all at once."""
RECOVERY_PAUSE: Final = timedelta(seconds=1)
"""After the first refusal of a minute; doubled after each further one."""
UNPACED: Final = 1 << 30
"""Calls, for a minute in which nobody can be asked."""

Jitter = Callable[[float, float], float]


class InvocationClock(Clock, Protocol):
    @property
    def began(self) -> float:
        """When this invocation began, on the monotonic clock."""
        ...

    @property
    def rate(self) -> float:
        """Seconds of `now` in one of this machine: a local cloud's time may stand still, or run faster."""
        ...


class Patience:
    """How long listings of one invocation may still wait."""

    def __init__(self, clock: InvocationClock, at_most: timedelta = WAIT_UNTIL) -> None:
        self._clock = clock
        self._at_most = at_most

    def wait(self, duration: timedelta) -> bool:
        """False: it would be too long, or for ever."""
        if self._clock.rate <= 0:
            return False
        real = duration / self._clock.rate
        gone_by = timedelta(seconds=self._clock.monotonic() - self._clock.began)
        if gone_by + real > self._at_most:
            return False
        self._clock.sleep(real)
        return True


@dataclass(slots=True)
class _Purse:
    """What is left of what was taken for one action in one minute."""

    minute: int
    left: int = 0
    over: bool = False  # there is no more in this minute
    throttled: int = 0  # how often, in a row


class Pacing:
    """One account in one region. Implements `shared.ports.pace.Pace`."""

    def __init__(
        self,
        place: Place,
        *,
        budgets: Budgets,
        limits: Callable[[], ApiLimits],
        caller: Caller,
        clock: Clock,
        patience: Patience,
        jitter: Jitter,
    ) -> None:
        self._place, self._budgets, self._limits, self._caller = place, budgets, limits, caller
        self._clock, self._patience, self._jitter = clock, patience, jitter
        self._purses: dict[str, _Purse] = {}  # by action

    def before(self, action: str, *, changes: bool) -> None:
        while True:
            now = self._clock.now()
            purse = self._purse(action, now)
            if purse.left == 0 and not purse.over:
                purse.left = self._take(action, purse.minute)
                purse.over = purse.left == 0
            if purse.left > 0:
                purse.left -= 1
                return
            because = f"the budget of this minute is used up; limits.actions.{action} in the policy sets it"
            self._wait(Retryable(f"ecs {action} in {self._place}: {because}"), self._next(now), changes)

    def refused(self, action: str, throttled: Throttled, *, changes: bool) -> None:
        now = self._clock.now()
        purse = self._purse(action, now)
        purse.throttled += 1
        if purse.throttled == 1:
            self._close(action, purse.minute)
        if self._caller is Caller.RECOVERY:
            # It asks again within the minute: the reserve may be there, and others may be throttled for other reasons.
            pause = RECOVERY_PAUSE * 2 ** min(purse.throttled - 1, 5)
            pause *= self._jitter(0.5, 1.5)
        else:
            purse.left, purse.over = 0, True
            pause = self._next(now)
        self._wait(throttled, max(pause, throttled.retry_after or pause), changes)

    def _purse(self, action: str, now: datetime) -> _Purse:
        minute = budget.minute_of(now)
        found = self._purses.get(action)
        if found is None or found.minute != minute:
            found = self._purses[action] = _Purse(minute)
        return found

    def _take(self, action: str, minute: int) -> int:
        """Raises Retryable when nobody can say; recovery then takes what it needs, for this minute."""
        try:
            share = budget.share(self._limits(), action, self._caller)
            return self._budgets.take(self._place, action, minute=minute, share=share, caller=self._caller)
        except CredentialsRejected:
            raise
        except DrError as error:
            if self._caller is Caller.RECOVERY:
                return UNPACED
            if isinstance(error, OutcomeUnknown):
                raise Retryable(f"what is left of the budget for {action} cannot be found out: {error}") from error
            raise

    def _close(self, action: str, minute: int) -> None:
        """Tell the others. They find it out by themselves when that fails."""
        with contextlib.suppress(Retryable, OutcomeUnknown):
            self._budgets.close(self._place, action, minute=minute)

    def _next(self, now: datetime) -> timedelta:
        """Until the next minute has begun, and a little more: not all come back at once."""
        return budget.until_next(now) + timedelta(seconds=self._jitter(0, SPREAD.total_seconds()))

    def _wait(self, trouble: Retryable, pause: timedelta, changes: bool) -> None:
        if changes or not self._patience.wait(pause):
            raise Retryable(str(trouble), retry_after=pause) from trouble
