"""From what several witnesses saw to a verdict about the active site.

A verdict never rests on one witness: the lease (seen through the store, which belongs to neither site) and somebody's
own look at the master must agree. "I cannot see it" is not "it is down", and a witness that sees nothing at all, not
even what stands beside it, is itself cut off. An observation that is too old counts for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from shared.domain.ids import SiteName


class Sight(StrEnum):
    ANSWERED = "answered"
    REFUSED = "refused"  # the host is there, the process is not
    SILENT = "silent"  # nothing came back in time: dark, frozen or cut off


class Source(StrEnum):
    STORE = "store"  # could the state store be read at all
    LEASE = "lease"  # its row: renewed, or unchanged, or free
    AGENT = "agent"  # a look at a master's agent over the network
    HEARTBEAT = "heartbeat"  # what an agent writes about itself
    BALANCER = "balancer"  # the load balancer's own health checks of a site's servers


class Finding(StrEnum):
    """What an observation says about its subject's claim to be active."""

    ACTIVE = "active"  # it shows that the subject is at work
    PASSIVE = "passive"  # it answers, and is not active
    ABSENT = "absent"  # it was looked for and not seen
    EXPIRED = "expired"  # lease only: certainly run out, or given back
    SEEN = "seen"  # it is there; whether it is at work is not known yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    source: Source
    subject: SiteName  # whom it is about
    witness: SiteName  # from where it was seen
    finding: Finding
    age: timedelta
    sight: Sight | None = None
    detail: str = ""

    def __str__(self) -> str:
        how = f" ({self.sight})" if self.sight else ""
        return f"{self.source} of {self.subject} seen from {self.witness}: {self.finding}{how} {self.detail}".rstrip()


class Verdict(StrEnum):
    HEALTHY = "healthy"
    SUSPECT = "suspect"  # something is wrong, not enough to act on
    LOST = "lost"  # the active site is certainly not active any more
    BLIND = "blind"  # the witness itself is cut off
    UNKNOWN = "unknown"  # nothing fresh to judge by


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    verdict: Verdict
    because: tuple[str, ...]


def judge(
    observations: Sequence[Observation], *, active: SiteName, standby: SiteName, witness: SiteName, fresh: timedelta
) -> Judgement:
    """What the observations mean for `active`, the lease's owner, as judged from `witness`.

    Observations older than `fresh` are ignored. LOST needs the lease expired *and* no fresh witness that sees the
    active site at work.
    """
    seen = [o for o in observations if o.age <= fresh]

    def of(source: Source, subject: SiteName) -> Observation | None:
        newest = sorted((o for o in seen if o.source is source and o.subject == subject), key=lambda o: o.age)
        return newest[0] if newest else None

    def because(verdict: Verdict, reason: str) -> Judgement:
        return Judgement(verdict=verdict, because=(reason, *(str(o) for o in seen)))

    store = next((o for o in seen if o.source is Source.STORE), None)
    lease, agent = of(Source.LEASE, active), of(Source.AGENT, active)
    beside = of(Source.AGENT, standby)
    if store is not None and store.finding is Finding.ABSENT:
        return because(Verdict.BLIND, "the state store cannot be read from here: nothing can be decided")
    if lease is None:
        return because(Verdict.UNKNOWN, "no fresh reading of the lease")
    at_work = [o for o in seen if o.subject == active and o.source is Source.AGENT and o.finding is Finding.ACTIVE]
    if lease.finding is Finding.EXPIRED:
        if at_work:
            return because(
                Verdict.SUSPECT, f"the lease of {active} has run out, but a witness still sees it active: they disagree"
            )
        if agent is None:
            return because(Verdict.SUSPECT, f"the lease of {active} has run out, and nobody has looked at it yet")
        if agent.sight is Sight.SILENT and beside is not None and beside.sight is Sight.SILENT:
            # A refusal would be a voice: the network is there. Two silences are more likely our own.
            return because(
                Verdict.BLIND,
                f"the lease of {active} has run out, but {witness} hears neither agent: the witness may be cut off",
            )
        return because(Verdict.LOST, f"the lease of {active} has certainly run out, and no witness sees it active")
    if lease.finding is Finding.SEEN:
        if agent is not None and agent.finding is Finding.ACTIVE:
            return because(Verdict.HEALTHY, f"the lease names {active}, and it is active")
        return because(Verdict.UNKNOWN, "the lease has not been watched for long enough to tell whether it is renewed")
    if lease.finding is Finding.ACTIVE:
        if agent is None or agent.finding in (Finding.ACTIVE, Finding.SEEN):
            return because(Verdict.HEALTHY, f"{active} renews its lease")
        if agent.finding is Finding.ABSENT and beside is not None and beside.finding is Finding.ABSENT:
            return because(
                Verdict.BLIND, f"{witness} sees neither agent, yet {active} renews its lease: the witness is cut off"
            )
        if agent.finding is Finding.ABSENT:
            return because(
                Verdict.HEALTHY, f"{active} renews its lease; that {witness} cannot see it does not make it down"
            )
        return because(Verdict.SUSPECT, f"{active} renews its lease but says that it is not active")
    if agent is not None and agent.finding is Finding.ACTIVE:
        return because(Verdict.SUSPECT, f"{active} is active, but has missed a renewal")
    return because(Verdict.SUSPECT, f"{active} has missed a renewal and is not seen active")
