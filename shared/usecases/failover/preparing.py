"""What a planned move asks before anything moves: whether the new side is fit now, and whether anybody objects. The old
side serves meanwhile, so that it costs no refused time, and to call it off is free.
"""

from datetime import timedelta
from typing import Final

from shared.domain.detection import Sight
from shared.domain.dns_plan import RUNBOOK
from shared.domain.failover_fsm import On
from shared.domain.failover_safety import Lag, Rule, lag_objection
from shared.domain.ids import Epoch, SiteName
from shared.domain.pair import Pair, Short
from shared.ports.probes import AgentReport, Agents
from shared.state.failovers import Failover
from shared.usecases.failover.held_back import HeldBack
from shared.usecases.failover.names_asked import NamesAsked
from shared.usecases.failover.outcome import Outcome
from shared.usecases.failover.vetoes import Vetoes
from shared.usecases.failover.witness import Witness

LOOK: Final = timedelta(seconds=1)


class Preparing:
    def __init__(
        self,
        pair: Pair,
        *,
        witness: Witness,
        agents: Agents,
        vetoes: Vetoes,
        held: HeldBack,
        names: NamesAsked,
    ) -> None:
        self._pair, self._witness, self._agents = pair, witness, agents
        self._vetoes, self._held, self._names = vetoes, held, names

    def prepare(self, failover: Failover, target: SiteName) -> Outcome:
        """Raises what the store raises."""
        self._vetoes.ask()
        self._names.ask()
        pause = self._held.why_now()
        if pause is not None:
            return On.PAUSE, (pause,), {}
        sighting = self._witness.read_lease()
        if sighting is None or sighting.lease.epoch != failover.epoch:
            return On.SUPERSEDED, ("the lease is not the one that the order was about",), {}
        address = self._witness.address(target)
        if address is None:
            self._witness.learn_addresses()
            return On.PREPARE_WAITS, (f"the address of {target} is not known {self._witness.trouble}".rstrip(),), {}
        report = self._agents.look(address, self._witness.member(target).agent_port, timeout=LOOK)
        if report.sight is Sight.SILENT:
            return On.PREPARE_WAITS, (f"the agent of {target} is not seen from here: {report.detail}".rstrip(": "),), {}
        if report.sight is not Sight.ANSWERED or report.ready is False:
            return On.STANDBY_UNFIT, (f"the agent of {target} does not answer, or is not ready",), {}
        for rule, why in ((Rule.LAG, behind(self._pair, report)), (Rule.CAPACITY, self._short(failover, target))):
            if why and rule not in failover.force:
                return On.NOT_READY, (f"{target}: {why}",), {}
        if Rule.HOOK not in failover.force:
            if self._vetoes.standing:
                return On.VETOED, (*self._vetoes.standing, "runbook: hook-vetoed"), {}
            if self._vetoes.waiting:
                return On.PREPARE_WAITS, (self._vetoes.waiting,), {}
        refused, waits = self._names.judged(target, Epoch(failover.epoch + 1))
        if refused:
            return On.NOT_READY, (refused, f"runbook: {RUNBOOK}"), {}
        if waits:
            return On.PREPARE_WAITS, (waits,), {}
        return On.PREPARED, (f"{target} is fit, and nobody objects",), {}

    def _short(self, failover: Failover, target: SiteName) -> str:
        surge = self._pair.surge.get(target)
        return failover.short.get(target, "") if surge is not None and surge.short is Short.REFUSE else ""


def behind(pair: Pair, report: AgentReport) -> str:
    """Why the data of a site that has just answered stands in the way of a planned move; empty when it does not."""
    return lag_objection(Lag(behind=report.lag, age=report.lag_age), [], pair.data)
