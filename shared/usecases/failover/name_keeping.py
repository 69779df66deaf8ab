"""In calm the names belong to the newest epoch's holder, whoever wrote them last: looked at, and mended, aside.

A record is listed every `name_every`, since the name services' limits are shared and not documented. It is listed in
every round for a minute after anything changed (a failover, another epoch), when a late write is likeliest.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from shared.domain.dns_plan import RUNBOOK, NameRecord, Rebind, RefuseRebind, Settled, plan_name
from shared.domain.errors import CredentialsRejected, DrError
from shared.domain.failover_fsm import On
from shared.domain.ids import Epoch, SiteName
from shared.domain.lease import Lease
from shared.domain.name_ttl import ttl_finding
from shared.domain.pair import NameRule, NameService, Pair
from shared.observability import log
from shared.ports.clock import Clock
from shared.state.name_orders import NameOrders
from shared.usecases.failover.aside import Aside, Run
from shared.usecases.failover.fail_over import FailOver
from shared.usecases.failover.name_binding import NameBinding
from shared.usecases.failover.name_preparing import NamePreparing
from shared.usecases.failover.naming import Naming, label
from shared.usecases.failover.witness import Seen, Witness

LISTING_GOOD_FOR: Final = 10.0  # seconds: an older listing of a name says nothing (unless it is listed less often)
NAME_PATIENCE: Final = timedelta(seconds=30)  # for a name that cannot be read, before an operator is called
SETTLING: Final = 60.0  # seconds after a change in which a name is listed in every round
REMARK_EVERY: Final = 60.0  # seconds between two tries at a remark that is refused, or that somebody else keeps writing


class NameKeeping:
    def __init__(
        self,
        pair: Pair,
        *,
        site: SiteName,
        naming: Naming,
        witness: Witness,
        over: FailOver,
        orders: NameOrders | None,
        clock: Clock,
        run: Run,
        beside: Run | None = None,
    ) -> None:
        """`site`: where this watch stands. `beside`: as `run`, for what must not wait behind slow looks."""
        self._pair, self._site, self._clock = pair, site, clock
        self._preparing = (
            None
            if orders is None
            else NamePreparing(
                pair,
                orders=orders,
                naming=naming,
                witness=witness,
                over=over,
                clock=clock,
                run=run,
                changed=self.forget,
            )
        )
        self._kept = tuple(
            _Kept(
                rule, pair=pair, naming=naming, witness=witness, over=over, clock=clock, run=run, beside=beside or run
            )
            for rule in pair.names
        )
        if any(rule.service is NameService.PUBLIC for rule in pair.names):
            run(naming.load)
        self._epoch: Epoch | None = None
        self._changed = float("-inf")

    @property
    def trouble(self) -> str:
        """Why an operator is needed for a name; empty when none is."""
        return "; ".join(one.trouble for one in self._kept if one.trouble)

    @property
    def settled(self) -> bool:
        """Every name is known to point to the holder."""
        return all(one.settled for one in self._kept)

    @property
    def findings(self) -> tuple[str, ...]:
        """What is not as the policy says, and only costs time when the pair moves."""
        return tuple(one.finding for one in self._kept if one.finding)

    def forget(self) -> None:
        """What was listed before says nothing any more."""
        self._changed = self._clock.monotonic()
        for one in self._kept:
            one.forget()

    def assert_name(self, seen: Seen, *, paused: str | None) -> None:
        """While a failover is in hand, its own steps look after the names: this is for all other rounds.

        A pause stops failovers, not this: a name on the standby, which is not active, serves nobody, and is the mark of
        a late write. Any other value may be what the operator who paused wants, and stays until the pause ends.
        """
        lease = seen.lease
        if lease is None or not seen.at_work(lease.owner):
            return
        if lease.epoch != self._epoch:
            self._epoch, self._changed = lease.epoch, self._clock.monotonic()
        often = self._clock.monotonic() - self._changed < SETTLING
        for one in self._kept:
            one.keep(lease, paused=paused, often=often)
        calm = self.settled and not paused and lease.owner == self._site
        if calm and self.findings and self._preparing is not None:
            self._preparing.carry_out(lease)


class _Kept:
    """One name."""

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
        beside: Run,
    ) -> None:
        self._rule, self._pair, self._naming, self._witness = rule, pair, naming, witness
        self._over, self._clock = over, clock
        self._name = label(rule)
        self._every = pair.name_every.total_seconds()
        self._records: Aside[tuple[NameRecord, ...]] = Aside(
            lambda: naming.records_of(rule), what=f"name {self._name}", run=run, clock=clock
        )
        self._binding = NameBinding(
            rule,
            pair=pair,
            naming=naming,
            witness=witness,
            over=over,
            clock=clock,
            run=beside,
            changed=self.forget,
        )
        self._listed = self._remarked = float("-inf")
        self.trouble = ""
        self.settled = False
        self.finding = ""

    def forget(self) -> None:
        self._records.forget()
        self._listed = float("-inf")

    def keep(self, lease: Lease, *, paused: str | None, often: bool) -> None:
        self._binding.note(lease, paused=bool(paused))
        self._heed(lease)
        self._compare(lease, paused=paused, often=often)

    def _heed(self, lease: Lease) -> None:
        came = self._binding.came()
        if came is not None and came.epoch == lease.epoch:
            self.settled = came.on is On.REBOUND
            if came.on is not On.REBIND_WAITS:
                self.trouble = "; ".join(came.why) if came.on is On.REBIND_REFUSED else ""

    def _compare(self, lease: Lease, *, paused: str | None, often: bool) -> None:
        value = self._naming.value(self._rule, lease.owner)
        now = self._clock.monotonic()
        if often or now - self._listed >= self._every:
            self._listed = now
            self._records.start()
        newest = self._records.newest()
        if self._records.refusal:
            self.trouble = f"{self._name}: {self._records.refusal}; runbook: {RUNBOOK}"
        elif self._records.failing_for() > NAME_PATIENCE + self._pair.name_every:
            self.trouble = f"{self._name} cannot be read: {self._records.trouble}; runbook: {RUNBOOK}"
        if value is None or newest is None or now - newest[0] > max(LISTING_GOOD_FOR, 2 * self._every):
            self.settled = False
            return
        self._compare_ttl(newest[1], lease)
        plan = plan_name(newest[1], name=self._name, type=self._rule.type, value=value, epoch=lease.epoch)
        self.settled = isinstance(plan, Settled)
        if isinstance(plan, Settled):
            self.trouble = ""
            if plan.remark is not None and not paused and now - self._remarked >= REMARK_EVERY and self._newest(lease):
                self._remarked = now
                self._naming.remark(self._rule, plan.record, plan.remark)
            return
        if paused and not (isinstance(plan, Rebind) and self._binding.late_write(plan, lease)):
            return
        if isinstance(plan, RefuseRebind):
            # Of a listing that came aside: no round waits for the name service to say it once more.
            refusal = f"{plan.because}; runbook: {plan.runbook}"
            if self.trouble != refusal and self._newest(lease):
                self.trouble = refusal
            return
        if too_often := self._binding.too_often(plan.record.value):
            self.trouble = too_often
            return
        self.forget()
        self._binding.ask()
        self._heed(lease)  # where nothing is slow

    def _newest(self, lease: Lease) -> bool:
        try:
            fresh = self._witness.read_lease()
        except CredentialsRejected:
            raise
        except DrError as error:
            log.event("name.not_asserted", subject=self._pair.name, because=[str(error)])
            return False
        return fresh is not None and fresh.lease.epoch == lease.epoch

    def _compare_ttl(self, records: Sequence[NameRecord], lease: Lease) -> None:
        """Told once per change: nothing is wrong until the pair moves, and then it is too late."""
        finding = ttl_finding(self._name, self._rule, records, pair=self._pair.name)
        if finding == self.finding:
            return
        self.finding = finding
        self._over.record(
            "name.ttl_differs" if finding else "name.ttl_agrees",
            (finding or f"{self._name} has the time to live that the policy says: {self._rule.ttl_seconds} s",),
            epoch=lease.epoch,
            acted=False,
            inputs={"records": ", ".join(f"{one.type} {one.value} {one.ttl_seconds} s" for one in records)},
        )
