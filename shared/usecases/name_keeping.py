"""In calm the name belongs to the newest epoch's holder, whoever wrote it last: looked at aside, mended here."""

import json
from datetime import timedelta
from typing import Final

from shared.domain.dns_plan import A_RECORD, Rebind, Settled, plan_name
from shared.domain.errors import CredentialsRejected, DrError
from shared.domain.failover_fsm import On
from shared.domain.lease import Lease
from shared.domain.policy import Pair
from shared.observability import log
from shared.ports.clock import Clock
from shared.state import codec
from shared.usecases.aside import Aside, Run
from shared.usecases.fail_over import FailOver
from shared.usecases.naming import Naming
from shared.usecases.witness import Seen, Witness

LISTING_GOOD_FOR: Final = 10.0  # seconds: an older listing of the name says nothing
NAME_PATIENCE: Final = timedelta(seconds=30)  # for a name that cannot be read, before an operator is called


class NameKeeping:
    def __init__(self, pair: Pair, *, naming: Naming, witness: Witness, over: FailOver, clock: Clock, run: Run) -> None:
        self._pair, self._naming, self._witness, self._over, self._clock = pair, naming, witness, over, clock
        self._records = Aside(naming.records, what=f"name {naming.name}", run=run, clock=clock)
        self.trouble = ""  # why an operator is needed for the name
        self.settled = False  # it is known to point to the holder

    def forget(self) -> None:
        """What was listed before says nothing any more."""
        self._records.forget()

    def assert_name(self, seen: Seen, *, paused: str | None) -> None:
        """While a failover is in hand, its own steps look after the name: this is for all other rounds.

        A pause stops failovers, not this: a name on the standby, which is not active, serves nobody, and is the mark of
        a late write. Any other address may be what the operator who paused wants, and stays until the pause ends.
        """
        lease = seen.lease
        if lease is None or not seen.at_work(lease.owner):
            return
        address = self._witness.address(lease.owner)
        self._records.start()
        newest = self._records.newest()
        if self._records.failing_for() > NAME_PATIENCE:
            self.trouble = f"{self._naming.name} cannot be read: {self._records.trouble}"
        if address is None or newest is None or self._clock.monotonic() - newest[0] > LISTING_GOOD_FOR:
            self.settled = False
            return
        plan = plan_name(newest[1], name=self._naming.name, type=A_RECORD, value=address, epoch=lease.epoch)
        self.settled = isinstance(plan, Settled)
        if isinstance(plan, Settled) and plan.remark is None:
            self.trouble = ""
            return
        standby = self._witness.address(self._witness.other(lease.owner))
        if paused and not (isinstance(plan, Rebind) and plan.record.value == standby):
            return
        self._records.forget()
        began = codec.moment(self._clock.now())
        try:
            fresh = self._witness.read_lease()
            if fresh is None or fresh.lease.epoch != lease.epoch:
                return
            on, why, _ = self._naming.bind(address, lease.epoch)
        except CredentialsRejected:
            raise
        except DrError as error:
            log.event("name.not_asserted", subject=self._pair.name, because=[str(error)])
            if isinstance(plan, Rebind):  # it may have been done all the same
                self._told("name.not_asserted", (plan.because, str(error)), plan, lease, began, "unknown")
            return
        self.trouble = "; ".join(why) if on is On.REBIND_REFUSED else ""
        self.settled = on is On.REBOUND
        if isinstance(plan, Rebind):
            self._told("name.reasserted", (plan.because, *why), plan, lease, began, on)

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
                "names": json.dumps({self._naming.name: plan.value}),
                "began": began,
            },
        )
