"""Function `prune`: deletes snapshots and images; cannot create anything."""

from functools import cache

from shared.ports.scaling import Scaling
from shared.state.absences import Absences
from shared.state.certificates import Certificates
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.images import Images
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.usecases.images.retire_images import RetireImages
from shared.usecases.prune.prune import Prune
from shared.wiring.foundation import clock, clouds, configuration, credentials, endpoint, store


@cache
def prune() -> Prune:
    return Prune(
        clouds=clouds(may_delete=True),
        policies=Policies(store()),
        controls=Controls(store()),
        points=Points(store()),
        certificates=Certificates(store()),
        decisions=Decisions(store()),
        journal=Journal(store(), clock()),
        images=Images(store()),
        absences=Absences(store()),
        clock=clock(),
        retire=RetireImages(clouds=clouds(may_delete=True), scaling=scaling, store=store(), clock=clock()),
    )


@cache
def scaling() -> Scaling:
    """Asked only where a rule publishes images."""
    from shared.adapters.ess import EssScaling

    return EssScaling(endpoint=endpoint(configuration().region), credentials=credentials)
