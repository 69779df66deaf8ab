"""What a policy costs a month, from prices that the operator keeps in one dated file.

A disk's snapshots form a chain: what its data takes up once, and the blocks that changed between the points that are
kept. Copies are such chains in another region, and the traffic that brings them there. It is an estimate for a policy
in balance; the bill also has what other tools keep.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

from shared.domain.api_waves import LOOKS
from shared.domain.assumptions import Assumptions, Known
from shared.domain.capacity import QUOTA, RESERVE, copied
from shared.domain.covered import Coverage, Covered
from shared.domain.overlap import DIVISORS
from shared.domain.policy import Policy, Protection, Retention, Schedule
from shared.domain.retention import keeps_all
from shared.domain.timetable import WEEK, longest, most_within, ordinary

MONTH: Final = timedelta(days=30)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
FUNCTION_CPU: Final = 0.5
FUNCTION_GB: Final = 0.5
"""As s.yaml deploys them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    value: float
    source: str = ""  # where it is published
    assumption: str = ""  # or what it was guessed from, to be replaced

    def __str__(self) -> str:
        return self.source or f"assumption: {self.assumption}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """In `currency`, of one day. `regions` differ from `everywhere` where they say so."""

    dated: date
    currency: str
    everywhere: Mapping[str, Price]
    regions: Mapping[str, Mapping[str, Price]] = field(default_factory=dict)

    def of(self, name: str, region: str = "") -> float:
        return self.regions.get(region, {}).get(name, self.everywhere[name]).value


NAMES: Final = (
    "snapshot_gib_month",
    "copy_gib",
    "function_unit",
    "function_units_per_10000_invocations",
    "function_units_per_cpu_second",
    "function_units_per_gb_second",
    "store_10000_read_units",
    "store_10000_write_units",
)
"""Every price that is needed; functions are billed in units of their own (CU)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one protection, a month."""

    protection: str
    disks: int
    storage_gib: float
    storage: float
    copy_storage: float
    traffic: float
    functions: float
    store: float
    halved: float | None = None  # in all, with half the interval; None: there is no finer one
    halved_every: timedelta | None = None

    @property
    def total(self) -> float:
        return self.storage + self.copy_storage + self.traffic + self.functions + self.store


def costs(policy: Policy, coverage: Coverage, known: Known, prices: Prices) -> tuple[Cost, ...]:
    return tuple(_cost(policy, one, coverage.get(one.name, ()), known, prices) for one in policy.protections)


def base(known: Known, prices: Prices) -> float:
    """The timers' own invocations, whatever is protected."""
    ticks = MONTH / known.assumptions.tick_every + MONTH / timedelta(minutes=10) + MONTH / known.assumptions.prune_every
    return _functions(ticks, known.assumptions, prices)


def _cost(policy: Policy, protection: Protection, disks: Sequence[Covered], known: Known, prices: Prices) -> Cost:
    now = _at_this_pace(policy, protection, disks, known, prices)
    faster = halved(protection)
    if faster is None:
        return now
    then = _at_this_pace(policy, faster, disks, known, prices)
    return replace(now, halved=then.total, halved_every=faster.schedules[0].every)


def _at_this_pace(
    policy: Policy, protection: Protection, disks: Sequence[Covered], known: Known, prices: Prices
) -> Cost:
    assumed = known.assumptions
    slots = MONTH / WEEK * len(ordinary(protection.schedules, weeks=1))
    gib = storage = copy_storage = traffic = 0.0
    for disk in _by_size(disks):
        chain = chain_gib(protection.keep, protection.schedules, disk, assumed) * disk.stands_for
        gib += chain
        storage += chain * prices.of("snapshot_gib_month", policy.region)
        for rule in protection.copies:
            schedules = copied(protection, rule)
            there = chain_gib(rule.keep, schedules, disk, assumed) * disk.stands_for
            copy_storage += there * prices.of("snapshot_gib_month", rule.region)
            moved = sum(assumed.changed_gib(disk.size_gib, gap) for gap in _gaps(schedules)) * (MONTH / WEEK)
            traffic += moved * disk.stands_for * prices.of("copy_gib", rule.region)
    count = sum(one.stands_for for one in disks)
    instances = len({one.instance for one in disks if one.real}) or count
    shards = max(1, -(-count // 200))
    per_slot = 1 + len(protection.copies)
    return Cost(
        protection=protection.name,
        disks=count,
        storage_gib=gib,
        storage=storage,
        copy_storage=copy_storage,
        traffic=traffic,
        functions=_functions(slots * shards * per_slot * (1 + LOOKS), assumed, prices),
        store=slots
        * instances
        * per_slot
        * assumed.store_units
        / 10_000
        * (prices.of("store_10000_read_units") + prices.of("store_10000_write_units")),
    )


def chain_gib(keep: Retention, schedules: Sequence[Schedule], disk: Covered, assumed: Assumptions) -> float:
    """What the cloud stores for one disk: a full snapshot, and each kept point's changes since the one before it."""
    changed = sum(assumed.changed_gib(disk.size_gib, gap) for gap in _kept_gaps(keep, schedules))
    return disk.size_gib * assumed.used_share + changed


def _by_size(disks: Sequence[Covered]) -> tuple[Covered, ...]:
    """One for each size, that stands for all of it."""
    counts: Counter[int] = Counter()
    for disk in disks:
        counts[disk.size_gib] += disk.stands_for
    first = {disk.size_gib: disk for disk in disks}
    return tuple(replace(first[size], stands_for=count) for size, count in sorted(counts.items()))


def halved(protection: Protection) -> Protection | None:
    """With half the time between two points, or the next finer interval that divides the day."""
    pause = longest(ordinary(protection.schedules, weeks=3))
    finer = [every for every in DIVISORS if pause is not None and every <= pause.length / 2]
    if not finer:
        return None
    first = protection.schedules[0]
    every = Schedule(
        name=first.name, hours=tuple(range(24)), weekdays=tuple(range(1, 8)), zone=first.zone, every=finer[-1]
    )
    # Those that are named by a copy keep their own times: what is copied does not change.
    named = {name for rule in protection.copies for name in rule.schedules}
    others = tuple(one for one in protection.schedules if one.name in named)
    return replace(protection, schedules=(every, *(one for one in others if one.name != first.name)))


def _gaps(schedules: Sequence[Schedule]) -> list[timedelta]:
    """Of an ordinary week."""
    slots = ordinary(schedules, weeks=2)
    per_week = len(slots) // 2
    return [later - earlier for earlier, later in pairwise(slots[: per_week + 1])]


def _kept_gaps(keep: Retention, schedules: Sequence[Schedule]) -> Iterator[timedelta]:
    per_week = max(1, len(ordinary(schedules, weeks=1)))
    interval = WEEK / per_week
    room = QUOTA - RESERVE
    if keeps_all(keep):
        yield from [interval] * room  # the quota ends it
        return
    newest = max(keep.last, most_within(schedules, timedelta(days=min(keep.days, 3650))) if keep.days else 0)
    yield from [interval] * min(room, newest)
    for count, gap in (
        (keep.hourly, _HOUR),
        (keep.daily, _DAY),
        (keep.weekly, WEEK),
        (keep.monthly, MONTH),
        (keep.yearly, timedelta(days=365)),
    ):
        yield from [max(gap, interval)] * min(room, count)


def _functions(invocations: float, assumed: Assumptions, prices: Prices) -> float:
    seconds = invocations * assumed.function_seconds
    units = (
        invocations / 10_000 * prices.of("function_units_per_10000_invocations")
        + seconds * FUNCTION_CPU * prices.of("function_units_per_cpu_second")
        + seconds * FUNCTION_GB * prices.of("function_units_per_gb_second")
    )
    return units * prices.of("function_unit")
