"""A run of a recovery plan as its operation's journal holds it: a step for its confirmation, and one for each wave."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from shared.domain.operation import Operation, Step, StepState
from shared.domain.plan import WaveState, pack, unpack
from shared.domain.policy import RecoveryPlan
from shared.state import codec

CONFIRM: Final = "confirm"
WAVE: Final = "wave:"
RESUMED: Final = "resumed"
"""Key in `Operation.result`: an operator let it go on, and the run has not taken that up yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    by: str
    at: datetime
    without_failed: bool = False


def confirmed(operation: Operation) -> bool:
    return any(step.name == CONFIRM for step in operation.steps)


def step_of(wave: str, state: WaveState, now: datetime) -> Step:
    """Without its tasks a state is small; they are packed."""
    return Step(
        name=WAVE + wave,
        state=StepState.DONE if state.ended is not None else StepState.INTENDED,
        at=now,
        data={"state": codec.dump(replace(state, tasks={})), "tasks": pack(state.tasks)},
    )


def waves_of(operation: Operation) -> dict[str, WaveState]:
    """By name, in order; empty before the run was confirmed."""
    found = {}
    for step in operation.steps:
        if step.name.startswith(WAVE):
            bare = codec.load(WaveState, step.data["state"])
            found[step.name.removeprefix(WAVE)] = replace(bare, tasks=unpack(step.data["tasks"]))
    return found


def waiting_wave(plan: RecoveryPlan, waves: Mapping[str, WaveState]) -> str:
    """The wave whose approval would let the run go on now; empty: none."""
    for wave in plan.waves:
        state = waves.get(wave.name)
        if state is None or state.ended is not None:
            continue
        return wave.name if wave.approval and state.began is None else ""
    return ""
