"""Bytes in, a trigger out: the table that tells the shapes apart."""

from collections.abc import Callable
from typing import Final

from shared.domain.errors import BadInput
from shared.triggers import (
    cloud_event,
    cms_event,
    destination,
    http_request,
    mns,
    subscription,
    threshold,
    timer,
)
from shared.triggers.fields import MAX_BYTES, load_json
from shared.triggers.trigger import (
    CloudEvents,
    HttpRequest,
    Invocation,
    JsonObject,
    Nothing,
    SystemEventNotice,
    Trigger,
)

_MAX_ENVELOPES: Final = 3
_MAX_BATCH: Final = 10_000

_Reader = Callable[[JsonObject], Trigger]


def _notice(read: Callable[[JsonObject], SystemEventNotice]) -> _Reader:
    return lambda event: CloudEvents(notices=(read(event),))


SHAPES: Final[tuple[tuple[str, Callable[[JsonObject], bool], _Reader], ...]] = (
    # first match wins; the order is that of generality: what carries the most distinctive marks comes first
    ("CloudEvent", cloud_event.recognised, _notice(cloud_event.read)),
    ("timer", timer.recognised, timer.read),
    ("HTTP request", http_request.recognised, http_request.read),
    ("destination record", destination.recognised, destination.read),
    ("CMS subscription", subscription.recognised, _notice(subscription.read)),
    ("CMS event", cms_event.recognised, _notice(cms_event.read)),
    ("threshold alarm", threshold.recognised, threshold.read),
    ("bare event content", cloud_event.bare, _notice(cloud_event.read_bare)),
)


def parse(event: bytes) -> Trigger:
    """Whatever woke the function, as a value.

    Tolerant about fields, strict about size, nesting and identity. Raises BadInput that says what, where, and how to
    mend it. An HTTP request comes back unread (`HttpRequest`): the caller checks who sent it, then `parse_request`.
    """
    return _parse(event, envelopes=0)


def parse_request(request: HttpRequest) -> Trigger:
    """What an HTTP request carries: its body as JSON or form, or the query parameter `data` of a GET."""
    if request.body.strip():
        return _parse(request.body, envelopes=1)
    return _parse(request.query.get("data", "").encode("utf-8", "replace"), envelopes=1)


def _parse(event: bytes, *, envelopes: int) -> Trigger:
    if envelopes > _MAX_ENVELOPES:
        raise BadInput(f"event: more than {_MAX_ENVELOPES} envelopes inside each other. Send the event itself.")
    if len(event) > MAX_BYTES:
        raise BadInput(f"event: {len(event)} bytes; at most {MAX_BYTES} are read. Send the event itself, not a dump.")
    if not event.strip():
        return Nothing()
    value = _decode(event)
    if isinstance(value, list):
        return _batch(value)
    if not isinstance(value, dict):
        raise BadInput(f"event: a JSON object is needed, this is a {type(value).__name__}. See events/README.md.")
    if not value:
        return Nothing()
    if mns.recognised(value):
        return _parse(mns.content(value), envelopes=envelopes + 1)
    for _, recognised, read in SHAPES:
        if recognised(value):
            return read(value)
    return Invocation(payload=value)


def _decode(event: bytes) -> object:
    """JSON, or a form's fields."""
    if event.lstrip()[:1] in (b"{", b"["):
        return load_json(event, "event")
    fields = http_request.form_fields(event.decode("utf-8", "replace"), "event")
    if threshold.recognised(fields) or subscription.recognised(fields):
        return fields
    return load_json(event, "event")


def _batch(items: list[object]) -> CloudEvents:
    """EventBridge streaming: every item by itself, so that one bad item does not lose the others."""
    if len(items) > _MAX_BATCH:
        raise BadInput(f"event batch: {len(items)} items; EventBridge sends at most {_MAX_BATCH}.")
    notices: list[SystemEventNotice] = []
    rejected: list[str] = []
    for index, item in enumerate(items):
        try:
            notices.append(_item(item))
        except BadInput as error:
            rejected.append(f"item {index}: {error}")
    if rejected and not notices:
        raise BadInput(f"event batch: no item of {len(items)} could be read; the first: {rejected[0]}")
    return CloudEvents(notices=tuple(notices), rejected=tuple(rejected))


def _item(item: object) -> SystemEventNotice:
    if isinstance(item, dict):
        for _, recognised, read in SHAPES:
            if recognised(item):
                found = read(item)
                if isinstance(found, CloudEvents):
                    return found.notices[0]
                break
    raise BadInput("not a CloudEvent. Let the rule send the schema CloudEvents, one event per item.")
