"""One complete restore point into one other region: a copy of each of its snapshots, then a point of their own.

Call order of a first run: claim, stand in line, journal the intents, copy, journal the results. Of a later one: claim,
one batched look in the target region; when all are complete the point of the copy, its locks, and only then the word
that the source waits no longer, because prune lets the source go from that moment on.

Whether the source is gone is the cloud's answer to CopySnapshot, never an empty list: that would also be the answer to
a role without permission. A step that reads INTENDED at the start of a run may have been sent: it is looked up by its
tag in the target region, and sent again only with its old token.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.errors import (
    Conflict,
    CredentialsRejected,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    Permanent,
    Retryable,
)
from shared.domain.ids import DiskId, SnapshotId
from shared.domain.inventory import SnapshotState
from shared.domain.operation import OperationKind, Step, StepState
from shared.domain.policy import CopyRule
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Clouds, Compute
from shared.ports.functions import Functions
from shared.ports.store import Store
from shared.state import codec
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.lines import Place
from shared.state.points import Points
from shared.state.policies import Policies
from shared.usecases.backup.locking import lock_point
from shared.usecases.backup.schedule_backups import SCOPE
from shared.usecases.copies import copy_steps as steps
from shared.usecases.copies import copying
from shared.usecases.copies.copy_steps import COMPLETE, COPY, DISK, FAILED, KEY, SNAPSHOT, TROUBLE
from shared.usecases.copies.copying import CopyRequest
from shared.usecases.in_line import InLine
from shared.usecases.operations import (
    ClaimLost,
    Done,
    Escalated,
    Outcome,
    Refused,
    Resume,
    Work,
    done,
)
from shared.usecases.tell_once import UNHEARD, TellOnce

COPIES_AT_ONCE: Final = 5
"""Snapshots on their way into one region of one account. Our own bound: the cloud documents none for snapshots, and
`understudy check` reckons with the same number."""
FIRST_LOOK: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(minutes=10)
MOST_ATTEMPTS: Final = 8
AGAIN_AFTER: Final = timedelta(minutes=5)
"""The first pause after a refusal or a failure; each further one is twice as long, about ten hours in all."""
VANISHED_AFTER: Final = timedelta(minutes=10)
GIVE_UP_AFTER: Final = timedelta(days=14)
"""A region may be out for days; what has not arrived by then, a human looks at."""
RUNBOOK: Final = "copy-does-not-complete"

UNDER: Final = "under"
"""Key in `Operation.result`: the policy version by whose rule it was last tried."""
LATE: Final = "copy.late"
BLOCKED: Final = "copy.blocked"
"""Decisions. Each is told once, so the operation's result has it under the same name."""


class CopyPoint:
    """The recipe of operations of kind copy."""

    kind = OperationKind.COPY

    def __init__(
        self,
        *,
        clouds: Clouds,
        store: Store,
        policies: Policies,
        functions: Functions,
        function: str,
        clock: Clock,
        run: str = "",
    ) -> None:
        self._clouds = clouds
        self._store = store
        self._policies = policies
        self._clock = clock
        self._run = run
        self._points = Points(store)
        self._told = TellOnce(Decisions(store), clock, run)
        self._line = InLine(store=store, functions=functions, function=function, clock=clock)

    def advance(self, work: Work) -> Outcome:
        request = CopyRequest.of(work.operation)
        place = steps.place(work.operation, request)
        try:
            outcome = self._go_on(work, request, place)
            work.note(UNHEARD, None)
        except (CredentialsRejected, ClaimLost):
            raise
        except (Retryable, OutcomeUnknown) as trouble:
            outcome = self._told.unheard(work, trouble)
        except Forbidden as refusal:
            because = f"{refusal}. Give the backup role this permission in {request.region} too"
            self._told.tell(work, BLOCKED, (because,), steps.inputs(request))
            outcome = Resume(after=LONGEST_PAUSE, because=because)
        except Permanent as refusal:
            outcome = _escalated(work, str(refusal))
        if isinstance(outcome, Resume):
            refusals = steps.refusals(work.operation)
            if refusals:
                self._told.tell(work, BLOCKED, refusals, steps.inputs(request))
            self._tell_late(work, request, outcome.because)
            return outcome
        if isinstance(outcome, Refused):
            self._points.put(steps.leftovers(request, work.operation.steps))
            self._points.copied(request.original(), request.region, because=outcome.because)
        self._line.leave(place)
        return outcome

    def _go_on(self, work: Work, request: CopyRequest, place: Place) -> Outcome:
        now = self._clock.now()
        standing = Controls(self._store).read()
        version = standing.policy or request.policy
        rule = copying.rule(self._policies.at(version), request.protection, request.region, request.schedule)
        if request.region == request.source.region or not request.disks:
            return Refused(because=f"{request.point} has nothing to be copied, or stands in {request.region} itself")
        if rule is None and not work.operation.steps:
            return Refused(because=f"policy {version} asks for no copy in {request.region} any more")
        work.note(UNDER, str(version))
        if now - work.operation.created > GIVE_UP_AFTER:
            return _escalated(work, f"not complete within {GIVE_UP_AFTER}")
        rule = rule or self._old_rule(request)
        target = self._clouds.at(request.target)
        if len(work.steps(StepState.DONE)) < len(request.disks):
            pause = standing.paused(SCOPE)
            if pause is not None:
                return Resume(after=LONGEST_PAUSE, because=f"paused since {codec.second(pause.since)}: {pause.because}")
            waiting = self._line.wait(place, at_most=COPIES_AT_ONCE)
            if waiting is not None:
                return waiting
            if not work.operation.steps:
                work.intend(*steps.first(work.operation.id, request, rule.kms_key, now))
            self._find_sent(work, request, target)
            refused = self._start(work, request, rule)
            if refused is not None:
                return refused
        return self._look(work, request, place, target, rule)

    # -- copy ------------------------------------------------------------------------------------------------------

    def _find_sent(self, work: Work, request: CopyRequest, target: Compute) -> None:
        """A crash, a lost answer, or an earlier operation for the same copy: what carries its tag was made by it."""
        open_steps = work.steps(StepState.INTENDED)
        if not request.again and not any(step.name in work.inherited for step in open_steps):
            return
        tag = {provenance.OPERATION: provenance.operation_tag(request.first)}
        made: dict[DiskId, list[SnapshotId]] = {}
        for found in target.snapshots.list(tags=tag):
            if found.state is not SnapshotState.FAILED:
                made.setdefault(found.disk, []).append(found.id)
        for step in open_steps:
            abandoned = json.loads(step.data.get(FAILED, "[]"))
            left = [copy for copy in made.get(DiskId(step.data[DISK]), []) if copy not in abandoned]
            if left:
                work.learn(done(step, self._clock.now(), **{COPY: left[0]}))

    def _start(self, work: Work, request: CopyRequest, rule: CopyRule) -> Refused | None:
        """Begin every copy that is intended, not begun and not put off."""
        source = self._clouds.at(request.source)
        name = provenance.name("copy", request.protection, request.schedule, f"{request.slot:%Y%m%dT%H%MZ}")
        gone, unknown = "", False
        for step in work.steps(StepState.INTENDED):
            now = self._clock.now()
            if now < steps.not_before(step):
                continue
            try:
                work.may_act()
                copy = source.snapshots.copy(
                    SnapshotId(step.data[SNAPSHOT]),
                    to=request.region,
                    name=name,
                    tags=steps.tags(request),
                    token=step.token,
                    kms_key=step.data[KEY],
                )
            except (ClaimLost, CredentialsRejected):
                raise
            except NotFound as answer:
                gone = f"snapshot {step.data[SNAPSHOT]} was deleted before it was copied: {answer}"
            except (Retryable, OutcomeUnknown) as trouble:
                # The disk has another unfinished copy into this region, or throttled, or no answer.
                unknown |= isinstance(trouble, OutcomeUnknown)
                patience = trouble.retry_after if isinstance(trouble, Retryable) else None
                work.learn(steps.put_off(step, now + (patience or FIRST_LOOK * 2), str(trouble)))
            except Forbidden as refusal:
                because = f"{refusal}. Give the backup role ecs:CopySnapshot in {request.source.region}"
                work.learn(steps.blocked(step, now + LONGEST_PAUSE, because))
            except (Permanent, Conflict) as refusal:
                self._try_again(work, request, rule, step, str(refusal) + steps.remedy(refusal, request))
            else:
                work.learn(done(step, now, **{COPY: copy}))
        # What was sent without an answer is found by the next run, and then let go with the rest.
        return Refused(because=gone) if gone and not unknown else None

    def _try_again(self, work: Work, request: CopyRequest, rule: CopyRule, step: Step, because: str) -> None:
        """Another attempt with what the rule says by now, hence another token, after a longer and longer pause."""
        now = self._clock.now()
        pause = AGAIN_AFTER * 2 ** (step.attempt - 1)
        work.learn(steps.following(work.operation.id, request, step, rule.kms_key, now, now + pause, because))

    # -- look how far they are -------------------------------------------------------------------------------------

    def _look(self, work: Work, request: CopyRequest, place: Place, target: Compute, rule: CopyRule) -> Outcome:
        now = self._clock.now()
        under_way = steps.under_way(work.operation)
        wanted = [SnapshotId(step.data[COPY]) for step in under_way]
        seen = {found.id: found for found in target.snapshots.list(ids=wanted)} if wanted else {}
        for step in under_way:
            found = seen.get(SnapshotId(step.data[COPY]))
            if found is None and now - step.at > VANISHED_AFTER:
                because = (
                    f"copy {step.data[COPY]} of disk {step.data[DISK]} is not listed in {request.region}: somebody "
                    "deleted it, or the backup role may not call ecs:DescribeSnapshots there"
                )
                return _escalated(work, because)
            if found is not None and found.state is SnapshotState.ACCOMPLISHED:
                work.learn(replace(step, data={**step.data, COMPLETE: "yes"}))
            elif found is not None and found.state is SnapshotState.FAILED:
                # Its remains are a point of their own, so that prune takes them away.
                self._points.put(steps.leftovers(request, [step]))
                because = f"copy {found.id} of disk {step.data[DISK]} failed in the cloud"
                self._try_again(work, request, rule, step, because)
        tired = [step for step in work.operation.steps if step.attempt > MOST_ATTEMPTS]
        if tired:
            troubles = "; ".join(sorted({step.data[TROUBLE] for step in tired}))
            return _escalated(work, f"{MOST_ATTEMPTS} attempts failed: {troubles}")
        complete = [step for step in work.operation.steps if COMPLETE in step.data]
        if len(complete) == len(request.disks):
            return self._finish(work, request, target, rule)
        return self._wait(work, request, place, now, complete)

    def _wait(self, work: Work, request: CopyRequest, place: Place, now: datetime, complete: Sequence[Step]) -> Resume:
        put_off = [steps.not_before(step) for step in work.steps(StepState.INTENDED)]
        running = steps.under_way(work.operation)
        if put_off and not running:
            # Nothing of it is on its way (any more): its place is for those who can use it.
            self._line.step_back(place, until=min(put_off))
        because = f"{len(complete)} of {len(request.disks)} copies are complete in {request.region}"
        troubles = sorted({step.data.get(TROUBLE, "") for step in work.steps(StepState.INTENDED)} - {""})
        looks = [(now - max(step.at for step in running)) / 2] if running else []
        looks += [moment - now for moment in put_off]
        return Resume(
            after=min(max(min(looks, default=FIRST_LOOK), FIRST_LOOK), LONGEST_PAUSE),
            because="; ".join([because, *troubles]),
        )

    def _finish(self, work: Work, request: CopyRequest, target: Compute, rule: CopyRule) -> Outcome:
        now = self._clock.now()
        point = steps.point(work.operation, request, now)
        self._points.put([point])
        locked = "no"
        if rule.lock is not None:
            told = lock_point(work, target, self._points, point, rule.lock, self._clock)
            self._told.keep(told)
            locked = told.inputs["until"] if told.acted else "refused"
        self._points.copied(request.original(), request.region, because=f"copied as {point.id}")
        late = max(0, int((now - request.deadline).total_seconds()))
        log.event("copy.completed", run=self._run, subject=point.id, because=[f"{len(point.disks)} snapshots"])
        return Done(result={"point": point.id, "locked": locked, "late_seconds": str(late)})

    def _old_rule(self, request: CopyRequest) -> CopyRule:
        """The rule it began by, for one that is under way and that the policy does not know any more."""
        policy = self._policies.at(request.policy)
        rule = copying.rule(policy, request.protection, request.region, request.schedule)
        if rule is None:
            raise Permanent(f"policy {request.policy} has no copy rule for {request.region}")
        return rule

    # -- what is told ----------------------------------------------------------------------------------------------

    def _tell_late(self, work: Work, request: CopyRequest, because: str) -> None:
        """The copy goes on, and its source is kept until it is there."""
        if self._clock.now() <= request.deadline:
            return
        missed = f"the copy of {request.point} was to be in {request.region} by {codec.second(request.deadline)}"
        self._told.tell(work, LATE, (missed, because), steps.inputs(request))


def _escalated(work: Work, because: str) -> Escalated:
    return Escalated(because=because, runbook=RUNBOOK, evidence=tuple(map(steps.evidence, work.operation.steps)))
