"""What a watch does with what it saw: one pure function from a `Situation` to a `Resolution`, so that a decision can be
made again from what is stored of it.

The rules are asked one after the other, and the first that answers decides. Their order is the judgement:

1.  `unread`            what could not be read says nothing, and a damaged lease row calls an operator
2.  `held`              a pause or the switch: nothing moves, whatever is seen
3.  `resumed`           the pause is over
4.  `ordered`           an operator's order that is to be carried out now (what becomes of any other: `word_on_order`)
5.  `acknowledged`      an operator has settled what this pair waited for
    -- of a loss, each with what it needs to be true before the other site may serve --
6.  `back_to_holder`    given back, and only its old holder can take it: better the old holder than nobody
7.  `standby_unfit`     there is nothing good to move to
8.  `unfenced`          it was tried, and the old side cannot be shown to be off
9.  `obstacle`          what is an operator's to decide: the rules of `failover_obstacles`, in their order
10. `blocked`           no second automatic move so soon
11. `lost`              nothing stands in the way
    -- without one --
12. `name_trouble`      the name was changed by somebody else
13. `name_unsettled`    not well again before the name is known to point to the holder
14. `block_over`        the block has ended
15. `protection`        all is well but for the other side, which may not take over by itself yet
16. `undecided`         neither well nor lost for too long: an operator is told, and nothing moves
17. `as_judged`         what the witnesses say, and nothing more

A rule reads the `Case` and nothing else. A new one is a function of a few lines here, or in a module of its own for a
group of them, and a line in `RULES`; what it reads that is not in the situation yet is added there, with a default, and
filled in by `shared.usecases.failover.situation`. Whoever changes what is answered raises `CODE`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain import failover_obstacles
from shared.domain.detection import Judgement, Source, Verdict, judge
from shared.domain.failover_fsm import AT_REST, Do, On, State, step
from shared.domain.failover_order import Fate, Word, word_on_order
from shared.domain.failover_safety import Kind
from shared.domain.failover_situation import Missing, Situation
from shared.domain.ids import SiteName
from shared.domain.inventory import InstanceState

CODE: Final = "4"
"""Of the rules. Decisions of another one are not made again: it may have answered otherwise, and rightly so."""

SETTLED_WITHIN: Final = timedelta(seconds=30)
"""What is a loss shows as one within a lease and some rounds, and what is none passes."""
MOST_DOUBT: Final = timedelta(seconds=45)  # a watch's own clock counts it, within its tick of a minute

OF_VERDICT: Final = {
    Verdict.HEALTHY: On.HEALTHY,
    Verdict.SUSPECT: On.SUSPECT,
    Verdict.LOST: On.LOST,
    Verdict.BLIND: On.BLIND,
    Verdict.UNKNOWN: On.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Answer:
    on: On
    why: tuple[str, ...] = ()
    target: SiteName | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What every rule is asked about."""

    situation: Situation
    verdict: Verdict
    word: Word | None  # what becomes of the order

    @property
    def is_loss(self) -> bool:
        return self.verdict is Verdict.LOST

    @property
    def is_well(self) -> bool:
        return self.verdict is Verdict.HEALTHY


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What is decided. Equal for equal situations, to the letter."""

    on: On
    next: State
    do: Do
    rule: str  # the one that decided
    because: tuple[str, ...]  # the rule's reasons, then the witnesses'
    verdict: Verdict
    target: SiteName | None = None  # the site that is to serve
    word: Word | None = None  # what becomes of the order that waits
    loss: timedelta | None = None  # of data, at most, by a move to the target; None: nobody knows

    @property
    def carried(self) -> Word | None:
        """The order that this carries out."""
        return self.word if self.word is not None and self.word.fate is Fate.CARRIED else None

    @property
    def planned(self) -> bool:
        """The old side is asked to give its lease back."""
        return self.on in (On.SWITCH, On.FAILBACK)


Speaks = Callable[[Case], Answer | None]


def judged(situation: Situation) -> Judgement:
    """What the witnesses say of the active site."""
    return judge(
        situation.observations,
        active=situation.active,
        standby=situation.standby,
        witness=situation.witness,
        fresh=situation.fresh,
        quorum=situation.agreed.quorum,
        agents=situation.agreed.agents,
    )


def wants_order(situation: Situation) -> bool:
    """Whether an order is to be looked for in this round: read otherwise, it would not change anything. Of a lost site
    in every round, for an order may say more than the loss does, and then it comes first."""
    if situation.unread is not None:
        return False
    if situation.held:
        return situation.calm
    if situation.state is State.PAUSED or situation.lease is None:
        return False
    verdict = judged(situation).verdict
    return verdict is Verdict.LOST or (situation.calm and verdict in (Verdict.HEALTHY, Verdict.SUSPECT))


def decide(situation: Situation) -> Resolution:
    """`situation.state` is not one in which a failover is in hand: that one is driven to its end."""
    judgement = judged(situation)
    word = word_on_order(situation, lost=judgement.verdict is Verdict.LOST)
    case = Case(situation, judgement.verdict, word)
    rule, answer = next((name, said) for name, speaks in RULES if (said := speaks(case)) is not None)
    row = step(situation.state, answer.on)
    seen = () if rule == "unread" else judgement.because
    return Resolution(
        on=answer.on,
        next=row.next,
        do=row.do,
        rule=rule,
        because=(*answer.why, *seen),
        verdict=judgement.verdict,
        target=answer.target,
        word=word,
        loss=_loss(situation, answer.target),
    )


def _loss(situation: Situation, target: SiteName | None) -> timedelta | None:
    return None if target in (None, situation.active) else situation.of(target).loss


# --- the rules ---


def _unread(case: Case) -> Answer | None:
    unread = case.situation.unread
    if unread is None:
        return None
    match unread.what:
        case Missing.STORE:
            return Answer(On.BLIND, (f"the state store cannot be read from here: {unread.because}",))
        case Missing.ROWS:
            return Answer(On.UNKNOWN, (unread.because,))
        case Missing.LEASE:
            return Answer(On.LEASE_DAMAGED, (unread.because, "runbook: lease-row-missing"))


def _held(case: Case) -> Answer | None:
    return Answer(On.PAUSE, (case.situation.held,)) if case.situation.held else None


def _resumed(case: Case) -> Answer | None:
    return Answer(On.RESUME) if case.situation.state is State.PAUSED else None


def _ordered(case: Case) -> Answer | None:
    order, word = case.situation.order, case.word
    if order is None or word is None or word.fate is not Fate.CARRIED:
        return None
    unplanned = case.is_loss and order.kind is Kind.FAILOVER
    by = f" by {order.by}" if order.by else ""
    overridden = (f"overridden: {', '.join(word.overrode)}",) if word.overrode else ()
    why = (f"{order.kind} to {order.to_site} ordered{by}: {order.because}", *overridden)
    on = On.FORCED if unplanned else On.FAILBACK if order.kind is Kind.FAILBACK else On.SWITCH
    return Answer(on, why, order.to_site)


def _acknowledged(case: Case) -> Answer | None:
    at = case.situation.acknowledged
    if case.situation.state is not State.NEEDS_OPERATOR or at is None or at <= case.situation.since:
        return None
    return Answer(On.RESOLVED, (f"acknowledged at {at.isoformat()}",))


def _back_to_holder(case: Case) -> Answer | None:
    s, owner, standby = case.situation, case.situation.active, case.situation.standby
    if not case.is_loss or s.lease is None or not s.lease.free or s.of(standby).fit or not s.of(owner).fit:
        return None
    return Answer(On.LOST, (f"{owner} gave its lease back, is ready again, and {standby} is not",), owner)


def _standby_unfit(case: Case) -> Answer | None:
    standby = case.situation.standby
    facts = case.situation.of(standby)
    if not case.is_loss or facts.fit:
        return None
    how = "was not looked at" if facts.sight is None else f"{facts.sight} {facts.detail}".rstrip()
    return Answer(On.STANDBY_UNFIT, (f"the agent of {standby}: {how}", "runbook: standby-is-not-ready"))


def _unfenced(case: Case) -> Answer | None:
    """It was tried for long enough. Tried again is what the platform says is off now, and what an operator orders."""
    s = case.situation
    if not case.is_loss or not s.unfenced:
        return None
    off = (o for o in s.observations if o.source is Source.ECS and o.subject == s.active)
    if any(o.detail == InstanceState.STOPPED and o.age <= s.fresh for o in off):
        return None
    if s.lease is not None and s.lease.free and s.of(s.active).fit:
        # It gave up for a planned move, and nobody serves: better the old holder than nobody.
        return Answer(On.LOST, (f"{s.active} gave its lease back, and is ready again",), s.active)
    why = f"{s.active} could not be shown to be off at {s.unfenced}"
    return Answer(On.UNFENCED, (why, "runbook: old-side-cannot-be-fenced"))


def _obstacle(case: Case) -> Answer | None:
    s = case.situation
    if not case.is_loss or s.lease is None:
        return None
    objections = (speaks(s, s.standby) for _, speaks in failover_obstacles.ALL)
    found = next((one for one in objections if one is not None), None)
    if found is None:
        return None
    if s.lease.free and s.of(s.active).fit:
        return Answer(On.LOST, (f"{s.active} gave its lease back, and is ready again",), s.active)
    return Answer(*found)


def _blocked(case: Case) -> Answer | None:
    """Under a lease that ran out unclaimed nobody ever served: to move on from there is not flapping."""
    s, ends = case.situation, case.situation.blocked_until
    if not case.is_loss or ends is None or s.lease is None or not s.lease.claimed:
        return None
    if s.lease.free and s.of(s.active).fit:
        # To its old holder the name need not move: that is no flapping.
        return Answer(On.LOST, (f"{s.active} gave its lease back, and is ready again",), s.active)
    assert s.automatic_at is not None, "a block counts from a take-over"
    why = (
        f"the last automatic failover was at {s.automatic_at.isoformat()}; blocked until {ends.isoformat()} or until "
        f"`understudy acknowledge {s.agreed.pair}`"
    )
    return Answer(On.BLOCK, (why,))


def _lost(case: Case) -> Answer | None:
    return Answer(On.LOST, (), case.situation.standby) if case.is_loss else None


def _name_trouble(case: Case) -> Answer | None:
    trouble = case.situation.name_trouble
    return Answer(On.REBIND_REFUSED, (trouble,)) if case.is_well and trouble else None


def _name_unsettled(case: Case) -> Answer | None:
    if not case.is_well or case.situation.state is not State.NEEDS_OPERATOR or case.situation.name_settled:
        return None
    return Answer(On.UNKNOWN, ("the name is not yet known to point to the holder",))


def _block_over(case: Case) -> Answer | None:
    over = case.situation.state is State.BLOCKED and case.situation.blocked_until is None
    return Answer(On.UNBLOCKED) if over else None


def _protection(case: Case) -> Answer | None:
    s = case.situation
    if not case.is_well or s.state not in AT_REST:
        return None
    lacks = s.of(s.standby).unprotected
    if lacks:
        return Answer(On.UNPROTECTED, (f"{s.standby} may not take over by itself: {lacks}",))
    return Answer(On.REPROTECTED) if s.state is State.REPROTECTING else None


def _undecided(case: Case) -> Answer | None:
    s = case.situation
    longest = min(MOST_DOUBT, max(SETTLED_WITHIN, 2 * s.agreed.lease))
    if s.state is not State.SUSPECTING or case.is_well or case.is_loss or s.in_doubt <= longest:
        return None
    why = f"for {s.in_doubt.total_seconds():.0f} s {s.active} is neither seen well nor certainly lost"
    return Answer(On.UNDECIDED, (why, "runbook: loss-is-not-certain"))


def _as_judged(case: Case) -> Answer:
    return Answer(OF_VERDICT[case.verdict])


RULES: Final[tuple[tuple[str, Speaks], ...]] = (
    ("unread", _unread),
    ("held", _held),
    ("resumed", _resumed),
    ("ordered", _ordered),
    ("acknowledged", _acknowledged),
    ("back_to_holder", _back_to_holder),
    ("standby_unfit", _standby_unfit),
    ("unfenced", _unfenced),
    ("obstacle", _obstacle),
    ("blocked", _blocked),
    ("lost", _lost),
    ("name_trouble", _name_trouble),
    ("name_unsettled", _name_unsettled),
    ("block_over", _block_over),
    ("protection", _protection),
    ("undecided", _undecided),
    ("as_judged", _as_judged),
)


def speakers(case: Case) -> tuple[tuple[str, Answer | None], ...]:
    """Each rule and what it says of the case, whether or not one before it decides: for whoever explains it."""
    return tuple((name, speaks(case)) for name, speaks in RULES)
