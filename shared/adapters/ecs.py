"""Instances, disks, snapshots and images through the official ECS SDK (2014-05-26).

Listings stream page by page and never trust a count: with NextToken paging only the empty token ends a list.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar

from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client

from shared.adapters import ecs_answers as answers
from shared.adapters.credentials import Credentials
from shared.adapters.ecs_answers import Fields
from shared.adapters.sdk import Clients, Endpoint, call
from shared.domain.errors import NotFound, OutcomeUnknown
from shared.domain.ids import DiskId, ImageId, InstanceId, SnapshotGroupId, SnapshotId
from shared.domain.inventory import Disk, Image, Instance, Snapshot, SnapshotGroup, SystemEvent
from shared.ports.compute import InstanceRequest

IDS_AT_ONCE: Final = 100
GROUP_IDS_AT_ONCE: Final = 10
TAGGED_AT_MOST: Final = 1000
"""A tag filter shows no more than so many resources; beyond it the whole list is read and filtered here."""

EVENT_STATES: Final = ["Inquiring", "Scheduled", "Executing", "Executed", "Avoided", "Canceled", "Failed"]

T = TypeVar("T", Disk, Image, Instance, Snapshot, SnapshotGroup)


class _Ecs:
    def __init__(self, *, endpoint: Endpoint, credentials: Callable[[], Credentials]) -> None:
        self._clients = Clients[Any](Client, endpoint=endpoint, credentials=credentials)
        self._region = endpoint.region

    def _ask(self, action: str, method: str, request: Any, *, changes: bool) -> Any:
        """The body of one answer."""
        response = call(f"ecs {action}", lambda: getattr(self._clients.current(), method)(request), changes=changes)
        if response.body is None:
            # The SDK swallows answers of another shape; for a change its effect is then unknown.
            if changes:
                raise OutcomeUnknown(f"ecs {action}: the answer could not be read")
            raise answers.unreadable(f"ecs {action}", "unexpected shape")
        return response.body

    def _pages(
        self, action: str, method: str, request: Any, envelope: str, element: str, read: Callable[[Fields], Any]
    ) -> Iterator[Any]:
        while True:
            body = self._ask(action, method, request, changes=False)
            if getattr(body, envelope, None) is None:
                raise answers.unreadable(f"ecs {action}", f"{envelope} is missing")
            for item in Fields(body, f"ecs {action}").items(envelope, element):
                yield read(item)
            if not body.next_token:
                return
            request.next_token = body.next_token


def _tagged(all_of: Callable[[Mapping[str, str] | None], Iterator[T]], tags: Mapping[str, str] | None) -> Iterator[T]:
    """Filtered by the cloud, and completed by us when its filter ran into its cap."""
    if not tags:
        yield from all_of(None)
        return
    seen: set[str] = set()
    for item in all_of(tags):
        seen.add(item.id)
        yield item
    if len(seen) < TAGGED_AT_MOST:
        return
    for item in all_of(None):
        if item.id not in seen and all(item.tags.get(key) == value for key, value in tags.items()):
            yield item


def _tags(kind: Any, tags: Mapping[str, str] | None) -> list[Any] | None:
    return [kind(key=key, value=value) for key, value in tags.items()] if tags else None


def _chunks(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])


class EcsInventory(_Ecs):
    """Implements `shared.ports.compute.Inventory`."""

    RAM_ACTIONS: ClassVar = ("ecs:DescribeInstances", "ecs:DescribeDisks", "ecs:DescribeInstanceHistoryEvents")

    def instances(
        self, *, ids: Sequence[InstanceId] | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[Instance]:
        if ids is None:
            yield from _tagged(lambda wanted: self._instances(None, wanted), tags)
            return
        for chunk in _chunks(ids, IDS_AT_ONCE):
            yield from self._instances(chunk, tags)

    def _instances(self, ids: list[str] | None, tags: Mapping[str, str] | None) -> Iterator[Instance]:
        request = models.DescribeInstancesRequest(
            region_id=self._region,
            instance_ids=None if ids is None else json.dumps(list(ids)),
            tag=_tags(models.DescribeInstancesRequestTag, tags),
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
            yield from _tagged(lambda wanted: self._disks(None, instance, wanted), tags)
            return
        for chunk in _chunks(ids, IDS_AT_ONCE):
            yield from self._disks(chunk, instance, tags)

    def _disks(
        self, ids: list[str] | None, instance: InstanceId | None, tags: Mapping[str, str] | None
    ) -> Iterator[Disk]:
        request = models.DescribeDisksRequest(
            region_id=self._region,
            disk_ids=None if ids is None else json.dumps(list(ids)),
            instance_id=instance,
            tag=_tags(models.DescribeDisksRequestTag, tags),
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


class EcsSnapshots(_Ecs):
    """Implements `shared.ports.compute.Snapshots`."""

    RAM_ACTIONS: ClassVar = (
        "ecs:CreateSnapshot",
        "ecs:CreateSnapshotGroup",
        "ecs:DescribeSnapshots",
        "ecs:DescribeSnapshotGroups",
        "ecs:DeleteSnapshot",
        "ecs:TagResources",  # creating with tags needs it too
    )

    def create(self, disk: DiskId, *, name: str, tags: Mapping[str, str], token: str) -> SnapshotId:
        request = models.CreateSnapshotRequest(
            disk_id=disk, snapshot_name=name, tag=_tags(models.CreateSnapshotRequestTag, tags), client_token=token
        )
        body = self._ask("CreateSnapshot", "create_snapshot", request, changes=True)
        return SnapshotId(_made(body.snapshot_id, "CreateSnapshot"))

    def create_group(self, instance: InstanceId, *, name: str, tags: Mapping[str, str], token: str) -> SnapshotGroupId:
        request = models.CreateSnapshotGroupRequest(
            region_id=self._region,
            instance_id=instance,
            name=name,
            tag=_tags(models.CreateSnapshotGroupRequestTag, tags),
            client_token=token,
        )
        body = self._ask("CreateSnapshotGroup", "create_snapshot_group", request, changes=True)
        return SnapshotGroupId(_made(body.snapshot_group_id, "CreateSnapshotGroup"))

    def groups(
        self, *, ids: Sequence[SnapshotGroupId] | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[SnapshotGroup]:
        if ids is None:
            yield from _tagged(lambda wanted: self._groups(None, wanted), tags)
            return
        for chunk in _chunks(ids, GROUP_IDS_AT_ONCE):
            yield from self._groups(chunk, tags)

    def _groups(self, ids: list[str] | None, tags: Mapping[str, str] | None) -> Iterator[SnapshotGroup]:
        request = models.DescribeSnapshotGroupsRequest(
            region_id=self._region,
            snapshot_group_id=ids,
            tag=_tags(models.DescribeSnapshotGroupsRequestTag, tags),
            max_results=100,
        )
        return self._pages(
            "DescribeSnapshotGroups",
            "describe_snapshot_groups",
            request,
            "snapshot_groups",
            "snapshot_group",
            answers.snapshot_group,
        )

    def list(
        self,
        *,
        ids: Sequence[SnapshotId] | None = None,
        disk: DiskId | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[Snapshot]:
        if ids is None:
            yield from _tagged(lambda wanted: self._snapshots(None, disk, wanted), tags)
            return
        for chunk in _chunks(ids, IDS_AT_ONCE):
            yield from self._snapshots(chunk, disk, tags)

    def _snapshots(
        self, ids: Sequence[str] | None, disk: DiskId | None, tags: Mapping[str, str] | None
    ) -> Iterator[Snapshot]:
        request = models.DescribeSnapshotsRequest(
            region_id=self._region,
            snapshot_ids=None if ids is None else json.dumps(list(ids)),
            disk_id=disk,
            tag=_tags(models.DescribeSnapshotsRequestTag, tags),
            max_results=100,
        )
        return self._pages(
            "DescribeSnapshots", "describe_snapshots", request, "snapshots", "snapshot", answers.snapshot
        )

    def delete(self, snapshot: SnapshotId) -> None:
        request = models.DeleteSnapshotRequest(snapshot_id=snapshot, force=False)
        try:
            self._ask("DeleteSnapshot", "delete_snapshot", request, changes=True)
        except NotFound:
            return  # documented both ways: ignored, and 404


class EcsImages(_Ecs):
    """Implements `shared.ports.compute.Images`."""

    RAM_ACTIONS: ClassVar = ("ecs:CreateImage", "ecs:DescribeImages", "ecs:TagResources")

    def create_from_instance(
        self, instance: InstanceId, *, name: str, family: str, tags: Mapping[str, str], token: str
    ) -> ImageId:
        request = models.CreateImageRequest(
            region_id=self._region,
            instance_id=instance,
            image_name=name,
            image_family=family or None,
            tag=_tags(models.CreateImageRequestTag, tags),
            client_token=token,
        )
        body = self._ask("CreateImage", "create_image", request, changes=True)
        return ImageId(_made(body.image_id, "CreateImage"))

    def list(
        self,
        *,
        ids: Sequence[ImageId] | None = None,
        family: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[Image]:
        if ids is None:
            yield from _tagged(lambda wanted: self._images(None, family, wanted), tags)
            return
        for image in ids:  # several ids in one value are not documented
            yield from self._images(image, family, tags)

    def _images(self, image: str | None, family: str | None, tags: Mapping[str, str] | None) -> Iterator[Image]:
        number, seen = 1, 0
        while True:
            request = models.DescribeImagesRequest(
                region_id=self._region,
                image_id=image,
                image_family=family,
                image_owner_alias="self",
                status="ALL",  # the default shows only Available ones
                tag=_tags(models.DescribeImagesRequestTag, tags),
                page_number=number,
                page_size=100,
            )
            body = self._ask("DescribeImages", "describe_images", request, changes=False)
            fields = Fields(body, "ecs DescribeImages")
            if body.images is None:
                raise answers.unreadable("ecs DescribeImages", "images is missing")
            page = [answers.image(item) for item in fields.items("images", "image")]
            yield from page
            seen += len(page)
            if not page or seen >= fields.whole("total_count"):
                return
            number += 1


class EcsInstances(_Ecs):
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
            tag=_tags(models.RunInstancesRequestTag, request.tags),
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
        for chunk in _chunks(ids, 50):
            request = models.TagResourcesRequest(
                region_id=self._region,
                resource_type=resource_type,
                resource_id=chunk,
                tag=_tags(models.TagResourcesRequestTag, tags),
            )
            self._ask("TagResources", "tag_resources", request, changes=True)


def _made(id: Any, action: str) -> str:
    if not isinstance(id, str) or not id:
        raise OutcomeUnknown(f"ecs {action}: answered without an id ({id!r})")
    return id
