"""Function Compute's HTTP trigger: a request as JSON."""

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import parse_qs

from shared.domain.errors import BadInput
from shared.triggers.fields import MAX_BYTES, nested, text
from shared.triggers.trigger import HttpRequest, JsonObject

_MAX_FIELDS = 200


def recognised(event: JsonObject) -> bool:
    return bool(nested(nested(event, "requestContext"), "http"))


def read(event: JsonObject) -> HttpRequest:
    """Raises BadInput for a body that claims base64 and is not."""
    context = nested(event, "requestContext")
    http = nested(context, "http")
    body = event.get("body")
    written = body if isinstance(body, str) else ""
    if event.get("isBase64Encoded") in (True, "true"):
        try:
            content = base64.b64decode(written, validate=True)
        except (binascii.Error, ValueError):
            raise BadInput(
                "HTTP request: isBase64Encoded is true but body is not base64. Send one or the other."
            ) from None
    else:
        content = written.encode("utf-8", "replace")
    return HttpRequest(
        method=(text(http, "method") or "GET").upper(),
        path=text(event, "rawPath") or text(http, "path") or "/",
        query=_single(nested(event, "queryParameters")),
        headers={name.lower(): value for name, value in _single(nested(event, "headers")).items()},
        body=content,
        source_address=text(http, "sourceIp"),
        request_id=text(context, "requestId"),
    )


def form_fields(body: str, where: str) -> dict[str, str]:
    """A form's fields; '+' is a space, the first of several wins. Empty when this is no form."""
    if len(body) > MAX_BYTES or "=" not in body:
        return {}
    try:
        fields = parse_qs(body, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise BadInput(f"{where}: a form of more than {_MAX_FIELDS} fields. CloudMonitor sends about 20.") from None
    return {name: values[0] for name, values in fields.items()}


def _single(values: Mapping[str, object]) -> dict[str, str]:
    """A parameter that came as a list counts by its first value. Values stay as sent: a secret must not be trimmed."""
    firsts = {name: value[0] if isinstance(value, list) and value else value for name, value in values.items()}
    return {name: value for name, value in firsts.items() if isinstance(value, str)}
