"""Timer, events, own invocations -> unfinished backup and image operations take their next steps."""

from shared.domain.ids import OperationId
from shared.triggers.trigger import Invocation
from shared.usecases.carry_on import CarriedOn
from shared.wiring.backup import backup
from shared.wiring.guard import Call, FcContext, guarded, prepared


def initialize(_context: FcContext) -> None:
    prepared(backup)


def handler(event: bytes, context: FcContext) -> str:
    return guarded(carry_on, event, context)


def carry_on(call: Call) -> CarriedOn:
    match call.trigger:
        case Invocation(payload={"operation": str(named)}):
            return backup().one(OperationId(named), owner=call.owner)
        case _:
            return backup().forgotten(owner=call.owner)
