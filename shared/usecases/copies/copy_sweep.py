"""The net under copies: opens those of points that became complete while nobody looked, and opens again those that a
human was asked about, once another policy is active or the human has acknowledged it.

It reads every restore point, so it runs a few times a day; whoever sees a point become complete opens its copies at
once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.ids import OperationId
from shared.domain.inventory import SnapshotState
from shared.domain.operation import Operation, OperationState
from shared.domain.place import Place
from shared.domain.retention import RestorePoint
from shared.ports.clock import Clock
from shared.ports.compute import Clouds
from shared.ports.store import Store
from shared.state.controls import Controls, Standing
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.usecases.copies.copy_point import UNDER
from shared.usecases.copies.copying import CopyRequest, requests

EVERY: Final = timedelta(hours=6)
CURSOR: Final = "copies"
AFTER: Final = timedelta(hours=49)
"""An incomplete point is looked at from this age on: until then the operation that took it does."""
POINTS_AT_ONCE: Final = 50


class CopySweep:
    def __init__(self, *, clouds: Clouds, store: Store, policies: Policies, clock: Clock) -> None:
        self._clouds = clouds
        self._policies = policies
        self._clock = clock
        self._controls = Controls(store)
        self._points = Points(store)
        self._journal = Journal(store, clock)

    def run(self) -> tuple[OperationId, ...]:
        """What was opened; nothing when the last sweep is not long ago. Every part of it may be repeated."""
        now = self._clock.now()
        standing = self._controls.read()
        last = standing.cursors.get(CURSOR)
        if standing.policy is None or (last is not None and now - last < EVERY):
            return ()
        opened: list[OperationId] = []
        unseen: list[RestorePoint] = []
        for point in self._points.all():
            if not point.uncopied or point.failed or point.copy_of:
                continue
            if point.complete:
                opened += self._open(point, standing, now)
            elif now - point.taken > AFTER:
                unseen.append(point)
            if len(unseen) >= POINTS_AT_ONCE:
                opened += self._look(unseen, standing, now)
                unseen.clear()
        opened += self._look(unseen, standing, now)
        # After the work: a sweep that died is repeated by the next tick.
        self._controls.advance(CURSOR, seen=last, to=now)
        return tuple(opened)

    def _open(self, point: RestorePoint, standing: Standing, now: datetime) -> Iterator[OperationId]:
        for asked in requests(self._policies.at(point.policy), point):
            if asked.region not in point.uncopied:
                continue
            newest, again = self._newest(asked)
            if newest is None:
                because = f"restore point {point.id} is complete"
            elif _gave_up(newest) and (mended := _mended(newest, standing)):
                because = mended
                self._journal.answered(newest)
                again += 1
            else:
                continue
            opened = self._journal.open(replace(asked, again=again).operation(now=now, because=because))
            yield opened.id

    def _newest(self, asked: CopyRequest) -> tuple[Operation | None, int]:
        """The last operation for this copy, and how many came before it."""
        again, newest = 0, self._journal.find(asked.id)
        while newest is not None and _gave_up(newest):
            later = self._journal.find(replace(asked, again=again + 1).id)
            if later is None:
                break
            again, newest = again + 1, later
        return newest, again

    def _look(self, unseen: Sequence[RestorePoint], standing: Standing, now: datetime) -> Iterator[OperationId]:
        """One batched look at each place: what is whole by now is written as complete, then copied."""
        by_place: dict[Place, list[RestorePoint]] = {}
        for point in unseen:
            place = point.place or Place(self._policies.at(point.policy).region)
            by_place.setdefault(place, []).append(point)
        for place, there in by_place.items():
            wanted = [snapshot for point in there for _, snapshot in point.disks]
            seen = {one.id: one.state for one in self._clouds.at(place).snapshots.list(ids=wanted)} if wanted else {}
            for point in there:
                states = {seen.get(snapshot) for _, snapshot in point.disks}
                if states != {SnapshotState.ACCOMPLISHED}:
                    continue
                since = point.usable_since or now
                whole = replace(point, usable=True, complete=True, usable_since=since, complete_since=now)
                self._points.put([whole])
                yield from self._open(whole, standing, now)


def _mended(ended: Operation, standing: Standing) -> str:
    """Why it is worth another attempt; empty: it is not."""
    if ended.id in standing.acknowledged:
        return f"{ended.id} was acknowledged"
    under = int(ended.result.get(UNDER, ended.policy))
    newer = standing.policy is not None and standing.policy > under
    return f"policy {standing.policy} is active now; the last attempt was made under {under}" if newer else ""


def _gave_up(operation: Operation) -> bool:
    return operation.state is OperationState.NEEDS_OPERATOR
