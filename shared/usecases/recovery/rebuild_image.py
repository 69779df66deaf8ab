"""The image of the system disk alone that a rebuild starts from when the old one's data disks move over: a full image
would bring data disks of its own beside them. Made of the full image's system snapshot, in about ten seconds, before
anything is touched; tagged with the full image, so that the next rebuild finds it. It is in no family.
"""

from datetime import timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.errors import Forbidden, Permanent
from shared.domain.ids import ImageId, SnapshotId
from shared.domain.inventory import Image, ImageState
from shared.domain.policy import DataFrom, RebuildRule
from shared.domain.replacement import SYSTEM_OF, Replacement, data_disks_of, newest_image
from shared.usecases.images.image_of_point import Wanted
from shared.usecases.operations import Outcome, Refused, Resume
from shared.usecases.recovery.rebuild_run import CHOOSE, POLL, Ports, Run

STEP: Final = "system-image"
LIMIT: Final = timedelta(minutes=10)
"""One of complete snapshots takes seconds. Beyond this the service counts more, and the restore points are used."""


def known(own: Ports, images: tuple[Image, ...], rule: RebuildRule) -> tuple[Image, ...]:
    """Those that earlier rebuilds made of the newest image of the family, in every state."""
    newest = newest_image(images, family=rule.image_family)
    if rule.data_from is not DataFrom.DISKS or newest is None or not data_disks_of(newest):
        return ()
    return tuple(own.compute.images.list(tags={SYSTEM_OF: newest.id}))


def make(run: Run, plan: Replacement) -> ImageId | Outcome:
    """The image once it is available. Refused: there will be none."""
    step, full = run.step(CHOOSE), plan.system_of
    assert step is not None
    assert full is not None
    assert plan.system_snapshot is not None
    late = run.now() - step.at > LIMIT
    if run.step(STEP) is None:
        others = run.own.compute.images.list(tags={SYSTEM_OF: full})
        under_way = [one for one in others if one.state in (ImageState.CREATING, ImageState.AVAILABLE)]
        stands = next((one.id for one in under_way if one.state is ImageState.AVAILABLE), None)
        if stands is not None:
            return stands
        if under_way and not late:
            return Resume(after=POLL, because=f"{under_way[0].id} is being made for another rebuild")
    if late:
        return Refused(because=f"it took longer than {int(LIMIT.total_seconds())} s")
    try:
        return run.own.image_of.advance(
            run.work, run.own.compute, run.own.place, _wanted(run, full, plan.system_snapshot)
        )
    except Forbidden:
        raise
    except Permanent as error:
        return Refused(because=str(error))


def _wanted(run: Run, full: ImageId, snapshot: SnapshotId) -> Wanted:
    tail = provenance.token(run.work.operation.id, STEP, 1)[-12:]
    return Wanted(
        instance=run.old,
        snapshots=(snapshot,),
        step=STEP,
        name=provenance.name("system-of", full, tail),
        tags={SYSTEM_OF: full},
    )
