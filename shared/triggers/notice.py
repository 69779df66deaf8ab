"""The one place where a CMS event's name and content become a notice, whichever envelope they came in.

Facts that rule here: the status in the *name* is often stale, so `content.eventStatus` and `executeFinishTime` win;
disk events have no status at all and are over when they carry a finish time; an id may be bare or an ARN.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from shared.domain.errors import BadInput
from shared.domain.ids import DiskId, InstanceId, SnapshotId
from shared.triggers.fields import after_slash, identifier, moment, text
from shared.triggers.trigger import EventKind, EventStatus, JsonObject, SystemEventNotice

_BY_TYPE: Final[tuple[tuple[str, str, EventKind], ...]] = (
    ("Instance", "SystemFailure.", EventKind.INSTANCE_TROUBLE),
    ("Instance", "InstanceFailure.", EventKind.INSTANCE_TROUBLE),
    ("Instance", "SystemMaintenance.", EventKind.INSTANCE_MAINTENANCE),
    ("Instance", "StateChange", EventKind.INSTANCE_STATE),
    ("Instance", "PreemptibleInstanceInterruption", EventKind.INSTANCE_INTERRUPTION),
    ("Disk", "Stalled", EventKind.DISK_TROUBLE),
    ("Disk", "ErrorDetected", EventKind.DISK_TROUBLE),
    ("Disk", "Degraded", EventKind.DISK_TROUBLE),
    ("Disk", "SeverelyDegraded", EventKind.DISK_TROUBLE),
    ("Disk", "", EventKind.DISK_OPERATION),
    ("Snapshot", "", EventKind.SNAPSHOT),
)
LONGEST_ID: Final = 128  # characters
_STATUSES: Final[Mapping[str, EventStatus]] = {status.value: status for status in EventStatus if status.value}


def notice(
    *,
    name: str,
    content: JsonObject,
    product: str,
    region: str = "",
    resource: str = "",
    published: datetime | None = None,
    transport: str = "",
    resolved: bool = False,
    route: str,
) -> SystemEventNotice:
    """Build a notice from a CMS name (`Instance:SystemFailure.Reboot:Executing`, status optional) and its content.

    `resource` is the envelope's ARN or bare id, used where the content has none. Raises BadInput for an id that
    cannot be one.
    """
    subject, _, rest = name.partition(":")
    type_, _, suffix = rest.partition(":")
    if not rest:  # other products' names have no parts: Agent_Status_Stopped
        subject, type_ = "", text(content, "eventType") or subject
    subject = subject or _subject_of(content, resource)
    kind = _kind(subject, type_)
    instance, disk, snapshot = _resources(content, resource, kind)
    started = moment(content.get("executeStartTime"))
    finished = moment(content.get("executeFinishTime"))
    status = _status(content, suffix, kind, finished)
    outcome = text(content, "result", "state", "action").lower()
    event_id = text(content, "eventId")
    at = published or moment(content.get("publishTime")) or started
    product = product.upper() or "ECS"
    subject_id = snapshot or disk or instance or resource
    return SystemEventNotice(
        kind=kind,
        type=type_,
        status=status,
        logical_key=_logical_key(product, subject_id, event_id, type_, started, status, outcome, kind, at, resolved),
        transport_key=transport,
        product=product,
        region=region or _region(resource),
        event_id=event_id,
        instance=InstanceId(instance) if instance else None,
        disk=DiskId(disk) if disk else None,
        snapshot=SnapshotId(snapshot) if snapshot else None,
        resource=resource.rpartition("/")[2][:LONGEST_ID],
        at=at,
        started=started,
        finished=finished,
        outcome=outcome,
        resolved=resolved,
        route=route,
    )


def _kind(subject: str, type_: str) -> EventKind:
    for of, prefix, kind in _BY_TYPE:
        if subject == of and type_.startswith(prefix):
            return kind
    return EventKind.OTHER


def _subject_of(content: JsonObject, resource: str) -> str:
    for kind, key in (("Snapshot", "snapshotId"), ("Disk", "diskId"), ("Instance", "instanceId")):
        if text(content, key) or after_slash(resource, kind.lower()):
            return kind
    return "Instance" if text(content, "state") or text(content, "eventType") else ""


def _resources(content: JsonObject, resource: str, kind: EventKind) -> tuple[str, str, str]:
    """Instance, disk and snapshot that the event names. `resourceId` inside a StateChange is a bare id, not an ARN."""
    instance = identifier(content, "instanceId", "ecsInstanceId") or after_slash(resource, "instance")
    disk = identifier(content, "diskId") or after_slash(resource, "disk")
    snapshot = identifier(content, "snapshotId") or after_slash(resource, "snapshot")
    if kind is EventKind.INSTANCE_STATE and not instance:
        named = text(content, "resourceId")
        instance = after_slash(named, "instance") or identifier(content, "resourceId")
    if not (instance or disk or snapshot) and kind is not EventKind.OTHER:
        raise BadInput(
            f"{kind} event: names no instance, disk or snapshot. It needs content.instanceId (or diskId, snapshotId), "
            "or an ARN such as acs:ecs:cn-hangzhou:1000000000000001:instance/i-bp1example in resourceId or subject."
        )
    return instance, disk, snapshot


def _status(content: JsonObject, suffix: str, kind: EventKind, finished: datetime | None) -> EventStatus:
    """`content.eventStatus` first; a finish time next; the name's suffix, often stale, last."""
    said = _STATUSES.get(text(content, "eventStatus").lower())
    if said is not None:
        return said
    if kind is EventKind.DISK_TROUBLE:
        return EventStatus.EXECUTED if finished is not None else EventStatus.EXECUTING
    fallback = _STATUSES.get(suffix.lower(), EventStatus.NONE)
    if finished is not None and fallback is not EventStatus.NONE and not fallback.final:
        return EventStatus.EXECUTED
    return fallback


def _logical_key(
    product: str,
    resource: str,
    event_id: str,
    type_: str,
    started: datetime | None,
    status: EventStatus,
    outcome: str,
    kind: EventKind,
    at: datetime | None,
    resolved: bool,
) -> str:
    """Same by every route. Events without an id and without a life cycle are told apart by their moment; a finished
    snapshot is one fact however often it is told."""
    identity = event_id or (f"{type_}@{started.isoformat()}" if started else type_)
    if not event_id and started is None and kind is not EventKind.SNAPSHOT and at is not None:
        identity = f"{type_}@{at.isoformat()}"
    last = "resolved" if resolved else (status.value or outcome or "-")
    return "|".join((product, resource or "-", identity or "-", last))


def _region(arn: str) -> str:
    parts = arn.split(":")
    return parts[2] if len(parts) > 4 and parts[0] == "acs" else ""
