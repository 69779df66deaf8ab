"""A decision about a pair, told in sentences from the situation that it was made in: who held what, what each witness
saw and how old that was, what spoke for a move and what against, and what was done.

Pure: the same situation gives the same text. What a decision led to is told by the decisions after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain import failover_obstacles
from shared.domain.detection import Finding, Observation, Sight, Source, Verdict
from shared.domain.failover_decision import Answer, Case, Resolution, judged, speakers
from shared.domain.failover_fsm import Do, On, step
from shared.domain.failover_order import Fate
from shared.domain.failover_situation import Missing, Situation

BEGINS: Final = frozenset({Do.FENCE, Do.PREPARE})
JUST_NOW: Final = timedelta(seconds=0.5)

SILENT: Final[Mapping[str, str]] = {
    "held": "no pause stood and its switch was on",
    "standby_unfit": "{standby} answered and was ready",
    "unfenced": "the old side was not known to be beyond fencing",
    "forbidden": "failovers were automatic, and no maintenance window was open",
    "unprotected": "{standby} was protected",
    "data_behind": "the data of {standby} was not known to be further behind than the policy allows",
    "short_of_room": "{standby} was not known to lack room",
    "vetoed": "no hook had a veto",
    "blocked": "no block was in force",
}
"""What may stand in the way of a move after a loss, and what it means that it did not."""

BESIDE_A_LOSS: Final = (
    "held", "acknowledged", "name_trouble", "name_unsettled", "block_over", "protection", "undecided",
)  # fmt: skip
"""Rules that have something to say of a pair that is not lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One decision, in the order in which one would ask."""

    held: tuple[str, ...]  # who held the lease
    seen: tuple[str, ...]  # what each witness saw
    judged: tuple[str, ...]  # what was made of it, what spoke for a move and what against
    done: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        return (*self.held, *self.seen, *self.judged, *self.done)


def tell(situation: Situation, resolution: Resolution) -> Told:
    """`resolution` is what was decided then; `situation` is of the same rules as this code."""
    return Told(
        held=_held(situation),
        seen=_seen(situation),
        judged=_judged(situation, resolution),
        done=_done(situation, resolution),
    )


# --- who held what ---


def _held(s: Situation) -> tuple[str, ...]:
    if s.unread is not None:
        what = {
            Missing.STORE: f"The state store could not be read from {s.witness}",
            Missing.ROWS: "A row of the state store could not be understood",
            Missing.LEASE: "The lease row could not be used",
        }[s.unread.what]
        return (f"{what}: {s.unread.because}.",)
    if any(o.source is Source.STORE and o.finding is Finding.ABSENT for o in s.observations):
        return ("Who held the lease could not be read.",)
    lease = s.lease
    if lease is None:
        return (f"There was no lease row: pair {s.agreed.pair} had never run.",)
    if lease.free:
        return (f"{lease.owner} had stopped and given epoch {lease.epoch} back: nobody held the lease.",)
    claimed = "" if lease.claimed else ", and no agent of that site had claimed it yet"
    return (f"{lease.owner} held epoch {lease.epoch}{claimed}. {_run_out(s)}",)


def _run_out(s: Situation) -> str:
    assert s.lease is not None
    unchanged, length = s.lease.unchanged, s.agreed.lease
    looked = f"From {s.witness} its row had been seen unchanged for {_long(unchanged)}"
    finding = next((o.finding for o in s.observations if o.source is Source.LEASE), None)
    if not s.agreed.agents:
        return "Nobody renews the lease of a pair without agents, so its row says nothing of the master."
    if finding is Finding.EXPIRED:
        return f"{looked}, longer than the lease of {_long(length)}: it had certainly run out."
    if finding is Finding.ACTIVE:
        return f"{looked}: it was being renewed."
    return f"{looked}: it might run for up to {_long(max(timedelta(0), length - unchanged))} more."


# --- what was seen ---


def _seen(s: Situation) -> tuple[str, ...]:
    looks = [o for o in s.observations if o.source is not Source.LEASE]
    told = [f"{_look(s, o)}{_age(s, o)}." for o in looks]
    looked_at = {o.subject for o in looks if o.source in (Source.AGENT, Source.SERVICE) and o.witness == s.witness}
    if s.lease is not None:
        missing = [site for site in s.agreed.sites if site not in looked_at]
        told += [f"The watch of {s.witness} did not look at {site} in that round." for site in missing]
    return tuple(told)


def _age(s: Situation, o: Observation) -> str:
    if o.age <= JUST_NOW:
        return ""
    return f", {_long(o.age)} before" + ("" if o.age <= s.fresh else ", too long ago to count")


def _look(s: Situation, o: Observation) -> str:
    detail = f" ({o.detail})" if o.detail else ""
    match o.source:
        case Source.AGENT:
            return f"The watch of {o.witness} asked the agent of {o.subject}: {_agent(s, o)}{detail}{_lag(s, o)}"
        case Source.PEER:
            return f"The agent of {o.witness} {_PEER.get(o.finding, _PEER[Finding.ABSENT]).format(o.subject)}{detail}"
        case Source.SERVICE:
            return f"The watch of {o.witness} tried the service of {o.subject}: {_answer(o)}{detail}"
        case Source.HEARTBEAT:
            beats = "had stopped" if o.finding is Finding.ABSENT else "kept coming"
            return f"The heartbeat of {o.subject} {beats}{detail}"
        case Source.ECS | Source.EVENT:
            return f"The platform told of the instance of {o.subject}: {o.detail or o.finding}"
        case Source.BALANCER:
            well = "not well" if o.finding is Finding.ABSENT else "well"
            return f"The load balancer found the servers of {o.subject} {well}{detail}"
        case Source.STORE | Source.LEASE:
            return f"The watch of {o.witness} could not read the state store{detail}"


_PEER: Final = {
    Finding.ACTIVE: "heard from that of {} that it was at work",
    Finding.PASSIVE: "heard from that of {} that it was not active",
    Finding.ABSENT: "did not hear that of {}",
}


def _agent(s: Situation, o: Observation) -> str:
    """A watch's own look carries more than its finding: what else the agent said stands with the site."""
    facts = s.of(o.subject)
    own = o.witness == s.witness and facts.sight is Sight.ANSWERED
    if o.finding not in (Finding.ACTIVE, Finding.PASSIVE):
        return _answer(o)
    if own and facts.active:
        stale = "" if o.finding is Finding.ACTIVE else ", which is not the lease's"
        return f"active under epoch {facts.epoch}{stale}"
    if o.finding is Finding.ACTIVE:
        return "active"
    ready = "" if not own or facts.ready is None else " and ready" if facts.ready else ", and its master was not well"
    return f"passive{ready}"


def _lag(s: Situation, o: Observation) -> str:
    facts = s.of(o.subject)
    own = o.witness == s.witness and o.finding is Finding.PASSIVE
    return f"; {facts.lag}" if own and facts.lag.behind is not None else ""


def _answer(o: Observation) -> str:
    match o.sight:
        case Sight.REFUSED:
            return "refused, so the host was there and the process was not"
        case Sight.SILENT:
            return "no answer"
        case _:
            return "it answered" if o.finding is not Finding.ABSENT else "not seen"


# --- what was made of it ---


def _judged(s: Situation, resolution: Resolution) -> tuple[str, ...]:
    if s.unread is not None:
        return ("Without it nothing can be judged.",)
    judgement = judged(s)
    verdict = f"Judged from {s.witness}: {judgement.verdict}, for {judgement.because[0]}."
    case = Case(s, resolution.verdict, resolution.word)
    spoken = dict(speakers(case))
    order = _order(s, resolution)
    if judgement.verdict is Verdict.LOST:
        return (verdict, *order, *_for_and_against(s, spoken))
    stands = _answered(spoken, *BESIDE_A_LOSS)
    why = (
        ()
        if resolution.do is Do.FENCE or (judgement.verdict is Verdict.HEALTHY and not stands)
        else (f"Nothing moves by itself unless the active site is lost{stands}.",)
    )
    return (verdict, *order, *why)


def _answered(spoken: Mapping[str, Answer | None], *rules: str) -> str:
    """What any of these rules said, as the end of a sentence."""
    said = [answer.why[0] for rule in rules if (answer := spoken.get(rule)) is not None and answer.why]
    return "".join(f"; {one}" for one in said)


def _for_and_against(s: Situation, spoken: Mapping[str, Answer | None]) -> tuple[str, ...]:
    said: dict[str, tuple[On, tuple[str, ...]] | None] = {
        rule: None if answer is None else (answer.on, answer.why) for rule, answer in spoken.items()
    }
    # One rule of the decision stands for all of these, and only the first of them is heard there.
    said |= {name: speaks(s, s.standby) for name, speaks in failover_obstacles.ALL}
    against = [
        ", ".join(found[1]) or str(found[0])
        for rule in SILENT
        if (found := said.get(rule)) is not None and found[0] is not On.LOST
    ]
    for_it = [text.format(standby=s.standby) for rule, text in SILENT.items() if said.get(rule) is None]
    if against:
        return (
            f"Against a move spoke: {'; '.join(against)}.",
            *(f"Nothing else did: {one}." for one in _listed(for_it)),
        )
    return tuple(f"Nothing spoke against a move: {one}." for one in _listed(for_it))


def _listed(texts: Sequence[str]) -> tuple[str, ...]:
    return ("; ".join(texts),) if texts else ()


def _order(s: Situation, resolution: Resolution) -> tuple[str, ...]:
    order, word = s.order, resolution.word
    if order is None or word is None:
        return ()
    by = f" by {order.by}" if order.by else ""
    given = f"A {order.kind} to {order.to_site} had been ordered{by} at {order.at.isoformat()} ({order.because})"
    match word.fate:
        case Fate.CARRIED:
            over = f", overriding {' and '.join(word.overrode)}" if word.overrode else ""
            return (f"{given}; it was carried out{over}.",)
        case Fate.WAITS:
            return (f"{given}; it waited: {word.why}.",)
        case Fate.REFUSED:
            return (f"{given}; it was refused: {word.why}.",)
        case _:
            return (f"{given}; it did not matter here.",)


# --- what was done ---


def _done(s: Situation, resolution: Resolution) -> tuple[str, ...]:
    row = step(s.state, resolution.on)
    if resolution.do in BEGINS:
        assert resolution.target is not None
        return (f"So a move to {resolution.target} was begun: {row.because}.", *_loss(s, resolution))
    called = ", and an operator was called" if resolution.do is Do.CALL_OPERATOR else ""
    if resolution.next is s.state:
        return (f"So nothing was done, and the pair stayed {_words(s.state)}: {row.because}.",)
    way = f"from {_words(s.state)} to {_words(resolution.next)}"
    return (f"So nothing was moved; the pair went {way}{called}: {row.because}.",)


def _loss(s: Situation, resolution: Resolution) -> tuple[str, ...]:
    if resolution.planned or resolution.target in (None, s.active):
        return ()
    if resolution.loss is None:
        return (f"Nobody had measured how far the data of {resolution.target} was behind.",)
    return (f"By what was measured last, it loses at most {_long(resolution.loss)} of data.",)


def _words(state: str) -> str:
    return state.replace("_", " ")


def _long(length: timedelta) -> str:
    seconds = length.total_seconds()
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
