"""Fence, promote, rebind, confirm: does the work that the rows of `failover_fsm` name, for one pair.

Every action may be done twice, and by the watches of both sites at once: the take-over is one compare-and-set, promote
and rebind are idempotent, and progress is a row that only one of them can move. Order of writes: the state that says
what will be done, then the doing.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.detection import Sight
from shared.domain.errors import Conflict, CredentialsRejected, DrError, OutcomeUnknown, Retryable
from shared.domain.failover_attempt import Attempt
from shared.domain.failover_fsm import IN_HAND, Do, On, State, step
from shared.domain.ids import Epoch, PolicyVersion, SiteName
from shared.domain.objectives import FAILOVER_PHASES
from shared.domain.pair import FenceBy
from shared.domain.policy import Pair
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.probes import AgentReport, Agents
from shared.state import codec
from shared.state.decisions import Decisions
from shared.state.failovers import Failover, Failovers
from shared.usecases.failover.fencing import Fencing
from shared.usecases.failover.isolation import SETTLES
from shared.usecases.failover.naming import Naming
from shared.usecases.failover.old_side import FORCED, OVERDUE
from shared.usecases.failover.outcome import ATTEMPT, PROMOTE_TIMEOUT, Outcome
from shared.usecases.failover.preparing import Preparing
from shared.usecases.failover.witness import Witness

TRY_AGAIN: Final = timedelta(milliseconds=200)
PATIENCE: Final = timedelta(seconds=30)  # in one state of a failover, before an operator is called
STOP_PATIENCE: Final = timedelta(seconds=60)  # a stop by force takes seconds, on a busy host longer (assumption)
PREPARE_PATIENCE: Final = timedelta(seconds=10)  # then a planned move is called off: the old side serves
WARN_EVERY: Final = timedelta(hours=1)  # while a pair is unprotected
RENEWED_EVERY: Final = timedelta(seconds=10)  # the reason of an unprotected pair, by one watch
_AMOUNT: Final = re.compile(r"\d+(\.\d+)? s\b")
WAITS: Final = frozenset({On.PREPARE_WAITS, On.FENCE_WAITS, On.PROMOTE_WAITS, On.REBIND_WAITS, On.CONFIRM_WAITS})
TOLD_AS: Final[Mapping[On, str]] = {On.UNPROTECTED: "pair.unprotected", On.REPROTECTED: "pair.protected"}
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
        fencing: Fencing,
        naming: Naming,
        preparing: Preparing,
        failovers: Failovers,
        decisions: Decisions,
        agents: Agents,
        clock: Clock,
    ) -> None:
        self._pair, self._policy, self._witness, self._run = pair, policy, witness, ""
        self._failovers, self._decisions, self._agents, self._clock = failovers, decisions, agents, clock
        self._fencing, self._naming, self._preparing = fencing, naming, preparing
        self._mark: tuple[State, float] | None = None  # the state we entered, and when on the monotonic clock
        self._answer = AgentReport(sight=Sight.SILENT)  # of the new side, to the last order to become active
        self._cause = ("", float("-inf"))  # why the pair is unprotected, as we saw and told it, and when
        self._tried: tuple[State, datetime, float] | None = None  # the state and its `since`; our own first try at it

    def resume(self, run: str) -> None:
        """A tick begins. What was tried in the one before still counts as tried; its time marks do not."""
        self._run, self._mark = run, None

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
        """Into FENCING, or PREPARING when it is planned. The record stands before anything is done. `fence` in
        `changes`: what an order overrides."""
        self._fencing.forget()
        self._naming.forget()
        # What stood before an isolation that was tried already is not what stands now.
        tried = {key: value for key, value in failover.fence.items() if key not in (OVERDUE, FORCED)}
        same = tried.get("site") == changes.get("from_site")
        given: Mapping[str, str] = changes.get("fence") or {}  # type: ignore[assignment]  # fields by name
        changes = {**changes, "fence": {**(tried if same else {}), **given}}
        changes = {**changes, "names": {}, "ran_out": False}
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
        given = {**_left(failover, row.next), **_of_protection(failover, on, now), **(changes or {})}
        changed = replace(failover, **given)  # type: ignore[arg-type]  # fields by name
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
                because=_told(row.because, why),
                ended=ended,
                seconds=seconds,
                driver=self._run,
            )
        )
        if row.next is not failover.state:
            self._mark = (row.next, mono)
        self.record(
            event or _event(failover, on, row.next),
            (row.because, *why),
            epoch=saved.epoch,
            acted=row.do not in (Do.NOTHING, Do.CALL_OPERATOR) or phase is not None,
            inputs={
                "from": failover.state,
                "on": on,
                "to": row.next,
                "do": row.do,
                **self._evidence(failover, on, saved),
                **(inputs or {}),
            },
        )
        return saved

    def _evidence(self, before: Failover, on: On, saved: Failover) -> Mapping[str, str]:
        """What `understudy prove` compares with accept logs and the cloud's trail: who has which epoch by this move,
        what the names are to give, and a moment before any of what it tells of was done."""
        told = {"move": str(saved.version), "began": codec.moment(before.since)}
        if on in PHASE_ENDED_BY and saved.to_site is not None:
            told["granted_to"] = saved.to_site
        elif saved.state is State.FENCING and saved.from_site is not None:
            told["held_by"] = saved.from_site
        if saved.to_site is not None and (saved.state is State.REBINDING or on is On.REBOUND):
            told["names"] = json.dumps(self._naming.wanted(saved.to_site))
        return told

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
                patience = self._patience(failover.state)
                on, why = On.OVERDUE, (f"for more than {patience.total_seconds():.0f} s: {'; '.join(why)}",)
                if failover.state is State.FENCING and self._pair.fence.by is not FenceBy.LEASE:
                    stuck = {"site": str(failover.from_site), OVERDUE: codec.moment(self._clock.now())}
                    changes = {"fence": {**failover.fence, **stuck}}
            noted = on is On.FENCE_WAITS and changes
            if on in WAITS and not noted:
                self._clock.sleep(TRY_AGAIN)
                continue
            try:
                if noted:
                    # What is about to be done stands in the row before it is done: the next turn does it.
                    failover = self._failovers.save(replace(failover, **changes))  # type: ignore[arg-type]  # by name
                    continue
                failover = self.move(failover, on, why=why, changes=changes, inputs=self._rests_on(failover, on, tried))
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

    def _rests_on(self, failover: Failover, on: On, tried: float) -> Mapping[str, str]:
        """What an outcome that matters was judged by, for whoever asks later whether it follows."""
        match on:
            case On.FENCED:
                seen = self._fencing.rests_on
            case On.PROMOTED:
                seen = Attempt(sight=self._answer.sight, active=self._answer.active, says=self._answer.epoch)
            case On.OVERDUE:
                seen = Attempt(
                    tried=timedelta(seconds=self._clock.monotonic() - tried),
                    stood=self._clock.now() - failover.since,
                    patience=self._patience(failover.state),
                )
            case _:
                return {}
        return {ATTEMPT: codec.dump(replace(seen, target=failover.to_site, epoch=failover.epoch))}

    def _trying(self, failover: Failover) -> float:
        """When we first tried to bring this very state to its end, on our own clock."""
        if self._tried is None or self._tried[:2] != (failover.state, failover.since):
            self._tried = (failover.state, failover.since, self._clock.monotonic())
        return self._tried[2]

    def _overdue(self, failover: Failover, tried: float) -> bool:
        """`since` is another machine's wall clock, perhaps a wrong one, and perhaps nobody tried since: neither alone
        calls an operator."""
        own = timedelta(seconds=self._clock.monotonic() - tried)
        patience = self._patience(failover.state)
        return own > patience and self._clock.now() - failover.since > patience

    def _patience(self, state: State) -> timedelta:
        if state is State.PREPARING:
            return PREPARE_PATIENCE
        longest = max(PATIENCE, 4 * self._pair.lease)
        match self._pair.fence.by:
            case FenceBy.STOP:
                return max(longest, STOP_PATIENCE)
            case FenceBy.ISOLATE:
                return max(longest, 2 * max(self._pair.fence.proof, SETTLES) + PATIENCE)
        return longest

    def _perform(self, failover: Failover) -> Outcome:
        assert failover.to_site is not None, "a failover in hand has a target"
        try:
            match failover.state:
                case State.PREPARING:
                    return self._preparing.prepare(failover, failover.to_site)
                case State.FENCING:
                    return self._fencing.fence(failover, failover.to_site)
                case State.PROMOTING:
                    return self._promote(failover, failover.to_site)
                case State.REBINDING:
                    return self._naming.rebind(failover.to_site, self._epoch(failover), failover.names)
                case _:
                    return self._naming.confirm(failover.to_site, self._epoch(failover))
        except CredentialsRejected:
            raise
        except DrError as error:
            refused = not isinstance(error, Retryable | OutcomeUnknown) and failover.state is State.REBINDING
            return On.REBIND_REFUSED if refused else _WAITS_IN[failover.state], (str(error),), {}

    def _promote(self, failover: Failover, target: SiteName) -> Outcome:
        epoch = self._epoch(failover)
        address = self._witness.address(target)
        if address is None:
            self._witness.learn_addresses()
            return On.PROMOTE_WAITS, (f"the address of {target} is not known: {self._witness.trouble}",), {}
        port = self._witness.member(target).agent_port
        report = self._answer = self._agents.promote(address, port, epoch=epoch, timeout=PROMOTE_TIMEOUT)
        if report.sight is Sight.ANSWERED and report.active and report.epoch == epoch:
            return On.PROMOTED, (f"{target} is active under epoch {epoch}",), {}
        newer = self._witness.newer(epoch)
        if newer is not None:
            return On.SUPERSEDED, (newer,), self._had_it(failover)
        return On.PROMOTE_WAITS, (f"the agent of {target}: {report.sight} {report.detail}".rstrip(),), {}

    def _had_it(self, failover: Failover) -> Mapping[str, object]:
        """What changes when the new side gave its epoch back, or took a newer one by itself, before it was seen to
        serve: it may have served, so the two sides are as far apart as if it had been seen."""
        seen = self._witness.sighting
        if seen is None or seen.lease.owner != failover.to_site:
            return {}
        return _of_protection(failover, On.PROMOTED, self._clock.now())

    def warn(self, failover: Failover, why: tuple[str, ...], inputs: Mapping[str, str]) -> Failover:
        """Once an hour that the pair is unprotected, by whichever watch writes it first. Raises Conflict."""
        now, because = self._clock.now(), _told(step(failover.state, On.UNPROTECTED).because, why)
        if failover.unprotected_told is not None and now - failover.unprotected_told < WARN_EVERY:
            return self._renewed(failover, because)
        saved = self._failovers.save(replace(failover, unprotected_told=now, because=because))
        self.record(TOLD_AS[On.UNPROTECTED], why, epoch=saved.epoch, acted=False, inputs=inputs)
        return saved

    def _renewed(self, failover: Failover, because: str) -> Failover:
        """What `status` tells, once this watch sees another cause: not when only a number grew, nor because the other
        watch sees another one for as long."""
        cause, mono = _AMOUNT.sub("", because), self._clock.monotonic()
        seen, at = self._cause
        if cause == seen or mono - at < RENEWED_EVERY.total_seconds():
            return failover
        if cause != _AMOUNT.sub("", failover.because):
            failover = self._failovers.save(replace(failover, because=because))
        self._cause = (cause, mono)
        return failover

    def _completed(self, failover: Failover) -> None:
        seconds = {name: round(failover.seconds[name], 3) for name in FAILOVER_PHASES if name in failover.seconds}
        total = sum(seconds.values())
        self.record(
            "switchover.completed" if failover.planned else "failover.completed",
            (
                f"{failover.to_site} serves under epoch {failover.epoch}, {total:.1f} s after the last good sight",
                *_lost_data(failover),
            ),
            epoch=failover.epoch,
            acted=True,
            inputs={
                "seconds": json.dumps(seconds),
                "ended": json.dumps(_texts(failover.ended)),
                "total": f"{total:.3f}",
                "loss_s": "" if failover.loss_s is None else f"{failover.loss_s:g}",
            },
        )

    @staticmethod
    def _epoch(failover: Failover) -> Epoch:
        assert failover.epoch is not None, "after the fence the epoch is known"
        return failover.epoch


_WAITS_IN: Final[Mapping[State, On]] = {
    State.PREPARING: On.PREPARE_WAITS,
    State.FENCING: On.FENCE_WAITS,
    State.PROMOTING: On.PROMOTE_WAITS,
    State.REBINDING: On.REBIND_WAITS,
    State.CONFIRMING: On.CONFIRM_WAITS,
}


def _told(row: str, why: tuple[str, ...]) -> str:
    """For `status`: what each decision says in full, with the runbook wherever there is one."""
    return ". ".join((row, *why[:1], *(one for one in why[1:] if one.startswith("runbook: "))))


def _event(before: Failover, on: On, after: State) -> str:
    if before.state is State.PREPARING and after is not State.FENCING:
        return f"{'failback' if before.failback else 'switchover'}.called_off"
    return TOLD_AS.get(on, f"failover.{after}")


def _left(failover: Failover, after: State) -> dict[str, object]:
    """That a side could not be fenced is settled with the operator's call: another loss is tried anew."""
    if failover.state is not State.NEEDS_OPERATOR or after is failover.state or OVERDUE not in failover.fence:
        return {}
    return {"fence": {key: value for key, value in failover.fence.items() if key != OVERDUE}}


def _of_protection(failover: Failover, on: On, now: datetime) -> dict[str, object]:
    """A side that was lost while the other one came to serve is unprotected from then on, until it is shown to be fit.
    Before anybody may have served under the new epoch nothing has parted the two."""
    lost = (not failover.planned or failover.ran_out) and failover.from_site != failover.to_site
    apart = on is On.PROMOTED or (on is On.OVERDUE and failover.state is State.PROMOTING)  # it may get up later, unseen
    match on:
        case _ if apart and lost and failover.from_site is not None:
            return {"unprotected": failover.from_site, "unprotected_since": now, "unprotected_told": None}
        case On.PROMOTED if failover.unprotected and failover.unprotected == failover.to_site:
            # It serves, by an order or because its lease went back to it: it is the other one that stands by now.
            return {"unprotected": "", "unprotected_since": None, "unprotected_told": None}
        case On.CONFIRMED if failover.failback:
            return {"surged": ""}
        case On.UNPROTECTED:
            return {"unprotected_told": now}
        case On.REPROTECTED:
            return {"unprotected": "", "unprotected_since": None, "unprotected_told": None}
    return {}


def _lost_data(failover: Failover) -> tuple[str, ...]:
    if failover.loss_s is None:
        return () if failover.planned else ("how much data was lost is not known",)
    return (f"up to {failover.loss_s:g} s of data may be lost",)


def _texts(moments: Mapping[str, datetime]) -> dict[str, str]:
    return {name: at.isoformat() for name, at in moments.items()}
