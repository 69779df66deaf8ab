"""RPO and RTO, as measured.

RPO of a disk at an instant is the age of its newest point that was usable at that instant. RTO is the time from loss
to service, split in phases that follow each other without a hole, so that their sum is the total.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import Final, Self

from shared.domain.assumptions import Measured
from shared.domain.ids import DiskId
from shared.domain.retention import RestorePoint

FAILOVER_PHASES: Final = ("detect", "decide", "fence", "promote", "rebind", "serve")
RESTORE_PHASES: Final = ("decide", "prepare", "drain", "stop", "secure", "change", "start", "serve")
REBUILD_PHASES: Final = ("detect", "decide", "create", "boot", "attach", "serve")
LAUNCH_PHASES: Final = ("ask", "image", "create", "boot", "answer", "serve")


def recovery_point_age(points: Iterable[RestorePoint], *, disk: DiskId, now: datetime) -> timedelta | None:
    """Age of the newest usable point of `disk` at `now`; None when there is none (nothing could be restored).

    Points dated after `now` do not count.
    """
    newest = max((taken for taken, since in _usable(points, disk) if since <= now), default=None)
    return None if newest is None else now - newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch in which a loss would have cost `length`, had it struck just before `until`."""

    since: datetime  # when the older point was taken, or the window's start when there was none
    until: datetime  # when the newer one became usable, or the window's end
    covered: bool  # False: there was no older point at all, so more than `length` was at stake

    @property
    def length(self) -> timedelta:
        return self.until - self.since


def worst_gap(points: Iterable[RestorePoint], *, disk: DiskId, start: datetime, end: datetime) -> Gap:
    """The longest gap between consecutive usable points of `disk` within [`start`, `end`], both edges included.

    A point taken before `start` opens the first gap. Pass every point that was made, not only those that prune left.
    """
    if end < start:
        raise ValueError(f"the window ends ({end.isoformat()}) before it starts ({start.isoformat()})")
    since, covered = start, False
    worst: Gap | None = None
    # In the order in which they became usable: an older point that becomes usable later helps nobody any more.
    for taken, usable_since in sorted(_usable(points, disk), key=lambda pair: pair[1]):
        if usable_since > end:
            break
        if usable_since > start:
            gap = Gap(since=since, until=usable_since, covered=covered)
            if worst is None or gap.length > worst.length:
                worst = gap
        if not covered or taken > since:
            since, covered = taken, True
    last = Gap(since=since, until=end, covered=covered)
    return last if worst is None or last.length > worst.length else worst


class Freshness(StrEnum):
    """How the age of a disk's newest usable point stands to its target."""

    FRESH = "fresh"
    STALE = "stale"  # beyond the target
    CRITICAL = "critical"  # beyond twice the target
    NONE = "no point"  # nothing could be restored
    UNJUDGED = "no target"  # its protection is not in the policy any more


CRITICAL_AT: Final = 2.0
"""Times the target."""


def freshness(age: timedelta | None, target: timedelta | None) -> Freshness:
    if age is None:
        return Freshness.NONE
    if target is None:
        return Freshness.UNJUDGED
    if age <= target:
        return Freshness.FRESH
    return Freshness.STALE if age <= CRITICAL_AT * target else Freshness.CRITICAL


MOST_OF: Final = 0.95


def measure(points: Iterable[RestorePoint], *, since: datetime) -> dict[str, Measured]:
    """How long points taken after `since` took, by protection. Until usable: the longest, as a bound must have it.
    Until complete and until copied: what 95 of 100 kept to, because a disk's first one is full and comes once."""
    usable: dict[str, list[timedelta]] = defaultdict(list)
    complete: dict[str, list[timedelta]] = defaultdict(list)
    copied: dict[str, list[timedelta]] = defaultdict(list)
    for point in points:
        if point.taken < since or point.failed or point.adopted or point.safety:
            continue
        if point.copy_of:
            if point.complete_since is not None:
                copied[point.protection].append(max(timedelta(), point.complete_since - point.taken))
            continue
        if point.usable_since is not None:
            usable[point.protection].append(max(timedelta(), point.usable_since - point.taken))
        if point.complete_since is not None:
            complete[point.protection].append(max(timedelta(), point.complete_since - point.taken))
    return {
        name: Measured(
            usable=max(usable[name], default=None),
            complete=_most_of(complete[name]),
            copied=_most_of(copied[name]),
            points=max(len(usable[name]), len(complete[name]), len(copied[name])),
        )
        for name in {*usable, *complete, *copied}
    }


def _most_of(lengths: Sequence[timedelta]) -> timedelta | None:
    return sorted(lengths)[ceil(MOST_OF * len(lengths)) - 1] if lengths else None


def _usable(points: Iterable[RestorePoint], disk: DiskId) -> Iterable[tuple[datetime, datetime]]:
    return (
        (point.taken, point.taken if point.usable_since is None else max(point.taken, point.usable_since))
        for point in points
        if point.counts and not point.copy_of and not point.safety and any(own == disk for own, _ in point.disks)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """Durations of a recovery's phases, in order. Their sum is `total` by construction."""

    steps: tuple[tuple[str, timedelta], ...]

    @classmethod
    def between(cls, names: Sequence[str], *, lost: datetime, ended: Mapping[str, datetime]) -> Self:
        """Phases from the moment of the loss and the moments at which each ended (all on one clock).

        A phase without a moment was not needed or not reached and takes no time: its neighbour has it. A moment before
        that of an earlier phase counts as the same moment.
        """
        unknown = set(ended) - set(names)
        if unknown:
            raise ValueError(f"no such phase: {', '.join(sorted(unknown))} (phases are {', '.join(names)})")
        steps, reached = [], lost
        for name in names:
            end = max(reached, ended.get(name, reached))
            steps.append((name, end - reached))
            reached = end
        return cls(steps=tuple(steps))

    @property
    def total(self) -> timedelta:
        return sum((duration for _, duration in self.steps), timedelta())

    @property
    def longest(self) -> str:
        return max(self.steps, key=lambda step: step[1])[0]

    def __getitem__(self, name: str) -> timedelta:
        return dict(self.steps)[name]

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {duration.total_seconds():.1f} s" for name, duration in self.steps)
        return f"{self.total.total_seconds():.1f} s ({parts})"
