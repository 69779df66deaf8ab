"""A lease row that is missing or damaged, written anew by an operator's order.

No holder renews such a row, so each stops within a lease of the moment at which it was first seen so, on the seer's own
clock; only a holder that lives on its peers' pledges may go on, and that one is asked: every agent must answer that it
is not active, or the operator has named on record that a silent one was seen to be off. Then nobody is active, and the
row is written free, under the epoch before the ordered one: the take-over that follows is one like any other.

Masters without agents do not stop by themselves. So the row is written for the other site, unless clients are led to
the ordered one already: then the take-over stops or isolates that other master before the name moves.
"""

from shared.domain.dns_plan import epoch_of, same_value
from shared.domain.errors import Conflict
from shared.domain.failover_safety import Kind, Rule
from shared.domain.ids import Epoch, SiteName
from shared.domain.pair import NameRule
from shared.domain.policy import Pair
from shared.ports.clock import Clock
from shared.ports.probes import Sight
from shared.ports.store import Row
from shared.state.failovers import Failover, SwitchOrder
from shared.state.heartbeats import Heartbeats
from shared.state.leases import Leases
from shared.usecases.failover.fail_over import FailOver
from shared.usecases.failover.naming import Naming
from shared.usecases.failover.ordered import Ordered, told
from shared.usecases.failover.witness import Witness


class RestoreLease:
    def __init__(
        self,
        pair: Pair,
        *,
        witness: Witness,
        leases: Leases,
        heartbeats: Heartbeats,
        over: FailOver,
        naming: Naming,
        ordered: Ordered,
        clock: Clock,
    ) -> None:
        self._pair, self._witness, self._leases, self._heartbeats = pair, witness, leases, heartbeats
        self._over, self._naming, self._ordered, self._clock = over, naming, ordered, clock
        self._since: tuple[Row | None, float] | None = None  # what was found, and when it was first seen, by our clock
        self._said = ""

    def forget(self) -> None:
        """The row was read and is sound."""
        self._since = None

    def written(self, order: SwitchOrder, failover: Failover, *, stopped: str | None) -> bool:
        """Whether the row was written just now. Raises what the store and the name service say."""
        if order.kind is not Kind.RESTORE or order.epoch is None:
            return False
        if stopped is not None:
            self._ordered.refuse(order, f"nothing moves: {stopped}")
            return False
        if self._ordered.overdue(order):
            return False
        found = self._leases.found(self._pair.name)
        now = self._clock.monotonic()
        if self._since is None or self._since[0] != found:
            self._since = (found, now)
        if now - self._since[1] <= self._longest(found):
            return False
        newest, where = self._newest(failover)
        if order.epoch <= newest:
            self._ordered.refuse(order, f"{where} names epoch {newest}: give it with a higher one")
            return False
        unseen = self._unseen()
        if unseen and not (Rule.UNSEEN in order.force and not any(active for _, active in unseen)):
            self._wait(order, "; ".join(says for says, _ in unseen))
            return False
        owner, epoch = self._last_owner(order.to_site), Epoch(order.epoch - 1)
        try:
            self._leases.restore(self._pair.name, owner, epoch, length=self._pair.lease, found=found)
        except Conflict:
            self._since = None
            return False
        overrode = (Rule.UNSEEN,) if unseen else ()
        self._over.record(
            "lease.restored",
            (
                f"the lease row was {'missing' if found is None else 'damaged'} for a whole lease; it is free under "
                f"epoch {epoch}, for {order.to_site} to take as {order.epoch}",
                *(says for says, _ in unseen),
            ),
            epoch=epoch,
            acted=True,
            inputs={**told(order, overrode), "found": "" if found is None else repr(dict(found.columns))},
        )
        return True

    def _last_owner(self, to: SiteName) -> SiteName:
        if self._pair.agents or all(self._leads(rule, to) for rule in self._pair.names):
            return to
        return self._pair.other(to)

    def _leads(self, rule: NameRule, to: SiteName) -> bool:
        value = self._naming.value(rule, to)
        read = [record.value for record in self._naming.records_of(rule) if record.enabled]
        return value is not None and bool(read) and all(same_value(rule.type, one, value) for one in read)

    def _longest(self, found: Row | None) -> float:
        """Seconds for which a holder of this row may be active: by the policy, or by what is left of the row."""
        written = None if found is None else found.columns.get("lease_ms")
        return max(self._pair.lease.total_seconds(), written / 1000 if isinstance(written, int | float) else 0.0)

    def _newest(self, failover: Failover) -> tuple[Epoch, str]:
        """The highest epoch that anything outside the row speaks of, and what does. The decisions were read when the
        order was given."""
        seen = [(failover.epoch or Epoch(0), "the failover's row")]
        seen += [
            (beat.epoch, f"the heartbeat of {site}") for site, beat in self._heartbeats.of(self._pair.name).items()
        ]
        seen += [(epoch_of(one.remark) or Epoch(0), "the record's remark") for one in self._naming.records()]
        return max(seen)

    def _unseen(self) -> list[tuple[str, bool]]:
        """What each agent that does not say that it is passive is like; and whether it is active."""
        found = []
        for member in self._pair.members:
            report = self._witness.look_at(member.site, None)
            if report.sight is not Sight.ANSWERED or report.active is not False:
                active = report.active is True
                says = "says that it is active" if active else f"is {report.sight} {report.detail}".rstrip()
                found.append((f"the agent of {member.site} {says}", active))
        return found

    def _wait(self, order: SwitchOrder, why: str) -> None:
        if self._said == (said := f"{order.id} {why}"):
            return
        self._said = said
        self._over.record(
            "restore.waits",
            (why, "runbook: lease-row-missing"),
            epoch=None,
            acted=False,
            inputs=told(order),
        )
