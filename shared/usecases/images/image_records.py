"""Writes down what an image is made of, and marks its snapshots as ours, while the image still says which they are."""

from typing import Final

from shared.domain import provenance
from shared.domain.ids import ImageId, InstanceId
from shared.domain.inventory import Image
from shared.domain.operation import Operation
from shared.domain.place import Place
from shared.ports.compute import Compute
from shared.state.images import ImageRecord, Images
from shared.usecases.operations import Work

TAGGED_AT_ONCE: Final = 50
"""Source: ECS API, TagResources, read 2026-03."""


def record(
    operation: Operation,
    place: Place,
    image: Image,
    instance: InstanceId,
    *,
    family: str,
    version: int = 0,
    copy_of: ImageId | None = None,
) -> ImageRecord:
    return ImageRecord(
        place=place,
        image=image.id,
        family=family,
        instance=instance,
        operation=operation.id,
        made=image.created,
        snapshots=image.snapshots,
        copy_of=copy_of,
        version=version,
    )


def write_down(work: Work, cloud: Compute, images: Images, made: ImageRecord) -> None:
    """The row first: it is what prune goes by. The marks are for whoever looks without our rows, and both may be
    written again. Raises as the store and the cloud do."""
    images.put(made)
    tags = provenance.tags(work.operation.id, work.operation.policy, instance=made.instance)
    for start in range(0, len(made.snapshots), TAGGED_AT_ONCE):
        work.may_act()
        cloud.instances.tag(made.snapshots[start : start + TAGGED_AT_ONCE], resource_type="snapshot", tags=tags)
