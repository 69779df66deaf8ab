"""What several witnesses saw, and what it means."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.detection import Finding, Observation, Sight, Source, Verdict, judge
from shared.domain.ids import SiteName

H, STANDBY = SiteName("hz-h"), SiteName("hz-i")
FRESH = timedelta(seconds=10)


def saw(source: Source, finding: Finding, *, of: SiteName = H, age: float = 0.0) -> Observation:
    return Observation(
        source=source,
        subject=of,
        witness=STANDBY,
        finding=finding,
        age=timedelta(seconds=age),
        sight=Sight.SILENT if finding is Finding.ABSENT else Sight.ANSWERED,
    )


LEASE, AGENT, STORE, BALANCER = Source.LEASE, Source.AGENT, Source.STORE, Source.BALANCER

CASES: dict[str, tuple[Verdict, list[Observation]]] = {
    "nothing seen at all": (Verdict.UNKNOWN, []),
    "store out of reach": (Verdict.BLIND, [saw(STORE, Finding.ABSENT, of=STANDBY)]),
    "store out of reach though the agent is silent": (
        Verdict.BLIND,
        [saw(STORE, Finding.ABSENT, of=STANDBY), saw(AGENT, Finding.ABSENT)],
    ),
    "renewed and seen": (Verdict.HEALTHY, [saw(LEASE, Finding.ACTIVE), saw(AGENT, Finding.ACTIVE)]),
    "renewed but not seen from here: not down": (
        Verdict.HEALTHY,
        [saw(LEASE, Finding.ACTIVE), saw(AGENT, Finding.ABSENT), saw(AGENT, Finding.PASSIVE, of=STANDBY)],
    ),
    "renewed, and neither agent seen: we are cut off": (
        Verdict.BLIND,
        [saw(LEASE, Finding.ACTIVE), saw(AGENT, Finding.ABSENT), saw(AGENT, Finding.ABSENT, of=STANDBY)],
    ),
    "renewed but says it is passive": (Verdict.SUSPECT, [saw(LEASE, Finding.ACTIVE), saw(AGENT, Finding.PASSIVE)]),
    "a renewal missed, still seen active": (Verdict.SUSPECT, [saw(LEASE, Finding.ABSENT), saw(AGENT, Finding.ACTIVE)]),
    "a renewal missed, not seen": (Verdict.SUSPECT, [saw(LEASE, Finding.ABSENT), saw(AGENT, Finding.ABSENT)]),
    "watched for a moment only, seen active": (Verdict.HEALTHY, [saw(LEASE, Finding.SEEN), saw(AGENT, Finding.ACTIVE)]),
    "watched for a moment only, not seen": (Verdict.UNKNOWN, [saw(LEASE, Finding.SEEN), saw(AGENT, Finding.ABSENT)]),
    "run out and silent": (Verdict.LOST, [saw(LEASE, Finding.EXPIRED), saw(AGENT, Finding.ABSENT)]),
    "run out, and neither agent is heard: we may be cut off": (
        Verdict.BLIND,
        [saw(LEASE, Finding.EXPIRED), saw(AGENT, Finding.ABSENT), saw(AGENT, Finding.ABSENT, of=STANDBY)],
    ),
    "run out, and the standby's host refuses: the network is there": (
        Verdict.LOST,
        [
            saw(LEASE, Finding.EXPIRED),
            saw(AGENT, Finding.ABSENT),
            replace(saw(AGENT, Finding.ABSENT, of=STANDBY), sight=Sight.REFUSED),
        ],
    ),
    "run out and passive": (Verdict.LOST, [saw(LEASE, Finding.EXPIRED), saw(AGENT, Finding.PASSIVE)]),
    "run out, nobody looked": (Verdict.SUSPECT, [saw(LEASE, Finding.EXPIRED)]),
    "run out, but the look is old": (
        Verdict.SUSPECT,
        [saw(LEASE, Finding.EXPIRED), saw(AGENT, Finding.ABSENT, age=11)],
    ),
    "run out, yet somebody sees it active": (
        Verdict.SUSPECT,
        [saw(LEASE, Finding.EXPIRED), saw(AGENT, Finding.ABSENT), saw(AGENT, Finding.ACTIVE, age=1)],
    ),
    "the balancer alone proves nothing": (Verdict.UNKNOWN, [saw(BALANCER, Finding.ABSENT)]),
    "healthy servers do not save a lease that ran out": (
        Verdict.LOST,
        [saw(LEASE, Finding.EXPIRED), saw(AGENT, Finding.ABSENT), saw(BALANCER, Finding.SEEN)],
    ),
    "an old reading of the lease counts for nothing": (
        Verdict.UNKNOWN,
        [saw(LEASE, Finding.EXPIRED, age=60), saw(AGENT, Finding.ABSENT)],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_verdicts(case: tuple[Verdict, list[Observation]]) -> None:
    wanted, observations = case

    judgement = judge(observations, active=H, standby=STANDBY, witness=STANDBY, fresh=FRESH)

    assert judgement.verdict is wanted
    assert judgement.because[0]


def test_a_verdict_names_every_fresh_observation_it_rests_on() -> None:
    seen = [saw(LEASE, Finding.EXPIRED), saw(AGENT, Finding.ABSENT), saw(AGENT, Finding.ACTIVE, age=99)]

    judgement = judge(seen, active=H, standby=STANDBY, witness=STANDBY, fresh=FRESH)

    assert judgement.because[1:] == (
        "lease of hz-h seen from hz-i: expired (answered)",
        "agent of hz-h seen from hz-i: absent (silent)",
    )
