"""The deletions of one batch: oldest first, a whole snapshot group by one call where all of it goes.

It acts only for a short while after the cloud was looked at, on a clock that counts frozen time. Whether a point was
pinned meanwhile, and whether a pause or another policy came in between, is asked before each few calls: a pin, a pause
or a policy counts for every call that is sent `FRESH_FOR` (and the time of one reading) after it was written.
What slips through is expired, and looked at and guarded like the rest: no rule keeps it, and it is no disk's last.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from shared.domain.errors import CredentialsRejected, DrError, Forbidden, OutcomeUnknown, Permanent, Retryable
from shared.domain.ids import InstanceId, SnapshotGroupId, SnapshotId
from shared.domain.place import Place
from shared.domain.retention import RestorePoint
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Compute
from shared.state.points import Points
from shared.usecases.prune.prune_survey import Groups

ACT_WITHIN: Final = timedelta(minutes=4)
"""From looking to the last deletion of that batch."""
CALL_TIMEOUT: Final = timedelta(seconds=30)
FRESH_FOR: Final = timedelta(seconds=2)
CALLS: Final = 16
"""So long, and for so many calls, one reading of the controls and pins holds, whichever ends first. Two reads before
each call would take twice as long as the call itself; a call that is under way cannot be called back either."""


@dataclass(slots=True)
class Deletions:
    """What was done. `stopped`: why it ended early, if it did; `over`: so must the whole run."""

    stopped: str = ""
    over: bool = False
    pinned: set[tuple[InstanceId, str]] = field(default_factory=set)
    refused: dict[SnapshotId, str] = field(default_factory=dict)  # by the cloud, and why
    asked: set[SnapshotId] = field(default_factory=set)  # to go, whatever the answer was


@dataclass(slots=True)
class _Read:
    """One reading of the controls and pins."""

    at: float = -math.inf  # begun, on the monotonic clock, which also counts frozen time
    calls: int = 0  # that relied on it
    pinned: frozenset[tuple[InstanceId, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class _Unit:
    """What one call deletes, or with `group` None one call for each snapshot."""

    points: tuple[RestorePoint, ...]
    group: SnapshotGroupId | None = None


class Deleting:
    def __init__(self, *, points: Points, clock: Clock, overtaken: Callable[[], str], run: str) -> None:
        self._points = points
        self._clock = clock
        self._overtaken = overtaken
        self._run = run
        self._read = _Read()

    def delete(
        self, cloud: Compute, place: Place, expire: Sequence[RestorePoint], mixed: Groups, looked: float
    ) -> Deletions:
        """`looked`: when the cloud was, on the monotonic clock; `mixed`: groups of which something stays."""
        done = Deletions()
        self._read = _Read()
        try:
            for unit in self._units(cloud, place, expire, mixed):
                self._unit(cloud, unit, done, looked)
                if done.stopped:
                    break
        except Retryable as error:
            done.stopped = f"the cloud asks for patience: {error}"
        return done

    def delete_each(self, cloud: Compute, snapshots: Sequence[SnapshotId], looked: float) -> Deletions:
        """Those that no restore point holds."""
        done = Deletions()
        self._read = _Read()
        for snapshot in snapshots:
            if done.stopped or self._holds((), done, looked):
                break
            self._send(partial(cloud.snapshots.delete, snapshot), _Unit(()), done, snapshot)
        return done

    # -- what goes by one call -------------------------------------------------------------------------------------

    def _units(self, cloud: Compute, place: Place, expire: Sequence[RestorePoint], mixed: Groups) -> Iterator[_Unit]:
        whole = self._whole(cloud, place, expire, mixed)
        begun: set[SnapshotGroupId] = set()
        for point in expire:
            if point.group not in whole:
                yield _Unit((point,))
            elif point.group is not None and point.group not in begun:
                begun.add(point.group)
                yield _Unit(whole[point.group], point.group)

    def _whole(
        self, cloud: Compute, place: Place, expire: Sequence[RestorePoint], mixed: Groups
    ) -> dict[SnapshotGroupId | None, tuple[RestorePoint, ...]]:
        """Groups that go with all their members: the cloud shows no other member, and our records have no point that
        stays. Assumption: the members of a group are always shown in full."""
        by_group: dict[SnapshotGroupId, list[RestorePoint]] = {}
        for point in expire:
            if point.group is not None and not mixed.may_hold(place, point.group):
                by_group.setdefault(point.group, []).append(point)
        wanted = {group for group, points in by_group.items() if sum(len(one.disks) for one in points) > 1}
        if not wanted:
            return {}
        whole: dict[SnapshotGroupId | None, tuple[RestorePoint, ...]] = {}
        try:
            for shown in cloud.snapshots.groups(ids=sorted(wanted)):
                ours = {snapshot for point in by_group.get(shown.id, ()) for _, snapshot in point.disks}
                if len(shown.members) > 1 and ours >= set(shown.members):
                    whole[shown.id] = tuple(by_group[shown.id])
        except CredentialsRejected:
            raise
        except Forbidden as error:
            log.event("snapshot_group.unread", run=self._run, subject=str(place), because=[str(error)])
            return {}
        return whole

    # -- one call after the other ----------------------------------------------------------------------------------

    def _unit(self, cloud: Compute, unit: _Unit, done: Deletions, looked: float) -> None:
        if unit.group is not None and not self._holds(unit.points, done, looked):
            group = unit.group
            self._send(lambda: done.refused.update(cloud.snapshots.delete_group(group)), unit, done)
            return
        for point in unit.points:
            for at, (_, snapshot) in enumerate(point.disks):
                # Whoever pins a point of which a part is gone comes too late: it is expired, so the rest goes as well.
                if done.stopped or self._holds((point,) if at == 0 else None, done, looked):
                    break
                self._send(partial(cloud.snapshots.delete, snapshot), unit, done, snapshot)

    def _holds(self, points: Sequence[RestorePoint] | None, done: Deletions, looked: float) -> bool:
        """Whether a call about these must not be sent, for a reason that `done` then tells. None: one of them was
        begun, so only time is asked."""
        if done.stopped:
            return True
        if self._clock.monotonic() - looked + CALL_TIMEOUT.total_seconds() > ACT_WITHIN.total_seconds():
            done.stopped = f"what was seen is older than {ACT_WITHIN}; the next run looks again"
            return True
        if points is None:
            return False
        try:
            self._look_up(done)
        except Retryable as error:
            done.stopped = f"nobody can say whether it may go on: {error}"
        if done.stopped:
            done.over = True
            return True
        held = {point.key for point in points} & self._read.pinned
        done.pinned |= held
        return bool(held)

    def _look_up(self, done: Deletions) -> None:
        began = self._clock.monotonic()
        if began - self._read.at < FRESH_FOR.total_seconds() and self._read.calls < CALLS:
            return
        done.stopped = self._overtaken()
        if not done.stopped:
            self._read = _Read(at=began, pinned=self._points.pins())

    def _send(self, call: Callable[[], None], unit: _Unit, done: Deletions, snapshot: SnapshotId | None = None) -> None:
        every = [one for point in unit.points for _, one in point.disks] if snapshot is None else [snapshot]
        done.asked.update(every)
        self._read.calls += 1
        try:
            call()
        except OutcomeUnknown:
            return  # read back at the end
        except Retryable as error:
            done.stopped = f"the cloud asks for patience: {error}"
        except CredentialsRejected:
            raise
        except Permanent as error:
            self._refused(error, str(unit.group if snapshot is None else snapshot), every, done)

    def _refused(self, error: DrError, subject: str, every: Sequence[SnapshotId], done: Deletions) -> None:
        log.event("snapshot.not_deleted", run=self._run, subject=subject, because=[str(error)])
        done.refused.update(dict.fromkeys(every, str(error)))
        if isinstance(error, Forbidden):
            done.stopped = f"it is not allowed: {error}"
