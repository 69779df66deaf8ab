"""Elastic IP addresses of one account in one region.

`Available` -> `Associating` -> `InUse` -> `Unassociating` -> `Available`, on the clock; while it is on its way only
queries are allowed. Moving one address from machine to machine therefore always has a gap without it. Durations are
assumptions. The addresses are examples: nobody is reached by them, the traffic of guests goes by private addresses.

Sources: VPC API 2016-04-28 AllocateEipAddress, AssociateEipAddress, UnassociateEipAddress, DescribeEipAddresses,
ReleaseEipAddress (read 2025, SDK 7.2.2).
Not modelled: NAT gateways, HaVips, IP mappings, shared bandwidth, subscription, segments, contiguous groups.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from emulator.ecs.rules import Tokens
from emulator.ecs.shelf import Shelf
from emulator.vpc.networks import Networks
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.instances import Instance
    from emulator.ecs.interfaces import Interface
    from emulator.ecs.model import Ecs
    from emulator.realm import Realm

AVAILABLE: Final = "Available"
ASSOCIATING: Final = "Associating"
IN_USE: Final = "InUse"
UNASSOCIATING: Final = "Unassociating"

INSTANCE: Final = "EcsInstance"
INTERFACE: Final = "NetworkInterface"
BALANCER: Final = "SlbInstance"
ELSEWHERE: Final = ("Nat", "HaVip", "IpAddress")
MODES: Final = ("NAT", "MULTI_BINDED", "BINDED")
CHANGE_SECONDS: Final = (3.0, 8.0)
BANDWIDTH: Final = {"PayByTraffic": 200, "PayByBandwidth": 500}
"""Mbit/s at most, by the way of charging (assumption; the least is 1)."""
DEFAULT_BANDWIDTH: Final = 5
QUOTA: Final = 20


@dataclass(slots=True, kw_only=True, eq=False)
class Eip:
    id: str
    address: str
    bandwidth: int
    charge_type: str
    allocated: datetime
    name: str = ""
    description: str = ""
    isp: str = "BGP"
    status: str = AVAILABLE
    instance_id: str = ""  # of a machine, an interface or a load balancer; stays until it reads Available again
    instance_type: str = ""
    private_address: str = ""
    vpc_id: str = ""
    mode: str = "NAT"
    financial_lock: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    turn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What AssociateEipAddress is asked for."""

    instance_id: str
    instance_type: str = INSTANCE
    private_address: str = ""
    mode: str = "NAT"


class Vpc:
    def __init__(self, realm: "Realm") -> None:
        self.realm = realm
        self._clock = realm.clock
        self._chance = realm.chance
        self.networks = Networks(realm)
        self.tokens = Tokens(realm.clock)
        self.eips: Shelf[Eip] = Shelf()
        self.quota = QUOTA
        """How many EIPs the account may have here: adjustable."""
        realm.ecs.on_instance(self._instance_changed)
        realm.ecs.interfaces.on_change(self._interface_changed)

    @property
    def _ecs(self) -> "Ecs":
        return self.realm.ecs

    def find(self, id: str) -> Eip:
        eip = self.eips.get(id)
        if eip is None:
            raise ApiError("InvalidAllocationId.NotFound", f"The EIP {id} does not exist.", 404)
        return eip

    def eip_of(self, instance_id: str) -> Eip | None:
        """The one that an instance (or a balancer) has; one on its way to it does not count yet."""
        return next((e for e in self._at(instance_id) if e.status in (IN_USE, UNASSOCIATING)), None)

    def eip_at(self, interface: "Interface", address: str) -> Eip | None:
        """The one that is bound to this address of this interface."""
        if interface.machine is not None and address == interface.address:
            return self.eip_of(interface.machine.id)
        return next(
            (e for e in self._at(interface.id) if e.private_address == address and e.status in (IN_USE, UNASSOCIATING)),
            None,
        )

    def is_bound(self, instance_id: str) -> bool:
        """Also one that is on its way there."""
        return bool(self._at(instance_id))

    def _at(self, instance_id: str) -> list[Eip]:
        return [eip for eip in self.eips if eip.instance_id == instance_id]

    # Had and given back ---------------------------------------------------------------------------------------

    def allocate(
        self, *, bandwidth: int, charge_type: str, name: str, isp: str, tags: dict[str, str], token: str | None
    ) -> Eip:
        def make() -> Eip:
            self._check_bandwidth(bandwidth, charge_type)
            if len(self.eips) >= self.quota:
                raise ApiError("QuotaExceeded.Eip", f"There are {self.quota} EIPs already.")
            eip = Eip(
                id=self._chance.id("eip"),
                address=self._draw(),
                bandwidth=bandwidth,
                charge_type=charge_type,
                allocated=self._clock.now(),
                name=name,
                isp=isp,
                tags=tags,
            )
            self.eips.add(eip)
            return eip

        fingerprint = (bandwidth, charge_type, name, isp, tuple(sorted(tags.items())))
        made: Eip = self.tokens.once("AllocateEipAddress", token, fingerprint, make)
        return made

    def _draw(self) -> str:
        """From 198.51.100.0/24 and 192.0.2.0/24, which are kept for examples: unique in the whole cloud."""
        taken = {eip.address for realm in self.realm.cloud.realms if realm.built("vpc") for eip in realm.vpc.eips}
        free = [
            address
            for network in ("198.51.100", "192.0.2")
            for last in range(1, 255)
            if (address := f"{network}.{last}") not in taken
        ]
        if not free:
            raise ApiError("ReserveIpFail", "The emulator has no more example addresses.")
        return free[self._chance.below(len(free))]

    def modify(self, id: str, *, bandwidth: int | None, name: str | None, description: str | None) -> None:
        eip = self.find(id)
        self._check_lock(eip)
        if bandwidth is not None:
            self._check_bandwidth(bandwidth, eip.charge_type)
            eip.bandwidth = bandwidth
        eip.name = eip.name if name is None else name
        eip.description = eip.description if description is None else description

    def release(self, id: str) -> None:
        eip = self.find(id)
        self._check_lock(eip)
        self._expect(eip, AVAILABLE)
        self.eips.remove(eip)

    def _check_bandwidth(self, bandwidth: int, charge_type: str) -> None:
        if charge_type not in BANDWIDTH:
            raise ApiError("InvalidParameter", f"InternetChargeType is one of {', '.join(BANDWIDTH)}.")
        if not 1 <= bandwidth <= BANDWIDTH[charge_type]:
            raise ApiError("InvalidParameter", f"Bandwidth is 1-{BANDWIDTH[charge_type]}, not {bandwidth}.")

    def _check_lock(self, eip: Eip) -> None:
        if eip.financial_lock:
            raise ApiError("Forbidden.FinancialLocked", f"{eip.id} is locked: the account is in arrears.")

    def _expect(self, eip: Eip, status: str) -> None:
        if eip.status != status:
            raise ApiError("IncorrectEipStatus", f"{eip.id} is {eip.status}, not {status}.")

    # Bound and unbound ----------------------------------------------------------------------------------------

    def associate(self, id: str, target: Target, *, token: str | None = None) -> None:
        self.tokens.once("AssociateEipAddress", token, (id, target), lambda: self._associate(id, target))

    def _associate(self, id: str, target: Target) -> None:
        eip = self.find(id)
        self._check_lock(eip)
        if target.mode not in MODES:
            raise ApiError("InvalidParameter", f"Mode is one of {', '.join(MODES)}.")
        self._expect(eip, AVAILABLE)
        match target.instance_type:
            case "EcsInstance":
                address, vpc = self._to_instance(target)
            case "NetworkInterface":
                address, vpc = self._to_interface(target)
            case "SlbInstance":
                address, vpc = self._to_balancer(target)
            case kind if kind in ELSEWHERE:
                raise ApiError("UnsupportedParameter", f"The emulator does not model InstanceType={kind}.")
            case kind:
                raise ApiError("InvalidInstanceType.ValueNotSupported", f"InstanceType {kind!r} is not supported.")
        self._check_no_other(target, address)
        eip.instance_id, eip.instance_type, eip.mode = target.instance_id, target.instance_type, target.mode
        eip.private_address, eip.vpc_id = address, vpc
        self._move(eip, ASSOCIATING)
        self._after(eip, lambda: self._move(eip, IN_USE))

    def _to_instance(self, target: Target) -> tuple[str, str]:
        instance = self._instance(target.instance_id)
        self._expect_settled(instance)
        if instance.public_ip or instance.loses_public_ip:
            raise ApiError("EIP_CAN_NOT_ASSOCIATE_WITH_PUBLIC_IP", f"{instance.id} has a static public address.")
        if instance.bandwidth_out > 0:
            raise ApiError("InvalidStatus.InstanceHasBandWidth", f"{instance.id} was bought with public bandwidth.")
        return instance.private_ip, instance.vpc_id

    def _instance(self, id: str) -> "Instance":
        instance = self._ecs.shelf.get(id)
        if instance is not None:
            return instance
        for realm in self.realm.cloud.realms:
            if realm.account == self.realm.account and realm.built("ecs") and id in realm.ecs.shelf:
                raise ApiError("InvalidParameter.Mismatch", f"{id} is in {realm.region}, not {self.realm.region}.")
        raise ApiError("InvalidInstanId.NotFound", f"The instance {id} does not exist.", 404)

    def _expect_settled(self, instance: "Instance") -> None:
        if instance.state not in ("Running", "Stopped"):
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}.")

    def _to_interface(self, target: Target) -> tuple[str, str]:
        interface = self._ecs.interfaces.shelf.get(target.instance_id)
        if interface is None:
            raise ApiError("InvalidInstanId.NotFound", f"The interface {target.instance_id} does not exist.", 404)
        if interface.machine is not None:
            raise ApiError("OperationDenied", f"{interface.id} is the primary interface of {interface.machine.id}.")
        if interface.status not in ("Available", "InUse"):
            raise ApiError("InvalidStatus.EniStatusNotSupport", f"{interface.id} is {interface.status}.")
        address = target.private_address or interface.address
        if address not in interface.addresses:
            raise ApiError("InvalidParameter", f"{interface.id} does not have the address {address}.")
        return address, interface.vpc_id

    def _to_balancer(self, target: Target) -> tuple[str, str]:
        balancer = self.realm.slb.balancers.get(target.instance_id)
        if balancer is None:
            raise ApiError("InvalidInstanId.NotFound", f"The load balancer {target.instance_id} does not exist.", 404)
        if balancer.status != "active":
            raise ApiError("IncorrectInstanceStatus", f"{balancer.id} is {balancer.status}.")
        return balancer.address, balancer.vpc

    def _check_no_other(self, target: Target, address: str) -> None:
        for other in self._at(target.instance_id):
            if target.instance_type == INTERFACE and other.private_address != address:
                continue  # one for each address of an interface
            if other.status in (ASSOCIATING, UNASSOCIATING):  # which code it is then is an assumption
                raise ApiError("TaskConflict", f"{other.id} is {other.status} at {target.instance_id}.")
            raise ApiError("InvalidAssociation.Duplicated", f"{target.instance_id} has {other.id} already.")

    def unassociate(
        self, id: str, *, instance_id: str, instance_type: str, private_address: str, token: str | None = None
    ) -> None:
        self.tokens.once(
            "UnassociateEipAddress",
            token,
            (id, instance_id, instance_type, private_address),
            lambda: self._unassociate(id, instance_id, instance_type, private_address),
        )

    def _unassociate(self, id: str, instance_id: str, instance_type: str, private_address: str) -> None:
        eip = self.find(id)
        self._expect(eip, IN_USE)
        named = (
            (instance_id, eip.instance_id), (instance_type, eip.instance_type), (private_address, eip.private_address)
        )  # fmt: skip
        if any(wanted and wanted != is_ for wanted, is_ in named):
            # assumption: the documentation does not say which code this is
            raise ApiError("InvalidBindingStatus", f"{id} is bound to {eip.instance_type} {eip.instance_id}.")
        if eip.instance_type == INSTANCE:
            self._expect_settled(self._instance(eip.instance_id))
        self._move(eip, UNASSOCIATING)
        self._after(eip, lambda: self._unbind(eip))

    # What happens to its target -------------------------------------------------------------------------------

    def _instance_changed(self, instance: "Instance", _: str, new: str) -> None:
        if new == "Deleted":  # the address survives the machine
            for eip in self._at(instance.id):
                self._unbind(eip)

    def _interface_changed(self, interface: "Interface") -> None:
        for eip in self._at(interface.id):
            if interface.status == "Deleting" or eip.private_address not in interface.addresses:
                self._unbind(eip)
        if interface.machine is not None:
            for eip in self._at(interface.machine.id):
                eip.private_address, eip.vpc_id = interface.address, interface.vpc_id

    def _unbind(self, eip: Eip) -> None:
        eip.instance_id = eip.instance_type = eip.private_address = eip.vpc_id = ""
        eip.mode = "NAT"
        self._move(eip, AVAILABLE)

    def _move(self, eip: Eip, status: str) -> None:
        eip.status = status
        eip.turn += 1

    def _after(self, eip: Eip, step: Callable[[], None]) -> None:
        turn = eip.turn

        def due() -> None:
            if eip.turn == turn:
                step()

        self._clock.call_later(timedelta(seconds=self._chance.uniform(*CHANGE_SECONDS)), due, f"eip {eip.id}")
