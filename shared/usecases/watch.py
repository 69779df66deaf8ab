"""The watch of one site: a loop inside its timer minute, because detection is on the way to recovery.

Each round: read the lease row, look at the active master's agent, judge, act by the state table, and re-assert the name
to the newest epoch's holder from a listing that a look aside brought in the round before; now and then look at the
standby and ask the load balancer. Runs a little longer than its minute, so that two ticks overlap; overlaps and the
watches of both sites are safe, since everything that matters is a compare-and-set. A tick that is a minute old returns
at once: after an outage hundreds of them arrive together.

Costs per round in calm: one read unit of the store, one small HTTP request, and one listing of the name's records.
Decisions are written when something changes, not every second.
"""

import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
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
from shared.ports.balancer import Balancer
from shared.ports.clock import Clock
from shared.ports.compute import Instances, Inventory
from shared.ports.hooks import Hooks
from shared.ports.names import Names
from shared.ports.probes import Agents, Probes
from shared.ports.resolvers import Resolvers
from shared.state import codec
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.failovers import Failover, Failovers, SwitchOrder, SwitchOrders
from shared.state.heartbeats import Heartbeats
from shared.state.leases import Leases
from shared.state.name_orders import NameOrders
from shared.state.policies import Policies
from shared.state.views import Views
from shared.usecases.aside import Run
from shared.usecases.client_view import ClientView
from shared.usecases.fail_over import FailOver
from shared.usecases.fencing import Fencing
from shared.usecases.held_back import HeldBack
from shared.usecases.name_keeping import NameKeeping
from shared.usecases.naming import Naming
from shared.usecases.old_side import FORCED, old_side_of
from shared.usecases.ordered import Ordered, told
from shared.usecases.other_side import OtherSide
from shared.usecases.preparing import Preparing
from shared.usecases.replay import RESOLUTION, SITUATION
from shared.usecases.restore_lease import RestoreLease
from shared.usecases.roll import Roll
from shared.usecases.service_masters import ServiceMasters
from shared.usecases.situation import Situations
from shared.usecases.vetoes import Vetoes
from shared.usecases.witness import Seen, Witness

SPAN: Final = timedelta(seconds=62)  # from the trigger's time: two seconds into the next tick's minute
FINISH: Final = timedelta(seconds=60)  # a failover in hand may outlast its tick by this: the function's time-out does
STALE: Final = timedelta(seconds=60)
CALM_EVERY: Final = 5  # rounds between looks at controls, standby and balancer
SHORTEST_WAIT: Final = timedelta(milliseconds=20)
UNWATCHED: Final = "is not in the active policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What one tick did, for the log and the caller."""

    site: str
    pairs: tuple[str, ...] = ()
    rounds: int = 0
    states: tuple[str, ...] = ()  # of the pairs, at the end
    stale: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything outside that a watch touches."""

    leases: Leases
    failovers: Failovers
    orders: SwitchOrders
    heartbeats: Heartbeats
    decisions: Decisions
    controls: Controls
    policies: Policies
    agents: Agents
    names: Names
    inventory: Inventory
    balancer: Balancer | None
    clock: Clock
    aside: Run
    public_names: Callable[[], Names] | None = None  # called for pairs that have some
    resolvers: Resolvers | None = None
    name_orders: NameOrders | None = None
    # For pairs without agents, and those whose old side is stopped or isolated:
    probes: Probes | None = None
    views: Views | None = None
    instances: Instances | None = None
    hooks: Hooks | None = None  # for pairs that have some
    beside: Run | None = None  # as `aside`, for what must not wait behind slow looks


class PairWatch:
    """One pair, from one site. Lives as long as its function instance: sightings and addresses are worth keeping."""

    def __init__(self, pair: Pair, *, site: SiteName, policy: PolicyVersion, ports: Ports) -> None:
        self.pair, self._site, self._ports, self._clock = pair, site, ports, ports.clock
        self._held = HeldBack(pair.name, controls=ports.controls, clock=ports.clock)
        agents = ports.agents if pair.agents else self._services_of(pair, ports.probes)
        self.witness = Witness(
            pair=pair,
            site=site,
            leases=ports.leases,
            heartbeats=ports.heartbeats,
            agents=agents,
            inventory=ports.inventory,
            balancer=ports.balancer,
            clock=ports.clock,
            aside=ports.aside,
            probes=ports.probes,
            views=ports.views,
        )
        naming = Naming(
            pair=pair,
            witness=self.witness,
            names=ports.names,
            public_names=ports.public_names,
            clients=ClientView(pair, agents=agents, probes=ports.probes, resolvers=ports.resolvers, clock=ports.clock),
        )
        vetoes = Vetoes(pair, hooks=ports.hooks, clock=ports.clock, run=ports.beside or ports.aside)
        self._over = FailOver(
            pair=pair,
            policy=policy,
            witness=self.witness,
            fencing=Fencing(
                pair=pair,
                witness=self.witness,
                leases=ports.leases,
                agents=agents,
                clock=ports.clock,
                pause=self._held.why_now,
                old_side=old_side_of(
                    pair,
                    instances=ports.instances,
                    inventory=ports.inventory,
                    probes=ports.probes,
                    clock=ports.clock,
                ),
            ),
            naming=naming,
            preparing=Preparing(pair, witness=self.witness, agents=agents, vetoes=vetoes, held=self._held),
            failovers=ports.failovers,
            decisions=ports.decisions,
            agents=agents,
            clock=ports.clock,
        )
        self._ordered = Ordered(orders=ports.orders, over=self._over, clock=ports.clock)
        self._restore = RestoreLease(
            pair,
            witness=self.witness,
            leases=ports.leases,
            heartbeats=ports.heartbeats,
            over=self._over,
            naming=naming,
            ordered=self._ordered,
            clock=ports.clock,
        )
        self._kept = NameKeeping(
            pair,
            site=site,
            naming=naming,
            witness=self.witness,
            over=self._over,
            orders=ports.name_orders,
            clock=ports.clock,
            run=ports.aside,
        )
        self._roll = Roll(
            pair,
            site=site,
            heartbeats=ports.heartbeats,
            over=self._over,
            clock=ports.clock,
            run=ports.aside,
            names=lambda: self._kept.findings,
        )
        self._situations = Situations(
            pair,
            site=site,
            orders=ports.orders,
            held=self._held,
            kept=self._kept,
            other=OtherSide(pair, vetoes=vetoes, clock=ports.clock),
            clock=ports.clock,
        )
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

    def _services_of(self, pair: Pair, probes: Probes | None) -> ServiceMasters:
        assert probes is not None, "masters without agents are looked at on their own ports"
        return ServiceMasters(
            pair,
            probes=probes,
            address=lambda site: self.witness.address(site),
            sighting=lambda: self.witness.sighting,
            read=lambda: self.witness.read_lease(),
        )

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
        if seen.lease is None and not seen.observations and self.witness.misses_lease():
            self._acting(lambda: self._lease_damaged("the lease row is gone", calm=calm, until=until))
            return
        if seen.lease is None and not seen.observations and not self.pair.agents:
            self._acting(self._first_lease)
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
        situation, order = self._situations.complete(found)
        resolution = decide(situation)
        if order is not None and resolution.word is not None:
            self._ordered.heed(order, resolution.word, self._inputs(situation, resolution))
        if resolution.do not in (Do.FENCE, Do.PREPARE):
            self._follow(situation, resolution)
            return
        carried = order if resolution.carried is not None else None
        self._failover = self._begin(failover, seen, situation, resolution, carried)
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
        """Everything that the decision rests on, and what it was: `shared.usecases.replay` makes it again."""
        return {
            "witness": situation.witness,
            "rule": resolution.rule,
            SITUATION: codec.dump(situation),
            RESOLUTION: codec.dump(replace(resolution, because=())),  # the decision itself has the reasons
        }


class Watch:
    """All pairs of one site, each in a thread of its own when there are several."""

    def __init__(self, *, site: SiteName, ports: Ports, begin: Callable[[], None] = lambda: None) -> None:
        """`begin` is called at the start of each tick (a clock that must be synchronised)."""
        self._site, self._ports, self._begin = site, ports, begin
        self._pairs: dict[tuple[str, PolicyVersion], PairWatch] = {}

    def run(self, trigger_time: datetime | None, *, run: str) -> Watched:
        """`trigger_time` None: somebody pressed the button; it counts as now. Raises Retryable when the policy cannot
        be read (nothing was watched), BadInput when no policy is active."""
        self._begin()
        clock = self._ports.clock
        now = clock.now()
        at = trigger_time or now
        if now - at > STALE:
            late = f"{(now - at).total_seconds():.0f} s late"
            log.event("watch.stale", subject=self._site, run=run, because=[f"the tick of {at.isoformat()} came {late}"])
            return Watched(site=self._site, stale=True)
        until = clock.monotonic() + (SPAN - max(now - at, timedelta(0))).total_seconds()
        version, policy = self._ports.policies.active()
        mine = [pair for pair in policy.pairs if any(member.site == self._site for member in pair.members)]
        if not mine:
            log.event(
                "watch.idle", level=logging.WARNING, subject=self._site, run=run, because=[f"{self._site} {UNWATCHED}"]
            )
            return Watched(site=self._site)
        watches = [self._of(pair, version) for pair in mine]
        before = sum(watch.rounds for watch in watches)
        self._run_all(watches, run=run, until=until)
        return Watched(
            site=self._site,
            pairs=tuple(watch.pair.name for watch in watches),
            rounds=sum(watch.rounds for watch in watches) - before,
            states=tuple(watch.state.value for watch in watches),
        )

    def _of(self, pair: Pair, version: PolicyVersion) -> PairWatch:
        key = (pair.name, version)
        if key not in self._pairs:
            self._pairs[key] = PairWatch(pair, site=self._site, policy=version, ports=self._ports)
        return self._pairs[key]

    @staticmethod
    def _run_all(watches: list[PairWatch], *, run: str, until: float) -> None:
        if len(watches) == 1:
            watches[0].run(run=run, until=until)
            return
        with ThreadPoolExecutor(max_workers=len(watches)) as pool:
            for future in [pool.submit(watch.run, run=run, until=until) for watch in watches]:
                future.result()


def _with_seconds(failover: Failover, phase: str, seconds: float) -> Failover:
    return replace(failover, seconds={**failover.seconds, phase: seconds})
