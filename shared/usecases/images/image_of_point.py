"""An image made of a restore point's snapshots: what instances are launched from, or a system disk is replaced by.

A part of other recipes: call `ImageOfPoint.advance` until it answers the image, and hand on every other outcome. It
takes no snapshots of its own. The image stays: nothing here deletes, and what the snapshots belong to is their point.

| step in the journal | what decides after a lost answer |
|---|---|
| `<step>` (CreateImage) | an image tagged with the operation and named as this step's; then the same token again |
| `<step>-stands` | the image reads Available; its row in our own table is written first, again if need be |

Source: ECS API, CreateImage: exactly one snapshot of a system disk, up to 16 of data disks, all complete, none
encrypted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.errors import Permanent, QuotaReached
from shared.domain.ids import ImageId, InstanceId, SnapshotId
from shared.domain.inventory import NEVER_STANDS, DiskKind, Image, ImageDisk, ImageState, Snapshot, SnapshotState
from shared.domain.operation import Step, StepState
from shared.domain.place import Place
from shared.ports.clock import Clock
from shared.ports.compute import Compute
from shared.state import codec
from shared.state.images import ImageRecord, Images
from shared.usecases.operations import Outcome, Refused, Resume, Work, done, intended

DATA_DISKS_AT_MOST: Final = 16
SYSTEM_DEVICE: Final = "/dev/xvda"
DATA_DEVICES: Final = tuple(f"/dev/xvd{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")
POLL: Final = timedelta(seconds=5)
FIRST_LOOK: Final = timedelta(seconds=10)
"""An image of complete snapshots stands about this long after it was asked for (assumption)."""
LONGEST_PAUSE: Final = timedelta(minutes=1)
UNLISTED_FOR: Final = timedelta(minutes=2)
"""An image that was answered and is not listed after this is gone."""
IMAGE: Final = "image"
DISKS: Final = "disks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An image of these snapshots. `step` is unique in its operation, and the same whenever the same is asked for."""

    instance: InstanceId  # whose disks they are of
    snapshots: tuple[SnapshotId, ...]  # one of a system disk; data disks in the order of their devices
    step: str = "image-of-point"
    family: str = ""
    version: str = ""
    name: str = ""  # unique in its region; empty: one is made of the operation
    devices: Mapping[SnapshotId, str] = field(default_factory=dict)  # where known; else as the disks are attached now
    tags: Mapping[str, str] = field(default_factory=dict)  # beside those that say where it comes from


class ImageOfPoint:
    def __init__(self, *, records: Images, clock: Clock) -> None:
        self._images = records
        self._clock = clock

    def advance(self, work: Work, cloud: Compute, place: Place, wanted: Wanted) -> ImageId | Outcome:
        """The image's id once it is Available. Raises as the calls do; QuotaReached when there is no room for one more
        image."""
        stands = _step(work, f"{wanted.step}-stands")
        if stands is not None:
            return ImageId(stands.data[IMAGE])
        step = _step(work, wanted.step)
        if step is None:
            disks = self._disks(cloud, wanted)
            if not isinstance(disks, tuple):
                return disks
            plan = codec.dump(disks)
            token = provenance.token(work.operation.id, wanted.step, 1, plan, wanted.family, wanted.version)
            step = intended(wanted.step, token, self._clock.now(), data={DISKS: plan})
            work.intend(step)
        if step.state is StepState.INTENDED:
            image = self._make(work, cloud, wanted, step)
            work.learn(done(step, self._clock.now(), **{IMAGE: image}))
            return Resume(after=FIRST_LOOK, because=f"image {image} is being made")
        return self._look(work, cloud, place, wanted, step)

    def _disks(self, cloud: Compute, wanted: Wanted) -> tuple[ImageDisk, ...] | Outcome:
        """What it will be made of, when all of that can be used now."""
        shown = {one.id: one for one in cloud.snapshots.list(ids=list(wanted.snapshots))}
        missing = [one for one in wanted.snapshots if one not in shown]
        if missing:
            return Refused(because=f"snapshots are gone: {', '.join(missing)}. Choose another restore point")
        snapshots = [shown[one] for one in wanted.snapshots]
        why_not = unfit(snapshots)
        if why_not:
            return Refused(because=why_not)
        waits = [one for one in snapshots if one.state is SnapshotState.PROGRESSING]
        if waits:
            least = min(waits, key=lambda one: one.progress_percent)
            after = self._until_complete(least)
            return Resume(
                after=after, because=f"an image needs complete snapshots: {least.id} is at {least.progress_percent} %"
            )
        return _mapped(snapshots, {**self._attached(cloud, snapshots), **wanted.devices})

    def _until_complete(self, snapshot: Snapshot) -> timedelta:
        """When it will be, going on as it went so far."""
        percent = max(1, snapshot.progress_percent)
        left = (self._clock.now() - snapshot.created) * ((100 - percent) / percent)
        return min(max(left, POLL), LONGEST_PAUSE)

    def _attached(self, cloud: Compute, snapshots: Sequence[Snapshot]) -> dict[SnapshotId, str]:
        """Devices of the disks as they are now. Those of a copied point stand elsewhere, and none is found."""
        ids = [one.disk for one in snapshots if one.disk_kind is DiskKind.DATA]
        found = {disk.id: disk.device for disk in cloud.inventory.disks(ids=ids)} if ids else {}
        return {one.id: found[one.disk] for one in snapshots if found.get(one.disk)}

    def _make(self, work: Work, cloud: Compute, wanted: Wanted, step: Step) -> ImageId:
        name = wanted.name or provenance.name(
            "point", wanted.instance, provenance.token(work.operation.id, wanted.step, 1)[-12:]
        )
        if step.name in work.inherited and (sent := _sent(work, cloud, name)) is not None:
            return sent.id
        work.may_act()
        try:
            return cloud.images.create_from_snapshots(
                codec.load(tuple[ImageDisk, ...], step.data[DISKS]),
                name=name,
                family=wanted.family,
                version=wanted.version,
                tags={
                    **provenance.tags(work.operation.id, work.operation.policy, instance=wanted.instance),
                    **wanted.tags,
                },
                token=step.token,
            )
        except QuotaReached:
            raise
        except Permanent:
            # A name is taken once per region: maybe by what an earlier call made, listed only now.
            sent = _sent(work, cloud, name)
            if sent is None:
                raise
            return sent.id

    def _look(self, work: Work, cloud: Compute, place: Place, wanted: Wanted, step: Step) -> ImageId | Outcome:
        id_ = ImageId(step.data[IMAGE])
        image = next(iter(cloud.images.list(ids=[id_])), None)
        waited = self._clock.now() - step.at
        if image is None and waited < UNLISTED_FOR:
            return Resume(after=POLL, because=f"image {id_} is not listed yet")
        if image is None:
            return Refused(because=f"image {id_} was deleted while it was being made. Ask again for another one")
        if image.state in NEVER_STANDS:
            return Refused(because=f"the cloud failed to make image {id_} of {', '.join(wanted.snapshots)}")
        if image.state is ImageState.CREATING:
            return Resume(after=max(POLL, min(waited / 4, LONGEST_PAUSE)), because=f"image {id_} is being made")
        # Without snapshots: those are the point's, and must not be cleared away with the image.
        self._images.put(
            ImageRecord(
                place=place,
                image=id_,
                family=wanted.family,
                instance=wanted.instance,
                operation=work.operation.id,
                made=image.created,
            )
        )
        work.learn(
            Step(name=f"{wanted.step}-stands", state=StepState.DONE, at=self._clock.now(), data={IMAGE: str(id_)})
        )
        return id_


def unfit(snapshots: Sequence[Snapshot]) -> str:
    """Why no image can ever be made of them; empty: one can."""
    failed = [one.id for one in snapshots if one.state is SnapshotState.FAILED]
    if failed:
        return f"snapshots have failed: {', '.join(failed)}. Choose another restore point"
    secret = [one.id for one in snapshots if one.encrypted]
    if secret:
        return f"the cloud makes no image of encrypted snapshots: {', '.join(secret)}. Restore disks from them instead"
    systems = [one.id for one in snapshots if one.disk_kind is DiskKind.SYSTEM]
    if len(systems) != 1:
        return (
            f"an image needs exactly one snapshot of a system disk, these have {len(systems)}. Choose a restore point "
            "of the whole instance"
        )
    if len(snapshots) - 1 > DATA_DISKS_AT_MOST:
        return f"an image holds at most {DATA_DISKS_AT_MOST} data disks, these are {len(snapshots) - 1}"
    return ""


def _mapped(snapshots: Sequence[Snapshot], devices: Mapping[SnapshotId, str]) -> tuple[ImageDisk, ...]:
    """The system disk first, each data disk at its device; a device that two name, or none, is the next free one."""
    data = [one for one in snapshots if one.disk_kind is DiskKind.DATA]
    chosen: dict[SnapshotId, str] = {}
    for one in data:
        device = devices.get(one.id, "")
        if device in DATA_DEVICES and device not in chosen.values():
            chosen[one.id] = device
    free = iter([device for device in DATA_DEVICES if device not in chosen.values()])
    system = next(one for one in snapshots if one.disk_kind is DiskKind.SYSTEM)
    mapped = [ImageDisk(snapshot=system.id, kind=DiskKind.SYSTEM, device=SYSTEM_DEVICE, size_gib=system.size_gib)]
    for one in data:
        device = chosen.get(one.id) or next(free)
        mapped.append(ImageDisk(snapshot=one.id, kind=DiskKind.DATA, device=device, size_gib=one.size_gib))
    return (mapped[0], *sorted(mapped[1:], key=lambda disk: disk.device))


def _sent(work: Work, cloud: Compute, name: str) -> Image | None:
    tag = {provenance.OPERATION: provenance.operation_tag(work.operation.id)}
    return next((one for one in cloud.images.list(tags=tag) if one.name == name), None)


def _step(work: Work, name: str) -> Step | None:
    return next((step for step in work.operation.steps if step.name == name), None)
