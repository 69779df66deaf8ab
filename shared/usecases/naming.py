"""The name that follows the active master: bound by one update of one record, read back, and confirmed.

A rebind cannot be made conditional (the name service has none), so before it the lease row is read once more and must
still name our epoch. What a watch that was frozen right there writes later is mended by the next look at the name: in
the last step of a failover (astray: bind again), and after it in the rounds of every watch that sees the holder.
"""

from typing import Final

from shared.domain.dns_plan import A_RECORD, NameRecord, Rebind, RefuseRebind, Settled, plan_name, remark_of
from shared.domain.errors import OutcomeUnknown, Retryable
from shared.domain.failover_fsm import On
from shared.domain.ids import Epoch, SiteName
from shared.domain.policy import Pair
from shared.observability import log
from shared.ports.names import Names
from shared.ports.probes import Agents
from shared.usecases.outcome import PROMOTE_TIMEOUT, Outcome
from shared.usecases.witness import Witness

MOST_ASTRAY: Final = 5  # bindings in one failover; more than a frozen watch or two would undo: somebody else writes too


class Naming:
    def __init__(self, *, pair: Pair, witness: Witness, names: Names, agents: Agents) -> None:
        self._pair, self._witness, self._names, self._agents = pair, witness, names, agents
        self._astray = 0

    def forget(self) -> None:
        """Another failover begins."""
        self._astray = 0

    @property
    def name(self) -> str:
        return f"{self._pair.name_host}.{self._pair.name_zone}"

    def wanted(self, target: SiteName) -> dict[str, str]:
        """Each name and what it gives while `target` is active, as far as that is known here: for the record."""
        address = self._witness.address(target)
        return {} if address is None else {self.name: address}

    def rebind(self, target: SiteName, epoch: Epoch) -> Outcome:
        newer = self._witness.newer(epoch)
        if newer is not None:
            return On.SUPERSEDED, (newer,), {}
        address = self._witness.address(target)
        if address is None:
            self._witness.learn_addresses()
            return On.REBIND_WAITS, (f"the address of {target} is not known: {self._witness.trouble}",), {}
        return self.bind(address, epoch)

    def bind(self, address: str, epoch: Epoch) -> Outcome:
        """The name to `address`: one update of one record, read back, then the epoch in its remark as evidence."""
        plan = plan_name(self.records(), name=self.name, type=A_RECORD, value=address, epoch=epoch)
        match plan:
            case RefuseRebind():
                return On.REBIND_REFUSED, (plan.because, f"runbook: {plan.runbook}"), {}
            case Settled(record=record, remark=remark):
                if remark is not None:
                    self._remark(record, remark)
                return On.REBOUND, (plan.because,), {}
            case Rebind(record=record):
                try:
                    self._names.rebind(record, value=address)
                except OutcomeUnknown as error:
                    log.event("name.unanswered", subject=self._pair.name, because=[str(error)])
                again = plan_name(self.records(), name=self.name, type=A_RECORD, value=address, epoch=epoch)
                if not isinstance(again, Settled):
                    return On.REBIND_WAITS, (f"reads back as: {again.because}",), {}
                self._remark(again.record, remark_of(epoch))
                return On.REBOUND, (plan.because,), {}

    def records(self) -> tuple[NameRecord, ...]:
        """All records of the host that could answer for it, of the type we bind and of the one that would clash."""
        zone, host = self._pair.name_zone, self._pair.name_host
        found = self._names.records(zone=zone, host=host, type=A_RECORD)
        return found or self._names.records(zone=zone, host=host, type="CNAME")

    def _remark(self, record: NameRecord, text: str) -> None:
        """Evidence only: a failover does not wait for it, and the next re-assertion writes it."""
        try:
            self._names.remark(record, text=text)
        except (Retryable, OutcomeUnknown) as error:
            log.event("name.remark_lost", subject=self._pair.name, because=[str(error)])

    def confirm(self, target: SiteName, epoch: Epoch) -> Outcome:
        """From a client's point of view: the address that the record gives now is one where the epoch is active."""
        records = self.records()
        newer = self._witness.newer(epoch)
        if newer is not None:
            return On.SUPERSEDED, (newer,), {}
        address = self._witness.address(target)
        values = [record.value for record in records if record.enabled]
        if address is None:
            self._witness.learn_addresses()
            return On.CONFIRM_WAITS, (f"the address of {target} is not known: {self._witness.trouble}",), {}
        if values != [address]:
            self._astray += 1
            why = f"{self.name} reads {', '.join(values) or 'nothing'}, not {address}, which holds epoch {epoch}"
            return On.CONFIRM_WAITS if self._astray > MOST_ASTRAY else On.ASTRAY, (why,), {}
        report = self._agents.look(values[0], self._witness.member(target).agent_port, timeout=PROMOTE_TIMEOUT)
        if report.active and report.epoch == epoch:
            return On.CONFIRMED, (f"{values[0]} answers as active under epoch {epoch}",), {}
        return On.CONFIRM_WAITS, (f"{values[0]} is not active under epoch {epoch}: {report.sight}",), {}
