"""CopySnapshot, CopyImage, CancelCopyImage."""

from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.api.snapshots import ACCOUNT_CODES, TAG_CODES, TOKEN_CODES, retention
from emulator.wire import params
from emulator.wire.call import Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs


KMS_CODES = (
    "InvalidParameter.KMSKeyId.NotFound", "InvalidParameter.KMSKeyId.CMKNotEnabled",
    "InvalidParameter.KMSKeyId.KMSUnauthorized",
)  # fmt: skip


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = CopiesApi(ecs)
    return {
        "CopySnapshot": api.copy_snapshot,
        "CopyImage": api.copy_image,
        "CancelCopyImage": api.cancel_copy_image,
    }


class CopiesApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "SnapshotId", "DestinationRegionId", "DestinationSnapshotName", "DestinationSnapshotDescription",
        "RetentionDays", "Encrypted", "KMSKeyId", "ClientToken", *paging.TAGS,
    )  # fmt: skip
    @raises(
        "InvalidSnapshotId.NotFound", "InvalidSnapshotId.NotReady", "InvalidOperation.NotSupportCopyInSameRegion",
        "InvalidSnapshotCategory.NotSupportCopy", "InvalidEncrypted.NotMatchKmsKeyId",
        "InvalidEncrypted.NotSupportDecrypt", "InvalidSnapshotName.Malformed", "InvalidDescription.Malformed",
        "InvalidRetentionDays.Malformed", "InvalidRegionId.NotExists", "InvalidOperation.UnfinishedCrossRegionCopy",
        "InvalidOperation.UnfinishedEncryptedSnapshotCopy", "QuotaExceed.SnapshotQuota", *KMS_CODES,
        *ACCOUNT_CODES, *TAG_CODES, *TOKEN_CODES,
    )  # fmt: skip
    def copy_snapshot(self, call: Call) -> dict[str, Any]:
        """Begins a copy in another region; called in the source region, answered with the id there.

        Not modelled: white lists, legal borders, InvalidOperation.Conflict; whether a KMS key exists, unless the region
        was told its keys.
        """
        p = call.params
        made = self._ecs.snapshots.copies.copy(
            params.required(p, "SnapshotId"),
            region=params.required(p, "DestinationRegionId"),
            name=params.required(p, "DestinationSnapshotName"),
            description=params.required(p, "DestinationSnapshotDescription"),
            retention_days=retention(call, status=403),
            encrypted=params.boolean(p, "Encrypted"),
            kms_key=p.get("KMSKeyId", ""),
            tags=paging.tags(call),
            token=p.get("ClientToken"),
        )
        return {"SnapshotId": made.id}

    @reads(
        "ImageId", "DestinationRegionId", "DestinationImageName", "DestinationDescription", "ResourceGroupId",
        "Encrypted", "KMSKeyId", "ClientToken", "DryRun", *paging.TAGS,
    )  # fmt: skip
    @raises(
        "InvalidImageId.NotFound", "IncorrectImageStatus", "InvalidImageName.Duplicated", "InvalidImageName.Malformed",
        "InvalidDescription.Malformed", "DestinationRegion.NotFound", "OperationDenied.ImageCopyConflict",
        "OperationDenied.ImageCopying", "OperationDenied.SameRegionOnly", "IncorrectDestinationRegion",
        "SizeExceed.Image", "QuotaExceed.Image", "QuotaExceed.Snapshot", "DryRunOperation",
        "InvalidEncrypted.NotMatchKmsKeyId", *KMS_CODES, *TAG_CODES, *TOKEN_CODES,
    )  # fmt: skip
    def copy_image(self, call: Call) -> dict[str, Any]:
        """Queues a copy of an image in another region; called in the source region, answered with the id there.

        Not modelled: copies within the region, legal borders, InvalidOperation.Conflict.
        """
        p = call.params
        made = self._ecs.images.copies.copy(
            params.required(p, "ImageId"),
            region=params.required(p, "DestinationRegionId"),
            name=p.get("DestinationImageName") or None,
            description=p.get("DestinationDescription") or None,
            resource_group=p.get("ResourceGroupId", ""),
            encrypted=params.boolean(p, "Encrypted", False),
            kms_key=p.get("KMSKeyId", ""),
            tags=paging.tags(call),
            token=p.get("ClientToken"),
            dry_run=params.boolean(p, "DryRun", False),
        )
        return {"ImageId": made.id}

    @reads("ImageId")
    @raises("InvalidImageId.NotFound", "ImageCreatedNotFromCopy", "IncorrectImageStatus")
    def cancel_copy_image(self, call: Call) -> dict[str, Any]:
        """Gives up a copy that is not finished; called in the target region.

        Not modelled: InvalidDescription.Malformed and CancelNotSupported, whose causes are not documented.
        """
        self._ecs.images.copies.cancel(params.required(call.params, "ImageId"))
        return {}
