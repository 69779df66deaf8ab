"""Function `command`: records intents; touches no resource of the cloud."""

from functools import cache

from shared.adapters import chance
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.failovers import Failovers, SwitchOrders
from shared.state.families import Families
from shared.state.heartbeats import Heartbeats
from shared.state.journal import Journal
from shared.state.leases import Leases
from shared.state.name_orders import NameOrders
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.subjects import Subjects
from shared.usecases.command import Command
from shared.usecases.failover.ask_failover import AskFailover
from shared.usecases.failover.ask_names import AskNames
from shared.wiring.foundation import clock, functions, store


@cache
def command() -> Command:
    return Command(
        policies=Policies(store()),
        controls=Controls(store()),
        journal=Journal(store(), clock()),
        points=Points(store()),
        subjects=Subjects(store()),
        families=Families(store()),
        decisions=Decisions(store()),
        functions=functions(),
        clock=clock(),
        failover=AskFailover(
            policies=Policies(store()),
            controls=Controls(store()),
            leases=Leases(store(), tokens=chance.token),
            heartbeats=Heartbeats(store()),
            failovers=Failovers(store()),
            orders=SwitchOrders(store()),
            decisions=Decisions(store()),
            clock=clock(),
        ),
        names=AskNames(
            policies=Policies(store()),
            orders=NameOrders(store()),
            decisions=Decisions(store()),
            clock=clock(),
        ),
    )
