"""One slot of one protection: a restore point of each selected instance.

The steps of each instance stand on their own: one that fails is skipped with its reason and does not stop the others.
Call order of a first run: claim, read, journal the intents, create, journal the results. Of a later one: claim, one
batched look at everything that is under way, points and slots, journal. A step that reads INTENDED at the start of a
run may have been sent: it is looked up by the operation's tag, and sent again only with its old token.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.errors import (
    Conflict,
    CredentialsRejected,
    Forbidden,
    OutcomeUnknown,
    Permanent,
    Retryable,
)
from shared.domain.ids import DiskId, InstanceId, SnapshotGroupId, SnapshotId
from shared.domain.inventory import Disk
from shared.domain.operation import OperationKind, Step, StepState
from shared.domain.policy import Protection
from shared.domain.retention import RestorePoint
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Clouds, Compute
from shared.ports.store import Store
from shared.state import codec, decisions, points, slots
from shared.state.controls import Controls, Pause
from shared.state.policies import Policies
from shared.state.slots import Slot, Slots, SlotState
from shared.usecases import selecting, slot_ends
from shared.usecases.operations import (
    ClaimLost,
    Done,
    Escalated,
    Outcome,
    Refused,
    Resume,
    Work,
    done,
    failed,
    intended,
)
from shared.usecases.requests import BackUpRequest
from shared.usecases.schedule_backups import SCOPE

FIRST_LOOK: Final = timedelta(seconds=15)
LONGEST_PAUSE: Final = timedelta(minutes=10)
CREATE_WITHIN: Final = timedelta(hours=1)
"""After this, a snapshot that could not be started is given up: the next slot is a better point than a late one."""
VANISHED_AFTER: Final = timedelta(minutes=10)
"""A snapshot that is not listed this long after its creation was accepted is gone, not just not yet shown."""
COMPLETE_WITHIN: Final = timedelta(hours=48)
"""A first full snapshot of a large, slow disk takes many hours; beyond this a human looks."""

TAGGED_AT_ONCE: Final = 50
"""Source: ECS API, TagResources, read 2026-03."""

_GROUP: Final = "group"
_SNAPSHOTS: Final = "snapshots"
_DISKS: Final = "disks"
_GROUPED: Final = "grouped"
_TROUBLE: Final = "trouble"  # why an intended step could not be started so far
_TOLD: Final = "told"  # the last state of a step's point that was written to points and slots


class BackUp:
    """The recipe of operations of kind back_up."""

    kind = OperationKind.BACK_UP

    def __init__(
        self,
        *,
        clouds: Clouds,
        store: Store,
        policies: Policies,
        clock: Clock,
        run: str = "",
    ) -> None:
        self._clouds = clouds
        self._store = store
        self._policies = policies
        self._clock = clock
        self._run = run

    def advance(self, work: Work) -> Outcome:
        request = BackUpRequest.of(work.operation)
        policy = self._policies.at(work.operation.policy)
        protection = policy.protection(request.protection)
        if protection is None:
            return Refused(because=f"policy {work.operation.policy} has no protection named {request.protection}")
        self._cloud: Compute = self._clouds.at(policy.place(protection))
        if not work.operation.steps:
            refused = self._begin(work, request, protection)
            if refused is not None:
                return refused
        waiting = self._create(work, request)
        if waiting is not None:
            return waiting
        return self._look(work, request)

    # -- what to take ----------------------------------------------------------------------------------------------

    def _begin(self, work: Work, request: BackUpRequest, protection: Protection) -> Refused | None:
        """Choose the instances, account for the slots this one stands in for, journal one intent per instance."""
        selected = selecting.select(self._cloud.inventory, protection.select)
        subjects = [instance.id for instance in selected.instances]
        now = self._clock.now()
        self._skip_missed(request, subjects or [request.protection], now)
        skipped = [slot_ends.skipped(request, one, now, selected.why(one)) for one in selected.absent]
        if not subjects:
            because = _nothing_selected(protection)
            self._write(work, [slot_ends.skipped(request, request.protection, now, because), *skipped], ())
            return Refused(because=because)
        self._write(work, skipped, ())
        disks = selecting.disks_of(self._cloud.inventory, selected.instances)
        work.intend(*(self._intent(work, one, disks[one]) for one in subjects))
        return None

    def _intent(self, work: Work, instance: InstanceId, disks: Sequence[Disk]) -> Step:
        name = f"snapshot:{instance}"
        grouped = selecting.groupable(disks) and len(disks) > 0
        ids = [disk.id for disk in disks]
        token = provenance.token(work.operation.id, name, 1, _GROUP if grouped else _DISKS, *ids)
        data = {_DISKS: json.dumps(ids), **({_GROUPED: "yes"} if grouped else {})}
        step = intended(name, token, self._clock.now(), data={"instance": instance, **data})
        return step if disks else failed(step, step.at, "no disk is attached to it")

    def _skip_missed(self, request: BackUpRequest, subjects: Sequence[str], now: datetime) -> None:
        """Slots that went by: never over an end that stands there. A tick that died before its cursor moved, or that
        raced with ours, may have taken one. While that operation may still write, each slot is written only if it is
        absent; those older than any open operation are looked up, then written in batches."""
        old: list[Slot] = []
        for because, missed in request.skipped.items():
            for due in missed:
                for subject in subjects:
                    slot = slot_ends.skipped(request, subject, now, because, due=due)
                    if now - due > COMPLETE_WITHIN + timedelta(days=1):
                        old.append(slot)
                    else:
                        Slots(self._store).skip(slot)
        if old:
            Slots(self._store).skip_unless_ended(old)

    # -- take it ---------------------------------------------------------------------------------------------------

    def _create(self, work: Work, request: BackUpRequest) -> Resume | None:
        """Start every snapshot that is intended and not started. None: nothing is left to start."""
        open_steps = work.steps(StepState.INTENDED)
        if not open_steps:
            return None
        if any(step.name in work.inherited for step in open_steps):
            self._find_sent(work, open_steps)
            open_steps = work.steps(StepState.INTENDED)
        late = self._clock.now() - work.operation.created > CREATE_WITHIN
        pause = Controls(self._store).read().paused(SCOPE) if open_steps else None
        waiting: Resume | None = None
        for step in open_steps:
            if late or pause is not None:
                work.learn(failed(step, self._clock.now(), _not_started(step, pause)))
                continue
            try:
                work.learn(self._start(work, request, step))
            except (ClaimLost, CredentialsRejected):
                raise
            except (Retryable, OutcomeUnknown, Forbidden) as trouble:
                # Throttled, its disk busy with another snapshot, no answer, or not permitted (which a role can be
                # mended from within the hour): the others may still go, this one is tried again.
                patience = trouble.retry_after if isinstance(trouble, Retryable) else None
                waiting = Resume(after=patience or FIRST_LOOK, because=str(trouble))
                tried = work.step(step.name)
                work.learn(replace(tried, data={**tried.data, _TROUBLE: str(trouble)}))
            except (Permanent, Conflict) as refusal:
                work.learn(failed(work.step(step.name), self._clock.now(), str(refusal)))
        if waiting is None and not late and pause is None and work.steps(StepState.DONE):
            waiting = Resume(after=FIRST_LOOK, because="snapshots were started")
        return waiting

    def _start(self, work: Work, request: BackUpRequest, step: Step) -> Step:
        instance = InstanceId(step.data["instance"])
        tags = _tags(work, request, instance)
        name = provenance.name(request.protection, request.schedule, f"{request.due:%Y%m%dT%H%MZ}", instance)
        if _GROUPED in step.data:
            work.may_act()
            disks: list[DiskId] = json.loads(step.data[_DISKS])
            group = self._cloud.snapshots.create_group(disks, name=name, tags=tags, token=step.token)
            return done(step, self._clock.now(), **{_GROUP: group})
        made: dict[str, str] = json.loads(step.data.get(_SNAPSHOTS, "{}"))
        for disk in json.loads(step.data[_DISKS]):
            if disk in made:
                continue
            work.may_act()
            token = provenance.token(work.operation.id, step.name, step.attempt, disk)
            made[disk] = self._cloud.snapshots.create(DiskId(disk), name=name, tags=tags, token=token)
            # Kept at once: when a later disk is refused, those made so far must be known to be taken away again.
            step = replace(step, data={**step.data, _SNAPSHOTS: json.dumps(made)})
            work.learn(step)
        return done(step, self._clock.now())

    def _find_sent(self, work: Work, steps: Sequence[Step]) -> None:
        """A crash, or a lost answer: what carries this operation's tag was made by it."""
        tag = {provenance.OPERATION: provenance.operation_tag(work.operation.id)}
        now = self._clock.now()
        groups: dict[str, SnapshotGroupId] = {}
        single: dict[str, dict[str, str]] = {}
        if any(_GROUPED in step.data for step in steps):
            for group in self._cloud.snapshots.groups(tags=tag):
                instance = group.tags.get(provenance.INSTANCE) or group.instance
                if instance:
                    groups[instance] = group.id
        if any(_GROUPED not in step.data for step in steps):
            for snapshot in self._cloud.snapshots.list(tags=tag):
                own = single.setdefault(snapshot.tags.get(provenance.INSTANCE, ""), {})
                own[snapshot.disk] = snapshot.id
        for step in steps:
            instance = step.data["instance"]
            if _GROUPED in step.data:
                if instance in groups:
                    work.learn(done(step, now, **{_GROUP: groups[instance]}))
            elif made := single.get(instance):
                found = {disk: made[disk] for disk in json.loads(step.data[_DISKS]) if disk in made}
                whole = len(found) == len(json.loads(step.data[_DISKS]))
                known = replace(step, data={**step.data, _SNAPSHOTS: json.dumps(found)})
                work.learn(done(known, now) if whole else known)

    # -- look how far it is ----------------------------------------------------------------------------------------

    def _look(self, work: Work, request: BackUpRequest) -> Outcome:
        """One batched look; write what became usable, complete or failed since the last one.

        The journal learns that something was told only after it was: a call that fails in between is repeated."""
        now = self._clock.now()
        under_way = [step for step in work.steps(StepState.DONE) if step.data.get(_TOLD) not in slot_ends.ENDS]
        sets = self._snapshot_ids(under_way)
        wanted = [one for members in sets.values() for one in members]
        seen = {found.id: found for found in self._cloud.snapshots.list(ids=wanted)} if wanted else {}
        ends: list[Slot] = []
        made: list[RestorePoint] = []
        bare: list[SnapshotId] = []
        told: list[Step] = []
        for step in under_way:
            found = [seen[one] for one in sets.get(step.name, ()) if one in seen]
            whole = bool(found) and len(found) == len(sets[step.name])
            gone = not whole and now - step.at > VANISHED_AFTER
            if not whole and not gone:
                continue
            point = slot_ends.restore_point(work.operation, request, step, found, gone, now)
            if step.data.get(_TOLD, "") == slot_ends.state(point):
                continue
            bare += [snapshot.id for snapshot in found if not provenance.ours(snapshot.tags)]
            made.append(point)
            if _TOLD not in step.data or slot_ends.failed_in_cloud(found):
                ends.append(slot_ends.end(request, point, now, found))
            told.append(_told(step, point))
        for step in work.steps(StepState.FAILED):
            if _TOLD not in step.data:
                if step.data.get(_SNAPSHOTS):
                    made.append(slot_ends.abandoned(work.operation, request, step, json.loads(step.data[_SNAPSHOTS])))
                ends.append(slot_ends.skipped(request, step.data["instance"], now, step.data["because"]))
                told.append(replace(step, data={**step.data, _TOLD: slot_ends.FAILED}))
        if self._overdue(work, now):
            open_ended = {step.name for step in work.operation.steps if _TOLD not in step.data}
            open_ended -= {step.name for step in told}
            because = f"not usable within {COMPLETE_WITHIN}; a human looks"
            ends += [
                slot_ends.skipped(request, work.step(name).data["instance"], now, because)
                for name in sorted(open_ended)
            ]
        self._own(work, request, bare)
        self._write(work, ends, made)
        work.learn(*told)
        return self._outcome(work, now)

    def _overdue(self, work: Work, now: datetime) -> bool:
        return now - work.operation.created > COMPLETE_WITHIN

    def _own(self, work: Work, request: BackUpRequest, bare: Sequence[SnapshotId]) -> None:
        """The tags of a group stay on the group; prune touches only snapshots that carry them. So before a point
        counts, its snapshots are marked: one call for the whole operation."""
        for start in range(0, len(bare), TAGGED_AT_ONCE):
            work.may_act()
            chunk = bare[start : start + TAGGED_AT_ONCE]
            self._cloud.instances.tag(chunk, resource_type="snapshot", tags=_tags(work, request, None))

    def _snapshot_ids(self, steps: Sequence[Step]) -> dict[str, tuple[SnapshotId, ...]]:
        """The snapshots of each step: as journalled, or as its group lists them (asked once, for all in one go)."""
        sets: dict[str, tuple[SnapshotId, ...]] = {}
        asked: dict[SnapshotGroupId, str] = {}
        for step in steps:
            if step.data.get(_SNAPSHOTS):
                sets[step.name] = tuple(SnapshotId(one) for one in json.loads(step.data[_SNAPSHOTS]).values())
            else:
                asked[SnapshotGroupId(step.data[_GROUP])] = step.name
        if asked:
            for group in self._cloud.snapshots.groups(ids=list(asked)):
                if group.members and group.id in asked:
                    sets[asked[group.id]] = group.members
        return sets

    def _outcome(self, work: Work, now: datetime) -> Outcome:
        under_way = [step for step in work.operation.steps if step.data.get(_TOLD) not in slot_ends.ENDS]
        if not under_way:
            states = Counter(step.data[_TOLD] for step in work.operation.steps)
            return Done(result={state: str(states[state]) for state in slot_ends.ENDS})
        if self._overdue(work, now):
            return Escalated(
                because=f"{len(under_way)} restore points are not complete after {COMPLETE_WITHIN}",
                runbook="backup-does-not-complete",
                evidence=tuple(step.name for step in under_way),
            )
        youngest = now - max(step.at for step in under_way)
        return Resume(
            after=min(max(youngest / 2, FIRST_LOOK), LONGEST_PAUSE),
            because=f"{len(under_way)} restore points are under way",
        )

    # -- what is remembered ----------------------------------------------------------------------------------------

    def _write(self, work: Work, ends: Sequence[Slot], made: Sequence[RestorePoint]) -> None:
        """Points, slots and decisions in one call: writing any of them again is harmless."""
        # Only what the cloud said itself may take an end back; what we conclude gives way to what stands there.
        sure = [end for end in ends if end.state is not SlotState.SKIPPED or end.because == slot_ends.FAILED_IN_CLOUD]
        sure += [end for end in ends if end not in sure and Slots(self._store).skip(end)]
        told = [slot_ends.decision(work.operation, end, self._run) for end in sure]
        for decision in told:
            log.decision(decision)
        kept = [decision for decision in told if not decision.acted]
        writes = [*points.writes(made), *slots.writes(sure), *decisions.rows(work.operation.subject, kept)]
        if writes:
            self._store.put_many(writes)


def _not_started(step: Step, pause: Pause | None) -> str:
    if pause is not None:
        return f"paused from {codec.second(pause.since)}: {pause.because}"
    return f"could not be started within {CREATE_WITHIN}: {step.data.get(_TROUBLE, 'nobody tried')}"


def _told(step: Step, point: RestorePoint) -> Step:
    usable = codec.moment(point.usable_since) if point.usable_since else ""
    snapshots = json.dumps(dict(point.disks))
    return done(step, step.at, **{_TOLD: slot_ends.state(point), slot_ends.USABLE: usable, _SNAPSHOTS: snapshots})


def _tags(work: Work, request: BackUpRequest, instance: InstanceId | None) -> dict[str, str]:
    return provenance.tags(
        work.operation.id,
        work.operation.policy,
        instance=instance,
        protection=request.protection,
        schedule=request.schedule,
        slot=request.due,
    )


def _nothing_selected(protection: Protection) -> str:
    return (
        f"selection of protection {protection.name} ({protection.select}) matches no instance: check its tags and ids, "
        "and that the backup role may call ecs:DescribeInstances (without it the cloud answers an empty list)"
    )
