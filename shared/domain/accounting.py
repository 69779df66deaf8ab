"""Whether every due slot has come to exactly one end.

Checked from the outside, from the schedules and the recorded ends alone, without asking the scheduler what it decided.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from shared.domain.policy import Policy, Schedule
from shared.domain.schedule import due_slots

Owed = tuple[str, str, datetime]
"""Protection, schedule, due time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """A schedule of a protection, owed for (`since`, `until`]."""

    protection: str
    schedule: Schedule
    since: datetime
    until: datetime

    @classmethod
    def all_of(cls, policy: Policy, *, since: datetime, until: datetime) -> tuple[Self, ...]:
        return tuple(
            cls(protection=protection.name, schedule=schedule, since=since, until=until)
            for protection in policy.protections
            for schedule in protection.schedules
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One recorded end: of one instance, or of the whole protection (`subject` is its name); of one slot, or of a
    stretch of `count` that follow each other."""

    subject: str
    protection: str
    schedule: str
    due: datetime
    since: datetime | None = None
    count: int = 1
    taken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """What is wrong with them. All empty: every due slot has exactly one end, or is still under way."""

    due: int
    missing: tuple[Owed, ...] = ()  # no end, and nothing under way
    doubled: tuple[tuple[Owed, str], ...] = ()  # two ends for one subject, or for one instance and its protection
    unowed: tuple[End, ...] = ()  # an end of a slot that was not due
    miscounted: tuple[End, ...] = ()  # a stretch that holds another number of slots than it says
    unexcused: tuple[Owed, ...] = ()  # taken although it fell into a pause or a blackout

    @property
    def balanced(self) -> bool:
        return not (self.missing or self.doubled or self.unowed or self.miscounted or self.unexcused)


def balance(
    in_force: Iterable[InForce],
    ends: Iterable[End],
    *,
    under_way: AbstractSet[Owed] = frozenset(),
    subjects: Mapping[str, AbstractSet[str]] | None = None,
    excused: Callable[[str, datetime], bool] = lambda _protection, _due: False,
) -> Accounts:
    """Lay the ends beside what was due. A slot `under_way` may have ends already, none is missed.

    With `subjects` (the instances of each protection) each of them needs its own end, unless the slot ended for the
    whole protection. `excused` says that a slot must not have been taken.
    """
    owed = {
        (one.protection, one.schedule.name, slot)
        for one in in_force
        for slot in due_slots(one.schedule, after=one.since, until=one.until)
    }
    by_schedule: dict[tuple[str, str], list[datetime]] = {}
    for protection, schedule, slot in sorted(owed):
        by_schedule.setdefault((protection, schedule), []).append(slot)
    found: Counter[tuple[Owed, str]] = Counter()
    unowed, miscounted, unexcused = [], [], set()
    for end in ends:
        held = _held(end, by_schedule.get((end.protection, end.schedule), ()))
        if not held:
            unowed.append(end)
        elif len(held) != end.count:
            miscounted.append(end)
        for slot in held:
            key = (end.protection, end.schedule, slot)
            found[key, end.subject] += 1
            if end.taken and excused(end.protection, slot):
                unexcused.add(key)
    told: dict[Owed, set[str]] = {}
    for key, subject in found:
        told.setdefault(key, set()).add(subject)
    return Accounts(
        due=len(owed),
        missing=tuple(sorted(key for key in owed - under_way if not _whole(told.get(key, set()), key[0], subjects))),
        doubled=tuple(
            sorted(
                (key, subject)
                for (key, subject), number in found.items()
                if number > 1 or (subject == key[0] and len(told[key]) > 1)
            )
        ),
        unowed=tuple(unowed),
        miscounted=tuple(miscounted),
        unexcused=tuple(sorted(unexcused)),
    )


def _held(end: End, due: Sequence[datetime]) -> Sequence[datetime]:
    """The due slots that this end tells of."""
    first = end.since or end.due
    return due[bisect_left(due, first) : bisect_right(due, end.due)]


def _whole(told: AbstractSet[str], protection: str, subjects: Mapping[str, AbstractSet[str]] | None) -> bool:
    if protection in told:
        return True
    return bool(told) if subjects is None else told >= subjects.get(protection, frozenset())
