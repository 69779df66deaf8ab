"""The whole failover in a `World`: the real watches of both sites, beside the agents and masters of `PairWorld`.

Name, inventory and balancer are the emulator's models, reached in process with the delays and losses of the way there.
A site can fall dark (its agent and master go on running, unseen and cut off from the store), its agent can die, and
each link between two places can fail by itself. Watches run for ever, or (`timers`) as ticks in executors of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar, cast

from emulator.cloud import Cloud
from emulator.seed import load_text
from shared.domain.decision import Decision
from shared.domain.errors import OutcomeUnknown, Retryable
from shared.domain.ids import InstanceId, SiteName
from shared.domain.lease import Terms
from shared.domain.pair import Member, NameRule, NameService, Pair
from shared.domain.policy import Policy, PruneLimits
from shared.ports.compute import Inventory
from shared.ports.hooks import HookAnswer, Said
from shared.ports.names import NameRecord, Names
from shared.ports.resolvers import Resolved
from shared.ports.scaling import Scaling
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.failovers import Failover, Failovers, SwitchOrders
from shared.state.heartbeats import Heartbeats
from shared.state.leases import Leases
from shared.state.name_orders import NameOrders
from shared.state.policies import Policies
from shared.usecases.failover.aside import Run
from shared.usecases.failover.ask_failover import AskFailover
from shared.usecases.failover.watch import Ports, Watch
from shared.wiring.watch import STORE_TIMEOUT
from tests.simulation.links import How, Links, watch_at
from tests.simulation.pair_world import PAIR, TERMS, H, I, PairWorld
from tests.simulation.sites import (
    ADDRESS,
    Binding,
    SimAgents,
    SimHooks,
    SimInventory,
    SimNames,
    SimResolvers,
    SiteStore,
    TruthStore,
)
from tests.simulation.surge_ports import SimBalancer, SimScaling, Standing
from tests.simulation.world import EPOCH, Crash, Process, ProcessClock, ProcessStore
from understudy.agent.process import call_timeout
from understudy.simulation.compute import InProcessInventory
from understudy.simulation.names import InProcessNames
from understudy.simulation.public_names import InProcessPublicNames
from understudy.simulation.resolvers import InProcessResolvers

if TYPE_CHECKING:
    from tests.simulation.over_http import Wire

T = TypeVar("T")

__all__ = ["ADDRESS", "INSTANCE", "Binding", "Crash", "FailoverWorld", "TruthStore", "pair_policy"]

UNHURRIED = timedelta(seconds=10)  # for real datagrams on a busy machine: virtual time stands meanwhile
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
private_zones:
  - {id: z-t, name: corp.example, records: [
      {rr: master, type: A, value: 10.0.1.21, ttl: 5}, {rr: queue, type: CNAME, value: hz-h.corp.example, ttl: 5},
      {rr: hz-h, type: A, value: 10.0.1.21, ttl: 5}, {rr: hz-i, type: A, value: 10.0.2.21, ttl: 5}]}
public_domains:
  - {name: public.example, edition: version_enterprise_advanced, records: [
      {rr: master, type: A, value: 203.0.113.1, ttl: 5}]}
"""


MORE_NAMES = (
    NameRule(
        zone="public.example",
        host="master",
        service=NameService.PUBLIC,
        values={H: "203.0.113.1", I: "203.0.113.2"},
    ),
    NameRule(zone="corp.example", host="queue", type="CNAME", values={H: "hz-h.corp.example", I: "hz-i.corp.example"}),
)
"""A public address, then a private alias: moved after the private address, in this order."""


def pair_policy(
    *, block: timedelta = timedelta(hours=1), terms: Terms = TERMS, more_names: Sequence[NameRule] = ()
) -> Pair:
    def member(site: SiteName, zone: str) -> Member:
        return Member(site=site, zone=zone, instance=INSTANCE[site], port=7000, agent_port=7001)

    return Pair(
        name=PAIR,
        members=(member(H, "cn-hangzhou-h"), member(I, "cn-hangzhou-i")),
        preferred=H,
        name_zone="corp.example",
        name_host="master",
        name_ttl_seconds=5,
        lease=terms.lease,
        margin=terms.margin,
        renew_every=terms.renew_every,
        watch_every=timedelta(seconds=1),
        block=block,
        more_names=tuple(more_names),
    )


@dataclass
class FailoverWorld(PairWorld):
    cloud: Cloud = field(default_factory=Cloud)
    wire: "Wire | None" = None  # the emulator over HTTP; None: its models in process
    dark: set[SiteName] = field(default_factory=set)
    dead: set[SiteName] = field(default_factory=set)  # agent processes that are gone
    unready: set[SiteName] = field(default_factory=set)
    blind: set[SiteName] = field(default_factory=set)  # watches that see no agent
    links: Links = field(default_factory=Links)
    names_down: bool = False
    refuse_promotions: bool = False  # agents answer, and take no order (a secret that does not fit)
    more_names: tuple[NameRule, ...] = ()
    held: dict[str, Resolved] = field(default_factory=dict)  # name -> what resolvers still answer for it
    rebinds: list[tuple[float, str]] = field(default_factory=list)  # of the first name
    moved: list[tuple[float, str, str]] = field(default_factory=list)  # of all: when, which name, to what
    bindings: list[Binding] = field(default_factory=list)
    looked: dict[str, tuple[float, int]] = field(default_factory=dict)  # who looked at the lease, and when: its epoch
    block: timedelta = timedelta(hours=1)
    wall: dict[SiteName, float] = field(default_factory=dict)  # how wrong the clocks of a site's functions are
    crash: dict[str, int] = field(default_factory=dict)  # watch process -> dies at its n-th call to the outside
    calls: dict[str, int] = field(default_factory=dict)
    agreed: Callable[[Pair], Pair] = lambda pair: pair  # what the policy says otherwise
    lags: dict[SiteName, timedelta] = field(default_factory=dict)  # what agents measure; none: they do not
    hooks_say: HookAnswer = field(default_factory=lambda: HookAnswer(said=Said.PROCEED))
    standing: Standing = field(default_factory=Standing)  # balancer and groups, for pairs with `surge`
    hooks_asked: list[tuple[float, str]] = field(default_factory=list)

    def open(self, *, watches: Sequence[SiteName] = (H, I)) -> "FailoverWorld":
        if self.wire is not None:
            self.cloud, self.rows = self.wire.cloud, self.wire.rows
        self.in_cloud(lambda: load_text(SEED, self.cloud, where="test", settings={}))
        truth = TruthStore(self.rows)
        Policies(truth).append(
            Policy(
                region="cn-hangzhou",
                protections=(),
                rebuilds=(),
                pairs=(
                    self.agreed(pair_policy(block=self.block, terms=self.defects.terms, more_names=self.more_names)),
                ),
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

    def acknowledge(self) -> None:
        """As `understudy acknowledge` does."""
        store = TruthStore(self.rows)
        desk = AskFailover(
            policies=Policies(store),
            controls=self.controls(),
            leases=Leases(store, tokens=self.world.token),
            heartbeats=Heartbeats(store),
            failovers=Failovers(store),
            orders=self.orders(),
            decisions=Decisions(store),
            clock=_Truth(self),
        )
        self.controls().acknowledge(PAIR, desk.acknowledged_at(PAIR))

    def orders(self) -> SwitchOrders:
        return SwitchOrders(TruthStore(self.rows))

    def record(self) -> NameRecord:
        (record,) = self.in_cloud(
            lambda: InProcessNames(self.cloud).records(zone="corp.example", host="master", type="A")
        )
        return record

    def more_values(self) -> dict[str, str]:
        """What the names after the first give now; two records of one are told as both."""
        found = {}
        for rule in self.more_names:
            names = (
                self.public_names_of_the_cloud() if rule.service is NameService.PUBLIC else self.names_of_the_cloud()
            )
            records = names.records(zone=rule.zone, host=rule.host)
            found[str(rule)] = ", ".join(sorted(record.value for record in records))
        return found

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
        return SiteStore(self, process, place_of(process), timeout=timeout_of(process, self.defects.terms))

    def ready(self, site: SiteName) -> bool:
        return site not in self.unready

    def gone(self, site: SiteName) -> bool:
        return site in self.dead

    def way_to_agent(self, place: str, site: SiteName) -> How | None:
        """How an attempt to reach the agent of `site` from `place` fails now; None: it does not."""
        if site in self.dark or place in self.dark or self.machines[site].stopped:
            return How.SILENT
        return self.links.way(place, site)

    def worked(self, process: Process) -> float:
        """Seconds for which it was not stopped: what it can know about the age of what it saw."""
        return self.world.now - process.suspended - process.machine.suspended

    def in_cloud(self, do: Callable[[], T]) -> T:
        """`do` where the emulator's models may be touched."""
        return do() if self.wire is None else self.wire.local.run(do)

    def names_of_the_cloud(self) -> Names:
        return InProcessNames(self.cloud) if self.wire is None else self.wire.names

    def public_names_of_the_cloud(self) -> Names:
        return InProcessPublicNames(self.cloud) if self.wire is None else self.wire.public_names

    def resolve(self, names: Sequence[str], servers: Sequence[str], timeout: timedelta) -> tuple[Resolved, ...]:
        if self.wire is not None:
            return self.wire.resolvers.ask(names, servers=servers, timeout=UNHURRIED)
        return InProcessResolvers(self.cloud).ask(names, servers=servers, timeout=timeout)

    def inventory_of_the_cloud(self) -> Inventory:
        return InProcessInventory(self.cloud) if self.wire is None else self.wire.inventory

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

    def ports(self, process: Process, site: SiteName, *, aside: Run = lambda look: look()) -> Ports:
        store = self.store_of(process)
        clock = ProcessClock(self.world, process)
        place = watch_at(site)
        return Ports(
            leases=self.leases(process),
            failovers=Failovers(store),
            orders=SwitchOrders(store),
            heartbeats=Heartbeats(store),
            decisions=Decisions(store),
            controls=Controls(store),
            policies=Policies(store),
            agents=SimAgents(self, process, site, place),
            names=SimNames(self, process, place),
            inventory=SimInventory(self, process, place),
            balancer=SimBalancer(self, process, place),
            scaling=lambda: cast(Scaling, SimScaling(self, process, place)),
            clock=clock,
            aside=aside,
            public_names=lambda: SimNames(self, process, place, self.public_names_of_the_cloud()),
            resolvers=SimResolvers(self, process, site),
            hooks=SimHooks(self, process),
            name_orders=NameOrders(store),
        )

    def outside(self, process: Process) -> None:
        """Each call to the outside is a place where its process may die."""
        self.calls[process.name] = self.calls.get(process.name, 0) + 1
        if self.crash.get(process.name) == self.calls[process.name]:
            raise Crash


@dataclass(frozen=True, slots=True)
class _Truth:
    """The clock of somebody who is neither machine nor function."""

    pair: FailoverWorld

    def now(self) -> datetime:
        return self.pair.now()

    def monotonic(self) -> float:
        return self.pair.world.now

    def sleep(self, duration: timedelta) -> None:
        raise AssertionError("whoever takes orders does not sleep")


def place_of(process: Process) -> str:
    """Processes are called by their kind and the last letter of their site: `agent-h`, `watch-i`, `watch-i-2`."""
    kind, _, rest = process.name.partition("-")
    site = next((site for site in (H, I) if rest[:1] == site[-1]), H)
    return watch_at(site) if kind == "watch" else site


def timeout_of(process: Process, terms: Terms) -> float:
    """Of a store call, as the real ones are configured."""
    if process.name.startswith("watch"):
        return STORE_TIMEOUT.total_seconds()
    return call_timeout(terms).total_seconds()
