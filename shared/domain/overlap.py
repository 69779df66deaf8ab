"""Whether one snapshot of a disk ends before the next begins, or finds room beside it.

The slots of an ordinary week are played through for one disk: at most so many of its snapshots run at once, by the
cloud's own bound for that kind of disk and by the policy's; a slot that finds no room waits or is lost, as the policy
says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Final

from shared.domain.assumptions import Known
from shared.domain.covered import Covered
from shared.domain.policy import Protection, Then
from shared.domain.timetable import ORDINARY, WEEK, due_times, ordinary, shortest
from shared.domain.wording import length, notation, plural

WAITS_AT_MOST: Final = timedelta(hours=1)
"""A queued slot is given up after this; as `CREATE_WITHIN` of back-ups."""
DIVISORS: Final = tuple(timedelta(minutes=one) for one in range(5, 1441) if 1440 % one == 0)
"""What `every` may be: 5 minutes up, a divisor of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One disk's week."""

    slots: int
    lost: int
    longest_wait: timedelta
    most_at_once: int  # had there been room for all


def play(due: Sequence[datetime], *, takes: timedelta, at_once: int, then: Then) -> Played:
    """`due` ascending; two equal times are two snapshots."""
    running: list[datetime] = []
    free: list[datetime] = []
    lost, longest_wait, most = 0, timedelta(), 0
    for slot in due:
        while free and free[0] <= slot:
            heappop(free)
        heappush(free, slot + takes)
        most = max(most, len(free))
        while running and running[0] <= slot:
            heappop(running)
        begins = slot if len(running) < at_once else running[-at_once] if then is Then.QUEUE else None
        if begins is None or begins - slot > WAITS_AT_MOST:
            lost += 1
            continue
        if begins > slot:
            longest_wait = max(longest_wait, begins - slot)
        running.append(begins + takes)
        running.sort()
    return Played(slots=len(due), lost=lost, longest_wait=longest_wait, most_at_once=most)


def takes(protection: Protection, disk: Covered, known: Known) -> tuple[timedelta, str]:
    """How long a snapshot of it runs in the long run, and how that is known."""
    measured = known.of(protection.name)
    if measured.complete is not None:
        return measured.complete, f"measured on {plural(measured.points, 'point')}"
    interval = shortest(ordinary(protection.schedules, weeks=2)) or WEEK
    assumed = known.assumptions
    because = (
        f"assumed: {assumed.changed_gib(disk.size_gib, interval):.2f} GiB changed of {disk.size_gib} GiB, at "
        f"{assumed.snapshot_mib_per_second:g} MiB/s"
    )
    return assumed.snapshot_takes(disk.size_gib, since=interval), because


def played(protections: Sequence[Protection], disk: Covered, known: Known) -> tuple[Played, timedelta, str, int]:
    """All that the protections of one disk ask of it: the outcome, how long a snapshot takes and how that is known, and
    how many may run at once."""
    due = sorted(slot for one in protections for slot in due_times(one, after=ORDINARY, until=ORDINARY + 2 * WEEK))
    long, because = max(takes(one, disk, known) for one in protections)
    at_once = min(disk.at_once, *(one.overlap.at_most for one in protections))
    # Where the protections disagree, the one that skips loses its slots.
    then = Then.SKIP if any(one.overlap.then is Then.SKIP for one in protections) else Then.QUEUE
    return play(due, takes=long, at_once=at_once, then=then), long, because, at_once


def overlap_doubts(protections: Sequence[Protection], disk: Covered, known: Known) -> Iterator[str]:
    outcome, long, because, at_once = played(protections, disk, known)
    if not outcome.lost:
        return
    names = " and ".join(one.name for one in protections)
    needed = long / at_once
    fits = next(
        (one for one in DIVISORS if one * (1 if len(protections) == 1 else 1 / len(protections)) >= needed), None
    )
    bound = f"the cloud runs {disk.at_once} at once for a disk of {disk.kind}"
    if at_once < disk.at_once:
        bound = f"overlap.at_most is {at_once} ({bound})"
    which = f"disk {disk.disk}" if disk.real else f"a disk of {disk.kind}"
    others = f" and {disk.stands_for - 1} like it" if disk.real and disk.stands_for > 1 else ""
    remedy = "a slower schedule" if fits is None else f"every: {notation(fits)} or slower"
    useful = min(outcome.most_at_once, disk.at_once)
    more = f", or overlap.at_most: {useful}" if at_once < useful else ""
    yield (
        f"protection{'s' if len(protections) > 1 else ''} {names}: a snapshot of {which}{others} takes {length(long)} "
        f"({because}), and its schedules would need {outcome.most_at_once} at once, but {bound}: "
        f"{outcome.lost} of {outcome.slots} slots of a fortnight would be lost. What fits: {remedy}{more}"
    )
