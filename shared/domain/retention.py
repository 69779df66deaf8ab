"""Which restore points a policy lets go, with the reason why each survivor stays.

Decisions on what other tools disagree about, all in one place:

- Keeps are a union; of several points in one bucket (hour, day, ISO week, month, year) the newest stays.
- Buckets are cut in the calendar of the given zone. An hour that occurs twice in the night of daylight saving is two.
- Only buckets that have a point are counted, not calendar days back from today: a job that stopped a month ago keeps
  what it had.
- Only usable points count. One still in progress is kept and does not count yet; a failed one goes, but only once each
  of its disks has a usable point elsewhere.
- A point dated after `now` (a clock that was wrong, or a forger's) is kept, does not count and displaces nothing.
- Equal stamps are ordered by id, so that every run decides alike.
- The newest usable point of every disk survives whatever the policy says, and so does a pinned one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from zoneinfo import ZoneInfo

from shared.domain.ids import DiskId, InstanceId, PolicyVersion, SnapshotId
from shared.domain.policy import Retention

MIN_DAYS = 1
MAX_DAYS = 65_536
"""Bounds of `Retention.days`. Source: ECS API, CreateSnapshot, RetentionDays 1-65536 (the automatic policy's API says
65535; we delete by ourselves and never pass it on)."""

PINNED = "pinned"
IN_PROGRESS = "in progress"
FUTURE = "dated in the future"
FOR_EVER = "for ever"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePoint:
    """The snapshots of one instance's disks for one slot, as our own records have it."""

    id: str  # unique for its subject
    subject: InstanceId
    slot: datetime
    schedule: str
    taken: datetime  # the provider's clock, UTC
    usable: bool  # every snapshot of it can be restored now
    complete: bool  # and is fully uploaded
    pinned: bool = False
    failed: bool = False  # will never become usable
    disks: tuple[tuple[DiskId, SnapshotId], ...]
    protection: str
    policy: PolicyVersion
    usable_since: datetime | None = None  # when it was first seen usable; None: taken as usable at once

    @property
    def key(self) -> tuple[InstanceId, str]:
        return (self.subject, self.id)

    @property
    def counts(self) -> bool:
        """Whether it is worth anything in an emergency."""
        return self.usable and not self.failed and bool(self.disks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    point: RestorePoint
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    keep: tuple[Kept, ...]  # oldest first, each with the rules that saved it
    expire: tuple[RestorePoint, ...]  # oldest first: a crash half-way costs the least useful


def plan_prune(points: Sequence[RestorePoint], keep: Retention, *, zone: str, now: datetime) -> PrunePlan:
    """Decide which of `points` the policy lets go at `now`; each instance is judged by itself.

    Pass every point of one protection. `days` is exact: a point of just that age stays, one a moment older goes.
    Carrying the plan out wholly or in part and planning again at the same `now` arrives at the same survivors.
    No points give an empty plan.
    """
    if now.tzinfo is None:
        raise ValueError("now has no time zone; pass an aware datetime (UTC)")
    by_subject: defaultdict[InstanceId, list[RestorePoint]] = defaultdict(list)
    for point in points:
        by_subject[point.subject].append(point)
    kept: list[Kept] = []
    expire: list[RestorePoint] = []
    for own in by_subject.values():
        _judge(own, keep, ZoneInfo(zone), now, kept, expire)
    # Turned round they are nearly in order, which is what makes sorting cheap.
    kept.reverse()
    expire.reverse()
    kept.sort(key=lambda one: _fleet_order(one.point))
    expire.sort(key=_fleet_order)
    return PrunePlan(keep=tuple(kept), expire=tuple(expire))


def merge(plans: Iterable[PrunePlan]) -> PrunePlan:
    """One plan of several (one per protection), so that the caps of a run see all of it."""
    all_plans = tuple(plans)
    return PrunePlan(
        keep=tuple(sorted((one for plan in all_plans for one in plan.keep), key=lambda one: _fleet_order(one.point))),
        expire=tuple(sorted((one for plan in all_plans for one in plan.expire), key=_fleet_order)),
    )


def describe(keep: Retention) -> str:
    """The rules in words, e.g. `24 hourly, 7 daily`: what a point was *not* saved by."""
    if keeps_all(keep):
        return FOR_EVER
    counted = (
        (keep.last, "last"),
        (keep.hourly, "hourly"),
        (keep.daily, "daily"),
        (keep.weekly, "weekly"),
        (keep.monthly, "monthly"),
        (keep.yearly, "yearly"),
    )
    rules = [f"{count} {name}" for count, name in counted if count]
    if keep.days is not None:
        rules.insert(0, f"{keep.days} day{'s' if keep.days != 1 else ''}")
    return ", ".join(rules)


_age_order: Callable[[RestorePoint], tuple[datetime, str]] = attrgetter("taken", "id")
_fleet_order: Callable[[RestorePoint], tuple[datetime, str, str]] = attrgetter("taken", "subject", "id")


def keeps_all(keep: Retention) -> bool:
    """Whether no point ever goes: asked for, or no rule given."""
    rules = (keep.last, keep.hourly, keep.daily, keep.weekly, keep.monthly, keep.yearly)
    return keep.forever or (keep.days is None and not any(rules))


class _Bucket:
    """Newest point of each of the last `left` calendar buckets that have one. Fed from the newest point backwards."""

    __slots__ = ("_cut", "_last", "_name", "left")

    def __init__(self, name: str, left: int, cut: Callable[[datetime], str]) -> None:
        self._name, self.left, self._cut, self._last = name, left, cut, ""

    def saves(self, local: datetime) -> str:
        bucket = self._cut(local)
        if bucket == self._last:
            return ""
        self._last = bucket
        self.left -= 1
        return f"{self._name} {bucket}"


def _hour(local: datetime) -> str:
    # With the offset, because in one night of the year the same hour comes twice.
    return local.strftime("%Y-%m-%d %H:00%z")


def _day(local: datetime) -> str:
    return local.date().isoformat()


def _week(local: datetime) -> str:
    year, week, _ = local.isocalendar()
    return f"{year}-W{week:02}"


def _month(local: datetime) -> str:
    return f"{local.year:04}-{local.month:02}"


def _year(local: datetime) -> str:
    return f"{local.year:04}"


def _judge(
    points: list[RestorePoint],
    keep: Retention,
    zone: ZoneInfo,
    now: datetime,
    kept: list[Kept],
    expire: list[RestorePoint],
) -> None:
    points.sort(key=_age_order, reverse=True)
    rules = [
        _Bucket(name, count, cut)
        for name, count, cut in (
            ("hourly", keep.hourly, _hour),
            ("daily", keep.daily, _day),
            ("weekly", keep.weekly, _week),
            ("monthly", keep.monthly, _month),
            ("yearly", keep.yearly, _year),
        )
        if count
    ]
    for_ever = keeps_all(keep)
    age = None if keep.days is None else timedelta(days=keep.days)
    last = 0
    safe: set[DiskId] = set()  # disks whose newest usable point has been met
    failed: list[RestorePoint] = []
    for point in points:
        because: list[str] = []
        if point.pinned:
            because.append(PINNED)
        if for_ever:
            because.append(FOR_EVER)
        if point.taken > now:
            because.append(FUTURE)
        elif point.failed or (point.usable and not point.disks):
            if not because:
                failed.append(point)
                continue
        elif not point.usable:
            because.append(IN_PROGRESS)
        else:
            for disk, _ in point.disks:
                if disk not in safe:
                    safe.add(disk)
                    because.append(f"last usable point of disk {disk}")
            if last < keep.last:
                last += 1
                because.append(f"last {last} of {keep.last}")
            if age is not None and now - point.taken <= age:
                because.append(f"within {keep.days} days")
            if rules:
                local = point.taken.astimezone(zone)
                because += [reason for rule in rules if (reason := rule.saves(local))]
                if not all(rule.left for rule in rules):
                    # A rule that is satisfied asks no more, so a long history costs little.
                    rules = [rule for rule in rules if rule.left]
        if because:
            kept.append(Kept(point=point, because=tuple(because)))
        else:
            expire.append(point)
    for point in failed:
        bare = [disk for disk, _ in point.disks if disk not in safe]
        if bare:
            kept.append(Kept(point=point, because=(f"disk {bare[0]} has no usable point yet",)))
        else:
            expire.append(point)
