"""How things stand, as values that a page, a JSON answer or a terminal can show. Nothing in here is a secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.domain.objectives import Freshness, freshness


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseView:
    scope: str
    since: datetime
    because: str

    def __str__(self) -> str:
        scope, _, pair = self.scope.partition("switch/")
        state = f"{scope} paused" if not pair else f"{pair} is switched off"
        return f"{state} since {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}: {self.because}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundView:
    """How old the newest point of a protection's disks can get at most, and why."""

    protection: str
    at_most: timedelta | None  # None: there is no bound
    target: timedelta
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskView:
    disk: str
    instance: str
    points: int  # usable ones
    rpo_now: timedelta | None  # None: nothing could be restored
    rpo_worst: timedelta | None  # of the last seven days; None: nothing was made in them
    rpo_target: timedelta | None
    rpo_bound: timedelta | None = None  # None: nothing bounds it
    level: str = ""  # of the newest usable point: application, crash or disk
    protections: tuple[str, ...] = ()
    copies: int = 0  # complete ones, in other regions

    @property
    def freshness(self) -> Freshness:
        return freshness(self.rpo_now, self.rpo_target)

    @property
    def breached(self) -> bool:
        return self.rpo_now is None or (self.rpo_target is not None and self.rpo_now > self.rpo_target)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotsView:
    """Of one schedule, over the last seven days, one per instance and due time."""

    protection: str
    schedule: str
    due: int
    taken: int
    late: int
    skipped: int
    reasons: Mapping[str, int] = field(default_factory=dict)  # of those that were skipped, without their particulars


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiesView:
    """Restore points of one protection that wait for their copy in one region."""

    protection: str
    region: str
    waiting: int
    overdue: int  # of those, beyond their deadline
    oldest: datetime  # when the oldest of them was taken


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipView:
    subject: str
    due: datetime
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationView:
    id: str
    kind: str
    subject: str
    since: datetime
    because: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchView:
    """The function that watches the pair from one site."""

    site: str
    heard: timedelta | None  # since its last tick began; None: never, or nobody knows
    running: bool
    away_from: datetime | None = None  # its last absence: from one tick to a next one that came too late
    away_to: datetime | None = None
    ahead: timedelta | None = None  # by how much its clock is ahead, so that nobody knows when it ran

    def __str__(self) -> str:
        if self.ahead is not None:
            return f"{self.site}: its clock is {round(self.ahead.total_seconds())} s ahead: when it ran is not known"
        if self.heard is None:
            return f"{self.site}: never ran"
        said = f"{self.site}: {'runs' if self.running else 'does not run'}, last tick {_ago(self.heard)}"
        if self.away_from is None or self.away_to is None:
            return said
        return f"{said}; was away {self.away_from:%Y-%m-%d %H:%M:%S} to {self.away_to:%H:%M:%S} UTC"


class Tone(StrEnum):
    GOOD = "good"
    WARN = "warn"  # it serves, and one more fault may be one too many
    BAD = "bad"  # nobody may be active, or a human must choose


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """What the agent of one site told of itself last. It need not be so any more."""

    site: str
    heard: timedelta | None  # since then; None: never, or nobody knows, for its clock is ahead
    ahead: timedelta | None = None  # by so much
    active: bool = False  # it said so then
    ready: bool = False
    epoch: int = 0  # under which it was active then
    doubted: bool = False  # it was not heard for too long, or the lease has gone elsewhere since
    lag_s: float | None = None

    def __str__(self) -> str:
        if self.heard is None and self.ahead is None:
            return f"{self.site}: its agent was never heard"
        under = f" under epoch {self.epoch}" if self.doubted else ""
        said = [f"active{under}" if self.active else "standing by", "ready" if self.ready else "not ready"]
        told = ", ".join(said + ([] if self.lag_s is None else [f"{self.lag_s:g} s behind"]))
        if self.ahead is not None:
            seconds = round(self.ahead.total_seconds())
            return f"{self.site}: {told}, its clock is {seconds} s ahead: when it was heard is not known"
        ago = "" if self.heard is None else _ago(self.heard)
        return f"{self.site}: said {ago}: {told}" if self.doubted else f"{self.site}: {told}, heard {ago}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairView:
    pair: str
    name: str
    preferred: str
    lease_owner: str | None
    lease_state: str
    epoch: int | None
    failover: str
    because: str
    since: datetime
    agents: tuple[AgentView, ...]
    watches: tuple[WatchView, ...] = ()
    tone: Tone = Tone.GOOD
    names: tuple[str, ...] = ()  # what will cost time when the pair moves
    warnings: tuple[str, ...] = ()  # unprotected, short of room, carrying more than its share
    # The same for whoever counts or alarms, and does not read sentences:
    unprotected: str | None = None  # the site that was lost and may not take over again yet
    unprotected_since: datetime | None = None
    loss_s: float | None = None  # seconds of data that the last move lost at most; None: nobody knows, or none yet
    automatic_at: datetime | None = None  # the last automatic take-over
    blocked_until: datetime | None = None  # no second automatic failover before that; None: one may follow
    surged: str | None = None  # the site that is raised to carry it alone
    short: tuple[str, ...] = ()  # sites without room to carry it alone


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateView:
    """The last prune that had something to do."""

    at: datetime
    state: str
    outcomes: Mapping[str, int]
    refused: tuple[str, ...]
    orphans: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleView:
    """Whether one role could be rebuilt now, as it was judged last."""

    family: str
    ready: bool
    lacks: tuple[str, ...] = ()
    image: str = ""
    version: int = 0
    made: datetime | None = None
    regions: tuple[str, ...] = ()
    judged: datetime | None = None  # None: not yet


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressView:
    """A private address that a rebuild could not keep: whoever has the old one written down must be told."""

    at: datetime
    instance: str
    before: str
    replacement: str
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    at: datetime
    policy: int | None
    pauses: tuple[PauseView, ...] = ()
    disks: tuple[DiskView, ...] = ()
    slots: tuple[SlotsView, ...] = ()
    skips: tuple[SkipView, ...] = ()
    operations: tuple[OperationView, ...] = ()
    pairs: tuple[PairView, ...] = ()
    prune: CertificateView | None = None
    notes: tuple[str, ...] = field(default=())
    bounds: tuple[BoundView, ...] = ()
    copies: tuple[CopiesView, ...] = ()
    roles: tuple[RoleView, ...] = ()
    addresses: tuple[AddressView, ...] = ()  # newest first
    after: str = ""  # disks, slots and copies are those of instances behind this one
    following: str = ""  # and there are more behind this one, which were not read; empty: all were
    unprotected: int | None = None  # instances that no protection selects; None: nobody counted


def _ago(age: timedelta) -> str:
    seconds = round(age.total_seconds())
    if seconds < 180:
        return f"{seconds} s ago"
    return f"{seconds // 60} min ago" if seconds < 3 * 3_600 else f"{seconds // 3_600} h ago"
