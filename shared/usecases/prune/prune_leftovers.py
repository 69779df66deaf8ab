"""Snapshots that an image of ours left behind: the cloud keeps them when the image is deleted, and counts them in the
quota of their disk.

Which they are was written down, and marked on them by tags, while the image stood (`shared.state.images`): both must
say so. An image counts as deleted when two comparisons at least `LOST_AFTER`
apart did not show it, in a place that shows others of our things, and when no snapshot of it is in use any more: each
of these alone can be a missing permission. Source: ECS API, DeleteImage, read 2021.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from shared.domain import provenance
from shared.domain.errors import CredentialsRejected, DrError
from shared.domain.ids import SnapshotId
from shared.domain.inventory import Snapshot
from shared.domain.place import Place
from shared.observability import log
from shared.ports.compute import Clouds
from shared.state import codec
from shared.state.absences import Absences, name
from shared.state.certificates import Fate, LeftoverLine
from shared.state.images import ImageRecord, Images

LOST_AFTER: Final = timedelta(hours=20)
"""An image, like a restore point, counts as lost when two comparisons at least so far apart both missed it, and none
between showed it: one listing that was short proves nothing. Under a day, so that the next day's comparison settles
it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    record: ImageRecord
    missing_since: datetime
    others_shown: bool = False  # its place shows other images of ours


class DeletedImages:
    def __init__(self, *, clouds: Clouds, images: Images, absences: Absences, run: str) -> None:
        self._clouds = clouds
        self._images = images
        self._absences = absences
        self._run = run

    def compare(self, now: datetime, *, unfinished: set[str], dry: bool) -> tuple[Leftover, ...]:
        """Those that were missed twice. Images of `unfinished` operations (their ids) are not judged yet."""
        since = self._absences.since()
        found: list[Leftover] = []
        records = (one for one in self._images.all() if one.operation not in unfinished)
        for place, mine in groupby(records, key=lambda one: one.place):
            seen = list(self._shown(place, list(mine)))
            others = any(shown for _, shown in seen)
            for record, shown in seen:
                known = since.get(name(place, record.image))
                if shown:
                    if known is not None and not dry:
                        self._absences.forget(place, record.image)
                elif known is None:
                    if not dry:
                        self._absences.note(place, record.image, now)
                elif now - known >= LOST_AFTER:
                    found.append(Leftover(record=record, missing_since=known, others_shown=others))
        return tuple(found)

    def _shown(self, place: Place, records: list[ImageRecord]) -> Iterator[tuple[ImageRecord, bool]]:
        try:
            ids = [one.image for one in records]
            there = {one.id for one in self._clouds.at(place).images.list(ids=ids)}
        except CredentialsRejected:
            raise
        except DrError as error:
            log.event("drift.unread", run=self._run, subject=f"images in {place}", because=[str(error)])
            return
        yield from ((one, one.image in there) for one in records)


def by_place(leftovers: Iterable[Leftover]) -> Iterator[tuple[Place, list[Leftover]]]:
    ordered = sorted(leftovers, key=lambda one: (one.record.place, one.record.image))
    for place, mine in groupby(ordered, key=lambda one: one.record.place):
        yield place, list(mine)


def line(one: Leftover, shown: dict[SnapshotId, Snapshot]) -> LeftoverLine:
    """What is intended with it, now that its snapshots were looked at."""
    held = next((why for each in one.record.snapshots if each in shown and (why := _held(shown[each]))), "")
    return {
        "image": one.record.image,
        "operation": one.record.operation,
        "missing_since": codec.moment(one.missing_since),
        "snapshots": list(one.record.snapshots),
        "fate": (Fate.SPARED if held else Fate.INTENDED).value,
        "because": [held or f"left over from image {one.record.image}"],
    }


def _held(snapshot: Snapshot) -> str:
    if not provenance.ours(snapshot.tags):
        return f"only what we made: snapshot {snapshot.id} does not carry our tags"
    if snapshot.usage != "none":
        return f"never in use: snapshot {snapshot.id} is in use by {snapshot.usage}; it goes when that is gone"
    return ""
