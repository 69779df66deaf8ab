"""Further witnesses of a pair, asked aside: none may hold up a round, and one that cannot be asked says nothing.

Each answer counts with its age, from the moment at which the look began. In calm only the balancer and the services are
asked; the platform and the heartbeats once something is wrong.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from shared.domain.detection import Finding, Observation, Sight, Source
from shared.domain.ids import Epoch, InstanceId, SiteName
from shared.domain.inventory import InstanceState
from shared.domain.pair import Pair
from shared.domain.rebuild import UNPLANNED
from shared.ports.balancer import Balancer, Health
from shared.ports.clock import Clock
from shared.ports.compute import Inventory
from shared.ports.probes import AgentReport, PeerView, Probes, Tried
from shared.state.heartbeats import Heartbeat, Heartbeats
from shared.state.views import View, Views
from shared.usecases.failover.aside import Aside, Run

TRY_TIMEOUT: Final = timedelta(seconds=1)
SPARED: Final = timedelta(seconds=3)  # between looks at the platform; their answers count for ten
STILL: Final = timedelta(seconds=12)  # an agent beats every five seconds
MOST_BETWEEN: Final = timedelta(seconds=10)  # looks further apart: a frozen executor, which knows of no between
_DOWN: Final = frozenset({InstanceState.STOPPING, InstanceState.STOPPED})
_FINDINGS: Final = frozenset(one.value for one in Finding)
_DONE: Final = frozenset({"executed", "avoided", "canceled", "failed"})


@dataclass(slots=True)
class _Unchanged:
    """Since when a writer's mark has not changed, on our own clock: nobody's wall clock is read."""

    marks: dict[SiteName, tuple[str, float]] = field(default_factory=dict)
    read: dict[SiteName, float] = field(default_factory=dict)
    changed: set[SiteName] = field(default_factory=set)  # a mark was seen to change: its writer lives, or did just now

    def since(self, site: SiteName, mark: str, now: float) -> float:
        before, read = self.marks.get(site), self.read.get(site, now)
        self.read[site] = now
        if before is None or before[0] != mark:
            # What changed between two far looks may have done so right after the first.
            lately = before is not None and now - read <= MOST_BETWEEN.total_seconds()
            (self.changed.add if lately else self.changed.discard)(site)
            self.marks[site] = before = (mark, now)
        return before[1]


class Evidence:
    def __init__(
        self,
        pair: Pair,
        *,
        site: SiteName,
        heartbeats: Heartbeats,
        inventory: Inventory,
        balancer: Balancer | None,
        probes: Probes | None,
        views: Views | None,
        clock: Clock,
        aside: Run,
        beside: Run | None = None,
    ) -> None:
        """`beside`: as `aside`, for what must not wait behind slow looks; None: there is only one."""
        self._pair, self._site, self._clock = pair, site, clock
        self._heartbeats, self._inventory, self._balancer, self._probes = heartbeats, inventory, balancer, probes
        self._shared = views
        self._addresses: Mapping[SiteName, str] = {}
        self._zones: dict[InstanceId, str] = {}  # of the balancer's servers; an instance stays in its zone (assumption)
        self._servers = Aside(self._normal_servers, what=f"balancer of {pair.name}", run=aside, clock=clock)
        self._services = Aside(self._try_services, what=f"services of {pair.name}", run=aside, clock=clock)
        # Two calls, two permissions: where one fails, the other is still a voice.
        self._states = Aside(self._ask_states, what=f"instances of {pair.name}", run=aside, clock=clock)
        self._events = Aside(self._ask_events, what=f"events of {pair.name}", run=aside, clock=clock)
        self._beats = Aside(self._read_beats, what=f"heartbeats of {pair.name}", run=aside, clock=clock)
        self._views = Aside(self._exchange, what=f"views of {pair.name}", run=beside or aside, clock=clock)
        self._beaten, self._viewed = _Unchanged(), _Unchanged()
        self._run, self._sequence = "", 0
        self._closer_at = float("-inf")
        self._sees: Mapping[SiteName, str] = {}
        self._sees_at = float("-inf")
        self._well: dict[SiteName, float] = {}  # without agents: when its service was last well, seen from here

    # --- asking ---

    def look_aside(self, addresses: Mapping[SiteName, str], *, closer: bool) -> None:
        """Start the looks whose answers later rounds use while they are fresh. `closer`: something is wrong."""
        self._addresses = dict(addresses)
        if self._balancer is not None and self._pair.balancer is not None:
            self._servers.start()
        if self._probes is not None and self._pair.agents:
            self._services.start()
        if closer:
            self._look_closer()

    def _look_closer(self) -> None:
        """Something may be wrong for hours, and the platform's calls are shared with everybody in the account."""
        now = self._clock.monotonic()
        if now - self._closer_at < SPARED.total_seconds():
            return
        self._closer_at = now
        self._states.start()
        self._events.start()
        if self._pair.agents:
            self._beats.start()

    def share(self, run: str, sees: Mapping[SiteName, Finding]) -> None:
        """Without agents: tell the other site's watch what is seen from here, and read what it sees."""
        self._run, self._sees = run, {site: finding.value for site, finding in sees.items()}
        now = self._sees_at = self._clock.monotonic()
        self._well.update({site: now for site, finding in sees.items() if finding is Finding.ACTIVE})
        if self._shared is not None:
            self._views.start()

    def _normal_servers(self) -> dict[str, tuple[int, int]]:
        """Zone -> (servers that the balancer finds normal, servers it checks)."""
        assert self._balancer is not None
        assert self._pair.balancer is not None
        health = self._balancer.health(self._pair.balancer)
        new = tuple(one for one in health if one not in self._zones)
        if new:
            self._zones.update({one.id: one.zone for one in self._inventory.instances(ids=new)})
        self._zones = {server: zone for server, zone in self._zones.items() if server in health}
        zones: dict[str, tuple[int, int]] = {}
        for server, zone in self._zones.items():
            if health[server] is not Health.UNAVAILABLE:
                normal, checked = zones.get(zone, (0, 0))
                zones[zone] = (normal + (health[server] is Health.NORMAL), checked + 1)
        return zones

    def _try_services(self) -> dict[SiteName, Tried]:
        assert self._probes is not None
        probes, path = self._probes, self._pair.probe
        return {
            site: probes.tries(address, self._pair.member(site).port, path=path, timeout=TRY_TIMEOUT)
            for site, address in self._addresses.items()
        }

    def _ask_states(self) -> dict[SiteName, InstanceState]:
        by_instance = {member.instance: member.site for member in self._pair.members}
        return {by_instance[one.id]: one.state for one in self._inventory.instances(ids=tuple(by_instance))}

    def _ask_events(self) -> dict[SiteName, str]:
        """Failures that are under way."""
        return {
            member.site: f"{event.type} {event.status}"
            for member in self._pair.members
            for event in self._inventory.system_events(member.instance)
            if event.type.startswith(UNPLANNED) and event.finished is None and event.status not in _DONE
        }

    def _read_beats(self) -> dict[SiteName, Heartbeat]:
        return self._heartbeats.of(self._pair.name)

    def _exchange(self) -> dict[SiteName, View]:
        assert self._shared is not None
        # Begun by a frozen executor that has been thawed, it would tell as new what was seen long ago.
        if self._clock.monotonic() - self._sees_at <= MOST_BETWEEN.total_seconds():
            self._sequence += 1
            view = View(site=self._site, run=self._run, sequence=self._sequence, sees=dict(self._sees))
            self._shared.write(self._pair.name, view)
        return self._shared.of(self._pair.name)

    # --- what came of it ---

    def observed(
        self, active: SiteName, reports: Mapping[SiteName, AgentReport], epoch: Epoch, now: float
    ) -> list[Observation]:
        """What is known of `active`, each with its age."""
        standby = self._pair.other(active)
        return [
            *self._of_peer(active, standby, reports.get(standby), epoch),
            *self._of_services(now),
            *self._of_platform(active, now),
            *self._of_beats(active, now),
            *self._of_views(active, now),
            *self._of_balancer(active, now),
        ]

    def _of_peer(
        self, active: SiteName, standby: SiteName, report: AgentReport | None, epoch: Epoch
    ) -> Iterator[Observation]:
        """The standby's own agent, as its status tells: the eyes that stand beside the other master."""
        view: PeerView | None = None if report is None else report.peers.get(active)
        if view is None:
            return
        if view.sight is not Sight.ANSWERED:
            finding = Finding.ABSENT
        else:
            finding = Finding.ACTIVE if view.active and view.epoch == epoch else Finding.PASSIVE
        one = self._observation(Source.PEER, active, finding, age=view.age, sight=view.sight)
        yield replace(one, witness=standby)

    def _of_services(self, now: float) -> Iterator[Observation]:
        """Beside an agent the service tells nothing of who is active: a standby answers as well."""
        answer = self._services.newest()
        for site, tried in answer[1].items() if answer else ():
            finding = Finding.SEEN if tried.well else Finding.ABSENT
            yield self._observation(
                Source.SERVICE, site, finding, age=_ago(now, answer), sight=tried.sight, detail=tried.detail
            )

    def _of_platform(self, active: SiteName, now: float) -> Iterator[Observation]:
        """That it says Running is never evidence of life: a machine in a dark zone may say so for ever."""
        states, events = self._states.newest(), self._events.newest()
        state = states[1].get(active) if states else None
        if state is not None:
            finding = Finding.ABSENT if state in _DOWN else Finding.SEEN
            yield self._observation(Source.ECS, active, finding, age=_ago(now, states), detail=state)
        event = events[1].get(active) if events else None
        if event is not None:
            yield self._observation(Source.EVENT, active, Finding.ABSENT, age=_ago(now, events), detail=event)

    def _of_beats(self, active: SiteName, now: float) -> Iterator[Observation]:
        answer = self._beats.newest()
        beat = answer[1].get(active) if answer else None
        if answer is None or beat is None:
            return
        still = timedelta(seconds=now - self._beaten.since(active, f"{beat.run} {beat.sequence}", answer[0]))
        finding = Finding.ABSENT if still >= STILL else Finding.SEEN
        detail = f"unchanged for {still.total_seconds():.0f} s"
        yield self._observation(Source.HEARTBEAT, active, finding, age=_ago(now, answer), detail=detail)

    def _of_views(self, active: SiteName, now: float) -> Iterator[Observation]:
        """What the other site's watch sees; and if it is the active site's own, that it has fallen silent."""
        answer = self._views.newest()
        other = self._pair.other(self._site)
        view = answer[1].get(other) if answer else None
        if answer is None or view is None:
            return
        since = self._viewed.since(other, f"{view.run} {view.sequence}", answer[0])
        still = timedelta(seconds=max(0.0, now - since))
        if still >= self._pair.lease:
            # A voice only if both fell silent together, before our own eyes: a watch that died while the master went on
            # being well, or of which we came to know when it was silent already, may have died of something else.
            well = self._well.get(active)
            if other == active and well is not None and abs(well - since) <= self._pair.lease.total_seconds():
                detail = f"its watch has told nothing for {still.total_seconds():.0f} s"
                yield self._observation(Source.HEARTBEAT, active, Finding.ABSENT, age=_ago(now, answer), detail=detail)
            return
        if other not in self._viewed.changed:
            return  # it stood there when we came: how old it is nobody knows
        for site, finding in view.sees.items():
            if finding in _FINDINGS:  # a newer watch may tell of more
                one = self._observation(Source.SERVICE, SiteName(site), Finding(finding), age=still)
                yield replace(one, witness=other)

    def _of_balancer(self, active: SiteName, now: float) -> Iterator[Observation]:
        """The balancer's own checks of the servers in the active site's zone: a third pair of eyes."""
        answer = self._servers.newest()
        normal, checked = answer[1].get(self._pair.member(active).zone, (0, 0)) if answer else (0, 0)
        if answer is not None and checked:
            finding = Finding.SEEN if normal else Finding.ABSENT
            detail = f"{normal} of {checked} servers normal"
            yield self._observation(Source.BALANCER, active, finding, age=_ago(now, answer), detail=detail)

    def _observation(
        self,
        source: Source,
        subject: SiteName,
        finding: Finding,
        *,
        age: timedelta,
        sight: Sight | None = None,
        detail: str = "",
    ) -> Observation:
        return Observation(
            source=source, subject=subject, witness=self._site, finding=finding, age=age, sight=sight, detail=detail
        )


def _ago(now: float, answer: tuple[float, object] | None) -> timedelta:
    return timedelta(seconds=max(0.0, now - answer[0])) if answer else timedelta(0)
