"""What is protected and how: the content of one numbered, immutable policy version.

`shared.config` parses and validates `understudy.yaml` into these; functions read them from the state store.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from shared.domain.ids import InstanceId, LoadBalancerId, PairName, SiteName

FOREVER = None
"""`Retention.days` for points that no rule by age lets go. The cloud's quota still bounds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Instances: those that carry all of `tags`, or are named in `ids`; never those in `exclude`."""

    tags: Mapping[str, str] = field(default_factory=dict)
    ids: tuple[InstanceId, ...] = ()
    exclude: tuple[InstanceId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Keeps are a union: a point survives when any rule saves it. All None means for ever."""

    days: int | None = FOREVER  # 1-65,536 whole days since *taken*; None: no rule by age
    hourly: int = 0  # newest point of each of the last N hours that have one; calendar cut in the schedule's zone
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    last: int = 0  # the newest N
    forever: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Due at every hour of `hours` on every ISO weekday of `weekdays` at `minute`, wall time of IANA `zone`."""

    name: str
    hours: tuple[int, ...]  # 0-23, ascending
    weekdays: tuple[int, ...]  # 1 (Monday) - 7, ascending
    zone: str
    minute: int = 0  # 0-59


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    name: str
    select: Selection
    schedules: tuple[Schedule, ...]
    keep: Retention
    rpo_target: timedelta

    @property
    def zone(self) -> str:
        """The zone in whose calendar `keep` is cut: that of the first schedule (there is at least one)."""
        return self.schedules[0].zone


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildRule:
    """What to do when CloudMonitor says that an instance of this selection failed."""

    name: str
    select: Selection
    image_family: str
    balancer: LoadBalancerId | None
    weight: int
    port: int  # where its service answers; probed before traffic is given to it
    patience: timedelta  # how long the platform's own restart is waited for before a rebuild
    max_at_once: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One region master of a pair."""

    site: SiteName
    zone: str
    instance: InstanceId
    port: int  # the master's own control port
    agent_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two identical region masters; `preferred` is active when all is well."""

    name: PairName
    members: tuple[Member, Member]
    preferred: SiteName
    name_zone: str  # private zone, e.g. corp.example
    name_host: str  # record's host, e.g. master
    name_ttl_seconds: int  # 5, 30, 60, ... (the cloud's enumeration)
    lease: timedelta  # a taker must have seen the lease unchanged for this long
    margin: timedelta  # a holder gives up this much earlier
    renew_every: timedelta
    watch_every: timedelta
    balancer: LoadBalancerId | None = None  # whose health is a further witness of a site
    block: timedelta = timedelta(hours=1)  # no second automatic failover within this time unless acknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneLimits:
    max_items: int  # absolute cap on deletions per run
    max_percent: int  # and relative to the points in scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    region: str
    protections: tuple[Protection, ...]
    rebuilds: tuple[RebuildRule, ...]
    pairs: tuple[Pair, ...]
    prune: PruneLimits
