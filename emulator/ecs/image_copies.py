"""Copies of images in other regions: five at once arrive in a region, the others wait in its queue.

Asked for in the source region, seen and cancelled in the target region, where DescribeTasks lists it too (assumption:
that it is there, and by the new image's id). Each copy brings copies of the image's
snapshots, which stay for ever, also when the image is deleted.

Source: ECS API CopyImage, CancelCopyImage, read 2026.
Not modelled: copies within a region, images above 2 TiB, legal borders.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from emulator.ecs.blocks import GIB
from emulator.ecs.preconditions import MANUAL_QUOTA
from emulator.ecs.rules import check_description, check_tags
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.image_sources import Mapped
    from emulator.ecs.images import Image
    from emulator.ecs.model import Ecs
    from emulator.ecs.snapshot import Snapshot
    from emulator.ecs.tasks import Task

AT_ONCE = 5
LARGEST_GIB = 2 * 1024


@dataclass(slots=True, kw_only=True, eq=False)
class Copying:
    """One copy that is not finished."""

    source: "Image"
    source_ecs: "Ecs"
    target: "Image"
    task: "Task"
    encrypted: bool = False
    kms_key: str = ""


class ImageCopies:
    """Of one region: those that start here, and the queue of those that arrive here."""

    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self._leaving: dict[str, int] = {}  # by source image: unfinished copies of it
        self._arriving: dict[str, Copying] = {}  # by target image
        self._waiting: deque[str] = deque()

    def is_copying(self, image: "Image") -> bool:
        """Whether it is being copied, or is itself a copy that is not finished."""
        return image.id in self._leaving or image.id in self._arriving

    def copy(
        self,
        image_id: str,
        *,
        region: str,
        name: str | None = None,
        description: str | None = None,
        resource_group: str = "",
        encrypted: bool = False,
        kms_key: str = "",
        tags: Mapping[str, str] | None = None,
        token: str | None = None,
        dry_run: bool = False,
    ) -> "Image":
        """The new image, in the target region. What is encrypted stays so."""
        tags = dict(tags or {})

        def make() -> "Image":
            image = self._source(image_id)
            target = self._target(image, region)
            target.images.check_name(name)
            check_description(description, ApiError("InvalidDescription.Malformed", "The description is not valid."))
            check_tags(tags)
            self._check_encryption(image, target, encrypted=encrypted, kms_key=kms_key)
            self._check_room(image, target)
            if dry_run:
                raise ApiError("DryRunOperation", "Request validation has been passed with DryRun flag set.")
            return target.images.copies.enqueue(
                image, self._ecs, name=name, description=description, resource_group=resource_group,
                encrypted=encrypted, kms_key=kms_key, tags=tags,
            )  # fmt: skip

        fingerprint = (
            image_id, region, name, description, resource_group, encrypted, kms_key, tuple(sorted(tags.items())),
        )  # fmt: skip
        mismatch = ApiError("IdempotentParameterMismatch", f"The token {token} was used with other parameters.")
        copy: Image = self._ecs.tokens.once("CopyImage", token, fingerprint, make, mismatch=mismatch)
        return copy

    def _source(self, image_id: str) -> "Image":
        image = self._ecs.images.visible(image_id)
        if image is None or image.is_public:
            raise ApiError("InvalidImageId.NotFound", f"The specified image {image_id} does not exist.", 404)
        if image.id in self._arriving:
            raise ApiError("OperationDenied.ImageCopying", f"{image_id} is itself a copy under way.", 403)
        if image.status != "Available":  # also Deprecated ones
            raise ApiError("IncorrectImageStatus", f"{image_id} is {image.status}.")
        if image.id in self._leaving:
            raise ApiError("OperationDenied.ImageCopyConflict", f"{image_id} is being copied already.")
        if sum(mapped.size_gib for mapped in image.mappings) > LARGEST_GIB:
            raise ApiError("SizeExceed.Image", f"{image_id} is larger than {LARGEST_GIB} GiB: copy snapshots.", 403)
        return image

    def _target(self, image: "Image", region: str) -> "Ecs":
        if region not in self._ecs.cloud.regions:
            raise ApiError("DestinationRegion.NotFound", f"The region {region!r} does not exist.")
        is_own = self._ecs.images.shelf.get(image.id) is image
        if not is_own and region != self._ecs.region:
            raise ApiError("OperationDenied.SameRegionOnly", "A shared image is copied within its region only.", 403)
        if is_own and region == self._ecs.region:  # allowed only to encrypt, which is not modelled here
            raise ApiError("IncorrectDestinationRegion", f"{region} is the source region.", 403)
        return self._ecs.realm.sibling(region).ecs

    def _check_encryption(self, image: "Image", target: "Ecs", *, encrypted: bool, kms_key: str) -> None:
        is_encrypted = any(snapshot.encrypted for snapshot in image.snapshots)
        if kms_key and not (encrypted or is_encrypted):  # assumption: as CopySnapshot answers
            raise ApiError("InvalidEncrypted.NotMatchKmsKeyId", "A key is given, but Encrypted is not true.", 403)
        target.snapshots.standing.check_key(kms_key, needed=is_encrypted)

    def _check_room(self, image: "Image", target: "Ecs") -> None:
        target.images.check_room()
        for snapshot in image.snapshots:
            if snapshot.disk_id and target.snapshots.chains.count(snapshot.disk_id, "user") >= MANUAL_QUOTA:
                raise ApiError("QuotaExceed.Snapshot", f"{snapshot.disk_id} has {MANUAL_QUOTA} snapshots there.", 403)

    # The queue of the target region ---------------------------------------------------------------------------------

    def enqueue(
        self,
        image: "Image",
        source: "Ecs",
        *,
        name: str | None,
        description: str | None,
        resource_group: str,
        encrypted: bool,
        kms_key: str,
        tags: Mapping[str, str],
    ) -> "Image":
        made = replace(
            image,
            id=self._ecs.chance.id("m"),
            name=name or "",
            family="",
            description=description or "",
            created=self._ecs.clock.now(),
            mappings=tuple(replace(mapped, snapshot=None) for mapped in image.mappings),
            status="Waiting",
            source_instance=None,
            resource_group=resource_group,
            is_copied=True,
            shared_with={},
            tags=dict(tags),
        )
        self._ecs.images.admit(made)
        task = self._ecs.tasks.open("CopyImage", made.id, cancellable=True)
        self._arriving[made.id] = Copying(
            source=image, source_ecs=source, target=made, task=task, encrypted=encrypted, kms_key=kms_key
        )
        self._waiting.append(made.id)
        source.images.copies._leaving[image.id] = source.images.copies._leaving.get(image.id, 0) + 1
        self._advance()
        return made

    def _advance(self) -> None:
        while self._waiting and len(self._arriving) - len(self._waiting) < AT_ONCE:
            copying = self._arriving[self._waiting.popleft()]
            copying.target.status = "Creating"
            mappings = [replace(m, snapshot=self._arrival(copying, m)) for m in copying.source.mappings]
            self._ecs.images.hold(copying.target, mappings)

    def _arrival(self, copying: Copying, mapped: "Mapped") -> "Snapshot | None":
        """A copy of the disk's snapshot. A base image has none to copy, but the copy has one like any other."""
        source = mapped.snapshot
        if source is not None:
            encrypted = copying.encrypted or source.encrypted
            return copying.source_ecs.snapshots.copies.start(
                source, self._ecs, encrypted=encrypted, kms_key=copying.kms_key
            )
        if mapped.kind == "data":
            return None
        size = mapped.size_gib * GIB
        layer = copying.source.system_volume(mapped.size_gib).snapshot()
        made = self._ecs.snapshots.copies.invent(copying.source.id, layer, size // GIB, copying.source_ecs.region)
        made.encrypted, made.kms_key = copying.encrypted, copying.kms_key
        return made

    def ended(self, image: "Image") -> None:
        """Available, failed or cancelled: the next one may start."""
        copying = self._arriving.pop(image.id, None)
        if copying is None:
            return
        gone = image.id not in self._ecs.images.shelf
        status = "Cancelled" if gone else "Finished" if image.status == "Available" else "Failed"
        self._ecs.tasks.close(copying.task, status)
        if image.id in self._waiting:
            self._waiting.remove(image.id)
        leaving = copying.source_ecs.images.copies._leaving
        leaving[copying.source.id] -= 1
        if not leaving[copying.source.id]:
            del leaving[copying.source.id]
        self._advance()

    def cancel(self, image_id: str) -> None:
        """In the target region. What was copied so far is deleted, the image too."""
        image = self._ecs.images.find(image_id)
        if not image.is_copied:
            raise ApiError("ImageCreatedNotFromCopy", f"{image_id} is not the target of a copy.")
        if image.id not in self._arriving:
            raise ApiError("IncorrectImageStatus", f"{image_id} is {image.status}: the copy has ended.")
        snapshots = image.snapshots
        self._ecs.images.drop(image)
        for snapshot in snapshots:
            self._ecs.snapshots.drop(snapshot)
        self.ended(image)
