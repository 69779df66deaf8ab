"""DescribeDisks, CreateDisk, AttachDisk, DetachDisk, DeleteDisk, ResetDisk."""

from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.disks import Disk
from emulator.ecs.rules import iso
from emulator.ecs.shelf import carries
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = DisksApi(ecs)
    return {
        "DescribeDisks": api.describe,
        "CreateDisk": api.create,
        "AttachDisk": api.attach,
        "DetachDisk": api.detach,
        "DeleteDisk": api.delete,
        "ResetDisk": api.reset,
    }


class DisksApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "DiskIds", "InstanceId", "Status", "DiskType", "Category", "SnapshotId", "ZoneId", "DiskName", "Portable",
        "DeleteWithInstance", *paging.TAGS, *paging.PAGING,
    )  # fmt: skip
    def describe(self, call: Call) -> dict[str, Any]:
        """Pages up to 500."""
        p = call.params
        ids = params.json_texts(p, "DiskIds", at_most=100)
        instance, zone = p.get("InstanceId"), p.get("ZoneId")
        status, kind = p.get("Status") or "All", p.get("DiskType") or "all"
        category, snapshot, name = p.get("Category") or "all", p.get("SnapshotId"), p.get("DiskName")
        delete_with = params.boolean(p, "DeleteWithInstance")
        tags = paging.tag_filter(call)

        def matches(disk: Disk) -> bool:
            return (
                (not instance or disk.instance_id == instance)
                and (not zone or disk.zone == zone)
                and (status.lower() in ("all", disk.state.lower()))
                and (kind in ("all", disk.kind))
                and (category in ("all", disk.category))
                and (not snapshot or disk.source_snapshot == snapshot)
                and (not name or disk.name == name)
                and (delete_with is None or disk.delete_with_instance == delete_with)
                and (not tags or carries(disk.tags, tags))
            )

        if instance and ids is None:
            found = self._ecs.shelf.get(instance)
            ids = list(found.disk_ids) if found else []
        items, fields = paging.listed(call, self._ecs.disks.shelf, matches, self._render, cap=500, ids=ids)
        return {"Disks": {"Disk": items}, **fields}

    def _render(self, disk: Disk) -> dict[str, Any]:
        attachments = []
        if disk.instance_id is not None:
            attachments.append(
                {
                    "InstanceId": disk.instance_id,
                    "Device": disk.device.replace("/dev/vd", "/dev/xvd"),
                    "AttachedTime": iso(disk.attached or disk.created),
                }
            )
        return {
            "DiskId": disk.id,
            "DiskName": disk.name,
            "Description": disk.description,
            "RegionId": self._ecs.region,
            "ZoneId": disk.zone,
            "Type": disk.kind,
            "Category": disk.category,
            "PerformanceLevel": "PL1" if disk.category == "cloud_essd" else "",
            "Size": disk.size_gib,
            "Status": disk.state,
            "InstanceId": disk.instance_id or "",
            "Device": disk.device.replace("/dev/vd", "/dev/xvd"),
            "Portable": disk.kind == "data",
            "DeleteWithInstance": disk.delete_with_instance,
            "DeleteAutoSnapshot": True,
            "EnableAutoSnapshot": True,
            "EnableAutomatedSnapshotPolicy": False,
            "AutoSnapshotPolicyId": "",
            "SourceSnapshotId": disk.source_snapshot or "",
            "ImageId": disk.image_id,
            "Encrypted": False,
            "MultiAttach": "Disabled",
            "DiskChargeType": "PostPaid",
            "CreationTime": iso(disk.created),
            "AttachedTime": iso(disk.attached) if disk.attached else "",
            "DetachedTime": iso(disk.detached) if disk.detached else "",
            "Attachments": {"Attachment": attachments},
            "OperationLocks": {"OperationLock": []},
            "Tags": paging.tag_list(disk.tags),
            "ResourceGroupId": "",
        }

    @reads(
        "ZoneId", "InstanceId", "SnapshotId", "Size", "DiskCategory", "DiskName", "Description", "PerformanceLevel",
        "ClientToken", *paging.TAGS,
    )  # fmt: skip
    def create(self, call: Call) -> dict[str, Any]:
        """Into a zone; subscription disks of an instance (InstanceId) are not modelled."""
        p = call.params
        if p.get("InstanceId"):
            if p.get("ZoneId"):
                raise ApiError("InvalidParam.ZoneIdAndInstanceId.Conflict", "Give ZoneId or InstanceId.", 403)
            raise ApiError("UnsupportedParameter", "The emulator does not model CreateDisk with InstanceId.")
        disk = self._ecs.disks.create(
            zone=params.required(p, "ZoneId"),
            category=p.get("DiskCategory") or "cloud",
            size_gib=params.integer(p, "Size"),
            snapshot_id=p.get("SnapshotId") or None,
            name=p.get("DiskName"),
            description=p.get("Description"),
            tags=paging.tags(call),
            token=p.get("ClientToken"),
        )
        return {"DiskId": disk.id, "OrderId": ""}

    @reads("InstanceId", "DiskId", "DeleteWithInstance", "Device")
    def attach(self, call: Call) -> dict[str, Any]:
        self._ecs.disks.attach(
            params.required(call.params, "DiskId"),
            params.required(call.params, "InstanceId"),
            delete_with_instance=params.boolean(call.params, "DeleteWithInstance", False),
        )
        return {}

    @reads("InstanceId", "DiskId")
    def detach(self, call: Call) -> dict[str, Any]:
        self._ecs.disks.detach(params.required(call.params, "DiskId"), params.required(call.params, "InstanceId"))
        return {}

    @reads("DiskId")
    def delete(self, call: Call) -> dict[str, Any]:
        self._ecs.disks.delete(params.required(call.params, "DiskId"))
        return {}

    @reads("DiskId", "SnapshotId", "DryRun")
    def reset(self, call: Call) -> dict[str, Any]:
        paging.dry_run(call)
        self._ecs.disks.reset(params.required(call.params, "DiskId"), params.required(call.params, "SnapshotId"))
        return {}
