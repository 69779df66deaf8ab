"""How many independent witnesses a loss needs, and which of them count."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.detection import MOST_VOICES, Finding, Observation, Sight, Source, Verdict, judge
from shared.domain.ids import InstanceId, LoadBalancerId, PairName, SiteName
from shared.domain.pair import Fence, FenceBy, Member, Pair
from shared.domain.policy import Policy, PruneLimits
from shared.domain.quorum import always, at_most, quorum_doubts, quorum_notes

H, I = SiteName("hz-h"), SiteName("hz-i")  # noqa: E741


def saw(
    source: Source,
    finding: Finding,
    *,
    of: SiteName = H,
    at: SiteName = I,
    age: float = 0.0,
    sight: Sight | None = None,
) -> Observation:
    silent = finding in (Finding.ABSENT, Finding.MISSED)
    found = sight or (Sight.SILENT if silent else Sight.ANSWERED)
    return Observation(source=source, subject=of, witness=at, finding=finding, age=timedelta(seconds=age), sight=found)


def verdict(*seen: Observation, at: SiteName = I, quorum: int = 2, agents: bool = True) -> Verdict:
    fresh = timedelta(seconds=10)
    return judge(seen, active=H, standby=I, witness=at, fresh=fresh, quorum=quorum, agents=agents).verdict


RUN_OUT = saw(Source.LEASE, Finding.EXPIRED)
GIVEN_BACK = saw(Source.LEASE, Finding.FREE)
SILENT = saw(Source.AGENT, Finding.ABSENT)
STANDBY = saw(Source.AGENT, Finding.PASSIVE, of=I)
PEER = saw(Source.PEER, Finding.ABSENT)
STOPPED = saw(Source.ECS, Finding.ABSENT)
FAILED = saw(Source.EVENT, Finding.ABSENT)
SERVERS = saw(Source.BALANCER, Finding.ABSENT)


# Not enough ---------------------------------------------------------------------------------------------------------


def test_looks_along_one_way_are_one_voice() -> None:
    service = saw(Source.SERVICE, Finding.ABSENT)
    assert verdict(RUN_OUT, SILENT, service, STANDBY, quorum=3) is Verdict.SUSPECT
    assert verdict(RUN_OUT, SILENT, PEER, STANDBY, quorum=3) is Verdict.LOST


def test_state_and_events_come_from_one_platform_and_heartbeats_from_the_leases_store() -> None:
    beat = saw(Source.HEARTBEAT, Finding.ABSENT)
    assert verdict(RUN_OUT, SILENT, STOPPED, FAILED, beat, STANDBY, quorum=4) is Verdict.SUSPECT
    assert verdict(RUN_OUT, SILENT, STOPPED, FAILED, beat, STANDBY, quorum=3) is Verdict.LOST


def test_the_lost_sites_own_watch_decides_nothing_without_a_look_from_the_standbys_side() -> None:
    beside = replace(SILENT, witness=H)
    standby = replace(STANDBY, witness=H)
    assert verdict(RUN_OUT, beside, STOPPED, SERVERS, standby, at=H) is Verdict.SUSPECT
    assert verdict(RUN_OUT, beside, PEER, standby, at=H) is Verdict.LOST


def test_running_is_no_evidence_of_life_nor_of_death() -> None:
    running = saw(Source.ECS, Finding.SEEN)
    assert verdict(RUN_OUT, SILENT, running, STANDBY) is Verdict.LOST
    assert verdict(RUN_OUT, SILENT, running, STANDBY, quorum=3) is Verdict.SUSPECT


def test_a_peer_that_still_sees_it_active_is_a_veto_unless_it_has_said_otherwise_itself() -> None:
    sees = saw(Source.PEER, Finding.ACTIVE, age=1)
    assert verdict(RUN_OUT, SILENT, sees, STANDBY) is Verdict.SUSPECT
    assert verdict(RUN_OUT, saw(Source.AGENT, Finding.PASSIVE), sees, STANDBY) is Verdict.LOST


def test_what_was_seen_too_long_ago_has_no_voice() -> None:
    old = replace(PEER, age=timedelta(seconds=11))
    assert verdict(RUN_OUT, SILENT, old, STANDBY, quorum=3) is Verdict.SUSPECT


def test_a_witness_that_hears_nobody_is_cut_off_whatever_the_apis_say() -> None:
    deaf = saw(Source.AGENT, Finding.ABSENT, of=I)
    assert verdict(RUN_OUT, SILENT, deaf, STOPPED, FAILED, SERVERS) is Verdict.BLIND
    assert verdict(GIVEN_BACK, SILENT, deaf) is Verdict.BLIND


# Enough -------------------------------------------------------------------------------------------------------------


def test_a_lease_that_was_given_back_needs_no_further_voice() -> None:
    assert verdict(GIVEN_BACK, saw(Source.AGENT, Finding.PASSIVE), STANDBY, quorum=5) is Verdict.LOST


USUAL = {  # what each loss shows at the moment at which the lease has run out
    "the agent is killed": (replace(SILENT, sight=Sight.REFUSED), replace(PEER, sight=Sight.REFUSED)),
    "the host is lost": (SILENT, PEER, FAILED),
    "the zone is dark": (SILENT, PEER),
}


@pytest.mark.parametrize("loss", USUAL)
@pytest.mark.parametrize("quorum", [1, 2, 3])
@pytest.mark.parametrize("at", [H, I])
def test_up_to_three_voices_speak_as_soon_as_the_lease_has_run_out(loss: str, quorum: int, at: SiteName) -> None:
    if loss == "the zone is dark" and at == H:
        return  # its watch sees nothing at all
    seen = [one if one.source is Source.PEER else replace(one, witness=at) for one in USUAL[loss]]
    assert verdict(RUN_OUT, *seen, replace(STANDBY, witness=at), at=at, quorum=quorum) is Verdict.LOST


def test_all_five_voices_can_agree() -> None:
    assert verdict(RUN_OUT, SILENT, PEER, STOPPED, SERVERS, STANDBY, quorum=MOST_VOICES) is Verdict.LOST


# Without agents -----------------------------------------------------------------------------------------------------

ROW = saw(Source.LEASE, Finding.SEEN)
GONE = saw(Source.SERVICE, Finding.ABSENT)
THERE = saw(Source.SERVICE, Finding.ACTIVE, of=I)
GONE_FROM_H = saw(Source.SERVICE, Finding.ABSENT, at=H)

UNATTENDED: dict[str, tuple[Verdict, list[Observation]]] = {
    "nobody tried": (Verdict.UNKNOWN, [ROW]),
    "it answers": (Verdict.HEALTHY, [ROW, saw(Source.SERVICE, Finding.ACTIVE)]),
    "it answers the other watch": (
        Verdict.HEALTHY,
        [ROW, GONE, THERE, saw(Source.SERVICE, Finding.ACTIVE, at=H, age=1), STOPPED],
    ),
    "not for long enough": (Verdict.SUSPECT, [ROW, saw(Source.SERVICE, Finding.MISSED), THERE, STOPPED]),
    "one voice": (Verdict.SUSPECT, [ROW, GONE, THERE]),
    "the row's age is no voice": (Verdict.SUSPECT, [saw(Source.LEASE, Finding.SEEN, age=0), GONE, THERE]),
    "both watches": (Verdict.LOST, [ROW, GONE, GONE_FROM_H, THERE]),
    "the platform agrees": (Verdict.LOST, [ROW, GONE, FAILED, THERE]),
    "its own watch has fallen silent": (Verdict.LOST, [ROW, GONE, saw(Source.HEARTBEAT, Finding.ABSENT), THERE]),
    "we hear neither": (Verdict.BLIND, [ROW, GONE, saw(Source.SERVICE, Finding.ABSENT, of=I), STOPPED]),
}


@pytest.mark.parametrize("case", UNATTENDED.values(), ids=UNATTENDED)
def test_without_agents_the_services_decide_and_the_row_does_not(case: tuple[Verdict, list[Observation]]) -> None:
    wanted, seen = case
    assert verdict(*seen, agents=False) is wanted


def test_without_agents_too_somebody_looks_from_the_standbys_side() -> None:
    standby = saw(Source.SERVICE, Finding.ACTIVE, of=I, at=H)
    assert verdict(ROW, GONE_FROM_H, FAILED, SERVERS, standby, at=H, agents=False) is Verdict.SUSPECT
    assert verdict(ROW, GONE_FROM_H, GONE, standby, at=H, agents=False) is Verdict.LOST


# What `check` says --------------------------------------------------------------------------------------------------


def pair(*, quorum: int, agents: bool = True, balancer: bool = False) -> Pair:
    second = timedelta(seconds=1)
    members = tuple(
        Member(site=site, zone=site, instance=InstanceId(f"i-{site}"), port=1, agent_port=2) for site in (H, I)
    )
    return Pair(
        name=PairName("control"),
        members=(members[0], members[1]),
        preferred=H,
        name_zone="corp.example",
        name_host="master",
        name_ttl_seconds=5,
        lease=5 * second,
        margin=second,
        renew_every=second,
        watch_every=second,
        balancer=LoadBalancerId("lb-1") if balancer else None,
        agents=agents,
        fence=Fence() if agents else Fence(by=FenceBy.STOP),
        quorum=quorum,
    )


def policy(one: Pair) -> Policy:
    prune = PruneLimits(max_items=1, max_percent=1)
    return Policy(region="cn-hangzhou", protections=(), rebuilds=(), pairs=(one,), prune=prune)


@pytest.mark.parametrize(
    ("one", "fits"),
    [
        (pair(quorum=5), "quorum: 3, or name a balancer"),
        (pair(quorum=4, agents=False), "quorum: 2, or name a balancer"),
        (pair(quorum=5, agents=False, balancer=True), "quorum: 2"),
    ],
)
def test_a_quorum_that_is_never_reached_is_a_doubt_that_says_what_fits(one: Pair, fits: str) -> None:
    [doubt] = quorum_doubts(policy(one))
    assert fits in doubt
    assert "control" in doubt


def test_a_quorum_that_only_some_losses_reach_is_noted() -> None:
    [note] = quorum_notes(policy(pair(quorum=4)))
    assert "3 hold back no usual loss" in note
    assert not list(quorum_doubts(policy(pair(quorum=4))))


@pytest.mark.parametrize("agents", [True, False])
def test_a_quorum_that_every_usual_loss_reaches_is_not_spoken_of(agents: bool) -> None:
    for quorum in range(1, always(pair(quorum=1, agents=agents)) + 1):
        one = policy(pair(quorum=quorum, agents=agents))
        assert [*quorum_doubts(one), *quorum_notes(one)] == []
    assert at_most(pair(quorum=1, agents=True, balancer=True)) == MOST_VOICES
