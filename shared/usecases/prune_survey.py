"""The first pass of a prune: what would go, counted, known by a digest, and cut into batches that can be judged alone.

It holds no restore points, but for those of a small fleet, which then need not be read twice: of every instance that
has something to let go it keeps the id and how many snapshots those are. A batch is of one place. Instances whose
points share a snapshot group are put into one batch where it has room, as a group all of whose members go is deleted
by a single call.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Final

from shared.domain.ids import InstanceId, PolicyVersion, SnapshotGroupId
from shared.domain.place import Place
from shared.domain.pruning import Digest, Judged, Permit, Rules, judge
from shared.domain.retention import RestorePoint
from shared.state.certificates import HOLDS
from shared.state.points import Points

AT_ONCE: Final = 1_000
"""Snapshots that go in one batch, unless one instance alone has more: they are looked at together, deleted within
minutes of that look, and read back together."""
LINE: Final = 700
"""Bytes that a point takes in a certificate, about; each of its disks takes a tenth more."""
HELD: Final = 10_000
"""Restore points held from the first pass for the second: some 15 MB."""
FILTER_BITS: Final = 1 << 23


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    place: Place
    subjects: tuple[InstanceId, ...]


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
    snapshots: int
    size: int
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
        self.places: set[Place] = set()
        self.mixed = Groups()
        self.digest = Digest()
        self._records, self._rules, self._now, self._only = points, rules, now, only
        self._parts: dict[Place, _Part] = {}
        self._held: dict[tuple[InstanceId, Place], Judged] | None = {}
        self._held_points = 0

    def all(self) -> Iterator[Judged]:
        """Every instance in every place; what is yielded was counted."""
        for _, points in groupby(self._records.all(), key=lambda point: point.subject):
            for one in judge(points, self._rules, now=self._now, only=self._only):
                self._count(one)
                yield one

    def permit(self, policy: PolicyVersion) -> Permit:
        return Permit(items=self.digest.items, as_of=self._now, plan=self.digest.text(policy, self._now, self._only))

    def batches(self) -> Iterator[Batch]:
        for place in sorted(self._parts):
            yield from _packed(place, self._parts[place])

    def again(self, batch: Batch) -> Iterator[Judged]:
        """The points of a batch: read once more, unless the fleet is small."""
        for subject in batch.subjects:
            held = None if self._held is None else self._held.pop((subject, batch.place), None)
            if held is not None:
                yield held
                continue
            every = judge(self._records.of(subject), self._rules, now=self._now, only=self._only)
            yield from (one for one in every if one.place == batch.place and one.expire)

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
        part.concerned.append(_Concerned(one.subject, snapshots, one.points * LINE * (10 + disks) // 10, at))
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
    batch: list[InstanceId] = []
    snapshots = size = 0
    for family in together.values():
        # A family that does not fit into what is left of a batch begins the next one; one that fits into none is cut.
        room = snapshots + sum(one.snapshots for one in family) <= AT_ONCE
        for at, one in enumerate(family):
            full = snapshots + one.snapshots > AT_ONCE or size + one.size > HOLDS or (at == 0 and not room)
            if batch and full:
                yield Batch(place=place, subjects=tuple(batch))
                batch, snapshots, size = [], 0, 0
            batch.append(one.subject)
            snapshots += one.snapshots
            size += one.size
    if batch:
        yield Batch(place=place, subjects=tuple(batch))


def points_of(every: list[Judged]) -> list[RestorePoint]:
    """What would go of these, oldest first."""
    return sorted((point for one in every for point in one.expire), key=lambda one: (one.taken, one.subject, one.id))
