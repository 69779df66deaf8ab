"""The first pass of a prune: what would go, counted, known by a digest, and cut into batches that can be judged alone.

It holds no restore points, but for those of a small fleet, which then need not be read twice: of every instance that
has something to let go it keeps the id, how many snapshots those are, and a number that tells which points. The second
pass lets go of an instance what the first one counted, or nothing: the caps and a permit are for that.

A batch is of one place. Instances whose points share a snapshot group are put into one batch where it has room, as a
group all of whose members go is deleted by a single call.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Final

from shared.domain.ids import InstanceId, PolicyVersion, SnapshotGroupId
from shared.domain.place import Place
from shared.domain.pruning import Digest, Judged, Permit, Rules, judge, number_of
from shared.domain.retention import RestorePoint
from shared.state.certificates import HOLDS
from shared.state.points import Points

AT_ONCE: Final = 1_000
"""Snapshots that go in one batch, unless one instance alone has more: they are looked at together, deleted within
minutes of that look, and read back together."""
LINE: Final = 700
"""Bytes that a point takes in a certificate, about; each of its disks takes a tenth more."""
HELD: Final = 1_000
"""Restore points held from the first pass for the second: some 3 MB."""
SPARSE: Final = 500
"""A batch is read again in one go, unless more records than this stand in its range for each instance wanted."""
FILTER_BITS: Final = 1 << 23


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    place: Place
    subjects: tuple[InstanceId, ...]
    plans: tuple[int, ...]  # of each, which points go
    range: int  # records from the first to the last


class Groups:
    """Snapshot groups of which some point stays, in a megabyte, however many there are. It errs to one side: with a
    million of them it takes some two in a hundred that go whole for mixed ones, which costs calls and nothing else."""

    def __init__(self) -> None:
        self._bits = bytearray(FILTER_BITS // 8)

    def add(self, place: Place, group: SnapshotGroupId) -> None:
        for bit in _bits(place, group):
            self._bits[bit >> 3] |= 1 << (bit & 7)

    def may_hold(self, place: Place, group: SnapshotGroupId) -> bool:
        return all(self._bits[bit >> 3] & (1 << (bit & 7)) for bit in _bits(place, group))


def _bits(place: Place, group: SnapshotGroupId) -> tuple[int, ...]:
    # Within one process, so its own salted hash will do.
    return tuple(hash((group, place.region, place.account, salt)) % FILTER_BITS for salt in range(4))


@dataclass(slots=True)
class _Concerned:
    subject: InstanceId
    plan: int
    snapshots: int
    size: int
    at: int  # its last record, in the order of reading
    joined: int  # position of another one that shares a group with it, or its own


@dataclass(slots=True)
class _Part:
    """One place."""

    concerned: list[_Concerned] = field(default_factory=list)
    by_group: dict[SnapshotGroupId, int] = field(default_factory=dict)

    def root(self, at: int) -> int:
        while self.concerned[at].joined != at:
            self.concerned[at].joined = self.concerned[self.concerned[at].joined].joined
            at = self.concerned[at].joined
        return at


class Survey:
    def __init__(self, points: Points, rules: Rules, *, now: datetime, only: str = "") -> None:
        self.points = 0  # that were judged
        self.staying = 0  # by a rule
        self.going = 0
        self.changed: set[InstanceId] = set()  # of which something else would go now than was counted
        self.places: set[Place] = set()
        self.mixed = Groups()
        self.digest = Digest()
        self._records, self._rules, self._now, self._only = points, rules, now, only
        self._parts: dict[Place, _Part] = {}
        self._held: dict[tuple[InstanceId, Place], Judged] | None = {}
        self._held_points = 0
        self._read = 0

    def all(self) -> Iterator[Judged]:
        """Every instance in every place; what is yielded was counted."""
        for _, points in groupby(self._records.all(), key=lambda point: point.subject):
            own = list(points)
            self._read += len(own)
            for one in judge(own, self._rules, now=self._now, only=self._only):
                self._count(one)
                yield one

    def permit(self, policy: PolicyVersion) -> Permit:
        return Permit(items=self.digest.items, as_of=self._now, plan=self.digest.text(policy, self._now, self._only))

    def batches(self) -> Iterator[Batch]:
        for place in sorted(self._parts):
            yield from _packed(place, self._parts[place])

    def again(self, batch: Batch) -> Iterator[Judged]:
        """The points of a batch: read once more, unless the fleet is small. Leaves out, and notes, what changed."""
        wanted = dict(zip(batch.subjects, batch.plans, strict=True))
        for subject in batch.subjects:
            held = None if self._held is None else self._held.pop((subject, batch.place), None)
            if held is not None:
                del wanted[subject]
                yield held
        for subject, points in self._records_of(wanted, batch.range):
            every = judge(points, self._rules, now=self._now, only=self._only)
            now = next((one for one in every if one.place == batch.place and one.expire), None)
            if now is None or _plan(now) != wanted[subject]:
                self.changed.add(subject)
            else:
                yield now

    def _records_of(self, wanted: Collection[InstanceId], span: int) -> Iterator[tuple[InstanceId, list[RestorePoint]]]:
        if len(wanted) > 1 and span <= SPARSE * len(wanted):
            for subject, points in groupby(self._records.among(wanted), key=lambda point: point.subject):
                yield subject, list(points)
            return
        for subject in wanted:
            yield subject, list(self._records.of(subject))

    def _count(self, one: Judged) -> None:
        self.points += one.points
        self.staying += len(one.keep)
        self.going += len(one.expire)
        self.places.add(one.place)
        for point in (*(kept.point for kept in one.keep), *(spared.point for spared in one.spared)):
            if point.group is not None:
                self.mixed.add(one.place, point.group)
        if not one.expire:
            return
        for point in one.expire:
            self.digest.add(one.subject, point.id)
        self._index(one)
        self._hold(one)

    def _index(self, one: Judged) -> None:
        part = self._parts.setdefault(one.place, _Part())
        at = len(part.concerned)
        snapshots = sum(len(point.disks) for point in one.expire)
        disks = max(len(point.disks) for point in one.expire)
        size = one.points * LINE * (10 + disks) // 10
        part.concerned.append(_Concerned(one.subject, _plan(one), snapshots, size, self._read, at))
        for point in one.expire:
            if point.group is not None:
                other = part.by_group.setdefault(point.group, at)
                part.concerned[part.root(at)].joined = part.root(other)

    def _hold(self, one: Judged) -> None:
        if self._held is None:
            return
        self._held_points += one.points
        self._held[one.subject, one.place] = one
        if self._held_points > HELD:
            self._held = None


def _packed(place: Place, part: _Part) -> Iterator[Batch]:
    together: dict[int, list[_Concerned]] = {}
    for at, one in enumerate(part.concerned):
        together.setdefault(part.root(at), []).append(one)
    batch: list[_Concerned] = []
    snapshots = size = 0
    for family in together.values():
        # A family that does not fit into what is left of a batch begins the next one; one that fits into none is cut.
        room = snapshots + sum(one.snapshots for one in family) <= AT_ONCE
        for at, one in enumerate(family):
            full = snapshots + one.snapshots > AT_ONCE or size + one.size > HOLDS or (at == 0 and not room)
            if batch and full:
                yield _batch(place, batch)
                batch, snapshots, size = [], 0, 0
            batch.append(one)
            snapshots += one.snapshots
            size += one.size
    if batch:
        yield _batch(place, batch)


def _batch(place: Place, concerned: list[_Concerned]) -> Batch:
    ends = [one.at for one in concerned]
    return Batch(
        place=place,
        subjects=tuple(one.subject for one in concerned),
        plans=tuple(one.plan for one in concerned),
        range=max(ends) - min(ends) + 1,
    )


def _plan(one: Judged) -> int:
    return sum(number_of(point.id) for point in one.expire) % (1 << 64)


def points_of(every: list[Judged]) -> list[RestorePoint]:
    """What would go of these, oldest first."""
    return sorted((point for one in every for point in one.expire), key=lambda one: (one.taken, one.subject, one.id))
