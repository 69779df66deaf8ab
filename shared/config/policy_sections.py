"""The sections of `understudy.yaml`, each checked by itself, and what each becomes in the domain.

A field's description is an example value: what the message about a missing key proposes.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.config.policy_values import (
    Domain,
    Heartbeat,
    Host,
    Hours,
    Id,
    Minute,
    Minutes,
    Name,
    Port,
    Text,
    Ttl,
    Wait,
    Weekdays,
    Zone,
    whole,
)
from shared.config.problems import quoted
from shared.domain.ids import InstanceId, LoadBalancerId, PairName, SiteName
from shared.domain.policy import Member, Pair, Protection, RebuildRule, Retention, Schedule, Selection
from shared.domain.retention import MAX_DAYS, MIN_DAYS

VERSION = 1


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


def _flag(value: object) -> bool:
    if value is not True:
        raise ValueError(f"{quoted(value)} says nothing. Write forever: true, or remove the key")
    return True


_Count = Annotated[int, BeforeValidator(whole(1, MAX_DAYS, what="a number of points"))]


class SelectSection(Section):
    tags: dict[Text, Text] = Field({}, description="{tags: {role: app}}")
    ids: list[Id] = Field([], description="[i-bp67acfmxazb4ph]")
    exclude: list[Id] = Field([], description="[i-bp67acfmxazb4ph]")

    def value(self) -> Selection:
        return Selection(
            tags=dict(self.tags),
            ids=tuple(InstanceId(one) for one in self.ids),
            exclude=tuple(InstanceId(one) for one in self.exclude),
        )


class ScheduleSection(Section):
    name: Name = Field(description="hourly")
    hours: Hours = Field(description="[2, 14]")
    weekdays: Weekdays = Field(tuple(range(1, 8)), description="[mon, thu]")
    minute: Minute = Field(0, description="30")
    time_zone: Zone | None = Field(None, description="Asia/Shanghai")

    def value(self, default_zone: str) -> Schedule:
        return Schedule(
            name=self.name,
            hours=self.hours,
            weekdays=self.weekdays,
            minute=self.minute,
            zone=self.time_zone or default_zone,
        )


class KeepSection(Section):
    days: Annotated[int, BeforeValidator(whole(MIN_DAYS, MAX_DAYS, what="a number of days"))] | None = None
    last: _Count = 0
    hourly: _Count = 0
    daily: _Count = 0
    weekly: _Count = 0
    monthly: _Count = 0
    yearly: _Count = 0
    forever: Annotated[bool, BeforeValidator(_flag)] = False

    def value(self) -> Retention:
        return Retention(**self.model_dump())


class ProtectionSection(Section):
    name: Name = Field(description="applications")
    select: SelectSection = Field(description="{tags: {role: app}}")
    schedules: list[ScheduleSection] = Field(description="[{name: hourly, hours: all}]")
    keep: KeepSection = Field(description="{hourly: 24, daily: 7}, {days: 30} or {forever: true}")
    rpo_target: Minutes = Field(description="75m")

    def value(self, default_zone: str) -> Protection:
        return Protection(
            name=self.name,
            select=self.select.value(),
            schedules=tuple(one.value(default_zone) for one in self.schedules),
            keep=self.keep.value(),
            rpo_target=self.rpo_target,
        )


class BackendSection(Section):
    id: Id = Field(description="lb-apps")
    weight: Annotated[int, BeforeValidator(whole(0, 100, what="a weight"))] = Field(description="100")


class RebuildSection(Section):
    name: Name = Field(description="applications")
    select: SelectSection = Field(description="{tags: {role: app}}")
    image_family: Text = Field(description="app")
    balancer: BackendSection | None = Field(None, description="{id: lb-apps, weight: 100}")
    port: Port = Field(description="8080")
    patience: Wait = Field(timedelta(minutes=6), description="6m")
    max_at_once: Annotated[int, BeforeValidator(whole(1, 1_000, what="a number of rebuilds"))] = Field(
        1, description="2"
    )

    def value(self) -> RebuildRule:
        return RebuildRule(
            name=self.name,
            select=self.select.value(),
            image_family=self.image_family,
            balancer=LoadBalancerId(self.balancer.id) if self.balancer else None,
            weight=self.balancer.weight if self.balancer else 0,
            port=self.port,
            patience=self.patience,
            max_at_once=self.max_at_once,
        )


class SiteSection(Section):
    zone: Id = Field(description="cn-hangzhou-h")


class MemberSection(Section):
    instance: Id = Field(description="i-bp67acfmxazb4ph")
    port: Port = Field(description="7000")
    agent_port: Port = Field(description="7001")


class DomainNameSection(Section):
    zone: Domain = Field(description="corp.example")
    host: Host = Field(description="master")
    ttl: Ttl = Field(description="5s")


class PairSection(Section):
    name: Name = Field(description="control")
    preferred: Name = Field(description="the site that is active when all is well")
    members: dict[Name, MemberSection] = Field(description="{site: {instance: i-..., port: 7000, agent_port: 7001}}")
    domain_name: DomainNameSection = Field(description="{zone: corp.example, host: master, ttl: 5s}")
    lease: Heartbeat = Field(description="5s")
    margin: Heartbeat = Field(description="1s")
    renew_every: Heartbeat = Field(description="1s")
    watch_every: Heartbeat = Field(description="1s")
    balancer: Id | None = Field(None, description="lb-apps")
    block: Wait = Field(timedelta(hours=1), description="1h")

    def value(self, sites: Mapping[str, SiteSection]) -> Pair:
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
        return Pair(
            name=PairName(self.name),
            members=(first, second),
            preferred=SiteName(self.preferred),
            name_zone=self.domain_name.zone,
            name_host=self.domain_name.host,
            name_ttl_seconds=self.domain_name.ttl,
            lease=self.lease,
            margin=self.margin,
            renew_every=self.renew_every,
            watch_every=self.watch_every,
            balancer=LoadBalancerId(self.balancer) if self.balancer else None,
            block=self.block,
        )


class PruneSection(Section):
    max_items: Annotated[int, BeforeValidator(whole(1, 100_000, what="a number of deletions"))] = 200
    max_percent: Annotated[int, BeforeValidator(whole(1, 100, what="a percentage"))] = 50


def _version(value: object) -> int:
    if value != VERSION or isinstance(value, bool):
        raise ValueError(f"{quoted(value)} is not a version of this file's form. Write version: {VERSION}")
    return VERSION


class DocumentSection(Section):
    """The top level; its parts are checked one by one, so here they are only mappings and lists."""

    version: Annotated[int, BeforeValidator(_version)] = Field(description=str(VERSION))
    region: Id = Field(description="cn-hangzhou")
    time_zone: Zone = Field(description="Asia/Shanghai")
    sites: dict[str, Any] = {}
    protections: list[Any] = []
    rebuilds: list[Any] = []
    pairs: list[Any] = []
    prune: PruneSection = PruneSection()
