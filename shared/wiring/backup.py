"""Function `backup`: creates snapshots and images; cannot delete."""

from datetime import timedelta
from functools import cache
from typing import Final

from shared.domain.place import Place
from shared.ports.compute import Clouds
from shared.ports.scaling import Scaling
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.usecases.backup.adopt import Adopt
from shared.usecases.backup.back_up import BackUp
from shared.usecases.carry_on import CarryOn
from shared.usecases.copies.copy_image import CopyImage
from shared.usecases.copies.copy_point import CopyPoint
from shared.usecases.copies.copy_sweep import CopySweep
from shared.usecases.images.image import TakeImage
from shared.usecases.images.image_readiness import ImageReadiness
from shared.usecases.images.image_sweep import ImageSweep
from shared.usecases.in_turn import in_turn
from shared.wiring import foundation
from shared.wiring.foundation import clock, configuration, credentials, endpoint, functions, store

LISTS_FOR: Final = timedelta(minutes=8)
"""Of the function's ten: a listing of 100,000 instances is 1,000 calls, and by the default limits we make 210 a minute.
One that does not end within an invocation begins anew in the next."""


def clouds() -> Clouds:
    return foundation.clouds(wait_until=LISTS_FOR)


@cache
def backup() -> CarryOn:
    return CarryOn(
        journal=Journal(store(), clock()),
        recipes=(
            BackUp(
                clouds=clouds(),
                store=store(),
                policies=Policies(store()),
                functions=functions(),
                clock=clock(),
                began=lambda: clock().began,
            ),
            TakeImage(
                clouds=clouds(),
                place=Place(configuration().region),
                store=store(),
                functions=functions(),
                function="backup",
                clock=clock(),
            ),
            CopyPoint(
                clouds=clouds(),
                store=store(),
                policies=Policies(store()),
                functions=functions(),
                function="backup",
                clock=clock(),
            ),
            Adopt(clouds=clouds(), store=store(), policies=Policies(store()), clock=clock()),
            CopyImage(clouds=clouds(), store=store(), functions=functions(), function="backup", clock=clock()),
        ),
        decisions=Decisions(store()),
        functions=functions(),
        function="backup",
        clock=clock(),
        sweep=in_turn(
            CopySweep(clouds=clouds(), store=store(), policies=Policies(store()), clock=clock()).run,
            ImageSweep(clouds=clouds(), store=store(), functions=functions(), function="backup", clock=clock()).run,
            readiness().run,
        ),
    )


@cache
def readiness() -> ImageReadiness:
    return ImageReadiness(clouds=clouds(), scaling=scaling, store=store(), functions=functions(), clock=clock())


@cache
def scaling() -> Scaling:
    """Asked only where a rule publishes images."""
    from shared.adapters.ess import EssScaling

    return EssScaling(endpoint=endpoint(configuration().region), credentials=credentials)
