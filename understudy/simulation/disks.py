"""Changes of disks straight onto the emulator's models."""

from collections.abc import Mapping

from shared.domain.errors import NotAttached
from shared.domain.ids import DiskId, InstanceId, SnapshotId
from understudy.simulation.in_process import InProcess


class InProcessDisks(InProcess):
    """Implements `shared.ports.compute.Disks`."""

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
        with self._changing("CreateDisk"):
            made = self._ecs.disks.create(
                zone=zone, category=category, size_gib=size_gib or None, snapshot_id=snapshot, name=name, tags=tags,
                token=token,
            )  # fmt: skip
            return DiskId(made.id)

    def attach(
        self, instance: InstanceId, disk: DiskId, *, device: str = "", delete_with_instance: bool = False
    ) -> None:
        with self._changing("AttachDisk"):
            in_guest = device.replace("/dev/xvd", "/dev/vd")
            self._ecs.attachments.attach(
                disk, instance, delete_with_instance=delete_with_instance, device=in_guest or None
            )

    def detach(self, instance: InstanceId, disk: DiskId) -> None:
        try:
            with self._changing("DetachDisk"):
                self._ecs.attachments.detach(disk, instance)
        except NotAttached:
            return

    def reset(self, disk: DiskId, snapshot: SnapshotId) -> None:
        with self._changing("ResetDisk"):
            self._ecs.contents.reset(disk, snapshot)

    def reinitialise(self, disk: DiskId) -> None:
        with self._changing("ReInitDisk"):
            self._ecs.contents.reinit(disk)
