"""Everything that one round of a watch judged by, as a value: it is stored with each decision, so that the decision can
be explained, and made again.

Whatever a rule of `failover_decision` reads stands here. What is added later needs a default that means "not known", so
that older rows load. Texts are cut at `LONGEST_TEXT`, so that the size is bounded: a situation of two sites is 1 to
2 KB in its stored form, and 10 KB if every text in it is as long as it may be (a test holds both). It holds no secrets:
addresses, epochs, ages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.domain.detection import Observation, Sight
from shared.domain.failover_fsm import State
from shared.domain.failover_safety import Kind, Lag, Rule
from shared.domain.ids import Epoch, PairName, SiteName
from shared.domain.lease import UNCLAIMED, LeaseState, Sighting
from shared.domain.pair import MOST_LAG, Mode, Pair, Short, UnknownLag

LONGEST_TEXT: Final = 200  # characters of what somebody else's answer or error says
FRESH: Final = timedelta(seconds=10)  # an observation that is older says nothing


class Missing(StrEnum):
    """What could not be read, so that nothing can be judged."""

    STORE = "store"  # it did not answer
    ROWS = "rows"  # it answered with something that is no row of ours
    LEASE = "lease"  # the lease row is gone or damaged


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    what: Missing
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What the policy says of the pair, as far as a decision rests on it."""

    pair: PairName
    sites: tuple[SiteName, ...]
    preferred: SiteName
    lease: timedelta
    margin: timedelta
    renew_every: timedelta
    watch_every: timedelta
    block: timedelta
    quorum: int = 2
    agents: bool = True
    mode: Mode = Mode.AUTOMATIC
    max_lag: timedelta = MOST_LAG
    unknown_lag: UnknownLag = UnknownLag.ACCEPT
    short: Mapping[SiteName, Short] = field(default_factory=dict)

    @classmethod
    def of(cls, pair: Pair) -> "Agreed":
        return cls(
            pair=pair.name,
            sites=tuple(member.site for member in pair.members),
            preferred=pair.preferred,
            lease=pair.lease,
            margin=pair.margin,
            renew_every=pair.renew_every,
            watch_every=pair.watch_every,
            block=pair.block,
            quorum=pair.quorum,
            agents=pair.agents,
            mode=pair.mode,
            max_lag=pair.data.max_lag,
            unknown_lag=pair.data.unknown,
            short={site: surge.short for site, surge in pair.surge.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseFacts:
    """The lease row as this watch read it, and for how long it has seen it so with its own eyes."""

    owner: SiteName
    epoch: Epoch
    version: int
    state: LeaseState
    claimed: bool  # an agent holds it; False: a watch took it for a site, and nobody has served under it yet
    unchanged: timedelta

    @property
    def free(self) -> bool:
        return self.state is LeaseState.FREE


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFacts:
    """One site in this round. What its agent says, and what others say of the site."""

    sight: Sight | None = None  # None: nobody looked
    active: bool | None = None
    epoch: Epoch | None = None
    ready: bool | None = None
    detail: str = ""
    lag: Lag = field(default_factory=Lag)
    loss: timedelta | None = None  # at most so much is lost by moving there now; None: nobody knows
    # Not known, or nothing to say against it, where empty:
    short: str = ""  # what it lacks of what it must carry alone
    unprotected: str = ""  # why it may not hold the lease again yet

    @property
    def fit(self) -> bool:
        """Whether its agent answered just now and would take over."""
        return self.sight is Sight.ANSWERED and self.ready is not False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """An operator's order that waits to be carried out."""

    id: str
    kind: Kind
    to_site: SiteName
    at: datetime
    because: str
    by: str = ""
    force: tuple[Rule, ...] = ()
    epoch: Epoch | None = None  # of the lease when it was given; of a restore, the one that the site is to get


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    code: str  # `failover_decision.CODE` of the code that judged: another one may judge otherwise
    now: datetime  # this machine's wall clock
    witness: SiteName  # from where it was judged
    agreed: Agreed
    calm: bool  # one of the rounds in which everything is looked at
    # The failover's row
    state: State
    since: datetime  # when that state was entered
    automatic_at: datetime | None = None  # the last automatic take-over
    begun_by: str = ""  # the order that began the last failover
    unfenced: str = ""  # since when it is known that the active site cannot be shown to be off; empty: it is not so
    # What was seen
    unread: Unread | None = None
    lease: LeaseFacts | None = None  # None: no row
    observations: tuple[Observation, ...] = ()
    fresh: timedelta = FRESH
    sites: Mapping[SiteName, SiteFacts] = field(default_factory=dict)
    in_doubt: timedelta = timedelta(0)  # for so long this watch has found it neither well nor lost, on its own clock
    # What stands in the way
    held: str = ""  # why nothing moves: a pause, or the switch is off
    maintenance: str = ""  # the window that is open
    vetoes: tuple[str, ...] = ()  # of hooks, asked while something was wrong
    asking: str = ""  # hooks that may still answer in time
    name_trouble: str = ""  # why an operator is needed for the name
    name_settled: bool = False  # it is known to point to the holder
    # What operators said
    acknowledged: datetime | None = None
    order: OrderFacts | None = None  # as far as one was looked for in this round

    @property
    def active(self) -> SiteName:
        """Whose loss is judged."""
        return self.lease.owner if self.lease else self.agreed.preferred

    @property
    def standby(self) -> SiteName:
        return next(site for site in self.agreed.sites if site != self.active)

    def of(self, site: SiteName) -> SiteFacts:
        return self.sites.get(site, SiteFacts())

    @property
    def blocked_until(self) -> datetime | None:
        """Until when no second automatic failover may follow; None: one may."""
        return block_ends(self.automatic_at, self.acknowledged, self.agreed.block, self.now)


def block_ends(
    automatic_at: datetime | None, acknowledged: datetime | None, block: timedelta, now: datetime
) -> datetime | None:
    if automatic_at is None or (acknowledged is not None and acknowledged > automatic_at):
        return None
    ends = automatic_at + block
    return None if now >= ends else ends


def lease_facts(sighting: Sighting, now: float) -> LeaseFacts:
    """`now`: on the monotonic clock of whoever has this sighting."""
    lease = sighting.lease
    return LeaseFacts(
        owner=lease.owner,
        epoch=lease.epoch,
        version=lease.version,
        state=lease.state,
        claimed=lease.holder != UNCLAIMED,
        unchanged=sighting.unchanged_for(now),
    )


def short(text: str) -> str:
    """`text`, cut to what is kept of it."""
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 2]} …"
