"""What stands in a region: instances, disks and their events, through the official ECS SDK (2014-05-26)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from alibabacloud_ecs20140526 import models

from shared.adapters import ecs_answers as answers
from shared.adapters.ecs_calls import IDS_AT_ONCE, EcsCalls, chunks, tagged, tags_of
from shared.domain.ids import DiskId, InstanceId
from shared.domain.inventory import Disk, Instance, SystemEvent

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
