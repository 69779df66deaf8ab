"""vServer groups: members with ports of their own, for listeners that leave the default pool aside.

Source: SLB API 2014-05-15 (SDK 3.3.31). Assumptions: an unknown group is InvalidParameter with its own message (as
Terraform's provider matches it); weighing or replacing who is no member is InvalidBackendServers.Inconsistent; a group
that a listener serves is not deleted (RspoolVipExist).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from emulator.slb.configuring import GROUPING
from emulator.slb.pool import Backend, addable, bounded, check_weight
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.realm import Realm
    from emulator.slb.model import Balancer, LoadBalancers


@dataclass(slots=True, kw_only=True)
class ServerGroup:
    id: str
    name: str
    balancer: str
    created: datetime
    members: dict[str, Backend] = field(default_factory=dict)  # by key, in order of addition


class ServerGroups:
    def __init__(self, slb: "LoadBalancers", realm: "Realm") -> None:
        self._slb = slb
        self._realm = realm
        self._groups: dict[str, ServerGroup] = {}

    def get(self, id: str) -> ServerGroup:
        group = self._groups.get(id)
        if group is None:
            raise ApiError("InvalidParameter", f"The specified VServerGroupId does not exist: {id}.")
        return group

    def of(self, balancer: str) -> list[ServerGroup]:
        return [group for group in self._groups.values() if group.balancer == balancer]

    def ids(self, balancer: str) -> set[str]:
        return {group.id for group in self.of(balancer)}

    def members_of(self, balancer: str) -> int:
        return sum(len(group.members) for group in self.of(balancer))

    def has(self, server: str) -> bool:
        return any(member.server == server for group in self._groups.values() for member in group.members.values())

    def listeners(self, group: ServerGroup) -> list[int]:
        """The ports that the group is served at."""
        listeners = self._slb.get(group.balancer).listeners.values()
        return [listener.port for listener in listeners if listener.group == group.id]

    def create(
        self, balancer_id: str, name: str, servers: Sequence[Backend], *, id: str | None = None
    ) -> ServerGroup:  # fmt: skip
        balancer = self._idle(balancer_id)
        members = addable(self._realm, balancer.vpc, servers, ())
        self._slb.check_room(balancer, len(members))
        made = id or self._realm.chance.id("rsp")
        group = ServerGroup(
            id=made, name=name or made, balancer=balancer_id, created=self._realm.clock.now(), members=members
        )
        self._groups[group.id] = group
        self._slb.changed(balancer)
        return group

    def delete(self, id: str) -> None:
        group = self.get(id)
        balancer = self._idle(group.balancer)
        if ports := self.listeners(group):
            raise ApiError("RspoolVipExist", f"The group {id} is served at the listeners {ports}.")
        del self._groups[id]
        self._slb.changed(balancer)

    def forget(self, balancer: str) -> None:
        """The balancer goes, and its groups with it."""
        for group in self.of(balancer):
            del self._groups[group.id]

    def add(self, id: str, servers: Sequence[Backend], *, patient: bool = False) -> ServerGroup:
        """All of them or none; a server may come in once for each port."""
        group = self.get(id)
        balancer = self._idle(group.balancer, patient)
        wanted = addable(self._realm, balancer.vpc, servers, group.members)
        self._slb.check_room(balancer, len(wanted))
        group.members.update(wanted)
        self._slb.changed(balancer)
        return group

    def remove(self, id: str, servers: Sequence[Backend], *, patient: bool = False) -> ServerGroup:
        """Who is no member is silently fine."""
        group = self.get(id)
        balancer = self._idle(group.balancer, patient)
        self._drop(group, [one.key for one in bounded(servers)])
        self._slb.changed(balancer)
        return group

    def set(
        self, id: str, *, name: str | None = None, servers: Sequence[Backend] = (), patient: bool = False
    ) -> ServerGroup:
        """The name, and weights and descriptions of members; others keep theirs."""
        group = self.get(id)
        balancer = self._idle(group.balancer, patient)
        for backend in bounded(servers):
            check_weight(backend)
            _check_member(group, backend)
        group.name = name or group.name
        for backend in servers:
            old = group.members[backend.key]
            group.members[backend.key] = replace(
                old, weight=backend.weight, description=backend.description or old.description
            )
        self._slb.changed(balancer)
        return group

    def exchange(self, id: str, old: Sequence[Backend], new: Sequence[Backend]) -> ServerGroup:
        """Old members for new ones, at once: there is no moment with both or with neither."""
        group = self.get(id)
        balancer = self._idle(group.balancer)
        for backend in bounded(old):
            _check_member(group, backend)
        gone = {backend.key for backend in old}
        wanted = addable(self._realm, balancer.vpc, new, group.members.keys() - gone)
        self._slb.check_room(balancer, len(wanted) - len(gone))
        self._drop(group, list(gone - wanted.keys()))
        group.members.update(wanted)
        self._slb.changed(balancer)
        return group

    def _drop(self, group: ServerGroup, keys: Sequence[str]) -> None:
        health = self._slb.get(group.balancer).health
        for key in keys:
            group.members.pop(key, None)
            for port in self.listeners(group):
                health.pop((port, key), None)

    def _idle(self, balancer: str, patient: bool = False) -> "Balancer":
        return self._slb.idle(balancer, GROUPING, patient=patient)


def _check_member(group: ServerGroup, backend: Backend) -> None:
    if backend.key not in group.members:
        raise ApiError("InvalidBackendServers.Inconsistent", f"{backend.key} is no member of {group.id}.")
