"""What launched instances are made of: an image, the newest usable one of a family, or a restore point where it stands.

Reads only. What stands in the way goes onto the checklist, with its remedy.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from shared.domain import image_versions
from shared.domain.ids import ImageId, InstanceId, SnapshotId
from shared.domain.inventory import DiskKind, Image, SnapshotState
from shared.domain.place import Place
from shared.domain.preview import Check
from shared.domain.retention import RestorePoint
from shared.ports.compute import Compute
from shared.state import codec
from shared.state.points import Points
from shared.usecases.images.image_of_point import unfit
from shared.usecases.recovery.recovery_requests import LaunchRequest

_OTHER_IMAGE: Final = "Name one that is available (`--image`), or a family (`--family`)"
_OTHER_POINT: Final = (
    "`understudy prune --all` lists restore points; name one of the whole instance, and --of whose it is"
)


@dataclass(slots=True)
class Checklist:
    """What is found out on the way."""

    checks: list[Check] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def fine(self, name: str, says: str) -> None:
        self.checks.append(Check(name=name, ok=True, says=says))

    def amiss(self, name: str, says: str, remedy: str) -> None:
        self.checks.append(Check(name=name, ok=False, says=says, remedy=remedy))


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What they are made of."""

    image: ImageId | None = None
    snapshots: tuple[SnapshotId, ...] = ()
    system_gib: int = 0  # 0: unknown


class LaunchSources:
    def __init__(self, *, points: Points, home: Place) -> None:
        """`home`: where points stand whose record names no place."""
        self._points = points
        self._home = home

    def find(self, request: LaunchRequest, cloud: Compute, seen: Checklist) -> Source | None:
        if request.point:
            return self._of_point(request, cloud, seen)
        if request.family:
            return self._of_family(request, cloud, seen)
        image = next(iter(cloud.images.list(ids=[request.image])), None) if request.image else None
        if image is None:
            seen.amiss("image", f"image {request.image} is not in {request.place}", _OTHER_IMAGE)
            return None
        why_not = image_versions.unfit(image, standing=_stands(image, cloud))
        if why_not:
            seen.amiss("image", f"{image.id}: {why_not}", _OTHER_IMAGE)
            return None
        seen.fine("image", f"{image.id} ({image.name}) is available")
        return Source(image=image.id, system_gib=_system_gib(image))

    def _of_family(self, request: LaunchRequest, cloud: Compute, seen: Checklist) -> Source | None:
        images = [one for one in cloud.images.list(family=request.family) if one.family == request.family]
        newest = sorted(images, key=_version, reverse=True)
        unusable: list[str] = []
        for image in newest:
            why_not = image_versions.unfit(image, standing=_stands(image, cloud))
            if not why_not:
                seen.fine("image", f"{image.id} ({image.name}) is the newest usable one of family {request.family}")
                seen.warnings += [f"a newer image cannot be used: {one}" for one in unusable]
                return Source(image=image.id, system_gib=_system_gib(image))
            unusable.append(f"{image.id}: {why_not}")
        seen.amiss(
            "image",
            f"family {request.family} has no usable image in {request.place}"
            + (f" ({'; '.join(unusable)})" if unusable else ""),
            f"Make one of a healthy instance: `understudy image make INSTANCE {request.family}`",
        )
        return None

    def _of_point(self, request: LaunchRequest, cloud: Compute, seen: Checklist) -> Source | None:
        subject = InstanceId(request.subject or "")
        points = list(self._points.of(subject)) if subject else []
        named = next((one for one in points if one.id == request.point), None)
        if named is None:
            seen.amiss("point", f"{subject or 'no instance'} has no restore point {request.point!r}", _OTHER_POINT)
            return None
        copies = [one for one in points if one.copy_of == named.id]
        point = next((one for one in (named, *copies) if self._place(one) == request.place), None)
        if point is None:
            where = ", ".join(str(self._place(one)) for one in (named, *copies))
            seen.amiss(
                "point",
                f"{named.id} does not stand in {request.place}, only in {where}",
                "Launch it there, or copy it first (`copies` of its protection)",
            )
            return None
        return self._judged(point, cloud, seen)

    def _judged(self, point: RestorePoint, cloud: Compute, seen: Checklist) -> Source | None:
        ids = [snapshot for _, snapshot in point.disks]
        shown = {one.id: one for one in cloud.snapshots.list(ids=ids)} if ids else {}
        missing = [one for one in ids if one not in shown]
        why_not = f"snapshots are gone: {', '.join(missing)}" if missing else unfit(list(shown.values()))
        if why_not:
            seen.amiss("point", f"{point.id}: {why_not}", _OTHER_POINT)
            return None
        uploading = [one.id for one in shown.values() if one.state is SnapshotState.PROGRESSING]
        if uploading:
            seen.warnings.append(f"an image needs complete snapshots: {', '.join(uploading)} will be waited for")
        seen.fine("point", f"{point.id}, taken {codec.second(point.taken)}, has all of its {len(ids)} snapshots")
        system = next(one for one in shown.values() if one.disk_kind is DiskKind.SYSTEM)
        return Source(snapshots=tuple(ids), system_gib=system.size_gib)

    def _place(self, point: RestorePoint) -> Place:
        return point.place or self._home


def _version(image: Image) -> tuple[int, datetime, ImageId]:
    return (int(image.version) if image.version.isdecimal() else 0, image.created, image.id)


def _stands(image: Image, cloud: Compute) -> bool:
    """Whether the cloud shows every snapshot of it."""
    wanted = set(image.snapshots)
    return not wanted or wanted <= {one.id for one in cloud.snapshots.list(ids=sorted(wanted))}


def _system_gib(image: Image) -> int:
    return next((disk.size_gib for disk in image.disks if disk.kind is DiskKind.SYSTEM), 0)
