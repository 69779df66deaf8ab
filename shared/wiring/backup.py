"""Function `backup`: creates snapshots and images; cannot delete."""

from functools import cache

from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.usecases.back_up import BackUp
from shared.usecases.carry_on import CarryOn
from shared.usecases.image import TakeImage
from shared.wiring.foundation import clock, configuration, credentials, functions, store


@cache
def backup() -> CarryOn:
    from shared.adapters.ecs import EcsImages, EcsInstances, EcsInventory, EcsSnapshots
    from shared.adapters.sdk import Endpoint

    where = Endpoint(configuration().region, configuration().endpoint)
    return CarryOn(
        journal=Journal(store(), clock()),
        recipes=(
            BackUp(
                inventory=EcsInventory(endpoint=where, credentials=credentials),
                snapshots=EcsSnapshots(endpoint=where, credentials=credentials),
                tagger=EcsInstances(endpoint=where, credentials=credentials),
                store=store(),
                policies=Policies(store()),
                clock=clock(),
            ),
            TakeImage(images=EcsImages(endpoint=where, credentials=credentials), clock=clock()),
        ),
        decisions=Decisions(store()),
        functions=functions(),
        function="backup",
        clock=clock(),
    )
