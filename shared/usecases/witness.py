"""One witness of one pair: what can be seen from here in one round, as observations with source, place and age.

Keeps its sighting of the lease from round to round, and in a warm function from minute to minute: it rests on this
machine's monotonic clock, which also counts the time for which the function was frozen.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from shared.domain.detection import Finding, Judgement, Observation, Sight, Source, judge
from shared.domain.errors import CredentialsRejected, DrError, OutcomeUnknown, Permanent, Retryable
from shared.domain.ids import Epoch, SiteName
from shared.domain.lease import Lease, LeaseState, Sighting, Terms
from shared.domain.policy import Member, Pair
from shared.observability import log
from shared.ports.balancer import Balancer, Health
from shared.ports.clock import Clock
from shared.ports.compute import Inventory
from shared.ports.probes import AgentReport, Agents
from shared.state.heartbeats import Heartbeats
from shared.state.leases import Leases
from shared.usecases.aside import Aside, Run

LOOK_TIMEOUT: Final = timedelta(seconds=1)
SHORTEST_LOOK: Final = timedelta(milliseconds=200)
JUST_AFTER: Final = timedelta(milliseconds=10)  # so that a look that ends with the lease ends after it
BRIEF: Final = timedelta(seconds=1)  # one lost call is no gap
FRESH: Final = timedelta(seconds=10)


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
    ) -> None:
        self._pair, self._site = pair, site
        self._leases, self._heartbeats, self._agents = leases, heartbeats, agents
        self._inventory, self._balancer, self._clock = inventory, balancer, clock
        self._terms = Terms.of(pair)
        self._sighting: Sighting | None = None
        self._read_at: float | None = None  # when the last good reading of the lease returned
        self._unread = False  # a reading has failed since
        self._renewed = False  # a renewal was seen with our own eyes
        self._heard: dict[SiteName, str] = {}  # addresses by the agents' own word
        self._addresses = Aside(self._listed_addresses, what=f"addresses of {pair.name}", run=aside, clock=clock)
        self._servers = Aside(self._normal_servers, what=f"balancer of {pair.name}", run=aside, clock=clock)
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
        if any(self.address(member.site) is None for member in self._pair.members):
            self._hear()

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
        try:
            beats = self._heartbeats.of(self._pair.name)
        except CredentialsRejected:
            raise
        except DrError as error:
            log.event("heartbeats.unread", subject=self._pair.name, because=[str(error)])
            return
        sites = {member.site for member in self._pair.members}
        self._heard.update({site: beat.address for site, beat in beats.items() if site in sites})
        self._leased = self._leased or any(beat.epoch for beat in beats.values())

    def misses_lease(self) -> bool:
        """Whether a lease row that is not there has been there before. A pair that never ran has none yet."""
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
        reports = {active: self.look_at(active, sighting)}
        if closer or reports[active].active is not True:
            other = self.other(active)
            reports[other] = self.look_at(other, None)
        observations = [self._of_agent(site, report, sighting.lease) for site, report in reports.items()]
        now = self._clock.monotonic()
        observations += self._of_balancer(active, now)
        observations.insert(0, self._of_lease(sighting, now))
        return Seen(at=now, sighting=sighting, observations=tuple(observations), reports=reports)

    def judge(self, seen: Seen) -> Judgement:
        active = seen.lease.owner if seen.lease else self._pair.preferred
        return judge(seen.observations, active=active, standby=self.other(active), witness=self._site, fresh=FRESH)

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
        if sighting.takeable(now, self._terms):
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

    def _of_agent(self, site: SiteName, report: AgentReport, lease: Lease) -> Observation:
        if report.sight is not Sight.ANSWERED:
            finding = Finding.ABSENT
        elif report.active and report.epoch == lease.epoch:
            finding = Finding.ACTIVE
        else:
            finding = Finding.PASSIVE
        return self._observation(Source.AGENT, site, finding, sight=report.sight, detail=report.detail)

    def look_aside(self) -> None:
        """Start the slow looks, whose answers later rounds use while they are fresh."""
        if self._balancer is not None and self._pair.balancer is not None:
            self._servers.start()

    def _normal_servers(self) -> dict[str, tuple[int, int]]:
        """Zone -> (servers that the balancer finds normal, servers it checks)."""
        assert self._balancer is not None
        assert self._pair.balancer is not None
        health = self._balancer.health(self._pair.balancer)
        zones: dict[str, tuple[int, int]] = {}
        for server in self._inventory.instances(ids=tuple(health)):
            if health[server.id] is not Health.UNAVAILABLE:
                normal, checked = zones.get(server.zone, (0, 0))
                zones[server.zone] = (normal + (health[server.id] is Health.NORMAL), checked + 1)
        return zones

    def _of_balancer(self, active: SiteName, now: float) -> list[Observation]:
        """The balancer's own checks of the servers in the active site's zone: a third pair of eyes."""
        answer = self._servers.newest()
        if answer is None:
            return []
        began, zones = answer
        normal, checked = zones.get(self.member(active).zone, (0, 0))
        if not checked:
            return []
        seen = self._observation(
            Source.BALANCER,
            active,
            Finding.SEEN if normal else Finding.ABSENT,
            detail=f"{normal} of {checked} servers normal",
        )
        return [replace(seen, age=timedelta(seconds=now - began))]

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
