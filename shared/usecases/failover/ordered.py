"""What was decided of an operator's order, done: closed, or told once for what it waits; refusals are on record.

`shared.domain.failover_order` decides it; the order is carried out by whoever begins the failover.
"""

from collections.abc import Mapping
from typing import Final

from shared.domain.failover_order import GOOD_FOR, STANDS_FOR, Fate, Word
from shared.domain.failover_safety import Kind, Rule
from shared.domain.failover_situation import OrderFacts, short
from shared.domain.ids import Epoch
from shared.ports.clock import Clock
from shared.state.failovers import SwitchOrder, SwitchOrders
from shared.usecases.failover.fail_over import FailOver

NOTHING: Final[Mapping[str, str]] = {}


class Ordered:
    def __init__(self, *, orders: SwitchOrders, over: FailOver, clock: Clock) -> None:
        self._orders, self._over, self._clock = orders, over, clock
        self._said: tuple[SwitchOrder, str] | None = None  # for what an order waits, told once

    def heed(self, order: SwitchOrder, word: Word, inputs: Mapping[str, str]) -> None:
        """`inputs`: what it was decided from."""
        match word.fate:
            case Fate.REFUSED:
                self.refuse(order, word.why, inputs)
            case Fate.OVER:
                self._orders.close(order)
            case Fate.WAITS:
                self._waits(order, word.why, inputs)
            case Fate.CARRIED | Fate.ASIDE:
                pass

    def _waits(self, order: SwitchOrder, why: str, inputs: Mapping[str, str]) -> None:
        if self._said != (order, why):
            self._said = (order, why)
            self._over.record(
                f"{order.kind}.waits",
                (f"{order.kind} to {order.to_site} waits: {why}",),
                epoch=granted(order),
                acted=False,
                inputs={**told(order), **inputs},
            )

    def overdue(self, order: SwitchOrder) -> bool:
        """Refused, if it is too old."""
        old = self._clock.now() - order.at > GOOD_FOR
        if old:
            self.refuse(order, f"it was given at {order.at.isoformat()} and stands for {STANDS_FOR}: give it again")
        return old

    def refuse(self, order: SwitchOrder, because: str, inputs: Mapping[str, str] = NOTHING) -> None:
        """Closed and recorded, so that whoever gave it finds out why nothing moves."""
        self._orders.close(order)
        self._over.record(
            f"{order.kind}.refused",
            (f"{order.kind} to {order.to_site}: {because}",),
            epoch=granted(order),
            acted=False,
            inputs={**told(order), "ordered_at": order.at.isoformat(), **inputs},
        )


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


def facts_of(order: SwitchOrder) -> OrderFacts:
    """The order, as decisions see it."""
    return OrderFacts(
        id=order.id,
        kind=order.kind,
        to_site=order.to_site,
        at=order.at,
        because=short(order.because),
        by=order.by,
        force=order.force,
        epoch=order.epoch,
    )
