"""`pairs` of `understudy.yaml`: two identical region masters, and how to move between them."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import BeforeValidator, ValidationInfo, field_validator, model_validator

from shared.config import policy_rules
from shared.config.policy_protection import BlackoutSection
from shared.config.policy_section import Section, key
from shared.config.policy_values import (
    Domain,
    Heartbeat,
    Host,
    Id,
    InstanceIdText,
    Name,
    Port,
    Switch,
    Text,
    Ttl,
    Wait,
    in_words,
    integers,
    whole,
)
from shared.config.problems import Path, Problem, quoted
from shared.domain.ids import InstanceId, LoadBalancerId, PairName, SiteName
from shared.domain.name_ttl import PRIVATE_TTLS
from shared.domain.pair import (
    DataRule,
    Fence,
    FenceBy,
    Hook,
    Member,
    Mode,
    NameRule,
    NameService,
    Pair,
    Short,
    Silence,
    Surge,
    UnknownLag,
)

HOOK_FUNCTIONS = "understudy-hook-"
"""What a watch's role may invoke begins so: deploy/ram/watch.json."""

_Weight = Annotated[int, BeforeValidator(whole(0, 100, what="a weight")), integers(0, 100)]
_Capacity = Annotated[int, BeforeValidator(whole(0, 2_000, what="a number of instances")), integers(0, 2_000)]
_Quorum = Annotated[int, BeforeValidator(whole(1, 5, what="a number of witnesses")), integers(1, 5)]


class SiteSection(Section):
    """One of the two places that a pair spans."""

    zone: Id = key("cn-hangzhou-h", says="An availability zone of the region.")


class MemberSection(Section):
    """One region master of a pair."""

    instance: InstanceIdText = key("i-bp67acfmxazb4ph", says="The master's instance.")
    port: Port = key("7000", says="The master's own control port.")
    agent_port: Port = key("7001", says="The agent's port beside it.")


class DomainNameSection(Section):
    """A name by which clients find the active master."""

    zone: Domain = key("corp.example", says="The zone.")
    host: Host = key("master", says="The record's host.")
    service: Literal["private", "public"] = key(
        "private", "public", default="private", says="PrivateZone (inside the VPC), or Alidns (for anybody)."
    )
    ttl: Ttl = key(
        "5s",
        says="Its time to live. PrivateZone: 5s, 30s, 1m, 1h, 12h or 1d. Alidns: what the domain's edition allows.",
    )
    type: Literal["A", "CNAME"] = key("A", "CNAME", default="A", says="What the record holds: an address or a name.")
    values: dict[Name, Text] = key(
        "{hz-h: 203.0.113.10, hz-i: 203.0.113.20}",
        default={},
        says="What it holds for each site; unless said, the masters' private addresses.",
    )

    @field_validator("ttl")
    @classmethod
    def _that_its_service_takes(cls, seconds: int, so_far: ValidationInfo) -> int:
        """`service` stands before it, so it is known here."""
        if so_far.data.get("service") == "private" and seconds not in PRIVATE_TTLS:
            allowed = ", ".join(in_words(timedelta(seconds=one)) for one in PRIVATE_TTLS)
            says = f"{quoted(in_words(timedelta(seconds=seconds)))} is not a time to live that PrivateZone takes."
            raise ValueError(f"{says} Use one of {allowed}")
        return seconds

    @model_validator(mode="after")
    def _has_its_values(self) -> "DomainNameSection":
        if not self.values:
            if self.type == "CNAME" or self.service == "public":
                what = "CNAME record" if self.type == "CNAME" else "public record"
                raise ValueError(f"a {what} does not hold private addresses. Add values: {{SITE: ..., SITE: ...}}")
            return self
        for site, value in self.values.items():
            if (self.type == "A") != _is_address(value):
                wanted = "an IPv4 address" if self.type == "A" else "a name, not an address"
                raise ValueError(f"values of an {self.type} record: {site} has {value!r}. Write {wanted}")
        if len(set(self.values.values())) != len(self.values):
            raise ValueError("values are the same for both sites, so nothing would move. Give each site its own")
        return self

    def rule(self) -> NameRule:
        return NameRule(
            zone=self.zone,
            host=self.host,
            type=self.type,
            ttl_seconds=self.ttl,
            service=NameService(self.service),
            values={SiteName(site): value for site, value in self.values.items()},
        )


class DataSection(Section):
    """How far behind the standby's data may be when it takes over by itself."""

    max_lag: Wait = key("10s", default=timedelta(seconds=10), says="More than that calls an operator.")
    unknown: Literal["refuse", "accept"] = key(
        "refuse", "accept", says="When no agent measures the lag: refuse, or accept (also for masters without data)."
    )


class FenceSection(Section):
    """How the old master is made certain to be off."""

    by: Literal["lease", "stop", "isolate"] = key(
        "lease",
        "stop",
        "isolate",
        says="Its agent's lease; a stop; or a group that lets nothing through.",
    )
    group: Id = key("sg-bp67acfmxazb4pi", default="", says="isolate: the closed security group.")
    proof: Wait = key("10s", default=timedelta(seconds=10), says="isolate: for so long no probe may get through.")

    def value(self) -> Fence:
        return Fence(by=FenceBy(self.by), group=self.group, proof=self.proof)


class SurgeSection(Section):
    """What a site must carry when it is the only one."""

    weights: dict[InstanceIdText, _Weight] = key(
        "{i-bp67acfmxazb4ph: 100}", default={}, says="Weights of the pair's balancer."
    )
    groups: dict[Id, _Capacity] = key("{asg-bp14wlu85wrpchm0: 4}", default={}, says="Desired sizes of scaling groups.")
    short: Literal["warn", "refuse"] = key(
        "warn", "refuse", default="warn", says="When there is no room for that: only say so, or call an operator."
    )

    def value(self) -> Surge:
        weights = {InstanceId(one): weight for one, weight in self.weights.items()}
        return Surge(weights=weights, groups=dict(self.groups), short=Short(self.short))


class HookSection(Section):
    """Asked before a failover: its no stops it."""

    name: Name = key("ledger-is-closed", says="Its name.")
    function: Id = key(
        "understudy-hook-may-we-move",
        default="",
        says="A function of this account, called understudy-hook-...: a watch may invoke no other.",
    )
    url: Text = key("http://192.168.1.9:8080/may-we-move", default="", says="A URL inside the VPC.")
    within: Heartbeat = key("1s", default=timedelta(seconds=1), says="It has so long to answer.")
    silence: Literal["veto", "proceed"] = key(
        "veto", "proceed", default="proceed", says="What no answer means. `veto` can keep a lost site lost."
    )

    @model_validator(mode="after")
    def _asks_one(self) -> "HookSection":
        if bool(self.function) == bool(self.url):
            raise ValueError("asks a function or a URL: give one of the two")
        if self.function and not self.function.startswith(HOOK_FUNCTIONS):
            raise ValueError(
                f"function {self.function!r} is not called {HOOK_FUNCTIONS}...: a watch may invoke no other"
            )
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url {self.url!r} must begin with http:// or https://")
        return self

    def value(self) -> Hook:
        silence = Silence(self.silence)
        return Hook(name=self.name, function=self.function, url=self.url, within=self.within, silence=silence)


class PairSection(Section):
    """Two identical region masters, of which one is active."""

    name: Name = key("control", says="Its name.")
    preferred: Name = key("hz-h", says="The site that is active when all is well.")
    members: dict[Name, MemberSection] = key(
        "{hz-h: {instance: i-bp67acfmxazb4ph, port: 7000, agent_port: 7001}}", says="The two masters, by site."
    )
    domain_name: DomainNameSection = key(
        "{zone: corp.example, host: master, ttl: 5s}", says="The name that follows the active master."
    )
    more_names: list[DomainNameSection] = key(
        "[{zone: corp.example, host: queue, ttl: 5s}]", default=[], says="Further names, moved after it in this order."
    )
    data: DataSection = key("{max_lag: 10s, unknown: refuse}", says="What may be lost when nobody is asked.")
    lease: Heartbeat = key(
        "5s", default=timedelta(seconds=15), says="A taker must have seen the lease unchanged for this long."
    )
    margin: Heartbeat = key("1s", default=timedelta(seconds=3), says="A holder gives up this much earlier.")
    renew_every: Heartbeat = key("1s", default=timedelta(seconds=3), says="How often the holder renews.")
    watch_every: Heartbeat = key("1s", default=timedelta(seconds=2), says="How often a watcher looks: 1s to 10s.")
    name_every: Heartbeat = key("5s", default=timedelta(seconds=5), says="How often the names are looked at in calm.")
    balancer: Id | None = key("lb-apps", default=None, says="Whose health is a further witness of a site.")
    block: Wait = key("1h", default=timedelta(hours=1), says="No second automatic failover within this time.")
    mode: Literal["automatic", "manual"] = key(
        "automatic", "manual", default="automatic", says="A loss moves the pair, or calls an operator."
    )
    agents: Switch = key("true", "false", default=True, says="An agent stands beside each master.")
    fence: FenceSection | None = key("{by: lease}", default=None, says="How the old master is made certain to be off.")
    probe: Text = key("/health", default="", says="A path on the master's port; unless said, a TCP connection.")
    quorum: _Quorum = key("2", default=2, says="Independent witnesses that must agree on a loss.")
    resolvers: list[Text] = key("[100.100.2.136]", default=[], says="DNS servers that a moved name is asked of.")
    surge: dict[Name, SurgeSection] = key(
        "{hz-i: {groups: {asg-bp14wlu85wrpchm0: 4}}}", default={}, says="What each site must carry alone."
    )
    hooks: list[HookSection] = key(
        "[{name: ledger-is-closed, function: understudy-hook-may-we-move}]", default=[], says="Asked before a failover."
    )
    maintenance: list[BlackoutSection] = key(
        "[{name: sundays, between: '02:00-04:00', weekdays: [sun]}]",
        default=[],
        says="Times in which no automatic failover begins.",
    )
    alarms: list[Text] = key("[asr-5f8a]", default=[], says="CloudMonitor rules about this pair, by id or name.")

    def names(self) -> Iterator[tuple[Path, DomainNameSection]]:
        """Each with where it stands."""
        yield ("domain_name",), self.domain_name
        for number, one in enumerate(self.more_names):
            yield ("more_names", number), one

    def value(self, sites: Mapping[str, SiteSection], time_zone: str) -> Pair:
        first, second = (
            Member(
                site=SiteName(site),
                zone=sites[site].zone,
                instance=InstanceId(one.instance),
                port=one.port,
                agent_port=one.agent_port,
            )
            for site, one in self.members.items()
        )
        name = self.domain_name.rule()
        return Pair(
            name=PairName(self.name),
            members=(first, second),
            preferred=SiteName(self.preferred),
            name_zone=name.zone,
            name_host=name.host,
            name_ttl_seconds=name.ttl_seconds,
            name_type=name.type,
            name_service=name.service,
            name_values=name.values,
            more_names=tuple(one.rule() for one in self.more_names),
            name_every=self.name_every,
            resolvers=tuple(self.resolvers),
            lease=self.lease,
            margin=self.margin,
            renew_every=self.renew_every,
            watch_every=self.watch_every,
            balancer=LoadBalancerId(self.balancer) if self.balancer else None,
            block=self.block,
            agents=self.agents,
            probe=self.probe,
            quorum=self.quorum,
            fence=self.fence.value() if self.fence else Fence(),
            data=DataRule(max_lag=self.data.max_lag, unknown=UnknownLag(self.data.unknown)),
            surge={SiteName(site): surge.value() for site, surge in self.surge.items()},
            hooks=tuple(one.value() for one in self.hooks),
            maintenance=tuple(one.value(time_zone) for one in self.maintenance),
            alarms=tuple(self.alarms),
            mode=Mode(self.mode),
        )


def of_pair(pair: PairSection, path: Path) -> Iterator[Problem]:
    """What the keys of one pair mean together."""
    yield from _of_timing(pair, path)
    fence = pair.fence.by if pair.fence else "lease"
    if not pair.agents and fence == "lease":
        says = (
            "is false, and without an agent nobody gives up a lease: the old master could not be fenced. "
            "Add fence: {by: stop}, or fence: {by: isolate, group: sg-...}"
        )
        yield Problem(path=(*path, "agents"), says=says)
    if fence == "isolate" and not (pair.fence and pair.fence.group):
        says = "isolates, and names no security group to do it with. Add group: sg-... (one that lets nothing through)"
        yield Problem(path=(*path, "fence"), says=says)
    if fence == "isolate" and not pair.probe:
        says = (
            "isolates, and names no probe: only an answer on an open connection shows whether it is dead. "
            "Add probe: /health (a path on the masters' port)"
        )
        yield Problem(path=(*path, "fence"), says=says)
    for site in pair.surge:
        if site not in pair.members:
            says = f"is no member of this pair. Use one of: {', '.join(pair.members)}"
            yield Problem(path=(*path, "surge", site), says=says)
        elif pair.surge[site].weights and not pair.balancer:
            says = "are those of the pair's balancer, and it names none. Add balancer: lb-..."
            yield Problem(path=(*path, "surge", site, "weights"), says=says)
    for where, one in pair.names():
        if one.values and set(one.values) != set(pair.members):
            says = f"has values for {', '.join(one.values)}; the pair's sites are {', '.join(pair.members)}"
            yield Problem(path=(*path, *where, "values"), says=says)
    for number, server in enumerate(pair.resolvers):
        if not _is_server(server):
            says = f"{server} is no DNS server. Write an IPv4 address, or ADDRESS:PORT, e.g. 100.100.2.136"
            yield Problem(path=(*path, "resolvers", number), says=says)
    if not timedelta(seconds=1) <= pair.name_every <= timedelta(minutes=1):
        says = f"{in_words(pair.name_every)} is outside 1s to 1m: a late write of a name stands for that long"
        yield Problem(path=(*path, "name_every"), says=says)
    yield from policy_rules.of_names([{"name": one.name} for one in pair.hooks], (*path, "hooks"))


def _of_timing(pair: PairSection, path: Path) -> Iterator[Problem]:
    if pair.margin >= pair.lease:
        says = (
            f"{in_words(pair.margin)} is not less than lease {in_words(pair.lease)}, so a master would give up "
            "before it begins. Use a fifth of the lease"
        )
        yield Problem(path=(*path, "margin"), says=says)
    elif 2 * pair.renew_every > pair.lease - pair.margin:
        most = (pair.lease - pair.margin) / 2
        says = (
            f"{in_words(pair.renew_every)} is too long: two renewals must fit in lease - margin = "
            f"{in_words(pair.lease - pair.margin)}, or one lost renewal ends the mastership. Use {in_words(most)} "
            "or less"
        )
        yield Problem(path=(*path, "renew_every"), says=says)
    if pair.watch_every > pair.lease:
        says = (
            f"{in_words(pair.watch_every)} is longer than lease {in_words(pair.lease)}, so detection would be "
            f"slower than the lease allows. Use {in_words(pair.lease)} or less"
        )
        yield Problem(path=(*path, "watch_every"), says=says)
    elif not timedelta(seconds=1) <= pair.watch_every <= timedelta(seconds=10):
        says = f"{in_words(pair.watch_every)} is outside 1s to 10s, in which a watch looks from inside its minute"
        yield Problem(path=(*path, "watch_every"), says=says)


def _is_server(value: str) -> bool:
    address, colon, port = value.partition(":")
    return _is_address(address) and (not colon or (port.isdecimal() and 0 < int(port) < 65536))


def _is_address(value: str) -> bool:
    try:
        return ip_address(value).version == 4
    except ValueError:
        return False
