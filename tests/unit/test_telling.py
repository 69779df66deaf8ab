"""Decisions in sentences, for what the recorded days of tests/cli/test_explain_time.py do not hold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.domain import failover_obstacles
from shared.domain.detection import Finding, Observation, Sight, Source
from shared.domain.failover_decision import CODE, RULES, decide
from shared.domain.failover_fsm import State
from shared.domain.failover_safety import Kind, Rule
from shared.domain.failover_situation import Agreed, LeaseFacts, Missing, OrderFacts, SiteFacts, Situation, Unread
from shared.domain.ids import Epoch, PairName, SiteName
from shared.domain.lease import LeaseState
from shared.domain.pair import Mode, UnknownLag
from shared.domain.telling import SILENT, tell

H, STANDBY = SiteName("hz-h"), SiteName("hz-i")
SECOND = timedelta(seconds=1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
AGREED = Agreed(
    pair=PairName("control"), sites=(H, STANDBY), preferred=H, lease=5 * SECOND, margin=SECOND, renew_every=SECOND,
    watch_every=SECOND, block=timedelta(hours=1),
)  # fmt: skip
LEASE = LeaseFacts(
    owner=H, epoch=Epoch(7), version=90, state=LeaseState.HELD, claimed=True, unchanged=timedelta(seconds=5.2)
)


def saw(source: Source, finding: Finding, **more: object) -> Observation:
    observation = Observation(source=source, subject=H, witness=STANDBY, finding=finding, age=timedelta(0))
    return replace(observation, **more)  # type: ignore[arg-type]  # fields by name


LOST = Situation(
    code=CODE,
    now=NOON,
    witness=STANDBY,
    agreed=AGREED,
    calm=True,
    state=State.SUSPECTING,
    since=NOON - 3 * SECOND,
    lease=LEASE,
    observations=(
        saw(Source.LEASE, Finding.EXPIRED),
        saw(Source.AGENT, Finding.ABSENT, sight=Sight.SILENT),
        saw(Source.AGENT, Finding.PASSIVE, subject=STANDBY, sight=Sight.ANSWERED),
        saw(Source.PEER, Finding.ABSENT, age=2 * SECOND, sight=Sight.SILENT),
        saw(Source.BALANCER, Finding.ABSENT, age=30 * SECOND, detail="0 of 3 servers normal"),
    ),
    sites={
        H: SiteFacts(sight=Sight.SILENT),
        STANDBY: SiteFacts(sight=Sight.ANSWERED, active=False, ready=True, loss=4 * SECOND),
    },
)


def told(situation: Situation) -> str:
    return " ".join(tell(situation, decide(situation)).sentences)


def test_each_rule_that_may_stand_in_the_way_is_told() -> None:
    names = {name for name, _ in RULES} | {name for name, _ in failover_obstacles.ALL}
    not_in_the_way = {
        "unread", "resumed", "ordered", "acknowledged", "back_to_holder", "lost", "obstacle",
        "name_trouble", "name_unsettled", "block_over", "protection", "undecided", "as_judged",
    }  # fmt: skip

    assert names - not_in_the_way == set(SILENT), "say in telling.SILENT what it means that the rule does not object"


def test_what_is_too_old_is_said_to_count_for_nothing() -> None:
    text = told(LOST)

    assert "The agent of hz-i did not hear that of hz-h, 2.0 s before." in text
    assert "(0 of 3 servers normal), 30.0 s before, too long ago to count." in text


def test_a_heartbeat_that_was_seen_is_not_told_as_one_that_says_nothing() -> None:
    beats = saw(Source.HEARTBEAT, Finding.SEEN, detail="unchanged for 1 s")
    still = saw(Source.HEARTBEAT, Finding.ABSENT, detail="unchanged for 31 s")

    assert "The heartbeat of hz-h kept coming (unchanged for 1 s)." in told(replace(LOST, observations=(beats,)))
    assert "The heartbeat of hz-h had stopped (unchanged for 31 s)." in told(replace(LOST, observations=(still,)))


def test_what_a_move_costs_in_data_is_told() -> None:
    unknown = replace(LOST, sites={**LOST.sites, STANDBY: replace(LOST.sites[STANDBY], loss=None)})

    assert "By what was measured last, it loses at most 4.0 s of data." in told(LOST)
    assert "Nobody had measured how far the data of hz-i was behind." in told(unknown)


def test_all_that_stands_in_the_way_is_told_and_not_only_what_was_heard_first() -> None:
    manual = replace(
        LOST,
        agreed=replace(AGREED, mode=Mode.MANUAL, max_lag=SECOND, unknown_lag=UnknownLag.REFUSE),
        vetoes=("ledger says no: books are open",),
        automatic_at=NOON - timedelta(minutes=5),
    )

    text = told(manual)

    assert "Against a move spoke: the mode of control is manual" in text
    assert "up to 4 s of data would be lost by a move to hz-i" in text
    assert "ledger says no: books are open" in text
    assert "blocked until 2026-03-02T12:55:00+00:00" in text
    assert "Nothing else did: no pause stood" in text
    assert "to needs operator, and an operator was called" in text


def test_an_order_that_waits_is_told_with_who_gave_it_and_for_what_it_waits() -> None:
    order = OrderFacts(id="o-1", kind=Kind.FAILOVER, to_site=STANDBY, at=NOON, because="rack fire", by="li",
                       force=(Rule.BLOCK,), epoch=Epoch(7))  # fmt: skip
    unfit = replace(LOST, order=order, sites={STANDBY: SiteFacts(sight=Sight.REFUSED)})

    text = told(unfit)

    assert "A failover to hz-i had been ordered by li at 2026-03-02T12:00:00+00:00 (rack fire)" in text
    assert "it waited: its agent does not answer, or is not ready." in text


def test_what_could_not_be_read_is_told_and_nothing_is_made_of_it() -> None:
    damaged = replace(
        LOST, lease=None, observations=(), unread=Unread(what=Missing.LEASE, because="the lease row is gone")
    )

    text = told(damaged)

    assert "The lease row could not be used: the lease row is gone. Without it nothing can be judged." in text
    assert "to needs operator, and an operator was called: without the lease row nobody may take over." in text


def test_of_masters_without_agents_the_lease_tells_nothing() -> None:
    alone = replace(
        LOST,
        agreed=replace(AGREED, agents=False),
        observations=(
            saw(Source.SERVICE, Finding.ACTIVE, sight=Sight.ANSWERED),
            saw(Source.SERVICE, Finding.ABSENT, subject=STANDBY, sight=Sight.REFUSED),
        ),
    )

    text = told(alone)

    assert "Nobody renews the lease of a pair without agents, so its row says nothing of the master." in text
    assert "The watch of hz-i tried the service of hz-h: it answered." in text
    assert "the service of hz-i: refused, so the host was there and the process was not." in text


def test_a_doubt_that_lasts_too_long_is_told_as_what_called_the_operator() -> None:
    doubtful = replace(
        LOST,
        observations=(
            saw(Source.LEASE, Finding.ABSENT),
            saw(Source.AGENT, Finding.ABSENT, sight=Sight.SILENT),
            saw(Source.AGENT, Finding.PASSIVE, subject=STANDBY, sight=Sight.ANSWERED),
        ),
        in_doubt=timedelta(seconds=31),
    )

    text = told(doubtful)

    assert "unless the active site is lost; for 31 s hz-h is neither seen well nor certainly lost." in text
    assert "to needs operator, and an operator was called" in text
    assert "neither seen well" not in told(replace(doubtful, in_doubt=timedelta(seconds=10)))


def test_a_side_that_may_not_take_over_is_told_while_all_else_is_well() -> None:
    unprotected = replace(
        LOST,
        state=State.WATCHING,
        observations=(
            saw(Source.LEASE, Finding.ACTIVE),
            saw(Source.AGENT, Finding.ACTIVE, sight=Sight.ANSWERED),
        ),
        sites={**LOST.sites, STANDBY: SiteFacts(sight=Sight.ANSWERED, ready=True, unprotected="it was lost at 11:00")},
    )

    text = told(unprotected)

    assert "unless the active site is lost; hz-i may not take over by itself: it was lost at 11:00." in text
