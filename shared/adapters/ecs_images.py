"""Images and their copies through the official ECS SDK (2014-05-26)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from alibabacloud_ecs20140526 import models

from shared.adapters import ecs_answers as answers
from shared.adapters.ecs_answers import Fields
from shared.adapters.ecs_calls import EcsCalls, made, tagged, tags_of
from shared.domain.errors import NotFound
from shared.domain.ids import ImageId, InstanceId
from shared.domain.inventory import Image


class EcsImages(EcsCalls):
    """Implements `shared.ports.compute.Images`."""

    RAM_ACTIONS: ClassVar = (
        "ecs:CreateImage",
        "ecs:DescribeImages",
        "ecs:TagResources",
        "ecs:CopyImage",
        "ecs:DeleteImage",
    )

    def create_from_instance(
        self, instance: InstanceId, *, name: str, family: str, tags: Mapping[str, str], token: str
    ) -> ImageId:
        request = models.CreateImageRequest(
            region_id=self._region,
            instance_id=instance,
            image_name=name,
            image_family=family or None,
            tag=tags_of(models.CreateImageRequestTag, tags),
            client_token=token,
        )
        body = self._ask("CreateImage", "create_image", request, changes=True)
        return ImageId(made(body.image_id, "CreateImage"))

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
        number, seen = 1, 0
        while True:
            request = models.DescribeImagesRequest(
                region_id=self._region,
                image_id=image,
                image_family=family,
                image_owner_alias="self",
                status="ALL",  # the default shows only Available ones
                tag=tags_of(models.DescribeImagesRequestTag, tags),
                page_number=number,
                page_size=100,
            )
            body = self._ask("DescribeImages", "describe_images", request, changes=False)
            fields = Fields(body, "ecs DescribeImages")
            if body.images is None:
                raise answers.unreadable("ecs DescribeImages", "images is missing")
            page = [answers.image(item) for item in fields.items("images", "image")]
            yield from page
            seen += len(page)
            if not page or seen >= fields.whole("total_count"):
                return
            number += 1

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
