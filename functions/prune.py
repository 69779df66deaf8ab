"""Timer -> plan, guard, delete, certificate. An invocation may ask for a dry run or for a comparison with the cloud."""

from collections.abc import Mapping

from shared.domain.errors import BadInput
from shared.triggers.trigger import Invocation, Nothing, TimerTick
from shared.usecases.prune.prune import Pruned
from shared.wiring.guard import Call, FcContext, guarded, prepared
from shared.wiring.prune import prune


def initialize(_context: FcContext) -> None:
    prepared(prune)


def handler(event: bytes, context: FcContext) -> str:
    return guarded(run, event, context)


def run(call: Call) -> Pruned:
    match call.trigger:
        case TimerTick():
            # Compares when no run of this day did, however often the timer ticks.
            return prune().run(run=call.run, drift=None)
        case Nothing():
            return prune().run(run=call.run)
        case Invocation(payload={"prune": "apply" | "dry" as how} as asked):
            return prune().run(
                run=call.run,
                dry=how == "dry",
                drift=asked.get("drift") is True,
                protection=_text(asked, "protection"),
                allow=_text(asked, "allow"),
            )
        case _:
            # Deleting is not done on a guess.
            raise BadInput('prune: send a timer event, {"prune": "dry"} or {"prune": "apply"}')


def _text(asked: Mapping[str, object], name: str) -> str:
    value = asked.get(name, "")
    if not isinstance(value, str):
        raise BadInput(f"prune: {name} is {value!r}; it must be a text")
    return value
