"""Restore points for tests, in one line each."""

from datetime import UTC, datetime
from typing import Any

from shared.domain.ids import DiskId, InstanceId, PolicyVersion, SnapshotId
from shared.domain.retention import RestorePoint


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def point(
    taken: str | datetime, *, disks: tuple[str, ...] = ("d-1",), subject: str = "i-1", **changes: Any
) -> RestorePoint:
    """A usable, complete point of `subject`, whose id and snapshots tell when it was taken."""
    at = utc(taken) if isinstance(taken, str) else taken
    name = changes.pop("id", f"rp-{subject}-{at:%Y%m%dT%H%M%S}")
    fields: dict[str, Any] = {
        "id": name,
        "subject": InstanceId(subject),
        "slot": at,
        "schedule": "hourly",
        "taken": at,
        "usable": True,
        "complete": True,
        "disks": tuple((DiskId(disk), SnapshotId(f"s-{disk}-{name}")) for disk in disks),
        "protection": "applications",
        "policy": PolicyVersion(1),
    }
    return RestorePoint(**(fields | changes))
