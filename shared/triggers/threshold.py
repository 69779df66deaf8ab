"""CloudMonitor's threshold alarm: a flat form by webhook."""

import re
from typing import Final

from shared.domain.errors import BadInput
from shared.domain.ids import InstanceId
from shared.triggers.fields import as_object, identifier, moment, text
from shared.triggers.trigger import AlarmState, JsonObject, ThresholdAlarm

_PAIR: Final = re.compile(r"([A-Za-z_][\w.-]*)\s*[=:]\s*([^,{}()\s\"']+)")


def recognised(event: JsonObject) -> bool:
    return "alertState" in event or ("metricName" in event and "ruleId" in event)


def read(event: JsonObject) -> ThresholdAlarm:
    """`dimensions` is not JSON but `{userId=1, instanceId=i-1}`, in one sample with a stray bracket."""
    said = text(event, "alertState").upper() or AlarmState.ALERT.value.upper()
    try:
        state = AlarmState(said.lower())
    except ValueError:
        raise BadInput(
            f"threshold alarm: alertState is {said[:40]!r}; it is one of OK, ALERT, INSUFFICIENT_DATA "
            "(see events/threshold-alert.json)."
        ) from None
    dimensions = dimensions_of(event.get("dimensions"))
    instance = identifier(dimensions, "instanceId") or identifier(event, "instanceId")
    stamp = moment(event.get("timestamp"))
    when = stamp.isoformat() if stamp else text(event, "timestamp")
    rule = text(event, "ruleId") or text(event, "alertName")
    flat = ",".join(f"{key}={dimensions[key]}" for key in sorted(dimensions))
    return ThresholdAlarm(
        rule=rule,
        name=text(event, "alertName"),
        metric=text(event, "metricName"),
        namespace=text(event, "namespace", "metricProject"),
        state=state,
        dimensions=dimensions,
        instance=InstanceId(instance) if instance else None,
        value=text(event, "curValue"),
        level=text(event, "triggerLevel", "preTriggerLevel").lower(),
        at=stamp,
        logical_key="|".join(("threshold", rule or "-", flat or "-", state.value, when or "-")),
    )


def dimensions_of(value: object) -> dict[str, str]:
    """Names and values of the dimensions, from braces, from JSON, or from an object; empty when there are none."""
    parsed = as_object(value)
    if parsed is not None:
        return {key: text(parsed, key) for key in parsed if text(parsed, key)}
    return {key: found for key, found in _PAIR.findall(value) if found != "null"} if isinstance(value, str) else {}
