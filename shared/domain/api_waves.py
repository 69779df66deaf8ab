"""How many API calls the slots of one minute need, and how many minutes they take within the allowed calls a minute.

What falls due in one minute is a wave: every schedule of every protection of the same account that is due then. The
cloud throttles by account, region and action; the slowest action decides.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from shared.domain.covered import Coverage, Covered
from shared.domain.ids import AccountName
from shared.domain.policy import ApiLimits, Policy, Protection
from shared.domain.timetable import ORDINARY, WEEK, due_times
from shared.domain.wording import length, plural

BUNDLE: Final = 16
"""Disks of one snapshot group call. Older pages of CreateSnapshotGroup say 16, newer ones 128, read 2026-03."""
TAGGED_AT_ONCE: Final = 50
LISTED_AT_ONCE: Final = 100
DISKS_LISTED_AT_ONCE: Final = 500
GROUPS_LISTED_AT_ONCE: Final = 10
LOOKS: Final = 3
"""At a wave, until all is complete: after a few seconds, minutes, and once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    account: AccountName
    at: datetime  # of an ordinary week
    protections: tuple[str, ...]
    calls: Mapping[str, int]  # by action
    minutes: int  # until all of them are made
    slowest: str  # the action that decides
    distance: timedelta  # to the next wave of the same account


def allowed(limits: ApiLimits, action: str) -> int:
    """Calls a minute that back-ups may make."""
    return max(1, limits.actions.get(action, limits.default) * (100 - limits.reserve_percent) // 100)


def calls(protection: Protection, disks: Sequence[Covered]) -> Counter[str]:
    """Of one slot of one protection."""
    essd = sum(one.stands_for for one in disks if one.essd)
    others = sum(one.stands_for for one in disks if not one.essd)
    instances = len({one.instance for one in disks if one.real}) or sum(one.stands_for for one in disks)
    groups = -(-essd // BUNDLE)
    made: Counter[str] = Counter()
    made["CreateSnapshotGroup"] = groups
    made["CreateSnapshot"] = others
    made["DescribeInstances"] = max(1, -(-instances // LISTED_AT_ONCE))
    made["DescribeDisks"] = max(1, -(-(essd + others) // DISKS_LISTED_AT_ONCE))
    made["TagResources"] = -(-essd // TAGGED_AT_ONCE)
    made["DescribeSnapshotGroups"] = LOOKS * -(-groups // GROUPS_LISTED_AT_ONCE)
    made["DescribeSnapshots"] = LOOKS * -(-(essd + others) // LISTED_AT_ONCE)
    made["CopySnapshot"] = len(protection.copies) * (essd + others)
    if protection.lock is not None:
        made["LockSnapshot"] = essd + others
    if protection.freeze is not None:
        made["RunCommand"] = 2 * -(-instances // LISTED_AT_ONCE)
        made["DescribeInvocationResults"] = LOOKS * 2 * -(-instances // 50)
    return +made


def waves(policy: Policy, coverage: Coverage) -> tuple[Wave, ...]:
    """Of an ordinary week, the slowest first, one for each set of protections that fall due together."""
    due: dict[tuple[AccountName, datetime], list[Protection]] = {}
    for protection in policy.protections:
        for slot in due_times(protection, after=ORDINARY, until=ORDINARY + 2 * WEEK):
            due.setdefault((protection.account, slot), []).append(protection)
    by_protection = {one.name: calls(one, coverage.get(one.name, ())) for one in policy.protections}
    found: dict[tuple[AccountName, tuple[str, ...]], Wave] = {}
    moments: dict[AccountName, list[datetime]] = {}
    for account, slot in sorted(due):
        moments.setdefault(account, []).append(slot)
    for account, slots in moments.items():
        for slot, following in zip(slots, [*slots[1:], None], strict=True):
            if following is None:
                continue
            together = due[account, slot]
            names = tuple(one.name for one in together)
            distance = following - slot
            seen = found.get((account, names))
            if seen is None or distance < seen.distance:
                needed = sum((by_protection[one.name] for one in together), Counter[str]())
                found[account, names] = _wave(account, slot, names, needed, policy.limits, distance)
    return tuple(sorted(found.values(), key=lambda one: (-one.minutes, one.at)))


def _wave(
    account: AccountName,
    at: datetime,
    names: tuple[str, ...],
    needed: Counter[str],
    limits: ApiLimits,
    distance: timedelta,
) -> Wave:
    minutes = {action: -(-count // allowed(limits, action)) for action, count in needed.items()}
    slowest = max(minutes, key=lambda one: (minutes[one], needed[one])) if minutes else ""
    return Wave(
        account=account,
        at=at,
        protections=names,
        calls=dict(needed),
        minutes=minutes.get(slowest, 0),
        slowest=slowest,
        distance=distance,
    )


def spread(protection: str, found: Sequence[Wave]) -> timedelta:
    """How much later than the first the last instance of a slot of `protection` is begun, at the slowest wave."""
    minutes = max((one.minutes for one in found if protection in one.protections), default=1)
    return timedelta(minutes=max(0, minutes - 1))


def wave_doubts(policy: Policy, found: Sequence[Wave]) -> Iterator[str]:
    for wave in found:
        if timedelta(minutes=wave.minutes) <= wave.distance:
            continue
        limits = policy.limits
        count = wave.calls[wave.slowest]
        have = allowed(limits, wave.slowest)
        minutes = max(1, int(wave.distance.total_seconds() // 60))
        fits = ceil(ceil(count / minutes) * 100 / max(1, 100 - limits.reserve_percent))
        yield (
            f"protection{'s' if len(wave.protections) > 1 else ''} {', '.join(wave.protections)}: what falls due at "
            f"once needs {plural(count, 'call')} of {wave.slowest}, and limits allow {have} a minute "
            f"({limits.actions.get(wave.slowest, limits.default)} less {limits.reserve_percent} % for recovery): "
            f"{plural(wave.minutes, 'minute')}, but the next slot is {length(wave.distance)} later. What fits: "
            f"limits: {{actions: {{{wave.slowest}: {fits}}}}} if the account has it, other minutes for some schedules, "
            "or longer intervals"
        )
