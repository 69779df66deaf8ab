"""What documentation and samples show real notifications to do against their own rules. Off unless asked for.

Set with `cloud.events_oddities = {"stale_status", ...}` or `POST /_emulator/events/oddities`.
"""

from collections.abc import Iterable
from typing import Final

STALE_STATUS: Final = "stale_status"
CONTENT_AS_TEXT: Final = "content_as_text"
DOUBLED: Final = "doubled"
NO_IDENTITY: Final = "no_identity"
PRC_TIME: Final = "prc_time"
STRAY_BRACKET: Final = "stray_bracket"
SECONDS: Final = "seconds"
NULL_TEXTS: Final = "null_texts"
NUMBERS_AS_TEXT: Final = "numbers_as_text"

ODDITIES: Final = {
    STALE_STATUS: "a later notification of an event keeps the status of the first one in its name",
    CONTENT_AS_TEXT: "`content` of a raw event is the text of a JSON object, as in old webhook pushes",
    DOUBLED: "everything is delivered twice, with the same id",
    NO_IDENTITY: "raw events lack id, ver, userId and eventTime, as test events do",
    PRC_TIME: "a CloudEvent's aliyunpublishtime ends in PRC",
    STRAY_BRACKET: "the dimensions of a threshold callback hold a stray bracket",
    SECONDS: "a threshold callback's timestamp is in seconds, as documented, not in milliseconds",
    NULL_TEXTS: "missing values are the text null",
    NUMBERS_AS_TEXT: "numbers of a subscription's JSON are texts",
}


class OddityError(ValueError):
    """There is no such oddity; the message lists those that there are."""


def known(names: Iterable[str]) -> frozenset[str]:
    """Raises OddityError."""
    found = frozenset(names)
    if strangers := sorted(found - ODDITIES.keys()):
        raise OddityError(f"no such oddity: {', '.join(strangers)}; there are {', '.join(ODDITIES)}")
    return found
