"""VPCs and vSwitches made and deleted: both take their time, and both must be empty before they go.

`Pending` -> `Available` -> (`Deleting` for a VPC, `Pending` for a vSwitch) -> gone. While one vSwitch of a VPC is
Pending, the VPC takes no other one and loses none: who makes several waits in between.

Sources: VPC API 2016-04-28 CreateVpc, DeleteVpc, CreateVSwitch, DeleteVSwitch (read 2021-2026, SDK 7.2.2).
Assumptions: how long each step takes; ClientToken's codes; masks of 8-28 for a VPC (the SDK recommends 16-28, older
pages and much Terraform have 10.0.0.0/8), 172.16.0.0/12 where none is given (older pages); what is wrong with a network
beyond the documented words is InvalidParameter; a private zone that is bound to a VPC does not keep it.
Not modelled: IPv6, IPAM, secondary and user CIDR blocks, route entries, default VPCs, resource groups.
"""

from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from emulator.ecs.network import AVAILABLE, PENDING, About, Network, VSwitch
from emulator.ecs.rules import Tokens, check_tags
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.realm import Realm

DELETING: Final = "Deleting"
CHANGE_SECONDS: Final = (2.0, 5.0)
DEFAULT_CIDR: Final = "172.16.0.0/12"
VPC_MASKS: Final = (8, 28)
VSWITCH_MASKS: Final = (16, 29)
FORBIDDEN: Final = tuple(
    IPv4Network(one) for one in ("100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "0.0.0.0/8")
)
"""Documented, but for the last: no address in it is anybody's."""
VPCS: Final = 10  # of an account in a region; adjustable
VSWITCHES: Final = 150  # of a VPC


class Networks:
    def __init__(self, realm: "Realm") -> None:
        self._realm = realm
        self._tokens = Tokens(realm.clock)
        self.vpcs_at_most = VPCS
        self.vswitches_at_most = VSWITCHES

    @property
    def _network(self) -> Network:
        return self._realm.ecs.network

    # VPCs -----------------------------------------------------------------------------------------------------

    def create_vpc(
        self, *, cidr: str, name: str, description: str, tags: dict[str, str], token: str | None, dry_run: bool
    ) -> str:
        def make() -> str:
            block = _network_of(cidr or DEFAULT_CIDR, "InvalidParameter")
            if not VPC_MASKS[0] <= block.prefixlen <= VPC_MASKS[1] or any(block.overlaps(one) for one in FORBIDDEN):
                raise ApiError("InvalidParameter", f"Specified CIDR block is not valid: {cidr}.")
            _check_words(name, description, "Vpc")
            check_tags(tags)
            if len(self._network.vpcs) >= self.vpcs_at_most:
                raise ApiError("QuotaExceeded.Vpc", f"VPC quota exceeded: there are {self.vpcs_at_most}.")
            _check_dry_run(dry_run)
            made = self._realm.chance.id("vpc")
            about = self._about(name, description, tags)
            self._network.vpcs[made] = str(block)
            self._network.vpcs_about[made] = about
            self._later(f"vpc {made} is made", lambda: _settle(about))
            return made

        fingerprint = (cidr, name, description, tuple(sorted(tags.items())))
        made: str = self._tokens.once("CreateVpc", token, fingerprint, make)
        return made

    def modify_vpc(self, id: str, *, name: str | None, description: str | None) -> None:
        about = self._changeable_vpc(id)
        _check_words(name, description, "Vpc")
        _change(about, name, description)

    def delete_vpc(self, id: str, *, dry_run: bool = False, token: str | None = None) -> None:
        """Refused while anything is in it: vSwitches, then security groups, as the documentation lists them."""
        self._tokens.once("DeleteVpc", token, id, lambda: self._delete_vpc(id, dry_run))

    def _delete_vpc(self, id: str, dry_run: bool) -> None:
        network = self._network
        about = self._changeable_vpc(id)
        if about.status != AVAILABLE:
            raise ApiError("IncorrectVpcStatus", f"The VPC {id} is {about.status}.")
        if any(vswitch.vpc == id for vswitch in network.vswitches.values()):
            raise ApiError("DependencyViolation.VSwitch", f"The VPC {id} still has vSwitches.")
        if any(group.vpc == id for group in network.security_groups.values()):
            raise ApiError("DependencyViolation.SecurityGroup", f"The VPC {id} still has security groups.")
        _check_dry_run(dry_run)
        about.status = DELETING

        def gone() -> None:
            del network.vpcs[id]
            network.vpcs_about.pop(id, None)

        self._later(f"vpc {id} is deleted", gone)

    def _changeable_vpc(self, id: str) -> About:
        """What the VPC says of itself, kept from now on (a seed's says nothing until then)."""
        if id not in self._network.vpcs:
            raise ApiError("InvalidVpcId.NotFound", f"Specified VPC does not exist: {id}.", 404)
        return self._network.vpcs_about.setdefault(id, self._network.about_vpc(id))

    # vSwitches ------------------------------------------------------------------------------------------------

    def create_vswitch(
        self, *, vpc: str, zone: str, cidr: str, name: str, description: str, tags: dict[str, str], token: str | None
    ) -> str:
        def make() -> str:
            network = self._network
            if vpc not in network.vpcs:
                raise ApiError("InvalidVpcId.NotFound", f"Specified VPC does not exist: {vpc}.", 404)
            if zone not in self._realm.ecs.zones:
                raise ApiError("InvalidZoneId.NotFound", f"Specified zone does not exist: {zone}.", 404)
            if (status := network.about_vpc(vpc).status) != AVAILABLE:
                raise ApiError("IncorrectVpcStatus", f"The VPC {vpc} is {status}.")
            block = self._block(vpc, cidr)
            _check_words(name, description, "VSwitch")
            check_tags(tags)
            self._check_quiet(vpc)
            if sum(one.vpc == vpc for one in network.vswitches.values()) >= self.vswitches_at_most:
                raise ApiError("QuotaExceeded.VSwitch", f"{vpc} has {self.vswitches_at_most} vSwitches.")
            about = self._about(name, description, tags)
            made = VSwitch(id=self._realm.chance.id("vsw"), vpc=vpc, zone=zone, cidr=block, about=about)
            network.vswitches[made.id] = made
            self._later(f"vswitch {made.id} is made", lambda: _settle(about))
            return made.id

        fingerprint = (vpc, zone, cidr, name, description, tuple(sorted(tags.items())))
        made: str = self._tokens.once("CreateVSwitch", token, fingerprint, make)
        return made

    def _block(self, vpc: str, cidr: str) -> IPv4Network:
        block = _network_of(cidr, "InvalidCidrBlock.Malformed")
        if not VSWITCH_MASKS[0] <= block.prefixlen <= VSWITCH_MASKS[1]:
            raise ApiError("InvalidCirdrBlock.MaskLength", f"A vSwitch has a mask of 16-29, not {cidr}.")  # (sic)
        if not block.subnet_of(IPv4Network(self._network.vpcs[vpc], strict=False)):
            raise ApiError("InvalidParameter", f"Specified CIDR block is not valid in VPC: {cidr}.")
        for other in self._network.vswitches.values():
            if other.vpc == vpc and other.cidr.overlaps(block):
                raise ApiError("InvalidCidrBlock.Overlapped", f"{cidr} overlaps {other.cidr} of {other.id}.")
        return block

    def _check_quiet(self, vpc: str) -> None:
        for other in self._network.vswitches.values():
            if other.vpc == vpc and self._network.about(other).status == PENDING:
                raise ApiError("IncorrectVSwitchStatus", f"{other.id} of the same VPC is being made or deleted.")

    def modify_vswitch(self, id: str, *, name: str | None, description: str | None) -> None:
        vswitch = self._network.vswitch(id)
        _check_words(name, description, "VSwitch")
        vswitch.about = self._network.about(vswitch)
        _change(vswitch.about, name, description)

    def delete_vswitch(self, id: str, *, dry_run: bool) -> None:
        """Refused while anything has an address of it."""
        network = self._network
        vswitch = network.vswitch(id)
        self._check_quiet(vswitch.vpc)  # itself included
        holders = [*vswitch.used.values(), *self._balancers_in(id)]
        if holders:
            raise ApiError("DependencyViolation", f"Specified object has dependent resources: {holders[0]} is in {id}.")
        _check_dry_run(dry_run)
        vswitch.about = network.about(vswitch)
        vswitch.about.status = PENDING
        self._later(f"vswitch {id} is deleted", lambda: network.vswitches.pop(id))

    def _balancers_in(self, id: str) -> list[str]:
        """A seed's balancers have addresses that no vSwitch counts."""
        realm = self._realm
        return [one.id for one in realm.slb.balancers.values() if one.vswitch == id] if realm.built("slb") else []

    # Both -----------------------------------------------------------------------------------------------------

    def _about(self, name: str, description: str, tags: dict[str, str]) -> About:
        return About(name=name, description=description, created=self._realm.clock.now(), status=PENDING, tags=tags)

    def _later(self, label: str, step: Callable[[], object]) -> None:
        def due() -> None:
            step()

        self._realm.clock.call_later(timedelta(seconds=self._realm.chance.uniform(*CHANGE_SECONDS)), due, label)


def _settle(about: About) -> None:
    about.status = AVAILABLE


def _change(about: About, name: str | None, description: str | None) -> None:
    about.name = about.name if name is None else name
    about.description = about.description if description is None else description


def _network_of(cidr: str, code: str) -> IPv4Network:
    try:
        if "/" not in cidr:
            raise ValueError("no mask")
        return IPv4Network(cidr)
    except ValueError:
        raise ApiError(code, f"Specified CIDR block is not valid: {cidr!r}.") from None


def _check_words(name: str | None, description: str | None, kind: str) -> None:
    """1-128 and 1-256 characters, neither beginning like a link. The codes' spelling is the cloud's."""
    for text, most, code in (
        (name, 128, f"Invalid{kind}Name.Malformed"),
        (description, 256, f"Invalid{kind}Discription.Malformed"),
    ):
        if text and (len(text) > most or text.startswith(("http://", "https://"))):
            raise ApiError(code, f"The text {text[:80]!r} is not valid.")


def _check_dry_run(dry_run: bool) -> None:
    if dry_run:
        raise ApiError("DryRunOperation", "Request validation has been passed with DryRun flag set.")
