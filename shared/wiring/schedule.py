"""Function `schedule`: state store and our own functions, no ECS."""

from functools import cache

from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.state.slots import Slots
from shared.usecases.backup.schedule_backups import ScheduleBackups
from shared.wiring.foundation import clock, functions, store


@cache
def schedule() -> ScheduleBackups:
    return ScheduleBackups(
        policies=Policies(store()),
        controls=Controls(store()),
        journal=Journal(store(), clock()),
        slots=Slots(store()),
        decisions=Decisions(store()),
        functions=functions(),
        clock=clock(),
    )
