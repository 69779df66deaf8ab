"""Function `deadletter`: writes down what was given up on; the only SDK it loads is Tablestore's."""

from functools import cache

from shared.state.decisions import Decisions
from shared.usecases.give_up import GiveUp
from shared.wiring.foundation import clock, configuration, store


@cache
def give_up() -> GiveUp:
    return GiveUp(decisions=Decisions(store()), clock=clock(), prefix=configuration().function_prefix)
