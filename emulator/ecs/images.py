"""Custom images: made of an instance or of snapshots, available when their snapshots are.

Sources: ECS API CreateImage, DescribeImages, DeleteImage, DescribeImageFromFamily, ModifyImageAttribute.
Not modelled: copies, sharing, import and export, encryption, public images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from emulator.ecs.blocks import GIB, Volume
from emulator.ecs.rules import check_description, check_name, check_tags
from emulator.ecs.shelf import Shelf
from emulator.ecs.snapshots import Snapshot
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

FINISHING = timedelta(seconds=10)  # after its last snapshot (assumption)
STATES = ("Creating", "Waiting", "Available", "UnAvailable", "CreateFailed", "Deprecated")
QUOTA = 100  # adjustable quota, number not documented (assumption)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """One disk of an image. `snapshot` None: a base image of the seed, whose contents nobody can see."""

    kind: str  # system | data
    device: str
    size_gib: int
    snapshot: Snapshot | None


@dataclass(slots=True, kw_only=True, eq=False)
class Image:
    id: str
    name: str
    family: str
    description: str
    created: datetime
    mappings: tuple[Mapped, ...]
    status: str = "Creating"
    version: str = ""
    guest: dict[str, Any] | None = None
    source_instance: str | None = None
    used_gib: float = 0.0  # how much of a base image's system disk holds data
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def system(self) -> Mapped:
        return next(m for m in self.mappings if m.kind == "system")

    def system_volume(self, size_gib: int) -> Volume:
        snapshot = self.system.snapshot
        if snapshot is not None:
            return Volume.of(snapshot.layer, size_gib * GIB)
        return Volume(size_gib * GIB, filled=int(self.used_gib * GIB))

    def progress(self, now: datetime) -> int:
        if self.status == "Available":
            return 100
        parts = [m.snapshot.progress(now) for m in self.mappings if m.snapshot is not None]
        return min(99, min(parts, default=0))


class Images:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.shelf: Shelf[Image] = Shelf()
        self.quota = QUOTA

    def find(self, id: str) -> Image:
        image = self.shelf.get(id)
        if image is None:
            raise ApiError("InvalidImageId.NotFound", f"The specified image {id} does not exist.", 404)
        return image

    def from_family(self, family: str) -> Image | None:
        """The newest available one."""
        found = [i for i in self.shelf if i.family == family and i.status == "Available"]
        return max(reversed(found), key=lambda image: image.created, default=None)

    def create(
        self,
        *,
        instance_id: str | None = None,
        snapshot_ids: Sequence[str] = (),
        name: str | None = None,
        family: str = "",
        version: str = "",
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Image:
        tags = dict(tags or {})

        def make() -> Image:
            check_name(
                name, ApiError("InvalidImageName.Malformed", f"{name!r} is not valid."), banned=("aliyun", "acs:")
            )
            check_description(description, ApiError("InvalidDescription.Malformed", "The description is not valid."))
            check_tags(tags)
            if name and any(image.name == name for image in self.shelf):
                raise ApiError("InvalidImageName.Duplicated", f"There is an image named {name}.")
            if len(self.shelf) >= self.quota:
                raise ApiError("QuotaExceed.Image", f"There are {self.quota} custom images.", 403)
            if instance_id is not None:
                mappings, guest = self._of_instance(instance_id)
            elif snapshot_ids:
                mappings, guest = self._of_snapshots(snapshot_ids), None
            else:
                raise ApiError("MissingParameter", "InstanceId, SnapshotId or DiskDeviceMapping is mandatory.")
            image = Image(
                id=self._ecs.chance.id("m"),
                name=name or "",
                family=family,
                description=description or "",
                version=version,
                created=self._ecs.clock.now(),
                mappings=mappings,
                guest=guest,
                source_instance=instance_id,
                tags=tags,
            )
            self.shelf.add(image)
            for mapping in mappings:
                if mapping.snapshot is not None:
                    mapping.snapshot.images.add(image.id)
            self._check_progress(image)
            return image

        fingerprint = (
            instance_id, tuple(snapshot_ids), name, family, version, description, tuple(sorted(tags.items())),
        )  # fmt: skip
        mismatch = ApiError("IdempotenceParamNotMatch", f"The token {token} was used with other parameters.")
        image: Image = self._ecs.tokens.once("CreateImage", token, fingerprint, make, mismatch=mismatch)
        return image

    def _of_instance(self, instance_id: str) -> tuple[tuple[Mapped, ...], dict[str, Any] | None]:
        """Snapshots every disk; these count in the quota and outlive the image."""
        instance = self._ecs.find_instance(instance_id)
        if instance.state not in ("Running", "Stopped"):
            raise ApiError("IncorrectInstanceStatus", f"{instance_id} is {instance.state}.")
        disks = self._ecs.disks.of_instance(instance_id)
        if not any(disk.kind == "system" for disk in disks):
            raise ApiError("InvalidInstance.NotFoundSystemDisk", f"{instance_id} has no system disk.")
        for disk in disks:
            self._ecs.snapshots.check_disk(disk)
        mappings = tuple(
            Mapped(
                kind=disk.kind,
                device=disk.device.replace("/dev/vd", "/dev/xvd"),
                size_gib=disk.size_gib,
                snapshot=self._ecs.snapshots.take(disk),
            )
            for disk in disks
        )
        return mappings, instance.guest

    def _of_snapshots(self, ids: Sequence[str]) -> tuple[Mapped, ...]:
        snapshots = [self._ecs.snapshots.find(snapshot_id) for snapshot_id in ids]
        for snapshot in snapshots:
            if snapshot.status != "accomplished":
                raise ApiError("InvalidSnapshotId.NotReady", f"{snapshot.id} is {snapshot.status}.", 403)
        systems = [s for s in snapshots if s.disk_kind == "system"]
        if len(systems) != 1:
            raise ApiError("OperationDenied", f"Exactly one snapshot of a system disk is needed, got {len(systems)}.")
        data = [s for s in snapshots if s.disk_kind == "data"]
        devices = [f"/dev/xvd{letter}" for letter in "bcdefghijklmnopqrstuvwxyz"]
        return (
            Mapped(kind="system", device="/dev/xvda", size_gib=systems[0].size_gib, snapshot=systems[0]),
            *(
                Mapped(kind="data", device=device, size_gib=snapshot.size_gib, snapshot=snapshot)
                for device, snapshot in zip(devices, data, strict=False)
            ),
        )

    def snapshot_completed(self, snapshot: Snapshot) -> None:
        for image_id in list(snapshot.images):
            image = self.shelf.get(image_id)
            if image is not None:
                self._check_progress(image)

    def _check_progress(self, image: Image) -> None:
        if all(m.snapshot is None or m.snapshot.status == "accomplished" for m in image.mappings):
            self._ecs.clock.call_later(FINISHING, lambda: self._available(image), "image available")

    def _available(self, image: Image) -> None:
        if image.status == "Creating":
            image.status = "Available"

    def delete(self, id: str, *, force: bool = False) -> None:
        """The snapshots stay. A missing image is ignored (the table also has a 404)."""
        image = self.shelf.get(id)
        if image is None:
            return
        if not force and any(instance.image_id == id for instance in self._ecs.instances.values()):
            raise ApiError("ImageUsingByInstance", f"{id} is used by instances; Force overrides.", 403)
        self.shelf.remove(image)
        for mapping in image.mappings:
            if mapping.snapshot is not None:
                mapping.snapshot.images.discard(id)

    def modify(self, id: str, *, status: str | None, family: str | None, description: str | None) -> None:
        image = self.find(id)
        if status is not None:
            if status not in ("Available", "Deprecated") or image.status not in ("Available", "Deprecated"):
                raise ApiError("IncorrectImageStatus", f"{id} is {image.status} and cannot become {status}.")
            image.status = status
        image.family = image.family if family is None else family
        image.description = image.description if description is None else description
