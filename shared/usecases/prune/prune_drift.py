"""Everything in the cloud that carries our tags against everything we remember, in every place. Reported, never acted
on.

What an unfinished operation made is not judged yet. A point that somebody deleted by hand must not count as usable: it
is marked as lost when it was missed twice (`LOST_AFTER`), and no longer when it is shown again.

Both sides are streamed. What is remembered of each recorded snapshot is a number of eight bytes and whether it was
seen.
"""

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final

from shared.domain import provenance
from shared.domain.errors import CredentialsRejected, DrError
from shared.domain.ids import SnapshotId
from shared.domain.inventory import Snapshot
from shared.domain.operation import OperationKind
from shared.domain.place import Place
from shared.domain.policy import Policy
from shared.domain.pruning import Rules
from shared.domain.retention import RestorePoint
from shared.observability import log
from shared.ports.compute import Clouds
from shared.state.absences import Absences
from shared.state.certificates import FINDINGS
from shared.state.images import Images
from shared.state.journal import Journal
from shared.state.points import Points
from shared.usecases.prune.prune_leftovers import LOST_AFTER, DeletedImages, Leftover

FILTERED: Final = 900
"""The cloud's tag filter shows a thousand resources at most; with more on record the whole list is read, once."""
ASKED_AT_ONCE: Final = 1_000


@dataclass(slots=True)
class Drift:
    """What was found. Lists are cut at `FINDINGS`, counts are not."""

    compared: bool = False
    orphans: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    orphan_count: int = 0
    missing_count: int = 0
    blind: list[str] = field(default_factory=list)  # places that showed nothing at all
    unread: list[str] = field(default_factory=list)  # places that could not be read, and why
    leftovers: tuple[Leftover, ...] = ()  # of deleted images

    def orphan(self, id: str) -> None:
        self.orphan_count += 1
        if len(self.orphans) < FINDINGS:
            self.orphans.append(id)

    def miss(self, id: str) -> None:
        self.missing_count += 1
        if len(self.missing) < FINDINGS:
            self.missing.append(id)

    @property
    def reasons(self) -> tuple[str, ...]:
        more = self.orphan_count + self.missing_count - len(self.orphans[:20]) - len(self.missing[:20])
        return (
            *(f"{one}: no snapshot with our tags is shown at all: permission missing? Nothing is concluded from it"
              for one in self.blind),
            *(f"{one}: nothing was compared there" for one in self.unread),
            *(f"orphan {one}: carries our tags, no restore point holds it" for one in self.orphans[:20]),
            *(f"point {one}: its snapshots are not shown any more" for one in self.missing[:20]),
            *((f"and {more} more of these",) if more else ()),
        )  # fmt: skip


class _Recorded:
    """The snapshots on record in one place."""

    def __init__(self) -> None:
        self._numbers = array("Q")
        self._seen = bytearray()

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, snapshot: str) -> None:
        self._numbers.append(_number(snapshot))

    def settle(self) -> None:
        self._numbers = array("Q", sorted(self._numbers))
        self._seen = bytearray(len(self._numbers))

    def __contains__(self, snapshot: str) -> bool:
        return self._at(snapshot) is not None

    def see(self, snapshot: str) -> bool:
        """False when it is not on record."""
        at = self._at(snapshot)
        if at is None:
            return False
        self._seen[at] = 1
        return True

    def seen(self, snapshot: str) -> bool:
        at = self._at(snapshot)
        return at is not None and bool(self._seen[at])

    @property
    def any_seen(self) -> bool:
        return any(self._seen)

    def _at(self, snapshot: str) -> int | None:
        number = _number(snapshot)
        at = bisect_left(self._numbers, number)
        return at if at < len(self._numbers) and self._numbers[at] == number else None


class Comparison:
    def __init__(
        self, *, clouds: Clouds, points: Points, journal: Journal, images: Images, absences: Absences, run: str
    ) -> None:
        self._clouds = clouds
        self._points = points
        self._journal = journal
        self._images = images
        self._deleted = DeletedImages(clouds=clouds, images=images, absences=absences, run=run)
        self._run = run

    def run(self, policy: Policy, rules: Rules, now: datetime, *, dry: bool) -> Drift:
        """`dry` notes nothing. Raises Retryable when the store is silent."""
        found = Drift()
        recorded = self._recorded(rules)
        for place in {rule.place for rule in rules.all()} - recorded.keys():
            recorded[place] = _Recorded()
        places = set(recorded)
        for place in sorted(recorded):
            recorded[place].settle()
            try:
                self._listed(place, recorded[place], policy, found)
            except CredentialsRejected:
                raise
            except DrError as error:
                self._unread(place, error, found)
                del recorded[place]
        # What tags did not show is asked for by id: whether they reach every member of a group is not documented.
        for batch in _batches(self._unseen(recorded, rules)):
            self._asked(batch, recorded, rules, found)
        absent = (one for one in self._unseen(recorded, rules) if not one.failed or one.missing_since is not None)
        blind = {place for place, one in recorded.items() if len(one) and not one.any_seen}
        found.blind = [str(place) for place in sorted(blind)]
        found.compared = bool(recorded)
        still_absent = (one for one in absent if rules.place(one) not in blind)
        self._conclude(still_absent, recorded, rules, blind, now, found, dry=dry)
        found.leftovers = self._leftovers(recorded, places - recorded.keys(), now, dry=dry)
        return found

    def _leftovers(
        self, recorded: dict[Place, _Recorded], unread: set[Place], now: datetime, *, dry: bool
    ) -> tuple[Leftover, ...]:
        """In places that show something of ours, and of nothing that is a restore point's. A region may hold nothing
        but copies of images."""
        unfinished = {one.id for one in self._journal.open_of(OperationKind.IMAGE, OperationKind.COPY_IMAGE)}

        def clear(one: Leftover) -> bool:
            of = recorded.get(one.record.place)
            if of is None or not len(of):
                return one.record.place not in unread and one.others_shown
            return of.any_seen and not any(snapshot in of for snapshot in one.record.snapshots)

        return tuple(one for one in self._deleted.compare(now, unfinished=set(unfinished), dry=dry) if clear(one))

    def _recorded(self, rules: Rules) -> dict[Place, _Recorded]:
        by_place: dict[Place, _Recorded] = {}
        for point in self._points.all():
            one = by_place.setdefault(rules.place(point), _Recorded())
            for _, snapshot in point.disks:
                one.add(snapshot)
        return by_place

    def _listed(self, place: Place, recorded: _Recorded, policy: Policy, found: Drift) -> None:
        unjudged = self._unjudged(place)
        for snapshot in self._tagged(place, recorded, policy):
            known = recorded.see(snapshot.id) or snapshot.id in unjudged.snapshots
            if not known and snapshot.tags.get(provenance.OPERATION) not in unjudged.operations:
                found.orphan(snapshot.id)

    def _tagged(self, place: Place, recorded: _Recorded, policy: Policy) -> Iterator[Snapshot]:
        snapshots = self._clouds.at(place).snapshots
        if len(recorded) > FILTERED:
            yield from (one for one in snapshots.list() if provenance.ours(one.tags))
            return
        for protection in policy.protections:
            if protection.account == place.account:
                yield from snapshots.list(tags={provenance.PROTECTION: protection.name})

    def _unjudged(self, place: Place) -> "_Unjudged":
        kinds = (OperationKind.BACK_UP, OperationKind.COPY, OperationKind.ADOPT, OperationKind.IMAGE)
        open_ = self._journal.open_of(*kinds, OperationKind.COPY_IMAGE)
        of_images = {snapshot for one in self._images.all() if one.place == place for snapshot in one.snapshots}
        return _Unjudged({provenance.operation_tag(one.id) for one in open_}, of_images)

    def _unseen(self, recorded: dict[Place, _Recorded], rules: Rules) -> Iterator[RestorePoint]:
        for point in self._points.all():
            of = recorded.get(rules.place(point))
            if of is not None and any(not of.seen(snapshot) for _, snapshot in point.disks):
                yield point

    def _asked(
        self, points: Iterable[RestorePoint], recorded: dict[Place, _Recorded], rules: Rules, found: Drift
    ) -> None:
        wanted: dict[Place, list[SnapshotId]] = {}
        for point in points:
            place = rules.place(point)
            if place in recorded:
                unseen = (one for _, one in point.disks if not recorded[place].seen(one))
                wanted.setdefault(place, []).extend(unseen)
        for place, ids in wanted.items():
            try:
                for snapshot in self._clouds.at(place).snapshots.list(ids=ids):
                    recorded[place].see(snapshot.id)
            except CredentialsRejected:
                raise
            except DrError as error:
                self._unread(place, error, found)
                del recorded[place]

    def _conclude(
        self,
        absent: Iterable[RestorePoint],
        recorded: dict[Place, _Recorded],
        rules: Rules,
        blind: set[Place],
        now: datetime,
        found: Drift,
        *,
        dry: bool,
    ) -> None:
        for batch in _batches(absent):
            for point in batch:
                found.miss(point.id)
            if dry:
                continue
            self._points.miss((one for one in batch if one.missing_since is None), now=now, lost=False)
            lost = (
                one
                for one in batch
                if one.missing_since is not None and not one.failed and now - one.missing_since >= LOST_AFTER
            )
            self._points.miss(lost, now=now, lost=True)
        if dry:
            return
        for point in self._points.all():
            place = rules.place(point)
            if point.missing_since is None or place not in recorded or place in blind:
                continue
            if all(recorded[place].seen(snapshot) for _, snapshot in point.disks):
                self._points.found(point)

    def _unread(self, place: Place, error: DrError, found: Drift) -> None:
        found.unread.append(f"{place}: {error}")
        log.event("drift.unread", run=self._run, subject=str(place), because=[str(error)])


@dataclass(frozen=True, slots=True)
class _Unjudged:
    operations: set[str]
    snapshots: set[SnapshotId]


def _number(snapshot: str) -> int:
    return int.from_bytes(hashlib.blake2b(snapshot.encode(), digest_size=8).digest(), "big")


def _batches(points: Iterable[RestorePoint]) -> Iterator[list[RestorePoint]]:
    left = iter(points)
    while batch := list(islice(left, ASKED_AT_ONCE)):
        yield batch
