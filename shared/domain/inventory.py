"""What stands in the cloud, in our words. Values only; adapters build them from validated answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.domain.ids import DiskId, ImageId, InstanceId, SnapshotGroupId, SnapshotId


class InstanceState(StrEnum):
    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


class DiskKind(StrEnum):
    SYSTEM = "system"
    DATA = "data"


class SnapshotState(StrEnum):
    PROGRESSING = "progressing"
    ACCOMPLISHED = "accomplished"
    FAILED = "failed"


class ImageState(StrEnum):
    CREATING = "creating"
    AVAILABLE = "available"
    FAILED = "failed"  # it was never made
    UNAVAILABLE = "unavailable"  # it cannot be used now, for reasons of the cloud's own; it may have been usable before
    DEPRECATED = "deprecated"


NEVER_STANDS: Final = (ImageState.FAILED, ImageState.UNAVAILABLE)
"""Of an image that is being made: it does not come to stand any more. Source: the provider for Terraform, 2026."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    id: DiskId
    kind: DiskKind
    zone: str
    size_gib: int
    category: str
    state: str  # available | in_use | attaching | detaching | reiniting | creating (the cloud's word, lower case)
    instance: InstanceId | None
    device: str = ""
    name: str = ""
    delete_with_instance: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    encrypted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    id: InstanceId
    name: str
    state: InstanceState
    zone: str
    image: ImageId
    instance_type: str
    private_address: str
    vswitch: str
    vpc: str
    security_groups: tuple[str, ...]
    created: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    host_name: str = ""
    key_pair: str = ""
    locks: tuple[str, ...] = ()  # reasons for which the platform refuses to operate it: financial, security, ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One snapshot of one disk. *taken* is `created`; *usable* is `usable`; *complete* is state accomplished."""

    id: SnapshotId
    disk: DiskId
    disk_kind: DiskKind
    state: SnapshotState
    usable: bool  # a new disk or a rollback can be made of it now (ESSD: before it is complete)
    created: datetime  # the provider's clock, UTC
    size_gib: int  # of the source disk
    usage: str  # none | image | disk | image_disk: what was made of it and still refers to it
    progress_percent: int
    tags: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    automatic: bool = False  # made by a native policy, not by CreateSnapshot
    encrypted: bool = False
    archived: bool = False  # neither rolled back to nor made anything of


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotGroup:
    """A crash-consistent set: all members share one instant."""

    id: SnapshotGroupId
    instance: InstanceId | None  # None when its members belong to several
    state: str  # progressing | accomplished | failed
    created: datetime
    members: tuple[SnapshotId, ...]
    disks: tuple[DiskId, ...] = ()  # of which each member was taken, in the same order
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotLock:
    """WORM state of one snapshot, as the cloud tells it."""

    snapshot: SnapshotId
    cooling_off: bool  # it can still be unlocked
    expires: datetime | None  # None: its time has not begun, because the snapshot is not complete


@dataclass(frozen=True, slots=True, kw_only=True)
class NativePolicy:
    """An automatic snapshot policy of the cloud itself."""

    id: str
    name: str
    hours: tuple[int, ...]  # UTC+8
    weekdays: tuple[int, ...]
    days: int | None  # None: for ever


EXITED: Final = frozenset({"success", "failed"})
"""States of a command that ended by itself, and so has an exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command in a guest ended."""

    instance: InstanceId
    state: str  # pending | running | success | failed | timeout | invalid | ... (the cloud's word, lower case)
    exit_code: int | None
    output: str
    error: str = ""

    @property
    def over(self) -> bool:
        return self.state not in ("pending", "running", "scheduled", "stopping")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDisk:
    """One disk that an image makes: from which snapshot, and where."""

    snapshot: SnapshotId  # "": a disk without one (an empty data disk, or contents that only the cloud knows)
    kind: DiskKind
    device: str = ""
    size_gib: int = 0  # 0: the cloud has not said


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    id: ImageId
    name: str
    family: str
    state: ImageState
    created: datetime
    snapshots: tuple[SnapshotId, ...]  # its disk device mappings
    tags: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    used: bool = False  # instances made of it exist
    disks: tuple[ImageDisk, ...] = ()  # the same mappings, in full


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What an instance was given at its making and DescribeInstances does not show."""

    role: str = ""  # RAM role
    user_data: str = ""  # plain text; bytes that are none read `data:;base64,...`


@dataclass(frozen=True, slots=True, kw_only=True)
class VSwitch:
    id: str
    zone: str
    vpc: str
    free_addresses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemEvent:
    """An unplanned or planned event of one instance, as the ECS API lists it."""

    id: str
    instance: InstanceId
    type: str  # e.g. SystemFailure.Reboot
    status: str  # inquiring | scheduled | executing | executed | avoided | canceled | failed
    published: datetime
    finished: datetime | None
