"""Elastic network interfaces: an instance's own, and those that can be moved from one instance to another.

`Available` -> `Attaching` -> `InUse` -> `Detaching` -> `Available`; an attachment that fails returns to `Available`.
Durations are assumptions. In a dark zone the change waits for the light (assumption).

Sources: ECS API CreateNetworkInterface, AttachNetworkInterface, DetachNetworkInterface, DeleteNetworkInterface,
AssignPrivateIpAddresses, UnassignPrivateIpAddresses (read 2021-2025, SDK 7.11.8).
Not modelled: IPv6, prefixes, trunks, RDMA, queues, traffic modes, interfaces in RunInstances beyond the primary one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from emulator.ecs.rules import check_description, check_name, check_tags
from emulator.ecs.shelf import Shelf
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.instances import Instance
    from emulator.ecs.model import Ecs
    from emulator.ecs.network import VSwitch

PRIMARY: Final = "Primary"
SECONDARY: Final = "Secondary"
AVAILABLE: Final = "Available"
ATTACHING: Final = "Attaching"
IN_USE: Final = "InUse"
DETACHING: Final = "Detaching"
DELETING: Final = "Deleting"

CHANGE_SECONDS: Final = (3.0, 8.0)
DELETING_SECONDS: Final = 2.0
UNATTACHED_ADDRESSES: Final = 32
"""Secondary addresses of an interface that no instance limits (SDK 7.11.8; ten in 2021)."""
LIMITS: Final = {"large": (3, 6), "xlarge": (4, 15), "2xlarge": (4, 15), "4xlarge": (8, 30), "8xlarge": (8, 30)}
"""By size of the instance type: interfaces, and private addresses per interface, as of the families g7, c7 and r7.
Other families differ, other sizes count as large (assumption)."""


@dataclass(slots=True, kw_only=True, eq=False)
class Interface:
    """`machine` is set on an instance's own interface, whose address, place and groups are the instance's."""

    id: str
    created: datetime
    machine: "Instance | None" = None
    own_address: str = ""
    own_vpc: str = ""
    own_vswitch: str = ""
    own_zone: str = ""
    own_groups: tuple[str, ...] = ()
    status: str = AVAILABLE
    instance_id: str = ""  # attached to, or on its way to or from
    secondary: list[str] = field(default_factory=list)
    name: str = ""
    description: str = ""
    delete_on_release: bool = True
    tags: dict[str, str] = field(default_factory=dict)
    turn: int = 0  # rises with each change, so that outdated calendar entries can be told

    @property
    def type(self) -> str:
        return SECONDARY if self.machine is None else PRIMARY

    @property
    def address(self) -> str:
        return self.own_address if self.machine is None else self.machine.private_ip

    @property
    def addresses(self) -> tuple[str, ...]:
        """The primary one first."""
        return (self.address, *self.secondary)

    @property
    def vpc_id(self) -> str:
        return self.own_vpc if self.machine is None else self.machine.vpc_id

    @property
    def vswitch_id(self) -> str:
        return self.own_vswitch if self.machine is None else self.machine.vswitch_id

    @property
    def zone(self) -> str:
        return self.own_zone if self.machine is None else self.machine.zone

    @property
    def security_group_ids(self) -> tuple[str, ...]:
        return self.own_groups if self.machine is None else self.machine.security_group_ids

    @property
    def owner(self) -> str:
        """How messages call it."""
        return self.id if self.machine is None else self.machine.id

    @property
    def mac(self) -> str:
        return "00:16:3e:" + ":".join(f"{int(part):02x}" for part in self.address.split(".")[1:])

    def belong_to(self, groups: tuple[str, ...]) -> None:
        if self.machine is None:
            self.own_groups = groups
        else:
            self.machine.security_group_ids = groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What CreateNetworkInterface is asked for."""

    vswitch_id: str
    security_group_ids: tuple[str, ...]
    address: str | None = None
    secondary: tuple[str, ...] = ()
    secondary_count: int = 0
    name: str = ""
    description: str | None = None
    delete_on_release: bool = True
    tags: tuple[tuple[str, str], ...] = ()


class Interfaces:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.shelf: Shelf[Interface] = Shelf()
        self.at_most: int | None = None
        """Of an account in a region: an adjustable quota whose size is not documented, so tests choose."""
        self._at: dict[str, list[Interface]] = {}  # by instance, its own first: fleets are listed with them
        self._listeners: list[Callable[[Interface], None]] = []

    def on_change(self, listener: "Callable[[Interface], None]") -> None:
        """`listener(interface)` after its state or addresses changed, and when it is gone (`Deleting`)."""
        self._listeners.append(listener)

    def _tell(self, interface: Interface) -> None:
        for listener in list(self._listeners):
            listener(interface)

    def find(self, id: str) -> Interface:
        interface = self.shelf.get(id)
        if interface is None:
            raise ApiError("InvalidEniId.NotFound", f"The network interface {id} does not exist.", 404)
        return interface

    def of(self, instance_id: str) -> list[Interface]:
        """Those of an instance, its own first; one on its way there or away counts."""
        return list(self._at.get(instance_id, ()))

    def _place(self, interface: Interface, instance_id: str) -> None:
        """At an instance; at none with an empty id."""
        if interface.instance_id:
            there = self._at[interface.instance_id]
            there.remove(interface)
            if not there:
                del self._at[interface.instance_id]
        interface.instance_id = instance_id
        if instance_id:
            self._at.setdefault(instance_id, []).append(interface)

    def primary(self, instance: "Instance") -> Interface:
        return self.find(primary_id(instance.id))

    def addresses_of(self, instance_id: str) -> list[str]:
        """All private addresses that reach the instance now."""
        return [one for interface in self.of(instance_id) if interface.status == IN_USE for one in interface.addresses]

    # With instances -------------------------------------------------------------------------------------------

    def instance_added(self, instance: "Instance") -> None:
        interface = Interface(
            id=primary_id(instance.id), created=instance.created, machine=instance, status=IN_USE,
            tags=dict(instance.tags),
        )  # fmt: skip
        self._place(interface, instance.id)
        self.shelf.add(interface)

    def instance_removed(self, instance: "Instance") -> None:
        """Its own interface goes with it; others stay or go by DeleteOnRelease."""
        for interface in self.of(instance.id):
            if interface.machine is not None or (interface.status == IN_USE and interface.delete_on_release):
                self._drop(interface, keep_first=interface.machine is not None)
            else:
                self._place(interface, "")
                self._move(interface, AVAILABLE)

    def moved(self, instance: "Instance") -> None:
        """Its own interface has another address now."""
        self._tell(self.primary(instance))
        self._ecs.security_groups.changed()

    # Made and deleted -----------------------------------------------------------------------------------------

    def create(self, design: Design, *, token: str | None = None) -> Interface:
        made: Interface = self._ecs.tokens.once("CreateNetworkInterface", token, design, lambda: self._create(design))
        return made

    def _create(self, design: Design) -> Interface:
        network = self._ecs.network
        vswitch = network.ready(design.vswitch_id)
        check_name(design.name or None, ApiError("InvalidParameter", f"The name {design.name!r} is not valid."))
        check_description(design.description, ApiError("InvalidParameter", "The description is not valid."))
        check_tags(dict(design.tags))
        self._check_groups(design.security_group_ids, vswitch)
        if self.at_most is not None and len(self.shelf) >= self.at_most:
            raise ApiError("MaxEniCountExceeded", f"There are {len(self.shelf)} network interfaces already.", 403)
        wanted = [*([design.address] if design.address else []), *design.secondary]
        self._check_addresses(vswitch, wanted)
        self._check_count(UNATTACHED_ADDRESSES, len(design.secondary) + design.secondary_count)
        self._check_room(vswitch, 1 + len(design.secondary) + design.secondary_count)
        interface = Interface(
            id=self._ecs.chance.id("eni"),
            created=self._ecs.clock.now(),
            own_vpc=vswitch.vpc,
            own_vswitch=vswitch.id,
            own_zone=vswitch.zone,
            own_groups=design.security_group_ids,
            name=design.name,
            description=design.description or "",
            delete_on_release=design.delete_on_release,
            tags=dict(design.tags),
        )
        for address in wanted:
            network.give(vswitch, interface.id, address)
        interface.own_address = design.address or self._draw(vswitch, interface)
        interface.secondary += design.secondary
        interface.secondary += [self._draw(vswitch, interface) for _ in range(design.secondary_count)]
        self.shelf.add(interface)
        self._ecs.security_groups.changed()
        return interface

    def _check_groups(self, ids: tuple[str, ...], vswitch: "VSwitch") -> None:
        for one in ids:
            if self._ecs.security_groups.find(one).vpc != vswitch.vpc:
                raise ApiError("InvalidOperation.VpcMismatch", f"{one} and {vswitch.id} are not in the same VPC.", 403)

    def delete(self, id: str) -> None:
        """Takes a moment, during which its addresses are still taken and it is still in its security groups."""
        interface = self.find(id)
        if interface.machine is not None:
            raise ApiError("InvalidOperation.InvalidEniType", f"{id} is the primary interface of an instance.", 403)
        self._expect(interface, AVAILABLE)
        self._move(interface, DELETING)
        self._after(interface, DELETING_SECONDS, lambda: self._drop(interface))

    def _drop(self, interface: Interface, *, keep_first: bool = False) -> None:
        """`keep_first`: the instance itself gives its own address back."""
        interface.turn += 1
        for address in interface.secondary if keep_first else interface.addresses:
            self._ecs.network.release(interface.vswitch_id, address)
        self.shelf.remove(interface)
        self._place(interface, "")
        interface.status = DELETING
        self._tell(interface)
        self._ecs.security_groups.changed()

    # Attached and detached ------------------------------------------------------------------------------------

    def attach(self, id: str, instance_id: str) -> None:
        interface, instance = self.find(id), self._instance(instance_id)
        if interface.machine is not None:
            raise ApiError("InvalidOperation.InvalidEniType", f"{id} is the primary interface of an instance.", 403)
        self._expect(interface, AVAILABLE)
        self._expect_settled(instance)
        if interface.zone != instance.zone:
            raise ApiError(
                "InvalidOperation.AvailabilityZoneMismatch", f"{id} is in {interface.zone}, not {instance.zone}.", 403
            )
        if interface.vpc_id != instance.vpc_id:
            raise ApiError("InvalidOperation.VpcMismatch", f"{id} and {instance_id} are not in the same VPC.", 403)
        most = limits(instance.instance_type)[0]
        if len(self.of(instance_id)) >= most:
            raise ApiError("EniPerInstanceLimitExceeded", f"{instance.instance_type} takes {most} interfaces.", 403)
        self._place(interface, instance_id)
        self._move(interface, ATTACHING)
        self._after(interface, self._ecs.chance.uniform(*CHANGE_SECONDS), lambda: self._move(interface, IN_USE))

    def detach(self, id: str, instance_id: str) -> None:
        """Asking again while it is under way is fine."""
        interface, instance = self.find(id), self._instance(instance_id)
        if interface.machine is not None:
            raise ApiError("InvalidOperation.DetachPrimaryEniNotAllowed", f"{id} is the primary interface.")
        self._expect(interface, IN_USE, DETACHING)
        if interface.instance_id != instance_id:
            # assumption: the documentation names no code for this
            raise ApiError("InvalidParameter", f"{id} is attached to {interface.instance_id}, not {instance_id}.")
        if interface.status == DETACHING:
            return
        self._expect_settled(instance)

        def detached() -> None:
            self._place(interface, "")
            self._move(interface, AVAILABLE)

        self._move(interface, DETACHING)
        self._after(interface, self._ecs.chance.uniform(*CHANGE_SECONDS), detached)

    def _instance(self, id: str) -> "Instance":
        instance = self._ecs.shelf.get(id)
        if instance is None:
            raise ApiError("InvalidEcsId.NotFound", f"The instance {id} does not exist.", 404)
        return instance

    def _expect(self, interface: Interface, *states: str) -> None:
        if interface.status not in states:
            raise ApiError(
                "InvalidOperation.InvalidEniState", f"{interface.id} is {interface.status}, not {' or '.join(states)}."
            )

    def _expect_settled(self, instance: "Instance") -> None:
        if instance.state not in ("Running", "Stopped"):
            raise ApiError("InvalidOperation.InvalidEcsState", f"{instance.id} is {instance.state}.")

    # Addresses ------------------------------------------------------------------------------------------------

    def assign(self, id: str, addresses: Sequence[str], count: int, *, token: str | None = None) -> list[str]:
        """Secondary addresses: these, or so many. Returns what was assigned."""
        made: list[str] = self._ecs.tokens.once(
            "AssignPrivateIpAddresses", token, (id, tuple(addresses), count), lambda: self._assign(id, addresses, count)
        )
        return made

    def _assign(self, id: str, addresses: Sequence[str], count: int) -> list[str]:
        interface = self.find(id)
        self._expect(interface, AVAILABLE, IN_USE)
        vswitch = self._ecs.network.vswitch(interface.vswitch_id)
        most = UNATTACHED_ADDRESSES
        if interface.instance_id:
            instance = self._ecs.find_instance(interface.instance_id)
            if interface.machine is not None:
                self._expect_settled(instance)
            most = limits(instance.instance_type)[1] - 1
        self._check_addresses(vswitch, addresses)
        self._check_count(most, len(interface.secondary) + len(addresses) + count)
        self._check_room(vswitch, len(addresses) + count)
        for address in addresses:
            self._ecs.network.give(vswitch, interface.id, address)
        assigned = [*addresses, *(self._draw(vswitch, interface) for _ in range(count))]
        interface.secondary += assigned
        self._tell(interface)
        return assigned

    def unassign(self, id: str, addresses: Sequence[str]) -> None:
        """All of them or none. The first address of an interface cannot be taken from it."""
        interface = self.find(id)
        self._expect(interface, AVAILABLE, IN_USE)
        if interface.machine is not None:
            self._expect_settled(interface.machine)
        if len(set(addresses)) < len(addresses):
            raise ApiError("InvalidIp.IpRepeated", "An address is given twice.", 403)
        for address in addresses:
            if address not in interface.secondary:
                raise ApiError("InvalidIp.IpUnassigned", f"{address} is not a secondary address of {id}.", 403)
        for address in addresses:
            interface.secondary.remove(address)
            self._ecs.network.release(interface.vswitch_id, address)
        self._tell(interface)

    def _check_addresses(self, vswitch: "VSwitch", addresses: Sequence[str]) -> None:
        """What another has is `InvalidIp.IpAssigned`; what nobody has but nobody can get yet is `Duplicated`
        (assumption: both codes are documented, without a word on when which)."""
        if len(set(addresses)) < len(addresses):
            raise ApiError("InvalidIp.IpRepeated", "An address is given twice.", 403)
        for address in addresses:
            try:
                IPv4Address(address)
            except ValueError:
                raise ApiError("InvalidIp.Address", f"{address!r} is not an IPv4 address.", 403) from None
            if not vswitch.offers(address):
                raise ApiError("InvalidVSwitchId.IpInvalid", f"{address} is not a usable address of {vswitch.id}.", 403)
            if address in vswitch.used:
                raise ApiError("InvalidIp.IpAssigned", f"{address} is in use.", 403)
            if self._ecs.network.is_cooling(vswitch, address):
                raise ApiError("InvalidPrivateIpAddress.Duplicated", f"{address} was released a moment ago.")

    def _check_count(self, most: int, wanted: int) -> None:
        if wanted > most:
            raise ApiError(
                "InvalidOperation.Ipv4CountExceeded", f"At most {most} secondary addresses, not {wanted}.", 403
            )

    def _check_room(self, vswitch: "VSwitch", wanted: int) -> None:
        """All or nothing: look before anything is taken."""
        free = self._ecs.network.free_addresses(vswitch)
        if free < wanted:
            raise ApiError("InvalidVSwitchId.IpNotEnough", f"{vswitch.id} has {free} free addresses.", 403)

    def _draw(self, vswitch: "VSwitch", interface: Interface) -> str:
        address = self._ecs.network.any_free(vswitch)
        self._ecs.network.give(vswitch, interface.id, address)
        return address

    # Steps ----------------------------------------------------------------------------------------------------

    def _move(self, interface: Interface, status: str) -> None:
        interface.status = status
        interface.turn += 1
        self._tell(interface)
        self._ecs.security_groups.changed()

    def _after(self, interface: Interface, seconds: float, step: Callable[[], None]) -> None:
        turn = interface.turn

        def due() -> None:
            if interface.turn != turn:
                return
            if self._ecs.is_dark(interface.zone):
                self._ecs.when_lit(interface.zone, due)
                return
            step()

        self._ecs.clock.call_later(timedelta(seconds=seconds), due, f"interface {interface.id}")


def limits(instance_type: str) -> tuple[int, int]:
    """How many interfaces, and how many private addresses on each."""
    return LIMITS.get(instance_type.rpartition(".")[2], LIMITS["large"])


def primary_id(instance_id: str) -> str:
    return "eni-" + instance_id.removeprefix("i-")
