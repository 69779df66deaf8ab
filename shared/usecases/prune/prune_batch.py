"""One batch of a prune after the other, each journalled before its first deletion and read back after its last."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from shared.domain.errors import CredentialsRejected, DrError
from shared.domain.ids import AccountName, DiskId, ImageId, InstanceId, SnapshotId
from shared.domain.inventory import SnapshotLock
from shared.domain.place import Place
from shared.domain.pruning import Judged, Rules
from shared.domain.retention import RestorePoint
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Clouds, Compute
from shared.state.absences import Absences
from shared.state.certificates import Certificate, Certificates, CertificateState, Fate, Part, opening
from shared.state.images import Images
from shared.state.points import Points
from shared.usecases.prune import prune_images
from shared.usecases.prune.prune_deletions import Deleting
from shared.usecases.prune.prune_examine import consider
from shared.usecases.prune.prune_leftovers import Leftover
from shared.usecases.prune.prune_leftovers import line as leftover_line
from shared.usecases.prune.prune_look import lines, read_back
from shared.usecases.prune.prune_record import (
    Ended,
    blank,
    concluded,
    intended,
    outcomes,
    points_of,
    touched,
    witnesses_of,
)
from shared.usecases.prune.prune_survey import Groups

SETTLED_AFTER: Final = timedelta(minutes=15)
"""A run that has not ended its certificate by then is dead: the function's time-out is 600 s."""


IMAGES_AT_ONCE: Final = 50
TOLD: Final = 1_000
"""Ids that a run names at most of what it deleted and spared; counts and certificates are complete."""


@dataclass(slots=True)
class Progress:
    """Of one run, over its batches."""

    parts: int = 0
    last: str = ""  # digest
    outcomes: Counter[str] = field(default_factory=Counter)
    deleted: list[str] = field(default_factory=list)
    spared: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    stopped: str = ""
    over: bool = False  # the whole run ends here

    def count(self, part: Part) -> None:
        self.parts, self.last = part["number"], part["digest"]
        self.outcomes += outcomes(part)


class Batches:
    def __init__(
        self,
        *,
        clouds: Clouds,
        points: Points,
        certificates: Certificates,
        images: Images,
        absences: Absences,
        clock: Clock,
        run: str,
        overtaken: Callable[[], str],
    ) -> None:
        self._clouds = clouds
        self._points = points
        self._certificates = certificates
        self._images = images
        self._absences = absences
        self._clock = clock
        self._run = run
        self._deleting = Deleting(points=points, clock=clock, overtaken=overtaken, run=run)

    def do(
        self,
        certificate: Certificate,
        place: Place,
        batch: Sequence[Judged],
        rules: Rules,
        mixed: Groups,
        progress: Progress,
        now: datetime,
    ) -> bool:
        """Look, guard, journal, delete, read back, forget. False when nothing more should be asked of this place."""
        looked, at = self._clock.monotonic(), self._clock.now()
        seen = consider(self._clouds, place, batch, rules, now)
        if seen.cloud is None or seen.look is None:
            progress.refused += (one for one in seen.refused if one not in progress.refused)
            return seen.look is not None and seen.look.empty  # of other instances it may show something
        part = blank(certificate.run, progress.parts + 1, progress.last, place, at)
        part = intended(part, batch, seen.look, seen.spared, rules)
        part = self._certificates.put_part(certificate, part)  # journal before effect
        done = self._deleting.delete(seen.cloud, place, seen.expire, mixed, looked)
        locks = self._locks(seen.cloud, done.refused)
        after = read_back(seen.cloud, seen.look.asked, witnesses_of(part))
        part = concluded(
            part,
            Ended(
                at=self._clock.now(),
                after=lines(after.values(), seen.look.disks, locks),
                stopped=done.stopped,
                pinned=done.pinned,
                refused=done.refused,
                asked=done.asked,
                locks=locks,
            ),
        )
        fates = {(subject, line["id"]): line for subject, line in points_of(part)}
        gone = [point for point in seen.expire if fates[point.key]["fate"] == Fate.GONE]
        self._remember_locks(seen.expire, locks)
        self._points.forget(gone)
        part = self._certificates.put_part(certificate, part)
        progress.count(part)
        spared = (
            f"{line['id']}: {'; '.join(line['because'])}" for _, line in points_of(part) if line["fate"] == Fate.SPARED
        )
        progress.deleted += islice((point.id for point in gone), TOLD - len(progress.deleted))
        progress.spared += islice(spared, TOLD - len(progress.spared))
        progress.stopped = done.stopped or progress.stopped
        progress.over = progress.over or done.over
        return not done.stopped

    def do_leftovers(
        self, certificate: Certificate, place: Place, leftovers: Sequence[Leftover], progress: Progress
    ) -> None:
        """The same for the snapshots of deleted images, some images at a time."""
        for start in range(0, len(leftovers), IMAGES_AT_ONCE):
            if not progress.over:
                self._do_leftovers(certificate, place, leftovers[start : start + IMAGES_AT_ONCE], progress)

    def _do_leftovers(
        self, certificate: Certificate, place: Place, leftovers: Sequence[Leftover], progress: Progress
    ) -> None:
        looked, at = self._clock.monotonic(), self._clock.now()
        ids = sorted({snapshot for one in leftovers for snapshot in one.record.snapshots})
        try:
            cloud = self._clouds.at(place)
            shown = {one.id: one for one in cloud.snapshots.list(ids=ids)}
        except CredentialsRejected:
            raise
        except DrError as error:
            progress.refused.append(f"{place}: what images left over could not be looked at: {error}")
            return
        part = blank(certificate.run, progress.parts + 1, progress.last, place, at)
        part["leftovers"] = [leftover_line(one, shown) for one in leftovers]
        part["before"] = lines(shown.values(), {}, {})
        part = self._certificates.put_part(certificate, part)  # journal before effect
        done = self._deleting.delete_each(cloud, [one for one in ids if one in touched(part)], looked)
        after = read_back(cloud, ids, witnesses_of(part))
        ended = Ended(
            at=self._clock.now(),
            after=lines(after.values(), {}, {}),
            stopped=done.stopped,
            refused=done.refused,
            asked=done.asked,
        )
        part = concluded(part, ended)
        self._forget_images(part)
        part = self._certificates.put_part(certificate, part)
        progress.count(part)
        progress.stopped = done.stopped or progress.stopped
        progress.over = progress.over or done.over

    def _forget_images(self, part: Part) -> None:
        place = Place(part["region"], AccountName(part["account"]))
        for one in part["leftovers"]:
            if one["fate"] == Fate.GONE:
                self._images.forget(place, ImageId(one["image"]))
                self._absences.forget(place, ImageId(one["image"]))

    # -- what a crashed run left unsaid ----------------------------------------------------------------------------

    def settle(self, now: datetime) -> None:
        """End the certificates of runs that died: read back what became of what they intended, and forget it."""
        for one in self._certificates.unfinished():
            if now - one.at >= SETTLED_AFTER:
                try:
                    self._settle(one)
                except CredentialsRejected:
                    raise
                except DrError as error:
                    log.event("certificate.unsettled", run=self._run, subject=one.run, because=[str(error)])

    def _settle(self, certificate: Certificate) -> None:
        progress = Progress(last=opening(certificate.terms))
        for part in self._certificates.parts(certificate):
            if part["state"] == "begun":
                part = self._settled(certificate, part)
            progress.count(part)
        self._certificates.put(
            replace(
                certificate,
                state=CertificateState.ENDED,
                parts=progress.parts,
                last=progress.last,
                outcomes={str(name): count for name, count in sorted(progress.outcomes.items())},
                stopped="its run ended without a word",
                settled_by=self._run,
                ended=self._clock.now(),
            )
        )

    def _settled(self, certificate: Certificate, part: Part) -> Part:
        cloud = self._clouds.at(Place(part["region"], AccountName(part["account"])))
        if "images" in part:
            made = prune_images.concluded(part, prune_images.states(cloud, part), self._clock.now(), {})
            return self._certificates.put_part(certificate, made)
        disks = {SnapshotId(s): DiskId(d) for _, line in points_of(part) for d, s in line["disks"]}
        after = read_back(cloud, {*part["before"], *touched(part)}, witnesses_of(part))
        ended = Ended(at=self._clock.now(), after=lines(after.values(), disks, {}), stopped="its run ended")
        made = concluded(part, ended)
        gone = {(subject, line["id"]) for subject, line in points_of(made) if line["fate"] == Fate.GONE}
        for subject in sorted({subject for subject, _ in gone}):
            self._points.forget([one for one in self._points.of(InstanceId(subject)) if one.key in gone])
        self._forget_images(made)
        return self._certificates.put_part(certificate, made)

    # -- locks -----------------------------------------------------------------------------------------------------

    def _locks(self, cloud: Compute, refused: Collection[SnapshotId]) -> dict[SnapshotId, SnapshotLock]:
        """Whether that is why. What cannot be told is left open: the next run meets the same refusal."""
        if not refused:
            return {}
        try:
            return {lock.snapshot: lock for lock in cloud.snapshots.locks(sorted(refused))}
        except CredentialsRejected:
            raise
        except DrError as error:
            log.event("snapshot_locks.unread", run=self._run, because=[str(error)], subject="locks")
            return {}

    def _remember_locks(self, points: Sequence[RestorePoint], locks: dict[SnapshotId, SnapshotLock]) -> None:
        for point in points:
            ends = [lock.expires for _, one in point.disks if (lock := locks.get(one)) is not None and lock.expires]
            if ends:
                self._points.locked(point, max(ends))
