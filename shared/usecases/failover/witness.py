"""One witness of one pair: what can be seen from here in one round, as observations with source, place and age.

Keeps its sighting of the lease from round to round, and in a warm function from minute to minute: it rests on this
machine's monotonic clock, which also counts the time for which the function was frozen.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from shared.domain.detection import Finding, Judgement, Observation, Sight, Source, judge
from shared.domain.errors import Conflict, CredentialsRejected, DrError, OutcomeUnknown, Permanent, Retryable
from shared.domain.ids import Epoch, HolderId, SiteName
from shared.domain.lease import Lease, LeaseState, Sighting, Terms
from shared.domain.policy import Member, Pair
from shared.observability import log
from shared.ports.balancer import Balancer
from shared.ports.clock import Clock
from shared.ports.compute import Inventory
from shared.ports.probes import AgentReport, Agents, Probes
from shared.state.heartbeats import Heartbeats
from shared.state.leases import Leases
from shared.state.views import Views
from shared.usecases.failover.aside import Aside, Run
from shared.usecases.failover.evidence import Evidence

LOOK_TIMEOUT: Final = timedelta(seconds=1)
SHORTEST_LOOK: Final = timedelta(milliseconds=200)
JUST_AFTER: Final = timedelta(milliseconds=10)  # so that a look that ends with the lease ends after it
BRIEF: Final = timedelta(seconds=1)  # one lost call is no gap
FRESH: Final = timedelta(seconds=10)
UNATTENDED: Final = HolderId("no agent")
"""Holder of the lease of a pair without agents. An agent that is set up later takes it for somebody else's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    at: float  # monotonic, when the round ended
    sighting: Sighting | None
    observations: tuple[Observation, ...]
    reports: dict[SiteName, AgentReport] = field(default_factory=dict)

    @property
    def lease(self) -> Lease | None:
        return self.sighting.lease if self.sighting else None

    def fit(self, site: SiteName) -> bool:
        """Whether the agent of `site` answered just now and would take over."""
        report = self.reports.get(site)
        return report is not None and report.sight is Sight.ANSWERED and report.ready is not False

    def at_work(self, site: SiteName) -> bool:
        report = self.reports.get(site)
        return (
            report is not None and report.active is True and self.lease is not None and report.epoch == self.lease.epoch
        )


class Witness:
    def __init__(
        self,
        *,
        pair: Pair,
        site: SiteName,
        leases: Leases,
        heartbeats: Heartbeats,
        agents: Agents,
        inventory: Inventory,
        balancer: Balancer | None,
        clock: Clock,
        aside: Run,
        probes: Probes | None = None,
        views: Views | None = None,
        beside: Run | None = None,
    ) -> None:
        """`views`: where the watches of a pair without agents tell each other what they see; `beside`: how, so that it
        does not wait behind slow looks."""
        self._pair, self._site = pair, site
        self._leases, self._heartbeats, self._agents = leases, heartbeats, agents
        self._inventory, self._views, self._clock = inventory, views, clock
        self._terms = Terms.of(pair)
        self._sighting: Sighting | None = None
        self._read_at: float | None = None  # when the last good reading of the lease returned
        self._unread = False  # a reading has failed since
        self._renewed = False  # a renewal was seen with our own eyes
        self._heard: dict[SiteName, str] = {}  # addresses by the agents' own word
        self._addresses = Aside(self._listed_addresses, what=f"addresses of {pair.name}", run=aside, clock=clock)
        self._evidence = Evidence(
            pair,
            site=site,
            heartbeats=heartbeats,
            inventory=inventory,
            balancer=balancer,
            probes=probes,
            views=views,
            clock=clock,
            aside=aside,
            beside=beside,
        )
        self._silent: dict[SiteName, float] = {}  # without agents: since when a service has not been seen from here
        self.run = ""  # the invocation that looks
        self._leased = False  # a lease row of this pair was seen, so that its absence means a loss

    @property
    def sighting(self) -> Sighting | None:
        return self._sighting

    @property
    def terms(self) -> Terms:
        return self._terms

    def member(self, site: SiteName) -> Member:
        return next(member for member in self._pair.members if member.site == site)

    def other(self, site: SiteName) -> SiteName:
        return next(member.site for member in self._pair.members if member.site != site)

    def address(self, site: SiteName) -> str | None:
        """The inventory's word counts, once it has spoken; until then the agent's own."""
        listed = self._addresses.newest()
        return (listed[1].get(site) if listed else None) or self._heard.get(site)

    @property
    def trouble(self) -> str:
        """Why an address may be missing."""
        return f"the inventory cannot be asked: {self._addresses.trouble}" if self._addresses.trouble else ""

    def learn_addresses(self) -> None:
        """Ask the inventory aside, for it may take ten seconds; meanwhile what was known before, or the heartbeats."""
        self._addresses.start()
        if all(self.address(member.site) is not None for member in self._pair.members):
            return
        try:
            self._hear()
        except CredentialsRejected:
            raise
        except DrError as error:
            log.event("heartbeats.unread", subject=self._pair.name, because=[str(error)])

    def _listed_addresses(self) -> dict[SiteName, str]:
        by_instance = {member.instance: member.site for member in self._pair.members}
        found = {
            by_instance[instance.id]: instance.private_address
            for instance in self._inventory.instances(ids=tuple(by_instance))
            if instance.private_address
        }
        before = self._addresses.newest()
        return {**(before[1] if before else {}), **found}

    def _hear(self) -> None:
        """Raises what the store raises."""
        beats = self._heartbeats.of(self._pair.name)
        sites = {member.site for member in self._pair.members}
        self._heard.update({site: beat.address for site, beat in beats.items() if site in sites})
        self._leased = self._leased or any(beat.epoch for beat in beats.values())
        if not self._leased and not self._pair.agents and self._views is not None:
            self._leased = bool(self._views.of(self._pair.name))  # they are written under a lease only

    def misses_lease(self) -> bool:
        """Whether a lease row that is not there has been there before. A pair that never ran has none yet. Raises what
        the store raises: who cannot read whether there was one must not write the first."""
        if not self._leased:
            self._hear()
        return self._leased

    def read_lease(self) -> Sighting | None:
        """Raises Retryable when the store cannot be asked, Permanent when the row is damaged."""
        try:
            lease = self._leases.read(self._pair.name)
        except Permanent:
            self._sighting = None  # what it is mended to is watched anew
            raise
        except (Retryable, OutcomeUnknown):
            self._unread = True
            raise
        returned = self._clock.monotonic()
        gap = self._gap(returned)
        self._leased = self._leased or lease is not None
        if lease is None:
            self._sighting = None
        elif self._sighting is None:
            self._sighting = Sighting.first(lease, returned=returned)
        else:
            before = self._sighting
            self._sighting = before.then(lease, returned=returned, gap=gap)
            self._renewed = self._renewed or self._sighting.lease is not before.lease
        return self._sighting

    def lease_now(self) -> Lease | None:
        """The row as it stands, for who works beside the rounds: nothing is made of it here. Raises as `read_lease`."""
        return self._leases.read(self._pair.name)

    def newer(self, epoch: Epoch) -> str | None:
        """Why we are not the newest any more, or nobody is to serve under our epoch, by a fresh read of the lease row;
        None when neither is so."""
        sighting = self.read_lease()
        if sighting is None:
            return "the lease row is gone"
        lease = sighting.lease
        if lease.epoch == epoch and lease.state is LeaseState.FREE:
            return f"{lease.owner} has given epoch {epoch} back"
        return None if lease.epoch == epoch else f"{lease.owner} holds epoch {lease.epoch}, newer than {epoch}"

    def _gap(self, returned: float) -> timedelta:
        """For how long the store could not be read from here, if long enough that its holder may be cut off as well:
        that holder, who may live on pledges meanwhile, gets as much more time to renew."""
        before, failed = self._read_at, self._unread
        self._read_at, self._unread = returned, False
        if before is None or not failed or returned - before <= (2 * self._pair.watch_every + BRIEF).total_seconds():
            return timedelta(0)
        return timedelta(seconds=returned - before)

    def look(self, *, closer: bool) -> Seen:
        """One round. `closer`: look at the standby as well."""
        try:
            sighting = self.read_lease()
        except (Retryable, OutcomeUnknown) as error:
            blind = self._observation(Source.STORE, self._site, Finding.ABSENT, detail=str(error))
            return Seen(at=self._clock.monotonic(), sighting=None, observations=(blind,))
        if sighting is None:
            return Seen(at=self._clock.monotonic(), sighting=None, observations=())
        active = sighting.lease.owner
        reports = {active: self.look_at(active, sighting if self._pair.agents else None)}
        if closer or reports[active].active is not True:
            other = self.other(active)
            reports[other] = self.look_at(other, None)
        now = self._clock.monotonic()
        observations = [self._of_lease(sighting, now)]
        observations += [self._of_master(site, report, sighting.lease, now) for site, report in reports.items()]
        observations += self._evidence.observed(active, reports, sighting.lease.epoch, now)
        if not self._pair.agents:
            sees = {one.subject: one.finding for one in observations[1 : 1 + len(reports)]}
            self._evidence.share(self.run, sees)
        if reports[active].active is not True:
            self.look_aside(closer=True)
        return Seen(at=now, sighting=sighting, observations=tuple(observations), reports=reports)

    def first_lease(self) -> bool:
        """Without agents nobody else writes the first lease: for the preferred site, once its service is well. Whether
        it was written."""
        report = self.look_at(self._pair.preferred, None)
        if self._pair.agents or report.ready is not True:
            return False
        try:
            self._leases.create(self._pair.name, self._pair.preferred, length=self._pair.lease, holder=UNATTENDED)
        except Conflict:
            return False
        return True

    def judge(self, seen: Seen) -> Judgement:
        active = seen.lease.owner if seen.lease else self._pair.preferred
        return judge(
            seen.observations,
            active=active,
            standby=self.other(active),
            witness=self._site,
            fresh=FRESH,
            quorum=self._pair.quorum,
            agents=self._pair.agents,
        )

    def look_at(self, site: SiteName, sighting: Sighting | None) -> AgentReport:
        """With `sighting`: no longer than until it runs out, so that a silent agent does not delay the decision."""
        address = self.address(site)
        if address is None:
            return AgentReport(sight=Sight.SILENT, detail="its address is not known")
        timeout = LOOK_TIMEOUT
        if sighting is not None:
            left = timedelta(seconds=sighting.expires_at(self._terms) - self._clock.monotonic())
            timeout = max(SHORTEST_LOOK, min(LOOK_TIMEOUT, left + JUST_AFTER))
        return self._agents.look(address, self.member(site).agent_port, timeout=timeout)

    def _of_lease(self, sighting: Sighting, now: float) -> Observation:
        unchanged = sighting.unchanged_for(now)
        lease = sighting.lease
        if not self._pair.agents:
            finding = Finding.SEEN  # nobody renews it: it tells who was put in charge, not whether he is at work
        elif lease.state is LeaseState.FREE:
            finding = Finding.FREE
        elif sighting.takeable(now, self._terms):
            finding = Finding.EXPIRED
        elif not self._renewed:
            finding = Finding.SEEN
        elif unchanged <= 2 * self._terms.renew_every + self._pair.watch_every:
            finding = Finding.ACTIVE
        else:
            finding = Finding.ABSENT
        state = "free, " if lease.state is LeaseState.FREE else ""
        detail = f"{state}epoch {lease.epoch}, version {lease.version} unchanged for {unchanged.total_seconds():.1f} s"
        return self._observation(Source.LEASE, lease.owner, finding, detail=detail)

    def _of_master(self, site: SiteName, report: AgentReport, lease: Lease, now: float) -> Observation:
        if not self._pair.agents:
            return self._of_service(site, report, now)
        if report.sight is not Sight.ANSWERED:
            finding = Finding.ABSENT
        elif report.active and report.epoch == lease.epoch:
            finding = Finding.ACTIVE
        else:
            finding = Finding.PASSIVE
        return self._observation(Source.AGENT, site, finding, sight=report.sight, detail=report.detail)

    def _of_service(self, site: SiteName, report: AgentReport, now: float) -> Observation:
        """Not seen counts once it has been so for a whole lease: there is no lease to run out meanwhile."""
        if report.ready:
            self._silent.pop(site, None)
            return self._observation(Source.SERVICE, site, Finding.ACTIVE, sight=report.sight)
        since = self._silent.setdefault(site, now)
        finding = Finding.ABSENT if now - since >= self._pair.lease.total_seconds() else Finding.MISSED
        return self._observation(Source.SERVICE, site, finding, sight=report.sight, detail=report.detail)

    def look_aside(self, *, closer: bool = False) -> None:
        """Start the slow looks, whose answers later rounds use while they are fresh."""
        addresses = {member.site: self.address(member.site) for member in self._pair.members}
        self._evidence.look_aside({site: one for site, one in addresses.items() if one}, closer=closer)

    def _observation(
        self, source: Source, subject: SiteName, finding: Finding, *, sight: Sight | None = None, detail: str = ""
    ) -> Observation:
        return Observation(
            source=source,
            subject=subject,
            witness=self._site,
            finding=finding,
            age=timedelta(0),
            sight=sight,
            detail=detail,
        )
