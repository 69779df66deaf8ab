"""A slot of more disks than one operation carries: cut into shards, each a back-up operation with its own instances.

The one that was asked for becomes the coordinator. It opens all shards first, so that whatever happens to it, each is
found by the timer and accounts for its own slots; then it wakes them, so many at work at once. A shard is at work until
all of its snapshots were started: uploads take hours and cost us nothing, so nobody waits in line for them.

A coordinator that died while opening finds the shards that stand, and cuts the rest of the selection as it is then: no
instance is in two. It keeps a letter for each shard.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.bundles import Member, shards
from shared.domain.errors import DrError, Retryable
from shared.domain.ids import InstanceId
from shared.domain.operation import Operation, OperationState, Step, StepState
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.ports.store import Store
from shared.state import codec
from shared.state.journal import Journal
from shared.usecases.backup import take_steps as steps
from shared.usecases.operations import LOOK_AT, Done, Outcome, Resume, Work, done, intended
from shared.usecases.requests import BackUpRequest

DISKS_AT_MOST: Final = 200
"""Of one shard. Its whole journal is one row of the store (some 100 KB), and its calls fit into one invocation."""
LOOK_EVERY: Final = timedelta(seconds=15)
LONGEST_PAUSE: Final = timedelta(minutes=10)
WOKEN_AGAIN: Final = timedelta(minutes=2)
"""A shard that has not begun so long after it was woken was not reached."""
BY_ITSELF: Final = timedelta(minutes=30)
"""After this the timer takes a shard that nobody woke: its coordinator is dead."""

STEP: Final = "shards"
_STATES: Final = "states"
_WOKEN: Final = "woken"
_SUMS: Final = "sums"
WAITS, WORKS, STARTED, ENDED = "w", "t", "s", "e"


class Shards:
    def __init__(
        self, *, store: Store, functions: Functions, function: str, clock: Clock, disks_at_most: int = DISKS_AT_MOST
    ) -> None:
        self._disks_at_most = disks_at_most
        self._journal = Journal(store, clock)
        self._functions = functions
        self._function = function
        self._clock = clock

    def needed(self, members: Sequence[Member]) -> bool:
        return sum(max(1, len(one.disks)) for one in members) > self._disks_at_most

    def begin(self, work: Work) -> None:
        """Before anything is opened: from here on this operation is a coordinator, whatever the next listing says."""
        work.intend(intended(STEP, "", self._clock.now()))

    def open(self, work: Work, request: BackUpRequest, members: Sequence[Member]) -> None:
        """Each of `members` gets into a shard, unless an earlier run has put it into one."""
        placed: set[InstanceId] = set()
        number = 1
        while (stands := self._journal.find(request.child(number, ()).id)) is not None:
            placed.update(member.instance for member in BackUpRequest.of(stands).members)
            number += 1
        for shard in shards([one for one in members if one.instance not in placed], disks=self._disks_at_most):
            work.may_act()
            stands = self._journal.open(self._child(work.operation, request.child(number, shard)))
            if BackUpRequest.of(stands).members != shard:
                raise Retryable(f"{stands.id} was cut by another run meanwhile: the rest is cut by what stands")
            number += 1
        states = WAITS * (number - 1)
        work.intend(done(work.step(STEP), self._clock.now(), **{_STATES: states, _WOKEN: "{}", _SUMS: "{}"}))

    def _child(self, parent: Operation, request: BackUpRequest) -> Operation:
        because = f"shard {request.shard} of {parent.id}"
        # From the coordinator's beginning on: a shard has no more time to start than the slot.
        operation = request.operation(policy=parent.policy, now=parent.created, because=because)
        return replace(operation, result={LOOK_AT: codec.moment(self._clock.now() + BY_ITSELF)})

    def watch(self, work: Work, request: BackUpRequest, *, fan_out: int) -> Outcome:
        """Wake so many that `fan_out` are at work; done when all have ended."""
        step = work.step(STEP)
        states = list(step.data[_STATES])
        woken: dict[str, str] = json.loads(step.data[_WOKEN])
        sums: Counter[str] = Counter(json.loads(step.data[_SUMS]))
        waiting = WAITS in states or WORKS in states
        now = self._clock.now()
        for at, state in enumerate(states):
            # Uploads are looked at when there is nothing else to look at.
            if state == WORKS or (state == STARTED and not waiting):
                states[at] = self._look(request.child(at + 1, ()), woken, sums, now)
        room = fan_out - states.count(WORKS)
        for at in [at for at, state in enumerate(states) if state == WAITS][: max(room, 0)]:
            if not self._wake(request.child(at + 1, ()), woken, now):
                break
            states[at] = WORKS
        data = {_STATES: "".join(states), _WOKEN: json.dumps(woken), _SUMS: json.dumps(sums)}
        work.learn(replace(step, data={**step.data, **data}))
        counts = Counter(states)
        if counts[ENDED] == len(states):
            return Done(result={"shards": str(len(states)), **{key: str(sums[key]) for key in sorted(sums)}})
        waiting = bool(counts[WAITS] or counts[WORKS])
        age = now - step.at
        return Resume(
            after=LOOK_EVERY if waiting else min(max(age / 2, LOOK_EVERY), LONGEST_PAUSE),
            because=f"of {len(states)} shards {counts[WAITS]} wait, {counts[WORKS]} start snapshots, "
            f"{counts[STARTED]} upload, {counts[ENDED]} have ended",
        )

    def _look(self, child: BackUpRequest, woken: dict[str, str], sums: Counter[str], now: datetime) -> str:
        operation = self._journal.find(child.id)
        if operation is None or operation.state is not OperationState.OPEN:
            woken.pop(str(child.shard), None)
            sums.update(_result(operation))
            return ENDED
        if operation.steps and not _starting(operation):
            woken.pop(str(child.shard), None)
            return STARTED
        if not operation.steps and now - codec.instant(woken[str(child.shard)]) > WOKEN_AGAIN:
            self._wake(child, woken, now)
        return WORKS

    def _wake(self, child: BackUpRequest, woken: dict[str, str], now: datetime) -> bool:
        try:
            self._functions.invoke_async(self._function, json.dumps({"operation": child.id}).encode())
        except DrError as error:
            log.event("invocation.failed", subject=child.id, because=[str(error)])  # the next look tries again
            return False
        woken[str(child.shard)] = codec.moment(now)
        return True


def is_coordinator(operation: Operation) -> Step | None:
    return next((step for step in operation.steps if step.name == STEP), None)


def _starting(operation: Operation) -> bool:
    return bool(steps.points(operation, StepState.INTENDED))


def _result(operation: Operation | None) -> Mapping[str, int]:
    if operation is None:
        return {"forgotten": 1}  # its row went by its time to live
    if operation.state is not OperationState.DONE:
        return {operation.state.value: 1}
    return {key: int(text) for key, text in operation.result.items() if text.isdigit()}
