"""Instances and disks through the official ECS SDK (2014-05-26)."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from alibabacloud_ecs20140526 import models

from shared.adapters import ecs_answers as answers
from shared.adapters.ecs_answers import Fields
from shared.adapters.ecs_calls import IDS_AT_ONCE, EcsCalls, chunks, tagged, tags_of
from shared.domain.errors import OutcomeUnknown
from shared.domain.ids import DiskId, InstanceId
from shared.domain.inventory import Disk, Instance, SystemEvent
from shared.ports.compute import InstanceRequest

EVENT_STATES: Final = ["Inquiring", "Scheduled", "Executing", "Executed", "Avoided", "Canceled", "Failed"]


class EcsInventory(EcsCalls):
    """Implements `shared.ports.compute.Inventory`."""

    RAM_ACTIONS: ClassVar = ("ecs:DescribeInstances", "ecs:DescribeDisks", "ecs:DescribeInstanceHistoryEvents")

    def instances(
        self, *, ids: Sequence[InstanceId] | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[Instance]:
        if ids is None:
            yield from tagged(lambda wanted: self._instances(None, wanted), tags)
            return
        for chunk in chunks(ids, IDS_AT_ONCE):
            yield from self._instances(chunk, tags)

    def _instances(self, ids: list[str] | None, tags: Mapping[str, str] | None) -> Iterator[Instance]:
        request = models.DescribeInstancesRequest(
            region_id=self._region,
            instance_ids=None if ids is None else json.dumps(list(ids)),
            tag=tags_of(models.DescribeInstancesRequestTag, tags),
            max_results=100,
        )
        return self._pages(
            "DescribeInstances", "describe_instances", request, "instances", "instance", answers.instance
        )

    def disks(
        self,
        *,
        ids: Sequence[DiskId] | None = None,
        instance: InstanceId | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[Disk]:
        if ids is None:
            yield from tagged(lambda wanted: self._disks(None, instance, wanted), tags)
            return
        for chunk in chunks(ids, IDS_AT_ONCE):
            yield from self._disks(chunk, instance, tags)

    def _disks(
        self, ids: list[str] | None, instance: InstanceId | None, tags: Mapping[str, str] | None
    ) -> Iterator[Disk]:
        request = models.DescribeDisksRequest(
            region_id=self._region,
            disk_ids=None if ids is None else json.dumps(list(ids)),
            instance_id=instance,
            tag=tags_of(models.DescribeDisksRequestTag, tags),
            max_results=500,
        )
        return self._pages("DescribeDisks", "describe_disks", request, "disks", "disk", answers.disk)

    def system_events(self, instance: InstanceId) -> Iterator[SystemEvent]:
        """Asks for every state by name: without that, only finished events are shown."""
        request = models.DescribeInstanceHistoryEventsRequest(
            region_id=self._region, instance_id=instance, instance_event_cycle_status=EVENT_STATES, max_results=100
        )
        return self._pages(
            "DescribeInstanceHistoryEvents",
            "describe_instance_history_events",
            request,
            "instance_system_event_set",
            "instance_system_event_type",
            answers.system_event,
        )


class EcsInstances(EcsCalls):
    """Implements `shared.ports.compute.Instances`."""

    RAM_ACTIONS: ClassVar = ("ecs:RunInstances", "ecs:StopInstance", "ecs:StartInstance", "ecs:TagResources")

    def run(self, request: InstanceRequest, *, token: str) -> InstanceId:
        asked = models.RunInstancesRequest(
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
            user_data=b64encode(request.user_data.encode()).decode() if request.user_data else None,
            system_disk=models.RunInstancesRequestSystemDisk(category=request.system_disk_category),
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
            amount=1,
            client_token=token,
        )
        body = self._ask("RunInstances", "run_instances", asked, changes=True)
        ids = Fields(body, "ecs RunInstances").texts("instance_id_sets", "instance_id_set")
        if len(ids) != 1:
            raise OutcomeUnknown(f"ecs RunInstances: one instance was asked for, {len(ids)} were answered: {ids}")
        return InstanceId(ids[0])

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
