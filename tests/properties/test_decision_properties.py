"""What holds of a decision whatever the situation: it is answered, it comes back from its stored form, it can be told,
and nothing is moved that must not be."""

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import failover_decision
from shared.domain.detection import Finding, Observation, Sight, Source, Verdict
from shared.domain.failover_decision import CODE, RULES, Resolution, decide
from shared.domain.failover_fsm import IN_HAND, Do, State
from shared.domain.failover_order import Fate
from shared.domain.failover_safety import Kind, Lag, Rule
from shared.domain.failover_situation import (
    LONGEST_TEXT,
    Agreed,
    LeaseFacts,
    Missing,
    OrderFacts,
    SiteFacts,
    Situation,
    Unread,
    short,
)
from shared.domain.ids import Epoch, PairName, SiteName
from shared.domain.lease import LeaseState
from shared.domain.pair import Mode, Short, UnknownLag
from shared.domain.telling import tell
from shared.state import codec
from shared.usecases.failover.situation import MOST_VETOES

SITES = (SiteName("hz-h"), SiteName("hz-i"))
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SIZE = 10_000
"""Bytes at most of a situation in its stored form: every text in it as long as it may be, and every source with
something to say of both sites. Ordinary ones take 1 to 2 KB. Texts beyond ASCII may take three times as much."""

sites = st.sampled_from(SITES)
moments = st.integers(-7_200_000_000, 7_200_000_000).map(lambda us: NOON + timedelta(microseconds=us))
lengths = st.integers(0, 120_000_000).map(lambda us: timedelta(microseconds=us))
texts = st.sampled_from(["", "x", "no route to host", "鏡" * LONGEST_TEXT])
epochs = st.integers(1, 5).map(Epoch)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


observations = st.builds(
    Observation,
    source=st.sampled_from(Source),
    subject=sites,
    witness=sites,
    finding=st.sampled_from(Finding),
    age=lengths,
    sight=maybe(st.sampled_from(Sight)),
    detail=texts,
)
agreed = st.builds(
    Agreed,
    pair=st.just(PairName("control")),
    sites=st.just(SITES),
    preferred=sites,
    lease=st.just(timedelta(seconds=5)),
    margin=st.just(timedelta(seconds=1)),
    renew_every=st.just(timedelta(seconds=1)),
    watch_every=st.just(timedelta(seconds=1)),
    block=st.just(timedelta(hours=1)),
    quorum=st.integers(1, 5),
    agents=st.booleans(),
    mode=st.sampled_from(Mode),
    max_lag=lengths,
    unknown_lag=st.sampled_from(UnknownLag),
    short=st.dictionaries(sites, st.sampled_from(Short)),
)
leases = st.builds(
    LeaseFacts,
    owner=sites,
    epoch=epochs,
    version=st.integers(1, 99),
    state=st.sampled_from(LeaseState),
    claimed=st.booleans(),
    unchanged=lengths,
)
facts = st.builds(
    SiteFacts,
    sight=maybe(st.sampled_from(Sight)),
    active=maybe(st.booleans()),
    epoch=maybe(epochs),
    ready=maybe(st.booleans()),
    detail=texts,
    lag=st.builds(Lag, behind=maybe(lengths), age=maybe(lengths)),
    loss=maybe(lengths),
    short=texts,
    unprotected=texts,
)
orders = st.builds(
    OrderFacts,
    id=st.sampled_from(["", "o-1"]),
    kind=st.sampled_from(Kind),
    to_site=sites,
    at=moments,
    because=texts,
    by=st.sampled_from(["", "li"]),
    force=st.lists(st.sampled_from(Rule), unique=True).map(tuple),
    epoch=maybe(epochs),
)
read = st.builds(
    Situation,
    code=st.just(CODE),
    now=st.just(NOON),
    witness=sites,
    agreed=agreed,
    calm=st.booleans(),
    state=st.sampled_from([state for state in State if state not in IN_HAND]),
    since=moments,
    automatic_at=maybe(moments),
    begun_by=st.sampled_from(["", "o-1"]),
    unfenced=st.sampled_from(["", "2026-03-02T11:58:00Z"]),
    lease=maybe(leases),
    observations=st.lists(observations, max_size=8).map(tuple),
    sites=st.dictionaries(sites, facts),
    held=texts,
    maintenance=texts,
    vetoes=st.lists(texts.filter(bool), max_size=2).map(tuple),
    asking=texts,
    name_trouble=texts,
    name_settled=st.booleans(),
    acknowledged=maybe(moments),
    order=maybe(orders),
)


def unread(situation: Situation, what: Missing) -> Situation:
    """As a watch meets it: what the failover's row says is known only when that row could be read."""
    state = situation.state if what is Missing.LEASE else State.WATCHING
    return dataclasses.replace(situation, state=state, unread=Unread(what=what, because="x"), lease=None, sites={})


situations = read | st.builds(unread, read, st.sampled_from(Missing))


@settings(max_examples=600)
@given(situations)
def test_every_situation_is_answered_and_told_and_comes_back_the_same(situation: Situation) -> None:
    stored = codec.dump(situation)
    again = codec.load(Situation, stored)

    decided = decide(situation)
    assert again == situation
    assert codec.dump(again) == stored
    assert decide(again) == decided
    assert codec.load(Resolution, codec.dump(decided)) == decided
    assert tell(situation, decided).sentences


@settings(max_examples=600)
@given(situations)
def test_nothing_is_begun_that_must_not_be(situation: Situation) -> None:
    decided = decide(situation)

    if decided.do not in (Do.FENCE, Do.PREPARE):
        return
    assert not situation.held, "a pause holds everything"
    assert situation.unread is None
    assert situation.lease is not None, "nothing is moved that was not seen"
    target = decided.target
    assert target is not None
    assert situation.of(target).fit, "there is nothing good to move to"
    if decided.carried is None:
        assert decided.verdict is Verdict.LOST
        back = target == situation.active
        assert back or situation.blocked_until is None or not situation.lease.claimed, "that would be flapping"
        assert back or not situation.unfenced or situation.observations, "the old side was not shown to be off"
    else:
        assert decided.carried.fate is Fate.CARRIED
        order = situation.order
        assert order is not None
        assert set(decided.carried.overrode) <= set(order.force), "only what was named is overridden"


def test_a_situation_is_no_larger_than_is_said() -> None:
    text, zero = short("x" * 5000), timedelta(0)
    seen = tuple(
        Observation(source=source, subject=site, witness=site, finding=Finding.ABSENT, age=timedelta(1), detail=text)
        for source in Source
        for site in SITES
    )
    terms = Agreed(
        pair=PairName("control"), sites=SITES, preferred=SITES[0], lease=zero, margin=zero, renew_every=zero,
        watch_every=zero, block=zero,
    )  # fmt: skip
    largest = Situation(
        code=CODE, now=NOON, witness=SITES[0], agreed=terms, calm=True, state=State.WATCHING, since=NOON,
        observations=seen, sites=dict.fromkeys(SITES, SiteFacts(detail=text, short=text, unprotected=text)),
        held=text, maintenance=text, vetoes=(text,) * MOST_VETOES, asking=text, name_trouble=text,
    )  # fmt: skip

    assert SIZE * 0.8 < len(codec.dump(largest)) <= SIZE


def test_the_page_names_the_rules_in_the_order_in_which_they_are_asked() -> None:
    told = re.findall(r"^\d+\. +`(\w+)`", failover_decision.__doc__ or "", re.MULTILINE)

    assert told == [name for name, _ in RULES]
