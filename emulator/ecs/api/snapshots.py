"""CreateSnapshot, DescribeSnapshots, DeleteSnapshot, ModifySnapshotAttribute, and snapshot groups."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.groups import SnapshotGroup
from emulator.ecs.rules import iso
from emulator.ecs.shelf import carries
from emulator.ecs.snapshots import Snapshot
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

STATES = ("progressing", "accomplished", "failed", "all")
USAGES = ("image", "disk", "image_disk", "none")


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = SnapshotsApi(ecs)
    return {
        "CreateSnapshot": api.create,
        "DescribeSnapshots": api.describe,
        "DeleteSnapshot": api.delete,
        "ModifySnapshotAttribute": api.modify,
        "CreateSnapshotGroup": api.create_group,
        "DescribeSnapshotGroups": api.describe_groups,
        "DeleteSnapshotGroup": api.delete_group,
    }


class SnapshotsApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "DiskId", "SnapshotName", "Description", "RetentionDays", "ClientToken", "Category", "InstantAccess",
        "InstantAccessRetentionDays", *paging.TAGS,
    )  # fmt: skip
    def create(self, call: Call) -> dict[str, Any]:
        p = call.params
        days = p.get("RetentionDays")
        try:
            retention = None if not days else int(days)
        except ValueError:
            raise ApiError("InvalidRetentionDays.Malformed", f"RetentionDays {days!r} is not a number.") from None
        snapshot = self._ecs.snapshots.create(
            params.required(p, "DiskId"),
            name=p.get("SnapshotName"),
            description=p.get("Description"),
            retention_days=retention,
            tags=paging.tags(call),
            token=p.get("ClientToken"),
        )
        return {"SnapshotId": snapshot.id}

    @reads(
        "DiskId", "InstanceId", "SnapshotIds", "SnapshotName", "SnapshotLinkId", "SnapshotType", "Status", "Usage",
        "SourceDiskType", "Filter.N.Key", "Filter.N.Value", "Encrypted", *paging.TAGS, *paging.PAGING,
    )  # fmt: skip
    def describe(self, call: Call) -> dict[str, Any]:
        p = call.params
        ids = params.json_texts(p, "SnapshotIds", at_most=100)
        disk, instance, name = p.get("DiskId") or p.get("SnapshotLinkId"), p.get("InstanceId"), p.get("SnapshotName")
        status, usage = p.get("Status") or "all", p.get("Usage")
        kind, source_kind = p.get("SnapshotType") or "all", p.get("SourceDiskType")
        encrypted = params.boolean(p, "Encrypted")
        if status not in STATES:
            raise ApiError("InvalidStatus.NotFound", f"The status {status!r} is not one of {', '.join(STATES)}.", 404)
        if usage is not None and usage not in USAGES:
            raise ApiError("InvalidUsage", f"The usage {usage!r} is not one of {', '.join(USAGES)}.", 404)
        since, until = _creation_window(call)
        tags = paging.tag_filter(call)

        def matches(s: Snapshot) -> bool:
            return (
                (not disk or s.disk_id == disk)
                and (not instance or s.instance_id == instance)
                and (not name or s.name == name)
                and (status in ("all", s.status))
                and (usage is None or s.usage == usage)
                and (kind in ("all", s.type))
                and (not source_kind or s.disk_kind == source_kind)
                and not encrypted
                and (since is None or s.created >= since)
                and (until is None or s.created <= until)
                and (not tags or carries(s.tags, tags))
            )

        if disk and ids is None:
            ids = list(reversed(self._ecs.snapshots.by_disk.get(disk, {})))
        items, fields = paging.listed(
            call, self._ecs.snapshots.shelf, matches, self._render, cap=100, clamp_low=False, ids=ids
        )
        return {"Snapshots": {"Snapshot": items}, **fields}

    def _render(self, s: Snapshot) -> dict[str, Any]:
        now = self._ecs.clock.now()
        answer = {
            "SnapshotId": s.id,
            "Description": s.description,
            "Status": s.status,
            "Progress": f"{s.progress(now)}%",
            "RemainTime": max(0, round((s.done_at - now).total_seconds())) if s.status == "progressing" else 0,
            "Available": s.available,
            "SnapshotType": s.type,
            "Category": "standard",
            "CreationTime": iso(s.created),
            "LastModifiedTime": iso(s.finished or s.created),
            "SourceDiskId": s.disk_id,
            "SourceDiskSize": str(s.size_gib),
            "SourceDiskType": s.disk_kind,
            "SourceStorageType": "disk",
            "SnapshotLinkId": s.disk_id,
            "Usage": s.usage,
            "Encrypted": False,
            "InstantAccess": s.available and s.disk_category.startswith(("cloud_essd", "cloud_auto")),
            "RegionId": self._ecs.region,
            "ResourceGroupId": "",
            "ProductCode": "",
            "Tags": paging.tag_list(s.tags),
        }
        if s.name:  # absent if none was given
            answer["SnapshotName"] = s.name
        if s.retention_days is not None:
            answer["RetentionDays"] = s.retention_days
        return answer

    @reads("SnapshotId", "Force")
    def delete(self, call: Call) -> dict[str, Any]:
        self._ecs.snapshots.delete(
            params.required(call.params, "SnapshotId"), force=params.boolean(call.params, "Force", False)
        )
        return {}

    @reads("SnapshotId", "SnapshotName", "Description", "RetentionDays", "DisableInstantAccess")
    def modify(self, call: Call) -> dict[str, Any]:
        p = call.params
        self._ecs.snapshots.modify(
            params.required(p, "SnapshotId"),
            name=p.get("SnapshotName"),
            description=p.get("Description"),
            retention_days=params.integer(p, "RetentionDays"),
        )
        return {}

    @reads(
        "InstanceId", "DiskId.N", "ExcludeDiskId.N", "Name", "Description", "ClientToken", "InstantAccess",
        "InstantAccessRetentionDays", *paging.TAGS,
    )  # fmt: skip
    def create_group(self, call: Call) -> dict[str, Any]:
        """Has no RetentionDays: a group lives until it is deleted."""
        p = call.params
        group = self._ecs.groups.create(
            instance_id=p.get("InstanceId") or None,
            disk_ids=params.list_of(p, "DiskId"),
            exclude=params.list_of(p, "ExcludeDiskId"),
            name=p.get("Name"),
            description=p.get("Description"),
            tags=paging.tags(call),
            token=p.get("ClientToken"),
        )
        return {"SnapshotGroupId": group.id}

    @reads(
        "InstanceId", "Name", "SnapshotGroupId.N", "Status.N", "AdditionalAttributes.N", *paging.TAGS, *paging.PAGING
    )
    def describe_groups(self, call: Call) -> dict[str, Any]:
        p = call.params
        ids = params.list_of(p, "SnapshotGroupId")
        if len(ids) > 10:
            raise ApiError("InvalidParameter", f"SnapshotGroupId.N holds at most 10 ids, got {len(ids)}.")
        states = params.list_of(p, "Status")
        for state in states:
            if state not in STATES:
                raise ApiError("InvalidStatus.ValueNotSupported", f"The status {state!r} is not supported.", 403)
        instance, name, tags = p.get("InstanceId"), p.get("Name"), paging.tag_filter(call)

        def matches(group: SnapshotGroup) -> bool:
            return (
                (not instance or group.instance_id == instance)
                and (not name or group.name == name)
                and (not states or group.status in states or "all" in states)
                and (not tags or carries(group.tags, tags))
            )

        items, fields = paging.listed(
            call, self._ecs.groups.shelf, matches, self._render_group, cap=100, clamp_low=False, ids=ids or None
        )
        return {"SnapshotGroups": {"SnapshotGroup": items}, **paging.only(fields, "NextToken")}

    def _render_group(self, group: SnapshotGroup) -> dict[str, Any]:
        now = self._ecs.clock.now()
        return {
            "SnapshotGroupId": group.id,
            "Name": group.name,
            "Description": group.description,
            "InstanceId": group.instance_id,
            "Status": group.status,
            "ProgressStatus": "",
            "CreationTime": iso(group.created),
            "ResourceGroupId": "",
            "Tags": paging.group_tag_list(group.tags),
            "Snapshots": {
                "Snapshot": [
                    {
                        "SnapshotId": member.id,
                        "SourceDiskId": member.disk_id,
                        "SourceDiskType": member.disk_kind,
                        "Progress": f"{member.progress(now)}%",
                        "Available": member.available,
                        "InstantAccess": member.available,
                        "InstantAccessRetentionDays": 0,
                        "Tags": paging.group_tag_list({**member.tags, "acs:ecs:createFrom": member.instance_id or ""}),
                    }
                    for member in group.members
                ]
            },
        }

    @reads("SnapshotGroupId")
    def delete_group(self, call: Call) -> dict[str, Any]:
        """200 with one result per member."""
        results = self._ecs.groups.delete(params.required(call.params, "SnapshotGroupId"))
        return {
            "OperationProgressSet": {
                "OperationProgress": [
                    {
                        "OperationStatus": "Failed" if result.code else "Success",
                        "ErrorCode": result.code,
                        "ErrorMsg": result.message,
                        "RelatedItemSet": {"RelatedItem": [{"Name": "SnapshotId", "Value": result.snapshot_id}]},
                    }
                    for result in results
                ]
            }
        }


def _creation_window(call: Call) -> tuple[datetime | None, datetime | None]:
    window: dict[str, datetime] = {}
    for entry in params.objects(call.params, "Filter"):
        key = entry.get("Key", "")
        if key not in ("CreationStartTime", "CreationEndTime"):
            raise ApiError("InvalidFilterKey.NotFound", f"The filter {key!r} does not exist.", 404)
        try:
            window[key] = datetime.strptime(entry.get("Value", ""), "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        except ValueError:
            raise ApiError("InvalidFilterValue", f"{entry.get('Value')!r} is not yyyy-MM-ddTHH:mmZ.", 400) from None
    return window.get("CreationStartTime"), window.get("CreationEndTime")
