"""Makes recorded decisions of failovers again, from their inputs alone, and says what differs.

Two kinds can be made again. A watch's own decision holds the situation it judged: `decide` must answer the same, to the
letter. A step of a failover in hand holds its state and what its attempt came to: the table must say the same, and what
a fence, a promotion or a loss of patience saw must bear it out. All others record what somebody did or said, and there
is nothing in them to be computed.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from shared.domain.decision import Decision
from shared.domain.errors import Permanent
from shared.domain.failover_attempt import Attempt, unsupported
from shared.domain.failover_decision import CODE, Resolution, decide
from shared.domain.failover_fsm import On, State, step
from shared.domain.failover_order import Fate
from shared.domain.failover_situation import Situation
from shared.state import codec
from shared.usecases.failover.outcome import ATTEMPT

SITUATION: Final = "situation"
RESOLUTION: Final = "resolution"


class Again(StrEnum):
    SAME = "the same"
    DIFFERS = "differs"
    OLDER = "of other rules"  # judged by another version of the code
    RECORD = "nothing to compute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    decision: Decision
    again: Again
    says: tuple[str, ...] = ()  # what differs, or why it was not made again


def replay(decision: Decision) -> Replayed:
    if SITUATION in decision.inputs:
        return _judged(decision)
    if {"from", "on", "to", "do"} <= decision.inputs.keys():
        return _stepped(decision)
    return Replayed(decision=decision, again=Again.RECORD)


def replay_all(decisions: Iterable[Decision]) -> tuple[tuple[Replayed, ...], Counter[Again]]:
    """Each of them, and how many of each kind."""
    made = tuple(replay(one) for one in decisions)
    return made, Counter(one.again for one in made)


def situation_of(decision: Decision) -> Situation | None:
    """What it was judged by; None: it holds none, or one that this code cannot read."""
    try:
        return codec.load(Situation, decision.inputs[SITUATION])
    except (KeyError, Permanent):
        return None


def _judged(decision: Decision) -> Replayed:
    stored = decision.inputs[SITUATION]
    try:
        situation = codec.load(Situation, stored)
    except Permanent as error:
        return Replayed(decision=decision, again=Again.OLDER, says=(str(error),))
    if situation.code != CODE:
        why = f"judged by rules {situation.code}; these are rules {CODE}"
        return Replayed(decision=decision, again=Again.OLDER, says=(why,))
    says = [] if _keeps(codec.dump(situation), stored) else ["the situation does not come back as it was stored"]
    now = decide(situation)
    made, was = codec.dump(replace(now, because=())), decision.inputs.get(RESOLUTION, "{}")
    if not _keeps(made, was) or was == "{}":
        says.append(f"decided then: {was}; now: {made}")
    because = _reasons(decision, situation, now)
    if because != decision.because:
        says.append(f"because then: {decision.because}; now: {because}")
    return Replayed(decision=decision, again=Again.DIFFERS if says else Again.SAME, says=tuple(says))


def _keeps(now: str, then: str) -> bool:
    """Whether all that was stored comes back alike. A field that the code has learned since is no difference: it has a
    default, which means "not known"."""
    return now == then or _holds(json.loads(now), json.loads(then))


def _holds(now: Any, then: Any) -> bool:
    if isinstance(now, dict) and isinstance(then, dict):
        return then.keys() <= now.keys() and all(_holds(now[key], value) for key, value in then.items())
    if isinstance(now, list) and isinstance(then, list):
        return len(now) == len(then) and all(map(_holds, now, then))
    return bool(now == then)


def _reasons(decision: Decision, situation: Situation, now: Resolution) -> tuple[str, ...]:
    """As the shell words them: a move with its row's reason before, a word on an order by itself."""
    order, word = situation.order, now.word
    if decision.event.endswith((".waits", ".refused")) and order is not None and word is not None:
        said = "waits: " if word.fate is Fate.WAITS else ""
        colon = "" if said else ":"
        return (f"{order.kind} to {order.to_site}{colon} {said}{word.why}",)
    if "from" in decision.inputs:
        return (step(situation.state, now.on).because, *now.because)
    return now.because


def _stepped(decision: Decision) -> Replayed:
    inputs = decision.inputs
    try:
        row = step(State(inputs["from"]), On(inputs["on"]))
    except (ValueError, AssertionError) as error:
        return Replayed(decision=decision, again=Again.OLDER, says=(f"not in this table: {error}",))
    says = [
        f"{what} then: {then}; now: {now}"
        for what, then, now in (
            ("state", inputs["to"], row.next.value),
            ("work", inputs["do"], row.do.value),
            ("because", decision.because[0], row.because),
        )
        if then != now
    ]
    if ATTEMPT in inputs:
        try:
            says += unsupported(row.on, codec.load(Attempt, inputs[ATTEMPT]))
        except Permanent as error:
            return Replayed(decision=decision, again=Again.OLDER, says=(str(error),))
    return Replayed(decision=decision, again=Again.DIFFERS if says else Again.SAME, says=tuple(says))
