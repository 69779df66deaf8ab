"""Error codes of Auto Scaling, EIPs and public DNS. Asked before the table of all services: some mean something else
there.

`IncorrectInstanceStatus` of an EIP is an instance on its way (wait); of a scaling group, one that is not what the call
needs (waiting alone changes nothing).
"""

from collections.abc import Callable
from typing import Final

from shared.domain.errors import Busy, DrError, NoStock, NotFound, Permanent, QuotaReached, Retryable

Line = tuple[str, Callable[[str], DrError], str]


def _with(make: Callable[[str], DrError], remedy: str) -> Callable[[str], DrError]:
    return lambda text: make(f"{text} {remedy}")


_full = _with(QuotaReached, "Raise the scaling group's MaxSize, or let another member leave first.")
_at_least = _with(Permanent, "Lower the group's MinSize, or let another member join first.")
_asleep = _with(Permanent, "Enable the scaling group and resume its processes, then start again.")
_elsewhere = _with(Permanent, "Detach the instance from the scaling group that it is in.")
_unchecked = _with(Permanent, "Switch on the health check of every listener of the group's load balancers.")
_has_public = _with(
    Permanent, "Convert the instance's static public address (ConvertNatPublicIpToEip), or set its bandwidth to 0."
)
_has_eip = _with(Permanent, "Unassociate the EIP that the instance has, or keep it and leave the other one.")
_unpaid = _with(QuotaReached, "The account is in arrears: pay, then start again.")
_far = _with(Permanent, "An EIP serves instances of its own region only.")

_locked = _with(Permanent, "Unlock the record in the console of Alibaba Cloud DNS.")
_banned = _with(Permanent, "The domain does not answer: ask Alibaba Cloud's support, or take another domain.")
_short = _with(
    QuotaReached, "The edition of the domain allows no TTL that short: buy another, or raise the policy's ttl."
)

ESS: Final[tuple[Line, ...]] = (
    ("ScalingActivityInProgress", Busy, "ESS, 400: a group takes one activity at a time"),
    ("IncorrectCapacity.MaxSize", _full, "AttachInstances, 400"),
    ("IncorrectCapacity.MinSize", _at_least, "DetachInstances, 400"),
    ("IncorrectScalingGroupStatus", _asleep, "ESS, 400: Inactive, Deleting, or (assumption) the process is suspended"),
    ("InvalidInstanceId.InUse", _elsewhere, "AttachInstances, 400"),
    ("IncorrectLoadBalancerHealthCheck", _unchecked, "ESS, 400"),
    ("ResourceNotAvailable.ECS", NoStock, "ESS, 400"),
)
"""Source: ESS API 2014-08-28 error pages, read 2021; codes of 2022-02-22 are assumed to be the same."""

VPC: Final[tuple[Line, ...]] = (
    ("EIP_CAN_NOT_ASSOCIATE_WITH_PUBLIC_IP", _has_public, "AssociateEipAddress, 400"),
    ("InvalidStatus.InstanceHasBandWidth", _has_public, "AssociateEipAddress, 400"),
    ("Forbidden.InstanceBandwidthNotZero", _has_public, "AssociateEipAddress, 400; not a missing permission"),
    ("InvalidAssociation.Duplicated", _has_eip, "AssociateEipAddress, 400"),
    ("Forbidden.FinancialLocked", _unpaid, "AssociateEipAddress, 400; not a missing permission"),
    ("InvalidEIPStatus.BizDisabled", _unpaid, "AssociateEipAddress, 400"),
    ("InvalidParameter.Mismatch", _far, "AssociateEipAddress, 400"),
    ("InvalidStatus.NotAllow", Permanent, "AssociateEipAddress, 400"),
    ("TaskConflict", Retryable, "400: the official Terraform provider retries it"),
    ("IncorrectEipStatus", Retryable, "the same: on its way; read the address before trying again"),
    ("InvalidBindingStatus", Retryable, "the same"),
    ("IncorrectStatus*", Retryable, "the same"),
    ("IncorrectInstanceStatus", Retryable, "the same: the instance is on its way"),
    ("InvalidStatus.EcsStatusNotSupport", Retryable, "the same"),
    ("InvalidStatus.EniStatusNotSupport", Retryable, "the same"),
    ("OperationFailed.SystemBusy", Retryable, "the same"),
    ("OperationFailed.EcsMigrating", Retryable, "the same"),
)
"""Source: VPC API, AssociateEipAddress and UnassociateEipAddress, read 2025; retries as in Terraform's provider, 2026.
`InvalidInstanId.NotFound` (the cloud's spelling) is in the common table's `*.NotFound`."""

ALIDNS: Final[tuple[Line, ...]] = (
    ("InvalidDomainName.NoExist", NotFound, "Alidns, 400"),
    ("IncorrectDomainUser", NotFound, "Alidns, 400: a domain of another account"),
    ("InvalidRR.NoExist", NotFound, "Alidns, 400"),
    ("InvalidRecordId*", NotFound, "Alidns; assumption: a record that is gone"),
    ("DomainRecordNotBelongToUser", NotFound, "Alidns, 400; assumption: also of a record that is gone"),
    ("DomainRecordLocked", _locked, "Alidns, 400"),
    ("DomainForbidden", _banned, "Alidns, 400; not a missing permission"),
    ("RecordForbidden.BlackHole", _banned, "Alidns, 400: under attack"),
    ("QuotaExceeded.TTL", _short, "Alidns; assumption: a TTL below the edition's least"),
    ("LastOperationNotFinished", Retryable, "Alidns, 400: the official Terraform provider retries it"),
    ("RecordForbidden.DNSChange", Retryable, "Alidns, 400: the same"),
)
"""Source: Alidns error table, read 2017; retries as in Terraform's provider, 2026. `DomainRecordDuplicate` (also of an
update that changes nothing) and `DomainRecordConflict` are Permanent."""

OF_SERVICE: Final[dict[str, tuple[Line, ...]]] = {"ess": ESS, "vpc": VPC, "alidns": ALIDNS}
"""By the first word of what was asked (`ess AttachInstances ...`)."""

FAILED_INSIDE: Final = frozenset([("alidns", "InternalError"), ("alidns", "UnKnownError")])
"""A service that answers every error with 400 says by these codes (one in the cloud's spelling) that it failed itself:
as little is known as after a 5xx. Terraform's provider retries the first; assumption: the second is of its kind."""
