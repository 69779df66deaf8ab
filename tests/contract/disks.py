"""Disks, for stories about them: their bytes, their snapshots, what they show."""

from shared.domain.ids import DiskId, InstanceId, SnapshotId
from shared.domain.inventory import Disk, InstanceState
from tests.contract.conftest import Door

APP, OLD = InstanceId("i-app"), InstanceId("i-old")
SYSTEM, DATA, SLOW = DiskId("d-app-sys"), DiskId("d-app-data"), DiskId("d-old-sys")
NOBODY = DiskId("d-nobody")
MARK = {"understudy:operation": "op-1"}
LONG = 3600.0


def write(door: Door, disk: str, data: bytes) -> None:
    door.run(lambda: door.cloud.ecs.disks.find(disk).volume.write(0, data))


def read(door: Door, disk: str, length: int = 4) -> bytes:
    found: bytes = door.run(lambda: door.cloud.ecs.disks.find(disk).volume.read(0, length))
    return found


def shown(door: Door, disk: DiskId) -> Disk:
    [found] = door.inventory.disks(ids=[disk])
    return found


def snapshot(door: Door, disk: DiskId = DATA, *, token: str = "s1", wait: float = LONG) -> SnapshotId:
    made = door.snapshots.create(disk, name="point", tags={}, token=token)
    door.advance(wait)
    return made


def stop(door: Door, instance: InstanceId = APP) -> None:
    door.instances.stop(instance, force=True)
    door.advance(60)
    [found] = door.inventory.instances(ids=[instance])
    assert found.state is InstanceState.STOPPED


def create(door: Door, of: SnapshotId, *, token: str = "t1", zone: str = "cn-hangzhou-h", size_gib: int = 0) -> DiskId:
    return door.disks.create(
        of, zone=zone, category="cloud_essd", name="clone", tags=MARK, token=token, size_gib=size_gib
    )


def clone(door: Door, of: SnapshotId, **how: str) -> DiskId:
    made = create(door, of, **how)  # type: ignore[arg-type]  # fields by name
    door.advance(60)
    return made
