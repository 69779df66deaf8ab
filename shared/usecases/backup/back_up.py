"""One slot of one protection: a restore point of each selected instance.

The steps of each instance stand on their own: one that fails is skipped with its reason and does not stop the others.
Call order of a first run: claim, read, journal the intents, create, journal the results. Of a later one: claim, one
batched look at everything that is under way, points and slots, journal. A slot of many disks is cut into shards, which
are operations of the same kind (`shards`); asking is `take`, looking is `points_seen`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from shared.domain.bundles import Member
from shared.domain.errors import CredentialsRejected, DrError, Forbidden, OutcomeUnknown, Permanent, Retryable
from shared.domain.operation import OperationKind, StepState
from shared.domain.policy import Policy, Protection, Then
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Clouds, Compute
from shared.ports.functions import Functions
from shared.ports.store import Store
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.usecases.backup import selecting, slot_ends
from shared.usecases.backup import take_steps as steps
from shared.usecases.backup.older_journal import of_older, translate
from shared.usecases.backup.overlapping import busy
from shared.usecases.backup.points_seen import COMPLETE_WITHIN, LONGEST_PAUSE, LOOK_AFTER_FOR, PointsSeen
from shared.usecases.backup.shards import DISKS_AT_MOST, Shards, is_coordinator
from shared.usecases.backup.slot_ends import CREATE_WITHIN, Origin, Reason
from shared.usecases.backup.slot_rows import SlotRows
from shared.usecases.backup.take import FIRST_LOOK, Take
from shared.usecases.copies.copying import regions
from shared.usecases.operations import ClaimLost, Escalated, Outcome, Refused, Resume, Work
from shared.usecases.requests import BackUpRequest

WOKEN_AT_ONCE: Final = 5
"""Copies that one look wakes; they wake the others as they go, and the timer finds those that nobody woke."""


class BackUp:
    """The recipe of operations of kind back_up."""

    kind = OperationKind.BACK_UP

    def __init__(
        self,
        *,
        clouds: Clouds,
        store: Store,
        policies: Policies,
        functions: Functions,
        clock: Clock,
        function: str = "backup",
        shard_disks: int = DISKS_AT_MOST,
        run: str = "",
        began: Callable[[], float] | None = None,
    ) -> None:
        """`function`: the one that executes these operations. `shard_disks`: of one operation at most. `began`: when
        this invocation did, on the monotonic clock (None: it begins with each operation)."""
        self._clouds = clouds
        self._store = store
        self._policies = policies
        self._functions = functions
        self._function = function
        self._clock = clock
        self._began = began or clock.monotonic
        self._shards = Shards(
            store=store, functions=functions, function=function, clock=clock, disks_at_most=shard_disks
        )
        self._rows = SlotRows(store, run=run)

    def advance(self, work: Work) -> Outcome:
        request = BackUpRequest.of(work.operation)
        policy = self._policies.at(work.operation.policy)
        protection = policy.protection(request.protection)
        if protection is None:
            return Refused(because=f"policy {work.operation.policy} has no protection named {request.protection}")
        origin = _origin(work, request, policy, protection)
        coordinates = is_coordinator(work.operation)
        if not work.operation.steps or (coordinates is not None and coordinates.state is StepState.INTENDED):
            refused = self._begin(work, origin, protection)
            if refused is not None:
                return refused
        if is_coordinator(work.operation) is not None:
            return self._shards.watch(work, request, fan_out=policy.limits.fan_out)
        try:
            return self._take_and_look(work, origin, policy, protection)
        except (ClaimLost, CredentialsRejected):
            raise
        except (Retryable, OutcomeUnknown, Permanent) as trouble:
            return self._troubled(work, origin, trouble)

    def _take_and_look(self, work: Work, origin: Origin, policy: Policy, protection: Protection) -> Outcome:
        cloud = self._clouds.at(origin.place)
        older = of_older(work.operation)
        if older:
            unseen = translate(work, older, cloud.snapshots, self._clock.now())
            if unseen is not None:
                return unseen
        take = Take(work, origin, protection, cloud=cloud, store=self._store, clock=self._clock, began=self._began())
        waiting = take.run()
        if take.started:
            return waiting or Resume(after=FIRST_LOOK, because="snapshots were started")
        if waiting is not None and not any(one.state is not StepState.INTENDED for one in steps.points(work.operation)):
            return waiting  # there is nothing to look at yet
        seen = PointsSeen(
            work,
            origin,
            policy,
            protection,
            cloud=cloud,
            store=self._store,
            rows=self._rows,
            clock=self._clock,
            wake=self._wake,
        ).run()
        if isinstance(seen, Escalated) and not origin.request.after:
            self._look_after(work, origin)
        if waiting is None or not isinstance(seen, Resume):
            return seen
        return replace(waiting, after=min(waiting.after, seen.after))

    # -- what to take ----------------------------------------------------------------------------------------------

    def _begin(self, work: Work, origin: Origin, protection: Protection) -> Refused | None:
        """Choose the instances and journal what is intended for each; or become the coordinator of shards.

        What keeps it from being begun is an end of the slot as well: at once when it is for good, else in an hour."""
        try:
            return self._plan(work, origin, protection, self._clouds.at(origin.place))
        except (ClaimLost, CredentialsRejected):
            raise
        except (Retryable, OutcomeUnknown, Forbidden) as trouble:
            if is_coordinator(work.operation) is not None or not self._late(work):
                raise
            return self._refused(origin, f"could not be begun within {CREATE_WITHIN}: {trouble}")
        except Permanent as refusal:
            return self._refused(origin, str(refusal))

    def _plan(self, work: Work, origin: Origin, protection: Protection, cloud: Compute) -> Refused | None:
        request = origin.request
        if request.shard:
            self._intend(work, protection, cloud, request.members, disks_seen=True)
            return None
        roll = selecting.call_the_roll(cloud.inventory, protection.select)
        now = self._clock.now()
        self._rows.write(origin, [slot_ends.skipped(request, one, now, because) for one, because in roll.absent])
        if is_coordinator(work.operation) is None:
            if not roll.members:
                return self._refused(origin, _nothing_selected(protection))
            if not self._shards.needed(roll.members):
                self._intend(work, protection, cloud, roll.members, disks_seen=roll.disks_seen)
                return None
            self._shards.begin(work)
        self._shards.open(work, request, roll.members)
        return None

    def _intend(
        self, work: Work, protection: Protection, cloud: Compute, members: Sequence[Member], *, disks_seen: bool
    ) -> None:
        now = self._clock.now()
        asked = {disk for member in members for disk in member.disks}
        full = busy(cloud.snapshots, protection.overlap, asked)
        held = {member.instance for member in members if not full.isdisjoint(member.disks)}
        planned = steps.plan(work.operation.id, members, held, now)
        others = {member.instance: member.others for member in members}
        for at, step in enumerate(planned):
            if step.name.startswith(steps.BUNDLE):
                continue
            if not steps.disks(step):
                because = _no_disk(protection, others[steps.instance(step)], disks_seen)
                planned[at] = steps.given_up(step, now, Reason.NO_DISK.value, because)
            elif steps.HELD in step.data and protection.overlap.then is Then.SKIP:
                because = f"overlap: its disks have {protection.overlap.at_most} unfinished snapshots or more"
                planned[at] = steps.given_up(step, now, Reason.OVERLAP.value, because)
        work.intend(*planned)

    def _refused(self, origin: Origin, because: str) -> Refused:
        """Nobody knows which instances: the slot's end is told of the protection, or of each instance of a shard."""
        now = self._clock.now()
        about: list[str] = [one.instance for one in origin.request.members] or [origin.request.protection]
        self._rows.write(origin, [slot_ends.skipped(origin.request, one, now, because) for one in about])
        return Refused(because=because)

    def _late(self, work: Work) -> bool:
        return self._clock.now() - work.operation.created > CREATE_WITHIN

    # -- what follows ----------------------------------------------------------------------------------------------

    def _troubled(self, work: Work, origin: Origin, trouble: DrError) -> Outcome:
        """Something kept the whole operation from being looked at. Its snapshots exist all the same: it never ends by
        that, but asks a human when its time is over, and each slot is told of."""
        now = self._clock.now()
        age = now - work.operation.created
        if age <= (LOOK_AFTER_FOR if origin.request.after else COMPLETE_WITHIN):
            if isinstance(trouble, Permanent) and not isinstance(trouble, Forbidden):
                log.event("operation.troubled", subject=work.operation.id, because=[str(trouble)])
                return Resume(after=LONGEST_PAUSE, because=str(trouble))
            raise trouble
        untold = [step for step in steps.points(work.operation) if steps.TOLD not in step.data]
        because = f"not usable within {COMPLETE_WITHIN}: {trouble}"
        ends = [slot_ends.skipped(origin.request, steps.instance(step), now, because) for step in untold]
        self._rows.write(origin, ends)
        if not origin.request.after:
            self._look_after(work, origin)
        left = [step for step in steps.points(work.operation) if step.data.get(steps.TOLD) not in slot_ends.ENDS]
        return Escalated(
            because=f"{len(left)} restore points cannot be looked at: {trouble}",
            runbook="backup-does-not-complete",
            evidence=tuple(step.name for step in left),
        )

    def _look_after(self, work: Work, origin: Origin) -> None:
        """A human is asked, and the operation ends with that question. What it left unfinished is looked at further by
        another one: a point that is never told complete or failed could never be pruned."""
        left = tuple(
            step
            for step in steps.points(work.operation, StepState.DONE)
            if step.data.get(steps.TOLD) not in slot_ends.ENDS
        )
        if left:
            after = replace(origin.request, after=True, members=())
            because = f"{len(left)} restore points of {work.operation.id} are not complete yet"
            now = self._clock.now()
            opened = after.operation(policy=work.operation.policy, now=now, because=because, steps=left)
            Journal(self._store, self._clock).open(opened)

    def _wake(self, operations: Sequence[str]) -> None:
        for operation in operations[:WOKEN_AT_ONCE]:
            try:
                self._functions.invoke_async(self._function, json.dumps({"operation": operation}).encode())
            except DrError as error:
                log.event("invocation.failed", subject=operation, because=[str(error)])  # the timer finds it


def _origin(work: Work, request: BackUpRequest, policy: Policy, protection: Protection) -> Origin:
    # What is looked after carries the tags of the operation that made it.
    made_by = replace(request, after=False).id
    return Origin(
        operation=made_by,
        policy=work.operation.policy,
        subject=work.operation.subject,
        request=request,
        place=policy.place(protection),
        copy_to=regions(policy, request.protection, request.schedule),
    )


def _no_disk(protection: Protection, others: int, disks_seen: bool) -> str:
    if others:
        return f"none of its {others} disks fits `disks` in the selection of protection {protection.name}"
    if disks_seen:
        return "no disk is attached to it"
    return (
        "no disk is attached to it, nor to any other instance of the selection: may the backup role call "
        "ecs:DescribeDisks (without it the cloud answers an empty list)?"
    )


def _nothing_selected(protection: Protection) -> str:
    return (
        f"selection of protection {protection.name} ({protection.select}) matches no instance: check its tags and ids, "
        "and that the backup role may call ecs:DescribeInstances (without it the cloud answers an empty list)"
    )
