"""CreateAutoSnapshotPolicy, ModifyAutoSnapshotPolicyEx, ApplyAutoSnapshotPolicy, CancelAutoSnapshotPolicy,
DeleteAutoSnapshotPolicy, DescribeAutoSnapshotPolicyEx, DescribeAutoSnapshotPolicyAssociations.

The changing ones spell their own parameters with a small first letter, `regionId` among them, unlike every other action
of ECS; the describing ones do not.
"""

import json
from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.api.snapshots import ACCOUNT_CODES, TAG_CODES
from emulator.ecs.policies import FOR_EVER, AutoSnapshotPolicies, Policy, Settings
from emulator.ecs.rules import iso
from emulator.ecs.shelf import carries
from emulator.wire import params, strict_json
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

SETTINGS = (
    "regionId", "autoSnapshotPolicyName", "timePoints", "repeatWeekdays", "retentionDays", "EnableCrossRegionCopy",
    "TargetCopyRegions", "CopiedSnapshotsRetentionDays",
)  # fmt: skip
SETTINGS_CODES = (
    "ParameterInvalid", "InvalidSnapshotPolicyName.Malformed", "InvalidParameter.TargetCopyRegions",
    "InvalidParameter.CopiedSnapshotsRetentionDays",
)  # fmt: skip


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = PoliciesApi(ecs)
    return {
        "CreateAutoSnapshotPolicy": api.create,
        "ModifyAutoSnapshotPolicyEx": api.modify,
        "ApplyAutoSnapshotPolicy": api.apply,
        "CancelAutoSnapshotPolicy": api.cancel,
        "DeleteAutoSnapshotPolicy": api.delete,
        "DescribeAutoSnapshotPolicyEx": api.describe,
        "DescribeAutoSnapshotPolicyAssociations": api.associations,
    }


class PoliciesApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    def _there(self, call: Call) -> AutoSnapshotPolicies:
        """The gateway looks for RegionId; regionId is ours to obey."""
        region = params.required(call.params, "regionId")
        if region not in self._ecs.cloud.regions:
            raise ApiError("ParameterInvalid", f"The specified regionId {region!r} is invalid.", 403)
        return self._ecs.realm.sibling(region).ecs.snapshots.policies

    @reads(*SETTINGS, "ResourceGroupId", "AssociationType", *paging.TAGS)
    @raises(*SETTINGS_CODES, "AutoSnapshotPolicy.QuotaExceed", *ACCOUNT_CODES, *TAG_CODES)
    def create(self, call: Call) -> dict[str, Any]:
        """Makes a policy; its hours are UTC+8 wherever it is. It does nothing until it is applied to a disk.

        Not modelled: AssociationType AssociatedWithInstanceTag, encryption of the copies.
        """
        p = call.params
        for name in ("timePoints", "repeatWeekdays", "retentionDays"):
            params.required(p, name)
        if p.get("AssociationType") not in (None, "", "AssociatedWithDisk"):
            raise params.invalid("AssociationType", "the emulator models AssociatedWithDisk only")
        policy = self._there(call).create(
            _settings(call), tags=paging.tags(call), resource_group=p.get("ResourceGroupId", "")
        )
        return {"AutoSnapshotPolicyId": policy.id}

    @reads(*SETTINGS, "autoSnapshotPolicyId")
    @raises(*SETTINGS_CODES)
    def modify(self, call: Call) -> dict[str, Any]:
        """Changes a policy; what is not sent stays."""
        policies = self._there(call)
        policies.modify(params.required(call.params, "autoSnapshotPolicyId"), _settings(call))
        return {}

    @reads("regionId", "autoSnapshotPolicyId", "diskIds")
    @raises("ParameterInvalid", "InvalidDiskId.NotFound", "QuotaExceed.AppliedAutoSnapshotPolicyQuota", *ACCOUNT_CODES)
    def apply(self, call: Call) -> dict[str, Any]:
        """Puts disks under a policy: instead of the one they had, or beside it for an upgraded account.

        Not modelled: PartofDiskCategory.OperationNotSupported (no such disks), InvalidOperation.Conflict.
        """
        self._there(call).apply(params.required(call.params, "autoSnapshotPolicyId"), _texts(call, "diskIds") or [])
        return {}

    @reads("regionId", "autoSnapshotPolicyId", "diskIds")
    @raises("ParameterInvalid", "InvalidDiskId.NotFound", "OperationDenied.TooManyAutoSnapshotPolicies")
    def cancel(self, call: Call) -> dict[str, Any]:
        """Takes disks from under their policy; snapshots stay."""
        params.required(call.params, "diskIds")
        policy = call.params.get("autoSnapshotPolicyId") or None
        self._there(call).cancel(_texts(call, "diskIds") or [], policy)
        return {}

    @reads("regionId", "autoSnapshotPolicyId")
    @raises("ParameterInvalid")
    def delete(self, call: Call) -> dict[str, Any]:
        """Deletes a policy, also one that disks are under."""
        self._there(call).delete(params.required(call.params, "autoSnapshotPolicyId"))
        return {}

    @reads("AutoSnapshotPolicyId", "AutoSnapshotPolicyName", "ResourceGroupId", "PageNumber", "PageSize", *paging.TAGS)
    @raises()
    def describe(self, call: Call) -> dict[str, Any]:
        """Lists policies by page numbers."""
        p = call.params
        wanted, name, group = p.get("AutoSnapshotPolicyId"), p.get("AutoSnapshotPolicyName"), p.get("ResourceGroupId")
        tags = paging.tag_filter(call)

        def matches(policy: Policy) -> bool:
            return (
                (not wanted or policy.id == wanted)
                and (not name or policy.name == name)
                and (not group or policy.resource_group == group)
                and (not tags or carries(policy.tags, tags))
            )

        items, fields = paging.numbered(call, self._ecs.snapshots.policies.shelf, matches, self._render, cap=100)
        return {
            "AutoSnapshotPolicies": {"AutoSnapshotPolicy": items},
            **paging.only(fields, "PageNumber", "PageSize", "TotalCount"),
        }

    def _render(self, policy: Policy) -> dict[str, Any]:
        return {
            "AutoSnapshotPolicyId": policy.id,
            "AutoSnapshotPolicyName": policy.name,
            "TimePoints": json.dumps([str(hour) for hour in policy.hours]),
            "RepeatWeekdays": json.dumps([str(day) for day in policy.weekdays]),
            "RetentionDays": FOR_EVER if policy.retention_days is None else policy.retention_days,
            "DiskNums": len(policy.disks),
            "VolumeNums": 0,
            "Status": "Normal",
            "CreationTime": iso(policy.created),
            "EnableCrossRegionCopy": policy.copies,
            "TargetCopyRegions": json.dumps([policy.copy_region]) if policy.copy_region else "",
            "CopiedSnapshotsRetentionDays": (
                FOR_EVER if policy.copy_retention_days is None else policy.copy_retention_days
            ),
            "Type": "Custom",
            "AssociationType": "AssociatedWithDisk",
            "RegionId": self._ecs.region,
            "ResourceGroupId": policy.resource_group,
            "Tags": paging.tag_list(policy.tags),
        }

    @reads("AutoSnapshotPolicyId", "DiskId", "NextToken", "MaxResults")
    @raises("InvalidParameter.NextToken")
    def associations(self, call: Call) -> dict[str, Any]:
        """Lists which policy is on which disk; one of the two filters at a time."""
        policy, disk = call.params.get("AutoSnapshotPolicyId"), call.params.get("DiskId")
        if policy and disk:
            raise params.invalid("DiskId", "only one of AutoSnapshotPolicyId and DiskId may be given")
        items, fields = paging.listed(
            call,
            self._ecs.snapshots.policies.associations,
            lambda one: (not policy or one.policy_id == policy) and (not disk or one.disk_id == disk),
            lambda one: {"AutoSnapshotPolicyId": one.policy_id, "DiskId": one.disk_id},
            cap=100,
        )
        return {
            "AutoSnapshotPolicyAssociations": {"AutoSnapshotPolicyAssociation": items},
            **paging.only(fields, "NextToken"),
        }


def _settings(call: Call) -> Settings:
    return Settings(
        name=call.params.get("autoSnapshotPolicyName"),
        hours=_texts(call, "timePoints"),
        weekdays=_texts(call, "repeatWeekdays"),
        retention_days=_days(call, "retentionDays", "ParameterInvalid"),
        copies=params.boolean(call.params, "EnableCrossRegionCopy"),
        copy_regions=_texts(call, "TargetCopyRegions", "InvalidParameter.TargetCopyRegions"),
        copy_retention_days=_days(
            call, "CopiedSnapshotsRetentionDays", "InvalidParameter.CopiedSnapshotsRetentionDays"
        ),
    )


def _texts(call: Call, name: str, code: str = "ParameterInvalid") -> list[str] | None:
    """A JSON array of texts; numbers in it are refused."""
    text = call.params.get(name)
    if not text:
        return None
    try:
        read = strict_json.parse(text)
    except ValueError:
        read = None
    if not isinstance(read, list) or not all(isinstance(item, str) for item in read):
        raise ApiError(code, f"The specified {name} is invalid: {text[:80]!r} is not a JSON array of texts.", 403)
    return read


def _days(call: Call, name: str, code: str) -> int | None:
    text = call.params.get(name)
    try:
        return None if not text else int(text)
    except ValueError:
        raise ApiError(code, f"The specified {name} is invalid: {text!r} is not a number.", 403) from None
