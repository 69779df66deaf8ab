"""A hundred instances in waves: how long it takes beside the cloud's own critical path, and what it asks for."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import accumulate

import pytest

from shared.domain.estimate import in_lanes
from shared.domain.ids import DiskId, InstanceId
from shared.domain.policy import PlanAction, PlanStep, Selection, Wave
from shared.state import codec
from tests.usecases.backup_world import a_fleet
from tests.usecases.plan_world import TAKES, PlanWorld, plan_policy

COUNT = 100
ALL = tuple(InstanceId(f"i-{at:04d}") for at in range(1, COUNT + 1))


def a_hundred(*, at_once: int) -> PlanWorld:
    def wave(name: str, some: tuple[InstanceId, ...]) -> Wave:
        step = PlanStep(name=name, action=PlanAction.RESTORE, select=Selection(ids=some), at_once=at_once)
        return Wave(name=name, steps=(step,), timeout=timedelta(hours=2))

    policy = plan_policy(wave("data", ALL[:40]), wave("apps", ALL[40:]))
    world = PlanWorld(replace(policy, rebuilds=()), stands=a_fleet(COUNT))
    for at, one in enumerate(ALL):
        world.point(one, DiskId(f"d-{one[2:]}-1"))
        world.takes[one] = TAKES + timedelta(seconds=at % 7 * 5)
    return world


@pytest.mark.parametrize("at_once", [10, 60])
def test_a_hundred_instances_take_little_longer_than_the_cloud_itself(at_once: int) -> None:
    world = a_hundred(at_once=at_once)
    run = world.run_plan()
    before = len(world.wire.labels)
    world.run_recovery(minutes=40)

    result = world.operation(run).result
    assert world.state(run) == "done", result
    critical = sum(
        (in_lanes([world.takes[one] for one in wave], at_once) for wave in (ALL[:40], ALL[40:])), timedelta()
    )
    took = float(result["rto_seconds"])
    assert took <= 1.3 * critical.total_seconds(), f"{took} s, the cloud alone {critical}"
    calls = Counter(world.wire.labels[before:])
    assert calls["inventory.instances"] < 40, "selections are judged per wave, not per instance"
    assert len(codec.dump(world.operation(run))) < 30_000
    children = [world.operation(one) for one in world.children()]
    assert len(children) == COUNT
    changes = sorted([(one.created, 1) for one in children] + [(one.steps[0].at, -1) for one in children])
    assert max(accumulate(change for _, change in changes)) <= at_once


def test_the_estimate_is_what_it_takes() -> None:
    world = a_hundred(at_once=10)
    shown = world.shown()
    run = world.run_plan()
    world.run_recovery(minutes=40)
    assert float(world.operation(run).result["rto_seconds"]) <= 1.3 * shown.takes.total_seconds()
