"""Timer, events, own invocations -> unfinished backup and image operations take their next steps."""

from collections.abc import Mapping

from shared.domain.ids import OperationId
from shared.triggers.trigger import Invocation
from shared.wiring.backup import backup
from shared.wiring.guard import Call, FcContext, guarded, prepared


def initialize(_context: FcContext) -> None:
    prepared(backup)


def handler(event: bytes, context: FcContext) -> str:
    return guarded(carry_on, event, context)


def carry_on(call: Call) -> Mapping[str, object]:
    match call.trigger:
        case Invocation(payload={"operation": str(named)}):
            return backup().one(OperationId(named), owner=call.owner).as_result()
        case _:
            return backup().forgotten(owner=call.owner).as_result()
