"""Two identical region masters, of which one is active, and everything that the policy says of moving between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from shared.domain.calendar_rules import Blackout
from shared.domain.ids import InstanceId, LoadBalancerId, PairName, SiteName

MOST_LAG: Final = timedelta(seconds=10)
"""Behind by more, a move would lose what could still be waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One region master of a pair."""

    site: SiteName
    zone: str
    instance: InstanceId
    port: int  # the master's own control port
    agent_port: int


class NameService(StrEnum):
    PRIVATE = "private"  # PrivateZone: resolved inside the VPC
    PUBLIC = "public"  # Alidns: resolved by anybody


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRule:
    """One record that follows the active master."""

    zone: str  # e.g. corp.example
    host: str  # e.g. master
    type: str = "A"  # A | CNAME
    ttl_seconds: int = 5
    service: NameService = NameService.PRIVATE
    values: Mapping[SiteName, str] = field(default_factory=dict)  # by site; none: the members' private addresses

    def __str__(self) -> str:
        return self.zone if self.host == "@" else f"{self.host}.{self.zone}"


class FenceBy(StrEnum):
    """How the old side is made certain to be off before the other may be on."""

    LEASE = "lease"  # its agent gives up by its own clock: needs an agent beside each master
    STOP = "stop"  # the instance is stopped, and read back as stopped
    ISOLATE = "isolate"  # moved into a closed security group, and probes show that open connections died


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    by: FenceBy = FenceBy.LEASE
    group: str = ""  # isolate: the security group that lets nothing in or out
    proof: timedelta = timedelta(seconds=10)  # isolate: for so long no probe may get through


class UnknownLag(StrEnum):
    REFUSE = "refuse"
    ACCEPT = "accept"  # the masters keep nothing, or what is lost is accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRule:
    """How far behind the new side's data may be when nobody is asked."""

    max_lag: timedelta = MOST_LAG
    unknown: UnknownLag = UnknownLag.ACCEPT


class Short(StrEnum):
    """What a site without room for what it is to carry means for a failover."""

    WARN = "warn"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surge:
    """What a site must carry once it is the only one: raised in the failover, put back with the failback."""

    weights: Mapping[InstanceId, int] = field(default_factory=dict)  # of the pair's balancer, 0-100
    groups: Mapping[str, int] = field(default_factory=dict)  # scaling group -> desired capacity
    short: Short = Short.WARN


class Silence(StrEnum):
    VETO = "veto"
    PROCEED = "proceed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Asked before a failover; its "no" stops it. Either a function of this account or a URL inside the VPC."""

    name: str
    function: str = ""
    url: str = ""
    within: timedelta = timedelta(seconds=1)
    silence: Silence = Silence.PROCEED


class Mode(StrEnum):
    AUTOMATIC = "automatic"
    MANUAL = "manual"  # a loss calls an operator, who orders the failover


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
    name_type: str = "A"
    name_service: NameService = NameService.PRIVATE
    name_values: Mapping[SiteName, str] = field(default_factory=dict)
    more_names: tuple[NameRule, ...] = ()
    name_every: timedelta = timedelta(seconds=5)  # how often the names are listed in calm
    resolvers: tuple[str, ...] = ()  # addresses of DNS servers; none: those of the VPC
    agents: bool = True  # an agent stands beside each master
    probe: str = ""  # path of an HTTP probe on the master's own port; empty: a TCP connection
    quorum: int = 2  # independent witnesses that must agree on a loss
    fence: Fence = field(default_factory=Fence)
    data: DataRule = field(default_factory=DataRule)
    surge: Mapping[SiteName, Surge] = field(default_factory=dict)  # what each site must carry alone
    hooks: tuple[Hook, ...] = ()
    maintenance: tuple[Blackout, ...] = ()  # in which no automatic failover begins
    alarms: tuple[str, ...] = ()  # CloudMonitor rules that concern this pair, by id or name
    mode: Mode = Mode.AUTOMATIC

    @property
    def names(self) -> tuple[NameRule, ...]:
        """All records that follow the active master, in the order in which they are moved."""
        first = NameRule(
            zone=self.name_zone,
            host=self.name_host,
            type=self.name_type,
            ttl_seconds=self.name_ttl_seconds,
            service=self.name_service,
            values=self.name_values,
        )
        return (first, *self.more_names)

    def member(self, site: SiteName) -> Member:
        return next(member for member in self.members if member.site == site)

    def other(self, site: SiteName) -> SiteName:
        return next(member.site for member in self.members if member.site != site)
