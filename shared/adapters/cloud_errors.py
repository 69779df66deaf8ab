"""Cloud error codes in our words: the one table. Beyond the adapters nobody looks at a code string.

Order matters: the first line whose pattern fits a code decides. A code that no line knows is judged by status alone:
5xx, and an error within a 200, may have had its effect; everything else is Permanent. Nothing unknown is ever guessed
to be retryable.
"""

from collections.abc import Callable
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Final

from shared.adapters.network_codes import FAILED_INSIDE, OF_SERVICE
from shared.domain.errors import (
    AddressTaken,
    BadInput,
    Busy,
    Conflict,
    CredentialsRejected,
    DrError,
    Forbidden,
    NoStock,
    NotAttached,
    NotFound,
    OutcomeUnknown,
    Permanent,
    QuotaReached,
    Throttled,
)
from shared.domain.errors import Retryable as Retryable

Make = Callable[[str], DrError]


class RehearsalPassed(Permanent):
    """A dry run has nothing against it: the cloud says so by an error. Adapters turn it into an answer."""


def _wrong_key(text: str) -> DrError:
    return BadInput(
        f"{text}. Name an enabled key of the target region as kms_key of the copy rule, and let ECS use it; what is "
        "encrypted stays encrypted"
    )


def _wrong_region(text: str) -> DrError:
    return BadInput(
        f"{text}. Name another region in the copy rule: one that the account has enabled, that takes copies, and that "
        "is not the policy's own"
    )


CODES: Final[tuple[tuple[str, Make, str], ...]] = (
    # pattern, error, source
    ("DryRunOperation", RehearsalPassed, "RunInstances with DryRun; no code of its own otherwise"),
    ("InvalidParameter.KMSKeyId.*", _wrong_key, "CreateSnapshot; assumption: CopySnapshot and CopyImage too"),
    ("InvalidEncrypted.*", _wrong_key, "CopySnapshot: NotMatchKmsKeyId, NotSupportDecrypt"),
    ("InvalidRegionId.*", _wrong_region, "CopySnapshot: NotExists; DescribeRegions lists those that are enabled"),
    ("DestinationRegion.NotFound", _wrong_region, "CopyImage"),
    ("IncorrectDestinationRegion", _wrong_region, "CopyImage"),
    ("RegionNotSupportCopy", _wrong_region, "CopyImage"),
    ("OperationDenied.NonCompliantDestinationRegion", _wrong_region, "CopySnapshot, CopyImage: a legal border"),
    ("InvalidOperation.NotSupportCopyInSameRegion", _wrong_region, "CopySnapshot"),
    (
        "*Throttling*",
        Throttled,
        "common gateway codes; spelling varies (Throttling.User, .Api, Rejected.Throttling)",
    ),
    ("ServiceUnavailable*", Retryable, "common gateway codes, 503: refused before any effect"),
    ("LimitedOperation.ServiceUnavailable", Retryable, "StopInstance, 503"),
    ("SignatureNonceUsed", Retryable, "a lost answer was resent by a proxy: sign anew"),
    ("OperationDenied.NoStock", NoStock, "RunInstances, StartInstance: a later attempt needs a new token"),
    ("*PublicIpAddressNoStock", QuotaReached, "RunInstances: another zone would not help"),
    ("*NoStock*", NoStock, "RunInstances"),
    ("OperationDenied.ResourceControl", NoStock, "RunInstances: the type is not sold to this account there"),
    ("OperationDenied.ZoneNotAllowed", NoStock, "RunInstances: the zone is closed to this account"),
    ("Zone.NotOnSale", NoStock, "RunInstances: nothing is sold in the zone any more"),
    ("Zone.NotOpen", NoStock, "RunInstances"),
    ("InvalidResourceType.NotSupported", NoStock, "RunInstances: the type or disk category is not sold in the zone"),
    ("InvalidInstanceType.ZoneNotSupported", NoStock, "RunInstances"),
    ("InstanceType.Offline", NoStock, "RunInstances"),
    ("InvalidDiskCategory.NotSupported", NoStock, "CreateDisk, RunInstances: the zone does not sell the category"),
    ("NodeControllerUnavailable", NoStock, "RunInstances"),
    ("ResourceNotAvailable", NoStock, "RunInstances, 400: the resource is not available in this zone"),
    ("InvalidPrivateIpAddress.Duplicated", AddressTaken, "RunInstances, ModifyInstanceVpcAttribute"),
    ("InvalidIp.IpAssigned", AddressTaken, "RunInstances"),
    ("QuotaExceed*", QuotaReached, "all services: QuotaExceed.*, QuotaExceeded.*"),
    ("*QuotaExceed*", QuotaReached, "ImageQuotaExceed.*, ImageFamilyQuotaExceed"),
    ("*LimitExceed*", QuotaReached, "SecurityGroupInstanceLimitExceed, InstanceDiskLimitExceeded, ..."),
    ("BackendServer.Limit*", QuotaReached, "AddBackendServers"),
    ("OverQuota", QuotaReached, "AddBackendServers: the pool is full"),
    ("*NotEnoughBalance*", QuotaReached, "money: an operator must pay"),
    ("InsufficientBalance", QuotaReached, "money"),
    ("Account.Arrearage", QuotaReached, "money"),
    ("InvalidAccessKeyId.NotFound", CredentialsRejected, "common gateway codes; not a missing resource"),
    ("InvalidAccessKeyId.*", CredentialsRejected, "common gateway codes"),
    ("InvalidSecurityToken.*", CredentialsRejected, "temporary credentials expired or mixed up"),
    ("MissingSecurityToken", Forbidden, "temporary credentials without their token"),
    ("SignatureDoesNotMatch", Forbidden, "wrong secret"),
    ("IncompleteSignature", Forbidden, "common gateway codes"),
    ("IllegalTimestamp", Forbidden, "common gateway codes: this machine's clock is wrong"),
    ("InvalidTimeStamp.*", Forbidden, "this machine's clock is more than 15 minutes off"),
    ("Forbidden*", Forbidden, "RAM: Forbidden.RAM, Forbidden.SubUser, Forbidden.Unauthorized, ..."),
    ("InvalidAction.Unauthorized", Forbidden, "CreateSnapshot table"),
    ("NoPermission*", Forbidden, "RAM"),
    ("InvalidUser.PassRoleForbidden", Forbidden, "RunInstances: ram:PassRole on the instance's role is missing"),
    ("InvalidDisk.AlreadyDetached", NotAttached, "DetachDisk: already done"),
    ("InvalidOperation.DiskDetachingFromThisEcs", NotAttached, "DetachDisk: being done"),
    ("InvalidAction.NotFound", Permanent, "the service has no such action; not a missing resource"),
    ("InvalidFilterKey.NotFound", Permanent, "DescribeSnapshots: a wrong filter, not a missing resource"),
    ("InvalidStatus.NotFound", Permanent, "DescribeSnapshots: a wrong filter"),
    ("*.NotFound", NotFound, "all services: InvalidXxxId.NotFound"),
    ("InvalidSecurityGroupId", NotFound, "RunInstances, 404: the same without its ending"),
    ("InvalidSourceSnapshot", NotFound, "ReInitDisk: the snapshot that the disk was made of was deleted"),
    ("SharedImageDeleted", NotFound, "ReInitDisk: the image that the disk was made of is gone"),
    ("*NotExist*", NotFound, "PrivateZone: Zone.NotExists; Function Compute: FunctionNotFound is below"),
    ("FunctionNotFound", NotFound, "Function Compute"),
    ("ServiceNotFound", NotFound, "Function Compute 2.0"),
    ("System.Busy", Retryable, "PrivateZone: the official Terraform provider retries it"),
    ("SystemBusy", Retryable, "SLB, 449: the same"),
    ("OperationBusy", Retryable, "SLB: the same"),
    ("ServiceIsConfiguring", Retryable, "SLB: the same; another change of the balancer is under way"),
    ("ServiceIsStopping", Retryable, "SLB, 409: the same"),
    ("BackendServer.configuring", Retryable, "SLB, 409: the same"),
    ("VServerGroupProcessing", Retryable, "SLB: the same"),
    ("IdempotentProcessing", Retryable, "the first call with this token is still running"),
    ("LastTokenProcessing", Retryable, "CreateDisk: the same"),
    ("OperationConflict", Retryable, "409: another change is under way; nothing was done"),
    ("Operation.Conflict", Retryable, "DeleteSnapshot: retry later"),
    ("InvalidOperation.Conflict", Retryable, "CopySnapshot, CopyImage, 409: retry later"),
    ("InvalidOperation.Unfinished*", Retryable, "CopySnapshot: one unfinished copy per disk and target region"),
    ("OperationDenied.ImageCop*", Retryable, "CopyImage, DeleteImage: a copy of this image is under way"),
    ("InvalidOperation.RelatedSnapshotNotFinished", Retryable, "DeleteSnapshot: a copy of it still runs"),
    ("IncorrectDiskStatus.CreatingSnapshot", Busy, "CreateSnapshot, DeleteSnapshot: wait and retry"),
    ("DISK_HAS_CREATING_SNAPSHOT", Busy, "CreateSnapshot: the same"),
    ("IncorrectDiskStatus.TooManyCreatingSnapshots", Busy, "CreateSnapshotGroup: the same"),
    ("IncorrectDiskStatus.HasUnfinishedSnapshot", Busy, "ResetDisk: the same"),
    ("DiskCreatingSnapshot", Busy, "ReInitDisk, ReplaceSystemDisk: the same"),
    ("TooManySnapshot.Unfinished", Busy, "CreateImage: the same"),
    ("InvalidOperation.DiskResetInProgress", Busy, "ResetDisk: it is being rolled back"),
    ("InvalidSnapshotId.NotReady", Busy, "CreateDisk, ResetDisk, CreateImage, CopySnapshot, RunInstances: not yet"),
    ("InvalidSnapshot.NotReady", Busy, "CreateDisk: the same"),
    ("SnapshotNotReady", Busy, "CreateImage: the same"),
    ("OperationConflict.DisksAttachingParallellyExceed", Busy, "AttachDisk, 400 (the cloud's spelling)"),
    ("DisksDetachingOnEcsExceeded", Busy, "DetachDisk, 400: too many at once of one instance"),
    ("IncorrectVSwitchStatus", Retryable, "RunInstances, ModifyInstanceVpcAttribute: it is being changed"),
    ("IncorrectInstanceStatus.Initializing", Retryable, "DeleteInstance: retry"),
    ("IdempotentParameterMismatch", Conflict, "the same token with other parameters: somebody else's call"),
    ("IdempotenceParamNotMatch", Conflict, "CreateImage: the same"),
    ("InvalidParamter.Conflict", Conflict, "CreateImage: the same (the cloud's spelling)"),
    ("InvalidImageName.Duplicated", Permanent, "CreateImage, CopyImage: an image has this name; look it up"),
)

REFUSED_INSIDE: Final = {("ecs ResetDisk", "InternalError", 400): Busy}
"""Refusals whose code means something else elsewhere, by call, code and status. ResetDisk, read 2025: try again later;
done twice it is the same, and a running instance refuses it."""

RETRY_BUSY: Final = ("QuotaExceed.ConcurrentSnapshotQuota",)
"""Named a quota, but frees itself within minutes: CreateSnapshot with too many under way on one disk."""


def translate(
    what: str,
    *,
    code: str | None,
    status: int | None,
    message: str,
    changes: bool,
    retry_after: timedelta | None = None,
) -> DrError:
    """Our error for one refused or unanswered call. `changes`: the call would have changed something.

    `code` None: no answer came, or none that could be read.
    """
    text = f"{what}: {code or 'no answer'}: {message}"
    if code is None or code == "None":
        return OutcomeUnknown(text) if changes else Retryable(text)
    if code in RETRY_BUSY:
        return Busy(text, retry_after=retry_after)
    if status is not None and (known := REFUSED_INSIDE.get((what, code, status))) is not None:
        return known(text, retry_after=retry_after)
    service = what.partition(" ")[0]
    if (service, code) in FAILED_INSIDE:
        return OutcomeUnknown(text) if changes else Retryable(text, retry_after=retry_after)
    for pattern, make, _ in (*OF_SERVICE.get(service, ()), *CODES):
        if fnmatchcase(code, pattern):
            return make(text, retry_after=retry_after) if make in (Retryable, Busy, Throttled) else make(text)
    if status is not None and (status >= 500 or status < 300):
        # A success around an error is as little to be trusted as a failure without one.
        return OutcomeUnknown(text) if changes else Retryable(text, retry_after=retry_after)
    if status == 429:
        return Throttled(text, retry_after=retry_after)
    return Permanent(text)
