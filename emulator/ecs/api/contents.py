"""ResetDisk, ResetDisks, ReInitDisk, ReplaceSystemDisk."""

from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.contents import Reset
from emulator.ecs.rules import check_password
from emulator.wire import params
from emulator.wire.call import Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

RESET = (
    "InvalidDiskId.NotFound", "InvalidSnapshotId.NotFound", "InvalidInstanceId.NotFound", "IncorrectDiskStatus",
    "IncorrectInstanceStatus", "InvalidParameter.Mismatch", "InvalidSnapshotId.NotReady", "InvalidSnapshot.TooOld",
    "IncorrectDiskStatus.HasUnfinishedSnapshot", "InvalidOperation.DiskResetInProgress", "InstanceLockedForSecurity",
    "InstanceExpiredOrInArrears", "DryRunOperation",
)  # fmt: skip


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = ContentsApi(ecs)
    return {
        "ResetDisk": api.reset,
        "ResetDisks": api.reset_many,
        "ReInitDisk": api.reinit,
        "ReplaceSystemDisk": api.replace,
    }


class ContentsApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads("DiskId", "SnapshotId", "DryRun")
    @raises(*RESET)
    def reset(self, call: Call) -> dict[str, Any]:
        """Rolls a disk back to a snapshot of itself: contents and size. Takes time and cannot be undone."""
        disk, snapshot = params.required(call.params, "DiskId"), params.required(call.params, "SnapshotId")
        self._ecs.contents.check_reset(disk, snapshot)
        paging.dry_run(call)
        self._ecs.contents.reset(disk, snapshot)
        return {}

    @reads("Disk.N.DiskId", "Disk.N.SnapshotId", "DryRun")
    @raises(*RESET)
    def reset_many(self, call: Call) -> dict[str, Any]:
        """Rolls up to ten disks back to one snapshot group; the answer has a line for each."""
        wanted = [
            (params.required(entry, "DiskId"), params.required(entry, "SnapshotId"))
            for entry in params.objects(call.params, "Disk")
        ]
        self._ecs.contents.check_resets(wanted)
        paging.dry_run(call)
        return {
            "OperationProgressSet": {"OperationProgress": [_progress(one) for one in self._ecs.contents.resets(wanted)]}
        }

    @reads("DiskId", "Password", "KeyPairName", "AutoStartInstance", "SecurityEnhancementStrategy")
    @raises(
        "InvalidDiskId.NotFound", "InvalidInstanceId.NotFound", "InvalidImageId.NotFound", "IncorrectDiskStatus",
        "IncorrectInstanceStatus", "InstanceLockedForSecurity", "DiskCreatingSnapshot", "InvalidSourceSnapshot",
        "SharedImageDeleted", "InvalidPassword.Malformed",
    )  # fmt: skip
    def reinit(self, call: Call) -> dict[str, Any]:
        """Makes a disk again as it was when it was new: of its image, of its snapshot, or empty."""
        p = call.params
        check_password(p.get("Password"))
        self._ecs.contents.reinit(
            params.required(p, "DiskId"), starts=params.boolean(p, "AutoStartInstance", False)
        )  # fmt: skip
        return {}

    @reads(
        "InstanceId", "ImageId", "SystemDisk.Size", "Password", "PasswordInherit", "KeyPairName", "Platform",
        "Architecture", "UseAdditionalService", "SecurityEnhancementStrategy", "ClientToken",
    )  # fmt: skip
    @raises(
        "InvalidInstanceId.NotFound", "InvalidImageId.NotFound", "OperationDenied.InstanceCreating",
        "OperationDenied.ImageNotValid", "IncorrectInstanceStatus", "IncorrectDiskStatus", "DiskCreatingSnapshot",
        "InvalidSystemDiskSize.LessThanImageSize", "InvalidSystemDiskSize.ValueNotSupported",
        "InstanceLockedForSecurity", "InvalidPassword.Malformed", "IdempotentParameterMismatch",
        "IdempotentProcessing", "InvalidClientToken.Malformed",
    )  # fmt: skip
    def replace(self, call: Call) -> dict[str, Any]:
        """Gives a stopped instance a new system disk of an image; the answer has the new DiskId.

        Not modelled: replacing it by a disk (DiskId), encryption."""
        p = call.params
        check_password(p.get("Password"))
        fresh = self._ecs.contents.replace(
            params.required(p, "InstanceId"),
            params.required(p, "ImageId"),
            size_gib=params.integer(p, "SystemDisk.Size"),
            token=p.get("ClientToken"),
        )
        return {"DiskId": fresh.id}


def _progress(reset: Reset) -> dict[str, Any]:
    related = [{"Name": "DiskId", "Value": reset.disk_id}, {"Name": "SnapshotId", "Value": reset.snapshot_id}]
    return {
        "OperationStatus": "Failed" if reset.error else "Success",
        "ErrorCode": reset.error.code if reset.error else "",
        "ErrorMsg": reset.error.message if reset.error else "",
        "RelatedItemSet": {"RelatedItem": related},
    }
