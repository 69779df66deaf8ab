"""DescribeDisks, CreateDisk, AttachDisk, DetachDisk, DeleteDisk, ModifyDiskAttribute, ResizeDisk."""

from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.disks import Disk
from emulator.ecs.rules import check_password, iso, moment
from emulator.ecs.shelf import carries
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

IDS_AT_MOST = 100
FILTERS = ("CreationStartTime", "CreationEndTime")
TOKEN = ("IdempotentParameterMismatch", "InvalidClientToken.Malformed")


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = DisksApi(ecs)
    return {
        "DescribeDisks": api.describe,
        "CreateDisk": api.create,
        "AttachDisk": api.attach,
        "DetachDisk": api.detach,
        "DeleteDisk": api.delete,
        "ModifyDiskAttribute": api.modify,
        "ResizeDisk": api.resize,
    }


class DisksApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "DiskIds", "InstanceId", "Status", "DiskType", "Category", "PerformanceLevel", "SnapshotId",
        "AutoSnapshotPolicyId", "EnableAutomatedSnapshotPolicy", "EnableAutoSnapshot", "DeleteAutoSnapshot", "ZoneId",
        "DiskName", "Portable", "DeleteWithInstance", "DiskChargeType", "Encrypted", "KMSKeyId", "MultiAttach",
        "EnableShared", "LockReason", "ResourceGroupId", "Filter.N.Key", "Filter.N.Value", "AdditionalAttributes.N",
        *paging.TAGS, *paging.PAGING,
    )  # fmt: skip
    @raises("DryRunOperation", "InvalidParameter.NextToken", "InvalidDiskIds.Malformed", "InvalidFilterKey.NotFound")
    def describe(self, call: Call) -> dict[str, Any]:
        """Lists disks, up to 500 a page."""
        p = call.params
        ids = params.json_texts(p, "DiskIds", at_most=IDS_AT_MOST)
        instance = p.get("InstanceId")
        status, kind, category = p.get("Status") or "All", p.get("DiskType") or "all", p.get("Category") or "all"
        wanted = {
            attribute: p[parameter]
            for parameter, attribute in {
                "ZoneId": "zone", "SnapshotId": "source_snapshot", "DiskName": "name",
                "PerformanceLevel": "performance_level", "ResourceGroupId": "resource_group",
            }.items()
            if p.get(parameter)
        }  # fmt: skip
        flags = {
            attribute: value
            for parameter, attribute in {
                "DeleteWithInstance": "delete_with_instance", "DeleteAutoSnapshot": "delete_auto_snapshot",
                "EnableAutoSnapshot": "enable_auto_snapshot",
            }.items()
            if (value := params.boolean(p, parameter)) is not None
        }  # fmt: skip
        portable, policy = params.boolean(p, "Portable"), p.get("AutoSnapshotPolicyId")
        automatic = params.boolean(p, "EnableAutomatedSnapshotPolicy")
        since, until = _creation(call)
        tags = paging.tag_filter(call)

        def matches(disk: Disk) -> bool:
            return (
                (not instance or disk.instance_id == instance)
                and (status.lower() in ("all", disk.state.lower()))
                and (kind in ("all", disk.kind))
                and (category in ("all", disk.category))
                and all(getattr(disk, attribute) == value for attribute, value in wanted.items())
                and all(getattr(disk, attribute) is value for attribute, value in flags.items())
                and (portable is None or (disk.kind == "data") is portable)
                and (not policy or policy in self._policies(disk))
                and (automatic is None or bool(self._policies(disk)) is automatic)
                and (since is None or disk.created >= since)
                and (until is None or disk.created <= until)
                and (not tags or carries(disk.tags, tags))
            )

        if _asks_for_what_is_not_here(call):
            ids = []
        elif instance and ids is None:
            found = self._ecs.shelf.get(instance)
            ids = list(found.disk_ids) if found else []
        items, fields = paging.listed(call, self._ecs.disks.shelf, matches, self._render, cap=500, ids=ids)
        return {"Disks": {"Disk": items}, **fields}

    def _policies(self, disk: Disk) -> list[str]:
        return [policy.id for policy in self._ecs.snapshots.policies.of_disk(disk.id)]

    def _render(self, disk: Disk) -> dict[str, Any]:
        device = disk.device.replace("/dev/vd", "/dev/xvd")
        attachments = []
        if disk.instance_id is not None:
            attached = iso(disk.attached or disk.created)
            attachments.append({"InstanceId": disk.instance_id, "Device": device, "AttachedTime": attached})
        policies = self._policies(disk)
        owner = self._ecs.shelf.get(disk.instance_id or "")
        return {
            "DiskId": disk.id,
            "DiskName": disk.name,
            "Description": disk.description,
            "RegionId": self._ecs.region,
            "ZoneId": disk.zone,
            "Type": disk.kind,
            "Category": disk.category,
            "PerformanceLevel": disk.performance_level,
            "Size": disk.size_gib,
            "Status": disk.state,
            "InstanceId": disk.instance_id or "",
            "Device": device,
            "Portable": disk.kind == "data",
            "DeleteWithInstance": disk.delete_with_instance,
            "DeleteAutoSnapshot": disk.delete_auto_snapshot,
            "EnableAutoSnapshot": disk.enable_auto_snapshot,
            "EnableAutomatedSnapshotPolicy": bool(policies),
            "AutoSnapshotPolicyId": policies[0] if policies else "",
            "SourceSnapshotId": disk.source_snapshot or "",
            "ImageId": disk.image_id,
            "Encrypted": False,
            "KMSKeyId": "",
            "MultiAttach": "Disabled",
            "DiskChargeType": "PostPaid",
            "ExpiredTime": "2999-09-08T16:00Z",
            "SerialNumber": disk.id.removeprefix("d-"),
            "CreationTime": iso(disk.created),
            "AttachedTime": iso(disk.attached) if disk.attached else "",
            "DetachedTime": iso(disk.detached) if disk.detached else "",
            "Attachments": {"Attachment": attachments},
            "MountInstances": {"MountInstance": []},  # of disks with several instances only
            "OperationLocks": {"OperationLock": [{"LockReason": reason} for reason in (owner.locks if owner else ())]},
            "Tags": paging.tag_list(disk.tags),
            "ResourceGroupId": disk.resource_group,
        }

    @reads(
        "ZoneId", "InstanceId", "SnapshotId", "Size", "DiskCategory", "DiskName", "Description", "PerformanceLevel",
        "ResourceGroupId", "ClientToken", *paging.TAGS,
    )  # fmt: skip
    @raises(
        "InvalidParam.ZoneIdAndInstanceId.Conflict", "InvalidZoneId.NotFound", "InvalidDiskCategory.NotSupported",
        "InvalidPerformanceLevel.Malformed", "InvalidDiskName.Malformed", "InvalidDescription.Malformed",
        "InvalidSnapshotId.NotFound", "InvalidSnapshotId.NotReady", "InvalidSnapshotId.NotDataDiskSnapshot",
        "InvalidSnapshot.TooOld", "InvalidDiskSize.TooSmall", "InvalidSize.ValueNotSupported",
        "InvalidTagKey.Malformed", "InvalidTagValue.Malformed", "QuotaExceed.Tags", "Duplicate.TagKey",
        "QuotaExceed.PostPaidDisk", "InvalidAccountStatus.NotEnoughBalance", "LastTokenProcessing", *TOKEN,
    )  # fmt: skip
    def create(self, call: Call) -> dict[str, Any]:
        """Creates a data disk in a zone, empty or of a snapshot.

        Not modelled: with InstanceId (subscription disks), encryption, multi-attach."""
        p = call.params
        if p.get("InstanceId"):
            if p.get("ZoneId"):
                raise ApiError("InvalidParam.ZoneIdAndInstanceId.Conflict", "Give ZoneId or InstanceId.", 403)
            raise ApiError("UnsupportedParameter", "The emulator does not model CreateDisk with InstanceId.")
        disk = self._ecs.disks.create(
            zone=params.required(p, "ZoneId"),
            category=p.get("DiskCategory") or "cloud",
            level=p.get("PerformanceLevel", ""),
            size_gib=params.integer(p, "Size"),
            snapshot_id=p.get("SnapshotId") or None,
            name=p.get("DiskName"),
            description=p.get("Description"),
            tags=paging.tags(call),
            resource_group=p.get("ResourceGroupId", ""),
            token=p.get("ClientToken"),
        )
        return {"DiskId": disk.id, "OrderId": ""}

    @reads("InstanceId", "DiskId", "DeleteWithInstance", "Device", "Bootable", "Password", "KeyPairName")
    @raises(
        "InvalidDiskId.NotFound", "InvalidInstanceId.NotFound", "IncorrectInstanceStatus", "InvalidDisk.InUse",
        "IncorrectDiskStatus", "ResourcesNotInSameZone", "InvalidDisk.DiskNotBootable",
        "InvalidInstance.NotOriginInstance", "InstanceDiskLimitExceeded", "InvalidDevice.InUse",
        "InstanceLockedForSecurity", "DiskInArrears", "InvalidPassword.Malformed",
    )  # fmt: skip
    def attach(self, call: Call) -> dict[str, Any]:
        """Attaches an Available disk: as a data disk, or with Bootable as the system disk of its original instance.

        Not modelled: Force (regional disks), how many may be under way at once."""
        p = call.params
        check_password(p.get("Password"))
        self._ecs.attachments.attach(
            params.required(p, "DiskId"),
            params.required(p, "InstanceId"),
            delete_with_instance=params.boolean(p, "DeleteWithInstance", False),
            boots=params.boolean(p, "Bootable", False),
            has_credentials=bool(p.get("Password") or p.get("KeyPairName")),
            device=(p.get("Device") or "").replace("/dev/xvd", "/dev/vd") or None,
        )
        return {}

    @reads("InstanceId", "DiskId", "DeleteWithInstance")
    @raises(
        "InvalidDiskId.NotFound", "InvalidInstanceId.NotFound", "InvalidDisk.AlreadyDetached", "DependencyViolation",
        "InvalidOperation.DiskDetachingFromThisEcs", "IncorrectDiskStatus", "IncorrectInstanceStatus",
        "InstanceLockedForSecurity",
    )  # fmt: skip
    def detach(self, call: Call) -> dict[str, Any]:
        """Detaches a disk, which takes about a minute.

        Not modelled: how many may be under way at once."""
        p = call.params
        self._ecs.attachments.detach(
            params.required(p, "DiskId"),
            params.required(p, "InstanceId"),
            delete_with_instance=params.boolean(p, "DeleteWithInstance"),
        )
        return {}

    @reads("DiskId")
    @raises("InvalidDiskId.NotFound", "IncorrectDiskStatus")
    def delete(self, call: Call) -> dict[str, Any]:
        """Deletes an Available disk; manual snapshots stay."""
        self._ecs.disks.delete(params.required(call.params, "DiskId"))
        return {}

    @reads(
        "DiskId", "DiskIds.N", "DiskName", "Description", "DeleteWithInstance", "DeleteAutoSnapshot",
        "EnableAutoSnapshot",
    )  # fmt: skip
    @raises(
        "InvalidDiskId.NotFound", "InvalidDiskName.Malformed", "InvalidDescription.Malformed",
        "DiskCategory.OperationNotSupported",
    )  # fmt: skip
    def modify(self, call: Call) -> dict[str, Any]:
        """Changes names, texts and what happens when the instance is released, of one disk or of up to 100."""
        p, several = call.params, params.list_of(call.params, "DiskIds")
        if several and p.get("DiskId"):
            raise ApiError("InvalidParameter", "Give DiskId or DiskIds.N, not both.")
        if len(several) > IDS_AT_MOST:
            raise params.invalid("DiskIds", f"it holds {len(several)} ids, at most {IDS_AT_MOST} are allowed")
        self._ecs.disks.modify(
            several or [params.required(p, "DiskId")],
            name=p.get("DiskName"),
            description=p.get("Description"),
            delete_with_instance=params.boolean(p, "DeleteWithInstance"),
            delete_auto_snapshot=params.boolean(p, "DeleteAutoSnapshot"),
            enable_auto_snapshot=params.boolean(p, "EnableAutoSnapshot"),
        )
        return {}

    @reads("DiskId", "NewSize", "Type", "ClientToken")
    @raises(
        "InvalidDiskId.NotFound", "IncorrectDiskStatus", "IncorrectInstanceStatus", "DiskCreatingSnapshot",
        "InvalidDiskCategory.NotSupported", "InvalidDiskSize.TooSmall", "InvalidDiskSize.NotSupported",
        "InstanceLockedForSecurity", "IdempotentProcessing", *TOKEN,
    )  # fmt: skip
    def resize(self, call: Call) -> dict[str, Any]:
        """Makes a disk larger: offline (the default: seen after the next restart) or online."""
        p = call.params
        how = p.get("Type") or "offline"
        if how not in ("offline", "online"):
            raise params.invalid("Type", f"{how!r} is neither offline nor online")
        self._ecs.attachments.resize(
            params.required(p, "DiskId"),
            params.required_integer(p, "NewSize"),
            online=how == "online",
            token=p.get("ClientToken"),
        )
        return {"OrderId": ""}


def _creation(call: Call) -> tuple[Any, Any]:
    found = {}
    for entry in params.objects(call.params, "Filter"):
        key = entry.get("Key", "")
        if key not in FILTERS:
            raise ApiError("InvalidFilterKey.NotFound", f"{key!r} is not one of {', '.join(FILTERS)}.", 404)
        found[key] = moment(entry.get("Value"))
    return found.get("CreationStartTime"), found.get("CreationEndTime")


def _asks_for_what_is_not_here(call: Call) -> bool:
    """Filters on what no emulated disk is: encrypted, shared, subscribed, locked."""
    p = call.params
    return (
        params.boolean(p, "Encrypted", False)
        or bool(p.get("KMSKeyId"))
        or params.boolean(p, "EnableShared", False)
        or p.get("MultiAttach", "Disabled") not in ("", "Disabled")
        or p.get("DiskChargeType", "PostPaid") not in ("", "PostPaid")
        or bool(p.get("LockReason"))
    )
