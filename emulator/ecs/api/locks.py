"""LockSnapshot, UnlockSnapshot, DescribeLockedSnapshots."""

from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.api.snapshots import TOKEN_CODES
from emulator.ecs.locks import STATES, Lock
from emulator.ecs.rules import iso
from emulator.wire import params
from emulator.wire.call import Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

IDS_AT_MOST = 100


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = LocksApi(ecs)
    return {"LockSnapshot": api.lock, "UnlockSnapshot": api.unlock, "DescribeLockedSnapshots": api.describe}


class LocksApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads("SnapshotId", "LockMode", "LockDuration", "CoolOffPeriod", "DryRun", "ClientToken")
    @raises(
        "InvalidLockMode.Malformed", "InvalidLockDuration.ExceedRetentionDays",
        "InvalidCoolOffPeriod.ExceedLockDuration", "InvalidOperation.SnapshotNotAvailable",
        "InvalidOperation.LockSharedSnapshotUnsupported", "InvalidOperation.ResourceManagedByCloudProduct",
        "InvalidOperation.CoolOffPeriodExpired", "InvalidSnapshotId.NotFound", "DryRunOperation", *TOKEN_CODES,
    )  # fmt: skip
    def lock(self, call: Call) -> dict[str, Any]:
        """Makes a snapshot undeletable for a time, or makes that time longer."""
        p = call.params
        lock = self._ecs.snapshots.locks.lock(
            params.required(p, "SnapshotId"),
            mode=params.required(p, "LockMode"),
            days=params.required_integer(p, "LockDuration"),
            cool_off_hours=params.required_integer(p, "CoolOffPeriod"),
            token=p.get("ClientToken"),
            dry_run=params.boolean(p, "DryRun", False),
        )
        return {"LockedSnapshotInfo": self._render(lock)}

    def _render(self, lock: Lock) -> dict[str, Any]:
        times = {
            "CoolOffPeriodExpiredTime": lock.cools_until,
            "LockDurationStartTime": lock.started,
            "LockExpiredTime": lock.ends,
        }
        return {
            "SnapshotId": lock.id,
            "LockMode": "compliance",
            "LockStatus": lock.status(self._ecs.clock.now()),
            "LockCreationTime": iso(lock.created),
            "CoolOffPeriod": lock.cool_off_hours,
            "LockDuration": lock.days,
            **{name: iso(moment) for name, moment in times.items() if moment is not None},
        }

    @reads("SnapshotId", "DryRun", "ClientToken")
    @raises(
        "InvalidSnapshotId.NotFound", "InvalidOperation.SnapshotNotAvailable", "InvalidOperation.CoolOffPeriodExpired",
        "DryRunOperation", *TOKEN_CODES,
    )  # fmt: skip
    def unlock(self, call: Call) -> dict[str, Any]:
        """Takes a lock away that is still in its cool-off."""
        p = call.params
        self._ecs.snapshots.locks.unlock(
            params.required(p, "SnapshotId"), token=p.get("ClientToken"), dry_run=params.boolean(p, "DryRun", False)
        )
        return {}

    @reads("SnapshotIds.N", "LockStatus", "NextToken", "MaxResults", "DryRun")
    @raises("InvalidParameter.NextToken", "DryRunOperation")
    def describe(self, call: Call) -> dict[str, Any]:
        """Lists locks, expired ones too. SnapshotIds is a repeated parameter here, not JSON."""
        p = call.params
        ids = params.list_of(p, "SnapshotIds")
        if len(ids) > IDS_AT_MOST:
            raise params.invalid("SnapshotIds", f"it holds {len(ids)} ids, at most {IDS_AT_MOST} are allowed")
        status = p.get("LockStatus") or None
        if status is not None and status not in STATES:
            raise params.invalid("LockStatus", f"{status!r} is not one of {', '.join(STATES)}")
        now = self._ecs.clock.now()
        items, fields = paging.listed(
            call,
            self._ecs.snapshots.locks.shelf,
            lambda lock: status in (None, lock.status(now)),
            self._render,
            cap=100,
            ids=ids or None,
        )
        return {"LockedSnapshotsInfo": items, **paging.only(fields, "NextToken")}
