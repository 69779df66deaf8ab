"""What an operator of the emulator does to events: publishes one, sets oddities, registers webhooks.

Functions of plain data, so that a world that is kept can keep them too (see `Cloud.do`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emulator.bus import CloudEvent
from emulator.events.target import webhook

if TYPE_CHECKING:
    from emulator.cloud import Cloud

LEVELS = ("CRITICAL", "WARN", "INFO")


class EventError(ValueError):
    """The event cannot be published so; the message is one sentence for whoever wrote it."""


def publish(
    cloud: "Cloud",
    *,
    name: str,
    content: Mapping[str, Any],
    resource: str = "",
    level: str = "",
    product: str = "ECS",
    account: str = "",
    region: str = "",
) -> str:
    """Any event, now, to everybody who listens; its id. Raises EventError."""
    if not name:
        raise EventError("name: CloudMonitor's name is needed, such as Instance:SystemFailure.Reboot:Executing")
    if level and level not in LEVELS:
        raise EventError(f"level: {level!r} is not one of {', '.join(LEVELS)}")
    event = CloudEvent(
        id=cloud.chance.request_id(),
        product=product,
        name=name,
        level=level or "INFO",
        region=region or cloud.region,
        account=account or cloud.account,
        resource=resource or resource_of(content),
        at=cloud.clock.now(),
        content=dict(content),
    )
    cloud.bus.publish(event)
    return event.id


def resource_of(content: Mapping[str, Any]) -> str:
    """`instance/i-...` and its like, by what the content names."""
    for key, kind in (("snapshotId", "snapshot"), ("diskId", "disk"), ("instanceId", "instance")):
        if content.get(key):
            return f"{kind}/{content[key]}"
    bare = content.get("resourceId")
    return f"instance/{bare}" if isinstance(bare, str) and bare.startswith("i-") else ""


def set_oddities(cloud: "Cloud", *, names: list[str]) -> None:
    """Exactly these from now on. Raises OddityError."""
    cloud.events_oddities = frozenset(names)


def register_webhook(cloud: "Cloud", *, hook: Mapping[str, Any]) -> str:
    """Its id. Raises TargetError."""
    return cloud.deliveries.add_webhook(webhook(hook))


def remove_webhook(cloud: "Cloud", *, id: str) -> bool:
    """Whether there was one."""
    return cloud.deliveries.webhooks.pop(id, None) is not None
