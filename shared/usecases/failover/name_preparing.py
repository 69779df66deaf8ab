"""An order to set names' times to live, carried out in calm: one update for each record that differs, and read back.

An update overwrites the whole record, its value too, and there is no compare-and-set. So it is done by one watch alone,
that of the holder's site; right after the record was read, with the right value, and the lease once more; and never
when a move is near. Should another watch bind the name between that read and the update, the old value would stand
again until the next look. All of it is done aside: no round waits for it.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from shared.domain.dns_plan import Settled, plan_name
from shared.domain.errors import CredentialsRejected, DrError, OutcomeUnknown, Retryable
from shared.domain.lease import Lease
from shared.domain.pair import NameRule, Pair
from shared.observability import log
from shared.ports.clock import Clock
from shared.state.name_orders import NameOrder, NameOrders
from shared.usecases.failover.aside import Aside, Run
from shared.usecases.failover.fail_over import FailOver
from shared.usecases.failover.name_binding import overtaken
from shared.usecases.failover.naming import Naming, label
from shared.usecases.failover.witness import Witness

STANDS_FOR: Final = timedelta(minutes=10)
"""Later, whoever gave the order no longer expects it to change anything."""
LOOK_EVERY: Final = 5.0  # seconds between two reads of the order, and only while a name differs from the policy


class NamePreparing:
    def __init__(
        self,
        pair: Pair,
        *,
        orders: NameOrders,
        naming: Naming,
        witness: Witness,
        over: FailOver,
        clock: Clock,
        run: Run,
        changed: Callable[[], None],
    ) -> None:
        """`changed`: called, aside, when records were touched."""
        self._pair, self._orders, self._naming, self._witness = pair, orders, naming, witness
        self._over, self._clock, self._changed = over, clock, changed
        self._turns: Aside[None] = Aside(self._turn, what=f"times to live of {pair.name}", run=run, clock=clock)
        self._looked = float("-inf")
        self._lease: Lease | None = None  # of the newest round in which all was calm

    def carry_out(self, lease: Lease) -> None:
        """If there is an order. Returns at once; `lease`: of a round in which all is calm."""
        now = self._clock.monotonic()
        self._lease = lease
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            self._turns.start()

    # --- aside ---

    def _turn(self) -> None:
        lease, order = self._lease, self._orders.pending(self._pair.name)
        if order is None or lease is None:
            return
        try:
            self._ordered(order, lease)
        except CredentialsRejected:
            raise
        except DrError as error:
            log.event("names.not_prepared", subject=self._pair.name, because=[str(error)])

    def _ordered(self, order: NameOrder, lease: Lease) -> None:
        if self._clock.now() - order.at > STANDS_FOR:
            self._told("names.not_prepared", f"the order of {order.at.isoformat()} is too old to be carried out", lease)
            self._orders.close(order)
            return
        said = [self._prepare(rule, lease) for rule in self._pair.names]
        done, why = all(one for one, _ in said), "; ".join(text for _, text in said if text)
        self._told("names.prepared" if done else "names.not_prepared", why or "nothing differs", lease, acted=done)
        self._orders.close(order)
        self._changed()

    def _prepare(self, rule: NameRule, lease: Lease) -> tuple[bool, str]:
        """Whether the name has its time to live now, and what was done or not. Raises Retryable when the lease is not
        the newest any more, or was read too long ago: the order stays."""
        service, value = self._naming.service(rule), self._naming.value(rule, lease.owner)
        if value is None:
            return False, f"{label(rule)}: the address of {lease.owner} is not known"
        plan = plan_name(
            self._naming.records_of(rule), name=label(rule), type=rule.type, value=value, epoch=lease.epoch
        )
        if not isinstance(plan, Settled):
            return False, plan.because
        before = plan.record.ttl_seconds
        if before == rule.ttl_seconds:
            return True, ""
        if why := overtaken(lease, witness=self._witness, clock=self._clock):
            raise Retryable(why)
        try:
            service.retime(plan.record, ttl_seconds=rule.ttl_seconds)
        except (Retryable, OutcomeUnknown) as error:
            log.event("name.unanswered", subject=self._pair.name, because=[str(error)])
        except CredentialsRejected:
            raise
        except DrError as error:
            return False, str(error)
        stands = [one.ttl_seconds for one in self._naming.records_of(rule)]
        if stands != [rule.ttl_seconds]:
            return False, f"{label(rule)} reads back with {', '.join(f'{one} s' for one in stands) or 'no record'}"
        return True, (
            f"{label(rule)} has a time to live of {rule.ttl_seconds} s; clients may keep the answer under the old one, "
            f"{before} s, until that is over"
        )

    def _told(self, event: str, why: str, lease: Lease, *, acted: bool = False) -> None:
        self._over.record(event, (why,), epoch=lease.epoch, acted=acted, inputs={"holder": lease.owner})
