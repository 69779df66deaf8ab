"""Function `backup`: creates snapshots and images; cannot delete."""

from functools import cache

from shared.domain.place import Place
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.usecases.adopt import Adopt
from shared.usecases.back_up import BackUp
from shared.usecases.carry_on import CarryOn
from shared.usecases.copy_image import CopyImage
from shared.usecases.copy_point import CopyPoint
from shared.usecases.copy_sweep import CopySweep
from shared.usecases.image import TakeImage
from shared.wiring.foundation import clock, clouds, configuration, functions, store


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
        sweep=CopySweep(clouds=clouds(), store=store(), policies=Policies(store()), clock=clock()).run,
    )
