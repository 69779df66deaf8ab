"""A pair without agents in a `World`: the real watches, masters that serve whenever their machine runs, and instances,
groups and events of the emulator, whose clock follows the world's.

Such a master knows of no lease. So what must never happen is told of the lease row, which the name follows: the other
site takes over only when the old master is off, seen with the eyes of somebody who sees everything.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from emulator import deeds
from emulator.seed import load_text
from shared.domain.errors import DrError
from shared.domain.failover_fsm import IN_HAND
from shared.domain.ids import InstanceId, SiteName
from shared.domain.inventory import Instance, SystemEvent
from shared.domain.pair import Fence, FenceBy, Pair
from shared.domain.policy import Policy, PruneLimits
from shared.ports.probes import Line, Sight, Tried
from shared.state.leases import TABLE as LEASES
from shared.state.policies import Policies
from shared.state.views import Views
from shared.usecases.failover.aside import Run
from shared.usecases.failover.watch import Ports
from tests.simulation.failover_world import INSTANCE, SEED, FailoverWorld, pair_policy
from tests.simulation.links import ECS, NAMES, STORE, Cut, How, watch_at
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.sites import ADDRESS, CloudWay, SimInventory, TruthStore
from tests.simulation.world import EPOCH, Crash, Process
from understudy.simulation.instances import InProcessInstances

SHUT = "sg-shut"
SHUT_GROUP = "security_groups: [{id: sg-t}, {id: sg-shut, rules: []}]"
ZONE = {H: "cn-hangzhou-h", I: "cn-hangzhou-i"}
LONG_AGO = 20.0  # seconds after which what was wrong is no reason any more
ORDERED_AGO = 600.0  # seconds for which an order stands
LOOKS = 0.1  # seconds between looks of whoever sees everything
STOP = Fence(by=FenceBy.STOP)
ISOLATE = Fence(by=FenceBy.ISOLATE, group=SHUT, proof=timedelta(seconds=5))


@dataclass
class UnattendedWorld(FailoverWorld):
    fence: Fence = STOP
    quorum: int = 2
    survive: bool = False  # whether connections outlive an isolation
    heard_each: int = 1  # along such a connection, one answer of so many arrives
    stops: list[tuple[float, SiteName, bool]] = field(default_factory=list)  # asked when, of whom, was it at work
    changes: list[tuple[float, SiteName]] = field(default_factory=list)  # of groups
    wrong: list[str] = field(default_factory=list)  # what must not happen, and did
    forced: bool = False  # somebody has taken that risk
    late: float = 0.0  # seconds after which a deaf API does what it was asked; 0: at once
    ordered: list[float] = field(default_factory=list)  # when a move was ordered
    needless: list[str] = field(default_factory=list)  # fences of masters that nothing was wrong with
    _ill: dict[SiteName, float] = field(default_factory=dict)  # when anything was wrong with it last
    _served: SiteName = H
    _shut: set[SiteName] = field(default_factory=set)
    _ended: set[SiteName] = field(default_factory=set)  # whose connections of before an isolation are gone
    _cut: dict[SiteName, Cut] = field(default_factory=dict)

    def open(self, *, watches: Sequence[SiteName] = (H, I)) -> "UnattendedWorld":
        load_text(SEED.replace("security_groups: [{id: sg-t}]", SHUT_GROUP), self.cloud, where="test", settings={})
        prune = PruneLimits(max_items=1, max_percent=1)
        policy = Policy(region="cn-hangzhou", protections=(), rebuilds=(), pairs=(self.unattended(),), prune=prune)
        Policies(TruthStore(self.rows)).append(policy)
        for site in (H, I):
            self.machines[site] = self.world.machine(site)
            self.agents[site] = self.world.spawn(f"agent-{site[-1]}", self.machines[site], self._idle)
        for site in watches:
            self.world.spawn(f"watch-{site[-1]}", self.world.machine(f"fc-{site}"), self._watch(site))
        self.at(0.0, self._look)
        return self

    def unattended(self) -> Pair:
        pair = pair_policy(block=self.block)
        return replace(pair, agents=False, fence=self.fence, quorum=self.quorum, probe="/health")

    def _idle(self, process: Process) -> None:
        while True:
            with contextlib.suppress(Crash):
                self.world.park(process)

    # --- what is so ---

    def follow(self) -> None:
        """The emulator's clock comes up to the world's."""
        behind = EPOCH + timedelta(seconds=self.world.now) - self.cloud.clock.now()
        if behind > timedelta(0):
            self.cloud.clock.advance(behind)

    def instance(self, site: SiteName) -> "object":
        return self.cloud.ecs.instances[INSTANCE[site]]

    def powered(self, site: SiteName) -> bool:
        found = self.cloud.ecs.instances[INSTANCE[site]]
        return found.state in ("Running", "Stopping") and found.failure is None

    def isolated(self, site: SiteName) -> bool:
        """In a dark zone nobody hears of a change: it is as it was before."""
        if site not in self.dark:
            shut = self.cloud.ecs.instances[INSTANCE[site]].security_group_ids == (SHUT,)
            (self._shut.add if shut else self._shut.discard)(site)
        return site in self._shut

    def at_work(self, site: SiteName) -> bool:
        """Whether anybody at all may still be served there."""
        served = not self.isolated(site) or (self.survive and site not in self._ended)
        return self.powered(site) and site not in self.dead and served

    def active(self) -> set[SiteName]:
        """Whom clients reach by the name."""
        value = self.record().value
        return {site for site, address in ADDRESS.items() if address == value and self.at_work(site)}

    def addressed(self, site: SiteName) -> bool:
        return self.record().value == ADDRESS[site]

    def in_charge(self) -> SiteName:
        row = self.rows.table(LEASES).get((PAIR,))
        return SiteName(str(row["owner"])) if row else self._served

    def _look(self) -> None:
        self.follow()
        for site in (H, I):
            places = (watch_at(H), watch_at(I))
            reached = any(self.way_to_agent(place, site) is None for place in places)
            if not self.at_work(site) or site in self.unready or not reached:
                self._ill[site] = self.world.now
            if not self.isolated(site):
                self._ended.discard(site)
            elif site in self.dead or not self.powered(site):
                self._ended.add(site)  # a new process has none of the old one's connections
        owner = self.in_charge()
        if owner != self._served:
            # A lease restored for the site that the names lead to already takes no client from the other one.
            if self.at_work(self._served) and not self.forced and not self.addressed(owner):
                self.wrong.append(f"{owner} took over at {self.world.now:.2f} while {self._served} was at work")
            self._served = owner
        self.world.later(LOOKS, self._look)

    def journalled(self, site: SiteName) -> None:
        if self.failover().fence.get("instance") != INSTANCE[site]:
            self.wrong.append(f"{site} was touched at {self.world.now:.2f} before its failover's row said so")

    def touched(self, site: SiteName, how: str) -> None:
        """A master that was well and reached for long, and that nobody wanted moved."""
        now = self.world.now
        ordered = any(now - at < ORDERED_AGO for at in self.ordered)
        if now - self._ill.get(site, 0.0) > LONG_AGO and not ordered and self.in_charge() == site:
            self.needless.append(f"{site} was {how} at {now:.2f}, well for {now - self._ill.get(site, 0.0):.0f} s")

    # --- what befalls it ---

    def go_dark(self, site: SiteName) -> None:
        """The zone, and with it the site's watch."""
        self.isolated(site)
        super().go_dark(site)
        self.cloud.do(deeds.set_dark, zone=ZONE[site], dark=True)
        other = I if site == H else H
        links = [(watch_at(site), one) for one in (other, STORE, NAMES, ECS)] + [(watch_at(other), site)]
        self._cut[site] = self.links.cut(links, How.SILENT)

    def lighten(self, site: SiteName) -> None:
        if site in self._cut:
            super().lighten(site)
            self.cloud.do(deeds.set_dark, zone=ZONE[site], dark=False)
            self.links.heal(self._cut.pop(site))

    def host_fails(self, site: SiteName) -> None:
        self.follow()
        if self.cloud.ecs.instances[INSTANCE[site]].state == "Running":
            self.cloud.ecs.failures.host(self.cloud.ecs.instances[INSTANCE[site]], recovers=True)

    def repair(self, site: SiteName) -> None:
        """As an operator who looks after a site that was fenced, once nothing is under way: a machine as before."""
        self.follow()
        found = self.cloud.ecs.instances[INSTANCE[site]]
        if self.failover().state in IN_HAND:
            return
        if found.security_group_ids == (SHUT,):
            self.cloud.ecs.interfaces.primary(found).belong_to(("sg-t",))
        if found.state == "Stopped":
            self.cloud.ecs.lifecycle.start(found)

    # --- as the watches reach it ---

    def way_to_agent(self, place: str, site: SiteName) -> How | None:
        return self.links.way(place, site) if place == watch_at(site) else super().way_to_agent(place, site)

    def ports(self, process: Process, site: SiteName, *, aside: Run = lambda look: look()) -> Ports:
        place = watch_at(site)
        return replace(
            super().ports(process, site, aside=aside),
            inventory=FollowedInventory(self, process, place),
            probes=SimProbes(self, process, place),
            views=Views(self.store_of(process)),
            instances=SimInstances(self, process, place),  # type: ignore[arg-type]  # what a watch calls of it
        )


class FollowedInventory(SimInventory):
    def __init__(self, pair: UnattendedWorld, process: Process, place: str) -> None:
        super().__init__(pair, process, place)
        self._world = pair

    def instances(
        self, *, ids: Sequence[InstanceId] | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[Instance]:
        self._way.way(writes=False)
        self._world.follow()
        return iter(list(self._inventory.instances(ids=ids, tags=tags)))

    def system_events(self, instance: InstanceId) -> Iterator[SystemEvent]:
        self._way.way(writes=False)
        self._world.follow()
        return iter(list(self._inventory.system_events(instance)))


class SimInstances:
    """The instances port, as far as a watch uses it."""

    def __init__(self, pair: UnattendedWorld, process: Process, place: str) -> None:
        self._pair, self._way = pair, CloudWay(pair, process, place, ECS)
        self._instances = InProcessInstances(pair.cloud)

    def stop(self, instance: InstanceId, *, force: bool) -> None:
        site = self._site(instance)
        self._pair.journalled(site)
        self._pair.touched(site, "stopped")
        self._change(lambda: self._instances.stop(instance, force=force))
        self._pair.stops.append((self._pair.world.now, site, self._pair.at_work(site)))

    def set_groups(self, instance: InstanceId, groups: Sequence[str]) -> None:
        self._pair.journalled(self._site(instance))
        if tuple(groups) == (SHUT,):
            self._pair.touched(self._site(instance), "isolated")
        self._change(lambda: self._instances.set_groups(instance, groups))
        self._pair.changes.append((self._pair.world.now, self._site(instance)))

    def _change(self, change: Callable[[], None]) -> None:
        answered = self._way.way(writes=True)
        self._pair.follow()
        if not answered and self._pair.late:
            self._pair.world.later(self._pair.late, lambda: self._late(change))
            self._way.silence(1.0, writes=True)
        change()
        if not answered:
            self._way.silence(1.0, writes=True)

    def _late(self, change: Callable[[], None]) -> None:
        self._pair.follow()
        with contextlib.suppress(DrError):
            change()

    @staticmethod
    def _site(instance: InstanceId) -> SiteName:
        return next(site for site, one in INSTANCE.items() if one == instance)


class SimProbes:
    def __init__(self, pair: UnattendedWorld, process: Process, place: str) -> None:
        self._pair, self._process, self._place = pair, process, place

    def tries(self, address: str, port: int, *, path: str, timeout: timedelta) -> Tried:
        pair, world = self._pair, self._pair.world
        pair.outside(self._process)
        world.wait(self._process, 0.002)
        pair.follow()
        site = next(site for site, own in ADDRESS.items() if own == address)
        sight = self.sight(site)
        if pair.isolated(site) and sight is not Sight.REFUSED:
            sight = Sight.SILENT
        if world.chance.random() < world.faults.lost_reply:
            sight = Sight.SILENT
        if sight is Sight.SILENT:
            world.wait(self._process, timeout.total_seconds())
        return Tried(sight=sight, well=sight is Sight.ANSWERED and (not path or pair.ready(site)))

    def sight(self, site: SiteName) -> Sight:
        """Of a machine that is not isolated, or along a connection that outlives it."""
        pair = self._pair
        if pair.way_to_agent(self._place, site) is not None or not pair.powered(site):
            return Sight.SILENT
        if site in pair.dead:
            return Sight.SILENT if pair.isolated(site) else Sight.REFUSED
        return Sight.ANSWERED

    def line(self, address: str, port: int, *, path: str, timeout: timedelta) -> Line | None:
        if self.tries(address, port, path=path, timeout=timeout).sight is not Sight.ANSWERED:
            return None
        return SimLine(self, self._pair, self._process, address)


class SimLine:
    def __init__(self, probes: SimProbes, pair: UnattendedWorld, process: Process, address: str) -> None:
        self._probes, self._pair, self._process = probes, pair, process
        self._site = next(site for site, own in ADDRESS.items() if own == address)
        self.broken = False
        self._asked = 0

    def asks(self, *, timeout: timedelta) -> Sight:
        self._pair.outside(self._process)
        self._pair.follow()
        sight = self._probes.sight(self._site)
        self._asked += 1
        passes = self._pair.survive and self._asked % self._pair.heard_each == 0
        if self._pair.isolated(self._site) and not passes:
            sight = Sight.SILENT
        self.broken = self.broken or sight is Sight.REFUSED
        if sight is Sight.SILENT:
            self._pair.world.wait(self._process, timeout.total_seconds())
        return Sight.REFUSED if self.broken else sight

    def close(self) -> None:
        self.broken = True
