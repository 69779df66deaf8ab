"""Function `command`: records intents; touches no resource of the cloud."""

from functools import cache

from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.families import Families
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.subjects import Subjects
from shared.usecases.command import Command
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
    )
