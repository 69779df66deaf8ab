"""The versions of an image family as the cloud shows them in one place.

Which images are of the family stands in our own table: copies carry no family, and what was retired has left it. At
home, images that others filed under the family count as well, older than all of ours.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.ids import ImageId
from shared.domain.image_versions import Version, unfit
from shared.domain.inventory import Image, SnapshotState
from shared.ports.compute import Compute
from shared.state.images import ImageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    versions: tuple[Version, ...]
    images: Mapping[ImageId, Image] = field(default_factory=dict)
    why: Mapping[ImageId, str] = field(default_factory=dict)  # no instance can be made of it


def look(
    cloud: Compute,
    records: Iterable[ImageRecord],
    *,
    family: str = "",
    held: Mapping[ImageId, tuple[str, ...]] | None = None,
    deprecated: Mapping[ImageId, datetime] | None = None,
) -> Seen:
    """`family`: also those that only the cloud files under it. Records whose image the cloud does not show are left
    out. A call for each image and one for their snapshots. Raises as the ports do."""
    known = {record.image: record for record in records}
    images = {one.id: one for one in cloud.images.list(ids=sorted(known))} if known else {}
    if family:
        images |= {one.id: one for one in cloud.images.list(family=family) if one.id not in images}
    why = _unfit(cloud, list(images.values()))
    versions = tuple(
        Version(
            image=one.id,
            number=known[one.id].version if one.id in known else 0,
            made=one.created,
            state=one.state,
            startable=one.id not in why,
            held=(held or {}).get(one.id, ()),
            deprecated=(deprecated or {}).get(one.id),
        )
        for one in images.values()
    )
    return Seen(versions=versions, images=images, why=why)


def _unfit(cloud: Compute, images: Sequence[Image]) -> dict[ImageId, str]:
    wanted = sorted({snapshot for image in images for snapshot in image.snapshots})
    shown = (
        {one.id for one in cloud.snapshots.list(ids=wanted) if one.state is SnapshotState.ACCOMPLISHED}
        if wanted
        else set()
    )
    judged = {image.id: unfit(image, standing=shown.issuperset(image.snapshots)) for image in images}
    return {image: because for image, because in judged.items() if because}
