"""Function `recover`: restores, rebuilds, launches and moves traffic; deletes nothing.

Recipes and previews are built when their first operation comes: a rebuild does not pay for what a rollback needs.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from shared.domain.budget import Caller
from shared.domain.operation import OperationKind
from shared.domain.place import Place
from shared.ports.balancer import Balancer
from shared.ports.compute import Clouds, Compute
from shared.ports.scaling import Scaling
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.subjects import Subjects
from shared.usecases.lazily import Lazily
from shared.usecases.operations import Executor, Recipe
from shared.usecases.recovery.disarm import Disarm
from shared.usecases.recovery.measured import Measured
from shared.usecases.recovery.previews import Previews, Show
from shared.usecases.recovery.rebuild_extra import Doubles
from shared.usecases.recovery.recover import Recover
from shared.usecases.recovery.recovering import CLAIM_FOR, Recovering
from shared.usecases.recovery.remember_groups import RememberGroups
from shared.usecases.recovery.suspicion import Suspicions
from shared.wiring.foundation import clock, configuration, credentials, endpoint, functions, keys_of, pacing, store

if TYPE_CHECKING:
    from shared.usecases.recovery.launch_planning import LaunchPlanning
    from shared.usecases.recovery.out_of_service import OutOfService
    from shared.usecases.recovery.plan_preview import PlanPreview
    from shared.usecases.recovery.rebuild_run import Ports
    from shared.usecases.recovery.restore_look import RestoreLook

RECIPES: dict[OperationKind, Callable[[], Recipe]] = {
    OperationKind.REBUILD: lambda: _rebuild(),
    OperationKind.RESTORE: lambda: _restore(),
    OperationKind.PUBLISH: lambda: _publish(),
    OperationKind.LAUNCH: lambda: _launch(),
    OperationKind.PLAN: lambda: _plan(),
}
PREVIEWS: dict[OperationKind, Callable[[], Show]] = {
    OperationKind.LAUNCH: lambda: _launch_planning().preview,
    OperationKind.REBUILD: lambda: _rebuild_preview(),
    OperationKind.RESTORE: lambda: _restore_preview(),
    OperationKind.PLAN: lambda: _plan_preview().show,
}


@cache
def recover() -> Recover:
    journal, controls, policies = Journal(store(), clock()), Controls(store()), Policies(store())
    subjects = Subjects(store())
    return Recover(
        recovering=Recovering(
            recipes=Lazily(RECIPES),
            executor=Executor(journal, clock(), claim_for=CLAIM_FOR),
            journal=journal,
            subjects=subjects,
            controls=controls,
            decisions=Decisions(store()),
            functions=functions(),
            clock=clock(),
        ),
        suspicions=Suspicions(
            journal=journal, subjects=subjects, controls=controls, functions=functions(), clock=clock()
        ),
        inventory=here().inventory,
        balancer=balancer(),
        disarm=Disarm(instances=here().instances, decisions=Decisions(store()), clock=clock()),
        groups=RememberGroups(scaling=scaling(), instances=here().instances),
        doubles=Doubles(instances=here().instances, journal=journal, decisions=Decisions(store()), clock=clock()),
        policies=policies,
        clock=clock(),
    )


@cache
def previews() -> Previews:
    return Previews(Lazily(PREVIEWS), estimate=Measured(Decisions(store())))


@cache
def clouds() -> Clouds:
    """The ECS of every place, paced for recovery."""
    from shared.adapters.ecs_clouds import EcsClouds

    return EcsClouds(endpoint_of=endpoint, keys_of=keys_of, pace_of=pacing(Caller.RECOVERY))


def here() -> Compute:
    """The policy's own region, in our own account."""
    return clouds().at(Place(configuration().region))


@cache
def balancer() -> Balancer:
    from shared.adapters.slb import SlbBalancer

    return SlbBalancer(endpoint=endpoint(configuration().region), credentials=credentials)


def _rebuild() -> Recipe:
    from shared.usecases.recovery.rebuild import RebuildRecipe

    return RebuildRecipe(ports=_rebuild_ports())


def _rebuild_preview() -> Show:
    from shared.usecases.recovery.rebuild_preview import RebuildPreview

    return RebuildPreview(ports=_rebuild_ports(), subjects=Subjects(store()))


def _rebuild_ports() -> "Ports":
    from shared.adapters.eip import EipAddresses
    from shared.adapters.services import TcpServices
    from shared.state.images import Images
    from shared.state.zone_looks import ZoneLooks
    from shared.usecases.images.image_of_point import ImageOfPoint
    from shared.usecases.recovery.look import Look
    from shared.usecases.recovery.rebuild_run import Ports

    services, compute = TcpServices(), here()
    return Ports(
        look=Look(
            inventory=compute.inventory,
            instances=compute.instances,
            balancer=balancer(),
            scaling=scaling(),
            services=services,
            journal=Journal(store(), clock()),
            controls=Controls(store()),
            decisions=Decisions(store()),
            clock=clock(),
        ),
        compute=compute,
        balancer=balancer(),
        scaling=scaling(),
        image_of=ImageOfPoint(records=Images(store()), clock=clock()),
        place=Place(configuration().region),
        addresses=EipAddresses(endpoint=endpoint(configuration().region), credentials=credentials),
        services=services,
        points=Points(store()),
        policies=Policies(store()),
        journal=Journal(store(), clock()),
        zones=ZoneLooks(Decisions(store())),
        decisions=Decisions(store()),
        clock=clock(),
    )


@cache
def scaling() -> Scaling:
    from shared.adapters.ess import EssScaling

    return EssScaling(endpoint=endpoint(configuration().region), credentials=credentials)


def _publish() -> Recipe:
    from shared.usecases.images.publish import Publish

    return Publish(clouds=clouds(), scaling=scaling(), store=store(), clock=clock())


def _launch() -> Recipe:
    from shared.adapters.services import TcpServices
    from shared.state.images import Images
    from shared.usecases.images.image_of_point import ImageOfPoint
    from shared.usecases.recovery.launch import LaunchRecipe
    from shared.usecases.recovery.launch_serving import Serving

    return LaunchRecipe(
        clouds=clouds(),
        planning=_launch_planning(),
        images=ImageOfPoint(records=Images(store()), clock=clock()),
        serving=Serving(services=TcpServices(), balancer=balancer(), scaling=scaling(), clock=clock()),
        clock=clock(),
    )


def _launch_planning() -> "LaunchPlanning":
    from shared.usecases.recovery.launch_planning import LaunchPlanning

    return LaunchPlanning(
        clouds=clouds(),
        home=Place(configuration().region),
        points=Points(store()),
        balancer=balancer(),
        scaling=scaling(),
    )


def _restore() -> Recipe:
    from shared.adapters.services import TcpServices
    from shared.usecases.recovery.restore import RestoreRecipe

    return RestoreRecipe(look=_restore_look(), services=TcpServices(), policies=Policies(store()))


def _restore_preview() -> Show:
    from shared.usecases.recovery.restore_preview import RestorePreview

    return RestorePreview(look=_restore_look(), policies=Policies(store()))


def _restore_look() -> "RestoreLook":
    from shared.usecases.recovery.restore_look import RestoreLook

    return RestoreLook(
        clouds=clouds(), home=Place(configuration().region), service=out_of_service(), store=store(), clock=clock()
    )


def out_of_service() -> "OutOfService":
    from shared.usecases.recovery.out_of_service import OutOfService

    return OutOfService(scaling=scaling(), balancer=balancer(), clock=clock())


def _plan() -> Recipe:
    from shared.adapters.services import TcpServices
    from shared.state.plan_answers import PlanAnswers
    from shared.usecases.recovery.run_plan import PlanRecipe

    journal, controls, preview = Journal(store(), clock()), Controls(store()), _plan_preview()
    return PlanRecipe(
        preview=preview,
        children=preview.children,
        inventory=here().inventory,
        balancer=balancer(),
        services=TcpServices(),
        journal=journal,
        answers=PlanAnswers(controls),
        controls=controls,
        decisions=Decisions(store()),
        policies=Policies(store()),
        functions=functions(),
        clock=clock(),
    )


def _plan_preview() -> "PlanPreview":
    from shared.usecases.recovery.plan_children import Children
    from shared.usecases.recovery.plan_preview import PlanPreview

    inventory = here().inventory
    others: dict[OperationKind, Callable[[], Show]] = {
        kind: build for kind, build in PREVIEWS.items() if kind is not OperationKind.PLAN
    }
    return PlanPreview(
        inventory=inventory,
        children=Children(points=Points(store()), inventory=inventory, region=configuration().region),
        policies=Policies(store()),
        previews=Lazily(others),
        clock=clock(),
        estimate=Measured(Decisions(store())),
    )
