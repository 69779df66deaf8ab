"""DescribeVpcs, DescribeVSwitches (ECS's own, old forms), ModifyInstanceVpcAttribute, AllocatePublicIpAddress."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emulator.ecs import operation_locks
from emulator.ecs.rules import iso
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

PAGE, PAGE_AT_MOST = 10, 50


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = NetworkApi(ecs)
    return {
        "DescribeVpcs": api.vpcs,
        "DescribeVSwitches": api.vswitches,
        "ModifyInstanceVpcAttribute": api.move,
        "AllocatePublicIpAddress": api.allocate,
        "AssociateEipAddress": api.no_eip,
        "UnassociateEipAddress": api.no_eip,
    }


class NetworkApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads("VpcId", "IsDefault", "PageNumber", "PageSize")
    @raises()
    def vpcs(self, call: Call) -> dict[str, Any]:
        """All VPCs; none is the default one. Superseded by the VPC API's DescribeVpcs."""
        network, wanted = self._ecs.network, call.params.get("VpcId")
        found = [
            {
                "VpcId": vpc,
                "VpcName": about.name,
                "RegionId": self._ecs.region,
                "Status": about.status,
                "CidrBlock": cidr,
                "CreationTime": iso(about.created),
                "Description": about.description,
                "IsDefault": False,
                "VRouterId": "vrt-" + vpc.removeprefix("vpc-"),
                "VSwitchIds": {"VSwitchId": [v.id for v in network.vswitches.values() if v.vpc == vpc]},
                "UserCidrs": {"UserCidr": []},
            }
            for vpc, cidr in network.vpcs.items()
            for about in (network.about_vpc(vpc),)
            if (not wanted or vpc in wanted.split(",")) and not params.boolean(call.params, "IsDefault", False)
        ]
        items, fields = page(call, found)
        return {"Vpcs": {"Vpc": items}, **fields}

    @reads("VSwitchId", "VpcId", "ZoneId", "IsDefault", "PageNumber", "PageSize")
    @raises()
    def vswitches(self, call: Call) -> dict[str, Any]:
        """All vSwitches, with the number of their free addresses. Superseded by the VPC API's."""
        p, network = call.params, self._ecs.network
        found = [
            {
                "VSwitchId": vswitch.id,
                "VSwitchName": about.name,
                "VpcId": vswitch.vpc,
                "ZoneId": vswitch.zone,
                "Status": about.status,
                "CidrBlock": str(vswitch.cidr),
                "AvailableIpAddressCount": network.free_addresses(vswitch),
                "CreationTime": iso(about.created),
                "Description": about.description,
                "IsDefault": False,
                "ResourceGroupId": "",
            }
            for vswitch in network.vswitches.values()
            for about in (network.about(vswitch),)
            if p.get("VSwitchId") in (None, "", vswitch.id)
            and p.get("VpcId") in (None, "", vswitch.vpc)
            and p.get("ZoneId") in (None, "", vswitch.zone)
            and not params.boolean(p, "IsDefault", False)
        ]
        items, fields = page(call, found)
        return {"VSwitches": {"VSwitch": items}, **fields}

    @reads("InstanceId", "VSwitchId", "PrivateIpAddress", "VpcId", "SecurityGroupId.N")
    @raises(
        "InvalidInstanceId.NotFound", "IncorrectInstanceStatus", "InvalidPrivateIp.Changing",
        "InvalidVSwitchId.NotFound", "IncorrectVSwitchStatus", "InvalidVSwitchId.Mismatch",
        "InvalidVSwitch.NotBelongToVpc",
        "InvalidPrivateIpAddress.Malformed", "InvalidPrivateIpAddress.Mismatch", "InvalidPrivateIpAddress.Duplicated",
        "QuotaExceeded.PrivateIpAddress", "PrimaryEniHasSubIp", "InvalidParameter.*", "InvalidInstance.AttachedEni",
        "InvalidSecurityGroupVpc.NotBelongToOneVpc", "InvalidDependence.SLB",
    )  # fmt: skip
    def move(self, call: Call) -> dict[str, Any]:
        """Give a stopped instance another private address; start it before the next change."""
        p = call.params
        self._ecs.relocation.move(
            params.required(p, "InstanceId"),
            params.required(p, "VSwitchId"),
            address=p.get("PrivateIpAddress") or None,
            vpc_id=p.get("VpcId") or None,
            groups=params.list_of(p, "SecurityGroupId"),
        )
        return {}

    @reads("InstanceId")
    @raises(
        "InvalidInstanceId.NotFound", "InstanceLockedForSecurity", "IncorrectInstanceStatus", "AllocatedAlready",
        "AllocateIpInvalidInstanceBandwidth", "OperationDenied",
    )  # fmt: skip
    def allocate(self, call: Call) -> dict[str, Any]:
        """A static public address, where the instance was bought with outgoing bandwidth. It cannot be moved. Not
        modelled: choosing it (IpAddress, VlanId), the restart that some instances need, conversion to an EIP."""
        ecs = self._ecs
        instance = ecs.find_instance(params.required(call.params, "InstanceId"))
        operation_locks.check(instance, "modify")
        if instance.state not in ("Running", "Stopped"):
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}.", 403)
        if instance.public_ip or instance.loses_public_ip:
            raise ApiError("AllocatedAlready", f"{instance.id} has a static public address.", 403)
        if ecs.realm.built("vpc") and ecs.realm.vpc.is_bound(instance.id):
            raise ApiError("OperationDenied", f"{instance.id} has an EIP.")
        if instance.bandwidth_out <= 0:
            raise ApiError("AllocateIpInvalidInstanceBandwidth", f"{instance.id} has no outgoing bandwidth.")
        instance.public_ip = ecs.public_addresses.take()
        return {"IpAddress": instance.public_ip}

    @reads("AllocationId", "InstanceId", "InstanceType")
    @raises()
    def no_eip(self, call: Call) -> dict[str, Any]:
        """Refused. Not modelled: the legacy EIP calls of ECS; use the VPC API (2016-04-28)."""
        raise ApiError(
            "UnsupportedParameter", f"The emulator models {call.action} in the VPC API (2016-04-28) only, not in ECS."
        )


def page(
    call: Call, found: Sequence[dict[str, Any]], *, most: int = PAGE_AT_MOST
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    number = params.integer(call.params, "PageNumber", 1, low=1)
    size = params.integer(call.params, "PageSize", PAGE, low=1, high=most)
    fields = {"TotalCount": len(found), "PageNumber": number, "PageSize": size}
    return list(found[(number - 1) * size : number * size]), fields
