"""VPCs and vSwitches: where private addresses come from, and who has them.

An address belongs to its holder until the holder gives it back, whatever state the holder is in: an instance that is
stopped, failed or cut off still has its address, and nobody else can get it.

Sources: ECS API RunInstances, DescribeVpcs, DescribeVSwitches; SDK 7.11.8.
VPCs and vSwitches come from a seed, or from the VPC API (`emulator.vpc.networks`), which lets them take their time.
Not modelled: route tables, IPv6.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from emulator.ecs.security_groups import SecurityGroup
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

RESERVED_AT_THE_END = 3
PENDING = "Pending"
AVAILABLE = "Available"

__all__ = ["About", "Network", "SecurityGroup", "VSwitch"]


@dataclass(slots=True, kw_only=True)
class About:
    """What a VPC or a vSwitch is, beside its place and its addresses."""

    name: str
    created: datetime
    description: str = ""
    status: str = AVAILABLE  # Pending while it is made; a VPC that goes is Deleting, a vSwitch that goes is Pending
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class VSwitch:
    id: str
    vpc: str
    zone: str
    cidr: IPv4Network
    gateway: str = ""
    about: About | None = None  # None: a seed's, which stands since the world began and is named like its id
    used: dict[str, str] = field(default_factory=dict)  # address -> instance or interface
    cooling: dict[str, datetime] = field(default_factory=dict)  # released address -> free again

    def reserved(self, address: str) -> bool:
        """The first and the last three of the network, and the gateway."""
        offset = int(IPv4Address(address)) - int(self.cidr.network_address)
        return offset < 1 or offset >= self.cidr.num_addresses - RESERVED_AT_THE_END or address == self.gateway

    def offers(self, address: str) -> bool:
        """Whether a resource may ever have this address. ValueError when it is no IPv4 address."""
        return IPv4Address(address) in self.cidr and not self.reserved(address)


class Network:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.created = ecs.clock.now()
        self.vpcs: dict[str, str] = {}  # id -> cidr
        self.vswitches: dict[str, VSwitch] = {}
        self.vpcs_about: dict[str, About] = {}
        self.release_delay = timedelta(0)
        """How long an address that was given back stays taken: not documented, so tests choose."""

    @property
    def security_groups(self) -> dict[str, SecurityGroup]:
        return self._ecs.security_groups.shelf.by_id

    def vswitch(self, id: str) -> VSwitch:
        found = self.vswitches.get(id)
        if found is None:
            raise ApiError("InvalidVSwitchId.NotFound", f"The vSwitch {id} does not exist.", 404)
        return found

    def ready(self, id: str) -> VSwitch:
        """One that something can be put into: not while it is made or deleted."""
        found = self.vswitch(id)
        if (status := self.about(found).status) != AVAILABLE:
            raise ApiError("IncorrectVSwitchStatus", f"The vSwitch {id} is {status}.")
        return found

    def about(self, vswitch: VSwitch) -> About:
        return vswitch.about or About(name=vswitch.id, created=self.created)

    def about_vpc(self, id: str) -> About:
        return self.vpcs_about.get(id) or About(name=id, created=self.created)

    def check_security_groups(self, ids: tuple[str, ...], vpc: str) -> None:
        for group_id in ids:
            group = self.security_groups.get(group_id)
            if group is None:
                raise ApiError("InvalidSecurityGroupId.NotFound", f"The security group {group_id} does not exist.", 400)
            if group.vpc != vpc:
                raise ApiError("InvalidParameter.Mismatch", f"{group_id} and the vSwitch are not in the same VPC.", 400)

    # Addresses ------------------------------------------------------------------------------------------------

    def is_free(self, vswitch: VSwitch, address: str) -> bool:
        return address not in vswitch.used and not self.is_cooling(vswitch, address) and not vswitch.reserved(address)

    def is_cooling(self, vswitch: VSwitch, address: str) -> bool:
        """Nobody has it any more, but it cannot be had yet."""
        until = vswitch.cooling.get(address)
        return until is not None and until > self._ecs.clock.now()

    def free_addresses(self, vswitch: VSwitch) -> int:
        """`AvailableIpAddressCount`."""
        never = 1 + RESERVED_AT_THE_END
        if vswitch.gateway and IPv4Address(vswitch.gateway) in vswitch.cidr:
            offset = int(IPv4Address(vswitch.gateway)) - int(vswitch.cidr.network_address)
            never += 1 <= offset < vswitch.cidr.num_addresses - RESERVED_AT_THE_END
        cooling = sum(self.is_cooling(vswitch, address) for address in vswitch.cooling)
        return max(0, vswitch.cidr.num_addresses - never - len(vswitch.used) - cooling)

    def take(self, vswitch: VSwitch, holder: str, wanted: str | None) -> str:
        """`wanted`, or a free address. Raises the codes of RunInstances."""
        address = self.check_address(vswitch, wanted) if wanted is not None else self.any_free(vswitch)
        self.give(vswitch, holder, address)
        return address

    def give(self, vswitch: VSwitch, holder: str, address: str) -> None:
        """The address is known to be free."""
        vswitch.used[address] = holder
        vswitch.cooling.pop(address, None)

    def check_address(self, vswitch: VSwitch, wanted: str) -> str:
        """`wanted`, if an instance of this vSwitch could have it now."""
        try:
            offered = vswitch.offers(wanted)
        except ValueError:
            raise ApiError("InvalidPrivateIpAddress.Malformed", f"{wanted!r} is not an IPv4 address.") from None
        if not offered:
            raise ApiError("InvalidPrivateIpAddress", f"{wanted} is not a usable address of {vswitch.cidr}.")
        if not self.is_free(vswitch, wanted):
            raise ApiError("InvalidPrivateIpAddress.Duplicated", f"{wanted} is in use.")
        return wanted

    def any_free(self, vswitch: VSwitch) -> str:
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

    def holder(self, address: str) -> str | None:
        """The instance or interface that has this private address."""
        return next((v.used[address] for v in self.vswitches.values() if address in v.used), None)
