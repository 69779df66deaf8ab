"""CreateSnapshot, DescribeSnapshots, DeleteSnapshot, ModifySnapshotAttribute, ModifySnapshotCategory."""

from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.api.windows import creation_window
from emulator.ecs.rules import iso
from emulator.ecs.shelf import carries
from emulator.ecs.snapshot import Snapshot
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

STATES = ("progressing", "accomplished", "failed", "all")
USAGES = ("image", "disk", "image_disk", "none")
TAGS_AT_MOST = 20

TAG_CODES = ("Duplicate.TagKey", "InvalidTagKey.Malformed", "InvalidTagValue.Malformed", "QuotaExceed.Tags")
TOKEN_CODES = ("IdempotentParameterMismatch", "IdempotentProcessing", "InvalidClientToken.Malformed")
ACCOUNT_CODES = ("InvalidAccountStatus.NotEnoughBalance", "InvalidAccountStatus.SnapshotServiceUnavailable")
DISK_CODES = (
    "IncorrectInstanceStatus", "InstanceLockedForSecurity", "IncorrectDiskStatus", "IncorrectDiskStatus.NeverAttached",
    "IncorrectDiskStatus.CreatingSnapshot", "QuotaExceed.ConcurrentSnapshotQuota", "QuotaExceed.Snapshot",
)  # fmt: skip
"""What refuses a snapshot of a disk, whoever asks for it."""


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = SnapshotsApi(ecs)
    return {
        "CreateSnapshot": api.create,
        "DescribeSnapshots": api.describe,
        "DeleteSnapshot": api.delete,
        "ModifySnapshotAttribute": api.modify,
        "ModifySnapshotCategory": api.modify_category,
    }


def retention(call: Call, *, status: int = 400) -> int | None:
    """RetentionDays; absent is for ever."""
    days = call.params.get("RetentionDays")
    try:
        return None if not days else int(days)
    except ValueError:
        raise ApiError("InvalidRetentionDays.Malformed", f"RetentionDays {days!r} is not a number.", status) from None


class SnapshotsApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "DiskId", "SnapshotName", "Description", "RetentionDays", "ClientToken", "Category", "InstantAccess",
        "InstantAccessRetentionDays", "ResourceGroupId", *paging.TAGS,
    )  # fmt: skip
    @raises(
        "InvalidSnapshotName.Malformed", "InvalidDescription.Malformed", "InvalidRetentionDays.Malformed",
        "InvalidDiskId.NotFound", "InvalidSnapshotCategory.Malformed", *DISK_CODES, *ACCOUNT_CODES, *TAG_CODES,
        *TOKEN_CODES,
    )  # fmt: skip
    def create(self, call: Call) -> dict[str, Any]:
        """Begins a snapshot of one disk; whether it succeeds shows only later.

        InstantAccess and its days are taken and do nothing, as in the cloud.
        Not modelled: Category flash, StorageLocationArn, KMS codes, resource groups that do not exist.
        """
        p = call.params
        if p.get("Category", "standard").lower() != "standard":
            raise ApiError("InvalidSnapshotCategory.Malformed", "Only Standard snapshots are made.", 403)
        params.boolean(p, "InstantAccess")
        params.integer(p, "InstantAccessRetentionDays", low=1, high=65_535)
        snapshot = self._ecs.snapshots.create(
            params.required(p, "DiskId"),
            name=p.get("SnapshotName"),
            description=p.get("Description"),
            retention_days=retention(call),
            tags=paging.tags(call),
            resource_group=p.get("ResourceGroupId", ""),
            token=p.get("ClientToken"),
        )
        return {"SnapshotId": snapshot.id}

    @reads(
        "DiskId", "InstanceId", "SnapshotIds", "SnapshotName", "SnapshotLinkId", "SnapshotType", "Status", "Usage",
        "SourceDiskType", "Filter.N.Key", "Filter.N.Value", "Encrypted", "KMSKeyId", "Category", "ResourceGroupId",
        *paging.TAGS, *paging.PAGING,
    )  # fmt: skip
    @raises(
        "InvalidSnapshotIds.Malformed", "InvalidFilterKey.NotFound", "InvalidFilterValue", "InvalidUsage",
        "InvalidStatus.NotFound", "InvalidTag.Mismatch", "InvalidTagCount", "InvalidParameter.NextToken",
        "DryRunOperation",
    )  # fmt: skip
    def describe(self, call: Call) -> dict[str, Any]:
        """Lists snapshots, newest first (assumption). Encrypted left out shows both kinds (unverified)."""
        p = call.params
        ids = params.json_texts(p, "SnapshotIds", at_most=100)
        disk, instance, name = p.get("DiskId") or p.get("SnapshotLinkId"), p.get("InstanceId"), p.get("SnapshotName")
        status, usage = p.get("Status") or "all", p.get("Usage") or None
        kind, source_kind = p.get("SnapshotType") or "all", (p.get("SourceDiskType") or "").lower()
        encrypted, category = params.boolean(p, "Encrypted"), (p.get("Category") or "").lower()
        key, group = p.get("KMSKeyId"), p.get("ResourceGroupId")
        if status not in STATES:
            raise ApiError("InvalidStatus.NotFound", f"The status {status!r} is not one of {', '.join(STATES)}.", 404)
        if usage is not None and usage not in USAGES:
            raise ApiError("InvalidUsage", f"The usage {usage!r} is not one of {', '.join(USAGES)}.", 404)
        since, until = creation_window(call)
        tags = self._tag_filter(call)

        def matches(s: Snapshot) -> bool:
            return (
                (not disk or s.disk_id == disk)
                and (not instance or s.instance_id == instance)
                and (not name or s.name == name)
                and (status in ("all", s.status))
                and (usage is None or s.usage == usage)
                and (kind in ("all", s.type))
                and (not source_kind or s.disk_kind == source_kind)
                and (encrypted is None or s.encrypted == encrypted)
                and (not key or s.kms_key == key)
                and (not category or s.category == category)
                and (not group or s.resource_group == group)
                and (since is None or s.created >= since)
                and (until is None or s.created <= until)
                and (not tags or carries(s.tags, tags))
            )

        if disk and ids is None:
            ids = [s.id for s in reversed(list(self._ecs.snapshots.chains.of(disk)))]
        items, fields = paging.listed(
            call, self._ecs.snapshots.shelf, matches, self._render, cap=100, clamp_low=False, ids=ids
        )
        return {"Snapshots": {"Snapshot": items}, **fields}

    def _tag_filter(self, call: Call) -> list[tuple[str, str | None]]:
        given = params.objects(call.params, "Tag")
        if len(given) > TAGS_AT_MOST:
            raise ApiError("InvalidTagCount", f"At most {TAGS_AT_MOST} tags, got {len(given)}.")
        if any(tag.get("Value") and not tag.get("Key") for tag in given):
            raise ApiError("InvalidTag.Mismatch", "A tag value is given without its key.")
        return paging.tag_filter(call)

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
            "Category": s.category,
            "CreationTime": iso(s.created),
            "LastModifiedTime": iso(s.modified or s.finished or s.created),
            "SourceDiskId": s.disk_id,
            "SourceDiskSize": str(s.size_gib),
            "SourceDiskType": s.disk_kind,
            "SourceStorageType": "disk",
            "SnapshotLinkId": s.disk_id,
            "Usage": s.usage,
            "Encrypted": s.encrypted,
            "KMSKeyId": s.kms_key,
            "FullSnapshotSizeInBytes": s.full_bytes,
            "InstantAccess": s.available and s.disk_category.startswith(("cloud_essd", "cloud_auto")),
            "RegionId": self._ecs.region,
            "ResourceGroupId": s.resource_group,
            "ProductCode": "",
            "Tags": paging.tag_list(s.tags),
        }
        if s.name:  # absent if none was given
            answer["SnapshotName"] = s.name
        if s.retention_days is not None:
            answer["RetentionDays"] = s.retention_days
        if s.source_id:
            answer["SourceSnapshotId"], answer["SourceRegionId"] = s.source_id, s.source_region
        return answer

    @reads("SnapshotId", "Force")
    @raises(
        "InvalidSnapshotId.NotFound", "SnapshotCreatedImage", "SnapshotCreatedDisk",
        "InvalidOperation.RelatedSnapshotNotFinished", "InvalidOperation.DeleteSharedSnapshotUnsupported",
        "InvalidOperation.ResourceManagedByCloudProduct", "InvalidOperation.SnapshotIsLocked",
    )  # fmt: skip
    def delete(self, call: Call) -> dict[str, Any]:
        """Deletes a snapshot, or cancels one that is progressing. A missing id is ignored unless a switch says 404.

        Not modelled: IncorrectDiskStatus.CreatingSnapshot and Operation.Conflict, whose causes are not documented.
        """
        self._ecs.snapshots.delete(
            params.required(call.params, "SnapshotId"), force=params.boolean(call.params, "Force", False)
        )
        return {}

    @reads("SnapshotId", "SnapshotName", "Description", "RetentionDays", "DisableInstantAccess")
    @raises(
        "NoAttributeToModify", "InvalidSnapshotName.Malformed", "InvalidRetentionDays.Malformed",
        "InvalidOperation.DecreaseRetentionDaysUnsupported", "InvalidSnapshotId.NotReady",
        "IncorrectDiskStatus.CreatingSnapshot", "InvalidOperation.ResourceManagedByCloudProduct",
        "InvalidSnapshotId.NotFound", "InvalidDescription.Malformed",
    )  # fmt: skip
    def modify(self, call: Call) -> dict[str, Any]:
        """Changes name, description or retention; the retention can only be extended.

        DisableInstantAccess is taken and does nothing. Not modelled: InvalidOperation.DefaultFreeSnapshotNotSupport.
        """
        p = call.params
        params.boolean(p, "DisableInstantAccess")
        self._ecs.snapshots.modify(
            params.required(p, "SnapshotId"),
            name=p.get("SnapshotName") or None,
            description=p.get("Description"),
            retention_days=retention(call),
        )
        return {}

    @reads("SnapshotId", "Category", "RetentionDays")
    @raises(
        "InvalidSnapshotId.NotFound", "InvalidSnapshotCategory.Malformed", "InvalidRetentionDays.Malformed",
        "InvalidRegion.NotSupport", "InvalidSnapshotId.NotReady", "InvalidOperation.ResourceManagedByCloudProduct",
    )  # fmt: skip
    def modify_category(self, call: Call) -> dict[str, Any]:
        """Archives a standard snapshot of at least 14 days, for good. Its codes are assumptions.

        Not modelled: the archiving task's progress (it is done at once), the fee for 60 days.
        """
        p = call.params
        if (p.get("Category") or "Archive") != "Archive":
            raise ApiError("InvalidSnapshotCategory.Malformed", f"The category {p['Category']!r} is not Archive.", 403)
        self._ecs.snapshots.archive(params.required(p, "SnapshotId"), retention(call))
        return {"TaskId": self._ecs.chance.id("t")}
