"""EventBridge on the default bus: the CloudEvents form of system events, and rule patterns over it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from emulator.bus import CloudEvent
from emulator.wire import strict_json


class PatternError(ValueError):
    """The pattern is not one that EventBridge accepts, or uses a matcher that is not modelled here."""


MATCHERS = ("prefix", "suffix", "anything-but")


def cloud_event(event: CloudEvent, *, published: datetime) -> dict[str, Any]:
    """`event` as a rule sees it and as a target gets it.

    The type is CloudMonitor's name without the status suffix; `data` is its content (assumed the same field set for
    every type). Source: EventBridge documentation, cloud-product events of ECS.
    """
    return {
        "id": event.id,
        "source": f"acs.{event.product.lower()}",
        "specversion": "1.0",
        "type": f"{event.product.lower()}:" + ":".join(event.name.split(":")[:2]),
        "subject": f"acs:{event.product.lower()}:{event.region}:{event.account}:{event.resource}",
        "time": _iso(event.at),
        "datacontenttype": "application/json;charset=utf-8",
        "aliyunaccountid": event.account,
        "aliyunoriginalaccountid": event.account,
        "aliyunregionid": event.region,
        "aliyuneventbusname": "default",
        "aliyunpublishtime": _iso(published),
        "aliyunpublishaddr": "192.0.2.1",
        "data": dict(event.content),
    }


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Every named field must match; a field's list holds alternatives; nested objects reach into `data`."""

    tree: Mapping[str, Any]

    def matches(self, event: Mapping[str, Any]) -> bool:
        return _matches(self.tree, event)


def parse(text: str) -> Pattern:
    try:
        tree = strict_json.parse(text)
    except ValueError as error:
        raise PatternError(f"not JSON: {error} in {text!r}") from None
    if not isinstance(tree, dict) or not tree:
        raise PatternError(f"a pattern is a JSON object with at least one field, not {text!r}")
    _check(tree, "")
    return Pattern(tree)


def _check(tree: Mapping[str, Any], where: str) -> None:
    for key, wanted in tree.items():
        path = f"{where}.{key}" if where else key
        if isinstance(wanted, dict):
            _check(wanted, path)
            continue
        if not isinstance(wanted, list) or not wanted:
            raise PatternError(f"{path}: want a non-empty list of alternatives, not {wanted!r}")
        for alternative in wanted:
            if isinstance(alternative, dict):
                (matcher, argument) = next(iter(alternative.items()), ("", None))
                if len(alternative) != 1 or matcher not in MATCHERS:
                    raise PatternError(f"{path}: {alternative!r} is not modelled (only {', '.join(MATCHERS)})")
                if matcher != "anything-but" and not isinstance(argument, str):
                    raise PatternError(f"{path}: {matcher} wants a string, not {argument!r}")
            elif isinstance(alternative, list):
                raise PatternError(f"{path}: a list inside a list of alternatives")


def _matches(tree: Mapping[str, Any], value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    for key, wanted in tree.items():
        if isinstance(wanted, dict):
            if not _matches(wanted, value.get(key)):
                return False
        elif key not in value or not any(_alternative(alternative, value[key]) for alternative in wanted):
            return False
    return True


def _alternative(wanted: Any, value: Any) -> bool:
    if isinstance(value, list):  # assumption: one matching element suffices
        return any(_alternative(wanted, item) for item in value)
    if not isinstance(wanted, dict):
        return type(wanted) is type(value) and bool(wanted == value)
    matcher, argument = next(iter(wanted.items()))
    if matcher == "prefix":
        return isinstance(value, str) and value.startswith(argument)
    if matcher == "suffix":
        return isinstance(value, str) and value.endswith(argument)
    excluded = argument if isinstance(argument, list) else [argument]  # assumption: as in other event buses
    return value not in excluded
