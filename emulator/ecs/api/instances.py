"""DescribeInstances, DescribeInstanceStatus, DescribeInstanceAttribute, DescribeUserData, DescribeInstanceRamRole,
ModifyInstanceAttribute."""

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from emulator.ecs import naming, operation_locks, types
from emulator.ecs.api import paging
from emulator.ecs.api.buying import USER_DATA_CODES, user_data
from emulator.ecs.buying import USER_DATA_BYTES
from emulator.ecs.instances import Instance
from emulator.ecs.interfaces import IN_USE
from emulator.ecs.rules import check_description, check_name, check_password, iso_minutes, moment
from emulator.ecs.shelf import carries
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

IDS_AT_MOST = 100
NEVER = "2099-12-31T15:59Z"
FILTERS = ("CreationStartTime", "CreationEndTime", "ExpiredStartTime", "ExpiredEndTime")


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = InstancesApi(ecs)
    return {
        "DescribeInstances": api.describe,
        "DescribeInstanceStatus": api.describe_status,
        "DescribeInstanceAttribute": api.describe_attribute,
        "DescribeUserData": api.describe_user_data,
        "DescribeInstanceRamRole": api.describe_role,
        "ModifyInstanceAttribute": api.modify,
    }


class InstancesApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "InstanceIds", "InstanceName", "ImageId", "InstanceType", "InstanceTypeFamily", "Status", "VpcId", "VSwitchId",
        "ZoneId", "PrivateIpAddresses", "PublicIpAddresses", "EipAddresses", "InnerIpAddresses", "SecurityGroupId",
        "AdditionalAttributes.N", "KeyPairName", "LockReason", "InstanceChargeType", "InternetChargeType",
        "InstanceNetworkType", "IoOptimized", "DeviceAvailable", "ResourceGroupId", "Filter.N.Key", "Filter.N.Value",
        *paging.TAGS, *paging.PAGING,
    )  # fmt: skip
    @raises(
        "DryRunOperation", "InvalidParameter.NextToken", "InvalidInstanceIds.Malformed", "InvalidFilterKey.NotFound",
        "InvalidPrivateIpAddresses.Malformed", "InvalidPublicIpAddresses.Malformed", "InvalidEipAddresses.Malformed",
        "InvalidInnerIpAddresses.Malformed",
    )  # fmt: skip
    def describe(self, call: Call) -> dict[str, Any]:
        """Lists instances. A caller without permission gets an empty list, not a 403."""
        p = call.params
        ids = params.json_texts(p, "InstanceIds", at_most=IDS_AT_MOST)
        addresses = params.json_texts(p, "PrivateIpAddresses", at_most=IDS_AT_MOST)
        publics = params.json_texts(p, "PublicIpAddresses", at_most=IDS_AT_MOST)
        eips = params.json_texts(p, "EipAddresses", at_most=IDS_AT_MOST)
        inner = params.json_texts(p, "InnerIpAddresses", at_most=IDS_AT_MOST)
        wanted = {
            name: p[parameter]
            for parameter, name in {
                "ImageId": "image_id", "InstanceType": "instance_type", "Status": "state", "VpcId": "vpc_id",
                "VSwitchId": "vswitch_id", "ZoneId": "zone", "KeyPairName": "key_pair",
                "ResourceGroupId": "resource_group",
            }.items()
            if p.get(parameter)
        }  # fmt: skip
        name, group, family, lock = (
            p.get(key) for key in ("InstanceName", "SecurityGroupId", "InstanceTypeFamily", "LockReason")
        )
        since, until = self._creation(call)
        tags = paging.tag_filter(call)
        nothing = (
            not self._ecs.cloud.ram.permits(call, "ecs")
            or bool(inner)
            or p.get("InstanceChargeType", "PostPaid") not in ("", "PostPaid")
            or p.get("InternetChargeType", "PayByTraffic") not in ("", "PayByTraffic")
            or p.get("InstanceNetworkType", "vpc") not in ("", "vpc")
            or not params.boolean(p, "IoOptimized", True)
            or not params.boolean(p, "DeviceAvailable", True)
        )

        def matches(i: Instance) -> bool:
            return (
                (not name or _fits(i.name, name))
                and all(getattr(i, attribute) == value for attribute, value in wanted.items())
                and (not group or group in i.security_group_ids)
                and (not family or _family(i) == family)
                and (not lock or lock in i.locks)
                and (since is None or i.created >= since)
                and (until is None or i.created <= until)
                and (addresses is None or i.private_ip in addresses)
                and (publics is None or i.public_ip in publics)
                and (eips is None or self._eip(i)["IpAddress"] in eips)
                and (not tags or carries(i.tags, tags))
            )

        shown = [] if nothing else ids
        items, fields = paging.listed(call, self._ecs.shelf, matches, self._render, cap=100, ids=shown)
        return {"Instances": {"Instance": items}, **fields}

    def _creation(self, call: Call) -> tuple[Any, Any]:
        """`Filter.N` on the creation time; those on the expiry match all, since nothing here expires."""
        found = {}
        for entry in params.objects(call.params, "Filter"):
            key = entry.get("Key", "")
            if key not in FILTERS:
                raise ApiError("InvalidFilterKey.NotFound", f"{key!r} is not one of {', '.join(FILTERS)}.", 404)
            found[key] = moment(entry.get("Value"))
        return found.get("CreationStartTime"), found.get("CreationEndTime")

    def _eip(self, i: Instance) -> dict[str, Any]:
        """Present with empty texts when there is none (assumption)."""
        eip = self._ecs.realm.vpc.eip_of(i.id) if self._ecs.realm.built("vpc") else None
        if eip is None:
            return {"AllocationId": "", "IpAddress": "", "InternetChargeType": ""}
        return {
            "AllocationId": eip.id,
            "IpAddress": eip.address,
            "Bandwidth": eip.bandwidth,
            "InternetChargeType": eip.charge_type,
            "IsSupportUnassociate": True,
        }

    def _common(self, i: Instance) -> dict[str, Any]:
        """What DescribeInstances and DescribeInstanceAttribute both show."""
        known = types.named(i.instance_type)
        return {
            "InstanceId": i.id,
            "InstanceName": i.name,
            "HostName": i.host_name,
            "Description": i.description,
            "Status": i.state,
            "StoppedMode": i.stopped_mode if i.state == "Stopped" else "Not-applicable",
            "ImageId": i.image_id,
            "InstanceType": i.instance_type,
            "RegionId": self._ecs.region,
            "ZoneId": i.zone,
            "CreationTime": iso_minutes(i.created),
            "ExpiredTime": iso_minutes(i.created) if i.expired else NEVER,
            "InstanceChargeType": "PostPaid",
            "InstanceNetworkType": "vpc",
            "InternetChargeType": "PayByTraffic",
            "InternetMaxBandwidthIn": i.bandwidth_in,
            "InternetMaxBandwidthOut": i.bandwidth_out,
            "VpcAttributes": {
                "VpcId": i.vpc_id,
                "VSwitchId": i.vswitch_id,
                "NatIpAddress": "",
                "PrivateIpAddress": {"IpAddress": [i.private_ip]},
            },
            "PublicIpAddress": {"IpAddress": [i.public_ip] if i.public_ip else []},
            "InnerIpAddress": {"IpAddress": []},
            "SecurityGroupIds": {"SecurityGroupId": list(i.security_group_ids)},
            "Cpu": known.cores if known else 2,
            "Memory": known.memory_mib if known else 8_192,
            "SerialNumber": "",
            "VlanId": "",
            "ClusterId": "",
            "CreditSpecification": "",
        }

    def _render(self, i: Instance) -> dict[str, Any]:
        return {
            **self._common(i),
            "StartTime": iso_minutes(i.started) if i.started else "",
            "AutoReleaseTime": iso_minutes(i.auto_release) if i.auto_release else "",
            "InstanceTypeFamily": _family(i),
            "IoOptimized": True,
            "SpotStrategy": "NoSpot",
            "DeletionProtection": i.deletion_protection,
            "Recyclable": "Recycling" in i.locks,
            "DeviceAvailable": True,
            "EipAddress": self._eip(i),
            "NetworkInterfaces": {"NetworkInterface": self._interfaces(i)},
            "OperationLocks": {"LockReason": [{"LockReason": reason, "LockMsg": ""} for reason in i.locks]},
            "OSType": "linux",
            "Tags": paging.tag_list(i.tags),
            "ResourceGroupId": i.resource_group,
            "KeyPairName": i.key_pair,
        }

    def _interfaces(self, i: Instance) -> list[dict[str, Any]]:
        """Its own first; one that is on its way there or away is not shown."""
        return [
            {
                "NetworkInterfaceId": interface.id,
                "Type": interface.type,
                "PrimaryIpAddress": interface.address,
                "MacAddress": interface.mac,
                "PrivateIpSets": {
                    "PrivateIpSet": [
                        {"PrivateIpAddress": address, "Primary": number == 0}
                        for number, address in enumerate(interface.addresses)
                    ]
                },
            }
            for interface in self._ecs.interfaces.of(i.id)
            if interface.status == IN_USE
        ]

    @reads("ZoneId", "InstanceId.N", "ClusterId", "PageNumber", "PageSize")
    @raises()
    def describe_status(self, call: Call) -> dict[str, Any]:
        """Id and state only: the cheap poll."""
        zone = call.params.get("ZoneId")
        ids = named_ids(call)
        items, fields = paging.numbered(
            call,
            self._ecs.shelf,
            lambda i: not zone or i.zone == zone,
            lambda i: {"InstanceId": i.id, "Status": i.state},
            cap=50,
            ids=ids,
        )
        return {
            "InstanceStatuses": {"InstanceStatus": items},
            **paging.only(fields, "PageNumber", "PageSize", "TotalCount"),
        }

    def _named(self, call: Call) -> Instance:
        return self._ecs.find_instance(params.required(call.params, "InstanceId"))

    @reads("InstanceId")
    @raises("InvalidInstanceId.NotFound")
    def describe_attribute(self, call: Call) -> dict[str, Any]:
        """One instance, in the older shape: IoOptimized is a text, and there are no tags and no StartTime."""
        i = self._named(call)
        eip = {key: value for key, value in self._eip(i).items() if key != "IsSupportUnassociate"}
        return {
            **self._common(i),
            "IoOptimized": "optimized",
            "EipAddress": eip,
            "OperationLocks": {"LockReason": [{"LockReason": reason} for reason in i.locks]},
        }

    @reads("InstanceId")
    @raises("InvalidInstanceId.NotFound")
    def describe_user_data(self, call: Call) -> dict[str, Any]:
        """What the instance was given, as Base64."""
        i = self._named(call)
        return {"InstanceId": i.id, "RegionId": self._ecs.region, "UserData": b64encode(i.user_data).decode()}

    @reads("InstanceIds", "RamRoleName", "PageNumber", "PageSize")
    @raises("InvalidInstanceIds.Malformed")
    def describe_role(self, call: Call) -> dict[str, Any]:
        """Which role each instance carries; those without are not listed (assumption)."""
        ids = params.json_texts(call.params, "InstanceIds", at_most=IDS_AT_MOST)
        wanted = call.params.get("RamRoleName")
        items, fields = paging.numbered(
            call,
            self._ecs.shelf,
            lambda i: bool(i.ram_role) and (not wanted or i.ram_role == wanted),
            lambda i: {"InstanceId": i.id, "RamRoleName": i.ram_role},
            cap=50,
            ids=ids,
        )
        return {
            "RegionId": self._ecs.region,
            "InstanceRamRoleSets": {"InstanceRamRoleSet": items},
            **paging.only(fields, "TotalCount"),
        }

    @reads(
        "InstanceId", "InstanceName", "Description", "HostName", "DeletionProtection", "UserData", "Password",
        "SecurityGroupIds.N",
    )  # fmt: skip
    @raises(
        "InvalidInstanceId.NotFound", "InvalidInstanceName.Malformed", "InvalidDescription.Malformed",
        "InvalidHostName.Malformed", "InvalidPassword.Malformed", "InstanceLockedForSecurity",
        "InvalidSecurityGroupId.NotFound", "InvalidParameter.Mismatch", "IncorrectInstanceStatus", *USER_DATA_CODES,
    )  # fmt: skip
    def modify(self, call: Call) -> dict[str, Any]:
        """Names, texts, protection, groups. UserData takes a stopped instance; a password is checked, not kept."""
        instance, p = self._named(call), call.params
        operation_locks.check(instance, "modify")
        check_name(p.get("InstanceName"), ApiError("InvalidInstanceName.Malformed", "The name is not valid."))
        check_description(
            p.get("Description") or None, ApiError("InvalidDescription.Malformed", "The text is not valid.")
        )
        check_password(p.get("Password"))
        if p.get("HostName"):
            naming.check_host(p["HostName"])
        groups = tuple(params.list_of(p, "SecurityGroupIds"))
        self._ecs.network.check_security_groups(groups, instance.vpc_id)
        protected = params.boolean(p, "DeletionProtection", instance.deletion_protection)
        if "UserData" in p:
            self._modify_user_data(instance, user_data(p))
        instance.name = p.get("InstanceName", instance.name)
        instance.description = p.get("Description", instance.description)
        instance.host_name = p.get("HostName") or instance.host_name
        instance.deletion_protection = protected
        if groups:
            self._ecs.interfaces.primary(instance).belong_to(groups)
            self._ecs.security_groups.changed()
        return {}

    def _modify_user_data(self, instance: Instance, given: bytes) -> None:
        if instance.state != "Stopped":
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}, not Stopped.", 403)
        if len(given) > USER_DATA_BYTES:
            raise ApiError("InvalidUserData.SizeExceeded", f"UserData holds {len(given)} bytes.")
        instance.user_data = given


def named_ids(call: Call) -> list[str] | None:
    """`InstanceId.N`, at most 100. None when none was sent."""
    ids = params.list_of(call.params, "InstanceId")
    if len(ids) > IDS_AT_MOST:
        raise params.invalid("InstanceId", f"it holds {len(ids)} ids, at most {IDS_AT_MOST} are allowed")
    return ids or None


def _family(i: Instance) -> str:
    known = types.named(i.instance_type)
    return known.family if known else ""


def _fits(name: str, wanted: str) -> bool:
    """Instance names are searched with `*` at either end."""
    if wanted.startswith("*") or wanted.endswith("*"):
        inner = wanted.strip("*")
        if wanted.startswith("*") and wanted.endswith("*"):
            return inner in name
        return name.endswith(inner) if wanted.startswith("*") else name.startswith(inner)
    return name == wanted
