"""Instances through the official ECS SDK (2014-05-26): bought, started, stopped, and changed while they stand still."""

import json
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final

from alibabacloud_ecs20140526 import models

from shared.adapters import ecs_answers as answers
from shared.adapters.cloud_errors import RehearsalPassed
from shared.adapters.ecs_answers import Fields
from shared.adapters.ecs_calls import IDS_AT_ONCE, EcsCalls, chunks, made, tags_of
from shared.adapters.user_data import to_bytes, to_text
from shared.domain.errors import OutcomeUnknown
from shared.domain.ids import DiskId, ImageId, InstanceId
from shared.domain.inventory import Setup
from shared.ports.compute import InstanceRequest

STOPS: Final = "Stop"
"""`ActionOnMaintenance` of one that the platform does not restart. Source: ModifyInstanceMaintenanceAttributes."""


class EcsInstances(EcsCalls):
    """Implements `shared.ports.compute.Instances`."""

    RAM_ACTIONS: ClassVar = (
        "ecs:RunInstances",
        "ecs:StopInstance",
        "ecs:StartInstance",
        "ecs:TagResources",
        "ecs:DescribeInstanceRamRole",
        "ecs:DescribeUserData",
        "ecs:ModifyInstanceVpcAttribute",
        "ecs:ModifyInstanceAttribute",
        "ecs:ReplaceSystemDisk",
        "ecs:DescribeInstanceMaintenanceAttributes",
        "ecs:ModifyInstanceMaintenanceAttributes",
    )

    # Buying -----------------------------------------------------------------------------------------------------------

    def run(self, request: InstanceRequest, *, token: str) -> InstanceId:
        ids = self._run(request, token, amount=1)
        if len(ids) != 1:
            raise OutcomeUnknown(f"ecs RunInstances: one instance was asked for, {len(ids)} were answered: {ids}")
        return ids[0]

    def run_many(self, request: InstanceRequest, *, amount: int, least: int, token: str) -> tuple[InstanceId, ...]:
        ids = self._run(request, token, amount=amount, min_amount=least, unique_suffix=True)
        if not ids:
            raise OutcomeUnknown(f"ecs RunInstances: {amount} instances were asked for, none was answered")
        return ids

    def rehearse(self, request: InstanceRequest) -> None:
        with suppress(RehearsalPassed):
            self._ask("RunInstances", "run_instances", self._order(request, amount=1, dry_run=True), changes=False)

    def _run(self, request: InstanceRequest, token: str, **how: Any) -> tuple[InstanceId, ...]:
        asked = self._order(request, client_token=token, **how)
        body = self._ask("RunInstances", "run_instances", asked, changes=True)
        ids = Fields(body, "ecs RunInstances").texts("instance_id_sets", "instance_id_set")
        return tuple(InstanceId(one) for one in ids)

    def _order(self, request: InstanceRequest, **how: Any) -> models.RunInstancesRequest:
        return models.RunInstancesRequest(
            region_id=self._region,
            zone_id=request.zone,
            image_id=request.image,
            instance_type=request.instance_type,
            v_switch_id=request.vswitch,
            security_group_ids=list(request.security_groups),
            instance_name=request.name or None,
            private_ip_address=request.private_address,
            host_name=request.host_name or None,
            key_pair_name=request.key_pair or None,
            user_data=b64encode(to_bytes(request.user_data)).decode() if request.user_data else None,
            ram_role_name=request.role or None,
            system_disk=models.RunInstancesRequestSystemDisk(
                category=request.system_disk_category,
                size=None if request.system_disk_gib is None else str(request.system_disk_gib),
            ),
            data_disk=[
                models.RunInstancesRequestDataDisk(
                    snapshot_id=disk.snapshot,
                    category=disk.category,
                    device=disk.device or None,
                    delete_with_instance=disk.delete_with_instance,
                )
                for disk in request.data_disks
            ]
            or None,
            tag=tags_of(models.RunInstancesRequestTag, request.tags),
            **how,
        )

    # Its life ---------------------------------------------------------------------------------------------------------

    def stop(self, instance: InstanceId, *, force: bool) -> None:
        # The account's default may be StopCharging, which gives the machine and its public address away.
        request = models.StopInstanceRequest(instance_id=instance, force_stop=force, stopped_mode="KeepCharging")
        self._ask("StopInstance", "stop_instance", request, changes=True)

    def start(self, instance: InstanceId) -> None:
        self._ask("StartInstance", "start_instance", models.StartInstanceRequest(instance_id=instance), changes=True)

    def tag(self, ids: Sequence[str], *, resource_type: str, tags: Mapping[str, str]) -> None:
        for chunk in chunks(ids, 50):
            request = models.TagResourcesRequest(
                region_id=self._region,
                resource_type=resource_type,
                resource_id=chunk,
                tag=tags_of(models.TagResourcesRequestTag, tags),
            )
            self._ask("TagResources", "tag_resources", request, changes=True)

    # What it was made with --------------------------------------------------------------------------------------------

    def setup(self, instance: InstanceId) -> Setup:
        asked = models.DescribeInstanceRamRoleRequest(region_id=self._region, instance_ids=json.dumps([instance]))
        body = self._ask("DescribeInstanceRamRole", "describe_instance_ram_role", asked, changes=False)
        if body.instance_ram_role_sets is None:
            raise answers.unreadable("ecs DescribeInstanceRamRole", "instance_ram_role_sets is missing")
        sets = Fields(body, "ecs DescribeInstanceRamRole").items("instance_ram_role_sets", "instance_ram_role_set")
        role = next((found.optional("ram_role_name") for found in sets), "")  # one without a role may not be listed
        request = models.DescribeUserDataRequest(region_id=self._region, instance_id=instance)
        body = self._ask("DescribeUserData", "describe_user_data", request, changes=False)
        fields = Fields(body, "ecs DescribeUserData")
        fields.text("instance_id")  # an answer without it is no answer: absent user data is a fact only beside it
        return Setup(role=role, user_data=_plain(fields.optional("user_data")))

    def set_groups(self, instance: InstanceId, groups: Sequence[str]) -> None:
        request = models.ModifyInstanceAttributeRequest(instance_id=instance, security_group_ids=list(groups))
        self._ask("ModifyInstanceAttribute", "modify_instance_attribute", request, changes=True)

    # Changes of a stopped one -----------------------------------------------------------------------------------------

    def move_address(self, instance: InstanceId, *, vswitch: str, address: str = "") -> None:
        request = models.ModifyInstanceVpcAttributeRequest(
            instance_id=instance, v_switch_id=vswitch, private_ip_address=address or None
        )
        self._ask("ModifyInstanceVpcAttribute", "modify_instance_vpc_attribute", request, changes=True)

    def replace_system_disk(self, instance: InstanceId, image: ImageId, *, token: str, size_gib: int = 0) -> DiskId:
        """Assumption: without a password or key pair the guest's are those of the image."""
        request = models.ReplaceSystemDiskRequest(instance_id=instance, image_id=image, client_token=token)
        if size_gib:
            request.system_disk = models.ReplaceSystemDiskRequestSystemDisk(size=size_gib)
        body = self._ask("ReplaceSystemDisk", "replace_system_disk", request, changes=True)
        return DiskId(made(body.disk_id, "ReplaceSystemDisk"))

    # When its host fails ----------------------------------------------------------------------------------------------

    def leaves_alone(self, instances: Sequence[InstanceId]) -> frozenset[InstanceId]:
        alone: set[InstanceId] = set()
        for chunk in chunks(instances, IDS_AT_ONCE):
            alone.update(
                InstanceId(found.text("instance_id"))
                for found in self._numbered(
                    "DescribeInstanceMaintenanceAttributes",
                    "describe_instance_maintenance_attributes",
                    models.DescribeInstanceMaintenanceAttributesRequest(
                        region_id=self._region, instance_id=chunk, page_size=IDS_AT_ONCE
                    ),
                    "maintenance_attributes",
                    "maintenance_attribute",
                )
                if found.inner("action_on_maintenance").text("value") == STOPS
            )
        return frozenset(alone)

    def leave_alone(self, instance: InstanceId) -> None:
        request = models.ModifyInstanceMaintenanceAttributesRequest(
            region_id=self._region, instance_id=[instance], action_on_maintenance=STOPS
        )
        self._ask(
            "ModifyInstanceMaintenanceAttributes", "modify_instance_maintenance_attributes", request, changes=True
        )


def _plain(encoded: str) -> str:
    try:
        return to_text(b64decode(encoded, validate=True))
    except NotBase64:
        raise answers.unreadable("ecs DescribeUserData", "user_data is not Base64") from None
