"""Instances, disks, snapshots and images of one account and region."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from shared.domain.ids import DiskId, ImageId, InstanceId, SnapshotGroupId, SnapshotId
from shared.domain.inventory import (
    Disk,
    Image,
    ImageDisk,
    Instance,
    NativePolicy,
    Ran,
    Setup,
    Snapshot,
    SnapshotGroup,
    SnapshotLock,
    SnapshotState,
    SystemEvent,
    VSwitch,
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
        self,
        instance: InstanceId,
        *,
        name: str,
        family: str,
        tags: Mapping[str, str],
        token: str,
        version: str = "",
    ) -> ImageId:
        """Of every disk of the instance: snapshots them all. Source: ECS API, CreateImage, read 2026."""
        ...

    def create_from_snapshots(
        self,
        disks: Sequence[ImageDisk],
        *,
        name: str,
        family: str,
        tags: Mapping[str, str],
        token: str,
        version: str = "",
    ) -> ImageId:
        """Of exactly one system disk's snapshot and up to 16 of data disks, all complete. Takes no snapshots of its
        own. Devices are `/dev/xvda` and `/dev/xvdb`-`/dev/xvdz`. Source: ECS API, CreateImage, read 2026."""
        ...

    def deprecate(self, image: ImageId) -> None:
        """It leaves its family; instances can still be made of it by its id. Source: ModifyImageAttribute."""
        ...

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
    user_data: str = ""  # plain text, or `data:;base64,...` of what is none; the adapter encodes it
    role: str = ""  # RAM role
    system_disk_gib: int | None = None  # None: as large as the image says
    data_disks: tuple[DataDiskRequest, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


class Instances(Protocol):
    def run(self, request: InstanceRequest, *, token: str) -> InstanceId:
        """Create and start one instance; asynchronous. Raises NoStock (then use a new token), other QuotaReached,
        AddressTaken, NotFound for an image, key pair, group, vSwitch or role that is gone."""
        ...

    def run_many(self, request: InstanceRequest, *, amount: int, least: int, token: str) -> tuple[InstanceId, ...]:
        """The same for 1-100 of one kind: as many as there is stock for, but at least `least`, else NoStock. Names get
        a number (assumption: `name001`...). Even these may vanish again, with a `SystemFailure.Delete` event each.
        Source: ECS API, RunInstances: Amount, MinAmount, UniqueSuffix, SDK 7.11.8."""
        ...

    def rehearse(self, request: InstanceRequest) -> None:
        """What `run` would be refused with, apart from stock, without buying anything. Source: RunInstances, DryRun."""
        ...

    def stop(self, instance: InstanceId, *, force: bool) -> None:
        """Ask for a stop that keeps resources (KeepCharging). Asynchronous; success of the call is not 'stopped'."""
        ...

    def start(self, instance: InstanceId) -> None: ...

    def tag(self, ids: Sequence[str], *, resource_type: str, tags: Mapping[str, str]) -> None: ...

    def setup(self, instance: InstanceId) -> Setup:
        """Two calls: DescribeInstanceRamRole, DescribeUserData."""
        ...

    def move_address(self, instance: InstanceId, *, vswitch: str, address: str = "") -> None:
        """Give a stopped instance another private address of the vSwitch (in its zone); "" lets the cloud choose. Its
        old address is free from then on, maybe with a delay. It must be started once before it can be moved again.
        Source: ECS API, ModifyInstanceVpcAttribute."""
        ...

    def replace_system_disk(self, instance: InstanceId, image: ImageId, *, token: str, size_gib: int = 0) -> DiskId:
        """Of a stopped instance: the old system disk is released, its manual snapshots stay. `size_gib` 0: as the
        cloud chooses, whatever the old one had (assumption: 40, or the image's if that is more). Answers the new disk's
        id. Source: ECS API, ReplaceSystemDisk, read 2021."""
        ...

    def leaves_alone(self, instances: Sequence[InstanceId]) -> frozenset[InstanceId]:
        """Those that the platform will not restart by itself after a failed host. Source: ECS API,
        DescribeInstanceMaintenanceAttributes."""
        ...

    def set_groups(self, instance: InstanceId, groups: Sequence[str]) -> None:
        """From now on it belongs to exactly these security groups of its VPC (1-5). Read back with
        `Inventory.instances`; whether connections that stand already go on is not documented, so try them.
        Source: ECS API, ModifyInstanceAttribute, SecurityGroupIds, read 2025."""
        ...

    def leave_alone(self, instance: InstanceId) -> None:
        """From now on the platform stops it instead of restarting it (ActionOnMaintenance=Stop)."""
        ...


class Disks(Protocol):
    """Changes of disks. All are asynchronous: read back with `Inventory.disks`. Only `create` takes a token."""

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
        """A data disk made of a snapshot, as large as that or as `size_gib`. Raises Busy while the snapshot cannot be
        used, NoStock for a category that the zone does not sell. Source: ECS API, CreateDisk, read 2026."""
        ...

    def attach(
        self, instance: InstanceId, disk: DiskId, *, device: str = "", delete_with_instance: bool = False
    ) -> None:
        """An available disk of the instance's zone, as a data disk."""
        ...

    def detach(self, instance: InstanceId, disk: DiskId) -> None:
        """About a minute. One that is not attached is done."""
        ...

    def reset(self, disk: DiskId, snapshot: SnapshotId) -> None:
        """Roll it back to its own snapshot, size included; IRREVERSIBLE. Its instance must read Stopped, and no
        snapshot of it may be unfinished (Busy). The disk's state meanwhile is not documented: poll until it reads
        in_use or available, and ask again on Busy. Source: ECS API, ResetDisk, read 2025."""
        ...

    def reinitialise(self, disk: DiskId) -> None:
        """Make it as it was when it was new: of its image, of its snapshot, or empty; IRREVERSIBLE. Its instance must
        read Stopped and have run once. Source: ECS API, ReInitDisk, read 2025."""
        ...


class Market(Protocol):
    """What could be had. Reads only; a plan's view, never a promise."""

    def sells(self, zone: str, instance_type: str) -> bool:
        """Source: ECS API, DescribeAvailableResource: StatusCategory WithStock or ClosedWithStock."""
        ...

    def vswitches(self, ids: Sequence[str]) -> Iterator[VSwitch]:
        """Unknown ones are left out."""
        ...

    def regions(self) -> frozenset[str]:
        """All that this account can use. Source: ECS API, DescribeRegions."""
        ...


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
    @property
    def disks(self) -> Disks: ...
    @property
    def market(self) -> Market: ...


class Clouds(Protocol):
    def at(self, place: Place) -> Compute:
        """The same object for the same place. Raises BadInput for an account that the policy does not know."""
        ...
