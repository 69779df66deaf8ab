"""From what several witnesses saw to a verdict about the active site.

A verdict never rests on one witness: `quorum` independent ones must not see the active site at work, at least one of
them from the standby's side. "I cannot see it" is not "it is down", and a witness that hears nobody at all, not even
what stands beside it, is itself cut off. An observation that is too old counts for nothing; a source that cannot be
asked has no observation, so it neither agrees nor stands in the way.

Independent is what can fail apart: see `_voice`. Two looks along one way are one voice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from shared.domain.ids import SiteName


class Sight(StrEnum):
    ANSWERED = "answered"
    REFUSED = "refused"  # the host is there, the process is not
    SILENT = "silent"  # nothing came back in time: dark, frozen or cut off


class Source(StrEnum):
    STORE = "store"  # could the state store be read at all
    LEASE = "lease"  # its row: renewed, or unchanged, or free
    AGENT = "agent"  # a look at a master's agent over the network
    PEER = "peer"  # what the standby's agent sees of the active site's agent
    SERVICE = "service"  # a try at the master's own port
    HEARTBEAT = "heartbeat"  # what an agent, or without agents a site's watch, writes about itself
    ECS = "ecs"  # the instance's state, as the platform tells it
    EVENT = "event"  # system events about the instance that say that it failed
    BALANCER = "balancer"  # the load balancer's own health checks of a site's servers


class Finding(StrEnum):
    """What an observation says about its subject's claim to be active."""

    ACTIVE = "active"  # it shows that the subject is at work
    PASSIVE = "passive"  # it answers, and is not active
    ABSENT = "absent"  # it was looked for and not seen
    MISSED = "missed"  # without agents: not seen, and not for long enough to count
    EXPIRED = "expired"  # lease only: certainly run out
    FREE = "free"  # lease only: given back by its holder, who had stopped before
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


MOST_VOICES: Final = 5
"""What a quorum may ask for at most: the store, one's own eyes, the other side's, the platform, the balancer."""


def _voice(o: Observation) -> str:
    """What would have to fail for this observation to be wrong. Looks at agent and service of one site from one place
    go one way; lease row and heartbeats stand in one store; state and events come from one API."""
    match o.source:
        case Source.STORE | Source.LEASE | Source.HEARTBEAT:
            return "the store"
        case Source.AGENT | Source.SERVICE:
            return f"the network from {o.witness}"
        case Source.PEER:
            return f"the agent of {o.witness}"
        case Source.ECS | Source.EVENT:
            return "the platform"
        case Source.BALANCER:
            return "the balancer"


_GONE: Final = frozenset({Finding.ABSENT, Finding.PASSIVE, Finding.EXPIRED, Finding.FREE})


def _agreed(seen: Sequence[Observation], *, active: SiteName, standby: SiteName, quorum: int) -> tuple[bool, str]:
    """Whether enough independent voices do not see `active` at work, and which they are."""
    agree = [o for o in seen if o.subject == active and o.finding in _GONE]
    voices = sorted({_voice(o) for o in agree})
    told = f"{len(voices)} of {quorum} needed: {', '.join(voices) or 'none'}"
    if len(voices) < quorum:
        return False, told
    eyes = (Source.AGENT, Source.PEER, Source.SERVICE)
    if not any(o.witness == standby and o.source in eyes for o in agree):
        return False, f"{told}; none of them looked from {standby}"
    return True, told


def judge(
    observations: Sequence[Observation],
    *,
    active: SiteName,
    standby: SiteName,
    witness: SiteName,
    fresh: timedelta,
    quorum: int = 2,
    agents: bool = True,
) -> Judgement:
    """What the observations mean for `active`, the lease's owner, as judged from `witness`.

    Observations older than `fresh` are ignored. With agents, LOST needs the lease expired *and* a quorum; a lease that
    was given back needs no further voice. Without agents the lease row tells nothing of the master, so the quorum is
    of the others, and `fence` has the last word.
    """
    seen = [o for o in observations if o.age <= fresh]

    def because(verdict: Verdict, reason: str) -> Judgement:
        return Judgement(verdict=verdict, because=(reason, *(str(o) for o in seen)))

    store = next((o for o in seen if o.source is Source.STORE), None)
    if store is not None and store.finding is Finding.ABSENT:
        return because(Verdict.BLIND, "the state store cannot be read from here: nothing can be decided")
    if not agents:
        return because(*_without_agents(seen, active=active, standby=standby, witness=witness, quorum=quorum))
    return because(*_with_agents(seen, active=active, standby=standby, witness=witness, quorum=quorum))


def _newest(seen: Sequence[Observation], source: Source, subject: SiteName) -> Observation | None:
    return min((o for o in seen if o.source is source and o.subject == subject), key=lambda o: o.age, default=None)


def _hears_nobody(seen: Sequence[Observation], witness: SiteName, *subjects: SiteName) -> bool:
    """Whether `witness` looked at both sites and nothing came back. A refusal would be a voice: the network is there.
    Silences alone are more likely our own, whatever the cloud's APIs answer."""
    looks = [o for o in seen if o.witness == witness and o.source in (Source.AGENT, Source.SERVICE)]
    heard = any(o.sight is not Sight.SILENT for o in looks)
    return not heard and all(any(o.subject == subject for o in looks) for subject in subjects)


def _with_agents(
    seen: Sequence[Observation], *, active: SiteName, standby: SiteName, witness: SiteName, quorum: int
) -> tuple[Verdict, str]:
    lease, agent = _newest(seen, Source.LEASE, active), _newest(seen, Source.AGENT, active)
    beside = _newest(seen, Source.AGENT, standby)
    if lease is None:
        return Verdict.UNKNOWN, "no fresh reading of the lease"
    if lease.finding in (Finding.EXPIRED, Finding.FREE):
        how = "has run out" if lease.finding is Finding.EXPIRED else "was given back"
        if _seen_at_work(seen, active, agent):
            return Verdict.SUSPECT, f"the lease of {active} {how}, but a witness still sees it active: they disagree"
        if agent is None:
            return Verdict.SUSPECT, f"the lease of {active} {how}, and nobody has looked at it yet"
        if _hears_nobody(seen, witness, active, standby):
            return (
                Verdict.BLIND,
                f"the lease of {active} {how}, but {witness} hears neither side: the witness may be cut off",
            )
        if lease.finding is Finding.FREE:
            return Verdict.LOST, f"{active} has stopped and given its lease back"
        enough, told = _agreed(seen, active=active, standby=standby, quorum=quorum)
        if not enough:
            return Verdict.SUSPECT, f"the lease of {active} has run out, but too few witnesses agree ({told})"
        return Verdict.LOST, f"the lease of {active} has certainly run out, and no witness sees it active ({told})"
    if lease.finding is Finding.SEEN:
        if agent is not None and agent.finding is Finding.ACTIVE:
            return Verdict.HEALTHY, f"the lease names {active}, and it is active"
        return Verdict.UNKNOWN, "the lease has not been watched for long enough to tell whether it is renewed"
    if lease.finding is Finding.ACTIVE:
        if agent is None or agent.finding in (Finding.ACTIVE, Finding.SEEN):
            return Verdict.HEALTHY, f"{active} renews its lease"
        if agent.finding is Finding.ABSENT and beside is not None and beside.finding is Finding.ABSENT:
            return Verdict.BLIND, f"{witness} sees neither agent, yet {active} renews its lease: the witness is cut off"
        if agent.finding is Finding.ABSENT:
            return Verdict.HEALTHY, f"{active} renews its lease; that {witness} cannot see it does not make it down"
        return Verdict.SUSPECT, f"{active} renews its lease but says that it is not active"
    if agent is not None and agent.finding is Finding.ACTIVE:
        return Verdict.SUSPECT, f"{active} is active, but has missed a renewal"
    return Verdict.SUSPECT, f"{active} has missed a renewal and is not seen active"


def _seen_at_work(seen: Sequence[Observation], active: SiteName, agent: Observation | None) -> bool:
    """By an agent's own word, heard here or by its peer. Its newer answer to us outweighs what its peer heard."""
    told = agent if agent is not None and agent.sight is Sight.ANSWERED else None
    return any(
        o.subject == active
        and o.finding is Finding.ACTIVE
        and (o.source is Source.AGENT or (o.source is Source.PEER and (told is None or o.age < told.age)))
        for o in seen
    )


def _without_agents(
    seen: Sequence[Observation], *, active: SiteName, standby: SiteName, witness: SiteName, quorum: int
) -> tuple[Verdict, str]:
    looks = [o for o in seen if o.source is Source.SERVICE and o.subject == active]
    own = [o for o in looks if o.witness == witness]
    if any(o.finding is Finding.ACTIVE for o in own):
        return Verdict.HEALTHY, f"the service of {active} answers"
    if not own:
        return Verdict.UNKNOWN, f"nobody has tried the service of {active} lately"
    if _hears_nobody(seen, witness, active, standby):
        return Verdict.BLIND, f"{witness} hears neither service: the witness may be cut off"
    others = sorted({o.witness for o in looks if o.finding is Finding.ACTIVE})
    if others:
        return Verdict.HEALTHY, f"the service of {active} answers {', '.join(others)}, if not {witness}"
    if all(o.finding is Finding.MISSED for o in own):
        return Verdict.SUSPECT, f"the service of {active} does not answer {witness}, not yet for long enough"
    enough, told = _agreed(seen, active=active, standby=standby, quorum=quorum)
    if not enough:
        return Verdict.SUSPECT, f"the service of {active} does not answer, but too few witnesses agree ({told})"
    return Verdict.LOST, f"no witness sees {active} at work ({told})"
