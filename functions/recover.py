"""Timer, own invocations -> rebuild operations take their next steps; the timer also looks over the fleet."""

from shared.domain.ids import OperationId
from shared.triggers.trigger import Invocation
from shared.usecases.recover import Recovered
from shared.wiring.guard import Call, FcContext, guarded, prepared
from shared.wiring.recover import recover


def initialize(_context: FcContext) -> None:
    prepared(recover)


def handler(event: bytes, context: FcContext) -> str:
    return guarded(go_on, event, context)


def go_on(call: Call) -> Recovered:
    match call.trigger:
        case Invocation(payload={"operation": str(named), **rest}):
            now = rest.get("look") == "now"
            return recover().one(OperationId(named), run=call.run, owner=call.owner, now=now)
        case _:
            return recover().tick(run=call.run, owner=call.owner)
