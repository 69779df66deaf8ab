"""Rebuilds of one lost instance whose image is ready, each of what it can have. The platform was told not to restart
it, so that the verdict comes at once and no patience is in the figures."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from bench.recovery.required import REBUILD, required
from bench.recovery.run import Measured, at
from bench.recovery.watch import NOTHING, Watch
from bench.recovery.worlds import CHECKS, WITHOUT_DATA, watched
from shared.domain.ids import InstanceId
from shared.domain.operation import Operation, OperationState
from shared.domain.policy import Address
from shared.usecases.recovery import rebuild_run as step
from tests.usecases.rebuild_world import ALONE, AT_ONCE, IN_I, RebuildWorld
from tests.usecases.recovery_world import BOOTED, WEB_1, WEB_2, H

NEW_ADDRESS: Final = replace(AT_ONCE, address=Address.NEW)
FULL: Final = WITHOUT_DATA.replace("members: []", "members: [{instance: i-web-2}]").replace(
    "min: 0\n    max: 1", "min: 1\n    max: 1"
)
"""Its scaling group is full, and at its minimum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    name: str
    build: Callable[[], RebuildWorld]
    lost: InstanceId = WEB_1
    disks: tuple[str, ...] = ()  # that move
    public: int = 0
    group: bool = False
    times: Mapping[str, int] = field(default_factory=dict)  # of `REBUILD`


def _elsewhere() -> RebuildWorld:
    world = RebuildWorld(replace(AT_ONCE, elsewhere=(IN_I,)), stands=ALONE)
    world.take_points()
    world.cloud.ecs.set_stock(H, "ecs.g7.large", 0)
    return world


def _public() -> RebuildWorld:
    world = RebuildWorld(stands=WITHOUT_DATA)
    world.give_public_address(WEB_1)
    return world


def _everything() -> RebuildWorld:
    world = RebuildWorld(stands=ALONE)
    world.give_public_address(WEB_1)
    return world


def _in_a_group() -> RebuildWorld:
    world = RebuildWorld(stands=FULL)
    world.run_recovery(minutes=6)  # the tick has seen it there
    return world


POOL: Final = {"each pool of no group": 1}
KEPT: Final = POOL | {"address kept": 1}
DISK: Final = {"each data disk that moves": 1}
EIP: Final = {"each public address": 1}
GROUP: Final = {"member of a scaling group": 1, "group full at its minimum": 1}
REFUSED: Final = {"each place that has no stock": 1}

VARIANTS: Final = (
    Variant(
        name="behind a balancer, new address",
        build=lambda: RebuildWorld(NEW_ADDRESS, stands=WITHOUT_DATA),
        times=POOL,
    ),
    Variant(name="address kept", build=lambda: RebuildWorld(stands=WITHOUT_DATA), times=KEPT),
    Variant(
        name="disks attached again",
        build=lambda: RebuildWorld(stands=ALONE),
        disks=("d-web-1-data",),
        times=KEPT | DISK,
    ),
    Variant(name="public address", build=_public, public=1, times=KEPT | EIP),
    Variant(name="everything kept", build=_everything, disks=("d-web-1-data",), public=1, times=KEPT | DISK | EIP),
    Variant(name="from points in another zone", build=_elsewhere, times=KEPT | REFUSED),
    Variant(
        name="member of a scaling group", build=_in_a_group, lost=WEB_2, group=True, times=GROUP | {"address kept": 1}
    ),
)


def run(variant: Variant, seed: int) -> Measured:
    world = variant.build()
    watch = watched(world, seed)
    world.lose(variant.lost)
    done = world.ended(variant.lost, minutes=15)
    if done.state is not OperationState.DONE:
        return Measured(name=variant.name, seed=seed, failed=f"{done.state}: {done.result.get('because', '')}")
    verdict, served = at(done, step.LOOK), at(done, step.SERVE)
    ended = max(one.at for one in done.steps)
    return Measured(
        name=variant.name,
        seed=seed,
        took=served - verdict,
        critical=critical(variant, watch, done),
        changes=watch.changed(done.created, ended),
        required=required(REBUILD, **{"always": 1, "old one that does not read Stopped": 1, **variant.times}),
        planning=watch.read(done.created, verdict),
        looks=_looks(watch, verdict, served),
        phases={name: at(done, name) - verdict for name in SHOWN},
    )


def _looks(watch: Watch, verdict: datetime, served: datetime) -> Counter[str]:
    """Reads after the moment of the verdict until service. What is read of the group at the very moment of service is
    for the old one to leave it, which nobody waits for."""
    after = watch.read(served, served)
    leaving = Counter({action: count for action, count in after.items() if action.startswith("DescribeScaling")})
    return watch.read(verdict + timedelta(microseconds=1), served) - leaving


SHOWN: Final = (step.FENCE, step.CREATE, step.BOOT, step.DISKS, step.ANSWER, step.ATTACH, step.SERVE)


def critical(variant: Variant, watch: Watch, done: Operation) -> timedelta:
    """What the cloud itself needs from the verdict to service, if each call were sent at the very moment from which
    the cloud would take it, and everything took what it took in this run."""
    new = done.result["replacement"]
    fenced = watch.stopping(variant.lost)  # only one that is off cannot serve beside its successor
    runs = fenced + watch.booting(new)
    ready = runs
    for disk in variant.disks:
        free = fenced + watch.took(f"disk {disk} Available")
        ready = max(ready, max(runs, free) + watch.took(f"disk {disk} In_use"))
    answers = max(runs + BOOTED, ready)
    joined = answers + (watch.took("ess attach asg-web") if variant.group else NOTHING)
    healthy = joined + CHECKS
    public = watch.labels("eip ")
    for label in public[: variant.public]:
        healthy = max(healthy, max(answers, fenced + watch.took(label)) + watch.took(label, nth=1))
    return healthy
