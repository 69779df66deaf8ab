"""Timer -> plan, guard, delete, certificate. An invocation may ask for a dry run or for a comparison with the cloud."""

from shared.domain.errors import BadInput
from shared.triggers.trigger import Invocation, Nothing, TimerTick
from shared.usecases.prune import Pruned
from shared.wiring.guard import Call, FcContext, guarded, prepared
from shared.wiring.prune import prune


def initialize(_context: FcContext) -> None:
    prepared(prune)


def handler(event: bytes, context: FcContext) -> str:
    return guarded(run, event, context)


def run(call: Call) -> Pruned:
    match call.trigger:
        case TimerTick(trigger_time=at):
            # Once a day is enough to notice what somebody changed by hand.
            return prune().run(run=call.run, drift=at.hour == 0 and at.minute >= 30)
        case Nothing():
            return prune().run(run=call.run)
        case Invocation(payload={"prune": "apply"} as asked):
            return prune().run(run=call.run, drift=asked.get("drift") is True)
        case Invocation(payload={"prune": "dry"} as asked):
            return prune().run(run=call.run, dry=True, drift=asked.get("drift") is True)
        case _:
            # Deleting is not done on a guess.
            raise BadInput('prune: send a timer event, {"prune": "dry"} or {"prune": "apply"}')
