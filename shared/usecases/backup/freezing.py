"""Freeze guests around a snapshot, and thaw them whatever happens.

    frozen = freezer.freeze(work, guests, instances, how)
    ... ask for the snapshots of `frozen.held` ...
    thawed = freezer.thaw(work, guests, frozen, how)
    level: application where `thawed[instance].held`, else crash

Journalled before it begins: a run that finds a freeze without its thaw (`left_over`) thaws first. With us dead, the
guest's own timer thaws it when `within` is over. So every freeze ends; what has to be proved is only that it lasted
until the snapshot was accepted, and that is what the thaw tells.

Handlers wait for nothing in the cloud, with this as one of two exceptions: a guest cannot stay frozen until some later
invocation. The waiting is bounded by `within`, and goes through the clock's `sleep`. See ADR 0010.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain import freeze_script, provenance
from shared.domain.errors import CredentialsRejected, DrError, NotFound, OutcomeUnknown, Permanent, Retryable
from shared.domain.freeze_script import NOT_FROZEN, Exit
from shared.domain.ids import InstanceId
from shared.domain.inventory import Ran
from shared.domain.policy import Freeze
from shared.ports.clock import Clock
from shared.ports.compute import Guests
from shared.state import codec
from shared.usecases.operations import Work

AT_ONCE: Final = 100
"""Instances per call. Source: ECS API, RunCommand, SDK 7.11.8."""
LOOK_EVERY: Final = timedelta(seconds=1)
"""Source: the cloud's advice on polling, 1-2 s."""
NOTE: Final = "freeze/"
"""Begins the names of the notes of an operation that tell of freezes without a thaw."""
_NEVER_BEGUN: Final = ("invalid", "aborted", "cancelled")
"""States of a command that was never handed over. Source: ECS API, DescribeInvocationResults, read 2025."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    id: str
    held: tuple[InstanceId, ...]  # `before` has run, and nothing has thawed them yet
    refused: Mapping[InstanceId, str]  # not frozen as far as we know, and why
    to_thaw: tuple[InstanceId, ...]  # `held`, and those of which nobody knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Thawed:
    held: bool  # it was frozen from before the snapshot until now
    because: str  # why not, or what a human must know
    stuck: bool = False  # `after` failed: the guest may still be frozen


class Freezer:
    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    def freeze(self, work: Work, guests: Guests, instances: Sequence[InstanceId], how: Freeze) -> Frozen:
        """Freeze `instances`, any number: one call for each hundred. Waits for at most half of `how.within`, so that
        slow guests do not use up the time of the others.

        Raises Retryable when the cloud takes no command now (nothing was begun), ClaimLost, CredentialsRejected.
        Everything else is told per instance in `refused`; the caller skips those when `how.required`, else takes them
        as they are and says so.
        """
        wrong = freeze_script.trouble(how)
        if wrong is not None:
            return Frozen(id="", held=(), refused=dict.fromkeys(instances, wrong), to_thaw=())
        began = self._clock.now()
        id_ = provenance.token(work.operation.id, "freeze", 1, codec.moment(began), *instances)
        work.note(NOTE + id_, json.dumps({"instances": list(instances)}))
        work.intend()  # the note, before anything is frozen
        asking = _Asking(self._clock, guests, work, freeze_script.freeze(id_, how), how.within, how.within / 2)
        try:
            asking.send("freeze", id_, instances)
        except Retryable:
            work.note(NOTE + id_, None)
            raise
        held: list[InstanceId] = []
        to_thaw: list[InstanceId] = []
        refused: dict[InstanceId, str] = dict(asking.refused)
        for instance, ran in asking.answers().items():
            if ran is not None and ran.state == "success":
                held.append(instance)
            else:
                refused[instance] = _not_frozen(ran)
            if ran is None or not (ran.state in _NEVER_BEGUN or ran.exit_code in NOT_FROZEN):
                to_thaw.append(instance)
        if not to_thaw:
            work.note(NOTE + id_, None)
        return Frozen(id=id_, held=tuple(held), refused=refused, to_thaw=tuple(to_thaw))

    def thaw(self, work: Work, guests: Guests, frozen: Frozen, how: Freeze) -> Mapping[InstanceId, Thawed]:
        """Thaw all of `frozen.to_thaw`, and answer for each whether it held until now. Always call it after `freeze`,
        also when the snapshot failed. Raises ClaimLost and CredentialsRejected only; then a later run thaws."""
        if not frozen.to_thaw:
            return {}
        asking = _Asking(self._clock, guests, work, freeze_script.thaw(frozen.id, how), how.within, how.within)
        asking.send("thaw", frozen.id, frozen.to_thaw, patient=True)
        thawed = {instance: _thawed(ran) for instance, ran in asking.answers().items()}
        for instance, why in asking.refused.items():
            thawed[instance] = Thawed(held=False, because=f"could not be thawed by us ({why}); its own timer does it")
        work.note(NOTE + frozen.id, None)
        return thawed

    def thaw_left_over(self, work: Work, guests: Guests, how: Freeze | None) -> Mapping[InstanceId, Thawed]:
        """Thaw what an earlier run froze and did not thaw: first of all in every run. `how` None: the policy has no
        freeze any more, and the guests' timers have to do."""
        thawed: dict[InstanceId, Thawed] = {}
        for frozen in left_over(work):
            if how is None:
                work.note(NOTE + frozen.id, None)
            else:
                thawed.update(self.thaw(work, guests, frozen, how))
        return thawed


def left_over(work: Work) -> tuple[Frozen, ...]:
    """Freezes that were begun, and of which no thaw is known."""
    found = []
    for name, body in work.operation.result.items():
        if name.startswith(NOTE):
            instances = tuple(InstanceId(one) for one in json.loads(body)["instances"])
            found.append(Frozen(id=name.removeprefix(NOTE), held=(), refused={}, to_thaw=instances))
    return tuple(found)


class _Asking:
    """One script at some guests: sent in as few calls as possible, then asked after until all have ended, or until
    `patience` is over."""

    def __init__(
        self, clock: Clock, guests: Guests, work: Work, script: str, within: timedelta, patience: timedelta
    ) -> None:
        self._clock, self._guests, self._work = clock, guests, work
        self._script, self._within = script, within
        self._until = clock.monotonic() + patience.total_seconds()
        self._runs: dict[str, list[InstanceId]] = {}
        self._unsure: list[InstanceId] = []
        self.refused: dict[InstanceId, str] = {}

    def send(self, step: str, id_: str, instances: Sequence[InstanceId], *, patient: bool = False) -> None:
        """`patient`: try again while the cloud has no time for us; else Retryable comes out as long as nothing was
        begun."""
        waiting = [instances[start : start + AT_ONCE] for start in range(0, len(instances), AT_ONCE)][::-1]
        while waiting:
            some = waiting.pop()
            token = provenance.token(self._work.operation.id, step, 1, id_, *some)
            self._work.may_act()
            try:
                run = self._begin(some, token, patient)
            except CredentialsRejected:
                raise
            except OutcomeUnknown:
                self._unsure += some
            except (Permanent, Retryable) as refusal:
                begun = self._runs or self._unsure
                if isinstance(refusal, Retryable) and not patient and not begun:
                    raise
                if isinstance(refusal, NotFound) and len(some) > 1:
                    # One that is gone makes the cloud refuse them all.
                    half = len(some) // 2
                    waiting += [some[half:], some[:half]]
                    continue
                self.refused.update(dict.fromkeys(some, str(refusal)))
            else:
                self._runs[run] = list(some)

    def answers(self) -> dict[InstanceId, Ran | None]:
        """Of each instance that a command was sent to. None: nobody knows."""
        answers: dict[InstanceId, Ran | None] = dict.fromkeys(self._unsure)
        waiting = dict(self._runs)
        for instances in waiting.values():
            answers.update(dict.fromkeys(instances))
        while waiting and self._wait():
            for run, instances in list(waiting.items()):
                told = self._look(run)
                answers.update({one: told.get(one, answers[one]) for one in instances})
                if all((ran := answers[one]) is not None and ran.over for one in instances):
                    del waiting[run]
        return answers

    def _begin(self, some: Sequence[InstanceId], token: str, patient: bool) -> str:
        """Sent again with its own token, an unanswered call begins no second command."""
        while True:
            try:
                return self._guests.run(some, self._script, within=self._within, token=token)
            except (OutcomeUnknown, Retryable) as trouble:
                if isinstance(trouble, Retryable) and not patient:
                    raise
                if not self._wait():
                    raise
            self._work.may_act()

    def _look(self, run: str) -> dict[InstanceId, Ran]:
        try:
            return {ran.instance: ran for ran in self._guests.results(run)}
        except CredentialsRejected:
            raise
        except DrError:
            return {}  # not shown yet, or no answer: the next look may know

    def _wait(self) -> bool:
        """False: the patience is over."""
        left = self._until - self._clock.monotonic()
        if left <= 0:
            return False
        self._clock.sleep(min(LOOK_EVERY, timedelta(seconds=left)))
        return True


def _not_frozen(ran: Ran | None) -> str:
    if ran is None:
        return "freeze: no answer from Cloud Assistant"
    if not ran.over:
        return f"freeze: {ran.state} for too long; is Cloud Assistant running in the guest?"
    return f"freeze: {_ended(ran)}"


def _thawed(ran: Ran | None) -> Thawed:
    if ran is None or not ran.over:
        return Thawed(held=False, because="its thaw was not answered in time; its own timer thaws it")
    if ran.state == "success":
        return Thawed(held=True, because="")
    because = f"thaw: {_ended(ran)}"
    match ran.exit_code:
        case Exit.STUCK:
            return Thawed(held=True, because=because, stuck=True)
        case Exit.TIMER_FIRED:
            return Thawed(held=False, because="the guest's own timer had thawed it before")
        case Exit.TIMER_STUCK:
            return Thawed(held=False, because=because, stuck=True)
    return Thawed(held=False, because=because)


def _ended(ran: Ran) -> str:
    said = ran.output.strip()[-300:] or ran.error
    code = "" if ran.exit_code is None or ran.state != "failed" else f" with exit code {ran.exit_code}"
    return f"{ran.state}{code}: {said}" if said else f"{ran.state}{code}"
