"""An order to move a pair, shown before it is given: its steps, what stands in its way, and what it costs; and whether
the pair could fail over by itself now. Judged by what agents and watches have written.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from shared.domain.blackout import covering, windows
from shared.domain.failover_fsm import State
from shared.domain.failover_safety import DOUBTED_AFTER, Facts, Kind, Rule, checks, lag_objection
from shared.domain.ids import SiteName
from shared.domain.pair import FenceBy, Mode, Pair
from shared.domain.preview import Action, Check, Preview, critical_path, token_of
from shared.state.failovers import Failover
from shared.state.heartbeats import OVERDUE as UNHEARD
from shared.state.heartbeats import WatchBeat, age_of
from shared.usecases.failover.old_side import OVERDUE

ORDER_SEEN_WITHIN: Final = 5  # rounds of a watch
RUNBOOK: Final = "runbook: "
USUAL_STOP: Final = timedelta(seconds=30)  # a stop by force (assumption)
STEP: Final = timedelta(seconds=1)  # about as long as each of the others takes
CALLS: Final = timedelta(milliseconds=500)
"""An agent that is told to release or to become active, and the row that says so: three or four calls inside a region.
0.05-0.2 s in all were measured on one machine (`python -m bench failover --switchover`); more is allowed for here, and
both together stay within the 2 s that a switchover may cost."""


def preview_of(kind: Kind, pair: Pair, facts: Facts, force: frozenset[Rule], failover: Failover) -> Preview:
    target, owner = facts.target.site, facts.owner
    seen = ORDER_SEEN_WITHIN * pair.watch_every
    lost = all(one.heard is None or one.heard > DOUBTED_AFTER for one in facts.others)
    takes = f"{target} takes over as epoch {facts.epoch + 1}"
    asked = ", and asks the hooks" if pair.hooks else ""
    does = (
        (f"a watch reads the order, and looks at {target} once more{asked}", seen),
        *(released := (*_release(pair, facts, lost=lost), *_fence(pair, owner))),
        (f"{takes}, and its agent is told" if pair.agents else takes, CALLS),
        (f"{', then '.join(map(str, pair.names))} {'is' if len(pair.names) == 1 else 'are'} bound to {target}", STEP),
        (f"{target} is seen active through the name", STEP),
        *_surge(kind, pair, target, failover),
    )
    actions = tuple(
        Action(wave=n, does=text, subject=pair.name, takes=takes) for n, (text, takes) in enumerate(does, 1)
    )
    judged: tuple[Check, ...] = checks(kind, facts, force)
    nobody = sum((length for _, length in released), CALLS)  # the order is read while the old side still serves
    ttl = max(one.ttl_seconds for one in pair.names)
    cached = f"clients that keep the old address for the name's TTL ({ttl} s) are refused up to that long"
    warnings = [
        f"{owner} is not heard: if it is lost, nobody is active until {target} has taken over, up to "
        f"{(seen + nobody).total_seconds():.0f} s from the order; {cached}"
        if lost and pair.agents
        else f"nobody is active for about {nobody.total_seconds():.1f} s; {cached}"
    ]
    warnings += [f"an operator was called: {failover.because}"] if failover.state is State.NEEDS_OPERATOR else []
    lagging = lag_objection(facts.target.lag, [one.lag for one in facts.others], facts.data)
    if lagging and Rule.LAG in force:
        warnings.append(f"what {target} has not received is lost: {lagging}")
    return Preview(
        kind=kind.value,
        subject=pair.name,
        actions=actions,
        checks=judged,
        token=token_of(kind, pair.name, target, str(facts.epoch), *sorted(force)),
        takes=critical_path(actions),
        warnings=tuple(warnings),
    )


def _release(pair: Pair, facts: Facts, *, lost: bool) -> tuple[tuple[str, timedelta], ...]:
    """How the lease comes free. Nothing is said of a dead holder that only a living one does."""
    if not pair.agents:
        return ()
    if not facts.held:
        return ((f"the lease of {facts.owner} was given back already", timedelta(0)),)
    if lost:
        return ((f"{facts.owner} is not heard: its lease runs out, if it is not renewed", pair.lease),)
    return ((f"{facts.owner} gives its lease back", CALLS),)


def _fence(pair: Pair, owner: SiteName) -> tuple[tuple[str, timedelta], ...]:
    """What is done to the old side beside its lease, or instead of one."""
    old = pair.member(owner).instance
    match pair.fence.by:
        case FenceBy.LEASE:
            return ()
        case FenceBy.STOP:
            return ((f"{old} of {owner} is stopped, and stays so until somebody starts it", USUAL_STOP),)
        case FenceBy.ISOLATE:
            return ((f"{old} of {owner} is moved into {pair.fence.group}, and stays there", pair.fence.proof + STEP),)


def _surge(kind: Kind, pair: Pair, target: SiteName, failover: Failover) -> tuple[tuple[str, timedelta], ...]:
    """Done beside the rest, or after it: nothing waits for it."""
    if kind is Kind.FAILBACK or (kind is Kind.SWITCHOVER and target == pair.preferred):
        back = [f"{server} to weight {weight}" for server, weight in sorted(failover.weights.items())]
        back += [f"{group} to {size} members" for group, size in sorted(failover.sizes.items())]
        return ((f"what was raised is put back: {', '.join(back)}", timedelta(0)),) if back else ()
    surge = pair.surge.get(target)
    if surge is None or not (surge.weights or surge.groups):
        return ()
    up = [f"{server} to weight {weight}" for server, weight in sorted(surge.weights.items())]
    up += [f"{group} to {size} members" for group, size in sorted(surge.groups.items())]
    return ((f"beside all that, {target} is raised: {', '.join(up)}", timedelta(0)),)


# --- whether it could fail over by itself ---


def readiness_of(
    pair: Pair, facts: Facts, failover: Failover, watches: Mapping[SiteName, WatchBeat], now: datetime
) -> tuple[Check, ...]:
    """Every rule that an automatic failover would meet now, in the order in which an operator would mend them. One that
    is ok and has a remedy is a warning."""
    judged = tuple(one for one in checks(Kind.FAILOVER, facts, frozenset()) if one.name != "target")
    seen = (_automatic(pair, now), _watches(pair, watches, now), _names(pair, watches))
    return (*judged, *(_unfenced(failover) or _called(failover)), *seen, *_hooks(pair))


def _called(failover: Failover) -> tuple[Check, ...]:
    """What an operator was called for may also stand in the way of the next loss; that it would not is not known."""
    if failover.state is not State.NEEDS_OPERATOR:
        return ()
    why, _, runbook = failover.because.partition(RUNBOOK)
    return (Check(name="operator", ok=False, says=why.rstrip("; ."), remedy=f"runbook {runbook}" if runbook else ""),)


def _automatic(pair: Pair, now: datetime) -> Check:
    found = windows(pair.maintenance, after=now - timedelta(days=1), until=now + timedelta(seconds=1))
    open_ = covering(found, now)
    if pair.mode is Mode.MANUAL:
        says = "the mode is manual: a loss calls an operator"
    elif open_ is not None:
        says = f"maintenance {open_.because.removeprefix('blackout ')}: a loss calls an operator"
    else:
        return Check(name="automatic", ok=True, says=f"a loss moves it, once {pair.quorum} witnesses agree")
    return Check(name="automatic", ok=False, says=says, remedy="runbook failover-is-yours-to-order")


def _watches(pair: Pair, watches: Mapping[SiteName, WatchBeat], now: datetime) -> Check:
    missing = [member.site for member in pair.members if not _runs(watches.get(member.site), now)]
    if not missing:
        return Check(name="watches", ok=True, says="the watches of both sites run")
    sites = " and ".join(missing)
    return Check(
        name="watches", ok=False, says=f"the watch of {sites} is not heard", remedy="look at the log of its function"
    )


def _runs(beat: WatchBeat | None, now: datetime) -> bool:
    age = None if beat is None else age_of(beat.at, now=now)
    return age is not None and age <= UNHEARD


def _names(pair: Pair, watches: Mapping[SiteName, WatchBeat]) -> Check:
    """What watches find of names in calm makes a move longer for clients; it keeps none back."""
    found = sorted({finding for beat in watches.values() for finding in beat.names})
    names = ", ".join(map(str, pair.names))
    if not found:
        return Check(name="names", ok=True, says=f"nothing is known against {names}")
    return Check(name="names", ok=True, says="; ".join(found), remedy=f"`understudy name prepare {pair.name}`")


def _unfenced(failover: Failover) -> tuple[Check, ...]:
    since = failover.fence.get(OVERDUE, "") if failover.state is State.NEEDS_OPERATOR else ""
    if not since:
        return ()
    says = f"{failover.from_site} could not be shown to be off at {since}"
    return (Check(name="fence", ok=False, says=says, remedy="runbook old-side-cannot-be-fenced"),)


def _hooks(pair: Pair) -> tuple[Check, ...]:
    if not pair.hooks:
        return ()
    names = ", ".join(hook.name for hook in pair.hooks)
    return (Check(name="hooks", ok=True, says=f"asked when something looks wrong, and before a planned move: {names}"),)
