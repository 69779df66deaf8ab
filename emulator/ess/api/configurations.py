"""Scaling configurations on the wire. Pages: api.aliyun.com, Ess 2022-02-22, one per action."""

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

from emulator.ecs.instances import DataDisk
from emulator.ecs.rules import iso_minutes
from emulator.ess.api.answers import PAGING, TOKEN_ERRORS, once, page
from emulator.ess.configuration import ScalingConfiguration
from emulator.ess.group import DEFAULT_WEIGHT
from emulator.ess.model import CONFIGURATIONS_PER_GROUP
from emulator.wire import params, strict_json
from emulator.wire.call import ApiError, Call
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ess.model import AutoScaling

CONTENT: Final = (
    "ScalingConfigurationName", "ImageId", "ImageFamily", "InstanceTypes.N", "SecurityGroupId",
    "SecurityGroupIds.N", "SystemDisk.Category", "SystemDisk.Size", "DataDisks.N.SnapshotId", "DataDisks.N.Category",
    "DataDisks.N.Size", "DataDisks.N.Device", "DataDisks.N.DiskName", "DataDisks.N.DeleteWithInstance",
    "InstanceName", "HostName", "KeyPairName", "UserData", "Tags", "LoadBalancerWeight",
)  # fmt: skip


class Configurations:
    def __init__(self, ess: "AutoScaling") -> None:
        self._ess = ess
        self._realm = ess.realm

    @reads("ScalingGroupId", "InstanceType", "ClientToken", *CONTENT)
    @raises(
        "InvalidScalingGroupId.NotFound", "QuotaExceeded.ScalingConfiguration", "InvalidImageId.NotFound",
        "InvalidSecurityGroupId.NotFound", "InvalidUserData.Base64FormatInvalid", *TOKEN_ERRORS,
    )  # fmt: skip
    def CreateScalingConfiguration(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """What the group is to launch; in use only once it is the active one.

        Not modelled: instance patterns, spot, network interfaces, encryption, RAM roles.
        """
        return once(self._ess, call, lambda: self._create(call))

    def _create(self, call: Call) -> dict[str, Any]:
        group = self._ess.group(params.required(call.params, "ScalingGroupId"))
        if len(self._ess.configuration_ages(group)) >= CONFIGURATIONS_PER_GROUP:
            raise ApiError(
                "QuotaExceeded.ScalingConfiguration", f"{group.id} has {CONFIGURATIONS_PER_GROUP} configurations."
            )
        configuration = ScalingConfiguration(
            id=self._realm.chance.id("asc"),
            name="",
            group_id=group.id,
            created=self._realm.clock.now(),
            instance_types=(),
            security_group_ids=(),
        )
        configuration.name = configuration.id
        self._fill(configuration, call)
        if not configuration.image_id and not configuration.image_family:
            raise params.missing("ImageId")
        if not configuration.instance_types:
            raise params.missing("InstanceType")
        if not configuration.security_group_ids:
            raise params.missing("SecurityGroupId")
        self._ess.configurations[configuration.id] = configuration
        return {"ScalingConfigurationId": configuration.id}

    @reads("ScalingConfigurationId", "Override", *CONTENT)
    @raises(
        "InvalidScalingConfigurationId.NotFound", "InvalidImageId.NotFound", "InvalidSecurityGroupId.NotFound",
        "InvalidUserData.Base64FormatInvalid",
    )  # fmt: skip
    def ModifyScalingConfiguration(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Only instances launched later follow it; running ones keep their image."""
        configuration = self._ess.configuration(params.required(call.params, "ScalingConfigurationId"))
        if params.boolean(call.params, "Override", False):
            raise ApiError("UnsupportedParameter", "The emulator does not model Override=true, a full replacement.")
        self._fill(configuration, call)
        return {}

    def _fill(self, one: ScalingConfiguration, call: Call) -> None:
        """All of what was sent, or nothing when some of it is wrong."""
        sent = call.params
        image, family = params.text(sent, "ImageId"), params.text(sent, "ImageFamily")
        self._ess.check_image(image or "")
        groups = params.list_of(sent, "SecurityGroupIds")
        if single := params.text(sent, "SecurityGroupId"):
            groups = [single]
        for group_id in groups:
            if group_id not in self._realm.ecs.network.security_groups:
                raise ApiError("InvalidSecurityGroupId.NotFound", f"The security group {group_id} does not exist.", 404)
        types = params.list_of(sent, "InstanceTypes")
        if single := params.text(sent, "InstanceType"):
            types = [single]
        disks = _data_disks(call)
        tags = _tags(call)
        user_data = _user_data(call)
        if image or family:
            self._ess.boot(one, image or "", family or "")
        one.security_group_ids = tuple(groups) or one.security_group_ids
        one.instance_types = tuple(types) or one.instance_types
        one.data_disks = disks or one.data_disks
        one.tags = one.tags if tags is None else tags
        one.user_data = one.user_data if user_data is None else user_data
        one.system_category = params.text(sent, "SystemDisk.Category", one.system_category)
        one.system_size_gib = params.integer(sent, "SystemDisk.Size", low=20, high=2048) or one.system_size_gib
        one.name = params.text(sent, "ScalingConfigurationName") or one.name
        one.instance_name = params.text(sent, "InstanceName", one.instance_name)
        one.host_name = params.text(sent, "HostName", one.host_name)
        one.key_pair = params.text(sent, "KeyPairName", one.key_pair)
        weight = params.integer(sent, "LoadBalancerWeight", low=0, high=100)
        one.weight = one.weight if weight is None else weight

    @reads("ScalingConfigurationId")
    @raises("InvalidScalingConfigurationId.NotFound", "IncorrectScalingGroupStatus")
    def DeleteScalingConfiguration(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """The active one of a group cannot be deleted (code: assumption)."""
        configuration = self._ess.configuration(params.required(call.params, "ScalingConfigurationId"))
        group = self._ess.groups.get(configuration.group_id)
        if group is not None and group.configuration_id == configuration.id:
            raise ApiError("IncorrectScalingGroupStatus", f"{configuration.id} is the active one of {group.id}.")
        del self._ess.configurations[configuration.id]
        return {}

    @reads("ScalingGroupId", "ScalingConfigurationIds.N", "ScalingConfigurationNames.N", *PAGING)
    @raises()
    def DescribeScalingConfigurations(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Also those of inactive groups; only the one that the group uses is Active."""
        group = params.text(call.params, "ScalingGroupId")
        ids = params.list_of(call.params, "ScalingConfigurationIds")
        names = params.list_of(call.params, "ScalingConfigurationNames")
        found = [
            one
            for one in self._ess.configurations.values()
            if (not group or one.group_id == group) and (not ids or one.id in ids) and (not names or one.name in names)
        ]
        return page(call, found, self._show, "ScalingConfigurations", most=50)

    def _show(self, one: ScalingConfiguration) -> dict[str, Any]:
        group = self._ess.groups.get(one.group_id)
        active = group is not None and group.configuration_id == one.id
        image = self._realm.ecs.images.visible(one.image_id)
        return {
            "ScalingConfigurationId": one.id,
            "ScalingConfigurationName": one.name,
            "ScalingGroupId": one.group_id,
            "LifecycleState": "Active" if active else "Inactive",
            "CreationTime": iso_minutes(one.created),
            "ImageId": one.image_id,
            "ImageFamily": one.image_family,
            "ImageName": image.name if image is not None else "",
            "InstanceType": one.instance_types[0],
            "InstanceTypes": list(one.instance_types),
            "SecurityGroupId": one.security_group_ids[0],
            "SecurityGroupIds": list(one.security_group_ids),
            "SystemDiskCategory": one.system_category,
            **({} if one.system_size_gib is None else {"SystemDiskSize": one.system_size_gib}),
            "DataDisks": [
                {
                    "Category": disk.category,
                    **({} if disk.size_gib is None else {"Size": disk.size_gib}),
                    **({} if disk.snapshot_id is None else {"SnapshotId": disk.snapshot_id}),
                    "Device": disk.device or "",
                    "DiskName": disk.name,
                    "DeleteWithInstance": disk.delete_with_instance,
                }
                for disk in one.data_disks
            ],
            "InstanceName": one.instance_name,
            "HostName": one.host_name,
            "KeyPairName": one.key_pair,
            "UserData": base64.b64encode(one.user_data).decode(),
            "LoadBalancerWeight": DEFAULT_WEIGHT if one.weight is None else one.weight,
            "Tags": [{"Key": key, "Value": value} for key, value in one.tags.items()],
        }


def _data_disks(call: Call) -> tuple[DataDisk, ...]:
    return tuple(
        DataDisk(
            category=disk.get("Category") or "cloud_essd",
            size_gib=params.integer(disk, "Size", low=1, high=65_536),
            snapshot_id=disk.get("SnapshotId") or None,
            device=disk.get("Device") or None,
            name=disk.get("DiskName", ""),
            delete_with_instance=params.boolean(disk, "DeleteWithInstance", True),
        )
        for disk in params.objects(call.params, "DataDisks")
    )


def _tags(call: Call) -> dict[str, str] | None:
    """A JSON object in one text. None when it was not sent."""
    value = params.text(call.params, "Tags")
    if not value:
        return None
    try:
        read = strict_json.parse(value)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise params.invalid("Tags", "it must be the text of a JSON object")
    return {str(key): str(tag) for key, tag in read.items()}


def _user_data(call: Call) -> bytes | None:
    value = params.text(call.params, "UserData")
    if not value:
        return None
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ApiError("InvalidUserData.Base64FormatInvalid", "UserData is not Base64.") from None
