"""Function `recover`: stops the lost, creates their replacements, moves their traffic; deletes nothing."""

from functools import cache

from shared.domain.budget import Caller
from shared.domain.place import Place
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.subjects import Subjects
from shared.usecases.look import Look
from shared.usecases.operations import Executor
from shared.usecases.rebuild import RebuildRecipe
from shared.usecases.recover import CLAIM_FOR, Recover
from shared.usecases.suspicion import Suspicions
from shared.wiring.foundation import clock, configuration, credentials, functions, pacing, store


@cache
def recover() -> Recover:
    from shared.adapters.ecs import EcsInstances, EcsInventory
    from shared.adapters.ecs_images import EcsImages
    from shared.adapters.ecs_snapshots import EcsSnapshots
    from shared.adapters.sdk import Endpoint
    from shared.adapters.services import TcpServices
    from shared.adapters.slb import SlbBalancer

    where = Endpoint(configuration().region, configuration().endpoint)
    pace = pacing(Caller.RECOVERY)(Place(configuration().region))
    inventory = EcsInventory(endpoint=where, credentials=credentials, pace=pace)
    balancer = SlbBalancer(endpoint=where, credentials=credentials)
    services = TcpServices()
    journal, controls, policies = Journal(store(), clock()), Controls(store()), Policies(store())
    subjects = Subjects(store())
    return Recover(
        recipe=RebuildRecipe(
            look=Look(
                inventory=inventory,
                balancer=balancer,
                services=services,
                journal=journal,
                controls=controls,
                clock=clock(),
            ),
            inventory=inventory,
            instances=EcsInstances(endpoint=where, credentials=credentials, pace=pace),
            images=EcsImages(endpoint=where, credentials=credentials, pace=pace),
            snapshots=EcsSnapshots(endpoint=where, credentials=credentials, pace=pace),
            balancer=balancer,
            services=services,
            points=Points(store()),
            policies=policies,
            clock=clock(),
        ),
        executor=Executor(journal, clock(), claim_for=CLAIM_FOR),
        journal=journal,
        subjects=subjects,
        suspicions=Suspicions(
            journal=journal, subjects=subjects, controls=controls, functions=functions(), clock=clock()
        ),
        inventory=inventory,
        balancer=balancer,
        policies=policies,
        controls=controls,
        decisions=Decisions(store()),
        functions=functions(),
        clock=clock(),
    )
