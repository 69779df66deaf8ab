"""Which instance of a rule's selection an image is made of.

One that runs, is not kept in isolation, and is in no recovery's hands. Of these the one that has stood longest: what
just took another's place may still be booting, or be the very thing that is broken. One of which the cloud announces
an event stands behind the others. All the same it is one server's state: what is written on its disks by itself (keys,
host names, queues) comes along.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.ids import InstanceId
from shared.domain.inventory import Instance, InstanceState
from shared.domain.operation import OperationKind
from shared.domain.policy import ImageRule
from shared.ports.compute import Compute
from shared.state.journal import Journal
from shared.usecases.backup.selecting import select

YOUNG: Final = timedelta(minutes=30)
ASKED_AT_MOST: Final = 5
"""Candidates whose events are looked at, one call each."""
RECOVERIES: Final = (OperationKind.REBUILD, OperationKind.RESTORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    instance: InstanceId
    because: str


def choose(cloud: Compute, journal: Journal, rule: ImageRule, now: datetime) -> Subject | str:
    """Or why there is none. Raises as the ports do."""
    selected = select(cloud.inventory, rule.of).instances
    if not selected:
        return (
            f"selection of images {rule.name} matches no instance: check its tags and ids, and that the backup role "
            "may call ecs:DescribeInstances (without it the cloud answers an empty list)"
        )
    running = [one for one in selected if one.state is InstanceState.RUNNING]
    if not running:
        return f"none of the {len(selected)} instances of images {rule.name} is running"
    held = {one.subject for one in journal.open_of(*RECOVERIES, damaged=[])}
    free = [one for one in running if one.id not in held]
    if not free:
        return f"recoveries are under way on every running instance of images {rule.name}"
    ordered = sorted(free, key=lambda one: (now - one.created < YOUNG, one.created, one.id))
    for one in ordered[:ASKED_AT_MOST]:
        if not _announced(cloud, one):
            return Subject(instance=one.id, because=_why(one, len(free), now))
    first = ordered[0]
    return Subject(instance=first.id, because=f"{_why(first, len(free), now)}; the cloud announces an event of it")


def _announced(cloud: Compute, instance: Instance) -> bool:
    return any(event.finished is None for event in cloud.inventory.system_events(instance.id))


def _why(one: Instance, of: int, now: datetime) -> str:
    young = ", though it is young" if now - one.created < YOUNG else ""
    among = f"of {of} that are, the one that has stood longest" if of > 1 else "the only one that is"
    return f"{one.id} is running and in no recovery's hands: {among}{young}"
