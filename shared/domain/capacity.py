"""Whether the points that a policy keeps have room on a disk, in every region.

Snapshots that Understudy makes count against a disk's quota of manual snapshots, and a full disk takes no new one: a
policy that looks generous ends, silently, as no backup.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from shared.domain.assumptions import Assumptions, Known
from shared.domain.covered import Coverage, Covered, Position, positions
from shared.domain.image_versions import versions_held
from shared.domain.overlap import DIVISORS
from shared.domain.policy import CopyRule, Lock, Policy, Protection, Retention, Schedule
from shared.domain.retention import MAX_DAYS, keeps_all
from shared.domain.timetable import most_within
from shared.domain.wording import days, notation, plural

QUOTA: Final = 256
"""Manual snapshots per disk; CreateSnapshot makes such. Source: ECS, Limits of snapshots, read 2026. That it holds for
the copies of one disk in another region, too, is an assumption."""
AUTOMATIC_QUOTA: Final = 1000
"""Those of native policies, which the cloud counts apart; it drops the oldest to make room. Same source."""
RESERVE: Final = 2
"""Of the quota, left for a safety snapshot before a rollback and one that an operator takes by hand."""

_THINNER: Final = (
    Retention(hourly=24, daily=30),
    Retention(hourly=24, daily=7),
    Retention(daily=30),
    Retention(daily=7),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """How many points of one protection a disk carries at most, in one region, once all is in balance."""

    protection: str
    region: str
    keep: Retention
    kept: int | None  # by its rules and locks; None: it grows without end
    passing: int  # beside them: not usable or complete yet, not copied yet, or not pruned yet
    locked: int  # of `kept`, those that the cloud lets nobody delete
    schedules: tuple[Schedule, ...]  # whose points they are


def most_points(protection: Protection) -> int | None:
    """How many points per disk `keep` holds at most once it is in balance; None: it grows without end."""
    return most_kept(protection.keep, protection.schedules)


def most_kept(keep: Retention, schedules: Sequence[Schedule], *, at_least: timedelta | None = None) -> int | None:
    """`at_least`: nothing younger than this goes, whatever `keep` says (a lock, or a copy that is awaited)."""
    if keeps_all(keep):
        return None
    ages = [timedelta(days=keep.days)] if keep.days is not None else []
    if at_least is not None:
        ages.append(at_least)
    # All of these save the newest points, so the longest of them saves what the others do.
    newest = max([keep.last, *(most_within(schedules, age) for age in ages)])
    return max(1, newest + keep.hourly + keep.daily + keep.weekly + keep.monthly + keep.yearly)


def holdings(protection: Protection, policy: Policy, known: Known, disk: Covered) -> tuple[Holding, ...]:
    """At home first, then in each region that it is copied to."""
    assumed, measured = known.assumptions, known.of(protection.name)
    complete = measured.complete or assumed.snapshot_takes(disk.size_gib, since=None)
    # The source waits for each of its copies.
    awaited = max((rule.within for rule in protection.copies), default=None)
    made = [
        _holding(
            protection,
            policy.region,
            protection.keep,
            protection.schedules,
            protection.lock,
            awaited,
            complete,
            assumed,
        )
    ]
    made += [
        _holding(protection, rule.region, rule.keep, copied(protection, rule), rule.lock, None, rule.within, assumed)
        for rule in protection.copies
    ]
    return tuple(made)


def copied(protection: Protection, rule: CopyRule) -> tuple[Schedule, ...]:
    return tuple(one for one in protection.schedules if not rule.schedules or one.name in rule.schedules)


def _holding(
    protection: Protection,
    region: str,
    keep: Retention,
    schedules: tuple[Schedule, ...],
    lock: Lock | None,
    awaited: timedelta | None,
    complete: timedelta,
    assumed: Assumptions,
) -> Holding:
    locked_for = None if lock is None else timedelta(days=lock.days) + complete
    at_least = max((one for one in (locked_for, awaited) if one is not None), default=None)
    return Holding(
        protection=protection.name,
        region=region,
        keep=keep,
        kept=most_kept(keep, schedules, at_least=at_least),
        passing=most_within(schedules, complete + assumed.prune_every),
        locked=0 if locked_for is None else most_within(schedules, locked_for),
        schedules=schedules,
    )


def quota_doubts(policy: Policy, coverage: Coverage, known: Known) -> Iterator[str]:
    """All protections that cover one disk together, in each region; disks in the same position are told once."""
    for group in positions(coverage):
        disk = group.fullest
        here: dict[str, list[Holding]] = {}
        for name in group.protections:
            protection = policy.protection(name)
            assert protection is not None
            for holding in holdings(protection, policy, known, disk):
                here.setdefault(holding.region, []).append(holding)
        for region, together in here.items():
            at_home = region == policy.region
            foreign = disk.foreign if at_home else 0
            images = _images(policy, disk, region)
            reserve = RESERVE + max(images, known.assumptions.images) if at_home else images
            yield from _overfull(
                group, region if not at_home else "", together, QUOTA - reserve - foreign, foreign, reserve, images
            )


def _images(policy: Policy, disk: Covered, region: str) -> int:
    """Snapshots of this disk that versions of images hold there at most, when all are made of its instance."""
    rules = [one for one in policy.images if one.name in disk.images]
    return sum(versions_held(one) for one in rules if region == policy.region or region in one.copy_to)


def _overfull(
    group: Position, region: str, together: Sequence[Holding], room: int, foreign: int, reserve: int, images: int
) -> Iterator[str]:
    passing = sum(one.passing for one in together)
    locked = sum(one.locked for one in together)
    endless = any(one.kept is None for one in together)
    kept = sum(one.kept or 0 for one in together)
    if not endless and kept + passing <= room:
        return
    keys = " and ".join(f"{one.protection}{f', copies to {region}' if region else ''}" for one in together)
    a_week = sum(most_within(one.schedules, timedelta(weeks=1) - timedelta(seconds=1)) for one in together)
    full = days(max(0, room) * 7 / a_week)
    holds = "grows without end" if endless else f"holds up to {kept} points"
    subject = f"protection {keys}: keep {holds}" if len(together) == 1 else f"protections {keys} together: keep {holds}"
    where = _where(group, region)
    left = "an image" if images <= 1 else f"{images} versions of images"
    left = f"safety snapshots and {left}" if reserve > images else left
    spare = [f"{reserve} of them are left for {left}"] if reserve else []
    spare += [f"{foreign} are taken by snapshots that are not ours"] if foreign else []
    spare += [f"{plural(passing, 'point')} at once {'is' if passing == 1 else 'are'} not complete or not pruned yet"]
    fits = _fits(together, room)
    yield (
        f"{subject}, but {where} takes {QUOTA} snapshots ({', '.join(spare)}): full after {full} days, and then no new "
        f"point can be made. {fits}"
    )
    if locked > room:
        yield (
            f"protection {keys}: lock keeps {locked} points at once from being deleted, and {where} has room for "
            f"{max(0, room)}: nobody could make room before a lock ends. {_lock_that_fits(together, room - passing)}"
        )


def _where(group: Position, region: str) -> str:
    there = f" in {region}" if region else ""
    if not group.fullest.real:
        return f"a disk{there}"
    others = f" (and {plural(group.count - 1, 'other disk')} alike)" if group.count > 1 else ""
    return f"disk {group.fullest.disk}{others}{there}"


def _fits(together: Sequence[Holding], room: int) -> str:
    if len(together) > 1:
        room //= len(together)
    parts = []
    for one in together:
        free = room - one.passing
        found = _keep_that_fits(one, free)
        name = f" for {one.protection}" if len(together) > 1 else ""
        if found:
            parts.append(f"{found}{name}")
    if not parts:
        return "Nothing fits at this interval: use fewer slots a day, or a shorter lock"
    return "What fits: " + " and ".join(parts)


def _keep_that_fits(one: Holding, free: int) -> str:
    found = []
    if one.keep.days is not None and not keeps_all(one.keep):
        most = largest(lambda count: (most_kept(replace(one.keep, days=count), one.schedules) or 0) <= free, MAX_DAYS)
        if most is not None:
            found.append(f"days: {most}")
    for thin in _THINNER:
        if (most_kept(thin, one.schedules) or 0) <= free:
            rules = ", ".join(f"{rule}: {getattr(thin, rule)}" for rule in ("hourly", "daily") if getattr(thin, rule))
            found.append(f"keep: {{{rules}}}")
            break
    else:
        if free > 0:
            found.append(f"keep: {{last: {free}}}")
    return " or ".join(found)


def _lock_that_fits(together: Sequence[Holding], room: int) -> str:
    schedules = tuple({schedule for one in together if one.locked for schedule in one.schedules})
    most = largest(lambda count: most_within(schedules, timedelta(days=count)) <= room, MAX_DAYS)
    if most is not None:
        return f"What fits: lock: {{days: {most}}}"
    # Not even a day's points: fewer of them.
    slower = next((every for every in DIVISORS if timedelta(days=1) // every + 1 <= room), None)
    return "Nothing fits: no lock" if slower is None else f"What fits: every: {notation(slower)} with lock: {{days: 1}}"


def lock_doubts(policy: Policy) -> Iterator[str]:
    """A lock that outlives what its retention says: prune could not keep to the policy."""
    for protection in policy.protections:
        pairs: list[tuple[str, Retention, Lock | None, tuple[Schedule, ...]]] = [
            ("", protection.keep, protection.lock, protection.schedules)
        ]
        pairs += [
            (f", copies to {one.region}", one.keep, one.lock, copied(protection, one)) for one in protection.copies
        ]
        for where, keep, lock, schedules in pairs:
            if lock is None or keeps_all(keep):
                continue
            wanted = most_kept(keep, schedules) or 0
            locked = most_within(schedules, timedelta(days=lock.days))
            if locked > wanted:
                fits = _days_locking(schedules, wanted, lock.days)
                shorter = f"lock: {{days: {fits}}}, or " if fits else ""
                yield (
                    f"protection {protection.name}{where}: lock holds {locked} points for {plural(lock.days, 'day')}, "
                    f"keep wants {wanted}: prune could not let the others go in time. "
                    f"What fits: {shorter}keep: {{days: {lock.days}}}"
                )


def automatic_notes(coverage: Coverage) -> Iterator[str]:
    counted: Mapping[str, int] = {
        disk.disk: disk.automatic for disks in coverage.values() for disk in disks if disk.automatic
    }
    if counted:
        fullest = max(counted, key=lambda one: counted[one])
        yield (
            f"native policies hold snapshots of {plural(len(counted), 'disk')}, {counted[fullest]} of {fullest}: they "
            f"count against a quota of their own ({AUTOMATIC_QUOTA} a disk), not against this policy's"
        )


def largest(fits: Callable[[int], bool], most: int) -> int | None:
    """The largest number in 1..`most` that fits, when every smaller one fits too; None: not even 1."""
    if not fits(1):
        return None
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _days_locking(schedules: Sequence[Schedule], wanted: int, most: int) -> int | None:
    return largest(lambda count: most_within(schedules, timedelta(days=count)) <= wanted, most)
