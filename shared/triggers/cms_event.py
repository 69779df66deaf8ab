"""A raw CloudMonitor system event: by the old event rule, by MNS, or as the raw content of a subscription."""

from shared.triggers.fields import moment, nested, text
from shared.triggers.notice import notice
from shared.triggers.trigger import JsonObject, SystemEventNotice


def recognised(event: JsonObject) -> bool:
    return "product" in event and "name" in event and "content" in event


def read(event: JsonObject) -> SystemEventNotice:
    """Dry-run events of CMS lack ver, id, userId and eventTime: none is needed."""
    return notice(
        name=text(event, "name"),
        content=nested(event, "content"),
        product=text(event, "product"),
        region=text(event, "regionId"),
        resource=text(event, "resourceId"),
        published=moment(event.get("eventTime")),
        transport=text(event, "id"),
        route="cms",
    )
