"""What callers may set of a function, checked before anything is changed.

Sources: Function Compute API 2023-03-30, PutAsyncInvokeConfig, PutConcurrencyConfig, CreateTrigger; limits of the fc3
schema. Everything raises Refused InvalidArgument and says what would do.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from emulator.fc.cron import CronError
from emulator.fc.project import EventRule, Http, ProjectError, Timer, Trigger, trigger_of
from emulator.fc.queue import Refused
from emulator.wire import strict_json

LONGEST_AGE_SECONDS = 604_800
MOST_RETRIES = 8
MOST_TRIGGERS = 50
UNITS_OF_ACCOUNT = 100


def invalid(message: str) -> Refused:
    return Refused(400, "InvalidArgument", message)


def body_of(raw: bytes, known: tuple[str, ...]) -> dict[str, Any]:
    """A JSON object with nothing in it but `known`; absent values are None."""
    try:
        read = strict_json.parse(raw or b"{}")
    except ValueError as error:
        raise invalid(f"the body is not JSON: {error}") from None
    if not isinstance(read, dict):
        raise invalid("the body must be a JSON object")
    for name in read.keys() - set(known):
        raise invalid(f"the emulator does not model the field {name!r} here; it reads {', '.join(known) or 'none'}")
    return dict.fromkeys(known) | read


def asynchronous(body: Mapping[str, Any]) -> dict[str, Any]:
    """asyncTask, maxAsyncRetryAttempts 0-8, maxAsyncEventAgeInSeconds 1-604800, destinationConfig."""
    task, retries, age = (body[name] for name in ("asyncTask", "maxAsyncRetryAttempts", "maxAsyncEventAgeInSeconds"))
    if task is not None and not isinstance(task, bool):
        raise invalid("asyncTask must be true or false")
    if retries is not None and not _whole(retries, 0, MOST_RETRIES):
        raise invalid(f"maxAsyncRetryAttempts must be 0 to {MOST_RETRIES}")
    if age is not None and not _whole(age, 1, LONGEST_AGE_SECONDS):
        raise invalid(f"maxAsyncEventAgeInSeconds must be 1 to {LONGEST_AGE_SECONDS}")
    destinations = body["destinationConfig"]
    if destinations is not None:
        if not isinstance(destinations, dict) or destinations.keys() - {"onSuccess", "onFailure"}:
            raise invalid("destinationConfig must be an object with onSuccess and onFailure")
        for one in destinations.values():
            if one is not None and (not isinstance(one, dict) or not isinstance(one.get("destination"), str | None)):
                raise invalid("a destination must be an object with the text destination")
    return {name: value for name, value in body.items() if value is not None}


def concurrency(body: Mapping[str, Any], *, others: int) -> dict[str, Any]:
    """reservedConcurrency, of what the other functions leave of the account's."""
    reserved = body["reservedConcurrency"]
    if not _whole(reserved, 0, UNITS_OF_ACCOUNT - others):
        raise invalid(f"reservedConcurrency must be 0 to {UNITS_OF_ACCOUNT - others}")
    return {"reservedConcurrency": reserved}


def restriction(body: Mapping[str, Any]) -> tuple[str, bool]:
    """Why, and whether what is running ends."""
    reason, abort = body["reason"], body["abortOngoingRequest"]
    if not isinstance(reason, str | None) or not isinstance(abort, bool | None):
        raise invalid("reason must be text, abortOngoingRequest true or false")
    return reason or "", bool(abort)


def trigger(name: Any, kind: Any, config: Mapping[str, Any], *, now: datetime) -> Trigger:
    if not isinstance(name, str) or not 1 <= len(name) <= 128 or not name.replace("-", "").replace("_", "").isalnum():
        raise invalid("triggerName must be 1 to 128 letters, digits, hyphens or underscores")
    if not isinstance(kind, str):
        raise invalid("triggerType must be a text")
    try:
        made = trigger_of(f"trigger {name!r}", {"triggerName": name, "triggerType": kind, "triggerConfig": config})
        if isinstance(made, Timer):
            made.cron.next_after(now, since=now)  # a moment that never comes is refused now, not when it is due
    except ProjectError as error:
        raise invalid(str(error)) from None
    except CronError as error:
        raise invalid(str(error)) from None
    except (TypeError, AttributeError, ValueError, OverflowError):
        raise invalid(f"triggerConfig does not describe a trigger of type {kind!r}") from None
    match made:
        case Timer(payload=str(), enabled=bool()) | EventRule(enabled=bool()):
            return made
        case Http() if isinstance(config["methods"], list) and all(isinstance(one, str) for one in made.methods):
            return made
    raise invalid(f"triggerConfig does not describe a trigger of type {kind!r}")


def config_of(text: Any) -> dict[str, Any]:
    """`triggerConfig`, which travels as a JSON string."""
    try:
        read = strict_json.parse(text) if isinstance(text, str) else None
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise invalid("triggerConfig must be a JSON object in a string")
    return read


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
