"""Timer, events, own invocations -> unfinished backup and image operations take their next steps."""

from collections.abc import Mapping

from shared.domain.ids import OperationId
from shared.triggers.trigger import Invocation
from shared.usecases.carry_on import CarriedOn, CarryOn
from shared.wiring.backup import backup
from shared.wiring.guard import Call, FcContext, guarded, prepared


def initialize(_context: FcContext) -> None:
    prepared(backup)


def handler(event: bytes, context: FcContext) -> str:
    return guarded(carry_on, event, context)


def carry_on(call: Call) -> Mapping[str, object]:
    return run(backup(), call).as_result()


def run(work: CarryOn, call: Call) -> CarriedOn:
    """Which work a call asks for."""
    match call.trigger:
        case Invocation(payload={"operation": str(named)}):
            return work.one(OperationId(named), owner=call.owner)
        case Invocation(payload={"look": "now"}):
            return work.look_now(owner=call.owner)
        case _:
            return work.forgotten(owner=call.owner)
