"""Which restore points a policy lets go, with the reason why each survivor stays.

Decisions on what other tools disagree about, all in one place:

- Keeps are a union; of several points in one bucket (hour, day, ISO week, month, year) the newest stays.
- Buckets and counts hold for each disk: a point that has some of an instance's disks does not displace one that has
  others, and a disk that was attached or detached has a history of its own. Where all points have the same disks, as
  nearly always, that is the same as judging the instance.
- Buckets are cut in the calendar of the given zone. An hour that occurs twice in the night of daylight saving is two.
- Only buckets that have a point are counted, not calendar days back from today: a job that stopped a month ago keeps
  what it had.
- Only usable points count. One still in progress is kept and does not count yet; a failed one goes, but only once each
  of its disks has a usable point elsewhere.
- A usable point whose upload still runs counts already, but it can fail yet: it does not go while it is incomplete, and
  it does not stand in for the newest complete point of a disk.
- A point dated after `now` (a clock that was wrong, or a forger's) is kept, does not count and displaces nothing.
- Equal stamps are ordered by id, so that every run decides alike.
- The newest usable and the newest complete point of every disk survive whatever the policy says, and so does a pinned
  one, one that waits for a copy of it, and one that the cloud keeps locked.
- Each protection keeps by its own rules and has its own last points, also where two have the same disk: what another
  protection keeps can go with that protection. It costs a point per disk and needs no order between plans.
"""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from itertools import pairwise
from operator import attrgetter, itemgetter
from threading import Lock
from typing import Final
from zoneinfo import ZoneInfo

from shared.domain.ids import DiskId, InstanceId, PolicyVersion, SnapshotGroupId, SnapshotId
from shared.domain.place import Place
from shared.domain.policy import Retention

MIN_DAYS = 1
MAX_DAYS = 65_536
"""Bounds of `Retention.days`. Source: ECS API, CreateSnapshot, RetentionDays 1-65536 (the automatic policy's API says
65535; we delete by ourselves and never pass it on)."""

SAFETY: Final = "safety"
"""The protection under which the safety points of restores are filed. No protection of a policy has this name."""

PINNED = "pinned"
IN_PROGRESS = "in progress"
UPLOADING = "not complete yet"
FUTURE = "dated in the future"
FOR_EVER = "for ever"
WAITS = "waits for its copy in"
LOCKED = "locked until"

_BEGINNING: Final = datetime(1, 1, 3, tzinfo=UTC)  # local time of every zone exists from here on
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Level(StrEnum):
    """What the disks of a restore point share."""

    APPLICATION = "application"  # one instant, in which the guest's applications stood still
    CRASH = "crash"  # one instant: what a power cut at that moment would have left
    DISK = "disk"  # nothing: each disk by itself, some moments apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Why a restore point is kept whatever the policy says."""

    by: str
    because: str
    at: datetime


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
    missing_since: datetime | None = (
        None  # when the cloud was first seen without it; None: it was there when last asked
    )
    place: Place | None = None  # None: the policy's region, in our own account (points that an older version recorded)
    level: Level = Level.CRASH
    complete_since: datetime | None = None  # when it was first seen complete
    group: SnapshotGroupId | None = None  # the snapshot group that holds its snapshots, maybe others' too
    copy_of: str = ""  # id of the point that it was copied from; empty: it was taken here
    copy_to: tuple[str, ...] = ()  # regions into which the policy wanted it copied
    uncopied: tuple[str, ...] = ()  # those of them without a complete copy so far: it waits for them
    adopted: bool = False  # not taken by us, but named by an operator to be treated as if
    # What others say of it, kept beside it and not in it (`shared.state.points`):
    pin: Pin | None = None
    locked_until: datetime | None = None

    @property
    def key(self) -> tuple[InstanceId, str]:
        return (self.subject, self.id)

    @property
    def safety(self) -> bool:
        """Taken by a restore, of what it was about to change: never what an emergency should go back to by itself."""
        return self.protection == SAFETY

    @property
    def counts(self) -> bool:
        """Whether it is worth anything in an emergency."""
        return self.usable and not self.failed and bool(self.disks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    point: RestorePoint
    because: tuple[str, ...]

    @property
    def held(self) -> bool:
        """Whether no rule keeps it: it goes as soon as its copy is complete, or its lock ends."""
        return all(reason.startswith((WAITS, LOCKED)) for reason in self.because)


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
    for subject in sorted(by_subject):
        own_kept, own_expire = _judge(by_subject[subject], keep, ZoneInfo(zone), now)
        kept += reversed(own_kept)
        expire += reversed(own_expire)
    # Sorting is stable, so instances with equal stamps stay in the order of their ids.
    kept.sort(key=lambda one: one.point.taken)
    expire.sort(key=_taken)
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


_taken: Callable[[RestorePoint], datetime] = attrgetter("taken")
_age_order: Callable[[RestorePoint], tuple[datetime, str]] = attrgetter("taken", "id")
_fleet_order: Callable[[RestorePoint], tuple[datetime, str, str]] = attrgetter("taken", "subject", "id")


def keeps_all(keep: Retention) -> bool:
    """Whether no point ever goes: asked for, or no rule given."""
    rules = (keep.last, keep.hourly, keep.daily, keep.weekly, keep.monthly, keep.yearly)
    return keep.forever or (keep.days is None and not any(rules))


_REMEMBERED: Final = 4_096
"""Buckets of one kind in one zone: half a year of hours."""


class _Buckets:
    """The calendar of one zone, cut in one way. Remembers what it worked out: a fleet's points fall into the same few
    buckets, and a conversion to local time costs more than the rest of a decision."""

    __slots__ = ("_begin", "_begins", "_kind", "_known", "_lock", "_shown", "_zone")

    def __init__(self, kind: str, begin: Callable[[datetime], datetime], shown: str, zone: ZoneInfo) -> None:
        self._kind, self._begin, self._shown, self._zone = kind, begin, shown, zone
        self._begins: list[datetime] = []  # ascending, in UTC
        self._known: dict[datetime, tuple[datetime, str]] = {}  # by begin: up to when it surely goes, and its name
        self._lock = Lock()

    def of(self, taken: datetime) -> tuple[datetime, str]:
        """The UTC instant at which the bucket of `taken` begins, and its name."""
        at = bisect_right(self._begins, taken)
        if at:
            begin = self._begins[at - 1]
            surely, name = self._known[begin]
            if taken <= surely:
                return begin, name
        local = self._begin(taken.astimezone(self._zone))
        begin = local.astimezone(UTC)
        name = f"{self._kind} {local.strftime(self._shown)}"
        with self._lock:
            new = begin not in self._known
            if not new or len(self._begins) < _REMEMBERED:
                self._known[begin] = (taken, name)
            if new and len(self._begins) < _REMEMBERED:
                insort(self._begins, begin)
        return begin, name


class _Rule:
    """Saves the newest point of each of the last `left` calendar buckets that have one. Fed from the newest backwards.

    `since` is the UTC instant at which the newest bucket met so far begins: an older point opens another bucket.
    """

    __slots__ = ("_buckets", "left", "since")

    def __init__(self, left: int, buckets: _Buckets) -> None:
        self._buckets, self.left = buckets, left
        self.since = datetime.max.replace(tzinfo=UTC)

    def saves(self, taken: datetime) -> str:
        if taken >= self.since:
            return ""
        self.since, name = self._buckets.of(taken)
        self.left -= 1
        return name


@cache
def _calendar(zone: ZoneInfo) -> Mapping[str, _Buckets]:
    return {
        kind: _Buckets(kind, begin, shown, zone)
        for kind, begin, shown in (
            ("hourly", _hour, "%Y-%m-%d %H:00%z"),
            ("daily", _day, "%Y-%m-%d"),
            ("weekly", _week, "%G-W%V"),
            ("monthly", _month, "%Y-%m"),
            ("yearly", _year, "%Y"),
        )
    }


def _rules(keep: Retention, zone: ZoneInfo) -> list[_Rule]:
    counts = (
        ("hourly", keep.hourly),
        ("daily", keep.daily),
        ("weekly", keep.weekly),
        ("monthly", keep.monthly),
        ("yearly", keep.yearly),
    )
    calendar = _calendar(zone)
    return [_Rule(count, calendar[kind]) for kind, count in counts if count]


def _hour(local: datetime) -> datetime:
    # In real time and so with its own offset: in one night of the year the same hour comes twice.
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    at = local.astimezone(UTC)
    begin = (at - past).astimezone(local.tzinfo)
    if begin.utcoffset() == local.utcoffset():
        return begin
    # The clocks were put back by half an hour (Lord Howe): it begins where they were.
    before, after = at - past, at
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(local.tzinfo).utcoffset() == local.utcoffset():
            after = middle
        else:
            before = middle
    return after.astimezone(local.tzinfo)


def _day(local: datetime) -> datetime:
    # fold=0: where midnight itself comes twice, the day begins with the first.
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def _week(local: datetime) -> datetime:
    return _day(local - timedelta(days=local.weekday()))


def _month(local: datetime) -> datetime:
    return _day(local.replace(day=1))


def _year(local: datetime) -> datetime:
    return _day(local.replace(month=1, day=1))


def _newest_first(points: list[RestorePoint]) -> None:
    points.sort(key=_taken, reverse=True)
    if any(newer.taken == older.taken for newer, older in pairwise(points)):
        points.sort(key=_age_order, reverse=True)


def _judge(
    points: list[RestorePoint],
    keep: Retention,
    zone: ZoneInfo,
    now: datetime,
) -> tuple[list[Kept], list[RestorePoint]]:
    """Share out the points of one instance; both lists come newest first."""
    _newest_first(points)
    counting = [point for point in points if point.usable and not point.failed and point.disks and point.taken <= now]
    for_ever = keeps_all(keep)
    last_ones, rules = _saved(counting, keep, zone)
    # Beyond the calendar nothing is old enough.
    young = _NEVER if keep.days is None else now - min(timedelta(days=keep.days), now - _BEGINNING)
    kept: list[Kept] = []
    expire: list[RestorePoint] = []
    failed: list[RestorePoint] = []
    for point in points:
        because: tuple[str, ...] = ()
        key = id(point)
        taken = point.taken
        if (
            for_ever
            or not point.usable
            or not point.complete
            or point.pinned
            or point.uncopied
            or point.locked_until is not None
            or point.failed
            or taken > now
            or not point.disks
        ):
            because = _apart(point, now, for_ever=for_ever)
            if point.failed or (point.usable and not point.disks):
                if because:
                    kept.append(Kept(point=point, because=because))
                else:
                    failed.append(point)
                continue
            if not point.usable or taken > now:
                kept.append(Kept(point=point, because=because))
                continue
        if key in last_ones:
            because += last_ones[key]
        if young is not _NEVER and taken >= young:
            because = (*because, f"within {keep.days} days")
        if key in rules:
            because += rules[key]
        if because:
            kept.append(Kept(point=point, because=because))
        else:
            expire.append(point)
    if failed:
        safe = {disk for point in counting for disk, _ in point.disks}
        for point in failed:
            bare = [disk for disk, _ in point.disks if disk not in safe]
            if bare:
                kept.append(Kept(point=point, because=(f"disk {bare[0]} has no usable point yet",)))
            else:
                expire.append(point)
        kept.sort(key=lambda one: _age_order(one.point), reverse=True)
        expire.sort(key=_age_order, reverse=True)
    return kept, expire


_disk: Callable[[tuple[DiskId, SnapshotId]], DiskId] = itemgetter(0)
_Reasons = dict[int, tuple[str, ...]]
"""By the identity of the point: ids come from outside."""


def _saved(counting: list[RestorePoint], keep: Retention, zone: ZoneInfo) -> tuple[_Reasons, _Reasons]:
    """Of points newest first: which are the last ones of a disk, and which are saved by count or calendar."""
    if not counting:
        return {}, {}
    if _alike(counting):
        return _last_ones(tuple(map(_disk, counting[0].disks)), counting), _by_rules(counting, keep, zone)
    by_disk: defaultdict[DiskId, list[RestorePoint]] = defaultdict(list)
    for point in counting:
        for disk in dict.fromkeys(map(_disk, point.disks)):
            by_disk[disk].append(point)
    last_ones: _Reasons = {}
    rules: _Reasons = {}
    for disk, own in by_disk.items():
        for key, because in _last_ones((disk,), own).items():
            last_ones[key] = last_ones.get(key, ()) + because
        for key, because in _by_rules(own, keep, zone).items():
            known = rules.get(key, ())
            rules[key] = known + tuple(reason for reason in because if reason not in known)
    return last_ones, rules


def _alike(points: Sequence[RestorePoint]) -> bool:
    """Whether all have the same disks."""
    disks = list(map(_disk, points[0].disks))
    if len(disks) > 1:
        return all(list(map(_disk, point.disks)) == disks for point in points)
    # The commonest case, without a call for each point.
    (only,) = disks
    for point in points:
        own = point.disks
        if own[0][0] != only or len(own) != 1:
            return False
    return True


def _last_ones(disks: Sequence[DiskId], points: Sequence[RestorePoint]) -> _Reasons:
    """Of points that have all of these disks, newest first."""
    newest = points[0]
    reasons = {id(newest): tuple(f"last usable point of disk {disk}" for disk in disks)}
    whole = newest if newest.complete else next((point for point in points if point.complete), newest)
    if whole is not newest:
        reasons[id(whole)] = tuple(f"last complete point of disk {disk}" for disk in disks)
    return reasons


def _by_rules(points: Sequence[RestorePoint], keep: Retention, zone: ZoneInfo) -> _Reasons:
    reasons: _Reasons = {id(point): (f"last {at} of {keep.last}",) for at, point in enumerate(points[: keep.last], 1)}
    rules = _rules(keep, zone)
    # A point that is not older than this opens no bucket of any rule.
    settled = max((rule.since for rule in rules), default=_NEVER)
    for point in points:
        if point.taken >= settled:
            continue
        if not rules:
            break
        because = tuple(reason for rule in rules if (reason := rule.saves(point.taken)))
        reasons[id(point)] = reasons.get(id(point), ()) + because
        # A rule that is satisfied asks no more, so a long history costs little.
        rules = [rule for rule in rules if rule.left]
        settled = max((rule.since for rule in rules), default=_NEVER)
        if not rules:
            break
    return reasons


def _apart(point: RestorePoint, now: datetime, *, for_ever: bool) -> tuple[str, ...]:
    """Why a point stays that no rule of the calendar needs to look at."""
    because = [PINNED] if point.pinned else []
    because += (f"{WAITS} {region}" for region in point.uncopied)
    if point.locked_until is not None and point.locked_until > now:
        because.append(f"{LOCKED} {point.locked_until.astimezone(UTC):%Y-%m-%d %H:%MZ}")
    if for_ever:
        because.append(FOR_EVER)
    if point.taken > now:
        because.append(FUTURE)
    elif not point.usable and not point.failed:
        because.append(IN_PROGRESS)
    elif not point.complete and not point.failed and point.disks:
        because.append(UPLOADING)
    return tuple(because)
