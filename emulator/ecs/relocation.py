"""ModifyInstanceVpcAttribute: a stopped instance gets another private address, in its vSwitch or another of its zone.

The old address is free from that moment (or after `network.release_delay`): this is how the address of a machine that
is kept for inspection can be given to its replacement. A machine that does not read Stopped keeps it. Between two
changes the instance must have been started.

Source: ECS API ModifyInstanceVpcAttribute (read 2025).
Not modelled: the checks on products that do not exist here (HaVip, GA, custom routes, shared VPCs).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.instances import Instance
    from emulator.ecs.model import Ecs
    from emulator.ecs.network import VSwitch


class Relocation:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self._since_start: set[str] = set()  # instances that were moved and have not been started yet
        ecs.on_instance(self._instance_changed)

    def _instance_changed(self, instance: "Instance", _: str, new: str) -> None:
        if new in ("Running", "Deleted"):
            self._since_start.discard(instance.id)

    def move(
        self, instance_id: str, vswitch_id: str, *, address: str | None, vpc_id: str | None, groups: Sequence[str]
    ) -> None:
        ecs = self._ecs
        instance = ecs.find_instance(instance_id)
        if instance.state != "Stopped":
            raise ApiError("IncorrectInstanceStatus", f"{instance_id} is {instance.state}, not Stopped.")
        if instance_id in self._since_start:
            raise ApiError("InvalidPrivateIp.Changing", f"{instance_id} was moved before; start it first.")
        vswitch = self._vswitch(instance, vswitch_id, vpc_id)
        self._check_vpc(instance, vswitch, vpc_id, groups)
        if ecs.interfaces.primary(instance).secondary:
            raise ApiError("PrimaryEniHasSubIp", f"{instance_id} has secondary private addresses.")
        wanted = self._address(instance, vswitch, address)
        ecs.network.release(instance.vswitch_id, instance.private_ip)
        ecs.network.give(vswitch, instance.id, wanted)
        instance.private_ip, instance.vswitch_id, instance.vpc_id = wanted, vswitch.id, vswitch.vpc
        if groups:
            instance.security_group_ids = tuple(groups)
        self._since_start.add(instance_id)
        ecs.interfaces.moved(instance)

    def _vswitch(self, instance: "Instance", id: str, vpc_id: str | None) -> "VSwitch":
        vswitch = self._ecs.network.ready(id)
        if vswitch.zone != instance.zone:
            raise ApiError("InvalidVSwitchId.Mismatch", f"{id} is in {vswitch.zone}, not {instance.zone}.")
        if vpc_id is None and vswitch.vpc != instance.vpc_id:
            raise ApiError("InvalidVSwitchId.NotFound", f"The VPC {instance.vpc_id} has no vSwitch {id}.", 404)
        if vpc_id is not None and vswitch.vpc != vpc_id:
            raise ApiError("InvalidVSwitch.NotBelongToVpc", f"The VPC {vpc_id} has no vSwitch {id}.", 404)
        return vswitch

    def _check_vpc(self, instance: "Instance", vswitch: "VSwitch", vpc_id: str | None, groups: Sequence[str]) -> None:
        ecs = self._ecs
        if vpc_id is None:
            if groups:
                raise ApiError("InvalidParameter.MustBeEmpty", "SecurityGroupId.N goes with VpcId only.", 404)
            return
        if vpc_id == instance.vpc_id:
            raise ApiError("InvalidParameter.AlreadyInTargetVpc", f"{instance.id} is in {vpc_id} already.", 404)
        if len(set(groups)) < len(groups):
            raise ApiError("InvalidParameter.SecurityGroupIdRepeated", "A security group is given twice.", 404)
        known = [ecs.security_groups.shelf.get(one) for one in groups]
        if not known or None in known:
            raise ApiError("InvalidParameter.SecurityGroupId", "SecurityGroupId.N must name groups of that VPC.", 404)
        if any(group is not None and group.vpc != vswitch.vpc for group in known):
            raise ApiError("InvalidSecurityGroupVpc.NotBelongToOneVpc", f"A group is not in {vswitch.vpc}.", 404)
        if len(ecs.interfaces.of(instance.id)) > 1:
            raise ApiError("InvalidInstance.AttachedEni", f"{instance.id} has a secondary network interface.", 404)
        realm = ecs.realm
        if realm.built("slb") and realm.slb.is_member(instance.id):
            raise ApiError("InvalidDependence.SLB", f"{instance.id} is behind a load balancer.", 404)

    def _address(self, instance: "Instance", vswitch: "VSwitch", wanted: str | None) -> str:
        if wanted is None:
            return self._ecs.network.any_free(vswitch)
        try:
            offered = vswitch.offers(wanted)
        except ValueError:
            raise ApiError("InvalidPrivateIpAddress.Malformed", f"{wanted!r} is not an IPv4 address.") from None
        if not offered:
            raise ApiError("InvalidPrivateIpAddress.Mismatch", f"{wanted} is not a usable address of {vswitch.id}.")
        if wanted == instance.private_ip or not self._ecs.network.is_free(vswitch, wanted):
            raise ApiError("InvalidPrivateIpAddress.Duplicated", f"{wanted} is in use.")
        return wanted
