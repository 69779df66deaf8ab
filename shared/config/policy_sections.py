"""The sections of `understudy.yaml` beside `protections`, each checked by itself, and what becomes of each."""

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from shared.config.policy_restore import RestoreSection
from shared.config.policy_section import Section, key
from shared.config.policy_values import (
    Name,
    Region,
    Role,
    Zone,
    integers,
    whole,
)
from shared.config.problems import nearest, quoted
from shared.domain.ids import AccountName
from shared.domain.policy import Account, ApiLimits, PruneLimits

VERSION = 1


_Deletions = Annotated[int, BeforeValidator(whole(1, 100_000, what="a number of deletions")), integers(1, 100_000)]
_Percent = Annotated[int, BeforeValidator(whole(1, 100, what="a percentage")), integers(1, 100)]


class PruneSection(Section):
    """How much one run of prune may delete. More than that stops it, and an operator is asked."""

    max_items: _Deletions = key("200", default=200, says="Restore points per run.")
    max_percent: _Percent = key("50", default=50, says="The same, of the points that it looked at.")

    def value(self) -> PruneLimits:
        return PruneLimits(max_items=self.max_items, max_percent=self.max_percent)


class AccountSection(Section):
    """Another account, which a protection may name."""

    name: Name = key("branch", says="Its name in this file.")
    role: Role = key("acs:ram::1234567890123456:role/understudy", says="The role of that account which we assume.")

    def value(self) -> Account:
        return Account(name=AccountName(self.name), role=self.role)


CALLS = (
    "AttachDisk",
    "CopyImage",
    "CopySnapshot",
    "CreateDisk",
    "CreateImage",
    "CreateSnapshot",
    "CreateSnapshotGroup",
    "DeleteImage",
    "DeleteSnapshot",
    "DeleteSnapshotGroup",
    "DescribeAutoSnapshotPolicyAssociations",
    "DescribeAutoSnapshotPolicyEx",
    "DescribeAvailableResource",
    "DescribeDisks",
    "DescribeImages",
    "DescribeInstanceHistoryEvents",
    "DescribeInstanceMaintenanceAttributes",
    "DescribeInstanceRamRole",
    "DescribeInstances",
    "DescribeInvocationResults",
    "DescribeLockedSnapshots",
    "DescribeRegions",
    "DescribeSnapshotGroups",
    "DescribeSnapshots",
    "DescribeUserData",
    "DescribeVSwitches",
    "DetachDisk",
    "LockSnapshot",
    "ModifyImageAttribute",
    "ModifyInstanceAttribute",
    "ModifyInstanceMaintenanceAttributes",
    "ModifyInstanceVpcAttribute",
    "ReInitDisk",
    "ReplaceSystemDisk",
    "ResetDisk",
    "RunCommand",
    "RunInstances",
    "StartInstance",
    "StopInstance",
    "TagResources",
)
"""Actions of ECS that we call, each with a budget of its own. A test holds it against the adapters."""


def _call(value: object) -> str:
    word = str(value).removeprefix("ecs:")
    if word not in CALLS:
        raise ValueError(
            f"{quoted(value)} is not an action of ECS that Understudy calls, so its limit would do nothing."
            f"{nearest(word, CALLS)} Known here: {', '.join(CALLS)}"
        )
    if word != value:
        raise ValueError(f"{quoted(value)} names its product, which is always ECS here. Write {word}")
    return word


_Call = Annotated[str, BeforeValidator(_call)]
_PerMinute = Annotated[int, BeforeValidator(whole(1, 100_000, what="calls per minute")), integers(1, 100_000)]
_Reserve = Annotated[int, BeforeValidator(whole(0, 90, what="a percentage")), integers(0, 90)]
_FanOut = Annotated[int, BeforeValidator(whole(1, 100, what="a number of invocations")), integers(1, 100)]


class LimitsSection(Section):
    """How much of the cloud's API we allow ourselves, per account and region."""

    default: _PerMinute = key("300", default=300, says="Calls per minute of each action that is not named in actions.")
    actions: dict[_Call, _PerMinute] = key("{CreateSnapshot: 100}", default={}, says="Calls per minute by action.")
    reserve_percent: _Reserve = key("30", default=30, says="Of each, left for recovery: back-ups and prune stop there.")
    fan_out: _FanOut = key("10", default=10, says="Invocations of the function backup at once.")

    def value(self) -> ApiLimits:
        return ApiLimits(
            default=self.default,
            actions=dict(self.actions),
            reserve_percent=self.reserve_percent,
            fan_out=self.fan_out,
        )


def _version(value: object) -> int:
    if value != VERSION or isinstance(value, bool):
        raise ValueError(f"{quoted(value)} is not a version of this file's form. Write version: {VERSION}")
    return VERSION


_Version = Annotated[int, BeforeValidator(_version), WithJsonSchema({"const": VERSION})]


class DocumentSection(Section):
    """The top level; its parts are checked one by one, so here they are only mappings and lists."""

    version: _Version = key(str(VERSION), says="Version of this file's form.")
    region: Region = key("cn-hangzhou", says="The home region.")
    time_zone: Zone = key("Asia/Shanghai", says="IANA time zone of schedules and blackouts that name none.")
    sites: dict[str, Any] = key("{hz-h: {zone: cn-hangzhou-h}}", default={}, says="Places that pairs span, by name.")
    accounts: list[Any] = key(
        "[{name: branch, role: 'acs:ram::1234567890123456:role/understudy'}]",
        default=[],
        says="Other accounts that protections may name.",
    )
    protections: list[Any] = key(
        "[{name: applications, select: {tags: {role: app}}, schedules: [{name: hourly, hours: all}], "
        "keep: {hourly: 24, daily: 7}, rpo_target: 75m}]",
        default=[],
        says="What is backed up.",
    )
    rebuilds: list[Any] = key(
        "[{name: applications, select: {tags: {role: app}}, image_family: app, port: 8080}]",
        default=[],
        says="What is built anew when it fails.",
    )
    pairs: list[Any] = key(
        "[{name: control, preferred: hz-h, members: {"
        "hz-h: {instance: i-bp67acfmxazb4ph, port: 7000, agent_port: 7001}, "
        "hz-i: {instance: i-bp67acfmxazb4pi, port: 7000, agent_port: 7001}}, "
        "domain_name: {zone: corp.example, host: master, ttl: 5s}, "
        "lease: 5s, margin: 1s, renew_every: 1s, watch_every: 1s}]",
        default=[],
        says="Region masters that stand in for each other.",
    )
    images: list[Any] = key(
        "[{name: applications, family: app, of: {tags: {role: app}}, schedules: [{name: weekly, hours: [3], "
        "weekdays: [sun]}], keep: 3}]",
        default=[],
        says="Images of roles, taken and let go by rule.",
    )
    plans: list[Any] = key(
        "[{name: site, waves: [{name: data, steps: [{name: databases, action: restore, "
        "select: {tags: {role: db}}}]}]}]",
        default=[],
        says="Recoveries in waves: databases before applications.",
    )
    prune: PruneSection = key("{max_items: 200, max_percent: 50}", default=PruneSection(), says="Caps of a prune run.")
    restore: RestoreSection = key("{keep_safety: 7d}", default=RestoreSection(), says="What goes for every rollback.")
    limits: LimitsSection = key("{default: 300}", default=LimitsSection(), says="Our budget of API calls.")
