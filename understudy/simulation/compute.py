"""Instances, disks, snapshots and images straight onto the emulator's ECS models: no HTTP, the same promises.

Refusals pass through the same table of cloud codes as the SDK's, so both doors raise the same errors.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from emulator.cloud import Cloud
from emulator.ecs import disks as disk_models
from emulator.ecs import groups as group_models
from emulator.ecs import images as image_models
from emulator.ecs import instances as instance_models
from emulator.ecs import locks as lock_models
from emulator.ecs import snapshot as snapshot_models
from emulator.ecs.assistant import Sending
from emulator.ecs.commands import Command, decoded
from emulator.ecs.image_sources import Mapped, Wanted
from shared.domain.errors import BadInput, NotFound
from shared.domain.ids import DiskId, ImageId, InstanceId, SnapshotGroupId, SnapshotId
from shared.domain.inventory import (
    EXITED,
    Disk,
    DiskKind,
    Image,
    ImageDisk,
    ImageState,
    Instance,
    InstanceState,
    NativePolicy,
    Ran,
    Snapshot,
    SnapshotGroup,
    SnapshotLock,
    SnapshotState,
    SystemEvent,
)
from shared.domain.place import HOME, Place
from understudy.simulation.call import in_our_words
from understudy.simulation.disks import InProcessDisks
from understudy.simulation.in_process import InProcess, chosen
from understudy.simulation.instances import InProcessInstances
from understudy.simulation.market import InProcessMarket

IMAGE_STATES = {
    "Waiting": ImageState.CREATING,
    "Creating": ImageState.CREATING,
    "Available": ImageState.AVAILABLE,
    "UnAvailable": ImageState.UNAVAILABLE,
    "CreateFailed": ImageState.FAILED,
    "Deprecated": ImageState.DEPRECATED,
}


class InProcessInventory(InProcess):
    """Implements `shared.ports.compute.Inventory`."""

    def instances(
        self, *, ids: Sequence[InstanceId] | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[Instance]:
        return self._listed(
            "DescribeInstances", (ids, tags), lambda: chosen(self._ecs.shelf.by_id, ids, tags, instance)
        )

    def disks(
        self,
        *,
        ids: Sequence[DiskId] | None = None,
        instance: InstanceId | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[Disk]:
        def found() -> Iterator[Disk]:
            for one in chosen(self._ecs.disks.shelf.by_id, ids, tags, disk):
                if instance is None or one.instance == instance:
                    yield one

        return self._listed("DescribeDisks", (ids, instance, tags), found)

    def system_events(self, instance: InstanceId) -> Iterator[SystemEvent]:
        return self._listed("DescribeInstanceHistoryEvents", instance, lambda: self._events(instance))

    def _events(self, instance: InstanceId) -> Iterator[SystemEvent]:
        for event in self._ecs.events.of(instance):
            yield SystemEvent(
                id=event.id,
                instance=InstanceId(event.instance_id),
                type=event.type,
                status=event.status.lower(),
                published=event.published.replace(microsecond=0),
                finished=None if event.finished is None else event.finished.replace(microsecond=0),
            )


class InProcessSnapshots(InProcess):
    """Implements `shared.ports.compute.Snapshots`."""

    def create(self, disk: DiskId, *, name: str, tags: Mapping[str, str], token: str) -> SnapshotId:
        with self._changing("CreateSnapshot"):
            return SnapshotId(self._ecs.snapshots.create(disk, name=name, tags=tags, token=token).id)

    def create_group(
        self, disks: Sequence[DiskId], *, name: str, tags: Mapping[str, str], token: str
    ) -> SnapshotGroupId:
        with self._changing("CreateSnapshotGroup"):
            made = self._ecs.groups.create(instance_id=None, disk_ids=disks, name=name, tags=tags, token=token)
            return SnapshotGroupId(made.id)

    def groups(
        self, *, ids: Sequence[SnapshotGroupId] | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[SnapshotGroup]:
        shelf = self._ecs.groups.shelf.by_id
        return self._listed("DescribeSnapshotGroups", (ids, tags), lambda: chosen(shelf, ids, tags, snapshot_group))

    def list(
        self,
        *,
        ids: Sequence[SnapshotId] | None = None,
        disk: DiskId | None = None,
        tags: Mapping[str, str] | None = None,
        state: SnapshotState | None = None,
    ) -> Iterator[Snapshot]:
        now = self._cloud.clock.now()
        snapshots = self._ecs.snapshots
        source = snapshots.shelf.by_id if disk is None else snapshots.by_disk.get(disk, {})

        def found() -> Iterator[Snapshot]:
            for one in chosen(source, ids, tags, lambda found: snapshot(found, found.progress(now))):
                if state is None or one.state is state:
                    yield one

        return self._listed("DescribeSnapshots", (ids, disk, tags, state), found)

    def delete(self, snapshot: SnapshotId) -> None:
        try:
            with self._changing("DeleteSnapshot"):
                self._ecs.snapshots.delete(snapshot)
        except NotFound:
            return

    def delete_group(self, group: SnapshotGroupId) -> Mapping[SnapshotId, str]:
        with self._changing("DeleteSnapshotGroup"):
            results = self._ecs.groups.delete(group)
        return {SnapshotId(one.snapshot_id): f"{one.code}: {one.message}" for one in results if one.code}

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
        with self._changing("CopySnapshot"):
            copies = self._ecs.snapshots.copies
            encrypted = True if kms_key else None
            made = copies.copy(
                snapshot, region=to, name=name, description=name, encrypted=encrypted, kms_key=kms_key, tags=tags,
                token=token,
            )  # fmt: skip
            return SnapshotId(made.id)

    def lock(self, snapshot: SnapshotId, *, days: int, cool_off_hours: int, token: str) -> SnapshotLock:
        with self._changing("LockSnapshot"):
            locks = self._ecs.snapshots.locks
            made = locks.lock(snapshot, mode="compliance", days=days, cool_off_hours=cool_off_hours, token=token)
            return self._lock(made)

    def locks(self, ids: Sequence[SnapshotId]) -> Iterator[SnapshotLock]:
        now = self._cloud.clock.now()
        held = self._ecs.snapshots.locks.shelf.by_id

        def found() -> Iterator[SnapshotLock]:
            for lock in (held[one] for one in dict.fromkeys(ids) if one in held):
                if lock.status(now) != "expired":
                    yield self._lock(lock)

        return self._listed("DescribeLockedSnapshots", ids, found) if ids else iter(())

    def _lock(self, lock: lock_models.Lock) -> SnapshotLock:
        return SnapshotLock(
            snapshot=SnapshotId(lock.id),
            cooling_off=lock.status(self._cloud.clock.now()) == "compliance-cooloff",
            expires=None if lock.ends is None else lock.ends.replace(microsecond=0),
        )


class InProcessImages(InProcess):
    """Implements `shared.ports.compute.Images`."""

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
        with self._changing("CreateImage"):
            made = self._ecs.images.create(
                instance_id=instance, name=name, family=family, version=version, tags=tags, token=token
            )
            return ImageId(made.id)

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
        wanted = [
            Wanted(snapshot_id=disk.snapshot, size_gib=disk.size_gib or None, device=disk.device, kind=disk.kind.value)
            for disk in disks
        ]
        with self._changing("CreateImage"):
            made = self._ecs.images.create(
                disks=wanted, name=name, family=family, version=version, tags=tags, token=token
            )
            return ImageId(made.id)

    def deprecate(self, image: ImageId) -> None:
        with self._changing("ModifyImageAttribute"):
            self._ecs.images.modify(image, status="Deprecated")

    def list(
        self,
        *,
        ids: Sequence[ImageId] | None = None,
        family: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[Image]:
        def found() -> Iterator[Image]:
            used = {instance.image_id for instance in self._ecs.instances.values()}
            for one in chosen(self._ecs.images.shelf.by_id, ids, tags, lambda found: image(found, used)):
                if family is None or one.family == family:
                    yield one

        return self._listed("DescribeImages", (ids, family, tags), found)

    def copy(
        self, image: ImageId, *, to: str, name: str, tags: Mapping[str, str], token: str, kms_key: str = ""
    ) -> ImageId:
        with self._changing("CopyImage"):
            made = self._ecs.images.copies.copy(
                image, region=to, name=name, description=name, encrypted=bool(kms_key), kms_key=kms_key, tags=tags,
                token=token,
            )  # fmt: skip
            return ImageId(made.id)

    def delete(self, image: ImageId) -> None:
        try:
            with self._changing("DeleteImage"):
                self._ecs.images.delete(image)
        except NotFound:
            return


class InProcessGuests(InProcess):
    """Implements `shared.ports.compute.Guests`."""

    def run(self, instances: Sequence[InstanceId], script: str, *, within: timedelta, token: str) -> str:
        with self._changing("RunCommand"):
            ecs = self._ecs
            command = Command(
                id=self._cloud.chance.id("c"),
                name="",
                type="RunShellScript",
                content=decoded(script, encoded=False),
                created=self._cloud.clock.now(),
            )
            sending = Sending(instance_ids=tuple(instances), timeout=max(1, ceil(within.total_seconds())))
            return ecs.assistant.run(command, sending, keep=False, token=token).id

    def results(self, run: str) -> Iterator[Ran]:
        def found() -> Iterator[Ran]:
            invocation = self._ecs.assistant.invocations.get(run)
            for result in () if invocation is None else invocation.results.values():
                state = result.status.lower()
                yield Ran(
                    instance=InstanceId(result.instance_id),
                    state=state,
                    exit_code=result.exit_code if state in EXITED else None,
                    output=result.output,
                    error=": ".join(part for part in (result.error_code, result.error_info) if part),
                )

        return self._listed("DescribeInvocationResults", run, found)


class InProcessNativePolicies(InProcess):
    """Implements `shared.ports.compute.NativePolicies`."""

    def list(self) -> Iterator[NativePolicy]:
        def found() -> Iterator[NativePolicy]:
            for one in self._ecs.snapshots.policies.shelf.by_id.values():
                yield NativePolicy(
                    id=one.id,
                    name=one.name,
                    hours=tuple(sorted(one.hours)),
                    weekdays=tuple(sorted(one.weekdays)),
                    days=one.retention_days,
                )

        return self._listed("DescribeAutoSnapshotPolicyEx", None, found)

    def applied(self) -> Iterator[tuple[str, DiskId]]:
        def found() -> Iterator[tuple[str, DiskId]]:
            for one in self._ecs.snapshots.policies.associations.by_id.values():
                yield one.policy_id, DiskId(one.disk_id)

        return self._listed("DescribeAutoSnapshotPolicyAssociations", None, found)


@dataclass(frozen=True, slots=True)
class InProcessCompute:
    """Has the parts of `shared.ports.compute.Compute`."""

    inventory: InProcessInventory
    snapshots: InProcessSnapshots
    images: InProcessImages
    instances: InProcessInstances
    guests: InProcessGuests
    native: InProcessNativePolicies
    disks: InProcessDisks
    market: InProcessMarket


class InProcessClouds:
    """Implements `shared.ports.compute.Clouds`. `accounts`: the number behind each name of the policy."""

    def __init__(self, cloud: Cloud, accounts: Mapping[str, str] | None = None) -> None:
        self._cloud = cloud
        self._accounts = {HOME: cloud.account, **(accounts or {})}
        self._made: dict[Place, InProcessCompute] = {}

    def at(self, place: Place) -> InProcessCompute:
        if place.account not in self._accounts:
            raise BadInput(f"account {place.account} is not known")
        if place not in self._made:
            with in_our_words(f"ecs of {place}", changes=False):
                realm = self._cloud.realm(self._accounts[place.account], place.region)
            self._made[place] = InProcessCompute(
                inventory=InProcessInventory(self._cloud, realm),
                snapshots=InProcessSnapshots(self._cloud, realm),
                images=InProcessImages(self._cloud, realm),
                instances=InProcessInstances(self._cloud, realm),
                guests=InProcessGuests(self._cloud, realm),
                native=InProcessNativePolicies(self._cloud, realm),
                disks=InProcessDisks(self._cloud, realm),
                market=InProcessMarket(self._cloud, realm),
            )
        return self._made[place]


def instance(found: instance_models.Instance) -> Instance:
    return Instance(
        id=InstanceId(found.id),
        name=found.name,
        state=InstanceState(found.state.lower()),
        zone=found.zone,
        image=ImageId(found.image_id),
        instance_type=found.instance_type,
        private_address=found.private_ip,
        vswitch=found.vswitch_id,
        vpc=found.vpc_id,
        security_groups=found.security_group_ids,
        created=found.created.replace(second=0, microsecond=0),  # the API shows minutes
        tags=dict(found.tags),
        host_name=found.host_name,
        key_pair=found.key_pair,
        locks=tuple(found.locks),
    )


def disk(found: disk_models.Disk) -> Disk:
    return Disk(
        id=DiskId(found.id),
        kind=DiskKind(found.kind),
        zone=found.zone,
        size_gib=found.size_gib,
        category=found.category,
        state=found.state.lower(),
        instance=None if found.instance_id is None else InstanceId(found.instance_id),
        device=found.device.replace("/dev/vd", "/dev/xvd"),
        name=found.name,
        delete_with_instance=found.delete_with_instance,
        tags=dict(found.tags),
    )


def snapshot(found: snapshot_models.Snapshot, progress: int) -> Snapshot:
    return Snapshot(
        id=SnapshotId(found.id),
        disk=DiskId(found.disk_id),
        disk_kind=DiskKind(found.disk_kind),
        state=SnapshotState(found.status),
        usable=found.available,
        created=found.created.replace(microsecond=0),
        size_gib=found.size_gib,
        usage=found.usage,
        progress_percent=progress,
        tags=dict(found.tags),
        name=found.name,
        automatic=found.type != "user",
        encrypted=found.encrypted,
        archived=found.category == "archive",
    )


def snapshot_group(found: group_models.SnapshotGroup) -> SnapshotGroup:
    return SnapshotGroup(
        id=SnapshotGroupId(found.id),
        instance=InstanceId(found.instance_id) if found.instance_id else None,
        state=found.status,
        created=found.created.replace(microsecond=0),
        members=tuple(SnapshotId(member.id) for member in found.members),
        disks=tuple(DiskId(member.disk_id) for member in found.members),
        tags=dict(found.tags),
    )


def image(found: image_models.Image, used: Set[str]) -> Image:
    """`used`: images of which instances were made."""
    disks = tuple(map(_image_disk, found.mappings))
    return Image(
        id=ImageId(found.id),
        name=found.name,
        family=found.family,
        state=IMAGE_STATES[found.status],
        created=found.created.replace(microsecond=0),
        snapshots=tuple(disk.snapshot for disk in disks if disk.snapshot),
        tags=dict(found.tags),
        version=found.version,
        used=found.id in used,
        disks=disks,
    )


def _image_disk(found: Mapped) -> ImageDisk:
    return ImageDisk(
        snapshot=SnapshotId("" if found.snapshot is None else found.snapshot.id),
        kind=DiskKind(found.kind),
        device=found.device,
        size_gib=found.size_gib,
    )
