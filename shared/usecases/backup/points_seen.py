"""Look how far the snapshots of one operation are, and write what became usable, complete or failed meanwhile.

One batched look at everything that is under way. The journal learns that something was told only after it was: a call
that fails in between is repeated. When a point is complete, its locks and copies begin before that is told.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import CredentialsRejected, DrError, Forbidden, Permanent
from shared.domain.ids import DiskId, SnapshotGroupId, SnapshotId
from shared.domain.inventory import Snapshot, SnapshotState
from shared.domain.operation import Step, StepState
from shared.domain.policy import Policy, Protection
from shared.domain.provenance import ours
from shared.domain.retention import RestorePoint
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Compute
from shared.ports.store import Store
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.slots import Slot
from shared.usecases.backup import slot_ends
from shared.usecases.backup import take_steps as steps
from shared.usecases.backup.locking import lock_point
from shared.usecases.backup.slot_ends import ENDS, FAILED_IN_CLOUD, Origin, Reason
from shared.usecases.backup.slot_rows import SlotRows
from shared.usecases.copies.copying import open_copies
from shared.usecases.operations import ClaimLost, Done, Escalated, Outcome, Resume, Work

FIRST_LOOK: Final = timedelta(seconds=15)
LONGEST_PAUSE: Final = timedelta(minutes=10)
VANISHED_AFTER: Final = timedelta(minutes=10)
"""A snapshot that is not listed this long after its creation was accepted is gone, not just not yet shown."""
COMPLETE_WITHIN: Final = timedelta(hours=48)
"""A first full snapshot of a large, slow disk takes many hours; beyond this a human looks."""
LOOK_AFTER_FOR: Final = timedelta(days=30)
"""So long what a human was asked about is still looked at; then it counts as failed, and prune may take it away."""
LOOK_AFTER_EVERY: Final = timedelta(hours=6)
TAGGED_AT_ONCE: Final = 50
"""Source: ECS API, TagResources, read 2026-03."""
VANISHED: Final = "its snapshot vanished from the cloud"
UNSEEN: Final = (
    "none of its snapshots was ever shown: may the backup role call ecs:DescribeSnapshots and "
    "ecs:DescribeSnapshotGroups (without them the cloud answers an empty list)?"
)


class PointsSeen:
    """One run's look."""

    def __init__(
        self,
        work: Work,
        origin: Origin,
        policy: Policy,
        protection: Protection,
        *,
        cloud: Compute,
        store: Store,
        rows: SlotRows,
        clock: Clock,
        wake: Callable[[Sequence[str]], None],
    ) -> None:
        self._work, self._origin, self._policy, self._protection = work, origin, policy, protection
        self._cloud, self._store, self._rows, self._clock = cloud, store, rows, clock
        self._wake = wake

    def run(self) -> Outcome:
        now = self._clock.now()
        work = self._work
        under_way = [step for step in steps.points(work.operation, StepState.DONE) if _open(step)]
        sets = self._snapshots(under_way)
        wanted = [one for members in sets.values() for one in members]
        seen = {found.id: found for found in self._cloud.snapshots.list(ids=wanted)} if wanted else {}
        blind = not seen and not any(slot_ends.USABLE in step.data for step in work.operation.steps)
        ends: list[Slot] = []
        made: list[RestorePoint] = []
        bare: list[SnapshotId] = []
        told: list[Step] = []
        for step in under_way:
            found = [seen[one] for one in sets.get(step.name, ()) if one in seen]
            whole = bool(found) and len(found) == len(sets[step.name])
            lost = self._lost(step, found, whole, blind, now)
            if not whole and not lost:
                continue
            point = slot_ends.restore_point(self._origin, step, found, now, lost=lost)
            if step.data.get(steps.TOLD, "") == slot_ends.state(point):
                continue
            bare += [snapshot.id for snapshot in found if not ours(snapshot.tags)]
            made.append(point)
            failed = slot_ends.failed_in_cloud(found)
            if steps.TOLD not in step.data or failed:
                ends.append(slot_ends.end(self._origin, step, point, now, FAILED_IN_CLOUD if failed else lost))
            told.append(slot_ends.told(step, point, _reason(lost, failed) if point.failed else ""))
        unmarked = self._own(bare)
        if unmarked:
            # They do not count yet; the next look may be able to mark them.
            later = {
                one.subject for one in made if not one.failed and not unmarked.isdisjoint(dict(one.disks).values())
            }
            made = [one for one in made if one.subject not in later]
            ends = [one for one in ends if one.subject not in later]
            told = [one for one in told if steps.instance(one) not in later]
        self._tell_failed(ends, made, told, now)
        if self._overdue(now):
            ends += self._not_usable({step.name for step in told}, now)
        self._rows.write(self._origin, ends, made)
        work.learn(*(step for step in told if self._followed_up(made, step)))
        return self._outcome(now)

    def _lost(self, step: Step, found: Sequence[Snapshot], whole: bool, blind: bool, now: datetime) -> str:
        """Why it will never be a restore point; empty: it may be, or is."""
        if whole and steps.VOID in step.data:
            return step.data[steps.VOID]
        if self._origin.request.after and now - self._work.operation.created > LOOK_AFTER_FOR:
            return "" if whole and _all_complete(found) else f"not complete after {LOOK_AFTER_FOR.days} days"
        if whole or now - step.at <= VANISHED_AFTER:
            return ""
        if blind:
            # Seeing nothing at all is what a missing permission looks like: nothing is concluded from it for long.
            return UNSEEN if self._overdue(now) else ""
        return VANISHED

    def _tell_failed(self, ends: list[Slot], made: list[RestorePoint], told: list[Step], now: datetime) -> None:
        for step in steps.points(self._work.operation, StepState.FAILED):
            if steps.TOLD in step.data:
                continue
            if steps.snapshots(step):
                made.append(slot_ends.abandoned(self._origin, step))
            request = self._origin.request
            ends.append(slot_ends.skipped(request, steps.instance(step), now, step.data["because"]))
            told.append(slot_ends.told_failed(step))

    def _not_usable(self, told: set[str], now: datetime) -> list[Slot]:
        because = f"not usable within {COMPLETE_WITHIN}; a human looks"
        return [
            slot_ends.skipped(self._origin.request, steps.instance(step), now, because)
            for step in steps.points(self._work.operation)
            if steps.TOLD not in step.data and step.name not in told
        ]

    def _overdue(self, now: datetime) -> bool:
        return not self._origin.request.after and now - self._work.operation.created > COMPLETE_WITHIN

    def _own(self, bare: Sequence[SnapshotId]) -> frozenset[SnapshotId]:
        """The tags of a group stay on the group; prune touches only snapshots that carry them. So before a point
        counts, its snapshots are marked: many in one call. Answers those that the cloud refuses to mark: one that was
        deleted a moment ago, or carries all the tags that one may, keeps no other from counting."""
        refused: dict[SnapshotId, str] = {}
        waiting = [bare[start : start + TAGGED_AT_ONCE] for start in range(0, len(bare), TAGGED_AT_ONCE)][::-1]
        while waiting:
            chunk = waiting.pop()
            self._work.may_act()
            try:
                self._cloud.instances.tag(chunk, resource_type="snapshot", tags=slot_ends.tags(self._origin, None))
            except Forbidden:
                raise
            except Permanent as refusal:
                middle = len(chunk) // 2
                if middle:
                    waiting += [chunk[middle:], chunk[:middle]]
                else:
                    refused[chunk[0]] = str(refusal)
        if refused:
            log.event("snapshot.unmarked", subject=self._origin.operation, because=sorted(set(refused.values())))
        return frozenset(refused)

    def _snapshots(self, under_way: Sequence[Step]) -> dict[str, tuple[SnapshotId, ...]]:
        """Of each step, once all of its disks are known to have one: as journalled, or as its group lists them (all
        groups are asked for in one go)."""
        sets: dict[str, tuple[SnapshotId, ...]] = {}
        asked: dict[SnapshotGroupId, list[Step]] = {}
        for step in under_way:
            if made := steps.snapshots(step):
                sets[step.name] = tuple(SnapshotId(one) for one in made.values())
            else:
                asked.setdefault(SnapshotGroupId(step.data[steps.GROUP]), []).append(step)
        if not asked:
            return sets
        for group in self._cloud.snapshots.groups(ids=list(asked)):
            of: dict[DiskId, SnapshotId] = dict(zip(group.disks, group.members, strict=True))
            for step in asked.get(group.id, ()):
                members = [of[disk] for disk in steps.disks(step) if disk in of]
                if len(members) == len(steps.disks(step)):
                    sets[step.name] = tuple(members)
        return sets

    # -- what follows from being complete --------------------------------------------------------------------------

    def _followed_up(self, made: Sequence[RestorePoint], step: Step) -> bool:
        """Lock it and begin its copies. False: to be done again by the next look, which tells the same once more."""
        point = next((one for one in made if one.subject == steps.instance(step)), None)
        if point is None or not point.complete or not point.usable:
            return True
        try:
            if self._protection.lock is not None:
                decision = lock_point(
                    self._work, self._cloud, Points(self._store), point, self._protection.lock, self._clock
                )
                log.decision(decision)
                self._rows.keep(point.subject, decision)
            if point.copy_to:
                journal = Journal(self._store, self._clock)
                self._wake(open_copies(journal, self._policy, point, self._clock.now()))
        except (ClaimLost, CredentialsRejected):
            raise
        except DrError as trouble:
            log.event("restore_point.waits", subject=point.id, because=[str(trouble)])
            return False
        return True

    def _outcome(self, now: datetime) -> Outcome:
        every = steps.points(self._work.operation)
        under_way = [step for step in every if _open(step)]
        if not under_way:
            return Done(result=summary(every))
        if self._overdue(now):
            return Escalated(
                because=f"{len(under_way)} restore points are not complete after {COMPLETE_WITHIN}",
                runbook="backup-does-not-complete",
                evidence=tuple(step.name for step in under_way),
            )
        if self._origin.request.after:
            return Resume(after=LOOK_AFTER_EVERY, because=f"{len(under_way)} restore points are not complete yet")
        youngest = now - max(step.at for step in under_way)
        return Resume(
            after=min(max(youngest / 2, FIRST_LOOK), LONGEST_PAUSE),
            because=f"{len(under_way)} restore points are under way",
        )


def summary(every: Sequence[Step]) -> dict[str, str]:
    """How many ended how, and the skipped ones by reason."""
    states = Counter(step.data[steps.TOLD] for step in every)
    reasons = Counter(step.data[steps.REASON] for step in every if step.data.get(steps.REASON))
    ended = {state: str(states[state]) for state in ENDS}
    return {**ended, **{f"skipped: {reason}": str(count) for reason, count in sorted(reasons.items())}}


def _open(step: Step) -> bool:
    return step.data.get(steps.TOLD) not in ENDS


def _all_complete(found: Sequence[Snapshot]) -> bool:
    return all(one.state is SnapshotState.ACCOMPLISHED for one in found)


def _reason(lost: str, failed: bool) -> str:
    if failed:
        return Reason.FAILED.value
    return Reason.NOT_FROZEN.value if lost.startswith("not application") else Reason.VANISHED.value
