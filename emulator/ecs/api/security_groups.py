"""CreateSecurityGroup, DeleteSecurityGroup, DescribeSecurityGroups, DescribeSecurityGroupAttribute,
DescribeSecurityGroupReferences, AuthorizeSecurityGroup and RevokeSecurityGroup (also Egress), Join and Leave."""

import re
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.interfaces import Interface
from emulator.ecs.rules import iso
from emulator.ecs.security_groups import EGRESS, INGRESS, MEMBERS_AT_MOST, Rule, SecurityGroup
from emulator.ecs.shelf import carries
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

PROTOCOLS = ("TCP", "UDP", "ICMP", "GRE", "ALL")
PORTS = re.compile(r"(-1|\d{1,5})/(-1|\d{1,5})")
RULES_PER_CALL = 100
RULE_FIELDS = ("IpProtocol", "PortRange", "Policy", "Priority", "Description", "NicType")
INGRESS_FIELDS = (*RULE_FIELDS, "SourceCidrIp", "SourceGroupId")
EGRESS_FIELDS = (*RULE_FIELDS, "DestCidrIp", "DestGroupId")


def _rule_parameters(fields: tuple[str, ...]) -> tuple[str, ...]:
    """One rule in the call itself (deprecated), or several in `Permissions.N`."""
    return ("SecurityGroupId", "ClientToken", *fields, *(f"Permissions.N.{name}" for name in fields))


RULE_CODES = (
    "InvalidSecurityGroupId.NotFound", "InvalidIpProtocol.ValueNotSupported", "InvalidIpProtocol.Malformed",
    "InvalidPolicy.Malformed", "InvalidPriority.ValueNotSupported", "InvalidParamter.Conflict",
    "InvalidNicType.ValueNotSupported", "IdempotentParameterMismatch", "IdempotentProcessing",
    "InvalidClientToken.Malformed", "InvalidSecurityGroupDiscription.Malformed",
)  # fmt: skip
INGRESS_CODES = (
    "InvalidSourceCidrIp.Malformed", "MissingParameter.Source", "InvalidSourceGroupId.NotFound",
    "InvalidSourceGroupId.Mismatch",
)  # fmt: skip
EGRESS_CODES = (
    "InvalidDestCidrIp.Malformed", "MissingParameter.Dest", "InvalidDestGroupId.NotFound",
    "InvalidDestGroupId.Mismatch",
)  # fmt: skip


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = SecurityGroupsApi(ecs)
    return {
        "CreateSecurityGroup": api.create,
        "DeleteSecurityGroup": api.delete,
        "DescribeSecurityGroups": api.describe,
        "DescribeSecurityGroupAttribute": api.attribute,
        "DescribeSecurityGroupReferences": api.references,
        "AuthorizeSecurityGroup": api.authorize,
        "AuthorizeSecurityGroupEgress": api.authorize_egress,
        "RevokeSecurityGroup": api.revoke,
        "RevokeSecurityGroupEgress": api.revoke_egress,
        "JoinSecurityGroup": api.join,
        "LeaveSecurityGroup": api.leave,
    }


class SecurityGroupsApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self._groups = ecs.security_groups

    @reads("VpcId", "SecurityGroupName", "Description", "SecurityGroupType", "ClientToken", *paging.TAGS)
    @raises(
        "InvalidVpcId.NotFound", "IncorrectVpcStatus", "InvalidSecurityGroupType", "InvalidSecurityGroupName.Malformed",
        "InvalidSecurityGroupDiscription.Malformed", "InvalidTagKey.Malformed", "InvalidTagValue.Malformed",
        "QuotaExceed.Tags", "Duplicate.TagKey", "IdempotentParameterMismatch", "IdempotentProcessing",
        "InvalidClientToken.Malformed",
    )  # fmt: skip
    def create(self, call: Call) -> dict[str, Any]:
        """A group that lets nothing in but its own members' traffic. Not modelled: classic network, group quota."""
        p = call.params
        group = self._groups.create(
            vpc=p.get("VpcId", ""),
            name=p.get("SecurityGroupName", ""),
            description=p.get("Description"),
            kind=p.get("SecurityGroupType") or "normal",
            tags=paging.tags(call),
            token=p.get("ClientToken"),
        )
        return {"SecurityGroupId": group.id}

    @reads("SecurityGroupId")
    @raises("InvalidSecurityGroupId.NotFound", "DependencyViolation")
    def delete(self, call: Call) -> dict[str, Any]:
        """Refused while it has members or another group's rule names it. Not modelled: deletion protection."""
        self._groups.delete(params.required(call.params, "SecurityGroupId"))
        return {}

    @reads(
        "SecurityGroupId", "SecurityGroupIds", "SecurityGroupName", "SecurityGroupType", "VpcId", "NetworkType",
        "IsQueryEcsCount", *paging.TAGS, *paging.PAGING,
    )  # fmt: skip
    @raises("DryRunOperation", "InvalidSecurityGroupIds.Malformed", "InvalidParameter.NextToken")
    def describe(self, call: Call) -> dict[str, Any]:
        """Not modelled: FuzzyQuery, resource groups."""
        p = call.params
        one, ids = p.get("SecurityGroupId"), params.json_texts(p, "SecurityGroupIds", at_most=100)
        if one:
            ids = [one] if ids is None else [each for each in ids if each == one]
        name, kind, vpc = p.get("SecurityGroupName"), p.get("SecurityGroupType"), p.get("VpcId")
        tags = paging.tag_filter(call)
        if p.get("NetworkType", "vpc").lower() == "classic":
            ids = []

        def matches(group: SecurityGroup) -> bool:
            return (
                (not name or group.name == name)
                and (not kind or group.kind == kind)
                and (not vpc or group.vpc == vpc)
                and (not tags or carries(group.tags, tags))
            )

        items, fields = paging.listed(call, self._groups.shelf, matches, self._render, cap=100, ids=ids)
        return {"SecurityGroups": {"SecurityGroup": items}, "RegionId": self._ecs.region, **fields}

    def _render(self, group: SecurityGroup) -> dict[str, Any]:
        instances = len(self._groups.instances(group.id))
        return {
            "SecurityGroupId": group.id,
            "SecurityGroupName": group.name,
            "SecurityGroupType": group.kind,
            "Description": group.description,
            "VpcId": group.vpc,
            "CreationTime": iso(group.created),
            "EcsCount": instances,
            "AvailableInstanceAmount": MEMBERS_AT_MOST - len(self._groups.members(group.id)),
            "RuleCount": len(group.rules),
            "GroupToGroupRuleCount": sum(1 for rule in group.rules if rule.peer_group),
            "ServiceManaged": False,
            "ResourceGroupId": "",
            "Tags": paging.tag_list(group.tags),
        }

    @reads("SecurityGroupId", "Direction", "NicType", "MaxResults", "NextToken")
    @raises("InvalidSecurityGroupId.NotFound", "InvalidParameter.NextToken")
    def attribute(self, call: Call) -> dict[str, Any]:
        """Its rules, both directions unless one is named. Not modelled: pages of rules (all are answered at once)."""
        p = call.params
        group = self._groups.find(params.required(p, "SecurityGroupId"))
        direction = (p.get("Direction") or "all").lower()
        return {
            "SecurityGroupId": group.id,
            "SecurityGroupName": group.name,
            "Description": group.description,
            "RegionId": self._ecs.region,
            "VpcId": group.vpc,
            "InnerAccessPolicy": group.inner_access,
            "NextToken": "",
            "Permissions": {
                "Permission": [self._rule(rule) for rule in group.rules if direction in ("all", rule.direction)]
            },
        }

    def _rule(self, rule: Rule) -> dict[str, Any]:
        incoming = rule.direction == INGRESS
        return {
            "SecurityGroupRuleId": rule.id,
            "Direction": rule.direction,
            "IpProtocol": rule.protocol,
            "PortRange": f"{rule.first_port}/{rule.last_port}",
            "Policy": rule.policy,
            "Priority": str(rule.priority),
            "NicType": "intranet",
            "Description": rule.description,
            "CreateTime": iso(rule.created),
            "SourceCidrIp": rule.peer_cidr if incoming else "",
            "SourceGroupId": rule.peer_group if incoming else "",
            "DestCidrIp": "" if incoming else rule.peer_cidr,
            "DestGroupId": "" if incoming else rule.peer_group,
        }

    @reads("SecurityGroupId.N")
    @raises("InvalidSecurityGroupId.NotFound")
    def references(self, call: Call) -> dict[str, Any]:
        """Which groups' rules name these groups."""
        found = []
        for named in params.list_of(call.params, "SecurityGroupId"):
            self._groups.find(named)
            naming = [g.id for g in self._groups.shelf if any(rule.peer_group == named for rule in g.rules)]
            found.append(
                {
                    "SecurityGroupId": named,
                    "ReferencingSecurityGroups": {
                        "ReferencingSecurityGroup": [
                            {"SecurityGroupId": one, "AliUid": self._ecs.account} for one in naming
                        ]
                    },
                }
            )
        return {"SecurityGroupReferences": {"SecurityGroupReference": [entry for entry in found if _names(entry)]}}

    # Rules ----------------------------------------------------------------------------------------------------

    @reads(*_rule_parameters(INGRESS_FIELDS))
    @raises(*RULE_CODES, *INGRESS_CODES, "AuthorizationLimitExceed")
    def authorize(self, call: Call) -> dict[str, Any]:
        """Add inbound rules. Not modelled: prefix and port lists, IPv6, other accounts' groups, five-tuple rules."""
        return self._add(call, INGRESS)

    @reads(*_rule_parameters(EGRESS_FIELDS))
    @raises(*RULE_CODES, *EGRESS_CODES, "AuthorizationLimitExceed")
    def authorize_egress(self, call: Call) -> dict[str, Any]:
        """Add outbound rules. Not modelled: their effect; prefix lists, IPv6, other accounts' groups."""
        return self._add(call, EGRESS)

    def _add(self, call: Call, direction: str) -> dict[str, Any]:
        group, rules = params.required(call.params, "SecurityGroupId"), _rules(call, direction)
        self._ecs.tokens.once(
            call.action,
            call.params.get("ClientToken"),
            (group, tuple(rule.meaning for rule in rules)),
            lambda: self._groups.authorize(group, rules),
        )
        return {}

    @reads(*_rule_parameters(INGRESS_FIELDS), "SecurityGroupRuleId.N")
    @raises(*RULE_CODES, *INGRESS_CODES, "SecurityGroupRule.NotFound")
    def revoke(self, call: Call) -> dict[str, Any]:
        """Take inbound rules away, by id or by all that they say (text apart)."""
        return self._take(call, INGRESS)

    @reads(*_rule_parameters(EGRESS_FIELDS), "SecurityGroupRuleId.N")
    @raises(*RULE_CODES, *EGRESS_CODES, "SecurityGroupRule.NotFound")
    def revoke_egress(self, call: Call) -> dict[str, Any]:
        """Take outbound rules away."""
        return self._take(call, EGRESS)

    def _take(self, call: Call, direction: str) -> dict[str, Any]:
        group, ids = params.required(call.params, "SecurityGroupId"), params.list_of(call.params, "SecurityGroupRuleId")
        self._groups.revoke(group, direction, ids=ids, rules=() if ids else _rules(call, direction))
        return {}

    # Members --------------------------------------------------------------------------------------------------

    @reads("SecurityGroupId", "InstanceId", "NetworkInterfaceId")
    @raises(
        "InvalidSecurityGroupId.NotFound", "InvalidInstanceId.NotFound", "InvalidEniId.NotFound",
        "InvalidParam.EniIdAndInstanceId.Conflict", "IncorrectInstanceStatus", "InvalidOperation.InvalidEniState",
        "InvalidInstanceId.AlreadyExists", "InvalidInstanceId.Mismatch", "InstanceSecurityGroupLimitExceeded",
        "SecurityGroupInstanceLimitExceed",
    )  # fmt: skip
    def join(self, call: Call) -> dict[str, Any]:
        """An instance, or a secondary interface."""
        self._groups.join(params.required(call.params, "SecurityGroupId"), self._member(call))
        return {}

    @reads("SecurityGroupId", "InstanceId", "NetworkInterfaceId")
    @raises(
        "InvalidSecurityGroupId.NotFound", "InvalidInstanceId.NotFound", "InvalidEniId.NotFound",
        "InvalidParam.EniIdAndInstanceId.Conflict", "IncorrectInstanceStatus", "InvalidOperation.InvalidEniState",
        "InstanceLastSecurityGroup", "InvalidSecurityGroupAssociation.NotFound",
    )  # fmt: skip
    def leave(self, call: Call) -> dict[str, Any]:
        """The last group cannot be left."""
        self._groups.leave(params.required(call.params, "SecurityGroupId"), self._member(call))
        return {}

    def _member(self, call: Call) -> Interface:
        instance_id, interface_id = call.params.get("InstanceId"), call.params.get("NetworkInterfaceId")
        if instance_id and interface_id:
            raise ApiError("InvalidParam.EniIdAndInstanceId.Conflict", "Give an instance or an interface.", 403)
        if interface_id:
            interface = self._ecs.interfaces.find(interface_id)
            if interface.status not in ("Available", "InUse"):
                raise ApiError("InvalidOperation.InvalidEniState", f"{interface_id} is {interface.status}.")
            return interface
        instance = self._ecs.find_instance(params.required(call.params, "InstanceId"))
        if instance.state not in ("Running", "Stopped"):
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}.", 403)
        return self._ecs.interfaces.primary(instance)


def _names(entry: dict[str, Any]) -> bool:
    return bool(entry["ReferencingSecurityGroups"]["ReferencingSecurityGroup"])


def _rules(call: Call, direction: str) -> list[Rule]:
    given = params.objects(call.params, "Permissions") or [dict(call.params)]
    if len(given) > RULES_PER_CALL:
        raise ApiError("InvalidParameter", f"At most {RULES_PER_CALL} rules in one call, not {len(given)}.")
    return [_rule_of(entry, direction) for entry in given]


def _rule_of(entry: dict[str, str], direction: str) -> Rule:
    side = "Source" if direction == INGRESS else "Dest"
    cidr, group = entry.get(f"{side}CidrIp", ""), entry.get(f"{side}GroupId", "")
    if not cidr and not group:
        raise ApiError(f"MissingParameter.{side}", f"{side}CidrIp or {side}GroupId is needed.")
    if cidr:
        try:
            cidr = str(IPv4Network(cidr, strict=False))
        except ValueError:
            raise ApiError(f"Invalid{side}CidrIp.Malformed", f"{cidr!r} is not an IPv4 range.") from None
    if entry.get("NicType", "intranet") != "intranet":
        raise ApiError("InvalidNicType.ValueNotSupported", "In a VPC NicType is intranet.")
    policy = entry.get("Policy", "accept").capitalize()
    if policy not in ("Accept", "Drop"):
        raise ApiError("InvalidPolicy.Malformed", f"Policy {entry.get('Policy')!r} is neither accept nor drop.")
    priority = entry.get("Priority") or "1"
    if not 1 <= (params.digits(priority) or 0) <= 100:
        raise ApiError("InvalidPriority.ValueNotSupported", f"Priority is 1-100, not {priority!r}.")
    if not 0 <= len(entry.get("Description", "")) <= 512:
        raise ApiError("InvalidSecurityGroupDiscription.Malformed", "A rule's text has at most 512 characters.")
    protocol = params.required(entry, "IpProtocol").upper()
    if protocol not in PROTOCOLS:
        raise ApiError("InvalidIpProtocol.ValueNotSupported", f"IpProtocol is one of {', '.join(PROTOCOLS)}.")
    first, last = _ports(entry, protocol)
    return Rule(
        id="", direction=direction, protocol=protocol, first_port=first, last_port=last,
        peer_cidr="" if group else cidr,  # a group wins over a range that is given beside it (assumption)
        peer_group=group, policy=policy, priority=int(priority), description=entry.get("Description", ""),
    )  # fmt: skip


def _ports(entry: dict[str, str], protocol: str) -> tuple[int, int]:
    """`22/22`; protocols without ports take `-1/-1`."""
    text = entry.get("PortRange") or ("-1/-1" if protocol not in ("TCP", "UDP") else "")
    if not text:
        raise params.missing("PortRange")
    match = PORTS.fullmatch(text)
    if match is None:
        raise ApiError("InvalidIpProtocol.Malformed", f"PortRange {text!r} is not FIRST/LAST.")
    first, last = int(match[1]), int(match[2])
    everything = (first, last) == (-1, -1)
    ported = protocol in ("TCP", "UDP") and 1 <= first <= last <= 65535
    if not everything and not ported:
        raise ApiError("InvalidIpProtocol.Malformed", f"PortRange {text!r} does not go with {protocol}.")
    return first, last
