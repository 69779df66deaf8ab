"""DescribeSnapshotsUsage, DescribeSnapshotLinks, DescribeSnapshotMonitorData."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.chains import Chain
from emulator.ecs.rules import iso
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

PERIODS = (60, 600, 3600)
POINTS_AT_MOST = 400
"""Limits and codes of DescribeSnapshotMonitorData are those of DescribeDiskMonitorData (assumption)."""


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = UsageApi(ecs)
    return {
        "DescribeSnapshotsUsage": api.usage,
        "DescribeSnapshotLinks": api.links,
        "DescribeSnapshotMonitorData": api.monitor,
    }


class UsageApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads()
    @raises()
    def usage(self, _: Call) -> dict[str, Any]:
        """How many snapshots there are in the region and how many bytes they own together.

        Not modelled: InvalidParam.RegionId; an unknown region is refused by the gateway.
        """
        snapshots = self._ecs.snapshots
        return {"SnapshotCount": len(snapshots.shelf), "SnapshotSize": snapshots.chains.bytes}

    @reads("DiskIds", "SnapshotLinkIds", "InstanceId", *(name for name in paging.PAGING if name != "DryRun"))
    @raises("InvalidDiskIds.Malformed", "InvalidSnapshotLinkIds.Malformed", "InvalidParameter.NextToken")
    def links(self, call: Call) -> dict[str, Any]:
        """Lists the chains: snapshots and bytes of each disk that has any, the cheapest look at its quota."""
        p = call.params
        disks = params.json_texts(p, "DiskIds", at_most=100)
        links = params.json_texts(p, "SnapshotLinkIds", at_most=100)
        ids = disks if links is None else links if disks is None else [one for one in disks if one in links]
        instance = p.get("InstanceId")

        def matches(chain: Chain) -> bool:
            return not instance or self._instance_of(chain) == instance

        shelf = self._ecs.snapshots.chains.shelf
        items, fields = paging.listed(call, shelf, matches, self._render, cap=100, ids=ids)
        return {"SnapshotLinks": {"SnapshotLink": items}, **fields}

    def _instance_of(self, chain: Chain) -> str:
        disk = self._ecs.disks.shelf.get(chain.id)
        return (disk.instance_id if disk is not None else chain.newest.instance_id) or ""

    def _render(self, chain: Chain) -> dict[str, Any]:
        disk = self._ecs.disks.shelf.get(chain.id)
        instance_id = self._instance_of(chain)
        instance = self._ecs.instances.get(instance_id)
        newest = chain.newest
        return {
            "SnapshotLinkId": chain.id,
            "SourceDiskId": chain.id,
            "SourceDiskName": disk.name if disk is not None else "",
            "SourceDiskSize": disk.size_gib if disk is not None else newest.size_gib,
            "SourceDiskType": newest.disk_kind,
            "InstanceId": instance_id,
            "InstanceName": instance.name if instance is not None else "",
            "TotalCount": len(chain.snapshots),
            "TotalSize": chain.bytes,
            "Category": "standard",
            "InstantAccess": newest.available and newest.disk_category.startswith("cloud_essd"),
            "RegionId": self._ecs.region,
        }

    @reads("StartTime", "EndTime", "Period", "Category")
    @raises(
        "InvalidStartTime.Malformed", "InvalidEndTime.Malformed", "InvalidPeriod.ValueNotSupported",
        "InvalidParameter.TooManyDataQueried",
    )  # fmt: skip
    def monitor(self, call: Call) -> dict[str, Any]:
        """How the bytes of all snapshots changed: one point at the end of each period, UTC.

        Not modelled: Category other than Standard.
        """
        p = call.params
        if p.get("Category", "Standard").lower() != "standard":
            raise params.invalid("Category", f"the emulator counts Standard snapshots, not {p['Category']!r}")
        start, end = _minute(call, "StartTime"), _minute(call, "EndTime")
        period = params.integer(p, "Period", 60)
        if period not in PERIODS:
            raise ApiError("InvalidPeriod.ValueNotSupported", f"Period is one of {PERIODS}, got {period}.")
        if end < start:
            raise ApiError("InvalidEndTime.Malformed", "EndTime is before StartTime.")
        count = int((end - start).total_seconds()) // period
        if count > POINTS_AT_MOST:
            raise ApiError("InvalidParameter.TooManyDataQueried", f"{count} points, at most {POINTS_AT_MOST}.")
        points = [start + timedelta(seconds=period * number) for number in range(1, count + 1)]
        now = self._ecs.clock.now()
        size = self._ecs.snapshots.chains.bytes_at
        return {"MonitorData": {"DataPoint": [{"TimeStamp": iso(at), "Size": size(at)} for at in points if at <= now]}}


def _minute(call: Call, name: str) -> datetime:
    """Seconds that are not 00 count as the next minute."""
    text = params.required(call.params, name)
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise ApiError(f"Invalid{name}.Malformed", f"{text!r} is not yyyy-MM-ddTHH:mm:ssZ.") from None
    return moment if moment.second == 0 else moment.replace(second=0) + timedelta(minutes=1)
