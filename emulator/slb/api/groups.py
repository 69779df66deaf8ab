"""vServer groups on the wire: weights and ports are numbers in all answers. Pages: api.aliyun.com, Slb 2014-05-15."""

from typing import Any

from emulator.slb.api.servers import ADDING, BALANCER, MALFORMED, TRANSIENT, backends, rows
from emulator.slb.groups import ServerGroup
from emulator.slb.model import LoadBalancers
from emulator.wire import params as wire
from emulator.wire.call import Call
from emulator.wire.declare import raises, reads

STRANGER = "InvalidBackendServers.Inconsistent"


class Groups:
    def __init__(self, slb: LoadBalancers) -> None:
        self._slb = slb
        self._groups = slb.groups

    @reads("LoadBalancerId", "VServerGroupName", "BackendServers")
    @raises(BALANCER, *MALFORMED, *ADDING, *TRANSIENT)
    def CreateVServerGroup(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A group, with up to 20 running servers at once or without any.

        Not modelled: tags, network interfaces and container instances as servers.
        """
        given = backends(call.params, ports=True) if wire.text(call.params, "BackendServers") else []
        group = self._groups.create(
            wire.required(call.params, "LoadBalancerId"), wire.text(call.params, "VServerGroupName", ""), given
        )
        return _shown(group)

    @reads("VServerGroupId")
    @raises("RspoolVipExist", *TRANSIENT)
    def DeleteVServerGroup(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Refused while a listener serves it."""
        self._groups.delete(wire.required(call.params, "VServerGroupId"))
        return {}

    @reads("LoadBalancerId", "IncludeListener", "IncludeRule")
    @raises(BALANCER)
    def DescribeVServerGroups(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """The groups of one balancer, without their members.

        Not modelled: forwarding rules (there are none), tags, Description as a filter.
        """
        balancer = self._slb.get(wire.required(call.params, "LoadBalancerId"))
        listening = wire.boolean(call.params, "IncludeListener", False)
        found = []
        for group in self._groups.of(balancer.id):
            ports = self._groups.listeners(group) if listening else []
            served = [{"Port": port, "Protocol": balancer.listeners[port].protocol} for port in ports]
            found.append(
                {
                    "VServerGroupId": group.id,
                    "VServerGroupName": group.name,
                    "ServerCount": len(group.members),
                    "CreateTime": group.created.strftime("%Y-%m-%dT%H:%MZ"),
                    "AssociatedObjects": {"Listeners": {"Listener": served}, "Rules": {"Rule": []}},
                }
            )
        return {"VServerGroups": {"VServerGroup": found}}

    @reads("VServerGroupId")
    @raises()
    def DescribeVServerGroupAttribute(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """One group with its members. Not modelled: tags."""
        group = self._groups.get(wire.required(call.params, "VServerGroupId"))
        members = rows(group.members.values())
        for row in members["BackendServer"]:
            row["ServerIp"] = self._slb.address_of(row["ServerId"]) or ""
        return {
            "VServerGroupId": group.id,
            "VServerGroupName": group.name,
            "LoadBalancerId": group.balancer,
            "CreateTime": group.created.strftime("%Y-%m-%dT%H:%MZ"),
            "BackendServers": members,
        }

    @reads("VServerGroupId", "BackendServers")
    @raises(*MALFORMED, *ADDING, *TRANSIENT)
    def AddVServerGroupBackendServers(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Up to 20 running servers with their ports, all of them or none; one may come in once for each port.

        Not modelled: network interfaces and container instances as servers.
        """
        group = self._groups.add(wire.required(call.params, "VServerGroupId"), backends(call.params, ports=True))
        return _shown(group)

    @reads("VServerGroupId", "BackendServers")
    @raises(*MALFORMED, *TRANSIENT)
    def RemoveVServerGroupBackendServers(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """By server and port; who is no member is silently fine."""
        group = self._groups.remove(wire.required(call.params, "VServerGroupId"), backends(call.params, ports=True))
        answer = _shown(group)
        for row in answer["BackendServers"]["BackendServer"]:
            del row["Description"]  # this answer has none
        return answer

    @reads("VServerGroupId", "VServerGroupName", "BackendServers")
    @raises(*MALFORMED, STRANGER, *TRANSIENT)
    def SetVServerGroupAttribute(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """The name, and weights and descriptions of members by server and port; the others keep theirs (assumption)."""
        given = backends(call.params, ports=True) if wire.text(call.params, "BackendServers") else []
        group = self._groups.set(
            wire.required(call.params, "VServerGroupId"),
            name=wire.text(call.params, "VServerGroupName"),
            servers=given,
        )
        return {**_shown(group), "VServerGroupName": group.name}

    @reads("VServerGroupId", "OldBackendServers", "NewBackendServers")
    @raises(*MALFORMED, *ADDING, STRANGER, *TRANSIENT)
    def ModifyVServerGroupBackendServers(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Old members for new ones in one step; 20 of each at most."""
        old = backends(call.params, "OldBackendServers", ports=True)
        new = backends(call.params, "NewBackendServers", ports=True)
        return _shown(self._groups.exchange(wire.required(call.params, "VServerGroupId"), old, new))


def _shown(group: ServerGroup) -> dict[str, Any]:
    return {"VServerGroupId": group.id, "BackendServers": rows(group.members.values())}
