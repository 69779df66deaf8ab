"""The price of a retention decision with a reason for every survivor, in a zone with daylight saving, against a bare
bucket loop: one sort, one pass and one set per rule, in UTC, no reasons, no safeguards."""

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from bench.measure import Measure, side_by_side
from shared.domain.ids import DiskId, InstanceId, PolicyVersion, SnapshotId
from shared.domain.policy import Retention
from shared.domain.retention import RestorePoint, plan_prune

_NOW = datetime(2026, 3, 1, tzinfo=UTC)
_KEEP = Retention(hourly=24, daily=7, weekly=4, monthly=12)
_CUTS: tuple[tuple[int, Callable[[datetime], object]], ...] = (
    (24, lambda at: (at.year, at.month, at.day, at.hour)),
    (7, lambda at: (at.year, at.month, at.day)),
    (4, lambda at: at.isocalendar()[:2]),
    (12, lambda at: (at.year, at.month)),
)


def run() -> Iterator[Measure]:
    for instances, each, rounds in ((1, 1_000, 15), (1, 100_000, 5), (500, 200, 5)):
        points = _history(instances, each)
        ours, bare = side_by_side(
            lambda _, points=points: plan_prune(points, _KEEP, zone="Europe/Berlin", now=_NOW),  # type: ignore[misc]
            lambda _, points=points: _bare(points),  # type: ignore[misc]
            rounds=rounds,
            calls=1,
        )
        name = f"retention: {instances} x {each:,} points"
        yield Measure(name=name, ours_ms=ours, baseline="bare bucket loop", baseline_ms=bare)


def _bare(points: Sequence[RestorePoint]) -> list[RestorePoint]:
    by_subject: dict[str, list[RestorePoint]] = {}
    for point in points:
        by_subject.setdefault(point.subject, []).append(point)
    gone = []
    for own in by_subject.values():
        own.sort(key=lambda point: point.taken, reverse=True)
        stay: set[str] = set()
        for count, cut in _CUTS:
            seen: set[object] = set()
            for point in own:
                bucket = cut(point.taken)
                if bucket not in seen:
                    if len(seen) == count:
                        break
                    seen.add(bucket)
                    stay.add(point.id)
        gone += [point for point in own if point.id not in stay]
    return gone


def _history(instances: int, each: int) -> list[RestorePoint]:
    """Hourly points, as a listing gives them: in no useful order."""
    points = [
        RestorePoint(
            id=f"applications/hourly/{hour}",
            subject=InstanceId(f"i-{instance}"),
            slot=_NOW - timedelta(hours=hour),
            schedule="hourly",
            taken=_NOW - timedelta(hours=hour),
            usable=True,
            complete=True,
            disks=((DiskId(f"d-{instance}"), SnapshotId(f"s-{instance}-{hour}")),),
            protection="applications",
            policy=PolicyVersion(1),
        )
        for instance in range(instances)
        for hour in range(each)
    ]
    random.Random(1).shuffle(points)
    return points
