"""Binds one name anew in calm, beside the rounds: a name service that takes ten seconds for it must not blind a watch
for as long.

Level, not edge: every round says how the pair stands, and asks again while the name is astray; one update at most is
under way. Right before it is sent the newest round must still ask for it, and the lease, read once more, must name the
same epoch. An executor that was frozen on the way sends nothing by what it saw before.
"""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared.domain.dns_plan import RUNBOOK, Rebind, same_value
from shared.domain.errors import CredentialsRejected, DrError
from shared.domain.failover_fsm import On
from shared.domain.ids import Epoch
from shared.domain.lease import Lease
from shared.domain.pair import NameRule, Pair
from shared.observability import log
from shared.ports.clock import Clock
from shared.state import codec
from shared.usecases.failover.aside import Aside, Run
from shared.usecases.failover.fail_over import FailOver
from shared.usecases.failover.naming import Naming, label
from shared.usecases.failover.witness import Witness

ROUND_STALE: Final = 15.0  # seconds: rounds are ten apart at most. Later a pause or a failover may have begun, unseen
LEASE_STALE: Final = 3.0  # seconds from before the lease is read until the update is sent
MOST_REASSERTED: Final = 5  # times within REASSERTED_WITHIN: then somebody else keeps writing it as well
REASSERTED_WITHIN: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Round:
    """How the pair stood when a round asked."""

    lease: Lease
    paused: bool
    at: float  # monotonic


@dataclass(frozen=True, slots=True)
class Came:
    """What came of it; under another epoch it says nothing any more."""

    epoch: Epoch
    on: On
    why: tuple[str, ...]


class NameBinding:
    def __init__(
        self,
        rule: NameRule,
        *,
        pair: Pair,
        naming: Naming,
        witness: Witness,
        over: FailOver,
        clock: Clock,
        run: Run,
        changed: Callable[[], None],
    ) -> None:
        """`changed`: called, aside, when the record may be another than before."""
        self._rule, self._pair, self._naming, self._witness = rule, pair, naming, witness
        self._over, self._clock, self._changed = over, clock, changed
        self._name = label(rule)
        self._turns: Aside[Came | None] = Aside(self._bind, what=f"binding of {self._name}", run=run, clock=clock)
        self._round: _Round | None = None
        self._heeded: tuple[float, Came | None] | None = None
        self._sent: deque[tuple[float, Came]] = deque(maxlen=MOST_REASSERTED)  # updates asked for, and their ends

    def note(self, lease: Lease, *, paused: bool) -> None:
        """A round begins to look at the name."""
        self._round = _Round(lease, paused, self._clock.monotonic())

    def ask(self) -> None:
        """Of the round that was noted last. Returns at once."""
        self._turns.start()

    def came(self) -> Came | None:
        """What was not told before."""
        newest = self._turns.newest()
        if newest is None or newest is self._heeded:
            return None
        self._heeded = newest
        return newest[1]

    def late_write(self, plan: Rebind, lease: Lease) -> bool:
        """Whether the name gives the standby, which is not active: no operator can want that, paused or not."""
        standby = self._naming.value(self._rule, self._witness.other(lease.owner))
        return bool(standby) and same_value(self._rule.type, plan.record.value, standby or "")

    def too_often(self, reads: str) -> str:
        """Why it is not bound anew for a while, though it gives `reads`; empty when it may be."""
        now = self._clock.monotonic()
        if len(self._sent) < MOST_REASSERTED or now - self._sent[0][0] >= REASSERTED_WITHIN:
            return ""
        minutes, ends = f"within {REASSERTED_WITHIN / 60:.0f} min", [came for _, came in self._sent]
        failed = [came for came in ends if came.on is not On.REBOUND]
        if failed:
            stood = f"{len(ends) - len(failed)} of the last {len(ends)} updates of {self._name} stood"
            why = f"{failed[-1].why[0]}; the next one {minutes}"
            return f"{stood}, and it reads {reads}: {why}; runbook: {RUNBOOK}"
        return (
            f"{self._name} was bound anew {MOST_REASSERTED} times {minutes}, and reads {reads} again: somebody else "
            f"writes it too; runbook: {RUNBOOK}"
        )

    # --- aside ---

    def _bind(self) -> Came | None:
        """None: nothing was to be done any more."""
        asked = self._round
        value = None if asked is None else self._naming.value(self._rule, asked.lease.owner)
        if asked is None or value is None:
            return None
        lease, began, plans = asked.lease, codec.moment(self._clock.now()), list[Rebind]()

        def barred(plan: Rebind) -> str:
            plans.append(plan)
            return self._barred(plan, lease)

        on, why, sent = self._naming.bind(self._rule, value, lease.epoch, barred=barred)
        came = Came(lease.epoch, on, why)
        if sent:
            self._sent.append((self._clock.monotonic(), came))
        self._changed()
        if on is On.REBIND_WAITS:
            log.event("name.not_asserted", subject=self._pair.name, because=list(why))
        # Else the listing was begun before a failover moved the name, or the name could not be read once more.
        for plan in plans if sent else ():
            # One without an answer may have been done all the same.
            event = "name.not_asserted" if on is On.REBIND_WAITS else "name.reasserted"
            self._told(event, (plan.because, *why), plan, lease, began, "unknown" if on is On.REBIND_WAITS else on)
        return came

    def _barred(self, plan: Rebind, lease: Lease) -> str:
        """Why `plan` must not be done after all; empty when it may be."""
        try:
            why = overtaken(lease, witness=self._witness, clock=self._clock)
        except CredentialsRejected:
            raise
        except DrError as error:
            return str(error)
        newest, now = self._round, self._clock.monotonic()
        if newest is None or newest.lease.epoch != lease.epoch or now - newest.at > ROUND_STALE:
            return why or "no round has asked for it since"
        if newest.paused and not self.late_write(plan, lease):
            return why or "the pair is paused"
        return why

    def _told(self, event: str, because: tuple[str, ...], plan: Rebind, lease: Lease, began: str, outcome: str) -> None:
        self._over.record(
            event,
            because,
            epoch=lease.epoch,
            acted=outcome is not On.REBIND_REFUSED,
            inputs={
                "found": plan.record.value,
                "wanted": plan.value,
                "outcome": outcome,
                "held_by": lease.owner,
                "names": json.dumps({self._name: plan.value}),
                "began": began,
            },
        )


def overtaken(lease: Lease, *, witness: Witness, clock: Clock) -> str:
    """Why nothing may be written for the holder of `lease` any more, by a fresh read of it; empty when it may. To be
    asked right before the write. What was read long ago counts for nothing: an executor that is frozen in its call
    reads an old answer when it thaws. Raises what the store raises."""
    before = clock.monotonic()
    fresh = witness.lease_now()
    took = clock.monotonic() - before
    if fresh is None or fresh.epoch != lease.epoch:
        return f"epoch {lease.epoch} is not the newest any more"
    return f"the lease was read {took:.1f} s ago" if took > LEASE_STALE else ""
