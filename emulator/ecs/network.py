"""VPCs, vSwitches and security groups, as far as instances need them: which private addresses are free.

Not modelled: rules of security groups, route tables, secondary interfaces.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

RESERVED_AT_THE_END = 3


@dataclass(slots=True, kw_only=True)
class VSwitch:
    id: str
    vpc: str
    zone: str
    cidr: IPv4Network
    gateway: str = ""
    used: dict[str, str] = field(default_factory=dict)  # address -> instance
    cooling: dict[str, datetime] = field(default_factory=dict)  # released address -> free again

    def reserved(self, address: str) -> bool:
        """The first and the last three of the network, and the gateway."""
        offset = int(IPv4Address(address)) - int(self.cidr.network_address)
        return offset < 1 or offset >= self.cidr.num_addresses - RESERVED_AT_THE_END or address == self.gateway


@dataclass(slots=True, kw_only=True)
class SecurityGroup:
    id: str
    vpc: str


class Network:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.vpcs: dict[str, str] = {}  # id -> cidr
        self.vswitches: dict[str, VSwitch] = {}
        self.security_groups: dict[str, SecurityGroup] = {}
        self.release_delay = timedelta(0)
        """How long a deleted instance's address stays taken: not documented, so tests choose."""

    def vswitch(self, id: str) -> VSwitch:
        found = self.vswitches.get(id)
        if found is None:
            raise ApiError("InvalidVSwitchId.NotFound", f"The vSwitch {id} does not exist.", 404)
        return found

    def check_security_groups(self, ids: tuple[str, ...], vpc: str) -> None:
        for group_id in ids:
            group = self.security_groups.get(group_id)
            if group is None:
                raise ApiError("InvalidSecurityGroupId.NotFound", f"The security group {group_id} does not exist.", 400)
            if group.vpc != vpc:
                raise ApiError("InvalidParameter.Mismatch", f"{group_id} and the vSwitch are not in the same VPC.", 400)

    def is_free(self, vswitch: VSwitch, address: str) -> bool:
        until = vswitch.cooling.get(address)
        if until is not None and until > self._ecs.clock.now():
            return False
        return address not in vswitch.used and not vswitch.reserved(address)

    def take(self, vswitch: VSwitch, instance: str, wanted: str | None) -> str:
        """`wanted`, or a free address. Raises the codes of RunInstances."""
        address = self.check_address(vswitch, wanted) if wanted is not None else self._any(vswitch)
        vswitch.used[address] = instance
        vswitch.cooling.pop(address, None)
        return address

    def check_address(self, vswitch: VSwitch, wanted: str) -> str:
        """`wanted`, if an instance of this vSwitch could have it now."""
        try:
            address = IPv4Address(wanted)
        except ValueError:
            raise ApiError("InvalidPrivateIpAddress.Malformed", f"{wanted!r} is not an IPv4 address.") from None
        if address not in vswitch.cidr or vswitch.reserved(wanted):
            raise ApiError("InvalidPrivateIpAddress", f"{wanted} is not a usable address of {vswitch.cidr}.")
        if not self.is_free(vswitch, wanted):
            raise ApiError("InvalidPrivateIpAddress.Duplicated", f"{wanted} is in use.")
        return wanted

    def _any(self, vswitch: VSwitch) -> str:
        size = vswitch.cidr.num_addresses
        start = self._ecs.chance.below(size)
        for step in range(size):
            address = str(vswitch.cidr.network_address + (start + step) % size)
            if self.is_free(vswitch, address):
                return address
        raise ApiError("QuotaExceeded.PrivateIpAddress", f"{vswitch.id} has no free address.", 403)

    def release(self, vswitch_id: str, address: str) -> None:
        vswitch = self.vswitches[vswitch_id]
        vswitch.used.pop(address, None)
        if self.release_delay:
            vswitch.cooling[address] = self._ecs.clock.now() + self.release_delay
