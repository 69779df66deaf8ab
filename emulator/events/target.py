"""Where an event is to go: a function, or a webhook; in which shape, and which events at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from emulator.bus import CloudEvent

CLOUD_EVENT: Final = "cloud-event"  # EventBridge
DATA: Final = "data"  # EventBridge, schema RawData
RAW: Final = "raw"  # CloudMonitor's event rule
CMS_JSON: Final = "cms-json"  # CloudMonitor's event subscription
CMS_FORM: Final = "cms-form"
THRESHOLD: Final = "threshold"  # only alarms have this shape, and no other
WEBHOOK_SHAPES: Final = (CMS_JSON, CMS_FORM, RAW, THRESHOLD)

FILTERS: Final = ("product", "name", "level", "resource", "account", "region")


class TargetError(ValueError):
    """The target makes no sense; the message is one sentence for whoever wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTarget:
    function: str
    trigger: str  # of the function, or the rule that sends
    shape: str = CLOUD_EVENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """`filter`: shell patterns by FILTERS; a list holds alternatives."""

    url: str
    shape: str = CMS_JSON
    method: str = "POST"
    filter: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def takes(self, event: CloudEvent) -> bool:
        return self.shape != THRESHOLD and all(
            any(fnmatchcase(str(getattr(event, name)), pattern) for pattern in patterns)
            for name, patterns in self.filter.items()
        )


Target = FunctionTarget | Webhook


def webhook(body: Mapping[str, Any]) -> Webhook:
    """From JSON: `{"url", "shape", "method", "filter"}`. Raises TargetError."""
    url, shape, method = body.get("url"), body.get("shape", CMS_JSON), body.get("method", "POST")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise TargetError(f"url: an http(s) address is needed, got {url!r}")
    if shape not in WEBHOOK_SHAPES:
        raise TargetError(f"shape: {shape!r} is not one of {', '.join(WEBHOOK_SHAPES)}")
    if method not in ("POST", "GET"):
        raise TargetError(f"method: {method!r} is neither POST nor GET")
    given = body.get("filter") or {}
    if not isinstance(given, Mapping) or not given.keys() <= set(FILTERS):
        raise TargetError(f"filter: an object with keys among {', '.join(FILTERS)} is needed, got {given!r}")
    patterns = {
        name: tuple(str(one) for one in (value if isinstance(value, list) else [value]))
        for name, value in given.items()
    }
    return Webhook(url=url, shape=shape, method=method, filter=patterns)
