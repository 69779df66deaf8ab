"""The VPC API, version 2016-04-28: EIPs here, VPCs and vSwitches in `networks_api`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.rules import check_tags, iso
from emulator.ecs.shelf import carries
from emulator.vpc import networks_api
from emulator.vpc.model import DEFAULT_BANDWIDTH, INSTANCE, Eip, Target
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.realm import Realm

VERSION = "2016-04-28"
PAGE, PAGE_AT_MOST = 10, 100
TOKEN_CODES = ("InvalidClientToken.Malformed", "IdempotentParameterMismatch", "IdempotentProcessing")
BIND_CODES = ("InvalidAllocationId.NotFound", "IncorrectEipStatus", "IncorrectInstanceStatus", *TOKEN_CODES)


def operations(realm: "Realm") -> dict[tuple[str, str], Operation]:
    api = VpcApi(realm)
    return {
        (VERSION, "AllocateEipAddress"): api.allocate,
        (VERSION, "AssociateEipAddress"): api.associate,
        (VERSION, "UnassociateEipAddress"): api.unassociate,
        (VERSION, "DescribeEipAddresses"): api.describe,
        (VERSION, "ModifyEipAddressAttribute"): api.modify,
        (VERSION, "ReleaseEipAddress"): api.release,
        **{(VERSION, name): operation for name, operation in networks_api.operations(realm).items()},
    }


class VpcApi:
    def __init__(self, realm: "Realm") -> None:
        self._realm = realm

    # EIPs -----------------------------------------------------------------------------------------------------

    @reads("Bandwidth", "InternetChargeType", "InstanceChargeType", "ISP", "Name", "ClientToken", *paging.TAGS)
    @raises(
        "QuotaExceeded.Eip", "ReserveIpFail", "InvalidTagKey.Malformed", "InvalidTagValue.Malformed",
        "QuotaExceed.Tags", "Duplicate.TagKey", *TOKEN_CODES,
    )  # fmt: skip
    def allocate(self, call: Call) -> dict[str, Any]:
        """An address of one's own, Available at once. Not modelled: subscription, segments, address pools."""
        p = call.params
        if p.get("InstanceChargeType", "PostPaid") != "PostPaid":
            raise ApiError("UnsupportedParameter", "The emulator models InstanceChargeType=PostPaid only.")
        tags = paging.tags(call)
        check_tags(tags)
        eip = self._realm.vpc.allocate(
            bandwidth=params.integer(p, "Bandwidth", DEFAULT_BANDWIDTH),
            charge_type=p.get("InternetChargeType") or "PayByBandwidth",
            name=p.get("Name", ""),
            isp=p.get("ISP") or "BGP",
            tags=tags,
            token=p.get("ClientToken"),
        )
        return {"AllocationId": eip.id, "EipAddress": eip.address, "OrderId": 0, "ResourceGroupId": ""}

    @reads(
        "AllocationId", "InstanceId", "InstanceType", "InstanceRegionId", "PrivateIpAddress", "Mode", "VpcId",
        "ClientToken",
    )  # fmt: skip
    @raises(
        *BIND_CODES, "InvalidInstanId.NotFound", "InvalidParameter.Mismatch", "InvalidAssociation.Duplicated",
        "EIP_CAN_NOT_ASSOCIATE_WITH_PUBLIC_IP", "TaskConflict", "InvalidInstanceType.ValueNotSupported",
        "InvalidStatus.EniStatusNotSupport", "InvalidStatus.InstanceHasBandWidth", "OperationDenied",
        "Forbidden.FinancialLocked",
    )  # fmt: skip
    def associate(self, call: Call) -> dict[str, Any]:
        """Asynchronous: Associating, then InUse. Not modelled: Nat, HaVip, IpAddress."""
        p = call.params
        region = p.get("InstanceRegionId") or self._realm.region
        if region != self._realm.region:
            raise ApiError("InvalidParameter.Mismatch", f"The EIP is in {self._realm.region}, not in {region}.")
        target = Target(
            instance_id=params.required(p, "InstanceId"),
            instance_type=p.get("InstanceType") or INSTANCE,
            private_address=p.get("PrivateIpAddress", ""),
            mode=p.get("Mode") or "NAT",
        )
        self._realm.vpc.associate(params.required(p, "AllocationId"), target, token=p.get("ClientToken"))
        return {}

    @reads("AllocationId", "InstanceId", "InstanceType", "PrivateIpAddress", "Force", "ClientToken")
    @raises(*BIND_CODES, "InvalidBindingStatus", "InvalidInstanId.NotFound", "InvalidParameter.Mismatch")
    def unassociate(self, call: Call) -> dict[str, Any]:
        """Asynchronous: Unassociating, then Available. Force changes nothing here: it concerns NAT gateways."""
        p = call.params
        params.boolean(p, "Force")
        self._realm.vpc.unassociate(
            params.required(p, "AllocationId"),
            instance_id=p.get("InstanceId", ""),
            instance_type=p.get("InstanceType", ""),
            private_address=p.get("PrivateIpAddress", ""),
            token=p.get("ClientToken"),
        )
        return {}

    @reads(
        "AllocationId", "EipAddress", "EipName", "Status", "AssociatedInstanceType", "AssociatedInstanceId", "ISP",
        "ChargeType", *paging.TAGS, "PageNumber", "PageSize", "DryRun",
    )  # fmt: skip
    @raises("DryRunOperation")
    def describe(self, call: Call) -> dict[str, Any]:
        """`AllocationId` and `EipAddress` take several, with commas. Not modelled: Filter.N, lock reasons, segments."""
        p = call.params
        paging.dry_run(call)
        ids, addresses = _several(p, "AllocationId"), _several(p, "EipAddress")
        kind, target = p.get("AssociatedInstanceType"), p.get("AssociatedInstanceId")
        name, status, isp, tags = p.get("EipName"), p.get("Status"), p.get("ISP"), paging.tag_filter(call)

        def matches(eip: Eip) -> bool:
            return (
                (not ids or eip.id in ids)
                and (not addresses or eip.address in addresses)
                and (not name or eip.name == name)
                and (not status or eip.status == status)
                and (not kind or eip.instance_type == kind)
                and (not target or eip.instance_id == target)
                and (not isp or eip.isp == isp)
                and p.get("ChargeType", "PostPaid") == "PostPaid"
                and (not tags or carries(eip.tags, tags))
            )

        number = params.integer(p, "PageNumber", 1, low=1)
        size = params.integer(p, "PageSize", PAGE, low=1, high=PAGE_AT_MOST)
        items, total = self._realm.vpc.eips.numbered(matches, number=number, size=size)
        return {
            "EipAddresses": {"EipAddress": [self._eip(eip) for eip in items]},
            "TotalCount": total,
            "PageNumber": number,
            "PageSize": size,
        }

    def _eip(self, eip: Eip) -> dict[str, Any]:
        locks = [{"LockReason": "financial"}] if eip.financial_lock else []
        return {
            "AllocationId": eip.id,
            "IpAddress": eip.address,
            "Name": eip.name,
            "Description": eip.description,
            "Status": eip.status,
            "BusinessStatus": "FinancialLocked" if eip.financial_lock else "Normal",
            "InstanceId": eip.instance_id,
            "InstanceType": eip.instance_type,
            "InstanceRegionId": self._realm.region if eip.instance_id else "",
            "PrivateIpAddress": eip.private_address,
            "VpcId": eip.vpc_id,
            "Mode": eip.mode,
            "Bandwidth": str(eip.bandwidth),
            "EipBandwidth": str(eip.bandwidth),
            "ChargeType": "PostPaid",
            "InternetChargeType": eip.charge_type,
            "ISP": eip.isp,
            "Netmode": "public",
            "RegionId": self._realm.region,
            "AllocationTime": iso(eip.allocated),
            "ExpiredTime": "",
            "ResourceGroupId": "",
            "HasReservationData": "false",
            "SecondLimited": False,
            "DeletionProtection": False,
            "ServiceManaged": 0,
            "OperationLocks": {"LockReason": locks},
            "Tags": paging.group_tag_list(eip.tags),
        }

    @reads("AllocationId", "Bandwidth", "Name", "Description")
    @raises("InvalidAllocationId.NotFound", "Forbidden.FinancialLocked")
    def modify(self, call: Call) -> dict[str, Any]:
        """Bandwidth, name and text, in any state."""
        p = call.params
        self._realm.vpc.modify(
            params.required(p, "AllocationId"),
            bandwidth=params.integer(p, "Bandwidth"),
            name=p.get("Name"),
            description=p.get("Description"),
        )
        return {}

    @reads("AllocationId")
    @raises("InvalidAllocationId.NotFound", "IncorrectEipStatus", "Forbidden.FinancialLocked")
    def release(self, call: Call) -> dict[str, Any]:
        """Available ones only; at once."""
        self._realm.vpc.release(params.required(call.params, "AllocationId"))
        return {}


def _several(p: Mapping[str, str], name: str) -> set[str]:
    return {one for one in p.get(name, "").split(",") if one}
