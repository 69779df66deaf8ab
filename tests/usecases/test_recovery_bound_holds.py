"""The real use cases, with as many ticks lost as a bound allows: no newest point is ever older than it says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from shared.domain.assumptions import Assumptions, Known
from shared.domain.covered import Covered, is_essd
from shared.domain.ids import DiskId
from shared.domain.objectives import measure, worst_gap
from shared.domain.policy import Blackout, Protection, Schedule
from shared.domain.recovery_bound import Bound, recovery_bound
from tests.usecases.backup_world import APPLICATIONS, MASTERS, START, World, a_policy

TICK = timedelta(minutes=5)
EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
DISKS = {"applications": ("d-a-sys", "d-a-data", "d-b-sys", "d-b-data"), "masters": ("d-m-sys",)}


def every(minutes: int, zone: str = "UTC") -> Schedule:
    return Schedule(
        name="fine", hours=tuple(range(24)), weekdays=EVERY_DAY, zone=zone, every=timedelta(minutes=minutes)
    )


def run(world: World, *, until: datetime, seed: int, lost: int) -> None:
    """`schedule` ticks every five minutes; of those, up to `lost` in a row never come. Nothing is pruned: the points
    stay as witnesses."""
    chance = Random(seed)
    at, missing = world.clock.now() + TICK, 0
    while at <= until:
        missing = missing + 1 if missing < lost and chance.random() < 0.5 else 0
        if not missing:
            world.cloud.clock.call_at(at, lambda: world.invoke(world.schedule))
        if not (at - START) % (2 * TICK):
            world.cloud.clock.call_at(at, lambda: world.invoke(world.backup))
        at += TICK
    world.cloud.clock.advance(until - world.clock.now())


def bound_of(world: World, protection: Protection, *, since: datetime, lost: int) -> Bound:
    """From what was measured in this very run."""
    found = world.here.inventory.disks()
    disks = [
        Covered(disk=one.id, instance=one.instance, size_gib=one.size_gib, essd=is_essd(one.category))
        for one in found
        if one.id in DISKS[protection.name]
    ]
    known = Known(measured=measure(world.points(), since=START), assumptions=Assumptions(ticks_lost=lost))
    return recovery_bound(protection, disks=disks, known=known, since=since)


def worst_of(world: World, protection: Protection) -> timedelta:
    """Of any of its disks, from the first usable point on."""
    points = [one for one in world.points() if one.protection == protection.name]
    ages = []
    for disk in DISKS[protection.name]:
        first = min(one.usable_since or one.taken for one in points if DiskId(disk) in dict(one.disks) and one.usable)
        gap = worst_gap(points, disk=DiskId(disk), start=first, end=world.clock.now())
        assert gap.covered
        ages.append(gap.length)
    return max(ages)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("schedule", "lost"),
    [
        pytest.param(every(60), 1, id="hourly"),
        pytest.param(every(15), 1, id="every quarter of an hour"),
        pytest.param(every(5), 2, id="every five minutes, two ticks lost in a row"),
    ],
)
def test_no_disk_is_ever_older_than_the_bound(schedule: Schedule, lost: int, seed: int) -> None:
    protections = tuple(replace(one, schedules=(schedule,)) for one in (APPLICATIONS, MASTERS))
    world = World(a_policy(*protections))
    run(world, until=START + timedelta(hours=15), seed=seed, lost=lost)

    for protection in protections:
        bound = bound_of(world, protection, since=START, lost=lost)
        worst = worst_of(world, protection)
        assert bound.length is not None
        assert worst <= bound.length, f"seed {seed}: {worst} is older than: {bound}"
        assert worst > bound.parts[0].length, "ticks were lost, so this was a test"


@pytest.mark.parametrize("night", ["2026-03-29", "2026-10-25"], ids=["a gap", "an hour comes twice"])
@pytest.mark.parametrize(
    "schedule",
    [replace(APPLICATIONS.schedules[0], zone="Europe/Berlin"), every(30, zone="Europe/Berlin")],
    ids=["hours", "interval"],
)
def test_it_holds_through_the_nights_of_daylight_saving(schedule: Schedule, night: str) -> None:
    protection = replace(APPLICATIONS, schedules=(schedule,))
    evening = datetime.fromisoformat(f"{night}T00:00").replace(tzinfo=UTC) - timedelta(hours=3)
    world = World(a_policy(protection))
    world.cloud.clock.advance(evening - START)
    run(world, until=evening + timedelta(hours=12), seed=7, lost=1)

    bound = bound_of(world, protection, since=evening, lost=1)
    assert bound.length is not None
    assert worst_of(world, protection) <= bound.length


@pytest.mark.parametrize("seed", range(4))
def test_it_holds_through_a_blackout(seed: int) -> None:
    """The slot just before it may miss its ticks, and then comes after it."""
    lunch = Blackout(name="batch", zone="UTC", weekdays=EVERY_DAY, begins=120, ends=240)
    protection = replace(APPLICATIONS, schedules=(every(10),), blackouts=(lunch,))
    world = World(a_policy(protection))
    run(world, until=START + timedelta(hours=8), seed=seed, lost=1)

    bound = bound_of(world, protection, since=START, lost=1)
    worst = worst_of(world, protection)
    assert bound.length is not None
    assert timedelta(hours=2) < worst <= bound.length, f"seed {seed}: {worst} is older than: {bound}"


def test_one_tick_more_than_the_budget_can_break_it() -> None:
    """So the bound is no looser than it says."""
    protection = replace(APPLICATIONS, schedules=(every(5),))
    broken = 0
    for seed in range(6):
        world = World(a_policy(protection))
        run(world, until=START + timedelta(hours=6), seed=seed, lost=3)
        bound = bound_of(world, protection, since=START, lost=1)
        assert bound.length is not None
        broken += worst_of(world, protection) > bound.length
    assert broken
