"""HTTP -> a page for people or JSON for machines, read-only. Who may ask is decided by the trigger's authType."""

import json

from shared.domain.errors import CredentialsRejected, DrError
from shared.observability.page import render
from shared.state import codec
from shared.triggers.trigger import HttpRequest
from shared.wiring.guard import Call, FcContext, guarded, prepared, refusal, to_json
from shared.wiring.status import status

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def initialize(_context: FcContext) -> None:
    prepared(status)


def handler(event: bytes, context: FcContext) -> str:
    return guarded(answer, event, context)


def answer(call: Call) -> object:
    """By HTTP: JSON below a path that ends in .json or for a client that accepts nothing else, else the page; `?after=`
    is the next part of a large fleet. Invoked directly: the view itself."""
    request = call.trigger
    if not isinstance(request, HttpRequest):
        return json.loads(codec.dump(status().view()))
    if request.method not in ("GET", "HEAD"):
        return _response(405, "text/plain", "read-only: GET or HEAD")
    try:
        view = status().view(after=request.query.get("after", ""))
    except CredentialsRejected:
        raise
    except DrError as error:
        # An HTTP caller needs an answer, and nobody repeats a page for it.
        return _response(503, "application/json", to_json(refusal(error, call.run)))
    if request.path.endswith(".json") or request.headers.get("accept", "").startswith("application/json"):
        return _response(200, "application/json", codec.dump(view))
    return _response(200, "text/html", render(view))


def _response(code: int, kind: str, body: str) -> dict[str, object]:
    headers = {**_HEADERS, "Content-Type": f"{kind}; charset=utf-8"}
    return {"statusCode": code, "headers": headers, "isBase64Encoded": False, "body": body}
