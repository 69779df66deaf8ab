"""Instances, disks, snapshots and images of one account and region."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.domain.ids import DiskId, ImageId, InstanceId, SnapshotGroupId, SnapshotId
from shared.domain.inventory import Disk, Image, Instance, Snapshot, SnapshotGroup, SystemEvent


class Inventory(Protocol):
    """Reads. Listings stream page by page; an iterator that ends without raising has seen everything.

    An empty answer can mean a missing permission (DescribeInstances answers an unauthorised caller with an empty
    list), so emptiness alone never proves absence.
    """

    def instances(
        self, *, ids: Sequence[InstanceId] | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[Instance]:
        """All instances, or those with these ids, or those that carry all of these tags. Unknown ids are left out."""
        ...

    def disks(
        self,
        *,
        ids: Sequence[DiskId] | None = None,
        instance: InstanceId | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[Disk]: ...

    def system_events(self, instance: InstanceId) -> Iterator[SystemEvent]:
        """Events of the last 30 days, unfinished ones included."""
        ...


class Snapshots(Protocol):
    def create(self, disk: DiskId, *, name: str, tags: Mapping[str, str], token: str) -> SnapshotId:
        """Start a snapshot. The same `token` with the same arguments returns the same id and makes no second one."""
        ...

    def create_group(self, instance: InstanceId, *, name: str, tags: Mapping[str, str], token: str) -> SnapshotGroupId:
        """Start one crash-consistent group over all disks of `instance` (ESSD family only)."""
        ...

    def groups(
        self, *, ids: Sequence[SnapshotGroupId] | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[SnapshotGroup]: ...

    def list(
        self,
        *,
        ids: Sequence[SnapshotId] | None = None,
        disk: DiskId | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[Snapshot]: ...

    def delete(self, snapshot: SnapshotId) -> None:
        """Delete without force; deleting one that is gone succeeds. Asynchronous: read back with `list`.

        Raises Permanent when an image or disk refers to it, or when it is locked.
        """
        ...


class Images(Protocol):
    def create_from_instance(
        self, instance: InstanceId, *, name: str, family: str, tags: Mapping[str, str], token: str
    ) -> ImageId: ...

    def list(
        self,
        *,
        ids: Sequence[ImageId] | None = None,
        family: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[Image]:
        """In every state (the cloud shows only Available ones unless asked)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDiskRequest:
    """One data disk of a new instance, made of a snapshot. Its size follows the snapshot."""

    snapshot: SnapshotId
    category: str
    device: str = ""
    delete_with_instance: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRequest:
    image: ImageId
    instance_type: str
    zone: str
    vswitch: str
    security_groups: tuple[str, ...]
    name: str
    system_disk_category: str
    private_address: str | None = None  # None: the cloud picks one
    host_name: str = ""
    key_pair: str = ""
    user_data: str = ""  # plain text; the adapter encodes it
    data_disks: tuple[DataDiskRequest, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


class Instances(Protocol):
    def run(self, request: InstanceRequest, *, token: str) -> InstanceId:
        """Create and start one instance; asynchronous. Raises QuotaReached on no stock (then use a new token)."""
        ...

    def stop(self, instance: InstanceId, *, force: bool) -> None:
        """Ask for a stop that keeps resources (KeepCharging). Asynchronous; success of the call is not 'stopped'."""
        ...

    def start(self, instance: InstanceId) -> None: ...

    def tag(self, ids: Sequence[str], *, resource_type: str, tags: Mapping[str, str]) -> None: ...
