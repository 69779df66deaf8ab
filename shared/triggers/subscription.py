"""CloudMonitor's event subscription: the wrapper of its webhook, as JSON, as a form of JSON texts, or in `data`."""

from shared.domain.errors import BadInput
from shared.triggers import cms_event
from shared.triggers.fields import as_object, moment, nested, text
from shared.triggers.notice import notice
from shared.triggers.trigger import JsonObject, SystemEventNotice


def recognised(event: JsonObject) -> bool:
    return "alert" in event and "subscription" in event


def read(event: JsonObject) -> SystemEventNotice:
    """Prefers the content map, falls back to the raw event's text. Raises BadInput when `alert` is unreadable."""
    alert = as_object(event.get("alert"))
    if alert is None:
        raise BadInput(
            "CMS subscription: alert is not an object (nor the JSON text of one). "
            "Set the webhook to POST JSON; see events/cms-subscription-failure-reboot.json."
        )
    resolved = text(alert, "alertStatus").upper() == "RESOLVED"
    meta = nested(nested(alert, "meta"), "sysEventMeta")
    raw = nested(alert, "eventRawContent")
    content = nested(alert, "eventContentMap") or (nested(raw, "content") if cms_event.recognised(raw) else {})
    return notice(
        name=text(alert, "eventName") or text(meta, "name") or text(raw, "name"),
        content=content,
        product=text(alert, "product") or text(meta, "product") or text(raw, "product"),
        region=text(meta, "regionId") or text(raw, "regionId"),
        resource=text(alert, "arn") or text(meta, "resourceId") or text(raw, "resourceId"),
        published=moment(meta.get("eventTime")) or moment(raw.get("eventTime")) or moment(alert.get("timestamp")),
        transport=text(alert, "dedupId") or text(meta, "id"),
        resolved=resolved,
        route="subscription",
    )
