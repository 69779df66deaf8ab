"""CloudEvents 1.0 from EventBridge, and a bare `data` object that lost its envelope (schema RawData)."""

from collections.abc import Set
from typing import Final

from shared.triggers.fields import moment, nested, text
from shared.triggers.notice import notice
from shared.triggers.trigger import JsonObject, SystemEventNotice

_BARE: Final[tuple[Set[str], ...]] = (
    {"eventId"},
    {"eventType", "instanceId"},
    {"eventType", "diskId"},
    {"instanceId", "action"},
    {"resourceId", "state"},
    {"snapshotId", "result"},
    {"diskId", "operation", "result"},
)


def recognised(event: JsonObject) -> bool:
    return "specversion" in event and "type" in event


def read(event: JsonObject) -> SystemEventNotice:
    """The type is the CMS name without its status, after the product: `ecs:Instance:SystemFailure.Reboot`."""
    product, _, name = text(event, "type").partition(":")
    source, identity = text(event, "source"), text(event, "id")
    return notice(
        name=name,
        content=nested(event, "data"),
        product=product or source.removeprefix("acs."),
        region=text(event, "aliyunregionid"),
        resource=text(event, "subject"),
        published=moment(event.get("time")),
        transport=f"{source}/{identity}" if identity else "",
        route="eventbridge",
    )


def bare(event: JsonObject) -> bool:
    """Only an event's content: our own invocations never look like this (they carry `operation` or `command`)."""
    return "command" not in event and any(keys <= event.keys() for keys in _BARE)


def read_bare(event: JsonObject) -> SystemEventNotice:
    """Product and region are lost; what is left is taken to be about ECS (assumption: only its rules feed us)."""
    return notice(name=_name_of(event), content=event, product="ECS", route="bare")


def _name_of(content: JsonObject) -> str:
    if text(content, "eventType"):
        return ("Disk:" if text(content, "diskId") else "Instance:") + text(content, "eventType")
    if text(content, "snapshotId"):
        return "Snapshot:CreateSnapshotCompleted"
    if text(content, "operation"):
        return "Disk:DiskOperationCompleted"
    if text(content, "action"):
        return "Instance:PreemptibleInstanceInterruption"
    if text(content, "state"):
        return "Instance:StateChange"
    return ""
