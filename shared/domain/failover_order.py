"""What becomes of an operator's order in a round: carried out, left standing, refused on record, or simply over.

The order was judged when it was given, from what agents had written; here it is judged again by what this round saw.
What was given under an epoch that is over counts no more: the pair has moved since, and nobody knows whether whoever
gave it would still want it.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from shared.domain.failover_fsm import State
from shared.domain.failover_safety import Kind, Lag, Rule, lag_objection
from shared.domain.failover_situation import LeaseFacts, OrderFacts, Situation
from shared.domain.pair import DataRule, Short

GOOD_FOR: Final = timedelta(minutes=10)
"""How long an order to move stands: later, whoever gave it no longer expects it to move anything."""
STANDS_FOR: Final = f"{GOOD_FOR / timedelta(minutes=1):.0f} min"


class Fate(StrEnum):
    CARRIED = "carried out"
    WAITS = "waits"  # for what `why` says
    REFUSED = "refused"
    OVER = "over"  # carried out before, by a run that died before it closed it
    ASIDE = "aside"  # it does not matter here: the loss is dealt with as any other


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What is said to an order."""

    fate: Fate
    why: str = ""
    overrode: tuple[Rule, ...] = ()


def word_on_order(situation: Situation, *, lost: bool) -> Word | None:
    """None: no order was found. `lost`: nobody is active any more."""
    order, lease = situation.order, situation.lease
    if order is None or situation.unread is not None:
        return None
    if situation.held:
        return Word(fate=Fate.REFUSED, why=f"nothing moves: {situation.held}")
    if situation.state is State.PAUSED or lease is None:
        return Word(fate=Fate.ASIDE)
    begun = order.id and order.id == situation.begun_by
    if begun or (order.kind is Kind.RESTORE and _has_it(order, lease)):
        return Word(fate=Fate.OVER)
    refusal = _refusal(situation, order, lease)
    if refusal:
        return Word(fate=Fate.REFUSED, why=refusal)
    if lost and order.kind not in (Kind.FAILOVER, Kind.RESTORE):
        return Word(fate=Fate.ASIDE)
    if not situation.of(order.to_site).fit:
        return Word(fate=Fate.WAITS, why="its agent does not answer, or is not ready")
    objections = {} if order.kind is Kind.RESTORE else _objections(situation, order, lease, lost=lost)
    standing = [why for rule, why in objections.items() if rule not in order.force]
    if standing:
        return Word(fate=Fate.WAITS, why="; ".join(standing))
    unplanned, block = lost and order.kind is Kind.FAILOVER, situation.blocked_until
    if unplanned and block is not None and Rule.BLOCK not in order.force:
        why = f"no second failover before {block.isoformat()}, and it does not override the block"
        return Word(fate=Fate.REFUSED, why=why)
    stood = {
        *objections,
        *([Rule.BLOCK] if unplanned and block is not None else []),
        *([Rule.FENCE] if situation.unfenced else []),
    }
    return Word(fate=Fate.CARRIED, overrode=tuple(sorted(rule for rule in stood if rule in order.force)))


def _objections(situation: Situation, order: OrderFacts, lease: LeaseFacts, *, lost: bool) -> dict[Rule, str]:
    """What stands in the way, by the rule that overrides it. A planned move asks its hooks when it is prepared."""
    target, agreed = situation.of(order.to_site), situation.agreed
    rule = DataRule(max_lag=agreed.max_lag, unknown=agreed.unknown_lag)
    if lost and target.loss is not None:
        behind = lag_objection(Lag(behind=target.loss), [], rule)
    else:
        behind = lag_objection(target.lag, [situation.of(lease.owner).lag], rule)
    short = target.short if agreed.short.get(order.to_site) is Short.REFUSE else ""
    vetoed = "; ".join(situation.vetoes) or situation.asking if lost else ""
    found = {Rule.LAG: behind, Rule.CAPACITY: short, Rule.HOOK: vetoed, Rule.UNPROTECTED: target.unprotected}
    return {rule: why for rule, why in found.items() if why}


def too_old(situation: Situation, order: OrderFacts) -> str:
    """Why it counts no more for its age; empty when it does."""
    if situation.now - order.at <= GOOD_FOR:
        return ""
    return f"it was given at {order.at.isoformat()} and stands for {STANDS_FOR}: give it again"


def _refusal(situation: Situation, order: OrderFacts, lease: LeaseFacts) -> str:
    old = too_old(situation, order)
    if old:
        return old
    if order.kind is Kind.RESTORE:
        written = order.epoch is not None and lease.epoch == order.epoch - 1 and lease.free
        return "" if written else f"the row is sound again, and {lease.owner} has epoch {lease.epoch}"
    if order.epoch is not None and order.epoch != lease.epoch:
        return f"it was given under epoch {order.epoch}, and {lease.owner} has epoch {lease.epoch}: give it again"
    return f"{order.to_site} holds the lease already" if order.to_site == lease.owner else ""


def _has_it(order: OrderFacts, lease: LeaseFacts) -> bool:
    return lease.owner == order.to_site and order.epoch is not None and lease.epoch >= order.epoch
