"""Function `alarm`: reads the inventory, opens rebuild operations, calls watches; touches no resource of the cloud."""

from functools import cache

from shared.adapters import environment
from shared.config.settings import webhook_secret
from shared.state.called import Called
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.deliveries import Deliveries
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.state.subjects import Subjects
from shared.usecases.alarm import Alarm
from shared.usecases.failover.wake_watches import WakeWatches
from shared.usecases.recovery.suspicion import Suspicions
from shared.wiring.foundation import clock, configuration, credentials, functions, store


@cache
def alarm() -> Alarm:
    from shared.adapters.ecs import EcsInventory
    from shared.adapters.sdk import Endpoint

    where = Endpoint(configuration().region, configuration().endpoint)
    return Alarm(
        inventory=EcsInventory(endpoint=where, credentials=credentials),
        policies=Policies(store()),
        suspicions=Suspicions(
            journal=Journal(store(), clock()),
            subjects=Subjects(store()),
            controls=Controls(store()),
            functions=functions(),
            clock=clock(),
        ),
        deliveries=Deliveries(store(), clock()),
        decisions=Decisions(store()),
        functions=functions(),
        watches=WakeWatches(functions=functions(), called=Called(store(), clock())),
        clock=clock(),
        # Only the webhook needs it: without it, every call of the webhook is refused, and events still work.
        secret=lambda: webhook_secret(environment.variable),
    )
