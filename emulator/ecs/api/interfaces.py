"""CreateNetworkInterface, DescribeNetworkInterfaces, ModifyNetworkInterfaceAttribute, Attach, Detach, Delete, and
AssignPrivateIpAddresses, UnassignPrivateIpAddresses."""

from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.interfaces import Design, Interface
from emulator.ecs.rules import check_description, check_name, iso
from emulator.ecs.shelf import carries
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

GROUPS_AT_MOST = 16
"""`SecurityGroupIds.N` of one call (assumption)."""
ADDRESS_CODES = (
    "InvalidIp.IpRepeated", "InvalidIp.Address", "InvalidIp.IpAssigned", "InvalidVSwitchId.IpInvalid",
    "InvalidVSwitchId.IpNotEnough", "InvalidPrivateIpAddress.Duplicated", "InvalidOperation.Ipv4CountExceeded",
    "IdempotentParameterMismatch", "IdempotentProcessing", "InvalidClientToken.Malformed",
)  # fmt: skip
MOVE_CODES = (
    "InvalidEniId.NotFound", "InvalidEcsId.NotFound", "InvalidOperation.InvalidEniState",
    "InvalidOperation.InvalidEcsState",
)  # fmt: skip


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = InterfacesApi(ecs)
    return {
        "CreateNetworkInterface": api.create,
        "DescribeNetworkInterfaces": api.describe,
        "ModifyNetworkInterfaceAttribute": api.modify,
        "AttachNetworkInterface": api.attach,
        "DetachNetworkInterface": api.detach,
        "DeleteNetworkInterface": api.delete,
        "AssignPrivateIpAddresses": api.assign,
        "UnassignPrivateIpAddresses": api.unassign,
    }


class InterfacesApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "VSwitchId", "SecurityGroupId", "SecurityGroupIds.N", "PrimaryIpAddress", "PrivateIpAddress.N",
        "SecondaryPrivateIpAddressCount", "NetworkInterfaceName", "Description", "DeleteOnRelease", "InstanceType",
        "ClientToken", *paging.TAGS,
    )  # fmt: skip
    @raises(
        "InvalidVSwitchId.NotFound", "IncorrectVSwitchStatus", "InvalidSecurityGroupId.NotFound",
        "InvalidOperation.VpcMismatch",
        "MaxEniCountExceeded", "InvalidTagKey.Malformed", "InvalidTagValue.Malformed", "QuotaExceed.Tags",
        "Duplicate.TagKey", *ADDRESS_CODES,
    )  # fmt: skip
    def create(self, call: Call) -> dict[str, Any]:
        """A secondary interface, Available at once (assumption)."""
        p = call.params
        if p.get("InstanceType", "Secondary") != "Secondary":
            raise ApiError("UnsupportedParameter", "The emulator makes Secondary interfaces only.")
        addresses = params.list_of(p, "PrivateIpAddress")
        count = params.integer(p, "SecondaryPrivateIpAddressCount", 0, low=0)
        if addresses and count:
            raise ApiError("InvalidParameter", "Give PrivateIpAddress.N or SecondaryPrivateIpAddressCount, not both.")
        design = Design(
            vswitch_id=params.required(p, "VSwitchId"),
            security_group_ids=tuple(self._groups(call)),
            address=p.get("PrimaryIpAddress") or None,
            secondary=tuple(addresses),
            secondary_count=count,
            name=p.get("NetworkInterfaceName", ""),
            description=p.get("Description"),
            delete_on_release=params.boolean(p, "DeleteOnRelease", True),
            tags=tuple(sorted(paging.tags(call).items())),
        )
        made = self._ecs.interfaces.create(design, token=p.get("ClientToken"))
        return {
            **self._common(made),
            "PrivateIpSets": {"PrivateIpSet": [{"PrivateIpAddress": a, "Primary": p} for a, p in _marked(made)]},
        }

    def _groups(self, call: Call) -> list[str]:
        one, several = call.params.get("SecurityGroupId"), params.list_of(call.params, "SecurityGroupIds")
        if bool(one) == bool(several):
            raise ApiError("InvalidParameter", "Give SecurityGroupId or SecurityGroupIds.N, one of them.")
        if len(several) > GROUPS_AT_MOST:
            raise ApiError("InvalidParameter", f"At most {GROUPS_AT_MOST} security groups, not {len(several)}.")
        return several or [one or ""]

    @reads(
        "NetworkInterfaceId.N", "NetworkInterfaceName", "InstanceId", "VpcId", "VSwitchId", "SecurityGroupId", "Type",
        "Status", "PrimaryIpAddress", "PrivateIpAddress.N", *paging.TAGS, "NextToken", "MaxResults", "PageNumber",
        "PageSize",
    )  # fmt: skip
    @raises("InvalidParameter.NextToken")
    def describe(self, call: Call) -> dict[str, Any]:
        """Primary interfaces as well. The filter by security group shows secondary ones only, as documented."""
        p = call.params
        ids = params.list_of(p, "NetworkInterfaceId") or None
        addresses, group, tags = (
            params.list_of(p, "PrivateIpAddress"),
            p.get("SecurityGroupId"),
            paging.tag_filter(call),
        )
        exact = {
            "name": p.get("NetworkInterfaceName"), "instance_id": p.get("InstanceId"), "vpc_id": p.get("VpcId"),
            "vswitch_id": p.get("VSwitchId"), "type": p.get("Type"), "status": p.get("Status"),
            "address": p.get("PrimaryIpAddress"),
        }  # fmt: skip

        def matches(interface: Interface) -> bool:
            return (
                all(not wanted or getattr(interface, name) == wanted for name, wanted in exact.items())
                and (not addresses or any(address in interface.secondary for address in addresses))
                and (not group or (interface.machine is None and group in interface.security_group_ids))
                and (not tags or carries(interface.tags, tags))
            )

        items, fields = paging.listed(call, self._ecs.interfaces.shelf, matches, self._render, cap=500, ids=ids)
        return {"NetworkInterfaceSets": {"NetworkInterfaceSet": items}, **fields}

    def _common(self, interface: Interface) -> dict[str, Any]:
        return {
            "NetworkInterfaceId": interface.id,
            "NetworkInterfaceName": interface.name,
            "Description": interface.description,
            "Status": interface.status,
            "Type": interface.type,
            "VpcId": interface.vpc_id,
            "VSwitchId": interface.vswitch_id,
            "ZoneId": interface.zone,
            "PrivateIpAddress": interface.address,
            "MacAddress": interface.mac,
            "OwnerId": self._ecs.account,
            "ResourceGroupId": "",
            "ServiceManaged": False,
            "SourceDestCheck": False,
            "SecurityGroupIds": {"SecurityGroupId": list(interface.security_group_ids)},
            "Tags": paging.tag_list(interface.tags),
        }

    def _render(self, interface: Interface) -> dict[str, Any]:
        public = [self._public(interface, address) for address in interface.addresses]
        attached = interface.instance_id if interface.status == "InUse" else ""
        index = self._ecs.interfaces.of(attached).index(interface) if attached else 0
        return {
            **self._common(interface),
            "CreationTime": iso(interface.created),
            "DeleteOnRelease": interface.delete_on_release,
            "InstanceId": interface.instance_id,
            "Attachment": {"InstanceId": attached, "DeviceIndex": index} if attached else {},
            "AssociatedPublicIp": public[0],
            "NetworkInterfaceTrafficMode": "Standard",
            "PrivateIpSets": {
                "PrivateIpSet": [
                    {"PrivateIpAddress": address, "Primary": first, "AssociatedPublicIp": seen}
                    for (address, first), seen in zip(_marked(interface), public, strict=True)
                ]
            },
        }

    def _public(self, interface: Interface, address: str) -> dict[str, Any]:
        realm = self._ecs.realm
        eip = realm.vpc.eip_at(interface, address) if realm.built("vpc") else None
        return {} if eip is None else {"AllocationId": eip.id, "PublicIpAddress": eip.address}

    @reads("NetworkInterfaceId", "NetworkInterfaceName", "Description", "SecurityGroupId.N", "DeleteOnRelease")
    @raises("InvalidEniId.NotFound", "InvalidSecurityGroupId.NotFound", "InvalidOperation.VpcMismatch")
    def modify(self, call: Call) -> dict[str, Any]:
        """Name, text, security groups (the whole list), and whether it goes with its instance."""
        p = call.params
        interface = self._ecs.interfaces.find(params.required(p, "NetworkInterfaceId"))
        check_name(p.get("NetworkInterfaceName"), ApiError("InvalidParameter", "The name is not valid."))
        check_description(p.get("Description"), ApiError("InvalidParameter", "The description is not valid."))
        groups = tuple(params.list_of(p, "SecurityGroupId"))
        for one in groups:
            if self._ecs.security_groups.find(one).vpc != interface.vpc_id:
                raise ApiError("InvalidOperation.VpcMismatch", f"{one} is not in {interface.vpc_id}.", 403)
        if groups:
            interface.belong_to(groups)
            self._ecs.security_groups.changed()
        interface.name = p.get("NetworkInterfaceName", interface.name)
        interface.description = p.get("Description", interface.description)
        interface.delete_on_release = params.boolean(p, "DeleteOnRelease", interface.delete_on_release)
        return {}

    @reads("NetworkInterfaceId", "InstanceId")
    @raises(
        *MOVE_CODES, "InvalidOperation.InvalidEniType", "InvalidOperation.AvailabilityZoneMismatch",
        "InvalidOperation.VpcMismatch", "EniPerInstanceLimitExceeded",
    )  # fmt: skip
    def attach(self, call: Call) -> dict[str, Any]:
        """Attaching, then InUse; back to Available when the instance vanishes meanwhile."""
        p = call.params
        self._ecs.interfaces.attach(params.required(p, "NetworkInterfaceId"), params.required(p, "InstanceId"))
        return {}

    @reads("NetworkInterfaceId", "InstanceId")
    @raises(*MOVE_CODES, "InvalidOperation.DetachPrimaryEniNotAllowed")
    def detach(self, call: Call) -> dict[str, Any]:
        """Detaching, then Available."""
        p = call.params
        self._ecs.interfaces.detach(params.required(p, "NetworkInterfaceId"), params.required(p, "InstanceId"))
        return {}

    @reads("NetworkInterfaceId")
    @raises("InvalidEniId.NotFound", "InvalidOperation.InvalidEniState", "InvalidOperation.InvalidEniType")
    def delete(self, call: Call) -> dict[str, Any]:
        """Available ones only."""
        self._ecs.interfaces.delete(params.required(call.params, "NetworkInterfaceId"))
        return {}

    @reads("NetworkInterfaceId", "PrivateIpAddress.N", "SecondaryPrivateIpAddressCount", "ClientToken")
    @raises(
        "InvalidEniId.NotFound", "InvalidOperation.InvalidEniState", "InvalidOperation.InvalidEcsState", *ADDRESS_CODES
    )
    def assign(self, call: Call) -> dict[str, Any]:
        """Secondary private addresses, named or so many."""
        p = call.params
        which, addresses = params.required(p, "NetworkInterfaceId"), params.list_of(p, "PrivateIpAddress")
        count = params.integer(p, "SecondaryPrivateIpAddressCount", 0, low=0)
        if addresses and count:
            raise ApiError("InvalidParameter", "Give PrivateIpAddress.N or SecondaryPrivateIpAddressCount, not both.")
        if not addresses and not count:
            raise ApiError("MissingParameter", "PrivateIpAddress.N or SecondaryPrivateIpAddressCount is needed.", 403)
        made = self._ecs.interfaces.assign(which, addresses, count, token=p.get("ClientToken"))
        return {
            "AssignedPrivateIpAddressesSet": {
                "NetworkInterfaceId": which,
                "PrivateIpSet": {"PrivateIpAddress": made},
            }
        }

    @reads("NetworkInterfaceId", "PrivateIpAddress.N")
    @raises(
        "InvalidEniId.NotFound", "InvalidOperation.InvalidEniState", "InvalidOperation.InvalidEcsState",
        "InvalidIp.IpRepeated", "InvalidIp.IpUnassigned",
    )  # fmt: skip
    def unassign(self, call: Call) -> dict[str, Any]:
        """Secondary addresses only."""
        p = call.params
        addresses = params.list_of(p, "PrivateIpAddress")
        if not addresses:
            raise params.missing("PrivateIpAddress.1")
        self._ecs.interfaces.unassign(params.required(p, "NetworkInterfaceId"), addresses)
        return {}


def _marked(interface: Interface) -> list[tuple[str, bool]]:
    """Each address with whether it is the first one."""
    return [(address, number == 0) for number, address in enumerate(interface.addresses)]
