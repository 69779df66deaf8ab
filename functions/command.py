"""What an operator asks for, by `s invoke` or the CLI."""

from shared.domain.errors import BadInput
from shared.triggers.trigger import Invocation
from shared.wiring.command import command
from shared.wiring.guard import Call, FcContext, guarded, prepared


def initialize(_context: FcContext) -> None:
    prepared(command)


def handler(event: bytes, context: FcContext) -> str:
    return guarded(run, event, context)


def run(call: Call) -> dict[str, object]:
    if not isinstance(call.trigger, Invocation):
        raise BadInput('command: send a JSON object such as {"command": "back_up", "protection": "web"}')
    return command().run(call.trigger.payload, run=call.run)
