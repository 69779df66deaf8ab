"""One event in every form in which it can reach somebody. Pure: values in, text out.

Sources: CloudMonitor documentation on system events, event subscription and alarm callbacks; public samples for what
real callbacks add (see each function). Oddities are described in `oddities`.
"""

import json
from collections.abc import Mapping, Set
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import urlencode

from emulator.bus import CloudEvent
from emulator.events import oddities
from emulator.events.alarm import Alarm

CHINA: Final = timezone(timedelta(hours=8))
FINAL: Final = ("Executed", "Avoided", "Canceled", "Failed")
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


def compact(at: datetime) -> str:
    """`20240405T193438.922+0800`: raw events tell time so."""
    local = at.astimezone(CHINA)
    return local.strftime("%Y%m%dT%H%M%S.") + f"{local.microsecond // 1000:03d}+0800"


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def arn(event: CloudEvent) -> str:
    return f"acs:{event.product.lower()}:{event.region}:{event.account}:{event.resource}"


def kind(event: CloudEvent) -> str:
    """CloudMonitor's `eventType` of a rule or an alert."""
    if "SystemMaintenance" in event.name:
        return "Maintenance"
    return "Exception" if event.level == "CRITICAL" else "StatusNotification"


def raw(event: CloudEvent, *, name: str, odd: Set[str] = frozenset()) -> dict[str, Any]:
    """CloudMonitor's own form: what an event rule sends to its targets."""
    content: Any = dict(event.content)
    told: dict[str, Any] = {
        "product": event.product,
        "resourceId": arn(event) if event.resource else "",
        "level": event.level,
        "name": name,
        "regionId": event.region,
        "content": json.dumps(content) if oddities.CONTENT_AS_TEXT in odd else content,
    }
    if event.dry_run:
        return {**told, "instanceName": "instanceName", "groupId": "0", "status": event.status}
    if oddities.NO_IDENTITY in odd:
        return told
    return {
        "ver": "1.0",
        "id": event.id,
        **told,
        "userId": event.account,
        "eventTime": compact(event.at),
    }


def subscription(
    event: CloudEvent, *, name: str, batch: str, conditions: list[dict[str, str]], odd: Set[str] = frozenset()
) -> dict[str, Any]:
    """The wrapper of an event subscription. RESOLVED comes with an event's final status (assumption)."""
    plain = raw(event, name=name, odd=odd - {oddities.CONTENT_AS_TEXT})
    stamp: Any = milliseconds(event.at)
    if oddities.NUMBERS_AS_TEXT in odd:
        stamp = str(stamp)
    resolved = event.content.get("eventStatus") in FINAL
    blank = "null" if oddities.NULL_TEXTS in odd else ""
    return {
        "userInfo": {"aliyunId": event.account},
        "batchId": batch,
        "strategyName": "emulator",
        "userId": event.account,
        "severity": event.level,
        "time": stamp,
        "subscription": {"subscriptionUuid": "emulator", "relation": "and", "conditions": conditions},
        "alert": {
            "alertStatus": "RESOLVED" if resolved else "TRIGGERED",
            "source": "SYS_EVENT",
            "product": event.product,
            "severity": event.level,
            "eventName": name,
            "eventType": kind(event),
            "arn": arn(event),
            "dedupId": event.id,
            "traceId": event.id,
            "timestamp": stamp,
            "groupId": "0",
            "userId": event.account,
            "eventContentMap": dict(event.content),
            "eventRawContent": json.dumps(plain),
            "meta": {
                "sysEventMeta": {
                    "id": event.id,
                    "product": event.product,
                    "regionId": event.region,
                    "name": name,
                    "resourceId": arn(event),
                    "level": event.level,
                    "status": event.status,
                    "eventTime": compact(event.at),
                    "instanceName": blank,
                    "resource": blank,
                    "groupId": "0",
                }
            },
        },
    }


def as_form(wrapper: Mapping[str, Any]) -> str:
    """The wrapper in form mode: inner objects are JSON texts, numbers are texts."""
    return urlencode(
        {key: json.dumps(value) if isinstance(value, dict | list) else str(value) for key, value in wrapper.items()}
    )


def threshold(alarm: Alarm, *, odd: Set[str] = frozenset()) -> str:
    """A threshold callback: a flat form, whose dimensions are not JSON. `metricProject` and `namespace` hold the same;
    what samples show beyond the documentation is here as well."""
    pairs = ", ".join(f"{key}={value}" for key, value in {"userId": alarm.account, **alarm.dimensions}.items())
    stamp = milliseconds(alarm.at)
    null = "null" if oddities.NULL_TEXTS in odd else ""
    minutes = int((alarm.at - alarm.since).total_seconds() // 60)
    return urlencode(
        {
            "alertName": alarm.rule_name,
            "alertState": alarm.state,
            "curValue": null if alarm.value is None else f"{alarm.value:g}",
            "dimensions": "{" + pairs + (")}" if oddities.STRAY_BRACKET in odd else "}"),
            "expression": alarm.expression,
            "instanceName": alarm.instance_name or "null",
            "metricName": alarm.metric,
            "metricProject": alarm.namespace,
            "namespace": alarm.namespace,
            "preTriggerLevel": alarm.previous_level or "null",
            "ruleId": alarm.rule_id,
            "signature": alarm.id,
            "timestamp": str(stamp // 1000 if oddities.SECONDS in odd else stamp),
            "triggerLevel": alarm.level,
            "userId": alarm.account,
            "lastTime": f"{minutes}分钟",
            "rawMetricName": alarm.metric,
            "transId": alarm.id,
            "groupId": null,
            "regionId": alarm.region,
            "regionName": alarm.region,
            "productGroupName": null,
            "unit": null,
        }
    )
