"""An operator's order, as the watch meets it: carried out, left standing, or refused on record.

The order was judged when it was given, from what agents had written; here it is judged again by what this round saw.
What was given under an epoch that is over counts no more: the pair has moved since, and nobody knows whether whoever
gave it would still want it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.failover_fsm import On
from shared.domain.failover_safety import Kind, Lag, Rule, lag_objection
from shared.domain.ids import Epoch
from shared.domain.lease import Lease, LeaseState
from shared.ports.clock import Clock
from shared.ports.probes import AgentReport
from shared.state.failovers import GOOD_FOR, Failover, SwitchOrder, SwitchOrders
from shared.usecases.fail_over import FailOver
from shared.usecases.witness import Seen

STANDS_FOR: Final = f"{GOOD_FOR / timedelta(minutes=1):.0f} min"


@dataclass(frozen=True, slots=True)
class Carry:
    """To be carried out now."""

    on: On
    order: SwitchOrder
    why: tuple[str, ...]
    overrode: tuple[Rule, ...]


class Ordered:
    def __init__(self, *, orders: SwitchOrders, over: FailOver, clock: Clock) -> None:
        self._orders, self._over, self._clock = orders, over, clock
        self._said: tuple[SwitchOrder, str] | None = None  # for what an order waits, told once

    def decide(
        self, order: SwitchOrder, failover: Failover, seen: Seen, *, lost: bool, block: datetime | None
    ) -> Carry | None:
        """None: it is closed, waits (which is recorded once), or does not matter here.

        `lost`: nobody is active any more. `block`: until when no second failover may follow; None: it may."""
        lease = seen.lease
        assert lease is not None, "a pair is moved from a lease that was seen"
        begun = order.id and order.id == failover.order  # by a run that died before it closed it
        if begun or (order.kind is Kind.RESTORE and _has_it(order, lease)):
            self._orders.close(order)
            return None
        refusal = self._refusal(order, seen)
        if refusal:
            self.refuse(order, refusal)
            return None
        if lost and order.kind not in (Kind.FAILOVER, Kind.RESTORE):
            return None  # the loss is dealt with as any other
        if not seen.fit(order.to_site):
            self._waits(order, "its agent does not answer, or is not ready")
            return None
        lagging = lag_objection(_lag(seen.reports.get(order.to_site)), [_lag(seen.reports.get(lease.owner))])
        if order.kind is not Kind.RESTORE and lagging and Rule.LAG not in order.force:
            self._waits(order, lagging)
            return None
        unplanned = lost and order.kind is Kind.FAILOVER
        if unplanned and block is not None and Rule.BLOCK not in order.force:
            self.refuse(order, f"no second failover before {block.isoformat()}, and it does not override the block")
            return None
        overrode = tuple(
            rule
            for rule, stood in ((Rule.BLOCK, unplanned and block is not None), (Rule.LAG, bool(lagging)))
            if stood and rule in order.force
        )
        by = f" by {order.by}" if order.by else ""
        why = (
            f"{order.kind} to {order.to_site} ordered{by}: {order.because}",
            *((f"overridden: {', '.join(overrode)}",) if overrode else ()),
        )
        return Carry(On.LOST if unplanned else On.SWITCH, order, why, overrode)

    def _waits(self, order: SwitchOrder, why: str) -> None:
        if self._said != (order, why):
            self._said = (order, why)
            self._over.record(
                f"{order.kind}.waits",
                (f"{order.kind} to {order.to_site} waits: {why}",),
                epoch=granted(order),
                acted=False,
                inputs=told(order),
            )

    def _refusal(self, order: SwitchOrder, seen: Seen) -> str:
        lease = seen.lease
        assert lease is not None
        if self._old(order):
            return f"it was given at {order.at.isoformat()} and stands for {STANDS_FOR}: give it again"
        if order.kind is Kind.RESTORE:
            written = order.epoch is not None and lease.epoch == order.epoch - 1 and lease.state is LeaseState.FREE
            return "" if written else f"the row is sound again, and {lease.owner} has epoch {lease.epoch}"
        if order.epoch is not None and order.epoch != lease.epoch:
            return f"it was given under epoch {order.epoch}, and {lease.owner} has epoch {lease.epoch}: give it again"
        return f"{order.to_site} holds the lease already" if order.to_site == lease.owner else ""

    def _old(self, order: SwitchOrder) -> bool:
        return self._clock.now() - order.at > GOOD_FOR

    def overdue(self, order: SwitchOrder) -> bool:
        """Refused, if it is too old."""
        if self._old(order):
            self.refuse(order, f"it was given at {order.at.isoformat()} and stands for {STANDS_FOR}: give it again")
        return self._old(order)

    def withdraw(self, pair_stopped: str, pending: Callable[[], SwitchOrder | None]) -> None:
        """A pause, or the switch, also ends what was ordered before: to resume is not to move."""
        order = pending()
        if order is not None:
            self.refuse(order, f"nothing moves: {pair_stopped}")

    def refuse(self, order: SwitchOrder, because: str) -> None:
        """Closed and recorded, so that whoever gave it finds out why nothing moves."""
        self._orders.close(order)
        self._over.record(
            f"{order.kind}.refused",
            (f"{order.kind} to {order.to_site}: {because}",),
            epoch=granted(order),
            acted=False,
            inputs={**told(order), "ordered_at": order.at.isoformat()},
        )


def _has_it(order: SwitchOrder, lease: Lease) -> bool:
    return lease.owner == order.to_site and order.epoch is not None and lease.epoch >= order.epoch


def granted(order: SwitchOrder) -> Epoch | None:
    """The epoch that an order speaks of, if it was ever granted: a restore names one that is yet to come."""
    return None if order.kind is Kind.RESTORE else order.epoch


def told(order: SwitchOrder, overrode: tuple[Rule, ...] = ()) -> dict[str, str]:
    """An order, for a decision's inputs."""
    return {
        "order": order.id,
        "to": order.to_site,
        "by": order.by,
        "because": order.because,
        "epoch": "" if order.epoch is None else str(order.epoch),
        "force": ", ".join(order.force),
        "overrode": ", ".join(overrode),
    }


def _lag(report: AgentReport | None) -> Lag:
    return Lag() if report is None else Lag(behind=report.lag, age=report.lag_age)
