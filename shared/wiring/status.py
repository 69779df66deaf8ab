"""Function `status`: reads the state store; the only SDK it loads is Tablestore's."""

from functools import cache

from shared.adapters import chance
from shared.state.certificates import Certificates
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.failovers import Failovers
from shared.state.families import Families
from shared.state.fleet import Fleet
from shared.state.heartbeats import Heartbeats
from shared.state.journal import Journal
from shared.state.leases import Leases
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.slots import Slots
from shared.usecases.status import Status
from shared.wiring.foundation import clock, store


@cache
def status() -> Status:
    return Status(
        policies=Policies(store()),
        controls=Controls(store()),
        journal=Journal(store(), clock()),
        points=Points(store()),
        slots=Slots(store()),
        certificates=Certificates(store()),
        leases=Leases(store(), tokens=chance.token),
        heartbeats=Heartbeats(store()),
        failovers=Failovers(store()),
        fleet=Fleet(store()),
        clock=clock(),
        families=Families(store()),
        decisions=Decisions(store()),
    )
