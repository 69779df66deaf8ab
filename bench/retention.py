"""The price of a retention decision with a reason for every survivor, in a zone with daylight saving, against a bare
bucket loop over the snapshots of each disk, plain tuples: one sort, one pass and one set per rule, in UTC, no reasons,
no safeguards.

From a thousand to a million snapshots, in three shapes: one long history, many instances, and many with two disks each.
A last line of each shape says how the time per snapshot grows from ten thousand to the most."""

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter

from bench.measure import Measure
from shared.domain.ids import DiskId, InstanceId, PolicyVersion, SnapshotId
from shared.domain.policy import Retention
from shared.domain.retention import RestorePoint, plan_prune

SIZES = (1_000, 10_000, 100_000, 1_000_000)
_NOW = datetime(2026, 3, 1, tzinfo=UTC)
_KEEP = Retention(hourly=24, daily=7, weekly=4, monthly=12)
_CUTS: tuple[tuple[int, Callable[[datetime], object]], ...] = (
    (24, lambda at: (at.year, at.month, at.day, at.hour)),
    (7, lambda at: (at.year, at.month, at.day)),
    (4, lambda at: at.isocalendar()[:2]),
    (12, lambda at: (at.year, at.month)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    name: str
    each: int | None  # points per instance; None: all of one
    disks: int = 1


SHAPES = (
    Shape(name="one instance", each=None),
    Shape(name="of 200 points each", each=200),
    Shape(name="of 200 points, 2 disks each", each=200, disks=2),
)


def run() -> Iterator[Measure]:
    for shape in SHAPES:
        ours: dict[int, float] = {}
        bare: dict[int, float] = {}
        for size in SIZES:
            points = _history(shape, size)
            snapshots = [(one, disk, point.taken) for point in points for disk, one in point.disks]
            gc.collect()
            gc.freeze()  # the points themselves are not what is measured, and each collection would walk them
            ours[size], bare[size] = _in_turn(points, snapshots, rounds=max(5, min(40, 200_000 // size)))
            gc.unfreeze()
            yield Measure(
                name=f"retention: {shape.name}, {size:,}",
                ours_ms=ours[size],
                baseline="bare bucket loop",
                baseline_ms=bare[size],
            )
            del points, snapshots
        few, most = SIZES[1], SIZES[-1]
        yield Measure(
            name=f"retention: {shape.name}, 1,000 snapshots",
            ours_ms=ours[most] / most * 1000,
            baseline=f"at {most:,} against {few:,}; the bare loop {bare[most] / most / (bare[few] / few):.2f} x",
            baseline_ms=ours[few] / few * 1000,
        )


def _in_turn(
    points: Sequence[RestorePoint], snapshots: Sequence[tuple[str, str, datetime]], *, rounds: int
) -> tuple[float, float]:
    """Median milliseconds of CPU time, turn by turn: neither waits for anything, and a busy machine must not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for which in (0, 1):
            begin = time.process_time_ns()
            if which == 0:
                plan_prune(points, _KEEP, zone="Europe/Berlin", now=_NOW)
            else:
                _bare(snapshots)
            if turn:  # the first is for caches
                times[which].append((time.process_time_ns() - begin) / 1e6)
    return statistics.median(times[0]), statistics.median(times[1])


def _bare(snapshots: Sequence[tuple[str, str, datetime]]) -> list[str]:
    by_disk: dict[str, list[tuple[str, str, datetime]]] = {}
    for snapshot in snapshots:
        by_disk.setdefault(snapshot[1], []).append(snapshot)
    gone = []
    for own in by_disk.values():
        own.sort(key=itemgetter(2), reverse=True)
        stay: set[str] = set()
        for count, cut in _CUTS:
            seen: set[object] = set()
            for id_, _, taken in own:
                bucket = cut(taken)
                if bucket not in seen:
                    if len(seen) == count:
                        break
                    seen.add(bucket)
                    stay.add(id_)
        gone += [id_ for id_, _, _ in own if id_ not in stay]
    return gone


def _history(shape: Shape, snapshots: int) -> list[RestorePoint]:
    """Hourly points, as a listing gives them: in no useful order, each instance some seconds after another."""
    each = min(shape.each or snapshots, snapshots // shape.disks)
    instances = snapshots // shape.disks // each
    points = [
        RestorePoint(
            id=sys.intern(f"applications/hourly/{hour}"),
            subject=InstanceId(f"i-{instance}"),
            slot=_NOW - timedelta(hours=hour),
            schedule="hourly",
            taken=_NOW - timedelta(hours=hour, seconds=instance % 600),
            usable=True,
            complete=True,
            disks=tuple(
                (DiskId(f"d-{instance}-{disk}"), SnapshotId(f"s-{instance}-{hour}-{disk}"))
                for disk in range(shape.disks)
            ),
            protection="applications",
            policy=PolicyVersion(1),
        )
        for instance in range(instances)
        for hour in range(each)
    ]
    random.Random(1).shuffle(points)
    return points
