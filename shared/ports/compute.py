"""Instances, disks, snapshots and images of one account and region."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from shared.domain.ids import DiskId, ImageId, InstanceId, SnapshotGroupId, SnapshotId
from shared.domain.inventory import (
    Disk,
    Image,
    Instance,
    NativePolicy,
    Ran,
    Snapshot,
    SnapshotGroup,
    SnapshotLock,
    SnapshotState,
    SystemEvent,
)
from shared.domain.place import Place


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

    def create_group(
        self, disks: Sequence[DiskId], *, name: str, tags: Mapping[str, str], token: str
    ) -> SnapshotGroupId:
        """Start one crash-consistent group over `disks`: 1-128 of one zone and of the ESSD family, of any number of
        instances. Its tags do not pass to its members. Source: ECS API, CreateSnapshotGroup, SDK 7.11.8; older pages
        say 16 disks and 32 TiB, so be ready for a refusal of a larger one."""
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
        state: SnapshotState | None = None,
    ) -> Iterator[Snapshot]: ...

    def delete(self, snapshot: SnapshotId) -> None:
        """Delete without force; deleting one that is gone succeeds. Asynchronous: read back with `list`.

        Raises Permanent when an image or disk refers to it, or when it is locked.
        """
        ...

    def delete_group(self, group: SnapshotGroupId) -> Mapping[SnapshotId, str]:
        """Delete every member that can be deleted, in one call, and answer those that were refused, each with the
        cloud's reason. Asynchronous: read back with `list`. A group that is gone answers nothing."""
        ...

    def copy(
        self,
        snapshot: SnapshotId,
        *,
        to: str,
        name: str,
        tags: Mapping[str, str],
        token: str,
        kms_key: str = "",
    ) -> SnapshotId:
        """Begin a copy in region `to`; the id is that of the copy there. Its source must be complete, and one disk has
        one unfinished copy per target region (else Retryable). Source: ECS API, CopySnapshot, read 2025."""
        ...

    def lock(self, snapshot: SnapshotId, *, days: int, cool_off_hours: int, token: str) -> SnapshotLock:
        """Lock it for `days` (compliance mode): until then nobody can delete it. Source: LockSnapshot, read 2026."""
        ...

    def locks(self, ids: Sequence[SnapshotId]) -> Iterator[SnapshotLock]:
        """Of these, the locks that hold or cool off; expired ones are left out."""
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

    def copy(
        self, image: ImageId, *, to: str, name: str, tags: Mapping[str, str], token: str, kms_key: str = ""
    ) -> ImageId:
        """Queue a copy in region `to`; the id is that of the copy there. Source: ECS API, CopyImage, read 2026."""
        ...

    def delete(self, image: ImageId) -> None:
        """Delete without force; one that is gone succeeds. Its snapshots stay. Raises Permanent when it is in use."""
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


class Guests(Protocol):
    """Commands run inside instances by Cloud Assistant."""

    def run(self, instances: Sequence[InstanceId], script: str, *, within: timedelta, token: str) -> str:
        """Begin a shell script on 1-100 instances and answer the id to ask with: accepted, not executed. The platform
        ends it after `within` (1 s or more). One that does not exist refuses them all (NotFound); so does a script of
        more than 24 KiB in Base64 (Permanent)."""
        ...

    def results(self, run: str) -> Iterator[Ran]:
        """How it stands with each instance. A run that is unknown, or not shown yet, has none."""
        ...


class NativePolicies(Protocol):
    """The cloud's own automatic snapshot policies, read only."""

    def list(self) -> Iterator[NativePolicy]: ...

    def applied(self) -> Iterator[tuple[str, DiskId]]:
        """Which policy (its id) is applied to which disk."""
        ...


class Compute(Protocol):
    """What there is to call in one place."""

    @property
    def inventory(self) -> Inventory: ...
    @property
    def snapshots(self) -> Snapshots: ...
    @property
    def images(self) -> Images: ...
    @property
    def instances(self) -> Instances: ...
    @property
    def guests(self) -> Guests: ...
    @property
    def native(self) -> NativePolicies: ...


class Clouds(Protocol):
    def at(self, place: Place) -> Compute:
        """The same object for the same place. Raises BadInput for an account that the policy does not know."""
        ...
