"""The rounds of one site's watch of one pair.

Each round: read the lease row, look at the active master's agent, judge, act by the state table, and re-assert the name
to the newest epoch's holder from a listing that a look aside brought in the round before; now and then look at the
standby and ask the load balancer. What a round saw is decided on by `shared.domain.failover_decision`; here it is
noted and done.

Costs per round in calm: one read unit of the store, one small HTTP request, and one listing of the name's records.
Decisions are written when something changes, not every second.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.detection import Verdict
from shared.domain.errors import Conflict, CredentialsRejected, DrError, OutcomeUnknown, Permanent, Retryable
from shared.domain.failover_decision import Resolution, decide, judged
from shared.domain.failover_fsm import AT_REST, IN_HAND, Do, On, State
from shared.domain.failover_safety import Rule
from shared.domain.failover_situation import Missing, Situation
from shared.domain.ids import Epoch, PolicyVersion, SiteName
from shared.domain.policy import Pair
from shared.observability import log
from shared.state import codec
from shared.state.failovers import Failover, SwitchOrder
from shared.usecases.failover.old_side import FORCED
from shared.usecases.failover.ordered import told
from shared.usecases.failover.replay import RESOLUTION, SITUATION
from shared.usecases.failover.watch_parts import Ports, parts_of
from shared.usecases.failover.witness import Seen

FINISH: Final = timedelta(seconds=60)  # a failover in hand may outlast its tick by this: the function's time-out does
CALM_EVERY: Final = 5  # rounds between looks at controls, standby and balancer
SHORTEST_WAIT: Final = timedelta(milliseconds=20)


class PairWatch:
    """One pair, from one site. Lives as long as its function instance: sightings and addresses are worth keeping."""

    def __init__(self, pair: Pair, *, site: SiteName, policy: PolicyVersion, ports: Ports) -> None:
        self.pair, self._site, self._ports, self._clock = pair, site, ports, ports.clock
        parts = parts_of(pair, site=site, policy=policy, ports=ports)
        self.witness, self._held, self._over = parts.witness, parts.held, parts.over
        self._ordered, self._restore, self._kept = parts.ordered, parts.restore, parts.kept
        self._roll, self._situations, self._surge = parts.roll, parts.situations, parts.surge
        self._failover: Failover | None = None
        self._well_at: tuple[float, datetime] | None = None
        self._noted: tuple[str, ...] = ()
        self.rounds = 0

    @property
    def state(self) -> State:
        return self._failover.state if self._failover else State.WATCHING

    def run(self, *, run: str, until: float) -> None:
        """Rounds until `until` (monotonic seconds)."""
        self._over.resume(run)
        self.witness.run = run
        self._failover = None
        self._roll.call(run)
        self.witness.learn_addresses()
        every = self.pair.watch_every.total_seconds()
        while (began := self._clock.monotonic()) < until:
            self.round(until=until)
            self._clock.sleep(timedelta(seconds=self._wait(began + every)))

    def _wait(self, next_round: float) -> float:
        """To the next round, or to the moment at which the lease will certainly have run out, if that is earlier."""
        now = self._clock.monotonic()
        sighting = self.witness.sighting
        if sighting is not None and self.state not in AT_REST:
            expiry = sighting.expires_at(self.witness.terms)
            if expiry > now:
                next_round = min(next_round, expiry)
        return max(SHORTEST_WAIT.total_seconds(), next_round - now)

    def round(self, *, until: float) -> None:
        """One round. The store being out of reach ends it without an action; a damaged row calls an operator."""
        calm = self.rounds % CALM_EVERY == 0
        self.rounds += 1
        try:
            if calm or self._failover is None:
                self._failover = self._ports.failovers.of(self.pair.name, now=self._clock.now())
                self._held.read()
        except (Retryable, OutcomeUnknown) as error:
            self._cannot(Missing.STORE, error)
            return
        except CredentialsRejected:
            raise
        except Permanent as error:
            self._cannot(Missing.ROWS, error)
            return
        if calm:
            self._roll.read()
        try:
            seen = self.witness.look(closer=calm or self.state not in AT_REST)
        except (Retryable, OutcomeUnknown) as error:
            self._cannot(Missing.STORE, error)
            return
        except CredentialsRejected:
            raise
        except Permanent as error:
            damage = str(error)
            self._acting(lambda: self._lease_damaged(damage, calm=calm, until=until))
            return
        if seen.lease is None and not seen.observations:
            self._acting(lambda: self._without_lease(seen, calm=calm, until=until))
            return
        self._restore.forget()
        self._acting(lambda: self._act(seen, calm=calm, until=until))

    def _cannot(self, what: Missing, error: DrError) -> None:
        """Whatever the failover's row may say: nothing is decided in this round."""
        situation = self._situations.without(what, str(error), None)
        self._note(situation, decide(situation))

    # --- acting ---

    def _acting(self, act: Callable[[], None]) -> None:
        """Whatever keeps one round from its end is told and met again in the next: a watch does not stop for it."""
        try:
            act()
        except Conflict:
            self._failover = None  # the other site's watch moved it: read it again in the next round
        except CredentialsRejected:
            raise
        except DrError as error:
            self._failover = None
            level = logging.INFO if isinstance(error, Retryable | OutcomeUnknown) else logging.ERROR
            log.event("watch.store_failed", level=level, subject=self.pair.name, because=[str(error)])

    def _lease_damaged(self, because: str, *, calm: bool, until: float) -> None:
        """Nobody can hold, renew or take over such a row, so the masters stop: only an operator knows what to write."""
        assert self._failover is not None, "it was read in this round"
        if self._failover.state in IN_HAND:
            self._drive(self._failover, until=until)
            return
        order = self._ports.orders.pending(self.pair.name) if calm else None
        if order is not None and self._restore.written(order, self._failover, stopped=self._held.why):
            return  # the next round reads it, and carries the rest of the order out
        situation = self._situations.without(Missing.LEASE, because, self._failover)
        self._follow(situation, decide(situation))

    def _without_lease(self, seen: Seen, *, calm: bool, until: float) -> None:
        if self.witness.misses_lease():
            self._lease_damaged("the lease row is gone", calm=calm, until=until)
        elif not self.pair.agents:
            self._first_lease()
        else:
            self._restore.forget()
            self._act(seen, calm=calm, until=until)

    def _first_lease(self) -> None:
        if self.witness.first_lease():
            why = f"{self.pair.preferred} is put in charge: its service answers, and the pair has had no lease yet"
            inputs = {"witness": self._site}
            self._over.record("lease.created", (why,), epoch=Epoch(1), acted=True, inputs=inputs)

    def _act(self, seen: Seen, *, calm: bool, until: float) -> None:
        failover = self._failover
        if failover is None:
            failover = self._failover = self._ports.failovers.of(self.pair.name, now=self._clock.now())
        found = self._situations.seen(failover, seen, calm=calm)
        if judged(found).verdict is Verdict.HEALTHY:
            self._all_is_well(seen, calm=calm)
        if failover.state in IN_HAND:
            self._drive(failover, until=until)
            return
        self._surge.look(failover, seen.lease, held=bool(self._held.why))
        situation, order = self._situations.complete(found)
        resolution = decide(situation)
        if order is not None and resolution.word is not None:
            self._ordered.heed(order, resolution.word, self._inputs(situation, resolution))
        if resolution.do not in (Do.FENCE, Do.PREPARE):
            self._follow(situation, resolution)
            return
        carried = order if resolution.carried is not None else None
        self._failover = self._begin(failover, seen, situation, resolution, carried)
        self._surge.now()  # beside what follows: nothing waits for it
        if carried is not None:
            self._ports.orders.close(carried)
        self._drive(self._failover, until=until)

    def _all_is_well(self, seen: Seen, *, calm: bool) -> None:
        if seen.lease is not None and seen.at_work(seen.lease.owner):
            self._well_at = (self._clock.monotonic(), self._clock.now())
        if calm:
            self.witness.look_aside()
        if self.state not in IN_HAND:
            self._kept.assert_name(seen, paused=self._held.why)

    def _follow(self, situation: Situation, resolution: Resolution) -> None:
        """Into the state that was decided on; where it is that already, told once."""
        assert self._failover is not None, "it was read in this round"
        if resolution.next is self._failover.state:
            if resolution.on is On.UNPROTECTED:
                if not situation.calm:
                    return  # the other side was not looked at in this round: nothing new is known of it
                inputs = self._inputs(situation, resolution)
                self._failover = self._over.warn(self._failover, resolution.because, inputs)
            else:
                self._note(situation, resolution)
            return
        inputs = self._inputs(situation, resolution)
        self._failover = self._over.move(self._failover, resolution.on, why=resolution.because, inputs=inputs)
        self._noted = (resolution.next, resolution.on, resolution.verdict, resolution.rule)

    def _drive(self, failover: Failover, *, until: float) -> None:
        self._failover = self._over.drive(failover, until=until + FINISH.total_seconds())
        self._kept.forget()
        # Its end is recorded; a healthy round adds nothing.
        self._noted = (self._failover.state, On.HEALTHY, Verdict.HEALTHY, "as_judged")

    def _begin(
        self,
        failover: Failover,
        seen: Seen,
        situation: Situation,
        resolution: Resolution,
        carried: SwitchOrder | None,
    ) -> Failover:
        lease, target = seen.lease, resolution.target
        assert lease is not None, "nothing is fenced that was not seen"
        assert target is not None, "a failover needs a target"
        judged_at, now = self._clock.monotonic(), self._clock.now()
        well_mono, well = self._last_good(seen, judged_at, now)
        overrode = resolution.word.overrode if resolution.word else ()
        begun = self._over.begin(
            failover,
            resolution.on,
            why=resolution.because,
            changes={
                "from_site": lease.owner,
                "to_site": target,
                "epoch": lease.epoch,
                "seen_version": lease.version,
                "planned": resolution.planned,
                "failback": resolution.on is On.FAILBACK,
                "force": carried.force if carried else (),
                **self._surge.changes(target, failover, home=resolution.planned and target == self.pair.preferred),
                "loss_s": None if resolution.loss is None else resolution.loss.total_seconds(),
                "order": carried.id if carried else "",
                "lost_at": well,
                "fence": {FORCED: carried.by or "an order"} if carried and Rule.FENCE in carried.force else {},
                "ended": {"detect": now, "decide": now},
                "seconds": {"detect": judged_at - well_mono, "decide": 0.0},
            },
            inputs={**(told(carried, overrode) if carried else {}), **self._inputs(situation, resolution)},
        )
        # The record is part of deciding: its time belongs to that phase, and the next phase starts here.
        decided = self._clock.monotonic()
        self._over.mark(begun.state, decided)
        return _with_seconds(begun, "decide", decided - judged_at)

    def _last_good(self, seen: Seen, mono: float, now: datetime) -> tuple[float, datetime]:
        """When the old holder was last known to be well. If it was never seen at work from here, its lease was at least
        renewed before we first saw it: no later than that."""
        if self._well_at is not None:
            return self._well_at
        since = mono if seen.sighting is None else seen.sighting.since
        return since, now - timedelta(seconds=mono - since)

    def _note(self, situation: Situation, resolution: Resolution) -> None:
        """A decision not to act, once per change: of what it is, or of what is withheld by it."""
        on, said = resolution.on, (situation.state, resolution.on, resolution.verdict, resolution.rule)
        if self._noted == said:
            return
        first, self._noted = not self._noted, said
        if first and on is On.HEALTHY:
            return
        self._over.record(
            "failover.not_needed" if on is On.HEALTHY else "failover.withheld",
            resolution.because,
            epoch=self.witness.sighting.lease.epoch if self.witness.sighting else None,
            acted=False,
            inputs={"state": situation.state, "on": on, **self._inputs(situation, resolution)},
        )

    @staticmethod
    def _inputs(situation: Situation, resolution: Resolution) -> Mapping[str, str]:
        """Everything that the decision rests on, and what it was: `shared.usecases.failover.replay` makes it again."""
        return {
            "witness": situation.witness,
            "rule": resolution.rule,
            SITUATION: codec.dump(situation),
            RESOLUTION: codec.dump(replace(resolution, because=())),  # the decision itself has the reasons
        }


def _with_seconds(failover: Failover, phase: str, seconds: float) -> Failover:
    return replace(failover, seconds={**failover.seconds, phase: seconds})
