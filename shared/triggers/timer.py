"""Function Compute's timer trigger."""

from shared.domain.errors import BadInput
from shared.triggers.fields import moment, text
from shared.triggers.trigger import JsonObject, TimerTick


def recognised(event: JsonObject) -> bool:
    return "triggerName" in event and "triggerTime" in event


def read(event: JsonObject) -> TimerTick:
    """Raises BadInput for a tick without a readable time: its time is its identity, so it must not be guessed."""
    at = moment(event.get("triggerTime"))
    if at is None:
        raise BadInput(
            f"timer event: triggerTime is {str(event.get('triggerTime'))[:60]!r}; "
            "write it in UTC as 2024-04-05T19:34:00Z (see events/timer-schedule.json)."
        )
    payload = event.get("payload")
    return TimerTick(
        trigger_time=at, name=text(event, "triggerName"), payload=payload if isinstance(payload, str) else ""
    )
