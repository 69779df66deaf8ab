"""Function `watch-<site>`: reads ECS and the load balancer, takes leases, moves names, and stops or isolates a master
where the policy says so; creates nothing.

Its store client is its own: one call that hangs must not outlast the rounds that a lease is judged by.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from typing import Final

from shared.adapters import chance, environment
from shared.adapters.hooks import CloudHooks
from shared.adapters.master_probes import MasterProbes
from shared.adapters.resolvers import UdpResolvers
from shared.config import settings
from shared.domain.ids import SiteName
from shared.ports.functions import Functions
from shared.ports.names import Names
from shared.ports.resolvers import Resolvers
from shared.ports.scaling import Scaling
from shared.ports.store import Store
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.failovers import Failovers, SwitchOrders
from shared.state.heartbeats import Heartbeats
from shared.state.leases import Leases
from shared.state.name_orders import NameOrders
from shared.state.policies import Policies
from shared.state.views import Views
from shared.usecases.failover.watch import Ports, Watch
from shared.wiring.foundation import clock, configuration, credentials

STORE_TIMEOUT: Final = timedelta(seconds=1)


@cache
def watch_store() -> Store:
    from shared.adapters.ots import OtsStore

    configured = configuration()
    return OtsStore(
        endpoint=configured.ots_endpoint,
        instance=configured.ots_instance,
        credentials=credentials,
        region=configured.region,
        timeout=STORE_TIMEOUT,
    )


def _resolvers() -> Resolvers | None:
    """None in a local cloud that names none: the VPC's own are not there."""
    instead = settings.resolvers(environment.variable)
    if configuration().endpoint is not None and not instead:
        return None
    return UdpResolvers(instead=instead)


def hook_functions(within: timedelta) -> Functions:
    """Of this account, by their full names."""
    from shared.adapters.functions import FcFunctions
    from shared.adapters.sdk import Endpoint

    configured = configuration()
    where = Endpoint(configured.region, configured.endpoint)
    return FcFunctions(
        endpoint=where, credentials=credentials, account=configured.account, prefix="", answer_within=within
    )


@cache
def watch() -> Watch:
    from shared.adapters.agents import HttpAgents
    from shared.adapters.ecs import EcsInventory
    from shared.adapters.ecs_instances import EcsInstances
    from shared.adapters.pvtz import PvtzNames
    from shared.adapters.sdk import Endpoint
    from shared.adapters.slb import SlbBalancer

    where = Endpoint(configuration().region, configuration().endpoint)

    @cache
    def public_names() -> Names:
        # Of pairs that have public names, and of no others: what is not loaded costs no cold start.
        from shared.adapters.alidns import AlidnsNames

        return AlidnsNames(endpoint=where, credentials=credentials)

    @cache
    def scaling() -> Scaling:
        from shared.adapters.ess import EssScaling

        return EssScaling(endpoint=where, credentials=credentials)

    store = watch_store()
    # Threads, not processes that outlive the call: what is still under way at its end is frozen with the instance, and
    # its answer is too old to count when it is thawed.
    pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="aside")

    def aside(look: Callable[[], None]) -> None:
        pool.submit(look)

    # A hook that has a second to answer, and the weights of a failover, do not wait behind a name service's ten.
    urgent = ThreadPoolExecutor(max_workers=8, thread_name_prefix="beside")

    def beside(look: Callable[[], None]) -> None:
        urgent.submit(look)

    return Watch(
        site=SiteName(settings.site(environment.require)),
        ports=Ports(
            leases=Leases(store, tokens=chance.token),
            failovers=Failovers(store),
            orders=SwitchOrders(store),
            heartbeats=Heartbeats(store),
            decisions=Decisions(store),
            controls=Controls(store),
            policies=Policies(store),
            agents=HttpAgents(secret=settings.agent_secret(environment.variable)),
            names=PvtzNames(endpoint=where, credentials=credentials),
            inventory=EcsInventory(endpoint=where, credentials=credentials),
            balancer=SlbBalancer(endpoint=where, credentials=credentials),
            clock=clock(),
            aside=aside,
            public_names=public_names,
            resolvers=_resolvers(),
            name_orders=NameOrders(store),
            probes=MasterProbes(clock=clock()),
            views=Views(store),
            instances=EcsInstances(endpoint=where, credentials=credentials),
            hooks=CloudHooks(functions=hook_functions),
            scaling=scaling,
            beside=beside,
        ),
    )
