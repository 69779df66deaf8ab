"""The parts of which one site's watch of one pair is made, put together once per function instance."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.domain.ids import PolicyVersion, SiteName
from shared.domain.policy import Pair
from shared.ports.balancer import Balancer
from shared.ports.clock import Clock
from shared.ports.compute import Instances, Inventory
from shared.ports.hooks import Hooks
from shared.ports.names import Names
from shared.ports.probes import Agents, Probes
from shared.ports.resolvers import Resolvers
from shared.ports.scaling import Scaling
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.failovers import Failovers, SwitchOrders
from shared.state.heartbeats import Heartbeats
from shared.state.leases import Leases
from shared.state.name_orders import NameOrders
from shared.state.policies import Policies
from shared.state.views import Views
from shared.usecases.failover.aside import Run
from shared.usecases.failover.client_view import ClientView
from shared.usecases.failover.fail_over import FailOver
from shared.usecases.failover.fencing import Fencing
from shared.usecases.failover.held_back import HeldBack
from shared.usecases.failover.name_keeping import NameKeeping
from shared.usecases.failover.names_asked import NamesAsked
from shared.usecases.failover.naming import Naming
from shared.usecases.failover.old_side import old_side_of
from shared.usecases.failover.ordered import Ordered
from shared.usecases.failover.other_side import OtherSide
from shared.usecases.failover.preparing import Preparing
from shared.usecases.failover.restore_lease import RestoreLease
from shared.usecases.failover.roll import Roll
from shared.usecases.failover.service_masters import ServiceMasters
from shared.usecases.failover.situation import Situations
from shared.usecases.failover.surge import SurgeKeeping
from shared.usecases.failover.vetoes import Vetoes
from shared.usecases.failover.witness import Witness


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
    scaling: Callable[[], Scaling] | None = None  # called for pairs whose groups are raised
    beside: Run | None = None  # as `aside`, for what must not wait behind slow looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    witness: Witness
    held: HeldBack
    over: FailOver
    ordered: Ordered
    restore: RestoreLease
    kept: NameKeeping
    roll: Roll
    situations: Situations
    surge: SurgeKeeping


def parts_of(pair: Pair, *, site: SiteName, policy: PolicyVersion, ports: Ports) -> Parts:
    held = HeldBack(pair.name, controls=ports.controls, clock=ports.clock)
    agents = ports.agents if pair.agents else _services_of(pair, ports.probes, lambda: witness)
    witness = Witness(
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
        beside=ports.beside,
    )
    naming = Naming(
        pair=pair,
        witness=witness,
        names=ports.names,
        public_names=ports.public_names,
        run=ports.aside,
        clients=ClientView(pair, agents=agents, probes=ports.probes, resolvers=ports.resolvers, clock=ports.clock),
    )
    vetoes = Vetoes(pair, hooks=ports.hooks, clock=ports.clock, run=ports.beside or ports.aside)
    over = FailOver(
        pair=pair,
        policy=policy,
        witness=witness,
        fencing=Fencing(
            pair=pair,
            witness=witness,
            leases=ports.leases,
            agents=agents,
            clock=ports.clock,
            pause=held.why_now,
            old_side=old_side_of(
                pair,
                instances=ports.instances,
                inventory=ports.inventory,
                probes=ports.probes,
                clock=ports.clock,
            ),
        ),
        naming=naming,
        preparing=Preparing(
            pair,
            witness=witness,
            agents=agents,
            vetoes=vetoes,
            held=held,
            names=NamesAsked(pair, naming=naming, clock=ports.clock, run=ports.beside or ports.aside),
        ),
        failovers=ports.failovers,
        decisions=ports.decisions,
        agents=agents,
        clock=ports.clock,
    )
    ordered = Ordered(orders=ports.orders, over=over, clock=ports.clock)
    restore = RestoreLease(
        pair,
        witness=witness,
        leases=ports.leases,
        heartbeats=ports.heartbeats,
        over=over,
        naming=naming,
        ordered=ordered,
        clock=ports.clock,
    )
    kept = NameKeeping(
        pair,
        site=site,
        naming=naming,
        witness=witness,
        over=over,
        orders=ports.name_orders,
        clock=ports.clock,
        run=ports.aside,
        beside=ports.beside,
    )
    roll = Roll(
        pair,
        site=site,
        heartbeats=ports.heartbeats,
        over=over,
        clock=ports.clock,
        run=ports.aside,
        names=lambda: kept.findings,
    )
    situations = Situations(
        pair,
        site=site,
        orders=ports.orders,
        held=held,
        kept=kept,
        other=OtherSide(pair, vetoes=vetoes, clock=ports.clock),
        clock=ports.clock,
    )
    surge = SurgeKeeping(
        pair,
        balancer=ports.balancer,
        scaling=ports.scaling,
        failovers=ports.failovers,
        over=over,
        clock=ports.clock,
        run=ports.beside or ports.aside,
    )
    return Parts(
        witness=witness,
        held=held,
        over=over,
        ordered=ordered,
        restore=restore,
        kept=kept,
        roll=roll,
        situations=situations,
        surge=surge,
    )


def _services_of(pair: Pair, probes: Probes | None, witness: Callable[[], Witness]) -> ServiceMasters:
    """`witness` is asked later: it looks at the masters itself."""
    assert probes is not None, "masters without agents are looked at on their own ports"
    return ServiceMasters(
        pair,
        probes=probes,
        address=lambda site: witness().address(site),
        sighting=lambda: witness().sighting,
        read=lambda: witness().read_lease(),
    )
