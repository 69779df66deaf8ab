"""Changes of instances straight onto the emulator's models: bought, started, stopped, moved."""

from collections.abc import Mapping, Sequence

from emulator.ecs import instances as instance_models
from emulator.ecs.tagging import Tagging
from shared.adapters.user_data import to_bytes, to_text
from shared.domain.ids import DiskId, ImageId, InstanceId
from shared.domain.inventory import Setup
from shared.ports.compute import InstanceRequest
from understudy.simulation.in_process import InProcess


class InProcessInstances(InProcess):
    """Implements `shared.ports.compute.Instances`."""

    def run(self, request: InstanceRequest, *, token: str) -> InstanceId:
        return self._run(_order(request), token)[0]

    def run_many(self, request: InstanceRequest, *, amount: int, least: int, token: str) -> tuple[InstanceId, ...]:
        return self._run(_order(request, amount=amount, least=least), token)

    def rehearse(self, request: InstanceRequest) -> None:
        self._told("RunInstances", request, lambda: self._ecs.buying.check(_order(request)))

    def _run(self, order: instance_models.Order, token: str) -> tuple[InstanceId, ...]:
        with self._changing("RunInstances"):
            return tuple(InstanceId(made.id) for made in self._ecs.lifecycle.run(order, token=token))

    def stop(self, instance: InstanceId, *, force: bool) -> None:
        with self._changing("StopInstance"):
            self._ecs.lifecycle.stop(self._ecs.find_instance(instance), force=force, mode="KeepCharging")

    def start(self, instance: InstanceId) -> None:
        with self._changing("StartInstance"):
            self._ecs.lifecycle.start(self._ecs.find_instance(instance))

    def tag(self, ids: Sequence[str], *, resource_type: str, tags: Mapping[str, str]) -> None:
        with self._changing("TagResources"):
            if ids:
                Tagging(self._ecs).tag(resource_type, ids, tags)

    def setup(self, instance: InstanceId) -> Setup:
        shelf = self._ecs.shelf
        role = self._told(
            "DescribeInstanceRamRole",
            instance,
            lambda: "" if (found := shelf.get(instance)) is None else found.ram_role,
        )
        given = self._told("DescribeUserData", instance, lambda: self._ecs.find_instance(instance).user_data)
        return Setup(role=role, user_data=to_text(given))

    def move_address(self, instance: InstanceId, *, vswitch: str, address: str = "") -> None:
        with self._changing("ModifyInstanceVpcAttribute"):
            self._ecs.relocation.move(instance, vswitch, address=address or None, vpc_id=None, groups=())

    def set_groups(self, instance: InstanceId, groups: Sequence[str]) -> None:
        with self._changing("ModifyInstanceAttribute"):
            found = self._ecs.find_instance(instance)
            self._ecs.network.check_security_groups(tuple(groups), found.vpc_id)
            self._ecs.interfaces.primary(found).belong_to(tuple(groups))
            self._ecs.security_groups.changed()

    def replace_system_disk(self, instance: InstanceId, image: ImageId, *, token: str, size_gib: int = 0) -> DiskId:
        with self._changing("ReplaceSystemDisk"):
            return DiskId(self._ecs.contents.replace(instance, image, size_gib=size_gib or None, token=token).id)

    def leaves_alone(self, instances: Sequence[InstanceId]) -> frozenset[InstanceId]:
        def found() -> frozenset[InstanceId]:
            shelf = self._ecs.shelf
            known = ((one, shelf.get(one)) for one in instances)
            return frozenset(one for one, found in known if found is not None and found.on_maintenance == "Stop")

        return self._told("DescribeInstanceMaintenanceAttributes", instances, found) if instances else frozenset()

    def leave_alone(self, instance: InstanceId) -> None:
        with self._changing("ModifyInstanceMaintenanceAttributes"):
            self._ecs.find_instance(instance).on_maintenance = "Stop"


def _order(request: InstanceRequest, *, amount: int = 1, least: int | None = None) -> instance_models.Order:
    """`least` None: one instance, under exactly its name."""
    return instance_models.Order(
        image_id=request.image,
        instance_type=request.instance_type,
        vswitch_id=request.vswitch,
        security_group_ids=request.security_groups,
        name=request.name,
        zone=request.zone,
        amount=amount,
        min_amount=least,
        private_address=request.private_address,
        system_category=request.system_disk_category,
        system_size_gib=request.system_disk_gib,
        data_disks=tuple(
            instance_models.DataDisk(
                category=wanted.category,
                snapshot_id=wanted.snapshot,
                device=_in_guest(wanted.device) or None,
                delete_with_instance=wanted.delete_with_instance,
            )
            for wanted in request.data_disks
        ),
        user_data=to_bytes(request.user_data),
        host_name=request.host_name,
        unique_suffix=least is not None,
        key_pair=request.key_pair,
        ram_role=request.role,
        tags=tuple(sorted(request.tags.items())),
    )


def _in_guest(device: str) -> str:
    return device.replace("/dev/xvd", "/dev/vd")
