"""The whole failover in a `World`: the real watches of both sites, beside the agents and masters of `PairWorld`.

Name, inventory and balancer are the emulator's models, reached in process with the delays and losses of the way there.
A site can fall dark (its agent and master go on running, unseen and cut off from the store), and its agent can die.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from emulator.cloud import Cloud
from emulator.seed import load_text
from shared.domain.decision import Decision
from shared.domain.errors import OutcomeUnknown, Retryable
from shared.domain.ids import Epoch, InstanceId, SiteName
from shared.domain.inventory import Disk, Instance, SystemEvent
from shared.domain.policy import Member, Pair, Policy, PruneLimits
from shared.ports.names import NameRecord
from shared.ports.probes import AgentReport, Sight
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.failovers import Failover, Failovers, SwitchOrders
from shared.state.heartbeats import Heartbeats
from shared.state.leases import Leases
from shared.state.policies import Policies
from shared.usecases.watch import Ports, Watch
from tests.simulation.pair_world import PAIR, TERMS, H, I, PairWorld
from tests.simulation.world import EPOCH, Process, ProcessClock, ProcessStore, Rows
from understudy.simulation.compute import InProcessInventory
from understudy.simulation.names import InProcessNames

ADDRESS = {H: "10.0.1.21", I: "10.0.2.21"}
INSTANCE = {H: InstanceId("i-master-h"), I: InstanceId("i-master-i")}
SEED = """
region: cn-hangzhou
zones: [cn-hangzhou-h, cn-hangzhou-i]
vpc: {id: vpc-t, cidr: 10.0.0.0/16}
vswitches:
  - {id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24, gateway: 10.0.1.1}
  - {id: vsw-i, zone: cn-hangzhou-i, cidr: 10.0.2.0/24, gateway: 10.0.2.1}
security_groups: [{id: sg-t}]
images: [{id: m-t, name: t, family: t, system_disk_gib: 20}]
instances:
  - {id: i-master-h, name: h, image: m-t, vswitch: vsw-h, address: 10.0.1.21, type: ecs.g7.large, state: Running,
     system_disk: {id: d-h, size_gib: 20, category: cloud_essd}}
  - {id: i-master-i, name: i, image: m-t, vswitch: vsw-i, address: 10.0.2.21, type: ecs.g7.large, state: Running,
     system_disk: {id: d-i, size_gib: 20, category: cloud_essd}}
private_zones: [{id: z-t, name: corp.example, records: [{rr: master, type: A, value: 10.0.1.21, ttl: 5}]}]
"""


def pair_policy(*, block: timedelta = timedelta(hours=1)) -> Pair:
    def member(site: SiteName, zone: str) -> Member:
        return Member(site=site, zone=zone, instance=INSTANCE[site], port=7000, agent_port=7001)

    return Pair(
        name=PAIR,
        members=(member(H, "cn-hangzhou-h"), member(I, "cn-hangzhou-i")),
        preferred=H,
        name_zone="corp.example",
        name_host="master",
        name_ttl_seconds=5,
        lease=TERMS.lease,
        margin=TERMS.margin,
        renew_every=TERMS.renew_every,
        watch_every=timedelta(seconds=1),
        block=block,
    )


@dataclass
class FailoverWorld(PairWorld):
    cloud: Cloud = field(default_factory=Cloud)
    dark: set[SiteName] = field(default_factory=set)
    dead: set[SiteName] = field(default_factory=set)  # agent processes that are gone
    unready: set[SiteName] = field(default_factory=set)
    blind: set[SiteName] = field(default_factory=set)  # watches that see no agent
    names_down: bool = False
    refuse_promotions: bool = False  # agents answer, and take no order (a secret that does not fit)
    rebinds: list[tuple[float, str]] = field(default_factory=list)
    bound_under: list[tuple[float, str, int, SiteName]] = field(default_factory=list)  # with the lease at that time
    block: timedelta = timedelta(hours=1)
    crash: dict[str, int] = field(default_factory=dict)  # watch process -> dies at its n-th call to the outside
    calls: dict[str, int] = field(default_factory=dict)

    def open(self, *, watches: Sequence[SiteName] = (H, I)) -> "FailoverWorld":
        load_text(SEED, self.cloud, where="test", settings={})
        truth = TruthStore(self.rows)
        Policies(truth).append(
            Policy(
                region="cn-hangzhou",
                protections=(),
                rebuilds=(),
                pairs=(pair_policy(block=self.block),),
                prune=PruneLimits(max_items=1, max_percent=1),
            )
        )
        self.build(takers=0)
        for site in watches:
            self.world.spawn(f"watch-{site[-1]}", self.world.machine(f"fc-{site}"), self._watch(site))
        return self

    # --- what a test asks for ---

    def at(self, seconds: float, what: Callable[[], object]) -> None:
        self.world.later(seconds - self.world.now, lambda: (what(), None)[1])

    def go_dark(self, site: SiteName) -> None:
        self.world.say("world", f"{site} falls silent")
        self.dark.add(site)

    def lighten(self, site: SiteName) -> None:
        self.world.say("world", f"{site} is heard again")
        self.dark.discard(site)

    def failover(self) -> Failover:
        return Failovers(TruthStore(self.rows)).of(PAIR, now=EPOCH)

    def decisions(self) -> list[Decision]:
        """Oldest first."""
        return list(Decisions(TruthStore(self.rows)).of(PAIR))[::-1]

    def events(self) -> list[str]:
        return [one.event for one in self.decisions()]

    def controls(self) -> Controls:
        return Controls(TruthStore(self.rows))

    def orders(self) -> SwitchOrders:
        return SwitchOrders(TruthStore(self.rows))

    def record(self) -> NameRecord:
        (record,) = InProcessNames(self.cloud).records(zone="corp.example", host="master", type="A")
        return record

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.world.now)

    def active(self) -> set[SiteName]:
        return {
            site
            for site, holder in self.holders.items()
            if holder.grant.active_at(self.machines[site].reads(self.world.now))
        }

    def accepted_by(self, site: SiteName, *, after: float = 0.0) -> list[float]:
        return [one.since for one in self.accepted if one.site == site and one.since >= after]

    # --- processes ---

    def store_of(self, process: Process) -> ProcessStore:
        return SiteStore(self, process)

    def ready(self, site: SiteName) -> bool:
        return site not in self.unready

    def gone(self, site: SiteName) -> bool:
        return site in self.dead

    def _watch(self, site: SiteName) -> Callable[[Process], None]:
        def live(process: Process) -> None:
            while True:  # one turn is one function instance
                try:
                    self._tick(site, process)
                except Crash:
                    self.world.say(process.name, "crashed")
                    self.world.wait(process, self.world.chance.uniform(0.1, 3))
                except (Retryable, OutcomeUnknown):
                    self.world.wait(process, 5)

        return live

    def _tick(self, site: SiteName, process: Process) -> None:
        clock = ProcessClock(self.world, process)
        watch = Watch(site=site, ports=self.ports(process, site))
        for number in range(1, 20):
            watch.run(clock.now(), run=f"{process.name}-{number}")

    def ports(self, process: Process, site: SiteName) -> Ports:
        store = self.store_of(process)
        clock = ProcessClock(self.world, process)
        return Ports(
            leases=self.leases(process),
            failovers=Failovers(store),
            orders=SwitchOrders(store),
            heartbeats=Heartbeats(store),
            decisions=Decisions(store),
            controls=Controls(store),
            policies=Policies(store),
            agents=SimAgents(self, process, site),
            names=SimNames(self, process),
            inventory=SimInventory(self, process),
            balancer=None,
            clock=clock,
            aside=lambda look: look(),
        )

    def outside(self, process: Process) -> None:
        """Each call of a watch to the outside is a place where its process may die."""
        self.calls[process.name] = self.calls.get(process.name, 0) + 1
        if self.crash.get(process.name) == self.calls[process.name]:
            raise Crash


class Crash(Exception):
    """The function instance is gone between two calls."""


class SiteStore(ProcessStore):
    """As its process reaches it: not at all from a dark site."""

    def __init__(self, pair: FailoverWorld, process: Process) -> None:
        super().__init__(pair.world, process, pair.rows)
        self._pair = pair

    def _way(self, *, writes: bool) -> None:
        if self._process.name.startswith("watch"):
            self._pair.outside(self._process)
        site = next((site for site in (H, I) if self._process.name == f"agent-{site[-1]}"), None)
        if site in self._pair.dark:
            self._world.wait(self._process, 1.0)
            raise OutcomeUnknown("dark") if writes else Retryable("dark")
        super()._way(writes=writes)


class SimAgents:
    """The agents port from the place of one watch."""

    def __init__(self, pair: FailoverWorld, process: Process, site: SiteName) -> None:
        self._pair, self._process, self._site = pair, process, site

    def look(self, address: str, port: int, *, timeout: timedelta) -> AgentReport:
        return self._ask(address, timeout, lambda site: None)

    def promote(self, address: str, port: int, *, epoch: Epoch, timeout: timedelta) -> AgentReport:
        if self._pair.refuse_promotions:
            return self._ask(address, timeout, lambda site: None)

        # The agent's own loop claims the lease; the order tells it to, and waits for it.
        def wait(site: SiteName) -> None:
            self._pair.holders[site].promote(epoch)
            until = self._pair.world.now + timeout.total_seconds() / 2
            while self._pair.world.now < until and self._pair.holders[site].grant.epoch < epoch:
                self._pair.world.wait(self._process, 0.05)

        return self._ask(address, timeout, wait)

    def demote(self, address: str, port: int, *, timeout: timedelta) -> AgentReport:
        def order(site: SiteName) -> None:
            self._pair.holders[site].give_up("told to")
            self._pair.world.wait(self._process, 1.3)  # its loop releases the lease meanwhile

        return self._ask(address, timeout, order)

    def _ask(self, address: str, timeout: timedelta, order: Callable[[SiteName], None]) -> AgentReport:
        pair, world = self._pair, self._pair.world
        pair.outside(self._process)
        site = next(site for site, own in ADDRESS.items() if own == address)
        world.wait(self._process, 0.002)
        lost = world.chance.random() < world.faults.lost_reply
        if site in pair.dark or self._site in pair.blind or (lost and world.chance.random() < 0.5):
            world.wait(self._process, timeout.total_seconds())
            return AgentReport(sight=Sight.SILENT)
        if pair.gone(site) or site not in pair.holders:
            return AgentReport(sight=Sight.REFUSED)
        order(site)
        if lost:
            return AgentReport(sight=Sight.SILENT)
        holder = pair.holders[site]
        active = holder.grant.active_at(pair.machines[site].reads(world.now))
        return AgentReport(
            sight=Sight.ANSWERED, active=active, epoch=holder.grant.epoch, site=site, ready=pair.ready(site)
        )


class SimNames:
    def __init__(self, pair: FailoverWorld, process: Process) -> None:
        self._pair, self._process = pair, process
        self._names = InProcessNames(pair.cloud)

    def records(self, *, zone: str, host: str, type: str) -> tuple[NameRecord, ...]:
        self._way(writes=False)
        return self._names.records(zone=zone, host=host, type=type)

    def rebind(self, record: NameRecord, *, value: str) -> None:
        self._way(writes=True)
        self._names.rebind(record, value=value)
        self._pair.rebinds.append((self._pair.world.now, value))
        lease = Leases(TruthStore(self._pair.rows), tokens=str).read(PAIR)
        if lease is not None:
            self._pair.bound_under.append((self._pair.world.now, value, int(lease.epoch), lease.owner))
        self._pair.world.say(self._process.name, f"bound the name to {value}")
        self._maybe_lost()

    def remark(self, record: NameRecord, *, text: str) -> None:
        self._way(writes=True)
        self._names.remark(record, text=text)
        self._maybe_lost()

    def _way(self, *, writes: bool) -> None:
        world = self._pair.world
        self._pair.outside(self._process)
        world.maybe_pause(self._process)
        world.wait(self._process, world.chance.uniform(0, 0.1))
        if self._pair.names_down:
            world.wait(self._process, 1.0)
            raise OutcomeUnknown("name service down") if writes else Retryable("name service down")

    def _maybe_lost(self) -> None:
        if self._pair.world.chance.random() < self._pair.world.faults.lost_reply:
            raise OutcomeUnknown("reply lost")


class SimInventory:
    def __init__(self, pair: FailoverWorld, process: Process) -> None:
        self._pair, self._process = pair, process
        self._inventory = InProcessInventory(pair.cloud)

    def instances(
        self, *, ids: Sequence[InstanceId] | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[Instance]:
        self._pair.outside(self._process)
        return self._inventory.instances(ids=ids, tags=tags)

    def disks(self, **_: object) -> Iterator[Disk]:
        raise NotImplementedError

    def system_events(self, instance: InstanceId) -> Iterator[SystemEvent]:
        raise NotImplementedError


class TruthStore(ProcessStore):
    """The tables as they are, without any way there: for a test's own eyes."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def _way(self, *, writes: bool) -> None:
        return

    def _way_back(self, *, writes: bool) -> None:
        return

    def _write(self, apply: Callable[[], None]) -> None:
        apply()
