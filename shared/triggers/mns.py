"""A Message Service notification: the real event is inside, as a text, perhaps in base64."""

import base64
import binascii
import json

from shared.domain.errors import BadInput
from shared.triggers.trigger import JsonObject


def recognised(event: JsonObject) -> bool:
    return "TopicName" in event and "Message" in event


def content(event: JsonObject) -> bytes:
    """The event inside. Raises BadInput when there is none."""
    message = event.get("Message")
    if isinstance(message, dict):
        return json.dumps(message).encode()
    if not isinstance(message, str) or not message.strip():
        raise BadInput("MNS notification: Message is empty; subscribe with the event's text (see events/mns-*.json).")
    if message.lstrip()[0] in "{[":
        return message.encode("utf-8", "replace")
    try:
        return base64.b64decode(message, validate=True)
    except (binascii.Error, ValueError):
        return message.encode("utf-8", "replace")
