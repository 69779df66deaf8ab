"""Fence, promote, rebind, confirm: does the work that the rows of `failover_fsm` name, for one pair.

Every action may be done twice, and by the watches of both sites at once: the take-over is one compare-and-set, promote
and rebind are idempotent, and progress is a row that only one of them can move. Order of writes: the state that says
what will be done, then the doing.

A rebind cannot be made conditional (the name service has none), so before it the lease row is read once more and must
still name our epoch. What a watch that was frozen right there writes later is mended by the next look at the name: in
the last step of a failover (astray: bind again), and after it in the rounds of every watch that sees the holder.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.detection import Sight
from shared.domain.dns_plan import A_RECORD, NameRecord, Rebind, RefuseRebind, Settled, plan_name, remark_of
from shared.domain.errors import Conflict, CredentialsRejected, DrError, OutcomeUnknown, Retryable
from shared.domain.failover_fsm import IN_HAND, Do, On, State, step
from shared.domain.ids import Epoch, PolicyVersion, SiteName
from shared.domain.lease import Lease, LeaseState, Sighting
from shared.domain.objectives import FAILOVER_PHASES
from shared.domain.policy import Pair
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.names import Names
from shared.ports.probes import AgentReport, Agents
from shared.state.decisions import Decisions
from shared.state.failovers import Failover, Failovers
from shared.state.leases import Leases
from shared.usecases.witness import Witness

PROMOTE_TIMEOUT: Final = timedelta(seconds=3)
TRY_AGAIN: Final = timedelta(milliseconds=200)
PATIENCE: Final = timedelta(seconds=30)  # in one state of a failover, before an operator is called
MOST_ASTRAY: Final = 5  # bindings in one failover; more than a frozen watch or two would undo: somebody else writes too
WAITS: Final = frozenset({On.FENCE_WAITS, On.PROMOTE_WAITS, On.REBIND_WAITS, On.CONFIRM_WAITS})
PHASE_ENDED_BY: Final[Mapping[On, str]] = {
    On.FENCED: "fence",
    On.PROMOTED: "promote",
    On.REBOUND: "rebind",
    On.ASTRAY: "rebind",  # what was spent on confirming the old value was spent on binding
    On.CONFIRMED: "serve",
}


class FailOver:
    def __init__(
        self,
        *,
        pair: Pair,
        policy: PolicyVersion | None,
        witness: Witness,
        leases: Leases,
        failovers: Failovers,
        decisions: Decisions,
        agents: Agents,
        names: Names,
        clock: Clock,
        pause: Callable[[], str | None],
    ) -> None:
        """`pause`: why failovers of this pair are paused, from a reading no older than a second; None: they are not."""
        self._pair, self._policy, self._witness, self._run = pair, policy, witness, ""
        self._pause = pause
        self._leases, self._failovers, self._decisions = leases, failovers, decisions
        self._agents, self._names, self._clock = agents, names, clock
        self._mark: tuple[State, float] | None = None  # the state we entered, and when on the monotonic clock
        self._tried: tuple[State, datetime, float] | None = None  # the state and its `since`; our own first try at it
        self._demoted: Epoch | None = None  # the epoch whose holder we told to give up
        self._astray = 0

    def resume(self, run: str) -> None:
        """A tick begins. What was tried in the one before still counts as tried; its time marks do not."""
        self._run, self._mark = run, None

    @property
    def name(self) -> str:
        return f"{self._pair.name_host}.{self._pair.name_zone}"

    # --- moving from state to state ---

    def begin(
        self,
        failover: Failover,
        on: On,
        *,
        why: tuple[str, ...],
        changes: Mapping[str, object],
        inputs: Mapping[str, str] | None = None,
    ) -> Failover:
        """Into FENCING. The record stands before anything is done."""
        self._astray, self._demoted = 0, None
        return self.move(failover, on, why=why, changes=changes, event="failover.decided", inputs=inputs)

    def move(
        self,
        failover: Failover,
        on: On,
        *,
        why: tuple[str, ...] = (),
        changes: Mapping[str, object] | None = None,
        event: str = "",
        inputs: Mapping[str, str] | None = None,
    ) -> Failover:
        """Write the next state, then its decision. Raises Conflict when another watch moved first."""
        row = step(failover.state, on)
        now, mono = self._clock.now(), self._clock.monotonic()
        changed = replace(failover, **(changes or {}))  # type: ignore[arg-type]
        ended, seconds = dict(changed.ended), dict(changed.seconds)
        phase = PHASE_ENDED_BY.get(on)
        if phase is not None:
            ended[phase] = now
            began = self._mark[1] if self._mark and self._mark[0] is failover.state else None
            spent = mono - began if began is not None else (now - failover.since).total_seconds()
            seconds[phase] = seconds.get(phase, 0.0) + spent
        saved = self._failovers.save(
            replace(
                changed,
                state=row.next,
                since=now if row.next is not failover.state else failover.since,
                because=" ".join((row.because, *why[:1])),
                ended=ended,
                seconds=seconds,
                driver=self._run,
            )
        )
        if row.next is not failover.state:
            self._mark = (row.next, mono)
        self.record(
            event or f"failover.{row.next}",
            (row.because, *why),
            epoch=saved.epoch,
            acted=row.do not in (Do.NOTHING, Do.CALL_OPERATOR) or phase is not None,
            inputs={"from": failover.state, "on": on, "to": row.next, "do": row.do, **(inputs or {})},
        )
        return saved

    def record(
        self,
        event: str,
        because: tuple[str, ...],
        *,
        epoch: Epoch | None,
        acted: bool,
        inputs: Mapping[str, str],
    ) -> None:
        """A decision is logged, and stored if the store takes it: a failover does not stop for a lost record."""
        made = Decision(
            event=event,
            at=self._clock.now(),
            subject=self._pair.name,
            because=because,
            inputs={key: str(value) for key, value in inputs.items()},
            policy=self._policy,
            epoch=epoch,
            acted=acted,
            run=self._run,
        )
        log.decision(made)
        try:
            self._decisions.record(self._pair.name, made)
        except CredentialsRejected:
            raise
        except DrError as error:
            log.event("decision.lost", level=logging.WARNING, subject=self._pair.name, because=[str(error)])

    def mark(self, state: State, at: float) -> None:
        """`state` began at `at` (monotonic): its phase is measured from there."""
        self._mark = (state, at)

    # --- to its end ---

    def drive(self, failover: Failover, *, until: float) -> Failover:
        """Carry a failover in hand to its end, or as far as it comes before `until` (monotonic seconds). What is left
        over is resumed by the next tick, or by the other site's watch."""
        while failover.state in IN_HAND and self._clock.monotonic() < until:
            tried = self._trying(failover)
            on, why, changes = self._perform(failover)
            if on in WAITS and self._overdue(failover, tried):
                on, why = On.OVERDUE, (f"for more than {self._patience.total_seconds():.0f} s: {'; '.join(why)}",)
            if on in WAITS:
                self._clock.sleep(TRY_AGAIN)
                continue
            try:
                failover = self.move(failover, on, why=why, changes=changes)
            except Conflict:
                # The other site's watch was faster. All actions bear being done twice, so follow it.
                failover = self._failovers.of(self._pair.name, now=self._clock.now())
                continue
            except CredentialsRejected:
                raise
            except DrError as error:
                log.event("failover.not_recorded", level=logging.WARNING, subject=self._pair.name, because=[str(error)])
                self._clock.sleep(TRY_AGAIN)
                continue
            if on is On.CONFIRMED:
                self._completed(failover)
        return failover

    def _trying(self, failover: Failover) -> float:
        """When we first tried to bring this very state to its end, on our own clock."""
        if self._tried is None or self._tried[:2] != (failover.state, failover.since):
            self._tried = (failover.state, failover.since, self._clock.monotonic())
        return self._tried[2]

    def _overdue(self, failover: Failover, tried: float) -> bool:
        """`since` is another machine's wall clock, perhaps a wrong one, and perhaps nobody tried since: neither alone
        calls an operator."""
        own = timedelta(seconds=self._clock.monotonic() - tried)
        return own > self._patience and self._clock.now() - failover.since > self._patience

    @property
    def _patience(self) -> timedelta:
        return max(PATIENCE, 4 * self._pair.lease)

    def _perform(self, failover: Failover) -> tuple[On, tuple[str, ...], Mapping[str, object]]:
        assert failover.to_site is not None, "a failover in hand has a target"
        try:
            match failover.state:
                case State.FENCING:
                    return self._fence(failover, failover.to_site)
                case State.PROMOTING:
                    return self._promote(failover, failover.to_site)
                case State.REBINDING:
                    return self._rebind(failover, failover.to_site)
                case _:
                    return self._confirm(failover, failover.to_site)
        except CredentialsRejected:
            raise
        except DrError as error:
            refused = not isinstance(error, Retryable | OutcomeUnknown) and failover.state is State.REBINDING
            return On.REBIND_REFUSED if refused else _WAITS_IN[failover.state], (str(error),), {}

    def _fence(self, failover: Failover, target: SiteName) -> tuple[On, tuple[str, ...], Mapping[str, object]]:
        """The take-over itself: certain expiry or a lease given back, then one compare-and-set."""
        sighting = self._witness.read_lease()
        if sighting is None:
            return On.FENCE_LOST, ("the lease row is gone",), {}
        lease = sighting.lease
        if lease.epoch > (failover.epoch or Epoch(0)):
            if lease.owner == target:
                why = f"{target} was given epoch {lease.epoch} by another watch"
                return On.FENCED, (why,), self._taken(failover, lease.epoch)
            return On.SUPERSEDED, (f"{lease.owner} holds epoch {lease.epoch}",), {}
        if not failover.planned and not self._takeable(sighting) and lease.version != failover.seen_version:
            return On.FENCE_LOST, (f"{lease.owner} has renewed its lease",), {}
        if not self._gave_up(failover, lease):
            pause = self._pause()
            if pause is not None:
                return On.PAUSE, (pause,), {}
        report = self._report(target)
        if report.sight is Sight.SILENT:
            # Perhaps it is we who are cut off: that must not take the decision from a watch that sees it.
            return On.FENCE_WAITS, (f"the agent of {target} is not seen from here: {report.detail}".rstrip(": "),), {}
        if not _ready(report):
            return On.STANDBY_UNFIT, (f"the agent of {target} does not answer, or is not ready",), {}
        if failover.planned and lease.state is LeaseState.HELD and not self._takeable(sighting):
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
        try:
            taken = self._leases.take(sighting.lease, target, length=self._pair.lease)
        except Conflict:
            return On.FENCE_LOST, ("the compare-and-set on the lease met a newer version",), {}
        how = "was given back" if sighting.lease.state is LeaseState.FREE else "ran out"
        return (
            On.FENCED,
            (f"the lease of epoch {lease.epoch} {how}; {target} has epoch {taken.epoch}",),
            self._taken(failover, taken.epoch),
        )

    def _taken(self, failover: Failover, epoch: Epoch) -> Mapping[str, object]:
        """The take-over is what flaps, however the rest of the failover ends: the block counts from here."""
        by_itself = not failover.planned and not failover.order
        return {"epoch": epoch, "automatic_at": self._clock.now()} if by_itself else {"epoch": epoch}

    def _gave_up(self, failover: Failover, lease: Lease) -> bool:
        """A holder that gave up for a switchover has stopped: to pause now would leave nobody at work."""
        return failover.planned and (lease.state is LeaseState.FREE or self._demoted == lease.epoch)

    def _promote(self, failover: Failover, target: SiteName) -> tuple[On, tuple[str, ...], Mapping[str, object]]:
        epoch = self._epoch(failover)
        address = self._witness.address(target)
        if address is None:
            self._witness.learn_addresses()
            return On.PROMOTE_WAITS, (f"the address of {target} is not known: {self._witness.trouble}",), {}
        port = self._witness.member(target).agent_port
        report = self._agents.promote(address, port, epoch=epoch, timeout=PROMOTE_TIMEOUT)
        if report.sight is Sight.ANSWERED and report.active and report.epoch == epoch:
            return On.PROMOTED, (f"{target} is active under epoch {epoch}",), {}
        newer = self._newer(epoch)
        if newer is not None:
            return On.SUPERSEDED, (newer,), {}
        return On.PROMOTE_WAITS, (f"the agent of {target}: {report.sight} {report.detail}".rstrip(),), {}

    def _rebind(self, failover: Failover, target: SiteName) -> tuple[On, tuple[str, ...], Mapping[str, object]]:
        epoch = self._epoch(failover)
        newer = self._newer(epoch)
        if newer is not None:
            return On.SUPERSEDED, (newer,), {}
        address = self._witness.address(target)
        if address is None:
            self._witness.learn_addresses()
            return On.REBIND_WAITS, (f"the address of {target} is not known: {self._witness.trouble}",), {}
        return self.bind(address, epoch)

    def bind(self, address: str, epoch: Epoch) -> tuple[On, tuple[str, ...], Mapping[str, object]]:
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

    def _confirm(self, failover: Failover, target: SiteName) -> tuple[On, tuple[str, ...], Mapping[str, object]]:
        """From a client's point of view: the address that the record gives now is one where the epoch is active."""
        epoch = self._epoch(failover)
        records = self.records()
        newer = self._newer(epoch)
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

    def _completed(self, failover: Failover) -> None:
        seconds = {name: round(failover.seconds[name], 3) for name in FAILOVER_PHASES if name in failover.seconds}
        total = sum(seconds.values())
        self.record(
            "switchover.completed" if failover.planned else "failover.completed",
            (f"{failover.to_site} serves under epoch {failover.epoch}, {total:.1f} s after the last good sight",),
            epoch=failover.epoch,
            acted=True,
            inputs={
                "seconds": json.dumps(seconds),
                "ended": json.dumps(_texts(failover.ended)),
                "total": f"{total:.3f}",
            },
        )

    # --- looking ---

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

    def _newer(self, epoch: Epoch) -> str | None:
        """Why we are not the newest any more, or nobody is to serve under our epoch, by a fresh read of the lease row;
        None when neither is so."""
        sighting = self._witness.read_lease()
        if sighting is None:
            return "the lease row is gone"
        lease = sighting.lease
        if lease.epoch == epoch and lease.state is LeaseState.FREE:
            return f"{lease.owner} has given epoch {epoch} back"
        return None if lease.epoch == epoch else f"{lease.owner} holds epoch {lease.epoch}, newer than {epoch}"

    @staticmethod
    def _epoch(failover: Failover) -> Epoch:
        assert failover.epoch is not None, "after the fence the epoch is known"
        return failover.epoch


def _ready(report: AgentReport) -> bool:
    return report.sight is Sight.ANSWERED and report.ready is not False


_WAITS_IN: Final[Mapping[State, On]] = {
    State.FENCING: On.FENCE_WAITS,
    State.PROMOTING: On.PROMOTE_WAITS,
    State.REBINDING: On.REBIND_WAITS,
    State.CONFIRMING: On.CONFIRM_WAITS,
}


def _texts(moments: Mapping[str, datetime]) -> dict[str, str]:
    return {name: at.isoformat() for name, at in moments.items()}
