"""What stands in the way of moving a pair by order, from what is known of it: pure, so that the preview and the watch
say the same. An order may override the rules of judgement that it names, and never the lease: a site is taken over when
its lease has run out or was given back, whatever anybody orders.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.domain.errors import BadInput
from shared.domain.ids import Epoch, SiteName
from shared.domain.pair import DataRule, Short, UnknownLag
from shared.domain.preview import Check


class Kind(StrEnum):
    SWITCHOVER = "switchover"  # planned: the old side gives its lease back first
    FAILBACK = "failback"  # a switchover to the preferred site
    FAILOVER = "failover"  # as a switchover while the old side is well; also when it is lost
    RESTORE = "restore"  # the lease row is written anew


class Rule(StrEnum):
    """What an order may override, by name and on record."""

    BLOCK = "block"  # no second failover so soon
    LAG = "lag"  # the new side's data is behind, or nobody knows how far
    CAPACITY = "capacity"  # the new side has not the room that the policy asks for
    HOOK = "hook"  # a hook's veto, or its silence
    UNPROTECTED = "unprotected"  # the new side was lost, and is not known to be well again
    UNSEEN = "unseen"  # an agent that does not answer may stand beside a master that works
    FENCE = "fence"  # the old master could not be shown to be off: two may be at work


OVERRIDABLE: Final = {
    Kind.SWITCHOVER: frozenset[Rule](),
    Kind.FAILBACK: frozenset[Rule](),
    Kind.FAILOVER: frozenset({Rule.BLOCK, Rule.CAPACITY, Rule.FENCE, Rule.HOOK, Rule.LAG, Rule.UNPROTECTED}),
    Kind.RESTORE: frozenset({Rule.UNSEEN}),
}
AS_USUAL: Final = DataRule()
HEARD_WITHIN: Final = timedelta(seconds=30)
"""Agents beat every five seconds. Wall clocks of two machines are compared here, so nothing finer is read from it; the
watch looks with its own eyes before it acts."""


DOUBTED_AFTER: Final = timedelta(seconds=12)
"""Two heartbeats were missed: what the last one said need not be so any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far a site's data was behind, `age` ago. `behind` None: its agent does not say."""

    behind: timedelta | None = None
    age: timedelta | None = None

    def __str__(self) -> str:
        if self.behind is None:
            return "its lag is not known"
        age = "" if self.age is None else f", measured {self.age.total_seconds():.0f} s ago"
        return f"it is {self.behind.total_seconds():g} s behind{age}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One site, as its agent told last."""

    site: SiteName
    attended: bool = True  # an agent stands beside its master; without one nothing is told of it beforehand
    heard: timedelta | None = None  # how long ago; None: never, or nobody knows
    ahead: timedelta | None = None  # by how much its clock is ahead, so that nobody knows how long ago it was heard
    active: bool = False
    ready: bool = False
    lag: Lag = Lag()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a pair when somebody asks for a move."""

    owner: SiteName
    epoch: Epoch
    held: bool  # False: the lease was given back
    target: Side
    others: tuple[Side, ...]
    state: str  # of its failover
    pair: str = "PAIR"  # in the commands that are named
    in_hand: bool  # a failover is under way
    stopped: str = ""  # why nothing moves: a pause, or the switch is off
    goes_on: str = ""  # the command that ends that
    standing: str = ""  # an order that was given and not carried out yet
    blocked_until: datetime | None = None
    data: DataRule = AS_USUAL
    unprotected: str = ""  # why the target may not take over again yet
    short: str = ""  # what the target lacks of what it must carry alone
    if_short: Short = Short.WARN


def overrides(kind: Kind, names: Collection[str]) -> frozenset[Rule]:
    """Raises BadInput for what this kind of order cannot override."""
    may = sorted(OVERRIDABLE[kind])
    wrong = sorted(set(names) - set(may))
    if wrong:
        can = f"it may override {' and '.join(may)}" if may else "it overrides nothing; `understudy failover` may"
        raise BadInput(f"argument force holds {', '.join(map(repr, wrong))}: {can}. The lease is never overridden")
    return frozenset(Rule(name) for name in names)


def lag_objection(target: Lag, others: Collection[Lag], rule: DataRule = AS_USUAL) -> str:
    """Why the data of `target` stands in the way; empty when it does not. A pair of whose sites none measures has no
    lag to judge, unless its policy refuses an unknown one."""
    if target.behind is None:
        if any(one.behind is not None for one in others):
            return "its lag is not known, though the other side measures"
        return "its lag is not known" if rule.unknown is UnknownLag.REFUSE else ""
    if target.behind > rule.max_lag:
        return f"{target}, more than {rule.max_lag.total_seconds():g} s"
    if target.age is not None and target.age > HEARD_WITHIN:
        return f"{target}: too long ago to count"
    return ""


def checks(kind: Kind, facts: Facts, force: frozenset[Rule]) -> tuple[Check, ...]:
    """All that is judged before an order is given, in the order in which an operator would mend it."""
    target = facts.target
    listed = [
        Check(
            name="switch",
            ok=not facts.stopped,
            says=facts.stopped or "automatic and ordered moves are allowed",
            remedy=f"`{facts.goes_on}`" if facts.stopped and facts.goes_on else "",
        ),
        Check(
            name="nothing under way",
            ok=not facts.in_hand and not facts.standing,
            says=f"its failover is {facts.state}" + (f"; {facts.standing}" if facts.standing else ""),
            remedy="wait for its end" if facts.in_hand else "wait until it is carried out" if facts.standing else "",
        ),
        Check(
            name="target",
            ok=target.site != facts.owner,
            says=f"{facts.owner} holds epoch {facts.epoch}" + ("" if facts.held else ", given back"),
            remedy="" if target.site != facts.owner else "there is nothing to move",
        ),
        _fit(target),
    ]
    lagging = _lagging(facts)
    forced = Rule.LAG in force
    told = str(target.lag) if target.lag.behind is not None else "neither agent measures it"
    listed.append(
        Check(
            name="data",
            ok=not lagging or forced,
            says=(lagging or told) + (": overridden" if lagging and forced else ""),
            remedy=""
            if not lagging or forced
            else f"wait, or `understudy failover {facts.pair} --force lag --because ...`",
        )
    )
    listed += _more(facts, force)
    if kind is Kind.FAILOVER and facts.blocked_until is not None:
        forced = Rule.BLOCK in force
        until = f"no second failover before {facts.blocked_until:%Y-%m-%dT%H:%M:%SZ}"
        listed.append(
            Check(
                name="block",
                ok=forced,
                says=until + (": overridden" if forced else ""),
                remedy="" if forced else f"--force block --because ..., or `understudy acknowledge {facts.pair}`",
            )
        )
    return tuple(listed)


def overrode(facts: Facts, force: frozenset[Rule]) -> tuple[Rule, ...]:
    """Which of the rules that an order may override did stand in its way."""
    stood = set()
    if _lagging(facts):
        stood.add(Rule.LAG)
    if facts.unprotected:
        stood.add(Rule.UNPROTECTED)
    if facts.short and facts.if_short is Short.REFUSE:
        stood.add(Rule.CAPACITY)
    if facts.blocked_until is not None:
        stood.add(Rule.BLOCK)
    return tuple(sorted(stood & force))


def _lagging(facts: Facts) -> str:
    return lag_objection(facts.target.lag, [one.lag for one in facts.others], facts.data)


def _more(facts: Facts, force: frozenset[Rule]) -> list[Check]:
    """Protection and room, where there is anything to say of them."""
    found = []
    if facts.unprotected:
        forced = Rule.UNPROTECTED in force
        found.append(
            Check(
                name="protection",
                ok=forced,
                says=facts.unprotected + (": overridden" if forced else ""),
                remedy="" if forced else "runbook pair-is-unprotected",
            )
        )
    if facts.short:
        forced = Rule.CAPACITY in force
        ok = forced or facts.if_short is Short.WARN
        said = ": overridden" if forced else "" if facts.if_short is Short.REFUSE else " (a warning, by the policy)"
        found.append(
            Check(name="capacity", ok=ok, says=facts.short + said, remedy="" if ok else "runbook capacity-is-short")
        )
    return found


def _fit(target: Side) -> Check:
    if not target.attended:
        return Check(name="fit", ok=True, says=f"{target.site} has no agent: a watch tries its service before it moves")
    remedy = f"start the master and agent of {target.site}"
    if target.ahead is not None:
        seconds = target.ahead.total_seconds()
        says = f"the clock of {target.site} is {seconds:.0f} s ahead: how long ago its agent was heard is not known"
        ok, remedy = False, f"set the clock of {target.site} right (NTP)"
    elif target.heard is None:
        says, ok = f"the agent of {target.site} was never heard", False
    elif target.heard > HEARD_WITHIN:
        says, ok = f"the agent of {target.site} was last heard {target.heard.total_seconds():.0f} s ago", False
    elif target.active:
        ok, ago = False, f"{target.heard.total_seconds():.0f} s ago"
        if target.heard > DOUBTED_AFTER:
            says = f"the agent of {target.site} was last heard {ago}, and said then that it is active"
        else:
            says = f"the agent of {target.site} says that it is active, {ago}"
            remedy = "look again in some seconds: agents tell every 5 s"
    else:
        says = f"{target.site} answers, is passive and " + ("ready" if target.ready else "its master is not well")
        ok = target.ready
    return Check(name="fit", ok=ok, says=says, remedy="" if ok else remedy)
