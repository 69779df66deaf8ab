"""What of a loss is an operator's to decide: rules of `failover_decision`, in the order in which they are asked.

None of them speaks for a lease that was given back and whose holder is well again: to stay is no failover.
"""

from collections.abc import Callable

from shared.domain.failover_fsm import On
from shared.domain.failover_situation import Situation
from shared.domain.ids import SiteName
from shared.domain.pair import Mode, Short, UnknownLag

Objection = tuple[On, tuple[str, ...]]


def forbidden(s: Situation, _to: SiteName) -> Objection | None:
    """Inside a maintenance window, and of a pair in manual mode, a loss calls an operator, who orders the failover."""
    if s.agreed.mode is Mode.MANUAL:
        why = f"the mode of {s.agreed.pair} is manual"
    elif s.maintenance:
        why = s.maintenance
    else:
        return None
    order = f"`understudy failover {s.agreed.pair}` orders the failover"
    return On.FORBIDDEN, (f"{why}: {order}", "runbook: failover-is-yours-to-order")


def unprotected(s: Situation, to: SiteName) -> Objection | None:
    lacks = s.of(to).unprotected
    return (On.NOT_READY, (f"{to} was lost and is unprotected: {lacks}", _RUNBOOKS["unprotected"])) if lacks else None


def data_behind(s: Situation, to: SiteName) -> Objection | None:
    loss, rule = s.of(to).loss, s.agreed
    if loss is None:
        why = "" if rule.unknown_lag is UnknownLag.ACCEPT else f"nobody knows how far the data of {to} is behind"
    else:
        too_much = loss > rule.max_lag
        limit = f"more than the policy's {rule.max_lag.total_seconds():g} s"
        why = f"up to {loss.total_seconds():g} s of data would be lost by a move to {to}, {limit}" if too_much else ""
    return (On.NOT_READY, (why, _RUNBOOKS["data"])) if why else None


def short_of_room(s: Situation, to: SiteName) -> Objection | None:
    lacks = s.of(to).short
    refused = lacks and s.agreed.short.get(to) is Short.REFUSE
    return (On.NOT_READY, (f"{to} cannot carry it alone: {lacks}", _RUNBOOKS["capacity"])) if refused else None


def vetoed(s: Situation, _to: SiteName) -> Objection | None:
    """A veto counts as soon as it is there; without one, those that may still answer in time are waited for."""
    if s.vetoes:
        return On.VETOED, (*s.vetoes, _RUNBOOKS["hook"])
    return (On.SUSPECT, (s.asking,)) if s.asking else None


_RUNBOOKS = {
    "unprotected": "runbook: pair-is-unprotected",
    "data": "runbook: data-is-behind",
    "capacity": "runbook: capacity-is-short",
    "hook": "runbook: hook-vetoed",
}

ALL: tuple[tuple[str, Callable[[Situation, SiteName], Objection | None]], ...] = (
    ("forbidden", forbidden),
    ("unprotected", unprotected),
    ("data_behind", data_behind),
    ("short_of_room", short_of_room),
    ("vetoed", vetoed),
)
