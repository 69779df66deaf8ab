"""What Function Compute sends to the destination of an asynchronous invocation."""

import json

from shared.triggers.fields import as_object, moment, nested, text, whole
from shared.triggers.trigger import DestinationRecord, JsonObject


def recognised(event: JsonObject) -> bool:
    return "requestContext" in event and "responseContext" in event


def read(event: JsonObject) -> DestinationRecord:
    """Never fails: this is the last place where a lost piece of work is seen. Payloads may be texts or objects."""
    request, response = nested(event, "requestContext"), nested(event, "responseContext")
    answer = nested(event, "responsePayload")
    return DestinationRecord(
        function=text(request, "functionArn").rpartition("/")[2],
        condition=text(request, "condition") or text(response, "functionError"),
        attempts=whole(request, "approximateInvokeCount") or 0,
        payload=_as_text(event.get("requestPayload")),
        error_type=text(answer, "errorType") or text(response, "functionError"),
        error_message=text(answer, "errorMessage") or ("" if as_object(answer) else text(event, "responsePayload")),
        request_id=text(request, "requestId"),
        status_code=whole(response, "statusCode"),
        at=moment(event.get("timestamp")),
    )


def _as_text(payload: object) -> str:
    if payload is None:
        return ""
    return payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False, sort_keys=True)
