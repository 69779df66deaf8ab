"""The failover of a pair as a table. States are promises about the world; work happens on transitions: a row names it,
`shared.usecases.failover.fail_over` does it. The diagram in docs/failover-states.md is generated from here.

Order is the design: fence, then promote, then rebind, then confirm. From the take-over of the lease on there is no way
back but through an operator or a new epoch: half a failover left alone would be two sites off.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class State(StrEnum):
    WATCHING = "watching"  # the lease's owner is active, and the name points to it
    REPROTECTING = "reprotecting"  # as watching, but the other side may not take over again yet
    SUSPECTING = "suspecting"  # something is wrong, not enough to act on
    PREPARING = "preparing"  # a planned move is asked about; nothing has moved, and to call it off is free
    FENCING = "fencing"  # decided; the old holder may still be active
    PROMOTING = "promoting"  # the lease names the new site; the old one is certainly not active
    REBINDING = "rebinding"  # the new site is active; clients still go to the old address
    CONFIRMING = "confirming"  # the name points to the new site; nobody has looked through it yet
    BLOCKED = "blocked"  # a second automatic failover so soon would be flapping
    PAUSED = "paused"  # an operator has taken the wheel
    NEEDS_OPERATOR = "needs_operator"  # a human must choose


class On(StrEnum):
    # verdicts
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    LOST = "lost"
    BLIND = "blind"
    UNKNOWN = "unknown"
    UNDECIDED = "in doubt for too long"
    LEASE_DAMAGED = "lease row missing or damaged"
    UNPROTECTED = "well, and the other side is unprotected"
    REPROTECTED = "the other side is protected again"
    # what stands in the way of acting on "lost"
    STANDBY_UNFIT = "standby unfit"
    UNFENCED = "old side not shown to be off"
    NOT_READY = "data, room or protection of the standby lacking"
    VETOED = "vetoed by a hook"
    FORBIDDEN = "no automatic failover allowed now"
    BLOCK = "block in force"
    UNBLOCKED = "block over or acknowledged"
    PAUSE = "pause"
    RESUME = "resume"
    # orders
    SWITCH = "switchover ordered"
    FAILBACK = "failback ordered"
    FORCED = "failover of a loss ordered"
    RESOLVED = "operator acknowledged"
    # outcomes of work
    PREPARED = "nothing stands in the way"
    PREPARE_WAITS = "not everything has answered yet"
    FENCED = "fenced"
    FENCE_WAITS = "not certainly fenced yet"
    FENCE_LOST = "lease changed hands or was renewed"
    PROMOTED = "promoted"
    PROMOTE_WAITS = "no answer from the new site yet"
    ONE_REBOUND = "one name rebound"
    REBOUND = "rebound"
    REBIND_WAITS = "name service does not answer"
    REBIND_REFUSED = "name must not be touched"
    CONFIRMED = "confirmed"
    CONFIRM_WAITS = "not seen through the name yet"
    ASTRAY = "name reads another value"
    SUPERSEDED = "a newer epoch exists"
    OVERDUE = "takes too long"


class Do(StrEnum):
    NOTHING = "nothing"
    PREPARE = "prepare"
    FENCE = "fence"
    PROMOTE = "promote"
    REBIND = "rebind"
    CONFIRM = "confirm"
    CALL_OPERATOR = "call operator"


@dataclass(frozen=True, slots=True)
class Row:
    state: State
    on: On
    next: State
    do: Do
    because: str  # what the operator reads in the log


_S, _E = State, On

_PLANNED: Final = "what may stand in the way is asked before anything moves"
_NOT_READY: Final = "nobody but an operator may accept what would be lost or missing"
_VETOED: Final = "somebody who was to be asked said no"
_FORBIDDEN: Final = "it is an operator's to order, at this time or for this pair"
_CHOSEN: Final = "an operator has chosen; the old holder must be off before anything else moves"
_NOT_AGAIN: Final = "still so: an operator's order, or its end, lets it move"


def _obstacles(state: State) -> tuple[Row, ...]:
    """What keeps a loss from being acted on by itself, and what operators order, are met alike in each of these."""
    operator = state is _S.NEEDS_OPERATOR
    reasons = {_E.NOT_READY: _NOT_READY, _E.VETOED: _VETOED, _E.FORBIDDEN: _FORBIDDEN}
    met = tuple(
        Row(
            state,
            on,
            _S.NEEDS_OPERATOR,
            Do.NOTHING if operator else Do.CALL_OPERATOR,
            _NOT_AGAIN if operator else because,
        )
        for on, because in reasons.items()
    )
    return (
        *met,
        Row(state, _E.FAILBACK, _S.PREPARING, Do.PREPARE, _PLANNED),
        Row(state, _E.FORCED, _S.FENCING, Do.FENCE, _CHOSEN),
    )


FAILOVER: Final = (
    Row(_S.WATCHING, _E.HEALTHY, _S.WATCHING, Do.NOTHING, "all is well"),
    Row(_S.WATCHING, _E.SUSPECT, _S.SUSPECTING, Do.NOTHING, "look closer before anything moves"),
    Row(_S.WATCHING, _E.LOST, _S.FENCING, Do.FENCE, "the old holder must be off before anything else moves"),
    Row(_S.WATCHING, _E.BLIND, _S.WATCHING, Do.NOTHING, "a witness that is cut off has no say"),
    Row(_S.WATCHING, _E.UNKNOWN, _S.WATCHING, Do.NOTHING, "no evidence is not evidence of a loss"),
    Row(_S.WATCHING, _E.PAUSE, _S.PAUSED, Do.NOTHING, "an operator has taken the wheel"),
    Row(_S.WATCHING, _E.BLOCK, _S.BLOCKED, Do.CALL_OPERATOR, "a second failover so soon would be flapping"),
    Row(_S.WATCHING, _E.STANDBY_UNFIT, _S.NEEDS_OPERATOR, Do.CALL_OPERATOR, "there is nothing good to move to"),
    Row(_S.WATCHING, _E.SWITCH, _S.PREPARING, Do.PREPARE, _PLANNED),
    Row(_S.WATCHING, _E.REBIND_REFUSED, _S.NEEDS_OPERATOR, Do.CALL_OPERATOR, "the name was changed by somebody else"),
    Row(
        _S.WATCHING, _E.LEASE_DAMAGED, _S.NEEDS_OPERATOR, Do.CALL_OPERATOR, "without the lease row nobody may take over"
    ),
    Row(
        _S.WATCHING,
        _E.UNPROTECTED,
        _S.REPROTECTING,
        Do.NOTHING,
        "it serves, and nothing may take over from it by itself yet",
    ),
    *_obstacles(_S.WATCHING),
    #
    Row(_S.REPROTECTING, _E.REPROTECTED, _S.WATCHING, Do.NOTHING, "the other side may take over again"),
    Row(_S.REPROTECTING, _E.UNPROTECTED, _S.REPROTECTING, Do.NOTHING, "the other side is not protected yet"),
    Row(_S.REPROTECTING, _E.SUSPECT, _S.SUSPECTING, Do.NOTHING, "look closer before anything moves"),
    Row(_S.REPROTECTING, _E.LOST, _S.FENCING, Do.FENCE, "the other side is protected, and the old holder must be off"),
    Row(_S.REPROTECTING, _E.BLIND, _S.REPROTECTING, Do.NOTHING, "a witness that is cut off has no say"),
    Row(_S.REPROTECTING, _E.UNKNOWN, _S.REPROTECTING, Do.NOTHING, "no evidence is not evidence of a loss"),
    Row(_S.REPROTECTING, _E.PAUSE, _S.PAUSED, Do.NOTHING, "an operator has taken the wheel"),
    Row(_S.REPROTECTING, _E.BLOCK, _S.BLOCKED, Do.CALL_OPERATOR, "a second failover so soon would be flapping"),
    Row(_S.REPROTECTING, _E.STANDBY_UNFIT, _S.NEEDS_OPERATOR, Do.CALL_OPERATOR, "there is nothing good to move to"),
    Row(_S.REPROTECTING, _E.SWITCH, _S.PREPARING, Do.PREPARE, _PLANNED),
    Row(
        _S.REPROTECTING,
        _E.REBIND_REFUSED,
        _S.NEEDS_OPERATOR,
        Do.CALL_OPERATOR,
        "the name was changed by somebody else",
    ),
    Row(
        _S.REPROTECTING,
        _E.LEASE_DAMAGED,
        _S.NEEDS_OPERATOR,
        Do.CALL_OPERATOR,
        "without the lease row nobody may take over",
    ),
    *_obstacles(_S.REPROTECTING),
    #
    Row(_S.SUSPECTING, _E.HEALTHY, _S.WATCHING, Do.NOTHING, "it was not a loss"),
    Row(_S.SUSPECTING, _E.SUSPECT, _S.SUSPECTING, Do.NOTHING, "not enough to act on yet"),
    Row(_S.SUSPECTING, _E.LOST, _S.FENCING, Do.FENCE, "the old holder must be off before anything else moves"),
    Row(_S.SUSPECTING, _E.BLIND, _S.SUSPECTING, Do.NOTHING, "a witness that is cut off has no say"),
    Row(_S.SUSPECTING, _E.UNKNOWN, _S.SUSPECTING, Do.NOTHING, "no evidence is not evidence of a loss"),
    Row(
        _S.SUSPECTING,
        _E.UNDECIDED,
        _S.NEEDS_OPERATOR,
        Do.CALL_OPERATOR,
        "it does not pass, and the witnesses cannot settle it: nothing moves",
    ),
    Row(_S.SUSPECTING, _E.PAUSE, _S.PAUSED, Do.NOTHING, "an operator has taken the wheel"),
    Row(_S.SUSPECTING, _E.BLOCK, _S.BLOCKED, Do.CALL_OPERATOR, "a second failover so soon would be flapping"),
    Row(_S.SUSPECTING, _E.STANDBY_UNFIT, _S.NEEDS_OPERATOR, Do.CALL_OPERATOR, "there is nothing good to move to"),
    Row(_S.SUSPECTING, _E.SWITCH, _S.PREPARING, Do.PREPARE, _PLANNED),
    Row(_S.SUSPECTING, _E.REBIND_REFUSED, _S.NEEDS_OPERATOR, Do.CALL_OPERATOR, "the name was changed by somebody else"),
    Row(
        _S.SUSPECTING,
        _E.LEASE_DAMAGED,
        _S.NEEDS_OPERATOR,
        Do.CALL_OPERATOR,
        "without the lease row nobody may take over",
    ),
    *_obstacles(_S.SUSPECTING),
    #
    Row(_S.PREPARING, _E.PREPARED, _S.FENCING, Do.FENCE, "a planned switch also stops the old side first"),
    Row(_S.PREPARING, _E.PREPARE_WAITS, _S.PREPARING, Do.PREPARE, "the old side serves meanwhile"),
    Row(_S.PREPARING, _E.STANDBY_UNFIT, _S.WATCHING, Do.NOTHING, "called off: there is nothing good to move to"),
    Row(_S.PREPARING, _E.NOT_READY, _S.WATCHING, Do.NOTHING, "called off: to stay costs nothing"),
    Row(_S.PREPARING, _E.VETOED, _S.WATCHING, Do.NOTHING, "called off: somebody who was to be asked said no"),
    Row(_S.PREPARING, _E.PAUSE, _S.PAUSED, Do.NOTHING, "nothing has moved yet, so the pause still counts"),
    Row(_S.PREPARING, _E.SUPERSEDED, _S.WATCHING, Do.NOTHING, "a newer epoch was granted meanwhile"),
    Row(_S.PREPARING, _E.OVERDUE, _S.WATCHING, Do.NOTHING, "called off: it could not be known in time"),
    #
    Row(
        _S.FENCING, _E.FENCED, _S.PROMOTING, Do.PROMOTE, "only one site may hold this epoch, and now it is the new one"
    ),
    Row(_S.FENCING, _E.FENCE_WAITS, _S.FENCING, Do.FENCE, "a lease that may still run is not a fence"),
    Row(
        _S.FENCING,
        _E.FENCE_LOST,
        _S.WATCHING,
        Do.NOTHING,
        "the holder is alive, or another watch was first: look again",
    ),
    Row(_S.FENCING, _E.SUPERSEDED, _S.WATCHING, Do.NOTHING, "a newer epoch was granted meanwhile"),
    Row(_S.FENCING, _E.PAUSE, _S.PAUSED, Do.NOTHING, "nothing has moved yet, so the pause still counts"),
    Row(_S.FENCING, _E.STANDBY_UNFIT, _S.NEEDS_OPERATOR, Do.CALL_OPERATOR, "there is nothing good to move to any more"),
    Row(
        _S.FENCING,
        _E.NOT_READY,
        _S.NEEDS_OPERATOR,
        Do.CALL_OPERATOR,
        "the old side is not told to stop for one that is not fit any more",
    ),
    Row(_S.FENCING, _E.OVERDUE, _S.NEEDS_OPERATOR, Do.CALL_OPERATOR, "the old holder could not be shown to be off"),
    #
    Row(_S.PROMOTING, _E.PROMOTED, _S.REBINDING, Do.REBIND, "clients move last, to something that answers"),
    Row(
        _S.PROMOTING,
        _E.PROMOTE_WAITS,
        _S.PROMOTING,
        Do.PROMOTE,
        "no answer is not a refusal: asking again does no harm",
    ),
    Row(_S.PROMOTING, _E.SUPERSEDED, _S.WATCHING, Do.NOTHING, "a newer epoch was granted meanwhile"),
    Row(
        _S.PROMOTING,
        _E.OVERDUE,
        _S.NEEDS_OPERATOR,
        Do.CALL_OPERATOR,
        "the new site holds the lease but does not get up",
    ),
    #
    Row(_S.REBINDING, _E.REBOUND, _S.CONFIRMING, Do.CONFIRM, "an update is believed when it reads back"),
    Row(_S.REBINDING, _E.ONE_REBOUND, _S.REBINDING, Do.REBIND, "names move one by one, each on record before the next"),
    Row(_S.REBINDING, _E.REBIND_WAITS, _S.REBINDING, Do.REBIND, "one record, one update, repeated until it reads back"),
    Row(_S.REBINDING, _E.REBIND_REFUSED, _S.NEEDS_OPERATOR, Do.CALL_OPERATOR, "the name is not as the policy says"),
    Row(_S.REBINDING, _E.SUPERSEDED, _S.WATCHING, Do.NOTHING, "only the newest epoch may move the name"),
    Row(
        _S.REBINDING, _E.OVERDUE, _S.NEEDS_OPERATOR, Do.CALL_OPERATOR, "the new site serves, but the name does not move"
    ),
    #
    Row(_S.CONFIRMING, _E.CONFIRMED, _S.WATCHING, Do.NOTHING, "the new site answers, active, where the name points"),
    Row(_S.CONFIRMING, _E.CONFIRM_WAITS, _S.CONFIRMING, Do.CONFIRM, "a record is not yet service"),
    Row(
        _S.CONFIRMING,
        _E.ASTRAY,
        _S.REBINDING,
        Do.REBIND,
        "somebody stale wrote it after us: the newest epoch binds again",
    ),
    Row(_S.CONFIRMING, _E.SUPERSEDED, _S.WATCHING, Do.NOTHING, "a newer epoch was granted meanwhile"),
    Row(
        _S.CONFIRMING,
        _E.OVERDUE,
        _S.NEEDS_OPERATOR,
        Do.CALL_OPERATOR,
        "the name moved, but nobody is served through it",
    ),
    #
    Row(_S.BLOCKED, _E.HEALTHY, _S.WATCHING, Do.NOTHING, "it came back by itself"),
    Row(_S.BLOCKED, _E.UNBLOCKED, _S.WATCHING, Do.NOTHING, "acknowledged, or long enough ago"),
    Row(_S.BLOCKED, _E.BLOCK, _S.BLOCKED, Do.NOTHING, "still blocked: acknowledge the pair to let it move"),
    Row(_S.BLOCKED, _E.LOST, _S.FENCING, Do.FENCE, "the block is over and the loss is not"),
    Row(_S.BLOCKED, _E.SUSPECT, _S.BLOCKED, Do.NOTHING, "not enough to act on"),
    Row(_S.BLOCKED, _E.BLIND, _S.BLOCKED, Do.NOTHING, "a witness that is cut off has no say"),
    Row(_S.BLOCKED, _E.UNKNOWN, _S.BLOCKED, Do.NOTHING, "no evidence is not evidence of a loss"),
    Row(_S.BLOCKED, _E.PAUSE, _S.PAUSED, Do.NOTHING, "an operator has taken the wheel"),
    Row(_S.BLOCKED, _E.SWITCH, _S.PREPARING, Do.PREPARE, _PLANNED),
    Row(_S.BLOCKED, _E.STANDBY_UNFIT, _S.NEEDS_OPERATOR, Do.CALL_OPERATOR, "there is nothing good to move to"),
    Row(_S.BLOCKED, _E.REBIND_REFUSED, _S.NEEDS_OPERATOR, Do.CALL_OPERATOR, "the name was changed by somebody else"),
    Row(
        _S.BLOCKED, _E.LEASE_DAMAGED, _S.NEEDS_OPERATOR, Do.CALL_OPERATOR, "without the lease row nobody may take over"
    ),
    *_obstacles(_S.BLOCKED),
    #
    Row(_S.PAUSED, _E.RESUME, _S.WATCHING, Do.NOTHING, "the operator has handed back the wheel"),
    Row(_S.PAUSED, _E.PAUSE, _S.PAUSED, Do.NOTHING, "paused: watching goes on, acting does not"),
    Row(_S.PAUSED, _E.LEASE_DAMAGED, _S.PAUSED, Do.NOTHING, "the operator who paused it is told by the log"),
    #
    Row(_S.NEEDS_OPERATOR, _E.HEALTHY, _S.WATCHING, Do.NOTHING, "the cause is gone"),
    Row(_S.NEEDS_OPERATOR, _E.RESOLVED, _S.WATCHING, Do.NOTHING, "the operator says that it is settled"),
    Row(_S.NEEDS_OPERATOR, _E.LOST, _S.FENCING, Do.FENCE, "what stood in the way is gone, and the loss is not"),
    Row(_S.NEEDS_OPERATOR, _E.SWITCH, _S.PREPARING, Do.PREPARE, _PLANNED),
    Row(_S.NEEDS_OPERATOR, _E.PAUSE, _S.PAUSED, Do.NOTHING, "an operator has taken the wheel"),
    Row(_S.NEEDS_OPERATOR, _E.BLOCK, _S.BLOCKED, Do.CALL_OPERATOR, "a second failover so soon would be flapping"),
    Row(_S.NEEDS_OPERATOR, _E.STANDBY_UNFIT, _S.NEEDS_OPERATOR, Do.NOTHING, "there is still nothing good to move to"),
    Row(
        _S.NEEDS_OPERATOR, _E.REBIND_REFUSED, _S.NEEDS_OPERATOR, Do.NOTHING, "the name is still not as the policy says"
    ),
    Row(_S.NEEDS_OPERATOR, _E.UNFENCED, _S.NEEDS_OPERATOR, Do.NOTHING, "what cannot be shown to be off may be at work"),
    Row(_S.NEEDS_OPERATOR, _E.SUSPECT, _S.NEEDS_OPERATOR, Do.NOTHING, "not enough to act on"),
    Row(_S.NEEDS_OPERATOR, _E.BLIND, _S.NEEDS_OPERATOR, Do.NOTHING, "a witness that is cut off has no say"),
    Row(_S.NEEDS_OPERATOR, _E.LEASE_DAMAGED, _S.NEEDS_OPERATOR, Do.NOTHING, "the lease row is still not sound"),
    Row(_S.NEEDS_OPERATOR, _E.UNKNOWN, _S.NEEDS_OPERATOR, Do.NOTHING, "no evidence is not evidence of a loss"),
    *_obstacles(_S.NEEDS_OPERATOR),
)

AT_REST: Final = frozenset({State.WATCHING, State.REPROTECTING})
"""The lease's owner serves, and the name points to it."""

IN_HAND: Final = frozenset({State.PREPARING, State.FENCING, State.PROMOTING, State.REBINDING, State.CONFIRMING})
"""States in which a failover is under way and is driven to its end."""

TAKEN: Final = frozenset({State.PROMOTING, State.REBINDING, State.CONFIRMING})
"""The lease already names the new site: only forward, to an operator, or to a newer epoch."""

_BY_KEY: Final = {(row.state, row.on): row for row in FAILOVER}


def step(state: State, on: On) -> Row:
    """The one row for this. A combination outside the table is a bug and stops the run: better than a wrong move."""
    row = _BY_KEY.get((state, on))
    assert row is not None, f"no row for {state} on {on}"
    return row


def diagram() -> str:
    """The table as a mermaid state diagram; rows that stay where they are and do nothing are left out."""
    lines = ["stateDiagram-v2", "    [*] --> watching"]
    lines += [
        f"    {row.state} --> {row.next}: {row.on}" + ("" if row.do is Do.NOTHING else f" / {row.do}")
        for row in FAILOVER
        if not (row.state is row.next and row.do is Do.NOTHING)
    ]
    return "\n".join(lines) + "\n"


def page() -> str:
    """docs/failover-states.md, whole."""
    table = "\n".join(f"| {row.state} | {row.on} | {row.next} | {row.do} | {row.because} |" for row in FAILOVER)
    return (
        "# The states of a failover\n\n"
        "Generated from `shared/domain/failover_fsm.py` by `python -m understudy.states_page`; "
        "a test keeps both the same.\n\n"
        f"```mermaid\n{diagram()}```\n\n"
        "| state | on | next | do | because |\n|---|---|---|---|---|\n" + table + "\n"
    )
