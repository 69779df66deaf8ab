"""Changes of disks through the official ECS SDK (2014-05-26)."""

from collections.abc import Mapping
from typing import ClassVar

from alibabacloud_ecs20140526 import models

from shared.adapters.ecs_calls import EcsCalls, made, tags_of
from shared.domain.errors import NotAttached
from shared.domain.ids import DiskId, InstanceId, SnapshotId


class EcsDisks(EcsCalls):
    """Implements `shared.ports.compute.Disks`."""

    RAM_ACTIONS: ClassVar = (
        "ecs:CreateDisk",
        "ecs:AttachDisk",
        "ecs:DetachDisk",
        "ecs:ResetDisk",
        "ecs:ReInitDisk",
        "ecs:TagResources",
    )

    def create(
        self,
        snapshot: SnapshotId,
        *,
        zone: str,
        category: str,
        name: str,
        tags: Mapping[str, str],
        token: str,
        size_gib: int = 0,
    ) -> DiskId:
        request = models.CreateDiskRequest(
            region_id=self._region,
            zone_id=zone,
            snapshot_id=snapshot,
            disk_category=category,
            disk_name=name,
            size=size_gib or None,
            tag=tags_of(models.CreateDiskRequestTag, tags),
            client_token=token,
        )
        body = self._ask("CreateDisk", "create_disk", request, changes=True)
        return DiskId(made(body.disk_id, "CreateDisk"))

    def attach(
        self, instance: InstanceId, disk: DiskId, *, device: str = "", delete_with_instance: bool = False
    ) -> None:
        request = models.AttachDiskRequest(
            instance_id=instance, disk_id=disk, device=device or None, delete_with_instance=delete_with_instance
        )
        self._ask("AttachDisk", "attach_disk", request, changes=True)

    def detach(self, instance: InstanceId, disk: DiskId) -> None:
        try:
            request = models.DetachDiskRequest(instance_id=instance, disk_id=disk)
            self._ask("DetachDisk", "detach_disk", request, changes=True)
        except NotAttached:
            return

    def reset(self, disk: DiskId, snapshot: SnapshotId) -> None:
        request = models.ResetDiskRequest(disk_id=disk, snapshot_id=snapshot)
        self._ask("ResetDisk", "reset_disk", request, changes=True)

    def reinitialise(self, disk: DiskId) -> None:
        """The instance stays stopped: it is started when all of its disks are as they should be."""
        request = models.ReInitDiskRequest(disk_id=disk, auto_start_instance=False)
        self._ask("ReInitDisk", "re_init_disk", request, changes=True)
