"""Whether a disk has room for another snapshot, and whether a slot that waits for room has been overtaken."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from itertools import islice
from typing import Final

from shared.domain.ids import DiskId, OperationId
from shared.domain.inventory import SnapshotState
from shared.domain.operation import OperationKind
from shared.domain.policy import Overlap, Protection
from shared.domain.schedule import slots
from shared.ports.compute import Snapshots
from shared.state.journal import Journal
from shared.usecases.requests import BackUpRequest

CLOUD_ALLOWS: Final = 10
"""Unfinished snapshots per disk of the ESSD family; other disks take one. Whoever asks for more is refused as busy.
Source: ECS limits, read 2025."""
SERVED: Final = "serve"
"""The step of a restore from which on its instance serves again."""
LOOKED_FOR: Final = 3
"""Of the slots that fell due meanwhile, so many of the newest are looked up: some may have been skipped themselves."""


def busy(snapshots: Snapshots, overlap: Overlap, disks: Collection[DiskId]) -> frozenset[DiskId]:
    """Those of `disks` that have `at_most` or more unfinished snapshots. One listing of what is under way in the
    region; nothing is asked when the policy's bound is the cloud's, which refuses by itself."""
    if overlap.at_most >= CLOUD_ALLOWS or not disks:
        return frozenset()
    under_way = Counter(one.disk for one in snapshots.list(state=SnapshotState.PROGRESSING) if one.disk in disks)
    return frozenset(disk for disk, count in under_way.items() if count >= overlap.at_most)


def restores_under_way(journal: Journal) -> dict[str, OperationId]:
    """By instance: those that have not brought it back into service. The cloud rewrites no disk of which any snapshot
    is unfinished, so that one begun meanwhile would keep the instance down. One that waits for an operator holds
    nothing up. A range read, and a read of each."""
    unread: list[OperationId] = []  # told of by function recover
    found = journal.open_of(OperationKind.RESTORE, sweep=False, damaged=unread)
    return {one.subject: one.id for one in found if not any(step.name == SERVED for step in one.steps)}


def overtaken_by(journal: Journal, protection: Protection, request: BackUpRequest, now: datetime) -> datetime | None:
    """The newest later slot of the same schedule whose operation has begun."""
    schedule = next((one for one in protection.schedules if one.name == request.schedule), None)
    if schedule is None:
        return None
    later = list(slots(schedule, after=request.due, until=now))
    for due in islice(reversed(later), LOOKED_FOR):
        other = journal.find(BackUpRequest(protection=request.protection, schedule=request.schedule, due=due).id)
        if other is not None and other.steps:
            return due
    return None
