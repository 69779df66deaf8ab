"""RunInstances, CreateInstance, ModifyInstanceAutoReleaseTime."""

from base64 import b64decode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.instances import DataDisk, Order
from emulator.ecs.rules import check_password, moment
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

USER_DATA_CODES = ("InvalidUserData.SizeExceeded", "InvalidUserData.Base64FormatInvalid")
ORDER = (
    "ImageId", "ImageFamily", "InstanceType", "SecurityGroupId", "VSwitchId", "ZoneId", "PrivateIpAddress",
    "SystemDisk.Size", "SystemDisk.Category", "SystemDisk.PerformanceLevel", "SystemDisk.DiskName",
    "SystemDisk.Description", "DataDisk.N.SnapshotId", "DataDisk.N.Size", "DataDisk.N.Category",
    "DataDisk.N.DeleteWithInstance", "DataDisk.N.Device", "DataDisk.N.DiskName", "DataDisk.N.Description",
    "DataDisk.N.PerformanceLevel", "UserData", "DeletionProtection", "ClientToken", "DryRun", "RamRoleName",
    "KeyPairName", "Password", "PasswordInherit", "HostName", "InstanceName", "Description", "InstanceChargeType",
    "InternetMaxBandwidthOut", "InternetMaxBandwidthIn", "InternetChargeType", "IoOptimized", "ResourceGroupId",
    "SecurityEnhancementStrategy", "SpotStrategy", *paging.TAGS,
)  # fmt: skip
SEVERAL = (
    "SecurityGroupIds.N", "Amount", "MinAmount", "HostNames.N", "UniqueSuffix", "AutoReleaseTime",
    "NetworkInterface.N.InstanceType", "NetworkInterface.N.VSwitchId", "NetworkInterface.N.PrimaryIpAddress",
    "NetworkInterface.N.SecurityGroupId", "NetworkInterface.N.SecurityGroupIds.N",
)  # fmt: skip
CODES = (
    "InvalidImageId.NotFound", "IncorrectImageStatus", "UnexpectedImageFamily.ImageIdSupplied",
    "InvalidImageFamily.MissingAvailableImage", "InvalidInstanceType.ValueNotSupported", "InstanceType.Offline",
    "InvalidVSwitchId.NotFound", "IncorrectVSwitchStatus", "InvalidZoneId.NotFound", "InvalidParameter.Mismatch",
    "InvalidSecurityGroupId.NotFound",
    "InvalidInstanceName.Malformed", "InvalidDescription.Malformed", "InvalidHostName.Malformed",
    "InvalidKeyPairName.NotFound", "InvalidRamRole.NotFound", "InvalidPassword.Malformed", "InvalidTagKey.Malformed",
    "InvalidTagValue.Malformed", "QuotaExceed.Tags", "Duplicate.TagKey", "InvalidUserData.SizeExceeded",
    "InvalidUserData.Base64FormatInvalid", "InvalidAmount", "InvalidDiskCategory.NotSupported",
    "InvalidPerformanceLevel.Malformed", "InvalidSystemDiskSize.LessThanImageSize",
    "InvalidSystemDiskSize.ValueNotSupported", "InstanceDiskNumLimitExceed", "InvalidDevice.InUse",
    "InvalidSnapshotId.NotFound",
    "InvalidSnapshotId.NotReady", "InvalidSnapshot.TooOld", "InvalidDiskSize.ValueNotSupported",
    "InvalidAutoReleaseTime.Malformed", "InvalidPrivateIpAddress", "InvalidPrivateIpAddress.Malformed",
    "InvalidPrivateIpAddress.Duplicated", "QuotaExceeded.PrivateIpAddress", "OperationDenied.NoStock",
    "QuotaExceed.ElasticQuota", "Throttling.Resource", "InvalidAccountStatus.NotEnoughBalance", "DryRunOperation",
    "IdempotentParameterMismatch", "IdempotentProcessing", "InvalidClientToken.ValueNotSupported",
)  # fmt: skip


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = BuyingApi(ecs)
    return {
        "RunInstances": api.run,
        "CreateInstance": api.create,
        "ModifyInstanceAutoReleaseTime": api.modify_release,
    }


class BuyingApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(*ORDER, *SEVERAL)
    @raises(*CODES)
    def run(self, call: Call) -> dict[str, Any]:
        """Buys and starts instances; may answer fewer ids than Amount, never fewer than MinAmount.

        Not modelled: subscription, spot, launch templates, secondary interfaces, IPv6, encryption."""
        order = self._order(call, starts=True)
        if params.boolean(call.params, "DryRun", False):
            self._ecs.buying.check(order)
            paging.dry_run(call)
        made = self._ecs.buying.run(order, token=call.params.get("ClientToken"))
        return {"InstanceIdSets": {"InstanceIdSet": [instance.id for instance in made]}, "OrderId": ""}

    @reads(*ORDER)
    @raises(*CODES)
    def create(self, call: Call) -> dict[str, Any]:
        """Buys one instance, which stays Stopped and has no public address.

        Not modelled: subscription, spot, encryption."""
        order = self._order(call, starts=False)
        if params.boolean(call.params, "DryRun", False):
            self._ecs.buying.check(order)
            paging.dry_run(call)
        [made] = self._ecs.buying.run(order, token=call.params.get("ClientToken"))
        return {"InstanceId": made.id, "OrderId": ""}

    def _order(self, call: Call, *, starts: bool) -> Order:
        p = call.params
        _refuse_other_charges(p)
        check_password(p.get("Password"))
        primary = _primary_interface(p)
        groups = params.list_of(p, "SecurityGroupIds") or ([p["SecurityGroupId"]] if p.get("SecurityGroupId") else [])
        if primary is not None:
            groups = params.list_of(primary, "SecurityGroupIds") or [
                group for group in [primary.get("SecurityGroupId")] if group
            ]
        release = moment(p.get("AutoReleaseTime"))
        return Order(
            image_id=self._image(call),
            instance_type=params.required(p, "InstanceType"),
            vswitch_id=params.required(p if primary is None else primary, "VSwitchId"),
            security_group_ids=tuple(groups),
            name=p.get("InstanceName", ""),
            description=p.get("Description"),
            zone=p.get("ZoneId") or None,
            amount=params.integer(p, "Amount", 1),
            min_amount=params.integer(p, "MinAmount"),
            private_address=(
                p.get("PrivateIpAddress") if primary is None else primary.get("PrimaryIpAddress")
            ) or None,
            system_category=p.get("SystemDisk.Category") or "cloud_essd",
            system_size_gib=params.integer(p, "SystemDisk.Size"),
            system_name=p.get("SystemDisk.DiskName", ""),
            system_description=p.get("SystemDisk.Description", ""),
            system_performance_level=p.get("SystemDisk.PerformanceLevel", ""),
            data_disks=tuple(_data_disk(entry) for entry in params.objects(p, "DataDisk")),
            user_data=user_data(p),
            host_name=p.get("HostName", ""),
            host_names=tuple(params.list_of(p, "HostNames")),
            unique_suffix=params.boolean(p, "UniqueSuffix", False),
            key_pair=p.get("KeyPairName", ""),
            ram_role=self._role(call),
            resource_group=p.get("ResourceGroupId", ""),
            bandwidth_in=params.integer(p, "InternetMaxBandwidthIn", 200),
            bandwidth_out=params.integer(p, "InternetMaxBandwidthOut", 0),
            auto_release=release,
            deletion_protection=params.boolean(p, "DeletionProtection", False),
            starts=starts,
            tags=tuple(sorted(paging.tags(call).items())),
        )  # fmt: skip

    def _role(self, call: Call) -> str:
        """While an account declares no roles at all, any name is believed."""
        role = call.params.get("RamRoleName", "")
        ram, account = self._ecs.cloud.ram, self._ecs.account
        if role and ram.enforced(account) and ram.find_role(account, role) is None:
            raise ApiError("InvalidRamRole.NotFound", f"There is no role {role}.", 404)
        return role

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

    @reads("InstanceId", "AutoReleaseTime")
    @raises("InvalidInstanceId.NotFound", "InvalidAutoReleaseTime.Malformed")
    def modify_release(self, call: Call) -> dict[str, Any]:
        """Sets the time at which an instance is released, or (without one) takes it back."""
        instance = self._ecs.find_instance(params.required(call.params, "InstanceId"))
        at = moment(call.params.get("AutoReleaseTime"))
        if at is not None:
            self._ecs.buying.check_release(at)
        self._ecs.buying.release_at(instance, at)
        return {}


def _refuse_other_charges(p: Mapping[str, str]) -> None:
    for name, only in (("InstanceChargeType", "PostPaid"), ("SpotStrategy", "NoSpot"), ("IoOptimized", "optimized")):
        if p.get(name, only) not in (only, ""):
            raise ApiError("UnsupportedParameter", f"The emulator models {name}={only} only, not {p[name]}.")


def _primary_interface(p: Mapping[str, str]) -> dict[str, str] | None:
    """`NetworkInterface.N` of the kind Primary takes the place of VSwitchId, the groups and PrivateIpAddress."""
    found = params.objects(p, "NetworkInterface")
    if not found:
        return None
    if len(found) > 1 or found[0].get("InstanceType") != "Primary":
        raise ApiError("UnsupportedParameter", "The emulator models NetworkInterface.1 of InstanceType=Primary only.")
    doubled = [n for n in ("VSwitchId", "SecurityGroupId", "SecurityGroupIds.1", "PrivateIpAddress") if p.get(n)]
    if doubled:
        raise ApiError("InvalidParameter", f"{', '.join(doubled)} cannot be given beside a primary NetworkInterface.")
    return found[0]


def _data_disk(entry: Mapping[str, str]) -> DataDisk:
    return DataDisk(
        category=entry.get("Category") or "cloud_essd",
        size_gib=params.integer(entry, "Size"),
        snapshot_id=entry.get("SnapshotId") or None,
        device=(entry.get("Device") or "").replace("/dev/xvd", "/dev/vd") or None,
        name=entry.get("DiskName", ""),
        description=entry.get("Description", ""),
        performance_level=entry.get("PerformanceLevel", ""),
        delete_with_instance=params.boolean(entry, "DeleteWithInstance", True),
    )


def user_data(p: Mapping[str, str]) -> bytes:
    try:
        return b64decode(p.get("UserData", ""), validate=True)
    except ValueError:
        raise ApiError("InvalidUserData.Base64FormatInvalid", "UserData is not Base64.", 400) from None
