"""EventBridge, MNS, or CloudMonitor's webhook -> "look now", or a recorded decision not to."""

from shared.domain.errors import BadInput, CredentialsRejected, DrError
from shared.triggers.trigger import HttpRequest
from shared.usecases.alarm import Answer, WrongSecret
from shared.wiring.alarm import alarm
from shared.wiring.guard import Call, FcContext, guarded, prepared, refusal, to_json


def initialize(_context: FcContext) -> None:
    prepared(alarm)


def handler(event: bytes, context: FcContext) -> str:
    return guarded(answer, event, context)


def answer(call: Call) -> Answer | dict[str, object]:
    """A webhook gets a status that says whether to send it again: CloudMonitor repeats what is not 200 three times."""
    if not isinstance(call.trigger, HttpRequest):
        return alarm().run(call.trigger, run=call.run)
    try:
        return _response(200, to_json(alarm().run(call.trigger, run=call.run)))
    except WrongSecret as error:
        refusal(error, call.run)
        return _response(403, "{}")  # a stranger learns nothing; the log says why
    except BadInput as error:
        return _response(400, to_json(refusal(error, call.run)))
    except CredentialsRejected:
        raise
    except DrError as error:
        return _response(503, to_json(refusal(error, call.run)))


def _response(code: int, body: str) -> dict[str, object]:
    headers = {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"}
    return {"statusCode": code, "headers": headers, "isBase64Encoded": False, "body": body}
