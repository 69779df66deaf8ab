"""Whether the copies to other regions keep up with the schedules that make their sources, and with their deadlines.

One disk has one unfinished copy per target region (source: ECS API, CopySnapshot, read 2025), so its copies stand in
line; and only so many copies run at once into a region, so the disks do.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from shared.domain.assumptions import Known
from shared.domain.capacity import copied
from shared.domain.covered import Covered, alike
from shared.domain.overlap import DIVISORS, takes
from shared.domain.policy import CopyRule, Protection
from shared.domain.timetable import WEEK, ordinary, shortest
from shared.domain.wording import length, notation, plural


def copy_doubts(protection: Protection, disks: Sequence[Covered], known: Known) -> Iterator[str]:
    for rule in protection.copies:
        for disk in alike(disks):
            yield from _one(protection, rule, disk, sum(one.stands_for for one in disks), known)


def copy_takes(protection: Protection, rule: CopyRule, disk: Covered, known: Known) -> timedelta:
    """Of one disk, once it runs, in the long run."""
    interval = shortest(ordinary(copied(protection, rule), weeks=2)) or WEEK
    return known.assumptions.copy_takes(disk.size_gib, since=interval)


def _one(protection: Protection, rule: CopyRule, disk: Covered, disks: int, known: Known) -> Iterator[str]:
    assumed, measured = known.assumptions, known.of(protection.name)
    interval = shortest(ordinary(copied(protection, rule), weeks=2)) or WEEK
    one_copy = copy_takes(protection, rule, disk, known)
    rounds = -(-disks // assumed.copies_at_once)
    wave = one_copy * rounds
    subject = f"protection {protection.name}, copies to {rule.region}"
    how = (
        f"{assumed.changed_gib(disk.size_gib, interval):.2f} GiB changed in {length(interval)} at "
        f"{assumed.copy_mib_per_second:g} MiB/s, assumed"
    )
    crowd = (
        ""
        if rounds == 1
        else (f" and {plural(disks, 'disk')} share {assumed.copies_at_once} copies at once, {length(wave)} in all,")
    )
    if wave > interval:
        slower = next(
            (every for every in DIVISORS if every >= interval and _wave(disk, every, disks, known) <= every), None
        )
        fits = (
            "copying fewer schedules" if slower is None else f"every: {notation(slower)} or slower for what is copied"
        )
        yield (
            f"{subject}: a copy takes {length(one_copy)} ({how}), one at a time per disk,{crowd} but every "
            f"{length(interval)} there is another: the line grows without end. What fits: {fits}, or copies: "
            "[{schedules: [...]}] with the slower ones only"
        )
        return
    complete, _ = takes(protection, disk, known)
    needed = measured.copied or complete + wave
    if needed > rule.within:
        how = "measured" if measured.copied else f"{length(complete)} until the source is complete, then {length(wave)}"
        yield (
            f"{subject}: it needs {length(needed)} from taken to copied ({how}), longer than within "
            f"{length(rule.within)}. What fits: within: {notation(needed)} or more"
        )


def first_copies(protection: Protection, disks: Sequence[Covered], known: Known) -> Iterator[str]:
    """What is true only once: the first copy of each disk is full."""
    assumed = known.assumptions
    for rule in protection.copies:
        lanes = [timedelta()] * assumed.copies_at_once
        for disk in alike(disks):
            for _ in range(disk.stands_for):
                lanes[lanes.index(min(lanes))] += assumed.copy_takes(disk.size_gib, since=None)
        long = max(lanes)
        if long > rule.within:
            yield (
                f"protection {protection.name}, copies to {rule.region}: the first copies are full and take about "
                f"{length(long)} in all, longer than within {length(rule.within)}: the first ones will be late"
            )


def _wave(disk: Covered, every: timedelta, disks: int, known: Known) -> timedelta:
    return known.assumptions.copy_takes(disk.size_gib, since=every) * -(-disks // known.assumptions.copies_at_once)
