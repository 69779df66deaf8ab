"""Images and their copies through the official ECS SDK (2014-05-26)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from alibabacloud_ecs20140526 import models

from shared.adapters import ecs_answers as answers
from shared.adapters.ecs_calls import EcsCalls, made, tagged, tags_of
from shared.domain.errors import NotFound
from shared.domain.ids import ImageId, InstanceId
from shared.domain.inventory import Image, ImageDisk


class EcsImages(EcsCalls):
    """Implements `shared.ports.compute.Images`."""

    RAM_ACTIONS: ClassVar = (
        "ecs:CreateImage",
        "ecs:DescribeImages",
        "ecs:TagResources",
        "ecs:CopyImage",
        "ecs:ModifyImageAttribute",
        "ecs:DeleteImage",
    )

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
        return self._create(name, family, version, tags, token, instance_id=instance)

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
        mappings = [
            models.CreateImageRequestDiskDeviceMapping(
                snapshot_id=disk.snapshot,
                disk_type=disk.kind.value,
                device=disk.device or None,
                size=disk.size_gib or None,
            )
            for disk in disks
        ]
        return self._create(name, family, version, tags, token, disk_device_mapping=mappings)

    def _create(
        self, name: str, family: str, version: str, tags: Mapping[str, str], token: str, **source: Any
    ) -> ImageId:
        request = models.CreateImageRequest(
            region_id=self._region,
            image_name=name,
            image_family=family or None,
            image_version=version or None,
            tag=tags_of(models.CreateImageRequestTag, tags),
            client_token=token,
            **source,
        )
        body = self._ask("CreateImage", "create_image", request, changes=True)
        return ImageId(made(body.image_id, "CreateImage"))

    def deprecate(self, image: ImageId) -> None:
        request = models.ModifyImageAttributeRequest(region_id=self._region, image_id=image, status="Deprecated")
        self._ask("ModifyImageAttribute", "modify_image_attribute", request, changes=True)

    def list(
        self,
        *,
        ids: Sequence[ImageId] | None = None,
        family: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[Image]:
        if ids is None:
            yield from tagged(lambda wanted: self._images(None, family, wanted), tags)
            return
        for image in ids:  # several ids in one value are not documented
            yield from self._images(image, family, tags)

    def _images(self, image: str | None, family: str | None, tags: Mapping[str, str] | None) -> Iterator[Image]:
        request = models.DescribeImagesRequest(
            region_id=self._region,
            image_id=image,
            image_family=family,
            image_owner_alias="self",
            status="ALL",  # the default shows only Available ones
            tag=tags_of(models.DescribeImagesRequestTag, tags),
            page_size=100,
        )
        return map(answers.image, self._numbered("DescribeImages", "describe_images", request, "images", "image"))

    def copy(
        self, image: ImageId, *, to: str, name: str, tags: Mapping[str, str], token: str, kms_key: str = ""
    ) -> ImageId:
        request = models.CopyImageRequest(
            region_id=self._region,
            image_id=image,
            destination_region_id=to,
            destination_image_name=name,
            destination_description=name,
            encrypted=True if kms_key else None,
            kmskey_id=kms_key or None,
            tag=tags_of(models.CopyImageRequestTag, tags),
            client_token=token,
        )
        body = self._ask("CopyImage", "copy_image", request, changes=True)
        return ImageId(made(body.image_id, "CopyImage"))

    def delete(self, image: ImageId) -> None:
        request = models.DeleteImageRequest(region_id=self._region, image_id=image, force=False)
        try:
            self._ask("DeleteImage", "delete_image", request, changes=True)
        except NotFound:
            return  # documented both ways: ignored, and 404
