"""Timer, own invocations -> recovery operations take their next steps; the timer also looks over the fleet.

Asked for a preview, it says what an operation would do, and does nothing.
"""

from shared.domain.ids import OperationId
from shared.domain.preview import Preview
from shared.triggers.trigger import Invocation
from shared.usecases.recovery.recover import Recovered
from shared.wiring.guard import Call, FcContext, guarded, prepared
from shared.wiring.recover import previews, recover


def initialize(_context: FcContext) -> None:
    prepared(recover)


def handler(event: bytes, context: FcContext) -> str:
    return guarded(go_on, event, context)


def go_on(call: Call) -> Recovered | Preview:
    match call.trigger:
        case Invocation(payload={"preview": {"kind": str(kind), "request": str(request)}}):
            return previews().of(kind, request)
        case Invocation(payload={"operation": str(named), **rest}):
            now = rest.get("look") == "now"
            return recover().one(OperationId(named), run=call.run, owner=call.owner, now=now)
        case _:
            return recover().tick(run=call.run, owner=call.owner)
