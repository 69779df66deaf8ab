"""Images: custom ones, made of an instance or of snapshots, available when their snapshots are, shared and copied; and
the public ones beside them (`public_images`).

Sources: ECS API CreateImage, DescribeImages, DeleteImage, DescribeImageFromFamily, ModifyImageAttribute.
Not modelled: import and export, encryption, community and marketplace images, detection, quotas of families.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from emulator.ecs.image import Attributes, Image
from emulator.ecs.image_copies import ImageCopies
from emulator.ecs.image_shares import ImageShares
from emulator.ecs.image_sources import Mapped, Wanted, of_instance, of_snapshots
from emulator.ecs.public_images import catalogue
from emulator.ecs.rules import check_description, check_name, check_tags
from emulator.ecs.shelf import Shelf
from emulator.ecs.snapshot import Snapshot
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

__all__ = ["STATES", "Attributes", "Image", "Images", "Mapped"]

FINISHING = timedelta(seconds=10)  # after its last snapshot (assumption)
STATES = ("Creating", "Waiting", "Available", "UnAvailable", "CreateFailed", "Deprecated")
QUOTA = 100  # adjustable quota, number not documented (assumption)
NOT_IN_NAMES = ("aliyun", "acs:")


class Images:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.shelf: Shelf[Image] = Shelf()
        self.shares = ImageShares(ecs)
        self.copies = ImageCopies(ecs)
        self._public = catalogue()
        self.quota = QUOTA
        self.missing_deletes_answer_404 = False
        """The text says a missing image is ignored, the table has 404: both are documented, as with snapshots."""

    def find(self, id: str) -> Image:
        """One of our own."""
        image = self.shelf.get(id)
        if image is None:
            raise ApiError("InvalidImageId.NotFound", f"The specified image {id} does not exist.", 404)
        return image

    @property
    def public(self) -> Mapping[str, Image]:
        """Alibaba Cloud's own, by id."""
        return self._public

    def visible(self, id: str) -> Image | None:
        """One of our own, a public one, or one that another account shares with us in this region."""
        return self.shelf.get(id) or self.public.get(id) or self.shares.with_us(id)

    def startable(self, id: str) -> Image:
        """For a new instance or system disk: Available, or Deprecated and named by its id."""
        image = self.visible(id)
        if image is None:
            raise ApiError("InvalidImageId.NotFound", f"The image {id} does not exist.", 404)
        if image.status not in ("Available", "Deprecated"):
            raise ApiError("IncorrectImageStatus", f"{id} is {image.status}.", 400)
        return image

    def from_family(self, family: str) -> Image | None:
        """The newest available one of our own; families that begin with `acs:` are of public images."""
        found = [i for i in (*self.public.values(), *self.shelf) if i.family == family and i.status == "Available"]
        return max(reversed(found), key=lambda image: image.created, default=None)

    # Making -------------------------------------------------------------------------------------------------------

    def create(
        self,
        *,
        instance_id: str | None = None,
        disks: Sequence[Wanted] = (),
        snapshot_id: str | None = None,
        name: str | None = None,
        family: str = "",
        version: str = "",
        description: str | None = None,
        attributes: Attributes | None = None,
        resource_group: str = "",
        tags: Mapping[str, str] | None = None,
        token: str | None = None,
        dry_run: bool = False,
    ) -> Image:
        """One source: the instance, else the mapped disks, else the one snapshot."""
        tags = dict(tags or {})

        def make() -> Image:
            self._check(name, family, description, tags)
            self._ecs.snapshots.standing.check()
            if instance_id is not None:
                take, guest = of_instance(self._ecs, instance_id)
            elif disks or snapshot_id:
                take, guest = of_snapshots(self._ecs, disks, snapshot_id)
            else:
                raise ApiError("MissingParameter", "InstanceId, SnapshotId or DiskDeviceMapping is mandatory.")
            if dry_run:
                raise ApiError("DryRunOperation", "Request validation has been passed with DryRun flag set.")
            image = Image(
                id=self._ecs.chance.id("m"),
                name=name or "",
                family=family,
                description=description or "",
                version=version,
                created=self._ecs.clock.now(),
                mappings=take(),
                guest=guest,
                source_instance=instance_id,
                attributes=attributes or Attributes(),
                resource_group=resource_group,
                tags=tags,
            )
            self.admit(image)
            return image

        fingerprint = (
            instance_id, tuple(disks), snapshot_id, name, family, version, description, attributes, resource_group,
            tuple(sorted(tags.items())),
        )  # fmt: skip
        mismatch = ApiError("IdempotenceParamNotMatch", f"The token {token} was used with other parameters.")
        image: Image = self._ecs.tokens.once("CreateImage", token, fingerprint, make, mismatch=mismatch)
        return image

    def _check(self, name: str | None, family: str, description: str | None, tags: Mapping[str, str]) -> None:
        self.check_name(name)
        check_name(
            family or None, ApiError("InvalidImageFamily.Malformed", f"{family!r} is not valid."), banned=NOT_IN_NAMES
        )
        check_description(description, ApiError("InvalidDescription.Malformed", "The description is not valid."))
        check_tags(tags)
        self.check_room()

    def check_name(self, name: str | None) -> None:
        """Valid, and no other of our images in this region has it."""
        check_name(name, ApiError("InvalidImageName.Malformed", f"{name!r} is not valid."), banned=NOT_IN_NAMES)
        if name and any(image.name == name for image in self.shelf):
            raise ApiError("InvalidImageName.Duplicated", f"There is an image named {name}.")

    def check_room(self) -> None:
        if len(self.shelf) >= self.quota:
            raise ApiError("QuotaExceed.Image", f"There are {self.quota} custom images.", 403)

    def admit(self, image: Image) -> None:
        """Put it on the shelf; it holds its snapshots and waits for them."""
        self.shelf.add(image)
        self.hold(image, image.mappings)

    def hold(self, image: Image, mappings: Sequence[Mapped]) -> None:
        image.mappings = tuple(mappings)
        for snapshot in image.snapshots:
            snapshot.images.add(image.id)
        if image.status == "Creating":
            self._check_progress(image)

    def snapshot_completed(self, snapshot: Snapshot) -> None:
        for image_id in sorted(snapshot.images):
            image = self.shelf.get(image_id)
            if image is not None and image.status == "Creating":
                self._check_progress(image)

    def _check_progress(self, image: Image) -> None:
        states = {snapshot.status for snapshot in image.snapshots}
        if "failed" in states:
            image.status = "CreateFailed"
            self.copies.ended(image)
        elif states <= {"accomplished"}:
            self._ecs.clock.call_later(FINISHING, lambda: self._available(image), "image available")

    def _available(self, image: Image) -> None:
        if image.status == "Creating" and self.shelf.get(image.id) is image:
            image.status = "Available"
            self.copies.ended(image)

    # Changing and leaving -----------------------------------------------------------------------------------------

    def delete(self, id: str, *, force: bool = False, dry_run: bool = False) -> None:
        """The snapshots stay, and can be deleted only now. Force overrides instances, not accounts."""
        image = self.shelf.get(id)
        if image is None:
            if self.missing_deletes_answer_404:
                raise ApiError("InvalidImageId.NotFound", f"The specified image {id} does not exist.", 404)
            return
        if image.shared_with:
            raise ApiError("ImageUseShared", f"{id} is shared with {len(image.shared_with)} accounts.", 403)
        if self.copies.is_copying(image):
            raise ApiError("OperationDenied.ImageCopying", f"{id} is being copied.", 403)
        if not force and any(instance.image_id == id for instance in self._ecs.instances.values()):
            raise ApiError("ImageUsingByInstance", f"{id} is used by instances; Force overrides.", 403)
        if dry_run:
            raise ApiError("DryRunOperation", "Request validation has been passed with DryRun flag set.")
        self.drop(image)

    def drop(self, image: Image) -> None:
        self.shelf.remove(image)
        for snapshot in image.snapshots:
            snapshot.images.discard(image.id)

    def modify(
        self,
        id: str,
        *,
        status: str | None = None,
        family: str | None = None,
        name: str | None = None,
        description: str | None = None,
        attributes: Attributes | None = None,
    ) -> None:
        image = self.find(id)
        if name and name != image.name:
            self.check_name(name)
        check_name(
            family or None, ApiError("InvalidImageFamily.Malformed", f"{family!r} is not valid."), banned=NOT_IN_NAMES
        )
        check_description(
            description or None, ApiError("InvalidDescription.Malformed", "The description is not valid.")
        )
        if status is not None:
            if status not in ("Available", "Deprecated") or image.status not in ("Available", "Deprecated"):
                raise ApiError("IncorrectImageStatus", f"{id} is {image.status} and cannot become {status}.")
            if status == "Deprecated" and image.shared_with:  # assumption: DeleteImage's code
                raise ApiError("ImageUseShared", f"{id} is shared; unshare it first.", 403)
            image.status = status
        image.name = name or image.name
        image.family = image.family if family is None else family
        image.description = image.description if description is None else description
        image.attributes = attributes or image.attributes
