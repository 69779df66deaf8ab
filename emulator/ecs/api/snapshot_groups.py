"""CreateSnapshotGroup, DescribeSnapshotGroups, ModifySnapshotGroup, DeleteSnapshotGroup."""

from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.api.snapshots import ACCOUNT_CODES, DISK_CODES, TAG_CODES, TOKEN_CODES
from emulator.ecs.groups import SnapshotGroup
from emulator.ecs.rules import iso
from emulator.ecs.shelf import carries
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

STATES = ("progressing", "accomplished", "failed")
IDS_AT_MOST = 10


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = SnapshotGroupsApi(ecs)
    return {
        "CreateSnapshotGroup": api.create,
        "DescribeSnapshotGroups": api.describe,
        "ModifySnapshotGroup": api.modify,
        "DeleteSnapshotGroup": api.delete,
    }


class SnapshotGroupsApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "InstanceId", "DiskId.N", "ExcludeDiskId.N", "Name", "Description", "ClientToken", "InstantAccess",
        "InstantAccessRetentionDays", "ResourceGroupId", *paging.TAGS,
    )  # fmt: skip
    @raises(
        "InvalidDiskIds.NotInSameZone", "MissingParamter.InstanceId", "InvalidParam.ExcludeDiskIdsAndDiskIds.Conflict",
        "InvalidParameter.Name", "InvalidParameter.Description", "NumberExceed.TooManyDisks",
        "CapacityExceed.TooManyDisks", "InvalidInstance.NoDisk", "InvalidDisk.DiskCategoryInconsistent",
        "InvalidDiskId.NotFound", "InvalidInstanceId.NotFound", *DISK_CODES, *ACCOUNT_CODES, *TAG_CODES, *TOKEN_CODES,
    )  # fmt: skip
    def create(self, call: Call) -> dict[str, Any]:
        """Begins snapshots of several disks at one instant. There is no RetentionDays: a group lives until deleted.

        Not modelled: disks attached to several instances, StorageLocationArn.
        """
        p = call.params
        group = self._ecs.groups.create(
            instance_id=p.get("InstanceId") or None,
            disk_ids=params.list_of(p, "DiskId"),
            exclude=params.list_of(p, "ExcludeDiskId"),
            name=p.get("Name"),
            description=p.get("Description"),
            resource_group=p.get("ResourceGroupId", ""),
            tags=paging.tags(call),
            token=p.get("ClientToken"),
        )
        return {"SnapshotGroupId": group.id}

    @reads(
        "InstanceId", "Name", "SnapshotGroupId.N", "Status.N", "AdditionalAttributes.N", "ResourceGroupId",
        "NextToken", "MaxResults", *paging.TAGS,
    )  # fmt: skip
    @raises(
        "InvalidStatus.ValueNotSupported", "InvalidSnapshotGroupId.MustBeOne",
        "InvalidParameter.NextToken",
    )  # fmt: skip
    def describe(self, call: Call) -> dict[str, Any]:
        """Lists groups with their members, but not the members' status. Filters are ANDed.

        Not modelled: InvalidInstanceId.NotFound for an instance that is gone; it matches what it left behind.
        """
        p = call.params
        ids = params.list_of(p, "SnapshotGroupId")
        if len(ids) > IDS_AT_MOST:  # assumption: which of the documented codes it is
            raise ApiError("InvalidSnapshotGroupId.MustBeOne", f"At most {IDS_AT_MOST} ids, got {len(ids)}.", 403)
        states = params.list_of(p, "Status")
        for state in states:
            if state not in STATES:
                raise ApiError("InvalidStatus.ValueNotSupported", f"The status {state!r} is not supported.", 403)
        instance, name, tags = p.get("InstanceId"), p.get("Name"), paging.tag_filter(call)
        resource_group = p.get("ResourceGroupId")

        def matches(group: SnapshotGroup) -> bool:
            return (
                (not instance or group.instance_id == instance)
                and (not name or group.name == name)
                and (not states or group.status in states)
                and (not resource_group or group.resource_group == resource_group)
                and (not tags or carries(group.tags, tags))
            )

        items, fields = paging.listed(
            call, self._ecs.groups.shelf, matches, self._render, cap=100, clamp_low=False, ids=ids or None
        )
        return {"SnapshotGroups": {"SnapshotGroup": items}, **paging.only(fields, "NextToken")}

    def _render(self, group: SnapshotGroup) -> dict[str, Any]:
        now = self._ecs.clock.now()
        return {
            "SnapshotGroupId": group.id,
            "Name": group.name,
            "Description": group.description,
            "InstanceId": group.instance_id,
            "Status": group.status,
            "ProgressStatus": "",
            "CreationTime": iso(group.created),
            "ResourceGroupId": group.resource_group,
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

    @reads("SnapshotGroupId", "Name", "Description")
    @raises("InvalidSnapshotGroupId.NotFound", "InvalidParameter.Name", "InvalidParameter.Description")
    def modify(self, call: Call) -> dict[str, Any]:
        """Changes a group's name and description."""
        p = call.params
        self._ecs.groups.modify(
            params.required(p, "SnapshotGroupId"), name=p.get("Name") or None, description=p.get("Description") or None
        )
        return {}

    @reads("SnapshotGroupId")
    @raises()
    def delete(self, call: Call) -> dict[str, Any]:
        """Deletes the members that can be deleted: 200 with one result per member."""
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
