"""Codes of Auto Scaling, EIPs and public DNS: what to do next, and that a service's own meaning stays its own."""

import pytest

from shared.adapters.cloud_errors import translate
from shared.domain.errors import (
    Busy,
    DrError,
    Forbidden,
    NoStock,
    NotFound,
    OutcomeUnknown,
    Permanent,
    QuotaReached,
    Retryable,
    Throttled,
)


@pytest.mark.parametrize(
    ("what", "code", "status", "error"),
    [
        ("ess EnterStandby", "ScalingActivityInProgress", 400, Busy),
        ("ess AttachInstances", "IncorrectCapacity.MaxSize", 400, QuotaReached),
        ("ess DetachInstances", "IncorrectCapacity.MinSize", 400, Permanent),
        ("ess AttachInstances", "IncorrectScalingGroupStatus", 400, Permanent),
        ("ess AttachInstances", "InvalidInstanceId.InUse", 400, Permanent),
        ("ess AttachInstances", "IncorrectInstanceStatus", 400, Permanent),
        ("ess AttachInstances", "ResourceNotAvailable.ECS", 400, NoStock),
        ("ess AttachInstances", "QuotaExceeded.ScalingInstance", 400, QuotaReached),
        ("ess DescribeScalingGroups", "InvalidScalingGroupId.NotFound", 404, NotFound),
        ("ess EnterStandby", "Forbidden.Unauthorized", 403, Forbidden),
        ("ess EnterStandby", "Throttling.User", 400, Throttled),
        ("ess EnterStandby", "InternalError", 500, OutcomeUnknown),
        ("vpc AssociateEipAddress(eip-1, i-1)", "TaskConflict", 400, Retryable),
        ("vpc AssociateEipAddress of eip-1", "IncorrectEipStatus", 400, Retryable),
        ("vpc AssociateEipAddress", "IncorrectInstanceStatus", 400, Retryable),
        ("vpc AssociateEipAddress", "IncorrectStatus.Eip", 400, Retryable),
        ("vpc UnassociateEipAddress", "InvalidBindingStatus", 400, Retryable),
        ("vpc AssociateEipAddress", "OperationFailed.SystemBusy", 400, Retryable),
        ("vpc AssociateEipAddress", "OperationFailed.EcsMigrating", 400, Retryable),
        ("vpc AssociateEipAddress", "OperationFailed.InstanceNotExist", 400, NotFound),
        ("vpc AssociateEipAddress", "InvalidInstanId.NotFound", 404, NotFound),
        ("vpc AssociateEipAddress", "InvalidAllocationId.NotFound", 404, NotFound),
        ("vpc AssociateEipAddress", "InvalidAssociation.Duplicated", 400, Permanent),
        ("vpc AssociateEipAddress", "EIP_CAN_NOT_ASSOCIATE_WITH_PUBLIC_IP", 400, Permanent),
        ("vpc AssociateEipAddress", "Forbidden.InstanceBandwidthNotZero", 400, Permanent),
        ("vpc AssociateEipAddress", "InvalidParameter.Mismatch", 400, Permanent),
        ("vpc AssociateEipAddress", "Forbidden.FinancialLocked", 400, QuotaReached),
        ("vpc AssociateEipAddress", "Forbidden.RAM", 403, Forbidden),
        ("alidns DescribeDomainRecords(a.example)", "InvalidDomainName.NoExist", 400, NotFound),
        ("alidns DescribeDomainRecords", "IncorrectDomainUser", 400, NotFound),
        ("alidns UpdateDomainRecord", "DomainRecordNotBelongToUser", 400, NotFound),
        ("alidns UpdateDomainRecord", "DomainRecordDuplicate", 400, Permanent),
        ("alidns UpdateDomainRecord", "DomainRecordConflict", 400, Permanent),
        ("alidns UpdateDomainRecord", "DomainRecordLocked", 400, Permanent),
        ("alidns UpdateDomainRecord", "DomainForbidden", 400, Permanent),
        ("alidns UpdateDomainRecord", "QuotaExceeded.TTL", 400, QuotaReached),
        ("alidns UpdateDomainRecord", "LastOperationNotFinished", 400, Retryable),
        ("alidns UpdateDomainRecord", "RecordForbidden.DNSChange", 400, Retryable),
        ("alidns UpdateDomainRecord", "InternalError", 400, OutcomeUnknown),
        ("alidns UpdateDomainRecord", "UnKnownError", 400, OutcomeUnknown),
        ("alidns UpdateDomainRecord", "Throttling.User", 400, Throttled),
        ("alidns UpdateDomainRecord", "Forbidden.RAM", 403, Forbidden),
        ("ecs StartInstance", "IncorrectInstanceStatus", 403, Permanent),
        ("ecs StartInstance", "TaskConflict", 400, Permanent),
    ],
)
def test_what_a_code_means_where(what: str, code: str, status: int, error: type[DrError]) -> None:
    found = translate(what, code=code, status=status, message="m", changes=True)

    assert type(found) is error, found
    assert code in str(found)


@pytest.mark.parametrize(
    ("what", "code", "remedy"),
    [
        ("ess AttachInstances", "IncorrectCapacity.MaxSize", "Raise the scaling group's MaxSize"),
        ("ess DetachInstances", "IncorrectCapacity.MinSize", "Lower the group's MinSize"),
        ("vpc AssociateEipAddress", "EIP_CAN_NOT_ASSOCIATE_WITH_PUBLIC_IP", "ConvertNatPublicIpToEip"),
        ("vpc AssociateEipAddress", "Forbidden.FinancialLocked", "pay"),
    ],
)
def test_what_an_operator_can_mend_says_how(what: str, code: str, remedy: str) -> None:
    assert remedy in str(translate(what, code=code, status=400, message="m", changes=True))
