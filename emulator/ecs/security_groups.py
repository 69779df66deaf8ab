"""Security groups: rules, members, and which traffic they let through to a guest.

A group made by CreateSecurityGroup starts as the cloud's do: everything out, nothing in except from its own members.
A group of a seed file has one rule that accepts everything, so that a seed need not speak of rules; give it `rules`
to have others (`rules: []` for none).

What is applied: the inbound TCP rules of all groups of an instance, to traffic that reaches its guest's addresses. What
no rule accepts is dropped in silence, never refused. Of several rules that fit, the smallest priority wins, and of
equals the one that drops.

Guests are local processes: unless a process binds the address of an emulated machine before it connects, it cannot be
told who it is. Such a connection counts as one from somewhere in the VPC: a rule that accepts fits it if its source
touches the VPC (or names a group), a rule that drops only if its source covers the whole VPC.

Groups are stateful. Whether a connection that was let in outlives a change of groups or rules that would not let it in
is not documented: here it stalls, unless `established_survive` is set, and then it goes on (assumption: either may be).

Not modelled: outbound rules and rules for UDP, ICMP and GRE are kept and shown but not applied; prefix lists, port
lists, IPv6, classic network (`NicType=internet`), enterprise groups' limits, rules' five-tuple forms (`DestCidrIp` of
an inbound rule, `SourcePortRange`).
Sources: ECS API AuthorizeSecurityGroup, RevokeSecurityGroup, JoinSecurityGroup, LeaveSecurityGroup (read 2025).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Final

from emulator.ecs.rules import check_description, check_name, check_tags
from emulator.ecs.shelf import Shelf
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.instances import Instance
    from emulator.ecs.interfaces import Interface
    from emulator.ecs.model import Ecs

INGRESS: Final = "ingress"
EGRESS: Final = "egress"
EVERYWHERE: Final = "0.0.0.0/0"
RULES_PER_GROUP: Final = 200
GROUPS_PER_MEMBER: Final = 5
"""Of an instance or interface, by default; an adjustable quota (assumption)."""
MEMBERS_AT_MOST: Final = 2000
"""Of a basic group in a VPC: its private addresses (assumption: interfaces are counted)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`peer_cidr` is the source of an inbound and the destination of an outbound rule; or `peer_group` is."""

    id: str
    direction: str
    protocol: str  # TCP | UDP | ICMP | GRE | ALL
    first_port: int  # -1/-1 is every port
    last_port: int
    peer_cidr: str = ""
    peer_group: str = ""
    policy: str = "Accept"  # Accept | Drop
    priority: int = 1  # 1-100, 1 is the strongest
    description: str = ""
    created: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    @property
    def meaning(self) -> tuple[object, ...]:
        """What a revocation names and what makes a rule a double; its id, text and date do not count."""
        ports = (self.first_port, self.last_port)
        return (self.direction, self.protocol, ports, self.peer_cidr, self.peer_group, self.policy, self.priority)

    def covers(self, protocol: str, port: int) -> bool:
        if self.protocol not in ("ALL", protocol):
            return False
        return self.first_port == -1 or self.first_port <= port <= self.last_port


def accept_all(now: datetime, id: str) -> Rule:
    return Rule(
        id=id, direction=INGRESS, protocol="ALL", first_port=-1, last_port=-1, peer_cidr=EVERYWHERE, created=now,
        description="The seed file gives no rules.",
    )  # fmt: skip


@dataclass(slots=True, kw_only=True, eq=False)
class SecurityGroup:
    id: str
    vpc: str
    name: str = ""
    description: str = ""
    kind: str = "normal"  # normal | enterprise
    inner_access: str = "Accept"
    created: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    rules: list[Rule] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)


class SecurityGroups:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.shelf: Shelf[SecurityGroup] = Shelf()
        self._listeners: list[Callable[[], None]] = []
        self.established_survive = False

    def on_change(self, listener: Callable[[], None]) -> None:
        """`listener()` after every change of rules or members."""
        self._listeners.append(listener)

    def changed(self) -> None:
        for listener in list(self._listeners):
            listener()

    def find(self, id: str) -> SecurityGroup:
        group = self.shelf.get(id)
        if group is None:
            raise ApiError("InvalidSecurityGroupId.NotFound", f"The security group {id} does not exist.", 404)
        return group

    # Groups ---------------------------------------------------------------------------------------------------

    def create(
        self, *, vpc: str, name: str, description: str | None, kind: str, tags: dict[str, str], token: str | None
    ) -> SecurityGroup:
        if kind not in ("normal", "enterprise"):
            raise ApiError("InvalidSecurityGroupType", f"SecurityGroupType {kind!r} is neither normal nor enterprise.")
        if not vpc:
            raise ApiError("UnsupportedParameter", "The emulator has no classic network: give a VpcId.")
        if vpc not in self._ecs.network.vpcs:
            raise ApiError("InvalidVpcId.NotFound", f"The VPC {vpc} does not exist.", 404)
        if (status := self._ecs.network.about_vpc(vpc).status) != "Available":  # assumption: the VPC API's code
            raise ApiError("IncorrectVpcStatus", f"The VPC {vpc} is {status}.")
        check_name(name or None, ApiError("InvalidSecurityGroupName.Malformed", f"{name!r} is not valid."))
        check_description(description, ApiError("InvalidSecurityGroupDiscription.Malformed", "The text is not valid."))
        check_tags(tags)

        def make() -> SecurityGroup:
            group = SecurityGroup(
                id=self._ecs.chance.id("sg"), vpc=vpc, name=name, description=description or "", kind=kind, tags=tags,
                inner_access="Accept" if kind == "normal" else "Drop", created=self._ecs.clock.now(),
            )  # fmt: skip
            self.shelf.add(group)
            return group

        fingerprint = (vpc, name, description, kind, tuple(sorted(tags.items())))
        made: SecurityGroup = self._ecs.tokens.once("CreateSecurityGroup", token, fingerprint, make)
        return made

    def delete(self, id: str) -> None:
        """Refused while anything belongs to it, an interface that is being deleted included, or another group's rule
        names it."""
        group = self.find(id)
        if members := self.members(id):
            raise ApiError("DependencyViolation", f"{id} still has {members[0].id} in it.", 403)
        for other in self.shelf:
            if other is not group and any(rule.peer_group == id for rule in other.rules):
                raise ApiError("DependencyViolation", f"A rule of {other.id} names {id}.", 403)
        self.shelf.remove(group)
        self.changed()

    # Rules ----------------------------------------------------------------------------------------------------

    def authorize(self, id: str, rules: Sequence[Rule]) -> None:
        """All of them or none. A rule that is there already is left as it is, without an error (assumption)."""
        group = self.find(id)
        for rule in rules:
            self._check(group, rule)
        known = {rule.meaning for rule in group.rules}
        new = [rule for rule in rules if rule.meaning not in known]
        if len(group.rules) + len(new) > RULES_PER_GROUP:
            raise ApiError("AuthorizationLimitExceed", f"{id} may hold {RULES_PER_GROUP} rules.", 403)
        for rule in new:
            group.rules.append(replace(rule, id=self._ecs.chance.id("sgr"), created=self._ecs.clock.now()))
        self.changed()

    def revoke(self, id: str, direction: str, *, rules: Sequence[Rule] = (), ids: Sequence[str] = ()) -> None:
        """By meaning: a rule that is not there is silently fine. By id: 404 when it is not there."""
        group = self.find(id)
        for rule in rules:
            self._check(group, rule)
        of_direction = {rule.id for rule in group.rules if rule.direction == direction}
        for rule_id in ids:
            if rule_id not in of_direction:
                raise ApiError("SecurityGroupRule.NotFound", f"{id} has no {direction} rule {rule_id}.", 404)
        gone = {rule.meaning for rule in rules}
        group.rules[:] = [rule for rule in group.rules if rule.meaning not in gone and rule.id not in ids]
        self.changed()

    def _check(self, group: SecurityGroup, rule: Rule) -> None:
        if not rule.peer_group:
            return
        if rule.peer_group == group.id:
            raise ApiError("InvalidParamter.Conflict", "A group needs no rule for itself.", 403)
        peer = self.shelf.get(rule.peer_group)
        which = "SourceGroupId" if rule.direction == INGRESS else "DestGroupId"
        if peer is None:
            raise ApiError(f"Invalid{which}.NotFound", f"The security group {rule.peer_group} does not exist.", 404)
        if peer.vpc != group.vpc:
            raise ApiError(f"Invalid{which}.Mismatch", f"{peer.id} is in another VPC than {group.id}.")

    # Members --------------------------------------------------------------------------------------------------

    def members(self, id: str) -> "list[Interface]":
        """Interfaces; an instance belongs to the groups of its own (primary) one."""
        return [interface for interface in self._ecs.interfaces.shelf if id in interface.security_group_ids]

    def instances(self, id: str) -> "list[Instance]":
        return [instance for instance in self._ecs.shelf if id in instance.security_group_ids]

    def join(self, id: str, interface: "Interface") -> None:
        group = self.find(id)
        groups = interface.security_group_ids
        if id in groups:
            raise ApiError("InvalidInstanceId.AlreadyExists", f"{interface.owner} is in {id} already.", 403)
        if interface.vpc_id != group.vpc:
            raise ApiError("InvalidInstanceId.Mismatch", f"{interface.owner} and {id} are not in the same VPC.")
        if len(groups) >= GROUPS_PER_MEMBER:
            raise ApiError(
                "InstanceSecurityGroupLimitExceeded", f"{interface.owner} is in {GROUPS_PER_MEMBER} groups.", 403
            )
        self._check_room(id)
        interface.belong_to((*groups, id))
        self.changed()

    def leave(self, id: str, interface: "Interface") -> None:
        """Since July 2024 leaving a group that one is not in is an error."""
        self.find(id)
        groups = interface.security_group_ids
        if id not in groups:
            raise ApiError("InvalidSecurityGroupAssociation.NotFound", f"{interface.owner} is not in {id}.")
        if len(groups) == 1:
            raise ApiError("InstanceLastSecurityGroup", f"{id} is the only group of {interface.owner}.", 403)
        interface.belong_to(tuple(one for one in groups if one != id))
        self.changed()

    def _check_room(self, id: str) -> None:
        if len(self.members(id)) >= MEMBERS_AT_MOST:
            raise ApiError("SecurityGroupInstanceLimitExceed", f"{id} holds {MEMBERS_AT_MOST} members.", 403)

    # Traffic --------------------------------------------------------------------------------------------------

    def admits(self, groups: Iterable[str], port: int, source: str | None) -> bool:
        """Whether a TCP connection to `port` of a member of `groups` gets through. `source` is an address of an
        emulated machine, or None for somebody who cannot be told (see the module's text)."""
        strongest: tuple[int, bool] | None = None  # priority, accepts: False sorts first, so a drop wins a tie
        for one in groups:
            group = self.shelf.get(one)
            if group is None:
                continue
            if group.inner_access == "Accept" and source is not None and self._is_member(one, source):
                return True
            for rule in group.rules:
                if rule.direction == INGRESS and rule.covers("TCP", port) and self._fits(group, rule, source):
                    found = (rule.priority, rule.policy == "Accept")
                    strongest = found if strongest is None else min(strongest, found)
        return strongest is not None and strongest[1]

    def _is_member(self, id: str, address: str) -> bool:
        return any(address in interface.addresses for interface in self.members(id))

    def _fits(self, group: SecurityGroup, rule: Rule, source: str | None) -> bool:
        if rule.peer_group:
            if source is None:
                return rule.policy == "Accept"
            return self._is_member(rule.peer_group, source)
        peer = IPv4Network(rule.peer_cidr)
        if source is not None:
            return IPv4Address(source) in peer
        vpc = IPv4Network(self._ecs.network.vpcs.get(group.vpc, EVERYWHERE), strict=False)
        return peer.overlaps(vpc) if rule.policy == "Accept" else vpc.subnet_of(peer)
