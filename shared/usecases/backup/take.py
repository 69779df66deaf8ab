"""Ask the cloud for the snapshots of one operation: a group for each bundle, and disk by disk where no group will do.

Called until nothing is left to start. A refusal for good of a whole bundle halves it, down to one instance and then to
its single disks, so that one bad disk keeps nobody else from a restore point; a busy disk is halved out likewise. What
may have been sent by an earlier run is looked for by the operation's tag, and sent again only with its old token.
"""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.bundles import halves
from shared.domain.errors import (
    Busy,
    Conflict,
    CredentialsRejected,
    DrError,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    Permanent,
    QuotaReached,
    Retryable,
    Throttled,
)
from shared.domain.ids import DiskId, InstanceId, OperationId, SnapshotGroupId
from shared.domain.operation import Step, StepState
from shared.domain.policy import Freeze, Protection, Then
from shared.domain.retention import Level
from shared.ports.clock import Clock
from shared.ports.compute import Compute
from shared.ports.store import Store
from shared.state import codec
from shared.state.journal import Journal
from shared.usecases.backup import take_steps as steps
from shared.usecases.backup.freezing import Freezer
from shared.usecases.backup.frozen_shot import Shot, shoot
from shared.usecases.backup.obstacles import obstacle, refused
from shared.usecases.backup.overlapping import busy, restores_under_way
from shared.usecases.backup.sent_before import groups_made, singles_made
from shared.usecases.backup.slot_ends import Origin, Reason, tags
from shared.usecases.operations import ClaimLost, Resume, Work, done

FIRST_LOOK: Final = timedelta(seconds=15)
SHOWN_WITHIN: Final = timedelta(minutes=10)
"""What was asked for and is not listed after so long was not made."""
FREEZE_AGAIN: Final = timedelta(minutes=5)
"""Guests are not made to stand still every few seconds for a disk that stays busy."""
NO_MORE_FREEZES: Final = timedelta(minutes=3)
"""After this an invocation begins no further freeze: the longest one, its thaw and the calls between need what is left
of the function's ten minutes."""


class Take:
    """One run's part of it."""

    def __init__(
        self,
        work: Work,
        origin: Origin,
        protection: Protection,
        *,
        cloud: Compute,
        store: Store,
        clock: Clock,
        began: float,
    ) -> None:
        """`began`: this invocation, on the monotonic clock. What went by before (a listing that waited for its budget,
        other operations) is time that a freeze does not have."""
        self._work, self._origin, self._protection = work, origin, protection
        self._cloud, self._store, self._clock = cloud, store, clock
        self._restores: Mapping[str, OperationId] | None = None
        self._freezer = Freezer(clock=clock)
        self._began = began
        self._waiting: Resume | None = None
        self._stopped = False  # the cloud has no time for us now
        self._busy: frozenset[DiskId] | None = None
        self.started = False

    def run(self) -> Resume | None:
        """None: nothing is left to start. `started` tells whether this run started, or found, any."""
        if not self._open():
            return None
        self._freezer.thaw_left_over(self._work, self._cloud.guests, self._protection.freeze)
        if any(step.name in self._work.inherited for step in self._open()):
            self._find_sent()
        if self._open():
            self._give_up()
            self._send_bundles()
            self._send_singles()
        for bundle in steps.groups(self._work.operation, StepState.INTENDED):
            if not self._waiting_in(bundle):
                self._work.learn(steps.given_up(bundle, self._clock.now(), "", "none of its instances waits for it"))
        return self._waiting

    # -- what is not to be started ---------------------------------------------------------------------------------

    def _give_up(self) -> None:
        found = obstacle(
            self._work.operation, self._origin.request, self._protection, store=self._store, clock=self._clock
        )
        if found is None:
            return
        reason, because = found
        for step in self._open():
            if self._may_be_made(step):
                # Given up now, what the cloud may have made would be known to nobody. It is not sent again either.
                self._stopped = True
                self._waiting = Resume(after=FIRST_LOOK, because=f"{because}; an unanswered call is looked for")
                continue
            if reason is Reason.OVERTAKEN and steps.snapshots(step):
                continue  # some of its disks are taken already: the others make a point of them
            trouble = step.data.get(steps.TROUBLE, "")
            if reason is Reason.NOT_STARTED:
                trouble = trouble or "nobody tried"
            told = trouble and reason in (Reason.NOT_STARTED, Reason.OVERTAKEN)
            self._fail(step, reason, f"{because}: {trouble}" if told else because)

    def _may_be_made(self, step: Step) -> bool:
        """Its call got no answer, and what it made may not be shown yet."""
        asked = self._work.step(step.data[steps.IN]) if steps.IN in step.data else step
        sent = asked.data.get(steps.SENT)
        return sent is not None and self._clock.now() - codec.instant(sent) < SHOWN_WITHIN

    def _fail(self, step: Step, reason: Reason, because: str) -> None:
        self._work.learn(steps.given_up(step, self._clock.now(), reason.value, because))

    # -- bundles ---------------------------------------------------------------------------------------------------

    def _send_bundles(self) -> None:
        todo = deque(step.name for step in steps.groups(self._work.operation, StepState.INTENDED))
        while todo:
            bundle = self._work.step(todo.popleft())
            of = self._waiting_in(bundle)
            if not of or self._stopped:
                continue
            aside = [one for one in of if self._restored_by(one)]
            if aside and len(of) == 1:
                self._wait(Busy(self._restored_by(of[0])), of[0])
            elif aside and bundle.name not in self._work.inherited:
                rest = [one for one in of if one not in aside]
                parts = [_instances([one]) for one in aside] + ([_instances(rest)] if rest else [])
                todo.extendleft(self._rebundle(bundle, parts, self._restored_by(aside[0])))
            elif len(of) == 1 and self._held(of[0]):
                self._too_busy(of[0], f"{self._protection.overlap.at_most} of its snapshots or more are unfinished")
            else:
                todo.extendleft(self._attempt(bundle, of))

    def _attempt(self, bundle: Step, of: Sequence[Step]) -> Sequence[str]:
        """Names of what it was cut into, when it was."""
        try:
            return self._send(bundle, of)
        except (ClaimLost, CredentialsRejected):
            raise
        except Busy as trouble:
            if len(of) > 1:
                return self._rebundle(bundle, halves(_instances(of)), str(trouble))
            self._too_busy(of[0], str(trouble))
        except (Retryable, OutcomeUnknown, Forbidden) as trouble:
            self._wait(trouble, self._work.step(bundle.name), *of)
        except Conflict as refusal:
            self._refuse(refusal, *of)
        except Permanent as refusal:
            if len(of) > 1:
                return self._rebundle(bundle, halves(_instances(of)), str(refusal))
            if isinstance(refusal, NotFound | QuotaReached):
                self._refuse(refusal, *of)  # the disk alone would be refused as well, and half a point is none
            else:
                alone = steps.one_by_one(self._work.operation, bundle, str(refusal), self._clock.now())
                self._work.intend(*alone)
        return ()

    def _send(self, bundle: Step, of: Sequence[Step]) -> Sequence[str]:
        how = self._protection.freeze
        if how is None:
            self._accepted(bundle, self._ask_for_group(bundle), {})
            return ()
        unsure = bundle.data.get(steps.SENT)
        if unsure and self._clock.now() - codec.instant(unsure) < SHOWN_WITHIN:
            raise OutcomeUnknown("whether an earlier call had an effect is not known yet: it is looked for")
        self._work.learn(replace(bundle, data={**bundle.data, steps.SENT: codec.moment(self._clock.now())}))
        shot = self._shoot(self._work.step(bundle.name), _instances(of), how)
        if shot.refused:
            return self._unfrozen(bundle, of, shot.refused)
        assert shot.sent is not None
        moved = shot.moved
        if unsure:
            moved = dict.fromkeys(_instances(of), "an earlier call with an unknown end may have made it")
        self._accepted(bundle, shot.sent, moved)
        return ()

    def _shoot(self, bundle: Step, instances: Sequence[InstanceId], how: Freeze) -> Shot[SnapshotGroupId]:
        """`bundle` stays marked as sent only when that is not known."""
        unmarked = replace(bundle, data={key: text for key, text in bundle.data.items() if key != steps.SENT})
        try:
            self._time_for_a_freeze()
            shot = shoot(
                self._freezer, self._work, self._cloud.guests, instances, how, lambda: self._ask_for_group(bundle)
            )
        except Retryable:
            self._work.learn(unmarked)
            raise
        if not isinstance(shot.trouble, OutcomeUnknown):
            self._work.learn(unmarked)
        if shot.trouble is not None:
            raise shot.trouble
        return shot

    def _unfrozen(self, bundle: Step, of: Sequence[Step], refused: Mapping[InstanceId, str]) -> Sequence[str]:
        for step in of:
            if steps.instance(step) in refused:
                self._fail(step, Reason.NOT_FROZEN, f"could not be frozen: {refused[steps.instance(step)]}")
        rest = [one for one in _instances(of) if one not in refused]
        return self._rebundle(bundle, [rest] if rest else [], "some of its guests could not be frozen")

    def _ask_for_group(self, bundle: Step) -> SnapshotGroupId:
        disks = steps.disks(bundle)
        instances: list[str] = json.loads(bundle.data[steps.OF])
        only = InstanceId(instances[0]) if len(instances) == 1 else None
        self._work.may_act()
        return self._cloud.snapshots.create_group(
            disks,
            name=self._name(only or bundle.name.replace(":", "-")),
            tags=tags(self._origin, only),
            token=bundle.token,
        )

    def _accepted(self, bundle: Step, group: SnapshotGroupId, moved: Mapping[InstanceId, str]) -> None:
        """`moved`: those that did not stand still, and why; empty without a freeze."""
        level = Level.CRASH if self._protection.freeze is None else Level.APPLICATION
        now = self._clock.now()
        self.started = True
        for step in steps.accepted(self._work.operation, self._work.step(bundle.name), group, now, level):
            self._work.learn(self._shaken(step, moved) if step.name != bundle.name else step)

    def _shaken(self, step: Step, moved: Mapping[InstanceId, str]) -> Step:
        why = moved.get(steps.instance(step))
        if why is None:
            return step
        frozen = self._protection.freeze
        key = steps.VOID if frozen is not None and frozen.required else steps.NOTE
        level = Level.CRASH if steps.IN in step.data or len(steps.disks(step)) == 1 else Level.DISK
        return replace(step, data={**step.data, steps.LEVEL: level, key: f"not application-consistent: {why}"})

    def _rebundle(self, bundle: Step, parts: Sequence[Sequence[InstanceId]], because: str) -> Sequence[str]:
        """Journalled before any of them is sent."""
        cut = steps.rebundled(self._work.operation, self._work.step(bundle.name), parts, because, self._clock.now())
        self._work.intend(*cut)
        return [step.name for step in cut if step.name.startswith(steps.BUNDLE) and step.name != bundle.name][::-1]

    # -- single disks ----------------------------------------------------------------------------------------------

    def _send_singles(self) -> None:
        for step in self._open():
            if steps.IN in step.data or self._stopped:
                continue
            if self._restored_by(step):
                self._wait(Busy(self._restored_by(step)), step)
                continue
            if self._held(step):
                self._too_busy(step, f"{self._protection.overlap.at_most} of its snapshots or more are unfinished")
                continue
            try:
                self._single(step)
            except (ClaimLost, CredentialsRejected):
                raise
            except Busy as trouble:
                self._too_busy(self._work.step(step.name), str(trouble))
            except (Retryable, OutcomeUnknown, Forbidden) as trouble:
                self._wait(trouble, self._work.step(step.name))
            except (Permanent, Conflict) as refusal:
                self._refuse(refusal, self._work.step(step.name))

    def _single(self, step: Step) -> None:
        how = self._protection.freeze
        moved: Mapping[InstanceId, str] = {}
        before = len(steps.snapshots(step))
        if how is None:
            self._each_disk(step)
        else:
            self._time_for_a_freeze()
            mine = steps.instance(step)
            shot = shoot(self._freezer, self._work, self._cloud.guests, [mine], how, lambda: self._each_disk(step))
            if shot.refused:
                self._fail(step, Reason.NOT_FROZEN, f"could not be frozen: {shot.refused[mine]}")
                return
            if shot.trouble is not None:
                raise shot.trouble
            moved = {mine: "its disks were taken in several attempts"} if before else shot.moved
        alone = len(steps.disks(step)) == 1
        level = Level.APPLICATION if how is not None else Level.CRASH if alone else Level.DISK
        self.started = True
        taken = done(self._work.step(step.name), self._clock.now(), **{steps.LEVEL: level})
        self._work.learn(self._shaken(taken, moved))

    def _each_disk(self, step: Step) -> int:
        """How many it has now."""
        made = steps.snapshots(step)
        instance = steps.instance(step)
        for disk in steps.disks(step):
            if disk in made:
                continue
            self._work.may_act()
            token = provenance.token(self._work.operation.id, step.name, step.attempt, disk)
            made[disk] = self._cloud.snapshots.create(
                disk, name=self._name(instance), tags=tags(self._origin, instance), token=token
            )
            # Kept at once: when a later disk is refused, those made so far must be known to be taken away again.
            step = replace(step, data={**step.data, steps.SNAPSHOTS: json.dumps(made)})
            self._work.learn(step)
        return len(made)

    # -- what went wrong -------------------------------------------------------------------------------------------

    def _too_busy(self, step: Step, trouble: str) -> None:
        """Waits, or is left out, as the policy says; one that is half taken always waits."""
        because = f"overlap: its disks are still busy with earlier snapshots: {trouble}"
        if self._protection.overlap.then is Then.SKIP and not steps.snapshots(step):
            self._fail(step, Reason.OVERLAP, because)
        else:
            self._wait(Busy(because), step)

    def _wait(self, trouble: DrError, *waiting: Step) -> None:
        """Throttled, busy, no answer, or not permitted (which a role can be mended from within the hour): the others
        may still go, these are tried again."""
        patience = trouble.retry_after if isinstance(trouble, Retryable) else None
        self._stopped = self._stopped or patience is not None or isinstance(trouble, Throttled)
        after = patience or (FIRST_LOOK if self._protection.freeze is None else FREEZE_AGAIN)
        if self._waiting is None or after > self._waiting.after:
            self._waiting = Resume(after=after, because=str(trouble))
        self._work.learn(*(steps.troubled(step, str(trouble)) for step in waiting))
        asked = self._work.step(waiting[0].name)  # the bundle, or the one that goes alone; a frozen bundle is marked
        if isinstance(trouble, OutcomeUnknown) and (
            self._protection.freeze is None or asked.name.startswith(steps.POINT)
        ):
            self._work.learn(replace(asked, data={**asked.data, steps.SENT: codec.moment(self._clock.now())}))

    def _refuse(self, refusal: DrError, *steps_of: Step) -> None:
        reason, because = refused(refusal, self._protection)
        for step in steps_of:
            self._fail(step, reason, because)

    def _time_for_a_freeze(self) -> None:
        if self._clock.monotonic() - self._began > NO_MORE_FREEZES.total_seconds():
            raise Retryable("no time is left in this run for another freeze", retry_after=FIRST_LOOK)

    # -- what an earlier run sent ----------------------------------------------------------------------------------

    def _find_sent(self) -> None:
        """A crash, or a lost answer."""
        work, now, snapshots = self._work, self._clock.now(), self._cloud.snapshots
        open_bundles = steps.groups(work.operation, StepState.INTENDED)
        if open_bundles:
            groups = groups_made(snapshots, work.operation.id)
            for bundle in open_bundles:
                sent = next((groups[one] for one in steps.disks(bundle) if one in groups), None)
                if sent is not None:
                    of = _instances(steps.members(work.operation, bundle))
                    self._accepted(bundle, sent, self._who_froze_died(of))
        alone = [step for step in self._open() if steps.IN not in step.data]
        if not alone:
            return
        made = singles_made(snapshots, work.operation.id)
        for step in alone:
            found = {disk: made[disk] for disk in steps.disks(step) if disk in made}
            if not found:
                continue
            known = replace(step, data={**step.data, steps.SNAPSHOTS: json.dumps(found)})
            whole = len(found) == len(steps.disks(step))
            self.started = self.started or whole
            level = Level.CRASH if len(found) == 1 else Level.DISK
            taken = done(known, now, **{steps.LEVEL: level})
            work.learn(self._shaken(taken, self._who_froze_died([steps.instance(step)])) if whole else known)

    def _who_froze_died(self, instances: Sequence[InstanceId]) -> Mapping[InstanceId, str]:
        return dict.fromkeys(instances, "the run that froze it died") if self._protection.freeze is not None else {}

    def _open(self) -> tuple[Step, ...]:
        return steps.points(self._work.operation, StepState.INTENDED)

    def _waiting_in(self, bundle: Step) -> list[Step]:
        return [one for one in steps.members(self._work.operation, bundle) if one.state is StepState.INTENDED]

    def _held(self, step: Step) -> bool:
        """Whether it had no room when it was planned, and has none yet."""
        if steps.HELD not in step.data:
            return False
        if self._busy is None:
            held = {disk for one in self._open() if steps.HELD in one.data for disk in steps.disks(one)}
            self._busy = busy(self._cloud.snapshots, self._protection.overlap, held)
        return not self._busy.isdisjoint(steps.disks(step))

    def _restored_by(self, step: Step) -> str:
        """Why it waits for a restore of its instance, which would wait for this snapshot while it stands still."""
        if self._restores is None:
            self._restores = restores_under_way(Journal(self._store, self._clock))
        operation = self._restores.get(steps.instance(step))
        return "" if operation is None else f"its disks are being restored by {operation}"

    def _name(self, of: str) -> str:
        request = self._origin.request
        return provenance.name(request.protection, request.schedule, f"{request.due:%Y%m%dT%H%MZ}", of)


def _instances(of: Sequence[Step]) -> list[InstanceId]:
    return [steps.instance(step) for step in of]
