"""RunInstances, DescribeInstances, DescribeInstanceStatus, Start, Stop, Reboot, Delete, ModifyInstanceAttribute."""

from base64 import b64decode
from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.instances import TYPES, DataDisk, Instance, Order
from emulator.ecs.rules import check_description, check_name, iso_minutes
from emulator.ecs.shelf import carries
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = InstancesApi(ecs)
    return {
        "RunInstances": api.run,
        "DescribeInstances": api.describe,
        "DescribeInstanceStatus": api.describe_status,
        "StartInstance": api.start,
        "StopInstance": api.stop,
        "RebootInstance": api.reboot,
        "DeleteInstance": api.delete,
        "ModifyInstanceAttribute": api.modify,
    }


class InstancesApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "ImageId", "ImageFamily", "InstanceType", "SecurityGroupId", "SecurityGroupIds.N", "VSwitchId", "ZoneId",
        "Amount", "MinAmount", "PrivateIpAddress", "SystemDisk.Size", "SystemDisk.Category",
        "SystemDisk.PerformanceLevel", "SystemDisk.DiskName", "DataDisk.N.SnapshotId", "DataDisk.N.Size",
        "DataDisk.N.Category", "DataDisk.N.DeleteWithInstance", "DataDisk.N.Device", "DataDisk.N.DiskName",
        "DataDisk.N.PerformanceLevel", "UserData", "DeletionProtection", "ClientToken", "DryRun", "RamRoleName",
        "KeyPairName", "Password", "PasswordInherit", "HostName", "InstanceName", "Description", "InstanceChargeType",
        "InternetMaxBandwidthOut", *paging.TAGS,
    )  # fmt: skip
    def run(self, call: Call) -> dict[str, Any]:
        """May answer fewer ids than Amount, never fewer than MinAmount."""
        order = self._order(call)
        paging.dry_run(call)
        made = self._ecs.lifecycle.run(order, token=call.params.get("ClientToken"))
        return {"InstanceIdSets": {"InstanceIdSet": [instance.id for instance in made]}, "OrderId": ""}

    def _order(self, call: Call) -> Order:
        p = call.params
        groups = params.list_of(p, "SecurityGroupIds") or ([p["SecurityGroupId"]] if p.get("SecurityGroupId") else [])
        try:
            user_data = b64decode(p.get("UserData", ""), validate=True)
        except ValueError:
            raise ApiError("InvalidUserData.Base64FormatInvalid", "UserData is not Base64.", 400) from None
        return Order(
            image_id=self._image(call),
            instance_type=params.required(p, "InstanceType"),
            vswitch_id=params.required(p, "VSwitchId"),
            security_group_ids=tuple(groups),
            name=p.get("InstanceName", ""),
            description=p.get("Description"),
            zone=p.get("ZoneId") or None,
            amount=params.integer(p, "Amount", 1),
            min_amount=params.integer(p, "MinAmount"),
            private_address=p.get("PrivateIpAddress") or None,
            system_category=p.get("SystemDisk.Category") or "cloud_essd",
            system_size_gib=params.integer(p, "SystemDisk.Size"),
            data_disks=tuple(
                DataDisk(
                    category=entry.get("Category") or "cloud_essd",
                    size_gib=params.integer(entry, "Size"),
                    snapshot_id=entry.get("SnapshotId") or None,
                    device=(entry.get("Device") or "").replace("/dev/xvd", "/dev/vd") or None,
                    name=entry.get("DiskName", ""),
                    delete_with_instance=params.boolean(entry, "DeleteWithInstance", True),
                )
                for entry in params.objects(p, "DataDisk")
            ),
            user_data=user_data,
            host_name=p.get("HostName", ""),
            key_pair=p.get("KeyPairName", ""),
            deletion_protection=params.boolean(p, "DeletionProtection", False),
            tags=tuple(sorted(paging.tags(call).items())),
        )

    def _image(self, call: Call) -> str:
        image_id, family = call.params.get("ImageId"), call.params.get("ImageFamily")
        if image_id and family:
            raise ApiError("UnexpectedImageFamily.ImageIdSupplied", "Give ImageId or ImageFamily, not both.")
        if not family:
            return params.required(call.params, "ImageId")
        image = self._ecs.images.from_family(family)
        if image is None:
            raise ApiError("InvalidImageFamily.MissingAvailableImage", f"{family} has no available image.", 403)
        return image.id

    @reads(
        "InstanceIds", "InstanceName", "ImageId", "InstanceType", "Status", "VpcId", "VSwitchId", "ZoneId",
        "PrivateIpAddresses", "SecurityGroupId", "AdditionalAttributes.N", "KeyPairName", *paging.TAGS, *paging.PAGING,
    )  # fmt: skip
    def describe(self, call: Call) -> dict[str, Any]:
        """A caller without permission gets an empty list, not a 403."""
        p = call.params
        ids = params.json_texts(p, "InstanceIds", at_most=100)
        addresses = params.json_texts(p, "PrivateIpAddresses", at_most=100)
        name, image, kind, status = p.get("InstanceName"), p.get("ImageId"), p.get("InstanceType"), p.get("Status")
        vpc, vswitch, zone, group = p.get("VpcId"), p.get("VSwitchId"), p.get("ZoneId"), p.get("SecurityGroupId")
        tags = paging.tag_filter(call)
        if not self._ecs.cloud.ram.permits(call, "ecs"):
            ids = []

        def matches(i: Instance) -> bool:
            return (
                (not name or _fits(i.name, name))
                and (not image or i.image_id == image)
                and (not kind or i.instance_type == kind)
                and (not status or i.state == status)
                and (not vpc or i.vpc_id == vpc)
                and (not vswitch or i.vswitch_id == vswitch)
                and (not zone or i.zone == zone)
                and (not group or group in i.security_group_ids)
                and (addresses is None or i.private_ip in addresses)
                and (not tags or carries(i.tags, tags))
            )

        items, fields = paging.listed(call, self._ecs.shelf, matches, self._render, cap=100, ids=ids)
        return {"Instances": {"Instance": items}, **fields}

    def _render(self, i: Instance) -> dict[str, Any]:
        cpu, memory = TYPES.get(i.instance_type, (2, 8_192))
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
            "StartTime": iso_minutes(i.started) if i.started else "",
            "ExpiredTime": "2099-12-31T15:59Z",
            "AutoReleaseTime": "",
            "InstanceChargeType": "PostPaid",
            "DeletionProtection": i.deletion_protection,
            "Recyclable": False,
            "DeviceAvailable": True,
            "VpcAttributes": {
                "VpcId": i.vpc_id,
                "VSwitchId": i.vswitch_id,
                "NatIpAddress": "",
                "PrivateIpAddress": {"IpAddress": [i.private_ip]},
            },
            "PublicIpAddress": {"IpAddress": []},
            "InnerIpAddress": {"IpAddress": []},
            "EipAddress": {"AllocationId": "", "IpAddress": "", "InternetChargeType": ""},
            "SecurityGroupIds": {"SecurityGroupId": list(i.security_group_ids)},
            "NetworkInterfaces": {
                "NetworkInterface": [
                    {
                        "NetworkInterfaceId": "eni-" + i.id.removeprefix("i-"),
                        "Type": "Primary",
                        "PrimaryIpAddress": i.private_ip,
                        "MacAddress": "00:16:3e:"
                        + ":".join(f"{int(part):02x}" for part in i.private_ip.split(".")[1:]),
                        "PrivateIpSets": {"PrivateIpSet": [{"PrivateIpAddress": i.private_ip, "Primary": True}]},
                    }
                ]
            },
            "OperationLocks": {"LockReason": []},
            "Cpu": cpu,
            "Memory": memory,
            "OSType": "linux",
            "Tags": paging.tag_list(i.tags),
            "ResourceGroupId": "",
            "KeyPairName": i.key_pair,
            "SerialNumber": "",
        }

    @reads("ZoneId", "InstanceId.N", "ClusterId", "PageNumber", "PageSize")
    def describe_status(self, call: Call) -> dict[str, Any]:
        zone = call.params.get("ZoneId")
        ids = params.list_of(call.params, "InstanceId") or None
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

    @reads("InstanceId", "InitLocalDisk", "DryRun")
    def start(self, call: Call) -> dict[str, Any]:
        instance = self._named(call)
        paging.dry_run(call)
        self._ecs.lifecycle.start(instance)
        return {}

    @reads("InstanceId", "ForceStop", "StoppedMode", "ConfirmStop", "DryRun")
    def stop(self, call: Call) -> dict[str, Any]:
        instance = self._named(call)
        paging.dry_run(call)
        self._ecs.lifecycle.stop(
            instance,
            force=params.boolean(call.params, "ForceStop", False),
            mode=call.params.get("StoppedMode") or self._ecs.default_stop_mode,
        )
        return {}

    @reads("InstanceId", "ForceStop", "DryRun")
    def reboot(self, call: Call) -> dict[str, Any]:
        instance = self._named(call)
        paging.dry_run(call)
        self._ecs.lifecycle.reboot(instance, force=params.boolean(call.params, "ForceStop", False))
        return {}

    @reads("InstanceId", "Force", "ForceStop", "TerminateSubscription", "DryRun")
    def delete(self, call: Call) -> dict[str, Any]:
        instance = self._named(call)
        paging.dry_run(call)
        self._ecs.lifecycle.delete(instance, force=params.boolean(call.params, "Force", False))
        return {}

    @reads("InstanceId", "InstanceName", "Description", "HostName", "DeletionProtection", "UserData")
    def modify(self, call: Call) -> dict[str, Any]:
        instance, p = self._named(call), call.params
        check_name(p.get("InstanceName"), ApiError("InvalidInstanceName.Malformed", "The name is not valid."))
        check_description(p.get("Description"), ApiError("InvalidDescription.Malformed", "The text is not valid."))
        instance.name = p.get("InstanceName", instance.name)
        instance.description = p.get("Description", instance.description)
        instance.host_name = p.get("HostName", instance.host_name)
        instance.deletion_protection = params.boolean(p, "DeletionProtection", instance.deletion_protection)
        return {}


def _fits(name: str, wanted: str) -> bool:
    """Instance names are searched with `*` at either end."""
    if wanted.startswith("*") or wanted.endswith("*"):
        inner = wanted.strip("*")
        if wanted.startswith("*") and wanted.endswith("*"):
            return inner in name
        return name.endswith(inner) if wanted.startswith("*") else name.startswith(inner)
    return name == wanted
