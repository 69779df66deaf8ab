"""VPCs and vSwitches on the wire: made, described, renamed, deleted; and where they can be."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.network import VSwitch
from emulator.ecs.rules import iso
from emulator.ecs.shelf import carries
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.realm import Realm

PAGE, PAGE_AT_MOST = 10, 50
TAG_CODES = ("InvalidTagKey.Malformed", "InvalidTagValue.Malformed", "QuotaExceed.Tags", "Duplicate.TagKey")
TOKEN_CODES = ("InvalidClientToken.Malformed", "IdempotentParameterMismatch", "IdempotentProcessing")
VPC_WORDS = ("InvalidVpcName.Malformed", "InvalidVpcDiscription.Malformed")
VSWITCH_WORDS = ("InvalidVSwitchName.Malformed", "InvalidVSwitchDiscription.Malformed")


def operations(realm: "Realm") -> dict[str, Operation]:
    api = NetworksApi(realm)
    return {
        "CreateVpc": api.create_vpc,
        "DeleteVpc": api.delete_vpc,
        "ModifyVpcAttribute": api.modify_vpc,
        "DescribeVpcs": api.vpcs,
        "DescribeVpcAttribute": api.vpc,
        "CreateVSwitch": api.create_vswitch,
        "DeleteVSwitch": api.delete_vswitch,
        "ModifyVSwitchAttribute": api.modify_vswitch,
        "DescribeVSwitches": api.vswitches,
        "DescribeVSwitchAttributes": api.vswitch,
        "DescribeRegions": api.regions,
        "DescribeZones": api.zones,
    }


class NetworksApi:
    def __init__(self, realm: "Realm") -> None:
        self._realm = realm

    # Made, renamed, deleted -----------------------------------------------------------------------------------

    @reads("CidrBlock", "VpcName", "Description", "ClientToken", "DryRun", *paging.TAGS)
    @raises("InvalidParameter", "QuotaExceeded.Vpc", "DryRunOperation", *VPC_WORDS, *TAG_CODES, *TOKEN_CODES)
    def create_vpc(self, call: Call) -> dict[str, Any]:
        """A VPC that is Pending for a few seconds. Not modelled: IPv6, IPAM, user CIDR blocks, resource groups."""
        p = call.params
        made = self._realm.vpc.networks.create_vpc(
            cidr=p.get("CidrBlock", ""),
            name=p.get("VpcName", ""),
            description=p.get("Description", ""),
            tags=paging.tags(call),
            token=p.get("ClientToken"),
            dry_run=params.boolean(p, "DryRun", False),
        )
        return {"VpcId": made, "VRouterId": _router(made), "RouteTableId": _route_table(made), "ResourceGroupId": ""}

    @reads("VpcId", "ForceDelete", "DryRun", "ClientToken")
    @raises(
        "InvalidVpcId.NotFound", "IncorrectVpcStatus", "DependencyViolation.VSwitch",
        "DependencyViolation.SecurityGroup", "DryRunOperation", *TOKEN_CODES,
    )  # fmt: skip
    def delete_vpc(self, call: Call) -> dict[str, Any]:
        """Deleting for a few seconds, then gone. ForceDelete changes nothing here: it concerns IP gateways."""
        params.boolean(call.params, "ForceDelete")
        dry_run = params.boolean(call.params, "DryRun", False)
        vpc, token = params.required(call.params, "VpcId"), call.params.get("ClientToken")
        self._realm.vpc.networks.delete_vpc(vpc, dry_run=dry_run, token=token)
        return {}

    @reads("VpcId", "VpcName", "Description")
    @raises("InvalidVpcId.NotFound", *VPC_WORDS)
    def modify_vpc(self, call: Call) -> dict[str, Any]:
        """Name and text. Not modelled: another CIDR block, IPv6."""
        p = call.params
        self._realm.vpc.networks.modify_vpc(
            params.required(p, "VpcId"), name=p.get("VpcName"), description=p.get("Description")
        )
        return {}

    @reads("VpcId", "ZoneId", "CidrBlock", "VSwitchName", "Description", "ClientToken", *paging.TAGS)
    @raises(
        "InvalidVpcId.NotFound", "InvalidZoneId.NotFound", "IncorrectVpcStatus", "IncorrectVSwitchStatus",
        "InvalidCidrBlock.Malformed", "InvalidCirdrBlock.MaskLength", "InvalidCidrBlock.Overlapped", "InvalidParameter",
        "QuotaExceeded.VSwitch", *VSWITCH_WORDS, *TAG_CODES, *TOKEN_CODES,
    )  # fmt: skip
    def create_vswitch(self, call: Call) -> dict[str, Any]:
        """A vSwitch that is Pending for a few seconds, in which its VPC takes no other one. Not modelled: IPv6, a CIDR
        block that the cloud chooses (CidrMask)."""
        p = call.params
        made = self._realm.vpc.networks.create_vswitch(
            vpc=params.required(p, "VpcId"),
            zone=params.required(p, "ZoneId"),
            cidr=params.required(p, "CidrBlock"),
            name=p.get("VSwitchName", ""),
            description=p.get("Description", ""),
            tags=paging.tags(call),
            token=p.get("ClientToken"),
        )
        return {"VSwitchId": made}

    @reads("VSwitchId", "DryRun")
    @raises("InvalidVSwitchId.NotFound", "IncorrectVSwitchStatus", "DependencyViolation", "DryRunOperation")
    def delete_vswitch(self, call: Call) -> dict[str, Any]:
        """Pending for a few seconds, then gone; refused while anything is in it, or in motion beside it."""
        dry_run = params.boolean(call.params, "DryRun", False)
        self._realm.vpc.networks.delete_vswitch(params.required(call.params, "VSwitchId"), dry_run=dry_run)
        return {}

    @reads("VSwitchId", "VSwitchName", "Description")
    @raises("InvalidVSwitchId.NotFound", *VSWITCH_WORDS)
    def modify_vswitch(self, call: Call) -> dict[str, Any]:
        """Name and text. Not modelled: IPv6."""
        p = call.params
        self._realm.vpc.networks.modify_vswitch(
            params.required(p, "VSwitchId"), name=p.get("VSwitchName"), description=p.get("Description")
        )
        return {}

    # Places ---------------------------------------------------------------------------------------------------

    @reads("AcceptLanguage", "ProductType")
    @raises()
    def regions(self, _: Call) -> dict[str, Any]:
        """Every region there is."""
        found = [
            {"RegionId": region, "LocalName": region, "RegionEndpoint": f"vpc.{region}.aliyuncs.com"}
            for region in self._realm.cloud.regions
        ]
        return {"Regions": {"Region": found}}

    @reads("AcceptLanguage", "ZoneType")
    @raises()
    def zones(self, call: Call) -> dict[str, Any]:
        """Where a vSwitch can be. Not modelled: edge zones (ZoneType other than AvailabilityZone finds none)."""
        ours = call.params.get("ZoneType", "") in ("", "AvailabilityZone")
        found = [
            {"ZoneId": zone, "LocalName": zone, "ZoneType": "AvailabilityZone"}
            for zone in (self._realm.ecs.zones if ours else ())
        ]
        return {"Zones": {"Zone": found}}

    # Described ------------------------------------------------------------------------------------------------

    @reads("VpcId", "VpcName", "IsDefault", "PageNumber", "PageSize", "DryRun", *paging.TAGS)
    @raises("DryRunOperation")
    def vpcs(self, call: Call) -> dict[str, Any]:
        """`VpcId` takes several, with commas. Not modelled: resource groups, DHCP options, shared VPCs."""
        p = call.params
        paging.dry_run(call)
        ids, name, tags = _several(p, "VpcId"), p.get("VpcName"), paging.tag_filter(call)
        default = params.boolean(p, "IsDefault", False)
        network = self._realm.ecs.network
        found = [
            self._vpc(vpc)
            for vpc in network.vpcs
            for about in (network.about_vpc(vpc),)
            if not default
            and (not ids or vpc in ids)
            and (not name or about.name == name)
            and (not tags or carries(about.tags, tags))
        ]
        return _page(call, "Vpcs", "Vpc", found, PAGE_AT_MOST)

    @reads("VpcId", "IsDefault", "DryRun")
    @raises("InvalidVpcId.NotFound", "DryRunOperation")
    def vpc(self, call: Call) -> dict[str, Any]:
        """One VPC. Not modelled: its other cloud resources, CENs, routers."""
        paging.dry_run(call)
        wanted = params.required(call.params, "VpcId")
        if wanted not in self._realm.ecs.network.vpcs:
            raise ApiError("InvalidVpcId.NotFound", f"The VPC {wanted} does not exist.", 404)
        listed = self._vpc(wanted)
        del listed["RouterTableIds"], listed["NatGatewayIds"]
        return {**listed, "ClassicLinkEnabled": False}

    def _vpc(self, id: str) -> dict[str, Any]:
        network = self._realm.ecs.network
        about = network.about_vpc(id)
        return {
            "VpcId": id,
            "VpcName": about.name,
            "RegionId": self._realm.region,
            "Status": about.status,
            "CidrBlock": network.vpcs[id],
            "CreationTime": iso(about.created),
            "Description": about.description,
            "IsDefault": False,
            "OwnerId": int(self._realm.account),
            "ResourceGroupId": "",
            "VRouterId": _router(id),
            "VSwitchIds": {"VSwitchId": [v.id for v in network.vswitches.values() if v.vpc == id]},
            "RouterTableIds": {"RouterTableIds": [_route_table(id)]},
            "NatGatewayIds": {"NatGatewayIds": []},
            "SecondaryCidrBlocks": {"SecondaryCidrBlock": []},
            "UserCidrs": {"UserCidr": []},
            "Tags": paging.group_tag_list(about.tags),
        }

    @reads(
        "VSwitchId", "VSwitchName", "VpcId", "ZoneId", "IsDefault", "PageNumber", "PageSize", "DryRun", *paging.TAGS,
    )  # fmt: skip
    @raises("DryRunOperation")
    def vswitches(self, call: Call) -> dict[str, Any]:
        """All, or those asked for. Not modelled: resource groups, route tables as filters, shared vSwitches."""
        p = call.params
        paging.dry_run(call)
        default, tags = params.boolean(p, "IsDefault", False), paging.tag_filter(call)
        network = self._realm.ecs.network
        found = [
            self._vswitch(vswitch)
            for vswitch in network.vswitches.values()
            for about in (network.about(vswitch),)
            if not default
            and p.get("VSwitchId") in (None, "", vswitch.id)
            and p.get("VSwitchName") in (None, "", about.name)
            and (not tags or carries(about.tags, tags))
            and p.get("VpcId") in (None, "", vswitch.vpc)
            and p.get("ZoneId") in (None, "", vswitch.zone)
        ]
        return _page(call, "VSwitches", "VSwitch", found, PAGE_AT_MOST)

    @reads("VSwitchId", "DryRun")
    @raises("InvalidVSwitchId.NotFound", "DryRunOperation")
    def vswitch(self, call: Call) -> dict[str, Any]:
        """One vSwitch, with the number of its free addresses."""
        paging.dry_run(call)
        return self._vswitch(self._realm.ecs.network.vswitch(params.required(call.params, "VSwitchId")))

    def _vswitch(self, vswitch: VSwitch) -> dict[str, Any]:
        network = self._realm.ecs.network
        about = network.about(vswitch)
        return {
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
            "OwnerId": int(self._realm.account),
            "ResourceGroupId": "",
            "RouteTable": {"RouteTableId": _route_table(vswitch.vpc), "RouteTableType": "System"},
            "Tags": paging.group_tag_list(about.tags),
        }


def _router(vpc: str) -> str:
    return "vrt-" + vpc.removeprefix("vpc-")


def _route_table(vpc: str) -> str:
    return "vtb-" + vpc.removeprefix("vpc-")


def _several(p: Mapping[str, str], name: str) -> set[str]:
    return {one for one in p.get(name, "").split(",") if one}


def _page(call: Call, plural: str, singular: str, found: list[dict[str, Any]], most: int) -> dict[str, Any]:
    number = params.integer(call.params, "PageNumber", 1, low=1)
    size = params.integer(call.params, "PageSize", PAGE, low=1, high=most)
    fields = {"TotalCount": len(found), "PageNumber": number, "PageSize": size}
    return {plural: {singular: found[(number - 1) * size : number * size]}, **fields}
