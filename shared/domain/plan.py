"""How a run of a recovery plan stands: which children each step has, what became of each, what may begin next. Pure.

A run's whole state is one row, so a child is a short list in it: a plan of the largest size allowed stays well below
what a column holds (2 MB).
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.domain.ids import InstanceId
from shared.domain.policy import PlanAction, PlanStep, RecoveryPlan, Wave
from shared.domain.preview import token_of
from shared.domain.wording import plural

MOST_TASKS: Final = 2_000
"""Children of one plan. Each takes up to about 400 bytes of the run's row."""
_WHY: Final = 160
"""Characters of a child's reason that the run keeps; the child itself has all of it."""
_LISTED: Final = 20
DIGEST: Final = 6


class Fate(StrEnum):
    WAITS = "w"  # nobody has begun it
    BEGUN = "b"  # its operation is intended, or open
    DONE = "d"
    FAILED = "f"  # its operation was refused, or waits for an operator
    LEFT = "l"  # left out: it had vanished when its wave began, or an operator said so


UNDER_WAY: Final = frozenset({Fate.BEGUN})
SETTLED: Final = frozenset({Fate.DONE, Fate.LEFT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One child of a step: one instance to restore or rebuild, or a batch to launch."""

    key: str  # the instance's id; of a launch: the batch's name
    chosen: str = ""  # restore: id of the restore point; rebuild: the rule
    amount: int = 1  # instances
    fate: Fate = Fate.WAITS
    attempt: int = 1
    why: str = ""

    def begun(self) -> "Task":
        return replace(self, fate=Fate.BEGUN, why="")

    def done(self) -> "Task":
        return replace(self, fate=Fate.DONE, why="")

    def failed(self, why: str) -> "Task":
        return replace(self, fate=Fate.FAILED, why=why[:_WHY])

    def left(self, why: str) -> "Task":
        return replace(self, fate=Fate.LEFT, why=why[:_WHY])

    def again(self) -> "Task":
        return replace(self, fate=Fate.WAITS, attempt=self.attempt + 1, why="")


Tasks = Mapping[str, tuple[Task, ...]]
"""By the name of their step."""


def pack(tasks: Tasks) -> str:
    return json.dumps(
        {
            step: [[one.key, one.chosen, one.amount, one.fate.value, one.attempt, one.why] for one in own]
            for step, own in tasks.items()
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def unpack(text: str) -> dict[str, tuple[Task, ...]]:
    return {
        step: tuple(
            Task(key=key, chosen=chosen, amount=amount, fate=Fate(fate), attempt=attempt, why=why)
            for key, chosen, amount, fate, attempt, why in own
        )
        for step, own in json.loads(text).items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveState:
    """One wave of a run."""

    tasks: Tasks
    approved: datetime | None = None
    approved_by: str = ""
    began: datetime | None = None  # from here its time-out counts; anew when an operator resumed the run
    first_began: datetime | None = None
    worked: datetime | None = None  # when all children had ended: from here the gate's time counts
    ended: datetime | None = None  # through
    targets: tuple[InstanceId, ...] = ()  # whom its gate asks
    answered: tuple[InstanceId, ...] = ()  # of those
    changes: tuple[str, ...] = ()  # what its selections said otherwise than when the run was confirmed

    def all(self) -> tuple[Task, ...]:
        return tuple(one for own in self.tasks.values() for one in own)

    def counts(self) -> Counter[Fate]:
        return Counter(one.fate for one in self.all())

    @property
    def settled(self) -> bool:
        return all(one.fate in SETTLED for one in self.all())

    @property
    def failed(self) -> tuple[Task, ...]:
        return tuple(one for one in self.all() if one.fate is Fate.FAILED)

    @property
    def under_way(self) -> tuple[Task, ...]:
        return tuple(one for one in self.all() if one.fate in UNDER_WAY)

    def with_task(self, step: str, task: Task) -> "WaveState":
        return self.with_tasks(step, {task.key: task})

    def with_tasks(self, step: str, changed: Mapping[str, Task]) -> "WaveState":
        own = tuple(changed.get(one.key, one) for one in self.tasks[step])
        return replace(self, tasks={**self.tasks, step: own})

    def in_words(self) -> str:
        counts, total = self.counts(), sum(one.amount for one in self.all())
        if self.ended is not None:
            left = f", {counts[Fate.LEFT]} left out" if counts[Fate.LEFT] else ""
            return f"through, {counts[Fate.DONE]} done{left}"
        if self.began is None:
            return f"not begun ({plural(total, 'instance')})"
        named = (
            (Fate.DONE, "done"),
            (Fate.BEGUN, "under way"),
            (Fate.FAILED, "failed"),
            (Fate.WAITS, "not begun"),
            (Fate.LEFT, "left out"),
        )
        return ", ".join(f"{counts[fate]} {word}" for fate, word in named if counts[fate]) or "nothing to do"


def next_ones(step: PlanStep, tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Those that may begin now, in order: never more instances under way than the step allows at once. A batch that is
    larger than that goes alone."""
    room = step.at_once - sum(one.amount for one in tasks if one.fate in UNDER_WAY)
    chosen: list[Task] = []
    for task in tasks:
        if task.fate is not Fate.WAITS:
            continue
        if task.amount > room and not (room == step.at_once and not chosen):
            break
        chosen.append(task)
        room -= task.amount
    return tuple(chosen)


def batches(step: PlanStep) -> tuple[int, ...]:
    """A launch in batches of what may be under way at once."""
    full, rest = divmod(step.amount, step.at_once)
    return (step.at_once,) * full + ((rest,) if rest else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A step's selection at the moment at which its wave begins, against what was confirmed."""

    tasks: tuple[Task, ...]
    changes: tuple[str, ...] = ()


def judge_again(step: PlanStep, tasks: Sequence[Task], now_there: Iterable[InstanceId]) -> Judged:
    """What has vanished is left out, and told; what is new is told, and not touched: nobody has confirmed it."""
    if step.action is PlanAction.LAUNCH:
        return Judged(tasks=tuple(tasks))
    there = set(now_there)
    known = {one.key for one in tasks}
    vanished = {one.key for one in tasks if one.fate is Fate.WAITS and one.key not in there}
    changes = []
    if vanished:
        changes.append(f"step {step.name}: no longer selected, left out: {some(sorted(vanished))}")
    new = sorted(there - known)
    if new:
        changes.append(f"step {step.name}: selected since the confirmation, not touched: {some(new)}")
    why = "it was not selected any more when its wave began"
    return Judged(
        tasks=tuple(one.left(why) if one.key in vanished else one for one in tasks),
        changes=tuple(changes),
    )


def some(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def token_of_plan(waves: Mapping[str, Sequence[str]]) -> str:
    """One short digest per wave of all that it would do, so that a run which finds something changed can say where."""
    return "-".join(token_of(name, *parts)[:DIGEST] for name, parts in waves.items())


def differs(plan: RecoveryPlan, confirmed: str, found: str) -> str:
    """Empty when they are the same token; else what to tell."""
    if confirmed == found:
        return ""
    given, now = confirmed.split("-"), found.split("-")
    if len(given) != len(now):
        return "the token does not belong to this plan as the policy has it now"
    waves = [wave.name for wave, one, other in zip(plan.waves, given, now, strict=False) if one != other]
    return f"what it would do has changed since it was shown, in wave {' and wave '.join(waves)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stands:
    """Of a whole run, for those who ask."""

    waves: Mapping[str, WaveState] = field(default_factory=dict)

    def in_words(self) -> tuple[str, ...]:
        return tuple(f"wave {name}: {state.in_words()}" for name, state in self.waves.items())

    def failures(self) -> tuple[str, ...]:
        return tuple(f"{one.key}: {one.why}" for state in self.waves.values() for one in state.failed)


def out_of_time(wave: Wave, state: WaveState, now: datetime) -> bool:
    return state.began is not None and now - state.began > wave.timeout


def gate_is_over(wave: Wave, state: WaveState, now: datetime) -> bool:
    return wave.gate is not None and state.worked is not None and now - state.worked > wave.gate.within


def phases_of(plan: RecoveryPlan, waves: Mapping[str, WaveState]) -> tuple[list[str], dict[str, datetime]]:
    """Names and ends of the phases of a run: of each wave its own, and before it the wait for its approval."""
    names, ends = ["confirm"], {}
    for wave in plan.waves:
        state = waves[wave.name]
        if wave.approval:
            names.append(f"approve {wave.name}")
            if state.first_began is not None:
                ends[f"approve {wave.name}"] = state.first_began
        names.append(wave.name)
        if state.ended is not None:
            ends[wave.name] = state.ended
    return names, ends
