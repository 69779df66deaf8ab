"""The old side must be certainly off, and the lease the new side's, before anything else of a failover moves: certain
expiry or a lease given back, or what `old_side` proves, then one compare-and-set.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain.detection import Sight
from shared.domain.errors import Conflict
from shared.domain.failover_attempt import Attempt
from shared.domain.failover_fsm import On
from shared.domain.failover_safety import Rule
from shared.domain.failover_situation import lease_facts
from shared.domain.ids import Epoch, SiteName
from shared.domain.lease import UNCLAIMED, Lease, LeaseState, Sighting
from shared.domain.policy import Pair
from shared.ports.clock import Clock
from shared.ports.probes import AgentReport, Agents
from shared.state.failovers import Failover
from shared.state.leases import Leases
from shared.usecases.failover.fence_step import Step
from shared.usecases.failover.old_side import FORCED, RUNBOOK, OldSide, begun
from shared.usecases.failover.outcome import PROMOTE_TIMEOUT, Outcome
from shared.usecases.failover.preparing import behind
from shared.usecases.failover.witness import UNATTENDED, Witness

FRESH: Final = timedelta(seconds=10)  # a frozen executor thaws late: what the row said before that is read again
PROOF_FRESH: Final = timedelta(seconds=30)  # the same for a proof, whose reading may take long


class Fencing:
    def __init__(
        self,
        *,
        pair: Pair,
        witness: Witness,
        leases: Leases,
        agents: Agents,
        clock: Clock,
        pause: Callable[[], str | None],
        old_side: OldSide | None = None,
    ) -> None:
        """`pause`: why failovers of this pair are paused, from a reading no older than a second; None: they are not.
        `old_side`: what makes certain that the old master is off, instead of its agent or beside it."""
        assert pair.agents or old_side is not None, "without an agent something else has to fence"
        self._old_side = old_side
        self._pair, self._witness, self._leases = pair, witness, leases
        self._agents, self._clock, self._pause = agents, clock, pause
        self._demoted: Epoch | None = None  # the epoch whose holder we told to give up
        self.rests_on = Attempt()  # what the last take-over was judged by

    def forget(self) -> None:
        """Another failover begins."""
        self._demoted = None
        if self._old_side is not None:
            self._old_side.forget()

    def fence(self, failover: Failover, target: SiteName) -> Outcome:
        """The take-over itself: certain expiry or a lease given back, then one compare-and-set."""
        began = self._clock.monotonic()
        sighting = self._witness.read_lease()
        if sighting is None:
            return On.FENCE_LOST, ("the lease row is gone",), {}
        lease = sighting.lease
        if lease.epoch > (failover.epoch or Epoch(0)):
            if lease.owner == target:
                why = f"{target} was given epoch {lease.epoch} by another watch"
                self.rests_on = self._seen(sighting, lease.epoch)
                return On.FENCED, (why,), self._taken(failover, lease.epoch)
            return On.SUPERSEDED, (f"{lease.owner} holds epoch {lease.epoch}",), {}
        if not failover.planned and not self._takeable(sighting) and lease.version != failover.seen_version:
            return On.FENCE_LOST, (f"{lease.owner} has renewed its lease",), {}
        fencing = begun(failover, lease.owner)
        if not self._gave_up(failover, lease) and not fencing:
            pause = self._pause()
            if pause is not None:
                return On.PAUSE, (pause,), {}
        report = self._report(target)
        if report.sight is Sight.SILENT:
            # Perhaps it is we who are cut off: that must not take the decision from a watch that sees it.
            return On.FENCE_WAITS, (f"the agent of {target} is not seen from here: {report.detail}".rstrip(": "),), {}
        if not _ready(report):
            return On.STANDBY_UNFIT, (f"the agent of {target} does not answer, or is not ready",), {}
        if not self._pair.agents:
            may_stay = not failover.planned and not (fencing and self._touched(failover))
            if may_stay and _ready(self._report(lease.owner)):
                return On.FENCE_LOST, (f"the service of {lease.owner} answers again",), {}
        elif failover.planned and lease.state is LeaseState.HELD and not self._takeable(sighting):
            lags = behind(self._pair, report)
            if lags and Rule.LAG not in failover.force and not self._gave_up(failover, lease):
                # Never both off: what was prepared some moments ago is asked again before the old side stops.
                return On.NOT_READY, (f"{target}: {lags}", "runbook: data-is-behind"), {}
            self._demoted = lease.epoch
            said = self._demote(lease.owner)
            # Its answer is not enough: the row must say that it is free. Only then has the deadline been revoked.
            sighting = self._witness.read_lease() or sighting
            if not self._takeable(sighting):
                return On.FENCE_WAITS, (f"the agent of {lease.owner} has not given the lease back ({said})",), {}
        elif not self._takeable(sighting):
            # A watch that resumes what another began must see it unchanged for a whole lease with its own eyes.
            left = sighting.expires_at(self._witness.terms) - self._clock.monotonic()
            return On.FENCE_WAITS, (f"the lease of {lease.owner} runs for at most {left:.1f} s more",), {}
        if self._ran_out(failover, sighting.lease) and not failover.ran_out:
            # Noted before it is taken: of a lease that somebody took, nobody can tell whether it had been given back.
            return On.FENCE_WAITS, (f"{lease.owner} was lost before it gave its lease back",), {"ran_out": True}
        off = ""
        if self._old_side is not None and target != lease.owner:
            asks = self._clock.monotonic()
            if asks - began > FRESH.total_seconds():
                return On.FENCE_WAITS, ("the lease was read too long ago to act on: it is read again",), {}
            step = self._old_side.step(failover, lease.owner)
            if step.row is not None:
                return On.FENCE_WAITS, (step.why,), {"fence": step.row}
            if not step.off and not self._overridden(failover, lease.owner, step):
                return On.FENCE_WAITS, (step.why, RUNBOOK), {}
            if self._clock.monotonic() - asks > PROOF_FRESH.total_seconds():
                return On.FENCE_WAITS, ("what was read back of the old side is too old: it is read again",), {}
            off = step.why if step.off else f"overridden by {failover.fence[FORCED]}: {step.why}"
        return self._take(failover, sighting, target, off)

    def _touched(self, failover: Failover) -> bool:
        """Whether what the row says was begun, so that to give up would leave it half done. A stop that
        somebody else may have ordered is none of that: what serves is left alone, and when it stops later it is a new
        loss."""
        assert self._old_side is not None, "without an agent something else fences"
        return self._old_side.touched or FORCED in failover.fence

    def _take(self, failover: Failover, sighting: Sighting, target: SiteName, off: str) -> Outcome:
        lease, holder = sighting.lease, UNCLAIMED if self._pair.agents else UNATTENDED
        seen = self._seen(sighting, Epoch(0), off=off)
        try:
            taken = self._leases.take(lease, target, length=self._pair.lease, holder=holder)
        except Conflict:
            return On.FENCE_LOST, ("the compare-and-set on the lease met a newer version",), {}
        if self._old_side is not None:
            self._old_side.forget()
        self.rests_on = replace(seen, taken=taken.epoch)
        how = "was given back" if lease.state is LeaseState.FREE else "ran out"
        how = f"the lease of epoch {lease.epoch} {how}; " if self._pair.agents else ""
        return (
            On.FENCED,
            (f"{how}{target} has epoch {taken.epoch}", *((off,) if off else ())),
            {**self._taken(failover, taken.epoch), "ran_out": self._ran_out(failover, lease)},
        )

    def _ran_out(self, failover: Failover, lease: Lease) -> bool:
        """A holder that did not give its lease back was lost on the way, whatever was planned."""
        return self._pair.agents and failover.planned and lease.state is LeaseState.HELD

    def _seen(self, sighting: Sighting, taken: Epoch, *, off: str = "") -> Attempt:
        """Taken down before the call: what is seen while it is under way was not known."""
        now = self._clock.monotonic()
        return Attempt(
            lease=lease_facts(sighting, now),
            length=timedelta(seconds=sighting.expires_at(self._witness.terms) - sighting.since),
            agents=self._pair.agents,
            off=off,
            taken=taken,
        )

    def _overridden(self, failover: Failover, old: SiteName, step: Step) -> bool:
        """Once it was tried, and only while the old master answers nobody here: what answers is at work."""
        if not failover.fence.get(FORCED) or step.alive:
            return False
        return self._report(old).sight is not Sight.ANSWERED

    def _taken(self, failover: Failover, epoch: Epoch) -> Mapping[str, object]:
        """The take-over is what flaps, however the rest of the failover ends: the block counts from here. A holder that
        gets its own lease back has not flapped: a block would only hold up a real loss."""
        by_itself = not failover.planned and not failover.order and failover.to_site != failover.from_site
        return {"epoch": epoch, "automatic_at": self._clock.now()} if by_itself else {"epoch": epoch}

    def _gave_up(self, failover: Failover, lease: Lease) -> bool:
        """A holder that gave up for a switchover has stopped: to pause now would leave nobody at work."""
        return failover.planned and (lease.state is LeaseState.FREE or self._demoted == lease.epoch)

    def _takeable(self, sighting: Sighting) -> bool:
        return sighting.takeable(self._clock.monotonic(), self._witness.terms)

    def _demote(self, site: SiteName) -> str:
        address, port = self._witness.address(site), self._witness.member(site).agent_port
        if address is None:
            return "address unknown"
        report = self._agents.demote(address, port, timeout=PROMOTE_TIMEOUT)
        return f"{report.sight}, active: {report.active}"

    def _report(self, site: SiteName) -> AgentReport:
        address, port = self._witness.address(site), self._witness.member(site).agent_port
        if address is None:
            self._witness.learn_addresses()
            return AgentReport(sight=Sight.SILENT, detail=f"its address is not known {self._witness.trouble}".rstrip())
        return self._agents.look(address, port, timeout=timedelta(seconds=1))


def _ready(report: AgentReport) -> bool:
    return report.sight is Sight.ANSWERED and report.ready is not False
