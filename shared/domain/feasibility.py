"""Whether a policy can be kept at all, by arithmetic, before it is enabled.

Snapshots that Understudy makes count against a disk's quota of manual snapshots, and a full disk takes no new one: a
policy that looks generous ends, silently, as no backup.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from shared.domain.policy import Policy, Protection, Schedule
from shared.domain.retention import keeps_all
from shared.domain.schedule import due_slots

QUOTA: Final = 256
"""Manual snapshots per disk; CreateSnapshot makes such. Source: ECS, Limits of snapshots, read 2026."""
RESERVE: Final = 2
"""Of the quota, left for a safety snapshot before a rollback and one that an operator takes by hand."""

PLATFORM_RESTART: Final = timedelta(minutes=5)
"""Within about this, the platform itself restarts the instances of a failed host. A replacement that is built earlier
doubles a server that was coming back. Source: ECS, recovery of instances from failed hosts, read 2026-03."""

# An ordinary fortnight: what holds in it holds in every week without a night of daylight saving.
_START: Final = datetime(2026, 1, 5, tzinfo=UTC)
_WEEK: Final = timedelta(weeks=1)


def points_per_week(schedules: tuple[Schedule, ...]) -> int:
    return len(_ordinary(schedules, weeks=1))


def longest_pause(schedules: tuple[Schedule, ...]) -> timedelta:
    """The longest time between two due times of an ordinary week: the age a newest point reaches when all is well."""
    return max(later - earlier for earlier, later in pairwise(_ordinary(schedules, weeks=3)))


def most_points(protection: Protection) -> int | None:
    """How many points per disk `keep` holds at most once it is in balance; None: it grows without end."""
    keep = protection.keep
    if keeps_all(keep):
        return None
    counted = keep.last + keep.hourly + keep.daily + keep.weekly + keep.monthly + keep.yearly
    per_week = points_per_week(protection.schedules)
    by_age = 0 if keep.days is None else -(-keep.days * per_week // 7) + 1
    return max(1, by_age + counted)


def doubts(policy: Policy) -> tuple[str, ...]:
    """What will go wrong although every key of the policy is well-formed, each with numbers and a remedy."""
    found: list[str] = []
    for protection in policy.protections:
        most = most_points(protection)
        a_week = points_per_week(protection.schedules)
        if most is None or most > QUOTA - RESERVE:
            days = (QUOTA - RESERVE) * 7 / a_week
            holds = "grows without end" if most is None else f"holds up to {most} points"
            found.append(
                f"protection {protection.name}: keep {holds}, but a disk takes {QUOTA} snapshots: full after "
                f"{days:.1f} days, and then no new point can be made. Thin it, e.g. keep: {{hourly: 24, daily: 30}}"
            )
        pause = longest_pause(protection.schedules)
        if pause > protection.rpo_target:
            found.append(
                f"protection {protection.name}: its schedules leave {_hours(pause)} between two points, more than "
                f"rpo_target {_hours(protection.rpo_target)}. Add hours, or raise the target"
            )
    found += [
        f"rebuild {rule.name}: patience {int(rule.patience.total_seconds())} s is shorter than the platform's own "
        f"restart of a failed host, {_hours(PLATFORM_RESTART)}: the server would stand twice. Use 6m or more"
        for rule in policy.rebuilds
        if rule.patience < PLATFORM_RESTART
    ]
    return tuple(found)


def _ordinary(schedules: tuple[Schedule, ...], *, weeks: int) -> list[datetime]:
    until = _START + weeks * _WEEK
    return sorted({slot for one in schedules for slot in due_slots(one, after=_START, until=until)})


def _hours(length: timedelta) -> str:
    hours, rest = divmod(int(length.total_seconds()) // 60, 60)
    if not hours:
        return f"{rest} min"
    return f"{hours} h {rest:02} min" if rest else f"{hours} h"
