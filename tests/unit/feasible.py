"""Policies and disks for tests of feasibility."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared.domain.covered import Covered
from shared.domain.ids import DiskId, InstanceId
from shared.domain.policy import Policy, Protection, PruneLimits, Retention, Schedule, Selection

DAILY_LONG = timedelta(days=30)
EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
EVERY_HOUR = Schedule(name="hourly", hours=tuple(range(24)), weekdays=EVERY_DAY, zone="Asia/Shanghai")
NIGHTLY = Schedule(name="nightly", hours=(2,), weekdays=EVERY_DAY, zone="Asia/Shanghai")


def every(minutes: int, zone: str = "Asia/Shanghai", **more: Any) -> Schedule:
    return Schedule(
        name=f"every-{minutes}m",
        hours=tuple(range(24)),
        weekdays=EVERY_DAY,
        zone=zone,
        every=timedelta(minutes=minutes),
        **more,
    )


def protection(*schedules: Schedule, name: str = "p", **more: Any) -> Protection:
    made = Protection(
        name=name,
        select=Selection(tags={"a": "b"}),
        schedules=schedules or (EVERY_HOUR,),
        keep=Retention(hourly=24, daily=7),
        rpo_target=DAILY_LONG,
    )
    return replace(made, **more)


def policy(*protections: Protection, **more: Any) -> Policy:
    limits = PruneLimits(max_items=1, max_percent=1)
    made = Policy(region="cn-hangzhou", protections=protections, rebuilds=(), pairs=(), prune=limits)
    return replace(made, **more)


def disk(id_: str = "d-1", *, instance: str = "i-1", **more: Any) -> Covered:
    return replace(Covered(disk=DiskId(id_), instance=InstanceId(instance), size_gib=100), **more)
