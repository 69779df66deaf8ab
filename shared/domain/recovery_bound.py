"""How old the newest usable point of a disk can get at most, from the schedule up, with the reason for each part.

Between two points lie the distance of their due times and whatever makes the second one later than due: the wait for a
tick, the API budget, other snapshots of the disk, the time until it can be used. What makes the first one later only
makes it younger. The bound holds while nothing is paused and no more triggers are lost in a row than it says; each slot
that fails after all breaks it, and is told with its reason.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.assumptions import Known
from shared.domain.blackout import covering, windows
from shared.domain.covered import Covered, alike
from shared.domain.overlap import DIVISORS, played, takes
from shared.domain.policy import Protection
from shared.domain.timetable import ORDINARY, YEAR, Distance, due_times, longest
from shared.domain.wording import length, notation, plural

SEEN_AFTER: Final = 1.5
"""An older kind of disk's point is usable when it is complete, and a back-up looks again after half the time that it
has run."""

_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    length: timedelta
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    protection: str
    target: timedelta
    parts: tuple[Part, ...]  # empty: there is no bound
    widest: Distance | None  # the two due times of the coming year that leave the longest time between them
    because: str = ""  # there is none, because

    @property
    def length(self) -> timedelta | None:
        return sum((part.length for part in self.parts), timedelta()) if self.parts else None

    @property
    def holds(self) -> bool:
        """Whether the target is kept whenever the bound is."""
        return self.length is not None and self.length <= self.target

    def __str__(self) -> str:
        if self.length is None:
            return f"no bound, because {self.because}"
        *first, last = (part.because for part in self.parts)
        reasons = f"{', '.join(first)}, and {last}" if first else last
        return f"never older than {length(self.length)}, because {reasons}"


def recovery_bound(
    protection: Protection,
    *,
    disks: Sequence[Covered],
    known: Known,
    spread: timedelta = timedelta(),
    since: datetime = ORDINARY,
    together: Sequence[Protection] = (),
) -> Bound:
    """Of the slowest of `disks`, over the year from `since` on, nights of daylight saving and blackouts included.

    `spread`: how much later than the first the last instance of a slot is begun, for want of API calls. `together`: the
    protections that share these disks, this one included.
    """
    # The slot before the year opens its first distance.
    slots = due_times(protection, after=since - timedelta(days=9), until=since + YEAR)
    certain = _certain(slots, protection, _tick(known).length)
    before = bisect_right(certain, since) - 1
    widest = longest(certain[max(0, before) :])
    if widest is None:
        return _none(protection, "its schedules are due once a year or never")
    wait = timedelta()
    for disk in alike(disks):
        outcome, long, _, at_once = played(together or (protection,), disk, known)
        if outcome.lost:
            because = (
                f"{outcome.lost} of {outcome.slots} slots of a fortnight find no room on a disk of {disk.kind}: "
                f"a snapshot takes {length(long)}, and {at_once} run at once"
            )
            return _none(protection, because)
        wait = max(wait, _minutes(outcome.longest_wait))
    leave = "the schedule and its blackouts leave" if protection.blackouts else "the schedule leaves"
    parts = [
        Part(length=widest.length, because=f"{leave} {length(widest.length)} ({_between(widest)})"),
        _tick(known),
    ]
    if spread:
        parts.append(Part(length=spread, because=f"the API budget lets the last instance begin {length(spread)} later"))
    if wait:
        parts.append(Part(length=wait, because=f"a snapshot waits up to {length(wait)} for another one of its disk"))
    if protection.freeze is not None:
        within = protection.freeze.within
        parts.append(Part(length=within, because=f"the guest may take {length(within)} to freeze"))
    parts.append(_usable(protection, disks, known))
    return Bound(protection=protection.name, target=protection.rpo_target, parts=tuple(parts), widest=widest)


def target_that_fits(bound: Bound) -> str:
    """As the policy file writes it."""
    assert bound.length is not None
    return f"rpo_target: {notation(bound.length)}"


def interval_that_fits(bound: Bound) -> str | None:
    """The slowest interval whose bound is within the target, all else as it is; None: none is."""
    assert bound.length is not None
    rest = sum((part.length for part in bound.parts[1:]), timedelta())
    found = [every for every in DIVISORS if every + rest <= bound.target]
    return f"every: {notation(found[-1])}" if found else None


def _none(protection: Protection, because: str) -> Bound:
    return Bound(protection=protection.name, target=protection.rpo_target, parts=(), widest=None, because=because)


def _certain(slots: Sequence[datetime], protection: Protection, wait: timedelta) -> Sequence[datetime]:
    """Those that a tick takes before a blackout begins, even when some are lost: the others run after it, late."""
    if not protection.blackouts or not slots:
        return slots
    closed = windows(protection.blackouts, after=slots[0], until=slots[-1] + wait)
    return [slot for slot in slots if covering(closed, slot + wait) is None]


def _between(distance: Distance) -> str:
    return f"from {distance.since:%Y-%m-%d %H:%M}Z to {distance.until:%m-%d %H:%M}Z"


def _minutes(of: timedelta) -> timedelta:
    """Whole ones, rounded up: a bound is told in minutes, and its parts have to add up as told."""
    return -(-of // _MINUTE) * _MINUTE


def _tick(known: Known) -> Part:
    every, lost = known.assumptions.tick_every, known.assumptions.ticks_lost
    wait = every * (1 + lost)
    may = "none may be lost" if not lost else "one may be lost" if lost == 1 else f"{lost} in a row may be lost"
    return Part(length=wait, because=f"a tick comes every {length(every)} and {may} ({length(wait)})")


def _usable(protection: Protection, disks: Sequence[Covered], known: Known) -> Part:
    measured = known.of(protection.name)
    if measured.usable is not None:
        most = _minutes(measured.usable)
        took = f"took at most {length(most)} to become usable"
        at_once = "could be used at once"
        because = (
            f"a snapshot {took if measured.usable >= timedelta(seconds=1) else at_once} "
            f"(measured on {plural(measured.points, 'point')})"
        )
        return Part(length=most, because=because)
    slowest = known.assumptions.usable_after
    because = f"a snapshot takes at most {length(slowest)} to become usable (assumed)"
    for disk in disks:
        if not disk.essd:
            complete, how = takes(protection, disk, known)
            if SEEN_AFTER * complete > slowest:
                slowest = _minutes(SEEN_AFTER * complete)
                because = (
                    f"a snapshot of a disk of {disk.kind} is usable when it is complete, seen after at most "
                    f"{length(slowest)} ({how})"
                )
    return Part(length=slowest, because=because)
